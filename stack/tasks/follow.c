/* follow.c: chains and groups: what follows a job, in the transaction that ends it. */
#include "tasks/tasks_internal.h"

tims_id tims_enqueue_chain(tims_request *rq, const tims_step *steps, size_t count)
{
    (void)steps, (void)count;
    tims_raise(rq, 501, "not_there", "Chains are not there yet.");
}

tims_id tims_enqueue_group(tims_request *rq, const tims_step *steps, size_t count, const tims_step *last)
{
    (void)steps, (void)count, (void)last;
    tims_raise(rq, 501, "not_there", "Groups are not there yet.");
}

tims_status tasks__follow(tims_tasks *tasks, tims_db_session *session, tims_arena *arena,
                          const tasks__job *job, tims_str result, tims_error *err)
{
    (void)tasks, (void)session, (void)arena, (void)job, (void)result, (void)err;
    return TIMS_OK;
}

tims_status tasks__follow_without(tims_tasks *tasks, tims_db_session *session, tims_arena *arena,
                                  const tasks__job *job, tims_error *err)
{
    (void)tasks, (void)session, (void)arena, (void)job, (void)err;
    return TIMS_OK;
}
