/* migrate_check.c: may this program serve this database? Asked at every start, so nothing is written. */
#include "model/migrate_internal.h"

static tims_str snapshot_of(const tims_migration_set *set)
{
    for (const tims_embedded *file = set->files; file != NULL && file->name != NULL; file++)
        if (strcmp(file->name, "snapshot.json") == 0)
            return (tims_str){ file->data, file->length };
    return (tims_str){ NULL, 0 };
}

/* The descriptors that the program was built with, against the snapshot that was committed with its
 * migrations. */
static tims_status check_models(tims_arena *arena, const tims_migration_set *set, tims_error *err)
{
    tims_migration_plan plan;
    tims_error why = { 0 };
    tims_status status = tims_migrate_plan(arena, snapshot_of(set), set->models, TIMS_SQLITE, &plan, &why);
    if (status != TIMS_OK)
        return tims_fail(err, TIMS_PRECONDITION, "migrations_missing", "The models of %.40s: %.190s",
                         set->app, why.message);
    if (plan.empty)
        return TIMS_OK;
    size_t end = tims_str_find(plan.summary, TIMS_STR("\n"));
    tims_str first = tims_str_slice(plan.summary, 0, end == SIZE_MAX ? plan.summary.length : end);
    return tims_fail(err, TIMS_PRECONDITION, "migrations_missing",
                     "The models of %.40s have changed (%.*s …) without a migration: run `makemigrations`.",
                     set->app, (int)(first.length < 80 ? first.length : 80), first.data);
}

typedef struct pending {
    size_t count;
    const char *app; /* of the first */
    tims_str name;
} pending;

static pending list_pending(tims_db_session *session, tims_arena *arena, const model__record *record,
                            const tims_migration_set *sets, size_t count)
{
    pending found = { 0, NULL, { NULL, 0 } };
    for (size_t s = 0; s < count; s++) {
        model__migrations list = model__migrations_of(arena, &sets[s], tims_db_session_dialect(session));
        for (size_t i = 0; i < list.count; i++) {
            if (model__record_has(record, sets[s].app, list.items[i].name))
                continue;
            if (found.count++ == 0) {
                found.app = sets[s].app;
                found.name = list.items[i].name;
            }
        }
    }
    return found;
}

static tims_status check_pending(tims_db_session *session, tims_arena *arena, const model__record *record,
                                 const tims_migration_set *sets, size_t count, tims_error *err)
{
    pending found = list_pending(session, arena, record, sets, count);
    if (found.count == 0)
        return TIMS_OK;
    return tims_fail(err, TIMS_PRECONDITION, "migrations_pending",
                     "%zu migration%s not been applied to this database (first: %.60s/%.*s): run `migrate`.",
                     found.count, found.count == 1 ? " has" : "s have", found.app,
                     (int)(found.name.length < 60 ? found.name.length : 60), found.name.data);
}

static tims_status check_record(tims_db_session *session, tims_arena *arena, const tims_migration_set *sets,
                                size_t count, model__record *ret_record, tims_error *err)
{
    tims_status status = model__record_read(session, arena, ret_record, err);
    if (status != TIMS_OK)
        return status;
    status = model__record_check(session, arena, ret_record, sets, count, err);
    if (status == TIMS_OK)
        return TIMS_OK;
    if (err != NULL)
        err->status = TIMS_PRECONDITION;
    return TIMS_PRECONDITION;
}

static bool knows_any(const model__record *record, const tims_migration_set *sets, size_t count)
{
    for (size_t s = 0; s < count; s++)
        for (size_t i = 0; i < record->count; i++)
            if (tims_str_equal(record->items[i].app, tims_str_from(sets[s].app)))
                return true;
    return false;
}

tims_status tims_migrate_recognise(tims_db *db, tims_arena *arena, const tims_migration_set *sets,
                                   size_t count, size_t *ret_pending, tims_error *err)
{
    model__record record;
    tims_db_session *session = tims_db_session_new(db, NULL, arena);
    tims_status status = check_record(session, arena, sets, count, &record, err);
    if (status == TIMS_OK && !knows_any(&record, sets, count))
        status = tims_fail(err, TIMS_PRECONDITION, "other_app", "It is no database of this app.");
    if (status == TIMS_OK)
        *ret_pending = list_pending(session, arena, &record, sets, count).count;
    return status;
}

static tims_status check_database(tims_db_session *session, tims_arena *arena, const tims_migration_set *sets,
                                  size_t count, const tims_models *models, tims_error *err)
{
    model__record record;
    tims_status status = check_record(session, arena, sets, count, &record, err);
    if (status != TIMS_OK)
        return status;
    status = check_pending(session, arena, &record, sets, count, err);
    for (size_t s = 0; s < count && status == TIMS_OK; s++) {
        model__schema schema;
        status = model__schema_parse(arena, snapshot_of(&sets[s]), &schema, err);
        if (status == TIMS_OK)
            status = model__drift(session, arena, &schema, err);
    }
    if (status != TIMS_OK)
        return status;
    bool current = false;
    status = model__triggers_current(session, arena, models, &current, err);
    if (status == TIMS_OK && !current)
        status = tims_fail(err, TIMS_PRECONDITION, "migrations_pending",
                           "The triggers of the change log are not those of this program: run `migrate`.");
    return status;
}

tims_status tims_migrate_check(tims_db *db, tims_arena *arena, const tims_migration_set *sets, size_t count,
                               const tims_models *models, tims_error *err)
{
    for (size_t s = 0; s < count; s++) {
        tims_status status = check_models(arena, &sets[s], err);
        if (status != TIMS_OK)
            return status;
    }
    return check_database(tims_db_session_new(db, NULL, arena), arena, sets, count, models, err);
}
