/* app.c: tasks for the system tests and the benchmark: what succeeds, fails, hangs, crashes and computes;
 * what was done is told by rows of `effect`. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "push.h"
#include "remote.h"
#include "sockets.h"

typedef struct effect {
    tims_id id;
    tims_str label;
    int64_t number, attempt;
    tims_id job;
    tims_time created_at;
} effect;

static const tims_model effect_model = {
    .name = "effect",
    .doc = "What a run did.",
    .size = sizeof(effect),
    .fields = TIMS_FIELDS(TIMS_FIELD(effect, id, .primary = true), TIMS_FIELD(effect, label, .index = true),
                          TIMS_FIELD(effect, number), TIMS_FIELD(effect, attempt), TIMS_FIELD(effect, job),
                          TIMS_FIELD(effect, created_at, .auto_now_add = true)),
    .read = TIMS_STAFF,
    .not_live = true,
};
static const tims_model *const models[] = { &effect_model, NULL };

typedef struct numbered {
    int64_t number;
    tims_str label;
} numbered;
#define NUMBERED                                             \
    TIMS_FIELDS(TIMS_FIELD(numbered, number, .doc = "Any."), \
                TIMS_FIELD(numbered, label, .doc = "Of the effect.", .max_length = 10000000))

static void note(tims_run *run, const numbered *arguments)
{
    effect e = {
        .label = arguments->label, .number = arguments->number, .attempt = run->attempt, .job = run->id
    };
    tims_create(run->rq, &effect_model, &e);
}

static void noop(tims_run *run, const numbered *arguments)
{
    (void)run, (void)arguments;
}
TIMS_TASK(noop, numbered, .fields = NUMBERED, .doc = "Does nothing.");

/* number: when it was asked for; notes the microseconds since then */
static void timed(tims_run *run, const numbered *arguments)
{
    numbered noted = { tims_now().us - arguments->number, arguments->label };
    note(run, &noted);
}
TIMS_TASK(timed, numbered, .fields = NUMBERED, .doc = "Writes how long it waited.");

static void effective(tims_run *run, const numbered *arguments)
{
    note(run, arguments);
}
TIMS_TASK(effective, numbered, .fields = NUMBERED, .doc = "Writes one row.", .retry_after_ms = 100);

static void failing(tims_run *run, const numbered *arguments)
{
    note(run, arguments);
    tims_raise(run->rq, 500, "told_to", "It was told to fail.");
}
TIMS_TASK(failing, numbered, .fields = NUMBERED, .doc = "Writes one row and fails.", .retry_after_ms = 50,
          .max_attempts = 3);

/* number: the attempt with which it succeeds */
static void patient(tims_run *run, const numbered *arguments)
{
    if (run->attempt < arguments->number)
        tims_retry(run, 20);
    note(run, arguments);
}
TIMS_TASK(patient, numbered, .fields = NUMBERED, .doc = "Succeeds at its n-th attempt.", .tracked = true);

/* number: milliseconds */
static void slow(tims_run *run, const numbered *arguments)
{
    for (int64_t left = arguments->number; left > 0 && !tims_should_stop(run); left -= 10) {
        tims_progress(run, 1 - (double)left / (double)arguments->number, "%lld ms to go", (long long)left);
        tims_check(run->rq, tims_sleep_ms(10), &(tims_error){ .message = "woken" });
    }
    if (tims_should_stop(run))
        tims_hand_back(run);
    note(run, arguments);
    tims_result(run, TIMS_STR("{\"slept\": true}"));
}
TIMS_TASK(slow, numbered, .fields = NUMBERED, .doc = "Takes its time.", .tracked = true,
          .timeout_ms = 600000);

/* Sleeps without asking whether it should stop. */
static void stubborn(tims_run *run, const numbered *arguments)
{
    tims_check(run->rq, tims_sleep_ms(arguments->number),
               &(tims_error){ .status = TIMS_CANCELLED, .message = "woken" });
    note(run, arguments);
}
TIMS_TASK(stubborn, numbered, .fields = NUMBERED, .doc = "Does not ask.", .tracked = true, .timeout_ms = 500,
          .max_attempts = 2, .retry_after_ms = 50);

