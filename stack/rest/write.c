/* write.c: create, update and delete of a resource's rows.
 *
 * One order for all three, inside one transaction that begins before the first look at the database, so that
 * what was checked is what is written:
 *
 *     begin → (idempotency) → the row, by the read rule: 404 → If-Match: 412 → the write rule: 403 → hook →
 * the rule again where the hook or the body moved the row → write → hook → answer; the finish hook commits
 *
 * Who cannot read a row is told that it does not exist, whatever they tried to do to it. */
#include "rest/rest_internal.h"

/* --- what all writes share -------------------------------------------------------------------- */

TIMS_NORETURN static void raise_denied(tims_request *rq, const tims_error *err)
{
    if (!tims_caller_of(rq).signed_in)
        tims_raise(rq, 401, "unauthorized", "%s", tims_status_text(TIMS_UNAUTHORIZED));
    tims_raise_error(rq, err);
}

static tims_status check_rule(tims_request *rq, const tims_model *model, const tims_rule *rule,
                              const void *row, tims_error *err)
{
    return tims_rule_allows(tims_session_db(rq), rq->arena, rule, model, row, tims_caller_of(rq), err);
}

static void need_rule(tims_request *rq, const tims_model *model, const tims_rule *rule, const void *row)
{
    tims_error err = { 0 };
    if (check_rule(rq, model, rule, row, &err) != TIMS_OK)
        raise_denied(rq, &err);
}

/* A caller for whom the rule can never hold is sent away before anything is read. */
static void need_chance(tims_request *rq, const tims_model *model, const tims_rule *rule)
{
    tims_caller caller = tims_caller_of(rq);
    if (!caller.signed_in && tims_rule_is_never(rule, model, caller))
        tims_raise(rq, 401, "unauthorized", "%s", tims_status_text(TIMS_UNAUTHORIZED));
}

static void throttle(tims_request *rq, const rest__entry *entry)
{
    rest__throttle_request(rq, entry->rest->throttle, entry->path, entry->writes);
}

static bool is_same_value(const tims_field *field, const void *a, const void *b)
{
    tims_db_value x = tims_model_value(field, a), y = tims_model_value(field, b);
    if (x.type != y.type || x.is_id != y.is_id)
        return false;
    if (x.is_id)
        return memcmp(x.id_text, y.id_text, TIMS_ID_TEXT_LENGTH) == 0;
    if (x.type == TIMS_DB_TEXT || x.type == TIMS_DB_BLOB)
        return tims_str_equal(x.bytes, y.bytes);
    /* Bit for bit: -0.0 is another value. */
    /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c) */
    bool is_same_real = memcmp(&x.real, &y.real, sizeof(x.real)) == 0;
    return x.type == TIMS_DB_NULL || (x.integer == y.integer && is_same_real);
}

static tims_field_set changed_fields(const tims_model *model, const void *before, const void *after)
{
    tims_field_set set = 0;
    for (size_t i = 0; i < model->fields.count; i++)
        if (!is_same_value(&model->fields.items[i], before, after))
            set |= (tims_field_set)1 << i;
    return set;
}

static void *copy_row(tims_request *rq, const tims_model *model, const void *row)
{
    void *copy = tims_alloc(rq->arena, model->size);
    memcpy(copy, row, model->size);
    return copy;
}

/* --- bodies ----------------------------------------------------------------------------------- */

/* Times that set themselves are nobody's to set. */
static void refuse_auto_fields(tims_request *rq, const tims_model *model, tims_field_set present)
{
    tims_error err = { 0 };
    for (size_t i = 0; i < model->fields.count; i++) {
        const tims_field *field = &model->fields.items[i];
        if ((present >> i & 1) && (field->auto_now || field->auto_now_add))
            tims_error_field(rq->arena, &err, tims_print(rq->arena, "/%s", field->name), "read_only",
                             "Is set by the server.");
    }
    if (err.fields != NULL)
        tims_raise_error(rq, &err);
}

static tims_field_set bind_body(tims_request *rq, const tims_model *model, const tims_json *body,
                                tims_bind_mode mode, void *row)
{
    tims_field_set present = 0;
    tims_error err = { 0 };
    tims_check(rq, tims_json_bind(rq->arena, body, model->fields, mode, row, &present, &err), &err);
    refuse_auto_fields(rq, model, present);
    return present;
}

/* --- references: to what the caller can see --------------------------------------------------- */

static bool is_like_column(const tims_rule *rule, const tims_field *field)
{
    if (rule == NULL)
        return false;
    if (rule->kind == TIMS_RULE_LIKE)
        return strcmp(rule->column, field->name) == 0;
    if (rule->kind == TIMS_RULE_ALL)
        for (const tims_rule *const *part = rule->parts; *part != NULL; part++)
            if (is_like_column(*part, field))
                return true;
    return false;
}

