/* live.h: the change feed, topics, subscriptions, and the /live websocket; SSE for the same URLs.
 *
 * The resolver from URL to query is handed in by the composition (app), so that live knows queries, not
 * URLs. */
#ifndef TIMS_LIVE_H
#define TIMS_LIVE_H

#include "tims/auth.h"
#include "tims/model.h"
#include "tims/redis.h"

typedef struct tims_live tims_live;

/* What a subscription needs to know of a URL. */
enum { TIMS_LIVE_INCLUDES_MAX = 4 };
typedef struct tims_live_query {
    tims_query query;
    bool is_detail, with_total;
    bool is_computed; /* its answer is computed: there is no query */
    tims_str canonical;
    const tims_field *includes[TIMS_LIVE_INCLUDES_MAX]; /* references whose rows the document carries */
    size_t include_count;
} tims_live_query;
typedef struct tims_live_resolver {
    const void *data;
    tims_status (*resolve)(const void *data, tims_arena *arena, tims_str url, tims_caller caller,
                           tims_live_query *ret_query, tims_error *err);
    /* Writes what GET of the URL answers, from the session's current snapshot. Errors: NOT_FOUND (a detail
     * that is not there), the database's. */
    tims_status (*write)(const void *data, tims_db_session *db, tims_arena *arena, tims_str url,
                         tims_caller caller, int64_t position, tims_json_writer *writer, tims_error *err);
    /* Runs a computed endpoint for a caller, on the session of `rq`, and notes what it read (after an error
     * too). `out` has no arena. NULL: there are none. Errors: what the endpoint raises, the database's. */
    tims_status (*compute)(const void *data, tims_request *rq, tims_str url, tims_caller caller,
                           tims_reads *reads, tims_buf *out, tims_error *err);
} tims_live_resolver;

/* Whoever keeps what was read until it changes (see tims/cache.h). Called on the feed's loop, for each step
 * before any client hears of it: each topic that a changed row has or had (maybe more than once), models that
 * cannot be told row by row, and then that all up to the step's position has been told, also when nothing has
 * changed. `clear`: the database is another; `position` negative: where it stands is not known yet. */
typedef struct tims_live_follower {
    void *argument;
    void (*touch)(void *argument, int64_t position, const tims_topic *topic);
    void (*touch_model)(void *argument, int64_t position, const tims_model *model);
    void (*reach)(void *argument, int64_t position);
    void (*clear)(void *argument, int64_t position);
} tims_live_follower;

typedef struct tims_live_options {
    tims_live_resolver resolver;
    tims_live_follower follower; /* its functions NULL: there is none */
    int64_t poll_ms;             /* for foreign writers; 0: 25 */
    size_t subscriptions_max;    /* per socket; 0: 1,000 */
    size_t queue_bytes_max;      /* per socket; 0: 8 MiB; past it the socket is closed, resumable */
    int64_t log_keep_s;          /* the change log's retention; 0: 24 h */
    int64_t resume_changes_max;  /* a resume further back than this gets `reset`; 0: 10,000 */
    size_t sockets_per_user_max; /* open sockets and event streams; 0: 100 */
    /* Told of every change before any client hears of it, on the feed's loop (auth's session cache, page
     * cache). */
    void (*on_change)(void *argument, const tims_model *model, tims_change_op op, tims_id id);
    /* Told of the epoch that holds from now on, at the start and whenever the database is another; the text
     * stays. */
    void (*on_epoch)(void *argument, tims_str epoch);
    void *on_change_argument;
    /* What makes this node one of many; NULL: it is alone. It listens to it; the composition starts it, on
     * loop 0 before this room. Nodes of one database have one prefix, others another. */
    tims_redis *redis;
    tims_str redis_prefix;
} tims_live_options;

tims_status tims_live_new(tims_db *db, const tims_models *models, tims_auth *auth,
                          const tims_live_options *options, tims_live **ret_live, tims_error *err);
void tims_live_free(tims_live **live);
/* Lets the feed look at once whether something was committed. Any thread, while the live engine exists. */
void tims_live_catch_up(tims_live *live);
/* Per loop, from the server's loop_start/loop_stop. Loop 0 runs the feed. */
tims_status tims_live_loop_start(tims_live *live, tims_loop *loop, tims_error *err);
void tims_live_loop_stop(tims_live *live, tims_loop *loop);
/* The websocket endpoint, a handler for the route GET /live with `data` = the tims_live. */
tims_answer tims_live_endpoint(tims_request *rq);
/* A GET with Accept: text/event-stream on a live URL: streams snap, then tx, as events. Does not return
 * before the client leaves. */
tims_answer tims_live_sse(tims_request *rq, tims_live *live, tims_str url);
tims_str tims_live_epoch(const tims_live *live);
/* For handlers of computed endpoints: how many users have a live connection (to any node), and at most 200
 * of them (in the request's arena). The endpoint runs again when that has changed, at most once a second. */
size_t tims_live_online(tims_request *rq, tims_ids *ret_users);
/* Whether this user has one; in computed endpoints as above. False where nothing is live: in commands and in
 * workers beside the server. */
bool tims_live_is_online(tims_request *rq, tims_id user);
/* What the room counts, as lines for Prometheus. From any thread. */
void tims_live_metrics(tims_live *live, tims_buf *out);

