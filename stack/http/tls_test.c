/* tls_test.c: the server behind TLS, with a certificate made for the test. */
#include "http/tls_testing.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

/* --- what OpenSSL holds ------------------------------------------------------------------------- */

static atomic_size_t held_bytes, held_bytes_most;

static void *note_more(void *memory)
{
    size_t now = atomic_fetch_add(&held_bytes, malloc_usable_size(memory)) + malloc_usable_size(memory);
    size_t most = atomic_load(&held_bytes_most);
    while (most < now && !atomic_compare_exchange_weak(&held_bytes_most, &most, now))
        continue;
    return memory;
}

static void *counted_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return note_more(malloc(size));
}

static void *counted_realloc(void *memory, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    atomic_fetch_sub(&held_bytes, malloc_usable_size(memory));
    return note_more(realloc(memory, size));
}

static void counted_free(void *memory, const char *file, int line)
{
    (void)file, (void)line;
    atomic_fetch_sub(&held_bytes, malloc_usable_size(memory));
    free(memory);
}

/* --- the server --------------------------------------------------------------------------------- */

static char folder[64];
static test_identity own;

static int set_up(void **state)
{
    static test_server t;
    snprintf(folder, sizeof(folder), "/tmp/tims-tls-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    const test_identity_options options = { .name = "localhost", .ends_s = 3600 };
    test_identity_make(folder, &options, &own);
    test_prepare_tls(&t, &own);
    t.options.header_timeout_ms = 1000;
    test_start(&t);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    test_stop(*state);
    test_identity_end(&own);
    return rmdir(folder);
}

typedef struct tls_client {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
} tls_client;

static bool open_tls(const test_server *t, int version, tls_client *ret)
{
    ret->ctx = SSL_CTX_new(TLS_client_method());
    if (version) {
        SSL_CTX_set_security_level(ret->ctx, 0);
        SSL_CTX_set_min_proto_version(ret->ctx, version);
        SSL_CTX_set_max_proto_version(ret->ctx, version);
    }
    static const unsigned char protocols[] = "\x02h2\x08http/1.1";
    SSL_CTX_set_alpn_protos(ret->ctx, protocols, sizeof(protocols) - 1);
    ret->fd = test_connect(t);
    ret->ssl = SSL_new(ret->ctx);
    SSL_set_fd(ret->ssl, ret->fd);
    return SSL_connect(ret->ssl) == 1;
}

static void close_tls(tls_client *client)
{
    SSL_free(client->ssl);
    SSL_CTX_free(client->ctx);
    close(client->fd);
}

static size_t ask_tls(tls_client *client, const char *request, size_t request_length, char *ret_answer,
                      size_t size)
{
    for (size_t at = 0; at < request_length;) {
        int sent = SSL_write(client->ssl, request + at, (int)(request_length - at));
        assert_true(sent > 0);
        at += (size_t)sent;
    }
    size_t length = 0;
    while (length < size - 1) {
        int got = SSL_read(client->ssl, ret_answer + length, (int)(size - 1 - length));
        if (got <= 0)
            break;
        length += (size_t)got;
        ret_answer[length] = 0;
        const char *head_end = strstr(ret_answer, "\r\n\r\n"),
                   *header = strstr(ret_answer, "Content-Length: ");
        if (head_end && header &&
            length >= (size_t)(head_end + 4 - ret_answer) + test_number(header + 16, 10))
            break;
    }
    return length;
}

static void a_request_over_tls_is_answered_as_secure(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    for (int i = 0; i < 2; i++) {
        tls_client client;
        assert_true(open_tls(*state, versions[i], &client));
        const unsigned char *protocol = NULL;
        unsigned int protocol_length = 0;
        SSL_get0_alpn_selected(client.ssl, &protocol, &protocol_length);
        assert_int_equal(protocol_length, 8);
        assert_memory_equal(protocol, "http/1.1", 8);
        const char *request = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
        char answer[4096];
        for (int j = 0; j < 3; j++) {
            ask_tls(&client, request, strlen(request), answer, sizeof(answer));
            assert_non_null(strstr(answer, "HTTP/1.1 200 OK"));
            assert_non_null(strstr(answer, "hello 1"));
            assert_non_null(strstr(answer, "Strict-Transport-Security: max-age="));
        }
        close_tls(&client);
    }
}

static void a_large_body_goes_both_ways(void **state)
{
    enum { LENGTH = 1500000 };
    tls_client client;
    assert_true(open_tls(*state, 0, &client));
    char *request = malloc(LENGTH + 200), *answer = malloc(LENGTH + 4096);
    int head = snprintf(request, 200, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n",
                        LENGTH);
    for (int i = 0; i < LENGTH; i++)
        request[head + i] = (char)('a' + i % 23);
    size_t length = ask_tls(&client, request, (size_t)head + LENGTH, answer, LENGTH + 4096);
    assert_true(length > LENGTH);
    assert_memory_equal(answer + length - LENGTH, request + head, LENGTH);
    free(request);
    free(answer);
    close_tls(&client);
}

static void a_closing_answer_ends_the_session_properly(void **state)
{
    tls_client client;
    assert_true(open_tls(*state, 0, &client));
    const char *request = "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    char answer[4096];
    ask_tls(&client, request, strlen(request), answer, sizeof(answer));
    char more[16];
    int got = SSL_read(client.ssl, more, sizeof(more));
    assert_int_equal(SSL_get_error(client.ssl, got), SSL_ERROR_ZERO_RETURN);
    close_tls(&client);
}

static void old_versions_and_plain_text_are_refused_and_the_server_lives(void **state)
{
    tls_client client;
    assert_false(open_tls(*state, TLS1_1_VERSION, &client));
    close_tls(&client);
    ERR_clear_error();
    int fd = test_connect(*state);
    test_send(fd, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(test_is_closed(fd));
    close(fd);
    fd = test_connect(*state); /* never shakes hands */
    assert_true(test_is_closed(fd));
    close(fd);
    assert_true(open_tls(*state, 0, &client));
    close_tls(&client);
}

/* Sends until the server has cut it off. */
static void assert_dropped_until_cut_off(int fd)
{
    enum { SENT_BYTES_MAX = 80 << 20, HELD_BYTES_MAX = 2 << 20 };
    static const char block[65536];
    size_t sent = 0;
    ssize_t length = 0;
    atomic_store(&held_bytes_most, 0);
    while (sent < SENT_BYTES_MAX && (length = send(fd, block, sizeof block, MSG_NOSIGNAL)) > 0)
        sent += (size_t)length;
    assert_true(sent < SENT_BYTES_MAX);
    assert_true(atomic_load(&held_bytes_most) < HELD_BYTES_MAX);
}

static void what_follows_a_broken_handshake_is_dropped_and_has_a_bound(void **state)
{
    int fd = test_connect(*state);
    test_send(fd, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_dropped_until_cut_off(fd);
    close(fd);
}

/* The session's end is the last thing that a client says, also while it waits for an answer. */
static void what_follows_the_end_of_a_session_is_dropped_and_has_a_bound(void **state)
{
    tls_client client;
    assert_true(open_tls(*state, 0, &client));
    const char *request = "GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_int_equal(SSL_write(client.ssl, request, (int)strlen(request)), strlen(request));
    assert_true(test_wait_for(&test_holds, 1));
    assert_int_equal(SSL_shutdown(client.ssl), 0);
    assert_dropped_until_cut_off(client.fd);
    close_tls(&client);
}

static void a_certificate_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    test_server t;
    test_prepare(&t, test_tls_routes, 1);
    t.options.certificate_path = TIMS_STR("/nowhere/certificate.pem");
    t.options.key_path = TIMS_STR("/nowhere/key.pem");
    tims_error err = { 0 };
    assert_int_equal(tims_server_run(&t.options, NULL, NULL, &err), TIMS_INVALID);
    assert_non_null(strstr(err.message, "/nowhere/certificate.pem"));
    t.options.key_path = TIMS_STR("");
    assert_int_equal(tims_server_run(&t.options, NULL, NULL, &err), TIMS_INVALID);
    tims_router_free(&t.router);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    if (CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free) != 1)
        return 2;
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, 2);
    const struct CMUnitTest tests[] = {
        TEST(a_request_over_tls_is_answered_as_secure),
        TEST(a_large_body_goes_both_ways),
        TEST(a_closing_answer_ends_the_session_properly),
        TEST(old_versions_and_plain_text_are_refused_and_the_server_lives),
        TEST(what_follows_a_broken_handshake_is_dropped_and_has_a_bound),
        TEST(what_follows_the_end_of_a_session_is_dropped_and_has_a_bound),
        cmocka_unit_test(a_certificate_that_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
