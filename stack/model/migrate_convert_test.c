/* migrate_convert_test.c: a column becomes one of another type, and its values the same ones on both
 * databases. */
#include "model/migrate_testing.h"

typedef struct thing {
    tims_id id;
    union {
        tims_str text;
        tims_opt_str maybe;
    } value;
} thing;

/* One column in two forms; `in` writes a row, `out` reads it as text. */
typedef struct conversion {
    tims_kind from, to;
    uint8_t from_scale, to_scale;
    const char *in, *in_postgres;   /* NULL: the same */
    const char *out, *out_postgres; /* of "value" */
    const char *expected;
} conversion;

#define US "CAST(value AS TEXT)"
#define US_POSTGRES "(extract(epoch FROM value) * 1000000)::bigint::text"
#define AS_TEXT "CAST(value AS TEXT)"

static const conversion rows[] = {
    { TIMS_KIND_INT, TIMS_KIND_STR, 0, 0, "-9223372036854775807", NULL, "value", NULL,
      "-9223372036854775807" },
    { TIMS_KIND_STR, TIMS_KIND_INT, 0, 0, "'9223372036854775807'", NULL, AS_TEXT, NULL,
      "9223372036854775807" },
    { TIMS_KIND_INT, TIMS_KIND_DOUBLE, 0, 0, "4503599627370497", NULL, "CAST(CAST(value AS INTEGER) AS TEXT)",
      "value::bigint::text", "4503599627370497" },
    { TIMS_KIND_DOUBLE, TIMS_KIND_INT, 0, 0, "-2.75", NULL, AS_TEXT, NULL, "-2" },
    { TIMS_KIND_BOOL, TIMS_KIND_INT, 0, 0, "TRUE", NULL, AS_TEXT, NULL, "1" },
    { TIMS_KIND_INT, TIMS_KIND_BOOL, 0, 0, "1", NULL, AS_TEXT, "value::int::text", "1" },
    { TIMS_KIND_BOOL, TIMS_KIND_STR, 0, 0, "TRUE", NULL, "value", NULL, "1" },
    { TIMS_KIND_TIME, TIMS_KIND_INT, 0, 0, "1732390638000001", "'2024-11-23T19:37:18.000001Z'", AS_TEXT, NULL,
      "1732390638000001" },
    { TIMS_KIND_INT, TIMS_KIND_TIME, 0, 0, "1732390638000001", NULL, US, US_POSTGRES, "1732390638000001" },
    { TIMS_KIND_ID, TIMS_KIND_STR, 0, 0, "'" ID("77") "'", NULL, "value", NULL, ID("77") },
    { TIMS_KIND_STR, TIMS_KIND_ID, 0, 0, "'" ID("77") "'", NULL, AS_TEXT, NULL, ID("77") },
    { TIMS_KIND_STR, TIMS_KIND_JSON, 0, 0, "'{\"a\": 1}'", NULL, AS_TEXT, NULL, "{\"a\": 1}" },
    { TIMS_KIND_JSON, TIMS_KIND_STR, 0, 0, "'{\"a\": 1}'", NULL, AS_TEXT, NULL, "{\"a\": 1}" },
    { TIMS_KIND_INT, TIMS_KIND_DECIMAL, 0, 2, "-12", NULL, AS_TEXT, "trunc(value * 100)::text", "-1200" },
    { TIMS_KIND_DECIMAL, TIMS_KIND_INT, 2, 0, "-1275", "-12.75", AS_TEXT, NULL, "-12" },
    { TIMS_KIND_DOUBLE, TIMS_KIND_DECIMAL, 0, 2, "12.34", NULL, AS_TEXT, "trunc(value * 100)::text", "1234" },
    { TIMS_KIND_DECIMAL, TIMS_KIND_DOUBLE, 2, 0, "1250", "12.5", AS_TEXT, NULL, "12.5" },
    { TIMS_KIND_DECIMAL, TIMS_KIND_DECIMAL, 2, 4, "-1275", "-12.75", AS_TEXT, "trunc(value * 10000)::text",
      "-127500" },
    { TIMS_KIND_DECIMAL, TIMS_KIND_DECIMAL, 4, 2, "-127550", "-12.7550", AS_TEXT, "trunc(value * 100)::text",
      "-1276" },
    { TIMS_KIND_DECIMAL, TIMS_KIND_DECIMAL, 3, 0, "999499999999999999", "999499999999999.999", AS_TEXT, NULL,
      "999500000000000" },
};

static tims_model model_of(const tims_field *fields)
{
    return (tims_model){ .name = "thing", .size = sizeof(thing), .fields = { fields, 2 }, .not_live = true };
}

