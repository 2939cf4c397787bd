/* ws_test.c: frames in, events out; every violation with its close code; wslay as the other end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <wslay/wslay.h>

#include <cmocka.h>

#include "tims/proto.h"

typedef struct heard {
    tims_buf text; /* "text:hello|ping:x|close 1000:bye|" */
} heard;

static void hear_message(void *ctx, tims_ws_opcode opcode, tims_str payload)
{
    heard *h = ctx;
    tims_buf_print(&h->text, "%s:%S|", opcode == TIMS_WS_TEXT ? "text" : "binary", payload);
}

static void hear_ping(void *ctx, tims_str payload)
{
    heard *h = ctx;
    tims_buf_print(&h->text, "ping:%S|", payload);
}

static void hear_pong(void *ctx, tims_str payload)
{
    heard *h = ctx;
    tims_buf_print(&h->text, "pong:%S|", payload);
}

static void hear_close(void *ctx, int code, tims_str reason)
{
    heard *h = ctx;
    tims_buf_print(&h->text, "close %d:%S|", code, reason);
}

static const tims_ws_events events = {
    .on_message = hear_message, .on_ping = hear_ping, .on_pong = hear_pong, .on_close = hear_close
};

/* A compression as good as any for the reader: "3x" is inflated to "xxx". */
static int repeat(void *ctx, tims_str compressed, size_t bytes_max, tims_str *ret_plain)
{
    static char plain[9];
    (void)ctx;
    if (compressed.length != 2 || compressed.data[0] < '0' || compressed.data[0] > '9')
        return 1007;
    size_t length = (size_t)(compressed.data[0] - '0');
    if (length > bytes_max)
        return 1009;
    memset(plain, compressed.data[1], length);
    *ret_plain = (tims_str){ plain, length };
    return 0;
}

static const tims_ws_events packed_events = { .on_message = hear_message,
                                              .on_ping = hear_ping,
                                              .on_pong = hear_pong,
                                              .on_close = hear_close,
                                              .inflate = repeat };

/* Feeds in pieces; returns 0 or the close code. `expected` NULL: not looked at. */
static int run_with(const tims_ws_events *used, bool is_server, size_t max, tims_str bytes, size_t piece,
                    const char *expected)
{
    heard h;
    tims_buf_init(&h.text, NULL, 1 << 22);
    tims_ws *ws = tims_ws_new(is_server, max, used, &h);
    int code = 0;
    for (size_t at = 0; at < bytes.length && code == 0; at += piece) {
        size_t length = bytes.length - at < piece ? bytes.length - at : piece;
        char *copy = malloc(length);
        assert_non_null(copy);
        memcpy(copy, bytes.data + at, length);
        tims_status status = tims_ws_feed(ws, (tims_str){ copy, length }, &code);
        free(copy);
        assert_int_equal(status == TIMS_OK, code == 0);
        assert_int_equal(status == TIMS_TOO_LARGE, code == 1009);
    }
    tims_buf_append_char(&h.text, '\0');
    if (expected != NULL)
        assert_string_equal(h.text.data, expected);
    tims_buf_free(&h.text);
    tims_ws_free(&ws);
    assert_null(ws);
    return code;
}

static int run(bool is_server, size_t max, tims_str bytes, size_t piece, const char *expected)
{
    return run_with(&events, is_server, max, bytes, piece, expected);
}

/* With a mask of zeros the payload can be read in the table. */
#define M "\0\0\0\0"
#define LONG_125                                                                                           \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" \
    "0123456789012345678901234"

typedef struct row {
    const char *what;
    tims_str bytes;
    int code;
    const char *heard;
} row;
#define ROW(what, text, code, heard)           \
    {                                          \
        what, TIMS_STR_INIT(text), code, heard \
    }

