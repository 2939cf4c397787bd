/* view_internal.h: views and what they are made of. Included by live_internal.h. */
#ifndef LIVE_VIEW_INTERNAL_H
#define LIVE_VIEW_INTERNAL_H

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
bool live__held_remove(live__held *held, tims_id id); /* false: it was not there */
bool live__held_add(live__held *held, tims_id id);    /* false: it was there */
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

/* --- view.c, view_apply.c, view_document.c: one live result ------------------------------------ */

typedef struct live__include_access {
    live__hook hook;
    const live__dependency *dependency;
} live__include_access;

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
    bool is_computed;
    bool is_requeried; /* an offset, a cursor: what is in the window cannot be told from a row alone */
    live__hook *row_hooks;
    size_t row_hook_count;
    tims_audience *audience; /* of a view that is not shared */
    tims_reads *reads;       /* of a computed one */
    const live__dependency *dependencies;
    live__hook access_hooks[TIMS_DEPENDENCIES_MAX];
    size_t dependency_count;
    live__hook include_hooks[TIMS_LIVE_INCLUDES_MAX];
    struct live__include_access *include_access; /* what the rules of included models depend on */
    size_t include_access_count;
    live__held included[TIMS_LIVE_INCLUDES_MAX];
    live__window window;
    int64_t total;
    char *document; /* what GET answers, until the next change; NULL: not written. Computed: always there */
    size_t document_length;
    live__subscriber *subscribers;
    size_t subscriber_count;
    uint32_t hub_counts[LIVE__LOOPS_MAX]; /* its subscribers by loop */
    live__view *next_idle, *previous_idle;
    int64_t idle_since_us;
    bool is_idle;
    /* within one step */
    bool is_rewritten; /* in a flood: rows that were shown may be others now */
    bool is_dirty, must_reread, must_count, must_load, audience_changed, includes_changed;
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
    tims_mark mark;   /* of its snapshot */
    int64_t position; /* of `mark` */
    const live__batch *batch;
    live__view *dirty;
    live__subscriber *gates;  /* to be asked again */
    live__subscriber *failed; /* to be refused at its end */
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
/* Rows that a row points at: those that the clients have not been given yet; all of them; one of them; and
 * all that the clients have been given. They are written by _write_includes, or excluded if they may not be
 * read. */
void live__view_note(live__step *step, live__view *view, const void *row);
void live__view_want_shown(live__step *step, live__view *view);
void live__view_want_all(live__step *step, live__view *view, const void *row);
void live__view_want(live__step *step, live__view *view, uint32_t include, tims_id id);
/* The row that a reference points at. False: at none. */
bool live__reference_of(const tims_field *field, const void *row, tims_id *ret_id);
void live__view_write_includes(live__step *step, live__view *view, tims_buf *out, live__address to);
bool live__view_is_end(const live__view *view);
live__facts live__facts_of(const live__view *view);
/* The rows shown from `first` on, to one who has those before. Raises. */
void live__view_put_from(live__step *step, live__view *view, size_t first, tims_buf *out, live__address to);
/* Its URL's own size: nobody on it holds less. */
size_t live__view_own_limit(const live__view *view);
/* Whether it is of its URL's own size, so that a GET shows all of it. */
bool live__view_has_document(const live__view *view);
/* Its subscribers have been given its document as it is now: of the included rows only those of its rows. */
void live__view_reset_included(live__view *view);
void live__view_read_audience(live__step *step, live__view *view);
void live__view_read_window(live__step *step, live__view *view);
void live__view_count(live__step *step, live__view *view);
void live__order_write(tims_buf *out, const tims_query *query); /* as in ?order=, with kinds */

/* Nobody new will find it; it goes when its last subscriber does. */
void live__view_unlist(live__view *view);
void live__view_hang_on(live__view *view, const tims_reads *reads);

/* view_computed.c: the first run; a run after a change. Raise. */
tims_status live__computed_load(live__step *step, live__view *view, tims_error *err);
void live__computed_apply(live__step *step, live__view *view);

/* resume.c: what changed for a client since a position, as operations. False: it cannot be told; `ret_reason`
 * says why. Raises. */
bool live__resume(live__step *step, live__subscriber *subscriber, int64_t from, size_t held, tims_buf *out,
                  const char **ret_reason);

/* --- history.c: the last batches, for those who come back ------------------------------------- */

typedef struct live__history {
    live__batch **items; /* oldest first, without a gap */
    size_t count, capacity;
    size_t change_count, byte_count;
    int64_t from, to;    /* it covers (from, to] */
    char *from_snapshot; /* of `from`: see tims_mark */
} live__history;
/* Takes the batch. Drops what is old when it grows past its bounds. */
void live__history_add(live__history *history, live__batch *batch, size_t changes_max);
/* Reads the log back to `from`, once for all who come from there. False: the log does not reach, or it is
 * too much. Raises. */
bool live__history_reach(live__step *step, int64_t from);
/* Nothing has changed up to the mark. */
void live__history_pass(live__history *history, int64_t position);
/* Empties it; it goes on from the mark. */
void live__history_start(live__history *history, const tims_mark *mark);
void live__history_free(live__history *history);

#endif
