/* answer.c: what an operation answers, and the body it takes.
 *
 * Every status that an operation has by its table is said: what follows from reading the session, the body,
 * the query and the row. What any request may meet (a restart, a broken database) is the default answer. */
#include "openapi/openapi_internal.h"

/* --- problems ------------------------------------------------------------------------------------------ */

static const struct {
    int status;
    const char *name, *doc;
} problems[] = {
    { 400, "BadRequest", "The URL, a header or the body cannot be read." },
    { 401, "Unauthorized", "Nobody is signed in, or the token is not valid." },
    { 403, "Forbidden", "This caller may not do it, or the CSRF token is missing." },
    { 404, "NotFound", "There is no such thing, or it is not this caller's to see." },
    { 406, "NotAcceptable", "It is not answered in this form." },
    { 409, "Conflict", "Something else already has this value, or stands against it." },
    { 412, "PreconditionFailed", "It was changed meanwhile: its ETag is not the one in If-Match." },
    { 413, "TooLarge", "The body is too large." },
    { 415, "UnsupportedMediaType", "The body is not of a type that is taken here." },
    { 422, "Invalid", "The body was read and is not valid: `errors` says which values." },
    { 426, "UpgradeRequired", "This address speaks only websocket." },
    { 429, "Throttled", "Too many requests; Retry-After says when." },
    { 503, "Unavailable", "A part that this needs does not answer." },
};
enum { PROBLEM_COUNT = sizeof problems / sizeof *problems };

/* 0: no problem has this status. */
static uint32_t bit_of(int status)
{
    for (int i = 0; i < PROBLEM_COUNT; i++)
        if (problems[i].status == status)
            return UINT32_C(1) << i;
    return 0;
}

static bool takes_body(const openapi__operation *o)
{
    const tims_route_api *api = openapi__api_of(o);
    return o->verb == OPENAPI__CREATE || o->verb == OPENAPI__UPDATE ||
           (api != NULL && (api->body != NULL || api->file != NULL));
}

static uint32_t problems_of_resource(const openapi__operation *o)
{
    uint32_t bits = bit_of(400) | bit_of(429);
    if (o->verb != OPENAPI__GET_LIST && o->verb != OPENAPI__CREATE)
        bits |= bit_of(404);
    if (!openapi__is_safe(o)) /* an Idempotency-Key of another body; a reference, a unique value */
        bits |= bit_of(409) | bit_of(422);
    if (o->verb == OPENAPI__UPDATE || o->verb == OPENAPI__DELETE)
        bits |= bit_of(412);
    return bits;
}

static uint32_t problems_of_api(openapi__document *d, const openapi__operation *o, const tims_route_api *api)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < sizeof api->problems / sizeof *api->problems && api->problems[i] != 0; i++) {
        uint32_t bit = bit_of(api->problems[i]);
        if (bit == 0)
            openapi__fail(d, "%.*s %.*s cannot say that it answers %d: no problem has that status.",
                          TIMS_PRINT(tims_str_from(tims_method_name(o->method))), TIMS_PRINT(o->path),
                          api->problems[i]);
        bits |= bit;
    }
    return bits;
}

static uint32_t problems_of(openapi__document *d, const openapi__operation *o)
{
    const tims_route_api *api = openapi__api_of(o);
    uint32_t bits = 0;
    if (o->route == NULL || !o->route->anonymous)
        bits |= bit_of(401);
    if (!openapi__is_safe(o) && (o->route == NULL || !o->route->no_csrf))
        bits |= bit_of(403);
    if ((o->route != NULL && o->route->access == tims_access_staff) ||
        (o->computed != NULL && o->computed->access == tims_access_staff))
        bits |= bit_of(403);
    if (o->resource != NULL)
        bits |= problems_of_resource(o);
    if (takes_body(o))
        bits |= bit_of(400) | bit_of(413) | bit_of(415) | bit_of(422);
    if (o->verb == OPENAPI__COMPUTED || (api != NULL && api->query != NULL))
        bits |= bit_of(400);
    if (o->verb == OPENAPI__WEBSOCKET)
        bits |= bit_of(400) | bit_of(403) | bit_of(404) | bit_of(426);
    return api != NULL ? bits | problems_of_api(d, o, api) : bits;
}

static void write_problem_content(openapi__document *d)
{
    openapi__open(d, "content");
    openapi__open(d, "application/problem+json");
    openapi__open(d, "schema");
    openapi__text(d, "$ref", "#/components/schemas/Problem");
    openapi__close(d);
    openapi__close(d);
    openapi__close(d);
}

static void write_problems(openapi__document *d, uint32_t bits)
{
    d->problems_used |= bits;
    for (int i = 0; i < PROBLEM_COUNT; i++) {
        if ((bits >> i & 1) == 0)
            continue;
        tims_json_key(d->w, tims_print(d->arena, "%d", problems[i].status));
        tims_json_begin_object(d->w);
        openapi__key(d, "$ref");
        tims_json_str(d->w, tims_print(d->arena, "#/components/responses/%s", problems[i].name));
        openapi__close(d);
    }
    openapi__open(d, "default");
    openapi__text(d, "$ref", "#/components/responses/Problem");
    openapi__close(d);
}

