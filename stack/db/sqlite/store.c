/* store.c: opening and closing a database file: its folder, its lock file, its connections; the driver's
 * table. */
#include "sqlite_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

const db__driver db__sqlite_driver = {
    .dialect = TIMS_SQLITE,
    .session_bytes = sizeof(sqlite__session),
    .rows_bytes = sizeof(sqlite__rows),
    .open = sqlite__open,
    .close = sqlite__close,
    .watch_commits = sqlite__watch_commits,
    .session_start = sqlite__session_start,
    .session_end = sqlite__session_end,
    .snapshot = sqlite__snapshot,
    .snapshot_end = sqlite__snapshot_end,
    .snapshot_memo = sqlite__snapshot_memo,
    .begin = sqlite__begin,
    .commit = sqlite__commit,
    .rollback = sqlite__rollback,
    .savepoint = sqlite__savepoint,
    .savepoint_release = sqlite__savepoint_release,
    .savepoint_rollback = sqlite__savepoint_rollback,
    .query = sqlite__query,
    .next = sqlite__next,
    .rows_end = sqlite__rows_end,
    .run = sqlite__run,
    .script = sqlite__script,
    .foreign_version = sqlite__foreign_version,
    .listen = sqlite__listen,
    .listener_free = sqlite__listener_free,
    .column_count = sqlite__column_count,
    .is_null = sqlite__is_null,
    .get_int = sqlite__get_int,
    .get_double = sqlite__get_double,
    .get_text = sqlite__get_text,
    .get_id = sqlite__get_id,
    .get_decimal = sqlite__get_decimal,
    .column_name = sqlite__column_name,
};

enum { PATH_BYTES_MAX = 4000, UNDO_BYTES = 4 << 20 };

/* Threads share nothing but SQLite's own globals; without statistics they do not even share a counter's
 * mutex.
 *
 * Each turn has a savepoint, so each page it changes is first copied to where it can be undone from. SQLite
 * keeps that in pieces of 1 KB when temporary things are in memory, and in one piece of this size when they
 * may be files, of which it makes one only past it. Measured: a create makes 49 mallocs instead of 79, and an
 * insert with its log and savepoint takes 47,000 instructions instead of 65,000. Under ASan a malloc costs by
 * its size, and the library's own 64 KB stay. */
static void configure_library(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    if (!TIMS_ASAN)
        (void)sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, UNDO_BYTES);
}

void sqlite__configure(void)
{
    static pthread_once_t configured = PTHREAD_ONCE_INIT;
    pthread_once(&configured, configure_library);
}

static tims_status make_folder_of(char *path, tims_error *err)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int failed = mkdir(path, 0750) != 0 && errno != EEXIST;
        int why = errno;
        if (failed) {
            tims_status status =
                tims_fail(err, TIMS_IO, NULL, "The folder %.160s cannot be made: %s.", path, strerror(why));
            *slash = '/';
            return status;
        }
        *slash = '/';
    }
    return TIMS_OK;
}

/* The file is made here, readable by its owner only; SQLite gives the WAL the same rights. */
static tims_status make_file(const char *path, tims_error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return tims_fail(err, TIMS_IO, NULL, "The database file %.160s cannot be opened: %s.", path,
                         strerror(errno));
    close(fd);
    return TIMS_OK;
}

/* The kernel releases the lock when the process ends, however it ends. */
tims_status sqlite__lock(const char *path, int *ret_fd, tims_error *err)
{
    char lock_path[PATH_BYTES_MAX + 8];
    (void)snprintf(lock_path, sizeof lock_path, "%s.lock", path);
    int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return tims_fail(err, TIMS_IO, NULL, "The lock file %.160s cannot be opened: %s.", lock_path,
                         strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int why = errno;
        close(fd);
        if (why == EWOULDBLOCK)
            return tims_fail(
                err, TIMS_BUSY, "database_in_use",
                "Another process already serves %.150s. Stop it, or set DATABASE_URL to another file.", path);
        return tims_fail(err, TIMS_IO, NULL, "The lock file %.160s cannot be locked: %s.", lock_path,
                         strerror(why));
    }
    *ret_fd = fd;
    return TIMS_OK;
}

enum { GATE_AT = 0x40000000 + 512 }; /* behind SQLite's own locks; no byte is there */

/* A lock of the open file, not of the process: SQLite's are those, and end when any descriptor of the file is
 * closed. So this one is closed behind SQLite's. */
