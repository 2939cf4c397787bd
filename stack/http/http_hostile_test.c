/* http_hostile_test: a real server among bad input, slow clients, clients that leave, and too many. */
#include "http/server_testing.h"

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
    size_t length = (size_t)snprintf(many, sizeof(many), "GET /hello/x/ HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 120; i++)
        length += (size_t)snprintf(many + length, sizeof(many) - length, "X-%d: a\r\n", i);
    snprintf(many + length, sizeof(many) - length, "\r\n");
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

/* Says hello on a connection that stays open; the answer's status, 0 when it was closed without one. */
static int greet(int fd)
{
    test_send(fd, "GET /hello/x/ HTTP/1.1\r\n" HOST END);
    test_answer answer = test_read(fd);
    int status = answer.status;
    test_answer_free(&answer);
    return status;
}

static void start_for_few(test_server *t, tims_names uncounted, tims_names trusted)
{
    test_prepare(t, routes, sizeof(routes) / sizeof(routes[0]));
    t->options.begin = begin;
    t->options.loops = 2; /* the count is of the process */
    t->options.connections_per_address_max = 3;
    t->options.uncounted_peers = uncounted;
    t->options.trusted_proxies = trusted;
    test_start(t);
}

static void one_address_takes_so_many_connections_and_others_still_get_in(void **state)
{
    (void)state;
    test_server t;
    start_for_few(&t, (tims_names){ 0 }, (tims_names){ 0 });
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = test_connect_from(&t, 1);
        assert_int_equal(greet(fds[i]), 200);
    }
    int refused = test_connect_from(&t, 1), other = test_connect_from(&t, 2);
    test_answer answer = test_read(refused);
    assert_int_equal(answer.status, 503);
    assert_true(test_body_has(&answer, "too_many_connections"));
    assert_true(test_is_closed(refused));
    test_answer_free(&answer);
    assert_int_equal(greet(other), 200);
    assert_int_equal(greet(fds[0]), 200); /* who is in stays in */
    close(refused);
    close(fds[2]);
    int status = 503, tries = 0; /* a place is free again as soon as the server has seen the end */
    while (status != 200 && tries++ < 10000) {
        int again = test_connect_from(&t, 1);
        status = greet(again);
        close(again);
    }
    assert_int_equal(status, 200);
    close(fds[0]);
    close(fds[1]);
    close(other);
    test_stop(&t);
}

static void a_flood_from_one_address_is_closed_without_a_word(void **state)
{
    (void)state;
    enum { TOLD_MAX = 32, FLOOD = 3 + TOLD_MAX + 20 };
    test_server t;
    start_for_few(&t, (tims_names){ 0 }, (tims_names){ 0 });
    int fds[FLOOD], told = 0, untold = 0;
    for (int i = 0; i < FLOOD; i++)
        fds[i] = test_connect_from(&t, 1);
    for (int i = 0; i < FLOOD; i++) {
        int status = greet(fds[i]);
        told += status == 503;
        untold += status == 0;
    }
    assert_in_range(told, 1, TOLD_MAX);
    assert_int_equal(untold, FLOOD - 3 - told);
    for (int i = 0; i < FLOOD; i++)
        close(fds[i]);
    test_stop(&t);
}

static void trusted_proxies_and_named_peers_are_not_counted(void **state)
{
    (void)state;
    static const char *const items[] = { "127.0.0.2" };
    const tims_names second = { items, 1 }, none = { 0 };
    for (int proxy = 0; proxy < 2; proxy++) {
        test_server t;
        int fds[8];
        start_for_few(&t, proxy ? none : second, proxy ? second : none);
        for (int i = 0; i < 8; i++) {
            fds[i] = test_connect_from(&t, 2);
            assert_int_equal(greet(fds[i]), 200);
        }
        for (int i = 0; i < 8; i++)
            close(fds[i]);
        test_stop(&t);
    }
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

int main(void)
{
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, 2);
    const struct CMUnitTest tests[] = {
        TEST(bad_input_is_refused_and_closed),
        TEST(bad_paths_are_refused_and_the_connection_lives),
        TEST(oversized_heads_are_refused),
        IMPATIENT_TEST(slow_clients_are_let_go),
        IMPATIENT_TEST(an_idle_connection_is_closed_after_its_time),
        IMPATIENT_TEST(a_client_that_does_not_read_is_let_go),
        TEST(a_handler_that_takes_too_long_is_ended),
        TEST(a_handler_is_cancelled_when_its_client_is_gone),
        TEST(a_stream_ends_when_its_client_is_gone),
        TEST(a_client_that_only_stopped_sending_gets_its_answer),
        TEST(clients_past_the_limit_are_told_so),
        cmocka_unit_test(one_address_takes_so_many_connections_and_others_still_get_in),
        cmocka_unit_test(a_flood_from_one_address_is_closed_without_a_word),
        cmocka_unit_test(trusted_proxies_and_named_peers_are_not_counted),
        cmocka_unit_test(a_drain_finishes_what_is_under_way),
        cmocka_unit_test(a_drain_cuts_off_what_does_not_end),
        TEST(a_taken_port_is_said_in_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
