/* cache.c: the table of what is kept, and when it may be given out.
 *
 * An entry was read at a position; the feed has told everything up to `reached`, and what it told has taken
 * the entries it concerns. So an entry that is here is what a read at any position between its own and
 * `reached` gives, and what a read at its own gives anyway.
 *
 * A name stands for a class of callers at first. Where an answer's reads asked who calls, the class's entry
 * is a marker, and the answer stands under the caller alone: so a look takes one step where it is shared, and
 * two where it is not. */
#include "cache/cache_internal.h"

#include <inttypes.h>

#include "tims/crypto.h"

enum { FIRST_BUCKETS = 1024, POSITIONS_MAX = 1000, PART_OF_ALL = 8 };

/* --- life --------------------------------------------------------------------------------------------- */

tims_cache *tims_cache_new(const tims_cache_options *options)
{
    tims_cache *cache = calloc(1, sizeof *cache);
    TIMS_ASSERT(cache != NULL && options->bytes_max >= 0);
    cache->magic = CACHE__MAGIC;
    cache->options = *options;
    if (cache->options.positions_max == 0)
        cache->options.positions_max = POSITIONS_MAX;
    tims_random(cache->seed, sizeof cache->seed);
    pthread_mutex_init(&cache->mutex, NULL);
    cache->bucket_count = FIRST_BUCKETS;
    cache->buckets = calloc(FIRST_BUCKETS, sizeof(tims_cached *));
    TIMS_ASSERT(cache->buckets != NULL);
    cache__topics_init(&cache->topics);
    cache->reached = -1;
    cache->from = INT64_MAX;
    for (int i = 0; i < TIMS_CACHE_KINDS; i++)
        cache->generations[i] = 1;
    cache->flights = cache__flights_new();
    return cache;
}

static void remove_entry(tims_cache *cache, tims_cached *entry);

void tims_cache_free(tims_cache **cache)
{
    tims_cache *old = *cache;
    *cache = NULL;
    if (old == NULL)
        return;
    TIMS_CHECK_MAGIC(old, CACHE__MAGIC);
    while (old->oldest != NULL)
        remove_entry(old, old->oldest);
    TIMS_ASSERT(old->ahead == NULL);
    cache__flights_free(&old->flights);
    cache__topics_free(&old->topics);
    pthread_mutex_destroy(&old->mutex);
    free(old->buckets);
    old->magic = 0;
    free(old);
}

/* --- names -------------------------------------------------------------------------------------------- */

static uint64_t hash_key(const tims_cache *cache, const cache__key *key, uint64_t text)
{
    const struct {
        uint64_t text;
        tims_id user;
        uint32_t kind, class, is_personal, nothing;
    } parts = { text, key->user, key->kind, key->class, key->is_personal, 0 };
    return tims_hash(&parts, sizeof parts, cache->seed);
}

cache__key cache__class_key(const tims_cache *cache, const tims_cache_name *name)
{
    const tims_caller *caller = &name->caller;
    cache__key key = { .kind = name->kind,
                       .class = (uint8_t)(caller->signed_in | caller->staff << 1 | caller->trusted << 2),
                       .text = name->text };
    key.hash = hash_key(cache, &key, tims_hash(name->text.data, name->text.length, cache->seed));
    return key;
}

/* From the class's, so that the text is hashed once. */
cache__key cache__personal_key(const tims_cache *cache, const cache__key *class_key, tims_id user)
{
    cache__key key = *class_key;
    key.is_personal = true;
    key.user = user;
    key.hash = hash_key(cache, &key, class_key->hash);
    return key;
}

static bool is_key(const cache__key *a, const cache__key *b)
{
    return a->hash == b->hash && a->kind == b->kind && a->class == b->class &&
           a->is_personal == b->is_personal && memcmp(&a->user, &b->user, sizeof a->user) == 0 &&
           tims_str_equal(a->text, b->text);
}

static tims_cached *look(const tims_cache *cache, const cache__key *key)
{
    tims_cached *entry = cache->buckets[key->hash % cache->bucket_count];
    while (entry != NULL && !is_key(&entry->key, key))
        entry = entry->next_in_bucket;
    return entry;
}

/* --- the table ---------------------------------------------------------------------------------------- */

static void make_newest(tims_cache *cache, tims_cached *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    if (cache->newest != NULL)
        cache->newest->newer = entry;
    else
        cache->oldest = entry;
    cache->newest = entry;
}

static void leave_order(tims_cache *cache, const tims_cached *entry)
{
    if (entry->newer != NULL)
        entry->newer->older = entry->older;
    else
        cache->newest = entry->older;
    if (entry->older != NULL)
        entry->older->newer = entry->newer;
    else
        cache->oldest = entry->newer;
}

