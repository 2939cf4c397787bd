/* testing.h: a database with the tables of jobs, a few tasks, and a loop on which scenes are played. For
 * tests only.
 *
 * A scene is a function on a fiber. It enqueues, starts a worker (or calls the store by itself), and waits
 * until the database says what it should. What runs did is told by rows of `effect`, which processes can
 * write, too. */
#ifndef TIMS_TASKS_TESTING_H
#define TIMS_TASKS_TESTING_H

#include <stdlib.h>
#include <unistd.h>

#include "db/database_testing.h"
#include "tasks/tasks_internal.h"

enum { STAGE_WAITS_MS = 60000 };

/* --- tasks ------------------------------------------------------------------------------------------------ */

typedef struct effect {
    tims_id id;
    tims_str label;
    int64_t number, attempt;
    tims_id job;
} effect;

extern const tims_model effect_model;
const tims_model effect_model = {
    .name = "effect",
    .size = sizeof(effect),
    .fields = TIMS_FIELDS(TIMS_FIELD(effect, id, .primary = true), TIMS_FIELD(effect, label),
                          TIMS_FIELD(effect, number), TIMS_FIELD(effect, attempt), TIMS_FIELD(effect, job)),
    .read = TIMS_STAFF,
    .not_live = true,
};

typedef struct numbered {
    int64_t number;
    tims_str label;
} numbered;
#define NUMBERED TIMS_FIELDS(TIMS_FIELD(numbered, number), TIMS_FIELD(numbered, label, .max_length = 1000000))

/* Writes that it ran. */
TIMS_UNUSED static void note(tims_run *run, const numbered *arguments)
{
    effect e = {
        .label = arguments->label, .number = arguments->number, .attempt = run->attempt, .job = run->id
    };
    tims_create(run->rq, &effect_model, &e);
}

static void noting(tims_run *run, const numbered *arguments)
{
    note(run, arguments);
}
extern const tims_task noting_task;
TIMS_TASK(noting, numbered, .fields = NUMBERED);

/* Writes, and fails. */
static void failing(tims_run *run, const numbered *arguments)
{
    note(run, arguments);
    tims_raise(run->rq, 500, "told_to", "It was told to fail.");
}
extern const tims_task failing_task;
TIMS_TASK(failing, numbered, .fields = NUMBERED, .retry_after_ms = 20, .max_attempts = 3);

static const tims_task *const stage_tasks[] = { &noting_task, &failing_task, NULL };

/* --- the stage -------------------------------------------------------------------------------------------- */

typedef struct stage_options {
    const tims_task *const *tasks; /* beside noting and failing; NULL-terminated; NULL: none */
    const tims_queue *queues;
    const tims_schedule *schedules;
    tims_str url; /* of Redis */
} stage_options;

typedef struct stage {
    testing_database database;
    tims_arena *arena;
    tims_db *db;
    tims_models *models;
    tims_tasks *tasks;
    tims_loop *loop; /* while a scene is played */
    void (*scene)(struct stage *s);
    tims_fiber *fiber; /* the scene's, while it waits for the worker to stop */
    bool has_stopped;
} stage;

TIMS_UNUSED static void stage_check(tims_status status, const tims_error *err)
{
    if (status != TIMS_OK)
        fail_msg("%s (%s): %s %s", tims_status_name(status), err->code, err->message, err->detail);
}

static void stage_begin_request(tims_request *rq)
{
    const stage *s = rq->server_data;
    tims_request_set_db(rq, s->db);
    tims_request_set_tasks(rq, s->tasks);
}

static void stage_finish_request(tims_request *rq, tims_answer *answer)
{
    tims_error err = { 0 };
    (void)answer;
    if (!tims_in_transaction(rq))
        return;
    if (rq->has_raised)
        tims_rollback(rq);
    else
        stage_check(tims_db_commit(tims_session_db(rq), &err), &err);
}

static void stage_open(stage *s, const char *url, const stage_options *options)
{
    static const stage_options none = { 0 };
    tims_error err = { 0 };
    if (options == NULL)
        options = &none;
    s->arena = tims_arena_new((size_t)1 << 28, NULL, NULL);
    tims_db_options to = { .url = tims_copy(s->arena, tims_str_from(url)) };
    stage_check(tims_db_open(&to, &s->db, &err), &err);
    const tims_task *const **tables = TIMS_NEW_ARRAY(s->arena, const tims_task *const *, 2);
    const tims_queue **queues = TIMS_NEW_ARRAY(s->arena, const tims_queue *, 1);
    const tims_schedule **schedules = TIMS_NEW_ARRAY(s->arena, const tims_schedule *, 1);
    tables[0] = stage_tasks;
    tables[1] = options->tasks;
    queues[0] = options->queues;
    schedules[0] = options->schedules;
    tims_tasks_options with = { .tasks = tables,
                                .task_table_count = options->tasks != NULL ? 2 : 1,
                                .queues = queues,
                                .queue_table_count = options->queues != NULL,
                                .schedules = schedules,
                                .schedule_table_count = options->schedules != NULL,
                                .server_data = s,
                                .begin = stage_begin_request,
                                .url = options->url,
                                .program = "/proc/self/exe" };
    stage_check(tims_tasks_new(s->arena, s->db, &with, &s->tasks, &err), &err);
}

