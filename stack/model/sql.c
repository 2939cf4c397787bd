/* sql.c: SQL text under construction, with its values beside it.
 *
 * Values are always bound, never written into the text. Names come from checked descriptors only
 * (tims_models_new lets nothing through but [a-z0-9_]) and are quoted all the same, so that a column may be
 * called "order". */
#include "model/model_internal.h"

enum { FIRST_TEXT = 512, FIRST_VALUES = 8 };

void model__sql_init(model__sql *sql, tims_arena *arena, tims_db_dialect dialect)
{
    *sql = (model__sql){ .arena = arena, .dialect = dialect, .capacity = FIRST_VALUES };
    tims_buf_init(&sql->text, arena, MODEL__SQL_BYTES_MAX);
    (void)tims_buf_reserve(&sql->text, FIRST_TEXT);
    sql->values = tims_alloc_raw(arena, FIRST_VALUES * sizeof(tims_db_value));
}

void model__sql_add(model__sql *sql, const char *text)
{
    tims_buf_append(&sql->text, text, strlen(text));
}

void model__sql_add_name(model__sql *sql, const char *name)
{
    tims_buf_append_char(&sql->text, '"');
    tims_buf_append(&sql->text, name, strlen(name));
    tims_buf_append_char(&sql->text, '"');
}

void model__append_column(tims_buf *out, unsigned alias, const char *name)
{
    tims_buf_append_char(out, 't');
    tims_buf_append_int(out, alias);
    tims_buf_append(out, ".\"", 2);
    tims_buf_append(out, name, strlen(name));
    tims_buf_append_char(out, '"');
}

void model__sql_add_column(model__sql *sql, unsigned alias, const char *name)
{
    model__append_column(&sql->text, alias, name);
}

size_t model__sql_bind(model__sql *sql, tims_db_value value)
{
    if (sql->count == sql->capacity) {
        tims_db_value *more = tims_alloc_array(sql->arena, sql->capacity * 2, sizeof(tims_db_value));
        memcpy(more, sql->values, sql->count * sizeof(tims_db_value));
        sql->values = more;
        sql->capacity *= 2;
    }
    sql->values[sql->count++] = value;
    return sql->count;
}

void model__sql_add_number(model__sql *sql, size_t number)
{
    tims_buf_append_char(&sql->text, '?');
    tims_buf_append_int(&sql->text, (int64_t)number);
}

void model__sql_add_value(model__sql *sql, tims_db_value value)
{
    model__sql_add_number(sql, model__sql_bind(sql, value));
}

tims_sql model__sql_done(model__sql *sql)
{
    TIMS_ASSERT(!sql->text.overflow); /* the bounds on conditions, fields and rules keep it far below */
    return (tims_sql){ tims_buf_str(&sql->text), sql->values, sql->count };
}
