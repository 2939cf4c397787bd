/* migrate_testing.h: a database with an author and books, for the tests of migrations and of the change
 * log. */
#ifndef TIMS_MIGRATE_TESTING_H
#define TIMS_MIGRATE_TESTING_H

#include <stdio.h>

#include "db/database_testing.h"
#include "tims/model.h"

#define S(literal) TIMS_STR(literal)
#define ID(last) "00000000-0000-7000-8000-0000000000" last

/* --- the models: an author and books, in several versions -------------------------------------------- */

typedef struct author {
    tims_id id;
    tims_str name;
} author;

typedef struct book {
    tims_id id, author;
    tims_str title, subtitle;
    int64_t pages;
    bool lent;
    tims_time added_at;
    tims_opt_str note;
    tims_opt_id editor;
    tims_opt_int shelf;
    double weight;
} book;

static const tims_model author_model = {
    .name = "author",
    .size = sizeof(author),
    .fields = TIMS_FIELDS(TIMS_FIELD(author, id, .primary = true), TIMS_FIELD(author, name, .unique = true)),
};

/* clang-format off */
#define BOOK(...)                                                                \
    {                                                                            \
        .name = "book", .size = sizeof(book), .fields = TIMS_FIELDS(__VA_ARGS__) \
    }
/* clang-format on */
#define BASE                                                                              \
    TIMS_FIELD(book, id, .primary = true), TIMS_FIELD(book, author, .to = &author_model), \
        TIMS_FIELD(book, title)

static const tims_model book_1 = BOOK(BASE, TIMS_FIELD(book, pages));
static const tims_model *const models_1[] = { &author_model, &book_1, NULL };

/* The words of the database that the test runs on. */
TIMS_UNUSED static const char *by_database(const char *sqlite, const char *postgres)
{
    return testing_on_postgres() ? postgres : sqlite;
}

typedef struct fixture {
    testing_database database;
    tims_db *db;
    tims_arena *arena;
    tims_db_session *session;
    tims_embedded files[32]; /* of each migration SQLite's and PostgreSQL's, then the snapshot */
    size_t file_count;
    tims_migration_set set;
    tims_models *models;
} fixture;

TIMS_UNUSED static void open_database(fixture *f)
{
    tims_error err = { 0 };
    if (tims_db_open(&(tims_db_options){ .url = tims_str_from(f->database.url) }, &f->db, &err) != TIMS_OK)
        fail_msg("%s", err.message);
    f->arena = tims_arena_new(1 << 26, NULL, NULL);
    f->session = tims_db_session_new(f->db, NULL, f->arena);
}

TIMS_UNUSED static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    testing_database_new(&f->database, "migrate");
    open_database(f);
    *state = f;
    return 0;
}

TIMS_UNUSED static int tear_down(void **state)
{
    fixture *f = *state;
    tims_arena_free(&f->arena);
    tims_db_close(&f->db);
    testing_database_drop(&f->database);
    free(f);
    return 0;
}

TIMS_UNUSED static void set_models(fixture *f, const tims_model *const *models)
{
    tims_error err = { 0 };
    size_t count = 0;
    while (models[count] != NULL)
        count++;
    tims_status status = tims_models_new(f->arena, models, count, &f->models, &err);
    if (status != TIMS_OK)
        fail_msg("%s", err.message);
    f->set = (tims_migration_set){ "app", f->files, models };
}

TIMS_UNUSED static tims_str snapshot_of(fixture *f)
{
    if (f->file_count == 0)
        return (tims_str){ NULL, 0 };
    return (tims_str){ f->files[f->file_count - 1].data, f->files[f->file_count - 1].length };
}

TIMS_UNUSED static tims_migration_plan plan_for(fixture *f, const tims_model *const *models,
                                                tims_db_dialect dialect)
{
    tims_error err = { 0 };
    tims_migration_plan plan;
    if (tims_migrate_plan(f->arena, snapshot_of(f), models, dialect, &plan, &err) != TIMS_OK)
        fail_msg("%s", err.message);
    return plan;
}

