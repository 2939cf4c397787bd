/* client.c: one websocket client: dials, upgrades, cuts frames out of what comes, and returns when it was
 * dropped. All share one buffer for reading; what a client keeps is only the beginning of a frame. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crowd.h"

enum {
    READ_BYTES = 1 << 21,
    RETRY_BASE_MS = 500,
    RETRY_MAX_MS = 30000,
    OP_TEXT = 1,
    OP_CLOSE = 8,
    OP_PING = 9
};

static char input[READ_BYTES];

/* --- out --------------------------------------------------------------------------------------- */

/* Masked, as a client must, with a mask of zeros. */
static void send_frame(int fd, int opcode, const char *data, size_t length)
{
    char frame[2048] = { (char)(0x80 | opcode) };
    size_t head = 2;
    if (length + 8 > sizeof frame)
        fail("a frame of %zu bytes", length);
    frame[1] = (char)(0x80 | (length < 126 ? length : 126));
    if (length >= 126) {
        frame[2] = (char)(length >> 8);
        frame[3] = (char)length;
        head = 4;
    }
    memcpy(frame + head + 4, data, length);
    send_all(fd, frame, head + 4 + length);
}

void client_say(crowd *g, client *c, const char *text)
{
    (void)g;
    if (c->fd >= 0)
        send_frame(c->fd, OP_TEXT, text, strlen(text));
}

static void ask_upgrade(crowd *g, client *c)
{
    char request[1024];
    const session *who = NULL;
    if (g->session_count > 0)
        who = &g->sessions[g->subscriptions[c->number % g->subscription_count].session];
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nOrigin: http://127.0.0.1:%d\r\n"
                          "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s%s%s\r\n",
                          g->dialect->path, g->port, g->port, who != NULL ? "Cookie: " : "",
                          who != NULL ? who->cookie : "", who != NULL ? "\r\n" : "");
    c->state = CLIENT_UPGRADING;
    send_all(c->fd, request, (size_t)length);
}

/* --- states ------------------------------------------------------------------------------------ */

void client_live(crowd *g, client *c)
{
    if (c->state == CLIENT_LIVE)
        return;
    c->state = CLIENT_LIVE;
    c->attempts = 0;
    if (c->publishes)
        return;
    g->live++;
    g->on_their_way--;
}

void client_drop(crowd *g, client *c, int64_t retry_ms)
{
    if (c->state == CLIENT_DOWN)
        return;
    if (c->publishes)
        fail("the server has closed the connection that makes the changes");
    if (c->state == CLIENT_LIVE)
        g->live--;
    else
        g->on_their_way--;
    if (c->drops++ == 0)
        g->ever_dropped++;
    close(c->fd);
    c->fd = -1;
    c->state = CLIENT_DOWN;
    c->rest_length = 0;
    if (retry_ms < 0) {
        int64_t ceiling = RETRY_BASE_MS << (c->attempts < 6 ? c->attempts : 6);
        retry_ms = random() % (ceiling < RETRY_MAX_MS ? ceiling : RETRY_MAX_MS);
    }
    c->attempts++;
    c->retry_at_ns = now_ns() + (uint64_t)retry_ms * 1000000;
}

/* --- in ---------------------------------------------------------------------------------------- */

/* The length of the frame's head, its payload's length, both 0 when it has not come whole. */
static size_t measure_frame(const unsigned char *frame, size_t left, size_t *ret_length)
{
    size_t head = 2;
    if (left < head)
        return 0;
    uint64_t length = frame[1] & 127;
    if (length == 126) {
        head = 4;
        length = left >= head ? (uint64_t)frame[2] << 8 | frame[3] : 0;
    } else if (length == 127) {
        head = 10;
        length = 0;
        for (size_t i = 2; left >= head && i < head; i++)
            length = length << 8 | frame[i];
    }
    if (left < head || left - head < length)
        return 0;
    *ret_length = (size_t)length;
    return head;
}

static void take_frame(crowd *g, client *c, int opcode, const char *payload, size_t length)
{
    if (opcode == OP_PING)
        send_frame(c->fd, 10, payload, length);
    else if (opcode == OP_CLOSE)
        client_drop(g, c, -1);
    else
        g->dialect->hear(g, c, payload, length);
}

/* Takes whole frames off the front; returns what is used. */
static size_t take_frames(crowd *g, client *c, size_t length)
{
    size_t at = 0, head, payload;
    while (c->state != CLIENT_DOWN &&
           (head = measure_frame((unsigned char *)input + at, length - at, &payload)) > 0) {
        take_frame(g, c, input[at] & 15, input + at + head, payload);
        at += head + payload;
    }
    return at;
}

static size_t take_upgrade(crowd *g, client *c, size_t length)
{
    const char *end = memmem(input, length, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    if (memcmp(input, "HTTP/1.1 101", 12) != 0) {
        if (memcmp(input, "HTTP/1.1 503", 12) != 0)
            fail("the server refused the upgrade: %.*s", (int)length, input);
        client_drop(g, c, -1); /* draining */
        return length;
    }
    c->state = CLIENT_GREETING;
    g->dialect->greet(g, c);
    return (size_t)(end - input) + 4;
}

static void keep_rest(client *c, const char *data, size_t length)
{
    if (length > c->rest_length || (length == 0 && c->rest != NULL)) {
        free(c->rest);
        c->rest = length > 0 ? malloc(length) : NULL;
    }
    if (length > 0)
        memcpy(c->rest, data, length);
    c->rest_length = length;
}

static void read_client(crowd *g, client *c)
{
    size_t length = c->rest_length, used = 0;
    if (length > 0)
        memcpy(input, c->rest, length);
    ssize_t got = read(c->fd, input + length, sizeof input - length);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        client_drop(g, c, -1);
        return;
    }
    g->now_ns = now_ns();
    length += (size_t)got;
    if (c->state == CLIENT_UPGRADING)
        used = take_upgrade(g, c, length);
    if (c->state >= CLIENT_GREETING) {
        if (used > 0) {
            memmove(input, input + used, length - used);
            length -= used;
        }
        used = take_frames(g, c, length);
    }
    if (c->state != CLIENT_DOWN)
        keep_rest(c, input + used, length - used);
}

static void on_event(crowd *g, source *s, uint32_t events)
{
    client *c = (client *)s;
    if (c->state == CLIENT_DOWN)
        return;
    if (c->state != CLIENT_DIALING) {
        read_client(g, c);
        return;
    }
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0 || (events & EPOLLHUP) != 0) {
        client_drop(g, c, -1);
        return;
    }
    watch(g, s, c->fd, EPOLLIN);
    ask_upgrade(g, c);
}

/* --- coming ------------------------------------------------------------------------------------ */

void client_dial(crowd *g, client *c)
{
    int one = 1;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)(c->publishes ? g->port : g->door)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    c->source.on_event = on_event;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        fail("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->state = CLIENT_DIALING;
    if (!c->publishes)
        g->on_their_way++;
    g->connects++;
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) {
        client_drop(g, c, -1);
        return;
    }
    watch(g, &c->source, c->fd, EPOLLIN | EPOLLOUT);
}

void clients_return(crowd *g, size_t at_once)
{
    if (g->live + g->on_their_way == g->count)
        return;
    uint64_t now = now_ns();
    for (size_t i = 0; i < g->count && (at_once == 0 || g->on_their_way < at_once); i++)
        if (g->clients[i].state == CLIENT_DOWN && g->clients[i].retry_at_ns <= now)
            client_dial(g, &g->clients[i]);
}
