/* backup.c: a whole SQLite database to a file and back.
 *
 * A backup is a copy of one snapshot, taken by SQLite's backup API in one step: its reader sees one state
 * while others go on writing. It is written beside its name, checked as a whole, forced to the disk and
 * renamed, so that a file of that name is always a complete backup. It needs no WAL beside it.
 *
 * A restore is a copy, too, made and checked beside the database before anything is touched. Nobody may have
 * the database open when it changes places: `serve` holds the lock file, all that open it as the stack does
 * (a worker) are in its gate, where who comes meanwhile waits, and every other connection (a shell) holds
 * SQLite's shared lock, against which the switch of the journal mode below fails. A shell that is opened in
 * the very instant of the switch is not seen. What was there is kept under another name. Its witness goes, so
 * that clients begin a new epoch (see live/witness.c). Whatever moment the machine dies at, the old database
 * is in its place or the new one.
 *
 * Not for PostgreSQL, which has programs of its own for that. */
#include "sqlite_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    NAME_BYTES_MAX = 4096,
    WAIT_MS = 2000,
    LOCK_BYTES_AT = 0x40000000, /* where SQLite's locks are in a file, all of them */
    LOCK_BYTES = 512,
    RESTORE_MAGIC = 0x74647231
};

typedef struct name {
    char text[NAME_BYTES_MAX];
} name;

struct tims_db_restore {
    uint32_t magic;
    name database, fresh, kept;
    int lock_fd;
    bool has_kept;
};

static tims_status fail_errno(tims_error *err, const char *path, const char *what)
{
    int why = errno;
    if (why == ENOSPC || why == EDQUOT)
        return tims_fail(err, TIMS_UNAVAILABLE, "disk_full", "The disk is full: %.150s %s.", path, what);
    return tims_fail(err, TIMS_IO, NULL, "%.150s %s: %s.", path, what, strerror(why));
}

static tims_status fail_sqlite(tims_error *err, int code, const char *path)
{
    switch (code & 0xff) {
    case SQLITE_NOTADB:
        return tims_fail(err, TIMS_INVALID, "no_database", "%.150s is no SQLite database.", path);
    case SQLITE_CORRUPT:
        return tims_fail(err, TIMS_INVALID, "damaged", "%.150s is damaged or cut off.", path);
    case SQLITE_FULL:
        return tims_fail(err, TIMS_UNAVAILABLE, "disk_full", "The disk is full: %.150s was not written.",
                         path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return tims_fail(err, TIMS_BUSY, "database_in_use",
                         "%.150s is open in another program (a worker, a shell). Stop it first.", path);
    default:
        return tims_fail(err, TIMS_IO, NULL, "%.150s cannot be used: %s.", path, sqlite3_errstr(code));
    }
}

static tims_status set_name(name *to, tims_str path, const char *end, tims_error *err)
{
    int length = snprintf(to->text, sizeof to->text, "%.*s%s", TIMS_PRINT(path), end);
    if (path.length == 0 || length < 0 || (size_t)length >= sizeof to->text ||
        memchr(path.data, 0, path.length) != NULL)
        return tims_fail(err, TIMS_INVALID, NULL, "The name of a file is empty or too long.");
    return TIMS_OK;
}

/* The database's file; what is not SQLite is refused with `advice`. */
static tims_status file_of(tims_str url, const char *advice, name *ret_path, tims_error *err)
{
    tims_str path;
    if (!db__sqlite_location(url, &path))
        return tims_fail(err, TIMS_UNAVAILABLE, "not_sqlite", "%s", advice);
    return set_name(ret_path, path, "", err);
}

static bool is_there(const char *path)
{
    struct stat found;
    return stat(path, &found) == 0;
}

static tims_status sync_path(const char *path, int flags, tims_error *err)
{
    int fd = open(path, flags | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    tims_status status = synced ? TIMS_OK : fail_errno(err, path, "cannot be forced to the disk");
    if (fd >= 0)
        (void)close(fd);
    return status;
}

static tims_status sync_folder_of(const char *path, tims_error *err)
{
    name copy;
    (void)snprintf(copy.text, sizeof copy.text, "%s", path);
    return sync_path(dirname(copy.text), O_RDONLY | O_DIRECTORY, err);
}

/* Whether any connection of any process has it open. */
static bool is_open_somewhere(const char *path)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_BYTES_AT, .l_len = LOCK_BYTES
    };
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool locked = fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    if (fd >= 0)
        (void)close(fd);
    return locked;
}

/* --- copying and checking ----------------------------------------------------------------------------- */

