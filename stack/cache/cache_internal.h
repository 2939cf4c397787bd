/* cache_internal.h: what the files of this room share.
 *
 *     name ──► table ──► entry ──► topics ◄── what changed        one mutex for all of it, held for moments;
 *                          │                                      bodies are read without it
 *                          └──► encodings
 *
 * Entries are counted: the table has a reference while it lists one, each request that was given one another.
 */
#ifndef CACHE_INTERNAL_H
#define CACHE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tims/cache.h"

enum {
    CACHE__MAGIC = 0x63616368,
    CACHE__ENTRY_MAGIC = 0x63656e74,
    CACHE__TOUCHED_SLOTS = 65536,
    CACHE__WANTED_SLOTS = 65536,
    CACHE__ETAG_LENGTH = 34
};

typedef struct cache__hook cache__hook;
typedef struct cache__model cache__model;
typedef struct cache__flights cache__flights;
typedef struct cache__waiter cache__waiter;

/* --- topics.c: from what changed to what hangs on it -------------------------------------------------- */

/* One topic of one entry; in two lists, of those with the topic's hash and of those of its model. */
struct cache__hook {
    cache__hook *next, **back;
    cache__hook *model_next, **model_back;
    cache__model *model;
    tims_cached *entry;
    uint64_t hash;
};

/* A model that somebody has read or the feed has named; there are as many as the program has. */
struct cache__model {
    const tims_model *model;
    cache__hook *first;
    int64_t touched; /* the last position at which all of it was said to have changed */
};

typedef struct cache__topics {
    uint64_t seed[2];
    cache__hook **buckets;
    size_t bucket_count, hook_count;
    tims_map *models;
    int64_t *touched; /* the last position at which a topic of this hash changed; several share a slot */
} cache__topics;

void cache__topics_init(cache__topics *topics);
void cache__topics_free(cache__topics *topics);
void cache__topics_forget(cache__topics *topics); /* what was touched: positions begin anew */
uint64_t cache__topic_hash(const cache__topics *topics, const tims_topic *topic);
/* The hooks' hashes are set. */
void cache__topics_add(cache__topics *topics, tims_cached *entry);
void cache__topics_remove(cache__topics *topics, tims_cached *entry);
bool cache__topics_changed_since(cache__topics *topics, const tims_cached *entry, int64_t position);
/* Notes the position, and calls for each entry at the topic (of the model), which may be removed meanwhile.
 */
void cache__topics_touch(cache__topics *topics, const tims_topic *topic, int64_t position,
                         void (*function)(void *argument, tims_cached *entry), void *argument);
void cache__topics_touch_model(cache__topics *topics, const tims_model *model, int64_t position,
                               void (*function)(void *argument, tims_cached *entry), void *argument);

/* --- entry.c: an answer ------------------------------------------------------------------------------- */

/* Under what an entry stands: for a class of callers, or one of them. */
typedef struct cache__key {
    uint64_t hash;
    tims_str text;
    tims_cache_kind kind;
    uint8_t class;
    bool is_personal;
    tims_id user; /* zero unless personal */
} cache__key;

typedef enum cache__encoding_state {
    CACHE__UNMADE,
    CACHE__MAKING,
    CACHE__MADE,
    CACHE__USELESS
} cache__encoding_state;

struct tims_cached {
    uint32_t magic;
    atomic_uint references;
    tims_cache *cache;
    cache__key key;
    tims_cached *next_in_bucket, *newer, *older;
    bool is_listed;
    /* It holds nothing but that answers of this name differ from caller to caller, and stand under theirs. */
    bool is_marker;
    bool asked_caller;
    int status;
    int64_t position;
    tims_str body, content_type, extra;
    atomic_bool has_etag;
    char etag[CACHE__ETAG_LENGTH];
    tims_topic *topics;
    cache__hook *hooks; /* one for each topic */
    size_t topic_count;
    size_t bytes; /* all it takes; grows with its encodings */
    atomic_uint uses;
    struct {
        cache__encoding_state state;
        tims_buf text;
    } encodings[TIMS_ENCODINGS];
};

/* Both have one reference, of the caller. */
tims_cached *cache__entry_new(tims_cache *cache, const cache__key *key, const tims_cache_answer *answer);
tims_cached *cache__marker_new(tims_cache *cache, const cache__key *key);
void cache__entry_unref(tims_cached *entry);

/* --- cache.c ------------------------------------------------------------------------------------------ */

typedef struct cache__counts {
    uint64_t hits, misses, kept, refused, changed, evicted;
} cache__counts;

struct tims_cache {
    uint32_t magic;
    tims_cache_options options;
    uint64_t seed[2];
    pthread_mutex_t mutex; /* guards all below but what is atomic */
    tims_cached **buckets;
    size_t bucket_count, entry_count;
    tims_cached *newest, *oldest; /* by use */
    int64_t bytes;
    cache__topics topics;
    int64_t reached; /* -1: not known */
    int64_t from;    /* changes after this position have been told; INT64_MAX: none has */
    uint64_t generations[TIMS_CACHE_KINDS];
    cache__counts counts[TIMS_CACHE_KINDS];
    atomic_uint_least64_t stale;
    _Atomic uint16_t wanted[CACHE__WANTED_SLOTS]; /* who asked last, of those with this hash */
    cache__flights *flights;
    cache__waiter *ahead; /* of the feed */
    bool is_stuck;        /* the feed was waited for in vain, and has not moved since */
};

/* The name's key for the caller's class, and for the caller alone. */
cache__key cache__class_key(const tims_cache *cache, const tims_cache_name *name);
cache__key cache__personal_key(const tims_cache *cache, const cache__key *class_key, tims_id user);
/* An entry, if it is listed, takes as many more bytes; others may go. Under the mutex. */
void cache__grow(tims_cache *cache, tims_cached *entry, size_t bytes);
/* The key under which this caller's answer is, as far as is known. Under the mutex. */
cache__key cache__resolve(tims_cache *cache, const tims_cache_name *name, tims_cached **ret_entry);

/* --- wait.c ------------------------------------------------------------------------------------------- */

/* A fiber in a list, all of whose functions but the wait itself are called under the mutex. */
struct cache__waiter {
    cache__waiter *next, **back; /* back NULL: it has been taken out, and is on its way */
    tims_loop *loop;
    tims_fiber *fiber; /* touched on its loop only; NULL: it has given up */
    bool is_done;
    int64_t position; /* catch_up.c: that the feed shall reach */
};

cache__waiter *cache__waiter_join(cache__waiter **first); /* the fiber that calls */
void cache__waiter_wake(cache__waiter *waiter);           /* takes it out of its list */
/* Without the mutex, on the fiber that has joined; the waiter is gone then. Suspends. Errors: those of
 * tims_fiber_suspend. */
tims_status cache__waiter_wait(tims_cache *cache, cache__waiter *waiter);

/* --- catch_up.c: who waits for the feed --------------------------------------------------------------- */

/* All who wait for a position up to this one. Under the mutex. */
void cache__wake_ahead(tims_cache *cache, int64_t position);

/* --- flight.c: who makes what others wait for --------------------------------------------------------- */

cache__flights *cache__flights_new(void);
void cache__flights_free(cache__flights **flights);
size_t cache__flights_waiting(const cache__flights *flights); /* under the mutex */

static inline bool cache__is_off(const tims_cache *cache)
{
    TIMS_CHECK_MAGIC(cache, CACHE__MAGIC);
    return cache->options.bytes_max == 0;
}

#endif
