/* client.c: asking other servers, from a fiber, straight down.
 *
 * An exchange lives on the heap and is known to the caller's arena by a cell: whichever way the caller's
 * fiber ends, the arena's end closes it, and a connection whose answer was not read to its end is closed with
 * it. */
#include <stdlib.h>
#include <string.h>

#include "http/client_internal.h"

enum { DEFAULT_TIMEOUT_MS = 10000, DEFAULT_BODY_BYTES_MAX = 10 << 20, REQUEST_HEAD_BYTES_MAX = 1 << 20 };

/* --- lifetime of an exchange --------------------------------------------------------------------- */

static void free_fetch(tims_fetch_stream *fetch)
{
    TIMS_CHECK_MAGIC(fetch, HTTP__FETCH_MAGIC);
    if (fetch->peer != NULL)
        http__upstream_detach(fetch->peer, false);
    tims_arena_free(&fetch->head_arena);
    tims_buf_free(&fetch->incoming);
    tims_buf_free(&fetch->given);
    *fetch->cell = NULL;
    fetch->magic = 0;
    free(fetch);
}

static void close_cell(void *argument)
{
    tims_fetch_stream **cell = argument;
    if (*cell != NULL)
        free_fetch(*cell);
}

void tims_fetch_close(tims_fetch_stream **stream)
{
    if (*stream != NULL)
        free_fetch(*stream);
    *stream = NULL;
}

tims_fetch_stream *http__fetch_new(tims_arena *arena, const tims_fetch_options *options)
{
    tims_fetch_stream **cell = TIMS_NEW(arena, tims_fetch_stream *);
    tims_arena_defer(arena, close_cell, cell);
    tims_fetch_stream *fetch = calloc(1, sizeof *fetch);
    TIMS_ASSERT(fetch != NULL);
    *cell = fetch;
    fetch->magic = HTTP__FETCH_MAGIC;
    fetch->cell = cell;
    fetch->is_head_request = options->method == TIMS_METHOD_HEAD;
    fetch->body_bytes_max = options->body_bytes_max != 0 ? options->body_bytes_max : DEFAULT_BODY_BYTES_MAX;
    int64_t timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
    fetch->deadline_us = timeout_ms > 0 ? tims_monotonic_us() + timeout_ms * 1000 : 0;
    tims_buf_init(&fetch->incoming, NULL, SIZE_MAX / 2);
    tims_buf_init(&fetch->given, NULL, SIZE_MAX / 2);
    return fetch;
}

/* --- waiting ------------------------------------------------------------------------------------- */

tims_status http__fetch_wait(tims_fetch_stream *fetch)
{
    int64_t former = tims_fiber_set_deadline(0);
    int64_t nearer =
        former == 0 || (fetch->deadline_us != 0 && fetch->deadline_us < former) ? fetch->deadline_us : former;
    (void)tims_fiber_set_deadline(nearer);
    fetch->waiter = tims_fiber_self();
    tims_status status = tims_fiber_suspend();
    fetch->waiter = NULL;
    (void)tims_fiber_set_deadline(former);
    return status;
}

tims_status http__fetch_report(tims_status status, tims_error *err)
{
    switch (status) {
    case TIMS_TIMEOUT:
        return tims_fail(err, status, "upstream_timeout", "The upstream did not answer in time.");
    case TIMS_TOO_LARGE:
        return tims_fail(err, status, "upstream_too_large", "The upstream's answer is too large.");
    case TIMS_MALFORMED:
        return tims_fail(err, status, "upstream_malformed", "The upstream's answer cannot be read.");
    case TIMS_CANCELLED:
        return tims_fail(err, status, "cancelled", "The request was given up.");
    default:
        return tims_fail(err, TIMS_UNAVAILABLE, "upstream_closed", "The upstream closed the connection.");
    }
}

/* --- one attempt --------------------------------------------------------------------------------- */

static bool is_safe(tims_method method)
{
    return method == TIMS_METHOD_GET || method == TIMS_METHOD_HEAD || method == TIMS_METHOD_OPTIONS;
}

static int64_t time_left_ms(const tims_fetch_stream *fetch)
{
    if (fetch->deadline_us == 0)
        return 0;
    int64_t left_ms = (fetch->deadline_us - tims_monotonic_us()) / 1000;
    return left_ms > 0 ? left_ms : 1;
}

static tims_status send_request(tims_fetch_stream *fetch, const tims_fetch_options *options,
                                const tims_url *url)
{
    tims_buf head;
    tims_buf_init(&head, NULL, REQUEST_HEAD_BYTES_MAX);
    uint32_t with_body = TIMS_METHOD_POST | TIMS_METHOD_PUT | TIMS_METHOD_PATCH;
    bool has_length = options->body.length > 0 || (options->method & with_body) != 0;
    http__request_write(&head, options, url, has_length ? (int64_t)options->body.length : HTTP__BODY_NONE);
    tims_str slices[2] = { tims_buf_str(&head), options->body };
    tims_status status = head.overflow
                             ? TIMS_TOO_LARGE
                             : http__upstream_write(fetch->peer, slices, options->body.length > 0 ? 2 : 1);
    tims_buf_free(&head);
    fetch->request_done = status == TIMS_OK;
    return status;
}

/* Connects (or reuses), sends, waits for the head. `ret_stale`: the connection was an old one and nothing
 * came. */