static void note_use(tims_cache *cache, tims_cached *entry)
{
    if (cache->newest == entry)
        return;
    leave_order(cache, entry);
    make_newest(cache, entry);
}

static void remove_entry(tims_cache *cache, tims_cached *entry)
{
    tims_cached **at = &cache->buckets[entry->key.hash % cache->bucket_count];
    while (*at != entry)
        at = &(*at)->next_in_bucket;
    *at = entry->next_in_bucket;
    leave_order(cache, entry);
    cache__topics_remove(&cache->topics, entry);
    cache->entry_count--;
    cache->bytes -= (int64_t)entry->bytes;
    entry->is_listed = false;
    cache__entry_unref(entry);
}

static void make_room(tims_cache *cache)
{
    while (cache->bytes > cache->options.bytes_max && cache->oldest != NULL) {
        cache->counts[cache->oldest->key.kind].evicted++;
        remove_entry(cache, cache->oldest);
    }
}

static void double_buckets(tims_cache *cache)
{
    size_t count = cache->bucket_count * 2;
    tims_cached **buckets = calloc(count, sizeof(tims_cached *));
    TIMS_ASSERT(buckets != NULL);
    for (tims_cached *entry = cache->newest; entry != NULL; entry = entry->older) {
        entry->next_in_bucket = buckets[entry->key.hash % count];
        buckets[entry->key.hash % count] = entry;
    }
    free(cache->buckets);
    cache->buckets = buckets;
    cache->bucket_count = count;
}

/* Takes the reference. */
static void add_entry(tims_cache *cache, tims_cached *entry)
{
    if (cache->entry_count >= cache->bucket_count)
        double_buckets(cache);
    tims_cached **bucket = &cache->buckets[entry->key.hash % cache->bucket_count];
    entry->next_in_bucket = *bucket;
    *bucket = entry;
    make_newest(cache, entry);
    cache__topics_add(&cache->topics, entry);
    cache->entry_count++;
    cache->bytes += (int64_t)entry->bytes;
    entry->is_listed = true;
    make_room(cache);
}

void cache__grow(tims_cache *cache, tims_cached *entry, size_t bytes)
{
    entry->bytes += bytes;
    if (!entry->is_listed)
        return;
    cache->bytes += (int64_t)bytes;
    make_room(cache);
}

/* --- what the feed tells ------------------------------------------------------------------------------ */

typedef struct change {
    tims_cache *cache;
    int64_t position;
} change;

/* What was read at the change's position, or behind it, has it already. */
static void drop_older(void *argument, tims_cached *entry)
{
    const change *c = argument;
    if (entry->position >= c->position)
        return;
    c->cache->counts[entry->key.kind].changed++;
    remove_entry(c->cache, entry);
}

void tims_cache_touch(tims_cache *cache, int64_t position, const tims_topic *topic)
{
    if (cache__is_off(cache))
        return;
    change c = { cache, position };
    pthread_mutex_lock(&cache->mutex);
    cache__topics_touch(&cache->topics, topic, position, drop_older, &c);
    pthread_mutex_unlock(&cache->mutex);
}

void tims_cache_touch_model(tims_cache *cache, int64_t position, const tims_model *model)
{
    if (cache__is_off(cache))
        return;
    change c = { cache, position };
    pthread_mutex_lock(&cache->mutex);
    cache__topics_touch_model(&cache->topics, model, position, drop_older, &c);
    pthread_mutex_unlock(&cache->mutex);
}

void tims_cache_reach(tims_cache *cache, int64_t position)
{
    TIMS_CHECK_MAGIC(cache, CACHE__MAGIC);
    pthread_mutex_lock(&cache->mutex);
    if (cache->reached < 0)
        cache->from = position;
    if (cache->reached < position)
        cache->reached = position;
    cache__wake_ahead(cache, position);
    pthread_mutex_unlock(&cache->mutex);
}

void tims_cache_clear(tims_cache *cache, int64_t position)
{
    TIMS_CHECK_MAGIC(cache, CACHE__MAGIC);
    pthread_mutex_lock(&cache->mutex);
    while (cache->oldest != NULL)
        remove_entry(cache, cache->oldest);
    for (int i = 0; i < TIMS_CACHE_KINDS; i++)
        cache->generations[i]++;
    cache__topics_forget(&cache->topics);
    cache->reached = position < 0 ? -1 : position;
    cache->from = position < 0 ? INT64_MAX : position;
    cache__wake_ahead(cache, INT64_MAX); /* who waited for a position of the other database */
    pthread_mutex_unlock(&cache->mutex);
}

