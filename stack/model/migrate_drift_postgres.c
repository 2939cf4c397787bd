/* migrate_drift_postgres.c: a table as PostgreSQL's catalog has it.
 *
 * The catalog gives a default back in words of its own ('7'::bigint for 7), so a default is compared by
 * value: PostgreSQL is asked whether both are the same. Only constants are asked about; anything else was not
 * made by a migration. */
#include "model/migrate_internal.h"

static const char column_sql[] =
    "SELECT a.attname::text, replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', "
    "'timestamptz') || CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE \"' || c.collname || '\"' "
    "ELSE '' END, a.attnotnull, pg_get_expr(d.adbin, d.adrelid), EXISTS (SELECT FROM pg_index i WHERE "
    "i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey)) "
    "FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
    "LEFT JOIN pg_collation c ON c.oid = a.attcollation "
    "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
    "WHERE a.attrelid = to_regclass(quote_ident(?1)) AND a.attnum > 0 AND NOT a.attisdropped "
    "AND a.attname <> 'tims_words' ORDER BY a.attnum";

static const char reference_sql[] =
    "SELECT a.attname::text, r.relname::text, k.attname::text, CASE c.confdeltype WHEN 'c' THEN 'CASCADE' "
    "WHEN 'r' THEN 'RESTRICT' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' ELSE 'NO ACTION' END || "
    "CASE WHEN c.convalidated THEN '' ELSE ', not validated' END "
    "FROM pg_constraint c JOIN pg_class r ON r.oid = c.confrelid "
    "JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] "
    "JOIN pg_attribute k ON k.attrelid = c.confrelid AND k.attnum = c.confkey[1] "
    "WHERE c.conrelid = to_regclass(quote_ident(?1)) AND c.contype = 'f'";

static const char index_sql[] =
    "SELECT r.relname::text, i.indisunique, (SELECT string_agg(CASE WHEN i.indoption[n] & 1 = 1 THEN '-' "
    "ELSE '' END || coalesce(a.attname::text, '(expression)'), ', ' ORDER BY n) "
    "FROM generate_series(0, i.indnkeyatts - 1) n LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND "
    "a.attnum = i.indkey[n]) || CASE WHEN i.indpred IS NULL THEN '' ELSE ', of some rows' END || "
    "CASE WHEN i.indisvalid THEN '' ELSE ', not valid' END "
    "FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid "
    "WHERE i.indrelid = to_regclass(quote_ident(?1)) AND NOT i.indisprimary AND r.relname NOT LIKE "
    "'tims\\_search\\_%'";

/* --- defaults ---------------------------------------------------------------------------------------- */

static size_t skip_quoted(tims_str text, size_t at)
{
    bool escapes = at < text.length && text.data[at] == 'E';
    at += escapes;
    if (at >= text.length || text.data[at] != '\'')
        return SIZE_MAX;
    for (at++; at < text.length; at++) {
        if (escapes && text.data[at] == '\\') {
            at++;
        } else if (text.data[at] == '\'') {
            if (at + 1 >= text.length || text.data[at + 1] != '\'')
                return at + 1;
            at++;
        }
    }
    return SIZE_MAX;
}

static bool consists_of(tims_str text, size_t from, const char *allowed)
{
    for (size_t i = from; i < text.length; i++)
        if (strchr(allowed, text.data[i]) == NULL)
            return false;
    return true;
}

/* true, 7, (-7), 'text'::text …, never anything that is called. */
static bool is_constant(tims_str sql)
{
    if (tims_str_equal(sql, TIMS_STR("true")) || tims_str_equal(sql, TIMS_STR("false")))
        return true;
    if (sql.length == 0 || consists_of(sql, 0, "0123456789.-()"))
        return sql.length > 0;
    size_t end = skip_quoted(sql, 0);
    if (end == SIZE_MAX)
        return false;
    return end == sql.length || (tims_str_starts_with(tims_str_slice(sql, end, sql.length), TIMS_STR("::")) &&
                                 consists_of(sql, end, ":abcdefghijklmnopqrstuvwxyz 0123456789(),"));
}

