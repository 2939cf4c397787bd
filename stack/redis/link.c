/* link.c: one connection to the server, made again and again by a fiber of its own.
 *
 *   connect ──► greet ──► up: commands, messages ──► broken ──► close, pause ──► connect …
 *
 * Bytes travel on the loop's streams, so that names are resolved off the loop and a tick's commands leave in
 * one write; hiredis reads the answers. Answers come in the order of the commands, so whoever waits stands in
 * a queue, and one answer that is too late means that all behind it are: then the connection is given up. */
#include "redis/redis_internal.h"

enum {
    CONNECT_TIMEOUT_MS = 2000,
    ANSWER_TIMEOUT_MS = 1000,
    WATCH_MS = 100,
    PING_US = 2000000, /* the one that listens asks whether anybody is there */
    PAUSE_MIN_MS = 50,
    PAUSE_MAX_MS = 2000,
    LIVED_US = 5000000 /* lived so long: the next pause is the shortest again */
};

static int64_t connect_timeout_ms(const redis__link *link)
{
    int64_t ms = link->redis->options.connect_timeout_ms;
    return ms > 0 ? ms : CONNECT_TIMEOUT_MS;
}

static int64_t answer_timeout_us(const redis__link *link)
{
    int64_t ms = link->redis->options.answer_timeout_ms;
    return (ms > 0 ? ms : ANSWER_TIMEOUT_MS) * 1000;
}

redis__link *redis__link_new(tims_redis *redis, tims_loop *loop, bool listens)
{
    redis__link *link = calloc(1, sizeof *link);
    TIMS_ASSERT(link != NULL);
    *link = (redis__link){ .magic = REDIS__LINK_MAGIC, .redis = redis, .loop = loop, .listens = listens };
    tims_buf_init(&link->out, NULL, 2 * (size_t)REDIS__QUEUE_BYTES_MAX);
    return link;
}

void redis__link_free(redis__link **link)
{
    redis__link *old = *link;
    *link = NULL;
    if (old == NULL)
        return;
    TIMS_CHECK_MAGIC(old, REDIS__LINK_MAGIC);
    TIMS_ASSERT(old->fiber == NULL && old->stream == NULL && old->first == NULL);
    tims_buf_free(&old->out);
    old->magic = 0;
    free(old);
}

/* --- what goes wrong ----------------------------------------------------------------------------------------- */

void redis__link_break(redis__link *link, tims_status status, const char *why)
{
    if (link->is_broken)
        return;
    link->is_broken = true;
    (void)tims_fail(&link->why, status, "redis_away", "Redis at %.*s %s",
                    TIMS_PRINT(link->redis->address.name), why);
    if (link->fiber != NULL)
        tims_fiber_wake(link->fiber);
}

static void look_at_time(void *argument)
{
    redis__link *link = argument;
    int64_t now_us = tims_monotonic_us(), late_us = now_us - answer_timeout_us(link);
    bool pings = link->is_listening && link->pinged_us > 0;
    if ((link->first != NULL && link->first->sent_us < late_us) || (pings && link->pinged_us < late_us))
        redis__link_break(link, TIMS_UNAVAILABLE, "does not answer in time.");
    else if (link->is_listening && -link->pinged_us < now_us - PING_US && link->pinged_us <= 0) {
        link->pinged_us = now_us;
        redis__link_send_silently(link, TIMS_REDIS_COMMAND(TIMS_STR("PING")));
    }
    tims_timer_set(link->loop, &link->watch, WATCH_MS, look_at_time, link);
}

/* --- in ------------------------------------------------------------------------------------------------------ */

/* Of the server, not of the command: to be looked at again before it is used. */
static bool is_about_server(const redisReply *reply)
{
    static const char *const codes[] = { "READONLY ", "LOADING ", "MASTERDOWN ", "NOAUTH ", "MOVED " };
    tims_str text = { reply->str, reply->len };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (tims_str_starts_with(text, tims_str_from(codes[i])))
            return true;
    return false;
}

