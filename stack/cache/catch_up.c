/* catch_up.c: who is ahead of the feed waits for it.
 *
 * Between a commit and the feed's step a reader's position is beyond what the feed has reached, so nothing
 * that was read before can be given out, although the commit concerns next to none of it. Under load that was
 * most of the time: a tick of a loop is some dozen requests, and one of them writes (measured: hot lists with
 * 1 % writes found 40 of 100 answers, and cost as much as reading each time). One step of the feed costs as
 * much as reading one list, so all who are ahead ask for it and wait, which is one wait for all of them.
 *
 * A feed that does not come (the database does not answer it, another program holds it up) is waited for
 * once: until it moves again everybody reads for themselves. */
#include "cache/cache_internal.h"

enum { PATIENCE_US = 50 * 1000 };

void cache__wake_ahead(tims_cache *cache, int64_t position)
{
    cache->is_stuck = false;
    for (cache__waiter *waiter = cache->ahead, *next; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (waiter->position <= position)
            cache__waiter_wake(waiter);
    }
}

/* NULL: there is nothing to wait for. */
static cache__waiter *join_ahead(tims_cache *cache, const tims_cache_name *name, int64_t position)
{
    tims_cached *entry;
    cache__waiter *waiter = NULL;
    pthread_mutex_lock(&cache->mutex);
    bool is_ahead = cache->reached >= 0 && position > cache->reached && !cache->is_stuck;
    if (is_ahead)
        (void)cache__resolve(cache, name, &entry);
    if (is_ahead && entry != NULL && entry->position < position) {
        waiter = cache__waiter_join(&cache->ahead);
        waiter->position = position;
    }
    pthread_mutex_unlock(&cache->mutex);
    return waiter;
}

static tims_status wait_patiently(tims_cache *cache, cache__waiter *waiter)
{
    int64_t until_us = tims_monotonic_us() + PATIENCE_US;
    int64_t former_us = tims_fiber_set_deadline(until_us);
    bool is_nearer = former_us != 0 && former_us < until_us;
    if (is_nearer)
        (void)tims_fiber_set_deadline(former_us);
    tims_status status = cache__waiter_wait(cache, waiter);
    (void)tims_fiber_set_deadline(former_us);
    if (status != TIMS_TIMEOUT || is_nearer)
        return status;
    pthread_mutex_lock(&cache->mutex);
    cache->is_stuck = true;
    pthread_mutex_unlock(&cache->mutex);
    return TIMS_OK;
}

const tims_cached *tims_cache_find_now(tims_cache *cache, tims_request *rq, const tims_cache_name *name,
                                       int64_t position)
{
    if (cache__is_off(cache))
        return NULL;
    cache__waiter *waiter = cache->options.catch_up != NULL ? join_ahead(cache, name, position) : NULL;
    if (waiter != NULL) {
        cache->options.catch_up(cache->options.argument);
        tims_check(rq, wait_patiently(cache, waiter), NULL);
    }
    return tims_cache_find(cache, rq, name, position);
}
