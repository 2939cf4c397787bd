/* migrate_apply.c: applying what is pending.
 *
 * When something was applied the epoch of the change log is made anew, for no client can apply the difference
 * between two schemas. On PostgreSQL one process migrates at a time: it holds an advisory lock, in a
 * transaction of its own that is idle meanwhile. The others ask for it now and then and do not wait in the
 * statement: a waiting statement has a snapshot, and CREATE INDEX CONCURRENTLY waits until every older
 * snapshot is gone. */
#include <time.h>

#include "model/migrate_internal.h"

enum { LOCK_PAUSE_NS = 100 * 1000 * 1000 };

/* --- one at a time ----------------------------------------------------------------------------------- */

/* In a transaction that stays open when the lock was free. */
static tims_status try_lock(tims_db_session *guard, const model__dialect *dialect, bool *ret_locked,
                            tims_error *err)
{
    tims_status status = tims_db_begin(guard, err);
    if (status != TIMS_OK)
        return status;
    tims_db_rows *rows = NULL;
    status = tims_db_query(guard, tims_str_from(dialect->try_lock), NULL, 0, &rows, err);
    bool locked = status == TIMS_OK && tims_db_next(rows) && tims_db_get_int(rows, 0) != 0;
    if (status == TIMS_OK)
        status = tims_db_rows_end(&rows, err);
    /* also lets go of the snapshot that a SELECT keeps until the next statement */
    if (status == TIMS_OK && locked)
        status = tims_db_script(guard, tims_str_from(dialect->lock_kept), err);
    if (status != TIMS_OK || !locked)
        tims_db_rollback(guard);
    if (status == TIMS_OK)
        *ret_locked = locked;
    return status;
}

/* Held until `guard` ends its transaction. */
static tims_status lock(tims_db_session *guard, tims_error *err)
{
    const model__dialect *dialect = model__dialect_of(tims_db_session_dialect(guard));
    if (dialect->try_lock == NULL)
        return TIMS_OK;
    bool locked = false;
    tims_status status = try_lock(guard, dialect, &locked, err);
    if (status == TIMS_OK && !locked)
        tims_log(TIMS_LOG_INFO, "migrate", "another process migrates this database; waiting for it");
    while (status == TIMS_OK && !locked) {
        (void)nanosleep(&(struct timespec){ .tv_nsec = LOCK_PAUSE_NS }, NULL);
        status = try_lock(guard, dialect, &locked, err);
    }
    return status;
}

static void unlock(tims_db_session *guard)
{
    if (tims_db_in_transaction(guard))
        tims_db_rollback(guard);
}

/* --- applying ---------------------------------------------------------------------------------------- */

static tims_status make_record(tims_db_session *session, tims_error *err)
{
    bool exists = false;
    tims_status status = model__table_exists(session, TIMS_STR("tims_migration_step"), &exists, err);
    if (status != TIMS_OK || exists)
        return status;
    const model__dialect *dialect = model__dialect_of(tims_db_session_dialect(session));
    return tims_db_script(session, tims_str_from(dialect->record_ddl), err);
}

/* Before anything is done: a migration that cannot be applied here stops all. */
static tims_status check_written(tims_db_session *session, const char *app, const model__migration *migration,
                                 tims_error *err)
{
    const model__dialect *dialect = model__dialect_of(tims_db_session_dialect(session));
    if (migration->file != NULL)
        return TIMS_OK;
    tims_str stem = tims_str_slice(migration->name, 0, migration->name.length - strlen(".sql"));
    return tims_fail(err, TIMS_PRECONDITION, "migration_dialect",
                     "The migration %.60s/%.*s is not written for %s: put %.*s%s beside it "
                     "(`makemigrations` writes both).",
                     app, TIMS_PRINT(stem), dialect->title, TIMS_PRINT(stem), dialect->file_end);
}

static tims_status apply_set(tims_db_session *session, tims_arena *arena, const tims_migration_set *set,
                             const model__record *record, tims_buf *applied, tims_error *err)
{
    model__migrations list = model__migrations_of(arena, set, tims_db_session_dialect(session));
    for (size_t i = 0; i < list.count; i++) {
        if (model__record_has(record, set->app, list.items[i].name))
            continue;
        bool ours = false;
        tims_status status = model__run_migration(session, arena, set->app, &list.items[i], &ours, err);
        if (status != TIMS_OK)
            return status;
        if (ours)
            tims_buf_print(applied, "%s/%S\n", set->app, list.items[i].name);
    }
    return TIMS_OK;
}

static bool has_any(const model__record *record, const char *app)
{
    for (size_t i = 0; i < record->count; i++)
        if (tims_str_equal(record->items[i].app, tims_str_from(app)))
            return true;
    return false;
}

/* A database that is new to the app has nothing to lose. */
static tims_status check_losses(const tims_migration_set *set, const model__migration *migration,
                                const model__record *record, tims_error *err)
{
    tims_str text = { migration->file->data, migration->file->length };
    if (set->allow_destructive || !tims_str_starts_with(text, TIMS_STR(MODEL__DESTRUCTIVE)) ||
        !has_any(record, set->app))
        return TIMS_OK;
    tims_str rest = tims_str_slice(text, strlen(MODEL__DESTRUCTIVE), text.length),
             loss = tims_str_cut(&rest, '\n');
    return tims_fail(
        err, TIMS_PRECONDITION, "migration_destructive",
        "The migration %.50s/%.50s loses data: it %.*s. Run `migrate --allow-destructive` if that is "
        "meant.",
        set->app, migration->file->name, (int)(loss.length < 80 ? loss.length : 80), loss.data);
}

static tims_status check_set(tims_db_session *session, tims_arena *arena, const tims_migration_set *set,
                             const model__record *record, tims_error *err)
{
    model__migrations list = model__migrations_of(arena, set, tims_db_session_dialect(session));
    for (size_t i = 0; i < list.count; i++) {
        if (model__record_has(record, set->app, list.items[i].name))
            continue;
        tims_status status = check_written(session, set->app, &list.items[i], err);
        if (status == TIMS_OK)
            status = check_losses(set, &list.items[i], record, err);
        if (status != TIMS_OK)
            return status;
    }
    return TIMS_OK;
}

static tims_status apply_sets(tims_db_session *session, tims_arena *arena, const tims_migration_set *sets,
                              size_t count, tims_buf *applied, tims_error *err)
{
    model__record record;
    tims_status status = model__record_read(session, arena, &record, err);
    if (status == TIMS_OK)
        status = model__record_check(session, arena, &record, sets, count, err);
    for (size_t s = 0; s < count && status == TIMS_OK; s++)
        status = check_set(session, arena, &sets[s], &record, err);
    for (size_t s = 0; s < count && status == TIMS_OK; s++)
        status = apply_set(session, arena, &sets[s], &record, applied, err);
    return status;
}

tims_status tims_migrate_apply(tims_db *db, tims_arena *arena, const tims_migration_set *sets, size_t count,
                               const tims_models *models, tims_buf *ret_applied, tims_error *err)
{
    tims_db_session *guard = tims_db_session_new(db, NULL, arena);
    tims_db_session *session = tims_db_session_new(db, NULL, arena);
    size_t before = ret_applied->length;
    tims_status status = lock(guard, err);
    if (status != TIMS_OK)
        return status;
    status = make_record(session, err);
    if (status == TIMS_OK)
        status = apply_sets(session, arena, sets, count, ret_applied, err);
    if (status == TIMS_OK)
        status = model__triggers_refresh(session, arena, models, ret_applied->length > before, err);
    unlock(guard);
    return status;
}
