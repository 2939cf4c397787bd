/* counter: what is counted to be limited: on this node, and with Redis once for all nodes.
 *
 * It is always counted here, too: while Redis is away each node goes on by itself, from what it has counted.
 * When Redis answers, its answer holds. The key there is a signature, so that it names nobody. */
#include "auth/auth_internal.h"

void tims_auth_share_limits(tims_auth *auth, tims_redis *redis, tims_str prefix)
{
    TIMS_CHECK_MAGIC(auth, AUTH__MAGIC);
    auth->redis = redis;
    auth->redis_prefix = prefix;
}

tims_str tims_auth_database_name(const tims_auth *auth, tims_arena *arena)
{
    char name[TIMS_TOKEN_TEXT_LENGTH];
    tims_sign((tims_str){ auth->key, sizeof auth->key }, TIMS_STR("database"), name);
    return tims_copy(arena, (tims_str){ name, 16 });
}

auth__counter auth__counter_of(tims_request *rq, const tims_auth *auth, auth__throttle *throttle, char kind,
                               tims_str name)
{
    auth__counter counter = { .auth = auth, .throttle = throttle };
    counter.local = auth__throttle_key(throttle, kind, name);
    if (auth->redis != NULL) {
        char signature[TIMS_TOKEN_TEXT_LENGTH];
        tims_sign((tims_str){ auth->key, sizeof auth->key }, tims_print(rq->arena, "limit %c %S", kind, name),
                  signature);
        counter.shared = tims_print(rq->arena, "%S:limit:%S", auth->redis_prefix,
                                    (tims_str){ signature, sizeof signature });
    }
    return counter;
}

/* False: only this node can say. */
static bool ask_all(tims_request *rq, const auth__counter *counter, auth__limit limit, bool counts,
                    int64_t *ret_wait_us)
{
    const tims_redis_limit shared = { limit.max, limit.window_us };
    return counter->auth->redis != NULL &&
           tims_redis_limit_window(counter->auth->redis, rq->arena, counter->shared, shared, counts,
                                   ret_wait_us, NULL) == TIMS_OK;
}

bool auth__counter_look(tims_request *rq, const auth__counter *counter, auth__limit limit, int *ret_retry_s)
{
    int64_t wait_us = 0;
    if (!ask_all(rq, counter, limit, false, &wait_us))
        return auth__throttle_look(counter->throttle, counter->local, limit, tims_monotonic_us(),
                                   ret_retry_s);
    *ret_retry_s = (int)(wait_us / 1000000) + 1;
    return wait_us == 0;
}

bool auth__counter_try(tims_request *rq, const auth__counter *counter, auth__limit limit, int *ret_retry_s)
{
    int64_t wait_us = 0;
    bool is_open =
        auth__throttle_try(counter->throttle, counter->local, limit, tims_monotonic_us(), ret_retry_s);
    if (!ask_all(rq, counter, limit, true, &wait_us))
        return is_open;
    if (is_open && wait_us > 0)
        auth__throttle_take_back(counter->throttle, counter->local);
    *ret_retry_s = (int)(wait_us / 1000000) + 1;
    return wait_us == 0;
}

void auth__counter_count(const auth__counter *counter, auth__limit limit)
{
    auth__throttle_count(counter->throttle, counter->local, tims_monotonic_us());
    if (counter->auth->redis != NULL)
        tims_redis_limit_count(counter->auth->redis, counter->shared, limit.window_us);
}

void auth__counter_take_back(const auth__counter *counter)
{
    auth__throttle_take_back(counter->throttle, counter->local);
    if (counter->auth->redis != NULL)
        tims_redis_limit_take_back(counter->auth->redis, counter->shared);
}

void auth__counter_clear(const auth__counter *counter)
{
    auth__throttle_clear(counter->throttle, counter->local);
    if (counter->auth->redis != NULL)
        tims_redis_limit_clear(counter->auth->redis, counter->shared);
}
