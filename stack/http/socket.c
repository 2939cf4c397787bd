/* socket.c: websockets: a connection after its upgrade.
 *
 *   answer_websocket ─► handler returns ─► messages both ways ─► close handshake ─► on_close, once
 *
 * Sending only queues: what a tick has queued is written with one writev at its end, from the shared frames,
 * uncopied. So application code is never called back from within its own send or close. An idle socket keeps
 * no parser of HTTP, no request, no fiber and no buffer; it is pinged now and then, and dropped when it has
 * stopped answering. */
#include "http_internal.h"

#include <stdlib.h>
#include <string.h>

#include "tims/crypto.h"

enum {
    FRAMES_INLINE = 2,
    WRITE_FRAMES_MAX = 64,
    PING_EVERY_MS = 45 * 1000,
    CLOSE_WAIT_MS = 5 * 1000,
    BYTES_DEFAULT = 1024 * 1024,
    ABNORMAL = 1006,
    OVERLOADED = 1013
};

struct tims_socket {
    uint32_t magic;
    bool dirty, handed_over, gone, busy, paused;
    bool close_sent, close_received, overflowed, ping_sent, broken;
    int close_code;
    http__connection *connection;
    tims_ws *ws;
    const tims_socket_events *events;
    void *ctx;
    tims_socket *next_dirty;
    tims_frame **frames; /* waiting for the tick's end */
    size_t frame_count, frame_capacity;
    size_t frame_bytes, queue_bytes_max;
    uint32_t ping_ms;
    tims_frame *frames_inline[FRAMES_INLINE];
};

/* --- sending ---------------------------------------------------------------------------------- */

static void drop_frames(tims_socket *socket)
{
    for (size_t i = 0; i < socket->frame_count; i++)
        tims_frame_unref(&socket->frames[i]);
    socket->frame_count = 0;
    socket->frame_bytes = 0;
}

/* What a burst needed is not kept. */
static void shrink_frames(tims_socket *socket)
{
    if (socket->frames == socket->frames_inline)
        return;
    free(socket->frames);
    socket->frames = socket->frames_inline;
    socket->frame_capacity = FRAMES_INLINE;
}

static void grow_frames(tims_socket *socket)
{
    size_t capacity = socket->frame_capacity * 4;
    tims_frame **frames = malloc(capacity * sizeof(*frames));
    TIMS_ASSERT(frames != NULL);
    memcpy(frames, socket->frames, socket->frame_count * sizeof(*frames));
    if (socket->frames != socket->frames_inline)
        free(socket->frames);
    socket->frames = frames;
    socket->frame_capacity = capacity;
}

typedef struct frame_batch {
    size_t count;
    tims_frame *frames[];
} frame_batch;

static void release_batch(void *argument)
{
    frame_batch *batch = argument;
    for (size_t i = 0; i < batch->count; i++)
        tims_frame_unref(&batch->frames[i]);
    free(batch);
}

static void write_frames(tims_socket *socket, tims_frame **frames, size_t count)
{
    tims_str slices[WRITE_FRAMES_MAX];
    for (size_t i = 0; i < count; i++)
        slices[i] = (tims_str){ frames[i]->bytes, frames[i]->length };
    if (count == 1) {
        (void)!http__transport_write_owned(socket->connection, slices, 1, http__frame_release, frames[0]);
        return;
    }
    frame_batch *batch = malloc(sizeof(*batch) + count * sizeof(*frames));
    TIMS_ASSERT(batch != NULL);
    batch->count = count;
    memcpy(batch->frames, frames, count * sizeof(*frames));
    (void)!http__transport_write_owned(socket->connection, slices, count, release_batch, batch);
}

static void settle(tims_socket *socket);

static void flush_socket(tims_socket *socket)
{
    socket->dirty = false;
    socket->busy = true; /* a failed write ends the connection, but not yet the socket */
    size_t count = socket->frame_count;
    for (size_t at = 0; at < count; at += WRITE_FRAMES_MAX)
        write_frames(socket, socket->frames + at,
                     count - at < WRITE_FRAMES_MAX ? count - at : WRITE_FRAMES_MAX);
    socket->frame_count = 0;
    socket->frame_bytes = 0;
    shrink_frames(socket);
    if (count > 0 && !socket->gone && tims_socket_queued(socket) == 0)
        http__socket_drained(socket);
    socket->busy = false;
    settle(socket);
}

