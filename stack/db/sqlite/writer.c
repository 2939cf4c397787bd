/* writer.c: who may write, and when it is durable.
 *
 *       acquire        (statements, on the owner's thread)       commit
 *   NONE ──▶ QUEUED ──▶ HOLDS ──────────────────────────────▶ GROUPED ──▶ NONE
 *                       │  ▲                                     │
 *      the next in the  └──┘                the writer thread:   │
 *      queue, same outer BEGIN              COMMIT, one fsync, wakes all of them
 *
 * There is one write connection and one open outer transaction at most. Turns follow each other inside it,
 * each within a savepoint of its own, so that undoing one leaves the others. The outer transaction is
 * committed by the writer thread as soon as nobody waits and the loop's tick ends, or the group is full;
 * whoever comes meanwhile queues, and is the next group. So under load a commit's fsync is shared by all that
 * arrived during the one before, and without load a transaction waits for nobody. The price: a group is as
 * slow as its slowest turn, so what takes long (another server's answer, a password's hash) belongs before
 * the transaction.
 *
 * A loop's thread never sleeps here: BEGIN IMMEDIATE is tried at once, without a busy handler, when the
 * connection is free; if another program is writing, the writer thread begins instead and may wait. */
#include "sqlite_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* --- waking ------------------------------------------------------------------------------------------ */

/* On the pool's loop: everybody whose state has changed, in one post however many they are. */
static void deliver(void *argument)
{
    sqlite__pool *pool = argument;
    sqlite__writer *writer = &pool->store->writer;
    pthread_mutex_lock(&writer->mutex);
    pool->posted = false;
    while (pool->wake_first != NULL) {
        sqlite__turn *turn = pool->wake_first;
        pool->wake_first = turn->wake_next;
        turn->waking = false;
        tims_fiber_wake(turn->fiber);
    }
    pool->wake_last = NULL;
    pthread_mutex_unlock(&writer->mutex);
}

void sqlite__writer_wake(sqlite__writer *writer, sqlite__turn *turn, sqlite__pool **posts)
{
    sqlite__pool *pool = turn->pool;
    if (turn->fiber == NULL) {
        pthread_cond_broadcast(&writer->blocking_wake);
        return;
    }
    if (turn->waking)
        return;
    if (tims_loop_self() == pool->loop) {
        tims_fiber_wake(turn->fiber);
        return;
    }
    turn->waking = true;
    turn->wake_next = NULL;
    *(pool->wake_last != NULL ? &pool->wake_last->wake_next : &pool->wake_first) = turn;
    pool->wake_last = turn;
    if (!pool->posted) {
        pool->posted = true;
        pool->post_next = *posts;
        *posts = pool;
    }
}

void sqlite__writer_post(sqlite__pool *posts)
{
    while (posts != NULL) {
        sqlite__pool *pool = posts;
        posts = pool->post_next; /* read first: after the post the pool may be gathered again */
        tims_loop_post(pool->loop, deliver, pool);
    }
}

/* A turn that goes on by itself must not be woken later: the wake would meet some other wait of its fiber. */
static void forget_wake(sqlite__turn *turn)
{
    if (!turn->waking)
        return;
    sqlite__pool *pool = turn->pool;
    sqlite__turn *previous = NULL, *at = pool->wake_first;
    while (at != turn) {
        previous = at;
        at = at->wake_next;
    }
    *(previous != NULL ? &previous->wake_next : &pool->wake_first) = turn->wake_next;
    if (pool->wake_last == turn)
        pool->wake_last = previous;
    turn->waking = false;
}

/* --- the queue --------------------------------------------------------------------------------------- */

static void append_to_queue(sqlite__writer *writer, sqlite__turn *turn)
{
    turn->next = NULL;
    *(writer->queue_last != NULL ? &writer->queue_last->next : &writer->queue_first) = turn;
    writer->queue_last = turn;
    turn->state = SQLITE_TURN_QUEUED;
}

static void put_first(sqlite__writer *writer, sqlite__turn *turn)
{
    turn->next = writer->queue_first;
    writer->queue_first = turn;
    if (writer->queue_last == NULL)
        writer->queue_last = turn;
    turn->state = SQLITE_TURN_QUEUED;
}

static void leave_queue(sqlite__writer *writer, sqlite__turn *turn)
{
    sqlite__turn *previous = NULL, *at = writer->queue_first;
    while (at != NULL && at != turn) {
        previous = at;
        at = at->next;
    }
    TIMS_ASSERT(at == turn);
    *(previous != NULL ? &previous->next : &writer->queue_first) = turn->next;
    if (writer->queue_last == turn)
        writer->queue_last = previous;
    turn->state = SQLITE_TURN_NONE;
}

