/* client_test.c: the client against a small real server on the same loop, over TCP and a Unix socket.
 *
 * The server answers by the path it is asked for; each script runs on a fiber and ends the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/client_internal.h"

#define assert_str(actual, expected) assert_true(tims_str_equal((actual), tims_str_from(expected)))

/* --- the server ---------------------------------------------------------------------------------- */

typedef struct stage {
    tims_loop *loop;
    tims_listener *listener;
    void (*script)(struct stage *stage);
    tims_arena *arena;
    char base[128];
    int accepted, asked, closed;
    bool script_done;
    tims_fiber *waiter; /* wants to hear of a close */
} stage;

typedef struct guest {
    stage *stage;
    tims_stream *stream;
    tims_http1 *parser;
    tims_buf path, body, headers;
    bool is_head;
    int answered;
} guest;

static void say(guest *g, const char *text)
{
    tims_str bytes = tims_str_from(text);
    (void)tims_stream_write(g->stream, &bytes, 1);
}

static bool hear_head(void *ctx, const tims_http1_head *head)
{
    guest *g = ctx;
    g->path.length = g->body.length = g->headers.length = 0;
    g->is_head = head->method == TIMS_METHOD_HEAD;
    tims_buf_append_str(&g->path, head->target);
    for (size_t i = 0; i < head->header_count; i++)
        tims_buf_print(&g->headers, "%S=%S;", head->headers[i].name, head->headers[i].value);
    return true;
}

static bool hear_body(void *ctx, tims_str bytes)
{
    tims_buf_append_str(&((guest *)ctx)->body, bytes);
    return true;
}

static void say_echo(guest *g)
{
    tims_buf out;
    tims_buf_init(&out, NULL, 1 << 22);
    tims_buf_print(&out, "HTTP/1.1 201 Made\r\nX-Seen: %S\r\nContent-Length: %d\r\n\r\n%S",
                   tims_buf_str(&g->headers), (int)g->body.length, tims_buf_str(&g->body));
    tims_str bytes = tims_buf_str(&out);
    assert_int_equal(tims_stream_write(g->stream, &bytes, 1), TIMS_OK);
    tims_buf_free(&out);
}

/* 1 MiB in chunks: more than the client takes ahead. */
static void say_much(guest *g)
{
    char chunk[4096 + 8];
    memcpy(chunk, "1000\r\n", 6);
    memset(chunk + 6, 'm', 4096);
    memcpy(chunk + 6 + 4096, "\r\n", 2);
    say(g, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 256; i++) {
        tims_str bytes = { chunk, sizeof chunk };
        (void)tims_stream_write(g->stream, &bytes, 1);
    }
    say(g, "0\r\n\r\n");
}

