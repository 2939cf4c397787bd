/* entry.c: a kept answer: made, counted, sent.
 *
 * All of it but its encodings is in one piece of memory and never changes. An encoding is made when the
 * answer is sent the second time to somebody who takes it, by whoever comes first; others meanwhile have
 * theirs compressed by http, as ever. */
#include "cache/cache_internal.h"

#include "tims/crypto.h"

enum { ENCODE_HERE_BYTES_MAX = 32 * 1024 /* a third of a millisecond; more is for the worker pool */ };

/* --- making ------------------------------------------------------------------------------------------- */

/* Cuts a piece for a text off the memory behind the entry. */
static tims_str put(char **at, tims_str text)
{
    tims_str copy = { *at, text.length };
    if (text.length > 0)
        memcpy(*at, text.data, text.length);
    *at += text.length;
    return copy;
}

static size_t bytes_of_topics(const tims_topic *topics, size_t count)
{
    size_t bytes = count * (sizeof(tims_topic) + sizeof(cache__hook));
    for (size_t i = 0; i < count; i++)
        bytes += topics[i].text.length;
    return bytes;
}

static tims_cached *allocate(tims_cache *cache, size_t bytes)
{
    tims_cached *entry = calloc(1, bytes);
    TIMS_ASSERT(entry != NULL);
    entry->magic = CACHE__ENTRY_MAGIC;
    atomic_init(&entry->references, 1);
    entry->cache = cache;
    entry->bytes = bytes;
    return entry;
}

tims_cached *cache__entry_new(tims_cache *cache, const cache__key *key, const tims_cache_answer *answer)
{
    size_t count;
    const tims_topic *topics = tims_reads_topics(answer->reads, &count);
    size_t bytes = sizeof(tims_cached) + bytes_of_topics(topics, count) + key->text.length +
                   answer->body.length + answer->content_type.length + answer->extra.length;
    tims_cached *entry = allocate(cache, bytes);
    entry->topics = (tims_topic *)(void *)(entry + 1);
    entry->hooks = (cache__hook *)(void *)(entry->topics + count);
    entry->topic_count = count;
    char *at = (char *)(entry->hooks + count);
    for (size_t i = 0; i < count; i++) {
        entry->topics[i] = topics[i];
        entry->topics[i].text = put(&at, topics[i].text);
        entry->hooks[i] =
            (cache__hook){ .entry = entry, .hash = cache__topic_hash(&cache->topics, &topics[i]) };
    }
    entry->key = *key;
    entry->key.text = put(&at, key->text);
    entry->body = put(&at, answer->body);
    entry->content_type = put(&at, answer->content_type);
    entry->extra = put(&at, answer->extra);
    entry->asked_caller = key->is_personal;
    entry->status = answer->status;
    entry->position = answer->position;
    return entry;
}

tims_cached *cache__marker_new(tims_cache *cache, const cache__key *key)
{
    tims_cached *entry = allocate(cache, sizeof(tims_cached) + key->text.length);
    char *at = (char *)(entry + 1);
    entry->key = *key;
    entry->key.text = put(&at, key->text);
    entry->is_marker = true;
    return entry;
}

void cache__entry_unref(tims_cached *entry)
{
    TIMS_CHECK_MAGIC(entry, CACHE__ENTRY_MAGIC);
    if (atomic_fetch_sub_explicit(&entry->references, 1, memory_order_acq_rel) > 1)
        return;
    TIMS_ASSERT(!entry->is_listed);
    for (int i = 0; i < TIMS_ENCODINGS; i++)
        tims_buf_free(&entry->encodings[i].text);
    entry->magic = 0;
    free(entry);
}

/* --- looking ------------------------------------------------------------------------------------------ */

tims_str tims_cached_body(const tims_cached *cached)
{
    TIMS_CHECK_MAGIC(cached, CACHE__ENTRY_MAGIC);
    return cached->body;
}

tims_str tims_cached_extra(const tims_cached *cached)
{
    TIMS_CHECK_MAGIC(cached, CACHE__ENTRY_MAGIC);
    return cached->extra;
}

int64_t tims_cached_position(const tims_cached *cached)
{
    TIMS_CHECK_MAGIC(cached, CACHE__ENTRY_MAGIC);
    return cached->position;
}