/* Makes the turn the owner; it is not in the queue any more. */
void sqlite__writer_grant(sqlite__writer *writer, sqlite__turn *turn, sqlite__pool **posts)
{
    TIMS_ASSERT(writer->owner == NULL && writer->open);
    leave_queue(writer, turn);
    turn->state = SQLITE_TURN_HOLDS;
    writer->owner = turn;
    writer->phase = SQLITE_WRITER_OWNED;
    sqlite__writer_wake(writer, turn, posts);
}

static void hand_to_thread(sqlite__writer *writer)
{
    writer->phase = SQLITE_WRITER_THREAD;
    pthread_cond_signal(&writer->thread_wake);
}

/* The tick in which the last turn ended is over: all that became ready in it has joined. */
static void end_lingering(void *argument)
{
    sqlite__writer *writer = &((sqlite__pool *)argument)->store->writer;
    pthread_mutex_lock(&writer->mutex);
    if (writer->phase == SQLITE_WRITER_LINGERS)
        hand_to_thread(writer);
    pthread_mutex_unlock(&writer->mutex);
}

/* On its loop a turn's end is not yet the group's: the fibers that are ready in this tick may want to write
 * too. Measured with 64 of them in a circle: without this every other group is the first of them alone. */
static void linger(sqlite__writer *writer, sqlite__pool *pool)
{
    if (pool->loop == NULL || tims_loop_self() != pool->loop) {
        hand_to_thread(writer);
        return;
    }
    writer->phase = SQLITE_WRITER_LINGERS;
    tims_loop_at_tick_end(pool->loop, &pool->linger_armed, end_lingering, pool);
}

/* The owner is done with the connection: the next turn, the writer thread, or nobody gets it. Releases the
 * mutex. */
static void pass_on(sqlite__writer *writer, sqlite__pool *from)
{
    sqlite__pool *posts = NULL;
    sqlite__turn *next = writer->queue_first;
    writer->owner = NULL;
    bool group_open =
        writer->open && !writer->lost && !writer->alone && writer->group_count < writer->group_max;
    if (next != NULL && !next->alone && group_open) {
        sqlite__writer_grant(writer, next, &posts);
    } else if (next == NULL && writer->group_first != NULL && group_open) {
        linger(writer, from);
    } else if (next != NULL || writer->group_first != NULL || writer->alone || writer->lost) {
        hand_to_thread(writer);
    } else {
        /* Everything was undone: there is nothing to make durable, so nothing that could wait for the
         * disk. */
        (void)sqlite__connection_do(writer->connection, TIMS_STR("ROLLBACK"));
        writer->open = false;
        writer->phase = SQLITE_WRITER_IDLE;
    }
    pthread_mutex_unlock(&writer->mutex);
    sqlite__writer_post(posts);
}

/* --- waiting ----------------------------------------------------------------------------------------- */

static tims_status wait_blocking(sqlite__writer *writer, sqlite__turn *turn, sqlite__turn_state while_state,
                                 int64_t until_us)
{
    struct timespec until = { until_us / 1000000, until_us % 1000000 * 1000 };
    while (turn->state == while_state) {
        if (until_us == 0)
            pthread_cond_wait(&writer->blocking_wake, &writer->mutex);
        else if (pthread_cond_timedwait(&writer->blocking_wake, &writer->mutex, &until) == ETIMEDOUT &&
                 turn->state == while_state)
            return TIMS_TIMEOUT;
    }
    return TIMS_OK;
}

/* With the mutex held, before and after. `until_us` 0: however long it takes. */
static tims_status wait_fiber(sqlite__writer *writer, sqlite__turn *turn, sqlite__turn_state while_state,
                              int64_t until_us)
{
    int64_t former = 0;
    if (until_us != 0) {
        former = tims_fiber_set_deadline(until_us);
        if (former != 0 && former < until_us)
            (void)tims_fiber_set_deadline(former);
    }
    tims_status status = TIMS_OK;
    while (turn->state == while_state && (status == TIMS_OK || until_us == 0)) {
        pthread_mutex_unlock(&writer->mutex);
        status = tims_fiber_suspend();
        pthread_mutex_lock(&writer->mutex);
    }
    forget_wake(turn);
    if (until_us != 0)
        (void)tims_fiber_set_deadline(former);
    if (turn->state != while_state)
        return TIMS_OK;
    return status == TIMS_TIMEOUT && (former == 0 || former > until_us) ? TIMS_UNAVAILABLE : status;
}

