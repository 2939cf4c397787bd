/* tls.c: TLS between the stream and the connection, over memory BIOs, so that OpenSSL never touches a socket.
 *
 *   stream ─► on_data ─► [BIO] SSL_read ─► http__connection_receive
 *   stream ◄─ write  ◄─ [BIO] SSL_write ◄─ http__transport_write
 *
 * TLS 1.2 and newer; http/1.1 by ALPN. Buffers of idle connections are released by OpenSSL itself. */
#include "http_internal.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

enum { PLAIN_BYTES = 16 * 1024, DRAIN_BYTES = 64 * 1024 };

struct http__tls_context {
    SSL_CTX *ctx;
};

struct http__tls {
    SSL *ssl;
    BIO *in, *out; /* belong to ssl */
    bool is_open;  /* the handshake is done */
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
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return tims_fail(err, TIMS_UNAVAILABLE, "tls", "TLS cannot be set up.");
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
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
    http__tls *tls = calloc(1, sizeof(*tls));
    TIMS_ASSERT(tls != NULL);
    tls->ssl = SSL_new(context->ctx);
    tls->in = BIO_new(BIO_s_mem());
    tls->out = BIO_new(BIO_s_mem());
    TIMS_ASSERT(tls->ssl && tls->in && tls->out);
    BIO_set_mem_eof_return(tls->in, -1);
    BIO_set_mem_eof_return(tls->out, -1);
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    SSL_set_accept_state(tls->ssl);
    return tls;
}

void http__tls_free(http__tls **tls)
{
    if (!*tls)
        return;
    SSL_free((*tls)->ssl);
    free(*tls);
    *tls = NULL;
}

/* Moves what OpenSSL has produced to the stream. */
static tims_status drain_out(http__connection *connection)
{
    char *bytes = NULL;
    long length = BIO_get_mem_data(connection->tls->out, &bytes);
    if (length <= 0)
        return TIMS_OK;
    tims_str slice = { bytes, (size_t)length };
    tims_status status = tims_stream_write(connection->stream, &slice, 1);
    (void)BIO_reset(connection->tls->out);
    if (status == TIMS_OK)
        http__transport_note(connection, slice.length);
    else
        http__connection_close(connection);
    return status;
}

static void fail(http__connection *connection)
{
    ERR_clear_error();
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
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    int why = result == 1 ? SSL_ERROR_NONE : SSL_get_error(tls->ssl, result);
    if (result != 1 && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        fail(connection);
        return false;
    }
    tls->is_open = result == 1;
    return drain_out(connection) == TIMS_OK && tls->is_open;
}

void http__tls_receive(http__connection *connection, tims_str bytes)
{
    http__tls *tls = connection->tls;
    TIMS_ASSERT(bytes.length <= INT32_MAX);
    if (BIO_write(tls->in, bytes.data, (int)bytes.length) != (int)bytes.length) {
        http__connection_close(connection);
        return;
    }
    if (!shake_hands(connection))
        return;
    char plain[PLAIN_BYTES];
    while (!connection->closing) {
        ERR_clear_error();
        int got = SSL_read(tls->ssl, plain, sizeof(plain));
        if (got > 0) {
            http__connection_receive(connection, (tims_str){ plain, (size_t)got });
            continue;
        }
        int why = SSL_get_error(tls->ssl, got);
        if (why == SSL_ERROR_ZERO_RETURN)
            http__connection_input_ended(connection, TIMS_CLOSED);
        else if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            fail(connection);
        else
            (void)!drain_out(connection); /* key updates, tickets */
        return;
    }
}

tims_status http__tls_write(http__connection *connection, const tims_str *slices, size_t count)
{
    http__tls *tls = connection->tls;
    if (!tls->is_open)
        return TIMS_CLOSED;
    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < slices[i].length; at += DRAIN_BYTES) {
            size_t length = slices[i].length - at < DRAIN_BYTES ? slices[i].length - at : DRAIN_BYTES;
            ERR_clear_error();
            if (SSL_write(tls->ssl, slices[i].data + at, (int)length) != (int)length) {
                ERR_clear_error();
                http__connection_close(connection);
                return TIMS_IO;
            }
            if (BIO_pending(tls->out) >= DRAIN_BYTES && drain_out(connection) != TIMS_OK)
                return TIMS_CLOSED;
        }
    }
    return drain_out(connection);
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
