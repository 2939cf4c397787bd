/* db.c: what a session means, whatever the database.
 *
 * Nesting is counted here: the outermost begin and commit are the driver's transactions, inner ones its
 * savepoints. A transaction can be lost without its code having asked for it (held too long, the disk full in
 * a statement): the driver then sets `broken`, and every statement and commit up to the outermost end answers
 * that status. A session ends with its arena: rows are ended, a transaction is rolled back, a snapshot is
 * given up. */
#include "db_internal.h"

#include <string.h>

/* --- database ---------------------------------------------------------------------------------------- */

bool db__sqlite_location(tims_str url, tims_str *ret_path)
{
    if (!tims_str_starts_with(url, TIMS_STR("sqlite:")))
        return false;
    tims_str path = tims_str_slice(url, 7, url.length);
    if (tims_str_starts_with(path, TIMS_STR("//")))
        path = tims_str_slice(path, 2, path.length); /* sqlite:///a/b is /a/b */
    *ret_path = path;
    return true;
}

tims_status tims_db_open(const tims_db_options *options, tims_db **ret_db, tims_error *err)
{
    TIMS_ASSERT(options != NULL && ret_db != NULL);
    tims_str url = options->url, path;
    if (db__sqlite_location(url, &path))
        return db__sqlite_driver.open(options, path, ret_db, err);
    if (tims_str_starts_with(url, TIMS_STR("postgres://")) ||
        tims_str_starts_with(url, TIMS_STR("postgresql://")))
        return db__postgres_driver.open(options, url, ret_db, err);
    /* The URL may hold a password: it is not repeated. */
    return tims_fail(err, TIMS_UNAVAILABLE, "database_url",
                     "DATABASE_URL must be sqlite:<path> or postgres://user:password@host:port/database.");
}

void tims_db_close(tims_db **db)
{
    if (*db == NULL)
        return;
    TIMS_CHECK_MAGIC(*db, DB_MAGIC);
    (*db)->driver->close(*db);
    *db = NULL;
}

tims_db_dialect tims_db_session_dialect(const tims_db_session *session)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    return session->driver->dialect;
}

tims_db_dialect tims_db_dialect_of(const tims_db *db)
{
    TIMS_CHECK_MAGIC(db, DB_MAGIC);
    return db->driver->dialect;
}

void tims_db_watch_commits(tims_db *db, void (*function)(void *argument), void *argument)
{
    TIMS_CHECK_MAGIC(db, DB_MAGIC);
    db->driver->watch_commits(db, function, argument);
}

tims_status tims_db_notify(tims_db_session *session, const char *channel, tims_error *err)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    return session->driver->notify != NULL ? session->driver->notify(session, channel, err) : TIMS_OK;
}

tims_db_listener *tims_db_listen(tims_db *db, tims_loop *loop, const char *channel, tims_loop_fn function,
                                 void *argument)
{
    TIMS_CHECK_MAGIC(db, DB_MAGIC);
    tims_db_listener *listener = db->driver->listen(db, loop, channel, function, argument);
    TIMS_CHECK_MAGIC(listener, DB_LISTENER_MAGIC);
    return listener;
}

void tims_db_listener_free(tims_db_listener **listener)
{
    if (*listener == NULL)
        return;
    TIMS_CHECK_MAGIC(*listener, DB_LISTENER_MAGIC);
    (*listener)->driver->listener_free(*listener);
    *listener = NULL;
}

/* --- session ----------------------------------------------------------------------------------------- */

/* Ends what is open: rows, the transaction, snapshots beyond `depth`. */
static void end_open(tims_db_session *session, uint32_t depth)
{
    while (session->open_rows != NULL) {
        tims_db_rows *rows = session->open_rows;
        tims_status ignored = tims_db_rows_end(&rows, NULL);
        (void)ignored;
    }
    while (session->depth > 0)
        tims_db_rollback(session);
    while (session->snapshot_depth > depth)
        tims_db_end_snapshot(session);
}

uint32_t tims_db_mark(const tims_db_session *session)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    TIMS_ASSERT(session->open_rows == NULL && session->depth == 0);
    return session->snapshot_depth;
}

void tims_db_unwind(tims_db_session *session, uint32_t mark)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    end_open(session, mark);
}

void **tims_db_session_slot(tims_db_session *session)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    return &session->slot;
}

static void end_session(void *argument)
{
    tims_db_session *session = argument;
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    end_open(session, 0);
    session->driver->session_end(session);
    session->magic = 0;
}

tims_db_session *tims_db_session_new(tims_db *db, tims_loop *loop, tims_arena *arena)
{
    TIMS_CHECK_MAGIC(db, DB_MAGIC);
    tims_db_session *session = tims_alloc(arena, db->driver->session_bytes);
    session->magic = DB_SESSION_MAGIC;
    session->driver = db->driver;
    session->db = db;
    session->loop = loop;
    session->arena = arena;
    tims_arena_defer(arena, end_session, session);
    db->driver->session_start(session);
    return session;
}

