/* store.c: the app's database as the place where jobs wait.
 *
 * One small table is polled; what is done leaves it. A worker's lease is one row of its own, so that a sign
 * of life is one small write however many jobs run; a job names the worker that runs it, and who has lost its
 * lease comes back as somebody else, so that what it still says of its old jobs is not heard. */
#include <stdlib.h>
#include <unistd.h>

#include "tasks/sql/sql_internal.h"
#include "tims/crypto.h"

enum { WORK_BYTES_MAX = 256 * 1024 * 1024, MS_US = 1000 };

/* --- transactions of its own ------------------------------------------------------------------------------ */

static tims_status with_session(tasks__store *store, tims_status (*work)(tasks__work *work, tims_error *err),
                                void *argument, bool in_transaction, tims_error *err)
{
    tims_arena *arena = tims_arena_new(WORK_BYTES_MAX, NULL, NULL);
    tasks__work w = { store, arena, tims_db_session_new(store->tasks->db, store->loop, arena), argument };
    tims_status status = in_transaction ? tims_db_begin(w.session, err) : TIMS_OK;
    if (status == TIMS_OK) {
        status = work(&w, err);
        if (in_transaction) {
            if (status == TIMS_OK)
                status = tims_db_commit(w.session, err);
            else
                tims_db_rollback(w.session);
        }
    }
    tims_arena_free(&arena);
    return status;
}

tims_status tasks__sql_transact(tasks__store *store, tims_status (*work)(tasks__work *work, tims_error *err),
                                void *argument, tims_error *err)
{
    return with_session(store, work, argument, true, err);
}

tims_status tasks__sql_read(tasks__store *store, tims_status (*work)(tasks__work *work, tims_error *err),
                            void *argument, tims_error *err)
{
    return with_session(store, work, argument, false, err);
}

/* --- the worker's row ------------------------------------------------------------------------------------- */

typedef struct registration {
    tims_str name;
    bool is_taken;
} registration;

static tims_status insert_worker(tasks__work *work, tims_error *err)
{
    registration *r = work->argument;
    char host[256] = "";
    (void)gethostname(host, sizeof host - 1);
    int64_t now = tasks__now(work->store->tasks).us, changed = 0;
    const tims_db_value values[] = { tims_db_id(work->store->worker),
                                     tims_db_text(r->name),
                                     tims_db_text(tims_str_from(host)),
                                     tims_db_int(getpid()),
                                     tims_db_text(work->store->queues_text),
                                     tims_db_int(work->store->concurrency),
                                     tims_db_int(now),
                                     tims_db_int(now + work->store->lease_ms * MS_US) };
    tims_status status = tims_db_run(
        work->session,
        TIMS_STR("INSERT INTO tims_worker (id, name, host, pid, queues, concurrency, running, started_at, "
                 "seen_at, "
                 "lease_until) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?7, ?8) ON CONFLICT (name) DO NOTHING"),
        values, 8, &changed, err);
    r->is_taken = changed == 0;
    return status;
}

tims_status tasks__sql_read_clock(tasks__work *work, tims_error *err)
{
    tims_db_rows *rows;
    if (!tasks__on_postgres(work))
        return TIMS_OK;
    int64_t asked_us = tims_now().us;
    tims_status status =
        tims_db_query(work->session, TIMS_STR("SELECT clock_timestamp()"), NULL, 0, &rows, err);
    if (status != TIMS_OK)
        return status;
    if (tims_db_next(rows)) {
        int64_t half_way = asked_us + (tims_now().us - asked_us) / 2;
        atomic_store(&work->store->tasks->clock_offset_us, tims_db_get_int(rows, 0) - half_way);
    }
    return tims_db_rows_end(&rows, err);
}

/* Its process lives, so its jobs' runs did not die: they go back without counting as crashes. */
static tims_status leave_former(tasks__work *work, tims_error *err)
{
    const tims_db_value *id = work->argument;
    tims_status status = tims_db_run(
        work->session,
        TIMS_STR(
            "UPDATE tims_job SET state = 0, worker = NULL WHERE state = 2 AND NOT cancelled AND worker = ?1"),
        id, 1, NULL, err);
    if (status == TIMS_OK)
        status =
            tims_db_run(work->session, TIMS_STR("DELETE FROM tims_worker WHERE id = ?1"), id, 1, NULL, err);
    return status;
}

/* Two of one name do no harm, since each start has an id of its own; people have to tell them apart. */
tims_status tasks__sql_register(tasks__store *store, tims_error *err)
{
    enum { NAMES_MAX = 100 };
    char name[256];
    tims_db_value former = tims_db_id(store->worker);
    tims_status status = tasks__sql_read(store, tasks__sql_read_clock, NULL, err);
    if (status == TIMS_OK && !tims_id_is_zero(store->worker))
        status = tasks__sql_transact(store, leave_former, &former, err);
    if (status == TIMS_OK)
        store->worker = tims_id_new();
    for (int i = 1; status == TIMS_OK && i <= NAMES_MAX; i++) {
        tims_buf out = { .data = name, .capacity = sizeof name, .max = sizeof name };
        tims_buf_append_str(&out, tims_str_slice(store->worker_name, 0, 180));
        if (i > 1)
            tims_buf_print(&out, " (%d)", i);
        registration r = { tims_buf_str(&out), false };
        status = tasks__sql_transact(store, insert_worker, &r, err);
        if (status == TIMS_OK && !r.is_taken)
            return TIMS_OK;
        if (status == TIMS_OK && i == 1)
            tims_log(TIMS_LOG_WARN, "tasks",
                     "event=name_taken name=%S message=another worker has this name; "
                     "this one is shown with a number",
                     store->worker_name);
    }
    return status != TIMS_OK
               ? status
               : tims_fail(err, TIMS_CONFLICT, NULL, "A hundred workers have this name already.");
}

static tims_status delete_worker(tasks__work *work, tims_error *err)
{
    const tims_db_value id = tims_db_id(work->store->worker);
    return tims_db_run(
        work->session,
        TIMS_STR("DELETE FROM tims_worker WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM tims_job WHERE "
                 "worker = ?1 AND state = 2)"),
        &id, 1, NULL, err);
}

/* --- life ------------------------------------------------------------------------------------------------- */

static tims_status start(tasks__store *store, tims_loop *loop, tims_error *err)
{
    store->loop = loop;
    return tasks__sql_register(store, err);
}

static void stop(tasks__store *store)
{
    tims_error err = { 0 };
    if (tasks__sql_transact(store, delete_worker, NULL, &err) != TIMS_OK)
        tims_log(TIMS_LOG_WARN, "tasks", "event=not_signed_off message=%s", err.message);
}

static const tasks__store_api api = {
    .name = "database",
    .start = start,
    .stop = stop,
    .look = tasks__sql_look,
    .claim = tasks__sql_claim,
    .finish = tasks__sql_finish,
    .finish_in = tasks__sql_finish_in,
    .beat = tasks__sql_beat,
    .tidy = tasks__sql_tidy,
};

tasks__store *tasks__sql_store_new(tims_tasks *tasks)
{
    tasks__sql *sql = calloc(1, sizeof *sql);
    TIMS_ASSERT(sql != NULL);
    sql->store = (tasks__store){ .api = &api, .tasks = tasks };
    return &sql->store;
}

void tasks__sql_store_free(tasks__store **store)
{
    free(((tasks__sql *)*store)->fronts);
    free(*store);
    *store = NULL;
}
