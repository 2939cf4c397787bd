/* change.c: the change log: what it keeps, where a reader of it stands, and how it is read.
 *
 * Whoever changes a row of a live model, the stack, a migration or somebody at the database's prompt, leaves
 * a row in tims_change in the same transaction: which model, what was done, which row, and for updates and
 * deletes the old values of the key columns, those by which the live engine finds who may have seen the row
 * before. The row itself is not copied: it is read when it is told. Triggers write it, in the dialect's words
 * (change_sqlite.c, change_postgres.c). An update that changes the primary key is told as a delete and an
 * insert.
 *
 * A position is a number that grows with what is visible. SQLite has one writer, so it is the highest id of
 * the log. PostgreSQL's transactions commit in another order than they write, so there it is counted from the
 * snapshot: how many transactions have ended, xmax - 1 less those still running. The snapshots of one server
 * are ordered by inclusion, and a later one has a greater number exactly if it shows more; so every node,
 * page and answer can be compared, and yet no transaction waits for another to be numbered. To read on from a
 * number takes the snapshot itself: a mark is both. Marks are noted in tims_mark now and then; from a number
 * without one, whoever reads on starts at the noted mark before it and hears of some changes twice. */
#include "model/change_internal.h"

static bool rule_names(const tims_rule *rule, const char *column, unsigned depth)
{
    if (rule == NULL || depth > MODEL__RULE_DEPTH_MAX)
        return false;
    if ((rule->kind == TIMS_RULE_OWNER || rule->kind == TIMS_RULE_LIKE) && strcmp(rule->column, column) == 0)
        return true;
    for (size_t i = 0; rule->parts != NULL && rule->parts[i] != NULL; i++)
        if (rule_names(rule->parts[i], column, depth + 1))
            return true;
    return false;
}

static bool index_names(const tims_model *model, const char *column)
{
    for (const tims_index *index = model->indexes; index != NULL && index->columns.count > 0; index++)
        for (size_t i = 0; i < index->columns.count; i++) {
            const char *name = index->columns.items[i];
            if (strcmp(name[0] == '-' ? name + 1 : name, column) == 0)
                return true;
        }
    return false;
}

/* The columns that other models' rules look at (MEMBERS) are references, so they are among these. */
bool tims_change_is_key(const tims_model *model, const tims_field *field)
{
    if (field->primary)
        return false; /* the log names it anyway */
    return field->to != NULL || field->index || field->unique || index_names(model, field->name) ||
           rule_names(model->read, field->name, 0) || rule_names(model->write, field->name, 0) ||
           rule_names(model->create, field->name, 0) || rule_names(model->change, field->name, 0) ||
           rule_names(model->remove, field->name, 0);
}

/* --- dialects ---------------------------------------------------------------------------------------- */

const model__log *model__log_of(tims_db_dialect dialect)
{
    return dialect == TIMS_POSTGRES ? &model__postgres_log : &model__sqlite_log;
}

static const model__log *log_of(tims_db_session *db)
{
    return model__log_of(tims_db_session_dialect(db));
}

/* The first column of the first row as a number; `none` when there is no row, or null. */
static tims_status read_number(tims_db_session *db, tims_str sql, const tims_db_value *values, size_t count,
                               int64_t none, int64_t *ret_number, tims_error *err)
{
    tims_db_rows *rows = NULL;
    tims_status status = tims_db_query(db, sql, values, count, &rows, err);
    if (status != TIMS_OK)
        return status;
    int64_t number = tims_db_next(rows) && !tims_db_is_null(rows, 0) ? tims_db_get_int(rows, 0) : none;
    status = tims_db_rows_end(&rows, err);
    if (status == TIMS_OK)
        *ret_number = number;
    return status;
}

/* --- positions --------------------------------------------------------------------------------------- */

/* "xmin:xmax:xid,xid": transactions below xmax, less those that still run. */
TIMS_MUST_USE static bool number_of_snapshot(tims_str text, int64_t *ret_number)
{
    int64_t first, next;
    tims_str rest = text;
    if (!tims_str_to_int(tims_str_cut(&rest, ':'), 0, INT64_MAX, &first) ||
        !tims_str_to_int(tims_str_cut(&rest, ':'), 0, INT64_MAX, &next))
        return false;
    int64_t running = rest.length > 0;
    for (size_t i = 0; i < rest.length; i++)
        running += rest.data[i] == ',';
    *ret_number = next - 1 - running;
    return first <= next && *ret_number >= 0;
}

