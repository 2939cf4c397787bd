/* pipeline.c: the plain reads of many fibers on few connections.
 *
 * A read outside of snapshots and transactions waits until the loop's tick ends; those that came together are
 * sent together, with one Sync and one write, to a connection that nobody owns. They are one implicit
 * transaction, which reads one state, so a position asked for once holds for all of them. An error skips the
 * ones behind it; they are sent again, each with a Sync of its own. */
#include "postgres_internal.h"

enum { GATHER_ENTRIES = 8, GATHER_US = 1000, GATHER_MS = 1 };
enum { GROW_ENTRIES = 8 }; /* in flight on the least busy connection: then another one is worth opening */

void postgres__pool_enqueue(postgres__pool *pool, postgres__call *call, bool first)
{
    call->state = POSTGRES_CALL_QUEUED;
    call->next = first ? pool->first_call : NULL;
    pool->call_count++;
    if (pool->first_call == NULL)
        pool->first_call = pool->last_call = call;
    else if (first)
        pool->first_call = call;
    else
        pool->last_call = pool->last_call->next = call;
}

static postgres__call *dequeue(postgres__pool *pool)
{
    postgres__call *call = pool->first_call;
    pool->call_count--;
    pool->first_call = call->next;
    if (pool->first_call == NULL)
        pool->last_call = NULL;
    call->next = NULL;
    return call;
}

static void leave_queue(postgres__pool *pool, const postgres__call *call)
{
    postgres__call *previous = NULL, *at = pool->first_call;
    while (at != NULL && at != call) {
        previous = at;
        at = at->next;
    }
    if (at == NULL)
        return;
    pool->call_count--;
    *(previous != NULL ? &previous->next : &pool->first_call) = call->next;
    if (pool->last_call == call)
        pool->last_call = previous;
}

void postgres__pool_fail_calls(postgres__pool *pool)
{
    while (pool->first_call != NULL) {
        postgres__call *call = dequeue(pool);
        call->state = POSTGRES_CALL_DONE;
        call->status = TIMS_UNAVAILABLE;
        tims_fiber_wake(call->fiber);
    }
}

/* How long a statement sent now would wait there, roughly: what is before it, and how long the first of that
 * has been running. */
static int64_t load_of(const postgres__pool *pool, const postgres__connection *connection)
{
    if (connection->entry_count == 0)
        return 0;
    return connection->entry_count + (tims_loop_now_us(pool->loop) - connection->waiting_since_us) / 500;
}

/* Not an idle one while somebody waits for a connection of his own, if another can be had. */
static postgres__connection *choose(postgres__pool *pool)
{
    postgres__connection *best = NULL, *busy = NULL;
    int64_t best_load = 0;
    for (uint32_t slot = 0; slot < pool->store->settings.connections_max; slot++) {
        postgres__connection *connection = pool->slots[slot];
        if (connection == NULL || connection->state != POSTGRES_READY || connection->owned)
            continue;
        if (!pool->statements.named && connection->entry_count > 0)
            continue; /* an error leaves a transaction behind that must be ended first */
        int64_t load = load_of(pool, connection);
        if (best == NULL || load < best_load) {
            best = connection;
            best_load = load;
        }
        if (busy == NULL && load > 0 && !connection->draining)
            busy = connection;
    }
    if (pool->first_wait != NULL && busy != NULL)
        return busy;
    if (best_load >= GROW_ENTRIES && pool->opening_count == 0)
        (void)postgres__pool_grow(pool);
    return best;
}

/* Up to POSTGRES_CHUNK_MAX of them; a call whose statement is not known yet is described instead. */
static void send_chunk(postgres__connection *connection, postgres__call **calls, size_t count)
{
    bool explicit = !connection->statements->named, wants_position = false;
    for (size_t i = 0; i < count; i++)
        wants_position = wants_position || calls[i]->wants_position;
    bool ok = postgres__send_housekeeping(connection);
    if (explicit)
        ok = ok && postgres__send_control(connection, POSTGRES_BEGIN_READ_SQL, NULL);
    connection->explicit_reads = explicit;
    if (wants_position)
        ok = ok && postgres__send_position(connection, NULL);
    size_t at = 0;
    for (; at < count && ok; at++)
        ok = postgres__send_call(connection, calls[at]);
    if (explicit)
        ok = ok && postgres__send_control(connection, "COMMIT", NULL);
    ok = ok && postgres__send_sync(connection, NULL);
    for (size_t i = 0; i < count && !ok; i++)
        if (calls[i]->state == POSTGRES_CALL_QUEUED) { /* it did not get as far as being sent */
            calls[i]->state = POSTGRES_CALL_DONE;
            calls[i]->again = true;
            if (calls[i]->fiber != NULL)
                tims_fiber_wake(calls[i]->fiber);
        }
}

/* One that fell with another's error is sent by itself: it cannot again. */
static size_t take_chunk(postgres__pool *pool, postgres__call **ret_calls)
{
    size_t count = 0;
    do
        ret_calls[count++] = dequeue(pool);
    while (count < POSTGRES_CHUNK_MAX && pool->first_call != NULL && ret_calls[0]->attempts == 0 &&
           pool->first_call->attempts == 0);
    return count;
}

