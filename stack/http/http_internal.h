/* http_internal.h: what the files of this room share.
 *
 *   tims_server ── one per process: options, listening sockets, counts
 *     └─ http__worker ── one per loop: connections, pools, the output buffer, the date, the file cache
 *          └─ http__connection ── one per client: stream, (TLS,) deadline, what was read and not yet parsed
 *               └─ tims_exchange ── one request and its answer, only while there is one: arena, fiber, body
 *
 * A connection handles one request at a time; what a client sends ahead waits, so answers are in order by
 * themselves. Everything of a worker is touched by its loop's thread only; tims_server has atomics where
 * threads meet. */
#ifndef TIMS_HTTP_INTERNAL_H
#define TIMS_HTTP_INTERNAL_H

#include <string.h>

#include "tims/http.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    HTTP__SERVER_MAGIC = 0x68735256,
    HTTP__WORKER_MAGIC = 0x68574b52,
    HTTP__CONNECTION_MAGIC = 0x68434f4e,
    HTTP__EXCHANGE_MAGIC = 0x68455843,
    HTTP__SOCKET_MAGIC = 0x68534f4b,
    HTTP__FRAME_MAGIC = 0x6846524d,
    HTTP__OUT_BYTES = 64 * 1024,         /* a worker's output buffer: answers gathered for one write */
    HTTP__COPY_BYTES_MAX = 16 * 1024,    /* bodies up to here are copied behind their head */
    HTTP__QUEUE_HIGH_BYTES = 256 * 1024, /* unread output past which no further pipelined request is begun */
    HTTP__PENDING_BYTES_MAX =
        64 * 1024,                      /* input read ahead of a busy handler; past it the client must wait */
    HTTP__BODY_HIGH_BYTES = 256 * 1024, /* body bytes read ahead of a streaming handler */
    HTTP__DISCARD_BYTES_MAX = 64 * 1024,       /* unread body that is swallowed to keep a connection alive */
    HTTP__LINGER_BYTES_MAX = 32 * 1024 * 1024, /* what a refused client may still send before it is cut off */
    HTTP__LINGER_MS = 2000,
    HTTP__GONE_GRACE_MS = 2000,     /* for clients that close their sending half and still read */
    HTTP__DRAIN_IDLE_MS = 250,      /* how long an idle connection lives on when the server drains */
    HTTP__BODY_RATE_BYTES_S = 4096, /* slower bodies time out */
    HTTP__POOL_MAX = 256,           /* exchanges and parsers kept for reuse, per worker */
    HTTP__OUT_HEADER_BYTES_MAX = 32 * 1024,
    HTTP__QUERY_PAIRS_MAX = 256,
    HTTP__ID_LENGTH = 20,
    HTTP__ID_TEXT_MAX = 64,
    /* A text from here on is compressed for who takes it. Of changed rows, 512 bytes become 268 in 14 µs, to
     * be inflated in 4; 256 become 185 in 12, and saving no packet. */
    HTTP__DEFLATE_BYTES_MIN = 512,
    HTTP__PEER_TEXT_MAX = 46,
    HTTP__NETWORK_BYTES = 16,
    HTTP__TOLD_MAX = 32 /* connections of one home past its limit that are told so; more are closed at once */
};

typedef struct http__worker http__worker;
typedef struct http__connection http__connection;
typedef struct tims_exchange http__exchange;
typedef struct http__tls http__tls;
typedef struct http__tls_context http__tls_context;
typedef struct http__files http__files;
typedef struct http__compressor http__compressor;
typedef struct http__deflater http__deflater;
typedef struct http__home http__home;
typedef struct http__homes http__homes;

typedef enum http__server_state { HTTP__STARTING, HTTP__SERVING, HTTP__DRAINING } http__server_state;

struct tims_server {
    uint32_t magic;
    tims_server_options options;
    http__worker *workers;
    int worker_count;
    uint16_t port;
    _Atomic int state;
    _Atomic uint32_t connection_count;
    _Atomic bool restart; /* SIGHUP: re-execute behind the drain */
    http__tls_context *tls;
    http__homes *homes;

    int *kept_fds; /* for the re-executed program */
    int kept_count;
    void (*on_ready)(tims_server *server, void *argument);
    void *on_ready_argument;
    pthread_mutex_t mutex;
    int started_count, failed_count;
    tims_error first_error;
};

