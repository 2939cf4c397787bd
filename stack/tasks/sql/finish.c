/* finish.c: how jobs end, in batches.
 *
 * Most end as done and leave nothing behind: those go in one statement. What has more to it (retries, dead
 * ones, tracked ones, chains …) takes a few statements each, in the same transaction. Every one of them names
 * worker and attempt: of a job that somebody else has meanwhile nothing is touched. */
#include <stdlib.h>

#include "tasks/sql/sql_internal.h"

/* --- plain ends ------------------------------------------------------------------------------------------- */

static bool is_plain(const tasks__outcome *outcome)
{
    const tasks__job *job = outcome->job;
    return outcome->end == TASKS__DONE && !job->tracked && !job->unique_key.present && !job->key.present &&
           !job->group_id.present && !job->steps.present;
}

static tims_status delete_each(tasks__work *work, tasks__outcome *list, tims_error *err)
{
    tims_status status = TIMS_OK;
    for (tasks__outcome *at = list; status == TIMS_OK && at != NULL; at = at->next) {
        if (!is_plain(at))
            continue;
        const tims_db_value values[] = { tims_db_id(at->job->id), tims_db_int(at->job->attempt),
                                         tims_db_id(work->store->worker) };
        status = tims_db_run(work->session,
                             TIMS_STR("DELETE FROM tims_job WHERE id = ?1 AND attempt = ?2 AND worker = ?3"),
                             values, 3, NULL, err);
    }
    return status;
}

static tims_status delete_together(tasks__work *work, tasks__outcome *list, tims_error *err)
{
    tims_buf ids, attempts;
    tims_buf_init(&ids, work->arena, 1024 * 1024);
    tims_buf_init(&attempts, work->arena, 1024 * 1024);
    for (const tasks__outcome *at = list; at != NULL; at = at->next) {
        if (!is_plain(at))
            continue;
        tims_buf_print(&ids, "%c%I", ids.length == 0 ? '{' : ',', at->job->id);
        tims_buf_print(&attempts, "%c%lld", attempts.length == 0 ? '{' : ',', (long long)at->job->attempt);
    }
    if (ids.length == 0)
        return TIMS_OK;
    tims_buf_append_char(&ids, '}');
    tims_buf_append_char(&attempts, '}');
    TIMS_ASSERT(!ids.overflow && !attempts.overflow);
    const tims_db_value values[] = { tims_db_id(work->store->worker), tims_db_text(tims_buf_str(&ids)),
                                     tims_db_text(tims_buf_str(&attempts)) };
    return tims_db_run(
        work->session,
        TIMS_STR("DELETE FROM tims_job USING unnest(?2::text::uuid[], ?3::text::int8[]) AS done(id, "
                 "attempt) WHERE tims_job.id = done.id AND tims_job.attempt = done.attempt AND worker "
                 "= ?1"),
        values, 3, NULL, err);
}

/* --- all others ------------------------------------------------------------------------------------------- */

/* Takes the row out. False in `ret_ours`: it is no longer ours. */
static tims_status take_out(tasks__store *store, tims_db_session *session, const tasks__job *job,
                            bool *ret_ours, tims_error *err)
{
    int64_t changed = 0;
    const tims_db_value values[] = { tims_db_id(job->id), tims_db_int(job->attempt),
                                     tims_db_id(store->worker) };
    tims_status status =
        tims_db_run(session, TIMS_STR("DELETE FROM tims_job WHERE id = ?1 AND attempt = ?2 AND worker = ?3"),
                    values, 3, &changed, err);
    *ret_ours = changed > 0;
    return status;
}

/* Back to the queue: now (BACK), or at a time (AGAIN); not one that nobody wants any more. */
static tims_status put_back(tasks__store *store, tims_db_session *session, const tasks__outcome *outcome,
                            bool *ret_ours, tims_error *err)
{
    const tasks__job *job = outcome->job;
    bool is_back = outcome->end == TASKS__BACK;
    int64_t changed = 0;
    const tims_db_value values[] = { tims_db_id(job->id),
                                     tims_db_int(job->attempt),
                                     tims_db_id(store->worker),
                                     tims_db_int(is_back ? TASKS__READY : TASKS__LATER),
                                     tims_db_int(is_back ? job->run_at.us : outcome->run_at.us),
                                     tims_db_int(is_back ? 1 : 0),
                                     tims_db_int(outcome->crashed ? 1 : 0) };
    tims_status status =
        tims_db_run(session,
                    TIMS_STR("UPDATE tims_job SET state = ?4, run_at = ?5, attempt = attempt - ?6, "
                             "crashes = crashes + ?7, worker = NULL WHERE id = ?1 AND attempt = ?2 "
                             "AND worker = ?3 AND NOT cancelled"),
                    values, 7, &changed, err);
    *ret_ours = changed > 0;
    if (status == TIMS_OK && *ret_ours && job->tracked)
        status = tasks__status_wait(session, job->id, outcome->message, err);
    return status;
}

