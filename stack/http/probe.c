/* probe.c: asking a server of this machine how it is, without a loop: for a command that a container's health
 * check runs. One request, of which only the status counts; over TLS where the server speaks nothing else. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "http/tls_internal.h"
#include "tims/http.h"

enum { LINE_BYTES = 64, RECEIVE_BYTES = 4096 };

typedef struct probe {
    int fd;
    http__tls *tls; /* NULL: none */
    char line[LINE_BYTES];
} probe;

/* --- the socket ---------------------------------------------------------------------------------- */

static bool set_patience(int fd, int64_t patience_ms)
{
    const struct timeval patience = { .tv_sec = patience_ms / 1000, .tv_usec = patience_ms % 1000 * 1000 };
    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0;
}

static int open_connection(const struct addrinfo *address, int64_t patience_ms)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (set_patience(fd, patience_ms) && connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

/* A connected socket, or -1. */
static int connect_to(const tims_probe_options *options)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    char port[8];
    int fd = -1;
    (void)snprintf(port, sizeof port, "%u", options->port);
    if (getaddrinfo(options->host, port, &hints, &found) != 0)
        return -1;
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next)
        fd = open_connection(at, options->patience_ms);
    freeaddrinfo(found);
    return fd;
}

static bool send_all(int fd, tims_str bytes)
{
    while (bytes.length > 0) {
        ssize_t sent = send(fd, bytes.data, bytes.length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes = tims_str_slice(bytes, (size_t)sent, bytes.length);
    }
    return true;
}

/* --- TLS ----------------------------------------------------------------------------------------- */

static tims_status flush(void *ctx)
{
    const probe *p = ctx;
    char *bytes = NULL;
    long length = BIO_get_mem_data(p->tls->out, &bytes);
    bool is_sent = length <= 0 || send_all(p->fd, (tims_str){ bytes, (size_t)length });
    (void)BIO_reset(p->tls->out);
    return is_sent ? TIMS_OK : TIMS_IO;
}

static tims_status receive_more(const probe *p)
{
    char bytes[RECEIVE_BYTES];
    ssize_t got = recv(p->fd, bytes, sizeof bytes, 0);
    return got > 0 ? http__tls_take(p->tls, (tims_str){ bytes, (size_t)got }) : TIMS_IO;
}

/* Whose the certificate is does not matter: it is for the name that clients know the server by, not for this
 * address; no secret is told; and who could answer here in its stead could do so without TLS as well. */
static tims_status shake_hands(probe *p)
{
    SSL_CTX *settings = http__tls_settings_new(TLS_client_method());
    if (settings == NULL)
        return TIMS_IO;
    SSL_CTX_set_verify(settings, SSL_VERIFY_NONE, NULL);
    p->tls = http__tls_session_new(settings);
    SSL_CTX_free(settings); /* the session holds it */
    SSL_set_connect_state(p->tls->ssl);
    for (;;) {
        tims_status status = http__tls_shake(p->tls);
        if (flush(p) != TIMS_OK || status != TIMS_OK)
            return TIMS_IO;
        if (p->tls->is_open)
            return TIMS_OK;
        if (receive_more(p) != TIMS_OK)
            return TIMS_IO;
    }
}

/* --- question and answer ------------------------------------------------------------------------- */

static tims_status send_request(probe *p, tims_str request)
{
    if (p->tls != NULL)
        return http__tls_write(p->tls, &request, 1, flush, p);
    return send_all(p->fd, request) ? TIMS_OK : TIMS_IO;
}

/* Some more of the answer; 0 bytes at its end. */
static tims_status receive(probe *p, char *buffer, size_t *ret_length)
{
    if (p->tls == NULL) {
        ssize_t got = recv(p->fd, buffer, HTTP__TLS_PLAIN_BYTES, 0);
        *ret_length = got > 0 ? (size_t)got : 0;
        return got >= 0 ? TIMS_OK : TIMS_IO;
    }
    tims_status status;
    while ((status = http__tls_read(p->tls, buffer, ret_length)) == TIMS_OK && *ret_length == 0)
        if (receive_more(p) != TIMS_OK)
            return TIMS_IO;
    return status;
}

/* False: what came is no status line. */
static bool read_line(probe *p, tims_str *ret_line)
{
    char plain[HTTP__TLS_PLAIN_BYTES];
    tims_str line = { p->line, 0 };
    while (tims_str_find(line, TIMS_STR("\r\n")) == SIZE_MAX) {
        size_t got = 0;
        if (line.length == LINE_BYTES || receive(p, plain, &got) != TIMS_OK || got == 0)
            return false;
        size_t kept = got < LINE_BYTES - line.length ? got : LINE_BYTES - line.length;
        memcpy(p->line + line.length, plain, kept);
        line.length += kept;
    }
    *ret_line = tims_str_slice(line, 0, tims_str_find(line, TIMS_STR("\r\n")));
    return tims_str_starts_with(line, TIMS_STR("HTTP/1.1 "));
}

tims_status tims_probe(tims_arena *arena, const tims_probe_options *options, tims_str *ret_line,
                       tims_error *err)
{
    probe p = { .fd = connect_to(options) };
    if (p.fd < 0)
        return tims_fail(err, TIMS_UNAVAILABLE, "probe_unreachable", "Nobody listens at %s, port %u.",
                         options->host, options->port);
    char request[256];
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", options->path);
    TIMS_ASSERT(length > 0 && (size_t)length < sizeof request);
    tims_str line;
    bool is_answered = (!options->is_tls || shake_hands(&p) == TIMS_OK) &&
                       send_request(&p, (tims_str){ request, (size_t)length }) == TIMS_OK &&
                       read_line(&p, &line);
    http__tls_free(&p.tls);
    (void)close(p.fd);
    if (!is_answered)
        return tims_fail(err, TIMS_UNAVAILABLE, "probe_unanswered",
                         "Whoever listens at %s, port %u, does not answer over %s.", options->host,
                         options->port, options->is_tls ? "HTTPS" : "HTTP");
    *ret_line = tims_copy(arena, line);
    return TIMS_OK;
}
