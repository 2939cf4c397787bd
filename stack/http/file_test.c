/* file_test.c: static files over a real server: encodings, validators, ranges, and everything that must not
 * be served. */
#include "base/folder_testing.h"
#include "http/testing.h"

#include <sys/stat.h>

static char root[64];

static tims_answer serve_file(tims_request *rq)
{
    return tims_answer_file(rq, root, tims_path_str(rq, "file"), rq->route->data != NULL);
}

static const tims_route routes[] = {
    { .methods = TIMS_METHOD_GET, .pattern = "/static/{file:path}", .handler = serve_file },
    { .methods = TIMS_METHOD_GET,
      .pattern = "/hashed/{file:path}",
      .handler = serve_file,
      .data = "immutable" },
};

static void write_file(const char *name, const char *bytes, size_t length)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text));
}

static void make_large(const char *name, size_t length)
{
    char *bytes = malloc(length);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)('a' + i % 26);
    write_file(name, bytes, length);
    free(bytes);
}

static int set_up(void **state)
{
    static test_server t;
    char path[256];
    snprintf(root, sizeof(root), "/tmp/tims-file-test-XXXXXX");
    assert_non_null(mkdtemp(root));
    snprintf(path, sizeof(path), "%s/sub", root);
    assert_int_equal(mkdir(path, 0755), 0);
    write_text("digits.bin", "0123456789");
    write_text("app.js", "original");
    write_text("app.js.br", "as brotli");
    write_text("app.js.gz", "as gzip");
    write_text("sub/page.html", "<p>page</p>");
    write_text(".secret", "secret");
    write_text("empty.txt", "");
    make_large("medium.css", 100000);
    make_large("large.bin", 3000000);
    snprintf(path, sizeof(path), "%s/link-out", root);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof(path), "%s/dir-out", root);
    assert_int_equal(symlink("/etc", path), 0);
    test_prepare(&t, routes, 2);
    test_start(&t);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    test_stop(*state);
    remove_folder(root);
    return 0;
}

static test_answer ask(void **state, const char *path, const char *headers)
{
    char request[1024];
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: test\r\n%s\r\n", path, headers);
    return test_ask(*state, request);
}

static void assert_header(const test_answer *answer, const char *name, const char *expected)
{
    char value[256] = "(absent)";
    test_header(answer, name, value, sizeof(value));
    assert_string_equal(value, expected);
}

static void a_file_comes_with_its_type_and_validators(void **state)
{
    test_answer answer = ask(state, "/static/sub/page.html", "");
    char value[128];
    assert_int_equal(answer.status, 200);
    assert_true(test_body_is(&answer, "<p>page</p>"));
    assert_header(&answer, "Content-Type", "text/html; charset=utf-8");
    assert_header(&answer, "Cache-Control", "no-cache");
    assert_header(&answer, "Accept-Ranges", "bytes");
    assert_true(test_header(&answer, "ETag", value, sizeof(value)));
    assert_int_equal(value[0], '"');
    assert_true(test_header(&answer, "Last-Modified", value, sizeof(value)));
    test_answer_free(&answer);
    answer = ask(state, "/hashed/sub/page.html", "");
    assert_header(&answer, "Cache-Control", "public, max-age=31536000, immutable");
    test_answer_free(&answer);
    answer = ask(state, "/static/empty.txt", "");
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.body_length, 0);
    test_answer_free(&answer);
}

static void what_is_outside_hidden_or_no_file_is_not_found(void **state)
{
    static const char *const paths[] = {
        "/static/.secret", "/static/link-out", "/static/dir-out/passwd", "/static/sub",      "/static/sub/",
        "/static/nothing", "/static/",         "/static/digits.bin/x",   "/static/%2e%2e/x",
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        test_answer answer = ask(state, paths[i], "");
        if (answer.status != 404)
            print_error("%s: %d\n", paths[i], answer.status);
        assert_int_equal(answer.status, 404);
        assert_false(test_body_has(&answer, "root:"));
        assert_false(test_body_has(&answer, "secret\""));
        test_answer_free(&answer);
    }
}

static void the_precompressed_neighbour_is_sent_to_who_accepts_it(void **state)
{
    static const char *const rows[][3] = {
        { "", "original", "(absent)" },
        { "Accept-Encoding: gzip\r\n", "as gzip", "gzip" },
        { "Accept-Encoding: gzip, br\r\n", "as brotli", "br" },
        { "Accept-Encoding: br;q=0, gzip;q=0\r\n", "original", "(absent)" },
    };
    char tags[4][64];
    for (size_t i = 0; i < 4; i++) {
        test_answer answer = ask(state, "/static/app.js", rows[i][0]);
        assert_true(test_body_is(&answer, rows[i][1]));
        assert_header(&answer, "Content-Encoding", rows[i][2]);
        assert_header(&answer, "Vary", "Accept-Encoding");
        assert_true(test_header(&answer, "ETag", tags[i], sizeof(tags[i])));
        test_answer_free(&answer);
    }
    assert_string_not_equal(tags[0], tags[1]);
    assert_string_not_equal(tags[1], tags[2]);
    test_answer answer = ask(state, "/static/medium.css", "Accept-Encoding: gzip\r\n");
    assert_header(&answer, "Content-Encoding", "gzip"); /* made here */
    assert_true(answer.body_length < 10000);
    test_answer_free(&answer);
}

