/* postgres_internal.h: the PostgreSQL driver's parts and how they hold together.
 *
 *   store ── pools ── one per loop (and one for blocking sessions): connections, who waits for one,
 *               │     the plain reads gathered in this tick
 *               ├─── connection ── libpq in pipeline mode; a FIFO of what was sent and is not yet answered
 *               └─── statements ── by text: the parameters' types, and on which connections it is prepared
 *
 *   session ── call: the statement it waits for
 *           ├─ snapshot:    a connection from the snapshot's first statement to its end
 *           └─ transaction: a connection from begin to commit or rollback
 *
 * A loop's pool is touched by its loop's thread only. The blocking pool's list is guarded by the store's
 * mutex; each of its connections is used by one thread at a time and has statements of its own. */
#ifndef TIMS_POSTGRES_INTERNAL_H
#define TIMS_POSTGRES_INTERNAL_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>

#include "db/db_internal.h"

enum {
    POSTGRES_CONNECTION_MAGIC = 0x74706331,
    POSTGRES_STATEMENTS_MAX = 256, /* prepared statements kept per connection */
    POSTGRES_STATEMENT_BUCKETS = 256,
    POSTGRES_CONNECTIONS_MAX = 64, /* per loop, at most: one bit each in a statement */
    POSTGRES_CHUNK_MAX = 32,       /* plain reads that share one Sync */
    POSTGRES_BLOCKING_IDLE_MAX = 4
};

/* The OIDs of pg_type.dat, which never change; libpq's headers do not have them. */
enum {
    POSTGRES_BOOL = 16,
    POSTGRES_BYTEA = 17,
    POSTGRES_CHAR = 18,
    POSTGRES_NAME = 19,
    POSTGRES_INT8 = 20,
    POSTGRES_INT2 = 21,
    POSTGRES_INT4 = 23,
    POSTGRES_TEXT = 25,
    POSTGRES_OID = 26,
    POSTGRES_XID = 28,
    POSTGRES_JSON = 114,
    POSTGRES_FLOAT4 = 700,
    POSTGRES_FLOAT8 = 701,
    POSTGRES_UNKNOWN = 705,
    POSTGRES_BPCHAR = 1042,
    POSTGRES_VARCHAR = 1043,
    POSTGRES_DATE = 1082,
    POSTGRES_TIMESTAMP = 1114,
    POSTGRES_TIMESTAMPTZ = 1184,
    POSTGRES_NUMERIC = 1700,
    POSTGRES_UUID = 2950,
    POSTGRES_JSONB = 3802,
    POSTGRES_XID8 = 5069
};

/* --- url.c ----------------------------------------------------------------------------------------- */

/* What DATABASE_URL says: libpq's own parameters, and ours. */
typedef struct postgres__settings {
    PQconninfoOption *given; /* libpq's, as written */
    bool prepared;           /* false: behind a pooler that gives each transaction another connection */
    uint32_t connections_max;
    int64_t connect_timeout_ms, statement_timeout_ms; /* of statements on loops; 0: none */
    bool statement_timeout_given;                     /* then it holds for commands too */
    char place[160];                                  /* host:port/database, for messages */
} postgres__settings;

tims_status postgres__settings_parse(tims_str url, postgres__settings *settings, tims_error *err);
void postgres__settings_free(postgres__settings *settings);
tims_str postgres__settings_find(const postgres__settings *settings, const char *keyword);

/* --- statement.c, placeholder.c -------------------------------------------------------------------- */

typedef struct postgres__statement {
    uint64_t hash;
    char *sql; /* as written, with ?1; the key */
    size_t sql_length;
    char *text; /* as PostgreSQL reads it, with $1 */
    uint32_t number;
    char name[16];        /* "s<number>"; empty: never prepared under a name */
    uint64_t prepared_on; /* a bit for each connection's slot */
    bool described;       /* the parameters' types are known */
    bool reads;           /* it leaves nothing behind in a transaction, not even a lock */
    bool kept;            /* in the table; otherwise freed with its last user */
    uint32_t users;
    size_t parameter_count;
    Oid *parameters;
    struct postgres__statement *newer, *older; /* by last use */
    struct postgres__statement *chain;         /* same bucket */
} postgres__statement;

