/* task_limit_test: how many at once and in a time, of queues and of keys (TIMS_TEST_DATABASE). The clock is
 * the test's. */
#include "tasks/second_testing.h"
#include "tasks/sql/sql_internal.h"
#include "tasks/worker/worker_internal.h"

enum { MANY = 100, SECOND_US = 1000000, LEASE_MS = 24 * 3600 * 1000 };

/* --- tasks ------------------------------------------------------------------------------------------------- */

extern const tims_task exclusive_task, paired_task, metered_task, careful_task;

static void exclusive(tims_run *run, const numbered *arguments)
{
    note(run, arguments);
}
TIMS_TASK(exclusive, numbered, .fields = NUMBERED, .key_concurrency = 1);

static void paired(tims_run *run, const numbered *arguments)
{
    note(run, arguments);
}
TIMS_TASK(paired, numbered, .fields = NUMBERED, .key_concurrency = 2);

static void metered(tims_run *run, const numbered *arguments)
{
    note(run, arguments);
}
TIMS_TASK(metered, numbered, .fields = NUMBERED, .key_rate = "2/s");

enum { KEYS = 5 };
static int running_of[KEYS], running_all, most_of, most_all;

/* Says how many of it ran at once, with the key of its number and in all. */
static void careful(tims_run *run, const numbered *arguments)
{
    int64_t key = arguments->number % KEYS;
    int of_key = ++running_of[key], all = ++running_all;
    most_of = of_key > most_of ? of_key : most_of;
    most_all = all > most_all ? all : most_all;
    tims_status status = tims_sleep_ms(1);
    running_of[key]--;
    running_all--;
    tims_check(run->rq, status, &(tims_error){ .message = "woken" });
    note(run, arguments);
}
TIMS_TASK(careful, numbered, .fields = NUMBERED, .key_concurrency = 1);

static const tims_task *const tasks[] = { &exclusive_task, &paired_task, &metered_task, &careful_task, NULL };
static const tims_queue queues[] = {
    { .name = "narrow", .concurrency = 2 },
    { .name = "slow", .rate = "10/m" },
    { .name = "both", .concurrency = 3, .rate = "4/h" },
    { 0 },
};

/* --- two workers, without what runs the jobs --------------------------------------------------------------- */

static tasks__store *sign_on(stage *s, const char *name)
{
    tims_error err = { 0 };
    tasks__store *store = tasks__sql_store_new(s->tasks);
    store->worker_name = tims_str_from(name);
    store->queues_text = TIMS_STR("default");
    store->lease_ms = LEASE_MS;
    store->concurrency = MANY;
    stage_check(store->api->start(store, s->loop, &err), &err);
    return store;
}

typedef struct taken {
    tasks__job *jobs[MANY];
    size_t count;
} taken;

static void claim(tasks__store *store, const char *queue, size_t max, taken *ret_taken)
{
    tims_error err = { 0 };
    ret_taken->count = 0;
    stage_check(store->api->claim(store, tims_str_from(queue), max, ret_taken->jobs, &ret_taken->count, &err),
                &err);
}

static void let_go(taken *t)
{
    for (size_t i = 0; i < t->count; i++)
        tasks__job_free(&t->jobs[i]);
    t->count = 0;
}

static size_t claim_count(tasks__store *store, const char *queue, size_t max)
{
    taken t;
    claim(store, queue, max, &t);
    size_t count = t.count;
    let_go(&t);
    return count;
}

static void finish(tasks__store *store, tasks__outcome outcome)
{
    tims_error err = { 0 };
    stage_check(store->api->finish(store, &outcome, &err), &err);
}

static void tidy(tasks__store *store)
{
    tims_error err = { 0 };
    tims_time next = { 0 };
    ((tasks__sql *)store)->tidied_at_us = INT64_MIN / 2;
    stage_check(store->api->tidy(store, &next, &err), &err);
}

