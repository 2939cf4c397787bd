/* poll_test: a socket that somebody else reads and writes. */
#include "base/testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tims/loop.h"

typedef struct stage {
    tims_loop *loop;
    int ends[2];
    tims_poll *poll;
    int calls, seen;
} stage;

static void note(void *argument, int events)
{
    stage *s = argument;
    s->calls++;
    s->seen |= events;
    tims_poll_free(&s->poll); /* from inside the call */
    tims_loop_stop(s->loop);
}

static void start(stage *s, int events)
{
    assert_int_equal(tims_loop_new(&(tims_loop_options){ 0 }, &s->loop), TIMS_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s->ends), 0);
    assert_int_equal(tims_poll_new(s->loop, s->ends[0], note, s, &s->poll), TIMS_OK);
    tims_poll_set(s->poll, events);
}

static void finish(stage *s)
{
    tims_poll_free(&s->poll);
    tims_loop_free(&s->loop);
    close(s->ends[0]);
    close(s->ends[1]);
}

static void test_readable(void **state)
{
    (void)state;
    stage s = { 0 };
    start(&s, TIMS_READABLE);
    assert_int_equal(write(s.ends[1], "x", 1), 1);
    tims_loop_run(s.loop);
    assert_int_equal(s.calls, 1);
    assert_int_equal(s.seen, TIMS_READABLE);
    finish(&s);
}

static void test_writable(void **state)
{
    (void)state;
    stage s = { 0 };
    start(&s, TIMS_READABLE | TIMS_WRITABLE);
    tims_loop_run(s.loop);
    assert_int_equal(s.seen, TIMS_WRITABLE);
    finish(&s);
}

static void test_the_other_end_is_gone(void **state)
{
    (void)state;
    stage s = { 0 };
    start(&s, TIMS_READABLE);
    close(s.ends[1]);
    tims_loop_run(s.loop);
    assert_true((s.seen & TIMS_READABLE) != 0);
    s.ends[1] = dup(s.ends[0]);
    finish(&s);
}

static void stop(void *argument)
{
    tims_loop_stop(argument);
}

static void test_what_is_not_waited_for_is_not_told(void **state)
{
    (void)state;
    stage s = { 0 };
    start(&s, TIMS_WRITABLE);
    tims_poll_set(s.poll, 0);
    assert_int_equal(write(s.ends[1], "x", 1), 1);
    tims_loop_post(s.loop, stop, s.loop);
    tims_loop_run(s.loop); /* and an open one keeps no loop */
    assert_int_equal(s.calls, 0);
    finish(&s);
}

/* --- a reset connection ------------------------------------------------------------------------------ */

/* One byte a call, as a library may read, until there is an end. */
static void read_one(void *argument, int events)
{
    stage *s = argument;
    char byte;
    s->calls++;
    s->seen |= events;
    if (read(s->ends[0], &byte, 1) == 1)
        return;
    tims_poll_free(&s->poll);
    tims_loop_stop(s->loop);
}

/* Both ends of a TCP connection. */
static void connect_ends(int ends[2])
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &length), 0);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(ends[0], (struct sockaddr *)&address, length), 0);
    ends[1] = accept(listening, NULL, NULL);
    assert_true(ends[1] >= 0);
    close(listening);
}

static void test_what_came_before_a_reset_is_read_to_its_end(void **state)
{
    (void)state;
    stage s = { 0 };
    connect_ends(s.ends);
    assert_int_equal(tims_loop_new(&(tims_loop_options){ 0 }, &s.loop), TIMS_OK);
    assert_int_equal(write(s.ends[1], "abc", 3), 3);
    struct linger at_once = { .l_onoff = 1 };
    assert_int_equal(setsockopt(s.ends[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(s.ends[1]);
    assert_int_equal(tims_poll_new(s.loop, s.ends[0], read_one, &s, &s.poll), TIMS_OK);
    tims_poll_set(s.poll, TIMS_READABLE);
    tims_loop_run(s.loop);
    assert_true(s.calls >= 1);
    assert_null(s.poll);
    s.ends[1] = dup(s.ends[0]);
    finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_readable), cmocka_unit_test(test_writable),
                                        cmocka_unit_test(test_the_other_end_is_gone),
                                        cmocka_unit_test(test_what_is_not_waited_for_is_not_told),
                                        cmocka_unit_test(test_what_came_before_a_reset_is_read_to_its_end) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
