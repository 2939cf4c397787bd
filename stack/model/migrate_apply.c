/* migrate_apply.c: applying migrations, and knowing which have been.
 *
 * Each file is one transaction with its row in tims_migration, so that a failure or a crash leaves a database
 * that is exactly at one file or the next. What was applied is looked up again inside that transaction: of
 * two processes that migrate at once, the second waits and then finds it done. An applied file may not be
 * edited, because other databases have run it as it was: its BLAKE2b checksum is kept. When something was
 * applied the epoch of the change log is made anew, for no client can apply the difference between two
 * schemas. */
#include "model/migrate_internal.h"

#include "tims/crypto.h"

static const char record_ddl[] =
    "CREATE TABLE IF NOT EXISTS tims_migration (app TEXT NOT NULL, name TEXT NOT NULL, "
    "checksum TEXT NOT NULL, applied_at INTEGER NOT NULL, PRIMARY KEY (app, name)) "
    "STRICT;\n";

/* --- what is recorded -------------------------------------------------------------------------------- */

bool model__is_migration(const tims_embedded *file)
{
    return tims_str_ends_with(tims_str_from(file->name), TIMS_STR(".sql"));
}

tims_status model__table_exists(tims_db_session *session, tims_str name, bool *ret_exists, tims_error *err)
{
    tims_db_rows *rows = NULL;
    tims_db_value value = tims_db_text(name);
    tims_str sql = TIMS_STR("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1");
    tims_status status = tims_db_query(session, sql, &value, 1, &rows, err);
    if (status != TIMS_OK)
        return status;
    bool exists = tims_db_next(rows);
    status = tims_db_rows_end(&rows, err);
    if (status == TIMS_OK)
        *ret_exists = exists;
    return status;
}

static void add_applied(tims_arena *arena, model__record *record, size_t *capacity, const tims_db_rows *rows)
{
    if (record->count == *capacity) {
        *capacity = *capacity == 0 ? 64 : *capacity * 2;
        model__applied *more = TIMS_NEW_ARRAY(arena, model__applied, *capacity);
        if (record->count > 0)
            memcpy(more, record->items, record->count * sizeof *more);
        record->items = more;
    }
    record->items[record->count++] = (model__applied){ tims_copy(arena, tims_db_get_text(rows, 0)),
                                                       tims_copy(arena, tims_db_get_text(rows, 1)),
                                                       tims_copy(arena, tims_db_get_text(rows, 2)) };
}

tims_status model__record_read(tims_db_session *session, tims_arena *arena, model__record *ret_record,
                               tims_error *err)
{
    *ret_record = (model__record){ 0 };
    bool exists = false;
    tims_status status = model__table_exists(session, TIMS_STR("tims_migration"), &exists, err);
    if (status != TIMS_OK || !exists)
        return status;
    tims_db_rows *rows = NULL;
    tims_str sql = TIMS_STR("SELECT app, name, checksum FROM tims_migration ORDER BY app, name");
    status = tims_db_query(session, sql, NULL, 0, &rows, err);
    if (status != TIMS_OK)
        return status;
    size_t capacity = 0;
    while (tims_db_next(rows))
        add_applied(arena, ret_record, &capacity, rows);
    return tims_db_rows_end(&rows, err);
}

bool model__record_has(const model__record *record, const char *app, const char *name)
{
    for (size_t i = 0; i < record->count; i++)
        if (tims_str_equal(record->items[i].app, tims_str_from(app)) &&
            tims_str_equal(record->items[i].name, tims_str_from(name)))
            return true;
    return false;
}

static const tims_embedded *find_file(const tims_migration_set *set, tims_str name)
{
    for (const tims_embedded *file = set->files; file != NULL && file->name != NULL; file++)
        if (tims_str_equal(tims_str_from(file->name), name))
            return file;
    return NULL;
}

static tims_str checksum(const tims_embedded *file, char text[TIMS_TOKEN_HASH_TEXT_LENGTH])
{
    tims_token_hash((tims_str){ file->data, file->length }, text);
    return (tims_str){ text, TIMS_TOKEN_HASH_TEXT_LENGTH };
}

static tims_status check_applied(const model__applied *applied, const tims_migration_set *set,
                                 tims_error *err)
{
    const tims_embedded *file = find_file(set, applied->name);
    if (file == NULL)
        return tims_fail(
            err, TIMS_CONFLICT, "migration_missing",
            "The database has had the migration %.*s/%.*s, which this program does not have: the "
            "program is older than the database.",
            TIMS_PRINT(applied->app), TIMS_PRINT(applied->name));
    char text[TIMS_TOKEN_HASH_TEXT_LENGTH];
    if (!tims_str_equal(checksum(file, text), applied->checksum))
        return tims_fail(
            err, TIMS_CONFLICT, "migration_edited",
            "The migration %.*s/%.*s was edited after it had been applied. Restore the file and put the "
            "change into a new one (`makemigrations`).",
            TIMS_PRINT(applied->app), TIMS_PRINT(applied->name));
    return TIMS_OK;
}

