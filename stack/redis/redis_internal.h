/* redis_internal.h: what the files of this room share. */
#ifndef REDIS_INTERNAL_H
#define REDIS_INTERNAL_H

#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tims/crypto.h"
#include "tims/redis.h"

enum {
    REDIS__MAGIC = 0x52454449,
    REDIS__LINK_MAGIC = 0x524c4e4b,
    REDIS__LOOPS_MAX = 64,
    REDIS__QUEUE_BYTES_MAX = 8 << 20,
    REDIS__PENDING_MAX = 100000,
    REDIS__WATCHED_MAX = 256
};

/* --- address.c ----------------------------------------------------------------------------------------------- */

typedef struct redis__address {
    tims_str host, user, password; /* not encoded */
    uint16_t port;
    int64_t database;
    tims_str name; /* host:port/database */
} redis__address;
tims_status redis__address_parse(tims_arena *arena, tims_str url, redis__address *ret_address,
                                 tims_error *err);

/* --- link.c: one connection, made again and again ------------------------------------------------------------ */

/* A command that was sent and not yet answered. */
typedef struct redis__pending {
    struct redis__pending *next;
    tims_redis_done_fn done; /* NULL: nobody waits for it */
    void *argument;
    int64_t sent_us;
} redis__pending;

typedef struct redis__link {
    uint32_t magic;
    tims_redis *redis;
    tims_loop *loop;
    bool listens;      /* the one that hears channels */
    bool is_up;        /* greeted */
    bool is_listening; /* what comes now are messages, not answers */
    bool is_broken, stopping, flush_armed, is_closed;
    bool reply_is_kept; /* set by who is just told of a reply: it is theirs now */
    tims_fiber *fiber;  /* that makes it, and is woken when it breaks */
    tims_fiber *closer; /* waits until the stream is closed */
    tims_stream *stream;
    redisReader *reader;
    tims_buf out; /* this tick's commands */
    redis__pending *first, *last;
    size_t pending_count;
    int64_t client_id; /* listens, and something is watched: the server's name for it; 0: not known */
    int64_t pinged_us; /* of the ping on its way; answered: the same, negative (listens) */
    tims_timer watch;
    tims_error why; /* it broke, or could not be made */
} redis__link;

redis__link *redis__link_new(tims_redis *redis, tims_loop *loop, bool listens);
tims_status redis__link_start(redis__link *link, tims_error *err);
void redis__link_stop(redis__link *link);
void redis__link_free(redis__link **link);
/* Connects and greets, once. Suspends. */
tims_status redis__link_open(redis__link *link, tims_error *err);
void redis__link_close(redis__link *link); /* what was not answered is told so; suspends */
void redis__link_break(redis__link *link, tims_status status, const char *why);
/* Queues it for the end of the tick. NULL: there is no connection, or it is too far behind. */
redis__pending *redis__link_send(redis__link *link, tims_slice_list command, tims_redis_done_fn done,
                                 void *argument);
void redis__link_send_silently(redis__link *link, tims_slice_list command); /* of which no answer comes */
bool redis__link_takes(const redis__link *link);

/* --- command.c ----------------------------------------------------------------------------------------------- */

void redis__append_command(tims_buf *out, tims_slice_list command);
tims_status redis__call(redis__link *link, tims_arena *arena, tims_slice_list command,
                        const tims_redis_reply **ret_reply, tims_error *err);

/* --- greeting.c ---------------------------------------------------------------------------------------------- */

/* AUTH, SELECT, and a look at what kind of server it is. Suspends. */
tims_status redis__greet(redis__link *link, tims_error *err);

/* --- channels.c ---------------------------------------------------------------------------------------------- */

/* Subscribes to all there are; `is_up` follows when the server has confirmed them. */
void redis__listen_again(redis__link *link);
/* A message, or one of its confirmations. */
void redis__hear(redis__link *link, const redisReply *reply);

/* --- watch.c -------------------------------------------------------------------------------------------------- */

/* Of the connection that listens, before it does. Suspends. */
void redis__ask_client_id(redis__link *link);
/* Both are up: has changes told to the one that listens. */
void redis__watch_again(tims_redis *redis);

/* --- redis.c ------------------------------------------------------------------------------------------------- */

struct tims_redis {
    uint32_t magic;
    tims_redis_options options;
    tims_arena *arena;
    redis__address address;
    redis__link *links[REDIS__LOOPS_MAX]; /* each touched by its loop only */
    redis__link *listening;
    tims_redis_listener listener;
    bool told_up;
    tims_strs watched;     /* prefixes, none of which begins with another */
    tims_status said;      /* the last reason that was logged */
    pthread_mutex_t mutex; /* for what follows */
    tims_map *channels;    /* name → the tims_redis: a set */
    tims_loop *loop;       /* loop 0 while it runs */
};
/* A link came up or went: when it matters, `changed` is told. On the link's loop. */
void redis__link_changed(redis__link *link);

#endif
