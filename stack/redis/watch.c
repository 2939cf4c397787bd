/* watch.c: keys that others change. The server remembers which prefixes loop 0's connection cares for, and
 * tells the one that listens (CLIENT TRACKING with REDIRECT and BCAST), once a turn of its own loop however
 * much has changed. A server or user that does not allow it is no error: nothing is heard then. */
#include "redis/redis_internal.h"

/* The server refuses prefixes of which one begins with another. */
void tims_redis_watch(tims_redis *redis, tims_str prefix)
{
    TIMS_CHECK_MAGIC(redis, REDIS__MAGIC);
    TIMS_ASSERT(redis->listening == NULL);
    if (redis->watched.items == NULL) {
        redis->watched.items = TIMS_NEW_ARRAY(redis->arena, tims_str, REDIS__WATCHED_MAX);
        tims_redis_subscribe(redis, TIMS_STR(TIMS_REDIS_CHANGES));
    }
    size_t kept = 0;
    for (size_t i = 0; i < redis->watched.count; i++) {
        if (tims_str_starts_with(prefix, redis->watched.items[i]))
            return;
        if (!tims_str_starts_with(redis->watched.items[i], prefix))
            redis->watched.items[kept++] = redis->watched.items[i];
    }
    redis->watched.count = kept;
    if (kept < REDIS__WATCHED_MAX)
        redis->watched.items[redis->watched.count++] = tims_copy(redis->arena, prefix);
}

void redis__ask_client_id(redis__link *link)
{
    const tims_redis_reply *reply;
    link->client_id = 0;
    if (link->redis->watched.count == 0)
        return;
    tims_arena *arena = tims_arena_new(64 * 1024, NULL, NULL);
    if (redis__call(link, arena, TIMS_REDIS_COMMAND(TIMS_STR("CLIENT"), TIMS_STR("ID")), &reply, NULL) ==
        TIMS_OK)
        link->client_id = tims_redis_int(reply);
    tims_arena_free(&arena);
}

static void note_answer(void *argument, const tims_redis_reply *reply)
{
    const tims_redis *redis = argument;
    if (reply != NULL && tims_redis_is_error(reply))
        tims_log(TIMS_LOG_INFO, "redis", "event=not_watching server=%S", redis->address.name);
}

void redis__watch_again(tims_redis *redis)
{
    enum { WORDS = 6 };
    char id[24];
    if (redis->watched.count == 0 || redis->listening->client_id == 0)
        return;
    tims_arena *arena = tims_arena_new(64 * 1024, NULL, NULL);
    tims_str *words = TIMS_NEW_ARRAY(arena, tims_str, WORDS + 1 + 2 * redis->watched.count);
    const tims_str first[WORDS] = { TIMS_STR("CLIENT"),
                                    TIMS_STR("TRACKING"),
                                    TIMS_STR("ON"),
                                    TIMS_STR("REDIRECT"),
                                    { id, (size_t)snprintf(id, sizeof id, "%lld",
                                                           (long long)redis->listening->client_id) },
                                    TIMS_STR("BCAST") };
    size_t count = WORDS;
    memcpy(words, first, sizeof first);
    for (size_t i = 0; i < redis->watched.count; i++) {
        words[count++] = TIMS_STR("PREFIX");
        words[count++] = redis->watched.items[i];
    }
    words[count++] = TIMS_STR("NOLOOP");
    /* When only the listener was made again, the server still watches for the former one, and refuses the
     * same prefixes a second time. */
    (void)redis__link_send(redis->links[0],
                           TIMS_REDIS_COMMAND(TIMS_STR("CLIENT"), TIMS_STR("TRACKING"), TIMS_STR("OFF")),
                           NULL, NULL);
    (void)redis__link_send(redis->links[0], (tims_slice_list){ words, count }, note_answer, redis);
    tims_arena_free(&arena);
}
