/* resolve.c: a URL of a list or detail to a query. The one place where parameters are read, for REST, live
 * and pages.
 *
 * Whatever is not known is refused, so that a misspelt filter never answers with all rows. What is understood
 * is written again in one canonical form (sorted, defaults left out), which names a subscription and is what
 * next and previous are made of. */
#include "rest/rest_internal.h"

/* One parameter of the canonical URL. */
typedef struct part {
    tims_str name, value;
} part;

typedef struct reading {
    const rest__entry *entry;
    tims_arena *arena;
    tims_live_url *url;
    tims_error *err;
    part parts[REST__PARAMETERS_MAX];
    size_t part_count;
    tims_str cursor;
} reading;

static tims_status refuse(const reading *r, tims_str name, const char *why)
{
    return tims_fail(r->err, TIMS_INVALID, "parameter", "%.*s: %s",
                     (int)(name.length < 64 ? name.length : 64), name.data, why);
}

static void keep(reading *r, tims_str name, tims_str value)
{
    TIMS_ASSERT(r->part_count < REST__PARAMETERS_MAX);
    r->parts[r->part_count++] = (part){ name, value };
}

/* --- one parameter each ----------------------------------------------------------------------- */

static tims_status read_search(reading *r, const tims_pair *pair)
{
    if (pair->value.length > 0)
        keep(r, pair->name, pair->value);
    return tims_query_search(&r->url->query, pair->value, r->err);
}

static tims_status read_order(reading *r, const tims_pair *pair)
{
    tims_str usual = tims_str_from(r->entry->resource->model->order);
    if (tims_str_equal(pair->value, usual))
        return TIMS_OK;
    tims_str rest = pair->value;
    while (rest.length > 0) {
        tims_str name = tims_str_cut(&rest, ',');
        if (tims_str_starts_with(name, TIMS_STR("-")))
            name = tims_str_slice(name, 1, name.length);
        if (!tims_names_contain(r->entry->resource->order, name))
            return refuse(r, pair->name, "It cannot be ordered by this.");
    }
    keep(r, pair->name, pair->value);
    return tims_query_order(&r->url->query, pair->value, r->err);
}

static tims_status read_limit(reading *r, const tims_pair *pair)
{
    if (!tims_str_to_int(pair->value, 1, r->entry->max, &r->url->query.limit))
        return tims_fail(r->err, TIMS_INVALID, "parameter", "limit: Must be a whole number from 1 to %lld.",
                         (long long)r->entry->max);
    if (r->url->query.limit != r->entry->size)
        keep(r, pair->name, tims_print(r->arena, "%lld", (long long)r->url->query.limit));
    return TIMS_OK;
}

static tims_status read_page(reading *r, const tims_pair *pair)
{
    if (!tims_str_to_int(pair->value, 1, TIMS_PAGE_NUMBER_MAX, &r->url->page))
        return refuse(r, pair->name, "Must be a whole number from 1 to 1000000.");
    return TIMS_OK;
}

static tims_status read_total(reading *r, const tims_pair *pair)
{
    if (tims_str_equal(pair->value, TIMS_STR("false"))) {
        r->url->with_total = false;
        keep(r, pair->name, pair->value);
    } else if (!tims_str_equal(pair->value, TIMS_STR("true"))) {
        return refuse(r, pair->name, "Must be true or false.");
    }
    return TIMS_OK;
}

static tims_status read_cursor(reading *r, const tims_pair *pair)
{
    if (pair->value.length == 0)
        return refuse(r, pair->name, "Is not a cursor of this list.");
    r->cursor = pair->value;
    return TIMS_OK;
}

/* The primary key is always among them: rows without identity are of no use to a store. */
static tims_status read_fields(reading *r, const tims_pair *pair)
{
    const tims_model *model = r->entry->resource->model;
    tims_field_set set = (tims_field_set)1 << tims_field_index(model->fields, tims_model_primary(model));
    tims_str rest = pair->value;
    do {
        const tims_field *field = tims_field_find(model->fields, tims_str_cut(&rest, ','));
        if (field == NULL || field->hidden || field->write_only)
            return refuse(r, pair->name, "There is no such field.");
        set |= (tims_field_set)1 << tims_field_index(model->fields, field);
    } while (rest.data != NULL);
    tims_buf names;
    tims_buf_init(&names, r->arena, TIMS_FIELDS_MAX * 64);
    for (size_t i = 0; i < model->fields.count; i++)
        if (set >> i & 1)
            tims_buf_print(&names, "%s%s", names.length > 0 ? "," : "", model->fields.items[i].name);
    r->url->query.fields = set;
    keep(r, pair->name, tims_buf_str(&names));
    return TIMS_OK;
}

