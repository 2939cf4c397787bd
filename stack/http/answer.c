/* answer.c: answers, from what a handler returned to bytes in the output buffer. */
#include "http_internal.h"

#include <stdio.h>
#include <string.h>

/* --- making them ------------------------------------------------------------------------------ */

tims_answer tims_answer_bytes(int status, tims_str content_type, tims_str body)
{
    return (tims_answer){ .status = status, .content_type = content_type, .body = body };
}

tims_answer tims_answer_json(int status, tims_str json)
{
    return tims_answer_bytes(status, TIMS_STR("application/json"), json);
}

tims_answer tims_answer_empty(int status)
{
    return (tims_answer){ .status = status };
}

tims_answer tims_answer_text(tims_request *rq, int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tims_str text = tims_print_v(rq->arena, format, arguments);
    va_end(arguments);
    return tims_answer_bytes(status, TIMS_STR("text/plain; charset=utf-8"), text);
}

tims_answer tims_answer_redirect(tims_request *rq, int status, tims_str location)
{
    TIMS_ASSERT(status >= 300 && status <= 308);
    tims_set_header(rq, TIMS_STR("Location"), location);
    return tims_answer_empty(status);
}

tims_answer tims_answer_shape(tims_request *rq, int status, const tims_shape *shape, const void *object)
{
    tims_buf text;
    tims_buf_init(&text, rq->arena,
                  rq->exchange ? rq->exchange->worker->server->options.memory_bytes_max : SIZE_MAX / 2);
    tims_json_writer writer = tims_json_to(&text);
    tims_json_object(&writer, shape->fields, object, 0);
    return tims_answer_json(status, tims_buf_str(&text));
}

tims_answer tims_answer_sent(void)
{
    return (tims_answer){ .status = 200, .kind = TIMS_BODY_SENT };
}

/* --- sending them ----------------------------------------------------------------------------- */

static bool may_have_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

/* An unread rest of a body is swallowed when it is short; else the connection ends with this answer. */
static void decide_keep_alive(http__exchange *exchange)
{
    if (exchange->connection->worker->draining || exchange->connection->peer_ended)
        exchange->keep_alive = false;
    if (exchange->input_ended || !exchange->keep_alive)
        return;
    bool is_short = exchange->content_length >= 0 && !exchange->expect_continue && !exchange->body_failure &&
                    (uint64_t)exchange->content_length - exchange->body_received <= HTTP__DISCARD_BYTES_MAX;
    if (!is_short)
        exchange->keep_alive = false;
}

static void send_bytes(http__exchange *exchange, const tims_answer *answer)
{
    bool has_body = may_have_body(answer->status);
    http__head_write(exchange, answer->status, answer->content_type,
                     has_body ? (int64_t)answer->body.length : -1);
    if (has_body && !exchange->is_head && answer->body.length > 0) {
        exchange->sent_bytes = answer->body.length;
        /* What a raised request has open ends with its arena, which a held body would keep for as long as the
         * client likes to read it. */
        if (answer->body.length <= HTTP__COPY_BYTES_MAX || exchange->rq.has_raised)
            http__out_append(exchange->connection, answer->body);
        else
            http__out_write_held(exchange, answer->body);
    }
    exchange->body_done = true;
}

/* The end of what tims_stream_out sent. A raise behind the head leaves it open: the client must see that it
 * was cut. */
static void send_stream_end(http__exchange *exchange)
{
    if (exchange->upgraded) {
        exchange->body_done = true;
        return;
    }
    if (!exchange->head_sent || exchange->rq.has_raised)
        return;
    if (exchange->chunked && !exchange->is_head)
        http__out_append(exchange->connection, TIMS_STR("0\r\n\r\n"));
    exchange->body_done = true;
}

void http__answer_send(http__exchange *exchange, const tims_answer *answer)
{
    http__connection *connection = exchange->connection;
    if (!connection || connection->closing || exchange->client_gone) {
        exchange->status = 499;
        return;
    }
    if (answer->kind == TIMS_BODY_SENT) {
        send_stream_end(exchange);
        return;
    }
    TIMS_ASSERT(!exchange->head_sent && answer->status >= 200 && answer->status <= 599);
    decide_keep_alive(exchange);
    tims_answer final = *answer;
    if (final.kind == TIMS_BODY_FILE) {
        http__file_send(exchange, &final);
        return;
    }
    if (exchange->worker->server->options.compress)
        http__answer_compress(exchange, &final);
    send_bytes(exchange, &final);
}

