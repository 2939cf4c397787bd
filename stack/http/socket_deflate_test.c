/* socket_deflate_test.c: permessage-deflate on a real server: which offers are taken, what is compressed for
 * whom, what is inflated, and that it stays within its bounds. */
#include <zlib.h>

#include "http/socket_testing.h"

enum { MESSAGE_MAX = 4000, TEXT_MAX = 100000 };

static atomic_int closed;
static _Atomic(tims_frame *) shared;

/* "shared" is answered with the shared frame; everything else comes back. */
static void on_message(tims_socket *socket, void *ctx, tims_str message, bool is_binary)
{
    (void)ctx;
    (void)is_binary;
    if (tims_str_equal(message, TIMS_STR("shared")))
        tims_socket_send_frame(socket, atomic_load(&shared));
    else
        tims_socket_send(socket, message);
}

static void on_close(tims_socket *socket, void *ctx, int code)
{
    (void)socket;
    (void)ctx;
    (void)code;
    atomic_fetch_add(&closed, 1);
}

static const tims_socket_events events = { .on_message = on_message, .on_close = on_close };

static tims_answer open_socket(tims_request *rq)
{
    tims_socket_options options = { .message_bytes_max = MESSAGE_MAX, .compress = rq->route->data != NULL };
    return tims_answer_websocket(rq, &events, NULL, &options, NULL);
}

static const tims_route routes[] = {
    { .methods = TIMS_METHOD_GET, .pattern = "/packed", .handler = open_socket, .data = "packed" },
    { .methods = TIMS_METHOD_GET, .pattern = "/plain", .handler = open_socket },
};

/* Rows as the server sends them: they compress to about a fifth. */
static char *make_rows(size_t length)
{
    char *text = malloc(length + 1);
    assert_non_null(text);
    for (size_t at = 0, row = 0; at < length; row++) {
        char line[100];
        size_t size = (size_t)snprintf(line, sizeof(line), "{\"id\":%zu,\"text\":\"hello number %zu\"},", row,
                                       row * 7919 % 1000);
        memcpy(text + at, line, size < length - at ? size : length - at);
        at += size;
    }
    text[length] = 0;
    return text;
}

