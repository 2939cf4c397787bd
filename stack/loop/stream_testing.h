/* stream_testing.h: a stage with both ends of a connection, and what happened to each. For tests only. */
#ifndef TIMS_LOOP_STREAM_TESTING_H
#define TIMS_LOOP_STREAM_TESTING_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fcntl.h>
#include <sys/un.h>

#include <cmocka.h>

#include "loop/loop_internal.h"

/* One end of a connection and what happened to it. */
typedef struct end {
    tims_stream *stream;
    tims_fiber *waiter;
    uint64_t received, sum;
    char first[64];
    size_t first_length;
    int ends, drains, closes;
    tims_status why;
    bool echo, pause_at_once, close_on_data, paused_data;
} end;

typedef struct stage {
    tims_loop *loop;
    tims_fiber_fn script;
    bool unix_socket;
    char path[64];
    tims_listener *listener;
    uint16_t port;
    end server, client;
    int accepted, released;
    tims_fiber *acceptor;
} stage;

TIMS_UNUSED static void wake(end *e)
{
    if (e->waiter != NULL)
        tims_fiber_wake(e->waiter);
}

TIMS_UNUSED static void take_data(void *ctx, tims_str bytes)
{
    end *e = ctx;
    e->paused_data = e->paused_data || e->stream->paused;
    for (size_t i = 0; i < bytes.length; i++)
        e->sum = e->sum * 31 + (unsigned char)bytes.data[i];
    e->received += bytes.length;
    for (size_t i = 0; i < bytes.length && e->first_length < sizeof e->first; i++)
        e->first[e->first_length++] = bytes.data[i];
    if (e->echo)
        assert_int_equal(tims_stream_write(e->stream, &bytes, 1), TIMS_OK);
    if (e->pause_at_once)
        tims_stream_pause(e->stream);
    if (e->close_on_data)
        tims_stream_close(e->stream);
    wake(e);
}

TIMS_UNUSED static void take_end(void *ctx, tims_status why)
{
    end *e = ctx;
    e->ends++;
    e->why = why;
    wake(e);
}

TIMS_UNUSED static void take_drain(void *ctx)
{
    end *e = ctx;
    e->drains++;
    wake(e);
}

TIMS_UNUSED static void take_closed(void *ctx)
{
    end *e = ctx;
    e->closes++;
    e->stream = NULL;
    wake(e);
}

static const tims_stream_events events = { take_data, take_end, take_drain, take_closed };

TIMS_UNUSED static void accept_stream(void *ctx, tims_stream *stream)
{
    stage *s = ctx;
    s->accepted++;
    s->server.stream = stream;
    tims_stream_start(stream, &events, &s->server);
    if (s->acceptor != NULL)
        tims_fiber_wake(s->acceptor);
}

/* clang-format off */
#define WAIT_UNTIL(e, condition)                             \
    do {                                                     \
        (e)->waiter = tims_fiber_self();                     \
        while (!(condition))                                 \
            assert_int_equal(tims_fiber_suspend(), TIMS_OK); \
        (e)->waiter = NULL;                                  \
    } while (0)
/* clang-format on */

TIMS_UNUSED static void connect_both(stage *s)
{
    tims_error err = { 0 };
    tims_status status =
        s->unix_socket
            ? tims_connect_unix(s->loop, tims_str_from(s->path), 5000, &s->client.stream, &err)
            : tims_connect_tcp(s->loop, TIMS_STR("127.0.0.1"), s->port, 5000, &s->client.stream, &err);
    if (status != TIMS_OK)
        fail_msg("%s / %s", err.message, err.detail);
    tims_stream_start(s->client.stream, &events, &s->client);
    s->acceptor = tims_fiber_self();
    while (s->accepted == 0)
        assert_int_equal(tims_fiber_suspend(), TIMS_OK);
    s->acceptor = NULL;
}

TIMS_UNUSED static void close_both(stage *s)
{
    if (s->client.stream != NULL)
        tims_stream_close(s->client.stream);
    if (s->server.stream != NULL)
        tims_stream_close(s->server.stream);
    WAIT_UNTIL(&s->client, s->client.closes == 1);
    WAIT_UNTIL(&s->server, s->server.closes == 1);
}

TIMS_UNUSED static void run_script(void *argument)
{
    stage *s = argument;
    (void)tims_fiber_set_deadline(tims_monotonic_us() + 30000000);
    connect_both(s);
    s->script(s);
    close_both(s);
    tims_listener_close(&s->listener);
}

TIMS_UNUSED static void begin(void *argument)
{
    stage *s = argument;
    tims_loop_stop(s->loop);
    assert_non_null(tims_fiber_start(s->loop, run_script, s));
}

TIMS_UNUSED static stage play(tims_fiber_fn script, bool unix_socket)
{
    stage s = { .script = script, .unix_socket = unix_socket };
    tims_error err = { 0 };
    assert_int_equal(tims_loop_new(NULL, &s.loop), TIMS_OK);
    (void)snprintf(s.path, sizeof s.path, "/tmp/tims-stream-test-%d", (int)getpid());
    tims_listen_options options = { .host = TIMS_STR("127.0.0.1"), .fd = -1 };
    if (unix_socket)
        options.unix_path = tims_str_from(s.path);
    assert_int_equal(tims_listen(s.loop, &options, accept_stream, &s, &s.listener, &err), TIMS_OK);
    s.port = tims_listener_port(s.listener);
    assert_true(unix_socket || s.port > 0);
    assert_true(tims_listener_fd(s.listener) > 2);
    tims_loop_post(s.loop, begin, &s);
    tims_loop_run(s.loop);
    tims_loop_free(&s.loop);
    assert_int_equal(s.client.closes, 1);
    assert_int_equal(s.server.closes, 1);
    assert_true(s.client.ends <= 1 && s.server.ends <= 1);
    if (unix_socket)
        assert_int_not_equal(access(s.path, F_OK), 0); /* the socket file goes with the listener */
    return s;
}

#endif
