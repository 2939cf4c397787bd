/* tls.c: TLS between the stream and the connection, the server's side of it. The session is tls_session.c's.
 *
 *   stream ─► on_data ─► http__tls_receive ─► http__connection_receive
 *   stream ◄─ drain   ◄─ http__tls_send    ◄─ http__transport_write
 *
 * TLS 1.2 and newer; http/1.1 by ALPN. Buffers of idle connections are released by OpenSSL itself. */
#include "http_internal.h"

#include <stdlib.h>

#include "http/tls_internal.h"

struct http__tls_context {
    SSL_CTX *ctx;
};

/* --- context ---------------------------------------------------------------------------------- */

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                           const unsigned char *in, unsigned int in_length, void *argument)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen = NULL;
    (void)ssl;
    (void)argument;
    if (SSL_select_next_proto(&chosen, out_length, ours, sizeof(ours) - 1, in, in_length) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static tims_status fail_with_reason(tims_error *err, const char *what, tims_str path)
{
    char reason[160] = "";
    unsigned long code = ERR_peek_last_error();
    if (code)
        ERR_error_string_n(code, reason, sizeof(reason));
    ERR_clear_error();
    return tims_fail(err, TIMS_INVALID, "certificate", "%s %.*s cannot be used: %s", what, TIMS_PRINT(path),
                     reason);
}

static tims_status load_files(SSL_CTX *ctx, const tims_server_options *options, tims_arena *arena,
                              tims_error *err)
{
    const char *certificate = tims_copy_c(arena, options->certificate_path);
    const char *key = tims_copy_c(arena, options->key_path);
    if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1)
        return fail_with_reason(err, "The certificate", options->certificate_path);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        return fail_with_reason(err, "The key", options->key_path);
    return TIMS_OK;
}

tims_status http__tls_context_new(const tims_server_options *options, http__tls_context **ret_context,
                                  tims_error *err)
{
    SSL_CTX *ctx = http__tls_settings_new(TLS_server_method());
    if (!ctx)
        return tims_fail(err, TIMS_UNAVAILABLE, "tls", "TLS cannot be set up.");
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    tims_arena *arena = tims_arena_new(64 * 1024, NULL, NULL);
    tims_status status = load_files(ctx, options, arena, err);
    tims_arena_free(&arena);
    if (status != TIMS_OK) {
        SSL_CTX_free(ctx);
        return status;
    }
    *ret_context = calloc(1, sizeof(**ret_context));
    TIMS_ASSERT(*ret_context != NULL);
    (*ret_context)->ctx = ctx;
    return TIMS_OK;
}

void http__tls_context_free(http__tls_context **context)
{
    if (!*context)
        return;
    SSL_CTX_free((*context)->ctx);
    free(*context);
    *context = NULL;
}

/* --- connections ------------------------------------------------------------------------------ */

http__tls *http__tls_new(http__tls_context *context)
{
    http__tls *tls = http__tls_session_new(context->ctx);
    SSL_set_accept_state(tls->ssl);
    return tls;
}

static tims_status drain_out(void *ctx)
{
    http__connection *connection = ctx;
    size_t length = 0;
    tims_status status = http__tls_drain(connection->tls, connection->stream, &length);
    if (status != TIMS_OK)
        http__connection_close(connection);
    else if (length > 0)
        http__transport_note(connection, length);
    return status;
}

static void fail(http__connection *connection)
{
    if (!connection->closing)
        (void)!drain_out(connection); /* the alert */
    connection->tls->is_open = false;
    http__connection_finish(connection);
}

/* True when the handshake is done. */
static bool shake_hands(http__connection *connection)
{
    http__tls *tls = connection->tls;
    if (tls->is_open)
        return true;
    if (http__tls_shake(tls) != TIMS_OK) {
        fail(connection);
        return false;
    }
    return drain_out(connection) == TIMS_OK && tls->is_open;
}

/* The session is over: OpenSSL would keep what comes and never read it. */
static bool is_deaf(const http__connection *connection)
{
    return connection->peer_ended || (connection->mode == HTTP__MODE_LINGER && !connection->tls->is_open);
}

void http__tls_receive(http__connection *connection, tims_str bytes)
{
    http__tls *tls = connection->tls;
    if (is_deaf(connection)) {
        http__connection_discard(connection, bytes.length);
        return;
    }
    if (http__tls_take(tls, bytes) != TIMS_OK) {
        http__connection_close(connection);
        return;
    }
    if (!shake_hands(connection))
        return;
    char plain[HTTP__TLS_PLAIN_BYTES];
    while (!connection->closing) {
        size_t length = 0;
        tims_status status = http__tls_read(tls, plain, &length);
        if (status == TIMS_OK && length > 0) {
            http__connection_receive(connection, (tims_str){ plain, length });
            continue;
        }
        if (status == TIMS_CLOSED)
            http__connection_input_ended(connection, TIMS_CLOSED);
        else if (status != TIMS_OK)
            fail(connection);
        else
            (void)!drain_out(connection); /* key updates, tickets */
        return;
    }
}

tims_status http__tls_send(http__connection *connection, const tims_str *slices, size_t count)
{
    if (!connection->tls->is_open)
        return TIMS_CLOSED;
    tims_status status = http__tls_write(connection->tls, slices, count, drain_out, connection);
    if (status != TIMS_OK)
        http__connection_close(connection);
    return status;
}

void http__tls_end(http__connection *connection)
{
    if (!connection->tls->is_open)
        return;
    ERR_clear_error();
    SSL_shutdown(connection->tls->ssl);
    ERR_clear_error();
    (void)!drain_out(connection);
}
