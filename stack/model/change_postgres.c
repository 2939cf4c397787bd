/* change_postgres.c: the change log in PostgreSQL's words.
 *
 * A trigger fires once per statement, with all its rows in transition tables. Each log row carries the
 * transaction that wrote it (the outermost: what a savepoint undoes, it undoes in the log too). The log is
 * read by what a snapshot could not see, so the key begins with the transaction; within a step rows are told
 * in the order of their ids, for of two transactions that change one row the second waits for the first. */
#include "model/change_internal.h"

/* As tims_key_text: times are microseconds, decimals units, bytes hexadecimal. */
static void add_old_key(tims_buf *out, const tims_field *field, const char *comma)
{
    tims_buf_print(out, "%s'%s', ", comma, field->name);
    switch (tims_kind_base(field->kind)) {
    case TIMS_KIND_TIME:
        tims_buf_print(out, "(extract(epoch FROM o.\"%s\") * 1000000)::bigint", field->name);
        break;
    case TIMS_KIND_DECIMAL:
        tims_buf_print(out, "trunc(o.\"%s\" * 1e%d)", field->name, field->scale);
        break;
    case TIMS_KIND_BYTES:
        tims_buf_print(out, "upper(encode(o.\"%s\", 'hex'))", field->name);
        break;
    default:
        tims_buf_print(out, "o.\"%s\"", field->name);
    }
}

/* Key columns as JSON has them on both databases. */
static void add_old_keys(tims_buf *out, const tims_model *model)
{
    const char *comma = "";
    size_t i = 0;
    tims_buf_print(out, "json_build_object(");
    for (const tims_field *field; (field = model__next_key(model, &i)) != NULL; comma = ", ")
        add_old_key(out, field, comma);
    tims_buf_print(out, ")::text");
}

static void add_log_insert(tims_buf *out, const tims_model *model)
{
    tims_buf_print(out, "INSERT INTO tims_change (model, op, \"row\", old) SELECT '%s', ", model->name);
}

static void add_insert(tims_buf *out, const tims_model *model)
{
    add_log_insert(out, model);
    tims_buf_print(out, "%d, n.\"%s\"::text, NULL FROM new_rows n;", TIMS_INSERTED,
                   tims_model_primary(model)->name);
}

/* Rows whose key was changed are in one of the tables only. */
static void add_update(tims_buf *out, const tims_model *model)
{
    const char *key = tims_model_primary(model)->name;
    add_log_insert(out, model);
    tims_buf_print(out,
                   "CASE WHEN n.\"%s\" IS NULL THEN %d WHEN o.\"%s\" IS NULL THEN %d ELSE %d END, "
                   "coalesce(n.\"%s\", o.\"%s\")::text, CASE WHEN o.\"%s\" IS NOT NULL THEN ",
                   key, TIMS_DELETED, key, TIMS_INSERTED, TIMS_UPDATED, key, key, key);
    add_old_keys(out, model);
    tims_buf_print(out, " END FROM old_rows o FULL JOIN new_rows n ON n.\"%s\" = o.\"%s\";", key, key);
}

static void add_delete(tims_buf *out, const tims_model *model)
{
    add_log_insert(out, model);
    tims_buf_print(out, "%d, o.\"%s\"::text, ", TIMS_DELETED, tims_model_primary(model)->name);
    add_old_keys(out, model);
    tims_buf_print(out, " FROM old_rows o;");
}

static void add_truncate(tims_buf *out, const tims_model *model)
{
    add_log_insert(out, model);
    tims_buf_print(out, "%d, '', NULL;", TIMS_TRUNCATED);
}

typedef struct trigger_kind {
    const char *name, *when, *tables;
    void (*add)(tims_buf *out, const tims_model *model);
} trigger_kind;

static const trigger_kind kinds[MODEL__TRIGGERS_A_MODEL] = {
    { "insert", "INSERT", "REFERENCING NEW TABLE AS new_rows ", add_insert },
    { "update", "UPDATE", "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows ", add_update },
    { "delete", "DELETE", "REFERENCING OLD TABLE AS old_rows ", add_delete },
    { "truncate", "TRUNCATE", "", add_truncate },
};

/* The text is the body of the trigger's function: so the catalog keeps it. */
static void add_triggers(tims_arena *arena, const tims_model *model, model__trigger *triggers)
{
    for (size_t k = 0; k < MODEL__TRIGGERS_A_MODEL; k++) {
        tims_buf body;
        tims_buf_init(&body, arena, MODEL__CHANGE_DDL_BYTES_MAX);
        tims_buf_print(&body, "BEGIN ");
        kinds[k].add(&body, model);
        tims_buf_print(&body, " RETURN NULL; END");
        TIMS_ASSERT(!body.overflow);
        triggers[k] =
            (model__trigger){ .table = tims_str_from(model->name),
                              .name = tims_print(arena, "tims_change_%s_%s", model->name, kinds[k].name),
                              .sql = tims_buf_str(&body),
                              .kind = k };
    }
}

