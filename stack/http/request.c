/* request.c: the scope of application code, with a client behind it or without.
 *
 * A raise does not unwind: it fills `raised`, runs the hooks and sends the answer from the top of the stack
 * that it was called on, and then leaves the fiber. What had to be released was deferred to the request's
 * arena. */
#include "http_internal.h"

#include <stdio.h>
#include <string.h>

/* --- raising ---------------------------------------------------------------------------------- */

static tims_status status_of_http(int http_status)
{
    for (int status = TIMS_OK + 1; status < TIMS_STATUS_COUNT; status++)
        if (tims_status_http((tims_status)status) == http_status)
            return (tims_status)status;
    return http_status >= 500 ? TIMS_INTERNAL : TIMS_INVALID;
}

void tims_raise(tims_request *rq, int http_status, const char *code, const char *format, ...)
{
    TIMS_CHECK_MAGIC(rq, TIMS_REQUEST_MAGIC);
    TIMS_ASSERT(http_status >= 400 && http_status <= 599);
    rq->raised = (tims_error){ .status = status_of_http(http_status), .code = code };
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(rq->raised.message, sizeof(rq->raised.message), format, arguments);
    va_end(arguments);
    rq->raised_http = http_status;
    rq->has_raised = true;
    http__request_end(rq);
}

void tims_raise_error(tims_request *rq, const tims_error *err)
{
    TIMS_CHECK_MAGIC(rq, TIMS_REQUEST_MAGIC);
    rq->raised = *err;
    if (rq->raised.status == TIMS_OK)
        rq->raised.status = TIMS_INTERNAL;
    rq->raised_http = tims_status_http(rq->raised.status);
    rq->has_raised = true;
    http__request_end(rq);
}

void tims_check(tims_request *rq, tims_status status, const tims_error *err)
{
    if (TIMS_LIKELY(status == TIMS_OK))
        return;
    tims_error filled = { 0 };
    if (err && err->status != TIMS_OK)
        filled = *err;
    else
        (void)!tims_fail(&filled, status, tims_status_name(status), "%s", tims_status_text(status));
    tims_raise_error(rq, &filled);
}

/* --- what a handler asks of its request ------------------------------------------------------- */

void tims_defer(tims_request *rq, tims_defer_fn function, void *argument)
{
    tims_arena_defer(rq->arena, function, argument);
}

tims_str tims_header_of(const tims_request *rq, tims_str name)
{
    return tims_header_get(rq->headers, rq->header_count, name);
}

tims_str tims_cookie_of(const tims_request *rq, tims_str name)
{
    for (size_t i = 0; i < rq->header_count; i++) {
        if (!tims_str_equal_ignoring_case(rq->headers[i].name, TIMS_STR("Cookie")))
            continue;
        tims_str value = tims_cookie_get(rq->headers[i].value, name);
        if (value.data)
            return value;
    }
    return (tims_str){ 0 };
}

tims_pairs tims_query_pairs(tims_request *rq)
{
    if (rq->query.items || rq->query_text.length == 0)
        return rq->query;
    tims_error err = { 0 };
    tims_pairs pairs = { 0 };
    tims_check(rq, tims_url_parse_pairs(rq->arena, rq->query_text, HTTP__QUERY_PAIRS_MAX, &pairs, &err),
               &err);
    rq->query = pairs;
    return pairs;
}

tims_str tims_query_get(tims_request *rq, tims_str name)
{
    return tims_pairs_get(tims_query_pairs(rq), name);
}

tims_str tims_path_str(tims_request *rq, const char *name)
{
    tims_str value = tims_pairs_get(rq->path_params, tims_str_from(name));
    TIMS_ASSERT(value.data != NULL);
    return value;
}

tims_id tims_path_id(tims_request *rq, const char *name)
{
    tims_id id = { 0 };
    if (!tims_id_parse(tims_path_str(rq, name), &id))
        tims_raise(rq, 404, "not_found", "%s", tims_status_text(TIMS_NOT_FOUND));
    return id;
}

int64_t tims_path_int(tims_request *rq, const char *name)
{
    int64_t value = 0;
    if (!tims_str_to_int(tims_path_str(rq, name), INT64_MIN, INT64_MAX, &value))
        tims_raise(rq, 404, "not_found", "%s", tims_status_text(TIMS_NOT_FOUND));
    return value;
}

bool tims_client_gone(const tims_request *rq)
{
    return rq->exchange && rq->exchange->client_gone;
}

bool tims_server_is_leaving(const tims_request *rq)
{
    return rq->exchange && rq->exchange->worker->draining;
}

/* --- headers of the answer -------------------------------------------------------------------- */

static bool is_clean(tims_str s)
{
    for (size_t i = 0; i < s.length; i++)
        if (s.data[i] == '\r' || s.data[i] == '\n' || s.data[i] == 0)
            return false;
    return true;
}

/* Only Set-Cookie may be there more than once; for the rest the last word counts. */
static tims_header *find_header(tims_request *rq, tims_str name)
{
    if (tims_str_equal_ignoring_case(name, TIMS_STR("Set-Cookie")))
        return NULL;
    for (size_t i = 0; i < rq->out_header_count; i++)
        if (tims_str_equal_ignoring_case(rq->out_headers[i].name, name))
            return &rq->out_headers[i];
    return NULL;
}

static tims_header *add_header(tims_request *rq)
{
    if (rq->out_header_count == rq->out_header_capacity) {
        size_t capacity = rq->out_header_capacity ? rq->out_header_capacity * 2 : 8;
        tims_header *headers = TIMS_NEW_ARRAY(rq->arena, tims_header, capacity);
        if (rq->out_header_count > 0)
            memcpy(headers, rq->out_headers, rq->out_header_count * sizeof(*headers));
        rq->out_headers = headers;
        rq->out_header_capacity = capacity;
    }
    return &rq->out_headers[rq->out_header_count++];
}

void tims_set_header(tims_request *rq, tims_str name, tims_str value)
{
    TIMS_ASSERT(name.length > 0 && is_clean(name) && is_clean(value));
    if (rq->out_header_bytes + name.length + value.length > HTTP__OUT_HEADER_BYTES_MAX) {
        if (rq->has_raised)
            return;
        tims_raise(rq, 500, "headers_too_large", "The answer's headers are too large.");
    }
    tims_header *header = find_header(rq, name);
    if (!header)
        header = add_header(rq);
    rq->out_header_bytes += name.length + value.length;
    header->name = tims_copy(rq->arena, name);
    header->value = tims_copy(rq->arena, value);
}

void tims_set_cookie(tims_request *rq, const tims_cookie *cookie)
{
    tims_set_header(rq, TIMS_STR("Set-Cookie"), tims_cookie_format(rq->arena, cookie));
}
