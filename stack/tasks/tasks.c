/* tasks.c: the process's tasks: names, queues, counts. */
#include <stdlib.h>
#include <string.h>

#include "tasks/tasks_internal.h"

/* --- checks ----------------------------------------------------------------------------------------------- */

static tims_status refuse(const tims_task *task, tims_error *err, const char *why)
{
    return tims_fail(err, TIMS_INVALID, "task", "task \"%s\": %s.", task->name, why);
}

static tims_status check_task(const tims_tasks *tasks, const tims_task *task, tims_error *err)
{
    size_t length = strlen(task->name);
    if (length == 0 || length > TASKS__NAME_BYTES_MAX)
        return refuse(task, err, "its name must have 1 to 200 bytes");
    if (task->run == NULL && !task->remote)
        return refuse(task, err, "it has no function");
    if (task->run != NULL && task->remote)
        return refuse(task, err, "it is .remote and has a function");
    if (task->remote && tasks->options.url.length == 0)
        return refuse(task, err, "it is .remote, and without TASKS_URL there is nobody else");
    if (task->priority < 0 || task->priority > TIMS_PRIORITY_LAST)
        return refuse(task, err, ".priority goes from 0 to 9");
    if (task->max_attempts < 0 || task->retry_after_ms < 0 || task->retry_max_ms < 0 || task->keep_s < 0 ||
        task->soft_timeout_ms < 0 || task->timeout_ms < 0 || task->key_concurrency < 0 ||
        task->memory_bytes < 0)
        return refuse(task, err, "a number in it is negative");
    if (task->soft_timeout_ms > 0 && task->timeout_ms > 0 && task->soft_timeout_ms >= task->timeout_ms)
        return refuse(task, err, ".soft_timeout_ms must be below .timeout_ms");
    if (task->memory_bytes > 0 && !task->blocking)
        return refuse(task, err, ".memory_bytes is for .blocking tasks");
    return tasks__check_limits(task, err);
}

static tims_status add_tasks(tims_tasks *tasks, tims_error *err)
{
    const tims_tasks_options *options = &tasks->options;
    for (size_t t = 0; t < options->task_table_count; t++)
        for (const tims_task *const *task = options->tasks[t]; *task != NULL; task++) {
            tims_status status = check_task(tasks, *task, err);
            if (status != TIMS_OK)
                return status;
            if (tims_map_set(tasks->by_name, tims_str_from((*task)->name), (void *)(uintptr_t)*task) != NULL)
                return refuse(*task, err, "there are two of this name");
        }
    return TIMS_OK;
}

static tims_status add_queues(tims_tasks *tasks, tims_error *err)
{
    const tims_tasks_options *options = &tasks->options;
    for (size_t t = 0; t < options->queue_table_count; t++)
        for (const tims_queue *queue = options->queues[t]; queue->name != NULL; queue++) {
            tims_status status = tasks__check_queue(queue, err);
            if (status != TIMS_OK)
                return status;
            if (tims_map_set(tasks->queue_rules, tims_str_from(queue->name), (void *)(uintptr_t)queue) !=
                NULL)
                return tims_fail(err, TIMS_INVALID, "queue", "queue \"%s\": there are two of this name.",
                                 queue->name);
        }
    return TIMS_OK;
}

static tims_status check_schedules(tims_tasks *tasks, tims_error *err)
{
    const tims_tasks_options *options = &tasks->options;
    tims_status status = TIMS_OK;
    tims_map *names = tims_map_new();
    for (size_t t = 0; status == TIMS_OK && t < options->schedule_table_count; t++)
        for (const tims_schedule *s = options->schedules[t]; status == TIMS_OK && s->name != NULL; s++) {
            status = tasks__check_schedule(tasks->arena, s, err);
            if (status == TIMS_OK && tims_tasks_find(tasks, tims_str_from(s->task->name)) != s->task)
                status = tims_fail(err, TIMS_INVALID, "schedule",
                                   "schedule \"%s\": its task is not among the app's.", s->name);
            if (status == TIMS_OK && tims_map_set(names, tims_str_from(s->name), tasks) != NULL)
                status = tims_fail(err, TIMS_INVALID, "schedule",
                                   "schedule \"%s\": there are two of this name.", s->name);
        }
    tims_map_free(&names);
    return status;
}

