/* pool_internal.h: the render processes, as pool.c, process.c and ask.c share them.
 *
 * A place is what one process of the pool stands in; there are as many as RENDER_PROCESSES. In a place one
 * process is asked, and a second one may be starting that will take its place.
 *
 *   (empty) ──start──► next: STARTING ──listens──► current: READY ──replaced──► LEAVING ──idle──► SIGTERM ──►
 *                         │ exits                      │ exits
 *                         └──── pause, start again ◄───┘
 *
 * All of it is under the pool's mutex, since any loop asks; processes themselves live on loop 0. */
#ifndef PAGES_POOL_INTERNAL_H
#define PAGES_POOL_INTERNAL_H

#include "pages/pages_internal.h"

enum {
    POOL__PLACES_MAX = 64,
    POOL__PATH_MAX = 160,  /* a socket's path has 107 at most */
    POOL__RENDERS_MAX = 8, /* at a time in one process: it works on one, the others wait for something in
                              their page, or keep its socket busy meanwhile */
    POOL__WAITERS_PER_PLACE =
        32,              /* at 3 to 10 ms a render and process a page waits 0.1 to 0.3 s behind them */
    POOL__WAIT_MS = 500, /* then the shell is sooner there */
    POOL__SILENT_MAX = 3,
    POOL__RESTS_MAX = 2,   /* without an answer between: it hangs, and is replaced */
    POOL__FAILED_MAX = 10, /* pages in a row: it is replaced, whatever the reason */
    POOL__REST_US = 2000000,
    POOL__PAUSE_MIN_MS = 100,
    POOL__PAUSE_MAX_MS = 10000,
    POOL__START_TIMEOUTS = 30, /* as many RENDER_TIMEOUTs it may take to listen; then it is ended */
    POOL__LIVED_US = 30000000, /* lived so long: the next pause is the shortest again */
};

typedef enum pool__state {
    POOL__STARTING,
    POOL__READY,
    POOL__LEAVING, /* gets no new work, and ends when it has done what it has */
    POOL__GONE,
} pool__state;

typedef struct pool__place pool__place;

typedef struct pool__process {
    struct pool__process *next; /* of all, gone ones too until nobody waits for them */
    tims_pages *pages;
    pool__place *place; /* NULL: somebody else's server */
    pool__state state;
    int busy; /* pages it was asked for and has not answered */
    int silent_count, rest_count, failed_count;
    bool should_go;                      /* it hangs or fails: replaced at the next look */
    int64_t started_us, left_us;         /* monotonic */
    int64_t answered_us, rests_until_us; /* its last sign of life; it gave none for too long, so it is not
                                          * asked until then */
    uint64_t build;                      /* the front end's when it was started */
    tims_str base; /* "unix:/tmp/…/render-1.sock:" or "http://host:port"; a path follows */
    char setting[POOL__PATH_MAX], address[POOL__PATH_MAX]; /* behind `socket` and `base` of our own ones */
    /* loop 0 only */
    tims_str socket; /* terminated */
    tims_process *process;
    tims_fiber *probe;
    bool was_terminated, was_killed;
} pool__process;

struct pool__place {
    pages__pool *pool;
    pool__process *current, *next;
    tims_timer timer; /* loop 0 only, as what follows */
    bool will_start;  /* it is set */
    int64_t pause_ms;
};

/* Somebody who waits for a process to have room. */
typedef struct pool__ticket {
    struct pool__ticket *next;
    pool__process *granted;
    tims_loop *loop;
    tims_fiber *fiber; /* on its loop only; NULL: it waits no longer */
    atomic_int refs;
    bool queued;
} pool__ticket;

struct pages__pool {
    tims_pages *pages;
    pthread_mutex_t mutex;
    pool__process *all;
    pool__place places[POOL__PLACES_MAX];
    size_t place_count; /* 0: there is none, or it is somebody else's */
    pool__process *foreign;
    int renders_max; /* of one process */
    pool__ticket *first_waiter, **last_waiter;
    size_t waiter_count, waiters_max;
    int64_t timeout_ms;
    /* the very first start */
    _Atomic bool is_starting;
    _Atomic int64_t started_us;
    /* loop 0 only */
    tims_loop *loop;
    tims_timer timer;
    tims_str folder;
    const char *line;
    int64_t looked_us;
    uint64_t serial;
    bool stopping;
};

/* pool.c */
/* A process that has room, once it is this request's turn; NULL, with the reason. Suspends. `avoid`: one that
 * has just failed, NULL: none. */
pool__process *pool__acquire(pages__pool *pool, const pool__process *avoid, pages__why *ret_why);
void pool__release(pool__process *process);
void pool__serve_waiters(pages__pool *pool); /* after whatever may have made room */
/* What came of asking: judges the process by it. */
void pool__judge(pool__process *process, tims_status status, int http_status, int64_t asked_us);
/* Waits for the very first start: whoever comes that early gets the whole page. Suspends. */
void pool__wait_for_start(pages__pool *pool);
tims_str pool__any_base(tims_pages *pages, tims_arena *arena); /* empty: there is none */

/* process.c, loop 0: starts another one in each place, and lets those that are there go when it is ready. */
void pool__replace_all(pages__pool *pool);

#endif
