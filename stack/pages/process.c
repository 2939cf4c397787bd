/* process.c: the render processes: started, watched, replaced. All of it on loop 0.
 *
 * Each is behind a socket of its own, in a folder that only we may enter. Another one is started beside it
 * when it has grown too large, hangs or fails, or when there is a new build of the front end; once that one
 * listens, it gets the work, and the old one ends when it has answered what it was asked. So nobody waits for
 * a replacement. One that dies is started again after a pause that doubles. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pages/pool_internal.h"

enum {
    PROBE_MS = 50,
    TICK_MS = 100,
    LOOK_US = 1000000,      /* memory and builds */
    TERMINATE_US = 3000000, /* between asking it to end and ending it */
    STOP_US = 500000,       /* the same when the program stops: no page is under way any more */
};

static void start_one(void *argument);

static void set_state(pool__process *process, pool__state state)
{
    pages__pool *pool = process->pages->pool;
    (void)pthread_mutex_lock(&pool->mutex);
    process->state = state;
    (void)pthread_mutex_unlock(&pool->mutex);
}

/* --- one is ready, one leaves ------------------------------------------------------------------------ */

static void let_go(pool__process *process)
{
    process->state = POOL__LEAVING;
    process->left_us = tims_monotonic_us();
}

static void take_place(pool__process *process)
{
    pool__place *place = process->place;
    pages__pool *pool = place->pool;
    (void)pthread_mutex_lock(&pool->mutex);
    if (place->current != NULL)
        let_go(place->current);
    place->current = process;
    place->next = NULL;
    process->state = POOL__READY;
    (void)pthread_mutex_unlock(&pool->mutex);
    atomic_store(&pool->is_starting, false);
    tims_log(TIMS_LOG_INFO, "pages", "a render server is ready pid=%d after_ms=%lld",
             tims_process_pid(process->process),
             (long long)((tims_monotonic_us() - process->started_us) / 1000));
    pool__serve_waiters(pool);
}

static void probe_until_ready(void *argument)
{
    pool__process *process = argument;
    pages__pool *pool = process->pages->pool;
    while (!pool->stopping && process->process != NULL) {
        tims_stream *stream;
        tims_error err = { 0 };
        if (tims_connect_unix(pool->loop, process->socket, 1000, &stream, &err) == TIMS_OK) {
            tims_stream_close(stream);
            if (process->process != NULL && !pool->stopping)
                take_place(process);
            break;
        }
        if (tims_sleep_ms(PROBE_MS) != TIMS_OK)
            break;
    }
}

static void forget_probe(void *argument)
{
    ((pool__process *)argument)->probe = NULL;
}

/* --- starting ---------------------------------------------------------------------------------------- */

static void start_later(pool__place *place)
{
    place->will_start = true;
    tims_timer_set(place->pool->loop, &place->timer, place->pause_ms, start_one, place);
    place->pause_ms = place->pause_ms * 2 > POOL__PAUSE_MAX_MS ? POOL__PAUSE_MAX_MS : place->pause_ms * 2;
}

static void rest_if_old(pool__place *place, const pool__process *process)
{
    if (tims_monotonic_us() - process->started_us > POOL__LIVED_US)
        place->pause_ms = POOL__PAUSE_MIN_MS;
}

/* Unless one is starting already, or about to. */
static void replace(pool__place *place, const char *why)
{
    if (place->next != NULL || place->will_start || place->current == NULL)
        return;
    atomic_fetch_add(&place->pool->pages->counts.restarts, 1);
    tims_log(TIMS_LOG_WARN, "pages", "a render server is replaced pid=%d why=%s in_ms=%lld",
             tims_process_pid(place->current->process), why, (long long)place->pause_ms);
    rest_if_old(place, place->current);
    start_later(place);
}

void pool__replace_all(pages__pool *pool)
{
    for (size_t i = 0; i < pool->place_count; i++) {
        pool__place *place = &pool->places[i];
        place->pause_ms = POOL__PAUSE_MIN_MS;
        if (place->next != NULL) /* of the build before, maybe */
            tims_process_signal(place->next->process, SIGTERM);
        else
            replace(place, "build");
    }
}

