/* http_server_test.c: a real server, asked over plain sockets: well, badly, slowly, and by clients that
 * leave. */
#include "http/testing.h"

#include <netinet/tcp.h>

static atomic_int cancelled, deferred, finished, begun;

/* --- the handlers ----------------------------------------------------------------------------- */

static tims_answer say_hello(tims_request *rq)
{
    return tims_answer_text(rq, 200, "hello %.*s", TIMS_PRINT(tims_path_str(rq, "name")));
}

static tims_answer echo_body(tims_request *rq)
{
    return tims_answer_bytes(200, TIMS_STR("application/octet-stream"), tims_body(rq));
}

static tims_answer count_pieces(tims_request *rq)
{
    size_t total = 0;
    for (tims_str piece = tims_body_next(rq); piece.length > 0; piece = tims_body_next(rq))
        total += piece.length;
    return tims_answer_text(rq, 200, "%zu", total);
}

static tims_answer ignore_body(tims_request *rq)
{
    return tims_answer_text(rq, 200, "ignored");
}

static tims_answer parse_json(tims_request *rq)
{
    const tims_json *value = tims_body_json(rq);
    return tims_answer_text(rq, 200, "%.*s",
                            TIMS_PRINT(tims_json_get_str(value, TIMS_STR("name"), TIMS_STR("?"))));
}

static tims_answer parse_form(tims_request *rq)
{
    return tims_answer_text(rq, 200, "%.*s",
                            TIMS_PRINT(tims_pairs_get(tims_body_form(rq), TIMS_STR("name"))));
}

static tims_answer take_uploads(tims_request *rq)
{
    tims_uploads uploads = tims_body_uploads(rq);
    return tims_answer_text(rq, 200, "%zu %.*s %.*s", uploads.count, TIMS_PRINT(uploads.items[0].filename),
                            TIMS_PRINT(uploads.items[0].data));
}

static tims_answer show_query(tims_request *rq)
{
    tims_str value = tims_query_get(rq, TIMS_STR("q"));
    return tims_answer_text(rq, 200, "%s%.*s", value.data ? "=" : "none", TIMS_PRINT(value));
}

static void count_up(void *counter)
{
    atomic_fetch_add((atomic_int *)counter, 1);
}

static tims_answer sleep_long(tims_request *rq)
{
    tims_defer(rq, count_up, &deferred);
    if (tims_sleep_ms(60 * 1000) == TIMS_CANCELLED)
        atomic_fetch_add(&cancelled, 1);
    return tims_answer_text(rq, 200, "slept");
}

static tims_answer sleep_a_little(tims_request *rq)
{
    (void)!tims_sleep_ms(100);
    return tims_answer_text(rq, 200, "rested");
}

static tims_answer stream_numbers(tims_request *rq)
{
    tims_stream_head(rq, 200, TIMS_STR("text/plain"));
    for (int i = 0; i < 1000; i++)
        tims_stream_out(rq, tims_print(rq->arena, "%d\n", i));
    return tims_answer_sent();
}

static tims_answer stream_forever(tims_request *rq)
{
    tims_defer(rq, count_up, &deferred);
    char *block = tims_alloc(rq->arena, 65536);
    tims_stream_head(rq, 200, TIMS_STR("application/octet-stream"));
    while (!tims_client_gone(rq))
        tims_stream_out(rq, (tims_str){ block, 65536 });
    return tims_answer_sent();
}

static tims_answer break_off(tims_request *rq)
{
    tims_stream_head(rq, 200, TIMS_STR("text/plain"));
    tims_stream_out(rq, TIMS_STR("half"));
    tims_raise(rq, 500, "broken", "This breaks.");
}

static tims_answer refuse_always(tims_request *rq)
{
    tims_defer(rq, count_up, &deferred);
    tims_set_header(rq, TIMS_STR("ETag"), TIMS_STR("\"x\""));
    tims_set_header(rq, TIMS_STR("X-Kept"), TIMS_STR("yes"));
    tims_raise(rq, 409, "own_message", "You wrote \"this\" yourself.");
}

