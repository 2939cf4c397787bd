/* worker_test: what a worker does with jobs on fibers (TIMS_TEST_DATABASE). */
#include "tasks/testing.h"

static void run_one(stage *s)
{
    stage_start_worker(s, NULL);
    stage_enqueue(s, &noting_task, 7, "one", NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE label = 'one' AND number = 7 AND attempt = 1", 1);
    stage_wait_for(s, "SELECT count(*) FROM tims_job", 0);
}

static void a_job_is_run_once(void **state)
{
    stage_play(state, run_one);
}

static void run_failing(stage *s)
{
    stage_start_worker(s, NULL);
    stage_enqueue(s, &failing_task, 7, "bad", NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_dead WHERE attempt = 3", 1);
    stage_assert_text(s, "SELECT code FROM tims_job_dead", "told_to");
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 0);
}

static void what_fails_is_tried_again_and_then_dead(void **state)
{
    stage_play(state, run_failing);
}

static int start(void **state)
{
    return stage_start(state, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_run_once),
        cmocka_unit_test(what_fails_is_tried_again_and_then_dead),
    };
    return cmocka_run_group_tests_name("worker", tests, start, stage_end);
}
