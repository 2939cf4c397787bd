/* wait.c: fibers that wait until somebody is done, on whatever loop they are.
 *
 * Who waits may be on another loop than who wakes. So what stands in the list is an object of its own: woken,
 * it is posted to the waiter's loop, and only there it is decided whether the fiber still waits or has given
 * up meanwhile. */
#include "cache/cache_internal.h"

static void arrive(void *argument)
{
    cache__waiter *waiter = argument;
    if (waiter->fiber == NULL) {
        free(waiter);
        return;
    }
    waiter->is_done = true;
    tims_fiber_wake(waiter->fiber);
}

static void leave(cache__waiter *waiter)
{
    *waiter->back = waiter->next;
    if (waiter->next != NULL)
        waiter->next->back = waiter->back;
    waiter->back = NULL;
}

void cache__waiter_wake(cache__waiter *waiter)
{
    leave(waiter);
    if (waiter->loop == tims_loop_self())
        arrive(waiter);
    else
        tims_loop_post(waiter->loop, arrive, waiter);
}

cache__waiter *cache__waiter_join(cache__waiter **first)
{
    cache__waiter *waiter = calloc(1, sizeof *waiter);
    TIMS_ASSERT(waiter != NULL);
    waiter->loop = tims_loop_self();
    waiter->fiber = tims_fiber_self();
    TIMS_ASSERT(waiter->fiber != NULL);
    waiter->next = *first;
    waiter->back = first;
    if (waiter->next != NULL)
        waiter->next->back = &waiter->next;
    *first = waiter;
    return waiter;
}

/* Its wait was interrupted: whoever has it last frees it. */
static void give_up(tims_cache *cache, cache__waiter *waiter)
{
    pthread_mutex_lock(&cache->mutex);
    bool is_listed = waiter->back != NULL;
    if (is_listed)
        leave(waiter);
    pthread_mutex_unlock(&cache->mutex);
    if (is_listed || waiter->is_done)
        free(waiter);
    else
        waiter->fiber = NULL;
}

tims_status cache__waiter_wait(tims_cache *cache, cache__waiter *waiter)
{
    tims_status status = TIMS_OK;
    while (!waiter->is_done && status == TIMS_OK)
        status = tims_fiber_suspend();
    if (waiter->is_done)
        free(waiter);
    else
        give_up(cache, waiter);
    return status;
}