static void flush_dirty(void *argument)
{
    http__worker *worker = argument;
    tims_socket *socket = worker->dirty_sockets;
    worker->dirty_sockets = NULL;
    while (socket) {
        tims_socket *next = socket->next_dirty;
        socket->next_dirty = NULL;
        flush_socket(socket);
        socket = next;
    }
}

static void mark_dirty(tims_socket *socket)
{
    if (socket->dirty)
        return;
    http__worker *worker = socket->connection->worker;
    socket->dirty = true;
    socket->next_dirty = worker->dirty_sockets;
    worker->dirty_sockets = socket;
    tims_loop_at_tick_end(worker->loop, &worker->sockets_armed, flush_dirty, worker);
}

static void unmark_dirty(tims_socket *socket)
{
    if (!socket->dirty)
        return;
    tims_socket **link = &socket->connection->worker->dirty_sockets;
    while (*link && *link != socket)
        link = &(*link)->next_dirty;
    if (*link)
        *link = socket->next_dirty;
    socket->dirty = false;
}

/* Takes over the reference. */
static void queue_frame(tims_socket *socket, tims_frame *frame)
{
    if (socket->gone || socket->close_sent || socket->overflowed) {
        tims_frame_unref(&frame);
        return;
    }
    if (tims_socket_queued(socket) + frame->length > socket->queue_bytes_max) {
        tims_frame_unref(&frame);
        socket->overflowed = true;
        mark_dirty(socket);
        return;
    }
    if (socket->frame_count == socket->frame_capacity)
        grow_frames(socket);
    socket->frames[socket->frame_count++] = frame;
    socket->frame_bytes += frame->length;
    mark_dirty(socket);
}

void tims_socket_send_frame(tims_socket *socket, tims_frame *frame)
{
    TIMS_CHECK_MAGIC(socket, HTTP__SOCKET_MAGIC);
    queue_frame(socket, tims_frame_ref(frame));
}

void tims_socket_send(tims_socket *socket, tims_str text)
{
    TIMS_CHECK_MAGIC(socket, HTTP__SOCKET_MAGIC);
    queue_frame(socket, tims_frame_new(text));
}

size_t tims_socket_queued(const tims_socket *socket)
{
    TIMS_CHECK_MAGIC(socket, HTTP__SOCKET_MAGIC);
    return socket->frame_bytes + (socket->gone ? 0 : tims_stream_queued(socket->connection->stream));
}

void tims_socket_pause(tims_socket *socket)
{
    TIMS_CHECK_MAGIC(socket, HTTP__SOCKET_MAGIC);
    if (socket->paused || socket->gone || socket->close_sent)
        return;
    socket->paused = true;
    tims_stream_pause(socket->connection->stream);
}

void tims_socket_resume(tims_socket *socket)
{
    TIMS_CHECK_MAGIC(socket, HTTP__SOCKET_MAGIC);
    if (!socket->paused)
        return;
    socket->paused = false;
    if (!socket->gone && !socket->connection->input_paused)
        tims_stream_resume(socket->connection->stream);
}

bool http__socket_is_paused(const tims_socket *socket)
{
    return socket != NULL && socket->paused;
}

