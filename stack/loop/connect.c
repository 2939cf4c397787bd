/* connect.c: connections to others, from a fiber.
 *
 * An attempt lives on the heap, because libuv may still hold it when the fiber has given up: then it is
 * abandoned and its callback frees it. Names are resolved on libuv's pool; the addresses are tried one after
 * the other within the one time limit. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "loop/loop_internal.h"

enum { HOST_BYTES_MAX = 256, PORT_BYTES_MAX = 8 };

typedef struct attempt {
    union {
        uv_getaddrinfo_t resolve;
        uv_connect_t connect;
    } request;
    tims_fiber *fiber; /* NULL: abandoned */
    bool done;
    int result;
} attempt;

typedef struct time_limit {
    tims_timer timer;
    tims_fiber *fiber;
    bool passed;
} time_limit;

static attempt *new_attempt(void)
{
    attempt *made = calloc(1, sizeof *made);
    TIMS_ASSERT(made != NULL);
    made->fiber = tims_fiber_self();
    return made;
}

static void finish_attempt(attempt *finished, int result)
{
    if (finished->fiber == NULL) {
        free(finished);
        return;
    }
    finished->done = true;
    finished->result = result;
    tims_fiber_wake(finished->fiber);
}

static void pass_limit(void *argument)
{
    time_limit *limit = argument;
    limit->passed = true;
    tims_fiber_wake(limit->fiber);
}

/* OK when the attempt is done, whatever came of it; it is then the caller's to free. Otherwise it is
 * abandoned. */
static tims_status wait_for(attempt *waited, const time_limit *limit)
{
    tims_status status = TIMS_OK;
    while (!waited->done && status == TIMS_OK)
        status = limit->passed ? TIMS_TIMEOUT : tims_fiber_suspend();
    if (waited->done)
        return TIMS_OK;
    waited->fiber = NULL;
    return status;
}

/* --- one address ------------------------------------------------------------------------------ */

static void finish_connect(uv_connect_t *request, int status)
{
    finish_attempt(request->data, status);
}

/* Finishes either kind: `result` is what starting it said. */
static tims_status complete(tims_stream *stream, attempt *started, int result, const time_limit *limit,
                            int *ret_error)
{
    *ret_error = result;
    if (result == 0) {
        tims_status status = wait_for(started, limit);
        if (status != TIMS_OK) {
            tims_stream_close(stream); /* calls finish_connect, which frees the abandoned attempt */
            return status;
        }
        *ret_error = started->result;
    }
    free(started);
    if (*ret_error == 0)
        return TIMS_OK;
    tims_stream_close(stream);
    return loop__status_from_uv(*ret_error);
}

static tims_status connect_address(tims_loop *loop, const struct sockaddr *address, const time_limit *limit,
                                   tims_stream **ret_stream, int *ret_error)
{
    tims_stream *stream = loop__stream_new(loop, false);
    attempt *started = new_attempt();
    started->request.connect.data = started;
    int result = uv_tcp_connect(&started->request.connect, &stream->uv.tcp, address, finish_connect);
    tims_status status = complete(stream, started, result, limit, ret_error);
    if (status != TIMS_OK)
        return status;
    (void)uv_tcp_nodelay(&stream->uv.tcp, 1);
    *ret_stream = stream;
    return TIMS_OK;
}

/* --- names ------------------------------------------------------------------------------------ */

static void finish_resolve(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    attempt *finished = request->data;
    if (finished->fiber == NULL && addresses != NULL)
        uv_freeaddrinfo(addresses);
    finish_attempt(finished, status);
}

static tims_status resolve(tims_loop *loop, const char *host, uint16_t port, const time_limit *limit,
                           struct addrinfo **ret_addresses, int *ret_error)
{
    char service[PORT_BYTES_MAX];
    (void)snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV };
    attempt *started = new_attempt();
    started->request.resolve.data = started;
    *ret_error = uv_getaddrinfo(&loop->uv, &started->request.resolve, finish_resolve, host, service, &hints);
    if (*ret_error == 0) {
        tims_status status = wait_for(started, limit);
        if (status != TIMS_OK) {
            (void)uv_cancel((uv_req_t *)&started->request.resolve);
            return status;
        }
        *ret_error = started->result;
        if (*ret_error == 0)
            *ret_addresses = started->request.resolve.addrinfo;
    }
    free(started);
    return loop__status_from_uv(*ret_error);
}

