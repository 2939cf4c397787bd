/* str_test: slices. */
#include "base/testing.h"

static void equality_looks_at_bytes_and_length(void **state)
{
    (void)state;
    assert_true(tims_str_equal(TIMS_STR("abc"), tims_str_slice(TIMS_STR("xabcx"), 1, 4)));
    assert_false(tims_str_equal(TIMS_STR("abc"), TIMS_STR("abcd")));
    assert_false(tims_str_equal(TIMS_STR("abc"), TIMS_STR("abC")));
    assert_true(tims_str_equal((tims_str){ NULL, 0 }, TIMS_STR("")));
    assert_true(tims_str_equal_ignoring_case(TIMS_STR("Content-Type"), TIMS_STR("cONTENT-tYPE")));
    assert_false(tims_str_equal_ignoring_case(TIMS_STR("a["), TIMS_STR("a{"))); /* 0x20 apart, no letters */
}

static void comparison_is_bytewise_then_by_length(void **state)
{
    (void)state;
    assert_true(tims_str_compare(TIMS_STR("a"), TIMS_STR("b")) < 0);
    assert_true(tims_str_compare(TIMS_STR("b"), TIMS_STR("ab")) > 0);
    assert_true(tims_str_compare(TIMS_STR("a"), TIMS_STR("ab")) < 0);
    assert_int_equal(tims_str_compare(TIMS_STR("ab"), TIMS_STR("ab")), 0);
    assert_true(tims_str_compare(TIMS_STR("z"), TIMS_STR("\xc3\xa4")) < 0); /* unsigned bytes */
    assert_true(tims_str_compare((tims_str){ NULL, 0 }, TIMS_STR("a")) < 0);
}

static void prefixes_and_suffixes_are_found(void **state)
{
    (void)state;
    assert_true(tims_str_starts_with(TIMS_STR("/api/x"), TIMS_STR("/api")));
    assert_false(tims_str_starts_with(TIMS_STR("/ap"), TIMS_STR("/api")));
    assert_true(tims_str_ends_with(TIMS_STR("a.css"), TIMS_STR(".css")));
    assert_false(tims_str_ends_with(TIMS_STR("css"), TIMS_STR(".css")));
    assert_true(tims_str_ends_with(TIMS_STR("x"), TIMS_STR("")));
}

static void trim_takes_white_space_at_both_ends_only(void **state)
{
    (void)state;
    assert_str(tims_str_trim(TIMS_STR(" \t a b\r\n")), "a b");
    assert_str(tims_str_trim(TIMS_STR("  \n ")), "");
    assert_str(tims_str_trim((tims_str){ NULL, 0 }), "");
}

static void slice_is_clamped(void **state)
{
    (void)state;
    assert_str(tims_str_slice(TIMS_STR("hello"), 1, 3), "el");
    assert_str(tims_str_slice(TIMS_STR("hello"), 3, 99), "lo");
    assert_str(tims_str_slice(TIMS_STR("hello"), 4, 2), "");
    assert_str(tims_str_slice(TIMS_STR("hello"), 99, 100), "");
}

static void find_gives_the_first_offset_or_none(void **state)
{
    (void)state;
    assert_int_equal(tims_str_find(TIMS_STR("abcabc"), TIMS_STR("ca")), 2);
    assert_int_equal(tims_str_find(TIMS_STR("abc"), TIMS_STR("")), 0);
    assert_true(tims_str_find(TIMS_STR("abc"), TIMS_STR("abcd")) == SIZE_MAX);
    assert_true(tims_str_find(TIMS_STR("abc"), TIMS_STR("x")) == SIZE_MAX);
}

static void cut_walks_through_parts(void **state)
{
    (void)state;
    tims_str rest = TIMS_STR("a,,b");
    assert_str(tims_str_cut(&rest, ','), "a");
    assert_str(tims_str_cut(&rest, ','), "");
    assert_non_null(rest.data);
    assert_str(tims_str_cut(&rest, ','), "b");
    assert_null(rest.data);
    rest = TIMS_STR("a,");
    assert_str(tims_str_cut(&rest, ','), "a");
    assert_non_null(rest.data); /* an empty part is still to come */
    assert_str(tims_str_cut(&rest, ','), "");
    assert_null(rest.data);
}

