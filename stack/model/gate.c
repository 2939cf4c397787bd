/* gate.c: queries of which the read rule lets a caller see all rows or none.
 *
 * "The messages of this chat" is one result for everybody who may see the chat: whether one may is asked
 * once, at the gate, and what is behind it is computed once for all who passed. Where the answer differs from
 * row to row (my own notes among all notes of a room), there is no gate and each caller's result is its own.
 */
#include "model/model_internal.h"

/* By equality, as query_sql.c fixes columns. */
const tims_db_value *model__fixed_value(const tims_query *query, const tims_field *field)
{
    for (size_t i = 0; i < query->condition_count; i++) {
        const tims_condition *condition = &query->conditions[i];
        if (condition->field == field && condition->operator== TIMS_EQUAL && condition->value.is_id)
            return &condition->value;
    }
    return NULL;
}

static bool says_one_thing(const tims_query *query, const tims_rule *rule)
{
    const tims_model *model = query->model;
    if (model__rule_truth(rule, model, &query->caller) != MODEL__ASK)
        return true;
    switch (rule->kind) {
    case TIMS_RULE_MEMBERS:
        return model__fixed_value(query, tims_model_primary(model)) != NULL;
    case TIMS_RULE_ANY:
    case TIMS_RULE_ALL:
        for (const tims_rule *const *part = rule->parts; *part != NULL; part++)
            if (!says_one_thing(query, *part))
                return false;
        return true;
    default: /* OWNER, LIKE */
        return model__fixed_value(query, model__rule_field(model, rule->column)) != NULL;
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
    tims_status status = model__note_rule(db, query->model->read, query->model, query->caller, err);
    if (status != TIMS_OK)
        return status;
    model__sql sql;
    model__sql_init(&sql, arena, tims_db_session_dialect(db));
    model__sql_add(&sql, "SELECT ");
    model__view view = { .model = query->model, .query = query };
    model__truth truth = model__rule_sql(&sql, query->model->read, &view, &query->caller);
    if (truth == MODEL__ASK)
        return ask(db, &sql, ret_open, err);
    *ret_open = truth == MODEL__YES;
    return TIMS_OK;
}
