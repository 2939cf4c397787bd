/* store.c: Redis as the place where jobs wait: its life, the worker's lease, what is revoked. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tasks/celery/celery_internal.h"

enum {
    MS_US = 1000,
    REVOKES_KEPT_S = 24 * 3600,
    REVOKES_MAX = 200000,
    ARENA_BYTES_MAX = 64 * 1024 * 1024,
    TOUCH_US = 5 * 1000 * 1000,
    POLL_MS = 20,
    GREETING_MS = 500,
    ANSWER_TIMEOUT_MS = 3000,
};

static const tims_str wake_channel = TIMS_STR_INIT("tims:wake"),
                      waiting_prefix = TIMS_STR_INIT("waiting:"); /* of ids whose runs go on */

tims_time celery__now(const celery__store *celery)
{
    return (tims_time){ tims_now().us + celery->clock_offset_us + celery->store.tasks->test_clock_us };
}

void celery__publish(celery__store *celery, tims_str channel, tims_str message)
{
    (void)tims_redis_send(celery->redis, TIMS_REDIS_COMMAND(TIMS_STR("PUBLISH"), channel, message), NULL,
                          NULL);
}

/* --- what is revoked ------------------------------------------------------------------------------------------- */

static bool send_revoke(celery__store *celery, tims_str prefix, tims_str id)
{
    tims_arena *arena = tims_arena_new(64 * 1024, NULL, NULL);
    celery__arguments arguments = { .arena = arena };
    celery__add_int(&arguments, REVOKES_KEPT_S);
    celery__add(&arguments, tims_print(arena, "%S%S", prefix, id));
    bool sent = celery__send(celery, CELERY__REVOKE, celery__list(&arguments));
    tims_arena_free(&arena);
    return sent;
}

bool celery__revoke(celery__store *celery, tims_str id)
{
    return send_revoke(celery, TIMS_STR(""), id);
}

bool celery__revoke_waiting(celery__store *celery, tims_str id)
{
    return send_revoke(celery, waiting_prefix, id);
}

size_t celery__revoked_count(const celery__store *celery)
{
    return tims_map_count(celery->revoked);
}

bool celery__revoked_next(const celery__store *celery, size_t *cursor, tims_str *ret_id)
{
    void *value;
    return tims_map_next(celery->revoked, cursor, ret_id, &value);
}

static bool cancel(tasks__store *store, tims_request *rq, tims_id job)
{
    celery__store *celery = celery__of(store);
    const tims_redis_reply *reply;
    tims_error err = { 0 };
    celery__arguments arguments = { .arena = rq->arena };
    celery__add_int(&arguments, REVOKES_KEPT_S);
    celery__add(&arguments, tims_print(rq->arena, "%I", job));
    tims_check(rq, celery__call(celery, rq->arena, CELERY__REVOKE, celery__list(&arguments), &reply, &err),
               &err);
    return true;
}

/* --- the lease ---------------------------------------------------------------------------------------------------- */

typedef struct beating {
    celery__store *celery;
    bool begins, held;
    void (*cancelled)(void *argument, tims_id job);
    void *argument;
} beating;

static void hear_revokes(const beating *b, const tims_redis_reply *list)
{
    celery__store *celery = b->celery;
    if (tims_map_count(celery->revoked) > REVOKES_MAX) { /* the old ones are of no use any more */
        tims_map_free(&celery->revoked);
        celery->revoked = tims_map_new();
    }
    for (size_t i = 0; i + 1 < tims_redis_count(list); i += 2) {
        tims_str id = tims_redis_text(tims_redis_item(list, i));
        tims_str score = tims_redis_text(tims_redis_item(list, i + 1));
        if (id.length == 0 || score.length >= sizeof celery->revoked_cursor)
            continue;
        memcpy(celery->revoked_cursor, score.data, score.length);
        celery->revoked_cursor[score.length] = '\0';
        bool runs_on = tims_str_starts_with(id, waiting_prefix);
        if (runs_on)
            id = tims_str_slice(id, waiting_prefix.length, id.length);
        (void)tims_map_set(celery->revoked, id, celery);
        if (b->cancelled != NULL && !runs_on)
            b->cancelled(b->argument, celery__id_from_text(id));
    }
}

