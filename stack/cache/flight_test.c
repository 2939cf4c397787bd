/* flight_test.c: of many who miss the same, one makes it and the others wait, on whatever loop they are. */
#include <pthread.h>

#include "cache/testing.h"

enum { ASKING = 8 };

/* Requests that ask on one loop. */
typedef struct many {
    tims_cache *cache;
    tims_loop *loop;
    tims_fiber *leader, *fibers[ASKING];
    int started, ended, made, found, raised;
    bool dies, raises;
    int64_t patience_us;
} many;

static const tims_cache_name *asked(void)
{
    static tims_cache_name name;
    name = name_of("/a", (tims_caller){ 0 });
    return &name;
}

/* The leader waits until all others have asked. */
static void make_it(many *m, tims_request *rq)
{
    m->made++;
    m->leader = tims_fiber_self();
    while (m->started < ASKING)
        (void)tims_fiber_suspend();
    if (m->dies && m->made == 1)
        tims_raise(rq, 500, "internal", "It does not work out.");
    assert_non_null(keep(m->cache, rq, "/a", 10, topic_of(&room_model, "1")));
    tims_cache_done(m->cache, rq, asked());
}

static void ask(tims_request *rq, void *argument)
{
    many *m = argument;
    m->fibers[m->started++] = tims_fiber_self();
    if (m->leader != NULL && m->started == ASKING)
        tims_fiber_wake(m->leader);
    while (!is_found(m->cache, rq, "/a", 10))
        if (tims_cache_lead(m->cache, rq, asked()))
            make_it(m, rq);
    m->found++;
}

static void ask_on_fiber(void *argument)
{
    many *m = argument;
    tims_error err = { 0 };
    if (tims_request_run(m->loop, NULL, ask, m, NULL, &err) != TIMS_OK)
        m->raised++;
    if (++m->ended == ASKING)
        tims_loop_stop(m->loop);
}

static many play_many(bool dies)
{
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, 2);
    many m = { .dies = dies, .cache = tims_cache_new(&(tims_cache_options){ .bytes_max = 1 << 20 }) };
    tims_cache_reach(m.cache, 10);
    assert_int_equal(tims_loop_new(NULL, &m.loop), TIMS_OK);
    for (int i = 0; i < ASKING; i++)
        assert_non_null(tims_fiber_start(m.loop, ask_on_fiber, &m));
    tims_loop_run(m.loop);
    tims_loop_free(&m.loop);
    tims_cache_free(&m.cache);
    return m;
}

static void one_makes_what_many_ask_for(void **state)
{
    (void)state;
    many m = play_many(false);
    assert_int_equal(m.made, 1);
    assert_int_equal(m.found, ASKING);
}

static void when_the_one_fails_another_makes_it(void **state)
{
    (void)state;
    many m = play_many(true);
    assert_int_equal(m.raised, 1);
    assert_int_equal(m.made, 2);
    assert_int_equal(m.found, ASKING - 1);
}

/* --- who asks twice ----------------------------------------------------------------------------------- */

static void lead_twice(tims_request *rq, void *argument)
{
    many *m = argument;
    for (; m->made < 2; m->made++)
        assert_true(tims_cache_lead(m->cache, rq, asked()));
}

static void lead_twice_on_fiber(void *argument)
{
    many *m = argument;
    tims_error err = { 0 };
    assert_int_equal(tims_request_run(m->loop, NULL, lead_twice, m, NULL, &err), TIMS_OK);
    tims_loop_stop(m->loop);
}

/* As a request does whose transaction gave in. */
static void who_leads_may_begin_again(void **state)
{
    (void)state;
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    many m = { .cache = tims_cache_new(&(tims_cache_options){ .bytes_max = 1 << 20 }) };
    assert_int_equal(tims_loop_new(NULL, &m.loop), TIMS_OK);
    assert_non_null(tims_fiber_start(m.loop, lead_twice_on_fiber, &m));
    tims_loop_run(m.loop);
    assert_int_equal(m.made, 2);
    tims_loop_free(&m.loop);
    tims_cache_free(&m.cache);
}

/* --- who does not wait any longer --------------------------------------------------------------------- */

typedef struct pair {
    tims_cache *cache;
    tims_loop *loop;
    tims_fiber *leader;
    bool leads;
    tims_status status;
    tims_error err;
} pair;

