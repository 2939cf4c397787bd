/* forward.c: a request passed on to an upstream and its answer passed back, both as they come.
 *
 *   client ── body, parsed ──► incoming of http's exchange ──► framed anew ──► upstream's stream
 *   client ◄── output buffer ◄── framed anew ◄── incoming of the fetch ◄── answer, parsed
 *
 * One fiber moves both ways, whichever has something: the body's arrival, the upstream's and room at either
 * end wake the same fiber, which waits for none of them alone: a client that does not read its answer can
 * still send. Each way has a bounded queue, past which its sender has to wait, so memory does not grow with
 * what passes. Neither side's framing reaches the other: what is sent was parsed and is framed by us, so the
 * two ends cannot come to see different messages in the same bytes.
 *
 * Whom to ask, with which headers, and what of the answer's is kept is the caller's affair (room proxy). */
#include "http/client_internal.h"
#include "http/http_internal.h"

#include <stdio.h>

enum {
    QUEUE_BYTES_MAX = 64 * 1024,
    CONNECT_MS = 5000,
    HEAD_MS = 60 * 1000,
    IDLE_MS = 60 * 1000,
    REQUEST_HEAD_BYTES_MAX = 256 * 1024
};

typedef struct forward {
    tims_request *rq;
    http__exchange *exchange;
    const tims_forward_options *options;
    tims_fetch_stream *fetch;
    bool asks_upgrade, is_chunked; /* of the request's body */
    bool body_begun;               /* a byte of it is gone: never again */
    bool upload_broken;            /* the upstream reads no more; it may still answer */
    bool is_reused;
} forward;

/* --- the request ------------------------------------------------------------------------------- */

static int64_t or_default(int64_t given_ms, int64_t default_ms)
{
    return given_ms > 0 ? given_ms : default_ms;
}

static int64_t body_length(const forward *f)
{
    uint32_t with_body = TIMS_METHOD_POST | TIMS_METHOD_PUT | TIMS_METHOD_PATCH;
    if (f->is_chunked)
        return HTTP__BODY_CHUNKED;
    if (f->exchange->content_length > 0)
        return f->exchange->content_length;
    return (f->rq->method & with_body) != 0 ? 0 : HTTP__BODY_NONE;
}

/* The address with our target, as the writer of requests wants it. */
static tims_url url_of(const forward *f)
{
    tims_url url = *f->options->upstream;
    url.path = f->options->target;
    url.query = (tims_str){ 0 };
    return url;
}

static tims_status send_head(forward *f, const tims_url *url)
{
    const tims_forward_options *o = f->options;
    tims_fetch_options options = { .method = f->rq->method,
                                   .headers = o->headers,
                                   .header_count = o->header_count };
    if (f->asks_upgrade) {
        tims_header *headers = TIMS_NEW_ARRAY(f->rq->arena, tims_header, o->header_count + 2);
        memcpy(headers, o->headers, o->header_count * sizeof *headers);
        headers[options.header_count++] = (tims_header){ TIMS_STR("Connection"), TIMS_STR("Upgrade") };
        headers[options.header_count++] = (tims_header){ TIMS_STR("Upgrade"), TIMS_STR("websocket") };
        options.headers = headers;
    }
    tims_buf head;
    tims_buf_init(&head, f->rq->arena, REQUEST_HEAD_BYTES_MAX);
    tims_buf_reserve(&head, 1024);
    http__request_write(&head, &options, url, body_length(f));
    tims_str bytes = tims_buf_str(&head);
    return head.overflow ? TIMS_TOO_LARGE : http__upstream_write(f->fetch->peer, &bytes, 1);
}

static bool is_idempotent(tims_method method)
{
    return (method & (TIMS_METHOD_POST | TIMS_METHOD_PATCH)) == 0;
}

