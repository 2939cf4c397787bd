/* processes.c: the processes of a pool: their socket, what they say, how they start and end. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tasks/process/process_internal.h"
#include "tasks/process/wire.h"

enum {
    START_MS = 60 * 1000, /* for a process to say hello */
    LEAVE_MS = 5000,      /* for one that was asked to go */
    LINGER_MS = 1000,     /* for what is left of one whose process or socket has gone */
    READ_BYTES_MAX = 256 * 1024 * 1024,
};

/* --- waking ----------------------------------------------------------------------------------------------- */

void tasks__pool_wake_next(tasks__pool *pool)
{
    for (tasks__turn *at = pool->runs; at != NULL; at = at->next)
        if (tasks__waits_for_process(at)) {
            tims_fiber_wake(at->fiber);
            return;
        }
}

/* --- the socket ------------------------------------------------------------------------------------------- */

void tasks__pool_remove_folder(tasks__pool *pool)
{
    if (pool->folder[0] == '\0')
        return;
    tims_listener_close(&pool->listener);
    (void)unlink(pool->socket);
    (void)rmdir(pool->folder);
    pool->folder[0] = '\0';
}

/* It is there only while somebody has to find it: a worker that is killed leaves nothing behind. */
static void remove_folder_if_unused(tasks__pool *pool)
{
    for (const tasks__process *at = pool->processes; at != NULL; at = at->next)
        if (at->state == TASKS__STARTING)
            return;
    tasks__pool_remove_folder(pool);
}

void tasks__pool_end_if_empty(tasks__pool *pool)
{
    if (!pool->is_stopping || pool->process_count > 0 || pool->link_count > 0)
        return;
    tims_timer_clear(&pool->watch);
    tasks__pool_remove_folder(pool);
    pool->on_ended(pool->on_ended_argument);
}

static void free_link(void *ctx)
{
    tasks__link *l = ctx;
    tasks__pool *pool = l->pool;
    for (tasks__link **at = &pool->links; *at != NULL; at = &(*at)->next)
        if (*at == l) {
            *at = l->next;
            break;
        }
    tims_buf_free(&l->in);
    free(l);
    pool->link_count--;
    tasks__pool_end_if_empty(pool);
}

static void close_link(tasks__link *l)
{
    if (l->process != NULL)
        l->process->link = NULL;
    l->process = NULL;
    tims_stream_close(l->stream);
}

/* --- a process's end -------------------------------------------------------------------------------------- */

static void free_if_gone(tasks__process *c)
{
    tasks__pool *pool = c->pool;
    if (c->handle != NULL || c->link != NULL)
        return;
    for (tasks__process **at = &pool->processes; *at != NULL; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            break;
        }
    if (c->turn != NULL) {
        c->turn->process = NULL;
        tims_fiber_wake(c->turn->fiber);
    }
    tims_timer_clear(&c->timer);
    free(c);
    pool->process_count--;
    tasks__pool_wake_next(pool);
    tasks__pool_end_if_empty(pool);
}

void tasks__process_kill(tasks__process *c)
{
    c->state = TASKS__LEAVING;
    if (c->handle != NULL)
        tims_process_signal(c->handle, SIGKILL);
}

static void kill_late(void *argument)
{
    tasks__process_kill(argument);
}

static void stop_lingering(void *argument)
{
    tasks__process *c = argument;
    if (c->link != NULL)
        close_link(c->link);
    free_if_gone(c);
}

/* One that started in vain: who waited for it must not wait for another that does the same. */
static void fail_waiting(tasks__pool *pool)
{
    for (tasks__turn *at = pool->runs; at != NULL; at = at->next)
        if (tasks__waits_for_process(at)) {
            at->cannot_start = true;
            tims_fiber_wake(at->fiber);
            return;
        }
}

static void note_exit(void *ctx, int64_t exit_status, int signal_number)
{
    tasks__process *c = ctx;
    if (c->state != TASKS__LEAVING)
        tims_log(TIMS_LOG_WARN, "tasks", "event=process_died pid=%d exit=%lld signal=%d",
                 tims_process_pid(c->handle), (long long)exit_status, signal_number);
    if (c->state == TASKS__STARTING)
        fail_waiting(c->pool);
    c->state = TASKS__LEAVING;
    remove_folder_if_unused(c->pool);
    tims_process_free(&c->handle);
    if (c->link != NULL)
        tims_timer_set(c->pool->loop, &c->timer, LINGER_MS, stop_lingering, c);
    free_if_gone(c);
}

