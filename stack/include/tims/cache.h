/* cache.h: answers that are kept until what they were read from changes.
 *
 * An answer is kept with the topics of its reads. The change feed tells the cache what each step touched,
 * before any client hears of it, and what hangs on that is gone. What is left holds at the position the feed
 * has reached; so a reader whose own snapshot stands at a position between the one an answer was read at and
 * the feed's gets exactly what reading again would give. A reader that is ahead of the feed waits for it, or
 * is given only what was read at its very position, or reads for itself. Time plays no part. */
#ifndef TIMS_CACHE_H
#define TIMS_CACHE_H

#include "tims/http.h"
#include "tims/model.h"

typedef struct tims_cache tims_cache;

typedef struct tims_cache_options {
    int64_t bytes_max; /* bodies in all their encodings, names and topics; past it what was longest unused
                          goes. 0: nothing is kept */
    /* An answer that was read longer ago is made anew, although it holds: its text may name its position, and
     * a client goes on from there better when it is not far. 0: 1,000 positions */
    int64_t positions_max;
    bool is_checked; /* for tests: see tims_cache_is_checked */
    /* Asks the feed to come soon: somebody waits for it. Any loop. NULL: nobody waits. */
    void (*catch_up)(void *argument);
    void *argument;
} tims_cache_options;

tims_cache *tims_cache_new(const tims_cache_options *options);
void tims_cache_free(tims_cache **cache); /* once no request has an answer of it in hand */

/* --- what the feed tells, on its loop --------------------------------------------------------------- */

/* A row that changed in the step up to `position` has, had or got this topic; each change also touches the
 * topic of all of its model. */
void tims_cache_touch(tims_cache *cache, int64_t position, const tims_topic *topic);
/* Too much to be told row by row: all that hangs on any topic of the model. */
void tims_cache_touch_model(tims_cache *cache, int64_t position, const tims_model *model);
/* All of the step has been told: what is left holds at this position. */
void tims_cache_reach(tims_cache *cache, int64_t position);

typedef enum tims_cache_kind { TIMS_CACHE_JSON, TIMS_CACHE_PAGE, TIMS_CACHE_KINDS } tims_cache_kind;
/* Another database: everything goes. Any loop. `position`: where the feed stands now; negative: not known, so
 * nothing is kept before tims_cache_reach. */
void tims_cache_clear(tims_cache *cache, int64_t position);
/* Another build of the front end: everything of one kind goes; positions stay. Any loop. */
void tims_cache_clear_kind(tims_cache *cache, tims_cache_kind kind);

/* --- what readers do, on any loop ------------------------------------------------------------------- */

/* What is asked for: the target as it was written (and what else decides, like a language), and by whom. Who
 * asks counts as far as the answer's reads asked for it: one that never did is the same for all of the
 * caller's class (nobody, signed in, staff), and is kept once for them. */
typedef struct tims_cache_name {
    tims_cache_kind kind;
    tims_str text;
    tims_caller caller; /* by tims_caller_unnoted */
} tims_cache_name;

/* A kept answer, counted and read-only. */
typedef struct tims_cached tims_cached;

/* An answer to be kept; it is copied. */
typedef struct tims_cache_answer {
    uint64_t since;          /* what tims_cache_since said before it was read */
    int64_t position;        /* of the snapshot it was read in */
    const tims_reads *reads; /* what it hangs on, and whether it asked who calls */
    int status;
    tims_str body, content_type;
    tims_str extra; /* whatever its room wants to know of it again */
} tims_cache_answer;

/* Whether there is one at all, maybe not for every position: to be asked before the position is, which may
 * take a while. */
bool tims_cache_has(tims_cache *cache, const tims_cache_name *name);
/* The answer as a read at `position` would give it; NULL: there is none. It lives as long as the request. */
const tims_cached *tims_cache_find(tims_cache *cache, tims_request *rq, const tims_cache_name *name,
                                   int64_t position);
/* The same for who is not in a snapshot or a transaction, and so may wait until the feed has told all up to
 * `position`, where something older is kept. Suspends. Raises: 499, 504. */
const tims_cached *tims_cache_find_now(tims_cache *cache, tims_request *rq, const tims_cache_name *name,
                                       int64_t position);
/* Whether it is worth keeping: asked for before not long ago. So what is asked for once costs nothing. */
bool tims_cache_is_wanted(tims_cache *cache, const tims_cache_name *name);
/* A number that changes when the cache is cleared (or the kind is): what was read before is not kept then. */
uint64_t tims_cache_since(tims_cache *cache, tims_cache_kind kind);
/* Keeps it, unless something it hangs on has changed since it was read, or its reads cannot be followed (see
 * tims_reads_can_follow). Returns what was kept, as tims_cache_find does; NULL: it was not. */
const tims_cached *tims_cache_keep(tims_cache *cache, tims_request *rq, const tims_cache_name *name,
                                   const tims_cache_answer *answer);
/* One at a time makes what many ask for. True: this request does, and others wait until it has ended or says
 * that it is done. False: another one was at it and is done now: look again. Not while a snapshot or a
 * transaction is open, for whom it waits may need the connection. Suspends. Raises: 499, 504. */
bool tims_cache_lead(tims_cache *cache, tims_request *rq, const tims_cache_name *name);
void tims_cache_done(tims_cache *cache, tims_request *rq, const tims_cache_name *name);

tims_str tims_cached_body(const tims_cached *cached);
tims_str tims_cached_extra(const tims_cached *cached);
int64_t tims_cached_position(const tims_cached *cached); /* that it was read at */
/* Notes all it hangs on in a recorder: of a page that includes it. */
void tims_cached_note(const tims_cached *cached, tims_reads *reads);
/* The answer to this request: 304 where the client has it (its ETag is of the body), else the body in an
 * encoding that the client takes, compressed once for all. Other headers are the caller's to set, before. May
 * suspend. */
tims_answer tims_cached_answer(tims_request *rq, const tims_cached *cached);

/* Whether who finds an answer shall make it again in the same snapshot, compare, and report a difference,
 * which is logged and counted: how it is proved that there is none. */
bool tims_cache_is_checked(const tims_cache *cache);
void tims_cache_report_stale(tims_cache *cache, const tims_cache_name *name);

/* Hits, misses, kept, gone by a change, gone for room, bytes: lines for Prometheus. Any thread. */
void tims_cache_metrics(tims_cache *cache, tims_buf *out);

#endif