static void notice_exit(void *ctx, int64_t exit_status, int signal_number)
{
    pool__process *process = ctx;
    pool__place *place = process->place;
    pages__pool *pool = place->pool;
    bool was_leaving = process->state == POOL__LEAVING;
    if (process->probe != NULL)
        tims_fiber_cancel(process->probe);
    tims_process_free(&process->process);
    (void)unlink(process->socket.data);
    (void)pthread_mutex_lock(&pool->mutex);
    process->state = POOL__GONE;
    if (place->current == process)
        place->current = NULL;
    if (place->next == process)
        place->next = NULL;
    (void)pthread_mutex_unlock(&pool->mutex);
    if (pool->stopping || was_leaving)
        return;
    atomic_store(&pool->is_starting, false);
    atomic_fetch_add(&pool->pages->counts.restarts, 1);
    rest_if_old(place, process);
    tims_log(TIMS_LOG_WARN, "pages", "the render server has ended exit=%lld signal=%d again_in_ms=%lld",
             (long long)exit_status, signal_number, (long long)place->pause_ms);
    if (place->next == NULL && !place->will_start)
        start_later(place);
}

static pool__process *new_process(pool__place *place)
{
    pages__pool *pool = place->pool;
    pool__process *process = calloc(1, sizeof *process);
    TIMS_ASSERT(process != NULL);
    *process = (pool__process){ .pages = pool->pages,
                                .place = place,
                                .started_us = tims_monotonic_us(),
                                .build = atomic_load(&pool->pages->build.number) };
    (void)snprintf(process->setting, sizeof process->setting, "TIMS_RENDER_SOCKET=%s/render-%llu.sock",
                   pool->folder.data, (unsigned long long)++pool->serial);
    process->socket = tims_str_from(process->setting + strlen("TIMS_RENDER_SOCKET="));
    (void)snprintf(process->address, sizeof process->address, "unix:%s:", process->socket.data);
    process->base = tims_str_from(process->address);
    return process;
}

static tims_status run_command(pages__pool *pool, pool__process *process, tims_error *err)
{
    const char *const arguments[] = { "/bin/sh", "-c", pool->line, NULL };
    const char *const environment[] = { process->setting, NULL };
    const tims_process_options options = { .arguments = arguments,
                                           .environment_extra = environment,
                                           .inherit_output = true };
    return tims_process_start(pool->loop, &options, notice_exit, process, &process->process, err);
}

static void start_one(void *argument)
{
    pool__place *place = argument;
    pages__pool *pool = place->pool;
    tims_error err = { 0 };
    pool__process *process = new_process(place);
    place->will_start = false;
    if (run_command(pool, process, &err) != TIMS_OK) {
        tims_log(TIMS_LOG_ERROR, "pages", "the render server cannot be started: %s", err.message);
        atomic_store(&pool->is_starting, false);
        free(process);
        start_later(place);
        return;
    }
    (void)pthread_mutex_lock(&pool->mutex);
    process->next = pool->all;
    pool->all = process;
    place->next = process;
    (void)pthread_mutex_unlock(&pool->mutex);
    process->probe = tims_fiber_start(pool->loop, probe_until_ready, process);
    if (process->probe != NULL)
        tims_fiber_on_end(process->probe, forget_probe, process);
}

/* --- watching ---------------------------------------------------------------------------------------- */

/* What it has in memory now; 0 when that cannot be read. */
static int64_t resident_bytes(int pid)
{
    char path[64];
    long long pages = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    bool fine = fscanf(file, "%*d %lld", &pages) == 1; /* NOLINT(cert-err34-c): the kernel's own number */
    (void)fclose(file);
    return fine ? pages * sysconf(_SC_PAGESIZE) : 0;
}

/* One that lives and does not come to listen would keep its place for ever. */
static void end_late(const pages__pool *pool, pool__process *process)
{
    int64_t after_ms = (tims_monotonic_us() - process->started_us) / 1000;
    if (process->was_killed || after_ms < POOL__START_TIMEOUTS * pool->timeout_ms)
        return;
    tims_log(TIMS_LOG_WARN, "pages", "a render server does not come to listen pid=%d after_ms=%lld",
             tims_process_pid(process->process), (long long)after_ms);
    process->was_killed = true;
    tims_process_signal(process->process, SIGKILL);
}

static void look_at_place(pages__pool *pool, pool__place *place)
{
    const pool__process *process = place->current;
    int64_t bytes_max = pool->pages->options.render_memory_max;
    if (place->next != NULL)
        end_late(pool, place->next);
    if (process == NULL)
        return;
    (void)pthread_mutex_lock(&pool->mutex);
    bool should_go = process->should_go;
    (void)pthread_mutex_unlock(&pool->mutex);
    if (should_go)
        replace(place, "failing");
    else if (bytes_max > 0 && resident_bytes(tims_process_pid(process->process)) > bytes_max) {
        if (place->next == NULL && !place->will_start)
            atomic_fetch_add(&pool->pages->counts.memory_restarts, 1);
        replace(place, "memory");
    }
}

