/* client_testing.h: a plain blocking websocket client that knows a little of the live protocol. For tests
 * only. */
#ifndef LIVE_CLIENT_TESTING_H
#define LIVE_CLIENT_TESTING_H

#include "live/world_testing.h"

/* --- the websocket client --------------------------------------------------------------------- */

typedef struct client {
    int fd;
    char *buffer; /* bytes not yet taken */
    size_t length, capacity;
    int closed; /* the code of the close frame; 0: open; -1: ended without one */
} client;

static inline void ws_send_frame(client *c, uint8_t first, const char *text, size_t length)
{
    uint8_t head[8] = { first }, mask[4] = { 1, 2, 3, 4 };
    size_t at = 2;
    assert_true(length < 65536);
    if (length < 126) {
        head[1] = (uint8_t)(0x80 | length);
    } else {
        head[1] = 0x80 | 126;
        head[2] = (uint8_t)(length >> 8);
        head[3] = (uint8_t)length;
        at = 4;
    }
    memcpy(head + at, mask, 4);
    char *masked = malloc(length + 1);
    for (size_t i = 0; i < length; i++)
        masked[i] = (char)(text[i] ^ mask[i % 4]);
    test_send_bytes(c->fd, head, at + 4);
    test_send_bytes(c->fd, masked, length);
    free(masked);
}

static inline void ws_send(client *c, const char *format, ...)
{
    char text[32 * 1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert_true(length >= 0 && (size_t)length < sizeof text);
    ws_send_frame(c, 0x81, text, (size_t)length);
}

static inline bool ws_fill(client *c)
{
    if (c->capacity - c->length < 65536)
        c->buffer = realloc(c->buffer, c->capacity = c->capacity * 2 + 131072);
    ssize_t got = test_receive(c->fd, c->buffer + c->length, c->capacity - c->length);
    if (got < 0)
        fail_msg("nothing came within %d ms", (int)TEST_WAIT_MS);
    if (got == 0)
        c->closed = c->closed != 0 ? c->closed : -1;
    c->length += (size_t)got;
    return got > 0;
}

/* The next frame: its opcode; the payload terminated in `*ret_text` (free it). 0 at the end. */
static inline int ws_next_frame(client *c, char **ret_text)
{
    for (;;) {
        const uint8_t *b = (const uint8_t *)c->buffer;
        size_t head = 2, length = c->length >= 2 ? b[1] & 127u : 0;
        bool whole = c->length >= 2;
        if (whole && length == 126) {
            head = 4;
            whole = c->length >= 4;
            length = whole ? ((size_t)b[2] << 8 | b[3]) : 0;
        } else if (whole && length == 127) {
            head = 10;
            whole = c->length >= 10;
            length = 0;
            for (size_t i = 2; whole && i < 10; i++)
                length = length << 8 | b[i];
        }
        if (whole && c->length >= head + length) {
            int opcode = b[0] & 15;
            *ret_text = strndup(c->buffer + head, length);
            if (opcode == 8)
                c->closed = length >= 2 ? (b[head] << 8 | b[head + 1]) : 1005;
            c->length -= head + length;
            memmove(c->buffer, c->buffer + head + length, c->length);
            return opcode;
        }
        if (!ws_fill(c))
            return 0;
    }
}

/* The next text frame (free it); NULL when the connection was closed. */
static inline char *ws_next(client *c)
{
    char *text = NULL;
    for (;;) {
        int opcode = ws_next_frame(c, &text);
        if (opcode == 1)
            return text;
        if (opcode == 0)
            return NULL;
        if (opcode == 9)
            ws_send_frame(c, 0x8a, "", 0);
        free(text);
        text = NULL;
        if (opcode == 8)
            return NULL;
    }
}

/* The next text frame must contain each of the texts (up to NULL). */
/* clang-format off */
#define ws_expect(c, ...) ws_expect_all(c, __FILE__, __LINE__, (const char *const[]){ __VA_ARGS__, NULL })
/* clang-format on */
static inline void ws_expect_all(client *c, const char *file, int line, const char *const *texts)
{
    char *got = ws_next(c);
    for (; *texts != NULL; texts++)
        if (got == NULL || strstr(got, *texts) == NULL) {
            print_error("%s:%d: got %s (closed %d), expected %s\n", file, line, got != NULL ? got : "nothing",
                        c->closed, *texts);
            fail();
        }
    free(got);
}

/* …and must not contain this. */
static inline void ws_expect_without(client *c, const char *text, const char *absent)
{
    char *got = ws_next(c);
    assert_non_null(got);
    if (strstr(got, text) == NULL || strstr(got, absent) != NULL)
        fail_msg("got %s, expected %s without %s", got, text, absent);
    free(got);
}

/* Nothing for this client is on its way up to the position: its answer to a ping is the next frame. */
static inline void ws_expect_nothing(client *c, int64_t position)
{
    for (int tries = 0; tries < 10000; tries++) {
        ws_send(c, "{\"t\":\"ping\"}");
        char *got = ws_next(c);
        assert_non_null(got);
        if (strstr(got, "\"pong\"") == NULL)
            fail_msg("got %s, expected nothing", got);
        long long at = strtoll(strstr(got, "\"position\":") + strlen("\"position\":"), NULL, 10);
        free(got);
        if (at >= position)
            return;
        poll(NULL, 0, 1);
    }
    fail_msg("the server never reached the position");
}

static inline int ws_closed(client *c)
{
    char *text;
    while (c->closed == 0 && (text = ws_next(c)) != NULL)
        free(text);
    return c->closed;
}

static inline client ws_connect(const fixture *f, const char *extra_headers)
{
    client c = { .fd = test_connect(&f->server) };
    test_send(c.fd, "GET /live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    test_send(c.fd, extra_headers);
    test_send(c.fd, "\r\n");
    for (;;) {
        size_t end = c.length > 0 ? test_find(c.buffer, c.length, "\r\n\r\n") : SIZE_MAX;
        if (end != SIZE_MAX) {
            assert_memory_equal(c.buffer, "HTTP/1.1 101", 12);
            c.length -= end + 4;
            memmove(c.buffer, c.buffer + end + 4, c.length);
            return c;
        }
        assert_true(ws_fill(&c));
    }
}

static inline client ws_hello(const fixture *f, const char *token)
{
    client c = ws_connect(f, "");
    ws_send(&c, "{\"t\":\"hello\",\"protocol\":2,\"token\":\"%s\"}", token);
    ws_expect(&c, "\"t\":\"welcome\"", "\"protocol\":2", "\"heartbeat_ms\":15000");
    return c;
}

static inline void ws_close(client *c)
{
    close(c->fd);
    free(c->buffer);
    *c = (client){ .fd = -1, .closed = -1 };
}

/* The document of a URL now, as a fresh subscription gets it (free it). */
static inline char *ws_snap(client *c, int id, const char *url)
{
    ws_send(c, "{\"t\":\"sub\",\"id\":%d,\"url\":\"%s\"}", id, url);
    char *snap = ws_next(c);
    assert_non_null(snap);
    if (strstr(snap, "\"t\":\"snap\"") == NULL)
        fail_msg("got %s, expected a snap", snap);
    return snap;
}

/* A client that is subscribed to a URL as its number 1. */
static inline client ws_subscribed(const fixture *f, const char *token, const char *url)
{
    client c = ws_hello(f, token);
    free(ws_snap(&c, 1, url));
    return c;
}

static inline int64_t position_of(const char *frame)
{
    const char *at = strstr(frame, "\"position\":");
    assert_non_null(at);
    return strtoll(at + strlen("\"position\":"), NULL, 10);
}

#endif
