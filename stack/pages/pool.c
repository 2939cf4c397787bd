/* pool.c: which render process is asked, and who waits for it.
 *
 * The least busy one is asked. Each has a few pages at a time; who comes then waits in one queue for the
 * first that has room, which is the same as many short ones and nobody stands in the wrong one. The queue is
 * bounded, in number and in time: a page that would come late is better its shell at once.
 *
 * Who asks for a slow page gets its shell, and nobody else anything worse: a slow page says nothing about the
 * process. What says that it hangs is that *nothing at all* has come back since a late page was asked for.
 * Three such failures, or three connections refused, with no answer between them, and it is left alone for a
 * moment; if nothing comes after that either, it is replaced. */
#include <stdlib.h>
#include <unistd.h>

#include "pages/pool_internal.h"

enum {
    FIRST_START_US =
        20000000, /* how long visitors may have to wait for the very first start, each up to the timeout */
    START_POLL_MS = 50,
    TIMEOUT_MS = 3000,
    DEVELOPMENT_TIMEOUT_MS = 90000, /* a page is compiled when it is first asked for */
};

static void lock(pages__pool *pool)
{
    (void)pthread_mutex_lock(&pool->mutex);
}

static void unlock(pages__pool *pool)
{
    (void)pthread_mutex_unlock(&pool->mutex);
}

/* --- which ------------------------------------------------------------------------------------------- */

static bool can_be_asked(const pool__process *process, int64_t now_us)
{
    return process != NULL && process->state == POOL__READY && now_us >= process->rests_until_us;
}

static pool__process *at(pages__pool *pool, size_t index)
{
    return index < pool->place_count ? pool->places[index].current : pool->foreign;
}

/* The least busy one with room. `ret_any`: whether there is one at all. */
static pool__process *choose(pages__pool *pool, const pool__process *avoid, bool *ret_any)
{
    int64_t now_us = tims_monotonic_us();
    pool__process *best = NULL;
    *ret_any = false;
    for (size_t i = 0; i <= pool->place_count; i++) {
        pool__process *one = at(pool, i);
        if (!can_be_asked(one, now_us) || one == avoid)
            continue;
        *ret_any = true;
        if (one->busy < pool->renders_max && (best == NULL || one->busy < best->busy))
            best = one;
    }
    return best;
}

/* --- waiting ----------------------------------------------------------------------------------------- */

static void unref(pool__ticket *ticket)
{
    if (atomic_fetch_sub(&ticket->refs, 1) == 1)
        free(ticket);
}

static void wake(void *argument)
{
    pool__ticket *ticket = argument;
    if (ticket->fiber != NULL)
        tims_fiber_wake(ticket->fiber);
    unref(ticket);
}

static void put_last(pages__pool *pool, pool__ticket *ticket)
{
    ticket->queued = true;
    *pool->last_waiter = ticket;
    pool->last_waiter = &ticket->next;
    pool->waiter_count++;
}

static void take_out(pages__pool *pool, pool__ticket *ticket)
{
    pool__ticket **link = &pool->first_waiter;
    while (*link != ticket)
        link = &(*link)->next;
    *link = ticket->next;
    if (pool->last_waiter == &ticket->next)
        pool->last_waiter = link;
    ticket->queued = false;
    pool->waiter_count--;
}

static void serve(pages__pool *pool)
{
    bool any;
    while (pool->first_waiter != NULL) {
        pool__process *process = choose(pool, NULL, &any);
        if (process == NULL)
            return;
        pool__ticket *ticket = pool->first_waiter;
        take_out(pool, ticket);
        process->busy++;
        ticket->granted = process;
        atomic_fetch_add(&ticket->refs, 1);
        tims_loop_post(ticket->loop, wake, ticket);
    }
}

void pool__serve_waiters(pages__pool *pool)
{
    lock(pool);
    serve(pool);
    unlock(pool);
}

