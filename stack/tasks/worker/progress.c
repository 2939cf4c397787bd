/* progress.c: how far running jobs are, written a few times a second at most, outside of their transactions:
 * who looks at a progress bar looks at it now. By a fiber of its own, so that runs which tell it all the time
 * cost one small transaction now and then, and nothing else waits for it. */
#include "tasks/sql/sql_internal.h"
#include "tasks/worker/worker_internal.h"

enum { PROGRESS_MS = 100, AWAY_MS = 1000, IDLE_MS = 60 * 1000 };

void tasks__note_progress(tasks__control *control, double fraction, tims_str text)
{
    tasks__item *item = control->data;
    tasks__worker *worker = item->worker;
    tims_str cut = tims_str_slice(text, 0, sizeof item->progress_text);
    for (int i = 0; i < 3 && cut.length > 0 && !tims_str_is_utf8(cut); i++)
        cut.length--; /* not within a character */
    if (!tims_str_is_utf8(cut) || memchr(cut.data, 0, cut.length) != NULL)
        cut.length = 0; /* no text: the database would refuse it, and others' with it */
    item->progress = fraction;
    memcpy(item->progress_text, cut.data, cut.length);
    item->progress_length = cut.length;
    item->progress_changed = true;
    if (!worker->progress_changed)
        tasks__nudge(&worker->teller);
    worker->progress_changed = true;
}

/* What running jobs say of themselves since the last time, in one transaction. */
static tims_status write_all(tasks__work *work, tims_error *err)
{
    tasks__worker *worker = work->argument;
    tims_status status = TIMS_OK;
    for (tasks__item *at = worker->running; status == TIMS_OK && at != NULL;) {
        tims_id job = at->job->id;
        if (at->progress_changed) {
            at->progress_changed = false;
            at->progress_is_told = true;
            tims_str text = tims_copy(work->arena, (tims_str){ at->progress_text, at->progress_length });
            status = tasks__status_progress(work->session, work->arena, job, at->progress, text, err);
            at = worker->running; /* the list may have changed meanwhile */
        } else {
            at = at->next_running;
        }
    }
    return status;
}

/* After the transaction: if it was in vain, what it told is told again. */
static void note_told(tasks__worker *worker, bool in_vain)
{
    for (tasks__item *at = worker->running; at != NULL; at = at->next_running) {
        at->progress_changed = at->progress_changed || (in_vain && at->progress_is_told);
        at->progress_is_told = false;
    }
    worker->progress_changed = worker->progress_changed || in_vain;
}

void tasks__tell_progress(void *argument)
{
    tasks__worker *worker = argument;
    bool was_away = false;
    while (!worker->stopping || worker->fibers > 1) { /* to the last: what drains still tells */
        if (!worker->progress_changed) {
            tasks__wait_ms(&worker->teller, IDLE_MS);
            continue;
        }
        tims_error err = { 0 };
        worker->progress_changed = false;
        worker->tasks->sql->loop = worker->loop;
        bool is_away = tasks__sql_transact(worker->tasks->sql, write_all, worker, &err) != TIMS_OK;
        if (is_away && !was_away && worker->pause_ms == 0)
            tims_log(TIMS_LOG_WARN, "tasks", "event=progress_late message=%s", err.message);
        note_told(worker, is_away);
        was_away = is_away;
        (void)!tims_sleep_ms(is_away && !worker->stopping ? AWAY_MS : PROGRESS_MS);
    }
    tasks__worker_fiber_ended(worker);
}
