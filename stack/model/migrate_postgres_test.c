/* migrate_postgres_test.c: migrations while others use the tables, which is PostgreSQL's matter only. */
#include "model/migrate_testing.h"

static const tims_model book_optional =
    BOOK(BASE, TIMS_FIELD(book, pages), TIMS_FIELD(book, shelf), TIMS_FIELD(book, note));
static const tims_model *const models_optional[] = { &author_model, &book_optional, NULL };

static const tims_model book_unique =
    BOOK(TIMS_FIELD(book, id, .primary = true), TIMS_FIELD(book, author, .to = &author_model),
         TIMS_FIELD(book, title, .unique = true), TIMS_FIELD(book, pages));
static const tims_model *const models_unique[] = { &author_model, &book_unique, NULL };

/* --- steps ------------------------------------------------------------------------------------------- */

static const tims_model book_required =
    BOOK(TIMS_FIELD(book, id, .primary = true),
         { .name = "writer",
           .kind = TIMS_KIND_ID,
           .offset = offsetof(book, author),
           .to = &author_model,
           .renamed_from = "author" },
         TIMS_FIELD(book, title), TIMS_FIELD(book, pages),
         { .name = "shelf", .kind = TIMS_KIND_INT, .offset = offsetof(book, pages), .default_value = "7" },
         { .name = "note", .kind = TIMS_KIND_STR, .offset = offsetof(book, subtitle) });
static const tims_model *const models_required[] = { &author_model, &book_required, NULL };

static void a_value_becomes_required_in_steps(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    add_migration(f, models_optional);
    must_apply(f);
    run(f, "UPDATE book SET shelf = 3 WHERE pages = 10");
    tims_migration_plan plan = add_migration(f, models_required);
    static const char *const parts[] = {
        "UPDATE \"book\" SET \"shelf\" = 7 WHERE \"shelf\" IS NULL;",
        "ADD CONSTRAINT \"book_shelf_not_null\" CHECK (\"shelf\" IS NOT NULL) NOT VALID;",
        "VALIDATE CONSTRAINT \"book_shelf_not_null\";",
        "ALTER TABLE \"book\" ALTER COLUMN \"shelf\" SET NOT NULL;\n"
        "ALTER TABLE \"book\" DROP CONSTRAINT \"book_shelf_not_null\";",
    };
    size_t at = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t found = tims_str_find(tims_str_slice(plan.sql, at, plan.sql.length), tims_str_from(parts[i]));
        if (found == SIZE_MAX)
            fail_msg("%s: %s", parts[i], plan.sql.data);
        at += found;
    }
    /* a row without a note, for which there is no default: the step that finds it fails, the others stand */
    tims_error err = { 0 };
    f->set.allow_destructive = true;
    assert_int_not_equal(apply(f, &err), TIMS_OK);
    if (strstr(err.message, "step 4 of 6") == NULL)
        fail_msg("%s", err.message);
    assert_text(f, "SELECT sum(shelf) FROM book", "10");
    run(f, "UPDATE book SET note = 'none'");
    must_apply(f);
    assert_text(f, "SELECT count(*) FROM pg_constraint WHERE conrelid = 'book'::regclass AND contype = 'c'",
                "0");
    assert_text(f, "SELECT count(*) FROM tims_migration_step", "0");
}

static void an_index_that_could_not_be_made_is_made_again(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    run(f, "UPDATE book SET title = 'Same'");
    add_migration(f, models_unique);
    tims_error err = { 0 };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(apply(f, &err), TIMS_CONFLICT);
        assert_non_null(strstr(err.message, "app/0002_step.postgres.sql"));
        assert_text(f, "SELECT count(*) FROM pg_index WHERE NOT indisvalid", "1");
    }
    run(f, "UPDATE book SET title = 'Other' WHERE pages = 20");
    must_apply(f);
    assert_text(f, "SELECT count(*) FROM pg_index WHERE NOT indisvalid", "0");
}

static void an_index_that_was_made_before_a_crash_is_taken(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    add_migration(f, models_unique);
    run(f, "CREATE UNIQUE INDEX book_title_unique ON book (title)");
    must_apply(f);
}

/* --- others ------------------------------------------------------------------------------------------ */

static pid_t migrate_in_background(fixture *f)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
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

static void wait_for(fixture *f, const char *sql)
{
    int64_t deadline = tims_monotonic_us() + 20 * 1000 * 1000;
    while (tims_str_equal(text(f, sql), S("0")))
        if (tims_monotonic_us() > deadline)
            fail_msg("%s says 0 for too long", sql);
}

