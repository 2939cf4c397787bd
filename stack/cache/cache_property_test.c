/* cache_property_test.c: a long random story held against a plain model of it.
 *
 * The model remembers every change of every topic with its position. What is found must not have changed
 * between where it was read and where it is asked for; and an answer that was kept must be found as long as
 * nothing it hangs on has changed, it was not replaced, cleared, and there is room. */
#include "cache/testing.h"

enum { NAMES = 40, TEXTS = 12, MODELS = 2, STEPS = 60000, CHANGES_MAX = 100000 };

static const tims_model *const models[MODELS] = { &room_model, &note_model };

/* What the model knows of the last answer kept under a name. */
typedef struct shelf {
    bool is_kept;
    int64_t position;
    bool hangs[MODELS][TEXTS + 1]; /* the last one: all of the model */
} shelf;

typedef struct story {
    tims_cache *cache;
    uint64_t seed;
    int64_t reached, database; /* where the feed is, where the database is */
    int64_t told;              /* up to here the cache has been told of changes */
    struct {
        int64_t position;
        int model, text; /* TEXTS: all of it */
    } changes[CHANGES_MAX];
    size_t change_count, told_count;
    shelf shelves[NAMES];
    char texts[TEXTS][16], names[NAMES][16];
    size_t found, missed, refused;
} story;

static uint32_t draw(story *s, uint32_t below)
{
    s->seed = s->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(s->seed >> 33) % below;
}

static bool concerns(const shelf *kept, int model, int text)
{
    const bool *hangs = kept->hangs[model];
    if (hangs[TEXTS] || (text < TEXTS && hangs[text]))
        return true;
    for (int i = 0; text == TEXTS && i < TEXTS; i++)
        if (hangs[i])
            return true;
    return false;
}

/* Whether something it hangs on has changed in (from, to]. */
static bool has_changed(const story *s, const shelf *kept, int64_t from, int64_t to)
{
    for (size_t i = s->change_count; i-- > 0 && s->changes[i].position > from;)
        if (s->changes[i].position <= to && concerns(kept, s->changes[i].model, s->changes[i].text))
            return true;
    return false;
}

/* Somebody commits: each commit is a position. */
static void change(story *s)
{
    TIMS_ASSERT(s->change_count < CHANGES_MAX);
    s->database++;
    for (uint32_t n = draw(s, 3); n > 0; n--) {
        int text = draw(s, 20) == 0 ? TEXTS : (int)draw(s, TEXTS);
        s->changes[s->change_count].position = s->database;
        s->changes[s->change_count].model = (int)draw(s, MODELS);
        s->changes[s->change_count++].text = text;
    }
}

/* A change that is told takes what was read before the step's end. */
static void take_from_shelves(story *s, int model, int text)
{
    for (int i = 0; i < NAMES; i++)
        if (s->shelves[i].position < s->database && concerns(&s->shelves[i], model, text))
            s->shelves[i].is_kept = false;
}

/* A step of the feed: all that is new, told under the position it goes to. Sometimes it fails on the way. */
static void step(story *s)
{
    bool fails = draw(s, 10) == 0;
    for (; s->told_count < s->change_count; s->told_count++) {
        const tims_model *model = models[s->changes[s->told_count].model];
        int text = s->changes[s->told_count].text;
        if (text == TEXTS)
            tims_cache_touch_model(s->cache, s->database, model);
        else
            touch(s->cache, s->database, model, s->texts[text]);
        take_from_shelves(s, s->changes[s->told_count].model, text);
    }
    s->told = s->database;
    if (fails)
        return;
    tims_cache_reach(s->cache, s->database);
    s->reached = s->database;
}

/* Read at some position that is not long ago, hanging on some things; it may come late. */
static void keep_one(story *s, tims_request *rq)
{
    int name = (int)draw(s, NAMES);
    int64_t position = s->database - (int64_t)draw(s, 4);
    shelf fresh = { .is_kept = true, .position = position };
    tims_topic topics[4];
    size_t count = 0;
    for (uint32_t n = 1 + draw(s, 3); n > 0; n--) {
        int model = (int)draw(s, MODELS), text = draw(s, 6) == 0 ? TEXTS : (int)draw(s, TEXTS);
        fresh.hangs[model][text] = true;
        topics[count++] = topic_of(models[model], text == TEXTS ? "#" : s->texts[text]);
    }
    tims_cache_name asked = name_of(s->names[name], (tims_caller){ 0 });
    const testing_read read = { topics, count, false };
    tims_str body = tims_print(rq->arena, "%d", (int)position);
    bool is_kept = keep_since(s->cache, rq, &asked, position, &read, body, 1) != NULL;
    if (is_kept)
        s->shelves[name] = fresh;
    else
        s->refused++;
    bool was_told = has_changed(s, &fresh, position, s->told);
    if (is_kept && was_told)
        fail_msg("%s, read at %d, was kept though it has changed by %d", s->names[name], (int)position,
                 (int)s->told);
}

static void find_one(story *s, tims_request *rq)
{
    int name = (int)draw(s, NAMES);
    int64_t position = s->database - (int64_t)draw(s, 6);
    const shelf *kept = &s->shelves[name];
    tims_cache_name asked = name_of(s->names[name], (tims_caller){ 0 });
    const tims_cached *found = tims_cache_find(s->cache, rq, &asked, position);
    if (found != NULL) {
        int64_t read_at = tims_cached_position(found);
        s->found++;
        if (read_at > position || has_changed(s, kept, read_at, position))
            fail_msg("%s, read at %d, is stale at %d", s->names[name], (int)read_at, (int)position);
        assert_int_equal(read_at, kept->position);
        return;
    }
    s->missed++;
    bool must_be_there = kept->is_kept && kept->position <= position && position <= s->reached;
    if (must_be_there)
        fail_msg("%s, read at %d, holds at %d, but is not there", s->names[name], (int)kept->position,
                 (int)position);
}

static void play_some(tims_request *rq, void *argument)
{
    story *s = argument;
    for (int i = 0; i < 500; i++)
        switch (draw(s, 10)) {
        case 0:
            change(s);
            break;
        case 1:
            step(s);
            break;
        case 2:
        case 3:
        case 4:
            keep_one(s, rq);
            break;
        default:
            find_one(s, rq);
        }
}

static void play_story(stage *st)
{
    story *s = calloc(1, sizeof *s);
    s->cache = st->cache;
    tims_random(&s->seed, sizeof s->seed);
    print_message("seed %llu\n", (unsigned long long)s->seed);
    s->database = s->reached = s->told = 100;
    tims_cache_reach(s->cache, 100);
    for (int i = 0; i < TEXTS; i++)
        (void)snprintf(s->texts[i], sizeof s->texts[i], "%d", i);
    for (int i = 0; i < NAMES; i++)
        (void)snprintf(s->names[i], sizeof s->names[i], "/%d", i);
    for (int i = 0; i < STEPS / 500; i++) /* each lets go of what it was given */
        if (tims_request_run(st->loop, NULL, play_some, s, NULL, &st->err) != TIMS_OK)
            fail_msg("raised: %s", st->err.message);
    assert_true(s->found > 1000 && s->missed > 1000 && s->refused > 100);
    free(s);
}

static void nothing_stale_is_given_out_and_nothing_that_holds_is_lost(void **state)
{
    (void)state;
    stage s = { .play_on_fiber = play_story };
    play(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_stale_is_given_out_and_nothing_that_holds_is_lost),
    };
    return cmocka_run_group_tests_name("cache_property", tests, NULL, NULL);
}
