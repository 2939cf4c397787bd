/* http_answer_test: what a real server answers: streams, conditions, compression, origins. */
#include "http/server_testing.h"

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

/* More than the kernel takes of it. */
static void refuse_at_length(tims_request *rq, tims_answer *answer)
{
    enum { LENGTH = 16 << 20 };
    static char page[LENGTH];
    (void)rq;
    *answer = tims_answer_bytes(409, TIMS_STR("text/html"), (tims_str){ page, LENGTH });
}

static void what_a_raised_request_had_open_does_not_wait_for_its_client(void **state)
{
    (void)state;
    test_server t;
    test_prepare(&t, routes, sizeof routes / sizeof *routes);
    t.options.finish = refuse_at_length;
    t.options.write_timeout_ms = 10 * TEST_WAIT_MS;
    test_start(&t);
    atomic_store(&deferred, 0);
    int fd = test_connect(&t);
    test_send(fd, "GET /refuse/ HTTP/1.1\r\n" HOST END);
    assert_true(test_wait_for(&deferred, 1)); /* nothing of it has been read */
    test_answer answer = test_read(fd);
    assert_int_equal(answer.body_length, 16 << 20);
    test_answer_free(&answer);
    close(fd);
    test_stop(&t);
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
        /* A proxy may add a line of its own behind the client's. */
        { "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 1.2.3.4\r\nX-Request-Id: abcdefgh-5\r\n",
          "1.2.3.4 0 abcdefgh-5" },
        { "X-Forwarded-For: 6.6.6.6, 1.2.3.4\r\nX-Forwarded-For: 10.0.0.1\r\nX-Request-Id: abcdefgh-6\r\n",
          "1.2.3.4 0 abcdefgh-6" },
        { "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: nonsense\r\nX-Request-Id: abcdefgh-7\r\n",
          "127.0.0.1 0 abcdefgh-7" },
        { "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\nX-Request-Id: abcdefgh-8\r\n",
          "127.0.0.1 0 abcdefgh-8" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
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

/* --- run again -------------------------------------------------------------------------------- */

static const struct {
    const char *request;
    int status, runs;
} conflicts[] = {
    { "POST /conflict/0/ HTTP/1.1\r\nContent-Length: 4\r\n" HOST END "body", 200, 1 },
    { "POST /conflict/1/ HTTP/1.1\r\nContent-Length: 4\r\n" HOST END "body", 200, 2 },
    { "POST /conflict/3/ HTTP/1.1\r\nContent-Length: 4\r\n" HOST END "body", 200, 4 },
    { "POST /conflict/4/ HTTP/1.1\r\nContent-Length: 4\r\n" HOST END "body", 409, 4 },
    { "POST /conflict/1/pieces/ HTTP/1.1\r\nContent-Length: 4\r\n" HOST END "body", 409, 1 },
    { "GET /conflict/1/stream/ HTTP/1.1\r\n" HOST END, 0, 1 },
};

static void a_request_that_gave_in_runs_again_where_it_can(void **state)
{
    for (size_t i = 0; i < sizeof(conflicts) / sizeof(conflicts[0]); i++) {
        atomic_store(&begun, 0);
        atomic_store(&finished, 0);
        test_answer answer = test_ask(*state, conflicts[i].request);
        assert_int_equal(answer.status, conflicts[i].status);
        assert_int_equal(atomic_load(&begun), conflicts[i].runs);
        assert_int_equal(atomic_load(&finished), conflicts[i].runs);
        char value[64];
        if (answer.status == 200) {
            assert_true(test_body_is(&answer, "body"));
            assert_true(test_header(&answer, "X-Run", value, sizeof(value)));
            assert_int_equal(value[0] - '0', conflicts[i].runs);
        }
        if (answer.status == 409)
            assert_true(test_body_has(&answer, "\"code\":\"serialization\""));
        test_answer_free(&answer);
    }
}

/* What the client sent behind it is answered behind it. */
static void a_connection_goes_on_behind_it(void **state)
{
    static test_rest rest;
    int fd = test_connect(*state);
    test_send(fd, "POST /conflict/2/ HTTP/1.1\r\nContent-Length: 4\r\n" HOST END "body"
                  "GET /hello/you/ HTTP/1.1\r\n" HOST END);
    test_answer answer = test_read_more(fd, false, &rest);
    assert_true(test_body_is(&answer, "body"));
    test_answer_free(&answer);
    answer = test_read_more(fd, false, &rest);
    assert_true(test_body_is(&answer, "hello you"));
    test_answer_free(&answer);
    close(fd);
}

int main(void)
{
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, 2);
    const struct CMUnitTest tests[] = {
        TEST(a_streamed_answer_comes_in_chunks),
        TEST(a_stream_that_fails_is_cut_and_not_ended),
        TEST(a_large_answer_arrives_whole),
        cmocka_unit_test(what_a_raised_request_had_open_does_not_wait_for_its_client),
        TEST(what_the_client_has_is_not_sent_again),
        TEST(answers_are_compressed_as_the_client_likes_best),
        TEST(only_named_origins_are_let_in),
        TEST(trusted_proxies_say_who_asks),
        TEST(a_request_that_gave_in_runs_again_where_it_can),
        TEST(a_connection_goes_on_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
