/* celery_store_test: jobs on a Redis server: ours by way of the database, others' as they sent them. */
#include "tasks/celery/celery_testing.h"

#define NUMBER_7 "{\"number\":7,\"label\":\"x\"}"

/* --- ours --------------------------------------------------------------------------------------------------------- */

static void enqueue_and_run(stage *s)
{
    stage_start_worker(s, NULL);
    (void)stage_enqueue(s, &noting_task, 1, "a", NULL);
    (void)stage_enqueue(s, &noting_task, 2, "b", &(tims_enqueue_options){ .delay_ms = 300 });
    (void)stage_enqueue(s, &noting_task, 3, "c", &(tims_enqueue_options){ .priority = { true, 9 } });
    stage_wait_for(s, "SELECT count(*) FROM effect", 3);
    celery_wait_int(s, "HLEN", "unacked", 0);
    assert_int_equal(celery_int(s, "ZCARD", "unacked_index"), 0);
    stage_wait_for(s, "SELECT count(*) FROM tims_job", 0);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect WHERE attempt = 1"), 3);
}

static void a_job_of_ours_goes_through_redis(void **state)
{
    celery_play(state, enqueue_and_run);
}

static void fail_until_dead(stage *s)
{
    stage_start_worker(s, NULL);
    tims_id id = stage_enqueue(s, &failing_task, 1, "a", NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_dead", 1);
    celery_wait_int(s, "HLEN", "unacked", 0);
    assert_int_equal(celery_int(s, "ZCARD", "tims:delayed"), 0);
    stage_assert_text(s, "SELECT code FROM tims_job_dead", "told_to");
    assert_int_equal(stage_int(s, "SELECT attempt FROM tims_job_dead"), 3);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 0); /* each run was undone */
    tims_task_outcome o = celery_result(s, tims_copy_c(s->arena, tims_print(s->arena, "%I", id)), "FAILURE");
    assert_str(o.error, "It was told to fail.");
}

static void a_job_that_fails_is_tried_again_and_then_dead(void **state)
{
    celery_play(state, fail_until_dead);
}

static void relay_without_worker(stage *s)
{
    tims_error err = { 0 };
    stage_check(tims_relay_start(s->tasks, s->loop, &err), &err);
    for (int i = 0; i < 1200; i++) /* more than a batch */
        (void)stage_enqueue(s, &elsewhere_task, i, "p",
                            &(tims_enqueue_options){ .delay_ms = i % 3 == 0 ? 50 : 0 });
    celery_wait_int(s, "LLEN", "python", 1200);
    stage_wait_for(s, "SELECT count(*) FROM tims_job", 0);
    celery__envelope e;
    stage_check(celery__read(s->tasks, s->arena, TIMS_STR("python"),
                             tims_redis_text(REDIS(s, T("RPOP"), T("python"))), &e, &err),
                &err);
    assert_str(e.job.task, "elsewhere");
    assert_str(e.job.arguments, "{\"number\":1,\"label\":\"p\"}");
    s->has_stopped = false;
    tims_relay_stop(s->tasks, stage_note_stopped, s);
    s->fiber = tims_fiber_self();
    while (!s->has_stopped)
        assert_int_equal(tims_fiber_suspend(), TIMS_OK);
    s->fiber = NULL;
}

static void what_is_enqueued_gets_to_redis_without_a_worker(void **state)
{
    celery_play(state, relay_without_worker);
}

/* Of a job that is in the database. */
static tims_str mark_of(stage *s, tims_id id)
{
    return tims_print(s->arena, "tims:relayed:%I:%lld", id,
                      (long long)stage_int(s, "SELECT run_at FROM tims_job"));
}