/* The next migration, without a snapshot behind it. */
TIMS_UNUSED static void add_files(fixture *f, tims_str sqlite, tims_str postgres)
{
    int number = (int)f->file_count / 2 + 1;
    tims_str names[] = { tims_print(f->arena, "%04d_step.sql", number),
                         tims_print(f->arena, "%04d_step.postgres.sql", number) };
    f->files[f->file_count++] = (tims_embedded){ names[0].data, sqlite.data, sqlite.length };
    f->files[f->file_count++] = (tims_embedded){ names[1].data, postgres.data, postgres.length };
    f->files[f->file_count] = (tims_embedded){ NULL, NULL, 0 };
}

/* A migration by hand, in place of the snapshot. */
TIMS_UNUSED static void add_by_hand(fixture *f, const char *sql)
{
    f->file_count -= f->file_count % 2;
    add_files(f, tims_str_from(sql), tims_str_from(sql));
}

/* The file of this database. */
TIMS_UNUSED static tims_embedded *file_of(fixture *f, size_t number)
{
    return &f->files[(number - 1) * 2 + testing_on_postgres()];
}

/* What makemigrations does: one more migration, and the snapshot behind them. The plan of this database. */
TIMS_UNUSED static tims_migration_plan add_migration(fixture *f, const tims_model *const *models)
{
    tims_migration_plan sqlite = plan_for(f, models, TIMS_SQLITE);
    tims_migration_plan postgres = plan_for(f, models, TIMS_POSTGRES);
    f->file_count -= f->file_count % 2;
    add_files(f, sqlite.sql, postgres.sql);
    tims_str snapshot = tims_migrate_snapshot(f->arena, models);
    f->files[f->file_count++] = (tims_embedded){ "snapshot.json", snapshot.data, snapshot.length };
    f->files[f->file_count] = (tims_embedded){ NULL, NULL, 0 };
    set_models(f, models);
    return testing_on_postgres() ? postgres : sqlite;
}

TIMS_UNUSED static tims_status apply(fixture *f, tims_error *err)
{
    tims_buf applied;
    tims_buf_init(&applied, f->arena, 65536);
    return tims_migrate_apply(f->db, f->arena, &f->set, 1, f->models, &applied, err);
}

TIMS_UNUSED static tims_status check(fixture *f, tims_error *err)
{
    return tims_migrate_check(f->db, f->arena, &f->set, 1, f->models, err);
}

/* Also what loses data. */
TIMS_UNUSED static void must_apply(fixture *f)
{
    f->set.allow_destructive = true;
    tims_error err = { 0 };
    if (apply(f, &err) != TIMS_OK)
        fail_msg("%s (%s)", err.message, err.detail);
    if (check(f, &err) != TIMS_OK)
        fail_msg("%s", err.message);
}

TIMS_UNUSED static void run(fixture *f, const char *sql)
{
    tims_error err = { 0 };
    if (tims_db_script(f->session, tims_str_from(sql), &err) != TIMS_OK)
        fail_msg("%s (%s)", err.message, err.detail);
}

TIMS_UNUSED static tims_str text(fixture *f, const char *sql)
{
    tims_db_rows *rows = NULL;
    tims_error err = { 0 };
    if (tims_db_query(f->session, tims_str_from(sql), NULL, 0, &rows, &err) != TIMS_OK)
        fail_msg("%s (%s)", err.message, err.detail);
    assert_true(tims_db_next(rows));
    tims_str value = tims_copy(f->arena, tims_db_get_text(rows, 0));
    assert_int_equal(tims_db_rows_end(&rows, &err), TIMS_OK);
    return value;
}

TIMS_UNUSED static void assert_text(fixture *f, const char *sql, const char *expected)
{
    assert_string_equal(text(f, sql).data, expected);
}

/* Version 1 with two rows. */
TIMS_UNUSED static void begin_with_rows(fixture *f)
{
    add_migration(f, models_1);
    must_apply(f);
    run(f, "INSERT INTO author (id, name) VALUES ('" ID(
               "a1") "', 'Ann');"
                     "INSERT INTO book (id, author, title, pages) VALUES ('" ID("b1") "', '" ID(
                         "a1") "', 'One', 10), "
                               "('" ID("b2") "', '" ID("a1") "', 'Two', 20);");
}

TIMS_UNUSED static bool contains(tims_str text, const char *part)
{
    return tims_str_find(text, tims_str_from(part)) != SIZE_MAX;
}

#endif
