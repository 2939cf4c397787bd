/* live_internal.h: what the files of this room share.
 *
 *     database ── feed (loop 0) ── batch, one step of the log ──┬── hub (loop 0) ── sessions ── subscriptions
 *                                                               └── hub (loop n) ── …
 *
 * A batch is read-only and counted; everything else belongs to one loop. In a hub one fiber does one piece of
 * work after the other (a batch, a subscription to open, a window to grow), so positions of a socket only
 * grow and no change can fall between a snapshot and the batches that follow it. */
#ifndef LIVE_INTERNAL_H
#define LIVE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tims/live.h"

enum {
    LIVE__MAGIC = 0x4c495645,
    LIVE__HUB_MAGIC = 0x4c485542,
    LIVE__SESSION_MAGIC = 0x4c534553,
    LIVE__SUBSCRIPTION_MAGIC = 0x4c535542,
    LIVE__BATCH_MAGIC = 0x4c424154,
    LIVE__ROWS_MAX = 1000,      /* of one subscription's window */
    LIVE__DEPENDENCIES_MAX = 8, /* of one access rule */
    LIVE__MESSAGE_BYTES_MAX = 16 * 1024,
    LIVE__URL_BYTES_MAX = 2048,
    LIVE__BAD_FRAMES_MAX = 10,
    LIVE__JOBS_MAX = 2000,          /* of one session, waiting */
    LIVE__STEP_CHANGES_MAX = 20000, /* a larger step makes the subscriptions on its models start again */
    LIVE__HEARTBEAT_MS = 15000,
    LIVE__DEAD_MS = 30000,
    LIVE__HELLO_MS = 10000,
    LIVE__PRUNE_MS = 60000,
    LIVE__LOG_ROWS_MAX = 1000000,
    LIVE__CLOSE_DRAINING = 1001,
    LIVE__CLOSE_SLOW = 1013,
    LIVE__CLOSE_PROTOCOL = 4400,
    LIVE__CLOSE_SESSION = 4401,
    LIVE__CLOSE_TIMEOUT = 4408
};

typedef struct live__hub live__hub;
typedef struct live__session live__session;
typedef struct live__subscription live__subscription;

/* --- batch.c: one step of the change log ------------------------------------------------------ */

/* A row's key columns before one change of it: text by field index; data == NULL: null, or no key column. */
typedef struct live__old {
    struct live__old *next;
    tims_str *keys;
} live__old;

/* What became of one row in a step. */
typedef struct live__change {
    const tims_model *model;
    tims_id id;
    bool inserted;   /* it was not there when the step began */
    live__old *olds; /* for each update and delete in the step */
    void *row;       /* as it is now; NULL: gone */
    tims_str *keys;  /* its key columns now, as in `olds`; NULL: gone */
    tims_str json;   /* all visible fields; empty: gone */
} live__change;

typedef struct live__batch {
    uint32_t magic;
    atomic_uint references;
    tims_arena *arena;
    int64_t from, position; /* the step covers (from, position] */
    live__change *changes;
    size_t count;
    bool flood; /* too many: `changes` is empty, `flooded` names the models */
    const tims_model **flooded;
    size_t flooded_count;
} live__batch;

typedef struct live__batch_options {
    const tims_models *models;
    int64_t from;
    size_t changes_max;
    const tims_model *const *only; /* these models; NULL: all */
    size_t only_count;
    void (*on_change)(void *argument, const tims_model *model, tims_change_op op, tims_id id);
    void *on_change_argument;
} live__batch_options;

/* Reads what the log says after `from`, and the rows it names, in the session's snapshot. `ret_batch` NULL:
 * nothing. */
tims_status live__batch_read(tims_db_session *db, const live__batch_options *options, live__batch **ret_batch,
                             tims_error *err);
live__batch *live__batch_ref(live__batch *batch);
void live__batch_unref(live__batch **batch);
/* The text under which a key value stands in topics: ids and text as they are, numbers in decimal; data ==
 * NULL: null. */
tims_str live__key_text(tims_arena *arena, const tims_db_value *value);
tims_str live__key_of(tims_arena *arena, const tims_field *field, const void *row);

/* --- topics.c: from what changed to who cares ------------------------------------------------- */

typedef enum live__hook_kind {
    LIVE__HOOK_ROWS,    /* rows of a subscription's query */
    LIVE__HOOK_ACCESS,  /* rows on which its access rule depends */
    LIVE__HOOK_INCLUDE, /* rows its document includes */
    LIVE__HOOK_SESSION  /* the user or the login of a session */
} live__hook_kind;

