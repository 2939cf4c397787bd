/* write.c: insert, update, delete, and reading rows as structs; below the application line, so with statuses.
 *
 * What the database refuses is told in the terms of the body that caused it: a reference to nothing is an
 * error of that field (422), a value that is taken is a conflict (409). */
#include "model/model_internal.h"

#include "tims/crypto.h"

/* --- what is filled in ------------------------------------------------------------------------ */

static void set_time(const tims_field *field, void *row, tims_time now)
{
    if (field->kind == TIMS_KIND_TIME)
        *(tims_time *)model__member_of(field, row) = now;
    else
        *(tims_opt_time *)model__member_of(field, row) = (tims_opt_time){ true, now };
}

static bool has_time(const tims_field *field, const void *row)
{
    const void *member = model__member(field, row);
    return field->kind == TIMS_KIND_TIME ? ((const tims_time *)member)->us != 0
                                         : ((const tims_opt_time *)member)->present;
}

/* A string without data was never set; an empty one was. */
static void set_default(tims_arena *arena, const tims_field *field, void *row)
{
    bool unset = (field->kind == TIMS_KIND_STR && ((tims_str *)model__member_of(field, row))->data == NULL) ||
                 (field->kind == TIMS_KIND_JSON &&
                  ((tims_json_text *)model__member_of(field, row))->text.data == NULL);
    if (!unset)
        return;
    tims_status status = tims_bind_text(arena, field, tims_str_from(field->default_value), row, NULL);
    TIMS_ASSERT(status == TIMS_OK); /* tims_models_new has checked it */
}

/* A database keeps no negative zero: the row in memory shall be written as the row read back. */
static void drop_negative_zero(const tims_field *field, void *row)
{
    double *value = field->kind == TIMS_KIND_DOUBLE ? model__member_of(field, row)
                    : field->kind == TIMS_KIND_OPT_DOUBLE
                        ? &((tims_opt_double *)model__member_of(field, row))->value
                        : NULL;
    if (value != NULL && *value == 0)
        *value = 0;
}

static void fill_in(tims_arena *arena, const tims_model *model, void *row)
{
    tims_time now = tims_now();
    for (size_t i = 0; i < model->fields.count; i++) {
        const tims_field *field = &model->fields.items[i];
        if (field->primary && tims_id_is_zero(*(tims_id *)model__member_of(field, row)))
            *(tims_id *)model__member_of(field, row) = tims_id_new();
        else if (field->auto_now || (field->auto_now_add && !has_time(field, row)))
            set_time(field, row, now);
        else if (field->default_value != NULL)
            set_default(arena, field, row);
        drop_negative_zero(field, row);
    }
}

/* --- what cannot be kept ---------------------------------------------------------------------- */

static bool is_text(tims_str text)
{
    return text.length == 0 || (memchr(text.data, '\0', text.length) == NULL && tims_str_is_utf8(text));
}

/* One of the databases would take it, so it is found before either is asked. */
static void check_value(tims_arena *arena, const tims_field *field, const void *row, tims_error *err)
{
    tims_db_value value = tims_model_value(field, row);
    tims_str pointer = { NULL, 0 };
    if (value.type == TIMS_DB_TEXT && !value.is_id && !is_text(value.bytes)) {
        pointer = tims_print(arena, "/%s", field->name);
        tims_error_field(arena, err, pointer, "encoding", "Must be UTF-8 text without NUL.");
    } else if (tims_kind_base(field->kind) == TIMS_KIND_DECIMAL && !tims_decimal_fits(value.integer)) {
        pointer = tims_print(arena, "/%s", field->name);
        tims_error_field(arena, err, pointer, "range", "Must have at most %d digits.", TIMS_DECIMAL_DIGITS);
    }
}

static tims_status check_values(tims_arena *arena, const tims_model *model, const void *row,
                                tims_field_set fields, tims_error *err)
{
    tims_error found = { 0 };
    for (size_t i = 0; i < model->fields.count; i++)
        if (fields >> i & 1)
            check_value(arena, &model->fields.items[i], row, &found);
    if (found.fields != NULL)
        *err = found;
    return found.status;
}

