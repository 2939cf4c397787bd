/* epoll.c: read, answer, write; nothing else. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "limit.h"

static int epoll = -1;

static int listen_on(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((unsigned short)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0) {
        perror("listen");
        exit(1);
    }
    return fd;
}

static void accept_all(int listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        connection *c = calloc(1, sizeof *c);
        if (c == NULL)
            abort();
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        limit_watch(c);
    }
}

static void send_all(connection *to, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = send(to->fd, data, length, MSG_NOSIGNAL);
        if (written < 0 && errno != EAGAIN)
            return; /* it has gone, which reading will tell */
        if (written <= 0)
            continue; /* the load generator always reads */
        data += written;
        length -= (size_t)written;
    }
}

void limit_watch(connection *socket)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = socket };
    if (epoll < 0)
        epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, socket->fd, &event);
}

static void close_connection(connection *c)
{
    if (!c->closed)
        close(c->fd);
    c->closed = true;
    if (c->pending == 0)
        free(c);
}

void limit_finish(connection *to, const char *data, size_t length)
{
    to->pending--;
    if (to->closed)
        close_connection(to);
    else
        send_all(to, data, length);
}

size_t limit_head(char *output, const char *status, size_t body_length)
{
    return (size_t)snprintf(output, 256,
                            "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                            status, body_length);
}

/* The length of the first whole request in the input, 0 if there is none. */
static size_t request_length(const connection *c)
{
    const char *end = memmem(c->input, c->input_length, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t head = (size_t)(end - c->input) + 4;
    const char *field = memmem(c->input, head, "Content-Length: ", 16);
    if (field == NULL)
        field = memmem(c->input, head, "content-length: ", 16); /* as the check of the answer spells it */
    size_t body = 0;
    for (const char *digit = field != NULL ? field + 16 : ""; *digit >= '0' && *digit <= '9'; digit++)
        body = body * 10 + (size_t)(*digit - '0');
    return c->input_length >= head + body ? head + body : 0;
}

/* False when the peer is gone. */
static bool serve_connection(connection *c, answer_fn answer, void *state)
{
    static char output[OUTPUT_BYTES * 4];
    ssize_t got = read(c->fd, c->input + c->input_length, sizeof c->input - c->input_length);
    if (got <= 0)
        return false;
    c->input_length += (size_t)got;
    size_t length, out = 0;
    while ((length = request_length(c)) > 0) {
        size_t answered = answer(state, c->input, length, c, output + out);
        c->pending += answered == 0;
        out += answered;
        c->input_length -= length;
        memmove(c->input, c->input + length, c->input_length);
    }
    if (out > 0)
        send_all(c, output, out);
    return true;
}

int limit_serve(int port, answer_fn answer, finish_fn finish, void *state)
{
    connection listener = { .fd = listen_on(port) };
    struct epoll_event events[128];
    limit_watch(&listener);
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(epoll, events, 128, -1);
        for (int i = 0; i < count; i++) {
            connection *c = events[i].data.ptr;
            if (c == &listener)
                accept_all(listener.fd);
            else if (c->on_input != NULL)
                c->on_input(c);
            else if (!serve_connection(c, answer, state))
                close_connection(c);
        }
        if (finish != NULL)
            finish(state);
    }
}
