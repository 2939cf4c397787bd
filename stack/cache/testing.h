/* testing.h: topics of models that have no table, answers that hang on them, and requests that ask for both.
 * For tests only. */
#ifndef TIMS_CACHE_TESTING_H
#define TIMS_CACHE_TESTING_H

#include "base/testing.h"
#include "cache/cache_internal.h"
#include "tims/crypto.h"

static const tims_field testing_fields[] = {
    { .name = "id", .kind = TIMS_KIND_ID, .primary = true },
    { .name = "owner", .kind = TIMS_KIND_ID, .index = true },
};
static const tims_model room_model = { .name = "room", .fields = { testing_fields, 2 } };
static const tims_model note_model = { .name = "note", .fields = { testing_fields, 2 } };

/* "#" is all of the model. */
TIMS_UNUSED static tims_topic topic_of(const tims_model *model, const char *text)
{
    if (strcmp(text, "#") == 0)
        return (tims_topic){ .model = model };
    return (tims_topic){ model, &testing_fields[0], tims_str_from(text) };
}

TIMS_UNUSED static tims_id user_id(uint8_t number)
{
    return (tims_id){ { 1, 2, 3, number } };
}

TIMS_UNUSED static tims_caller user(uint8_t number)
{
    return (tims_caller){ .signed_in = true, .user = user_id(number) };
}

TIMS_UNUSED static tims_cache_name name_of(const char *text, tims_caller caller)
{
    return (tims_cache_name){ TIMS_CACHE_JSON, tims_str_from(text), caller };
}

/* What an answer was read from. */
typedef struct testing_read {
    const tims_topic *topics;
    size_t count;
    bool asks_caller;
} testing_read;

TIMS_UNUSED static const tims_cached *keep_since(tims_cache *cache, tims_request *rq,
                                                 const tims_cache_name *name, int64_t position,
                                                 const testing_read *read, tims_str body, uint64_t since)
{
    tims_reads *reads = tims_reads_new_lenient();
    tims_reads_add(reads, read->topics, read->count);
    if (read->asks_caller)
        tims_reads_add_caller(reads);
    const tims_cache_answer answer = { .since = since,
                                       .position = position,
                                       .reads = reads,
                                       .status = 200,
                                       .body = body,
                                       .content_type = TIMS_STR("application/json"),
                                       .extra = TIMS_STR("extra") };
    const tims_cached *kept = tims_cache_keep(cache, rq, name, &answer);
    tims_reads_free(&reads);
    return kept;
}

/* Of one topic, for everybody of a class. */
TIMS_UNUSED static const tims_cached *keep(tims_cache *cache, tims_request *rq, const char *text,
                                           int64_t position, tims_topic topic)
{
    const tims_cache_name name = name_of(text, (tims_caller){ 0 });
    const testing_read read = { &topic, 1, false };
    return keep_since(cache, rq, &name, position, &read, tims_str_from(text),
                      tims_cache_since(cache, TIMS_CACHE_JSON));
}

TIMS_UNUSED static bool is_found(tims_cache *cache, tims_request *rq, const char *text, int64_t position)
{
    const tims_cache_name name = name_of(text, (tims_caller){ 0 });
    const tims_cached *found = tims_cache_find(cache, rq, &name, position);
    if (found != NULL)
        assert_str(tims_cached_body(found), text);
    return found != NULL;
}

TIMS_UNUSED static void touch(tims_cache *cache, int64_t position, const tims_model *model, const char *text)
{
    tims_topic all = { .model = model }, one = topic_of(model, text);
    tims_cache_touch(cache, position, &all);
    tims_cache_touch(cache, position, &one);
}

/* --- requests ----------------------------------------------------------------------------------------- */

typedef struct stage {
    tims_loop *loop;
    tims_cache *cache;
    tims_cache_options options;
    void (*play)(tims_request *rq, void *stage);
    void (*play_on_fiber)(struct stage *s); /* instead: it runs its requests itself */
    tims_error err;
} stage;

TIMS_UNUSED static void run_stage(void *argument)
{
    stage *s = argument;
    if (s->play_on_fiber != NULL)
        s->play_on_fiber(s);
    else if (tims_request_run(s->loop, NULL, s->play, s, NULL, &s->err) != TIMS_OK)
        fail_msg("raised: %s", s->err.message);
    tims_loop_stop(s->loop);
}

TIMS_UNUSED static void play(stage *s)
{
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    if (s->options.bytes_max == 0)
        s->options.bytes_max = 1 << 20;
    s->cache = tims_cache_new(&s->options);
    assert_int_equal(tims_loop_new(NULL, &s->loop), TIMS_OK);
    assert_non_null(tims_fiber_start(s->loop, run_stage, s));
    tims_loop_run(s->loop);
    tims_loop_free(&s->loop);
    tims_cache_free(&s->cache);
}

#endif