static tims_answer eat_memory(tims_request *rq)
{
    for (int i = 0; i < 1000; i++)
        tims_alloc(rq->arena, 100000);
    return tims_answer_empty(204);
}

static tims_answer large_body(tims_request *rq)
{
    size_t length = 3 * 1024 * 1024;
    char *bytes = tims_alloc_raw(rq->arena, length);
    memset(bytes, 'x', length);
    return tims_answer_bytes(200, TIMS_STR("application/octet-stream"), (tims_str){ bytes, length });
}

static tims_answer tagged(tims_request *rq)
{
    if (tims_not_modified(rq, TIMS_STR("\"v1\"")))
        return tims_answer_empty(304);
    return tims_answer_text(rq, 200, "first version");
}

static tims_answer compressible(tims_request *rq)
{
    char *text = tims_alloc(rq->arena, 20000);
    memset(text, 'a', 20000);
    tims_set_header(rq, TIMS_STR("ETag"), TIMS_STR("\"abc\""));
    return tims_answer_json(200, (tims_str){ text, 20000 });
}

static tims_answer show_peer(tims_request *rq)
{
    return tims_answer_text(rq, 200, "%.*s %d %.*s", TIMS_PRINT(rq->peer), rq->secure, TIMS_PRINT(rq->id));
}

static tims_answer set_cookies(tims_request *rq)
{
    tims_set_cookie(rq, &(tims_cookie){ .name = TIMS_STR("a"), .value = TIMS_STR("1"), .http_only = true });
    tims_set_cookie(rq, &(tims_cookie){ .name = TIMS_STR("b"), .value = TIMS_STR("2") });
    return tims_answer_text(rq, 200, "%.*s", TIMS_PRINT(tims_cookie_of(rq, TIMS_STR("seen"))));
}

#define GET TIMS_METHOD_GET
#define POST TIMS_METHOD_POST
static const tims_route routes[] = {
    { .methods = GET, .pattern = "/hello/{name}/", .handler = say_hello },
    { .methods = POST, .pattern = "/echo/", .handler = echo_body, .body_bytes_max = 4 << 20 },
    { .methods = POST, .pattern = "/small/", .handler = echo_body, .body_bytes_max = 10 },
    { .methods = POST, .pattern = "/pieces/", .handler = count_pieces, .body_bytes_max = 8 << 20 },
    { .methods = POST, .pattern = "/ignore/", .handler = ignore_body, .body_bytes_max = 4 << 20 },
    { .methods = POST, .pattern = "/json/", .handler = parse_json },
    { .methods = POST, .pattern = "/form/", .handler = parse_form },
    { .methods = POST, .pattern = "/upload/", .handler = take_uploads },
    { .methods = GET, .pattern = "/query/", .handler = show_query },
    { .methods = GET, .pattern = "/sleep/", .handler = sleep_long },
    { .methods = GET, .pattern = "/timeout/", .handler = sleep_long, .timeout_ms = 50 },
    { .methods = GET, .pattern = "/rest/", .handler = sleep_a_little },
    { .methods = GET, .pattern = "/numbers/", .handler = stream_numbers },
    { .methods = GET, .pattern = "/forever/", .handler = stream_forever },
    { .methods = GET, .pattern = "/broken/", .handler = break_off },
    { .methods = GET, .pattern = "/refuse/", .handler = refuse_always },
    { .methods = GET, .pattern = "/memory/", .handler = eat_memory },
    { .methods = GET, .pattern = "/large/", .handler = large_body },
    { .methods = GET, .pattern = "/tagged/", .handler = tagged },
    { .methods = GET, .pattern = "/compressible/", .handler = compressible },
    { .methods = GET, .pattern = "/peer/", .handler = show_peer },
    { .methods = GET, .pattern = "/cookies/", .handler = set_cookies },
};

static void begin(tims_request *rq)
{
    (void)rq;
    atomic_fetch_add(&begun, 1);
}

static void finish(tims_request *rq, tims_answer *answer)
{
    (void)rq;
    (void)answer;
    atomic_fetch_add(&finished, 1);
}

