/* connection.c: one SQLite connection, set up the way every connection of the stack is.
 *
 * No mutex inside (SQLITE_OPEN_NOMUTEX): a connection is used by one thread at a time and handed over under a
 * lock. Checkpoints are the writer thread's business, so the automatic ones are off. Quoted misspellings are
 * errors, not strings. Only the write connection may write. */
#include "sqlite_internal.h"

#include <stdlib.h>

/* Readers map the first 64 MB of the file: with a cache of 1 MB and a database of 76, a row by key costs 8 µs
 * instead of 10 and a list of 50 rows 79 instead of 86; what is mapped is the kernel's page cache, not memory
 * of our own. The writer reads what it is about to change, which must be in its own cache anyway. */
static const char common_setup[] = "PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON; ";
static const char writer_setup[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA mmap_size = 0; "
    "PRAGMA temp_store = FILE; " /* in memory up to UNDO_BYTES, see store.c */
    "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -4096;";
static const char reader_setup[] = "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = "
                                   "-1024; PRAGMA mmap_size = 67108864; PRAGMA temp_store = MEMORY;";

/* A reader meets a lock only for the moment in which another program recovers or closes the WAL; its loop may
 * wait this long, not longer. */
enum { READER_BUSY_MS = 20, OPEN_BUSY_MS = 5000 };

static int note_wal_length(void *connection, sqlite3 *handle, const char *schema, int frames)
{
    (void)handle;
    (void)schema;
    ((sqlite__connection *)connection)->wal_frames = frames;
    return SQLITE_OK;
}

static int set_up(sqlite__connection *connection)
{
    sqlite3 *handle = connection->handle;
    sqlite3_busy_timeout(handle, OPEN_BUSY_MS); /* another process may be opening it too */
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    int code = sqlite3_exec(handle, common_setup, NULL, NULL, NULL);
    if (code != SQLITE_OK)
        return code;
    sqlite3_wal_autocheckpoint(handle, 0);
    if (!connection->writes) {
        code = sqlite3_exec(handle, reader_setup, NULL, NULL, NULL);
        sqlite3_busy_timeout(handle, READER_BUSY_MS);
        return code;
    }
    code = sqlite3_exec(handle, writer_setup, NULL, NULL, NULL);
    sqlite3_wal_hook(handle, note_wal_length, connection);
    sqlite3_busy_timeout(handle, 0); /* a loop's thread must not sleep here: see writer.c */
    return code;
}

tims_status sqlite__connection_open(const char *path, bool writes, sqlite__connection **ret_connection,
                                    tims_error *err)
{
    sqlite__connection *connection = calloc(1, sizeof *connection);
    TIMS_ASSERT(connection != NULL);
    connection->magic = SQLITE_CONNECTION_MAGIC;
    connection->writes = writes;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    int code = sqlite3_open_v2(path, &connection->handle, flags, NULL);
    if (code == SQLITE_OK)
        code = set_up(connection);
    if (code != SQLITE_OK) {
        tims_status status = sqlite__fault(connection, code, NULL, err);
        sqlite__connection_close(&connection);
        return status;
    }
    *ret_connection = connection;
    return TIMS_OK;
}

void sqlite__connection_close(sqlite__connection **connection_at)
{
    sqlite__connection *connection = *connection_at;
    if (connection == NULL)
        return;
    TIMS_CHECK_MAGIC(connection, SQLITE_CONNECTION_MAGIC);
    *connection_at = NULL;
    sqlite__connection_settle(connection);
    sqlite__statements_drop(connection);
    int code = sqlite3_close(connection->handle);
    TIMS_ASSERT(code == SQLITE_OK); /* otherwise a statement was leaked */
    connection->magic = 0;
    free(connection);
}

void sqlite__connection_settle(sqlite__connection *connection)
{
    if (connection->anchor == NULL)
        return;
    sqlite__statement_release(connection, connection->anchor);
    connection->anchor = NULL;
    TIMS_ASSERT(sqlite3_txn_state(connection->handle, NULL) == SQLITE_TXN_NONE);
}

int sqlite__connection_do(sqlite__connection *connection, tims_str sql)
{
    sqlite__statement *statement;
    if (sqlite__statement_get(connection, sql, &statement, NULL) != TIMS_OK)
        return sqlite3_extended_errcode(connection->handle);
    int code = sqlite3_step(statement->handle);
    while (code == SQLITE_ROW)
        code = sqlite3_step(statement->handle);
    sqlite__statement_release(connection, statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}
