/* compose.c: puts a project's tables and the stack's rooms together.
 *
 * The rooms know nothing of each other sideways: rest turns a URL into a query, live and pages are handed
 * that as a function; live tells auth of changed sessions through a function. All of that is tied here and
 * nowhere else. */
#include <stdlib.h>
#include <string.h>

#include "app/app_internal.h"

/* --- models and migrations -------------------------------------------------------------------- */

static size_t count_models(const tims_model *const *models)
{
    size_t count = 0;
    while (models != NULL && models[count] != NULL)
        count++;
    return count;
}

/* The stack's own models come first: apps point at users. */
static size_t list_sets(const tims_project *project, tims_migration_set *ret_sets)
{
    size_t count = 0;
    ret_sets[count++] = (tims_migration_set){ "auth", tims_auth_migrations, tims_auth_models };
    ret_sets[count++] = (tims_migration_set){ "rest", tims_rest_migrations, tims_rest_models };
    ret_sets[count++] = (tims_migration_set){ "tasks", tims_tasks_migrations, tims_tasks_models };
    ret_sets[count++] = (tims_migration_set){ "push", tims_push_migrations, tims_push_models };
    for (const tims_app *const *app = project->apps; *app != NULL; app++)
        if ((*app)->models != NULL)
            ret_sets[count++] = (tims_migration_set){ (*app)->name, (*app)->migrations, (*app)->models };
    return count;
}

tims_status app__compose_models(app__stack *stack, tims_error *err)
{
    size_t apps = 0, total = 0;
    while (stack->project->apps[apps] != NULL)
        apps++;
    stack->migration_sets = TIMS_NEW_ARRAY(stack->arena, tims_migration_set, apps + 4);
    stack->migration_set_count = list_sets(stack->project, stack->migration_sets);
    for (size_t i = 0; i < stack->migration_set_count; i++)
        total += count_models(stack->migration_sets[i].models);
    const tims_model **all = TIMS_NEW_ARRAY(stack->arena, const tims_model *, total + 1);
    size_t at = 0;
    for (size_t i = 0; i < stack->migration_set_count; i++)
        for (size_t m = 0; m < count_models(stack->migration_sets[i].models); m++)
            all[at++] = stack->migration_sets[i].models[m];
    return tims_models_new(stack->arena, all, total, &stack->models, err);
}

tims_status app__open_database(app__stack *stack, bool exclusive, tims_error *err)
{
    tims_db_options options = { .url = stack->settings.database_url, .exclusive = exclusive };
    return tims_db_open(&options, &stack->db, err);
}

/* --- what pages are handed ---------------------------------------------------------------------- */

static tims_status write_page_url(const void *data, tims_request *rq, tims_str url, tims_json_writer *writer,
                                  tims_error *err)
{
    const app__stack *stack = data;
    return tims_rest_include(stack->rest, rq, url, writer, err);
}

static tims_status write_page_position(const void *data, tims_request *rq, tims_json_writer *writer,
                                       tims_error *err)
{
    const app__stack *stack = data;
    int64_t position;
    tims_status status = tims_position(tims_session_db(rq), &position, err);
    if (status == TIMS_OK)
        tims_json_str(writer,
                      tims_print(rq->arena, "%S-%lld", tims_live_epoch(stack->live), (long long)position));
    return status;
}

/* --- the server's parts ----------------------------------------------------------------------- */

static void compose_cache(app__stack *stack)
{
    tims_cache_options options = { .bytes_max = stack->settings.cache_bytes,
                                   .is_checked = stack->settings.cache_check };
    app__tie_cache(stack, &options);
    stack->cache = tims_cache_new(&options);
}

