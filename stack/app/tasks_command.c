/* tasks_command.c: `worker`, `enqueue` and `task-process`. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app_internal.h"

/* --- worker ----------------------------------------------------------------------------------- */

typedef struct worker_run {
    app__stack *stack;
    tims_loop *loop;
    tims_worker_options options;
    bool stopping, started;
    tims_status status;
    tims_error err;
} worker_run;

static void stop_loop(void *argument)
{
    worker_run *run = argument;
    tims_fetch_shutdown(run->loop);
    tims_loop_stop(run->loop);
}

static void stop_worker(void *argument)
{
    worker_run *run = argument;
    if (run->stopping)
        return;
    run->stopping = true;
    if (run->started) /* else right behind the start, which may be waiting for the database or Redis */
        tims_worker_stop(run->stack->tasks, stop_loop, run);
}

static void start_worker(void *argument)
{
    worker_run *run = argument;
    run->status = tims_worker_start(run->stack->tasks, run->loop, &run->options, &run->err);
    run->started = run->status == TIMS_OK;
    if (!run->started) {
        tims_loop_stop(run->loop);
        return;
    }
    if (run->stopping) {
        tims_worker_stop(run->stack->tasks, stop_loop, run);
        return;
    }
    (void)printf("%s worker is ready\n", run->stack->project->name);
    (void)fflush(stdout);
}

static bool read_worker_options(const app__stack *stack, int argc, char **argv, tims_worker_options *options)
{
    app__worker_options(stack, options);
    const char *queues = app__option(argc, argv, "--queues"), *name = app__option(argc, argv, "--name");
    if (queues != NULL)
        options->queues = app__split_names(stack->arena, tims_str_from(queues));
    if (name != NULL)
        options->name = tims_str_from(name);
    options->no_schedules = app__flag(argc, argv, "--no-schedules");
    return app__number(stack, argc, argv, "--concurrency", 1, 10000, &options->concurrency) &&
           app__number(stack, argc, argv, "--processes", 1, 256, &options->processes);
}

int app__worker(app__stack *stack, int argc, char **argv)
{
    worker_run run = { .stack = stack };
    if (!read_worker_options(stack, argc, argv, &run.options))
        return 2;
    run.options.on_shutdown = stop_worker;
    run.options.on_shutdown_argument = &run;
    tims_status status = app__open(stack, false, app__compose_jobs, &run.err);
    if (status == TIMS_OK && tims_loop_new(NULL, &run.loop) != TIMS_OK)
        status = tims_fail(&run.err, TIMS_INTERNAL, NULL, "The event loop cannot be made.");
    if (status != TIMS_OK)
        return app__complain(stack, &run.err);
    tims_loop_on_signal(run.loop, SIGTERM, stop_worker, &run);
    tims_loop_on_signal(run.loop, SIGINT, stop_worker, &run);
    tims_fiber_start(run.loop, start_worker, &run);
    tims_loop_run(run.loop);
    tims_loop_free(&run.loop);
    return run.status == TIMS_OK ? 0 : app__complain(stack, &run.err);
}

int app__task_process(app__stack *stack, int argc, char **argv)
{
    tims_error err = { 0 };
    const char *path = app__word(argc, argv);
    if (path == NULL)
        return 2;
    if (app__open(stack, false, app__compose_jobs, &err) != TIMS_OK)
        return app__complain(stack, &err);
    return tims_task_process(stack->tasks, path);
}

/* --- enqueue ---------------------------------------------------------------------------------- */

typedef struct asked {
    tims_str task, arguments;
    tims_enqueue_options options;
    tims_id job;
} asked;

static void enqueue(tims_request *rq, void *argument)
{
    asked *a = argument;
    const tims_json *arguments;
    tims_error err = { 0 };
    tims_check(rq, tims_json_parse(rq->arena, a->arguments, &arguments, &err), &err);
    a->job = tims_enqueue_json(rq, a->task, arguments, &a->options);
}

static const char *second_word(int argc, char **argv)
{
    return argc > 1 && argv[1][0] != '-' ? argv[1] : "{}";
}

int app__enqueue(app__stack *stack, int argc, char **argv)
{
    tims_error err = { 0 };
    const char *queue = app__option(argc, argv, "--queue"), *unique = app__option(argc, argv, "--unique");
    int64_t delay_s = 0, priority = -1;
    char id[TIMS_ID_TEXT_LENGTH];
    if (argc < 1 || argv[0][0] == '-') {
        (void)fprintf(stderr, "Usage: %s enqueue TASK [ARGUMENTS]\n", stack->project->name);
        return 2;
    }
    if (!app__number(stack, argc, argv, "--delay", 0, 1000000000, &delay_s) ||
        !app__number(stack, argc, argv, "--priority", 0, TIMS_PRIORITY_LAST, &priority))
        return 2;
    asked a = { .task = tims_str_from(argv[0]),
                .arguments = tims_str_from(second_word(argc, argv)),
                .options = { .delay_ms = delay_s * 1000,
                             .queue = queue,
                             .priority = { priority >= 0, priority },
                             .unique = tims_str_from(unique) } };
    if (app__open(stack, false, app__compose_jobs, &err) != TIMS_OK ||
        app__run_scope(stack, enqueue, &a, &err) != TIMS_OK)
        return app__complain(stack, &err);
    tims_id_format(a.job, id);
    (void)printf("%.*s\n", TIMS_ID_TEXT_LENGTH, id);
    return 0;
}
