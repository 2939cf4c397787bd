/* fiber.c: code that reads straight down and waits where it must.
 *
 *   start ─► RUNNING ─► suspend ─► SUSPENDED ─► wake, cancel, deadline ─► READY ─► RUNNING ─► … ─► ENDED ─►
 * pool
 *
 * A started fiber runs at once, over whoever started it (the loop's own stack or another fiber), and returns
 * there when it first waits. From then on only the loop resumes it, at the end of a tick: a wake queues, it
 * never switches, so no code is surprised by running in the middle of other code.
 *
 * Stacks are mapped with a guard below them and kept in a pool, last used first. What was not needed for
 * a second is given back, all but a few. A start and an end in the steady state are two switches and no
 * system call. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loop/loop_internal.h"

#if TIMS_ASAN
#include <sanitizer/asan_interface.h>
#endif
#if TIMS_TSAN
#include <sanitizer/tsan_interface.h>
#endif

enum {
    POOL_KEPT = 32, /* stacks that are never unmapped */
    TRIM_EVERY_MS = 1000,
    TRIM_KEPT_BYTES = 16 * 1024, /* of a kept stack that was idle */
    SANITIZER_STACK_FACTOR = TIMS_ASAN || TIMS_TSAN ? 4 : 1,
};

/* Frames may be larger than a page; the guard must not be stepped over. */
static const size_t guard_bytes = (size_t)64 * 1024;

/* --- stacks ----------------------------------------------------------------------------------- */

