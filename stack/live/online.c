/* online.c: who has a live connection, to this node or another, for computed endpoints.
 *
 * The engine notes who comes and goes here, the bus who does elsewhere, and each user is counted once;
 * requests on any loop read a copy under the mutex. Whoever has read it while being recorded waits at a topic
 * of its own, and is run again when it has changed, at most once a second. */
#include "live/bus_internal.h"

enum { TELL_MS = 1000 };

/* A name for the topic; it has no table. */
static const tims_model online_model = { .name = "online" };

/* Counts are kept as pointers: the map's own null stands for none. */
static void set_online(tims_live *live, tims_id user, bool online)
{
    const tims_str key = { (const char *)user.bytes, sizeof user.bytes };
    uintptr_t before = (uintptr_t)tims_map_get(live->online.counts, key);
    uintptr_t nodes = online ? before + 1 : before - 1;
    TIMS_ASSERT(online || before > 0);
    if (nodes > 0)
        (void)tims_map_set(live->online.counts, key, (void *)nodes); /* NOLINT(performance-no-int-to-ptr) */
    else
        (void)tims_map_remove(live->online.counts, key);
    if (nodes > 0 && before > 0)
        return; /* on another node, too */
    pthread_mutex_lock(&live->mutex);
    if (online)
        (void)live__held_add(&live->online.users, user);
    else
        (void)live__held_remove(&live->online.users, user);
    pthread_mutex_unlock(&live->mutex);
    live->online.changed = true;
}

void live__online_note(tims_live *live, const live__hook *user_hook, tims_id user, bool comes)
{
    size_t sockets = live__topics_crowd(user_hook); /* the one that comes or goes among them */
    if (sockets != 1)
        return;
    if (comes)
        (void)live__held_add(&live->online.own, user);
    else
        (void)live__held_remove(&live->online.own, user);
    set_online(live, user, comes);
    if (live->bus != NULL)
        live__out_online(live->bus, user, comes);
}

void live__online_hear(tims_live *live, tims_id user, bool online)
{
    set_online(live, user, online);
    live__feed_wake(&live->feed);
}

int64_t live__online_due_us(const tims_live *live)
{
    return live->online.changed ? live->online.told_us + TELL_MS * INT64_C(1000) : INT64_MAX;
}

void live__online_visit(live__step *step)
{
    tims_live *live = step->live;
    int64_t now_us = tims_monotonic_us();
    if (!live->online.changed || now_us < live__online_due_us(live))
        return;
    live->online.changed = false;
    live->online.told_us = now_us;
    live__topics_visit_model(step->engine->topics, &online_model, live__engine_visit, step);
}

size_t tims_live_online(tims_request *rq, tims_ids *ret_users)
{
    enum { USERS_MAX = 200 };
    tims_live *live = rq->slots[TIMS_SLOT_LIVE];
    TIMS_CHECK_MAGIC(live, LIVE__MAGIC);
    tims_reads_model(rq, &online_model);
    tims_reads_untold(rq); /* whoever comes is here before it is told */
    tims_id *users = TIMS_NEW_ARRAY(rq->arena, tims_id, USERS_MAX);
    pthread_mutex_lock(&live->mutex);
    size_t count = live->online.users.count;
    size_t some = count < USERS_MAX ? count : USERS_MAX;
    if (some > 0)
        memcpy(users, live->online.users.ids, some * sizeof *users);
    pthread_mutex_unlock(&live->mutex);
    *ret_users = (tims_ids){ users, some };
    return count;
}

bool tims_live_is_online(tims_request *rq, tims_id user)
{
    tims_live *live = rq->slots[TIMS_SLOT_LIVE];
    tims_reads_model(rq, &online_model);
    tims_reads_untold(rq);
    if (live == NULL)
        return false;
    TIMS_CHECK_MAGIC(live, LIVE__MAGIC);
    pthread_mutex_lock(&live->mutex);
    bool online = live__held_has(&live->online.users, user);
    pthread_mutex_unlock(&live->mutex);
    return online;
}
