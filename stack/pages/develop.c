/* develop.c: while developing, the render server compiles pages as they are asked for and serves their
 * scripts itself; what belongs to it is passed through, its hot-reload websocket included. Never part of a
 * production server's routes. */
#include "pages/pool_internal.h"

/* Next's own helpers: stack frames, error overlay, fonts. */
bool pages__is_development_path(tims_str path)
{
    return tims_str_starts_with(path, TIMS_STR("/__nextjs"));
}

static size_t pick_headers(tims_request *rq, tims_header ret_headers[8])
{
    static const char *const names[] = {
        "accept", "content-type", "host", "origin", "referer", "rsc", "range"
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        tims_str value = tims_header_of(rq, tims_str_from(names[i]));
        if (value.data != NULL)
            ret_headers[count++] = (tims_header){ tims_str_from(names[i]), value };
    }
    return count;
}

/* Next calls one of its scripts JSON; we tell browsers not to guess. */
static tims_str type_of(const tims_request *rq, const tims_fetched *head)
{
    if (head->status == 200 && tims_str_ends_with(rq->path, TIMS_STR(".js")))
        return TIMS_STR("text/javascript; charset=utf-8");
    return tims_header_get(head->headers, head->header_count, TIMS_STR("content-type"));
}

static tims_answer relay(tims_request *rq, const tims_fetch_options *options)
{
    tims_fetch_stream *stream; /* closed with the request's arena when the client goes away in the middle */
    tims_fetched head = { 0 };
    tims_error err = { 0 };
    tims_str piece;
    tims_check(rq, tims_fetch_open(rq->arena, options, &stream, &head, &err), &err);
    tims_set_header(rq, TIMS_STR("Cache-Control"), TIMS_STR("no-store"));
    tims_stream_head(rq, head.status, type_of(rq, &head));
    while (tims_fetch_next(stream, &piece, &err) == TIMS_OK && piece.length > 0)
        tims_stream_out(rq, piece);
    tims_fetch_close(&stream);
    return tims_answer_sent();
}

tims_answer pages__proxy(tims_request *rq)
{
    tims_pages *pages = pages__of(rq);
    tims_header headers[8];
    tims_str base = pool__any_base(pages, rq->arena);
    tims_str url = tims_print(rq->arena, "%S%S", base, pages__target_of(rq));
    if (base.length == 0)
        tims_raise(rq, 503, "no_renderer", "No render server is running; set RENDER_COMMAND.");
    if (tims_header_has_token(tims_header_of(rq, TIMS_STR("upgrade")), TIMS_STR("websocket")))
        return tims_answer_tunnel(rq, url);
    tims_fetch_options options = { .method = rq->method,
                                   .url = url,
                                   .headers = headers,
                                   .header_count = pick_headers(rq, headers),
                                   .timeout_ms = pages->pool->timeout_ms };
    if (rq->method == TIMS_METHOD_POST)
        options.body = tims_body(rq);
    return relay(rq, &options);
}
