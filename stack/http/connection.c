/* connection.c: one client.
 *
 *              bytes                 head is in                fiber ended
 *   accept ───────────► HTTP mode ──────────────► exchange ─────────────────► next message, or LINGER
 *                          ▲                         │ upgrade
 *                          └── pending, when ahead   └────────► SOCKET or RAW
 *
 * One request at a time: while a handler works, what the client sends ahead is kept (bounded) and parsed
 * later, so answers need no ordering of their own. What a passed deadline means is said here; when one has
 * passed, in deadline.c. */
#include "http_internal.h"

#include <stdlib.h>
#include <string.h>

static const tims_http1_events parser_events;
static const tims_stream_events stream_events;

/* --- parsers are borrowed --------------------------------------------------------------------- */

static void borrow_parser(http__connection *connection)
{
    http__worker *worker = connection->worker;
    http__parser *parser = worker->free_parsers;
    if (parser) {
        worker->free_parsers = parser->next;
        worker->free_parser_count--;
    } else {
        parser = calloc(1, sizeof(*parser));
        TIMS_ASSERT(parser != NULL);
        parser->http1 =
            tims_http1_new(TIMS_HTTP1_REQUESTS, &worker->server->options.limits, &parser_events, parser);
    }
    parser->connection = connection;
    connection->parser = parser;
}

static void return_parser(http__connection *connection)
{
    http__parser *parser = connection->parser;
    http__worker *worker = connection->worker;
    if (!parser)
        return;
    connection->parser = NULL;
    parser->connection = NULL;
    if (worker->free_parser_count >= HTTP__POOL_MAX) {
        tims_http1_free(&parser->http1);
        free(parser);
        return;
    }
    tims_http1_reset(parser->http1);
    parser->next = worker->free_parsers;
    worker->free_parsers = parser;
    worker->free_parser_count++;
}

/* --- deadlines -------------------------------------------------------------------------------- */

static void refuse(http__connection *connection, int http_status, const tims_error *err)
{
    http__answer_refusal(connection, http_status, err);
    http__connection_finish(connection);
}

/* The nearest deadline has passed: what that means depends on what was waited for. */
void http__connection_expire(http__connection *connection)
{
    http__exchange *exchange = connection->exchange;
    connection->deadline_us = 0;
    if (connection->mode == HTTP__MODE_SOCKET) {
        http__socket_expired(connection->socket);
    } else if (connection->mode != HTTP__MODE_HTTP) {
        http__connection_close(connection);
    } else if (exchange && connection->peer_ended) {
        http__exchange_client_gone(exchange);
    } else if (exchange) {
        http__body_failed(exchange, 408);
    } else if (connection->has_parts && !connection->message_open) {
        tims_error err = { .code = "header_timeout", .message = "The request came too slowly." };
        refuse(connection, 408, &err);
    } else {
        http__connection_finish(connection);
    }
}

/* A body may take its timeout, and longer as far as it keeps a minimal pace. */
static void set_body_deadline(http__connection *connection, const http__exchange *exchange)
{
    connection->deadline_us = exchange->body_started_us +
                              (int64_t)connection->worker->server->options.body_timeout_ms * 1000 +
                              (int64_t)(exchange->body_received * 1000000 / HTTP__BODY_RATE_BYTES_S);
    http__connection_arm(connection);
}

/* --- what the parser tells -------------------------------------------------------------------- */

static bool on_head(void *ctx, const tims_http1_head *head)
{
    http__connection *connection = ((http__parser *)ctx)->connection;
    connection->message_open = true;
    connection->exchange = http__exchange_new(connection, head);
    return true;
}

static bool on_body(void *ctx, tims_str bytes)
{
    http__connection *connection = ((http__parser *)ctx)->connection;
    if (connection->exchange) {
        connection->stalled = !http__body_arrived(connection->exchange, bytes);
        return !connection->stalled;
    }
    connection->discarded_bytes += bytes.length;
    return true;
}

static bool on_end(void *ctx)
{
    http__connection *connection = ((http__parser *)ctx)->connection;
    connection->message_open = false;
    connection->has_parts = false;
    if (connection->exchange)
        http__body_ended(connection->exchange);
    return false;
}

