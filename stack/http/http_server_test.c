/* http_server_test.c: a real server, asked over plain sockets: requests and their bodies. */
#include "http/server_testing.h"

/* --- plain requests --------------------------------------------------------------------------- */

static void a_request_is_answered_with_the_default_headers(void **state)
{
    test_answer answer = test_ask(*state, "GET /hello/you/ HTTP/1.1\r\n" HOST END);
    assert_int_equal(answer.status, 200);
    assert_true(test_body_is(&answer, "hello you"));
    char value[128];
    assert_true(test_header(&answer, "Date", value, sizeof(value)));
    assert_true(test_header(&answer, "X-Request-Id", value, sizeof(value)));
    assert_true(test_header(&answer, "X-Content-Type-Options", value, sizeof(value)));
    assert_string_equal(value, "nosniff");
    assert_true(test_header(&answer, "Referrer-Policy", value, sizeof(value)));
    assert_true(test_header(&answer, "X-Frame-Options", value, sizeof(value)));
    assert_true(test_header(&answer, "Cross-Origin-Opener-Policy", value, sizeof(value)));
    assert_false(test_header(&answer, "Server", value, sizeof(value)));
    test_answer_free(&answer);
    assert_int_equal(atomic_load(&begun), 1);
    assert_int_equal(atomic_load(&finished), 1);
}

static void a_connection_is_kept_for_the_next_request(void **state)
{
    int fd = test_connect(*state);
    for (int i = 0; i < 20; i++) {
        test_send(fd, "GET /hello/again/ HTTP/1.1\r\n" HOST END);
        test_answer answer = test_read(fd);
        assert_int_equal(answer.status, 200);
        test_answer_free(&answer);
    }
    test_send(fd, "GET /hello/last/ HTTP/1.1\r\nConnection: close\r\n" HOST END);
    test_answer answer = test_read(fd);
    char value[64];
    assert_true(test_header(&answer, "Connection", value, sizeof(value)));
    assert_string_equal(value, "close");
    assert_true(test_is_closed(fd));
    test_answer_free(&answer);
    close(fd);
}

static void an_old_client_is_answered_and_closed(void **state)
{
    int fd = test_connect(*state);
    test_send(fd, "GET /numbers/ HTTP/1.0\r\n\r\n");
    test_answer answer = test_read(fd);
    assert_int_equal(answer.status, 200);
    char value[64];
    assert_false(test_header(&answer, "Transfer-Encoding", value, sizeof(value)));
    assert_true(answer.closed);
    assert_true(test_body_has(&answer, "\n999\n"));
    test_answer_free(&answer);
    close(fd);
}

static void pipelined_requests_are_answered_in_order_though_the_first_is_slow(void **state)
{
    int fd = test_connect(*state);
    test_send(fd, "GET /rest/ HTTP/1.1\r\n" HOST END "GET /hello/1/ HTTP/1.1\r\n" HOST END
                  "POST /echo/ HTTP/1.1\r\nContent-Length: 3\r\n" HOST END "abc"
                  "GET /numbers/ HTTP/1.1\r\n" HOST END "GET /hello/2/ HTTP/1.1\r\n" HOST END);
    static const char *const bodies[] = { "rested", "hello 1", "abc", NULL, "hello 2" };
    static test_rest rest;
    rest.length = 0;
    for (int i = 0; i < 5; i++) {
        test_answer answer = test_read_more(fd, false, &rest);
        assert_int_equal(answer.status, 200);
        if (bodies[i])
            assert_true(test_body_is(&answer, bodies[i]));
        test_answer_free(&answer);
    }
    close(fd);
}

static void a_thousand_pipelined_requests_are_all_answered(void **state)
{
    int fd = test_connect(*state);
    enum { SIZE = 1000 * 64 };
    char *all = malloc(SIZE);
    size_t length = 0;
    for (int i = 0; i < 1000; i++)
        length += (size_t)snprintf(all + length, SIZE - length, "GET /hello/%d/ HTTP/1.1\r\n" HOST END, i);
    test_send_bytes(fd, all, length);
    free(all);
    static test_rest rest;
    rest.length = 0;
    for (int i = 0; i < 1000; i++) {
        char expected[32];
        snprintf(expected, sizeof(expected), "hello %d", i);
        test_answer answer = test_read_more(fd, false, &rest);
        assert_true(test_body_is(&answer, expected));
        test_answer_free(&answer);
    }
    close(fd);
}

