/* socket.c: the websocket /live: a session whose frames go to a socket. */
#include "live/live_internal.h"

enum { DRAIN_SPREAD_MS = 5000 };

/* --- the session's way out -------------------------------------------------------------------- */

static void send_to_socket(void *ctx, const char *event, int64_t position, tims_str text, tims_frame *frame)
{
    live__session *session = ctx;
    (void)event;
    (void)position;
    if (session->socket != NULL && frame != NULL)
        tims_socket_send_frame(session->socket, frame);
    else if (session->socket != NULL)
        tims_socket_send(session->socket, text);
}

static void close_socket(void *ctx, int code, const char *reason)
{
    live__session *session = ctx;
    if (session->socket != NULL)
        tims_socket_close(session->socket, code, tims_str_from(reason));
}

static size_t queued_of_socket(void *ctx)
{
    const live__session *session = ctx;
    return session->socket != NULL ? tims_socket_queued(session->socket) : 0;
}

static const live__sink socket_sink = { send_to_socket, close_socket, queued_of_socket };

/* --- the socket's events ---------------------------------------------------------------------- */

static void on_message(tims_socket *socket, void *ctx, tims_str message, bool is_binary)
{
    (void)socket;
    /* A binary frame is as unreadable as an empty one. */
    live__session_receive(ctx, is_binary ? TIMS_STR("") : message);
}

static void on_close(tims_socket *socket, void *ctx, int code)
{
    (void)socket;
    (void)code;
    live__session *session = ctx;
    session->socket = NULL;
    live__session_gone(&session);
}

static void on_drain(tims_socket *socket, void *ctx)
{
    (void)socket;
    live__session_drained(ctx);
}

/* Clients return spread over a while, not all at once. */
static void on_going_away(tims_socket *socket, void *ctx)
{
    (void)socket;
    uint32_t random;
    tims_random(&random, sizeof random);
    live__send_bye(ctx, "draining", random % DRAIN_SPREAD_MS);
}

static const tims_socket_events socket_events = {
    .on_message = on_message,
    .on_close = on_close,
    .on_drain = on_drain,
    .on_going_away = on_going_away,
};

/* A refused handshake leaves the session without a socket. */
static void drop_if_refused(void *argument)
{
    live__session *session = argument;
    if (session->socket == NULL && session->state == LIVE__OPENED)
        live__session_gone(&session);
}

tims_answer tims_live_endpoint(tims_request *rq)
{
    tims_live *live = (tims_live *)(uintptr_t)rq->route->data;
    TIMS_CHECK_MAGIC(live, LIVE__MAGIC);
    live__hub *hub = live__hub_of(live, rq->loop);
    if (hub == NULL || hub->stopping)
        tims_raise(rq, 503, "unavailable", "Live updates are not running here.");
    tims_socket_options options = { .message_bytes_max = LIVE__MESSAGE_BYTES_MAX,
                                    .queue_bytes_max = live->options.queue_bytes_max,
                                    .check_origin = true,
                                    .compress = true,
                                    .ping_ms = (uint32_t)live->limits.heartbeat_ms };
    live__session *session = live__session_new(hub, &socket_sink, NULL);
    session->sink_ctx = session;
    session->caller = tims_caller_of(rq);
    session->login = live__login_of(rq);
    tims_defer(rq, drop_if_refused, session);
    return tims_answer_websocket(rq, &socket_events, session, &options, &session->socket);
}