static PGconn *hold(fixture *f, const char *sql)
{
    PGconn *holder = PQconnectdb(f->database.url);
    const char *both[] = { "BEGIN", sql };
    for (int i = 0; i < 2; i++) {
        PGresult *result = PQexec(holder, both[i]);
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            fail_msg("%s: %s", both[i], PQerrorMessage(holder));
        PQclear(result);
    }
    return holder;
}

static void a_table_in_use_is_waited_for_without_standing_in_the_way(void **state)
{
    fixture *f = *state;
    begin_with_rows(f);
    add_migration(f, models_optional);
    PGconn *holder = hold(f, "LOCK TABLE book IN ACCESS SHARE MODE");
    pid_t child = migrate_in_background(f);
    wait_for(f, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                "wait_event_type = 'Lock'");
    wait_for(f, "SELECT 1 - count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                "wait_event_type = 'Lock'"); /* it has let go, and readers pass */
    assert_text(f, "SELECT count(*) FROM book", "2");
    PQfinish(holder);
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    assert_text(f, "SELECT count(*) FROM tims_migration", "2");
}

/* --- names ------------------------------------------------------------------------------------------- */

#define LONG_NAME "a_name_that_is_longer_than_people_like_to_write"

typedef struct wordy {
    tims_id id, first, second;
} wordy;

static const tims_model wordy_model = {
    .name = LONG_NAME,
    .size = sizeof(wordy),
    .fields = TIMS_FIELDS(TIMS_FIELD(wordy, id, .primary = true),
                          { .name = LONG_NAME "_1",
                            .kind = TIMS_KIND_ID,
                            .offset = offsetof(wordy, first),
                            .to = &author_model },
                          { .name = LONG_NAME "_2",
                            .kind = TIMS_KIND_ID,
                            .offset = offsetof(wordy, second),
                            .to = &author_model }),
    .not_live = true,
};
static const tims_model *const models_wordy[] = { &author_model, &wordy_model, NULL };

static void names_that_postgres_would_cut_stay_different(void **state)
{
    fixture *f = *state;
    add_migration(f, models_wordy);
    must_apply(f);
    assert_text(f, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'", "2");
}

/* --- drift ------------------------------------------------------------------------------------------- */

static void drift_is_found_in_the_catalog(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        { "ALTER TABLE book ALTER COLUMN title TYPE text COLLATE \"default\"", "column title text" },
        { "ALTER TABLE book ALTER COLUMN pages TYPE integer", "column pages bigint" },
        { "ALTER TABLE book ALTER COLUMN pages DROP NOT NULL", "column pages bigint not null" },
        { "ALTER TABLE book ALTER COLUMN pages SET DEFAULT 7", "column pages" },
        { "ALTER TABLE book ALTER COLUMN pages SET DEFAULT pg_backend_pid()", "column pages" },
        { "ALTER TABLE book DROP CONSTRAINT book_author_fkey",
          "reference author to author (id) on delete CASCADE" },
        { "ALTER TABLE book DROP CONSTRAINT book_author_fkey, ADD CONSTRAINT book_author_fkey FOREIGN KEY "
          "(author) REFERENCES author (id)",
          "reference author" },
        { "ALTER TABLE book DROP CONSTRAINT book_author_fkey, ADD CONSTRAINT book_author_fkey FOREIGN KEY "
          "(author) REFERENCES author (id) ON DELETE CASCADE NOT VALID",
          "reference author" },
        { "ALTER TABLE book DROP CONSTRAINT book_pkey", "column id uuid not null primary key" },
        { "DROP INDEX book_author_index; CREATE INDEX book_author_index ON book (author) WHERE pages > 3",
          "index book_author_index" },
        { "DROP INDEX book_author_index; CREATE INDEX book_author_index ON book (author DESC)",
          "index book_author_index (author)" },
        { "ALTER TABLE book ADD CONSTRAINT mine UNIQUE (title)", "unique index mine (title)" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *fresh = NULL;
        assert_int_equal(set_up(&fresh), 0);
        fixture *f = fresh;
        begin_with_rows(f);
        run(f, rows[i][0]);
        tims_error err = { 0 };
        assert_int_equal(check(f, &err), TIMS_PRECONDITION);
        if (strstr(err.message, rows[i][1]) == NULL)
            fail_msg("%s: %s", rows[i][0], err.message);
        tear_down(&fresh);
    }
}

int main(void)
{
    (void)setenv("TIMS_TEST_DATABASE", "postgres", 1);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_value_becomes_required_in_steps),
        TEST(an_index_that_could_not_be_made_is_made_again),
        TEST(an_index_that_was_made_before_a_crash_is_taken),
        TEST(a_table_in_use_is_waited_for_without_standing_in_the_way),
        TEST(names_that_postgres_would_cut_stay_different),
        cmocka_unit_test(drift_is_found_in_the_catalog),
    };
    return cmocka_run_group_tests_name("migrate_postgres", tests, NULL, NULL);
}
