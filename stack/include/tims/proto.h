/* proto.h: protocol cores without input or output. Bytes in, events out; no socket, no clock. */
#ifndef TIMS_PROTO_H
#define TIMS_PROTO_H

#include "tims/base.h"

/* --- HTTP/1.1 (heads over llhttp, strict) ----------------------------------------------------- */

typedef enum tims_method {
    TIMS_METHOD_GET = 1,
    TIMS_METHOD_HEAD = 2,
    TIMS_METHOD_POST = 4,
    TIMS_METHOD_PUT = 8,
    TIMS_METHOD_PATCH = 16,
    TIMS_METHOD_DELETE = 32,
    TIMS_METHOD_OPTIONS = 64
} tims_method; /* bits, so that sets are masks */
/* "GET"; static. Of one bit, not of a set. */
const char *tims_method_name(tims_method method);

typedef struct tims_header {
    tims_str name, value;
} tims_header;

typedef struct tims_http1_limits {
    uint32_t line_bytes_max;   /* request line: 414 beyond */
    uint32_t header_bytes_max; /* all header lines, and all trailer lines: 431 beyond */
    uint32_t header_count_max; /* 431 beyond */
    uint64_t body_bytes_max;   /* 413 beyond; counts decoded bytes */
} tims_http1_limits;
extern const tims_http1_limits tims_http1_limits_default; /* 8 KiB, 32 KiB, 100, 10 MiB */

/* What the parser tells of a message. The head and its slices are valid until on_end is called or feed
 * returns, whichever is first: a head that arrives in one piece is not copied, its slices point into the
 * bytes being fed. Who needs it longer takes tims_http1_head_copy: one memcpy. */
typedef struct tims_http1_head {
    tims_method method; /* requests */
    int status;         /* responses */
    tims_str target;    /* requests: as sent; origin or absolute form, or "*" with OPTIONS */
    tims_str host;      /* requests: the Host header, checked; data == NULL when a 1.0 request has none */
    const tims_header *headers;
    size_t header_count;
    bool keep_alive;      /* the connection may carry another message after this one */
    bool upgrade;         /* asks for (or, status 101, grants) another protocol; feed stops behind it */
    bool expect_continue; /* answer 100 before the body comes */
    bool chunked;
    int minor_version;      /* HTTP/1.<n>: 0 or 1 */
    int64_t content_length; /* -1: not given */
    tims_str raw;           /* first line and header lines, contiguous; every slice above points into it */
} tims_http1_head;
/* A copy whose slices and header array live in `arena`. */
tims_http1_head tims_http1_head_copy(tims_arena *arena, const tims_http1_head *head);

/* Each returns false to pause: feed then returns at once with the bytes used so far. Go on with
 * tims_http1_resume and another feed of what was not used, even if that is empty: an event may be waiting.
 * Callbacks must not call the parser, except tims_http1_expect_no_body. */
typedef struct tims_http1_events {
    bool (*on_head)(void *ctx, const tims_http1_head *head);
    bool (*on_body)(void *ctx, tims_str bytes); /* decoded, never empty; valid during the call */
    bool (*on_end)(void *ctx);                  /* the message is complete (false: pause, for pipelining) */
} tims_http1_events;

typedef struct tims_http1 tims_http1;
typedef enum tims_http1_role { TIMS_HTTP1_REQUESTS, TIMS_HTTP1_RESPONSES } tims_http1_role;
/* `limits` is copied (NULL: the default); `events` is borrowed. */
tims_http1 *tims_http1_new(tims_http1_role role, const tims_http1_limits *limits,
                           const tims_http1_events *events, void *ctx);
/* Sets `*parser` to NULL; NULL is fine. */
void tims_http1_free(tims_http1 **parser);
/* Ready for the next connection (drops a half-read message). */
void tims_http1_reset(tims_http1 *parser);
/* Frees what an idle connection does not need; fine at any time outside a feed, does nothing within a
 * message. */
