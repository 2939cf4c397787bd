/* loop.c: one event loop: libuv's, a queue of calls from other threads, and the end of each tick.
 *
 * A tick is: sleep until something happens, run its callbacks, then `finish_tick`: fibers that were woken,
 * calls posted by this thread, then the functions registered for the end of the tick, then the log's
 * gathered lines. It runs twice a turn of libuv's loop: after the callbacks (check) and, for what timers and
 * closings did, before the next sleep (prepare).
 *
 *   timers ─► prepare: finish_tick ─► sleep ─► callbacks ─► check: finish_tick ─► closings ─► again
 *
 * Posts are a locked array: the lock is free nearly always, the arrays are kept, so a post is no allocation,
 * and only the post that finds the array empty writes to the event descriptor. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loop/loop_internal.h"

#if TIMS_ASAN
#include <sanitizer/asan_interface.h>
#endif

/* Rounds of woken fibers and posts within a tick; what is still waking others then waits for the next. */
enum { ROUNDS_MAX = 8, CALLS_MIN = 64 };

static _Thread_local tims_loop *this_threads_loop;

int64_t loop__coarse_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

tims_loop *tims_loop_self(void)
{
    return this_threads_loop;
}

tims_loop *loop__enter(tims_loop *loop)
{
    tims_loop *former = this_threads_loop;
    TIMS_ASSERT(former == NULL || former == loop);
    this_threads_loop = loop;
    return former;
}

void loop__leave(tims_loop *former)
{
    this_threads_loop = former;
}

int tims_loop_index(const tims_loop *loop)
{
    return loop->index;
}

int64_t tims_loop_now_us(const tims_loop *loop)
{
    if (loop->now_us == 0)
        ((tims_loop *)(uintptr_t)loop)->now_us = tims_monotonic_us();
    return loop->now_us;
}

void *tims_loop_get_slot(tims_loop *loop, int slot)
{
    TIMS_ASSERT(slot >= 0 && slot < SLOTS_COUNT);
    return loop->slots[slot];
}

void tims_loop_set_slot(tims_loop *loop, int slot, void *value)
{
    TIMS_ASSERT(slot >= 0 && slot < SLOTS_COUNT);
    loop->slots[slot] = value;
}

/* --- lists of calls --------------------------------------------------------------------------- */

static void add_call(call_list *list, call added)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? CALLS_MIN : list->capacity * 2;
        list->items = realloc(list->items, capacity * sizeof *list->items);
        TIMS_ASSERT(list->items != NULL);
        list->capacity = capacity;
    }
    list->items[list->count++] = added;
}

static void swap_lists(call_list *a, call_list *b)
{
    call_list kept = *a;
    *a = *b;
    *b = kept;
}

void tims_loop_post(tims_loop *loop, tims_loop_fn function, void *argument)
{
    TIMS_CHECK_MAGIC(loop, LOOP_MAGIC);
    TIMS_ASSERT(function != NULL);
    pthread_mutex_lock(&loop->posts_lock);
    bool was_empty = loop->posts.count == 0;
    add_call(&loop->posts, (call){ function, argument, NULL });
    /* Under the lock: once another thread sees the post run, it may free the loop. The loop's own thread will
     * look before it sleeps. */
    if (was_empty && this_threads_loop != loop)
        (void)uv_async_send(&loop->wake);
    pthread_mutex_unlock(&loop->posts_lock);
}

/* Runs what had been posted; true if there was any. */
static bool run_posts(tims_loop *loop)
{
    pthread_mutex_lock(&loop->posts_lock);
    swap_lists(&loop->posts, &loop->posts_running);
    pthread_mutex_unlock(&loop->posts_lock);
    size_t count = loop->posts_running.count;
    for (size_t i = 0; i < count; i++)
        loop->posts_running.items[i].function(loop->posts_running.items[i].argument);
    loop->posts_running.count = 0;
    return count > 0;
}

static bool has_posts(tims_loop *loop)
{
    pthread_mutex_lock(&loop->posts_lock);
    bool any = loop->posts.count > 0;
    pthread_mutex_unlock(&loop->posts_lock);
    return any;
}

void tims_loop_at_tick_end(tims_loop *loop, bool *armed, tims_loop_fn function, void *argument)
{
    TIMS_ASSERT(function != NULL && armed != NULL);
    if (*armed)
        return;
    *armed = true;
    add_call(&loop->tick_ends, (call){ function, argument, armed });
}

