/* control_command.c: what `celery control` tells a worker to do; each answers as Celery's workers do, and
 * what cannot be done says why. */
#include <stdlib.h>

#include "tasks/celery/remote_internal.h"
#include "tasks/worker/worker_internal.h"

enum { QUEUE_NAMES_MAX = 1000 };

static tasks__worker *worker_of(const celery__answer *a)
{
    return a->celery->store.tasks->worker;
}

/* --- revoke --------------------------------------------------------------------------------------------------- */

static bool is_running(const celery__answer *a, tims_str id)
{
    const tasks__worker *worker = worker_of(a);
    for (const tasks__item *at = worker != NULL ? worker->running : NULL; at != NULL; at = at->next_running)
        if (at->job->store_data != NULL && tims_str_equal(celery__id_of(at->job), id))
            return true;
    return false;
}

static void revoke(celery__answer *a, bool terminate)
{
    tims_buf revoked, terminated;
    bool any_runs = false;
    tims_str *ids = TIMS_NEW_ARRAY(a->arena, tims_str, CELERY__IDS_MAX);
    size_t count = celery__ids_argument(a, "task_id", ids);
    tims_buf_init(&revoked, a->arena, CELERY__REQUEST_BYTES_MAX * 2);
    tims_buf_init(&terminated, a->arena, CELERY__REQUEST_BYTES_MAX * 2);
    for (size_t i = 0; i < count; i++) {
        if (!(terminate ? celery__revoke : celery__revoke_waiting)(a->celery, ids[i])) {
            celery__say_error(a, "Redis is away.");
            return;
        }
        tims_buf_print(&revoked, "%s%S", i > 0 ? ", " : "", ids[i]);
        if (is_running(a, ids[i])) {
            tims_buf_print(&terminated, "%s%S", any_runs ? ", " : "", ids[i]);
            any_runs = true;
        }
    }
    tims_log(TIMS_LOG_INFO, "tasks", "event=revoked count=%zu", count);
    if (!terminate)
        celery__say_ok(a, "tasks %.*s flagged as revoked", TIMS_PRINT(tims_buf_str(&revoked)));
    else if (any_runs)
        celery__say_ok(a, "terminate: %.*s", TIMS_PRINT(tims_buf_str(&terminated)));
    else
        celery__say_ok(a, "terminate: tasks unknown");
}

static void do_revoke(celery__answer *a)
{
    revoke(a, tims_json_get_bool(a->arguments, TIMS_STR("terminate"), false));
}

/* The signal does not matter: a run is asked to stop, and ended when it does not. */
static void do_terminate(celery__answer *a)
{
    revoke(a, true);
}

/* --- events --------------------------------------------------------------------------------------------------- */

static void switch_events(celery__answer *a, bool on)
{
    bool was_on = a->celery->events->is_on;
    celery__events_enable(a->celery->events, on);
    celery__say_ok(a, "task events %s%s", was_on == on ? "already " : "", on ? "enabled" : "disabled");
}

static void do_enable_events(celery__answer *a)
{
    switch_events(a, true);
}

static void do_disable_events(celery__answer *a)
{
    switch_events(a, false);
}

static void do_heartbeat(celery__answer *a)
{
    celery__events_worker(a->celery->events, "worker-heartbeat");
    tims_json_null(a->w);
}

/* Among Python's workers; this one does not stand. */
static void do_election(celery__answer *a)
{
    tims_json_null(a->w);
}

/* --- queues and concurrency ----------------------------------------------------------------------------------- */

/* The name as text of its own, which stays as long as the worker. Empty: no more are kept. */
static tims_str keep_name(celery__control *control, tims_str name)
{
    char *copy = tims_map_get(control->queue_names, name);
    if (copy == NULL && tims_map_count(control->queue_names) < QUEUE_NAMES_MAX) {
        copy = malloc(name.length + 1);
        TIMS_ASSERT(copy != NULL);
        memcpy(copy, name.data, name.length);
        copy[name.length] = '\0';
        (void)tims_map_set(control->queue_names, name, copy);
    }
    return copy != NULL ? (tims_str){ copy, name.length } : TIMS_STR("");
}

