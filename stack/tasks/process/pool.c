/* pool.c: processes for blocking tasks: started when there is work for them, kept for the next,
 * watched, and killed when a run is too long, too large, or no longer wanted.
 *
 * A process connects to a socket in a folder that only we may enter, there as long as one starts, and says
 * which it is. It has one job at a time. A run ends with what its process says of it, or with the process:
 * then what it wrote is gone with its connection, and if it had committed, the store knows that the job is
 * done and hears no other end of it.
 */
#include <stdlib.h>

#include "tasks/process/process_internal.h"
#include "tasks/process/wire.h"

enum { WATCH_MS = 50 }; /* how often memory is looked at, and whether a run should stop */

/* --- watching --------------------------------------------------------------------------------------------- */

static void watch_run(tasks__turn *r)
{
    tasks__process *c = r->process;
    if (c == NULL || c->state != TASKS__BUSY)
        return;
    if (r->control->lost) {
        r->was_killed = true;
        tasks__process_kill(c);
    } else if (r->task->memory_bytes > 0 && tasks__process_memory(c) > r->task->memory_bytes) {
        r->is_too_large = true;
        tasks__process_kill(c);
    } else if (!r->knows_of_stop && atomic_load(&r->control->stop)) {
        tims_buf out;
        tims_buf_init(&out, NULL, TASKS__FRAME_HEAD_BYTES);
        tasks__frame_begin(&out, TASKS__SAYS_STOP);
        tasks__frame_end(&out);
        r->knows_of_stop = true;
        tasks__process_say(c, tims_buf_str(&out));
        tims_buf_free(&out);
    }
}

static void look_around(void *argument)
{
    tasks__pool *pool = argument;
    for (tasks__turn *at = pool->runs; at != NULL; at = at->next) {
        watch_run(at);
        if (tasks__waits_for_process(at) && atomic_load(&at->control->stop))
            tims_fiber_wake(at->fiber);
    }
    if (pool->runs != NULL)
        tims_timer_set(pool->loop, &pool->watch, WATCH_MS, look_around, pool);
}

/* --- a process for a run ---------------------------------------------------------------------------------- */

/* One that has grown in former runs would be killed for what is not this one's. */
static tasks__process *find_idle(tasks__pool *pool, const tims_task *task)
{
    for (tasks__process *at = pool->processes; at != NULL; at = at->next) {
        if (at->state != TASKS__IDLE || at->link == NULL)
            continue;
        if (task->memory_bytes == 0 || at->job_count == 0 ||
            tasks__process_memory(at) <= task->memory_bytes / 2)
            return at;
        tasks__process_dismiss(at);
    }
    return NULL;
}

/* As many as runs wait for one, at most as many as are allowed. */
static tims_status start_processes(tasks__pool *pool, tims_error *err)
{
    size_t waiting = 0, starting = 0;
    tims_status status = TIMS_OK;
    for (const tasks__turn *at = pool->runs; at != NULL; at = at->next)
        waiting += tasks__waits_for_process(at);
    for (const tasks__process *at = pool->processes; at != NULL; at = at->next)
        starting += at->state == TASKS__STARTING;
    for (; status == TIMS_OK && starting < waiting && pool->process_count < pool->processes_max; starting++)
        status = tasks__process_start(pool, err);
    return status;
}

/* Waits for its turn. NULL: it should not begin, or cannot. */
static tasks__process *get_process(tasks__pool *pool, tasks__turn *r)
{
    tims_error err = { 0 };
    for (;;) {
        if (atomic_load(&r->control->stop) || r->control->lost || r->control->handed_back)
            return NULL;
        tasks__process *found = r->cannot_start ? NULL : find_idle(pool, r->task);
        if (found != NULL || r->cannot_start)
            return found;
        if (start_processes(pool, &err) != TIMS_OK) {
            tims_log(TIMS_LOG_ERROR, "tasks", "event=no_process message=%s detail=%s", err.message,
                     err.detail);
            r->cannot_start = true;
            return NULL;
        }
        if (tims_fiber_suspend() != TIMS_OK)
            return NULL;
    }
}

static bool give_job(tasks__pool *pool, tasks__turn *r, tasks__process *c)
{
    tims_buf out;
    const tasks__assignment assignment = {
        *r->job, r->store->worker, atomic_load(&pool->tasks->clock_offset_us) + pool->tasks->test_clock_us
    };
    tims_buf_init(&out, NULL, TASKS__JOB_FRAME_MAX);
    tasks__assignment_write(&out, &assignment);
    r->is_too_long = out.overflow;
    if (!out.overflow) {
        r->has_begun = true;
        r->process = c;
        c->turn = r;
        c->state = TASKS__BUSY;
        c->job_count++;
        tasks__process_say(c, tims_buf_str(&out));
        watch_run(r);
    }
    tims_buf_free(&out);
    return r->has_begun;
}