static const row rows[] = {
    ROW("a text", "\x81\x85" M "hello", 0, "text:hello|"),
    ROW("a masked text",
        "\x81\x85\x01\x02\x03\x04"
        "igohn",
        0, "text:hello|"),
    ROW("an empty text", "\x81\x80" M, 0, "text:|"),
    ROW("a binary", "\x82\x81" M "\xff", 0, "binary:\xff|"),
    ROW("fragments with a ping between",
        "\x01\x82" M "he"
        "\x89\x81" M "p"
        "\x00\x81" M "l"
        "\x80\x82" M "lo",
        0, "ping:p|text:hello|"),
    ROW("a character split between fragments",
        "\x01\x81" M "\xc3"
        "\x80\x81" M "\xa4",
        0, "text:\xc3\xa4|"),
    ROW("a pong", "\x8a\x80" M, 0, "pong:|"),
    ROW("a ping of 125 bytes", "\x89\xfd" M LONG_125, 0, "ping:" LONG_125 "|"),
    ROW("a close without a code", "\x88\x80" M, 0, "close 1005:|"),
    ROW("a close with code and reason",
        "\x88\x85" M "\x03\xe8"
        "bye",
        0, "close 1000:bye|"),
    ROW("bytes behind a close are ignored",
        "\x88\x82" M "\x03\xe8"
        "\xff\xff\xff",
        0, "close 1000:|"),
    ROW("a close with 4999", "\x88\x82" M "\x13\x87", 0, "close 4999:|"),
    ROW("an unmasked frame from a client", "\x81\x05hello", 1002, ""),
    ROW("reserved bit 1", "\xc1\x80" M, 1002, ""),
    ROW("reserved bit 2", "\xa1\x80" M, 1002, ""),
    ROW("reserved bit 3", "\x91\x80" M, 1002, ""),
    ROW("continuation without a start", "\x80\x80" M, 1002, ""),
    ROW("a text within a fragmented text", "\x01\x80" M "\x81\x80" M, 1002, ""),
    ROW("continuation behind a finished message", "\x81\x80" M "\x80\x80" M, 1002, "text:|"),
    ROW("opcode 3", "\x83\x80" M, 1002, ""),
    ROW("opcode 7", "\x87\x80" M, 1002, ""),
    ROW("opcode 11", "\x8b\x80" M, 1002, ""),
    ROW("opcode 15", "\x8f\x80" M, 1002, ""),
    ROW("a control frame of 126 bytes", "\x89\xfe\x00\x7e" M, 1002, ""),
    ROW("a fragmented ping", "\x09\x80" M, 1002, ""),
    ROW("a fragmented close", "\x08\x80" M, 1002, ""),
    ROW("a length that is not the shortest, 16 bits", "\x81\xfe\x00\x7d" M, 1002, ""),
    ROW("a length that is not the shortest, 64 bits", "\x81\xff\0\0\0\0\0\0\xff\xff" M, 1002, ""),
    ROW("a length with its highest bit", "\x81\xff\x80\0\0\0\0\0\0\0" M, 1002, ""),
    ROW("invalid UTF-8", "\x81\x81" M "\xff", 1007, ""),
    ROW("a character cut off", "\x81\x81" M "\xc3", 1007, ""),
    ROW("invalid UTF-8 across fragments",
        "\x01\x81" M "\xc3"
        "\x80\x81" M "x",
        1007, ""),
    ROW("a surrogate", "\x81\x83" M "\xed\xa0\x80", 1007, ""),
    ROW("an overlong form", "\x81\x82" M "\xc0\xaf", 1007, ""),
    ROW("invalid UTF-8 in a reason", "\x88\x83" M "\x03\xe8\xff", 1007, ""),
    ROW("a close of one byte", "\x88\x81" M "\x03", 1002, ""),
    ROW("close code 0", "\x88\x82" M "\0\0", 1002, ""),
    ROW("close code 999", "\x88\x82" M "\x03\xe7", 1002, ""),
    ROW("close code 1005", "\x88\x82" M "\x03\xed", 1002, ""),
    ROW("close code 1006", "\x88\x82" M "\x03\xee", 1002, ""),
    ROW("close code 1015", "\x88\x82" M "\x03\xf7", 1002, ""),
    ROW("close code 2999", "\x88\x82" M "\x0b\xb7", 1002, ""),
    ROW("close code 5000", "\x88\x82" M "\x13\x88", 1002, ""),
    ROW("a claimed terabyte", "\x81\xff\0\0\x01\0\0\0\0\0" M, 1009, ""),
    ROW("one byte too many", "\x82\xfe\x01\x01" M, 1009, ""),
    ROW("too many in fragments", "\x01\xfd" M LONG_125 "\x00\xfd" M LONG_125 "\x00\x87" M "1234567", 1009,
        ""),
};

