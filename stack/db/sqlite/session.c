/* session.c: what one scope has open: a snapshot, a transaction.
 *
 * A transaction is a turn at the writer and a savepoint inside the outer transaction that the turns of a
 * group share. Its statements run on the caller's own thread. One that keeps the writer for longer than
 * transaction_max_ms holds everybody up: it is rolled back by a timer of its loop (it must be waiting for
 * something else, or the timer could not run) or at its next statement. Blocking sessions are commands, which
 * may take their time. */
#include "sqlite_internal.h"

static const tims_str savepoint_sql = TIMS_STR_INIT("SAVEPOINT turn");
static const tims_str release_sql = TIMS_STR_INIT("RELEASE turn");
static const tims_str undo_sql = TIMS_STR_INIT("ROLLBACK TO turn");

void sqlite__session_start(tims_db_session *base)
{
    sqlite__session *session = (sqlite__session *)base;
    session->store = (sqlite__store *)base->db;
    session->pool = sqlite__pool_of(session->store, base->loop);
    session->turn.pool = session->pool;
}

void sqlite__session_end(tims_db_session *base)
{
    sqlite__session *session = (sqlite__session *)base;
    TIMS_ASSERT(session->snapshot == NULL && session->turn.state == SQLITE_TURN_NONE);
    tims_timer_clear(&session->held_timer);
}

/* --- snapshots --------------------------------------------------------------------------------------- */

/* A statement that has given a row and was not reset keeps its read transaction, and all that is read on the
 * connection meanwhile is read in it. One statement thus does what BEGIN, a first read (BEGIN alone takes no
 * snapshot) and COMMIT would do for less, and tells whether anything was committed since the last
 * time. */
static tims_status anchor(sqlite__connection *connection, uint64_t version, tims_error *err)
{
    sqlite__statement *statement;
    tims_status status = sqlite__statement_get(connection, TIMS_STR("PRAGMA data_version"), &statement, err);
    if (status != TIMS_OK)
        return status;
    int code = sqlite3_step(statement->handle);
    if (code != SQLITE_ROW) {
        status = sqlite__fault(connection, code, NULL, err);
        sqlite__statement_release(connection, statement);
        return status;
    }
    int64_t data_version = sqlite3_column_int64(statement->handle, 0);
    if (data_version != connection->data_version)
        connection->memo = 0;
    connection->data_version = data_version;
    connection->anchor = statement;
    connection->anchor_version = version;
    return TIMS_OK;
}

/* The version is read before the snapshot is taken: a commit between the two is in the snapshot and counted
 * again, which costs the next reader a new one. */
tims_status sqlite__snapshot(tims_db_session *base, tims_error *err)
{
    sqlite__session *session = (sqlite__session *)base;
    sqlite__connection *connection;
    tims_status status = sqlite__pool_take(session->pool, &connection, err);
    if (status != TIMS_OK)
        return status;
    uint64_t version = atomic_load(&session->store->writer.version);
    if (connection->anchor == NULL || connection->anchor_version != version) {
        sqlite__connection_settle(connection);
        status = anchor(connection, version, err);
    }
    if (status != TIMS_OK) {
        sqlite__pool_give(session->pool, connection);
        return status;
    }
    session->snapshot = connection;
    return TIMS_OK;
}

void sqlite__snapshot_end(tims_db_session *base)
{
    sqlite__session *session = (sqlite__session *)base;
    sqlite__connection *connection = session->snapshot;
    sqlite__rows_cut(session, connection, TIMS_OK);
    session->snapshot = NULL;
    sqlite__pool_give_anchored(session->pool, connection);
}

int64_t *sqlite__snapshot_memo(tims_db_session *base)
{
    return &((sqlite__session *)base)->snapshot->memo;
}

tims_status sqlite__foreign_version(tims_db_session *base, int64_t *ret_version, tims_error *err)
{
    return sqlite__pool_version(((sqlite__session *)base)->pool, ret_version, err);
}

/* --- transactions ------------------------------------------------------------------------------------ */

static sqlite__connection *write_connection(sqlite__session *session)
{
    return session->store->writer.connection;
}

/* Undoes the turn's changes and lets the writer go. */
static void undo(sqlite__session *session, tims_status rows_status)
{
    sqlite__connection *connection = write_connection(session);
    sqlite__rows_cut(session, connection, rows_status);
    if (!sqlite3_get_autocommit(connection->handle)) {
        int code = sqlite__connection_do(connection, undo_sql);
        if (code == SQLITE_OK)
            code = sqlite__connection_do(connection, release_sql);
        if (code != SQLITE_OK) /* cannot be undone alone: nothing of the group may be kept */
            (void)sqlite__connection_do(connection, TIMS_STR("ROLLBACK"));
    }
    tims_timer_clear(&session->held_timer);
    sqlite__writer_let_go(&session->store->writer, &session->turn);
}

static void take_away(sqlite__session *session)
{
    undo(session, TIMS_TIMEOUT);
    session->base.broken = TIMS_TIMEOUT;
    session->base.broken_why = "The transaction held the writer for too long and was rolled back.";
    tims_log(TIMS_LOG_WARN, "db", "event=transaction_too_long max_ms=%lld",
             (long long)session->store->transaction_max_ms);
}

static void on_held_too_long(void *argument)
{
    sqlite__session *session = argument;
    TIMS_ASSERT(session->base.magic == DB_SESSION_MAGIC);
    if (session->turn.state == SQLITE_TURN_HOLDS)
        take_away(session);
}

