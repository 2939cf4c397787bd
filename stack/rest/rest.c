/* rest.c: resources become routes.
 *
 * Each resource has two paths, the list's and the detail's, and one generic handler per verb; what differs
 * between resources is data. A mistake in a table ends the start with a sentence that names it. */
#include "rest/rest_internal.h"

/* Parameters that mean something by themselves and so cannot be filters. */
static const char *const reserved_items[] = { "search", "order",  "limit",   "page",
                                              "cursor", "fields", "include", "total" };
static const tims_names reserved = { reserved_items, sizeof(reserved_items) / sizeof(reserved_items[0]) };

/* --- checks ----------------------------------------------------------------------------------- */

static tims_status refuse(const tims_resource *resource, tims_error *err, const char *why, const char *name)
{
    return tims_fail(err, TIMS_INVALID, "resource", "resource \"%s\": %s%s%s", resource->path, why,
                     name[0] != '\0' ? ": " : "", name);
}

static tims_status check_names(const tims_resource *resource, tims_names names, const char *table,
                               tims_error *err)
{
    for (size_t i = 0; i < names.count; i++) {
        const tims_field *field = tims_field_find(resource->model->fields, tims_str_from(names.items[i]));
        if (field == NULL)
            return tims_fail(err, TIMS_INVALID, "resource",
                             "resource \"%s\": .%s names \"%s\", no field of \"%s\".", resource->path, table,
                             names.items[i], resource->model->name);
        if (tims_names_contain(reserved, tims_str_from(names.items[i])))
            return refuse(resource, err, "a field of this name cannot be a filter", names.items[i]);
    }
    return TIMS_OK;
}

static tims_status check_resource(const tims_resource *resource, const tims_models *models, tims_error *err)
{
    tims_str path = tims_str_from(resource->path);
    tims_rate rate;
    if (!tims_str_starts_with(path, TIMS_STR("/")) || !tims_str_ends_with(path, TIMS_STR("/")) ||
        path.length < 2 || tims_str_find(path, TIMS_STR("{")) != SIZE_MAX)
        return refuse(resource, err, "the path must start and end with / and have no parameters", "");
    if (resource->model == NULL ||
        tims_models_find(models, tims_str_from(resource->model->name)) != resource->model)
        return refuse(resource, err, "its model is not in the list of models", "");
    if (resource->allow == 0 || (resource->allow & ~(uint32_t)TIMS_EVERYTHING) != 0)
        return refuse(resource, err, ".allow must name at least one of TIMS_LIST, TIMS_READ …", "");
    if (resource->page.size < 0 || resource->page.max < 0 ||
        (resource->page.max > 0 && resource->page.size > resource->page.max))
        return refuse(resource, err, ".page.size must not be above .page.max", "");
    const char *const rates[] = { resource->throttle, resource->read_throttle };
    for (size_t i = 0; i < 2; i++)
        if (rates[i] != NULL && !tims_rate_parse(rates[i], &rate))
            return refuse(resource, err,
                          "a throttle is written like \"20/s\" \"100/m\" \"5000/h\" or \"none\"", rates[i]);
    tims_status status = check_names(resource, resource->filter, "filter", err);
    if (status == TIMS_OK)
        status = check_names(resource, resource->order, "order", err);
    return status;
}

/* --- routes ----------------------------------------------------------------------------------- */

static void add_route(tims_rest *rest, tims_method method, tims_str pattern, tims_handler handler,
                      const rest__entry *entry)
{
    rest->routes[rest->route_count++] = (tims_route){ .methods = method,
                                                      .pattern = pattern.data,
                                                      .handler = handler,
                                                      .data = entry,
                                                      .doc = entry->resource->doc };
}