/* --- headers --------------------------------------------------------------------------------------------- */

static const struct {
    const char *component, *name, *type, *doc;
} headers[] = {
    [OPENAPI__HEADER_POSITION] = { "TimsPosition", "Tims-Position", "string",
                                   "How much of what was written this shows; of a write: where it is seen." },
    [OPENAPI__HEADER_ETAG] = { "ETag", "ETag", "string", "For If-Match and If-None-Match." },
    [OPENAPI__HEADER_LOCATION] = { "Location", "Location", "string", "The URL of the new row." },
    [OPENAPI__HEADER_RETRY] = { "RetryAfter", "Retry-After", "integer",
                                "Seconds until it may be asked again." },
};
enum { HEADER_COUNT = sizeof headers / sizeof *headers };

static void write_headers(openapi__document *d, uint32_t bits)
{
    if (bits == 0)
        return;
    d->headers_used |= bits;
    openapi__open(d, "headers");
    for (int i = 0; i < HEADER_COUNT; i++) {
        if ((bits >> i & 1) == 0)
            continue;
        openapi__open(d, headers[i].name);
        openapi__key(d, "$ref");
        tims_json_str(d->w, tims_print(d->arena, "#/components/headers/%s", headers[i].component));
        openapi__close(d);
    }
    openapi__close(d);
}

void openapi__write_header_components(openapi__document *d)
{
    openapi__open(d, "headers");
    for (int i = 0; i < HEADER_COUNT; i++) {
        if ((d->headers_used >> i & 1) == 0)
            continue;
        openapi__open(d, headers[i].component);
        openapi__text(d, "description", headers[i].doc);
        openapi__open(d, "schema");
        openapi__text(d, "type", headers[i].type);
        openapi__close(d);
        openapi__close(d);
    }
    openapi__close(d);
}

void openapi__write_response_components(openapi__document *d)
{
    openapi__open(d, "responses");
    openapi__open(d, "Problem");
    openapi__text(d, "description", "What any request may meet: too much at once, a restart, a fault here.");
    write_problem_content(d);
    openapi__close(d);
    for (int i = 0; i < PROBLEM_COUNT; i++) {
        if ((d->problems_used >> i & 1) == 0)
            continue;
        openapi__open(d, problems[i].name);
        openapi__text(d, "description", problems[i].doc);
        if (problems[i].status == 429)
            write_headers(d, UINT32_C(1) << OPENAPI__HEADER_RETRY);
        write_problem_content(d);
        openapi__close(d);
    }
    openapi__close(d);
}

/* --- success --------------------------------------------------------------------------------------------- */

static void begin_response(openapi__document *d, int status, const char *doc)
{
    tims_json_key(d->w, tims_print(d->arena, "%d", status));
    tims_json_begin_object(d->w);
    openapi__text(d, "description", doc);
}

/* The same URL as a stream: live's frames as events. */
static void write_stream(openapi__document *d)
{
    openapi__open(d, "text/event-stream");
    openapi__open(d, "schema");
    openapi__text(d, "type", "string");
    openapi__text(
        d, "description",
        "With `Accept: text/event-stream` the answer goes on with what changes: events `snap`, `resumed`, "
        "`tx` and "
        "`reset`, whose data is a frame of the live protocol and whose id is its position; the header "
        "Last-Event-ID resumes.");
    openapi__close(d);
    openapi__close(d);
}

static void begin_json(openapi__document *d)
{
    openapi__open(d, "content");
    openapi__open(d, "application/json");
    openapi__open(d, "schema");
    openapi__key(d, "$ref");
}

static void end_json(openapi__document *d, bool streams)
{
    openapi__close(d);
    openapi__close(d);
    if (streams)
        write_stream(d);
    openapi__close(d);
}

static void write_not_modified(openapi__document *d)
{
    begin_response(d, 304, "What If-None-Match names is what would be answered.");
    openapi__close(d);
}

static void write_resource_success(openapi__document *d, const openapi__operation *o)
{
    const uint32_t position = 1 << OPENAPI__HEADER_POSITION, etag = 1 << OPENAPI__HEADER_ETAG,
                   location = 1 << OPENAPI__HEADER_LOCATION;
    bool is_read = o->verb == OPENAPI__GET_LIST || o->verb == OPENAPI__GET_ROW;
    if (o->verb == OPENAPI__DELETE) {
        begin_response(d, 204, "It is gone.");
        write_headers(d, position);
        openapi__close(d);
        return;
    }
    bool is_new = o->verb == OPENAPI__CREATE;
    begin_response(d, is_new ? 201 : 200,
                   is_new    ? "The new row."
                   : is_read ? "Fine."
                             : "The row as it is now.");
    write_headers(d, position | (o->verb == OPENAPI__GET_LIST ? 0 : etag) | (is_new ? location : 0));
    begin_json(d);
    if (o->verb == OPENAPI__GET_LIST)
        openapi__ref_list(d, o->resource);
    else
        openapi__ref_model(d, o->resource->model, OPENAPI__ROW);
    end_json(d, is_read);
    openapi__close(d);
    if (is_read)
        write_not_modified(d);
}

