/* hub_internal.h: one loop's sessions. Included by live_internal.h. */
#ifndef LIVE_HUB_INTERNAL_H
#define LIVE_HUB_INTERNAL_H

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
    bool owes_window;                    /* it has grown, which is told when its session has caught up */
    struct live__local *next, *previous; /* of the session */
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
    uint32_t publish_count; /* since */
    int64_t publish_since_us;
    int64_t opened_us;
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
    LIVE__AUTH,
    LIVE__JOIN,
    LIVE__LEAVE,
    LIVE__PUBLISH
} live__message_kind;
typedef struct live__message {
    live__message_kind kind;
    uint32_t sub;
    tims_str url, from, token;
    int64_t limit; /* 0: not given */
    int64_t protocol;
    tims_str name;         /* PUBLISH: the kind */
    const tims_json *data; /* JOIN: the state, or NULL; PUBLISH */
    bool is_present;
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

#endif
