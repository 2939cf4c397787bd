/* migrate_own_test.c: what people have made beside the models: triggers and views on tables that change, and
 * migrations by hand. */
#include "model/migrate_testing.h"

static const tims_model book_lent = BOOK(BASE, TIMS_FIELD(book, pages, .default_value = "7"),
                                         TIMS_FIELD(book, lent, .default_value = "true"));
static const tims_model *const models_lent[] = { &author_model, &book_lent, NULL };

static const tims_model book_shorter = BOOK(BASE);
static const tims_model *const models_shorter[] = { &author_model, &book_shorter, NULL };

static const tims_model author_with_default = {
    .name = "author",
    .size = sizeof(author),
    .fields =
        TIMS_FIELDS(TIMS_FIELD(author, id, .primary = true), TIMS_FIELD(author, name, .default_value = "?")),
};

static void make_trigger_and_view(fixture *f)
{
    run(f, "CREATE TABLE noted (what text)");
    run(f, "CREATE VIEW long_book AS SELECT title FROM book WHERE pages > 15");
    run(f, by_database(
               "CREATE TRIGGER note AFTER UPDATE OF title ON book BEGIN INSERT INTO noted VALUES "
               "(new.title); END",
               "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO noted "
               "VALUES (new.title); RETURN new; END$$; CREATE TRIGGER note AFTER UPDATE OF title ON book "
               "FOR EACH ROW EXECUTE FUNCTION note()"));
}

static void triggers_and_views_of_your_own_live_on(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    make_trigger_and_view(f);
    assert_true(contains(plan_for(f, models_lent, TIMS_SQLITE).sql, "DROP TABLE \"book\""));
    add_migration(f, models_lent);
    must_apply(f);
    assert_text(f, "SELECT title FROM long_book", "Two");
    run(f, "UPDATE book SET title = 'Three' WHERE pages = 20");
    assert_text(f, "SELECT what FROM noted", "Three");
    assert_text(f, "SELECT title FROM long_book", "Three");
}

static void a_parent_that_changes_keeps_what_stands_on_its_children(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    make_trigger_and_view(f);
    const tims_model same =
        BOOK(TIMS_FIELD(book, id, .primary = true), TIMS_FIELD(book, author, .to = &author_with_default),
             TIMS_FIELD(book, title), TIMS_FIELD(book, pages));
    const tims_model *const models[] = { &author_with_default, &same, NULL };
    add_migration(f, models);
    must_apply(f);
    run(f, "UPDATE book SET title = 'Three' WHERE pages = 20");
    assert_text(f, "SELECT what FROM noted", "Three");
    tims_error err = { 0 };
    tims_str orphan =
        S("INSERT INTO book (id, author, title, pages) VALUES ('" ID("b7") "', '" ID("a7") "', "
                                                                                           "'', 1)");
    assert_int_equal(tims_db_script(f->session, orphan, &err), TIMS_CONFLICT);
}

static void a_view_that_no_longer_fits_stops_the_migration(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    make_trigger_and_view(f);
    add_migration(f, models_shorter);
    f->set.allow_destructive = true;
    tims_error err = { 0 };
    assert_int_not_equal(apply(f, &err), TIMS_OK);
    assert_non_null(strstr(err.message, by_database("the view long_book", "depend on it")));
    assert_text(f, "SELECT count(*) FROM tims_migration", "1");
    assert_text(f, "SELECT title FROM long_book", "Two");
    run(f, "DROP VIEW long_book");
    must_apply(f);
}

static void a_migration_that_names_a_trigger_decides_about_it(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    make_trigger_and_view(f);
    tims_migration_plan plan = add_migration(f, models_lent);
    tims_embedded *file = file_of(f, 2);
    tims_str sql =
        tims_print(f->arena, "DROP TRIGGER \"note\"%s;\n%S", by_database("", " ON book"), plan.sql);
    file->data = sql.data;
    file->length = sql.length;
    must_apply(f);
    run(f, "UPDATE book SET title = 'Three' WHERE pages = 20");
    assert_text(f, "SELECT count(*) FROM noted", "0");
}

/* --- what loses data --------------------------------------------------------------------------------- */

