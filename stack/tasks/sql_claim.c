/* sql_claim.c: taking jobs: the first of a queue, by priority and time, in one statement.
 *
 * SKIP LOCKED lets workers claim side by side; on SQLite the writer is one. A claim need not survive a crash:
 * what it took is then ready again, and a run that still goes on is no longer heard. So it does not wait for
 * the disk. */
#include <stdlib.h>

#include "tasks/sql_internal.h"

typedef struct claiming {
    tims_str queue;
    size_t max, count;
    tasks__job **jobs;
} claiming;

/* The lock order is the claim's order; the limit is read with a setting for this transaction alone. */
static const tims_str postgres_sql = TIMS_STR_INIT(
    "WITH next AS MATERIALIZED (SELECT id FROM tims_job WHERE queue = ?1 AND state = 0 AND NOT EXISTS "
    "(SELECT FROM "
    "tims_queue WHERE name = ?1 AND paused) ORDER BY priority, run_at LIMIT ?2 + 0 * length((SELECT "
    "set_config('synchronous_commit', 'off', true))) FOR UPDATE SKIP LOCKED) UPDATE tims_job SET state = 2, "
    "attempt = attempt + 1, worker = ?3 FROM next WHERE tims_job.id = next.id "
    "RETURNING " TASKS__JOB_COLUMNS_OF("tims_job"));

static const tims_str sqlite_sql = TIMS_STR_INIT(
    "UPDATE tims_job SET state = 2, attempt = attempt + 1, worker = ?3 WHERE id IN (SELECT id FROM tims_job "
    "WHERE "
    "queue = ?1 AND state = 0 AND NOT EXISTS (SELECT 1 FROM tims_queue WHERE name = ?1 AND paused) ORDER BY "
    "priority, run_at LIMIT ?2) RETURNING " TASKS__JOB_COLUMNS);

static int compare_jobs(const void *a, const void *b)
{
    const tasks__job *left = *(tasks__job *const *)a, *right = *(tasks__job *const *)b;
    if (left->priority != right->priority)
        return left->priority < right->priority ? -1 : 1;
    if (left->run_at.us != right->run_at.us)
        return left->run_at.us < right->run_at.us ? -1 : 1;
    return memcmp(&left->id, &right->id, sizeof left->id);
}

