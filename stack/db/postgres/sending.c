/* sending.c: what is sent on a connection: into libpq's buffer first, to the server with a Sync or a flush,
 * so that what belongs together is one write. */
#include "postgres_internal.h"

#include <stdio.h>

static bool sent(postgres__connection *connection, int ok)
{
    if (TIMS_LIKELY(ok))
        return true;
    postgres__connection_lose(connection);
    return false;
}

/* In a transaction of its own: BEGIN must not find one that has done something. */
bool postgres__send_housekeeping(postgres__connection *connection)
{
    if (connection->doomed_count == 0)
        return true;
    while (connection->doomed_count > 0) {
        char sql[32];
        (void)snprintf(sql, sizeof sql, "DEALLOCATE s%u", connection->doomed[--connection->doomed_count]);
        if (!postgres__is_ready(connection) ||
            !sent(connection, PQsendQueryParams(connection->handle, sql, 0, NULL, NULL, NULL, NULL, 0)))
            return false;
        postgres__entry_push(connection, POSTGRES_CONTROL, NULL, NULL);
    }
    return postgres__send_sync(connection, NULL);
}

/* Under no name: each that asks gets an answer of its own, whatever becomes of the others. */
static bool send_describe(postgres__connection *connection, postgres__statement *statement,
                          postgres__call *call)
{
    return sent(connection, PQsendPrepare(connection->handle, "", statement->text, 0, NULL)) &&
           postgres__entry_push(connection, POSTGRES_PREPARE, call, statement) &&
           sent(connection, PQsendDescribePrepared(connection->handle, "")) &&
           postgres__entry_push(connection, POSTGRES_DESCRIBE, call, statement);
}

static bool send_prepare(postgres__connection *connection, postgres__statement *statement,
                         postgres__call *call)
{
    uint64_t bit = (uint64_t)1 << connection->slot;
    if (TIMS_LIKELY((statement->prepared_on & bit) != 0) || !connection->statements->named)
        return true;
    if (!sent(connection, PQsendPrepare(connection->handle, statement->name, statement->text,
                                        (int)statement->parameter_count, statement->parameters)))
        return false;
    statement->prepared_on |= bit;
    return postgres__entry_push(connection, POSTGRES_PREPARE, call, statement);
}

static bool send_execute(postgres__connection *connection, const postgres__statement *statement, int count)
{
    const postgres__parameters *p = &connection->parameters;
    const char *const *values = p->values;
    if (connection->statements->named)
        return sent(connection, PQsendQueryPrepared(connection->handle, statement->name, count, values,
                                                    p->lengths, p->formats, 1));
    return sent(connection, PQsendQueryParams(connection->handle, statement->text, count,
                                              statement->parameters, values, p->lengths, p->formats, 1));
}

bool postgres__send_call(postgres__connection *connection, postgres__call *call)
{
    if (!postgres__is_ready(connection))
        return false;
    if (call->statement == NULL)
        call->statement = postgres__statement_get(connection->statements, call->sql);
    postgres__statement *statement = call->statement;
    call->again = false;
    if (TIMS_UNLIKELY(!statement->described))
        return send_describe(connection, statement, call);
    call->status =
        postgres__encode(&connection->parameters, statement, call->values, call->value_count, call->err);
    if (TIMS_UNLIKELY(call->status != TIMS_OK)) {
        postgres__call_finish(call);
        return true;
    }
    return send_prepare(connection, statement, call) &&
           send_execute(connection, statement, (int)call->value_count) &&
           postgres__entry_push(connection, POSTGRES_EXECUTE, call, statement);
}

/* One without parameters, whose answer is `kind`: prepared like any other. */
static bool send_fixed(postgres__connection *connection, tims_str sql, postgres__entry_kind kind,
                       postgres__call *call)
{
    if (!postgres__is_ready(connection))
        return false;
    postgres__statement *statement = postgres__statement_get(connection->statements, sql);
    statement->described = true;
    bool ok = send_prepare(connection, statement, NULL) && send_execute(connection, statement, 0) &&
              postgres__entry_push(connection, kind, call, statement);
    postgres__statement_release(statement);
    return ok;
}

bool postgres__send_control(postgres__connection *connection, const char *sql, postgres__call *call)
{
    return send_fixed(connection, tims_str_from(sql), POSTGRES_CONTROL, call);
}

bool postgres__send_position(postgres__connection *connection, postgres__call *call)
{
    return send_fixed(connection, TIMS_STR(POSTGRES_POSITION_SQL), POSTGRES_POSITION, call);
}

/* The pipeline is left for it, so everything before it must have been answered. */
bool postgres__send_script(postgres__connection *connection, const char *sql, postgres__call *call)
{
    if (!postgres__is_ready(connection))
        return false;
    TIMS_ASSERT(connection->entry_count == 0);
    if (!sent(connection, PQexitPipelineMode(connection->handle) && PQsendQuery(connection->handle, sql)))
        return false;
    postgres__entry_push(connection, POSTGRES_SCRIPT, call, NULL);
    return sent(connection, PQflush(connection->handle) >= 0);
}

/* Watches for room to write as long as something could not be written. */
static void watch(postgres__connection *connection, bool unwritten)
{
    if (connection->poll != NULL)
        tims_poll_set(connection->poll, TIMS_READABLE | (unwritten ? TIMS_WRITABLE : 0));
}

/* libpq takes a write to a closed socket for done, and may have closed its end: then no event would tell. */
bool postgres__write_out(postgres__connection *connection)
{
    int left = PQflush(connection->handle);
    if (!sent(connection, left >= 0 && PQstatus(connection->handle) != CONNECTION_BAD))
        return false;
    watch(connection, left > 0);
    return true;
}

bool postgres__send_sync(postgres__connection *connection, postgres__call *call)
{
    if (!postgres__is_ready(connection) || !sent(connection, PQpipelineSync(connection->handle)))
        return false;
    connection->unsynced = false;
    postgres__entry_push(connection, POSTGRES_SYNC, call, NULL);
    postgres__entry_at(connection, connection->entry_count - 1)->ends_reads = connection->explicit_reads;
    connection->explicit_reads = false;
    return postgres__write_out(connection);
}

bool postgres__send_flush(postgres__connection *connection)
{
    return postgres__is_ready(connection) && sent(connection, PQsendFlushRequest(connection->handle)) &&
           postgres__write_out(connection);
}