static const tims_http1_events parser_events = { .on_head = on_head, .on_body = on_body, .on_end = on_end };

/* --- input ------------------------------------------------------------------------------------ */

static bool is_waiting_for_handler(const http__connection *connection)
{
    const http__exchange *exchange = connection->exchange;
    if (!exchange)
        return false;
    return !connection->message_open || (!exchange->want_whole && !exchange->body_failure &&
                                         exchange->incoming.length >= HTTP__BODY_HIGH_BYTES);
}

static bool may_parse(http__connection *connection)
{
    bool in_body = connection->exchange && connection->message_open; /* has a bound of its own */
    return connection->mode == HTTP__MODE_HTTP && !connection->closing &&
           !is_waiting_for_handler(connection) &&
           (in_body || http__out_queued(connection) < HTTP__QUEUE_HIGH_BYTES);
}

static void refuse_unparsable(http__connection *connection, int http_status, const tims_error *err)
{
    if (connection->exchange) { /* the body broke; the handler says so */
        http__body_failed(connection->exchange, http_status);
        connection->exchange->input_ended = true;
        connection->message_open = false; /* nothing behind it is read any more */
        return;
    }
    if (connection->message_open) /* in the middle of what nobody reads any more */
        http__connection_finish(connection);
    else
        refuse(connection, http_status, err);
}

static void start_exchange(http__connection *connection)
{
    http__exchange *exchange = connection->exchange;
    if (connection->message_open)
        set_body_deadline(connection, exchange);
    else
        connection->deadline_us = 0;
    if (http__exchange_start(exchange) || connection->exchange != exchange)
        return;
    tims_error err = { .code = "unavailable", .message = "Too much is going on; try again shortly." };
    connection->exchange = NULL;
    http__exchange_drop(exchange);
    refuse(connection, 503, &err);
}

/* Parses until the input is used up or something must be waited for; returns how much was taken. */
static size_t parse(http__connection *connection, tims_str bytes)
{
    size_t total = 0;
    while ((total < bytes.length || connection->stalled) && may_parse(connection)) {
        connection->stalled = false;
        if (!connection->parser)
            borrow_parser(connection);
        connection->has_parts = true;
        size_t used = 0;
        int http_status = 400;
        tims_error err = { 0 };
        tims_http1_resume(connection->parser->http1);
        tims_status status =
            tims_http1_feed(connection->parser->http1, http__rest(bytes, total), &used, &http_status, &err);
        total += used;
        if (status != TIMS_OK)
            refuse_unparsable(connection, http_status, &err);
        http__exchange *exchange = connection->exchange;
        if (exchange && !exchange->fiber_started)
            start_exchange(connection);
        else if (exchange && connection->message_open)
            set_body_deadline(connection, exchange);
        if (status != TIMS_OK)
            return bytes.length;
        if (connection->discarded_bytes > HTTP__DISCARD_BYTES_MAX)
            http__connection_finish(connection);
    }
    return connection->mode == HTTP__MODE_LINGER || connection->closing ? bytes.length : total;
}

/* Between two messages with nothing read: all that is kept is the connection itself. */
static void rest_if_idle(http__connection *connection)
{
    if (connection->exchange || connection->closing || connection->mode != HTTP__MODE_HTTP)
        return;
    const tims_server_options *options = &connection->worker->server->options;
    if (connection->message_open)
        return;
    if (connection->has_parts && connection->peer_ended) {
        http__connection_finish(connection);
        return;
    }
    if (connection->has_parts) {
        if (connection->deadline_us == 0 || !connection->header_deadline) {
            connection->header_deadline = true;
            http__connection_set_deadline(connection, options->header_timeout_ms);
        }
        return;
    }
    connection->header_deadline = false;
    connection->discarded_bytes = 0;
    return_parser(connection);
    if (connection->peer_ended)
        http__connection_finish(connection);
    else
        http__connection_set_deadline(connection, connection->worker->draining ? HTTP__DRAIN_IDLE_MS
                                                                               : options->idle_timeout_ms);
}

