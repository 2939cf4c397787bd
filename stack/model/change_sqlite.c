/* change_sqlite.c: the change log in SQLite's words.
 *
 * Measured on inserts of a message (one index, groups of 64): 3 µs a row beside 7 for the row itself, so the
 * log is not a thing to be switched off.
 *
 * What SQLite does not tell triggers of: REPLACE INTO by another program deletes the rows it replaces
 * silently (the stack's own connections set recursive_triggers, which makes it tell). */
#include "model/change_internal.h"

static void add_old_keys(tims_buf *out, const tims_model *model)
{
    const char *comma = "";
    size_t i = 0;
    tims_buf_print(out, "json_object(");
    for (const tims_field *field; (field = model__next_key(model, &i)) != NULL; comma = ", ")
        if (tims_kind_base(field->kind) == TIMS_KIND_BYTES) /* JSON takes none; hex() of null is a text */
            tims_buf_print(out, "%s'%s', iif(old.\"%s\" IS NULL, NULL, hex(old.\"%s\"))", comma, field->name,
                           field->name, field->name);
        else
            tims_buf_print(out, "%s'%s', old.\"%s\"", comma, field->name, field->name);
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

static const trigger_kind kinds[MODEL__TRIGGERS_A_MODEL] = {
    { "insert", "AFTER INSERT", false, false, TIMS_INSERTED, 0 },
    { "update", "AFTER UPDATE", true, true, TIMS_UPDATED, 0 },
    { "rekey", "AFTER UPDATE", true, false, TIMS_DELETED, TIMS_INSERTED },
    { "delete", "AFTER DELETE", false, false, TIMS_DELETED, 0 },
};

/* Exactly as SQLite keeps it, so that the schema can be compared with it. */
static model__trigger make_trigger(tims_arena *arena, const tims_model *model, const trigger_kind *kind)
{
    tims_str name = tims_print(arena, "tims_change_%s_%s", model->name, kind->name);
    tims_buf sql;
    tims_buf_init(&sql, arena, MODEL__CHANGE_DDL_BYTES_MAX);
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
    return (model__trigger){ .table = tims_str_from(model->name), .name = name, .sql = tims_buf_str(&sql) };
}

static void add_triggers(tims_arena *arena, const tims_model *model, model__trigger *triggers)
{
    for (size_t k = 0; k < MODEL__TRIGGERS_A_MODEL; k++)
        triggers[k] = make_trigger(arena, model, &kinds[k]);
}

static void add_create(tims_buf *out, const model__trigger *trigger)
{
    tims_buf_print(out, "%S;\n", trigger->sql);
}

static void add_drop(tims_buf *out, tims_str name)
{
    tims_buf_print(out, "DROP TRIGGER IF EXISTS \"%S\";\n", name);
}

#define SQLITE_POSITION                            \
    "coalesce((SELECT max(id) FROM tims_change), " \
    "(SELECT seq FROM sqlite_sequence WHERE name = 'tims_change'), 0)"
#define SQLITE_LOG_ROWS "SELECT id, model, op, \"row\", old FROM tims_change WHERE id > ?1 "
#define SQLITE_NEW_EPOCH "UPDATE tims_meta SET value = lower(hex(randomblob(8))) WHERE key = 'epoch'"

const model__log model__sqlite_log = {
    /* the highest id ever given out, also when old log rows have been removed */
    .position = TIMS_STR_INIT("SELECT " SQLITE_POSITION),
    .last = TIMS_STR_INIT("SELECT max(id) FROM tims_change"),
    .read = TIMS_STR_INIT(SQLITE_LOG_ROWS "ORDER BY id LIMIT ?2"),
    .read_to = TIMS_STR_INIT(SQLITE_LOG_ROWS "AND id <= ?3 ORDER BY id LIMIT ?2"),
    .find_mark = TIMS_STR_INIT("SELECT ?1, '' WHERE (SELECT min(id) FROM tims_change) <= ?1 + 1"),
    .note_mark =
        TIMS_STR_INIT("INSERT OR IGNORE INTO tims_mark (position, snapshot, log_id, at) "
                      "SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM tims_mark WHERE at > ?5)"),
    /* the last row stays: it is the position */
    .prune = TIMS_STR_INIT("DELETE FROM tims_change WHERE id IN (SELECT id FROM tims_change WHERE id <= ?1 "
                           "AND id < (SELECT max(id) FROM tims_change) ORDER BY id LIMIT ?2)"),
    .renew_epoch = TIMS_STR_INIT(SQLITE_NEW_EPOCH),
    .renew_epoch_from = TIMS_STR_INIT(SQLITE_NEW_EPOCH " AND value = ?1"),
    .tables = TIMS_STR_INIT(
        "CREATE TABLE IF NOT EXISTS tims_change (id INTEGER PRIMARY KEY AUTOINCREMENT, "
        "model TEXT NOT NULL, op INTEGER NOT NULL, row TEXT NOT NULL, old TEXT) STRICT;\n"
        "CREATE TABLE IF NOT EXISTS tims_mark (position INTEGER PRIMARY KEY, snapshot TEXT NOT NULL, "
        "log_id INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;\n"
        "CREATE TABLE IF NOT EXISTS tims_meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT;\n"
        "INSERT OR IGNORE INTO tims_meta (key, value) VALUES ('epoch', lower(hex(randomblob(8))));\n"),
    .list_triggers = TIMS_STR_INIT(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND name GLOB 'tims_change_*'"),
    .add_triggers = add_triggers,
    .add_create = add_create,
    .add_drop = add_drop,
};
