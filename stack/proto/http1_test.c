/* http1_test: what is accepted, its limits, and that packet borders change nothing. */
#include "proto/http1_testing.h"

/* --- what is accepted, at every packet border ---------------------------------------------------- */

typedef struct accepted_row {
    tims_http1_role role;
    tims_str bytes;
    const char *transcript;
} accepted_row;

static const accepted_row accepted[] = {
    { TIMS_HTTP1_REQUESTS,
      TIMS_STR_INIT("GET /a?b=c HTTP/1.1\r\nHost: h:8000\r\nX-Empty:\r\nX: \t padded \t \r\n\r\n"),
      "GET 0 /a?b=c host=h:8000 length=-1 chunked=0 keep=1 upgrade=0 continue=0 minor=1\n"
      "Host=h:8000\nX-Empty=\nX=padded\nbody=\nend\n" },
    { TIMS_HTTP1_REQUESTS, TIMS_STR_INIT("\r\nGET / HTTP/1.0\r\n\r\n"),
      "GET 0 / host= length=-1 chunked=0 keep=0 upgrade=0 continue=0 minor=0\nbody=\nend\n" },
    { TIMS_HTTP1_REQUESTS, TIMS_STR_INIT("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"),
      "GET 0 / host= length=-1 chunked=0 keep=1 upgrade=0 continue=0 "
      "minor=0\nConnection=Keep-Alive\nbody=\nend\n" },
    { TIMS_HTTP1_REQUESTS, TIMS_STR_INIT("GET / HTTP/1.1\r\nhost: [::1]:80\r\nConnection: x, Close\r\n\r\n"),
      "GET 0 / host=[::1]:80 length=-1 chunked=0 keep=0 upgrade=0 continue=0 minor=1\n"
      "host=[::1]:80\nConnection=x, Close\nbody=\nend\n" },
    { TIMS_HTTP1_REQUESTS,
      TIMS_STR_INIT("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: "
                    "100-Continue\r\n\r\nab\r\ncGET / HTTP/1.1\r\n"
                    "Host: h\r\nX: \xc3\xa4\r\n\r\n"),
      "POST 0 / host=h length=5 chunked=0 keep=1 upgrade=0 continue=1 minor=1\nHost=h\nContent-Length=5\n"
      "Expect=100-Continue\nbody=ab\r\nc\nend\n"
      "GET 0 / host=h length=-1 chunked=0 keep=1 upgrade=0 continue=0 "
      "minor=1\nHost=h\nX=\xc3\xa4\nbody=\nend\n" },
    { TIMS_HTTP1_REQUESTS,
      TIMS_STR_INIT("PUT http://H/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
                    "3\r\nabc\r\n00A;name=\"v w\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n"
                    "DELETE /y HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"),
      "PUT 0 http://H/x host=h length=-1 chunked=1 keep=1 upgrade=0 continue=0 minor=1\nHost=h\n"
      "Transfer-Encoding=Chunked\nbody=abc0123456789\nend\n"
      "DELETE 0 /y host=h length=0 chunked=0 keep=1 upgrade=0 continue=0 minor=1\nHost=h\nContent-Length=0\n"
      "body=\nend\n" },
    { TIMS_HTTP1_REQUESTS,
      TIMS_STR_INIT(
          "GET /live HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
          "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"),
      "GET 0 /live host=h length=-1 chunked=0 keep=1 upgrade=1 continue=0 minor=1\nHost=h\n"
      "Connection=keep-alive, Upgrade\nUpgrade=websocket\nbody=\nend\n"
      "OPTIONS 0 * host=h length=-1 chunked=0 keep=1 upgrade=0 continue=0 minor=1\nHost=h\nbody=\nend\n" },
    { TIMS_HTTP1_REQUESTS,
      TIMS_STR_INIT(
          "POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi"),
      "POST 0 / host=h length=2 chunked=0 keep=1 upgrade=0 continue=0 minor=1\nHost=h\nConnection=Upgrade\n"
      "Upgrade=h2c\nContent-Length=2\nbody=hi\nend\n" },
    { TIMS_HTTP1_RESPONSES,
      TIMS_STR_INIT("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
                    "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
                    "HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
                    "HTTP/1.0 200 OK\r\n\r\nuntil the end"),
      "? 100  host= length=-1 chunked=0 keep=1 upgrade=0 continue=0 minor=1\nbody=\nend\n"
      "? 200  host= length=2 chunked=0 keep=1 upgrade=0 continue=0 minor=1\nContent-Length=2\nbody=hi\nend\n"
      "? 204  host= length=-1 chunked=0 keep=1 upgrade=0 continue=0 minor=1\nbody=\nend\n"
      "? 304  host= length=9 chunked=0 keep=1 upgrade=0 continue=0 minor=1\nContent-Length=9\nbody=\nend\n"
      "? 404  host= length=-1 chunked=1 keep=1 upgrade=0 continue=0 "
      "minor=1\nTransfer-Encoding=chunked\nbody=x\nend\n"
      "? 200  host= length=-1 chunked=0 keep=0 upgrade=0 continue=0 minor=0\nbody=until the end\nend\n" },
};

