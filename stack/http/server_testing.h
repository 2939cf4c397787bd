/* server_testing.h: the server that most tests of this room ask: its handlers, routes and limits. For tests
 * only. */
#ifndef TIMS_HTTP_SERVER_TESTING_H
#define TIMS_HTTP_SERVER_TESTING_H

#include "http/testing.h"

static atomic_int cancelled, deferred, finished, begun;

/* --- the handlers ----------------------------------------------------------------------------- */

TIMS_UNUSED static tims_answer say_hello(tims_request *rq)
{
    return tims_answer_text(rq, 200, "hello %.*s", TIMS_PRINT(tims_path_str(rq, "name")));
}

TIMS_UNUSED static tims_answer echo_body(tims_request *rq)
{
    return tims_answer_bytes(200, TIMS_STR("application/octet-stream"), tims_body(rq));
}

TIMS_UNUSED static tims_answer count_pieces(tims_request *rq)
{
    size_t total = 0;
    for (tims_str piece = tims_body_next(rq); piece.length > 0; piece = tims_body_next(rq))
        total += piece.length;
    return tims_answer_text(rq, 200, "%zu", total);
}

TIMS_UNUSED static tims_answer ignore_body(tims_request *rq)
{
    return tims_answer_text(rq, 200, "ignored");
}

TIMS_UNUSED static tims_answer parse_json(tims_request *rq)
{
    const tims_json *value = tims_body_json(rq);
    return tims_answer_text(rq, 200, "%.*s",
                            TIMS_PRINT(tims_json_get_str(value, TIMS_STR("name"), TIMS_STR("?"))));
}

TIMS_UNUSED static tims_answer parse_form(tims_request *rq)
{
    return tims_answer_text(rq, 200, "%.*s",
                            TIMS_PRINT(tims_pairs_get(tims_body_form(rq), TIMS_STR("name"))));
}

TIMS_UNUSED static tims_answer take_uploads(tims_request *rq)
{
    tims_uploads uploads = tims_body_uploads(rq);
    return tims_answer_text(rq, 200, "%zu %.*s %.*s", uploads.count, TIMS_PRINT(uploads.items[0].filename),
                            TIMS_PRINT(uploads.items[0].data));
}

TIMS_UNUSED static tims_answer show_query(tims_request *rq)
{
    tims_str value = tims_query_get(rq, TIMS_STR("q"));
    return tims_answer_text(rq, 200, "%s%.*s", value.data ? "=" : "none", TIMS_PRINT(value));
}

TIMS_UNUSED static void count_up(void *counter)
{
    atomic_fetch_add((atomic_int *)counter, 1);
}

TIMS_UNUSED static tims_answer sleep_long(tims_request *rq)
{
    tims_defer(rq, count_up, &deferred);
    if (tims_sleep_ms(60 * 1000) == TIMS_CANCELLED)
        atomic_fetch_add(&cancelled, 1);
    return tims_answer_text(rq, 200, "slept");
}

TIMS_UNUSED static tims_answer sleep_a_little(tims_request *rq)
{
    (void)!tims_sleep_ms(100);
    return tims_answer_text(rq, 200, "rested");
}

TIMS_UNUSED static tims_answer stream_numbers(tims_request *rq)
{
    tims_stream_head(rq, 200, TIMS_STR("text/plain"));
    for (int i = 0; i < 1000; i++)
        tims_stream_out(rq, tims_print(rq->arena, "%d\n", i));
    return tims_answer_sent();
}

TIMS_UNUSED static tims_answer stream_forever(tims_request *rq)
{
    tims_defer(rq, count_up, &deferred);
    char *block = tims_alloc(rq->arena, 65536);
    tims_stream_head(rq, 200, TIMS_STR("application/octet-stream"));
    while (!tims_client_gone(rq))
        tims_stream_out(rq, (tims_str){ block, 65536 });
    return tims_answer_sent();
}

TIMS_UNUSED static tims_answer break_off(tims_request *rq)
{
    tims_stream_head(rq, 200, TIMS_STR("text/plain"));
    tims_stream_out(rq, TIMS_STR("half"));
    tims_raise(rq, 500, "broken", "This breaks.");
}

TIMS_UNUSED static tims_answer refuse_always(tims_request *rq)
{
    tims_defer(rq, count_up, &deferred);
    tims_set_header(rq, TIMS_STR("ETag"), TIMS_STR("\"x\""));
    tims_set_header(rq, TIMS_STR("X-Kept"), TIMS_STR("yes"));
    tims_raise(rq, 409, "own_message", "You wrote \"this\" yourself.");
}