static void enqueue_many(stage *s, const tims_task *task, const char *queue, const char *key, int64_t count)
{
    tims_enqueue_options options = { .queue = queue, .key = tims_str_from(key) };
    for (int64_t i = 0; i < count; i++)
        stage_enqueue(s, task, i, key, &options);
}

static int64_t in_state(stage *s, tasks__state state)
{
    char sql[100];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM tims_job WHERE state = %d", (int)state);
    return stage_int(s, sql);
}

static void pass(stage *s, double seconds)
{
    s->tasks->test_clock_us += (int64_t)(seconds * SECOND_US);
}

/* --- queues ------------------------------------------------------------------------------------------------ */

static void claim_narrow(stage *s)
{
    taken t;
    tasks__store *one = sign_on(s, "one"), *two = sign_on(s, "two");
    enqueue_many(s, &noting_task, "narrow", "", 5);
    claim(one, "narrow", 10, &t);
    assert_int_equal(t.count, 2);
    assert_int_equal(claim_count(two, "narrow", 10), 0);
    assert_int_equal(in_state(s, TASKS__READY), 3);
    finish(one, (tasks__outcome){ .job = t.jobs[0], .end = TASKS__DONE });
    assert_int_equal(claim_count(two, "narrow", 10), 1);
    assert_int_equal(claim_count(one, "narrow", 10), 0);
    let_go(&t);
    tasks__sql_store_free(&one);
    tasks__sql_store_free(&two);
}

static void no_more_of_a_queue_run_at_once_on_all_workers_together(void **state)
{
    stage_play(state, claim_narrow);
}

static void claim_slow(stage *s)
{
    tasks__store *one = sign_on(s, "one"), *two = sign_on(s, "two");
    enqueue_many(s, &noting_task, "slow", "", 50);
    assert_int_equal(claim_count(one, "slow", 6), 6);
    assert_int_equal(claim_count(two, "slow", 20), 4);
    assert_int_equal(claim_count(one, "slow", 20), 0);
    pass(s, 6.1);
    assert_int_equal(claim_count(one, "slow", 20), 1);
    assert_int_equal(claim_count(two, "slow", 20), 0);
    pass(s, 3600);
    assert_int_equal(claim_count(two, "slow", 20), 10);
    assert_int_equal(claim_count(one, "slow", 20), 0);
    tasks__sql_store_free(&one);
    tasks__sql_store_free(&two);
}

static void no_more_of_a_queue_are_begun_in_a_time(void **state)
{
    stage_play(state, claim_slow);
}

static void claim_few(stage *s)
{
    tasks__store *one = sign_on(s, "one");
    enqueue_many(s, &noting_task, "slow", "", 3);
    assert_int_equal(claim_count(one, "slow", 20), 3);
    for (int i = 0; i < 20; i++)
        assert_int_equal(claim_count(one, "slow", 20), 0);
    enqueue_many(s, &noting_task, "slow", "", 20);
    assert_int_equal(claim_count(one, "slow", 20), 7);
    tasks__sql_store_free(&one);
}

static void only_what_is_begun_counts(void **state)
{
    stage_play(state, claim_few);
}

static void claim_with_both(stage *s)
{
    taken t;
    tasks__store *one = sign_on(s, "one");
    enqueue_many(s, &noting_task, "both", "", 20);
    claim(one, "both", 20, &t);
    assert_int_equal(t.count, 3);
    for (size_t i = 0; i < 3; i++)
        finish(one, (tasks__outcome){ .job = t.jobs[i], .end = TASKS__DONE });
    let_go(&t);
    assert_int_equal(claim_count(one, "both", 20), 1);
    pass(s, 15 * 60 + 1);
    assert_int_equal(claim_count(one, "both", 20), 1);
    tasks__sql_store_free(&one);
}

static void a_queue_may_have_both_limits(void **state)
{
    stage_play(state, claim_with_both);
}

