/* listen.c: sockets that accept.
 *
 * TCP_NODELAY is set on the listening socket: Linux hands it down to what is accepted, which saves a system
 * call per connection. A Unix socket that nobody listens on any more is replaced; one in use is reported as
 * such. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "loop/loop_internal.h"

enum { BACKLOG = 1024, HOST_BYTES_MAX = 64, COMPLAIN_EVERY_MS = 1000 };

struct tims_listener {
    uint32_t magic;
    bool is_pipe;
    tims_loop *loop;
    void (*on_accept)(void *ctx, tims_stream *stream);
    void *ctx;
    int64_t complained_ms;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
};

static void complain(tims_listener *listener, int uv_error)
{
    int64_t now_ms = loop__coarse_ms();
    if (listener->complained_ms != 0 && now_ms - listener->complained_ms < COMPLAIN_EVERY_MS)
        return;
    listener->complained_ms = now_ms;
    tims_log(TIMS_LOG_WARN, "loop", "cannot accept: %s", uv_strerror(uv_error));
}

static void accept_one(uv_stream_t *handle, int status)
{
    tims_listener *listener = handle->data;
    if (status != 0) {
        complain(listener, status);
        return;
    }
    tims_stream *stream = loop__stream_new(listener->loop, listener->is_pipe);
    int err = uv_accept(handle, &stream->uv.stream);
    if (err != 0) {
        complain(listener, err);
        tims_stream_close(stream);
        return;
    }
#if !defined(__linux__)
    if (!listener->is_pipe)
        (void)uv_tcp_nodelay(&stream->uv.tcp, 1);
#endif
    listener->on_accept(listener->ctx, stream);
}

static void set_socket_option(int fd, int level, int name)
{
    int on = 1;
    (void)setsockopt(fd, level, name, &on, sizeof on);
}

/* --- where to listen -------------------------------------------------------------------------- */

static int parse_host(tims_str host, uint16_t port, struct sockaddr_storage *ret_address)
{
    char text[HOST_BYTES_MAX];
    if (host.length >= sizeof text || memchr(host.data, 0, host.length) != NULL)
        return UV_EINVAL;
    memcpy(text, host.data, host.length);
    text[host.length] = '\0';
    if (strcmp(text, "localhost") == 0)
        return uv_ip4_addr("127.0.0.1", port, (struct sockaddr_in *)ret_address);
    if (strchr(text, ':') != NULL)
        return uv_ip6_addr(text, port, (struct sockaddr_in6 *)ret_address);
    return uv_ip4_addr(text, port, (struct sockaddr_in *)ret_address);
}

static int bind_tcp(tims_listener *listener, const struct sockaddr *address, bool reuse_port)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (reuse_port)
        set_socket_option(fd, SOL_SOCKET, SO_REUSEPORT);
    set_socket_option(fd, IPPROTO_TCP, TCP_NODELAY);
    int err = uv_tcp_open(&listener->uv.tcp, fd);
    if (err != 0) {
        (void)close(fd);
        return err;
    }
    return uv_tcp_bind(&listener->uv.tcp, address, 0);
}

static bool has_ipv6(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
    bool usable = bind(fd, (const struct sockaddr *)&any, sizeof any) == 0;
    (void)close(fd);
    return usable;
}

static int open_tcp(tims_listener *listener, const tims_listen_options *options)
{
    struct sockaddr_storage address = { 0 };
    tims_str host = options->host;
    if (host.length == 0)
        host = has_ipv6() ? TIMS_STR("::") : TIMS_STR("0.0.0.0");
    int err = parse_host(host, options->port, &address);
    return err != 0 ? err : bind_tcp(listener, (const struct sockaddr *)&address, options->reuse_port);
}

/* A socket file left by a process that is gone refuses connections; it is in the way and nobody's. */
static void remove_stale_socket(const char *path)
{
    struct stat file;
    if (lstat(path, &file) != 0 || !S_ISSOCK(file.st_mode))
        return;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 && errno == ECONNREFUSED)
        (void)unlink(path);
    (void)close(fd);
}

