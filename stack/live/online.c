/* online.c: who has a live connection to this process, for computed endpoints.
 *
 * The engine notes who comes and goes; requests on any loop read a copy under the mutex. Whoever has read it
 * while being recorded waits at a topic of its own, and is run again when it has changed, at most once a
 * second. */
#include "live/live_internal.h"

enum { TELL_MS = 1000 };

/* A name for the topic; it has no table. */
static const tims_model online_model = { .name = "online" };

static void set_online(tims_live *live, tims_id user, bool online)
{
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
    if (sockets == 1)
        set_online(live, user, comes);
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
