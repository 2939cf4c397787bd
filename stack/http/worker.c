/* worker.c: a loop's part of the server: its listener, its connections, its pools, its end.
 *
 * Draining: listen on for a moment (what is in the kernel's queue gets its answer), then stop; answer what is
 * under way with Connection: close; give idle connections a moment too, since a request may be on its way;
 * past the drain timeout cut off what is left. */
#include "http_internal.h"

#include <stdlib.h>
#include <string.h>

#include "tims/crypto.h"

enum { STOP_LISTENING_MS = 30 };

tims_status http__worker_init(http__worker *worker, tims_server *server, int index, tims_error *err)
{
    worker->magic = HTTP__WORKER_MAGIC;
    worker->server = server;
    worker->index = index;
    tims_loop_options options = { .index = index };
    tims_status status = tims_loop_new(&options, &worker->loop);
    if (status != TIMS_OK)
        return tims_fail(err, status, "loop", "No event loop can be had.");
    worker->out = malloc(HTTP__OUT_BYTES);
    TIMS_ASSERT(worker->out != NULL);
    worker->date_second = -1;
    tims_buf_init(&worker->scratch, NULL, (size_t)64 << 20);
    uint8_t random[HTTP__ID_LENGTH];
    tims_random(random, sizeof(random));
    for (size_t i = 0; i < HTTP__ID_LENGTH; i++)
        worker->id_prefix[i] = "0123456789abcdefghijklmnopqrstuv"[random[i] & 31];
    return TIMS_OK;
}

static void free_pools(http__worker *worker)
{
    while (worker->free_exchanges) {
        http__exchange *exchange = worker->free_exchanges;
        worker->free_exchanges = exchange->next_free;
        tims_arena_free(&exchange->arena);
        free(exchange);
    }
    while (worker->free_parsers) {
        http__parser *parser = worker->free_parsers;
        worker->free_parsers = parser->next;
        tims_http1_free(&parser->http1);
        free(parser);
    }
}

void http__worker_free(http__worker *worker)
{
    if (worker->magic == 0)
        return;
    TIMS_ASSERT(worker->connection_count == 0);
    free_pools(worker);
    http__files_free(&worker->files);
    http__compressor_free(&worker->compressor);
    http__deflater_free(&worker->deflater);
    tims_buf_free(&worker->scratch);
    free(worker->out);
    free(worker->listeners);
    if (worker->loop)
        tims_loop_free(&worker->loop);
    worker->magic = 0;
}

/* --- listening -------------------------------------------------------------------------------- */

tims_status http__worker_listen(http__worker *worker, int inherited_fd, tims_error *err)
{
    tims_server *server = worker->server;
    tims_listen_options options = {
        .host = server->options.host,
        .port = server->port ? server->port : server->options.port,
        .fd = inherited_fd,
        .reuse_port = server->worker_count > 1,
    };
    tims_listener **grown =
        realloc(worker->listeners, (size_t)(worker->listener_count + 1) * sizeof(*worker->listeners));
    TIMS_ASSERT(grown != NULL);
    worker->listeners = grown;
    tims_listener *listener = NULL;
    tims_status status = tims_listen(worker->loop, &options, http__connection_accept, worker, &listener, err);
    if (status != TIMS_OK)
        return status;
    worker->listeners[worker->listener_count++] = listener;
    server->port = tims_listener_port(listener);
    return TIMS_OK;
}

