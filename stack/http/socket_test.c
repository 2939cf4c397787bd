/* socket_test.c: websockets on a real server: the handshake, messages, bounds, endings. */
#include "http/socket_testing.h"

static atomic_int opened, closed, close_code, drained;
static _Atomic(tims_socket *) last_socket;
static _Atomic(tims_frame *) shared;

enum { PAUSED_MS = 500, PING_MS = 100, FLOOD_MESSAGES = 12 * 1000 };

/* A pause as long as several pings take. */
static tims_timer pause_timer;
static atomic_int received, received_before_resume;

static void end_pause(void *argument)
{
    atomic_store(&received_before_resume, atomic_load(&received));
    tims_socket_resume(argument);
}

static void on_message(tims_socket *socket, void *ctx, tims_str message, bool is_binary)
{
    (void)ctx;
    (void)is_binary;
    atomic_fetch_add(&received, 1);
    if (tims_str_equal(message, TIMS_STR("flood"))) {
        char *block = calloc(1, 100000);
        for (int i = 0; i < 200; i++)
            tims_socket_send(socket, (tims_str){ block, 100000 });
        free(block);
    } else if (tims_str_equal(message, TIMS_STR("bye"))) {
        tims_socket_close(socket, 4001, TIMS_STR("as you wish"));
        tims_socket_send(socket, TIMS_STR("never sent"));
    } else if (tims_str_equal(message, TIMS_STR("pause"))) {
        tims_socket_pause(socket);
        tims_timer_set(tims_socket_loop(socket), &pause_timer, PAUSED_MS, end_pause, socket);
        tims_socket_send(socket, message);
    } else if (tims_str_equal(message, TIMS_STR("shared"))) {
        for (int i = 0; i < 100; i++)
            tims_socket_send_frame(socket, atomic_load(&shared));
    } else {
        tims_socket_send(socket, message);
    }
}

static void on_drain(tims_socket *socket, void *ctx)
{
    (void)socket;
    (void)ctx;
    atomic_fetch_add(&drained, 1);
}

static void on_close(tims_socket *socket, void *ctx, int code)
{
    (void)socket;
    assert_ptr_equal(ctx, &opened);
    atomic_store(&close_code, code);
    atomic_fetch_add(&closed, 1);
}

static const tims_socket_events events = { on_message, on_drain, on_close };
static const tims_socket_options options = { .message_bytes_max = 1000,
                                             .queue_bytes_max = 1000000,
                                             .check_origin = true };
static const tims_socket_options impatient = { .message_bytes_max = 1000,
                                               .queue_bytes_max = 64 << 20,
                                               .ping_ms = PING_MS };

static tims_answer open_socket(tims_request *rq)
{
    tims_socket *socket = NULL;
    bool hurry = rq->route->data && strcmp(rq->route->data, "impatient") == 0;
    tims_answer answer = tims_answer_websocket(rq, &events, &opened, hurry ? &impatient : &options, &socket);
    atomic_store(&last_socket, socket);
    tims_socket_send(socket, TIMS_STR("welcome"));
    atomic_fetch_add(&opened, 1);
    if (rq->route->data && !hurry) {
        (void)!tims_sleep_ms(100);
        if (tims_query_get(rq, TIMS_STR("fail")).data)
            tims_raise(rq, 500, "broken", "It breaks after the upgrade.");
    }
    return answer;
}

static const tims_route routes[] = {
    { .methods = TIMS_METHOD_GET, .pattern = "/live", .handler = open_socket },
    { .methods = TIMS_METHOD_GET, .pattern = "/slow", .handler = open_socket, .data = "slow" },
    { .methods = TIMS_METHOD_GET, .pattern = "/impatient", .handler = open_socket, .data = "impatient" },
};

static int set_up(void **state)
{
    static test_server t;
    atomic_store(&opened, 0);
    atomic_store(&closed, 0);
    atomic_store(&close_code, 0);
    atomic_store(&drained, 0);
    atomic_store(&shared, tims_frame_new(TIMS_STR("one for all")));
    atomic_store(&received, 0);
    atomic_store(&received_before_resume, 0);
    test_prepare(&t, routes, sizeof(routes) / sizeof(routes[0]));
    test_start(&t);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    test_stop(*state);
    tims_frame *frame = atomic_load(&shared);
    tims_frame_unref(&frame);
    return 0;
}

