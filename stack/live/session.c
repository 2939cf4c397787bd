/* session.c: one client on its loop: what it has said so far, what it is sent.
 *
 * Frames are read at once; whatever needs the views or the database becomes a job of the engine, whose
 * answers come back as deliveries. A client that reads too slowly is left behind: its steps are not queued
 * but left out, and when it has read what it was sent it gets all it missed as one step, each row once. */
#include "live/live_internal.h"

enum { MESSAGE_ARENA_BYTES = 4 * 1024 * 1024, TX_BYTES_MAX = 256 * 1024 * 1024 };

/* --- life ------------------------------------------------------------------------------------- */

static tims_str key_of(const live__session *session)
{
    return (tims_str){ (const char *)&session->serial, sizeof session->serial };
}

live__session *live__session_new(live__hub *hub, const live__sink *sink, void *sink_ctx)
{
    live__session *session = calloc(1, sizeof *session);
    TIMS_ASSERT(session != NULL);
    session->magic = LIVE__SESSION_MAGIC;
    session->hub = hub;
    session->serial = ++hub->last_serial;
    session->sink = sink;
    session->sink_ctx = sink_ctx;
    session->opened_us = tims_monotonic_us();
    session->ops = session->ops_inline;
    session->ops_capacity = sizeof session->ops_inline / sizeof session->ops_inline[0];
    session->next = hub->sessions;
    if (hub->sessions != NULL)
        hub->sessions->previous = session;
    hub->sessions = session;
    hub->session_count++;
    (void)tims_map_set(hub->by_serial, key_of(session), session);
    atomic_fetch_add(&hub->live->metrics.sessions, 1);
    return session;
}

static void drop_ops(live__session *session)
{
    for (uint32_t i = 0; i < session->ops_count; i++)
        live__ops_unref(&session->ops[i]);
    session->ops_count = 0;
    if (session->ops == session->ops_inline)
        return;
    free(session->ops);
    session->ops = session->ops_inline;
    session->ops_capacity = sizeof session->ops_inline / sizeof session->ops_inline[0];
}

static void leave_dirty(live__session *session)
{
    live__session **at = &session->hub->dirty;
    while (session->is_dirty && *at != session)
        at = &(*at)->next_dirty;
    if (session->is_dirty)
        *at = session->next_dirty;
    session->is_dirty = false;
}

void live__session_free(live__session **session)
{
    live__session *old = *session;
    live__hub *hub = old->hub;
    *session = NULL;
    TIMS_CHECK_MAGIC(old, LIVE__SESSION_MAGIC);
    while (old->locals != NULL)
        live__hub_remove(hub, old->locals);
    leave_dirty(old);
    drop_ops(old);
    if (old->next != NULL)
        old->next->previous = old->previous;
    if (old->previous != NULL)
        old->previous->next = old->next;
    else
        hub->sessions = old->next;
    hub->session_count--;
    (void)tims_map_remove(hub->by_serial, key_of(old));
    atomic_fetch_sub(&hub->live->metrics.sessions, 1);
    old->magic = 0;
    free(old);
}

void live__session_gone(live__session **session)
{
    TIMS_CHECK_MAGIC(*session, LIVE__SESSION_MAGIC);
    live__job_post(live__job_new(LIVE__JOB_GONE, *session, TIMS_STR(""), TIMS_STR("")));
    live__session_free(session);
}

void live__session_close(live__session *session, int code, const char *reason)
{
    TIMS_CHECK_MAGIC(session, LIVE__SESSION_MAGIC);
    if (session->state == LIVE__CLOSED)
        return;
    session->state = LIVE__CLOSED;
    if (code == LIVE__CLOSE_SLOW)
        atomic_fetch_add(&session->hub->live->metrics.slow, 1);
    session->sink->close(session->sink_ctx, code, reason);
}

void live__session_end(live__session *session, int code, const char *reason)
{
    if (code != LIVE__CLOSE_SLOW)
        live__send_bye(session, reason, -1);
    live__session_close(session, code, reason);
}

/* Too late with its hello, or unable to read what it was sent. Who is silent is pinged, and who does not
 * answer that is dropped, by the socket itself. */
void live__session_watch(live__session *session, int64_t now_us)
{
    TIMS_CHECK_MAGIC(session, LIVE__SESSION_MAGIC);
    const live__limits *limits = &session->hub->live->limits;
    if (session->state == LIVE__CLOSED || session->socket == NULL)
        return;
    if (session->is_behind && !session->is_catching_up &&
        (now_us - session->behind_since_us) / 1000 > limits->behind_ms)
        live__session_close(session, LIVE__CLOSE_SLOW, "slow");
    else if (session->state == LIVE__OPENED && (now_us - session->opened_us) / 1000 > limits->hello_ms)
        live__session_end(session, LIVE__CLOSE_TIMEOUT, "timeout");
}

/* --- out -------------------------------------------------------------------------------------- */

