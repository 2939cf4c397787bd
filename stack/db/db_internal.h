/* db_internal.h: the seam between what a session means (db.c) and how a database does it (a driver).
 *
 * db.c keeps what is the same for every database: nesting, open rows, calls after a commit, what a broken
 * transaction answers. A driver keeps connections and runs statements. A driver's structs start with the ones
 * here. */
#ifndef TIMS_DB_INTERNAL_H
#define TIMS_DB_INTERNAL_H

#include "tims/db.h"

enum { DB_MAGIC = 0x74646231, DB_SESSION_MAGIC = 0x74647331, DB_ROWS_MAGIC = 0x74647231 };

typedef struct db__driver db__driver;

struct tims_db {
    uint32_t magic;
    const db__driver *driver;
};

/* A call to make once the outermost transaction is durable. */
typedef struct db__commit_call {
    struct db__commit_call *next;
    tims_loop_fn function;
    void *argument;
    uint32_t
        depth; /* of the transaction it was registered in: a rolled back savepoint takes its calls along */
} db__commit_call;

struct tims_db_session {
    uint32_t magic;
    uint32_t depth;          /* of transactions; 0: none */
    uint32_t snapshot_depth; /* of snapshots; 0: none */
    tims_status broken;      /* not OK: the transaction is gone; its statements and commit answer this */
    const char *broken_why;  /* static */
    const db__driver *driver;
    tims_db *db;
    tims_loop *loop; /* NULL: blocking */
    tims_arena *arena;
    tims_db_rows *open_rows, *idle_rows;
    db__commit_call *calls, *idle_calls;
    void *slot;
};

struct tims_db_rows {
    uint32_t magic;
    const db__driver *driver;
    tims_db_session *session;
    tims_db_rows *next, *previous;
};

struct db__driver {
    tims_db_dialect dialect;
    size_t session_bytes, rows_bytes; /* of the driver's structs */
    tims_status (*open)(const tims_db_options *options, tims_str location, tims_db **ret_db, tims_error *err);
    void (*close)(tims_db *db);
    void (*watch_commits)(tims_db *db, void (*function)(void *), void *argument);

    void (*session_start)(tims_db_session *session); /* the common part is filled in */
    void (*session_end)(tims_db_session *session);   /* nothing is open any more */

    tims_status (*snapshot)(tims_db_session *session, tims_error *err); /* the outermost only */
    void (*snapshot_end)(tims_db_session *session);
    int64_t *(*snapshot_memo)(tims_db_session *session); /* in a snapshot, outside of a transaction */
    /* NULL: positions are no snapshots here */
    tims_status (*snapshot_text)(tims_db_session *session, tims_str *ret_text, tims_error *err);
    void (*hint_last)(tims_db_session *session); /* may be NULL */
    /* The outermost transaction. `schema`: alone, foreign keys checked at the commit only. */
    tims_status (*begin)(tims_db_session *session, bool schema, tims_error *err);
    tims_status (*commit)(tims_db_session *session, tims_error *err); /* ends it either way */
    void (*rollback)(tims_db_session *session);                       /* also when `broken` */
    /* Inner ones. */
    tims_status (*savepoint)(tims_db_session *session, tims_error *err);
    tims_status (*savepoint_release)(tims_db_session *session, tims_error *err);
    void (*savepoint_rollback)(tims_db_session *session);

    tims_status (*query)(tims_db_session *session, tims_db_rows *rows, tims_str sql,
                         const tims_db_value *values, size_t count, tims_error *err);
    bool (*next)(tims_db_rows *rows);
    tims_status (*rows_end)(tims_db_rows *rows, tims_error *err);
    /* Inside a transaction only. */
    tims_status (*run)(tims_db_session *session, tims_str sql, const tims_db_value *values, size_t count,
                       int64_t *ret_changed, tims_error *err);
    tims_status (*script)(tims_db_session *session, tims_str sql, tims_error *err);
    tims_status (*script_alone)(tims_db_session *session, tims_str sql, tims_error *err); /* may be NULL */
    tims_status (*foreign_version)(tims_db_session *session, int64_t *ret_version, tims_error *err);

    tims_status (*notify)(tims_db_session *session, const char *channel, tims_error *err); /* may be NULL */
    tims_db_listener *(*listen)(tims_db *db, tims_loop *loop, const char *channel, tims_loop_fn function,
                                void *argument);
    void (*listener_free)(tims_db_listener *listener);

    int (*column_count)(const tims_db_rows *rows);
    bool (*is_null)(const tims_db_rows *rows, int column);
    int64_t (*get_int)(const tims_db_rows *rows, int column);
    double (*get_double)(const tims_db_rows *rows, int column);
    tims_str (*get_text)(const tims_db_rows *rows, int column);
    tims_id (*get_id)(const tims_db_rows *rows, int column);
    int64_t (*get_decimal)(const tims_db_rows *rows, int column, uint8_t scale);
    const char *(*column_name)(const tims_db_rows *rows, int column);
};

/* A driver's listener starts with this. */
struct tims_db_listener {
    uint32_t magic;
    const db__driver *driver;
    tims_loop *loop;
    tims_loop_fn function;
    void *argument;
};
enum { DB_LISTENER_MAGIC = 0x74646c31 };

/* The file that sqlite:<path> names; false: the URL is another database's. */
bool db__sqlite_location(tims_str url, tims_str *ret_path);

extern const db__driver db__sqlite_driver;
extern const db__driver db__postgres_driver;

#endif
