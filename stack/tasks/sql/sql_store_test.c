/* sql_store_test: the database as the place where jobs wait: order, fencing, ends, recovery
 * (TIMS_TEST_DATABASE). */
#include "tasks/sql/sql_internal.h"
#include "tasks/testing.h"

enum { LEASE_MS = 30000, MANY = 100 };

/* --- two workers, without what runs the jobs -------------------------------------------------------------- */

static tasks__store *sign_on(stage *s, const char *name)
{
    tims_error err = { 0 };
    tasks__store *store = tasks__sql_store_new(s->tasks);
    store->worker_name = tims_str_from(name);
    store->queues_text = TIMS_STR("default");
    store->lease_ms = LEASE_MS;
    store->concurrency = 10;
    stage_check(store->api->start(store, s->loop, &err), &err);
    return store;
}

/* Its jobs are freed with it. */
typedef struct taken {
    tasks__job *jobs[MANY];
    size_t count;
} taken;

static void claim_from(tasks__store *store, const char *queue, size_t max, taken *ret_taken)
{
    tims_error err = { 0 };
    ret_taken->count = 0;
    stage_check(store->api->claim(store, tims_str_from(queue), max, ret_taken->jobs, &ret_taken->count, &err),
                &err);
}

static void claim(tasks__store *store, size_t max, taken *ret_taken)
{
    claim_from(store, "default", max, ret_taken);
}

static void let_go(taken *t)
{
    for (size_t i = 0; i < t->count; i++)
        tasks__job_free(&t->jobs[i]);
}

static void finish(tasks__store *store, tasks__outcome outcome)
{
    tims_error err = { 0 };
    stage_check(store->api->finish(store, &outcome, &err), &err);
}

static tims_time tidy(tasks__store *store)
{
    tims_error err = { 0 };
    tims_time next = { 0 };
    ((tasks__sql *)store)->tidied_at_us = 0;
    stage_check(store->api->tidy(store, &next, &err), &err);
    return next;
}

static void refuse_cancelled(void *argument, tims_id job)
{
    (void)argument, (void)job;
    fail_msg("nothing was cancelled");
}

typedef struct losing {
    tasks__store *store;
    tims_id former;
    bool was_lost;
} losing;

/* Whoever runs its jobs hears of it first: none of them is anybody else's yet. */
static void note_lost(void *argument)
{
    losing *l = argument;
    tims_db_rows *rows;
    tims_error err = { 0 };
    const tims_db_value worker = tims_db_id(l->former);
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_db_session *session = tims_db_session_new(l->store->tasks->db, l->store->loop, arena);
    l->was_lost = true;
    assert_true(tims_same_id(l->store->worker, l->former));
    stage_check(tims_db_query(session, TIMS_STR("SELECT 1 FROM tims_job WHERE state = 2 AND worker = ?1"),
                              &worker, 1, &rows, &err),
                &err);
    assert_true(tims_db_next(rows));
    stage_check(tims_db_rows_end(&rows, &err), &err);
    tims_arena_free(&arena);
}

static bool beat(tasks__store *store)
{
    tims_error err = { 0 };
    losing l = { .store = store, .former = store->worker };
    ((tasks__sql *)store)->beat_at_us = 0;
    stage_check(store->api->beat(store, refuse_cancelled, note_lost, &l, &err), &err);
    return l.was_lost;
}

/* --- claiming --------------------------------------------------------------------------------------------- */

static void enqueue_at(stage *s, int64_t number, int64_t priority)
{
    tims_enqueue_options options = { .priority = { true, priority } };
    stage_enqueue(s, &noting_task, number, "order", &options);
}

static void claim_in_order(stage *s)
{
    static const char *const expected[] = { "3", "4", "1", "5", "2" };
    taken t;
    tasks__store *store = sign_on(s, "one");
    enqueue_at(s, 1, 5);
    enqueue_at(s, 2, 9);
    enqueue_at(s, 3, 0);
    enqueue_at(s, 4, 0);
    enqueue_at(s, 5, 5);
    for (size_t i = 0; i < 5;) {
        claim(store, 2, &t); /* within a claim, and from one to the next */
        assert_true(t.count > 0);
        for (size_t j = 0; j < t.count; j++, i++) {
            char wanted[64];
            (void)snprintf(wanted, sizeof wanted, "\"number\":%s,", expected[i]);
            assert_non_null(strstr(t.jobs[j]->arguments.data, wanted));
            assert_int_equal(t.jobs[j]->attempt, 1);
        }
        let_go(&t);
    }
    claim(store, 2, &t);
    assert_int_equal(t.count, 0);
    tasks__sql_store_free(&store);
}

static void jobs_are_claimed_by_priority_and_time(void **state)
{
    stage_play(state, claim_in_order);
}

