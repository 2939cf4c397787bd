/* query_sql.c: a query as SQL, in the words that SQLite and PostgreSQL share.
 *
 * The text depends on the shape of a query only (which fields, operators, order, kind of caller), so that the
 * same list of another chat is the same statement. Keyset paging compares whole rows, (created_at, id) < (?3,
 * ?4), where no column of the order can be NULL and all go the same way, which an index answers by itself;
 * else it is spelled out.
 *
 * What would differ between the databases is said in full: where NULL stands in an order, that LIKE ignores
 * the case of ASCII (text columns are COLLATE "C" on PostgreSQL, so lower() there is SQLite's). A parameter
 * is always compared with a column, which gives it its type. Only text search has two forms: see search.c. */
#include "model/model_internal.h"

/* --- conditions ------------------------------------------------------------------------------- */

static const char *operator_sql(const tims_condition *condition)
{
    switch (condition->operator) {
    case TIMS_EQUAL:
        return " = ";
    case TIMS_NOT_EQUAL:
        return tims_kind_is_optional(condition->field->kind) ? " IS DISTINCT FROM " : " <> ";
    case TIMS_LESS:
        return " < ";
    case TIMS_LESS_OR_EQUAL:
        return " <= ";
    case TIMS_GREATER:
        return " > ";
    default:
        return " >= ";
    }
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* A LIKE pattern for text that stands anywhere, or only at the start; its own wildcards are escaped. */
static tims_db_value like_pattern(tims_arena *arena, tims_str text, bool anywhere)
{
    tims_buf out;
    tims_buf_init(&out, arena, text.length * 2 + 2);
    if (anywhere)
        tims_buf_append_char(&out, '%');
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '%' || text.data[i] == '_' || text.data[i] == '\\')
            tims_buf_append_char(&out, '\\');
        tims_buf_append_char(&out, lower(text.data[i]));
    }
    tims_buf_append_char(&out, '%');
    return tims_db_text(tims_buf_str(&out));
}

static void add_like(model__sql *sql, const tims_field *field, tims_db_value pattern)
{
    model__sql_add(sql, "lower(");
    model__sql_add_column(sql, 0, field->name);
    model__sql_add(sql, ") LIKE ");
    model__sql_add_value(sql, pattern);
    model__sql_add(sql, " ESCAPE '\\'");
}

static void add_in(model__sql *sql, const tims_condition *condition)
{
    if (condition->value_count == 0) {
        model__sql_add(sql, "FALSE");
        return;
    }
    model__sql_add_column(sql, 0, condition->field->name);
    for (size_t i = 0; i < condition->value_count; i++) {
        model__sql_add(sql, i == 0 ? " IN (" : ",");
        model__sql_add_value(sql, condition->values[i]);
    }
    model__sql_add(sql, ")");
}

static void add_condition(model__sql *sql, const tims_query *query, const tims_condition *condition,
                          uint16_t *fixed)
{
    const tims_field *field = condition->field;
    switch (condition->operator) {
    case TIMS_IN:
        add_in(sql, condition);
        return;
    case TIMS_IS_NULL:
        model__sql_add_column(sql, 0, field->name);
        model__sql_add(sql, condition->value.integer != 0 ? " IS NULL" : " IS NOT NULL");
        return;
    case TIMS_CONTAINS:
    case TIMS_STARTS_WITH:
        add_like(sql, field,
                 like_pattern(sql->arena, condition->value.bytes, condition->operator== TIMS_CONTAINS));
        return;
    default:
        break;
    }
    model__sql_add_column(sql, 0, field->name);
    model__sql_add(sql, operator_sql(condition));
    size_t number = model__sql_bind(sql, condition->value);
    model__sql_add_number(sql, number);
    if (condition->operator== TIMS_EQUAL && condition->value.is_id)
        fixed[tims_field_index(query->model->fields, field)] = (uint16_t)number;
}

/* --- behind a row ----------------------------------------------------------------------------- */

static bool goes_down(const tims_query *query, size_t index)
{
    return query->orders[index].descending != query->backwards;
}

static bool can_compare_rows(const tims_query *query)
{
    for (size_t i = 0; i < query->order_count; i++)
        if (tims_kind_is_optional(query->orders[i].field->kind) ||
            query->orders[i].descending != query->orders[0].descending)
            return false;
    return true;
}

static void add_after_rows(model__sql *sql, const tims_query *query)
{
    model__sql_add(sql, " AND (");
    for (size_t i = 0; i < query->order_count; i++) {
        if (i > 0)
            model__sql_add(sql, ",");
        model__sql_add_column(sql, 0, query->orders[i].field->name);
    }
    model__sql_add(sql, goes_down(query, 0) ? ") < (" : ") > (");
    for (size_t i = 0; i < query->order_count; i++) {
        if (i > 0)
            model__sql_add(sql, ",");
        model__sql_add_value(sql, query->after[i]);
    }
    model__sql_add(sql, ")");
}

/* Strictly behind a value; NULL is the smallest of all. */
static void add_behind(model__sql *sql, const tims_field *field, tims_db_value value, bool down)
{
    bool is_null = value.type == TIMS_DB_NULL;
    if (is_null && down) {
        model__sql_add(sql, "FALSE");
        return;
    }
    model__sql_add(sql, "(");
    model__sql_add_column(sql, 0, field->name);
    if (is_null) {
        model__sql_add(sql, " IS NOT NULL)");
        return;
    }
    model__sql_add(sql, down ? " < " : " > ");
    model__sql_add_value(sql, value);
    if (down && tims_kind_is_optional(field->kind)) {
        model__sql_add(sql, " OR ");
        model__sql_add_column(sql, 0, field->name);
        model__sql_add(sql, " IS NULL");
    }
    model__sql_add(sql, ")");
}

