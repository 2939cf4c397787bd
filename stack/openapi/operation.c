/* operation.c: operations: every method of every path in the tables, with a name, a summary, a tag and who
 * may ask for it. */
#include "openapi/openapi_internal.h"

const tims_route_api *openapi__api_of(const openapi__operation *o)
{
    return o->route != NULL ? &o->route->api : o->computed != NULL ? &o->computed->api : NULL;
}

bool openapi__is_safe(const openapi__operation *o)
{
    return o->method == TIMS_METHOD_GET;
}

/* --- collecting ------------------------------------------------------------------------------------------ */

static void add(openapi__document *d, openapi__operation o)
{
    TIMS_ASSERT(d->operation_count < OPENAPI__OPERATIONS_MAX);
    o.path = openapi__path(d->arena, o.pattern);
    for (size_t i = 0; i < d->operation_count; i++) {
        const openapi__operation *other = &d->operations[i];
        if (tims_str_equal(other->id, o.id))
            openapi__fail(d,
                          "Two operations are called %.*s: %.*s and %.*s; give one of them .api.operation.",
                          TIMS_PRINT(o.id), TIMS_PRINT(other->path), TIMS_PRINT(o.path));
        if (other->method == o.method && tims_str_equal(other->path, o.path))
            openapi__fail(d,
                          "Two operations answer %s %.*s, which a document has once; hide one with "
                          ".api.is_hidden.",
                          tims_method_name(o.method), TIMS_PRINT(o.path));
    }
    d->operations[d->operation_count++] = o;
}

static void add_resource(openapi__document *d, const tims_openapi_part *part, const tims_resource *resource)
{
    static const struct {
        uint32_t allow;
        tims_method method;
        openapi__verb verb;
    } rows[] = { { TIMS_LIST, TIMS_METHOD_GET, OPENAPI__GET_LIST },
                 { TIMS_CREATE, TIMS_METHOD_POST, OPENAPI__CREATE },
                 { TIMS_READ, TIMS_METHOD_GET, OPENAPI__GET_ROW },
                 { TIMS_UPDATE, TIMS_METHOD_PATCH, OPENAPI__UPDATE },
                 { TIMS_DELETE, TIMS_METHOD_DELETE, OPENAPI__DELETE } };
    tims_str list = tims_str_from(resource->path), detail = tims_print(d->arena, "%S{id:id}/", list);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if ((resource->allow & rows[i].allow) == 0)
            continue;
        bool is_list = rows[i].allow == TIMS_LIST || rows[i].allow == TIMS_CREATE;
        add(d, (openapi__operation){ .verb = rows[i].verb,
                                     .method = rows[i].method,
                                     .pattern = is_list ? list : detail,
                                     .id = tims_openapi_operation_of(d->arena, resource, rows[i].allow),
                                     .part = part,
                                     .resource = resource });
    }
}

/* "POST /api/chats/start/" to "postChatsStart". */
static tims_str id_of(openapi__document *d, const char *given, tims_method method, tims_str pattern)
{
    if (given != NULL)
        return tims_str_from(given);
    tims_str verb = openapi__pascal(d->arena, tims_str_from(tims_method_name(method)));
    char *lower = tims_alloc_raw(d->arena, verb.length + 1);
    for (size_t i = 0; i < verb.length; i++)
        lower[i] = (char)(verb.data[i] | 0x20);
    return tims_print(d->arena, "%S%S", (tims_str){ lower, verb.length },
                      openapi__path_name(d->arena, pattern));
}

static void add_route(openapi__document *d, const tims_openapi_part *part, const tims_route *route)
{
    tims_str pattern = tims_str_from(route->pattern);
    bool is_one = (route->methods & (route->methods - 1)) == 0;
    for (uint32_t bit = 1; bit < TIMS_METHOD_OPTIONS; bit <<= 1)
        if ((route->methods & bit) != 0 && bit != TIMS_METHOD_HEAD && !route->api.is_hidden)
            add(d, (openapi__operation){
                       .verb = OPENAPI__ROUTE,
                       .method = (tims_method)bit,
                       .pattern = pattern,
                       .id = id_of(d, is_one ? route->api.operation : NULL, (tims_method)bit, pattern),
                       .part = part,
                       .route = route });
}

static void add_computed(openapi__document *d, const tims_openapi_part *part, const tims_computed *computed)
{
    tims_str pattern = tims_str_from(computed->path);
    if (computed->api.is_hidden)
        return;
    add(d, (openapi__operation){ .verb = OPENAPI__COMPUTED,
                                 .method = TIMS_METHOD_GET,
                                 .pattern = pattern,
                                 .id = id_of(d, computed->api.operation, TIMS_METHOD_GET, pattern),
                                 .part = part,
                                 .computed = computed });
}

static void add_websocket(openapi__document *d, const tims_openapi_part *part,
                          const tims_websocket_route *websocket)
{
    tims_str pattern = tims_str_from(websocket->path);
    add(d, (openapi__operation){ .verb = OPENAPI__WEBSOCKET,
                                 .method = TIMS_METHOD_GET,
                                 .pattern = pattern,
                                 .id = tims_print(d->arena, "open%S", openapi__path_name(d->arena, pattern)),
                                 .part = part,
                                 .websocket = websocket });
}

void openapi__collect(openapi__document *d)
{
    for (size_t i = 0; i < d->options->part_count; i++) {
        const tims_openapi_part *part = &d->options->parts[i];
        for (const tims_resource *r = part->resources; r != NULL && r->path != NULL; r++)
            add_resource(d, part, r);
        for (const tims_computed *c = part->computed; c != NULL && c->path != NULL; c++)
            add_computed(d, part, c);
        for (const tims_route *r = part->routes; r != NULL && r->pattern != NULL; r++)
            add_route(d, part, r);
        for (const tims_websocket_route *s = part->websockets; s != NULL && s->path != NULL; s++)
            add_websocket(d, part, s);
    }
}

