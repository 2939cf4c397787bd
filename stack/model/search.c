/* search.c: text search behind one filter: the index that a model's .search asks for, and the condition on
 * it.
 *
 *     SQLite       an FTS5 table without content, its rows numbered by a table beside it, three triggers
 *     PostgreSQL   a generated column of type tsvector, a GIN index
 *
 * Both index the fields as one text, cut into words by the same rules (words.c). The table beside FTS5 is
 * there because FTS5 knows rows by number only and those of a table keyed by text may change (VACUUM, a
 * dump read back). All names start with tims_, so that nothing of an app's is in the way. */
#include "model/migrate_internal.h"

/* --- the index -------------------------------------------------------------------------------- */

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
    tims_buf_print(out, ", 1, %d) FROM \"tims_searched_%S\" WHERE id = %s\"%S\"; ",
                   MODEL__SEARCHED_CHARACTERS_MAX, table->name, row, key);
}

static void append_add(tims_buf *out, const model__table *table, tims_str key)
{
    tims_buf_print(out, "INSERT INTO \"tims_search_%S\" (rowid, words) ", table->name);
    append_numbered(out, table, "", "new.", key);
}

static void append_remove(tims_buf *out, const model__table *table, tims_str key)
{
    tims_buf_print(out, "INSERT INTO \"tims_search_%S\" (\"tims_search_%S\", rowid, words) ", table->name,
                   table->name);
    append_numbered(out, table, "'delete', ", "old.", key);
}

static void append_triggers(tims_buf *out, const model__table *table, tims_str key)
{
    tims_str name = table->name;
    tims_buf_print(out, "CREATE TRIGGER \"tims_search_%S_insert\" AFTER INSERT ON \"%S\" BEGIN ", name, name);
    tims_buf_print(out, "INSERT INTO \"tims_searched_%S\" (id) VALUES (new.\"%S\"); ", name, key);
    append_add(out, table, key);
    tims_buf_print(out, "END;\nCREATE TRIGGER \"tims_search_%S_update\" AFTER UPDATE OF \"%S\"", name, key);
    for (size_t i = 0; i < table->search_count; i++)
        tims_buf_print(out, ", \"%S\"", table->search[i]);
    tims_buf_print(out, " ON \"%S\" BEGIN ", name);
    append_remove(out, table, key);
    tims_buf_print(out, "UPDATE \"tims_searched_%S\" SET id = new.\"%S\" WHERE id = old.\"%S\"; ", name, key,
                   key);
    append_add(out, table, key);
    tims_buf_print(out, "END;\nCREATE TRIGGER \"tims_search_%S_delete\" AFTER DELETE ON \"%S\" BEGIN ", name,
                   name);
    append_remove(out, table, key);
    tims_buf_print(out, "DELETE FROM \"tims_searched_%S\" WHERE id = old.\"%S\"; END;\n", name, key);
}

static void append_sqlite_index(tims_buf *out, const model__table *table, tims_str key)
{
    tims_str name = table->name;
    tims_buf_print(out,
                   "CREATE TABLE \"tims_searched_%S\" (number INTEGER PRIMARY KEY, id TEXT NOT NULL "
                   "UNIQUE) STRICT;\n",
                   name);
    tims_buf_print(out,
                   "CREATE VIRTUAL TABLE \"tims_search_%S\" USING fts5(words, content='', detail=none, "
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

void model__add_search_sql(tims_buf *out, const model__table *table, tims_db_dialect dialect)
{
    if (table->search_count == 0)
        return;
    if (dialect == TIMS_SQLITE) {
        append_sqlite_index(out, table, model__table_primary(table)->name);
        return;
    }
    model__append_words_function(out);
    tims_buf_print(out, "ALTER TABLE \"%S\" ADD COLUMN tims_words tsvector GENERATED ALWAYS AS (tims_words(",
                   table->name);
    append_text(out, table, "");
    tims_buf_print(out, ")) STORED;\nCREATE INDEX \"tims_search_%S\" ON \"%S\" USING gin (tims_words);\n",
                   table->name, table->name);
}

void model__drop_search_sql(tims_buf *out, const model__table *table, tims_db_dialect dialect)
{
    static const char *const triggers[] = { "insert", "update", "delete" };
    if (table->search_count == 0)
        return;
    if (dialect != TIMS_SQLITE) {
        tims_buf_print(out, "ALTER TABLE \"%S\" DROP COLUMN IF EXISTS tims_words;\n", table->name);
        return;
    }
    for (size_t i = 0; i < sizeof triggers / sizeof *triggers; i++)
        tims_buf_print(out, "DROP TRIGGER IF EXISTS \"tims_search_%S_%s\";\n", table->name, triggers[i]);
    tims_buf_print(out,
                   "DROP TABLE IF EXISTS \"tims_search_%S\";\nDROP TABLE IF EXISTS \"tims_searched_%S\";\n",
                   table->name, table->name);
}

/* --- the condition ---------------------------------------------------------------------------- */

/* "one"* AND "two"*   or   'one':* & 'two':*   Words hold no quotes: those stand between words. */
static tims_db_value pattern_of(const model__sql *sql, tims_str text)
{
    bool on_sqlite = sql->dialect == TIMS_SQLITE;
    tims_buf out;
    tims_buf_init(&out, sql->arena, TIMS_SEARCH_BYTES_MAX * 8);
    tims_str word;
    while (model__next_word(&text, &word)) {
        if (out.length > 0)
            tims_buf_print(&out, on_sqlite ? " AND " : " & ");
        tims_buf_append_char(&out, on_sqlite ? '"' : '\'');
        model__append_folded(&out, word);
        tims_buf_print(&out, on_sqlite ? "\"*" : "':*");
    }
    TIMS_ASSERT(!out.overflow);
    return tims_db_text(tims_buf_str(&out));
}

void model__sql_add_search(model__sql *sql, const tims_query *query)
{
    const tims_model *model = query->model;
    if (query->search.length == 0)
        return;
    model__sql_add(sql, " AND ");
    model__sql_add_column(sql, 0,
                          sql->dialect == TIMS_SQLITE ? tims_model_primary(model)->name : "tims_words");
    if (sql->dialect == TIMS_SQLITE) {
        tims_buf_print(&sql->text,
                       " IN (SELECT s.id FROM \"tims_search_%s\" f JOIN \"tims_searched_%s\" s ON s.number = "
                       "f.rowid WHERE f.\"tims_search_%s\" MATCH ",
                       model->name, model->name, model->name);
        model__sql_add_value(sql, pattern_of(sql, query->search));
        model__sql_add(sql, ")");
        return;
    }
    model__sql_add(sql, " @@ CAST(CAST(");
    model__sql_add_value(sql, pattern_of(sql, query->search));
    model__sql_add(sql, " AS text) AS tsquery)");
}

bool model__search_matches(const tims_query *query, const void *row)
{
    const tims_model *model = query->model;
    tims_str rest = query->search, beginning;
    while (model__next_word(&rest, &beginning)) {
        size_t left = MODEL__SEARCHED_CHARACTERS_MAX;
        bool found = false;
        for (size_t i = 0; i < model->search.count && !found; i++) {
            tims_db_value value = tims_model_value(model__rule_field(model, model->search.items[i]), row);
            if (value.type == TIMS_DB_TEXT)
                found = model__has_word(model__first_characters(value.bytes, &left), beginning);
            left -= left > 0; /* the space between two fields */
        }
        if (!found)
            return false;
    }
    return true;
}
