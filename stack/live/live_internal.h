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
    LIVE__JOBS_MAX = 2000,           /* of one session, waiting */
    LIVE__JOBS_A_STEP = 64,          /* then changes have their turn again */
    LIVE__STEP_CHANGES_MAX = 20000,  /* a larger step makes the views of its models start again */
    LIVE__STEP_BYTES_MAX = 64 << 20, /* the same, by the size of the rows */
    LIVE__HISTORY_BYTES_MAX = 32 << 20,
    LIVE__IDLE_VIEWS_MAX = 1000,
    LIVE__IDLE_VIEW_MS = 120 * 1000,
    LIVE__BEHIND_BYTES =
        256 * 1024, /* unread: from here on a socket is brought up to date when it has read */
    LIVE__BEHIND_MS = 30 * 1000,
    LIVE__HEARTBEAT_MS = 15000,
    LIVE__DEAD_MS = 30000,
    LIVE__HELLO_MS = 10000,
    LIVE__PROTOCOL = 2,
    LIVE__PRUNE_MS = 60000,
    LIVE__LOG_ROWS_MAX = 1000000,
    LIVE__CLOSE_DRAINING = 1001,
    LIVE__CLOSE_SLOW = 1013,
    LIVE__CLOSE_PROTOCOL = 4400,
    LIVE__CLOSE_SESSION = 4401,
    LIVE__CLOSE_TIMEOUT = 4408,
    LIVE__CLOSE_TOO_MANY = 4429
};

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
    live__change *changes;
    size_t count;
    bool flood; /* too many: `changes` is empty, `models` names what is concerned */
    const tims_model **models;
    size_t model_count;
} live__batch;

typedef struct live__batch_options {
    const tims_models *models;
    int64_t from, to; /* `to` 0: the end of the log */
    size_t changes_max;
    void (*on_change)(void *argument, const tims_model *model, tims_change_op op, tims_id id);
    void *on_change_argument;
} live__batch_options;

/* Reads what the log says after `from`, and the rows it names, in the session's snapshot. `ret_batch` NULL:
 * nothing; else free it. */
tims_status live__batch_read(tims_db_session *db, const live__batch_options *options, live__batch **ret_batch,
                             tims_error *err);
void live__batch_free(live__batch **batch);
bool live__batch_names(const live__batch *batch, const tims_model *model);
/* The text under which a key value stands in topics: ids and text as they are, numbers in decimal; data ==
 * NULL: null. */
tims_str live__key_text(tims_arena *arena, const tims_db_value *value);
tims_id live__row_id(const tims_model *model, const void *row);

/* --- history.c: the last batches, for those who come back ------------------------------------- */

typedef struct live__history {
    live__batch **items; /* oldest first, without a gap */
    size_t count, capacity;
    size_t change_count, byte_count;
    int64_t from, to; /* it covers (from, to] */
} live__history;
/* Takes the batch. Drops what is old when it grows past its bounds. */
void live__history_add(live__history *history, live__batch *batch, size_t changes_max);
/* Reads the log back to `from`, once for all who come from there. False: the log does not reach, or it is
 * too much. Raises. */
bool live__history_reach(live__step *step, int64_t from);
void live__history_clear(live__history *history, int64_t position);

/* --- topics.c: from what changed to who cares ------------------------------------------------- */