typedef struct postgres__connection postgres__connection;

/* Shared by the connections of a loop. */
typedef struct postgres__statements {
    postgres__statement *newest, *oldest;
    postgres__statement *buckets[POSTGRES_STATEMENT_BUCKETS];
    uint32_t count, last_number;
    postgres__connection **connections; /* by slot: where to deallocate what is dropped */
    bool named;
} postgres__statements;

/* Has one more user. */
postgres__statement *postgres__statement_get(postgres__statements *statements, tims_str sql);
void postgres__statement_release(postgres__statement *statement);
/* Out of the table: the next use prepares it anew. For what a changed schema has made stale. */
void postgres__statement_forget(postgres__statements *statements, postgres__statement *statement);
void postgres__statements_drop(postgres__statements *statements);
/* The connection in this slot is gone, and all that was prepared on it. */
void postgres__statements_lose(postgres__statements *statements, uint32_t slot);
/* ?1 as $1, outside of strings, quoted names and comments; malloc'ed. */
char *postgres__placeholders(tims_str sql);

/* --- parameters.c, types.c, numeric.c -------------------------------------------------------------- */

/* Times are microseconds since 1970 on this side, since 2000 on the other. */
#define POSTGRES_EPOCH_US INT64_C(946684800000000)
#define POSTGRES_DAY_US INT64_C(86400000000)

/* Values as PostgreSQL's binary formats; the arrays are what libpq wants to be given. */
typedef struct postgres__parameters {
    size_t capacity;
    const char **values;
    int *lengths, *formats;
    char (*scratch)[48];
    char *copies; /* texts that the server has to read, terminated */
    size_t copies_bytes;
} postgres__parameters;

void postgres__parameters_free(postgres__parameters *parameters);
/* `values` must live until the statement has been sent. Errors: INVALID, INTERNAL. */
tims_status postgres__encode(postgres__parameters *parameters, const postgres__statement *statement,
                             const tims_db_value *values, size_t count, tims_error *err);

/* A column's value, its bytes and type. */
typedef struct postgres__datum {
    const char *data;
    int length;
    Oid type;
} postgres__datum;

int64_t postgres__decode_int(postgres__datum datum);
double postgres__decode_double(postgres__datum datum);
int64_t postgres__decode_decimal(postgres__datum datum, uint8_t scale);
tims_id postgres__decode_id(postgres__datum datum);
/* The bytes themselves when they are the text; otherwise written to `scratch` of POSTGRES_TEXT_BYTES. */
enum { POSTGRES_TEXT_BYTES = 64 };
bool postgres__is_text(Oid type);
tims_str postgres__decode_text(postgres__datum datum, char *scratch);

/* The binary form of a numeric: at most 48 bytes for an int64. */
int postgres__numeric_encode(int64_t units, uint8_t scale, char *ret_bytes);
/* Rounded half away from zero; clamped to int64. */
int64_t postgres__numeric_units(postgres__datum datum, uint8_t scale);
double postgres__numeric_double(postgres__datum datum);
tims_str postgres__numeric_text(postgres__datum datum, char *scratch, size_t size);
/* "-12.50" */
int postgres__decimal_text(int64_t units, uint8_t scale, char *ret_text, size_t size);

/* --- call.c ---------------------------------------------------------------------------------------- */

/* What pg_current_snapshot() said, shared by the calls of a chunk. */
typedef struct postgres__position {
    uint32_t users;
    PGresult *result;
} postgres__position;

void postgres__position_release(postgres__position **position);
tims_str postgres__position_text(const postgres__position *position);

typedef enum postgres__call_state {
    POSTGRES_CALL_NONE,
    POSTGRES_CALL_QUEUED, /* among the plain reads that wait to be sent */
    POSTGRES_CALL_SENT,
    POSTGRES_CALL_DONE
} postgres__call_state;

