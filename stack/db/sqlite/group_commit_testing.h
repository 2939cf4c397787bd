/* group_commit_testing.h: many fibers on one loop and one database, for the tests of the writer. */
#ifndef TIMS_GROUP_COMMIT_TESTING_H
#define TIMS_GROUP_COMMIT_TESTING_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "db/db_testing.h"
#include "tims/db.h"

#define S(literal) TIMS_STR(literal)

typedef struct fixture {
    char folder[64], url[128], path[96];
    tims_db *db;
    tims_loop *loop;
    atomic_int commits;
    int started, ended;
} fixture;

/* One fiber of a test, and what it saw. */
typedef struct worker {
    fixture *f;
    int number;
    tims_status status;
    char message[256];
    tims_fiber *fiber;
    struct worker *other;
    int step;
} worker;

TIMS_UNUSED static void count_commit(void *argument)
{
    atomic_fetch_add((atomic_int *)argument, 1);
}

TIMS_UNUSED static void open_with(fixture *f, tims_db_options options)
{
    options.url = tims_str_from(f->url);
    tims_error err = { 0 };
    assert_int_equal(tims_db_open(&options, &f->db, &err), TIMS_OK);
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_db_session *session = tims_db_session_new(f->db, NULL, arena);
    tims_str schema =
        S("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, worker INTEGER NOT NULL, name TEXT "
          "UNIQUE) STRICT");
    assert_int_equal(tims_db_script(session, schema, &err), TIMS_OK);
    tims_arena_free(&arena);
    tims_db_watch_commits(f->db, count_commit, &f->commits);
}

TIMS_UNUSED static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/tims-group-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof f->path, "%s/t.sqlite3", f->folder);
    (void)snprintf(f->url, sizeof f->url, "sqlite:%s", f->path);
    assert_int_equal(tims_loop_new(&(tims_loop_options){ .watchdog_ms = 10000 }, &f->loop), TIMS_OK);
    *state = f;
    return 0;
}

TIMS_UNUSED static int tear_down(void **state)
{
    fixture *f = *state;
    tims_loop_free(&f->loop);
    tims_db_close(&f->db);
    remove_folder(f->folder);
    free(f);
    return 0;
}

TIMS_UNUSED static int64_t number(tims_db_session *session, const char *sql)
{
    tims_db_rows *rows = NULL;
    tims_error err = { 0 };
    assert_int_equal(tims_db_query(session, tims_str_from(sql), NULL, 0, &rows, &err), TIMS_OK);
    assert_true(tims_db_next(rows));
    int64_t value = tims_db_get_int(rows, 0);
    assert_int_equal(tims_db_rows_end(&rows, &err), TIMS_OK);
    return value;
}

TIMS_UNUSED static int64_t number_now(fixture *f, const char *sql)
{
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    int64_t value = number(tims_db_session_new(f->db, NULL, arena), sql);
    tims_arena_free(&arena);
    return value;
}

TIMS_UNUSED static void end_fiber(void *argument)
{
    fixture *f = argument;
    if (++f->ended == f->started)
        tims_loop_stop(f->loop);
}

TIMS_UNUSED static void free_arena(void *argument)
{
    tims_arena *arena = argument;
    tims_arena_free(&arena);
}

/* The scope of a fiber: an arena that ends when it does, however it ends. */
TIMS_UNUSED static tims_db_session *session_of(worker *w)
{
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_fiber_on_end(tims_fiber_self(), free_arena, arena);
    return tims_db_session_new(w->f->db, w->f->loop, arena);
}

/* Starts the workers when the loop runs, so that they are all there at once. */
typedef struct start {
    fixture *f;
    tims_fiber_fn function;
    worker *workers;
    int count;
} start;

TIMS_UNUSED static void run_one(void *argument)
{
    start *s = argument;
    s->function(&s->workers[s->f->started - 1]);
}

TIMS_UNUSED static void start_all(void *argument)
{
    start *s = argument;
    for (int i = 0; i < s->count; i++) {
        worker *w = &s->workers[i];
        *w = (worker){ .f = s->f, .number = i, .other = &s->workers[(i + 1) % s->count] };
    }
    for (int i = 0; i < s->count; i++) {
        s->f->started++;
        s->workers[i].fiber = tims_fiber_start(s->f->loop, run_one, s);
    }
}

TIMS_UNUSED static void run_workers(fixture *f, tims_fiber_fn function, worker *workers, int count)
{
    start s = { f, function, workers, count };
    f->started = f->ended = 0;
    tims_loop_post(f->loop, start_all, &s);
    tims_loop_run(f->loop);
}

TIMS_UNUSED static void report(worker *w, tims_status status, const tims_error *err)
{
    w->status = status;
    (void)snprintf(w->message, sizeof w->message, "%s", err->message);
    end_fiber(w->f);
}

TIMS_UNUSED static tims_status insert(tims_db_session *session, int who, const char *name, tims_error *err)
{
    tims_db_value values[] = { tims_db_int(who),
                               name != NULL ? tims_db_text(tims_str_from(name)) : tims_db_null() };
    return tims_db_run(session, S("INSERT INTO t (worker, name) VALUES (?1, ?2)"), values, 2, NULL, err);
}

TIMS_UNUSED static void insert_one(void *argument)
{
    worker *w = argument;
    tims_error err = { 0 };
    report(w, insert(session_of(w), w->number, NULL, &err), &err);
}

/* Another connection, as another program would have. */
TIMS_UNUSED static sqlite3 *foreign(fixture *f)
{
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open(f->path, &handle), SQLITE_OK);
    return handle;
}

#endif
