/* http1.c: HTTP/1.1 messages out of bytes, for both ends of a connection.
 *
 *        ┌──────── next message ────────────────────────────────────────────┐
 *        ▼                                                                  │
 *      HEAD ──► FIXED ────────────────────────────────────────────────► ENDING ──► (upgrade: paused)
 *        ├────► CHUNK_SIZE ──► CHUNK_DATA ──► CHUNK_CRLF ─┐                 ▲
 *        │          ▲   └────► TRAILER ───────────────────┼─────────────────┤
 *        │          └─────────────────────────────────────┘                 │
 *        └────► UNTIL_CLOSE (responses) ── finish ──────────────────────────┘
 *
 * The head is gathered line by line (http1_lines.c) and then read in one piece by llhttp (http1_head.c); when
 * it came in one feed it is read where it lies. Bodies are framed here: strictly, without copying. A parser
 * in its steady state allocates nothing. */
#include <stdlib.h>
#include <string.h>

#include "proto/proto_internal.h"

enum { HTTP1_MAGIC = 0x48545031 };

typedef enum step {
    HEAD,
    FIXED,
    CHUNK_SIZE,
    CHUNK_DATA,
    CHUNK_CRLF,
    TRAILER,
    UNTIL_CLOSE,
    ENDING,
    FAILED
} step;

struct tims_http1 {
    uint32_t magic;
    step step;
    bool paused;
    bool no_body_follows;   /* the request was HEAD */
    uint8_t leading;        /* bytes of an empty line seen before the head, 0–2 */
    uint8_t crlf_seen;      /* behind a chunk's data */
    int http_status;        /* of the refusal */
    uint64_t remaining;     /* of the body or chunk */
    uint64_t body_bytes;    /* decoded so far */
    size_t extension_bytes; /* of this message's chunk lines */
    proto__lines lines;     /* of the head, then of the trailer */
    tims_buf storage;       /* the head, when it comes in pieces */
    tims_buf line;          /* a chunk or trailer line, when it comes in pieces */
    proto__head_parser head;
    tims_http1_limits limits;
    const tims_http1_events *events;
    void *ctx;
    const char *reason;
};

const tims_http1_limits tims_http1_limits_default = { .line_bytes_max = 8 << 10,
                                                      .header_bytes_max = 32 << 10,
                                                      .header_count_max = 100,
                                                      .body_bytes_max = 10 << 20 };

/* --- lifetime ------------------------------------------------------------------------------------ */

tims_http1 *tims_http1_new(tims_http1_role role, const tims_http1_limits *limits,
                           const tims_http1_events *events, void *ctx)
{
    tims_http1 *parser = calloc(1, sizeof *parser);
    TIMS_ASSERT(parser != NULL);
    parser->magic = HTTP1_MAGIC;
    parser->limits = limits != NULL ? *limits : tims_http1_limits_default;
    parser->events = events;
    parser->ctx = ctx;
    size_t head_bytes_max = (size_t)parser->limits.line_bytes_max + parser->limits.header_bytes_max + 8;
    tims_buf_init(&parser->storage, NULL, head_bytes_max);
    tims_buf_init(&parser->line, NULL, head_bytes_max);
    proto__head_init(&parser->head, role);
    return parser;
}

void tims_http1_free(tims_http1 **parser)
{
    if (*parser == NULL)
        return;
    TIMS_CHECK_MAGIC(*parser, HTTP1_MAGIC);
    tims_buf_free(&(*parser)->storage);
    tims_buf_free(&(*parser)->line);
    proto__head_free(&(*parser)->head);
    (*parser)->magic = 0;
    free(*parser);
    *parser = NULL;
}

static void begin_message(tims_http1 *parser)
{
    parser->step = HEAD;
    parser->leading = parser->crlf_seen = 0;
    parser->remaining = parser->body_bytes = 0;
    parser->extension_bytes = 0;
    parser->lines = (proto__lines){ 0 };
    parser->storage.length = parser->line.length = 0;
}

void tims_http1_reset(tims_http1 *parser)
{
    TIMS_CHECK_MAGIC(parser, HTTP1_MAGIC);
    begin_message(parser);
    parser->paused = parser->no_body_follows = false;
    parser->http_status = 0;
}

bool tims_http1_is_idle(const tims_http1 *parser)
{
    return parser->step == HEAD && parser->storage.length == 0 && parser->leading != 1;
}

void tims_http1_rest(tims_http1 *parser)
{
    TIMS_CHECK_MAGIC(parser, HTTP1_MAGIC);
    if (!tims_http1_is_idle(parser))
        return;
    tims_buf_free(&parser->storage);
    tims_buf_free(&parser->line);
    proto__head_free(&parser->head);
}

void tims_http1_resume(tims_http1 *parser)
{
    parser->paused = false;
}

void tims_http1_expect_no_body(tims_http1 *parser)
{
    parser->no_body_follows = true;
}

/* --- the steps: each takes what it can from `bytes` and returns how much ------------------------- */