/* --- what was refused ------------------------------------------------------------------------- */

static tims_status has_target(tims_db_session *db, tims_arena *arena, const tims_field *field,
                              const tims_db_value *id, bool *ret_found)
{
    tims_str sql = tims_print(arena, "SELECT 1 FROM \"%s\" WHERE \"%s\" = ?1", field->to->name,
                              tims_model_primary(field->to)->name);
    tims_db_rows *rows;
    tims_status status = tims_db_query(db, sql, id, 1, &rows, NULL);
    if (status != TIMS_OK)
        return status;
    *ret_found = tims_db_next(rows);
    return tims_db_rows_end(&rows, NULL);
}

/* SQLite does not say which foreign key failed, PostgreSQL one of them: look for all. */
static void name_missing_targets(tims_db_session *db, tims_arena *arena, const tims_model *model,
                                 const void *row, tims_error *err)
{
    for (size_t i = 0; i < model->fields.count; i++) {
        const tims_field *field = &model->fields.items[i];
        if (field->to == NULL)
            continue;
        tims_db_value id = tims_model_value(field, row);
        bool found = true;
        if (id.type == TIMS_DB_NULL || has_target(db, arena, field, &id, &found) != TIMS_OK || found)
            continue;
        tims_error_field(arena, err, tims_print(arena, "/%s", field->name), "not_found",
                         "There is no such %s.", field->to->name);
    }
}

/* Whether another row has the same values in these columns. */
static bool is_taken(tims_db_session *db, tims_arena *arena, const tims_model *model, const void *row,
                     tims_names columns)
{
    const tims_field *primary = tims_model_primary(model);
    bool is_key = columns.count == 1 && strcmp(columns.items[0], primary->name) == 0;
    model__sql sql;
    model__sql_init(&sql, arena, tims_db_session_dialect(db));
    model__sql_add(&sql, "SELECT 1 FROM ");
    model__sql_add_name(&sql, model->name);
    model__sql_add(&sql, " WHERE ");
    for (size_t i = 0; i < columns.count; i++) {
        const tims_field *field = model__rule_field(model, columns.items[i] + (columns.items[i][0] == '-'));
        tims_db_value value = tims_model_value(field, row);
        if (value.type == TIMS_DB_NULL)
            return false;
        model__sql_add_name(&sql, field->name);
        model__sql_add(&sql, " = ");
        model__sql_add_value(&sql, value);
        model__sql_add(&sql, i + 1 < columns.count ? " AND " : "");
    }
    if (!is_key) {
        model__sql_add(&sql, " AND ");
        model__sql_add_name(&sql, primary->name);
        model__sql_add(&sql, " <> ");
        model__sql_add_value(&sql, tims_model_value(primary, row));
    }
    tims_sql statement = model__sql_done(&sql);
    tims_db_rows *rows;
    if (tims_db_query(db, statement.text, statement.values, statement.value_count, &rows, NULL) != TIMS_OK)
        return false;
    bool found = tims_db_next(rows);
    return tims_db_rows_end(&rows, NULL) == TIMS_OK && found;
}

static bool name_if_taken(tims_db_session *db, tims_arena *arena, const tims_model *model, const void *row,
                          tims_names columns, tims_error *err)
{
    if (!is_taken(db, arena, model, row, columns))
        return false;
    tims_error named = { 0 };
    for (size_t i = 0; i < columns.count; i++)
        tims_error_field(arena, &named,
                         tims_print(arena, "/%s", columns.items[i] + (columns.items[i][0] == '-')), "unique",
                         "%s", err->message);
    err->fields = named.fields;
    return true;
}

/* A row may have more than one value that is taken. Which of them a database tells is its own affair; here it
 * is the key, else the first as they are declared. `inserts`: the key is not the row's own yet. */