static void enqueue_more_urgent(stage *s)
{
    taken t;
    tasks__store *store = sign_on(s, "one");
    for (int i = 0; i < 30; i++)
        enqueue_at(s, i, 5);
    claim(store, 10, &t);
    assert_int_equal(t.count, 10);
    let_go(&t);
    enqueue_at(s, 100, 0);
    int64_t until_us = tims_monotonic_us() + STAGE_WAITS_MS * INT64_C(1000);
    for (bool found = false; !found;) { /* at the next claim, or soon after it */
        claim(store, 1, &t);
        assert_true(t.count == 1 && tims_monotonic_us() < until_us);
        found = t.jobs[0]->priority == 0;
        if (!found)
            finish(store, (tasks__outcome){ .job = t.jobs[0], .end = TASKS__BACK });
        let_go(&t);
        assert_int_equal(tims_sleep_ms(5), TIMS_OK);
    }
    for (size_t left = 20; left > 0; left -= t.count) { /* and nothing that was put back is forgotten */
        claim(store, 10, &t);
        assert_true(t.count > 0);
        let_go(&t);
    }
    tasks__sql_store_free(&store);
}

static void what_is_more_urgent_is_claimed_before_a_long_queue(void **state)
{
    stage_play(state, enqueue_more_urgent);
}

static void claim_side_by_side(stage *s)
{
    taken first, second;
    tasks__store *one = sign_on(s, "one"), *two = sign_on(s, "two");
    for (int i = 0; i < 20; i++)
        stage_enqueue(s, &noting_task, i, "both", NULL);
    claim(one, 10, &first);
    claim(two, MANY, &second);
    assert_int_equal(first.count, 10);
    assert_int_equal(second.count, 10);
    assert_int_equal(stage_int(s, "SELECT count(DISTINCT worker) FROM tims_job WHERE state = 2"), 2);
    let_go(&first);
    let_go(&second);
    tasks__sql_store_free(&one);
    tasks__sql_store_free(&two);
}

static void a_job_is_claimed_by_one_worker(void **state)
{
    stage_play(state, claim_side_by_side);
}

static void pause_queue(stage *s)
{
    taken t;
    tasks__store *store = sign_on(s, "one");
    stage_run(
        s, testing_on_postgres()
               ? "INSERT INTO tims_queue (id, name, paused, waiting, later, running, blocked, dead, done, "
                 "failed, updated_at) VALUES (gen_random_uuid(), 'default', true, 0, 0, 0, 0, 0, 0, 0, now())"
               : "INSERT INTO tims_queue (id, name, paused, waiting, later, running, blocked, dead, done, "
                 "failed, updated_at) VALUES ('00000000-0000-7000-8000-000000000001', 'default', 1, 0, 0, "
                 "0, 0, 0, 0, 0, 0)");
    stage_enqueue(s, &noting_task, 1, "paused", NULL);
    claim(store, MANY, &t);
    assert_int_equal(t.count, 0);
    stage_run(s, testing_on_postgres() ? "UPDATE tims_queue SET paused = false"
                                       : "UPDATE tims_queue SET paused = 0");
    claim(store, MANY, &t);
    assert_int_equal(t.count, 1);
    let_go(&t);
    tasks__sql_store_free(&store);
}

static void nothing_is_claimed_from_a_paused_queue(void **state)
{
    stage_play(state, pause_queue);
}

/* --- ends ------------------------------------------------------------------------------------------------- */

/* What another worker, or an earlier attempt, says of a job is not heard, whatever it is. */
static void say_too_late(stage *s)
{
    static const tasks__end ends[] = { TASKS__DONE, TASKS__AGAIN,     TASKS__DEAD,
                                       TASKS__BACK, TASKS__CANCELLED, TASKS__EXPIRED };
    taken t;
    tasks__store *one = sign_on(s, "one"), *two = sign_on(s, "two");
    stage_enqueue(s, &noting_task, 1, "mine", NULL);
    claim(one, 1, &t);
    assert_int_equal(t.count, 1);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        finish(two, (tasks__outcome){ .job = t.jobs[0], .end = ends[i] });
        t.jobs[0]->attempt = 7;
        finish(one, (tasks__outcome){ .job = t.jobs[0], .end = ends[i] });
        t.jobs[0]->attempt = 1;
        assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job WHERE state = 2 AND attempt = 1"), 1);
        assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job_dead"), 0);
    }
    finish(one, (tasks__outcome){ .job = t.jobs[0], .end = TASKS__DONE });
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job"), 0);
    let_go(&t);
    tasks__sql_store_free(&one);
    tasks__sql_store_free(&two);
}

static void only_who_runs_a_job_can_end_it(void **state)
{
    stage_play(state, say_too_late);
}