/* Rows of apps that are not among the sets are left alone: an app may have been taken out. */
tims_status model__record_check(const model__record *record, const tims_migration_set *sets, size_t count,
                                tims_error *err)
{
    for (size_t i = 0; i < record->count; i++)
        for (size_t s = 0; s < count; s++) {
            if (!tims_str_equal(record->items[i].app, tims_str_from(sets[s].app)))
                continue;
            tims_status status = check_applied(&record->items[i], &sets[s], err);
            if (status != TIMS_OK)
                return status;
        }
    return TIMS_OK;
}

/* --- applying ---------------------------------------------------------------------------------------- */

static tims_status name_the_file(const char *app, const tims_embedded *file, tims_status status,
                                 const tims_error *why, tims_error *err)
{
    tims_status named =
        tims_fail(err, status, why->code, "The migration %.60s/%.60s cannot be applied: %.110s", app,
                  file->name, why->detail[0] != '\0' ? why->detail : why->message);
    tims_error_detail(err, "%s", why->detail);
    return named;
}

static tims_status run_file(tims_db_session *session, const char *app, const tims_embedded *file,
                            tims_error *err)
{
    tims_status status = tims_db_script(session, (tims_str){ file->data, file->length }, err);
    if (status != TIMS_OK)
        return status;
    char text[TIMS_TOKEN_HASH_TEXT_LENGTH];
    tims_db_value values[] = { tims_db_text(tims_str_from(app)), tims_db_text(tims_str_from(file->name)),
                               tims_db_text(checksum(file, text)), tims_db_int(tims_now().us) };
    return tims_db_run(
        session,
        TIMS_STR("INSERT INTO tims_migration (app, name, checksum, applied_at) VALUES (?1, ?2, ?3, ?4)"),
        values, 4, NULL, err);
}

/* In one transaction, unless another process has done it meanwhile. */
static tims_status apply_file(tims_db_session *session, tims_arena *arena, const char *app,
                              const tims_embedded *file, tims_buf *applied, tims_error *err)
{
    tims_error why = { 0 };
    tims_status status = tims_db_begin_schema(session, &why);
    if (status != TIMS_OK)
        return name_the_file(app, file, status, &why, err);
    model__record record;
    status = model__record_read(session, arena, &record, &why);
    bool pending = status == TIMS_OK && !model__record_has(&record, app, file->name);
    if (pending)
        status = run_file(session, app, file, &why);
    if (status != TIMS_OK || !pending)
        tims_db_rollback(session);
    else
        status = tims_db_commit(session, &why);
    if (status != TIMS_OK)
        return name_the_file(app, file, status, &why, err);
    if (pending)
        tims_buf_print(applied, "%s/%s\n", app, file->name);
    return TIMS_OK;
}

static tims_status apply_sets(tims_db_session *session, tims_arena *arena, const tims_migration_set *sets,
                              size_t count, tims_buf *applied, tims_error *err)
{
    model__record record;
    tims_status status = model__record_read(session, arena, &record, err);
    if (status == TIMS_OK)
        status = model__record_check(&record, sets, count, err);
    for (size_t s = 0; s < count && status == TIMS_OK; s++)
        for (const tims_embedded *file = sets[s].files; file != NULL && file->name != NULL; file++) {
            if (!model__is_migration(file) || model__record_has(&record, sets[s].app, file->name))
                continue;
            status = apply_file(session, arena, sets[s].app, file, applied, err);
            if (status != TIMS_OK)
                return status;
        }
    return status;
}

static tims_status make_record(tims_db_session *session, tims_error *err)
{
    bool exists = false;
    tims_status status = model__table_exists(session, TIMS_STR("tims_migration"), &exists, err);
    if (status != TIMS_OK || exists)
        return status;
    return tims_db_script(session, tims_str_from(record_ddl), err);
}

tims_status tims_migrate_apply(tims_db *db, tims_arena *arena, const tims_migration_set *sets, size_t count,
                               const tims_models *models, tims_buf *ret_applied, tims_error *err)
{
    tims_db_session *session = tims_db_session_new(db, NULL, arena);
    size_t before = ret_applied->length;
    tims_status status = make_record(session, err);
    if (status == TIMS_OK)
        status = apply_sets(session, arena, sets, count, ret_applied, err);
    if (status == TIMS_OK)
        status = model__triggers_refresh(session, arena, models, ret_applied->length > before, err);
    return status;
}
