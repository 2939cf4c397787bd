/* pool.c: the read connections of one loop.
 *
 * A statement takes a connection and gives it back when its rows are done, so two fibers never share a
 * snapshot by accident: what a fiber reads after its own commit is there, even while another fiber's rows are
 * still open. The last one given back is taken first; with rows that are read without waiting that is always
 * the same connection, whose statements and pages are warm.
 *
 * A snapshot costs two locks of the file, a look at its size and a statement of its own. So the connection of
 * one that has ended keeps it until the loop's tick ends, and the next that wants a snapshot in this tick
 * goes on from there (measured: a row by key with 64 clients is 37 µs of the server instead of 45), unless
 * something was committed since: the writer counts its commits before it tells anybody, so who has heard of
 * one gets a snapshot that has it. Of another program's commit nobody here has heard in the middle of a tick,
 * but for the look at its version (sqlite__pool_version), which counts it. */
#include "sqlite_internal.h"

#include <stdlib.h>

static sqlite__pool *find_pool(sqlite__pool *pool, const tims_loop *loop)
{
    while (pool != NULL && pool->loop != loop)
        pool = pool->next;
    return pool;
}

/* Pools are only ever added while the store is open, so the list is read without a lock. */
sqlite__pool *sqlite__pool_of(sqlite__store *store, tims_loop *loop)
{
    sqlite__pool *pool = find_pool(atomic_load_explicit(&store->pools, memory_order_acquire), loop);
    if (TIMS_LIKELY(pool != NULL))
        return pool;
    pthread_mutex_lock(&store->mutex);
    sqlite__pool *first = atomic_load_explicit(&store->pools, memory_order_relaxed);
    pool = find_pool(first, loop);
    if (pool == NULL) {
        pool = calloc(1, sizeof *pool);
        TIMS_ASSERT(pool != NULL);
        pool->store = store;
        pool->loop = loop;
        pool->next = first;
        atomic_store_explicit(&store->pools, pool, memory_order_release);
    }
    pthread_mutex_unlock(&store->mutex);
    return pool;
}

void sqlite__pool_free(sqlite__pool *pool)
{
    while (pool->idle != NULL) {
        sqlite__connection *connection = pool->idle;
        pool->idle = connection->next;
        pool->open_count--;
        sqlite__connection_close(&connection);
    }
    TIMS_ASSERT(pool->open_count == 0); /* a session is still reading */
    sqlite__connection_close(&pool->watcher);
    free(pool);
}

static void lock(sqlite__pool *pool)
{
    if (pool->loop == NULL)
        pthread_mutex_lock(&pool->store->mutex);
}

static void unlock(sqlite__pool *pool)
{
    if (pool->loop == NULL)
        pthread_mutex_unlock(&pool->store->mutex);
}

/* False: it was woken, and has left. */
static bool leave_waiting(sqlite__pool *pool, sqlite__reader_wait *wait)
{
    sqlite__reader_wait *previous = NULL, *at = pool->first_wait;
    while (at != NULL && at != wait) {
        previous = at;
        at = at->next;
    }
    if (at == NULL)
        return false;
    *(previous != NULL ? &previous->next : &pool->first_wait) = wait->next;
    if (pool->last_wait == wait)
        pool->last_wait = previous;
    return true;
}

static void wake_next(sqlite__pool *pool)
{
    sqlite__reader_wait *wait = pool->first_wait;
    if (wait != NULL && leave_waiting(pool, wait))
        tims_fiber_wake(wait->fiber);
}

