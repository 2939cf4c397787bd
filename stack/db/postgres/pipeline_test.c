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
    assert_true(number_now(f, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()") <=
                3);
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
    tims_status status = tims_db_query(session_of(w), S("INSERT INTO t (worker) VALUES (1) RETURNING id"),
                                       NULL, 0, &rows, &err);
    report(w, status, &err);
}

static void a_statement_that_writes_needs_a_transaction(void **state)
{
    fixture *f = *state;
    open_with(f, "", (tims_db_options){ 0 });
    assert_int_equal(run_one(f, write_by_reading).status, TIMS_INTERNAL);
    assert_int_equal(number_now(f, "SELECT count(*) FROM t"), 0);
}

/* --- cancelled fibers ------------------------------------------------------------------------------ */

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

/* --- snapshots ------------------------------------------------------------------------------------- */

static tims_str text_of(tims_db_session *session)
{
    tims_str text;
    tims_error err = { 0 };
    assert_int_equal(tims_db_snapshot_text(session, &text, &err), TIMS_OK);
    assert_true(text.length > 2);
    return text;
}

static int64_t count_rows(tims_db_session *session)
{
    return number(session, "SELECT count(*) FROM t");
}

static void read_one_state(void *argument)
{
    worker *w = argument;
    tims_error err = { 0 };
    tims_db_session *reader = session_of(w);
    tims_db_session *writer = tims_db_session_new(w->f->db, w->f->loop, reader->arena);
    assert_int_equal(tims_db_begin_snapshot(reader, &err), TIMS_OK);
    assert_int_equal(count_rows(reader), 0);
    tims_str before = text_of(reader);
    assert_int_equal(run(writer, "INSERT INTO t (worker) VALUES (1)", &err), TIMS_OK);
    tims_str committed = text_of(writer);
    assert_int_equal(count_rows(reader), 0);
    assert_true(tims_str_equal(text_of(reader), before));
    assert_false(tims_str_equal(committed, before));
    assert_int_equal(tims_db_begin(reader, &err),
                     TIMS_OK); /* the transaction sees it, the snapshot does not */
    assert_int_equal(count_rows(reader), 1);
    assert_true(tims_str_equal(text_of(reader), before));
    tims_db_rollback(reader);
    assert_int_equal(count_rows(reader), 0);
    tims_db_end_snapshot(reader);
    assert_int_equal(count_rows(reader), 1);
    report(w, TIMS_OK, &err);
}

static void a_snapshot_reads_one_state_and_names_it(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=3", (tims_db_options){ 0 });
    assert_int_equal(run_one(f, read_one_state).status, TIMS_OK);
}

static void read_single(void *argument)
{
    worker *w = argument;
    tims_error err = { 0 };
    tims_db_session *session = session_of(w);
    int64_t value = 0;
    assert_int_equal(tims_db_begin_snapshot(session, &err), TIMS_OK);
    tims_db_hint_last(session);
    assert_int_equal(echo(session, w->number, &value, &err), TIMS_OK);
    assert_int_equal(value, w->number);
    (void)text_of(session);
    assert_int_equal(echo(session, w->number, &value, &err), TIMS_INTERNAL); /* it was no lie */
    tims_db_end_snapshot(session);
    report(w, TIMS_OK, &err);
}

static void snapshots_of_one_statement_need_no_connection_of_their_own(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=1", (tims_db_options){ 0 });
    worker workers[40];
    run_workers(f, read_single, workers, 40);
    for (int i = 0; i < 40; i++)
        assert_int_equal(workers[i].status, TIMS_OK);
}

static void fail_in_snapshot(void *argument)
{
    worker *w = argument;
    tims_error err = { 0 };
    tims_db_session *session = session_of(w);
    int64_t value = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tims_db_begin_snapshot(session, &err), TIMS_OK);
        assert_int_equal(echo(session, 1, &value, &err), TIMS_OK);
        assert_int_equal(read_number(session, "SELECT 1 / 0", NULL, 0, &value, &err), TIMS_INTERNAL);
        assert_int_equal(echo(session, 1, &value, &err), TIMS_INTERNAL); /* it would see another state */
        tims_db_end_snapshot(session);
        assert_int_equal(echo(session, 2, &value, &err), TIMS_OK);
    }
    report(w, TIMS_OK, &err);
}

static void a_snapshot_ends_with_a_statement_that_fails(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=2", (tims_db_options){ 0 });
    assert_int_equal(run_one(f, fail_in_snapshot).status, TIMS_OK);
}

/* --- prepared statements --------------------------------------------------------------------------- */

static void run_many_texts(void *argument)
{
    worker *w = argument;
    tims_error err = { 0 };
    tims_db_session *session = session_of(w);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 600; i++) {
            char sql[64];
            (void)snprintf(sql, sizeof sql, "SELECT %d + 0", i);
            assert_int_equal(number(session, sql), i);
        }
    w->step = (int)number(session, "SELECT count(*) FROM pg_prepared_statements");
    report(w, TIMS_OK, &err);
}

static void the_statements_kept_on_a_connection_are_the_last_ones_used(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=1", (tims_db_options){ 0 });
    worker w = run_one(f, run_many_texts);
    assert_in_range(w.step, POSTGRES_STATEMENTS_MAX - 8, POSTGRES_STATEMENTS_MAX);
}

static void read_before_and_after(void *argument)
{
    worker *w = argument;
    tims_error err = { 0 };
    tims_db_session *session = session_of(w);
    tims_db_rows *rows = NULL;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tims_db_query(session, S("SELECT * FROM t"), NULL, 0, &rows, &err), TIMS_OK);
        assert_int_equal(tims_db_column_count(rows), 3 + i);
        assert_int_equal(tims_db_rows_end(&rows, &err), TIMS_OK);
        char sql[64];
        (void)snprintf(sql, sizeof sql, "ALTER TABLE t ADD COLUMN more%d TEXT", i);
        assert_int_equal(tims_db_script(session, tims_str_from(sql), &err), TIMS_OK);
    }
    report(w, TIMS_OK, &err);
}

static void a_changed_schema_is_noticed_by_what_was_prepared_before(void **state)
{
    fixture *f = *state;
    open_with(f, "connections=2", (tims_db_options){ 0 });
    assert_int_equal(run_one(f, read_before_and_after).status, TIMS_OK);
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
        TEST(a_snapshot_reads_one_state_and_names_it),
        TEST(snapshots_of_one_statement_need_no_connection_of_their_own),
        TEST(a_snapshot_ends_with_a_statement_that_fails),
        TEST(the_statements_kept_on_a_connection_are_the_last_ones_used),
        TEST(a_changed_schema_is_noticed_by_what_was_prepared_before),
    };
    return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
