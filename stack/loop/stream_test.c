/* Streams, both ends in one loop: real sockets, real kernel buffers. */
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

enum { BIG_BYTES = 8 * 1024 * 1024 };

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

static void wake(end *e)
{
    if (e->waiter != NULL)
        tims_fiber_wake(e->waiter);
}

static void take_data(void *ctx, tims_str bytes)
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

static void take_end(void *ctx, tims_status why)
{
    end *e = ctx;
    e->ends++;
    e->why = why;
    wake(e);
}

static void take_drain(void *ctx)
{
    end *e = ctx;
    e->drains++;
    wake(e);
}

static void take_closed(void *ctx)
{
    end *e = ctx;
    e->closes++;
    e->stream = NULL;
    wake(e);
}

static const tims_stream_events events = { take_data, take_end, take_drain, take_closed };

static void accept_stream(void *ctx, tims_stream *stream)
{
    stage *s = ctx;
    s->accepted++;
    s->server.stream = stream;
    tims_stream_start(stream, &events, &s->server);
    if (s->acceptor != NULL)
        tims_fiber_wake(s->acceptor);
}

#define WAIT_UNTIL(e, condition)                             \
    do {                                                     \
        (e)->waiter = tims_fiber_self();                     \
        while (!(condition))                                 \
            assert_int_equal(tims_fiber_suspend(), TIMS_OK); \
        (e)->waiter = NULL;                                  \
    } while (0)

static void connect_both(stage *s)
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

static void close_both(stage *s)
{
    if (s->client.stream != NULL)
        tims_stream_close(s->client.stream);
    if (s->server.stream != NULL)
        tims_stream_close(s->server.stream);
    WAIT_UNTIL(&s->client, s->client.closes == 1);
    WAIT_UNTIL(&s->server, s->server.closes == 1);
}

static void run_script(void *argument)
{
    stage *s = argument;
    (void)tims_fiber_set_deadline(tims_monotonic_us() + 30000000);
    connect_both(s);
    s->script(s);
    close_both(s);
    tims_listener_close(&s->listener);
}

static void begin(void *argument)
{
    stage *s = argument;
    tims_loop_stop(s->loop);
    assert_non_null(tims_fiber_start(s->loop, run_script, s));
}

static stage play(tims_fiber_fn script, bool unix_socket)
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

static char *make_bytes(size_t count, uint64_t *ret_sum)
{
    char *bytes = malloc(count);
    assert_non_null(bytes);
    uint32_t random = 12345;
    *ret_sum = 0;
    for (size_t i = 0; i < count; i++) {
        random = random * 1664525u + 1013904223u;
        bytes[i] = (char)(random >> 24);
        *ret_sum = *ret_sum * 31 + (unsigned char)bytes[i];
    }
    return bytes;
}

/* --- echo ------------------------------------------------------------------------------------- */

static void say_hello(void *argument)
{
    stage *s = argument;
    s->server.echo = true;
    tims_str parts[] = { TIMS_STR("hel"), TIMS_STR(""), TIMS_STR("lo") };
    assert_int_equal(tims_stream_write(s->client.stream, parts, 3), TIMS_OK);
    assert_int_equal(tims_stream_queued(s->client.stream), 0); /* the kernel took it at once */
    WAIT_UNTIL(&s->client, s->client.received == 5);
    assert_memory_equal(s->client.first, "hello", 5);
    assert_ptr_equal(tims_stream_loop(s->client.stream), s->loop);
    tims_str peer = tims_stream_peer_address(s->server.stream);
    tims_str expected = s->unix_socket ? TIMS_STR("unix") : TIMS_STR("127.0.0.1");
    assert_true(tims_str_equal(peer, expected));
    assert_int_equal(tims_stream_wait_below(s->client.stream, 1), TIMS_OK);
}

static void bytes_come_back_over_tcp(void **state)
{
    (void)state;
    stage s = play(say_hello, false);
    assert_int_equal(s.client.drains, 0);
}

static void bytes_come_back_over_a_unix_socket(void **state)
{
    (void)state;
    (void)play(say_hello, true);
}

static void check_nodelay(void *argument)
{
    stage *s = argument;
    tims_stream *both[] = { s->server.stream, s->client.stream };
    for (size_t i = 0; i < 2; i++) {
        uv_os_fd_t fd = -1;
        int on = 0;
        socklen_t length = sizeof on;
        assert_int_equal(uv_fileno(&both[i]->uv.handle, &fd), 0);
        assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &length), 0);
        assert_int_not_equal(on, 0);
    }
}