static void a_request_in_single_bytes_is_understood(void **state)
{
    int fd = test_connect(*state);
    const char *request =
        "POST /echo/ HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    for (const char *at = request; *at; at++)
        test_send_bytes(fd, at, 1);
    test_answer answer = test_read(fd);
    assert_true(test_body_is(&answer, "abcde"));
    test_answer_free(&answer);
    close(fd);
}

static void head_has_the_length_and_no_body(void **state)
{
    int fd = test_connect(*state);
    test_send(fd, "HEAD /hello/you/ HTTP/1.1\r\n" HOST END "GET /hello/me/ HTTP/1.1\r\n" HOST END);
    static test_rest rest;
    rest.length = 0;
    test_answer answer = test_read_more(fd, true, &rest);
    char value[64];
    assert_int_equal(answer.status, 200);
    assert_true(test_header(&answer, "Content-Length", value, sizeof(value)));
    assert_string_equal(value, "9");
    test_answer_free(&answer);
    answer = test_read_more(fd, false, &rest);
    assert_true(test_body_is(&answer, "hello me"));
    test_answer_free(&answer);
    close(fd);
}

static void what_is_not_there_is_said_with_the_right_status(void **state)
{
    static const struct {
        const char *request;
        int status;
        const char *header, *value;
    } rows[] = {
        { "GET /nothing/ HTTP/1.1\r\n" HOST END, 404, "Content-Type", "application/problem+json" },
        { "DELETE /hello/x/ HTTP/1.1\r\n" HOST END, 405, "Allow", "GET, HEAD, OPTIONS" },
        { "GET /echo/ HTTP/1.1\r\n" HOST END, 405, "Allow", "POST, OPTIONS" },
        { "OPTIONS /echo/ HTTP/1.1\r\n" HOST END, 204, "Allow", "POST, OPTIONS" },
        { "GET /hello/x?a=1 HTTP/1.1\r\n" HOST END, 301, "Location", "/hello/x/?a=1" },
        { "POST /echo HTTP/1.1\r\nContent-Length: 0\r\n" HOST END, 308, "Location", "/echo/" },
        { "GET //evil.example/%2e%2e/hello/x HTTP/1.1\r\n" HOST END, 301, "Location", "/hello/x/" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        test_answer answer = test_ask(*state, rows[i].request);
        char value[256] = "";
        assert_int_equal(answer.status, rows[i].status);
        assert_true(test_header(&answer, rows[i].header, value, sizeof(value)));
        assert_string_equal(value, rows[i].value);
        test_answer_free(&answer);
    }
}

static void a_raise_becomes_a_problem_document_and_cleans_up(void **state)
{
    test_answer answer = test_ask(*state, "GET /refuse/ HTTP/1.1\r\n" HOST END);
    char value[64];
    assert_int_equal(answer.status, 409);
    assert_true(test_body_has(
        &answer, "\"status\":409,\"code\":\"own_message\",\"detail\":\"You wrote \\\"this\\\" yourself.\""));
    assert_true(test_body_has(&answer, "\"request_id\":\""));
    assert_true(test_header(&answer, "X-Kept", value, sizeof(value)));
    assert_false(test_header(&answer, "ETag", value, sizeof(value)));
    test_answer_free(&answer);
    assert_true(test_wait_for(&deferred, 1));
    assert_int_equal(atomic_load(&finished), 1);
}

static void a_request_that_eats_memory_fails_alone(void **state)
{
    int fd = test_connect(*state);
    test_send(fd, "GET /memory/ HTTP/1.1\r\n" HOST END);
    test_answer answer = test_read(fd);
    assert_int_equal(answer.status, 500);
    assert_true(test_body_has(&answer, "memory_limit"));
    test_answer_free(&answer);
    test_send(fd, "GET /hello/still/ HTTP/1.1\r\n" HOST END);
    answer = test_read(fd);
    assert_true(test_body_is(&answer, "hello still"));
    test_answer_free(&answer);
    close(fd);
}

static void query_values_and_cookies_are_read(void **state)
{
    static const char *const rows[][2] = {
        { "GET /query/?q=a%20b%26c HTTP/1.1\r\n" HOST END, "=a b&c" },
        { "GET /query/?x=1 HTTP/1.1\r\n" HOST END, "none" },
        { "GET /query/?q HTTP/1.1\r\n" HOST END, "=" },
        { "GET /cookies/ HTTP/1.1\r\nCookie: x=1; seen=yes\r\n" HOST END, "yes" },
    };
    for (size_t i = 0; i < 4; i++) {
        test_answer answer = test_ask(*state, rows[i][0]);
        assert_int_equal(answer.status, 200);
        assert_true(test_body_is(&answer, rows[i][1]));
        if (i == 3) {
            assert_non_null(strstr(answer.text, "Set-Cookie: a=1"));
            assert_non_null(strstr(answer.text, "Set-Cookie: b=2"));
        }
        test_answer_free(&answer);
    }
    test_answer answer = test_ask(*state, "GET /query/?q=%ff HTTP/1.1\r\n" HOST END);
    assert_int_equal(answer.status, 400);
    test_answer_free(&answer);
}

/* --- bodies ----------------------------------------------------------------------------------- */

static void bodies_come_whole_however_they_are_framed(void **state)
{
    test_answer answer = test_ask(*state, "POST /echo/ HTTP/1.1\r\nContent-Length: 5\r\n" HOST END "abcde");
    assert_true(test_body_is(&answer, "abcde"));
    test_answer_free(&answer);
    answer = test_ask(*state, "POST /echo/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" HOST END
                              "5\r\nabcde\r\n1;x=y\r\nf\r\n0\r\n\r\n");
    assert_true(test_body_is(&answer, "abcdef"));
    test_answer_free(&answer);
    answer = test_ask(*state, "POST /echo/ HTTP/1.1\r\nContent-Length: 0\r\n" HOST END);
    assert_true(test_body_is(&answer, ""));
    test_answer_free(&answer);
}

static void send_large(int fd, const char *path, size_t length)
{
    char head[256];
    snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nContent-Length: %zu\r\n" HOST END, path, length);
    test_send(fd, head);
    char *body = malloc(length);
    for (size_t i = 0; i < length; i++)
        body[i] = (char)('a' + i % 23);
    test_send_bytes(fd, body, length);
    free(body);
}

static void a_large_body_is_echoed_to_the_byte(void **state)
{
    int fd = test_connect(*state);
    size_t length = 2 * 1024 * 1024 + 7;
    send_large(fd, "/echo/", length);
    test_answer answer = test_read(fd);
    assert_int_equal(answer.body_length, length);
    for (size_t i = 0; i < length; i += 4099)
        assert_int_equal(answer.body[i], 'a' + i % 23);
    test_answer_free(&answer);
    close(fd);
}

static void a_body_is_read_in_pieces_within_bounded_memory(void **state)
{
    int fd = test_connect(*state);
    send_large(fd, "/pieces/", 6 * 1024 * 1024);
    test_answer answer = test_read(fd);
    if (!test_body_is(&answer, "6291456"))
        print_error("%d %.*s\n", answer.status, (int)answer.body_length, answer.body);
    assert_true(test_body_is(&answer, "6291456"));
    test_answer_free(&answer);
    close(fd);
}

static void a_body_above_the_routes_limit_is_refused(void **state)
{
    static const char *const requests[] = {
        "POST /small/ HTTP/1.1\r\nContent-Length: 11\r\n" HOST END "01234567890",
        "POST /small/ HTTP/1.1\r\nContent-Length: 99999999999\r\n" HOST END,
        "POST /small/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" HOST END "b\r\n01234567890\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < 3; i++) {
        int fd = test_connect(*state);
        test_send(fd, requests[i]);
        test_answer answer = test_read(fd);
        assert_int_equal(answer.status, 413);
        assert_true(test_is_closed(fd));
        test_answer_free(&answer);
        close(fd);
    }
}

static void a_refusal_reaches_a_client_that_is_still_sending(void **state)
{
    int fd = test_connect(*state);
    send_large(fd, "/small/", 700 * 1024);
    test_answer answer = test_read(fd);
    assert_int_equal(answer.status, 413);
    test_answer_free(&answer);
    close(fd);
}

/* Many clients look for an answer only when they have sent everything, and take a connection that is cut for
 * none. */
static void who_is_refused_may_send_to_the_end(void **state)
{
    enum { BODY_BYTES = 12 * 1024 * 1024, PIECE_BYTES = 64 * 1024 };
    char head[128], *piece = calloc(1, PIECE_BYTES);
    int fd = test_connect(*state);
    snprintf(head, sizeof(head), "POST /small/ HTTP/1.1\r\nContent-Length: %d\r\n" HOST END, BODY_BYTES);
    test_send(fd, head);
    test_answer answer = test_read(fd);
    assert_int_equal(answer.status, 413);
    test_answer_free(&answer);
    for (size_t sent = 0; sent < BODY_BYTES;) {
        ssize_t taken = send(fd, piece, PIECE_BYTES, MSG_NOSIGNAL);
        assert_true(taken > 0);
        sent += (size_t)taken;
    }
    shutdown(fd, SHUT_WR);
    assert_int_equal(recv(fd, piece, PIECE_BYTES, 0), 0); /* an orderly end, not a reset */
    free(piece);
    close(fd);
}

static void an_unread_body_does_not_become_the_next_request(void **state)
{
    int fd = test_connect(*state);
    test_send(fd, "POST /ignore/ HTTP/1.1\r\nContent-Length: 40\r\n" HOST END);
    test_answer answer = test_read(fd);
    assert_true(test_body_is(&answer, "ignored"));
    test_answer_free(&answer);
    test_send(fd, "GET /hello/smuggled/ HTTP/1.1\r\nHost: x\r\n");
    test_send(fd, "GET /hello/next/ HTTP/1.1\r\n" HOST END);
    answer = test_read(fd);
    assert_true(test_body_is(&answer, "hello next"));
    test_answer_free(&answer);
    close(fd);
}

static void expect_is_answered_before_the_body_is_sent(void **state)
{
    int fd = test_connect(*state);
    test_send(fd, "POST /echo/ HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n" HOST END);
    test_answer answer = test_read(fd);
    assert_int_equal(answer.status, 100);
    test_answer_free(&answer);
    test_send(fd, "abc");
    answer = test_read(fd);
    assert_true(test_body_is(&answer, "abc"));
    test_answer_free(&answer);
    close(fd);
    fd = test_connect(*state); /* refused: not asked to go on */
    test_send(fd, "POST /small/ HTTP/1.1\r\nContent-Length: 300\r\nExpect: 100-continue\r\n" HOST END);
    answer = test_read(fd);
    assert_int_equal(answer.status, 413);
    assert_true(test_is_closed(fd));
    test_answer_free(&answer);
    close(fd);
}

static void bodies_are_parsed_by_their_type(void **state)
{
#define BODY(path, type, length, text) \
    "POST " path " HTTP/1.1\r\nContent-Type: " type "\r\nContent-Length: " length "\r\n" HOST END text
    static const struct {
        const char *request;
        int status;
        const char *body;
    } rows[] = {
        { BODY("/json/", "application/json", "12", "{\"name\":\"a\"}"), 200, "a" },
        { BODY("/json/", "application/json; charset=utf-8", "12", "{\"name\":\"a\"}"), 200, "a" },
        { BODY("/json/", "application/json", "12", "{\"name\":\"a\"]"), 400, NULL },
        { BODY("/json/", "text/plain", "12", "{\"name\":\"a\"}"), 415, NULL },
        { BODY("/form/", "application/x-www-form-urlencoded", "8", "name=a+b"), 200, "a b" },
        { BODY("/form/", "application/x-www-form-urlencoded", "8", "name=%zz"), 400, NULL },
        { BODY("/form/", "text/plain", "8", "name=a+b"), 415, NULL },
        { BODY("/upload/", "multipart/form-data; boundary=b", "92",
               "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nfile bytes\r\n"
               "--b--\r\n\r\n\r\n\r\n"),
          200, "1 a.txt file bytes" },
        { BODY("/upload/", "multipart/form-data; boundary=b", "20", "--b\r\nContent-Disposi"), 400, NULL },
        { BODY("/upload/", "text/plain", "2", "ab"), 415, NULL },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        test_answer answer = test_ask(*state, rows[i].request);
        assert_int_equal(answer.status, rows[i].status);
        if (rows[i].body)
            assert_true(test_body_is(&answer, rows[i].body));
        test_answer_free(&answer);
    }
}

int main(void)
{
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, 2);
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered_with_the_default_headers),
        TEST(a_connection_is_kept_for_the_next_request),
        TEST(an_old_client_is_answered_and_closed),
        TEST(pipelined_requests_are_answered_in_order_though_the_first_is_slow),
        TEST(a_thousand_pipelined_requests_are_all_answered),
        TEST(a_request_in_single_bytes_is_understood),
        TEST(head_has_the_length_and_no_body),
        TEST(what_is_not_there_is_said_with_the_right_status),
        TEST(a_raise_becomes_a_problem_document_and_cleans_up),
        TEST(a_request_that_eats_memory_fails_alone),
        TEST(query_values_and_cookies_are_read),
        TEST(bodies_come_whole_however_they_are_framed),
        TEST(a_large_body_is_echoed_to_the_byte),
        TEST(a_body_is_read_in_pieces_within_bounded_memory),
        IMPATIENT_TEST(a_body_above_the_routes_limit_is_refused),
        TEST(a_refusal_reaches_a_client_that_is_still_sending),
        TEST(who_is_refused_may_send_to_the_end),
        TEST(an_unread_body_does_not_become_the_next_request),
        TEST(expect_is_answered_before_the_body_is_sent),
        TEST(bodies_are_parsed_by_their_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
