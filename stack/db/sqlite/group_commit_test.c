/* group_commit_test.c: many fibers and threads at the one writer: groups, isolation, waiting, losing it. */
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

static void count_commit(void *argument)
{
    atomic_fetch_add((atomic_int *)argument, 1);
}

static void open_with(fixture *f, tims_db_options options)
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

static int set_up(void **state)
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

static int tear_down(void **state)
{
    fixture *f = *state;
    tims_loop_free(&f->loop);
    tims_db_close(&f->db);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", f->folder);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static int64_t number(tims_db_session *session, const char *sql)
{
    tims_db_rows *rows = NULL;
    tims_error err = { 0 };
    assert_int_equal(tims_db_query(session, tims_str_from(sql), NULL, 0, &rows, &err), TIMS_OK);
    assert_true(tims_db_next(rows));
    int64_t value = tims_db_get_int(rows, 0);
    assert_int_equal(tims_db_rows_end(&rows, &err), TIMS_OK);
    return value;
}

static int64_t number_now(fixture *f, const char *sql)
{
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    int64_t value = number(tims_db_session_new(f->db, NULL, arena), sql);
    tims_arena_free(&arena);
    return value;
}

static void end_fiber(void *argument)
{
    fixture *f = argument;
    if (++f->ended == f->started)
        tims_loop_stop(f->loop);
}

static void free_arena(void *argument)
{
    tims_arena *arena = argument;
    tims_arena_free(&arena);
}

/* The scope of a fiber: an arena that ends when it does, however it ends. */
static tims_db_session *session_of(worker *w)
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

static void run_one(void *argument)
{
    start *s = argument;
    s->function(&s->workers[s->f->started - 1]);
}

static void start_all(void *argument)
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

static void run_workers(fixture *f, tims_fiber_fn function, worker *workers, int count)
{
    start s = { f, function, workers, count };
    f->started = f->ended = 0;
    tims_loop_post(f->loop, start_all, &s);
    tims_loop_run(f->loop);
}

static void report(worker *w, tims_status status, const tims_error *err)
{
    w->status = status;
    (void)snprintf(w->message, sizeof w->message, "%s", err->message);
    end_fiber(w->f);
}

static tims_status insert(tims_db_session *session, int who, const char *name, tims_error *err)
{
    tims_db_value values[] = { tims_db_int(who),
                               name != NULL ? tims_db_text(tims_str_from(name)) : tims_db_null() };
    return tims_db_run(session, S("INSERT INTO t (worker, name) VALUES (?1, ?2)"), values, 2, NULL, err);
}

/* --- groups ------------------------------------------------------------------------------------------ */

static void insert_one(void *argument)
{
    worker *w = argument;
    tims_error err = { 0 };
    report(w, insert(session_of(w), w->number, NULL, &err), &err);
}

static void sixty_four_fibers_share_a_few_commits(void **state)
{
    fixture *f = *state;
    open_with(f, (tims_db_options){ 0 });
    worker workers[64];
    run_workers(f, insert_one, workers, 64);
    for (int i = 0; i < 64; i++)
        assert_int_equal(workers[i].status, TIMS_OK);
    assert_int_equal(number_now(f, "SELECT count(DISTINCT worker) FROM t"), 64);
    print_message("64 durable inserts in %d commits\n", atomic_load(&f->commits));
    assert_in_range(atomic_load(&f->commits), 1, 16);
}

static void a_full_group_is_committed_though_others_wait(void **state)
{
    fixture *f = *state;
    open_with(f, (tims_db_options){ .group_max = 4 });
    worker workers[64];
    run_workers(f, insert_one, workers, 64);
    assert_int_equal(number_now(f, "SELECT count(*) FROM t"), 64);
    assert_in_range(atomic_load(&f->commits), 16, 64);
}

/* Every third fails on a constraint, every third rolls back by itself, the others are kept. */
static void mixed(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    tims_status status = tims_db_begin(session, &err);
    if (status == TIMS_OK)
        status = insert(session, w->number, NULL, &err);
    if (status == TIMS_OK && w->number % 3 == 0)
        status = insert(session, w->number, "the same", &err);
    if (status == TIMS_OK && w->number % 3 != 1)
        status = tims_db_commit(session, &err);
    else
        tims_db_rollback(session);
    report(w, status, &err);
}

static void one_failing_transaction_does_not_spoil_its_group(void **state)
{
    fixture *f = *state;
    open_with(f, (tims_db_options){ 0 });
    worker workers[60];
    run_workers(f, mixed, workers, 60);
    int conflicts = 0, fine = 0;
    for (int i = 0; i < 60; i++) {
        conflicts += workers[i].status == TIMS_CONFLICT;
        fine += workers[i].status == TIMS_OK;
    }
    assert_int_equal(conflicts, 19); /* of twenty with the same name, one is first */
    assert_int_equal(fine, 41);
    assert_int_equal(number_now(f, "SELECT count(*) FROM t WHERE worker % 3 = 0"), 2);
    assert_int_equal(number_now(f, "SELECT count(*) FROM t WHERE worker % 3 = 1"), 0);
    assert_int_equal(number_now(f, "SELECT count(*) FROM t WHERE worker % 3 = 2"), 20);
}

static void read_own_write(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    tims_status status = insert(session, w->number, NULL, &err);
    char sql[80];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM t WHERE worker = %d", w->number);
    if (status == TIMS_OK && number(session, sql) != 1)
        status = TIMS_NOT_FOUND;
    report(w, status, &err);
}

static void what_was_committed_is_there_for_the_next_read(void **state)
{
    fixture *f = *state;
    open_with(f, (tims_db_options){ 0 });
    worker workers[40];
    run_workers(f, read_own_write, workers, 40);
    for (int i = 0; i < 40; i++)
        assert_int_equal(workers[i].status, TIMS_OK);
}

/* --- leaving ----------------------------------------------------------------------------------------- */

static void leave_in_the_middle(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    w->status = tims_db_begin(session, &err);
    if (w->status == TIMS_OK)
        w->status = insert(session, w->number, NULL, &err);
    if (w->number % 2 == 0) {
        end_fiber(w->f);
        tims_fiber_exit();
    }
    w->status = tims_db_commit(session, &err);
    end_fiber(w->f);
}

static void a_fiber_that_leaves_rolls_back_and_lets_the_writer_go(void **state)
{
    fixture *f = *state;
    open_with(f, (tims_db_options){ 0 });
    worker workers[20];
    run_workers(f, leave_in_the_middle, workers, 20);
    assert_int_equal(number_now(f, "SELECT count(*) FROM t"), 10);
    assert_int_equal(number_now(f, "SELECT count(*) FROM t WHERE worker % 2 = 0"), 0);
}

/* The first holds the writer until the second has been cancelled while waiting for it. */
static void hold_and_cancel(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    if (w->number == 0) {
        tims_status status = tims_db_begin(session, &err);
        while (status == TIMS_OK && w->other->step == 0)
            status = tims_sleep_ms(1);
        tims_fiber_cancel(w->other->fiber);
        while (status == TIMS_OK && w->other->step == 1)
            status = tims_sleep_ms(1);
        if (status == TIMS_OK)
            status = insert(session, 0, NULL, &err);
        if (status == TIMS_OK)
            status = tims_db_commit(session, &err);
        report(w, status, &err);
        return;
    }
    w->step = 1;
    tims_status status = tims_db_begin(session, &err);
    w->step = 2;
    report(w, status, &err);
}

static void a_cancelled_fiber_leaves_the_queue(void **state)
{
    fixture *f = *state;
    open_with(f, (tims_db_options){ 0 });
    worker workers[2];
    run_workers(f, hold_and_cancel, workers, 2);
    assert_int_equal(workers[0].status, TIMS_OK);
    assert_int_equal(workers[1].status, TIMS_CANCELLED);
    assert_int_equal(number_now(f, "SELECT count(*) FROM t"), 1);
}

/* The first keeps the writer for ever; the second only wants to insert. */
static void hold_too_long(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    if (w->number == 0) {
        tims_db_rows *rows = NULL;
        tims_status status = tims_db_begin(session, &err);
        if (status == TIMS_OK)
            status = insert(session, 0, NULL, &err);
        if (status == TIMS_OK)
            status = tims_db_query(session, S("SELECT 1 UNION SELECT 2"), NULL, 0, &rows, &err);
        bool row = status == TIMS_OK && tims_db_next(rows);
        while (status == TIMS_OK && w->other->step == 0)
            status = tims_sleep_ms(5);
        if (status == TIMS_OK && row && !tims_db_next(rows))
            status = tims_db_rows_end(&rows, &err);
        tims_status next = insert(session, 0, NULL, &err);
        if (status == TIMS_TIMEOUT)
            status = next;
        next = tims_db_commit(session, &err);
        report(w, status == TIMS_TIMEOUT ? next : TIMS_INTERNAL, &err);
        return;
    }
    tims_status status = insert(session, 1, NULL, &err);
    w->step = 1;
    report(w, status, &err);
}

static void a_transaction_held_too_long_is_rolled_back(void **state)
{
    fixture *f = *state;
    open_with(f, (tims_db_options){ .transaction_max_ms = 60 });
    worker workers[2];
    run_workers(f, hold_too_long, workers, 2);
    assert_int_equal(workers[0].status, TIMS_TIMEOUT);
    assert_int_equal(workers[1].status, TIMS_OK);
    assert_int_equal(number_now(f, "SELECT sum(worker) FROM t"), 1);
    assert_int_equal(number_now(f, "SELECT count(*) FROM t"), 1);
}

static void hold_until_the_other_gave_up(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    tims_status status = tims_db_begin(session, &err);
    if (w->number == 1)
        w->step = 1;
    while (w->number == 0 && status == TIMS_OK && w->other->step == 0)
        status = tims_sleep_ms(5);
    if (status == TIMS_OK)
        status = tims_db_commit(session, &err);
    report(w, status, &err);
}

static void waiting_for_the_writer_has_an_end(void **state)
{
    fixture *f = *state;
    open_with(f, (tims_db_options){ .begin_timeout_ms = 40 });
    worker workers[2];
    run_workers(f, hold_until_the_other_gave_up, workers, 2);
    assert_int_equal(workers[0].status, TIMS_OK);
    assert_int_equal(workers[1].status, TIMS_UNAVAILABLE);
    assert_true(strlen(workers[1].message) > 20);
}

static void wait_with_deadline(void *argument)
{
    worker *w = argument;
    if (w->number == 1)
        (void)tims_fiber_set_deadline(tims_monotonic_us() + 30000);
    hold_until_the_other_gave_up(w);
}

static void a_fibers_own_deadline_ends_the_waiting_too(void **state)
{
    fixture *f = *state;
    open_with(f, (tims_db_options){ 0 });
    worker workers[2];
    run_workers(f, wait_with_deadline, workers, 2);
    assert_int_equal(workers[0].status, TIMS_OK);
    assert_int_equal(workers[1].status, TIMS_TIMEOUT);
}

/* --- failing ----------------------------------------------------------------------------------------- */

/* Another connection, as another program would have. */
static sqlite3 *foreign(fixture *f)
{
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open(f->path, &handle), SQLITE_OK);
    return handle;
}