static const char *const origin_items[] = { "https://app.example" };
static const char *const proxy_items[] = { "127.0.0.0/8", "10.0.0.1" };
static const tims_names allowed_origins = { origin_items, 1 };
static const tims_names proxies = { proxy_items, 2 };

static int set_up(void **state)
{
    static test_server t;
    atomic_store(&cancelled, 0);
    atomic_store(&deferred, 0);
    atomic_store(&finished, 0);
    atomic_store(&begun, 0);
    test_prepare(&t, routes, sizeof(routes) / sizeof(routes[0]));
    t.options.begin = begin;
    t.options.finish = finish;
    t.options.memory_bytes_max = 8 << 20;
    t.options.limits.body_bytes_max = 10 << 20;
    t.options.header_timeout_ms = 300;
    t.options.body_timeout_ms = 1000;
    t.options.idle_timeout_ms = 400;
    t.options.write_timeout_ms = 300;
    t.options.connections_max = 8;
    t.options.cors_origins = allowed_origins;
    t.options.trusted_proxies = proxies;
    test_start(&t);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    test_stop(*state);
    return 0;
}

#define HOST "Host: test\r\n"
#define END "\r\n"

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
    char *all = malloc(1000 * 64);
    size_t length = 0;
    for (int i = 0; i < 1000; i++)
        length += (size_t)sprintf(all + length, "GET /hello/%d/ HTTP/1.1\r\n" HOST END, i);
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

/* --- answers ---------------------------------------------------------------------------------- */

static void a_streamed_answer_comes_in_chunks(void **state)
{
    int fd = test_connect(*state);
    for (int i = 0; i < 2; i++) {
        test_send(fd, "GET /numbers/ HTTP/1.1\r\n" HOST END);
        test_answer answer = test_read(fd);
        char value[64];
        assert_true(test_header(&answer, "Transfer-Encoding", value, sizeof(value)));
        assert_int_equal(answer.body_length, 10 * 2 + 90 * 3 + 900 * 4);
        assert_true(test_body_has(&answer, "\n998\n999\n"));
        test_answer_free(&answer);
    }
    close(fd);
}

static void a_stream_that_fails_is_cut_and_not_ended(void **state)
{
    int fd = test_connect(*state);
    test_send(fd, "GET /broken/ HTTP/1.1\r\n" HOST END);
    test_answer answer = test_read(fd);
    assert_int_equal(answer.status, 0); /* never whole */
    assert_true(answer.closed);
    test_answer_free(&answer);
    close(fd);
}

static void a_large_answer_arrives_whole(void **state)
{
    int fd = test_connect(*state);
    for (int i = 0; i < 3; i++) {
        test_send(fd, "GET /large/ HTTP/1.1\r\n" HOST END);
        test_answer answer = test_read(fd);
        assert_int_equal(answer.body_length, 3 * 1024 * 1024);
        test_answer_free(&answer);
    }
    close(fd);
}

