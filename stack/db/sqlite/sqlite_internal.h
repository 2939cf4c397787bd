/* sqlite_internal.h: the SQLite driver's parts and how they hold together.
 *
 *   store ── writer ── the write connection, the queue for it, the thread that commits groups
 *     └───── pools  ── one per loop (and one for blocking sessions): read connections, whom to wake
 *
 *   session ── turn: its place at the writer
 *           └─ snapshot: a read connection kept from begin_snapshot to end_snapshot
 *
 * Locks: the writer's mutex guards the queue, the group, every turn's state and the pools' wake lists. A
 * loop's pool of connections is touched by its loop's thread only; the blocking pool's by whoever holds the
 * store's mutex. */
#ifndef TIMS_SQLITE_INTERNAL_H
#define TIMS_SQLITE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "db/db_internal.h"

enum {
    SQLITE_CONNECTION_MAGIC = 0x74736331,
    SQLITE_STATEMENTS_MAX = 256, /* prepared statements kept per connection */
    SQLITE_STATEMENT_BUCKETS = 256,
    SQLITE_READERS_MAX = 16,     /* read connections of one loop; past it statements wait */
    SQLITE_READERS_IDLE_MAX = 4, /* kept open while nobody reads */
    SQLITE_CHECKPOINT_BYTES = 4 << 20
};

/* --- connection.c, statement.c ----------------------------------------------------------------------- */

typedef struct sqlite__statement {
    sqlite3_stmt *handle;
    uint64_t hash;
    char *sql;
    size_t sql_length;
    size_t parameter_count;
    struct sqlite__statement *newer, *older; /* by last use */
    struct sqlite__statement *chain;         /* same bucket */
    bool running;                            /* rows are open on it */
    bool kept;                               /* in the cache; otherwise finalized when released */
} sqlite__statement;

typedef struct sqlite__connection {
    uint32_t magic;
    bool writes;
    sqlite3 *handle;
    struct sqlite__connection *next; /* in a pool */
    sqlite__statement *newest, *oldest;
    sqlite__statement *buckets[SQLITE_STATEMENT_BUCKETS];
    uint32_t statement_count;
    int wal_frames;             /* after its last commit */
    int64_t data_version, memo; /* of its last snapshot; what was noted about that state, 0: nothing */
    sqlite__statement
        *anchor;             /* keeps its snapshot, of a session or until the tick ends; NULL: it has none */
    uint64_t anchor_version; /* the writer's `version` when that was taken */
} sqlite__connection;

tims_status sqlite__connection_open(const char *path, bool writes, sqlite__connection **ret_connection,
                                    tims_error *err);
void sqlite__connection_close(sqlite__connection **connection);
/* Gives up the snapshot it keeps, if it keeps one. */
void sqlite__connection_settle(sqlite__connection *connection);
/* Runs a constant statement without parameters and rows; the SQLite result code. */
int sqlite__connection_do(sqlite__connection *connection, tims_str sql);

tims_status sqlite__statement_get(sqlite__connection *connection, tims_str sql,
                                  sqlite__statement **ret_statement, tims_error *err);
void sqlite__statement_release(sqlite__connection *connection, sqlite__statement *statement);
void sqlite__statements_drop(sqlite__connection *connection); /* all; none may be running */
/* `stays`: the values outlive the statement's run, so that nothing is copied. */
tims_status sqlite__statement_bind(sqlite__connection *connection, sqlite__statement *statement,
                                   const tims_db_value *values, size_t count, bool stays, tims_error *err);

/* --- fault.c ----------------------------------------------------------------------------------------- */

/* What went wrong on the connection just now, as a status; constraint errors name their columns. `arena` may
 * be NULL: no columns are named. */
tims_status sqlite__fault(sqlite__connection *connection, int code, tims_arena *arena, tims_error *err);

/* --- pool.c ------------------------------------------------------------------------------------------ */

typedef struct sqlite__turn sqlite__turn;
typedef struct sqlite__store sqlite__store;

typedef struct sqlite__reader_wait {
    struct sqlite__reader_wait *next;
    tims_fiber *fiber;
} sqlite__reader_wait;

typedef struct sqlite__pool {
    struct sqlite__pool *next; /* of the store's list; set before it is published */
    sqlite__store *store;
    tims_loop *loop; /* NULL: blocking sessions */
    sqlite__connection *idle;
    uint32_t idle_count, open_count;
    sqlite__reader_wait *first_wait, *last_wait;
    sqlite__connection *watcher; /* for tims_db_foreign_version: its data_version is relative to itself */
    int64_t watched_version;
    /* under the writer's mutex */
    sqlite__turn *wake_first, *wake_last;
    struct sqlite__pool *post_next; /* gathered to be posted to once the mutex is released */
    bool posted;
    /* on the loop's thread */
    bool linger_armed, settle_armed;
} sqlite__pool;

