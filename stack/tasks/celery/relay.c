/* relay.c: from the database to Redis. Jobs are enqueued in the app's transaction; what is ready is claimed
 * here after the commit, pushed, and then taken out of the database.
 *
 * A crash in between means that it is pushed again, by whoever claims it then: a mark on Redis keeps the
 * second push from being a second message. The mark is removed when the row is. Who was away for so long that
 * its claim may be over does not push. Queues with limits are left out: their jobs are run from the database,
 * which holds the limits. */
#include <stdlib.h>

#include "tasks/celery/celery_internal.h"
#include "tasks/sql/sql_internal.h"

enum {
    BATCH = 1000,
    CHUNK_BYTES = 1024 * 1024,
    MARK_S = 24 * 3600,
    POLL_MS = 1000,
    MS_US = 1000,
    PAUSE_MIN_MS = 50,
    PAUSE_MAX_MS = 2000,
    ARENA_BYTES_MAX = 1024 * 1024 * 1024,
};

struct celery__relay {
    celery__store *celery;
    bool is_alone, stopping, nudged;
    tims_db_listener *listener;
    tims_fiber *fiber;   /* while it waits */
    tims_fiber *stopper; /* who waits for its end */
    bool has_ended;
    tasks__job **jobs; /* claimed and not yet taken out */
    tasks__job **next; /* claimed in the transaction that takes those out, until it has committed */
    size_t count, next_count, pushed;
    tims_id worker; /* that claimed them */
    int64_t claimed_us, pause_ms;
};

/* --- the database -------------------------------------------------------------------------------------------------- */

static const tims_str postgres_claim = TIMS_STR_INIT(
    "WITH next AS MATERIALIZED (SELECT id FROM tims_job WHERE state = 0 AND queue NOT IN (SELECT name FROM "
    "tims_queue WHERE paused) AND queue NOT IN (SELECT json_array_elements_text(?3::text::json)) ORDER BY "
    "queue, "
    "priority, run_at LIMIT ?1 + 0 * length((SELECT "
    "set_config('synchronous_commit', 'off', true))) FOR UPDATE SKIP LOCKED) UPDATE tims_job SET state = 2, "
    "attempt = attempt + 1, worker = ?2 FROM next WHERE tims_job.id = next.id "
    "RETURNING " TASKS__JOB_COLUMNS_OF("tims_job"));

static const tims_str sqlite_claim = TIMS_STR_INIT(
    "UPDATE tims_job SET state = 2, attempt = attempt + 1, worker = ?2 WHERE id IN (SELECT id FROM tims_job "
    "WHERE state = 0 AND queue NOT IN (SELECT name FROM tims_queue WHERE paused) AND queue NOT IN (SELECT "
    "value "
    "FROM json_each(?3)) ORDER BY queue, priority, run_at LIMIT ?1) RETURNING " TASKS__JOB_COLUMNS);

static int compare_jobs(const void *a, const void *b)
{
    const tasks__job *left = *(tasks__job *const *)a, *right = *(tasks__job *const *)b;
    if (left->run_at.us != right->run_at.us)
        return left->run_at.us < right->run_at.us ? -1 : 1;
    return memcmp(&left->id, &right->id, sizeof left->id);
}

static void drop(tasks__job **jobs, size_t *count)
{
    for (size_t i = 0; i < *count; i++)
        tasks__job_free(&jobs[i]);
    *count = 0;
}

/* The next ones become those that are to be pushed. */
static void turn_over(celery__relay *relay)
{
    tasks__job **jobs = relay->jobs;
    drop(relay->jobs, &relay->count);
    relay->jobs = relay->next;
    relay->next = jobs;
    relay->count = relay->next_count;
    relay->next_count = relay->pushed = 0;
    qsort(relay->jobs, relay->count, sizeof *relay->jobs, compare_jobs);
}