/* Commas stand between names on the command line; what is below a blank separates priorities. */
static bool is_queue_name(tims_str name)
{
    if (name.length == 0 || name.length > TASKS__NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < name.length; i++)
        if ((unsigned char)name.data[i] <= ' ' || name.data[i] == ',')
            return false;
    return true;
}

static void do_add_consumer(celery__answer *a)
{
    tims_error err = { 0 };
    tims_str queue = celery__text_argument(a, "queue");
    tims_str kept = is_queue_name(queue) ? keep_name(a->control, queue) : TIMS_STR("");
    if (kept.length == 0)
        celery__say_error(a, "This is no name of a queue.");
    else if (worker_of(a) == NULL || tasks__worker_add_queue(worker_of(a), kept, &err) != TIMS_OK)
        celery__say_error(a, "%s", err.message);
    else
        celery__say_ok(a, "add consumer %.*s", TIMS_PRINT(kept));
}

static void do_cancel_consumer(celery__answer *a)
{
    tims_error err = { 0 };
    tims_str queue = celery__text_argument(a, "queue");
    if (worker_of(a) == NULL || tasks__worker_drop_queue(worker_of(a), queue, &err) != TIMS_OK)
        celery__say_error(a, "%s", err.message);
    else
        celery__say_ok(a, "no longer consuming from %.*s", TIMS_PRINT(queue));
}

static void resize(celery__answer *a, int sign)
{
    tims_error err = { 0 };
    int64_t by = celery__int_argument(a, "n", 1);
    if (by < 0)
        celery__say_error(a, "n must not be negative.");
    else if (worker_of(a) == NULL || tasks__worker_resize(worker_of(a), by * sign, &err) != TIMS_OK)
        celery__say_error(a, "%s", err.message);
    else
        celery__say_ok(a, "pool will %s", sign > 0 ? "grow" : "shrink");
}

static void do_pool_grow(celery__answer *a)
{
    resize(a, 1);
}

static void do_pool_shrink(celery__answer *a)
{
    resize(a, -1);
}

/* --- the end -------------------------------------------------------------------------------------------------- */

static void do_shutdown(celery__answer *a)
{
    const tasks__worker *worker = worker_of(a);
    if (worker == NULL || worker->options.on_shutdown == NULL) {
        celery__say_error(a, "This worker is part of a server, which goes on: stop the server.");
        return;
    }
    tims_log(TIMS_LOG_WARN, "tasks", "event=shutdown message=It was asked for over Redis.");
    tims_json_null(a->w);
    tims_loop_post(worker->loop, worker->options.on_shutdown, worker->options.on_shutdown_argument);
}

/* --- what is not done ----------------------------------------------------------------------------------------- */

static void refuse_limit(celery__answer *a)
{
    celery__say_error(a, "Limits and timeouts are part of a task's or queue's declaration here; they are not "
                         "changed over Redis.");
}

static void refuse_pool(celery__answer *a)
{
    celery__say_error(a, "ValueError('There is no pool to do this with.')");
}

static void refuse_debugging(celery__answer *a)
{
    celery__say_error(a, "There are no Python objects in this worker.");
}

const celery__command celery__control_commands[] = {
    { "revoke", NULL, do_revoke },
    { "terminate", NULL, do_terminate },
    { "enable_events", NULL, do_enable_events },
    { "disable_events", NULL, do_disable_events },
    { "heartbeat", NULL, do_heartbeat },
    { "election", NULL, do_election },
    { "add_consumer", NULL, do_add_consumer },
    { "cancel_consumer", NULL, do_cancel_consumer },
    { "pool_grow", NULL, do_pool_grow },
    { "pool_shrink", NULL, do_pool_shrink },
    { "shutdown", NULL, do_shutdown },
    { "rate_limit", NULL, refuse_limit },
    { "time_limit", NULL, refuse_limit },
    { "autoscale", NULL, refuse_pool },
    { "pool_restart", NULL, refuse_pool },
    { "objgraph", NULL, refuse_debugging },
    { "memsample", NULL, refuse_debugging },
    { "memdump", NULL, refuse_debugging },
    { 0 },
};