/* --- queues and counts ------------------------------------------------------------------------------------ */

const char *tasks__queue_of(const tims_task *task)
{
    return task->queue != NULL ? task->queue : "default";
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Whether a task that only others run waits there, and none of ours. */
static bool is_remote(const tims_tasks *tasks, const char *queue)
{
    size_t cursor = 0;
    tims_str name;
    void *value;
    bool is_ours = false, is_theirs = false;
    while (tims_map_next(tasks->by_name, &cursor, &name, &value))
        if (strcmp(tasks__queue_of(value), queue) == 0) {
            is_ours = is_ours || !((const tims_task *)value)->remote;
            is_theirs = is_theirs || ((const tims_task *)value)->remote;
        }
    return is_theirs && !is_ours;
}

static tims_names leave_out_remote(tims_tasks *tasks)
{
    const char **items = TIMS_NEW_ARRAY(tasks->arena, const char *, tasks->queues.count);
    size_t count = 0;
    for (size_t i = 0; i < tasks->queues.count; i++)
        if (!is_remote(tasks, tasks->queues.items[i]))
            items[count++] = tasks->queues.items[i];
    return (tims_names){ items, count };
}

static void collect_queues(tims_tasks *tasks)
{
    size_t cursor = 0, count = 0;
    tims_str name;
    void *value;
    size_t most = tims_map_count(tasks->by_name) + tims_map_count(tasks->queue_rules) + 1;
    const char **items = TIMS_NEW_ARRAY(tasks->arena, const char *, most);
    items[count++] = "default";
    while (tims_map_next(tasks->by_name, &cursor, &name, &value))
        items[count++] = tasks__queue_of(value);
    cursor = 0;
    while (tims_map_next(tasks->queue_rules, &cursor, &name, &value))
        items[count++] = ((const tims_queue *)value)->name;
    qsort(items, count, sizeof *items, compare_names);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || strcmp(items[kept - 1], items[i]) != 0)
            items[kept++] = items[i];
    tasks->queues = (tims_names){ items, kept };
    tasks->own_queues = leave_out_remote(tasks);
    tasks->count_count = kept + 1;
    tasks->counts = TIMS_NEW_ARRAY(tasks->arena, tasks__counts, tasks->count_count);
    for (size_t i = 0; i < kept; i++)
        tasks->counts[i].queue = tims_str_from(items[i]);
    tasks->counts[kept].queue = TIMS_STR("(other)");
}

static bool has_limits(const tims_tasks *tasks, tims_str queue)
{
    size_t cursor = 0;
    tims_str name;
    void *value;
    const tims_queue *rule = tasks__queue_rule(tasks, queue);
    if (rule != NULL && (rule->concurrency > 0 || rule->rate != NULL))
        return true;
    while (tims_map_next(tasks->by_name, &cursor, &name, &value)) {
        const tims_task *task = value;
        if ((task->key_concurrency > 0 || task->key_rate != NULL) &&
            tims_str_equal(tims_str_from(tasks__queue_of(task)), queue))
            return true;
    }
    return false;
}

static void collect_limited(tims_tasks *tasks)
{
    enum { NAMES_BYTES_MAX = 1024 * 1024 };
    tims_buf json;
    const char **items = TIMS_NEW_ARRAY(tasks->arena, const char *, tasks->queues.count);
    size_t count = 0;
    tims_buf_init(&json, tasks->arena, NAMES_BYTES_MAX);
    tims_json_writer w = tims_json_to(&json);
    tims_json_begin_array(&w);
    for (size_t i = 0; i < tasks->queues.count; i++)
        if (has_limits(tasks, tims_str_from(tasks->queues.items[i]))) {
            items[count++] = tasks->queues.items[i];
            tims_json_str(&w, tims_str_from(tasks->queues.items[i]));
        }
    tims_json_end_array(&w);
    tasks->limited = (tims_names){ items, count };
    tasks->limited_json = tims_buf_str(&json);
}

