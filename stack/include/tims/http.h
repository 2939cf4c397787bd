/* http.h: HTTP/1.1 server and client. Transport for everything above: a request comes in, a handler answers
 * it on a fiber.
 *
 * `tims_request` is the scope of application code: `rq` is the first parameter of everything an app calls.
 * What is allocated from it goes with it; tims_raise ends it from anywhere. */
#ifndef TIMS_HTTP_H
#define TIMS_HTTP_H

#include "tims/base.h"
#include "tims/json.h"
#include "tims/loop.h"
#include "tims/proto.h"

typedef struct tims_request tims_request;
typedef struct tims_server tims_server;

/* --- answers ---------------------------------------------------------------------------------- */

typedef enum tims_answer_body {
    TIMS_BODY_BYTES,
    TIMS_BODY_FILE,
    TIMS_BODY_SENT /* streamed or upgraded already */
} tims_answer_body;

typedef struct tims_answer {
    int status;
    tims_str content_type; /* empty: no Content-Type */
    tims_answer_body kind;
    tims_str body;         /* BYTES; must live as long as the request */
    const char *file_path; /* FILE */
} tims_answer;

typedef tims_answer (*tims_handler)(tims_request *rq);

/* `body` as it is; it must live as long as the request. */
tims_answer tims_answer_bytes(int status, tims_str content_type, tims_str body);
/* `json` as application/json; it must live as long as the request. */
tims_answer tims_answer_json(int status, tims_str json);
tims_answer tims_answer_empty(int status); /* 204, 304 … */
/* Plain text, formatted as by tims_print into the request's arena. */
tims_answer tims_answer_text(tims_request *rq, int status, const char *format, ...);
/* `status` (300 to 308, asserted) with this Location, which must be free of CR, LF and NUL (asserted). */
tims_answer tims_answer_redirect(tims_request *rq, int status, tims_str location);
/* application/problem+json: type, title, status, code, detail, errors[{pointer, code, message}],
 * request_id */
tims_answer tims_answer_problem(tims_request *rq, const tims_error *err);
/* A struct by its shape. */
tims_answer tims_answer_shape(tims_request *rq, int status, const tims_shape *shape, const void *object);
/* For rooms that keep answers in more than one encoding. What the client would be sent of this answer, not
 * yet encoded and with all its headers set; says so in Vary. */
typedef enum tims_encoding { TIMS_IDENTITY, TIMS_GZIP, TIMS_BROTLI, TIMS_ENCODINGS } tims_encoding;
/* The encoding; TIMS_IDENTITY where the server does not compress, or the answer is too short or of a kind
 * that does not get smaller. */
tims_encoding tims_encoding_for(tims_request *rq, const tims_answer *answer);
/* Into `out` (emptied first). About 10 µs a KiB; any thread. False: it does not get smaller. */
bool tims_encode(tims_encoding encoding, tims_str bytes, tims_buf *out);
/* The same answer with the body in this encoding (IDENTITY: as it is), which is sent so. */
tims_answer tims_answer_encoded(tims_request *rq, const tims_answer *answer, tims_encoding encoding,
                                tims_str body);
/* Adds to the answer's headers, whatever answer it will be. Name and value must be free of CR, LF and NUL
 * (asserted). */
void tims_set_header(tims_request *rq, tims_str name, tims_str value);
/* Adds a Set-Cookie header; see tims_cookie_format. */
void tims_set_cookie(tims_request *rq, const tims_cookie *cookie);

/* Ends the fiber: deferred cleanups run, an open transaction rolls back, the client gets a problem
 * document. */
TIMS_NORETURN void tims_raise(tims_request *rq, int http_status, const char *code, const char *format, ...)
    TIMS_PRINTF(4, 5);
/* The same from a filled error. */
TIMS_NORETURN void tims_raise_error(tims_request *rq, const tims_error *err);
/* Raises unless `status` is OK. */
void tims_check(tims_request *rq, tims_status status, const tims_error *err);

/* For finish hooks: what was raised will not be answered: the request is run again from its start, a little
 * later, at most three times. So it is with CONFLICT "serialization" (two transactions got in each other's
 * way, and this one gave in), where nothing of the answer is sent and the body was not read in pieces. What
 * the handler did besides its transaction has then been done more than once. */
bool tims_runs_again(const tims_request *rq);

/* --- the request ------------------------------------------------------------------------------ */