static tims_status compose_auth(app__stack *stack, tims_error *err)
{
    const app__settings *settings = &stack->settings;
    tims_auth_options options = {
        .session_idle_s = settings->session_idle_ms / 1000,
        .session_max_s = settings->session_max_ms / 1000,
        .login_failures_max = settings->login_failures_max,
        .account_failures_max = settings->account_failures_max,
        .registrations_max = settings->registrations_max,
        .sessions_max = settings->sessions_max,
        .password_cost =
            settings->cheap_passwords ? tims_password_cost_for_tests : tims_password_cost_default,
        .secure_cookies = settings->secure_cookies || settings->certificate_path.length > 0,
        .open_registration = settings->open_registration,
    };
    return tims_auth_new(stack->arena, stack->db, &options, &stack->auth, err);
}

/* Opened before what listens to it and counts with it; nothing is connected yet. */
static tims_status compose_redis(app__stack *stack, tims_error *err)
{
    const app__settings *settings = &stack->settings;
    const tims_redis_options options = { .url = settings->redis_url };
    if (settings->redis_url.length == 0)
        return TIMS_OK;
    stack->redis_prefix =
        settings->redis_prefix.length > 0
            ? settings->redis_prefix
            : tims_print(stack->arena, "tims:%S", tims_auth_database_name(stack->auth, stack->arena));
    tims_status status = tims_redis_new(&options, &stack->redis, err);
    if (status == TIMS_OK)
        tims_auth_share_limits(stack->auth, stack->redis, stack->redis_prefix);
    return status;
}

static tims_answer stream_live(tims_request *rq, void *data, tims_str url)
{
    const app__stack *stack = data;
    return tims_live_sse(rq, stack->live, url);
}

static tims_status compose_rest(app__stack *stack, tims_error *err)
{
    size_t count = 0;
    const tims_resource **tables =
        TIMS_NEW_ARRAY(stack->arena, const tims_resource *, stack->migration_set_count + 64);
    tables[count++] = tims_tasks_resources;
    tables[count++] = tims_push_resources;
    for (const tims_app *const *app = stack->project->apps; *app != NULL; app++)
        if ((*app)->resources != NULL && count < 64)
            tables[count++] = (*app)->resources;
    tims_status status = tims_rest_new(stack->arena, tables, count, stack->models, &stack->rest, err);
    if (status == TIMS_OK)
        status = tims_rest_add_computed(stack->rest, stack->arena, tims_tasks_computed, err);
    for (const tims_app *const *app = stack->project->apps; status == TIMS_OK && *app != NULL; app++)
        if ((*app)->computed != NULL)
            status = tims_rest_add_computed(stack->rest, stack->arena, (*app)->computed, err);
    if (status == TIMS_OK)
        tims_rest_set_stream(stack->rest, stream_live, stack);
    if (status == TIMS_OK)
        tims_rest_set_cache(stack->rest, stack->cache);
    if (status == TIMS_OK)
        status = tims_rest_load(stack->rest, stack->db, err);
    if (status == TIMS_OK && stack->redis != NULL)
        tims_rest_share_limits(stack->rest, stack->redis, stack->redis_prefix);
    return status;
}

/* What a job's run has around it: as a request, but for who asks and what answers. */
static void begin_run(tims_request *rq)
{
    const app__stack *stack = rq->server_data;
    tims_request_set_db(rq, stack->db);
    tims_request_set_tasks(rq, stack->tasks);
    tims_request_set_push(rq, stack->push);
    if (stack->rest != NULL) { /* else it is a process for blocking tasks, which answers nobody */
        tims_request_set_rest(rq, stack->rest);
        tims_request_set_websockets(rq, stack->websockets);
        rq->slots[TIMS_SLOT_LIVE] = stack->live;
    }
    tims_auth_attach(rq, stack->auth);
}