static void add_routes(tims_rest *rest, tims_arena *arena, const rest__entry *entry)
{
    tims_str list = tims_copy(arena, entry->path);
    tims_str detail = tims_print(arena, "%S{id:id}/", entry->path);
    uint32_t allow = entry->resource->allow;
    if (allow & TIMS_LIST)
        add_route(rest, TIMS_METHOD_GET, list, rest__list, entry);
    if (allow & TIMS_CREATE)
        add_route(rest, TIMS_METHOD_POST, list, rest__create, entry);
    if (allow & TIMS_READ)
        add_route(rest, TIMS_METHOD_GET, detail, rest__detail, entry);
    if (allow & TIMS_UPDATE)
        add_route(rest, TIMS_METHOD_PATCH, detail, rest__update, entry);
    if (allow & TIMS_DELETE)
        add_route(rest, TIMS_METHOD_DELETE, detail, rest__delete, entry);
}

static tims_rate rate_of(const char *text, const char *otherwise)
{
    tims_rate rate = { 0 };
    bool valid = tims_rate_parse(text != NULL ? text : otherwise, &rate);
    TIMS_ASSERT(valid); /* it has been checked */
    return rate;
}

static void add_entry(tims_rest *rest, const tims_resource *resource)
{
    int64_t size = resource->page.size > 0 ? resource->page.size : TIMS_PAGE_SIZE;
    int64_t max = resource->page.max > 0 ? resource->page.max : TIMS_PAGE_MAX;
    rest->entries[rest->entry_count++] = (rest__entry){ .rest = rest,
                                                        .resource = resource,
                                                        .path = tims_str_from(resource->path),
                                                        .size = size,
                                                        .max = max > size ? max : size,
                                                        .reads = rate_of(resource->read_throttle, "200/s"),
                                                        .writes = rate_of(resource->throttle, "50/s") };
}

static void destroy_mutex(void *argument)
{
    pthread_mutex_destroy(argument);
}

tims_status tims_rest_new(tims_arena *arena, const tims_resource *const *tables, size_t count,
                          const tims_models *models, tims_rest **ret_rest, tims_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        for (const tims_resource *resource = tables[i]; resource->path != NULL; resource++, total++) {
            tims_status status = check_resource(resource, models, err);
            if (status != TIMS_OK)
                return status;
        }
    }
    tims_rest *rest = TIMS_NEW(arena, tims_rest);
    rest->magic = REST__MAGIC;
    rest->self = rest;
    rest->entries = TIMS_NEW_ARRAY(arena, rest__entry, total + 1);
    rest->routes = TIMS_NEW_ARRAY(arena, tims_route, total * 5 + 1);
    rest->throttle = rest__throttle_new(arena);
    pthread_mutex_init(&rest->mutex, NULL);
    tims_arena_defer(arena, destroy_mutex, &rest->mutex);
    for (size_t i = 0; i < count; i++)
        for (const tims_resource *resource = tables[i]; resource->path != NULL; resource++)
            add_entry(rest, resource);
    for (size_t i = 0; i < rest->entry_count; i++)
        add_routes(rest, arena, &rest->entries[i]);
    *ret_rest = rest;
    return TIMS_OK;
}

const tims_route *tims_rest_routes(const tims_rest *rest, size_t *ret_count)
{
    TIMS_CHECK_MAGIC(rest, REST__MAGIC);
    *ret_count = rest->route_count;
    return rest->routes;
}

void tims_rest_set_stream(tims_rest *rest, tims_rest_stream_fn function, void *data)
{
    TIMS_CHECK_MAGIC(rest, REST__MAGIC);
    rest->stream = function;
    rest->stream_data = data;
}

void tims_rest_share_limits(tims_rest *rest, tims_redis *redis, tims_str prefix)
{
    TIMS_CHECK_MAGIC(rest, REST__MAGIC);
    rest__throttle_share(rest->throttle, redis, prefix);
}

void tims_request_set_rest(tims_request *rq, tims_rest *rest)
{
    TIMS_CHECK_MAGIC(rest, REST__MAGIC);
    rq->slots[TIMS_SLOT_REST] = rest;
}

