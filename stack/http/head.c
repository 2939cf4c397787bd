/* head.c: the first lines of an answer.
 *
 * Status line, date, security headers and what the handler set, copied into the output buffer in one
 * reservation. The default headers are one ready block per server; only where a handler set one of them
 * itself are they written one by one. */
#include "http_internal.h"

#include <stdio.h>
#include <string.h>

typedef struct reason {
    int status;
    tims_str text;
} reason;

static const reason reasons[] = {
    { 200, TIMS_STR_INIT("OK") },
    { 201, TIMS_STR_INIT("Created") },
    { 202, TIMS_STR_INIT("Accepted") },
    { 204, TIMS_STR_INIT("No Content") },
    { 206, TIMS_STR_INIT("Partial Content") },
    { 301, TIMS_STR_INIT("Moved Permanently") },
    { 302, TIMS_STR_INIT("Found") },
    { 303, TIMS_STR_INIT("See Other") },
    { 304, TIMS_STR_INIT("Not Modified") },
    { 307, TIMS_STR_INIT("Temporary Redirect") },
    { 308, TIMS_STR_INIT("Permanent Redirect") },
    { 400, TIMS_STR_INIT("Bad Request") },
    { 401, TIMS_STR_INIT("Unauthorized") },
    { 402, TIMS_STR_INIT("Payment Required") },
    { 403, TIMS_STR_INIT("Forbidden") },
    { 404, TIMS_STR_INIT("Not Found") },
    { 405, TIMS_STR_INIT("Method Not Allowed") },
    { 406, TIMS_STR_INIT("Not Acceptable") },
    { 408, TIMS_STR_INIT("Request Timeout") },
    { 409, TIMS_STR_INIT("Conflict") },
    { 410, TIMS_STR_INIT("Gone") },
    { 411, TIMS_STR_INIT("Length Required") },
    { 412, TIMS_STR_INIT("Precondition Failed") },
    { 413, TIMS_STR_INIT("Content Too Large") },
    { 414, TIMS_STR_INIT("URI Too Long") },
    { 415, TIMS_STR_INIT("Unsupported Media Type") },
    { 416, TIMS_STR_INIT("Range Not Satisfiable") },
    { 417, TIMS_STR_INIT("Expectation Failed") },
    { 422, TIMS_STR_INIT("Unprocessable Content") },
    { 426, TIMS_STR_INIT("Upgrade Required") },
    { 428, TIMS_STR_INIT("Precondition Required") },
    { 429, TIMS_STR_INIT("Too Many Requests") },
    { 431, TIMS_STR_INIT("Request Header Fields Too Large") },
    { 499, TIMS_STR_INIT("Client Closed Request") },
    { 500, TIMS_STR_INIT("Internal Server Error") },
    { 501, TIMS_STR_INIT("Not Implemented") },
    { 502, TIMS_STR_INIT("Bad Gateway") },
    { 503, TIMS_STR_INIT("Service Unavailable") },
    { 504, TIMS_STR_INIT("Gateway Timeout") },
    { 505, TIMS_STR_INIT("HTTP Version Not Supported") },
    { 507, TIMS_STR_INIT("Insufficient Storage") },
};

tims_str http__reason(int status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return TIMS_STR("Unknown");
}

static const tims_header default_headers[] = {
    { TIMS_STR_INIT("X-Content-Type-Options"), TIMS_STR_INIT("nosniff") },
    { TIMS_STR_INIT("X-Frame-Options"), TIMS_STR_INIT("DENY") },
    { TIMS_STR_INIT("Referrer-Policy"), TIMS_STR_INIT("strict-origin-when-cross-origin") },
    { TIMS_STR_INIT("Cross-Origin-Opener-Policy"), TIMS_STR_INIT("same-origin") },
};
enum { DEFAULT_COUNT = sizeof(default_headers) / sizeof(default_headers[0]) };
static const tims_str strict_transport =
    TIMS_STR_INIT("Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n");

/* A policy that names frame-ancestors says more than X-Frame-Options, which then stays out. */
static bool is_replaced(const tims_request *rq, tims_str name)
{
    if (http__out_header(rq, name).data)
        return true;
    if (!tims_str_equal(name, default_headers[1].name))
        return false;
    tims_str policy = http__out_header(rq, TIMS_STR("Content-Security-Policy"));
    return policy.data && tims_str_find(policy, TIMS_STR("frame-ancestors")) != SIZE_MAX;
}

tims_str http__out_header(const tims_request *rq, tims_str name)
{
    return tims_header_get(rq->out_headers, rq->out_header_count, name);
}