/* State the rooms above hang on a request. */
typedef enum tims_slot {
    TIMS_SLOT_APP,
    TIMS_SLOT_DB,
    TIMS_SLOT_AUTH,
    TIMS_SLOT_PAGE,
    TIMS_SLOT_REST,
    TIMS_SLOT_LIVE,
    TIMS_SLOT_WEBSOCKETS,
    TIMS_SLOT_RUN,
    TIMS_SLOT_TASKS,
    TIMS_SLOT_PUSH,
    TIMS_SLOT_COUNT
} tims_slot;

enum { TIMS_REQUEST_MAGIC = 0x54524551 };

struct tims_request {
    uint32_t magic; /* TIMS_REQUEST_MAGIC */
    tims_arena *arena;
    tims_loop *loop;
    tims_method method;
    tims_str target, path, query_text; /* path: decoded and normalised */
    tims_str id;                       /* request id, also in the answer and each log line */
    tims_str peer; /* client address; X-Forwarded-For only when the peer is a trusted proxy */
    bool secure;   /* https, or said so by a trusted proxy */
    const tims_header *headers;
    size_t header_count;
    const struct tims_route *route; /* NULL before routing and for inner requests */
    tims_pairs path_params;
    tims_pairs query; /* parsed at first use: use tims_query_get */
    void *slots[TIMS_SLOT_COUNT];
    const void *server_data;        /* tims_server_options.data */
    struct tims_exchange *exchange; /* http's own; NULL for requests that no client made */
    tims_header *out_headers;       /* what tims_set_header collected */
    size_t out_header_count, out_header_capacity;
    size_t out_header_bytes;
    tims_error raised; /* filled when it was raised */
    int raised_http;   /* the HTTP status it was raised with */
    bool has_raised, has_finished;
    /* Of the server's options or of tims_request_run. */
    void (*finish)(tims_request *rq, tims_answer *answer);
};

/* A scope without a client, for tasks, commands and inner reads: runs `function` on the calling fiber… */
typedef void (*tims_scope_fn)(tims_request *rq, void *argument);
/* …in a fiber of its own whose raise ends only it. Fills `err` when it raised. Suspends. `server_data` and
 * `finish` as in the server options. */
tims_status tims_request_run(tims_loop *loop, const void *server_data, tims_scope_fn function, void *argument,
                             void (*finish)(tims_request *rq, tims_answer *answer), tims_error *err);

/* `function(argument)` runs when the request ends, however it ends; in reverse order. */
void tims_defer(tims_request *rq, tims_defer_fn function, void *argument);
tims_str tims_header_of(const tims_request *rq, tims_str name); /* data == NULL when absent */
/* A cookie that the client sent, still encoded; data == NULL when absent. Borrowed from the request. */
tims_str tims_cookie_of(const tims_request *rq, tims_str name);
tims_str tims_query_get(tims_request *rq, tims_str name);   /* data == NULL when absent. Raises: 400 */
tims_pairs tims_query_pairs(tims_request *rq);              /* Raises: 400 */
tims_str tims_path_str(tims_request *rq, const char *name); /* asserts that the route has it */
/* A parameter {name:id} of the route; asserts that the route has it. */
tims_id tims_path_id(tims_request *rq, const char *name);
/* A parameter {name:int} of the route; asserts that the route has it. Raises: 404 beyond 64 bits. */
int64_t tims_path_int(tims_request *rq, const char *name);
/* Reads the whole body (up to the route's limit). Suspends. Raises: 400, 408, 413. */
tims_str tims_body(tims_request *rq);
/* Reads the next piece; empty at the end. Suspends. Raises: as tims_body. */
tims_str tims_body_next(tims_request *rq);
/* Body as JSON; content type must be application/json or absent. Raises: 400, 415. */
const tims_json *tims_body_json(tims_request *rq);
/* Body bound to a shape; returns a fresh struct. Raises: 400, 415, 422 with pointers. */
void *tims_body_shape(tims_request *rq, const tims_shape *shape);
tims_pairs tims_body_form(tims_request *rq); /* urlencoded. Raises: 400, 415 */
/* multipart/form-data with every part in memory, up to the route's body limit. Raises: 400, 413, 415. */
typedef struct tims_upload {
    tims_str name, filename, content_type, data;
} tims_upload;
typedef struct tims_uploads {
    tims_upload *items;
    size_t count;
} tims_uploads;
/* All parts, in the request's arena. Suspends. */
tims_uploads tims_body_uploads(tims_request *rq);

