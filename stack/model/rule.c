/* rule.c: access rules, read as SQL.
 *
 * A rule looks at a row through a view, which says what is known of it:
 *
 *     view                         column "chat" of the row reads as
 *     a table of the statement     t0."chat"
 *     … with chat=? in the query   ?1                (the condition fixes it)
 *     only the query               ?1                (any row it finds has this value)
 *     a row in memory              ?1                (its value, bound: the row need not be in the database)
 *     only its key                 the key's SQL     (the parent of a LIKE, whose row is never needed)
 *
 * Where the column a rule hangs on is fixed, the rule becomes EXISTS (…) without a word about the outer row,
 * and the database asks it once for the statement. Where it is not, it becomes column IN (SELECT …), which it
 * can drive from: "all chats of which I am a member" starts at my member rows, not at all chats.
 *
 * Whatever is known without the database folds away: SIGNED_IN, STAFF, OWNER of a value that is bound. So a
 * bound value is only ever compared with a column, which tells PostgreSQL its type. */
#include "model/model_internal.h"

const tims_field *model__rule_field(const tims_model *model, const char *name)
{
    const tims_field *field = tims_field_find(model->fields, tims_str_from(name));
    TIMS_ASSERT(field != NULL); /* tims_models_new has checked it */
    return field;
}

/* --- what the caller alone decides ------------------------------------------------------------- */

/* ANY: the first YES decides and a NO says nothing; ALL the other way round. */
static model__truth parts_truth(const tims_rule *rule, const tims_model *model, const tims_caller *caller)
{
    model__truth deciding = rule->kind == TIMS_RULE_ANY ? MODEL__YES : MODEL__NO;
    model__truth result = deciding == MODEL__YES ? MODEL__NO : MODEL__YES;
    for (const tims_rule *const *part = rule->parts; *part != NULL; part++) {
        model__truth truth = model__rule_truth(*part, model, caller);
        if (truth == deciding)
            return truth;
        if (truth == MODEL__ASK)
            result = truth;
    }
    return result;
}

model__truth model__rule_truth(const tims_rule *rule, const tims_model *model, const tims_caller *caller)
{
    if (caller->trusted)
        return MODEL__YES;
    if (rule == NULL)
        return MODEL__NO;
    switch (rule->kind) {
    case TIMS_RULE_NOBODY:
        return MODEL__NO;
    case TIMS_RULE_PUBLIC:
        return MODEL__YES;
    case TIMS_RULE_SIGNED_IN:
        return caller->signed_in ? MODEL__YES : MODEL__NO;
    case TIMS_RULE_STAFF:
        return caller->signed_in && caller->staff ? MODEL__YES : MODEL__NO;
    case TIMS_RULE_OWNER:
    case TIMS_RULE_MEMBERS:
        return caller->signed_in ? MODEL__ASK : MODEL__NO;
    case TIMS_RULE_LIKE: {
        model__truth parent = model__rule_truth(rule->model->read, rule->model, caller);
        bool may_lack = tims_kind_is_optional(model__rule_field(model, rule->column)->kind);
        return parent == MODEL__YES && may_lack ? MODEL__ASK : parent;
    }
    case TIMS_RULE_ANY:
    case TIMS_RULE_ALL:
        return parts_truth(rule, model, caller);
    }
    TIMS_UNREACHABLE("a rule of an unknown kind");
}

/* --- columns ---------------------------------------------------------------------------------- */

static tims_str bound_sql(model__sql *sql, tims_db_value value)
{
    tims_buf out;
    tims_buf_init(&out, sql->arena, 256);
    tims_buf_append_char(&out, '?');
    tims_buf_append_int(&out, (int64_t)model__sql_bind(sql, value));
    return tims_buf_str(&out);
}

static tims_str column_sql(model__sql *sql, const model__view *view, const tims_field *field)
{
    if (view->row != NULL)
        return bound_sql(sql, tims_model_value(field, view->row));
    if (view->query != NULL)
        return bound_sql(sql, *model__fixed_value(view->query, field));
    if (view->key.data != NULL) {
        TIMS_ASSERT(field->primary);
        return view->key;
    }
    tims_buf out;
    tims_buf_init(&out, sql->arena, 256);
    size_t index = tims_field_index(view->model->fields, field);
    if (view->fixed != NULL && view->fixed[index] != 0) {
        tims_buf_append_char(&out, '?');
        tims_buf_append_int(&out, view->fixed[index]);
        return tims_buf_str(&out);
    }
    model__append_column(&out, view->alias, field->name);
    return tims_buf_str(&out);
}

