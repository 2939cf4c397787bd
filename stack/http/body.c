/* body.c: the request's body, whole or piece by piece.
 *
 * The handler starts when the head is in; what arrives of the body meanwhile is gathered in `incoming`. A
 * handler that wants it whole waits for the end; one that wants pieces takes `incoming` in exchange for the
 * piece it has read, so a piece stays where it is until the next is asked for. Past HTTP__BODY_HIGH_BYTES the
 * connection stops reading. */
#include "http_internal.h"

#include <string.h>

enum { ARENA_BODY_MAX = 16 * 1024, PARTS_MAX = 64, PAIRS_MAX = 1000 };

/* Small bodies of known length live in the request's arena: no malloc for the common case. */
static void set_up_incoming(http__exchange *exchange)
{
    bool is_small = exchange->content_length >= 0 && exchange->content_length <= ARENA_BODY_MAX;
    tims_buf_init(&exchange->incoming, is_small ? exchange->arena : NULL, SIZE_MAX / 2);
    if (is_small)
        tims_buf_reserve(&exchange->incoming, (size_t)exchange->content_length);
}

bool http__body_arrived(http__exchange *exchange, tims_str bytes)
{
    exchange->body_received += bytes.length;
    if (exchange->body_failure)
        return true;
    if (exchange->body_received > exchange->body_limit) {
        http__body_failed(exchange, 413);
        return true;
    }
    if (exchange->incoming.max == 0)
        set_up_incoming(exchange);
    tims_buf_append_str(&exchange->incoming, bytes);
    if (exchange->waiting_for_body && !exchange->want_whole)
        tims_fiber_wake(exchange->fiber);
    return exchange->want_whole || exchange->incoming.length < HTTP__BODY_HIGH_BYTES;
}

void http__body_ended(http__exchange *exchange)
{
    exchange->input_ended = true;
    if (exchange->waiting_for_body)
        tims_fiber_wake(exchange->fiber);
}

void http__body_failed(http__exchange *exchange, int http_status)
{
    if (!exchange->body_failure)
        exchange->body_failure = http_status;
    exchange->keep_alive = false;
    if (exchange->waiting_for_body)
        tims_fiber_wake(exchange->fiber);
}

void http__body_free(http__exchange *exchange)
{
    if (!exchange->incoming.arena)
        tims_buf_free(&exchange->incoming);
    if (!exchange->given.arena)
        tims_buf_free(&exchange->given);
}

void http__body_raise(http__exchange *exchange)
{
    tims_request *rq = &exchange->rq;
    if (exchange->body_failure == 413)
        tims_raise(rq, 413, "too_large", "The body may be at most %lld bytes.",
                   (long long)exchange->body_limit);
    if (exchange->body_failure == 408)
        tims_raise(rq, 408, "body_timeout", "The body came too slowly.");
    tims_raise(rq, exchange->body_failure, "malformed", "The body cannot be read.");
}

/* Tells a client that waits for it to go on. */
static void send_continue(http__exchange *exchange)
{
    if (!exchange->expect_continue)
        return;
    exchange->expect_continue = false;
    if (exchange->body_received > 0 || exchange->connection->closing)
        return;
    http__out_append(exchange->connection, TIMS_STR("HTTP/1.1 100 Continue\r\n\r\n"));
    http__out_flush(exchange->connection);
}

/* Suspends until there is something to look at. */
static void wait_for_body(http__exchange *exchange)
{
    send_continue(exchange);
    exchange->waiting_for_body = true; /* first: the next line may already bring it, and its wake is kept */
    http__connection_resume_input(exchange->connection);
    tims_status status = tims_fiber_suspend();
    exchange->waiting_for_body = false;
    if (status == TIMS_CANCELLED)
        tims_raise(&exchange->rq, 499, "cancelled", "The client went away.");
    tims_check(&exchange->rq, status, NULL);
}

tims_str tims_body(tims_request *rq)
{
    http__exchange *exchange = rq->exchange;
    if (!exchange || !exchange->body_expected)
        return TIMS_STR("");
    exchange->want_whole = true;
    while (!exchange->input_ended && !exchange->body_failure)
        wait_for_body(exchange);
    if (exchange->body_failure)
        http__body_raise(exchange);
    return exchange->incoming.length > 0 ? tims_buf_str(&exchange->incoming) : TIMS_STR("");
}

tims_status http__body_take(http__exchange *exchange, tims_str *ret_bytes)
{
    *ret_bytes = TIMS_STR("");
    if (!exchange->body_expected)
        return TIMS_OK;
    if (exchange->body_failure)
        return TIMS_INVALID;
    if (exchange->incoming.length == 0 && !exchange->input_ended) {
        send_continue(exchange);
        return TIMS_BUSY;
    }
    tims_buf taken = exchange->incoming;
    exchange->incoming = exchange->given;
    exchange->incoming.length = 0;
    exchange->given = taken;
    http__connection_resume_input(exchange->connection);
    if (taken.length > 0)
        *ret_bytes = tims_buf_str(&taken);
    return TIMS_OK;
}