static bool can_see(tims_request *rq, const tims_model *model, const tims_db_value *id)
{
    tims_query *query = TIMS_NEW(rq->arena, tims_query);
    tims_query_init(query, model, tims_caller_of(rq));
    query->conditions[0] = (tims_condition){ .field = tims_model_primary(model), .value = *id };
    query->condition_count = 1;
    int64_t count = 0;
    tims_error err = { 0 };
    tims_check(rq, tims_query_count(tims_session_db(rq), rq->arena, query, &count, &err), &err);
    return count > 0;
}

/* What a body points at must be there for the caller: else a body could ask which ids exist. Columns that the
 * rule follows by itself are left to it (`skip`), as are models nobody may read. */
static void need_references(tims_request *rq, const tims_model *model, tims_field_set present,
                            const void *row, const tims_rule *skip)
{
    tims_error err = { 0 };
    for (size_t i = 0; i < model->fields.count; i++) {
        const tims_field *field = &model->fields.items[i];
        if (!(present >> i & 1) || field->to == NULL || field->to->read == NULL ||
            is_like_column(skip, field))
            continue;
        tims_db_value id = tims_model_value(field, row);
        if (id.type == TIMS_DB_NULL || can_see(rq, field->to, &id))
            continue;
        tims_error_field(rq->arena, &err, tims_print(rq->arena, "/%s", field->name), "not_found",
                         "There is no such %s.", field->to->name);
    }
    if (err.fields != NULL)
        tims_raise_error(rq, &err);
}

/* --- create ----------------------------------------------------------------------------------- */

/* Whether the rule hangs on a column that is still to be filled in by the hook. */
static bool waits_for_hook(const tims_rule *rule, const tims_model *model, const void *row)
{
    if (rule == NULL)
        return false;
    if (rule->kind == TIMS_RULE_ANY || rule->kind == TIMS_RULE_ALL) {
        for (const tims_rule *const *part = rule->parts; *part != NULL; part++)
            if (waits_for_hook(*part, model, row))
                return true;
        return false;
    }
    if (rule->kind != TIMS_RULE_OWNER && rule->kind != TIMS_RULE_LIKE)
        return false;
    const tims_field *field = tims_field_find(model->fields, tims_str_from(rule->column));
    tims_db_value zero = tims_db_id((tims_id){ 0 }), value = tims_model_value(field, row);
    return field->read_only &&
           (value.type == TIMS_DB_NULL || memcmp(value.id_text, zero.id_text, TIMS_ID_TEXT_LENGTH) == 0);
}

/* Whether the rule would say another thing of a row that differs in these fields. */
static bool looks_at(const tims_rule *rule, const tims_model *model, tims_field_set fields)
{
    if (rule == NULL || fields == 0)
        return false;
    const tims_field *field = NULL;
    switch (rule->kind) {
    case TIMS_RULE_ANY:
    case TIMS_RULE_ALL:
        for (const tims_rule *const *part = rule->parts; *part != NULL; part++)
            if (looks_at(*part, model, fields))
                return true;
        return false;
    case TIMS_RULE_OWNER:
    case TIMS_RULE_LIKE:
        field = tims_field_find(model->fields, tims_str_from(rule->column));
        break;
    case TIMS_RULE_MEMBERS:
        field = tims_model_primary(model);
        break;
    default:
        return false;
    }
    return (fields >> tims_field_index(model->fields, field) & 1) != 0;
}

/* Refused: a reference the caller cannot see is told as such (422), the rest is 403. */
static void need_create_rule(tims_request *rq, const tims_model *model, const tims_rule *rule,
                             tims_field_set present, const void *row)
{
    tims_error err = { 0 };
    if (check_rule(rq, model, rule, row, &err) == TIMS_OK)
        return;
    if (err.status == TIMS_FORBIDDEN && tims_caller_of(rq).signed_in)
        need_references(rq, model, present, row, NULL);
    raise_denied(rq, &err);
}

static void *create_row(tims_request *rq, const tims_resource *resource, const tims_json *body)
{
    const tims_model *model = resource->model;
    const tims_rule *rule = rest__write_rule(model, model->create);
    void *row = tims_alloc(rq->arena, model->size);
    tims_field_set present = bind_body(rq, model, body, TIMS_BIND_CREATE, row);
    bool checked = !waits_for_hook(rule, model, row);
    if (checked)
        need_create_rule(rq, model, rule, present, row);
    need_references(rq, model, present, row, checked ? rule : NULL);
    if (resource->before_create != NULL) {
        void *before = copy_row(rq, model, row);
        resource->before_create(rq, row);
        checked = checked && !looks_at(rule, model, changed_fields(model, before, row));
    }
    if (!checked)
        need_create_rule(rq, model, rule, present, row);
    tims_create(rq, model, row);
    if (resource->after_create != NULL)
        resource->after_create(rq, row);
    return row;
}

