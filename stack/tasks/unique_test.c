/* unique_test: jobs of which there is one at a time (TIMS_TEST_DATABASE). The clock is the test's. */
#include "tasks/sql/sql_internal.h"
#include "tasks/testing.h"

enum { SECOND_US = 1000000 };

static tasks__store *sign_on(stage *s)
{
    tims_error err = { 0 };
    tasks__store *store = tasks__sql_store_new(s->tasks);
    store->worker_name = TIMS_STR("one");
    store->queues_text = TIMS_STR("default");
    store->lease_ms = 24 * 3600 * 1000;
    store->concurrency = 10;
    stage_check(store->api->start(store, s->loop, &err), &err);
    return store;
}

/* The next job of the queue; yours. */
static tasks__job *claim_one(tasks__store *store)
{
    tims_error err = { 0 };
    tasks__job *job = NULL;
    size_t count = 0;
    stage_check(store->api->claim(store, TIMS_STR("default"), 1, &job, &count, &err), &err);
    assert_int_equal(count, 1);
    return job;
}

static void finish(stage *s, tasks__store *store, tasks__job *job, tasks__end end)
{
    tims_error err = { 0 };
    tasks__outcome outcome = { .job = job, .end = end, .run_at = tasks__now(s->tasks) };
    stage_check(store->api->finish(store, &outcome, &err), &err);
    tasks__job_free(&job);
}

static tims_id enqueue(stage *s, const char *key, tims_unique unique_while)
{
    const tims_enqueue_options options = { .unique = tims_str_from(key),
                                           .unique_while = unique_while,
                                           .unique_for_ms = 60 * 1000 };
    return stage_enqueue(s, &noting_task, 1, "unique", &options);
}

static bool is_another(tims_id a, tims_id b)
{
    return !tims_same_id(a, b);
}

/* --- three kinds ------------------------------------------------------------------------------------------- */

static void enqueue_while_queued(stage *s)
{
    tasks__store *store = sign_on(s);
    tims_id first = enqueue(s, "a", TIMS_UNIQUE_QUEUED);
    assert_true(tims_same_id(enqueue(s, "a", TIMS_UNIQUE_QUEUED), first));
    assert_true(is_another(enqueue(s, "b", TIMS_UNIQUE_QUEUED), first));
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job"), 2);
    tasks__job *job = claim_one(store);
    assert_true(tims_same_id(job->id, first));
    tims_id second = enqueue(s, "a", TIMS_UNIQUE_QUEUED);
    assert_true(is_another(second, first));
    finish(s, store, job, TASKS__DONE); /* takes nothing from the second */
    assert_true(tims_same_id(enqueue(s, "a", TIMS_UNIQUE_QUEUED), second));
    tasks__sql_store_free(&store);
}

static void one_is_enqueued_until_it_begins(void **state)
{
    stage_play(state, enqueue_while_queued);
}

static void enqueue_while_unfinished(stage *s)
{
    static const tasks__end ends[] = { TASKS__DONE, TASKS__DEAD, TASKS__CANCELLED, TASKS__EXPIRED };
    tasks__store *store = sign_on(s);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        tims_id first = enqueue(s, "a", TIMS_UNIQUE_UNFINISHED);
        tasks__job *job = claim_one(store);
        assert_true(tims_same_id(enqueue(s, "a", TIMS_UNIQUE_UNFINISHED), first));
        finish(s, store, job, TASKS__BACK);
        assert_true(tims_same_id(enqueue(s, "a", TIMS_UNIQUE_UNFINISHED), first));
        finish(s, store, claim_one(store), ends[i]);
        assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job"), 0);
        tims_id second = enqueue(s, "a", TIMS_UNIQUE_UNFINISHED);
        assert_true(is_another(second, first));
        assert_true(stage_cancel(s, second)); /* one that waits */
        assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job_unique"), 0);
    }
    tasks__sql_store_free(&store);
}

static void one_is_enqueued_until_it_has_ended(void **state)
{
    stage_play(state, enqueue_while_unfinished);
}