typedef struct live__topic live__topic;
/* One thing waiting at a topic; embedded in its owner. */
typedef struct live__hook {
    struct live__hook *next, *previous;
    live__topic *topic;
    void *owner;
    live__hook_kind kind;
    uint32_t index; /* which dependency, which include */
} live__hook;

typedef struct live__topics live__topics;
live__topics *live__topics_new(void);
void live__topics_free(live__topics **topics);
/* `field` NULL: all rows of the model; else those whose key column has (or had) this text. */
void live__topics_add(live__topics *topics, live__hook *hook, const tims_model *model,
                      const tims_field *field, tims_str text);
void live__topics_remove(live__topics *topics, live__hook *hook); /* fine when it is not in */
/* Calls for each hook at a topic that the row has or had; maybe more than once for one hook. */
void live__topics_visit(live__topics *topics, const live__change *change,
                        void (*visit)(void *argument, live__hook *hook, const live__change *change),
                        void *argument);
size_t live__topics_count(const live__topics *topics);

/* --- access.c: the read rule, in memory where that is enough ---------------------------------- */

/* Rows of `model` that can change what a caller may read: those with the caller in `user` (NULL: any row),
 * when they come, go, or change in `user` or `thing`. */
typedef struct live__dependency {
    const tims_model *model;
    const tims_field *thing, *user;
} live__dependency;

/* False: the rule has too many. */
TIMS_MUST_USE bool live__dependencies(const tims_model *model, live__dependency *ret_items,
                                      size_t *ret_count);
/* Whether this change can change what the caller may read. */
bool live__dependency_concerns(const live__dependency *dependency, const live__change *change,
                               tims_caller caller);

/* --- held.c: the ids of a window -------------------------------------------------------------- */

typedef struct live__held {
    tims_id *ids; /* sorted */
    size_t count, capacity;
} live__held;
bool live__held_has(const live__held *held, tims_id id);
bool live__held_add(live__held *held, tims_id id);    /* false: it was there */
bool live__held_remove(live__held *held, tims_id id); /* false: it was not there */
void live__held_free(live__held *held);

/* --- subscription.c --------------------------------------------------------------------------- */

struct live__subscription {
    uint32_t magic;
    uint32_t id;
    live__session *session;
    live__subscription *next, *previous; /* of the session */
    bool closed, open, growing;
    tims_arena *arena;
    tims_str url;
    tims_live_query live;
    bool requery; /* an offset or a cursor: what is in the window cannot be told from a row alone */
    const tims_field *topic_field;
    tims_str topic_text;
    live__hook rows_hook;
    live__dependency dependencies[LIVE__DEPENDENCIES_MAX];
    live__hook access_hooks[LIVE__DEPENDENCIES_MAX];
    size_t dependency_count;
    live__hook include_hooks[TIMS_LIVE_INCLUDES_MAX];
    live__held included[TIMS_LIVE_INCLUDES_MAX];
    /* the window */
    live__held held;
    size_t window;    /* rows it should have at least */
    bool end;         /* it is the whole result */
    tims_arena *tail; /* holds last_row */
    void *last_row;   /* the order fields of the last row; NULL: none, or `end` */
    tims_id last_id;
    int64_t position;
    int64_t total, total_position;
    /* the last answer of the access rule, by what it looked at */
    tims_buf access_key;
    bool access_known, access_allowed;
    /* within one batch */
    bool dirty, must_refresh, must_count;
    live__subscription *next_dirty;
    struct live__touch *touches;
    struct live__touch *include_touches;
};

/* One piece of work of the hub's fiber. */
typedef struct live__work {
    tims_live *live;
    live__hub *hub;
    tims_request *rq;
    tims_db_session *db;
    bool in_snapshot;
    int64_t snapshot; /* its position */
    live__batch *batch;
    live__subscription *dirty;
    tims_map *answers; /* of access rules, in this batch */
} live__work;

