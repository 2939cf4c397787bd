/* migrate_drift.c: whether the database is what its migrations made it.
 *
 * Both sides are written down a line per column and index, in the same words, and compared: the schema's from
 * the snapshot, the database's from SQLite's own tables. CHECK constraints are not looked at. */
#include "model/migrate_internal.h"

typedef struct lines {
    tims_str *items;
    size_t count, capacity;
    tims_arena *arena;
} lines;

static void add_line(lines *to, tims_str line)
{
    if (to->count == to->capacity) {
        to->capacity = to->capacity == 0 ? 64 : to->capacity * 2;
        tims_str *more = TIMS_NEW_ARRAY(to->arena, tims_str, to->capacity);
        if (to->count > 0)
            memcpy(more, to->items, to->count * sizeof *more);
        to->items = more;
    }
    to->items[to->count++] = line;
}

static bool has_line(const lines *in, tims_str line)
{
    for (size_t i = 0; i < in->count; i++)
        if (tims_str_equal(in->items[i], line))
            return true;
    return false;
}

/* --- what the schema says ---------------------------------------------------------------------------- */

static void describe_index(lines *to, const model__index *index)
{
    tims_buf line;
    tims_buf_init(&line, to->arena, 65536);
    tims_buf_print(&line, "%s %S (", index->unique ? "unique index" : "index", index->name);
    for (size_t i = 0; i < index->column_count; i++)
        tims_buf_print(&line, "%s%S", i == 0 ? "" : ", ", index->columns[i]);
    tims_buf_print(&line, ")");
    add_line(to, tims_buf_str(&line));
}

static void describe_table(lines *to, const model__table *table)
{
    for (size_t i = 0; i < table->column_count; i++) {
        const model__column *column = &table->columns[i];
        tims_str value = column->has_default ? model__sqlite_literal(to->arena, column) : TIMS_STR("none");
        add_line(to, tims_print(to->arena, "column %S %S%s%s default %S", column->name,
                                model__sqlite_type(column->kind), column->not_null ? " not null" : "",
                                column->primary ? " primary key" : "", value));
        if (column->to.length > 0)
            add_line(to, tims_print(to->arena, "reference %S to %S (%S) on delete %s", column->name,
                                    column->to, column->to_key, model__sqlite_on_delete(column->on_delete)));
    }
    for (size_t i = 0; i < table->index_count; i++)
        describe_index(to, &table->indexes[i]);
}

/* --- what the database says -------------------------------------------------------------------------- */

typedef void (*read_row_fn)(lines *to, const tims_db_rows *rows);

static tims_status read_rows(tims_db_session *session, tims_str sql, tims_str name, read_row_fn read,
                             lines *to, tims_error *err)
{
    tims_db_rows *rows = NULL;
    tims_db_value value = tims_db_text(name);
    tims_status status = tims_db_query(session, sql, &value, 1, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (tims_db_next(rows))
        read(to, rows);
    return tims_db_rows_end(&rows, err);
}

static void read_column(lines *to, const tims_db_rows *rows)
{
    tims_str value = tims_db_is_null(rows, 3) ? TIMS_STR("none") : tims_db_get_text(rows, 3);
    add_line(to, tims_print(to->arena, "column %S %S%s%s default %S", tims_db_get_text(rows, 0),
                            tims_db_get_text(rows, 1), tims_db_get_int(rows, 2) != 0 ? " not null" : "",
                            tims_db_get_int(rows, 4) != 0 ? " primary key" : "", value));
}

static void read_reference(lines *to, const tims_db_rows *rows)
{
    add_line(to, tims_print(to->arena, "reference %S to %S (%S) on delete %S", tims_db_get_text(rows, 0),
                            tims_db_get_text(rows, 1), tims_db_get_text(rows, 2), tims_db_get_text(rows, 3)));
}

static void read_index(lines *to, const tims_db_rows *rows)
{
    add_line(to, tims_print(to->arena, "%s %S (%S)", tims_db_get_int(rows, 1) != 0 ? "unique index" : "index",
                            tims_db_get_text(rows, 0), tims_db_get_text(rows, 2)));
}

static tims_status read_table(tims_db_session *session, tims_str table, lines *to, tims_error *err)
{
    tims_str columns = TIMS_STR("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info(?1)");
    tims_str references =
        TIMS_STR("SELECT \"from\", \"table\", \"to\", on_delete FROM pragma_foreign_key_list(?1)");
    tims_str indexes = TIMS_STR("SELECT i.name, i.\"unique\", (SELECT group_concat(word, ', ') FROM (SELECT "
                                "iif(x.\"desc\", '-', '') || x.name "
                                "AS word FROM pragma_index_xinfo(i.name) x WHERE x.key ORDER BY x.seqno)) "
                                "FROM pragma_index_list(?1) i WHERE i.origin = 'c'");
    tims_status status = read_rows(session, columns, table, read_column, to, err);
    if (status == TIMS_OK)
        status = read_rows(session, references, table, read_reference, to, err);
    if (status == TIMS_OK)
        status = read_rows(session, indexes, table, read_index, to, err);
    return status;
}

/* --- comparing --------------------------------------------------------------------------------------- */

static tims_status fail_with(tims_str table, const char *what, tims_str line, tims_error *err)
{
    return tims_fail(
        err, TIMS_PRECONDITION, "schema_drift",
        "The database differs from its migrations: table %.40s %s %.110s. Undo what was changed by hand.",
        table.data, what, line.data);
}

static tims_status compare(const model__table *table, const lines *expected, const lines *actual,
                           tims_arena *arena, tims_error *err)
{
    tims_str name = tims_copy(arena, table->name);
    if (actual->count == 0)
        return fail_with(name, "does not exist", tims_copy(arena, TIMS_STR("")), err);
    for (size_t i = 0; i < expected->count; i++)
        if (!has_line(actual, expected->items[i]))
            return fail_with(name, "should have", tims_copy(arena, expected->items[i]), err);
    for (size_t i = 0; i < actual->count; i++)
        if (!has_line(expected, actual->items[i]))
            return fail_with(name, "should not have", tims_copy(arena, actual->items[i]), err);
    return TIMS_OK;
}

tims_status model__drift(tims_db_session *session, tims_arena *arena, const model__schema *schema,
                         tims_error *err)
{
    for (size_t i = 0; i < schema->count; i++) {
        lines expected = { .arena = arena }, actual = { .arena = arena };
        describe_table(&expected, &schema->tables[i]);
        tims_status status = read_table(session, schema->tables[i].name, &actual, err);
        if (status == TIMS_OK)
            status = compare(&schema->tables[i], &expected, &actual, arena, err);
        if (status != TIMS_OK)
            return status;
    }
    return TIMS_OK;
}
