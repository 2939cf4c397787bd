/* witness.c: a small file beside an SQLite database that says how far it had come.
 *
 * Why: an older copy that is put back (a backup) has the epoch of the database that was lost, and numbers its
 * changes with numbers that clients have already seen mean something else. Nothing inside the file can tell;
 * what stands beside it can. So the process notes epoch and position in `<file>-witness`, every two seconds
 * in which something changed and when it stops, and compares at its start: a database that is behind its
 * witness, or has none, or another's, begins an epoch, and clients load what they show again. A witness that
 * is a little old is harmless: the true database is never behind it.
 *
 * Not for PostgreSQL, where each start of the server begins an epoch. A machine that is set back as a whole,
 * witness included, is not found out. */
#include "live/live_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 64 };

/* "" for a database that has no file of its own. In the arena. */
static tims_status file_of(tims_db_session *db, tims_arena *arena, tims_str *ret_file, tims_error *err)
{
    *ret_file = (tims_str){ NULL, 0 };
    if (tims_db_session_dialect(db) != TIMS_SQLITE)
        return TIMS_OK;
    tims_db_rows *rows = NULL;
    tims_str sql = TIMS_STR("SELECT file FROM pragma_database_list WHERE name = 'main'");
    tims_status status = tims_db_query(db, sql, NULL, 0, &rows, err);
    if (status != TIMS_OK)
        return status;
    if (tims_db_next(rows))
        *ret_file = tims_copy(arena, tims_db_get_text(rows, 0));
    return tims_db_rows_end(&rows, err);
}

/* The position that the witness gives for this epoch; -1: none. */
static int64_t testimony(const char *path, tims_str epoch)
{
    char line[LINE_BYTES_MAX + 1];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t length = read(file, line, LINE_BYTES_MAX);
    (void)close(file);
    if (length <= 0 || line[length - 1] != '\n')
        return -1; /* empty or torn */
    tims_str told;
    int64_t position;
    if (!live__position_parse((tims_str){ line, (size_t)length - 1 }, &told, &position) ||
        !tims_str_equal(told, epoch))
        return -1;
    return position;
}

tims_status live__witness_hear(tims_live *live, tims_db_session *db, tims_arena *arena, tims_error *err)
{
    tims_str file, epoch;
    tims_mark mark;
    tims_status status = file_of(db, arena, &file, err);
    if (status != TIMS_OK || file.length == 0)
        return status;
    live->witness = tims_copy_c(live->arena, tims_print(live->arena, "%S-witness", file));
    status = tims_epoch(db, arena, &epoch, err);
    if (status == TIMS_OK)
        status = tims_mark_now(db, &mark, err);
    if (status != TIMS_OK)
        return status;
    int64_t told = testimony(live->witness, epoch);
    if (told >= 0 && told <= mark.position)
        return TIMS_OK;
    if (told > mark.position)
        tims_log(TIMS_LOG_WARN, "live", "older_copy position=%lld was=%lld", (long long)mark.position,
                 (long long)told); /* a new epoch begins */
    return tims_epoch_renew(db, epoch, err);
}

/* Moved into place, so that a reader finds the old line or the new one. What fails is told by a new epoch at
 * the next start. */
void live__witness_note(const tims_live *live)
{
    if (live->witness == NULL)
        return;
    char fresh[4096], line[LINE_BYTES_MAX];
    int length = snprintf(line, sizeof line, "%.*s-%lld\n", LIVE__EPOCH_LENGTH, tims_live_epoch(live).data,
                          (long long)live->engine.position);
    int path_length = snprintf(fresh, sizeof fresh, "%s.%ld", live->witness, (long)getpid());
    if (path_length <= 0 || (size_t)path_length >= sizeof fresh || length <= 0)
        return;
    int file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        return;
    bool written = write(file, line, (size_t)length) == length;
    written = close(file) == 0 && written;
    if (!written || rename(fresh, live->witness) != 0)
        (void)unlink(fresh);
}