static tims_status compose_tasks(app__stack *stack, tims_error *err)
{
    enum { TABLES_MAX = 64 };
    const tims_task *const **tasks = TIMS_NEW_ARRAY(stack->arena, const tims_task *const *, TABLES_MAX);
    const tims_queue **queues = TIMS_NEW_ARRAY(stack->arena, const tims_queue *, TABLES_MAX);
    const tims_schedule **schedules = TIMS_NEW_ARRAY(stack->arena, const tims_schedule *, TABLES_MAX);
    tims_tasks_options options = { .tasks = tasks,
                                   .queues = queues,
                                   .schedules = schedules,
                                   .server_data = stack,
                                   .begin = begin_run,
                                   .url = stack->settings.tasks_url,
                                   .program = "/proc/self/exe" };
    tasks[options.task_table_count++] = tims_push_tasks;
    queues[options.queue_table_count++] = tims_push_queues;
    for (const tims_app *const *app = stack->project->apps; *app != NULL; app++) {
        TIMS_ASSERT(options.task_table_count < TABLES_MAX);
        if ((*app)->tasks != NULL)
            tasks[options.task_table_count++] = (*app)->tasks;
        if ((*app)->queues != NULL)
            queues[options.queue_table_count++] = (*app)->queues;
        if ((*app)->schedules != NULL)
            schedules[options.schedule_table_count++] = (*app)->schedules;
    }
    return tims_tasks_new(stack->arena, stack->db, &options, &stack->tasks, err);
}

void app__worker_options(const app__stack *stack, tims_worker_options *ret_options)
{
    const app__settings *settings = &stack->settings;
    *ret_options = (tims_worker_options){ .name = settings->worker_name,
                                          .queues = app__split_names(stack->arena, settings->worker_queues),
                                          .concurrency = settings->worker_concurrency,
                                          .processes = settings->worker_processes,
                                          .lease_ms = settings->worker_lease_ms,
                                          .drain_ms = settings->worker_drain_ms };
}

static tims_status compose_live(app__stack *stack, tims_error *err)
{
    tims_live_options options = {
        .poll_ms = stack->settings.live_poll_ms,
        .log_keep_s = stack->settings.live_log_keep_ms / 1000,
        .sockets_per_user_max = (size_t)stack->settings.sockets_per_user,
        .redis = stack->redis,
        .redis_prefix = stack->redis_prefix,
    };
    app__tie_live(stack, &options);
    return tims_live_new(stack->db, stack->models, stack->auth, &options, &stack->live, err);
}

/* Of a websocket's handler: who asks is who asked for the upgrade. */
static void begin_handler(tims_request *rq)
{
    const app__stack *stack = rq->server_data;
    tims_request_set_db(rq, stack->db);
    tims_request_set_rest(rq, stack->rest);
    tims_request_set_tasks(rq, stack->tasks);
    tims_request_set_push(rq, stack->push);
    rq->slots[TIMS_SLOT_LIVE] = stack->live;
    tims_auth_attach(rq, stack->auth);
}

static void compose_websockets(app__stack *stack)
{
    size_t count = 0;
    const tims_websocket_route **tables = TIMS_NEW_ARRAY(stack->arena, const tims_websocket_route *, 64);
    for (const tims_app *const *app = stack->project->apps; *app != NULL; app++)
        if ((*app)->websockets != NULL && count < 64)
            tables[count++] = (*app)->websockets;
    const tims_websockets_options options = { .server_data = stack,
                                              .begin = begin_handler,
                                              .finish = app__finish_request,
                                              .per_user_max = (size_t)stack->settings.sockets_per_user,
                                              .bus = tims_live_group_bus(stack->live) };
    stack->websockets = tims_websockets_new(stack->arena, tables, count, &options);
    tims_live_carry_groups(stack->live, stack->websockets);
}

