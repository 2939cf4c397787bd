/* query.c: what is asked for: conditions, search, order. Everything a stranger can say is bounded here.
 *
 * Values come as text, as in a URL, and are read by the rules of json's bind_text, but without the bounds a
 * field has for writing: one may look for a name that nobody could have. */
#include "model/model_internal.h"

void tims_query_init(tims_query *query, const tims_model *model, tims_caller caller)
{
    memset(query, 0, sizeof(*query));
    query->model = model;
    query->caller = caller;
    tims_error err = { 0 };
    tims_status status = tims_query_order(query, tims_str_from(model->order), &err);
    TIMS_ASSERT(status == TIMS_OK); /* tims_models_new has checked it */
}

static tims_status refuse(tims_error *err, tims_str name, const char *why)
{
    return tims_fail(err, TIMS_INVALID, "parameter", "%.*s: %s", (int)(name.length < 64 ? name.length : 64),
                     name.data, why);
}

/* --- order ------------------------------------------------------------------------------------ */

static bool is_ordered_by(const tims_order *orders, size_t count, const tims_field *field)
{
    for (size_t i = 0; i < count; i++)
        if (orders[i].field == field)
            return true;
    return false;
}

static tims_status parse_one_order(const tims_model *model, tims_str part, tims_order *orders, size_t count,
                                   tims_error *err)
{
    bool descending = tims_str_starts_with(part, TIMS_STR("-"));
    tims_str name = tims_str_slice(part, descending ? 1 : 0, part.length);
    const tims_field *field = tims_field_find(model->fields, name);
    if (field == NULL || field->kind == TIMS_KIND_JSON)
        return refuse(err, TIMS_STR("order"), "There is no such field to order by.");
    if (count == TIMS_ORDERS_MAX || is_ordered_by(orders, count, field))
        return refuse(err, TIMS_STR("order"), "At most four fields, each once.");
    orders[count] = (tims_order){ field, descending };
    return TIMS_OK;
}

tims_status model__parse_order(const tims_model *model, tims_str text, tims_order *ret_orders,
                               size_t *ret_count, tims_error *err)
{
    tims_order orders[TIMS_ORDERS_MAX + 1];
    size_t count = 0;
    while (text.length > 0) {
        tims_str part = tims_str_cut(&text, ',');
        tims_status status = parse_one_order(model, part, orders, count, err);
        if (status != TIMS_OK)
            return status;
        count++;
    }
    const tims_field *primary = tims_model_primary(model);
    if (!is_ordered_by(orders, count, primary)) {
        orders[count] = (tims_order){ primary, count > 0 && orders[0].descending };
        count++;
    }
    memcpy(ret_orders, orders, count * sizeof(orders[0]));
    *ret_count = count;
    return TIMS_OK;
}

tims_status tims_query_order(tims_query *query, tims_str text, tims_error *err)
{
    return model__parse_order(query->model, text, query->orders, &query->order_count, err);
}

/* --- conditions ------------------------------------------------------------------------------- */

/* The value of one kind, large enough for each. */
typedef union any_value {
    bool boolean;
    int64_t integer;
    double real;
    tims_str text;
    tims_id id;
    tims_time time;
    tims_decimal decimal;
    tims_bytes bytes;
} any_value;

/* What a stranger compares with is bounded; the program's own reads find whatever a row can hold. */
static size_t bytes_max_of(const tims_query *query)
{
    enum { OWN_BYTES_MAX = 1 << 24 };
    return query->caller.trusted ? OWN_BYTES_MAX : TIMS_TEXT_BYTES_MAX;
}

static tims_status parse_value(tims_arena *arena, const tims_field *field, tims_str text, size_t bytes_max,
                               tims_db_value *ret_value, tims_error *err)
{
    if (text.length > bytes_max)
        return refuse(err, tims_str_from(field->name), "The value is too long.");
    any_value value = { 0 };
    tims_field plain = { .name = field->name,
                         .kind = tims_kind_base(field->kind),
                         .max_length = (uint32_t)bytes_max,
                         .scale = field->scale };
    tims_error why = { 0 };
    if (tims_bind_text(arena, &plain, text, &value, &why) != TIMS_OK) {
        tims_str message =
            why.fields != NULL ? why.fields->message : TIMS_STR("Is not a value of this kind.");
        return refuse(err, tims_str_from(field->name), tims_copy_c(arena, message));
    }
    *ret_value = tims_model_value(&plain, &value);
    return TIMS_OK;
}

static bool can_compare(const tims_field *field, tims_operator operator)
{
    tims_kind kind = tims_kind_base(field->kind);
    switch (operator) {
    case TIMS_IS_NULL:
        return true;
    case TIMS_CONTAINS:
    case TIMS_STARTS_WITH:
        return kind == TIMS_KIND_STR;
    case TIMS_EQUAL:
    case TIMS_NOT_EQUAL:
    case TIMS_IN:
        return kind != TIMS_KIND_JSON;
    default:
        return kind != TIMS_KIND_JSON && kind != TIMS_KIND_BOOL;
    }
}

static tims_status parse_is_null(const tims_field *field, tims_str text, tims_condition *condition,
                                 tims_error *err)
{
    bool yes = tims_str_equal(text, TIMS_STR("true")) || tims_str_equal(text, TIMS_STR("1"));
    if (!yes && !tims_str_equal(text, TIMS_STR("false")) && !tims_str_equal(text, TIMS_STR("0")))
        return refuse(err, tims_str_from(field->name), "isnull must be true or false.");
    condition->value = tims_db_int(yes);
    return TIMS_OK;
}