static void keep(http__connection *connection, tims_str bytes)
{
    if (bytes.length == 0)
        return;
    if (connection->pending.max == 0)
        tims_buf_init(&connection->pending, NULL, HTTP__PENDING_BYTES_MAX * 4);
    tims_buf_append_str(&connection->pending, bytes);
    if (connection->pending.overflow) {
        http__connection_close(connection);
        return;
    }
    if (connection->pending.length >= HTTP__PENDING_BYTES_MAX && !connection->input_paused) {
        connection->input_paused = true;
        tims_stream_pause(connection->stream);
    }
}

static void parse_pending(http__connection *connection)
{
    tims_buf pending = connection->pending;
    connection->pending = (tims_buf){ 0 };
    size_t used = parse(connection, tims_buf_str(&pending));
    if (connection->mode == HTTP__MODE_SOCKET && !connection->exchange) {
        http__socket_receive(connection->socket, http__rest(tims_buf_str(&pending), used));
        used = pending.length;
    }
    keep(connection, http__rest(tims_buf_str(&pending), used));
    tims_buf_free(&pending);
}

void http__connection_pump(http__connection *connection)
{
    TIMS_CHECK_MAGIC(connection, HTTP__CONNECTION_MAGIC);
    if (connection->pumping)
        return;
    if (connection->closing) {
        http__connection_reap(connection);
        return;
    }
    connection->pumping = true;
    if ((connection->pending.length > 0 || connection->stalled) &&
        (may_parse(connection) || (connection->mode == HTTP__MODE_SOCKET && !connection->exchange)))
        parse_pending(connection);
    http__out_flush(connection);
    connection->pumping = false;
    if (connection->input_paused && connection->pending.length < HTTP__PENDING_BYTES_MAX &&
        !connection->closing && !connection->peer_ended) {
        connection->input_paused = false;
        if (!http__socket_is_paused(connection->socket))
            tims_stream_resume(connection->stream);
    }
    rest_if_idle(connection);
    http__connection_reap(connection);
}

void http__connection_resume_input(http__connection *connection)
{
    http__connection_pump(connection);
}

static void receive_http(http__connection *connection, tims_str bytes)
{
    if (connection->pumping || connection->pending.length > 0 || !may_parse(connection)) {
        keep(connection, bytes);
        if (!connection->pumping)
            http__connection_pump(connection);
        return;
    }
    connection->pumping = true;
    size_t used = parse(connection, bytes);
    http__out_flush(connection);
    connection->pumping = false;
    if (!connection->closing)
        keep(connection, http__rest(bytes, used));
    if (connection->mode == HTTP__MODE_SOCKET && connection->pending.length > 0)
        http__connection_pump(connection);
    rest_if_idle(connection);
    http__connection_reap(connection);
}

void http__connection_discard(http__connection *connection, size_t length)
{
    connection->discarded_bytes += length;
    if (connection->discarded_bytes > HTTP__LINGER_BYTES_MAX)
        http__connection_close(connection);
}

void http__connection_receive(http__connection *connection, tims_str bytes)
{
    switch (connection->mode) {
    case HTTP__MODE_HTTP:
        receive_http(connection, bytes);
        break;
    case HTTP__MODE_LINGER:
        http__connection_discard(connection, bytes.length);
        break;
    case HTTP__MODE_SOCKET:
        if (connection->exchange || connection->pending.length > 0)
            keep(connection, bytes);
        else
            http__socket_receive(connection->socket, bytes);
        break;
    case HTTP__MODE_RAW:
        connection->raw_events->on_data(connection->raw_ctx, bytes);
        break;
    }
}

static void on_data(void *ctx, tims_str bytes)
{
    http__connection *connection = ctx;
    TIMS_CHECK_MAGIC(connection, HTTP__CONNECTION_MAGIC);
    if (connection->closing)
        return;
    if (connection->tls)
        http__tls_receive(connection, bytes);
    else
        http__connection_receive(connection, bytes);
}

/* --- answers done ----------------------------------------------------------------------------- */

