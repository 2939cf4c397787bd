/* store.c: opening and closing a database: what its URL says, a first connection that shows whether it is
 * there; the driver's table. */
#include "postgres_internal.h"

#include <stdlib.h>

const db__driver db__postgres_driver = {
    .dialect = TIMS_POSTGRES,
    .session_bytes = sizeof(postgres__session),
    .rows_bytes = sizeof(postgres__rows),
    .open = postgres__open,
    .close = postgres__close,
    .watch_commits = postgres__watch_commits,
    .session_start = postgres__session_start,
    .session_end = postgres__session_end,
    .snapshot = postgres__snapshot,
    .snapshot_end = postgres__snapshot_end,
    .snapshot_memo = postgres__snapshot_memo,
    .snapshot_text = postgres__snapshot_text,
    .hint_last = postgres__hint_last,
    .begin = postgres__begin,
    .commit = postgres__commit,
    .rollback = postgres__rollback,
    .savepoint = postgres__savepoint,
    .savepoint_release = postgres__savepoint_release,
    .savepoint_rollback = postgres__savepoint_rollback,
    .query = postgres__query,
    .next = postgres__next,
    .rows_end = postgres__rows_end,
    .run = postgres__run,
    .script = postgres__script,
    .script_alone = postgres__script_alone,
    .foreign_version = postgres__foreign_version,
    .notify = postgres__notify,
    .listen = postgres__listen,
    .listener_free = postgres__listener_free,
    .column_count = postgres__column_count,
    .is_null = postgres__is_null,
    .get_int = postgres__get_int,
    .get_double = postgres__get_double,
    .get_text = postgres__get_text,
    .get_id = postgres__get_id,
    .get_decimal = postgres__get_decimal,
    .column_name = postgres__column_name,
};

static void free_store(postgres__store *store)
{
    for (postgres__pool *pool = atomic_load(&store->pools); pool != NULL;) {
        postgres__pool *next = pool->next;
        postgres__pool_free(pool);
        pool = next;
    }
    while (store->watchers != NULL) {
        postgres__watcher *next = store->watchers->next;
        free(store->watchers);
        store->watchers = next;
    }
    postgres__settings_free(&store->settings);
    pthread_mutex_destroy(&store->mutex);
    pthread_mutex_destroy(&store->watcher_mutex);
    store->base.magic = 0;
    free(store);
}

tims_status postgres__open(const tims_db_options *options, tims_str url, tims_db **ret_db, tims_error *err)
{
    postgres__store *store = calloc(1, sizeof *store);
    TIMS_ASSERT(store != NULL);
    store->base = (tims_db){ DB_MAGIC, &db__postgres_driver };
    store->transaction_max_ms = options->transaction_max_ms != 0 ? options->transaction_max_ms : 5000;
    store->begin_timeout_ms = options->begin_timeout_ms != 0 ? options->begin_timeout_ms : 10000;
    store->lock_timeout_ms = options->busy_timeout_ms != 0 ? options->busy_timeout_ms : 5000;
    pthread_mutex_init(&store->mutex, NULL);
    pthread_mutex_init(&store->watcher_mutex, NULL);
    tims_status status = postgres__settings_parse(url, &store->settings, err);
    postgres__connection *connection;
    if (status == TIMS_OK) {
        postgres__pool *blocking = postgres__pool_of(store, NULL);
        status = postgres__pool_take(blocking, &connection, err);
        if (status == TIMS_OK)
            postgres__pool_give(blocking, connection);
    }
    if (status != TIMS_OK) {
        free_store(store);
        return status;
    }
    *ret_db = &store->base;
    return TIMS_OK;
}

void postgres__close(tims_db *db)
{
    free_store((postgres__store *)db);
}

/* --- who wants to know of commits ------------------------------------------------------------------ */

void postgres__watch_commits(tims_db *db, void (*function)(void *), void *argument)
{
    postgres__store *store = (postgres__store *)db;
    pthread_mutex_lock(&store->watcher_mutex);
    postgres__watcher **at = &store->watchers;
    while (*at != NULL && (*at)->argument != argument)
        at = &(*at)->next;
    if (function == NULL && *at != NULL) {
        postgres__watcher *ended = *at;
        *at = ended->next;
        free(ended);
    } else if (function != NULL && *at != NULL) {
        (*at)->function = function;
    } else if (function != NULL) {
        postgres__watcher *watcher = calloc(1, sizeof *watcher);
        TIMS_ASSERT(watcher != NULL);
        *watcher = (postgres__watcher){ NULL, function, argument };
        *at = watcher;
    }
    pthread_mutex_unlock(&store->watcher_mutex);
}

/* Under the lock, so that one that was taken out is not running any more. */
void postgres__tell_commit(postgres__store *store)
{
    pthread_mutex_lock(&store->watcher_mutex);
    for (const postgres__watcher *at = store->watchers; at != NULL; at = at->next)
        at->function(at->argument);
    pthread_mutex_unlock(&store->watcher_mutex);
}
