/* json_read_test: strict JSON in. */
#include "base/testing.h"
#include "tims/json.h"

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

static const tims_json *parse(tims_arena *arena, const char *text)
{
    const tims_json *value = NULL;
    tims_error err = { 0 };
    if (tims_json_parse(arena, tims_str_from(text), &value, &err) != TIMS_OK)
        fail_msg("\"%s\": %s", text, err.message);
    return value;
}

static void values_of_every_type_are_read(void **state)
{
    tims_arena *arena = *state;
    const tims_json *object =
        parse(arena, "{\"n\":null,\"b\":true,\"i\":-5,\"d\":1.5,\"s\":\"a\\u00e4\\ud83d\\ude00\","
                     "\"a\":[1,[2]],\"o\":{\"x\":1}}");
    assert_int_equal(tims_json_type_of(object), TIMS_JSON_OBJECT);
    assert_int_equal(tims_json_count(object), 7);
    assert_int_equal(tims_json_type_of(tims_json_get(object, TIMS_STR("n"))), TIMS_JSON_NULL);
    assert_true(tims_json_get_bool(object, TIMS_STR("b"), false));
    assert_int_equal(tims_json_get_int(object, TIMS_STR("i"), 0), -5);
    assert_true(tims_json_as_double(tims_json_get(object, TIMS_STR("d")), 0) == 1.5);
    assert_str(tims_json_get_str(object, TIMS_STR("s"), TIMS_STR("")), "a\xc3\xa4\xf0\x9f\x98\x80");
    const tims_json *array = tims_json_get(object, TIMS_STR("a"));
    assert_int_equal(tims_json_count(array), 2);
    assert_int_equal(tims_json_as_int(tims_json_at(tims_json_at(array, 1), 0), 0), 2);
    assert_null(tims_json_at(array, 2));
    assert_null(tims_json_get(array, TIMS_STR("x")));
    assert_null(tims_json_get(object, TIMS_STR("absent")));
    assert_null(tims_json_get(NULL, TIMS_STR("x")));
}

static void a_getter_falls_back_on_another_type(void **state)
{
    const tims_json *object = parse(*state, "{\"s\":\"1\",\"i\":1,\"d\":1.5}");
    assert_int_equal(tims_json_get_int(object, TIMS_STR("s"), 42), 42);
    assert_int_equal(tims_json_get_int(object, TIMS_STR("d"), 42), 42);
    assert_str(tims_json_get_str(object, TIMS_STR("i"), TIMS_STR("none")), "none");
    assert_true(tims_json_get_bool(object, TIMS_STR("i"), true));
    assert_int_equal(tims_json_count(tims_json_get(object, TIMS_STR("s"))), 0);
}

static void members_are_stepped_through_in_their_order(void **state)
{
    const tims_json *object = parse(*state, "{\"b\":1,\"a\":2,\"\":3}"), *value;
    static const char *const keys[] = { "b", "a", "" };
    void *cursor = NULL;
    tims_str key;
    for (size_t i = 0; i < 3; i++) {
        assert_true(tims_json_next(object, &cursor, &key, &value));
        assert_str(key, keys[i]);
        assert_int_equal(tims_json_as_int(value, 0), (int)i + 1);
    }
    assert_false(tims_json_next(object, &cursor, &key, &value));
}

static void scalars_alone_are_json_too(void **state)
{
    assert_int_equal(tims_json_type_of(parse(*state, " 7 ")), TIMS_JSON_INT);
    assert_int_equal(tims_json_type_of(parse(*state, "\"x\"")), TIMS_JSON_STR);
    assert_int_equal(tims_json_as_int(parse(*state, "9223372036854775807"), 0), INT64_MAX);
    assert_int_equal(tims_json_as_int(parse(*state, "-9223372036854775808"), 0), INT64_MIN);
}

