/* change.c: the change log, written by triggers.
 *
 * Whoever changes a row of a live model, the stack, a migration or somebody at the sqlite3 prompt, leaves a
 * row in tims_change in the same transaction: which model, what was done, which row, and for updates and
 * deletes the old values of the key columns, those by which the live engine finds who may have seen the row
 * before. The row itself is not copied: it is read when it is told.
 *
 * An update that changes the primary key is told as a delete and an insert. Measured on inserts of a message
 * (one index, groups of 64): 3 µs a row beside 7 for the row itself, so the log is not a thing to be switched
 * off.
 *
 * What SQLite does not tell triggers of: REPLACE INTO by another program deletes the rows it replaces
 * silently (the stack's own connections set recursive_triggers, which makes it tell). */
#include "model/migrate_internal.h"

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

/* --- triggers ---------------------------------------------------------------------------------------- */

static void add_old_keys(tims_buf *out, const tims_model *model)
{
    tims_buf_print(out, "json_object(");
    bool first = true;
    for (size_t i = 0; i < model->fields.count; i++) {
        const tims_field *field = &model->fields.items[i];
        if (!tims_change_is_key(model, field))
            continue;
        tims_buf_print(out, "%s'%s', old.\"%s\"", first ? "" : ", ", field->name, field->name);
        first = false;
    }
    tims_buf_print(out, ")");
}

static void add_log_insert(tims_buf *out, const tims_model *model, tims_change_op op)
{
    tims_buf_print(out, "INSERT INTO tims_change (model, op, row, old) VALUES ('%s', %d, %s.\"%s\", ",
                   model->name, op, op == TIMS_DELETED ? "old" : "new", tims_model_primary(model)->name);
    if (op == TIMS_INSERTED)
        tims_buf_print(out, "NULL");
    else
        add_old_keys(out, model);
    tims_buf_print(out, "); ");
}

typedef struct trigger_kind {
    const char *name, *when;
    bool compares; /* with the primary key unchanged (`same`), or changed */
    bool same;
    tims_change_op first, second; /* second 0: none */
} trigger_kind;

static const trigger_kind kinds[] = {
    { "insert", "AFTER INSERT", false, false, TIMS_INSERTED, 0 },
    { "update", "AFTER UPDATE", true, true, TIMS_UPDATED, 0 },
    { "rekey", "AFTER UPDATE", true, false, TIMS_DELETED, TIMS_INSERTED },
    { "delete", "AFTER DELETE", false, false, TIMS_DELETED, 0 },
};

enum { TRIGGER_KINDS = sizeof kinds / sizeof *kinds, DDL_BYTES_MAX = 4 << 20 };

static model__trigger make_trigger(tims_arena *arena, const tims_model *model, const trigger_kind *kind)
{
    tims_str name = tims_print(arena, "tims_change_%s_%s", model->name, kind->name);
    tims_buf sql;
    tims_buf_init(&sql, arena, DDL_BYTES_MAX);
    /* Exactly as SQLite keeps it, so that the schema can be compared with it. */
    tims_buf_print(&sql, "CREATE TRIGGER \"%S\" %s ON \"%s\" ", name, kind->when, model->name);
    if (kind->compares) {
        const char *key = tims_model_primary(model)->name;
        tims_buf_print(&sql, "WHEN new.\"%s\" %s old.\"%s\" ", key, kind->same ? "IS" : "IS NOT", key);
    }
    tims_buf_print(&sql, "BEGIN ");
    add_log_insert(&sql, model, kind->first);
    if (kind->second != 0)
        add_log_insert(&sql, model, kind->second);
    tims_buf_print(&sql, "END");
    TIMS_ASSERT(!sql.overflow);
    return (model__trigger){ name, tims_buf_str(&sql) };
}

size_t model__triggers(tims_arena *arena, const tims_models *models, model__trigger **ret_triggers)
{
    size_t count = 0;
    model__trigger *triggers =
        TIMS_NEW_ARRAY(arena, model__trigger, tims_models_count(models) * TRIGGER_KINDS + 1);
    for (size_t m = 0; m < tims_models_count(models); m++) {
        const tims_model *model = tims_models_at(models, m);
        for (size_t k = 0; !model->not_live && k < TRIGGER_KINDS; k++)
            triggers[count++] = make_trigger(arena, model, &kinds[k]);
    }
    *ret_triggers = triggers;
    return count;
}

void model__drop_triggers_sql(tims_buf *out, const char *table)
{
    for (size_t k = 0; k < TRIGGER_KINDS; k++)
        tims_buf_print(out, "DROP TRIGGER IF EXISTS \"tims_change_%s_%s\";\n", table, kinds[k].name);
}

tims_str tims_change_ddl(tims_arena *arena, const tims_models *models, tims_db_dialect dialect)
{
    TIMS_ASSERT(dialect == TIMS_SQLITE);
    tims_buf out;
    tims_buf_init(&out, arena, DDL_BYTES_MAX);
    tims_buf_print(
        &out, "CREATE TABLE IF NOT EXISTS tims_change (id INTEGER PRIMARY KEY AUTOINCREMENT, "
              "model TEXT NOT NULL, op INTEGER NOT NULL, row TEXT NOT NULL, old TEXT) STRICT;\n"
              "CREATE TABLE IF NOT EXISTS tims_meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) "
              "STRICT;\n"
              "INSERT OR IGNORE INTO tims_meta (key, value) VALUES "
              "('epoch', lower(hex(randomblob(8))));\n");
    for (size_t m = 0; m < tims_models_count(models); m++)
        model__drop_triggers_sql(&out, tims_models_at(models, m)->name);
    model__trigger *triggers;
    size_t count = model__triggers(arena, models, &triggers);
    for (size_t i = 0; i < count; i++)
        tims_buf_print(&out, "%S;\n", triggers[i].sql);
    TIMS_ASSERT(!out.overflow);
    return tims_buf_str(&out);
}

/* --- reading the log --------------------------------------------------------------------------------- */

/* The highest id ever given out, also when old log rows have been removed. Every read names its position, so
 * it is asked for once per state of the database, not once per request. */
tims_status tims_position(tims_db_session *db, int64_t *ret_position, tims_error *err)
{
    int64_t *memo = tims_db_snapshot_memo(db);
    if (memo != NULL && *memo > 0) {
        *ret_position = *memo;
        return TIMS_OK;
    }
    tims_db_rows *rows = NULL;
    tims_str sql = TIMS_STR("SELECT coalesce((SELECT max(id) FROM tims_change), "
                            "(SELECT seq FROM sqlite_sequence WHERE name = 'tims_change'), 0)");
    tims_status status = tims_db_query(db, sql, NULL, 0, &rows, err);
    if (status != TIMS_OK)
        return status;
    int64_t position = tims_db_next(rows) ? tims_db_get_int(rows, 0) : 0;
    status = tims_db_rows_end(&rows, err);
    if (status != TIMS_OK)
        return status;
    if (memo != NULL)
        *memo = position;
    *ret_position = position;
    return TIMS_OK;
}

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