/* Sleeps without asking, for as long as it likes. */
static void deaf(tims_run *run, const numbered *arguments)
{
    tims_progress(run, 0.5, "asleep");
    tims_check(run->rq, tims_sleep_ms(arguments->number),
               &(tims_error){ .status = TIMS_CANCELLED, .message = "woken" });
    note(run, arguments);
}
TIMS_TASK(deaf, numbered, .fields = NUMBERED, .doc = "Does not ask, and may.", .tracked = true);

static void crashing(tims_run *run, const numbered *arguments)
{
    (void)run, (void)arguments;
    (void)kill(getpid(), SIGKILL);
}
TIMS_TASK(crashing, numbered, .fields = NUMBERED, .doc = "Kills its process.", .queue = "poison");

/* number: milliseconds of computing, without looking up */
static void computing(tims_run *run, const numbered *arguments)
{
    int64_t until = tims_monotonic_us() + arguments->number * 1000;
    while (tims_monotonic_us() < until) {
    }
    note(run, arguments);
}
TIMS_TASK(computing, numbered, .fields = NUMBERED, .doc = "Computes, in a process.", .queue = "cpu",
          .blocking = true, .tracked = true, .timeout_ms = 1000, .max_attempts = 2, .retry_after_ms = 50,
          .memory_bytes = 256 * 1024 * 1024);

/* number: milliseconds of computing; tells how far it is, and hands back when asked to stop */
static void rendering(tims_run *run, const numbered *arguments)
{
    int64_t total_us = arguments->number * 1000, began_us = tims_monotonic_us(), spent_us;
    while ((spent_us = tims_monotonic_us() - began_us) < total_us) {
        tims_progress(run, (double)spent_us / (double)total_us, "%lld ms", (long long)(spent_us / 1000));
        if (tims_should_stop(run))
            tims_hand_back(run);
    }
    note(run, arguments);
    tims_result(run, TIMS_STR("\"rendered\""));
}
TIMS_TASK(rendering, numbered, .fields = NUMBERED, .doc = "Computes and looks up, in a process.",
          .queue = "cpu", .blocking = true, .tracked = true, .retry_after_ms = 50);

static void crashing_process(tims_run *run, const numbered *arguments)
{
    (void)run, (void)arguments;
    (void)kill(getpid(), SIGKILL);
}
TIMS_TASK(crashing_process, numbered, .fields = NUMBERED,
          .doc = "Kills its process, which is not the worker.", .queue = "cpu", .blocking = true,
          .retry_after_ms = 20);

/* number: megabytes */
static void greedy(tims_run *run, const numbered *arguments)
{
    enum { MIB = 1024 * 1024 };
    for (int64_t i = 0; i < arguments->number; i++) {
        volatile char *memory = malloc(MIB);
        for (size_t at = 0; memory != NULL && at < MIB; at += 4096)
            memory[at] = 1;
        (void)usleep(
            1000); /* the scenario: it grows over a while, as what leaks does, and is watched meanwhile */
    }
    note(run, arguments);
}
TIMS_TASK(greedy, numbered, .fields = NUMBERED, .doc = "Wants memory, in a process.", .queue = "cpu",
          .blocking = true, .max_attempts = 1, .memory_bytes = 128 * 1024 * 1024);