static void a_migration_that_loses_data_needs_to_be_allowed(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    tims_migration_plan plan = add_migration(f, models_shorter);
    assert_true(contains(plan.sql, "-- destructive: drops column book.pages with its values\n"));
    tims_error err = { 0 };
    assert_int_equal(apply(f, &err), TIMS_PRECONDITION);
    assert_non_null(strstr(err.message, "drops column book.pages"));
    assert_non_null(strstr(err.message, "--allow-destructive"));
    assert_text(f, "SELECT sum(pages) FROM book", "30");
    f->set.allow_destructive = true;
    must_apply(f);
}

static void a_new_database_has_nothing_to_lose(void **state)
{
    fixture *f = *state;
    add_migration(f, models_1);
    add_migration(f, models_shorter);
    must_apply(f);
}

/* --- migrations by hand ------------------------------------------------------------------------------ */

static void a_migration_for_the_other_database_only_is_refused_at_once(void **state)
{
    fixture *f = *state;
    add_migration(f, models_1);
    add_by_hand(f, "CREATE TABLE half (a int);");
    f->files[2 + testing_on_postgres()].name = "nothing";
    tims_error err = { 0 };
    assert_int_equal(apply(f, &err), TIMS_PRECONDITION);
    assert_non_null(strstr(err.message, by_database("SQLite", "PostgreSQL")));
    assert_non_null(strstr(err.message, by_database("0002_step.sql", "0002_step.postgres.sql")));
    assert_text(f, "SELECT count(*) FROM tims_migration", "0");
}

static void steps_are_resumed_and_not_repeated(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    add_by_hand(f,
                "CREATE TABLE first (a int);\n\n-- step: in a transaction\nINSERT INTO first VALUES (1);\n"
                "INSERT INTO second VALUES (1);\n-- step: in a transaction\nINSERT INTO first VALUES (3);");
    tims_error err = { 0 };
    assert_int_not_equal(apply(f, &err), TIMS_OK);
    assert_non_null(strstr(err.message, "step 2 of 3"));
    assert_text(f, "SELECT count(*) FROM first", "0");
    assert_int_equal(check(f, &err), TIMS_PRECONDITION);
    run(f, "CREATE TABLE second (a int)");
    assert_int_equal(apply(f, &err), TIMS_OK);
    assert_text(f, "SELECT sum(a) FROM first", "4");
    assert_text(f, "SELECT count(*) FROM tims_migration_step", "0");
    assert_text(f, "SELECT count(*) FROM tims_migration", "2");
}

static void a_file_that_was_edited_between_its_steps_is_noticed(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    add_by_hand(f,
                "CREATE TABLE first (a int);\n-- step: in a transaction\nINSERT INTO second VALUES (1);\n");
    tims_error err = { 0 };
    assert_int_not_equal(apply(f, &err), TIMS_OK);
    tims_embedded *file = file_of(f, 2);
    tims_str edited = S("CREATE TABLE first (a int);\n-- step: in a transaction\nSELECT 1;\n");
    file->data = edited.data;
    file->length = edited.length;
    assert_int_equal(apply(f, &err), TIMS_CONFLICT);
    assert_non_null(strstr(err.message, "edited"));
}

static void a_mark_that_is_none_is_refused(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    add_by_hand(f, "CREATE TABLE first (a int);\n-- step: concurrently\nSELECT 1;\n");
    tims_error err = { 0 };
    assert_int_equal(apply(f, &err), TIMS_INVALID);
    assert_non_null(strstr(err.message, "step: concurrently"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(triggers_and_views_of_your_own_live_on),
        TEST(a_parent_that_changes_keeps_what_stands_on_its_children),
        TEST(a_view_that_no_longer_fits_stops_the_migration),
        TEST(a_migration_that_names_a_trigger_decides_about_it),
        TEST(a_migration_that_loses_data_needs_to_be_allowed),
        TEST(a_new_database_has_nothing_to_lose),
        TEST(a_migration_for_the_other_database_only_is_refused_at_once),
        TEST(steps_are_resumed_and_not_repeated),
        TEST(a_file_that_was_edited_between_its_steps_is_noticed),
        TEST(a_mark_that_is_none_is_refused),
    };
    return cmocka_run_group_tests_name("migrate_own", tests, NULL, NULL);
}
