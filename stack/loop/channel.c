/* channel.c: a bounded queue of pointers between fibers of one loop.
 *
 * A ring, and two lines of waiting fibers, first come first served. A waiter is a node on its fiber's stack;
 * who wakes it takes it out of the line first. A woken waiter that gives up (cancel, deadline) passes its
 * turn on, so no item and no place is ever left with somebody waiting for it. A channel freed under its
 * waiters ends with the last of them. */
#include <stdlib.h>

#include "loop/loop_internal.h"

typedef struct waiter {
    struct waiter *next, *previous;
    tims_fiber *fiber;
    bool in_line;
} waiter;

typedef struct line {
    waiter *first, *last;
} line;

struct tims_channel {
    uint32_t magic;
    bool closed;
    bool freed;     /* by its owner; the memory goes with the last who waited */
    size_t waiting; /* fibers between joining a line and running again */
    size_t capacity, count, head;
    line senders, receivers;
    void *items[];
};

static void join(line *queue, waiter *joining)
{
    joining->fiber = tims_fiber_self();
    TIMS_ASSERT(joining->fiber != NULL);
    joining->in_line = true;
    joining->next = NULL;
    joining->previous = queue->last;
    if (queue->last != NULL)
        queue->last->next = joining;
    else
        queue->first = joining;
    queue->last = joining;
}

static void leave(line *queue, waiter *leaving)
{
    if (leaving->previous != NULL)
        leaving->previous->next = leaving->next;
    else
        queue->first = leaving->next;
    if (leaving->next != NULL)
        leaving->next->previous = leaving->previous;
    else
        queue->last = leaving->previous;
    leaving->in_line = false;
}

static void call_next(line *queue)
{
    waiter *next = queue->first;
    if (next == NULL)
        return;
    leave(queue, next);
    tims_fiber_wake(next->fiber);
}

static void send_away(line *queue)
{
    while (queue->first != NULL)
        call_next(queue);
}

static void free_if_unused(tims_channel *channel)
{
    if (!channel->freed || channel->waiting > 0)
        return;
    channel->magic = 0;
    free(channel);
}

/* Waits in `queue` for one turn. Unless it is OK the turn, if it came, is passed on while `usable` holds. */
static tims_status wait_turn(tims_channel *channel, line *queue, bool (*usable)(const tims_channel *channel))
{
    waiter mine = { 0 };
    join(queue, &mine);
    channel->waiting++;
    tims_status status = TIMS_OK;
    while (mine.in_line && status == TIMS_OK)
        status = tims_fiber_suspend();
    if (mine.in_line)
        leave(queue, &mine);
    else if (status != TIMS_OK && usable(channel))
        call_next(queue);
    channel->waiting--;
    return status;
}

static bool has_items(const tims_channel *channel)
{
    return channel->count > 0;
}

static bool has_room(const tims_channel *channel)
{
    return channel->count < channel->capacity;
}

tims_channel *tims_channel_new(tims_loop *loop, size_t capacity)
{
    TIMS_ASSERT(capacity > 0 && capacity <= SIZE_MAX / 16);
    tims_channel *channel = calloc(1, sizeof *channel + capacity * sizeof(void *));
    TIMS_ASSERT(channel != NULL);
    channel->magic = CHANNEL_MAGIC;
    (void)loop;
    channel->capacity = capacity;
    return channel;
}

void tims_channel_free(tims_channel **pointer)
{
    tims_channel *channel = *pointer;
    if (channel == NULL)
        return;
    tims_channel_close(channel);
    *pointer = NULL;
    channel->freed = true;
    free_if_unused(channel);
}

void tims_channel_close(tims_channel *channel)
{
    TIMS_CHECK_MAGIC(channel, CHANNEL_MAGIC);
    channel->closed = true;
    send_away(&channel->senders);
    send_away(&channel->receivers);
}

bool tims_channel_try_send(tims_channel *channel, void *item)
{
    TIMS_CHECK_MAGIC(channel, CHANNEL_MAGIC);
    if (channel->closed || channel->count == channel->capacity)
        return false;
    channel->items[(channel->head + channel->count) % channel->capacity] = item;
    channel->count++;
    call_next(&channel->receivers);
    return true;
}

tims_status tims_channel_send(tims_channel *channel, void *item)
{
    TIMS_CHECK_MAGIC(channel, CHANNEL_MAGIC);
    tims_status status = TIMS_OK;
    while (!tims_channel_try_send(channel, item)) {
        status = channel->closed ? TIMS_CLOSED : wait_turn(channel, &channel->senders, has_room);
        if (status != TIMS_OK)
            break;
    }
    free_if_unused(channel);
    return status;
}

static void *take_item(tims_channel *channel)
{
    void *item = channel->items[channel->head];
    channel->head = (channel->head + 1) % channel->capacity;
    channel->count--;
    call_next(&channel->senders);
    return item;
}

tims_status tims_channel_receive(tims_channel *channel, void **ret_item)
{
    TIMS_CHECK_MAGIC(channel, CHANNEL_MAGIC);
    tims_status status = TIMS_OK;
    while (channel->count == 0 && status == TIMS_OK)
        status = channel->closed ? TIMS_CLOSED : wait_turn(channel, &channel->receivers, has_items);
    if (status == TIMS_OK)
        *ret_item = take_item(channel);
    free_if_unused(channel);
    return status;
}
