/* migrate_drift.c: whether the database is what its migrations made it.
 *
 * Both sides are written down a line per column, reference and index, in the same words, and compared: the
 * schema's from the snapshot, the database's from its own catalog (migrate_drift_*.c). CHECK constraints are
 * not looked at. */
#include "model/migrate_internal.h"

void model__add_line(model__lines *to, tims_str line)
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

static bool has_line(const model__lines *in, tims_str line)
{
    for (size_t i = 0; i < in->count; i++)
        if (tims_str_equal(in->items[i], line))
            return true;
    return false;
}

void model__add_column_line(model__lines *to, const model__column_line *column)
{
    tims_str value = column->has_default ? column->default_sql : TIMS_STR("none");
    model__add_line(to, tims_print(to->arena, "column %S %S%s%s default %S", column->name, column->type,
                                   column->not_null ? " not null" : "", column->primary ? " primary key" : "",
                                   value));
}

/* --- what the schema says ---------------------------------------------------------------------------- */

static void describe_index(model__lines *to, const model__dialect *dialect, const model__index *index)
{
    tims_buf line;
    tims_buf_init(&line, to->arena, 65536);
    tims_buf_print(&line, "%s %S (", index->unique ? "unique index" : "index",
                   dialect->name(to->arena, index->name));
    for (size_t i = 0; i < index->column_count; i++)
        tims_buf_print(&line, "%s%S", i == 0 ? "" : ", ", index->columns[i]);
    tims_buf_print(&line, "%s)", index->where.length > 0 ? ", of some rows" : "");
    model__add_line(to, tims_buf_str(&line));
}

static void describe_table(model__lines *to, const model__dialect *dialect, const model__table *table)
{
    for (size_t i = 0; i < table->column_count; i++) {
        const model__column *column = &table->columns[i];
        model__column_line line = { column->name,        dialect->type(to->arena, column),
                                    column->not_null,    column->primary,
                                    column->has_default, { NULL, 0 } };
        if (column->has_default)
            line.default_sql = dialect->literal(to->arena, column);
        model__add_column_line(to, &line);
        if (column->to.length > 0)
            model__add_line(to, tims_print(to->arena, "reference %S to %S (%S) on delete %s", column->name,
                                           column->to, column->to_key,
                                           model__on_delete_words(column->on_delete)));
    }
    for (size_t i = 0; i < table->index_count; i++)
        describe_index(to, dialect, &table->indexes[i]);
    if (table->search_count > 0)
        model__add_line(to, TIMS_STR("search"));
}

/* --- what the database says -------------------------------------------------------------------------- */

tims_status model__read_lines(tims_db_session *session, tims_str sql, tims_str table,
                              void (*add)(model__lines *to, const tims_db_rows *rows), model__lines *to,
                              tims_error *err)
{
    tims_db_rows *rows = NULL;
    tims_db_value value = tims_db_text(table);
    tims_status status = tims_db_query(session, sql, &value, 1, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (tims_db_next(rows))
        add(to, rows);
    return tims_db_rows_end(&rows, err);
}

void model__add_reference_line(model__lines *to, const tims_db_rows *rows)
{
    model__add_line(to, tims_print(to->arena, "reference %S to %S (%S) on delete %S",
                                   tims_db_get_text(rows, 0), tims_db_get_text(rows, 1),
                                   tims_db_get_text(rows, 2), tims_db_get_text(rows, 3)));
}

void model__add_index_line(model__lines *to, const tims_db_rows *rows)
{
    model__add_line(to, tims_print(to->arena, "%s %S (%S)",
                                   tims_db_get_int(rows, 1) != 0 ? "unique index" : "index",
                                   tims_db_get_text(rows, 0), tims_db_get_text(rows, 2)));
}

/* --- comparing --------------------------------------------------------------------------------------- */

static tims_status fail_with(tims_str table, const char *what, tims_str line, tims_error *err)
{
    return tims_fail(
        err, TIMS_PRECONDITION, "schema_drift",
        "The database differs from its migrations: table %.40s %s %.110s. Undo what was changed by hand.",
        table.data, what, line.data);
}

static tims_status compare(const model__table *table, const model__lines *expected,
                           const model__lines *actual, tims_arena *arena, tims_error *err)
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
    const model__dialect *dialect = model__dialect_of(tims_db_session_dialect(session));
    for (size_t i = 0; i < schema->count; i++) {
        model__lines expected = { .arena = arena }, actual = { .arena = arena };
        describe_table(&expected, dialect, &schema->tables[i]);
        tims_status status = dialect->read_table(session, &schema->tables[i], &actual, err);
        if (status == TIMS_OK)
            status = compare(&schema->tables[i], &expected, &actual, arena, err);
        if (status != TIMS_OK)
            return status;
    }
    return TIMS_OK;
}
