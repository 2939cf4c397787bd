/* connect_test: connecting and listening, and why they fail. */
#include "loop/stream_testing.h"

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
        cmocka_unit_test(a_connection_that_cannot_be_made_says_why),
        cmocka_unit_test(names_are_resolved),
        cmocka_unit_test(listening_twice_is_refused_unless_the_port_is_shared),
        cmocka_unit_test(a_socket_file_in_use_is_kept_and_a_stale_one_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