static void run_tick_ends(tims_loop *loop)
{
    if (loop->tick_ends.count == 0)
        return;
    swap_lists(&loop->tick_ends, &loop->tick_ends_running);
    for (size_t i = 0; i < loop->tick_ends_running.count; i++) {
        call *ended = &loop->tick_ends_running.items[i];
        *ended->armed = false;
        ended->function(ended->argument);
    }
    loop->tick_ends_running.count = 0;
}

/* --- the tick --------------------------------------------------------------------------------- */

static void finish_tick(tims_loop *loop)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        bool any = loop->ready_first != NULL;
        if (any)
            loop__fibers_run_ready(loop);
        any = run_posts(loop) || any;
        if (!any)
            break;
    }
    run_tick_ends(loop);
}

static bool has_work_left(tims_loop *loop)
{
    return loop->ready_first != NULL || loop->tick_ends.count > 0 || has_posts(loop);
}

/* An active idle handle makes the next sleep end at once; it has done so when it is called. */
static void stop_hurrying(uv_idle_t *handle)
{
    (void)uv_idle_stop(handle);
}

static void before_sleep(uv_prepare_t *handle)
{
    tims_loop *loop = handle->data;
    finish_tick(loop);
    tims_log_flush();
    if (has_work_left(loop))
        (void)uv_idle_start(&loop->hurry, stop_hurrying);
    loop->now_us = 0; /* it will be another time when the loop wakes */
}

static void after_callbacks(uv_check_t *handle)
{
    tims_loop *loop = handle->data;
    int64_t woke_ms = (int64_t)uv_now(&loop->uv);
    int64_t held_ms = loop__coarse_ms() - (loop->left_ms > woke_ms ? loop->left_ms : woke_ms);
    if (TIMS_UNLIKELY(held_ms > loop->watchdog_ms))
        tims_log(TIMS_LOG_WARN, "loop", "callbacks held loop %d for %lld ms", loop->index,
                 (long long)held_ms);
    finish_tick(loop);
}

static void be_woken(uv_async_t *handle)
{
    (void)handle; /* the posts run at the end of this tick */
}

void loop__update_keepalive(tims_loop *loop)
{
    if (!loop->stopping || loop->fibers_count > 0)
        uv_ref((uv_handle_t *)&loop->wake);
    else
        uv_unref((uv_handle_t *)&loop->wake);
}

static void begin_stop(void *argument)
{
    tims_loop *loop = argument;
    loop->stopping = true;
    loop__update_keepalive(loop);
}

void tims_loop_stop(tims_loop *loop)
{
    tims_loop_post(loop, begin_stop, loop);
}

