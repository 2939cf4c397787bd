/* query_sql_test: the statements that queries become, and what is refused before one is made. */
#include "model/testing.h"

/* --- the SQL itself --------------------------------------------------------------------------- */

static tims_str sql_of(world *w, const tims_query *query)
{
    tims_sql sql;
    tims_query_sql(w->arena, TIMS_SQLITE, query, &sql);
    return sql.text;
}

static void asks_the_rule_once_where_the_filter_fixes_its_column(void **state)
{
    world *w = *state;
    tims_query query;
    tims_error err = { 0 };
    tims_id id = tims_id_new();
    tims_query_init(&query, &note_model, user(id));
    query.fields = 8;
    assert_str(sql_of(w, &query), "SELECT t0.\"text\" FROM \"note\" t0 WHERE t0.\"room\" IN (SELECT "
                                  "t1.\"room\" FROM \"member\" t1 WHERE "
                                  "t1.\"user\" = ?1) ORDER BY t0.\"at\" DESC,t0.\"id\" DESC");
    assert_ok(tims_query_where(w->arena, &query, TIMS_STR("room"), TIMS_EQUAL, tims_print(w->arena, "%I", id),
                               &err),
              &err);
    assert_str(
        sql_of(w, &query),
        "SELECT t0.\"text\" FROM \"note\" t0 WHERE t0.\"room\" = ?1 AND EXISTS (SELECT 1 FROM \"member\" t1 "
        "WHERE t1.\"room\" = ?1 AND t1.\"user\" = ?2) ORDER BY t0.\"at\" DESC,t0.\"id\" DESC");
    query.caller = (tims_caller){ 0 };
    assert_str(sql_of(w, &query), "SELECT t0.\"text\" FROM \"note\" t0 WHERE FALSE");
}

static void values_never_become_text_of_the_statement(void **state)
{
    world *w = *state;
    tims_query a, b;
    tims_error err = { 0 };
    tims_query_init(&a, &note_model, (tims_caller){ .trusted = true });
    b = a;
    assert_ok(tims_query_where(w->arena, &a, TIMS_STR("text"), TIMS_CONTAINS, TIMS_STR("' OR 1=1 --"), &err),
              &err);
    assert_ok(tims_query_where(w->arena, &b, TIMS_STR("text"), TIMS_CONTAINS, TIMS_STR("x"), &err), &err);
    assert_true(tims_str_equal(sql_of(w, &a), sql_of(w, &b)));
}

/* --- what is refused -------------------------------------------------------------------------- */

typedef struct bad {
    const char *field;
    tims_operator operator;
    const char *text;
} bad;

static void what_cannot_be_compared_is_refused(void **state)
{
    world *w = *state;
    static const bad table[] = {
        { "nothing", TIMS_EQUAL, "1" },
        { "text; DROP TABLE note", TIMS_EQUAL, "1" },
        { "\"text\"", TIMS_EQUAL, "1" },
        { "", TIMS_EQUAL, "1" },
        { "number", TIMS_EQUAL, "" },
        { "number", TIMS_EQUAL, "1 OR 1=1" },
        { "number", TIMS_EQUAL, "99999999999999999999" },
        { "number", TIMS_IN, "1,,2" },
        { "number", TIMS_CONTAINS, "1" },
        { "ratio", TIMS_EQUAL, "nan" },
        { "ratio", TIMS_EQUAL, "1e999" },
        { "done", TIMS_LESS, "true" },
        { "done", TIMS_EQUAL, "yes" },
        { "at", TIMS_EQUAL, "yesterday" },
        { "room", TIMS_EQUAL, "1" },
        { "room", TIMS_STARTS_WITH, "1" },
        { "room", TIMS_IS_NULL, "maybe" },
        { "extra", TIMS_EQUAL, "{}" },
        { "text", TIMS_EQUAL, "\xff" },
    };
    tims_query query;
    tims_query_init(&query, &note_model, (tims_caller){ .trusted = true });
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        tims_error err = { 0 };
        tims_status status = tims_query_where(w->arena, &query, tims_str_from(table[i].field),
                                              table[i].operator, tims_str_from(table[i].text), &err);
        if (status != TIMS_INVALID || err.message[0] == '\0')
            fail_msg("%s %s: %s", table[i].field, table[i].text, tims_status_name(status));
    }
    assert_int_equal(query.condition_count, 0);
}