static void put_back(stage *s)
{
    taken t;
    tasks__store *store = sign_on(s, "one");
    stage_enqueue(s, &noting_task, 1, "back", NULL);
    claim(store, 1, &t);
    finish(store, (tasks__outcome){ .job = t.jobs[0], .end = TASKS__BACK });
    assert_int_equal(
        stage_int(s, "SELECT count(*) FROM tims_job WHERE state = 0 AND attempt = 0 AND crashes = 0 "
                     "AND worker IS NULL"),
        1);
    let_go(&t);
    claim(store, 1, &t);
    assert_int_equal(t.count, 1);
    tims_time later = { tasks__now(s->tasks).us + 60 * 1000 * 1000 };
    finish(store,
           (tasks__outcome){ .job = t.jobs[0], .end = TASKS__AGAIN, .crashed = true, .run_at = later });
    assert_int_equal(
        stage_int(s, "SELECT count(*) FROM tims_job WHERE state = 1 AND attempt = 1 AND crashes = 1 "
                     "AND worker IS NULL"),
        1);
    assert_int_equal(tidy(store).us, later.us);
    let_go(&t);
    tasks__sql_store_free(&store);
}

static void a_job_goes_back_at_once_uncounted_or_later_counted(void **state)
{
    stage_play(state, put_back);
}

static void end_many(stage *s)
{
    taken t;
    tims_error err = { 0 };
    tasks__outcome outcomes[4] = { { .end = TASKS__DONE },
                                   { .end = TASKS__DEAD, .code = "bad", .message = TIMS_STR("so") },
                                   { .end = TASKS__DONE },
                                   { .end = TASKS__EXPIRED } };
    tasks__store *store = sign_on(s, "one");
    for (int i = 0; i < 5; i++)
        stage_enqueue(s, &noting_task, i, "many", NULL);
    claim(store, MANY, &t);
    for (size_t i = 0; i < 4; i++) {
        outcomes[i].job = t.jobs[i];
        outcomes[i].next = i < 3 ? &outcomes[i + 1] : NULL;
    }
    stage_check(store->api->finish(store, outcomes, &err), &err);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job WHERE state = 2"), 1);
    stage_assert_text(s, "SELECT code FROM tims_job_dead WHERE error = 'so'", "bad");
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job_dead"), 1);
    let_go(&t);
    tasks__sql_store_free(&store);
}

static void ends_of_all_kinds_are_written_together(void **state)
{
    stage_play(state, end_many);
}

typedef struct ending {
    tasks__store *store;
    tasks__outcome outcome;
    tims_status status;
} ending;

static void end_in(tims_request *rq, void *argument)
{
    ending *e = argument;
    tims_error err = { 0 };
    tims_begin(rq);
    effect noted = { .label = TIMS_STR("with its end"), .job = e->outcome.job->id };
    tims_create(rq, &effect_model, &noted);
    e->status = e->store->api->finish_in(e->store, tims_session_db(rq), &e->outcome, &err);
    if (e->status != TIMS_OK)
        tims_raise(rq, 409, "lost", "It is lost.");
}

static void end_in_its_transaction(stage *s)
{
    taken t;
    tasks__store *one = sign_on(s, "one"), *two = sign_on(s, "two");
    stage_enqueue(s, &noting_task, 1, "in", NULL);
    claim(one, 1, &t);
    ending e = { .store = two, .outcome = { .job = t.jobs[0], .end = TASKS__DONE } };
    assert_int_not_equal(stage_ask(s, end_in, &e).status, TIMS_OK);
    assert_int_equal(e.status, TIMS_NOT_FOUND);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 0);
    e.store = one;
    tims_error err = stage_ask(s, end_in, &e);
    stage_check(err.status, &err);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job"), 0);
    let_go(&t);
    tasks__sql_store_free(&one);
    tasks__sql_store_free(&two);
}

static void a_lost_job_cannot_end_in_a_transaction(void **state)
{
    stage_play(state, end_in_its_transaction);
}

/* --- recovery --------------------------------------------------------------------------------------------- */

static void recover(stage *s)
{
    taken t, again;
    tasks__store *one = sign_on(s, "one"), *two = sign_on(s, "two");
    stage_enqueue(s, &noting_task, 1, "orphan", NULL);
    claim(one, 1, &t);
    (void)tidy(two);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job WHERE state = 2"), 1); /* it lives */
    s->tasks->test_clock_us += LEASE_MS * INT64_C(1000) - 1000 * 1000;
    assert_false(beat(two));
    s->tasks->test_clock_us += 2 * 1000 * 1000;
    (void)tidy(two);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_worker"), 1);
    claim(two, 1, &again);
    assert_int_equal(again.count, 1);
    assert_int_equal(again.jobs[0]->attempt, 2);
    assert_int_equal(again.jobs[0]->crashes, 1);
    finish(one, (tasks__outcome){ .job = t.jobs[0], .end = TASKS__DONE });
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job WHERE state = 2"), 1);
    let_go(&t);
    let_go(&again);
    tasks__sql_store_free(&one);
    tasks__sql_store_free(&two);
}

