/* pool.c: a loop's connections: who owns one, who waits for one, and what happens when the database is away.
 *
 * A connection is owned by a snapshot or a transaction, or it is free, and then plain reads of many fibers
 * share it. One at least is never owned, so that reads go on while every transaction waits for something.
 *
 * When none can be had, requests are told so at once; the pool tries again by itself, after a pause that
 * doubles up to two seconds and is never quite the same, so that many processes do not come at once. */
#include "postgres_internal.h"

#include <stdlib.h>

enum {
    RETRY_MIN_MS = 50,
    RETRY_MAX_MS = 2000,
    DRAIN_MS = 1000, /* for a statement that nobody waits for any more */
    IDLE_MS = 60000, /* then a connection is closed, but for the last one */
    IDLE_LOOK_MS = 10000
};

/* --- pools ----------------------------------------------------------------------------------------- */

static postgres__pool *find_pool(postgres__pool *pool, const tims_loop *loop)
{
    while (pool != NULL && (pool->loop != loop || atomic_load(&pool->ended)))
        pool = pool->next;
    return pool;
}

static void close_all(postgres__pool *pool)
{
    tims_timer_clear(&pool->retry_timer);
    tims_timer_clear(&pool->idle_timer);
    tims_timer_clear(&pool->gather_timer);
    for (uint32_t slot = 0; slot < POSTGRES_CONNECTIONS_MAX; slot++) {
        postgres__connection *connection = pool->slots[slot];
        pool->slots[slot] = NULL;
        if (connection == NULL)
            continue;
        TIMS_ASSERT(!connection->owned && connection->opener == NULL);
        postgres__connection_free(connection);
    }
    while (pool->idle != NULL) {
        postgres__connection *connection = pool->idle;
        pool->idle = connection->next;
        postgres__connection_free(connection);
    }
    postgres__statements_drop(&pool->statements);
}

/* The loop is being freed: what is on it must go before it. */
static void end_with_loop(void *argument)
{
    postgres__pool *pool = argument;
    close_all(pool);
    atomic_store(&pool->ended, true);
}

/* Pools are only ever added while the store is open, so the list is read without a lock. */
postgres__pool *postgres__pool_of(postgres__store *store, tims_loop *loop)
{
    postgres__pool *pool = find_pool(atomic_load_explicit(&store->pools, memory_order_acquire), loop);
    if (TIMS_LIKELY(pool != NULL))
        return pool;
    pthread_mutex_lock(&store->mutex);
    postgres__pool *first = atomic_load_explicit(&store->pools, memory_order_relaxed);
    pool = find_pool(first, loop);
    if (pool == NULL) {
        pool = calloc(1, sizeof *pool);
        TIMS_ASSERT(pool != NULL);
        pool->store = store;
        pool->loop = loop;
        pool->statements.connections = pool->slots;
        pool->statements.named = store->settings.prepared;
        pool->next = first;
        if (loop != NULL)
            tims_loop_on_free(loop, end_with_loop, pool);
        atomic_store_explicit(&store->pools, pool, memory_order_release);
    }
    pthread_mutex_unlock(&store->mutex);
    return pool;
}

void postgres__pool_free(postgres__pool *pool)
{
    if (!atomic_load(&pool->ended)) {
        close_all(pool);
        if (pool->loop != NULL)
            tims_loop_on_free(pool->loop, NULL, pool);
    }
    free(pool);
}

/* --- the database is away -------------------------------------------------------------------------- */

bool postgres__pool_is_down(const postgres__pool *pool)
{
    return pool->ready_count == 0 && pool->down;
}

tims_status postgres__fail_down(const postgres__pool *pool, tims_error *err)
{
    tims_status status = tims_fail(err, TIMS_UNAVAILABLE, "database",
                                   "The database cannot be reached right now; try again shortly.");
    if (err != NULL)
        err->retry_after_s = 1;
    tims_error_detail(err, "%s", pool->down_why);
    return status;
}

static void fail_waiting(postgres__pool *pool)
{
    for (postgres__wait *wait = pool->first_wait; wait != NULL; wait = wait->next) {
        wait->status = TIMS_UNAVAILABLE;
        tims_fiber_wake(wait->fiber);
    }
    pool->first_wait = pool->last_wait = NULL;
    postgres__pool_fail_calls(pool);
}

/* Where there is none, or somebody has waited for this attempt. */
static void retry(void *argument)
{
    postgres__pool *pool = argument;
    pool->retry_us = 0;
    bool is_wanted = pool->ready_count == 0 || pool->first_wait != NULL || pool->first_call != NULL;
    if (is_wanted && pool->opening_count == 0)
        (void)postgres__pool_grow(pool);
}

