/* worker_stop_test: a worker that stops while its store takes its time (TIMS_TEST_DATABASE). */
#include "tasks/testing.h"
#include "tasks/worker/worker_internal.h"

/* Between the scene and its store, which share the thread. */
static struct {
    const tasks__store_api *own;
    bool has_claimed, may_go_on, has_beaten, has_failed;
} shared;

static void noting_there(tims_run *run, const numbered *arguments)
{
    note(run, arguments);
}
extern const tims_task noting_there_task;
TIMS_TASK(noting_there, numbered, .fields = NUMBERED, .blocking = true);

static const tims_task *const tasks[] = { &noting_there_task, NULL };
static const stage_options options = { .tasks = tasks };

static bool is_set(void *flag)
{
    return *(bool *)flag;
}

/* Has the jobs, and the answer takes its time. */
static tims_status claim_slowly(tasks__store *store, tims_str queue, size_t max, tasks__job **ret_jobs,
                                size_t *ret_count, tims_error *err)
{
    tims_status status = shared.own->claim(store, queue, max, ret_jobs, ret_count, err);
    shared.has_claimed = shared.has_claimed || (status == TIMS_OK && *ret_count > 0);
    while (shared.has_claimed && !shared.may_go_on)
        assert_int_equal(tims_sleep_ms(1), TIMS_OK);
    return status;
}

static tims_status beat_and_tell(tasks__store *store, void (*cancelled)(void *argument, tims_id job),
                                 void (*lost)(void *argument), void *argument, tims_error *err)
{
    shared.has_beaten = true;
    return shared.own->beat(store, cancelled, lost, argument, err);
}

/* Who keeps the lease has heard of it: looks on, or has left. */
static bool has_heard(void *argument)
{
    const stage *s = argument;
    return shared.has_beaten || s->tasks->worker->fibers < 4;
}

static void stop_within_claim(stage *s, const tims_task *task)
{
    tasks__store_api slow = *s->tasks->store->api;
    memset(&shared, 0, sizeof shared);
    shared.own = s->tasks->store->api;
    slow.claim = claim_slowly;
    slow.beat = beat_and_tell;
    s->tasks->store->api = &slow;
    stage_start_worker(s, NULL);
    stage_enqueue(s, task, 1, "late", NULL);
    stage_wait("the claim", is_set, &shared.has_claimed);
    s->has_stopped = shared.has_beaten = false;
    tims_worker_stop(s->tasks, stage_note_stopped, s);
    stage_wait("its hearing that it stops", has_heard, s);
    assert_false(s->has_stopped);
    shared.may_go_on = true;
    stage_wait("the worker's end", is_set, &s->has_stopped);
    s->tasks->store->api = shared.own;
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 0);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job WHERE state = 0 AND attempt = 0 AND crashes "
                                  "= 0 AND worker IS NULL"),
                     1);
}

static void stop_on_a_fiber(stage *s)
{
    stop_within_claim(s, &noting_task);
}

static void stop_in_a_process(stage *s)
{
    stop_within_claim(s, &noting_there_task);
}

static void what_a_claim_brings_after_the_stop_goes_back(void **state)
{
    stage_play(state, stop_on_a_fiber);
    stage_play(state, stop_in_a_process);
}

static tims_status finish_in_vain(tasks__store *store, tasks__outcome *list, tims_error *err)
{
    (void)store, (void)list;
    shared.has_failed = true;
    return tims_fail(err, TIMS_UNAVAILABLE, "away", "It is away.");
}

static void stop_without_store(stage *s)
{
    static const tims_worker_options hasty = { .no_schedules = true, .drain_ms = 50, .lease_ms = 30000 };
    tasks__store_api away = *s->tasks->store->api;
    memset(&shared, 0, sizeof shared);
    shared.own = s->tasks->store->api;
    away.finish = finish_in_vain;
    s->tasks->store->api = &away;
    stage_start_worker(s, &hasty);
    s->tasks->worker->grace_ms = 50;
    stage_enqueue(s, &failing_task, 1, "x", NULL);
    stage_wait("an end that cannot be written", is_set, &shared.has_failed);
    stage_stop_worker(s);
    s->tasks->store->api = shared.own;
    stage_run(s, "DELETE FROM tims_worker"); /* as a while later */
    stage_start_worker(s, NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_dead WHERE attempt = 3", 1);
}

static void who_stops_without_its_store_leaves_the_job_to_the_next(void **state)
{
    stage_play(state, stop_without_store);
}

static int start(void **state)
{
    return stage_start(state, &options);
}

int main(int argc, char **argv)
{
    int exit_code;
    if (stage_is_process(argc, argv, &options, &exit_code))
        return exit_code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_claim_brings_after_the_stop_goes_back),
        cmocka_unit_test(who_stops_without_its_store_leaves_the_job_to_the_next),
    };
    return cmocka_run_group_tests_name("worker_stop", tests, start, stage_end);
}
