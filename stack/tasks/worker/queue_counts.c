/* queue_counts.c: how full the queues are, in rows that staff sees live.
 *
 * Counting stops at 10,000: nobody needs more, and a full queue must not cost more than an empty one. What is
 * there is counted by whichever worker comes to it and written as it is; what was done is added, by each
 * worker what it has done itself, so that two of them do not lose each other's. A row is written only when
 * something has happened in its queue, also when that left the numbers as they were: lists of jobs hang on it
 * (api/lists.c). */
#include "tasks/sql/sql_internal.h"
#include "tasks/worker/worker_internal.h"

enum { EVERY_US = 1000 * 1000, QUEUES_MAX = 1000, COUNTED_MAX = 10001, COUNTING_BYTES_MAX = 4 * 1024 * 1024 };

#define COUNT(rows) "(SELECT count(*) FROM (SELECT 1 FROM " rows " LIMIT 10001) AS n)"
#define JOBS(state) "tims_job WHERE queue = q.name AND state = " state

/* In the order of tasks__depth. */
/* clang-format off */
static const tims_str count_sql = TIMS_STR_INIT(
    "SELECT q.id, q.name, q.paused, q.waiting, q.later, q.running, q.blocked, q.dead, "
    COUNT(JOBS("0")) ", " COUNT(JOBS("1")) ", " COUNT(JOBS("2")) ", " COUNT(JOBS("3")) ", "
    COUNT("tims_job_dead WHERE queue = q.name")
    " FROM tims_queue AS q ORDER BY q.name");
/* clang-format on */

/* One row, and what has become of it. */
typedef struct counted {
    tims_id id;
    tims_str name;
    bool paused, differs;
    int64_t known[TASKS__DEPTHS], depths[TASKS__DEPTHS];
    tasks__counts *counts; /* NULL: not of a queue that is declared here */
    int64_t done, failed, activity;
} counted;

typedef struct counting {
    tasks__worker *worker;
    tims_arena *arena;
    counted *rows; /* QUEUES_MAX */
    size_t count;
} counting;

/* --- counting --------------------------------------------------------------------------------------------- */

static tims_status count(tasks__work *work, tims_error *err)
{
    counting *c = work->argument;
    tims_db_rows *rows;
    tims_status status = tims_db_query(work->session, count_sql, NULL, 0, &rows, err);
    if (status != TIMS_OK)
        return status;
    for (c->count = 0; c->count < QUEUES_MAX && tims_db_next(rows); c->count++) {
        counted *row = &c->rows[c->count];
        *row = (counted){ .id = tims_db_get_id(rows, 0),
                          .name = tims_copy(c->arena, tims_db_get_text(rows, 1)),
                          .paused = tims_db_get_int(rows, 2) != 0 };
        for (int i = 0; i < TASKS__DEPTHS; i++) {
            row->known[i] = tims_db_get_int(rows, 3 + i);
            row->depths[i] = tims_db_get_int(rows, 3 + TASKS__DEPTHS + i);
        }
    }
    return tims_db_rows_end(&rows, err);
}

/* Other plans than along the index read all before they count some; and a table that has just filled up has
 * no statistics by which PostgreSQL could know. For this transaction. */
static tims_status count_along_indexes(tasks__work *work, tims_error *err)
{
    tims_db_rows *rows;
    tims_status status =
        tims_db_query(work->session,
                      TIMS_STR("SELECT set_config('enable_bitmapscan', 'off', true), "
                               "set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)"),
                      NULL, 0, &rows, err);
    if (status == TIMS_OK)
        status = tims_db_rows_end(&rows, err);
    return status == TIMS_OK ? count(work, err) : status;
}

