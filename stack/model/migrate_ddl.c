/* migrate_ddl.c: the databases that migrations are written for, and the words that they share. */
#include "model/migrate_internal.h"

const model__dialect model__sqlite = {
    .title = "SQLite",
    .file_end = ".sql",
    .type = model__sqlite_type,
    .literal = model__sqlite_literal,
    .name = model__sqlite_name,
    .add_changes = model__sqlite_add_changes,
    .record_ddl = "CREATE TABLE IF NOT EXISTS tims_migration (app TEXT NOT NULL, name TEXT NOT NULL, "
                  "checksum TEXT NOT NULL, applied_at INTEGER NOT NULL, PRIMARY KEY (app, name)) STRICT;\n"
                  "CREATE TABLE IF NOT EXISTS tims_migration_step (app TEXT NOT NULL, name TEXT NOT NULL, "
                  "checksum TEXT NOT NULL, done INTEGER NOT NULL, PRIMARY KEY (app, name)) STRICT;\n",
    .find_table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1",
    .step_start = "PRAGMA legacy_alter_table = ON;",
    .find_aside =
        "SELECT '', sql || ';' FROM sqlite_schema WHERE type = 'trigger' AND name NOT GLOB 'tims_*' "
        "AND instr(?1, 'DROP TABLE \"' || tbl_name || '\"') > 0 "
        "AND instr(?1, ' RENAME TO \"' || tbl_name || '\"') > 0 "
        "AND instr(?1, '\"' || name || '\"') = 0",
    .list_views = "SELECT name FROM sqlite_schema WHERE type = 'view'",
    .read_table = model__sqlite_read_table,
};

const model__dialect model__postgres = {
    .title = "PostgreSQL",
    .file_end = ".postgres.sql",
    .type = model__postgres_type,
    .literal = model__postgres_literal,
    .name = model__postgres_name,
    .add_changes = model__postgres_add_changes,
    .record_ddl = "CREATE TABLE IF NOT EXISTS tims_migration (app text NOT NULL, name text NOT NULL, "
                  "checksum text NOT NULL, applied_at timestamptz NOT NULL, PRIMARY KEY (app, name));\n"
                  "CREATE TABLE IF NOT EXISTS tims_migration_step (app text NOT NULL, name text NOT NULL, "
                  "checksum text NOT NULL, done bigint NOT NULL, PRIMARY KEY (app, name));\n",
    .find_table = "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = current_schema() "
                  "AND tablename::text = ?1",
    /* A step that has to wait for a lock makes everybody wait who comes after it, so it gives up soon and
     * tries again; a step that works may take its time. */
    .step_start = "SET LOCAL lock_timeout = '3s'; SET LOCAL statement_timeout = 0;",
    .find_aside =
        "SELECT DISTINCT 'DROP FUNCTION \"' || p.proname || '\"() CASCADE;', '' FROM pg_trigger t "
        "JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid "
        "WHERE starts_with(p.proname, 'tims_change_') AND "
        "c.relnamespace = current_schema()::regnamespace AND ?1::text ~* ('alter\\s+table\\s+\"?' || "
        "c.relname || '\"?\\s[^;]*(rename|drop)\\s+column\\s')",
    .find_invalid_indexes = "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
                            "WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace "
                            "AND position('\"' || c.relname || '\"' IN ?1::text) > 0",
    .lock_kept = "SET LOCAL idle_in_transaction_session_timeout = 0;",
    .try_lock = "SELECT pg_try_advisory_xact_lock(hashtext('tims_migration ' || current_schema()))",
    .read_table = model__postgres_read_table,
};

const model__dialect *model__dialect_of(tims_db_dialect dialect)
{
    return dialect == TIMS_POSTGRES ? &model__postgres : &model__sqlite;
}

tims_str model__quoted_text(tims_arena *arena, tims_str text)
{
    tims_buf out;
    tims_buf_init(&out, arena, 1 << 20);
    tims_buf_append_char(&out, '\'');
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '\'')
            tims_buf_append_char(&out, '\'');
        tims_buf_append_char(&out, text.data[i]);
    }
    tims_buf_append_char(&out, '\'');
    TIMS_ASSERT(!out.overflow);
    return tims_buf_str(&out);
}

tims_str model__bytes_literal(tims_arena *arena, const model__column *column, const char *before)
{
    tims_str bytes = { NULL, 0 };
    bool decoded = tims_base64_decode(arena, column->default_text, &bytes);
    TIMS_ASSERT(decoded); /* tims_models_new has checked it */
    tims_buf out;
    tims_buf_init(&out, arena, bytes.length * 2 + 8);
    tims_buf_print(&out, "%s", before);
    for (size_t i = 0; i < bytes.length; i++)
        tims_buf_print(&out, "%02X", (unsigned)(unsigned char)bytes.data[i]);
    tims_buf_append_char(&out, '\'');
    return tims_buf_str(&out);
}

const char *model__on_delete_words(tims_str on_delete)
{
    if (tims_str_equal(on_delete, TIMS_STR("restrict")))
        return "RESTRICT";
    return tims_str_equal(on_delete, TIMS_STR("set_null")) ? "SET NULL" : "CASCADE";
}