/* --- what the database keeps ------------------------------------------------------------------ */

static tims_status read_key(tims_db_session *db, tims_arena *arena, tims_str *ret_key, tims_error *err)
{
    tims_db_rows *rows;
    tims_status status = tims_db_query(
        db, TIMS_STR("SELECT value FROM tims_rest_setting WHERE name = 'cursor_key'"), NULL, 0, &rows, err);
    if (status != TIMS_OK)
        return status;
    tims_str key = { 0 };
    if (tims_db_next(rows))
        key = tims_copy(arena, tims_db_get_text(rows, 0));
    status = tims_db_rows_end(&rows, err);
    if (status != TIMS_OK)
        return status;
    if (key.length < 32 || key.length > REST__KEY_BYTES_MAX)
        return tims_fail(err, TIMS_INTERNAL, NULL,
                         "The database has no key for page cursors; run `migrate`.");
    *ret_key = key;
    return TIMS_OK;
}

/* Every loop may come here first at the same time; all of them read the same, so the first to be done
 * writes. */
static tims_status load_secrets(tims_rest *rest, tims_db_session *db, tims_arena *arena, tims_error *err)
{
    tims_str epoch = { NULL, 0 }, key = { NULL, 0 };
    tims_status status = tims_epoch(db, arena, &epoch, err);
    if (status == TIMS_OK)
        status = read_key(db, arena, &key, err);
    if (status != TIMS_OK)
        return status;
    TIMS_ASSERT(epoch.length == REST__EPOCH_LENGTH);
    pthread_mutex_lock(&rest->mutex);
    if (!atomic_load(&rest->has_secrets)) {
        const char *unset = NULL;
        memcpy(rest->first_epoch, epoch.data, epoch.length);
        (void)atomic_compare_exchange_strong(&rest->epoch, &unset, rest->first_epoch);
        memcpy(rest->key, key.data, key.length);
        rest->key_length = key.length;
        atomic_store(&rest->has_secrets, true);
    }
    pthread_mutex_unlock(&rest->mutex);
    return TIMS_OK;
}

tims_status tims_rest_load(tims_rest *rest, tims_db *db, tims_error *err)
{
    TIMS_CHECK_MAGIC(rest, REST__MAGIC);
    tims_arena *arena = tims_arena_new(1024 * 1024, NULL, NULL);
    tims_status status = load_secrets(rest, tims_db_session_new(db, NULL, arena), arena, err);
    tims_arena_free(&arena);
    return status;
}

void tims_rest_set_epoch(tims_rest *rest, tims_str epoch)
{
    TIMS_CHECK_MAGIC(rest, REST__MAGIC);
    TIMS_ASSERT(epoch.length == REST__EPOCH_LENGTH);
    atomic_store(&rest->epoch, epoch.data);
}

bool rest__known_key(const tims_rest *rest, tims_str *ret_key)
{
    if (!atomic_load_explicit(&rest->has_secrets, memory_order_acquire))
        return false;
    *ret_key = (tims_str){ rest->key, rest->key_length };
    return true;
}

tims_status rest__secrets(const tims_rest *rest, tims_db_session *db, tims_arena *arena, tims_str *ret_epoch,
                          tims_str *ret_key, tims_error *err)
{
    TIMS_CHECK_MAGIC(rest, REST__MAGIC);
    if (TIMS_UNLIKELY(!atomic_load_explicit(&rest->has_secrets, memory_order_acquire))) {
        tims_status status = load_secrets(rest->self, db, arena, err);
        if (status != TIMS_OK)
            return status;
    }
    *ret_epoch = (tims_str){ atomic_load_explicit(&rest->epoch, memory_order_acquire), REST__EPOCH_LENGTH };
    *ret_key = (tims_str){ rest->key, rest->key_length };
    return TIMS_OK;
}