/* --- pictures: what one is, by its bytes alone -------------------------------------------------- */

typedef struct tims_picture {
    const char *content_type; /* image/png, image/jpeg, image/webp or image/gif */
    uint32_t width, height;   /* pixels as they are stored: without the turn that EXIF may ask for */
} tims_picture;
/* By its first bytes; NULL: none of the four. */
const char *tims_picture_type(tims_str bytes);
/* Walks the container to its end; decodes nothing.
 * Errors: INVALID "unsupported_media_type" (none of the four), "picture_broken" (cut off, or without a size).
 */
tims_status tims_picture_read(tims_str bytes, tims_picture *ret_picture, tims_error *err);
/* The bytes of the one file of a form. Raises: 413; 422 "file_missing", "too_many_files". */
tims_str tims_body_picture(tims_request *rq, tims_uploads uploads, size_t bytes_max);

/* If-None-Match / If-Modified-Since against this ETag: true when 304 is the answer. Sets the ETag header. */
bool tims_not_modified(tims_request *rq, tims_str etag);
/* If-Match of a change: true when it is absent or names this ETag. Weak tags count, since compressing an
 * answer is what makes its tag weak. */
bool tims_if_match(const tims_request *rq, tims_str etag);

/* --- streaming answers ------------------------------------------------------------------------ */

/* Sends the head now; then tims_stream_out any number of times; the handler ends with tims_answer_sent().
 * Chunked on HTTP/1.1. Suspend under backpressure. Raise (end the fiber) when the client has gone. */
void tims_stream_head(tims_request *rq, int status, tims_str content_type);
/* Sends these bytes as a chunk; they are copied where the kernel does not take them at once. */
void tims_stream_out(tims_request *rq, tims_str bytes);
/* What a handler returns that has answered by streaming or upgrading. */
tims_answer tims_answer_sent(void);
/* Whether the client has closed the connection: what is worked out would reach nobody. */
bool tims_client_gone(const tims_request *rq);
bool tims_server_is_leaving(const tims_request *rq); /* it drains: a stream without an end should end now */

/* --- websockets ------------------------------------------------------------------------------- */

typedef struct tims_socket tims_socket;
/* Callbacks run on the loop, not on a fiber: they must not wait (start a fiber for what does). */
typedef struct tims_socket_events {
    void (*on_message)(tims_socket *socket, void *ctx, tims_str message, bool is_binary);
    void (*on_drain)(tims_socket *socket, void *ctx);           /* all queued bytes are gone */
    void (*on_close)(tims_socket *socket, void *ctx, int code); /* once; the socket is gone after it */
    void (*on_going_away)(tims_socket *socket, void *ctx); /* the server drains: the last chance to send */
} tims_socket_events;
typedef struct tims_socket_options {
    size_t message_bytes_max; /* 0: 1 MiB */
    size_t queue_bytes_max;   /* 0: 1 MiB; past it the socket is closed with 1013 */
    bool check_origin;        /* Origin must be the Host or one of the server's allowed origins */
    uint32_t ping_ms;         /* 0: 45 s; a peer that leaves a ping unanswered for as long is dropped */
    bool compress;            /* permessage-deflate, when the client offers it; the bounds hold inflated */
} tims_socket_options;
/* Answers 101 and hands the connection over; the request (and its arena) ends when the handler returns. `ctx`
 * is the caller's own; free it in on_close. Raises: 400, 403, 426. */
tims_answer tims_answer_websocket(tims_request *rq, const tims_socket_events *events, void *ctx,
                                  const tims_socket_options *options, tims_socket **ret_socket);
/* Queues a text message (copied) for the end of the tick. Nothing happens once the socket is closing. */
void tims_socket_send(tims_socket *socket, tims_str text);
/* A text encoded once for any number of sockets on any loop, and compressed at most once, when one of them
 * takes it so. It never changes; one reference is yours. */
