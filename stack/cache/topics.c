/* topics.c: from what changed to the entries that hang on it, and when it did.
 *
 * A topic is known by its 64-bit hash, so a change costs one look into a table, whatever hangs there. Beside
 * the hooks stands when each topic changed last, in a table of fixed size: an answer that was read before but
 * comes to be kept only now is found out by it. Topics that share a slot of it make it err on the side of
 * refusing. */
#include "cache/cache_internal.h"

#include "tims/crypto.h"

enum { FIRST_BUCKETS = 1024 };

void cache__topics_init(cache__topics *topics)
{
    *topics = (cache__topics){ .bucket_count = FIRST_BUCKETS };
    tims_random(topics->seed, sizeof topics->seed);
    topics->buckets = calloc(FIRST_BUCKETS, sizeof *topics->buckets);
    topics->touched = calloc(CACHE__TOUCHED_SLOTS, sizeof *topics->touched);
    TIMS_ASSERT(topics->buckets != NULL && topics->touched != NULL);
    topics->models = tims_map_new();
}

void cache__topics_free(cache__topics *topics)
{
    size_t cursor = 0;
    tims_str key;
    void *value;
    TIMS_ASSERT(topics->hook_count == 0);
    while (tims_map_next(topics->models, &cursor, &key, &value))
        free(value);
    tims_map_free(&topics->models);
    free(topics->buckets);
    free(topics->touched);
}

static cache__model *model_of(const cache__topics *topics, const tims_model *model)
{
    const tims_str key = { (const char *)&model, sizeof(void *) };
    cache__model *found = tims_map_get(topics->models, key);
    if (found != NULL)
        return found;
    found = calloc(1, sizeof *found);
    TIMS_ASSERT(found != NULL);
    found->model = model;
    (void)tims_map_set(topics->models, key, found);
    return found;
}

void cache__topics_forget(cache__topics *topics)
{
    size_t cursor = 0;
    tims_str key;
    void *value;
    memset(topics->touched, 0, CACHE__TOUCHED_SLOTS * sizeof *topics->touched);
    while (tims_map_next(topics->models, &cursor, &key, &value))
        ((cache__model *)value)->touched = 0;
}

uint64_t cache__topic_hash(const cache__topics *topics, const tims_topic *topic)
{
    const struct {
        const tims_model *model;
        const tims_field *field;
        uint64_t text;
    } parts = { topic->model, topic->field, tims_hash(topic->text.data, topic->text.length, topics->seed) };
    return tims_hash(&parts, sizeof parts, topics->seed);
}

static int64_t *touched_slot(const cache__topics *topics, uint64_t hash)
{
    return &topics->touched[hash % CACHE__TOUCHED_SLOTS];
}

/* --- hooks -------------------------------------------------------------------------------------------- */

static void link_hook(cache__hook **first, cache__hook *hook)
{
    hook->next = *first;
    hook->back = first;
    if (hook->next != NULL)
        hook->next->back = &hook->next;
    *first = hook;
}

static void grow(cache__topics *topics)
{
    size_t count = topics->bucket_count * 2;
    cache__hook **buckets = calloc(count, sizeof *buckets);
    TIMS_ASSERT(buckets != NULL);
    for (size_t i = 0; i < topics->bucket_count; i++)
        while (topics->buckets[i] != NULL) {
            cache__hook *hook = topics->buckets[i];
            topics->buckets[i] = hook->next;
            link_hook(&buckets[hook->hash % count], hook);
        }
    free(topics->buckets);
    topics->buckets = buckets;
    topics->bucket_count = count;
}

void cache__topics_add(cache__topics *topics, tims_cached *entry)
{
    topics->hook_count += entry->topic_count;
    while (topics->hook_count > topics->bucket_count)
        grow(topics);
    for (size_t i = 0; i < entry->topic_count; i++) {
        cache__hook *hook = &entry->hooks[i];
        cache__model *model = model_of(topics, entry->topics[i].model);
        link_hook(&topics->buckets[hook->hash % topics->bucket_count], hook);
        hook->model = model;
        hook->model_next = model->first;
        hook->model_back = &model->first;
        if (model->first != NULL)
            model->first->model_back = &hook->model_next;
        model->first = hook;
    }
}

void cache__topics_remove(cache__topics *topics, tims_cached *entry)
{
    for (size_t i = 0; i < entry->topic_count; i++) {
        cache__hook *hook = &entry->hooks[i];
        *hook->back = hook->next;
        if (hook->next != NULL)
            hook->next->back = hook->back;
        *hook->model_back = hook->model_next;
        if (hook->model_next != NULL)
            hook->model_next->model_back = hook->model_back;
    }
    topics->hook_count -= entry->topic_count;
}

/* --- changes ------------------------------------------------------------------------------------------ */

bool cache__topics_changed_since(cache__topics *topics, const tims_cached *entry, int64_t position)
{
    for (size_t i = 0; i < entry->topic_count; i++)
        if (*touched_slot(topics, entry->hooks[i].hash) > position ||
            model_of(topics, entry->topics[i].model)->touched > position)
            return true;
    return false;
}

static void raise_to(int64_t *number, int64_t position)
{
    if (*number < position)
        *number = position;
}

/* An entry's hooks go together, so behind one that is told of, the next to be looked at must be another's. */
void cache__topics_touch(cache__topics *topics, const tims_topic *topic, int64_t position,
                         void (*function)(void *argument, tims_cached *entry), void *argument)
{
    uint64_t hash = cache__topic_hash(topics, topic);
    raise_to(touched_slot(topics, hash), position);
    cache__hook *hook = topics->buckets[hash % topics->bucket_count];
    while (hook != NULL) {
        cache__hook *told = hook;
        hook = hook->next;
        if (told->hash != hash)
            continue;
        while (hook != NULL && hook->entry == told->entry)
            hook = hook->next;
        function(argument, told->entry);
    }
}

void cache__topics_touch_model(cache__topics *topics, const tims_model *model, int64_t position,
                               void (*function)(void *argument, tims_cached *entry), void *argument)
{
    cache__model *own = model_of(topics, model);
    raise_to(&own->touched, position);
    for (cache__hook *hook = own->first; hook != NULL;) {
        tims_cached *entry = hook->entry;
        while (hook != NULL && hook->entry == entry)
            hook = hook->model_next;
        function(argument, entry);
    }
}