static tims_status parse_in(tims_arena *arena, const tims_field *field, tims_str text, size_t bytes_max,
                            tims_condition *condition, tims_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++)
        count += text.data[i] == ',';
    if (count >= TIMS_IN_MAX)
        return refuse(err, tims_str_from(field->name), "At most 100 values.");
    if (text.length > 0)
        count++;
    tims_db_value *values = TIMS_NEW_ARRAY(arena, tims_db_value, count + 1);
    for (size_t i = 0; i < count; i++) {
        tims_str part = tims_str_cut(&text, ',');
        tims_status status = parse_value(arena, field, part, bytes_max, &values[i], err);
        if (status != TIMS_OK)
            return status;
    }
    condition->values = values;
    condition->value_count = count;
    return TIMS_OK;
}

tims_status tims_query_where(tims_arena *arena, tims_query *query, tims_str field, tims_operator operator,
                             tims_str text, tims_error *err)
{
    const tims_field *found = tims_field_find(query->model->fields, field);
    if (found == NULL)
        return refuse(err, field, "There is no such field.");
    if (!can_compare(found, operator))
        return refuse(err, field, "It cannot be compared so.");
    if (query->condition_count == TIMS_CONDITIONS_MAX)
        return refuse(err, field, "Too many conditions.");
    tims_condition condition = { .field = found, .operator= operator};
    tims_status status = TIMS_OK;
    if (operator== TIMS_IS_NULL)
        status = parse_is_null(found, text, &condition, err);
    else if (operator== TIMS_IN)
        status = parse_in(arena, found, text, bytes_max_of(query), &condition, err);
    else
        status = parse_value(arena, found, text, bytes_max_of(query), &condition.value, err);
    if (status == TIMS_OK)
        query->conditions[query->condition_count++] = condition;
    return status;
}

/* --- search ----------------------------------------------------------------------------------- */

tims_status tims_query_search(tims_query *query, tims_str text, tims_error *err)
{
    if (query->model->search.count == 0)
        return refuse(err, TIMS_STR("search"), "Cannot be searched.");
    if (text.length > TIMS_SEARCH_BYTES_MAX)
        return refuse(err, TIMS_STR("search"), "At most 200 bytes.");
    if (!tims_str_is_utf8(text) || (text.length > 0 && memchr(text.data, '\0', text.length) != NULL))
        return refuse(err, TIMS_STR("search"), "Must be UTF-8 text without NUL.");
    tims_str rest = text, word;
    size_t words = 0;
    while (model__next_word(&rest, &word))
        words++;
    if (words > TIMS_SEARCH_WORDS_MAX)
        return refuse(err, TIMS_STR("search"), "At most eight words.");
    query->search = words > 0 ? text : (tims_str){ 0 };
    return TIMS_OK;
}

/* --- as in a URL ------------------------------------------------------------------------------ */

bool tims_query_split_operator(tims_str parameter, tims_str *ret_field, tims_operator *ret_operator)
{
    static const struct {
        const char *name;
        tims_operator operator;
    } table[] = {
        { "lt", TIMS_LESS },
        { "lte", TIMS_LESS_OR_EQUAL },
        { "gt", TIMS_GREATER },
        { "gte", TIMS_GREATER_OR_EQUAL },
        { "in", TIMS_IN },
        { "isnull", TIMS_IS_NULL },
        { "not", TIMS_NOT_EQUAL },
        { "contains", TIMS_CONTAINS },
        { "startswith", TIMS_STARTS_WITH },
    };
    size_t at = tims_str_find(parameter, TIMS_STR("__"));
    if (at == SIZE_MAX) {
        *ret_field = parameter;
        *ret_operator = TIMS_EQUAL;
        return true;
    }
    tims_str name = tims_str_slice(parameter, at + 2, parameter.length);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (tims_str_equal(name, tims_str_from(table[i].name))) {
            *ret_field = tims_str_slice(parameter, 0, at);
            *ret_operator = table[i].operator;
            return true;
        }
    }
    return false;
}

static tims_status apply_pair(tims_arena *arena, tims_query *query, const tims_pair *pair, tims_error *err)
{
    bool is_field = tims_field_find(query->model->fields, pair->name) != NULL;
    if (!is_field && tims_str_equal(pair->name, TIMS_STR("order")))
        return tims_query_order(query, pair->value, err);
    if (!is_field && tims_str_equal(pair->name, TIMS_STR("limit")))
        return tims_str_to_int(pair->value, 1, INT32_MAX, &query->limit)
                   ? TIMS_OK
                   : refuse(err, pair->name, "Must be a whole number from 1 on.");
    tims_str field;
    tims_operator operator;
    if (!tims_query_split_operator(pair->name, &field, &operator))
        return refuse(err, pair->name, "There is no such operator.");
    return tims_query_where(arena, query, field, operator, pair->value, err);
}

tims_status tims_query_filter(tims_arena *arena, tims_query *query, tims_str text, tims_error *err)
{
    tims_pairs pairs;
    tims_status status = tims_url_parse_pairs(arena, text, TIMS_CONDITIONS_MAX + 4, &pairs, err);
    for (size_t i = 0; status == TIMS_OK && i < pairs.count; i++)
        status = apply_pair(arena, query, &pairs.items[i], err);
    return status;
}