static tims_status compose_pages(app__stack *stack, tims_error *err)
{
    const app__settings *settings = &stack->settings;
    size_t count = 0;
    const tims_page_route **tables = TIMS_NEW_ARRAY(stack->arena, const tims_page_route *, 64);
    for (const tims_app *const *app = stack->project->apps; *app != NULL; app++)
        if ((*app)->pages != NULL && count < 64)
            tables[count++] = (*app)->pages;
    tims_pages_options options = {
        .front_directory = tims_copy_c(stack->arena, settings->front_directory),
        .render_command =
            settings->render_command.length > 0 ? tims_copy_c(stack->arena, settings->render_command) : NULL,
        .render_url = settings->render_url,
        .render_timeout_ms = settings->render_timeout_ms,
        .render_processes = settings->render_processes,
        .render_memory_max = settings->render_memory_max,
        .cache = stack->cache,
        .languages = app__split_names(stack->arena, tims_str_from(stack->project->languages)),
        .development = settings->development,
        .resolver_data = stack,
        .write_url = write_page_url,
        .write_position = write_page_position,
    };
    return tims_pages_new(stack->arena, tables, count, &options, &stack->pages, err);
}

/* --- routes ----------------------------------------------------------------------------------- */

static tims_answer answer_health(tims_request *rq)
{
    (void)rq;
    return tims_answer_json(200, TIMS_STR("{\"status\":\"ok\"}"));
}

/* Behind a proxy everybody comes from this machine, so who was forwarded is not of it. */
static bool may_read_metrics(const tims_request *rq, tims_str token)
{
    if (token.length > 0) {
        tims_str given = tims_header_of(rq, TIMS_STR("Authorization"));
        return tims_str_starts_with(given, TIMS_STR("Bearer ")) &&
               tims_constant_time_equal(tims_str_slice(given, strlen("Bearer "), given.length), token);
    }
    bool is_here = tims_str_equal(rq->peer, TIMS_STR("127.0.0.1")) ||
                   tims_str_equal(rq->peer, TIMS_STR("::1")) || tims_str_equal(rq->peer, TIMS_STR("unix"));
    return is_here && tims_header_of(rq, TIMS_STR("X-Forwarded-For")).data == NULL &&
           tims_header_of(rq, TIMS_STR("Forwarded")).data == NULL;
}

static tims_answer answer_metrics(tims_request *rq)
{
    enum { METRICS_BYTES_MAX = 4 * 1024 * 1024 };
    const app__stack *stack = rq->server_data;
    if (!may_read_metrics(rq, stack->settings.metrics_token))
        tims_raise(rq, 404, "not_found", "There is no such page.");
    tims_buf out;
    tims_buf_init(&out, rq->arena, METRICS_BYTES_MAX);
    tims_live_metrics(stack->live, &out);
    tims_cache_metrics(stack->cache, &out);
    tims_tasks_metrics(stack->tasks, &out);
    tims_pages_metrics(stack->pages, &out);
    tims_proxies_metrics(stack->proxies, &out);
    return tims_answer_bytes(200, TIMS_STR("text/plain; version=0.0.4"), tims_buf_str(&out));
}

static const tims_shape health_answer = {
    .name = "health",
    .doc = "That the process answers.",
    .fields = TIMS_FIELDS(TIMS_VALUE(status, STR, .doc = "ok")),
};

static tims_answer answer_openapi(tims_request *rq)
{
    const app__stack *stack = rq->server_data;
    if (tims_not_modified(rq, stack->openapi_etag))
        return tims_answer_empty(304);
    return tims_answer_json(200, stack->openapi);
}

static tims_status compose_openapi(app__stack *stack, tims_error *err)
{
    char hash[32];
    tims_status status = app__write_openapi(stack, &stack->openapi, err);
    if (status != TIMS_OK)
        return status;
    tims_content_hash(stack->openapi, hash);
    stack->openapi_etag = tims_print(stack->arena, "\"%S\"", (tims_str){ hash, sizeof hash });
    return TIMS_OK;
}

