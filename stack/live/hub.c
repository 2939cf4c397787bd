/* hub.c: one loop's sessions, and what the engine delivers for them.
 *
 * The hub knows which of its subscriptions is on which view. Operations of a view are handed to each of them
 * as a counted reference; when all of a delivery's operations have been given out, each session that got some
 * sends one tx: the ready shared frame when they are all of one view, else one made of the parts. */
#include "live/live_internal.h"

/* --- who is here ------------------------------------------------------------------------------ */

typedef struct local_key {
    char bytes[12];
} local_key;

static tims_str key_of(local_key *key, uint64_t session, uint32_t sub)
{
    memcpy(key->bytes, &session, sizeof session);
    memcpy(key->bytes + sizeof session, &sub, sizeof sub);
    return (tims_str){ key->bytes, sizeof key->bytes };
}

static tims_str key_of_number(const uint64_t *number)
{
    return (tims_str){ (const char *)number, sizeof *number };
}

live__local *live__hub_find(live__hub *hub, const live__session *session, uint32_t sub)
{
    local_key key;
    return tims_map_get(hub->by_sub, key_of(&key, session->serial, sub));
}

live__local *live__hub_add(live__hub *hub, live__session *session, uint32_t sub)
{
    local_key key;
    live__local *local = calloc(1, sizeof *local);
    TIMS_ASSERT(local != NULL);
    local->session = session;
    local->sub = sub;
    local->next = session->locals;
    if (session->locals != NULL)
        session->locals->previous = local;
    session->locals = local;
    session->local_count++;
    (void)tims_map_set(hub->by_sub, key_of(&key, session->serial, sub), local);
    return local;
}

static void leave_view(live__hub *hub, live__local *local)
{
    if (local->view == 0)
        return;
    if (local->next_of_view != NULL)
        local->next_of_view->previous_of_view = local->previous_of_view;
    if (local->previous_of_view != NULL)
        local->previous_of_view->next_of_view = local->next_of_view;
    else if (local->next_of_view != NULL)
        (void)tims_map_set(hub->by_view, key_of_number(&local->view), local->next_of_view);
    else
        (void)tims_map_remove(hub->by_view, key_of_number(&local->view));
    local->next_of_view = local->previous_of_view = NULL;
    local->view = 0;
}

static void enter_view(live__hub *hub, live__local *local, uint64_t view)
{
    if (local->view == view)
        return;
    leave_view(hub, local);
    if (view == 0)
        return;
    local->view = view;
    local->next_of_view = tims_map_set(hub->by_view, key_of_number(&local->view), local);
    if (local->next_of_view != NULL)
        local->next_of_view->previous_of_view = local;
}

void live__hub_remove(live__hub *hub, live__local *local)
{
    local_key key;
    live__session *session = local->session;
    leave_view(hub, local);
    if (local->next != NULL)
        local->next->previous = local->previous;
    if (local->previous != NULL)
        local->previous->next = local->next;
    else
        session->locals = local->next;
    session->local_count--;
    (void)tims_map_remove(hub->by_sub, key_of(&key, session->serial, local->sub));
    free(local);
}

/* --- operations ------------------------------------------------------------------------------- */

static void give_ops(live__hub *hub, live__session *session, live__ops *ops)
{
    if (session->state != LIVE__WELCOMED || session->is_behind)
        return;
    if (session->ops_count > 0 && session->ops[session->ops_count - 1] == ops)
        return; /* several of its subscriptions are on the view, which is named once */
    if (session->ops_count == session->ops_capacity) {
        uint32_t capacity = session->ops_capacity * 4;
        TIMS_ASSERT(capacity > session->ops_count);
        live__ops **items = malloc(capacity * sizeof *items);
        TIMS_ASSERT(items != NULL);
        memcpy(items, session->ops, session->ops_count * sizeof *items);
        if (session->ops != session->ops_inline)
            free(session->ops);
        session->ops = items;
        session->ops_capacity = capacity;
    }
    session->ops[session->ops_count++] = live__ops_ref(ops);
    if (session->is_dirty)
        return;
    session->is_dirty = true;
    session->next_dirty = hub->dirty;
    hub->dirty = session;
}

static void give_view_ops(live__hub *hub, const live__item *item)
{
    for (live__local *local = tims_map_get(hub->by_view, key_of_number(&item->view)); local != NULL;
         local = local->next_of_view)
        if (!local->closing)
            give_ops(hub, local->session, item->ops);
}

static void flush(live__hub *hub, int64_t position)
{
    while (hub->dirty != NULL) {
        live__session *session = hub->dirty;
        hub->dirty = session->next_dirty;
        session->is_dirty = false;
        live__session_flush(session, position);
    }
}

/* --- items ------------------------------------------------------------------------------------ */

static void take_sub_ops(live__hub *hub, live__session *session, const live__item *item)
{
    live__local *local = live__hub_find(hub, session, item->sub);
    if (local == NULL || local->closing)
        return;
    enter_view(hub, local, item->view);
    give_ops(hub, session, item->ops);
}

/* Who is behind has not all up to the window's position. The rows come as it catches up. */
static bool has_to_wait(const live__session *session, const live__item *item)
{
    return session->is_behind && tims_str_equal(tims_str_from(item->event), TIMS_STR("window"));
}

