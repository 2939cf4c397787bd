/* sockets.c: COUNT websocket clients in one thread, and a publisher that keeps WINDOW broadcasts outstanding.
 *
 *   sockets ws   PORT COUNT SECONDS
 *   sockets tims PORT COUNT SECONDS COOKIE CSRF CHAT
 *
 * A published text carries "@@<nanoseconds>@@"; each sight of one in a frame is a delivery. Prints one JSON
 * line. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WINDOW = 8, BUFFER_BYTES = 65536, LATENCIES_MAX = 4000000, TEXT_BYTES = 200, READY_TEXT_BYTES = 4096 };

typedef struct client {
    int fd;
    bool upgraded, ready;
    size_t length;
    char *buffer;
} client;

typedef struct run {
    bool tims;
    int port, epoll;
    size_t count, ready;
    client *clients, publishers[WINDOW];
    const char *cookie, *csrf, *chat;
    uint64_t deliveries, published, outstanding_deliveries;
    uint32_t *latencies_us;
    size_t latency_count;
    bool counting;
} run;

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static int dial(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t sent = write(fd, data, length);
        if (sent < 0 && errno == EAGAIN)
            continue;
        if (sent <= 0)
            fail("write");
        data += sent;
        length -= (size_t)sent;
    }
}

/* A masked text frame with a zero mask. */
static void send_frame(int fd, const char *text)
{
    unsigned char frame[1024] = { 0x81 };
    size_t length = strlen(text), head = 2;
    if (length < 126)
        frame[1] = (unsigned char)(0x80 | length);
    else {
        frame[1] = 0x80 | 126;
        frame[2] = (unsigned char)(length >> 8);
        frame[3] = (unsigned char)length;
        head = 4;
    }
    memset(frame + head, 0, 4);
    memcpy(frame + head + 4, text, length);
    send_all(fd, (char *)frame, head + 4 + length);
}

static void upgrade(run *r, client *c)
{
    char request[1024];
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nOrigin: http://127.0.0.1:%d\r\nUpgrade: "
             "websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s%s\r\n\r\n",
             r->tims ? "/live" : "/", r->port, r->port,
             r->tims ? "Cookie: " : "X-Nothing: ", r->tims ? r->cookie : "1");
    send_all(c->fd, request, strlen(request));
}

static void add_client(run *r, client *c)
{
    c->fd = dial(r->port);
    c->buffer = malloc(BUFFER_BYTES);
    if (c->buffer == NULL)
        abort();
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
    epoll_ctl(r->epoll, EPOLL_CTL_ADD, c->fd, &event);
}

static void note_delivery(run *r, uint64_t sent_ns)
{
    r->deliveries++;
    r->outstanding_deliveries--;
    if (r->counting && r->latency_count < LATENCIES_MAX)
        r->latencies_us[r->latency_count++] = (uint32_t)((now_ns() - sent_ns) / 1000);
}

static void read_text(run *r, client *c, const char *text, size_t length)
{
    if (!c->ready && (!r->tims || memmem(text, length, "\"snap\"", 6) != NULL)) {
        c->ready = true;
        r->ready++;
    }
    const char *end = text + length;
    for (const char *at = text; (at = memmem(at, (size_t)(end - at), "@@", 2)) != NULL;) {
        uint64_t sent = 0;
        const char *digit = at + 2;
        while (digit < end && *digit >= '0' && *digit <= '9')
            sent = sent * 10 + (uint64_t)(*digit++ - '0');
        if (digit + 2 <= end && digit > at + 2 && memcmp(digit, "@@", 2) == 0) {
            if (r->outstanding_deliveries > 0)
                note_delivery(r, sent);
            digit += 2;
        }
        at = digit;
    }
}

static const char empty_pong[6] = { (char)0x8a, (char)0x80 }; /* the pings are empty too */

/* Takes whole frames off the front of the buffer. */
static void read_frames(run *r, client *c)
{
    size_t at = 0;
    for (;;) {
        const unsigned char *frame = (const unsigned char *)c->buffer + at;
        size_t left = c->length - at, head = 2;
        if (left < 2)
            break;
        uint64_t length = frame[1] & 127;
        if (length == 126) {
            head = 4;
            length = left >= 4 ? (uint64_t)frame[2] << 8 | frame[3] : UINT32_MAX;
        } else if (length == 127) {
            head = 10;
            length = 0;
            for (int i = 2; left >= 10 && i < 10; i++)
                length = length << 8 | frame[i];
        }
        if (left < head + length)
            break;
        if ((frame[0] & 15) == 1)
            read_text(r, c, c->buffer + at + head, (size_t)length);
        else if ((frame[0] & 15) == 9)
            send_all(c->fd, empty_pong, sizeof empty_pong);
        at += head + (size_t)length;
    }
    c->length -= at;
    memmove(c->buffer, c->buffer + at, c->length);
}

static void start_session(run *r, client *c)
{
    c->upgraded = true;
    if (!r->tims) {
        c->ready = true;
        r->ready++;
        return;
    }
    char text[256];
    send_frame(c->fd, "{\"t\":\"hello\",\"protocol\":1}");
    snprintf(text, sizeof text, "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/messages/?chat=%s\"}", r->chat);
    send_frame(c->fd, text);
}

static void publish(run *r, client *from);

static bool is_publisher(const run *r, const client *c)
{
    return c >= r->publishers && c < r->publishers + WINDOW;
}

