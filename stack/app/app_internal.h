/* app_internal.h: what the commands share: the settings, and the parts of a project put together. */
#ifndef APP_INTERNAL_H
#define APP_INTERNAL_H

#include "tims/app.h"

typedef struct app__settings {
    tims_str host, database_url, front_directory, render_command, render_url, log_level, log_format,
        certificate_path, key_path, cors_origins, trusted_proxies, connections_uncounted, pid_file,
        metrics_token, redis_url, redis_prefix, tasks_url, worker_name, worker_queues;
    tims_str push_fcm_account, push_fcm_url, push_apns_key, push_apns_key_id, push_apns_team, push_apns_topic,
        push_apns_url, push_ca;
    int64_t port, loops, connections_max, connections_per_address_max, request_memory_max;
    int64_t header_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms, drain_timeout_ms,
        render_timeout_ms, render_processes, render_memory_max;
    int64_t session_idle_ms, session_max_ms, sessions_max, login_failures_max, account_failures_max,
        registrations_max;
    int64_t worker_concurrency, worker_processes, worker_lease_ms, worker_drain_ms;
    int64_t live_poll_ms, live_log_keep_ms, sockets_per_user, cache_bytes;
    bool development, open_registration, secure_cookies, access_log, compress, cheap_passwords, worker,
        cache_check;
    tims_proxy_settings *proxies; /* one for each row of the project's table */
} app__settings;

/* A program's parts, made in this order, ended in reverse. */
typedef struct app__stack {
    const tims_project *project;
    tims_arena *arena;
    app__settings settings;
    tims_models *models;
    tims_migration_set *migration_sets;
    size_t migration_set_count;
    tims_db *db;
    tims_redis *redis; /* NULL: this node is alone */
    tims_str redis_prefix;
    tims_auth *auth;
    tims_cache *cache;
    tims_rest *rest;
    tims_tasks *tasks;
    tims_push_room *push;
    tims_live *live;
    tims_websockets *websockets;
    tims_pages *pages;
    tims_proxies *proxies;
    tims_router *router;
    tims_str openapi, openapi_etag; /* what /api/schema.json answers */
} app__stack;

/* Prints every problem of the environment; false when there was one. */
bool app__load_settings(app__stack *stack);
void app__describe_settings(const app__stack *stack, tims_buf *out);
/* A comma-separated setting as names. */
tims_names app__split_names(tims_arena *arena, tims_str text);

/* Models and migration sets: needs no database. */
tims_status app__compose_models(app__stack *stack, tims_error *err);
/* Opens DATABASE_URL. `exclusive`: this process serves it. */
tims_status app__open_database(app__stack *stack, bool exclusive, tims_error *err);
/* Resources, endpoints, pages and what they stand on. */
tims_status app__compose_server(app__stack *stack, tims_error *err);
/* What the cache asks of the feed. */
void app__tie_cache(app__stack *stack, tims_cache_options *options);
/* What live asks of the others, and tells them. */
void app__tie_live(app__stack *stack, tims_live_options *options);
/* What runs jobs: users and tasks, nothing that answers. */
tims_status app__compose_jobs(app__stack *stack, tims_error *err);
/* Who sends notifications, by PUSH_*. */
tims_status app__compose_push(app__stack *stack, tims_error *err);
/* Everything up to there: models, the database, which must be migrated, and what `compose` (one of the two
 * above) puts together. `exclusive`: this process serves it. */
tims_status app__open(app__stack *stack, bool exclusive,
                      tims_status (*compose)(app__stack *stack, tims_error *err), tims_error *err);
/* All routes of the project in one array. */
const tims_route *const *app__routes(const app__stack *stack, size_t *ret_count);
/* The routes that are of no room: the live websocket, health, metrics, the API's document. */
const tims_route *app__own_routes(const app__stack *stack);
/* Swagger UI and Redoc, at /api/docs/ and /api/redoc/; the table ends with an empty row. */
extern const tims_route app__api_pages[];
/* /healthz and /readyz; the same. */
extern const tims_route app__probes[];
/* The API's document, in the stack's arena; needs the models alone. */
tims_status app__write_openapi(const app__stack *stack, tims_str *ret_json, tims_error *err);
void app__close(app__stack *stack);
/* What WORKER_* says. */
void app__worker_options(const app__stack *stack, tims_worker_options *ret_options);

/* Around every request: who asks, and one transaction. */
void app__begin_request(tims_request *rq);
void app__finish_request(tims_request *rq, tims_answer *answer);
/* Runs a function as a request that no client made, on a loop of its own, in one transaction. */
tims_status app__run_scope(app__stack *stack, tims_scope_fn function, void *argument, tims_error *err);

typedef struct app__command {
    const char *name, *arguments, *summary, *help;
    int (*run)(app__stack *stack, int argc, char **argv); /* the exit status */
} app__command;

/* The value of `--name value` or `--name=value`; NULL when absent. */
const char *app__option(int argc, char **argv, const char *name);
bool app__flag(int argc, char **argv, const char *name);
/* The number that an option has, which stays as it is when the option is absent; false: it is none, which was
 * said. */
bool app__number(const app__stack *stack, int argc, char **argv, const char *name, int64_t min, int64_t max,
                 int64_t *value);
/* The first word that is neither an option nor one's value; NULL when absent. */
const char *app__word(int argc, char **argv);
/* Prints "program: message" and, when there is one, the detail; returns exit status 1. */
int app__complain(const app__stack *stack, const tims_error *err);

int app__serve(app__stack *stack, int argc, char **argv);
int app__worker(app__stack *stack, int argc, char **argv);
int app__task_process(app__stack *stack, int argc, char **argv);
int app__enqueue(app__stack *stack, int argc, char **argv);
int app__migrate(app__stack *stack, int argc, char **argv);
int app__makemigrations(app__stack *stack, int argc, char **argv);
int app__copy_database(app__stack *stack, int argc, char **argv);
int app__backup(app__stack *stack, int argc, char **argv);
int app__restore(app__stack *stack, int argc, char **argv);
int app__createadmin(app__stack *stack, int argc, char **argv);
int app__demo(app__stack *stack, int argc, char **argv);
int app__routes_command(app__stack *stack, int argc, char **argv);
int app__openapi_command(app__stack *stack, int argc, char **argv);
int app__check(app__stack *stack, int argc, char **argv);
int app__health(app__stack *stack, int argc, char **argv);
int app__shell(app__stack *stack, int argc, char **argv);

#endif