bool tasks__is_limited(const tims_tasks *tasks, tims_str queue)
{
    return tims_names_contain(tasks->limited, queue);
}

tasks__counts *tasks__counts_of(tims_tasks *tasks, tims_str queue)
{
    size_t last = tasks->count_count - 1;
    for (size_t i = 0; i < last; i++)
        if (tims_str_equal(tasks->counts[i].queue, queue))
            return &tasks->counts[i];
    return &tasks->counts[last];
}

const tims_queue *tasks__queue_rule(const tims_tasks *tasks, tims_str queue)
{
    return tims_map_get(tasks->queue_rules, queue);
}

/* --- life ------------------------------------------------------------------------------------------------- */

static void give_back(void *argument)
{
    tims_tasks *tasks = argument;
    TIMS_ASSERT(tasks->worker == NULL);
    pthread_mutex_destroy(&tasks->worker_lock);
    tims_map_free(&tasks->by_name);
    tims_map_free(&tasks->queue_rules);
    tasks__schedules_free(&tasks->schedules);
    tims_buf_free(&tasks->swept);
    if (tasks->store != tasks->sql)
        tasks__celery_store_free(&tasks->store);
    tasks__sql_store_free(&tasks->sql);
}

tims_status tims_tasks_new(tims_arena *arena, tims_db *db, const tims_tasks_options *options,
                           tims_tasks **ret_tasks, tims_error *err)
{
    tims_tasks *tasks = TIMS_NEW(arena, tims_tasks);
    tasks->magic = TASKS__MAGIC;
    tasks->db = db;
    tasks->arena = arena;
    tasks->options = *options;
    pthread_mutex_init(&tasks->worker_lock, NULL);
    tasks->by_name = tims_map_new();
    tasks->queue_rules = tims_map_new();
    tims_buf_init(&tasks->swept, NULL, 1024);
    tasks->sql = tasks__sql_store_new(tasks);
    tasks->store = tasks->sql;
    tims_arena_defer(arena, give_back, tasks);
    tims_status status = add_tasks(tasks, err);
    if (status == TIMS_OK)
        status = add_queues(tasks, err);
    if (status == TIMS_OK)
        status = check_schedules(tasks, err);
    if (status != TIMS_OK)
        return status;
    collect_queues(tasks);
    collect_limited(tasks);
    if (options->url.length > 0) {
        status = tasks__celery_store_new(tasks, options->url, &tasks->store, err);
        if (status != TIMS_OK) {
            tasks->store = tasks->sql;
            return status;
        }
    }
    *ret_tasks = tasks;
    return TIMS_OK;
}

const tims_task *tims_tasks_find(const tims_tasks *tasks, tims_str name)
{
    TIMS_CHECK_MAGIC(tasks, TASKS__MAGIC);
    return tims_map_get(tasks->by_name, name);
}

void tims_request_set_tasks(tims_request *rq, tims_tasks *tasks)
{
    TIMS_CHECK_MAGIC(tasks, TASKS__MAGIC);
    rq->slots[TIMS_SLOT_TASKS] = tasks;
}

tims_tasks *tasks__of(const tims_request *rq)
{
    tims_tasks *tasks = rq->slots[TIMS_SLOT_TASKS];
    TIMS_CHECK_MAGIC(tasks, TASKS__MAGIC);
    return tasks;
}

tims_time tasks__now(const tims_tasks *tasks)
{
    return (tims_time){ tims_now().us + atomic_load_explicit(&tasks->clock_offset_us, memory_order_relaxed) +
                        tasks->test_clock_us };
}