static void read_client(run *r, client *c)
{
    ssize_t got = read(c->fd, c->buffer + c->length, BUFFER_BYTES - c->length);
    if (got <= 0) {
        errno = got == 0 ? ECONNRESET : errno;
        fail("a client was closed");
    }
    c->length += (size_t)got;
    if (is_publisher(r, c)) { /* an HTTP answer; its deliveries come on the sockets */
        if (memmem(c->buffer, c->length, "HTTP/1.1 201", 12) == NULL && c->length > 12) {
            fprintf(stderr, "%.*s\n", (int)c->length, c->buffer);
            exit(1);
        }
        c->length = 0;
        c->ready = true;
        return;
    }
    if (!c->upgraded) {
        const char *end = memmem(c->buffer, c->length, "\r\n\r\n", 4);
        if (end == NULL)
            return;
        if (memcmp(c->buffer, "HTTP/1.1 101", 12) != 0) {
            fprintf(stderr, "%.*s\n", (int)c->length, c->buffer);
            exit(1);
        }
        size_t head = (size_t)(end - c->buffer) + 4;
        c->length -= head;
        memmove(c->buffer, c->buffer + head, c->length);
        start_session(r, c);
    }
    read_frames(r, c);
}

static void make_text(char text[TEXT_BYTES + 1])
{
    int length = snprintf(text, TEXT_BYTES, "@@%llu@@", (unsigned long long)now_ns());
    memset(text + length, 'x', (size_t)(TEXT_BYTES - length));
    text[TEXT_BYTES] = '\0';
}

static void publish(run *r, client *from)
{
    char text[TEXT_BYTES + 1], request[1024], body[512];
    make_text(text);
    r->published++;
    r->outstanding_deliveries += r->count;
    if (!r->tims) {
        send_frame(r->clients[0].fd, text);
        return;
    }
    int length = snprintf(body, sizeof body, "{\"chat\":\"%s\",\"text\":\"%s\"}", r->chat, text);
    int total = snprintf(
        request, sizeof request,
        "POST /api/messages/ HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: %s\r\nX-CSRF-Token: %s\r\nContent-Type: "
        "application/json\r\nContent-Length: %d\r\n\r\n%s",
        r->cookie, r->csrf, length, body);
    from->ready = false;
    send_all(from->fd, request, (size_t)total);
}

/* One round of events. */
static void poll_once(run *r, int timeout_ms)
{
    struct epoll_event events[256];
    int count = epoll_wait(r->epoll, events, 256, timeout_ms);
    for (int i = 0; i < count; i++)
        read_client(r, events[i].data.ptr);
}

static void keep_publishing(run *r)
{
    for (int i = 0; i < WINDOW && r->outstanding_deliveries <= (WINDOW - 1) * r->count; i++)
        if (!r->tims || r->publishers[i].ready)
            publish(r, &r->publishers[i]);
}

static void connect_all(run *r)
{
    for (size_t i = 0; i < r->count; i++) {
        add_client(r, &r->clients[i]);
        upgrade(r, &r->clients[i]);
        if (i % 64 == 63)
            poll_once(r, 0);
    }
    uint64_t deadline = now_ns() + 60000000000u;
    while (r->ready < r->count && now_ns() < deadline)
        poll_once(r, 100);
    if (r->ready < r->count) {
        fprintf(stderr, "only %zu of %zu clients are ready\n", r->ready, r->count);
        exit(1);
    }
    for (int i = 0; r->tims && i < WINDOW; i++) {
        add_client(r, &r->publishers[i]);
        r->publishers[i].ready = true;
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Waits for a line on standard input, so that the caller can look at the idle server; answers its pings. */
static void wait_for_caller(run *r)
{
    struct pollfd line = { .fd = STDIN_FILENO, .events = POLLIN };
    printf("connected\n");
    fflush(stdout);
    while (poll(&line, 1, 0) == 0)
        poll_once(r, 100);
    if (getchar() == EOF)
        exit(0);
}

int main(int argc, char **argv)
{
    static run r;
    if (argc < 5) {
        fprintf(stderr, "sockets ws|tims PORT COUNT SECONDS [COOKIE CSRF CHAT]\n");
        return 2;
    }
    r.tims = strcmp(argv[1], "tims") == 0;
    r.port = (int)strtol(argv[2], NULL, 10);
    r.count = (size_t)strtol(argv[3], NULL, 10);
    uint64_t seconds = (uint64_t)strtol(argv[4], NULL, 10);
    if (r.tims && argc >= 8)
        r.cookie = argv[5], r.csrf = argv[6], r.chat = argv[7];
    r.epoll = epoll_create1(0);
    r.clients = calloc(r.count, sizeof *r.clients);
    r.latencies_us = malloc(LATENCIES_MAX * sizeof *r.latencies_us);
    connect_all(&r);
    wait_for_caller(&r);
    uint64_t start = now_ns(), warm = start + 1000000000u, end = warm + seconds * 1000000000u,
             counted_from = 0;
    uint64_t counted_at = 0;
    while (now_ns() < end) {
        keep_publishing(&r);
        poll_once(&r, 10);
        if (!r.counting && now_ns() > warm) {
            r.counting = true;
            counted_from = r.deliveries;
            counted_at = now_ns();
        }
    }
    double elapsed = (double)(now_ns() - counted_at) / 1e9;
    qsort(r.latencies_us, r.latency_count, sizeof *r.latencies_us, by_value);
    printf("{\"deliveries\":%llu,\"all\":%llu,\"per_second\":%.0f,\"published\":%llu,\"p50_ms\":%.3f,\"p99_"
           "ms\":%.3f}\n",
           (unsigned long long)(r.deliveries - counted_from), (unsigned long long)r.deliveries,
           (double)(r.deliveries - counted_from) / elapsed, (unsigned long long)r.published,
           r.latency_count > 0 ? r.latencies_us[r.latency_count / 2] / 1000.0 : 0,
           r.latency_count > 0 ? r.latencies_us[r.latency_count * 99 / 100] / 1000.0 : 0);
    return 0;
}
