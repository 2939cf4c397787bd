/* rows.c: running a statement and reading its rows, straight from SQLite's own memory.
 *
 * Which connection: the write connection inside a transaction, the snapshot's inside a snapshot, otherwise
 * one from the loop's pool for as long as the rows last. This is the hot path of every read: beyond what
 * SQLite itself does a query costs a hash of its text and a lookup. */
#include "sqlite_internal.h"

static sqlite__connection *open_connection(const sqlite__session *session)
{
    return session->turn.state == SQLITE_TURN_HOLDS ? session->store->writer.connection : session->snapshot;
}

tims_status sqlite__query(tims_db_session *base, tims_db_rows *base_rows, tims_str sql,
                          const tims_db_value *values, size_t count, tims_error *err)
{
    sqlite__session *session = (sqlite__session *)base;
    sqlite__rows *rows = (sqlite__rows *)base_rows;
    if (session->turn.state == SQLITE_TURN_HOLDS) {
        tims_status held = sqlite__session_check_held(session, err);
        if (held != TIMS_OK)
            return held;
    }
    sqlite__connection *connection = open_connection(session);
    bool from_pool = connection == NULL;
    if (from_pool) {
        tims_status status = sqlite__pool_take(session->pool, &connection, err);
        if (status != TIMS_OK)
            return status;
        sqlite__connection_settle(connection); /* a statement by itself reads what is there now */
    }
    sqlite__statement *statement;
    tims_status status = sqlite__statement_get(connection, sql, &statement, err);
    if (TIMS_LIKELY(status == TIMS_OK)) {
        /* Copied: the rows may outlive the values. */
        status = sqlite__statement_bind(connection, statement, values, count, false, err);
        if (status != TIMS_OK)
            sqlite__statement_release(connection, statement);
    }
    if (status != TIMS_OK) {
        if (from_pool)
            sqlite__pool_give(session->pool, connection);
        return status;
    }
    rows->connection = connection;
    rows->statement = statement;
    rows->handle = statement->handle;
    rows->from_pool = from_pool;
    rows->code = SQLITE_OK;
    rows->status = TIMS_OK;
    return TIMS_OK;
}

/* The statement is over; the connection goes back at once, even if the caller keeps the rows for a while. */
static void finish(sqlite__rows *rows)
{
    sqlite__connection *connection = rows->connection;
    sqlite__session *session = (sqlite__session *)rows->base.session;
    rows->connection = NULL;
    rows->handle = NULL;
    sqlite__statement_release(connection, rows->statement);
    if (rows->from_pool)
        sqlite__pool_give(session->pool, connection);
}

bool sqlite__next(tims_db_rows *base)
{
    sqlite__rows *rows = (sqlite__rows *)base;
    if (TIMS_UNLIKELY(rows->connection == NULL))
        return false;
    int code = sqlite3_step(rows->handle);
    if (TIMS_LIKELY(code == SQLITE_ROW))
        return true;
    if (code == SQLITE_DONE)
        finish(rows);
    else
        rows->code = code; /* the connection is kept: its message is read in rows_end */
    return false;
}

tims_status sqlite__rows_end(tims_db_rows *base, tims_error *err)
{
    sqlite__rows *rows = (sqlite__rows *)base;
    sqlite__session *session = (sqlite__session *)base->session;
    if (rows->connection == NULL) {
        if (rows->status == TIMS_OK)
            return TIMS_OK;
        return tims_fail(err, rows->status, NULL,
                         "The transaction was rolled back while its rows were read.");
    }
    if (TIMS_LIKELY(rows->code == SQLITE_OK)) {
        finish(rows);
        return TIMS_OK;
    }
    sqlite__connection *connection = rows->connection;
    bool in_transaction = connection->writes;
    tims_status status = sqlite__fault(connection, rows->code, base->session->arena, err);
    finish(rows);
    if (in_transaction)
        sqlite__session_check_lost(session);
    return status;
}

void sqlite__rows_cut(sqlite__session *session, sqlite__connection *connection, tims_status status)
{
    for (tims_db_rows *at = session->base.open_rows; at != NULL; at = at->next) {
        sqlite__rows *rows = (sqlite__rows *)at;
        if (rows->connection != connection)
            continue;
        finish(rows);
        rows->status = status;
    }
}

tims_status sqlite__run(tims_db_session *base, tims_str sql, const tims_db_value *values, size_t count,
                        int64_t *ret_changed, tims_error *err)
{
    sqlite__session *session = (sqlite__session *)base;
    tims_status status = sqlite__session_check_held(session, err);
    if (status != TIMS_OK)
        return status;
    sqlite__connection *connection = session->store->writer.connection;
    sqlite__statement *statement;
    status = sqlite__statement_get(connection, sql, &statement, err);
    if (status != TIMS_OK)
        return status;
    status = sqlite__statement_bind(connection, statement, values, count, true, err);
    if (status != TIMS_OK) {
        sqlite__statement_release(connection, statement);
        return status;
    }
    int code = sqlite3_step(statement->handle);
    while (code == SQLITE_ROW)
        code = sqlite3_step(statement->handle);
    int64_t changed = sqlite3_changes64(connection->handle);
    sqlite__statement_release(connection, statement);
    if (TIMS_LIKELY(code == SQLITE_DONE)) {
        if (ret_changed != NULL)
            *ret_changed = changed;
        return TIMS_OK;
    }
    status = sqlite__fault(connection, code, base->arena, err);
    sqlite__session_check_lost(session);
    return status;
}

/* --- columns of the current row ---------------------------------------------------------------------- */

static sqlite3_stmt *handle_of(const tims_db_rows *rows)
{
    return ((const sqlite__rows *)rows)->handle;
}

int sqlite__column_count(const tims_db_rows *rows)
{
    return sqlite3_column_count(handle_of(rows));
}

bool sqlite__is_null(const tims_db_rows *rows, int column)
{
    return sqlite3_column_type(handle_of(rows), column) == SQLITE_NULL;
}

int64_t sqlite__get_int(const tims_db_rows *rows, int column)
{
    return sqlite3_column_int64(handle_of(rows), column);
}

double sqlite__get_double(const tims_db_rows *rows, int column)
{
    return sqlite3_column_double(handle_of(rows), column);
}

/* SQLite's "blob" of a text is the same bytes without asking for a terminator; of a number it is its text. */
tims_str sqlite__get_text(const tims_db_rows *rows, int column)
{
    sqlite3_stmt *handle = handle_of(rows);
    const char *data = sqlite3_column_blob(handle, column);
    if (data == NULL)
        return (tims_str){ "", 0 };
    return (tims_str){ data, (size_t)sqlite3_column_bytes(handle, column) };
}

/* Zero when the column holds no id. */
/* Decimals are kept as their units. */
int64_t sqlite__get_decimal(const tims_db_rows *rows, int column, uint8_t scale)
{
    (void)scale;
    return sqlite__get_int(rows, column);
}

tims_id sqlite__get_id(const tims_db_rows *rows, int column)
{
    tims_id id = { { 0 } };
    return tims_id_parse(sqlite__get_text(rows, column), &id) ? id : (tims_id){ { 0 } };
}

const char *sqlite__column_name(const tims_db_rows *rows, int column)
{
    sqlite3_stmt *handle = handle_of(rows);
    return handle != NULL ? sqlite3_column_name(handle, column) : NULL;
}
