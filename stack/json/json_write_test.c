/* json_write_test: JSON out. */
#include "base/testing.h"
#include "tims/json.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

typedef struct fixture {
    tims_arena *arena;
    tims_buf out;
    tims_json_writer w;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    f.arena = tims_arena_new(16 << 20, NULL, NULL);
    tims_buf_init(&f.out, f.arena, 8 << 20);
    f.w = tims_json_to(&f.out);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    tims_arena_free(&((fixture *)*state)->arena);
    return 0;
}

static void commas_stand_between_and_nowhere_else(void **state)
{
    fixture *f = *state;
    tims_json_begin_object(&f->w);
    tims_json_key(&f->w, TIMS_STR("a"));
    tims_json_int(&f->w, 1);
    tims_json_key(&f->w, TIMS_STR("b"));
    tims_json_begin_array(&f->w);
    tims_json_begin_array(&f->w);
    tims_json_end_array(&f->w);
    tims_json_begin_object(&f->w);
    tims_json_end_object(&f->w);
    tims_json_null(&f->w);
    tims_json_bool(&f->w, true);
    tims_json_bool(&f->w, false);
    tims_json_raw(&f->w, TIMS_STR("{\"x\":[]}"));
    tims_json_end_array(&f->w);
    tims_json_key(&f->w, TIMS_STR("c"));
    tims_json_str(&f->w, TIMS_STR("d"));
    tims_json_end_object(&f->w);
    assert_str(tims_buf_str(&f->out), "{\"a\":1,\"b\":[[],{},null,true,false,{\"x\":[]}],\"c\":\"d\"}");
}

static void nesting_goes_to_the_depth_the_reader_takes(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < TIMS_JSON_DEPTH_MAX; i++) {
        tims_json_begin_array(&f->w);
        tims_json_int(&f->w, i);
    }
    tims_json_int(&f->w, 4711);
    for (int i = 0; i < TIMS_JSON_DEPTH_MAX; i++)
        tims_json_end_array(&f->w);
    assert_int_equal(f->w.depth, 0);
    const tims_json *value;
    assert_int_equal(tims_json_parse(f->arena, tims_buf_str(&f->out), &value, NULL), TIMS_OK);
    assert_true(tims_str_find(tims_buf_str(&f->out), TIMS_STR("63,4711]")) != SIZE_MAX);
}