static void enqueue_for_a_time(stage *s)
{
    tims_error err = { 0 };
    tims_time next;
    tasks__store *store = sign_on(s);
    tims_id first = enqueue(s, "a", TIMS_UNIQUE_FOR);
    finish(s, store, claim_one(store), TASKS__DONE);
    s->tasks->test_clock_us += 50 * (int64_t)SECOND_US;
    assert_true(tims_same_id(enqueue(s, "a", TIMS_UNIQUE_FOR), first));
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job"), 0);
    s->tasks->test_clock_us += 11 * (int64_t)SECOND_US;
    tims_id second = enqueue(s, "a", TIMS_UNIQUE_FOR);
    assert_true(is_another(second, first));
    assert_true(tims_same_id(enqueue(s, "a", TIMS_UNIQUE_FOR), second));
    finish(s, store, claim_one(store), TASKS__DONE);
    ((tasks__sql *)store)->tidied_at_us = INT64_MIN / 2;
    stage_check(store->api->tidy(store, &next, &err), &err);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job_unique"), 1);
    s->tasks->test_clock_us += 61 * (int64_t)SECOND_US;
    ((tasks__sql *)store)->tidied_at_us = INT64_MIN / 2;
    stage_check(store->api->tidy(store, &next, &err), &err);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job_unique"), 0);
    tasks__sql_store_free(&store);
}

static void one_is_enqueued_in_a_time(void **state)
{
    stage_play(state, enqueue_for_a_time);
}

static void enqueue_two_tasks(stage *s)
{
    const tims_enqueue_options options = { .unique = TIMS_STR("a") };
    tims_id first = stage_enqueue(s, &noting_task, 1, "unique", &options);
    assert_true(is_another(stage_enqueue(s, &failing_task, 1, "unique", &options), first));
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job"), 2);
}

static void a_key_is_the_tasks_own(void **state)
{
    stage_play(state, enqueue_two_tasks);
}

/* --- at one moment ----------------------------------------------------------------------------------------- */

enum { AT_ONCE = 8 };
typedef struct racer {
    stage *s;
    tims_unique unique_while;
    bool fails, has_ended;
    tims_id id;
} racer;

static void enqueue_slowly(tims_request *rq, void *argument)
{
    racer *r = argument;
    const tims_enqueue_options options = { .unique = TIMS_STR("race"),
                                           .unique_while = r->unique_while,
                                           .unique_for_ms = 60000 };
    const numbered arguments = { 1, TIMS_STR("race") };
    r->id = tims_enqueue_with(rq, &noting_task, &arguments, &options);
    tims_check(rq, tims_sleep_ms(2), &(tims_error){ .message = "woken" });
    if (r->fails)
        tims_raise(rq, 500, "told_to", "It was told to fail.");
}

static void race(void *argument)
{
    racer *r = argument;
    tims_error err = stage_ask(r->s, enqueue_slowly, r);
    assert_int_equal(err.status != TIMS_OK, r->fails);
    r->has_ended = true;
}

static bool have_ended(void *argument)
{
    const racer *r = argument;
    for (size_t i = 0; i < AT_ONCE; i++)
        if (!r[i].has_ended)
            return false;
    return true;
}

/* The first half of them roll back. */
static void enqueue_at_once(stage *s)
{
    static racer racers[AT_ONCE];
    for (int kind = TIMS_UNIQUE_QUEUED; kind <= TIMS_UNIQUE_FOR; kind++)
        for (int round = 0; round < 5; round++) {
            stage_run(s, "DELETE FROM tims_job");
            stage_run(s, "DELETE FROM tims_job_unique");
            for (size_t i = 0; i < AT_ONCE; i++) {
                racers[i] = (racer){ .s = s,
                                     .unique_while = (tims_unique)kind,
                                     .fails = round > 0 && i < AT_ONCE / 2 };
                assert_non_null(tims_fiber_start(s->loop, race, &racers[i]));
            }
            stage_wait("all have enqueued", have_ended, racers);
            assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job"), 1);
            assert_int_equal(
                stage_int(s, "SELECT count(*) FROM tims_job JOIN tims_job_unique ON job = tims_job.id"), 1);
            for (size_t i = AT_ONCE / 2; i < AT_ONCE; i++)
                assert_true(tims_same_id(racers[i].id, racers[AT_ONCE - 1].id));
        }
}

static void of_many_at_one_moment_one_is_enqueued_and_all_get_its_id(void **state)
{
    stage_play(state, enqueue_at_once);
}

/* --- the dead list ----------------------------------------------------------------------------------------- */