typedef struct tims_frame tims_frame;
/* A frame of this text, which is copied. */
tims_frame *tims_frame_new(tims_str text);
tims_frame *tims_frame_new_parts(const tims_str *parts, size_t count); /* one text of all, copied once */
tims_frame *tims_frame_ref(tims_frame *frame);                         /* thread-safe count */
/* Gives one reference back and sets `*frame` to NULL. Any thread. */
void tims_frame_unref(tims_frame **frame);
/* Takes its own reference; written at tick end */
void tims_socket_send_frame(tims_socket *socket, tims_frame *frame);
/* Bytes that the peer has not taken yet. */
size_t tims_socket_queued(const tims_socket *socket);
/* No further bytes are read until resume, so that the peer has to wait: backpressure. Messages in bytes that
 * have been read already (64 KiB at most) still come. Whoever waits so is not taken for dead. */
void tims_socket_pause(tims_socket *socket);
/* Goes on reading after tims_socket_pause. */
void tims_socket_resume(tims_socket *socket);
void tims_socket_close(tims_socket *socket, int code, tims_str reason); /* on_close follows */
/* The loop it lives on; only there it may be used. */
tims_loop *tims_socket_loop(const tims_socket *socket);
/* The peer's address, seen through trusted proxies; lives as long as the socket. */
tims_str tims_socket_peer(const tims_socket *socket);

/* --- routes ----------------------------------------------------------------------------------- */

/* How an endpoint is called, what it takes and what it answers, for the API documents (openapi.h). What
 * follows from the rest of its row (access, parameters of the path, problems of reading a body) need not be
 * said. */
typedef struct tims_route_api {
    const char *operation; /* what clients call it: "startChat"; NULL: of method and path, "postChatsStart" */
    const char *summary;   /* a line; NULL: `doc` up to its first full stop */
    const tims_shape *query; /* parameters of the URL; each may be absent unless it is `required` */
    const tims_shape *body;  /* as tims_body_shape reads it */
    bool is_patch;           /* nothing of the body needs to be there */
    bool is_form_too;        /* the body may be a form, which is answered with a redirect */
    const char *file; /* the body is multipart/form-data: a part of this name with a file, beside `body` */
    int status, other_status; /* of success; 0: 200 with an answer, else 204; 0: no other one */
    const tims_shape *answer; /* JSON; or… */
    const struct tims_model *row;
    const char *content_type; /* what else is answered: "image/png" */
    short problems[8];        /* statuses that do not follow from the row: 404, 409 … */
    bool is_hidden;           /* in no document */
} tims_route_api;

/* Patterns: /api/messages/{id:id}/read/ — {name} one segment, {name:int}, {name:id}, {name:path} the rest. */
typedef struct tims_route {
    uint32_t methods; /* TIMS_METHOD_… bits; GET implies HEAD */
    const char *pattern;
    tims_handler handler;
    const void *data; /* for handlers that serve many routes: rq->route->data */
    const char *doc;
    size_t body_bytes_max;   /* 0: 1 MiB */
    uint32_t timeout_ms;     /* 0: 30 s for the handler's whole work */
    bool no_csrf, anonymous; /* read by auth: no CSRF check; no session look-up at all */
    const void *access;      /* read by auth */
    tims_route_api api;
} tims_route;

typedef struct tims_router tims_router;
/* Errors: CONFLICT (two routes mean the same), INVALID (a bad pattern), named in err. */
tims_status tims_router_new(const tims_route *const *routes, size_t count, tims_router **ret_router,
                            tims_error *err);
/* Sets `*router` to NULL; NULL is fine. The tables stay the caller's. */
void tims_router_free(tims_router **router);
/* NULL: no such path (`ret_allowed` 0) or not with this method (`ret_allowed` says which). */
const tims_route *tims_router_find(const tims_router *router, tims_arena *arena, tims_method method,
                                   tims_str path, tims_pairs *ret_params, uint32_t *ret_allowed,
                                   tims_str *ret_redirect);

/* --- server ----------------------------------------------------------------------------------- */

