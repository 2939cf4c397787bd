/* crowd.h: a crowd of websocket clients on one topic or on many, and who makes the changes they wait for.
 *
 *     publish ── change ──> server ──> clients ── frame ──> dialect ── marker ──> publish: delivered
 *                              └─ proxy ─┘  (only where the network is to fail)
 *
 * One thread, one epoll, because it has one core; C, because at 10,000 sockets Node would be what is
 * measured. A change carries a marker, "@@1234567@@", in whatever text the server hands on; each sight of it
 * at a client is a delivery, so nothing else of a server's protocol has to be understood to count them. */
#ifndef CROWD_H
#define CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "histogram.h"

enum {
    MARKER_BYTES = 11,
    ROW_BYTES = 203, /* a message of the measured app as JSON, with a marker for its text */
    URL_BYTES = 256,
    POSTERS_MAX = 64,
    CHANGES_MAX = 1000000,
    SECOND_NS = 1000000000
};

typedef struct crowd crowd;

/* What epoll hands back. */
typedef struct source {
    void (*on_event)(crowd *g, struct source *source, uint32_t events);
} source;

/* --- client.c ---------------------------------------------------------------------------------- */

typedef enum client_state {
    CLIENT_DOWN,
    CLIENT_DIALING,
    CLIENT_UPGRADING,
    CLIENT_GREETING,
    CLIENT_LIVE
} client_state;

typedef struct client {
    source source; /* first */
    int fd;
    client_state state;
    uint32_t number, attempts;
    bool publishes; /* is no member of the audience: only hands changes in */
    uint32_t drops;
    uint64_t retry_at_ns;
    char *rest; /* of a frame that has not come whole */
    size_t rest_length;
    int64_t position; /* what it holds, as the server numbers it; -1: nothing */
    char offset[32];  /* the same for socket.io */
    char resume[64];
    uint8_t *seen; /* a bit for each change, where they may come twice */
} client;

void client_dial(crowd *g, client *c);
void client_live(crowd *g, client *c);
/* What its server has told it: when to come back. Without, a backoff with full jitter, as packages/client. */
void client_drop(crowd *g, client *c, int64_t retry_ms);
void client_say(crowd *g, client *c, const char *text);
/* Those whose time has come dial again; at most `at_once` are on their way (0: as many as there are). */
void clients_return(crowd *g, size_t at_once);

/* --- dialect.c: what is said to each kind of server --------------------------------------------- */

typedef struct dialect {
    const char *name, *path;
    void (*greet)(crowd *g, client *c);                                 /* after the upgrade */
    void (*hear)(crowd *g, client *c, const char *text, size_t length); /* a text frame */
    void (*wrap)(char *frame, size_t size, const char *text);           /* a change; NULL: over HTTP */
} dialect;

const dialect *dialect_find(const char *name);
/* The number after `name` in a JSON text, or `otherwise`. */
int64_t find_number(const char *text, size_t length, const char *name, int64_t otherwise);

/* --- publish.c ---------------------------------------------------------------------------------- */

typedef struct change {
    uint64_t due_ns, committed_ns; /* 0: not known yet */
    uint32_t left;                 /* deliveries that are still to come */
    bool reached;                  /* somebody has it */
} change;

typedef struct poster {
    source source; /* first */
    int fd;
    bool busy;
    uint32_t number; /* the change it brings */
    size_t length;
    char answer[4096];
} poster;

typedef struct publisher {
    change *changes;
    uint32_t published, outstanding;
    uint64_t due_ns, gap_ns; /* open loop: the next change, and the time between two */
    uint32_t window;         /* closed loop: how many may be outstanding; 0: see publisher_pump */
    bool counting;
    uint64_t deliveries, all_deliveries, frames, late;
    histogram since_due, since_commit, commits;
    poster posters[POSTERS_MAX];
    size_t poster_count;
    client frames_out; /* hands changes in where that is a frame */
} publisher;

void publisher_open(crowd *g);
/* Starts changes that are due. In a closed loop without a window the next is due when the last has reached
 * its first client: as early as it can be without the two meeting in one step. */
void publisher_pump(crowd *g);
/* Looks for markers in what a client was told. */
void publisher_hear(crowd *g, client *c, const char *text, size_t length);

/* --- proxy.c: a network that fails -------------------------------------------------------------- */

typedef struct proxy proxy;
/* Listens on a free port, which it returns, and hands on to `port`. */
int proxy_open(crowd *g, int port);
void proxy_fail(crowd *g);
void proxy_heal(crowd *g);
void proxy_sweep(crowd *g); /* after each round of events */

/* --- main.c ------------------------------------------------------------------------------------- */

typedef struct session {
    char *cookie, *csrf;
} session;
typedef struct subscription {
    size_t session;
    char *url;
} subscription;
/* A place where changes are made: who makes them, in which chat, and how many clients are to hear of one. */
typedef struct target {
    size_t session;
    char *chat;
    uint32_t audience;
} target;

struct crowd {
    const dialect *dialect;
    int port, door; /* door: where clients dial: another server, or a proxy between */
    int epoll, protocol;
    uint64_t now_ns; /* as of the latest read */
    size_t count, live, on_their_way, ever_dropped;
    uint64_t connects, snaps, resumes, resets;
    client *clients;
    session *sessions;
    subscription *subscriptions;
    target *targets;
    size_t session_count, subscription_count, target_count;
    char epoch[20];
    int64_t told_position; /* by the latest pong */
    publisher publisher;
    proxy *proxy;
};

uint64_t now_ns(void);
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void watch(crowd *g, source *s, int fd, uint32_t events); /* adds, or changes */
int dial_now(int port);                                   /* waits; for what is not measured */
void send_all(int fd, const char *data, size_t length);
void poll_once(crowd *g, int timeout_ms); /* one round of events */

/* --- phases.c ----------------------------------------------------------------------------------- */

void do_phase(crowd *g, const char *line);

#endif