static void small_writes_are_not_delayed(void **state)
{
    (void)state;
    (void)play(check_nodelay, false);
}

static void echo_big(void *argument)
{
    stage *s = argument;
    uint64_t sum = 0;
    char *bytes = make_bytes(BIG_BYTES, &sum);
    tims_str part = { bytes, BIG_BYTES };
    s->server.echo = true;
    assert_int_equal(tims_stream_write(s->client.stream, &part, 1), TIMS_OK);
    memset(bytes, 0, BIG_BYTES); /* the rest was copied */
    free(bytes);
    assert_true(tims_stream_queued(s->client.stream) > 0);
    assert_int_equal(tims_stream_wait_below(s->client.stream, BIG_BYTES / 2), TIMS_OK);
    assert_true(tims_stream_queued(s->client.stream) < BIG_BYTES / 2);
    WAIT_UNTIL(&s->client, s->client.received == BIG_BYTES);
    assert_int_equal(s->client.sum, sum);
    assert_int_equal(s->client.drains, 1);
}

static void megabytes_come_back_in_order_over_tcp(void **state)
{
    (void)state;
    (void)play(echo_big, false);
}

static void megabytes_come_back_in_order_over_a_unix_socket(void **state)
{
    (void)state;
    (void)play(echo_big, true);
}

/* --- backpressure ----------------------------------------------------------------------------- */

static void write_to_the_paused(void *argument)
{
    stage *s = argument;
    uint64_t sum = 0;
    char *bytes = make_bytes(BIG_BYTES, &sum);
    tims_stream_pause(s->server.stream);
    size_t at = 0;
    while (at < BIG_BYTES) { /* many small ones join into few chunks */
        tims_str part = { bytes + at, BIG_BYTES - at < 1000 ? BIG_BYTES - at : 1000 };
        assert_int_equal(tims_stream_write(s->client.stream, &part, 1), TIMS_OK);
        at += part.length;
    }
    free(bytes);
    int64_t former = tims_fiber_set_deadline(tims_monotonic_us() + 50000);
    assert_int_equal(tims_stream_wait_below(s->client.stream, 1), TIMS_TIMEOUT);
    (void)tims_fiber_set_deadline(former);
    assert_int_equal(s->server.received, 0);
    assert_true(tims_stream_queued(s->client.stream) > 0);
    tims_stream_resume(s->server.stream);
    assert_int_equal(tims_stream_wait_below(s->client.stream, 1), TIMS_OK);
    WAIT_UNTIL(&s->server, s->server.received == BIG_BYTES);
    assert_int_equal(s->server.sum, sum);
}

static void a_paused_reader_holds_back_the_writer_and_loses_nothing(void **state)
{
    (void)state;
    (void)play(write_to_the_paused, false);
    (void)play(write_to_the_paused, true);
}

static void pause_each_time(void *argument)
{
    stage *s = argument;
    uint64_t sum = 0;
    size_t total = 1024 * 1024;
    char *bytes = make_bytes(total, &sum);
    tims_str part = { bytes, total };
    s->server.pause_at_once = true;
    assert_int_equal(tims_stream_write(s->client.stream, &part, 1), TIMS_OK);
    free(bytes);
    while (s->server.received < total) {
        uint64_t before = s->server.received;
        tims_stream_resume(s->server.stream);
        WAIT_UNTIL(&s->server, s->server.received > before);
    }
    assert_false(s->server.paused_data);
    assert_int_equal(s->server.sum, sum);
}

static void no_data_comes_between_pause_and_resume(void **state)
{
    (void)state;
    (void)play(pause_each_time, false);
}

/* --- owned writes ----------------------------------------------------------------------------- */

static void count_release(void *argument)
{
    ((stage *)argument)->released++;
}

static void write_owned(void *argument)
{
    stage *s = argument;
    uint64_t sum = 0;
    char *bytes = make_bytes(BIG_BYTES, &sum);
    tims_str small = TIMS_STR("x");
    assert_int_equal(tims_stream_write_owned(s->client.stream, &small, 1, count_release, s), TIMS_OK);
    assert_int_equal(s->released, 1); /* the kernel has it */
    tims_str parts[] = { { bytes, 1000 }, { bytes + 1000, 0 }, { bytes + 1000, BIG_BYTES - 1000 } };
    assert_int_equal(tims_stream_write_owned(s->client.stream, parts, 3, count_release, s), TIMS_OK);
    assert_int_equal(s->released, 1);
    assert_int_equal(tims_stream_write(s->client.stream, &small, 1), TIMS_OK);
    assert_int_equal(tims_stream_write_owned(s->client.stream, &small, 1, count_release, s), TIMS_OK);
    assert_int_equal(s->released, 1);
    WAIT_UNTIL(&s->server, s->server.received == BIG_BYTES + 3);
    assert_int_equal(tims_stream_wait_below(s->client.stream, 1), TIMS_OK);
    assert_int_equal(s->released, 3);
    free(bytes);
}

