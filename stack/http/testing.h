/* testing.h: a real server on a free port in a thread, and a client made of a plain socket, for this room's
 * tests. */
#ifndef TIMS_HTTP_TESTING_H
#define TIMS_HTTP_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tims/http.h"

enum { TEST_WAIT_MS = 10000, TEST_ANSWER_MAX = 4 * 1024 * 1024 };

typedef struct test_server {
    tims_server_options options;
    tims_router *router;
    tims_server *server;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool ready, ended;
    tims_status status;
    tims_error err;
    uint16_t port;
} test_server;

static inline void test_note_ready(tims_server *server, void *argument)
{
    test_server *t = argument;
    pthread_mutex_lock(&t->mutex);
    t->server = server;
    t->port = tims_server_port(server);
    t->ready = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->mutex);
}

static inline void *test_run(void *argument)
{
    test_server *t = argument;
    t->status = tims_server_run(&t->options, test_note_ready, t, &t->err);
    pthread_mutex_lock(&t->mutex);
    t->ended = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->mutex);
    return NULL;
}

/* Options that tests change afterwards: set them in `t->options` before test_start. */
static inline void test_prepare(test_server *t, const tims_route *routes, size_t count)
{
    memset(t, 0, sizeof(*t));
    const tims_route *pointers[64];
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++)
        pointers[i] = &routes[i];
    assert_int_equal(tims_router_new(pointers, count, &t->router, &t->err), TIMS_OK);
    tims_server_options_default(&t->options);
    t->options.port = 0;
    t->options.loops = 1;
    t->options.router = t->router;
    t->options.access_log = false;
    t->options.drain_timeout_ms = 3000;
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->changed, NULL);
}

static inline void test_start(test_server *t)
{
    assert_int_equal(pthread_create(&t->thread, NULL, test_run, t), 0);
    pthread_mutex_lock(&t->mutex);
    while (!t->ready && !t->ended)
        pthread_cond_wait(&t->changed, &t->mutex);
    pthread_mutex_unlock(&t->mutex);
    if (!t->ready)
        print_error("%s\n", t->err.message);
    assert_true(t->ready);
}

static inline void test_join(test_server *t)
{
    pthread_join(t->thread, NULL);
    tims_router_free(&t->router);
    pthread_mutex_destroy(&t->mutex);
    pthread_cond_destroy(&t->changed);
    assert_int_equal(t->status, TIMS_OK);
}

static inline void test_stop(test_server *t)
{
    tims_server_stop(t->server);
    test_join(t);
}

/* --- the client ------------------------------------------------------------------------------- */

/* From 127.0.0.`host`: each is a client of its own. */
static inline int test_connect_from(const test_server *t, uint32_t host)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in own = { .sin_family = AF_INET,
                               .sin_addr = { htonl((INADDR_LOOPBACK & ~UINT32_C(0xff)) | host) } };
    assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(t->port),
                                   .sin_addr = { htonl(INADDR_LOOPBACK) } };
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static inline int test_connect(const test_server *t)
{
    return test_connect_from(t, 1);
}

static inline void test_send_bytes(int fd, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t sent = send(fd, at, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server may have closed; what it said is still read */
        at += sent;
        length -= (size_t)sent;
    }
}

static inline void test_send(int fd, const char *text)
{
    test_send_bytes(fd, text, strlen(text));
}

/* -1: nothing within the deadline; 0: the end. */
static inline ssize_t test_receive(int fd, char *buffer, size_t size)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    if (poll(&wait, 1, TEST_WAIT_MS) != 1)
        return -1;
    ssize_t got = recv(fd, buffer, size, 0);
    return got < 0 ? 0 : got;
}

typedef struct test_answer {
    int status;
    char *text; /* head and body */
    const char *body;
    size_t body_length;
    bool closed; /* the connection ended behind it */
} test_answer;

static inline void test_answer_free(test_answer *answer)
{
    free(answer->text);
    *answer = (test_answer){ 0 };
}

static inline size_t test_find(const char *text, size_t length, const char *needle)
{
    const char *found = memmem(text, length, needle, strlen(needle));
    return found ? (size_t)(found - text) : SIZE_MAX;
}

/* A header's value in `ret_value`; false when it is absent. */
static inline bool test_header(const test_answer *answer, const char *name, char *ret_value, size_t size)
{
    char line[128];
    snprintf(line, sizeof(line), "\r\n%s: ", name);
    const char *end_of_head = strstr(answer->text, "\r\n\r\n");
    const char *at = strcasestr(answer->text, line);
    if (!at || at >= end_of_head)
        return false;
    at += strlen(line);
    size_t length = strcspn(at, "\r\n");
    if (length >= size)
        length = size - 1;
    memcpy(ret_value, at, length);
    ret_value[length] = 0;
    return true;
}