static int set_up(void **state)
{
    static test_server t;
    char *text = make_rows(20000);
    atomic_store(&closed, 0);
    atomic_store(&shared, tims_frame_new((tims_str){ text, 20000 }));
    free(text);
    test_prepare(&t, routes, 2);
    t.options.loops = 2;
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

/* --- the client's half of the extension ------------------------------------------------------- */

static size_t deflate_text(const char *text, size_t length, char *ret_packed, size_t size)
{
    z_stream z = { .next_in = (Bytef *)(uintptr_t)text, .avail_in = (uInt)length };
    z.next_out = (Bytef *)ret_packed;
    z.avail_out = (uInt)size;
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
    assert_true(z.avail_in == 0 && z.avail_out > 0);
    deflateEnd(&z);
    return size - z.avail_out - 4;
}

/* Into a window of `bits`, as a client that offered so few has it. */
static size_t inflate_text(char *packed, size_t length, int bits, char *ret_text, size_t size)
{
    z_stream z = { 0 };
    memcpy(packed + length, "\x00\x00\xff\xff", 4);
    assert_int_equal(inflateInit2(&z, -bits), Z_OK);
    z.next_in = (Bytef *)packed;
    z.avail_in = (uInt)length + 4;
    size_t at = 0;
    do { /* in small pieces, so that the window is what distances reach into */
        z.next_out = (Bytef *)ret_text + at;
        z.avail_out = 100;
        int result = inflate(&z, Z_SYNC_FLUSH);
        assert_true(result == Z_OK || result == Z_BUF_ERROR);
        at += 100 - z.avail_out;
        assert_true(at + 100 <= size);
    } while (z.avail_out == 0);
    inflateEnd(&z);
    return at;
}

#define OFFER(text) TEST_HANDSHAKE("/packed", "Sec-WebSocket-Extensions: " text "\r\n")
#define TAKEN "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

/* Sends a compressed text and expects it back. */
static void expect_echo(int fd, size_t length, bool compressed_back)
{
    char *text = make_rows(length), packed[TEXT_MAX], back[TEXT_MAX];
    size_t size = deflate_text(text, length, packed, sizeof(packed));
    test_send_frame(fd, 0x81 | TEST_COMPRESSED, packed, size);
    test_frame frame = test_take_frame(fd, packed, sizeof(packed) - 4);
    assert_int_equal(frame.opcode, 1);
    assert_int_equal(frame.is_compressed, compressed_back);
    if (compressed_back)
        assert_int_equal(inflate_text(packed, frame.length, 15, back, sizeof(back)), length);
    assert_memory_equal(compressed_back ? back : packed, text, length);
    free(text);
}

static void every_offer_is_taken_or_declined_as_the_rfc_says(void **state)
{
    static const struct {
        const char *offer, *answer;
    } rows[] = {
        { OFFER("permessage-deflate"), TAKEN },
        { OFFER("permessage-deflate; client_max_window_bits"), TAKEN },
        { OFFER("permessage-deflate; client_max_window_bits=8"), TAKEN },
        { OFFER("permessage-deflate; client_max_window_bits=\"15\""), TAKEN },
        { OFFER("permessage-deflate;server_no_context_takeover;client_no_context_takeover"), TAKEN },
        { OFFER("permessage-deflate; server_max_window_bits=15"), TAKEN "; server_max_window_bits=15" },
        { OFFER("permessage-deflate ; server_max_window_bits = 8"), TAKEN "; server_max_window_bits=8" },
        { OFFER("x-webkit-deflate-frame, permessage-deflate"), TAKEN },
        { OFFER(", permessage-deflate,"), TAKEN },
        { OFFER("foo; bar=\"baz\"; qux, permessage-deflate"), TAKEN },
        { OFFER("foo\r\nSec-WebSocket-Extensions: permessage-deflate"), TAKEN },
        { OFFER("permessage-deflate; server_max_window_bits=7, permessage-deflate"), TAKEN },
        { OFFER("permessage-deflate; server_max_window_bits=10, permessage-deflate"),
          TAKEN "; server_max_window_bits=10" },
        /* declined: a parameter unknown, doubled, without its value, with one it has not, out of range */
        { OFFER("permessage-deflate; foo"), "" },
        { OFFER("permessage-deflate; server_no_context_takeover; server_no_context_takeover"), "" },
        { OFFER("permessage-deflate; client_max_window_bits; client_max_window_bits=9"), "" },
        { OFFER("permessage-deflate; server_no_context_takeover=1"), "" },
        { OFFER("permessage-deflate; client_no_context_takeover=\"\""), "" },
        { OFFER("permessage-deflate; server_max_window_bits"), "" },
        { OFFER("permessage-deflate; server_max_window_bits=7"), "" },
        { OFFER("permessage-deflate; server_max_window_bits=16"), "" },
        { OFFER("permessage-deflate; server_max_window_bits=08"), "" },
        { OFFER("permessage-deflate; server_max_window_bits=+9"), "" },
        { OFFER("permessage-deflate; client_max_window_bits=0"), "" },
        { OFFER("permessage-deflate; client_max_window_bits=99999999999999999999"), "" },
        { OFFER("permessage-deflate; client_max_window_bits="), "" },
        { OFFER("Permessage-Deflate"), "" },
        { OFFER("permessage-bzip2"), "" },
        /* no list of extensions */
        { OFFER(""), "" },
        { OFFER(","), "" },
        { OFFER("permessage-deflate;"), "" },
        { OFFER("permessage-deflate, ; foo"), "" },
        { OFFER("permessage-deflate foo"), "" },
        { OFFER("permessage-deflate; a=\"b, permessage-deflate"), "" },
        { OFFER("foo; a=\"b, permessage-deflate, c\""), "" },
        { OFFER("permessage-deflate; =9"), "" },
        /* not wanted here, not offered */
        { TEST_HANDSHAKE("/plain", "Sec-WebSocket-Extensions: permessage-deflate\r\n"), "" },
        { TEST_HANDSHAKE("/packed", ""), "" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char extensions[200], packed[2000], *text = make_rows(1000);
        int fd = test_upgrade(*state, rows[i].offer, extensions, sizeof(extensions));
        if (strcmp(extensions, rows[i].answer) != 0)
            fail_msg("%s is answered with '%s'", rows[i].offer, extensions);
        test_send_frame(fd, 0x81, text, 1000);
        test_frame frame = test_take_frame(fd, packed, sizeof(packed));
        /* A thousand bytes are more than a window of 256. */
        bool expected = rows[i].answer[0] && !strstr(rows[i].answer, "bits=8");
        assert_int_equal(frame.opcode, 1);
        assert_int_equal(frame.is_compressed, expected);
        free(text);
        close(fd);
        assert_true(test_wait_for(&closed, (int)i + 1));
    }
}

static void texts_come_back_as_they_went(void **state)
{
    int fd = test_upgrade(*state, OFFER("permessage-deflate"), NULL, 0);
    expect_echo(fd, 0, false);
    expect_echo(fd, 1, false);
    expect_echo(fd, 511, false);
    expect_echo(fd, 512, true);
    expect_echo(fd, MESSAGE_MAX, true);
    close(fd);
}

static void what_does_not_get_smaller_goes_as_it_is(void **state)
{
    int fd = test_upgrade(*state, OFFER("permessage-deflate"), NULL, 0);
    char noise[1000], back[2000];
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof(noise); i++) {
        seed = seed * 1664525 + 1013904223;
        noise[i] = (char)(seed >> 24);
    }
    test_send_frame(fd, 0x82, noise, sizeof(noise));
    test_frame frame = test_take_frame(fd, back, sizeof(back));
    assert_int_equal(frame.length, sizeof(noise));
    assert_false(frame.is_compressed);
    close(fd);
}

static void one_frame_serves_sockets_with_and_without_compression(void **state)
{
    char *text = make_rows(20000), payload[TEXT_MAX], back[TEXT_MAX];
    static const struct {
        const char *handshake;
        int bits;
    } rows[] = {
        { OFFER("permessage-deflate"), 15 },
        { OFFER("permessage-deflate; server_max_window_bits=15"), 15 },
        { OFFER("permessage-deflate; server_max_window_bits=9"), 0 }, /* longer than its window */
        { TEST_HANDSHAKE("/plain", ""), 0 },
    };
    enum { SOCKETS = 40 };
    int fds[SOCKETS];
    for (int i = 0; i < SOCKETS; i++)
        fds[i] = test_upgrade(*state, rows[i % 4].handshake, NULL, 0);
    for (int i = 0; i < SOCKETS; i++) /* to both loops at once */
        test_send_text(fds[i], "shared");
    for (int i = 0; i < SOCKETS; i++) {
        int bits = rows[i % 4].bits;
        test_frame frame = test_take_frame(fds[i], payload, sizeof(payload) - 4);
        assert_int_equal(frame.opcode, 1);
        assert_int_equal(frame.is_compressed, bits > 0);
        if (bits > 0)
            assert_int_equal(inflate_text(payload, frame.length, bits, back, sizeof(back)), 20000);
        else
            assert_int_equal(frame.length, 20000);
        assert_memory_equal(bits > 0 ? back : payload, text, 20000);
        close(fds[i]);
    }
    free(text);
}

static void a_frame_of_parts_is_the_text_of_all(void **state)
{
    char *text = make_rows(3000), payload[TEXT_MAX], back[TEXT_MAX];
    tims_frame *former = atomic_load(&shared);
    const tims_str parts[] = { { text, 1000 }, { NULL, 0 }, { text + 1000, 1 }, { text + 1001, 1999 } };
    atomic_store(&shared, tims_frame_new_parts(parts, 4));
    tims_frame_unref(&former);
    for (int i = 0; i < 2; i++) {
        int fd =
            test_upgrade(*state, i ? OFFER("permessage-deflate") : TEST_HANDSHAKE("/packed", ""), NULL, 0);
        test_send_text(fd, "shared");
        test_frame frame = test_take_frame(fd, payload, sizeof(payload) - 4);
        assert_int_equal(frame.is_compressed, i);
        if (frame.is_compressed)
            frame.length = inflate_text(payload, frame.length, 15, back, sizeof(back));
        assert_int_equal(frame.length, 3000);
        assert_memory_equal(i ? back : payload, text, 3000);
        close(fd);
    }
    free(text);
}

static void a_small_window_is_never_reached_beyond(void **state)
{
    char *text = make_rows(1000), payload[TEXT_MAX], back[TEXT_MAX];
    int fd = test_upgrade(*state, OFFER("permessage-deflate; server_max_window_bits=10"), NULL, 0);
    test_send_frame(fd, 0x81, text, 1000);
    test_frame frame = test_take_frame(fd, payload, sizeof(payload) - 4);
    assert_true(frame.is_compressed);
    assert_int_equal(inflate_text(payload, frame.length, 10, back, sizeof(back)), 1000);
    assert_memory_equal(back, text, 1000);
    free(text);
    close(fd);
}

static void fragments_of_a_compressed_message_are_joined(void **state)
{
    int fd = test_upgrade(*state, OFFER("permessage-deflate"), NULL, 0);
    char packed[200], payload[200];
    size_t size = deflate_text("in several parts", 16, packed, sizeof(packed));
    test_send_frame(fd, 0x01 | TEST_COMPRESSED, packed, 1);
    test_send_frame(fd, 0x89, "p", 1);
    for (size_t i = 1; i < size; i++)
        test_send_frame(fd, 0x00, packed + i, 1);
    test_send_frame(fd, 0x80, "", 0);
    for (bool got_text = false; !got_text;) { /* the pong may be before it or behind it */
        test_frame frame = test_take_frame(fd, payload, sizeof(payload));
        assert_true(frame.opcode == 1 || frame.opcode == 10);
        got_text = frame.opcode == 1;
    }
    assert_string_equal(payload, "in several parts");
    /* RFC 7692, 7.2.3: stored, with two blocks, with a block that calls itself the last, empty. */
    static const struct {
        const char *bytes;
        size_t length;
        const char *text;
    } rows[] = {
        { "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, "Hello" },
        { "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11, "Hello" },
        { "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8, "Hello" },
        { "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13, "Hello" },
        { "\x00", 1, "" },
        { "\x01", 1, "" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        test_send_frame(fd, 0x81 | TEST_COMPRESSED, rows[i].bytes, rows[i].length);
        do
            assert_int_not_equal(test_read_frame(fd, payload, sizeof(payload)), 8);
        while (strcmp(payload, "p") == 0);
        assert_string_equal(payload, rows[i].text);
    }
    close(fd);
}

/* What a compressed message may do wrong, and how the socket is closed for it. */
static void hostile_compression_is_closed_with_its_reason(void **state)
{
    static const char zeros[60000];
    char bomb[1000], barely[1000], exact[1000], latin[100], payload[5000];
    size_t bomb_size = deflate_text(zeros, sizeof(zeros), bomb, sizeof(bomb));
    size_t barely_size = deflate_text(zeros, MESSAGE_MAX + 1, barely, sizeof(barely));
    size_t latin_size = deflate_text("caf\xe9", 4, latin, sizeof(latin));
    const struct {
        const char *what, *handshake;
        int first_byte;
        const char *bytes;
        size_t length;
        int code;
    } rows[] = {
        { "a bomb", OFFER("permessage-deflate"), 0xc1, bomb, bomb_size, 1009 },
        { "a binary bomb", OFFER("permessage-deflate"), 0xc2, bomb, bomb_size, 1009 },
        { "one byte too many", OFFER("permessage-deflate"), 0xc1, barely, barely_size, 1009 },
        { "too long as it comes", OFFER("permessage-deflate"), 0xc1, zeros, MESSAGE_MAX + 1, 1009 },
        { "no block type", OFFER("permessage-deflate"), 0xc1, "\xff\xff\xff", 3, 1007 },
        { "stored, with a false length", OFFER("permessage-deflate"), 0xc1, "\x00\x05\x00\x05\x00", 5, 1007 },
        { "cut off", OFFER("permessage-deflate"), 0xc1, "\xf2\x48\xcd", 3, 1007 },
        { "stored and cut off", OFFER("permessage-deflate"), 0xc1, "\x00\x09\x00\xf6\xff\x48", 6, 1007 },
        { "a distance out of the message", OFFER("permessage-deflate"), 0xc1, "\x02\x02\x00", 3, 1007 },
        { "nothing at all", OFFER("permessage-deflate"), 0xc1, "", 0, 1007 },
        { "text that is not UTF-8", OFFER("permessage-deflate"), 0xc1, latin, latin_size, 1007 },
        { "a compressed ping", OFFER("permessage-deflate"), 0xc9, "\x00", 1, 1002 },
        { "a compressed close", OFFER("permessage-deflate"), 0xc8, "\x00", 1, 1002 },
        { "a continuation of nothing", OFFER("permessage-deflate"), 0xc0, "\x00", 1, 1002 },
        { "another reserved bit", OFFER("permessage-deflate"), 0xe1, "\x00", 1, 1002 },
        { "not negotiated", TEST_HANDSHAKE("/packed", ""), 0xc1, "\x00", 1, 1002 },
        { "declined", OFFER("permessage-deflate; foo"), 0xc1, "\x00", 1, 1002 },
        { "not wanted", TEST_HANDSHAKE("/plain", "Sec-WebSocket-Extensions: permessage-deflate\r\n"), 0xc1,
          "\x00", 1, 1002 },
    };
    int witness = test_upgrade(*state, OFFER("permessage-deflate"), NULL, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = test_upgrade(*state, rows[i].handshake, NULL, 0);
        test_send_frame(fd, rows[i].first_byte, rows[i].bytes, rows[i].length);
        int opcode = test_read_frame(fd, payload, sizeof(payload));
        int code = (uint8_t)payload[0] << 8 | (uint8_t)payload[1];
        if (opcode != 8 || code != rows[i].code)
            fail_msg("%s: opcode %d, code %d", rows[i].what, opcode, code);
        assert_true(test_is_closed(fd));
        close(fd);
        expect_echo(witness, 600, true);
    }
    close(witness);
    size_t exact_size = deflate_text(zeros, MESSAGE_MAX, exact, sizeof(exact));
    int fd = test_upgrade(*state, OFFER("permessage-deflate"), NULL, 0);
    test_send_frame(fd, 0x81 | TEST_COMPRESSED, exact, exact_size);
    assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 1);
    close(fd);
}

static void a_continuation_that_calls_itself_compressed_is_refused(void **state)
{
    int fd = test_upgrade(*state, OFFER("permessage-deflate"), NULL, 0);
    char payload[200];
    test_send_frame(fd, 0x01 | TEST_COMPRESSED, "\xf2\x48\xcd", 3);
    test_send_frame(fd, 0x80 | TEST_COMPRESSED, "\xc9\xc9\x07\x00", 4);
    assert_int_equal(test_read_frame(fd, payload, sizeof(payload)), 8);
    assert_memory_equal(payload, "\x03\xea", 2);
    assert_true(test_is_closed(fd));
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, 2);
    const struct CMUnitTest tests[] = {
        TEST(every_offer_is_taken_or_declined_as_the_rfc_says),
        TEST(texts_come_back_as_they_went),
        TEST(what_does_not_get_smaller_goes_as_it_is),
        TEST(one_frame_serves_sockets_with_and_without_compression),
        TEST(a_frame_of_parts_is_the_text_of_all),
        TEST(a_small_window_is_never_reached_beyond),
        TEST(fragments_of_a_compressed_message_are_joined),
        TEST(hostile_compression_is_closed_with_its_reason),
        TEST(a_continuation_that_calls_itself_compressed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
