/* cache.h: answers that are kept until what they were read from changes.
 *
 * An answer is kept with the topics of its reads. The change feed tells the cache what each step touched,
 * before any client hears of it, and what hangs on that is gone. What is left holds at the position the feed
 * has reached; so a reader whose own snapshot stands at a position between the one an answer was read at and
 * the feed's gets exactly what reading again would give. A reader that is ahead of the feed reads for itself.
 * Time plays no part. */
#ifndef TIMS_CACHE_H
#define TIMS_CACHE_H

#include "tims/http.h"
#include "tims/model.h"

typedef struct tims_cache tims_cache;

typedef struct tims_cache_options {
    int64_t bytes_max; /* bodies in all their encodings, names and topics; past it what was longest unused
                          goes. 0: nothing is kept */
} tims_cache_options;

tims_cache *tims_cache_new(const tims_cache_options *options);
void tims_cache_free(tims_cache **cache); /* once no request has an answer of it in hand */

/* --- what the feed tells, on its loop --------------------------------------------------------------- */

/* A row that changed in the step has, had or got this topic. */
void tims_cache_touch(tims_cache *cache, const tims_topic *topic);
/* Too much to be told row by row: all that hangs on any topic of the model. */
void tims_cache_touch_model(tims_cache *cache, const tims_model *model);
/* All of the step has been told: what is left holds at this position. */
void tims_cache_reach(tims_cache *cache, int64_t position);
/* Another database, another build of the front end: everything goes. Any loop. `position`: where the feed
 * stands now; negative: not known, so nothing is given out before tims_cache_reach. */
void tims_cache_clear(tims_cache *cache, int64_t position);
/* The same for one kind only; positions stay. Any loop. */
typedef enum tims_cache_kind { TIMS_CACHE_JSON, TIMS_CACHE_PAGE, TIMS_CACHE_KINDS } tims_cache_kind;
void tims_cache_clear_kind(tims_cache *cache, tims_cache_kind kind);

/* --- what readers do, on any loop ------------------------------------------------------------------- */

/* What is asked for: the target as it was written (and what else decides, like a language), and by whom. Who
 * asks counts as far as the answer's reads asked for it: one that never did is the same for all of the
 * caller's class (nobody, signed in, staff), and is kept once for them. */
typedef struct tims_cache_name {
    tims_cache_kind kind;
    tims_str text;
    tims_caller caller;
} tims_cache_name;

/* A kept answer, counted and read-only. */
typedef struct tims_cached tims_cached;

/* An answer to be kept; it is copied. */
typedef struct tims_cache_answer {
    int64_t position;        /* of the snapshot it was read in */
    const tims_reads *reads; /* what it hangs on, and whether it asked who calls */
    int status;
    tims_str body, content_type;
    tims_str extra; /* whatever its room wants to know of it again */
} tims_cache_answer;

/* The answer as a read at `position` would give it; NULL: there is none. It lives as long as the request. */
const tims_cached *tims_cache_find(tims_cache *cache, tims_request *rq, const tims_cache_name *name,
                                   int64_t position);
/* Whether it is worth keeping: asked for before not long ago. So what is asked for once costs nothing. */
bool tims_cache_is_wanted(tims_cache *cache, const tims_cache_name *name);
/* Keeps it, unless something it hangs on has changed since it was read, or its reads cannot be followed (see
 * tims_reads_can_follow). Returns what was kept, as tims_cache_find does; NULL: it was not. */
const tims_cached *tims_cache_keep(tims_cache *cache, tims_request *rq, const tims_cache_name *name,
                                   const tims_cache_answer *answer);
/* One at a time makes what many ask for. True: this request does, and others wait until it has ended or says
 * that it is done. False: another one was at it and is done now: look again. Suspends. */
bool tims_cache_lead(tims_cache *cache, tims_request *rq, const tims_cache_name *name);
void tims_cache_done(tims_cache *cache, tims_request *rq, const tims_cache_name *name);

tims_str tims_cached_body(const tims_cached *cached);
tims_str tims_cached_extra(const tims_cached *cached);
int64_t tims_cached_position(const tims_cached *cached); /* that it was read at */
/* Notes all it hangs on in a recorder: of a page that includes it. */
void tims_cached_note(const tims_cached *cached, tims_reads *reads);
/* The answer to this request: 304 where the client has it (its ETag is of the body), else the body in an
 * encoding that the client takes, compressed once for all. Other headers are the caller's to set. May
 * suspend. */
tims_answer tims_cached_answer(tims_request *rq, const tims_cached *cached);

/* Hits, misses, kept, gone by a change, gone for room, bytes: lines for Prometheus. Any thread. */
void tims_cache_metrics(tims_cache *cache, tims_buf *out);

#endif
