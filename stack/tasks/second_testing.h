/* second_testing.h: a second process beside the stage's own, as far as the database can tell: tasks and a
 * worker of its own on the same loop. For tests only. */
#ifndef TIMS_TASKS_SECOND_TESTING_H
#define TIMS_TASKS_SECOND_TESTING_H

#include "tasks/testing.h"

/* The same options as the stage's. Lives in the stage's arena. */
TIMS_UNUSED static tims_tasks *second_tasks(stage *s)
{
    tims_tasks *tasks;
    tims_error err = { 0 };
    stage_check(tims_tasks_new(s->arena, s->db, &s->tasks->options, &tasks, &err), &err);
    return tasks;
}

TIMS_UNUSED static void second_start(stage *s, tims_tasks *tasks, const char *name,
                                     const tims_worker_options *options)
{
    tims_worker_options with = { .no_schedules = true };
    tims_error err = { 0 };
    if (options != NULL)
        with = *options;
    with.name = tims_str_from(name);
    stage_check(tims_worker_start(tasks, s->loop, &with, &err), &err);
}

TIMS_UNUSED static void second_stop(stage *s, tims_tasks *tasks)
{
    tims_tasks *own = s->tasks;
    s->tasks = tasks;
    stage_stop_worker(s);
    s->tasks = own;
}

#endif
