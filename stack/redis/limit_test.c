/* limit_test: limits counted by the server: windows, buckets, and what is taken back. */
#include "redis/limit_testing.h"

static int64_t window(redis_stage *s, const char *key, int64_t max, int64_t period_us, bool counts)
{
    tims_arena *arena = tims_arena_new(64 * 1024, NULL, NULL);
    tims_error err = { 0 };
    int64_t wait_us = -1;
    if (tims_redis_limit_window(s->redis, arena, tims_str_from(key), (tims_redis_limit){ max, period_us },
                                counts, &wait_us, &err) != TIMS_OK)
        fail_msg("%s %s", err.message, err.detail);
    tims_arena_free(&arena);
    return wait_us;
}

static int64_t bucket(redis_stage *s, const char *key, int64_t max, int64_t period_us)
{
    tims_arena *arena = tims_arena_new(64 * 1024, NULL, NULL);
    tims_error err = { 0 };
    int64_t wait_us = -1;
    if (tims_redis_limit_bucket(s->redis, arena, tims_str_from(key), (tims_redis_limit){ max, period_us },
                                &wait_us, &err) != TIMS_OK)
        fail_msg("%s %s", err.message, err.detail);
    tims_arena_free(&arena);
    return wait_us;
}

enum { MINUTE_US = 60 * 1000 * 1000 };

static void count_windows(void *argument)
{
    redis_stage *s = argument;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(window(s, "a", 3, MINUTE_US, false), 0);
        assert_int_equal(window(s, "a", 3, MINUTE_US, true), 0);
    }
    assert_in_range(window(s, "a", 3, MINUTE_US, true), 50 * 1000000, MINUTE_US);
    assert_in_range(window(s, "a", 3, MINUTE_US, false), 50 * 1000000, MINUTE_US);
    assert_int_equal(window(s, "b", 3, MINUTE_US, true), 0);
    tims_redis_limit_take_back(s->redis, TIMS_STR("a"));
    assert_int_equal(window(s, "a", 3, MINUTE_US, true), 0);
    assert_true(window(s, "a", 3, MINUTE_US, true) > 0);
    tims_redis_limit_clear(s->redis, TIMS_STR("a"));
    assert_int_equal(window(s, "a", 1, MINUTE_US, true), 0);
    tims_redis_limit_take_back(s->redis, TIMS_STR("nothing"));
    assert_int_equal(window(s, "nothing", 1, MINUTE_US, true), 0);
    tims_redis_limit_count(s->redis, TIMS_STR("counted"), MINUTE_US);
    assert_true(window(s, "counted", 1, MINUTE_US, false) > 0);
    assert_int_equal(window(s, "short", 1, 50 * 1000, true), 0);
    while (window(s, "short", 1, 50 * 1000, true) > 0)
        ; /* the server's clock ends it, or the deadline this test */
}

static void windows_end_by_themselves(void **state)
{
    (void)state;
    play_with_redis(count_windows);
}

static void fill_buckets(void *argument)
{
    redis_stage *s = argument;
    for (int i = 0; i < 5; i++)
        assert_int_equal(bucket(s, "a", 5, MINUTE_US), 0);
    assert_in_range(bucket(s, "a", 5, MINUTE_US), 11 * 1000000, 12 * 1000000); /* a fifth of a minute */
    assert_int_equal(bucket(s, "b", 5, MINUTE_US), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(bucket(s, "fast", 2, 200 * 1000), 0);
    assert_in_range(bucket(s, "fast", 2, 200 * 1000), 1, 100 * 1000);
    while (bucket(s, "fast", 2, 200 * 1000) > 0)
        ;                                              /* one has come back … */
    assert_true(bucket(s, "fast", 2, 200 * 1000) > 0); /* … and no other yet */
}

static void buckets_fill_evenly(void **state)
{
    (void)state;
    play_with_redis(fill_buckets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_end_by_themselves),
        cmocka_unit_test(buckets_fill_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
