/* schedule.c: what is enqueued at certain times. */
#include "tasks/tasks_internal.h"

tims_status tasks__check_schedule(tims_arena *arena, const tims_schedule *schedule, tims_error *err)
{
    (void)arena, (void)schedule, (void)err;
    return TIMS_OK;
}

tims_status tasks__run_schedules(tims_tasks *tasks, tims_loop *loop, tims_time *ret_next, tims_error *err)
{
    (void)tasks, (void)loop, (void)err;
    ret_next->us = INT64_MAX;
    return TIMS_OK;
}
