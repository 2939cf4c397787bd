/* transaction_test.c: transactions of many fibers, what ends them early, and who waits for a connection. */
#include "db/postgres/postgres_testing.h"

static void insert_some(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    tims_status status = TIMS_OK;
    for (int i = 0; i < 5 && status == TIMS_OK; i++) {
        tims_db_value values[] = { tims_db_int(w->number) };
        int64_t changed = 0;
        status = tims_db_run(session, S("INSERT INTO t (worker) VALUES (?1)"), values, 1, &changed, &err);
        w->step += (int)changed;
    }
    report(w, status, &err);
}

static void transactions_take_turns_on_the_connections_there_are(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=3", (tims_db_options){ 0 });
    worker workers[60];
    run_workers(f, insert_some, workers, 60);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(workers[i].status, TIMS_OK);
        assert_int_equal(workers[i].step, 5);
    }
    assert_int_equal(number_now(f, "SELECT count(*) FROM t"), 300);
}

/* --- statements that fail -------------------------------------------------------------------------- */

static void fail_and_go_on(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    int64_t value;
    assert_int_equal(tims_db_begin(session, &err), TIMS_OK);
    assert_int_equal(run(session, "INSERT INTO t (worker, name) VALUES (1, 'a')", &err), TIMS_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run(session, "INSERT INTO t (worker, name) VALUES (1, 'a')", &err), TIMS_CONFLICT);
        assert_string_equal(err.code, "unique");
        assert_true(tims_str_equal(err.fields->pointer, S("/name")));
        assert_null(strstr(err.detail, "(a)"));
    }
    assert_int_equal(tims_db_begin(session, &err), TIMS_OK);
    assert_int_equal(run(session, "INSERT INTO t (worker, name) VALUES (1, 'b')", &err), TIMS_OK);
    /* a read that fails does end the innermost part */
    assert_int_equal(read_number(session, "SELECT 1 / 0", NULL, 0, &value, &err), TIMS_INTERNAL);
    assert_int_equal(run(session, "INSERT INTO t (worker, name) VALUES (1, 'c')", &err), TIMS_INTERNAL);
    tims_db_rollback(session);
    assert_int_equal(run(session, "INSERT INTO t (worker, name) VALUES (1, 'd')", &err), TIMS_OK);
    assert_int_equal(tims_db_commit(session, &err), TIMS_OK);
    /* and the whole, when nobody rolls the part back */
    assert_int_equal(tims_db_begin(session, &err), TIMS_OK);
    assert_int_equal(run(session, "INSERT INTO t (worker, name) VALUES (1, 'e')", &err), TIMS_OK);
    assert_int_equal(read_number(session, "SELECT 1 / 0", NULL, 0, &value, &err), TIMS_INTERNAL);
    assert_int_equal(tims_db_commit(session, &err), TIMS_INTERNAL);
    report(w, TIMS_OK, &err);
}

static void a_write_that_fails_is_undone_alone(void **state)
{
    fixture *f = *state;
    open_with(f, "", (tims_db_options){ 0 });
    assert_int_equal(run_one(f, fail_and_go_on).status, TIMS_OK);
    assert_int_equal(number_now(f, "SELECT count(*) FROM t"), 2);
    assert_int_equal(number_now(f, "SELECT count(*) FROM t WHERE name IN ('a', 'd')"), 2);
}

/* Each holds what the other wants. */
static void lock_crosswise(void *argument)
{
    worker *w = argument;
    w->fiber = tims_fiber_self();
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    const char *mine = w->number == 0 ? "UPDATE t SET worker = 5 WHERE name = 'a'"
                                      : "UPDATE t SET worker = 5 WHERE name = 'b'";
    const char *theirs = w->number == 1 ? "UPDATE t SET worker = 5 WHERE name = 'a'"
                                        : "UPDATE t SET worker = 5 WHERE name = 'b'";
    assert_int_equal(tims_db_begin(session, &err), TIMS_OK);
    assert_int_equal(run(session, mine, &err), TIMS_OK);
    w->step = 1;
    while (w->other->step == 0)
        assert_int_equal(tims_sleep_ms(10), TIMS_OK);
    tims_status status = run(session, theirs, &err);
    if (status == TIMS_OK)
        status = tims_db_commit(session, &err);
    else
        tims_db_rollback(session);
    report(w, status, &err);
}

