/* client_tls.c: TLS towards an upstream. The session is tls_session.c's.
 *
 *   stream ─► http__client_tls_feed ─► what the pool takes
 *   stream ◄─ drain                 ◄─ http__upstream_write
 *
 * The certificate has to be of a trusted authority, in time and for the host that was asked for; there is no
 * way to leave that out. TLS 1.2 and newer; http/1.1 by ALPN. The server's side is in tls.c. */
#include <openssl/x509v3.h>
#include <string.h>

#include "http/client_internal.h"
#include "http/tls_internal.h"
#include "tims/crypto.h"

enum { HOST_BYTES_MAX = 256 };

struct tims_trust {
    SSL_CTX *ctx;
    uint64_t id; /* by chance: another one may lie where this one lay while its connections are still kept */
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
    tims_random(&trust->id, sizeof trust->id);
    trust->ctx = http__tls_settings_new(TLS_client_method());
    TIMS_ASSERT(trust->ctx != NULL);
    tims_arena_defer(arena, free_trust, trust);
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

uint64_t http__trust_id(const tims_trust *trust)
{
    return trust->id;
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

static tims_status drain(void *ctx)
{
    http__upstream *peer = ctx;
    size_t length = 0;
    return http__tls_drain(peer->tls, peer->stream, &length);
}

static tims_status shake_hands(http__upstream *peer)
{
    tims_status shaken = http__tls_shake(peer->tls);
    tims_status drained = drain(peer); /* an alert as well */
    return shaken != TIMS_OK ? shaken : drained;
}

tims_status http__client_tls_begin(http__upstream *peer, const tims_trust *trust, tims_str host)
{
    peer->tls = http__tls_session_new(trust->ctx);
    SSL_set_connect_state(peer->tls->ssl);
    bool is_host = expect_host(peer->tls->ssl, host);
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
    http__tls *tls = peer->tls;
    tims_status status = http__tls_take(tls, bytes);
    if (status == TIMS_OK && !tls->is_open)
        status = shake_hands(peer);
    char plain[HTTP__TLS_PLAIN_BYTES];
    while (status == TIMS_OK && tls->is_open && !peer->closing) {
        size_t length = 0;
        status = http__tls_read(tls, plain, &length);
        if (status == TIMS_OK && length > 0) {
            take(peer, (tims_str){ plain, length });
            continue;
        }
        tims_status drained = drain(peer); /* key updates, alerts */
        return status != TIMS_OK ? status : drained;
    }
    return status;
}

tims_status http__upstream_write(http__upstream *peer, const tims_str *slices, size_t count)
{
    if (peer->tls == NULL)
        return tims_stream_write(peer->stream, slices, count);
    if (peer->closing || !peer->tls->is_open)
        return TIMS_CLOSED;
    return http__tls_write(peer->tls, slices, count, drain, peer);
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