/* The number that the digits at `at` make; what is behind them ends it. */
static inline size_t test_number(const char *at, size_t base)
{
    static const char digits[] = "0123456789abcdef";
    size_t number = 0;
    for (const char *found; (found = memchr(digits, tolower((unsigned char)*at), base)) != NULL; at++)
        number = number * base + (size_t)(found - digits);
    return number;
}

/* Decodes chunks in place; false while the last one is not there. */
static inline bool test_unchunk(char *bytes, size_t length, size_t *ret_length, size_t *ret_used)
{
    size_t in = 0, out = 0;
    char *copy = malloc(length + 1);
    bool whole = false;
    while (true) {
        size_t line = test_find(bytes + in, length - in, "\r\n");
        if (line == SIZE_MAX)
            break;
        size_t size = test_number(bytes + in, 16);
        in += line + 2;
        if (in + size + 2 > length)
            break;
        memcpy(copy + out, bytes + in, size);
        out += size;
        in += size + 2;
        if (size == 0) {
            whole = true;
            break;
        }
    }
    if (whole) {
        memcpy(bytes, copy, out);
        *ret_length = out;
        *ret_used = in;
    }
    free(copy);
    return whole;
}

/* Bytes that came behind an answer, for the next. */
typedef struct test_rest {
    char bytes[1024 * 1024];
    size_t length;
} test_rest;

/* Reads one answer. `no_body`: to a HEAD. Status 0 when the connection ended (or nothing came) before. */
static inline test_answer test_read_more(int fd, bool no_body, test_rest *rest)
{
    test_answer answer = { .text = malloc(TEST_ANSWER_MAX + 1) };
    size_t length = 0;
    if (rest && rest->length > 0) {
        memcpy(answer.text, rest->bytes, rest->length);
        length = rest->length;
        rest->length = 0;
    }
    while (length < TEST_ANSWER_MAX) {
        answer.text[length] = 0;
        size_t head = test_find(answer.text, length, "\r\n\r\n");
        if (head != SIZE_MAX) {
            char value[64];
            head += 4;
            size_t have = length - head, used = SIZE_MAX;
            answer.body = answer.text + head;
            int status = (int)test_number(answer.text + 9, 10);
            if (no_body || status == 204 || status == 304 || status < 200) {
                answer.body_length = 0;
                used = head;
            } else if (test_header(&answer, "Content-Length", value, sizeof(value))) {
                answer.body_length = test_number(value, 10);
                if (have >= answer.body_length)
                    used = head + answer.body_length;
            } else if (test_header(&answer, "Transfer-Encoding", value, sizeof(value))) {
                size_t used_body = 0;
                if (test_unchunk(answer.text + head, have, &answer.body_length, &used_body))
                    used = head + used_body;
            }
            if (used != SIZE_MAX) {
                answer.status = status;
                if (rest && used < length) {
                    assert_true(length - used <= sizeof(rest->bytes));
                    rest->length = length - used;
                    memcpy(rest->bytes, answer.text + used, rest->length);
                }
                return answer;
            }
        }
        ssize_t got = test_receive(fd, answer.text + length, TEST_ANSWER_MAX - length);
        if (got <= 0) {
            answer.closed = got == 0;
            char value[64];
            if (head != SIZE_MAX && !test_header(&answer, "Content-Length", value, sizeof(value)) &&
                !test_header(&answer, "Transfer-Encoding", value, sizeof(value))) {
                answer.status = (int)test_number(answer.text + 9, 10); /* ended by the close */
                answer.body_length = length - head;
            }
            return answer;
        }
        length += (size_t)got;
    }
    return answer;
}

static inline test_answer test_read(int fd)
{
    return test_read_more(fd, false, NULL);
}

/* True when the server closes within the deadline (what it still sends is dropped). */
static inline bool test_is_closed(int fd)
{
    char buffer[4096];
    ssize_t got;
    while ((got = test_receive(fd, buffer, sizeof(buffer))) > 0)
        continue;
    return got == 0;
}

/* One request on a connection of its own. */
static inline test_answer test_ask(const test_server *t, const char *request)
{
    int fd = test_connect(t);
    test_send(fd, request);
    test_answer answer = test_read_more(fd, strncmp(request, "HEAD ", 5) == 0, NULL);
    close(fd);
    return answer;
}

static inline bool test_body_is(const test_answer *answer, const char *text)
{
    return answer->body_length == strlen(text) && memcmp(answer->body, text, strlen(text)) == 0;
}

static inline bool test_body_has(const test_answer *answer, const char *text)
{
    return test_find(answer->body, answer->body_length, text) != SIZE_MAX;
}

/* Waits until the counter has the value. */
static inline bool test_wait_for(atomic_int *counter, int value)
{
    for (int waited = 0; waited < TEST_WAIT_MS; waited++) {
        if (atomic_load(counter) == value)
            return true;
        poll(NULL, 0, 1);
    }
    return false;
}

#endif