tims_status tims_db_begin_snapshot(tims_db_session *session, tims_error *err)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    if (session->snapshot_depth == 0) {
        tims_status status = session->driver->snapshot(session, err);
        if (status != TIMS_OK)
            return status;
    }
    session->snapshot_depth++;
    return TIMS_OK;
}

void tims_db_end_snapshot(tims_db_session *session)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    TIMS_ASSERT(session->snapshot_depth > 0);
    if (--session->snapshot_depth == 0)
        session->driver->snapshot_end(session);
}

int64_t *tims_db_snapshot_memo(tims_db_session *session)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    if (session->snapshot_depth == 0 || session->depth > 0)
        return NULL;
    return session->driver->snapshot_memo(session);
}

static tims_status fail_broken(const tims_db_session *session, tims_error *err)
{
    tims_status status = tims_fail(err, session->broken, NULL, "%s", session->broken_why);
    if (status == TIMS_UNAVAILABLE && err != NULL)
        err->retry_after_s = 1;
    return status;
}

tims_status tims_db_snapshot_text(tims_db_session *session, tims_str *ret_text, tims_error *err)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    *ret_text = (tims_str){ NULL, 0 };
    if (session->broken != TIMS_OK)
        return fail_broken(session, err);
    if (session->driver->snapshot_text == NULL)
        return TIMS_OK;
    return session->driver->snapshot_text(session, ret_text, err);
}

void tims_db_hint_last(tims_db_session *session)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    if (session->driver->hint_last != NULL && session->depth == 0)
        session->driver->hint_last(session);
}

/* --- transactions ------------------------------------------------------------------------------------ */

static tims_status begin(tims_db_session *session, bool schema, tims_error *err)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    if (session->broken != TIMS_OK)
        return fail_broken(session, err);
    TIMS_ASSERT(!schema || session->depth == 0);
    tims_status status = session->depth == 0 ? session->driver->begin(session, schema, err)
                                             : session->driver->savepoint(session, err);
    if (status == TIMS_OK)
        session->depth++;
    return status;
}

tims_status tims_db_begin(tims_db_session *session, tims_error *err)
{
    return begin(session, false, err);
}

tims_status tims_db_begin_schema(tims_db_session *session, tims_error *err)
{
    return begin(session, true, err);
}

/* Forgets the calls registered at `depth` or deeper. */
static void drop_calls(tims_db_session *session, uint32_t depth)
{
    while (session->calls != NULL && session->calls->depth >= depth) {
        db__commit_call *call = session->calls;
        session->calls = call->next;
        call->next = session->idle_calls;
        session->idle_calls = call;
    }
}

/* The list is newest first; the calls are made oldest first. */
static void make_calls(tims_db_session *session)
{
    db__commit_call *ordered = NULL;
    while (session->calls != NULL) {
        db__commit_call *call = session->calls;
        session->calls = call->next;
        call->next = ordered;
        ordered = call;
    }
    while (ordered != NULL) {
        db__commit_call *call = ordered;
        ordered = call->next;
        tims_loop_fn function = call->function;
        void *argument = call->argument;
        call->next = session->idle_calls;
        session->idle_calls = call;
        function(argument);
    }
}

static tims_status commit_inner(tims_db_session *session, tims_error *err)
{
    if (session->broken != TIMS_OK) {
        session->depth--;
        return fail_broken(session, err);
    }
    tims_status status = session->driver->savepoint_release(session, err);
    if (status != TIMS_OK) {
        tims_db_rollback(session);
        return status;
    }
    session->depth--;
    for (db__commit_call *call = session->calls; call != NULL && call->depth > session->depth;
         call = call->next)
        call->depth = session->depth;
    return TIMS_OK;
}

tims_status tims_db_commit(tims_db_session *session, tims_error *err)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    TIMS_ASSERT(session->depth > 0);
    if (session->depth > 1)
        return commit_inner(session, err);
    tims_status status;
    if (session->broken != TIMS_OK) {
        status = fail_broken(session, err);
        session->driver->rollback(session);
    } else {
        status = session->driver->commit(session, err);
    }
    session->depth = 0;
    session->broken = TIMS_OK;
    if (status == TIMS_OK)
        make_calls(session);
    else
        drop_calls(session, 0);
    return status;
}

void tims_db_rollback(tims_db_session *session)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    if (session->depth == 0)
        return;
    drop_calls(session, session->depth);
    if (--session->depth > 0) {
        if (session->broken == TIMS_OK)
            session->driver->savepoint_rollback(session);
        return;
    }
    session->driver->rollback(session);
    session->broken = TIMS_OK;
}

bool tims_db_in_transaction(const tims_db_session *session)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    return session->depth > 0;
}

void tims_db_on_commit(tims_db_session *session, tims_loop_fn function, void *argument)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    TIMS_ASSERT(session->depth > 0);
    db__commit_call *call = session->idle_calls;
    if (call != NULL)
        session->idle_calls = call->next;
    else
        call = TIMS_NEW(session->arena, db__commit_call);
    *call = (db__commit_call){ session->calls, function, argument, session->depth };
    session->calls = call;
}

/* --- statements -------------------------------------------------------------------------------------- */