static void what_is_not_strict_json_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *text, *code;
    } rows[] = {
        { "", "json_empty" },
        { " ", "json_syntax" },
        { "{", "json_syntax" },
        { "[1,]", "json_syntax" },
        { "{\"a\":1,}", "json_syntax" },
        { "{a:1}", "json_syntax" },
        { "{'a':1}", "json_syntax" },
        { "[1] x", "json_trailing" },
        { "{}{}", "json_trailing" },
        { "{\"a\":1,\"a\":2}", "json_duplicate_key" },
        { "{\"a\":1,\"\\u0061\":2}", "json_duplicate_key" },
        { "{\"\\u0000\":1}", "json_nul" },
        { "[\"\\ud800\"]", "json_syntax" },
        { "[\"\\ud800x\"]", "json_syntax" },
        { "[\"\\udc00\"]", "json_syntax" },
        { "[\"\\x\"]", "json_syntax" },
        { "[\"\n\"]", "json_syntax" },
        { "[\"\xff\"]", "json_utf8" },
        { "[\"\xed\xa0\x80\"]", "json_utf8" },
        { "[\"\xc0\x80\"]", "json_utf8" },
        { "[9223372036854775808]", "json_number" },
        { "[1e999]", "json_number" },
        { "[99999999999999999999999999999999]", "json_number" },
        { "[01]", "json_syntax" },
        { "[+1]", "json_syntax" },
        { "[.5]", "json_syntax" },
        { "[1.]", "json_syntax" },
        { "[NaN]", "json_syntax" },
        { "[Infinity]", "json_syntax" },
        { "[0x10]", "json_syntax" },
        { "[tru]", "json_syntax" },
        { "[1 2]", "json_syntax" },
        { "// hi\n[]", "json_syntax" },
        { "\xef\xbb\xbf[]", "json_syntax" }, /* a byte order mark */
        { "[\"", "json_syntax" },
        { "[\"\\", "json_syntax" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const tims_json *value = NULL;
        tims_error err = { 0 };
        tims_status status = tims_json_parse(*state, tims_str_from(rows[i].text), &value, &err);
        if (status != TIMS_MALFORMED || strcmp(err.code, rows[i].code) != 0)
            fail_msg("\"%s\": %d %s %s", rows[i].text, status, err.code, err.message);
        assert_null(value);
        assert_non_null(strstr(err.message, "line 1, column"));
    }
}

