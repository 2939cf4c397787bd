/* client_pool.c: connections to upstreams, kept alive per loop.
 *
 *   connect ─► attached to an exchange ─► (answer complete, keep-alive) idle ─► attached again …
 *                     └────────── anything else ──────────┴─ timer, end of input ─► closed ─► freed in
 * on_closed
 *
 * A connection keeps reading while it is idle, so one that the upstream closes leaves the pool at once; what
 * remains of the race is handled by the retry in client.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/client_internal.h"

static const tims_http1_limits response_limits = { .line_bytes_max = 16 << 10,
                                                   .header_bytes_max = 64 << 10,
                                                   .header_count_max = 200,
                                                   .body_bytes_max = INT64_MAX };

/* --- the pool ------------------------------------------------------------------------------------ */

static http__pool *pool_of(tims_loop *loop)
{
    http__pool *pool = tims_loop_get_slot(loop, TIMS_LOOP_SLOT_FETCH);
    if (pool == NULL) {
        pool = calloc(1, sizeof *pool);
        TIMS_ASSERT(pool != NULL);
        pool->magic = HTTP__POOL_MAGIC;
        pool->loop = loop;
        tims_loop_set_slot(loop, TIMS_LOOP_SLOT_FETCH, pool);
    }
    TIMS_CHECK_MAGIC(pool, HTTP__POOL_MAGIC);
    return pool;
}

static void leave_idle(http__upstream *peer)
{
    http__pool *pool = peer->pool;
    TIMS_ASSERT(peer->is_idle && pool->idle_count > 0);
    if (peer->previous != NULL)
        peer->previous->next = peer->next;
    else
        pool->idle = peer->next;
    if (peer->next != NULL)
        peer->next->previous = peer->previous;
    peer->next = peer->previous = NULL;
    peer->is_idle = false;
    pool->idle_count--;
    tims_timer_clear(&peer->idle_timer);
}

static void close_peer(http__upstream *peer)
{
    if (peer->closing)
        return;
    peer->closing = true;
    if (peer->is_idle)
        leave_idle(peer);
    tims_stream_close(peer->stream);
}

static void expire(void *argument)
{
    http__upstream *peer = argument;
    TIMS_CHECK_MAGIC(peer, HTTP__UPSTREAM_MAGIC);
    close_peer(peer);
}

static void enter_idle(http__upstream *peer)
{
    http__pool *pool = peer->pool;
    if (pool->idle_count == HTTP__IDLE_UPSTREAMS_MAX || pool->closing) {
        close_peer(peer);
        return;
    }
    peer->next = pool->idle;
    if (pool->idle != NULL)
        pool->idle->previous = peer;
    pool->idle = peer;
    pool->idle_count++;
    peer->is_idle = true;
    peer->idle_since_us = tims_loop_now_us(pool->loop);
    tims_http1_rest(peer->parser);
    tims_timer_set(pool->loop, &peer->idle_timer, HTTP__IDLE_MS, expire, peer);
}

static void free_pool_when_empty(http__pool *pool)
{
    if (!pool->closing || pool->peer_count > 0)
        return;
    tims_loop_set_slot(pool->loop, TIMS_LOOP_SLOT_FETCH, NULL);
    pool->magic = 0;
    free(pool);
}

void tims_fetch_shutdown(tims_loop *loop)
{
    http__pool *pool = tims_loop_get_slot(loop, TIMS_LOOP_SLOT_FETCH);
    if (pool == NULL)
        return;
    pool->closing = true;
    while (pool->idle != NULL)
        close_peer(pool->idle);
    free_pool_when_empty(pool);
}

/* --- what the parser tells ----------------------------------------------------------------------- */

