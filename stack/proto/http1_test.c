/* http1_test.c: what is accepted, what is refused and with which status, and that packet borders change
 * nothing. */
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

static bool write_head(void *ctx, const tims_http1_head *head)
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

static bool write_body(void *ctx, tims_str bytes)
{
    transcript *t = ctx;
    assert_true(bytes.length > 0);
    tims_buf_append_str(&t->body, bytes);
    return !t->stop_at_body;
}

static bool write_end(void *ctx)
{
    transcript *t = ctx;
    t->ends++;
    tims_buf_print(&t->text, "body=%S\nend\n", tims_buf_str(&t->body));
    t->body.length = 0;
    return !t->stop_at_end;
}

static const tims_http1_events events = { .on_head = write_head, .on_body = write_body, .on_end = write_end };

static void open_transcript(transcript *t, tims_http1_role role, const tims_http1_limits *limits)
{
    *t = (transcript){ 0 };
    tims_buf_init(&t->text, NULL, 1 << 20);
    tims_buf_init(&t->body, NULL, 1 << 20);
    t->parser = tims_http1_new(role, limits, &events, t);
}

static void close_transcript(transcript *t)
{
    tims_http1_free(&t->parser);
    assert_null(t->parser);
    tims_buf_free(&t->text);
    tims_buf_free(&t->body);
}

/* Feeds a heap copy of exactly these bytes, so that ASan sees a read beyond them. Returns the HTTP status, 0:
 * taken. */
static int feed(transcript *t, tims_str bytes, size_t *ret_used)
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
static int feed_in_pieces(transcript *t, tims_str bytes, size_t piece)
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

static int status_of(tims_http1_role role, tims_str bytes, size_t piece, int *ret_ends)
{
    transcript t;
    open_transcript(&t, role, NULL);
    int status = feed_in_pieces(&t, bytes, piece);
    *ret_ends = t.ends;
    close_transcript(&t);
    return status;
}

/* --- the table of refusals ----------------------------------------------------------------------- */

typedef struct row {
    const char *what;
    tims_str bytes;
    int http_status;
} row;
#define ROW(what, text, status)           \
    {                                     \
        what, TIMS_STR_INIT(text), status \
    }

