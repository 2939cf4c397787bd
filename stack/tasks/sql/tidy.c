/* tidy.c: signs of life, jobs of dead workers, what is due, what has had its time. */
#include "tasks/sql/sql_internal.h"

enum {
    MS_US = 1000,
    DUE_ROWS = 1000,
    DUE_ROUNDS = 20,
    TIDY_US = 5 * 1000 * 1000,
    SWEEP_ROWS = 500,
    SKEW_US = 2 * 1000 * 1000
};

/* --- signs of life ---------------------------------------------------------------------------------------- */

typedef struct beating {
    bool lost;
    void (*cancelled)(void *argument, tims_id job);
    void *argument;
} beating;

static tims_status sign(tasks__work *work, tims_error *err)
{
    beating *b = work->argument;
    int64_t now = tasks__now(work->store->tasks).us, changed = 0;
    const tims_db_value values[] = { tims_db_id(work->store->worker), tims_db_int(now),
                                     tims_db_int(now + work->store->lease_ms * MS_US) };
    tims_status status = tims_db_run(
        work->session,
        TIMS_STR(
            "UPDATE tims_worker SET seen_at = ?2, lease_until = ?3, running = (SELECT count(*) FROM tims_job "
            "WHERE worker = ?1 AND state = 2) WHERE id = ?1 AND lease_until > ?2"),
        values, 3, &changed, err);
    b->lost = status == TIMS_OK && changed == 0;
    return status;
}

