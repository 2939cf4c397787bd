/* health_command.c: `health`: asks the server of the same settings whether it may be sent requests. For
 * images, which have neither a shell nor curl to ask with. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "app/app_internal.h"

enum { PATIENCE_S = 3, ANSWER_BYTES = 64 };

/* A connected socket, or -1. */
static int connect_to(const char *host, const char *port)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    int fd = -1;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return -1;
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const struct timeval patience = { .tv_sec = PATIENCE_S };
        bool connected = fd >= 0 &&
                         setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
                         setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
                         connect(fd, at->ai_addr, at->ai_addrlen) == 0;
        if (!connected && fd >= 0) {
            (void)close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd;
}

/* The answer's first line, as much of it as says its status; false: there was none. */
static bool ask(int fd, char *ret_line, size_t size)
{
    static const char request[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)(sizeof request - 1))
        return false;
    ssize_t got = recv(fd, ret_line, size - 1, MSG_WAITALL);
    if (got <= 0)
        return false;
    ret_line[got] = '\0';
    ret_line[strcspn(ret_line, "\r\n")] = '\0';
    return true;
}

int app__health(app__stack *stack, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    const app__settings *settings = &stack->settings;
    if (settings->certificate_path.length > 0) {
        (void)fprintf(stderr, "%s: health asks over plain HTTP, and this server has TLS_CERTIFICATE\n",
                      stack->project->name);
        return 2;
    }
    bool all = settings->host.length == 0 || tims_str_equal(settings->host, TIMS_STR("0.0.0.0")) ||
               tims_str_equal(settings->host, TIMS_STR("::"));
    const char *host = all ? "127.0.0.1" : tims_copy_c(stack->arena, settings->host);
    const char *port = tims_copy_c(stack->arena, tims_print(stack->arena, "%lld", (long long)settings->port));
    char line[ANSWER_BYTES] = "no answer";
    int fd = connect_to(host, port);
    bool answered = fd >= 0 && ask(fd, line, sizeof line);
    if (fd >= 0)
        (void)close(fd);
    (void)printf("%s\n", answered ? line : "no answer");
    return answered && strncmp(line, "HTTP/1.1 200", strlen("HTTP/1.1 200")) == 0 ? 0 : 1;
}
