/* process_pool.c: processes for blocking tasks. */
#include <stdlib.h>

#include "tasks/tasks_internal.h"

struct tasks__pool {
    tims_tasks *tasks;
    tims_loop *loop;
};

tasks__pool *tasks__pool_new(tims_tasks *tasks, tims_loop *loop, size_t processes, const char *program)
{
    (void)processes, (void)program;
    tasks__pool *pool = calloc(1, sizeof *pool);
    TIMS_ASSERT(pool != NULL);
    *pool = (tasks__pool){ tasks, loop };
    return pool;
}

void tasks__pool_run(tasks__pool *pool, tasks__store *store, tasks__job *job, tasks__control *control,
                     tasks__outcome *ret_outcome)
{
    tasks__run_job(pool->tasks, pool->loop, store, job, control, ret_outcome);
}

void tasks__pool_stop(tasks__pool *pool, tims_loop_fn on_ended, void *argument)
{
    (void)pool;
    on_ended(argument);
}

void tasks__pool_free(tasks__pool **pool)
{
    free(*pool);
    *pool = NULL;
}

int tims_task_process(tims_tasks *tasks, const char *socket_path)
{
    (void)tasks, (void)socket_path;
    return 1;
}