/* Where compression was negotiated; messages of at most 8 bytes. */
static const row packed_rows[] = {
    ROW("a compressed text", "\xc1\x82" M "3x", 0, "text:xxx|"),
    ROW("a compressed binary", "\xc2\x82" M "2\xff", 0, "binary:\xff\xff|"),
    ROW("a text that is not", "\x81\x82" M "3x", 0, "text:3x|"),
    ROW("one after the other", "\xc1\x82" M "3x\x81\x82" M "3x\xc1\x82" M "1x", 0,
        "text:xxx|text:3x|text:x|"),
    ROW("an empty one", "\xc1\x82" M "0x", 0, "text:|"),
    ROW("fragments, with a ping between",
        "\x41\x81" M "3"
        "\x89\x81" M "p"
        "\x80\x81" M "x",
        0, "ping:p|text:xxx|"),
    ROW("the longest", "\xc1\x82" M "8x", 0, "text:xxxxxxxx|"),
    ROW("inflated too large", "\xc1\x82" M "9x", 1009, ""),
    ROW("too large as it comes", "\xc1\x89" M "123456789", 1009, ""),
    ROW("too large in fragments", "\x41\x88" M "12345678\x80\x81" M "9", 1009, ""),
    ROW("what cannot be inflated", "\xc1\x82" M "xx", 1007, ""),
    ROW("inflated to what is not UTF-8", "\xc1\x82" M "1\xff", 1007, ""),
    ROW("a compressed continuation", "\x41\x81" M "3\xc0\x81" M "x", 1002, ""),
    ROW("a compressed continuation of what is not", "\x01\x81" M "3\xc0\x81" M "x", 1002, ""),
    ROW("a compressed ping", "\xc9\x80" M, 1002, ""),
    ROW("a compressed pong", "\xca\x80" M, 1002, ""),
    ROW("a compressed close", "\xc8\x80" M, 1002, ""),
    ROW("reserved bit 2", "\xa1\x80" M, 1002, ""),
    ROW("reserved bit 3", "\xd1\x80" M, 1002, ""),
};

static void run_rows(const row *table, size_t count, const tims_ws_events *used, size_t max)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t piece = 1; piece < 512; piece *= 3) {
            int code = run_with(used, true, max, table[i].bytes, piece, table[i].heard);
            if (code != table[i].code)
                fail_msg("%s (pieces of %zu): %d instead of %d", table[i].what, piece, code, table[i].code);
        }
    }
}

static void every_frame_sequence_has_its_events_and_its_close_code(void **state)
{
    (void)state;
    run_rows(rows, sizeof rows / sizeof *rows, &events, 256);
}

static void compressed_messages_are_inflated_and_the_bit_stands_nowhere_else(void **state)
{
    (void)state;
    run_rows(packed_rows, sizeof packed_rows / sizeof *packed_rows, &packed_events, 8);
}

static void a_client_refuses_masked_frames_and_reads_plain_ones(void **state)
{
    (void)state;
    assert_int_equal(run(false, 256, TIMS_STR("\x81\x05hello"), 99, "text:hello|"), 0);
    assert_int_equal(run(false, 256, TIMS_STR("\x81\x85" M "hello"), 99, ""), 1002);
}

static void a_failed_reader_stays_failed(void **state)
{
    (void)state;
    heard h = { 0 };
    tims_ws *ws = tims_ws_new(true, 256, &events, &h);
    int code = 0;
    assert_int_equal(tims_ws_feed(ws, TIMS_STR("\x81\x81" M "\xff"), &code), TIMS_MALFORMED);
    code = 0;
    assert_int_equal(tims_ws_feed(ws, TIMS_STR("\x81\x80" M), &code), TIMS_MALFORMED);
    assert_int_equal(code, 1007);
    tims_ws_free(&ws);
}

static void headers_have_the_shortest_form(void **state)
{
    (void)state;
    static const struct {
        uint64_t length;
        const char *header;
        size_t size;
    } forms[] = {
        { 0, "\x81\x00", 2 },
        { 125, "\x81\x7d", 2 },
        { 126, "\x81\x7e\x00\x7e", 4 },
        { 65535, "\x81\x7e\xff\xff", 4 },
        { 65536, "\x81\x7f\0\0\0\0\0\x01\0\0", 10 },
    };
    uint8_t header[TIMS_WS_HEADER_MAX];
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        assert_int_equal(tims_ws_header(TIMS_WS_TEXT, forms[i].length, NULL, false, header), forms[i].size);
        assert_memory_equal(header, forms[i].header, forms[i].size);
    }
    assert_int_equal(tims_ws_header(TIMS_WS_BINARY, 1, (const uint8_t *)"abcd", true, header), 6);
    assert_memory_equal(header,
                        "\xc2\x81"
                        "abcd",
                        6);
}

