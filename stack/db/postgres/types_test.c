/* types_test.c: every type that a column of the stack can have, to its extremes; what is refused, and how. */
#include <float.h>
#include <math.h>

#include "db/postgres/postgres_testing.h"

typedef struct typed {
    fixture *f;
    tims_arena *arena;
    tims_db_session *session;
} typed;

static int set_up_session(void **state)
{
    typed *t = calloc(1, sizeof *t);
    void *f = NULL;
    (void)set_up(&f);
    t->f = f;
    open_with(t->f, "", (tims_db_options){ 0 });
    t->arena = tims_arena_new(1 << 24, NULL, NULL);
    t->session = tims_db_session_new(t->f->db, NULL, t->arena);
    *state = t;
    return 0;
}

static int tear_down_session(void **state)
{
    typed *t = *state;
    void *f = t->f;
    tims_arena_free(&t->arena);
    (void)tear_down(&f);
    free(t);
    return 0;
}

/* The value as a column of `type`, written and read back; rows to be ended. */
static tims_status send(typed *t, const char *type, tims_db_value value, tims_db_rows **ret_rows,
                        tims_error *err)
{
    char sql[128];
    tims_status status;
    *err = (tims_error){ 0 };
    tims_str drop = S("DROP TABLE IF EXISTS v");
    assert_int_equal(tims_db_run(t->session, drop, NULL, 0, NULL, err), TIMS_OK);
    (void)snprintf(sql, sizeof sql, "CREATE TABLE v (v %s)", type);
    assert_int_equal(run(t->session, sql, err), TIMS_OK);
    (void)snprintf(sql, sizeof sql, "INSERT INTO v VALUES (?1) -- %s", type);
    status = tims_db_run(t->session, tims_str_from(sql), &value, 1, NULL, err);
    if (status != TIMS_OK)
        return status;
    assert_int_equal(tims_db_query(t->session, S("SELECT v FROM v"), NULL, 0, ret_rows, err), TIMS_OK);
    assert_true(tims_db_next(*ret_rows));
    return TIMS_OK;
}

static tims_db_rows *round_trip(typed *t, const char *type, tims_db_value value)
{
    tims_db_rows *rows = NULL;
    tims_error err;
    if (send(t, type, value, &rows, &err) != TIMS_OK)
        fail_msg("%s: %s (%s)", type, err.message, err.detail);
    return rows;
}

static void end(tims_db_rows *rows)
{
    assert_int_equal(tims_db_rows_end(&rows, NULL), TIMS_OK);
}

static void check_int(typed *t, const char *type, int64_t value)
{
    tims_db_rows *rows = round_trip(t, type, tims_db_int(value));
    if (tims_db_get_int(rows, 0) != value)
        fail_msg("%s: %lld came back as %lld", type, (long long)value, (long long)tims_db_get_int(rows, 0));
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    assert_true(tims_str_equal(tims_db_get_text(rows, 0), tims_str_from(text)));
    end(rows);
}

static void whole_numbers_and_times_keep_every_digit(void **state)
{
    typed *t = *state;
    const int64_t all[] = { INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        check_int(t, "bigint", all[i]);
        check_int(t, "numeric(24, 0)", all[i]);
    }
    check_int(t, "integer", INT32_MIN);
    check_int(t, "smallint", INT16_MAX);
    check_int(t, "boolean", 0);
    check_int(t, "boolean", 1);
    /* 0001-01-01, 1969, 1970, 2000, 9999-12-31T23:59:59.999999 */
    const int64_t times[] = {
        -62135596800000000, -1, 0, 946684799999999, 946684800000000, 253402300799999999
    };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        check_int(t, "timestamptz", times[i]);
}

static void check_refused(typed *t, const char *type, tims_db_value value, tims_status status)
{
    tims_db_rows *rows = NULL;
    tims_error err;
    if (send(t, type, value, &rows, &err) != status)
        fail_msg("%s: %s (%s)", type, err.message, err.detail);
    assert_null(strstr(err.detail, "hello"));
    assert_null(strstr(err.message, "hello"));
}