static bool take_head(void *ctx, const tims_http1_head *head)
{
    http__upstream *peer = ctx;
    tims_fetch_stream *fetch = peer->fetch;
    bool is_interim = head->status < 200 && head->status != 101;
    if (fetch == NULL)
        return true;
    if (is_interim) {
        if (++fetch->interim_count > HTTP__INTERIM_MAX)
            fetch->failed = TIMS_MALFORMED;
        return fetch->failed == TIMS_OK;
    }
    fetch->head_arena = tims_arena_new(HTTP__FETCH_HEAD_BYTES_MAX, NULL, NULL);
    fetch->head = tims_http1_head_copy(fetch->head_arena, head);
    fetch->has_head = true;
    return true;
}

static bool take_body(void *ctx, tims_str bytes)
{
    http__upstream *peer = ctx;
    tims_fetch_stream *fetch = peer->fetch;
    if (fetch == NULL || fetch->failed != TIMS_OK)
        return true;
    fetch->received += bytes.length;
    if (fetch->received > fetch->body_bytes_max) {
        fetch->failed = TIMS_TOO_LARGE;
        return true;
    }
    tims_buf_append_str(&fetch->incoming, bytes);
    if (fetch->is_streaming && fetch->incoming.length > HTTP__FETCH_QUEUE_BYTES && !fetch->paused) {
        fetch->paused = true;
        tims_stream_pause(peer->stream);
    }
    return true;
}

/* Stops behind every final answer: nothing may follow it before the next request. */
static bool take_end(void *ctx)
{
    http__upstream *peer = ctx;
    tims_fetch_stream *fetch = peer->fetch;
    if (fetch == NULL || !fetch->has_head)
        return true;
    if (fetch->head.upgrade)
        fetch->is_raw = true;
    else
        fetch->ended = true;
    return false;
}

static const tims_http1_events parser_events = { .on_head = take_head,
                                                 .on_body = take_body,
                                                 .on_end = take_end };

/* --- what the stream tells ----------------------------------------------------------------------- */

static void wake(tims_fetch_stream *fetch)
{
    if (fetch->waiter != NULL)
        tims_fiber_wake(fetch->waiter);
}

/* After anything happened: is the exchange over, and what becomes of the connection? */
static void settle(http__upstream *peer, bool is_clean)
{
    tims_fetch_stream *fetch = peer->fetch;
    wake(fetch);
    if (fetch->failed != TIMS_OK)
        http__upstream_detach(peer, false);
    else if (fetch->ended)
        http__upstream_detach(peer, is_clean && fetch->request_done && !fetch->is_raw &&
                                        fetch->head.keep_alive && !peer->input_ended &&
                                        tims_stream_queued(peer->stream) == 0);
}

static size_t feed_parser(http__upstream *peer, tims_str bytes)
{
    size_t used = 0;
    int http_status = 0;
    tims_status status = tims_http1_feed(peer->parser, bytes, &used, &http_status, NULL);
    if (status != TIMS_OK && peer->fetch->failed == TIMS_OK)
        peer->fetch->failed = status;
    return used;
}

static void take_plain(http__upstream *peer, tims_str bytes)
{
    tims_fetch_stream *fetch = peer->fetch;
    if (fetch == NULL && peer->shaking != NULL) { /* an answer before the question; who shakes hands closes */
        peer->shaken = TIMS_IO;
        return;
    }
    if (fetch == NULL) { /* nobody asked */
        close_peer(peer);
        return;
    }
    fetch->any_bytes = true;
    size_t used = fetch->is_raw ? 0 : feed_parser(peer, bytes);
    tims_str rest = tims_str_slice(bytes, used, bytes.length);
    if (fetch->is_raw && rest.length > 0)
        (void)take_body(peer, rest);
    settle(peer, rest.length == 0);
}

static void end_shaking(http__upstream *peer, tims_status status)
{
    if (peer->shaken == TIMS_OK)
        peer->shaken = status;
    if (peer->shaken != TIMS_OK || http__client_tls_is_open(peer))
        tims_fiber_wake(peer->shaking);
}