static void take_frame(live__hub *hub, live__session *session, const live__item *item)
{
    bool is_of_one = item->attach || item->detach; /* subscription; streams have number 0 */
    live__local *local = is_of_one || item->sub != 0 ? live__hub_find(hub, session, item->sub) : NULL;
    if (is_of_one && (local == NULL || local->closing))
        return; /* a closing one stays until the engine has let go of it */
    if (item->attach)
        enter_view(hub, local, item->view);
    if (local != NULL && has_to_wait(session, item)) {
        local->owes_window = true;
        return;
    }
    if (local != NULL)
        local->growing = false;
    if (item->detach)
        live__hub_remove(hub, local);
    live__session_send(session, item->event, item->position, (tims_str){ item->text, item->text_length },
                       NULL);
}

static void close_all(live__hub *hub, int code, const char *reason)
{
    live__session *next;
    for (live__session *session = hub->sessions; session != NULL; session = next) {
        next = session->next;
        live__session_close(session, code, reason);
    }
}

static void take_item(live__hub *hub, const live__item *item)
{
    if (item->kind == LIVE__ITEM_VIEW_OPS) {
        give_view_ops(hub, item);
        return;
    }
    if (item->kind == LIVE__ITEM_CLOSE_ALL) {
        close_all(hub, item->code, item->reason);
        return;
    }
    live__session *session = tims_map_get(hub->by_serial, key_of_number(&item->session));
    if (session == NULL || session->state == LIVE__CLOSED)
        return;
    if (item->answers)
        session->job_count--;
    if (item->kind == LIVE__ITEM_SUB_OPS)
        take_sub_ops(hub, session, item);
    else if (item->kind == LIVE__ITEM_FRAME)
        take_frame(hub, session, item);
    else if (item->kind == LIVE__ITEM_WELCOME)
        live__session_welcome(session, item->caller);
    else if (item->kind == LIVE__ITEM_SHARED && !session->is_behind)
        live__session_send(session, "room", hub->position, item->ops->text, item->ops->frame);
    else if (item->kind == LIVE__ITEM_DONE)
        ;
    else if (item->kind == LIVE__ITEM_SHARED)
        ; /* said in passing: who is behind misses it */
    else if (item->kind == LIVE__ITEM_FREED)
        live__hub_remove(hub, live__hub_find(hub, session, item->sub));
    else if (item->kind == LIVE__ITEM_CAUGHT_UP)
        live__session_caught_up(session);
    else
        live__session_end(session, item->code, item->reason);
}

void live__hub_receive(live__hub *hub, live__delivery *delivery)
{
    TIMS_CHECK_MAGIC(hub, LIVE__HUB_MAGIC);
    bool flushed = false;
    hub->previous_position = hub->position;
    hub->position = delivery->position;
    for (const live__item *item = delivery->first; item != NULL && !hub->stopping; item = item->next) {
        bool is_ops = item->kind == LIVE__ITEM_VIEW_OPS || item->kind == LIVE__ITEM_SUB_OPS;
        bool is_close = item->kind == LIVE__ITEM_CLOSE; /* whose login has ended gets nothing of the step */
        if (!is_ops && !is_close && !flushed) {
            flush(hub, delivery->position); /* the step itself, before answers that build on it */
            flushed = true;
        }
        TIMS_ASSERT(!is_ops || !flushed);
        take_item(hub, item);
    }
    flush(hub, delivery->position);
    if (delivery->heard_us != 0)
        live__metrics_lag(&hub->live->metrics, tims_monotonic_us() - delivery->heard_us);
    live__delivery_free(&delivery);
}

/* --- life ------------------------------------------------------------------------------------- */

static void watch(void *argument)
{
    live__hub *hub = argument;
    TIMS_CHECK_MAGIC(hub, LIVE__HUB_MAGIC);
    int64_t now_us = tims_monotonic_us();
    live__session *next;
    for (live__session *session = hub->sessions; session != NULL; session = next) {
        next = session->next;
        live__session_watch(session, now_us);
    }
    if (!hub->stopping)
        tims_timer_set(hub->loop, &hub->timer, hub->live->limits.watch_ms, watch, hub);
}

live__hub *live__hub_new(tims_live *live, tims_loop *loop)
{
    live__hub *hub = calloc(1, sizeof *hub);
    TIMS_ASSERT(hub != NULL);
    hub->magic = LIVE__HUB_MAGIC;
    hub->index = tims_loop_index(loop);
    hub->live = live;
    hub->loop = loop;
    hub->by_serial = tims_map_new();
    hub->by_sub = tims_map_new();
    hub->by_view = tims_map_new();
    tims_timer_set(loop, &hub->timer, live->limits.watch_ms, watch, hub);
    return hub;
}

void live__hub_stop(live__hub *hub)
{
    TIMS_CHECK_MAGIC(hub, LIVE__HUB_MAGIC);
    close_all(hub, LIVE__CLOSE_DRAINING, "draining");
    tims_timer_clear(&hub->timer);
}

void live__hub_free(live__hub **hub)
{
    live__hub *old = *hub;
    *hub = NULL;
    TIMS_CHECK_MAGIC(old, LIVE__HUB_MAGIC);
    while (old->sessions != NULL) {
        live__session *session = old->sessions;
        live__session_free(&session);
    }
    tims_map_free(&old->by_serial);
    tims_map_free(&old->by_sub);
    tims_map_free(&old->by_view);
    old->magic = 0;
    free(old);
}
