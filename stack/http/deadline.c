/* deadline.c: when a connection has waited long enough.
 *
 * A connection has two deadlines, both plain fields: one for what it waits for from its client, one for a
 * client that does not take what was written. One timer looks at them when it rings and is moved only when a
 * deadline comes nearer, so a busy connection costs no timer work at all. */
#include "http_internal.h"

static void ring(void *argument);

static int64_t nearest_deadline(const http__connection *connection)
{
    int64_t a = connection->deadline_us, b = connection->write_deadline_us;
    return !a ? b : !b ? a : a < b ? a : b;
}

void http__connection_arm(http__connection *connection)
{
    int64_t due = nearest_deadline(connection);
    if (due == 0 || connection->closing || (connection->timer_due_us && connection->timer_due_us <= due))
        return;
    connection->timer_due_us = due;
    int64_t now = tims_loop_now_us(connection->worker->loop);
    tims_timer_set(connection->worker->loop, &connection->timer, due > now ? (due - now) / 1000 + 1 : 1, ring,
                   connection);
}

void http__connection_set_deadline(http__connection *connection, int64_t after_ms)
{
    connection->deadline_us = after_ms ? tims_loop_now_us(connection->worker->loop) + after_ms * 1000 : 0;
    http__connection_arm(connection);
}

/* A client that takes nothing for the whole write timeout is gone; one that reads slowly is only slow. */
static bool is_stuck(http__connection *connection)
{
    size_t queued = tims_stream_queued(connection->stream);
    uint64_t taken = connection->submitted_bytes - queued;
    if (queued == 0) {
        connection->write_deadline_us = 0;
        return false;
    }
    uint64_t needed = queued < HTTP__BODY_RATE_BYTES_S ? 1 : HTTP__BODY_RATE_BYTES_S;
    if (taken < connection->write_mark_bytes + needed)
        return true;
    connection->write_mark_bytes = taken;
    connection->write_deadline_us = tims_loop_now_us(connection->worker->loop) +
                                    (int64_t)connection->worker->server->options.write_timeout_ms * 1000;
    return false;
}

static void ring(void *argument)
{
    http__connection *connection = argument;
    TIMS_CHECK_MAGIC(connection, HTTP__CONNECTION_MAGIC);
    connection->timer_due_us = 0;
    if (connection->closing)
        return;
    int64_t now = tims_loop_now_us(connection->worker->loop);
    if (connection->write_deadline_us && connection->write_deadline_us <= now && is_stuck(connection)) {
        http__connection_close(connection);
        return;
    }
    if (connection->deadline_us && connection->deadline_us <= now)
        http__connection_expire(connection);
    if (!connection->closing)
        http__connection_arm(connection);
}