static void of_two_that_wait_for_each_other_one_is_told_to_try_again(void **state)
{
    fixture *f = *state;
    open_with(f, "", (tims_db_options){ 0 });
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_error err = { 0 };
    assert_int_equal(run(tims_db_session_new(f->db, NULL, arena),
                         "INSERT INTO t (worker, name) VALUES (1, 'a'), (2, 'b')", &err),
                     TIMS_OK);
    tims_arena_free(&arena);
    worker w[2];
    run_workers(f, lock_crosswise, w, 2);
    const worker *loser = w[0].status != TIMS_OK ? &w[0] : &w[1];
    assert_int_equal(loser->other->status == TIMS_OK ? TIMS_OK : loser->status, TIMS_OK);
    assert_int_equal(loser->status, TIMS_CONFLICT);
    assert_string_equal(loser->code, "serialization");
}

/* --- time ------------------------------------------------------------------------------------------ */

static void hold_too_long(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    int64_t value;
    assert_int_equal(tims_db_begin(session, &err), TIMS_OK);
    assert_int_equal(run(session, "INSERT INTO t (worker) VALUES (1)", &err), TIMS_OK);
    if (w->number == 0) /* it waits for something else */
        assert_int_equal(tims_sleep_ms(300), TIMS_OK);
    else /* for its own statement */
        assert_int_equal(read_number(session, "SELECT 1 FROM pg_sleep(5)", NULL, 0, &value, &err),
                         TIMS_TIMEOUT);
    assert_int_equal(run(session, "INSERT INTO t (worker) VALUES (2)", &err), TIMS_TIMEOUT);
    tims_status status = tims_db_commit(session, &err);
    assert_int_equal(number(session, "SELECT count(*) FROM t"), 0);
    report(w, status, &err);
}

static void a_transaction_that_is_held_too_long_is_rolled_back(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=3", (tims_db_options){ .transaction_max_ms = 100 });
    worker w[2];
    run_workers(f, hold_too_long, w, 2);
    assert_int_equal(w[0].status, TIMS_TIMEOUT);
    assert_int_equal(w[1].status, TIMS_TIMEOUT);
}

static void run_a_slow_statement(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    int64_t value = 0;
    tims_status status = read_number(session, "SELECT 1 FROM pg_sleep(5)", NULL, 0, &value, &err);
    assert_int_equal(number(session, "SELECT 3"), 3);
    report(w, status, &err);
}

static void a_statement_has_a_limit_of_time(void **state)
{
    fixture *f = *state;
    open_with(f, "statement_timeout=100ms", (tims_db_options){ 0 });
    worker w = run_one(f, run_a_slow_statement);
    assert_int_equal(w.status, TIMS_TIMEOUT);
}

static void wait_in_vain(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    tims_status status = tims_db_begin(session, &err);
    if (status == TIMS_OK) {
        assert_int_equal(tims_sleep_ms(2000), TIMS_OK);
        assert_int_equal(number(session, "SELECT 3"), 3);
        status = tims_db_commit(session, &err);
    }
    report(w, status, &err);
}

static void who_waits_too_long_for_a_connection_is_told_when_to_come_back(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=3", (tims_db_options){ .begin_timeout_ms = 1000 });
    worker w[5];
    run_workers(f, wait_in_vain, w, 5);
    int served = 0;
    for (int i = 0; i < 5; i++) {
        served += w[i].status == TIMS_OK;
        if (w[i].status == TIMS_OK)
            continue;
        assert_int_equal(w[i].status, TIMS_UNAVAILABLE);
        assert_string_equal(w[i].code, "database_busy");
        assert_true(w[i].retry_after_s > 0);
    }
    assert_int_equal(served, 2); /* the third connection is for reads */
}

/* --- fibers that end ------------------------------------------------------------------------------- */

/* Cancelled in the middle of a statement, inside of a transaction or a snapshot; and others go on. */
static void be_cancelled(void *argument)
{
    worker *w = argument;
    w->fiber = tims_fiber_self();
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    int64_t value = 0;
    if (w->number == 0) {
        assert_int_equal(tims_sleep_ms(150), TIMS_OK);
        tims_fiber_cancel(w->other->fiber);
        tims_fiber_cancel(w->other->other->fiber);
        for (int i = 0; i < 50; i++) {
            assert_int_equal(tims_db_begin(session, &err), TIMS_OK);
            assert_int_equal(number(session, "SELECT 8"), 8);
            assert_int_equal(tims_db_commit(session, &err), TIMS_OK);
        }
        report(w, TIMS_OK, &err);
        return;
    }
    if (w->number == 1) {
        assert_int_equal(tims_db_begin(session, &err), TIMS_OK);
        assert_int_equal(run(session, "INSERT INTO t (worker) VALUES (1)", &err), TIMS_OK);
    } else {
        assert_int_equal(tims_db_begin_snapshot(session, &err), TIMS_OK);
    }
    tims_status status = read_number(session, "SELECT 1 FROM pg_sleep(30)", NULL, 0, &value, &err);
    report(w, status, &err);
    tims_fiber_exit(); /* its arena ends what is open */
}

