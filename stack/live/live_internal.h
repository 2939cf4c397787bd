/* live_internal.h: what the files of this room share.
 *
 *            loop 0                                                       every loop
 *     feed ── engine ── views ── window, audience             hub ── sessions ── sockets, event streams
 *       │        │  └── subscribers ── gates                    │
 *       │        └── clients ── jobs  ◄──── what clients want ──┤
 *     batch ── history                ───── deliveries ────────►┘
 *
 * The engine does one step after the other, each in one snapshot of the database: what changed since the
 * last step is brought to all views, then waiting clients are served, and what came of it is handed to the
 * hubs as one delivery a loop. So every client stands exactly at the position it was last told, and nothing
 * can fall between a snapshot and the steps behind it. Everything above belongs to one loop; jobs and
 * deliveries are messages, frames and operations are counted and read-only. */
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
    LIVE__CLIENT_MAGIC = 0x4c434c49,
    LIVE__SUBSCRIBER_MAGIC = 0x4c535542,
    LIVE__VIEW_MAGIC = 0x4c564957,
    LIVE__BATCH_MAGIC = 0x4c424154,
    LIVE__OPS_MAGIC = 0x4c4f5053,
    LIVE__LOOPS_MAX = 64,
    LIVE__ROWS_MAX = 1000,     /* of one window */
    LIVE__AUDIENCE_MAX = 2000, /* ids that a caller's audience holds in memory */
    LIVE__MESSAGE_BYTES_MAX = 16 * 1024,
    LIVE__URL_BYTES_MAX = 2048,
    LIVE__BAD_FRAMES_MAX = 10,
    LIVE__JOBS_A_STEP = 64, /* then changes have their turn again */
    LIVE__HISTORY_BYTES_MAX = 32 << 20,
    LIVE__IDLE_VIEWS_MAX = 1000,
    LIVE__IDLE_VIEW_MS = 120 * 1000,
    LIVE__PROTOCOL = 2,
    LIVE__PUBLISHES_A_SECOND = 20,
    LIVE__EPOCH_LENGTH = 16,
    LIVE__LOG_ROWS_MAX = 1000000,
    LIVE__CLOSE_DRAINING = 1001,
    LIVE__CLOSE_SLOW = 1013,
    LIVE__CLOSE_PROTOCOL = 4400,
    LIVE__CLOSE_SESSION = 4401,
    LIVE__CLOSE_TIMEOUT = 4408,
    LIVE__CLOSE_TOO_MANY = 4429
};

/* How much and how long. The same for every process; tests, which are in a hurry, change them. */
typedef struct live__limits {
    size_t jobs_max;         /* of one session, waiting */
    size_t rows_max;         /* of all windows of one session */
    size_t step_changes_max; /* a larger step makes the views of its models start again */
    size_t step_bytes_max;   /* the same, by the size of the rows */
    size_t behind_bytes;     /* unread: from here on a socket is brought up to date when it has read */
    int64_t behind_ms;
    int64_t hello_ms, heartbeat_ms;       /* a ping left unanswered for as long ends the socket */
    int64_t watch_ms;                     /* between two looks at these times */
    int64_t prune_ms;                     /* between two looks at what is older than the retention */
    int64_t node_alive_ms, node_lease_ms; /* between two signs of life of a node; without one it is gone */
} live__limits;

typedef struct live__hub live__hub;
typedef struct live__session live__session;
typedef struct live__client live__client;
typedef struct live__subscriber live__subscriber;
typedef struct live__view live__view;
typedef struct live__step live__step;
typedef struct live__engine live__engine;

/* --- batch.c: one step of the change log ------------------------------------------------------ */

/* A row's key columns before one change of it: text by field index; data == NULL: null, or no key column. */
typedef struct live__old {
    struct live__old *next; /* older ones follow */
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
    tims_arena *arena;
    int64_t from, position; /* the step covers (from, position] */
    tims_str snapshot;      /* of `position`: see tims_mark */
    int64_t log_id;         /* of the last log row in it */
    live__change *changes;
    size_t count;
    bool flood; /* too many: `changes` is empty, `models` names what is concerned */
    const tims_model **models;
    bool *rewrites; /* of each model: rows that were there before have changed or gone */
    bool *unnamed;  /* of each model: a row that has changed has no proper id, and is in no change */
    size_t model_count;
} live__batch;