static void check_transcript(transcript *t, const accepted_row *one)
{
    assert_int_equal(tims_http1_finish(t->parser), TIMS_OK);
    tims_buf_append_char(&t->text, '\0');
    assert_string_equal(t->text.data, one->transcript);
}

static void valid_messages_read_the_same_at_every_packet_border(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        const accepted_row *one = &accepted[i];
        for (size_t border = 0; border <= one->bytes.length; border++) {
            transcript t;
            open_transcript(&t, one->role, NULL);
            assert_int_equal(feed_in_pieces(&t, tims_str_slice(one->bytes, 0, border), SIZE_MAX), 0);
            assert_int_equal(feed_in_pieces(&t, tims_str_slice(one->bytes, border, SIZE_MAX), SIZE_MAX), 0);
            check_transcript(&t, one);
            close_transcript(&t);
        }
    }
}

static void valid_messages_read_the_same_byte_by_byte_and_when_every_event_pauses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        for (size_t piece = 1; piece <= 7; piece++) {
            transcript t;
            open_transcript(&t, accepted[i].role, NULL);
            t.stop_at_head = t.stop_at_body = t.stop_at_end = piece > 3;
            assert_int_equal(feed_in_pieces(&t, accepted[i].bytes, piece), 0);
            size_t used = 0;
            assert_int_equal(feed(&t, (tims_str){ 0 }, &used), 0); /* an end may be waiting */
            tims_http1_resume(t.parser);
            check_transcript(&t, &accepted[i]);
            close_transcript(&t);
        }
    }
}

/* --- limits -------------------------------------------------------------------------------------- */

static const tims_http1_limits small = {
    .line_bytes_max = 20, .header_bytes_max = 40, .header_count_max = 3, .body_bytes_max = 8
};

static int status_with_small_limits(const char *text, size_t piece)
{
    transcript t;
    open_transcript(&t, TIMS_HTTP1_REQUESTS, &small);
    int status = feed_in_pieces(&t, tims_str_from(text), piece);
    if (status == 0)
        assert_int_equal(tims_http1_finish(t.parser), TIMS_OK);
    close_transcript(&t);
    return status;
}

static void limits_hold_to_the_byte(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int http_status;
    } rows[] = {
        { "GET /456789 HTTP/1.1\r\n" REST, 0 },
        { "GET /4567890 HTTP/1.1\r\n" REST, 414 },
        { "GET /45678901234567890123456789", 414 },
        { "GET / HTTP/1.1\r\nHost: h\r\nX: 56789012345678901234567\r\n\r\n", 0 },
        { "GET / HTTP/1.1\r\nHost: h\r\nX: 567890123456789012345678901234567890", 431 },
        { "GET / HTTP/1.1\r\nHost: h\r\nA:\r\nB:\r\n\r\n", 0 },
        { "GET / HTTP/1.1\r\nHost: h\r\nA:\r\nB:\r\nC:\r\n\r\n", 431 },
        { "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n12345678", 0 },
        { "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n123456789", 413 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t piece = 1; piece < 100; piece += 33)
            assert_int_equal(status_with_small_limits(rows[i].text, piece), rows[i].http_status);
}

static void chunked_bodies_and_trailers_have_the_same_limits(void **state)
{
    (void)state;
    static const tims_http1_limits tight = {
        .line_bytes_max = 20, .header_bytes_max = 48, .header_count_max = 3, .body_bytes_max = 8
    };
    static const struct {
        const char *text;
        int http_status;
    } rows[] = {
        { CHUNKED "4\r\n1234\r\n4\r\n5678\r\n0\r\n\r\n", 0 },
        { CHUNKED "4\r\n1234\r\n5\r\n56789\r\n0\r\n\r\n", 413 },
        { CHUNKED "0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", 0 },
        { CHUNKED "0\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n", 431 },
        { CHUNKED "0\r\nA: 456789012345678901234567890123456789012345678901\r\n\r\n", 431 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t piece = 1; piece < 200; piece += 33) {
            transcript t;
            open_transcript(&t, TIMS_HTTP1_REQUESTS, &tight);
            assert_int_equal(feed_in_pieces(&t, tims_str_from(rows[i].text), piece), rows[i].http_status);
            close_transcript(&t);
        }
    }
}