static void end_plain(http__upstream *peer, tims_status why)
{
    tims_fetch_stream *fetch = peer->fetch;
    peer->input_ended = true;
    if (peer->closing)
        return;
    if (fetch == NULL) {
        close_peer(peer);
        return;
    }
    if (fetch->is_raw)
        fetch->ended = true;
    else if (why == TIMS_CLOSED)
        (void)tims_http1_finish(peer->parser); /* an answer may end so; then take_end was told */
    if (!fetch->ended)
        fetch->failed = TIMS_UNAVAILABLE;
    settle(peer, false);
}

static void receive(void *ctx, tims_str bytes)
{
    http__upstream *peer = ctx;
    TIMS_CHECK_MAGIC(peer, HTTP__UPSTREAM_MAGIC);
    if (peer->closing)
        return;
    if (peer->tls == NULL) {
        take_plain(peer, bytes);
        return;
    }
    tims_status status = http__client_tls_feed(peer, bytes, take_plain);
    if (peer->shaking != NULL)
        end_shaking(peer, status);
    else if (status != TIMS_OK)
        end_plain(peer, status);
}

/* Under TLS an end that was not announced may be somebody else's doing: nothing counts as whole by it. */
static void end_input(void *ctx, tims_status why)
{
    http__upstream *peer = ctx;
    TIMS_CHECK_MAGIC(peer, HTTP__UPSTREAM_MAGIC);
    if (peer->shaking != NULL)
        end_shaking(peer, TIMS_IO);
    else
        end_plain(peer, peer->tls != NULL ? TIMS_IO : why);
}

static void drained(void *ctx)
{
    http__upstream *peer = ctx;
    tims_fetch_stream *fetch = peer->fetch;
    if (fetch == NULL)
        return;
    if (fetch->on_room != NULL)
        fetch->on_room(fetch->room_ctx);
    wake(fetch);
}

static void closed(void *ctx)
{
    http__upstream *peer = ctx;
    TIMS_CHECK_MAGIC(peer, HTTP__UPSTREAM_MAGIC);
    TIMS_ASSERT(peer->fetch == NULL && !peer->is_idle);
    http__pool *pool = peer->pool;
    tims_http1_free(&peer->parser);
    http__tls_free(&peer->tls);
    free(peer->address);
    peer->magic = 0;
    free(peer);
    pool->peer_count--;
    free_pool_when_empty(pool);
}

static const tims_stream_events stream_events = {
    .on_data = receive, .on_end = end_input, .on_drain = drained, .on_closed = closed
};

/* --- getting and giving back --------------------------------------------------------------------- */

static http__upstream *find_idle(http__pool *pool, tims_str address, bool is_safe)
{
    int64_t now_us = tims_loop_now_us(pool->loop);
    for (http__upstream *peer = pool->idle; peer != NULL; peer = peer->next) {
        if (!tims_str_equal(tims_str_from(peer->address), address))
            continue;
        return is_safe || now_us - peer->idle_since_us <= HTTP__UNSAFE_IDLE_US ? peer : NULL;
    }
    return NULL;
}

static http__upstream *new_peer(http__pool *pool, tims_stream *stream, const char *address)
{
    http__upstream *peer = calloc(1, sizeof *peer);
    TIMS_ASSERT(peer != NULL);
    peer->magic = HTTP__UPSTREAM_MAGIC;
    peer->pool = pool;
    peer->stream = stream;
    peer->address = strdup(address);
    TIMS_ASSERT(peer->address != NULL);
    peer->parser = tims_http1_new(TIMS_HTTP1_RESPONSES, &response_limits, &parser_events, peer);
    pool->peer_count++;
    return peer;
}