typedef struct live__batch_options {
    const tims_models *models;
    tims_mark from, to; /* of the log */
    bool is_past;       /* `to` is not where the session's snapshot stands, but earlier */
    size_t changes_max, bytes_max;
    void (*on_change)(void *argument, const tims_model *model, tims_change_op op, tims_id id);
    void *on_change_argument;
} live__batch_options;

/* Reads what the log says between the marks, and the rows it names, in the session's snapshot. `ret_batch`
 * NULL: nothing; else free it. */
tims_status live__batch_read(tims_db_session *db, const live__batch_options *options, live__batch **ret_batch,
                             tims_error *err);
void live__batch_free(live__batch **batch);
bool live__batch_names(const live__batch *batch, const tims_model *model);
tims_id live__row_id(const tims_model *model, const void *row);

/* --- topics.c: from what changed to who cares ------------------------------------------------- */

typedef enum live__hook_kind {
    LIVE__HOOK_ROWS,           /* rows of a view's query */
    LIVE__HOOK_COMPUTED,       /* rows that a computed endpoint has read */
    LIVE__HOOK_ACCESS,         /* rows on which a view's audience depends */
    LIVE__HOOK_INCLUDE,        /* rows a view's document includes */
    LIVE__HOOK_INCLUDE_ACCESS, /* rows on which it depends whether they may be read */
    LIVE__HOOK_GATE,           /* rows on which a subscriber's gate depends */
    LIVE__HOOK_LOGIN           /* the user or the login of a client */
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

/* Calls for each topic that the row has, or had in the step. */
void live__change_topics(const live__change *change,
                         void (*function)(void *argument, const tims_topic *topic), void *argument);

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
/* Calls for each hook at the topic of all of a model, without a change. */
void live__topics_visit_model(live__topics *topics, const tims_model *model,
                              void (*visit)(void *argument, live__hook *hook, const live__change *change),
                              void *argument);
/* Whether the row has or had the hook's topic. */
bool live__topics_concerns(const live__hook *hook, const live__change *change);
size_t live__topics_crowd(const live__hook *hook); /* how many hooks are at its topic */
size_t live__topics_count(const live__topics *topics);

/* --- ops.c: operations, written once for all who get them ------------------------------------- */

/* A counted, read-only list of operations: `{…},{…}`, and the whole tx frame of those who get no others. */
typedef struct live__ops {
    uint32_t magic;
    atomic_uint references;
    tims_frame *frame; /* NULL: for one subscriber only */
    tims_str list;     /* within `text` */
    tims_str text;     /* the tx */
    char bytes[];
} live__ops;
live__ops *live__ops_new(tims_str list, int64_t position, bool shared);
live__ops *live__ops_of_text(tims_str text); /* any frame that many get */
live__ops *live__ops_ref(live__ops *ops);
void live__ops_unref(live__ops **ops);

/* Whom an operation is for. */
typedef struct live__address {
    uint64_t view; /* 0: `sub` */
    uint32_t sub;
} live__address;
void live__op_put(tims_buf *out, live__address to, const tims_query *query, const void *row, tims_str json);
void live__op_del(tims_buf *out, live__address to, tims_id id);
void live__op_total(tims_buf *out, live__address to, int64_t total);
void live__op_end(tims_buf *out, live__address to, bool end);
void live__op_include(tims_buf *out, live__address to, const tims_field *field, const void *row);
void live__op_patch(tims_buf *out, live__address to, tims_str patch);
void live__op_exclude(tims_buf *out, live__address to, const tims_field *field, tims_id id);
/* What a client is told of a window beside its rows. */
typedef struct live__facts {
    const tims_live_query *query;
    size_t limit;
    bool end;
} live__facts;
void live__op_load(tims_buf *out, live__address to, const live__facts *facts, uint64_t view,
                   tims_str document, const char *reason);

/* --- job.c: what a session wants of the engine ------------------------------------------------- */

typedef enum live__job_kind {
    LIVE__JOB_HELLO,
    LIVE__JOB_AUTH,
    LIVE__JOB_SUB,
    LIVE__JOB_MORE,
    LIVE__JOB_UNSUB,
    LIVE__JOB_CATCH_UP,
    LIVE__JOB_JOIN,
    LIVE__JOB_LEAVE,
    LIVE__JOB_PUBLISH,
    LIVE__JOB_GONE
} live__job_kind;
typedef struct live__job {
    struct live__job *next;
    live__job_kind kind;
    tims_live *live;
    live__hub *hub;
    uint64_t session;
    uint32_t sub;
    int64_t limit;      /* SUB: rows held; MORE: rows wanted; CATCH_UP: the position reached */
    tims_caller caller; /* HELLO: as the cookie says */
    tims_opt_id login;
    bool is_present; /* JOIN */
    char *url,
        *text; /* owned; HELLO, AUTH: text is the token; SUB: `from`; JOIN: the state; PUBLISH: kind, data */
    size_t url_length, text_length;
} live__job;

char *live__keep(tims_str text); /* malloc'd */
/* From any thread: takes the job. */
void live__job_post(live__job *job);
live__job *live__job_new(live__job_kind kind, const live__session *session, tims_str url, tims_str text);
void live__job_free(live__job **job);

/* --- delivery.c: what a step has for one loop -------------------------------------------------- */

typedef enum live__item_kind {
    LIVE__ITEM_VIEW_OPS, /* for everybody on `view` */
    LIVE__ITEM_SUB_OPS,  /* for one subscription, which is on `view` from here on */
    LIVE__ITEM_FRAME,    /* for one session; with `attach` the subscription is on `view` from here on */
    LIVE__ITEM_WELCOME,
    LIVE__ITEM_DONE,   /* a job is, and there is nothing to say */
    LIVE__ITEM_SHARED, /* a frame for one session of many that get the same */
    LIVE__ITEM_FREED,  /* the subscription is no more */
    LIVE__ITEM_CAUGHT_UP,
    LIVE__ITEM_CLOSE,
    LIVE__ITEM_CLOSE_ALL
} live__item_kind;
typedef struct live__item {
    struct live__item *next;
    live__item_kind kind;
    uint64_t session, view;
    uint32_t sub;
    bool attach, detach, answers; /* answers: one of the session's jobs is done */
    const char *event, *reason;
    int code;
    int64_t position;
    tims_caller caller;
    live__ops *ops;
    char *text; /* owned */
    size_t text_length;
} live__item;
typedef struct live__delivery {
    live__hub *hub;
    int64_t position;
    int64_t heard_us; /* when the commit was heard of; 0: it was not */
    live__item *first, *last;
} live__delivery;
/* A new item at the end of the outbox of a hub. */
live__item *live__deliver(live__engine *engine, live__hub *hub, live__item item);
/* Hands everything over. */
void live__deliver_all(live__engine *engine, int64_t heard_us);
void live__delivery_free(live__delivery **delivery);

/* --- wire.c: frames other than tx ------------------------------------------------------------- */

typedef struct live__frame {
    tims_buf text; /* malloc'd */
    tims_json_writer writer;
} live__frame;
void live__frame_begin(live__frame *frame, const char *kind);
void live__frame_int(live__frame *frame, const char *name, int64_t value);
void live__frame_str(live__frame *frame, const char *name, tims_str value);
void live__frame_bool(live__frame *frame, const char *name, bool value);
/* Ends it; its text is the caller's to free. False: it has grown too large, and is freed. */
TIMS_MUST_USE bool live__frame_end(live__frame *frame, char **ret_text, size_t *ret_length);
void live__frame_drop(live__frame *frame);
void live__send_welcome(live__session *session);
void live__send_pong(live__session *session);
void live__send_bye(live__session *session, const char *reason, int64_t retry_ms);
typedef struct live__refusal {
    const char *member; /* what `id` is: "sub", "join"; NULL: the frame was refused */
    uint32_t id;
    int status;
    const char *code, *message;
} live__refusal;
void live__send_refusal(live__session *session, const live__refusal *refusal);
tims_str live__position_text(tims_arena *arena, const tims_live *live, int64_t position);

/* --- metrics.c ---------------------------------------------------------------------------------- */

enum { LIVE__LAG_BUCKETS = 12 };
typedef struct live__metrics {
    _Atomic uint64_t steps, changes, floods, touched, frames, bytes, snaps, resumes, resets, loads, behind,
        slow;
    _Atomic uint64_t lag_buckets[LIVE__LAG_BUCKETS + 1], lag_count, lag_sum_us;
    _Atomic uint64_t views, subscribers, sessions;
    _Atomic uint64_t pokes_sent, pokes_heard, bus_sent, bus_heard, bus_unreadable, bus_peers, bus_up;
    _Atomic uint64_t group_sent, group_heard, group_unsent;
} live__metrics;
void live__metrics_lag(live__metrics *metrics, int64_t lag_us);

#include "live/view_internal.h"

#include "live/engine_internal.h"
#include "live/hub_internal.h"
#include "live/presence_internal.h"

/* --- feed.c: the fiber that makes the engine step ----------------------------------------------- */

typedef struct live__feed {
    tims_live *live;
    tims_loop *loop;
    tims_fiber *fiber;
    tims_timer timer, due_timer;
    bool stopping, poked, tried_again;
    atomic_bool poke_posted, request_posted;
    _Atomic int64_t heard_us; /* the oldest commit that was heard of and not yet read */
    int64_t pruned_us, doubted_us;
    int64_t noted_log_id, noted_us; /* where and when a mark was noted last */
} live__feed;

tims_status live__feed_start(live__feed *feed, tims_loop *loop, tims_error *err);
void live__feed_stop(live__feed *feed);
void live__feed_free(live__feed *feed);
void live__feed_wake(live__feed *feed);
/* witness.c: what stands beside the database hears, before the epoch is read, whether it is an older copy
 * (then another epoch begins), and is told how far the database has come. */
tims_status live__witness_hear(tims_live *live, tims_db_session *db, tims_arena *arena, tims_error *err);
void live__witness_note(const tims_live *live);

/* retention.c: notes where the log stands, and lets go of what is old. Raises. */
bool live__retention_is_due(const live__feed *feed);
void live__retention_keep(tims_request *rq, void *feed);

/* --- follower.c: who keeps what was read ------------------------------------------------------- */

void live__follower_tell(const live__step *step); /* what has changed; its position is reached */
void live__follower_clear(const tims_live *live, int64_t position);

/* --- bus.c: this node among others ------------------------------------------------------------- */

typedef struct live__bus live__bus;
live__bus *live__bus_new(tims_live *live, tims_redis *redis, tims_str prefix);
void live__bus_free(live__bus **bus);
void live__bus_start(live__bus *bus, tims_loop *loop); /* the engine's */
void live__bus_stop(live__bus *bus);
void live__bus_poke(live__bus *bus); /* NULL: nobody else is there */
/* online.c */
void live__online_hear(tims_live *live, tims_id user, bool online); /* on another node */

/* --- live.c ------------------------------------------------------------------------------------- */

struct tims_live {
    uint32_t magic;
    tims_db *db;
    const tims_models *models;
    tims_auth *auth;
    tims_live_options options;
    live__limits limits;
    tims_arena *arena;
    _Atomic(const char *) epoch;                /* LIVE__EPOCH_LENGTH characters; see tims_live_epoch */
    int64_t server_start_us;                    /* of the database's server, when the epoch was read */
    const char *witness;                        /* the file's path; NULL: there is none */
    struct live__dependency_list *dependencies; /* of the models asked for so far */
    pthread_mutex_t mutex;                      /* guards `hubs` and feed.loop */
    live__hub *hubs[LIVE__LOOPS_MAX];
    live__feed feed;
    live__engine engine;
    live__presence *presence; /* of the engine's loop */
    live__bus *bus;           /* NULL: this node is alone */
    struct {
        live__held own;   /* connected here; the engine's, as all but `users` */
        tims_map *counts; /* user → on how many nodes */
        live__held users; /* on any node; under the mutex */
        bool changed;     /* since it was told */
        int64_t told_us;
    } online;
    live__metrics metrics;
};

/* Reads the database's epoch, which begins anew if it has to; outside of snapshots. */
tims_status live__epoch_read(tims_live *live, tims_db_session *db, tims_error *err);

#endif