void http__connection_answered(http__connection *connection, http__exchange *exchange)
{
    TIMS_ASSERT(connection->exchange == exchange);
    connection->exchange = NULL;
    exchange->connection = NULL;
    if (connection->mode == HTTP__MODE_SOCKET) {
        return_parser(connection);
        if (exchange->rq.has_raised)
            tims_socket_close(connection->socket, 1011, TIMS_STR("The server failed."));
        http__socket_handed_over(connection->socket);
        return;
    }
    if (connection->closing)
        return;
    if (connection->mode == HTTP__MODE_RAW) {
        http__connection_finish(connection);
    } else if (!exchange->body_done) {
        http__connection_close(connection); /* cut off: the client must not take it for whole */
    } else if (!exchange->keep_alive) {
        http__connection_finish(connection);
    }
}

/* --- endings ---------------------------------------------------------------------------------- */

void http__connection_finish(http__connection *connection)
{
    if (connection->closing || connection->mode == HTTP__MODE_LINGER)
        return;
    http__out_flush(connection);
    if (connection->closing)
        return;
    if (connection->tls)
        http__tls_end(connection);
    connection->mode = HTTP__MODE_LINGER;
    connection->discarded_bytes = 0;
    if (connection->peer_ended && tims_stream_queued(connection->stream) == 0) {
        http__connection_close(connection);
        return;
    }
    tims_stream_shutdown(connection->stream);
    if (connection->input_paused) {
        connection->input_paused = false;
        tims_stream_resume(connection->stream);
    }
    http__connection_set_deadline(connection, HTTP__LINGER_MS);
}

void http__connection_close(http__connection *connection)
{
    if (connection->closing)
        return;
    connection->closing = true;
    http__out_forget(connection);
    tims_timer_clear(&connection->timer);
    connection->timer_due_us = 0;
    if (connection->exchange)
        http__exchange_client_gone(connection->exchange);
    if (connection->mode == HTTP__MODE_RAW)
        connection->raw_events->on_end(connection->raw_ctx);
    if (connection->socket)
        http__socket_gone(connection->socket);
    tims_stream_close(connection->stream);
}

/* Frees it once nothing is left that knows it. */
void http__connection_reap(http__connection *connection)
{
    if (!connection->stream_closed || connection->exchange || connection->pumping)
        return;
    http__worker *worker = connection->worker;
    if (connection->socket)
        http__socket_free(connection->socket);
    return_parser(connection);
    tims_buf_free(&connection->pending);
    http__tls_free(&connection->tls);
    http__home_leave(worker->server->homes, &connection->home);
    *(connection->previous ? &connection->previous->next : &worker->connections) = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    connection->magic = 0;
    free(connection);
    http__worker_connection_gone(worker);
}

static void on_closed(void *ctx)
{
    http__connection *connection = ctx;
    TIMS_CHECK_MAGIC(connection, HTTP__CONNECTION_MAGIC);
    connection->stream_closed = true;
    http__connection_reap(connection);
}

/* The client closed its half. Its requests are still answered, but a handler does not work for long for
 * somebody who is probably gone, and a stream not at all. */
void http__connection_input_ended(http__connection *connection, tims_status why)
{
    if (connection->closing || connection->peer_ended)
        return;
    connection->peer_ended = true;
    http__exchange *exchange = connection->exchange;
    if (why != TIMS_CLOSED || connection->mode != HTTP__MODE_HTTP) {
        if (why == TIMS_CLOSED && connection->mode == HTTP__MODE_LINGER &&
            tims_stream_queued(connection->stream) > 0)
            return;
        http__connection_close(connection);
    } else if (!exchange) {
        connection->pending.length == 0 ? http__connection_finish(connection)
                                        : http__connection_pump(connection);
    } else if (connection->message_open || exchange->head_sent) {
        http__connection_close(connection);
    } else {
        http__connection_set_deadline(connection, HTTP__GONE_GRACE_MS);
    }
}

static void on_stream_end(void *ctx, tims_status why)
{
    http__connection *connection = ctx;
    TIMS_CHECK_MAGIC(connection, HTTP__CONNECTION_MAGIC);
    bool is_over = connection->mode == HTTP__MODE_LINGER && connection->peer_ended &&
                   tims_stream_queued(connection->stream) == 0;
    if (why != TIMS_CLOSED || is_over)
        http__connection_close(connection);
    else
        http__connection_input_ended(connection, why);
}