static void a_fiber_that_ends_in_a_statement_leaves_nothing_behind(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=4", (tims_db_options){ 0 });
    worker w[3];
    run_workers(f, be_cancelled, w, 3);
    assert_int_equal(w[0].status, TIMS_OK);
    assert_int_equal(w[1].status, TIMS_CANCELLED);
    assert_int_equal(w[2].status, TIMS_CANCELLED);
    assert_int_equal(number_now(f, "SELECT count(*) FROM t"), 0);
}

static const char sleeping[] = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                               "state = 'active' AND query LIKE '%pg_sleep(60)' AND pid <> pg_backend_pid()";

static void wait_until(tims_db_session *session, const char *sql, int64_t value)
{
    int64_t limit_us = tims_monotonic_us() + 20 * 1000000;
    while (number(session, sql) != value && tims_monotonic_us() < limit_us)
        assert_int_equal(tims_sleep_ms(20), TIMS_OK);
    assert_int_equal(number(session, sql), value);
}

static void cancel_the_slow(void *argument)
{
    worker *w = argument;
    w->fiber = tims_fiber_self();
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    int64_t value = 0;
    if (w->number == 1) {
        assert_int_equal(tims_db_begin(session, &err), TIMS_OK);
        tims_status status = read_number(session, "SELECT 1 FROM pg_sleep(60)", NULL, 0, &value, &err);
        report(w, status, &err);
        return;
    }
    wait_until(session, sleeping, 1);
    tims_fiber_cancel(w->other->fiber);
    wait_until(session, sleeping, 0);
    report(w, TIMS_OK, &err);
}

static void a_statement_nobody_waits_for_does_not_run_on_for_long(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=3", (tims_db_options){ 0 });
    worker w[2];
    run_workers(f, cancel_the_slow, w, 2);
    assert_int_equal(w[0].status, TIMS_OK);
    assert_int_equal(w[1].status, TIMS_CANCELLED);
}

/* --- changes of the schema --------------------------------------------------------------------------- */

static void a_change_of_the_schema_does_not_queue_up_behind_a_lock_for_long(void **state)
{
    fixture *f = *state;
    open_with(f, "", (tims_db_options){ .busy_timeout_ms = 100 });
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_db_session *session = tims_db_session_new(f->db, NULL, arena);
    tims_error err = { 0 };
    PGconn *other = PQconnectdb(f->url);
    PQclear(PQexec(other, "BEGIN; LOCK TABLE t IN ACCESS SHARE MODE"));
    assert_int_equal(PQtransactionStatus(other), PQTRANS_INTRANS);
    assert_int_equal(tims_db_begin_schema(session, &err), TIMS_OK);
    assert_int_equal(tims_db_script(session, S("ALTER TABLE t ADD COLUMN more TEXT"), &err),
                     TIMS_UNAVAILABLE);
    assert_string_equal(err.code, "database_busy");
    tims_db_rollback(session);
    PQfinish(other);
    assert_int_equal(tims_db_begin_schema(session, &err), TIMS_OK);
    assert_int_equal(tims_db_script(session, S("ALTER TABLE t ADD COLUMN more TEXT"), &err), TIMS_OK);
    assert_int_equal(tims_db_commit(session, &err), TIMS_OK);
    assert_int_equal(number(session, "SELECT count(more) FROM t"), 0);
    tims_arena_free(&arena);
}

static void what_no_transaction_can_hold_is_run_alone(void **state)
{
    fixture *f = *state;
    open_with(f, "", (tims_db_options){ 0 });
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_db_session *session = tims_db_session_new(f->db, NULL, arena);
    tims_error err = { 0 };
    tims_str concurrently = S("CREATE INDEX CONCURRENTLY t_worker ON t (worker)");
    assert_int_equal(tims_db_script(session, concurrently, &err), TIMS_INTERNAL);
    assert_int_equal(tims_db_script_alone(session, concurrently, &err), TIMS_OK);
    assert_int_equal(tims_db_script_alone(session, concurrently, &err), TIMS_INTERNAL); /* it is there */
    assert_int_equal(number(session, "SELECT count(*) FROM pg_indexes WHERE indexname = 't_worker'"), 1);
    /* what it may do, nobody else may */
    int64_t value;
    assert_int_equal(
        read_number(session, "INSERT INTO t (worker) VALUES (1) RETURNING 1", NULL, 0, &value, &err),
        TIMS_INTERNAL);
    tims_arena_free(&arena);
}

/* --- loops and threads ----------------------------------------------------------------------------- */

enum { LOOPS = 3, FIBERS = 12, TURNS = 20 };

/* A loop on a thread of its own, on a database that all share. */
typedef struct busy_loop {
    tims_db *db;
    tims_loop *loop;
    int left, wrong;
} busy_loop;

