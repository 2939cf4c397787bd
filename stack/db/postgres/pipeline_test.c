/* pipeline_test.c: plain reads and snapshots of many fibers, on few connections. */
#include "db/postgres/postgres_testing.h"

enum { MANY = 200, ROUNDS = 20 };

static tims_status echo(tims_db_session *session, int64_t value, int64_t *ret_value, tims_error *err)
{
    tims_db_value values[] = { tims_db_int(value) };
    return read_number(session, "SELECT ?1::bigint", values, 1, ret_value, err);
}

static void read_many_times(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    tims_status status = TIMS_OK;
    for (int64_t i = 0; i < ROUNDS && status == TIMS_OK; i++) {
        int64_t value = -1;
        status = echo(session, w->number * 1000 + i, &value, &err);
        w->step += status == TIMS_OK && value == w->number * 1000 + i;
    }
    report(w, status, &err);
}

static void many_fibers_share_few_connections_and_each_gets_its_own_rows(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=2", (tims_db_options){ 0 });
    worker workers[MANY];
    run_workers(f, read_many_times, workers, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(workers[i].status, TIMS_OK);
        assert_int_equal(workers[i].step, ROUNDS);
    }
    /* with the blocking session's that looks */
    assert_true(number_now(f, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()") <= 3);
}

static void fail_or_read(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    int64_t value = -1;
    tims_db_value zero[] = { tims_db_int(0) };
    tims_status status = w->number % 3 == 0
                             ? read_number(session, "SELECT 1 / ?1::bigint", zero, 1, &value, &err)
                         : w->number % 3 == 1 ? read_number(session, "SELECT nothing", NULL, 0, &value, &err)
                                              : echo(session, w->number, &value, &err);
    w->step = value == w->number;
    report(w, status, &err);
}

static void a_statement_that_fails_takes_no_other_along(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=2", (tims_db_options){ 0 });
    for (int round = 0; round < 3; round++) {
        worker workers[60];
        run_workers(f, fail_or_read, workers, 60);
        for (int i = 0; i < 60; i++) {
            assert_int_equal(workers[i].status, i % 3 == 2 ? TIMS_OK : TIMS_INTERNAL);
            assert_int_equal(workers[i].step, i % 3 == 2);
        }
    }
}

static void write_by_reading(void *argument)
{
    worker *w = argument;
    tims_db_rows *rows = NULL;
    tims_error err = { 0 };
    tims_status status =
        tims_db_query(session_of(w), S("INSERT INTO t (worker) VALUES (1) RETURNING id"), NULL, 0, &rows, &err);
    report(w, status, &err);
}

static void a_statement_that_writes_needs_a_transaction(void **state)
{
    fixture *f = *state;
    open_with(f, "", (tims_db_options){ 0 });
    assert_int_equal(run_one(f, write_by_reading).status, TIMS_INTERNAL);
    assert_int_equal(number_now(f, "SELECT count(*) FROM t"), 0);
}

/* --- cancelled fibers -------------------------------------------------------------------------------- */

static void sleep_in_the_database(void *argument)
{
    worker *w = argument;
    w->fiber = tims_fiber_self();
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    tims_db_rows *rows = NULL;
    if (w->number == 0) { /* the one that is cancelled while its statement runs */
        tims_status status = tims_db_query(session, S("SELECT 77 FROM pg_sleep(0.2)"), NULL, 0, &rows, &err);
        report(w, status, &err);
        return;
    }
    int64_t value = -1;
    assert_int_equal(tims_sleep_ms(50), TIMS_OK);
    tims_fiber_cancel(w->other->fiber);
    tims_status status = echo(session, 5, &value, &err);
    w->step = (int)value;
    report(w, status, &err);
}

static void what_a_cancelled_fiber_asked_for_reaches_nobody_else(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=1", (tims_db_options){ 0 });
    worker workers[2];
    run_workers(f, sleep_in_the_database, workers, 2);
    assert_int_equal(workers[0].status, TIMS_CANCELLED);
    assert_int_equal(workers[1].status, TIMS_OK);
    assert_int_equal(workers[1].step, 5);
}

static void cancel_before_it_is_sent(void *argument)
{
    worker *w = argument;
    tims_error err = { 0 };
    int64_t value = -1;
    tims_db_session *session = session_of(w);
    if (w->number % 2 == 0)
        tims_fiber_cancel(tims_fiber_self());
    tims_status status = echo(session, w->number, &value, &err);
    w->step = (int)value;
    report(w, status, &err);
}

static void a_statement_that_was_cancelled_while_queued_is_not_sent(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=1", (tims_db_options){ 0 });
    worker workers[20];
    run_workers(f, cancel_before_it_is_sent, workers, 20);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(workers[i].status, i % 2 == 0 ? TIMS_CANCELLED : TIMS_OK);
        assert_int_equal(workers[i].step, i % 2 == 0 ? -1 : i);
    }
}

/* --- snapshots --------------------------------------------------------------------------------------- */

static void read_one_state(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w), *writer = tims_db_session_new(w->f->db, w->f->loop, NULL);
    (void)writer;
    report(w, TIMS_OK, &(tims_error){ 0 });
    (void)session;
}

static void a_snapshot_reads_one_state_and_names_it(void **state)
{
    (void)state;
    (void)read_one_state;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(many_fibers_share_few_connections_and_each_gets_its_own_rows),
        TEST(a_statement_that_fails_takes_no_other_along),
        TEST(a_statement_that_writes_needs_a_transaction),
        TEST(what_a_cancelled_fiber_asked_for_reaches_nobody_else),
        TEST(a_statement_that_was_cancelled_while_queued_is_not_sent),
    };
    (void)a_snapshot_reads_one_state_and_names_it;
    return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