static tims_status look_for_cancelled(tasks__work *work, tims_error *err)
{
    const beating *b = work->argument;
    tims_db_rows *rows;
    const tims_db_value worker = tims_db_id(work->store->worker);
    tims_status status = tims_db_query(
        work->session, TIMS_STR("SELECT id FROM tims_job WHERE worker = ?1 AND state = 2 AND cancelled"),
        &worker, 1, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (tims_db_next(rows))
        b->cancelled(b->argument, tims_db_get_id(rows, 0));
    return tims_db_rows_end(&rows, err);
}

tims_status tasks__sql_beat(tasks__store *store, void (*cancelled)(void *argument, tims_id job),
                            void (*lost)(void *argument), void *argument, tims_error *err)
{
    tasks__sql *sql = (tasks__sql *)store;
    beating b = { .cancelled = cancelled, .argument = argument };
    int64_t now_us = tims_monotonic_us();
    tims_status status = TIMS_OK;
    if (now_us - sql->beat_at_us >= store->lease_ms * MS_US / 6) {
        status = tasks__sql_read(store, tasks__sql_read_clock, NULL, err);
        if (status == TIMS_OK)
            status = tasks__sql_transact(store, sign, &b, err);
        if (status == TIMS_OK && !b.lost)
            sql->beat_at_us = now_us;
    }
    if (status == TIMS_OK && !b.lost)
        status = tasks__sql_read(store, look_for_cancelled, &b, err);
    if (b.lost && lost != NULL)
        lost(argument);
    if (status == TIMS_OK && b.lost)
        status = tasks__sql_register(store, err);
    if (status == TIMS_OK && b.lost) {
        sql->beat_at_us = now_us; /* not before the new one is there: until then each beat tries again */
        /* What kept it from signing may have kept others: they come first. */
        sql->tidied_at_us = now_us + store->lease_ms * MS_US;
    }
    return status;
}

/* --- what is due ------------------------------------------------------------------------------------------ */

typedef struct due {
    int64_t changed, next_us;
} due;

/* The limit is in the text: see sql/claim.c. */
static tims_status make_ready(tasks__work *work, tims_error *err)
{
    due *d = work->argument;
    const tims_db_value now = tims_db_int(tasks__now(work->store->tasks).us);
    tims_str sql = tasks__on_postgres(work)
                       ? TIMS_STR("UPDATE tims_job SET state = 0 WHERE ctid = ANY (ARRAY(SELECT ctid FROM "
                                  "tims_job WHERE state = 1 AND run_at <= ?1 ORDER BY run_at LIMIT 1000 FOR "
                                  "UPDATE SKIP LOCKED))")
                       : TIMS_STR("UPDATE tims_job SET state = 0 WHERE id IN (SELECT id FROM tims_job WHERE "
                                  "state = 1 AND run_at <= ?1 ORDER BY run_at LIMIT 1000)");
    return tims_db_run(work->session, sql, &now, 1, &d->changed, err);
}

static tims_status find_next(tasks__work *work, tims_error *err)
{
    due *d = work->argument;
    tims_db_rows *rows;
    tims_status status = tims_db_query(
        work->session, TIMS_STR("SELECT run_at FROM tims_job WHERE state = 1 ORDER BY run_at LIMIT 1"), NULL,
        0, &rows, err);
    if (status != TIMS_OK)
        return status;
    d->next_us = tims_db_next(rows) ? tims_db_get_int(rows, 0) : INT64_MAX;
    return tims_db_rows_end(&rows, err);
}

/* Looks first: most of the time nothing is due, and a look writes nothing. */
static tims_status promote(tasks__store *store, due *d, tims_error *err)
{
    tims_status status = tasks__sql_read(store, find_next, d, err);
    for (int i = 0; status == TIMS_OK && i < DUE_ROUNDS && d->next_us <= tasks__now(store->tasks).us; i++) {
        status = tasks__sql_transact(store, make_ready, d, err);
        if (status == TIMS_OK && d->changed > 0)
            tasks__wake(store->tasks, (tims_time){ 0 });
        if (status == TIMS_OK)
            status = tasks__sql_read(store, find_next, d, err);
        if (d->changed == 0)
            break; /* others have them */
    }
    return status;
}

/* --- the dead and the old --------------------------------------------------------------------------------- */

/* A sign of life from the future: the clock was put back. Who lives signs again soon; who does not must not
 * keep its jobs until the clock is there again, but for one lease more. */
static tims_status shorten_leases(tasks__work *work, tims_error *err)
{
    int64_t now_us = tasks__now(work->store->tasks).us;
    const tims_db_value values[] = { tims_db_int(now_us), tims_db_int(now_us + SKEW_US) };
    return tims_db_run(work->session,
                       TIMS_STR("UPDATE tims_worker SET lease_until = lease_until - (seen_at - ?1), seen_at "
                                "= ?1 WHERE seen_at > ?2"),
                       values, 2, NULL, err);
}

static tims_status take_from_dead(tasks__work *work, tims_error *err)
{
    int64_t changed = 0, workers = 0;
    const tims_db_value now = tims_db_int(tasks__now(work->store->tasks).us);
    tims_status status = shorten_leases(work, err);
    if (status == TIMS_OK)
        status = tasks__cancel_lost(work, err);
    if (status == TIMS_OK)
        status = tims_db_run(work->session,
                             TIMS_STR("UPDATE tims_job SET state = 0, crashes = crashes + 1, worker "
                                      "= NULL WHERE state = 2 AND NOT cancelled AND worker NOT "
                                      "IN (SELECT id FROM tims_worker WHERE lease_until > ?1)"),
                             &now, 1, &changed, err);
    if (status == TIMS_OK)
        status = tims_db_run(work->session, TIMS_STR("DELETE FROM tims_worker WHERE lease_until <= ?1"), &now,
                             1, &workers, err);
    if (status == TIMS_OK && (changed > 0 || workers > 0))
        tims_log(TIMS_LOG_WARN, "tasks",
                 "event=workers_lost workers=%lld jobs=%lld message=their jobs are run again",
                 (long long)workers, (long long)changed);
    if (status == TIMS_OK && changed > 0)
        tasks__wake(work->store->tasks, (tims_time){ 0 });
    return status;
}

static tims_status sweep(tasks__work *work, tims_error *err)
{
    const tims_db_value values[] = { tims_db_int(tasks__now(work->store->tasks).us),
                                     tims_db_int(SWEEP_ROWS) };
    tims_status status = tims_db_run(
        work->session,
        TIMS_STR(
            "DELETE FROM tims_job_status WHERE id IN (SELECT id FROM tims_job_status WHERE expires_at <= ?1 "
            "ORDER BY expires_at LIMIT ?2)"),
        values, 2, NULL, err);
    if (status == TIMS_OK)
        status = tims_db_run(
            work->session,
            TIMS_STR("DELETE FROM tims_job_unique WHERE id IN (SELECT id FROM tims_job_unique WHERE "
                     "until <= ?1 ORDER BY until LIMIT ?2)"),
            values, 2, NULL, err);
    if (status == TIMS_OK)
        status = tasks__limit_sweep(work->store->tasks, work->session, err);
    return status;
}

/* Whether there is anything to do: a look, so that an idle worker writes nothing. */
static tims_status needs_tidying(tasks__work *work, tims_error *err)
{
    bool *needs = work->argument;
    tims_db_rows *rows;
    int64_t now_us = tasks__now(work->store->tasks).us;
    const tims_db_value values[] = { tims_db_int(now_us), tims_db_int(now_us + SKEW_US),
                                     tims_db_int(now_us - TASKS__LIMIT_KEPT_US) };
    tims_status status = tims_db_query(
        work->session,
        TIMS_STR(
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM tims_worker WHERE lease_until <= ?1 OR seen_at > ?2) "
            "OR EXISTS "
            "(SELECT 1 FROM "
            "tims_job WHERE state = 2 AND worker NOT IN (SELECT id FROM tims_worker)) OR EXISTS (SELECT "
            "1 FROM "
            "tims_job_status WHERE expires_at <= ?1) OR EXISTS (SELECT 1 FROM tims_job_unique WHERE "
            "until <= ?1) "
            "OR EXISTS (SELECT 1 FROM tims_job WHERE state = 3) OR EXISTS (SELECT 1 FROM tims_limit WHERE "
            "counted_at <= ?3)"),
        values, 3, &rows, err);
    if (status != TIMS_OK)
        return status;
    *needs = tims_db_next(rows);
    return tims_db_rows_end(&rows, err);
}

tims_status tasks__sql_tidy(tasks__store *store, tims_time *ret_next, tims_error *err)
{
    tasks__sql *sql = (tasks__sql *)store;
    due d = { .next_us = INT64_MAX };
    tims_status status = promote(store, &d, err);
    int64_t now_us = tims_monotonic_us(), every_us = TIDY_US;
    if (store->lease_ms * MS_US / 6 < every_us)
        every_us = store->lease_ms * MS_US / 6;
    if (status == TIMS_OK && now_us - sql->tidied_at_us >= every_us) {
        bool needs = false;
        status = tasks__sql_read(store, needs_tidying, &needs, err);
        if (status == TIMS_OK && needs)
            status = tasks__sql_transact(store, take_from_dead, NULL, err);
        if (status == TIMS_OK && needs)
            status = tasks__sql_transact(store, sweep, NULL, err);
        if (status == TIMS_OK)
            sql->tidied_at_us = now_us;
    }
    if (status == TIMS_OK)
        ret_next->us = d.next_us;
    return status;
}