static tims_status try_once(tims_fetch_stream *fetch, const tims_fetch_options *options, const tims_url *url,
                            bool fresh, bool *ret_stale, tims_error *err)
{
    http__upstream *peer = NULL;
    const http__upstream_options wanted = { .url = url,
                                            .trust = options->trust,
                                            .fresh = fresh,
                                            .is_safe = is_safe(options->method),
                                            .timeout_ms = time_left_ms(fetch) };
    tims_status status = http__upstream_get(tims_loop_self(), &wanted, &peer, err);
    if (status != TIMS_OK)
        return status;
    http__upstream_attach(peer, fetch);
    bool is_reused = peer->is_reused;
    status = send_request(fetch, options, url);
    while (status == TIMS_OK && fetch->failed == TIMS_OK && !fetch->has_head)
        status = http__fetch_wait(fetch);
    if (fetch->has_head && status == TIMS_OK)
        return TIMS_OK; /* what went wrong behind it is told to who reads on */
    if (fetch->peer != NULL)
        http__upstream_detach(fetch->peer, false);
    status = status != TIMS_OK ? status : fetch->failed;
    *ret_stale = is_reused && !fetch->any_bytes && status != TIMS_TIMEOUT && status != TIMS_CANCELLED;
    return http__fetch_report(status, err);
}

static tims_status open_fetch(tims_fetch_stream *fetch, tims_arena *arena, const tims_fetch_options *options,
                              tims_error *err)
{
    tims_url url;
    tims_status status = tims_url_parse(arena, options->url, &url, err);
    if (status != TIMS_OK)
        return status;
    if (!tims_str_equal(url.scheme, TIMS_STR("http")) && !tims_str_equal(url.scheme, TIMS_STR("ws")) &&
        !tims_str_equal(url.scheme, TIMS_STR("unix")) && !tims_str_equal(url.scheme, TIMS_STR("https")))
        return tims_fail(err, TIMS_MALFORMED, "bad_url",
                         "Only http:, https: and unix: addresses can be asked.");
    status = http__request_check(options, err);
    if (status != TIMS_OK)
        return status;
    bool is_stale = false;
    tims_error first = { 0 };
    status = try_once(fetch, options, &url, false, &is_stale, &first);
    if (status == TIMS_OK || !is_stale || !is_safe(options->method)) {
        if (status != TIMS_OK && err != NULL)
            *err = first;
        return status;
    }
    fetch->failed = TIMS_OK;
    return try_once(fetch, options, &url, true, &is_stale, err);
}

/* The head goes from the exchange's arena to the caller's. */
static void give_head(tims_arena *arena, const tims_fetch_stream *fetch, tims_fetched *ret_head)
{
    tims_http1_head head = tims_http1_head_copy(arena, &fetch->head);
    *ret_head = (tims_fetched){
        .status = head.status, .headers = head.headers, .header_count = head.header_count, .body = { "", 0 }
    };
}

tims_status tims_fetch_open(tims_arena *arena, const tims_fetch_options *options,
                            tims_fetch_stream **ret_stream, tims_fetched *ret_head, tims_error *err)
{
    tims_fetch_stream *fetch = http__fetch_new(arena, options);
    fetch->is_streaming = true;
    tims_status status = open_fetch(fetch, arena, options, err);
    if (status != TIMS_OK) {
        tims_fetch_close(&fetch);
        return status;
    }
    give_head(arena, fetch, ret_head);
    *ret_stream = fetch;
    return TIMS_OK;
}

tims_str http__fetch_take(tims_fetch_stream *fetch)
{
    tims_buf given = fetch->given;
    fetch->given = fetch->incoming;
    given.length = 0;
    fetch->incoming = given;
    if (fetch->paused) {
        fetch->paused = false;
        if (fetch->peer != NULL)
            tims_stream_resume(fetch->peer->stream);
    }
    return fetch->given.length > 0 ? tims_buf_str(&fetch->given) : (tims_str){ "", 0 };
}

tims_status tims_fetch_next(tims_fetch_stream *stream, tims_str *ret_bytes, tims_error *err)
{
    TIMS_CHECK_MAGIC(stream, HTTP__FETCH_MAGIC);
    tims_status status = TIMS_OK;
    while (stream->incoming.length == 0 && !stream->ended && stream->failed == TIMS_OK && status == TIMS_OK)
        status = http__fetch_wait(stream);
    if (status != TIMS_OK)
        return http__fetch_report(status, err);
    if (stream->incoming.length == 0 && stream->failed != TIMS_OK)
        return http__fetch_report(stream->failed, err);
    *ret_bytes = http__fetch_take(stream);
    return TIMS_OK;
}

tims_status tims_fetch(tims_arena *arena, const tims_fetch_options *options, tims_fetched *ret_answer,
                       tims_error *err)
{
    tims_fetch_stream *fetch = http__fetch_new(arena, options);
    tims_status status = open_fetch(fetch, arena, options, err);
    while (status == TIMS_OK && !fetch->ended && fetch->failed == TIMS_OK)
        if ((status = http__fetch_wait(fetch)) != TIMS_OK)
            status = http__fetch_report(status, err);
    if (status == TIMS_OK && fetch->failed != TIMS_OK)
        status = http__fetch_report(fetch->failed, err);
    if (status == TIMS_OK) {
        tims_fetched answer;
        give_head(arena, fetch, &answer);
        answer.body = tims_copy(arena, tims_buf_str(&fetch->incoming));
        *ret_answer = answer;
    }
    tims_fetch_close(&fetch);
    return status;
}