typedef struct postgres__call {
    struct postgres__call *next; /* in the queue */
    postgres__call_state state;
    postgres__connection *connection; /* on which it was sent */
    tims_str sql;
    postgres__statement *statement; /* once it is known on which connection */
    const tims_db_value *values;
    size_t value_count;
    tims_fiber *fiber; /* NULL: blocking */
    bool plain;        /* may be sent again, elsewhere */
    bool wants_position;
    uint8_t attempts, lost_count; /* that ended for no reason of its own; with their connection */
    /* when DONE, one of: */
    PGresult *result;   /* rows, or the server's error */
    tims_status status; /* not OK: why there is no result */
    bool again;         /* send it again: its statement is described now, or it fell with another one */
    bool stale;         /* the error is that the schema has changed since its statement was described */
    tims_error *err;    /* of `status`, when a value could not be sent */
    postgres__position *position; /* one user */
} postgres__call;

/* --- connection.c, sending.c, answers.c, opening.c ------------------------------------------------- */

typedef struct postgres__pool postgres__pool;

typedef enum postgres__entry_kind {
    POSTGRES_PREPARE,
    POSTGRES_DESCRIBE,
    POSTGRES_EXECUTE,
    POSTGRES_CONTROL,  /* BEGIN, SAVEPOINT …: nobody waits, unless it has a call */
    POSTGRES_POSITION, /* pg_current_snapshot(), for the calls behind it */
    POSTGRES_SCRIPT,   /* the simple protocol; alone */
    POSTGRES_SYNC
} postgres__entry_kind;

/* Every connection that is not behind a pooler has this for its default. */
#define POSTGRES_BEGIN_READ_SQL "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
#define POSTGRES_POSITION_SQL "SELECT pg_current_snapshot()::text"

/* One thing that was sent and is not yet answered. */
typedef struct postgres__entry {
    postgres__entry_kind kind;
    bool answered; /* its result has come, its end has not */
    postgres__call *call;
    postgres__statement *statement;
    bool ends_reads; /* SYNC: behind the COMMIT of an explicit BEGIN for reads */
} postgres__entry;

typedef enum postgres__connection_state {
    POSTGRES_OPENING,
    POSTGRES_READY,
    POSTGRES_LOST /* closed; kept until its owner has given it back */
} postgres__connection_state;

struct postgres__connection {
    uint32_t magic;
    uint32_t slot;
    postgres__connection_state state;
    postgres__pool *pool;
    postgres__statements *statements;
    postgres__connection *self[1]; /* blocking: the one in the list of its own statements */
    PGconn *handle;
    tims_poll *poll; /* NULL: blocking */
    int events;      /* what the opening fiber was woken for */
    tims_fiber *opener;
    bool owned;          /* by a snapshot or a transaction */
    bool draining;       /* given back with a statement running that nobody waits for any more */
    bool explicit_reads; /* behind a pooler: reads between BEGIN and COMMIT are sent, their Sync is not */
    bool unsynced;       /* an implicit transaction is open: no Sync since */
    postgres__entry *entries; /* a ring */
    uint32_t entry_first, entry_count, entry_capacity;
    int64_t waiting_since_us;     /* for the answer to the first entry */
    postgres__position *position; /* of the chunk whose answers are being read */
    PGresult *culprit; /* the error of an entry without a call: why those behind it were not done */
    postgres__parameters parameters;
    uint32_t *doomed; /* numbers of statements to deallocate */
    size_t doomed_count, doomed_capacity;
    tims_timer drain_timer;
    int64_t idle_since_us;
    postgres__connection *next; /* idle, in the blocking pool */
};

/* Sending: into libpq's buffer, until flush or sync. False: the connection is lost. */
bool postgres__send_control(postgres__connection *connection, const char *sql, postgres__call *call);
/* `call`, if any, has had its answer before and is done with this one. */
bool postgres__send_position(postgres__connection *connection, postgres__call *call);
/* What an eviction left to be done; only outside of transactions. */
bool postgres__send_housekeeping(postgres__connection *connection);
/* The call's next step: to prepare and describe its statement, or to run it. A value that cannot be sent ends
 * the call. */