/* Until the certificate was found good; closes the connection otherwise. Suspends. */
static tims_status shake_hands(http__upstream *peer, const http__upstream_options *options, tims_error *err)
{
    int64_t former = tims_fiber_set_deadline(0);
    int64_t own = options->timeout_ms > 0 ? tims_monotonic_us() + options->timeout_ms * 1000 : 0;
    (void)tims_fiber_set_deadline(former == 0 || (own != 0 && own < former) ? own : former);
    peer->shaking = tims_fiber_self();
    peer->shaken = http__client_tls_begin(peer, options->trust, options->url->host);
    tims_stream_start(peer->stream, &stream_events, peer);
    peer->is_started = true;
    tims_status status = TIMS_OK;
    while (status == TIMS_OK && peer->shaken == TIMS_OK && !http__client_tls_is_open(peer))
        status = tims_fiber_suspend();
    peer->shaking = NULL;
    (void)tims_fiber_set_deadline(former);
    if (status == TIMS_OK && peer->shaken == TIMS_OK)
        return TIMS_OK;
    status = status != TIMS_OK ? http__fetch_report(status, err) : http__client_tls_report(peer, err);
    close_peer(peer);
    return status;
}

/* One name for each place that a connection can lead to, and for each set of those trusted there. */
static tims_status name_address(const http__upstream_options *options, char *ret_text, size_t size,
                                tims_error *err)
{
    const tims_url *url = options->url;
    bool is_unix = tims_str_equal(url->scheme, TIMS_STR("unix"));
    bool is_tls = tims_str_equal(url->scheme, TIMS_STR("https"));
    if (is_tls && options->trust == NULL)
        return tims_fail(err, TIMS_MALFORMED, "bad_url", "An https: address needs to be told whom to trust.");
    int length = is_tls ? snprintf(ret_text, size, "tls:%016llx:%.*s:%u",
                                   (unsigned long long)http__trust_id(options->trust), TIMS_PRINT(url->host),
                                   url->port)
                        : snprintf(ret_text, size, "%s:%.*s:%u", is_unix ? "unix" : "tcp",
                                   TIMS_PRINT(url->host), url->port);
    if (length < 0 || (size_t)length >= size)
        return tims_fail(err, TIMS_MALFORMED, "bad_url", "The address is too long.");
    return TIMS_OK;
}

tims_status http__upstream_get(tims_loop *loop, const http__upstream_options *options,
                               http__upstream **ret_peer, tims_error *err)
{
    char address[512];
    const tims_url *url = options->url;
    tims_status status = name_address(options, address, sizeof address, err);
    if (status != TIMS_OK)
        return status;
    http__upstream *peer =
        options->fresh ? NULL : find_idle(pool_of(loop), tims_str_from(address), options->is_safe);
    if (peer != NULL) {
        leave_idle(peer);
        peer->is_reused = true;
        *ret_peer = peer;
        return TIMS_OK;
    }
    tims_stream *stream;
    status = tims_str_equal(url->scheme, TIMS_STR("unix"))
                 ? tims_connect_unix(loop, url->host, options->timeout_ms, &stream, err)
                 : tims_connect_tcp(loop, url->host, url->port, options->timeout_ms, &stream, err);
    if (status != TIMS_OK)
        return status;
    peer = new_peer(pool_of(loop), stream, address);
    if (tims_str_equal(url->scheme, TIMS_STR("https")))
        status = shake_hands(peer, options, err);
    if (status == TIMS_OK)
        *ret_peer = peer;
    return status;
}

void http__upstream_attach(http__upstream *peer, tims_fetch_stream *fetch)
{
    TIMS_ASSERT(peer->fetch == NULL && fetch->peer == NULL);
    peer->fetch = fetch;
    fetch->peer = peer;
    tims_http1_reset(peer->parser);
    if (fetch->is_head_request)
        tims_http1_expect_no_body(peer->parser);
    if (!peer->is_started)
        tims_stream_start(peer->stream, &stream_events, peer);
    peer->is_started = true;
}

void http__upstream_detach(http__upstream *peer, bool keep)
{
    tims_fetch_stream *fetch = peer->fetch;
    TIMS_ASSERT(fetch != NULL && fetch->peer == peer);
    if (fetch->paused)
        tims_stream_resume(peer->stream);
    fetch->peer = NULL;
    peer->fetch = NULL;
    if (keep)
        enter_idle(peer);
    else
        close_peer(peer);
}