static bool hear_end(void *ctx)
{
    guest *g = ctx;
    tims_str path = tims_buf_str(&g->path);
    g->stage->asked++;
    g->answered++;
    if (tims_str_equal(path, TIMS_STR("/hello?x=1")))
        say(g, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello");
    else if (tims_str_equal(path, TIMS_STR("/echo")))
        say_echo(g);
    else if (tims_str_equal(path, TIMS_STR("/chunked")))
        say(g, "HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: "
               "chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
    else if (tims_str_equal(path, TIMS_STR("/much")))
        say_much(g);
    else if (tims_str_equal(path, TIMS_STR("/head")))
        say(g, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
    else if (tims_str_equal(path, TIMS_STR("/bad")))
        say(g, "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello");
    else if (tims_str_equal(path, TIMS_STR("/extra")))
        say(g,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    else if (tims_str_equal(path, TIMS_STR("/upgrade")))
        say(g, "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    else if (tims_str_equal(path, TIMS_STR("/once")) && g->answered == 1)
        say(g, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
    else if (tims_str_equal(path, TIMS_STR("/until-close")))
        say(g, "HTTP/1.1 200 OK\r\n\r\nto the end");
    else if (tims_str_equal(path, TIMS_STR("/cut")))
        say(g, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    if (tims_str_equal(path, TIMS_STR("/until-close")) || tims_str_equal(path, TIMS_STR("/cut")))
        tims_stream_shutdown(g->stream);
    if (tims_str_equal(path, TIMS_STR("/once")) && g->answered == 2)
        tims_stream_close(g->stream);
    return true;
}

static const tims_http1_events parser_events = { .on_head = hear_head,
                                                 .on_body = hear_body,
                                                 .on_end = hear_end };

static void take_data(void *ctx, tims_str bytes)
{
    guest *g = ctx;
    size_t used;
    int http_status;
    assert_int_equal(tims_http1_feed(g->parser, bytes, &used, &http_status, NULL), TIMS_OK);
}

static void take_end(void *ctx, tims_status why)
{
    (void)why;
    tims_stream_close(((guest *)ctx)->stream);
}

static void take_closed(void *ctx)
{
    guest *g = ctx;
    g->stage->closed++;
    if (g->stage->waiter != NULL)
        tims_fiber_wake(g->stage->waiter);
    tims_http1_free(&g->parser);
    tims_buf_free(&g->path);
    tims_buf_free(&g->body);
    tims_buf_free(&g->headers);
    free(g);
}

static const tims_stream_events stream_events = { .on_data = take_data,
                                                  .on_end = take_end,
                                                  .on_closed = take_closed };

static void accept_guest(void *ctx, tims_stream *stream)
{
    stage *s = ctx;
    guest *g = calloc(1, sizeof *g);
    assert_non_null(g);
    g->stage = s;
    g->stream = stream;
    g->parser = tims_http1_new(TIMS_HTTP1_REQUESTS, NULL, &parser_events, g);
    tims_buf_init(&g->path, NULL, 1 << 16);
    tims_buf_init(&g->body, NULL, 1 << 22);
    tims_buf_init(&g->headers, NULL, 1 << 16);
    s->accepted++;
    tims_stream_start(stream, &stream_events, g);
}

static void run_script(void *argument)
{
    stage *s = argument;
    s->script(s);
    s->script_done = true;
    tims_listener_close(&s->listener);
    tims_fetch_shutdown(s->loop);
    tims_loop_stop(s->loop);
}

static void start_script(void *argument)
{
    stage *s = argument;
    assert_non_null(tims_fiber_start(s->loop, run_script, s));
}

static void play(void (*script)(stage *stage), const char *unix_path)
{
    stage s = { .script = script, .arena = tims_arena_new(64 << 20, NULL, NULL) };
    const tims_loop_options loop_options = { 0 };
    assert_int_equal(tims_loop_new(&loop_options, &s.loop), TIMS_OK);
    tims_listen_options options = { .host = TIMS_STR_INIT("127.0.0.1"), .fd = -1 };
    if (unix_path != NULL)
        options = (tims_listen_options){ .unix_path = tims_str_from(unix_path), .fd = -1 };
    assert_int_equal(tims_listen(s.loop, &options, accept_guest, &s, &s.listener, NULL), TIMS_OK);
    if (unix_path != NULL)
        (void)snprintf(s.base, sizeof s.base, "unix:%s:", unix_path);
    else
        (void)snprintf(s.base, sizeof s.base, "http://127.0.0.1:%d", tims_listener_port(s.listener));
    tims_loop_post(s.loop, start_script, &s);
    tims_loop_run(s.loop);
    assert_true(s.script_done);
    assert_int_equal(s.closed, s.accepted);
    tims_arena_free(&s.arena);
    tims_loop_free(&s.loop);
}

/* --- asking -------------------------------------------------------------------------------------- */

static tims_status ask_with(stage *s, tims_fetch_options options, const char *path, tims_fetched *ret_answer)
{
    tims_error err = { 0 };
    options.url = tims_print(s->arena, "%s%s", s->base, path);
    if (options.method == 0)
        options.method = TIMS_METHOD_GET;
    if (options.timeout_ms == 0)
        options.timeout_ms = 5000;
    tims_status status = tims_fetch(s->arena, &options, ret_answer, &err);
    assert_int_equal(err.status, status);
    return status;
}

static tims_status ask(stage *s, const char *path, tims_fetched *ret_answer)
{
    return ask_with(s, (tims_fetch_options){ 0 }, path, ret_answer);
}

static void script_reuses(stage *s)
{
    tims_fetched answer;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(s, "/hello?x=1", &answer), TIMS_OK);
        assert_int_equal(answer.status, 200);
        assert_str(answer.body, "hello");
        assert_str(tims_header_get(answer.headers, answer.header_count, TIMS_STR("x-a")), "b");
    }
    assert_int_equal(ask(s, "/chunked", &answer), TIMS_OK);
    assert_str(answer.body, "abc");
    assert_int_equal(ask_with(s, (tims_fetch_options){ .method = TIMS_METHOD_HEAD }, "/head", &answer),
                     TIMS_OK);
    assert_str(answer.body, "");
    assert_int_equal(ask(s, "/hello?x=1", &answer), TIMS_OK);
    assert_int_equal(s->accepted, 1);
    assert_int_equal(s->asked, 6);
}

static void exchanges_share_one_kept_connection(void **state)
{
    (void)state;
    play(script_reuses, NULL);
}

static void a_unix_socket_serves_as_well(void **state)
{
    (void)state;
    char path[64];
    (void)snprintf(path, sizeof path, "/tmp/tims-client-test-%d.sock", (int)getpid());
    play(script_reuses, path);
    (void)unlink(path);
}

static void script_sends(stage *s)
{
    tims_fetched answer;
    char *large = tims_alloc(s->arena, 300000);
    memset(large, 'p', 300000);
    const tims_header headers[] = { { TIMS_STR_INIT("X-Mine"), TIMS_STR_INIT("1") } };
    tims_fetch_options options = {
        .method = TIMS_METHOD_POST, .body = { large, 300000 }, .headers = headers, .header_count = 1
    };
    assert_int_equal(ask_with(s, options, "/echo", &answer), TIMS_OK);
    assert_int_equal(answer.status, 201);
    assert_true(tims_str_equal(answer.body, options.body));
    tims_str seen = tims_header_get(answer.headers, answer.header_count, TIMS_STR("X-Seen"));
    assert_true(tims_str_find(seen, TIMS_STR("X-Mine=1;")) != SIZE_MAX);
    assert_true(tims_str_find(seen, TIMS_STR("Content-Length=300000;")) != SIZE_MAX);
    assert_true(tims_str_starts_with(seen, TIMS_STR("Host=127.0.0.1:")));
    options.body = (tims_str){ 0 };
    assert_int_equal(ask_with(s, options, "/echo", &answer), TIMS_OK);
    assert_str(answer.body, "");
}

static void bodies_and_headers_arrive_as_given(void **state)
{
    (void)state;
    play(script_sends, NULL);
}

static void script_injects(stage *s)
{
    static const tims_header bad[] = {
        { TIMS_STR_INIT("X"), TIMS_STR_INIT("a\r\nY: b") },
        { TIMS_STR_INIT("X: y\r\nZ"), TIMS_STR_INIT("a") },
        { TIMS_STR_INIT(""), TIMS_STR_INIT("a") },
        { TIMS_STR_INIT("X"), TIMS_STR_INIT("a\0b") },
        { TIMS_STR_INIT("Content-Length"), TIMS_STR_INIT("1") },
        { TIMS_STR_INIT("Upgrade"), TIMS_STR_INIT("h2c") },
        { TIMS_STR_INIT("transfer-encoding"), TIMS_STR_INIT("chunked") },
    };
    tims_fetched answer;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tims_fetch_options options = { .headers = &bad[i], .header_count = 1 };
        assert_int_equal(ask_with(s, options, "/hello?x=1", &answer), TIMS_INVALID);
    }
    assert_int_equal(ask(s, "/a b", &answer), TIMS_MALFORMED);
    assert_int_equal(ask(s, "/\r\nX: y", &answer), TIMS_MALFORMED);
    assert_int_equal(s->asked, 0);
}

static void what_would_break_the_request_is_refused(void **state)
{
    (void)state;
    play(script_injects, NULL);
}

static void script_fails(stage *s)
{
    tims_fetched answer = { .status = 77 };
    assert_int_equal(ask_with(s, (tims_fetch_options){ .timeout_ms = 30 }, "/silence", &answer),
                     TIMS_TIMEOUT);
    assert_int_equal(ask(s, "/bad", &answer), TIMS_MALFORMED);
    assert_int_equal(ask(s, "/cut", &answer), TIMS_UNAVAILABLE);
    assert_int_equal(ask_with(s, (tims_fetch_options){ .body_bytes_max = 4 }, "/hello?x=1", &answer),
                     TIMS_TOO_LARGE);
    assert_int_equal(ask_with(s, (tims_fetch_options){ .body_bytes_max = 4 }, "/much", &answer),
                     TIMS_TOO_LARGE);
    assert_int_equal(ask_with(s, (tims_fetch_options){ .timeout_ms = 30 }, "/upgrade", &answer),
                     TIMS_TIMEOUT);
    assert_int_equal(answer.status, 77);
    assert_int_equal(ask(s, "/until-close", &answer), TIMS_OK);
    assert_str(answer.body, "to the end");
    assert_int_equal(ask_with(s, (tims_fetch_options){ .body_bytes_max = 5 }, "/hello?x=1", &answer),
                     TIMS_OK);
    assert_int_equal(s->accepted, 8); /* none of the failed connections was used again */
}

static void failures_are_named_and_cost_the_connection(void **state)
{
    (void)state;
    play(script_fails, NULL);
}

static void script_refused(stage *s)
{
    tims_fetched answer;
    (void)snprintf(s->base, sizeof s->base, "http://127.0.0.1:1");
    assert_int_equal(ask(s, "/", &answer), TIMS_UNAVAILABLE);
    (void)snprintf(s->base, sizeof s->base, "unix:/tmp/no-such-tims.sock:");
    assert_int_equal(ask(s, "/", &answer), TIMS_UNAVAILABLE);
    (void)snprintf(s->base, sizeof s->base, "https://127.0.0.1:1");
    assert_int_equal(ask(s, "/", &answer), TIMS_MALFORMED);
}

static void nobody_there_is_unavailable(void **state)
{
    (void)state;
    play(script_refused, NULL);
}

static void script_smuggles(stage *s)
{
    tims_fetched answer;
    assert_int_equal(ask(s, "/extra", &answer), TIMS_OK);
    assert_str(answer.body, "ok");
    assert_int_equal(ask(s, "/hello?x=1", &answer), TIMS_OK);
    assert_str(answer.body, "hello");
    assert_int_equal(s->accepted, 2);
}

static void bytes_behind_an_answer_never_become_the_next_one(void **state)
{
    (void)state;
    play(script_smuggles, NULL);
}

static void script_retries(stage *s)
{
    tims_fetched answer;
    assert_int_equal(ask(s, "/once", &answer), TIMS_OK);
    assert_int_equal(ask(s, "/once", &answer),
                     TIMS_OK); /* closed under it; asked again on a new connection */
    assert_str(answer.body, "1");
    assert_int_equal(s->accepted, 2);
    assert_int_equal(s->asked, 3);
    tims_fetch_options post = { .method = TIMS_METHOD_POST };
    assert_int_equal(ask_with(s, post, "/once", &answer),
                     TIMS_UNAVAILABLE); /* may have been done: not repeated */
    assert_int_equal(s->asked, 4);
}

static void only_safe_requests_are_repeated_on_a_stale_connection(void **state)
{
    (void)state;
    play(script_retries, NULL);
}

static tims_fetch_stream *open_stream(stage *s, const char *path, size_t body_bytes_max)
{
    tims_fetch_options options = { .method = TIMS_METHOD_GET,
                                   .url = tims_print(s->arena, "%s%s", s->base, path),
                                   .timeout_ms = 5000,
                                   .body_bytes_max = body_bytes_max };
    tims_fetch_stream *stream = NULL;
    tims_fetched head;
    assert_int_equal(tims_fetch_open(s->arena, &options, &stream, &head, NULL), TIMS_OK);
    assert_int_equal(head.status, 200);
    return stream;
}

static void script_streams(stage *s)
{
    tims_fetch_stream *stream = open_stream(s, "/much", SIZE_MAX);
    size_t total = 0;
    tims_str bytes;
    do {
        assert_int_equal(tims_fetch_next(stream, &bytes, NULL), TIMS_OK);
        assert_true(bytes.length < 2 * HTTP__FETCH_QUEUE_BYTES);
        for (size_t i = 0; i < bytes.length; i++)
            assert_int_equal(bytes.data[i], 'm');
        total += bytes.length;
    } while (bytes.length > 0);
    assert_int_equal(total, 1 << 20);
    assert_int_equal(tims_fetch_next(stream, &bytes, NULL), TIMS_OK);
    assert_int_equal(bytes.length, 0);
    tims_fetch_close(&stream);
    assert_null(stream);
    stream = open_stream(s, "/much", SIZE_MAX); /* the same connection, left early */
    assert_int_equal(s->accepted, 1);
    assert_int_equal(tims_fetch_next(stream, &bytes, NULL), TIMS_OK);
    tims_fetch_close(&stream);
    tims_fetched answer;
    assert_int_equal(ask(s, "/hello?x=1", &answer), TIMS_OK);
    assert_int_equal(s->accepted, 2);
}

static void streams_are_read_in_bounded_pieces_and_may_be_left_early(void **state)
{
    (void)state;
    play(script_streams, NULL);
}

static void script_bounded_stream(stage *s)
{
    tims_fetch_stream *stream = open_stream(s, "/much", 10000);
    tims_str bytes;
    tims_status status;
    while ((status = tims_fetch_next(stream, &bytes, NULL)) == TIMS_OK)
        assert_true(bytes.length > 0);
    assert_int_equal(status, TIMS_TOO_LARGE);
    tims_fetch_close(&stream);
}

static void a_stream_past_its_bound_fails(void **state)
{
    (void)state;
    play(script_bounded_stream, NULL);
}

static void script_forgets(stage *s)
{
    tims_arena *own = s->arena;
    s->arena = tims_arena_new(1 << 20, NULL, NULL);
    (void)open_stream(s, "/much", SIZE_MAX);
    tims_arena_free(&s->arena); /* as when a fiber is raised out of */
    s->arena = own;
    s->waiter = tims_fiber_self();
    while (s->closed == 0)
        assert_int_equal(tims_fiber_suspend(), TIMS_OK);
    s->waiter = NULL;
}

static void the_end_of_the_arena_closes_a_stream(void **state)
{
    (void)state;
    play(script_forgets, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exchanges_share_one_kept_connection),
        cmocka_unit_test(a_unix_socket_serves_as_well),
        cmocka_unit_test(bodies_and_headers_arrive_as_given),
        cmocka_unit_test(what_would_break_the_request_is_refused),
        cmocka_unit_test(failures_are_named_and_cost_the_connection),
        cmocka_unit_test(nobody_there_is_unavailable),
        cmocka_unit_test(bytes_behind_an_answer_never_become_the_next_one),
        cmocka_unit_test(only_safe_requests_are_repeated_on_a_stale_connection),
        cmocka_unit_test(streams_are_read_in_bounded_pieces_and_may_be_left_early),
        cmocka_unit_test(a_stream_past_its_bound_fails),
        cmocka_unit_test(the_end_of_the_arena_closes_a_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
