/* migrate_test.c: from one set of descriptors to the next, with rows in the tables. */
#include "model/migrate_testing.h"

/* --- plans ------------------------------------------------------------------------------------------- */

static void the_first_migration_makes_everything(void **state)
{
    fixture *f = *state;
    tims_error err = { 0 };
    tims_migration_plan plan = add_migration(f, models_1);
    assert_false(plan.destructive);
    assert_true(contains(plan.summary, "+ table author\n+ table book\n"));
    assert_int_equal(check(f, &err), TIMS_PRECONDITION);
    assert_non_null(strstr(err.message, "run `migrate`"));
    must_apply(f);
    assert_text(f, "SELECT count(*) FROM tims_migration", "1");
    assert_text(f,
                by_database("SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE type = "
                            "'index' AND sql NOT NULL ORDER BY 1)",
                            "SELECT string_agg(indexname, ',' ORDER BY indexname) FROM pg_indexes WHERE "
                            "tablename IN ('author', 'book') AND indexname NOT LIKE '%pkey'"),
                "author_name_unique,book_author_index");
    must_apply(f); /* again: nothing to do */
    assert_text(f, "SELECT count(*) FROM tims_migration", "1");
}

static void nothing_changed_is_an_empty_plan_and_the_snapshot_is_canonical(void **state)
{
    fixture *f = *state;
    add_migration(f, models_1);
    tims_str snapshot = snapshot_of(f);
    tims_migration_plan plan;
    tims_error err = { 0 };
    assert_int_equal(tims_migrate_plan(f->arena, snapshot, models_1, TIMS_SQLITE, &plan, &err), TIMS_OK);
    assert_true(plan.empty);
    assert_false(plan.destructive);
    assert_int_equal(plan.summary.length, 0);
    assert_true(tims_str_equal(snapshot, tims_migrate_snapshot(f->arena, models_1)));
}

static void broken_snapshots_are_refused(void **state)
{
    fixture *f = *state;
    static const char unknown_kind[] =
        "{\"version\": 1, \"tables\": [{\"name\": \"x\", \"columns\": [{\"name\": \"y\", "
        "\"kind\": \"blob\"}]}]}";
    const char *broken[] = { "{", "[]", "{\"version\": 2}", "{\"version\": 1, \"tables\": [{}]}",
                             unknown_kind };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        tims_migration_plan plan;
        tims_error err = { 0 };
        assert_int_equal(
            tims_migrate_plan(f->arena, tims_str_from(broken[i]), models_1, TIMS_SQLITE, &plan, &err),
            TIMS_INVALID);
        assert_non_null(strstr(err.message, "snapshot.json"));
    }
}

/* One step from version 1: what the plan says, and what a query says afterwards. */
typedef struct change_case {
    const char *name;
    tims_model after;
    const char *summary, *destructive; /* parts; destructive NULL: it is not */
    bool rebuilds;                     /* SQLite's table */
    const char *postgres;              /* a part of PostgreSQL's file */
    const char *query, *answer;
    const char *postgres_query; /* NULL: the same */
} change_case;