/* A paused socket reads again: the peer's answer has to be heard. */
void tims_socket_close(tims_socket *socket, int code, tims_str reason)
{
    TIMS_CHECK_MAGIC(socket, HTTP__SOCKET_MAGIC);
    if (socket->close_sent || socket->gone)
        return;
    tims_socket_resume(socket);
    uint8_t payload[125];
    size_t length = tims_ws_close_payload(code, reason, payload);
    queue_frame(socket, http__frame_make(TIMS_WS_CLOSE, (tims_str){ (const char *)payload, length }));
    socket->close_sent = true;
    if (!socket->close_received)
        socket->close_code = code;
    if (socket->handed_over)
        http__connection_set_deadline(socket->connection, CLOSE_WAIT_MS);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void end_socket(tims_socket *socket)
{
    http__connection *connection = socket->connection;
    connection->socket = NULL;
    unmark_dirty(socket);
    drop_frames(socket);
    shrink_frames(socket);
    int code = socket->close_received ? socket->close_code
               : socket->overflowed   ? OVERLOADED
               : socket->broken       ? socket->close_code
                                      : ABNORMAL;
    if (socket->events->on_close)
        socket->events->on_close(socket, socket->ctx, code);
    tims_ws_free(&socket->ws);
    socket->magic = 0;
    free(socket);
}

/* Whether it is over; called where no code of the application is on the stack. */
static void settle(tims_socket *socket)
{
    http__connection *connection = socket->connection;
    if (!socket->handed_over || socket->busy)
        return;
    if (socket->gone) {
        end_socket(socket);
    } else if (socket->overflowed) {
        socket->gone = true;
        end_socket(socket);
        http__connection_close(connection);
    } else if ((socket->close_received || socket->broken) && socket->close_sent && socket->frame_count == 0) {
        end_socket(socket);
        http__connection_finish(connection);
    }
}

void http__socket_gone(tims_socket *socket)
{
    socket->gone = true;
    settle(socket);
}

void http__socket_free(tims_socket *socket)
{
    socket->gone = true;
    end_socket(socket);
}

void http__socket_going_away(tims_socket *socket, int code)
{
    if (socket->events->on_going_away && !socket->gone && !socket->close_sent)
        socket->events->on_going_away(socket, socket->ctx);
    tims_socket_close(socket, code, code == 1012 ? TIMS_STR("restarting") : TIMS_STR("stopping"));
}

void http__socket_handed_over(tims_socket *socket)
{
    socket->handed_over = true;
    http__connection_set_deadline(socket->connection, socket->close_sent ? CLOSE_WAIT_MS : socket->ping_ms);
    settle(socket);
}

void http__socket_drained(tims_socket *socket)
{
    if (socket->events->on_drain && !socket->gone)
        socket->events->on_drain(socket, socket->ctx);
}

void http__socket_expired(tims_socket *socket)
{
    if (!socket)
        return;
    if (socket->close_sent || (socket->ping_sent && !socket->paused)) {
        http__connection_close(socket->connection);
        return;
    }
    if (socket->paused) { /* its answer would not be read */
        http__connection_set_deadline(socket->connection, socket->ping_ms);
        return;
    }
    socket->ping_sent = true;
    queue_frame(socket, http__frame_make(TIMS_WS_PING, TIMS_STR("")));
    http__connection_set_deadline(socket->connection, socket->ping_ms);
}

/* --- receiving -------------------------------------------------------------------------------- */

static void on_message(void *ctx, tims_ws_opcode opcode, tims_str payload)
{
    tims_socket *socket = ctx;
    if (!socket->close_sent && !socket->overflowed && socket->events->on_message)
        socket->events->on_message(socket, socket->ctx, payload, opcode == TIMS_WS_BINARY);
}

static void on_ping(void *ctx, tims_str payload)
{
    queue_frame(ctx, http__frame_make(TIMS_WS_PONG, payload));
}

static void on_pong(void *ctx, tims_str payload)
{
    (void)ctx;
    (void)payload;
}

static void on_peer_close(void *ctx, int code, tims_str reason)
{
    tims_socket *socket = ctx;
    (void)reason;
    tims_socket_close(socket, code == 1005 ? 1000 : code, TIMS_STR(""));
    socket->close_received = true;
    socket->close_code = code;
}

static const tims_ws_events ws_events = {
    .on_message = on_message,
    .on_ping = on_ping,
    .on_pong = on_pong,
    .on_close = on_peer_close,
};

void http__socket_receive(tims_socket *socket, tims_str bytes)
{
    if (!socket || socket->gone || bytes.length == 0)
        return;
    int code = 0;
    socket->ping_sent = false;
    socket->busy = true;
    tims_status status = tims_ws_feed(socket->ws, bytes, &code);
    socket->busy = false;
    if (status != TIMS_OK && !socket->broken) {
        tims_socket_close(socket, code, TIMS_STR(""));
        socket->broken = true;
        socket->close_code = code;
    }
    settle(socket);
}

/* --- the upgrade ------------------------------------------------------------------------------ */

static void check_origin(tims_request *rq)
{
    tims_str origin = tims_header_of(rq, TIMS_STR("Origin"));
    if (!origin.data || http__origin_is_allowed(rq, &rq->exchange->worker->server->options, origin))
        return;
    tims_raise(rq, 403, "origin", "This page's origin may not connect here.");
}

static tims_str check_handshake(tims_request *rq)
{
    if (rq->method != TIMS_METHOD_GET ||
        !tims_header_has_token(tims_header_of(rq, TIMS_STR("Upgrade")), TIMS_STR("websocket")) ||
        !tims_header_has_token(tims_header_of(rq, TIMS_STR("Connection")), TIMS_STR("Upgrade"))) {
        tims_set_header(rq, TIMS_STR("Upgrade"), TIMS_STR("websocket"));
        tims_raise(rq, 426, "upgrade_required", "This address speaks only websocket.");
    }
    if (!tims_str_equal(tims_header_of(rq, TIMS_STR("Sec-WebSocket-Version")), TIMS_STR("13"))) {
        tims_set_header(rq, TIMS_STR("Sec-WebSocket-Version"), TIMS_STR("13"));
        tims_raise(rq, 426, "upgrade_required", "Only version 13 of the websocket protocol is spoken here.");
    }
    tims_str key = tims_header_of(rq, TIMS_STR("Sec-WebSocket-Key"));
    if (key.length != 24 || !rq->exchange->input_ended)
        tims_raise(rq, 400, "malformed", "This is not a websocket handshake.");
    return key;
}

static tims_socket *make_socket(http__connection *connection, const tims_socket_events *events, void *ctx,
                                const tims_socket_options *options)
{
    tims_socket *socket = calloc(1, sizeof(*socket));
    TIMS_ASSERT(socket != NULL);
    socket->magic = HTTP__SOCKET_MAGIC;
    socket->connection = connection;
    socket->events = events;
    socket->ctx = ctx;
    socket->frames = socket->frames_inline;
    socket->frame_capacity = FRAMES_INLINE;
    socket->ping_ms = options && options->ping_ms ? options->ping_ms : PING_EVERY_MS;
    socket->queue_bytes_max = options && options->queue_bytes_max ? options->queue_bytes_max : BYTES_DEFAULT;
    socket->ws =
        tims_ws_new(true, options && options->message_bytes_max ? options->message_bytes_max : BYTES_DEFAULT,
                    &ws_events, socket);
    return socket;
}

tims_answer tims_answer_websocket(tims_request *rq, const tims_socket_events *events, void *ctx,
                                  const tims_socket_options *options, tims_socket **ret_socket)
{
    http__exchange *exchange = rq->exchange;
    TIMS_ASSERT(exchange != NULL && !exchange->head_sent);
    http__connection *connection = exchange->connection;
    tims_str key = check_handshake(rq);
    if (options && options->check_origin)
        check_origin(rq);
    if (exchange->client_gone || connection->closing)
        tims_raise(rq, 499, "cancelled", "The client went away.");
    char accept[28];
    tims_websocket_accept(key, accept);
    tims_set_header(rq, TIMS_STR("Upgrade"), TIMS_STR("websocket"));
    tims_set_header(rq, TIMS_STR("Connection"), TIMS_STR("Upgrade"));
    tims_set_header(rq, TIMS_STR("Sec-WebSocket-Accept"), (tims_str){ accept, sizeof(accept) });
    tims_socket *socket = make_socket(connection, events, ctx, options);
    connection->socket = socket;
    connection->mode = HTTP__MODE_SOCKET;
    connection->deadline_us = 0;
    exchange->upgraded = true;
    http__head_write(exchange, 101, (tims_str){ 0 }, -1);
    http__out_flush(connection);
    if (ret_socket)
        *ret_socket = socket;
    return tims_answer_sent();
}

tims_loop *tims_socket_loop(const tims_socket *socket)
{
    return socket->connection->worker->loop;
}

tims_str tims_socket_peer(const tims_socket *socket)
{
    return (tims_str){ socket->connection->peer, socket->connection->peer_length };
}