/* Begins the work's snapshot, if it has none. Raises. */
void live__work_snapshot(live__work *work);
/* Reads and answers; on failure sends the error and leaves the subscription closed. */
void live__subscription_open(live__work *work, live__subscription *subscription, tims_str from, int64_t held);
void live__subscription_reopen(live__work *work, live__subscription *subscription, const char *reason);
void live__subscription_grow(live__work *work, live__subscription *subscription, size_t rows);
void live__subscription_touch(live__work *work, live__hook *hook, const live__change *change);
void live__subscription_apply(live__work *work, live__subscription *subscription);
void live__subscription_free(live__subscription **subscription);
bool live__subscription_depends_on(const live__subscription *subscription, const tims_model *model);
/* Sends a row, and has the rows it points at sent that the client has not been given yet. */
void live__subscription_put(live__work *work, live__subscription *subscription, const void *row,
                            tims_str json);
void live__subscription_note(live__work *work, live__subscription *subscription, const void *row);
void live__subscription_want(live__work *work, live__subscription *subscription, uint32_t include,
                             tims_id id);
/* Whether the caller may read this row. Raises. */
bool live__access_allows(live__work *work, live__subscription *subscription, const void *row);

/* window.c: the rows of a subscription now */
typedef struct live__rows {
    char *items;
    size_t count;
    bool end;
} live__rows;
/* The first `limit` rows in the work's snapshot. Raises. */
live__rows live__window_read(live__work *work, const live__subscription *subscription, size_t limit);
const void *live__rows_at(const live__subscription *subscription, const live__rows *rows, size_t index);
tims_id live__row_id(const tims_model *model, const void *row);
/* Takes the rows as what is held now. */
void live__window_set(live__subscription *subscription, const live__rows *rows);

/* resume.c: what changed since a position. False: it cannot be told; `ret_reason` says why. Raises. */
bool live__resume(live__work *work, live__subscription *subscription, tims_str from, int64_t held,
                  const char **ret_reason);

/* --- wire.c: frames out ----------------------------------------------------------------------- */

void live__send_welcome(live__session *session);
void live__send_pong(live__session *session);
void live__send_bye(live__session *session, const char *reason, int64_t retry_ms);
void live__send_error(live__session *session, uint32_t sub, const tims_error *err);
void live__send_refusal(live__session *session, int status, const char *code, const char *message);
void live__send_reset(live__subscription *subscription, const char *reason);
void live__send_snap(live__subscription *subscription, tims_str document);
void live__send_resumed(live__subscription *subscription);
void live__send_window(live__subscription *subscription);
void live__op_put(live__subscription *subscription, const void *row, tims_str json);
void live__op_del(live__subscription *subscription, tims_id id);
void live__op_total(live__subscription *subscription);
void live__op_include(live__subscription *subscription, const tims_field *field, const void *row);
/* Sends the operations gathered as one tx; nothing when there are none. */
void live__send_operations(live__session *session, int64_t position);
tims_str live__order_text(tims_arena *arena, const tims_query *query);
tims_str live__position_text(tims_arena *arena, const tims_live *live, int64_t position);

/* --- session.c: one client -------------------------------------------------------------------- */

typedef enum live__session_state {
    LIVE__OPENED,
    LIVE__GREETED,
    LIVE__WELCOMED,
    LIVE__CLOSED
} live__session_state;

/* Where a session's frames go: a websocket, or a stream of events. */
typedef struct live__sink {
    void (*send)(void *ctx, const char *event, int64_t position, tims_str text);
    void (*close)(void *ctx, int code, const char *reason);
} live__sink;

struct live__session {
    uint32_t magic;
    live__session_state state;
    live__hub *hub;
    live__session *next, *previous; /* of the hub */
    const live__sink *sink;
    void *sink_ctx;
    tims_socket *socket;
    tims_caller caller;
    tims_opt_id login; /* the login session or token */
    tims_map *by_id;   /* subscription id (4 bytes) to subscription */
    live__subscription *subscriptions;
    size_t subscription_count, job_count, bad_frames;
    live__hook user_hook, login_hook;
    int64_t heard_us;
    tims_timer timer;
    tims_buf operations; /* of the tx being made */
    live__session *next_dirty;
    bool dirty;
};

live__session *live__session_new(live__hub *hub, const live__sink *sink, void *sink_ctx);
/* Who it is; from then on it hears of that user's and login's changes. */
void live__session_welcome(live__session *session, tims_caller caller, tims_opt_id login);
/* Nothing more is sent or read; memory goes with the hub's next piece of work. */
void live__session_close(live__session *session, int code, const char *reason);
void live__session_gone(live__session *session);  /* the peer has left: as close, without telling it */
void live__session_free(live__session **session); /* by the hub */
void live__session_send(live__session *session, const char *event, int64_t position, tims_str text);
/* A frame of the client. */
void live__session_receive(live__session *session, tims_str message);
live__subscription *live__session_find(const live__session *session, uint32_t id);
live__subscription *live__session_add(live__session *session, uint32_t id, tims_str url);
void live__session_remove(live__session *session, live__subscription *subscription);
/* A change of its user or login row. */
void live__session_check(live__session *session, const live__change *change);

