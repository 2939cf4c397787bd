/* search_index_test.c: a search comes to a table, changes, lives through a rebuild, and goes; what is found
 * is always what the rows say. */
#include "model/migrate_testing.h"

#define PAGES TIMS_FIELD(book, pages, .default_value = "7")
static const char *const titles[] = { "title" }, *const both[] = { "title", "subtitle" };

static const tims_model book_searched = { .name = "book",
                                          .size = sizeof(book),
                                          .fields = TIMS_FIELDS(BASE, TIMS_FIELD(book, pages)),
                                          .search = { titles, 1 } };
/* A default more: SQLite rebuilds the table. */
static const tims_model book_rebuilt = {
    .name = "book", .size = sizeof(book), .fields = TIMS_FIELDS(BASE, PAGES), .search = { titles, 1 }
};
static const tims_model book_wider = { .name = "book",
                                       .size = sizeof(book),
                                       .fields = TIMS_FIELDS(
                                           BASE, PAGES, TIMS_FIELD(book, subtitle, .default_value = "plain")),
                                       .search = { both, 2 } };
static const tims_model book_unsearched = {
    .name = "book",
    .size = sizeof(book),
    .fields = TIMS_FIELDS(BASE, PAGES, TIMS_FIELD(book, subtitle, .default_value = "plain"))
};

static void become(fixture *f, const tims_model *book_model)
{
    const tims_model **models = TIMS_NEW_ARRAY(f->arena, const tims_model *, 3);
    models[0] = &author_model;
    models[1] = book_model;
    tims_migration_plan plan = add_migration(f, models);
    assert_false(plan.empty);
    must_apply(f); /* and has not drifted */
    assert_true(plan_for(f, models, TIMS_SQLITE).empty && plan_for(f, models, TIMS_POSTGRES).empty);
}

static int64_t count(fixture *f, const tims_model *model, const char *search)
{
    tims_query query;
    tims_error err = { 0 };
    int64_t found = -1;
    tims_query_init(&query, model, (tims_caller){ .trusted = true });
    if (tims_query_search(&query, tims_str_from(search), &err) != TIMS_OK ||
        tims_query_count(f->session, f->arena, &query, &found, &err) != TIMS_OK)
        fail_msg("%s (%s)", err.message, err.detail);
    return found;
}

static void rows_that_were_there_are_found(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    become(f, &book_searched);
    assert_int_equal(count(f, &book_searched, "one"), 1);
    assert_int_equal(count(f, &book_searched, "t"), 1);
    run(f, "UPDATE book SET title = 'Third one' WHERE title = 'Two'");
    assert_int_equal(count(f, &book_searched, "one"), 2);
}

static void a_rebuild_keeps_what_is_found(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    become(f, &book_searched);
    become(f, &book_rebuilt);
    assert_int_equal(count(f, &book_rebuilt, "one"), 1);
    run(f, "UPDATE book SET title = 'Three' WHERE title = 'One'");
    run(f, "INSERT INTO book (id, author, title) VALUES ('" ID("b3") "', '" ID("a1") "', 'One again')");
    assert_int_equal(count(f, &book_rebuilt, "one"), 1);
    assert_int_equal(count(f, &book_rebuilt, "three"), 1);
}

static void other_fields_are_searched_from_then_on(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    become(f, &book_searched);
    become(f, &book_wider);
    assert_int_equal(count(f, &book_wider, "plain"), 2);
    assert_int_equal(count(f, &book_wider, "plain one"), 1);
}

static void what_is_no_longer_searched_leaves_nothing(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    become(f, &book_wider);
    become(f, &book_unsearched);
    assert_text(f,
                by_database("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'tims_search%'",
                            "SELECT count(*)::text FROM pg_attribute WHERE attname = 'tims_words' AND "
                            "attrelid = 'book'::regclass"),
                "0");
    run(f, "UPDATE book SET title = 'Three'");
}

static void a_table_goes_with_its_search(void **state)
{
    static const tims_model *const author_alone[] = { &author_model, NULL };
    fixture *f = *state;
    begin_with_rows(f);
    become(f, &book_searched);
    add_migration(f, author_alone);
    must_apply(f);
    become(f, &book_searched); /* the names are free again */
    assert_int_equal(count(f, &book_searched, "one"), 0);
}

static void a_search_that_somebody_took_away_is_drift(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    begin_with_rows(f);
    become(f, &book_searched);
    run(f, by_database("DROP TRIGGER tims_search_book_update", "ALTER TABLE book DROP COLUMN tims_words"));
    assert_int_equal(check(f, &err), TIMS_PRECONDITION);
    assert_non_null(strstr(err.message, "should have search"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_that_were_there_are_found),         TEST(a_rebuild_keeps_what_is_found),
        TEST(other_fields_are_searched_from_then_on), TEST(what_is_no_longer_searched_leaves_nothing),
        TEST(a_table_goes_with_its_search),           TEST(a_search_that_somebody_took_away_is_drift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
