/* session_cache: the sessions a loop has seen lately, so that a request does not ask the database who it is.
 *
 * Fixed room: entries stand in one array, found through three hash tables of chains (by token hash, by
 * session, by user). When it is full, a clock hand takes the next entry that was not used since it last
 * passed. Exactness is the callers' work: they forget what changes, and put nothing that was read before a
 * forget (see the generation). One loop's thread only. */
#include "auth/auth_internal.h"

#include <stdlib.h>

enum { CACHE_MAGIC = 0x41554341, NONE = UINT32_MAX };
typedef enum chain { BY_TOKEN, BY_SESSION, BY_USER, CHAIN_COUNT } chain;

typedef struct entry {
    auth__session session;
    uint32_t next[CHAIN_COUNT];
    char hash[TIMS_TOKEN_HASH_TEXT_LENGTH];
    bool taken, used;
} entry;

struct auth__cache {
    uint32_t magic, capacity, count, fresh, hand; /* entries from `fresh` on were never taken */
    uint32_t free_list;                           /* chained by token */
    uint64_t generation;
    uint32_t *heads[CHAIN_COUNT];
    entry *entries;
};

static void empty_heads(auth__cache *cache)
{
    for (int c = 0; c < CHAIN_COUNT; c++)
        memset(cache->heads[c], 0xff, cache->capacity * sizeof(uint32_t)); /* NONE */
}

auth__cache *auth__cache_new(uint32_t capacity)
{
    TIMS_ASSERT(capacity > 0 && (capacity & (capacity - 1)) == 0);
    auth__cache *cache = calloc(1, sizeof *cache);
    TIMS_ASSERT(cache != NULL);
    *cache = (auth__cache){ .magic = CACHE_MAGIC, .capacity = capacity, .free_list = NONE };
    for (int c = 0; c < CHAIN_COUNT; c++) {
        cache->heads[c] = malloc(capacity * sizeof(uint32_t));
        TIMS_ASSERT(cache->heads[c] != NULL);
    }
    empty_heads(cache);
    cache->entries = calloc(capacity, sizeof(entry)); /* touched as it is needed */
    TIMS_ASSERT(cache->entries != NULL);
    return cache;
}

void auth__cache_free(auth__cache **cache)
{
    if (*cache == NULL)
        return;
    TIMS_CHECK_MAGIC(*cache, CACHE_MAGIC);
    for (int c = 0; c < CHAIN_COUNT; c++)
        free((*cache)->heads[c]);
    free((*cache)->entries);
    (*cache)->magic = 0;
    free(*cache);
    *cache = NULL;
}

uint64_t auth__cache_generation(const auth__cache *cache)
{
    return cache->generation;
}

uint32_t auth__cache_count(const auth__cache *cache)
{
    return cache->count;
}

/* --- chains ------------------------------------------------------------------------------------------ */

/* Keys are random by their nature (hashes, ids made by the server); eight bytes, mixed, are enough. */
static uint32_t bucket_of(const auth__cache *cache, const void *key)
{
    uint64_t word;
    memcpy(&word, key, sizeof word);
    word *= 0x9e3779b97f4a7c15u;
    return (uint32_t)(word >> 32) & (cache->capacity - 1);
}

static const void *key_of(const entry *e, chain c)
{
    return c == BY_TOKEN     ? (const void *)e->hash
           : c == BY_SESSION ? e->session.id.bytes + 8 /* the random half */
                             : e->session.user.bytes + 8;
}

static void link_entry(auth__cache *cache, uint32_t at)
{
    for (chain c = 0; c < CHAIN_COUNT; c++) {
        uint32_t *head = &cache->heads[c][bucket_of(cache, key_of(&cache->entries[at], c))];
        cache->entries[at].next[c] = *head;
        *head = at;
    }
}

static void remove_entry(auth__cache *cache, uint32_t at)
{
    entry *e = &cache->entries[at];
    TIMS_ASSERT(e->taken);
    for (chain c = 0; c < CHAIN_COUNT; c++) {
        uint32_t *link = &cache->heads[c][bucket_of(cache, key_of(e, c))];
        while (*link != at)
            link = &cache->entries[*link].next[c];
        *link = e->next[c];
    }
    e->taken = false;
    e->next[BY_TOKEN] = cache->free_list;
    cache->free_list = at;
    cache->count--;
}

static uint32_t find_entry(const auth__cache *cache, const char *hash)
{
    uint32_t at = cache->heads[BY_TOKEN][bucket_of(cache, hash)];
    while (at != NONE && memcmp(cache->entries[at].hash, hash, TIMS_TOKEN_HASH_TEXT_LENGTH) != 0)
        at = cache->entries[at].next[BY_TOKEN];
    return at;
}

/* --- find, put, forget ------------------------------------------------------------------------------- */

auth__session *auth__cache_find(auth__cache *cache, const char hash[TIMS_TOKEN_HASH_TEXT_LENGTH])
{
    uint32_t at = find_entry(cache, hash);
    if (at == NONE)
        return NULL;
    cache->entries[at].used = true;
    return &cache->entries[at].session;
}

/* The clock hand: an entry used since the last round is spared once. */
static void evict_one(auth__cache *cache)
{
    for (;;) {
        uint32_t at = cache->hand;
        cache->hand = (at + 1) & (cache->capacity - 1);
        entry *e = &cache->entries[at];
        if (e->taken && !e->used) {
            remove_entry(cache, at);
            return;
        }
        e->used = false;
    }
}

static uint32_t take_entry(auth__cache *cache)
{
    if (cache->free_list == NONE && cache->fresh < cache->capacity)
        return cache->fresh++;
    if (cache->free_list == NONE)
        evict_one(cache);
    uint32_t at = cache->free_list;
    cache->free_list = cache->entries[at].next[BY_TOKEN];
    return at;
}

auth__session *auth__cache_put(auth__cache *cache, const char hash[TIMS_TOKEN_HASH_TEXT_LENGTH],
                               const auth__session *session)
{
    TIMS_CHECK_MAGIC(cache, CACHE_MAGIC);
    uint32_t known = find_entry(cache, hash);
    if (known != NONE)
        remove_entry(cache, known);
    uint32_t at = take_entry(cache);
    entry *e = &cache->entries[at];
    e->session = *session;
    e->taken = true;
    e->used = false; /* not before it is asked for again */
    memcpy(e->hash, hash, sizeof e->hash);
    link_entry(cache, at);
    cache->count++;
    return &e->session;
}

static void forget(auth__cache *cache, chain c, tims_id id)
{
    TIMS_CHECK_MAGIC(cache, CACHE_MAGIC);
    cache->generation++;
    uint32_t at = cache->heads[c][bucket_of(cache, id.bytes + 8)];
    while (at != NONE) {
        const entry *e = &cache->entries[at];
        uint32_t next = e->next[c];
        if (tims_same_id(c == BY_SESSION ? e->session.id : e->session.user, id))
            remove_entry(cache, at);
        at = next;
    }
}

void auth__cache_forget_session(auth__cache *cache, tims_id session)
{
    forget(cache, BY_SESSION, session);
}

void auth__cache_forget_user(auth__cache *cache, tims_id user)
{
    forget(cache, BY_USER, user);
}

void auth__cache_forget_all(auth__cache *cache)
{
    TIMS_CHECK_MAGIC(cache, CACHE_MAGIC);
    cache->generation++;
    if (cache->count == 0)
        return;
    for (uint32_t at = 0; at < cache->fresh; at++)
        cache->entries[at].taken = false;
    cache->count = cache->fresh = cache->hand = 0;
    cache->free_list = NONE;
    empty_heads(cache);
}