bool postgres__send_call(postgres__connection *connection, postgres__call *call);
bool postgres__send_script(postgres__connection *connection, const char *sql, postgres__call *call);
/* `call`, if any, waits until everything before it has been answered. */
bool postgres__send_sync(postgres__connection *connection, postgres__call *call);
/* Asks the server for what it has so far, and sends all. */
bool postgres__send_flush(postgres__connection *connection);

static inline bool postgres__is_ready(const postgres__connection *connection)
{
    return connection->state == POSTGRES_READY;
}
postgres__entry *postgres__entry_at(postgres__connection *connection, uint32_t index);
bool postgres__entry_push(postgres__connection *connection, postgres__entry_kind kind, postgres__call *call,
                          postgres__statement *statement);
void postgres__entry_pop(postgres__connection *connection);
/* Hands out what has been read. */
void postgres__deliver(postgres__connection *connection);
bool postgres__write_out(postgres__connection *connection);
/* Reads and hands out what has arrived, writes what could not be written. */
void postgres__connection_turn(postgres__connection *connection);
/* Blocking: until the call is done, or (NULL) everything is answered. */
void postgres__connection_block(postgres__connection *connection, const postgres__call *call);
/* Wakes who waits for it. */
void postgres__call_finish(postgres__call *call);
/* Whether it may be sent again, having failed through no fault of its own; then finishes it so. */
bool postgres__call_may_try_again(postgres__call *call);
bool postgres__call_try_again(postgres__call *call);
/* With its connection. */
void postgres__call_lose(postgres__call *call);
/* Nobody waits for the call any more: its answer will be dropped. */
void postgres__call_detach(postgres__call *call);
/* Its statement may belong to a connection that is about to be given back. */
void postgres__call_leave_statement(postgres__call *call);
/* As it was before it was sent, so that its statement is described anew. */
void postgres__call_renew(postgres__call *call);
/* Ready for another statement; what it held is released. */
void postgres__call_reset(postgres__call *call);
/* Ends its PGconn; what was in flight is told. */
void postgres__connection_lose(postgres__connection *connection);
void postgres__connection_free(postgres__connection *connection);
/* Cancels what runs on it, on a worker thread, and closes it. */
void postgres__connection_cancel(postgres__connection *connection);

postgres__connection *postgres__connection_new(postgres__pool *pool, uint32_t slot);
/* Blocking. */
tims_status postgres__connection_open(postgres__connection *connection, tims_error *err);
/* On the calling fiber. */
tims_status postgres__connection_open_on_fiber(postgres__connection *connection, tims_error *err);
/* On a fiber of its own; tells the pool. */
void postgres__connection_start(postgres__connection *connection);

/* --- pool.c, blocking.c, pipeline.c ---------------------------------------------------------------- */

typedef struct postgres__store postgres__store;

typedef struct postgres__wait {
    struct postgres__wait *next;
    tims_fiber *fiber;
    postgres__connection *granted;
    tims_status status; /* not OK: there will be none */
} postgres__wait;

struct postgres__pool {
    postgres__pool *next; /* of the store's list; set before it is published */
    postgres__store *store;
    tims_loop *loop;   /* NULL: blocking sessions */
    atomic_bool ended; /* its loop is gone */
    postgres__connection *slots[POSTGRES_CONNECTIONS_MAX];
    uint32_t ready_count, opening_count, owned_count;
    postgres__statements statements;
    postgres__wait *first_wait, *last_wait; /* for a connection of their own */
    postgres__call *first_call, *last_call; /* plain reads, to be sent at the tick's end */
    uint32_t call_count;
    bool flush_armed, gathering;
    tims_timer gather_timer;
    /* after a failed attempt to connect */
    uint32_t failures;
    bool down;        /* there was no other connection: the timer makes the next attempt */
    int64_t retry_us; /* no further attempt before */
    tims_timer retry_timer, idle_timer;
    char down_why[200];
    postgres__connection *idle; /* of the blocking pool, under the store's mutex */
    uint32_t idle_count;
};