void tasks__process_dismiss(tasks__process *c)
{
    c->state = TASKS__LEAVING;
    if (c->link != NULL)
        tims_stream_shutdown(c->link->stream);
    tims_timer_set(c->pool->loop, &c->timer, LEAVE_MS, kill_late, c);
}

static void late_start(void *argument)
{
    tasks__process *c = argument;
    tims_log(TIMS_LOG_ERROR, "tasks", "event=process_mute pid=%d message=It has not said hello.",
             tims_process_pid(c->handle));
    fail_waiting(c->pool);
    tasks__process_kill(c);
}

/* --- what processes say ----------------------------------------------------------------------------------- */

static tims_status hear_hello(tasks__link *l, tims_arena *arena, tims_str body, tims_error *err)
{
    int64_t pid;
    tims_status status = tasks__hello_read(arena, body, &pid, err);
    if (status != TIMS_OK)
        return status;
    for (tasks__process *c = l->pool->processes; l->process == NULL && c != NULL; c = c->next)
        if (c->state == TASKS__STARTING && c->handle != NULL && tims_process_pid(c->handle) == pid) {
            tims_timer_clear(&c->timer);
            c->link = l;
            c->state = TASKS__IDLE;
            l->process = c;
            remove_folder_if_unused(l->pool);
            tasks__pool_wake_next(l->pool);
            return TIMS_OK;
        }
    return tims_fail(err, TIMS_FORBIDDEN, NULL, "Nobody waits for a process %lld.", (long long)pid);
}

static tims_status hear_progress(tasks__link *l, tims_arena *arena, tims_str body, tims_error *err)
{
    double fraction;
    tims_str text;
    tims_status status = tasks__progress_read(arena, body, &fraction, &text, err);
    if (status != TIMS_OK)
        return status;
    const tasks__turn *r = l->process != NULL ? l->process->turn : NULL;
    if (r == NULL)
        return tims_fail(err, TIMS_INVALID, NULL, "It has nothing to do.");
    if (r->control->on_progress != NULL)
        r->control->on_progress(r->control, fraction, text);
    return TIMS_OK;
}

static tims_status hear_end(tasks__link *l, tims_arena *arena, tims_str body, tims_error *err)
{
    tasks__process *c = l->process;
    tasks__turn *r = c != NULL ? c->turn : NULL;
    if (r == NULL)
        return tims_fail(err, TIMS_INVALID, NULL, "It has nothing to do.");
    tims_status status = tasks__end_read(arena, body, r->outcome, err);
    if (status != TIMS_OK)
        return status;
    r->has_ended = true;
    r->process = NULL;
    c->turn = NULL;
    if (c->state == TASKS__BUSY)
        c->state = TASKS__IDLE;
    tims_fiber_wake(r->fiber);
    tasks__pool_wake_next(l->pool);
    return TIMS_OK;
}

static tims_status hear(tasks__link *l, const tasks__frame *frame, tims_error *err)
{
    tims_arena *arena = tims_arena_new(READ_BYTES_MAX, NULL, NULL);
    tims_status status;
    if (frame->letter == TASKS__SAYS_HELLO)
        status = hear_hello(l, arena, frame->body, err);
    else if (frame->letter == TASKS__SAYS_PROGRESS)
        status = hear_progress(l, arena, frame->body, err);
    else if (frame->letter == TASKS__SAYS_END)
        status = hear_end(l, arena, frame->body, err);
    else
        status = tims_fail(err, TIMS_MALFORMED, NULL, "No message begins with %d.", frame->letter);
    tims_arena_free(&arena);
    return status;
}

static void refuse(tasks__link *l, const char *why)
{
    tasks__process *c = l->process;
    tims_log(TIMS_LOG_ERROR, "tasks", "event=process_refused message=%s", why);
    close_link(l);
    if (c != NULL) {
        tasks__process_kill(c);
        free_if_gone(c);
    }
}

static void take_bytes(void *ctx, tims_str bytes)
{
    tasks__link *l = ctx;
    tasks__frame frame;
    tasks__frame_state state;
    tims_buf_append_str(&l->in, bytes);
    while ((state = tasks__frame_read(tims_buf_str(&l->in), TASKS__SAID_FRAME_MAX, &frame)) ==
           TASKS__FRAME_WHOLE) {
        tims_error err = { 0 };
        if (hear(l, &frame, &err) != TIMS_OK) {
            refuse(l, err.message);
            return;
        }
        tims_buf_consume(&l->in, frame.bytes);
    }
    if (state == TASKS__FRAME_BAD || l->in.overflow)
        refuse(l, "It says more than it may.");
}

