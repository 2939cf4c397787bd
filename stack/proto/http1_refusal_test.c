/* http1_refusal_test: every malformed request is refused, with the status it deserves. */
#include "proto/http1_testing.h"

/* --- the table of refusals ----------------------------------------------------------------------- */

typedef struct row {
    const char *what;
    tims_str bytes;
    int http_status;
} row;
#define ROW(what, text, status)           \
    {                                     \
        what, TIMS_STR_INIT(text), status \
    }

static const row refused[] = {
    ROW("CL and TE together", POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ROW("TE and CL together", POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
    ROW("two equal CL", POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    ROW("two different CL", POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    ROW("CL with a plus", POST "Content-Length: +5\r\n\r\nabcde", 400),
    ROW("CL negative", POST "Content-Length: -1\r\n\r\n", 400),
    ROW("CL in hex", POST "Content-Length: 0x5\r\n\r\nabcde", 400),
    ROW("CL with an underscore", POST "Content-Length: 5_0\r\n\r\n", 400),
    ROW("CL behind two spaces", POST "Content-Length:  5\r\n\r\nabcde", 400),
    ROW("CL with a trailing space", POST "Content-Length: 5 \r\n\r\nabcde", 400),
    ROW("CL behind a tab", POST "Content-Length:\t5\r\n\r\nabcde", 400),
    ROW("CL as a list", POST "Content-Length: 5,5\r\n\r\nabcde", 400),
    ROW("CL with an inner space", POST "Content-Length: 5 5\r\n\r\nabcde", 400),
    ROW("CL empty", POST "Content-Length: \r\n\r\n", 400),
    ROW("CL empty without space", POST "Content-Length:\r\n\r\n", 400),
    ROW("CL of 20 digits", POST "Content-Length: 18446744073709551617\r\n\r\n", 400),
    ROW("CL of 30 zeros", POST "Content-Length: 000000000000000000000000000005\r\n\r\nabcde", 400),
    ROW("TE twice", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ROW("TE chunked, chunked", POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    ROW("TE ,chunked", POST "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", 400),
    ROW("TE chunked, identity", POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
    ROW("TE identity", POST "Transfer-Encoding: identity\r\n\r\n", 400),
    ROW("TE gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    ROW("TE xchunked", POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ROW("TE chunkedx", POST "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n", 400),
    ROW("TE quoted", POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400),
    ROW("TE with a vertical tab behind", POST "Transfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n", 400),
    ROW("TE with a form feed behind", POST "Transfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n", 400),
    ROW("TE with a vertical tab before",
        POST "Transfer-Encoding: \x0b"
             "chunked\r\n\r\n0\r\n\r\n",
        400),
    ROW("TE with a tab before", POST "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n", 400),
    ROW("TE with a tab behind", POST "Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n", 400),
    ROW("TE with a no-break space",
        POST "Transfer-Encoding: \xa0"
             "chunked\r\n\r\n0\r\n\r\n",
        400),
    ROW("TE empty", POST "Transfer-Encoding: \r\n\r\n", 400),
    ROW("TE on HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ROW("space before the colon", "GET / HTTP/1.1\r\nX : y\r\n" REST, 400),
    ROW("space before the colon of CL", POST "Content-Length : 3\r\n\r\nabc", 400),
    ROW("space before the colon of TE", POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    ROW("tab before the colon", "GET / HTTP/1.1\r\nX\t: y\r\n" REST, 400),
    ROW("folded header", "GET / HTTP/1.1\r\nX: y\r\n z\r\n" REST, 400),
    ROW("folded with a tab", "GET / HTTP/1.1\r\nX: y\r\n\tz\r\n" REST, 400),
    ROW("folded TE", POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    ROW("leading space before the first header", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400),
    ROW("bare LF behind the request line", "GET / HTTP/1.1\n" REST, 400),
    ROW("bare LF behind a header", "GET / HTTP/1.1\r\nX: y\n" REST, 400),
    ROW("bare LF as the empty line", "GET / HTTP/1.1\r\nHost: h\r\n\n", 400),
    ROW("bare CR in the request line", "GET /\r HTTP/1.1\r\n" REST, 400),
    ROW("bare CR behind a header", "GET / HTTP/1.1\r\nX: y\rHost: h\r\n\r\n", 400),
    ROW("bare CR in a value", "GET / HTTP/1.1\r\nX: a\rb\r\n" REST, 400),
    ROW("two CR before LF", "GET / HTTP/1.1\r\nX: a\r\r\n" REST, 400),
    ROW("CR CR as the empty line", "GET / HTTP/1.1\r\nHost: h\r\n\r\r\n", 400),
    ROW("a header that is only CR", "GET / HTTP/1.1\r\nX:\rContent-Length: 5\r\n" REST, 400),
    ROW("NUL in a value", "GET / HTTP/1.1\r\nX: a\0b\r\n" REST, 400),
    ROW("NUL in a name", "GET / HTTP/1.1\r\nX\0: a\r\n" REST, 400),
    ROW("DEL in a value", "GET / HTTP/1.1\r\nX: a\x7f\r\n" REST, 400),
    ROW("control byte in a value", "GET / HTTP/1.1\r\nX: a\x01\r\n" REST, 400),
    ROW("empty header name", "GET / HTTP/1.1\r\n: y\r\n" REST, 400),
    ROW("header without a colon", "GET / HTTP/1.1\r\nfoo\r\n" REST, 400),
    ROW("high-bit byte in a name", "GET / HTTP/1.1\r\nX\xe4: y\r\n" REST, 400),
    ROW("parenthesis in a name", "GET / HTTP/1.1\r\nX(: y\r\n" REST, 400),
    ROW("chunk size 0x5", CHUNKED "0x5\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size +5", CHUNKED "+5\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size -1", CHUNKED "-1\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size empty", CHUNKED "\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size behind a space", CHUNKED " 5\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size with a space behind", CHUNKED "5 \r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size with an underscore", CHUNKED "5_\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size of 17 digits", CHUNKED "10000000000000005\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size of 17 digits, mostly zeros", CHUNKED "00000000000000005\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size of 15 digits", CHUNKED "fffffffffffffff\r\nabcde\r\n0\r\n\r\n", 413),
    ROW("chunk extension with a bare CR", CHUNKED "5;ext\rabcde\r\n0\r\n\r\n", 400),
    ROW("chunk extension with a bare LF", CHUNKED "5;ext\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size with a bare LF", CHUNKED "5\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk size with CR and no LF", CHUNKED "5\rXabcde\r\n0\r\n\r\n", 400),
    ROW("chunk extension empty", CHUNKED "5;\r\nabcde\r\n0\r\n\r\n", 400),
    ROW("chunk extension too long",
        CHUNKED
        "5;0123456789012345678901234567890123456789012345678901234567890123456789\r\nabcde\r\n0\r\n\r\n",
        400),
    ROW("CRLF missing behind a chunk", CHUNKED "5\r\nabcdeXX0\r\n\r\n", 400),
    ROW("LF only behind a chunk", CHUNKED "5\r\nabcde\n0\r\n\r\n", 400),
    ROW("CR and no LF behind a chunk", CHUNKED "5\r\nabcde\rX0\r\n\r\n", 400),
    ROW("trailer with CL", CHUNKED "0\r\nContent-Length: 5\r\n\r\n", 400),
    ROW("trailer with TE", CHUNKED "0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ROW("trailer with Host", CHUNKED "0\r\nHost: other\r\n\r\n", 400),
    ROW("trailer with a session", CHUNKED "0\r\nCookie: session=1\r\n\r\n", 400),
    ROW("trailer without a colon", CHUNKED "0\r\nX\r\n\r\n", 400),
    ROW("trailer folded", CHUNKED "0\r\nX: a\r\n b\r\n\r\n", 400),
    ROW("trailer with a bare LF", CHUNKED "0\r\nX: a\n\r\n", 400),
    ROW("trailer with NUL", CHUNKED "0\r\nX: a\0\r\n\r\n", 400),
    ROW("last chunk without CRLF", CHUNKED "0\r\nGET / HTTP/1.1\r\n" REST, 400),
    ROW("no Host", "GET / HTTP/1.1\r\n\r\n", 400),
    ROW("no Host, other headers", "GET / HTTP/1.1\r\nX: y\r\n\r\n", 400),
    ROW("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ROW("two equal Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ROW("two Hosts on 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ROW("Host empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    ROW("Host with userinfo", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400),
    ROW("Host with a path", "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", 400),
    ROW("Host as a list", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
    ROW("Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ROW("Host with a bad port", "GET / HTTP/1.1\r\nHost: h:99999\r\n\r\n", 400),
    ROW("Host with an empty port", "GET / HTTP/1.1\r\nHost: h:\r\n\r\n", 400),
    ROW("Host with a signed port", "GET / HTTP/1.1\r\nHost: h:+80\r\n\r\n", 400),
    ROW("Host with an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
    ROW("Host with high-bit bytes", "GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", 400),
    ROW("absolute target against Host", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400),
    ROW("absolute target with userinfo", "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ROW("absolute target of another scheme", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ROW("absolute target without authority", "GET http:/// HTTP/1.1\r\n" REST, 400),
    ROW("target without a slash", "GET x HTTP/1.1\r\n" REST, 400),
    ROW("star with GET", "GET * HTTP/1.1\r\n" REST, 400),
    ROW("star and more", "OPTIONS *x HTTP/1.1\r\n" REST, 400),
    ROW("version 1.32", "GET / HTTP/1.32\r\n" REST, 400),
    ROW("version 1.2", "GET / HTTP/1.2\r\n" REST, 505),
    ROW("version 2.0", "GET / HTTP/2.0\r\n" REST, 505),
    ROW("version 0.9", "GET / HTTP/0.9\r\n" REST, 505),
    ROW("version in lower case", "GET / http/1.1\r\n" REST, 400),
    ROW("version overflowed", "GET / HTTP/4294967297.1\r\n" REST, 400),
    ROW("no version", "GET /\r\n" REST, 400),
    ROW("version with a space behind", "GET / HTTP/1.1 \r\n" REST, 400),
    ROW("the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ROW("method unknown", "BREW / HTTP/1.1\r\n" REST, 501),
    ROW("method in lower case", "get / HTTP/1.1\r\n" REST, 501),
    ROW("method CONNECT", "CONNECT h:80 HTTP/1.1\r\n" REST, 501),
    ROW("method TRACE", "TRACE / HTTP/1.1\r\n" REST, 501),
    ROW("method with a separator", "GE(T / HTTP/1.1\r\n" REST, 400),
    ROW("method with a colon", "GET: / HTTP/1.1\r\n" REST, 400),
    ROW("LF within the request line", "GET /\nHTTP/1.1\r\n" REST, 400),
    ROW("two spaces in the request line", "GET  / HTTP/1.1\r\n" REST, 400),
    ROW("tab in the request line", "GET\t/ HTTP/1.1\r\n" REST, 400),
    ROW("space before the method", " GET / HTTP/1.1\r\n" REST, 400),
    ROW("space within the target", "GET /a b HTTP/1.1\r\n" REST, 400),
    ROW("NUL in the target", "GET /\0 HTTP/1.1\r\n" REST, 400),
    ROW("high-bit byte in the target", "GET /\xff HTTP/1.1\r\n" REST, 400),
    ROW("two empty lines before the request", "\r\n\r\nGET / HTTP/1.1\r\n" REST, 400),
    ROW("CR before the request", "\rGET / HTTP/1.1\r\n" REST, 400),
    ROW("LF before the request", "\nGET / HTTP/1.1\r\n" REST, 400),
    ROW("a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400),
    ROW("an expectation that is not known", POST "Expect: 200-ok\r\n\r\n", 417),
    ROW("CL beyond the limit", POST "Content-Length: 10485761\r\n\r\n", 413),
};

static void every_malformed_request_is_refused_with_its_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        for (size_t piece = 1; piece <= 64; piece *= 4) {
            int ends = 0;
            int status =
                status_of(TIMS_HTTP1_REQUESTS, refused[i].bytes, piece == 64 ? SIZE_MAX : piece, &ends);
            if (status != refused[i].http_status || ends != 0)
                fail_msg("%s (pieces of %zu): status %d instead of %d, %d messages", refused[i].what, piece,
                         status, refused[i].http_status, ends);
        }
    }
}

static void a_refused_parser_stays_refused_until_reset(void **state)
{
    (void)state;
    transcript t;
    open_transcript(&t, TIMS_HTTP1_REQUESTS, NULL);
    size_t used = 0;
    assert_int_equal(feed(&t, TIMS_STR("BREW / HTTP/1.1\r\n" REST), &used), 501);
    assert_int_equal(feed(&t, TIMS_STR("GET / HTTP/1.1\r\n" REST), &used), 501);
    assert_int_equal(t.heads, 0);
    tims_http1_reset(t.parser);
    assert_int_equal(feed(&t, TIMS_STR("GET / HTTP/1.1\r\n" REST), &used), 0);
    assert_int_equal(t.ends, 1);
    close_transcript(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_malformed_request_is_refused_with_its_status),
        cmocka_unit_test(a_refused_parser_stays_refused_until_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
