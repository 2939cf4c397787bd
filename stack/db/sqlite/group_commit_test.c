/* group_commit_test.c: many fibers and threads at the one writer: groups, isolation, snapshots beside
 * them. */
#include "db/sqlite/group_commit_testing.h"

/* --- groups ------------------------------------------------------------------------------------------ */

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
        TEST(loops_and_blocking_threads_write_together),
        TEST(reads_beyond_the_pool_wait_for_their_turn),
        TEST(a_fibers_snapshot_stands_still_while_another_commits),
        TEST(the_foreign_version_moves_when_another_program_commits),
    };
    return cmocka_run_group_tests_name("group commit", tests, NULL, NULL);
}
