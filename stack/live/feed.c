/* feed.c: the fiber on loop 0 that makes the engine step.
 *
 * It is woken by commits of this process and by clients that want something, and looks every few milliseconds
 * whether another process has committed. A wake is a hint; the log is the truth. */
#include "live/live_internal.h"

void live__feed_wake(live__feed *feed)
{
    feed->poked = true;
    if (feed->fiber != NULL)
        tims_fiber_wake(feed->fiber);
}

/* --- what wakes it ---------------------------------------------------------------------------- */

static void receive_poke(void *argument)
{
    live__feed *feed = argument;
    atomic_store(&feed->poke_posted, false);
    live__bus_poke(feed->live->bus);
    live__feed_wake(feed);
}

/* On the writer's thread. */
static void hear_commit(void *argument)
{
    tims_live *live = argument;
    int64_t unheard = 0;
    (void)atomic_compare_exchange_strong(&live->feed.heard_us, &unheard, tims_monotonic_us());
    if (atomic_exchange(&live->feed.poke_posted, true))
        return;
    pthread_mutex_lock(&live->mutex);
    if (live->feed.loop != NULL)
        tims_loop_post(live->feed.loop, receive_poke, &live->feed);
    pthread_mutex_unlock(&live->mutex);
}

static void receive_request(void *argument)
{
    live__feed *feed = argument;
    atomic_store(&feed->request_posted, false);
    live__feed_wake(feed);
}

void tims_live_catch_up(tims_live *live)
{
    live__feed *feed = &live->feed;
    pthread_mutex_lock(&live->mutex);
    if (feed->loop != NULL && feed->loop == tims_loop_self())
        live__feed_wake(feed);
    else if (feed->loop != NULL && !atomic_exchange(&feed->request_posted, true))
        tims_loop_post(feed->loop, receive_request, feed);
    pthread_mutex_unlock(&live->mutex);
}

static void poll(void *argument)
{
    live__feed *feed = argument;
    if (feed->stopping)
        return;
    live__feed_wake(feed);
    tims_timer_set(feed->loop, &feed->timer, feed->live->options.poll_ms, poll, feed);
}

/* --- the fiber -------------------------------------------------------------------------------- */

/* What is remembered of sessions is as good as what is heard of changes: while nothing is, not for longer
 * than a second. */
static void doubt(live__feed *feed)
{
    enum { DOUBT_US = 1000 * 1000 };
    int64_t now_us = tims_monotonic_us();
    if (feed->live->auth == NULL || now_us - feed->doubted_us < DOUBT_US)
        return;
    feed->doubted_us = now_us;
    tims_auth_forget_all(feed->live->auth);
}

static void say_failure(bool failed, bool *failing, tims_status status, const tims_error *err)
{
    if (failed && !*failing)
        tims_log(TIMS_LOG_ERROR, "live", "event=feed_failed status=%s message=%s detail=%s",
                 tims_status_name(status), err->message, err->detail);
    *failing = failed;
}

static void keep_retention(live__feed *feed, bool *failing)
{
    tims_error err = { 0 };
    if (feed->stopping || !live__retention_is_due(feed))
        return;
    tims_status status =
        tims_request_run(tims_loop_self(), feed->live, live__retention_keep, feed, NULL, &err);
    say_failure(status != TIMS_OK, failing, status, &err);
}

static void wake_when_due(void *argument)
{
    live__feed_wake(argument);
}

/* Rooms have something to tell now, or later: then the timer says so. */
static bool is_due_now(live__feed *feed)
{
    int64_t due_us = live__engine_due_us(&feed->live->engine), now_us = tims_monotonic_us();
    if (due_us <= now_us)
        return true;
    if (due_us != INT64_MAX)
        tims_timer_set(feed->loop, &feed->due_timer, (due_us - now_us) / 1000 + 1, wake_when_due, feed);
    return false;
}

static void run_feed(void *argument)
{
    live__feed *feed = argument;
    live__engine *engine = &feed->live->engine;
    bool failing = false, retention_failing = false;
    while (!feed->stopping) {
        tims_error err = { 0 };
        feed->poked = false;
        tims_status status = live__engine_step(engine, tims_loop_self(), &err);
        say_failure(status != TIMS_OK, &failing, status, &err);
        if (status == TIMS_OK)
            keep_retention(feed, &retention_failing);
        else
            doubt(feed);
        /* A failed step is tried again at the next look. */
        bool goes_on =
            !feed->stopping && !failing && (feed->poked || live__engine_has_work(engine) || is_due_now(feed));
        if (feed->stopping || (!goes_on && tims_fiber_suspend() == TIMS_CANCELLED))
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
    feed->pruned_us = tims_monotonic_us();
    feed->noted_log_id = -1;
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
    tims_timer_clear(&feed->due_timer);
    live__feed_wake(feed);
    pthread_mutex_lock(&feed->live->mutex);
    feed->loop = NULL;
    pthread_mutex_unlock(&feed->live->mutex);
}

void live__feed_free(live__feed *feed)
{
    TIMS_ASSERT(feed->fiber == NULL);
}