static void check_row(const conversion *row)
{
    void *fresh = NULL;
    assert_int_equal(set_up(&fresh), 0);
    fixture *f = fresh;
    const tims_field before[] = {
        TIMS_FIELD(thing, id, .primary = true),
        { .name = "value", .kind = row->from, .scale = row->from_scale, .offset = offsetof(thing, value) }
    };
    const tims_field after[] = {
        before[0],
        { .name = "value", .kind = row->to, .scale = row->to_scale, .offset = offsetof(thing, value) }
    };
    const tims_model first = model_of(before), second = model_of(after);
    const tims_model *const models_before[] = { &first, NULL }, *const models_after[] = { &second, NULL };
    add_migration(f, models_before);
    must_apply(f);
    const char *in = testing_on_postgres() && row->in_postgres != NULL ? row->in_postgres : row->in;
    run(f, tims_print(f->arena, "INSERT INTO thing (id, value) VALUES ('%s', %s)", ID("01"), in).data);
    add_migration(f, models_after);
    must_apply(f);
    const char *out = testing_on_postgres() && row->out_postgres != NULL ? row->out_postgres : row->out;
    assert_text(f, tims_print(f->arena, "SELECT %s FROM thing", out).data, row->expected);
    tear_down(&fresh);
}

static void values_stay_what_they_are(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(&rows[i]);
}

/* The migration fails, and nothing is lost. */
static void what_cannot_be_converted_is_kept(void **state)
{
    fixture *f = *state;
    const tims_field before[] = {
        TIMS_FIELD(thing, id, .primary = true),
        { .name = "value", .kind = TIMS_KIND_INT, .offset = offsetof(thing, value) }
    };
    const tims_field after[] = {
        before[0],
        { .name = "value", .kind = TIMS_KIND_DECIMAL, .scale = 17, .offset = offsetof(thing, value) }
    };
    const tims_model first = model_of(before), second = model_of(after);
    const tims_model *const models_before[] = { &first, NULL }, *const models_after[] = { &second, NULL };
    add_migration(f, models_before);
    must_apply(f);
    run(f, "INSERT INTO thing (id, value) VALUES ('" ID("01") "', 10)");
    add_migration(f, models_after);
    f->set.allow_destructive = true;
    tims_error err = { 0 };
    assert_int_not_equal(apply(f, &err), TIMS_OK);
    assert_text(f, "SELECT value FROM thing", "10");
}

static void what_means_nothing_is_refused(void **state)
{
    fixture *f = *state;
    static const tims_kind pairs[][2] = { { TIMS_KIND_DECIMAL, TIMS_KIND_STR },
                                          { TIMS_KIND_TIME, TIMS_KIND_DECIMAL },
                                          { TIMS_KIND_BYTES, TIMS_KIND_STR },
                                          { TIMS_KIND_STR, TIMS_KIND_BYTES } };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        tims_field fields[] = { TIMS_FIELD(thing, id, .primary = true),
                                { .name = "value", .kind = pairs[i][0], .offset = offsetof(thing, value) } };
        const tims_model model = model_of(fields);
        const tims_model *const models[] = { &model, NULL };
        tims_str snapshot = tims_migrate_snapshot(f->arena, models);
        fields[1].kind = pairs[i][1];
        tims_migration_plan plan;
        tims_error err = { 0 };
        assert_int_equal(tims_migrate_plan(f->arena, snapshot, models, TIMS_SQLITE, &plan, &err),
                         TIMS_INVALID);
        assert_non_null(strstr(err.message, "thing.value cannot become"));
    }
}

static void defaults_of_every_kind_read_back(void **state)
{
    (void)state;
    static const struct {
        tims_kind kind;
        uint8_t scale;
        const char *value;
    } kinds[] = {
        { TIMS_KIND_BOOL, 0, "true" },
        { TIMS_KIND_INT, 0, "-9223372036854775807" },
        { TIMS_KIND_DOUBLE, 0, "-1.5e300" },
        { TIMS_KIND_DOUBLE, 0, "0.1" },
        { TIMS_KIND_STR, 0, "it's \\ \xc3\xa4 \"x\"\n" },
        { TIMS_KIND_STR, 0, "" },
        { TIMS_KIND_ID, 0, ID("01") },
        { TIMS_KIND_TIME, 0, "1901-02-03T04:05:06.000007Z" },
        { TIMS_KIND_JSON, 0, "{\"a\":[1,null]}" },
        { TIMS_KIND_DECIMAL, 2, "-12.50" },
        { TIMS_KIND_DECIMAL, 18, "0.000000000000000001" },
        { TIMS_KIND_DECIMAL, 0, "7" },
        { TIMS_KIND_BYTES, 0, "AP8n" },
        { TIMS_KIND_OPT_BYTES, 0, "" },
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        void *fresh = NULL;
        assert_int_equal(set_up(&fresh), 0);
        fixture *f = fresh;
        const tims_field fields[] = { TIMS_FIELD(thing, id, .primary = true),
                                      { .name = "value",
                                        .kind = kinds[i].kind,
                                        .scale = kinds[i].scale,
                                        .default_value = kinds[i].value,
                                        .offset = offsetof(thing, value) } };
        const tims_model model = model_of(fields);
        const tims_model *const models[] = { &model, NULL };
        add_migration(f, models);
        must_apply(f); /* and compares the database with the snapshot */
        run(f, "INSERT INTO thing (id) VALUES ('" ID("01") "')");
        tear_down(&fresh);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_stay_what_they_are),
        TEST(what_cannot_be_converted_is_kept),
        TEST(what_means_nothing_is_refused),
        cmocka_unit_test(defaults_of_every_kind_read_back),
    };
    return cmocka_run_group_tests_name("migrate_convert", tests, NULL, NULL);
}
