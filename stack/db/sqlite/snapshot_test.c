/* snapshot_test: snapshots that follow each other in one tick are one, and never older than what anybody has
 * been told. */
#include "db/sqlite/group_commit_testing.h"
#include "db/sqlite/sqlite_internal.h"

#define COUNT "SELECT count(*) FROM t"

static int64_t count_in_snapshot(tims_db_session *session)
{
    tims_error err = { 0 };
    assert_int_equal(tims_db_begin_snapshot(session, &err), TIMS_OK);
    int64_t count = number(session, COUNT);
    tims_db_end_snapshot(session);
    return count;
}

static sqlite__pool *pool_of(worker *w)
{
    return sqlite__pool_of((sqlite__store *)w->f->db, w->f->loop);
}

/* On a thread of its own, while the loop stands still: all that follows is still the same tick. */
static void *insert_elsewhere(void *argument)
{
    fixture *f = argument;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_error err = { 0 };
    assert_int_equal(insert(tims_db_session_new(f->db, NULL, arena), 7, NULL, &err), TIMS_OK);
    tims_arena_free(&arena);
    return NULL;
}

static void commit_elsewhere(fixture *f)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, insert_elsewhere, f), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void commit_in_another_program(fixture *f)
{
    sqlite3 *handle = foreign(f);
    assert_int_equal(sqlite3_exec(handle, "INSERT INTO t (worker) VALUES (1)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

/* --- one after the other ------------------------------------------------------------------------------- */

static void share_one(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_db_session *other = tims_db_session_new(w->f->db, w->f->loop, session->arena);
    tims_error err = { 0 };
    (void)count_in_snapshot(session);
    const sqlite__connection *connection = pool_of(w)->idle;
    const sqlite__statement *anchor = connection->anchor;
    assert_non_null(anchor);
    assert_int_equal(sqlite3_txn_state(connection->handle, NULL), SQLITE_TXN_READ);
    assert_int_equal(tims_db_begin_snapshot(other, &err), TIMS_OK);
    assert_ptr_equal(((sqlite__session *)other)->snapshot, connection);
    /* two at the same time are two */
    assert_int_equal(tims_db_begin_snapshot(session, &err), TIMS_OK);
    assert_ptr_not_equal(((sqlite__session *)session)->snapshot, connection);
    tims_db_end_snapshot(session);
    tims_db_end_snapshot(other);
    assert_ptr_equal(connection->anchor, anchor);
    assert_int_equal(tims_sleep_ms(1), TIMS_OK);
    for (const sqlite__connection *at = pool_of(w)->idle; at != NULL; at = at->next) {
        assert_null(at->anchor);
        assert_int_equal(sqlite3_txn_state(at->handle, NULL), SQLITE_TXN_NONE);
    }
    report(w, TIMS_OK, &err);
}

static void snapshots_of_one_tick_are_one_and_end_with_it(void **state)
{
    fixture *f = *state;
    worker w;
    open_with(f, (tims_db_options){ 0 });
    run_workers(f, share_one, &w, 1);
}

/* --- what was committed meanwhile ---------------------------------------------------------------------- */

static void read_between_commits(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    for (int i = 0; i < 20; i++) {
        assert_int_equal(count_in_snapshot(session), i);
        commit_elsewhere(w->f);
    }
    assert_int_equal(count_in_snapshot(session), 20);
    report(w, TIMS_OK, &err);
}

static void a_commit_of_another_thread_is_in_the_next_snapshot_of_the_tick(void **state)
{
    fixture *f = *state;
    worker w;
    open_with(f, (tims_db_options){ 0 });
    run_workers(f, read_between_commits, &w, 1);
}

static void read_what_others_wrote(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    int64_t version = 0, later = 0;
    assert_int_equal(tims_db_foreign_version(session, &version, &err), TIMS_OK);
    assert_int_equal(count_in_snapshot(session), 0);
    commit_in_another_program(w->f);
    assert_int_equal(number(session, COUNT), 1); /* a statement by itself reads what is there now */
    assert_int_equal(count_in_snapshot(session), 1);
    commit_in_another_program(w->f);
    /* whoever has been told by the version must see it */
    assert_int_equal(tims_db_foreign_version(session, &later, &err), TIMS_OK);
    assert_int_not_equal(version, later);
    assert_int_equal(count_in_snapshot(session), 2);
    commit_in_another_program(w->f);
    assert_int_equal(tims_sleep_ms(1), TIMS_OK);
    assert_int_equal(count_in_snapshot(session), 3);
    report(w, TIMS_OK, &err);
}

static void another_programs_commit_is_there_once_its_version_was_seen_or_the_tick_has_ended(void **state)
{
    fixture *f = *state;
    worker w;
    open_with(f, (tims_db_options){ 0 });
    run_workers(f, read_what_others_wrote, &w, 1);
}

/* A memo belongs to a state, also when its connection goes on with the same snapshot. */
static void keep_memo(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    assert_int_equal(tims_db_begin_snapshot(session, &err), TIMS_OK);
    *tims_db_snapshot_memo(session) = 42;
    tims_db_end_snapshot(session);
    assert_int_equal(tims_db_begin_snapshot(session, &err), TIMS_OK);
    assert_int_equal(*tims_db_snapshot_memo(session), 42);
    tims_db_end_snapshot(session);
    commit_elsewhere(w->f);
    assert_int_equal(tims_db_begin_snapshot(session, &err), TIMS_OK);
    assert_int_equal(*tims_db_snapshot_memo(session), 0);
    tims_db_end_snapshot(session);
    report(w, TIMS_OK, &err);
}

static void what_was_noted_of_a_state_goes_with_it(void **state)
{
    fixture *f = *state;
    worker w;
    open_with(f, (tims_db_options){ 0 });
    run_workers(f, keep_memo, &w, 1);
}

/* --- under load ---------------------------------------------------------------------------------------- */

enum { WRITERS = 6, READERS = 30, WRITES = 40 };

static atomic_int told; /* how many rows somebody has been told are kept */

/* Two of three fibers read on this loop; the others write, as a thread beside does. Nobody ever reads a state
 * that is older than what was told before they began. */
static void read_or_write(void *argument)
{
    worker *w = argument;
    tims_db_session *session = session_of(w);
    tims_error err = { 0 };
    tims_status status = TIMS_OK;
    for (int i = 0; i < WRITES && status == TIMS_OK; i++) {
        if (w->number < WRITERS) {
            status = insert(session, w->number, NULL, &err);
            atomic_fetch_add(&told, 1);
            continue;
        }
        int known = atomic_load(&told);
        if (count_in_snapshot(session) < known)
            status = tims_fail(&err, TIMS_CONFLICT, NULL, "A snapshot is older than what was told.");
        if (status == TIMS_OK && i % 4 == w->number % 4)
            status = tims_sleep_ms(1);
    }
    report(w, status, &err);
}

static void *write_beside(void *argument)
{
    for (int i = 0; i < WRITES; i++) {
        (void)insert_elsewhere(argument);
        atomic_fetch_add(&told, 1);
    }
    return NULL;
}

static void no_snapshot_is_older_than_what_anybody_was_told(void **state)
{
    fixture *f = *state;
    worker workers[WRITERS + READERS];
    pthread_t beside;
    open_with(f, (tims_db_options){ 0 });
    atomic_store(&told, 0);
    assert_int_equal(pthread_create(&beside, NULL, write_beside, f), 0);
    run_workers(f, read_or_write, workers, WRITERS + READERS);
    assert_int_equal(pthread_join(beside, NULL), 0);
    for (int i = 0; i < WRITERS + READERS; i++)
        if (workers[i].status != TIMS_OK)
            fail_msg("%d: %s", i, workers[i].message);
    assert_int_equal(number_now(f, COUNT), (WRITERS + 1) * WRITES);
}

/* --- all connections are taken ------------------------------------------------------------------------- */

/* Gives one back, and ends who would have had it before he runs. */
static void give_to_one_that_ends(worker *w)
{
    sqlite__connection *taken[SQLITE_READERS_MAX];
    sqlite__pool *pool = pool_of(w);
    tims_error err = { 0 };
    for (size_t i = 0; i < SQLITE_READERS_MAX; i++)
        assert_int_equal(sqlite__pool_take(pool, &taken[i], &err), TIMS_OK);
    while (pool->first_wait == NULL || pool->first_wait->next == NULL)
        assert_int_equal(tims_sleep_ms(1), TIMS_OK);
    tims_fiber *first = pool->first_wait->fiber;
    sqlite__pool_give(pool, taken[0]);
    tims_fiber_cancel(first);
    while (w->f->ended < 2)
        assert_int_equal(tims_sleep_ms(1), TIMS_OK);
    for (size_t i = 1; i < SQLITE_READERS_MAX; i++)
        sqlite__pool_give(pool, taken[i]);
    report(w, TIMS_OK, &err);
}

static void take_one(worker *w)
{
    sqlite__connection *taken;
    tims_error err = { 0 };
    tims_status status = sqlite__pool_take(pool_of(w), &taken, &err);
    if (status == TIMS_OK)
        sqlite__pool_give(pool_of(w), taken);
    report(w, status, &err);
}

static void take_all_or_one(void *argument)
{
    worker *w = argument;
    (w->number == 0 ? give_to_one_that_ends : take_one)(w);
}

static void what_is_given_to_one_that_ends_is_the_next_ones(void **state)
{
    fixture *f = *state;
    worker workers[3];
    open_with(f, (tims_db_options){ .begin_timeout_ms = 2000 });
    run_workers(f, take_all_or_one, workers, 3);
    assert_int_equal(workers[1].status, TIMS_CANCELLED);
    assert_int_equal(workers[2].status, TIMS_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(snapshots_of_one_tick_are_one_and_end_with_it),
        TEST(a_commit_of_another_thread_is_in_the_next_snapshot_of_the_tick),
        TEST(another_programs_commit_is_there_once_its_version_was_seen_or_the_tick_has_ended),
        TEST(what_was_noted_of_a_state_goes_with_it),
        TEST(no_snapshot_is_older_than_what_anybody_was_told),
        TEST(what_is_given_to_one_that_ends_is_the_next_ones),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