/* The value that a column reads as, so that what is asked of it does not depend on the outer row; NULL: it is
 * the row's. Borrowed until the next one is bound. */
static const tims_db_value *bound_value(const model__sql *sql, tims_str column)
{
    int64_t number;
    if (column.data[0] != '?')
        return NULL;
    bool is_number =
        tims_str_to_int(tims_str_slice(column, 1, column.length), 1, (int64_t)sql->count, &number);
    TIMS_ASSERT(is_number);
    return &sql->values[number - 1];
}

static void add_me(model__sql *sql, const tims_caller *caller)
{
    if (sql->me == 0)
        sql->me = model__sql_bind(sql, tims_db_id(caller->user));
    model__sql_add_number(sql, sql->me);
}

/* Takes back what was added since a mark: text, and values that only it used. */
typedef struct mark {
    size_t text, values, me;
} mark;

static mark mark_here(const model__sql *sql)
{
    return (mark){ sql->text.length, sql->count, sql->me };
}

static void go_back(model__sql *sql, mark to)
{
    sql->text.length = to.text;
    sql->count = to.values;
    sql->me = to.me;
}

/* --- one function a kind ---------------------------------------------------------------------- */

static bool is_me(const tims_db_value *value, const tims_caller *caller)
{
    tims_db_value me = tims_db_id(caller->user);
    return value->is_id && memcmp(value->id_text, me.id_text, TIMS_ID_TEXT_LENGTH) == 0;
}

static model__truth owner_sql(model__sql *sql, const tims_rule *rule, const model__view *view,
                              const tims_caller *caller)
{
    mark start = mark_here(sql);
    tims_str column = column_sql(sql, view, model__rule_field(view->model, rule->column));
    const tims_db_value *value = bound_value(sql, column);
    if (value != NULL) {
        go_back(sql, start);
        return is_me(value, caller) ? MODEL__YES : MODEL__NO;
    }
    tims_buf_append_str(&sql->text, column);
    model__sql_add(sql, " = ");
    add_me(sql, caller);
    return MODEL__ASK;
}

/* Opens EXISTS (SELECT 1 FROM child tN WHERE tN.column = key AND …  or  key IN (SELECT tN.column FROM child
 * tN WHERE … */
static unsigned open_subquery(model__sql *sql, tims_str key, const tims_model *child, const char *column)
{
    unsigned alias = ++sql->alias;
    bool once = bound_value(sql, key) != NULL;
    if (once) {
        model__sql_add(sql, "EXISTS (SELECT 1");
    } else {
        tims_buf_append_str(&sql->text, key);
        model__sql_add(sql, " IN (SELECT ");
        model__sql_add_column(sql, alias, column);
    }
    model__sql_add(sql, " FROM ");
    model__sql_add_name(sql, child->name);
    model__sql_add(sql, " t");
    tims_buf_append_int(&sql->text, alias);
    model__sql_add(sql, " WHERE ");
    if (!once)
        return alias;
    model__sql_add_column(sql, alias, column);
    model__sql_add(sql, " = ");
    tims_buf_append_str(&sql->text, key);
    model__sql_add(sql, " AND ");
    return alias;
}

static model__truth members_sql(model__sql *sql, const tims_rule *rule, const model__view *view,
                                const tims_caller *caller)
{
    tims_str key = column_sql(sql, view, tims_model_primary(view->model));
    unsigned alias = open_subquery(sql, key, rule->model, rule->thing);
    model__sql_add_column(sql, alias, rule->user);
    model__sql_add(sql, " = ");
    add_me(sql, caller);
    model__sql_add(sql, ")");
    return MODEL__ASK;
}

bool model__rule_needs_row(const tims_rule *rule, const tims_model *model)
{
    if (rule == NULL)
        return false;
    switch (rule->kind) {
    case TIMS_RULE_OWNER:
        return !model__rule_field(model, rule->column)->primary;
    case TIMS_RULE_LIKE:
        return true;
    case TIMS_RULE_ANY:
    case TIMS_RULE_ALL:
        for (const tims_rule *const *part = rule->parts; *part != NULL; part++)
            if (model__rule_needs_row(*part, model))
                return true;
        return false;
    default:
        return false;
    }
}

/* Whether the key is there at all. */
static model__truth present_sql(model__sql *sql, tims_str key, mark start)
{
    const tims_db_value *value = bound_value(sql, key);
    if (value != NULL) {
        go_back(sql, start);
        return value->type != TIMS_DB_NULL ? MODEL__YES : MODEL__NO;
    }
    tims_buf_append_str(&sql->text, key);
    model__sql_add(sql, " IS NOT NULL");
    return MODEL__ASK;
}