tims_str tims_body_next(tims_request *rq)
{
    http__exchange *exchange = rq->exchange;
    tims_str bytes = { "", 0 };
    tims_status status;
    if (!exchange)
        return bytes;
    while ((status = http__body_take(exchange, &bytes)) == TIMS_BUSY)
        wait_for_body(exchange);
    if (status != TIMS_OK)
        http__body_raise(exchange);
    return bytes;
}

/* --- forms of it ------------------------------------------------------------------------------ */

/* The media type without its parameters. */
static tims_str media_type(const tims_request *rq)
{
    tims_str value = tims_header_of(rq, TIMS_STR("Content-Type"));
    return value.data ? tims_str_trim(tims_str_cut(&value, ';')) : value;
}

static void need_media_type(tims_request *rq, tims_str wanted, bool may_be_absent)
{
    tims_str type = media_type(rq);
    if (type.data ? tims_str_equal_ignoring_case(type, wanted) : may_be_absent)
        return;
    tims_raise(rq, 415, "unsupported_media_type", "Send this as %.*s.", TIMS_PRINT(wanted));
}

const tims_json *tims_body_json(tims_request *rq)
{
    need_media_type(rq, TIMS_STR("application/json"), true);
    tims_str text = tims_body(rq);
    tims_error err = { 0 };
    const tims_json *value = NULL;
    if (rq->exchange)
        rq->exchange->reading_body = true;
    tims_check(rq, tims_json_parse(rq->arena, text, &value, &err), &err);
    if (rq->exchange)
        rq->exchange->reading_body = false;
    return value;
}

void *tims_body_shape(tims_request *rq, const tims_shape *shape)
{
    const tims_json *value = tims_body_json(rq);
    void *object = tims_alloc(rq->arena, shape->size);
    tims_error err = { 0 };
    tims_check(rq, tims_json_bind(rq->arena, value, shape->fields, TIMS_BIND_CREATE, object, NULL, &err),
               &err);
    return object;
}

tims_pairs tims_body_form(tims_request *rq)
{
    need_media_type(rq, TIMS_STR("application/x-www-form-urlencoded"), false);
    tims_str text = tims_body(rq);
    tims_pairs pairs = { 0 };
    tims_error err = { 0 };
    tims_check(rq, tims_url_parse_pairs(rq->arena, text, PAIRS_MAX, &pairs, &err), &err);
    return pairs;
}

/* --- uploads ---------------------------------------------------------------------------------- */

typedef struct upload_reader {
    tims_arena *arena;
    tims_uploads uploads;
    tims_buf data;
    size_t bytes_max;
} upload_reader;

static bool begin_part(void *ctx, const tims_part_head *head)
{
    upload_reader *reader = ctx;
    if (reader->uploads.count == PARTS_MAX)
        return false;
    tims_upload *upload = &reader->uploads.items[reader->uploads.count++];
    upload->name = tims_copy(reader->arena, head->name);
    upload->filename = tims_copy(reader->arena, head->filename);
    upload->content_type = tims_copy(reader->arena, head->content_type);
    tims_buf_init(&reader->data, reader->arena, reader->bytes_max);
    return true;
}

static bool take_data(void *ctx, tims_str bytes)
{
    upload_reader *reader = ctx;
    tims_buf_append_str(&reader->data, bytes);
    return !reader->data.overflow;
}

static bool end_part(void *ctx)
{
    upload_reader *reader = ctx;
    reader->uploads.items[reader->uploads.count - 1].data = tims_buf_str(&reader->data);
    return true;
}

static const tims_multipart_events upload_events = {
    .on_part = begin_part,
    .on_data = take_data,
    .on_part_end = end_part,
};

tims_uploads tims_body_uploads(tims_request *rq)
{
    need_media_type(rq, TIMS_STR("multipart/form-data"), false);
    tims_str text = tims_body(rq);
    upload_reader reader = { .arena = rq->arena, .bytes_max = text.length + 1 };
    if (rq->exchange)
        rq->exchange->reading_body = true;
    reader.uploads.items = TIMS_NEW_ARRAY(rq->arena, tims_upload, PARTS_MAX);
    tims_multipart *parser = NULL;
    tims_error err = { 0 };
    tims_check(rq,
               tims_multipart_new(rq->arena, tims_header_of(rq, TIMS_STR("Content-Type")), PARTS_MAX,
                                  &upload_events, &reader, &parser, &err),
               &err);
    tims_check(rq, tims_multipart_feed(parser, text, &err), &err);
    tims_check(rq, tims_multipart_finish(parser, &err), &err);
    if (rq->exchange)
        rq->exchange->reading_body = false;
    return reader.uploads;
}