static void set_clock_back(stage *s)
{
    tasks__store *one = sign_on(s, "one");
    enqueue_many(s, &noting_task, "slow", "", 50);
    assert_int_equal(claim_count(one, "slow", 50), 10);
    pass(s, -7200);
    assert_int_equal(claim_count(one, "slow", 50), 0);
    pass(s, 6.1);
    assert_int_equal(claim_count(one, "slow", 50), 1);
    tasks__sql_store_free(&one);
}

static void a_rate_goes_on_from_a_clock_that_went_back(void **state)
{
    stage_play(state, set_clock_back);
}

static void pause_queue(stage *s)
{
    bool on_postgres = testing_on_postgres();
    tasks__store *one = sign_on(s, "one");
    enqueue_many(s, &noting_task, "slow", "", 3);
    stage_run(s, on_postgres
                     ? "INSERT INTO tims_queue VALUES (gen_random_uuid(), 'slow', true, 0, 0, 0, 0, 0, 0, 0, "
                       "now())"
                     : "INSERT INTO tims_queue VALUES ('00000000-0000-4000-8000-000000000001', 'slow', 1, 0, "
                       "0, 0, 0, 0, 0, 0, 0)");
    assert_int_equal(claim_count(one, "slow", 10), 0);
    stage_run(s, on_postgres ? "UPDATE tims_queue SET paused = false" : "UPDATE tims_queue SET paused = 0");
    assert_int_equal(claim_count(one, "slow", 10), 3);
    tasks__sql_store_free(&one);
}

static void a_paused_queue_gives_nothing_until_it_goes_on(void **state)
{
    stage_play(state, pause_queue);
}

/* --- keys -------------------------------------------------------------------------------------------------- */

static int64_t number_of(const tasks__job *job)
{
    const char *at = strstr(job->arguments.data, "\"number\":");
    assert_non_null(at);
    return at[9] - '0';
}

static void claim_keys(stage *s)
{
    taken t;
    tasks__store *one = sign_on(s, "one"), *two = sign_on(s, "two");
    enqueue_many(s, &exclusive_task, NULL, "a", 3);
    enqueue_many(s, &exclusive_task, NULL, "b", 1);
    enqueue_many(s, &exclusive_task, NULL, "", 2); /* without a key: no limit */
    enqueue_many(s, &paired_task, NULL, "a", 3);   /* another task's key */
    enqueue_many(s, &noting_task, NULL, "a", 2);
    claim(one, "default", 50, &t);
    assert_int_equal(t.count, 1 + 1 + 2 + 2 + 2);
    assert_int_equal(in_state(s, TASKS__BLOCKED), 3);
    assert_int_equal(claim_count(two, "default", 50), 0);
    for (size_t i = 0; i < t.count; i++)
        if (tims_str_equal(t.jobs[i]->task, TIMS_STR("exclusive")) && t.jobs[i]->key.present &&
            tims_str_equal(t.jobs[i]->key.value, TIMS_STR("a")))
            finish(one, (tasks__outcome){ .job = t.jobs[i], .end = TASKS__DONE });
    let_go(&t);
    claim(two, "default", 50, &t);
    assert_int_equal(t.count, 1);
    assert_int_equal(number_of(t.jobs[0]), 1); /* the first of those that wait */
    assert_int_equal(t.jobs[0]->attempt, 1);
    let_go(&t);
    assert_int_equal(in_state(s, TASKS__BLOCKED), 2);
    tasks__sql_store_free(&one);
    tasks__sql_store_free(&two);
}

static void no_more_of_a_key_run_at_once(void **state)
{
    stage_play(state, claim_keys);
}