const tims_route *app__own_routes(const app__stack *stack)
{
    tims_route *own = TIMS_NEW_ARRAY(stack->arena, tims_route, 5);
    own[0] = (tims_route){
        TIMS_METHOD_GET,      "/live", tims_live_endpoint, .data = stack->live, .doc = "The live websocket.",
        .api.is_hidden = true
    }; /* it stands there as a websocket */
    own[1] = (tims_route){ TIMS_METHOD_GET,
                           "/health",
                           answer_health,
                           .anonymous = true,
                           .no_csrf = true,
                           .doc = "Whether this process answers.",
                           .api = { .answer = &health_answer } };
    own[2] = (tims_route){ TIMS_METHOD_GET,
                           "/metrics",
                           answer_metrics,
                           .anonymous = true,
                           .no_csrf = true,
                           .doc = "What is counted, for Prometheus.",
                           .api = { .content_type = "text/plain", .problems = { 404 } } };
    own[3] = (tims_route){ TIMS_METHOD_GET,      "/api/schema.json", answer_openapi,
                           .anonymous = true,    .no_csrf = true,    .doc = "The API as an OpenAPI document.",
                           .api.is_hidden = true };
    return own;
}

typedef struct route_list {
    tims_arena *arena;
    const tims_route **items;
    size_t count, capacity;
} route_list;

static void add_route(route_list *list, const tims_route *route)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        const tims_route **items = TIMS_NEW_ARRAY(list->arena, const tims_route *, capacity);
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = route;
}

static void add_table(route_list *list, const tims_route *table)
{
    for (; table != NULL && table->pattern != NULL; table++)
        add_route(list, table);
}

static void add_counted(route_list *list, const tims_route *routes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add_route(list, &routes[i]);
}

const tims_route *const *app__routes(const app__stack *stack, size_t *ret_count)
{
    route_list list = { .arena = stack->arena };
    size_t count;
    add_table(&list, app__own_routes(stack));
    add_table(&list, app__probes);
    add_table(&list, app__api_pages);
    add_table(&list, tims_auth_routes);
    add_table(&list, tims_tasks_routes);
    add_table(&list, tims_push_routes);
    for (const tims_app *const *app = stack->project->apps; *app != NULL; app++)
        add_table(&list, (*app)->endpoints);
    const tims_route *websockets = tims_websockets_routes(stack->websockets, &count);
    add_counted(&list, websockets, count);
    const tims_route *resources = tims_rest_routes(stack->rest, &count);
    add_counted(&list, resources, count);
    const tims_route *pages = tims_pages_routes(stack->pages, &count);
    add_counted(&list, pages, count);
    const tims_route *proxies = tims_proxies_routes(stack->proxies, &count);
    add_counted(&list, proxies, count);
    *ret_count = list.count;
    return list.items;
}

tims_status app__compose_jobs(app__stack *stack, tims_error *err)
{
    tims_status status = compose_auth(stack, err);
    if (status == TIMS_OK)
        status = app__compose_push(stack, err);
    if (status == TIMS_OK)
        status = compose_tasks(stack, err);
    return status;
}

tims_status app__compose_server(app__stack *stack, tims_error *err)
{
    size_t count;
    compose_cache(stack);
    tims_status status = compose_auth(stack, err);
    if (status == TIMS_OK)
        status = compose_redis(stack, err);
    if (status == TIMS_OK)
        status = compose_rest(stack, err);
    if (status == TIMS_OK)
        status = app__compose_push(stack, err);
    if (status == TIMS_OK)
        status = compose_tasks(stack, err);
    if (status == TIMS_OK)
        status = compose_live(stack, err);
    if (status == TIMS_OK)
        compose_websockets(stack);
    if (status == TIMS_OK)
        status = compose_pages(stack, err);
    if (status == TIMS_OK)
        status = tims_proxies_new(stack->arena, stack->project->proxies, stack->settings.proxies,
                                  &stack->proxies, err);
    if (status == TIMS_OK)
        status = compose_openapi(stack, err);
    if (status != TIMS_OK)
        return status;
    const tims_route *const *routes = app__routes(stack, &count);
    return tims_router_new(routes, count, &stack->router, err);
}