static void an_owned_write_is_released_once_when_written(void **state)
{
    (void)state;
    assert_int_equal(play(write_owned, false).released, 3);
}

static void wait_for_nothing(void *argument)
{
    stage *s = argument;
    assert_int_equal(tims_stream_wait_below(s->client.stream, 1), TIMS_CLOSED);
    s->accepted = 77;
}

static void close_with_owned(void *argument)
{
    stage *s = argument;
    static char bytes[BIG_BYTES];
    tims_str part = { bytes, sizeof bytes };
    tims_stream_pause(s->server.stream);
    assert_int_equal(tims_stream_write_owned(s->client.stream, &part, 1, count_release, s), TIMS_OK);
    assert_int_equal(tims_stream_write_owned(s->client.stream, &part, 1, count_release, s), TIMS_OK);
    assert_non_null(tims_fiber_start(s->loop, wait_for_nothing, s));
    tims_stream_close(s->client.stream);
    assert_int_equal(tims_stream_write(s->client.stream, &part, 1), TIMS_CLOSED);
    assert_int_equal(tims_stream_write_owned(s->client.stream, &part, 1, count_release, s), TIMS_CLOSED);
    WAIT_UNTIL(&s->client, s->client.closes == 1);
    tims_stream_resume(s->server.stream);
}

static void a_close_releases_what_is_queued_and_wakes_who_waits(void **state)
{
    (void)state;
    stage s = play(close_with_owned, false);
    assert_int_equal(s.released, 3);
    assert_int_equal(s.accepted, 77);
}

/* --- ends
 * ------------------------------------------------------------------------------------------------------------
 */

static void half_close(void *argument)
{
    stage *s = argument;
    uint64_t sum = 0;
    char *bytes = make_bytes(BIG_BYTES, &sum);
    tims_str part = { bytes, BIG_BYTES };
    assert_int_equal(tims_stream_write(s->client.stream, &part, 1), TIMS_OK);
    free(bytes);
    tims_stream_shutdown(s->client.stream);
    tims_stream_shutdown(s->client.stream);
    part.length = 1;
    assert_int_equal(tims_stream_write(s->client.stream, &part, 1), TIMS_CLOSED);
    WAIT_UNTIL(&s->server, s->server.ends == 1);
    assert_int_equal(s->server.why, TIMS_CLOSED);
    assert_int_equal(s->server.received, BIG_BYTES);
    assert_int_equal(tims_stream_write(s->server.stream, &TIMS_STR("bye"), 1), TIMS_OK);
    WAIT_UNTIL(&s->client, s->client.received == 3);
}

static void a_shutdown_follows_what_is_queued_and_the_other_way_stays_open(void **state)
{
    (void)state;
    (void)play(half_close, false);
    (void)play(half_close, true);
}

