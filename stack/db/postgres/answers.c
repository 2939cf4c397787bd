/* answers.c: what the server says, in the order in which it was asked.
 *
 * Each answer is ended by NULL but for a Sync's. An error skips what was sent behind it up to the next Sync:
 * who waits for that is told to send it again, or, inside of a transaction or a snapshot, what the culprit
 * was. */
#include "postgres_internal.h"

#include <stdlib.h>

static void describe(postgres__statement *statement, const PGresult *result)
{
    if (statement->described)
        return;
    int count = PQnparams(result);
    Oid *parameters = malloc(((size_t)count + 1) * sizeof *parameters);
    TIMS_ASSERT(parameters != NULL);
    for (int i = 0; i < count; i++)
        parameters[i] = PQparamtype(result, i);
    statement->parameters = parameters;
    statement->parameter_count = (size_t)count;
    statement->described = true;
}

static void keep_culprit(postgres__connection *connection, PGresult *result)
{
    if (connection->culprit == NULL)
        connection->culprit = result;
    else
        PQclear(result);
}

/* It was skipped: another one had failed before it. */
static void skipped(postgres__connection *connection, postgres__call *call)
{
    if (call == NULL || postgres__call_try_again(call))
        return;
    PGresult *culprit = connection->culprit;
    connection->culprit = NULL;
    if (culprit == NULL)
        call->status = TIMS_UNAVAILABLE;
    call->result = culprit;
    postgres__call_finish(call);
}

static void failed(postgres__connection *connection, postgres__entry *entry, PGresult *result)
{
    postgres__call *call = entry->call;
    postgres__statement *statement = entry->statement;
    if (entry->kind == POSTGRES_PREPARE)
        statement->prepared_on &= ~((uint64_t)1 << connection->slot);
    if (PQresultStatus(result) == PGRES_PIPELINE_ABORTED) {
        PQclear(result);
        if (entry->kind != POSTGRES_PREPARE) /* what follows it is skipped as well */
            skipped(connection, call);
        return;
    }
    bool stale = statement != NULL && statement->described && postgres__is_stale(result);
    if (statement != NULL && (stale || !statement->described))
        postgres__statement_forget(connection->statements, statement);
    if (call == NULL) {
        keep_culprit(connection, result);
        return;
    }
    if (call->result != NULL) { /* what it asked for has been done; there is just no position */
        PQclear(result);
        postgres__call_finish(call);
        return;
    }
    call->result = result;
    call->stale = stale;
    if (stale && postgres__call_may_try_again(call)) {
        postgres__call_renew(call);
        call->again = true;
    }
    postgres__call_finish(call);
}

static void share_position(const postgres__connection *connection, postgres__call *call)
{
    call->position = connection->position;
    call->position->users++;
}

/* The answer to a COMMIT is kept until the position behind it has come. */
static void executed(postgres__connection *connection, const postgres__entry *entry, PGresult *result)
{
    postgres__call *call = entry->call;
    if (call == NULL) {
        PQclear(result);
        return;
    }
    call->result = result;
    if (call->wants_position && entry->kind == POSTGRES_CONTROL)
        return;
    if (call->wants_position && connection->position != NULL)
        share_position(connection, call);
    postgres__call_finish(call);
}

static void noted_position(postgres__connection *connection, postgres__call *call, PGresult *result)
{
    postgres__position_release(&connection->position);
    connection->position = malloc(sizeof *connection->position);
    TIMS_ASSERT(connection->position != NULL);
    *connection->position = (postgres__position){ 1, result };
    if (call == NULL)
        return;
    share_position(connection, call);
    postgres__call_finish(call);
}

/* Its results up to the first error are of no interest. */
static void script_result(postgres__connection *connection, postgres__call *call, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
        PQclear(result); /* nobody here would feed it */
        postgres__connection_lose(connection);
    } else if (call != NULL && call->result == NULL && postgres__is_error(result)) {
        call->result = result;
    } else {
        PQclear(result);
    }
}

/* An error inside of an explicit BEGIN leaves a transaction that only waits to be ended. */
static void synced(postgres__connection *connection, postgres__call *call, bool ends_reads)
{
    PQclear(connection->culprit);
    connection->culprit = NULL;
    postgres__position_release(&connection->position);
    postgres__entry_pop(connection);
    if (call != NULL)
        postgres__call_finish(call);
    if (ends_reads && PQtransactionStatus(connection->handle) == PQTRANS_INERROR)
        (void)(postgres__send_control(connection, "ROLLBACK", NULL) && postgres__send_sync(connection, NULL));
}

static void take_result(postgres__connection *connection, postgres__entry *entry, PGresult *result)
{
    postgres__call *call = entry->call;
    entry->answered = true;
    if (postgres__is_fatal(result)) {
        PQclear(result);
        postgres__connection_lose(connection);
        return;
    }
    switch (entry->kind) {
    case POSTGRES_SCRIPT:
        script_result(connection, call, result);
        return;
    case POSTGRES_SYNC:
        PQclear(result);
        synced(connection, call, entry->ends_reads);
        return;
    default:
        break;
    }
    if (TIMS_UNLIKELY(postgres__is_error(result) || PQresultStatus(result) == PGRES_EMPTY_QUERY)) {
        failed(connection, entry, result);
        return;
    }
    switch (entry->kind) {
    case POSTGRES_DESCRIBE:
        describe(entry->statement, result);
        PQclear(result);
        if (call != NULL) {
            call->again = true;
            postgres__call_finish(call);
        }
        return;
    case POSTGRES_POSITION:
        noted_position(connection, call, result);
        return;
    case POSTGRES_PREPARE:
        PQclear(result);
        return;
    default:
        executed(connection, entry, result);
        return;
    }
}

static void end_of_answer(postgres__connection *connection)
{
    postgres__entry entry = *postgres__entry_at(connection, 0);
    if (entry.kind == POSTGRES_SCRIPT) {
        if (!PQenterPipelineMode(connection->handle)) {
            postgres__connection_lose(connection);
            return;
        }
        if (entry.call != NULL)
            postgres__call_finish(entry.call);
    }
    postgres__entry_pop(connection);
}

/* When libpq finds its socket closed it forgets what it has sent, but reads on in what it has received: it
 * takes a row's description for the whole of an answer then, and a read would find nothing where there is
 * something. So the first sign that the connection is gone is the end of what is believed. */
static bool may_be_believed(postgres__connection *connection)
{
    if (TIMS_LIKELY(PQstatus(connection->handle) != CONNECTION_BAD))
        return true;
    postgres__connection_lose(connection);
    return false;
}

void postgres__deliver(postgres__connection *connection)
{
    int empty = 0;
    while (postgres__is_ready(connection) && connection->entry_count > 0 && may_be_believed(connection) &&
           !PQisBusy(connection->handle)) {
        PGresult *result = PQgetResult(connection->handle);
        postgres__entry *entry = postgres__entry_at(connection, 0);
        if (TIMS_LIKELY(result != NULL)) {
            empty = 0;
            take_result(connection, entry, result);
        } else if (entry->answered) {
            end_of_answer(connection);
        } else if (++empty > 1) { /* nothing is on its way for what was sent */
            postgres__connection_lose(connection);
        }
    }
}