tims_status tasks__release_unique(tims_db_session *session, const tasks__job *job, tims_error *err)
{
    const tims_db_value id = tims_db_id(job->id);
    if (!job->unique_key.present || job->unique_while == TIMS_UNIQUE_FOR)
        return TIMS_OK;
    return tims_db_run(session, TIMS_STR("DELETE FROM tims_job_unique WHERE job = ?1"), &id, 1, NULL, err);
}

tims_status tasks__bury(tims_tasks *tasks, tims_db_session *session, const tasks__outcome *outcome,
                        tims_opt_str foreign_message, tims_error *err)
{
    const tasks__job *job = outcome->job;
    const tims_db_value values[] = { tims_db_id(job->id),
                                     tims_db_text(job->task),
                                     tims_db_text(job->queue),
                                     tims_db_int(job->version),
                                     tims_db_text(job->arguments),
                                     tims_db_int(job->priority),
                                     tims_db_int(job->attempt),
                                     tims_db_int(job->crashes + outcome->crashed),
                                     tims_db_int(job->enqueued_at.us),
                                     tims_db_int(tasks__now(tasks).us),
                                     tasks__opt_id(job->user),
                                     tasks__opt_text(job->key),
                                     tasks__opt_text(job->unique_key),
                                     tims_db_int(job->unique_while),
                                     tasks__opt_id(job->group_id),
                                     tims_db_int(job->group_index),
                                     tasks__opt_text(job->steps),
                                     tasks__opt_text(job->previous),
                                     tims_db_text(job->trace),
                                     tims_db_text(
                                         tims_str_from(outcome->code != NULL ? outcome->code : "failed")),
                                     tims_db_text(outcome->message),
                                     tasks__opt_text(foreign_message),
                                     tims_db_int(job->tracked) };
    return tims_db_run(
        session,
        TIMS_STR(
            "INSERT INTO tims_job_dead (id, task, queue, version, arguments, priority, attempt, crashes, "
            "enqueued_at, died_at, owner, limit_key, unique_key, unique_while, group_id, group_index, steps, "
            "previous, trace, code, error, foreign_message, tracked) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "
            "?9, "
            "?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23) ON CONFLICT (id) DO "
            "NOTHING"),
        values, sizeof values / sizeof *values, NULL, err);
}

static const char *state_after(tasks__end end)
{
    switch (end) {
    case TASKS__DONE:
    case TASKS__COMMITTED:
        return "done";
    case TASKS__CANCELLED:
        return "cancelled";
    case TASKS__EXPIRED:
        return "expired";
    default:
        return "failed";
    }
}

static tims_status after_but_key(tims_tasks *tasks, tims_db_session *session, tims_arena *arena,
                                 const tasks__outcome *outcome, tims_error *err)
{
    const tasks__job *job = outcome->job;
    tims_status status = TIMS_OK;
    if (outcome->end == TASKS__DEAD)
        status = tasks__bury(tasks, session, outcome, (tims_opt_str){ 0 }, err);
    else if (outcome->end == TASKS__DONE || outcome->end == TASKS__COMMITTED)
        status = tasks__follow(tasks, session, arena, job, outcome->result, err);
    else
        status = tasks__follow_without(tasks, session, arena, job, err);
    if (status == TIMS_OK)
        status = tasks__release_unique(session, job, err);
    if (status == TIMS_OK && job->tracked) {
        const tims_task *task = tims_tasks_find(tasks, job->task);
        const tasks__status_ended ended = { .job = job->id,
                                            .state = state_after(outcome->end),
                                            .result = outcome->result,
                                            .error = outcome->message,
                                            .keep_s = task != NULL ? task->keep_s : 0,
                                            .now = tasks__now(tasks) };
        status = tasks__status_end(session, &ended, err);
    }
    return status;
}

