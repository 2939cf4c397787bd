/* transaction.c: transactions and savepoints: a connection of one's own, from begin to commit.
 *
 * BEGIN is sent with the first statement, a savepoint with the next one. PostgreSQL gives a transaction up
 * when one of its statements fails; SQLite does not, and the rooms above rely on that: a violated constraint
 * is looked into, or stepped around. As long as it has only read, a transaction that failed is just begun
 * again. From its first write on, each further statement that does more than read is sent between a savepoint
 * and its release, in the same write to the socket; when it fails, it alone is undone.
 *
 * A rollback is sent and not waited for: what is sent next on the connection comes after it. */
#include "postgres_internal.h"

#include <stdio.h>
#include <string.h>

static const char failed_why[] = "a statement of the transaction has failed, only a rollback helps";

static tims_status lost(postgres__session *session, tims_error *err)
{
    session->base.broken = TIMS_UNAVAILABLE;
    session->base.broken_why = "The connection to the database was lost; the transaction was rolled back.";
    return postgres__fail_lost(err);
}

/* Rolls back, whatever is under way, and lets the connection go. */
static void give_up(postgres__session *session, tims_status rows_status)
{
    postgres__connection *connection = session->transaction;
    tims_timer_clear(&session->held_timer);
    postgres__rows_cut(session, connection, rows_status);
    postgres__call_leave_statement(&session->call);
    session->transaction = NULL;
    if (session->begun && postgres__send_control(connection, "ROLLBACK", NULL))
        (void)postgres__send_sync(connection, NULL);
    postgres__pool_give(session->pool, connection);
}

static tims_status fail_broken(const postgres__session *session, tims_error *err)
{
    return tims_fail(err, session->base.broken, NULL, "%s", session->base.broken_why);
}

/* It waits for something else, or for a statement that takes too long. */
static void on_held_too_long(void *argument)
{
    postgres__session *session = argument;
    TIMS_ASSERT(session->base.magic == DB_SESSION_MAGIC);
    postgres__call *call = &session->call;
    session->base.broken = TIMS_TIMEOUT;
    session->base.broken_why = "The transaction was held for too long and was rolled back.";
    tims_log(TIMS_LOG_WARN, "db", "event=transaction_too_long max_ms=%lld",
             (long long)session->store->transaction_max_ms);
    if (call->state == POSTGRES_CALL_SENT && call->connection == session->transaction) {
        postgres__call_detach(call);
        call->state = POSTGRES_CALL_DONE;
        call->status = TIMS_TIMEOUT;
        tims_fiber_wake(call->fiber);
    }
    give_up(session, TIMS_TIMEOUT);
}

static void limit_hold(postgres__session *session)
{
    if (session->base.loop != NULL)
        tims_timer_set(session->base.loop, &session->held_timer, session->store->transaction_max_ms,
                       on_held_too_long, session);
}

/* A connection that has lain idle may have been lost without anybody knowing. If nothing has been done on it,
 * the transaction starts again on another one: nothing of it can have been committed. */
static bool retake(postgres__session *session)
{
    postgres__connection *former = session->transaction;
    if (!session->fresh)
        return false;
    session->fresh = session->begun = false;
    tims_timer_clear(&session->held_timer);
    if (postgres__pool_take(session->pool, &session->transaction, NULL) != TIMS_OK)
        return false;
    postgres__call_leave_statement(&session->call);
    postgres__pool_give(session->pool, former);
    limit_hold(session);
    return true;
}

/* --- begin and end --------------------------------------------------------------------------------- */

tims_status postgres__begin(tims_db_session *base, bool schema, tims_error *err)
{
    postgres__session *session = (postgres__session *)base;
    TIMS_ASSERT(!schema || base->loop == NULL);
    tims_status status = postgres__pool_take(session->pool, &session->transaction, err);
    if (status != TIMS_OK)
        return status;
    session->begun = session->failed = session->dirty = false;
    session->fresh = true;
    session->schema = schema;
    limit_hold(session);
    return TIMS_OK;
}