static tims_status position_of_snapshot(tims_db_session *db, tims_str *ret_snapshot, int64_t *ret_position,
                                        tims_error *err)
{
    tims_status status = tims_db_snapshot_text(db, ret_snapshot, err);
    if (status == TIMS_OK && !number_of_snapshot(*ret_snapshot, ret_position))
        return tims_fail(err, TIMS_INTERNAL, NULL, "The database's snapshot cannot be read.");
    return status;
}

/* Every read names its position, so it is asked for once per state of the database, not once per request. */
static tims_status position_of_log(tims_db_session *db, int64_t *ret_position, tims_error *err)
{
    int64_t *memo = tims_db_snapshot_memo(db);
    if (memo != NULL && *memo > 0) {
        *ret_position = *memo;
        return TIMS_OK;
    }
    tims_status status = read_number(db, log_of(db)->position, NULL, 0, 0, ret_position, err);
    if (status == TIMS_OK && memo != NULL)
        *memo = *ret_position;
    return status;
}

tims_status tims_position(tims_db_session *db, int64_t *ret_position, tims_error *err)
{
    tims_mark mark;
    tims_status status = tims_mark_now(db, &mark, err);
    if (status == TIMS_OK)
        *ret_position = mark.position;
    return status;
}

/* SQLite's snapshots know theirs; PostgreSQL's would take a connection of its own for one statement. */
tims_status tims_position_now(tims_db_session *db, int64_t *ret_position, tims_error *err)
{
    tims_str text;
    if (log_of(db)->position.length == 0)
        return position_of_snapshot(db, &text, ret_position, err);
    tims_status status = tims_db_begin_snapshot(db, err);
    if (status != TIMS_OK)
        return status;
    status = position_of_log(db, ret_position, err);
    tims_db_end_snapshot(db);
    return status;
}

tims_status tims_mark_now(tims_db_session *db, tims_mark *ret_mark, tims_error *err)
{
    *ret_mark = (tims_mark){ 0 };
    if (log_of(db)->position.length > 0)
        return position_of_log(db, &ret_mark->position, err);
    return position_of_snapshot(db, &ret_mark->snapshot, &ret_mark->position, err);
}

/* Where one writer numbers the log, what was written has its number before it is committed. */
tims_status tims_commit_position(tims_db_session *db, int64_t *ret_position, tims_error *err)
{
    tims_str snapshot;
    if (log_of(db)->position.length == 0) {
        *ret_position = 0;
        tims_status status = tims_db_commit(db, err);
        if (status == TIMS_OK)
            (void)position_of_snapshot(db, &snapshot, ret_position, NULL);
        return status;
    }
    tims_status status = position_of_log(db, ret_position, err);
    return status == TIMS_OK ? tims_db_commit(db, err) : status;
}

tims_status tims_mark_find(tims_db_session *db, tims_arena *arena, int64_t position, tims_mark *ret_mark,
                           tims_error *err)
{
    const tims_db_value value = tims_db_int(position);
    tims_db_rows *rows = NULL;
    tims_status status = tims_db_query(db, log_of(db)->find_mark, &value, 1, &rows, err);
    if (status != TIMS_OK)
        return status;
    bool found = tims_db_next(rows);
    if (found)
        *ret_mark = (tims_mark){ tims_db_get_int(rows, 0), tims_copy(arena, tims_db_get_text(rows, 1)) };
    status = tims_db_rows_end(&rows, err);
    if (status == TIMS_OK && !found)
        return tims_fail(err, TIMS_NOT_FOUND, NULL, "The change log does not reach back so far.");
    return status;
}

tims_status tims_change_last(tims_db_session *db, int64_t *ret_log_id, tims_error *err)
{
    return read_number(db, log_of(db)->last, NULL, 0, 0, ret_log_id, err);
}

/* --- reading the log --------------------------------------------------------------------------------- */