tims_status sqlite__session_check_held(sqlite__session *session, tims_error *err)
{
    if (session->base.loop == NULL)
        return TIMS_OK;
    int64_t held_us = tims_monotonic_us() - session->held_since_us;
    if (TIMS_LIKELY(held_us <= session->store->transaction_max_ms * 1000))
        return TIMS_OK;
    take_away(session);
    return tims_fail(err, session->base.broken, NULL, "%s", session->base.broken_why);
}

void sqlite__session_check_lost(sqlite__session *session)
{
    if (TIMS_LIKELY(!sqlite3_get_autocommit(write_connection(session)->handle)))
        return;
    undo(session, TIMS_UNAVAILABLE);
    session->base.broken = TIMS_UNAVAILABLE;
    session->base.broken_why = "The database could not write; the transaction was rolled back.";
}

tims_status sqlite__begin(tims_db_session *base, bool schema, tims_error *err)
{
    sqlite__session *session = (sqlite__session *)base;
    TIMS_ASSERT(!schema || base->loop == NULL);
    session->turn.alone = schema;
    tims_status status = sqlite__writer_acquire(&session->store->writer, &session->turn, err);
    if (status != TIMS_OK)
        return status;
    sqlite__connection *connection = write_connection(session);
    int code = sqlite__connection_do(connection, savepoint_sql);
    if (code != SQLITE_OK) {
        status = sqlite__fault(connection, code, NULL, err);
        sqlite__writer_let_go(&session->store->writer, &session->turn);
        return status;
    }
    if (base->loop != NULL) {
        session->held_since_us = tims_monotonic_us();
        tims_timer_set(base->loop, &session->held_timer, session->store->transaction_max_ms, on_held_too_long,
                       session);
    }
    return TIMS_OK;
}

/* Constraints declared deferred are looked at here, not at the group's COMMIT, where they would fail
 * everybody. */
static tims_status check_deferred(sqlite__session *session, tims_error *err)
{
    int unresolved = 0, unused = 0;
    sqlite3_db_status(write_connection(session)->handle, SQLITE_DBSTATUS_DEFERRED_FKS, &unresolved, &unused,
                      0);
    if (TIMS_LIKELY(unresolved == 0) || session->turn.alone)
        return TIMS_OK;
    return tims_fail(err, TIMS_CONFLICT, "foreign_key",
                     "It would leave a reference to something that is not there.");
}

tims_status sqlite__commit(tims_db_session *base, tims_error *err)
{
    sqlite__session *session = (sqlite__session *)base;
    sqlite__connection *connection = write_connection(session);
    sqlite__rows_cut(session, connection, TIMS_OK);
    tims_status status = check_deferred(session, err);
    if (status == TIMS_OK) {
        int code = sqlite__connection_do(connection, release_sql);
        if (code != SQLITE_OK)
            status = sqlite__fault(connection, code, NULL, err);
    }
    if (status != TIMS_OK) {
        undo(session, status);
        return status;
    }
    tims_timer_clear(&session->held_timer);
    return sqlite__writer_commit(&session->store->writer, &session->turn, err);
}

void sqlite__rollback(tims_db_session *base)
{
    sqlite__session *session = (sqlite__session *)base;
    if (session->turn.state == SQLITE_TURN_HOLDS)
        undo(session, TIMS_OK);
}

/* --- savepoints: of the same name, the innermost is meant -------------------------------------------- */

static tims_status do_inside(sqlite__session *session, tims_str sql, tims_error *err)
{
    tims_status status = sqlite__session_check_held(session, err);
    if (status != TIMS_OK)
        return status;
    int code = sqlite__connection_do(write_connection(session), sql);
    if (TIMS_LIKELY(code == SQLITE_OK))
        return TIMS_OK;
    status = sqlite__fault(write_connection(session), code, NULL, err);
    sqlite__session_check_lost(session);
    return status;
}

tims_status sqlite__savepoint(tims_db_session *session, tims_error *err)
{
    return do_inside((sqlite__session *)session, savepoint_sql, err);
}

tims_status sqlite__savepoint_release(tims_db_session *session, tims_error *err)
{
    return do_inside((sqlite__session *)session, release_sql, err);
}

void sqlite__savepoint_rollback(tims_db_session *base)
{
    sqlite__session *session = (sqlite__session *)base;
    if (do_inside(session, undo_sql, NULL) == TIMS_OK && do_inside(session, release_sql, NULL) == TIMS_OK)
        return;
    if (session->turn.state == SQLITE_TURN_HOLDS) {
        /* The inner changes could not be undone alone, so the outer transaction must not be kept either. */
        undo(session, TIMS_UNAVAILABLE);
        base->broken = TIMS_UNAVAILABLE;
        base->broken_why = "A part of the transaction could not be undone; all of it was rolled back.";
    }
}

/* --- scripts ----------------------------------------------------------------------------------------- */

/* Not kept among the prepared statements: a script is run once. */
tims_status sqlite__script(tims_db_session *base, tims_str sql, tims_error *err)
{
    sqlite__session *session = (sqlite__session *)base;
    sqlite__connection *connection = write_connection(session);
    const char *text = tims_copy_c(base->arena, sql);
    int code = SQLITE_OK;
    while (code == SQLITE_OK && *text != 0) {
        sqlite3_stmt *statement = NULL;
        code = sqlite3_prepare_v2(connection->handle, text, -1, &statement, &text);
        if (code != SQLITE_OK || statement == NULL)
            continue;
        do
            code = sqlite3_step(statement);
        while (code == SQLITE_ROW);
        int ended = sqlite3_finalize(statement);
        code = code == SQLITE_DONE ? SQLITE_OK : ended;
    }
    if (code == SQLITE_OK)
        return TIMS_OK;
    tims_status status = sqlite__fault(connection, code, base->arena, err);
    sqlite__session_check_lost(session);
    return status;
}