static void end_in_all_ways(stage *s)
{
    static const tasks__end ends[] = { TASKS__DONE, TASKS__DEAD,      TASKS__AGAIN,
                                       TASKS__BACK, TASKS__CANCELLED, TASKS__EXPIRED };
    tasks__store *one = sign_on(s, "one");
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        taken t;
        stage_run(s, "DELETE FROM tims_job");
        enqueue_many(s, &exclusive_task, NULL, "a", 3);
        claim(one, "default", 10, &t);
        assert_int_equal(t.count, 1);
        assert_int_equal(in_state(s, TASKS__BLOCKED), 2);
        finish(one, (tasks__outcome){ .job = t.jobs[0],
                                      .end = ends[i],
                                      .run_at = { tasks__now(s->tasks).us + 3600 * (int64_t)SECOND_US } });
        let_go(&t);
        assert_int_equal(in_state(s, TASKS__BLOCKED), 1);
        assert_int_equal(claim_count(one, "default", 10), 1);
    }
    tasks__sql_store_free(&one);
}

static void every_end_makes_room_for_the_next(void **state)
{
    stage_play(state, end_in_all_ways);
}

static void cancel_ready(stage *s)
{
    tasks__store *one = sign_on(s, "one");
    taken t;
    char text[64];
    tims_id id;
    enqueue_many(s, &exclusive_task, NULL, "a", 3);
    claim(one, "default", 10, &t);
    finish(one, (tasks__outcome){ .job = t.jobs[0], .end = TASKS__DONE });
    let_go(&t);
    (void)stage_query(s, "SELECT CAST(id AS text) FROM tims_job WHERE state = 0", text, sizeof text);
    assert_true(tims_id_parse(tims_str_from(text), &id));
    assert_true(stage_cancel(s, id));
    assert_int_equal(claim_count(one, "default", 10), 1);
    tasks__sql_store_free(&one);
}

static void a_job_that_was_next_and_is_cancelled_makes_room_too(void **state)
{
    stage_play(state, cancel_ready);
}

/* One key fills the front of the queue; what is behind it comes with the first claims nevertheless. */
static void claim_past_a_full_key(stage *s)
{
    size_t claimed = 0;
    tasks__store *one = sign_on(s, "one");
    stage_run(s,
              testing_on_postgres()
                  ? "INSERT INTO tims_job (id, task, queue, version, arguments, priority, attempt, crashes, "
                    "state, run_at, enqueued_at, limit_key, unique_while, group_index, trace, tracked, "
                    "cancelled) SELECT gen_random_uuid(), 'exclusive', 'default', 0, '{}', 0, 0, 0, 0, "
                    "now() - interval '1 day', now(), 'a', 0, 0, '', false, false FROM "
                    "generate_series(1, 5000)"
                  : "INSERT INTO tims_job (id, task, queue, version, arguments, priority, attempt, crashes, "
                    "state, run_at, enqueued_at, limit_key, unique_while, group_index, trace, tracked, "
                    "cancelled) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                    "5000) SELECT printf('00000000-0000-4000-8000-%012d', i), 'exclusive', 'default', 0, "
                    "'{}', 0, 0, 0, 0, 1, 1, 'a', 0, 0, '', 0, 0 FROM n");
    enqueue_many(s, &exclusive_task, NULL, "b", 1);
    enqueue_many(s, &noting_task, NULL, "", 3);
    for (int i = 0; i < 20 && claimed < 5; i++)     /* a claim ends early on a slow machine */
        claimed += claim_count(one, "default", 12); /* no round number, as a worker has room */
    assert_int_equal(claimed, 5);
    assert_int_equal(in_state(s, TASKS__BLOCKED), 4999);
    tasks__sql_store_free(&one);
}

static void who_is_behind_a_full_key_does_not_wait_for_it(void **state)
{
    stage_play(state, claim_past_a_full_key);
}

static void sweep_keys(stage *s)
{
    tasks__store *one = sign_on(s, "one");
    char key[16];
    for (int i = 0; i < 30; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        enqueue_many(s, &exclusive_task, NULL, key, 2);
    }
    assert_int_equal(claim_count(one, "default", 50), 30);
    assert_int_equal(in_state(s, TASKS__BLOCKED), 30);
    tidy(one);
    assert_int_equal(in_state(s, TASKS__BLOCKED), 30);
    stage_run(s, "DELETE FROM tims_job WHERE state = 2"); /* somebody with a database shell */
    tidy(one);
    assert_int_equal(in_state(s, TASKS__BLOCKED), 0);
    assert_int_equal(claim_count(one, "default", 50), 30);
    tasks__sql_store_free(&one);
}