static void read_and_write(void *argument)
{
    busy_loop *b = argument;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_db_session *session = tims_db_session_new(b->db, b->loop, arena);
    tims_error err = { 0 };
    for (int i = 0; i < TURNS; i++) {
        int64_t value = 0, before = 0;
        tims_db_value values[] = { tims_db_int(i) };
        b->wrong +=
            read_number(session, "SELECT ?1::bigint", values, 1, &value, &err) != TIMS_OK || value != i;
        b->wrong += run(session, "INSERT INTO t (worker) VALUES (1)", &err) != TIMS_OK;
        b->wrong += tims_db_begin_snapshot(session, &err) != TIMS_OK;
        b->wrong += read_number(session, "SELECT count(*) FROM t", NULL, 0, &before, &err) != TIMS_OK;
        b->wrong += read_number(session, "SELECT count(*) FROM t", NULL, 0, &value, &err) != TIMS_OK;
        b->wrong += value != before || value == 0;
        tims_db_end_snapshot(session);
    }
    tims_arena_free(&arena);
    if (--b->left == 0)
        tims_loop_stop(b->loop);
}

static void start_fibers(void *argument)
{
    busy_loop *b = argument;
    b->left = FIBERS;
    for (int i = 0; i < FIBERS; i++)
        if (tims_fiber_start(b->loop, read_and_write, b) == NULL)
            b->wrong++;
}

static void *run_loop(void *argument)
{
    busy_loop *b = argument;
    if (tims_loop_new(&(tims_loop_options){ .watchdog_ms = 10000 }, &b->loop) != TIMS_OK)
        return b;
    tims_loop_post(b->loop, start_fibers, b);
    tims_loop_run(b->loop);
    tims_loop_free(&b->loop); /* its connections go with it, while others go on */
    return NULL;
}

static void count_commit(void *argument)
{
    atomic_fetch_add((atomic_int *)argument, 1);
}

static void loops_and_threads_share_a_database(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=3", (tims_db_options){ 0 });
    atomic_int commits = 0;
    tims_db_watch_commits(f->db, count_commit, &commits);
    busy_loop loops[LOOPS];
    pthread_t threads[LOOPS];
    for (int i = 0; i < LOOPS; i++) {
        loops[i] = (busy_loop){ .db = f->db };
        assert_int_equal(pthread_create(&threads[i], NULL, run_loop, &loops[i]), 0);
    }
    for (int i = 0; i < 20; i++) /* and a blocking session beside them */
        assert_int_equal(number_now(f, "SELECT 7"), 7);
    for (int i = 0; i < LOOPS; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
        assert_int_equal(loops[i].wrong, 0);
    }
    assert_int_equal(number_now(f, "SELECT count(*) FROM t"), LOOPS * FIBERS * TURNS);
    assert_int_equal(atomic_load(&commits), LOOPS * FIBERS * TURNS);
    tims_db_watch_commits(f->db, NULL, &commits);
}

static void look_at_the_version(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    int64_t before = 0, idle = 0, after = 0;
    char sql[160];
    assert_int_equal(tims_db_foreign_version(session, &before, &err), TIMS_OK);
    assert_int_equal(tims_db_foreign_version(session, &idle, &err), TIMS_OK);
    (void)snprintf(sql, sizeof sql, "INSERT INTO t (worker) VALUES (1)");
    testing_postgres_run(w->f->name, sql);
    assert_int_equal(tims_db_foreign_version(session, &after, &err), TIMS_OK);
    w->step = before > 0 && before <= idle && idle < after;
    report(w, TIMS_OK, &err);
}

static void a_commit_of_another_program_is_seen_in_the_version(void **state)
{
    fixture *f = *state;
    open_with(f, "", (tims_db_options){ 0 });
    assert_int_equal(run_one(f, look_at_the_version).step, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(transactions_take_turns_on_the_connections_there_are),
        TEST(a_write_that_fails_is_undone_alone),
        TEST(of_two_that_wait_for_each_other_one_is_told_to_try_again),
        TEST(a_transaction_that_is_held_too_long_is_rolled_back),
        TEST(a_statement_has_a_limit_of_time),
        TEST(who_waits_too_long_for_a_connection_is_told_when_to_come_back),
        TEST(a_fiber_that_ends_in_a_statement_leaves_nothing_behind),
        TEST(a_statement_nobody_waits_for_does_not_run_on_for_long),
        TEST(a_change_of_the_schema_does_not_queue_up_behind_a_lock_for_long),
        TEST(what_no_transaction_can_hold_is_run_alone),
        TEST(loops_and_threads_share_a_database),
        TEST(a_commit_of_another_program_is_seen_in_the_version),
    };
    return cmocka_run_group_tests_name("transaction", tests, NULL, NULL);
}
