/* socket_testing.h: a websocket client made of a plain socket, for tests of websockets. */
#ifndef TIMS_HTTP_SOCKET_TESTING_H
#define TIMS_HTTP_SOCKET_TESTING_H

#include "http/testing.h"

#define TEST_HANDSHAKE(path, more)                                                                     \
    "GET " path " HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" more "\r\n"

enum { TEST_COMPRESSED = 0x40, TEST_FRAME_BYTES_MAX = 300000 };

/* A masked frame of any length up to 65535 bytes; the first byte is the caller's. */
static inline void test_send_frame(int fd, int first_byte, const char *payload, size_t length)
{
    static const uint8_t mask[4] = { 1, 2, 3, 4 };
    uint8_t *frame = malloc(length + 8);
    assert_non_null(frame);
    size_t at = 2;
    frame[0] = (uint8_t)first_byte;
    assert_true(length <= UINT16_MAX);
    if (length < 126) {
        frame[1] = (uint8_t)(0x80 | length);
    } else {
        frame[1] = 0x80 | 126;
        frame[2] = (uint8_t)(length >> 8);
        frame[3] = (uint8_t)length;
        at = 4;
    }
    memcpy(frame + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < length; i++)
        frame[at + i] = (uint8_t)(payload[i] ^ mask[i % 4]);
    test_send_bytes(fd, frame, at + length);
    free(frame);
}

static inline void test_send_text(int fd, const char *text)
{
    test_send_frame(fd, 0x81, text, strlen(text));
}

static inline bool test_read_exactly(int fd, void *bytes, size_t length)
{
    char *at = bytes;
    while (length > 0) {
        ssize_t got = test_receive(fd, at, length);
        if (got <= 0)
            return false;
        at += got;
        length -= (size_t)got;
    }
    return true;
}

typedef struct test_frame {
    int opcode; /* -1: the connection has ended */
    bool is_compressed;
    size_t length;
} test_frame;

/* The payload gets a NUL behind it. */
static inline test_frame test_take_frame(int fd, char *ret_payload, size_t size)
{
    uint8_t head[2], more[8];
    if (!test_read_exactly(fd, head, 2))
        return (test_frame){ .opcode = -1 };
    test_frame frame = { head[0] & 15, (head[0] & TEST_COMPRESSED) != 0, head[1] };
    if (frame.length == 126) {
        assert_true(test_read_exactly(fd, more, 2));
        frame.length = (size_t)more[0] << 8 | more[1];
    } else if (frame.length == 127) {
        assert_true(test_read_exactly(fd, more, 8));
        frame.length = (size_t)more[5] << 16 | (size_t)more[6] << 8 | more[7];
    }
    assert_true(frame.length < size);
    if (!test_read_exactly(fd, ret_payload, frame.length))
        return (test_frame){ .opcode = -1 };
    ret_payload[frame.length] = 0;
    return frame;
}

static inline int test_read_frame(int fd, char *ret_payload, size_t size)
{
    return test_take_frame(fd, ret_payload, size).opcode;
}

/* Connects, upgrades, and gives the value of the answer's Sec-WebSocket-Extensions ("" when it has none). */
static inline int test_upgrade(const test_server *t, const char *handshake, char *ret_extensions, size_t size)
{
    int fd = test_connect(t);
    test_send(fd, handshake);
    char head[2048];
    size_t length = 0;
    while (length < sizeof(head) - 1 && test_find(head, length, "\r\n\r\n") == SIZE_MAX) {
        assert_true(test_read_exactly(fd, head + length, 1));
        length++;
    }
    head[length] = 0;
    assert_non_null(strstr(head, "HTTP/1.1 101 "));
    assert_non_null(strstr(head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    test_answer answer = { .text = head };
    if (size > 0 && !test_header(&answer, "Sec-WebSocket-Extensions", ret_extensions, size))
        ret_extensions[0] = 0;
    return fd;
}

#endif