static tims_status sign(beating *b, tims_error *err)
{
    celery__store *celery = b->celery;
    const tims_redis_reply *reply;
    char worker[TIMS_ID_TEXT_LENGTH];
    tims_arena *arena = tims_arena_new(ARENA_BYTES_MAX, NULL, NULL);
    celery__arguments arguments = { .arena = arena };
    tims_id_format(celery->store.worker, worker);
    celery__add(&arguments, (tims_str){ worker, sizeof worker });
    celery__add_int(&arguments, celery->store.lease_ms);
    celery__add_int(&arguments, b->begins ? 1 : 0);
    celery__add(&arguments, tims_str_from(celery->revoked_cursor));
    tims_status status = celery__call(celery, arena, CELERY__BEAT, celery__list(&arguments), &reply, err);
    int64_t now_us;
    if (status == TIMS_OK) {
        b->held = tims_redis_int(tims_redis_item(reply, 0)) == 1;
        if (tims_str_to_int(tims_redis_text(tims_redis_item(reply, 1)), 0, INT64_MAX, &now_us))
            celery->clock_offset_us = now_us - tims_now().us;
        hear_revokes(b, tims_redis_item(reply, 2));
    }
    tims_arena_free(&arena);
    return status;
}

/* A new incarnation: what the former one held is no longer its own. One at a time: who takes and who keeps
 * the lease may both find that there is none. */
tims_status celery__register(celery__store *celery, tims_error *err)
{
    while (celery->is_registering)
        if (tims_sleep_ms(1) != TIMS_OK)
            return tims_fail(err, TIMS_CANCELLED, NULL, "The lease was not waited for.");
    if (celery->is_registered)
        return TIMS_OK;
    beating b = { .celery = celery, .begins = true };
    celery->is_registering = true;
    celery->store.worker = tims_id_new();
    celery->known_batch[0] = '\0';
    tims_status status = sign(&b, err);
    celery->is_registered = status == TIMS_OK;
    celery->is_registering = false;
    return status;
}

/* What has run for a while is made young again, so that Python's workers do not take it for lost. */
static tims_status touch(celery__store *celery, int64_t now_us, tims_error *err)
{
    const tims_redis_reply *reply;
    tims_arena *arena = tims_arena_new(ARENA_BYTES_MAX, NULL, NULL);
    celery__arguments arguments = { .arena = arena };
    for (const celery__message *at = celery->held; at != NULL; at = at->next)
        if (now_us - at->taken_us >= TOUCH_US && !at->is_acknowledged)
            celery__add(&arguments, tims_copy(arena, tims_str_from(at->tag)));
    tims_status status = TIMS_OK;
    if (arguments.count > 0)
        status = celery__call(celery, arena, CELERY__TOUCH, celery__list(&arguments), &reply, err);
    if (status == TIMS_OK)
        celery->touched_us = now_us;
    tims_arena_free(&arena);
    return status;
}

static tims_status beat(tasks__store *store, void (*cancelled)(void *argument, tims_id job),
                        void (*lost)(void *argument), void *argument, tims_error *err)
{
    celery__store *celery = celery__of(store);
    tasks__store *sql = store->tasks->sql;
    beating b = { .celery = celery, .cancelled = cancelled, .argument = argument };
    bool was_registered = celery->is_registered;
    int64_t now_us = tims_monotonic_us();
    tims_status status = sql->api->beat(sql, cancelled, NULL, argument, err);
    if (status == TIMS_OK && !was_registered)
        status = celery__register(celery, err);
    if (status == TIMS_OK)
        status = sign(&b, err);
    if (status == TIMS_OK && !b.held) {
        if (was_registered && lost != NULL)
            lost(argument);
        celery->is_registered = false;
        return celery__register(celery, err);
    }
    if (status == TIMS_OK && now_us - celery->touched_us >= TOUCH_US)
        status = touch(celery, now_us, err);
    return status;
}

