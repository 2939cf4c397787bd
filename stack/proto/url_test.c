/* url_test.c: how targets, pairs and addresses are read, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tims/proto.h"

static int open_arena(void **state)
{
    *state = tims_arena_new(1 << 20, NULL, NULL);
    return 0;
}

static int close_arena(void **state)
{
    tims_arena *arena = *state;
    tims_arena_free(&arena);
    return 0;
}

#define assert_str(actual, expected) assert_true(tims_str_equal((actual), tims_str_from(expected)))

static void targets_are_decoded_and_normalised_once(void **state)
{
    static const struct {
        const char *target, *path, *query;
    } rows[] = {
        { "/", "/", "" },
        { "/a/b/", "/a/b/", "" },
        { "/a/b?x=%20&y", "/a/b", "x=%20&y" },
        { "/?", "/", "" },
        { "//a///b//", "/a/b/", "" },
        { "/./a/./b/.", "/a/b/", "" },
        { "/a/../b", "/b", "" },
        { "/a/b/..", "/a/", "" },
        { "/a/..", "/", "" },
        { "/%61%2e%2E/x", "/a../x", "" },
        { "/a/%2e%2e/b", "/b", "" },
        { "/%C3%A4%20+", "/\xc3\xa4 +", "" },
        { "/a%2525", "/a%25", "" },
        { "/...", "/...", "" },
        { "/a;b=c", "/a;b=c", "" },
        { "*", "/", "" },
        { "http://h", "/", "" },
        { "http://h?x", "/", "x" },
        { "https://h:1/a?b?c", "/a", "b?c" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tims_str path, query;
        tims_status status =
            tims_url_split_target(*state, tims_str_from(rows[i].target), &path, &query, NULL);
        if (status != TIMS_OK)
            fail_msg("%s is refused", rows[i].target);
        assert_str(path, rows[i].path);
        assert_str(query, rows[i].query);
        assert_int_equal(path.data[path.length], '\0');
    }
}

static void ambiguous_targets_are_refused(void **state)
{
    static const char *const bad[] = {
        "",       "a",       "ftp://h/",   "http:/x", "/..",    "/../",   "/a/../../b", "/%2e%2e/x", "/a%2fb",
        "/a%2Fb", "/%",      "/%4",        "/%zz",    "/a%00b", "/a%0ab", "/a%7f",      "/a\\b",     "/a%5cb",
        "/%ff",   "/%c0%af", "/%ed%a0%80", "/a#b",    "/a?b#c", "/a\x01", "/a?\x01",    "/a\nb",     "\\",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tims_str path = TIMS_STR("untouched"), query = path;
        tims_error err = { 0 };
        if (tims_url_split_target(*state, tims_str_from(bad[i]), &path, &query, &err) != TIMS_MALFORMED)
            fail_msg("%s is accepted", bad[i]);
        assert_str(path, "untouched");
        assert_int_equal(err.status, TIMS_MALFORMED);
    }
    tims_str path, query;
    tims_str with_nul = { "/a\0b", 4 };
    assert_int_equal(tims_url_split_target(*state, with_nul, &path, &query, NULL), TIMS_MALFORMED);
}

static void pairs_are_decoded_in_order_and_the_first_wins(void **state)
{
    tims_pairs pairs;
    tims_str text = TIMS_STR("a=1&b=x+y%21&&a=2&c&=d&e=%3D=&%C3%A4=%e2%82%ac");
    assert_int_equal(tims_url_parse_pairs(*state, text, 7, &pairs, NULL), TIMS_OK);
    assert_int_equal(pairs.count, 7);
    assert_str(tims_pairs_get(pairs, TIMS_STR("a")), "1");
    assert_str(tims_pairs_get(pairs, TIMS_STR("b")), "x y!");
    assert_str(tims_pairs_get(pairs, TIMS_STR("c")), "");
    assert_non_null(tims_pairs_get(pairs, TIMS_STR("c")).data);
    assert_str(tims_pairs_get(pairs, TIMS_STR("")), "d");
    assert_str(tims_pairs_get(pairs, TIMS_STR("e")), "==");
    assert_str(tims_pairs_get(pairs, TIMS_STR("\xc3\xa4")), "\xe2\x82\xac");
    assert_null(tims_pairs_get(pairs, TIMS_STR("f")).data);
    assert_int_equal(tims_url_parse_pairs(*state, TIMS_STR(""), 7, &pairs, NULL), TIMS_OK);
    assert_int_equal(pairs.count, 0);
    assert_int_equal(tims_url_parse_pairs(*state, (tims_str){ 0 }, 7, &pairs, NULL), TIMS_OK);
    assert_int_equal(pairs.count, 0);
}

static void bad_pairs_are_refused(void **state)
{
    tims_pairs pairs = { .count = 99 };
    static const char *const bad[] = { "a=%", "a=%4", "a=%zz", "%g0=1", "a=%00", "a=%ff", "a=%c3", "a=\xff" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(tims_url_parse_pairs(*state, tims_str_from(bad[i]), 10, &pairs, NULL),
                         TIMS_MALFORMED);
    assert_int_equal(tims_url_parse_pairs(*state, TIMS_STR("a&b&c"), 2, &pairs, NULL), TIMS_TOO_LARGE);
    assert_int_equal(pairs.count, 99);
}

static void encoding_keeps_only_what_is_unreserved(void **state)
{
    assert_str(tims_url_encode(*state, TIMS_STR("aZ09-._~")), "aZ09-._~");
    assert_str(tims_url_encode(*state, TIMS_STR("a b/c?&=+%\xc3\xa4")), "a%20b%2Fc%3F%26%3D%2B%25%C3%A4");
    assert_str(tims_url_encode(*state, (tims_str){ 0 }), "");
}

static void what_was_encoded_decodes_to_itself(void **state)
{
    char all[255];
    size_t length = 0;
    for (int c = 1; c < 128; c++)
        all[length++] = (char)c;
    tims_str text = { all, length };
    tims_pairs pairs;
    assert_int_equal(tims_url_parse_pairs(*state, tims_url_encode(*state, text), 1, &pairs, NULL), TIMS_OK);
    assert_true(tims_str_equal(pairs.items[0].name, text));
}

static void addresses_are_taken_apart(void **state)
{
    static const struct {
        const char *text, *scheme, *host, *path, *query;
        int port;
    } rows[] = {
        { "http://localhost", "http", "localhost", "/", "", 80 },
        { "https://h/a%20b?c=d", "https", "h", "/a%20b", "c=d", 443 },
        { "http://127.0.0.1:3000/x", "http", "127.0.0.1", "/x", "", 3000 },
        { "ws://[::1]:9/", "ws", "::1", "/", "", 9 },
        { "http://[::1]?q", "http", "::1", "/", "q", 80 },
        { "unix:/run/x.sock", "unix", "/run/x.sock", "/", "", 0 },
        { "unix:/run/x.sock:/render?a", "unix", "/run/x.sock", "/render", "a", 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tims_url url;
        assert_int_equal(tims_url_parse(*state, tims_str_from(rows[i].text), &url, NULL), TIMS_OK);
        assert_str(url.scheme, rows[i].scheme);
        assert_str(url.host, rows[i].host);
        assert_str(url.path, rows[i].path);
        assert_str(url.query, rows[i].query);
        assert_int_equal(url.port, rows[i].port);
    }
}

static void bad_addresses_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "http",
        "http:",
        "http://",
        "http:///x",
        "localhost:80",
        "ftp://h/",
        "http://u:p@h/",
        "http://h:0/",
        "http://h:65536/",
        "http://h:x/",
        "http://h:/",
        "http://[::1/",
        "http://[]/",
        "http://[::1]x/",
        "http://h/a b",
        "http://h/\r\nX: y",
        "http://h/#f",
        "unix:",
        "unix:x",
        "unix:/",
        "unix:/s:x",
        "unix:/s:",
        "http://h\x80/",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tims_url url;
        if (tims_url_parse(*state, tims_str_from(bad[i]), &url, NULL) != TIMS_MALFORMED)
            fail_msg("%s is accepted", bad[i]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_arena, close_arena)
    const struct CMUnitTest tests[] = {
        TEST(targets_are_decoded_and_normalised_once),
        TEST(ambiguous_targets_are_refused),
        TEST(pairs_are_decoded_in_order_and_the_first_wins),
        TEST(bad_pairs_are_refused),
        TEST(encoding_keeps_only_what_is_unreserved),
        TEST(what_was_encoded_decodes_to_itself),
        TEST(addresses_are_taken_apart),
        TEST(bad_addresses_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