static void *foreign_holds_for_a_while(void *argument)
{
    sqlite3 *handle = argument;
    usleep(150000);
    assert_int_equal(sqlite3_exec(handle, "INSERT INTO t (worker) VALUES (99); COMMIT", NULL, NULL, NULL),
                     SQLITE_OK);
    return NULL;
}

static void run_with_foreign_writer(fixture *f, worker *workers, int count)
{
    sqlite3 *handle = foreign(f);
    assert_int_equal(sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, foreign_holds_for_a_while, handle), 0);
    run_workers(f, insert_one, workers, count);
    pthread_join(thread, NULL);
    sqlite3_close(handle);
}

static void another_programs_transaction_is_waited_for_off_the_loop(void **state)
{
    fixture *f = *state;
    open_with(f, (tims_db_options){ 0 });
    worker workers[10];
    run_with_foreign_writer(f, workers, 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(workers[i].status, TIMS_OK);
    assert_int_equal(number_now(f, "SELECT count(*) FROM t"), 11);
}

static void another_program_that_writes_for_too_long_means_unavailable(void **state)
{
    fixture *f = *state;
    open_with(f, (tims_db_options){ .busy_timeout_ms = 30 });
    sqlite3 *handle = foreign(f);
    assert_int_equal(sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    worker workers[5];
    run_workers(f, insert_one, workers, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(workers[i].status, TIMS_UNAVAILABLE);
        assert_non_null(strstr(workers[i].message, "another program"));
    }
    sqlite3_close(handle);
    run_workers(f, insert_one, workers, 5);
    assert_int_equal(number_now(f, "SELECT count(*) FROM t"), 5);
}

/* Fills the pages it may have: some succeed, one meets the limit in the middle of a group. */
static void fill(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    tims_status status = tims_db_run(
        session, S("INSERT INTO t (worker, name) VALUES (1, hex(randomblob(8000)))"), NULL, 0, NULL, &err);
    report(w, status, &err);
}

static void a_full_disk_fails_those_it_hits_and_keeps_every_answered_write(void **state)
{
    fixture *f = *state;
    open_with(f, (tims_db_options){ 0 });
    assert_int_equal(number_now(f, "SELECT 1"), 1);
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_db_session *session = tims_db_session_new(f->db, NULL, arena);
    tims_error err = { 0 };
    assert_int_equal(tims_db_run(session, S("PRAGMA max_page_count = 100"), NULL, 0, NULL, &err), TIMS_OK);
    worker workers[64];
    run_workers(f, fill, workers, 64);
    int kept = 0, refused = 0;
    for (int i = 0; i < 64; i++) {
        kept += workers[i].status == TIMS_OK;
        refused += workers[i].status == TIMS_UNAVAILABLE;
    }
    assert_int_equal(kept + refused, 64);
    assert_true(refused > 0);
    assert_int_equal(number(session, "SELECT count(*) FROM t"), kept);
    assert_int_equal(tims_db_run(session, S("PRAGMA max_page_count = 100000"), NULL, 0, NULL, &err), TIMS_OK);
    run_workers(f, fill, workers, 8);
    assert_int_equal(number(session, "SELECT count(*) FROM t"), kept + 8);
    tims_arena_free(&arena);
}

/* --- threads ----------------------------------------------------------------------------------------- */

enum { THREADS = 3, ROUNDS = 40, FIBERS = 8 };

typedef struct crowd {
    fixture *f;
    tims_loop *loop; /* NULL: a blocking thread */
    int live, done, failed;
} crowd;

static void write_rounds(tims_db_session *session, crowd *c)
{
    for (int i = 0; i < ROUNDS; i++) {
        tims_error err = { 0 };
        tims_status status = tims_db_begin(session, &err);
        if (status == TIMS_OK)
            status = insert(session, i, NULL, &err);
        if (status == TIMS_OK && i % 4 == 3) {
            tims_db_rollback(session);
            continue;
        }
        if (status == TIMS_OK)
            status = tims_db_commit(session, &err);
        if (status == TIMS_OK)
            c->done++;
        else
            c->failed++;
        if (number(session, "SELECT count(*) FROM t") < c->done)
            c->failed++;
    }
}

static void crowd_fiber(void *argument)
{
    crowd *c = argument;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    write_rounds(tims_db_session_new(c->f->db, c->loop, arena), c);
    tims_arena_free(&arena);
    if (--c->live == 0)
        tims_loop_stop(c->loop);
}

static void start_crowd(void *argument)
{
    crowd *c = argument;
    c->live = FIBERS;
    for (int i = 0; i < FIBERS; i++)
        assert_non_null(tims_fiber_start(c->loop, crowd_fiber, c));
}

static void *crowd_thread(void *argument)
{
    crowd *c = argument;
    if (c->loop != NULL) {
        tims_loop_post(c->loop, start_crowd, c);
        tims_loop_run(c->loop);
        return NULL;
    }
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    write_rounds(tims_db_session_new(c->f->db, NULL, arena), c);
    tims_arena_free(&arena);
    return NULL;
}

static void loops_and_blocking_threads_write_together(void **state)
{
    fixture *f = *state;
    open_with(f, (tims_db_options){ 0 });
    crowd crowds[THREADS] = { { 0 } };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        crowds[i].f = f;
        if (i > 0)
            assert_int_equal(
                tims_loop_new(&(tims_loop_options){ .index = i, .watchdog_ms = 10000 }, &crowds[i].loop),
                TIMS_OK);
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_thread, &crowds[i]), 0);
    }
    int done = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        tims_loop_free(&crowds[i].loop);
        assert_int_equal(crowds[i].failed, 0);
        done += crowds[i].done;
    }
    assert_int_equal(done, (1 + 2 * FIBERS) * ROUNDS * 3 / 4);
    assert_int_equal(number_now(f, "SELECT count(*) FROM t"), done);
}

