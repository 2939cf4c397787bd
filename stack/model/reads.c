/* reads.c: what a piece of code reads, noted as topics while it runs.
 *
 * Whoever answers with something computed from rows can so be told when to compute it again: when a row
 * changes that has, had or gets one of the topics. Each read notes the most selective topic that holds all
 * rows it could find: a primary key, a unique column, a reference, another key column, what the read rule
 * leaves of the model, or the model. Where the rule was applied, the rows it depends on are noted too, for
 * this caller.
 *
 * A recorder is strict or lenient. Who must hear of every change (live) records strictly, and code that
 * cannot be followed fails where it stands. Who only keeps answers (the cache) records leniently: the code
 * runs as ever, and afterwards the recorder says whether it could be followed. Recorders nest, as a page
 * includes the answer of an endpoint: what the inner one notes, the outer one has read too.
 *
 * It errs on the side of too much: a topic may tell of changes that make no difference, none is missed. What
 * it cannot see are statements on the session itself (tims_db_query), the clock, and files. */
#include <inttypes.h>
#include <stdio.h>

#include "model/model_internal.h"

struct tims_reads {
    uint32_t magic;
    tims_arena *arena;
    tims_request *rq;                  /* that it is set on; NULL: none */
    struct tims_reads *outer;          /* whose turn it is again when this one ends */
    struct tims_reads *outer_on_scope; /* the same, of `rq` alone: an inner request has none yet */
    tims_topic *topics;
    size_t count, capacity;
    tims_map *known; /* by what is in a topic */
    bool asked_caller, may_use_sql;
    bool is_lenient;
    bool is_lost; /* something was read (or written) that no topic tells of */
};
enum { READS_MAGIC = 0x72656164, READS_BYTES_MAX = 64 * 1024 * 1024, FIRST_TOPICS = 16 };

/* --- topics ----------------------------------------------------------------------------------- */

typedef struct topic_key {
    char bytes[2 * sizeof(void *) + TIMS_TEXT_BYTES_MAX];
    size_t length;
} topic_key;

static tims_str make_key(topic_key *key, const tims_topic *topic)
{
    TIMS_ASSERT(topic->text.length <= TIMS_TEXT_BYTES_MAX);
    memcpy(key->bytes, &topic->model, sizeof(void *));
    memcpy(key->bytes + sizeof(void *), &topic->field, sizeof(void *));
    if (topic->text.length > 0)
        memcpy(key->bytes + 2 * sizeof(void *), topic->text.data, topic->text.length);
    key->length = 2 * sizeof(void *) + topic->text.length;
    return (tims_str){ key->bytes, key->length };
}

static bool is_known(const tims_reads *reads, const tims_topic *topic)
{
    topic_key key;
    return tims_map_get(reads->known, make_key(&key, topic)) != NULL;
}

static void append(tims_reads *reads, tims_topic topic)
{
    if (reads->count == reads->capacity) {
        size_t capacity = reads->capacity == 0 ? FIRST_TOPICS : reads->capacity * 2;
        tims_topic *more = TIMS_NEW_ARRAY(reads->arena, tims_topic, capacity);
        if (reads->count > 0)
            memcpy(more, reads->topics, reads->count * sizeof *more);
        reads->topics = more;
        reads->capacity = capacity;
    }
    topic_key key;
    (void)tims_map_set(reads->known, make_key(&key, &topic), reads);
    topic.text = topic.text.data != NULL ? tims_copy(reads->arena, topic.text) : topic.text;
    reads->topics[reads->count++] = topic;
}

/* All rows of the model; what was noted of some of them goes. */
static void note_model(tims_reads *reads, const tims_model *model)
{
    tims_topic all = { .model = model };
    if (is_known(reads, &all))
        return;
    size_t kept = 0;
    for (size_t i = 0; i < reads->count; i++)
        if (reads->topics[i].model != model)
            reads->topics[kept++] = reads->topics[i];
    reads->count = kept;
    append(reads, all);
}

static void note_topic(tims_reads *reads, const tims_topic *topic)
{
    if (is_known(reads, topic) || is_known(reads, &(tims_topic){ .model = topic->model }))
        return;
    if (reads->count >= TIMS_TOPICS_MAX)
        note_model(reads, topic->model);
    else
        append(reads, *topic);
}

enum { NUMBER_BYTES_MAX = 24 };

/* As tims_key_text, without a copy; data == NULL also for doubles, which are no topics. */
static tims_str text_of(const tims_db_value *value, char number[NUMBER_BYTES_MAX])
{
    if (value->is_id)
        return (tims_str){ value->id_text, TIMS_ID_TEXT_LENGTH };
    if (value->type == TIMS_DB_INT)
        return (tims_str){ number, (size_t)snprintf(number, NUMBER_BYTES_MAX, "%" PRId64, value->integer) };
    return value->type == TIMS_DB_TEXT ? value->bytes : (tims_str){ NULL, 0 };
}