/* What waits elsewhere. */
static tims_status count_in_store(const counting *c, tims_error *err)
{
    tasks__store *store = c->worker->store;
    if (store->api->count == NULL || c->count == 0)
        return TIMS_OK;
    tims_str *names = TIMS_NEW_ARRAY(c->arena, tims_str, c->count);
    int64_t *waiting = TIMS_NEW_ARRAY(c->arena, int64_t, c->count);
    for (size_t i = 0; i < c->count; i++)
        names[i] = c->rows[i].name;
    tims_status status = store->api->count(store, names, c->count, waiting, err);
    for (size_t i = 0; status == TIMS_OK && i < c->count; i++) {
        int64_t *depth = &c->rows[i].depths[TASKS__WAITING];
        *depth = *depth + waiting[i] < COUNTED_MAX ? *depth + waiting[i] : COUNTED_MAX;
    }
    return status;
}

/* What this process has to say about the queue. */
static void compare(counted *row, tims_tasks *tasks)
{
    tasks__counts *counts = tasks__counts_of(tasks, row->name);
    row->differs = memcmp(row->known, row->depths, sizeof row->known) != 0;
    if (!tims_str_equal(counts->queue, row->name))
        return;
    row->counts = counts;
    row->done = atomic_load(&counts->done);
    row->failed = atomic_load(&counts->failed);
    row->activity = atomic_load(&counts->enqueued) + atomic_load(&counts->started) + row->done + row->failed +
                    atomic_load(&counts->cancelled) + atomic_load(&counts->expired);
    row->differs = row->differs || row->activity != counts->told_activity;
}

/* The database's claim looks for itself. */
static void pause_queues(const counting *c)
{
    tasks__worker *worker = c->worker;
    if (worker->store == worker->tasks->sql)
        return;
    for (size_t i = 0; i < worker->queue_count; i++)
        for (size_t j = 0; j < c->count; j++)
            if (tims_str_equal(worker->queues[i].name, c->rows[j].name) &&
                worker->queues[i].paused != c->rows[j].paused) {
                worker->queues[i].paused = c->rows[j].paused;
                tasks__nudge(&worker->taker);
            }
}

static bool has_all_rows(const counting *c)
{
    const tasks__worker *worker = c->worker;
    size_t found = 0;
    for (size_t i = 0; i < worker->queue_count; i++)
        for (size_t j = 0; j < c->count; j++)
            found += tims_str_equal(worker->queues[i].name, c->rows[j].name);
    return found == worker->queue_count;
}

/* --- writing ---------------------------------------------------------------------------------------------- */

tims_status tasks__add_queue(tims_db_session *session, tims_str name, tims_time now, tims_error *err)
{
    const tims_db_value values[] = { tims_db_id(tims_id_new()), tims_db_text(name), tims_db_int(now.us) };
    return tims_db_run(
        session,
        TIMS_STR("INSERT INTO tims_queue (id, name, paused, waiting, later, running, blocked, dead, done, "
                 "failed, updated_at) VALUES (?1, ?2, FALSE, 0, 0, 0, 0, 0, 0, 0, ?3) ON CONFLICT (name) DO "
                 "NOTHING"),
        values, 3, NULL, err);
}

/* Of what is declared, and of what this worker was told to take from. */
static tims_status add_rows(tasks__work *work, tims_error *err)
{
    const counting *c = work->argument;
    const tasks__worker *worker = c->worker;
    tims_status status = TIMS_OK;
    tims_time now = tasks__now(worker->tasks);
    for (size_t i = 0; status == TIMS_OK && i < worker->tasks->queues.count; i++)
        status = tasks__add_queue(work->session, tims_str_from(worker->tasks->queues.items[i]), now, err);
    for (size_t i = 0; status == TIMS_OK && i < worker->queue_count; i++)
        status = tasks__add_queue(work->session, worker->queues[i].name, now, err);
    return status;
}