/* Adds what the step before gave. */
static void adding(tims_run *run, const numbered *arguments)
{
    const tims_json *previous = NULL;
    int64_t sum = arguments->number;
    tims_error err = { 0 };
    if (run->previous.data != NULL)
        tims_check(run->rq, tims_json_parse(run->rq->arena, run->previous, &previous, &err), &err);
    if (previous != NULL && tims_json_type_of(previous) == TIMS_JSON_ARRAY)
        for (size_t i = 0; i < tims_json_count(previous); i++)
            sum += tims_json_as_int(tims_json_at(previous, i), 0);
    else
        sum += tims_json_as_int(previous, 0);
    numbered noted = { sum, arguments->label };
    note(run, &noted);
    tims_result(run, tims_print(run->rq->arena, "%lld", (long long)sum));
}
TIMS_TASK(adding, numbered, .fields = NUMBERED, .doc = "Adds up.", .retry_after_ms = 50, .max_attempts = 2);

/* number: how many jobs; enqueued in one transaction, or none if it is told to fail */
static void spreading(tims_run *run, const numbered *arguments)
{
    for (int64_t i = 0; i < arguments->number; i++)
        tims_enqueue(run->rq, &effective_task, &(numbered){ i, arguments->label });
    if (arguments->number < 0)
        tims_raise(run->rq, 500, "told_to", "It was told to fail.");
}
TIMS_TASK(spreading, numbered, .fields = NUMBERED, .doc = "Enqueues others.", .max_attempts = 1);

/* One at a time for each key. */
static void keyed(tims_run *run, const numbered *arguments)
{
    tims_check(run->rq, tims_sleep_ms(arguments->number), &(tims_error){ .message = "woken" });
    note(run, arguments);
}
TIMS_TASK(keyed, numbered, .fields = NUMBERED, .doc = "One at a time for each key.", .queue = "keyed",
          .key_concurrency = 1);

static const tims_task *const tasks[] = { &noop_task,
                                          &effective_task,
                                          &failing_task,
                                          &patient_task,
                                          &slow_task,
                                          &stubborn_task,
                                          &crashing_task,
                                          &computing_task,
                                          &rendering_task,
                                          &deaf_task,
                                          &adding_task,
                                          &spreading_task,
                                          &timed_task,
                                          &keyed_task,
                                          &greedy_task,
                                          &crashing_process_task,
                                          NULL };

static const tims_queue queues[] = {
    { .name = "narrow", .concurrency = 2, .doc = "Two at once." },
    { .name = "slow", .rate = "10/s", .doc = "Ten a second." },
    { 0 },
};

/* Only where JOBS_SCHEDULES is set: elsewhere a queue is to become empty. */
static const numbered tick = { 1, TIMS_STR_INIT("tick") }, report = { 2, TIMS_STR_INIT("report") };
static const tims_schedule schedules[] = {
    { .name = "tick",
      .task = &effective_task,
      .arguments = &tick,
      .every_s = 1,
      .catch_up = TIMS_CATCH_UP_ALL,
      .doc = "Every second." },
    { .name = "report",
      .task = &effective_task,
      .arguments = &report,
      .cron = "30 2 * * mon-fri",
      .zone = "Europe/Berlin",
      .doc = "In the night of working days." },
    { 0 },
};

/* --- what tests ask for ----------------------------------------------------------------------------------- */

typedef struct many {
    tims_str task, label, queue, key;
    int64_t count, delay_ms, number, priority;
    bool fail;
} many;
static const tims_shape many_shape = {
    .name = "many",
    .size = sizeof(many),
    .fields = TIMS_FIELDS(TIMS_FIELD(many, task, .required = true), TIMS_FIELD(many, label),
                          TIMS_FIELD(many, queue), TIMS_FIELD(many, key),
                          TIMS_FIELD(many, count, .required = true), TIMS_FIELD(many, delay_ms),
                          TIMS_FIELD(many, number), TIMS_FIELD(many, priority), TIMS_FIELD(many, fail)),
};

/* number < 0: its place */
static int64_t number_of(const tims_task *task, const many *asked, int64_t place)
{
    if (task == &timed_task)
        return tims_now().us;
    return asked->number < 0 ? place : asked->number;
}

