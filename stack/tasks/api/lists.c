/* lists.c: what runs, waits, and is to come, for staff.
 *
 * tims_job is polled and not live: a change log of it would cost more than the jobs. But the rows of queues
 * are, and one of them changes within a second of anything in the queue; so these lists say that they read
 * those, and are worked out again then. How far a tracked job is changes more often: /api/tasks/ tells. */
#include "tasks/api/api_internal.h"

#define ROWS "50"
#define SELECT_JOBS                                                                                    \
    "SELECT j.id, j.task, j.queue, j.priority, j.attempt, j.crashes, j.run_at, j.enqueued_at, "        \
    "j.expires_at, "                                                                                   \
    "j.owner, j.tracked, j.cancelled, w.name FROM tims_job AS j LEFT JOIN tims_worker AS w ON w.id = " \
    "j.worker WHERE "

static void write_text(tims_json_writer *w, const char *name, const tims_db_rows *rows, int column)
{
    tims_json_key(w, tims_str_from(name));
    if (tims_db_is_null(rows, column))
        tims_json_null(w);
    else
        tims_json_str(w, tims_db_get_text(rows, column));
}

static void write_number(tims_json_writer *w, const char *name, const tims_db_rows *rows, int column)
{
    tims_json_key(w, tims_str_from(name));
    tims_json_int(w, tims_db_get_int(rows, column));
}

static void write_flag(tims_json_writer *w, const char *name, const tims_db_rows *rows, int column)
{
    tims_json_key(w, tims_str_from(name));
    tims_json_bool(w, tims_db_get_int(rows, column) != 0);
}

static void write_id(tims_json_writer *w, const char *name, const tims_db_rows *rows, int column)
{
    tims_json_key(w, tims_str_from(name));
    if (tims_db_is_null(rows, column))
        tims_json_null(w);
    else
        tims_json_id(w, tims_db_get_id(rows, column));
}

static void write_time(tims_json_writer *w, const char *name, const tims_db_rows *rows, int column)
{
    tims_json_key(w, tims_str_from(name));
    if (tims_db_is_null(rows, column))
        tims_json_null(w);
    else
        tims_json_time(w, (tims_time){ tims_db_get_int(rows, column) });
}

static void write_job(tims_json_writer *w, const tims_db_rows *rows)
{
    tims_json_begin_object(w);
    write_id(w, "id", rows, 0);
    write_text(w, "task", rows, 1);
    write_text(w, "queue", rows, 2);
    write_number(w, "priority", rows, 3);
    write_number(w, "attempt", rows, 4);
    write_number(w, "crashes", rows, 5);
    write_time(w, "run_at", rows, 6);
    write_time(w, "enqueued_at", rows, 7);
    write_time(w, "expires_at", rows, 8);
    write_id(w, "owner", rows, 9);
    write_flag(w, "tracked", rows, 10);
    write_flag(w, "cancelled", rows, 11);
    write_text(w, "worker", rows, 12);
    tims_json_end_object(w);
}

static void write_jobs(tims_request *rq, tims_json_writer *w, tims_str sql, const tims_db_value *values,
                       size_t count)
{
    tims_error err = { 0 };
    tims_reads_model(rq, &tasks__queue_model);
    tims_reads_untold(rq); /* queues are counted once a second, jobs come and go meanwhile */
    tims_db_rows *rows = tims_sql_query(rq, sql, values, count);
    tims_json_begin_object(w);
    tims_json_key(w, TIMS_STR("rows"));
    tims_json_begin_array(w);
    while (tims_db_next(rows))
        write_job(w, rows);
    tims_json_end_array(w);
    tims_json_end_object(w);
    tims_check(rq, tims_db_rows_end(&rows, &err), &err);
}

void tasks__write_running(tims_request *rq, tims_json_writer *w)
{
    write_jobs(rq, w, TIMS_STR(SELECT_JOBS "j.state = 2 ORDER BY j.enqueued_at, j.id LIMIT " ROWS), NULL, 0);
}

/* Of one queue: in the order in which they are taken, which no index knows across queues. */
void tasks__write_waiting(tims_request *rq, tims_json_writer *w)
{
    tims_str queue = tims_query_get(rq, TIMS_STR("queue"));
    const tims_db_value value = tims_db_text(queue.data != NULL ? queue : TIMS_STR("default"));
    write_jobs(rq, w,
               TIMS_STR(SELECT_JOBS "j.queue = ?1 AND j.state = 0 ORDER BY j.priority, j.run_at LIMIT " ROWS),
               &value, 1);
}

void tasks__write_scheduled(tims_request *rq, tims_json_writer *w)
{
    write_jobs(rq, w, TIMS_STR(SELECT_JOBS "j.state = 1 ORDER BY j.run_at LIMIT " ROWS), NULL, 0);
}