void tims_loop_run(tims_loop *loop)
{
    TIMS_CHECK_MAGIC(loop, LOOP_MAGIC);
    TIMS_ASSERT(!loop->running && loop->current == NULL);
    tims_loop *former = loop__enter(loop);
    loop->running = true;
    loop->now_us = 0;
    loop->main_context.tsan_fiber = NULL; /* this thread's is not known yet */
    loop__update_keepalive(loop);
    do {
        (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
        finish_tick(loop);
    } while (!loop->stopping || loop->fibers_count > 0 || has_work_left(loop) || uv_loop_alive(&loop->uv));
    tims_log_close_thread(); /* a worker's thread ends here */
    loop->stopping = false;
    loop->running = false;
    loop__leave(former);
}

/* --- signals ---------------------------------------------------------------------------------- */

static void receive_signal(uv_signal_t *handle, int signal_number)
{
    loop_signal *signal_watch = handle->data;
    (void)signal_number;
    signal_watch->function(signal_watch->argument);
}

void tims_loop_on_signal(tims_loop *loop, int signal_number, tims_loop_fn function, void *argument)
{
    loop_signal *added = calloc(1, sizeof *added);
    TIMS_ASSERT(added != NULL && function != NULL);
    added->function = function;
    added->argument = argument;
    int err = uv_signal_init(&loop->uv, &added->handle);
    TIMS_ASSERT(err == 0);
    added->handle.data = added;
    err = uv_signal_start(&added->handle, receive_signal, signal_number);
    TIMS_ASSERT(err == 0);
    uv_unref((uv_handle_t *)&added->handle);
    added->next = loop->signals;
    loop->signals = added;
}

/* --- beginning and end ------------------------------------------------------------------------ */

static void init_handles(tims_loop *loop)
{
    int err = uv_async_init(&loop->uv, &loop->wake, be_woken);
    err |= uv_prepare_init(&loop->uv, &loop->prepare);
    err |= uv_check_init(&loop->uv, &loop->check);
    err |= uv_idle_init(&loop->uv, &loop->hurry);
    loop->prepare.data = loop->check.data = loop->hurry.data = loop;
    err |= uv_prepare_start(&loop->prepare, before_sleep);
    err |= uv_check_start(&loop->check, after_callbacks);
    TIMS_ASSERT(err == 0);
    uv_unref((uv_handle_t *)&loop->prepare);
    uv_unref((uv_handle_t *)&loop->check);
    loop__timers_init(loop);
}

tims_status tims_loop_new(const tims_loop_options *options, tims_loop **ret_loop)
{
    static const tims_loop_options none = { 0 };
    if (options == NULL)
        options = &none;
    tims_loop *loop = calloc(1, sizeof *loop);
    TIMS_ASSERT(loop != NULL);
    if (uv_loop_init(&loop->uv) != 0) {
        free(loop);
        return TIMS_IO;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* a write to a closed socket is a status, not the end */
    loop->magic = LOOP_MAGIC;
    loop->index = options->index;
    loop->watchdog_ms = options->watchdog_ms > 0 ? options->watchdog_ms : 50;
    loop->fiber_stack_bytes = options->fiber_stack_bytes > 0 ? options->fiber_stack_bytes : 256 * 1024;
    loop->fibers_max = options->fibers_max > 0 ? options->fibers_max : 100000;
    loop->read_buffer = malloc(READ_BUFFER_BYTES);
    TIMS_ASSERT(loop->read_buffer != NULL);
    int err = pthread_mutex_init(&loop->posts_lock, NULL);
    TIMS_ASSERT(err == 0);
    init_handles(loop);
    loop__fibers_init(loop);
    *ret_loop = loop;
    return TIMS_OK;
}

/* Whatever the room itself may have left; anything else should have been closed by its owner. */
static void close_leftover(uv_handle_t *handle, void *argument)
{
    (void)argument;
    if (uv_is_closing(handle))
        return;
    TIMS_ASSERT(handle->type != UV_TCP && handle->type != UV_NAMED_PIPE && handle->type != UV_FS_EVENT);
    if (handle->type == UV_PROCESS)
        loop__process_abandon(handle);
    else
        uv_close(handle, NULL);
}

static void free_signals(tims_loop *loop)
{
    while (loop->signals != NULL) {
        loop_signal *next = loop->signals->next;
        free(loop->signals);
        loop->signals = next;
    }
}

void tims_loop_on_free(tims_loop *loop, tims_loop_fn function, void *argument)
{
    TIMS_CHECK_MAGIC(loop, LOOP_MAGIC);
    call_list *list = &loop->on_free;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].argument == argument)
            list->items[i--] = list->items[--list->count];
    if (function != NULL)
        add_call(list, (call){ function, argument, NULL });
}

void tims_loop_free(tims_loop **pointer)
{
    tims_loop *loop = *pointer;
    if (loop == NULL)
        return;
    TIMS_CHECK_MAGIC(loop, LOOP_MAGIC);
    TIMS_ASSERT(!loop->running);
    tims_loop *former = loop__enter(loop);
    for (size_t i = 0; i < loop->on_free.count; i++)
        loop->on_free.items[i].function(loop->on_free.items[i].argument);
    while (has_work_left(loop)) /* posts that came too late for run */
        finish_tick(loop);
    TIMS_ASSERT(loop->fibers_count == 0);
    loop__fibers_free(loop);
    loop->stopping = true;
    loop__update_keepalive(loop);
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT); /* closings under way */
    uv_walk(&loop->uv, close_leftover, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    int err = uv_loop_close(&loop->uv);
    TIMS_ASSERT(err == 0);
    free_signals(loop);
    pthread_mutex_destroy(&loop->posts_lock);
    free(loop->posts.items);
    free(loop->posts_running.items);
    free(loop->tick_ends.items);
    free(loop->tick_ends_running.items);
    free(loop->on_free.items);
#if TIMS_ASAN
    ASAN_UNPOISON_MEMORY_REGION(loop->read_buffer, READ_BUFFER_BYTES);
#endif
    free(loop->read_buffer);
    loop__leave(former == loop ? NULL : former);
    loop->magic = 0;
    free(loop);
    *pointer = NULL;
}
