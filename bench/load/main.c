/* main.c: crowd dialect=tims|plain|socketio port=N count=N [door=N] [plan=FILE] [proxy=1]
 *
 * Connects everybody, prints a line of JSON, and then does what each line of standard input says, answering
 * with a line of JSON:
 *
 *     closed WINDOW SECONDS        so many changes outstanding; 0: each when the one before has reached a
 * client open RATE SECONDS            so many changes a second, latency counted from when each was due idle
 * SECONDS                 nothing but heartbeats position TARGET SECONDS      asks until the server says that
 * it has handed out that position outage SECONDS               until everybody was dropped and is live again
 *     drops RATE SECONDS           changes, while the network fails for 2 s of every 10
 *
 * The plan names sessions, subscriptions (client i has the i-th, around) and targets, one a line with tabs:
 * session COOKIE CSRF | sub SESSION URL | target SESSION CHAT AUDIENCE (0: everybody). */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "crowd.h"

enum {
    CONNECTING_MAX =
        200, /* on their way at once in the beginning; after an outage the protocol's rule holds */
    CONNECT_SECONDS = 600,
    LINE_BYTES = 1024
};

/* --- what the others use ------------------------------------------------------------------------ */

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "crowd: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(1);
}

void watch(crowd *g, source *s, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = s };
    if (epoll_ctl(g->epoll, EPOLL_CTL_MOD, fd, &event) != 0 &&
        epoll_ctl(g->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("epoll: %s", strerror(errno));
}

int dial_now(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

void send_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            continue;
        if (sent <= 0)
            return; /* reading will say that it is over */
        data += sent;
        length -= (size_t)sent;
    }
}

/* --- events ------------------------------------------------------------------------------------- */

typedef struct console {
    source source; /* first */
    size_t length;
    char text[LINE_BYTES];
    bool ended;
} console;

static void read_console(crowd *g, source *s, uint32_t events)
{
    console *t = (console *)s;
    (void)events;
    ssize_t got = read(STDIN_FILENO, t->text + t->length, sizeof t->text - 1 - t->length);
    t->length += got > 0 ? (size_t)got : 0;
    t->text[t->length] = '\0';
    if (got > 0)
        return;
    t->ended = true;
    epoll_ctl(g->epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
}

/* False: no line has come whole. */
static bool take_line(console *t, char line[LINE_BYTES])
{
    const char *end = memchr(t->text, '\n', t->length);
    if (end == NULL)
        return false;
    size_t used = (size_t)(end - t->text) + 1;
    memcpy(line, t->text, used - 1);
    line[used - 1] = '\0';
    t->length -= used;
    memmove(t->text, t->text + used, t->length);
    return true;
}

void poll_once(crowd *g, int timeout_ms)
{
    struct epoll_event events[256];
    int count = epoll_wait(g->epoll, events, 256, timeout_ms);
    for (int i = 0; i < count; i++) {
        source *s = events[i].data.ptr;
        s->on_event(g, s, events[i].events);
    }
    if (g->proxy != NULL)
        proxy_sweep(g);
}

static void connect_all(crowd *g)
{
    uint64_t deadline = now_ns() + (uint64_t)CONNECT_SECONDS * SECOND_NS;
    size_t count = g->count;
    g->count = 1; /* alone, to find out which protocol is spoken */
    while (g->live < g->count && now_ns() < deadline) {
        clients_return(g, CONNECTING_MAX);
        poll_once(g, 10);
        if (g->live == 1)
            g->count = count;
    }
    if (g->live < g->count)
        fail("only %zu of %zu clients are live", g->live, count);
    publisher_open(g);
    while (g->dialect->wrap != NULL && g->publisher.frames_out.state != CLIENT_LIVE)
        poll_once(g, 10);
}

/* --- what is asked for -------------------------------------------------------------------------- */

static void *grow(void *items, size_t count, size_t size)
{
    void *grown = realloc(items, (count + 1) * size);
    if (grown == NULL)
        fail("no memory");
    return grown;
}

static void take_plan_line(crowd *g, char *line)
{
    char *rest = line, *kind = strsep(&rest, "\t"), *first = strsep(&rest, "\t"),
         *second = strsep(&rest, "\t");
    if (second == NULL)
        fail("a plan's line has too little: %s", line);
    if (strcmp(kind, "session") == 0) {
        g->sessions = grow(g->sessions, g->session_count, sizeof *g->sessions);
        g->sessions[g->session_count++] = (session){ strdup(first), strdup(second) };
    } else if (strcmp(kind, "sub") == 0) {
        g->subscriptions = grow(g->subscriptions, g->subscription_count, sizeof *g->subscriptions);
        g->subscriptions[g->subscription_count++] =
            (subscription){ strtoul(first, NULL, 10), strdup(second) };
    } else {
        g->targets = grow(g->targets, g->target_count, sizeof *g->targets);
        g->targets[g->target_count++] =
            (target){ strtoul(first, NULL, 10), strdup(second), (uint32_t)strtoul(rest, NULL, 10) };
    }
}

static void read_plan(crowd *g, const char *file)
{
    char line[LINE_BYTES];
    FILE *plan = fopen(file, "r");
    if (plan == NULL)
        fail("%s: %s", file, strerror(errno));
    while (fgets(line, sizeof line, plan) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        take_plan_line(g, line);
    }
    fclose(plan);
}

static const char *option(int argc, char **argv, const char *name, const char *otherwise)
{
    size_t length = strlen(name);
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
            return argv[i] + length + 1;
    if (otherwise == NULL)
        fail("%s=… is missing", name);
    return otherwise;
}

static void raise_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* Until standard input ends; heartbeats are answered meanwhile. */
static void obey(crowd *g)
{
    static console terminal = { .source.on_event = read_console };
    char line[LINE_BYTES];
    watch(g, &terminal.source, STDIN_FILENO, EPOLLIN);
    for (;;) {
        if (take_line(&terminal, line)) {
            do_phase(g, line);
            fflush(stdout);
        } else if (terminal.ended) {
            return;
        } else {
            poll_once(g, 100);
        }
    }
}

int main(int argc, char **argv)
{
    static crowd g = { .protocol = 2, .told_position = -1 };
    raise_limit();
    g.dialect = dialect_find(option(argc, argv, "dialect", NULL));
    g.port = (int)strtol(option(argc, argv, "port", NULL), NULL, 10);
    g.count = strtoul(option(argc, argv, "count", NULL), NULL, 10);
    g.clients = calloc(g.count, sizeof *g.clients);
    g.epoll = epoll_create1(0);
    const char *plan = option(argc, argv, "plan", "");
    if (plan[0] != '\0')
        read_plan(&g, plan);
    g.door = (int)strtol(option(argc, argv, "door", option(argc, argv, "port", NULL)), NULL, 10);
    if (option(argc, argv, "proxy", "0")[0] == '1')
        g.door = proxy_open(&g, g.door);
    for (size_t i = 0; i < g.count; i++) {
        g.clients[i].fd = -1;
        g.clients[i].number = (uint32_t)i;
        g.clients[i].position = -1;
    }
    connect_all(&g);
    printf("{\"live\":%zu,\"protocol\":%d}\n", g.live, g.protocol);
    fflush(stdout);
    obey(&g);
    return 0;
}
