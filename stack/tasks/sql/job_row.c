/* job_row.c: see job_row.h. */
#include "tasks/sql/job_row.h"

static tims_opt_str read_text(const tims_db_rows *rows, int column)
{
    if (tims_db_is_null(rows, column))
        return (tims_opt_str){ 0 };
    return (tims_opt_str){ true, tims_db_get_text(rows, column) };
}

static tims_opt_id read_id(const tims_db_rows *rows, int column)
{
    if (tims_db_is_null(rows, column))
        return (tims_opt_id){ 0 };
    return (tims_opt_id){ true, tims_db_get_id(rows, column) };
}

void tasks__job_read(const tims_db_rows *rows, int first, tasks__job *ret_job)
{
    *ret_job = (tasks__job){
        .id = tims_db_get_id(rows, first),
        .task = tims_db_get_text(rows, first + 1),
        .queue = tims_db_get_text(rows, first + 2),
        .version = tims_db_get_int(rows, first + 3),
        .arguments = tims_db_get_text(rows, first + 4),
        .priority = tims_db_get_int(rows, first + 5),
        .attempt = tims_db_get_int(rows, first + 6),
        .crashes = tims_db_get_int(rows, first + 7),
        .run_at = { tims_db_get_int(rows, first + 8) },
        .enqueued_at = { tims_db_get_int(rows, first + 9) },
        .expires_at = { !tims_db_is_null(rows, first + 10), { tims_db_get_int(rows, first + 10) } },
        .user = read_id(rows, first + 11),
        .key = read_text(rows, first + 12),
        .unique_key = read_text(rows, first + 13),
        .unique_while = (tims_unique)tims_db_get_int(rows, first + 14),
        .group_id = read_id(rows, first + 15),
        .group_index = tims_db_get_int(rows, first + 16),
        .steps = read_text(rows, first + 17),
        .previous = read_text(rows, first + 18),
        .trace = tims_db_get_text(rows, first + 19),
        .tracked = tims_db_get_int(rows, first + 20) != 0,
    };
}

void tasks__job_values(const tasks__job *job, tims_db_value ret_values[TASKS__JOB_COLUMN_COUNT])
{
    const tims_db_value values[TASKS__JOB_COLUMN_COUNT] = {
        tims_db_id(job->id),
        tims_db_text(job->task),
        tims_db_text(job->queue),
        tims_db_int(job->version),
        tims_db_text(job->arguments),
        tims_db_int(job->priority),
        tims_db_int(job->attempt),
        tims_db_int(job->crashes),
        tims_db_int(job->run_at.us),
        tims_db_int(job->enqueued_at.us),
        tasks__opt_time(job->expires_at),
        tasks__opt_id(job->user),
        tasks__opt_text(job->key),
        tasks__opt_text(job->unique_key),
        tims_db_int(job->unique_while),
        tasks__opt_id(job->group_id),
        tims_db_int(job->group_index),
        tasks__opt_text(job->steps),
        tasks__opt_text(job->previous),
        tims_db_text(job->trace),
        tims_db_int(job->tracked),
    };
    memcpy(ret_values, values, sizeof values);
}