typedef struct tims_server_options {
    tims_str host;
    uint16_t port;
    int loops; /* 0: one per core */
    const tims_router *router;
    const void *data; /* rq->server_data */
    /* Around every handler, on its fiber: begin may raise; finish runs before the answer is sent (it
     * commits), also for raised answers, and may replace it. */
    void (*begin)(tims_request *rq);
    void (*finish)(tims_request *rq, tims_answer *answer);
    tims_handler not_found; /* pages answer here; NULL: a problem document */
    /* Per loop, on its thread. loop_stop comes also where loop_start failed: part of it may have started. */
    tims_status (*loop_start)(tims_loop *loop, const void *data, tims_error *err);
    void (*loop_stop)(tims_loop *loop, const void *data);
    /* As the loop begins to drain, or behind a start that was under way then; loop_stop does not come before
     * `done(argument)` was called on it. NULL: nothing has to end first. */
    void (*loop_drain)(tims_loop *loop, const void *data, tims_loop_fn done, void *argument);
    tims_http1_limits limits;
    uint32_t header_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms, drain_timeout_ms;
    uint32_t connections_max;             /* per process; past it new ones get 503 and close */
    uint32_t connections_per_address_max; /* the same for each IPv4 address or IPv6 /64, by the peer that is
                                           * really connected, websockets included; 0: no such limit */
    tims_names uncounted_peers; /* addresses without that limit, beside trusted proxies: this machine's own */
    size_t memory_bytes_max;    /* of one request's arena: 413 or 500 beyond */
    tims_names cors_origins;    /* exact origins; "*" is refused together with credentials */
    tims_names trusted_proxies; /* addresses whose X-Forwarded-* count */
    tims_str certificate_path, key_path; /* TLS when set */
    /* Before SIGHUP re-executes: end child processes, close databases */
    void (*before_restart)(const void *data);
    bool access_log;
    bool compress;        /* br and gzip of answers above 1 KiB */
    const char *pid_file; /* NULL: none */
} tims_server_options;

/* Fills in the limits and timeouts that a server has unless told otherwise; the router and the hooks are
 * yours to set. */
void tims_server_options_default(tims_server_options *ret_options);
/* Listens, starts the loops (the calling thread runs loop 0) and returns after a graceful drain (SIGTERM,
 * SIGINT). SIGHUP re-executes the program with the listening sockets kept. `on_ready` runs once all loops
 * accept. Errors: BUSY with one clear line when the port is taken. */
tims_status tims_server_run(const tims_server_options *options,
                            void (*on_ready)(tims_server *server, void *argument), void *argument,
                            tims_error *err);
/* The port it listens on: the one that was found where 0 was asked for. */
uint16_t tims_server_port(const tims_server *server);
/* How many loops it runs. */
int tims_server_loop_count(const tims_server *server);
/* The loop with this index, from 0. */
tims_loop *tims_server_loop(const tims_server *server, int index);
void tims_server_stop(tims_server *server); /* from any thread: as SIGTERM */
/* Whether it takes no more connections and waits for what is under way. */
bool tims_server_is_draining(const tims_server *server);

/* Files below `root`: precompressed .br/.gz neighbours, strong ETag, ranges, `immutable` caching when asked.
 * Answers 404 (raised) for what is outside, hidden or absent. `path` is relative and decoded. */
tims_answer tims_answer_file(tims_request *rq, const char *root, tims_str path, bool immutable);
/* The same, without raising: false where tims_answer_file would answer 404. */
bool tims_try_answer_file(tims_request *rq, const char *root, tims_str path, bool immutable,
                          tims_answer *ret_answer);
/* By the ending of the name, with a charset for text; application/octet-stream for others. Static. */
tims_str tims_content_type_of(tims_str file_name);

/* --- client ----------------------------------------------------------------------------------- */

/* Whose certificates are good enough, for https. */
typedef struct tims_trust tims_trust;
/* Those of the file `ca_path` (PEM), or the system's when it is empty. Lives as long as `arena`; for any
 * number of loops. Errors: INVALID: it cannot be read. */
tims_status tims_trust_new(tims_arena *arena, tims_str ca_path, const tims_trust **ret_trust,
                           tims_error *err);

typedef struct tims_fetch_options {
    tims_method method;
    tims_str url;               /* http(s)://host:port/path or unix:/socket:/path */
    const tims_trust *trust;    /* for https; NULL: such addresses are MALFORMED */
    const tims_header *headers; /* Host may be given; framing and Connection are the client's own: INVALID */
    size_t header_count;
    tims_str body;         /* must live until the call returns */
    int64_t timeout_ms;    /* for the whole exchange, streaming included; 0: 10 s; < 0: none */
    size_t body_bytes_max; /* of the answer; 0: 10 MiB; SIZE_MAX: any (for streams) */
} tims_fetch_options;
typedef struct tims_fetched {
    int status;
    const tims_header *headers;
    size_t header_count;
    tims_str body;
} tims_fetched;
/* One exchange over the loop's pool of kept-alive connections. Everything returned lives in `arena`.
 * Suspends. A request on a reused connection that was closed under it is repeated once if it is safe to (GET,
 * HEAD, OPTIONS). Redirects are answers like any other. Errors: UNAVAILABLE, TIMEOUT, MALFORMED, TOO_LARGE,
 * CANCELLED, INVALID (a header that cannot be sent). */
