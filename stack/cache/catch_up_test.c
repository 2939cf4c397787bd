/* catch_up_test.c: who is ahead of the feed waits for it, if something older is kept, and not in vain. */
#include "cache/testing.h"

enum { READERS = 4, LONG_MS = 10000 };

/* Readers at position 11 of what was kept at 10; the feed is a fiber that is woken by who asks for it. */
typedef struct scene {
    tims_cache *cache;
    tims_loop *loop;
    tims_fiber *feed;
    void (*feed_comes)(struct scene *s);
    int readers, calls, found, read_anew, ended;
    int64_t patience_ms; /* of each reader */
    tims_status status;  /* of the last */
} scene;

static void call_feed(void *argument)
{
    scene *s = argument;
    s->calls++;
    if (s->feed != NULL)
        tims_fiber_wake(s->feed);
}

static const tims_cache_name *asked(void)
{
    static tims_cache_name name;
    name = name_of("/a", (tims_caller){ 0 });
    return &name;
}

static void read_ahead(tims_request *rq, void *argument)
{
    scene *s = argument;
    (void)tims_fiber_set_deadline(tims_monotonic_us() + s->patience_ms * 1000);
    if (tims_cache_find_now(s->cache, rq, asked(), 11) != NULL)
        s->found++;
    else
        s->read_anew++;
}

static void read_on_fiber(void *argument)
{
    scene *s = argument;
    tims_error err = { 0 };
    s->status = tims_request_run(s->loop, NULL, read_ahead, s, NULL, &err);
    if (++s->ended < s->readers)
        return;
    if (s->feed != NULL) {
        tims_fiber *feed = s->feed;
        s->feed = NULL;
        tims_fiber_wake(feed);
    }
    tims_loop_stop(s->loop);
}

static void feed_on_fiber(void *argument)
{
    scene *s = argument;
    (void)tims_fiber_suspend();
    if (s->feed != NULL && s->feed_comes != NULL)
        s->feed_comes(s);
    while (s->feed != NULL)
        (void)tims_fiber_suspend();
}

static void keep_at_ten(tims_request *rq, void *argument)
{
    scene *s = argument;
    assert_non_null(keep(s->cache, rq, "/a", 10, topic_of(&room_model, "1")));
}

static void keep_on_fiber(void *argument)
{
    scene *s = argument;
    tims_error err = { 0 };
    assert_int_equal(tims_request_run(s->loop, NULL, keep_at_ten, s, NULL, &err), TIMS_OK);
    s->feed = tims_fiber_start(s->loop, feed_on_fiber, s);
    for (int i = 0; i < s->readers; i++)
        assert_non_null(tims_fiber_start(s->loop, read_on_fiber, s));
}

static scene play_scene(scene s)
{
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, 2);
    s.cache =
        tims_cache_new(&(tims_cache_options){ .bytes_max = 1 << 20, .catch_up = call_feed, .argument = &s });
    s.readers = s.readers > 0 ? s.readers : READERS;
    s.patience_ms = s.patience_ms > 0 ? s.patience_ms : LONG_MS;
    tims_cache_reach(s.cache, 10);
    assert_int_equal(tims_loop_new(NULL, &s.loop), TIMS_OK);
    assert_non_null(tims_fiber_start(s.loop, keep_on_fiber, &s));
    tims_loop_run(s.loop);
    tims_loop_free(&s.loop);
    tims_cache_free(&s.cache); /* asserts that nobody waits */
    assert_int_equal(s.ended, s.readers);
    return s;
}

/* --- what the feed says ------------------------------------------------------------------------------- */

static void something_else_changed(scene *s)
{
    tims_topic topic = topic_of(&room_model, "2");
    tims_cache_touch(s->cache, 11, &topic);
    tims_cache_reach(s->cache, 11);
}

static void it_changed(scene *s)
{
    tims_topic topic = topic_of(&room_model, "1");
    tims_cache_touch(s->cache, 11, &topic);
    tims_cache_reach(s->cache, 11);
}

static void it_is_another_database(scene *s)
{
    tims_cache_clear(s->cache, -1);
}

static void what_holds_is_found_when_the_feed_has_come(void **state)
{
    (void)state;
    scene s = play_scene((scene){ .feed_comes = something_else_changed });
    assert_int_equal(s.found, READERS);
    assert_true(s.calls > 0);
}

static void what_changed_is_read_anew(void **state)
{
    (void)state;
    scene s = play_scene((scene){ .feed_comes = it_changed });
    assert_int_equal(s.read_anew, READERS);
}

static void of_another_database_nobody_waits_for_a_position(void **state)
{
    (void)state;
    scene s = play_scene((scene){ .feed_comes = it_is_another_database });
    assert_int_equal(s.read_anew, READERS);
    assert_int_equal(s.status, TIMS_OK);
}

/* --- a feed that does not come ------------------------------------------------------------------------ */

static void read_again(tims_request *rq, void *argument)
{
    scene *s = argument;
    int calls = s->calls;
    assert_null(tims_cache_find_now(s->cache, rq, asked(), 11)); /* without asking: it is known to be stuck */
    assert_int_equal(s->calls, calls);
    tims_cache_reach(s->cache, 11);
    assert_non_null(tims_cache_find_now(s->cache, rq, asked(), 11));
    tims_cache_reach(s->cache, 12);
}

static void wait_then_read_again(void *argument)
{
    scene *s = argument;
    tims_error err = { 0 };
    assert_int_equal(tims_request_run(s->loop, NULL, keep_at_ten, s, NULL, &err), TIMS_OK);
    assert_int_equal(tims_request_run(s->loop, NULL, read_ahead, s, NULL, &err), TIMS_OK);
    assert_int_equal(s->read_anew, 1);
    assert_int_equal(tims_request_run(s->loop, NULL, read_again, s, NULL, &err), TIMS_OK);
    tims_loop_stop(s->loop);
}

static void a_feed_that_does_not_come_is_waited_for_once(void **state)
{
    (void)state;
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    scene s = { .patience_ms = LONG_MS };
    s.cache =
        tims_cache_new(&(tims_cache_options){ .bytes_max = 1 << 20, .catch_up = call_feed, .argument = &s });
    tims_cache_reach(s.cache, 10);
    assert_int_equal(tims_loop_new(NULL, &s.loop), TIMS_OK);
    assert_non_null(tims_fiber_start(s.loop, wait_then_read_again, &s));
    tims_loop_run(s.loop);
    tims_loop_free(&s.loop);
    tims_cache_free(&s.cache);
    assert_int_equal(s.calls, 1);
}

static void a_request_whose_time_is_up_ends(void **state)
{
    (void)state;
    scene s = play_scene((scene){ .readers = 1, .patience_ms = 1 });
    assert_int_equal(s.status, TIMS_TIMEOUT);
    assert_int_equal(s.found + s.read_anew, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_holds_is_found_when_the_feed_has_come),
        cmocka_unit_test(what_changed_is_read_anew),
        cmocka_unit_test(of_another_database_nobody_waits_for_a_position),
        cmocka_unit_test(a_feed_that_does_not_come_is_waited_for_once),
        cmocka_unit_test(a_request_whose_time_is_up_ends),
    };
    return cmocka_run_group_tests_name("catch_up", tests, NULL, NULL);
}