static void answer(redis__link *link, redisReply *reply)
{
    redis__pending *pending = link->first;
    if (pending == NULL) {
        redis__link_break(link, TIMS_INTERNAL, "says what it was not asked.");
        freeReplyObject(reply);
        return;
    }
    link->first = pending->next;
    if (link->first == NULL)
        link->last = NULL;
    link->pending_count--;
    if (reply->type == REDIS_REPLY_ERROR && is_about_server(reply))
        redis__link_break(link, TIMS_UNAVAILABLE, "has changed its role.");
    link->reply_is_kept = false;
    if (pending->done != NULL)
        pending->done(pending->argument, (const tims_redis_reply *)reply);
    if (!link->reply_is_kept)
        freeReplyObject(reply);
    free(pending);
}

static void hear(redis__link *link, redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        redis__link_break(link, TIMS_INVALID, "refuses to be listened to.");
    else
        redis__hear(link, reply);
    freeReplyObject(reply);
}

static void take_data(void *ctx, tims_str bytes)
{
    redis__link *link = ctx;
    void *reply = NULL;
    TIMS_CHECK_MAGIC(link, REDIS__LINK_MAGIC);
    if (link->is_broken)
        return;
    int status = redisReaderFeed(link->reader, bytes.data, bytes.length);
    while (status == REDIS_OK && !link->is_broken) {
        status = redisReaderGetReply(link->reader, &reply);
        if (status != REDIS_OK || reply == NULL)
            break;
        if (link->is_listening)
            hear(link, reply);
        else
            answer(link, reply);
    }
    if (status != REDIS_OK)
        redis__link_break(link, TIMS_INTERNAL, "does not speak the protocol of Redis.");
}

static void take_end(void *ctx, tims_status why)
{
    redis__link *link = ctx;
    (void)why;
    redis__link_break(link, TIMS_UNAVAILABLE, "has closed the connection.");
}

static void take_closed(void *ctx)
{
    redis__link *link = ctx;
    link->is_closed = true;
    tims_fiber_wake(link->closer);
}

static const tims_stream_events events = { .on_data = take_data,
                                           .on_end = take_end,
                                           .on_closed = take_closed };

/* --- out ----------------------------------------------------------------------------------------------------- */

static void flush(void *argument)
{
    redis__link *link = argument;
    tims_str bytes = tims_buf_str(&link->out);
    if (link->stream != NULL && !link->is_broken && bytes.length > 0 &&
        tims_stream_write(link->stream, &bytes, 1) != TIMS_OK)
        redis__link_break(link, TIMS_UNAVAILABLE, "cannot be written to.");
    tims_buf_consume(&link->out, link->out.length);
}

static bool has_room(const redis__link *link, tims_slice_list command)
{
    size_t bytes = link->out.length + tims_stream_queued(link->stream);
    for (size_t i = 0; i < command.count; i++)
        bytes += command.items[i].length;
    return bytes < REDIS__QUEUE_BYTES_MAX && link->pending_count < REDIS__PENDING_MAX;
}

void redis__link_send_silently(redis__link *link, tims_slice_list command)
{
    if (link->stream == NULL || link->is_broken)
        return;
    if (!has_room(link, command)) {
        redis__link_break(link, TIMS_UNAVAILABLE, "reads too slowly.");
        return;
    }
    redis__append_command(&link->out, command);
    if (!link->flush_armed)
        tims_loop_at_tick_end(link->loop, &link->flush_armed, flush, link);
}

redis__pending *redis__link_send(redis__link *link, tims_slice_list command, tims_redis_done_fn done,
                                 void *argument)
{
    if (link->stream == NULL || link->is_broken || !has_room(link, command))
        return NULL;
    redis__pending *pending = calloc(1, sizeof *pending);
    TIMS_ASSERT(pending != NULL);
    *pending = (redis__pending){ .done = done, .argument = argument, .sent_us = tims_monotonic_us() };
    if (link->last != NULL)
        link->last->next = pending;
    else
        link->first = pending;
    link->last = pending;
    link->pending_count++;
    redis__link_send_silently(link, command);
    return pending;
}

bool redis__link_takes(const redis__link *link)
{
    return link != NULL && link->is_up && !link->is_broken;
}

/* --- its life ------------------------------------------------------------------------------------------------ */