static void a_string_with_nul_is_an_error_of_its_field(void **state)
{
    tims_arena *arena = *state;
    static const char *const rows[][2] = {
        { "\"\\u0000\"", "" },
        { "{\"a\":1,\"b\":\"x\\u0000\"}", "/b" },
        { "{\"a\":[{},[\"x\",\"\\u0000\"]]}", "/a/1/1" },
        { "{\"a/b~\":{\"c\":\"\\u0000x\"}}", "/a~1b~0/c" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const tims_json *value = NULL;
        tims_error err = { 0 };
        assert_int_equal(tims_json_parse(arena, tims_str_from(rows[i][0]), &value, &err), TIMS_INVALID);
        assert_null(value);
        assert_str(err.fields->pointer, rows[i][1]);
        assert_string_equal(err.fields->code, "encoding");
    }
}

static void a_raw_nul_is_refused(void **state)
{
    const tims_json *value;
    assert_int_equal(tims_json_parse(*state, (tims_str){ "[1]\0", 4 }, &value, NULL), TIMS_MALFORMED);
    assert_int_equal(tims_json_parse(*state, (tims_str){ "[\"a\0b\"]", 7 }, &value, NULL), TIMS_MALFORMED);
}

static void the_place_is_counted_in_lines_and_columns(void **state)
{
    const tims_json *value;
    tims_error err = { 0 };
    assert_int_equal(tims_json_parse(*state, TIMS_STR("{\n  \"a\": 1,\n  \"b\" 2\n}"), &value, &err),
                     TIMS_MALFORMED);
    assert_non_null(strstr(err.message, "line 3, column 7"));
    assert_null(strstr(err.message, "near"));
}

/* `count` opening brackets, and as many closing ones when `close`. */
static tims_status parse_nested(tims_arena *arena, size_t count, char bracket, bool close, tims_error *err)
{
    const tims_json *value;
    tims_buf text;
    tims_buf_init(&text, arena, SIZE_MAX);
    for (size_t i = 0; i < count; i++)
        tims_buf_append_str(&text, bracket == '[' ? TIMS_STR("[") : TIMS_STR("{\"a\":"));
    if (bracket == '{')
        tims_buf_append_char(&text, '1');
    for (size_t i = 0; close && i < count; i++)
        tims_buf_append_char(&text, bracket == '[' ? ']' : '}');
    return tims_json_parse(arena, tims_buf_str(&text), &value, err);
}

static void depth_is_bounded(void **state)
{
    tims_error err = { 0 };
    assert_int_equal(parse_nested(*state, TIMS_JSON_DEPTH_MAX, '[', true, &err), TIMS_OK);
    assert_int_equal(parse_nested(*state, TIMS_JSON_DEPTH_MAX, '{', true, &err), TIMS_OK);
    assert_int_equal(parse_nested(*state, TIMS_JSON_DEPTH_MAX + 1, '[', true, &err), TIMS_MALFORMED);
    assert_string_equal(err.code, "json_depth");
    assert_non_null(strstr(err.message, "line 1, column 65"));
    assert_int_equal(parse_nested(*state, 10000, '[', false, &err), TIMS_MALFORMED);
    assert_string_equal(err.code, "json_depth");
    assert_int_equal(parse_nested(*state, 10000, '{', true, &err), TIMS_MALFORMED);
    assert_string_equal(err.code, "json_depth");
}

/* `[0,0,0]` has four. */
static tims_status parse_values(tims_arena *arena, size_t count, const char *value, tims_error *err)
{
    const tims_json *ignored;
    tims_buf text;
    tims_buf_init(&text, arena, SIZE_MAX);
    tims_buf_append_char(&text, '[');
    for (size_t i = 1; i < count; i++)
        tims_buf_print(&text, "%s%s", i > 1 ? "," : "", value);
    tims_buf_append_char(&text, ']');
    return tims_json_parse(arena, tims_buf_str(&text), &ignored, err);
}

/* A value takes far more memory than its text, and time that nobody else gets. */
static void the_number_of_values_is_bounded(void **state)
{
    static const char *const values[] = { "0", "{}", "[]", "\"\"" };
    tims_error err = { 0 };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_int_equal(parse_values(*state, TIMS_JSON_VALUES_MAX, values[i], &err), TIMS_OK);
        assert_int_equal(parse_values(*state, TIMS_JSON_VALUES_MAX + 1, values[i], &err), TIMS_MALFORMED);
        assert_string_equal(err.code, "json_values");
    }
}

static void brackets_in_strings_do_not_count_as_depth(void **state)
{
    tims_buf text;
    tims_buf_init(&text, *state, SIZE_MAX);
    tims_buf_append_str(&text, TIMS_STR("[\"\\\""));
    for (int i = 0; i < 200; i++)
        tims_buf_append_char(&text, '[');
    tims_buf_append_str(&text, TIMS_STR("\\\\\"]"));
    const tims_json *value;
    assert_int_equal(tims_json_parse(*state, tims_buf_str(&text), &value, NULL), TIMS_OK);
}

static void a_document_comes_back_as_the_same_text(void **state)
{
    static const char *const texts[] = {
        "null",
        "true",
        "-5",
        "1.5",
        "0.1",
        "\"a\\\"\\n\xc3\xa4\"",
        "[]",
        "{}",
        "[1,[2,{\"a\":[]}],\"x\"]",
        "{\"b\":1,\"a\":{\"c\":[null,false]}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_str(tims_json_to_text(*state, parse(*state, texts[i])), texts[i]);
    assert_str(tims_json_to_text(*state, parse(*state, " [ 1 , 1.50 , \"\\u0041\" ] ")), "[1,1.5,\"A\"]");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(values_of_every_type_are_read),
        TEST(a_getter_falls_back_on_another_type),
        TEST(members_are_stepped_through_in_their_order),
        TEST(scalars_alone_are_json_too),
        TEST(what_is_not_strict_json_is_refused_with_its_place),
        TEST(a_string_with_nul_is_an_error_of_its_field),
        TEST(a_raw_nul_is_refused),
        TEST(the_place_is_counted_in_lines_and_columns),
        TEST(depth_is_bounded),
        TEST(the_number_of_values_is_bounded),
        TEST(brackets_in_strings_do_not_count_as_depth),
        TEST(a_document_comes_back_as_the_same_text),
    };
    return cmocka_run_group_tests_name("json_read", tests, NULL, NULL);
}
