/* client_tls_test.c: the client behind TLS, against the project's own server and against peers that break
 * off, lie or talk nonsense. Every certificate is made here; the authority's is the only one that is trusted.
 */
#include "http/tls_testing.h"

#include "http/client_internal.h"

enum { HOUR_S = 3600, LARGE_BYTES = 1500000 };

static char folder[64];
static test_identity authority, stranger, right, other_host, unknown, expired, too_early, by_name_only;

static int make_identities(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/tims-client-tls-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    const struct {
        test_identity *identity;
        test_identity_options options;
    } rows[] = {
        { &authority, { "authority", NULL, NULL, -HOUR_S, HOUR_S } },
        { &stranger, { "stranger", NULL, NULL, -HOUR_S, HOUR_S } },
        { &right, { "right", "DNS:localhost,IP:127.0.0.1", &authority, -HOUR_S, HOUR_S } },
        { &other_host,
          { "other", "DNS:other.example,DNS:*.localhost,IP:127.0.0.2", &authority, -HOUR_S, HOUR_S } },
        { &unknown, { "unknown", "DNS:localhost,IP:127.0.0.1", &stranger, -HOUR_S, HOUR_S } },
        { &expired, { "expired", "DNS:localhost,IP:127.0.0.1", &authority, -2 * HOUR_S, -HOUR_S } },
        { &too_early, { "early", "DNS:localhost,IP:127.0.0.1", &authority, HOUR_S, 2 * HOUR_S } },
        { &by_name_only, { "names", "DNS:localhost,DNS:127.0.0.1", &authority, -HOUR_S, HOUR_S } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        test_identity_make(folder, &rows[i].options, rows[i].identity);
    return 0;
}

static int remove_identities(void **state)
{
    (void)state;
    test_identity *all[] = { &authority, &stranger, &right,     &other_host,
                             &unknown,   &expired,  &too_early, &by_name_only };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        test_identity_end(all[i]);
    return rmdir(folder);
}

/* --- the project's own server -------------------------------------------------------------------- */

static void start_server(test_server *t, const test_identity *identity, uint32_t connections_max)
{
    test_prepare_tls(t, identity);
    t->options.connections_max = connections_max;
    test_start(t);
}

/* --- a peer of the test's own -------------------------------------------------------------------- */

/* One connection, in a thread: what it does with it is the test's. */
typedef struct peer {
    void (*behave)(int fd, SSL *ssl);
    int max_version; /* 0: any */
    int listener;
    uint16_t port;
    pthread_t thread;
} peer;

static void wait_for_its_end(int fd)
{
    (void)shutdown(fd, SHUT_WR);
    assert_true(test_is_closed(fd));
}

static void *run_peer(void *argument)
{
    peer *p = argument;
    int fd = accept(p->listener, NULL, NULL);
    assert_true(fd >= 0);
    SSL_CTX *settings = SSL_CTX_new(TLS_server_method());
    if (p->max_version != 0) {
        SSL_CTX_set_security_level(settings, 0);
        SSL_CTX_set_max_proto_version(settings, p->max_version);
    }
    assert_int_equal(SSL_CTX_use_certificate(settings, right.certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(settings, right.key), 1);
    SSL *ssl = SSL_new(settings);
    SSL_set_fd(ssl, fd);
    p->behave(fd, ssl);
    SSL_free(ssl);
    SSL_CTX_free(settings);
    (void)close(fd);
    return NULL;
}

static void start_peer(peer *p)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t length = sizeof address;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(p->listener, 8), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&address, &length), 0);
    p->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&p->thread, NULL, run_peer, p), 0);
}

static void end_peer(peer *p)
{
    assert_int_equal(pthread_join(p->thread, NULL), 0);
    (void)close(p->listener);
}

/* --- asking -------------------------------------------------------------------------------------- */

typedef struct stage {
    tims_loop *loop;
    tims_arena *arena;
    const tims_trust *trust;
    void (*script)(struct stage *stage);
    uint16_t port;
    int64_t timeout_ms;
    bool is_done;
    tims_status status; /* of the last question */
    tims_fetched answer;
    tims_error err;
} stage;

