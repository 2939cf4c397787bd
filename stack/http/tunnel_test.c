/* tunnel_test.c: a real server between two plain sockets: the test is the client and the upstream at once. */
#include "http/testing.h"

static atomic_int upstream_port;

static tims_answer relay(tims_request *rq)
{
    return tims_answer_tunnel(
        rq, tims_print(rq->arena, "http://127.0.0.1:%d/up?x=1", atomic_load(&upstream_port)));
}

static const tims_route routes[] = {
    { .methods = TIMS_METHOD_GET, .pattern = "/tunnel/", .handler = relay }
};

typedef struct scene {
    test_server server;
    int listener, client, upstream;
} scene;

#define ASK                                                                                 \
    "GET /tunnel/ HTTP/1.1\r\nHost: front\r\nX-End: 1\r\nX-Hop: 2\r\nConnection: Upgrade, " \
    "X-Hop\r\nUpgrade: websocket\r\n"                                                       \
    "\r\n"

static int set_up(void **state)
{
    static scene s;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t length = sizeof address;
    s.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s.listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(s.listener, 8), 0);
    assert_int_equal(getsockname(s.listener, (struct sockaddr *)&address, &length), 0);
    atomic_store(&upstream_port, ntohs(address.sin_port));
    test_prepare(&s.server, routes, 1);
    test_start(&s.server);
    s.client = s.upstream = -1;
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;
    if (s->client >= 0)
        close(s->client);
    if (s->upstream >= 0)
        close(s->upstream);
    test_stop(&s->server);
    close(s->listener);
    return 0;
}

/* Reads until the text has come; the whole of it in `buffer`. */
static void expect_until(int fd, const char *needle, char *buffer, size_t size)
{
    size_t length = 0;
    buffer[0] = '\0';
    while (strstr(buffer, needle) == NULL) {
        ssize_t got = test_receive(fd, buffer + length, size - 1 - length);
        if (got <= 0)
            fail_msg("waited for %s, got %s", needle, buffer);
        length += (size_t)got;
        buffer[length] = '\0';
    }
}

/* Client asks, upstream is accepted and has read the request into `head`. */
static void reach_upstream(scene *s, const char *request, char *head, size_t size)
{
    s->client = test_connect(&s->server);
    test_send(s->client, request);
    s->upstream = accept(s->listener, NULL, NULL);
    assert_true(s->upstream >= 0);
    expect_until(s->upstream, "\r\n\r\n", head, size);
}

static void open_tunnel(scene *s)
{
    char head[4096];
    reach_upstream(s, ASK, head, sizeof head);
    test_send(s->upstream,
              "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Up: 1\r\n\r\nfirst");
    expect_until(s->client, "\r\n\r\nfirst", head, sizeof head);
    assert_true(strncmp(head, "HTTP/1.1 101 ", 13) == 0);
    assert_non_null(strstr(head, "X-Up: 1\r\n"));
}

static void the_upgrade_reaches_the_upstream_without_hop_headers(void **state)
{
    scene *s = *state;
    char head[4096];
    reach_upstream(s, ASK, head, sizeof head);
    assert_true(strncmp(head, "GET /up?x=1 HTTP/1.1\r\n", 22) == 0);
    assert_non_null(strstr(head, "\r\nHost: front\r\n"));
    assert_non_null(strstr(head, "\r\nX-End: 1\r\n"));
    assert_non_null(strstr(head, "\r\nConnection: Upgrade\r\n"));
    assert_non_null(strstr(head, "\r\nUpgrade: websocket\r\n"));
    assert_null(strstr(head, "X-Hop"));
}

static void bytes_pass_both_ways(void **state)
{
    scene *s = *state;
    char buffer[256];
    open_tunnel(s);
    for (int i = 0; i < 3; i++) {
        test_send(s->client, "from the client|");
        expect_until(s->upstream, "client|", buffer, sizeof buffer);
        test_send(s->upstream, "from the upstream|");
        expect_until(s->client, "upstream|", buffer, sizeof buffer);
    }
}

