/* session.c: one client: what it has said so far, who it is, what it is subscribed to.
 *
 * Frames are read at once, on the loop; whatever needs the database becomes a job of the hub, in order. A
 * session that is closed sends and reads nothing more; its memory goes by a job too, so no work in progress
 * loses it. */
#include "live/live_internal.h"

enum { MESSAGE_ARENA_BYTES = 4 * 1024 * 1024 };

static void watch(void *argument);

live__session *live__session_new(live__hub *hub, const live__sink *sink, void *sink_ctx)
{
    live__session *session = calloc(1, sizeof *session);
    TIMS_ASSERT(session != NULL);
    session->magic = LIVE__SESSION_MAGIC;
    session->hub = hub;
    session->sink = sink;
    session->sink_ctx = sink_ctx;
    session->by_id = tims_map_new();
    session->heard_us = tims_monotonic_us();
    tims_buf_init(&session->operations, NULL, hub->live->options.queue_bytes_max);
    session->next = hub->sessions;
    if (hub->sessions != NULL)
        hub->sessions->previous = session;
    hub->sessions = session;
    hub->session_count++;
    tims_timer_set(hub->loop, &session->timer, LIVE__HELLO_MS, watch, session);
    return session;
}

static void unlink_session(live__session *session)
{
    live__hub *hub = session->hub;
    if (session->next != NULL)
        session->next->previous = session->previous;
    if (session->previous != NULL)
        session->previous->next = session->next;
    else
        hub->sessions = session->next;
    hub->session_count--;
}

void live__session_free(live__session **session)
{
    live__session *old = *session;
    *session = NULL;
    TIMS_CHECK_MAGIC(old, LIVE__SESSION_MAGIC);
    TIMS_ASSERT(!old->dirty);
    while (old->subscriptions != NULL)
        live__session_remove(old, old->subscriptions);
    live__topics_remove(old->hub->topics, &old->user_hook);
    live__topics_remove(old->hub->topics, &old->login_hook);
    tims_timer_clear(&old->timer);
    unlink_session(old);
    tims_map_free(&old->by_id);
    tims_buf_free(&old->operations);
    old->magic = 0;
    free(old);
}

void live__session_send(live__session *session, const char *event, int64_t position, tims_str text)
{
    if (session->state != LIVE__CLOSED)
        session->sink->send(session->sink_ctx, event, position, text);
}

void live__session_close(live__session *session, int code, const char *reason)
{
    TIMS_CHECK_MAGIC(session, LIVE__SESSION_MAGIC);
    if (session->state == LIVE__CLOSED)
        return;
    session->state = LIVE__CLOSED;
    tims_timer_clear(&session->timer);
    session->sink->close(session->sink_ctx, code, reason);
}

void live__session_gone(live__session *session)
{
    TIMS_CHECK_MAGIC(session, LIVE__SESSION_MAGIC);
    session->state = LIVE__CLOSED;
    session->socket = NULL;
    tims_timer_clear(&session->timer);
    live__hub_add_job(session->hub, (live__job){ .kind = LIVE__JOB_FREE, .session = session }, TIMS_STR(""));
}

void live__session_welcome(live__session *session, tims_caller caller, tims_opt_id login)
{
    live__topics *topics = session->hub->topics;
    char id[TIMS_ID_TEXT_LENGTH];
    session->caller = caller;
    session->login = login;
    session->state = LIVE__WELCOMED;
    if (caller.signed_in) {
        session->user_hook = (live__hook){ .owner = session, .kind = LIVE__HOOK_SESSION };
        tims_id_format(caller.user, id);
        live__topics_add(topics, &session->user_hook, &tims_user_model, tims_model_primary(&tims_user_model),
                         (tims_str){ id, sizeof id });
    }
    if (login.present) {
        session->login_hook = (live__hook){ .owner = session, .kind = LIVE__HOOK_SESSION };
        tims_id_format(login.value, id);
        live__topics_add(topics, &session->login_hook, &tims_auth_session_model,
                         tims_model_primary(&tims_auth_session_model), (tims_str){ id, sizeof id });
    }
    tims_timer_set(session->hub->loop, &session->timer, LIVE__HEARTBEAT_MS, watch, session);
}

/* Too late with its hello, or silent for too long. */
static void watch(void *argument)
{
    live__session *session = argument;
    TIMS_CHECK_MAGIC(session, LIVE__SESSION_MAGIC);
    int64_t silent_us = tims_monotonic_us() - session->heard_us;
    if (session->state == LIVE__OPENED ||
        (session->socket != NULL && silent_us > LIVE__DEAD_MS * INT64_C(1000))) {
        live__session_close(session, LIVE__CLOSE_TIMEOUT, "timeout");
        return;
    }
    tims_timer_set(session->hub->loop, &session->timer, LIVE__HEARTBEAT_MS, watch, session);
}

static void end_login(live__session *session)
{
    live__send_bye(session, "session_ended", -1);
    live__session_close(session, LIVE__CLOSE_SESSION, "session_ended");
}

void live__session_check(live__session *session, const live__change *change)
{
    if (change->model == &tims_user_model) {
        const tims_user *user = change->row;
        if (user == NULL || !user->active || user->staff != session->caller.staff)
            end_login(session);
    } else if (change->row == NULL) {
        end_login(session);
    }
}

/* --- subscriptions ---------------------------------------------------------------------------- */

live__subscription *live__session_find(const live__session *session, uint32_t id)
{
    return tims_map_get(session->by_id, (tims_str){ (const char *)&id, sizeof id });
}