sqlite__pool *sqlite__pool_of(sqlite__store *store, tims_loop *loop);
void sqlite__pool_free(sqlite__pool *pool);
/* Suspends when SQLITE_READERS_MAX are in use. */
tims_status sqlite__pool_take(sqlite__pool *pool, sqlite__connection **ret_connection, tims_error *err);
void sqlite__pool_give(sqlite__pool *pool, sqlite__connection *connection);
/* The same for one that keeps a snapshot: whoever reads until the loop's tick ends may have it. */
void sqlite__pool_give_anchored(sqlite__pool *pool, sqlite__connection *connection);
tims_status sqlite__pool_version(sqlite__pool *pool, int64_t *ret_version, tims_error *err);

/* --- writer.c, writer_thread.c ----------------------------------------------------------------------- */

typedef enum sqlite__turn_state {
    SQLITE_TURN_NONE,
    SQLITE_TURN_QUEUED,  /* waits for the writer */
    SQLITE_TURN_HOLDS,   /* owns the write connection */
    SQLITE_TURN_GROUPED, /* released into the group; waits for its commit */
    SQLITE_TURN_FAILED   /* will not get the writer: see `status` */
} sqlite__turn_state;

struct sqlite__turn {
    sqlite__turn *next;      /* in the queue or the group */
    sqlite__turn *wake_next; /* in its pool's wake list */
    sqlite__pool *pool;
    tims_fiber *fiber; /* NULL: blocking */
    sqlite__turn_state state;
    bool waking; /* in the wake list */
    bool alone;  /* a schema change: a group of its own, foreign keys off */
    int64_t queued_us;
    tims_status status; /* how the commit went, or why the writer was not given */
    const char *code;
    char detail[160];
};

typedef enum sqlite__writer_phase {
    SQLITE_WRITER_IDLE,    /* no outer transaction is open */
    SQLITE_WRITER_OWNED,   /* a turn owns the connection */
    SQLITE_WRITER_LINGERS, /* a group is open, nobody owns it: whoever comes until the loop's tick ends joins
                              it */
    SQLITE_WRITER_THREAD   /* the writer thread owns it: to commit, to begin, to give it on */
} sqlite__writer_phase;

typedef struct sqlite__watcher {
    struct sqlite__watcher *next;
    void (*function)(void *argument);
    void *argument;
} sqlite__watcher;

typedef struct sqlite__writer {
    pthread_mutex_t mutex;
    pthread_cond_t thread_wake;   /* phase THREAD, or stopping */
    pthread_cond_t blocking_wake; /* blocking turns: look again */
    pthread_mutex_t watcher_mutex;
    pthread_t thread;
    bool thread_started, stopping;
    sqlite__writer_phase phase;
    bool open;  /* BEGIN IMMEDIATE was done and not ended */
    bool alone; /* the open transaction is a schema change */
    bool lost;  /* SQLite rolled the whole transaction back: the group has failed */
    sqlite__turn *owner;
    sqlite__turn *queue_first, *queue_last;
    sqlite__turn *group_first, *group_last;
    uint32_t group_count, group_max;
    int64_t busy_timeout_ms, begin_timeout_ms;
    int checkpoint_frames, next_checkpoint_frames; /* the WAL's length that is worth a checkpoint; now */
    _Atomic uint64_t version;                      /* another with each commit, before anybody hears of it */
    sqlite__connection *connection;
    sqlite__watcher *watchers;
} sqlite__writer;

tims_status sqlite__writer_start(sqlite__writer *writer, const tims_db_options *options,
                                 sqlite__connection *connection, tims_error *err);
/* Ends the thread; the connection is the caller's again. */
sqlite__connection *sqlite__writer_stop(sqlite__writer *writer);
void sqlite__writer_watch(sqlite__writer *writer, void (*function)(void *), void *argument);
/* Owns the write connection afterwards, inside its outer transaction. Suspends. */
tims_status sqlite__writer_acquire(sqlite__writer *writer, sqlite__turn *turn, tims_error *err);
/* Its changes are to be committed with the group. Returns once they are durable, or are not. Suspends,
 * shielded. */
tims_status sqlite__writer_commit(sqlite__writer *writer, sqlite__turn *turn, tims_error *err);
/* It has undone its changes: the connection goes on to the next. Never suspends. */
void sqlite__writer_let_go(sqlite__writer *writer, sqlite__turn *turn);
void *sqlite__writer_thread(void *writer);

/* With the mutex held: */
void sqlite__writer_grant(sqlite__writer *writer, sqlite__turn *turn, sqlite__pool **posts);
void sqlite__writer_wake(sqlite__writer *writer, sqlite__turn *turn, sqlite__pool **posts);
/* Without it: */
void sqlite__writer_post(sqlite__pool *posts);

/* --- store.c, session.c, rows.c ---------------------------------------------------------------------- */

