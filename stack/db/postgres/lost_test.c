/* lost_test.c: connections that end under their users, in every state they can be in, and the pool that
 * heals. */
#include "db/postgres/postgres_testing.h"

/* All of this database but the blocking one, which does it. */
static void kill_others(fixture *f)
{
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_db_session *session = tims_db_session_new(f->db, NULL, arena);
    (void)number(session,
                 "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = "
                 "current_database() AND pid <> pg_backend_pid()");
    tims_arena_free(&arena);
}

static void lose_while_idle(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    for (int i = 0; i < 3; i++) {
        assert_int_equal(number(session, "SELECT 1"), 1);
        kill_others(w->f);
        int64_t value = 0; /* a plain read is sent again on another connection */
        assert_int_equal(read_number(session, "SELECT 2", NULL, 0, &value, &err), TIMS_OK);
        kill_others(w->f); /* and so is what a transaction or a snapshot starts with */
        assert_int_equal(run(session, "INSERT INTO t (worker) VALUES (1)", &err), TIMS_OK);
    }
    kill_others(w->f);
    assert_int_equal(tims_db_begin_snapshot(session, &err), TIMS_OK);
    assert_int_equal(number(session, "SELECT 4"), 4);
    kill_others(w->f);
    report(w, TIMS_OK, &err);
}

static void an_idle_connection_that_is_lost_is_replaced(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=3", (tims_db_options){ 0 });
    assert_int_equal(run_one(f, lose_while_idle).status, TIMS_OK);
    assert_int_equal(number_now(f, "SELECT count(*) FROM t"), 3);
}

static void lose_in_a_query(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    int64_t value = 0;
    if (w->number == 0) {
        assert_int_equal(tims_sleep_ms(100), TIMS_OK);
        kill_others(w->f);
        report(w, TIMS_OK, &err);
        return;
    }
    tims_status status = read_number(session, "SELECT 7 FROM pg_sleep(0.3)", NULL, 0, &value, &err);
    w->step = (int)value;
    report(w, status, &err);
}

static void a_plain_read_under_way_is_sent_again(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=2", (tims_db_options){ 0 });
    worker w[2];
    run_workers(f, lose_in_a_query, w, 2);
    assert_int_equal(w[1].status, TIMS_OK);
    assert_int_equal(w[1].step, 7);
}

static void lose_in_a_transaction(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    assert_int_equal(tims_db_begin(session, &err), TIMS_OK);
    assert_int_equal(run(session, "INSERT INTO t (worker) VALUES (1)", &err), TIMS_OK);
    assert_int_equal(tims_db_begin(session, &err), TIMS_OK);
    kill_others(w->f);
    assert_int_equal(run(session, "INSERT INTO t (worker) VALUES (2)", &err), TIMS_UNAVAILABLE);
    assert_true(err.retry_after_s > 0);
    assert_int_equal(run(session, "INSERT INTO t (worker) VALUES (2)", &err), TIMS_UNAVAILABLE);
    assert_true(err.retry_after_s > 0);
    tims_db_rollback(session);
    tims_status status = tims_db_commit(session, &err);
    assert_int_equal(number(session, "SELECT count(*) FROM t"), 0);
    report(w, status, &err);
}

static void a_transaction_whose_connection_is_lost_says_so_to_its_end(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=3", (tims_db_options){ 0 });
    assert_int_equal(run_one(f, lose_in_a_transaction).status, TIMS_UNAVAILABLE);
}

static void lose_before_the_commit(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    assert_int_equal(tims_db_begin(session, &err), TIMS_OK);
    assert_int_equal(run(session, "INSERT INTO t (worker) VALUES (1)", &err), TIMS_OK);
    kill_others(w->f);
    tims_status status = tims_db_commit(session, &err);
    assert_int_equal(number(session, "SELECT count(*) FROM t"), 0);
    report(w, status, &err);
}

static void a_commit_that_meets_no_database_is_unavailable(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=3", (tims_db_options){ 0 });
    worker w = run_one(f, lose_before_the_commit);
    assert_int_equal(w.status, TIMS_UNAVAILABLE);
    assert_true(w.retry_after_s > 0);
}

static void lose_in_a_snapshot(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    int64_t value = 0;
    assert_int_equal(tims_db_begin_snapshot(session, &err), TIMS_OK);
    assert_int_equal(number(session, "SELECT 1"), 1);
    kill_others(w->f);
    assert_int_equal(read_number(session, "SELECT 2", NULL, 0, &value, &err), TIMS_UNAVAILABLE);
    tims_db_end_snapshot(session);
    assert_int_equal(tims_db_begin_snapshot(session, &err), TIMS_OK);
    assert_int_equal(number(session, "SELECT 3"), 3);
    tims_db_end_snapshot(session);
    report(w, TIMS_OK, &err);
}

static void a_snapshot_whose_connection_is_lost_is_over(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=3", (tims_db_options){ 0 });
    assert_int_equal(run_one(f, lose_in_a_snapshot).status, TIMS_OK);
}

static void blocking_sessions_find_new_connections_too(void **state)
{
    fixture *f = *state;
    open_with(f, "", (tims_db_options){ 0 });
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_db_session *session = tims_db_session_new(f->db, NULL, arena);
    tims_error err = { 0 };
    assert_int_equal(number(session, "SELECT 1"), 1);
    char sql[160];
    (void)snprintf(sql, sizeof sql,
                   "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '%s'",
                   f->name);
    testing_postgres_run("postgres", sql);
    assert_int_equal(number(session, "SELECT 2"), 2);
    assert_int_equal(tims_db_begin(session, &err), TIMS_OK);
    assert_int_equal(run(session, "INSERT INTO t (worker) VALUES (1)", &err), TIMS_OK);
    testing_postgres_run("postgres", sql);
    assert_int_equal(run(session, "INSERT INTO t (worker) VALUES (1)", &err), TIMS_UNAVAILABLE);
    assert_int_equal(tims_db_commit(session, &err), TIMS_UNAVAILABLE);
    assert_int_equal(number(session, "SELECT count(*) FROM t"), 0);
    tims_arena_free(&arena);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_idle_connection_that_is_lost_is_replaced),
        TEST(a_plain_read_under_way_is_sent_again),
        TEST(a_transaction_whose_connection_is_lost_says_so_to_its_end),
        TEST(a_commit_that_meets_no_database_is_unavailable),
        TEST(a_snapshot_whose_connection_is_lost_is_over),
        TEST(blocking_sessions_find_new_connections_too),
    };
    return cmocka_run_group_tests_name("lost", tests, NULL, NULL);
}
