/* output.c: answers on their way out.
 *
 * A worker has one output buffer. Heads and small bodies are copied into it for one connection at a time, its
 * owner, and written with one call when the owner's input is used up (so pipelined answers leave together),
 * when the buffer is full, when another connection needs it, or at the end of the tick for what a fiber
 * streams. Larger bodies are never copied: they follow the buffer in the same writev and are held until the
 * kernel has them. */
#include "http_internal.h"

#include <string.h>

static bool can_write(const http__connection *connection)
{
    return !connection->closing && !connection->stream_closed;
}

void http__transport_note(http__connection *connection, size_t bytes)
{
    connection->submitted_bytes += bytes;
    size_t queued = tims_stream_queued(connection->stream);
    if (queued == 0) {
        connection->write_deadline_us = 0;
        return;
    }
    if (connection->write_deadline_us)
        return;
    const tims_server_options *options = &connection->worker->server->options;
    connection->write_mark_bytes = connection->submitted_bytes - queued;
    connection->write_deadline_us =
        tims_loop_now_us(connection->worker->loop) + (int64_t)options->write_timeout_ms * 1000;
    http__connection_arm(connection);
}

static size_t total_length(const tims_str *slices, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += slices[i].length;
    return total;
}

tims_status http__transport_write(http__connection *connection, const tims_str *slices, size_t count)
{
    if (!can_write(connection))
        return TIMS_CLOSED;
    if (connection->tls)
        return http__tls_send(connection, slices, count);
    tims_status status = tims_stream_write(connection->stream, slices, count);
    if (status == TIMS_OK)
        http__transport_note(connection, total_length(slices, count));
    else
        http__connection_close(connection);
    return status;
}

tims_status http__transport_write_owned(http__connection *connection, const tims_str *slices, size_t count,
                                        tims_loop_fn release, void *argument)
{
    if (!can_write(connection)) {
        release(argument);
        return TIMS_CLOSED;
    }
    if (connection->tls) {
        tims_status status = http__transport_write(connection, slices, count);
        release(argument);
        return status;
    }
    size_t total = total_length(slices, count);
    tims_status status = tims_stream_write_owned(connection->stream, slices, count, release, argument);
    if (status == TIMS_OK)
        http__transport_note(connection, total);
    else
        http__connection_close(connection);
    return status;
}

void http__out_flush(http__connection *connection)
{
    http__worker *worker = connection->worker;
    if (worker->out_owner != connection)
        return;
    worker->out_owner = NULL;
    tims_str bytes = { worker->out, worker->out_length };
    worker->out_length = 0;
    if (bytes.length > 0)
        (void)!http__transport_write(connection, &bytes, 1);
}

void http__out_forget(http__connection *connection)
{
    http__worker *worker = connection->worker;
    if (worker->out_owner == connection) {
        worker->out_owner = NULL;
        worker->out_length = 0;
    }
}

char *http__out_reserve(http__connection *connection, size_t bytes)
{
    http__worker *worker = connection->worker;
    TIMS_ASSERT(bytes <= HTTP__OUT_BYTES);
    if (worker->out_owner &&
        (worker->out_owner != connection || worker->out_length + bytes > HTTP__OUT_BYTES))
        http__out_flush(worker->out_owner);
    worker->out_owner = connection;
    return worker->out + worker->out_length;
}

void http__out_commit(http__connection *connection, size_t bytes)
{
    http__worker *worker = connection->worker;
    TIMS_ASSERT(worker->out_owner == connection && worker->out_length + bytes <= HTTP__OUT_BYTES);
    worker->out_length += bytes;
}

void http__out_append(http__connection *connection, tims_str bytes)
{
    if (bytes.length == 0)
        return;
    if (bytes.length <= HTTP__COPY_BYTES_MAX) {
        memcpy(http__out_reserve(connection, bytes.length), bytes.data, bytes.length);
        http__out_commit(connection, bytes.length);
        return;
    }
    http__worker *worker = connection->worker;
    if (worker->out_owner != connection)
        http__out_reserve(connection, 0);
    tims_str slices[2] = { { worker->out, worker->out_length }, bytes };
    worker->out_owner = NULL;
    worker->out_length = 0;
    (void)!http__transport_write(connection, slices, 2);
}

void http__out_write_held(http__exchange *exchange, tims_str bytes)
{
    http__connection *connection = exchange->connection;
    http__worker *worker = connection->worker;
    tims_str slices[2] = { { 0 }, bytes };
    if (worker->out_owner == connection && worker->out_length <= HTTP__COPY_BYTES_MAX) {
        /* The buffer is used again at once, so the head moves to where it lives as long as the body. */
        slices[0] = tims_copy(exchange->rq.arena, (tims_str){ worker->out, worker->out_length });
        http__out_forget(connection);
    } else {
        http__out_flush(connection);
    }
    http__exchange_hold(exchange);
    bool has_head = slices[0].length > 0;
    (void)!http__transport_write_owned(connection, has_head ? slices : slices + 1, has_head ? 2 : 1,
                                       http__exchange_release, exchange);
}

static void flush_owner(void *argument)
{
    http__worker *worker = argument;
    if (worker->out_owner)
        http__out_flush(worker->out_owner);
}

void http__out_flush_at_tick_end(http__connection *connection)
{
    http__worker *worker = connection->worker;
    tims_loop_at_tick_end(worker->loop, &worker->flush_armed, flush_owner, worker);
}

size_t http__out_queued(http__connection *connection)
{
    size_t gathered = connection->worker->out_owner == connection ? connection->worker->out_length : 0;
    return connection->stream_closed ? 0 : gathered + tims_stream_queued(connection->stream);
}
