/* stream.c: a TCP or Unix connection, either end.
 *
 * Reading stays on from start to end, into one buffer per loop: nothing is allocated for a read, and nothing
 * told to the kernel between requests. A pause is therefore a flag; only when bytes really arrive meanwhile
 * does libuv stop polling, and the bytes stay in the kernel, where they push back on the peer. Writing is in
 * outbox.c.
 *
 *   new ─► start ─► on_data… ─► on_end (once) ─► close ─► on_closed ─► freed
 *                   └── write, shutdown: until close ──┘ */
#include <stdlib.h>
#include <string.h>

#include "loop/loop_internal.h"

#if TIMS_ASAN
#include <sanitizer/asan_interface.h>
#endif

static void finish_close(uv_handle_t *handle)
{
    tims_stream *stream = handle->data;
    loop__outbox_drop(stream);
    if (stream->events != NULL && stream->events->on_closed != NULL)
        stream->events->on_closed(stream->ctx);
    free(stream->peer);
    stream->magic = 0;
    free(stream);
}

tims_stream *loop__stream_new(tims_loop *loop, bool is_pipe)
{
    tims_stream *stream = calloc(1, sizeof *stream);
    TIMS_ASSERT(stream != NULL);
    stream->magic = STREAM_MAGIC;
    stream->loop = loop;
    stream->is_pipe = is_pipe;
    int err =
        is_pipe ? uv_pipe_init(&loop->uv, &stream->uv.pipe, 0) : uv_tcp_init(&loop->uv, &stream->uv.tcp);
    TIMS_ASSERT(err == 0);
    stream->uv.handle.data = stream;
    return stream;
}

/* --- reading ---------------------------------------------------------------------------------- */

static void stop_reading(tims_stream *stream)
{
    (void)uv_read_stop(&stream->uv.stream);
    stream->reading = false;
}

static void end_input(tims_stream *stream, tims_status why)
{
    if (stream->ended || stream->closing)
        return;
    stream->ended = true;
    stop_reading(stream);
    if (stream->events->on_end != NULL)
        stream->events->on_end(stream->ctx, why);
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    tims_stream *stream = handle->data;
    (void)suggested;
    buffer->base = NULL;
    buffer->len = 0;
    if (stream->paused) /* makes libuv report ENOBUFS before it reads */
        return;
#if TIMS_ASAN
    ASAN_UNPOISON_MEMORY_REGION(stream->loop->read_buffer, READ_BUFFER_BYTES);
#endif
    buffer->base = stream->loop->read_buffer;
    buffer->len = READ_BUFFER_BYTES;
}

static void receive(uv_stream_t *handle, ssize_t count, const uv_buf_t *buffer)
{
    tims_stream *stream = handle->data;
    if (count == 0)
        return;
    if (count == UV_ENOBUFS) {
        stop_reading(stream);
        return;
    }
    if (count < 0) {
        end_input(stream, count == UV_EOF ? TIMS_CLOSED : TIMS_IO);
        return;
    }
    stream->events->on_data(stream->ctx, (tims_str){ buffer->base, (size_t)count });
#if TIMS_ASAN
    ASAN_POISON_MEMORY_REGION(buffer->base, READ_BUFFER_BYTES); /* who keeps a slice is found out */
#endif
}

static void start_reading(tims_stream *stream)
{
    if (stream->reading || stream->ended || stream->closing)
        return;
    int err = uv_read_start(&stream->uv.stream, lend_buffer, receive);
    if (err != 0) {
        loop__stream_fail(stream, err);
        return;
    }
    stream->reading = true;
}

void tims_stream_set_events(tims_stream *stream, const tims_stream_events *events, void *ctx)
{
    TIMS_CHECK_MAGIC(stream, STREAM_MAGIC);
    TIMS_ASSERT(events != NULL && events->on_data != NULL);
    stream->events = events;
    stream->ctx = ctx;
}

void tims_stream_start(tims_stream *stream, const tims_stream_events *events, void *ctx)
{
    tims_stream_set_events(stream, events, ctx);
    TIMS_ASSERT(!stream->started);
    stream->started = true;
    if (!stream->paused)
        start_reading(stream);
}

void tims_stream_pause(tims_stream *stream)
{
    TIMS_CHECK_MAGIC(stream, STREAM_MAGIC);
    stream->paused = true;
}

void tims_stream_resume(tims_stream *stream)
{
    TIMS_CHECK_MAGIC(stream, STREAM_MAGIC);
    stream->paused = false;
    if (stream->started)
        start_reading(stream);
}

/* --- the end ---------------------------------------------------------------------------------- */

/* A failed write is also the end of the input: who only reads must learn of it. */
void loop__stream_fail(tims_stream *stream, int uv_error)
{
    (void)uv_error;
    if (stream->broken || stream->closing)
        return;
    stream->broken = true;
    loop__outbox_wake(stream, TIMS_CLOSED);
    if (stream->started)
        end_input(stream, TIMS_IO);
}

static void finish_shutdown(uv_shutdown_t *request, int status)
{
    (void)status;
    free(request);
}

static void send_shutdown(tims_stream *stream)
{
    if (stream->shut_sent || stream->broken || stream->closing)
        return;
    stream->shut_sent = true;
    uv_shutdown_t *request = malloc(sizeof *request);
    TIMS_ASSERT(request != NULL);
    if (uv_shutdown(request, &stream->uv.stream, finish_shutdown) != 0)
        free(request);
}

void loop__stream_drained(tims_stream *stream)
{
    if (stream->shut)
        send_shutdown(stream);
    if (stream->events != NULL && stream->events->on_drain != NULL)
        stream->events->on_drain(stream->ctx);
}

void tims_stream_shutdown(tims_stream *stream)
{
    TIMS_CHECK_MAGIC(stream, STREAM_MAGIC);
    stream->shut = true;
    if (stream->outbox == NULL)
        send_shutdown(stream);
}

void tims_stream_close(tims_stream *stream)
{
    TIMS_CHECK_MAGIC(stream, STREAM_MAGIC);
    if (stream->closing)
        return;
    stream->closing = true;
    loop__outbox_wake(stream, TIMS_CLOSED);
    uv_close(&stream->uv.handle, finish_close);
}

/* --- questions -------------------------------------------------------------------------------- */

static void read_peer_address(const uv_tcp_t *tcp, char *ret_text, size_t size)
{
    struct sockaddr_storage address = { 0 };
    int length = sizeof address;
    ret_text[0] = '\0';
    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&address, &length) != 0)
        return;
    if (address.ss_family == AF_INET)
        (void)uv_ip4_name((const struct sockaddr_in *)&address, ret_text, size);
    else if (address.ss_family == AF_INET6)
        (void)uv_ip6_name((const struct sockaddr_in6 *)&address, ret_text, size);
}

tims_str tims_stream_peer_address(tims_stream *stream)
{
    TIMS_CHECK_MAGIC(stream, STREAM_MAGIC);
    if (stream->is_pipe)
        return TIMS_STR("unix");
    if (stream->peer == NULL) {
        char text[INET6_ADDRSTRLEN + 1];
        read_peer_address(&stream->uv.tcp, text, sizeof text);
        /* An IPv4 peer of a socket for both families. */
        const char *shown = strncmp(text, "::ffff:", 7) == 0 && strchr(text, '.') != NULL ? text + 7 : text;
        stream->peer = strdup(shown);
        TIMS_ASSERT(stream->peer != NULL);
    }
    return tims_str_from(stream->peer);
}

tims_loop *tims_stream_loop(tims_stream *stream)
{
    TIMS_CHECK_MAGIC(stream, STREAM_MAGIC);
    return stream->loop;
}