static bool send_begin(postgres__session *session)
{
    postgres__connection *connection = session->transaction;
    if (session->begun)
        return true;
    bool ok = postgres__send_housekeeping(connection) &&
              postgres__send_control(connection, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", NULL);
    if (ok && session->schema) {
        char sql[64];
        (void)snprintf(sql, sizeof sql, "SET LOCAL lock_timeout = %lld",
                       (long long)session->store->lock_timeout_ms);
        ok = postgres__send_control(connection, sql, NULL);
    }
    session->begun = ok;
    return ok;
}

static tims_status fail_failed(const postgres__session *session, tims_error *err)
{
    tims_status status = tims_fail(err, TIMS_INTERNAL, NULL, "%s", tims_status_text(TIMS_INTERNAL));
    tims_error_detail(err, "%s: %.*s", failed_why, TIMS_PRINT(session->call.sql));
    return status;
}

/* What is durable is not told otherwise because somebody lost patience. */
static tims_status wait_shielded(postgres__session *session, postgres__connection *connection,
                                 tims_error *err)
{
    bool on_loop = session->base.loop != NULL;
    bool shielded = on_loop && tims_fiber_shield(true);
    tims_status status = postgres__session_wait(session, connection, err);
    if (on_loop)
        (void)tims_fiber_shield(shielded);
    return status;
}

static tims_status commit_outcome(postgres__session *session, tims_error *err)
{
    PGresult *result = NULL;
    tims_status status = postgres__session_outcome(session, &result, err);
    if (status == TIMS_UNAVAILABLE && session->call.status == TIMS_UNAVAILABLE) {
        status =
            tims_fail(err, TIMS_UNAVAILABLE, "database",
                      "The connection to the database was lost during the commit; whether it was done is "
                      "not known.");
        if (err != NULL)
            err->retry_after_s = 1;
    }
    if (status == TIMS_OK && strcmp(PQcmdStatus(result), "COMMIT") != 0)
        status = fail_failed(session, err); /* PostgreSQL answers a failed one's COMMIT with ROLLBACK */
    PQclear(result);
    return status;
}

tims_status postgres__commit(tims_db_session *base, tims_error *err)
{
    postgres__session *session = (postgres__session *)base;
    postgres__connection *connection = session->transaction;
    if (session->failed) {
        give_up(session, TIMS_OK);
        return fail_failed(session, err);
    }
    tims_timer_clear(&session->held_timer);
    postgres__rows_cut(session, connection, TIMS_OK);
    session->transaction = NULL;
    tims_status status = TIMS_OK;
    bool begun = session->begun;
    if (begun) {
        postgres__call *call = postgres__session_call(session, TIMS_STR("COMMIT"), NULL, 0, err);
        call->wants_position = true;
        if (postgres__send_control(connection, "COMMIT", call) && postgres__send_position(connection, call) &&
            postgres__send_sync(connection, NULL))
            status = wait_shielded(session, connection, err);
        else
            call->status = TIMS_UNAVAILABLE;
        if (status == TIMS_OK)
            status = commit_outcome(session, err);
    }
    postgres__pool_give(session->pool, connection);
    if (status == TIMS_OK && begun) {
        session->committed = session->call.position;
        session->call.position = NULL;
        postgres__tell_commit(session->store);
    }
    return status;
}

void postgres__rollback(tims_db_session *base)
{
    postgres__session *session = (postgres__session *)base;
    if (session->transaction != NULL)
        give_up(session, TIMS_OK);
}

/* --- statements ------------------------------------------------------------------------------------ */

static tims_status check(postgres__session *session, tims_error *err)
{
    if (session->failed)
        return fail_failed(session, err);
    if (session->transaction->state != POSTGRES_READY && !retake(session))
        return lost(session, err);
    return TIMS_OK;
}

static bool send_guarded(postgres__session *session, bool *ret_guarded)
{
    postgres__connection *connection = session->transaction;
    postgres__call *call = &session->call;
    if (call->statement == NULL)
        call->statement = postgres__statement_get(connection->statements, call->sql);
    bool guarded = session->dirty && !call->statement->reads && call->statement->described;
    *ret_guarded = guarded;
    return (!guarded || postgres__send_control(connection, "SAVEPOINT statement", NULL)) &&
           postgres__send_call(connection, call) &&
           (!guarded || postgres__send_control(connection, "RELEASE statement", NULL)) &&
           postgres__send_sync(connection, NULL);
}

/* After an error of the server's. */
static void undo_statement(postgres__session *session, bool guarded)
{
    postgres__connection *connection = session->transaction;
    if (guarded) {
        session->failed = !postgres__send_control(connection, "ROLLBACK TO statement", NULL) ||
                          !postgres__send_control(connection, "RELEASE statement", NULL);
    } else if (!session->dirty) {
        session->failed =
            !postgres__send_control(connection, "ROLLBACK", NULL) || !postgres__send_sync(connection, NULL);
        session->begun = false;
    } else {
        session->failed = true;
    }
}

/* One round: OK when the call has been answered, or is to be sent again. */
static tims_status run_once(postgres__session *session, bool *ret_guarded, tims_error *err)
{
    postgres__connection *connection = session->transaction;
    postgres__call *call = &session->call;
    tims_status status = TIMS_OK;
    if (!send_begin(session) || !send_guarded(session, ret_guarded))
        call->status = TIMS_UNAVAILABLE;
    else
        status = postgres__session_wait(session, connection, err);
    if (session->transaction == NULL) /* it was taken away meanwhile */
        return fail_broken(session, err);
    if (status != TIMS_OK) {
        session->failed = true;
        return status;
    }
    if (TIMS_LIKELY(call->status != TIMS_UNAVAILABLE)) {
        session->fresh = false;
        return TIMS_OK;
    }
    if (!retake(session))
        return lost(session, err);
    postgres__call_renew(call);
    call->again = true;
    return TIMS_OK;
}

tims_status postgres__transaction_run(postgres__session *session, PGresult **ret_result, tims_error *err)
{
    postgres__call *call = &session->call;
    bool guarded = false, renewed = false;
    tims_status status = check(session, err);
    while (status == TIMS_OK) {
        status = run_once(session, &guarded, err);
        if (status != TIMS_OK || call->again)
            continue;
        if (call->result != NULL && postgres__is_error(call->result))
            undo_statement(session, guarded);
        else if (call->result != NULL)
            session->dirty = session->dirty || !call->statement->reads;
        if (!call->stale || session->failed || renewed)
            return postgres__session_outcome(session, ret_result, err);
        renewed = true;
        postgres__call_renew(call);
    }
    return status;
}

/* --- savepoints: of the same name, the innermost is meant ------------------------------------------ */

static tims_status send_inside(postgres__session *session, const char *sql, tims_error *err)
{
    tims_status status = check(session, err);
    if (status != TIMS_OK)
        return status;
    session->fresh = false;
    session->dirty = true; /* BEGIN alone would not make it again */
    if (!send_begin(session) || !postgres__send_control(session->transaction, sql, NULL))
        return lost(session, err);
    return TIMS_OK;
}

tims_status postgres__savepoint(tims_db_session *session, tims_error *err)
{
    return send_inside((postgres__session *)session, "SAVEPOINT part", err);
}

tims_status postgres__savepoint_release(tims_db_session *session, tims_error *err)
{
    return send_inside((postgres__session *)session, "RELEASE part", err);
}

/* Everything before has been answered with a Sync, so the pipeline takes commands again. */
void postgres__savepoint_rollback(tims_db_session *base)
{
    postgres__session *session = (postgres__session *)base;
    if (session->transaction == NULL)
        return;
    session->failed = false;
    tims_error ignored = { 0 };
    if (send_inside(session, "ROLLBACK TO part", &ignored) == TIMS_OK)
        (void)!send_inside(session, "RELEASE part", &ignored);
}

/* --- scripts --------------------------------------------------------------------------------------- */

/* The pipeline takes one statement at a time; the simple protocol takes them all, once everything that was
 * sent before has been answered. */
static tims_status run_script(postgres__session *session, const char *sql, tims_error *err)
{
    postgres__connection *connection = session->transaction;
    postgres__call *call = &session->call;
    session->dirty = true;
    bool ok = send_begin(session) && postgres__send_sync(connection, call);
    if (!ok && call->state != POSTGRES_CALL_DONE)
        return lost(session, err);
    tims_status status = postgres__session_wait(session, connection, err);
    if (status == TIMS_OK && session->transaction != NULL && call->status == TIMS_OK) {
        ok = postgres__send_script(connection, sql, call);
        if (!ok && call->state != POSTGRES_CALL_DONE)
            return lost(session, err);
        status = postgres__session_wait(session, connection, err);
    }
    if (session->transaction == NULL)
        return fail_broken(session, err);
    if (status != TIMS_OK)
        session->failed = true;
    else if (call->status != TIMS_OK)
        return lost(session, err);
    return status;
}

tims_status postgres__script(tims_db_session *base, tims_str sql, tims_error *err)
{
    postgres__session *session = (postgres__session *)base;
    const char *text = tims_copy_c(base->arena, sql);
    postgres__call *call = postgres__session_call(session, sql, NULL, 0, err);
    tims_status status = check(session, err);
    if (status == TIMS_OK)
        status = run_script(session, text, err);
    if (status != TIMS_OK || call->result == NULL)
        return status;
    session->failed = true;
    PGresult *ignored = NULL;
    return postgres__session_outcome(session, &ignored, err);
}

/* --- what no transaction can hold ------------------------------------------------------------------ */

static tims_status run_alone(postgres__session *session, postgres__connection *connection, const char *sql,
                             tims_error *err)
{
    postgres__call *call = postgres__session_call(session, tims_str_from(sql), NULL, 0, err);
    if (!postgres__send_script(connection, sql, call) && call->state != POSTGRES_CALL_DONE)
        return postgres__fail_lost(err);
    tims_status status = postgres__session_wait(session, connection, err);
    if (status != TIMS_OK || (call->status == TIMS_OK && call->result == NULL))
        return status;
    PGresult *ignored = NULL;
    return postgres__session_outcome(session, &ignored, err);
}

/* On a connection that is closed afterwards, for it may write by itself. */
tims_status postgres__script_alone(tims_db_session *base, tims_str sql, tims_error *err)
{
    postgres__session *session = (postgres__session *)base;
    const char *text = tims_copy_c(base->arena, sql);
    postgres__connection *connection;
    tims_status status = postgres__pool_take(session->pool, &connection, err);
    if (status != TIMS_OK)
        return status;
    if (connection->statements->named)
        status = run_alone(session, connection,
                           "SET default_transaction_read_only = off;"
                           "SET default_transaction_isolation = 'read committed'",
                           err);
    if (status == TIMS_OK)
        status = run_alone(session, connection, text, err);
    postgres__connection_lose(connection);
    postgres__pool_give(session->pool, connection);
    return status;
}
