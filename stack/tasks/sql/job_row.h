/* job_row.h: a job between its row and memory: the SQL files share the columns and their order. */
#ifndef TASKS_JOB_ROW_H
#define TASKS_JOB_ROW_H

#include "tasks/tasks_internal.h"

#define TASKS__JOB_COLUMNS                                                                   \
    "id, task, queue, version, arguments, priority, attempt, crashes, run_at, enqueued_at, " \
    "expires_at, owner, limit_key, unique_key, unique_while, group_id, group_index, steps, " \
    "previous, trace, tracked"
/* The same where another table has an id, too. */
#define TASKS__JOB_COLUMNS_OF(table) table "." TASKS__JOB_COLUMNS
enum { TASKS__JOB_COLUMN_COUNT = 21 };

/* The current row's columns, TASKS__JOB_COLUMNS from `first` on. Texts are the row's: copy the job. */
void tasks__job_read(const tims_db_rows *rows, int first, tasks__job *ret_job);
/* Values for the columns, in their order. */
void tasks__job_values(const tasks__job *job, tims_db_value ret_values[TASKS__JOB_COLUMN_COUNT]);

static inline tims_db_value tasks__opt_text(tims_opt_str value)
{
    return value.present ? tims_db_text(value.value) : tims_db_null();
}
static inline tims_db_value tasks__opt_id(tims_opt_id value)
{
    return value.present ? tims_db_id(value.value) : tims_db_null();
}
static inline tims_db_value tasks__opt_time(tims_opt_time value)
{
    return value.present ? tims_db_int(value.value.us) : tims_db_null();
}

#endif
