/* sse.c: a live URL as a stream of events: a session with one subscription whose frames go to an HTTP answer.
 *
 * The session's frames are gathered on the hub's side; the request's fiber takes what has gathered and sends
 * it, as fast as the client reads. */
#include "live/live_internal.h"

enum { STREAM_MAGIC = 0x4c535345, WAIT_MS = 2000, SEND_MS = 30000 };

typedef struct event_stream {
    uint32_t magic;
    live__session *session;
    tims_fiber *fiber;
    const tims_live *live;
    tims_buf waiting, sending;
    bool closed;
} event_stream;

/* Whether who has got the event has all up to its position. After a reset, say, a snap is to come: who is cut
 * off between the two has to resume from before. */
static bool reaches_position(const char *event)
{
    tims_str name = tims_str_from(event);
    return tims_str_equal(name, TIMS_STR("snap")) || tims_str_equal(name, TIMS_STR("resumed")) ||
           tims_str_equal(name, TIMS_STR("tx"));
}

static void send_to_stream(void *ctx, const char *event, int64_t position, tims_str text, tims_frame *frame)
{
    event_stream *stream = ctx;
    (void)frame;
    TIMS_CHECK_MAGIC(stream, STREAM_MAGIC);
    tims_buf_print(&stream->waiting, "event: %s\n", event);
    if (reaches_position(event))
        tims_buf_print(&stream->waiting, "id: %S-%lld\n", tims_live_epoch(stream->live), (long long)position);
    tims_buf_print(&stream->waiting, "data: %S\n\n", text);
    stream->closed = stream->closed || stream->waiting.overflow;
    tims_fiber_wake(stream->fiber);
}

static void close_stream(void *ctx, int code, const char *reason)
{
    event_stream *stream = ctx;
    (void)code;
    (void)reason;
    stream->closed = true;
    tims_fiber_wake(stream->fiber);
}

static size_t queued_of_stream(void *ctx)
{
    const event_stream *stream = ctx;
    return stream->waiting.length;
}

static const live__sink stream_sink = { send_to_stream, close_stream, queued_of_stream };

static void leave(void *argument)
{
    event_stream *stream = argument;
    live__session_gone(&stream->session);
    tims_buf_free(&stream->waiting);
    tims_buf_free(&stream->sending);
    stream->magic = 0;
}

/* A URL that is none is answered as such, before the stream begins. */
static void check_url(tims_request *rq, const tims_live *live, tims_str url)
{
    tims_live_query ignored;
    tims_error err = { 0 };
    const tims_live_resolver *resolver = &live->options.resolver;
    tims_check(rq, resolver->resolve(resolver->data, rq->arena, url, tims_caller_of(rq), &ignored, &err),
               &err);
}

static void send_waiting(tims_request *rq, event_stream *stream)
{
    tims_buf taken = stream->waiting;
    stream->waiting = stream->sending;
    stream->sending = taken;
    tims_fiber_set_deadline(tims_monotonic_us() + SEND_MS * INT64_C(1000));
    tims_stream_out(rq, tims_buf_str(&stream->sending));
    stream->sending.length = 0;
    if (stream->waiting.length == 0)
        live__session_drained(stream->session);
}

static void pump(tims_request *rq, event_stream *stream)
{
    int64_t quiet_since_us = tims_monotonic_us();
    while (!stream->closed && !tims_client_gone(rq) && !tims_server_is_leaving(rq)) {
        int64_t now_us = tims_monotonic_us();
        if (stream->waiting.length > 0) {
            send_waiting(rq, stream);
            quiet_since_us = now_us;
        } else if (now_us - quiet_since_us >= stream->live->limits.heartbeat_ms * 1000) {
            tims_buf_append_str(&stream->waiting, TIMS_STR(":\n\n"));
        } else {
            tims_fiber_set_deadline(now_us + WAIT_MS * INT64_C(1000));
            if (tims_fiber_suspend() == TIMS_CANCELLED)
                return;
        }
    }
}

tims_answer tims_live_sse(tims_request *rq, tims_live *live, tims_str url)
{
    TIMS_CHECK_MAGIC(live, LIVE__MAGIC);
    live__hub *hub = live__hub_of(live, rq->loop);
    if (hub == NULL || hub->stopping)
        tims_raise(rq, 503, "unavailable", "Live updates are not running here.");
    if (url.length > LIVE__URL_BYTES_MAX)
        tims_raise(rq, 404, "not_found", "There is no such list.");
    check_url(rq, live, url);
    event_stream *stream = TIMS_NEW(rq->arena, event_stream);
    *stream = (event_stream){ .magic = STREAM_MAGIC, .fiber = tims_fiber_self(), .live = live };
    tims_buf_init(&stream->waiting, NULL, live->options.queue_bytes_max);
    tims_buf_init(&stream->sending, NULL, live->options.queue_bytes_max);
    stream->session = live__session_new(hub, &stream_sink, stream);
    tims_defer(rq, leave, stream);
    stream->session->is_stream = true;
    live__job *hello = live__job_new(LIVE__JOB_HELLO, stream->session, TIMS_STR(""), TIMS_STR(""));
    hello->caller = tims_caller_of(rq);
    hello->login = live__login_of(rq);
    stream->session->job_count++;
    live__job_post(hello);
    tims_str from = tims_header_of(rq, TIMS_STR("Last-Event-ID"));
    live__session_subscribe(stream->session, 0, url,
                            from.data != NULL && from.length <= 64 ? from : TIMS_STR(""), 0);
    tims_set_header(rq, TIMS_STR("Cache-Control"), TIMS_STR("no-store"));
    tims_stream_head(rq, 200, TIMS_STR("text/event-stream"));
    pump(rq, stream);
    return tims_answer_sent();
}