typedef enum live__hook_kind {
    LIVE__HOOK_ROWS,    /* rows of a view's query */
    LIVE__HOOK_ACCESS,  /* rows on which a view's audience depends */
    LIVE__HOOK_INCLUDE, /* rows a view's document includes */
    LIVE__HOOK_GATE,    /* rows on which a subscriber's gate depends */
    LIVE__HOOK_LOGIN    /* the user or the login of a client */
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
/* Whether the row has or had the hook's topic. */
bool live__topics_concerns(const live__hook *hook, const live__change *change);
size_t live__topics_crowd(const live__hook *hook); /* how many hooks are at its topic */
size_t live__topics_count(const live__topics *topics);

/* --- window.c: the first rows of a result, in order ------------------------------------------- */

typedef struct live__entry {
    tims_id id;
    void *row; /* its order fields; the other members are not to be looked at */
} live__entry;
typedef struct live__window {
    live__entry *items;
    size_t count, capacity;
    size_t limit;  /* clients hold the first `limit`; some more are kept to fill gaps from */
    bool complete; /* nothing is behind the last one */
} live__window;
size_t live__window_reach(const live__window *window);            /* rows it keeps at most */
size_t live__window_find(const live__window *window, tims_id id); /* SIZE_MAX: not held */
/* How many of its rows clients hold. */
static inline size_t live__window_shown(const live__window *window)
{
    return window->count < window->limit ? window->count : window->limit;
}
/* Puts or moves a row; false: it stands behind what is held, where the window does not look. */
bool live__window_put(live__window *window, const tims_query *query, const void *row);
void live__window_remove(live__window *window, size_t index);
/* Takes these rows (`count` structs in order) as what is held now. */
void live__window_set(live__window *window, const tims_query *query, const void *rows, size_t count,
                      bool complete);
void live__window_clear(live__window *window);
/* Sorted ids, for comparing what was with what is. */
typedef struct live__ids {
    tims_id *items;
    size_t count;
} live__ids;
live__ids live__window_ids(tims_arena *arena, const live__window *window); /* of the rows shown */
bool live__ids_have(const live__ids *ids, tims_id id);

/* --- held.c: a growing set of ids ------------------------------------------------------------- */

typedef struct live__held {
    tims_id *ids; /* sorted */
    size_t count, capacity;
} live__held;
bool live__held_has(const live__held *held, tims_id id);
bool live__held_add(live__held *held, tims_id id); /* false: it was there */
void live__held_free(live__held *held);

/* --- access.c: who may see what, in memory where that is enough ------------------------------- */

typedef tims_dependency live__dependency;
/* Of a model's read rule; they live as long as the room. */
const live__dependency *live__dependencies_of(tims_live *live, const tims_model *model, size_t *ret_count);
/* Whether this change can change what the caller may read. */
bool live__dependency_concerns(const live__dependency *dependency, const live__change *change,
                               tims_caller caller);
/* Hangs a hook on the topic of a dependency. */
void live__dependency_hook(live__topics *topics, live__hook *hook, const live__dependency *dependency,
                           tims_caller caller);

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
/* What a client is told of a window beside its rows. */
typedef struct live__facts {
    const tims_live_query *query;
    size_t limit;
    bool end;
} live__facts;
void live__op_load(tims_buf *out, live__address to, const live__facts *facts, uint64_t view,
                   tims_str document, const char *reason);

/* --- view.c, view_apply.c, view_document.c: one live result ------------------------------------ */

/* Something that a step has to tell a view's readers about. */
typedef struct live__touch {
    struct live__touch *next;
    const live__change *change;
    uint32_t index; /* INCLUDE: which */
    tims_id id;
} live__touch;

struct live__view {
    uint32_t magic;
    uint64_t id;
    tims_live *live;
    tims_arena *arena;
    tims_str key, url;
    tims_live_query query; /* its caller: whoever opened it first; trusted where all pass the gate */
    tims_caller reader;    /* whose it is; of a shared one: somebody of the class */
    bool is_shared;        /* what the rule says is the same for all its rows: subscribers have a gate */
    bool is_requeried;     /* an offset, a cursor: what is in the window cannot be told from a row alone */
    live__hook *row_hooks;
    size_t row_hook_count;
    tims_audience *audience; /* of a view that is not shared */
    const live__dependency *dependencies;
    live__hook access_hooks[TIMS_DEPENDENCIES_MAX];
    size_t dependency_count;
    live__hook include_hooks[TIMS_LIVE_INCLUDES_MAX];
    live__held included[TIMS_LIVE_INCLUDES_MAX];
    live__window window;
    int64_t total;
    char *document; /* what GET answers, until the next change; NULL: not written */
    size_t document_length;
    live__subscriber *subscribers;
    size_t subscriber_count;
    uint32_t hub_counts[LIVE__LOOPS_MAX]; /* its subscribers by loop */
    live__view *next_idle, *previous_idle;
    int64_t idle_since_us;
    bool is_idle;
    /* within one step */
    bool is_dirty, must_reread, must_count, must_load, audience_changed;
    live__view *next_dirty;
    struct live__touch *touches;
    struct live__touch *include_touches;
    tims_buf ops;
};

/* One step of the engine: what it reads with, and what came of it so far. */
struct live__step {
    tims_live *live;
    live__engine *engine;
    tims_request *rq;
    tims_db_session *db;
    int64_t position; /* of its snapshot */
    const live__batch *batch;
    live__view *dirty;
    live__subscriber *gates; /* to be asked again */
};

/* The view of a URL for a caller, loaded. `limit` 0: the URL's own. `ret_view` NULL: the caller does not pass
 * its gate. Raises; refusals of the URL are statuses. */
tims_status live__view_get(live__step *step, tims_str url, tims_caller caller, size_t limit,
                           live__view **ret_view, tims_error *err);
void live__view_free(live__view **view);
void live__view_touch(live__step *step, live__hook *hook, const live__change *change);
void live__view_mark(live__step *step, live__view *view);
/* Brings a dirty view to the step's position; its operations are in view->ops. Raises. */
void live__view_apply(live__step *step, live__view *view);
bool live__view_depends_on(const live__view *view, const tims_model *model);
/* What GET answers now, written on behalf of one who may see it. Borrowed until the view's next change.
 * Raises. */
tims_str live__view_document(live__step *step, live__view *view, tims_caller caller);
/* What GET of a URL answers to somebody who sees nothing there. Raises. */
tims_str live__closed_document(live__step *step, tims_str url, tims_caller caller, bool is_detail);
/* Rows of the window by id, in full, in the step's snapshot. Raises. */
void live__view_select(live__step *step, const live__view *view, const tims_id *ids, size_t count,
                       void **ret_rows, size_t *ret_count);
/* Rows that a row points at: those that the clients have not been given yet; all of them; one of them. They
 * are written by _write_includes. */
void live__view_note(live__step *step, live__view *view, const void *row);
void live__view_want_all(live__step *step, live__view *view, const void *row);
void live__view_want(live__step *step, live__view *view, uint32_t include, tims_id id);
/* The row that a reference points at. False: at none. */
bool live__reference_of(const tims_field *field, const void *row, tims_id *ret_id);
void live__view_write_includes(live__step *step, live__view *view, tims_buf *out, live__address to);
bool live__view_is_end(const live__view *view);
live__facts live__facts_of(const live__view *view);
/* The rows shown from `first` on, to one who has those before. Raises. */
void live__view_put_from(live__step *step, live__view *view, size_t first, tims_buf *out, live__address to);
/* Whether it is of its URL's own size, so that a GET shows all of it. */
bool live__view_has_document(const live__view *view);
/* Its subscribers have been given its document as it is now: of the included rows only those of its rows. */
void live__view_reset_included(live__view *view);
void live__view_read_audience(live__step *step, live__view *view);
void live__view_read_window(live__step *step, live__view *view);
void live__view_count(live__step *step, live__view *view);
tims_str live__order_text(tims_arena *arena, const tims_query *query);

/* resume.c: what changed for a client since a position, as operations. False: it cannot be told; `ret_reason`
 * says why. Raises. */
bool live__resume(live__step *step, live__subscriber *subscriber, int64_t from, size_t held, tims_buf *out,
                  const char **ret_reason);

/* --- client.c: the engine's side of a session ------------------------------------------------- */

struct live__subscriber {
    uint32_t magic;
    uint32_t id;
    live__client *client;
    live__subscriber *next, *previous;                 /* of the client */
    live__subscriber *next_of_view, *previous_of_view; /* of the view */
    live__view *view;                                  /* NULL: the gate is closed */
    size_t limit;                                      /* 0: the URL's own */
    char *url;
    size_t url_length;
    const live__dependency *dependencies; /* of the gate */
    live__hook *gate_hooks;
    size_t gate_hook_count;
    bool gate_dirty;
    live__subscriber *next_gate;
};

typedef enum live__job_kind {
    LIVE__JOB_HELLO,
    LIVE__JOB_AUTH,
    LIVE__JOB_SUB,
    LIVE__JOB_MORE,
    LIVE__JOB_UNSUB,
    LIVE__JOB_CATCH_UP,
    LIVE__JOB_GONE
} live__job_kind;
/* What a session wants of the engine. */
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
    bool welcomed;    /* HELLO of an event stream: it is greeted already */
    char *url, *text; /* owned; `text`: HELLO, AUTH the token; SUB `from` */
    size_t url_length, text_length;
} live__job;