void tims_cache_clear_kind(tims_cache *cache, tims_cache_kind kind)
{
    TIMS_CHECK_MAGIC(cache, CACHE__MAGIC);
    pthread_mutex_lock(&cache->mutex);
    for (tims_cached *entry = cache->newest, *next; entry != NULL; entry = next) {
        next = entry->older;
        if (entry->key.kind == kind)
            remove_entry(cache, entry);
    }
    cache->generations[kind]++;
    pthread_mutex_unlock(&cache->mutex);
}

/* --- what readers do ---------------------------------------------------------------------------------- */

cache__key cache__resolve(tims_cache *cache, const tims_cache_name *name, tims_cached **ret_entry)
{
    cache__key key = cache__class_key(cache, name);
    *ret_entry = look(cache, &key);
    if (*ret_entry == NULL || !(*ret_entry)->is_marker)
        return key;
    note_use(cache, *ret_entry);
    key = cache__personal_key(cache, &key, name->caller.user);
    *ret_entry = look(cache, &key);
    return key;
}

bool tims_cache_has(tims_cache *cache, const tims_cache_name *name)
{
    tims_cached *entry;
    if (cache__is_off(cache))
        return false;
    pthread_mutex_lock(&cache->mutex);
    (void)cache__resolve(cache, name, &entry);
    if (entry == NULL)
        cache->counts[name->kind].misses++;
    pthread_mutex_unlock(&cache->mutex);
    return entry != NULL;
}

static bool holds_at(const tims_cache *cache, const tims_cached *entry, int64_t position)
{
    if (entry->position == position)
        return true;
    return entry->position < position && position <= cache->reached &&
           position - entry->position <= cache->options.positions_max;
}

/* A place for a request's reference, made before there is one: a request may end at any allocation. */
static void let_go(void *argument)
{
    tims_cached **hand = argument;
    if (*hand != NULL)
        cache__entry_unref(*hand);
}

static tims_cached **make_hand(tims_request *rq)
{
    tims_cached **hand = TIMS_NEW(rq->arena, tims_cached *);
    tims_defer(rq, let_go, (void *)hand);
    return hand;
}

const tims_cached *tims_cache_find(tims_cache *cache, tims_request *rq, const tims_cache_name *name,
                                   int64_t position)
{
    tims_cached *entry;
    if (cache__is_off(cache))
        return NULL;
    tims_cached **hand = make_hand(rq);
    pthread_mutex_lock(&cache->mutex);
    (void)cache__resolve(cache, name, &entry);
    if (entry != NULL && !holds_at(cache, entry, position))
        entry = NULL;
    if (entry != NULL) {
        note_use(cache, entry);
        cache->counts[name->kind].hits++;
        atomic_fetch_add_explicit(&entry->references, 1, memory_order_relaxed);
    } else {
        cache->counts[name->kind].misses++;
    }
    pthread_mutex_unlock(&cache->mutex);
    *hand = entry;
    return entry;
}

bool tims_cache_is_wanted(tims_cache *cache, const tims_cache_name *name)
{
    tims_cached *entry;
    if (cache__is_off(cache))
        return false;
    pthread_mutex_lock(&cache->mutex);
    uint64_t hash = cache__resolve(cache, name, &entry).hash;
    pthread_mutex_unlock(&cache->mutex);
    _Atomic uint16_t *slot = &cache->wanted[hash % CACHE__WANTED_SLOTS];
    uint16_t mark = (uint16_t)(hash >> 48 | 1);
    if (entry != NULL || atomic_load_explicit(slot, memory_order_relaxed) == mark)
        return true;
    atomic_store_explicit(slot, mark, memory_order_relaxed);
    return false;
}

uint64_t tims_cache_since(tims_cache *cache, tims_cache_kind kind)
{
    TIMS_CHECK_MAGIC(cache, CACHE__MAGIC);
    pthread_mutex_lock(&cache->mutex);
    uint64_t generation = cache->generations[kind];
    pthread_mutex_unlock(&cache->mutex);
    return generation;
}

static bool may_keep(tims_cache *cache, const tims_cached *entry, uint64_t since)
{
    return since == cache->generations[entry->key.kind] && entry->position >= cache->from &&
           (int64_t)entry->bytes <= cache->options.bytes_max / PART_OF_ALL &&
           !cache__topics_changed_since(&cache->topics, entry, entry->position);
}

/* What stands under a key gives way, unless it was read later. False: it was. */
static bool replace(tims_cache *cache, const cache__key *key, int64_t position)
{
    tims_cached *former = look(cache, key);
    if (former != NULL && !former->is_marker && former->position > position)
        return false;
    if (former != NULL)
        remove_entry(cache, former);
    return true;
}

/* A marker that makes room at once for what it points to leads nowhere, but does no harm: what cannot be
 * found is made again. */