static pool__ticket *new_ticket(void)
{
    pool__ticket *ticket = calloc(1, sizeof *ticket);
    TIMS_ASSERT(ticket != NULL);
    ticket->loop = tims_loop_self();
    ticket->fiber = tims_fiber_self();
    atomic_init(&ticket->refs, 1);
    return ticket;
}

/* The ticket is in the queue. */
static pool__process *wait(pages__pool *pool, pool__ticket *ticket)
{
    int64_t mine_us = tims_monotonic_us() + POOL__WAIT_MS * INT64_C(1000);
    int64_t former_us = tims_fiber_set_deadline(0);
    (void)tims_fiber_set_deadline(former_us != 0 && former_us < mine_us ? former_us : mine_us);
    bool waits = true;
    tims_status status = TIMS_OK;
    while (waits && status == TIMS_OK) {
        status = tims_fiber_suspend();
        lock(pool);
        waits = ticket->queued;
        unlock(pool);
    }
    (void)tims_fiber_set_deadline(former_us);
    lock(pool);
    if (ticket->queued)
        take_out(pool, ticket);
    pool__process *granted = ticket->granted;
    unlock(pool);
    ticket->fiber = NULL;
    return granted;
}

pool__process *pool__acquire(pages__pool *pool, const pool__process *avoid, pages__why *ret_why)
{
    bool any;
    pool__ticket *ticket = NULL;
    lock(pool);
    pool__process *process = choose(pool, avoid, &any);
    if (process != NULL)
        process->busy++;
    else if (!any)
        *ret_why = PAGES__NO_RENDERER;
    else if (pool->waiter_count >= pool->waiters_max)
        *ret_why = PAGES__OVERLOADED;
    else {
        ticket = new_ticket();
        put_last(pool, ticket);
    }
    unlock(pool);
    if (ticket == NULL)
        return process;
    process = wait(pool, ticket);
    unref(ticket);
    if (process == NULL)
        *ret_why = PAGES__OVERLOADED;
    return process;
}

void pool__release(pool__process *process)
{
    pages__pool *pool = process->pages->pool;
    lock(pool);
    process->busy--;
    serve(pool);
    unlock(pool);
}

/* --- what came of it --------------------------------------------------------------------------------- */

/* Any answer is a sign of life, a failed page's too. */
static void hear_answer(pool__process *process, bool fine)
{
    process->answered_us = tims_monotonic_us();
    process->silent_count = 0;
    process->rest_count = 0;
    process->failed_count = fine ? 0 : process->failed_count + 1;
    if (process->failed_count >= POOL__FAILED_MAX)
        process->should_go = true;
}

/* True: it rests from now on. */
static bool hear_nothing(pool__process *process)
{
    if (++process->silent_count < POOL__SILENT_MAX)
        return false;
    process->silent_count = 0;
    process->rests_until_us = tims_monotonic_us() + POOL__REST_US;
    if (++process->rest_count >= POOL__RESTS_MAX)
        process->should_go = true;
    return true;
}

void pool__judge(pool__process *process, tims_status status, int http_status, int64_t asked_us)
{
    pages__pool *pool = process->pages->pool;
    bool rests = false;
    if (status == TIMS_CANCELLED) /* the visitor has gone; that says nothing */
        return;
    lock(pool);
    if (status != TIMS_TIMEOUT && status != TIMS_UNAVAILABLE)
        hear_answer(process, status == TIMS_OK && http_status < 500);
    else if (process->answered_us < asked_us) /* else it is busy with others */
        rests = hear_nothing(process);
    unlock(pool);
    if (rests)
        tims_log(TIMS_LOG_WARN, "pages",
                 "the render server gave no sign of life %d times; not asked for a moment", POOL__SILENT_MAX);
}

void pool__wait_for_start(pages__pool *pool)
{
    int64_t deadline_us = tims_monotonic_us() + pool->timeout_ms * 1000;
    while (atomic_load(&pool->is_starting)) {
        int64_t now_us = tims_monotonic_us();
        if (now_us > deadline_us || now_us - atomic_load(&pool->started_us) > FIRST_START_US)
            return;
        if (tims_sleep_ms(START_POLL_MS) != TIMS_OK)
            return;
    }
}