static model__truth like_sql(model__sql *sql, const tims_rule *rule, const model__view *view,
                             const tims_caller *caller)
{
    const tims_model *parent = rule->model;
    mark start = mark_here(sql);
    tims_str key = column_sql(sql, view, model__rule_field(view->model, rule->column));
    if (model__rule_truth(parent->read, parent, caller) == MODEL__YES) /* whoever the parent is */
        return present_sql(sql, key, start);
    if (!model__rule_needs_row(parent->read, parent)) {
        model__view by_key = { .model = parent, .key = key };
        model__truth truth = model__rule_sql(sql, parent->read, &by_key, caller);
        if (truth != MODEL__ASK)
            go_back(sql, start);
        return truth;
    }
    unsigned alias = open_subquery(sql, key, parent, tims_model_primary(parent)->name);
    model__view row = { .model = parent, .alias = alias };
    model__truth truth = model__rule_sql(sql, parent->read, &row, caller);
    TIMS_ASSERT(truth == MODEL__ASK); /* nothing is known of the row */
    model__sql_add(sql, ")");
    return MODEL__ASK;
}

static model__truth parts_sql(model__sql *sql, const tims_rule *rule, const model__view *view,
                              const tims_caller *caller)
{
    model__truth deciding = rule->kind == TIMS_RULE_ANY ? MODEL__YES : MODEL__NO;
    const char *between = rule->kind == TIMS_RULE_ANY ? " OR " : " AND ";
    mark start = mark_here(sql);
    bool asked = false;
    model__sql_add(sql, "(");
    for (const tims_rule *const *part = rule->parts; *part != NULL; part++) {
        mark here = mark_here(sql);
        if (asked)
            model__sql_add(sql, between);
        model__truth truth = model__rule_sql(sql, *part, view, caller);
        if (truth == deciding) {
            go_back(sql, start);
            return truth;
        }
        if (truth == MODEL__ASK)
            asked = true;
        else
            go_back(sql, here);
    }
    if (!asked) {
        go_back(sql, start);
        return deciding == MODEL__YES ? MODEL__NO : MODEL__YES;
    }
    model__sql_add(sql, ")");
    return MODEL__ASK;
}

model__truth model__rule_sql(model__sql *sql, const tims_rule *rule, const model__view *view,
                             const tims_caller *caller)
{
    model__truth known = model__rule_truth(rule, view->model, caller);
    if (known != MODEL__ASK) /* so that nothing is bound for parts that do not matter */
        return known;
    switch (rule->kind) {
    case TIMS_RULE_OWNER:
        return owner_sql(sql, rule, view, caller);
    case TIMS_RULE_MEMBERS:
        return members_sql(sql, rule, view, caller);
    case TIMS_RULE_LIKE:
        return like_sql(sql, rule, view, caller);
    case TIMS_RULE_ANY:
    case TIMS_RULE_ALL:
        return parts_sql(sql, rule, view, caller);
    default:
        TIMS_UNREACHABLE("class rules are known");
    }
}

/* --- asking ----------------------------------------------------------------------------------- */

bool tims_rule_is_never(const tims_rule *rule, const tims_model *model, tims_caller caller)
{
    return model__rule_truth(rule, model, &caller) == MODEL__NO;
}

static tims_status forbidden(const tims_model *model, tims_error *err)
{
    return tims_fail(err, TIMS_FORBIDDEN, NULL, "You may not do this to this %s.", model->name);
}

tims_status tims_rule_allows(tims_db_session *db, tims_arena *arena, const tims_rule *rule,
                             const tims_model *model, const void *row, tims_caller caller, tims_error *err)
{
    tims_status status = model__note_rule(db, rule, model, caller, err);
    if (status != TIMS_OK)
        return status;
    model__sql sql;
    model__sql_init(&sql, arena, tims_db_session_dialect(db));
    model__sql_add(&sql, "SELECT ");
    model__view view = { .model = model, .row = row };
    model__truth truth = model__rule_sql(&sql, rule, &view, &caller);
    if (truth != MODEL__ASK)
        return truth == MODEL__YES ? TIMS_OK : forbidden(model, err);
    tims_sql statement = model__sql_done(&sql);
    tims_db_rows *rows;
    status = tims_db_query(db, statement.text, statement.values, statement.value_count, &rows, err);
    if (status != TIMS_OK)
        return status;
    bool allowed = tims_db_next(rows) && tims_db_get_int(rows, 0) == 1;
    status = tims_db_rows_end(&rows, err);
    if (status != TIMS_OK)
        return status;
    return allowed ? TIMS_OK : forbidden(model, err);
}