/* --- plain websockets and groups -------------------------------------------------------------- */

/* For what is no live query: signalling, games, tickers. One endpoint is a row of a table; each client's
 * socket runs its handlers one after the other, in the order in which its messages came, each on a fiber with
 * a request of its own: the caller, the path's parameters and the query are those of the upgrade, a
 * transaction commits when the handler returns. A raise ends the socket: with 4000 + the HTTP status, 1013
 * for 503, 1011 for every other 5xx; the raise's code is the reason. */
typedef struct tims_websocket tims_websocket;

typedef struct tims_websocket_route {
    const char *path;   /* as a route's pattern: "/ws/lobby/{room:id}/" */
    const void *access; /* as a route's; 401 and 403 are answered instead of the upgrade */
    /* The first handler; a raise here means that on_close is not called. May be NULL. */
    void (*on_open)(tims_request *rq, tims_websocket *websocket);
    void (*on_message)(tims_request *rq, tims_websocket *websocket, tims_str text);
    /* The last handler, after all messages that came before the client closed; `code`: what the client said,
     * 1006 when it just went, or what the socket was closed with here. May be NULL. */
    void (*on_close)(tims_request *rq, tims_websocket *websocket, int code);
    const char *doc;
    size_t state_bytes;       /* of tims_websocket_state */
    size_t message_bytes_max; /* 0: 64 KiB; a longer message closes with 1009, a binary one with 1003 */
    size_t queue_bytes_max;   /* what the client has not yet read; 0: 1 MiB; past it: 1013 */
    uint32_t timeout_ms;      /* of each handler; 0: 30 s */
} tims_websocket_route;

/* Within the handlers of that socket, `rq` being the handler's. In a transaction: as soon as it is durable,
 * and never when it is rolled back. Nothing is sent once the socket is closed. */
void tims_websocket_send(tims_request *rq, tims_websocket *websocket, tims_str text);
/* 1000, 1001, 1011, 1013, 3000–4999; in a transaction as above. No message is handled any more; on_close
 * follows. */
void tims_websocket_close(tims_request *rq, tims_websocket *websocket, int code, tims_str reason);
/* `state_bytes` bytes that live as long as the socket, zeroed before on_open. */
void *tims_websocket_state(tims_websocket *websocket);

/* Groups: named sets of sockets over all loops of the process (and nodes, by a bus). A name has 1 to 100
 * bytes. A socket that closes leaves its groups. Raise: 422 group_name; add also 429 too_many_groups (100 a
 * socket). */
void tims_group_add(tims_request *rq, tims_websocket *websocket, tims_str group);    /* fine when it is in */
void tims_group_remove(tims_request *rq, tims_websocket *websocket, tims_str group); /* fine when it is not */
/* To every member, in the same order for all of them on one node. From any request, handler or task. In a
 * transaction: as soon as it is durable, and never when it is rolled back. */
void tims_group_send(tims_request *rq, tims_str group, tims_str text);

/* What carries groups between nodes; for those who bring one. Called from any loop; must not block. */
typedef struct tims_group_bus {
    void *data;
    /* This node has its first member, has no member any more. In order; must not call back. */
    void (*join)(void *data, tims_str group);
    void (*leave)(void *data, tims_str group);
    /* For the members on other nodes; those here have it already. */
    void (*publish)(void *data, tims_str group, tims_str text);
} tims_group_bus;

typedef struct tims_websockets tims_websockets;
/* The bus through Redis, of a live room that has it; NULL: this node is alone. What it hears goes to the
 * websockets it carries groups for: named before the loops start. */
const tims_group_bus *tims_live_group_bus(tims_live *live);
void tims_live_carry_groups(tims_live *live, tims_websockets *websockets);
typedef struct tims_websockets_options {
    const void *server_data;         /* rq->server_data in handlers */
    void (*begin)(tims_request *rq); /* gives a handler's request its database and the like; not the caller */
    void (*finish)(tims_request *rq, tims_answer *answer); /* commits, or rolls back what was raised */
    size_t per_user_max;       /* sockets of one user in this process; 0: 50; past it: 4429 too_many */
    const tims_group_bus *bus; /* NULL: this process is alone */
} tims_websockets_options;
/* Tables end with a row without a path. Lives in the arena, which must outlive the server's loops. */
tims_websockets *tims_websockets_new(tims_arena *arena, const tims_websocket_route *const *tables,
                                     size_t table_count, const tims_websockets_options *options);
const tims_route *tims_websockets_routes(const tims_websockets *websockets, size_t *ret_count);
/* From the server's loop_start and loop_stop. */
void tims_websockets_loop_start(tims_websockets *websockets, tims_loop *loop);
void tims_websockets_loop_stop(tims_websockets *websockets, tims_loop *loop);
/* For each request, so that it can send to groups; without it a send reaches nobody (commands). */
void tims_request_set_websockets(tims_request *rq, tims_websockets *websockets);
/* The feed tells that a session or a user was changed: sockets of a login that has ended are closed with 4401
 * session_ended. Any thread. */
void tims_websockets_forget(tims_websockets *websockets, const tims_model *model, tims_change_op op,
                            tims_id id);
/* From the bus: what another node has sent, to the members on this one. Any thread. */
void tims_group_deliver(tims_websockets *websockets, tims_str group, tims_str text);

#endif