live__subscription *live__session_add(live__session *session, uint32_t id, tims_str url)
{
    live__subscription *subscription = calloc(1, sizeof *subscription);
    TIMS_ASSERT(subscription != NULL);
    subscription->magic = LIVE__SUBSCRIPTION_MAGIC;
    subscription->id = id;
    subscription->session = session;
    subscription->arena = tims_arena_new(4 * 1024 * 1024, NULL, NULL);
    subscription->url = tims_copy(subscription->arena, url);
    tims_buf_init(&subscription->access_key, NULL, 8 * 1024);
    subscription->next = session->subscriptions;
    if (session->subscriptions != NULL)
        session->subscriptions->previous = subscription;
    session->subscriptions = subscription;
    session->subscription_count++;
    (void)tims_map_set(session->by_id, (tims_str){ (const char *)&id, sizeof id }, subscription);
    return subscription;
}

void live__session_remove(live__session *session, live__subscription *subscription)
{
    TIMS_ASSERT(subscription->session == session && !subscription->dirty);
    (void)tims_map_remove(session->by_id,
                          (tims_str){ (const char *)&subscription->id, sizeof subscription->id });
    if (subscription->next != NULL)
        subscription->next->previous = subscription->previous;
    if (subscription->previous != NULL)
        subscription->previous->next = subscription->next;
    else
        session->subscriptions = subscription->next;
    session->subscription_count--;
    live__subscription_free(&subscription);
}

/* --- frames ----------------------------------------------------------------------------------- */

static void refuse(live__session *session, int status, const char *code, const char *message)
{
    live__send_refusal(session, status, code, message);
    if (++session->bad_frames < LIVE__BAD_FRAMES_MAX)
        return;
    live__send_bye(session, "protocol", -1);
    live__session_close(session, LIVE__CLOSE_PROTOCOL, "protocol");
}

static void add_job(live__session *session, live__job_kind kind, const live__message *message, tims_str text)
{
    if (session->job_count >= LIVE__JOBS_MAX) {
        live__session_close(session, LIVE__CLOSE_SLOW, "slow");
        return;
    }
    session->job_count++;
    live__hub_add_job(
        session->hub,
        (live__job){ .kind = kind, .session = session, .sub = message->sub, .limit = message->limit }, text);
}

static void receive_hello(live__session *session, const live__message *message)
{
    if (session->state != LIVE__OPENED) {
        refuse(session, 400, "hello_twice", "This connection has been greeted already.");
    } else if (message->protocol != 1) {
        live__send_refusal(session, 400, "protocol", "Only protocol 1 is spoken here.");
        live__send_bye(session, "protocol", -1);
        live__session_close(session, LIVE__CLOSE_PROTOCOL, "protocol");
    } else {
        session->state = LIVE__GREETED;
        add_job(session, LIVE__JOB_HELLO, message, message->token);
    }
}

static void receive_sub(live__session *session, const live__message *message)
{
    const tims_error in_use = { .status = TIMS_CONFLICT,
                                .code = "id_in_use",
                                .message = "This id is in use." };
    const tims_error too_many = { .status = TIMS_THROTTLED,
                                  .code = "too_many_subscriptions",
                                  .message = "Too many subscriptions on one connection." };
    if (live__session_find(session, message->sub) != NULL) {
        live__send_error(session, 0, &in_use);
    } else if (session->subscription_count >= session->hub->live->options.subscriptions_max) {
        live__send_error(session, message->sub, &too_many);
    } else {
        (void)live__session_add(session, message->sub, message->url);
        add_job(session, LIVE__JOB_SUB, message, message->from);
    }
}

static void receive_more(live__session *session, const live__message *message)
{
    live__subscription *subscription = live__session_find(session, message->sub);
    if (subscription == NULL || subscription->closed) {
        refuse(session, 404, "not_found", "There is no such subscription.");
    } else if (!subscription->growing) {
        subscription->growing = true;
        add_job(session, LIVE__JOB_MORE, message, TIMS_STR(""));
    }
}

/* The work in progress may be using it: it is taken away by the job that follows it. */
static void receive_unsub(live__session *session, const live__message *message)
{
    live__subscription *subscription = live__session_find(session, message->sub);
    if (subscription == NULL || subscription->closed)
        return;
    subscription->closed = true;
    add_job(session, LIVE__JOB_UNSUB, message, TIMS_STR(""));
}

static void dispatch(live__session *session, const live__message *message)
{
    if (message->kind == LIVE__MALFORMED) {
        refuse(session, 400, "malformed", "The frame cannot be read.");
    } else if (message->kind == LIVE__UNKNOWN) {
        refuse(session, 400, "unknown_message", "There is no such message.");
    } else if (message->kind == LIVE__HELLO) {
        receive_hello(session, message);
    } else if (session->state == LIVE__OPENED) {
        refuse(session, 400, "hello_first", "Say hello first.");
    } else if (message->kind == LIVE__SUB) {
        receive_sub(session, message);
    } else if (message->kind == LIVE__MORE) {
        receive_more(session, message);
    } else if (message->kind == LIVE__UNSUB) {
        receive_unsub(session, message);
    } else {
        live__send_pong(session);
    }
}

void live__session_receive(live__session *session, tims_str message)
{
    TIMS_CHECK_MAGIC(session, LIVE__SESSION_MAGIC);
    session->heard_us = tims_monotonic_us();
    if (session->state == LIVE__CLOSED)
        return;
    tims_arena *arena = tims_arena_new(MESSAGE_ARENA_BYTES, NULL, NULL);
    live__message read = live__message_read(arena, message);
    dispatch(session, &read);
    tims_arena_free(&arena);
}