static tims_status open_upstream(forward *f, bool fresh, tims_error *err)
{
    tims_url url = url_of(f);
    http__upstream *peer = NULL;
    tims_fetch_options options = { .method = f->rq->method, .timeout_ms = -1, .body_bytes_max = SIZE_MAX };
    f->fetch = http__fetch_new(f->rq->arena, &options);
    f->fetch->is_streaming = true;
    const http__upstream_options wanted = { .url = &url,
                                            .trust = f->options->trust,
                                            .fresh = fresh || f->asks_upgrade,
                                            .is_safe = is_idempotent(f->rq->method),
                                            .timeout_ms = or_default(f->options->connect_ms, CONNECT_MS) };
    tims_status status = http__upstream_get(f->rq->loop, &wanted, &peer, err);
    if (status != TIMS_OK)
        return status;
    http__upstream_attach(peer, f->fetch);
    f->is_reused = peer->is_reused;
    if (send_head(f, &url) != TIMS_OK) {
        f->fetch->failed = TIMS_UNAVAILABLE;
        return http__fetch_report(TIMS_UNAVAILABLE, err);
    }
    f->fetch->request_done = !f->exchange->body_expected;
    return TIMS_OK;
}

/* --- the body, upwards ------------------------------------------------------------------------- */

static bool wants_body(const forward *f)
{
    return !f->fetch->request_done && !f->upload_broken && f->fetch->peer != NULL;
}

static bool may_send(const forward *f)
{
    return wants_body(f) && tims_stream_queued(f->fetch->peer->stream) < QUEUE_BYTES_MAX;
}

static tims_status send_piece(forward *f, tims_str bytes)
{
    char size[24];
    tims_str slices[3] = { { size, 0 }, bytes, TIMS_STR_INIT("\r\n") };
    if (!f->is_chunked)
        return bytes.length > 0 ? http__upstream_write(f->fetch->peer, &bytes, 1) : TIMS_OK;
    slices[0].length = (size_t)snprintf(size, sizeof size, "%zx\r\n", bytes.length);
    return http__upstream_write(f->fetch->peer, slices, 3); /* the last chunk: "0", an empty line */
}

/* Moves a piece, if there is one and the upstream takes it. */
static bool move_up(forward *f)
{
    tims_str bytes;
    if (!may_send(f))
        return false;
    tims_status status = http__body_take(f->exchange, &bytes);
    if (status == TIMS_BUSY)
        return false;
    if (status != TIMS_OK) {
        tims_fetch_close(&f->fetch); /* the upstream must not take it for whole */
        http__body_raise(f->exchange);
    }
    bool is_end = bytes.length == 0;
    f->body_begun = true;
    if (f->fetch->peer == NULL || send_piece(f, bytes) != TIMS_OK)
        f->upload_broken = true;
    else
        f->fetch->request_done = is_end;
    return true;
}

/* --- the answer, downwards --------------------------------------------------------------------- */

/* What is said once for the connection or by us alone is not the upstream's to say. */
static bool is_ours(tims_str name)
{
    static const tims_str names[] = { TIMS_STR_INIT("date"), TIMS_STR_INIT("x-request-id"),
                                      TIMS_STR_INIT("content-type"), TIMS_STR_INIT("alt-svc"),
                                      TIMS_STR_INIT("strict-transport-security") };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].length == name.length && tims_str_equal_ignoring_case(names[i], name))
            return true;
    return false;
}

static bool may_repeat_header(tims_str name)
{
    return tims_str_equal_ignoring_case(name, TIMS_STR("set-cookie")) ||
           tims_str_equal_ignoring_case(name, TIMS_STR("vary"));
}

/* Behind those that were set here already, which win. False: too many bytes. */
static bool pass_headers(forward *f)
{
    tims_request *rq = f->rq;
    const tims_http1_head *head = &f->fetch->head;
    size_t own = rq->out_header_count, count = own, bytes = rq->out_header_bytes;
    tims_header *headers = TIMS_NEW_ARRAY(rq->arena, tims_header, own + head->header_count + 1);
    if (own > 0)
        memcpy(headers, rq->out_headers, own * sizeof *headers);
    for (size_t i = 0; i < head->header_count; i++) {
        tims_header header = head->headers[i];
        if (is_ours(header.name) ||
            !tims_header_is_end_to_end(head->headers, head->header_count, header.name) ||
            (!may_repeat_header(header.name) && tims_header_get(headers, own, header.name).data != NULL) ||
            (f->options->keep_header != NULL && !f->options->keep_header(f->options->ctx, rq, &header)))
            continue;
        headers[count++] = header;
        bytes += header.name.length + header.value.length;
    }
    if (bytes > HTTP__OUT_HEADER_BYTES_MAX)
        return false;
    rq->out_headers = headers;
    rq->out_header_count = rq->out_header_capacity = count;
    rq->out_header_bytes = bytes;
    return true;
}