static void what_does_not_fit_is_refused_without_being_repeated(void **state)
{
    typed *t = *state;
    check_refused(t, "integer", tims_db_int(INT64_MAX), TIMS_CONFLICT);
    check_refused(t, "smallint", tims_db_int(40000), TIMS_CONFLICT);
    check_refused(t, "timestamptz", tims_db_int(INT64_MIN), TIMS_CONFLICT);
    check_refused(t, "numeric(6, 2)", tims_db_decimal(1234567, 2), TIMS_CONFLICT);
    check_refused(t, "uuid", tims_db_text(S("hello")), TIMS_CONFLICT);
    check_refused(t, "bigint", tims_db_text(S("hello")), TIMS_CONFLICT);
    check_refused(t, "json", tims_db_text(S("{hello")), TIMS_CONFLICT);
    check_refused(t, "uuid", tims_db_int(1), TIMS_CONFLICT);
    check_refused(t, "text", tims_db_text((tims_str){ "hel\0lo", 6 }), TIMS_INVALID);
    check_refused(t, "text", tims_db_text((tims_str){ "hello\xff", 6 }), TIMS_CONFLICT);
    check_refused(t, "varchar(3)", tims_db_text(S("hello")), TIMS_CONFLICT);
}

static void doubles_keep_every_bit(void **state)
{
    typed *t = *state;
    const double all[] = { 0,        -0.0,     0.1, -1.5, DBL_MAX, DBL_MIN, 5e-324, 1e308, 12345.678901234567,
                           INFINITY, -INFINITY };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        tims_db_rows *rows = round_trip(t, "double precision", tims_db_double(all[i]));
        double back = tims_db_get_double(rows, 0);
        assert_memory_equal(&back, &all[i], sizeof back);
        assert_true(strtod(tims_db_get_text(rows, 0).data, NULL) == all[i]);
        end(rows);
    }
    tims_db_rows *rows = round_trip(t, "double precision", tims_db_double(NAN));
    assert_true(isnan(tims_db_get_double(rows, 0)));
    end(rows);
}

static void decimals_are_counted_in_their_units(void **state)
{
    typed *t = *state;
    static const struct {
        const char *type;
        int64_t units;
        uint8_t scale;
        const char *text;
    } all[] = {
        { "numeric(20, 2)", 1250, 2, "12.50" },
        { "numeric(20, 2)", -1, 2, "-0.01" },
        { "numeric(20, 2)", 0, 2, "0.00" },
        { "numeric(30, 0)", INT64_MAX, 0, "9223372036854775807" },
        { "numeric(30, 4)", INT64_MIN, 4, "-922337203685477.5808" },
        { "numeric(30, 18)", 1, 18, "0.000000000000000001" },
        { "numeric(30, 5)", 1200000, 5, "12.00000" },
        { "numeric(30, 3)", 10000000, 3, "10000.000" },
        { "numeric", 100000001, 4, "10000.0001" },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        tims_db_rows *rows = round_trip(t, all[i].type, tims_db_decimal(all[i].units, all[i].scale));
        assert_true(tims_db_get_decimal(rows, 0, all[i].scale) == all[i].units);
        if (!tims_str_equal(tims_db_get_text(rows, 0), tims_str_from(all[i].text)))
            fail_msg("%s as %.*s", all[i].text, TIMS_PRINT(tims_db_get_text(rows, 0)));
        assert_true(fabs(tims_db_get_double(rows, 0) - strtod(all[i].text, NULL)) <=
                    fabs(strtod(all[i].text, NULL)) * 1e-15);
        end(rows);
    }
    tims_db_rows *rows = round_trip(t, "numeric", tims_db_decimal(12345, 3)); /* 12.345 */
    assert_true(tims_db_get_decimal(rows, 0, 2) == 1235);
    assert_true(tims_db_get_decimal(rows, 0, 1) == 123);
    assert_true(tims_db_get_int(rows, 0) == 12);
    end(rows);
    rows = round_trip(t, "numeric", tims_db_decimal(-12345, 3));
    assert_true(tims_db_get_decimal(rows, 0, 2) == -1235); /* half away from zero */
    end(rows);
    rows = round_trip(t, "bigint", tims_db_int(12));
    assert_true(tims_db_get_decimal(rows, 0, 2) == 1200);
    end(rows);
    assert_int_equal(number(t->session, "SELECT sum(x) FROM (VALUES (1::bigint), (41)) AS y (x)"), 42);
}