/* A parser that connections borrow while they are in the middle of a message. */
typedef struct http__parser {
    struct http__parser *next;
    tims_http1 *http1;
    http__connection *connection;
} http__parser;

struct http__worker {
    uint32_t magic;
    int index;
    tims_server *server;
    tims_loop *loop;
    pthread_t thread;
    bool thread_started, hook_starting, hook_begun, hook_started, hook_drains, draining;
    tims_listener **listeners;
    int listener_count;
    http__connection *connections; /* all of them */
    size_t connection_count;
    http__exchange *free_exchanges;
    size_t free_exchange_count;
    http__parser *free_parsers;
    size_t free_parser_count;
    char *out; /* HTTP__OUT_BYTES, gathered for out_owner */
    size_t out_length;
    http__connection *out_owner;
    bool flush_armed, log_armed, sockets_armed;
    tims_socket *dirty_sockets;
    int64_t date_second;
    char date[TIMS_HTTP_DATE_LENGTH];
    char id_prefix[HTTP__ID_LENGTH];
    uint64_t id_next;
    tims_buf scratch; /* malloc'd, reused: compressed bodies, problem documents */
    http__files *files;
    http__compressor *compressor;
    http__deflater *deflater;
    tims_timer drain_timer, stop_listening_timer;
};

typedef enum http__mode {
    HTTP__MODE_HTTP,
    HTTP__MODE_LINGER, /* the last answer is out; input is dropped until the client closes */
    HTTP__MODE_SOCKET, /* a websocket */
    HTTP__MODE_RAW     /* a tunnel has taken over */
} http__mode;

/* Raw bytes for tunnel.c, from http__raw_begin on. */
typedef struct http__raw_events {
    void (*on_data)(void *ctx, tims_str bytes);
    void (*on_end)(void *ctx); /* the client closed or broke */
} http__raw_events;

struct http__connection {
    uint32_t magic;
    http__mode mode;
    http__worker *worker;
    http__connection *next, *previous;
    tims_stream *stream;
    http__tls *tls;
    http__parser *parser; /* NULL between messages */
    http__exchange *exchange;
    tims_socket *socket;
    http__home *home; /* NULL: not counted */
    const http__raw_events *raw_events;
    void *raw_ctx;
    tims_buf pending; /* read, not yet parsed */
    tims_timer timer;
    int64_t timer_due_us, deadline_us, write_deadline_us;
    uint64_t submitted_bytes, write_mark_bytes; /* for telling a slow reader from a stuck one */
    uint64_t discarded_bytes;
    bool has_parts;    /* part of a head was read */
    bool message_open; /* the head is in, the end of the message is not */
    bool pumping;      /* on the stack already */
    bool input_paused;
    bool peer_ended; /* no more input will come */
    bool closing, stream_closed;
    bool close_after_answer;
    bool stalled;         /* the parser has an event that waits for the handler to read */
    bool header_deadline; /* the deadline is that of a head whose start is in */
    uint8_t peer_length;
    char peer[HTTP__PEER_TEXT_MAX];
};

struct tims_exchange {
    tims_request rq; /* first: rq->exchange points here */
    uint32_t magic;
    http__exchange *next_free;
    http__connection *connection; /* NULL once the client is gone for good */
    http__worker *worker;
    tims_arena *arena, *spare_arena; /* rq.arena is one of them: the spare one once the limit was passed */
    tims_fiber *fiber;
    int64_t started_us;
    const struct tims_route *found;
    uint32_t allowed; /* methods, when none was found */
    tims_str redirect;
    int holds; /* writes under way that still read the arena */
    bool fiber_started, fiber_ended;
    bool head_sent, body_done; /* of the answer */
    bool chunked, is_head, keep_alive, old_version;
    bool upgraded;
    bool is_endless; /* an event stream: cut when the server drains, its client comes back */
    bool is_encoded; /* by the file cache: not to be compressed again */
    bool has_file;   /* one too large to be kept in memory */
    int file_fd;
    uint64_t file_first, file_length;
    bool completing; /* past the handler: a second raise must not run the hooks again */
    bool client_gone;
    bool runs_again; /* from its start, when its fiber has ended */
    uint8_t runs;
    /* request body */
    tims_buf incoming, given;
    uint64_t body_limit, body_received;
    int64_t content_length;
    int64_t body_started_us;
    bool body_expected, input_ended, want_whole, waiting_for_body, reading_body;
    bool waiting_for_room; /* for more of the answer: woken when the client has taken what is queued */
    bool expect_continue;
    int body_failure; /* HTTP status: 408 or 413, 400 */
    char *body_text;
    /* for the log */
    int status;
    uint64_t sent_bytes;
    tims_status failure;
    char id[HTTP__ID_TEXT_MAX + 1];
};

