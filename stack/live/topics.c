/* topics.c: a hash table from what a change touches to who waits there.
 *
 * A topic is a model, or a model with one key column and a value of it; the primary key is a key column too.
 * A changed row has the topics of every state it had in the step and of the state it is in. So the cost of a
 * change follows those it may concern, not those who are connected. */
#include "live/live_internal.h"

enum { TOPICS_MAGIC = 0x4c544f50, KEY_TEXT_MAX = 200 };

struct live__topic {
    live__hook *first;
    size_t key_length;
    char key[];
};

struct live__topics {
    uint32_t magic;
    tims_map *map;
};

/* Model, field, text. A longer text shares the topic of its beginning: whoever is told looks at the row
 * anyway. */
typedef struct topic_key {
    char bytes[2 * sizeof(void *) + KEY_TEXT_MAX];
    size_t length;
} topic_key;

static tims_str make_key(topic_key *key, const tims_model *model, const tims_field *field, tims_str text)
{
    size_t text_length = text.length < KEY_TEXT_MAX ? text.length : KEY_TEXT_MAX;
    memcpy(key->bytes, &model, sizeof model);
    memcpy(key->bytes + sizeof model, &field, sizeof field);
    if (text_length > 0)
        memcpy(key->bytes + 2 * sizeof(void *), text.data, text_length);
    key->length = 2 * sizeof(void *) + text_length;
    return (tims_str){ key->bytes, key->length };
}

live__topics *live__topics_new(void)
{
    live__topics *topics = calloc(1, sizeof *topics);
    TIMS_ASSERT(topics != NULL);
    topics->magic = TOPICS_MAGIC;
    topics->map = tims_map_new();
    return topics;
}

void live__topics_free(live__topics **topics)
{
    if (*topics == NULL)
        return;
    TIMS_CHECK_MAGIC(*topics, TOPICS_MAGIC);
    TIMS_ASSERT(tims_map_count((*topics)->map) == 0);
    tims_map_free(&(*topics)->map);
    free(*topics);
    *topics = NULL;
}

size_t live__topics_count(const live__topics *topics)
{
    return tims_map_count(topics->map);
}

static live__topic *find_or_make(live__topics *topics, tims_str key)
{
    live__topic *topic = tims_map_get(topics->map, key);
    if (topic != NULL)
        return topic;
    topic = calloc(1, sizeof *topic + key.length);
    TIMS_ASSERT(topic != NULL);
    topic->key_length = key.length;
    memcpy(topic->key, key.data, key.length);
    (void)tims_map_set(topics->map, key, topic);
    return topic;
}

void live__topics_add(live__topics *topics, live__hook *hook, const tims_model *model,
                      const tims_field *field, tims_str text)
{
    TIMS_CHECK_MAGIC(topics, TOPICS_MAGIC);
    TIMS_ASSERT(hook->topic == NULL && hook->owner != NULL);
    topic_key key;
    live__topic *topic = find_or_make(topics, make_key(&key, model, field, text));
    hook->topic = topic;
    hook->previous = NULL;
    hook->next = topic->first;
    if (topic->first != NULL)
        topic->first->previous = hook;
    topic->first = hook;
}

void live__topics_remove(live__topics *topics, live__hook *hook)
{
    TIMS_CHECK_MAGIC(topics, TOPICS_MAGIC);
    live__topic *topic = hook->topic;
    if (topic == NULL)
        return;
    if (hook->next != NULL)
        hook->next->previous = hook->previous;
    if (hook->previous != NULL)
        hook->previous->next = hook->next;
    else
        topic->first = hook->next;
    hook->topic = NULL;
    if (topic->first != NULL)
        return;
    (void)tims_map_remove(topics->map, (tims_str){ topic->key, topic->key_length });
    free(topic);
}

size_t live__topics_crowd(const live__hook *hook)
{
    size_t count = 0;
    if (hook->topic != NULL)
        for (const live__hook *other = hook->topic->first; other != NULL; other = other->next)
            count++;
    return count;
}

/* --- looking up ------------------------------------------------------------------------------- */