/* For what never became a request: the parser refused it. */
void http__answer_refusal(http__connection *connection, int http_status, const tims_error *err)
{
    http__worker *worker = connection->worker;
    worker->scratch.length = 0;
    tims_str detail = err->message[0] ? tims_str_from(err->message) : http__reason(http_status);
    http__problem_write(&worker->scratch, http_status, err->code ? err->code : "malformed", detail, NULL,
                        (tims_str){ 0 });
    tims_str reason = http__reason(http_status);
    http__worker_date(worker);
    char head[512];
    int length = snprintf(
        head, sizeof(head),
        "HTTP/1.1 %d %.*s\r\nDate: %.*s\r\nContent-Type: application/problem+json\r\n"
        "Content-Length: %zu\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n\r\n",
        http_status, TIMS_PRINT(reason), TIMS_HTTP_DATE_LENGTH, worker->date, worker->scratch.length);
    TIMS_ASSERT(length > 0 && (size_t)length < sizeof(head));
    http__out_append(connection, (tims_str){ head, (size_t)length });
    http__out_append(connection, tims_buf_str(&worker->scratch));
}

/* --- streaming -------------------------------------------------------------------------------- */

enum { STREAM_QUEUE_BYTES = 64 * 1024 };

static void leave_if_gone(tims_request *rq)
{
    http__exchange *exchange = rq->exchange;
    if (!exchange->client_gone && !exchange->connection->closing)
        return;
    tims_raise(rq, 499, "cancelled", "The client went away.");
}

void tims_stream_head(tims_request *rq, int status, tims_str content_type)
{
    http__stream_begin(rq, status, content_type, -1);
}

void http__stream_begin(tims_request *rq, int status, tims_str content_type, int64_t content_length)
{
    http__exchange *exchange = rq->exchange;
    TIMS_ASSERT(exchange != NULL && !exchange->head_sent);
    leave_if_gone(rq);
    decide_keep_alive(exchange);
    bool has_body = may_have_body(status);
    exchange->is_endless = tims_str_starts_with(content_type, TIMS_STR("text/event-stream"));
    exchange->chunked = has_body && content_length < 0 && !exchange->old_version;
    if (has_body && content_length < 0 && exchange->old_version)
        exchange->keep_alive = false;
    http__head_write(exchange, status, content_type, content_length);
    http__out_flush_at_tick_end(exchange->connection);
}

static void append_chunk(http__exchange *exchange, tims_str bytes)
{
    http__connection *connection = exchange->connection;
    if (exchange->chunked) {
        char size[20];
        int length = snprintf(size, sizeof(size), "%zx\r\n", bytes.length);
        http__out_append(connection, (tims_str){ size, (size_t)length });
    }
    http__out_append(connection, bytes);
    if (exchange->chunked)
        http__out_append(connection, TIMS_STR("\r\n"));
}

void http__stream_put(tims_request *rq, tims_str bytes)
{
    http__exchange *exchange = rq->exchange;
    TIMS_ASSERT(exchange != NULL && exchange->head_sent);
    leave_if_gone(rq);
    if (bytes.length == 0 || exchange->is_head)
        return;
    append_chunk(exchange, bytes);
    exchange->sent_bytes += bytes.length;
    http__out_flush_at_tick_end(exchange->connection);
    if (http__out_queued(exchange->connection) > STREAM_QUEUE_BYTES)
        http__out_flush(exchange->connection);
}

bool http__stream_is_full(http__exchange *exchange)
{
    return http__out_queued(exchange->connection) > STREAM_QUEUE_BYTES;
}

void tims_stream_out(tims_request *rq, tims_str bytes)
{
    http__exchange *exchange = rq->exchange;
    http__stream_put(rq, bytes);
    if (!http__stream_is_full(exchange))
        return;
    tims_status status = TIMS_CLOSED;
    if (!exchange->connection->closing)
        status = tims_stream_wait_below(exchange->connection->stream, STREAM_QUEUE_BYTES);
    if (status == TIMS_CLOSED || status == TIMS_IO || status == TIMS_CANCELLED)
        tims_raise(rq, 499, "cancelled", "The client went away.");
    tims_check(rq, status, NULL);
}
