/* losing_writer_test.c: leaving, waiting too long, holding too long, other programs, a full disk. */
#include "db/sqlite/group_commit_testing.h"

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

static void *foreign_holds_for_a_while(void *argument)
{
    sqlite3 *handle = argument;
    usleep(150000); /* the scenario itself: how long the other program holds its transaction */
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_fiber_that_leaves_rolls_back_and_lets_the_writer_go),
        TEST(a_cancelled_fiber_leaves_the_queue),
        TEST(a_transaction_held_too_long_is_rolled_back),
        TEST(waiting_for_the_writer_has_an_end),
        TEST(a_fibers_own_deadline_ends_the_waiting_too),
        TEST(another_programs_transaction_is_waited_for_off_the_loop),
        TEST(another_program_that_writes_for_too_long_means_unavailable),
        TEST(a_full_disk_fails_those_it_hits_and_keeps_every_answered_write),
    };
    return cmocka_run_group_tests_name("losing the writer", tests, NULL, NULL);
}
