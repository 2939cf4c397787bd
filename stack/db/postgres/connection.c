/* connection.c: one connection in libpq's pipeline mode, and the FIFO of what was sent on it.
 *
 * Everything sent is an entry; answers come in the same order, each ended by NULL but for a Sync's. An error
 * skips what was sent behind it up to the next Sync. Who waits for an answer is a call; one that stopped
 * waiting is taken out of its entries, and the answer is dropped when it comes: nobody else ever sees it. */
#include "postgres_internal.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

/* --- the FIFO ---------------------------------------------------------------------------------------- */

static postgres__entry *entry_at(postgres__connection *connection, uint32_t index)
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
        entries[i] = *entry_at(connection, i);
    free(connection->entries);
    connection->entries = entries;
    connection->entry_first = 0;
    connection->entry_capacity = capacity;
}

static bool push(postgres__connection *connection, postgres__entry_kind kind, postgres__call *call,
                 postgres__statement *statement)
{
    if (connection->entry_count == connection->entry_capacity)
        grow_entries(connection);
    if (connection->entry_count == 0)
        connection->waiting_since_us = now_us(connection);
    *entry_at(connection, connection->entry_count++) = (postgres__entry){ kind, false, call, statement };
    if (statement != NULL)
        statement->users++;
    if (call != NULL) {
        call->connection = connection;
        call->state = POSTGRES_CALL_SENT;
    }
    return true;
}

static void pop(postgres__connection *connection)
{
    postgres__entry *entry = entry_at(connection, 0);
    if (entry->statement != NULL)
        postgres__statement_release(entry->statement);
    connection->entry_first = (connection->entry_first + 1) & (connection->entry_capacity - 1);
    if (--connection->entry_count > 0)
        connection->waiting_since_us = now_us(connection);
}

/* --- calls ------------------------------------------------------------------------------------------- */

static void leave_entries(postgres__call *call)
{
    postgres__connection *connection = call->connection;
    for (uint32_t i = 0; i < connection->entry_count; i++)
        if (entry_at(connection, i)->call == call)
            entry_at(connection, i)->call = NULL;
    call->connection = NULL;
}

static void finish(postgres__call *call)
{
    if (call->connection != NULL)
        leave_entries(call);
    call->state = POSTGRES_CALL_DONE;
    if (call->fiber != NULL)
        tims_fiber_wake(call->fiber);
}

static void finish_with(postgres__call *call, PGresult *result)
{
    call->result = result;
    finish(call);
}

/* A few times: it is not its own fault. */
static bool may_try_again(postgres__call *call)
{
    enum { ATTEMPTS_MAX = 5 };
    return call->plain && call->attempts++ < ATTEMPTS_MAX;
}

static bool try_again(postgres__call *call)
{
    if (!may_try_again(call))
        return false;
    call->again = true;
    finish(call);
    return true;
}

static void finish_lost(postgres__call *call)
{
    enum { LOST_MAX = 2 };
    if (call->result != NULL) { /* a commit whose position is missing */
        finish(call);
        return;
    }
    call->lost_count++;
    if (call->lost_count < LOST_MAX && try_again(call))
        return;
    call->status = TIMS_UNAVAILABLE;
    finish(call);
}

void postgres__call_detach(postgres__call *call)
{
    if (call->state == POSTGRES_CALL_SENT)
        leave_entries(call);
    call->state = POSTGRES_CALL_NONE;
}

void postgres__call_leave_statement(postgres__call *call)
{
    if (call->statement != NULL)
        postgres__statement_release(call->statement);
    call->statement = NULL;
}

void postgres__call_renew(postgres__call *call)
{
    PQclear(call->result);
    call->result = NULL;
    call->status = TIMS_OK;
    call->stale = false;
    call->state = POSTGRES_CALL_NONE;
    postgres__call_leave_statement(call);
}

void postgres__call_reset(postgres__call *call)
{
    TIMS_ASSERT(call->state == POSTGRES_CALL_NONE || call->state == POSTGRES_CALL_DONE);
    postgres__call_leave_statement(call);
    PQclear(call->result);
    postgres__position_release(&call->position);
    *call = (postgres__call){ .fiber = call->fiber };
}

void postgres__position_release(postgres__position **pointer)
{
    postgres__position *position = *pointer;
    *pointer = NULL;
    if (position == NULL || --position->users > 0)
        return;
    PQclear(position->result);
    free(position);
}

tims_str postgres__position_text(const postgres__position *position)
{
    return (tims_str){ PQgetvalue(position->result, 0, 0), (size_t)PQgetlength(position->result, 0, 0) };
}

/* --- sending ----------------------------------------------------------------------------------------- */

static bool sent(postgres__connection *connection, int ok)
{
    if (TIMS_LIKELY(ok))
        return true;
    postgres__connection_lose(connection);
    return false;
}

static bool is_ready(const postgres__connection *connection)
{
    return connection->state == POSTGRES_READY;
}

/* In a transaction of its own: BEGIN must not find one that has done something. */
bool postgres__send_housekeeping(postgres__connection *connection)
{
    if (connection->doomed_count == 0)
        return true;
    while (connection->doomed_count > 0) {
        char sql[32];
        (void)snprintf(sql, sizeof sql, "DEALLOCATE s%u", connection->doomed[--connection->doomed_count]);
        if (!is_ready(connection) ||
            !sent(connection, PQsendQueryParams(connection->handle, sql, 0, NULL, NULL, NULL, NULL, 0)))
            return false;
        push(connection, POSTGRES_CONTROL, NULL, NULL);
    }
    return postgres__send_sync(connection, NULL);
}

