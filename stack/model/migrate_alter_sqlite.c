/* migrate_alter_sqlite.c: what changes between two schemas, done by SQLite.
 *
 * SQLite can add simple columns, rename columns and make and drop indexes in place. Everything else is a
 * rebuild by SQLite's own book: a new table, the rows copied, the old one dropped, the new one renamed;
 * foreign keys are off meanwhile (tims_db_begin_schema) and checked as a whole at the end. A table is rebuilt
 * once per migration, however much has changed in it. */
#include "model/migrate_internal.h"

/* What ALTER TABLE ADD COLUMN can do; SQLite wants NULL as the default of a new reference. */
static bool can_be_added_in_place(const model__column *column)
{
    if (column->primary || (column->to.length > 0 && (column->not_null || column->has_default)))
        return false;
    return !column->not_null || column->has_default;
}

static bool needs_rebuild(const model__table_change *change)
{
    for (size_t i = 0; i < change->after->column_count; i++) {
        const model__source *source = &change->sources[i];
        if (source->from == NULL && !can_be_added_in_place(source->column))
            return true;
        if (source->from != NULL && !model__same_column(source->column, source->from))
            return true;
        /* the constraint that is named like the column would keep its old name */
        if (source->renamed && model__sqlite_is_checked(source->column))
            return true;
    }
    for (size_t i = 0; i < change->before->column_count; i++)
        if (model__is_dropped(change, &change->before->columns[i]))
            return true;
    return false;
}

static void add_indexes(tims_buf *out, const model__table *table)
{
    for (size_t i = 0; i < table->index_count; i++)
        model__sqlite_add_index(out, table, &table->indexes[i]);
}

static long long power_of_ten(unsigned exponent)
{
    long long power = 1;
    while (exponent-- > 0)
        power *= 10;
    return power;
}

/* Of a number with so many digits behind the point to one with fewer or more; half a unit goes away from
 * zero. */
static tims_str rescaled(tims_arena *arena, tims_str name, unsigned from, unsigned to)
{
    if (to >= from)
        return tims_print(arena, "\"%S\" * %lld", name, power_of_ten(to - from));
    long long power = power_of_ten(from - to);
    return tims_print(arena, "(\"%S\" + sign(\"%S\") * %lld) / %lld", name, name, power / 2, power);
}

/* Decimals are units, so their scale is part of the value. */
static tims_str converted(tims_arena *arena, const model__column *from, const model__column *to)
{
    tims_str type = model__sqlite_type(arena, to), name = from->name;
    if (from->kind == TIMS_KIND_DECIMAL && to->kind == TIMS_KIND_INT)
        return tims_print(arena, "\"%S\" / %lld", name, power_of_ten(from->scale));
    if (from->kind == TIMS_KIND_DECIMAL && to->kind == TIMS_KIND_DOUBLE)
        return tims_print(arena, "\"%S\" / %lld.0", name, power_of_ten(from->scale));
    if (from->kind == TIMS_KIND_DOUBLE && to->kind == TIMS_KIND_DECIMAL)
        return tims_print(arena, "CAST(round(\"%S\" * %lld) AS INTEGER)", name, power_of_ten(to->scale));
    if (to->kind == TIMS_KIND_DECIMAL && (from->kind != to->kind || from->scale != to->scale))
        return rescaled(arena, name, from->scale, to->scale);
    if (!tims_str_equal(type, model__sqlite_type(arena, from)))
        return tims_print(arena, "CAST(\"%S\" AS %S)", name, type);
    return tims_print(arena, "\"%S\"", name);
}