static void ids_are_sixteen_bytes_there_and_text_here(void **state)
{
    typed *t = *state;
    tims_id id = tims_id_from_parts(1700000000000, (const uint8_t[10]){ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 });
    char text[TIMS_ID_TEXT_LENGTH];
    tims_id_format(id, text);
    static const char *const types[] = { "uuid", "text" };
    for (size_t i = 0; i < 4; i++) {
        tims_db_value value = i < 2 ? tims_db_id(id) : tims_db_text((tims_str){ text, sizeof text });
        tims_db_rows *rows = round_trip(t, types[i % 2], value);
        assert_true(tims_same_id(tims_db_get_id(rows, 0), id));
        assert_true(tims_str_equal(tims_db_get_text(rows, 0), (tims_str){ text, sizeof text }));
        end(rows);
    }
    tims_db_rows *rows = NULL;
    tims_error err = { 0 };
    tims_str two = S("SELECT gen_random_uuid() AS a, gen_random_uuid() AS b");
    assert_int_equal(tims_db_query(t->session, two, NULL, 0, &rows, &err), TIMS_OK);
    assert_true(tims_db_next(rows));
    tims_str a = tims_db_get_text(rows, 0), b = tims_db_get_text(rows, 1);
    assert_int_equal(a.length, 36);
    assert_false(tims_str_equal(a, b)); /* beside each other */
    end(rows);
}

static void texts_and_bytes_come_back_as_they_were(void **state)
{
    typed *t = *state;
    static const tims_str texts[] = { TIMS_STR_INIT(""), TIMS_STR_INIT("plain"),
                                      TIMS_STR_INIT("\xf0\x9f\x8e\xb2 Ünïcode 'quoted' \\ \"x\" \t\n"),
                                      TIMS_STR_INIT("\xef\xbf\xbf\xf4\x8f\xbf\xbf") };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tims_db_rows *rows = round_trip(t, "text", tims_db_text(texts[i]));
        assert_true(tims_str_equal(tims_db_get_text(rows, 0), texts[i]));
        assert_false(tims_db_is_null(rows, 0));
        end(rows);
    }
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    tims_db_rows *rows = round_trip(t, "bytea", tims_db_blob((tims_str){ all, 256 }));
    assert_true(tims_str_equal(tims_db_get_text(rows, 0), (tims_str){ all, 256 }));
    end(rows);
    static const char json[] = "{\"b\" : 1,  \"a\":[1, 2.50]}"; /* as written */
    rows = round_trip(t, "json", tims_db_text(tims_str_from(json)));
    assert_true(tims_str_equal(tims_db_get_text(rows, 0), tims_str_from(json)));
    end(rows);
    rows = round_trip(t, "jsonb", tims_db_text(tims_str_from(json)));
    assert_true(tims_str_equal(tims_db_get_text(rows, 0), S("{\"a\": [1, 2.50], \"b\": 1}")));
    end(rows);
}

static void a_large_text_goes_through_in_both_directions(void **state)
{
    typed *t = *state;
    size_t length = 20 << 20;
    char *large = malloc(length);
    assert_non_null(large);
    for (size_t i = 0; i < length; i++)
        large[i] = (char)('a' + i % 23);
    tims_db_rows *rows = round_trip(t, "text", tims_db_text((tims_str){ large, length }));
    assert_true(tims_str_equal(tims_db_get_text(rows, 0), (tims_str){ large, length }));
    end(rows);
    free(large);
}