/* An answer that is here already in whole needs no chunks. */
static int64_t answer_length(const forward *f)
{
    const tims_fetch_stream *fetch = f->fetch;
    if (fetch->head.status == 204)
        return -1;
    if (fetch->head.content_length >= 0 || f->exchange->is_head || fetch->head.status == 304)
        return fetch->head.content_length;
    return fetch->ended && fetch->failed == TIMS_OK ? (int64_t)fetch->incoming.length : -1;
}

static void note_head(const forward *f)
{
    if (f->options->on_head != NULL)
        f->options->on_head(f->options->ctx, f->rq);
}

static tims_status begin_answer(forward *f)
{
    const tims_http1_head *head = &f->fetch->head;
    if (head->status < 200 || head->status > 599)
        return TIMS_MALFORMED;
    if (!pass_headers(f))
        return TIMS_TOO_LARGE;
    note_head(f);
    tims_str type = tims_header_get(head->headers, head->header_count, TIMS_STR("content-type"));
    http__stream_begin(f->rq, head->status, type, answer_length(f));
    return TIMS_OK;
}

static bool may_pass_down(const forward *f)
{
    return f->fetch->incoming.length > 0 && !http__stream_is_full(f->exchange);
}

/* Moves what has come, while the client takes it. Raises when it has gone. */
static tims_status move_down(forward *f, bool *ret_moved)
{
    tims_status status = TIMS_OK;
    if (!f->fetch->has_head)
        return TIMS_OK;
    if (!f->exchange->head_sent && f->fetch->failed != TIMS_OK)
        return f->fetch->failed; /* broken at once: better said than shown */
    if (!f->exchange->head_sent) {
        *ret_moved = true;
        status = begin_answer(f);
    }
    if (status == TIMS_OK && may_pass_down(f)) {
        *ret_moved = true;
        http__stream_put(f->rq, http__fetch_take(f->fetch));
    }
    return status;
}

/* --- both ways --------------------------------------------------------------------------------- */

/* A client that is slow with its body, or with the answer, has timeouts of its own, the connection's. */
static int64_t patience_ms(const forward *f)
{
    if (f->exchange->waiting_for_room)
        return 0;
    if (f->fetch->has_head)
        return or_default(f->options->idle_ms, IDLE_MS);
    return may_send(f) ? 0 : or_default(f->options->head_ms, HEAD_MS);
}

static tims_status wait(forward *f, int64_t *since_us)
{
    bool is_held_up = f->fetch->incoming.length > 0; /* by the client alone */
    f->exchange->waiting_for_room = is_held_up;
    int64_t ms = patience_ms(f);
    f->fetch->deadline_us = ms > 0 ? *since_us + ms * 1000 : 0;
    f->exchange->waiting_for_body = wants_body(f);
    tims_status status = http__fetch_wait(f->fetch);
    f->exchange->waiting_for_body = f->exchange->waiting_for_room = false;
    if (is_held_up)
        *since_us = tims_monotonic_us();
    return status;
}

static bool is_switched(const forward *f)
{
    return f->fetch->has_head && f->fetch->is_raw;
}

static tims_status pump(forward *f)
{
    int64_t moved_us = tims_monotonic_us();
    while (!is_switched(f)) {
        bool moved = move_up(f);
        tims_status status = move_down(f, &moved);
        if (status != TIMS_OK)
            return status;
        if (f->fetch->incoming.length == 0 && f->fetch->ended && f->exchange->head_sent)
            return TIMS_OK;
        if (f->fetch->incoming.length == 0 && f->fetch->failed != TIMS_OK)
            return f->fetch->failed;
        if (moved)
            moved_us = tims_monotonic_us();
        else if ((status = wait(f, &moved_us)) != TIMS_OK)
            return status;
    }
    return TIMS_OK;
}

/* --- upgrades ---------------------------------------------------------------------------------- */

/* Only websockets: what else there is to upgrade to (h2c) would carry requests past everything that looks at
 * requests. */