static tims_status claim(tasks__work *work, tims_error *err)
{
    celery__relay *relay = work->argument;
    tims_db_rows *rows;
    tasks__job job;
    const tims_db_value values[] = { tims_db_int(BATCH), tims_db_id(work->store->worker),
                                     tims_db_text(work->store->tasks->limited_json) };
    tims_status status = tims_db_query(
        work->session, tasks__on_postgres(work) ? postgres_claim : sqlite_claim, values, 3, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (relay->next_count < BATCH && tims_db_next(rows)) {
        tasks__job_read(rows, 0, &job);
        relay->next[relay->next_count++] = tasks__job_copy(&job);
    }
    return tims_db_rows_end(&rows, err);
}

/* Whether anything is ready: a look, so that an idle relay writes nothing. */
static tims_status look(tasks__work *work, tims_error *err)
{
    bool *ready = work->argument;
    tims_db_rows *rows;
    const tims_db_value limited = tims_db_text(work->store->tasks->limited_json);
    tims_str sql =
        tasks__on_postgres(work)
            ? TIMS_STR("SELECT 1 FROM tims_job WHERE state = 0 AND queue NOT IN (SELECT name FROM "
                       "tims_queue WHERE paused) AND queue NOT IN (SELECT "
                       "json_array_elements_text(?1::text::json)) LIMIT 1")
            : TIMS_STR("SELECT 1 FROM tims_job WHERE state = 0 AND queue NOT IN (SELECT name FROM "
                       "tims_queue WHERE paused) AND queue NOT IN (SELECT value FROM json_each(?1)) "
                       "LIMIT 1");
    tims_status status = tims_db_query(work->session, sql, &limited, 1, &rows, err);
    if (status != TIMS_OK)
        return status;
    *ready = tims_db_next(rows);
    return tims_db_rows_end(&rows, err);
}

static tims_status claim_batch(celery__relay *relay, tims_error *err)
{
    tasks__store *sql = relay->celery->store.tasks->sql;
    bool ready = false;
    tims_status status = tasks__sql_read(sql, look, &ready, err);
    if (status != TIMS_OK || !ready)
        return status;
    relay->worker = sql->worker;
    relay->claimed_us = tims_monotonic_us();
    status = tasks__sql_transact(sql, claim, relay, err);
    if (status == TIMS_OK)
        turn_over(relay);
    else
        drop(relay->next, &relay->next_count);
    return status;
}

typedef struct taking_out {
    celery__relay *relay;
    tims_arena *arena;
    tims_str *cancelled; /* ids */
    size_t cancelled_count;
    bool gives_back;
} taking_out;

/* What no message can carry: a chain of very many steps. */
static tims_status bury_large(tasks__work *work, const celery__relay *relay, tims_error *err)
{
    tims_status status = TIMS_OK;
    for (size_t i = 0; status == TIMS_OK && i < relay->count; i++) {
        tasks__outcome outcome = { .job = relay->jobs[i],
                                   .end = TASKS__DEAD,
                                   .code = "too_large",
                                   .message = TIMS_STR("It is too large for a message on Redis.") };
        if (outcome.job->store_data == NULL)
            continue;
        tims_log(TIMS_LOG_ERROR, "tasks", "event=dead task=%S job=%I code=too_large", outcome.job->task,
                 outcome.job->id);
        status = tasks__after(work->store->tasks, work->session, work->arena, &outcome, err);
    }
    return status;
}

static tims_status take_out(tasks__work *work, tims_error *err)
{
    taking_out *t = work->argument;
    tims_db_rows *rows;
    /* Those of limited queues are running here, in the name of the same worker. */
    const tims_db_value values[] = { tims_db_id(t->relay->worker),
                                     tims_db_text(work->store->tasks->limited_json) };
    bool on_postgres = tasks__on_postgres(work);
    t->cancelled_count = 0;
    if (t->gives_back)
        return tims_db_run(
            work->session,
            on_postgres
                ? TIMS_STR(
                      "UPDATE tims_job SET state = 0, attempt = attempt - 1, worker = NULL WHERE worker = ?1 "
                      "AND state = 2 AND queue NOT IN (SELECT json_array_elements_text(?2::text::json))")
                : TIMS_STR(
                      "UPDATE tims_job SET state = 0, attempt = attempt - 1, worker = NULL WHERE worker = ?1 "
                      "AND state = 2 AND queue NOT IN (SELECT value FROM json_each(?2))"),
            values, 2, NULL, err);
    tims_status status = bury_large(work, t->relay, err);
    if (status != TIMS_OK)
        return status;
    status = tims_db_query(
        work->session,
        on_postgres
            ? TIMS_STR("DELETE FROM tims_job WHERE worker = ?1 AND state = 2 AND queue NOT IN (SELECT "
                       "json_array_elements_text(?2::text::json)) RETURNING id, cancelled")
            : TIMS_STR("DELETE FROM tims_job WHERE worker = ?1 AND state = 2 AND queue NOT IN (SELECT value "
                       "FROM json_each(?2)) RETURNING id, cancelled"),
        values, 2, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (tims_db_next(rows))
        if (tims_db_get_int(rows, 1) != 0 && t->cancelled_count < BATCH)
            t->cancelled[t->cancelled_count++] = tims_print(t->arena, "%I", tims_db_get_id(rows, 0));
    status = tims_db_rows_end(&rows, err);
    if (status != TIMS_OK || t->relay->count < BATCH)
        return status;
    tasks__work next = *work; /* there are more, most likely: one commit for both */
    next.argument = t->relay;
    return claim(&next, err);
}

/* --- Redis ------------------------------------------------------------------------------------------------------------ */

/* A claim that is given back or lost leaves run_at as it is; a retry from the dead list, under the same id,
 * does not: that one is to be pushed again, although the first push's mark may have stayed. */
static tims_str mark_of(tims_arena *arena, const tasks__job *job)
{
    return tims_print(arena, "%I:%lld", job->id, (long long)job->run_at.us);
}

static tims_status push_chunk(celery__relay *relay, tims_error *err)
{
    celery__store *celery = relay->celery;
    const tims_redis_reply *reply;
    size_t at = relay->pushed;
    tims_arena *arena = tims_arena_new(ARENA_BYTES_MAX, NULL, NULL);
    celery__arguments arguments = { .arena = arena };
    celery__add_int(&arguments, MARK_S);
    for (; at < relay->count && arguments.bytes < CHUNK_BYTES; at++) {
        const tasks__job *job = relay->jobs[at];
        tims_buf out;
        tims_buf_init(&out, arena, 2 * CELERY__MESSAGE_BYTES_MAX);
        celery__write_job(&out, arena, job, false);
        if (out.overflow || out.length > CELERY__MESSAGE_BYTES_MAX) {
            relay->jobs[at]->store_data = relay; /* no message can carry it: to the dead list */
            continue;
        }
        celery__add(&arguments, mark_of(arena, job));
        celery__add(&arguments, celery__list_of(arena, job->queue, job->priority));
        celery__add(&arguments, tims_buf_str(&out));
    }
    tims_status status = TIMS_OK;
    if (arguments.count > 1)
        status = celery__call(celery, arena, CELERY__PUSH, celery__list(&arguments), &reply, err);
    if (status == TIMS_OK)
        relay->pushed = at;
    tims_arena_free(&arena);
    return status;
}

static void remove_marks(const celery__relay *relay, tims_arena *arena)
{
    celery__arguments arguments = { .arena = arena };
    celery__add(&arguments, TIMS_STR("UNLINK"));
    for (size_t i = 0; i < relay->count; i++)
        celery__add(&arguments, tims_print(arena, "tims:relayed:%S", mark_of(arena, relay->jobs[i])));
    (void)tims_redis_send(relay->celery->redis, celery__list(&arguments), NULL, NULL);
}

/* --- a batch ------------------------------------------------------------------------------------------------------------ */

static bool claim_may_be_over(const celery__relay *relay)
{
    const tasks__store *sql = relay->celery->store.tasks->sql;
    return !tims_same_id(sql->worker, relay->worker) ||
           tims_monotonic_us() - relay->claimed_us > sql->lease_ms * MS_US / 2;
}

static tims_status end_batch(celery__relay *relay, bool gives_back, tims_error *err)
{
    tims_arena *arena = tims_arena_new(ARENA_BYTES_MAX, NULL, NULL);
    taking_out t = { .relay = relay,
                     .arena = arena,
                     .cancelled = TIMS_NEW_ARRAY(arena, tims_str, BATCH),
                     .gives_back = gives_back };
    tasks__store *sql = relay->celery->store.tasks->sql;
    int64_t now_us = tims_monotonic_us();
    if (!tims_same_id(sql->worker, relay->worker))
        t.gives_back = true; /* it may not claim under its former name; what was pushed has its mark */
    tims_status status = tasks__sql_transact(sql, take_out, &t, err);
    if (status != TIMS_OK)
        drop(relay->next, &relay->next_count);
    if (status == TIMS_OK) {
        relay->claimed_us = now_us;
        for (size_t i = 0; i < t.cancelled_count; i++)
            (void)celery__revoke(relay->celery, t.cancelled[i]);
        if (!t.gives_back)
            remove_marks(relay, arena);
        turn_over(relay);
    }
    tims_arena_free(&arena);
    return status;
}

/* One step further; `ret_did` false: there is nothing to do. */
static tims_status step(celery__relay *relay, bool *ret_did, tims_error *err)
{
    tims_status status = TIMS_OK;
    *ret_did = true;
    if (relay->count > 0 && relay->pushed < relay->count && claim_may_be_over(relay))
        return end_batch(relay, true, err); /* claimed again at once, if it still was ours */
    if (relay->count == 0) {
        status = claim_batch(relay, err);
        *ret_did = relay->count > 0;
    }
    while (status == TIMS_OK && relay->pushed < relay->count)
        status = push_chunk(relay, err);
    if (status == TIMS_OK && relay->count > 0) {
        tasks__wake_worker(relay->celery->store.tasks);
        status = end_batch(relay, false, err);
    }
    return status;
}

/* --- its fiber ---------------------------------------------------------------------------------------------------------- */

static void wait_ms(celery__relay *relay, int64_t ms)
{
    if (!relay->nudged && !relay->stopping) {
        relay->fiber = tims_fiber_self();
        int64_t before = tims_fiber_set_deadline(tims_monotonic_us() + ms * MS_US);
        while (!relay->nudged && !relay->stopping && tims_fiber_suspend() == TIMS_OK) {
        }
        tims_fiber_set_deadline(before);
        relay->fiber = NULL;
    }
    relay->nudged = false;
}

void celery__relay_wake(celery__relay *relay)
{
    relay->nudged = true;
    if (relay->fiber != NULL)
        tims_fiber_wake(relay->fiber);
}

static void hear_signal(void *argument)
{
    celery__relay_wake(argument);
}

static void hear_none(void *argument, tims_id job)
{
    (void)argument, (void)job;
}

/* Where no worker runs nobody else signs life, and makes ready what is due. */
static tims_status keep_order(celery__relay *relay, int64_t *ret_wait_ms, tims_error *err)
{
    tims_tasks *tasks = relay->celery->store.tasks;
    tims_time next = { INT64_MAX };
    tims_status status = tasks->sql->api->beat(tasks->sql, hear_none, NULL, NULL, err);
    if (status == TIMS_OK)
        status = tasks->sql->api->tidy(tasks->sql, &next, err);
    int64_t until_ms = next.us == INT64_MAX ? POLL_MS : (next.us - tasks__now(tasks).us) / MS_US + 1;
    if (status == TIMS_OK && until_ms < POLL_MS)
        *ret_wait_ms = until_ms < 1 ? 1 : until_ms;
    return status;
}

static void back_off(celery__relay *relay, const tims_error *err)
{
    if (relay->pause_ms == 0)
        tims_log(TIMS_LOG_WARN, "tasks", "event=relay_waits message=%s detail=%s", err->message, err->detail);
    relay->pause_ms = relay->pause_ms == 0 ? PAUSE_MIN_MS : relay->pause_ms * 2;
    if (relay->pause_ms > PAUSE_MAX_MS)
        relay->pause_ms = PAUSE_MAX_MS;
    wait_ms(relay, relay->pause_ms);
}

static void run(void *argument)
{
    celery__relay *relay = argument;
    while (!relay->stopping) {
        tims_error err = { 0 };
        bool did = false;
        int64_t pause_ms = POLL_MS;
        tims_status status = TIMS_OK;
        relay->nudged = false; /* what comes from here on is looked at again */
        if (relay->is_alone)
            status = keep_order(relay, &pause_ms, &err);
        if (status == TIMS_OK)
            status = step(relay, &did, &err);
        if (status != TIMS_OK) {
            back_off(relay, &err);
            continue;
        }
        if (relay->pause_ms > 0)
            tims_log(TIMS_LOG_INFO, "tasks", "event=relay_goes_on");
        relay->pause_ms = 0;
        if (!did)
            wait_ms(relay, pause_ms);
    }
    tims_error err = { 0 };
    if (relay->count > 0)
        (void)!end_batch(relay, true, &err);
    relay->has_ended = true;
    if (relay->stopper != NULL)
        tims_fiber_wake(relay->stopper);
}

celery__relay *celery__relay_new(celery__store *celery, bool is_alone)
{
    tims_tasks *tasks = celery->store.tasks;
    celery__relay *relay = calloc(1, sizeof *relay);
    TIMS_ASSERT(relay != NULL);
    *relay = (celery__relay){ .celery = celery, .is_alone = is_alone };
    relay->jobs = calloc(BATCH, sizeof(tasks__job *));
    relay->next = calloc(BATCH, sizeof(tasks__job *));
    TIMS_ASSERT(relay->jobs != NULL && relay->next != NULL);
    pthread_mutex_lock(&tasks->worker_lock);
    tasks->relay = relay;
    tasks->relay_loop = celery->store.loop;
    pthread_mutex_unlock(&tasks->worker_lock);
    relay->listener = tims_db_listen(tasks->db, celery->store.loop, TASKS__CHANNEL, hear_signal, relay);
    TIMS_ASSERT(tims_fiber_start(celery->store.loop, run, relay) != NULL);
    return relay;
}

void celery__relay_stop(celery__relay **relay)
{
    celery__relay *old = *relay;
    *relay = NULL;
    if (old == NULL)
        return;
    tims_tasks *tasks = old->celery->store.tasks;
    pthread_mutex_lock(&tasks->worker_lock);
    tasks->relay = NULL;
    tasks->relay_loop = NULL;
    pthread_mutex_unlock(&tasks->worker_lock);
    tims_db_listener_free(&old->listener);
    old->stopping = true;
    old->stopper = tims_fiber_self();
    celery__relay_wake(old);
    bool shielded = tims_fiber_shield(true);
    while (!old->has_ended)
        (void)(tims_fiber_suspend() == TIMS_OK);
    (void)tims_fiber_shield(shielded);
    drop(old->jobs, &old->count);
    free(old->jobs);
    free(old->next);
    free(old);
}

void tasks__wake_relay(tims_tasks *tasks)
{
    if (tasks->relay != NULL)
        celery__relay_wake(tasks->relay);
}

/* --- where no worker runs ------------------------------------------------------------------------------------------------- */

tims_status tims_relay_start(tims_tasks *tasks, tims_loop *loop, tims_error *err)
{
    enum { LEASE_MS = 30 * 1000 };
    if (tasks->store == tasks->sql)
        return TIMS_OK;
    celery__store *celery = celery__of(tasks->store);
    TIMS_ASSERT(celery->relay == NULL && tasks->worker == NULL);
    tims_status status = celery__probe(celery, loop, err);
    if (status != TIMS_OK)
        return status;
    celery->store.loop = loop;
    celery->store.lease_ms = LEASE_MS;
    celery->store.worker_name = tims_print(tasks->arena, "relay:%I", tims_id_new());
    celery->store.queues_text = TIMS_STR("");
    status = celery__open_database(celery, loop, err);
    celery->loop_is_own = !celery->loops[tims_loop_index(loop)];
    if (status == TIMS_OK)
        status = tims_tasks_loop_start(tasks, loop, err);
    if (status == TIMS_OK)
        celery->relay = celery__relay_new(celery, true);
    return status;
}

typedef struct ending {
    tims_tasks *tasks;
    tims_loop_fn on_stopped;
    void *argument;
} ending;

static void end_relay(void *argument)
{
    ending e = *(ending *)argument;
    celery__store *celery = celery__of(e.tasks->store);
    free(argument);
    celery__relay_stop(&celery->relay);
    e.tasks->sql->api->stop(e.tasks->sql);
    if (celery->loop_is_own)
        tims_tasks_loop_stop(e.tasks, celery->store.loop);
    if (e.on_stopped != NULL)
        e.on_stopped(e.argument);
}

void tims_relay_stop(tims_tasks *tasks, tims_loop_fn on_stopped, void *argument)
{
    if (tasks->store == tasks->sql || celery__of(tasks->store)->relay == NULL || tasks->worker != NULL) {
        if (on_stopped != NULL)
            on_stopped(argument);
        return;
    }
    ending *e = malloc(sizeof *e);
    TIMS_ASSERT(e != NULL);
    *e = (ending){ tasks, on_stopped, argument };
    TIMS_ASSERT(tims_fiber_start(celery__of(tasks->store)->store.loop, end_relay, e) != NULL);
}
