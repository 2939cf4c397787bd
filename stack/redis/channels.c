/* channels.c: what this process listens to: a set of names that outlives connections.
 *
 * Anybody may change the set; the one connection that listens is told on its own loop, and tells the server
 * what the set says then. A new connection subscribes to all of it and sends a ping behind: when that is
 * answered, nothing is missed any more. */
#include "redis/redis_internal.h"

typedef struct change {
    tims_redis *redis;
    size_t length;
    char name[];
} change;

static bool is_wanted(tims_redis *redis, tims_str channel)
{
    pthread_mutex_lock(&redis->mutex);
    bool wanted = tims_map_get(redis->channels, channel) != NULL;
    pthread_mutex_unlock(&redis->mutex);
    return wanted;
}

static void tell_server(void *argument)
{
    change *made = argument;
    redis__link *link = made->redis->listening;
    tims_str channel = { made->name, made->length };
    if (link != NULL && link->is_listening)
        redis__link_send_silently(link, TIMS_REDIS_COMMAND(is_wanted(made->redis, channel)
                                                               ? TIMS_STR("SUBSCRIBE")
                                                               : TIMS_STR("UNSUBSCRIBE"),
                                                           channel));
    free(made);
}

static void set_wanted(tims_redis *redis, tims_str channel, bool wanted)
{
    TIMS_CHECK_MAGIC(redis, REDIS__MAGIC);
    change *made = malloc(sizeof *made + channel.length);
    TIMS_ASSERT(made != NULL && channel.length > 0);
    *made = (change){ .redis = redis, .length = channel.length };
    memcpy(made->name, channel.data, channel.length);
    pthread_mutex_lock(&redis->mutex);
    if (wanted)
        (void)tims_map_set(redis->channels, channel, redis);
    else
        (void)tims_map_remove(redis->channels, channel);
    if (redis->loop != NULL)
        tims_loop_post(redis->loop, tell_server, made);
    else
        free(made);
    pthread_mutex_unlock(&redis->mutex);
}

void tims_redis_subscribe(tims_redis *redis, tims_str channel)
{
    set_wanted(redis, channel, true);
}

void tims_redis_unsubscribe(tims_redis *redis, tims_str channel)
{
    set_wanted(redis, channel, false);
}

void redis__listen_again(redis__link *link)
{
    tims_redis *redis = link->redis;
    tims_str name;
    void *value;
    size_t cursor = 0;
    link->is_listening = true;
    link->pinged_us = tims_monotonic_us();
    pthread_mutex_lock(&redis->mutex);
    while (tims_map_next(redis->channels, &cursor, &name, &value))
        redis__link_send_silently(link, TIMS_REDIS_COMMAND(TIMS_STR("SUBSCRIBE"), name));
    pthread_mutex_unlock(&redis->mutex);
    redis__link_send_silently(link, TIMS_REDIS_COMMAND(TIMS_STR("PING")));
}

static bool is_word(const redisReply *reply, const char *word)
{
    bool has_text = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
    return has_text &&
           tims_str_equal_ignoring_case((tims_str){ reply->str, reply->len }, tims_str_from(word));
}

static void take_pong(redis__link *link)
{
    link->pinged_us = -tims_monotonic_us();
    if (link->is_up)
        return;
    link->is_up = true;
    redis__link_changed(link);
}

static void hear_message(const tims_redis *redis, const redisReply *channel, const redisReply *message)
{
    const tims_redis_listener *listener = &redis->listener;
    if (listener->heard == NULL || channel->type != REDIS_REPLY_STRING)
        return;
    tims_str name = { channel->str, channel->len };
    if (message->type == REDIS_REPLY_STRING)
        listener->heard(listener->data, name, (tims_str){ message->str, message->len });
    else if (tims_str_equal(name, TIMS_STR(TIMS_REDIS_CHANGES))) /* a list of keys, or none: all of them */
        listener->heard(listener->data, name, TIMS_STR("changed"));
}

void redis__hear(redis__link *link, const redisReply *reply)
{
    bool is_list = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0;
    if (is_word(is_list ? reply->element[0] : reply, "pong")) {
        take_pong(link); /* a list while there is a channel, a word while there is none */
    } else if (is_list && reply->elements == 3 && is_word(reply->element[0], "message")) {
        hear_message(link->redis, reply->element[1], reply->element[2]);
    }
}
