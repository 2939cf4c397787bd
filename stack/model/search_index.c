/* search_index.c: the index that a model's .search asks for.
 *
 *     SQLite       an FTS5 table without content, its rows numbered by a table beside it, three triggers
 *     PostgreSQL   a generated column of type tsvector, a GIN index
 *
 * Both index the fields as one text, cut into words by the same rules (words.c). The table beside FTS5 is
 * there because FTS5 knows rows by number only, and those of a table keyed by text may change (VACUUM, a dump
 * read back). All names start with tims_, so that nothing of an app's is in the way. */
#include "model/migrate_internal.h"

/* --- SQLite ----------------------------------------------------------------------------------- */

/* The searched text of a row: "a" || ' ' || "b", null as nothing. `row`: new, old, or nothing. */
static void append_text(tims_buf *out, const model__table *table, const char *row)
{
    for (size_t i = 0; i < table->search_count; i++)
        tims_buf_print(out, "%scoalesce(%s\"%S\", '')", i == 0 ? "" : " || ' ' || ", row, table->search[i]);
}

static void append_numbered(tims_buf *out, const model__table *table, const char *first, const char *row,
                            tims_str key)
{
    tims_buf_print(out, "SELECT %snumber, substr(", first);
    append_text(out, table, row);
    tims_buf_print(out, ", 1, %d) FROM \"tims_searched_%S\" WHERE id = %s\"%S\";\n",
                   MODEL__SEARCHED_CHARACTERS_MAX, table->name, row, key);
}

static void append_add(tims_buf *out, const model__table *table, tims_str key)
{
    tims_buf_print(out, "    INSERT INTO \"tims_search_%S\" (rowid, words)\n        ", table->name);
    append_numbered(out, table, "", "new.", key);
}

static void append_remove(tims_buf *out, const model__table *table, tims_str key)
{
    tims_buf_print(out, "    INSERT INTO \"tims_search_%S\" (\"tims_search_%S\", rowid, words)\n        ",
                   table->name, table->name);
    append_numbered(out, table, "'delete', ", "old.", key);
}

static void append_triggers(tims_buf *out, const model__table *table, tims_str key)
{
    tims_str name = table->name;
    tims_buf_print(out, "CREATE TRIGGER \"tims_search_%S_insert\" AFTER INSERT ON \"%S\" BEGIN\n", name,
                   name);
    tims_buf_print(out, "    INSERT INTO \"tims_searched_%S\" (id) VALUES (new.\"%S\");\n", name, key);
    append_add(out, table, key);
    tims_buf_print(out, "END;\nCREATE TRIGGER \"tims_search_%S_update\" AFTER UPDATE OF \"%S\"", name, key);
    for (size_t i = 0; i < table->search_count; i++)
        tims_buf_print(out, ", \"%S\"", table->search[i]);
    tims_buf_print(out, " ON \"%S\" BEGIN\n", name);
    append_remove(out, table, key);
    tims_buf_print(out, "    UPDATE \"tims_searched_%S\" SET id = new.\"%S\" WHERE id = old.\"%S\";\n", name,
                   key, key);
    append_add(out, table, key);
    tims_buf_print(out, "END;\nCREATE TRIGGER \"tims_search_%S_delete\" AFTER DELETE ON \"%S\" BEGIN\n", name,
                   name);
    append_remove(out, table, key);
    tims_buf_print(out, "    DELETE FROM \"tims_searched_%S\" WHERE id = old.\"%S\";\nEND;\n", name, key);
}

void model__sqlite_add_search(tims_buf *out, const model__table *table)
{
    if (table->search_count == 0)
        return;
    tims_str name = table->name, key = model__table_primary(table)->name;
    tims_buf_print(out,
                   "CREATE TABLE \"tims_searched_%S\" (number INTEGER PRIMARY KEY, id TEXT NOT NULL "
                   "UNIQUE) STRICT;\n",
                   name);
    tims_buf_print(
        out,
        "CREATE VIRTUAL TABLE \"tims_search_%S\" USING fts5(words, content='', detail=none, columnsize=0, "
        "tokenize=\"unicode61 remove_diacritics 0 categories 'L* M* N*' separators '",
        name);
    model__append_pictures(out);
    tims_buf_print(out, "'\");\n");
    append_triggers(out, table, key);
    tims_buf_print(out, "INSERT INTO \"tims_searched_%S\" (id) SELECT \"%S\" FROM \"%S\";\n", name, key,
                   name);
    tims_buf_print(out, "INSERT INTO \"tims_search_%S\" (rowid, words) SELECT s.number, substr(", name);
    append_text(out, table, "");
    tims_buf_print(out, ", 1, %d) FROM \"%S\" JOIN \"tims_searched_%S\" s ON s.id = \"%S\".\"%S\";\n",
                   MODEL__SEARCHED_CHARACTERS_MAX, name, name, name, key);
}

void model__sqlite_drop_search(tims_buf *out, const model__table *table)
{
    static const char *const triggers[] = { "insert", "update", "delete" };
    if (table->search_count == 0)
        return;
    for (size_t i = 0; i < sizeof triggers / sizeof *triggers; i++)
        tims_buf_print(out, "DROP TRIGGER \"tims_search_%S_%s\";\n", table->name, triggers[i]);
    tims_buf_print(out, "DROP TABLE \"tims_search_%S\";\nDROP TABLE \"tims_searched_%S\";\n", table->name,
                   table->name);
}

const char model__sqlite_search_sql[] =
    "SELECT 1 WHERE (SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name IN ("
    "'tims_search_' || ?1 || '_insert', 'tims_search_' || ?1 || '_update', "
    "'tims_search_' || ?1 || '_delete')) = 3";

/* --- PostgreSQL ------------------------------------------------------------------------------- */

void model__postgres_add_search(tims_buf *out, const model__table *table)
{
    if (table->search_count == 0)
        return;
    tims_buf_print(out, "ALTER TABLE \"%S\" ADD COLUMN tims_words tsvector GENERATED ALWAYS AS (tims_words(",
                   table->name);
    append_text(out, table, "");
    tims_buf_print(out, ")) STORED;\n");
}

void model__postgres_add_search_index(tims_buf *out, const model__table *table, bool concurrently)
{
    if (table->search_count > 0)
        tims_buf_print(out, "CREATE INDEX %s\"tims_search_%S\" ON \"%S\" USING gin (tims_words);\n",
                       concurrently ? "CONCURRENTLY IF NOT EXISTS " : "", table->name, table->name);
}

void model__postgres_drop_search(tims_buf *out, const model__table *table)
{
    if (table->search_count > 0) /* and its index */
        tims_buf_print(out, "ALTER TABLE \"%S\" DROP COLUMN tims_words;\n", table->name);
}

const char model__postgres_search_sql[] =
    "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(quote_ident(?1)) AND attname = 'tims_words' AND "
    "NOT attisdropped";

void model__add_search_line(model__lines *to, const tims_db_rows *rows)
{
    (void)rows;
    model__add_line(to, TIMS_STR("search"));
}