static tims_status read_include(reading *r, const tims_pair *pair)
{
    tims_live_url *url = r->url;
    tims_str rest = pair->value;
    do {
        const tims_field *field =
            tims_field_find(r->entry->resource->model->fields, tims_str_cut(&rest, ','));
        if (field == NULL || field->to == NULL || field->hidden || field->write_only)
            return refuse(r, pair->name, "There is no such reference.");
        for (size_t i = 0; i < url->include_count; i++)
            if (url->includes[i] == field)
                return refuse(r, pair->name, "Each reference once.");
        if (url->include_count == TIMS_INCLUDES_MAX)
            return refuse(r, pair->name, "At most four references.");
        url->includes[url->include_count++] = field;
    } while (rest.data != NULL);
    keep(r, pair->name, pair->value);
    return TIMS_OK;
}

static tims_status read_filter(reading *r, const tims_pair *pair)
{
    tims_str field;
    tims_operator operator;
    if (!tims_query_split_operator(pair->name, &field, &operator) ||
        !tims_names_contain(r->entry->resource->filter, field))
        return refuse(r, pair->name, "There is no such parameter.");
    tims_query *query = &r->url->query;
    tims_status status = tims_query_where(r->arena, query, field, operator, pair->value, r->err);
    if (status != TIMS_OK)
        return status;
    const tims_condition *condition = &query->conditions[query->condition_count - 1];
    bool is_id = condition->operator!= TIMS_IN && condition->value.is_id; /* ids are the same in capitals */
    keep(r, pair->name,
         is_id ? tims_copy(r->arena, (tims_str){ condition->value.id_text, TIMS_ID_TEXT_LENGTH })
               : pair->value);
    return TIMS_OK;
}

typedef struct parameter {
    const char *name;
    tims_status (*read)(reading *r, const tims_pair *pair);
    bool for_details;
} parameter;

static const parameter parameters[] = {
    { "search", read_search, false },   { "order", read_order, false },   { "limit", read_limit, false },
    { "page", read_page, false },       { "cursor", read_cursor, false }, { "fields", read_fields, true },
    { "include", read_include, false }, { "total", read_total, false },
};

static tims_status read_pair(reading *r, const tims_pair *pair)
{
    for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
        if (!tims_str_equal(pair->name, tims_str_from(parameters[i].name)))
            continue;
        if (r->url->is_detail && !parameters[i].for_details)
            return refuse(r, pair->name, "One row has no such parameter.");
        return parameters[i].read(r, pair);
    }
    if (r->url->is_detail)
        return refuse(r, pair->name, "There is no such parameter.");
    return read_filter(r, pair);
}

static tims_status read_pairs(reading *r, tims_pairs pairs)
{
    if (pairs.count > REST__PARAMETERS_MAX)
        return refuse(r, pairs.items[REST__PARAMETERS_MAX].name, "Too many parameters.");
    for (size_t i = 0; i < pairs.count; i++) {
        for (size_t j = 0; j < i; j++)
            if (tims_str_equal(pairs.items[i].name, pairs.items[j].name))
                return refuse(r, pairs.items[i].name, "It is given twice.");
        tims_status status = read_pair(r, &pairs.items[i]);
        if (status != TIMS_OK)
            return status;
    }
    if (r->url->page > 0 && r->cursor.data != NULL)
        return refuse(r, TIMS_STR("cursor"), "Either a page or a cursor.");
    return TIMS_OK;
}

/* --- the canonical form ----------------------------------------------------------------------- */

static void sort_parts(part *parts, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j > 0 && tims_str_compare(parts[j].name, parts[j - 1].name) < 0; j--) {
            part swap = parts[j];
            parts[j] = parts[j - 1];
            parts[j - 1] = swap;
        }
}

static tims_str write_url(reading *r, tims_str path)
{
    sort_parts(r->parts, r->part_count);
    tims_buf out;
    tims_buf_init(&out, r->arena, 4 * REST__URL_BYTES_MAX);
    tims_buf_append_str(&out, path);
    for (size_t i = 0; i < r->part_count; i++) {
        tims_buf_append_char(&out, i == 0 ? '?' : '&');
        tims_buf_append_str(&out, r->parts[i].name); /* a known name: nothing to encode */
        tims_buf_append_char(&out, '=');
        tims_buf_append_str(&out, tims_url_encode(r->arena, r->parts[i].value));
    }
    return tims_buf_str(&out);
}

tims_str rest__add_parameter(tims_arena *arena, tims_str base, const char *name, tims_str value)
{
    const char *separator = tims_str_find(base, TIMS_STR("?")) == SIZE_MAX ? "?" : "&";
    return tims_print(arena, "%S%s%s=%S", base, separator, name, value);
}

static void finish_url(reading *r, tims_str path)
{
    tims_live_url *url = r->url;
    url->base = write_url(r, path);
    url->canonical = url->base;
    if (url->page > 1)
        url->canonical = rest__add_parameter(r->arena, url->base, "page",
                                             tims_print(r->arena, "%lld", (long long)url->page));
    if (r->cursor.data != NULL)
        url->canonical =
            rest__add_parameter(r->arena, url->base, "cursor", tims_url_encode(r->arena, r->cursor));
    url->cursor = r->cursor;
    if (url->page > 1)
        url->query.offset = (url->page - 1) * url->query.limit;
}

/* A store puts rows in order and finds what they point at: the columns for that are always among the fields.
 */