static tims_status write_row(tasks__work *work, const counted *row, tims_error *err)
{
    const tasks__counts *counts = row->counts;
    const tims_db_value values[] = {
        tims_db_id(row->id),
        tims_db_int(row->depths[TASKS__WAITING]),
        tims_db_int(row->depths[TASKS__WAITING_LATER]),
        tims_db_int(row->depths[TASKS__NOW_RUNNING]),
        tims_db_int(row->depths[TASKS__WAITING_BLOCKED]),
        tims_db_int(row->depths[TASKS__IN_DEAD_LIST]),
        tims_db_int(counts != NULL ? row->done - counts->told_done : 0),
        tims_db_int(counts != NULL ? row->failed - counts->told_failed : 0),
        tims_db_int(tasks__now(work->store->tasks).us),
    };
    return tims_db_run(work->session,
                       TIMS_STR("UPDATE tims_queue SET waiting = ?2, later = ?3, running = ?4, blocked = ?5, "
                                "dead = ?6, done = done + ?7, failed = failed + ?8, updated_at = ?9 WHERE "
                                "id = ?1"),
                       values, sizeof values / sizeof *values, NULL, err);
}

/* Sorted by name, so workers that do so at once wait for each other and do not lock each other out. */
static tims_status write_rows(tasks__work *work, tims_error *err)
{
    const counting *c = work->argument;
    tims_status status = TIMS_OK;
    for (size_t i = 0; status == TIMS_OK && i < c->count; i++)
        if (c->rows[i].differs)
            status = write_row(work, &c->rows[i], err);
    return status;
}

/* What was told is told once; the metrics have the depths from here. */
static void remember(const counting *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const counted *row = &c->rows[i];
        if (row->counts == NULL)
            continue;
        row->counts->told_done = row->done;
        row->counts->told_failed = row->failed;
        row->counts->told_activity = row->activity;
        for (int depth = 0; depth < TASKS__DEPTHS; depth++)
            atomic_store_explicit(&row->counts->depths[depth], row->depths[depth], memory_order_relaxed);
        atomic_store_explicit(&row->counts->is_counted, true, memory_order_relaxed);
    }
}

static tims_status count_rows(counting *c, tims_error *err)
{
    tasks__store *store = c->worker->tasks->sql; /* jobs may wait elsewhere; the rows are here */
    store->loop = c->worker->loop;
    if (tims_db_dialect_of(c->worker->tasks->db) == TIMS_POSTGRES)
        return tasks__sql_transact(store, count_along_indexes, c, err);
    return tasks__sql_read(store, count, c, err);
}

static tims_status count_and_write(counting *c, bool is_first, tims_error *err)
{
    bool differs = false;
    tasks__store *store = c->worker->tasks->sql;
    tims_status status = count_rows(c, err);
    if (status == TIMS_OK && (is_first || !has_all_rows(c))) {
        status = tasks__sql_transact(store, add_rows, c, err);
        if (status == TIMS_OK)
            status = count_rows(c, err);
    }
    if (status == TIMS_OK)
        status = count_in_store(c, err);
    if (status != TIMS_OK)
        return status;
    pause_queues(c);
    for (size_t i = 0; i < c->count; i++) {
        compare(&c->rows[i], c->worker->tasks);
        differs = differs || c->rows[i].differs;
    }
    if (differs)
        status = tasks__sql_transact(store, write_rows, c, err);
    if (status == TIMS_OK)
        remember(c);
    return status;
}

static tims_status count_now(tasks__worker *worker, tims_error *err)
{
    counting c = { .worker = worker, .arena = tims_arena_new(COUNTING_BYTES_MAX, NULL, NULL) };
    c.rows = TIMS_NEW_ARRAY(c.arena, counted, QUEUES_MAX);
    int64_t now_us = tims_monotonic_us();
    tims_status status = count_and_write(&c, worker->counted_at_us == 0, err);
    if (status == TIMS_OK)
        worker->counted_at_us = now_us;
    tims_arena_free(&c.arena);
    return status;
}

tims_status tasks__count_queues(tasks__worker *worker, tims_error *err)
{
    if (worker->counted_at_us != 0 && tims_monotonic_us() - worker->counted_at_us < EVERY_US)
        return TIMS_OK;
    return count_now(worker, err);
}

void tasks__count_queues_at_last(tasks__worker *worker)
{
    tims_error err = { 0 };
    if (count_now(worker, &err) != TIMS_OK)
        tims_log(TIMS_LOG_WARN, "tasks", "event=counts_lost message=%s", err.message);
}
