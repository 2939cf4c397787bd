/* Streams, both ends in one loop: real sockets, real kernel buffers. */
#include "loop/stream_testing.h"

enum { BIG_BYTES = 8 * 1024 * 1024 };

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

/* --- ends ------------------------------------------------------------------------------------- */

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
