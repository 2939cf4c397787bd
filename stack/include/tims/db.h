/* db.h: statements, rows, snapshots and transactions on the app's database; one API over a driver table.
 *
 * SQLite: WAL. Each loop has read connections of its own, on which statements run at once. There is one write
 * connection; a transaction owns it for a moment and runs its statements on its own loop's thread, then
 * passes it on; when nobody else is waiting (or a group is full) the writer thread commits the whole group
 * with one fsync and wakes every transaction in it. A savepoint each keeps a failing one from spoiling the
 * others.
 *
 * PostgreSQL: libpq, asynchronous. Each loop has a few connections. Plain reads, and snapshots of one
 * statement, are gathered until the loop's tick ends and share connections in pipeline mode; a transaction,
 * or a longer snapshot, has one of its own meanwhile.
 *
 * A fiber waits in every call that may need the database: on PostgreSQL in each statement. */
#ifndef TIMS_DB_H
#define TIMS_DB_H

#include "tims/base.h"
#include "tims/loop.h"

typedef struct tims_db tims_db;                 /* one database of the process */
typedef struct tims_db_session tims_db_session; /* what one scope (request, task, command) does on it */

typedef enum tims_db_dialect { TIMS_SQLITE, TIMS_POSTGRES } tims_db_dialect;

typedef struct tims_db_options {
    tims_str url; /* sqlite:path, sqlite::memory: is refused; postgres://… */
    int64_t
        busy_timeout_ms; /* SQLite: for foreign writers; PostgreSQL: for locks of schema changes; 0: 5 s */
    /* a transaction on a loop that holds the writer (its connection) longer is rolled back; 0: 5 s */
    int64_t transaction_max_ms;
    int64_t begin_timeout_ms; /* waiting for the writer (a connection); 0: 10 s, then UNAVAILABLE */
    uint32_t group_max;       /* SQLite: transactions per commit; 0: 256 */
    bool exclusive;           /* SQLite: take the lock file: a second serving process gets BUSY */
} tims_db_options;

/* Errors: UNAVAILABLE, BUSY (another serve owns it), IO, each with one clear sentence. */
tims_status tims_db_open(const tims_db_options *options, tims_db **ret_db, tims_error *err);
/* Commits what the writer still has and closes all connections. No session may be left. Sets `*db` to NULL;
 * NULL is fine. */
void tims_db_close(tims_db **db);
/* Which SQL this database speaks. */
tims_db_dialect tims_db_dialect_of(const tims_db *db);
/* The same of a session's database. */
tims_db_dialect tims_db_session_dialect(const tims_db_session *session);

/* --- values ----------------------------------------------------------------------------------- */

typedef enum tims_db_type {
    TIMS_DB_NULL,
    TIMS_DB_INT,
    TIMS_DB_DOUBLE,
    TIMS_DB_TEXT,
    TIMS_DB_BLOB
} tims_db_type;
/* A bound parameter. Ids are bound as their 36-character text, times as integer microseconds, booleans as
 * 0/1. */
typedef struct tims_db_value {
    tims_db_type type;
    int64_t integer;
    double real;
    tims_str bytes;
    char id_text[TIMS_ID_TEXT_LENGTH]; /* storage for ids; `bytes` is set when it is bound */
    bool is_id;
    uint8_t scale; /* a decimal: `integer` counts units of 10^-scale */
} tims_db_value;
/* A whole number; also booleans (0, 1) and times (UTC microseconds). */
tims_db_value tims_db_int(int64_t value);
/* A floating point number. */
tims_db_value tims_db_double(double value);
/* UTF-8 text; the bytes are borrowed until the statement has run. */
tims_db_value tims_db_text(tims_str value);
/* Bytes that are no text; borrowed until the statement has run. */
tims_db_value tims_db_blob(tims_str value);
/* An id as its 36 characters, which the value holds itself. */
tims_db_value tims_db_id(tims_id value);
/* `units` of 10^-scale. */
tims_db_value tims_db_decimal(int64_t units, uint8_t scale);
/* NULL. */
tims_db_value tims_db_null(void);

/* --- sessions --------------------------------------------------------------------------------- */

/* In `arena`, ended (rolled back if need be) when it ends. On a loop: fibers only. `loop` NULL: a command's
 * session, blocking, no fiber. */
tims_db_session *tims_db_session_new(tims_db *db, tims_loop *loop, tims_arena *arena);

/* A place for the room above; NULL at first. */
void **tims_db_session_slot(tims_db_session *session);

/* Several reads that must agree: from here to end_snapshot all reads see one state, no older than this call
 * and no younger than the first of them. Nested calls count. */
