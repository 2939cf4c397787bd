/* socket.c: websockets: a connection after its upgrade (upgrade.c).
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

enum {
    FRAMES_INLINE = 2,
    WRITE_FRAMES_MAX = 1024, /* as many as the kernel takes in one call */
    WINDOW_BITS_MAX = 15,
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
    uint8_t window_bits; /* of the client's inflater; 0: it takes nothing compressed */
    int close_code;
    http__connection *connection;
    tims_ws *ws;
    const tims_socket_events *events;
    void *ctx;
    tims_socket *next_dirty, **dirty_link; /* what points here */
    tims_frame **frames;                   /* waiting for the tick's end */
    tims_frame *pong;                      /* to the last ping that is not answered yet */
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
    tims_frame_unref(&socket->pong);
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

/* --- sockets with something to write, linked so that any can leave at once -------------------- */

static void link_dirty(tims_socket *socket, tims_socket **link)
{
    socket->dirty_link = link;
    socket->next_dirty = *link;
    if (*link)
        (*link)->dirty_link = &socket->next_dirty;
    *link = socket;
}

static void unmark_dirty(tims_socket *socket)
{
    if (!socket->dirty)
        return;
    *socket->dirty_link = socket->next_dirty;
    if (socket->next_dirty)
        socket->next_dirty->dirty_link = socket->dirty_link;
    socket->dirty = false;
}

static void settle(tims_socket *socket);
static void queue_frame(tims_socket *socket, tims_frame *frame);

/* Behind what a slow client still has to read, it waits: who floods with pings and reads nothing fills
 * nothing. */
static void queue_pong(tims_socket *socket)
{
    tims_frame *pong = socket->pong;
    if (!pong || socket->gone || tims_stream_queued(socket->connection->stream) > 0)
        return;
    socket->pong = NULL;
    queue_frame(socket, pong);
}

static void flush_socket(tims_socket *socket)
{
    queue_pong(socket);
    unmark_dirty(socket);
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

/* What is sent meanwhile, from on_drain, waits for the next tick; what ends meanwhile leaves the list. */
static void flush_dirty(void *argument)
{
    http__worker *worker = argument;
    tims_socket *first = worker->dirty_sockets;
    worker->dirty_sockets = NULL;
    if (first)
        first->dirty_link = &first;
    while (first)
        flush_socket(first);
}

static void mark_dirty(tims_socket *socket)
{
    if (socket->dirty)
        return;
    http__worker *worker = socket->connection->worker;
    socket->dirty = true;
    link_dirty(socket, &worker->dirty_sockets);
    tims_loop_at_tick_end(worker->loop, &worker->sockets_armed, flush_dirty, worker);
}

static bool takes_more(const tims_socket *socket)
{
    return !socket->gone && !socket->close_sent && !socket->overflowed;
}

/* Takes over the reference. */
static void queue_frame(tims_socket *socket, tims_frame *frame)
{
    if (!takes_more(socket)) {
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

/* A text that is no longer than the client's window refers to nothing outside of it, whatever it was
 * compressed with; so one compressed frame fits all, and only those with a small window get a longer text as
 * it is. */
static bool takes_packed(const tims_socket *socket, size_t length)
{
    return socket->window_bits == WINDOW_BITS_MAX ||
           (socket->window_bits && length >> socket->window_bits == 0);
}

void tims_socket_send_frame(tims_socket *socket, tims_frame *frame)
{
    TIMS_CHECK_MAGIC(socket, HTTP__SOCKET_MAGIC);
    if (takes_packed(socket, frame->length) && takes_more(socket))
        frame = http__frame_packed(frame, socket->connection->worker->deflater);
    queue_frame(socket, tims_frame_ref(frame));
}

void tims_socket_send(tims_socket *socket, tims_str text)
{
    TIMS_CHECK_MAGIC(socket, HTTP__SOCKET_MAGIC);
    tims_str packed;
    if (takes_packed(socket, text.length) && takes_more(socket) &&
        http__deflate(socket->connection->worker->deflater, text, &packed))
        queue_frame(socket, http__frame_make_packed(packed));
    else
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
    queue_pong(socket);
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
    if (socket->pong)
        mark_dirty(socket);
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

/* Of several pings only the last need be answered (RFC 6455, 5.5.3). */
static void on_ping(void *ctx, tims_str payload)
{
    tims_socket *socket = ctx;
    tims_frame_unref(&socket->pong);
    socket->pong = http__frame_make(TIMS_WS_PONG, payload);
    mark_dirty(socket);
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

static int inflate_message(void *ctx, tims_str compressed, size_t bytes_max, tims_str *ret_plain)
{
    tims_socket *socket = ctx;
    return http__inflate(socket->connection->worker->deflater, compressed, bytes_max, ret_plain);
}

static const tims_ws_events plain_events = {
    .on_message = on_message,
    .on_ping = on_ping,
    .on_pong = on_pong,
    .on_close = on_peer_close,
};
static const tims_ws_events packed_events = {
    .on_message = on_message,
    .on_ping = on_ping,
    .on_pong = on_pong,
    .on_close = on_peer_close,
    .inflate = inflate_message,
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

/* --- a new one -------------------------------------------------------------------------------- */

tims_socket *http__socket_new(http__connection *connection, const tims_socket_events *events, void *ctx,
                              const tims_socket_options *options, int window_bits)
{
    tims_socket *socket = calloc(1, sizeof(*socket));
    TIMS_ASSERT(socket != NULL);
    socket->magic = HTTP__SOCKET_MAGIC;
    socket->connection = connection;
    socket->events = events;
    socket->ctx = ctx;
    socket->window_bits = (uint8_t)window_bits;
    socket->frames = socket->frames_inline;
    socket->frame_capacity = FRAMES_INLINE;
    socket->ping_ms = options && options->ping_ms ? options->ping_ms : PING_EVERY_MS;
    socket->queue_bytes_max = options && options->queue_bytes_max ? options->queue_bytes_max : BYTES_DEFAULT;
    size_t message_bytes_max =
        options && options->message_bytes_max ? options->message_bytes_max : BYTES_DEFAULT;
    TIMS_ASSERT(window_bits == 0 || message_bytes_max < UINT32_MAX);
    socket->ws = tims_ws_new(true, message_bytes_max, window_bits ? &packed_events : &plain_events, socket);
    return socket;
}

tims_loop *tims_socket_loop(const tims_socket *socket)
{
    return socket->connection->worker->loop;
}

tims_str tims_socket_peer(const tims_socket *socket)
{
    return (tims_str){ socket->connection->peer, socket->connection->peer_length };
}
