/* redis.c: the server as the process sees it: its links, and whether it is there. */
#include "redis/redis_internal.h"

enum { OWN_BYTES_MAX = 64 * 1024 };

tims_status tims_redis_new(const tims_redis_options *options, tims_redis **ret_redis, tims_error *err)
{
    tims_redis *redis = calloc(1, sizeof *redis);
    TIMS_ASSERT(redis != NULL);
    *redis = (tims_redis){ .magic = REDIS__MAGIC, .options = *options };
    redis->arena = tims_arena_new(OWN_BYTES_MAX, NULL, NULL);
    redis->channels = tims_map_new();
    pthread_mutex_init(&redis->mutex, NULL);
    tims_status status = redis__address_parse(redis->arena, options->url, &redis->address, err);
    if (status != TIMS_OK)
        tims_redis_free(&redis);
    else
        *ret_redis = redis;
    return status;
}

void tims_redis_free(tims_redis **redis)
{
    tims_redis *old = *redis;
    *redis = NULL;
    if (old == NULL)
        return;
    TIMS_CHECK_MAGIC(old, REDIS__MAGIC);
    for (int i = 0; i < REDIS__LOOPS_MAX; i++)
        redis__link_free(&old->links[i]);
    redis__link_free(&old->listening);
    tims_map_free(&old->channels);
    pthread_mutex_destroy(&old->mutex);
    tims_arena_free(&old->arena);
    old->magic = 0;
    free(old);
}

tims_str tims_redis_name(const tims_redis *redis)
{
    return redis->address.name;
}

void tims_redis_listen(tims_redis *redis, const tims_redis_listener *listener)
{
    TIMS_CHECK_MAGIC(redis, REDIS__MAGIC);
    TIMS_ASSERT(redis->listening == NULL && redis->listener.heard == NULL);
    redis->listener = *listener;
}

/* --- is it there? -------------------------------------------------------------------------------------------- */

static void say_state(tims_redis *redis, const redis__link *link, bool is_up)
{
    if (is_up)
        tims_log(TIMS_LOG_INFO, "redis", "event=up server=%S", redis->address.name);
    else
        tims_log(TIMS_LOG_WARN, "redis", "event=away message=%s detail=%s", link->why.message,
                 link->why.detail);
}

/* One that is away is said once, and again when there is another reason. */
void redis__link_changed(redis__link *link)
{
    tims_redis *redis = link->redis;
    if (tims_loop_index(link->loop) != 0 || link->stopping)
        return;
    bool is_up = redis__link_takes(redis->links[0]) && redis__link_takes(redis->listening);
    bool is_news = is_up != redis->told_up;
    bool is_reason = !is_up && link->why.status != TIMS_OK && link->why.status != redis->said;
    if (is_news || is_reason)
        say_state(redis, link, is_up);
    redis->said = is_up ? TIMS_OK : link->why.status;
    redis->told_up = is_up;
    if (is_news && is_up)
        redis__watch_again(redis);
    if (is_news && redis->listener.changed != NULL)
        redis->listener.changed(redis->listener.data, is_up);
}

/* --- loops --------------------------------------------------------------------------------------------------- */

static tims_status start_listener(tims_redis *redis, tims_loop *loop, tims_error *err)
{
    redis->listening = redis__link_new(redis, loop, true);
    pthread_mutex_lock(&redis->mutex);
    redis->loop = loop;
    pthread_mutex_unlock(&redis->mutex);
    return redis__link_start(redis->listening, err);
}

tims_status tims_redis_loop_start(tims_redis *redis, tims_loop *loop, tims_error *err)
{
    TIMS_CHECK_MAGIC(redis, REDIS__MAGIC);
    int index = tims_loop_index(loop);
    TIMS_ASSERT(index < REDIS__LOOPS_MAX && redis->links[index] == NULL);
    redis->links[index] = redis__link_new(redis, loop, false);
    tims_status status = redis__link_start(redis->links[index], err);
    return status == TIMS_OK && index == 0 ? start_listener(redis, loop, err) : status;
}

void tims_redis_loop_stop(tims_redis *redis, tims_loop *loop)
{
    TIMS_CHECK_MAGIC(redis, REDIS__MAGIC);
    int index = tims_loop_index(loop);
    if (redis->links[index] == NULL)
        return;
    redis__link_stop(redis->links[index]);
    if (index != 0)
        return;
    pthread_mutex_lock(&redis->mutex);
    redis->loop = NULL;
    pthread_mutex_unlock(&redis->mutex);
    if (redis->listening != NULL)
        redis__link_stop(redis->listening);
}

tims_status tims_redis_probe(tims_redis *redis, tims_loop *loop, tims_error *err)
{
    TIMS_CHECK_MAGIC(redis, REDIS__MAGIC);
    redis__link *link = redis__link_new(redis, loop, false);
    link->fiber = tims_fiber_self();
    tims_status status = redis__link_open(link, err);
    link->fiber = NULL;
    redis__link_close(link);
    redis__link_free(&link);
    return status;
}

/* --- commands ------------------------------------------------------------------------------------------------ */

/* The calling loop's; NULL: it is away, or this is none of the server's loops. */
static redis__link *own_link(const tims_redis *redis)
{
    TIMS_CHECK_MAGIC(redis, REDIS__MAGIC);
    const tims_loop *loop = tims_loop_self();
    TIMS_ASSERT(loop != NULL);
    redis__link *link = redis->links[tims_loop_index(loop)];
    return redis__link_takes(link) && link->loop == loop ? link : NULL;
}

bool tims_redis_send(tims_redis *redis, tims_slice_list command, tims_redis_done_fn done, void *argument)
{
    redis__link *link = own_link(redis);
    return link != NULL && redis__link_send(link, command, done, argument) != NULL;
}

tims_status tims_redis_call(tims_redis *redis, tims_arena *arena, tims_slice_list command,
                            const tims_redis_reply **ret_reply, tims_error *err)
{
    redis__link *link = own_link(redis);
    if (link == NULL)
        return tims_fail(err, TIMS_UNAVAILABLE, "redis_away", "Redis at %.*s is away.",
                         TIMS_PRINT(redis->address.name));
    return redis__call(link, arena, command, ret_reply, err);
}
