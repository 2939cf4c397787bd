/* feed.c: the log's one reader: a fiber on loop 0.
 *
 * It is woken by commits of this process and looks every few milliseconds whether another process has
 * committed. A wake is a hint; the log is the truth. Each step reads what came since the last one in one
 * snapshot, tells on_change, and hands the batch to the hubs of all loops. */
#include "live/live_internal.h"

static void wake(live__feed *feed)
{
    if (feed->fiber != NULL)
        tims_fiber_wake(feed->fiber);
}

/* --- what wakes it ---------------------------------------------------------------------------- */

static void receive_poke(void *argument)
{
    live__feed *feed = argument;
    atomic_store(&feed->poke_posted, false);
    feed->poked = true;
    wake(feed);
}

/* On the writer's thread. */
static void hear_commit(void *argument)
{
    tims_live *live = argument;
    if (atomic_exchange(&live->feed.poke_posted, true))
        return;
    pthread_mutex_lock(&live->mutex);
    if (live->feed.loop != NULL)
        tims_loop_post(live->feed.loop, receive_poke, &live->feed);
    pthread_mutex_unlock(&live->mutex);
}

static void poll(void *argument)
{
    live__feed *feed = argument;
    if (feed->stopping)
        return;
    wake(feed);
    tims_timer_set(feed->loop, &feed->timer, feed->live->options.poll_ms, poll, feed);
}

/* --- a step ----------------------------------------------------------------------------------- */

static void hand_out(tims_live *live, live__batch *batch)
{
    pthread_mutex_lock(&live->mutex);
    live->position = batch->position;
    for (live__hub *hub = live->hubs; hub != NULL; hub = hub->next)
        if (!hub->stopping)
            live__hub_post_batch(hub, batch);
    pthread_mutex_unlock(&live->mutex);
}

static bool is_due(tims_request *rq, live__feed *feed, tims_db_session *db)
{
    int64_t version;
    tims_error err = { 0 };
    tims_check(rq, tims_db_foreign_version(db, &version, &err), &err);
    bool due = feed->poked || version != feed->foreign_version;
    feed->poked = false;
    feed->foreign_version = version;
    return due;
}

static void step(tims_request *rq, void *argument)
{
    live__feed *feed = argument;
    tims_live *live = feed->live;
    tims_error err = { 0 };
    tims_request_set_db(rq, live->db);
    tims_db_session *db = tims_session_db(rq);
    if (!is_due(rq, feed, db))
        return;
    feed->poked = true; /* until it is done: a failed step is tried again */
    live__batch_options options = { .models = live->models,
                                    .from = feed->position,
                                    .changes_max = LIVE__STEP_CHANGES_MAX,
                                    .on_change = live->options.on_change,
                                    .on_change_argument = live->options.on_change_argument };
    live__batch *batch = NULL;
    tims_check(rq, tims_db_begin_snapshot(db, &err), &err);
    tims_check(rq, live__batch_read(db, &options, &batch, &err), &err);
    tims_db_end_snapshot(db);
    feed->poked = false;
    if (batch == NULL)
        return;
    feed->position = batch->position;
    hand_out(live, batch);
    live__batch_unref(&batch);
}

static void prune(tims_request *rq, void *argument)
{
    live__feed *feed = argument;
    tims_error err = { 0 };
    tims_request_set_db(rq, feed->live->db);
    tims_check(rq, live__prune(feed, tims_session_db(rq), &err), &err);
}

static void run_scope(live__feed *feed, tims_scope_fn function, bool *failing)
{
    tims_error err = { 0 };
    tims_status status = tims_request_run(feed->loop, feed->live, function, feed, NULL, &err);
    if (status != TIMS_OK && !*failing)
        tims_log(TIMS_LOG_ERROR, "live", "event=feed_failed status=%s message=%s detail=%s",
                 tims_status_name(status), err.message, err.detail);
    *failing = status != TIMS_OK;
}

static void run_feed(void *argument)
{
    live__feed *feed = argument;
    bool failing = false, prune_failing = false;
    while (!feed->stopping) {
        run_scope(feed, step, &failing);
        int64_t now_us = tims_monotonic_us();
        if (now_us - feed->pruned_us >= LIVE__PRUNE_MS * INT64_C(1000)) {
            feed->pruned_us = now_us;
            run_scope(feed, prune, &prune_failing);
        }
        if (!feed->stopping && (failing || !feed->poked) && tims_fiber_suspend() == TIMS_CANCELLED)
            break;
    }
}

static void note_end(void *argument)
{
    live__feed *feed = argument;
    feed->fiber = NULL;
}

/* --- life ------------------------------------------------------------------------------------- */

tims_status live__feed_start(live__feed *feed, tims_loop *loop, tims_error *err)
{
    feed->stopping = false;
    feed->poked = true;
    feed->foreign_version = -1;
    feed->pruned_us = tims_monotonic_us();
    pthread_mutex_lock(&feed->live->mutex);
    feed->loop = loop;
    pthread_mutex_unlock(&feed->live->mutex);
    tims_db_watch_commits(feed->live->db, hear_commit, feed->live);
    tims_fiber *fiber = tims_fiber_start(loop, run_feed, feed);
    if (fiber == NULL)
        return tims_fail(err, TIMS_UNAVAILABLE, "no_fiber", "No fiber can be started for the change feed.");
    feed->fiber = fiber;
    tims_fiber_on_end(fiber, note_end, feed);
    tims_timer_set(loop, &feed->timer, feed->live->options.poll_ms, poll, feed);
    return TIMS_OK;
}

void live__feed_stop(live__feed *feed)
{
    feed->stopping = true;
    tims_timer_clear(&feed->timer);
    wake(feed);
    pthread_mutex_lock(&feed->live->mutex);
    feed->loop = NULL;
    pthread_mutex_unlock(&feed->live->mutex);
}

void live__feed_free(live__feed *feed)
{
    TIMS_ASSERT(feed->fiber == NULL);
    free(feed->samples);
    feed->samples = NULL;
}