/* The last pages of one that leaves may take as long as any. */
static void end_leaving(pages__pool *pool, pool__process *process, int64_t now_us)
{
    (void)pthread_mutex_lock(&pool->mutex);
    bool is_idle = process->busy == 0;
    (void)pthread_mutex_unlock(&pool->mutex);
    if (!process->was_terminated && (is_idle || now_us - process->left_us > 2 * pool->timeout_ms * 1000)) {
        process->was_terminated = true;
        process->left_us = now_us;
        tims_process_signal(process->process, SIGTERM);
    } else if (process->was_terminated && !process->was_killed && now_us - process->left_us > TERMINATE_US) {
        process->was_killed = true;
        tims_process_signal(process->process, SIGKILL);
    }
}

static void forget_gone(pages__pool *pool)
{
    (void)pthread_mutex_lock(&pool->mutex);
    for (pool__process **link = &pool->all; *link != NULL;) {
        pool__process *one = *link;
        if (one->state == POOL__GONE && one->busy == 0 && one->probe == NULL) {
            *link = one->next;
            free(one);
        } else
            link = &one->next;
    }
    (void)pthread_mutex_unlock(&pool->mutex);
}

static void tick(void *argument)
{
    pages__pool *pool = argument;
    int64_t now_us = tims_monotonic_us();
    for (pool__process *one = pool->all; one != NULL; one = one->next)
        if (one->state == POOL__LEAVING)
            end_leaving(pool, one, now_us);
    forget_gone(pool);
    if (now_us - pool->looked_us >= LOOK_US) {
        pool->looked_us = now_us;
        pages__build_look(pool->pages);
        for (size_t i = 0; i < pool->place_count; i++)
            look_at_place(pool, &pool->places[i]);
    }
    pool__serve_waiters(pool); /* some may have rested enough */
    tims_timer_set(pool->loop, &pool->timer, TICK_MS, tick, pool);
}

/* --- all of them ------------------------------------------------------------------------------------- */

static tims_status make_folder(tims_pages *pages, tims_error *err)
{
    const char *base = getenv("TMPDIR");
    char *folder =
        (char *)(uintptr_t)tims_copy_c(pages->arena, tims_print(pages->arena, "%s/tims-render-XXXXXX",
                                                                base != NULL && base[0] ? base : "/tmp"));
    if (mkdtemp(folder) == NULL) /* mode 0700 */
        return tims_fail(err, TIMS_IO, "render_socket",
                         "No folder for the render server's socket can be made.");
    pages->pool->folder = tims_str_from(folder);
    return TIMS_OK;
}

tims_status tims_pages_start(tims_pages *pages, tims_loop *loop, tims_error *err)
{
    TIMS_CHECK_MAGIC(pages, PAGES__MAGIC);
    pages__pool *pool = pages->pool;
    pool->loop = loop;
    pool->stopping = false;
    if (pool->place_count > 0) {
        tims_status status = make_folder(pages, err);
        if (status != TIMS_OK)
            return status;
        pool->line =
            tims_copy_c(pages->arena, tims_print(pages->arena, "exec %s", pages->options.render_command));
        atomic_store(&pool->started_us, tims_monotonic_us());
        atomic_store(&pool->is_starting, true);
    }
    for (size_t i = 0; i < pool->place_count; i++)
        start_one(&pool->places[i]);
    tick(pool);
    return TIMS_OK;
}

static void ask_to_end(pool__process *process)
{
    if (process->probe != NULL)
        tims_fiber_cancel(process->probe);
    if (process->process != NULL)
        tims_process_signal(process->process, SIGTERM);
}

static void end_now(pool__process *process, int64_t deadline_us)
{
    if (process->process == NULL)
        return;
    tims_process_end(&process->process, deadline_us);
    (void)unlink(process->socket.data);
    set_state(process, POOL__GONE);
}

void tims_pages_stop(tims_pages *pages)
{
    TIMS_CHECK_MAGIC(pages, PAGES__MAGIC);
    pages__pool *pool = pages->pool;
    if (pool->loop == NULL || pool->stopping)
        return;
    pool->stopping = true;
    atomic_store(&pool->is_starting, false);
    tims_timer_clear(&pool->timer);
    for (size_t i = 0; i < pool->place_count; i++)
        tims_timer_clear(&pool->places[i].timer);
    for (pool__process *one = pool->all; one != NULL; one = one->next)
        if (one != pool->foreign)
            ask_to_end(one);
    /* What is left behind at a re-execution nobody would know any more. */
    int64_t deadline_us = tims_monotonic_us() + STOP_US;
    for (pool__process *one = pool->all; one != NULL; one = one->next)
        if (one != pool->foreign)
            end_now(one, deadline_us);
    if (pool->folder.length > 0)
        (void)rmdir(pool->folder.data);
}