static void sizes_from_outside_are_bounded(void **state)
{
    world *w = *state;
    tims_query query;
    tims_error err = { 0 };
    tims_query_init(&query, &note_model, (tims_caller){ 0 });
    char *many = tims_alloc(w->arena, 5000);
    memset(many, 'a', 4999);
    assert_int_equal(
        tims_query_where(w->arena, &query, TIMS_STR("text"), TIMS_CONTAINS, tims_str_from(many), &err),
        TIMS_INVALID);
    assert_int_equal(tims_query_search(&query, tims_str_from(many), &err), TIMS_INVALID);
    assert_int_equal(tims_query_search(&query, TIMS_STR("a b c d e f g h i"), &err), TIMS_INVALID);
    memset(many, ',', 200);
    assert_int_equal(tims_query_where(w->arena, &query, TIMS_STR("text"), TIMS_IN,
                                      tims_str_slice(tims_str_from(many), 0, 200), &err),
                     TIMS_INVALID);
    for (int i = 0; i < TIMS_CONDITIONS_MAX; i++)
        assert_ok(tims_query_where(w->arena, &query, TIMS_STR("number"), TIMS_EQUAL, TIMS_STR("1"), &err),
                  &err);
    assert_int_equal(tims_query_where(w->arena, &query, TIMS_STR("number"), TIMS_EQUAL, TIMS_STR("1"), &err),
                     TIMS_INVALID);
    assert_int_equal(tims_query_order(&query, TIMS_STR("text,number,at,done,liked"), &err), TIMS_INVALID);
    assert_int_equal(tims_query_order(&query, TIMS_STR("text,-text"), &err), TIMS_INVALID);
    assert_int_equal(tims_query_order(&query, TIMS_STR("nothing"), &err), TIMS_INVALID);
    assert_int_equal(tims_query_order(&query, TIMS_STR("extra"), &err), TIMS_INVALID);
}

static void filters_read_like_urls(void **state)
{
    world *w = *state;
    tims_query query;
    tims_error err = { 0 };
    tims_query_init(&query, &note_model, (tims_caller){ .trusted = true });
    assert_ok(tims_query_filter(
                  w->arena, &query,
                  TIMS_STR("text__contains=a%26b&number__gte=3&order=number&limit=7&subject__isnull=true"),
                  &err),
              &err);
    assert_int_equal(query.condition_count, 3);
    assert_str(query.conditions[0].value.bytes, "a&b");
    assert_int_equal(query.conditions[1].operator, TIMS_GREATER_OR_EQUAL);
    assert_int_equal(query.limit, 7);
    assert_int_equal(query.order_count, 2);
    static const char *const wrong[] = { "limit=0",   "limit=x", "text__like=1",
                                         "nothing=1", "order=,", "a__b__c=1" };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_not_equal(tims_query_filter(w->arena, &query, tims_str_from(wrong[i]), &err), TIMS_OK);
}

/* PostgreSQL keeps no junk there. */
static void junk_in_an_id_column_stays_valid_json(void **state)
{
    world *w = *state;
    tims_error err = { 0 };
    tims_status status =
        tims_db_script(w->session,
                       TIMS_STR("INSERT INTO person VALUES ('0123456789\"1234567890123456789012345\\', 'x');"
                                "INSERT INTO person VALUES ('short\x01', 'y')"),
                       &err);
    if (testing_on_postgres()) {
        assert_int_equal(status, TIMS_CONFLICT);
        return;
    }
    assert_ok(status, &err);
    tims_query query;
    tims_query_init(&query, &person_model, (tims_caller){ .trusted = true });
    tims_buf out;
    tims_buf_init(&out, w->arena, 4096);
    tims_json_writer writer = tims_json_to(&out);
    size_t rows;
    tims_json_begin_array(&writer);
    assert_ok(tims_query_write(w->session, w->arena, &query, &writer, &rows, NULL, &err), &err);
    tims_json_end_array(&writer);
    assert_str(tims_buf_str(&out), "[{\"id\":\"0123456789\\\"1234567890123456789012345\\\\\",\"name\":\"x\"},"
                                   "{\"id\":\"short\\u0001\",\"name\":\"y\"}]");
}

static void an_answer_past_its_maximum_is_an_error(void **state)
{
    world *w = *state;
    insert(w, &person_model, &(person){ .name = TIMS_STR("somebody with a name") });
    tims_query query;
    tims_query_init(&query, &person_model, (tims_caller){ .trusted = true });
    tims_buf out;
    tims_buf_init(&out, w->arena, 40);
    tims_json_writer writer = tims_json_to(&out);
    tims_error err = { 0 };
    size_t rows;
    assert_int_equal(tims_query_write(w->session, w->arena, &query, &writer, &rows, NULL, &err),
                     TIMS_TOO_LARGE);
}

static void a_count_keeps_its_values_where_no_row_can_be_meant(void **state)
{
    world *w = *state;
    tims_query query;
    tims_error err = { 0 };
    tims_query_init(&query, &note_model, (tims_caller){ 0 });
    assert_ok(tims_query_where(w->arena, &query, TIMS_STR("room"), TIMS_EQUAL,
                               tims_print(w->arena, "%I", tims_id_new()), &err),
              &err);
    tims_buf out;
    tims_buf_init(&out, w->arena, 4096);
    tims_json_writer writer = tims_json_to(&out);
    tims_written written;
    tims_json_begin_array(&writer);
    assert_ok(tims_query_write_page(w->session, w->arena, &query, &(tims_write_options){ .count = true },
                                    &writer, &written, &err),
              &err);
    assert_int_equal(written.rows, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(asks_the_rule_once_where_the_filter_fixes_its_column),
        TEST(values_never_become_text_of_the_statement),
        TEST(what_cannot_be_compared_is_refused),
        TEST(sizes_from_outside_are_bounded),
        TEST(filters_read_like_urls),
        TEST(junk_in_an_id_column_stays_valid_json),
        TEST(an_answer_past_its_maximum_is_an_error),
        TEST(a_count_keeps_its_values_where_no_row_can_be_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
