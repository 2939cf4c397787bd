/* writer_thread.c: the thread that makes groups durable.
 *
 * Whenever it is handed the write connection it commits what is open, wakes the group, moves the WAL into the
 * database file if it has grown, begins the next outer transaction if somebody waits, and gives the
 * connection to them. The checkpoint stands between two transactions on purpose: only one that began after a
 * complete checkpoint may start the WAL at its beginning again, so a checkpoint beside a running writer would
 * let the file grow for ever under load. */
#include "sqlite_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct outcome {
    tims_status status;
    const char *code;
    char detail[160];
} outcome;

static void set_outcome(outcome *ret_outcome, sqlite__connection *connection, int code)
{
    tims_error error = { 0 };
    ret_outcome->status = sqlite__fault(connection, code, NULL, &error);
    ret_outcome->code = error.code;
    (void)snprintf(ret_outcome->detail, sizeof ret_outcome->detail, "%.150s", error.detail);
}

/* --- ending a group ---------------------------------------------------------------------------------- */

/* What a schema change left behind: nothing, or the first row that refers to nothing. */
static bool references_hold(sqlite__connection *connection, outcome *ret_outcome)
{
    sqlite__statement *statement;
    if (sqlite__statement_get(connection, TIMS_STR("PRAGMA foreign_key_check"), &statement, NULL) !=
        TIMS_OK) {
        set_outcome(ret_outcome, connection, sqlite3_extended_errcode(connection->handle));
        return false;
    }
    int code = sqlite3_step(statement->handle);
    bool hold = code == SQLITE_DONE;
    if (code == SQLITE_ROW) {
        ret_outcome->status = TIMS_CONFLICT;
        ret_outcome->code = "foreign_key";
        (void)snprintf(ret_outcome->detail, sizeof ret_outcome->detail,
                       "a row of %.60s refers to nothing in %.60s",
                       (const char *)sqlite3_column_text(statement->handle, 0),
                       (const char *)sqlite3_column_text(statement->handle, 2));
    } else if (!hold) {
        set_outcome(ret_outcome, connection, code);
    }
    sqlite__statement_release(connection, statement);
    return hold;
}

/* Commits, or leaves no transaction open and says why not. */
static void end_transaction(sqlite__writer *writer, bool alone, outcome *ret_outcome)
{
    sqlite__connection *connection = writer->connection;
    if (sqlite3_get_autocommit(connection->handle)) {
        /* SQLite rolled back on its own when a statement met a full disk or a failing one. */
        *ret_outcome =
            (outcome){ TIMS_UNAVAILABLE, "database", "the transaction was rolled back as a whole" };
    } else if (!alone || references_hold(connection, ret_outcome)) {
        int code = sqlite__connection_do(connection, TIMS_STR("COMMIT"));
        if (code != SQLITE_OK)
            set_outcome(ret_outcome, connection, code);
    }
    if (!sqlite3_get_autocommit(connection->handle))
        (void)sqlite__connection_do(connection, TIMS_STR("ROLLBACK"));
    TIMS_ASSERT(sqlite3_get_autocommit(connection->handle));
    if (alone)
        (void)sqlite__connection_do(connection, TIMS_STR("PRAGMA foreign_keys = ON"));
}

static void wake_group(sqlite__writer *writer, sqlite__turn *turn, const outcome *how)
{
    sqlite__pool *posts = NULL;
    pthread_mutex_lock(&writer->mutex);
    while (turn != NULL) {
        sqlite__turn *next =
            turn->next; /* read first: a blocking turn may be gone once the mutex is released */
        turn->state = SQLITE_TURN_NONE;
        turn->status = how->status;
        turn->code = how->code;
        (void)snprintf(turn->detail, sizeof turn->detail, "%s", how->detail);
        sqlite__writer_wake(writer, turn, &posts);
        turn = next;
    }
    pthread_mutex_unlock(&writer->mutex);
    sqlite__writer_post(posts);
}

static void tell_watchers(sqlite__writer *writer)
{
    pthread_mutex_lock(&writer->watcher_mutex);
    for (sqlite__watcher *watcher = writer->watchers; watcher != NULL; watcher = watcher->next)
        watcher->function(watcher->argument);
    pthread_mutex_unlock(&writer->watcher_mutex);
}

/* If readers keep an old snapshot the checkpoint is not complete; it is tried again when as much has been
 * added. */
