/* limit.c: how many at once, and how many in a time. */
#include "tasks/tasks_internal.h"

tims_status tasks__check_limits(const tims_task *task, tims_error *err)
{
    (void)task, (void)err;
    return TIMS_OK;
}

tims_status tasks__check_queue(const tims_queue *queue, tims_error *err)
{
    (void)queue, (void)err;
    return TIMS_OK;
}

tims_status tasks__limit_queue(tims_tasks *tasks, tims_db_session *session, const tims_queue *rule,
                               size_t max, size_t *ret_allowed, tims_time *ret_again, tims_error *err)
{
    (void)tasks, (void)session, (void)rule, (void)err;
    *ret_allowed = max;
    ret_again->us = 0;
    return TIMS_OK;
}

tims_status tasks__limit_keys(tims_tasks *tasks, tims_db_session *session, tasks__job **jobs, size_t *count,
                              tims_time *ret_again, tims_error *err)
{
    (void)tasks, (void)session, (void)jobs, (void)count, (void)ret_again, (void)err;
    return TIMS_OK;
}

tims_status tasks__limit_release(tims_tasks *tasks, tims_db_session *session, const tasks__job *job,
                                 tims_error *err)
{
    (void)tasks, (void)session, (void)job, (void)err;
    return TIMS_OK;
}

tims_status tasks__limit_sweep(tims_tasks *tasks, tims_db_session *session, tims_error *err)
{
    (void)tasks, (void)session, (void)err;
    return TIMS_OK;
}