static void blocked_jobs_of_which_none_runs_are_found(void **state)
{
    stage_play(state, sweep_keys);
}

static void claim_metered(stage *s)
{
    tasks__store *one = sign_on(s, "one");
    enqueue_many(s, &metered_task, NULL, "m", 5);
    enqueue_many(s, &metered_task, NULL, "n", 1);
    assert_int_equal(claim_count(one, "default", 50), 3);
    assert_int_equal(in_state(s, TASKS__LATER), 3);
    assert_int_equal(stage_int(s, "SELECT count(DISTINCT run_at) FROM tims_job WHERE state = 1"), 3);
    int64_t first_us = stage_int(s, "SELECT min(run_at) FROM tims_job WHERE state = 1");
    assert_int_equal(stage_int(s, "SELECT max(run_at) FROM tims_job WHERE state = 1"), first_us + SECOND_US);
    enqueue_many(s, &metered_task, NULL, "m", 1); /* behind them */
    assert_int_equal(claim_count(one, "default", 50), 0);
    assert_int_equal(stage_int(s, "SELECT max(run_at) FROM tims_job WHERE state = 1"),
                     first_us + SECOND_US + SECOND_US / 2);
    pass(s, 3);
    tidy(one);
    assert_int_equal(claim_count(one, "default", 50), 2);
    assert_int_equal(stage_int(s, "SELECT max(attempt) FROM tims_job"), 1);
    pass(s, 3);
    tidy(one);
    assert_int_equal(claim_count(one, "default", 50), 2);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job WHERE state = 2"), 7);
    tasks__sql_store_free(&one);
}

static void no_more_of_a_key_are_begun_in_a_time(void **state)
{
    stage_play(state, claim_metered);
}

static void sweep_buckets(stage *s)
{
    tasks__store *one = sign_on(s, "one");
    enqueue_many(s, &metered_task, NULL, "m", 5);
    (void)claim_count(one, "default", 50);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_limit"), 2);
    pass(s, 1800);
    tidy(one);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_limit"), 2);
    pass(s, 1810);
    tidy(one);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_limit"), 0);
    tasks__sql_store_free(&one);
}

static void a_bucket_that_is_full_again_goes(void **state)
{
    stage_play(state, sweep_buckets);
}

/* --- workers ----------------------------------------------------------------------------------------------- */

enum { CAREFUL = 120 };

