/* migrate_ddl_postgres.c: tables, columns and indexes in PostgreSQL's words.
 *
 * Text compares by its bytes (COLLATE "C"), as it does in SQLite and in memory, so that lists and cursors are
 * the same wherever the rows are. JSON is `json`, which keeps it as it was written. Constraints have the
 * names that PostgreSQL gives them by itself. */
#include "model/migrate_internal.h"

enum { NAME_BYTES_MAX = 63 }; /* longer ones are cut, and then two may be the same */

tims_str model__postgres_type(tims_arena *arena, const model__column *column)
{
    switch (column->kind) {
    case TIMS_KIND_BOOL:
        return TIMS_STR("boolean");
    case TIMS_KIND_INT:
        return TIMS_STR("bigint");
    case TIMS_KIND_DOUBLE:
        return TIMS_STR("double precision");
    case TIMS_KIND_ID:
        return TIMS_STR("uuid");
    case TIMS_KIND_TIME:
        return TIMS_STR("timestamptz");
    case TIMS_KIND_JSON:
        return TIMS_STR("json");
    case TIMS_KIND_DECIMAL:
        return tims_print(arena, "numeric(%d,%u)", TIMS_DECIMAL_DIGITS, column->scale);
    case TIMS_KIND_BYTES:
        return TIMS_STR("bytea");
    default:
        return TIMS_STR("text COLLATE \"C\"");
    }
}

tims_str model__postgres_literal(tims_arena *arena, const model__column *column)
{
    tims_str text = column->default_text;
    switch (column->kind) {
    case TIMS_KIND_BOOL:
        return tims_str_equal(text, TIMS_STR("true")) ? TIMS_STR("true") : TIMS_STR("false");
    case TIMS_KIND_INT:
    case TIMS_KIND_DOUBLE:
    case TIMS_KIND_DECIMAL:
        return text;
    case TIMS_KIND_BYTES:
        return model__bytes_literal(arena, column, "'\\x");
    default:
        return model__quoted_text(arena, text);
    }
}

tims_str model__postgres_name(tims_arena *arena, tims_str name)
{
    if (name.length <= NAME_BYTES_MAX)
        return name;
    static const uint64_t seed[2] = { 0, 0 }; /* the same name for ever */
    return tims_print(arena, "%S_%08x", tims_str_slice(name, 0, NAME_BYTES_MAX - 9),
                      (unsigned)(tims_hash(name.data, name.length, seed) & 0xffffffff));
}

tims_str model__postgres_reference_name(tims_arena *arena, tims_str table, tims_str column)
{
    return model__postgres_name(arena, tims_print(arena, "%S_%S_fkey", table, column));
}

void model__postgres_add_reference(tims_buf *out, const model__column *column)
{
    tims_buf_print(out, "REFERENCES \"%S\" (\"%S\") ON DELETE %s", column->to, column->to_key,
                   model__on_delete_words(column->on_delete));
}

void model__postgres_add_column(tims_arena *arena, tims_buf *out, const model__column *column)
{
    tims_buf_print(out, "\"%S\" %S", column->name, model__postgres_type(arena, column));
    if (column->primary)
        tims_buf_print(out, " PRIMARY KEY");
    if (column->not_null)
        tims_buf_print(out, " NOT NULL");
    if (column->has_default)
        tims_buf_print(out, " DEFAULT %S", model__postgres_literal(arena, column));
}

/* A null is the smallest value, as in SQLite; where there can be none the words are left out, as they are in
 * queries. */
static const char *nulls_words(const model__column *column, bool descending)
{
    if (column == NULL || column->not_null)
        return "";
    return descending ? " NULLS LAST" : " NULLS FIRST";
}

void model__postgres_add_index(tims_arena *arena, tims_buf *out, const model__table *table,
                               const model__index *index, bool concurrently)
{
    tims_buf_print(out, "CREATE %sINDEX %s\"%S\" ON \"%S\" (", index->unique ? "UNIQUE " : "",
                   concurrently ? "CONCURRENTLY IF NOT EXISTS " : "",
                   model__postgres_name(arena, index->name), table->name);
    for (size_t i = 0; i < index->column_count; i++) {
        bool descending = tims_str_starts_with(index->columns[i], TIMS_STR("-"));
        tims_str name = model__index_column(index, i);
        tims_buf_print(out, "%s\"%S\"%s%s", i == 0 ? "" : ", ", name, descending ? " DESC" : "",
                       nulls_words(model__table_find(table, name), descending));
    }
    tims_buf_print(out, ")%s%S;\n", index->where.length > 0 ? " WHERE " : "", index->where);
}