void live__session_send(live__session *session, const char *event, int64_t position, tims_str text,
                        tims_frame *frame)
{
    if (session->state == LIVE__CLOSED)
        return;
    live__metrics *metrics = &session->hub->live->metrics;
    atomic_fetch_add_explicit(&metrics->frames, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&metrics->bytes, text.length, memory_order_relaxed);
    session->sink->send(session->sink_ctx, event, position, text, frame);
}

int64_t live__session_position(const live__session *session)
{
    return session->is_behind ? session->behind_position : session->hub->position;
}

void live__session_welcome(live__session *session, tims_caller caller)
{
    session->caller = caller;
    session->state = LIVE__WELCOMED;
    if (!session->is_stream)
        live__send_welcome(session);
}

static void send_parts(live__session *session, int64_t position)
{
    tims_buf text;
    tims_buf_init(&text, NULL, TX_BYTES_MAX);
    tims_buf_print(&text, "{\"t\":\"tx\",\"position\":%lld,\"ops\":[", (long long)position);
    for (uint32_t i = 0; i < session->ops_count; i++) {
        if (i > 0)
            tims_buf_append_char(&text, ',');
        tims_buf_append_str(&text, session->ops[i]->list);
    }
    tims_buf_append_str(&text, TIMS_STR("]}"));
    if (text.overflow)
        live__session_close(session, LIVE__CLOSE_SLOW, "slow");
    else
        live__session_send(session, "tx", position, tims_buf_str(&text), NULL);
    tims_buf_free(&text);
}

/* The step that it has not read the ones before of is left out, like all after it. */
static bool falls_behind(live__session *session)
{
    if (session->sink->queued(session->sink_ctx) <= session->hub->live->limits.behind_bytes)
        return false;
    session->is_behind = true;
    session->is_catching_up = false;
    session->behind_position = session->hub->previous_position;
    session->behind_since_us = tims_monotonic_us();
    atomic_fetch_add(&session->hub->live->metrics.behind, 1);
    return true;
}

void live__session_flush(live__session *session, int64_t position)
{
    if (session->state == LIVE__WELCOMED && session->ops_count > 0 && !falls_behind(session)) {
        if (session->ops_count == 1)
            live__session_send(session, "tx", position, session->ops[0]->text, session->ops[0]->frame);
        else
            send_parts(session, position);
    }
    drop_ops(session);
}

void live__session_drained(live__session *session)
{
    if (!session->is_behind || session->is_catching_up || session->state != LIVE__WELCOMED)
        return;
    session->is_catching_up = true;
    session->job_count++;
    live__job *job = live__job_new(LIVE__JOB_CATCH_UP, session, TIMS_STR(""), TIMS_STR(""));
    job->limit = session->behind_position;
    live__job_post(job);
}

/* Asks for as many rows as are there by now. */
static void ask_for_window(live__session *session, live__local *local)
{
    local->owes_window = false;
    live__job *job = live__job_new(LIVE__JOB_MORE, session, TIMS_STR(""), TIMS_STR(""));
    job->sub = local->sub;
    job->limit = 1;
    session->job_count++;
    live__job_post(job);
}

void live__session_caught_up(live__session *session)
{
    session->is_behind = session->is_catching_up = false;
    for (live__local *local = session->locals; local != NULL; local = local->next)
        if (local->owes_window && !local->closing)
            ask_for_window(session, local);
}

/* --- in --------------------------------------------------------------------------------------- */

static void refuse_frame(live__session *session, int status, const char *code, const char *message)
{
    const live__refusal refusal = { .status = status, .code = code, .message = message };
    live__send_refusal(session, &refusal);
}

static void refuse_surplus(live__session *session, const char *member, uint32_t id)
{
    const live__refusal refusal = { member, id, 429, "too_many_subscriptions",
                                    "Too many subscriptions on one connection." };
    live__send_refusal(session, &refusal);
}

/* Of a client that does not know the protocol, or does not keep to it. */
static void refuse(live__session *session, int status, const char *code, const char *message)
{
    refuse_frame(session, status, code, message);
    if (++session->bad_frames >= LIVE__BAD_FRAMES_MAX)
        live__session_end(session, LIVE__CLOSE_PROTOCOL, "protocol");
}

static void post_job(live__session *session, live__job *job)
{
    if (session->job_count >= session->hub->live->limits.jobs_max) {
        live__job_free(&job);
        live__session_close(session, LIVE__CLOSE_SLOW, "slow");
        return;
    }
    session->job_count++;
    live__job_post(job);
}

static void receive_hello(live__session *session, const live__message *message)
{
    if (session->state != LIVE__OPENED) {
        refuse(session, 400, "hello_twice", "This connection has been greeted already.");
    } else if (message->protocol != LIVE__PROTOCOL) {
        refuse_frame(session, 400, "protocol", "Only protocol 2 is spoken here.");
        live__session_end(session, LIVE__CLOSE_PROTOCOL, "protocol");
    } else {
        session->state = LIVE__GREETED;
        live__job *job = live__job_new(LIVE__JOB_HELLO, session, TIMS_STR(""), message->token);
        job->caller = session->caller;
        job->login = session->login;
        post_job(session, job);
    }
}