static tims_status connect_name(tims_loop *loop, const char *host, uint16_t port, const time_limit *limit,
                                tims_stream **ret_stream, int *ret_error)
{
    struct sockaddr_storage literal = { 0 };
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)&literal) == 0 ||
        uv_ip6_addr(host, port, (struct sockaddr_in6 *)&literal) == 0)
        return connect_address(loop, (const struct sockaddr *)&literal, limit, ret_stream, ret_error);
    struct addrinfo *addresses = NULL;
    tims_status status = resolve(loop, host, port, limit, &addresses, ret_error);
    if (status != TIMS_OK)
        return status;
    status = TIMS_UNAVAILABLE;
    for (struct addrinfo *at = addresses; at != NULL; at = at->ai_next) {
        status = connect_address(loop, at->ai_addr, limit, ret_stream, ret_error);
        /* Without an error of the network it was the fiber that was stopped. */
        if (status == TIMS_OK || *ret_error == 0)
            break;
    }
    uv_freeaddrinfo(addresses);
    return status;
}

/* --- the two calls ---------------------------------------------------------------------------- */

/* A name as a C string; false if it cannot be one. */
static bool to_c_string(tims_str text, char *ret_text, size_t size)
{
    if (text.length == 0 || text.length >= size || memchr(text.data, 0, text.length) != NULL)
        return false;
    memcpy(ret_text, text.data, text.length);
    ret_text[text.length] = '\0';
    return true;
}

static void begin_limit(tims_loop *loop, time_limit *limit, int64_t timeout_ms)
{
    *limit = (time_limit){ .fiber = tims_fiber_self() };
    TIMS_ASSERT(limit->fiber != NULL && limit->fiber->loop == loop);
    if (timeout_ms > 0)
        tims_timer_set(loop, &limit->timer, timeout_ms, pass_limit, limit);
}

static tims_status report(tims_status status, int uv_error, const char *what, tims_error *err)
{
    if (status == TIMS_OK)
        return status;
    if (status == TIMS_FORBIDDEN || status == TIMS_BUSY || status == TIMS_CLOSED)
        status = TIMS_UNAVAILABLE;
    status = tims_fail(err, status, tims_status_name(status), "Cannot connect: %s", tims_status_text(status));
    tims_error_detail(err, "connect to %s: %s", what,
                      uv_error != 0 ? uv_strerror(uv_error) : "stopped waiting");
    return status;
}

tims_status tims_connect_tcp(tims_loop *loop, tims_str host, uint16_t port, int64_t timeout_ms,
                             tims_stream **ret_stream, tims_error *err)
{
    char name[HOST_BYTES_MAX];
    if (!to_c_string(host, name, sizeof name))
        return tims_fail(err, TIMS_UNAVAILABLE, "bad_host", "There is no such host.");
    time_limit limit;
    int uv_error = 0;
    begin_limit(loop, &limit, timeout_ms);
    tims_status status = connect_name(loop, name, port, &limit, ret_stream, &uv_error);
    tims_timer_clear(&limit.timer);
    return report(status, uv_error, name, err);
}

/* Unlike TCP's, libuv's call reports only through the callback. */
tims_status tims_connect_unix(tims_loop *loop, tims_str path, int64_t timeout_ms, tims_stream **ret_stream,
                              tims_error *err)
{
    char name[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    if (!to_c_string(path, name, sizeof name))
        return tims_fail(err, TIMS_UNAVAILABLE, "bad_path", "There is no such socket.");
    time_limit limit;
    int uv_error = 0;
    begin_limit(loop, &limit, timeout_ms);
    tims_stream *stream = loop__stream_new(loop, true);
    attempt *started = new_attempt();
    started->request.connect.data = started;
    uv_pipe_connect(&started->request.connect, &stream->uv.pipe, name, finish_connect);
    tims_status status = complete(stream, started, 0, &limit, &uv_error);
    tims_timer_clear(&limit.timer);
    if (status == TIMS_OK)
        *ret_stream = stream;
    return report(status, uv_error, name, err);
}