tims_status tims_fetch(tims_arena *arena, const tims_fetch_options *options, tims_fetched *ret_answer,
                       tims_error *err);
/* Streaming: the head first, then tims_fetch_next until it gives an empty slice. The stream ends with
 * `arena` anyway; the connection goes back to the pool only when the answer was read to its end. */
typedef struct tims_fetch_stream tims_fetch_stream;
/* Sends the request and waits for the head; `ret_head` has no body. Suspends. Errors: as tims_fetch. */
tims_status tims_fetch_open(tims_arena *arena, const tims_fetch_options *options,
                            tims_fetch_stream **ret_stream, tims_fetched *ret_head, tims_error *err);
/* The bytes are valid until the next call. Suspends. Errors: as tims_fetch. */
tims_status tims_fetch_next(tims_fetch_stream *stream, tims_str *ret_bytes, tims_error *err);
/* Ends it before its arena does; not needed otherwise. */
void tims_fetch_close(tims_fetch_stream **stream);
/* Closes the loop's idle connections, so that the loop can end; the server does it for its loops. */
void tims_fetch_shutdown(tims_loop *loop);
/* A request passed on as it comes, and the answer back as it comes: bodies are streamed both ways, framed
 * anew, and each side waits for the other. What is here must live until the call returns. */
typedef struct tims_forward_options {
    const tims_url *upstream;   /* scheme http, https or unix; its path is not looked at */
    const tims_trust *trust;    /* for https */
    tims_str target;            /* path and query as they are sent */
    const tims_header *headers; /* of the request to the upstream; only end-to-end ones: else INVALID */
    size_t header_count;
    bool may_upgrade;  /* a websocket's request (and no other upgrade) is passed on as one */
    bool check_origin; /* of websockets, as tims_socket_options.check_origin. Raises: 403 */
    int64_t connect_ms, head_ms, idle_ms; /* 0: 5 s, 60 s, 60 s. Idle: while the answer comes */
    int64_t tunnel_idle_ms;               /* of a websocket on which nothing passes either way; 0: for ever */
    /* May be NULL. False: the header of the answer is left out. It may be changed; what it then points to
     * must live in rq's arena. */
    bool (*keep_header)(void *ctx, tims_request *rq, tims_header *header);
    /* May be NULL. The upstream's head is good, and what follows it begins: a body, or a websocket. */
    void (*on_head)(void *ctx, tims_request *rq);
    void *ctx;
} tims_forward_options;
/* OK: the answer is sent, return `ret_answer`. Otherwise raise: where the head was not sent yet that is the
 * answer, else it cuts the client off, who must not take what it got for whole. Asked once more on a new
 * connection only where a kept one was closed under an idempotent request before any byte of its body was
 * sent and any of an answer came. Suspends. Raises: as tims_body, 499 when the client goes. Errors:
 * UNAVAILABLE, TIMEOUT, MALFORMED, TOO_LARGE (headers), CANCELLED, INVALID. */
tims_status tims_forward(tims_request *rq, const tims_forward_options *options, tims_answer *ret_answer,
                         tims_error *err);
/* Relays an upgrade request (e.g. a development server's websocket) to the upstream, and then bytes both ways
 * until either side ends. An upstream that does not upgrade is answered with its own answer; one that cannot
 * be reached with 502. Suspends. */
tims_answer tims_answer_tunnel(tims_request *rq, tims_str upstream_url);

/* --- probe ------------------------------------------------------------------------------------ */

typedef struct tims_probe_options {
    const char *host; /* a name or an address, of this machine */
    uint16_t port;
    const char *path;    /* below 150 bytes */
    bool is_tls;         /* any certificate is good: a health check is no place for secrets */
    int64_t patience_ms; /* for each step: connecting, sending, receiving */
} tims_probe_options;
/* What a server of this machine answers to a GET: the line with its status ("HTTP/1.1 200 OK"), in `arena`.
 * For commands: needs no loop and blocks the thread. Errors: UNAVAILABLE: nobody listens, or what came is no
 * answer. */
tims_status tims_probe(tims_arena *arena, const tims_probe_options *options, tims_str *ret_line,
                       tims_error *err);

#endif