/* connection.c */
void http__connection_accept(void *worker, tims_stream *stream);
void http__connection_receive(http__connection *connection, tims_str bytes);
void http__connection_discard(http__connection *connection, size_t length); /* so many, and it is closed */
void http__connection_pump(http__connection *connection);
void http__connection_close(http__connection *connection);                          /* at once */
void http__connection_finish(http__connection *connection);                         /* after what is queued */
void http__connection_set_deadline(http__connection *connection, int64_t after_ms); /* 0: none */
/* The exchange's fiber has ended: go on to the next request, or close. */
void http__connection_answered(http__connection *connection, http__exchange *exchange);
void http__connection_expire(http__connection *connection); /* its deadline has passed */
void http__connection_arm(http__connection *connection);    /* the timer, for the nearer of both deadlines */
void http__connection_drain(http__connection *connection);
void http__connection_input_ended(http__connection *connection, tims_status why);
void http__connection_reap(http__connection *connection); /* frees it when it is closed and unused */
void http__connection_resume_input(http__connection *connection);

/* output.c */
char *http__out_reserve(http__connection *connection, size_t bytes); /* at most HTTP__OUT_BYTES */
void http__out_commit(http__connection *connection, size_t bytes);
void http__out_append(http__connection *connection, tims_str bytes); /* copies, any length */
void http__out_flush(http__connection *connection);
void http__out_flush_at_tick_end(http__connection *connection);
/* Writes what is gathered and then `bytes`, which live as long as the exchange; holds it until they are
 * out. */
void http__out_write_held(http__exchange *exchange, tims_str bytes);
size_t http__out_queued(http__connection *connection);
void http__out_forget(http__connection *connection);
/* Bytes were handed to the stream: watches that the client takes them. */
void http__transport_note(http__connection *connection, size_t bytes);
/* Below the output buffer: to the stream, through TLS when there is one. */
tims_status http__transport_write(http__connection *connection, const tims_str *slices, size_t count);
tims_status http__transport_write_owned(http__connection *connection, const tims_str *slices, size_t count,
                                        tims_loop_fn release, void *argument);

/* exchange.c */
http__exchange *http__exchange_new(http__connection *connection, const tims_http1_head *head);
bool http__exchange_start(http__exchange *exchange); /* false: no fiber to be had */
void http__exchange_drop(http__exchange *exchange);  /* never started */
void http__exchange_client_gone(http__exchange *exchange);
void http__exchange_hold(http__exchange *exchange);
void http__exchange_release(void *exchange);
TIMS_NORETURN void http__request_end(tims_request *rq); /* has_raised is set: hooks, answer, fiber exit */

/* scope.c */
TIMS_NORETURN void http__scope_end(tims_request *rq);

/* body.c */
bool http__body_arrived(http__exchange *exchange, tims_str bytes); /* false: pause */
void http__body_ended(http__exchange *exchange);
void http__body_failed(http__exchange *exchange, int http_status);
void http__body_free(http__exchange *exchange);
/* As tims_body_next, but without waiting: BUSY when nothing is there yet. INVALID: http__body_raise says why.
 */
tims_status http__body_take(http__exchange *exchange, tims_str *ret_bytes);
TIMS_NORETURN void http__body_raise(http__exchange *exchange);

/* head.c */
void http__head_write(http__exchange *exchange, int status, tims_str content_type, int64_t content_length);
tims_str http__reason(int status);
tims_str http__out_header(const tims_request *rq, tims_str name); /* data == NULL when not set */
void http__set_default_header(tims_request *rq, tims_str name, tims_str value); /* unless it is there */
void http__add_vary(tims_request *rq, tims_str name);
void http__worker_date(http__worker *worker);

/* answer.c */
void http__answer_send(http__exchange *exchange, const tims_answer *answer); /* may suspend for files */
void http__answer_refusal(http__connection *connection, int http_status,
                          const tims_error *err); /* no request */