static int open_client(const test_server *t, const char *handshake)
{
    int fd = test_upgrade(t, handshake, NULL, 0);
    char payload[64];
    assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 1);
    assert_string_equal(payload, "welcome");
    return fd;
}

static void messages_are_echoed_and_pings_answered(void **state)
{
    int fd = open_client(*state, TEST_HANDSHAKE("/live", ""));
    char payload[2000];
    test_send_text(fd, "hello");
    assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 1);
    assert_string_equal(payload, "hello");
    test_send_frame(fd, 0x89, "ping", 4);
    assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 10);
    assert_string_equal(payload, "ping");
    test_send_frame(fd, 0x01, "in ", 3); /* fragments */
    test_send_frame(fd, 0x00, "three ", 6);
    test_send_frame(fd, 0x80, "parts", 5);
    assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 1);
    assert_string_equal(payload, "in three parts");
    test_send_text(fd, "shared");
    for (int i = 0; i < 100; i++) {
        assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 1);
        assert_string_equal(payload, "one for all");
    }
    close(fd);
    assert_true(test_wait_for(&closed, 1));
    assert_int_equal(atomic_load(&close_code), 1006);
    assert_true(atomic_load(&drained) > 0);
}

static void a_close_is_answered_and_reported_once(void **state)
{
    int fd = open_client(*state, TEST_HANDSHAKE("/live", ""));
    char payload[64];
    test_send_frame(fd, 0x88, "\x0f\xa2why", 5); /* 4002 */
    assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 8);
    assert_memory_equal(payload, "\x0f\xa2", 2);
    assert_true(test_is_closed(fd));
    assert_true(test_wait_for(&closed, 1));
    assert_int_equal(atomic_load(&close_code), 4002);
    close(fd);
}

static void the_server_closes_with_its_code(void **state)
{
    int fd = open_client(*state, TEST_HANDSHAKE("/live", ""));
    char payload[64];
    test_send_text(fd, "bye");
    assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 8);
    assert_memory_equal(payload,
                        "\x0f\xa1"
                        "as you wish",
                        13);
    test_send_frame(fd, 0x88, "\x0f\xa1", 2);
    assert_true(test_is_closed(fd));
    assert_true(test_wait_for(&closed, 1));
    close(fd);
}

static void what_breaks_the_protocol_is_closed_with_the_reason(void **state)
{
    static const struct {
        int first_byte;
        size_t length;
        const char *code;
    } rows[] = {
        { 0xC1, 3, "\x03\xea" },    /* reserved bit: 1002 */
        { 0x83, 3, "\x03\xea" },    /* unknown opcode */
        { 0x81, 1001, "\x03\xf1" }, /* too big: 1009 */
        { 0x80, 3, "\x03\xea" },    /* continues nothing */
    };
    char zeros[1100];
    memset(zeros, 'a', sizeof(zeros));
    for (int i = 0; i < 4; i++) {
        int fd = open_client(*state, TEST_HANDSHAKE("/live", ""));
        char payload[200];
        test_send_frame(fd, rows[i].first_byte, zeros, rows[i].length);
        assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 8);
        assert_memory_equal(payload, rows[i].code, 2);
        assert_true(test_is_closed(fd));
        close(fd);
        assert_true(test_wait_for(&closed, i + 1));
    }
}

static void a_socket_that_does_not_read_is_dropped(void **state)
{
    int fd = open_client(*state, TEST_HANDSHAKE("/live", ""));
    test_send_text(fd, "flood");
    assert_true(test_wait_for(&closed, 1));
    assert_int_equal(atomic_load(&close_code), 1013);
    close(fd);
}

static void a_paused_socket_reads_no_further_and_is_not_taken_for_dead(void **state)
{
    int fd = open_client(*state, TEST_HANDSHAKE("/impatient", ""));
    char payload[64];
    test_send_text(fd, "pause");
    assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 1);
    for (int i = 0; i < FLOOD_MESSAGES; i++)
        test_send_text(fd, "hello");
    for (int i = 0; i < FLOOD_MESSAGES;) {
        int opcode = test_read_frame(fd, payload, sizeof(payload));
        assert_true(opcode == 1 || opcode == 9);
        if (opcode == 1 && i++ % 100 == 0)
            test_send_frame(fd, 0x8a, "", 0);
    }
    assert_int_equal(atomic_load(&received_before_resume), 1);
    close(fd);
    assert_true(test_wait_for(&closed, 1));
}