static void name_what_is_taken(tims_db_session *db, tims_arena *arena, const tims_model *model,
                               const void *row, bool inserts, tims_error *err)
{
    tims_names key = { &tims_model_primary(model)->name, 1 };
    if (inserts && name_if_taken(db, arena, model, row, key, err))
        return;
    for (const tims_index *index = model->indexes; index != NULL && index->columns.count > 0; index++)
        if (index->unique && name_if_taken(db, arena, model, row, index->columns, err))
            return;
    for (size_t i = 0; i < model->fields.count; i++) {
        tims_names column = { &model->fields.items[i].name, 1 };
        if (model->fields.items[i].unique && name_if_taken(db, arena, model, row, column, err))
            return;
    }
}

/* A conflict that the row itself caused is invalid input; only "unique" is a conflict with something else. */
static tims_status explain(tims_db_session *db, tims_arena *arena, const tims_model *model, const void *row,
                           bool inserts, tims_status status, tims_error *err)
{
    if (status != TIMS_CONFLICT || err == NULL || err->code == NULL ||
        strcmp(err->code, "serialization") == 0)
        return status;
    if (strcmp(err->code, "unique") == 0) {
        name_what_is_taken(db, arena, model, row, inserts, err);
        return status;
    }
    tims_error refined = { 0 };
    const char *code = err->code;
    if (strcmp(code, "foreign_key") == 0)
        name_missing_targets(db, arena, model, row, &refined);
    if (refined.fields == NULL) {
        (void)tims_fail(&refined, TIMS_INVALID, code, "The database refused this %s: %s.", model->name, code);
        refined.fields = err->fields;
    }
    memcpy(refined.detail, err->detail, sizeof(refined.detail));
    *err = refined;
    return TIMS_INVALID;
}

/* --- writing ---------------------------------------------------------------------------------- */

tims_status tims_model_insert(tims_db_session *db, tims_arena *arena, const tims_model *model, void *row,
                              tims_error *err)
{
    tims_error own = { 0 };
    if (err == NULL)
        err = &own;
    fill_in(arena, model, row);
    tims_status status = check_values(arena, model, row, model__all(model), err);
    if (status != TIMS_OK)
        return status;
    model__sql sql;
    model__sql_init(&sql, arena, tims_db_session_dialect(db));
    model__sql_add(&sql, "INSERT INTO ");
    model__sql_add_name(&sql, model->name);
    for (size_t i = 0; i < model->fields.count; i++) {
        model__sql_add(&sql, i == 0 ? " (" : ",");
        model__sql_add_name(&sql, model->fields.items[i].name);
    }
    for (size_t i = 0; i < model->fields.count; i++) {
        model__sql_add(&sql, i == 0 ? ") VALUES (" : ",");
        model__sql_add_value(&sql, tims_model_value(&model->fields.items[i], row));
    }
    model__sql_add(&sql, ")");
    tims_sql statement = model__sql_done(&sql);
    status = tims_db_run(db, statement.text, statement.values, statement.value_count, NULL, err);
    return explain(db, arena, model, row, true, status, err);
}

static tims_status not_found(const tims_model *model, tims_error *err)
{
    return tims_fail(err, TIMS_NOT_FOUND, NULL, "There is no such %s, or it is not yours to see.",
                     model->name);
}

/* The fields named, and those that tell the time of each change. */
static tims_field_set with_auto_fields(const tims_model *model, void *row, tims_field_set fields)
{
    for (size_t i = 0; i < model->fields.count; i++) {
        drop_negative_zero(&model->fields.items[i], row);
        if (!model->fields.items[i].auto_now)
            continue;
        set_time(&model->fields.items[i], row, tims_now());
        fields |= (tims_field_set)1 << i;
    }
    return fields;
}