static void run_careful(stage *s)
{
    char key[16];
    tims_tasks *second = second_tasks(s);
    const tims_worker_options options = { .lease_ms = 30000, .no_schedules = true, .concurrency = 20 };
    most_of = most_all = 0;
    stage_start_worker(s, &options);
    second_start(s, second, "second", &options);
    for (int64_t i = 0; i < CAREFUL; i++) {
        (void)snprintf(key, sizeof key, "%d", (int)(i % KEYS));
        const tims_enqueue_options with = { .key = tims_str_from(key) };
        stage_enqueue(s, &careful_task, i, "careful", &with);
    }
    stage_wait_for(s, "SELECT count(*) FROM effect", CAREFUL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job", 0);
    assert_int_equal(most_of, 1);
    assert_true(most_all <= KEYS);
    second_stop(s, second);
}

static void two_workers_run_one_of_a_key_at_once(void **state)
{
    stage_play(state, run_careful);
}

static void run_narrow(stage *s)
{
    tims_tasks *second = second_tasks(s);
    const tims_enqueue_options in_narrow = { .queue = "narrow" };
    most_of = most_all = 0;
    for (int64_t i = 0; i < 60; i++)
        stage_enqueue(s, &careful_task, i, "narrow", &in_narrow);
    stage_start_worker(s, NULL);
    second_start(s, second, "second", NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect", 60);
    assert_true(most_all <= 2);
    second_stop(s, second);
}

static void two_workers_keep_a_queues_limit(void **state)
{
    stage_play(state, run_narrow);
}

static bool has_rung(void *argument)
{
    const stage *s = argument;
    return s->tasks->worker->alarm_us == 0;
}

static bool is_set(void *argument)
{
    const stage *s = argument;
    return s->tasks->worker->alarm_us != 0;
}

static void wake_at_a_time(stage *s)
{
    stage_start_worker(s, NULL);
    tasks__wake(s->tasks, (tims_time){ tasks__now(s->tasks).us + 3600 * (int64_t)SECOND_US });
    stage_wait("the alarm is set", is_set, s);
    int64_t late_us = s->tasks->worker->alarm_us;
    tasks__wake(s->tasks, (tims_time){ tasks__now(s->tasks).us + SECOND_US / 20 });
    stage_wait("the earlier one rings", has_rung, s);
    assert_true(tasks__now(s->tasks).us < late_us);
}

static void a_worker_wakes_at_the_earliest_time_that_was_asked_for(void **state)
{
    stage_play(state, wake_at_a_time);
}

/* --- what is refused --------------------------------------------------------------------------------------- */

static void what_is_no_limit_ends_the_start_with_a_sentence(void **state)
{
    (void)state;
    static const tims_queue bad_queues[] = { { .name = "bad", .rate = "often" },
                                             { .name = "bad", .rate = "0/s" },
                                             { .name = "bad", .rate = "10" },
                                             { .name = "bad", .concurrency = -1 },
                                             { .name = "" } };
    static const char *const bad_rates[] = { "", "1/d", "-5/m", "5 / m" };
    for (size_t i = 0; i < sizeof bad_queues / sizeof *bad_queues; i++) {
        tims_error err = { 0 };
        assert_int_equal(tasks__check_queue(&bad_queues[i], &err), TIMS_INVALID);
        assert_non_null(strstr(err.message, bad_queues[i].name));
    }
    for (size_t i = 0; i < sizeof bad_rates / sizeof *bad_rates; i++) {
        tims_error err = { 0 };
        tims_task task = metered_task;
        task.key_rate = bad_rates[i];
        assert_int_equal(tasks__check_limits(&task, &err), TIMS_INVALID);
        assert_non_null(strstr(err.message, "metered"));
    }
}

static int start(void **state)
{
    return stage_start(state, &(stage_options){ .tasks = tasks, .queues = queues });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_of_a_queue_run_at_once_on_all_workers_together),
        cmocka_unit_test(no_more_of_a_queue_are_begun_in_a_time),
        cmocka_unit_test(only_what_is_begun_counts),
        cmocka_unit_test(a_queue_may_have_both_limits),
        cmocka_unit_test(a_rate_goes_on_from_a_clock_that_went_back),
        cmocka_unit_test(a_paused_queue_gives_nothing_until_it_goes_on),
        cmocka_unit_test(no_more_of_a_key_run_at_once),
        cmocka_unit_test(every_end_makes_room_for_the_next),
        cmocka_unit_test(a_job_that_was_next_and_is_cancelled_makes_room_too),
        cmocka_unit_test(who_is_behind_a_full_key_does_not_wait_for_it),
        cmocka_unit_test(blocked_jobs_of_which_none_runs_are_found),
        cmocka_unit_test(no_more_of_a_key_are_begun_in_a_time),
        cmocka_unit_test(a_bucket_that_is_full_again_goes),
        cmocka_unit_test(two_workers_run_one_of_a_key_at_once),
        cmocka_unit_test(two_workers_keep_a_queues_limit),
        cmocka_unit_test(a_worker_wakes_at_the_earliest_time_that_was_asked_for),
        cmocka_unit_test(what_is_no_limit_ends_the_start_with_a_sentence),
    };
    return cmocka_run_group_tests_name("task_limit", tests, start, stage_end);
}
