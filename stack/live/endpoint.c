/* endpoint.c: one socket of a plain websocket endpoint.
 *
 *   upgrade ─► on_open ─► on_message … ─► on_close ─► freed
 *              └──────── one after the other, on a fiber that lives while there is work ────────┘
 *
 * Messages that come while a handler works are kept; past a bound the socket is not read any more, so that a
 * client that sends faster than it is served has to wait, as with any TCP peer. An idle socket owns no fiber.
 * Each handler has a request (arena, transaction, deadline) of its own, made from what the upgrade said.
 *
 * Whether the login still stands is looked up once more before on_open: the socket is registered by then, so
 * a sign-out either is seen by that look or finds the socket. */
#include "live/websocket_internal.h"

enum { RETRY_MS = 100, UPGRADE_BYTES_MAX = 256 * 1024 };

/* --- life --------------------------------------------------------------------------------------------- */

static tims_pairs copy_pairs(tims_arena *arena, tims_pairs pairs)
{
    tims_pairs copy = { TIMS_NEW_ARRAY(arena, tims_pair, pairs.count + 1), pairs.count };
    for (size_t i = 0; i < pairs.count; i++)
        copy.items[i] =
            (tims_pair){ tims_copy(arena, pairs.items[i].name), tims_copy(arena, pairs.items[i].value) };
    return copy;
}

static tims_websocket *make_websocket(tims_request *rq, live__socket_loop *home,
                                      const tims_websocket_route *row)
{
    tims_arena *arena = tims_arena_new(UPGRADE_BYTES_MAX + row->state_bytes, NULL, NULL);
    tims_websocket *websocket = TIMS_NEW(arena, tims_websocket);
    *websocket = (tims_websocket){ .magic = LIVE__WEBSOCKET_MAGIC,
                                   .home = home,
                                   .row = row,
                                   .arena = arena,
                                   .caller = tims_caller_of(rq),
                                   .login = tims_auth_session_of(rq),
                                   .state = tims_alloc(arena, row->state_bytes + 1) };
    websocket->upgrade = (live__upgrade){ .route = rq->route,
                                          .target = tims_copy(arena, rq->target),
                                          .path = tims_copy(arena, rq->path),
                                          .query_text = tims_copy(arena, rq->query_text),
                                          .peer = tims_copy(arena, rq->peer),
                                          .id = tims_copy_c(arena, rq->id),
                                          .path_params = copy_pairs(arena, rq->path_params),
                                          .secure = rq->secure };
    return websocket;
}

static void drop_waiting(tims_websocket *websocket)
{
    while (websocket->first != NULL) {
        live__waiting *next = websocket->first->next;
        free(websocket->first);
        websocket->first = next;
    }
    websocket->last = NULL;
    websocket->waiting_count = websocket->waiting_bytes = 0;
}

static void free_websocket(tims_websocket *websocket)
{
    TIMS_ASSERT(websocket->socket == NULL && websocket->memberships == NULL && !websocket->counted);
    drop_waiting(websocket);
    tims_timer_clear(&websocket->retry);
    websocket->magic = 0;
    tims_arena *arena = websocket->arena;
    tims_arena_free(&arena);
}

/* --- what apps call ----------------------------------------------------------------------------------- */

static void check_own(const tims_websocket *websocket)
{
    TIMS_CHECK_MAGIC(websocket, LIVE__WEBSOCKET_MAGIC);
    TIMS_ASSERT(websocket->home->loop == tims_loop_self());
}

void live__websocket_close(tims_websocket *websocket, int code, tims_str reason)
{
    check_own(websocket);
    if (websocket->closing || websocket->gone)
        return;
    websocket->closing = true;
    websocket->close_code = code;
    drop_waiting(websocket);
    tims_socket_close(websocket->socket, code, reason);
}

/* What waits for its transaction; the handler, and so the socket, outlives it. */
typedef struct pending {
    tims_websocket *websocket;
    tims_str text;
    int close_code; /* 0: the text is a message */
} pending;