/* Until it has ended, or its process has. */
static void wait_for_end(tasks__turn *r)
{
    while (!r->has_ended && r->process != NULL) {
        if (tims_fiber_suspend() == TIMS_OK || r->has_ended || r->process == NULL)
            continue;
        r->was_killed = r->was_killed || r->process->state != TASKS__LEAVING;
        tasks__process_kill(r->process);
        bool was_shielded = tims_fiber_shield(true);
        while (!r->has_ended && r->process != NULL)
            (void)!tims_fiber_suspend();
        tims_fiber_shield(was_shielded);
    }
}

static void weigh(tasks__pool *pool, const tasks__turn *r)
{
    tims_tasks *tasks = pool->tasks;
    tasks__outcome *outcome = r->outcome;
    bool is_done = outcome->end == TASKS__DONE || outcome->end == TASKS__COMMITTED;
    if (r->has_ended) {
        if (is_done)
            tasks__wake(tasks, (tims_time){ 0 }); /* it may have enqueued others, unheard here */
        else
            (void)tasks__overrule(r->control, outcome);
        return;
    }
    if (tasks__overrule(r->control, outcome))
        return;
    if (r->is_too_large) {
        tasks__fail(tasks, r->task, outcome, "memory_limit",
                    TIMS_STR("Its process needed more memory than its task may."));
    } else if (r->was_killed) {
        tasks__fail_late(tasks, r->task, outcome);
    } else if (r->has_begun) {
        outcome->crashed = true;
        tasks__fail(tasks, r->task, outcome, "crashed", TIMS_STR("Its process died."));
    } else if (r->is_too_long) {
        tasks__fail(tasks, r->task, outcome, "too_large",
                    TIMS_STR("It and what goes before it are too large for a process."));
        outcome->end = TASKS__DEAD;
    } else if (r->cannot_start) {
        tasks__fail(tasks, r->task, outcome, "no_process",
                    TIMS_STR("No process could be started for it; the log says why."));
    } else {
        outcome->end = TASKS__BACK; /* it should stop before it has begun */
    }
    tasks__log_failure(outcome);
}

static void begin(tasks__pool *pool, tasks__turn *r)
{
    tasks__turn **last = &pool->runs;
    while (*last != NULL)
        last = &(*last)->next;
    *last = r;
    if (pool->runs == r)
        tims_timer_set(pool->loop, &pool->watch, WATCH_MS, look_around, pool);
}

static void end(tasks__pool *pool, const tasks__turn *r)
{
    for (tasks__turn **at = &pool->runs; *at != NULL; at = &(*at)->next)
        if (*at == r) {
            *at = r->next;
            break;
        }
    if (pool->runs == NULL)
        tims_timer_clear(&pool->watch);
    tasks__pool_wake_next(pool);
}

void tasks__pool_run(tasks__pool *pool, tasks__store *store, tasks__job *job, tasks__control *control,
                     tasks__outcome *ret_outcome)
{
    int64_t began_us = tims_monotonic_us();
    *ret_outcome = (tasks__outcome){ .job = job, .end = TASKS__BACK };
    tasks__turn r = { .store = store,
                      .job = job,
                      .task = tims_tasks_find(pool->tasks, job->task),
                      .control = control,
                      .outcome = ret_outcome,
                      .fiber = tims_fiber_self() };
    TIMS_ASSERT(r.task != NULL && !pool->is_stopping);
    begin(pool, &r);
    tasks__process *c = get_process(pool, &r);
    bool is_given = c != NULL && give_job(pool, &r, c);
    tasks__pool_wake_next(pool); /* there may be more than one */
    if (is_given && control->on_begin != NULL)
        control->on_begin(control);
    if (is_given)
        wait_for_end(&r);
    end(pool, &r);
    weigh(pool, &r);
    ret_outcome->runtime_us = tims_monotonic_us() - began_us;
}

/* --- life ------------------------------------------------------------------------------------------------- */

tasks__pool *tasks__pool_new(tims_tasks *tasks, tims_loop *loop, size_t processes, const char *program)
{
    tasks__pool *pool = calloc(1, sizeof *pool);
    TIMS_ASSERT(pool != NULL && processes > 0);
    pool->tasks = tasks;
    pool->loop = loop;
    pool->processes_max = processes;
    pool->program = program;
    return pool;
}

void tasks__pool_stop(tasks__pool *pool, tims_loop_fn on_ended, void *argument)
{
    TIMS_ASSERT(pool->runs == NULL && !pool->is_stopping);
    pool->is_stopping = true;
    pool->on_ended = on_ended;
    pool->on_ended_argument = argument;
    for (tasks__process *at = pool->processes; at != NULL; at = at->next) {
        if (at->state == TASKS__STARTING)
            tasks__process_kill(at);
        else if (at->state == TASKS__IDLE)
            tasks__process_dismiss(at);
    }
    for (tasks__link *at = pool->links; at != NULL; at = at->next)
        if (at->process == NULL)
            tims_stream_close(at->stream);
    tasks__pool_end_if_empty(pool);
}

void tasks__pool_free(tasks__pool **pool)
{
    if (*pool != NULL)
        tasks__pool_remove_folder(*pool);
    free(*pool);
    *pool = NULL;
}
