/* server.c: the process's side of the server: options, threads, signals, the order of start and end.
 *
 *   check ─► sockets, inherited or new ─► loops ─► ready ─► serve ─► drain ─► (re-execute) ─► return
 *
 * Every loop has its own listening socket on the same port (SO_REUSEPORT), so the kernel spreads the clients.
 * Because that option would also let a second program share the port unnoticed, the port is probed without it
 * first. */
#include "http_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tims/crypto.h"

enum { LOOPS_MAX = 256, MEMORY_BYTES_MIN = 256 * 1024 };

static const char *const this_machine_items[] = { "127.0.0.0/8", "::1" };
static const tims_names this_machine = { this_machine_items, 2 };

void tims_server_options_default(tims_server_options *ret_options)
{
    *ret_options = (tims_server_options){
        .host = TIMS_STR("127.0.0.1"),
        .port = 8000,
        .limits = tims_http1_limits_default,
        .header_timeout_ms = 10 * 1000,
        .body_timeout_ms = 30 * 1000,
        .idle_timeout_ms = 75 * 1000,
        .write_timeout_ms = 30 * 1000,
        .drain_timeout_ms = 30 * 1000,
        .connections_max = 20000,
        .connections_per_address_max = 256,
        .uncounted_peers = this_machine,
        .memory_bytes_max = (size_t)32 << 20,
        .access_log = true,
        .compress = true,
    };
}

/* --- asked from outside ----------------------------------------------------------------------- */

uint16_t tims_server_port(const tims_server *server)
{
    return server->port;
}

int tims_server_loop_count(const tims_server *server)
{
    return server->worker_count;
}

tims_loop *tims_server_loop(const tims_server *server, int index)
{
    TIMS_ASSERT(index >= 0 && index < server->worker_count);
    return server->workers[index].loop;
}

bool tims_server_is_draining(const tims_server *server)
{
    return atomic_load(&server->state) == HTTP__DRAINING;
}

void tims_server_stop(tims_server *server)
{
    TIMS_CHECK_MAGIC(server, HTTP__SERVER_MAGIC);
    pthread_mutex_lock(&server->mutex); /* the server is not freed before everybody who stops it has left */
    if (atomic_exchange(&server->state, HTTP__DRAINING) != HTTP__DRAINING)
        for (int i = 0; i < server->worker_count; i++)
            tims_loop_post(server->workers[i].loop, http__worker_drain, &server->workers[i]);
    pthread_mutex_unlock(&server->mutex);
}

static void on_stop_signal(void *argument)
{
    tims_server *server = argument;
    bool was_restarting =
        atomic_exchange(&server->restart, false); /* it drains already, and ends with that */
    if (was_restarting || !tims_server_is_draining(server))
        tims_log(TIMS_LOG_INFO, "http", "stopping: no new connections, %u to finish",
                 (unsigned)atomic_load(&server->connection_count));
    tims_server_stop(server);
}

static void on_restart_signal(void *argument)
{
    tims_server *server = argument;
    if (tims_server_is_draining(server))
        return;
    tims_error err = { 0 };
    if (http__restart_keep(server, &err) != TIMS_OK) {
        tims_log(TIMS_LOG_ERROR, "http", "cannot restart: %s", err.message);
        return;
    }
    tims_log(TIMS_LOG_INFO, "http", "restarting: the sockets are kept");
    atomic_store(&server->restart, true);
    tims_server_stop(server);
}

/* --- start ------------------------------------------------------------------------------------ */

static tims_status check_options(tims_server_options *options, tims_error *err)
{
    if (!options->router)
        return tims_fail(err, TIMS_INVALID, "no_router", "The server has no routes.");
    if (options->certificate_path.length > 0 && options->key_path.length == 0)
        return tims_fail(err, TIMS_INVALID, "no_key", "A certificate needs its key: set the key's path too.");
    if (options->memory_bytes_max < MEMORY_BYTES_MIN)
        options->memory_bytes_max = MEMORY_BYTES_MIN;
    if (options->loops <= 0)
        options->loops = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (options->loops < 1)
        options->loops = 1;
    if (options->loops > LOOPS_MAX)
        options->loops = LOOPS_MAX;
    return TIMS_OK;
}

static tims_status write_pid_file(const char *path, tims_error *err)
{
    if (!path)
        return TIMS_OK;
    FILE *file = fopen(path, "we");
    if (!file)
        return tims_fail(err, TIMS_IO, "pid_file", "Cannot write the pid file %s: %s.", path,
                         strerror(errno));
    fprintf(file, "%ld\n", (long)getpid());
    return fclose(file) == 0 ? TIMS_OK
                             : tims_fail(err, TIMS_IO, "pid_file", "Cannot write the pid file %s.", path);
}

static tims_status say_port_is_taken(const tims_server *server, tims_status status, tims_error *err)
{
    if (status != TIMS_BUSY)
        return status;
    return tims_fail(err, TIMS_BUSY, "port_taken",
                     "Port %u is taken by another program: stop it, or choose another port.",
                     (unsigned)server->options.port);
}

/* Listens for a moment without SO_REUSEPORT, which fails where anybody else listens. */
static tims_status probe_port(tims_server *server, tims_error *err)
{
    if (server->options.port == 0 || server->worker_count == 1)
        return TIMS_OK;
    tims_listen_options options = { .host = server->options.host, .port = server->options.port, .fd = -1 };
    tims_listener *listener = NULL;
    tims_status status = tims_listen(server->workers[0].loop, &options, http__connection_accept,
                                     &server->workers[0], &listener, err);
    if (status == TIMS_OK)
        tims_listener_close(&listener);
    return status;
}

