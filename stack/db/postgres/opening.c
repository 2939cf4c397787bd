/* opening.c: how a connection is made, on a loop without holding it up, and how one is broken off.
 *
 * libpq connects step by step but would resolve names in between, so a loop's connections are given addresses
 * (hostaddr) that a worker thread found; the name stays for TLS to check. Every connection is set up the same
 * way: by itself a statement reads only, in one state; a transaction that writes says so. */
#include "postgres_internal.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { SERVER_VERSION_MIN = 130000, OPTIONS_MAX = 64 };

/* The server's side: what a process holds that is gone without a word is free again within a minute. */
#define KEEPALIVES " -c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"

/* --- parameters ------------------------------------------------------------------------------------ */

/* What PQconnectStartParams is given. */
typedef struct parameters {
    const char *keywords[OPTIONS_MAX], *values[OPTIONS_MAX];
    int count;
    tims_buf hosts, addresses, ports; /* lists, when names had to be resolved */
    char options[1024];
} parameters;

static void set(parameters *p, const char *keyword, const char *value)
{
    int at = 0;
    while (at < p->count && strcmp(p->keywords[at], keyword) != 0)
        at++;
    TIMS_ASSERT(at < OPTIONS_MAX - 1);
    p->keywords[at] = keyword;
    p->values[at] = value;
    if (at == p->count)
        p->count++;
}

/* Behind a pooler nothing can be set for a session; each transaction says what it needs. */
static void set_options(parameters *p, const postgres__settings *settings, bool on_loop)
{
    if (!settings->prepared)
        return;
    char timeout[48] = "";
    if (settings->statement_timeout_ms > 0 && (on_loop || settings->statement_timeout_given))
        (void)snprintf(timeout, sizeof timeout, " -c statement_timeout=%lld",
                       (long long)settings->statement_timeout_ms);
    tims_str given = postgres__settings_find(settings, "options");
    (void)snprintf(p->options, sizeof p->options,
                   "-c default_transaction_isolation=repeatable\\ read -c default_transaction_read_only=on"
                   " -c TimeZone=UTC -c jit=off" KEEPALIVES "%s %.*s",
                   timeout, TIMS_PRINT(given));
    set(p, "options", p->options);
}

static void fill(parameters *p, const postgres__settings *settings, bool on_loop)
{
    set(p, "fallback_application_name", "tims");
    set(p, "gssencmode", "disable"); /* asks the network before it asks the server */
    set(p, "keepalives_idle", "15"); /* a peer that is gone without a word is noticed */
    set(p, "keepalives_interval", "5");
    set(p, "keepalives_count", "3");
    set(p, "tcp_user_timeout", "20000");
    for (const PQconninfoOption *at = settings->given; at->keyword != NULL; at++)
        if (at->val != NULL)
            set(p, at->keyword, at->val);
    set(p, "client_encoding", "UTF8");
    set_options(p, settings, on_loop);
    if (p->hosts.length > 0) {
        set(p, "host", p->hosts.data);
        set(p, "hostaddr", p->addresses.data);
        set(p, "port", p->ports.data);
    }
}

/* --- names ----------------------------------------------------------------------------------------- */

typedef struct resolution {
    const postgres__settings *settings;
    parameters *p;
    int failure; /* of getaddrinfo, when no name has an address */
} resolution;

static void add_to_list(tims_buf *list, tims_str item)
{
    if (list->length > 0)
        list->data[list->length - 1] = ',';
    tims_buf_append_str(list, item);
    tims_buf_append_char(list, 0);
}

static void add_address(parameters *p, tims_str host, tims_str address, tims_str port)
{
    add_to_list(&p->hosts, host);
    add_to_list(&p->addresses, address);
    add_to_list(&p->ports, port);
}

static void resolve_one(resolution *r, tims_str host, tims_str port)
{
    char name[256];
    (void)snprintf(name, sizeof name, "%.*s", TIMS_PRINT(host));
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(name, NULL, &hints, &found);
    if (failure != 0) {
        r->failure = failure;
        return;
    }
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        char address[NI_MAXHOST];
        if (getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST) == 0)
            add_address(r->p, host, tims_str_from(address), port);
    }
    freeaddrinfo(found);
}

