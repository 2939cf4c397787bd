/* change_test.c: the change log, whoever the writer is. */
#include "model/migrate_testing.h"

/* --- the change log ---------------------------------------------------------------------------------- */

static int64_t position(fixture *f)
{
    int64_t value = -1;
    tims_error err = { 0 };
    assert_int_equal(tims_position(f->session, &value, &err), TIMS_OK);
    return value;
}

/* The last `count` log rows, oldest first: op and row of each. */
static void assert_last(fixture *f, int count, const char *expected)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql,
                   "SELECT %s FROM (SELECT * FROM (SELECT * FROM tims_change ORDER BY id DESC LIMIT %d) tail "
                   "ORDER BY id) last",
                   by_database("group_concat(op || row)", "string_agg(op || \"row\", ',' ORDER BY id)"),
                   count);
    assert_text(f, sql, expected);
}

static void every_writers_changes_are_logged_with_the_old_keys(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    assert_text(f, "SELECT count(*) FROM tims_change", "3");
    run(f, "UPDATE book SET pages = 11 WHERE id = '" ID("b1") "'");
    assert_text(f, "SELECT replace(old, ' ', '') FROM tims_change ORDER BY id DESC LIMIT 1",
                "{\"author\":\"" ID("a1") "\"}");
    assert_last(f, 1, "2" ID("b1"));
    run(f, "UPDATE book SET id = '" ID("b9") "' WHERE id = '" ID("b1") "'");
    assert_text(f, "SELECT count(*) FROM tims_change", "6"); /* one row went, another came */
    run(f, "DELETE FROM author");                            /* and, by the cascade, the books */
    assert_text(
        f,
        by_database("SELECT group_concat(model || op || row) FROM (SELECT * FROM tims_change WHERE id "
                    "> 6 ORDER BY model, row)",
                    "SELECT string_agg(model || op || \"row\", ',' ORDER BY model, \"row\") FROM "
                    "tims_change WHERE id > 6"),
        "author3" ID("a1") ",book3" ID("b2") ",book3" ID("b9"));
    assert_text(f, "SELECT replace(old, ' ', '') FROM tims_change WHERE model = 'author' AND op = 3",
                "{\"name\":\"Ann\"}");
}

static void a_replaced_row_goes_and_comes(void **state)
{
    fixture *f = *state;
    if (testing_on_postgres()) /* has no such words; the conflict is an update there */
        return;
    begin_with_rows(f);
    run(f, "INSERT OR REPLACE INTO book (id, author, title, pages) VALUES ('" ID("b1") "', '" ID(
               "a1") "', 'New', 1)");
    assert_last(f, 2, "3" ID("b1") ",1" ID("b1"));
}

static void the_position_is_the_last_row_even_when_the_log_is_cut(void **state)
{
    fixture *f = *state;
    if (testing_on_postgres()) /* a position is a snapshot there: change_log_test.c */
        return;
    begin_with_rows(f);
    assert_int_equal(position(f), 3);
    tims_error err = { 0 };
    assert_int_equal(tims_db_begin(f->session, &err), TIMS_OK);
    run(f, "INSERT INTO author (id, name) VALUES ('" ID("a2") "', 'Bob')");
    assert_int_equal(position(f), 4);
    tims_db_rollback(f->session);
    assert_int_equal(position(f), 3);
    run(f, "DELETE FROM tims_change");
    assert_int_equal(position(f), 3);
}

static void the_databases_own_program_is_a_writer_like_any_other(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    assert_int_equal(
        testing_database_shell(&f->database, "UPDATE book SET title = 'Changed' WHERE id = '" ID("b2") "'"),
        0);
    assert_last(f, 1, "2" ID("b2"));
}

static void the_epoch_is_kept_until_the_schema_changes(void **state)
{
    fixture *f = *state;
    tims_str first, second;
    tims_error err = { 0 };
    assert_int_not_equal(tims_epoch(f->session, f->arena, &first, &err), TIMS_OK);
    begin_with_rows(f);
    assert_int_equal(tims_epoch(f->session, f->arena, &first, &err), TIMS_OK);
    assert_int_equal(first.length, 16);
    must_apply(f);
    assert_int_equal(tims_epoch(f->session, f->arena, &second, &err), TIMS_OK);
    assert_true(tims_str_equal(first, second));
    const tims_model after = BOOK(BASE, TIMS_FIELD(book, pages), TIMS_FIELD(book, note));
    const tims_model *const models[] = { &author_model, &after, NULL };
    add_migration(f, models);
    must_apply(f);
    assert_int_equal(tims_epoch(f->session, f->arena, &second, &err), TIMS_OK);
    assert_false(tims_str_equal(first, second));
}

static void a_model_that_is_not_live_has_no_triggers(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    const tims_model quiet = { .name = "book",
                               .size = sizeof(book),
                               .not_live = true,
                               .fields = TIMS_FIELDS(BASE, TIMS_FIELD(book, pages)) };
    const tims_model *const models[] = { &author_model, &quiet, NULL };
    set_models(f, models);
    tims_error err = { 0 };
    assert_int_equal(check(f, &err), TIMS_PRECONDITION);
    must_apply(f);
    const char *count =
        by_database("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = '%s'",
                    "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = "
                    "'%s'::regclass");
    assert_text(f, tims_print(f->arena, count, "book").data, "0");
    assert_text(f, tims_print(f->arena, count, "author").data, "4");
}

static void key_columns_are_references_indexes_and_what_rules_name(void **state)
{
    (void)state;
    const tims_model model = {
        .name = "book",
        .size = sizeof(book),
        .fields = TIMS_FIELDS(BASE, TIMS_FIELD(book, pages, .index = true), TIMS_FIELD(book, lent),
                              TIMS_FIELD(book, editor), TIMS_FIELD(book, shelf), TIMS_FIELD(book, note)),
        .read = TIMS_ANY(TIMS_STAFF, TIMS_ALL(TIMS_SIGNED_IN, TIMS_OWNER(book, editor))),
        .indexes = TIMS_INDEXES(TIMS_INDEX("title", "-shelf")),
    };
    const char *keys[] = { "author", "title", "pages", "editor", "shelf" };
    size_t found = 0;
    for (size_t i = 0; i < model.fields.count; i++) {
        bool expected = false;
        for (size_t k = 0; k < 5; k++)
            expected |= strcmp(keys[k], model.fields.items[i].name) == 0;
        assert_int_equal(tims_change_is_key(&model, &model.fields.items[i]), expected);
        found += expected;
    }
    assert_int_equal(found, 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_writers_changes_are_logged_with_the_old_keys),
        TEST(a_replaced_row_goes_and_comes),
        TEST(the_position_is_the_last_row_even_when_the_log_is_cut),
        TEST(the_databases_own_program_is_a_writer_like_any_other),
        TEST(the_epoch_is_kept_until_the_schema_changes),
        TEST(a_model_that_is_not_live_has_no_triggers),
        cmocka_unit_test(key_columns_are_references_indexes_and_what_rules_name),
    };
    return cmocka_run_group_tests_name("change", tests, NULL, NULL);
}