/* Bytes that are sent with the request itself are the first of the tunnel. */
static void bytes_sent_ahead_are_not_lost(void **state)
{
    scene *s = *state;
    char head[4096];
    reach_upstream(s, ASK "ahead", head, sizeof head);
    test_send(s->upstream, "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    expect_until(s->upstream, "ahead", head, sizeof head);
}

static size_t push(int fd, size_t left)
{
    static char block[65536];
    ssize_t sent = send(fd, block, left < sizeof block ? left : sizeof block, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent > 0 ? (size_t)sent : 0;
}

static size_t pull(int fd)
{
    static char block[65536];
    ssize_t got = recv(fd, block, sizeof block, MSG_DONTWAIT);
    return got > 0 ? (size_t)got : 0;
}

/* Both ends first write until nothing more goes in, and only then read. */
static void two_ends_that_only_write_do_not_lock_each_other(void **state)
{
    enum { TOTAL = 24 << 20 };
    scene *s = *state;
    open_tunnel(s);
    size_t to_send[2] = { TOTAL, TOTAL }, to_get[2] = { TOTAL, TOTAL };
    int fds[2] = { s->client, s->upstream };
    bool reading = false;
    while (to_get[0] > 0 || to_get[1] > 0) {
        size_t moved = 0;
        for (int i = 0; i < 2; i++) {
            size_t sent = push(fds[i], to_send[i]);
            to_send[i] -= sent;
            moved += sent;
            size_t got = reading ? pull(fds[i]) : 0;
            to_get[i] -= got;
            moved += got;
        }
        if (moved > 0)
            continue;
        struct pollfd wait[2];
        for (int i = 0; i < 2; i++)
            wait[i] = (struct pollfd){ fds[i],
                                       (short)((to_send[i] > 0 ? POLLOUT : 0) | (reading ? POLLIN : 0)), 0 };
        int ready = poll(wait, 2, reading ? TEST_WAIT_MS : 100); /* 100: all buffers are full */
        if (ready == 0 && reading)
            fail_msg("locked: %zu and %zu bytes are missing", to_get[0], to_get[1]);
        reading |= ready == 0;
    }
    assert_true(reading);
}

/* Moves what goes in and comes out now; false when nothing did, nor would within `patience_ms`. */
static bool move_one_way(int from, int to, size_t *to_send, size_t *to_get, int patience_ms)
{
    while (*to_send > 0 || *to_get > 0) {
        size_t sent = *to_send > 0 ? push(from, *to_send) : 0, got = *to_get > 0 ? pull(to) : 0;
        *to_send -= sent;
        *to_get -= got;
        if (sent > 0 || got > 0)
            continue;
        struct pollfd wait[2] = { { from, (short)(*to_send > 0 ? POLLOUT : 0), 0 },
                                  { to, (short)(*to_get > 0 ? POLLIN : 0), 0 } };
        if (poll(wait, 2, patience_ms) == 0)
            return false;
    }
    return true;
}

/* A client that reads nothing before all of its own is sent, at an upstream that has filled it up. */
static void a_client_that_does_not_read_yet_can_send_all(void **state)
{
    enum { TOTAL = 24 << 20, FULL_MS = 100 };
    scene *s = *state;
    open_tunnel(s);
    size_t down = TOTAL, up = TOTAL, unread = 0, untaken = TOTAL;
    assert_false(move_one_way(s->upstream, s->client, &down, &unread, FULL_MS));
    assert_false(move_one_way(s->client, s->upstream, &up, &unread, FULL_MS));
    if (!move_one_way(s->client, s->upstream, &up, &untaken, TEST_WAIT_MS))
        fail_msg("held up: %zu bytes of the client's are missing", untaken);
    size_t to_read = TOTAL;
    assert_true(move_one_way(s->upstream, s->client, &down, &to_read, TEST_WAIT_MS));
}

static void the_end_of_the_client_ends_the_upstream(void **state)
{
    scene *s = *state;
    open_tunnel(s);
    close(s->client);
    s->client = -1;
    assert_true(test_is_closed(s->upstream));
}

static void the_end_of_the_upstream_ends_the_client_behind_its_last_bytes(void **state)
{
    scene *s = *state;
    char buffer[256];
    open_tunnel(s);
    test_send(s->upstream, "last words");
    close(s->upstream);
    s->upstream = -1;
    expect_until(s->client, "last words", buffer, sizeof buffer);
    assert_true(test_is_closed(s->client));
}

static void an_upstream_that_does_not_upgrade_answers_itself(void **state)
{
    scene *s = *state;
    char head[4096];
    reach_upstream(s, ASK, head, sizeof head);
    test_send(s->upstream, "HTTP/1.1 403 No\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nno\r\n");
    test_answer answer = test_read(s->client);
    assert_int_equal(answer.status, 403);
    assert_true(test_body_is(&answer, "no\r\n"));
    test_answer_free(&answer);
}

static void an_upstream_that_is_not_there_is_a_bad_gateway(void **state)
{
    scene *s = *state;
    atomic_store(&upstream_port, 1);
    test_answer answer = test_ask(&s->server, ASK);
    assert_int_equal(answer.status, 502);
    assert_true(test_body_has(&answer, "bad_gateway"));
    test_answer_free(&answer);
}

static void an_upstream_that_talks_nonsense_is_a_bad_gateway(void **state)
{
    scene *s = *state;
    char head[4096];
    reach_upstream(s, ASK, head, sizeof head);
    test_send(s->upstream, "what?\r\n\r\n");
    test_answer answer = test_read(s->client);
    assert_int_equal(answer.status, 502);
    test_answer_free(&answer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_upgrade_reaches_the_upstream_without_hop_headers),
        TEST(bytes_pass_both_ways),
        TEST(bytes_sent_ahead_are_not_lost),
        TEST(two_ends_that_only_write_do_not_lock_each_other),
        TEST(a_client_that_does_not_read_yet_can_send_all),
        TEST(the_end_of_the_client_ends_the_upstream),
        TEST(the_end_of_the_upstream_ends_the_client_behind_its_last_bytes),
        TEST(an_upstream_that_does_not_upgrade_answers_itself),
        TEST(an_upstream_that_is_not_there_is_a_bad_gateway),
        TEST(an_upstream_that_talks_nonsense_is_a_bad_gateway),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
