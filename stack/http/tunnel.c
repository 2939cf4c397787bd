/* tunnel.c: an upgraded connection relayed to an upstream, byte for byte.
 *
 *   client ── raw callbacks ──► upstream's stream         (paused while the upstream does not take it)
 *   client ◄── this fiber ◄── the exchange's incoming     (suspends while the client does not take it)
 *
 * Only one direction waits on the fiber, so two ends that both write and do not read cannot lock each
 * other. */
#include "http/client_internal.h"
#include "http/http_internal.h"

enum { QUEUE_BYTES_MAX = 64 * 1024 };

typedef struct tunnel {
    tims_request *rq;
    tims_fetch_stream *fetch;
    int64_t last_us; /* when something passed */
    bool client_ended, client_paused;
} tunnel;

static void relay_to_upstream(void *ctx, tims_str bytes)
{
    tunnel *t = ctx;
    http__upstream *upstream = t->fetch->peer;
    t->last_us = tims_monotonic_us();
    if (upstream == NULL || http__upstream_write(upstream, &bytes, 1) != TIMS_OK)
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

/* The upstream has taken all: it may be that the fiber waits for the client, who reads when all is sent. */
static void let_client_send(void *ctx)
{
    tunnel *t = ctx;
    if (t->client_paused) {
        t->client_paused = false;
        http__raw_resume(t->rq);
    }
}

/* The connection outlives the request, and with it our context. */
static void stop_listening(void *argument)
{
    tunnel *t = argument;
    const http__exchange *exchange = t->rq->exchange;
    if (t->fetch != NULL)
        t->fetch->on_room = NULL;
    if (exchange->connection != NULL && exchange->connection->raw_events == &relaying)
        exchange->connection->raw_events = &deaf;
}

/* What passes on the other way does not wake the fiber, so a deadline that passed may be an old one. */
static tims_status wait(tunnel *t, int64_t idle_ms)
{
    t->fetch->deadline_us = idle_ms > 0 ? t->last_us + idle_ms * 1000 : 0;
    tims_status status = http__fetch_wait(t->fetch);
    bool is_alive = status == TIMS_TIMEOUT && t->last_us + idle_ms * 1000 > tims_monotonic_us();
    return is_alive ? TIMS_OK : status;
}

static void relay(tunnel *t, int64_t idle_ms)
{
    tims_status status = TIMS_OK;
    while (status == TIMS_OK && !t->client_ended) {
        if (t->fetch->incoming.length > 0) {
            status = http__raw_write(t->rq, http__fetch_take(t->fetch));
            t->last_us = tims_monotonic_us();
        } else if (t->fetch->ended || t->fetch->failed != TIMS_OK) {
            return;
        } else {
            status = wait(t, idle_ms);
        }
    }
}

tims_answer http__tunnel(tims_request *rq, tims_fetch_stream *fetch, tims_str head, int64_t idle_ms)
{
    tunnel *t = TIMS_NEW(rq->arena, tunnel);
    *t = (tunnel){ .rq = rq, .fetch = fetch, .last_us = tims_monotonic_us() };
    fetch->on_room = let_client_send;
    fetch->room_ctx = t;
    tims_defer(rq, stop_listening, t);
    if (http__raw_begin(rq, &relaying, t) == TIMS_OK && !t->client_ended &&
        http__raw_write(rq, head) == TIMS_OK)
        relay(t, idle_ms);
    stop_listening(t);
    tims_fetch_close(&t->fetch);
    return tims_answer_sent();
}

tims_answer tims_answer_tunnel(tims_request *rq, tims_str upstream_url)
{
    tims_url url;
    tims_error err = { 0 };
    tims_answer answer;
    size_t count = 0;
    tims_header *headers = TIMS_NEW_ARRAY(rq->arena, tims_header, rq->header_count + 1);
    for (size_t i = 0; i < rq->header_count; i++)
        if (tims_header_is_end_to_end(rq->headers, rq->header_count, rq->headers[i].name))
            headers[count++] = rq->headers[i];
    if (tims_url_parse(rq->arena, upstream_url, &url, &err) != TIMS_OK)
        tims_raise(rq, 502, "bad_gateway", "%s", err.message);
    tims_str target = url.query.length > 0 ? tims_print(rq->arena, "%S?%S", url.path, url.query) : url.path;
    const tims_forward_options options = {
        .upstream = &url, .target = target, .headers = headers, .header_count = count, .may_upgrade = true
    };
    if (tims_forward(rq, &options, &answer, &err) != TIMS_OK)
        tims_raise(rq, 502, "bad_gateway", "%s", err.message);
    return answer;
}