tims_str pool__any_base(tims_pages *pages, tims_arena *arena)
{
    pages__pool *pool = pages->pool;
    tims_str base = TIMS_STR("");
    lock(pool);
    for (size_t i = 0; i <= pool->place_count && base.length == 0; i++) {
        const pool__process *one = at(pool, i);
        if (one != NULL)
            base = tims_copy(arena, one->base);
    }
    unlock(pool);
    return base;
}

/* --- the pool itself --------------------------------------------------------------------------------- */

static void free_pool(void *argument)
{
    pages__pool *pool = argument;
    while (pool->all != NULL) {
        pool__process *one = pool->all;
        pool->all = one->next;
        free(one);
    }
    (void)pthread_mutex_destroy(&pool->mutex);
}

static void add_foreign(tims_pages *pages, pages__pool *pool)
{
    tims_str url = pages->options.render_url;
    pool__process *process = calloc(1, sizeof *process);
    TIMS_ASSERT(process != NULL);
    *process = (pool__process){ .pages = pages, .state = POOL__READY };
    process->base =
        tims_print(pages->arena, tims_str_starts_with(url, TIMS_STR("unix:")) ? "%S:" : "%S", url);
    pool->all = pool->foreign = process; /* it is there or it is not */
}

static size_t count_of(const tims_pages_options *options)
{
    if (options->development) /* one compiles, the others would not know what */
        return 1;
    int64_t count = options->render_processes > 0 ? options->render_processes : sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > POOL__PLACES_MAX ? POOL__PLACES_MAX : (size_t)count;
}

void pages__pool_init(tims_pages *pages)
{
    const tims_pages_options *options = &pages->options;
    pages__pool *pool = TIMS_NEW(pages->arena, pages__pool);
    size_t count = count_of(options);
    TIMS_ASSERT(pthread_mutex_init(&pool->mutex, NULL) == 0);
    pool->pages = pages;
    pages->pool = pool;
    pool->last_waiter = &pool->first_waiter;
    pool->waiters_max = count * POOL__WAITERS_PER_PLACE;
    pool->renders_max = POOL__RENDERS_MAX;
    pool->timeout_ms = options->development             ? DEVELOPMENT_TIMEOUT_MS
                       : options->render_timeout_ms > 0 ? options->render_timeout_ms
                                                        : TIMEOUT_MS;
    if (options->render_url.length > 0) {
        pool->renders_max = (int)count * POOL__RENDERS_MAX; /* it may be as many behind a balancer */
        add_foreign(pages, pool);
    } else if (options->render_command != NULL) {
        pool->place_count = count;
    }
    for (size_t i = 0; i < pool->place_count; i++)
        pool->places[i] = (pool__place){ .pool = pool, .pause_ms = POOL__PAUSE_MIN_MS };
    tims_arena_defer(pages->arena, free_pool, pool);
}

static void count_processes(pages__pool *pool, size_t *ret_ready, size_t *ret_busy)
{
    *ret_ready = *ret_busy = 0;
    for (const pool__process *one = pool->all; one != NULL; one = one->next) {
        *ret_ready += one->state == POOL__READY;
        *ret_busy += (size_t)one->busy;
    }
}

void pages__pool_metrics(pages__pool *pool, tims_buf *out)
{
    size_t ready, busy;
    lock(pool);
    count_processes(pool, &ready, &busy);
    size_t waiting = pool->waiter_count;
    unlock(pool);
    tims_buf_print(out,
                   "# HELP tims_pages_processes Render processes that take pages.\n"
                   "# TYPE tims_pages_processes gauge\ntims_pages_processes %zu\n"
                   "# HELP tims_pages_rendering Pages being rendered.\n"
                   "# TYPE tims_pages_rendering gauge\ntims_pages_rendering %zu\n"
                   "# HELP tims_pages_queue Pages that wait for a render process.\n"
                   "# TYPE tims_pages_queue gauge\ntims_pages_queue %zu\n",
                   ready, busy, waiting);
}