static void jobs_of_a_worker_without_a_sign_of_life_are_run_again(void **state)
{
    stage_play(state, recover);
}

static void come_back(stage *s)
{
    taken t;
    tasks__store *store = sign_on(s, "one");
    tims_id former = store->worker;
    stage_enqueue(s, &noting_task, 1, "kept", NULL);
    claim(store, 1, &t);
    s->tasks->test_clock_us += 2 * LEASE_MS * INT64_C(1000);
    assert_true(beat(store));
    assert_false(tims_same_id(store->worker, former));
    stage_assert_text(s, "SELECT name FROM tims_worker", "one");
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job WHERE state = 0 AND crashes = 0"), 1);
    assert_false(beat(store));
    let_go(&t);
    tasks__sql_store_free(&store);
}

static void a_worker_that_lost_its_lease_gives_its_jobs_back_uncounted(void **state)
{
    stage_play(state, come_back);
}

static void part(stage *s)
{
    taken t, more;
    tasks__store *store = sign_on(s, "one");
    for (int i = 0; i < 4; i++)
        stage_enqueue(s, &noting_task, i, "suspect", NULL);
    stage_run(s, "UPDATE tims_job SET crashes = 2");
    stage_enqueue(s, &noting_task, 5, "innocent", NULL);
    claim(store, MANY, &t);
    assert_int_equal(t.count, 2);
    assert_int_equal(t.jobs[0]->crashes + t.jobs[1]->crashes, 2);
    assert_int_equal(
        stage_int(s, "SELECT count(*) FROM tims_job WHERE state = 1 AND attempt = 0 AND worker IS NULL"), 3);
    store->suspects = 1;
    s->tasks->test_clock_us += 1000 * 1000;
    (void)tidy(store);
    claim(store, MANY, &more);
    assert_int_equal(more.count, 0);
    store->suspects = 0;
    s->tasks->test_clock_us += 2000 * 1000;
    (void)tidy(store);
    claim(store, MANY, &more);
    assert_int_equal(more.count, 1);
    let_go(&t);
    let_go(&more);
    tasks__sql_store_free(&store);
}

static void of_jobs_whose_workers_died_twice_one_is_run_at_a_time(void **state)
{
    stage_play(state, part);
}

/* --- time ------------------------------------------------------------------------------------------------- */

static void become_due(stage *s)
{
    taken t;
    tasks__store *store = sign_on(s, "one");
    tims_enqueue_options options = { .delay_ms = 3600 * 1000 };
    int64_t before_us = tasks__now(s->tasks).us, hour_us = INT64_C(3600) * 1000 * 1000;
    stage_enqueue(s, &noting_task, 1, "later", &options);
    int64_t next_us = tidy(store).us;
    assert_true(next_us >= before_us + hour_us && next_us <= tasks__now(s->tasks).us + hour_us);
    claim(store, MANY, &t);
    assert_int_equal(t.count, 0);
    s->tasks->test_clock_us += hour_us;
    assert_int_equal(tidy(store).us, INT64_MAX);
    claim(store, MANY, &t);
    assert_int_equal(t.count, 1);
    let_go(&t);
    tasks__sql_store_free(&store);
}

static void a_later_job_is_ready_when_its_time_has_come(void **state)
{
    stage_play(state, become_due);
}

static int start(void **state)
{
    return stage_start(state, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_are_claimed_by_priority_and_time),
        cmocka_unit_test(what_is_more_urgent_is_claimed_before_a_long_queue),
        cmocka_unit_test(a_job_is_claimed_by_one_worker),
        cmocka_unit_test(nothing_is_claimed_from_a_paused_queue),
        cmocka_unit_test(only_who_runs_a_job_can_end_it),
        cmocka_unit_test(a_job_goes_back_at_once_uncounted_or_later_counted),
        cmocka_unit_test(ends_of_all_kinds_are_written_together),
        cmocka_unit_test(a_lost_job_cannot_end_in_a_transaction),
        cmocka_unit_test(jobs_of_a_worker_without_a_sign_of_life_are_run_again),
        cmocka_unit_test(a_worker_that_lost_its_lease_gives_its_jobs_back_uncounted),
        cmocka_unit_test(of_jobs_whose_workers_died_twice_one_is_run_at_a_time),
        cmocka_unit_test(a_later_job_is_ready_when_its_time_has_come),
    };
    return cmocka_run_group_tests_name("sql_store", tests, start, stage_end);
}
