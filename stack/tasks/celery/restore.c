/* restore.c: what is due goes to its list; what is held by nobody alive any more goes back.
 *
 * Our workers hold a lease; their messages go back when it is over. Those of Python's workers go back when
 * they are older than Celery's visibility timeout, as every one of their workers does it. */
#include "tasks/celery/celery_internal.h"
#include "tasks/sql/sql_internal.h"

enum {
    VISIBILITY_S = 3600,
    LOST_MAX = 100,
    DUE_MAX = 500,
    DUE_ROUNDS = 50,
    SWEEP_US = 5 * 1000 * 1000,
    MS_US = 1000,
    ENTRY_ITEMS = 3,
    ARENA_BYTES_MAX = 1024 * 1024 * 1024,
};

/* --- what is due -------------------------------------------------------------------------------------------------- */

static tims_status move_due(celery__store *celery, int64_t *ret_next_us, tims_error *err)
{
    tims_arena *arena = tims_arena_new(ARENA_BYTES_MAX, NULL, NULL);
    const tims_redis_reply *reply;
    celery__arguments arguments = { .arena = arena };
    celery__add_int(&arguments, DUE_MAX);
    tims_status status = TIMS_OK;
    int64_t moved = DUE_MAX;
    for (int i = 0; status == TIMS_OK && moved == DUE_MAX && i < DUE_ROUNDS; i++) {
        status = celery__call(celery, arena, CELERY__DUE, celery__list(&arguments), &reply, err);
        if (status != TIMS_OK)
            break;
        moved = tims_redis_int(tims_redis_item(reply, 0));
        *ret_next_us = INT64_MAX;
        (void)!tims_str_to_int(tims_redis_text(tims_redis_item(reply, 1)), 0, INT64_MAX, ret_next_us);
        if (moved > 0)
            tasks__wake_worker(celery->store.tasks);
    }
    tims_arena_free(&arena);
    return status;
}

/* --- what was lost ------------------------------------------------------------------------------------------------- */

/* "[envelope, exchange, routing_key]". False: it is none. */
static bool read_entry(tims_arena *arena, tims_str entry, tims_str *ret_message, tims_str *ret_queue)
{
    const tims_json *root;
    if (tims_json_parse(arena, entry, &root, NULL) != TIMS_OK || tims_json_count(root) != ENTRY_ITEMS ||
        tims_json_type_of(root) != TIMS_JSON_ARRAY)
        return false;
    *ret_message = tims_json_to_text(arena, tims_json_at(root, 0));
    *ret_queue = tims_json_as_str(tims_json_at(root, 2), TIMS_STR(""));
    return ret_queue->length > 0;
}

static void add_lost(celery__store *celery, celery__arguments *arguments, tims_str tag, tims_str entry)
{
    tims_arena *arena = arguments->arena;
    tims_str message, queue = TIMS_STR("");
    celery__envelope envelope;
    tims_buf out;
    bool is_ours = tims_str_starts_with(tag, TIMS_STR("tims."));
    celery__add(arguments, tag);
    if (!read_entry(arena, entry, &message, &queue)) {
        tims_log(TIMS_LOG_ERROR, "tasks", "event=restore_unreadable tag=%S", tag);
        celery__add(arguments, tims_str_from(celery->store.tasks->own_queues.items[0]));
        celery__add(arguments, entry); /* to the dead list, by whoever takes it */
        return;
    }
    if (celery__read(NULL, arena, queue, message, &envelope, NULL) != TIMS_OK) {
        celery__add(arguments, queue);
        celery__add(arguments, message);
        return;
    }
    tims_buf_init(&out, arena, 2 * CELERY__MESSAGE_BYTES_MAX);
    const celery__again again = { .retries = envelope.message.retries,
                                  .crashes = envelope.job.crashes + (is_ours ? 1 : 0),
                                  .eta = envelope.eta,
                                  .is_redelivered = true };
    celery__write_again(&out, arena, &envelope, &again);
    celery__add(arguments, celery__list_of(arena, queue, envelope.job.priority));
    celery__add(arguments, tims_buf_str(&out));
}

static tims_status put_back(celery__store *celery, tims_arena *arena, const tims_redis_reply *found,
                            tims_error *err)
{
    const tims_redis_reply *reply;
    celery__arguments arguments = { .arena = arena };
    size_t count = tims_redis_count(found);
    for (size_t i = 2; i + 1 < count; i += 2)
        add_lost(celery, &arguments, tims_redis_text(tims_redis_item(found, i)),
                 tims_redis_text(tims_redis_item(found, i + 1)));
    if (arguments.count == 0)
        return TIMS_OK;
    tims_status status =
        celery__call(celery, arena, CELERY__MOVE_LOST, celery__list(&arguments), &reply, err);
    if (status == TIMS_OK)
        tims_log(TIMS_LOG_WARN, "tasks",
                 "event=workers_lost workers=%lld jobs=%lld message=their jobs are run again",
                 (long long)tims_redis_int(tims_redis_item(found, 1)), (long long)tims_redis_int(reply));
    if (status == TIMS_OK)
        tasks__wake_worker(celery->store.tasks);
    return status;
}

/* As kombu: one sweeps at a time. */
static tims_status sweep(celery__store *celery, tims_error *err)
{
    tims_arena *arena = tims_arena_new(ARENA_BYTES_MAX, NULL, NULL);
    const tims_redis_reply *found, *reply;
    tims_str token = tims_print(arena, "%I", tims_id_new());
    celery__arguments arguments = { .arena = arena }, release = { .arena = arena };
    celery__add(&arguments, token);
    celery__add_int(&arguments, VISIBILITY_S);
    celery__add_int(&arguments, LOST_MAX);
    celery__add(&release, token);
    tims_status status =
        celery__call(celery, arena, CELERY__FIND_LOST, celery__list(&arguments), &found, err);
    if (status == TIMS_OK && tims_redis_int(tims_redis_item(found, 0)) == 1) {
        status = put_back(celery, arena, found, err);
        if (status == TIMS_OK)
            status = celery__call(celery, arena, CELERY__RELEASE, celery__list(&release), &reply, err);
    }
    tims_arena_free(&arena);
    return status;
}

/* After an outage all leases are over: first everybody gets time to sign life again. */
static bool may_sweep(const celery__store *celery, int64_t now_us)
{
    int64_t lease_us = celery->store.lease_ms * MS_US, every_us = lease_us / 6;
    return celery->is_up && celery->is_registered && now_us - celery->up_since_us >= lease_us &&
           now_us - celery->restored_us >= (every_us < SWEEP_US ? every_us : SWEEP_US);
}

tims_status celery__tidy(tasks__store *store, tims_time *ret_next, tims_error *err)
{
    celery__store *celery = celery__of(store);
    tasks__store *sql = store->tasks->sql;
    tims_time next = { INT64_MAX };
    int64_t due_us = INT64_MAX, now_us = tims_monotonic_us();
    tims_status status = sql->api->tidy(sql, &next, err);
    if (status == TIMS_OK)
        status = celery__finish_ended(celery, err);
    if (status == TIMS_OK)
        status = move_due(celery, &due_us, err);
    if (status == TIMS_OK && may_sweep(celery, now_us)) {
        status = sweep(celery, err);
        if (status == TIMS_OK)
            celery->restored_us = now_us;
    }
    if (status == TIMS_OK && due_us != INT64_MAX) /* by the database's clock, as the other */
        due_us += tasks__now(store->tasks).us - celery__now(celery).us;
    if (status == TIMS_OK)
        ret_next->us = due_us < next.us ? due_us : next.us;
    return status;
}