static const change_case cases[] = {
    { "an optional column is added in place", BOOK(BASE, TIMS_FIELD(book, pages), TIMS_FIELD(book, note)),
      "+ column book.note", NULL, false, "ADD COLUMN \"note\" text COLLATE \"C\"",
      "SELECT count(*) FROM book WHERE note IS NULL", "2" },
    { "a column with a default is added in place",
      BOOK(BASE, TIMS_FIELD(book, pages), TIMS_FIELD(book, lent, .default_value = "true")),
      "+ column book.lent", NULL, false, "ADD COLUMN \"lent\" boolean NOT NULL DEFAULT true",
      "SELECT count(*) FROM book WHERE lent", "2" },
    { "a text default is quoted",
      BOOK(BASE, TIMS_FIELD(book, pages), TIMS_FIELD(book, subtitle, .default_value = "it's; -- \\")),
      "+ column book.subtitle", NULL, false, "DEFAULT 'it''s; -- \\'", "SELECT subtitle FROM book LIMIT 1",
      "it's; -- \\" },
    { "a real default reads back",
      BOOK(BASE, TIMS_FIELD(book, pages), TIMS_FIELD(book, weight, .default_value = "2")),
      "+ column book.weight", NULL, false, "DEFAULT 2", "SELECT CAST(sum(weight) AS INTEGER) FROM book",
      "4" },
    { "a negative default reads back",
      BOOK(BASE, TIMS_FIELD(book, pages), TIMS_FIELD(book, shelf, .default_value = "-2")),
      "+ column book.shelf", NULL, false, "DEFAULT -2", "SELECT sum(shelf) FROM book", "-4" },
    { "a time as default reads back",
      BOOK(BASE, TIMS_FIELD(book, pages),
           TIMS_FIELD(book, added_at, .default_value = "2001-02-03T04:05:06.789Z")),
      "+ column book.added_at", NULL, false, "DEFAULT '2001-02-03T04:05:06.789Z'",
      "SELECT max(added_at) FROM book", "981173106789000",
      "SELECT (extract(epoch FROM max(added_at)) * 1000000)::bigint FROM book" },
    { "an optional reference is added in place with its index",
      BOOK(BASE, TIMS_FIELD(book, pages),
           TIMS_FIELD(book, editor, .to = &author_model, .on_delete = TIMS_SET_NULL)),
      "+ index book_editor_index", NULL, false,
      "CREATE INDEX CONCURRENTLY IF NOT EXISTS \"book_editor_index\" ON \"book\" (\"editor\" NULLS FIRST)",
      "SELECT count(*) FROM book WHERE editor IS NULL", "2" },
    { "a reference with a value is checked without a lock",
      BOOK(BASE, TIMS_FIELD(book, pages),
           TIMS_FIELD(book, editor, .to = &author_model, .default_value = ID("a1"))),
      "+ column book.editor", NULL, true, "VALIDATE CONSTRAINT \"book_editor_fkey\"",
      "SELECT count(*) FROM book WHERE editor = '" ID("a1") "'", "2" },
    { "a time that fills itself gets the time of the migration",
      BOOK(BASE, TIMS_FIELD(book, pages), TIMS_FIELD(book, added_at, .auto_now_add = true)),
      "+ column book.added_at", NULL, true, "ALTER COLUMN \"added_at\" DROP DEFAULT",
      "SELECT CAST(min(added_at) > 1700000000000000 AND max(added_at) < 5000000000000000 AS INTEGER) FROM "
      "book",
      "1", "SELECT (min(added_at) > '2023-01-01' AND max(added_at) <= now())::int FROM book" },
    { "a column that goes takes its values along", BOOK(BASE), "- column book.pages",
      "drops column book.pages", true, "DROP COLUMN \"pages\"",
      "SELECT count(*) FROM pragma_table_info('book') WHERE name = 'pages'", "0",
      "SELECT count(*) FROM pg_attribute WHERE attrelid = 'book'::regclass AND attname = 'pages'" },
    { "a rename by hint keeps the values",
      BOOK(TIMS_FIELD(book, id, .primary = true), TIMS_FIELD(book, author, .to = &author_model),
           TIMS_FIELD(book, subtitle, .renamed_from = "title"), TIMS_FIELD(book, pages)),
      "book.title is called subtitle now", NULL, false, "RENAME COLUMN \"title\" TO \"subtitle\"",
      "SELECT min(subtitle) || max(subtitle) FROM book", "OneTwo" },
    { "a renamed reference is the same reference",
      BOOK(TIMS_FIELD(book, id, .primary = true), TIMS_FIELD(book, title), TIMS_FIELD(book, pages),
           { .offset = offsetof(book, author),
             .name = "writer",
             .kind = TIMS_KIND_ID,
             .to = &author_model,
             .renamed_from = "author" }),
      "book.author is called writer now", NULL, false,
      "RENAME CONSTRAINT \"book_author_fkey\" TO \"book_writer_fkey\"",
      "SELECT count(*) FROM book WHERE writer = '" ID("a1") "'", "2" },
    { "without the hint it is a loss, and the plan says how to avoid it",
      BOOK(TIMS_FIELD(book, id, .primary = true), TIMS_FIELD(book, author, .to = &author_model),
           TIMS_FIELD(book, subtitle, .default_value = "?"), TIMS_FIELD(book, pages)),
      "- column book.title", ".renamed_from = \"title\"", true, "DROP COLUMN \"title\"",
      "SELECT min(subtitle) || max(subtitle) FROM book", "??" },
    { "a rename with an index moves it too",
      BOOK(TIMS_FIELD(book, id, .primary = true), TIMS_FIELD(book, author, .to = &author_model),
           TIMS_FIELD(book, subtitle, .renamed_from = "title", .index = true), TIMS_FIELD(book, pages)),
      "+ index book_subtitle_index", NULL, false, "CREATE INDEX CONCURRENTLY",
      "SELECT count(*) FROM sqlite_schema WHERE name = 'book_subtitle_index'", "1",
      "SELECT count(*) FROM pg_indexes WHERE indexname = 'book_subtitle_index'" },
    { "an index is added and used", BOOK(BASE, TIMS_FIELD(book, pages, .index = true)),
      "+ index book_pages_index", NULL, false, "-- step: outside of a transaction",
      "SELECT title FROM book INDEXED BY book_pages_index WHERE pages = 20", "Two",
      "SELECT title FROM book WHERE pages = 20" },
    { "an index of some rows holds only those",
      { .name = "book",
        .size = sizeof(book),
        .fields = TIMS_FIELDS(BASE, TIMS_FIELD(book, pages)),
        .indexes = TIMS_INDEXES(TIMS_INDEX_WHERE("pages > 15", "title")) },
      "+ index book_title_index",
      NULL,
      false,
      "(\"title\") WHERE pages > 15",
      "SELECT title FROM book INDEXED BY book_title_index WHERE pages > 15",
      "Two",
      "SELECT CASE pg_get_expr(indpred, indrelid) WHEN '(pages > 15)' THEN 'Two' END FROM pg_index WHERE "
      "indexrelid = 'book_title_index'::regclass" },
    { "two indexes of the same columns for other rows are two",
      { .name = "book",
        .size = sizeof(book),
        .fields = TIMS_FIELDS(BASE, TIMS_FIELD(book, pages)),
        .indexes = TIMS_INDEXES(TIMS_INDEX_WHERE("pages > 15", "title"),
                                TIMS_INDEX_WHERE("pages < 5", "title"), TIMS_INDEX("title")) },
      "+ index book_title_index_",
      NULL,
      false,
      "(\"title\") WHERE pages < 5",
      "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'book_title_index%'",
      "3",
      "SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'book_title_index%'" },
    { "a column may become optional",
      BOOK(BASE, { .offset = offsetof(book, shelf), .name = "pages", .kind = TIMS_KIND_OPT_INT }),
      "pages, may be null", NULL, true, "DROP NOT NULL", "SELECT sum(pages) FROM book", "30" },
    { "a column of another type is converted",
      BOOK(TIMS_FIELD(book, id, .primary = true), TIMS_FIELD(book, author, .to = &author_model),
           TIMS_FIELD(book, title),
           { .offset = offsetof(book, subtitle), .name = "pages", .kind = TIMS_KIND_STR }),
      "int becomes text", "converts column book.pages", true, "USING (\"pages\")::text",
      "SELECT min(pages || '!') || max(pages || '!') FROM book", "10!20!" },
    { "another default keeps the values", BOOK(BASE, TIMS_FIELD(book, pages, .default_value = "7")),
      "other default", NULL, true, "SET DEFAULT 7", "SELECT sum(pages) FROM book", "30" },
    { "another reaction to deleted parents",
      BOOK(TIMS_FIELD(book, id, .primary = true),
           TIMS_FIELD(book, author, .to = &author_model, .on_delete = TIMS_RESTRICT), TIMS_FIELD(book, title),
           TIMS_FIELD(book, pages)),
      "other reference", NULL, true, "NOT VALID", "SELECT on_delete FROM pragma_foreign_key_list('book')",
      "RESTRICT",
      "SELECT delete_rule FROM information_schema.referential_constraints WHERE constraint_name = "
      "'book_author_fkey'" },
};