/* --- reads ------------------------------------------------------------------------------------------- */

/* More open rows on one loop than it may have connections. */
static void hold_rows(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    tims_db_rows *rows = NULL;
    tims_status status = tims_db_query(session, S("SELECT 1 UNION SELECT 2"), NULL, 0, &rows, &err);
    if (status == TIMS_OK && tims_db_next(rows))
        status = tims_sleep_ms(1);
    if (status == TIMS_OK)
        status = tims_db_rows_end(&rows, &err);
    report(w, status, &err);
}

static void reads_beyond_the_pool_wait_for_their_turn(void **state)
{
    fixture *f = *state;
    open_with(f, (tims_db_options){ 0 });
    worker workers[50];
    run_workers(f, hold_rows, workers, 50);
    for (int i = 0; i < 50; i++)
        assert_int_equal(workers[i].status, TIMS_OK);
}

/* The reader sees one state while the writer commits beside it. */
static void read_a_snapshot(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    if (w->number == 1) {
        tims_status status = TIMS_OK;
        for (int i = 0; i < 20 && status == TIMS_OK; i++)
            status = insert(session, i, NULL, &err);
        w->step = 1;
        report(w, status, &err);
        return;
    }
    tims_status status = tims_db_begin_snapshot(session, &err);
    int64_t before = status == TIMS_OK ? number(session, "SELECT count(*) FROM t") : -1;
    while (status == TIMS_OK && w->other->step == 0)
        status = tims_sleep_ms(1);
    if (status == TIMS_OK && number(session, "SELECT count(*) FROM t") != before)
        status = TIMS_CONFLICT;
    tims_db_end_snapshot(session);
    if (status == TIMS_OK && number(session, "SELECT count(*) FROM t") != before + 20)
        status = TIMS_CONFLICT;
    report(w, status, &err);
}