tims_status sqlite__gate(const char *path, sqlite__gate_kind kind, int *ret_fd, tims_error *err)
{
    struct stat opened, named;
    for (;;) {
        int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
            return tims_fail(err, TIMS_IO, NULL, "The database file %.160s cannot be opened: %s.", path,
                             strerror(errno));
        struct flock lock = { .l_type = kind == SQLITE__GATE_OPEN ? F_RDLCK : F_WRLCK,
                              .l_whence = SEEK_SET,
                              .l_start = GATE_AT,
                              .l_len = 1 };
        int locked;
        while ((locked = fcntl(fd, kind == SQLITE__GATE_OPEN ? F_OFD_SETLKW : F_OFD_SETLK, &lock)) != 0 &&
               errno == EINTR)
            continue;
        if (locked != 0 && errno == EINVAL && kind == SQLITE__GATE_OPEN)
            locked = 0; /* a system without such locks has no gate, and is served all the same */
        int why = locked == 0 ? 0 : errno;
        bool is_same = fstat(fd, &opened) == 0 && stat(path, &named) == 0 && opened.st_dev == named.st_dev &&
                       opened.st_ino == named.st_ino;
        if (locked == 0 && is_same) {
            *ret_fd = fd;
            return TIMS_OK;
        }
        (void)close(fd);
        if (why == EAGAIN || why == EACCES)
            return tims_fail(err, TIMS_BUSY, "database_in_use",
                             "%.150s is open in another program (a worker, a shell). Stop it first.", path);
        if (why != 0)
            return tims_fail(err, TIMS_IO, NULL, "The database file %.160s cannot be locked: %s.", path,
                             strerror(why));
        /* it was replaced while we waited */
    }
}

static tims_status open_files(sqlite__store *store, const tims_db_options *options, tims_error *err)
{
    tims_status status = make_folder_of(store->path, err);
    if (status == TIMS_OK)
        status = make_file(store->path, err);
    if (status == TIMS_OK && options->exclusive)
        status = sqlite__lock(store->path, &store->lock_fd, err);
    if (status == TIMS_OK)
        status = sqlite__gate(store->path, SQLITE__GATE_OPEN, &store->gate_fd, err);
    return status;
}

static void free_store(sqlite__store *store)
{
    if (store->gate_fd >= 0)
        close(store->gate_fd);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    pthread_mutex_destroy(&store->mutex);
    free(store->path);
    free(store);
}

static tims_status start_writer(sqlite__store *store, const tims_db_options *options, tims_error *err)
{
    sqlite__connection *connection;
    tims_error error = { 0 };
    tims_status status = sqlite__connection_open(store->path, true, &connection, &error);
    if (status != TIMS_OK) {
        status = tims_fail(err, status, error.code, "The database %.100s cannot be opened.", store->path);
        tims_error_detail(err, "%s", error.detail);
        return status;
    }
    /* A worker beside the one that serves is to be small: 14.6 MB instead of 16.5. */
    if (!options->exclusive)
        (void)sqlite3_exec(connection->handle, "PRAGMA cache_size = -2048", NULL, NULL, NULL);
    status = sqlite__writer_start(&store->writer, options, connection, err);
    if (status != TIMS_OK) {
        (void)sqlite__writer_stop(&store->writer);
        sqlite__connection_close(&connection);
    }
    return status;
}

tims_status sqlite__open(const tims_db_options *options, tims_str location, tims_db **ret_db, tims_error *err)
{
    if (location.length == 0 || location.length > PATH_BYTES_MAX ||
        memchr(location.data, 0, location.length) != NULL || tims_str_equal(location, TIMS_STR(":memory:")))
        return tims_fail(
            err, TIMS_UNAVAILABLE, "database_url",
            "DATABASE_URL must name a file: sqlite:<path> (a database in memory cannot be shared).");
    sqlite__configure();
    sqlite__store *store = calloc(1, sizeof *store);
    char *path = malloc(location.length + 1);
    TIMS_ASSERT(store != NULL && path != NULL);
    memcpy(path, location.data, location.length);
    path[location.length] = 0;
    store->base = (tims_db){ DB_MAGIC, &db__sqlite_driver };
    store->path = path;
    store->lock_fd = store->gate_fd = -1;
    store->transaction_max_ms = options->transaction_max_ms != 0 ? options->transaction_max_ms : 5000;
    store->begin_timeout_ms = options->begin_timeout_ms != 0 ? options->begin_timeout_ms : 10000;
    pthread_mutex_init(&store->mutex, NULL);
    tims_status status = open_files(store, options, err);
    if (status == TIMS_OK)
        status = start_writer(store, options, err);
    if (status != TIMS_OK) {
        free_store(store);
        return status;
    }
    *ret_db = &store->base;
    return TIMS_OK;
}

/* Readers first: the last connection to close moves the rest of the WAL into the file, and that is the
 * writer's. */
void sqlite__close(tims_db *db)
{
    sqlite__store *store = (sqlite__store *)db;
    sqlite__pool *pool = atomic_load(&store->pools);
    sqlite__connection *writer = sqlite__writer_stop(&store->writer);
    while (pool != NULL) {
        sqlite__pool *next = pool->next;
        sqlite__pool_free(pool);
        pool = next;
    }
    sqlite__connection_close(&writer);
    store->base.magic = 0;
    free_store(store);
}

void sqlite__watch_commits(tims_db *db, void (*function)(void *), void *argument)
{
    sqlite__writer_watch(&((sqlite__store *)db)->writer, function, argument);
}