void tims_cached_note(const tims_cached *cached, tims_reads *reads)
{
    TIMS_CHECK_MAGIC(cached, CACHE__ENTRY_MAGIC);
    tims_reads_add(reads, cached->topics, cached->topic_count);
    if (cached->asked_caller)
        tims_reads_add_caller(reads);
}

/* --- sending ------------------------------------------------------------------------------------------ */

typedef struct making {
    tims_encoding encoding;
    tims_str body;
    tims_buf text;
    bool done;
} making;

/* What is compressed needs room for all at first, and is kept without it. */
static void make(void *argument)
{
    making *m = argument;
    tims_buf room;
    tims_buf_init(&room, NULL, m->body.length);
    m->done = tims_encode(m->encoding, m->body, &room);
    tims_buf_init(&m->text, NULL, room.length);
    if (m->done)
        tims_buf_append_str(&m->text, tims_buf_str(&room));
    tims_buf_free(&room);
}

static void keep_encoding(tims_cached *entry, making *m)
{
    tims_cache *cache = entry->cache;
    pthread_mutex_lock(&cache->mutex);
    entry->encodings[m->encoding].state = m->done ? CACHE__MADE : CACHE__USELESS;
    if (m->done) {
        entry->encodings[m->encoding].text = m->text;
        cache__grow(cache, entry, m->text.capacity);
    }
    pthread_mutex_unlock(&cache->mutex);
}

/* On a pool thread where it takes long. The request has a reference, and the work is waited for shielded. */
static void make_encoding(tims_cached *entry, tims_encoding encoding)
{
    making m = { .encoding = encoding, .body = entry->body };
    if (entry->body.length <= ENCODE_HERE_BYTES_MAX || tims_work_run(make, &m) != TIMS_OK)
        make(&m);
    keep_encoding(entry, &m);
}

static cache__encoding_state look_at(tims_cached *entry, tims_encoding encoding, bool may_make)
{
    pthread_mutex_lock(&entry->cache->mutex);
    cache__encoding_state state = entry->encodings[encoding].state;
    if (state == CACHE__UNMADE && may_make)
        entry->encodings[encoding].state = CACHE__MAKING;
    pthread_mutex_unlock(&entry->cache->mutex);
    return state;
}

/* Made by the first who sends it: what is kept and never asked for again is not hashed. */
static tims_str etag_of(tims_cached *entry)
{
    if (!atomic_load_explicit(&entry->has_etag, memory_order_acquire)) {
        char etag[CACHE__ETAG_LENGTH];
        etag[0] = etag[CACHE__ETAG_LENGTH - 1] = '"';
        tims_content_hash(entry->body, etag + 1);
        pthread_mutex_lock(&entry->cache->mutex);
        if (!atomic_load_explicit(&entry->has_etag, memory_order_relaxed))
            memcpy(entry->etag, etag, sizeof etag);
        atomic_store_explicit(&entry->has_etag, true, memory_order_release);
        pthread_mutex_unlock(&entry->cache->mutex);
    }
    return (tims_str){ entry->etag, CACHE__ETAG_LENGTH };
}

tims_answer tims_cached_answer(tims_request *rq, const tims_cached *cached)
{
    TIMS_CHECK_MAGIC(cached, CACHE__ENTRY_MAGIC);
    tims_cached *entry = (tims_cached *)(uintptr_t)cached; /* its encodings come later */
    tims_answer answer = tims_answer_bytes(entry->status, entry->content_type, entry->body);
    if (tims_not_modified(rq, etag_of(entry)))
        return tims_answer_empty(304);
    bool may_make = atomic_fetch_add_explicit(&entry->uses, 1, memory_order_relaxed) > 0;
    tims_encoding encoding = tims_encoding_for(rq, &answer);
    if (encoding == TIMS_IDENTITY)
        return answer;
    cache__encoding_state state = look_at(entry, encoding, may_make);
    if (state == CACHE__UNMADE && may_make) {
        make_encoding(entry, encoding);
        state = look_at(entry, encoding, false);
    }
    if (state == CACHE__MADE)
        return tims_answer_encoded(rq, &answer, encoding, tims_buf_str(&entry->encodings[encoding].text));
    return state == CACHE__USELESS ? tims_answer_encoded(rq, &answer, TIMS_IDENTITY, answer.body) : answer;
}
