/* raw.c: a connection whose bytes are no longer HTTP, for tunnels: the request's fiber stays and relays. */
#include "http_internal.h"

enum { RAW_QUEUE_BYTES = 64 * 1024 };

tims_status http__raw_begin(tims_request *rq, const http__raw_events *events, void *ctx)
{
    http__exchange *exchange = rq->exchange;
    http__connection *connection = exchange->connection;
    TIMS_ASSERT(!exchange->head_sent);
    if (connection->closing || exchange->client_gone)
        return TIMS_CLOSED;
    connection->raw_events = events;
    connection->raw_ctx = ctx;
    connection->mode = HTTP__MODE_RAW;
    connection->deadline_us = 0;
    exchange->upgraded = true;
    exchange->head_sent = true;
    exchange->status = 101;
    tims_buf pending = connection->pending;
    connection->pending = (tims_buf){ 0 };
    if (pending.length > 0)
        events->on_data(ctx, tims_buf_str(&pending));
    tims_buf_free(&pending);
    return TIMS_OK;
}

tims_status http__raw_write(tims_request *rq, tims_str bytes)
{
    http__connection *connection = rq->exchange->connection;
    tims_status status = http__transport_write(connection, &bytes, 1);
    if (status != TIMS_OK || tims_stream_queued(connection->stream) <= RAW_QUEUE_BYTES)
        return status;
    return tims_stream_wait_below(connection->stream, RAW_QUEUE_BYTES);
}

void http__raw_pause(tims_request *rq)
{
    if (!rq->exchange->connection->closing)
        tims_stream_pause(rq->exchange->connection->stream);
}

void http__raw_resume(tims_request *rq)
{
    if (!rq->exchange->connection->closing)
        tims_stream_resume(rq->exchange->connection->stream);
}