/* The server could not start: close what was opened, in a turn of the loop that does nothing else. */
void http__worker_abandon(http__worker *worker)
{
    for (int i = 0; i < worker->listener_count; i++)
        tims_listener_close(&worker->listeners[i]);
    worker->listener_count = 0;
    tims_loop_stop(worker->loop);
    tims_loop_run(worker->loop);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void stop_when_empty(http__worker *worker)
{
    if (!worker->draining || worker->hook_starting || worker->hook_drains || worker->listener_count > 0 ||
        worker->connection_count > 0)
        return;
    tims_timer_clear(&worker->drain_timer);
    tims_timer_clear(&worker->stop_listening_timer);
    if (worker->hook_begun && worker->server->options.loop_stop)
        worker->server->options.loop_stop(worker->loop, worker->server->options.data);
    worker->hook_begun = worker->hook_started = false;
    tims_fetch_shutdown(worker->loop);
    tims_loop_stop(worker->loop);
}

void http__worker_connection_gone(http__worker *worker)
{
    worker->connection_count--;
    atomic_fetch_sub(&worker->server->connection_count, 1);
    stop_when_empty(worker);
}

static void stop_listening(void *argument)
{
    http__worker *worker = argument;
    for (int i = 0; i < worker->listener_count; i++)
        tims_listener_close(&worker->listeners[i]);
    worker->listener_count = 0;
    stop_when_empty(worker);
}

static void cut_off(void *argument)
{
    http__worker *worker = argument;
    tims_log(TIMS_LOG_WARN, "http", "drain timeout: %lld connections are cut off",
             (long long)worker->connection_count);
    for (http__connection *at = worker->connections, *next; at; at = next) {
        next = at->next;
        http__connection_close(at);
    }
}

static void hook_has_drained(void *argument)
{
    http__worker *worker = argument;
    TIMS_CHECK_MAGIC(worker, HTTP__WORKER_MAGIC);
    worker->hook_drains = false;
    stop_when_empty(worker);
}

static void drain_hook(http__worker *worker)
{
    if (!worker->hook_started || !worker->server->options.loop_drain)
        return;
    worker->hook_drains = true;
    worker->server->options.loop_drain(worker->loop, worker->server->options.data, hook_has_drained, worker);
}

void http__worker_drain(void *argument)
{
    http__worker *worker = argument;
    TIMS_CHECK_MAGIC(worker, HTTP__WORKER_MAGIC);
    if (worker->draining)
        return;
    worker->draining = true;
    drain_hook(worker);
    tims_timer_set(worker->loop, &worker->stop_listening_timer, STOP_LISTENING_MS, stop_listening, worker);
    tims_timer_set(worker->loop, &worker->drain_timer, worker->server->options.drain_timeout_ms, cut_off,
                   worker);
    for (http__connection *at = worker->connections, *next; at; at = next) {
        next = at->next;
        http__connection_drain(at);
    }
}

/* --- running ---------------------------------------------------------------------------------- */

/* What was asked to drain meanwhile has waited for this. */
static void note_start(http__worker *worker, tims_status status, tims_error *err)
{
    worker->hook_starting = false;
    worker->hook_started = status == TIMS_OK;
    if (status != TIMS_OK && err->status == TIMS_OK)
        (void)!tims_fail(err, status, "loop_start", "A part of the server could not start.");
    http__server_worker_started(worker->server, status, err);
    if (status != TIMS_OK)
        tims_server_stop(worker->server);
    if (!worker->draining)
        return;
    drain_hook(worker);
    stop_when_empty(worker);
}

/* Start hooks may suspend, so they run on a fiber. */
static void start_hook(void *argument)
{
    http__worker *worker = argument;
    tims_error err = { 0 };
    tims_status status = TIMS_OK;
    worker->hook_begun = true; /* from here on there may be something to stop, even if it fails */
    if (worker->server->options.loop_start)
        status = worker->server->options.loop_start(worker->loop, worker->server->options.data, &err);
    note_start(worker, status, &err);
}

static void start_fiber(void *argument)
{
    http__worker *worker = argument;
    tims_error err = { 0 };
    if (tims_fiber_start(worker->loop, start_hook, worker) == NULL)
        note_start(worker, TIMS_UNAVAILABLE, &err);
}

void http__worker_run(http__worker *worker)
{
    worker->files = http__files_new();
    worker->compressor = http__compressor_new();
    worker->deflater = http__deflater_new();
    worker->hook_starting = true;
    tims_loop_post(worker->loop, start_fiber, worker);
    tims_loop_run(worker->loop);
    tims_log_flush();
}
