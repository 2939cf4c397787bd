/* The difference of two JSON values as a merge patch, row by row. */
#include "base/testing.h"

#include "json/json_internal.h"

static void says_what_changed(void **state)
{
    (void)state;
    static const struct {
        const char *before, *now, *patch; /* patch NULL: there is none */
    } rows[] = {
        { "{}", "{}", "{}" },
        { "{\"a\":1}", "{\"a\":1}", "{}" },
        { "{\"a\":1}", "{\"a\":2}", "{\"a\":2}" },
        { "{\"a\":1}", "{}", "{\"a\":null}" },
        { "{}", "{\"a\":[1,null]}", "{\"a\":[1,null]}" },
        { "{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":1,\"c\":3}}", "{\"a\":{\"c\":3}}" },
        { "{\"a\":{\"b\":1}}", "{\"a\":{}}", "{\"a\":{\"b\":null}}" },
        { "{\"a\":{\"b\":1}}", "{\"a\":5}", "{\"a\":5}" },
        { "{\"a\":5}", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}" },
        { "{\"a\":[1,2]}", "{\"a\":[1]}", "{\"a\":[1]}" },
        { "{\"a\":null}", "{\"a\":null}", "{}" },
        { "{\"a\":1}", "{\"a\":null}", NULL },
        { "{}", "{\"a\":{\"b\":null}}", NULL },
        { "{\"a\":1}", "[1]", NULL },
        { "[1]", "{\"a\":1}", NULL },
        { "1", "2", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
        const tims_json *before, *now;
        tims_buf out;
        tims_buf_init(&out, arena, 4096);
        tims_json_writer writer = tims_json_to(&out);
        assert_int_equal(tims_json_parse(arena, tims_str_from(rows[i].before), &before, NULL), TIMS_OK);
        assert_int_equal(tims_json_parse(arena, tims_str_from(rows[i].now), &now, NULL), TIMS_OK);
        bool can = tims_json_merge_patch(arena, before, now, &writer);
        if (can != (rows[i].patch != NULL))
            fail_msg("%s to %s", rows[i].before, rows[i].now);
        if (can && !tims_str_equal(tims_buf_str(&out), tims_str_from(rows[i].patch)))
            fail_msg("%s to %s: %.*s", rows[i].before, rows[i].now, TIMS_PRINT(tims_buf_str(&out)));
        tims_arena_free(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(says_what_changed) };
    return cmocka_run_group_tests_name("json_patch", tests, NULL, NULL);
}
