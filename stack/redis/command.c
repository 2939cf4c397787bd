/* command.c: commands out, and replies as the callers see them. */
#include "redis/redis_internal.h"

void redis__append_command(tims_buf *out, tims_slice_list command)
{
    tims_buf_print(out, "*%zu\r\n", command.count);
    for (size_t i = 0; i < command.count; i++) {
        tims_buf_print(out, "$%zu\r\n", command.items[i].length);
        tims_buf_append_str(out, command.items[i]);
        tims_buf_append_str(out, TIMS_STR("\r\n"));
    }
    TIMS_ASSERT(!out->overflow);
}

/* --- waiting for the answer ---------------------------------------------------------------------------------- */

typedef struct waiter {
    redis__link *link;
    tims_fiber *fiber;
    const tims_redis_reply **slot;
    bool is_done;
} waiter;

static void take_reply(void *argument, const tims_redis_reply *reply)
{
    waiter *w = argument;
    w->is_done = true;
    *w->slot = reply;
    w->link->reply_is_kept = reply != NULL;
    tims_fiber_wake(w->fiber);
}

static void free_reply(void *argument)
{
    redisReply **slot = argument;
    if (*slot != NULL)
        freeReplyObject(*slot);
}

tims_status redis__call(redis__link *link, tims_arena *arena, tims_slice_list command,
                        const tims_redis_reply **ret_reply, tims_error *err)
{
    const tims_str name = link->redis->address.name;
    waiter w = { .link = link,
                 .fiber = tims_fiber_self(),
                 .slot = TIMS_NEW(arena, const tims_redis_reply *) };
    tims_arena_defer(arena, free_reply, (void *)w.slot); /* first: the fiber may end at any allocation */
    redis__pending *pending = redis__link_send(link, command, take_reply, &w);
    if (pending == NULL)
        return tims_fail(err, TIMS_UNAVAILABLE, "redis_away", "Redis at %.*s takes no command now.",
                         TIMS_PRINT(name));
    tims_status status = TIMS_OK;
    /* Who makes the link waits here too, and is the one who tells the others that it broke. */
    while (!w.is_done && !link->is_broken && status == TIMS_OK)
        status = tims_fiber_suspend();
    if (!w.is_done)
        pending->done = NULL;
    if (!w.is_done && status != TIMS_OK)
        return tims_fail(err, status, NULL, "Redis at %.*s was not waited for.", TIMS_PRINT(name));
    const redisReply *reply = (const redisReply *)*w.slot;
    if (reply == NULL) {
        (void)tims_fail(err, TIMS_UNAVAILABLE, "redis_away", "Redis at %.*s went before it answered.",
                        TIMS_PRINT(name));
        tims_error_detail(err, "%s", link->why.message);
        return TIMS_UNAVAILABLE;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        (void)tims_fail(err, TIMS_INVALID, "redis_error", "Redis at %.*s refused a command.",
                        TIMS_PRINT(name));
        tims_error_detail(err, "%.*s", (int)reply->len, reply->str);
        return TIMS_INVALID;
    }
    *ret_reply = *w.slot;
    return TIMS_OK;
}

/* --- reading it ---------------------------------------------------------------------------------------------- */

static const redisReply *inner(const tims_redis_reply *reply)
{
    TIMS_ASSERT(reply != NULL);
    return (const redisReply *)reply;
}

int64_t tims_redis_int(const tims_redis_reply *reply)
{
    return inner(reply)->type == REDIS_REPLY_INTEGER ? inner(reply)->integer : 0;
}

tims_str tims_redis_text(const tims_redis_reply *reply)
{
    const redisReply *at = inner(reply);
    bool has_text = at->type == REDIS_REPLY_STRING || at->type == REDIS_REPLY_STATUS;
    return has_text ? (tims_str){ at->str, at->len } : TIMS_STR("");
}

bool tims_redis_is_error(const tims_redis_reply *reply)
{
    return inner(reply)->type == REDIS_REPLY_ERROR;
}

size_t tims_redis_count(const tims_redis_reply *reply)
{
    return inner(reply)->type == REDIS_REPLY_ARRAY ? inner(reply)->elements : 0;
}

const tims_redis_reply *tims_redis_item(const tims_redis_reply *reply, size_t index)
{
    TIMS_ASSERT(index < tims_redis_count(reply));
    return (const tims_redis_reply *)inner(reply)->element[index];
}
