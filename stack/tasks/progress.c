/* progress.c: how far running jobs are, written a few times a second at most, outside of their transactions:
 * who looks at a progress bar looks at it now. */
#include "tasks/sql_internal.h"
#include "tasks/worker_internal.h"

static tims_status write_all(tasks__work *work, tims_error *err)
{
    tasks__worker *worker = work->argument;
    tims_status status = TIMS_OK;
    for (tasks__item *at = worker->running; status == TIMS_OK && at != NULL;) {
        tims_id job = at->job->id;
        if (at->progress_changed) {
            at->progress_changed = false;
            tims_str text = tims_copy(work->arena, (tims_str){ at->progress_text, at->progress_length });
            status = tasks__status_progress(work->session, work->arena, job, at->progress, text, err);
            at = worker->running; /* the list may have changed meanwhile */
        } else {
            at = at->next_running;
        }
    }
    return status;
}

void tasks__write_progress(tasks__worker *worker)
{
    tims_error err = { 0 };
    worker->progress_changed = false;
    worker->tasks->sql->loop = worker->loop;
    if (tasks__sql_transact(worker->tasks->sql, write_all, worker, &err) != TIMS_OK && worker->pause_ms == 0)
        tims_log(TIMS_LOG_WARN, "tasks", "event=progress_lost message=%s", err.message);
}
