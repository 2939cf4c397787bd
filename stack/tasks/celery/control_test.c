/* control_test: whom a remote command is meant for, what is refused, and values as Python writes them. */
#include "base/testing.h"
#include "tasks/celery/remote_internal.h"

static int set_up(void **state)
{
    *state = tims_arena_new(64 << 20, NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    tims_arena *arena = *state;
    tims_arena_free(&arena);
    return 0;
}

/* A message around a body. */
static tims_str message_of(tims_arena *arena, const char *body, const char *type)
{
    tims_buf out;
    tims_buf_init(&out, arena, 1 << 20);
    tims_buf_print(&out, "{\"body\":\"");
    tims_base64_append(&out, tims_str_from(body));
    tims_buf_print(&out,
                   "\",\"content-type\":\"%s\",\"headers\":{\"clock\":7,\"expires\":12.5},"
                   "\"properties\":{\"body_encoding\":\"base64\"}}",
                   type);
    return tims_buf_str(&out);
}

static void a_command_is_read(void **state)
{
    celery__asked asked;
    tims_error err = { 0 };
    tims_str text =
        message_of(*state,
                   "{\"method\":\"revoke\",\"arguments\":{\"task_id\":\"x\"},\"destination\":[\"a@b\"],"
                   "\"pattern\":null,\"ticket\":\"t\",\"reply_to\":{\"exchange\":\"e\","
                   "\"routing_key\":\"k\"}}",
                   "application/json");
    assert_int_equal(celery__control_read(*state, text, &asked, &err), TIMS_OK);
    assert_true(tims_str_equal(asked.method, TIMS_STR("revoke")));
    assert_true(tims_str_equal(asked.ticket, TIMS_STR("t")));
    assert_true(tims_str_equal(asked.reply_exchange, TIMS_STR("e")));
    assert_true(tims_str_equal(asked.reply_key, TIMS_STR("k")));
    assert_int_equal(asked.clock, 7);
    assert_true(asked.expires == 12.5);
    assert_int_equal(tims_json_count(asked.arguments), 1);
    assert_int_equal(tims_json_count(asked.destination), 1);
}

static void what_is_no_command_is_refused(void **state)
{
    static const char *const bodies[] = { "",
                                          "17",
                                          "[]",
                                          "{}",
                                          "{\"method\":null}",
                                          "{\"method\":\"\"}",
                                          "{\"method\":1}",
                                          "{\"method\":\"ping\",\"arguments\":[]}",
                                          "{\"method\":\"ping\",\"destination\":\"a@b\"}",
                                          "{\"method\":\"ping\",\"destination\":{}}",
                                          "{\"method\":\"ping\",\"pattern\":1}",
                                          "{\"method\":\"ping\",\"matcher\":[]}",
                                          "{\"method\":\"ping\",\"ticket\":{}}",
                                          "{\"method\":\"ping\",\"reply_to\":\"x\"}",
                                          "{\"method\":\"ping\",\"reply_to\":{}}",
                                          "{\"method\":\"ping\",\"reply_to\":{\"routing_key\":1}}" };
    celery__asked asked;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        tims_error err = { 0 };
        tims_str text = message_of(*state, bodies[i], "application/json");
        assert_int_equal(celery__control_read(*state, text, &asked, &err), TIMS_INVALID);
        assert_true(err.message[0] != '\0');
    }
    assert_int_equal(
        celery__control_read(*state,
                             message_of(*state, "{\"method\":\"ping\"}", "application/x-python-serialize"),
                             &asked, NULL),
        TIMS_INVALID);
}

static void a_pattern_is_matched_as_kombu_does(void **state)
{
    static const struct {
        const char *pattern, *matcher;
        bool matches;
    } rows[] = {
        { "jobs@*", "glob", true },       { "*", "glob", true },
        { "j[!x]bs@host", "glob", true }, { "jobs", "glob", false },
        { "JOBS@*", "glob", false },      { "jobs", "pcre", true },
        { "obs", "pcre", false },         { "^jobs@(host|guest)$", "pcre", true },
        { "(", "pcre", false },           { "(jobs){1,2}", "pcre", false },
        { "(j)\\1", "pcre", false },      { "jobs@*", "other", false },
        { "j+.*o?bs@", "pcre", true },    { "`++++++++++++++++++++++++", "pcre", false },
        { "(j*)*", "pcre", false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const celery__asked asked = { .pattern = tims_str_from(rows[i].pattern),
                                      .matcher = tims_str_from(rows[i].matcher) };
        assert_int_equal(celery__control_matches(&asked, TIMS_STR("jobs@host")), rows[i].matches);
    }
    assert_true(celery__control_matches(&(celery__asked){ .pattern = TIMS_STR("x") }, TIMS_STR("jobs@host")));
}

static void a_destination_goes_before_a_pattern(void **state)
{
    tims_arena *arena = *state;
    celery__asked asked = { .pattern = TIMS_STR("*"), .matcher = TIMS_STR("glob") };
    assert_int_equal(tims_json_parse(arena, TIMS_STR("[\"a@b\",17,\"c@d\"]"), &asked.destination, NULL),
                     TIMS_OK);
    assert_true(celery__control_matches(&asked, TIMS_STR("c@d")));
    assert_false(celery__control_matches(&asked, TIMS_STR("e@f")));
    assert_int_equal(tims_json_parse(arena, TIMS_STR("[]"), &asked.destination, NULL), TIMS_OK);
    assert_true(celery__control_matches(&asked, TIMS_STR("e@f")));
}

static void values_are_written_as_python_does(void **state)
{
    static const struct {
        const char *json, *repr;
    } rows[] = {
        { "null", "None" },
        { "[true,false]", "[True, False]" },
        { "{\"a\":1,\"b\":[1.5,-2]}", "{'a': 1, 'b': [1.5, -2]}" },
        { "{}", "{}" },
        { "\"\"", "''" },
        { "\"it's\"", "\"it's\"" },
        { "\"it's \\\"x\\\"\"", "'it\\'s \"x\"'" },
        { "\"a\\nb\\t\\\\\\u0001\"", "'a\\nb\\t\\\\\\x01'" },
        { "\"\u00e4\"", "'\u00e4'" },
        { "no json", "" },
        { "", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tims_str repr = celery__repr(*state, tims_str_from(rows[i].json));
        assert_true(tims_str_equal(repr, tims_str_from(rows[i].repr)));
    }
}

static void long_values_are_cut_between_characters(void **state)
{
    tims_buf json;
    tims_buf_init(&json, *state, 1 << 20);
    tims_buf_append_char(&json, '"');
    for (int i = 0; i < 2000; i++)
        tims_buf_append_str(&json, TIMS_STR("\u20ac"));
    tims_buf_append_char(&json, '"');
    tims_str repr = celery__repr(*state, tims_buf_str(&json));
    assert_true(repr.length <= CELERY__REPR_BYTES_MAX && repr.length > CELERY__REPR_BYTES_MAX - 8);
    assert_true(tims_str_ends_with(repr, TIMS_STR("...")) && tims_str_is_utf8(repr));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_command_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_command_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pattern_is_matched_as_kombu_does, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_destination_goes_before_a_pattern, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values_are_written_as_python_does, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_values_are_cut_between_characters, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