static void checkpoint_if_long(sqlite__writer *writer)
{
    sqlite__connection *connection = writer->connection;
    if (connection->wal_frames < writer->next_checkpoint_frames)
        return;
    int frames = 0, moved = 0;
    int code =
        sqlite3_wal_checkpoint_v2(connection->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY)
        tims_log(TIMS_LOG_WARN, "db", "event=checkpoint_failed code=%d", code);
    bool complete = code == SQLITE_OK && moved == frames;
    writer->next_checkpoint_frames = writer->checkpoint_frames + (complete ? 0 : connection->wal_frames);
    connection->wal_frames = 0;
}

static void end_group(sqlite__writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    sqlite__turn *group = writer->group_first;
    bool open = writer->open, alone = writer->alone;
    writer->group_first = writer->group_last = NULL;
    writer->group_count = 0;
    writer->open = writer->alone = writer->lost = false;
    pthread_mutex_unlock(&writer->mutex);
    if (!open)
        return;
    outcome how = { .status = TIMS_OK };
    end_transaction(writer, alone, &how);
    atomic_fetch_add(&writer->version, 1);
    if (group == NULL)
        return;
    if (how.status != TIMS_OK)
        tims_log(TIMS_LOG_ERROR, "db", "event=commit_failed detail=%s", how.detail);
    wake_group(writer, group, &how);
    if (how.status == TIMS_OK)
        tell_watchers(writer);
    checkpoint_if_long(writer);
}

/* --- beginning the next ------------------------------------------------------------------------------ */

/* Whoever has waited as long as another program may take is told so; those who came since are tried again. */
static void refuse_waiting(sqlite__writer *writer, const outcome *why)
{
    sqlite__pool *posts = NULL;
    int64_t now_us = tims_monotonic_us();
    pthread_mutex_lock(&writer->mutex);
    bool first = true;
    while (writer->queue_first != NULL &&
           (first || writer->queue_first->queued_us + writer->busy_timeout_ms * 1000 <= now_us)) {
        sqlite__turn *turn = writer->queue_first;
        writer->queue_first = turn->next;
        if (writer->queue_first == NULL)
            writer->queue_last = NULL;
        turn->state = SQLITE_TURN_FAILED;
        turn->status = why->status == TIMS_OK ? TIMS_UNAVAILABLE : why->status;
        turn->code = why->code;
        (void)snprintf(turn->detail, sizeof turn->detail, "%s", why->detail);
        sqlite__writer_wake(writer, turn, &posts);
        first = false;
    }
    pthread_mutex_unlock(&writer->mutex);
    sqlite__writer_post(posts);
}

static bool begin_next(sqlite__writer *writer, bool alone)
{
    sqlite__connection *connection = writer->connection;
    if (alone)
        (void)sqlite__connection_do(connection, TIMS_STR("PRAGMA foreign_keys = OFF"));
    sqlite3_busy_timeout(connection->handle, (int)writer->busy_timeout_ms);
    int code = sqlite__connection_do(connection, TIMS_STR("BEGIN IMMEDIATE"));
    sqlite3_busy_timeout(connection->handle, 0);
    if (code == SQLITE_OK)
        return true;
    if (alone)
        (void)sqlite__connection_do(connection, TIMS_STR("PRAGMA foreign_keys = ON"));
    outcome why = { .status = TIMS_OK };
    set_outcome(&why, connection, code);
    refuse_waiting(writer, &why);
    return false;
}

/* Gives the connection to the first that waits; IDLE when nobody does. They may have left while it began. */
static void give_to_next(sqlite__writer *writer)
{
    sqlite__pool *posts = NULL;
    pthread_mutex_lock(&writer->mutex);
    while (writer->queue_first != NULL) {
        bool alone = writer->queue_first->alone;
        pthread_mutex_unlock(&writer->mutex);
        bool begun = begin_next(writer, alone);
        pthread_mutex_lock(&writer->mutex);
        if (!begun)
            continue;
        if (writer->queue_first != NULL && writer->queue_first->alone == alone) {
            writer->open = true;
            writer->alone = alone;
            sqlite__writer_grant(writer, writer->queue_first, &posts);
            pthread_mutex_unlock(&writer->mutex);
            sqlite__writer_post(posts);
            return;
        }
        pthread_mutex_unlock(&writer->mutex);
        (void)sqlite__connection_do(writer->connection, TIMS_STR("ROLLBACK"));
        if (alone)
            (void)sqlite__connection_do(writer->connection, TIMS_STR("PRAGMA foreign_keys = ON"));
        pthread_mutex_lock(&writer->mutex);
    }
    writer->phase = SQLITE_WRITER_IDLE;
    pthread_mutex_unlock(&writer->mutex);
}