static void do_pending(void *argument)
{
    const pending *p = argument;
    if (p->close_code != 0)
        live__websocket_close(p->websocket, p->close_code, p->text);
    else if (p->websocket->socket != NULL)
        tims_socket_send(p->websocket->socket, p->text);
}

static void do_when_durable(tims_request *rq, pending what)
{
    check_own(what.websocket);
    if (!tims_in_transaction(rq)) {
        do_pending(&what);
        return;
    }
    pending *p = TIMS_NEW(rq->arena, pending);
    *p = what;
    p->text = tims_copy(rq->arena, what.text);
    tims_db_on_commit(tims_session_db(rq), do_pending, p);
}

void tims_websocket_send(tims_request *rq, tims_websocket *websocket, tims_str text)
{
    do_when_durable(rq, (pending){ .websocket = websocket, .text = text });
}

void tims_websocket_close(tims_request *rq, tims_websocket *websocket, int code, tims_str reason)
{
    TIMS_ASSERT(code != 0);
    do_when_durable(rq, (pending){ .websocket = websocket, .text = reason, .close_code = code });
}

void *tims_websocket_state(tims_websocket *websocket)
{
    check_own(websocket);
    TIMS_ASSERT(websocket->row->state_bytes > 0);
    return websocket->state;
}

/* --- running a handler -------------------------------------------------------------------------------- */

typedef enum job { CHECK, OPEN, MESSAGE, CLOSE } job;

typedef struct handling {
    tims_websocket *websocket;
    job what;
    tims_str text;
} handling;

static void set_up_request(tims_request *rq, const tims_websocket *websocket)
{
    const live__upgrade *upgrade = &websocket->upgrade;
    const tims_websockets_options *options = &websocket->home->websockets->options;
    uint32_t timeout_ms = websocket->row->timeout_ms;
    rq->method = TIMS_METHOD_GET;
    rq->route = upgrade->route;
    rq->target = upgrade->target;
    rq->path = upgrade->path;
    rq->query_text = upgrade->query_text;
    rq->path_params = upgrade->path_params;
    rq->peer = upgrade->peer;
    rq->secure = upgrade->secure;
    rq->id = tims_str_from(upgrade->id);
    tims_log_scope(upgrade->id);
    tims_fiber_set_deadline(tims_monotonic_us() +
                            (int64_t)(timeout_ms != 0 ? timeout_ms : LIVE__SOCKET_HANDLER_MS) * 1000);
    options->begin(rq);
    tims_request_set_websockets(rq, websocket->home->websockets);
    tims_request_set_caller(rq, websocket->caller);
}

static void check_login(tims_request *rq, const tims_websocket *websocket)
{
    if (!websocket->login.present)
        return;
    const tims_user *user = tims_find(rq, &tims_user_model, websocket->caller.user);
    if (user == NULL || !user->active || user->staff != websocket->caller.staff ||
        tims_find(rq, &tims_auth_session_model, websocket->login.value) == NULL)
        tims_raise(rq, 401, "session_ended", "This session has ended; sign in again.");
}

static void run_handler(tims_request *rq, void *argument)
{
    const handling *h = argument;
    tims_websocket *websocket = h->websocket;
    const tims_websocket_route *row = websocket->row;
    set_up_request(rq, websocket);
    switch (h->what) {
    case CHECK:
        check_login(rq, websocket);
        break;
    case OPEN:
        check_login(rq, websocket);
        if (row->on_open != NULL)
            row->on_open(rq, websocket);
        break;
    case MESSAGE:
        row->on_message(rq, websocket, h->text);
        break;
    case CLOSE:
        if (row->on_close != NULL)
            row->on_close(rq, websocket, websocket->close_code);
        break;
    }
}

static int close_code_of(tims_status status)
{
    int http = tims_status_http(status);
    return http == 503 ? 1013 : http >= 500 ? 1011 : 4000 + http;
}