static tims_status is_same_value(tims_db_session *session, tims_arena *arena, tims_str a, tims_str b,
                                 tims_str type, bool *ret_same, tims_error *err)
{
    tims_str bare = tims_str_slice(type, 0, tims_str_find(type, TIMS_STR(" COLLATE")));
    tims_str sql = tims_print(arena, "SELECT (%S)::%S::text = (%S)::%S::text", a, bare, b, bare);
    tims_db_rows *rows = NULL;
    tims_status status = tims_db_query(session, sql, NULL, 0, &rows, err);
    if (status != TIMS_OK)
        return status;
    bool same = tims_db_next(rows) && tims_db_get_int(rows, 0) != 0;
    status = tims_db_rows_end(&rows, err);
    if (status == TIMS_OK)
        *ret_same = same;
    return status;
}

/* In the words of the migration when it is the same. */
static tims_status name_default(tims_db_session *session, tims_arena *arena, const model__table *expected,
                                model__column_line *line, tims_error *err)
{
    const model__column *column = model__table_find(expected, line->name);
    if (!line->has_default || column == NULL || !column->has_default || !is_constant(line->default_sql))
        return TIMS_OK;
    tims_str literal = model__postgres_literal(arena, column), type = model__postgres_type(arena, column);
    bool same = false;
    tims_status status = tims_str_equal(type, line->type)
                             ? is_same_value(session, arena, line->default_sql, literal, type, &same, err)
                             : TIMS_OK;
    if (status == TIMS_OK && same)
        line->default_sql = literal;
    return status;
}

/* --- the table --------------------------------------------------------------------------------------- */

typedef struct columns {
    model__column_line *items;
    size_t count;
} columns;

enum { COLUMNS_MAX = 1600 }; /* PostgreSQL's own limit */

static tims_status read_columns(tims_db_session *session, tims_arena *arena, tims_str table,
                                columns *ret_columns, tims_error *err)
{
    ret_columns->items = TIMS_NEW_ARRAY(arena, model__column_line, COLUMNS_MAX);
    ret_columns->count = 0;
    tims_db_rows *rows = NULL;
    tims_db_value value = tims_db_text(table);
    tims_status status = tims_db_query(session, tims_str_from(column_sql), &value, 1, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (ret_columns->count < COLUMNS_MAX && tims_db_next(rows))
        ret_columns->items[ret_columns->count++] = (model__column_line){
            .name = tims_copy(arena, tims_db_get_text(rows, 0)),
            .type = tims_copy(arena, tims_db_get_text(rows, 1)),
            .not_null = tims_db_get_int(rows, 2) != 0,
            .primary = tims_db_get_int(rows, 4) != 0,
            .has_default = !tims_db_is_null(rows, 3),
            .default_sql = tims_copy(arena, tims_db_get_text(rows, 3)),
        };
    return tims_db_rows_end(&rows, err);
}

tims_status model__postgres_read_table(tims_db_session *session, const model__table *expected,
                                       model__lines *to, tims_error *err)
{
    columns found;
    tims_status status = read_columns(session, to->arena, expected->name, &found, err);
    for (size_t i = 0; i < found.count && status == TIMS_OK; i++) {
        status = name_default(session, to->arena, expected, &found.items[i], err);
        if (status == TIMS_OK)
            model__add_column_line(to, &found.items[i]);
    }
    if (status == TIMS_OK)
        status = model__read_lines(session, tims_str_from(reference_sql), expected->name,
                                   model__add_reference_line, to, err);
    if (status == TIMS_OK)
        status = model__read_lines(session, tims_str_from(index_sql), expected->name, model__add_index_line,
                                   to, err);
    if (status == TIMS_OK)
        status = model__read_lines(session, tims_str_from(model__postgres_search_sql), expected->name,
                                   model__add_search_line, to, err);
    return status;
}