static void show_what_a_store_needs(tims_live_url *url)
{
    tims_query *query = &url->query;
    if (query->fields == 0)
        return;
    for (size_t i = 0; i < query->order_count; i++)
        if (!query->orders[i].field->hidden && !query->orders[i].field->write_only)
            query->fields |= (tims_field_set)1
                             << tims_field_index(query->model->fields, query->orders[i].field);
    for (size_t i = 0; i < url->include_count; i++)
        query->fields |= (tims_field_set)1 << tims_field_index(query->model->fields, url->includes[i]);
}

/* At once if the key is known; before anything was read from the database it waits for tims_rest_write. */
static tims_status use_cursor(reading *r)
{
    tims_str key;
    if (r->cursor.data == NULL || !rest__known_key(r->entry->rest, &key))
        return TIMS_OK;
    return rest__apply_cursor(r->arena, key, r->url, r->err);
}

/* --- all -------------------------------------------------------------------------------------- */

tims_status rest__resolve(const rest__entry *entry, tims_arena *arena, const tims_id *id, tims_pairs pairs,
                          tims_caller caller, tims_live_url *ret_url, tims_error *err)
{
    const tims_model *model = entry->resource->model;
    if (!caller.signed_in && tims_rule_is_never(model->read, model, caller))
        return tims_fail(err, TIMS_UNAUTHORIZED, NULL, "%s", tims_status_text(TIMS_UNAUTHORIZED));
    memset(ret_url, 0, sizeof(*ret_url));
    ret_url->rest = entry->rest;
    ret_url->resource = entry->resource;
    ret_url->is_detail = id != NULL;
    ret_url->with_total = id == NULL;
    tims_query_init(&ret_url->query, model, caller);
    ret_url->query.limit = id != NULL ? 1 : entry->size;
    tims_str path = entry->path;
    if (id != NULL) {
        ret_url->query.conditions[0] =
            (tims_condition){ .field = tims_model_primary(model), .value = tims_db_id(*id) };
        ret_url->query.condition_count = 1;
        ret_url->query.order_count = 0;
        path = tims_print(arena, "%S%I/", entry->path, *id);
    }
    reading r = { .entry = entry, .arena = arena, .url = ret_url, .err = err };
    tims_status status = read_pairs(&r, pairs);
    if (status != TIMS_OK)
        return status;
    finish_url(&r, path);
    show_what_a_store_needs(ret_url);
    return use_cursor(&r);
}

/* The resource a path names, and the id behind it for details. */
static const rest__entry *find_entry(const tims_rest *rest, tims_str path, tims_id *ret_id,
                                     bool *ret_is_detail)
{
    for (size_t i = 0; i < rest->entry_count; i++) {
        const rest__entry *entry = &rest->entries[i];
        if (!tims_str_starts_with(path, entry->path))
            continue;
        tims_str tail = tims_str_slice(path, entry->path.length, path.length);
        *ret_is_detail = tail.length > 0;
        if (tail.length == 0 && (entry->resource->allow & TIMS_LIST))
            return entry;
        if (tail.length == TIMS_ID_TEXT_LENGTH + 1 && tail.data[TIMS_ID_TEXT_LENGTH] == '/' &&
            (entry->resource->allow & TIMS_READ) &&
            tims_id_parse(tims_str_slice(tail, 0, TIMS_ID_TEXT_LENGTH), ret_id))
            return entry;
    }
    return NULL;
}

tims_status rest__split_url(tims_arena *arena, tims_str url, tims_str *ret_path, tims_str *ret_query,
                            tims_pairs *ret_pairs, tims_error *err)
{
    *ret_pairs = (tims_pairs){ 0 };
    if (url.length == 0 || url.length > REST__URL_BYTES_MAX || url.data[0] != '/')
        return tims_fail(err, TIMS_INVALID, "url", "A live URL starts with / and has at most 8 KiB.");
    if (tims_url_split_target(arena, url, ret_path, ret_query, err) == TIMS_OK &&
        tims_url_parse_pairs(arena, *ret_query, REST__PARAMETERS_MAX, ret_pairs, err) == TIMS_OK)
        return TIMS_OK;
    if (err != NULL)
        err->status = TIMS_INVALID;
    return TIMS_INVALID;
}

tims_status tims_rest_resolve(const tims_rest *rest, tims_arena *arena, tims_str url, tims_caller caller,
                              tims_live_url *ret_url, tims_error *err)
{
    TIMS_CHECK_MAGIC(rest, REST__MAGIC);
    tims_str path, query;
    tims_pairs pairs;
    tims_status status = rest__split_url(arena, url, &path, &query, &pairs, err);
    if (status != TIMS_OK)
        return status;
    tims_id id;
    bool is_detail = false;
    const rest__entry *entry = find_entry(rest, path, &id, &is_detail);
    if (entry == NULL)
        return tims_fail(err, TIMS_NOT_FOUND, NULL, "There is no such list or row to read here.");
    return rest__resolve(entry, arena, is_detail ? &id : NULL, pairs, caller, ret_url, err);
}