static void null_is_null_in_every_type(void **state)
{
    typed *t = *state;
    static const char *const types[] = { "bigint",           "text", "uuid",  "boolean", "timestamptz",
                                         "double precision", "json", "bytea", "numeric", "integer" };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        tims_db_rows *rows = round_trip(t, types[i], tims_db_null());
        assert_true(tims_db_is_null(rows, 0));
        assert_int_equal(tims_db_get_int(rows, 0), 0);
        assert_int_equal(tims_db_get_text(rows, 0).length, 0);
        assert_true(tims_id_is_zero(tims_db_get_id(rows, 0)));
        end(rows);
    }
}

/* As when a migration runs on another node. */
static void a_column_that_gets_another_type_is_noticed(void **state)
{
    typed *t = *state;
    static const char *const types[] = { "bigint", "boolean", "timestamptz", "double precision" };
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
            tims_error err = { 0 };
            tims_db_value value = tims_db_int(1);
            char sql[128];
            (void)snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS v; CREATE TABLE v (v %s)", types[i]);
            assert_int_equal(tims_db_script(t->session, tims_str_from(sql), &err), TIMS_OK);
            if (tims_db_run(t->session, S("INSERT INTO v VALUES (?1)"), &value, 1, NULL, &err) != TIMS_OK)
                fail_msg("%s: %s (%s)", types[i], err.message, err.detail);
            tims_db_rows *rows = NULL;
            tims_str select = S("SELECT v FROM v WHERE v = ?1");
            assert_int_equal(tims_db_query(t->session, select, &value, 1, &rows, &err), TIMS_OK);
            assert_true(tims_db_next(rows));
            assert_int_equal(tims_db_get_int(rows, 0), 1);
            end(rows);
        }
}

static void placeholders_are_found_where_there_is_code(void **state)
{
    typed *t = *state;
    static const struct {
        const char *sql, *text;
    } all[] = {
        { "SELECT ?1, ?12", "SELECT $1, $12" },
        { "SELECT '?1', ?1", "SELECT '?1', $1" },
        { "SELECT 'it''s ?1', ?1", "SELECT 'it''s ?1', $1" },
        { "SELECT E'\\'?1', ?1", "SELECT E'\\'?1', $1" },
        { "SELECT \"a?1\", ?1", "SELECT \"a?1\", $1" },
        { "SELECT 1 -- ?1\n, ?1", "SELECT 1 -- ?1\n, $1" },
        { "SELECT /* ?1 /* ?2 */ ?3 */ ?1", "SELECT /* ?1 /* ?2 */ ?3 */ $1" },
        { "SELECT $$?1$$, $a$?1 $$ ?2$a$, ?1", "SELECT $$?1$$, $a$?1 $$ ?2$a$, $1" },
        { "SELECT a ? 'b', a ?| ?1", "SELECT a ? 'b', a ?| $1" },
        { "SELECT '?1", "SELECT '?1" },
        { "SELECT $?1, x?1, x$?1", "SELECT $?1, x?1, x$?1" },
        { "SELECT $1 FROM x$y$ WHERE ?1", "SELECT $1 FROM x$y$ WHERE $1" },
    };
    (void)t;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char *text = postgres__placeholders(tims_str_from(all[i].sql));
        assert_string_equal(text, all[i].text);
        free(text);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_session, tear_down_session)
    const struct CMUnitTest tests[] = {
        TEST(whole_numbers_and_times_keep_every_digit),
        TEST(what_does_not_fit_is_refused_without_being_repeated),
        TEST(doubles_keep_every_bit),
        TEST(decimals_are_counted_in_their_units),
        TEST(ids_are_sixteen_bytes_there_and_text_here),
        TEST(texts_and_bytes_come_back_as_they_were),
        TEST(a_large_text_goes_through_in_both_directions),
        TEST(null_is_null_in_every_type),
        TEST(a_column_that_gets_another_type_is_noticed),
        TEST(placeholders_are_found_where_there_is_code),
    };
    return cmocka_run_group_tests_name("types", tests, NULL, NULL);
}
