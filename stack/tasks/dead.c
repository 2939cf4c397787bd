/* dead.c: jobs that were given up: back to their queues, or away for good. */
#include <stdlib.h>

#include "tasks/sql/job_row.h"

#define DEAD_COLUMNS                                                                             \
    "id, task, queue, version, arguments, priority, enqueued_at, owner, limit_key, unique_key, " \
    "unique_while, group_id, group_index, steps, previous, trace, tracked, foreign_message"

static tims_opt_str text_of(const tims_db_rows *rows, int column)
{
    if (tims_db_is_null(rows, column))
        return (tims_opt_str){ 0 };
    return (tims_opt_str){ true, tims_db_get_text(rows, column) };
}

static tims_opt_id id_of(const tims_db_rows *rows, int column)
{
    if (tims_db_is_null(rows, column))
        return (tims_opt_id){ 0 };
    return (tims_opt_id){ true, tims_db_get_id(rows, column) };
}

/* The row as a job that has not run; expires_at is left behind: whoever retries it wants it done. */
static void read_dead(const tims_db_rows *rows, tasks__job *ret_job)
{
    *ret_job = (tasks__job){
        .id = tims_db_get_id(rows, 0),
        .task = tims_db_get_text(rows, 1),
        .queue = tims_db_get_text(rows, 2),
        .version = tims_db_get_int(rows, 3),
        .arguments = tims_db_get_text(rows, 4),
        .priority = tims_db_get_int(rows, 5),
        .enqueued_at = { tims_db_get_int(rows, 6) },
        .user = id_of(rows, 7),
        .key = text_of(rows, 8),
        .unique_key = text_of(rows, 9),
        .unique_while = (tims_unique)tims_db_get_int(rows, 10),
        .group_id = id_of(rows, 11),
        .group_index = tims_db_get_int(rows, 12),
        .steps = text_of(rows, 13),
        .previous = text_of(rows, 14),
        .trace = tims_db_get_text(rows, 15),
        .tracked = tims_db_get_int(rows, 16) != 0,
    };
}

/* Takes the row out of the list. NULL: it is not there (any more). */
static tasks__job *take_out(tims_request *rq, tims_id id, bool *ret_is_foreign)
{
    const tims_db_value value = tims_db_id(id);
    tims_error err = { 0 };
    tasks__job job, *copy = NULL;
    tims_begin(rq);
    tims_db_rows *rows = tims_sql_query(
        rq, TIMS_STR("DELETE FROM tims_job_dead WHERE id = ?1 RETURNING " DEAD_COLUMNS), &value, 1);
    if (tims_db_next(rows)) {
        read_dead(rows, &job);
        copy = tasks__job_copy(&job);
        tims_defer(rq, free, copy);
        *ret_is_foreign = !tims_db_is_null(rows, 17);
    }
    tims_check(rq, tims_db_rows_end(&rows, &err), &err);
    return copy;
}

/* A key "for a time" was not given back when the job died: it is still its own, or over. */
static void take_unique_again(tims_request *rq, tasks__job *job)
{
    if (!job->unique_key.present || job->unique_while == TIMS_UNIQUE_FOR)
        return;
    const tims_db_value values[] = { tims_db_id(tims_id_new()), tims_db_text(job->unique_key.value),
                                     tims_db_id(job->id) };
    if (tims_sql_run(rq,
                     TIMS_STR("INSERT INTO tims_job_unique (id, key, job) VALUES (?1, ?2, ?3) ON CONFLICT "
                              "(key) DO NOTHING"),
                     values, 3) == 0)
        job->unique_key = (tims_opt_str){ 0 };
}

static void wake_after_commit(void *argument)
{
    tims_tasks *tasks = argument;
    tasks__wake(tasks, (tims_time){ 0 });
}

static void show_as_waiting(tims_request *rq, const tasks__job *job)
{
    tims_error err = { 0 };
    tims_db_session *session = tims_session_db(rq);
    const tims_db_value id = tims_db_id(job->id);
    if (!job->tracked)
        return;
    tims_db_rows *rows = tims_sql_query(rq, TIMS_STR("SELECT 1 FROM tims_job_status WHERE id = ?1"), &id, 1);
    bool is_there = tims_db_next(rows);
    tims_check(rq, tims_db_rows_end(&rows, &err), &err);
    if (is_there)
        tims_check(rq, tasks__status_wait(session, job->id, TIMS_STR(""), &err), &err);
    else
        tims_check(rq, tasks__status_begin(session, rq->arena, job, &err), &err);
}

bool tasks__dead_retry(tims_request *rq, tims_id id)
{
    tims_tasks *tasks = tasks__of(rq);
    tims_error err = { 0 };
    bool is_foreign = false;
    tasks__job *job = take_out(rq, id, &is_foreign);
    if (job == NULL)
        return false;
    if (is_foreign)
        tims_raise(rq, 409, "unreadable", "This message could not be read: there is nothing to run again.");
    take_unique_again(rq, job);
    job->run_at = tasks__now(tasks);
    tims_check(rq, tasks__insert_row(tims_session_db(rq), job, TASKS__READY, &err), &err);
    show_as_waiting(rq, job);
    tims_db_on_commit(tims_session_db(rq), wake_after_commit, tasks);
    return true;
}

bool tasks__dead_remove(tims_request *rq, tims_id id)
{
    bool is_foreign = false;
    tims_error err = { 0 };
    const tasks__job *job = take_out(rq, id, &is_foreign);
    if (job == NULL)
        return false;
    tims_check(rq, tasks__follow_without(tasks__of(rq), tims_session_db(rq), rq->arena, job, &err), &err);
    return true;
}