static void note_some(tims_reads *reads, const tims_model *model, const tims_field *field,
                      const tims_db_value *value)
{
    char number[NUMBER_BYTES_MAX];
    tims_topic topic = { model, field, text_of(value, number) };
    if (value->type == TIMS_DB_NULL) /* which nothing equals */
        return;
    if (topic.text.data == NULL) {
        note_model(reads, model);
        return;
    }
    if (topic.text.length > TIMS_TEXT_BYTES_MAX) {
        note_model(reads, model);
        return;
    }
    note_topic(reads, &topic);
}

/* --- what a query may find -------------------------------------------------------------------- */

/* How few rows a condition leaves, as far as topics can say it; 0: it cannot. Doubles are written in more
 * than one way, so they are no topics. */
static int worth(const tims_model *model, const tims_condition *condition)
{
    const tims_field *field = condition->field;
    bool is_key = field->primary || tims_change_is_key(model, field);
    if (!is_key || tims_kind_base(field->kind) == TIMS_KIND_DOUBLE)
        return 0;
    if (condition->operator== TIMS_IN)
        return 1;
    if (condition->operator!= TIMS_EQUAL)
        return 0;
    return field->primary ? 5 : field->unique ? 4 : field->to != NULL ? 3 : 2;
}

static const tims_condition *most_selective(const tims_query *query)
{
    const tims_condition *best = NULL;
    int best_worth = 0;
    for (size_t i = 0; i < query->condition_count; i++) {
        int this_worth = worth(query->model, &query->conditions[i]);
        if (this_worth > best_worth) {
            best = &query->conditions[i];
            best_worth = this_worth;
        }
    }
    return best;
}

static tims_status check_live(tims_reads *reads, const tims_model *model, tims_error *err)
{
    if (!model->not_live || model__reads_lose(reads))
        return TIMS_OK;
    return tims_fail(err, TIMS_INTERNAL, "not_live",
                     "\"%s\" is read while reads are recorded, but it is .not_live: nobody is told of its "
                     "changes.",
                     model->name);
}

/* Where the query says nothing, the rule may: "the chats I am in" are rows whose keys are known now, and
 * which rows those are hangs on rows that are noted too. */
enum { AUDIENCE_IDS_MAX = 200 };
static const tims_field by_audience; /* stands in `known` for all topics that one caller's rule gives */

typedef struct audience_note {
    tims_reads *reads;
    const tims_model *model;
} audience_note;

static void note_id(void *argument, const tims_field *field, tims_str text)
{
    const audience_note *note = argument;
    note_topic(note->reads, &(tims_topic){ note->model, field, text });
}

static tims_status note_audience(tims_db_session *db, tims_reads *reads, const tims_query *query,
                                 tims_error *err)
{
    const tims_model *model = query->model;
    tims_db_value me = tims_db_id(query->caller.user);
    topic_key key;
    tims_str done = make_key(&key, &(tims_topic){ model, &by_audience, { me.id_text, TIMS_ID_TEXT_LENGTH } });
    if (is_known(reads, &(tims_topic){ .model = model }) || tims_map_get(reads->known, done) != NULL)
        return TIMS_OK;
    tims_audience *audience;
    tims_status status = tims_audience_load(db, model, query->caller, AUDIENCE_IDS_MAX, &audience, err);
    if (status != TIMS_OK)
        return status;
    if (!tims_audience_topics(audience, note_id, &(audience_note){ reads, model }))
        note_model(reads, model);
    tims_audience_free(&audience);
    (void)tims_map_set(reads->known, done, reads);
    return TIMS_OK;
}

tims_status model__note_query_in(tims_db_session *db, tims_reads *reads, const tims_query *query,
                                 tims_error *err)
{
    TIMS_CHECK_MAGIC(reads, READS_MAGIC);
    const tims_model *model = query->model;
    tims_status status = check_live(reads, model, err);
    if (status != TIMS_OK)
        return status;
    model__truth truth = model__rule_truth(model->read, model, &query->caller);
    if (truth == MODEL__NO)
        return TIMS_OK; /* whatever is there, nothing is found */
    const tims_condition *condition = most_selective(query);
    if (condition == NULL && truth == MODEL__ASK)
        status = note_audience(db, reads, query, err);
    else if (condition == NULL)
        note_model(reads, model);
    else if (condition->operator== TIMS_EQUAL)
        note_some(reads, model, condition->field, &condition->value);
    else
        for (size_t i = 0; i < condition->value_count; i++)
            note_some(reads, model, condition->field, &condition->values[i]);
    if (status != TIMS_OK)
        return status;
    return model__note_rule_in(reads, model->read, model, &query->caller, err);
}

tims_status model__note_rule_in(tims_reads *reads, const tims_rule *rule, const tims_model *model,
                                const tims_caller *caller, tims_error *err)
{
    TIMS_CHECK_MAGIC(reads, READS_MAGIC);
    if (model__rule_truth(rule, model, caller) != MODEL__ASK)
        return TIMS_OK; /* the same for all of this class */
    model__note_caller(reads);
    tims_dependency items[TIMS_DEPENDENCIES_MAX];
    size_t count;
    if (!model__dependencies(rule, model, items, &count))
        return tims_fail(err, TIMS_INTERNAL, "too_wide",
                         "A rule of \"%s\" depends on too much to be recorded.", model->name);
    tims_db_value me = tims_db_id(caller->user);
    for (size_t i = 0; i < count; i++) {
        tims_status status = check_live(reads, items[i].model, err);
        if (status != TIMS_OK)
            return status;
        if (items[i].user != NULL)
            note_some(reads, items[i].model, items[i].user, &me);
        else
            note_model(reads, items[i].model);
    }
    return TIMS_OK;
}