static tims_status take(tasks__work *work, claiming *c, size_t max, tims_error *err)
{
    tims_db_rows *rows;
    tasks__job job;
    const tims_db_value values[] = { tims_db_text(c->queue), tims_db_int((int64_t)(max - c->count)),
                                     tims_db_id(work->store->worker) };
    tims_str sql = tasks__on_postgres(work) ? postgres_sql : sqlite_sql;
    tims_status status = tims_db_query(work->session, sql, values, 3, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (c->count < max && tims_db_next(rows)) {
        tasks__job_read(rows, 0, &job);
        c->jobs[c->count++] = tasks__job_copy(&job);
    }
    return tims_db_rows_end(&rows, err);
}

/* Keeps one suspect at most, and none beside one that runs; the others come back one after the other. */
static tims_status part_suspects(tasks__work *work, claiming *c, tims_error *err)
{
    enum { APART_US = 100 * 1000, LONG_US = 1000 * 1000 };
    tims_status status = TIMS_OK;
    size_t kept = 0;
    int64_t now_us = tasks__now(work->store->tasks).us, found = work->store->suspects, put_back = 0;
    for (size_t i = 0; i < c->count; i++) {
        tasks__job *job = c->jobs[i];
        if (status != TIMS_OK || !tasks__is_suspect(job) || found++ == 0) {
            c->jobs[kept++] = job;
            continue;
        }
        int64_t after_us = work->store->suspects > 0 ? LONG_US : ++put_back * APART_US;
        const tims_db_value values[] = { tims_db_id(job->id), tims_db_int(now_us + after_us) };
        status = tims_db_run(work->session,
                             TIMS_STR("UPDATE tims_job SET state = 1, run_at = ?2, attempt = attempt - 1, "
                                      "worker = NULL WHERE id = ?1"),
                             values, 2, NULL, err);
        tasks__job_free(&job);
    }
    c->count = kept;
    return status;
}

/* What keys do not allow goes back, and who is behind it has its turn. */
static tims_status take_allowed(tasks__work *work, claiming *c, size_t max, tims_time *ret_again,
                                tims_error *err)
{
    enum { ROUNDS = 10 };
    tims_status status = TIMS_OK;
    for (int i = 0; status == TIMS_OK && c->count < max; i++) {
        size_t before = c->count;
        if (i == ROUNDS) { /* others may want to write meanwhile */
            *ret_again = tasks__now(work->store->tasks);
            break;
        }
        status = take(work, c, max, err);
        size_t taken = c->count - before, kept = taken;
        if (status == TIMS_OK && taken > 0)
            status =
                tasks__limit_keys(work->store->tasks, work->session, c->jobs + before, &kept, ret_again, err);
        c->count = before + kept;
        if (taken < max - before)
            break;
    }
    return status;
}

static tims_status mark_started(tasks__work *work, const claiming *c, tims_error *err)
{
    tims_status status = TIMS_OK;
    tims_time now = tasks__now(work->store->tasks);
    for (size_t i = 0; status == TIMS_OK && i < c->count; i++) {
        const tasks__job *job = c->jobs[i];
        const tims_db_value id = tims_db_id(job->id);
        if (job->tracked)
            status = tasks__status_start(work->session, job, now, err);
        if (status == TIMS_OK && job->unique_key.present && job->unique_while == TIMS_UNIQUE_QUEUED)
            status = tims_db_run(work->session, TIMS_STR("DELETE FROM tims_job_unique WHERE job = ?1"), &id,
                                 1, NULL, err);
    }
    return status;
}

static tims_status claim(tasks__work *work, tims_error *err)
{
    claiming *c = work->argument;
    tims_tasks *tasks = work->store->tasks;
    const tims_queue *rule = tasks__queue_rule(tasks, c->queue);
    size_t allowed = c->max;
    tims_time again = { 0 }, queue_again = { 0 };
    tims_status status = TIMS_OK;
    if (rule != NULL)
        status = tasks__limit_queue(tasks, work->session, rule, c->max, &allowed, &queue_again, err);
    if (status == TIMS_OK && allowed > 0)
        status = take_allowed(work, c, allowed, &again, err);
    if (status == TIMS_OK)
        status = part_suspects(work, c, err);
    if (status == TIMS_OK && rule != NULL)
        status = tasks__limit_begun(tasks, work->session, rule, c->count, err);
    if (status == TIMS_OK && again.us > 0)
        tasks__wake(tasks, again);
    if (status == TIMS_OK && queue_again.us > 0 && c->count == allowed) /* else it has no more */
        tasks__wake(tasks, queue_again);
    if (status == TIMS_OK)
        status = mark_started(work, c, err);
    return status;
}

static void drop(claiming *c)
{
    for (size_t i = 0; i < c->count; i++)
        tasks__job_free(&c->jobs[i]);
    c->count = 0;
}

tims_status tasks__sql_claim(tasks__store *store, tims_str queue, size_t max, tasks__job **ret_jobs,
                             size_t *ret_count, tims_error *err)
{
    claiming c = { .queue = queue, .max = max < TASKS__CLAIM_MAX ? max : TASKS__CLAIM_MAX, .jobs = ret_jobs };
    tims_status status = tasks__sql_transact(store, claim, &c, err);
    if (status != TIMS_OK) {
        drop(&c);
        return status;
    }
    qsort(c.jobs, c.count, sizeof *c.jobs, compare_jobs);
    *ret_count = c.count;
    return TIMS_OK;
}
