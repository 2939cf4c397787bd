/* celery_testing.h: scenes of testing.h with a Redis server of their own, and a hand for what others put
 * there. For tests only. */
#ifndef TASKS_CELERY_TESTING_H
#define TASKS_CELERY_TESTING_H

#include "redis/redis_testing.h"
#include "tasks/celery/celery_internal.h"
#include "tasks/testing.h"

/* --- tasks --------------------------------------------------------------------------------------------------------- */

/* Gives what it was given, and one more. */
static void giving(tims_run *run, const numbered *arguments)
{
    note(run, arguments);
    tims_result(run, tims_print(run->rq->arena, "%lld", (long long)arguments->number + 1));
}
extern const tims_task giving_task;
TIMS_TASK(giving, numbered, .fields = NUMBERED, .retry_after_ms = 20, .max_attempts = 2);

/* Until it is told to stop. */
static void endless(tims_run *run, const numbered *arguments)
{
    note(run, arguments);
    tims_check(run->rq, tims_db_commit(tims_session_db(run->rq), &(tims_error){ 0 }),
               &(tims_error){ .status = TIMS_IO, .message = "commit" });
    while (!tims_should_stop(run))
        if (tims_sleep_ms(5) != TIMS_OK)
            break;
    tims_raise(run->rq, 503, "stopped", "It was told to stop.");
}
extern const tims_task endless_task;
TIMS_TASK(endless, numbered, .fields = NUMBERED, .tracked = true, .retry_after_ms = 20);

extern const tims_task elsewhere_task;
const tims_task elsewhere_task = {
    .name = "elsewhere", .remote = true, .queue = "python", .size = sizeof(numbered), .fields = NUMBERED
};

static const tims_task *const celery_tasks[] = { &giving_task, &endless_task, &elsewhere_task, NULL };

/* --- the stage ------------------------------------------------------------------------------------------------------- */

static redis_server testing_redis;
static void (*testing_scene)(stage *s);
static const char *const testing_redis_keeps[] = { "--appendonly", "yes", "--appendfsync", "always", NULL };

static int celery_set_up(void **state)
{
    static char folder[] = "/tmp/tims-celery-test-XXXXXX";
    (void)snprintf(folder, sizeof folder, "/tmp/tims-celery-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    static const char *extra[8] = { "--dir", folder };
    for (size_t i = 0; i < 5; i++)
        extra[i + 2] = testing_redis_keeps[i];
    testing_redis.port = 0;
    redis_start(&testing_redis, extra);
    const stage_options options = { .tasks = celery_tasks, .url = tims_str_from(testing_redis.url) };
    (void)setenv("TESTING_REDIS_FOLDER", folder, 1);
    return stage_start(state, &options);
}

/* After redis_kill: with what it had. */
TIMS_UNUSED static void celery_redis_again(void)
{
    const char *extra[8] = { "--dir", getenv("TESTING_REDIS_FOLDER") };
    for (size_t i = 0; i < 5; i++)
        extra[i + 2] = testing_redis_keeps[i];
    redis_start(&testing_redis, extra);
}

static int celery_tear_down(void **state)
{
    redis_kill(&testing_redis);
    remove_folder(getenv("TESTING_REDIS_FOLDER"));
    return stage_end(state);
}

static celery__store *celery_store(stage *s)
{
    return celery__of(s->tasks->store);
}

static bool celery_is_up(void *argument)
{
    return celery_store(argument)->is_up;
}

static void celery_wait_up(stage *s)
{
    stage_wait("Redis is there", celery_is_up, s);
}

static void celery_play_scene(stage *s)
{
    tims_error err = { 0 };
    stage_check(tims_tasks_loop_start(s->tasks, s->loop, &err), &err);
    celery_wait_up(s);
    testing_scene(s);
    stage_stop_worker(s);
    tims_tasks_loop_stop(s->tasks, s->loop);
}

/* Once for each stage: its store has one life. */
static void celery_play(void **state, void (*scene)(stage *s))
{
    testing_scene = scene;
    stage_play(state, celery_play_scene);
}

/* --- Redis ------------------------------------------------------------------------------------------------------------ */

#define REDIS(s, ...) celery_command((s), TIMS_REDIS_COMMAND(__VA_ARGS__))
#define T(text) tims_str_from(text)

/* In a scene. The reply lives as long as the stage. */
TIMS_UNUSED static const tims_redis_reply *celery_command(stage *s, tims_slice_list command)
{
    const tims_redis_reply *reply = NULL;
    tims_error err = { 0 };
    tims_status status = tims_redis_call(celery_store(s)->redis, s->arena, command, &reply, &err);
    stage_check(status, &err);
    return reply;
}

TIMS_UNUSED static int64_t celery_int(stage *s, const char *name, const char *key)
{
    return tims_redis_int(REDIS(s, T(name), T(key)));
}

TIMS_UNUSED static void celery_wait_int(stage *s, const char *name, const char *key, int64_t expected)
{
    int64_t until_us = tims_monotonic_us() + STAGE_WAITS_MS * INT64_C(1000), value;
    while ((value = celery_int(s, name, key)) != expected) {
        if (tims_monotonic_us() > until_us)
            fail_msg("%s %s: got %lld, expected %lld", name, key, (long long)value, (long long)expected);
        assert_int_equal(tims_sleep_ms(5), TIMS_OK);
    }
}

/* A message as somebody else sends it. `kwargs` and `embed` may be NULL. */
TIMS_UNUSED static tims_str celery_message(stage *s, const char *task, const char *id, const char *kwargs,
                                           const char *embed)
{
    tims_buf out;
    tims_buf_init(&out, s->arena, 1 << 20);
    celery__sending sending = { .id = T(id), .task = T(task), .queue = TIMS_STR("default") };
    sending.kwargs = kwargs != NULL ? T(kwargs) : (tims_str){ 0 };
    sending.embed = embed != NULL ? T(embed) : (tims_str){ 0 };
    celery__write(&out, &sending);
    return tims_buf_str(&out);
}

TIMS_UNUSED static void celery_push(stage *s, const char *task, const char *id, const char *kwargs,
                                    const char *embed)
{
    (void)REDIS(s, T("LPUSH"), T("default"), celery_message(s, task, id, kwargs, embed));
}

/* Until the id has a result of this state; the whole of it. */
TIMS_UNUSED static tims_task_outcome celery_result(stage *s, const char *id, const char *expected)
{
    int64_t until_us = tims_monotonic_us() + STAGE_WAITS_MS * INT64_C(1000);
    tims_task_outcome outcome = { 0 };
    tims_str key = tims_print(s->arena, "celery-task-meta-%s", id);
    for (;;) {
        tims_str text = tims_redis_text(REDIS(s, T("GET"), key));
        tims_error err = { 0 };
        if (text.length > 0)
            stage_check(celery__result_read(s->arena, text, &outcome, &err), &err);
        if (text.length > 0 && tims_str_equal(outcome.state, T(expected)))
            return outcome;
        if (tims_monotonic_us() > until_us)
            fail_msg("%s: got \"%.*s\", expected %s", id, TIMS_PRINT(text), expected);
        assert_int_equal(tims_sleep_ms(5), TIMS_OK);
    }
}

#define IS_CELERY_TEST(function) cmocka_unit_test_setup_teardown(function, celery_set_up, celery_tear_down)

#endif