static size_t refuse(tims_http1 *parser, int http_status, const char *reason)
{
    parser->step = FAILED;
    parser->http_status = http_status;
    parser->reason = reason;
    return 0;
}

static const char *reason_of_lines(int http_status)
{
    if (http_status == 414)
        return "The request line is too long.";
    return http_status == 431 ? "The headers are too large." : "A line does not end in CRLF, or is folded.";
}

static bool has_no_body(const tims_http1 *parser, const tims_http1_head *head)
{
    if (parser->head.role == TIMS_HTTP1_REQUESTS)
        return !head->chunked && head->content_length <= 0;
    return head->status < 200 || head->status == 204 || head->status == 304 || parser->no_body_follows ||
           (!head->chunked && head->content_length == 0);
}

static void choose_body(tims_http1 *parser, tims_http1_head *head)
{
    if (has_no_body(parser, head)) {
        parser->step = ENDING;
    } else if (head->chunked) {
        parser->step = CHUNK_SIZE;
    } else if (head->content_length > 0) {
        parser->step = FIXED;
        parser->remaining = (uint64_t)head->content_length;
    } else {
        parser->step = UNTIL_CLOSE;
        head->keep_alive = false;
    }
}

static void read_head(tims_http1 *parser, tims_str raw)
{
    const char *reason = NULL;
    int refused = proto__head_parse(&parser->head, raw, &reason);
    if (refused != 0) {
        refuse(parser, refused, reason);
        return;
    }
    tims_http1_head *head = &parser->head.head;
    choose_body(parser, head);
    if (parser->step == FIXED && parser->remaining > parser->limits.body_bytes_max) {
        refuse(parser, 413, "The body is too large.");
        return;
    }
    parser->lines = (proto__lines){ .first_done = true }; /* for the trailer */
    parser->paused = !parser->events->on_head(parser->ctx, head);
    if (head->status == 0 || head->status >= 200)
        parser->no_body_follows = false;
}

/* Some old clients send an empty line behind a body; one is forgiven. */
static size_t skip_empty_line(tims_http1 *parser, tims_str bytes)
{
    if (parser->leading == 1 && bytes.data[0] != '\n')
        return refuse(parser, 400, reason_of_lines(400));
    parser->leading++;
    return 1;
}

static size_t step_head(tims_http1 *parser, tims_str bytes)
{
    if (parser->leading == 1 ||
        (parser->leading == 0 && parser->storage.length == 0 && bytes.data[0] == '\r'))
        return skip_empty_line(parser, bytes);
    size_t taken = 0;
    int status = 0;
    switch (proto__lines_scan(&parser->lines, &parser->limits, bytes, &taken, &status)) {
    case PROTO__SCAN_REFUSED:
        return refuse(parser, status, reason_of_lines(status));
    case PROTO__SCAN_MORE:
        tims_buf_append(&parser->storage, bytes.data, taken);
        TIMS_ASSERT(!parser->storage.overflow);
        return taken;
    case PROTO__SCAN_END:
        break;
    }
    if (parser->storage.length == 0) {
        read_head(parser, tims_str_slice(bytes, 0, taken));
        return taken;
    }
    tims_buf_append(&parser->storage, bytes.data, taken);
    TIMS_ASSERT(!parser->storage.overflow);
    read_head(parser, tims_buf_str(&parser->storage));
    return taken;
}

/* Hands out up to `remaining` bytes; `next` is the step behind them. */
static size_t step_data(tims_http1 *parser, tims_str bytes, step next)
{
    size_t take = bytes.length < parser->remaining ? bytes.length : (size_t)parser->remaining;
    if (take > parser->limits.body_bytes_max - parser->body_bytes)
        return refuse(parser, 413, "The body is too large.");
    parser->body_bytes += take;
    if (parser->step != UNTIL_CLOSE)
        parser->remaining -= take;
    if (parser->remaining == 0)
        parser->step = next;
    parser->paused = !parser->events->on_body(parser->ctx, tims_str_slice(bytes, 0, take));
    return take;
}

/* Gathers one line of at most `max` bytes. Returns true when it is complete, in `ret_line` without its CRLF:
 * in place if it came in one piece. Refuses bare CR and bare LF. */
static bool take_line(tims_http1 *parser, tims_str bytes, size_t max, size_t *ret_taken, tims_str *ret_line)
{
    const char *lf = memchr(bytes.data, '\n', bytes.length);
    *ret_taken = lf != NULL ? (size_t)(lf - bytes.data) + 1 : bytes.length;
    if (parser->line.length + *ret_taken > max + 2) {
        refuse(parser, parser->step == TRAILER ? 431 : 400, "A line of the chunked body is too long.");
        return false;
    }
    tims_str line = tims_str_slice(bytes, 0, *ret_taken);
    if (parser->line.length > 0 || lf == NULL) {
        tims_buf_append(&parser->line, bytes.data, *ret_taken);
        TIMS_ASSERT(!parser->line.overflow);
        line = tims_buf_str(&parser->line);
    }
    const char *cr = memchr(line.data, '\r', line.length);
    bool plain = lf != NULL ? cr != NULL && cr == line.data + line.length - 2
                            : cr == NULL || cr == line.data + line.length - 1;
    if (!plain) {
        refuse(parser, 400, reason_of_lines(400));
        return false;
    }
    if (lf == NULL)
        return false;
    parser->line.length = 0; /* the bytes stay until the next line */
    *ret_line = (tims_str){ line.data, line.length - 2 };
    return true;
}