/* As tims_stream_head; `content_length` -1: it is not known. */
void http__stream_begin(tims_request *rq, int status, tims_str content_type, int64_t content_length);
/* As tims_stream_out, but never waits: the caller does while http__stream_is_full, with waiting_for_room set
 * to be woken. */
void http__stream_put(tims_request *rq, tims_str bytes);
bool http__stream_is_full(http__exchange *exchange);

/* problem.c */
void http__problem_write(tims_buf *out, int http_status, const char *code, tims_str detail,
                         const tims_field_error *fields, tims_str request_id);
tims_answer http__problem(tims_request *rq, int http_status, tims_status status);
tims_answer http__problem_of_raise(tims_request *rq);

/* request.c */
void http__request_raise_limit(void *exchange);

/* peer.c */
bool http__peer_is_trusted(const tims_server_options *options, tims_str address);
void http__peer_resolve(http__exchange *exchange);
/* The 16 bytes of an IPv4 address (as mapped) or of an IPv6 /64. False: it is no such address. */
bool http__peer_network(tims_str text, uint8_t ret_network[HTTP__NETWORK_BYTES]);
/* Whether a home's connections are counted: not those of trusted proxies and of the options' own. */
bool http__peer_is_counted(const tims_server_options *options, tims_str text);
bool http__id_is_well_formed(tims_str id);

/* home.c */
http__homes *http__homes_new(void);
void http__homes_free(http__homes **homes);
/* Counts one more; NULL when the peer has no address. Any thread; until http__home_leave. */
http__home *http__home_enter(http__homes *homes, tims_str peer, uint32_t *ret_count);
void http__home_leave(http__homes *homes, http__home **home); /* fine when NULL */

/* cors.c */
void http__cors_apply(http__exchange *exchange);
bool http__cors_is_preflight(const tims_request *rq);
tims_answer http__cors_preflight(http__exchange *exchange, uint32_t allowed);
bool http__origin_is_allowed(const tims_request *rq, const tims_server_options *options, tims_str origin);

/* compress.c */
/* The best of `available` (bits 1 << tims_encoding) that the header accepts. */
tims_encoding http__encoding_choose(tims_str accept_encoding, uint32_t available);
tims_str http__encoding_name(tims_encoding encoding);
bool http__is_compressible(tims_str content_type);
http__compressor *http__compressor_new(void);
void http__compressor_free(http__compressor **compressor);
/* Into `out` (emptied first). False: it did not get smaller or failed. */
bool http__compress(http__compressor *compressor, tims_encoding encoding, tims_str bytes, tims_buf *out);
void http__answer_compress(http__exchange *exchange, tims_answer *answer);

/* conditional.c */
bool http__etag_is_in(tims_str list, tims_str etag, bool weakly);
typedef enum http__range_kind { HTTP__RANGE_NONE, HTTP__RANGE_PART, HTTP__RANGE_BAD } http__range_kind;
/* `header` against `size` bytes; of several ranges, or what is no byte range, nothing is taken (NONE). */
http__range_kind http__range_parse(tims_str header, uint64_t size, uint64_t *ret_first, uint64_t *ret_length);
bool http__range_applies(const tims_request *rq, tims_str etag, int64_t modified_s); /* If-Range */

/* file_cache.c: small files in memory, each with its encodings. */
enum { HTTP__CACHED_FILE_MAX = 512 * 1024, HTTP__ETAG_MAX = 40 };
typedef struct http__file_variant {
    tims_str bytes; /* data NULL: there is none */
    char etag[HTTP__ETAG_MAX];
} http__file_variant;
typedef struct http__file {
    struct http__file *newer, *older; /* by use */
    int references;
    char *key;
    size_t key_length, total_bytes;
    uint64_t device, inode, size;
    int64_t modified_ns, checked_us;
    http__file_variant variants[3]; /* by tims_encoding */
    bool in_cache;
} http__file;
http__files *http__files_new(void);
void http__files_free(http__files **files);
/* One reference is the caller's. TOO_LARGE: it is there, but too large to be kept: `ret_fd` is open then. */
tims_status http__files_get(http__files *files, http__compressor *compressor, const char *root, tims_str path,
                            int64_t now_us, http__file **ret_file, int *ret_fd);
void http__file_unref(void *file);

