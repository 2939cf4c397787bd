/* limit_testing.h: a loop with a Redis, for what asks it from a request. For tests only. */
#ifndef TIMS_REDIS_LIMIT_TESTING_H
#define TIMS_REDIS_LIMIT_TESTING_H

#include "redis/redis_testing.h"
#include "tims/redis.h"

typedef struct redis_stage {
    redis_server server;
    tims_loop *loop;
    tims_redis *redis;
    tims_fiber *fiber;
    tims_fiber_fn script;
    bool is_up;
} redis_stage;

TIMS_UNUSED static void note_change(void *data, bool is_up)
{
    redis_stage *s = data;
    s->is_up = is_up;
    tims_fiber_wake(s->fiber);
}

TIMS_UNUSED static void wait_until_up(redis_stage *s, bool is_up)
{
    while (s->is_up != is_up)
        assert_int_equal(tims_fiber_suspend(), TIMS_OK);
}

TIMS_UNUSED static void run_stage(void *argument)
{
    redis_stage *s = argument;
    s->fiber = tims_fiber_self();
    (void)tims_fiber_set_deadline(tims_monotonic_us() + 20000000);
    wait_until_up(s, true);
    s->script(s);
    tims_redis_loop_stop(s->redis, s->loop);
}

TIMS_UNUSED static void begin_stage(void *argument)
{
    redis_stage *s = argument;
    tims_loop_stop(s->loop);
    assert_int_equal(tims_redis_loop_start(s->redis, s->loop, NULL), TIMS_OK);
    assert_non_null(tims_fiber_start(s->loop, run_stage, s));
}

/* The script runs on a fiber once Redis is there. */
TIMS_UNUSED static void play_with_redis(tims_fiber_fn script)
{
    redis_stage s = { .script = script };
    redis_start(&s.server, NULL);
    const tims_redis_options options = { .url = tims_str_from(s.server.url) };
    const tims_redis_listener listener = { .data = &s, .changed = note_change };
    assert_int_equal(tims_redis_new(&options, &s.redis, NULL), TIMS_OK);
    tims_redis_listen(s.redis, &listener);
    assert_int_equal(tims_loop_new(NULL, &s.loop), TIMS_OK);
    tims_loop_post(s.loop, begin_stage, &s);
    tims_loop_run(s.loop);
    tims_redis_free(&s.redis);
    tims_loop_free(&s.loop);
    redis_kill(&s.server);
}

#endif