void *sqlite__writer_thread(void *argument)
{
    sqlite__writer *writer = argument;
    pthread_mutex_lock(&writer->mutex);
    for (;;) {
        while (writer->phase != SQLITE_WRITER_THREAD && !writer->stopping)
            pthread_cond_wait(&writer->thread_wake, &writer->mutex);
        if (writer->phase != SQLITE_WRITER_THREAD)
            break;
        pthread_mutex_unlock(&writer->mutex);
        end_group(writer);
        give_to_next(writer);
        pthread_mutex_lock(&writer->mutex);
    }
    pthread_mutex_unlock(&writer->mutex);
    return NULL;
}

/* --- life -------------------------------------------------------------------------------------------- */

static int page_bytes(sqlite__connection *connection)
{
    sqlite__statement *statement;
    int bytes = 4096;
    if (sqlite__statement_get(connection, TIMS_STR("PRAGMA page_size"), &statement, NULL) != TIMS_OK)
        return bytes;
    if (sqlite3_step(statement->handle) == SQLITE_ROW)
        bytes = sqlite3_column_int(statement->handle, 0);
    sqlite__statement_release(connection, statement);
    return bytes;
}

tims_status sqlite__writer_start(sqlite__writer *writer, const tims_db_options *options,
                                 sqlite__connection *connection, tims_error *err)
{
    *writer = (sqlite__writer){
        .connection = connection,
        .group_max = options->group_max != 0 ? options->group_max : 256,
        .busy_timeout_ms = options->busy_timeout_ms != 0 ? options->busy_timeout_ms : 5000,
        .begin_timeout_ms = options->begin_timeout_ms != 0 ? options->begin_timeout_ms : 10000,
    };
    writer->checkpoint_frames = writer->next_checkpoint_frames =
        SQLITE_CHECKPOINT_BYTES / page_bytes(connection);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_mutex_init(&writer->watcher_mutex, NULL);
    pthread_cond_init(&writer->thread_wake, NULL);
    pthread_cond_init(&writer->blocking_wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&writer->thread, NULL, sqlite__writer_thread, writer) != 0)
        return tims_fail(err, TIMS_UNAVAILABLE, NULL, "The database's writer thread cannot be started.");
    writer->thread_started = true;
    return TIMS_OK;
}

sqlite__connection *sqlite__writer_stop(sqlite__writer *writer)
{
    if (writer->thread_started) {
        pthread_mutex_lock(&writer->mutex);
        TIMS_ASSERT(writer->phase != SQLITE_WRITER_OWNED && writer->queue_first == NULL);
        writer->stopping = true;
        pthread_cond_signal(&writer->thread_wake);
        pthread_mutex_unlock(&writer->mutex);
        pthread_join(writer->thread, NULL);
    }
    while (writer->watchers != NULL) {
        sqlite__watcher *watcher = writer->watchers;
        writer->watchers = watcher->next;
        free(watcher);
    }
    pthread_mutex_destroy(&writer->mutex);
    pthread_mutex_destroy(&writer->watcher_mutex);
    pthread_cond_destroy(&writer->thread_wake);
    pthread_cond_destroy(&writer->blocking_wake);
    return writer->connection;
}

void sqlite__writer_watch(sqlite__writer *writer, void (*function)(void *), void *argument)
{
    pthread_mutex_lock(&writer->watcher_mutex);
    sqlite__watcher **at = &writer->watchers;
    while (*at != NULL && (*at)->argument != argument)
        at = &(*at)->next;
    if (*at != NULL && function == NULL) {
        sqlite__watcher *gone = *at;
        *at = gone->next;
        free(gone);
    } else if (*at != NULL) {
        (*at)->function = function;
    } else if (function != NULL) {
        sqlite__watcher *watcher = calloc(1, sizeof *watcher);
        TIMS_ASSERT(watcher != NULL);
        *watcher = (sqlite__watcher){ NULL, function, argument };
        *at = watcher;
    }
    pthread_mutex_unlock(&writer->watcher_mutex);
}