static void check_case(fixture *f, const change_case *c)
{
    begin_with_rows(f);
    const tims_model *const models[] = { &author_model, &c->after, NULL };
    tims_migration_plan sqlite = plan_for(f, models, TIMS_SQLITE);
    tims_migration_plan plan = plan_for(f, models, TIMS_POSTGRES);
    if (!contains(plan.summary, c->summary))
        fail_msg("%s: the summary is %s", c->name, plan.summary.data);
    if (plan.destructive != (c->destructive != NULL) ||
        (c->destructive != NULL && !contains(plan.destructive_list, c->destructive)))
        fail_msg("%s: destructive is %.*s", c->name, TIMS_PRINT(plan.destructive_list));
    if (contains(sqlite.sql, "DROP TABLE") != c->rebuilds)
        fail_msg("%s: SQLite's SQL is %s", c->name, sqlite.sql.data);
    if (!contains(plan.sql, c->postgres))
        fail_msg("%s: PostgreSQL's SQL is %s", c->name, plan.sql.data);
    add_migration(f, models);
    must_apply(f);
    assert_text(f, "SELECT count(*) FROM book", "2");
    tims_error err = { 0 };
    if (check(f, &err) != TIMS_OK)
        fail_msg("%s: it has drifted: %s", c->name, err.message);
    const char *query = c->postgres_query != NULL && testing_on_postgres() ? c->postgres_query : c->query;
    tims_str answer = text(f, query);
    if (!tims_str_equal(answer, tims_str_from(c->answer)))
        fail_msg("%s: %s says %s", c->name, query, answer.data);
}

