/* cancel.c: a job that nobody wants any more. */
#include <stdlib.h>

#include "tasks/job_row.h"

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
