/* delivery.c: what a step has for one loop: built by the engine, handed over whole, taken by the hub.
 *
 * A hub on the engine's own loop takes it at once; the others get it as a message. Deliveries keep their
 * order, so what a session is told is in the order of the steps. */
#include "live/live_internal.h"

static void free_item(live__item *item)
{
    live__ops_unref(&item->ops);
    free(item->text);
    free(item);
}

void live__delivery_free(live__delivery **delivery)
{
    live__delivery *old = *delivery;
    *delivery = NULL;
    if (old == NULL)
        return;
    while (old->first != NULL) {
        live__item *item = old->first;
        old->first = item->next;
        free_item(item);
    }
    free(old);
}

static live__delivery *outbox_of(live__engine *engine, live__hub *hub)
{
    live__delivery **outbox = &engine->outboxes[hub->index];
    if (*outbox == NULL) {
        *outbox = calloc(1, sizeof **outbox);
        TIMS_ASSERT(*outbox != NULL);
        (*outbox)->hub = hub;
    }
    return *outbox;
}

live__item *live__deliver(live__engine *engine, live__hub *hub, live__item item)
{
    live__delivery *outbox = outbox_of(engine, hub);
    live__item *added = malloc(sizeof *added);
    TIMS_ASSERT(added != NULL);
    *added = item;
    added->next = NULL;
    if (outbox->last != NULL)
        outbox->last->next = added;
    else
        outbox->first = added;
    outbox->last = added;
    return added;
}

static void receive(void *argument)
{
    live__delivery *delivery = argument;
    live__hub_receive(delivery->hub, delivery);
}

static void hand_over(tims_live *live, live__hub *hub, live__delivery *delivery)
{
    bool is_ours = hub->loop == tims_loop_self();
    pthread_mutex_lock(&live->mutex);
    bool stopping = hub->stopping;
    if (!stopping && !is_ours)
        tims_loop_post(hub->loop, receive, delivery);
    pthread_mutex_unlock(&live->mutex);
    if (stopping)
        live__delivery_free(&delivery);
    else if (is_ours)
        live__hub_receive(hub, delivery);
}

void live__deliver_all(live__engine *engine, int64_t heard_us)
{
    tims_live *live = engine->live;
    for (int i = 0; i < LIVE__LOOPS_MAX; i++) {
        live__hub *hub = live__hub_at(live, i);
        if (hub == NULL || (engine->outboxes[i] == NULL && engine->told[i] == engine->position))
            continue;
        live__delivery *delivery = outbox_of(engine, hub);
        engine->outboxes[i] = NULL;
        engine->told[i] = engine->position;
        delivery->position = engine->position;
        delivery->heard_us = delivery->first != NULL ? heard_us : 0;
        hand_over(live, hub, delivery);
    }
}
