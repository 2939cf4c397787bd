/* serve.c: `serve`: compose, check, listen. */
#include <stdio.h>

#include "app/app_internal.h"

static tims_status start_loop(tims_loop *loop, const void *data, tims_error *err)
{
    const app__stack *stack = data;
    tims_websockets_loop_start(stack->websockets, loop);
    tims_status status = stack->redis != NULL ? tims_redis_loop_start(stack->redis, loop, err) : TIMS_OK;
    if (status == TIMS_OK)
        status = tims_tasks_loop_start(stack->tasks, loop, err);
    if (status == TIMS_OK)
        status = tims_live_loop_start(stack->live, loop, err);
    if (status == TIMS_OK && tims_loop_index(loop) == 0)
        status = tims_pages_start(stack->pages, loop, err);
    if (status == TIMS_OK && tims_loop_index(loop) == 0)
        tims_auth_start(stack->auth, loop);
    if (status == TIMS_OK && stack->settings.worker && tims_loop_index(loop) == 0) {
        tims_worker_options options;
        app__worker_options(stack, &options);
        status = tims_worker_start(stack->tasks, loop, &options, err);
    } else if (status == TIMS_OK && tims_loop_index(loop) == 0) {
        status = tims_relay_start(stack->tasks, loop, err);
    }
    return status;
}

static void stop_loop(tims_loop *loop, const void *data)
{
    const app__stack *stack = data;
    if (tims_loop_index(loop) == 0)
        tims_pages_stop(stack->pages);
    tims_websockets_loop_stop(stack->websockets, loop);
    tims_live_loop_stop(stack->live, loop);
    tims_auth_loop_stop(stack->auth, loop);
    tims_tasks_loop_stop(stack->tasks, loop);
    if (stack->redis != NULL)
        tims_redis_loop_stop(stack->redis, loop);
}

static void drain_loop(tims_loop *loop, const void *data, tims_loop_fn done, void *argument)
{
    const app__stack *stack = data;
    if (tims_loop_index(loop) != 0)
        done(argument);
    else if (stack->settings.worker)
        tims_worker_stop(stack->tasks, done, argument);
    else
        tims_relay_stop(stack->tasks, done, argument);
}

static void probe_redis(tims_request *rq, void *argument)
{
    tims_error err = { 0 };
    tims_status status = tims_redis_probe(argument, rq->loop, &err);
    if (status == TIMS_UNAVAILABLE)
        tims_log(TIMS_LOG_WARN, "app", "event=without_redis message=%s", err.message);
    else
        tims_check(rq, status, &err);
}

/* One that is away may come; one that will never do is better said now. */
static tims_status check_redis(app__stack *stack, tims_error *err)
{
    return stack->redis != NULL ? app__run_scope(stack, probe_redis, stack->redis, err) : TIMS_OK;
}

static void say_ready(tims_server *server, void *argument)
{
    const app__stack *stack = argument;
    const app__settings *settings = &stack->settings;
    bool all = tims_str_equal(settings->host, TIMS_STR("0.0.0.0")) || settings->host.length == 0;
    (void)printf("%s is ready: %s://%.*s:%u (%d loop%s)\n", stack->project->name,
                 settings->certificate_path.length > 0 ? "https" : "http",
                 TIMS_PRINT(all ? TIMS_STR("localhost") : settings->host), (unsigned)tims_server_port(server),
                 tims_server_loop_count(server), tims_server_loop_count(server) == 1 ? "" : "s");
    (void)fflush(stdout);
}

static void fill_options(const app__stack *stack, tims_server_options *options)
{
    const app__settings *settings = &stack->settings;
    tims_server_options_default(options);
    options->host = settings->host;
    options->port = (uint16_t)settings->port;
    options->loops = (int)settings->loops;
    options->router = stack->router;
    options->data = stack;
    options->begin = app__begin_request;
    options->finish = app__finish_request;
    options->not_found = tims_pages_not_found;
    options->loop_start = start_loop;
    options->loop_stop = stop_loop;
    options->loop_drain = drain_loop;
    options->header_timeout_ms = (uint32_t)settings->header_timeout_ms;
    options->body_timeout_ms = (uint32_t)settings->body_timeout_ms;
    options->idle_timeout_ms = (uint32_t)settings->idle_timeout_ms;
    options->write_timeout_ms = (uint32_t)settings->write_timeout_ms;
    options->drain_timeout_ms = (uint32_t)settings->drain_timeout_ms;
    options->connections_max = (uint32_t)settings->connections_max;
    options->connections_per_address_max = (uint32_t)settings->connections_per_address_max;
    options->uncounted_peers = app__split_names(stack->arena, settings->connections_uncounted);
    options->memory_bytes_max = (size_t)settings->request_memory_max;
    options->cors_origins = app__split_names(stack->arena, settings->cors_origins);
    options->trusted_proxies = app__split_names(stack->arena, settings->trusted_proxies);
    options->certificate_path = settings->certificate_path;
    options->key_path = settings->key_path;
    uint64_t longest = tims_proxies_body_bytes_max(stack->proxies);
    if (options->limits.body_bytes_max < longest) /* each route has its own limit below it */
        options->limits.body_bytes_max = longest;
    options->access_log = settings->access_log;
    options->compress = settings->compress;
    if (settings->pid_file.length > 0)
        options->pid_file = tims_copy_c(stack->arena, settings->pid_file);
}

int app__serve(app__stack *stack, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    tims_error err = { 0 };
    tims_status status = app__open(stack, true, app__compose_server, &err);
    if (status == TIMS_OK)
        status = check_redis(stack, &err);
    if (status == TIMS_OK) {
        tims_server_options options;
        fill_options(stack, &options);
        status = tims_server_run(&options, say_ready, stack, &err);
    }
    return status == TIMS_OK ? 0 : app__complain(stack, &err);
}
