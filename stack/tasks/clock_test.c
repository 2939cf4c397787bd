/* clock_test: the clock goes back, or leaps forward, while a worker runs (TIMS_TEST_DATABASE). */
#include "tasks/testing.h"

enum { LEASE_MS = 600 };
#define HOUR_US (INT64_C(3600) * 1000 * 1000)

static const tims_worker_options short_lease = { .lease_ms = LEASE_MS, .no_schedules = true };

static void go_back(stage *s)
{
    tims_enqueue_options later = { .delay_ms = 1800 * 1000 };
    stage_start_worker(s, &short_lease);
    stage_enqueue(s, &noting_task, 1, "before", NULL);
    stage_enqueue(s, &noting_task, 2, "later", &later);
    stage_wait_for(s, "SELECT count(*) FROM effect", 1);
    s->tasks->test_clock_us -= HOUR_US;
    stage_enqueue(s, &noting_task, 3, "after", NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect", 2);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job WHERE state = 1"), 1);
    s->tasks->test_clock_us += 2 * HOUR_US;
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE label = 'later'", 1);
}

static void a_clock_that_goes_back_holds_up_no_job_that_is_ready(void **state)
{
    stage_play(state, go_back);
}

/* A worker that dies just before: its lease seems to last for another hour. */
static void die_and_go_back(stage *s)
{
    tims_error err = { 0 };
    tasks__job *job = NULL;
    size_t count = 0;
    tasks__store *dying = tasks__sql_store_new(s->tasks);
    dying->worker_name = TIMS_STR("dying");
    dying->lease_ms = LEASE_MS;
    stage_check(dying->api->start(dying, s->loop, &err), &err);
    stage_enqueue(s, &noting_task, 1, "orphan", NULL);
    stage_check(dying->api->claim(dying, TIMS_STR("default"), 1, &job, &count, &err), &err);
    assert_int_equal(count, 1);
    tasks__job_free(&job);
    tasks__sql_store_free(&dying);
    s->tasks->test_clock_us -= HOUR_US;
    stage_start_worker(s, &short_lease);
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE label = 'orphan' AND attempt = 2", 1);
    stage_wait_for(s, "SELECT count(*) FROM tims_worker", 1);
}

static void jobs_of_a_dead_worker_do_not_wait_until_the_clock_is_there_again(void **state)
{
    stage_play(state, die_and_go_back);
}

static void leap(stage *s)
{
    tims_enqueue_options later = { .delay_ms = 1800 * 1000 };
    stage_start_worker(s, &short_lease);
    for (int i = 0; i < 20; i++)
        stage_enqueue(s, &noting_task, i, "later", &later);
    s->tasks->test_clock_us += HOUR_US;
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE label = 'later'", 20);
    stage_wait_for(s, "SELECT count(*) FROM tims_job", 0);
    stage_wait_for(s, "SELECT count(*) FROM tims_worker", 1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job_dead"), 0);
}

static void a_clock_that_leaps_makes_due_what_is_due_and_loses_nothing(void **state)
{
    stage_play(state, leap);
}

static int start(void **state)
{
    return stage_start(state, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_goes_back_holds_up_no_job_that_is_ready),
        cmocka_unit_test(jobs_of_a_dead_worker_do_not_wait_until_the_clock_is_there_again),
        cmocka_unit_test(a_clock_that_leaps_makes_due_what_is_due_and_loses_nothing),
    };
    return cmocka_run_group_tests_name("clock", tests, start, stage_end);
}