static void what_the_client_has_is_not_sent_again(void **state)
{
    static const struct {
        const char *header;
        int status;
    } rows[] = {
        { "", 200 },
        { "If-None-Match: \"v1\"\r\n", 304 },
        { "If-None-Match: W/\"v1\"\r\n", 304 },
        { "If-None-Match: \"v0\", \"v1\"\r\n", 304 },
        { "If-None-Match: *\r\n", 304 },
        { "If-None-Match: \"v2\"\r\n", 200 },
        { "If-None-Match: v1\r\n", 200 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char request[256];
        snprintf(request, sizeof(request), "GET /tagged/ HTTP/1.1\r\n%s" HOST END, rows[i].header);
        test_answer answer = test_ask(*state, request);
        char value[64];
        assert_int_equal(answer.status, rows[i].status);
        assert_true(test_header(&answer, "ETag", value, sizeof(value)));
        test_answer_free(&answer);
    }
}

static void answers_are_compressed_as_the_client_likes_best(void **state)
{
    static const struct {
        const char *accept, *encoding;
    } rows[] = {
        { "gzip, br", "br" }, { "gzip", "gzip" },      { "br;q=0.5, gzip", "gzip" },
        { "*", "br" },        { "br;q=0, *", "gzip" }, { "identity", NULL },
        { "deflate", NULL },  { "gzip;q=0", NULL },    { "gzip;q=x", NULL },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char request[256], value[64];
        snprintf(request, sizeof(request), "GET /compressible/ HTTP/1.1\r\nAccept-Encoding: %s\r\n" HOST END,
                 rows[i].accept);
        test_answer answer = test_ask(*state, request);
        assert_int_equal(answer.status, 200);
        bool is_encoded = test_header(&answer, "Content-Encoding", value, sizeof(value));
        assert_int_equal(is_encoded, rows[i].encoding != NULL);
        if (is_encoded)
            assert_string_equal(value, rows[i].encoding);
        assert_true(is_encoded ? answer.body_length < 1000 : answer.body_length == 20000);
        assert_true(test_header(&answer, "ETag", value, sizeof(value)));
        assert_string_equal(value, is_encoded ? "W/\"abc\"" : "\"abc\"");
        assert_true(test_header(&answer, "Vary", value, sizeof(value)));
        assert_non_null(strstr(value, "Accept-Encoding"));
        test_answer_free(&answer);
    }
}

/* --- origins and proxies ---------------------------------------------------------------------- */

static void only_named_origins_are_let_in(void **state)
{
    test_answer answer = test_ask(
        *state, "OPTIONS /echo/ HTTP/1.1\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: "
                "POST\r\nAccess-Control-Request-Headers: content-type\r\n" HOST END);
    char value[128];
    assert_int_equal(answer.status, 204);
    assert_true(test_header(&answer, "Access-Control-Allow-Origin", value, sizeof(value)));
    assert_string_equal(value, "https://app.example");
    assert_true(test_header(&answer, "Access-Control-Allow-Credentials", value, sizeof(value)));
    assert_true(test_header(&answer, "Access-Control-Allow-Methods", value, sizeof(value)));
    assert_string_equal(value, "POST, OPTIONS");
    assert_true(test_header(&answer, "Access-Control-Allow-Headers", value, sizeof(value)));
    assert_string_equal(value, "content-type");
    test_answer_free(&answer);
    answer = test_ask(*state, "GET /hello/x/ HTTP/1.1\r\nOrigin: https://evil.example\r\n" HOST END);
    assert_int_equal(answer.status, 200);
    assert_false(test_header(&answer, "Access-Control-Allow-Origin", value, sizeof(value)));
    assert_true(test_header(&answer, "Vary", value, sizeof(value)));
    test_answer_free(&answer);
}

static void trusted_proxies_say_who_asks(void **state)
{
    static const char *const rows[][2] = {
        { "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Request-Id: abcdefgh-1\r\n",
          "1.2.3.4 1 abcdefgh-1" },
        { "X-Forwarded-For: 6.6.6.6, 1.2.3.4, 10.0.0.1\r\nX-Request-Id: abcdefgh-2\r\n",
          "1.2.3.4 0 abcdefgh-2" },
        { "X-Forwarded-For: nonsense\r\nX-Request-Id: abcdefgh-3\r\n", "127.0.0.1 0 abcdefgh-3" },
        { "X-Forwarded-For: 2001:db8::1\r\nX-Request-Id: abcdefgh-4\r\n", "2001:db8::1 0 abcdefgh-4" },
    };
    for (size_t i = 0; i < 4; i++) {
        char request[512];
        snprintf(request, sizeof(request), "GET /peer/ HTTP/1.1\r\n%s" HOST END, rows[i][0]);
        test_answer answer = test_ask(*state, request);
        assert_true(test_body_is(&answer, rows[i][1]));
        test_answer_free(&answer);
    }
    test_answer answer = test_ask(*state, "GET /peer/ HTTP/1.1\r\nX-Request-Id: a b\"c\r\n" HOST END);
    assert_false(test_body_has(&answer, "a b"));
    test_answer_free(&answer);
}

/* --- bad input: the answer is a problem, the connection closes, the server lives -------------- */

static void bad_input_is_refused_and_closed(void **state)
{
    static const struct {
        const char *request;
        int status;
    } rows[] = {
        { "nonsense\r\n\r\n", 400 },
        { "GET /hello/x/ HTTP/1.1\r\n\r\n", 400 },           /* no Host */
        { "GET /hello/x/ HTTP/1.1\r\n" HOST HOST END, 400 }, /* two */
        { "GET /hello/x/ HTTP/2.0\r\n" HOST END, 505 },
        { "BREW /hello/x/ HTTP/1.1\r\n" HOST END, 501 },
        { "POST /echo/ HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n" HOST END "0\r\n\r\n",
          400 },
        { "POST /echo/ HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n" HOST END "abcd", 400 },
        { "POST /echo/ HTTP/1.1\r\nContent-Length: -1\r\n" HOST END, 400 },
        { "POST /echo/ HTTP/1.1\r\nContent-Length : 3\r\n" HOST END "abc", 400 },
        { "GET /hello/x/ HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", 400 }, /* folded */
        { "GET /hello/x/ HTTP/1.1\nHost: x\n\n", 400 },                  /* bare LF */
        { "GET /hello/x/ HTTP/1.1\r\n" HOST "X: a\x01"
          "b\r\n\r\n",
          400 },
        { "POST /echo/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n" HOST END, 400 },
        { "POST /echo/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" HOST END "zz\r\n", 400 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = test_connect(*state);
        test_send(fd, rows[i].request);
        test_answer answer = test_read(fd);
        char value[64];
        if (answer.status != rows[i].status)
            print_error("row %zu: %d\n", i, answer.status);
        assert_int_equal(answer.status, rows[i].status);
        assert_true(test_header(&answer, "Connection", value, sizeof(value)));
        assert_string_equal(value, "close");
        assert_true(test_header(&answer, "Content-Type", value, sizeof(value)));
        assert_string_equal(value, "application/problem+json");
        assert_true(test_is_closed(fd));
        test_answer_free(&answer);
        close(fd);
    }
    test_answer answer = test_ask(*state, "GET /hello/you/ HTTP/1.1\r\n" HOST END);
    assert_int_equal(answer.status, 200);
    test_answer_free(&answer);
}

static void bad_paths_are_refused_and_the_connection_lives(void **state)
{
    static const struct {
        const char *path;
        int status;
    } rows[] = { { "/../etc/passwd", 400 },
                 { "/%2e%2e/etc", 400 },
                 { "/a%00b", 400 },
                 { "/a%zz", 400 },
                 { "/a\\b", 400 },
                 { "/%ff", 400 },
                 { "/hello%2f..%2f.secret", 400 },
                 { "/hello/%2e%2e/hello/x/", 200 },
                 { "//hello//x//", 200 } };
    int fd = test_connect(*state);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char request[256];
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" HOST END, rows[i].path);
        test_send(fd, request);
        test_answer answer = test_read(fd);
        if (answer.status != rows[i].status)
            print_error("%s: %d\n", rows[i].path, answer.status);
        assert_int_equal(answer.status, rows[i].status);
        test_answer_free(&answer);
    }
    close(fd);
}

static void oversized_heads_are_refused(void **state)
{
    static const struct {
        const char *start;
        size_t filler;
        int status;
    } rows[] = { { "GET /", 9000, 414 }, { "GET /hello/x/ HTTP/1.1\r\n" HOST "X: ", 40000, 431 } };
    for (size_t i = 0; i < 2; i++) {
        char *request = malloc(64 * 1024);
        size_t length = strlen(rows[i].start);
        memcpy(request, rows[i].start, length);
        memset(request + length, 'a', rows[i].filler);
        int fd = test_connect(*state);
        test_send_bytes(fd, request, length + rows[i].filler);
        test_answer answer = test_read(fd);
        assert_int_equal(answer.status, rows[i].status);
        assert_true(test_is_closed(fd));
        test_answer_free(&answer);
        close(fd);
        free(request);
    }
    char many[8192];
    size_t length = (size_t)sprintf(many, "GET /hello/x/ HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 120; i++)
        length += (size_t)sprintf(many + length, "X-%d: a\r\n", i);
    sprintf(many + length, "\r\n");
    test_answer answer = test_ask(*state, many);
    assert_int_equal(answer.status, 431);
    test_answer_free(&answer);
}

/* --- time ------------------------------------------------------------------------------------- */

static void slow_clients_are_let_go(void **state)
{
    static const struct {
        const char *start;
        int status; /* 0: closed without a word */
    } rows[] = {
        { "", 0 },                                                                /* says nothing */
        { "GET /hello/x/ HT", 408 },                                              /* half a head */
        { "POST /echo/ HTTP/1.1\r\nContent-Length: 10\r\n" HOST END "abc", 408 }, /* half a body */
    };
    for (size_t i = 0; i < 3; i++) {
        int fd = test_connect(*state);
        test_send(fd, rows[i].start);
        test_answer answer = test_read(fd);
        assert_int_equal(answer.status, rows[i].status);
        assert_true(test_is_closed(fd));
        test_answer_free(&answer);
        close(fd);
    }
}

static void an_idle_connection_is_closed_after_its_time(void **state)
{
    int fd = test_connect(*state);
    test_send(fd, "GET /hello/x/ HTTP/1.1\r\n" HOST END);
    test_answer answer = test_read(fd);
    assert_int_equal(answer.status, 200);
    test_answer_free(&answer);
    assert_true(test_is_closed(fd));
    close(fd);
}

static void a_client_that_does_not_read_is_let_go(void **state)
{
    int fd = test_connect(*state);
    int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    test_send(fd, "GET /forever/ HTTP/1.1\r\n" HOST END);
    assert_true(test_wait_for(&deferred, 1));
    close(fd);
}

static void a_handler_that_takes_too_long_is_ended(void **state)
{
    test_answer answer = test_ask(*state, "GET /timeout/ HTTP/1.1\r\n" HOST END);
    assert_int_equal(answer.status, 200); /* its wait ended early; it answered */
    test_answer_free(&answer);
    assert_true(test_wait_for(&deferred, 1));
    assert_int_equal(atomic_load(&cancelled), 0);
}

/* --- clients that leave ----------------------------------------------------------------------- */

static void reset_connection(int fd)
{
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(fd);
}

static void a_handler_is_cancelled_when_its_client_is_gone(void **state)
{
    int fd = test_connect(*state);
    test_send(fd, "GET /sleep/ HTTP/1.1\r\n" HOST END);
    assert_true(test_wait_for(&begun, 1));
    reset_connection(fd);
    assert_true(test_wait_for(&cancelled, 1));
    assert_true(test_wait_for(&deferred, 1));
}

static void a_stream_ends_when_its_client_is_gone(void **state)
{
    int fd = test_connect(*state);
    test_send(fd, "GET /forever/ HTTP/1.1\r\n" HOST END);
    char some[1000];
    assert_true(test_receive(fd, some, sizeof(some)) > 0);
    close(fd);
    assert_true(test_wait_for(&deferred, 1));
}

static void a_client_that_only_stopped_sending_gets_its_answer(void **state)
{
    int fd = test_connect(*state);
    test_send(fd, "GET /rest/ HTTP/1.1\r\n" HOST END);
    shutdown(fd, SHUT_WR);
    test_answer answer = test_read(fd);
    assert_true(test_body_is(&answer, "rested"));
    assert_true(test_is_closed(fd));
    test_answer_free(&answer);
    close(fd);
}

/* --- many, and the end ------------------------------------------------------------------------ */

static void clients_past_the_limit_are_told_so(void **state)
{
    int fds[9];
    for (int i = 0; i < 8; i++) {
        fds[i] = test_connect(*state);
        test_send(fds[i], "GET /hello/x/ HTTP/1.1\r\n" HOST END);
        test_answer answer = test_read(fds[i]);
        assert_int_equal(answer.status, 200);
        test_answer_free(&answer);
    }
    fds[8] = test_connect(*state);
    test_answer answer = test_read(fds[8]);
    assert_int_equal(answer.status, 503);
    assert_true(test_is_closed(fds[8]));
    test_answer_free(&answer);
    for (int i = 0; i < 9; i++)
        close(fds[i]);
}

static void a_drain_finishes_what_is_under_way(void **state)
{
    (void)state;
    test_server t;
    test_prepare(&t, routes, sizeof(routes) / sizeof(routes[0]));
    t.options.begin = begin;
    t.options.loops = 2;
    atomic_store(&begun, 0);
    test_start(&t);
    int busy = test_connect(&t), idle = test_connect(&t);
    test_send(idle, "GET /hello/x/ HTTP/1.1\r\n" HOST END);
    test_answer answer = test_read(idle);
    test_answer_free(&answer);
    test_send(busy, "GET /rest/ HTTP/1.1\r\n" HOST END);
    assert_true(test_wait_for(&begun, 2));
    tims_server_stop(t.server);
    test_send(idle, "GET /hello/late/ HTTP/1.1\r\n" HOST END);
    answer = test_read(idle);
    assert_true(test_body_is(&answer, "hello late"));
    test_answer_free(&answer);
    answer = test_read(busy);
    assert_true(test_body_is(&answer, "rested"));
    char value[64];
    assert_true(test_header(&answer, "Connection", value, sizeof(value)));
    test_answer_free(&answer);
    assert_true(test_is_closed(busy));
    assert_true(test_is_closed(idle));
    test_join(&t);
    close(busy);
    close(idle);
}

static void a_drain_cuts_off_what_does_not_end(void **state)
{
    (void)state;
    test_server t;
    test_prepare(&t, routes, sizeof(routes) / sizeof(routes[0]));
    t.options.begin = begin;
    t.options.drain_timeout_ms = 100;
    atomic_store(&begun, 0);
    test_start(&t);
    int fd = test_connect(&t);
    test_send(fd, "GET /sleep/ HTTP/1.1\r\n" HOST END);
    assert_true(test_wait_for(&begun, 1));
    tims_server_stop(t.server);
    assert_true(test_is_closed(fd));
    test_join(&t);
    close(fd);
}

static void a_taken_port_is_said_in_one_line(void **state)
{
    test_server *t = *state, second;
    test_prepare(&second, routes, 1);
    second.options.port = t->port;
    for (int loops = 1; loops <= 2; loops++) {
        second.options.loops = loops;
        tims_error err = { 0 };
        assert_int_equal(tims_server_run(&second.options, NULL, NULL, &err), TIMS_BUSY);
        assert_non_null(strstr(err.message, "is taken"));
    }
    tims_router_free(&second.router);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
        TEST(a_body_above_the_routes_limit_is_refused),
        TEST(a_refusal_reaches_a_client_that_is_still_sending),
        TEST(an_unread_body_does_not_become_the_next_request),
        TEST(expect_is_answered_before_the_body_is_sent),
        TEST(bodies_are_parsed_by_their_type),
        TEST(a_streamed_answer_comes_in_chunks),
        TEST(a_stream_that_fails_is_cut_and_not_ended),
        TEST(a_large_answer_arrives_whole),
        TEST(what_the_client_has_is_not_sent_again),
        TEST(answers_are_compressed_as_the_client_likes_best),
        TEST(only_named_origins_are_let_in),
        TEST(trusted_proxies_say_who_asks),
        TEST(bad_input_is_refused_and_closed),
        TEST(bad_paths_are_refused_and_the_connection_lives),
        TEST(oversized_heads_are_refused),
        TEST(slow_clients_are_let_go),
        TEST(an_idle_connection_is_closed_after_its_time),
        TEST(a_client_that_does_not_read_is_let_go),
        TEST(a_handler_that_takes_too_long_is_ended),
        TEST(a_handler_is_cancelled_when_its_client_is_gone),
        TEST(a_stream_ends_when_its_client_is_gone),
        TEST(a_client_that_only_stopped_sending_gets_its_answer),
        TEST(clients_past_the_limit_are_told_so),
        cmocka_unit_test(a_drain_finishes_what_is_under_way),
        cmocka_unit_test(a_drain_cuts_off_what_does_not_end),
        TEST(a_taken_port_is_said_in_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