static void ask_with(stage *s, tims_fetch_options options, const char *host, const char *path)
{
    options.url = tims_print(s->arena, "https://%s:%d%s", host, (int)s->port, path);
    options.trust = s->trust;
    options.timeout_ms = s->timeout_ms != 0 ? s->timeout_ms : TEST_WAIT_MS;
    if (options.method == 0)
        options.method = TIMS_METHOD_GET;
    s->err = (tims_error){ 0 };
    s->status = tims_fetch(s->arena, &options, &s->answer, &s->err);
    assert_int_equal(s->err.status, s->status);
}

static void ask(stage *s, const char *host)
{
    ask_with(s, (tims_fetch_options){ 0 }, host, "/hello");
}

static void assert_hello(const stage *s)
{
    assert_int_equal(s->status, TIMS_OK);
    assert_int_equal(s->answer.status, 200);
    assert_true(tims_str_equal(s->answer.body, TIMS_STR("hello 1")));
}

static void trust_only(stage *s, const test_identity *identity)
{
    assert_int_equal(tims_trust_new(s->arena, tims_str_from(identity->certificate_path), &s->trust, NULL),
                     TIMS_OK);
}

static void run_script(void *argument)
{
    stage *s = argument;
    s->script(s);
    s->is_done = true;
    tims_fetch_shutdown(s->loop);
    tims_loop_stop(s->loop);
}

static void start_script(void *argument)
{
    stage *s = argument;
    assert_non_null(tims_fiber_start(s->loop, run_script, s));
}

/* The loop ends only when every connection of the client's is closed. */
static void play(stage *s)
{
    const tims_loop_options options = { 0 };
    s->arena = tims_arena_new(64 << 20, NULL, NULL);
    trust_only(s, &authority);
    assert_int_equal(tims_loop_new(&options, &s->loop), TIMS_OK);
    tims_loop_post(s->loop, start_script, s);
    tims_loop_run(s->loop);
    assert_true(s->is_done);
    tims_loop_free(&s->loop);
    tims_arena_free(&s->arena);
}

static void play_with_server(const test_identity *identity, uint32_t connections_max,
                             void (*script)(stage *s))
{
    test_server t;
    start_server(&t, identity, connections_max);
    stage s = { .script = script, .port = t.port };
    play(&s);
    test_stop(&t);
}

static void play_with_peer(peer p, int64_t timeout_ms, void (*script)(stage *s))
{
    start_peer(&p);
    stage s = { .script = script, .port = p.port, .timeout_ms = timeout_ms };
    play(&s);
    end_peer(&p);
}

/* --- certificates -------------------------------------------------------------------------------- */

static void script_good(stage *s)
{
    for (int i = 0; i < 3; i++) {
        ask(s, "127.0.0.1");
        assert_hello(s);
    }
    char *large = tims_alloc(s->arena, LARGE_BYTES);
    for (size_t i = 0; i < LARGE_BYTES; i++)
        large[i] = (char)('a' + i % 23);
    tims_fetch_options post = { .method = TIMS_METHOD_POST, .body = { large, LARGE_BYTES } };
    ask_with(s, post, "127.0.0.1", "/echo");
    assert_int_equal(s->status, TIMS_OK);
    assert_true(tims_str_equal(s->answer.body, post.body));
}

static void a_good_certificate_is_asked_over_one_kept_connection(void **state)
{
    (void)state;
    play_with_server(&right, 1, script_good); /* a second one beside it would be refused */
    assert_int_equal(atomic_load(&test_hellos), 3);
}

static void script_good_name(stage *s)
{
    ask(s, "localhost");
    assert_hello(s);
}

static void a_certificate_is_good_for_its_names(void **state)
{
    (void)state;
    play_with_server(&right, 8, script_good_name);
    play_with_server(&by_name_only, 8, script_good_name);
}

static void assert_untrusted(stage *s, const char *host, const char *reason)
{
    ask(s, host);
    assert_int_equal(s->status, TIMS_UNAVAILABLE);
    assert_string_equal(s->err.code, "upstream_untrusted");
    assert_non_null(strstr(s->err.message, reason));
}

static void script_other_host(stage *s)
{
    assert_untrusted(s, "localhost", "ostname mismatch");
    assert_untrusted(s, "127.0.0.1", "IP address mismatch");
}