void http__set_default_header(tims_request *rq, tims_str name, tims_str value)
{
    if (!http__out_header(rq, name).data)
        tims_set_header(rq, name, value);
}

void http__add_vary(tims_request *rq, tims_str name)
{
    for (size_t i = 0; i < rq->out_header_count; i++) {
        tims_header *header = &rq->out_headers[i];
        if (!tims_str_equal_ignoring_case(header->name, TIMS_STR("Vary")))
            continue;
        if (!tims_header_has_token(header->value, name) && !tims_str_equal(header->value, TIMS_STR("*")))
            header->value = tims_print(rq->arena, "%S, %S", header->value, name);
        return;
    }
    tims_set_header(rq, TIMS_STR("Vary"), name);
}

/* --- writing ---------------------------------------------------------------------------------- */

static char *put_header(char *at, tims_str name, tims_str value)
{
    at = http__put(at, name);
    *at++ = ':';
    *at++ = ' ';
    at = http__put(at, value);
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

static char *put_status_line(char *at, int status)
{
    if (status == 200)
        return http__put(at, TIMS_STR("HTTP/1.1 200 OK\r\n"));
    at = http__put(at, TIMS_STR("HTTP/1.1 "));
    at = http__put_number(at, (uint64_t)status);
    *at++ = ' ';
    at = http__put(at, http__reason(status));
    return http__put(at, TIMS_STR("\r\n"));
}

/* The same as default_headers, for the common answer that replaces none of them. */
static const tims_str default_block =
    TIMS_STR_INIT("X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"
                  "Referrer-Policy: strict-origin-when-cross-origin\r\n"
                  "Cross-Origin-Opener-Policy: same-origin\r\n");

static char *put_default_headers(char *at, const http__exchange *exchange)
{
    const tims_request *rq = &exchange->rq;
    if (rq->out_header_count == 0)
        at = http__put(at, default_block);
    for (size_t i = 0; rq->out_header_count > 0 && i < DEFAULT_COUNT; i++)
        if (!is_replaced(rq, default_headers[i].name))
            at = put_header(at, default_headers[i].name, default_headers[i].value);
    return rq->secure ? http__put(at, strict_transport) : at;
}

static char *put_framing(char *at, http__exchange *exchange, int status, int64_t content_length)
{
    if (content_length >= 0) {
        at = http__put(at, TIMS_STR("Content-Length: "));
        at = http__put_number(at, (uint64_t)content_length);
        at = http__put(at, TIMS_STR("\r\n"));
    } else if (exchange->chunked) {
        at = http__put(at, TIMS_STR("Transfer-Encoding: chunked\r\n"));
    }
    if (status == 101)
        return at;
    if (!exchange->keep_alive)
        return http__put(at, TIMS_STR("Connection: close\r\n"));
    return exchange->old_version ? http__put(at, TIMS_STR("Connection: keep-alive\r\n")) : at;
}

void http__worker_date(http__worker *worker)
{
    int64_t second = tims_loop_now_us(worker->loop) / 1000000;
    if (second == worker->date_second)
        return;
    worker->date_second = second;
    tims_http_date_format(tims_now().us / 1000000, worker->date);
}

void http__head_write(http__exchange *exchange, int status, tims_str content_type, int64_t content_length)
{
    tims_request *rq = &exchange->rq;
    http__worker *worker = exchange->worker;
    http__worker_date(worker);
    size_t bound =
        1024 + content_type.length + rq->id.length + rq->out_header_bytes + 4 * rq->out_header_count;
    char *start = http__out_reserve(exchange->connection, bound);
    char *at = put_status_line(start, status);
    at = put_header(at, TIMS_STR("Date"), (tims_str){ worker->date, TIMS_HTTP_DATE_LENGTH });
    if (content_type.length > 0)
        at = put_header(at, TIMS_STR("Content-Type"), content_type);
    at = put_framing(at, exchange, status, content_length);
    at = put_default_headers(at, exchange);
    at = put_header(at, TIMS_STR("X-Request-Id"), rq->id);
    for (size_t i = 0; i < rq->out_header_count; i++)
        at = put_header(at, rq->out_headers[i].name, rq->out_headers[i].value);
    at = http__put(at, TIMS_STR("\r\n"));
    TIMS_ASSERT((size_t)(at - start) <= bound);
    http__out_commit(exchange->connection, (size_t)(at - start));
    exchange->head_sent = true;
    exchange->status = status;
}