void live__session_subscribe(live__session *session, uint32_t sub, tims_str url, tims_str from, int64_t held)
{
    (void)live__hub_add(session->hub, session, sub);
    live__job *job = live__job_new(LIVE__JOB_SUB, session, url, from);
    job->sub = sub;
    job->limit = held;
    post_job(session, job);
}

static void receive_sub(live__session *session, const live__message *message)
{
    if (live__hub_find(session->hub, session, message->sub) != NULL)
        refuse_frame(session, 409, "id_in_use", "This id is in use.");
    else if (session->local_count >= session->hub->live->options.subscriptions_max)
        refuse_surplus(session, "sub", message->sub);
    else
        live__session_subscribe(session, message->sub, message->url, message->from, message->limit);
}

static void receive_more(live__session *session, const live__message *message)
{
    live__local *local = live__hub_find(session->hub, session, message->sub);
    if (local == NULL || local->closing) {
        refuse(session, 404, "not_found", "There is no such subscription.");
    } else if (!local->growing) {
        local->growing = true;
        live__job *job = live__job_new(LIVE__JOB_MORE, session, TIMS_STR(""), TIMS_STR(""));
        job->sub = message->sub;
        job->limit = message->limit;
        post_job(session, job);
    }
}

/* Its answers may be on their way: it stays, deaf, until the engine has let go of it. */
static void receive_unsub(live__session *session, const live__message *message)
{
    live__local *local = live__hub_find(session->hub, session, message->sub);
    if (local == NULL || local->closing)
        return;
    local->closing = true;
    live__job *job = live__job_new(LIVE__JOB_UNSUB, session, TIMS_STR(""), TIMS_STR(""));
    job->sub = message->sub;
    post_job(session, job);
}

static void receive_join(live__session *session, const live__message *message)
{
    tims_arena *arena = tims_arena_new(MESSAGE_ARENA_BYTES, NULL, NULL);
    tims_str state = message->data != NULL ? tims_json_to_text(arena, message->data) : TIMS_STR("");
    if (live__hub_find(session->hub, session, message->sub) != NULL) {
        refuse_frame(session, 409, "id_in_use", "This id is in use.");
    } else if (session->local_count >= session->hub->live->options.subscriptions_max) {
        refuse_surplus(session, "join", message->sub);
    } else {
        (void)live__hub_add(session->hub, session, message->sub);
        live__job *job = live__job_new(LIVE__JOB_JOIN, session, message->url, state);
        job->sub = message->sub;
        job->is_present = message->is_present;
        post_job(session, job);
    }
    tims_arena_free(&arena);
}

/* Leaving ends it as unsubscribing does, only on purpose. */
static void receive_leave(live__session *session, const live__message *message)
{
    live__local *local = live__hub_find(session->hub, session, message->sub);
    if (local == NULL || local->closing)
        return;
    local->closing = true;
    live__job *job = live__job_new(LIVE__JOB_LEAVE, session, TIMS_STR(""), TIMS_STR(""));
    job->sub = message->sub;
    post_job(session, job);
}

static bool may_publish(live__session *session)
{
    int64_t now_us = tims_monotonic_us();
    if (now_us - session->publish_since_us >= 1000000) {
        session->publish_since_us = now_us;
        session->publish_count = 0;
    }
    return session->publish_count++ < LIVE__PUBLISHES_A_SECOND;
}

static void receive_publish(live__session *session, const live__message *message)
{
    if (!may_publish(session)) {
        const live__refusal refusal = { "join", message->sub, 429, "throttled",
                                        "Too many messages in passing." };
        live__send_refusal(session, &refusal);
        return;
    }
    tims_arena *arena = tims_arena_new(MESSAGE_ARENA_BYTES, NULL, NULL);
    live__job *job =
        live__job_new(LIVE__JOB_PUBLISH, session, message->name, tims_json_to_text(arena, message->data));
    job->sub = message->sub;
    post_job(session, job);
    tims_arena_free(&arena);
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
    } else if (message->kind == LIVE__JOIN) {
        receive_join(session, message);
    } else if (message->kind == LIVE__LEAVE) {
        receive_leave(session, message);
    } else if (message->kind == LIVE__PUBLISH) {
        receive_publish(session, message);
    } else if (message->kind == LIVE__AUTH) {
        post_job(session, live__job_new(LIVE__JOB_AUTH, session, TIMS_STR(""), message->token));
    } else {
        live__send_pong(session);
    }
}

void live__session_receive(live__session *session, tims_str message)
{
    TIMS_CHECK_MAGIC(session, LIVE__SESSION_MAGIC);
    if (session->state == LIVE__CLOSED)
        return;
    tims_arena *arena = tims_arena_new(MESSAGE_ARENA_BYTES, NULL, NULL);
    live__message read = live__message_read(arena, message);
    dispatch(session, &read);
    tims_arena_free(&arena);
}