/* False: it raised, and the socket is being closed. */
static bool handle(tims_websocket *websocket, job what, tims_str text)
{
    handling h = { websocket, what, text };
    const tims_websockets_options *options = &websocket->home->websockets->options;
    tims_error err = { 0 };
    tims_status status =
        tims_request_run(websocket->home->loop, options->server_data, run_handler, &h, options->finish, &err);
    if (status == TIMS_OK)
        return true;
    int code = close_code_of(status);
    const char *reason = err.code != NULL ? err.code : tims_status_name(status);
    tims_log(code < 4000 ? TIMS_LOG_ERROR : TIMS_LOG_INFO, "live",
             "event=websocket_raised request=%s path=%S close=%d code=%s message=%s detail=%s",
             websocket->upgrade.id, websocket->upgrade.path, code, reason, err.message, err.detail);
    live__websocket_close(websocket, code, tims_str_from(reason));
    return false;
}

/* --- one thing after the other ------------------------------------------------------------------------ */

static live__waiting *take_waiting(tims_websocket *websocket)
{
    live__waiting *first = websocket->first;
    websocket->first = first->next;
    if (websocket->first == NULL)
        websocket->last = NULL;
    websocket->waiting_count--;
    websocket->waiting_bytes -= first->length;
    if (websocket->socket != NULL && websocket->waiting_count <= LIVE__WAITING_LOW &&
        websocket->waiting_bytes <= LIVE__WAITING_BYTES_MAX / 2)
        tims_socket_resume(websocket->socket);
    return first;
}

static void handle_next_message(tims_websocket *websocket)
{
    live__waiting *message = take_waiting(websocket);
    (void)handle(websocket, MESSAGE, (tims_str){ message->bytes, message->length });
    free(message);
}

static void handle_arrival(tims_websocket *websocket)
{
    bool is_open = !websocket->closing && !websocket->gone && handle(websocket, OPEN, TIMS_STR(""));
    websocket->phase = is_open ? LIVE__OPEN : LIVE__OVER;
}

static bool may_handle(const tims_websocket *websocket)
{
    int64_t stop_us = websocket->home->stop_us;
    return websocket->phase == LIVE__OPEN && !websocket->closing &&
           (stop_us == 0 || tims_monotonic_us() < stop_us + LIVE__SOCKET_STOP_MS * INT64_C(1000));
}

/* False when there is nothing to do, or nothing left of it. */
static bool do_next(tims_websocket *websocket)
{
    if (websocket->phase == LIVE__ARRIVED) {
        handle_arrival(websocket);
    } else if (websocket->check_login && !websocket->closing && !websocket->gone) {
        websocket->check_login = false;
        (void)handle(websocket, CHECK, TIMS_STR(""));
    } else if (websocket->first != NULL && may_handle(websocket)) {
        handle_next_message(websocket);
    } else if (!websocket->gone) {
        websocket->pumping = false;
        return false;
    } else if (websocket->phase == LIVE__OPEN) {
        websocket->phase = LIVE__OVER;
        (void)handle(websocket, CLOSE, TIMS_STR(""));
    } else {
        free_websocket(websocket);
        return false;
    }
    return true;
}

static void pump(void *argument)
{
    tims_websocket *websocket = argument;
    while (do_next(websocket))
        continue;
}

static void retry(void *argument)
{
    tims_websocket *websocket = argument;
    TIMS_CHECK_MAGIC(websocket, LIVE__WEBSOCKET_MAGIC);
    live__websocket_wake(websocket);
}

void live__websocket_wake(tims_websocket *websocket)
{
    if (websocket->pumping)
        return;
    websocket->pumping = true;
    if (tims_fiber_start(websocket->home->loop, pump, websocket) != NULL)
        return;
    websocket->pumping = false; /* there are too many; later */
    tims_timer_set(websocket->home->loop, &websocket->retry, RETRY_MS, retry, websocket);
}

/* --- the socket's events ------------------------------------------------------------------------------ */