static void stage_migrate(stage *s)
{
    static const tims_model *const own[] = { &effect_model, NULL };
    const tims_migration_set sets[] = { { "auth", tims_auth_migrations, tims_auth_models },
                                        { "tasks", tims_tasks_migrations, tims_tasks_models } };
    const tims_model *all[64];
    size_t count = 0;
    tims_error err = { 0 };
    tims_buf applied;
    tims_migration_plan plan;
    for (size_t i = 0; i < 2; i++)
        for (size_t m = 0; sets[i].models[m] != NULL; m++)
            all[count++] = sets[i].models[m];
    all[count++] = &effect_model;
    tims_arena *arena = tims_arena_new((size_t)1 << 26, NULL, NULL);
    tims_buf_init(&applied, arena, 1 << 16);
    stage_check(tims_models_new(s->arena, all, count, &s->models, &err), &err);
    tims_db_session *session = tims_db_session_new(s->db, NULL, arena);
    stage_check(tims_migrate_plan(arena, TIMS_STR(""), own, tims_db_dialect_of(s->db), &plan, &err), &err);
    stage_check(tims_db_script(session, plan.sql, &err), &err);
    stage_check(tims_migrate_apply(s->db, s->arena, sets, 2, s->models, &applied, &err), &err);
    tims_arena_free(&arena);
}

/* For cmocka's group setup: `*state` becomes a stage. */
TIMS_UNUSED static int stage_start(void **state, const stage_options *options)
{
    stage *s = calloc(1, sizeof *s);
    assert_non_null(s);
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    tims_log_setup(TIMS_LOG_ERROR, TIMS_LOG_HUMAN, 2);
    testing_database_new(&s->database, "tasks");
    assert_int_equal(setenv("STAGE_DATABASE", s->database.url, 1),
                     0); /* for the processes of blocking tasks */
    stage_open(s, s->database.url, options);
    stage_migrate(s);
    *state = s;
    return 0;
}

/* For cmocka's group teardown. */
TIMS_UNUSED static int stage_end(void **state)
{
    stage *s = *state;
    tims_arena_free(&s->arena);
    tims_db_close(&s->db);
    testing_database_drop(&s->database);
    free(s);
    return 0;
}

/* First thing in main of a test with blocking tasks: true if this is one of their processes, which has done
 * its work and ends with *ret_exit. */
TIMS_UNUSED static bool stage_is_process(int argc, char **argv, const stage_options *options, int *ret_exit)
{
    const char *url = getenv("STAGE_DATABASE");
    if (argc != 3 || strcmp(argv[1], "task-process") != 0 || url == NULL)
        return false;
    stage s = { 0 };
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    tims_log_setup(TIMS_LOG_ERROR, TIMS_LOG_HUMAN, 2);
    stage_open(&s, url, options);
    *ret_exit = tims_task_process(s.tasks, argv[2]);
    tims_arena_free(&s.arena);
    tims_db_close(&s.db);
    return true;
}

/* --- the database ----------------------------------------------------------------------------------------- */

/* In a scene. */
TIMS_UNUSED static void stage_run(stage *s, const char *sql)
{
    tims_arena *arena = tims_arena_new(1 << 24, NULL, NULL);
    tims_error err = { 0 };
    tims_db_session *session = tims_db_session_new(s->db, s->loop, arena);
    stage_check(tims_db_run(session, tims_str_from(sql), NULL, 0, NULL, &err), &err);
    tims_arena_free(&arena);
}

/* In a scene. The first row's first column; `ret_text` may be NULL, and is terminated. -1: no row. */
TIMS_UNUSED static int64_t stage_query(stage *s, const char *sql, char *ret_text, size_t size)
{
    int64_t value = -1;
    tims_arena *arena = tims_arena_new(1 << 24, NULL, NULL);
    tims_error err = { 0 };
    tims_db_rows *rows;
    tims_db_session *session = tims_db_session_new(s->db, s->loop, arena);
    stage_check(tims_db_query(session, tims_str_from(sql), NULL, 0, &rows, &err), &err);
    if (size > 0)
        ret_text[0] = '\0';
    if (tims_db_next(rows) && size > 0)
        (void)snprintf(ret_text, size, "%.*s", TIMS_PRINT(tims_db_get_text(rows, 0)));
    else if (size == 0 && tims_db_column_count(rows) > 0)
        value = tims_db_get_int(rows, 0);
    stage_check(tims_db_rows_end(&rows, &err), &err);
    tims_arena_free(&arena);
    return value;
}

TIMS_UNUSED static int64_t stage_int(stage *s, const char *sql)
{
    return stage_query(s, sql, NULL, 0);
}

TIMS_UNUSED static void stage_assert_text(stage *s, const char *sql, const char *expected)
{
    char text[1000];
    (void)stage_query(s, sql, text, sizeof text);
    assert_string_equal(text, expected);
}