/* On a worker thread. A folder or an abstract socket is no name. */
static void resolve(void *argument)
{
    resolution *r = argument;
    tims_str hosts = postgres__settings_find(r->settings, "host");
    tims_str ports = postgres__settings_find(r->settings, "port");
    bool one_port = ports.length == 0 || memchr(ports.data, ',', ports.length) == NULL;
    while (hosts.data != NULL) {
        tims_str host = tims_str_cut(&hosts, ',');
        tims_str port = one_port ? ports : tims_str_cut(&ports, ',');
        if (port.length == 0)
            port = TIMS_STR("5432");
        if (host.length == 0 || host.data[0] == '/' || host.data[0] == '@')
            add_address(r->p, host, (tims_str){ "", 0 }, port);
        else
            resolve_one(r, host, port);
    }
}

static bool needs_resolution(const postgres__settings *settings)
{
    return postgres__settings_find(settings, "hostaddr").length == 0 &&
           postgres__settings_find(settings, "host").length > 0;
}

/* --- connecting ------------------------------------------------------------------------------------ */

/* Of what libpq says, about each address in turn, what it says last; without where, which is said anyway. */
static tims_str reason_in(const char *message)
{
    tims_str rest = tims_str_from(message), reason = { "", 0 };
    while (rest.data != NULL) {
        tims_str line = tims_str_trim(tims_str_cut(&rest, '\n'));
        size_t failed = tims_str_find(line, TIMS_STR("failed: "));
        if (failed != SIZE_MAX)
            reason = tims_str_trim(tims_str_slice(line, failed + 8, line.length));
        else if (reason.length == 0)
            reason = line;
    }
    return reason;
}

static tims_status fail_connect(const postgres__connection *connection, const char *message, tims_error *err)
{
    tims_str reason = reason_in(message);
    tims_status status = tims_fail(err, TIMS_UNAVAILABLE, "database", "The database %s cannot be used: %.*s",
                                   connection->pool->store->settings.place, TIMS_PRINT(reason));
    if (err != NULL)
        err->retry_after_s = 1;
    return status;
}

static void ignore_notice(void *argument, const PGresult *result)
{
    (void)argument; /* may repeat values */
    (void)result;
}

static tims_status set_up(postgres__connection *connection, tims_error *err)
{
    PGconn *handle = connection->handle;
    const char *encoding = PQparameterStatus(handle, "server_encoding");
    if (PQserverVersion(handle) < SERVER_VERSION_MIN)
        return fail_connect(connection, "it is older than PostgreSQL 13.", err);
    if (encoding == NULL || strcmp(encoding, "UTF8") != 0)
        return fail_connect(connection, "its encoding is not UTF8.", err);
    (void)PQsetNoticeReceiver(handle, ignore_notice, NULL);
    if (PQsetnonblocking(handle, 1) != 0 || !PQenterPipelineMode(handle))
        return fail_connect(connection, PQerrorMessage(handle), err);
    connection->state = POSTGRES_READY;
    return TIMS_OK;
}

/* One wait for the socket; false: the time is up. */
typedef bool wait_fn(postgres__connection *connection, int events, int64_t limit_us);

static bool wait_blocking(postgres__connection *connection, int events, int64_t limit_us)
{
    struct pollfd wait = { PQsocket(connection->handle),
                           (short)((events & TIMS_WRITABLE) != 0 ? POLLOUT : POLLIN), 0 };
    int64_t left_ms = (limit_us - tims_monotonic_us() + 999) / 1000;
    return left_ms > 0 && poll(&wait, 1, (int)left_ms) != 0;
}

static void on_step(void *argument, int events)
{
    postgres__connection *connection = argument;
    connection->events = events;
    tims_fiber_wake(connection->opener);
}

/* The socket may be another one after each step, so it is watched anew. */
static bool wait_on_fiber(postgres__connection *connection, int events, int64_t limit_us)
{
    if (tims_poll_new(connection->pool->loop, PQsocket(connection->handle), on_step, connection,
                      &connection->poll) != TIMS_OK)
        return false;
    connection->events = 0;
    tims_poll_set(connection->poll, events);
    tims_status status = TIMS_OK;
    (void)tims_fiber_set_deadline(limit_us);
    while (connection->events == 0 && status == TIMS_OK)
        status = tims_fiber_suspend();
    (void)tims_fiber_set_deadline(0);
    tims_poll_free(&connection->poll);
    return status == TIMS_OK;
}