static void lead_and_hold(tims_request *rq, void *argument)
{
    pair *p = argument;
    assert_true(tims_cache_lead(p->cache, rq, asked()));
    p->leader = tims_fiber_self();
    p->leads = true;
    while (p->leads)
        (void)tims_fiber_suspend();
}

static void lead_on_fiber(void *argument)
{
    pair *p = argument;
    tims_error err = { 0 };
    assert_int_equal(tims_request_run(p->loop, NULL, lead_and_hold, p, NULL, &err), TIMS_OK);
}

static void wait_a_moment(tims_request *rq, void *argument)
{
    pair *p = argument;
    (void)tims_fiber_set_deadline(tims_monotonic_us() + 20000);
    (void)tims_cache_lead(p->cache, rq, asked());
}

static void wait_on_fiber(void *argument)
{
    pair *p = argument;
    p->status = tims_request_run(p->loop, NULL, wait_a_moment, p, NULL, &p->err);
    p->leads = false;
    tims_fiber_wake(p->leader);
    tims_loop_stop(p->loop);
}

static void who_waits_too_long_is_told_so(void **state)
{
    (void)state;
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    pair p = { .cache = tims_cache_new(&(tims_cache_options){ .bytes_max = 1 << 20 }) };
    assert_int_equal(tims_loop_new(NULL, &p.loop), TIMS_OK);
    assert_non_null(tims_fiber_start(p.loop, lead_on_fiber, &p));
    assert_non_null(tims_fiber_start(p.loop, wait_on_fiber, &p));
    tims_loop_run(p.loop);
    tims_loop_free(&p.loop);
    tims_cache_free(&p.cache);
    assert_int_equal(p.status, TIMS_TIMEOUT);
}

/* --- on another loop ---------------------------------------------------------------------------------- */

static void lead_elsewhere(tims_request *rq, void *argument)
{
    pair *p = argument;
    p->leads = tims_cache_lead(p->cache, rq, asked()); /* false once the other is done */
}

static void elsewhere_on_fiber(void *argument)
{
    pair *p = argument;
    p->status = tims_request_run(p->loop, NULL, lead_elsewhere, p, NULL, &p->err);
    tims_loop_stop(p->loop);
}

static void *run_elsewhere(void *argument)
{
    pair *p = argument;
    assert_int_equal(tims_loop_new(NULL, &p->loop), TIMS_OK);
    assert_non_null(tims_fiber_start(p->loop, elsewhere_on_fiber, p));
    tims_loop_run(p->loop);
    tims_loop_free(&p->loop);
    return NULL;
}

static bool somebody_waits(tims_cache *cache)
{
    pthread_mutex_lock(&cache->mutex);
    bool waits = cache__flights_waiting(cache->flights) > 0;
    pthread_mutex_unlock(&cache->mutex);
    return waits;
}

static void lead_for_another_loop(tims_request *rq, void *argument)
{
    pair *other = argument;
    pthread_t thread;
    assert_true(tims_cache_lead(other->cache, rq, asked()));
    assert_int_equal(pthread_create(&thread, NULL, run_elsewhere, other), 0);
    while (!somebody_waits(other->cache))
        (void)tims_sleep_ms(1);
    tims_cache_done(other->cache, rq, asked());
    pthread_join(thread, NULL);
}

static void lead_for_another(stage *s)
{
    pair other = { .cache = s->cache, .leads = true };
    assert_int_equal(tims_request_run(s->loop, NULL, lead_for_another_loop, &other, NULL, &s->err), TIMS_OK);
    assert_int_equal(other.status, TIMS_OK);
    assert_false(other.leads);
}

static void who_waits_on_another_loop_is_woken_there(void **state)
{
    (void)state;
    stage s = { .play_on_fiber = lead_for_another };
    play(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_makes_what_many_ask_for),
        cmocka_unit_test(when_the_one_fails_another_makes_it),
        cmocka_unit_test(who_leads_may_begin_again),
        cmocka_unit_test(who_waits_too_long_is_told_so),
        cmocka_unit_test(who_waits_on_another_loop_is_woken_there),
    };
    return cmocka_run_group_tests_name("flight", tests, NULL, NULL);
}