/* Under no name: each that asks gets an answer of its own, whatever becomes of the others. */
static bool send_describe(postgres__connection *connection, postgres__statement *statement,
                          postgres__call *call)
{
    return sent(connection, PQsendPrepare(connection->handle, "", statement->text, 0, NULL)) &&
           push(connection, POSTGRES_PREPARE, call, statement) &&
           sent(connection, PQsendDescribePrepared(connection->handle, "")) &&
           push(connection, POSTGRES_DESCRIBE, call, statement);
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
    return push(connection, POSTGRES_PREPARE, call, statement);
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
    if (!is_ready(connection))
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
        finish(call);
        return true;
    }
    return send_prepare(connection, statement, call) &&
           send_execute(connection, statement, (int)call->value_count) &&
           push(connection, POSTGRES_EXECUTE, call, statement);
}

/* One without parameters, whose answer is `kind`: prepared like any other. */
static bool send_fixed(postgres__connection *connection, tims_str sql, postgres__entry_kind kind,
                       postgres__call *call)
{
    if (!is_ready(connection))
        return false;
    postgres__statement *statement = postgres__statement_get(connection->statements, sql);
    statement->described = true;
    bool ok = send_prepare(connection, statement, NULL) && send_execute(connection, statement, 0) &&
              push(connection, kind, call, statement);
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
    if (!is_ready(connection))
        return false;
    TIMS_ASSERT(connection->entry_count == 0);
    if (!sent(connection, PQexitPipelineMode(connection->handle) && PQsendQuery(connection->handle, sql)))
        return false;
    push(connection, POSTGRES_SCRIPT, call, NULL);
    return sent(connection, PQflush(connection->handle) >= 0);
}

/* Watches for room to write as long as something could not be written. */
static void watch(postgres__connection *connection, bool unwritten)
{
    if (connection->poll != NULL)
        tims_poll_set(connection->poll, TIMS_READABLE | (unwritten ? TIMS_WRITABLE : 0));
}

/* libpq takes a write to a closed socket for done, and may have closed its end: then no event would tell. */
static bool write_out(postgres__connection *connection)
{
    int left = PQflush(connection->handle);
    if (!sent(connection, left >= 0 && PQstatus(connection->handle) != CONNECTION_BAD))
        return false;
    watch(connection, left > 0);
    return true;
}

bool postgres__send_sync(postgres__connection *connection, postgres__call *call)
{
    if (!is_ready(connection) || !sent(connection, PQpipelineSync(connection->handle)))
        return false;
    connection->unsynced = false;
    push(connection, POSTGRES_SYNC, call, NULL);
    return write_out(connection);
}

bool postgres__send_flush(postgres__connection *connection)
{
    return is_ready(connection) && sent(connection, PQsendFlushRequest(connection->handle)) &&
           write_out(connection);
}

/* --- answers ----------------------------------------------------------------------------------------- */

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
    if (call == NULL || try_again(call))
        return;
    PGresult *culprit = connection->culprit;
    connection->culprit = NULL;
    if (culprit == NULL)
        call->status = TIMS_UNAVAILABLE;
    finish_with(call, culprit);
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
        finish(call);
        return;
    }
    call->result = result;
    call->stale = stale;
    if (stale && may_try_again(call)) {
        postgres__call_renew(call);
        call->again = true;
    }
    finish(call);
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
    finish(call);
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
    finish(call);
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
        PQclear(connection->culprit);
        connection->culprit = NULL;
        postgres__position_release(&connection->position);
        pop(connection);
        if (call != NULL)
            finish(call);
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
            finish(call);
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
    postgres__entry entry = *entry_at(connection, 0);
    if (entry.kind == POSTGRES_SCRIPT) {
        if (!sent(connection, PQenterPipelineMode(connection->handle)))
            return;
        if (entry.call != NULL)
            finish(entry.call);
    }
    pop(connection);
}

static void deliver(postgres__connection *connection)
{
    int empty = 0;
    while (is_ready(connection) && connection->entry_count > 0 && !PQisBusy(connection->handle)) {
        PGresult *result = PQgetResult(connection->handle);
        postgres__entry *entry = entry_at(connection, 0);
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

void postgres__connection_turn(postgres__connection *connection)
{
    if (!is_ready(connection))
        return;
    bool alive = PQconsumeInput(connection->handle) != 0;
    deliver(connection);
    if (!is_ready(connection))
        return;
    if (!alive || PQstatus(connection->handle) == CONNECTION_BAD)
        postgres__connection_lose(connection);
    else
        (void)write_out(connection);
}

void postgres__connection_block(postgres__connection *connection, const postgres__call *call)
{
    while (is_ready(connection) &&
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

/* --- the end ----------------------------------------------------------------------------------------- */

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
    for (; connection->entry_count > 0; pop(connection))
        if (entry_at(connection, 0)->call != NULL)
            finish_lost(entry_at(connection, 0)->call);
    PQclear(connection->culprit);
    connection->culprit = NULL;
    postgres__position_release(&connection->position);
    postgres__statements_lose(connection->statements, connection->slot);
    if (was_ready && connection->pool->loop != NULL)
        connection->pool->ready_count--;
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