struct sqlite__store {
    tims_db base;
    char *path;
    int lock_fd;           /* -1: not exclusive */
    int gate_fd;           /* see sqlite__gate */
    pthread_mutex_t mutex; /* the list of pools, the blocking pool */
    _Atomic(sqlite__pool *) pools;
    int64_t transaction_max_ms, begin_timeout_ms;
    sqlite__writer writer;
};

typedef struct sqlite__session {
    tims_db_session base;
    sqlite__store *store;
    sqlite__pool *pool;
    sqlite__connection *snapshot;
    sqlite__turn turn;
    bool schema;
    int64_t held_since_us;
    tims_timer held_timer;
} sqlite__session;

typedef struct sqlite__rows {
    tims_db_rows base;
    sqlite__connection *connection; /* NULL: ended */
    sqlite__statement *statement;
    sqlite3_stmt *handle; /* of `statement`, for the columns */
    bool from_pool;       /* the connection goes back there */
    int code;             /* SQLITE_OK, or why the rows ended early */
    tims_status status;   /* of `code`; or of the transaction that was taken away */
} sqlite__rows;

tims_status sqlite__open(const tims_db_options *options, tims_str location, tims_db **ret_db,
                         tims_error *err);
void sqlite__close(tims_db *db);
/* What holds for all of SQLite in this process; before the first call of it. */
void sqlite__configure(void);
/* Takes <path>.lock until `*ret_fd` is closed. Errors: BUSY "database_in_use", IO. */
tims_status sqlite__lock(const char *path, int *ret_fd, tims_error *err);
/* Who has the database open is in its gate, until the descriptor is closed; who changes the file for another
 * has to be alone there. OPEN waits while it is changed, and is then in the new one's. Errors: BUSY: CHANGE,
 * and somebody is there; IO. */
typedef enum sqlite__gate_kind { SQLITE__GATE_OPEN, SQLITE__GATE_CHANGE } sqlite__gate_kind;
tims_status sqlite__gate(const char *path, sqlite__gate_kind kind, int *ret_fd, tims_error *err);
void sqlite__watch_commits(tims_db *db, void (*function)(void *), void *argument);
void sqlite__session_start(tims_db_session *session);
void sqlite__session_end(tims_db_session *session);
tims_status sqlite__snapshot(tims_db_session *session, tims_error *err);
void sqlite__snapshot_end(tims_db_session *session);
int64_t *sqlite__snapshot_memo(tims_db_session *session);
tims_status sqlite__begin(tims_db_session *session, bool schema, tims_error *err);
tims_status sqlite__commit(tims_db_session *session, tims_error *err);
void sqlite__rollback(tims_db_session *session);
tims_status sqlite__savepoint(tims_db_session *session, tims_error *err);
tims_status sqlite__savepoint_release(tims_db_session *session, tims_error *err);
void sqlite__savepoint_rollback(tims_db_session *session);
tims_status sqlite__script(tims_db_session *session, tims_str sql, tims_error *err);
tims_status sqlite__foreign_version(tims_db_session *session, int64_t *ret_version, tims_error *err);
tims_db_listener *sqlite__listen(tims_db *db, tims_loop *loop, const char *channel, tims_loop_fn function,
                                 void *argument);
void sqlite__listener_free(tims_db_listener *listener);
/* After a statement failed inside the transaction: whether SQLite has ended all of it. */
void sqlite__session_check_lost(sqlite__session *session);
/* OK, or TIMEOUT after taking the transaction away from a session that has held the writer too long. */
tims_status sqlite__session_check_held(sqlite__session *session, tims_error *err);

tims_status sqlite__query(tims_db_session *session, tims_db_rows *rows, tims_str sql,
                          const tims_db_value *values, size_t count, tims_error *err);
bool sqlite__next(tims_db_rows *rows);
tims_status sqlite__rows_end(tims_db_rows *rows, tims_error *err);
/* Ends the statements of all rows on the write connection or the snapshot; `status` is what rows_end will
 * say. */
void sqlite__rows_cut(sqlite__session *session, sqlite__connection *connection, tims_status status);
tims_status sqlite__run(tims_db_session *session, tims_str sql, const tims_db_value *values, size_t count,
                        int64_t *ret_changed, tims_error *err);
int sqlite__column_count(const tims_db_rows *rows);
bool sqlite__is_null(const tims_db_rows *rows, int column);
int64_t sqlite__get_int(const tims_db_rows *rows, int column);
double sqlite__get_double(const tims_db_rows *rows, int column);
tims_str sqlite__get_text(const tims_db_rows *rows, int column);
tims_id sqlite__get_id(const tims_db_rows *rows, int column);
int64_t sqlite__get_decimal(const tims_db_rows *rows, int column, uint8_t scale);
const char *sqlite__column_name(const tims_db_rows *rows, int column);

#endif
