/* proxy_test.c: paths, headers, cookies, the breaker and the table, each by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/proxy_internal.h"

#define S(text) tims_str_from(text)
#define assert_str(actual, expected) assert_true(tims_str_equal((actual), S(expected)))
#define COUNT(array) (sizeof(array) / sizeof *(array))

static int make_arena(void **state)
{
    *state = tims_arena_new(1 << 20, NULL, NULL);
    return 0;
}

static int drop_arena(void **state)
{
    tims_arena *arena = *state;
    tims_arena_free(&arena);
    return 0;
}

/* --- paths ------------------------------------------------------------------------------------- */

static void a_plain_path_passes_byte_for_byte(void **state)
{
    static const char *const rows[][2] = {
        { "/docs/", "/base/" },
        { "/docs/a", "/base/a" },
        { "/docs/a/", "/base/a/" },
        { "/docs/a%20b?x=%2f..//", "/base/a%20b?x=%2f..//" },
        { "/docs/...", "/base/..." },
        { "/docs/.a/b..", "/base/.a/b.." },
        { "/docs/a;b=..", "/base/a;b=.." },
        { "/docs/50%25", "/base/50%25" },
        { "/docs/50%25x", "/base/50%25x" },
        { "/docs/?", "/base/?" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        tims_str target = { 0 };
        assert_int_equal(proxy__map_target(*state, S(rows[i][0]), S("/docs/"), S("/base/"), &target, NULL),
                         TIMS_OK);
        assert_str(target, rows[i][1]);
    }
}

static void a_path_that_can_be_read_in_two_ways_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "/",
        "/docs",
        "/doc%73/a",
        "//docs/a",
        "http://x/docs/a",
        "/docs//a",
        "/docs/a//",
        "/docs/.",
        "/docs/..",
        "/docs/../a",
        "/docs/a/./b",
        "/docs/%2e%2E/a",
        "/docs/.%2e",
        "/docs/..;x/a",
        "/docs/%2e%2e;/a",
        "/docs/..%3b/a",
        "/docs/a%2fb",
        "/docs/a%5Cb",
        "/docs/a\\b",
        "/docs/a%00",
        "/docs/a%0a",
        "/docs/a%7f",
        "/docs/a%252e",
        "/docs/a%25%32%65",
        "/docs/%",
        "/docs/%2",
        "/docs/%zz",
        "/docs/a#b",
        "/docs/a?b#c",
        "/docs/a b",
        "/docs/a?b c",
        "/docs/a\r\nX: 1",
        "/docs/\xc3\xa4",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        tims_str target = { 0 };
        tims_error err = { 0 };
        tims_status status = proxy__map_target(*state, S(rows[i]), S("/docs/"), S("/"), &target, &err);
        if (status != TIMS_MALFORMED)
            print_error("%s\n", rows[i]);
        assert_int_equal(status, TIMS_MALFORMED);
        assert_string_equal(err.code, "bad_path");
    }
}

