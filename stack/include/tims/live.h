/* live.h: the change feed, topics, subscriptions, and the /live websocket; SSE for the same URLs.
 *
 * The resolver from URL to query is handed in by the composition (app), so that live knows queries, not
 * URLs. */
#ifndef TIMS_LIVE_H
#define TIMS_LIVE_H

#include "tims/auth.h"
#include "tims/model.h"

typedef struct tims_live tims_live;

/* What a subscription needs to know of a URL. */
enum { TIMS_LIVE_INCLUDES_MAX = 4 };
typedef struct tims_live_query {
    tims_query query;
    bool is_detail, with_total;
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
} tims_live_resolver;

typedef struct tims_live_options {
    tims_live_resolver resolver;
    int64_t poll_ms;             /* for foreign writers; 0: 25 */
    size_t subscriptions_max;    /* per socket; 0: 1,000 */
    size_t queue_bytes_max;      /* per socket; 0: 8 MiB; past it the socket is closed, resumable */
    int64_t log_keep_s;          /* the change log's retention; 0: 24 h */
    int64_t resume_changes_max;  /* a resume further back than this gets `reset`; 0: 10,000 */
    size_t sockets_per_user_max; /* open sockets and event streams; 0: 100 */
    /* Told of every change before any client hears of it, on the feed's loop (auth's session cache, page
     * cache). */
    void (*on_change)(void *argument, const tims_model *model, tims_change_op op, tims_id id);
    void *on_change_argument;
} tims_live_options;

tims_status tims_live_new(tims_db *db, const tims_models *models, tims_auth *auth,
                          const tims_live_options *options, tims_live **ret_live, tims_error *err);
void tims_live_free(tims_live **live);
/* Per loop, from the server's loop_start/loop_stop. Loop 0 runs the feed. */
tims_status tims_live_loop_start(tims_live *live, tims_loop *loop, tims_error *err);
void tims_live_loop_stop(tims_live *live, tims_loop *loop);
/* The websocket endpoint, a handler for the route GET /live with `data` = the tims_live. */
tims_answer tims_live_endpoint(tims_request *rq);
/* A GET with Accept: text/event-stream on a live URL: streams snap, then tx, as events. Does not return
 * before the client leaves. */
tims_answer tims_live_sse(tims_request *rq, tims_live *live, tims_str url);
tims_str tims_live_epoch(const tims_live *live);
/* What the room counts, as lines for Prometheus. From any thread. */
void tims_live_metrics(tims_live *live, tims_buf *out);

#endif