static tims_status wait_for_grant(sqlite__writer *writer, sqlite__turn *turn, tims_error *err)
{
    int64_t until_us = turn->queued_us + writer->begin_timeout_ms * 1000;
    tims_status status;
    if (turn->fiber == NULL) {
        status = wait_blocking(writer, turn, SQLITE_TURN_QUEUED, until_us);
        if (status == TIMS_TIMEOUT)
            status = TIMS_UNAVAILABLE;
    } else {
        status = wait_fiber(writer, turn, SQLITE_TURN_QUEUED, until_us);
    }
    if (turn->state == SQLITE_TURN_QUEUED)
        leave_queue(writer, turn);
    if (status == TIMS_UNAVAILABLE)
        return tims_fail(err, status, "database_busy",
                         "Too much is being written just now; try again shortly.");
    if (status != TIMS_OK)
        return tims_fail(err, status, NULL, "%s", tims_status_text(status));
    if (turn->state == SQLITE_TURN_HOLDS)
        return TIMS_OK;
    turn->state = SQLITE_TURN_NONE;
    status = tims_fail(err, turn->status, turn->code, "%s",
                       "The database is being written by another program; try again shortly.");
    tims_error_detail(err, "%s", turn->detail);
    return status;
}

/* --- the three verbs of a turn ----------------------------------------------------------------------- */

/* The connection was free: begins at once, on this thread. False: another program is writing. Mutex held
 * before and after, not during. */
static bool begin_at_once(sqlite__writer *writer, sqlite__turn *turn)
{
    writer->phase = SQLITE_WRITER_OWNED;
    writer->owner = turn;
    turn->state = SQLITE_TURN_HOLDS;
    pthread_mutex_unlock(&writer->mutex);
    int code = sqlite__connection_do(writer->connection, TIMS_STR("BEGIN IMMEDIATE"));
    pthread_mutex_lock(&writer->mutex);
    if (TIMS_LIKELY(code == SQLITE_OK)) {
        writer->open = true;
        return true;
    }
    writer->owner = NULL;
    put_first(writer, turn);
    hand_to_thread(writer);
    return false;
}

tims_status sqlite__writer_acquire(sqlite__writer *writer, sqlite__turn *turn, tims_error *err)
{
    TIMS_ASSERT(turn->state == SQLITE_TURN_NONE);
    turn->fiber = turn->pool->loop != NULL ? tims_fiber_self() : NULL;
    TIMS_ASSERT(turn->fiber != NULL || turn->pool->loop == NULL); /* on a loop: fibers only */
    turn->status = TIMS_OK;
    pthread_mutex_lock(&writer->mutex);
    turn->queued_us = tims_monotonic_us();
    bool granted = false;
    if (writer->phase == SQLITE_WRITER_IDLE && writer->queue_first == NULL && !turn->alone) {
        granted = begin_at_once(writer, turn);
    } else if (writer->phase == SQLITE_WRITER_LINGERS && !turn->alone) {
        writer->phase = SQLITE_WRITER_OWNED;
        writer->owner = turn;
        turn->state = SQLITE_TURN_HOLDS;
        granted = true;
    } else {
        append_to_queue(writer, turn);
        if (writer->phase == SQLITE_WRITER_IDLE || writer->phase == SQLITE_WRITER_LINGERS)
            hand_to_thread(writer);
    }
    tims_status status = granted ? TIMS_OK : wait_for_grant(writer, turn, err);
    pthread_mutex_unlock(&writer->mutex);
    return status;
}

tims_status sqlite__writer_commit(sqlite__writer *writer, sqlite__turn *turn, tims_error *err)
{
    TIMS_ASSERT(turn->state == SQLITE_TURN_HOLDS && writer->owner == turn);
    pthread_mutex_lock(&writer->mutex);
    turn->state = SQLITE_TURN_GROUPED;
    turn->next = NULL;
    *(writer->group_last != NULL ? &writer->group_last->next : &writer->group_first) = turn;
    writer->group_last = turn;
    writer->group_count++;
    pass_on(writer, turn->pool);
    bool former = turn->fiber != NULL ? tims_fiber_shield(true) : false;
    pthread_mutex_lock(&writer->mutex);
    tims_status status = turn->fiber != NULL ? wait_fiber(writer, turn, SQLITE_TURN_GROUPED, 0)
                                             : wait_blocking(writer, turn, SQLITE_TURN_GROUPED, 0);
    pthread_mutex_unlock(&writer->mutex);
    if (turn->fiber != NULL)
        (void)tims_fiber_shield(former);
    TIMS_ASSERT(status == TIMS_OK && turn->state == SQLITE_TURN_NONE);
    if (turn->status == TIMS_OK)
        return TIMS_OK;
    status =
        tims_fail(err, turn->status, turn->code, "%s",
                  turn->status == TIMS_CONFLICT ? "It would leave a reference to something that is not there."
                                                : "The database could not keep it; nothing was written.");
    tims_error_detail(err, "%s", turn->detail);
    return status;
}

void sqlite__writer_let_go(sqlite__writer *writer, sqlite__turn *turn)
{
    TIMS_ASSERT(turn->state == SQLITE_TURN_HOLDS && writer->owner == turn);
    pthread_mutex_lock(&writer->mutex);
    turn->state = SQLITE_TURN_NONE;
    if (sqlite3_get_autocommit(writer->connection->handle))
        writer->lost = true;
    pass_on(writer, turn->pool);
}