struct live__client {
    uint32_t magic;
    live__hub *hub;
    uint64_t session;
    tims_caller caller;
    tims_opt_id login;
    bool is_welcomed, is_ready;
    live__hook user_hook, login_hook;
    live__subscriber *subscribers;
    size_t subscriber_count;
    live__job *first_job, *last_job;
    live__client *next_ready;
};

/* From any thread: takes the job (malloc'd). */
void live__job_post(live__job *job);
live__job *live__job_new(live__job_kind kind, const live__session *session, tims_str url, tims_str text);
void live__job_free(live__job **job);
/* Does it, in the step's snapshot. Raises. */
void live__client_do(live__step *step, live__client *client, live__job *job);
/* A job that has failed: whoever waits for it is told. */
void live__client_fail(live__engine *engine, live__client *client, const live__job *job);
void live__client_free(live__engine *engine, live__client **client);
/* A change of its user or login row. */
void live__client_check(live__engine *engine, live__client *client, const live__change *change);
void live__subscriber_attach(live__engine *engine, live__subscriber *subscriber, live__view *view);
void live__subscriber_detach(live__engine *engine, live__subscriber *subscriber);
void live__subscriber_drop(live__engine *engine, live__subscriber *subscriber);

/* --- gate.c: who passes ------------------------------------------------------------------------- */