/* --- message.c: frames in --------------------------------------------------------------------- */

typedef enum live__message_kind {
    LIVE__MALFORMED,
    LIVE__UNKNOWN,
    LIVE__HELLO,
    LIVE__SUB,
    LIVE__MORE,
    LIVE__UNSUB,
    LIVE__PING
} live__message_kind;
typedef struct live__message {
    live__message_kind kind;
    uint32_t sub;
    tims_str url, from, token;
    int64_t limit; /* 0: not given */
    int64_t protocol;
} live__message;
/* Strings live in `arena`. */
live__message live__message_read(tims_arena *arena, tims_str text);
/* "0123456789abcdef-42". False: it is none. */
TIMS_MUST_USE bool live__position_parse(tims_str text, tims_str *ret_epoch, int64_t *ret_position);

/* --- hub.c: one loop's sessions and its one fiber of work ------------------------------------- */

typedef enum live__job_kind {
    LIVE__JOB_BATCH,
    LIVE__JOB_HELLO,
    LIVE__JOB_SUB,
    LIVE__JOB_MORE,
    LIVE__JOB_UNSUB,
    LIVE__JOB_FREE
} live__job_kind;
typedef struct live__job {
    struct live__job *next;
    live__job_kind kind;
    live__session *session;
    uint32_t sub;
    int64_t limit;
    char *text; /* HELLO: the token; SUB: from; owned */
    size_t text_length;
    live__batch *batch;
} live__job;

struct live__hub {
    uint32_t magic;
    tims_live *live;
    tims_loop *loop;
    live__hub *next; /* of the process */
    live__topics *topics;
    live__session *sessions;
    size_t session_count;
    int64_t position;
    live__job *first_job, *last_job;
    tims_fiber *fiber; /* NULL: has ended */
    bool stopping;
    live__session *dirty_sessions;
};

live__hub *live__hub_new(tims_live *live, tims_loop *loop, int64_t position);
tims_status live__hub_start(live__hub *hub, tims_error *err);
void live__hub_stop(live__hub *hub);
void live__hub_free(live__hub **hub);
/* On the hub's loop. The text is copied. */
void live__hub_add_job(live__hub *hub, live__job job, tims_str text);
/* From any thread: takes a reference of its own. */
void live__hub_post_batch(live__hub *hub, live__batch *batch);
/* login.c: who a token belongs to. Suspends. Errors: UNAUTHORIZED, the database's. */
TIMS_MUST_USE tims_status live__login_by_token(live__work *work, tims_str token, tims_caller *ret_caller,
                                               tims_opt_id *ret_login);
/* The login of a request: the session or token it came with. */
tims_opt_id live__login_of(tims_request *rq);
void live__hub_mark_dirty(live__hub *hub, live__session *session);
live__hub *live__hub_of(tims_live *live, tims_loop *loop);

/* --- feed.c: the log's one reader ------------------------------------------------------------- */

typedef struct live__feed {
    tims_live *live;
    tims_loop *loop;
    tims_fiber *fiber;
    tims_timer timer;
    bool stopping, poked;
    atomic_bool poke_posted;
    int64_t position, foreign_version;
    int64_t pruned_us;
    struct live__sample *samples; /* where the log stood, once a minute */
    size_t sample_count;
} live__feed;

tims_status live__feed_start(live__feed *feed, tims_loop *loop, tims_error *err);
void live__feed_stop(live__feed *feed);
void live__feed_free(live__feed *feed);
/* prune.c */
tims_status live__prune(live__feed *feed, tims_db_session *db, tims_error *err);

/* --- live.c ----------------------------------------------------------------------------------- */

struct tims_live {
    uint32_t magic;
    tims_db *db;
    const tims_models *models;
    tims_auth *auth;
    tims_live_options options;
    tims_arena *arena;
    tims_str epoch;
    pthread_mutex_t mutex; /* guards `hubs` and `position` */
    live__hub *hubs;
    int64_t position; /* handed to all hubs */
    live__feed feed;
};

#endif