static void a_client_that_has_the_file_gets_304(void **state)
{
    static const char *const names[] = { "/static/digits.bin", "/static/large.bin" };
    for (size_t i = 0; i < 2; i++) {
        test_answer answer = ask(state, names[i], "");
        char etag[64], modified[64], headers[200];
        assert_true(test_header(&answer, "ETag", etag, sizeof(etag)));
        assert_true(test_header(&answer, "Last-Modified", modified, sizeof(modified)));
        test_answer_free(&answer);
        snprintf(headers, sizeof(headers), "If-None-Match: %s\r\n", etag);
        answer = ask(state, names[i], headers);
        assert_int_equal(answer.status, 304);
        assert_header(&answer, "ETag", etag);
        test_answer_free(&answer);
        snprintf(headers, sizeof(headers), "If-Modified-Since: %s\r\n", modified);
        answer = ask(state, names[i], headers);
        assert_int_equal(answer.status, 304);
        test_answer_free(&answer);
        snprintf(headers, sizeof(headers), "If-None-Match: \"other\"\r\nIf-Modified-Since: %s\r\n", modified);
        answer = ask(state, names[i], headers);
        assert_int_equal(answer.status, 200);
        test_answer_free(&answer);
        answer = ask(state, names[i], "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        assert_int_equal(answer.status, 200);
        test_answer_free(&answer);
    }
}

static void a_range_is_cut_out(void **state)
{
    static const struct {
        const char *range;
        int status;
        const char *body, *content_range;
    } rows[] = {
        { "bytes=0-0", 206, "0", "bytes 0-0/10" },
        { "bytes=2-4", 206, "234", "bytes 2-4/10" },
        { "bytes=7-", 206, "789", "bytes 7-9/10" },
        { "bytes=-3", 206, "789", "bytes 7-9/10" },
        { "bytes=5-99", 206, "56789", "bytes 5-9/10" },
        { "bytes=-99", 206, "0123456789", "bytes 0-9/10" },
        { "bytes=10-", 416, NULL, "bytes */10" },
        { "bytes=-0", 416, NULL, "bytes */10" },
        { "bytes=4-2", 200, "0123456789", "(absent)" },
        { "bytes=0-1,3-4", 200, "0123456789", "(absent)" },
        { "lines=1-2", 200, "0123456789", "(absent)" },
        { "bytes=a-b", 200, "0123456789", "(absent)" },
        { "bytes=", 200, "0123456789", "(absent)" },
        { "bytes=99999999999999999999-", 200, "0123456789", "(absent)" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char headers[128];
        snprintf(headers, sizeof(headers), "Range: %s\r\n", rows[i].range);
        test_answer answer = ask(state, "/static/digits.bin", headers);
        if (answer.status != rows[i].status)
            print_error("%s: %d\n", rows[i].range, answer.status);
        assert_int_equal(answer.status, rows[i].status);
        if (rows[i].body)
            assert_true(test_body_is(&answer, rows[i].body));
        assert_header(&answer, "Content-Range", rows[i].content_range);
        test_answer_free(&answer);
    }
}

static void a_range_holds_only_for_the_version_it_was_asked_of(void **state)
{
    test_answer answer = ask(state, "/static/digits.bin", "");
    char etag[64], headers[200];
    assert_true(test_header(&answer, "ETag", etag, sizeof(etag)));
    test_answer_free(&answer);
    snprintf(headers, sizeof(headers), "Range: bytes=0-1\r\nIf-Range: %s\r\n", etag);
    answer = ask(state, "/static/digits.bin", headers);
    assert_int_equal(answer.status, 206);
    test_answer_free(&answer);
    answer = ask(state, "/static/digits.bin", "Range: bytes=0-1\r\nIf-Range: \"other\"\r\n");
    assert_int_equal(answer.status, 200);
    test_answer_free(&answer);
    snprintf(headers, sizeof(headers), "Range: bytes=0-1\r\nIf-Range: W/%s\r\n", etag);
    answer = ask(state, "/static/digits.bin", headers);
    assert_int_equal(answer.status, 200);
    test_answer_free(&answer);
}

static void a_large_file_is_sent_whole_and_in_part(void **state)
{
    test_answer answer = ask(state, "/static/large.bin", "");
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.body_length, 3000000);
    for (size_t i = 0; i < answer.body_length; i += 997)
        assert_int_equal(answer.body[i], 'a' + i % 26);
    test_answer_free(&answer);
    answer = ask(state, "/static/large.bin", "Range: bytes=2000001-2300000\r\n");
    assert_int_equal(answer.status, 206);
    assert_int_equal(answer.body_length, 300000);
    assert_int_equal(answer.body[0], 'a' + 2000001 % 26);
    test_answer_free(&answer);
    answer = test_ask(*state, "HEAD /static/large.bin HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "Content-Length", "3000000");
    test_answer_free(&answer);
}

static void a_changed_file_is_noticed(void **state)
{
    test_answer answer = ask(state, "/static/digits.bin", "");
    test_answer_free(&answer);
    write_text("digits.bin", "changed");
    bool changed = false;
    for (int i = 0; i < 1000 && !changed; i++) {
        answer = ask(state, "/static/digits.bin", "");
        assert_int_equal(answer.status, 200);
        changed = test_body_is(&answer, "changed");
        test_answer_free(&answer);
    }
    assert_true(changed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, 2);
    const struct CMUnitTest tests[] = {
        TEST(a_file_comes_with_its_type_and_validators),
        TEST(what_is_outside_hidden_or_no_file_is_not_found),
        TEST(the_precompressed_neighbour_is_sent_to_who_accepts_it),
        TEST(a_client_that_has_the_file_gets_304),
        TEST(a_range_is_cut_out),
        TEST(a_range_holds_only_for_the_version_it_was_asked_of),
        TEST(a_large_file_is_sent_whole_and_in_part),
        TEST(a_changed_file_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
