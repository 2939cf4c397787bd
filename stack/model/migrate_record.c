/* migrate_record.c: which migrations there are, and which of them a database has had.
 *
 * A migration has one name and a file for each database: 0001_initial.sql is SQLite's,
 * 0001_initial.postgres.sql PostgreSQL's. It is recorded under the first name everywhere, with the BLAKE2b
 * checksum of the file that was run: an applied file may not be edited, because other databases have run it
 * as it was. */
#include <stdlib.h>

#include "model/migrate_internal.h"
#include "tims/crypto.h"

/* --- what there is ----------------------------------------------------------------------------------- */

/* "0001_initial.postgres.sql" to "0001_initial.sql", and whether that is this dialect's. False: no migration.
 */
static bool parse_name(tims_arena *arena, const model__dialect *dialect, tims_str file, tims_str *ret_name,
                       bool *ret_ours)
{
    const model__dialect *longest =
        tims_str_ends_with(file, tims_str_from(model__postgres.file_end)) ? &model__postgres : &model__sqlite;
    tims_str end = tims_str_from(longest->file_end);
    if (!tims_str_ends_with(file, end))
        return false;
    *ret_name = tims_print(arena, "%S.sql", tims_str_slice(file, 0, file.length - end.length));
    *ret_ours = longest == dialect;
    return true;
}

static model__migration *find_migration(const model__migrations *list, tims_str name)
{
    for (size_t i = 0; i < list->count; i++)
        if (tims_str_equal(list->items[i].name, name))
            return &list->items[i];
    return NULL;
}

static int compare_names(const void *a, const void *b)
{
    return tims_str_compare(((const model__migration *)a)->name, ((const model__migration *)b)->name);
}

model__migrations model__migrations_of(tims_arena *arena, const tims_migration_set *set,
                                       tims_db_dialect dialect)
{
    size_t files = 0;
    while (set->files != NULL && set->files[files].name != NULL)
        files++;
    model__migrations list = { TIMS_NEW_ARRAY(arena, model__migration, files + 1), 0 };
    for (size_t i = 0; i < files; i++) {
        tims_str name;
        bool ours;
        if (!parse_name(arena, model__dialect_of(dialect), tims_str_from(set->files[i].name), &name, &ours))
            continue;
        model__migration *migration = find_migration(&list, name);
        if (migration == NULL) {
            migration = &list.items[list.count++];
            migration->name = name;
        }
        if (ours)
            migration->file = &set->files[i];
    }
    if (list.count > 0)
        qsort(list.items, list.count, sizeof *list.items, compare_names);
    return list;
}

tims_str model__checksum(tims_arena *arena, const tims_embedded *file)
{
    char text[TIMS_TOKEN_HASH_TEXT_LENGTH];
    tims_token_hash((tims_str){ file->data, file->length }, text);
    return tims_copy(arena, (tims_str){ text, TIMS_TOKEN_HASH_TEXT_LENGTH });
}

/* --- what is recorded -------------------------------------------------------------------------------- */

tims_status model__table_exists(tims_db_session *session, tims_str name, bool *ret_exists, tims_error *err)
{
    const model__dialect *dialect = model__dialect_of(tims_db_session_dialect(session));
    tims_db_rows *rows = NULL;
    tims_db_value value = tims_db_text(name);
    tims_status status = tims_db_query(session, tims_str_from(dialect->find_table), &value, 1, &rows, err);
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

bool model__record_has(const model__record *record, const char *app, tims_str name)
{
    for (size_t i = 0; i < record->count; i++)
        if (tims_str_equal(record->items[i].app, tims_str_from(app)) &&
            tims_str_equal(record->items[i].name, name))
            return true;
    return false;
}

static tims_status check_applied(tims_arena *arena, const model__applied *applied,
                                 const model__migrations *migrations, tims_error *err)
{
    const model__migration *migration = find_migration(migrations, applied->name);
    if (migration == NULL || migration->file == NULL)
        return tims_fail(
            err, TIMS_CONFLICT, "migration_missing",
            "The database has had the migration %.*s/%.*s, which this program does not have: the "
            "program is older than the database.",
            TIMS_PRINT(applied->app), TIMS_PRINT(applied->name));
    if (!tims_str_equal(model__checksum(arena, migration->file), applied->checksum))
        return tims_fail(
            err, TIMS_CONFLICT, "migration_edited",
            "The migration %.*s/%s was edited after it had been applied. Restore the file and put the "
            "change into a new one (`makemigrations`).",
            TIMS_PRINT(applied->app), migration->file->name);
    return TIMS_OK;
}

/* Rows of apps that are not among the sets are left alone: an app may have been taken out. */
tims_status model__record_check(tims_db_session *session, tims_arena *arena, const model__record *record,
                                const tims_migration_set *sets, size_t count, tims_error *err)
{
    for (size_t s = 0; s < count; s++) {
        model__migrations migrations =
            model__migrations_of(arena, &sets[s], tims_db_session_dialect(session));
        for (size_t i = 0; i < record->count; i++) {
            if (!tims_str_equal(record->items[i].app, tims_str_from(sets[s].app)))
                continue;
            tims_status status = check_applied(arena, &record->items[i], &migrations, err);
            if (status != TIMS_OK)
                return status;
        }
    }
    return TIMS_OK;
}