tims_answer rest__create(tims_request *rq)
{
    const rest__entry *entry = rest__entry_of(rq);
    const tims_model *model = entry->resource->model;
    need_chance(rq, model, rest__write_rule(model, model->create));
    throttle(rq, entry);
    tims_str key = rest__idempotency_key(rq);
    const tims_json *body =
        tims_body_json(rq); /* before the transaction: a slow client must not hold the writer */
    tims_begin(rq);
    tims_answer answer;
    if (key.data != NULL && rest__idempotency_find(rq, key, tims_body(rq), &answer))
        return answer;
    const void *row = create_row(rq, entry->resource, body);
    tims_str text = rest__row_text(rq, model, row);
    tims_str etag = rest__etag(rq->arena, text);
    tims_id id = *(const tims_id *)(const void *)((const char *)row + tims_model_primary(model)->offset);
    tims_str location = tims_print(rq->arena, "%S%I/", entry->path, id);
    if (key.data != NULL)
        rest__idempotency_keep(rq, key, location, etag, text);
    tims_set_header(rq, TIMS_STR("Location"), location);
    tims_set_header(rq, TIMS_STR("ETag"), etag);
    return tims_answer_json(201, text);
}

/* --- update and delete ------------------------------------------------------------------------ */

/* The row as the caller may read it, unless If-Match says they have seen another. */
static void *find_row(tims_request *rq, const tims_model *model)
{
    void *row = tims_get(rq, model, tims_path_id(rq, "id")); /* Raises: 404 */
    if (!tims_header_of(rq, TIMS_STR("If-Match")).data ||
        tims_if_match(rq, rest__etag(rq->arena, rest__row_text(rq, model, row))))
        return row;
    tims_raise(rq, 412, "precondition_failed", "%s", tims_status_text(TIMS_PRECONDITION));
}

static void update_row(tims_request *rq, const tims_model *model, void *row, tims_field_set changed)
{
    tims_error err = { 0 };
    tims_check(rq, tims_model_update(tims_session_db(rq), rq->arena, model, row, changed, &err), &err);
}

tims_answer rest__update(tims_request *rq)
{
    const rest__entry *entry = rest__entry_of(rq);
    const tims_resource *resource = entry->resource;
    const tims_model *model = resource->model;
    const tims_rule *rule = rest__write_rule(model, model->change);
    need_chance(rq, model, rule);
    throttle(rq, entry);
    const tims_json *body =
        tims_body_json(rq); /* before the transaction: a slow client must not hold the writer */
    tims_str key = rest__idempotency_key(rq);
    tims_begin(rq);
    tims_answer answer;
    if (key.data != NULL && rest__idempotency_find(rq, key, tims_body(rq), &answer))
        return answer;
    const void *old = find_row(rq, model);
    need_rule(rq, model, rule, old);
    void *row = copy_row(rq, model, old);
    tims_field_set present = bind_body(rq, model, body, TIMS_BIND_PATCH, row);
    tims_field_set changed = changed_fields(model, old, row);
    need_references(rq, model, present & changed, row, NULL);
    if (resource->before_update != NULL) {
        resource->before_update(rq, row, changed);
        changed = changed_fields(model, old, row);
    }
    if (changed != 0) {
        need_rule(rq, model, rule, row); /* it may not be moved to where the caller may not write */
        update_row(rq, model, row, changed);
    }
    tims_str text = rest__row_text(rq, model, row);
    tims_str etag = rest__etag(rq->arena, text);
    if (key.data != NULL)
        rest__idempotency_keep(rq, key, TIMS_STR(""), etag, text);
    tims_set_header(rq, TIMS_STR("ETag"), etag);
    return tims_answer_json(200, text);
}

tims_answer rest__delete(tims_request *rq)
{
    const rest__entry *entry = rest__entry_of(rq);
    const tims_model *model = entry->resource->model;
    const tims_rule *rule = rest__write_rule(model, model->remove);
    need_chance(rq, model, rule);
    throttle(rq, entry);
    tims_str key = rest__idempotency_key(rq);
    tims_begin(rq);
    tims_answer answer;
    if (key.data != NULL && rest__idempotency_find(rq, key, TIMS_STR(""), &answer))
        return answer;
    void *row = find_row(rq, model);
    need_rule(rq, model, rule, row);
    if (entry->resource->before_delete != NULL)
        entry->resource->before_delete(rq, row);
    tims_delete(rq, model, tims_path_id(rq, "id"));
    if (key.data != NULL)
        rest__idempotency_keep(rq, key, TIMS_STR(""), TIMS_STR(""), TIMS_STR(""));
    return tims_answer_empty(204);
}