static void close_last(void *argument)
{
    tims_timer_clear(&pause_timer);
    tims_socket_close(argument, 4001, TIMS_STR(""));
}

static void a_close_is_answered_in_spite_of_a_pause(void **state)
{
    int fd = open_client(*state, TEST_HANDSHAKE("/live", ""));
    char payload[64];
    test_send_text(fd, "pause");
    assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 1);
    tims_socket *socket = atomic_load(&last_socket);
    tims_loop_post(tims_socket_loop(socket), close_last, socket);
    assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 8);
    test_send_frame(fd, 0x88, "\x0f\xa1", 2);
    assert_true(test_is_closed(fd));
    assert_true(test_wait_for(&closed, 1));
    assert_int_equal(atomic_load(&close_code), 4001);
    close(fd);
}

static void what_is_no_handshake_is_refused(void **state)
{
    static const struct {
        const char *request;
        int status;
    } rows[] = {
        { "GET /live HTTP/1.1\r\nHost: test\r\n\r\n", 426 },
        { "GET /live HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: "
          "Upgrade\r\nSec-WebSocket-Version: 8\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
          426 },
        { "GET /live HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: "
          "Upgrade\r\nSec-WebSocket-Version: 13\r\n"
          "Sec-WebSocket-Key: short\r\n\r\n",
          400 },
        { TEST_HANDSHAKE("/live", "Origin: https://evil.example\r\n"), 403 },
    };
    for (size_t i = 0; i < 4; i++) {
        test_answer answer = test_ask(*state, rows[i].request);
        assert_int_equal(answer.status, rows[i].status);
        test_answer_free(&answer);
    }
    assert_int_equal(atomic_load(&opened), 0);
    int fd = open_client(*state, TEST_HANDSHAKE("/live", "Origin: http://test\r\n"));
    close(fd);
    assert_true(test_wait_for(&closed, 1));
}

static void messages_wait_until_the_handler_has_returned(void **state)
{
    int fd = open_client(*state, TEST_HANDSHAKE("/slow", ""));
    char payload[64];
    test_send_text(fd, "early");
    assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 1);
    assert_string_equal(payload, "early");
    close(fd);
    assert_true(test_wait_for(&closed, 1));
}

static void a_handler_that_fails_behind_its_upgrade_closes_the_socket(void **state)
{
    int fd = open_client(*state, TEST_HANDSHAKE("/slow?fail=1", ""));
    char payload[64];
    assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 8);
    assert_memory_equal(payload, "\x03\xf3", 2); /* 1011 */
    close(fd);
    assert_true(test_wait_for(&closed, 1));
}

static void a_client_gone_during_the_handler_is_reported_after_it(void **state)
{
    int fd = open_client(*state, TEST_HANDSHAKE("/slow", ""));
    close(fd);
    assert_true(test_wait_for(&closed, 1));
    assert_int_equal(atomic_load(&close_code), 1006);
}

static void a_draining_server_says_that_it_goes_away(void **state)
{
    (void)state;
    test_server t;
    test_prepare(&t, routes, sizeof(routes) / sizeof(routes[0]));
    test_start(&t);
    int fd = open_client(&t, TEST_HANDSHAKE("/live", ""));
    tims_server_stop(t.server);
    char payload[64];
    assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 8);
    assert_memory_equal(payload, "\x03\xe9", 2); /* 1001 */
    test_send_frame(fd, 0x88, "\x03\xe9", 2);
    assert_true(test_is_closed(fd));
    close(fd);
    test_join(&t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, 2);
    const struct CMUnitTest tests[] = {
        TEST(messages_are_echoed_and_pings_answered),
        TEST(a_close_is_answered_and_reported_once),
        TEST(the_server_closes_with_its_code),
        TEST(what_breaks_the_protocol_is_closed_with_the_reason),
        TEST(a_socket_that_does_not_read_is_dropped),
        TEST(a_paused_socket_reads_no_further_and_is_not_taken_for_dead),
        TEST(a_close_is_answered_in_spite_of_a_pause),
        TEST(what_is_no_handshake_is_refused),
        TEST(messages_wait_until_the_handler_has_returned),
        TEST(a_handler_that_fails_behind_its_upgrade_closes_the_socket),
        TEST(a_client_gone_during_the_handler_is_reported_after_it),
        cmocka_unit_test(a_draining_server_says_that_it_goes_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