static void on_drain(void *ctx)
{
    http__connection *connection = ctx;
    TIMS_CHECK_MAGIC(connection, HTTP__CONNECTION_MAGIC);
    connection->write_deadline_us = 0;
    if (connection->closing)
        return;
    if (connection->mode == HTTP__MODE_LINGER && connection->peer_ended)
        http__connection_close(connection);
    else if (connection->mode == HTTP__MODE_SOCKET)
        http__socket_drained(connection->socket);
    else {
        if (connection->exchange && connection->exchange->waiting_for_room)
            tims_fiber_wake(connection->exchange->fiber);
        http__connection_pump(connection);
    }
}

static const tims_stream_events stream_events = {
    .on_data = on_data,
    .on_end = on_stream_end,
    .on_drain = on_drain,
    .on_closed = on_closed,
};

void http__connection_drain(http__connection *connection)
{
    if (connection->closing)
        return;
    if (connection->mode == HTTP__MODE_SOCKET)
        http__socket_going_away(connection->socket,
                                atomic_load(&connection->worker->server->restart) ? 1012 : 1001);
    else if (connection->exchange && (connection->mode == HTTP__MODE_RAW || connection->exchange->is_endless))
        http__exchange_client_gone(connection->exchange);
    else if (connection->mode == HTTP__MODE_HTTP && !connection->exchange && !connection->has_parts)
        http__connection_set_deadline(connection, HTTP__DRAIN_IDLE_MS);
}

/* --- accepting -------------------------------------------------------------------------------- */

static http__connection *make_connection(http__worker *worker, tims_stream *stream)
{
    http__connection *connection = calloc(1, sizeof(*connection));
    TIMS_ASSERT(connection != NULL);
    connection->magic = HTTP__CONNECTION_MAGIC;
    connection->worker = worker;
    connection->stream = stream;
    tims_str peer = tims_stream_peer_address(stream);
    connection->peer_length =
        (uint8_t)(peer.length < HTTP__PEER_TEXT_MAX ? peer.length : HTTP__PEER_TEXT_MAX);
    memcpy(connection->peer, peer.data, connection->peer_length);
    connection->next = worker->connections;
    if (connection->next)
        connection->next->previous = connection;
    worker->connections = connection;
    worker->connection_count++;
    return connection;
}

/* Each lives at a home of so many, and all together are so many. */
static bool has_place(tims_server *server, http__connection *connection, uint32_t *ret_home_count)
{
    const tims_server_options *options = &server->options;
    tims_str peer = { connection->peer, connection->peer_length };
    uint32_t count = atomic_fetch_add(&server->connection_count, 1) + 1;
    *ret_home_count = 0;
    if (options->connections_per_address_max > 0 && http__peer_is_counted(options, peer))
        connection->home = http__home_enter(server->homes, peer, ret_home_count);
    return count <= options->connections_max &&
           (!connection->home || *ret_home_count <= options->connections_per_address_max);
}

/* Telling it costs a place for as long as it takes, so a home far beyond its limit is told nothing. */
static void turn_away(http__connection *connection, uint32_t home_count)
{
    const tims_server *server = connection->worker->server;
    tims_error err = { .code = "too_many_connections", .message = "Too many clients; try again shortly." };
    bool is_flood =
        connection->home && home_count > server->options.connections_per_address_max + HTTP__TOLD_MAX;
    if (server->tls || is_flood)
        http__connection_close(connection);
    else
        refuse(connection, 503, &err);
}

void http__connection_accept(void *ctx, tims_stream *stream)
{
    http__worker *worker = ctx;
    TIMS_CHECK_MAGIC(worker, HTTP__WORKER_MAGIC);
    tims_server *server = worker->server;
    http__connection *connection = make_connection(worker, stream);
    uint32_t home_count = 0;
    bool may_stay = has_place(server, connection, &home_count);
    tims_stream_start(stream, &stream_events, connection);
    if (!may_stay) {
        turn_away(connection, home_count);
        return;
    }
    if (server->tls)
        connection->tls = http__tls_new(server->tls);
    http__connection_set_deadline(connection, server->options.header_timeout_ms);
}
