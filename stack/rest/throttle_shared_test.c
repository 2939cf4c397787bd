/* throttle_shared_test: rates per minute are counted for all nodes, those per second by each. */
#include "redis/limit_testing.h"
#include "rest/rest_internal.h"

typedef struct asking {
    rest__throttle *throttle;
    const char *name;
    tims_rate rate;
} asking;

static void ask(tims_request *rq, void *argument)
{
    const asking *a = argument;
    tims_request_set_caller(rq, (tims_caller){ .signed_in = true, .user = { { 7 } } });
    rest__throttle_request(rq, a->throttle, tims_str_from(a->name), a->rate);
}

static tims_status take(redis_stage *s, rest__throttle *throttle, const char *rate, int *ret_retry_after_s)
{
    asking a = { .throttle = throttle, .name = rate };
    tims_error err = { 0 };
    assert_true(tims_rate_parse(rate, &a.rate));
    tims_status status = tims_request_run(s->loop, NULL, ask, &a, NULL, &err);
    *ret_retry_after_s = err.retry_after_s;
    return status;
}

static void take_on_two_nodes(void *argument)
{
    redis_stage *s = argument;
    tims_arena *arena = tims_arena_new(4 << 20, NULL, NULL);
    rest__throttle *a = rest__throttle_new(arena), *b = rest__throttle_new(arena);
    int retry_s;
    rest__throttle_share(a, s->redis, TIMS_STR("test"));
    rest__throttle_share(b, s->redis, TIMS_STR("test"));
    assert_int_equal(take(s, a, "3/m", &retry_s), TIMS_OK);
    assert_int_equal(take(s, b, "3/m", &retry_s), TIMS_OK);
    assert_int_equal(take(s, a, "3/m", &retry_s), TIMS_OK);
    assert_int_equal(take(s, b, "3/m", &retry_s), TIMS_THROTTLED);
    assert_in_range(retry_s, 15, 20);
    assert_int_equal(take(s, a, "1/s", &retry_s), TIMS_OK);
    assert_int_equal(take(s, a, "1/s", &retry_s), TIMS_THROTTLED);
    assert_int_equal(take(s, b, "1/s", &retry_s), TIMS_OK);
    redis_kill(&s->server);
    wait_until_up(s, false);
    assert_int_equal(take(s, b, "3/m", &retry_s),
                     TIMS_OK); /* by itself it had but two, the refused one too */
    assert_int_equal(take(s, b, "3/m", &retry_s), TIMS_THROTTLED);
    tims_arena_free(&arena);
}

static void a_rate_per_minute_is_one_for_all_nodes(void **state)
{
    (void)state;
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    play_with_redis(take_on_two_nodes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_per_minute_is_one_for_all_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
