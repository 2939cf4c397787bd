/* buf_test: bytes that grow up to a maximum; the printf that knows slices; errors, which are printed into. */
#include "base/testing.h"

static void it_grows_and_keeps_what_was_written(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_arena *arenas[] = { NULL, arena };
    for (size_t a = 0; a < 2; a++) {
        tims_buf buf;
        tims_buf_init(&buf, arenas[a], 100000);
        for (int i = 0; i < 10000; i++)
            tims_buf_append_char(&buf, (char)('a' + i % 26));
        assert_false(buf.overflow);
        assert_int_equal(buf.length, 10000);
        for (size_t i = 0; i < 10000; i++)
            assert_int_equal(buf.data[i], (char)('a' + i % 26));
        tims_buf_free(&buf);
    }
    tims_arena_free(&arena);
}

static void growth_past_the_maximum_drops_the_bytes_and_says_so(void **state)
{
    (void)state;
    tims_buf buf;
    tims_buf_init(&buf, NULL, 10);
    tims_buf_append_str(&buf, TIMS_STR("12345678"));
    tims_buf_append_str(&buf, TIMS_STR("abc"));
    assert_true(buf.overflow);
    assert_str(tims_buf_str(&buf), "12345678");
    tims_buf_append_str(&buf, TIMS_STR("ab"));
    assert_str(tims_buf_str(&buf), "12345678ab");
    assert_false(tims_buf_reserve(&buf, 1));
    assert_false(tims_buf_reserve(&buf, SIZE_MAX));
    tims_buf_free(&buf);
}

static void consume_drops_bytes_at_the_front(void **state)
{
    (void)state;
    tims_buf buf;
    tims_buf_init(&buf, NULL, 100);
    tims_buf_append_str(&buf, TIMS_STR("hello world"));
    tims_buf_consume(&buf, 6);
    assert_str(tims_buf_str(&buf), "world");
    tims_buf_consume(&buf, 0);
    tims_buf_consume(&buf, 5);
    assert_int_equal(buf.length, 0);
    tims_buf_append_str(&buf, TIMS_STR("again"));
    assert_str(tims_buf_str(&buf), "again");
    tims_buf_free(&buf);
}

static void integers_are_written_in_full(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        const char *text;
    } rows[] = { { 0, "0" },
                 { 7, "7" },
                 { -10, "-10" },
                 { INT64_MAX, "9223372036854775807" },
                 { INT64_MIN, "-9223372036854775808" } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tims_buf buf;
        tims_buf_init(&buf, NULL, 100);
        tims_buf_append_int(&buf, rows[i].value);
        assert_str(tims_buf_str(&buf), rows[i].text);
        tims_buf_free(&buf);
    }
}

static void print_formats_like_printf_and_knows_slices(void **state)
{
    (void)state;
    tims_buf buf;
    tims_buf_init(&buf, NULL, 1000);
    tims_buf_print(&buf, "[%5S|%-5S|%S]", TIMS_STR("ab"), TIMS_STR("cd"), ((tims_str){ NULL, 0 }));
    tims_buf_print(&buf, "[%s|%-3s]", "x", "y");
    tims_buf_print(&buf, "[%d|%u|%ld|%llu|%zu|%x|%04d|%c|%%]", -1, 4000000000u, -5L, 18446744073709551615ull,
                   (size_t)9, 255u, 42, 'c');
    tims_buf_print(&buf, "[%.2f|%g]", 1.005, 0.5);
    tims_buf_print(&buf, "[%d|%lld|%+d|%i|%u|%llx|%o|%X]", 0, (long long)INT64_MIN, 5, -2147483647 - 1, 0u,
                   18446744073709551615ull, 8u, 255u);
    assert_str(tims_buf_str(&buf),
               "[   ab|cd   |][x|y  ][-1|4000000000|-5|18446744073709551615|9|ff|0042|c|%]"
               "[1.00|0.5]"
               "[0|-9223372036854775808|+5|-2147483648|0|ffffffffffffffff|10|FF]");
    tims_buf_free(&buf);
}

static void an_error_keeps_status_code_and_sentence(void **state)
{
    (void)state;
    tims_error err = { .retry_after_s = 9 };
    assert_int_equal(tims_fail(&err, TIMS_NOT_FOUND, NULL, "No %s here.", "cat"), TIMS_NOT_FOUND);
    assert_int_equal(err.status, TIMS_NOT_FOUND);
    assert_string_equal(err.code, "not_found");
    assert_string_equal(err.message, "No cat here.");
    assert_int_equal(err.retry_after_s, 0);
    tims_error_detail(&err, "at %d", 5);
    assert_string_equal(err.detail, "at 5");
    assert_int_equal(tims_fail(NULL, TIMS_BUSY, "x", "nobody listens"), TIMS_BUSY);
    char longer[400];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    (void)tims_fail(&err, TIMS_IO, "own", "%s", longer);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_string_equal(err.code, "own");
}

static void every_status_has_a_name_an_http_status_and_a_sentence(void **state)
{
    (void)state;
    for (int status = 0; status < TIMS_STATUS_COUNT; status++) {
        assert_true(strlen(tims_status_name((tims_status)status)) > 1);
        assert_true(strlen(tims_status_text((tims_status)status)) > 1);
        assert_in_range(tims_status_http((tims_status)status), 200, 599);
    }
    assert_int_equal(tims_status_http(TIMS_INVALID), 422);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_grows_and_keeps_what_was_written),
        cmocka_unit_test(growth_past_the_maximum_drops_the_bytes_and_says_so),
        cmocka_unit_test(consume_drops_bytes_at_the_front),
        cmocka_unit_test(integers_are_written_in_full),
        cmocka_unit_test(print_formats_like_printf_and_knows_slices),
        cmocka_unit_test(an_error_keeps_status_code_and_sentence),
        cmocka_unit_test(every_status_has_a_name_an_http_status_and_a_sentence),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
