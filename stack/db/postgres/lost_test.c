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

/* Three are idle, all are dead, and none of it has been heard of. */
static void lose_several(void *argument)
{
    worker *w = argument;
    tims_error err = { 0 };
    tims_db_session *sessions[3];
    sessions[0] = session_of(w);
    for (int i = 1; i < 3; i++)
        sessions[i] = tims_db_session_new(w->f->db, w->f->loop, sessions[0]->arena);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++)
            assert_int_equal(tims_db_begin(sessions[i], &err), TIMS_OK);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(number(sessions[i], "SELECT 1"), 1);
            assert_int_equal(tims_db_commit(sessions[i], &err), TIMS_OK);
        }
        kill_others(w->f);
        int64_t value = 0;
        if (round == 0)
            assert_int_equal(read_number(sessions[0], "SELECT 2", NULL, 0, &value, &err), TIMS_OK);
        else
            assert_int_equal(run(sessions[0], "INSERT INTO t (worker) VALUES (1)", &err), TIMS_OK);
    }
    report(w, TIMS_OK, &err);
}

static void several_that_are_lost_are_replaced_at_once(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=5", (tims_db_options){ 0 });
    assert_int_equal(run_one(f, lose_several).status, TIMS_OK);
}

/* As when it is found closed while it is written to: no event of its socket follows. */
static void lose_the_only_one_without_an_event(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    assert_int_equal(number(session, "SELECT 1"), 1);
    postgres__pool *pool = postgres__pool_of((postgres__store *)w->f->db, w->f->loop);
    postgres__connection_lose(pool->slots[0]);
    int64_t value = 0;
    tims_status status = read_number(session, "SELECT 2", NULL, 0, &value, &err);
    w->step = (int)value;
    report(w, status, &err);
}

static void the_only_one_is_replaced_however_it_is_lost(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=1", (tims_db_options){ .begin_timeout_ms = 2000 });
    worker w = run_one(f, lose_the_only_one_without_an_event);
    if (w.status != TIMS_OK)
        fail_msg("%s", w.message);
    assert_int_equal(w.step, 2);
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

/* --- everything at once ------------------------------------------------------------------------------ */

enum { STORM_FIBERS = 24, STORM_TURNS = 60 };

/* As random numbers go: the same in each run. */
static uint32_t next_random(worker *w)
{
    w->seed = w->seed * 1664525u + 1013904223u;
    return w->seed >> 16;
}

/* What a statement may answer in a storm; a row, if there is one, must be its own. */
static void check_echo(tims_db_session *session, int64_t value, bool slow)
{
    tims_db_value values[] = { tims_db_int(value) };
    tims_error err = { 0 };
    int64_t back = 0;
    const char *sql = slow ? "SELECT ?1::bigint FROM pg_sleep(0.01)" : "SELECT ?1::bigint";
    tims_status status = read_number(session, sql, values, 1, &back, &err);
    if (status == TIMS_OK)
        assert_true(back == value);
    else if (status != TIMS_UNAVAILABLE && status != TIMS_TIMEOUT && status != TIMS_INTERNAL)
        fail_msg("%d: %s (%s)", (int)status, err.message, err.detail);
}

static void act(worker *w, tims_db_session *session)
{
    tims_error err = { 0 };
    uint32_t what = next_random(w) % 6;
    int64_t deadline = next_random(w) % 4 == 0 ? tims_monotonic_us() + next_random(w) % 20000 : 0;
    (void)tims_fiber_set_deadline(deadline);
    if (what <= 1) {
        check_echo(session, next_random(w), what == 1);
    } else if (what == 2) {
        if (tims_db_begin_snapshot(session, &err) == TIMS_OK) {
            check_echo(session, next_random(w), false);
            check_echo(session, next_random(w), true);
            tims_db_end_snapshot(session);
        }
    } else if (tims_db_begin(session, &err) == TIMS_OK) {
        check_echo(session, next_random(w), false);
        tims_status status = run(session, "INSERT INTO t (worker) VALUES (1)", &err);
        check_echo(session, next_random(w), what == 4);
        if (what == 5 || status != TIMS_OK)
            tims_db_rollback(session);
        else if (tims_db_commit(session, &err) == TIMS_OK)
            w->step++;
    }
    (void)tims_fiber_set_deadline(0);
}

static void weather_the_storm(void *argument)
{
    worker *w = argument;
    w->seed = (uint32_t)w->number + 1;
    for (int i = 0; i < STORM_TURNS; i++) {
        if (w->number == 0 && i % 4 == 0)
            kill_others(w->f);
        tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
        act(w, tims_db_session_new(w->f->db, w->f->loop, arena));
        tims_arena_free(&arena);
    }
    report(w, TIMS_OK, &(tims_error){ 0 });
}

static void in_a_storm_nobody_gets_anothers_rows_and_what_was_committed_is_there(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=4", (tims_db_options){ 0 });
    worker w[STORM_FIBERS];
    run_workers(f, weather_the_storm, w, STORM_FIBERS);
    int committed = 0;
    for (int i = 0; i < STORM_FIBERS; i++)
        committed += w[i].step;
    assert_true(committed > 0);
    assert_true(number_now(f, "SELECT count(*) FROM t") >=
                committed); /* a commit may be done and not known */
    assert_int_equal(run_one(f, lose_in_a_snapshot).status, TIMS_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_idle_connection_that_is_lost_is_replaced),
        TEST(the_only_one_is_replaced_however_it_is_lost),
        TEST(several_that_are_lost_are_replaced_at_once),
        TEST(a_plain_read_under_way_is_sent_again),
        TEST(a_transaction_whose_connection_is_lost_says_so_to_its_end),
        TEST(a_commit_that_meets_no_database_is_unavailable),
        TEST(a_snapshot_whose_connection_is_lost_is_over),
        TEST(blocking_sessions_find_new_connections_too),
        TEST(in_a_storm_nobody_gets_anothers_rows_and_what_was_committed_is_there),
    };
    return cmocka_run_group_tests_name("lost", tests, NULL, NULL);
}
