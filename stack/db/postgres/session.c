/* session.c: what one scope has open, and where its statements run.
 *
 * A snapshot is an implicit transaction of the pipeline: from its first statement on it has a connection, on
 * which no Sync is sent until it ends, so it costs no BEGIN and no COMMIT. Its position travels with that
 * first statement. One that is said to have a single statement does not need a connection: it is read like
 * a plain one, together with others. */
#include "postgres_internal.h"

void postgres__session_start(tims_db_session *base)
{
    postgres__session *session = (postgres__session *)base;
    session->store = (postgres__store *)base->db;
    session->pool = postgres__pool_of(session->store, base->loop);
}

void postgres__session_end(tims_db_session *base)
{
    postgres__session *session = (postgres__session *)base;
    TIMS_ASSERT(session->snapshot == NULL && session->transaction == NULL);
    tims_timer_clear(&session->held_timer);
    postgres__call_reset(&session->call);
    postgres__position_release(&session->position);
    postgres__position_release(&session->committed);
}

/* --- one statement --------------------------------------------------------------------------------- */

postgres__call *postgres__session_call(postgres__session *session, tims_str sql, const tims_db_value *values,
                                       size_t count, tims_error *err)
{
    postgres__call *call = &session->call;
    postgres__call_reset(call);
    postgres__position_release(&session->committed);
    call->sql = sql;
    call->values = values;
    call->value_count = count;
    call->err = err;
    call->fiber = session->base.loop != NULL ? tims_fiber_self() : NULL;
    TIMS_ASSERT(session->base.loop == NULL || call->fiber != NULL);
    return call;
}

tims_status postgres__session_wait(postgres__session *session, postgres__connection *connection,
                                   tims_error *err)
{
    postgres__call *call = &session->call;
    if (call->fiber == NULL) {
        postgres__connection_block(connection, call);
        return TIMS_OK;
    }
    while (call->state == POSTGRES_CALL_SENT) {
        tims_status status = tims_fiber_suspend();
        if (TIMS_UNLIKELY(status != TIMS_OK)) {
            postgres__call_detach(call);
            return tims_fail(err, status, NULL, "%s", tims_status_text(status));
        }
    }
    return TIMS_OK;
}

tims_status postgres__session_outcome(postgres__session *session, PGresult **ret_result, tims_error *err)
{
    postgres__call *call = &session->call;
    if (TIMS_UNLIKELY(call->status != TIMS_OK)) {
        if (call->status != TIMS_UNAVAILABLE)
            return call->status; /* a value that cannot be sent: said where it was seen */
        return session->pool->loop != NULL && postgres__pool_is_down(session->pool)
                   ? postgres__fail_down(session->pool, err)
                   : postgres__fail_lost(err);
    }
    if (TIMS_UNLIKELY(call->stale)) /* what reads it again finds it prepared anew */
        return postgres__fail_stale(err);
    PGresult *result = call->result;
    call->result = NULL;
    TIMS_ASSERT(result != NULL);
    if (TIMS_UNLIKELY(postgres__is_error(result) || PQresultStatus(result) == PGRES_EMPTY_QUERY))
        return postgres__fault(result, call->sql, session->base.arena, err);
    *ret_result = result;
    return TIMS_OK;
}

static tims_status run_plain(postgres__session *session, PGresult **ret_result, tims_error *err)
{
    tims_status status = postgres__read(session->pool, &session->call, err);
    return status == TIMS_OK ? postgres__session_outcome(session, ret_result, err) : status;
}

/* --- snapshots ------------------------------------------------------------------------------------- */

tims_status postgres__snapshot(tims_db_session *base, tims_error *err)
{
    (void)err;
    postgres__session *session = (postgres__session *)base;
    session->last = session->snapshot_done = session->snapshot_failed = false;
    session->memo = 0;
    return TIMS_OK;
}

void postgres__snapshot_end(tims_db_session *base)
{
    postgres__session *session = (postgres__session *)base;
    postgres__connection *connection = session->snapshot;
    postgres__position_release(&session->position);
    session->last = false;
    if (connection == NULL)
        return;
    postgres__rows_cut(session, connection, TIMS_OK);
    postgres__call_leave_statement(&session->call);
    session->snapshot = NULL;
    if (!connection->statements->named)
        (void)postgres__send_control(connection, "COMMIT", NULL);
    if (connection->unsynced)
        (void)postgres__send_sync(connection, NULL);
    postgres__pool_give(session->pool, connection);
}

int64_t *postgres__snapshot_memo(tims_db_session *base)
{
    return &((postgres__session *)base)->memo;
}

void postgres__hint_last(tims_db_session *base)
{
    ((postgres__session *)base)->last = base->snapshot_depth > 0;
}

static tims_status start_snapshot(postgres__session *session, tims_error *err)
{
    postgres__connection *connection;
    tims_status status = postgres__pool_take(session->pool, &connection, err);
    if (status != TIMS_OK)
        return status;
    session->snapshot = connection;
    bool ok = postgres__send_housekeeping(connection); /* with a Sync of its own */
    connection->unsynced = true;
    connection->explicit_reads = !connection->statements->named;
    if (connection->explicit_reads)
        ok = ok && postgres__send_control(connection, POSTGRES_BEGIN_READ_SQL, NULL);
    (void)(ok && postgres__send_position(connection, NULL)); /* what follows finds a lost connection */
    return TIMS_OK;
}

static tims_status fail_snapshot(const postgres__session *session, tims_error *err)
{
    tims_status status = tims_fail(err, TIMS_INTERNAL, NULL, "%s", tims_status_text(TIMS_INTERNAL));
    tims_error_detail(err, "%s: %.*s",
                      session->snapshot_failed
                          ? "the snapshot ended with a statement that failed"
                          : "the snapshot ended with what was said to be its last statement",
                      TIMS_PRINT(session->call.sql));
    return status;
}