static void every_kind_of_change_keeps_the_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *fresh = NULL;
        assert_int_equal(set_up(&fresh), 0);
        check_case(fresh, &cases[i]);
        tear_down(&fresh);
    }
}

static void a_new_column_that_must_have_a_value_needs_a_default(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    const tims_model after = BOOK(BASE, TIMS_FIELD(book, pages), TIMS_FIELD(book, lent));
    const tims_model *const models[] = { &author_model, &after, NULL };
    tims_migration_plan plan;
    tims_error err = { 0 };
    assert_int_equal(tims_migrate_plan(f->arena, snapshot_of(f), models, TIMS_SQLITE, &plan, &err),
                     TIMS_INVALID);
    assert_non_null(strstr(err.message, "book.lent"));
    assert_non_null(strstr(err.message, ".default_value"));
}

static void a_parent_is_rebuilt_without_losing_its_children(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    const tims_model shorter = { .name = "author",
                                 .size = sizeof(author),
                                 .fields = TIMS_FIELDS(TIMS_FIELD(author, id, .primary = true)) };
    const tims_model same =
        BOOK(TIMS_FIELD(book, id, .primary = true), TIMS_FIELD(book, author, .to = &shorter),
             TIMS_FIELD(book, title), TIMS_FIELD(book, pages));
    const tims_model *const models[] = { &shorter, &same, NULL };
    tims_migration_plan sqlite = plan_for(f, models, TIMS_SQLITE);
    assert_true(contains(sqlite.sql, "DROP TABLE \"author\""));
    assert_false(contains(sqlite.sql, "DROP TABLE \"book\""));
    assert_true(add_migration(f, models).destructive);
    must_apply(f);
    assert_text(f, "SELECT count(*) FROM book JOIN author ON author.id = book.author", "2");
    run(f, "DELETE FROM author"); /* and its children still follow it */
    assert_text(f, "SELECT count(*) FROM book", "0");
}

static void a_table_that_goes_is_destructive(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    const tims_model *const models[] = { &author_model, NULL };
    tims_migration_plan plan = add_migration(f, models);
    assert_true(plan.destructive);
    assert_true(contains(plan.destructive_list, "drops table book with its rows"));
    must_apply(f);
    assert_text(f,
                by_database("SELECT count(*) FROM sqlite_schema WHERE tbl_name = 'book'",
                            "SELECT count(*) FROM pg_class WHERE relname LIKE 'book%'"),
                "0");
}

/* --- applying ---------------------------------------------------------------------------------------- */

static void a_file_that_fails_leaves_no_trace(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    add_by_hand(f, "CREATE TABLE half (a int); INSERT INTO half VALUES (1); INSERT INTO nowhere VALUES (1);");
    tims_error err = { 0 };
    assert_int_not_equal(apply(f, &err), TIMS_OK);
    assert_non_null(strstr(err.message, by_database("app/0002_step.sql", "app/0002_step.postgres.sql")));
    assert_non_null(strstr(err.message, "nowhere"));
    assert_text(f,
                by_database("SELECT count(*) FROM sqlite_schema WHERE name = 'half'",
                            "SELECT count(*) FROM pg_class WHERE relname = 'half'"),
                "0");
    assert_text(f, "SELECT count(*) FROM tims_migration", "1");
}

static void a_migration_that_leaves_dangling_references_is_refused(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    /* PostgreSQL would have deleted the books too */
    add_by_hand(f,
                by_database("DELETE FROM author;", "INSERT INTO book (id, author, title, pages) VALUES ('" ID(
                                                       "b3") "', '" ID("a9") "', '', 1);"));
    tims_error err = { 0 };
    assert_int_equal(apply(f, &err), TIMS_CONFLICT);
    assert_text(f, "SELECT count(*) FROM author", "1");
    assert_text(f, "SELECT count(*) FROM tims_migration", "1");
}

static void an_applied_file_that_was_edited_is_noticed(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    tims_embedded *file = file_of(f, 1);
    tims_str edited = tims_print(f->arena, "%S-- edited\n", (tims_str){ file->data, file->length });
    file->data = edited.data;
    file->length = edited.length;
    tims_error err = { 0 };
    assert_int_equal(apply(f, &err), TIMS_CONFLICT);
    assert_non_null(strstr(err.message, "edited"));
    assert_int_equal(check(f, &err), TIMS_PRECONDITION);
    assert_non_null(strstr(err.message, "edited"));
}