typedef struct asked {
    tims_id id;
} asked;

static void retry_in(tims_request *rq, void *argument)
{
    const asked *a = argument;
    assert_true(tasks__dead_retry(rq, a->id));
}

static void retry(stage *s, tims_id id)
{
    asked a = { id };
    tims_error err = stage_ask(s, retry_in, &a);
    stage_check(err.status, &err);
}

static void retry_with_key(stage *s)
{
    tasks__store *store = sign_on(s);
    tims_id first = enqueue(s, "a", TIMS_UNIQUE_UNFINISHED);
    finish(s, store, claim_one(store), TASKS__DEAD);
    retry(s, first);
    assert_true(tims_same_id(enqueue(s, "a", TIMS_UNIQUE_UNFINISHED), first));
    finish(s, store, claim_one(store), TASKS__DEAD);
    tims_id second = enqueue(s, "a", TIMS_UNIQUE_UNFINISHED);
    assert_true(is_another(second, first));
    retry(s, first); /* the key is the second's meanwhile: it runs without */
    tasks__job *one = claim_one(store), *other = claim_one(store);
    finish(s, store, tims_same_id(one->id, first) ? one : other, TASKS__DONE);
    assert_true(tims_same_id(enqueue(s, "a", TIMS_UNIQUE_UNFINISHED), second));
    finish(s, store, tims_same_id(one->id, second) ? one : other, TASKS__DONE);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job_unique"), 0);
    tasks__sql_store_free(&store);
}

static void a_dead_job_takes_its_key_again_if_it_is_free(void **state)
{
    stage_play(state, retry_with_key);
}

static void retry_foreign_in(tims_request *rq, void *argument)
{
    const asked *a = argument;
    (void)tasks__dead_retry(rq, a->id);
}

static void retry_foreign(stage *s)
{
    tasks__store *store = sign_on(s);
    asked a = { enqueue(s, "a", TIMS_UNIQUE_UNFINISHED) };
    finish(s, store, claim_one(store), TASKS__DEAD);
    stage_run(s, "UPDATE tims_job_dead SET foreign_message = '?'");
    tims_error err = stage_ask(s, retry_foreign_in, &a);
    assert_int_equal(err.status, TIMS_CONFLICT);
    assert_string_equal(err.code, "unreadable");
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job_dead"), 1);
    tasks__sql_store_free(&store);
}

static void what_could_not_be_read_cannot_be_retried(void **state)
{
    stage_play(state, retry_foreign);
}

/* --- what is refused --------------------------------------------------------------------------------------- */

static void enqueue_odd(tims_request *rq, void *argument)
{
    (void)tims_enqueue_with(rq, &noting_task, &(numbered){ 1, TIMS_STR("odd") }, argument);
}

static void refuse_keys(stage *s)
{
    static char text[TIMS_TASK_KEY_BYTES_MAX + 1];
    memset(text, 'x', sizeof text);
    tims_enqueue_options odd[] = {
        { .unique = TIMS_STR("a"), .unique_while = TIMS_UNIQUE_FOR },
        { .unique = TIMS_STR("a"), .unique_while = TIMS_UNIQUE_FOR, .unique_for_ms = -1 },
        { .unique = { text, sizeof text } },
        { .unique = TIMS_STR("\xff") },
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        tims_error err = stage_ask(s, enqueue_odd, &odd[i]);
        assert_int_equal(err.status, TIMS_INVALID);
    }
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job"), 0);
}

static void what_is_no_key_is_refused(void **state)
{
    stage_play(state, refuse_keys);
}

static int start(void **state)
{
    return stage_start(state, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_enqueued_until_it_begins),
        cmocka_unit_test(one_is_enqueued_until_it_has_ended),
        cmocka_unit_test(one_is_enqueued_in_a_time),
        cmocka_unit_test(a_key_is_the_tasks_own),
        cmocka_unit_test(of_many_at_one_moment_one_is_enqueued_and_all_get_its_id),
        cmocka_unit_test(a_dead_job_takes_its_key_again_if_it_is_free),
        cmocka_unit_test(what_could_not_be_read_cannot_be_retried),
        cmocka_unit_test(what_is_no_key_is_refused),
    };
    return cmocka_run_group_tests_name("unique", tests, start, stage_end);
}