static tims_status open_sockets(tims_server *server, tims_error *err)
{
    int *fds = NULL;
    int count = 0;
    tims_status status = http__restart_inherited(&server->options, &fds, &count, err);
    if (status == TIMS_OK && count == 0)
        status = probe_port(server, err);
    for (int i = 0; status == TIMS_OK && i < (count > server->worker_count ? count : server->worker_count);
         i++)
        status =
            http__worker_listen(&server->workers[i % server->worker_count], i < count ? fds[i] : -1, err);
    free(fds);
    return say_port_is_taken(server, status, err);
}

static tims_status make_workers(tims_server *server, tims_error *err)
{
    server->workers = calloc((size_t)server->options.loops, sizeof(*server->workers));
    TIMS_ASSERT(server->workers != NULL);
    for (int i = 0; i < server->options.loops; i++) {
        tims_status status = http__worker_init(&server->workers[i], server, i, err);
        if (status != TIMS_OK)
            return status;
        server->worker_count++;
    }
    return TIMS_OK;
}

static tims_status prepare(tims_server *server, tims_error *err)
{
    tims_status status = check_options(&server->options, err);
    if (status == TIMS_OK)
        status = tims_crypto_setup();
    if (status == TIMS_OK)
        server->homes = http__homes_new();
    if (status == TIMS_OK && server->options.certificate_path.length > 0)
        status = http__tls_context_new(&server->options, &server->tls, err);
    if (status == TIMS_OK)
        status = make_workers(server, err);
    if (status == TIMS_OK)
        status = open_sockets(server, err);
    if (status == TIMS_OK)
        status = write_pid_file(server->options.pid_file, err);
    return status;
}

/* --- running ---------------------------------------------------------------------------------- */

static void *run_thread(void *argument)
{
    http__worker_run(argument);
    return NULL;
}

/* On loop 0, when the last loop has started. */
static void announce(void *argument)
{
    tims_server *server = argument;
    pthread_mutex_lock(&server->mutex);
    bool failed = server->failed_count > 0;
    pthread_mutex_unlock(&server->mutex);
    int starting = HTTP__STARTING;
    if (failed || !atomic_compare_exchange_strong(&server->state, &starting, HTTP__SERVING))
        return;
    if (server->on_ready)
        server->on_ready(server, server->on_ready_argument);
}

void http__server_worker_started(tims_server *server, tims_status status, const tims_error *err)
{
    pthread_mutex_lock(&server->mutex);
    bool is_last = ++server->started_count == server->worker_count;
    if (status != TIMS_OK && server->failed_count++ == 0)
        server->first_error = *err;
    pthread_mutex_unlock(&server->mutex);
    if (is_last)
        tims_loop_post(server->workers[0].loop, announce, server);
}

static tims_status start_threads(tims_server *server, tims_error *err)
{
    for (int i = 1; i < server->worker_count; i++) {
        http__worker *worker = &server->workers[i];
        if (pthread_create(&worker->thread, NULL, run_thread, worker) != 0)
            return tims_fail(err, TIMS_UNAVAILABLE, "thread", "No thread can be had.");
        worker->thread_started = true;
    }
    return TIMS_OK;
}

static tims_status run(tims_server *server, tims_error *err)
{
    tims_loop *first = server->workers[0].loop;
    tims_loop_on_signal(first, SIGTERM, on_stop_signal, server);
    tims_loop_on_signal(first, SIGINT, on_stop_signal, server);
    tims_loop_on_signal(first, SIGHUP, on_restart_signal, server);
    signal(SIGPIPE, SIG_IGN);
    tims_status status = start_threads(server, err);
    TIMS_ASSERT(status == TIMS_OK);
    http__worker_run(&server->workers[0]);
    for (int i = 1; i < server->worker_count; i++)
        pthread_join(server->workers[i].thread, NULL);
    if (server->failed_count > 0) {
        *err = server->first_error;
        return server->first_error.status;
    }
    return TIMS_OK;
}

static void drop_listeners(tims_server *server)
{
    for (int i = 0; i < server->worker_count; i++)
        http__worker_abandon(&server->workers[i]);
}

static void free_server(tims_server *server)
{
    pthread_mutex_lock(&server->mutex);
    pthread_mutex_unlock(&server->mutex);
    for (int i = 0; i < server->worker_count; i++)
        http__worker_free(&server->workers[i]);
    free(server->workers);
    free(server->kept_fds);
    http__tls_context_free(&server->tls);
    http__homes_free(&server->homes);
    pthread_mutex_destroy(&server->mutex);
    server->magic = 0;
    free(server);
}

tims_status tims_server_run(const tims_server_options *options,
                            void (*on_ready)(tims_server *server, void *argument), void *argument,
                            tims_error *err)
{
    tims_server *server = calloc(1, sizeof(*server));
    TIMS_ASSERT(server != NULL);
    server->magic = HTTP__SERVER_MAGIC;
    server->options = *options;
    server->on_ready = on_ready;
    server->on_ready_argument = argument;
    pthread_mutex_init(&server->mutex, NULL);
    tims_error local = { 0 };
    tims_status status = prepare(server, &local);
    if (status == TIMS_OK)
        status = run(server, &local);
    else
        drop_listeners(server);
    if (status == TIMS_OK && atomic_load(&server->restart))
        status = http__restart_exec(server, &local);
    if (server->options.pid_file && status != TIMS_BUSY)
        unlink(server->options.pid_file);
    if (status != TIMS_OK && err)
        *err = local;
    free_server(server);
    return status;
}