static void visit_topic(live__topics *topics, const live__change *change, const tims_topic *what,
                        void (*visit)(void *argument, live__hook *hook, const live__change *change),
                        void *argument)
{
    topic_key key;
    const live__topic *topic =
        tims_map_get(topics->map, make_key(&key, what->model, what->field, what->text));
    if (topic == NULL)
        return;
    for (live__hook *hook = topic->first; hook != NULL; hook = hook->next)
        visit(argument, hook, change);
}

static bool same_key(tims_str a, tims_str b)
{
    return (a.data == NULL) == (b.data == NULL) && tims_str_equal(a, b);
}

/* Each value once: the row's own, and every other that it had. */
static void list_field(const live__change *change, size_t index,
                       void (*function)(void *argument, const tims_topic *topic), void *argument)
{
    tims_topic topic = { .model = change->model, .field = &change->model->fields.items[index] };
    if (change->keys != NULL && change->keys[index].data != NULL) {
        topic.text = change->keys[index];
        function(argument, &topic);
    }
    for (const live__old *old = change->olds; old != NULL; old = old->next) {
        bool seen = old->keys[index].data == NULL ||
                    (change->keys != NULL && same_key(old->keys[index], change->keys[index]));
        for (const live__old *other = change->olds; !seen && other != old; other = other->next)
            seen = same_key(old->keys[index], other->keys[index]);
        topic.text = old->keys[index];
        if (!seen)
            function(argument, &topic);
    }
}

void live__change_topics(const live__change *change,
                         void (*function)(void *argument, const tims_topic *topic), void *argument)
{
    const tims_model *model = change->model;
    char id[TIMS_ID_TEXT_LENGTH];
    tims_id_format(change->id, id);
    const tims_topic all = { .model = model };
    const tims_topic one = { model, tims_model_primary(model), { id, sizeof id } };
    function(argument, &all);
    function(argument, &one);
    for (size_t i = 0; i < model->fields.count; i++)
        if (!model->fields.items[i].primary && tims_change_is_key(model, &model->fields.items[i]))
            list_field(change, i, function, argument);
}

bool live__topics_concerns(const live__hook *hook, const live__change *change)
{
    const live__topic *topic = hook->topic;
    topic_key key;
    TIMS_ASSERT(topic != NULL);
    const tims_str wanted = { topic->key, topic->key_length };
    char id[TIMS_ID_TEXT_LENGTH];
    tims_id_format(change->id, id);
    if (tims_str_equal(wanted, make_key(&key, change->model, NULL, (tims_str){ NULL, 0 })) ||
        tims_str_equal(wanted, make_key(&key, change->model, tims_model_primary(change->model),
                                        (tims_str){ id, sizeof id })))
        return true;
    for (size_t i = 0; i < change->model->fields.count; i++) {
        const tims_field *field = &change->model->fields.items[i];
        if (field->primary || !tims_change_is_key(change->model, field))
            continue;
        if (change->keys != NULL && change->keys[i].data != NULL &&
            tims_str_equal(wanted, make_key(&key, change->model, field, change->keys[i])))
            return true;
        for (const live__old *old = change->olds; old != NULL; old = old->next)
            if (old->keys[i].data != NULL &&
                tims_str_equal(wanted, make_key(&key, change->model, field, old->keys[i])))
                return true;
    }
    return false;
}

void live__topics_visit_model(live__topics *topics, const tims_model *model,
                              void (*visit)(void *argument, live__hook *hook, const live__change *change),
                              void *argument)
{
    const live__change change = { .model = model };
    visit_topic(topics, &change, &(tims_topic){ .model = model }, visit, argument);
}

typedef struct visitor {
    live__topics *topics;
    const live__change *change;
    void (*visit)(void *argument, live__hook *hook, const live__change *change);
    void *argument;
} visitor;

static void visit_one(void *argument, const tims_topic *topic)
{
    const visitor *v = argument;
    visit_topic(v->topics, v->change, topic, v->visit, v->argument);
}

void live__topics_visit(live__topics *topics, const live__change *change,
                        void (*visit)(void *argument, live__hook *hook, const live__change *change),
                        void *argument)
{
    TIMS_CHECK_MAGIC(topics, TOPICS_MAGIC);
    visitor v = { topics, change, visit, argument };
    live__change_topics(change, visit_one, &v);
}