/* As after a crash between the push and its commit. */
static void push_twice(stage *s)
{
    tims_id id = stage_enqueue(s, &noting_task, 1, "a", NULL);
    tims_str mark = mark_of(s, id);
    (void)REDIS(s, T("SET"), mark, T("1"));
    stage_start_worker(s, NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job", 0);
    (void)stage_enqueue(s, &noting_task, 2, "b", NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE number = 2", 1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 1);
    celery_wait_int(s, "EXISTS", tims_copy_c(s->arena, mark), 0);
}

static void a_job_is_not_pushed_twice(void **state)
{
    celery_play(state, push_twice);
}

static void retry_in(tims_request *rq, void *argument)
{
    assert_true(tasks__dead_retry(rq, *(tims_id *)argument));
}

/* As after a push whose mark could not be removed. */
static void retry_what_was_pushed(stage *s)
{
    tims_id id = stage_enqueue(s, &failing_task, 1, "a", NULL);
    tims_str mark = mark_of(s, id);
    stage_start_worker(s, NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_dead", 1);
    (void)REDIS(s, T("SET"), mark, T("1"));
    tims_error err = stage_ask(s, retry_in, &id);
    stage_check(err.status, &err);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_dead", 1);
}

static void a_job_that_is_retried_is_pushed_again(void **state)
{
    celery_play(state, retry_what_was_pushed);
}

static void send_too_much(stage *s)
{
    tims_id id = stage_enqueue(s, &noting_task, 1, "large", NULL);
    stage_run(s, testing_on_postgres() ? "UPDATE tims_job SET steps = repeat('x', 3000000)"
                                       : "UPDATE tims_job SET steps = printf('%.3000000c', 'x')");
    stage_start_worker(s, NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_dead WHERE code = 'too_large'", 1);
    stage_wait_for(s, "SELECT count(*) FROM tims_job", 0);
    assert_int_equal(celery_int(s, "LLEN", "default"), 0);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 0);
    assert_false(tims_id_is_zero(id));
}

static void what_no_message_can_carry_is_dead(void **state)
{
    celery_play(state, send_too_much);
}

/* --- others' ------------------------------------------------------------------------------------------------------- */

static void run_foreign(stage *s)
{
    stage_start_worker(s, NULL);
    celery_push(s, "giving", "one", NUMBER_7, NULL);
    tims_task_outcome o = celery_result(s, "one", "SUCCESS");
    assert_int_equal(tims_json_as_int(o.result, 0), 8);
    celery_push(s, "nobody knows", "two", NUMBER_7, NULL);
    o = celery_result(s, "two", "FAILURE");
    assert_str(o.error_type, "NotRegistered");
    assert_str(o.error, "nobody knows");
    celery_push(s, "giving", "three", "{\"nonsense\":1}", NULL);
    o = celery_result(s, "three", "FAILURE");
    assert_str(o.error_type, "TypeError");
    celery_push(s, "failing", "four", NUMBER_7, NULL);
    o = celery_result(s, "four", "FAILURE");
    assert_str(o.error_type, "RuntimeError");
    celery_wait_int(s, "HLEN", "unacked", 0);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_dead", 3);
    assert_int_equal(stage_int(s, "SELECT attempt FROM tims_job_dead WHERE code = 'told_to'"), 3);
}

static void foreign_messages_are_run_and_answered(void **state)
{
    celery_play(state, run_foreign);
}

static void take_nonsense(stage *s)
{
    static const char binary[] = "\x80\x02}q\x00(X\x04\0\xff";
    (void)REDIS(s, T("LPUSH"), T("default"), T("nonsense"));
    (void)REDIS(s, T("LPUSH"), T("default"), ((tims_str){ binary, sizeof binary }));
    (void)REDIS(s, T("LPUSH"), T("default"), T("{\"content-type\":\"application/x-python-serialize\"}"));
    (void)REDIS(s, T("LPUSH"), T("default"), T(""));
    celery_push(s, "giving", "good", NUMBER_7, NULL);
    stage_start_worker(s, NULL);
    (void)celery_result(s, "good", "SUCCESS");
    celery_wait_int(s, "HLEN", "unacked", 0);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job_dead WHERE code = 'malformed_message'"), 4);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job_dead WHERE foreign_message = 'nonsense'"),
                     1);
}

static void malformed_messages_go_to_the_dead_list(void **state)
{
    celery_play(state, take_nonsense);
}

static void chain(stage *s)
{
    stage_start_worker(s, NULL);
    celery_push(
        s, "giving", "first", NUMBER_7,
        "{\"callbacks\":[{\"task\":\"giving\",\"args\":[\"called back\"],\"options\":{\"task_id\":\"cb\"}}],"
        "\"chain\":[{\"task\":\"giving\",\"kwargs\":{\"number\":50},\"immutable\":true,\"options\":{\"task_"
        "id\":\"third\"}},{\"task\":\"giving\",\"args\":[],\"options\":{\"task_id\":\"second\"}}]}");
    assert_int_equal(tims_json_as_int(celery_result(s, "second", "SUCCESS").result, 0), 9);
    assert_int_equal(tims_json_as_int(celery_result(s, "third", "SUCCESS").result, 0), 51);
    assert_int_equal(tims_json_as_int(celery_result(s, "cb", "SUCCESS").result, 0), 9);
    stage_assert_text(s, "SELECT label FROM effect WHERE label <> '' AND label <> 'x'", "called back");
    celery_push(s, "failing", "bad", NUMBER_7,
                "{\"errbacks\":[{\"task\":\"noting\",\"kwargs\":{\"label\":\"errback\"},\"immutable\":true}],"
                "\"chain\":[{\"task\":\"giving\",\"options\":{\"task_id\":\"never\"}}]}");
    assert_str(celery_result(s, "never", "FAILURE").error, "It was told to fail.");
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE label = 'errback'", 1);
}

static void chains_and_callbacks_follow(void **state)
{
    celery_play(state, chain);
}

static void push_member(stage *s, const char *task, const char *id, int64_t index)
{
    tims_buf out;
    celery__sending sending = {
        .id = T(id),
        .task = T(task),
        .queue = TIMS_STR("default"),
        .kwargs = tims_print(s->arena, "{\"number\":%lld}", (long long)index),
        .embed = TIMS_STR("{\"chord\":{\"task\":\"elsewhere\",\"args\":[\"more\"],\"options\":{\"task_id\":"
                          "\"sum\"}}}"),
        .group = TIMS_STR("g"),
        .group_index = { true, index }
    };
    tims_buf_init(&out, s->arena, 1 << 16);
    celery__write(&out, &sending);
    (void)REDIS(s, T("LPUSH"), T("default"), tims_buf_str(&out));
}

static void chord(stage *s)
{
    celery__envelope e;
    tims_error err = { 0 };
    stage_start_worker(s, NULL);
    (void)REDIS(s, T("SET"), T("celery-taskset-meta-g.s"), T("3"));
    (void)REDIS(s, T("ZADD"), T("celery-taskset-meta-g.j"), T("1"), /* of a Python worker */
                T("[1, \"py\", \"SUCCESS\", {\"a\": [\"]\"]}]"));
    push_member(s, "giving", "two", 2);
    (void)celery_result(s, "two", "SUCCESS");
    assert_int_equal(celery_int(s, "LLEN", "python"), 0);
    push_member(s, "giving", "zero", 0);
    celery_wait_int(s, "LLEN", "python", 1);
    assert_int_equal(celery_int(s, "EXISTS", "celery-taskset-meta-g.j"), 0);
    tims_str message = tims_redis_text(REDIS(s, T("RPOP"), T("python")));
    stage_check(celery__read(s->tasks, s->arena, TIMS_STR("python"), message, &e, &err), &err);
    assert_str(e.job.arguments, "{\"number\":[1,{\"a\":[\"]\"]},3],\"label\":\"more\"}");
    assert_str(e.message.id, "sum");
    (void)REDIS(s, T("SET"), T("celery-taskset-meta-g.s"), T("2"));
    push_member(s, "giving", "good", 0);
    push_member(s, "nobody knows", "bad", 1);
    assert_str(celery_result(s, "sum", "FAILURE").error_type, "ChordError");
    assert_int_equal(celery_int(s, "LLEN", "python"), 0);
}

static void the_last_of_a_chord_sends_its_callback(void **state)
{
    celery_play(state, chord);
}

static void wait_and_expire(stage *s)
{
    tims_buf out;
    tims_error err = { 0 };
    celery__envelope e;
    stage_start_worker(s, NULL);
    celery__sending sending = { .id = TIMS_STR("late"),
                                .task = TIMS_STR("giving"),
                                .queue = TIMS_STR("default"),
                                .kwargs = TIMS_STR(NUMBER_7),
                                .priority = 6,
                                .eta = { true, { tims_now().us + 400000 } } };
    tims_buf_init(&out, s->arena, 1 << 16);
    celery__write(&out, &sending);
    (void)REDIS(s, T("LPUSH"), celery__list_of(s->arena, TIMS_STR("default"), 6), tims_buf_str(&out));
    celery_wait_int(s, "ZCARD", "tims:delayed", 1);
    assert_int_equal(celery_int(s, "HLEN", "unacked"), 0); /* not held, wherever it waits */
    stage_check(celery__read(NULL, s->arena, TIMS_STR("default"), tims_buf_str(&out), &e, &err), &err);
    (void)celery_result(s, "late", "SUCCESS");
    assert_true(tims_now().us >= sending.eta.value.us);
    sending.id = TIMS_STR("too late");
    sending.eta.present = false;
    sending.expires = (tims_opt_time){ true, { tims_now().us - 1000 } };
    tims_buf_init(&out, s->arena, 1 << 16);
    celery__write(&out, &sending);
    (void)REDIS(s, T("LPUSH"), T("default"), tims_buf_str(&out));
    tims_task_outcome o = celery_result(s, "too late", "REVOKED");
    assert_str(o.error, "expired");
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 1);
}