/* --- who may ask ------------------------------------------------------------------------------------------- */

static const tims_rule *rule_of(const openapi__operation *o)
{
    const tims_model *model = o->resource->model;
    const tims_rule *own = NULL;
    if (openapi__is_safe(o))
        return model->read;
    if (o->verb == OPENAPI__CREATE)
        own = model->create;
    else if (o->verb == OPENAPI__UPDATE)
        own = model->change;
    else
        own = model->remove;
    return own != NULL ? own : model->write;
}

static bool needs_sign_in(const openapi__operation *o)
{
    if (o->resource != NULL)
        return tims_rule_is_never(rule_of(o), o->resource->model, (tims_caller){ 0 });
    const void *access = o->route != NULL      ? o->route->access
                         : o->computed != NULL ? o->computed->access
                                               : o->websocket->access;
    return access != NULL;
}

static void write_security(openapi__document *d, const openapi__operation *o)
{
    bool needs = needs_sign_in(o), is_plain = o->route == NULL || !o->route->no_csrf;
    bool needs_csrf = is_plain && !openapi__is_safe(o);
    openapi__open_list(d, "security");
    if ((needs || is_plain) && (o->route == NULL || !o->route->anonymous)) {
        if (!needs) {
            tims_json_begin_object(d->w);
            openapi__close(d);
        }
        tims_json_begin_object(d->w);
        openapi__open_list(d, "session");
        tims_json_end_array(d->w);
        if (needs_csrf) {
            openapi__open_list(d, "csrf");
            tims_json_end_array(d->w);
        }
        openapi__close(d);
        tims_json_begin_object(d->w);
        openapi__open_list(d, "bearer");
        tims_json_end_array(d->w);
        openapi__close(d);
    }
    tims_json_end_array(d->w);
}

/* --- what it is for ------------------------------------------------------------------------------------------ */

static const char *doc_of(const openapi__operation *o)
{
    const char *doc = o->resource != NULL   ? o->resource->doc
                      : o->route != NULL    ? o->route->doc
                      : o->computed != NULL ? o->computed->doc
                                            : o->websocket->doc;
    return doc != NULL || o->resource == NULL ? doc : o->resource->model->doc;
}

/* Up to the first full stop or colon. */
static tims_str first_sentence(tims_str text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] == ':' || text.data[i] == ';' ||
            (text.data[i] == '.' && (i + 1 == text.length || text.data[i + 1] == ' ')))
            return tims_str_slice(text, 0, i);
    return text;
}

static tims_str summary_of(openapi__document *d, const openapi__operation *o)
{
    static const char *const verbs[] = { "List %s", "Read one of %s", "Create one of %s", "Change one of %s",
                                         "Delete one of %s" };
    const tims_route_api *api = openapi__api_of(o);
    if (api != NULL && api->summary != NULL)
        return tims_str_from(api->summary);
    if (o->resource != NULL) {
        tims_str name = tims_str_from(o->resource->path);
        if (tims_str_starts_with(name, TIMS_STR("/api/")))
            name = tims_str_slice(name, 5, name.length);
        tims_str words = tims_str_slice(name, 0, name.length - 1);
        return tims_print(d->arena, verbs[o->verb], tims_copy_c(d->arena, words));
    }
    const char *doc = doc_of(o);
    return doc != NULL ? first_sentence(tims_str_from(doc)) : o->id;
}

static void write_websocket(openapi__document *d, const tims_websocket_route *websocket)
{
    enum { BYTES_MAX = 64 * 1024 };
    openapi__open(d, "x-websocket");
    openapi__text(d, "messages", "text");
    openapi__number(d, "messageBytesMax",
                    websocket->message_bytes_max > 0 ? (int64_t)websocket->message_bytes_max : BYTES_MAX);
    openapi__close(d);
}

static void write_operation(openapi__document *d, const openapi__operation *o)
{
    tims_str method = tims_str_from(tims_method_name(o->method));
    char lower[16];
    TIMS_ASSERT(method.length < sizeof lower);
    for (size_t i = 0; i < method.length; i++)
        lower[i] = (char)(method.data[i] | 0x20);
    tims_json_key(d->w, (tims_str){ lower, method.length });
    tims_json_begin_object(d->w);
    openapi__key(d, "operationId");
    tims_json_str(d->w, o->id);
    openapi__open_list(d, "tags");
    tims_json_str(d->w, tims_str_from(o->part->name));
    tims_json_end_array(d->w);
    openapi__key(d, "summary");
    tims_json_str(d->w, summary_of(d, o));
    if (doc_of(o) != NULL)
        openapi__text(d, "description", doc_of(o));
    write_security(d, o);
    openapi__write_parameters(d, o);
    openapi__write_body(d, o);
    openapi__write_responses(d, o);
    if (o->websocket != NULL)
        write_websocket(d, o->websocket);
    openapi__close(d);
}

/* --- paths --------------------------------------------------------------------------------------------------- */

static bool is_first_of_path(const openapi__document *d, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (tims_str_equal(d->operations[i].path, d->operations[at].path))
            return false;
    return true;
}

void openapi__write_paths(openapi__document *d)
{
    openapi__open(d, "paths");
    for (size_t i = 0; i < d->operation_count; i++) {
        if (!is_first_of_path(d, i))
            continue;
        tims_json_key(d->w, d->operations[i].path);
        tims_json_begin_object(d->w);
        for (size_t j = i; j < d->operation_count; j++)
            if (tims_str_equal(d->operations[j].path, d->operations[i].path))
                write_operation(d, &d->operations[j]);
        openapi__close(d);
    }
    openapi__close(d);
}
