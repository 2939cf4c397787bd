/* json_exact_test: decimals and bytes, in JSON and in text. */
#include "base/testing.h"
#include "tims/json.h"

typedef struct thing {
    tims_decimal price, whole;
    tims_opt_decimal discount;
    tims_bytes key;
    tims_opt_bytes seal;
} thing;

static const tims_fields fields =
    TIMS_FIELDS(TIMS_FIELD(thing, price, .scale = 2, .min = -10, .max = 1000, .default_value = "9.90"),
                TIMS_FIELD(thing, whole), TIMS_FIELD(thing, discount, .scale = 4),
                TIMS_FIELD(thing, key, .min_length = 2, .max_length = 4, .default_value = "AAEC"),
                TIMS_FIELD(thing, seal));

typedef struct fixture {
    tims_arena *arena;
    thing bound;
    tims_error err;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    f = (fixture){ .arena = tims_arena_new(1 << 20, NULL, NULL) };
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    tims_arena_free(&((fixture *)*state)->arena);
    return 0;
}

static tims_status bind(fixture *f, const char *text)
{
    const tims_json *body;
    f->bound = (thing){ 0 };
    f->err = (tims_error){ 0 };
    assert_int_equal(tims_json_parse(f->arena, tims_str_from(text), &body, &f->err), TIMS_OK);
    return tims_json_bind(f->arena, body, fields, TIMS_BIND_CREATE, &f->bound, NULL, &f->err);
}

static tims_str written(fixture *f)
{
    tims_buf out;
    tims_buf_init(&out, f->arena, 4096);
    tims_json_writer writer = tims_json_to(&out);
    tims_json_object(&writer, fields, &f->bound, 0);
    return tims_buf_str(&out);
}

static void what_is_read_is_written(void **state)
{
    fixture *f = *state;
    static const char *rows[][2] = {
        { "{}", "{\"price\":\"9.90\",\"whole\":\"0\",\"discount\":null,\"key\":\"AAEC\",\"seal\":null}" },
        { "{\"price\":\"-0.05\",\"whole\":\"999999999999999999\",\"discount\":\"0.1234\",\"key\":\"//8=\","
          "\"seal\":\"\"}",
          "{\"price\":\"-0.05\",\"whole\":\"999999999999999999\",\"discount\":\"0.1234\",\"key\":\"//8=\","
          "\"seal\":\"\"}" },
        { "{\"price\":12.34,\"whole\":7,\"discount\":0.1,\"seal\":\"AA==\"}",
          "{\"price\":\"12.34\",\"whole\":\"7\",\"discount\":\"0.1000\",\"key\":\"AAEC\",\"seal\":\"AA=="
          "\"}" },
        { "{\"price\":1e2,\"discount\":1e-4,\"whole\":9007199254740993}",
          "{\"price\":\"100.00\",\"whole\":\"9007199254740993\",\"discount\":\"0.0001\",\"key\":\"AAEC\","
          "\"seal\":null}" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (bind(f, rows[i][0]) != TIMS_OK)
            fail_msg("%s: %s", rows[i][0], f->err.message);
        assert_str(written(f), rows[i][1]);
    }
}

static void what_is_wrong_is_told(void **state)
{
    fixture *f = *state;
    static const char *rows[][2] = {
        { "{\"price\":\"x\"}", "type" },
        { "{\"price\":true}", "type" },
        { "{\"price\":null}", "null" },
        { "{\"price\":\"1e2\"}", "type" },
        { "{\"price\":\"1.234\"}", "scale" },
        { "{\"price\":1.234}", "scale" },
        { "{\"price\":\"10000000000000000\"}", "range" },
        { "{\"price\":\"1000.01\"}", "max" },
        { "{\"price\":\"-10.01\"}", "min" },
        { "{\"whole\":1.5}", "scale" },
        { "{\"whole\":1e17}", "type" },
        { "{\"whole\":-9223372036854775808}", "range" },
        { "{\"discount\":\"0.00001\"}", "scale" },
        { "{\"key\":\"AAE\"}", "base64" },
        { "{\"key\":7}", "type" },
        { "{\"key\":\"AA==\"}", "min_length" },
        { "{\"key\":\"AAECAwQ=\"}", "max_length" },
        { "{\"key\":null}", "null" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(bind(f, rows[i][0]), TIMS_INVALID);
        assert_non_null(f->err.fields);
        if (strcmp(f->err.fields->code, rows[i][1]) != 0)
            fail_msg("%s: %s", rows[i][0], f->err.fields->code);
    }
}

static void text_is_bound_by_the_same_rules(void **state)
{
    fixture *f = *state;
    static const char *rows[][3] = {
        { "price", "12.5", "" },    { "price", "12.345", "scale" }, { "price", "", "type" },
        { "discount", "-1", "" },   { "key", "AAEC", "" },          { "key", "AAE", "base64" },
        { "seal", "AAECAwQ=", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tims_error err = { 0 };
        const tims_field *field = tims_field_find(fields, tims_str_from(rows[i][0]));
        tims_status status = tims_bind_text(f->arena, field, tims_str_from(rows[i][1]), &f->bound, &err);
        assert_string_equal(status == TIMS_OK ? "" : err.fields->code, rows[i][2]);
    }
    assert_int_equal(f->bound.price.units, 1250);
    assert_int_equal(f->bound.discount.value.units, -10000);
    assert_int_equal(f->bound.key.data.length, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_read_is_written),
        TEST(what_is_wrong_is_told),
        TEST(text_is_bound_by_the_same_rules),
    };
    return cmocka_run_group_tests_name("json_exact", tests, NULL, NULL);
}