static const row refused[] = {
    ROW("CL and TE together", POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ROW("TE and CL together", POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
    ROW("two equal CL", POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    ROW("two different CL", POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    ROW("CL with a plus", POST "Content-Length: +5\r\n\r\nabcde", 400),
    ROW("CL negative", POST "Content-Length: -1\r\n\r\n", 400),
    ROW("CL in hex", POST "Content-Length: 0x5\r\n\r\nabcde", 400),
    ROW("CL with an underscore", POST "Content-Length: 5_0\r\n\r\n", 400),
    ROW("CL behind two spaces", POST "Content-Length:  5\r\n\r\nabcde", 400),
    ROW("CL with a trailing space", POST "Content-Length: 5 \r\n\r\nabcde", 400),
    ROW("CL behind a tab", POST "Content-Length:\t5\r\n\r\nabcde", 400),
    ROW("CL as a list", POST "Content-Length: 5,5\r\n\r\nabcde", 400),
    ROW("CL with an inner space", POST "Content-Length: 5 5\r\n\r\nabcde", 400),
    ROW("CL empty", POST "Content-Length: \r\n\r\n", 400),
    ROW("CL empty without space", POST "Content-Length:\r\n\r\n", 400),
    ROW("CL of 20 digits", POST "Content-Length: 18446744073709551617\r\n\r\n", 400),
    ROW("CL of 30 zeros", POST "Content-Length: 000000000000000000000000000005\r\n\r\nabcde", 400),
    ROW("TE twice", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ROW("TE chunked, chunked", POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    ROW("TE ,chunked", POST "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", 400),
    ROW("TE chunked, identity", POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
    ROW("TE identity", POST "Transfer-Encoding: identity\r\n\r\n", 400),
    ROW("TE gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    ROW("TE xchunked", POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ROW("TE chunkedx", POST "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n", 400),
    ROW("TE quoted", POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400),
    ROW("TE with a vertical tab behind", POST "Transfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n", 400),
    ROW("TE with a form feed behind", POST "Transfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n", 400),
    ROW("TE with a vertical tab before",
        POST "Transfer-Encoding: \x0b"
             "chunked\r\n\r\n0\r\n\r\n",
        400),
    ROW("TE with a tab before", POST "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n", 400),
    ROW("TE with a tab behind", POST "Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n", 400),
    ROW("TE with a no-break space",
        POST "Transfer-Encoding: \xa0"
             "chunked\r\n\r\n0\r\n\r\n",
        400),
    ROW("TE empty", POST "Transfer-Encoding: \r\n\r\n", 400),
    ROW("TE on HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ROW("space before the colon", "GET / HTTP/1.1\r\nX : y\r\n" REST, 400),
    ROW("space before the colon of CL", POST "Content-Length : 3\r\n\r\nabc", 400),
    ROW("space before the colon of TE", POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    ROW("tab before the colon", "GET / HTTP/1.1\r\nX\t: y\r\n" REST, 400),
    ROW("folded header", "GET / HTTP/1.1\r\nX: y\r\n z\r\n" REST, 400),
    ROW("folded with a tab", "GET / HTTP/1.1\r\nX: y\r\n\tz\r\n" REST, 400),
    ROW("folded TE", POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    ROW("leading space before the first header", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400),
    ROW("bare LF behind the request line", "GET / HTTP/1.1\n" REST, 400),
    ROW("bare LF behind a header", "GET / HTTP/1.1\r\nX: y\n" REST, 400),
    ROW("bare LF as the empty line", "GET / HTTP/1.1\r\nHost: h\r\n\n", 400),
    ROW("bare CR in the request line", "GET /\r HTTP/1.1\r\n" REST, 400),
    ROW("bare CR behind a header", "GET / HTTP/1.1\r\nX: y\rHost: h\r\n\r\n", 400),
    ROW("bare CR in a value", "GET / HTTP/1.1\r\nX: a\rb\r\n" REST, 400),
    ROW("two CR before LF", "GET / HTTP/1.1\r\nX: a\r\r\n" REST, 400),
    ROW("CR CR as the empty line", "GET / HTTP/1.1\r\nHost: h\r\n\r\r\n", 400),
    ROW("a header that is only CR", "GET / HTTP/1.1\r\nX:\rContent-Length: 5\r\n" REST, 400),
    ROW("NUL in a value", "GET / HTTP/1.1\r\nX: a\0b\r\n" REST, 400),
    ROW("NUL in a name", "GET / HTTP/1.1\r\nX\0: a\r\n" REST, 400),
    ROW("DEL in a value", "GET / HTTP/1.1\r\nX: a\x7f\r\n" REST, 400),
    ROW("control byte in a value", "GET / HTTP/1.1\r\nX: a\x01\r\n" REST, 400),
    ROW("empty header name", "GET / HTTP/1.1\r\n: y\r\n" REST, 400),
    ROW("header without a colon", "GET / HTTP/1.1\r\nfoo\r\n" REST, 400),
    ROW("high-bit byte in a name", "GET / HTTP/1.1\r\nX\xe4: y\r\n" REST, 400),
    ROW("parenthesis in a name", "GET / HTTP/1.1\r\nX(: y\r\n" REST, 400),
    ROW("chunk size 0x5", CHUNKED "0x5\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size +5", CHUNKED "+5\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size -1", CHUNKED "-1\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size empty", CHUNKED "\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size behind a space", CHUNKED " 5\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size with a space behind", CHUNKED "5 \r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size with an underscore", CHUNKED "5_\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size of 17 digits", CHUNKED "10000000000000005\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size of 17 digits, mostly zeros", CHUNKED "00000000000000005\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size of 15 digits", CHUNKED "fffffffffffffff\r\nabcde\r\n0\r\n\r\n", 413),
    ROW("chunk extension with a bare CR", CHUNKED "5;ext\rabcde\r\n0\r\n\r\n", 400),
    ROW("chunk extension with a bare LF", CHUNKED "5;ext\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size with a bare LF", CHUNKED "5\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size with CR and no LF", CHUNKED "5\rXabcde\r\n0\r\n\r\n", 400),
    ROW("chunk extension empty", CHUNKED "5;\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk extension too long",
        CHUNKED
        "5;0123456789012345678901234567890123456789012345678901234567890123456789\r\nabcde\r\n0\r\n\r\n",
        400),
    ROW("CRLF missing behind a chunk", CHUNKED "5\r\nabcdeXX0\r\n\r\n", 400),
    ROW("LF only behind a chunk", CHUNKED "5\r\nabcde\n0\r\n\r\n", 400),
    ROW("CR and no LF behind a chunk", CHUNKED "5\r\nabcde\rX0\r\n\r\n", 400),
    ROW("trailer with CL", CHUNKED "0\r\nContent-Length: 5\r\n\r\n", 400),
    ROW("trailer with TE", CHUNKED "0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ROW("trailer with Host", CHUNKED "0\r\nHost: other\r\n\r\n", 400),
    ROW("trailer with a session", CHUNKED "0\r\nCookie: session=1\r\n\r\n", 400),
    ROW("trailer without a colon", CHUNKED "0\r\nX\r\n\r\n", 400),
    ROW("trailer folded", CHUNKED "0\r\nX: a\r\n b\r\n\r\n", 400),
    ROW("trailer with a bare LF", CHUNKED "0\r\nX: a\n\r\n", 400),
    ROW("trailer with NUL", CHUNKED "0\r\nX: a\0\r\n\r\n", 400),
    ROW("last chunk without CRLF", CHUNKED "0\r\nGET / HTTP/1.1\r\n" REST, 400),
    ROW("no Host", "GET / HTTP/1.1\r\n\r\n", 400),
    ROW("no Host, other headers", "GET / HTTP/1.1\r\nX: y\r\n\r\n", 400),
    ROW("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ROW("two equal Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ROW("two Hosts on 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ROW("Host empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    ROW("Host with userinfo", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400),
    ROW("Host with a path", "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", 400),
    ROW("Host as a list", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
    ROW("Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ROW("Host with a bad port", "GET / HTTP/1.1\r\nHost: h:99999\r\n\r\n", 400),
    ROW("Host with an empty port", "GET / HTTP/1.1\r\nHost: h:\r\n\r\n", 400),
    ROW("Host with a signed port", "GET / HTTP/1.1\r\nHost: h:+80\r\n\r\n", 400),
    ROW("Host with an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
    ROW("Host with high-bit bytes", "GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", 400),
    ROW("absolute target against Host", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400),
    ROW("absolute target with userinfo", "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ROW("absolute target of another scheme", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ROW("absolute target without authority", "GET http:/// HTTP/1.1\r\n" REST, 400),
    ROW("target without a slash", "GET x HTTP/1.1\r\n" REST, 400),
    ROW("star with GET", "GET * HTTP/1.1\r\n" REST, 400),
    ROW("star and more", "OPTIONS *x HTTP/1.1\r\n" REST, 400),
    ROW("version 1.32", "GET / HTTP/1.32\r\n" REST, 400),
    ROW("version 1.2", "GET / HTTP/1.2\r\n" REST, 505),
    ROW("version 2.0", "GET / HTTP/2.0\r\n" REST, 505),
    ROW("version 0.9", "GET / HTTP/0.9\r\n" REST, 505),
    ROW("version in lower case", "GET / http/1.1\r\n" REST, 400),
    ROW("version overflowed", "GET / HTTP/4294967297.1\r\n" REST, 400),
    ROW("no version", "GET /\r\n" REST, 400),
    ROW("version with a space behind", "GET / HTTP/1.1 \r\n" REST, 400),
    ROW("the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ROW("method unknown", "BREW / HTTP/1.1\r\n" REST, 501),
    ROW("method in lower case", "get / HTTP/1.1\r\n" REST, 501),
    ROW("method CONNECT", "CONNECT h:80 HTTP/1.1\r\n" REST, 501),
    ROW("method TRACE", "TRACE / HTTP/1.1\r\n" REST, 501),
    ROW("method with a separator", "GE(T / HTTP/1.1\r\n" REST, 400),
    ROW("method with a colon", "GET: / HTTP/1.1\r\n" REST, 400),
    ROW("LF within the request line", "GET /\nHTTP/1.1\r\n" REST, 400),
    ROW("two spaces in the request line", "GET  / HTTP/1.1\r\n" REST, 400),
    ROW("tab in the request line", "GET\t/ HTTP/1.1\r\n" REST, 400),
    ROW("space before the method", " GET / HTTP/1.1\r\n" REST, 400),
    ROW("space within the target", "GET /a b HTTP/1.1\r\n" REST, 400),
    ROW("NUL in the target", "GET /\0 HTTP/1.1\r\n" REST, 400),
    ROW("high-bit byte in the target", "GET /\xff HTTP/1.1\r\n" REST, 400),
    ROW("two empty lines before the request", "\r\n\r\nGET / HTTP/1.1\r\n" REST, 400),
    ROW("CR before the request", "\rGET / HTTP/1.1\r\n" REST, 400),
    ROW("LF before the request", "\nGET / HTTP/1.1\r\n" REST, 400),
    ROW("a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400),
    ROW("an expectation that is not known", POST "Expect: 200-ok\r\n\r\n", 417),
    ROW("CL beyond the limit", POST "Content-Length: 10485761\r\n\r\n", 413),
};

static void every_malformed_request_is_refused_with_its_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        for (size_t piece = 1; piece <= 64; piece *= 4) {
            int ends = 0;
            int status =
                status_of(TIMS_HTTP1_REQUESTS, refused[i].bytes, piece == 64 ? SIZE_MAX : piece, &ends);
            if (status != refused[i].http_status || ends != 0)
                fail_msg("%s (pieces of %zu): status %d instead of %d, %d messages", refused[i].what, piece,
                         status, refused[i].http_status, ends);
        }
    }
}

static void a_refused_parser_stays_refused_until_reset(void **state)
{
    (void)state;
    transcript t;
    open_transcript(&t, TIMS_HTTP1_REQUESTS, NULL);
    size_t used = 0;
    assert_int_equal(feed(&t, TIMS_STR("BREW / HTTP/1.1\r\n" REST), &used), 501);
    assert_int_equal(feed(&t, TIMS_STR("GET / HTTP/1.1\r\n" REST), &used), 501);
    assert_int_equal(t.heads, 0);
    tims_http1_reset(t.parser);
    assert_int_equal(feed(&t, TIMS_STR("GET / HTTP/1.1\r\n" REST), &used), 0);
    assert_int_equal(t.ends, 1);
    close_transcript(&t);
}

/* --- what is accepted, at every packet border ---------------------------------------------------- */

typedef struct accepted_row {
    tims_http1_role role;
    tims_str bytes;
    const char *transcript;
} accepted_row;

static const accepted_row accepted[] = {
    { TIMS_HTTP1_REQUESTS,
      TIMS_STR_INIT("GET /a?b=c HTTP/1.1\r\nHost: h:8000\r\nX-Empty:\r\nX: \t padded \t \r\n\r\n"),
      "GET 0 /a?b=c host=h:8000 length=-1 chunked=0 keep=1 upgrade=0 continue=0 minor=1\n"
      "Host=h:8000\nX-Empty=\nX=padded\nbody=\nend\n" },
    { TIMS_HTTP1_REQUESTS, TIMS_STR_INIT("\r\nGET / HTTP/1.0\r\n\r\n"),
      "GET 0 / host= length=-1 chunked=0 keep=0 upgrade=0 continue=0 minor=0\nbody=\nend\n" },
    { TIMS_HTTP1_REQUESTS, TIMS_STR_INIT("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"),
      "GET 0 / host= length=-1 chunked=0 keep=1 upgrade=0 continue=0 "
      "minor=0\nConnection=Keep-Alive\nbody=\nend\n" },
    { TIMS_HTTP1_REQUESTS, TIMS_STR_INIT("GET / HTTP/1.1\r\nhost: [::1]:80\r\nConnection: x, Close\r\n\r\n"),
      "GET 0 / host=[::1]:80 length=-1 chunked=0 keep=0 upgrade=0 continue=0 minor=1\n"
      "host=[::1]:80\nConnection=x, Close\nbody=\nend\n" },
    { TIMS_HTTP1_REQUESTS,
      TIMS_STR_INIT("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: "
                    "100-Continue\r\n\r\nab\r\ncGET / HTTP/1.1\r\n"
                    "Host: h\r\nX: \xc3\xa4\r\n\r\n"),
      "POST 0 / host=h length=5 chunked=0 keep=1 upgrade=0 continue=1 minor=1\nHost=h\nContent-Length=5\n"
      "Expect=100-Continue\nbody=ab\r\nc\nend\n"
      "GET 0 / host=h length=-1 chunked=0 keep=1 upgrade=0 continue=0 "
      "minor=1\nHost=h\nX=\xc3\xa4\nbody=\nend\n" },
    { TIMS_HTTP1_REQUESTS,
      TIMS_STR_INIT("PUT http://H/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
                    "3\r\nabc\r\n00A;name=\"v w\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n"
                    "DELETE /y HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"),
      "PUT 0 http://H/x host=h length=-1 chunked=1 keep=1 upgrade=0 continue=0 minor=1\nHost=h\n"
      "Transfer-Encoding=Chunked\nbody=abc0123456789\nend\n"
      "DELETE 0 /y host=h length=0 chunked=0 keep=1 upgrade=0 continue=0 minor=1\nHost=h\nContent-Length=0\n"
      "body=\nend\n" },
    { TIMS_HTTP1_REQUESTS,
      TIMS_STR_INIT(
          "GET /live HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
          "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"),
      "GET 0 /live host=h length=-1 chunked=0 keep=1 upgrade=1 continue=0 minor=1\nHost=h\n"
      "Connection=keep-alive, Upgrade\nUpgrade=websocket\nbody=\nend\n"
      "OPTIONS 0 * host=h length=-1 chunked=0 keep=1 upgrade=0 continue=0 minor=1\nHost=h\nbody=\nend\n" },
    { TIMS_HTTP1_REQUESTS,
      TIMS_STR_INIT(
          "POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi"),
      "POST 0 / host=h length=2 chunked=0 keep=1 upgrade=0 continue=0 minor=1\nHost=h\nConnection=Upgrade\n"
      "Upgrade=h2c\nContent-Length=2\nbody=hi\nend\n" },
    { TIMS_HTTP1_RESPONSES,
      TIMS_STR_INIT("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
                    "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
                    "HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
                    "HTTP/1.0 200 OK\r\n\r\nuntil the end"),
      "? 100  host= length=-1 chunked=0 keep=1 upgrade=0 continue=0 minor=1\nbody=\nend\n"
      "? 200  host= length=2 chunked=0 keep=1 upgrade=0 continue=0 minor=1\nContent-Length=2\nbody=hi\nend\n"
      "? 204  host= length=-1 chunked=0 keep=1 upgrade=0 continue=0 minor=1\nbody=\nend\n"
      "? 304  host= length=9 chunked=0 keep=1 upgrade=0 continue=0 minor=1\nContent-Length=9\nbody=\nend\n"
      "? 404  host= length=-1 chunked=1 keep=1 upgrade=0 continue=0 "
      "minor=1\nTransfer-Encoding=chunked\nbody=x\nend\n"
      "? 200  host= length=-1 chunked=0 keep=0 upgrade=0 continue=0 minor=0\nbody=until the end\nend\n" },
};

static void check_transcript(transcript *t, const accepted_row *one)
{
    assert_int_equal(tims_http1_finish(t->parser), TIMS_OK);
    tims_buf_append_char(&t->text, '\0');
    assert_string_equal(t->text.data, one->transcript);
}

static void valid_messages_read_the_same_at_every_packet_border(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        const accepted_row *one = &accepted[i];
        for (size_t border = 0; border <= one->bytes.length; border++) {
            transcript t;
            open_transcript(&t, one->role, NULL);
            assert_int_equal(feed_in_pieces(&t, tims_str_slice(one->bytes, 0, border), SIZE_MAX), 0);
            assert_int_equal(feed_in_pieces(&t, tims_str_slice(one->bytes, border, SIZE_MAX), SIZE_MAX), 0);
            check_transcript(&t, one);
            close_transcript(&t);
        }
    }
}

static void valid_messages_read_the_same_byte_by_byte_and_when_every_event_pauses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        for (size_t piece = 1; piece <= 7; piece++) {
            transcript t;
            open_transcript(&t, accepted[i].role, NULL);
            t.stop_at_head = t.stop_at_body = t.stop_at_end = piece > 3;
            assert_int_equal(feed_in_pieces(&t, accepted[i].bytes, piece), 0);
            size_t used = 0;
            assert_int_equal(feed(&t, (tims_str){ 0 }, &used), 0); /* an end may be waiting */
            tims_http1_resume(t.parser);
            check_transcript(&t, &accepted[i]);
            close_transcript(&t);
        }
    }
}

/* --- limits -------------------------------------------------------------------------------------- */

static const tims_http1_limits small = {
    .line_bytes_max = 20, .header_bytes_max = 40, .header_count_max = 3, .body_bytes_max = 8
};

static int status_with_small_limits(const char *text, size_t piece)
{
    transcript t;
    open_transcript(&t, TIMS_HTTP1_REQUESTS, &small);
    int status = feed_in_pieces(&t, tims_str_from(text), piece);
    if (status == 0)
        assert_int_equal(tims_http1_finish(t.parser), TIMS_OK);
    close_transcript(&t);
    return status;
}

static void limits_hold_to_the_byte(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int http_status;
    } rows[] = {
        { "GET /456789 HTTP/1.1\r\n" REST, 0 },
        { "GET /4567890 HTTP/1.1\r\n" REST, 414 },
        { "GET /45678901234567890123456789", 414 },
        { "GET / HTTP/1.1\r\nHost: h\r\nX: 56789012345678901234567\r\n\r\n", 0 },
        { "GET / HTTP/1.1\r\nHost: h\r\nX: 567890123456789012345678901234567890", 431 },
        { "GET / HTTP/1.1\r\nHost: h\r\nA:\r\nB:\r\n\r\n", 0 },
        { "GET / HTTP/1.1\r\nHost: h\r\nA:\r\nB:\r\nC:\r\n\r\n", 431 },
        { "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n12345678", 0 },
        { "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n123456789", 413 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t piece = 1; piece < 100; piece += 33)
            assert_int_equal(status_with_small_limits(rows[i].text, piece), rows[i].http_status);
}

static void chunked_bodies_and_trailers_have_the_same_limits(void **state)
{
    (void)state;
    static const tims_http1_limits tight = {
        .line_bytes_max = 20, .header_bytes_max = 48, .header_count_max = 3, .body_bytes_max = 8
    };
    static const struct {
        const char *text;
        int http_status;
    } rows[] = {
        { CHUNKED "4\r\n1234\r\n4\r\n5678\r\n0\r\n\r\n", 0 },
        { CHUNKED "4\r\n1234\r\n5\r\n56789\r\n0\r\n\r\n", 413 },
        { CHUNKED "0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", 0 },
        { CHUNKED "0\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n", 431 },
        { CHUNKED "0\r\nA: 456789012345678901234567890123456789012345678901\r\n\r\n", 431 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t piece = 1; piece < 200; piece += 33) {
            transcript t;
            open_transcript(&t, TIMS_HTTP1_REQUESTS, &tight);
            assert_int_equal(feed_in_pieces(&t, tims_str_from(rows[i].text), piece), rows[i].http_status);
            close_transcript(&t);
        }
    }
}

static void chunk_extensions_are_bounded_over_the_whole_message(void **state)
{
    (void)state;
    transcript t;
    open_transcript(&t, TIMS_HTTP1_REQUESTS, NULL);
    assert_int_equal(feed_in_pieces(&t, TIMS_STR(CHUNKED), SIZE_MAX), 0);
    int chunks = 0, status = 0;
    while (status == 0 && chunks++ < 1000)
        status =
            feed_in_pieces(&t, TIMS_STR("1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n"), SIZE_MAX);
    assert_int_equal(status, 400);
    assert_in_range(chunks, 50, 200);
    close_transcript(&t);
}

/* --- pausing, upgrades, the end ------------------------------------------------------------------ */

static void a_pause_leaves_the_rest_of_the_bytes(void **state)
{
    (void)state;
    tims_str both = TIMS_STR("GET /1 HTTP/1.1\r\n" REST "GET /2 HTTP/1.1\r\n" REST);
    transcript t;
    open_transcript(&t, TIMS_HTTP1_REQUESTS, NULL);
    t.stop_at_end = true;
    size_t used = 0;
    assert_int_equal(feed(&t, both, &used), 0);
    assert_int_equal(used, both.length / 2);
    assert_int_equal(t.ends, 1);
    size_t again = 0;
    assert_int_equal(feed(&t, tims_str_slice(both, used, SIZE_MAX), &again), 0);
    assert_int_equal(again, 0);
    tims_http1_resume(t.parser);
    assert_int_equal(feed(&t, tims_str_slice(both, used, SIZE_MAX), &again), 0);
    assert_int_equal(again, both.length / 2);
    assert_int_equal(t.ends, 2);
    close_transcript(&t);
}

static void a_pause_at_the_head_keeps_the_end_for_the_next_feed(void **state)
{
    (void)state;
    transcript t;
    open_transcript(&t, TIMS_HTTP1_REQUESTS, NULL);
    t.stop_at_head = true;
    size_t used = 0;
    assert_int_equal(feed(&t, TIMS_STR("GET / HTTP/1.1\r\n" REST), &used), 0);
    assert_int_equal(t.heads, 1);
    assert_int_equal(t.ends, 0);
    assert_false(tims_http1_is_idle(t.parser));
    tims_http1_resume(t.parser);
    assert_int_equal(feed(&t, (tims_str){ 0 }, &used), 0);
    assert_int_equal(t.ends, 1);
    assert_true(tims_http1_is_idle(t.parser));
    close_transcript(&t);
}

static void an_upgrade_stops_before_the_other_protocols_bytes(void **state)
{
    (void)state;
    tims_str head = TIMS_STR("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" REST);
    tims_str bytes =
        TIMS_STR("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" REST "\x81\x80");
    transcript t;
    open_transcript(&t, TIMS_HTTP1_REQUESTS, NULL);
    size_t used = 0;
    assert_int_equal(feed(&t, bytes, &used), 0);
    assert_int_equal(used, head.length);
    assert_int_equal(t.ends, 1);
    close_transcript(&t);
}

static void only_a_101_upgrades_a_response(void **state)
{
    (void)state;
    tims_str granted =
        TIMS_STR("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nrest");
    tims_str offered =
        TIMS_STR("HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\nrest");
    transcript t;
    open_transcript(&t, TIMS_HTTP1_RESPONSES, NULL);
    size_t used = 0;
    assert_int_equal(feed(&t, granted, &used), 0);
    assert_int_equal(used, granted.length - 4);
    tims_http1_reset(t.parser);
    assert_int_equal(feed(&t, offered, &used), 0);
    assert_int_equal(used, offered.length);
    assert_int_equal(t.ends, 2);
    close_transcript(&t);
}

static void the_answer_to_HEAD_has_no_body_even_behind_a_100(void **state)
{
    (void)state;
    transcript t;
    open_transcript(&t, TIMS_HTTP1_RESPONSES, NULL);
    tims_http1_expect_no_body(t.parser);
    assert_int_equal(
        feed_in_pieces(&t, TIMS_STR("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"),
                       5),
        0);
    assert_int_equal(t.ends, 2);
    assert_int_equal(feed_in_pieces(&t, TIMS_STR("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"), 5), 0);
    assert_int_equal(t.ends, 3);
    close_transcript(&t);
}

static void a_close_in_the_middle_is_malformed(void **state)
{
    (void)state;
    static const char *const halves[] = { "G",
                                          "GET / HTTP/1.1\r\n",
                                          "GET / HTTP/1.1\r\nHost: h\r\n\r",
                                          "\r",
                                          POST "Content-Length: 3\r\n\r\nab",
                                          CHUNKED,
                                          CHUNKED "1\r\n",
                                          CHUNKED "1\r\nx",
                                          CHUNKED "1\r\nx\r\n0\r\n" };
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
        transcript t;
        open_transcript(&t, TIMS_HTTP1_REQUESTS, NULL);
        assert_int_equal(feed_in_pieces(&t, tims_str_from(halves[i]), SIZE_MAX), 0);
        assert_int_equal(tims_http1_finish(t.parser), TIMS_MALFORMED);
        assert_int_equal(t.ends, 0);
        close_transcript(&t);
    }
}

static void malformed_responses_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int ends = 0;
        assert_int_not_equal(status_of(TIMS_HTTP1_RESPONSES, tims_str_from(bad[i]), SIZE_MAX, &ends), 0);
        assert_int_equal(ends, 0);
    }
}

static void a_rested_parser_works_again(void **state)
{
    (void)state;
    transcript t;
    open_transcript(&t, TIMS_HTTP1_REQUESTS, NULL);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(feed_in_pieces(&t, TIMS_STR("GET / HTTP/1.1\r\n" REST), 3), 0);
        assert_int_equal(t.ends, i);
        tims_http1_rest(t.parser);
    }
    assert_int_equal(feed_in_pieces(&t, TIMS_STR("GET / HT"), 3), 0);
    tims_http1_rest(t.parser); /* must keep what is half read */
    assert_int_equal(feed_in_pieces(&t, TIMS_STR("TP/1.1\r\n" REST), 3), 0);
    assert_int_equal(t.ends, 4);
    close_transcript(&t);
}

/* --- heads --------------------------------------------------------------------------------------- */

typedef struct copied {
    tims_arena *arena;
    tims_http1_head head;
} copied;

static bool copy_head(void *ctx, const tims_http1_head *head)
{
    copied *kept = ctx;
    kept->head = tims_http1_head_copy(kept->arena, head);
    return true;
}

static bool ignore_end(void *ctx)
{
    (void)ctx;
    return true;
}

static void a_copied_head_outlives_the_bytes(void **state)
{
    (void)state;
    const tims_http1_events copying = { .on_head = copy_head, .on_end = ignore_end };
    copied kept = { .arena = tims_arena_new(1 << 16, NULL, NULL) };
    tims_http1 *parser = tims_http1_new(TIMS_HTTP1_REQUESTS, NULL, &copying, &kept);
    char bytes[] = "GET /x HTTP/1.1\r\nHost: there\r\nAccept: a\r\n\r\n";
    size_t used;
    int http_status;
    assert_int_equal(tims_http1_feed(parser, tims_str_from(bytes), &used, &http_status, NULL), TIMS_OK);
    memset(bytes, 'x', sizeof bytes);
    tims_http1_free(&parser);
    assert_true(tims_str_equal(kept.head.target, TIMS_STR("/x")));
    assert_true(tims_str_equal(kept.head.host, TIMS_STR("there")));
    tims_str accept = tims_header_get(kept.head.headers, kept.head.header_count, TIMS_STR("ACCEPT"));
    assert_true(tims_str_equal(accept, TIMS_STR("a")));
    assert_null(tims_header_get(kept.head.headers, kept.head.header_count, TIMS_STR("Accep")).data);
    tims_arena_free(&kept.arena);
}

static void tokens_are_found_whole_and_in_any_case(void **state)
{
    (void)state;
    assert_true(tims_header_has_token(TIMS_STR("keep-alive, Upgrade"), TIMS_STR("upgrade")));
    assert_true(tims_header_has_token(TIMS_STR(",, \tbr ,x"), TIMS_STR("BR")));
    assert_false(tims_header_has_token(TIMS_STR("upgrades"), TIMS_STR("upgrade")));
    assert_false(tims_header_has_token(TIMS_STR("x upgrade"), TIMS_STR("upgrade")));
    assert_false(tims_header_has_token((tims_str){ 0 }, TIMS_STR("upgrade")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_malformed_request_is_refused_with_its_status),
        cmocka_unit_test(a_refused_parser_stays_refused_until_reset),
        cmocka_unit_test(valid_messages_read_the_same_at_every_packet_border),
        cmocka_unit_test(valid_messages_read_the_same_byte_by_byte_and_when_every_event_pauses),
        cmocka_unit_test(limits_hold_to_the_byte),
        cmocka_unit_test(chunked_bodies_and_trailers_have_the_same_limits),
        cmocka_unit_test(chunk_extensions_are_bounded_over_the_whole_message),
        cmocka_unit_test(a_pause_leaves_the_rest_of_the_bytes),
        cmocka_unit_test(a_pause_at_the_head_keeps_the_end_for_the_next_feed),
        cmocka_unit_test(an_upgrade_stops_before_the_other_protocols_bytes),
        cmocka_unit_test(only_a_101_upgrades_a_response),
        cmocka_unit_test(the_answer_to_HEAD_has_no_body_even_behind_a_100),
        cmocka_unit_test(a_close_in_the_middle_is_malformed),
        cmocka_unit_test(malformed_responses_are_refused),
        cmocka_unit_test(a_rested_parser_works_again),
        cmocka_unit_test(a_copied_head_outlives_the_bytes),
        cmocka_unit_test(tokens_are_found_whole_and_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