tims_status tasks__after(tims_tasks *tasks, tims_db_session *session, tims_arena *arena,
                         const tasks__outcome *outcome, tims_error *err)
{
    tims_status status = after_but_key(tasks, session, arena, outcome, err);
    return status == TIMS_OK ? tasks__limit_release(tasks, session, outcome->job, err) : status;
}

/* All but the release of its key, which is what a transaction does last. */
static tims_status end_one(tasks__store *store, tims_db_session *session, tims_arena *arena,
                           const tasks__outcome *outcome, bool *ret_ours, tims_error *err)
{
    tasks__outcome cancelled = *outcome;
    if (outcome->end == TASKS__AGAIN || outcome->end == TASKS__BACK) {
        tims_status status = put_back(store, session, outcome, ret_ours, err);
        if (status != TIMS_OK || *ret_ours)
            return status;
        cancelled.end = TASKS__CANCELLED; /* or it is not ours, which is found out next */
        outcome = &cancelled;
    }
    tims_status status = take_out(store, session, outcome->job, ret_ours, err);
    if (status == TIMS_OK && *ret_ours)
        status = after_but_key(store->tasks, session, arena, outcome, err);
    return status;
}

/* Ends wait for each other at the rows of groups and at keys: each takes them in one order, groups first, so
 * that they do not wait in a circle. */
static int compare_groups(const void *a, const void *b)
{
    const tasks__job *left = (*(tasks__outcome *const *)a)->job, *right = (*(tasks__outcome *const *)b)->job;
    return memcmp(&left->group_id.value, &right->group_id.value, sizeof left->group_id.value);
}

static int compare_keys(const void *a, const void *b)
{
    const tasks__job *left = (*(tasks__outcome *const *)a)->job, *right = (*(tasks__outcome *const *)b)->job;
    int order = tims_str_compare(left->task, right->task);
    return order != 0 ? order : tims_str_compare(left->key.value, right->key.value);
}

/* Those that are not plain; the array is in the arena. */
static tasks__outcome **collect(tims_arena *arena, tasks__outcome *list, size_t *ret_count)
{
    size_t most = 0, count = 0;
    for (const tasks__outcome *at = list; at != NULL; at = at->next)
        most++;
    tasks__outcome **items = TIMS_NEW_ARRAY(arena, tasks__outcome *, most + 1);
    for (tasks__outcome *at = list; at != NULL; at = at->next)
        if (!is_plain(at) && at->end != TASKS__COMMITTED && at->end != TASKS__LOST)
            items[count++] = at;
    *ret_count = count;
    return items;
}

static tims_status finish_all(tasks__work *work, tims_error *err)
{
    tasks__outcome *list = work->argument;
    size_t count, ours = 0;
    tasks__outcome **items = collect(work->arena, list, &count);
    tims_status status =
        tasks__on_postgres(work) ? delete_together(work, list, err) : delete_each(work, list, err);
    qsort(items, count, sizeof *items, compare_groups);
    for (size_t i = 0; status == TIMS_OK && i < count; i++) {
        const tasks__job *job = items[i]->job;
        bool is_ours = true;
        status = end_one(work->store, work->session, work->arena, items[i], &is_ours, err);
        if (is_ours)
            items[ours++] = items[i];
        else if (status == TIMS_OK)
            tims_log(TIMS_LOG_WARN, "tasks",
                     "event=lost task=%S job=%I attempt=%lld message=another worker has it "
                     "meanwhile",
                     job->task, job->id, (long long)job->attempt);
    }
    qsort(items, ours, sizeof *items, compare_keys);
    for (size_t i = 0; status == TIMS_OK && i < ours; i++)
        status = tasks__limit_release(work->store->tasks, work->session, items[i]->job, err);
    return status;
}

tims_status tasks__sql_finish(tasks__store *store, tasks__outcome *list, tims_error *err)
{
    return tasks__sql_transact(store, finish_all, list, err);
}

tims_status tasks__sql_finish_in(tasks__store *store, tims_db_session *session, const tasks__outcome *outcome,
                                 tims_error *err)
{
    bool is_ours = false;
    tims_arena *arena = tims_arena_new(64 * 1024 * 1024, NULL, NULL);
    tims_status status = end_one(store, session, arena, outcome, &is_ours, err);
    if (status == TIMS_OK && is_ours)
        status = tasks__limit_release(store->tasks, session, outcome->job, err);
    tims_arena_free(&arena);
    if (status == TIMS_OK && !is_ours)
        return tims_fail(err, TIMS_NOT_FOUND, "lost", "Another worker has this job meanwhile.");
    return status;
}
