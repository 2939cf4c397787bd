/* timer.c: one wheel per loop.
 *
 * A slot for each 10 ms of a turn; a timer hangs in the slot of the tick it is due, so setting and clearing
 * cost a few pointers however many there are. A timer due after the current turn stays in its slot when the
 * hand passes. One uv_timer (a heap entry, no system call) rings at the next slot that holds anything, found
 * by a bit map: an idle loop does not wake up. A timer never fires early, and at most a tick and the loop's
 * own lateness late. */
#include "loop/loop_internal.h"

#define NEVER INT64_MAX

static size_t slot_of(int64_t tick)
{
    return (size_t)tick & (WHEEL_SLOTS - 1);
}

static int64_t current_tick(tims_loop *loop)
{
    return tims_loop_now_us(loop) / TICK_US;
}

static void ring(uv_timer_t *clock);

/* The first tick after `from` whose slot holds anything. */
static int64_t next_occupied_tick(const timer_wheel *wheel, int64_t from)
{
    if (wheel->count == 0)
        return NEVER;
    int64_t tick = from + 1;
    int64_t end = tick + WHEEL_SLOTS;
    while (tick < end) {
        size_t slot = slot_of(tick);
        uint64_t word = wheel->occupied[slot / 64] >> (slot % 64);
        if (word != 0)
            return tick + __builtin_ctzll(word);
        tick += 64 - (int64_t)(slot % 64);
    }
    return NEVER;
}

static void arm(tims_loop *loop, int64_t tick)
{
    timer_wheel *wheel = &loop->wheel;
    if (tick >= wheel->armed_tick)
        return;
    wheel->armed_tick = tick;
    int64_t due_ms = tick * TICK_US / 1000;
    int64_t now_ms = (int64_t)uv_now(&loop->uv);
    int err = uv_timer_start(&wheel->clock, ring, due_ms > now_ms ? (uint64_t)(due_ms - now_ms) : 0, 0);
    TIMS_ASSERT(err == 0);
}

static void unlink_timer(timer_wheel *wheel, tims_timer *timer)
{
    size_t slot = slot_of(timer->due_tick);
    if (timer->next != NULL)
        timer->next->previous = timer->previous;
    if (timer->previous != NULL) {
        timer->previous->next = timer->next;
    } else if (wheel->firing == timer) {
        wheel->firing = timer->next;
    } else {
        TIMS_ASSERT(wheel->slots[slot] == timer);
        wheel->slots[slot] = timer->next;
        if (timer->next == NULL)
            wheel->occupied[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    }
    timer->next = timer->previous = NULL;
    timer->loop = NULL;
    wheel->count--;
}

static void push(tims_timer **head, tims_timer *timer)
{
    timer->previous = NULL;
    timer->next = *head;
    if (*head != NULL)
        (*head)->previous = timer;
    *head = timer;
}

/* Moves what is due out of a slot, so that callbacks may set and clear whatever they like. Turning the list
 * round makes those set first fire first. */
static void collect_due(tims_loop *loop, size_t slot, int64_t now_tick)
{
    timer_wheel *wheel = &loop->wheel;
    tims_timer *timer = wheel->slots[slot];
    while (timer != NULL) {
        tims_timer *next = timer->next;
        if (timer->due_tick <= now_tick) {
            unlink_timer(wheel, timer);
            timer->loop = loop;
            wheel->count++;
            push(&wheel->firing, timer);
        }
        timer = next;
    }
}

static void fire(timer_wheel *wheel)
{
    while (wheel->firing != NULL) {
        tims_timer *timer = wheel->firing;
        tims_loop_fn function = timer->function;
        void *argument = timer->argument;
        unlink_timer(wheel, timer);
        function(argument);
    }
}

static void ring(uv_timer_t *clock)
{
    tims_loop *loop = clock->data;
    timer_wheel *wheel = &loop->wheel;
    wheel->armed_tick = NEVER;
    loop->now_us = 0; /* libuv's clock has just moved: ours must not be behind it */
    int64_t now_tick = current_tick(loop);
    int64_t tick = wheel->done_tick;
    int64_t last = now_tick - tick > WHEEL_SLOTS ? tick + WHEEL_SLOTS : now_tick;
    wheel->done_tick = now_tick; /* what callbacks set fires at a later ring */
    while (tick < last) {
        tick = next_occupied_tick(wheel, tick);
        if (tick > last)
            break;
        collect_due(loop, slot_of(tick), now_tick);
        fire(wheel);
    }
    int64_t next = next_occupied_tick(wheel, wheel->done_tick);
    if (next != NEVER)
        arm(loop, next);
}

void tims_timer_set(tims_loop *loop, tims_timer *timer, int64_t after_ms, tims_loop_fn function,
                    void *argument)
{
    TIMS_ASSERT(function != NULL);
    tims_timer_clear(timer);
    if (after_ms < 0)
        after_ms = 0;
    if (after_ms > INT64_MAX / 4000)
        after_ms = INT64_MAX / 4000;
    timer_wheel *wheel = &loop->wheel;
    int64_t due_tick = (tims_loop_now_us(loop) + after_ms * 1000 + TICK_US - 1) / TICK_US;
    if (due_tick <= wheel->done_tick)
        due_tick = wheel->done_tick + 1;
    timer->due_tick = due_tick;
    timer->function = function;
    timer->argument = argument;
    timer->loop = loop;
    size_t slot = slot_of(due_tick);
    push(&wheel->slots[slot], timer);
    wheel->occupied[slot / 64] |= UINT64_C(1) << (slot % 64);
    wheel->count++;
    arm(loop, due_tick);
}

void tims_timer_clear(tims_timer *timer)
{
    if (timer->loop != NULL)
        unlink_timer(&timer->loop->wheel, timer);
}

void loop__timers_init(tims_loop *loop)
{
    timer_wheel *wheel = &loop->wheel;
    int err = uv_timer_init(&loop->uv, &wheel->clock);
    TIMS_ASSERT(err == 0);
    wheel->clock.data = loop;
    uv_unref((uv_handle_t *)&wheel->clock);
    wheel->armed_tick = NEVER;
    wheel->done_tick = current_tick(loop);
}
