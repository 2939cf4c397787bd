/* client_internal.h: what the files of the client share.
 *
 *   http__pool ── one per loop, made at first use: idle connections by address
 *     └─ http__upstream ── one connection to an upstream: stream, (TLS,) parser
 *          └─ tims_fetch_stream ── one exchange, while it lasts: what came and was not yet taken, who waits
 *
 * The stream's callbacks run on the loop, between the steps of the fiber that asked; both only touch the
 * exchange's buffers and flags, and the callbacks wake the fiber. */
#ifndef TIMS_CLIENT_INTERNAL_H
#define TIMS_CLIENT_INTERNAL_H

#include "tims/http.h"

enum {
    HTTP__POOL_MAGIC = 0x68504f4f,
    HTTP__UPSTREAM_MAGIC = 0x68555053,
    HTTP__FETCH_MAGIC = 0x68464554,
    HTTP__IDLE_UPSTREAMS_MAX = 64,
    HTTP__IDLE_MS = 4000,           /* below the five seconds that common servers keep a connection */
    HTTP__UNSAFE_IDLE_US = 1000000, /* a request that cannot be repeated wants a fresher one */
    HTTP__FETCH_QUEUE_BYTES =
        256 * 1024, /* streamed bytes not yet taken, past which the upstream must wait */
    HTTP__FETCH_HEAD_BYTES_MAX = 256 * 1024,
    HTTP__INTERIM_MAX = 16, /* 1xx answers before the one that counts */
    /* instead of a body's length */
    HTTP__BODY_NONE = -1,
    HTTP__BODY_CHUNKED = -2
};

typedef struct http__upstream http__upstream;
typedef struct http__tls http__tls;

typedef struct http__pool {
    uint32_t magic;
    tims_loop *loop;
    http__upstream *idle; /* newest first */
    size_t idle_count, peer_count;
    bool closing;
} http__pool;

struct http__upstream {
    uint32_t magic;
    http__pool *pool;
    http__upstream *next, *previous; /* while idle */
    tims_stream *stream;
    http__tls *tls; /* NULL: none */
    tims_http1 *parser;
    tims_fetch_stream *fetch; /* NULL while idle */
    tims_fiber *shaking;      /* who waits for the handshake, and closes the connection when it fails */
    tims_status shaken;       /* how that went */
    char *address;            /* the URL's scheme, host and port */
    tims_timer idle_timer;
    int64_t idle_since_us;
    bool is_idle, is_reused, is_started, input_ended, closing;
};

struct tims_fetch_stream {
    uint32_t magic;
    http__upstream *peer; /* NULL once the exchange is over */
    tims_fiber *waiter;
    void (*on_room)(
        void *ctx); /* all that was written is gone, whether somebody waits or not; NULL: nobody */
    void *room_ctx;
    tims_fetch_stream **cell; /* in the caller's arena: its deferred close finds us through it */
    tims_arena *head_arena;
    tims_http1_head head;
    tims_buf incoming, given;
    uint64_t received, body_bytes_max;
    int64_t deadline_us; /* 0: none */
    tims_status failed;  /* OK: not */
    uint32_t interim_count;
    bool request_done; /* all of the request is the stream's */
    bool has_head, ended, is_raw, is_streaming, any_bytes, paused, is_head_request;
};

/* client_pool.c */
typedef struct http__upstream_options {
    const tims_url *url;
    const tims_trust *trust; /* for https; NULL: that is refused */
    bool fresh;              /* none of the pool's */
    bool is_safe;            /* may be sent again */
    int64_t timeout_ms;      /* to connect, and once more for TLS */
} http__upstream_options;
/* A connection: an idle one of the pool or a new one. Suspends. */
tims_status http__upstream_get(tims_loop *loop, const http__upstream_options *options,
                               http__upstream **ret_peer, tims_error *err);
void http__upstream_attach(http__upstream *peer, tims_fetch_stream *fetch);
void http__upstream_detach(http__upstream *peer, bool keep); /* back to the pool, or closed */

/* client_tls.c */
uint64_t http__trust_id(const tims_trust *trust); /* no two have the same */
tims_status http__client_tls_begin(http__upstream *peer, const tims_trust *trust, tims_str host);
bool http__client_tls_is_open(const http__upstream *peer);
/* Decrypts, piece by piece to `take`, until there is no more or the connection closes. Errors: CLOSED: the
 * upstream said that it was all; IO. */
tims_status http__client_tls_feed(http__upstream *peer, tims_str bytes,
                                  void (*take)(http__upstream *peer, tims_str plain));
/* Every byte to an upstream goes through here, with TLS or without. Copies what cannot be sent at once. */
tims_status http__upstream_write(http__upstream *peer, const tims_str *slices, size_t count);
tims_status http__client_tls_report(const http__upstream *peer, tims_error *err); /* why it failed */

/* tls_session.c */
void http__tls_free(http__tls **tls); /* NULL inside is fine */

/* client_request.c */
tims_status http__request_check(const tims_fetch_options *options, tims_error *err);
/* `body_length`: what follows, or one of the two above. */
void http__request_write(tims_buf *out, const tims_fetch_options *options, const tims_url *url,
                         int64_t body_length);

/* client.c */
/* Until a callback wakes us, within the exchange's deadline and the fiber's own. Suspends. */
tims_status http__fetch_wait(tims_fetch_stream *fetch);
/* For forward.c, which sends the request itself. Known to the arena, as all are. */
tims_fetch_stream *http__fetch_new(tims_arena *arena, const tims_fetch_options *options);
tims_status http__fetch_report(tims_status status, tims_error *err); /* returns what it was, or UNAVAILABLE */
/* What has come, emptying it; valid until the next call. */
tims_str http__fetch_take(tims_fetch_stream *fetch);

/* tunnel.c */
/* Relays bytes between the request's client and an exchange whose 101 has come, after sending `head` to the
 * client. Until either side ends, or nothing has passed for `idle_ms` (0: for ever). Suspends. */
tims_answer http__tunnel(tims_request *rq, tims_fetch_stream *fetch, tims_str head, int64_t idle_ms);

#endif