static void a_location_below_the_upstream_is_below_the_prefix(void **state)
{
    static const struct {
        const char *base, *location, *expected;
    } rows[] = {
        { "/", "/a", "/docs/a" },
        { "/", "http://up:1/a?b", "/docs/a?b" },
        { "/", "HTTP://UP:1/", "/docs/" },
        { "/", "https://up:1/a#b", "/docs/a#b" },
        { "/", "http://up:1", "/docs/" },
        { "/", "https://up:1?a=b", "/docs/?a=b" },
        { "/", "http://up:1#a", "/docs/#a" },
        { "/", "http://up:1@evil/a", "http://up:1@evil/a" },
        { "/", "http://site/a", "/docs/a" },
        { "/", "https://SITE:443/a", "/docs/a" },
        { "/", "http://site:80", "/docs/" },
        { "/", "https://site:80/a", "https://site:80/a" },
        { "/", "http://site/docs/a", "http://site/docs/a" },
        { "/", "http://site.evil/a", "http://site.evil/a" },
        { "/base/", "http://site/a", "http://site/a" },
        { "/base/", "http://site/base/a", "/docs/a" },
        { "/", "http://up:12/a", "http://up:12/a" },
        { "/", "http://up:1.evil/a", "http://up:1.evil/a" },
        { "/", "//evil/a", "//evil/a" },
        { "/", "http://up:1//evil/a", "http://up:1//evil/a" },
        { "/", "a/b", "a/b" },
        { "/", "", "" },
        { "/", "/docs/a", "/docs/a" },
        { "/base/", "/base/a", "/docs/a" },
        { "/base/", "/other", "/other" },
        { "/base/", "http://up:1/base/a", "/docs/a" },
        { "/docs/", "/docs/a", "/docs/a" },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_str(proxy__map_location(*state, S(rows[i].location), S("/docs/"), S(rows[i].base), S("up:1"),
                                       S("site")),
                   rows[i].expected);
}

/* --- headers ----------------------------------------------------------------------------------- */

static void only_what_is_the_clients_to_say_passes(void **state)
{
    (void)state;
    static const char *const dropped[] = { "Host",
                                           "COOKIE",
                                           "X-Forwarded-For",
                                           "x-forwarded-x",
                                           "Forwarded",
                                           "X-Real-IP",
                                           "X-Tims-Identity",
                                           "x-tims-",
                                           "X_Tims_Id",
                                           "X_Forwarded_For",
                                           "a_b",
                                           "X-Forwarded",
                                           "Proxy",
                                           "X-Csrf-Token",
                                           "Via",
                                           "X-Request-Id",
                                           "Authorization",
                                           "X-WEBAUTH-USER",
                                           "X-WebAuth-Groups",
                                           "Remote-User",
                                           "Remote-Groups",
                                           "X-Remote-User",
                                           "X-Remote-Group",
                                           "X-Remote-Extra-scopes",
                                           "X-Forwarded-User",
                                           "X-Forwarded-Groups",
                                           "X-Auth-Request-User",
                                           "X-Auth-Request-Access-Token",
                                           "X-Authenticated-Userid",
                                           "X-Authentik-Username",
                                           "X-SSL-Client-Verify",
                                           "SSL-Client-Cert",
                                           "X-Goog-Authenticated-User-Email",
                                           "X-MS-Client-Principal-Name",
                                           "Cf-Access-Authenticated-User-Email",
                                           "Tailscale-User-Login" };
    static const char *const passed[] = { "Accept", "X-Timsy",      "Content-Type", "Range",
                                          "Proxys", "X-Auth-Token", "Remoteness" };
    for (size_t i = 0; i < COUNT(dropped); i++)
        assert_false(proxy__request_header_passes(S(dropped[i]), false));
    for (size_t i = 0; i < COUNT(passed); i++)
        assert_true(proxy__request_header_passes(S(passed[i]), false));
    assert_true(proxy__request_header_passes(S("authorization"), true));
    assert_false(proxy__answer_header_passes(S("Clear-Site-Data")));
    assert_true(proxy__answer_header_passes(S("ETag")));
}

static void headers_of_one_hop_are_known(void **state)
{
    (void)state;
    const tims_header headers[] = { { S("connection"), S("close, X-One") }, { S("Connection"), S("x-TWO") } };
    static const char *const hop[] = {
        "Connection", "TE",    "Trailer", "Transfer-Encoding", "Upgrade",
        "X-One",      "x-two", "Expect",  "Content-Length",    "Proxy-Connection"
    };
    for (size_t i = 0; i < COUNT(hop); i++)
        assert_false(tims_header_is_end_to_end(headers, 2, S(hop[i])));
    assert_true(tims_header_is_end_to_end(headers, 2, S("X-Three")));
    assert_true(tims_header_is_end_to_end(NULL, 0, S("X-One")));
}

static void our_cookies_are_taken_out(void **state)
{
    static const char *const rows[][2] = {
        { "a=1; b=2", "a=1; b=2" },
        { "a=1; tims_session=x; b=2", "a=1; b=2" },
        { "tims_session=x", "" },
        { "a=1;b=2;c=3;d=4;e=5", "a=1; b=2; c=3; d=4; e=5" },
        { "__Host-tims_session=x;__host-CSRF=y;csrf=z;tims_visitor=v", "" },
        { " tims_session =x; a=1", "a=1" },
        { "a=\"x; tims_session=y\"; b=2", "a=\"x; b=2" },
        { "=tims_session=x; lonely; a=", "a=" },
        { ";;; ;", "" },
        { "", "" },
        { "tims_sessions=x; xtims_session=y", "tims_sessions=x; xtims_session=y" },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_str(proxy__strip_cookies(*state, S(rows[i][0])), rows[i][1]);
}

static void cookies_that_could_be_taken_for_ours_collide(void **state)
{
    (void)state;
    static const char *const ours[] = {
        "tims_session=x; Path=/", "TIMS_SESSION=x", " csrf =1", "__Host-csrf=x",
        "=tims_session=x",        "tims_session",   "",         "; Path=/"
    };
    static const char *const theirs[] = { "sid=1", "tims_session2=x", "a=tims_session", "x=; csrf=1" };
    for (size_t i = 0; i < COUNT(ours); i++)
        assert_true(proxy__set_cookie_collides(S(ours[i])));
    for (size_t i = 0; i < COUNT(theirs); i++)
        assert_false(proxy__set_cookie_collides(S(theirs[i])));
}

static void hops_are_counted_in_every_line_of_via(void **state)
{
    (void)state;
    const tims_header headers[] = { { S("Via"), S("1.1 tims, 1.1 other") },
                                    { S("X-Via"), S("1.1 tims") },
                                    { S("via"), S("1.1 tims,1.1 tims") } };
    assert_int_equal(proxy__count_hops(headers, 3), 3);
    assert_int_equal(proxy__count_hops(NULL, 0), 0);
}

/* --- the breaker ------------------------------------------------------------------------------- */

static void a_breaker_opens_lets_one_probe_through_and_closes(void **state)
{
    (void)state;
    proxy__breaker breaker = { 0 };
    int retry_s = 0;
    assert_false(proxy__breaker_fail(&breaker, 2, 5000000, 0));
    assert_int_equal(proxy__breaker_enter(&breaker, 5000000, 1, &retry_s), PROXY__GO);
    assert_true(proxy__breaker_fail(&breaker, 2, 5000000, 0));
    assert_int_equal(proxy__breaker_enter(&breaker, 5000000, 1000001, &retry_s), PROXY__STOP);
    assert_int_equal(retry_s, 4);
    assert_int_equal(proxy__breaker_enter(&breaker, 5000000, 5000000, &retry_s), PROXY__PROBE);
    assert_int_equal(proxy__breaker_enter(&breaker, 5000000, 5000000, &retry_s), PROXY__STOP);
    assert_int_equal(retry_s, 1);
    assert_false(proxy__breaker_fail(&breaker, 2, 5000000, 5000000)); /* the probe: it was open */
    assert_int_equal(proxy__breaker_enter(&breaker, 5000000, 6000000, &retry_s), PROXY__STOP);
    assert_int_equal(proxy__breaker_enter(&breaker, 5000000, 10000000, &retry_s), PROXY__PROBE);
    proxy__breaker_let_go(&breaker);
    assert_int_equal(proxy__breaker_enter(&breaker, 5000000, 10000000, &retry_s), PROXY__PROBE);
    assert_true(proxy__breaker_succeed(&breaker));
    assert_int_equal(proxy__breaker_enter(&breaker, 5000000, 10000001, &retry_s), PROXY__GO);
    assert_false(proxy__breaker_succeed(&breaker));
}

static void a_probe_keeps_others_away_for_no_longer_than_a_pause(void **state)
{
    (void)state;
    proxy__breaker breaker = { 0 };
    int retry_s = 0;
    assert_true(proxy__breaker_fail(&breaker, 1, 5000000, 0));
    assert_int_equal(proxy__breaker_enter(&breaker, 5000000, 5000000, &retry_s), PROXY__PROBE);
    assert_int_equal(proxy__breaker_enter(&breaker, 5000000, 9999999, &retry_s), PROXY__STOP);
    assert_int_equal(proxy__breaker_enter(&breaker, 5000000, 10000000, &retry_s), PROXY__PROBE);
    assert_int_equal(proxy__breaker_enter(&breaker, 5000000, 10000000, &retry_s), PROXY__STOP);
}

/* A success that was noted while the last failure opened it has taken all failures away. */
static void a_breaker_that_is_open_without_failures_is_closed_by_a_success(void **state)
{
    (void)state;
    proxy__breaker breaker = { .open_until_us = 5000000 };
    int retry_s = 0;
    assert_int_equal(proxy__breaker_enter(&breaker, 5000000, 5000000, &retry_s), PROXY__PROBE);
    assert_true(proxy__breaker_succeed(&breaker));
    assert_int_equal(proxy__breaker_enter(&breaker, 5000000, 5000001, &retry_s), PROXY__GO);
}

static void only_failures_in_a_row_open_a_breaker(void **state)
{
    (void)state;
    proxy__breaker breaker = { 0 };
    for (int i = 0; i < 100; i++) {
        assert_false(proxy__breaker_fail(&breaker, 2, 1000, i));
        assert_false(proxy__breaker_succeed(&breaker));
    }
    assert_false(proxy__breaker_is_open(&breaker));
}

/* --- the table --------------------------------------------------------------------------------- */

static void a_wrong_row_is_refused(void **state)
{
    static const tims_proxy rows[][2] = {
        { { "/", "http://up/" } },
        { { "docs/", "http://up/" } },
        { { "/docs", "http://up/" } },
        { { "/a//b/", "http://up/" } },
        { { "/../", "http://up/" } },
        { { "/a b/", "http://up/" } },
        { { "/{x}/", "http://up/" } },
        { { "/a/", "ftp://up/" } },
        { { "/a/", "up" } },
        { { "/a/", "http://up/x" } },
        { { "/a/", "http://up/?q" } },
        { { "/a/", "http://up/x/../" } },
        { { "/a/", "http://up/", .access = "staff" } },
        { { "/a/", "http://up/", .health = "health" } },
        { { "/a/", "http://up/", .methods = 1 << 20 } },
        { { "/a/", "http://up/", .identity = true } },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        tims_proxies *proxies = NULL;
        tims_error err = { 0 };
        assert_int_equal(tims_proxies_new(*state, rows[i], NULL, &proxies, &err), TIMS_INVALID);
        assert_string_equal(err.code, "proxy");
    }
}

static void rows_become_routes(void **state)
{
    static const tims_proxy rows[] = {
        { "/docs/", "http://up:8080" },
        { "/a/b-c/", "unix:/run/up.sock:/x/", .methods = TIMS_METHOD_GET, .body_bytes_max = 5,
          .identity = true },
        { 0 },
    };
    const tims_proxy_settings settings[] = { { .secret = S("") },
                                             { .secret = S("0123456789abcdef0123456789abcdef") } };
    tims_proxies *proxies = NULL;
    size_t count = 0;
    assert_int_equal(tims_proxies_new(*state, rows, settings, &proxies, NULL), TIMS_OK);
    const tims_route *routes = tims_proxies_routes(proxies, &count);
    assert_int_equal(count, 2);
    assert_string_equal(routes[0].pattern, "/docs/{path:path}");
    assert_int_equal(routes[1].methods, TIMS_METHOD_GET);
    assert_true(routes[0].no_csrf);
    const proxy__row *row = routes[0].data;
    assert_str(row->host, "up:8080");
    assert_str(row->base, "/");
    row = routes[1].data;
    assert_str(row->base, "/x/");
    assert_str(row->address, "unix:/run/up.sock:");
    assert_int_equal(tims_proxies_body_bytes_max(proxies), 1 << 30);
    assert_string_equal(tims_proxy_setting_name(*state, &rows[1], "_SECRET"), "PROXY_A_B_C_SECRET");
    assert_string_equal(tims_proxy_setting_name(*state, &rows[0], ""), "PROXY_DOCS");
}

static void a_row_without_an_upstream_needs_its_setting(void **state)
{
    static const tims_proxy rows[] = { { "/docs/", NULL }, { "/a/", "http://up/" }, { 0 } };
    const tims_proxy_settings settings[] = { { .upstream = S("http://there:8080") }, { .upstream = S("") } };
    tims_proxies *proxies = NULL;
    size_t count = 0;
    assert_int_equal(tims_proxies_new(*state, rows, NULL, &proxies, NULL), TIMS_OK);
    const tims_route *routes = tims_proxies_routes(proxies, &count);
    assert_int_equal(count, 1);
    assert_string_equal(routes[0].pattern, "/a/{path:path}");
    assert_int_equal(tims_proxies_new(*state, rows, settings, &proxies, NULL), TIMS_OK);
    routes = tims_proxies_routes(proxies, &count);
    assert_int_equal(count, 2);
    const proxy__row *row = routes[0].data;
    assert_str(row->address, "http://there:8080");
}

static void no_table_is_an_empty_one(void **state)
{
    tims_proxies *proxies = NULL;
    size_t count = 1;
    assert_int_equal(tims_proxies_new(*state, NULL, NULL, &proxies, NULL), TIMS_OK);
    tims_proxies_routes(proxies, &count);
    assert_int_equal(count, 0);
    assert_int_equal(tims_proxies_body_bytes_max(proxies), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_arena, drop_arena)
    const struct CMUnitTest tests[] = {
        TEST(a_plain_path_passes_byte_for_byte),
        TEST(a_path_that_can_be_read_in_two_ways_is_refused),
        TEST(a_location_below_the_upstream_is_below_the_prefix),
        TEST(only_what_is_the_clients_to_say_passes),
        TEST(headers_of_one_hop_are_known),
        TEST(our_cookies_are_taken_out),
        TEST(cookies_that_could_be_taken_for_ours_collide),
        TEST(hops_are_counted_in_every_line_of_via),
        TEST(a_breaker_opens_lets_one_probe_through_and_closes),
        TEST(a_probe_keeps_others_away_for_no_longer_than_a_pause),
        TEST(a_breaker_that_is_open_without_failures_is_closed_by_a_success),
        TEST(only_failures_in_a_row_open_a_breaker),
        TEST(a_wrong_row_is_refused),
        TEST(rows_become_routes),
        TEST(a_row_without_an_upstream_needs_its_setting),
        TEST(no_table_is_an_empty_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