/* While enough is on its way and will be answered shortly, what comes is gathered for the next chunk, until
 * that is full: the fewer and larger chunks are, the less a read costs on both sides (a third of the CPU,
 * with 64 clients and both on one core), and what waits here is not behind a slow statement there. */
static bool should_gather(const postgres__pool *pool)
{
    uint32_t entries = 0;
    int64_t since_us = tims_loop_now_us(pool->loop) - GATHER_US;
    if (pool->call_count >= POSTGRES_CHUNK_MAX)
        return false;
    for (uint32_t slot = 0; slot < pool->store->settings.connections_max; slot++) {
        const postgres__connection *connection = pool->slots[slot];
        if (connection != NULL && connection->state == POSTGRES_READY && !connection->owned &&
            connection->entry_count > 0 && connection->waiting_since_us > since_us)
            entries += connection->entry_count;
    }
    return entries >= GATHER_ENTRIES;
}

static void stop_gathering(void *argument)
{
    postgres__pool *pool = argument;
    pool->gathering = false;
    postgres__pool_flush(pool);
}

static void gather(postgres__pool *pool)
{
    if (!pool->gathering)
        tims_timer_set(pool->loop, &pool->gather_timer, GATHER_MS, stop_gathering, pool);
    pool->gathering = true;
}

void postgres__pool_flush(postgres__pool *pool)
{
    while (pool->first_call != NULL) {
        if (should_gather(pool)) {
            gather(pool);
            return;
        }
        postgres__connection *connection = choose(pool);
        if (connection == NULL) {
            if (postgres__pool_is_down(pool))
                postgres__pool_fail_calls(pool);
            else if (pool->opening_count == 0)
                (void)postgres__pool_grow(pool);
            return;
        }
        postgres__call *calls[POSTGRES_CHUNK_MAX];
        send_chunk(connection, calls, take_chunk(pool, calls));
    }
}

static void flush_at_tick_end(void *argument)
{
    postgres__pool *pool = argument;
    if (!atomic_load(&pool->ended))
        postgres__pool_flush(pool);
}

void postgres__pool_flush_soon(postgres__pool *pool)
{
    tims_loop_at_tick_end(pool->loop, &pool->flush_armed, flush_at_tick_end, pool);
}

/* --- waiting --------------------------------------------------------------------------------------- */

/* While it has not been sent the wait has a limit of its own. */
static tims_status wait_for_answer(postgres__pool *pool, postgres__call *call, tims_error *err)
{
    bool limited = pool->ready_count == pool->owned_count;
    int64_t former = 0, limit = 0;
    if (limited) {
        limit = tims_monotonic_us() + pool->store->begin_timeout_ms * 1000;
        former = tims_fiber_set_deadline(limit);
        if (former != 0 && former < limit) {
            (void)tims_fiber_set_deadline(former);
            limited = false;
        }
    }
    tims_status status = TIMS_OK;
    while (call->state != POSTGRES_CALL_DONE && status == TIMS_OK) {
        status = tims_fiber_suspend();
        if (status == TIMS_TIMEOUT && limited && call->state != POSTGRES_CALL_QUEUED) {
            limited = false;
            (void)tims_fiber_set_deadline(former);
            status = TIMS_OK;
        }
    }
    if (limited)
        (void)tims_fiber_set_deadline(former);
    if (TIMS_LIKELY(status == TIMS_OK))
        return TIMS_OK;
    if (call->state == POSTGRES_CALL_QUEUED)
        leave_queue(pool, call);
    postgres__call_detach(call);
    if (status == TIMS_TIMEOUT && limited)
        return postgres__fail_busy(err);
    return tims_fail(err, status, NULL, "%s", tims_status_text(status));
}

static tims_status read_on_loop(postgres__pool *pool, postgres__call *call, tims_error *err)
{
    if (TIMS_UNLIKELY(postgres__pool_is_down(pool)))
        return postgres__fail_down(pool, err);
    postgres__pool_enqueue(pool, call, false);
    postgres__pool_flush_soon(pool);
    return wait_for_answer(pool, call, err);
}

static tims_status read_blocking(postgres__pool *pool, postgres__call *call, tims_error *err)
{
    postgres__connection *connection;
    tims_status status = postgres__pool_take(pool, &connection, err);
    if (status != TIMS_OK)
        return status;
    call->state = POSTGRES_CALL_QUEUED;
    send_chunk(connection, &call, 1);
    postgres__connection_block(connection, call);
    postgres__call_leave_statement(call);
    postgres__pool_give(pool, connection);
    return TIMS_OK;
}

tims_status postgres__read(postgres__pool *pool, postgres__call *call, tims_error *err)
{
    call->plain = true;
    for (;;) {
        tims_status status =
            pool->loop != NULL ? read_on_loop(pool, call, err) : read_blocking(pool, call, err);
        if (status != TIMS_OK)
            return status;
        if (!call->again)
            return TIMS_OK;
        call->again = false;
    }
}