static tims_status connect_step_by_step(postgres__connection *connection, const parameters *p, wait_fn *wait,
                                        tims_error *err)
{
    int64_t limit_us = tims_monotonic_us() + connection->pool->store->settings.connect_timeout_ms * 1000;
    connection->handle = PQconnectStartParams(p->keywords, p->values, 0);
    TIMS_ASSERT(connection->handle != NULL);
    PostgresPollingStatusType step = PGRES_POLLING_WRITING;
    if (PQstatus(connection->handle) == CONNECTION_BAD)
        step = PGRES_POLLING_FAILED;
    while (step == PGRES_POLLING_READING || step == PGRES_POLLING_WRITING) {
        if (!wait(connection, step == PGRES_POLLING_READING ? TIMS_READABLE : TIMS_WRITABLE, limit_us))
            return fail_connect(connection, "it does not answer.", err);
        step = PQconnectPoll(connection->handle);
    }
    if (step != PGRES_POLLING_OK)
        return fail_connect(connection, PQerrorMessage(connection->handle), err);
    return set_up(connection, err);
}

static void free_parameters(parameters *p)
{
    tims_buf_free(&p->hosts);
    tims_buf_free(&p->addresses);
    tims_buf_free(&p->ports);
    free(p);
}

static parameters *new_parameters(void)
{
    enum { LIST_BYTES_MAX = 65536 };
    parameters *p = calloc(1, sizeof *p);
    TIMS_ASSERT(p != NULL);
    tims_buf_init(&p->hosts, NULL, LIST_BYTES_MAX);
    tims_buf_init(&p->addresses, NULL, LIST_BYTES_MAX);
    tims_buf_init(&p->ports, NULL, LIST_BYTES_MAX);
    return p;
}

tims_status postgres__connection_open(postgres__connection *connection, tims_error *err)
{
    parameters *p = new_parameters();
    fill(p, &connection->pool->store->settings, false);
    tims_status status = connect_step_by_step(connection, p, wait_blocking, err);
    free_parameters(p);
    return status;
}

static void on_socket(void *argument, int events)
{
    (void)events;
    postgres__connection *connection = argument;
    TIMS_CHECK_MAGIC(connection, POSTGRES_CONNECTION_MAGIC);
    postgres__connection_turn(connection);
    postgres__pool_settle(connection->pool, connection);
}

tims_status postgres__connection_open_on_fiber(postgres__connection *connection, tims_error *err)
{
    const postgres__settings *settings = &connection->pool->store->settings;
    parameters *p = new_parameters();
    tims_status status = TIMS_OK;
    if (needs_resolution(settings)) {
        resolution r = { settings, p, 0 };
        status = tims_work_run(resolve, &r);
        if (status == TIMS_OK && p->hosts.length == 0)
            status = fail_connect(connection, gai_strerror(r.failure), err);
    }
    if (status == TIMS_OK) {
        fill(p, settings, true);
        status = connect_step_by_step(connection, p, wait_on_fiber, err);
    }
    if (status == TIMS_OK)
        status = tims_poll_new(connection->pool->loop, PQsocket(connection->handle), on_socket, connection,
                               &connection->poll);
    if (status == TIMS_OK)
        tims_poll_set(connection->poll, TIMS_READABLE); /* a connection that ends says so */
    free_parameters(p);
    return status;
}

static void open_and_tell(void *argument)
{
    postgres__connection *connection = argument;
    tims_error why = { 0 };
    connection->opener = tims_fiber_self();
    tims_status status = postgres__connection_open_on_fiber(connection, &why);
    connection->opener = NULL;
    postgres__pool_opened(connection->pool, connection, status, &why);
}

void postgres__connection_start(postgres__connection *connection)
{
    static const tims_error no_fiber = { .message = "There are too many fibers." };
    if (tims_fiber_start(connection->pool->loop, open_and_tell, connection) == NULL)
        postgres__pool_opened(connection->pool, connection, TIMS_UNAVAILABLE, &no_fiber);
}

/* --- breaking off ---------------------------------------------------------------------------------- */

static void cancel_on_thread(void *argument)
{
    char message[256];
    (void)PQcancel(argument, message, sizeof message);
}

static void cancel_on_fiber(void *argument)
{
    tims_status ignored = tims_work_run(cancel_on_thread, argument);
    (void)ignored;
    PQfreeCancel(argument);
}

/* The request to cancel travels on a connection of its own. This one is closed, so that a request that comes
 * late meets nobody else's statement. */
void postgres__connection_cancel(postgres__connection *connection)
{
    PGcancel *request = PQgetCancel(connection->handle);
    if (request != NULL && tims_fiber_start(connection->pool->loop, cancel_on_fiber, request) == NULL)
        PQfreeCancel(request);
    postgres__connection_lose(connection);
}
