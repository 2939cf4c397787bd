/* connection.c: one connection in libpq's pipeline mode: the FIFO of what was sent on it, its socket, its
 * end. */
#include "postgres_internal.h"

#include <poll.h>
#include <stdlib.h>

/* --- the FIFO -------------------------------------------------------------------------------------- */

postgres__entry *postgres__entry_at(postgres__connection *connection, uint32_t index)
{
    return &connection->entries[(connection->entry_first + index) & (connection->entry_capacity - 1)];
}

static int64_t now_us(const postgres__connection *connection)
{
    return connection->pool->loop != NULL ? tims_loop_now_us(connection->pool->loop) : 0;
}

static void grow_entries(postgres__connection *connection)
{
    uint32_t capacity = connection->entry_capacity == 0 ? 32 : connection->entry_capacity * 2;
    postgres__entry *entries = malloc(capacity * sizeof *entries);
    TIMS_ASSERT(entries != NULL);
    for (uint32_t i = 0; i < connection->entry_count; i++)
        entries[i] = *postgres__entry_at(connection, i);
    free(connection->entries);
    connection->entries = entries;
    connection->entry_first = 0;
    connection->entry_capacity = capacity;
}

bool postgres__entry_push(postgres__connection *connection, postgres__entry_kind kind, postgres__call *call,
                          postgres__statement *statement)
{
    if (connection->entry_count == connection->entry_capacity)
        grow_entries(connection);
    if (connection->entry_count == 0)
        connection->waiting_since_us = now_us(connection);
    *postgres__entry_at(connection, connection->entry_count++) =
        (postgres__entry){ kind, false, call, statement };
    if (statement != NULL)
        statement->users++;
    if (call != NULL) {
        call->connection = connection;
        call->state = POSTGRES_CALL_SENT;
    }
    return true;
}

void postgres__entry_pop(postgres__connection *connection)
{
    postgres__entry *entry = postgres__entry_at(connection, 0);
    if (entry->statement != NULL)
        postgres__statement_release(entry->statement);
    connection->entry_first = (connection->entry_first + 1) & (connection->entry_capacity - 1);
    if (--connection->entry_count > 0)
        connection->waiting_since_us = now_us(connection);
}

/* --- the socket ------------------------------------------------------------------------------------ */

void postgres__connection_turn(postgres__connection *connection)
{
    if (!postgres__is_ready(connection))
        return;
    bool alive = PQconsumeInput(connection->handle) != 0;
    postgres__deliver(connection);
    if (!postgres__is_ready(connection))
        return;
    if (!alive || PQstatus(connection->handle) == CONNECTION_BAD)
        postgres__connection_lose(connection);
    else
        (void)postgres__write_out(connection);
}

void postgres__connection_block(postgres__connection *connection, const postgres__call *call)
{
    while (postgres__is_ready(connection) &&
           (call != NULL ? call->state == POSTGRES_CALL_SENT : connection->entry_count > 0)) {
        int left = PQflush(connection->handle);
        struct pollfd wait = { PQsocket(connection->handle), POLLIN, 0 };
        if (left > 0)
            wait.events |= POLLOUT;
        if (PQisBusy(connection->handle))
            (void)poll(&wait, 1, -1);
        postgres__connection_turn(connection);
    }
}

/* --- the end --------------------------------------------------------------------------------------- */

void postgres__connection_lose(postgres__connection *connection)
{
    TIMS_CHECK_MAGIC(connection, POSTGRES_CONNECTION_MAGIC);
    if (connection->state == POSTGRES_LOST)
        return;
    bool was_ready = connection->state == POSTGRES_READY;
    connection->state = POSTGRES_LOST;
    tims_timer_clear(&connection->drain_timer);
    tims_poll_free(&connection->poll);
    PQfinish(connection->handle);
    connection->handle = NULL;
    for (; connection->entry_count > 0; postgres__entry_pop(connection))
        if (postgres__entry_at(connection, 0)->call != NULL)
            postgres__call_lose(postgres__entry_at(connection, 0)->call);
    PQclear(connection->culprit);
    connection->culprit = NULL;
    postgres__position_release(&connection->position);
    postgres__statements_lose(connection->statements, connection->slot);
    if (was_ready && connection->pool->loop != NULL) {
        connection->pool->ready_count--;
        postgres__pool_doubt(connection->pool);
    }
}

void postgres__connection_free(postgres__connection *connection)
{
    postgres__connection_lose(connection);
    if (connection->self[0] != NULL) {
        postgres__statements_drop(connection->statements);
        free(connection->statements);
    }
    postgres__parameters_free(&connection->parameters);
    free(connection->entries);
    free(connection->doomed);
    connection->magic = 0;
    free(connection);
}

postgres__connection *postgres__connection_new(postgres__pool *pool, uint32_t slot)
{
    postgres__connection *connection = calloc(1, sizeof *connection);
    TIMS_ASSERT(connection != NULL);
    connection->magic = POSTGRES_CONNECTION_MAGIC;
    connection->slot = slot;
    connection->pool = pool;
    connection->statements = &pool->statements;
    if (pool->loop == NULL) {
        connection->statements = calloc(1, sizeof *connection->statements);
        TIMS_ASSERT(connection->statements != NULL);
        connection->self[0] = connection;
        connection->statements->connections = connection->self;
        connection->statements->named = pool->statements.named;
    }
    return connection;
}