static int open_pipe(tims_listener *listener, tims_str path)
{
    char text[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    if (path.length >= sizeof text || memchr(path.data, 0, path.length) != NULL)
        return UV_ENAMETOOLONG;
    memcpy(text, path.data, path.length);
    text[path.length] = '\0';
    remove_stale_socket(text);
    return uv_pipe_bind(&listener->uv.pipe, text);
}

static bool is_unix_socket(int fd)
{
    struct sockaddr_storage address = { 0 };
    socklen_t length = sizeof address;
    return getsockname(fd, (struct sockaddr *)&address, &length) == 0 && address.ss_family == AF_UNIX;
}

static int open_inherited(tims_listener *listener, int fd)
{
    if (listener->is_pipe)
        return uv_pipe_open(&listener->uv.pipe, fd);
    set_socket_option(fd, IPPROTO_TCP, TCP_NODELAY);
    return uv_tcp_open(&listener->uv.tcp, fd);
}

/* --- the listener ----------------------------------------------------------------------------- */

static void finish_close(uv_handle_t *handle)
{
    tims_listener *listener = handle->data;
    listener->magic = 0;
    free(listener);
}

static const char *describe(const tims_listen_options *options, char *ret_text, size_t size)
{
    if (options->fd > 0)
        (void)snprintf(ret_text, size, "descriptor %d", options->fd);
    else if (options->unix_path.length > 0)
        (void)snprintf(ret_text, size, "%.*s", TIMS_PRINT(options->unix_path));
    else
        (void)snprintf(ret_text, size, "port %u", options->port);
    return ret_text;
}

tims_status tims_listen(tims_loop *loop, const tims_listen_options *options,
                        void (*on_accept)(void *ctx, tims_stream *stream), void *ctx,
                        tims_listener **ret_listener, tims_error *err)
{
    TIMS_CHECK_MAGIC(loop, LOOP_MAGIC);
    TIMS_ASSERT(on_accept != NULL);
    tims_listener *listener = calloc(1, sizeof *listener);
    TIMS_ASSERT(listener != NULL);
    *listener = (tims_listener){ .magic = LISTENER_MAGIC, .loop = loop, .on_accept = on_accept, .ctx = ctx };
    listener->is_pipe = options->fd > 0 ? is_unix_socket(options->fd) : options->unix_path.length > 0;
    int failed = listener->is_pipe ? uv_pipe_init(&loop->uv, &listener->uv.pipe, 0)
                                   : uv_tcp_init(&loop->uv, &listener->uv.tcp);
    TIMS_ASSERT(failed == 0);
    listener->uv.handle.data = listener;
    if (options->fd > 0)
        failed = open_inherited(listener, options->fd);
    else
        failed = listener->is_pipe ? open_pipe(listener, options->unix_path) : open_tcp(listener, options);
    if (failed == 0)
        failed =
            uv_listen(&listener->uv.stream, options->backlog > 0 ? options->backlog : BACKLOG, accept_one);
    if (failed != 0) {
        char where[160];
        uv_close(&listener->uv.handle, finish_close);
        return loop__fail_uv(err, failed, "listen on", describe(options, where, sizeof where));
    }
    *ret_listener = listener;
    return TIMS_OK;
}

uint16_t tims_listener_port(const tims_listener *listener)
{
    TIMS_CHECK_MAGIC(listener, LISTENER_MAGIC);
    struct sockaddr_storage address = { 0 };
    int length = sizeof address;
    if (listener->is_pipe || uv_tcp_getsockname(&listener->uv.tcp, (struct sockaddr *)&address, &length) != 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((const struct sockaddr_in *)&address)->sin_port);
}

int tims_listener_fd(const tims_listener *listener)
{
    TIMS_CHECK_MAGIC(listener, LISTENER_MAGIC);
    uv_os_fd_t fd = -1;
    return uv_fileno(&listener->uv.handle, &fd) == 0 ? fd : -1;
}

void tims_listener_close(tims_listener **pointer)
{
    tims_listener *listener = *pointer;
    if (listener == NULL)
        return;
    TIMS_CHECK_MAGIC(listener, LISTENER_MAGIC);
    *pointer = NULL;
    uv_close(&listener->uv.handle, finish_close);
}
