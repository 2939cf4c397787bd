/* counter_test: two nodes count the same; without Redis each goes on by itself. */
#include "auth/auth_internal.h"
#include "redis/limit_testing.h"

static const auth__limit limit = { 3, INT64_C(60) * 1000000 };

typedef struct scene {
    redis_stage *stage;
    tims_auth nodes[2];
    auth__counter counters[2];
    int retry_s;
} scene;

static void make_counters(tims_request *rq, scene *s, char kind)
{
    for (int i = 0; i < 2; i++)
        s->counters[i] =
            auth__counter_of(rq, &s->nodes[i], s->nodes[i].throttle, kind, TIMS_STR("anna 10.0.0.1"));
}

static bool try(tims_request *rq, scene *s, int node)
{
    return auth__counter_try(rq, &s->counters[node], limit, &s->retry_s);
}

static void count_together(tims_request *rq, scene *s)
{
    make_counters(rq, s, 'a');
    assert_str(s->counters[0].shared, tims_copy_c(rq->arena, s->counters[1].shared));
    assert_int_equal(tims_str_find(s->counters[0].shared, TIMS_STR("anna")), SIZE_MAX);
    assert_true(try(rq, s, 0));
    assert_true(try(rq, s, 1));
    assert_true(try(rq, s, 0));
    assert_false(try(rq, s, 1));
    assert_in_range(s->retry_s, 50, 61);
    assert_false(auth__counter_look(rq, &s->counters[0], limit, &s->retry_s));
    auth__counter_take_back(&s->counters[0]);
    assert_true(try(rq, s, 1));
    assert_false(try(rq, s, 0));
    auth__counter_clear(&s->counters[1]);
    assert_true(try(rq, s, 0));
    auth__counter_count(&s->counters[1], limit);
    assert_true(try(rq, s, 1));
    assert_false(try(rq, s, 1));
}

static void count_alone(tims_request *rq, scene *s)
{
    make_counters(rq, s, 'b');
    assert_true(try(rq, s, 0));
    redis_kill(&s->stage->server);
    wait_until_up(s->stage, false);
    assert_true(try(rq, s, 0)); /* what was counted before is counted here, too */
    assert_true(try(rq, s, 0));
    assert_false(try(rq, s, 0));
    for (int i = 0; i < 3; i++)
        assert_true(try(rq, s, 1));
    assert_false(try(rq, s, 1));
    redis_start(&s->stage->server, NULL);
    wait_until_up(s->stage, true);
    assert_true(try(rq, s, 0)); /* it has forgotten */
}

static void run_scene(tims_request *rq, void *argument)
{
    scene *s = argument;
    s->stage->fiber = tims_fiber_self(); /* a request has its own */
    count_together(rq, s);
    count_alone(rq, s);
}

static void play_scene(void *argument)
{
    scene s = { .stage = argument };
    tims_error err = { 0 };
    for (int i = 0; i < 2; i++) {
        s.nodes[i] = (tims_auth){ .magic = AUTH__MAGIC, .throttle = auth__throttle_new() };
        memset(s.nodes[i].key, 'k', sizeof s.nodes[i].key);
        tims_auth_share_limits(&s.nodes[i], s.stage->redis, TIMS_STR("test"));
    }
    if (tims_request_run(s.stage->loop, NULL, run_scene, &s, NULL, &err) != TIMS_OK)
        fail_msg("%s %s", err.message, err.detail);
    for (int i = 0; i < 2; i++)
        auth__throttle_free(&s.nodes[i].throttle);
}

static void nodes_count_together_while_redis_is_there(void **state)
{
    (void)state;
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    play_with_redis(play_scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_count_together_while_redis_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