void tims_http1_rest(tims_http1 *parser);
/* True between messages with nothing of the next one read: the connection is idle. */
bool tims_http1_is_idle(const tims_http1 *parser);
/* Feeds bytes; `ret_used` says how many were taken (fewer when paused, upgraded or refused). A message with
 * `head.upgrade` pauses behind its on_end whatever that returns: the caller takes the connection over, or
 * resumes and goes on with HTTP. On failure `ret_http_status` names the answer a refused request deserves
 * (400, 413, 414, 417, 431, 501, 505); the connection must be closed after it, and every further feed fails
 * the same way until reset. Errors: MALFORMED, TOO_LARGE. */
tims_status tims_http1_feed(tims_http1 *parser, tims_str bytes, size_t *ret_used, int *ret_http_status,
                            tims_error *err);
/* Goes on after it was paused: bytes are taken again. */
void tims_http1_resume(tims_http1 *parser);
/* The peer closed; finishes a response that is delimited by that. Errors: MALFORMED when in the middle. */
tims_status tims_http1_finish(tims_http1 *parser);
/* For responses: the request was HEAD, so no body follows the next final (not 1xx) head. */
void tims_http1_expect_no_body(tims_http1 *parser);
/* Finds a header, any case; empty slice with data == NULL when absent. */
tims_str tims_header_get(const tims_header *headers, size_t count, tims_str name);
/* Whether a header of this list is for the other end and not for this connection only: false for those of one
 * hop (Connection, Transfer-Encoding …), those that frame the message, and those named by Connection. */
bool tims_header_is_end_to_end(const tims_header *headers, size_t count, tims_str name);
/* Whether a comma-separated header value has this token, any case. */
bool tims_header_has_token(tims_str value, tims_str token);

/* --- websocket frames ----------------------------------------------------------------------------- */

typedef enum tims_ws_opcode {
    TIMS_WS_TEXT = 1,
    TIMS_WS_BINARY = 2,
    TIMS_WS_CLOSE = 8,
    TIMS_WS_PING = 9,
    TIMS_WS_PONG = 10
} tims_ws_opcode;
/* on_ping, on_pong and inflate may be NULL. Callbacks must not free the reader or feed it; slices are valid
 * during the call. */
typedef struct tims_ws_events {
    void (*on_message)(void *ctx, tims_ws_opcode opcode, tims_str payload); /* whole; text is checked UTF-8 */
    void (*on_ping)(void *ctx, tims_str payload);
    void (*on_pong)(void *ctx, tims_str payload);
    void (*on_close)(void *ctx, int code, tims_str reason); /* 1005: no code given */
    /* Compression was negotiated (RFC 7692, no context kept between messages): inflates a whole message to at
     * most `bytes_max` bytes, which stay valid until its next call. Returns 0 or the close code: 1007, 1009.
     */
    int (*inflate)(void *ctx, tims_str compressed, size_t bytes_max, tims_str *ret_plain);
} tims_ws_events;
typedef struct tims_ws tims_ws;
/* `message_bytes_max` bounds a message as it comes and as it is inflated. */
tims_ws *tims_ws_new(bool is_server, size_t message_bytes_max, const tims_ws_events *events, void *ctx);
/* Sets `*ws` to NULL; NULL is fine. */
void tims_ws_free(tims_ws **ws);
/* On a protocol error `ret_close_code` says how to close (1002, 1007, 1009), and every further feed fails the
 * same way. Bytes behind a close frame are ignored. Errors: MALFORMED, TOO_LARGE. */
tims_status tims_ws_feed(tims_ws *ws, tims_str bytes, int *ret_close_code);
enum { TIMS_WS_HEADER_MAX = 14 };
/* Writes a frame's header (server: unmasked) and returns its length. */
size_t tims_ws_header(tims_ws_opcode opcode, uint64_t payload_length, const uint8_t *mask, bool compressed,
                      uint8_t ret_header[TIMS_WS_HEADER_MAX]);
/* A whole close frame's payload: code and reason (cut to 123 bytes). */
size_t tims_ws_close_payload(int code, tims_str reason, uint8_t ret_payload[125]);

/* --- URL -------------------------------------------------------------------------------------- */

/* Splits a request target (origin or absolute form; "*" counts as "/"). `ret_path` is percent-decoded and
 * normalised (“.” and “..” resolved, empty segments kept out, a final slash kept), always starts with '/';
 * terminated behind its length. `ret_query` is as sent, never NULL, and points into `target`. Errors:
 * MALFORMED for bad escapes, %00, %2F, control bytes, backslashes, '#', invalid UTF-8, or “..” above the
 * root. */