static void write_content(openapi__document *d, const openapi__operation *o, const tims_route_api *api)
{
    if (api->answer != NULL || api->row != NULL) {
        begin_json(d);
        if (api->answer != NULL)
            openapi__ref_shape(d, api->answer, OPENAPI__ROW);
        else
            openapi__ref_model(d, api->row, OPENAPI__ROW);
        end_json(d, o->verb == OPENAPI__COMPUTED);
    } else if (api->content_type != NULL) {
        openapi__open(d, "content");
        openapi__open(d, api->content_type);
        openapi__open(d, "schema");
        openapi__text(d, "type", "string");
        if (!tims_str_starts_with(tims_str_from(api->content_type), TIMS_STR("text/")))
            openapi__text(d, "format", "binary");
        openapi__close(d);
        openapi__close(d);
        openapi__close(d);
    }
}

static void write_route_success(openapi__document *d, const openapi__operation *o)
{
    const tims_route_api *api = openapi__api_of(o);
    bool has_answer = api->answer != NULL || api->row != NULL || api->content_type != NULL;
    int statuses[] = { api->status != 0 ? api->status : has_answer ? 200 : 204, api->other_status };
    for (size_t i = 0; i < 2; i++) {
        if (statuses[i] == 0)
            continue;
        begin_response(d, statuses[i], statuses[i] == 304 ? "It is what If-None-Match names." : "Done.");
        if (statuses[i] != 304)
            write_content(d, o, api);
        openapi__close(d);
    }
    if (api->is_form_too) {
        begin_response(d, 303,
                       "Of a form: to the page that it leads to, or back to its own with ?error=code.");
        openapi__close(d);
    }
    if (o->verb == OPENAPI__COMPUTED)
        write_not_modified(d);
}

void openapi__write_responses(openapi__document *d, const openapi__operation *o)
{
    openapi__open(d, "responses");
    if (o->verb == OPENAPI__WEBSOCKET) {
        begin_response(d, 101, "The connection is a websocket from here on.");
        openapi__close(d);
    } else if (o->resource != NULL) {
        write_resource_success(d, o);
    } else {
        write_route_success(d, o);
    }
    write_problems(d, problems_of(d, o));
    openapi__close(d);
}

/* --- bodies ------------------------------------------------------------------------------------------------ */

static void begin_media(openapi__document *d, const char *type)
{
    openapi__open(d, type);
    openapi__open(d, "schema");
}

static void end_media(openapi__document *d)
{
    openapi__close(d);
    openapi__close(d);
}

/* The file beside the fields: parts of a form have no null and no number, so each field is as it is. */
static void write_multipart(openapi__document *d, const tims_route_api *api)
{
    begin_media(d, "multipart/form-data");
    openapi__text(d, "type", "object");
    openapi__open_list(d, "required");
    tims_json_str(d->w, tims_str_from(api->file));
    for (size_t i = 0; api->body != NULL && i < api->body->fields.count; i++)
        if (api->body->fields.items[i].required)
            tims_json_str(d->w, tims_str_from(api->body->fields.items[i].name));
    tims_json_end_array(d->w);
    openapi__open(d, "properties");
    openapi__open(d, api->file);
    openapi__text(d, "type", "string");
    openapi__text(d, "format", "binary");
    openapi__close(d);
    for (size_t i = 0; api->body != NULL && i < api->body->fields.count; i++) {
        openapi__open(d, api->body->fields.items[i].name);
        openapi__field(d, &api->body->fields.items[i], OPENAPI__NEW);
        openapi__close(d);
    }
    openapi__close(d);
    end_media(d);
}

static void write_route_body(openapi__document *d, const tims_route_api *api)
{
    openapi__use use = api->is_patch ? OPENAPI__PATCH : OPENAPI__NEW;
    static const char *const types[] = { "application/json", "application/x-www-form-urlencoded" };
    if (api->file != NULL) {
        write_multipart(d, api);
        return;
    }
    for (size_t i = 0; i < (api->is_form_too ? 2u : 1u); i++) {
        begin_media(d, types[i]);
        openapi__key(d, "$ref");
        openapi__ref_shape(d, api->body, use);
        end_media(d);
    }
}

void openapi__write_body(openapi__document *d, const openapi__operation *o)
{
    if (!takes_body(o))
        return;
    openapi__open(d, "requestBody");
    openapi__flag(d, "required", true);
    openapi__open(d, "content");
    if (o->resource != NULL) {
        begin_media(d, "application/json");
        openapi__key(d, "$ref");
        openapi__ref_model(d, o->resource->model, o->verb == OPENAPI__CREATE ? OPENAPI__NEW : OPENAPI__PATCH);
        end_media(d);
    } else {
        write_route_body(d, openapi__api_of(o));
    }
    openapi__close(d);
    openapi__close(d);
}
