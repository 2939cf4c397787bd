/* client_tls.c: TLS towards an upstream, over memory BIOs, so that OpenSSL never touches a socket.
 *
 *   stream ─► http__client_tls_feed  ─► [BIO] SSL_read  ─► what the pool takes
 *   stream ◄─ drain ◄─ [BIO] SSL_write ◄─ http__upstream_write
 *
 * The certificate has to be of a trusted authority, in time and for the host that was asked for; there is no
 * way to leave that out. TLS 1.2 and newer; http/1.1 by ALPN. The server's side is in tls.c. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "http/client_internal.h"

enum { PLAIN_BYTES = 16 * 1024, PIECE_BYTES = 64 * 1024, HOST_BYTES_MAX = 256 };

struct tims_trust {
    SSL_CTX *ctx;
};

struct http__client_tls {
    SSL *ssl;
    BIO *in, *out; /* belong to ssl */
    bool is_open;  /* the handshake is done */
};

/* --- whom to trust ------------------------------------------------------------------------------- */

static void free_trust(void *argument)
{
    tims_trust *trust = argument;
    SSL_CTX_free(trust->ctx);
}

tims_status tims_trust_new(tims_arena *arena, tims_str ca_path, const tims_trust **ret_trust, tims_error *err)
{
    static const unsigned char protocol[] = "\x08http/1.1";
    tims_trust *trust = TIMS_NEW(arena, tims_trust);
    trust->ctx = SSL_CTX_new(TLS_client_method());
    TIMS_ASSERT(trust->ctx != NULL);
    tims_arena_defer(arena, free_trust, trust);
    SSL_CTX_set_min_proto_version(trust->ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(trust->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(trust->ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(trust->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(trust->ctx, SSL_VERIFY_PEER, NULL);
    TIMS_ASSERT(SSL_CTX_set_alpn_protos(trust->ctx, protocol, sizeof protocol - 1) == 0);
    ERR_clear_error();
    int is_read = ca_path.length > 0
                      ? SSL_CTX_load_verify_locations(trust->ctx, tims_copy_c(arena, ca_path), NULL)
                      : SSL_CTX_set_default_verify_paths(trust->ctx);
    ERR_clear_error();
    if (is_read != 1)
        return tims_fail(err, TIMS_INVALID, "certificate", "%.*s holds no certificates that can be read.",
                         TIMS_PRINT(ca_path));
    *ret_trust = trust;
    return TIMS_OK;
}

/* --- a connection -------------------------------------------------------------------------------- */

/* What its certificate must be for. False: no such host can be. */
static bool expect_host(SSL *ssl, tims_str host)
{
    char name[HOST_BYTES_MAX];
    if (host.length == 0 || host.length >= sizeof name)
        return false;
    memcpy(name, host.data, host.length);
    name[host.length] = '\0';
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1)
        return true;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static tims_status drain(http__upstream *peer)
{
    char *bytes = NULL;
    long length = BIO_get_mem_data(peer->tls->out, &bytes);
    if (length <= 0)
        return TIMS_OK;
    tims_str slice = { bytes, (size_t)length };
    tims_status status = tims_stream_write(peer->stream, &slice, 1);
    (void)BIO_reset(peer->tls->out);
    return status;
}

static tims_status shake_hands(http__upstream *peer)
{
    http__client_tls *tls = peer->tls;
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    int why = result == 1 ? SSL_ERROR_NONE : SSL_get_error(tls->ssl, result);
    ERR_clear_error();
    tls->is_open = result == 1;
    tims_status status = drain(peer); /* an alert as well */
    return result == 1 || why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? status : TIMS_IO;
}

tims_status http__client_tls_begin(http__upstream *peer, const tims_trust *trust, tims_str host)
{
    http__client_tls *tls = calloc(1, sizeof *tls);
    TIMS_ASSERT(tls != NULL);
    peer->tls = tls;
    tls->ssl = SSL_new(trust->ctx);
    tls->in = BIO_new(BIO_s_mem());
    tls->out = BIO_new(BIO_s_mem());
    TIMS_ASSERT(tls->ssl != NULL && tls->in != NULL && tls->out != NULL);
    BIO_set_mem_eof_return(tls->in, -1);
    BIO_set_mem_eof_return(tls->out, -1);
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    SSL_set_connect_state(tls->ssl);
    bool is_host = expect_host(tls->ssl, host);
    ERR_clear_error();
    return is_host ? shake_hands(peer) : TIMS_IO;
}

bool http__client_tls_is_open(const http__upstream *peer)
{
    return peer->tls->is_open;
}

tims_status http__client_tls_feed(http__upstream *peer, tims_str bytes,
                                  void (*take)(http__upstream *peer, tims_str plain))
{
    http__client_tls *tls = peer->tls;
    TIMS_ASSERT(bytes.length <= INT32_MAX);
    if (BIO_write(tls->in, bytes.data, (int)bytes.length) != (int)bytes.length)
        return TIMS_IO;
    tims_status status = tls->is_open ? TIMS_OK : shake_hands(peer);
    if (status != TIMS_OK || !tls->is_open)
        return status;
    char plain[PLAIN_BYTES];
    while (!peer->closing) {
        ERR_clear_error();
        int got = SSL_read(tls->ssl, plain, sizeof plain);
        if (got > 0) {
            take(peer, (tims_str){ plain, (size_t)got });
            continue;
        }
        int why = SSL_get_error(tls->ssl, got);
        ERR_clear_error();
        status = drain(peer); /* key updates, alerts */
        if (why == SSL_ERROR_ZERO_RETURN)
            return TIMS_CLOSED;
        return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? status : TIMS_IO;
    }
    return TIMS_OK;
}

tims_status http__upstream_write(http__upstream *peer, const tims_str *slices, size_t count)
{
    http__client_tls *tls = peer->tls;
    if (tls == NULL)
        return tims_stream_write(peer->stream, slices, count);
    if (peer->closing || !tls->is_open)
        return TIMS_CLOSED;
    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < slices[i].length; at += PIECE_BYTES) {
            size_t left = slices[i].length - at, length = left < PIECE_BYTES ? left : PIECE_BYTES;
            ERR_clear_error();
            bool is_written = SSL_write(tls->ssl, slices[i].data + at, (int)length) == (int)length;
            ERR_clear_error();
            if (!is_written)
                return TIMS_IO;
            tims_status status = BIO_pending(tls->out) >= PIECE_BYTES ? drain(peer) : TIMS_OK;
            if (status != TIMS_OK)
                return status;
        }
    }
    return drain(peer);
}

tims_status http__client_tls_report(const http__upstream *peer, tims_error *err)
{
    long verified = SSL_get_verify_result(peer->tls->ssl);
    if (verified != X509_V_OK)
        return tims_fail(err, TIMS_UNAVAILABLE, "upstream_untrusted",
                         "The upstream's certificate is not accepted: %s.",
                         X509_verify_cert_error_string(verified));
    return tims_fail(err, TIMS_UNAVAILABLE, "upstream_tls", "TLS with the upstream did not come about.");
}

void http__client_tls_free(http__upstream *peer)
{
    if (peer->tls == NULL)
        return;
    SSL_free(peer->tls->ssl);
    free(peer->tls);
    peer->tls = NULL;
}