bool live__subscriber_depends_on(const live__subscriber *subscriber, const tims_model *model);
void live__gate_hook(live__engine *engine, live__subscriber *subscriber, const tims_query *query);
void live__gate_unhook(live__engine *engine, live__subscriber *subscriber);
void live__gate_touch(live__step *step, const live__hook *hook, const live__change *change);
void live__gate_mark(live__step *step, live__subscriber *subscriber);
/* Ask the gates again that a change concerns: first those that close, before any operation of their views;
 * then, when the views have been applied, those that open. Raise. */
void live__gates_close(live__step *step);
void live__gates_open(live__step *step);

/* --- engine.c: the views and the step that brings them on ------------------------------------- */

struct live__engine {
    tims_live *live;
    live__topics *topics;
    tims_map *views;   /* by key */
    tims_map *clients; /* by loop and session */
    live__view *first_idle, *last_idle;
    size_t idle_count;
    uint64_t last_view_id;
    live__history history;
    int64_t position;
    live__client *first_ready, *last_ready;
    size_t ready_count;
    live__job *first_received, *last_received; /* taken at the next step's beginning */
    struct live__delivery *outboxes[LIVE__LOOPS_MAX];
    int64_t told[LIVE__LOOPS_MAX]; /* the position each hub was told last */
};

void live__engine_start(live__engine *engine, tims_live *live, int64_t position);
void live__engine_clear(live__engine *engine);
/* One step. Errors: the database's; then every client was closed and the engine stands where it stood. */
tims_status live__engine_step(live__engine *engine, tims_loop *loop, tims_error *err);
bool live__engine_has_work(const live__engine *engine);
/* Takes the job; on the engine's loop. */
void live__engine_receive(live__engine *engine, live__job *job);
void live__engine_forget_idle(live__engine *engine, live__view *view);
void live__engine_note_idle(live__engine *engine, live__view *view);