static void chunk_extensions_are_bounded_over_the_whole_message(void **state)
{
    (void)state;
    transcript t;
    open_transcript(&t, TIMS_HTTP1_REQUESTS, NULL);
    assert_int_equal(feed_in_pieces(&t, TIMS_STR(CHUNKED), SIZE_MAX), 0);
    int chunks = 0, status = 0;
    while (status == 0 && chunks++ < 1000)
        status =
            feed_in_pieces(&t, TIMS_STR("1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n"), SIZE_MAX);
    assert_int_equal(status, 400);
    assert_in_range(chunks, 50, 200);
    close_transcript(&t);
}

/* --- pausing, upgrades, the end ------------------------------------------------------------------ */

static void a_pause_leaves_the_rest_of_the_bytes(void **state)
{
    (void)state;
    tims_str both = TIMS_STR("GET /1 HTTP/1.1\r\n" REST "GET /2 HTTP/1.1\r\n" REST);
    transcript t;
    open_transcript(&t, TIMS_HTTP1_REQUESTS, NULL);
    t.stop_at_end = true;
    size_t used = 0;
    assert_int_equal(feed(&t, both, &used), 0);
    assert_int_equal(used, both.length / 2);
    assert_int_equal(t.ends, 1);
    size_t again = 0;
    assert_int_equal(feed(&t, tims_str_slice(both, used, SIZE_MAX), &again), 0);
    assert_int_equal(again, 0);
    tims_http1_resume(t.parser);
    assert_int_equal(feed(&t, tims_str_slice(both, used, SIZE_MAX), &again), 0);
    assert_int_equal(again, both.length / 2);
    assert_int_equal(t.ends, 2);
    close_transcript(&t);
}

static void a_pause_at_the_head_keeps_the_end_for_the_next_feed(void **state)
{
    (void)state;
    transcript t;
    open_transcript(&t, TIMS_HTTP1_REQUESTS, NULL);
    t.stop_at_head = true;
    size_t used = 0;
    assert_int_equal(feed(&t, TIMS_STR("GET / HTTP/1.1\r\n" REST), &used), 0);
    assert_int_equal(t.heads, 1);
    assert_int_equal(t.ends, 0);
    assert_false(tims_http1_is_idle(t.parser));
    tims_http1_resume(t.parser);
    assert_int_equal(feed(&t, (tims_str){ 0 }, &used), 0);
    assert_int_equal(t.ends, 1);
    assert_true(tims_http1_is_idle(t.parser));
    close_transcript(&t);
}

static void an_upgrade_stops_before_the_other_protocols_bytes(void **state)
{
    (void)state;
    tims_str head = TIMS_STR("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" REST);
    tims_str bytes =
        TIMS_STR("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" REST "\x81\x80");
    transcript t;
    open_transcript(&t, TIMS_HTTP1_REQUESTS, NULL);
    size_t used = 0;
    assert_int_equal(feed(&t, bytes, &used), 0);
    assert_int_equal(used, head.length);
    assert_int_equal(t.ends, 1);
    close_transcript(&t);
}

static void only_a_101_upgrades_a_response(void **state)
{
    (void)state;
    tims_str granted =
        TIMS_STR("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nrest");
    tims_str offered =
        TIMS_STR("HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\nrest");
    transcript t;
    open_transcript(&t, TIMS_HTTP1_RESPONSES, NULL);
    size_t used = 0;
    assert_int_equal(feed(&t, granted, &used), 0);
    assert_int_equal(used, granted.length - 4);
    tims_http1_reset(t.parser);
    assert_int_equal(feed(&t, offered, &used), 0);
    assert_int_equal(used, offered.length);
    assert_int_equal(t.ends, 2);
    close_transcript(&t);
}

static void the_answer_to_HEAD_has_no_body_even_behind_a_100(void **state)
{
    (void)state;
    transcript t;
    open_transcript(&t, TIMS_HTTP1_RESPONSES, NULL);
    tims_http1_expect_no_body(t.parser);
    assert_int_equal(
        feed_in_pieces(&t, TIMS_STR("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"),
                       5),
        0);
    assert_int_equal(t.ends, 2);
    assert_int_equal(feed_in_pieces(&t, TIMS_STR("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"), 5), 0);
    assert_int_equal(t.ends, 3);
    close_transcript(&t);
}

static void a_close_in_the_middle_is_malformed(void **state)
{
    (void)state;
    static const char *const halves[] = { "G",
                                          "GET / HTTP/1.1\r\n",
                                          "GET / HTTP/1.1\r\nHost: h\r\n\r",
                                          "\r",
                                          POST "Content-Length: 3\r\n\r\nab",
                                          CHUNKED,
                                          CHUNKED "1\r\n",
                                          CHUNKED "1\r\nx",
                                          CHUNKED "1\r\nx\r\n0\r\n" };
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
        transcript t;
        open_transcript(&t, TIMS_HTTP1_REQUESTS, NULL);
        assert_int_equal(feed_in_pieces(&t, tims_str_from(halves[i]), SIZE_MAX), 0);
        assert_int_equal(tims_http1_finish(t.parser), TIMS_MALFORMED);
        assert_int_equal(t.ends, 0);
        close_transcript(&t);
    }
}