tims_status tims_change_read(tims_db_session *db, const tims_mark *from, const tims_mark *to, int64_t limit,
                             void (*function)(void *argument, const tims_change *change), void *argument,
                             tims_error *err)
{
    const model__log *log = log_of(db);
    bool by_snapshot = log->position.length == 0;
    const tims_db_value values[] = {
        by_snapshot ? tims_db_text(from->snapshot) : tims_db_int(from->position), tims_db_int(limit),
        to == NULL ? tims_db_null() : (by_snapshot ? tims_db_text(to->snapshot) : tims_db_int(to->position))
    };
    tims_db_rows *rows = NULL;
    tims_status status =
        tims_db_query(db, to == NULL ? log->read : log->read_to, values, to == NULL ? 2 : 3, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (tims_db_next(rows)) {
        const tims_change change = { .id = tims_db_get_int(rows, 0),
                                     .model = tims_db_get_text(rows, 1),
                                     .op = (tims_change_op)tims_db_get_int(rows, 2),
                                     .row = tims_db_get_text(rows, 3),
                                     .old = tims_db_get_text(rows, 4) };
        function(argument, &change);
    }
    return tims_db_rows_end(&rows, err);
}

/* --- retention --------------------------------------------------------------------------------------- */

enum { ROWS_A_DELETE = 500, DELETES_A_TURN = 20 };

/* Where positions are ids, they know best. */
static int64_t log_id_of(tims_db_session *db, const tims_mark *mark, int64_t log_id)
{
    return log_of(db)->position.length > 0 ? mark->position : log_id;
}

tims_status tims_mark_note(tims_db_session *db, const tims_mark *mark, int64_t log_id, int64_t every_us,
                           tims_error *err)
{
    int64_t now_us = tims_now().us;
    tims_str snapshot = mark->snapshot.data != NULL ? mark->snapshot : TIMS_STR("");
    const tims_db_value values[] = { tims_db_int(mark->position), tims_db_text(snapshot),
                                     tims_db_int(log_id_of(db, mark, log_id)), tims_db_int(now_us),
                                     tims_db_int(now_us - every_us) };
    return tims_db_run(db, log_of(db)->note_mark, values, 5, NULL, err);
}

static tims_status find_cutoff(tims_db_session *db, tims_arena *arena, const tims_retention *keep,
                               int64_t log_id, tims_mark *ret_mark, int64_t *ret_log_id, tims_error *err)
{
    const tims_db_value values[] = { tims_db_int(tims_now().us - keep->seconds * 1000000),
                                     tims_db_int(log_id - keep->rows) };
    tims_db_rows *rows = NULL;
    tims_status status = tims_db_query(
        db,
        TIMS_STR("SELECT position, snapshot, log_id FROM tims_mark WHERE at <= ?1 OR log_id <= ?2 "
                 "ORDER BY position DESC LIMIT 1"),
        values, 2, &rows, err);
    if (status != TIMS_OK)
        return status;
    *ret_mark = (tims_mark){ 0 };
    if (tims_db_next(rows)) {
        *ret_mark = (tims_mark){ tims_db_get_int(rows, 0), tims_copy(arena, tims_db_get_text(rows, 1)) };
        *ret_log_id = tims_db_get_int(rows, 2);
    }
    return tims_db_rows_end(&rows, err);
}

/* A few rows a transaction, so that no writer waits long. The marks go first: whoever finds one finds all
 * rows behind it. */
tims_status tims_change_prune(tims_db_session *db, tims_arena *arena, const tims_retention *keep,
                              const tims_mark *mark, int64_t log_id, tims_error *err)
{
    tims_mark cutoff;
    int64_t cutoff_id = 0;
    tims_status status = find_cutoff(db, arena, keep, log_id_of(db, mark, log_id), &cutoff, &cutoff_id, err);
    if (status != TIMS_OK || cutoff.position == 0)
        return status;
    const tims_db_value position = tims_db_int(cutoff.position);
    status = tims_db_run(db, TIMS_STR("DELETE FROM tims_mark WHERE position < ?1"), &position, 1, NULL, err);
    const model__log *log = log_of(db);
    const tims_db_value values[] = { log->position.length > 0 ? tims_db_int(cutoff_id)
                                                              : tims_db_text(cutoff.snapshot),
                                     tims_db_int(ROWS_A_DELETE) };
    int64_t deleted = ROWS_A_DELETE;
    for (int i = 0; i < DELETES_A_TURN && status == TIMS_OK && deleted == ROWS_A_DELETE; i++)
        status = tims_db_run(db, log->prune, values, 2, &deleted, err);
    return status;
}

/* --- epochs ------------------------------------------------------------------------------------------ */

tims_status tims_epoch(tims_db_session *db, tims_arena *arena, tims_str *ret_epoch, tims_error *err)
{
    tims_db_rows *rows = NULL;
    tims_str sql = TIMS_STR("SELECT value FROM tims_meta WHERE key = 'epoch'");
    tims_status status = tims_db_query(db, sql, NULL, 0, &rows, err);
    if (status != TIMS_OK)
        return status;
    bool found = tims_db_next(rows);
    tims_str epoch = found ? tims_copy(arena, tims_db_get_text(rows, 0)) : (tims_str){ NULL, 0 };
    status = tims_db_rows_end(&rows, err);
    if (status != TIMS_OK)
        return status;
    if (!found)
        return tims_fail(err, TIMS_PRECONDITION, NULL, "The database has no change log yet: run `migrate`.");
    *ret_epoch = epoch;
    return TIMS_OK;
}

tims_status tims_server_start(tims_db_session *db, int64_t *ret_start_us, tims_error *err)
{
    *ret_start_us = 0;
    if (log_of(db)->server_start.length == 0)
        return TIMS_OK;
    return read_number(db, log_of(db)->server_start, NULL, 0, 0, ret_start_us, err);
}

/* A server that was started again may have been started on an older copy of its data, or have lost what a
 * foreign writer committed with synchronous_commit = off; then its transactions' numbers mean something else
 * than before. Or it is another server, and the log came in a dump. Nothing in the database tells, so a
 * restart begins an epoch: nobody goes on from the notes of the last one, and rows that would be new for ever
 * go. */
static tims_status renew_after_restart(tims_db_session *db, tims_arena *arena, int64_t start_us,
                                       tims_error *err)
{
    const tims_db_value start = tims_db_text(tims_print(arena, "%lld", (long long)start_us));
    int64_t changed = 0;
    tims_status status = tims_db_begin(db, err);
    if (status != TIMS_OK)
        return status;
    status = tims_db_run(db, TIMS_STR("UPDATE tims_meta SET value = ?1 WHERE key = 'server' AND value <> ?1"),
                         &start, 1, &changed, err);
    if (status == TIMS_OK && changed > 0)
        status = tims_db_run(db, log_of(db)->renew_epoch, NULL, 0, NULL, err);
    if (status == TIMS_OK && changed > 0)
        status = tims_db_run(db, TIMS_STR("DELETE FROM tims_mark"), NULL, 0, NULL, err);
    if (status == TIMS_OK && changed > 0 && log_of(db)->clear_foreign.length > 0)
        status = tims_db_run(db, log_of(db)->clear_foreign, NULL, 0, NULL, err);
    if (status == TIMS_OK)
        status = tims_db_run(db,
                             TIMS_STR("INSERT INTO tims_meta (key, value) VALUES ('server', ?1) "
                                      "ON CONFLICT (key) DO NOTHING"),
                             &start, 1, NULL, err);
    if (status != TIMS_OK) {
        tims_db_rollback(db);
        return status;
    }
    return tims_db_commit(db, err);
}

tims_status tims_epoch_renew(tims_db_session *db, tims_str old, tims_error *err)
{
    tims_str sql = log_of(db)->renew_epoch_from;
    const tims_db_value value = tims_db_text(old);
    return tims_db_run(db, sql, &value, 1, NULL, err);
}

tims_status tims_epoch_begin(tims_db_session *db, tims_arena *arena, int64_t server_start_us,
                             tims_str *ret_epoch, tims_error *err)
{
    tims_status status = tims_epoch(db, arena, ret_epoch, err);
    if (status != TIMS_OK || server_start_us == 0)
        return status;
    status = renew_after_restart(db, arena, server_start_us, err);
    return status == TIMS_OK ? tims_epoch(db, arena, ret_epoch, err) : status;
}