static void mark(tims_cache *cache, const cache__key *class_key)
{
    tims_cached *former = look(cache, class_key);
    if (former != NULL && former->is_marker)
        return;
    if (former != NULL)
        remove_entry(cache, former);
    add_entry(cache, cache__marker_new(cache, class_key));
}

const tims_cached *tims_cache_keep(tims_cache *cache, tims_request *rq, const tims_cache_name *name,
                                   const tims_cache_answer *answer)
{
    TIMS_ASSERT(answer->since > 0);
    if (cache__is_off(cache) || !tims_reads_can_follow(answer->reads))
        return NULL;
    cache__key class_key = cache__class_key(cache, name), key = class_key;
    bool is_personal = tims_reads_asked_caller(answer->reads);
    if (is_personal)
        key = cache__personal_key(cache, &class_key, name->caller.user);
    tims_cached **hand = make_hand(rq), *entry = cache__entry_new(cache, &key, answer);
    pthread_mutex_lock(&cache->mutex);
    bool is_kept = may_keep(cache, entry, answer->since) && replace(cache, &key, answer->position);
    if (is_kept && is_personal)
        mark(cache, &class_key);
    if (is_kept) {
        atomic_fetch_add_explicit(&entry->references, 1, memory_order_relaxed);
        add_entry(cache, entry);
        cache->counts[name->kind].kept++;
    } else {
        cache->counts[name->kind].refused++;
    }
    pthread_mutex_unlock(&cache->mutex);
    *hand = entry; /* kept or not, it goes with the request */
    return is_kept ? entry : NULL;
}

/* --- checks and counts -------------------------------------------------------------------------------- */

bool tims_cache_is_checked(const tims_cache *cache)
{
    TIMS_CHECK_MAGIC(cache, CACHE__MAGIC);
    return cache->options.is_checked;
}

void tims_cache_report_stale(tims_cache *cache, const tims_cache_name *name)
{
    TIMS_CHECK_MAGIC(cache, CACHE__MAGIC);
    atomic_fetch_add(&cache->stale, 1);
    tims_log(TIMS_LOG_ERROR, "cache", "event=stale name=%S", name->text);
}

static void write_counts(const cache__counts counts[TIMS_CACHE_KINDS], tims_buf *out)
{
    static const char *const kinds[TIMS_CACHE_KINDS] = { "json", "page" };
    static const struct {
        const char *name, *help;
        size_t offset;
    } rows[] = {
        { "hits", "Answers given out.", offsetof(cache__counts, hits) },
        { "misses", "Looks that found none that holds.", offsetof(cache__counts, misses) },
        { "kept", "Answers taken in.", offsetof(cache__counts, kept) },
        { "refused", "Answers that something had changed under, or too large.",
          offsetof(cache__counts, refused) },
        { "invalidations", "Answers that a change took.", offsetof(cache__counts, changed) },
        { "evictions", "Answers that made room.", offsetof(cache__counts, evicted) },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tims_buf_print(out, "# HELP tims_cache_%s_total %s\n# TYPE tims_cache_%s_total counter\n",
                       rows[i].name, rows[i].help, rows[i].name);
        for (int kind = 0; kind < TIMS_CACHE_KINDS; kind++) {
            uint64_t value;
            memcpy(&value, (const char *)&counts[kind] + rows[i].offset, sizeof value);
            tims_buf_print(out, "tims_cache_%s_total{kind=\"%s\"} %" PRIu64 "\n", rows[i].name, kinds[kind],
                           value);
        }
    }
}

void tims_cache_metrics(tims_cache *cache, tims_buf *out)
{
    TIMS_CHECK_MAGIC(cache, CACHE__MAGIC);
    cache__counts counts[TIMS_CACHE_KINDS];
    pthread_mutex_lock(&cache->mutex);
    memcpy(counts, cache->counts, sizeof counts);
    int64_t bytes = cache->bytes;
    size_t entries = cache->entry_count;
    pthread_mutex_unlock(&cache->mutex);
    write_counts(counts, out);
    tims_buf_print(
        out,
        "# HELP tims_cache_stale_total Answers that a check found to differ from a new read; must be "
        "0.\n# TYPE tims_cache_stale_total counter\ntims_cache_stale_total %" PRIu64 "\n",
        atomic_load(&cache->stale));
    tims_buf_print(out,
                   "# HELP tims_cache_bytes What is kept, in all its encodings.\n"
                   "# TYPE tims_cache_bytes gauge\ntims_cache_bytes %" PRId64 "\n"
                   "# HELP tims_cache_entries Answers kept, and notes on whose answers differ.\n"
                   "# TYPE tims_cache_entries gauge\ntims_cache_entries %zu\n",
                   bytes, entries);
}