tims_status redis__link_open(redis__link *link, tims_error *err)
{
    const redis__address *address = &link->redis->address;
    tims_error refused = { 0 };
    link->is_up = link->is_listening = link->is_broken = link->is_closed = false;
    link->pinged_us = 0;
    tims_status status = tims_connect_tcp(link->loop, address->host, address->port, connect_timeout_ms(link),
                                          &link->stream, &refused);
    if (status != TIMS_OK) {
        (void)tims_fail(err, status == TIMS_CANCELLED ? status : TIMS_UNAVAILABLE, "redis_away",
                        "Redis at %.*s cannot be reached.", TIMS_PRINT(address->name));
        tims_error_detail(err, "%s %s", refused.message, refused.detail);
        return err != NULL ? err->status : status;
    }
    link->reader = redisReaderCreate();
    TIMS_ASSERT(link->reader != NULL);
    tims_stream_start(link->stream, &events, link);
    look_at_time(link);
    return redis__greet(link, err);
}

static void fail_pending(redis__link *link)
{
    redis__pending *next = link->first;
    link->first = link->last = NULL;
    link->pending_count = 0;
    for (redis__pending *pending = next; pending != NULL; pending = next) {
        next = pending->next;
        if (pending->done != NULL)
            pending->done(pending->argument, NULL);
        free(pending);
    }
}

void redis__link_close(redis__link *link)
{
    bool shielded = tims_fiber_shield(true);
    flush(link); /* last words */
    link->is_up = link->is_listening = false;
    link->is_broken = true;
    tims_timer_clear(&link->watch);
    if (link->stream != NULL) {
        link->closer = tims_fiber_self();
        tims_stream_close(link->stream);
        while (!link->is_closed)
            (void)(tims_fiber_suspend() == TIMS_OK);
        link->stream = NULL;
    }
    tims_buf_consume(&link->out, link->out.length);
    if (link->reader != NULL)
        redisReaderFree(link->reader);
    link->reader = NULL;
    fail_pending(link);
    (void)tims_fiber_shield(shielded);
}

/* Many nodes lose the server at the same moment: they must not come back at the same one. */
static int64_t jittered(int64_t pause_ms)
{
    uint32_t random;
    tims_random(&random, sizeof random);
    return pause_ms / 2 + (int64_t)(random % (uint32_t)(pause_ms / 2 + 1));
}

static void serve(redis__link *link)
{
    if (link->listens)
        redis__ask_client_id(link);
    if (link->is_broken)
        return;
    if (link->listens)
        redis__listen_again(link);
    else
        link->is_up = true;
    redis__link_changed(link);
    while (!link->stopping && !link->is_broken)
        if (tims_fiber_suspend() != TIMS_OK)
            break;
}

static void run_link(void *argument)
{
    redis__link *link = argument;
    int64_t pause_ms = PAUSE_MIN_MS;
    while (!link->stopping) {
        link->why = (tims_error){ 0 };
        tims_error err = { 0 };
        int64_t since_us = tims_monotonic_us();
        if (redis__link_open(link, &err) == TIMS_OK)
            serve(link);
        else
            link->why = err;
        if (tims_monotonic_us() - since_us > LIVED_US)
            pause_ms = PAUSE_MIN_MS;
        redis__link_close(link);
        redis__link_changed(link);
        if (link->stopping || tims_sleep_ms(jittered(pause_ms)) == TIMS_CANCELLED)
            break;
        pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
    }
}

static void note_end(void *argument)
{
    redis__link *link = argument;
    link->fiber = NULL;
}

static void begin_link(void *argument)
{
    redis__link *link = argument;
    link->fiber = tims_fiber_self();
    tims_fiber_on_end(link->fiber, note_end, link);
    run_link(link);
}

tims_status redis__link_start(redis__link *link, tims_error *err)
{
    if (tims_fiber_start(link->loop, begin_link, link) == NULL)
        return tims_fail(err, TIMS_UNAVAILABLE, "no_fiber", "No fiber can be started for Redis.");
    return TIMS_OK;
}

void redis__link_stop(redis__link *link)
{
    link->stopping = true;
    if (link->fiber != NULL)
        tims_fiber_cancel(link->fiber);
}