/* --- channels ---------------------------------------------------------------------------------------------------- */

static void hear(void *data, tims_str channel, tims_str message)
{
    celery__store *celery = data;
    if (tims_str_equal(channel, wake_channel) || tims_str_equal(channel, TIMS_STR(TIMS_REDIS_CHANGES)))
        tasks__wake_worker(celery->store.tasks);
    else if (celery->control != NULL)
        celery__control_hear(celery->control, message);
}

static void change(void *data, bool is_up)
{
    celery__store *celery = data;
    celery->is_up = is_up;
    if (!is_up)
        return;
    celery->up_since_us = tims_monotonic_us();
    tasks__wake(celery->store.tasks, (tims_time){ 0 });
    if (celery->events != NULL)
        celery__events_worker(celery->events, "worker-online");
}

/* --- loops --------------------------------------------------------------------------------------------------------- */

tims_status tims_tasks_loop_start(tims_tasks *tasks, tims_loop *loop, tims_error *err)
{
    int index = tims_loop_index(loop);
    if (tasks->store == tasks->sql)
        return TIMS_OK;
    celery__store *celery = celery__of(tasks->store);
    TIMS_ASSERT(index < CELERY__LOOPS_MAX);
    if (celery->loops[index])
        return TIMS_OK;
    tims_status status = tims_redis_loop_start(celery->redis, loop, err);
    celery->loops[index] = status == TIMS_OK;
    return status;
}