static void eta_and_expires_are_kept(void **state)
{
    celery_play(state, wait_and_expire);
}

/* --- cancelling ------------------------------------------------------------------------------------------------------ */

static void revoke_some(stage *s)
{
    assert_true(celery__revoke(celery_store(s), TIMS_STR("waits")));
    celery_push(s, "giving", "waits", NUMBER_7, NULL);
    stage_start_worker(s, NULL); /* it starts after the revoke */
    assert_str(celery_result(s, "waits", "REVOKED").error, "revoked");
    celery_push(s, "endless", "runs", NUMBER_7, NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect", 1);
    assert_true(celery__revoke(celery_store(s), TIMS_STR("runs")));
    (void)celery_result(s, "runs", "REVOKED");
    tims_id id = stage_enqueue(s, &endless_task, 2, "ours", NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect", 2);
    stage_wait_for(s, "SELECT count(*) FROM tims_job", 0);
    assert_true(stage_cancel(s, id));
    stage_wait_for(s, "SELECT count(*) FROM tims_job_status WHERE state = 'cancelled'", 1);
    celery_wait_int(s, "HLEN", "unacked", 0);
}

static void revoked_jobs_end_wherever_they_are(void **state)
{
    celery_play(state, revoke_some);
}

/* --- what the database keeps of ours ---------------------------------------------------------------------------------- */

static void track(stage *s)
{
    static const tims_enqueue_options unique = { .unique = TIMS_STR_INIT("once"),
                                                 .unique_while = TIMS_UNIQUE_UNFINISHED };
    stage_start_worker(s, NULL);
    tims_id id = stage_enqueue(s, &endless_task, 1, "x", &unique);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_status WHERE state = 'running'", 1);
    stage_wait_for(s, "SELECT count(*) FROM tims_job", 0);
    assert_true(tims_same_id(stage_enqueue(s, &endless_task, 2, "x", &unique), id)); /* on Redis, too */
    assert_true(stage_cancel(s, id));
    stage_wait_for(s, "SELECT count(*) FROM tims_job_status WHERE state = 'cancelled'", 1);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_unique", 0);
    assert_false(tims_same_id(stage_enqueue(s, &endless_task, 3, "x", &unique), id));
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE number = 3", 1);
}

static void tracked_and_unique_jobs_are_told_of_their_ends(void **state)
{
    celery_play(state, track);
}

static void enqueue_group_in(tims_request *rq, void *argument)
{
    const numbered one = { 1, TIMS_STR("m") }, two = { 2, TIMS_STR("m") }, three = { 3, TIMS_STR("last") };
    const tims_step steps[] = { { .task = &giving_task, .arguments = &one },
                                { .task = &giving_task, .arguments = &two } };
    const tims_step last = { .task = &noting_task, .arguments = &three };
    (void)argument;
    (void)tims_enqueue_group(rq, steps, 2, &last);
    (void)tims_enqueue_chain(rq, steps, 2);
}

static void group(stage *s)
{
    stage_start_worker(s, NULL);
    tims_error err = stage_ask(s, enqueue_group_in, NULL);
    stage_check(err.status, &err);
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE label = 'last'", 1);
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE label = 'm'", 4);
    celery_wait_int(s, "HLEN", "unacked", 0);
    stage_wait_for(s, "SELECT count(*) FROM tims_job", 0);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 5);
}

static void chains_and_groups_of_ours_go_on(void **state)
{
    celery_play(state, group);
}

/* --- results of others ------------------------------------------------------------------------------------------------ */

typedef struct asked_result {
    tims_id id;
    char state[32], error[100];
    int64_t value;
} asked_result;

static void ask_result(tims_request *rq, void *argument)
{
    asked_result *a = argument;
    tims_task_outcome o = tims_task_result(rq, a->id);
    (void)snprintf(a->state, sizeof a->state, "%.*s", TIMS_PRINT(o.state));
    (void)snprintf(a->error, sizeof a->error, "%.*s", TIMS_PRINT(o.error));
    a->value = tims_json_as_int(o.result, -1);
}

static void read_remote(stage *s)
{
    stage_start_worker(s, NULL);
    asked_result a = { .id = stage_enqueue(s, &elsewhere_task, 5, "p", NULL) };
    celery_wait_int(s, "LLEN", "python", 1); /* our worker leaves it alone */
    tims_error err = stage_ask(s, ask_result, &a);
    stage_check(err.status, &err);
    assert_string_equal(a.state, "PENDING");
    tims_str key = tims_print(s->arena, "celery-task-meta-%I", a.id);
    (void)REDIS(s, T("SET"), key, T("{\"status\": \"SUCCESS\", \"result\": 11, \"task_id\": \"x\"}"));
    err = stage_ask(s, ask_result, &a);
    stage_check(err.status, &err);
    assert_string_equal(a.state, "SUCCESS");
    assert_int_equal(a.value, 11);
    (void)REDIS(s, T("SET"), key, T("nonsense"));
    err = stage_ask(s, ask_result, &a);
    assert_string_equal(err.code, "malformed_result");
}

static void the_result_of_a_remote_task_is_read(void **state)
{
    celery_play(state, read_remote);
}

static void a_result_of_success_is_not_overwritten_in(stage *s)
{
    (void)REDIS(s, T("SET"), T("celery-task-meta-one"), T("{\"status\": \"SUCCESS\", \"result\": 1}"));
    stage_start_worker(s, NULL);
    celery_push(s, "giving", "one", NUMBER_7, NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect", 1);
    celery_wait_int(s, "HLEN", "unacked", 0);
    celery_wait_int(s, "LLEN", "default", 0);
    assert_int_equal(tims_json_as_int(celery_result(s, "one", "SUCCESS").result, 0), 1);
}

static void a_result_of_success_is_not_overwritten(void **state)
{
    celery_play(state, a_result_of_success_is_not_overwritten_in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IS_CELERY_TEST(a_job_of_ours_goes_through_redis),
        IS_CELERY_TEST(a_job_that_fails_is_tried_again_and_then_dead),
        IS_CELERY_TEST(what_is_enqueued_gets_to_redis_without_a_worker),
        IS_CELERY_TEST(a_job_is_not_pushed_twice),
        IS_CELERY_TEST(a_job_that_is_retried_is_pushed_again),
        IS_CELERY_TEST(what_no_message_can_carry_is_dead),
        IS_CELERY_TEST(foreign_messages_are_run_and_answered),
        IS_CELERY_TEST(malformed_messages_go_to_the_dead_list),
        IS_CELERY_TEST(chains_and_callbacks_follow),
        IS_CELERY_TEST(the_last_of_a_chord_sends_its_callback),
        IS_CELERY_TEST(eta_and_expires_are_kept),
        IS_CELERY_TEST(revoked_jobs_end_wherever_they_are),
        IS_CELERY_TEST(tracked_and_unique_jobs_are_told_of_their_ends),
        IS_CELERY_TEST(chains_and_groups_of_ours_go_on),
        IS_CELERY_TEST(the_result_of_a_remote_task_is_read),
        IS_CELERY_TEST(a_result_of_success_is_not_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
