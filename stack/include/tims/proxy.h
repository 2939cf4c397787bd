/* proxy.h: other programs behind this one's sign-in: a path of the site is an upstream of one's own.
 *
 * Bodies and websockets are streamed both ways. The upstream is told who asks in headers that only we write;
 * what a client sends under their names never reaches it. */
#ifndef TIMS_PROXY_H
#define TIMS_PROXY_H

#include "tims/auth.h"
#include "tims/http.h"

/* A row of a project's table, which ends with one without a prefix. Times in milliseconds, 0: the default. */
typedef struct tims_proxy {
    const char *prefix;   /* "/docs/": begins and ends with a slash; letters, digits, "-._~" between */
    const char *upstream; /* http(s)://host:port/path/ or unix:/socket:/path/. What follows the prefix is
                           * added to its path (none: "/"). The setting PROXY_<PREFIX> replaces it:
                           * PROXY_DOCS. NULL: without that setting there is no such path */
    const void *access;   /* NULL: everybody; tims_access_signed_in; tims_access_staff */
    const char *doc;
    uint32_t methods;        /* TIMS_METHOD_… bits; 0: all */
    bool send_cookies;       /* our own as well: those of the session, the visitor, CSRF */
    bool send_authorization; /* the client's Authorization header */
    bool identity;  /* X-Tims-Identity for who is signed in; needs the setting PROXY_<PREFIX>_SECRET */
    bool keep_host; /* the client's Host instead of the upstream's */
    bool no_websockets;
    const char *health;  /* path at the upstream that answers 2xx when it is well; NULL: the first request
                          * behind a pause is the probe */
    uint32_t connect_ms; /* 5 s */
    uint32_t head_ms;    /* 60 s, from the request's last byte to the answer's head */
    uint32_t idle_ms;    /* 60 s, between two pieces of an answer */
    uint32_t websocket_idle_ms; /* 10 min, without a byte either way */
    uint32_t failures_max;      /* 5, in a row; then 503 until a probe succeeds */
    uint32_t pause_ms;          /* 10 s, before a probe */
    uint32_t requests_max;      /* 1000, at once, streams and websockets too; 503 beyond */
    uint64_t body_bytes_max;    /* of a request: 1 GiB; UINT64_MAX: any */
} tims_proxy;

enum {
    TIMS_PROXY_IDENTITY_S = 60, /* how long the identity header holds */
    TIMS_PROXY_REQUESTS_MAX = 1000
};

typedef struct tims_proxies tims_proxies;
/* What the environment says of one row, in the table's order; data == NULL: nothing. */
typedef struct tims_proxy_settings {
    tims_str upstream, secret, ca; /* ca: a file of certificates to trust, for https; none: the system's */
} tims_proxy_settings;
/* `table` must outlive it; the rest is copied. Errors: INVALID naming the row and what is wrong with it. */
tims_status tims_proxies_new(tims_arena *arena, const tims_proxy *table, const tims_proxy_settings *settings,
                             tims_proxies **ret_proxies, tims_error *err);
/* How many rows there are before the empty one. */
size_t tims_proxies_count(const tims_proxy *table);
/* "PROXY_DOCS" of "/docs/", "PROXY_A_B_C_SECRET" of "/a/b-c/" with the ending "_SECRET". */
const char *tims_proxy_setting_name(tims_arena *arena, const tims_proxy *row, const char *ending);
/* The routes of all rows, for the router; they live as long as `proxies`. */
const tims_route *tims_proxies_routes(const tims_proxies *proxies, size_t *ret_count);
/* The longest request body of any row; 0 without rows. The server's own limit must not be below it. */
uint64_t tims_proxies_body_bytes_max(const tims_proxies *proxies);
/* Prometheus: tims_proxy_requests_total, _failures_total, _refused_total, _under_way, _open, by prefix. */
void tims_proxies_metrics(const tims_proxies *proxies, tims_buf *out);

#endif
