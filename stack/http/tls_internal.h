/* tls_internal.h: a TLS session over memory BIOs, so that OpenSSL never touches a socket: what the server's
 * side (tls.c) and the client's (client_tls.c) share. Who trusts whom, and what an end means, is theirs.
 *
 *   stream ─► http__tls_take  ─► [BIO] ─► http__tls_shake, http__tls_read ─► plain bytes
 *   stream ◄─ http__tls_drain ◄─ [BIO] ◄─ http__tls_write                 ◄─ plain bytes
 *
 * OpenSSL's queue of errors is the thread's, and every loop's connections share it: each of these leaves it
 * empty. */
#ifndef TIMS_HTTP_TLS_INTERNAL_H
#define TIMS_HTTP_TLS_INTERNAL_H

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tims/loop.h"

enum { HTTP__TLS_PLAIN_BYTES = 16 * 1024, HTTP__TLS_PIECE_BYTES = 64 * 1024 };

typedef struct http__tls {
    SSL *ssl;
    BIO *in, *out; /* belong to ssl */
    bool is_open;  /* the handshake is done */
} http__tls;

/* Moves what OpenSSL has produced to where it goes. */
typedef tims_status (*http__tls_drain_fn)(void *ctx);

/* TLS 1.2 and newer, http/1.1 by ALPN is the caller's. Ends with SSL_CTX_free. NULL: TLS cannot be set up. */
SSL_CTX *http__tls_settings_new(const SSL_METHOD *method);
/* The caller says whether it accepts or connects. */
http__tls *http__tls_session_new(SSL_CTX *settings);
void http__tls_free(http__tls **tls); /* NULL inside is fine */

/* Bytes of the stream. Errors: IO. */
tims_status http__tls_take(http__tls *tls, tims_str bytes);
/* As far as the handshake comes with what was taken; then is_open says whether it is done. Errors: IO: it
 * failed, and there may be an alert to drain. */
tims_status http__tls_shake(http__tls *tls);
/* Up to HTTP__TLS_PLAIN_BYTES; 0: more has to be taken first. Errors: CLOSED: the peer said that it was all;
 * IO. */
tims_status http__tls_read(http__tls *tls, char *buffer, size_t *ret_length);
/* Calls `drain` whenever HTTP__TLS_PIECE_BYTES have gathered, and at the end. Errors: IO, and those of
 * `drain`. */
tims_status http__tls_write(http__tls *tls, const tims_str *slices, size_t count, http__tls_drain_fn drain,
                            void *ctx);
/* To the stream. Errors: those of tims_stream_write. */
tims_status http__tls_drain(http__tls *tls, tims_stream *stream, size_t *ret_length);

#endif