/* In one transaction; `fail` lets it roll back. */
static tims_answer enqueue_many(tims_request *rq)
{
    const many *asked = tims_body_shape(rq, &many_shape);
    const tims_task *task = NULL;
    for (size_t i = 0; tasks[i] != NULL; i++)
        if (tims_str_equal(asked->task, tims_str_from(tasks[i]->name)))
            task = tasks[i];
    if (task == NULL)
        tims_raise(rq, 404, "unknown_task", "There is no such task.");
    tims_enqueue_options options = { .delay_ms = asked->delay_ms,
                                     .queue = asked->queue.length > 0 ? asked->queue.data : NULL,
                                     .key = asked->key,
                                     .priority = { asked->priority > 0, asked->priority } };
    for (int64_t i = 0; i < asked->count; i++)
        tims_enqueue_with(rq, task, &(numbered){ number_of(task, asked, i), asked->label }, &options);
    if (asked->fail)
        tims_raise(rq, 500, "told_to", "It was told to fail.");
    return tims_answer_empty(204);
}

/* A chain of three, or a group of `count` with a last step that adds up. */
static tims_answer enqueue_chain(tims_request *rq)
{
    const many *asked = tims_body_shape(rq, &many_shape);
    const numbered one = { 1, asked->label }, ten = { 10, asked->label }, hundred = { 100, asked->label };
    tims_step steps[] = { { .task = &adding_task, .arguments = &one },
                          { .task = &adding_task, .arguments = &ten },
                          { .task = &adding_task, .arguments = &hundred } };
    tims_id id = tims_enqueue_chain(rq, steps, 3);
    return tims_answer_json(200, tims_print(rq->arena, "{\"id\":\"%I\"}", id));
}

static tims_answer enqueue_group(tims_request *rq)
{
    const many *asked = tims_body_shape(rq, &many_shape);
    const numbered last = { 0, TIMS_STR("last") };
    tims_step *steps = TIMS_NEW_ARRAY(rq->arena, tims_step, (size_t)asked->count);
    numbered *arguments = TIMS_NEW_ARRAY(rq->arena, numbered, (size_t)asked->count);
    for (int64_t i = 0; i < asked->count; i++) {
        arguments[i] = (numbered){ i, asked->label };
        steps[i] = (tims_step){ .task = &adding_task, .arguments = &arguments[i] };
    }
    const tims_step final = { .task = &adding_task, .arguments = &last };
    tims_id id = tims_enqueue_group(rq, steps, (size_t)asked->count, &final);
    return tims_answer_json(200, tims_print(rq->arena, "{\"id\":\"%I\"}", id));
}

static const tims_route endpoints[] = {
    { TIMS_METHOD_POST, "/many/", enqueue_many, .no_csrf = true, .anonymous = true, .timeout_ms = 120000 },
    { TIMS_METHOD_POST, "/chain/", enqueue_chain, .no_csrf = true, .anonymous = true },
    { TIMS_METHOD_POST, "/group/", enqueue_group, .no_csrf = true, .anonymous = true },
    { 0 },
};

extern const tims_embedded jobs_migrations[];
static const tims_app jobs_app = { .name = "jobs",
                                   .doc = "Jobs for tests.",
                                   .models = models,
                                   .endpoints = endpoints,
                                   .tasks = tasks,
                                   .queues = queues,
                                   .migrations = jobs_migrations };

int main(int argc, char **argv)
{
    static tims_app app;
    static const tims_app *const apps[] = { &app, &push_app, &sockets_app, NULL };
    static const tims_app *const more[] = { &app, &push_app, &sockets_app, &remote_app, NULL };
    const char *url = getenv("TASKS_URL"), *pagers = getenv("JOBS_PAGERS");
    app = jobs_app;
    if (getenv("JOBS_SCHEDULES") != NULL)
        app.schedules = schedules;
    const tims_project project = { .name = "jobs",
                                   .version = "0.1.0",
                                   .apps = url != NULL && *url != '\0' ? more : apps,
                                   .source_directory = "tests",
                                   .push_senders = pagers != NULL && *pagers != '\0' ? push_senders : NULL };
    return tims_main(argc, argv, &project);
}