/* file.c */
void http__file_send(http__exchange *exchange, const tims_answer *answer);

/* deflate.c: slices are valid until the next call of the same function. */
http__deflater *http__deflater_new(void);
void http__deflater_free(http__deflater **deflater);
/* False: too short, too long, or it does not get smaller. */
bool http__deflate(http__deflater *deflater, tims_str plain, tims_str *ret_packed);
/* 0 or the close code. */
int http__inflate(http__deflater *deflater, tims_str packed, size_t bytes_max, tims_str *ret_plain);

/* frame.c */
struct tims_frame {
    uint32_t magic;
    _Atomic uint32_t references;
    size_t length;
    uint8_t header_length;
    pthread_mutex_t packing;
    _Atomic(tims_frame *) packed; /* NULL until somebody asks; the frame itself: none */
    char bytes[];                 /* header and payload */
};
tims_frame *http__frame_make(tims_ws_opcode opcode, tims_str payload);
tims_frame *http__frame_make_packed(tims_str packed); /* a compressed text */
/* What a socket that takes compressed messages is sent: lives as long as `frame`. */
tims_frame *http__frame_packed(tims_frame *frame, http__deflater *deflater);
void http__frame_release(void *frame);

/* socket.c */
/* `window_bits` 0: messages are not compressed. */
tims_socket *http__socket_new(http__connection *connection, const tims_socket_events *events, void *ctx,
                              const tims_socket_options *options, int window_bits);
void http__socket_receive(tims_socket *socket, tims_str bytes);
void http__socket_handed_over(tims_socket *socket); /* the handler has returned */
void http__socket_gone(tims_socket *socket);        /* the stream ended */
void http__socket_free(tims_socket *socket);        /* the connection goes: on_close */
void http__socket_expired(tims_socket *socket);
void http__socket_drained(tims_socket *socket);
void http__socket_going_away(tims_socket *socket, int code);
bool http__socket_is_paused(const tims_socket *socket); /* NULL: no */

/* log.c */
void http__log_access(http__exchange *exchange);

/* tls.c */
tims_status http__tls_context_new(const tims_server_options *options, http__tls_context **ret_context,
                                  tims_error *err);
void http__tls_context_free(http__tls_context **context);
http__tls *http__tls_new(http__tls_context *context);
void http__tls_free(http__tls **tls);                                 /* tls_session.c */
void http__tls_receive(http__connection *connection, tims_str bytes); /* → http__connection_receive */
tims_status http__tls_send(http__connection *connection, const tims_str *slices, size_t count);
void http__tls_end(http__connection *connection); /* close_notify */

/* raw.c: a connection taken over by a tunnel, called on the request's fiber. */
tims_status http__raw_begin(tims_request *rq, const http__raw_events *events, void *ctx);
tims_status http__raw_write(tims_request *rq, tims_str bytes); /* Suspends under backpressure. */
void http__raw_pause(tims_request *rq);
void http__raw_resume(tims_request *rq);

/* worker.c */
tims_status http__worker_init(http__worker *worker, tims_server *server, int index, tims_error *err);
void http__worker_free(http__worker *worker);
tims_status http__worker_listen(http__worker *worker, int inherited_fd, tims_error *err);
void http__worker_run(http__worker *worker);
void http__worker_drain(void *worker);
void http__worker_connection_gone(http__worker *worker);
void http__worker_abandon(http__worker *worker); /* closes its listeners when the server could not start */

/* server.c */
void http__server_worker_started(tims_server *server, tims_status status, const tims_error *err);

/* restart.c */
tims_status http__restart_inherited(const tims_server_options *options, int **ret_fds, int *ret_count,
                                    tims_error *err);
/* Nothing is kept when it fails; it may be tried again. Errors: IO. */
tims_status http__restart_keep(tims_server *server, tims_error *err);
/* Returns only when it fails. Errors: IO. */
tims_status http__restart_exec(tims_server *server, tims_error *err);

static inline tims_str http__rest(tims_str s, size_t from)
{
    return (tims_str){ s.data + from, s.length - from };
}

/* --- writing into a fixed line: the caller has made sure of the room --------------------------------- */

static inline char *http__put(char *at, tims_str s)
{
    if (s.length > 0)
        memcpy(at, s.data, s.length);
    return at + s.length;
}

static inline char *http__put_number(char *at, uint64_t number)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

#endif