static bool wants_websocket(const tims_request *rq)
{
    bool names_upgrade = false;
    for (size_t i = 0; i < rq->header_count; i++)
        if (tims_str_equal_ignoring_case(rq->headers[i].name, TIMS_STR("connection")))
            names_upgrade |= tims_header_has_token(rq->headers[i].value, TIMS_STR("upgrade"));
    return rq->method == TIMS_METHOD_GET && names_upgrade && !rq->exchange->body_expected &&
           tims_str_equal_ignoring_case(tims_header_of(rq, TIMS_STR("upgrade")), TIMS_STR("websocket"));
}

static void check_origin(tims_request *rq)
{
    tims_str origin = tims_header_of(rq, TIMS_STR("Origin"));
    if (origin.data != NULL && !http__origin_is_allowed(rq, &rq->exchange->worker->server->options, origin))
        tims_raise(rq, 403, "origin", "This page's origin may not connect here.");
}

static tims_status switch_protocols(forward *f, tims_answer *ret_answer)
{
    tims_request *rq = f->rq;
    const tims_http1_head *head = &f->fetch->head;
    tims_str named = tims_header_get(head->headers, head->header_count, TIMS_STR("upgrade"));
    if (!f->asks_upgrade || !tims_str_equal_ignoring_case(named, TIMS_STR("websocket")) || !pass_headers(f))
        return TIMS_MALFORMED;
    tims_buf text;
    tims_buf_init(&text, rq->arena, SIZE_MAX / 2);
    tims_buf_append_str(&text, TIMS_STR("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                                        "Upgrade: websocket\r\n"));
    for (size_t i = 0; i < rq->out_header_count; i++)
        tims_buf_print(&text, "%S: %S\r\n", rq->out_headers[i].name, rq->out_headers[i].value);
    tims_buf_print(&text, "X-Request-Id: %S\r\n\r\n", rq->id);
    note_head(f);
    *ret_answer = http__tunnel(rq, f->fetch, tims_buf_str(&text), f->options->tunnel_idle_ms);
    return TIMS_OK;
}

/* --- the call ---------------------------------------------------------------------------------- */

/* It was never heard: an old connection that was closed under the request. */
static bool may_try_again(const forward *f, tims_status status)
{
    return f->is_reused && status == TIMS_UNAVAILABLE && is_idempotent(f->rq->method) && !f->body_begun &&
           f->fetch != NULL && !f->fetch->any_bytes && !f->exchange->head_sent;
}

static tims_status attempt(forward *f, bool fresh, tims_error *err)
{
    tims_status status = open_upstream(f, fresh, err);
    if (status != TIMS_OK)
        return status;
    status = pump(f);
    return status == TIMS_OK ? TIMS_OK : http__fetch_report(status, err);
}

tims_status tims_forward(tims_request *rq, const tims_forward_options *options, tims_answer *ret_answer,
                         tims_error *err)
{
    http__exchange *exchange = rq->exchange;
    TIMS_ASSERT(exchange != NULL && !exchange->head_sent);
    tims_fetch_options checked = { .headers = options->headers, .header_count = options->header_count };
    tims_status status = http__request_check(&checked, err);
    if (status != TIMS_OK)
        return status;
    forward *f = TIMS_NEW(rq->arena, forward);
    *f = (forward){ .rq = rq, .exchange = exchange, .options = options };
    f->is_chunked = exchange->body_expected && exchange->content_length < 0;
    f->asks_upgrade = options->may_upgrade && wants_websocket(rq);
    if (f->asks_upgrade && options->check_origin)
        check_origin(rq);
    (void)tims_fiber_set_deadline(0); /* not the route's: a stream may take as long as it moves */
    status = attempt(f, false, err);
    if (status != TIMS_OK && may_try_again(f, status)) {
        tims_fetch_close(&f->fetch);
        status = attempt(f, true, err);
    }
    *ret_answer = tims_answer_sent();
    if (status == TIMS_OK && is_switched(f) && switch_protocols(f, ret_answer) != TIMS_OK)
        status = http__fetch_report(TIMS_MALFORMED, err);
    if (status != TIMS_OK && f->fetch != NULL)
        tims_fetch_close(&f->fetch);
    return status;
}