/* It is about to exit, or has closed its socket: then it is of no use. */
static void take_end(void *ctx, tims_status why)
{
    tasks__link *l = ctx;
    tasks__process *c = l->process;
    (void)why;
    close_link(l);
    if (c == NULL)
        return;
    if (c->state != TASKS__LEAVING && c->handle != NULL)
        tims_timer_set(c->pool->loop, &c->timer, LINGER_MS, kill_late, c);
    free_if_gone(c);
}

static void accept_link(void *ctx, tims_stream *stream)
{
    static const tims_stream_events events = { .on_data = take_bytes,
                                               .on_end = take_end,
                                               .on_closed = free_link };
    tasks__pool *pool = ctx;
    tasks__link *l = calloc(1, sizeof *l);
    TIMS_ASSERT(l != NULL);
    *l = (tasks__link){ .pool = pool, .stream = stream, .next = pool->links };
    tims_buf_init(&l->in, NULL, 2 * (size_t)TASKS__SAID_FRAME_MAX);
    pool->links = l;
    pool->link_count++;
    tims_stream_start(stream, &events, l);
    if (pool->is_stopping || pool->link_count > 2 * pool->processes_max + 2)
        close_link(l);
}

/* --- starting --------------------------------------------------------------------------------------------- */

static tims_status listen_for_processes(tasks__pool *pool, tims_error *err)
{
    const char *base = getenv("TMPDIR");
    if (pool->folder[0] != '\0' && access(pool->socket, F_OK) == 0)
        return TIMS_OK;
    tasks__pool_remove_folder(pool); /* somebody has tidied up there */
    if (base == NULL || base[0] == '\0' || strlen(base) > sizeof pool->folder - 20)
        base = "/tmp";
    (void)snprintf(pool->folder, sizeof pool->folder, "%s/tims-tasks-XXXXXX", base);
    if (mkdtemp(pool->folder) == NULL) { /* mode 0700 */
        pool->folder[0] = '\0';
        return tims_fail(err, TIMS_IO, NULL, "No folder for the processes' socket can be made in %s.", base);
    }
    (void)snprintf(pool->socket, sizeof pool->socket, "%s/worker.sock", pool->folder);
    const tims_listen_options options = { .unix_path = tims_str_from(pool->socket) };
    tims_status status = tims_listen(pool->loop, &options, accept_link, pool, &pool->listener, err);
    if (status != TIMS_OK) {
        (void)rmdir(pool->folder);
        pool->folder[0] = '\0';
    }
    return status;
}

tims_status tasks__process_start(tasks__pool *pool, tims_error *err)
{
    const char *const arguments[] = { pool->program, "task-process", pool->socket, NULL };
    const tims_process_options options = { .arguments = arguments, .inherit_output = true };
    tims_status status = listen_for_processes(pool, err);
    if (status != TIMS_OK)
        return status;
    tasks__process *c = calloc(1, sizeof *c);
    TIMS_ASSERT(c != NULL);
    c->pool = pool;
    status = tims_process_start(pool->loop, &options, note_exit, c, &c->handle, err);
    if (status != TIMS_OK) {
        free(c);
        remove_folder_if_unused(pool);
        return status;
    }
    c->next = pool->processes;
    pool->processes = c;
    pool->process_count++;
    tims_timer_set(pool->loop, &c->timer, START_MS, late_start, c);
    return TIMS_OK;
}

/* --- for who has work for it ------------------------------------------------------------------------------ */

void tasks__process_say(tasks__process *c, tims_str frame)
{
    if (c->link != NULL)
        (void)!tims_stream_write(c->link->stream, &frame, 1); /* when it fails, its end is told, too */
}

/* The pages it has in memory, from /proc: also right under ASan, where a limit of addresses is not. */
int64_t tasks__process_memory(const tasks__process *c)
{
    char path[64], text[256];
    if (c->handle == NULL)
        return 0;
    (void)snprintf(path, sizeof path, "/proc/%d/statm", tims_process_pid(c->handle));
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    size_t length = fread(text, 1, sizeof text, file);
    (void)fclose(file);
    tims_str rest = { text, length };
    int64_t pages = 0;
    (void)tims_str_cut(&rest, ' ');
    (void)!tims_str_to_int(tims_str_cut(&rest, ' '), 0, INT64_MAX / 65536, &pages);
    return pages * sysconf(_SC_PAGESIZE);
}