tims_status tims_url_split_target(tims_arena *arena, tims_str target, tims_str *ret_path, tims_str *ret_query,
                                  tims_error *err);
typedef struct tims_pair {
    tims_str name, value;
} tims_pair;
typedef struct tims_pairs {
    tims_pair *items;
    size_t count;
} tims_pairs;
/* application/x-www-form-urlencoded, also query strings. What needs no decoding points into `text`. Errors:
 * MALFORMED (escapes, NUL, invalid UTF-8), TOO_LARGE past `count_max`. */
tims_status tims_url_parse_pairs(tims_arena *arena, tims_str text, size_t count_max, tims_pairs *ret_pairs,
                                 tims_error *err);
tims_str tims_pairs_get(tims_pairs pairs, tims_str name);   /* first; data == NULL when absent */
tims_str tims_url_encode(tims_arena *arena, tims_str text); /* one component */
/* An absolute URL of an upstream: http://host:port/path, https://…, ws://…, wss://…, unix:/path/to.sock,
 * unix:/path/to.sock:/path?query (host is the socket then). Visible ASCII only; path and query stay as
 * written; a literal v6 host comes without its brackets. The parts live in `arena`. Errors: MALFORMED (also
 * for userinfo, '#'). */
typedef struct tims_url {
    tims_str scheme, host, path, query;
    uint16_t port;
} tims_url;
/* The port is the scheme's where none is written. */
tims_status tims_url_parse(tims_arena *arena, tims_str text, tims_url *ret_url, tims_error *err);

/* --- cookies ---------------------------------------------------------------------------------- */

/* The first cookie of that name in a Cookie header; data == NULL when absent. */
tims_str tims_cookie_get(tims_str header, tims_str name);
typedef struct tims_cookie {
    tims_str name, value;
    int64_t max_age_s;                     /* 0: for the browser's session; < 0: delete it */
    bool secure, http_only, same_site_lax; /* else Strict */
} tims_cookie;
/* The value of a Set-Cookie header, path "/". The name must be a token (asserted). Bytes that a cookie's
 * value may not hold, and '%', are percent-encoded; tims_cookie_get gives them back encoded. */
tims_str tims_cookie_format(tims_arena *arena, const tims_cookie *cookie);

/* --- multipart/form-data ---------------------------------------------------------------------- */

typedef struct tims_part_head {
    tims_str name, filename, content_type;
    bool has_filename;
} tims_part_head;
/* The head's slices live in the parser's arena; a file name is a last path segment without leading dots. */
typedef struct tims_multipart_events {
    bool (*on_part)(void *ctx, const tims_part_head *head); /* false stops with MALFORMED */
    bool (*on_data)(void *ctx, tims_str bytes);
    bool (*on_part_end)(void *ctx);
} tims_multipart_events;
typedef struct tims_multipart tims_multipart;
/* `content_type` is the request's header, whose boundary is used. Errors: MALFORMED. */
tims_status tims_multipart_new(tims_arena *arena, tims_str content_type, size_t parts_max,
                               const tims_multipart_events *events, void *ctx, tims_multipart **ret_parser,
                               tims_error *err);
/* The next bytes of the body, in pieces of any length. Errors: MALFORMED. */
tims_status tims_multipart_feed(tims_multipart *parser, tims_str bytes, tims_error *err);
/* Errors: MALFORMED when the closing boundary has not come. */
tims_status tims_multipart_finish(tims_multipart *parser, tims_error *err);

/* --- dates ------------------------------------------------------------------------------------ */

enum { TIMS_HTTP_DATE_LENGTH = 29 };
/* "Thu, 27 Nov 2025 08:00:00 GMT": 29 characters, without a terminator. */
void tims_http_date_format(int64_t unix_s, char ret_text[TIMS_HTTP_DATE_LENGTH]);
/* The IMF-fixdate form only, from 1970 on; weekday and all must be right. */
TIMS_MUST_USE bool tims_http_date_parse(tims_str text, int64_t *ret_unix_s);

#endif
