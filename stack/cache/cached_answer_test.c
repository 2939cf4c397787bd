/* cached_answer_test.c: kept answers over HTTP: who has one already is told so, and each encoding is made
 * once. */
#include "cache/testing.h"
#include "http/testing.h"

enum { SMALL = 4000, LARGE = 300000 };

static tims_cache *cache;

/* GET /?size=…: kept at the first request. */
static tims_answer answer(tims_request *rq)
{
    const tims_topic topic = topic_of(&room_model, "1");
    const testing_read read = { &topic, 1, false };
    const tims_cache_name name = { TIMS_CACHE_JSON, rq->target, { 0 } };
    int64_t size = 0;
    assert_true(tims_str_to_int(tims_query_get(rq, TIMS_STR("size")), 0, LARGE, &size));
    const tims_cached *cached = tims_cache_find(cache, rq, &name, 10);
    if (cached == NULL) {
        char *body = tims_alloc_raw(rq->arena, (size_t)size);
        for (int64_t i = 0; i < size; i++)
            body[i] = (char)('a' + i * i % 23);
        cached = keep_since(cache, rq, &name, 10, &read, (tims_str){ body, (size_t)size }, 1);
    }
    assert_non_null(cached);
    tims_set_header(rq, TIMS_STR("Cache-Control"), TIMS_STR("private, no-cache"));
    return tims_cached_answer(rq, cached);
}

static const tims_route routes[] = { { TIMS_METHOD_GET, "/", answer } };

static test_answer ask(const test_server *t, const char *target, const char *headers)
{
    char request[512];
    int fd = test_connect(t);
    (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n",
                   target, headers);
    test_send(fd, request);
    test_answer got = test_read(fd);
    close(fd);
    return got;
}

static void start(test_server *t, bool compress)
{
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    cache = tims_cache_new(&(tims_cache_options){ .bytes_max = 16 << 20 });
    tims_cache_reach(cache, 10);
    test_prepare(t, routes, 1);
    t->options.compress = compress;
    test_start(t);
}

static void stop(test_server *t)
{
    test_stop(t);
    tims_cache_free(&cache);
}

/* The answer's length, which shows its encoding; 0: none. */
static size_t ask_encoded(const test_server *t, const char *target, const char *encoding)
{
    char headers[128], value[64] = "";
    (void)snprintf(headers, sizeof headers, "Accept-Encoding: %s\r\n", encoding);
    test_answer got = ask(t, target, headers);
    assert_int_equal(got.status, 200);
    (void)test_header(&got, "Content-Encoding", value, sizeof value);
    assert_string_equal(value, strcmp(encoding, "identity") == 0 ? "" : encoding);
    assert_true(test_header(&got, "Vary", value, sizeof value));
    assert_string_equal(value, "Accept-Encoding");
    assert_true(test_header(&got, "ETag", value, sizeof value));
    assert_int_equal(strncmp(value, "W/", 2) == 0, strcmp(encoding, "identity") != 0);
    size_t length = got.body_length;
    test_answer_free(&got);
    return length;
}

static void each_encoding_is_made_once_and_sent_to_who_takes_it(void **state)
{
    (void)state;
    static const char *const targets[] = { "/?size=4000", "/?size=300000" }, *const encodings[] = { "gzip",
                                                                                                    "br" };
    test_server t;
    start(&t, true);
    for (size_t i = 0; i < 2; i++) {
        size_t size = i == 0 ? SMALL : LARGE;
        int64_t before = cache->bytes;
        assert_int_equal(ask_encoded(&t, targets[i], "identity"), size);
        int64_t plain = cache->bytes;
        assert_true(plain - before > (int64_t)size);
        for (size_t e = 0; e < 2; e++) {
            int64_t first = cache->bytes;
            size_t length = ask_encoded(&t, targets[i], encodings[e]);
            assert_true(length < size);
            int64_t made = cache->bytes;
            assert_int_equal(made - first, (int64_t)length);
            for (int again = 0; again < 3; again++)
                assert_int_equal(ask_encoded(&t, targets[i], encodings[e]), length);
            assert_int_equal(cache->bytes, made);
        }
    }
    stop(&t);
}

static void what_is_used_once_is_not_encoded_for_good(void **state)
{
    (void)state;
    test_server t;
    start(&t, true);
    size_t length = ask_encoded(&t, "/?size=4000", "gzip"); /* by http, for this answer */
    int64_t kept = cache->bytes;
    assert_int_equal(ask_encoded(&t, "/?size=4000", "gzip"), length);
    assert_int_equal(cache->bytes - kept, (int64_t)length);
    stop(&t);
}

static void who_has_it_is_told_so(void **state)
{
    (void)state;
    test_server t;
    char etag[64], headers[128];
    start(&t, true);
    test_answer got = ask(&t, "/?size=4000", "Accept-Encoding: br\r\n");
    assert_true(test_header(&got, "ETag", etag, sizeof etag));
    test_answer_free(&got);
    (void)snprintf(headers, sizeof headers, "Accept-Encoding: br\r\nIf-None-Match: %s\r\n", etag);
    for (int i = 0; i < 3; i++) {
        got = ask(&t, "/?size=4000", headers);
        assert_int_equal(got.status, 304);
        assert_int_equal(got.body_length, 0);
        test_answer_free(&got);
    }
    got = ask(&t, "/?size=4001", headers);
    assert_int_equal(got.status, 200);
    test_answer_free(&got);
    stop(&t);
}

static void without_compression_everybody_gets_it_plain(void **state)
{
    (void)state;
    test_server t;
    char value[64];
    start(&t, false);
    for (int i = 0; i < 3; i++) {
        test_answer got = ask(&t, "/?size=4000", "Accept-Encoding: br, gzip\r\n");
        assert_int_equal(got.body_length, SMALL);
        assert_false(test_header(&got, "Content-Encoding", value, sizeof value));
        test_answer_free(&got);
    }
    stop(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_encoding_is_made_once_and_sent_to_who_takes_it),
        cmocka_unit_test(what_is_used_once_is_not_encoded_for_good),
        cmocka_unit_test(who_has_it_is_told_so),
        cmocka_unit_test(without_compression_everybody_gets_it_plain),
    };
    return cmocka_run_group_tests_name("cached_answer", tests, NULL, NULL);
}
