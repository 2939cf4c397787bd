/* cancel.c: a job that nobody wants any more. */
#include <stdlib.h>

#include "tasks/sql/sql_internal.h"

/* The job as it waits; false: it is not there. */
static bool find_job(tims_request *rq, tims_id id, tasks__job *ret_job, int64_t *ret_state)
{
    const tims_db_value value = tims_db_id(id);
    tims_error err = { 0 };
    tims_db_rows *rows = tims_sql_query(
        rq, TIMS_STR("SELECT " TASKS__JOB_COLUMNS ", state FROM tims_job WHERE id = ?1"), &value, 1);
    bool found = tims_db_next(rows);
    if (found) {
        tasks__job job;
        tasks__job_read(rows, 0, &job);
        *ret_state = tims_db_get_int(rows, TASKS__JOB_COLUMN_COUNT);
        tasks__job *copy = tasks__job_copy(&job);
        tims_defer(rq, free, copy);
        *ret_job = *copy;
    }
    tims_check(rq, tims_db_rows_end(&rows, &err), &err);
    return found;
}

bool tims_cancel(tims_request *rq, tims_id id)
{
    tims_tasks *tasks = tasks__of(rq);
    tims_error err = { 0 };
    tasks__job job;
    int64_t state = 0;
    const tims_db_value value = tims_db_id(id);
    tims_begin(rq);
    if (!find_job(rq, id, &job, &state))
        return tasks->store->api->cancel != NULL && tasks->store->api->cancel(tasks->store, rq, id);
    if (tims_sql_run(rq, TIMS_STR("DELETE FROM tims_job WHERE id = ?1 AND state <> 2"), &value, 1) == 0)
        return tims_sql_run(rq, TIMS_STR("UPDATE tims_job SET cancelled = ?2 WHERE id = ?1"),
                            (const tims_db_value[]){ value, tims_db_int(1) }, 2) > 0;
    tasks__outcome outcome = { .job = &job, .end = TASKS__CANCELLED };
    tims_check(rq, tasks__after(tasks, tims_session_db(rq), rq->arena, &outcome, &err), &err);
    return true;
}

/* --- with a dead worker ----------------------------------------------------------------------------------- */

enum { LOST_MAX = 500 };

/* Copies; at most LOST_MAX of them. */
static tims_status find_lost(tasks__work *work, tasks__job **ret_jobs, size_t *count, tims_error *err)
{
    tims_db_rows *rows;
    const tims_db_value values[] = { tims_db_int(tasks__now(work->store->tasks).us), tims_db_int(LOST_MAX) };
    tims_status status = tims_db_query(
        work->session,
        TIMS_STR("SELECT " TASKS__JOB_COLUMNS " FROM tims_job WHERE state = 2 AND cancelled AND "
                 "worker NOT IN (SELECT id FROM tims_worker WHERE lease_until > ?1) LIMIT ?2"),
        values, 2, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (*count < LOST_MAX && tims_db_next(rows)) {
        tasks__job job;
        tasks__job_read(rows, 0, &job);
        ret_jobs[*count] = tasks__job_copy(&job);
        tims_arena_defer(work->arena, free, ret_jobs[(*count)++]);
    }
    return tims_db_rows_end(&rows, err);
}

static tims_status end_lost(tasks__work *work, tasks__job *job, tims_error *err)
{
    int64_t changed = 0;
    const tasks__outcome outcome = { .job = job, .end = TASKS__CANCELLED };
    const tims_db_value values[] = { tims_db_id(job->id), tims_db_int(job->attempt) };
    tims_status status = tims_db_run(
        work->session, TIMS_STR("DELETE FROM tims_job WHERE id = ?1 AND attempt = ?2 AND state = 2"), values,
        2, &changed, err);
    if (status == TIMS_OK && changed > 0)
        status = tasks__after(work->store->tasks, work->session, work->arena, &outcome, err);
    return status;
}

tims_status tasks__cancel_lost(tasks__work *work, tims_error *err)
{
    tasks__job *jobs[LOST_MAX];
    size_t count = 0;
    tims_status status = find_lost(work, jobs, &count, err);
    for (size_t i = 0; status == TIMS_OK && i < count; i++)
        status = end_lost(work, jobs[i], err);
    return status;
}