static tims_db_rows *take_rows(tims_db_session *session)
{
    tims_db_rows *rows = session->idle_rows;
    if (rows != NULL)
        session->idle_rows = rows->next;
    else
        rows = tims_alloc(session->arena, session->driver->rows_bytes);
    rows->magic = DB_ROWS_MAGIC;
    rows->driver = session->driver;
    rows->session = session;
    return rows;
}

static void give_back_rows(tims_db_session *session, tims_db_rows *rows)
{
    rows->magic = 0;
    rows->next = session->idle_rows;
    session->idle_rows = rows;
}

tims_status tims_db_query(tims_db_session *session, tims_str sql, const tims_db_value *values, size_t count,
                          tims_db_rows **ret_rows, tims_error *err)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    if (session->broken != TIMS_OK)
        return fail_broken(session, err);
    tims_db_rows *rows = take_rows(session);
    tims_status status = session->driver->query(session, rows, sql, values, count, err);
    if (status != TIMS_OK) {
        give_back_rows(session, rows);
        return status;
    }
    rows->previous = NULL;
    rows->next = session->open_rows;
    if (rows->next != NULL)
        rows->next->previous = rows;
    session->open_rows = rows;
    *ret_rows = rows;
    return TIMS_OK;
}

bool tims_db_next(tims_db_rows *rows)
{
    TIMS_CHECK_MAGIC(rows, DB_ROWS_MAGIC);
    return rows->driver->next(rows);
}

tims_status tims_db_rows_end(tims_db_rows **rows_at, tims_error *err)
{
    tims_db_rows *rows = *rows_at;
    if (rows == NULL)
        return TIMS_OK;
    TIMS_CHECK_MAGIC(rows, DB_ROWS_MAGIC);
    *rows_at = NULL;
    tims_db_session *session = rows->session;
    tims_status status = rows->driver->rows_end(rows, err);
    if (rows->previous != NULL)
        rows->previous->next = rows->next;
    else
        session->open_rows = rows->next;
    if (rows->next != NULL)
        rows->next->previous = rows->previous;
    give_back_rows(session, rows);
    return status;
}

tims_status tims_db_run(tims_db_session *session, tims_str sql, const tims_db_value *values, size_t count,
                        int64_t *ret_changed, tims_error *err)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    if (session->broken != TIMS_OK)
        return fail_broken(session, err);
    if (session->depth > 0)
        return session->driver->run(session, sql, values, count, ret_changed, err);
    tims_status status = tims_db_begin(session, err);
    if (status != TIMS_OK)
        return status;
    int64_t changed = 0;
    status = session->driver->run(session, sql, values, count, &changed, err);
    if (status != TIMS_OK) {
        tims_db_rollback(session);
        return status;
    }
    status = tims_db_commit(session, err);
    if (status == TIMS_OK && ret_changed != NULL)
        *ret_changed = changed;
    return status;
}

tims_status tims_db_script(tims_db_session *session, tims_str sql, tims_error *err)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    tims_status status = tims_db_begin(session, err);
    if (status != TIMS_OK)
        return status;
    status = session->driver->script(session, sql, err);
    if (status != TIMS_OK) {
        tims_db_rollback(session);
        return status;
    }
    return tims_db_commit(session, err);
}

tims_status tims_db_script_alone(tims_db_session *session, tims_str sql, tims_error *err)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    TIMS_ASSERT(session->loop == NULL && session->depth == 0 && session->snapshot_depth == 0);
    if (session->driver->script_alone == NULL)
        return tims_fail(err, TIMS_UNAVAILABLE, NULL, "This database runs every statement in a transaction.");
    return session->driver->script_alone(session, sql, err);
}

tims_status tims_db_foreign_version(tims_db_session *session, int64_t *ret_version, tims_error *err)
{
    TIMS_CHECK_MAGIC(session, DB_SESSION_MAGIC);
    return session->driver->foreign_version(session, ret_version, err);
}

/* --- columns ----------------------------------------------------------------------------------------- */

int tims_db_column_count(const tims_db_rows *rows)
{
    TIMS_CHECK_MAGIC(rows, DB_ROWS_MAGIC);
    return rows->driver->column_count(rows);
}

bool tims_db_is_null(const tims_db_rows *rows, int column)
{
    return rows->driver->is_null(rows, column);
}

int64_t tims_db_get_int(const tims_db_rows *rows, int column)
{
    return rows->driver->get_int(rows, column);
}

double tims_db_get_double(const tims_db_rows *rows, int column)
{
    return rows->driver->get_double(rows, column);
}

tims_str tims_db_get_text(const tims_db_rows *rows, int column)
{
    return rows->driver->get_text(rows, column);
}

tims_id tims_db_get_id(const tims_db_rows *rows, int column)
{
    return rows->driver->get_id(rows, column);
}

int64_t tims_db_get_decimal(const tims_db_rows *rows, int column, uint8_t scale)
{
    return rows->driver->get_decimal(rows, column, scale);
}

const char *tims_db_column_name(const tims_db_rows *rows, int column)
{
    TIMS_CHECK_MAGIC(rows, DB_ROWS_MAGIC);
    return rows->driver->column_name(rows, column);
}