static void note_position(postgres__session *session, postgres__position *position)
{
    if (session->position != NULL || position == NULL)
        return;
    session->position = position;
    position->users++;
}

/* The Sync goes with the last statement, unless that one must first be described. */
static tims_status send_in_snapshot(postgres__session *session, tims_error *err)
{
    postgres__connection *connection = session->snapshot;
    postgres__call *call = &session->call;
    bool ok = postgres__send_call(connection, call);
    bool ends = session->last && ok && call->statement->described && connection->statements->named;
    ok = ok && (ends ? postgres__send_sync(connection, NULL) : postgres__send_flush(connection));
    session->snapshot_done = ends;
    if (ok)
        return postgres__session_wait(session, connection, err);
    call->status = TIMS_UNAVAILABLE;
    return TIMS_OK;
}

/* A connection that has lain idle may have been lost without anybody knowing; before the first statement has
 * been answered another one is as good. */
static tims_status run_in_snapshot(postgres__session *session, PGresult **ret_result, tims_error *err)
{
    postgres__call *call = &session->call;
    bool fresh = session->snapshot == NULL;
    tims_status status = fresh ? start_snapshot(session, err) : TIMS_OK;
    while (status == TIMS_OK) {
        status = send_in_snapshot(session, err);
        if (status != TIMS_OK || call->again)
            continue;
        if (call->status != TIMS_UNAVAILABLE || !fresh) {
            note_position(session, session->snapshot->position);
            return postgres__session_outcome(session, ret_result, err);
        }
        fresh = false;
        postgres__call_renew(call);
        postgres__pool_give(session->pool, session->snapshot);
        session->snapshot = NULL;
        status = start_snapshot(session, err);
    }
    return status;
}

static tims_status run_single(postgres__session *session, PGresult **ret_result, tims_error *err)
{
    session->call.wants_position = true;
    session->snapshot_done = true;
    tims_status status = run_plain(session, ret_result, err);
    note_position(session, session->call.position);
    return status;
}

static tims_status run_open(postgres__session *session, PGresult **ret_result, tims_error *err)
{
    if (session->snapshot_done || session->snapshot_failed)
        return fail_snapshot(session, err);
    bool single = session->last && session->snapshot == NULL;
    tims_status status =
        single ? run_single(session, ret_result, err) : run_in_snapshot(session, ret_result, err);
    session->snapshot_failed = status != TIMS_OK;
    return status;
}

tims_status postgres__session_run(postgres__session *session, tims_str sql, const tims_db_value *values,
                                  size_t count, PGresult **ret_result, tims_error *err)
{
    (void)postgres__session_call(session, sql, values, count, err);
    if (session->transaction != NULL)
        return postgres__transaction_run(session, ret_result, err);
    if (session->base.snapshot_depth > 0)
        return run_open(session, ret_result, err);
    return run_plain(session, ret_result, err);
}

/* --- positions ------------------------------------------------------------------------------------- */

/* A statement of its own: the snapshot's first, where there is one, otherwise of the moment. */
static tims_status ask_position(postgres__session *session, tims_error *err)
{
    PGresult *result = NULL;
    tims_status status;
    if (session->base.snapshot_depth > 0) {
        bool last = session->last;
        session->last = false; /* others follow */
        (void)postgres__session_call(session, TIMS_STR(POSTGRES_POSITION_SQL), NULL, 0, err);
        status = run_open(session, &result, err);
        session->last = last;
    } else {
        status = postgres__session_run(session, TIMS_STR(POSTGRES_POSITION_SQL), NULL, 0, &result, err);
    }
    session->call.result = result; /* whoever ends the session frees it, should the arena be full */
    return status;
}

tims_status postgres__snapshot_text(tims_db_session *base, tims_str *ret_text, tims_error *err)
{
    postgres__session *session = (postgres__session *)base;
    const postgres__position *known = base->snapshot_depth > 0 ? session->position
                                      : base->depth > 0        ? NULL
                                                               : session->committed;
    if (known != NULL) {
        *ret_text = tims_copy(base->arena, postgres__position_text(known));
        return TIMS_OK;
    }
    tims_status status = ask_position(session, err);
    if (status != TIMS_OK)
        return status;
    const PGresult *result = session->call.result;
    *ret_text =
        tims_copy(base->arena, (tims_str){ PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0) });
    return TIMS_OK;
}

/* "xmin:xmax:xid,xid": how many transactions it sees, but for those that were before all of them. */
static int64_t count_seen(tims_str text)
{
    int64_t xmax = 0, active = 0;
    (void)tims_str_cut(&text, ':');
    if (!tims_str_to_int(tims_str_cut(&text, ':'), 0, INT64_MAX, &xmax))
        return 0;
    while (text.data != NULL && text.length > 0) {
        (void)tims_str_cut(&text, ',');
        active++;
    }
    return xmax - 1 - active;
}

/* A statement of its own, wherever the session is. */
tims_status postgres__foreign_version(tims_db_session *base, int64_t *ret_version, tims_error *err)
{
    postgres__session *session = (postgres__session *)base;
    (void)postgres__session_call(session, TIMS_STR(POSTGRES_POSITION_SQL), NULL, 0, err);
    PGresult *result = NULL;
    tims_status status = run_plain(session, &result, err);
    if (status != TIMS_OK)
        return status;
    *ret_version = count_seen((tims_str){ PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0) });
    PQclear(result);
    return TIMS_OK;
}
