/* proxy.c: the network between clients and server, which fails when told to.
 *
 * While it has failed nobody can dial, and every connection is lost. The client notices at once, as a phone
 * does whose interface goes; of every other connection the server notices nothing until the network is back,
 * as when a peer is out of reach, so that it goes on writing into what is half open. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crowd.h"

enum { HOLD_BYTES = 65536 };

typedef struct pipe_end {
    source source; /* first */
    int fd;
    struct pair *pair;
    struct pipe_end *other;
    char *held; /* what the other end could not take yet */
    size_t held_length;
} pipe_end;

typedef struct pair {
    struct pair *next, *previous;
    pipe_end client, server;
    bool closed;
} pair;

struct proxy {
    source source; /* first: the listener */
    int listener, port, server_port;
    pair pairs; /* head of the list */
    size_t number;
    int *half_open; /* ends towards the server that nobody reads any more */
    size_t half_open_count;
};

/* --- a pair of connections ---------------------------------------------------------------------- */

static void close_hard(int fd)
{
    struct linger now = { .l_onoff = 1 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

/* Its memory goes with the next sweep: another event of this round may name it. */
static void end_pair(pair *ended)
{
    if (ended->closed)
        return;
    ended->closed = true;
    close_hard(ended->client.fd);
    close_hard(ended->server.fd);
}

static void flush_held(crowd *g, pipe_end *from)
{
    pipe_end *to = from->other;
    ssize_t sent = write(to->fd, from->held, from->held_length);
    if (sent < 0 && errno != EAGAIN) {
        end_pair(from->pair);
        return;
    }
    if (sent > 0) {
        from->held_length -= (size_t)sent;
        memmove(from->held, from->held + sent, from->held_length);
    }
    /* Either waits for room at the other end, or reads on. */
    watch(g, &from->source, from->fd,
          (from->held_length == 0 ? EPOLLIN : 0) | (to->held_length > 0 ? EPOLLOUT : 0));
    watch(g, &to->source, to->fd,
          (to->held_length == 0 ? EPOLLIN : 0) | (from->held_length > 0 ? EPOLLOUT : 0));
}

static void on_end(crowd *g, source *s, uint32_t events)
{
    pipe_end *end = (pipe_end *)s;
    if (end->pair->closed)
        return;
    if ((events & EPOLLOUT) != 0 && end->other->held_length > 0)
        flush_held(g, end->other);
    if (end->pair->closed || (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0 || end->held_length > 0)
        return;
    ssize_t got = read(end->fd, end->held, HOLD_BYTES);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        end_pair(end->pair);
        return;
    }
    end->held_length = (size_t)got;
    ssize_t sent = write(end->other->fd, end->held, end->held_length);
    if (sent == got)
        end->held_length = 0;
    else
        flush_held(g, end);
}

static void open_end(crowd *g, pair *p, pipe_end *end, int fd)
{
    int one = 1;
    *end = (pipe_end){ .source.on_event = on_end, .fd = fd, .pair = p, .held = malloc(HOLD_BYTES) };
    end->other = end == &p->client ? &p->server : &p->client;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(g, &end->source, fd, EPOLLIN);
}

static void free_pair(pair *p)
{
    p->previous->next = p->next;
    p->next->previous = p->previous;
    free(p->client.held);
    free(p->server.held);
    free(p);
}

static void on_listener(crowd *g, source *s, uint32_t events)
{
    proxy *x = (proxy *)s;
    int fd;
    (void)events;
    while ((fd = accept4(x->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        pair *p = calloc(1, sizeof *p);
        open_end(g, p, &p->client, fd);
        open_end(g, p, &p->server, dial_now(x->server_port));
        p->next = x->pairs.next;
        p->previous = &x->pairs;
        x->pairs.next->previous = p;
        x->pairs.next = p;
    }
}

void proxy_sweep(crowd *g)
{
    proxy *x = g->proxy;
    for (pair *p = x->pairs.next, *next; p != &x->pairs; p = next) {
        next = p->next;
        if (p->closed)
            free_pair(p);
    }
}

/* --- the network -------------------------------------------------------------------------------- */

static void start_listening(crowd *g, proxy *x)
{
    int one = 1;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)x->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    x->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(x->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(x->listener, (struct sockaddr *)&address, size) != 0 || listen(x->listener, 4096) != 0 ||
        getsockname(x->listener, (struct sockaddr *)&address, &size) != 0)
        fail("the proxy cannot listen: %s", strerror(errno));
    x->port = ntohs(address.sin_port);
    x->source.on_event = on_listener;
    watch(g, &x->source, x->listener, EPOLLIN);
}

int proxy_open(crowd *g, int port)
{
    proxy *x = calloc(1, sizeof *x);
    g->proxy = x;
    x->server_port = port;
    x->pairs.next = x->pairs.previous = &x->pairs;
    x->half_open = calloc(g->count, sizeof *x->half_open);
    start_listening(g, x);
    return x->port;
}

void proxy_fail(crowd *g)
{
    proxy *x = g->proxy;
    close(x->listener);
    for (pair *p = x->pairs.next; p != &x->pairs; p = p->next) {
        if (p->closed)
            continue;
        if (x->number++ % 2 == 0 || x->half_open_count == g->count) {
            end_pair(p);
            continue;
        }
        p->closed = true;
        close_hard(p->client.fd);
        epoll_ctl(g->epoll, EPOLL_CTL_DEL, p->server.fd, NULL);
        x->half_open[x->half_open_count++] = p->server.fd;
    }
}

void proxy_heal(crowd *g)
{
    proxy *x = g->proxy;
    while (x->half_open_count > 0)
        close_hard(x->half_open[--x->half_open_count]);
    start_listening(g, x);
}