postgres__pool *postgres__pool_of(postgres__store *store, tims_loop *loop);
void postgres__pool_free(postgres__pool *pool);
/* A connection of its own. Suspends. Errors: UNAVAILABLE, TIMEOUT, CANCELLED. */
tims_status postgres__pool_take(postgres__pool *pool, postgres__connection **ret_connection, tims_error *err);
void postgres__pool_give(postgres__pool *pool, postgres__connection *connection);
/* The same for the pool of blocking sessions. */
tims_status postgres__blocking_take(postgres__pool *pool, postgres__connection **ret_connection,
                                    tims_error *err);
void postgres__blocking_give(postgres__pool *pool, postgres__connection *connection);
/* One more try to have a connection; false: there cannot be more. */
bool postgres__pool_grow(postgres__pool *pool);
void postgres__pool_opened(postgres__pool *pool, postgres__connection *connection, tims_status status,
                           const tims_error *why);
/* One has been lost: looks at the idle ones. */
void postgres__pool_doubt(postgres__pool *pool);
/* A connection has nothing to do any more, or is gone. */
void postgres__pool_settle(postgres__pool *pool, postgres__connection *connection);
bool postgres__pool_is_down(const postgres__pool *pool);
tims_status postgres__fail_down(const postgres__pool *pool, tims_error *err);

/* Runs a plain read: with others of this tick, on a connection of many. Suspends. */
tims_status postgres__read(postgres__pool *pool, postgres__call *call, tims_error *err);
/* Sends what is gathered, as far as there are connections. */
void postgres__pool_flush(postgres__pool *pool);
void postgres__pool_flush_soon(postgres__pool *pool); /* at the tick's end */
void postgres__pool_enqueue(postgres__pool *pool, postgres__call *call, bool first);
void postgres__pool_fail_calls(postgres__pool *pool);

/* --- fault.c --------------------------------------------------------------------------------------- */

/* The server's error as a status; constraint errors name their columns. Frees the result. `arena` may be
 * NULL: no columns are named. */
tims_status postgres__fault(PGresult *result, tims_str sql, tims_arena *arena, tims_error *err);
bool postgres__is_fatal(const PGresult *result); /* the connection ends with it */
bool postgres__is_stale(const PGresult *result); /* the statement must be prepared anew */
bool postgres__is_error(const PGresult *result);
tims_status postgres__fail_lost(tims_error *err);
tims_status postgres__fail_stale(tims_error *err);
tims_status postgres__fail_busy(tims_error *err);

/* --- store.c, session.c, transaction.c, rows.c ----------------------------------------------------- */

typedef struct postgres__watcher {
    struct postgres__watcher *next;
    void (*function)(void *argument);
    void *argument;
} postgres__watcher;

struct postgres__store {
    tims_db base;
    postgres__settings settings;
    pthread_mutex_t mutex; /* the list of pools, the blocking pool's connections */
    _Atomic(postgres__pool *) pools;
    pthread_mutex_t watcher_mutex;
    postgres__watcher *watchers;
    int64_t transaction_max_ms, begin_timeout_ms, lock_timeout_ms;
};

typedef struct postgres__session {
    tims_db_session base;
    postgres__store *store;
    postgres__pool *pool;
    postgres__call call;
    /* the snapshot */
    postgres__connection *snapshot;
    postgres__position *position;
    bool last;          /* the next statement is its last */
    bool snapshot_done; /* that statement has been run */
    bool snapshot_failed;
    int64_t memo;
    postgres__position *committed; /* just now, with nothing done since: a position that contains it */
    /* the transaction */
    postgres__connection *transaction;
    bool begun;  /* BEGIN has been sent */
    bool fresh;  /* nothing has been answered yet: another connection is as good */
    bool dirty;  /* something was done that a new BEGIN would lose */
    bool failed; /* a statement failed: only a rollback helps */
    bool schema;
    tims_timer held_timer;
} postgres__session;