/* --- delivery.c: what a step has for one loop -------------------------------------------------- */

typedef enum live__item_kind {
    LIVE__ITEM_VIEW_OPS, /* for everybody on `view` */
    LIVE__ITEM_SUB_OPS,  /* for one subscription, which is on `view` from here on */
    LIVE__ITEM_FRAME,    /* for one session; with `attach` the subscription is on `view` from here on */
    LIVE__ITEM_WELCOME,
    LIVE__ITEM_FREED, /* the subscription is no more */
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
void live__send_refusal(live__session *session, uint32_t sub, int status, const char *code,
                        const char *message);
tims_str live__position_text(tims_arena *arena, const tims_live *live, int64_t position);

/* --- session.c: one client, on its loop -------------------------------------------------------- */

typedef enum live__session_state {
    LIVE__OPENED,
    LIVE__GREETED,
    LIVE__WELCOMED,
    LIVE__CLOSED
} live__session_state;

/* Where a session's frames go: a websocket, or a stream of events. `frame` (may be NULL) is the text ready
 * for sockets. */
typedef struct live__sink {
    void (*send)(void *ctx, const char *event, int64_t position, tims_str text, tims_frame *frame);
    void (*close)(void *ctx, int code, const char *reason);
    size_t (*queued)(void *ctx); /* bytes that were sent and not read */
} live__sink;

/* A subscription as its loop knows it. */
typedef struct live__local {
    live__session *session;
    uint32_t sub;
    uint64_t view; /* 0: none */
    bool closing;  /* unsubscribed: what is on its way for it is dropped */
    bool growing;
    struct live__local *next, *previous;                 /* of the session */
    struct live__local *next_of_view, *previous_of_view; /* of the view, on this loop */
} live__local;

struct live__session {
    uint32_t magic;
    live__session_state state;
    uint64_t serial;
    live__hub *hub;
    live__session *next, *previous; /* of the hub */
    const live__sink *sink;
    void *sink_ctx;
    tims_socket *socket;
    bool is_stream; /* of events: it has no welcome and no heartbeats of the client */
    tims_caller caller;
    tims_opt_id login; /* the login session or token of the upgrade */
    live__local *locals;
    uint32_t local_count, job_count, bad_frames;
    int64_t heard_us;
    /* of the tx being made */
    live__ops *ops_inline[2];
    live__ops **ops;
    uint32_t ops_count, ops_capacity;
    live__session *next_dirty;
    bool is_dirty;
    /* it reads too slowly: frames are left out until it has read, then what it missed is sent as one */
    bool is_behind, is_catching_up;
    int64_t behind_position, behind_since_us;
};

live__session *live__session_new(live__hub *hub, const live__sink *sink, void *sink_ctx);
void live__session_free(live__session **session);
void live__session_welcome(live__session *session, tims_caller caller);
void live__session_subscribe(live__session *session, uint32_t sub, tims_str url, tims_str from, int64_t held);
/* Sends the operations gathered as one tx. */
void live__session_flush(live__session *session, int64_t position);
void live__session_caught_up(live__session *session);
/* Says why, then closes. */
void live__session_end(live__session *session, int code, const char *reason);
/* Nothing more is sent or read; memory goes when its stream or socket does. */
void live__session_close(live__session *session, int code, const char *reason);
void live__session_gone(live__session **session); /* the peer has left: ends it */
void live__session_send(live__session *session, const char *event, int64_t position, tims_str text,
                        tims_frame *frame);
/* A frame of the client. */
void live__session_receive(live__session *session, tims_str message);
/* Once a second. */
void live__session_watch(live__session *session, int64_t now_us);
void live__session_drained(live__session *session);
/* What it stands at, as it was told. */
int64_t live__session_position(const live__session *session);

/* --- message.c: frames in --------------------------------------------------------------------- */

typedef enum live__message_kind {
    LIVE__MALFORMED,
    LIVE__UNKNOWN,
    LIVE__HELLO,
    LIVE__SUB,
    LIVE__MORE,
    LIVE__UNSUB,
    LIVE__PING,
    LIVE__AUTH
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

/* --- hub.c: one loop's sessions ---------------------------------------------------------------- */

struct live__hub {
    uint32_t magic;
    int index;
    tims_live *live;
    tims_loop *loop;
    live__session *sessions;
    size_t session_count;
    uint64_t last_serial;
    tims_map *by_serial;                 /* sessions */
    tims_map *by_sub;                    /* locals, by session and sub */
    tims_map *by_view;                   /* the first local of each view */
    int64_t position, previous_position; /* of the last two deliveries */
    live__session *dirty;
    tims_timer timer;
    bool stopping;
};

live__hub *live__hub_new(tims_live *live, tims_loop *loop);
void live__hub_stop(live__hub *hub);
void live__hub_free(live__hub **hub);
/* Takes the delivery. */
void live__hub_receive(live__hub *hub, live__delivery *delivery);
live__local *live__hub_find(live__hub *hub, const live__session *session, uint32_t sub);
live__local *live__hub_add(live__hub *hub, live__session *session, uint32_t sub);
void live__hub_remove(live__hub *hub, live__local *local);
live__hub *live__hub_of(tims_live *live, tims_loop *loop);
live__hub *live__hub_at(tims_live *live, int index); /* from any thread; NULL: there is none */

/* login.c: who a token belongs to. Suspends. Errors: UNAUTHORIZED, the database's. */
TIMS_MUST_USE tims_status live__login_by_token(live__step *step, tims_str token, tims_caller *ret_caller,
                                               tims_opt_id *ret_login);
/* The login of a request: the session or token it came with. */
tims_opt_id live__login_of(tims_request *rq);

/* --- feed.c: the fiber that makes the engine step ----------------------------------------------- */

typedef struct live__feed {
    tims_live *live;
    tims_loop *loop;
    tims_fiber *fiber;
    tims_timer timer;
    bool stopping, poked, tried_again;
    atomic_bool poke_posted;
    _Atomic int64_t heard_us; /* the oldest commit that was heard of and not yet read */
    int64_t foreign_version;
    int64_t pruned_us;
    struct live__sample *samples; /* where the log stood, once a minute */
    size_t sample_count;
} live__feed;

tims_status live__feed_start(live__feed *feed, tims_loop *loop, tims_error *err);
void live__feed_stop(live__feed *feed);
void live__feed_free(live__feed *feed);
void live__feed_wake(live__feed *feed);
/* prune.c */
tims_status live__prune(live__feed *feed, tims_db_session *db, int64_t position, tims_error *err);

/* --- metrics.c ---------------------------------------------------------------------------------- */

enum { LIVE__LAG_BUCKETS = 12 };
typedef struct live__metrics {
    _Atomic uint64_t steps, changes, floods, touched, frames, bytes, snaps, resumes, resets, loads, behind;
    _Atomic uint64_t lag_buckets[LIVE__LAG_BUCKETS + 1], lag_count, lag_sum_us;
    _Atomic uint64_t views, subscribers, sessions;
} live__metrics;
void live__metrics_lag(live__metrics *metrics, int64_t lag_us);

/* --- live.c ------------------------------------------------------------------------------------- */

struct tims_live {
    uint32_t magic;
    tims_db *db;
    const tims_models *models;
    tims_auth *auth;
    tims_live_options options;
    tims_arena *arena;
    tims_str epoch;
    struct live__dependency_list *dependencies; /* of the models asked for so far */
    pthread_mutex_t mutex;                      /* guards `hubs` and feed.loop */
    live__hub *hubs[LIVE__LOOPS_MAX];
    live__feed feed;
    live__engine engine;
    live__metrics metrics;
};

#endif