tims_status tims_db_begin_snapshot(tims_db_session *session, tims_error *err);
/* Ends the innermost snapshot; the outermost gives the connection back. */
void tims_db_end_snapshot(tims_db_session *session);
/* For a session that is lent to somebody who may raise: how many snapshots are open, and back to that many,
 * with all rows and transactions ended. Outside of transactions, without open rows. */
uint32_t tims_db_mark(const tims_db_session *session);
/* Back to what tims_db_mark said. */
void tims_db_unwind(tims_db_session *session, uint32_t mark);
/* A number noted about the state that the snapshot shows: 0 until somebody sets it, kept for later snapshots
 * as long as nobody commits. NULL outside of a snapshot and inside a transaction. The change log's position
 * lives here. */
int64_t *tims_db_snapshot_memo(tims_db_session *session);

/* PostgreSQL: what pg_current_snapshot() says, "xmin:xmax:xid,xid". While a snapshot is open: of what its
 * first statement saw, with which it travels, so it costs no round trip of its own; no later statement sees
 * less, not even in a transaction that was begun meanwhile. In a transaction without one: of the moment.
 * Otherwise: of the moment; right after a commit, of one that travelled with it and so contains it. In the
 * session's arena. SQLite: empty. Errors: the database's. */
tims_status tims_db_snapshot_text(tims_db_session *session, tims_str *ret_text, tims_error *err);
/* The next statement is the snapshot's last: an answer of one statement then takes one round trip and no
 * connection of its own. A hint. */
void tims_db_hint_last(tims_db_session *session);

/* Waits for the writer (PostgreSQL: a connection). Suspends. Nested calls make savepoints. Reads inside see
 * the transaction's own writes. A statement that fails is undone alone; only after a read that fails behind a
 * write PostgreSQL takes nothing but a rollback. Errors: UNAVAILABLE, TIMEOUT, CANCELLED. */
tims_status tims_db_begin(tims_db_session *session, tims_error *err);
/* The outermost commit returns when the changes are durable (fsync'd). Suspends, shielded.
 * Errors: CONFLICT (deferred constraints; "serialization": run it all again), UNAVAILABLE (disk full, I/O
 * error: nothing was written; connection lost: not known, which the message says). */
tims_status tims_db_commit(tims_db_session *session, tims_error *err);
void tims_db_rollback(tims_db_session *session); /* innermost; fine when none is open */
/* Whether tims_db_begin was called and neither committed nor rolled back. */
bool tims_db_in_transaction(const tims_db_session *session);
/* Called on the session's loop after the outermost transaction is durable (never when it was not). */
void tims_db_on_commit(tims_db_session *session, tims_loop_fn function, void *argument);

/* --- statements ------------------------------------------------------------------------------- */

/* Rows are read one at a time; a statement that writes needs a transaction (or tims_db_run); open rows end
 * with tims_db_rows_end, the transaction they were opened in, or the session. `sql` uses ?1 ?2 …; statements
 * are prepared once per connection and kept (LRU of 256).
 * Errors: CONFLICT with err->code "unique" | "foreign_key" | "not_null" | "check" and the column in the
 * pointer list, or "serialization": others were faster, run it all again; UNAVAILABLE (busy, disk full,
 * lost), TIMEOUT, INTERNAL (a bad statement; the text goes to detail). */
typedef struct tims_db_rows tims_db_rows;
/* Begins a statement with rows; they live in the session's arena. `values` are bound to ?1 ?2 … Suspends. */
tims_status tims_db_query(tims_db_session *session, tims_str sql, const tims_db_value *values, size_t count,
                          tims_db_rows **ret_rows, tims_error *err);
bool tims_db_next(tims_db_rows *rows); /* false: no more, or an error: see rows_end */
/* Ends a statement and sets `*rows` to NULL. Errors: what ended tims_db_next early, as of tims_db_query. */
tims_status tims_db_rows_end(tims_db_rows **rows, tims_error *err);
/* Runs a statement without rows; `ret_changed` may be NULL. Outside a transaction it makes one of its own. */
tims_status tims_db_run(tims_db_session *session, tims_str sql, const tims_db_value *values, size_t count,
                        int64_t *ret_changed, tims_error *err);
/* Columns of the current row; slices are valid until the next step. */
int tims_db_column_count(const tims_db_rows *rows);
/* Whether the column, counted from 0, is NULL in the current row. */
bool tims_db_is_null(const tims_db_rows *rows, int column);
/* A whole number, a boolean or a time; 0 for NULL. */
int64_t tims_db_get_int(const tims_db_rows *rows, int column);
/* A floating point number; 0 for NULL. */
double tims_db_get_double(const tims_db_rows *rows, int column);
/* Text or bytes, valid until the next step; empty for NULL. */
tims_str tims_db_get_text(const tims_db_rows *rows, int column);
/* An id from its text; the zero id for NULL and for what is none. */
tims_id tims_db_get_id(const tims_db_rows *rows, int column);
/* In units of 10^-scale, rounded half away from zero. */
int64_t tims_db_get_decimal(const tims_db_rows *rows, int column, uint8_t scale);
/* As the statement names it; valid as long as the rows are. */
const char *tims_db_column_name(const tims_db_rows *rows, int column);

