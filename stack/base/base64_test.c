/* base64_test: RFC 4648's own rows, and what is no base64. */
#include "base/testing.h"
#include "tims/base.h"

static void bytes_come_back(void **state)
{
    (void)state;
    static const char *rows[][2] = { { "", "" },
                                     { "f", "Zg==" },
                                     { "fo", "Zm8=" },
                                     { "foo", "Zm9v" },
                                     { "foob", "Zm9vYg==" },
                                     { "fooba", "Zm9vYmE=" },
                                     { "foobar", "Zm9vYmFy" },
                                     { "\xfb\xff\xbf", "+/+/" } };
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tims_buf out;
        tims_buf_init(&out, arena, 100);
        tims_base64_append(&out, tims_str_from(rows[i][0]));
        assert_str(tims_buf_str(&out), rows[i][1]);
        tims_str bytes;
        assert_true(tims_base64_decode(arena, tims_str_from(rows[i][1]), &bytes));
        assert_str(bytes, rows[i][0]);
    }
    tims_arena_free(&arena);
}

static void only_what_encoding_writes_is_read(void **state)
{
    (void)state;
    static const char *rows[] = { "Z",    "Zg",       "Zg=",    "=",    "====", "Z===",     "Zh==",
                                  "Zm9=", "Zg==Zg==", "Zm9v\n", "Zm 9", "-_-_", "Zm9v====", "Z=g=" };
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_str bytes;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (tims_base64_decode(arena, tims_str_from(rows[i]), &bytes))
            fail_msg("%s was read", rows[i]);
    assert_false(tims_base64_decode(arena, (tims_str){ "Zm9\0", 4 }, &bytes));
    tims_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_back),
        cmocka_unit_test(only_what_encoding_writes_is_read),
    };
    return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