static void malformed_responses_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int ends = 0;
        assert_int_not_equal(status_of(TIMS_HTTP1_RESPONSES, tims_str_from(bad[i]), SIZE_MAX, &ends), 0);
        assert_int_equal(ends, 0);
    }
}

static void a_rested_parser_works_again(void **state)
{
    (void)state;
    transcript t;
    open_transcript(&t, TIMS_HTTP1_REQUESTS, NULL);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(feed_in_pieces(&t, TIMS_STR("GET / HTTP/1.1\r\n" REST), 3), 0);
        assert_int_equal(t.ends, i);
        tims_http1_rest(t.parser);
    }
    assert_int_equal(feed_in_pieces(&t, TIMS_STR("GET / HT"), 3), 0);
    tims_http1_rest(t.parser); /* must keep what is half read */
    assert_int_equal(feed_in_pieces(&t, TIMS_STR("TP/1.1\r\n" REST), 3), 0);
    assert_int_equal(t.ends, 4);
    close_transcript(&t);
}

/* --- heads --------------------------------------------------------------------------------------- */

typedef struct copied {
    tims_arena *arena;
    tims_http1_head head;
} copied;

static bool copy_head(void *ctx, const tims_http1_head *head)
{
    copied *kept = ctx;
    kept->head = tims_http1_head_copy(kept->arena, head);
    return true;
}

static bool ignore_end(void *ctx)
{
    (void)ctx;
    return true;
}

static void a_copied_head_outlives_the_bytes(void **state)
{
    (void)state;
    const tims_http1_events copying = { .on_head = copy_head, .on_end = ignore_end };
    copied kept = { .arena = tims_arena_new(1 << 16, NULL, NULL) };
    tims_http1 *parser = tims_http1_new(TIMS_HTTP1_REQUESTS, NULL, &copying, &kept);
    char bytes[] = "GET /x HTTP/1.1\r\nHost: there\r\nAccept: a\r\n\r\n";
    size_t used;
    int http_status;
    assert_int_equal(tims_http1_feed(parser, tims_str_from(bytes), &used, &http_status, NULL), TIMS_OK);
    memset(bytes, 'x', sizeof bytes);
    tims_http1_free(&parser);
    assert_true(tims_str_equal(kept.head.target, TIMS_STR("/x")));
    assert_true(tims_str_equal(kept.head.host, TIMS_STR("there")));
    tims_str accept = tims_header_get(kept.head.headers, kept.head.header_count, TIMS_STR("ACCEPT"));
    assert_true(tims_str_equal(accept, TIMS_STR("a")));
    assert_null(tims_header_get(kept.head.headers, kept.head.header_count, TIMS_STR("Accep")).data);
    tims_arena_free(&kept.arena);
}

static void tokens_are_found_whole_and_in_any_case(void **state)
{
    (void)state;
    assert_true(tims_header_has_token(TIMS_STR("keep-alive, Upgrade"), TIMS_STR("upgrade")));
    assert_true(tims_header_has_token(TIMS_STR(",, \tbr ,x"), TIMS_STR("BR")));
    assert_false(tims_header_has_token(TIMS_STR("upgrades"), TIMS_STR("upgrade")));
    assert_false(tims_header_has_token(TIMS_STR("x upgrade"), TIMS_STR("upgrade")));
    assert_false(tims_header_has_token((tims_str){ 0 }, TIMS_STR("upgrade")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_messages_read_the_same_at_every_packet_border),
        cmocka_unit_test(valid_messages_read_the_same_byte_by_byte_and_when_every_event_pauses),
        cmocka_unit_test(limits_hold_to_the_byte),
        cmocka_unit_test(chunked_bodies_and_trailers_have_the_same_limits),
        cmocka_unit_test(chunk_extensions_are_bounded_over_the_whole_message),
        cmocka_unit_test(a_pause_leaves_the_rest_of_the_bytes),
        cmocka_unit_test(a_pause_at_the_head_keeps_the_end_for_the_next_feed),
        cmocka_unit_test(an_upgrade_stops_before_the_other_protocols_bytes),
        cmocka_unit_test(only_a_101_upgrades_a_response),
        cmocka_unit_test(the_answer_to_HEAD_has_no_body_even_behind_a_100),
        cmocka_unit_test(a_close_in_the_middle_is_malformed),
        cmocka_unit_test(malformed_responses_are_refused),
        cmocka_unit_test(a_rested_parser_works_again),
        cmocka_unit_test(a_copied_head_outlives_the_bytes),
        cmocka_unit_test(tokens_are_found_whole_and_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