/* The value of a column in the rows that are copied. */
static void add_value(tims_arena *arena, tims_buf *out, const model__source *source)
{
    static const char now_us[] = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)";
    const model__column *column = source->column, *from = source->from;
    if (from == NULL) {
        if (column->has_default)
            tims_buf_print(out, "%S", model__sqlite_literal(arena, column));
        else
            tims_buf_print(out, "%s", column->not_null && column->is_now ? now_us : "NULL");
        return;
    }
    tims_str value = converted(arena, from, column);
    if (column->not_null && !from->not_null && column->has_default)
        tims_buf_print(out, "coalesce(%S, %S)", value, model__sqlite_literal(arena, column));
    else
        tims_buf_print(out, "%S", value);
}

static void rebuild(tims_arena *arena, const model__table_change *change, tims_buf *out)
{
    const model__table *before = change->before, *after = change->after;
    tims_str fresh = tims_print(arena, "tims_new_%S", after->name);
    model__sqlite_add_table(arena, out, after, fresh);
    tims_buf_print(out, "INSERT INTO \"%S\" (", fresh);
    for (size_t i = 0; i < after->column_count; i++)
        tims_buf_print(out, "%s\"%S\"", i == 0 ? "" : ", ", after->columns[i].name);
    tims_buf_print(out, ")\n    SELECT ");
    for (size_t i = 0; i < after->column_count; i++) {
        tims_buf_print(out, i == 0 ? "" : ", ");
        add_value(arena, out, &change->sources[i]);
    }
    tims_buf_print(out, " FROM \"%S\";\nDROP TABLE \"%S\";\nALTER TABLE \"%S\" RENAME TO \"%S\";\n",
                   before->name, before->name, fresh, after->name);
    add_indexes(out, after);
}

static void alter_in_place(tims_arena *arena, const model__table_change *change, tims_buf *out)
{
    const model__table *before = change->before, *after = change->after;
    for (size_t i = 0; i < before->index_count; i++)
        if (!model__has_index(after, &before->indexes[i]))
            tims_buf_print(out, "DROP INDEX \"%S\";\n", before->indexes[i].name);
    for (size_t i = 0; i < after->column_count; i++)
        if (change->sources[i].renamed)
            tims_buf_print(out, "ALTER TABLE \"%S\" RENAME COLUMN \"%S\" TO \"%S\";\n", after->name,
                           change->sources[i].from->name, change->sources[i].column->name);
    for (size_t i = 0; i < after->column_count; i++)
        if (change->sources[i].from == NULL) {
            tims_buf_print(out, "ALTER TABLE \"%S\" ADD COLUMN ", after->name);
            model__sqlite_add_column(arena, out, change->sources[i].column);
            tims_buf_print(out, ";\n");
        }
    for (size_t i = 0; i < after->index_count; i++)
        if (!model__has_index(before, &after->indexes[i]))
            model__sqlite_add_index(out, after, &after->indexes[i]);
}

static void add_new_table(tims_arena *arena, const model__table *table, tims_buf *out)
{
    model__sqlite_add_table(arena, out, table, table->name);
    add_indexes(out, table);
    model__sqlite_add_search(out, table);
}

/* The words of a search are numbered beside the table, so a rebuild takes them along. */
static void alter_table(tims_arena *arena, const model__table_change *change, tims_buf *out)
{
    bool rebuilds = needs_rebuild(change);
    bool indexes_words = rebuilds || !model__same_search(change->before, change->after);
    if (indexes_words)
        model__sqlite_drop_search(out, change->before);
    if (rebuilds)
        rebuild(arena, change, out);
    else
        alter_in_place(arena, change, out);
    if (indexes_words)
        model__sqlite_add_search(out, change->after);
}

void model__sqlite_add_changes(tims_arena *arena, const model__changes *changes, tims_buf *out)
{
    for (size_t i = 0; i < changes->count; i++) {
        const model__table_change *change = &changes->items[i];
        if (change->before == NULL) {
            add_new_table(arena, change->after, out);
        } else if (change->after == NULL) {
            model__sqlite_drop_search(out, change->before);
            tims_buf_print(out, "DROP TABLE \"%S\";\n", change->before->name);
        } else {
            alter_table(arena, change, out);
        }
    }
}