static void a_database_newer_than_the_program_is_noticed(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    f->files[0].name = "0000_other.sql";
    f->files[1].name = "0000_other.postgres.sql";
    tims_error err = { 0 };
    assert_int_equal(apply(f, &err), TIMS_CONFLICT);
    assert_non_null(strstr(err.message, "older than the database"));
}

static void models_changed_without_a_migration_are_noticed(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    const tims_model after = BOOK(BASE, TIMS_FIELD(book, pages), TIMS_FIELD(book, note));
    const tims_model *const models[] = { &author_model, &after, NULL };
    set_models(f, models);
    tims_error err = { 0 };
    assert_int_equal(check(f, &err), TIMS_PRECONDITION);
    assert_non_null(strstr(err.message, "makemigrations"));
    assert_non_null(strstr(err.message, "book.note"));
}

static void drift_is_named(void **state)
{
    (void)state;
    const char *table[][2] = {
        { "ALTER TABLE book ADD COLUMN extra TEXT", "should not have column extra" },
        { "DROP INDEX book_author_index", "should have index book_author_index" },
        { "CREATE INDEX mine ON book (title)", "should not have index mine" },
        { "ALTER TABLE book DROP COLUMN pages", "should have column pages" },
        { "DROP TABLE book", "does not exist" },
        { by_database("DROP TRIGGER tims_change_book_update", "DROP TRIGGER tims_change_book_update ON book"),
          "triggers" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        void *fresh = NULL;
        assert_int_equal(set_up(&fresh), 0);
        fixture *f = fresh;
        begin_with_rows(f);
        run(f, table[i][0]);
        tims_error err = { 0 };
        assert_int_equal(check(f, &err), TIMS_PRECONDITION);
        if (strstr(err.message, table[i][1]) == NULL)
            fail_msg("%s: %s", table[i][0], err.message);
        tear_down(&fresh);
    }
}

/* Each child opens the database itself and migrates at once with the other. */
static void migrate_in_child(fixture *f)
{
    tims_db *db = NULL;
    tims_error err = { 0 };
    tims_arena *arena = tims_arena_new(1 << 24, NULL, NULL);
    tims_buf applied;
    tims_buf_init(&applied, arena, 65536);
    tims_status status = tims_db_open(&(tims_db_options){ .url = tims_str_from(f->database.url) }, &db, &err);
    if (status == TIMS_OK)
        status = tims_migrate_apply(db, arena, &f->set, 1, f->models, &applied, &err);
    if (status != TIMS_OK)
        (void)fprintf(stderr, "%s (%s)\n", err.message, err.detail);
    tims_arena_free(&arena);
    tims_db_close(&db);
    _exit(status == TIMS_OK ? 0 : 1);
}

static void processes_that_migrate_at_once_take_turns(void **state)
{
    enum { PROCESSES = 10 };
    fixture *f = *state;
    tims_arena_free(&f->arena);
    tims_db_close(&f->db); /* what a child inherits must not be open */
    f->arena = tims_arena_new(1 << 24, NULL, NULL);
    add_migration(f, models_1);
    const tims_model after = BOOK(BASE, TIMS_FIELD(book, pages, .index = true), TIMS_FIELD(book, note));
    const tims_model *const models_2[] = { &author_model, &after, NULL };
    add_migration(f, models_2);
    pid_t children[PROCESSES];
    for (size_t i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0)
            migrate_in_child(f);
        assert_true(children[i] > 0);
    }
    for (size_t i = 0; i < PROCESSES; i++) {
        int how = 0;
        assert_int_equal(waitpid(children[i], &how, 0), children[i]);
        assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    }
    tims_arena *plans = f->arena; /* the files are in it */
    open_database(f);
    assert_text(f, "SELECT count(*) FROM tims_migration", "2");
    must_apply(f);
    tims_arena_free(&plans);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_first_migration_makes_everything),
        TEST(nothing_changed_is_an_empty_plan_and_the_snapshot_is_canonical),
        TEST(broken_snapshots_are_refused),
        cmocka_unit_test(every_kind_of_change_keeps_the_rows),
        TEST(a_new_column_that_must_have_a_value_needs_a_default),
        TEST(a_parent_is_rebuilt_without_losing_its_children),
        TEST(a_table_that_goes_is_destructive),
        TEST(a_file_that_fails_leaves_no_trace),
        TEST(a_migration_that_leaves_dangling_references_is_refused),
        TEST(an_applied_file_that_was_edited_is_noticed),
        TEST(a_database_newer_than_the_program_is_noticed),
        TEST(models_changed_without_a_migration_are_noticed),
        cmocka_unit_test(drift_is_named),
        TEST(processes_that_migrate_at_once_take_turns),
    };
    return cmocka_run_group_tests_name("migrate", tests, NULL, NULL);
}
