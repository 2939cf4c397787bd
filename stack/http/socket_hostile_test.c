/* socket_hostile_test.c: what a websocket client must not do, the close code that answers it (RFC
 * 6455, 7.4.1), and that another client goes on being served all the while. */
#include "http/socket_testing.h"

enum { MESSAGE_MAX = 1000 };

static atomic_int closed, close_code;

static void on_message(tims_socket *socket, void *ctx, tims_str message, bool is_binary)
{
    (void)ctx;
    (void)is_binary;
    tims_socket_send(socket, message);
}

static void on_close(tims_socket *socket, void *ctx, int code)
{
    (void)socket;
    (void)ctx;
    atomic_store(&close_code, code);
    atomic_fetch_add(&closed, 1);
}

static const tims_socket_events events = { .on_message = on_message, .on_close = on_close };

static tims_answer open_socket(tims_request *rq)
{
    static const tims_socket_options options = { .message_bytes_max = MESSAGE_MAX,
                                                 .queue_bytes_max = 100000 };
    return tims_answer_websocket(rq, &events, NULL, &options, NULL);
}

static const tims_route routes[] = {
    { .methods = TIMS_METHOD_GET, .pattern = "/live", .handler = open_socket },
};

static int set_up(void **state)
{
    static test_server t;
    atomic_store(&closed, 0);
    atomic_store(&close_code, 0);
    test_prepare(&t, routes, 1);
    test_start(&t);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    test_stop(*state);
    return 0;
}

static int open_client(void **state)
{
    return test_upgrade(*state, TEST_HANDSHAKE("/live", ""), NULL, 0);
}

static void expect_served(int fd)
{
    char payload[100];
    test_send_text(fd, "still there?");
    assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 1);
    assert_string_equal(payload, "still there?");
}

/* Masked with zeros, so that the payload can be read in the table. */
#define M "\0\0\0\0"
#define BYTES(text) text, sizeof(text) - 1
#define A_100 \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A_500 A_100 A_100 A_100 A_100 A_100

static const struct {
    const char *what;
    const char *bytes;
    size_t length;
    int code;
} rows[] = {
    { "a frame without a mask", BYTES("\x81\x02hi"), 1002 },
    { "reserved bit 1", BYTES("\xc1\x80" M), 1002 },
    { "reserved bit 2", BYTES("\xa1\x80" M), 1002 },
    { "reserved bit 3", BYTES("\x91\x80" M), 1002 },
    { "all reserved bits", BYTES("\xf1\x80" M), 1002 },
    { "data opcode 3", BYTES("\x83\x80" M), 1002 },
    { "data opcode 7", BYTES("\x87\x80" M), 1002 },
    { "control opcode 11", BYTES("\x8b\x80" M), 1002 },
    { "control opcode 15", BYTES("\x8f\x80" M), 1002 },
    { "a continuation of nothing", BYTES("\x80\x80" M), 1002 },
    { "a fragment of nothing", BYTES("\x00\x80" M), 1002 },
    { "a text within a fragmented text", BYTES("\x01\x80" M "\x81\x80" M), 1002 },
    { "a binary within a fragmented text", BYTES("\x01\x80" M "\x82\x80" M), 1002 },
    { "a ping of 126 bytes", BYTES("\x89\xfe\x00\x7e" M A_100), 1002 },
    { "a close of 126 bytes", BYTES("\x88\xfe\x00\x7e" M A_100), 1002 },
    { "a fragmented ping", BYTES("\x09\x80" M), 1002 },
    { "a fragmented pong", BYTES("\x0a\x80" M), 1002 },
    { "a fragmented close", BYTES("\x08\x80" M), 1002 },
    { "a length that is not the shortest", BYTES("\x81\xfe\x00\x05" M "hello"), 1002 },
    { "a length of 63 bits and one more", BYTES("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff" M), 1002 },
    { "a frame of one byte too many", BYTES("\x81\xfe\x03\xe9" M), 1009 },
    { "a frame that claims an exabyte", BYTES("\x82\xff\x0f\0\0\0\0\0\0\0" M), 1009 },
    { "a message too large in its fragments",
      BYTES("\x01\xfe\x01\xf4" M A_500 "\x00\xfe\x01\xf4" M A_500 "\x80\x81" M "a"), 1009 },
    { "bytes that are not UTF-8", BYTES("\x81\x82" M "\xc3\x28"), 1007 },
    { "a character cut off", BYTES("\x81\x82" M "\xe2\x82"), 1007 },
    { "a surrogate", BYTES("\x81\x83" M "\xed\xa0\x80"), 1007 },
    { "an overlong slash", BYTES("\x81\x82" M "\xc0\xaf"), 1007 },
    { "a character beyond the last", BYTES("\x81\x84" M "\xf4\x90\x80\x80"), 1007 },
    { "not UTF-8 across fragments", BYTES("\x01\x81" M "\xc3\x00\x80" M "\x80\x81" M "\x28"), 1007 },
    { "a close of one byte", BYTES("\x88\x81" M "\x03"), 1002 },
    { "close code 0", BYTES("\x88\x82" M "\x00\x00"), 1002 },
    { "close code 999", BYTES("\x88\x82" M "\x03\xe7"), 1002 },
    { "close code 1004", BYTES("\x88\x82" M "\x03\xec"), 1002 },
    { "close code 1005", BYTES("\x88\x82" M "\x03\xed"), 1002 },
    { "close code 1006", BYTES("\x88\x82" M "\x03\xee"), 1002 },
    { "close code 1015", BYTES("\x88\x82" M "\x03\xf7"), 1002 },
    { "close code 1016", BYTES("\x88\x82" M "\x03\xf8"), 1002 },
    { "close code 2999", BYTES("\x88\x82" M "\x0b\xb7"), 1002 },
    { "close code 5000", BYTES("\x88\x82" M "\x13\x88"), 1002 },
    { "a reason that is not UTF-8", BYTES("\x88\x83" M "\x03\xe8\xff"), 1007 },
};