static void add_create(tims_buf *out, const model__trigger *trigger)
{
    const trigger_kind *kind = &kinds[trigger->kind];
    tims_buf_print(out, "CREATE FUNCTION \"%S\"() RETURNS trigger LANGUAGE plpgsql AS $tims$%S$tims$;\n",
                   trigger->name, trigger->sql);
    tims_buf_print(
        out, "CREATE TRIGGER \"%S\" AFTER %s ON \"%S\" %sFOR EACH STATEMENT EXECUTE FUNCTION \"%S\"();\n",
        trigger->name, kind->when, trigger->table, kind->tables, trigger->name);
}

static void add_drop(tims_buf *out, tims_str name)
{
    tims_buf_print(out, "DROP FUNCTION IF EXISTS \"%S\"() CASCADE;\n", name);
}

/* The index finds what the older snapshot may not have seen; the rows it did see are passed over. */
#define POSTGRES_LOG_ROWS                                               \
    "SELECT id, model, op, \"row\", old FROM tims_change WHERE xid >= " \
    "pg_snapshot_xmin(?1::text::pg_snapshot) "                          \
    "AND NOT pg_visible_in_snapshot(xid, ?1::text::pg_snapshot) "
#define POSTGRES_EPOCH "left(replace(gen_random_uuid()::text, '-', ''), 16)"
#define POSTGRES_NEW_EPOCH "UPDATE tims_meta SET value = " POSTGRES_EPOCH " WHERE key = 'epoch'"

const model__log model__postgres_log = {
    /* By the index: of those who write at once not always the very last, but of the newest. */
    .last = TIMS_STR_INIT("SELECT id FROM tims_change ORDER BY xid DESC, id DESC LIMIT 1"),
    .read = TIMS_STR_INIT(POSTGRES_LOG_ROWS "ORDER BY id LIMIT ?2::bigint"),
    .read_to = TIMS_STR_INIT(POSTGRES_LOG_ROWS "AND pg_visible_in_snapshot(xid, ?3::text::pg_snapshot) "
                                               "ORDER BY id LIMIT ?2::bigint"),
    .find_mark = TIMS_STR_INIT("SELECT position, snapshot FROM tims_mark WHERE position <= ?1 "
                               "ORDER BY position DESC LIMIT 1"),
    .note_mark = TIMS_STR_INIT(
        "INSERT INTO tims_mark (position, snapshot, log_id, at) SELECT ?1::bigint, ?2::text, ?3::bigint, "
        "?4::bigint WHERE NOT EXISTS (SELECT 1 FROM tims_mark WHERE at > ?5::bigint) "
        "ON CONFLICT (position) DO NOTHING"),
    .prune =
        TIMS_STR_INIT("DELETE FROM tims_change WHERE (xid, id) IN (SELECT xid, id FROM tims_change WHERE "
                      "xid < pg_snapshot_xmin(?1::text::pg_snapshot) ORDER BY xid, id "
                      "LIMIT ?2::bigint FOR UPDATE SKIP LOCKED)"),
    .renew_epoch = TIMS_STR_INIT(POSTGRES_NEW_EPOCH),
    .renew_epoch_from = TIMS_STR_INIT(POSTGRES_NEW_EPOCH " AND value = ?1"),
    /* When a backend crashes, the server recovers without being started anew, but its counters begin again.
     */
    .server_start = TIMS_STR_INIT("SELECT (extract(epoch FROM greatest(pg_postmaster_start_time(), "
                                  "(SELECT stats_reset FROM pg_stat_bgwriter))) * 1000000)::bigint"),
    .clear_foreign =
        TIMS_STR_INIT("DELETE FROM tims_change WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())"),
    .tables = TIMS_STR_INIT(
        "CREATE TABLE IF NOT EXISTS tims_change (xid xid8 NOT NULL DEFAULT pg_current_xact_id(), "
        "id bigint NOT NULL GENERATED ALWAYS AS IDENTITY, model text COLLATE \"C\" NOT NULL, "
        "op smallint NOT NULL, \"row\" text COLLATE \"C\" NOT NULL, old text, PRIMARY KEY (xid, id)) "
        "WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);\n"
        "CREATE TABLE IF NOT EXISTS tims_mark (position bigint PRIMARY KEY, snapshot text NOT NULL, "
        "log_id bigint NOT NULL, at bigint NOT NULL);\n"
        "CREATE TABLE IF NOT EXISTS tims_meta (key text COLLATE \"C\" PRIMARY KEY, value text NOT NULL);\n"
        "INSERT INTO tims_meta (key, value) VALUES ('epoch', " POSTGRES_EPOCH ") ON CONFLICT DO NOTHING;\n"),
    /* Functions whose trigger is gone or switched off count as missing. */
    .list_triggers = TIMS_STR_INIT(
        "SELECT p.proname::text, CASE WHEN EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgfoid = p.oid AND "
        "t.tgenabled = 'O') THEN p.prosrc ELSE '' END FROM pg_proc p "
        "WHERE p.pronamespace = current_schema()::regnamespace AND starts_with(p.proname, 'tims_change_')"),
    .add_triggers = add_triggers,
    .add_create = add_create,
    .add_drop = add_drop,
};