/* --- between processes ------------------------------------------------------------------------ */

/* Tells every process that listens on this database that there is something to look at; after the commit it
 * is about. A hint: it may be lost, or come more than once. PostgreSQL: NOTIFY; SQLite: nothing is to be
 * done, since a commit is seen. Suspends. Errors: the database's. */
tims_status tims_db_notify(tims_db_session *session, const char *channel, tims_error *err);
/* Calls on the loop when somebody has notified the channel; SQLite: when the database was written to, by
 * whomever. PostgreSQL: has a connection of its own, which it makes again when it is lost; behind a pooler
 * (prepared=off) nothing is heard. From a fiber or not. */
typedef struct tims_db_listener tims_db_listener;
/* Listens until it is freed with tims_db_listener_free, on the same loop. */
tims_db_listener *tims_db_listen(tims_db *db, tims_loop *loop, const char *channel, tims_loop_fn function,
                                 void *argument);
void tims_db_listener_free(tims_db_listener **listener); /* on its loop; NULL is fine */

/* --- for commands, migrations and the feed ---------------------------------------------------- */

/* Many statements in one text (DDL), inside the session's transaction. */
tims_status tims_db_script(tims_db_session *session, tims_str sql, tims_error *err);
/* One statement that no transaction can hold (CREATE INDEX CONCURRENTLY). Blocking sessions only, outside of
 * transactions. Errors: the database's; UNAVAILABLE (SQLite: it has none). */
tims_status tims_db_script_alone(tims_db_session *session, tims_str sql, tims_error *err);
/* As tims_db_begin, for changes of the schema: no other transaction shares its commit, foreign keys are not
 * enforced while it runs but checked as a whole at its commit (CONFLICT). Waits for other processes. Blocking
 * sessions only, outermost only. */
tims_status tims_db_begin_schema(tims_db_session *session, tims_error *err);
/* Told after every commit (SQLite: of a group) of this process, on the thread that made it: poke a loop from
 * it. One per argument; `function` NULL ends it (it is not running when this returns). */
void tims_db_watch_commits(tims_db *db, void (*function)(void *argument), void *argument);
/* A number that changes when another process has committed (and may change for commits of this one);
 * cheap. */
tims_status tims_db_foreign_version(tims_db_session *session, int64_t *ret_version, tims_error *err);

/* --- a whole SQLite database as one file ------------------------------------------------------------- */

/* Writes the database of `url`, as it is at one moment and while others use it, into the file `path`: checked
 * as a whole, on the disk when this returns, readable by its owner only, with nothing beside it. On failure
 * `path` is what it was. `replace`: a file that is there is replaced. Blocks.
 * Errors: NOT_FOUND (no database), CONFLICT "exists", INVALID ("own_file", "no_file"; "damaged",
 * "no_database": the database), BUSY (another backup writes it, or it is a database in use), UNAVAILABLE
 * ("not_sqlite", with what does it there; "disk_full"), IO. */
tims_status tims_db_backup(tims_str url, tims_str path, bool replace, tims_error *err);

/* A restore: between its two halves the caller looks into the copy, as a database of its own, and says
 * whether it is to be had. Meanwhile nobody can begin to serve the database of `url`. */
typedef struct tims_db_restore tims_db_restore;
/* Copies the file `path` to beside the database and checks the copy as a whole. Ended by
 * tims_db_restore_finish or _cancel. Blocks. Errors: as of tims_db_backup, about `path`; BUSY
 * "database_in_use": somebody serves the database. */
tims_status tims_db_restore_begin(tims_str url, tims_str path, tims_db_restore **ret_restore,
                                  tims_error *err);
/* Where the copy is, for sqlite:<path>; whoever opens it closes it before the restore ends. Borrowed. */
const char *tims_db_restore_file(const tims_db_restore *restore);
/* Puts the copy in the database's place, which nobody may have open, and sets `*restore` to NULL either way.
 * `ret_kept`: the file that what was there is kept in, in `arena`; empty: nothing was there. The next server
 * begins a new epoch. On failure the database is what it was. Errors: BUSY "database_in_use", IO. */
tims_status tims_db_restore_finish(tims_db_restore **restore, tims_str *ret_kept, tims_arena *arena,
                                   tims_error *err);
/* Removes the copy and sets `*restore` to NULL; NULL is fine. */
void tims_db_restore_cancel(tims_db_restore **restore);

#endif