void model__note_caller(tims_reads *reads)
{
    TIMS_CHECK_MAGIC(reads, READS_MAGIC);
    reads->asked_caller = true;
}

bool model__reads_may_use_sql(const tims_reads *reads)
{
    TIMS_CHECK_MAGIC(reads, READS_MAGIC);
    return reads->may_use_sql;
}

bool model__reads_lose(tims_reads *reads)
{
    TIMS_CHECK_MAGIC(reads, READS_MAGIC);
    reads->is_lost = reads->is_lost || reads->is_lenient;
    return reads->is_lenient;
}

/* --- recorders -------------------------------------------------------------------------------- */

tims_reads *tims_reads_new(void)
{
    tims_arena *arena = tims_arena_new(READS_BYTES_MAX, NULL, NULL);
    tims_reads *reads = TIMS_NEW(arena, tims_reads);
    reads->magic = READS_MAGIC;
    reads->arena = arena;
    reads->known = tims_map_new();
    return reads;
}

tims_reads *tims_reads_new_lenient(void)
{
    tims_reads *reads = tims_reads_new();
    reads->is_lenient = true;
    return reads;
}

void tims_reads_free(tims_reads **reads)
{
    tims_reads *old = *reads;
    *reads = NULL;
    if (old == NULL)
        return;
    TIMS_CHECK_MAGIC(old, READS_MAGIC);
    TIMS_ASSERT(old->rq == NULL);
    old->magic = 0;
    tims_map_free(&old->known);
    tims_arena *arena = old->arena;
    tims_arena_free(&arena);
}

static void end_recording(void *argument)
{
    tims_reads_end(argument);
}

void tims_reads_begin(tims_request *rq, tims_reads *reads)
{
    TIMS_CHECK_MAGIC(reads, READS_MAGIC);
    TIMS_ASSERT(reads->rq == NULL);
    tims_db_session *db = tims_session_db(rq);
    void **slot = tims_db_session_slot(db);
    tims_reads **own = model__reads_of(rq);
    TIMS_ASSERT(*own == NULL || *own == *slot);
    tims_defer(rq, end_recording, rq); /* a session may go on when the request has ended */
    reads->outer = *slot;
    reads->outer_on_scope = *own;
    *slot = *own = reads;
    reads->rq = rq;
    if (tims_db_in_transaction(db)) /* it sees what nobody else does */
        (void)model__reads_lose(reads);
}

void tims_reads_end(tims_request *rq)
{
    tims_reads **own = model__reads_of(rq), *reads = *own;
    if (reads == NULL)
        return;
    TIMS_CHECK_MAGIC(reads, READS_MAGIC);
    tims_reads *outer = reads->outer;
    *own = reads->outer_on_scope;
    *tims_db_session_slot(tims_session_db(rq)) = outer;
    reads->rq = NULL;
    reads->outer = reads->outer_on_scope = NULL;
    if (outer == NULL)
        return;
    tims_reads_add(outer, reads->topics, reads->count);
    outer->asked_caller = outer->asked_caller || reads->asked_caller;
    outer->is_lost = outer->is_lost || reads->is_lost;
}

tims_reads *tims_reads_of(tims_request *rq)
{
    return *model__reads_of(rq);
}

void tims_reads_add(tims_reads *reads, const tims_topic *topics, size_t count)
{
    TIMS_CHECK_MAGIC(reads, READS_MAGIC);
    for (size_t i = 0; i < count; i++)
        if (topics[i].field == NULL)
            note_model(reads, topics[i].model);
        else
            note_topic(reads, &topics[i]);
}

void tims_reads_add_caller(tims_reads *reads)
{
    model__note_caller(reads);
}

const tims_topic *tims_reads_topics(const tims_reads *reads, size_t *ret_count)
{
    TIMS_CHECK_MAGIC(reads, READS_MAGIC);
    *ret_count = reads->count;
    return reads->topics;
}

bool tims_reads_asked_caller(const tims_reads *reads)
{
    TIMS_CHECK_MAGIC(reads, READS_MAGIC);
    return reads->asked_caller;
}

bool tims_reads_can_follow(const tims_reads *reads)
{
    TIMS_CHECK_MAGIC(reads, READS_MAGIC);
    return !reads->is_lost;
}

void tims_reads_untold(tims_request *rq)
{
    tims_reads *reads = *model__reads_of(rq);
    if (reads != NULL)
        reads->is_lost = true;
}

void tims_reads_model(tims_request *rq, const tims_model *model)
{
    tims_reads *reads = *model__reads_of(rq);
    if (reads == NULL)
        return;
    tims_error err = { 0 };
    tims_check(rq, check_live(reads, model, &err), &err);
    note_model(reads, model);
    reads->may_use_sql = true;
}
