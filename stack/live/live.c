/* live.c: the room's process-wide part: options, the epoch, one hub a loop, the feed on loop 0. */
#include "live/live_internal.h"

static void set_defaults(tims_live_options *options)
{
    if (options->poll_ms == 0)
        options->poll_ms = 25;
    if (options->subscriptions_max == 0)
        options->subscriptions_max = 1000;
    if (options->queue_bytes_max == 0)
        options->queue_bytes_max = 8 * 1024 * 1024;
    if (options->log_keep_s == 0)
        options->log_keep_s = INT64_C(24) * 3600;
    if (options->resume_changes_max == 0)
        options->resume_changes_max = 10000;
    if (options->sockets_per_user_max == 0)
        options->sockets_per_user_max = 100;
}

static const live__limits default_limits = {
    .jobs_max = 2000,
    .rows_max = 50000,
    .step_changes_max = 20000,
    .step_bytes_max = 64 << 20,
    .behind_bytes = 256 * 1024,
    .behind_ms = 30 * 1000,
    .hello_ms = 10 * 1000,
    .heartbeat_ms = 15 * 1000,
    .watch_ms = 1000,
    .node_alive_ms = 2000,
    .node_lease_ms = 7000,
    .prune_ms = 60 * 1000,
};

/* The text stays for as long as the process: other loops read it meanwhile. */
tims_status live__epoch_read(tims_live *live, tims_db_session *db, tims_error *err)
{
    tims_str epoch;
    tims_status status = tims_server_start(db, &live->server_start_us, err);
    if (status == TIMS_OK)
        status = tims_epoch_begin(db, live->arena, live->server_start_us, &epoch, err);
    if (status != TIMS_OK)
        return status;
    TIMS_ASSERT(epoch.length == LIVE__EPOCH_LENGTH);
    if (atomic_load(&live->epoch) == NULL || !tims_str_equal(epoch, tims_live_epoch(live)))
        atomic_store(&live->epoch, epoch.data);
    if (live->options.on_epoch != NULL)
        live->options.on_epoch(live->options.on_change_argument, epoch);
    return TIMS_OK;
}

/* Where the database stands as the process starts. */
static tims_status read_start(tims_live *live, tims_error *err)
{
    tims_mark mark;
    tims_arena *arena = tims_arena_new(1024 * 1024, NULL, NULL);
    tims_db_session *db = tims_db_session_new(live->db, NULL, arena);
    tims_status status = live__witness_hear(live, db, arena, err);
    if (status == TIMS_OK)
        status = live__epoch_read(live, db, err);
    if (status == TIMS_OK)
        status = tims_mark_now(db, &mark, err);
    if (status == TIMS_OK)
        status = tims_change_last(db, &live->engine.log_id, err);
    if (status == TIMS_OK) {
        live__engine_start(&live->engine, live, &mark);
        live__witness_note(live);
    }
    tims_arena_free(&arena);
    return status;
}

tims_status tims_live_new(tims_db *db, const tims_models *models, tims_auth *auth,
                          const tims_live_options *options, tims_live **ret_live, tims_error *err)
{
    TIMS_ASSERT(options != NULL && options->resolver.resolve != NULL);
    tims_live *live = calloc(1, sizeof *live);
    TIMS_ASSERT(live != NULL);
    live->magic = LIVE__MAGIC;
    live->db = db;
    live->models = models;
    live->auth = auth;
    live->options = *options;
    live->limits = default_limits;
    live->arena = tims_arena_new(1024 * 1024, NULL, NULL);
    live->feed.live = live;
    set_defaults(&live->options);
    live->presence = live__rooms_new(live);
    live->online.counts = tims_map_new();
    pthread_mutex_init(&live->mutex, NULL);
    tims_status status = db != NULL ? read_start(live, err) : TIMS_OK;
    if (status != TIMS_OK) {
        tims_live_free(&live);
        return status;
    }
    if (options->redis != NULL)
        live->bus = live__bus_new(live, options->redis, options->redis_prefix);
    *ret_live = live;
    return TIMS_OK;
}

void tims_live_free(tims_live **live)
{
    tims_live *old = *live;
    *live = NULL;
    if (old == NULL)
        return;
    TIMS_CHECK_MAGIC(old, LIVE__MAGIC);
    live__engine_free(&old->engine);
    for (int i = 0; i < LIVE__LOOPS_MAX; i++)
        if (old->hubs[i] != NULL)
            live__hub_free(&old->hubs[i]);
    live__bus_free(&old->bus); /* before the rooms that it has told of */
    live__presence_free(&old->presence);
    live__held_free(&old->online.own);
    live__held_free(&old->online.users);
    tims_map_free(&old->online.counts);
    live__feed_free(&old->feed);
    pthread_mutex_destroy(&old->mutex);
    tims_arena_free(&old->arena);
    old->magic = 0;
    free(old);
}

tims_status tims_live_loop_start(tims_live *live, tims_loop *loop, tims_error *err)
{
    TIMS_CHECK_MAGIC(live, LIVE__MAGIC);
    int index = tims_loop_index(loop);
    if (index >= LIVE__LOOPS_MAX)
        return tims_fail(err, TIMS_INVALID, NULL, "Live updates run on at most %d loops.", LIVE__LOOPS_MAX);
    live__hub *hub = live__hub_new(live, loop);
    pthread_mutex_lock(&live->mutex);
    live->hubs[index] = hub;
    pthread_mutex_unlock(&live->mutex);
    tims_loop_set_slot(loop, TIMS_LOOP_SLOT_LIVE, hub);
    if (index != 0)
        return TIMS_OK;
    if (live->bus != NULL)
        live__bus_start(live->bus, loop);
    return live__feed_start(&live->feed, loop, err);
}

/* The hub's memory stays until the process ends it: deliveries may be on their way to it. */
void tims_live_loop_stop(tims_live *live, tims_loop *loop)
{
    TIMS_CHECK_MAGIC(live, LIVE__MAGIC);
    live__hub *hub = live__hub_of(live, loop);
    if (hub == NULL)
        return;
    if (hub->index == 0) {
        live__feed_stop(&live->feed);
        live__witness_note(live);
    }
    if (hub->index == 0 && live->bus != NULL)
        live__bus_stop(live->bus);
    live__hub_stop(hub);
    pthread_mutex_lock(&live->mutex);
    hub->stopping = true;
    pthread_mutex_unlock(&live->mutex);
}

live__hub *live__hub_at(tims_live *live, int index)
{
    pthread_mutex_lock(&live->mutex);
    live__hub *hub = live->hubs[index];
    pthread_mutex_unlock(&live->mutex);
    return hub;
}

live__hub *live__hub_of(tims_live *live, tims_loop *loop)
{
    live__hub *hub = tims_loop_get_slot(loop, TIMS_LOOP_SLOT_LIVE);
    TIMS_ASSERT(hub == NULL || hub->live == live);
    return hub;
}

tims_str tims_live_epoch(const tims_live *live)
{
    TIMS_CHECK_MAGIC(live, LIVE__MAGIC);
    return (tims_str){ atomic_load(&live->epoch), LIVE__EPOCH_LENGTH };
}