static void script_only_names(stage *s)
{
    assert_untrusted(s, "127.0.0.1", "IP address mismatch");
}

static void script_unknown(stage *s)
{
    assert_untrusted(s, "localhost", "unable to get local issuer certificate");
}

static void script_unknown_self(stage *s)
{
    assert_untrusted(s, "localhost", "self");
}

static void script_expired(stage *s)
{
    assert_untrusted(s, "localhost", "expired");
}

static void script_early(stage *s)
{
    assert_untrusted(s, "localhost", "not yet valid");
}

static void a_certificate_that_is_not_good_gets_no_request(void **state)
{
    (void)state;
    const struct {
        const test_identity *identity;
        void (*script)(stage *s);
    } rows[] = { { &other_host, script_other_host }, { &by_name_only, script_only_names },
                 { &unknown, script_unknown },       { &stranger, script_unknown_self },
                 { &expired, script_expired },       { &too_early, script_early } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        play_with_server(rows[i].identity, 8, rows[i].script);
        assert_int_equal(atomic_load(&test_hellos), 0);
    }
}

static void script_changes_its_mind(stage *s)
{
    const tims_trust *former = s->trust;
    ask(s, "localhost");
    assert_hello(s);
    trust_only(s, &stranger);
    assert_untrusted(s, "localhost", "unable to get local issuer certificate");
    trust_only(s, &authority); /* by what is trusted, not by where it is kept: places are used again */
    assert_true(http__trust_id(s->trust) != http__trust_id(former));
}

static void a_kept_connection_is_only_for_those_who_trusted_it(void **state)
{
    (void)state;
    play_with_server(&right, 8, script_changes_its_mind);
    assert_int_equal(atomic_load(&test_hellos), 1);
}

static void a_file_without_certificates_is_no_authority(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    const tims_trust *trust = NULL;
    tims_error err = { 0 };
    assert_int_equal(tims_trust_new(arena, TIMS_STR("/nowhere/ca.pem"), &trust, &err), TIMS_INVALID);
    assert_non_null(strstr(err.message, "/nowhere/ca.pem"));
    assert_int_equal(tims_trust_new(arena, tims_str_from(right.key_path), &trust, &err), TIMS_INVALID);
    assert_null(trust);
    tims_arena_free(&arena);
}

/* --- handshakes that do not come about ----------------------------------------------------------- */

static void close_at_once(int fd, SSL *ssl)
{
    (void)fd;
    (void)ssl;
}

static void close_after_hello(int fd, SSL *ssl)
{
    char hello[4096];
    (void)ssl;
    assert_true(test_receive(fd, hello, sizeof hello) > 0);
}

static void say_plain_http(int fd, SSL *ssl)
{
    close_after_hello(fd, ssl);
    test_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    wait_for_its_end(fd);
}

static void say_half_a_hello(int fd, SSL *ssl)
{
    close_after_hello(fd, ssl);
    test_send_bytes(fd, "\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03", 11);
    wait_for_its_end(fd);
}

static void refuse(int fd, SSL *ssl)
{
    (void)fd;
    assert_true(SSL_accept(ssl) <= 0);
}

static void say_nothing(int fd, SSL *ssl)
{
    (void)ssl;
    assert_true(test_is_closed(fd));
}

static void script_no_tls(stage *s)
{
    ask(s, "localhost");
    assert_int_equal(s->status, TIMS_UNAVAILABLE);
    assert_string_equal(s->err.code, "upstream_tls");
}