static void strings_are_escaped(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *text;
        size_t length;
        const char *json;
    } rows[] = {
        { "", 0, "\"\"" },
        { "plain", 5, "\"plain\"" },
        { "a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"" },
        { "\n\r\t\b\f", 5, "\"\\n\\r\\t\\b\\f\"" },
        { "\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\"" },
        { "sixteen bytes ok\"", 17, "\"sixteen bytes ok\\\"\"" },
        { "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"" },
        { "a\xff"
          "b",
          3,
          "\"a\xef\xbf\xbd"
          "b\"" },
        { "\xc3", 1, "\"\xef\xbf\xbd\"" },
        { "\xc3\xa4\xff\xc3\xa4", 5, "\"\xc3\xa4\xef\xbf\xbd\xc3\xa4\"" },
        { "\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\xf4\x90\x80\x80", 4, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        f->out.length = 0;
        tims_json_escape(&f->out, (tims_str){ rows[i].text, rows[i].length });
        assert_str(tims_buf_str(&f->out), rows[i].json);
    }
}

/* Every byte at every place of a string longer than the scanner's step, read back by the reader. */
static void every_byte_at_every_place_reads_back(void **state)
{
    fixture *f = *state;
    enum { LENGTH = 40 };
    char *text = tims_alloc_raw(f->arena, LENGTH); /* of its own under ASan: reading past the end is seen */
    for (int byte = 1; byte < 0x80; byte++)
        for (size_t at = 0; at < LENGTH; at++) {
            memset(text, 'x', LENGTH);
            text[at] = (char)byte;
            tims_arena *arena = tims_arena_new(1 << 16, NULL, NULL);
            const tims_json *value;
            f->out.length = 0;
            tims_json_escape(&f->out, (tims_str){ text, LENGTH });
            assert_int_equal(tims_json_parse(arena, tims_buf_str(&f->out), &value, NULL), TIMS_OK);
            tims_str back = tims_json_as_str(value, TIMS_STR(""));
            assert_int_equal(back.length, LENGTH);
            assert_memory_equal(back.data, text, LENGTH);
            tims_arena_free(&arena);
        }
}

static void doubles_are_the_shortest_text_that_reads_back(void **state)
{
    fixture *f = *state;
    static const struct {
        double value;
        const char *json;
    } rows[] = { { 0, "0" },
                 { 1, "1" },
                 { -1.5, "-1.5" },
                 { 0.1, "0.1" },
                 { 0.1 + 0.2, "0.30000000000000004" },
                 { 1e21, "1e+21" },
                 { 5e-324, "4.94065645841247e-324" },
                 { -0.0, "-0.0" },
                 { 123456789012345, "123456789012345" } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        f->out.length = 0;
        f->w = tims_json_to(&f->out);
        tims_json_double(&f->w, rows[i].value);
        assert_str(tims_buf_str(&f->out), rows[i].json);
    }
    const double odd[] = { DBL_MAX,         DBL_MIN, DBL_EPSILON,        1.0 / 3,
                           2.0 / 3 * 1e300, 1e15,    9007199254740993.0, 1e16 };
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        f->out.length = 0;
        tims_json_double(&f->w, odd[i]);
        assert_true(strtod(tims_copy_c(f->arena, tims_buf_str(&f->out)), NULL) == odd[i]);
    }
}

static void whole_numbers_of_every_length_are_written(void **state)
{
    fixture *f = *state;
    int64_t value = 1;
    for (int digits = 1; digits <= 19; digits++, value = digits == 19 ? value : value * 10) {
        const int64_t around[] = { value - 1, value, value + 1, -value, value / 3, value / 7 * 9 };
        for (size_t i = 0; i < sizeof around / sizeof around[0]; i++) {
            char expected[32];
            (void)snprintf(expected, sizeof expected, "%lld", (long long)around[i]);
            f->out.length = 0;
            tims_json_int(&f->w, around[i]);
            assert_str(tims_buf_str(&f->out), expected);
        }
    }
}

static void what_is_no_number_is_null(void **state)
{
    fixture *f = *state;
    tims_json_begin_array(&f->w);
    tims_json_double(&f->w, NAN);
    tims_json_double(&f->w, INFINITY);
    tims_json_double(&f->w, -INFINITY);
    tims_json_int(&f->w, INT64_MIN);
    tims_json_int(&f->w, INT64_MAX);
    tims_json_end_array(&f->w);
    assert_str(tims_buf_str(&f->out), "[null,null,null,-9223372036854775808,9223372036854775807]");
}

typedef struct thing {
    bool flag;
    int64_t number;
    double share;
    tims_str text;
    tims_id id;
    tims_time at;
    tims_json_text extra;
    tims_opt_bool maybe_flag;
    tims_opt_int maybe_number;
    tims_opt_double maybe_share;
    tims_opt_str maybe_text;
    tims_opt_id maybe_id;
    tims_opt_time maybe_at;
    tims_ids ids;
    tims_strs strs;
    tims_str secret, word;
} thing;

static const tims_fields fields = TIMS_FIELDS(
    TIMS_FIELD(thing, flag), TIMS_FIELD(thing, number), TIMS_FIELD(thing, share), TIMS_FIELD(thing, text),
    TIMS_FIELD(thing, id), TIMS_FIELD(thing, at), TIMS_FIELD(thing, extra), TIMS_FIELD(thing, maybe_flag),
    TIMS_FIELD(thing, maybe_number), TIMS_FIELD(thing, maybe_share), TIMS_FIELD(thing, maybe_text),
    TIMS_FIELD(thing, maybe_id), TIMS_FIELD(thing, maybe_at), TIMS_FIELD(thing, ids), TIMS_FIELD(thing, strs),
    TIMS_FIELD(thing, secret, .hidden = true), TIMS_FIELD(thing, word, .write_only = true));

static void a_struct_is_written_by_its_descriptor(void **state)
{
    fixture *f = *state;
    thing t = { .flag = true,
                .number = -7,
                .share = 0.5,
                .text = TIMS_STR_INIT("hi"),
                .at = { 0 },
                .maybe_flag = { true, false },
                .maybe_number = { true, 9 },
                .maybe_share = { true, 1.25 },
                .maybe_text = { true, TIMS_STR_INIT("x") },
                .maybe_at = { .present = true },
                .ids = { (tims_id[]){ { { 1 } } }, 1 },
                .strs = { (tims_str[]){ TIMS_STR_INIT("a"), TIMS_STR_INIT("b") }, 2 },
                .secret = TIMS_STR_INIT("no"),
                .word = TIMS_STR_INIT("no") };
    tims_json_object(&f->w, fields, &t, 0);
    assert_str(
        tims_buf_str(&f->out),
        "{\"flag\":true,\"number\":-7,\"share\":0.5,\"text\":\"hi\","
        "\"id\":\"00000000-0000-0000-0000-000000000000\",\"at\":\"1970-01-01T00:00:00.000000Z\","
        "\"extra\":null,\"maybe_flag\":false,\"maybe_number\":9,\"maybe_share\":1.25,\"maybe_text\":\"x\","
        "\"maybe_id\":null,\"maybe_at\":\"1970-01-01T00:00:00.000000Z\","
        "\"ids\":[\"01000000-0000-0000-0000-000000000000\"],\"strs\":[\"a\",\"b\"]}");
}

static void only_the_chosen_members_are_written(void **state)
{
    fixture *f = *state;
    thing t = { .number = 1, .text = TIMS_STR_INIT("t"), .secret = TIMS_STR_INIT("no") };
    tims_json_object(&f->w, fields, &t,
                     (tims_field_set)1 << 1 | (tims_field_set)1 << 3 | (tims_field_set)1 << 15);
    assert_str(tims_buf_str(&f->out), "{\"number\":1,\"text\":\"t\"}");
}

static void a_full_buffer_overflows_without_harm(void **state)
{
    (void)state;
    for (size_t max = 0; max < 60; max++) {
        tims_buf out;
        tims_buf_init(&out, NULL, max);
        tims_json_writer w = tims_json_to(&out);
        tims_json_begin_array(&w);
        tims_json_id(&w, (tims_id){ { 0 } });
        tims_json_time(&w, (tims_time){ 0 });
        tims_json_str(&w, TIMS_STR("text"));
        tims_json_end_array(&w);
        assert_true(out.overflow);
        assert_true(out.length <= max);
        tims_buf_free(&out);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(commas_stand_between_and_nowhere_else),
        TEST(nesting_goes_to_the_depth_the_reader_takes),
        TEST(strings_are_escaped),
        TEST(every_byte_at_every_place_reads_back),
        TEST(doubles_are_the_shortest_text_that_reads_back),
        TEST(whole_numbers_of_every_length_are_written),
        TEST(what_is_no_number_is_null),
        TEST(a_struct_is_written_by_its_descriptor),
        TEST(only_the_chosen_members_are_written),
        TEST(a_full_buffer_overflows_without_harm),
    };
    return cmocka_run_group_tests_name("json_write", tests, NULL, NULL);
}