tims_status tims_model_update(tims_db_session *db, tims_arena *arena, const tims_model *model, void *row,
                              tims_field_set fields, tims_error *err)
{
    tims_error own = { 0 };
    if (err == NULL)
        err = &own;
    const tims_field *primary = tims_model_primary(model);
    fields &= ~((tims_field_set)1 << tims_field_index(model->fields, primary));
    if (fields == 0)
        return TIMS_OK;
    fields = with_auto_fields(model, row, fields);
    tims_status status = check_values(arena, model, row, fields, err);
    if (status != TIMS_OK)
        return status;
    model__sql sql;
    model__sql_init(&sql, arena, tims_db_session_dialect(db));
    model__sql_add(&sql, "UPDATE ");
    model__sql_add_name(&sql, model->name);
    for (size_t i = 0; i < model->fields.count; i++) {
        if ((fields >> i & 1) == 0)
            continue;
        model__sql_add(&sql, sql.count == 0 ? " SET " : ",");
        model__sql_add_name(&sql, model->fields.items[i].name);
        model__sql_add(&sql, " = ");
        model__sql_add_value(&sql, tims_model_value(&model->fields.items[i], row));
    }
    model__sql_add(&sql, " WHERE ");
    model__sql_add_name(&sql, primary->name);
    model__sql_add(&sql, " = ");
    model__sql_add_value(&sql, tims_model_value(primary, row));
    tims_sql statement = model__sql_done(&sql);
    int64_t changed = 0;
    status = tims_db_run(db, statement.text, statement.values, statement.value_count, &changed, err);
    if (status == TIMS_OK && changed == 0)
        return not_found(model, err);
    return explain(db, arena, model, row, false, status, err);
}

tims_status tims_model_delete(tims_db_session *db, tims_arena *arena, const tims_model *model, tims_id id,
                              tims_error *err)
{
    model__sql sql;
    model__sql_init(&sql, arena, tims_db_session_dialect(db));
    model__sql_add(&sql, "DELETE FROM ");
    model__sql_add_name(&sql, model->name);
    model__sql_add(&sql, " WHERE ");
    model__sql_add_name(&sql, tims_model_primary(model)->name);
    model__sql_add(&sql, " = ");
    model__sql_add_value(&sql, tims_db_id(id));
    tims_sql statement = model__sql_done(&sql);
    int64_t changed = 0;
    tims_status status =
        tims_db_run(db, statement.text, statement.values, statement.value_count, &changed, err);
    if (status == TIMS_OK && changed == 0)
        return not_found(model, err);
    return status;
}

/* --- reading structs -------------------------------------------------------------------------- */

enum { FIRST_ROWS = 16 };

static char *grow_rows(tims_arena *arena, const tims_model *model, char *items, size_t count,
                       size_t *capacity)
{
    char *more = tims_alloc_array(arena, *capacity * 2, model->size);
    memcpy(more, items, count * model->size);
    *capacity *= 2;
    return more;
}

tims_status tims_model_select(tims_db_session *db, tims_arena *arena, const tims_query *query,
                              void **ret_rows, size_t *ret_count, tims_error *err)
{
    const tims_model *model = query->model;
    TIMS_ASSERT(!query->backwards);
    tims_status status = model__note_query(db, query, err);
    if (status != TIMS_OK)
        return status;
    model__sql sql;
    model__sql_init(&sql, arena, tims_db_session_dialect(db));
    tims_sql statement =
        model__select_sql(&sql, query, &(model__columns){ .fields = model__all(model) }, query->limit);
    tims_db_rows *rows;
    status = tims_db_query(db, statement.text, statement.values, statement.value_count, &rows, err);
    if (status != TIMS_OK)
        return status;
    size_t count = 0;
    size_t capacity = query->limit > 0 && query->limit < FIRST_ROWS ? (size_t)query->limit : FIRST_ROWS;
    char *items = tims_alloc_array(arena, capacity, model->size);
    while (tims_db_next(rows)) {
        if (count == capacity)
            items = grow_rows(arena, model, items, count, &capacity);
        tims_model_read_row(model, rows, 0, arena, items + count * model->size);
        count++;
    }
    status = tims_db_rows_end(&rows, err);
    if (status != TIMS_OK)
        return status;
    *ret_rows = items;
    *ret_count = count;
    return TIMS_OK;
}

tims_status tims_model_find(tims_db_session *db, tims_arena *arena, const tims_query *query, void **ret_row,
                            tims_error *err)
{
    tims_query one = *query;
    one.limit = 1;
    void *rows;
    size_t count;
    tims_status status = tims_model_select(db, arena, &one, &rows, &count, err);
    if (status != TIMS_OK)
        return status;
    if (count == 0)
        return not_found(query->model, err);
    *ret_row = rows;
    return TIMS_OK;
}
