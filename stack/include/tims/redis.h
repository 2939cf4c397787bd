/* redis.h: a Redis server: commands, and channels to listen to. The only room that knows hiredis.
 *
 * One connection for commands on every loop, pipelined; one that listens, on loop 0. Each connects by itself,
 * again and again, with a pause that grows. While the server is away commands fail at once and channels are
 * silent: nothing waits for Redis but who asked it. Replication behind one address is fine; Cluster and
 * Sentinel are refused. */
#ifndef TIMS_REDIS_H
#define TIMS_REDIS_H

#include "tims/loop.h"

typedef struct tims_redis tims_redis;
/* What the server said; hold it only as long as it says. */
typedef struct tims_redis_reply tims_redis_reply;

typedef struct tims_redis_options {
    tims_str url;               /* redis://user:password@host:port/database; all but the host may be absent */
    int64_t connect_timeout_ms; /* 0: 2,000 */
    int64_t answer_timeout_ms;  /* a connection on which an answer is as late is given up; 0: 1,000 */
} tims_redis_options;

/* Only reads the options. Errors: INVALID, with what is wrong with the URL; its password is not shown. */
tims_status tims_redis_new(const tims_redis_options *options, tims_redis **ret_redis, tims_error *err);
/* After the loops have stopped. Sets `*redis` to NULL; NULL is fine. */
void tims_redis_free(tims_redis **redis);
/* From the server's loop_start and loop_stop; loop 0 is the first to start. */
tims_status tims_redis_loop_start(tims_redis *redis, tims_loop *loop, tims_error *err);
/* Closes this loop's connection; commands under way are told that it is not known whether they ran. */
void tims_redis_loop_stop(tims_redis *redis, tims_loop *loop);
/* Connects once, to learn whether it would do. Suspends. Errors: UNAVAILABLE (away: may come), UNAUTHORIZED
 * (who we are was refused), INVALID (Cluster, Sentinel, no such database). */
tims_status tims_redis_probe(tims_redis *redis, tims_loop *loop, tims_error *err);
/* "host:port/database", for people. */
tims_str tims_redis_name(const tims_redis *redis);

/* --- commands: on a loop's thread, in order on each loop ----------------------------------------------------- */

/* TIMS_REDIS_COMMAND(TIMS_STR("GET"), key) */
/* clang-format off */
#define TIMS_REDIS_COMMAND(...)                                                      \
    (tims_slice_list){ (const tims_str[]){ __VA_ARGS__ },                            \
                       sizeof((const tims_str[]){ __VA_ARGS__ }) / sizeof(tims_str) }
/* clang-format on */
/* `done` (may be NULL) is called once, on this loop: with what the server said, valid during the call, or
 * with NULL when it is not known whether it ran. False: it was not sent, `done` is not called: the server is
 * away, or too far behind. */
typedef void (*tims_redis_done_fn)(void *argument, const tims_redis_reply *reply);
/* Without waiting, from the loop's thread, fiber or not. */
bool tims_redis_send(tims_redis *redis, tims_slice_list command, tims_redis_done_fn done, void *argument);
/* The reply lives in the arena. Suspends. Errors: UNAVAILABLE (away; or it went before it answered), INVALID
 * (the server's error reply), TIMEOUT, CANCELLED. */
tims_status tims_redis_call(tims_redis *redis, tims_arena *arena, tims_slice_list command,
                            const tims_redis_reply **ret_reply, tims_error *err);

/* 0 when it is no integer; empty when it has no text; the text of an error reply is empty too. */
int64_t tims_redis_int(const tims_redis_reply *reply);
/* A text of the reply, borrowed from it. */
tims_str tims_redis_text(const tims_redis_reply *reply);
/* Whether the server refused the command. */
bool tims_redis_is_error(const tims_redis_reply *reply);
size_t tims_redis_count(const tims_redis_reply *reply); /* of a list */
/* An item of a list, from 0, borrowed; NULL past the end. */
const tims_redis_reply *tims_redis_item(const tims_redis_reply *reply, size_t index);

/* --- channels: from any thread, also before it has started --------------------------------------------------- */

/* Both on loop 0; they must not suspend. */
typedef struct tims_redis_listener {
    void *data;
    void (*heard)(void *data, tims_str channel, tims_str message);
    /* From now on every message to the channels is heard and commands of loop 0 are taken; or no longer so.
     */
    void (*changed)(void *data, bool is_up);
} tims_redis_listener;
/* Before it has started; there is one. Copied. */
void tims_redis_listen(tims_redis *redis, const tims_redis_listener *listener);
/* Before it has started: what others do to keys that begin so is heard, too, as a message "changed" to this
 * channel, as long as the server lets us (CLIENT TRACKING); what loop 0 does itself is not. A hint: it may be
 * lost. */
#define TIMS_REDIS_CHANGES "__redis__:invalidate"
/* Keys that begin with `prefix`. */
void tims_redis_watch(tims_redis *redis, tims_str prefix);
/* Messages to this channel are heard from the moment the server has confirmed it, and again after each new
 * connection. */
void tims_redis_subscribe(tims_redis *redis, tims_str channel);
/* Messages to this channel are heard no longer. */
void tims_redis_unsubscribe(tims_redis *redis, tims_str channel);

/* --- limits, counted once for all who share the server ---------------------------------------------------- */

typedef struct tims_redis_limit {
    int64_t max, period_us;
} tims_redis_limit;
/* At most `max` in a period that begins with the first. 0: open, and counted if `counts`; else how long it is
 * closed. Suspends. Errors: as tims_redis_call: then who asks decides alone. */
tims_status tims_redis_limit_window(tims_redis *redis, tims_arena *arena, tims_str key,
                                    tims_redis_limit limit, bool counts, int64_t *ret_wait_us,
                                    tims_error *err);
/* Takes one of `max` tokens that come back evenly over the period; 0, or how long until there is one.
 * Suspends. */
tims_status tims_redis_limit_bucket(tims_redis *redis, tims_arena *arena, tims_str key,
                                    tims_redis_limit limit, int64_t *ret_wait_us, tims_error *err);
/* Of a window; nobody waits for it, and while the server is away nothing happens. */
void tims_redis_limit_count(tims_redis *redis, tims_str key, int64_t period_us);
/* One less in the window: what was counted did not happen after all. */
void tims_redis_limit_take_back(tims_redis *redis, tims_str key);
/* Forgets the window: it begins anew. */
void tims_redis_limit_clear(tims_redis *redis, tims_str key);

#endif
