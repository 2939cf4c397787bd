/* migrate_ddl_sqlite.c: tables, columns and indexes in SQLite's words.
 *
 * Ids are their 36-character text, times integer microseconds, booleans 0 or 1, decimals units, JSON text.
 * Tables are STRICT: what is not of the column's type is refused, whoever writes it. They keep SQLite's own
 * row numbers: measured with 200,000 messages keyed by UUIDv7, a list of 50 by (chat, created_at) costs 86
 * µs, and 114 WITHOUT ROWID, where every index entry carries the 36 characters and leads to a search by text;
 * a row by key costs 9.6 against 7.0; inserts cost the same. Lists are read more than single rows. */
#include "model/migrate_internal.h"

tims_str model__sqlite_type(tims_arena *arena, const model__column *column)
{
    (void)arena;
    switch (column->kind) {
    case TIMS_KIND_BOOL:
    case TIMS_KIND_INT:
    case TIMS_KIND_TIME:
    case TIMS_KIND_DECIMAL:
        return TIMS_STR("INTEGER");
    case TIMS_KIND_BYTES:
        return TIMS_STR("BLOB");
    case TIMS_KIND_DOUBLE:
        return TIMS_STR("REAL");
    default:
        return TIMS_STR("TEXT");
    }
}

/* A real must not look like an integer, or the schema would not read back as it was written. */
static tims_str real_literal(tims_arena *arena, tims_str text)
{
    bool plain = true;
    for (size_t i = 0; i < text.length && plain; i++)
        plain = text.data[i] != '.' && text.data[i] != 'e' && text.data[i] != 'E';
    return plain ? tims_print(arena, "%S.0", text) : tims_copy(arena, text);
}

tims_str model__sqlite_literal(tims_arena *arena, const model__column *column)
{
    tims_str text = column->default_text;
    tims_time time;
    int64_t units;
    switch (column->kind) {
    case TIMS_KIND_BOOL:
        return tims_str_equal(text, TIMS_STR("true")) ? TIMS_STR("1") : TIMS_STR("0");
    case TIMS_KIND_INT:
        return text;
    case TIMS_KIND_DOUBLE:
        return real_literal(arena, text);
    case TIMS_KIND_TIME:
        return tims_time_parse(text, &time) ? tims_print(arena, "%lld", (long long)time.us) : TIMS_STR("0");
    case TIMS_KIND_DECIMAL:
        return tims_decimal_parse(text, column->scale, &units) == TIMS_DECIMAL_FINE
                   ? tims_print(arena, "%lld", (long long)units)
                   : TIMS_STR("0");
    case TIMS_KIND_BYTES:
        return model__bytes_literal(arena, column, "X'");
    default:
        return model__quoted_text(arena, text);
    }
}

tims_str model__sqlite_name(tims_arena *arena, tims_str name)
{
    (void)arena;
    return name;
}

/* The name of a constraint is all that an error tells of it. */
bool model__sqlite_is_checked(const model__column *column)
{
    return column->kind == TIMS_KIND_BOOL || column->kind == TIMS_KIND_DECIMAL;
}

void model__sqlite_add_column(tims_arena *arena, tims_buf *out, const model__column *column)
{
    tims_buf_print(out, "\"%S\" %S", column->name, model__sqlite_type(arena, column));
    if (column->primary)
        tims_buf_print(out, " PRIMARY KEY");
    if (column->not_null)
        tims_buf_print(out, " NOT NULL");
    if (column->has_default)
        tims_buf_print(out, " DEFAULT %S", model__sqlite_literal(arena, column));
    if (column->kind == TIMS_KIND_BOOL)
        tims_buf_print(out, " CONSTRAINT \"%S\" CHECK (\"%S\" IN (0, 1))", column->name, column->name);
    if (column->kind == TIMS_KIND_DECIMAL)
        tims_buf_print(out, " CONSTRAINT \"%S\" CHECK (abs(\"%S\") <= %lld)", column->name, column->name,
                       (long long)TIMS_DECIMAL_UNITS_MAX);
    if (column->to.length > 0)
        tims_buf_print(out, " REFERENCES \"%S\" (\"%S\") ON DELETE %s", column->to, column->to_key,
                       model__on_delete_words(column->on_delete));
}

void model__sqlite_add_table(tims_arena *arena, tims_buf *out, const model__table *table, tims_str name)
{
    tims_buf_print(out, "CREATE TABLE \"%S\" (\n", name);
    for (size_t i = 0; i < table->column_count; i++) {
        tims_buf_print(out, "    ");
        model__sqlite_add_column(arena, out, &table->columns[i]);
        tims_buf_print(out, i + 1 < table->column_count ? ",\n" : "\n");
    }
    tims_buf_print(out, ") STRICT;\n");
}

void model__sqlite_add_index(tims_buf *out, const model__table *table, const model__index *index)
{
    tims_buf_print(out, "CREATE %sINDEX \"%S\" ON \"%S\" (", index->unique ? "UNIQUE " : "", index->name,
                   table->name);
    for (size_t i = 0; i < index->column_count; i++) {
        bool descending = tims_str_starts_with(index->columns[i], TIMS_STR("-"));
        tims_buf_print(out, "%s\"%S\"%s", i == 0 ? "" : ", ", model__index_column(index, i),
                       descending ? " DESC" : "");
    }
    tims_buf_print(out, ")%s%S;\n", index->where.length > 0 ? " WHERE " : "", index->where);
}