static void close_payloads_are_cut_between_characters(void **state)
{
    (void)state;
    uint8_t payload[125];
    assert_int_equal(tims_ws_close_payload(1005, TIMS_STR("x"), payload), 0);
    assert_int_equal(tims_ws_close_payload(1000, TIMS_STR("bye"), payload), 5);
    assert_memory_equal(payload,
                        "\x03\xe8"
                        "bye",
                        5);
    char reason[200];
    memset(reason, 'a', sizeof reason);
    assert_int_equal(tims_ws_close_payload(1011, (tims_str){ reason, 200 }, payload), 125);
    memcpy(reason + 121, "\xe2\x82\xac", 3);
    assert_int_equal(tims_ws_close_payload(1011, (tims_str){ reason, 200 }, payload), 123);
}

/* --- wslay as the client ------------------------------------------------------------------------- */

typedef struct pipe_end {
    tims_buf sent; /* by wslay */
    const uint8_t *incoming;
    size_t incoming_length;
    tims_buf received;
} pipe_end;

static ssize_t wslay_sends(wslay_event_context_ptr context, const uint8_t *data, size_t length, int flags,
                           void *user)
{
    (void)context, (void)flags;
    tims_buf_append(&((pipe_end *)user)->sent, data, length);
    return (ssize_t)length;
}

static ssize_t wslay_receives(wslay_event_context_ptr context, uint8_t *buffer, size_t length, int flags,
                              void *user)
{
    (void)flags;
    pipe_end *end = user;
    size_t take = end->incoming_length < length ? end->incoming_length : length;
    if (take == 0) {
        wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(buffer, end->incoming, take);
    end->incoming += take;
    end->incoming_length -= take;
    return (ssize_t)take;
}

static int wslay_masks(wslay_event_context_ptr context, uint8_t *buffer, size_t length, void *user)
{
    (void)context, (void)user;
    for (size_t i = 0; i < length; i++)
        buffer[i] = (uint8_t)(0xa7 + 31 * i);
    return 0;
}

static void wslay_hears(wslay_event_context_ptr context, const struct wslay_event_on_msg_recv_arg *message,
                        void *user)
{
    (void)context;
    tims_buf_append(&((pipe_end *)user)->received, message->msg, message->msg_length);
}

static const struct wslay_event_callbacks wslay_callbacks = { .recv_callback = wslay_receives,
                                                              .send_callback = wslay_sends,
                                                              .genmask_callback = wslay_masks,
                                                              .on_msg_recv_callback = wslay_hears };

static void wslay_and_we_understand_each_other_at_every_size(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 7, 8, 9, 125, 126, 127, 1000, 65535, 65536, 200001 };
    char *text = malloc(200001);
    assert_non_null(text);
    memset(text, 'w', 200001);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pipe_end end = { 0 };
        tims_buf_init(&end.sent, NULL, 1 << 20);
        tims_buf_init(&end.received, NULL, 1 << 20);
        wslay_event_context_ptr context;
        assert_int_equal(wslay_event_context_client_init(&context, &wslay_callbacks, &end), 0);
        struct wslay_event_msg message = { WSLAY_TEXT_FRAME, (uint8_t *)text, sizes[i] };
        assert_int_equal(wslay_event_queue_msg(context, &message), 0);
        assert_int_equal(wslay_event_send(context), 0);
        tims_buf expected;
        tims_buf_init(&expected, NULL, 1 << 20);
        tims_buf_print(&expected, "text:%S|", (tims_str){ text, sizes[i] });
        tims_buf_append_char(&expected, '\0');
        assert_int_equal(run(true, 200001, tims_buf_str(&end.sent), 1447, expected.data), 0);
        tims_buf frame;
        tims_buf_init(&frame, NULL, 1 << 20);
        uint8_t header[TIMS_WS_HEADER_MAX];
        tims_buf_append(&frame, header, tims_ws_header(TIMS_WS_TEXT, sizes[i], NULL, false, header));
        tims_buf_append(&frame, text, sizes[i]);
        end.incoming = (const uint8_t *)frame.data;
        end.incoming_length = frame.length;
        assert_int_equal(wslay_event_recv(context), 0);
        assert_int_equal(end.received.length, sizes[i]);
        wslay_event_context_free(context);
        tims_buf_free(&frame);
        tims_buf_free(&expected);
        tims_buf_free(&end.sent);
        tims_buf_free(&end.received);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_sequence_has_its_events_and_its_close_code),
        cmocka_unit_test(compressed_messages_are_inflated_and_the_bit_stands_nowhere_else),
        cmocka_unit_test(a_client_refuses_masked_frames_and_reads_plain_ones),
        cmocka_unit_test(a_failed_reader_stays_failed),
        cmocka_unit_test(headers_have_the_shortest_form),
        cmocka_unit_test(close_payloads_are_cut_between_characters),
        cmocka_unit_test(wslay_and_we_understand_each_other_at_every_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