static void whole_numbers_are_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t min, max, value;
        bool ok;
    } rows[] = {
        { "0", 0, 9, 0, true },
        { "-5", -9, 9, -5, true },
        { "007", 0, 9, 7, true },
        { "9223372036854775807", INT64_MIN, INT64_MAX, INT64_MAX, true },
        { "-9223372036854775808", INT64_MIN, INT64_MAX, INT64_MIN, true },
        { "9223372036854775808", INT64_MIN, INT64_MAX, 0, false },
        { "-9223372036854775809", INT64_MIN, INT64_MAX, 0, false },
        { "99999999999999999999999", INT64_MIN, INT64_MAX, 0, false },
        { "10", 0, 9, 0, false },
        { "-1", 0, 9, 0, false },
        { "", 0, 9, 0, false },
        { "-", -9, 9, 0, false },
        { "+1", 0, 9, 0, false },
        { " 1", 0, 9, 0, false },
        { "1 ", 0, 9, 0, false },
        { "1.0", 0, 9, 0, false },
        { "0x1", 0, 9, 0, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t value = 4711;
        bool ok = tims_str_to_int(tims_str_from(rows[i].text), rows[i].min, rows[i].max, &value);
        if (ok != rows[i].ok || value != (ok ? rows[i].value : 4711))
            fail_msg("\"%s\": %d, %lld", rows[i].text, ok, (long long)value);
    }
}

static void utf8_is_checked_to_the_letter(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
    } rows[] = {
        { "", true },
        { "plain ascii, longer than eight bytes", true },
        { "\xc3\xa4", true },
        { "12345678\xe2\x82\xac", true },
        { "\xf0\x9f\x98\x80", true },
        { "\xf4\x8f\xbf\xbf", true },  /* U+10FFFF */
        { "\xef\xbf\xbf", true },      /* a noncharacter is still a code point */
        { "\xf4\x90\x80\x80", false }, /* beyond */
        { "\xf5\x80\x80\x80", false }, /* beyond */
        { "\xc0\xaf", false },         /* overlong */
        { "\xc1\xbf", false },         /* overlong */
        { "\xe0\x9f\xbf", false },     /* overlong */
        { "\xf0\x8f\xbf\xbf", false }, /* overlong */
        { "\xed\xa0\x80", false },     /* surrogate */
        { "\xed\xbf\xbf", false },     /* surrogate */
        { "\x80", false },             /* a continuation alone */
        { "\xc3", false },             /* cut */
        { "\xe2\x82", false },         /* cut */
        { "\xf0\x9f\x98", false },     /* cut */
        { "\xc3\x28", false },         /* not continued */
        { "12345678\xff", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (tims_str_is_utf8(tims_str_from(rows[i].text)) != rows[i].ok)
            fail_msg("row %zu", i);
    assert_int_equal(tims_str_count_codepoints(TIMS_STR("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80")), 4);
}

static void names_contain_exact_names(void **state)
{
    (void)state;
    tims_names names = TIMS_NAMES("text", "read");
    assert_true(tims_names_contain(names, TIMS_STR("read")));
    assert_false(tims_names_contain(names, TIMS_STR("rea")));
    assert_false(tims_names_contain((tims_names){ NULL, 0 }, TIMS_STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_looks_at_bytes_and_length),
        cmocka_unit_test(comparison_is_bytewise_then_by_length),
        cmocka_unit_test(prefixes_and_suffixes_are_found),
        cmocka_unit_test(trim_takes_white_space_at_both_ends_only),
        cmocka_unit_test(slice_is_clamped),
        cmocka_unit_test(find_gives_the_first_offset_or_none),
        cmocka_unit_test(cut_walks_through_parts),
        cmocka_unit_test(whole_numbers_are_read_strictly),
        cmocka_unit_test(utf8_is_checked_to_the_letter),
        cmocka_unit_test(names_contain_exact_names),
    };
    return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