/* Until the statement's number is this one. */
TIMS_UNUSED static void stage_wait_for(stage *s, const char *sql, int64_t expected)
{
    int64_t until_us = tims_monotonic_us() + STAGE_WAITS_MS * INT64_C(1000), value;
    while ((value = stage_int(s, sql)) != expected) {
        if (tims_monotonic_us() > until_us)
            fail_msg("%s: got %lld, expected %lld", sql, (long long)value, (long long)expected);
        assert_int_equal(tims_sleep_ms(10), TIMS_OK);
    }
}

/* Until the condition holds. */
TIMS_UNUSED static void stage_wait(const char *what, bool (*holds)(void *argument), void *argument)
{
    int64_t until_us = tims_monotonic_us() + STAGE_WAITS_MS * INT64_C(1000);
    while (!holds(argument)) {
        if (tims_monotonic_us() > until_us)
            fail_msg("in vain: %s", what);
        assert_int_equal(tims_sleep_ms(5), TIMS_OK);
    }
}

/* --- requests --------------------------------------------------------------------------------------------- */

typedef struct stage_request {
    tims_scope_fn function;
    void *argument;
} stage_request;

static void stage_call(tims_request *rq, void *argument)
{
    const stage_request *r = argument;
    stage_begin_request(rq);
    r->function(rq, r->argument);
}

/* In a scene. Runs the function as a request of its own, and commits; what it raised, or OK. */
TIMS_UNUSED static tims_error stage_ask(stage *s, tims_scope_fn function, void *argument)
{
    tims_error err = { 0 };
    stage_request r = { function, argument };
    if (tims_request_run(s->loop, s, stage_call, &r, stage_finish_request, &err) == TIMS_OK)
        err = (tims_error){ 0 };
    return err;
}

typedef struct stage_asked {
    const tims_task *task;
    numbered arguments;
    const tims_enqueue_options *options;
    tims_id job;
    bool answer;
} stage_asked;

static void stage_enqueue_in(tims_request *rq, void *argument)
{
    static const tims_enqueue_options none = { 0 };
    stage_asked *a = argument;
    a->job = tims_enqueue_with(rq, a->task, &a->arguments, a->options != NULL ? a->options : &none);
}

/* In a scene. The task's arguments are `numbered`. */
TIMS_UNUSED static tims_id stage_enqueue(stage *s, const tims_task *task, int64_t number, const char *label,
                                         const tims_enqueue_options *options)
{
    stage_asked a = { .task = task, .arguments = { number, tims_str_from(label) }, .options = options };
    tims_error err = stage_ask(s, stage_enqueue_in, &a);
    stage_check(err.status, &err);
    return a.job;
}

static void stage_cancel_in(tims_request *rq, void *argument)
{
    stage_asked *a = argument;
    a->answer = tims_cancel(rq, a->job);
}

TIMS_UNUSED static bool stage_cancel(stage *s, tims_id job)
{
    stage_asked a = { .job = job };
    tims_error err = stage_ask(s, stage_cancel_in, &a);
    stage_check(err.status, &err);
    return a.answer;
}

/* --- scenes and workers ----------------------------------------------------------------------------------- */

/* In a scene. `options` NULL: a short lease, no schedules. */
TIMS_UNUSED static void stage_start_worker(stage *s, const tims_worker_options *options)
{
    static const tims_worker_options plain = { .lease_ms = 30000, .no_schedules = true };
    tims_error err = { 0 };
    stage_check(tims_worker_start(s->tasks, s->loop, options != NULL ? options : &plain, &err), &err);
}

static void stage_note_stopped(void *argument)
{
    stage *s = argument;
    s->has_stopped = true;
    if (s->fiber != NULL)
        tims_fiber_wake(s->fiber);
}

/* In a scene. Returns when it has stopped; fine when none runs. */
TIMS_UNUSED static void stage_stop_worker(stage *s)
{
    s->has_stopped = false;
    tims_worker_stop(s->tasks, stage_note_stopped, s);
    s->fiber = tims_fiber_self();
    while (!s->has_stopped)
        assert_int_equal(tims_fiber_suspend(), TIMS_OK);
    s->fiber = NULL;
}

static void stage_clear(stage *s)
{
    stage_run(s, "DELETE FROM effect");
    for (size_t i = 0; tims_tasks_models[i] != NULL; i++) {
        char sql[200];
        (void)snprintf(sql, sizeof sql, "DELETE FROM %s", tims_tasks_models[i]->name);
        stage_run(s, sql);
    }
    s->tasks->test_clock_us = 0;
}

static void stage_play_on_fiber(void *argument)
{
    stage *s = argument;
    stage_clear(s);
    s->scene(s);
    stage_stop_worker(s);
    tims_loop_stop(s->loop);
}

/* Plays a scene on a fresh loop and empty tables; a worker that it leaves running is stopped. */
TIMS_UNUSED static void stage_play(void **state, void (*scene)(stage *s))
{
    stage *s = *state;
    s->scene = scene;
    assert_int_equal(tims_loop_new(NULL, &s->loop), TIMS_OK);
    assert_non_null(tims_fiber_start(s->loop, stage_play_on_fiber, s));
    tims_loop_run(s->loop);
    tims_loop_free(&s->loop);
}

#endif
