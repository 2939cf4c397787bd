/* tls_session.c: OpenSSL's part of a connection, whichever side of it we are. See tls_internal.h. */
#include "http/tls_internal.h"

#include <stdlib.h>

SSL_CTX *http__tls_settings_new(const SSL_METHOD *method)
{
    SSL_CTX *settings = SSL_CTX_new(method);
    if (settings != NULL) {
        SSL_CTX_set_min_proto_version(settings, TLS1_2_VERSION);
        SSL_CTX_set_options(settings, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
        SSL_CTX_set_mode(settings, SSL_MODE_RELEASE_BUFFERS);
    }
    ERR_clear_error();
    return settings;
}

http__tls *http__tls_session_new(SSL_CTX *settings)
{
    http__tls *tls = calloc(1, sizeof *tls);
    TIMS_ASSERT(tls != NULL);
    tls->ssl = SSL_new(settings);
    tls->in = BIO_new(BIO_s_mem());
    tls->out = BIO_new(BIO_s_mem());
    TIMS_ASSERT(tls->ssl != NULL && tls->in != NULL && tls->out != NULL);
    BIO_set_mem_eof_return(tls->in, -1);
    BIO_set_mem_eof_return(tls->out, -1);
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    return tls;
}

void http__tls_free(http__tls **tls)
{
    if (*tls == NULL)
        return;
    SSL_free((*tls)->ssl);
    free(*tls);
    *tls = NULL;
}

tims_status http__tls_take(http__tls *tls, tims_str bytes)
{
    TIMS_ASSERT(bytes.length <= INT32_MAX);
    bool is_taken = BIO_write(tls->in, bytes.data, (int)bytes.length) == (int)bytes.length;
    ERR_clear_error();
    return is_taken ? TIMS_OK : TIMS_IO;
}

/* Of a call that returned `result`; empties the queue of errors that it looks at. */
static int find_reason(const http__tls *tls, int result)
{
    int why = SSL_get_error(tls->ssl, result);
    ERR_clear_error();
    return why;
}

tims_status http__tls_shake(http__tls *tls)
{
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    int why = find_reason(tls, result);
    tls->is_open = result == 1;
    return result == 1 || why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? TIMS_OK : TIMS_IO;
}

tims_status http__tls_read(http__tls *tls, char *buffer, size_t *ret_length)
{
    ERR_clear_error();
    int got = SSL_read(tls->ssl, buffer, HTTP__TLS_PLAIN_BYTES);
    int why = find_reason(tls, got);
    if (got <= 0 && why == SSL_ERROR_ZERO_RETURN)
        return TIMS_CLOSED;
    if (got <= 0 && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        return TIMS_IO;
    *ret_length = got > 0 ? (size_t)got : 0;
    return TIMS_OK;
}

tims_status http__tls_write(http__tls *tls, const tims_str *slices, size_t count, http__tls_drain_fn drain,
                            void *ctx)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < slices[i].length; at += HTTP__TLS_PIECE_BYTES) {
            size_t left = slices[i].length - at,
                   length = left < HTTP__TLS_PIECE_BYTES ? left : HTTP__TLS_PIECE_BYTES;
            ERR_clear_error();
            bool is_written = SSL_write(tls->ssl, slices[i].data + at, (int)length) == (int)length;
            ERR_clear_error();
            if (!is_written)
                return TIMS_IO;
            tims_status status = BIO_pending(tls->out) >= HTTP__TLS_PIECE_BYTES ? drain(ctx) : TIMS_OK;
            if (status != TIMS_OK)
                return status;
        }
    }
    return drain(ctx);
}

tims_status http__tls_drain(http__tls *tls, tims_stream *stream, size_t *ret_length)
{
    char *bytes = NULL;
    long length = BIO_get_mem_data(tls->out, &bytes);
    *ret_length = length > 0 ? (size_t)length : 0;
    if (length <= 0)
        return TIMS_OK;
    tims_str slice = { bytes, (size_t)length };
    tims_status status = tims_stream_write(stream, &slice, 1);
    (void)BIO_reset(tls->out);
    return status;
}