static tims_fiber *map_fiber(tims_loop *loop)
{
    size_t bytes = loop->fiber_stack_bytes;
    char *base = mmap(NULL, bytes + guard_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    if (mprotect(base, guard_bytes, PROT_NONE) != 0) {
        (void)munmap(base, bytes + guard_bytes);
        return NULL;
    }
    tims_fiber *fiber = calloc(1, sizeof *fiber);
    TIMS_ASSERT(fiber != NULL);
    fiber->magic = FIBER_MAGIC;
    fiber->loop = loop;
    fiber->context.stack_bottom = base + guard_bytes;
    fiber->context.stack_bytes = bytes;
    return fiber;
}

static void unmap_fiber(tims_fiber *fiber)
{
    TIMS_ASSERT(fiber->state == FIBER_FREE);
    loop__context_free(&fiber->context);
    (void)munmap((char *)fiber->context.stack_bottom - guard_bytes, fiber->context.stack_bytes + guard_bytes);
    fiber->magic = 0;
    free(fiber);
}

/* Gives back what the pool did not need since the last time; keeps a few, without the memory they once
 * touched. */
static void trim_pool(void *argument)
{
    tims_loop *loop = argument;
    fiber_pool *pool = &loop->pool;
    size_t unused = pool->unused_count < pool->count ? pool->unused_count : pool->count;
    size_t dropped = unused > POOL_KEPT ? (unused - POOL_KEPT + 1) / 2 : 0;
    for (size_t i = 0; i < dropped; i++)
        unmap_fiber(pool->items[i]);
    memmove(pool->items, pool->items + dropped, (pool->count - dropped) * sizeof *pool->items);
    pool->count -= dropped;
    for (size_t i = 0; i < unused - dropped && dropped == 0; i++) {
        loop__context *context = &pool->items[i]->context;
        if (!pool->items[i]->trimmed && context->stack_bytes > TRIM_KEPT_BYTES)
            (void)madvise(context->stack_bottom, context->stack_bytes - TRIM_KEPT_BYTES, MADV_DONTNEED);
        pool->items[i]->trimmed = true;
    }
    bool settled = dropped == 0 && unused == pool->count;
    pool->unused_count = pool->count;
    if (!settled)
        tims_timer_set(loop, &pool->trim_timer, TRIM_EVERY_MS, trim_pool, loop);
}

static tims_fiber *take_fiber(tims_loop *loop)
{
    fiber_pool *pool = &loop->pool;
    if (pool->count == 0) {
        pool->unused_count = 0;
        return map_fiber(loop);
    }
    tims_fiber *fiber = pool->items[--pool->count];
    if (pool->count < pool->unused_count)
        pool->unused_count = pool->count;
    return fiber;
}

static void give_back(tims_fiber *fiber)
{
    tims_loop *loop = fiber->loop;
    fiber_pool *pool = &loop->pool;
#if TIMS_ASAN
    ASAN_UNPOISON_MEMORY_REGION(fiber->context.stack_bottom,
                                fiber->context.stack_bytes); /* frames left by exit */
#endif
#if TIMS_TSAN
    __tsan_destroy_fiber(fiber->context.tsan_fiber);
#endif
    fiber->state = FIBER_FREE;
    fiber->trimmed = false;
    if (pool->count == pool->capacity) {
        pool->capacity = pool->capacity == 0 ? POOL_KEPT : pool->capacity * 2;
        pool->items = realloc(pool->items, pool->capacity * sizeof *pool->items);
        TIMS_ASSERT(pool->items != NULL);
    }
    pool->items[pool->count++] = fiber;
    if (pool->trim_timer.loop == NULL)
        tims_timer_set(loop, &pool->trim_timer, TRIM_EVERY_MS, trim_pool, loop);
}

void loop__fibers_init(tims_loop *loop)
{
    size_t page = 64 * 1024; /* the largest there are */
    size_t bytes = loop->fiber_stack_bytes * SANITIZER_STACK_FACTOR;
    loop->fiber_stack_bytes = (bytes + page - 1) / page * page;
}

void loop__fibers_free(tims_loop *loop)
{
    tims_timer_clear(&loop->pool.trim_timer);
    while (loop->pool.count > 0)
        unmap_fiber(loop->pool.items[--loop->pool.count]);
    free(loop->pool.items);
    loop__context_free(&loop->main_context);
}

/* --- switching -------------------------------------------------------------------------------- */

static loop__context *context_under(tims_fiber *fiber)
{
    return fiber->starter != NULL ? &fiber->starter->context : &fiber->loop->main_context;
}

static void release_ended(tims_fiber *fiber)
{
    tims_loop *loop = fiber->loop;
    tims_timer_clear(&fiber->deadline_timer);
    if (fiber->on_end != NULL)
        fiber->on_end(fiber->on_end_argument);
    give_back(fiber);
    loop->fibers_count--;
    if (loop->stopping && loop->fibers_count == 0)
        loop__update_keepalive(loop);
}

/* The time since the loop woke or the last fiber left it: one cheap reading per switch. */
static void watch_hold(tims_loop *loop)
{
    int64_t now_ms = loop__coarse_ms();
    int64_t woke_ms = (int64_t)uv_now(&loop->uv);
    int64_t held_ms = now_ms - (loop->left_ms > woke_ms ? loop->left_ms : woke_ms);
    loop->left_ms = now_ms;
    if (TIMS_UNLIKELY(held_ms > loop->watchdog_ms) && loop->running)
        tims_log(TIMS_LOG_WARN, "loop", "a fiber held loop %d for %lld ms", loop->index, (long long)held_ms);
}

/* Lets `fiber` run until it waits or ends. */
static void resume(tims_fiber *fiber)
{
    tims_loop *loop = fiber->loop;
    const char *scope = tims_log_scope(fiber->scope);
    fiber->starter = loop->current;
    fiber->state = FIBER_RUNNING;
    loop->current = fiber;
    loop__context_switch(context_under(fiber), &fiber->context, false);
    loop->current = fiber->starter;
    if (fiber->state == FIBER_ENDED)
        tims_log_scope(scope); /* the fiber's may have gone with its request */
    watch_hold(loop);
    fiber->scope = tims_log_scope(scope);
    if (fiber->state == FIBER_ENDED)
        release_ended(fiber);
}

void tims_fiber_exit(void)
{
    tims_fiber *fiber = tims_fiber_self();
    TIMS_ASSERT(fiber != NULL);
    fiber->state = FIBER_ENDED;
    loop__context_switch(&fiber->context, context_under(fiber), true);
    abort(); /* nobody resumes an ended fiber */
}

static void enter_fiber(void *argument)
{
    tims_fiber *fiber = argument;
    loop__context_entered(&fiber->context, context_under(fiber));
    fiber->function(fiber->argument);
    tims_fiber_exit();
}

static void reset_fiber(tims_fiber *fiber, tims_fiber_fn function, void *argument)
{
    fiber->woken = fiber->cancelled = fiber->shielded = false;
    fiber->next_ready = NULL;
    fiber->function = function;
    fiber->argument = argument;
    fiber->on_end = NULL;
    fiber->on_end_argument = NULL;
    fiber->scope = NULL;
    fiber->deadline_us = 0;
}

tims_fiber *tims_fiber_start(tims_loop *loop, tims_fiber_fn function, void *argument)
{
    TIMS_CHECK_MAGIC(loop, LOOP_MAGIC);
    TIMS_ASSERT(function != NULL);
    if (loop->fibers_count >= loop->fibers_max)
        return NULL;
    tims_fiber *fiber = take_fiber(loop);
    if (fiber == NULL)
        return NULL;
    reset_fiber(fiber, function, argument);
    loop->fibers_count++;
    if (loop->stopping && loop->fibers_count == 1)
        loop__update_keepalive(loop);
    loop__context_make(&fiber->context, enter_fiber, fiber);
    tims_loop *former = loop__enter(loop);
    resume(fiber);
    loop__leave(former);
    return fiber;
}

/* --- waiting ---------------------------------------------------------------------------------- */

static void make_ready(tims_fiber *fiber)
{
    tims_loop *loop = fiber->loop;
    fiber->state = FIBER_READY;
    fiber->next_ready = NULL;
    if (loop->ready_last != NULL)
        loop->ready_last->next_ready = fiber;
    else
        loop->ready_first = fiber;
    loop->ready_last = fiber;
}

/* Those ready now; who is woken meanwhile waits for the next round. */
void loop__fibers_run_ready(tims_loop *loop)
{
    tims_fiber *fiber = loop->ready_first;
    loop->ready_first = loop->ready_last = NULL;
    while (fiber != NULL) {
        tims_fiber *next = fiber->next_ready;
        resume(fiber);
        fiber = next;
    }
}

static bool is_overdue(const tims_fiber *fiber)
{
    return fiber->deadline_us != 0 && tims_loop_now_us(fiber->loop) >= fiber->deadline_us;
}

static void pass_deadline(void *argument);

/* The wheel is asked only by fibers that really wait. */
static void watch_deadline(tims_fiber *fiber)
{
    if (fiber->deadline_us == 0 || fiber->deadline_timer.loop != NULL)
        return;
    int64_t left_us = fiber->deadline_us - tims_loop_now_us(fiber->loop);
    tims_timer_set(fiber->loop, &fiber->deadline_timer, left_us > 0 ? (left_us + 999) / 1000 : 0,
                   pass_deadline, fiber);
}

static void pass_deadline(void *argument)
{
    tims_fiber *fiber = argument;
    if (!is_overdue(fiber))
        watch_deadline(fiber);
    else if (fiber->state == FIBER_SUSPENDED && !fiber->shielded)
        make_ready(fiber);
}

static bool take_interruption(tims_fiber *fiber, tims_status *ret_status)
{
    if (fiber->shielded)
        return false;
    if (!fiber->cancelled && !is_overdue(fiber))
        return false;
    fiber->woken = false; /* who gives up a wait gives up its wake */
    *ret_status = fiber->cancelled ? TIMS_CANCELLED : TIMS_TIMEOUT;
    return true;
}

tims_status tims_fiber_suspend(void)
{
    tims_fiber *fiber = tims_fiber_self();
    TIMS_ASSERT(fiber != NULL);
    TIMS_ASSERT(fiber->state == FIBER_RUNNING);
    tims_status status = TIMS_OK;
    while (!take_interruption(fiber, &status)) {
        if (fiber->woken) {
            fiber->woken = false;
            break;
        }
        if (!fiber->shielded)
            watch_deadline(fiber);
        fiber->state = FIBER_SUSPENDED;
        loop__context_switch(&fiber->context, context_under(fiber), false);
    }
    return status;
}

void tims_fiber_wake(tims_fiber *fiber)
{
    TIMS_CHECK_MAGIC(fiber, FIBER_MAGIC);
    TIMS_ASSERT(fiber->state != FIBER_FREE);
    TIMS_ASSERT(tims_loop_self() == NULL || tims_loop_self() == fiber->loop);
    fiber->woken = true;
    if (fiber->state == FIBER_SUSPENDED)
        make_ready(fiber);
}

static void wake_posted(void *argument)
{
    tims_fiber_wake(argument);
}

void tims_fiber_wake_from_anywhere(tims_fiber *fiber)
{
    tims_loop_post(fiber->loop, wake_posted, fiber);
}

void tims_fiber_cancel(tims_fiber *fiber)
{
    TIMS_CHECK_MAGIC(fiber, FIBER_MAGIC);
    TIMS_ASSERT(fiber->state != FIBER_FREE);
    fiber->cancelled = true;
    if (fiber->state == FIBER_SUSPENDED && !fiber->shielded)
        make_ready(fiber);
}

int64_t tims_fiber_set_deadline(int64_t monotonic_us)
{
    tims_fiber *fiber = tims_fiber_self();
    TIMS_ASSERT(fiber != NULL && monotonic_us >= 0);
    int64_t former = fiber->deadline_us;
    fiber->deadline_us = monotonic_us;
    tims_timer_clear(&fiber->deadline_timer);
    return former;
}

bool tims_fiber_shield(bool on)
{
    tims_fiber *fiber = tims_fiber_self();
    TIMS_ASSERT(fiber != NULL);
    bool former = fiber->shielded;
    fiber->shielded = on;
    return former;
}

static void wake_sleeper(void *argument)
{
    tims_fiber_wake(argument);
}

tims_status tims_sleep_ms(int64_t ms)
{
    tims_fiber *fiber = tims_fiber_self();
    TIMS_ASSERT(fiber != NULL);
    tims_timer timer = { 0 };
    tims_timer_set(fiber->loop, &timer, ms, wake_sleeper, fiber);
    tims_status status = TIMS_OK;
    while (status == TIMS_OK && timer.loop != NULL)
        status = tims_fiber_suspend();
    tims_timer_clear(&timer);
    return status;
}

/* --- questions -------------------------------------------------------------------------------- */

tims_fiber *tims_fiber_self(void)
{
    tims_loop *loop = tims_loop_self();
    return loop != NULL ? loop->current : NULL;
}

void tims_fiber_on_end(tims_fiber *fiber, tims_loop_fn function, void *argument)
{
    TIMS_CHECK_MAGIC(fiber, FIBER_MAGIC);
    TIMS_ASSERT(fiber->on_end == NULL || function == NULL);
    fiber->on_end = function;
    fiber->on_end_argument = argument;
}

size_t tims_fiber_count(const tims_loop *loop)
{
    return loop->fibers_count;
}