/* Between half and all of the pause. */
static void retry_later(postgres__pool *pool)
{
    uint32_t doublings = pool->failures < 8 ? pool->failures : 8;
    int64_t pause_ms = (int64_t)RETRY_MIN_MS << doublings;
    if (pause_ms > RETRY_MAX_MS)
        pause_ms = RETRY_MAX_MS;
    uint64_t seed[2] = { (uint64_t)tims_monotonic_us(), (uint64_t)(uintptr_t)pool };
    pause_ms = pause_ms / 2 + (int64_t)(tims_hash(seed, sizeof seed, seed) % (uint64_t)(pause_ms / 2 + 1));
    pool->retry_us = tims_monotonic_us() + pause_ms * 1000;
    tims_timer_set(pool->loop, &pool->retry_timer, pause_ms, retry, pool);
}

static void opening_failed(postgres__pool *pool, const tims_error *why)
{
    if (pool->failures++ == 0)
        tims_log(TIMS_LOG_WARN, "db", "event=%s why=%s",
                 pool->ready_count == 0 ? "database_away" : "no_further_connection", why->message);
    for (size_t i = 0; i < sizeof pool->down_why; i++)
        pool->down_why[i] = i + 1 < sizeof pool->down_why ? why->message[i] : 0;
    if (pool->ready_count == 0) { /* else there are others; whoever waits has a limit */
        pool->down = true;
        fail_waiting(pool);
    }
    retry_later(pool);
}

/* --- growing --------------------------------------------------------------------------------------- */

/* The slots of lost ones, which nobody owns, are free again. */
static void sweep(postgres__pool *pool)
{
    for (uint32_t slot = 0; slot < pool->store->settings.connections_max; slot++) {
        postgres__connection *connection = pool->slots[slot];
        if (connection == NULL || connection->owned || connection->state != POSTGRES_LOST)
            continue;
        pool->slots[slot] = NULL;
        postgres__connection_free(connection);
    }
}

bool postgres__pool_grow(postgres__pool *pool)
{
    uint32_t max = pool->store->settings.connections_max;
    if (pool->retry_us > tims_monotonic_us())
        return false;
    sweep(pool); /* one that was lost while it was written to has told nobody */
    for (uint32_t slot = 0; slot < max; slot++) {
        if (pool->slots[slot] != NULL)
            continue;
        postgres__connection *connection = postgres__connection_new(pool, slot);
        pool->slots[slot] = connection;
        pool->opening_count++;
        postgres__connection_start(connection);
        return true;
    }
    return false;
}

static void close_idle(void *argument);

void postgres__pool_opened(postgres__pool *pool, postgres__connection *connection, tims_status status,
                           const tims_error *why)
{
    pool->opening_count--;
    if (status != TIMS_OK) {
        pool->slots[connection->slot] = NULL;
        postgres__connection_free(connection);
        opening_failed(pool, why);
        return;
    }
    if (pool->failures > 0)
        tims_log(TIMS_LOG_INFO, "db", "event=connected failed_attempts=%u", pool->failures);
    pool->failures = 0;
    pool->down = false;
    pool->retry_us = 0;
    pool->ready_count++;
    tims_timer_clear(&pool->retry_timer);
    tims_timer_set(pool->loop, &pool->idle_timer, IDLE_LOOK_MS, close_idle, pool);
    postgres__pool_settle(pool, connection);
}

/* --- taking and giving ----------------------------------------------------------------------------- */

static bool is_idle(const postgres__connection *connection)
{
    return connection != NULL && connection->state == POSTGRES_READY && !connection->owned &&
           connection->entry_count == 0;
}

/* One is left for plain reads. */
static bool may_own_another(const postgres__pool *pool)
{
    uint32_t max = pool->store->settings.connections_max;
    return pool->owned_count + 1 < max || (max == 1 && pool->owned_count == 0);
}

/* What was cut for one may have been cut for all, and who tries again shall not meet the next one. */
void postgres__pool_doubt(postgres__pool *pool)
{
    for (uint32_t slot = 0; slot < pool->store->settings.connections_max; slot++)
        if (is_idle(pool->slots[slot]))
            postgres__connection_turn(pool->slots[slot]);
}

static postgres__connection *find_idle(postgres__pool *pool)
{
    for (uint32_t slot = 0; slot < pool->store->settings.connections_max; slot++)
        if (is_idle(pool->slots[slot]))
            return pool->slots[slot];
    return NULL;
}

static void own(postgres__pool *pool, postgres__connection *connection)
{
    connection->owned = true;
    pool->owned_count++;
}

/* Who waits is served in turn. */
static void serve(postgres__pool *pool)
{
    sweep(pool);
    while (pool->first_wait != NULL && may_own_another(pool)) {
        postgres__connection *connection = find_idle(pool);
        if (connection == NULL)
            break;
        postgres__wait *wait = pool->first_wait;
        pool->first_wait = wait->next;
        if (pool->first_wait == NULL)
            pool->last_wait = NULL;
        own(pool, connection);
        wait->granted = connection;
        tims_fiber_wake(wait->fiber);
    }
    if (pool->first_wait != NULL && may_own_another(pool) && pool->opening_count == 0)
        (void)postgres__pool_grow(pool);
}