tims_status app__open(app__stack *stack, bool exclusive,
                      tims_status (*compose)(app__stack *stack, tims_error *err), tims_error *err)
{
    tims_status status = app__compose_models(stack, err);
    if (status == TIMS_OK)
        status = app__open_database(stack, exclusive, err);
    if (status == TIMS_OK)
        status = tims_migrate_check(stack->db, stack->arena, stack->migration_sets,
                                    stack->migration_set_count, stack->models, err);
    return status == TIMS_OK ? compose(stack, err) : status;
}

void app__close(app__stack *stack)
{
    tims_router_free(&stack->router);
    tims_live_free(&stack->live);
    tims_cache_free(&stack->cache);
    tims_redis_free(&stack->redis);
    tims_db_close(&stack->db);
}

/* --- around every request --------------------------------------------------------------------- */

void app__begin_request(tims_request *rq)
{
    const app__stack *stack = rq->server_data;
    rq->slots[TIMS_SLOT_PAGE] = stack->pages;
    tims_request_set_db(rq, stack->db);
    tims_request_set_rest(rq, stack->rest);
    tims_request_set_tasks(rq, stack->tasks);
    tims_request_set_push(rq, stack->push);
    tims_request_set_websockets(rq, stack->websockets);
    rq->slots[TIMS_SLOT_LIVE] = stack->live;
    tims_auth_begin(rq, stack->auth);
}

static tims_status commit(tims_request *rq, const app__stack *stack, tims_error *err)
{
    tims_db_session *db = tims_session_db(rq);
    int64_t position;
    tims_status status = tims_commit_position(db, &position, err);
    if (status == TIMS_OK && position > 0 && rq->exchange != NULL)
        tims_set_header(rq, TIMS_STR("Tims-Position"),
                        tims_print(rq->arena, "%S-%lld", tims_live_epoch(stack->live), (long long)position));
    return status;
}

static void end_transaction(tims_request *rq, tims_answer *answer)
{
    const app__stack *stack = rq->server_data;
    tims_error err = { 0 };
    if (!tims_in_transaction(rq))
        return;
    if (rq->has_raised)
        tims_rollback(rq);
    else if (commit(rq, stack, &err) != TIMS_OK) {
        rq->raised = err;
        rq->has_raised = true;
        *answer = tims_answer_problem(rq, &err);
    }
}

void app__finish_request(tims_request *rq, tims_answer *answer)
{
    end_transaction(rq, answer);
    if (!tims_runs_again(rq))
        tims_pages_finish(rq, answer);
}

/* --- a scope without a client ----------------------------------------------------------------- */

typedef struct scope_run {
    app__stack *stack;
    tims_loop *loop;
    tims_scope_fn function;
    void *argument;
    tims_status status;
    tims_error *err;
} scope_run;

static void begin_and_call(tims_request *rq, void *argument)
{
    scope_run *run = argument;
    tims_request_set_db(rq, run->stack->db);
    tims_request_set_caller(rq, (tims_caller){ .trusted = true });
    if (run->stack->auth != NULL)
        tims_auth_attach(rq, run->stack->auth);
    if (run->stack->tasks != NULL)
        tims_request_set_tasks(rq, run->stack->tasks);
    if (run->stack->push != NULL)
        tims_request_set_push(rq, run->stack->push);
    run->function(rq, run->argument);
}

static void run_on_fiber(void *argument)
{
    scope_run *run = argument;
    run->status = tims_request_run(run->loop, run->stack, begin_and_call, run, app__finish_request, run->err);
    tims_loop_stop(run->loop);
}

tims_status app__run_scope(app__stack *stack, tims_scope_fn function, void *argument, tims_error *err)
{
    scope_run run = { .stack = stack, .function = function, .argument = argument, .err = err };
    tims_status status = tims_loop_new(&(tims_loop_options){ 0 }, &run.loop);
    if (status != TIMS_OK)
        return tims_fail(err, status, NULL, "The event loop cannot be made.");
    tims_fiber_start(run.loop, run_on_fiber, &run);
    tims_loop_run(run.loop);
    tims_loop_free(&run.loop);
    return run.status;
}