static void a_handshake_that_breaks_off_is_unavailable(void **state)
{
    (void)state;
    const peer rows[] = { { .behave = close_at_once },
                          { .behave = close_after_hello },
                          { .behave = say_plain_http },
                          { .behave = say_half_a_hello },
                          { .behave = refuse, .max_version = TLS1_1_VERSION } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        play_with_peer(rows[i], 0, script_no_tls);
}

static void script_times_out(stage *s)
{
    ask(s, "localhost");
    assert_int_equal(s->status, TIMS_TIMEOUT);
}

static void a_handshake_that_does_not_come_ends_with_the_time_for_it(void **state)
{
    (void)state;
    play_with_peer((peer){ .behave = say_nothing }, 50, script_times_out);
}

/* --- ends ---------------------------------------------------------------------------------------- */

static void accept_and_say(SSL *ssl, const char *text)
{
    char request[4096];
    assert_int_equal(SSL_accept(ssl), 1);
    assert_true(SSL_read(ssl, request, sizeof request) > 0);
    assert_true(SSL_write(ssl, text, (int)strlen(text)) > 0);
}

static void end_properly(int fd, SSL *ssl)
{
    accept_and_say(ssl, "HTTP/1.1 200 OK\r\n\r\nto the end");
    (void)SSL_shutdown(ssl);
    wait_for_its_end(fd);
}

static void end_without_a_word(int fd, SSL *ssl)
{
    accept_and_say(ssl, "HTTP/1.1 200 OK\r\n\r\nto the end");
    wait_for_its_end(fd);
}

static void end_short(int fd, SSL *ssl)
{
    accept_and_say(ssl, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    (void)SSL_shutdown(ssl);
    wait_for_its_end(fd);
}

static void end_with_nonsense(int fd, SSL *ssl)
{
    accept_and_say(ssl, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    test_send(fd, "\x17\x03\x03\x00\x20 32 bytes that nobody encrypted..");
    wait_for_its_end(fd);
}

static void script_whole(stage *s)
{
    ask(s, "localhost");
    assert_int_equal(s->status, TIMS_OK);
    assert_true(tims_str_equal(s->answer.body, TIMS_STR("to the end")));
}

static void script_cut(stage *s)
{
    ask(s, "localhost");
    assert_int_equal(s->status, TIMS_UNAVAILABLE);
    assert_string_equal(s->err.code, "upstream_closed");
}

static void an_answer_ends_with_the_connection_only_when_tls_says_so(void **state)
{
    (void)state;
    play_with_peer((peer){ .behave = end_properly }, 0, script_whole);
    play_with_peer((peer){ .behave = end_properly, .max_version = TLS1_2_VERSION }, 0, script_whole);
    play_with_peer((peer){ .behave = end_without_a_word }, 0, script_cut);
    play_with_peer((peer){ .behave = end_without_a_word, .max_version = TLS1_2_VERSION }, 0, script_cut);
    play_with_peer((peer){ .behave = end_short }, 0, script_cut);
    play_with_peer((peer){ .behave = end_with_nonsense }, 0, script_cut);
}

/* In one flight with the server's own half of the handshake, as TLS 1.3 allows. */
static void answer_before_the_question(int fd, SSL *ssl)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    char hello[4096], none[16], *flight;
    ssize_t received = test_receive(fd, hello, sizeof hello);
    assert_true(received > 0);
    BIO *in = BIO_new_mem_buf(hello, (int)received), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out); /* theirs is SSL_free's now */
    size_t length = 0;
    assert_int_equal(SSL_read_early_data(ssl, none, sizeof none, &length), SSL_READ_EARLY_DATA_FINISH);
    assert_int_equal(SSL_write_early_data(ssl, text, sizeof text - 1, &length), 1);
    long flight_bytes = BIO_get_mem_data(out, &flight);
    test_send_bytes(fd, flight, (size_t)flight_bytes);
    assert_true(test_is_closed(fd));
}

static void what_nobody_asked_for_costs_the_connection(void **state)
{
    (void)state;
    play_with_peer((peer){ .behave = answer_before_the_question }, 0, script_no_tls);
}

int main(void)
{
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_certificate_is_asked_over_one_kept_connection),
        cmocka_unit_test(a_certificate_is_good_for_its_names),
        cmocka_unit_test(a_certificate_that_is_not_good_gets_no_request),
        cmocka_unit_test(a_kept_connection_is_only_for_those_who_trusted_it),
        cmocka_unit_test(a_file_without_certificates_is_no_authority),
        cmocka_unit_test(a_handshake_that_breaks_off_is_unavailable),
        cmocka_unit_test(a_handshake_that_does_not_come_ends_with_the_time_for_it),
        cmocka_unit_test(an_answer_ends_with_the_connection_only_when_tls_says_so),
        cmocka_unit_test(what_nobody_asked_for_costs_the_connection),
    };
    return cmocka_run_group_tests(tests, make_identities, remove_identities);
}