typedef struct postgres__rows {
    tims_db_rows base;
    PGresult *result;                  /* NULL: ended */
    const postgres__connection *owner; /* the snapshot's or transaction's connection; NULL: a plain read */
    int row, row_count, column_count;
    tims_status status; /* of a transaction that was taken away */
    char *scratch;      /* for texts of the current row, POSTGRES_TEXT_BYTES for each column */
    int scratch_columns;
} postgres__rows;

/* listener.c */
tims_status postgres__notify(tims_db_session *session, const char *channel, tims_error *err);
tims_db_listener *postgres__listen(tims_db *db, tims_loop *loop, const char *channel, tims_loop_fn function,
                                   void *argument);
void postgres__listener_free(tims_db_listener *listener);

tims_status postgres__open(const tims_db_options *options, tims_str url, tims_db **ret_db, tims_error *err);
void postgres__close(tims_db *db);
void postgres__watch_commits(tims_db *db, void (*function)(void *), void *argument);
void postgres__tell_commit(postgres__store *store);

void postgres__session_start(tims_db_session *session);
void postgres__session_end(tims_db_session *session);
tims_status postgres__snapshot(tims_db_session *session, tims_error *err);
void postgres__snapshot_end(tims_db_session *session);
int64_t *postgres__snapshot_memo(tims_db_session *session);
tims_status postgres__snapshot_text(tims_db_session *session, tims_str *ret_text, tims_error *err);
void postgres__hint_last(tims_db_session *session);
tims_status postgres__foreign_version(tims_db_session *session, int64_t *ret_version, tims_error *err);
/* Runs a statement wherever the session is: its result. Suspends. */
tims_status postgres__session_run(postgres__session *session, tims_str sql, const tims_db_value *values,
                                  size_t count, PGresult **ret_result, tims_error *err);
/* The session's call, to be sent. */
postgres__call *postgres__session_call(postgres__session *session, tims_str sql, const tims_db_value *values,
                                       size_t count, tims_error *err);
/* Until the call on the connection is done, or the wait was ended: then nobody waits any more. Suspends. */
tims_status postgres__session_wait(postgres__session *session, postgres__connection *connection,
                                   tims_error *err);
/* The call's outcome. */
tims_status postgres__session_outcome(postgres__session *session, PGresult **ret_result, tims_error *err);

tims_status postgres__begin(tims_db_session *session, bool schema, tims_error *err);
tims_status postgres__commit(tims_db_session *session, tims_error *err);
void postgres__rollback(tims_db_session *session);
tims_status postgres__savepoint(tims_db_session *session, tims_error *err);
tims_status postgres__savepoint_release(tims_db_session *session, tims_error *err);
void postgres__savepoint_rollback(tims_db_session *session);
tims_status postgres__script(tims_db_session *session, tims_str sql, tims_error *err);
tims_status postgres__script_alone(tims_db_session *session, tims_str sql, tims_error *err);
/* Runs the session's call in its transaction. Suspends. */
tims_status postgres__transaction_run(postgres__session *session, PGresult **ret_result, tims_error *err);

tims_status postgres__query(tims_db_session *session, tims_db_rows *rows, tims_str sql,
                            const tims_db_value *values, size_t count, tims_error *err);
bool postgres__next(tims_db_rows *rows);
tims_status postgres__rows_end(tims_db_rows *rows, tims_error *err);
/* Ends all rows read on the connection; `status` is what rows_end will say. */
void postgres__rows_cut(postgres__session *session, const postgres__connection *connection,
                        tims_status status);
tims_status postgres__run(tims_db_session *session, tims_str sql, const tims_db_value *values, size_t count,
                          int64_t *ret_changed, tims_error *err);
int postgres__column_count(const tims_db_rows *rows);
bool postgres__is_null(const tims_db_rows *rows, int column);
int64_t postgres__get_int(const tims_db_rows *rows, int column);
double postgres__get_double(const tims_db_rows *rows, int column);
tims_str postgres__get_text(const tims_db_rows *rows, int column);
tims_id postgres__get_id(const tims_db_rows *rows, int column);
int64_t postgres__get_decimal(const tims_db_rows *rows, int column, uint8_t scale);
const char *postgres__column_name(const tims_db_rows *rows, int column);

#endif