static void a_fibers_snapshot_stands_still_while_another_commits(void **state)
{
    fixture *f = *state;
    open_with(f, (tims_db_options){ 0 });
    worker workers[2];
    run_workers(f, read_a_snapshot, workers, 2);
    assert_int_equal(workers[0].status, TIMS_OK);
    assert_int_equal(workers[1].status, TIMS_OK);
}

static void the_foreign_version_moves_when_another_program_commits(void **state)
{
    fixture *f = *state;
    open_with(f, (tims_db_options){ 0 });
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_db_session *session = tims_db_session_new(f->db, NULL, arena);
    tims_error err = { 0 };
    int64_t first = 0, second = 0, third = 0;
    assert_int_equal(tims_db_foreign_version(session, &first, &err), TIMS_OK);
    assert_int_equal(tims_db_foreign_version(session, &second, &err), TIMS_OK);
    assert_int_equal(first, second);
    sqlite3 *handle = foreign(f);
    assert_int_equal(sqlite3_exec(handle, "INSERT INTO t (worker) VALUES (1)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
    assert_int_equal(tims_db_foreign_version(session, &third, &err), TIMS_OK);
    assert_int_not_equal(third, second);
    tims_arena_free(&arena);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(sixty_four_fibers_share_a_few_commits),
        TEST(a_full_group_is_committed_though_others_wait),
        TEST(one_failing_transaction_does_not_spoil_its_group),
        TEST(what_was_committed_is_there_for_the_next_read),
        TEST(a_fiber_that_leaves_rolls_back_and_lets_the_writer_go),
        TEST(a_cancelled_fiber_leaves_the_queue),
        TEST(a_transaction_held_too_long_is_rolled_back),
        TEST(waiting_for_the_writer_has_an_end),
        TEST(a_fibers_own_deadline_ends_the_waiting_too),
        TEST(another_programs_transaction_is_waited_for_off_the_loop),
        TEST(another_program_that_writes_for_too_long_means_unavailable),
        TEST(a_full_disk_fails_those_it_hits_and_keeps_every_answered_write),
        TEST(loops_and_blocking_threads_write_together),
        TEST(reads_beyond_the_pool_wait_for_their_turn),
        TEST(a_fibers_snapshot_stands_still_while_another_commits),
        TEST(the_foreign_version_moves_when_another_program_commits),
    };
    return cmocka_run_group_tests_name("group commit", tests, NULL, NULL);
}