void tims_tasks_loop_stop(tims_tasks *tasks, tims_loop *loop)
{
    if (tasks->store == tasks->sql)
        return;
    celery__store *celery = celery__of(tasks->store);
    int index = tims_loop_index(loop);
    if (celery->loops[index])
        tims_redis_loop_stop(celery->redis, loop);
    celery->loops[index] = false;
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

static void name_host(celery__store *celery)
{
    char host[200] = "";
    tims_str name = celery->store.worker_name;
    (void)gethostname(host, sizeof host - 1);
    celery->hostname = tims_str_find(name, TIMS_STR("@")) != SIZE_MAX
                           ? name
                           : tims_print(celery->store.tasks->arena, "%S@%s", name, host);
}

tims_status celery__open_database(celery__store *celery, tims_loop *loop, tims_error *err)
{
    tasks__store *sql = celery->store.tasks->sql;
    sql->lease_ms = celery->store.lease_ms;
    sql->concurrency = celery->store.concurrency;
    sql->worker_name = celery->store.worker_name;
    sql->queues_text = celery->store.queues_text;
    return sql->api->start(sql, loop, err);
}

/* One that is away may come; one that will never do (a Cluster, a wrong password) is better said now. */
tims_status celery__probe(celery__store *celery, tims_loop *loop, tims_error *err)
{
    tims_status status = tims_redis_probe(celery->redis, loop, err);
    return status == TIMS_INVALID || status == TIMS_UNAUTHORIZED ? status : TIMS_OK;
}

/* A moment for Redis, so that a start does not begin with a complaint; it may also come later. */
static void wait_for_redis(const celery__store *celery)
{
    int64_t until_us = tims_monotonic_us() + GREETING_MS * MS_US;
    while (!celery->is_up && tims_monotonic_us() < until_us)
        if (tims_sleep_ms(1) != TIMS_OK)
            return;
}

/* So that what others push there is seen at once; what is not watched is asked for every POLL_MS. */
static void watch_queues(const celery__store *celery, tims_str names)
{
    for (tims_str rest = names; rest.data != NULL;) {
        tims_str name = tims_str_cut(&rest, ',');
        if (name.length > 0)
            tims_redis_watch(celery->redis, name);
    }
}

static tims_status start(tasks__store *store, tims_loop *loop, tims_error *err)
{
    celery__store *celery = celery__of(store);
    tims_tasks *tasks = store->tasks;
    tims_status status = celery__probe(celery, loop, err);
    if (status != TIMS_OK)
        return status;
    store->loop = loop;
    store->poll_ms = POLL_MS;
    celery->started_us = tims_monotonic_us();
    celery->is_registered = false;
    name_host(celery);
    status = celery__open_database(celery, loop, err);
    if (status != TIMS_OK)
        return status;
    celery->loop_is_own = !celery->loops[tims_loop_index(loop)];
    if (celery->loop_is_own)
        watch_queues(celery, store->queues_text);
    celery->events = celery__events_new(celery);
    celery->control = celery__control_new(celery);
    status = tims_tasks_loop_start(tasks, loop, err);
    if (status != TIMS_OK)
        return status;
    wait_for_redis(celery);
    celery->relay = celery__relay_new(celery, false);
    return TIMS_OK;
}

static void sign_off(celery__store *celery)
{
    char worker[TIMS_ID_TEXT_LENGTH];
    tims_id_format(celery->store.worker, worker);
    if (celery->is_registered)
        (void)tims_redis_send(celery->redis,
                              TIMS_REDIS_COMMAND(TIMS_STR("ZREM"), TIMS_STR("tims:leases"),
                                                 ((tims_str){ worker, sizeof worker })),
                              NULL, NULL);
    celery->is_registered = false;
}

static void stop(tasks__store *store)
{
    celery__store *celery = celery__of(store);
    tims_tasks *tasks = store->tasks;
    celery__relay_stop(&celery->relay);
    celery__events_worker(celery->events, "worker-offline");
    sign_off(celery);
    celery__control_free(&celery->control);
    celery__events_free(&celery->events);
    tasks->sql->api->stop(tasks->sql);
    if (celery->loop_is_own)
        tims_tasks_loop_stop(tasks, store->loop);
}

static const tasks__store_api api = {
    .name = "redis",
    .start = start,
    .stop = stop,
    .look = celery__look,
    .count = celery__count,
    .claim = celery__claim,
    .finish = celery__finish,
    .beat = beat,
    .tidy = celery__tidy,
    .forget = celery__forget,
    .cancel = cancel,
};

static int64_t database_of(tims_str name)
{
    int64_t number = 0;
    tims_str rest = name;
    while (rest.data != NULL)
        name = tims_str_cut(&rest, '/');
    return tims_str_to_int(name, 0, INT32_MAX, &number) ? number : 0;
}

tims_status tasks__celery_store_new(tims_tasks *tasks, tims_str url, tasks__store **ret_store,
                                    tims_error *err)
{
    celery__store *celery = calloc(1, sizeof *celery);
    TIMS_ASSERT(celery != NULL);
    *celery = (celery__store){ .store = { .api = &api, .tasks = tasks }, .magic = CELERY__MAGIC };
    const tims_redis_options options = { .url = url, .answer_timeout_ms = ANSWER_TIMEOUT_MS };
    const tims_redis_listener listener = { celery, hear, change };
    tims_status status = tims_redis_new(&options, &celery->redis, err);
    if (status != TIMS_OK) {
        free(celery);
        return status;
    }
    celery->database = database_of(tims_redis_name(celery->redis));
    celery->revoked = tims_map_new();
    (void)snprintf(celery->revoked_cursor, sizeof celery->revoked_cursor, "0");
    tims_redis_listen(celery->redis, &listener);
    tims_redis_subscribe(celery->redis, wake_channel);
    for (size_t i = 0; i < tasks->own_queues.count; i++)
        tims_redis_watch(celery->redis, tims_str_from(tasks->own_queues.items[i]));
    tims_redis_subscribe(celery->redis,
                         tims_print(tasks->arena, "/%lld.celery.pidbox", (long long)celery->database));
    *ret_store = &celery->store;
    return TIMS_OK;
}

void tasks__celery_store_free(tasks__store **store)
{
    celery__store *celery = celery__of(*store);
    *store = NULL;
    for (tasks__outcome *at = celery->ended, *next; at != NULL; at = next) {
        next = at->next;
        celery__forget(at->job);
        tims_arena_free(&at->arena);
        tasks__job_free(&at->job);
        free(at);
    }
    tims_redis_free(&celery->redis);
    tims_map_free(&celery->revoked);
    celery->magic = 0;
    free(celery);
}
