/* migrate_testing.h: a database with an author and books, for the tests of migrations and of the change
 * log. */
#ifndef TIMS_MIGRATE_TESTING_H
#define TIMS_MIGRATE_TESTING_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tims/model.h"

#define S(literal) TIMS_STR(literal)

/* A folder of a test and all in it. */
TIMS_UNUSED static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

TIMS_UNUSED static void remove_folder(const char *folder)
{
    assert_int_equal(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Runs the sqlite3 program (missing: apt-get install sqlite3); its exit status. */
TIMS_UNUSED static int run_sqlite3(const char *path, const char *sql)
{
    int how = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)execlp("sqlite3", "sqlite3", "-cmd", ".timeout 8000", path, sql, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

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

typedef struct fixture {
    char folder[64], url[128], path[96];
    tims_db *db;
    tims_arena *arena;
    tims_db_session *session;
    tims_embedded files[16];
    size_t file_count;
    tims_migration_set set;
    tims_models *models;
} fixture;

TIMS_UNUSED static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/tims-migrate-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof f->path, "%s/t.sqlite3", f->folder);
    (void)snprintf(f->url, sizeof f->url, "sqlite:%s", f->path);
    tims_error err = { 0 };
    assert_int_equal(tims_db_open(&(tims_db_options){ .url = tims_str_from(f->url) }, &f->db, &err), TIMS_OK);
    f->arena = tims_arena_new(1 << 26, NULL, NULL);
    f->session = tims_db_session_new(f->db, NULL, f->arena);
    *state = f;
    return 0;
}

TIMS_UNUSED static int tear_down(void **state)
{
    fixture *f = *state;
    tims_arena_free(&f->arena);
    tims_db_close(&f->db);
    remove_folder(f->folder);
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

/* What makemigrations does: one more file, and the snapshot behind them. */
TIMS_UNUSED static tims_migration_plan add_migration(fixture *f, const tims_model *const *models)
{
    tims_error err = { 0 };
    tims_migration_plan plan;
    tims_status status = tims_migrate_plan(f->arena, snapshot_of(f), models, TIMS_SQLITE, &plan, &err);
    if (status != TIMS_OK)
        fail_msg("%s", err.message);
    if (f->file_count > 0)
        f->file_count--;
    tims_str name = tims_print(f->arena, "%04d_step.sql", (int)f->file_count + 1);
    tims_str snapshot = tims_migrate_snapshot(f->arena, models);
    f->files[f->file_count++] = (tims_embedded){ name.data, plan.sql.data, plan.sql.length };
    f->files[f->file_count++] = (tims_embedded){ "snapshot.json", snapshot.data, snapshot.length };
    f->files[f->file_count] = (tims_embedded){ NULL, NULL, 0 };
    set_models(f, models);
    return plan;
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

TIMS_UNUSED static void must_apply(fixture *f)
{
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
    run(f, "INSERT INTO author (id, name) VALUES ('a1', 'Ann');"
           "INSERT INTO book (id, author, title, pages) VALUES ('b1', 'a1', 'One', 10), ('b2', 'a1', 'Two', "
           "20);");
}

TIMS_UNUSED static bool contains(tims_str text, const char *part)
{
    return tims_str_find(text, tims_str_from(part)) != SIZE_MAX;
}

#endif