static size_t step_chunk_size(tims_http1 *parser, tims_str bytes)
{
    size_t taken = 0;
    tims_str line;
    if (!take_line(parser, bytes, PROTO__CHUNK_LINE_MAX, &taken, &line))
        return parser->step == FAILED ? 0 : taken;
    uint64_t size;
    if (!proto__chunk_line_parse(line, &size))
        return refuse(parser, 400, "A chunk's size cannot be read.");
    size_t semicolon = tims_str_find(line, TIMS_STR(";"));
    parser->extension_bytes += semicolon == SIZE_MAX ? 0 : line.length - semicolon;
    if (parser->extension_bytes > PROTO__CHUNK_EXTENSIONS_TOTAL_MAX)
        return refuse(parser, 400, "Too many chunk extensions.");
    if (size > parser->limits.body_bytes_max - parser->body_bytes)
        return refuse(parser, 413, "The body is too large.");
    parser->remaining = size;
    parser->step = size > 0 ? CHUNK_DATA : TRAILER;
    return taken;
}

static size_t step_chunk_crlf(tims_http1 *parser, tims_str bytes)
{
    if (bytes.data[0] != "\r\n"[parser->crlf_seen])
        return refuse(parser, 400, "A chunk does not end where it said.");
    parser->crlf_seen ^= 1;
    if (parser->crlf_seen == 0)
        parser->step = CHUNK_SIZE;
    return 1;
}

static size_t step_trailer(tims_http1 *parser, tims_str bytes)
{
    size_t taken = 0;
    tims_str line;
    size_t left = parser->limits.header_bytes_max - parser->lines.header_bytes;
    if (!take_line(parser, bytes, left, &taken, &line))
        return parser->step == FAILED ? 0 : taken;
    if (line.length == 0) {
        parser->step = ENDING;
        return taken;
    }
    if (!proto__trailer_is_allowed(line))
        return refuse(parser, 400, "A trailer is not allowed.");
    parser->lines.header_bytes += line.length;
    if (++parser->lines.header_count > parser->limits.header_count_max)
        return refuse(parser, 431, "The trailers are too many.");
    return taken;
}

/* The next message starts before the event, so that the callback may look at an idle parser. */
static void end_message(tims_http1 *parser)
{
    bool upgrade = parser->head.head.upgrade;
    begin_message(parser);
    parser->paused = !parser->events->on_end(parser->ctx) || upgrade;
}

static size_t take_step(tims_http1 *parser, tims_str bytes)
{
    switch (parser->step) {
    case HEAD:
        return step_head(parser, bytes);
    case FIXED:
        return step_data(parser, bytes, ENDING);
    case CHUNK_SIZE:
        return step_chunk_size(parser, bytes);
    case CHUNK_DATA:
        return step_data(parser, bytes, CHUNK_CRLF);
    case CHUNK_CRLF:
        return step_chunk_crlf(parser, bytes);
    case TRAILER:
        return step_trailer(parser, bytes);
    case UNTIL_CLOSE:
        parser->remaining = UINT64_MAX;
        return step_data(parser, bytes, ENDING);
    case ENDING:
    case FAILED:
        break;
    }
    TIMS_ASSERT(parser->step == ENDING);
    end_message(parser);
    return 0;
}

static tims_status report_failure(const tims_http1 *parser, int *ret_http_status, tims_error *err)
{
    int status = parser->http_status;
    *ret_http_status = status;
    bool too_large = status == 413 || status == 414 || status == 431;
    return tims_fail(err, too_large ? TIMS_TOO_LARGE : TIMS_MALFORMED, "bad_http", "%s", parser->reason);
}

tims_status tims_http1_feed(tims_http1 *parser, tims_str bytes, size_t *ret_used, int *ret_http_status,
                            tims_error *err)
{
    TIMS_CHECK_MAGIC(parser, HTTP1_MAGIC);
    size_t used = 0;
    while (parser->step != FAILED && !parser->paused && (used < bytes.length || parser->step == ENDING))
        used += take_step(parser, (tims_str){ bytes.data + used, bytes.length - used });
    *ret_used = used;
    return parser->step == FAILED ? report_failure(parser, ret_http_status, err) : TIMS_OK;
}

tims_status tims_http1_finish(tims_http1 *parser)
{
    TIMS_CHECK_MAGIC(parser, HTTP1_MAGIC);
    if (parser->step == UNTIL_CLOSE)
        parser->step = ENDING;
    if (parser->step == ENDING)
        end_message(parser);
    return tims_http1_is_idle(parser) ? TIMS_OK : TIMS_MALFORMED;
}