static void add_same(model__sql *sql, const tims_field *field, tims_db_value value)
{
    model__sql_add_column(sql, 0, field->name);
    if (value.type == TIMS_DB_NULL) {
        model__sql_add(sql, " IS NULL");
        return;
    }
    model__sql_add(sql, " = ");
    model__sql_add_value(sql, value);
}

static void add_after_spelled(model__sql *sql, const tims_query *query)
{
    model__sql_add(sql, " AND (");
    for (size_t i = 0; i < query->order_count; i++) {
        model__sql_add(sql, i == 0 ? "(" : " OR (");
        for (size_t j = 0; j < i; j++) {
            add_same(sql, query->orders[j].field, query->after[j]);
            model__sql_add(sql, " AND ");
        }
        add_behind(sql, query->orders[i].field, query->after[i], goes_down(query, i));
        model__sql_add(sql, ")");
    }
    model__sql_add(sql, ")");
}

/* --- statements ------------------------------------------------------------------------------- */

/* False: no row can be meant. */
static bool add_where(model__sql *sql, const tims_query *query, bool with_after)
{
    uint16_t fixed[TIMS_FIELDS_MAX] = { 0 };
    model__sql_add(sql, " FROM ");
    model__sql_add_name(sql, query->model->name);
    model__sql_add(sql, " t0 WHERE ");
    const model__sql start = *sql;
    for (size_t i = 0; i < query->condition_count; i++) {
        if (i > 0)
            model__sql_add(sql, " AND ");
        add_condition(sql, query, &query->conditions[i], fixed);
    }
    if (query->condition_count > 0)
        model__sql_add(sql, " AND ");
    model__view view = { .model = query->model, .fixed = fixed };
    model__truth truth = model__rule_sql(sql, query->model->read, &view, &query->caller);
    if (truth == MODEL__NO) {
        sql->text.length = start.text.length;
        sql->count = start.count; /* what was said before, of a count, stays */
        sql->me = start.me;
        model__sql_add(sql, "FALSE");
        return false;
    }
    if (truth == MODEL__YES)
        model__sql_add(sql, "TRUE");
    model__sql_add_search(sql, query);
    if (with_after && query->after != NULL) {
        if (can_compare_rows(query))
            add_after_rows(sql, query);
        else
            add_after_spelled(sql, query);
    }
    return true;
}

/* NULL is the smallest, as SQLite has it unless told otherwise and PostgreSQL does not. */
static void add_order(model__sql *sql, const tims_query *query)
{
    for (size_t i = 0; i < query->order_count; i++) {
        model__sql_add(sql, i == 0 ? " ORDER BY " : ",");
        model__sql_add_column(sql, 0, query->orders[i].field->name);
        if (goes_down(query, i))
            model__sql_add(sql, " DESC");
        if (tims_kind_is_optional(query->orders[i].field->kind))
            model__sql_add(sql, goes_down(query, i) ? " NULLS LAST" : " NULLS FIRST");
    }
}

/* Where the rule says the same of all rows, it is the outer statement that asks it: without rows there is no
 * count either. */
static void add_count(model__sql *sql, const tims_query *query)
{
    tims_query counted = *query;
    if (tims_query_has_gate(query))
        counted.caller.trusted = true;
    model__sql_add(sql, ",(SELECT count(*)");
    (void)add_where(sql, &counted, false);
    model__sql_add(sql, ")");
}

static void add_columns(model__sql *sql, const tims_query *query, const model__columns *columns)
{
    const char *before = "SELECT ";
    for (size_t i = 0; i < query->model->fields.count; i++) {
        if ((columns->fields >> i & 1) == 0)
            continue;
        model__sql_add(sql, before);
        model__sql_add_column(sql, 0, query->model->fields.items[i].name);
        before = ",";
    }
    for (size_t i = 0; i < columns->extra_count; i++) {
        model__sql_add(sql, before);
        model__sql_add_column(sql, 0, columns->extra[i]->name);
        before = ",";
    }
    if (columns->count)
        add_count(sql, query);
}

tims_sql model__select_sql(model__sql *sql, const tims_query *query, const model__columns *columns,
                           int64_t limit)
{
    add_columns(sql, query, columns);
    if (!add_where(sql, query, true))
        return model__sql_done(sql);
    add_order(sql, query);
    if (limit > 0 || query->offset > 0) {
        model__sql_add(sql, " LIMIT ");
        model__sql_add_value(sql, tims_db_int(limit > 0 ? limit : INT64_MAX));
    }
    if (query->offset > 0) {
        model__sql_add(sql, " OFFSET ");
        model__sql_add_value(sql, tims_db_int(query->offset));
    }
    if (query->keep && sql->dialect == TIMS_POSTGRES) /* SQLite has one writer */
        model__sql_add(sql, " FOR NO KEY UPDATE OF t0");
    return model__sql_done(sql);
}

void tims_query_sql(tims_arena *arena, tims_db_dialect dialect, const tims_query *query, tims_sql *ret_sql)
{
    model__sql sql;
    model__sql_init(&sql, arena, dialect);
    *ret_sql =
        model__select_sql(&sql, query, &(model__columns){ .fields = model__wanted(query) }, query->limit);
}

void tims_query_count_sql(tims_arena *arena, tims_db_dialect dialect, const tims_query *query,
                          tims_sql *ret_sql)
{
    model__sql sql;
    model__sql_init(&sql, arena, dialect);
    model__sql_add(&sql, "SELECT count(*)");
    (void)add_where(&sql, query, false);
    *ret_sql = model__sql_done(&sql);
}
