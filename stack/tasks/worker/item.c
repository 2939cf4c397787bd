/* item.c: a job that runs here: on a fiber, in a process, with its timeouts, until its end is handed
 * on. */
#include <stdlib.h>

#include "tasks/worker/worker_internal.h"

static void count_start(tasks__worker *worker, tasks__item *item)
{
    tasks__counts *counts = tasks__counts_of(worker->tasks, item->job->queue);
    int64_t waited_us = tasks__now(worker->tasks).us - item->job->run_at.us;
    item->counts = counts;
    atomic_fetch_add_explicit(&counts->started, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counts->running, 1, memory_order_relaxed);
    tasks__count_time(counts->waited, &counts->wait_us_sum, waited_us);
}

static void count_end(const tasks__item *item)
{
    tasks__counts *counts = item->counts;
    const tasks__outcome *outcome = &item->outcome;
    _Atomic int64_t *of_end[] = { [TASKS__DONE] = &counts->done,
                                  [TASKS__COMMITTED] = &counts->done,
                                  [TASKS__AGAIN] = &counts->retried,
                                  [TASKS__DEAD] = &counts->dead,
                                  [TASKS__CANCELLED] = &counts->cancelled,
                                  [TASKS__EXPIRED] = &counts->expired,
                                  [TASKS__LOST] = NULL,
                                  [TASKS__BACK] = NULL };
    atomic_fetch_sub_explicit(&counts->running, 1, memory_order_relaxed);
    if (of_end[outcome->end] != NULL)
        atomic_fetch_add_explicit(of_end[outcome->end], 1, memory_order_relaxed);
    if (outcome->end == TASKS__AGAIN || outcome->end == TASKS__DEAD)
        atomic_fetch_add_explicit(&counts->failed, 1, memory_order_relaxed);
    tasks__count_time(counts->ran, &counts->run_us_sum, outcome->runtime_us);
}

static void unlink_item(tasks__item *item)
{
    tasks__worker *worker = item->worker;
    if (item->next_running != NULL)
        item->next_running->previous_running = item->previous_running;
    if (item->previous_running != NULL)
        item->previous_running->next_running = item->next_running;
    else
        worker->running = item->next_running;
    worker->running_count--;
    tasks__store_of(worker->tasks, item->job)->suspects -= tasks__is_suspect(item->job);
    if (item->is_blocking)
        worker->blocking_count--;
}

static void soft_timeout(void *argument)
{
    tasks__item *item = argument;
    atomic_store(&item->control.stop, true);
}

void tasks__item_end(void *argument)
{
    tasks__item *item = argument;
    atomic_store(&item->control.stop, true);
    atomic_store(&item->control.killed, true);
    if (item->control.fiber != NULL)
        tims_fiber_cancel(item->control.fiber);
}

static void set_timeouts(tasks__item *item)
{
    enum { TIMEOUT_MS = 5 * 60 * 1000 };
    const tims_task *task = item->task;
    int64_t hard_ms = task != NULL && task->timeout_ms > 0 ? task->timeout_ms : TIMEOUT_MS;
    if (task != NULL && task->soft_timeout_ms > 0)
        tims_timer_set(item->worker->loop, &item->soft_timer, task->soft_timeout_ms, soft_timeout, item);
    tims_timer_set(item->worker->loop, &item->hard_timer, hard_ms, tasks__item_end, item);
}

static void begin_in_process(tasks__control *control)
{
    set_timeouts(control->data);
}

static void run_item(void *argument)
{
    tasks__item *item = argument;
    tasks__worker *worker = item->worker;
    tasks__store *store = tasks__store_of(worker->tasks, item->job);
    item->control.fiber = tims_fiber_self();
    count_start(worker, item);
    if (!item->is_blocking)
        set_timeouts(item);
    if (item->is_blocking)
        tasks__pool_run(worker->pool, store, item->job, &item->control, &item->outcome);
    else
        tasks__run_job(worker->tasks, worker->loop, store, item->job, &item->control, &item->outcome);
    tims_timer_clear(&item->soft_timer);
    tims_timer_clear(&item->hard_timer);
    item->control.fiber = NULL;
    count_end(item);
    unlink_item(item);
    item->next = NULL;
    *worker->ended_tail = item;
    worker->ended_tail = &item->next;
    tasks__nudge(&worker->finisher);
    tasks__nudge(&worker->taker);
}

void tasks__item_begin(tasks__worker *worker, tasks__job *job)
{
    tasks__item *item = calloc(1, sizeof *item);
    TIMS_ASSERT(item != NULL);
    item->worker = worker;
    item->job = job;
    item->task = tims_tasks_find(worker->tasks, job->task);
    item->is_blocking = item->task != NULL && item->task->blocking;
    item->control.data = item;
    item->control.on_progress = tasks__note_progress;
    item->control.on_begin = begin_in_process;
    item->next_running = worker->running;
    if (worker->running != NULL)
        worker->running->previous_running = item;
    worker->running = item;
    worker->running_count++;
    tasks__store_of(worker->tasks, job)->suspects += tasks__is_suspect(job);
    worker->blocking_count += item->is_blocking;
    /* A claim may have its answer only after everybody was asked to stop. */
    if (worker->stopping || tims_fiber_start(worker->loop, run_item, item) == NULL) {
        unlink_item(item);
        item->outcome = (tasks__outcome){ .job = job, .end = TASKS__BACK };
        *worker->ended_tail = item;
        worker->ended_tail = &item->next;
        tasks__nudge(&worker->finisher);
    }
}

void tasks__items_free(tasks__item *list)
{
    for (tasks__item *next; list != NULL; list = next) {
        next = list->next;
        const tasks__store_api *api = list->worker->store->api;
        if (api->forget != NULL)
            api->forget(list->job);
        tims_arena_free(&list->outcome.arena);
        tasks__job_free(&list->job);
        free(list);
    }
}