/* Two transactions got in each other's way as often as the path says. */
TIMS_UNUSED static void give_in(tims_request *rq)
{
    tims_set_header(rq, TIMS_STR("X-Run"), tims_print(rq->arena, "%d", atomic_load(&begun)));
    if (atomic_load(&begun) > tims_path_int(rq, "times"))
        return;
    tims_error err = { 0 };
    tims_raise_error(rq, (tims_fail(&err, TIMS_CONFLICT, "serialization", "Somebody was faster."), &err));
}

TIMS_UNUSED static tims_answer conflict(tims_request *rq)
{
    tims_str body = tims_body(rq);
    give_in(rq);
    return tims_answer_text(rq, 200, "%.*s", TIMS_PRINT(body));
}

TIMS_UNUSED static tims_answer conflict_in_pieces(tims_request *rq)
{
    (void)tims_body_next(rq);
    give_in(rq);
    return tims_answer_empty(204);
}

TIMS_UNUSED static tims_answer conflict_in_stream(tims_request *rq)
{
    tims_stream_head(rq, 200, TIMS_STR("text/plain"));
    give_in(rq);
    return tims_answer_sent();
}

TIMS_UNUSED static tims_answer eat_memory(tims_request *rq)
{
    for (int i = 0; i < 1000; i++)
        tims_alloc(rq->arena, 100000);
    return tims_answer_empty(204);
}

TIMS_UNUSED static tims_answer large_body(tims_request *rq)
{
    size_t length = 3 * 1024 * 1024;
    char *bytes = tims_alloc_raw(rq->arena, length);
    memset(bytes, 'x', length);
    return tims_answer_bytes(200, TIMS_STR("application/octet-stream"), (tims_str){ bytes, length });
}

TIMS_UNUSED static tims_answer tagged(tims_request *rq)
{
    if (tims_not_modified(rq, TIMS_STR("\"v1\"")))
        return tims_answer_empty(304);
    return tims_answer_text(rq, 200, "first version");
}

TIMS_UNUSED static tims_answer compressible(tims_request *rq)
{
    char *text = tims_alloc(rq->arena, 20000);
    memset(text, 'a', 20000);
    tims_set_header(rq, TIMS_STR("ETag"), TIMS_STR("\"abc\""));
    return tims_answer_json(200, (tims_str){ text, 20000 });
}

TIMS_UNUSED static tims_answer show_peer(tims_request *rq)
{
    return tims_answer_text(rq, 200, "%.*s %d %.*s", TIMS_PRINT(rq->peer), rq->secure, TIMS_PRINT(rq->id));
}

TIMS_UNUSED static tims_answer set_cookies(tims_request *rq)
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
    { .methods = POST, .pattern = "/conflict/{times:int}/", .handler = conflict },
    { .methods = POST, .pattern = "/conflict/{times:int}/pieces/", .handler = conflict_in_pieces },
    { .methods = GET, .pattern = "/conflict/{times:int}/stream/", .handler = conflict_in_stream },
    { .methods = GET, .pattern = "/memory/", .handler = eat_memory },
    { .methods = GET, .pattern = "/large/", .handler = large_body },
    { .methods = GET, .pattern = "/tagged/", .handler = tagged },
    { .methods = GET, .pattern = "/compressible/", .handler = compressible },
    { .methods = GET, .pattern = "/peer/", .handler = show_peer },
    { .methods = GET, .pattern = "/cookies/", .handler = set_cookies },
};

TIMS_UNUSED static void begin(tims_request *rq)
{
    (void)rq;
    atomic_fetch_add(&begun, 1);
}

TIMS_UNUSED static void finish(tims_request *rq, tims_answer *answer)
{
    (void)rq;
    (void)answer;
    atomic_fetch_add(&finished, 1);
}

static const char *const origin_items[] = { "https://app.example" };
static const char *const proxy_items[] = { "127.0.0.0/8", "10.0.0.1" };
static const tims_names allowed_origins = { origin_items, 1 };
static const tims_names proxies = { proxy_items, 2 };

/* Impatient: with clients that are slow, which tests of that wait for. */
TIMS_UNUSED static int set_up_server(void **state, bool is_impatient)
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
    if (is_impatient) {
        t.options.header_timeout_ms = 300;
        t.options.body_timeout_ms = 1000;
        t.options.idle_timeout_ms = 400;
        t.options.write_timeout_ms = 300;
    }
    t.options.connections_max = 8;
    t.options.cors_origins = allowed_origins;
    t.options.trusted_proxies = proxies;
    test_start(&t);
    *state = &t;
    return 0;
}

TIMS_UNUSED static int set_up(void **state)
{
    return set_up_server(state, false);
}

TIMS_UNUSED static int set_up_impatient(void **state)
{
    return set_up_server(state, true);
}

TIMS_UNUSED static int tear_down(void **state)
{
    test_stop(*state);
    return 0;
}

#define HOST "Host: test\r\n"
#define END "\r\n"

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define IMPATIENT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_impatient, tear_down)

#endif