static tims_status open_handle(const char *path, int flags, sqlite3 **ret_handle, tims_error *err)
{
    sqlite__configure();
    int code =
        sqlite3_open_v2(path, ret_handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
    if (code == SQLITE_OK) {
        sqlite3_busy_timeout(*ret_handle, WAIT_MS);
        sqlite3_db_config(*ret_handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        return TIMS_OK;
    }
    (void)sqlite3_close(*ret_handle);
    *ret_handle = NULL;
    return fail_sqlite(err, code, path);
}

static int copy_pages(sqlite3 *from, sqlite3 *to)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (backup == NULL)
        return sqlite3_errcode(to);
    int code = sqlite3_backup_step(backup, -1);
    int finished = sqlite3_backup_finish(backup);
    return code == SQLITE_DONE ? finished : code;
}

static tims_status check_whole(sqlite3 *handle, const char *path, tims_error *err)
{
    sqlite3_stmt *statement = NULL;
    tims_status status = TIMS_OK;
    int code = sqlite3_prepare_v2(handle, "PRAGMA integrity_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code != SQLITE_ROW) {
        status = fail_sqlite(err, code, path);
    } else if (strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0) {
        status = fail_sqlite(err, SQLITE_CORRUPT, path);
        tims_error_detail(err, "%s", (const char *)sqlite3_column_text(statement, 0));
    }
    (void)sqlite3_finalize(statement);
    return status;
}

/* Into the empty file `target`; errors are about `source`, but for those of writing. */
static tims_status copy_to(const char *source, int source_flags, const char *target, tims_error *err)
{
    sqlite3 *from = NULL, *to = NULL;
    tims_status status = open_handle(source, source_flags, &from, err);
    if (status == TIMS_OK)
        status = open_handle(target, SQLITE_OPEN_READWRITE, &to, err);
    if (status == TIMS_OK) {
        /* Nobody else sees it before it is whole, and it is forced to the disk once. */
        (void)sqlite3_exec(to, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF", NULL, NULL, NULL);
        int code = copy_pages(from, to);
        if (code == SQLITE_OK) /* the copy says WAL, as its source does; alone it is better off without */
            code = sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
        status = code == SQLITE_OK ? check_whole(to, source, err) : fail_sqlite(err, code, source);
    }
    (void)sqlite3_close(to);
    (void)sqlite3_close(from);
    return status == TIMS_OK ? sync_path(target, O_RDWR, err) : status;
}

/* --- a backup ------------------------------------------------------------------------------------------ */

static bool is_same_file(const char *one, const char *other)
{
    struct stat a, b;
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static tims_status check_target(const char *database, const char *path, bool replace, tims_error *err)
{
    static const char *const ends[] = { "", "-wal", "-shm", "-journal", "-witness", ".lock" };
    struct stat found;
    if (lstat(path, &found) != 0)
        return errno == ENOENT ? TIMS_OK : fail_errno(err, path, "cannot be written");
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        name own;
        tims_status status = set_name(&own, tims_str_from(database), ends[i], err);
        if (status != TIMS_OK)
            return status;
        if (is_same_file(own.text, path))
            return tims_fail(err, TIMS_INVALID, "own_file", "%.150s is a file of the database itself.", path);
    }
    if (!S_ISREG(found.st_mode))
        return tims_fail(err, TIMS_INVALID, "no_file", "%.150s is there and is no file.", path);
    if (!replace)
        return tims_fail(err, TIMS_CONFLICT, "exists", "%.150s is there already; --overwrite replaces it.",
                         path);
    if (is_open_somewhere(path))
        return tims_fail(err, TIMS_BUSY, "database_in_use",
                         "%.150s is a database that another program has open.", path);
    return TIMS_OK;
}

/* Empty, ours alone as long as `*ret_fd` is open. What a backup that died has left is used again. */
static tims_status open_partial(const char *path, int *ret_fd, tims_error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat opened, named;
    if (fd < 0)
        return fail_errno(err, path, "cannot be written");
    bool is_private = fstat(fd, &opened) == 0 && S_ISREG(opened.st_mode) && opened.st_uid == geteuid() &&
                      opened.st_nlink <= 1 && fchmod(fd, 0600) == 0;
    if (!is_private) {
        (void)close(fd);
        return tims_fail(err, TIMS_INVALID, "not_ours", "%.150s is there and is another's.", path);
    }
    bool ours = flock(fd, LOCK_EX | LOCK_NB) == 0 && stat(path, &named) == 0 &&
                opened.st_ino == named.st_ino && ftruncate(fd, 0) == 0;
    if (!ours) { /* or it was finished and renamed just now */
        (void)close(fd);
        return tims_fail(err, TIMS_BUSY, "backup_running", "Another backup to %.150s is under way.", path);
    }
    *ret_fd = fd;
    return TIMS_OK;
}

static tims_status place_backup(const char *partial, const char *path, tims_error *err)
{
    if (rename(partial, path) != 0)
        return fail_errno(err, path, "cannot be put in place");
    return sync_folder_of(path, err);
}

tims_status tims_db_backup(tims_str url, tims_str path, bool replace, tims_error *err)
{
    name database, target, partial;
    int fd = -1;
    tims_status status = file_of(
        url, "PostgreSQL has its own programs for this: `pg_dump --format=custom` writes a backup of it.",
        &database, err);
    if (status == TIMS_OK)
        status = set_name(&target, path, "", err);
    if (status == TIMS_OK)
        status = set_name(&partial, path, ".partial", err);
    if (status == TIMS_OK && !is_there(database.text))
        status = tims_fail(err, TIMS_NOT_FOUND, NULL, "There is no database %.150s.", database.text);
    if (status == TIMS_OK)
        status = check_target(database.text, target.text, replace, err);
    if (status == TIMS_OK)
        status = open_partial(partial.text, &fd, err);
    if (status != TIMS_OK)
        return status;
    status = copy_to(database.text, SQLITE_OPEN_READWRITE, partial.text, err);
    if (status == TIMS_OK)
        status = place_backup(partial.text, target.text, err);
    if (status != TIMS_OK)
        (void)unlink(partial.text);
    (void)close(fd);
    return status;
}

/* --- a restore ----------------------------------------------------------------------------------------- */

/* Whoever runs this, the files stay those of who serves the database: its owner, or the folder's. */
static void give_to_owner(const tims_db_restore *restore, int fd)
{
    name folder;
    struct stat owner;
    (void)snprintf(folder.text, sizeof folder.text, "%s", restore->database.text);
    struct stat own;
    /* Not what another has made lead to this name. */
    if (geteuid() != 0 || fstat(fd, &own) != 0 || own.st_uid != 0 || own.st_nlink != 1)
        return;
    if (stat(restore->database.text, &owner) == 0 || stat(dirname(folder.text), &owner) == 0)
        (void)!fchown(fd, owner.st_uid, owner.st_gid);
}

static tims_status make_fresh(const tims_db_restore *restore, tims_error *err)
{
    (void)unlink(restore->fresh.text); /* of a restore that died */
    int fd = open(restore->fresh.text, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(err, restore->fresh.text, "cannot be written");
    give_to_owner(restore, fd);
    (void)close(fd);
    return TIMS_OK;
}

static void end_restore(tims_db_restore **restore_at)
{
    tims_db_restore *restore = *restore_at;
    *restore_at = NULL;
    if (restore->lock_fd >= 0) {
        static const char *const ends[] = { "", "-wal", "-shm", "-journal" };
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            name path;
            if (set_name(&path, tims_str_from(restore->fresh.text), ends[i], NULL) == TIMS_OK)
                (void)unlink(path.text);
        }
        (void)close(restore->lock_fd);
    }
    restore->magic = 0;
    free(restore);
}

static tims_status start_restore(tims_db_restore *restore, tims_str url, tims_str path, tims_error *err)
{
    name source;
    tims_status status = file_of(url,
                                 "PostgreSQL has its own programs for this: `pg_restore --clean --if-exists` "
                                 "puts back what pg_dump wrote.",
                                 &restore->database, err);
    if (status == TIMS_OK)
        status = set_name(&source, path, "", err);
    tims_str database = tims_str_from(restore->database.text);
    if (status == TIMS_OK)
        status = set_name(&restore->fresh, database, "-restore", err);
    if (status == TIMS_OK)
        status = set_name(&restore->kept, database, "-before-restore", err);
    if (status == TIMS_OK && !is_there(source.text))
        status = tims_fail(err, TIMS_NOT_FOUND, NULL, "There is no file %.150s.", source.text);
    if (status == TIMS_OK && is_same_file(source.text, restore->database.text))
        status = tims_fail(err, TIMS_INVALID, "own_file", "%.150s is the database itself.", source.text);
    if (status == TIMS_OK)
        status = sqlite__lock(restore->database.text, &restore->lock_fd, err);
    if (status != TIMS_OK)
        return status;
    give_to_owner(restore, restore->lock_fd);
    status = make_fresh(restore, err);
    return status == TIMS_OK ? copy_to(source.text, SQLITE_OPEN_READONLY, restore->fresh.text, err) : status;
}

tims_status tims_db_restore_begin(tims_str url, tims_str path, tims_db_restore **ret_restore, tims_error *err)
{
    tims_db_restore *restore = calloc(1, sizeof *restore);
    TIMS_ASSERT(restore != NULL);
    restore->magic = RESTORE_MAGIC;
    restore->lock_fd = -1;
    tims_status status = start_restore(restore, url, path, err);
    if (status != TIMS_OK) {
        end_restore(&restore);
        return status;
    }
    *ret_restore = restore;
    return TIMS_OK;
}

const char *tims_db_restore_file(const tims_db_restore *restore)
{
    TIMS_CHECK_MAGIC(restore, RESTORE_MAGIC);
    return restore->fresh.text;
}

/* Alone in it: then its WAL is moved into the file, and `*ret_handle` keeps others out until it is closed. A
 * database that cannot be read (which is why it is replaced) has NULL: nobody can use it. */
static tims_status take_alone(const char *path, sqlite3 **ret_handle, tims_error *err)
{
    sqlite3 *handle = NULL;
    *ret_handle = NULL;
    tims_status status = open_handle(path, SQLITE_OPEN_READWRITE, &handle, err);
    if (status != TIMS_OK)
        return status;
    int code =
        sqlite3_exec(handle, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE",
                     NULL, NULL, NULL);
    if (code == SQLITE_OK) {
        *ret_handle = handle;
        return TIMS_OK;
    }
    (void)sqlite3_close(handle);
    bool unreadable = (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
    return unreadable && !is_open_somewhere(path) ? TIMS_OK
                                                  : fail_sqlite(err, unreadable ? SQLITE_BUSY : code, path);
}

/* What is left beside a database that could not be read belongs to it: a WAL would be played into the new
 * one. */
static tims_status move_rest(const tims_db_restore *restore, tims_error *err)
{
    static const char *const ends[] = { "-wal", "-journal" };
    name from, to;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        tims_status status = set_name(&from, tims_str_from(restore->database.text), ends[i], err);
        if (status == TIMS_OK)
            status = set_name(&to, tims_str_from(restore->kept.text), ends[i], err);
        if (status != TIMS_OK)
            return status;
        if (restore->has_kept)
            (void)unlink(to.text);
        if (rename(from.text, to.text) != 0 && errno != ENOENT)
            return fail_errno(err, from.text, "cannot be moved away");
    }
    (void)set_name(&from, tims_str_from(restore->database.text), "-shm", NULL);
    (void)unlink(from.text);
    return TIMS_OK;
}

static tims_status put_in_place(tims_db_restore *restore, tims_error *err)
{
    name witness;
    tims_status status = set_name(&witness, tims_str_from(restore->database.text), "-witness", err);
    if (status == TIMS_OK)
        status = sync_path(restore->fresh.text, O_RDWR, err);
    if (status != TIMS_OK)
        return status;
    if (is_there(restore->database.text)) /* else the one of an earlier restore may be all there is */
        (void)unlink(restore->kept.text);
    restore->has_kept = link(restore->database.text, restore->kept.text) == 0;
    if (!restore->has_kept && errno != ENOENT)
        return fail_errno(err, restore->kept.text, "cannot be made");
    status = move_rest(restore, err);
    if (status != TIMS_OK)
        return status;
    if (unlink(witness.text) != 0 && errno != ENOENT)
        return fail_errno(err, witness.text, "cannot be removed");
    if (rename(restore->fresh.text, restore->database.text) != 0)
        return fail_errno(err, restore->database.text, "cannot be replaced");
    return sync_folder_of(restore->database.text, err);
}

tims_status tims_db_restore_finish(tims_db_restore **restore_at, tims_str *ret_kept, tims_arena *arena,
                                   tims_error *err)
{
    tims_db_restore *restore = *restore_at;
    TIMS_CHECK_MAGIC(restore, RESTORE_MAGIC);
    sqlite3 *former = NULL;
    int gate_fd = -1;
    tims_status status = TIMS_OK;
    if (is_there(restore->database.text)) {
        status = sqlite__gate(restore->database.text, SQLITE__GATE_CHANGE, &gate_fd, err);
        if (status == TIMS_OK)
            status = take_alone(restore->database.text, &former, err);
    }
    if (status == TIMS_OK)
        status = put_in_place(restore, err);
    (void)sqlite3_close(former);
    if (gate_fd >= 0)
        (void)close(gate_fd); /* who came meanwhile waits for this, and opens the new one */
    if (status == TIMS_OK)
        *ret_kept =
            restore->has_kept ? tims_copy(arena, tims_str_from(restore->kept.text)) : (tims_str){ NULL, 0 };
    end_restore(restore_at);
    return status;
}

void tims_db_restore_cancel(tims_db_restore **restore_at)
{
    if (*restore_at == NULL)
        return;
    TIMS_CHECK_MAGIC(*restore_at, RESTORE_MAGIC);
    end_restore(restore_at);
}
