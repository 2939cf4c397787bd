/* fanout.c: what one websocket client sends goes to all, one write per socket: the limit for one frame per
 * change. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "limit.h"

enum { CLIENTS_MAX = 20000 };

typedef struct member {
    int fd;
    bool upgraded;
    size_t length;
    unsigned char input[4096];
} member;

static member *members[CLIENTS_MAX];
static size_t member_count;

static void broadcast(const unsigned char *payload, size_t length)
{
    unsigned char frame[4096];
    size_t head = length < 126 ? 2 : 4;
    frame[0] = 0x81;
    frame[1] = (unsigned char)(length < 126 ? length : 126);
    if (head == 4) {
        frame[2] = (unsigned char)(length >> 8);
        frame[3] = (unsigned char)length;
    }
    memcpy(frame + head, payload, length);
    for (size_t i = 0; i < member_count; i++)
        if (write(members[i]->fd, frame, head + length) < 0)
            continue; /* a full socket loses it: this is no server */
}

static void take_upgrade(member *m)
{
    static const char answer[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    if (memmem(m->input, m->length, "\r\n\r\n", 4) == NULL)
        return;
    if (write(m->fd, answer, sizeof answer - 1) < 0)
        abort();
    m->upgraded = true;
    m->length = 0;
    members[member_count++] = m;
}

static void take_frames(member *m)
{
    for (;;) {
        size_t head = 6, length = m->length >= 2 ? m->input[1] & 127 : 0;
        if (length == 126) {
            head = 8;
            length = m->length >= 4 ? (size_t)m->input[2] << 8 | m->input[3] : 0;
        }
        if (m->length < head || m->length < head + length)
            return;
        for (size_t i = 0; i < length; i++)
            m->input[head + i] ^= m->input[head - 4 + i % 4];
        broadcast(m->input + head, length);
        m->length -= head + length;
        memmove(m->input, m->input + head + length, m->length);
    }
}

int limit_fanout(int port)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1, epoll = epoll_create1(0);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((unsigned short)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1024) != 0)
        return 1;
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL }, events[128];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(epoll, events, 128, -1);
        for (int i = 0; i < count; i++) {
            member *m = events[i].data.ptr;
            if (m == NULL) {
                m = calloc(1, sizeof *m);
                if (m == NULL)
                    abort();
                m->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                setsockopt(m->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                event.data.ptr = m;
                epoll_ctl(epoll, EPOLL_CTL_ADD, m->fd, &event);
                continue;
            }
            ssize_t got = read(m->fd, m->input + m->length, sizeof m->input - m->length);
            if (got <= 0) {
                for (size_t k = 0; k < member_count; k++)
                    if (members[k] == m)
                        members[k] = members[--member_count];
                close(m->fd);
                free(m);
                continue;
            }
            m->length += (size_t)got;
            if (m->upgraded)
                take_frames(m);
            else
                take_upgrade(m);
        }
    }
}
