/* claim.c: taking jobs: the first of a queue, by priority and time, in one statement.
 *
 * SKIP LOCKED lets workers claim side by side; on SQLite the writer is one. A claim need not survive a crash:
 * what it took is then ready again, and a run that still goes on is no longer heard. So it does not wait for
 * the disk. */
#include <stdlib.h>

#include "tasks/sql/sql_internal.h"

enum { FROM_START_US = 200 * 1000 };

typedef struct claiming {
    tims_str queue;
    size_t max, count;
    tasks__job **jobs;
} claiming;

/* From a place in the queue on (PostgreSQL). The limit is written into the text, and the rows are found again
 * by their place: with a limit that is a parameter PostgreSQL plans for a tenth of the table and reads all of
 * it (with 400,000 queued 1,800 µs a job instead of 25). A few limits only, so that the statements stay
 * prepared. The setting is for this transaction alone. */
static tims_str claim_sql(const tasks__work *work, size_t max)
{
    if (tasks__on_postgres(work))
        return tims_print(
            work->arena,
            "UPDATE tims_job SET state = 2, attempt = attempt + 1, worker = ?2 WHERE ctid = ANY "
            "(ARRAY(SELECT ctid FROM tims_job WHERE queue = ?1 AND state = 0 AND NOT EXISTS "
            "(SELECT FROM tims_queue WHERE name = ?1 AND paused) AND (SELECT "
            "set_config('synchronous_commit', 'off', true)) IS NOT NULL AND (priority, run_at) >= (?3, ?4) "
            "ORDER BY priority, "
            "run_at LIMIT %d FOR UPDATE SKIP LOCKED)) RETURNING " TASKS__JOB_COLUMNS,
            (int)max);
    return tims_print(work->arena,
                      "UPDATE tims_job SET state = 2, attempt = attempt + 1, worker = ?2 WHERE id IN (SELECT "
                      "id FROM tims_job WHERE queue = ?1 AND state = 0 AND NOT EXISTS (SELECT 1 FROM "
                      "tims_queue WHERE name = ?1 AND paused) ORDER BY priority, run_at LIMIT %d) "
                      "RETURNING " TASKS__JOB_COLUMNS,
                      (int)max);
}

static size_t round_down(size_t max)
{
    static const size_t limits[] = { TASKS__CLAIM_MAX, 250, 100, 75, 50, 25, 10 };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (max >= limits[i])
            return limits[i];
    return max;
}

static int compare_jobs(const void *a, const void *b)
{
    const tasks__job *left = *(tasks__job *const *)a, *right = *(tasks__job *const *)b;
    if (left->priority != right->priority)
        return left->priority < right->priority ? -1 : 1;
    if (left->run_at.us != right->run_at.us)
        return left->run_at.us < right->run_at.us ? -1 : 1;
    return memcmp(&left->id, &right->id, sizeof left->id);
}

static tims_status take_from(tasks__work *work, claiming *c, size_t limit, tasks__front from, tims_error *err)
{
    tims_db_rows *rows;
    tasks__job job;
    const tims_db_value values[] = { tims_db_text(c->queue), tims_db_id(work->store->worker),
                                     tims_db_int(from.priority), tims_db_int(from.run_at.us) };
    tims_status status = tims_db_query(work->session, claim_sql(work, limit), values,
                                       tasks__on_postgres(work) ? 4 : 2, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (c->count < c->max && tims_db_next(rows)) {
        tasks__job_read(rows, 0, &job);
        c->jobs[c->count++] = tasks__job_copy(&job);
    }
    return tims_db_rows_end(&rows, err);
}

static tasks__front *front_of(tasks__work *work, const claiming *c)
{
    tasks__sql *sql = (tasks__sql *)work->store;
    tims_tasks *tasks = work->store->tasks;
    if (sql->fronts == NULL)
        sql->fronts = calloc(tasks->count_count, sizeof *sql->fronts);
    TIMS_ASSERT(sql->fronts != NULL);
    return &sql->fronts[tasks__counts_of(tasks, c->queue) - tasks->counts];
}

/* PostgreSQL's index still holds what was claimed since the last vacuum, and each claim would walk over it
 * (after 300,000 jobs at 25 µs a further one costs 50). So a claim begins where the last one ended; what has
 * come before that place is found when that was not enough, or a moment later. */
static tims_status take(tasks__work *work, claiming *c, size_t max, tims_error *err)
{
    static const tasks__front start = { .priority = -1 };
    size_t before = c->count, limit = round_down(max - before);
    if (!tasks__on_postgres(work))
        return take_from(work, c, limit, start, err);
    tasks__front *front = front_of(work, c);
    int64_t now_us = tims_monotonic_us();
    tims_status status = TIMS_OK;
    if (front->was_enough && now_us - front->started_us < FROM_START_US)
        status = take_from(work, c, limit, *front, err);
    if (status == TIMS_OK && c->count - before < limit) {
        front->started_us = now_us;
        status = take_from(work, c, round_down(limit - (c->count - before)), start, err);
    }
    qsort(c->jobs + before, c->count - before, sizeof *c->jobs, compare_jobs);
    front->was_enough = status == TIMS_OK && c->count - before == limit;
    if (status == TIMS_OK && c->count > before) {
        front->priority = c->jobs[c->count - 1]->priority;
        front->run_at = c->jobs[c->count - 1]->run_at;
    }
    return status;
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
    enum { ROUNDS = 10, LONG_US = 200 * 1000 };
    tims_status status = TIMS_OK;
    int64_t began_us = tims_monotonic_us();
    for (int i = 0; status == TIMS_OK && c->count < max; i++) {
        size_t before = c->count;
        if (i == ROUNDS || (i > 0 && tims_monotonic_us() - began_us > LONG_US)) { /* what is done, is kept */
            *ret_again = tasks__now(work->store->tasks);
            break;
        }
        status = take(work, c, max, err);
        size_t taken = c->count - before, kept = taken;
        bool is_all = taken < round_down(max - before); /* the queue has no more */
        if (status == TIMS_OK && taken > 0)
            status =
                tasks__limit_keys(work->store->tasks, work->session, c->jobs + before, &kept, ret_again, err);
        c->count = before + kept;
        if (kept == taken || is_all)
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
