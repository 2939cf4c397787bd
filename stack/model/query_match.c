/* query_match.c: the same conditions and order as query_sql.c, on rows in memory; live sorts out changed rows
 * with it.
 *
 * It must agree with the databases to the letter: text compares bytewise, LIKE ignores case for ASCII only,
 * NULL is smallest in an order, equal to nothing, and "not equal" to every value. query_match_test.c holds
 * both against each other. */
#include "model/model_internal.h"

/* --- comparing values ------------------------------------------------------------------------- */

static int compare_numbers(const tims_db_value *a, const tims_db_value *b)
{
    if (a->type == TIMS_DB_INT && b->type == TIMS_DB_INT)
        return (a->integer > b->integer) - (a->integer < b->integer);
    double x = a->type == TIMS_DB_INT ? (double)a->integer : a->real;
    double y = b->type == TIMS_DB_INT ? (double)b->integer : b->real;
    return (x > y) - (x < y);
}

static tims_str text_of(const tims_db_value *value)
{
    return value->is_id ? (tims_str){ value->id_text, TIMS_ID_TEXT_LENGTH } : value->bytes;
}

/* As ORDER BY does: NULL before everything. */
static int compare_values(const tims_db_value *a, const tims_db_value *b)
{
    if (a->type == TIMS_DB_NULL || b->type == TIMS_DB_NULL)
        return (a->type != TIMS_DB_NULL) - (b->type != TIMS_DB_NULL);
    if (a->type == TIMS_DB_TEXT || a->type == TIMS_DB_BLOB || a->is_id)
        return tims_str_compare(text_of(a), text_of(b));
    return compare_numbers(a, b);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool starts_with_ignoring_case(tims_str text, tims_str part)
{
    if (part.length > text.length)
        return false;
    for (size_t i = 0; i < part.length; i++)
        if (lower(text.data[i]) != lower(part.data[i]))
            return false;
    return true;
}

static bool contains_ignoring_case(tims_str text, tims_str part)
{
    for (size_t i = 0; i + part.length <= text.length; i++)
        if (starts_with_ignoring_case(tims_str_slice(text, i, text.length), part))
            return true;
    return false;
}

/* --- conditions ------------------------------------------------------------------------------- */

static bool is_in(const tims_condition *condition, const tims_db_value *value)
{
    for (size_t i = 0; i < condition->value_count; i++)
        if (compare_values(value, &condition->values[i]) == 0)
            return true;
    return false;
}

static bool holds(const tims_condition *condition, const void *row)
{
    tims_db_value value = tims_model_value(condition->field, row);
    bool is_null = value.type == TIMS_DB_NULL;
    if (condition->operator== TIMS_IS_NULL)
        return is_null == (condition->value.integer != 0);
    if (is_null)
        return condition->operator== TIMS_NOT_EQUAL;
    if (condition->operator== TIMS_IN)
        return is_in(condition, &value);
    if (condition->operator== TIMS_CONTAINS)
        return contains_ignoring_case(value.bytes, condition->value.bytes);
    if (condition->operator== TIMS_STARTS_WITH)
        return starts_with_ignoring_case(value.bytes, condition->value.bytes);
    int order = compare_values(&value, &condition->value);
    switch (condition->operator) {
    case TIMS_EQUAL:
        return order == 0;
    case TIMS_NOT_EQUAL:
        return order != 0;
    case TIMS_LESS:
        return order < 0;
    case TIMS_LESS_OR_EQUAL:
        return order <= 0;
    case TIMS_GREATER:
        return order > 0;
    default:
        return order >= 0;
    }
}

bool tims_query_matches(const tims_query *query, const void *row)
{
    for (size_t i = 0; i < query->condition_count; i++)
        if (!holds(&query->conditions[i], row))
            return false;
    return model__search_matches(query, row);
}

int tims_query_compare(const tims_query *query, const void *a, const void *b)
{
    for (size_t i = 0; i < query->order_count; i++) {
        tims_db_value x = tims_model_value(query->orders[i].field, a);
        tims_db_value y = tims_model_value(query->orders[i].field, b);
        int order = compare_values(&x, &y);
        if (order != 0)
            return query->orders[i].descending ? -order : order;
    }
    return 0;
}