/* Until a connection is given back. Only for loops. Suspends. */
static tims_status wait_for_idle(sqlite__pool *pool, tims_error *err)
{
    sqlite__reader_wait wait = { NULL, tims_fiber_self() };
    if (wait.fiber == NULL)
        return tims_fail(err, TIMS_UNAVAILABLE, NULL, "Too many reads of the database are open at once.");
    *(pool->last_wait != NULL ? &pool->last_wait->next : &pool->first_wait) = &wait;
    pool->last_wait = &wait;
    int64_t limit = tims_monotonic_us() + pool->store->begin_timeout_ms * 1000;
    int64_t former = tims_fiber_set_deadline(limit);
    if (former != 0 && former < limit)
        (void)tims_fiber_set_deadline(former);
    tims_status status = tims_fiber_suspend();
    (void)tims_fiber_set_deadline(former);
    bool was_woken = !leave_waiting(pool, &wait);
    if (status != TIMS_OK && was_woken && pool->idle != NULL)
        wake_next(pool); /* it was cancelled in the moment in which it was given one */
    if (status == TIMS_TIMEOUT && former != 0 && former < limit)
        return tims_fail(err, TIMS_TIMEOUT, NULL, "%s", tims_status_text(TIMS_TIMEOUT));
    if (status == TIMS_TIMEOUT)
        return tims_fail(err, TIMS_UNAVAILABLE, NULL, "Too many reads of the database are open at once.");
    if (status != TIMS_OK)
        return tims_fail(err, status, NULL, "%s", tims_status_text(status));
    return TIMS_OK;
}

static tims_status open_another(sqlite__pool *pool, sqlite__connection **ret_connection, tims_error *err)
{
    tims_status status = sqlite__connection_open(pool->store->path, false, ret_connection, err);
    if (status != TIMS_OK) {
        lock(pool);
        pool->open_count--;
        unlock(pool);
    }
    return status;
}

tims_status sqlite__pool_take(sqlite__pool *pool, sqlite__connection **ret_connection, tims_error *err)
{
    for (;;) {
        lock(pool);
        sqlite__connection *connection = pool->idle;
        if (TIMS_LIKELY(connection != NULL)) {
            pool->idle = connection->next;
            pool->idle_count--;
            unlock(pool);
            *ret_connection = connection;
            return TIMS_OK;
        }
        if (pool->open_count < SQLITE_READERS_MAX || pool->loop == NULL) {
            pool->open_count++;
            unlock(pool);
            return open_another(pool, ret_connection, err);
        }
        tims_status status = wait_for_idle(pool, err);
        if (status != TIMS_OK)
            return status;
    }
}

void sqlite__pool_give(sqlite__pool *pool, sqlite__connection *connection)
{
    TIMS_CHECK_MAGIC(connection, SQLITE_CONNECTION_MAGIC);
    lock(pool);
    bool surplus = pool->idle_count >= SQLITE_READERS_IDLE_MAX && pool->first_wait == NULL;
    if (!surplus) {
        connection->next = pool->idle;
        pool->idle = connection;
        pool->idle_count++;
    } else {
        pool->open_count--;
    }
    wake_next(pool);
    unlock(pool);
    if (surplus)
        sqlite__connection_close(&connection);
}

static void settle(void *argument)
{
    sqlite__pool *pool = argument;
    for (sqlite__connection *at = pool->idle; at != NULL; at = at->next)
        sqlite__connection_settle(at);
}

void sqlite__pool_give_anchored(sqlite__pool *pool, sqlite__connection *connection)
{
    if (pool->loop != NULL && tims_loop_self() == pool->loop)
        tims_loop_at_tick_end(pool->loop, &pool->settle_armed, settle, pool);
    else
        sqlite__connection_settle(connection);
    sqlite__pool_give(pool, connection);
}

static tims_status read_version(sqlite__connection *connection, int64_t *ret_version, tims_error *err)
{
    sqlite__statement *statement;
    tims_status status = sqlite__statement_get(connection, TIMS_STR("PRAGMA data_version"), &statement, err);
    if (status != TIMS_OK)
        return status;
    int code = sqlite3_step(statement->handle);
    if (code == SQLITE_ROW)
        *ret_version = sqlite3_column_int64(statement->handle, 0);
    else
        status = sqlite__fault(connection, code, NULL, err);
    sqlite__statement_release(connection, statement);
    return status;
}

tims_status sqlite__pool_version(sqlite__pool *pool, int64_t *ret_version, tims_error *err)
{
    lock(pool);
    tims_status status = TIMS_OK;
    if (pool->watcher == NULL)
        status = sqlite__connection_open(pool->store->path, false, &pool->watcher, err);
    if (status == TIMS_OK)
        status = read_version(pool->watcher, ret_version, err);
    if (status == TIMS_OK && *ret_version != pool->watched_version) {
        pool->watched_version = *ret_version;
        atomic_fetch_add(&pool->store->writer.version, 1);
    }
    unlock(pool);
    return status;
}