static void reset_by_peer(void *argument)
{
    stage *s = argument;
    uv_os_fd_t fd = -1;
    struct linger at_once = { .l_onoff = 1 };
    static char bytes[BIG_BYTES];
    tims_str part = { bytes, sizeof bytes };
    tims_stream_pause(s->server.stream);
    assert_int_equal(tims_stream_write_owned(s->client.stream, &part, 1, count_release, s), TIMS_OK);
    assert_int_equal(uv_fileno(&s->server.stream->uv.handle, &fd), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    tims_stream_close(s->server.stream);
    assert_int_equal(tims_stream_wait_below(s->client.stream, 1), TIMS_CLOSED);
    WAIT_UNTIL(&s->client, s->client.ends == 1);
    assert_int_equal(s->client.why, TIMS_IO);
    assert_int_equal(tims_stream_write(s->client.stream, &part, 1), TIMS_CLOSED);
}

static void a_reset_ends_the_input_and_fails_the_writes(void **state)
{
    (void)state;
    assert_int_equal(play(reset_by_peer, false).released, 1);
}

static void close_inside_data(void *argument)
{
    stage *s = argument;
    s->server.close_on_data = true;
    assert_int_equal(tims_stream_write(s->client.stream, &TIMS_STR("go"), 1), TIMS_OK);
    WAIT_UNTIL(&s->client, s->client.ends == 1);
    assert_int_equal(s->client.why, TIMS_CLOSED);
}

static void a_stream_may_be_closed_by_its_own_callback(void **state)
{
    (void)state;
    assert_int_equal(play(close_inside_data, false).server.ends, 0);
}

/* --- connecting and listening ----------------------------------------------------------------- */

static void connect_in_vain(void *argument)
{
    stage *s = argument;
    tims_stream *none = NULL;
    tims_error err = { 0 };
    tims_listener *unused = NULL;
    tims_listen_options options = { .host = TIMS_STR("127.0.0.1") };
    assert_int_equal(tims_listen(s->loop, &options, accept_stream, s, &unused, &err), TIMS_OK);
    uint16_t port = tims_listener_port(unused);
    tims_listener_close(&unused);
    assert_null(unused);
    assert_int_equal(tims_connect_tcp(s->loop, TIMS_STR("127.0.0.1"), port, 1000, &none, &err),
                     TIMS_UNAVAILABLE);
    assert_int_equal(err.status, TIMS_UNAVAILABLE);
    assert_int_equal(tims_connect_unix(s->loop, TIMS_STR("/tmp/there-is-no-such-socket"), 1000, &none, &err),
                     TIMS_UNAVAILABLE);
    assert_int_equal(tims_connect_tcp(s->loop, TIMS_STR("a\0b"), 1, 1000, &none, NULL), TIMS_UNAVAILABLE);
    char path[300];
    memset(path, 'p', sizeof path);
    assert_int_equal(tims_connect_unix(s->loop, (tims_str){ path, sizeof path }, 1000, &none, NULL),
                     TIMS_UNAVAILABLE);
    assert_int_equal(tims_connect_tcp(s->loop, TIMS_STR("name.invalid"), 1, 5000, &none, NULL),
                     TIMS_UNAVAILABLE);
    assert_null(none);
    tims_fiber_cancel(tims_fiber_self());
    assert_int_equal(tims_connect_tcp(s->loop, TIMS_STR("127.0.0.1"), s->port, 1000, &none, NULL),
                     TIMS_CANCELLED);
    assert_int_equal(tims_connect_tcp(s->loop, TIMS_STR("localhost"), s->port, 1000, &none, NULL),
                     TIMS_CANCELLED);
    assert_null(none);
    (void)tims_fiber_shield(true); /* for the closing scene */
}

static void a_connection_that_cannot_be_made_says_why(void **state)
{
    (void)state;
    (void)play(connect_in_vain, false);
}

static void connect_by_name(void *argument)
{
    stage *s = argument;
    tims_stream *second = NULL;
    tims_error err = { 0 };
    end first = s->server; /* the next accept takes its place */
    tims_stream_set_events(first.stream, &events, &first);
    if (tims_connect_tcp(s->loop, TIMS_STR("localhost"), s->port, 5000, &second, &err) != TIMS_OK)
        fail_msg("%s %s", err.message, err.detail);
    end other = { .stream = second };
    tims_stream_start(second, &events, &other);
    s->acceptor = tims_fiber_self();
    while (s->accepted < 2)
        assert_int_equal(tims_fiber_suspend(), TIMS_OK);
    s->acceptor = NULL;
    tims_stream_close(second);
    tims_stream_close(first.stream);
    WAIT_UNTIL(&other, other.closes == 1);
    WAIT_UNTIL(&first, first.closes == 1);
}

static void names_are_resolved(void **state)
{
    (void)state;
    (void)play(connect_by_name, false);
}

static void ignore_stream(void *ctx, tims_stream *stream)
{
    (void)ctx;
    tims_stream_close(stream);
}

static void listening_twice_is_refused_unless_the_port_is_shared(void **state)
{
    (void)state;
    tims_loop *loop = NULL;
    tims_listener *first = NULL;
    tims_listener *second = NULL;
    tims_error err = { 0 };
    assert_int_equal(tims_loop_new(NULL, &loop), TIMS_OK);
    tims_listen_options options = { .host = TIMS_STR("127.0.0.1") };
    assert_int_equal(tims_listen(loop, &options, ignore_stream, NULL, &first, &err), TIMS_OK);
    options.port = tims_listener_port(first);
    assert_int_equal(tims_listen(loop, &options, ignore_stream, NULL, &second, &err), TIMS_BUSY);
    assert_null(second);
    tims_listener_close(&first);
    options.port = 0;
    options.reuse_port = true;
    assert_int_equal(tims_listen(loop, &options, ignore_stream, NULL, &first, &err), TIMS_OK);
    options.port = tims_listener_port(first);
    assert_int_equal(tims_listen(loop, &options, ignore_stream, NULL, &second, &err), TIMS_OK);
    tims_listener_close(&first);
    tims_listener_close(&second);
    options = (tims_listen_options){ .host = TIMS_STR("not an address") };
    assert_int_not_equal(tims_listen(loop, &options, ignore_stream, NULL, &second, &err), TIMS_OK);
    assert_null(second);
    options = (tims_listen_options){ 0 }; /* every address, both families */
    assert_int_equal(tims_listen(loop, &options, ignore_stream, NULL, &second, &err), TIMS_OK);
    int fd = dup(tims_listener_fd(second));
    assert_true(fd > 0);
    tims_listener *inherited = NULL;
    uint16_t port = tims_listener_port(second);
    options.fd = fd;
    assert_int_equal(tims_listen(loop, &options, ignore_stream, NULL, &inherited, &err), TIMS_OK);
    assert_int_equal(tims_listener_port(inherited), port);
    tims_listener_close(&inherited);
    tims_listener_close(&second);
    tims_loop_stop(loop);
    tims_loop_run(loop);
    tims_loop_free(&loop);
}

static void a_socket_file_in_use_is_kept_and_a_stale_one_replaced(void **state)
{
    (void)state;
    tims_loop *loop = NULL;
    tims_listener *first = NULL;
    tims_listener *second = NULL;
    tims_error err = { 0 };
    char path[64];
    (void)snprintf(path, sizeof path, "/tmp/tims-stale-test-%d", (int)getpid());
    assert_int_equal(tims_loop_new(NULL, &loop), TIMS_OK);
    tims_listen_options options = { .unix_path = tims_str_from(path) };
    assert_int_equal(tims_listen(loop, &options, ignore_stream, NULL, &first, &err), TIMS_OK);
    assert_int_equal(tims_listen(loop, &options, ignore_stream, NULL, &second, &err), TIMS_BUSY);
    assert_int_equal(access(path, F_OK), 0);
    tims_listener_close(&first);
    tims_loop_stop(loop);
    tims_loop_run(loop);
    assert_int_not_equal(access(path, F_OK), 0);
    /* A socket whose process died: bound, then closed without unlinking. */
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    (void)close(fd);
    assert_int_equal(tims_listen(loop, &options, ignore_stream, NULL, &first, &err), TIMS_OK);
    tims_listener_close(&first);
    /* A file of another kind is not ours to remove. */
    tims_loop_stop(loop);
    tims_loop_run(loop);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(tims_listen(loop, &options, ignore_stream, NULL, &first, &err), TIMS_BUSY);
    assert_int_equal(unlink(path), 0);
    char too_long[200];
    memset(too_long, 'p', sizeof too_long);
    options.unix_path = (tims_str){ too_long, sizeof too_long };
    assert_int_not_equal(tims_listen(loop, &options, ignore_stream, NULL, &first, &err), TIMS_OK);
    tims_loop_stop(loop);
    tims_loop_run(loop);
    tims_loop_free(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_back_over_tcp),
        cmocka_unit_test(bytes_come_back_over_a_unix_socket),
        cmocka_unit_test(small_writes_are_not_delayed),
        cmocka_unit_test(megabytes_come_back_in_order_over_tcp),
        cmocka_unit_test(megabytes_come_back_in_order_over_a_unix_socket),
        cmocka_unit_test(a_paused_reader_holds_back_the_writer_and_loses_nothing),
        cmocka_unit_test(no_data_comes_between_pause_and_resume),
        cmocka_unit_test(an_owned_write_is_released_once_when_written),
        cmocka_unit_test(a_close_releases_what_is_queued_and_wakes_who_waits),
        cmocka_unit_test(a_shutdown_follows_what_is_queued_and_the_other_way_stays_open),
        cmocka_unit_test(a_reset_ends_the_input_and_fails_the_writes),
        cmocka_unit_test(a_stream_may_be_closed_by_its_own_callback),
        cmocka_unit_test(a_connection_that_cannot_be_made_says_why),
        cmocka_unit_test(names_are_resolved),
        cmocka_unit_test(listening_twice_is_refused_unless_the_port_is_shared),
        cmocka_unit_test(a_socket_file_in_use_is_kept_and_a_stale_one_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
