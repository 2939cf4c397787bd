/* http1_testing.h: a listener that writes down what the parser tells it, and ways to feed it. For tests
 * only. */
#ifndef TIMS_PROTO_HTTP1_TESTING_H
#define TIMS_PROTO_HTTP1_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/proto_internal.h"

#define REST "Host: h\r\n\r\n"
#define POST "POST / HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

/* --- a listener that writes down what it is told ------------------------------------------------- */

typedef struct transcript {
    tims_buf text, body;
    int heads, ends;
    bool stop_at_head, stop_at_body, stop_at_end;
    tims_http1 *parser;
    bool head_requests; /* tell the parser that every request was HEAD */
} transcript;

TIMS_UNUSED static bool write_head(void *ctx, const tims_http1_head *head)
{
    transcript *t = ctx;
    t->heads++;
    tims_buf_print(
        &t->text, "%s %d %S host=%S length=%d chunked=%d keep=%d upgrade=%d continue=%d minor=%d\n",
        tims_method_name(head->method), head->status, head->target, head->host, (int)head->content_length,
        head->chunked, head->keep_alive, head->upgrade, head->expect_continue, head->minor_version);
    for (size_t i = 0; i < head->header_count; i++)
        tims_buf_print(&t->text, "%S=%S\n", head->headers[i].name, head->headers[i].value);
    return !t->stop_at_head;
}

TIMS_UNUSED static bool write_body(void *ctx, tims_str bytes)
{
    transcript *t = ctx;
    assert_true(bytes.length > 0);
    tims_buf_append_str(&t->body, bytes);
    return !t->stop_at_body;
}

TIMS_UNUSED static bool write_end(void *ctx)
{
    transcript *t = ctx;
    t->ends++;
    tims_buf_print(&t->text, "body=%S\nend\n", tims_buf_str(&t->body));
    t->body.length = 0;
    return !t->stop_at_end;
}

static const tims_http1_events events = { .on_head = write_head, .on_body = write_body, .on_end = write_end };

TIMS_UNUSED static void open_transcript(transcript *t, tims_http1_role role, const tims_http1_limits *limits)
{
    *t = (transcript){ 0 };
    tims_buf_init(&t->text, NULL, 1 << 20);
    tims_buf_init(&t->body, NULL, 1 << 20);
    t->parser = tims_http1_new(role, limits, &events, t);
}

TIMS_UNUSED static void close_transcript(transcript *t)
{
    tims_http1_free(&t->parser);
    assert_null(t->parser);
    tims_buf_free(&t->text);
    tims_buf_free(&t->body);
}

/* Feeds a heap copy of exactly these bytes, so that ASan sees a read beyond them. Returns the HTTP status, 0:
 * taken. */
TIMS_UNUSED static int feed(transcript *t, tims_str bytes, size_t *ret_used)
{
    char *copy = malloc(bytes.length + 1);
    assert_non_null(copy);
    memmove(copy + 1, bytes.data != NULL ? bytes.data : "", bytes.length);
    int http_status = 0;
    tims_error err = { 0 };
    tims_status status =
        tims_http1_feed(t->parser, (tims_str){ copy + 1, bytes.length }, ret_used, &http_status, &err);
    free(copy);
    assert_int_equal(status == TIMS_OK, http_status == 0);
    assert_int_equal(err.status, status);
    assert_true(*ret_used <= bytes.length);
    return http_status;
}

/* Feeds in pieces of at most `piece` bytes, resuming behind upgrades; 0 or the status of the refusal. */
TIMS_UNUSED static int feed_in_pieces(transcript *t, tims_str bytes, size_t piece)
{
    size_t at = 0;
    do {
        size_t used = 0;
        size_t length = bytes.length - at < piece ? bytes.length - at : piece;
        int refused = feed(t, tims_str_slice(bytes, at, at + length), &used);
        if (refused != 0)
            return refused;
        at += used;
        tims_http1_resume(t->parser);
    } while (at < bytes.length);
    return 0;
}

TIMS_UNUSED static int status_of(tims_http1_role role, tims_str bytes, size_t piece, int *ret_ends)
{
    transcript t;
    open_transcript(&t, role, NULL);
    int status = feed_in_pieces(&t, bytes, piece);
    *ret_ends = t.ends;
    close_transcript(&t);
    return status;
}

#endif
