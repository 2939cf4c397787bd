/* celery_outage_test: Redis goes and comes, connections break, workers die with what they hold. */
#include "tasks/celery/celery_testing.h"

#define NUMBER_7 "{\"number\":7,\"label\":\"x\"}"

static const tims_worker_options short_lease = { .lease_ms = 600, .no_schedules = true };

/* --- the server ------------------------------------------------------------------------------------------------------ */

static void lose_redis(stage *s)
{
    stage_start_worker(s, NULL);
    celery_push(s, "endless", "runs", NUMBER_7, NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect", 1);
    redis_kill(&testing_redis);
    for (int i = 0; i < 50; i++) /* while it is away nothing is refused */
        (void)stage_enqueue(s, &noting_task, i, "meanwhile", NULL);
    celery_redis_again();
    celery_wait_up(s);
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE label = 'meanwhile'", 50);
    stage_wait_for(s, "SELECT count(*) FROM tims_job", 0);
    celery_wait_int(s, "HLEN", "unacked", 1); /* it still runs, and is still ours */
    assert_true(celery__revoke(celery_store(s), TIMS_STR("runs")));
    (void)celery_result(s, "runs", "REVOKED");
    celery_wait_int(s, "HLEN", "unacked", 0);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect WHERE label = 'x'"), 1);
}

static void nothing_is_lost_while_redis_is_away(void **state)
{
    celery_play(state, lose_redis);
}

/* Ends while Redis is away, and is told when it is back. */
static void end_meanwhile(stage *s)
{
    stage_start_worker(s, NULL);
    tims_id id = stage_enqueue(s, &endless_task, 1, "x", NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect", 1);
    stage_wait_for(s, "SELECT count(*) FROM tims_job", 0);
    redis_kill(&testing_redis);
    tasks__worker *worker = s->tasks->worker;
    assert_non_null(worker);
    s->has_stopped = false;
    tims_worker_stop(s->tasks, stage_note_stopped, s); /* it asks the run to stop, which then ends */
    assert_int_equal(tims_sleep_ms(100), TIMS_OK);
    assert_false(s->has_stopped); /* its end is not written: it waits */
    celery_redis_again();
    s->fiber = tims_fiber_self();
    while (!s->has_stopped)
        assert_int_equal(tims_fiber_suspend(), TIMS_OK);
    s->fiber = NULL;
    celery_wait_up(s);
    assert_int_equal(celery_int(s, "HLEN", "unacked"), 0);
    assert_int_equal(celery_int(s, "ZCARD", "tims:delayed") + celery_int(s, "LLEN", "default"), 1);
    assert_false(tims_id_is_zero(id));
}

static void an_end_waits_until_redis_is_back(void **state)
{
    celery_play(state, end_meanwhile);
}

static void cut_connections(stage *s)
{
    stage_start_worker(s, NULL);
    for (int i = 0; i < 2000; i++) {
        (void)stage_enqueue(s, &noting_task, i, "cut", NULL);
        if (i % 200 == 0)
            redis_wait_for(&testing_redis, "CLIENT KILL TYPE normal SKIPME yes", ":");
    }
    stage_wait_for(s, "SELECT count(DISTINCT number) FROM effect", 2000);
    celery_wait_up(s);
    celery_wait_int(s, "HLEN", "unacked", 0);
    celery_wait_int(s, "LLEN", "default", 0);
    stage_wait_for(s, "SELECT count(*) FROM tims_job", 0);
}

static void connections_may_break_at_any_time(void **state)
{
    celery_play(state, cut_connections);
}

static void start_with_the_wrong_password(stage *s)
{
    tims_error err = { 0 };
    (void)REDIS(s, T("CONFIG"), T("SET"), T("requirepass"), T("secret"));
    const tims_worker_options plain = { .no_schedules = true };
    assert_int_equal(tims_worker_start(s->tasks, s->loop, &plain, &err), TIMS_UNAUTHORIZED);
    assert_int_equal(tims_relay_start(s->tasks, s->loop, &err), TIMS_UNAUTHORIZED);
    assert_null(s->tasks->worker);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_worker"), 0);
}

static void a_server_that_will_never_do_is_refused_at_the_start(void **state)
{
    celery_play(state, start_with_the_wrong_password);
}

/* --- workers ----------------------------------------------------------------------------------------------------------- */

static void hold(stage *s, const char *tag, const char *entry, const char *score)
{
    (void)REDIS(s, T("HSET"), T("unacked"), T(tag), T(entry));
    (void)REDIS(s, T("ZADD"), T("unacked_index"), T(score), T(tag));
}

static void restore(stage *s)
{
    const char *message = tims_copy_c(s->arena, celery_message(s, "noting", "m", NUMBER_7, NULL));
    const char *entry = tims_copy_c(s->arena, tims_print(s->arena, "[%s, \"\", \"default\"]", message));
    hold(s, "tims.dead.1.1", entry, "99999999999"); /* a worker of ours that has no lease */
    hold(s, "of-python", entry, "1");               /* long ago */
    hold(s, "of-python-too", entry, "99999999999"); /* not so long ago */
    hold(s, "broken", "no JSON", "1");
    (void)REDIS(s, T("ZADD"), T("tims:leases"), T("1"), T("dead"));
    stage_start_worker(s, &short_lease);
    stage_wait_for(s, "SELECT count(*) FROM effect", 2);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect WHERE attempt = 2"), 1); /* its crash counts */
    celery_wait_int(s, "HLEN", "unacked", 1);
    assert_int_equal(celery_int(s, "ZCARD", "unacked_index"), 1);
    celery_wait_int(s, "EXISTS", "unacked_mutex", 0);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_dead WHERE code = 'malformed_message'", 1);
}

static void what_dead_workers_held_is_run_again(void **state)
{
    celery_play(state, restore);
}

static void poison(stage *s)
{
    tims_buf out;
    celery__envelope e;
    tims_error err = { 0 };
    tims_str message = celery_message(s, "noting", "poison", NUMBER_7, NULL);
    stage_check(celery__read(NULL, s->arena, TIMS_STR("default"), message, &e, &err), &err);
    const celery__again again = { .crashes = 2 };
    tims_buf_init(&out, s->arena, 1 << 20);
    celery__write_again(&out, s->arena, &e, &again);
    hold(s, "tims.dead.1.1",
         tims_copy_c(s->arena, tims_print(s->arena, "[%S, \"\", \"default\"]", tims_buf_str(&out))), "1");
    stage_start_worker(s, &short_lease);
    assert_str(celery_result(s, "poison", "FAILURE").error_type, "WorkerLostError");
    stage_wait_for(s, "SELECT count(*) FROM tims_job_dead WHERE code = 'crashed'", 1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 0);
}

static void a_job_that_kills_its_workers_is_dead(void **state)
{
    celery_play(state, poison);
}

/* The script ran, and its answer got lost: what it took is under our tags, and nobody runs it. */
static void lose_an_answer(stage *s)
{
    stage_start_worker(s, NULL);
    celery_push(s, "noting", "a", NUMBER_7, NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect", 1);
    celery_wait_int(s, "HLEN", "unacked", 0);
    tims_id worker = celery_store(s)->store.worker;
    const char *base = tims_copy_c(s->arena, tims_print(s->arena, "tims.%I.999999.", worker));
    const char *message = tims_copy_c(s->arena, celery_message(s, "noting", "b", "{\"number\":8}", NULL));
    const char *entry = tims_copy_c(s->arena, tims_print(s->arena, "[%s,\"\",\"default\"]", message));
    hold(s, tims_copy_c(s->arena, tims_print(s->arena, "%s1", base)), entry, "99999999999");
    hold(s, tims_copy_c(s->arena, tims_print(s->arena, "%s2", base)), entry, "99999999999");
    (void)REDIS(s, T("SET"), tims_print(s->arena, "tims:batch:%I", worker),
                tims_print(s->arena, "%s\n03\ndefault", base));
    celery_push(s, "noting", "c", NUMBER_7, NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE number = 8", 2);
    celery_wait_int(s, "HLEN", "unacked", 0);
    assert_int_equal(celery_int(s, "ZCARD", "unacked_index"), 0);
}

static void a_take_whose_answer_is_lost_is_put_back(void **state)
{
    celery_play(state, lose_an_answer);
}

/* Its lease is gone: others have its jobs, and what it says of them is not heard. */
static void lose_the_lease(stage *s)
{
    stage_start_worker(s, &short_lease);
    celery_push(s, "endless", "runs", NUMBER_7, NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect", 1);
    tims_id before = celery_store(s)->store.worker;
    (void)REDIS(s, T("DEL"), T("tims:leases"), T("unacked"), T("unacked_index"));
    celery_wait_int(s, "ZCARD", "tims:leases", 1);
    assert_false(tims_same_id(before, celery_store(s)->store.worker));
    celery_push(s, "giving", "next", NUMBER_7, NULL);
    (void)celery_result(s, "next", "SUCCESS");
    assert_int_equal(tims_redis_text(REDIS(s, T("GET"), T("celery-task-meta-runs"))).length, 0);
}

static void a_worker_without_a_lease_goes_on_as_a_new_one(void **state)
{
    celery_play(state, lose_the_lease);
}

static int64_t score_of_held(stage *s)
{
    const tims_redis_reply *all = REDIS(s, T("ZRANGE"), T("unacked_index"), T("0"), T("0"), T("WITHSCORES"));
    int64_t seconds = -1;
    if (tims_redis_count(all) == 2) {
        tims_str score = tims_redis_text(tims_redis_item(all, 1));
        assert_true(tims_str_to_int(tims_str_cut(&score, '.'), 0, INT64_MAX, &seconds));
    }
    return seconds;
}

static void stay_young(stage *s)
{
    stage_start_worker(s, &short_lease);
    celery_push(s, "endless", "runs", NUMBER_7, NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect", 1);
    int64_t taken = score_of_held(s), until_us = tims_monotonic_us() + STAGE_WAITS_MS * INT64_C(1000);
    assert_true(taken > 0);
    celery_store(s)->held->taken_us -= INT64_C(60) * 1000000; /* it has run for a minute */
    celery_store(s)->touched_us -= INT64_C(60) * 1000000;
    (void)REDIS(s, T("ZADD"), T("unacked_index"), T("XX"), T("1"), T(celery_store(s)->held->tag));
    while (score_of_held(s) < taken) {
        assert_true(tims_monotonic_us() < until_us);
        assert_int_equal(tims_sleep_ms(5), TIMS_OK);
    }
}

static void what_runs_for_long_is_not_taken_for_lost(void **state)
{
    celery_play(state, stay_young);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IS_CELERY_TEST(nothing_is_lost_while_redis_is_away),
        IS_CELERY_TEST(an_end_waits_until_redis_is_back),
        IS_CELERY_TEST(connections_may_break_at_any_time),
        IS_CELERY_TEST(a_server_that_will_never_do_is_refused_at_the_start),
        IS_CELERY_TEST(what_dead_workers_held_is_run_again),
        IS_CELERY_TEST(a_job_that_kills_its_workers_is_dead),
        IS_CELERY_TEST(a_take_whose_answer_is_lost_is_put_back),
        IS_CELERY_TEST(a_worker_without_a_lease_goes_on_as_a_new_one),
        IS_CELERY_TEST(what_runs_for_long_is_not_taken_for_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