static void on_message(tims_socket *socket, void *ctx, tims_str message, bool is_binary)
{
    tims_websocket *websocket = ctx;
    TIMS_CHECK_MAGIC(websocket, LIVE__WEBSOCKET_MAGIC);
    if (is_binary) {
        live__websocket_close(websocket, 1003, TIMS_STR("text_only"));
        return;
    }
    live__waiting *waiting = malloc(sizeof *waiting + message.length);
    TIMS_ASSERT(waiting != NULL);
    *waiting = (live__waiting){ .length = message.length };
    if (message.length > 0)
        memcpy(waiting->bytes, message.data, message.length);
    if (websocket->last != NULL)
        websocket->last->next = waiting;
    else
        websocket->first = waiting;
    websocket->last = waiting;
    websocket->waiting_bytes += message.length;
    if (++websocket->waiting_count >= LIVE__WAITING_MAX ||
        websocket->waiting_bytes >= LIVE__WAITING_BYTES_MAX)
        tims_socket_pause(socket);
    live__websocket_wake(websocket);
}

static void leave_rosters(tims_websocket *websocket)
{
    live__socket_loop *home = websocket->home;
    live__groups_leave(websocket);
    (void)live__roster_remove(home->users, &websocket->user_seat);
    (void)live__roster_remove(home->logins, &websocket->login_seat);
    if (websocket->counted)
        live__user_leave(home->websockets, websocket->caller.user);
    websocket->counted = false;
}

static void on_close(tims_socket *socket, void *ctx, int code)
{
    tims_websocket *websocket = ctx;
    TIMS_CHECK_MAGIC(websocket, LIVE__WEBSOCKET_MAGIC);
    (void)socket;
    websocket->socket = NULL;
    websocket->gone = true;
    if (!websocket->closing)
        websocket->close_code = code;
    leave_rosters(websocket);
    live__websocket_wake(websocket);
}

static const tims_socket_events socket_events = { .on_message = on_message, .on_close = on_close };

/* --- the upgrade -------------------------------------------------------------------------------------- */

static void enter_rosters(tims_websocket *websocket)
{
    live__socket_loop *home = websocket->home;
    const tims_caller *caller = &websocket->caller;
    if (!caller->signed_in)
        return;
    websocket->counted = live__user_enter(home->websockets, caller->user);
    if (!websocket->counted) {
        live__websocket_close(websocket, LIVE__SOCKET_TOO_MANY, TIMS_STR("too_many"));
        return;
    }
    (void)live__roster_add(home->users, (tims_str){ (const char *)caller->user.bytes, sizeof(tims_id) },
                           &websocket->user_seat, websocket);
    if (websocket->login.present)
        (void)live__roster_add(home->logins,
                               (tims_str){ (const char *)websocket->login.value.bytes, sizeof(tims_id) },
                               &websocket->login_seat, websocket);
}

/* A refused handshake raises behind what was made for it. */
typedef struct making {
    tims_websocket *websocket;
} making;

static void drop_if_refused(void *argument)
{
    const making *m = argument;
    if (m->websocket != NULL)
        free_websocket(m->websocket);
}

tims_answer live__endpoint_open(tims_request *rq)
{
    const live__endpoint *endpoint = rq->route->data;
    const tims_websocket_route *row = endpoint->row;
    live__socket_loop *home = live__socket_loop_of(endpoint->websockets, rq->loop);
    if (home == NULL || home->stop_us != 0)
        tims_raise(rq, 503, "unavailable", "The server is stopping; try again shortly.");
    const tims_socket_options options = {
        .message_bytes_max =
            row->message_bytes_max != 0 ? row->message_bytes_max : LIVE__SOCKET_MESSAGE_BYTES,
        .queue_bytes_max = row->queue_bytes_max != 0 ? row->queue_bytes_max : LIVE__SOCKET_QUEUE_BYTES,
        .check_origin = true,
    };
    making *m = TIMS_NEW(rq->arena, making);
    tims_defer(rq, drop_if_refused, m);
    tims_websocket *websocket = m->websocket = make_websocket(rq, home, row);
    tims_answer answer = tims_answer_websocket(rq, &socket_events, websocket, &options, &websocket->socket);
    m->websocket = NULL;
    enter_rosters(websocket);
    live__websocket_wake(websocket);
    return answer;
}
