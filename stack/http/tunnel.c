/* tunnel.c: an upgraded connection relayed to an upstream, byte for byte.
 *
 *   client ── raw callbacks ──► upstream's stream         (paused while the upstream does not take it)
 *   client ◄── this fiber ◄── the exchange's incoming     (suspends while the client does not take it)
 *
 * Only one direction waits on the fiber, so two ends that both write and do not read cannot lock each
 * other. */
#include "http/client_internal.h"
#include "http/http_internal.h"

enum { QUEUE_BYTES_MAX = 64 * 1024, HEADERS_MAX = 128 };

typedef struct tunnel {
    tims_request *rq;
    tims_fetch_stream *fetch;
    bool client_ended, client_paused;
} tunnel;

static void relay_to_upstream(void *ctx, tims_str bytes)
{
    tunnel *t = ctx;
    http__upstream *upstream = t->fetch->peer;
    if (upstream == NULL || tims_stream_write(upstream->stream, &bytes, 1) != TIMS_OK)
        return; /* the fiber sees the end */
    if (t->fetch->peer != NULL && tims_stream_queued(upstream->stream) > QUEUE_BYTES_MAX) {
        t->client_paused = true;
        http__raw_pause(t->rq);
    }
}

static void end_client(void *ctx)
{
    tunnel *t = ctx;
    t->client_ended = true;
    if (t->fetch->waiter != NULL)
        tims_fiber_wake(t->fetch->waiter);
}

static void ignore_bytes(void *ctx, tims_str bytes)
{
    (void)ctx, (void)bytes;
}

static void ignore_end(void *ctx)
{
    (void)ctx;
}

static const http__raw_events relaying = { .on_data = relay_to_upstream, .on_end = end_client };
static const http__raw_events deaf = { .on_data = ignore_bytes, .on_end = ignore_end };

/* The connection outlives the request, and with it our context. */
static void stop_listening(void *argument)
{
    tims_request *rq = argument;
    if (rq->exchange->connection != NULL && rq->exchange->connection->raw_events == &relaying)
        rq->exchange->connection->raw_events = &deaf;
}

/* --- the request --------------------------------------------------------------------------------- */

/* Meant for one hop only, or written by the client itself. */
static bool is_hop_header(tims_str name)
{
    static const tims_str names[] = { TIMS_STR_INIT("connection"),
                                      TIMS_STR_INIT("keep-alive"),
                                      TIMS_STR_INIT("te"),
                                      TIMS_STR_INIT("trailer"),
                                      TIMS_STR_INIT("transfer-encoding"),
                                      TIMS_STR_INIT("content-length"),
                                      TIMS_STR_INIT("upgrade"),
                                      TIMS_STR_INIT("expect"),
                                      TIMS_STR_INIT("proxy-connection"),
                                      TIMS_STR_INIT("proxy-authorization") };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (tims_str_equal_ignoring_case(name, names[i]))
            return true;
    return false;
}

/* A header named in Connection is for one hop, too. */
static size_t copy_headers(const tims_request *rq, tims_header *out)
{
    tims_str connection = tims_header_of(rq, TIMS_STR("Connection"));
    tims_str upgrade = tims_header_of(rq, TIMS_STR("Upgrade"));
    size_t count = 0;
    for (size_t i = 0; i < rq->header_count && count < HEADERS_MAX - 2; i++)
        if (!is_hop_header(rq->headers[i].name) && !tims_header_has_token(connection, rq->headers[i].name))
            out[count++] = rq->headers[i];
    if (upgrade.data != NULL && tims_header_has_token(connection, TIMS_STR("upgrade"))) {
        out[count++] = (tims_header){ TIMS_STR("Connection"), TIMS_STR("Upgrade") };
        out[count++] = (tims_header){ TIMS_STR("Upgrade"), upgrade };
    }
    return count;
}

/* --- the relay ----------------------------------------------------------------------------------- */

static tims_status send_switch(tims_request *rq, const tims_fetched *head)
{
    tims_buf text;
    tims_buf_init(&text, rq->arena, SIZE_MAX / 2);
    tims_buf_append_str(&text, TIMS_STR("HTTP/1.1 101 Switching Protocols\r\n"));
    for (size_t i = 0; i < head->header_count; i++)
        tims_buf_print(&text, "%S: %S\r\n", head->headers[i].name, head->headers[i].value);
    tims_buf_append_str(&text, TIMS_STR("\r\n"));
    return http__raw_write(rq, tims_buf_str(&text));
}

static void let_client_send(tunnel *t)
{
    if (t->client_paused && t->fetch->peer != NULL && tims_stream_queued(t->fetch->peer->stream) == 0) {
        t->client_paused = false;
        http__raw_resume(t->rq);
    }
}

static void relay(tunnel *t)
{
    tims_status status = TIMS_OK;
    while (status == TIMS_OK && !t->client_ended) {
        let_client_send(t);
        if (t->fetch->incoming.length > 0) {
            tims_str bytes;
            status = tims_fetch_next(t->fetch, &bytes, NULL);
            if (status == TIMS_OK)
                status = http__raw_write(t->rq, bytes);
        } else if (t->fetch->ended || t->fetch->failed != TIMS_OK) {
            return;
        } else {
            status = http__fetch_wait(t->fetch);
        }
    }
}

static tims_answer switch_protocols(tims_request *rq, tims_fetch_stream *fetch, const tims_fetched *head)
{
    tunnel *t = TIMS_NEW(rq->arena, tunnel);
    t->rq = rq;
    t->fetch = fetch;
    fetch->deadline_us = 0;
    tims_defer(rq, stop_listening, rq);
    if (http__raw_begin(rq, &relaying, t) == TIMS_OK && !t->client_ended && send_switch(rq, head) == TIMS_OK)
        relay(t);
    stop_listening(rq);
    tims_fetch_close(&fetch);
    return tims_answer_sent();
}

/* The upstream did not upgrade: its answer is the answer. */
static tims_answer pass_answer(tims_request *rq, tims_fetch_stream *fetch, const tims_fetched *head)
{
    tims_buf body;
    tims_error err = { 0 };
    tims_buf_init(&body, rq->arena, SIZE_MAX / 2);
    tims_str bytes;
    tims_status status;
    while ((status = tims_fetch_next(fetch, &bytes, &err)) == TIMS_OK && bytes.length > 0)
        tims_buf_append_str(&body, bytes);
    tims_fetch_close(&fetch);
    if (status != TIMS_OK)
        tims_raise(rq, 502, "bad_gateway", "%s", err.message);
    tims_str type = tims_header_get(head->headers, head->header_count, TIMS_STR("Content-Type"));
    return tims_answer_bytes(head->status, type, tims_buf_str(&body));
}

tims_answer tims_answer_tunnel(tims_request *rq, tims_str upstream_url)
{
    tims_header *headers = TIMS_NEW_ARRAY(rq->arena, tims_header, HEADERS_MAX);
    tims_fetch_options options = { .method = rq->method,
                                   .url = upstream_url,
                                   .headers = headers,
                                   .header_count = copy_headers(rq, headers),
                                   .body_bytes_max = SIZE_MAX };
    tims_fetch_stream *fetch = NULL;
    tims_fetched head;
    tims_error err = { 0 };
    if (http__fetch_open(rq->arena, &options, true, &fetch, &head, &err) != TIMS_OK)
        tims_raise(rq, 502, "bad_gateway", "%s", err.message);
    return head.status == 101 ? switch_protocols(rq, fetch, &head) : pass_answer(rq, fetch, &head);
}
