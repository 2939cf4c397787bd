/* gate.c: queries of which the read rule lets a caller see all rows or none.
 *
 * "The messages of this chat" is one result for everybody who may see the chat: whether one may is asked
 * once, at the gate, and what is behind it is computed once for all who passed. Where the answer differs from
 * row to row (my own notes among all notes of a room), there is no gate and each caller's result is its own.
 */
#include "model/model_internal.h"

/* As query_sql.c fixes columns: by equality of ids. */
static bool fixes(const tims_condition *condition, const tims_field *field)
{
    return condition->field == field && condition->operator== TIMS_EQUAL && condition->value.is_id;
}

static bool is_fixed(const tims_query *query, const tims_field *field)
{
    for (size_t i = 0; i < query->condition_count; i++)
        if (fixes(&query->conditions[i], field))
            return true;
    return false;
}

static bool says_one_thing(const tims_query *query, const tims_rule *rule)
{
    const tims_model *model = query->model;
    if (model__rule_truth(rule, model, &query->caller) != MODEL__ASK)
        return true;
    switch (rule->kind) {
    case TIMS_RULE_MEMBERS:
        return is_fixed(query, tims_model_primary(model));
    case TIMS_RULE_ANY:
    case TIMS_RULE_ALL:
        for (const tims_rule *const *part = rule->parts; *part != NULL; part++)
            if (!says_one_thing(query, *part))
                return false;
        return true;
    default: /* OWNER, LIKE */
        return is_fixed(query, model__rule_field(model, rule->column));
    }
}

bool tims_query_has_gate(const tims_query *query)
{
    return says_one_thing(query, query->model->read);
}

static tims_status ask(tims_db_session *db, model__sql *sql, bool *ret_open, tims_error *err)
{
    tims_sql statement = model__sql_done(sql);
    tims_db_rows *rows;
    tims_status status =
        tims_db_query(db, statement.text, statement.values, statement.value_count, &rows, err);
    if (status != TIMS_OK)
        return status;
    bool open = tims_db_next(rows) && tims_db_get_int(rows, 0) == 1;
    status = tims_db_rows_end(&rows, err);
    if (status == TIMS_OK)
        *ret_open = open;
    return status;
}

tims_status tims_query_gate(tims_db_session *db, tims_arena *arena, const tims_query *query, bool *ret_open,
                            tims_error *err)
{
    TIMS_ASSERT(tims_query_has_gate(query));
    uint16_t fixed[TIMS_FIELDS_MAX] = { 0 };
    model__sql sql;
    model__sql_init(&sql, arena);
    model__sql_add(&sql, "SELECT ");
    for (size_t i = 0; i < query->condition_count; i++) {
        const tims_condition *condition = &query->conditions[i];
        if (fixes(condition, condition->field))
            fixed[tims_field_index(query->model->fields, condition->field)] =
                (uint16_t)model__sql_bind(&sql, condition->value);
    }
    model__view view = { .model = query->model, .fixed = fixed };
    model__truth truth = model__rule_sql(&sql, query->model->read, &view, &query->caller);
    if (truth == MODEL__ASK)
        return ask(db, &sql, ret_open, err);
    *ret_open = truth == MODEL__YES;
    return TIMS_OK;
}
