/* flight.c: of many who miss the same, one makes it, and the others wait for that.
 */
#include "cache/cache_internal.h"

enum { FLIGHT_BUCKETS = 256 };

typedef struct flight {
    struct flight *next;
    cache__key key; /* the text is the flight's own */
    tims_request *leader;
    struct leading *leading;
    cache__waiter *waiters;
    char text[];
} flight;

/* On the leader's request, which may end without a word. */
typedef struct leading {
    tims_cache *cache;
    flight *flight; /* NULL: it is done */
} leading;

/* Under the cache's mutex. */
struct cache__flights {
    flight *buckets[FLIGHT_BUCKETS];
};

cache__flights *cache__flights_new(void)
{
    cache__flights *flights = calloc(1, sizeof *flights);
    TIMS_ASSERT(flights != NULL);
    return flights;
}

void cache__flights_free(cache__flights **flights)
{
    for (int i = 0; i < FLIGHT_BUCKETS; i++)
        TIMS_ASSERT((*flights)->buckets[i] == NULL);
    free(*flights);
    *flights = NULL;
}

size_t cache__flights_waiting(const cache__flights *flights)
{
    size_t count = 0;
    for (int i = 0; i < FLIGHT_BUCKETS; i++)
        for (const flight *under_way = flights->buckets[i]; under_way != NULL; under_way = under_way->next)
            for (const cache__waiter *w = under_way->waiters; w != NULL; w = w->next)
                count++;
    return count;
}

/* Of one text at a time there are few. */
static flight **bucket_of(tims_cache *cache, tims_str text)
{
    return &cache->flights->buckets[tims_hash(text.data, text.length, cache->seed) % FLIGHT_BUCKETS];
}

/* --- the end ------------------------------------------------------------------------------------------ */

/* Takes it out of its bucket; all who wait look again. Under the mutex. */
static void end_flight(tims_cache *cache, flight *ended)
{
    flight **at = bucket_of(cache, ended->key.text);
    while (*at != ended)
        at = &(*at)->next;
    *at = ended->next;
    while (ended->waiters != NULL)
        cache__waiter_wake(ended->waiters);
    ended->leading->flight = NULL;
    free(ended);
}

static void stop_leading(void *argument)
{
    leading *l = argument;
    pthread_mutex_lock(&l->cache->mutex);
    if (l->flight != NULL)
        end_flight(l->cache, l->flight);
    pthread_mutex_unlock(&l->cache->mutex);
}

void tims_cache_done(tims_cache *cache, tims_request *rq, const tims_cache_name *name)
{
    if (cache__is_off(cache))
        return;
    pthread_mutex_lock(&cache->mutex);
    flight *found = *bucket_of(cache, name->text);
    while (found != NULL && (found->leader != rq || found->key.kind != name->kind ||
                             !tims_str_equal(found->key.text, name->text)))
        found = found->next;
    if (found != NULL)
        end_flight(cache, found);
    pthread_mutex_unlock(&cache->mutex);
}

/* --- the beginning ------------------------------------------------------------------------------------ */

static flight *find_flight(tims_cache *cache, const cache__key *key)
{
    flight *found = *bucket_of(cache, key->text);
    while (found != NULL && (found->key.hash != key->hash || !tims_str_equal(found->key.text, key->text)))
        found = found->next;
    return found;
}

static void begin_flight(tims_cache *cache, tims_request *rq, const cache__key *key, leading *l)
{
    flight *begun = calloc(1, sizeof *begun + key->text.length);
    TIMS_ASSERT(begun != NULL);
    begun->key = *key;
    if (key->text.length > 0)
        memcpy(begun->text, key->text.data, key->text.length);
    begun->key.text = (tims_str){ begun->text, key->text.length };
    begun->leader = rq;
    begun->leading = l;
    l->flight = begun;
    flight **bucket = bucket_of(cache, key->text);
    begun->next = *bucket;
    *bucket = begun;
}

bool tims_cache_lead(tims_cache *cache, tims_request *rq, const tims_cache_name *name)
{
    if (cache__is_off(cache))
        return true;
    leading *l = TIMS_NEW(rq->arena, leading);
    l->cache = cache;
    tims_defer(rq, stop_leading, l);
    pthread_mutex_lock(&cache->mutex);
    tims_cached *entry;
    cache__key key = cache__resolve(cache, name, &entry);
    flight *under_way = find_flight(cache, &key);
    cache__waiter *w = NULL;
    if (under_way == NULL)
        begin_flight(cache, rq, &key, l);
    else if (under_way->leader != rq) /* else it leads already: its first run gave in, and it runs again */
        w = cache__waiter_join(&under_way->waiters);
    pthread_mutex_unlock(&cache->mutex);
    if (w == NULL)
        return true;
    tims_check(rq, cache__waiter_wait(cache, w), NULL);
    return false;
}
