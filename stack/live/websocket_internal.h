/* websocket_internal.h: plain websocket endpoints and groups: what their files share.
 *
 *   tims_websockets ── one per process: the endpoints, how many sockets each user has, which loops have
 *     │                members of which group
 *     └─ live__socket_loop ── one per loop: its sockets by user and by login, its groups
 *          └─ tims_websocket ── one per client: what waits to be handled, its state, its memberships
 *
 * A socket and everything it hangs on belong to its loop. What loops share stands under the mutex of
 * tims_websockets, which is held for a look-up and a post, never for a send. */
#ifndef LIVE_WEBSOCKET_INTERNAL_H
#define LIVE_WEBSOCKET_INTERNAL_H

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "live/live_internal.h"

enum {
    LIVE__WEBSOCKETS_MAGIC = 0x4c575353,
    LIVE__SOCKET_LOOP_MAGIC = 0x4c574c50,
    LIVE__WEBSOCKET_MAGIC = 0x4c575343,
    LIVE__SOCKETS_PER_USER = 50,
    LIVE__GROUP_NAME_MAX = 100,
    LIVE__GROUPS_PER_SOCKET = 100,
    LIVE__WAITING_MAX = 64, /* messages not yet handled, past which no more is read */
    LIVE__WAITING_BYTES_MAX = 64 * 1024,
    LIVE__WAITING_LOW = 16, /* and from which on it is read again */
    LIVE__SOCKET_MESSAGE_BYTES = 64 * 1024,
    LIVE__SOCKET_QUEUE_BYTES = 1024 * 1024,
    LIVE__SOCKET_HANDLER_MS = 30 * 1000,
    LIVE__SOCKET_STOP_MS = 5000, /* how long a stopping loop still handles what had come */
    LIVE__SOCKET_SESSION_ENDED = 4401,
    LIVE__SOCKET_TOO_MANY = 4429
};

/* --- roster.c: from a name to the sockets that stand under it ----------------------------------------- */

typedef struct live__row live__row;
/* A socket's place under one name; embedded in what owns it. Zero it before first use. */
typedef struct live__seat {
    struct live__seat *next, *previous;
    live__row *row; /* NULL: not seated */
    tims_websocket *websocket;
} live__seat;

typedef struct live__roster live__roster;
live__roster *live__roster_new(void);
void live__roster_free(live__roster **roster);
/* True when it is the first under this name. */
bool live__roster_add(live__roster *roster, tims_str name, live__seat *seat, tims_websocket *websocket);
/* True when it was the last; fine when it has no seat. */
bool live__roster_remove(live__roster *roster, live__seat *seat);
/* The first seat of one name after the other; start with *cursor = 0. Nobody enters or leaves meanwhile. */
live__seat *live__roster_next(const live__roster *roster, size_t *cursor);
live__seat *live__roster_first(const live__roster *roster, tims_str name); /* then ->next */

/* --- websockets.c: the process and its loops ---------------------------------------------------------- */

typedef struct live__socket_loop {
    uint32_t magic;
    int index;
    tims_websockets *websockets;
    tims_loop *loop;
    live__roster *users, *logins, *groups;
    tims_map *memberships; /* by socket and group name */
    int64_t stop_us;       /* when it stopped; 0: it runs */
} live__socket_loop;

typedef struct live__endpoint {
    tims_websockets *websockets;
    const tims_websocket_route *row;
} live__endpoint;

struct tims_websockets {
    uint32_t magic;
    tims_websockets_options options;
    live__endpoint *endpoints;
    tims_route *routes;
    size_t count;
    pthread_mutex_t mutex; /* of what follows */
    live__socket_loop *loops[LIVE__LOOPS_MAX];
    bool stopped[LIVE__LOOPS_MAX]; /* nothing may be posted there any more */
    tims_map *user_counts;         /* by user: how many sockets */
    tims_map *places;              /* by group: on which loops it has members */
};

live__socket_loop *live__socket_loop_of(tims_websockets *websockets, tims_loop *loop); /* NULL: not started */
/* Takes a place among the user's sockets; false when there is none left. */
TIMS_MUST_USE bool live__user_enter(tims_websockets *websockets, tims_id user);
void live__user_leave(tims_websockets *websockets, tims_id user);

/* --- endpoint.c: one socket --------------------------------------------------------------------------- */

typedef struct live__membership live__membership;

/* A message that has come and is not yet handled. */
typedef struct live__waiting {
    struct live__waiting *next;
    size_t length;
    char bytes[];
} live__waiting;

/* What handlers see of the upgrade's request. */
typedef struct live__upgrade {
    const tims_route *route;
    tims_str target, path, query_text, peer;
    const char *id;
    tims_pairs path_params;
    bool secure;
} live__upgrade;

typedef enum live__phase { LIVE__ARRIVED, LIVE__OPEN, LIVE__OVER } live__phase;

struct tims_websocket {
    uint32_t magic;
    live__phase phase;
    live__socket_loop *home;
    const tims_websocket_route *row;
    tims_socket *socket; /* NULL: it is gone */
    tims_arena *arena;
    live__upgrade upgrade;
    tims_caller caller;
    tims_opt_id login;
    void *state;
    live__seat user_seat, login_seat;
    live__membership *memberships;
    size_t membership_count;
    live__waiting *first, *last;
    size_t waiting_count, waiting_bytes;
    tims_timer retry;
    int close_code;
    bool counted;     /* among its user's sockets */
    bool closing;     /* by us: nothing more is handled */
    bool gone;        /* the socket is closed */
    bool pumping;     /* a fiber is at work for it */
    bool check_login; /* its user was changed: whether it may stay has to be looked up */
};

tims_answer live__endpoint_open(tims_request *rq);
/* At once, whatever transaction is open. */
void live__websocket_close(tims_websocket *websocket, int code, tims_str reason);
/* Starts the fiber that does what there is to do; the socket may be freed when it returns. */
void live__websocket_wake(tims_websocket *websocket);

/* --- group.c ------------------------------------------------------------------------------------------ */

void live__groups_leave(tims_websocket *websocket); /* all of them */

#endif