static void stop_draining(void *argument)
{
    postgres__connection *connection = argument;
    TIMS_CHECK_MAGIC(connection, POSTGRES_CONNECTION_MAGIC);
    tims_log(TIMS_LOG_INFO, "db", "event=statement_cancelled");
    postgres__connection_cancel(connection);
    postgres__pool_settle(connection->pool, connection);
}

void postgres__pool_settle(postgres__pool *pool, postgres__connection *connection)
{
    if (connection->state == POSTGRES_READY && connection->entry_count == 0) {
        connection->idle_since_us = tims_loop_now_us(pool->loop);
        if (connection->draining)
            tims_timer_clear(&connection->drain_timer);
        connection->draining = false;
    }
    serve(pool);
    if (pool->first_call != NULL)
        postgres__pool_flush_soon(pool); /* together with what those ask who have just had an answer */
}

static void leave_waiting(postgres__pool *pool, const postgres__wait *wait)
{
    postgres__wait *previous = NULL, *at = pool->first_wait;
    while (at != NULL && at != wait) {
        previous = at;
        at = at->next;
    }
    if (at == NULL)
        return;
    *(previous != NULL ? &previous->next : &pool->first_wait) = wait->next;
    if (pool->last_wait == wait)
        pool->last_wait = previous;
}

static tims_status fail_wait(postgres__pool *pool, tims_status status, bool own_deadline, tims_error *err)
{
    if (status == TIMS_UNAVAILABLE)
        return postgres__fail_down(pool, err);
    if (status != TIMS_TIMEOUT || !own_deadline)
        return tims_fail(err, status, NULL, "%s", tims_status_text(status));
    return postgres__fail_busy(err);
}

/* Until it is given one. Suspends. */
static tims_status wait_for_grant(postgres__pool *pool, postgres__connection **ret_connection,
                                  tims_error *err)
{
    postgres__wait wait = { .fiber = tims_fiber_self() };
    TIMS_ASSERT(wait.fiber != NULL);
    *(pool->last_wait != NULL ? &pool->last_wait->next : &pool->first_wait) = &wait;
    pool->last_wait = &wait;
    serve(pool);
    int64_t limit = tims_monotonic_us() + pool->store->begin_timeout_ms * 1000;
    int64_t former = tims_fiber_set_deadline(limit);
    bool own_deadline = former == 0 || former >= limit;
    if (!own_deadline)
        (void)tims_fiber_set_deadline(former);
    tims_status status = TIMS_OK;
    while (status == TIMS_OK && wait.granted == NULL && wait.status == TIMS_OK)
        status = tims_fiber_suspend();
    (void)tims_fiber_set_deadline(former);
    if (status == TIMS_OK)
        status = wait.status;
    if (status == TIMS_OK) {
        *ret_connection = wait.granted;
        return TIMS_OK;
    }
    leave_waiting(pool, &wait);
    if (wait.granted != NULL)
        postgres__pool_give(pool, wait.granted);
    return fail_wait(pool, status, own_deadline, err);
}

tims_status postgres__pool_take(postgres__pool *pool, postgres__connection **ret_connection, tims_error *err)
{
    if (pool->loop == NULL)
        return postgres__blocking_take(pool, ret_connection, err);
    if (postgres__pool_is_down(pool))
        return postgres__fail_down(pool, err);
    postgres__connection *connection =
        pool->first_wait == NULL && may_own_another(pool) ? find_idle(pool) : NULL;
    if (connection == NULL)
        return wait_for_grant(pool, ret_connection, err);
    own(pool, connection);
    *ret_connection = connection;
    return TIMS_OK;
}

void postgres__pool_give(postgres__pool *pool, postgres__connection *connection)
{
    TIMS_CHECK_MAGIC(connection, POSTGRES_CONNECTION_MAGIC);
    if (pool->loop == NULL) {
        postgres__blocking_give(pool, connection);
        return;
    }
    connection->owned = false;
    pool->owned_count--;
    if (connection->state == POSTGRES_READY && connection->entry_count > 0) {
        connection->draining = true; /* with its Sync or ROLLBACK under way */
        tims_timer_set(pool->loop, &connection->drain_timer, DRAIN_MS, stop_draining, connection);
    }
    postgres__pool_settle(pool, connection);
}

/* --- closing what is not needed -------------------------------------------------------------------- */

static void close_idle(void *argument)
{
    postgres__pool *pool = argument;
    int64_t before_us = tims_loop_now_us(pool->loop) - IDLE_MS * (int64_t)1000;
    for (uint32_t slot = pool->store->settings.connections_max; slot-- > 0 && pool->ready_count > 1;)
        if (is_idle(pool->slots[slot]) && pool->slots[slot]->idle_since_us < before_us)
            postgres__connection_lose(pool->slots[slot]);
    serve(pool);
    if (pool->ready_count > 1)
        tims_timer_set(pool->loop, &pool->idle_timer, IDLE_LOOK_MS, close_idle, pool);
}
