/* control.c: what may be changed in a worker while it runs: its queues, and how many jobs it runs at
 * once. On its loop's thread. */
#include "tasks/worker/worker_internal.h"

enum { CONCURRENCY_MAX = 10000 };

static size_t find_queue(const tasks__worker *worker, tims_str name)
{
    size_t at = 0;
    while (at < worker->queue_count && !tims_str_equal(worker->queues[at].name, name))
        at++;
    return at;
}

static bool has_blocking_tasks(const tims_tasks *tasks, tims_str queue)
{
    size_t cursor = 0;
    tims_str name;
    void *value;
    while (tims_map_next(tasks->by_name, &cursor, &name, &value)) {
        const tims_task *task = value;
        if (task->blocking && tims_str_equal(queue, tims_str_from(tasks__queue_of(task))))
            return true;
    }
    return false;
}

static void write_queues(tasks__worker *worker)
{
    tims_buf_consume(&worker->queues_text, worker->queues_text.length);
    for (size_t i = 0; i < worker->queue_count; i++)
        tims_buf_print(&worker->queues_text, "%s%S", i > 0 ? "," : "", worker->queues[i].name);
    worker->store->queues_text = tims_buf_str(&worker->queues_text);
    tims_log(TIMS_LOG_INFO, "tasks", "event=queues_changed name=%S queues=%S", worker->store->worker_name,
             worker->store->queues_text);
}

tims_status tasks__worker_add_queue(tasks__worker *worker, tims_str name, tims_error *err)
{
    if (find_queue(worker, name) < worker->queue_count)
        return TIMS_OK;
    bool blocks = has_blocking_tasks(worker->tasks, name);
    if (worker->queue_count >= worker->queues_max)
        return tims_fail(err, TIMS_INVALID, "too_many", "At most %d queues are added to a worker.",
                         TASKS__QUEUES_ADDED_MAX);
    worker->names[worker->queue_count] = name;
    worker->has[worker->queue_count] = true;
    worker->queues[worker->queue_count++] = (tasks__taken_queue){ name, blocks };
    write_queues(worker);
    tasks__wake_worker(worker->tasks);
    return TIMS_OK;
}

tims_status tasks__worker_drop_queue(tasks__worker *worker, tims_str name, tims_error *err)
{
    size_t at = find_queue(worker, name);
    if (at == worker->queue_count)
        return TIMS_OK;
    if (worker->queue_count == 1)
        return tims_fail(err, TIMS_INVALID, "last_queue",
                         "It is the last one: a worker without a queue is of no use; stop it.");
    worker->queue_count--; /* what a look that is under way finds is of the place before: it looks again */
    for (size_t i = at; i < worker->queue_count; i++) {
        worker->queues[i] = worker->queues[i + 1];
        worker->names[i] = worker->names[i + 1];
        worker->has[i] = worker->has[i + 1];
    }
    write_queues(worker);
    return TIMS_OK;
}

tims_status tasks__worker_resize(tasks__worker *worker, int64_t by, tims_error *err)
{
    int64_t now = (int64_t)worker->concurrency;
    if (by < -CONCURRENCY_MAX || by > CONCURRENCY_MAX || now + by < 1 || now + by > CONCURRENCY_MAX)
        return tims_fail(err, TIMS_INVALID, "concurrency", "A worker runs from 1 to %d jobs at once.",
                         CONCURRENCY_MAX);
    now += by;
    worker->concurrency = (size_t)now;
    worker->store->concurrency = now;
    tims_log(TIMS_LOG_INFO, "tasks", "event=concurrency_changed name=%S concurrency=%zu",
             worker->store->worker_name, worker->concurrency);
    tasks__wake_worker(worker->tasks);
    return TIMS_OK;
}