static void expect_closed_with(int fd, const char *what, int code)
{
    char payload[200];
    int opcode = test_read_frame(fd, payload, sizeof(payload));
    int got = (uint8_t)payload[0] << 8 | (uint8_t)payload[1];
    if (opcode != 8 || got != code)
        fail_msg("%s: opcode %d, code %d instead of %d", what, opcode, got, code);
    assert_true(test_is_closed(fd));
}

static void every_violation_is_closed_with_its_code_and_others_are_served(void **state)
{
    int witness = open_client(state);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = open_client(state);
        test_send_bytes(fd, rows[i].bytes, rows[i].length);
        expect_closed_with(fd, rows[i].what, rows[i].code);
        close(fd);
        assert_true(test_wait_for(&closed, (int)i + 1));
        assert_int_equal(atomic_load(&close_code), rows[i].code);
        expect_served(witness);
    }
    close(witness);
}

static void the_same_byte_by_byte(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i += 3) {
        int fd = open_client(state);
        for (size_t at = 0; at < rows[i].length; at++)
            test_send_bytes(fd, rows[i].bytes + at, 1);
        expect_closed_with(fd, rows[i].what, rows[i].code);
        close(fd);
    }
}

static void what_was_sent_in_front_of_a_violation_is_delivered(void **state)
{
    int fd = open_client(state);
    char payload[200];
    test_send_bytes(fd, BYTES("\x81\x82" M "ok\x83\x80" M));
    assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 1);
    assert_string_equal(payload, "ok");
    expect_closed_with(fd, "an unknown opcode behind a text", 1002);
    close(fd);
}

static void send_pings(int fd, int count)
{
    enum { AT_ONCE = 1000, PING_BYTES = 6 };
    char block[AT_ONCE * PING_BYTES];
    for (int i = 0; i < AT_ONCE; i++)
        memcpy(block + i * PING_BYTES, "\x89\x80" M, PING_BYTES);
    for (int i = 0; i < count; i += AT_ONCE)
        test_send_bytes(fd, block, sizeof(block));
}

/* Pings get one pong for as many as came together, so a flood is no way to fill the server's memory. */
static void a_flood_of_pings_is_answered_with_few_pongs_and_fills_no_queue(void **state)
{
    int witness = open_client(state), fd = open_client(state), count = 0, opcode;
    char payload[200];
    send_pings(fd, 200000);
    expect_served(witness);
    test_send_bytes(fd, BYTES("\x89\x84" M "last\x88\x82" M "\x03\xe8"));
    char last[200] = "";
    while ((opcode = test_read_frame(fd, payload, sizeof(payload))) == 10) {
        memcpy(last, payload, sizeof(last));
        count++;
    }
    assert_int_equal(opcode, 8);
    assert_memory_equal(payload, "\x03\xe8", 2);
    assert_string_equal(last, "last");
    assert_in_range(count, 1, 20000);
    expect_served(witness);
    close(fd);
    close(witness);
}

/* A client that makes the server write and never reads is dropped at the bound, and nothing else happens. */
static void who_asks_for_answers_and_reads_none_is_dropped(void **state)
{
    int witness = open_client(state), fd = open_client(state);
    char text[MESSAGE_MAX];
    memset(text, 'x', sizeof(text));
    for (int i = 0; i < 20000 && atomic_load(&closed) == 0; i++)
        test_send_frame(fd, 0x81, text, sizeof(text));
    assert_true(test_wait_for(&closed, 1));
    assert_int_equal(atomic_load(&close_code), 1013);
    expect_served(witness);
    close(fd);
    close(witness);
}

static void fragments_without_an_end_take_no_more_than_a_message(void **state)
{
    int witness = open_client(state), fd = open_client(state);
    test_send_frame(fd, 0x01, "", 0);
    for (int i = 0; i < 10000; i++)
        test_send_frame(fd, 0x00, "", 0);
    expect_served(witness);
    for (int i = 0; i < MESSAGE_MAX + 1; i++)
        test_send_frame(fd, 0x00, "a", 1);
    expect_closed_with(fd, "fragments of one byte", 1009);
    expect_served(witness);
    close(fd);
    close(witness);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, 2);
    const struct CMUnitTest tests[] = {
        TEST(every_violation_is_closed_with_its_code_and_others_are_served),
        TEST(the_same_byte_by_byte),
        TEST(what_was_sent_in_front_of_a_violation_is_delivered),
        TEST(a_flood_of_pings_is_answered_with_few_pongs_and_fills_no_queue),
        TEST(who_asks_for_answers_and_reads_none_is_dropped),
        TEST(fragments_without_an_end_take_no_more_than_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
