/* actions.c: what is done about jobs over HTTP. */
#include "tasks/api/api_internal.h"

enum { RETRIES_MAX = 500 };

static void wake_after_commit(void *argument)
{
    tims_tasks *tasks = argument;
    tasks__wake(tasks, (tims_time){ 0 });
}

/* --- enqueuing -------------------------------------------------------------------------------------------- */

typedef struct enqueue_body {
    tims_str task;
    tims_json_text arguments;
    double delay_s;
    tims_opt_time run_at, expires_at;
    tims_str queue;
    tims_opt_int priority;
    tims_str unique, key;
} enqueue_body;

const tims_shape tasks__enqueue_shape = {
    .name = "enqueue_task",
    .doc = "A job to be.",
    .size = sizeof(enqueue_body),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(enqueue_body, task, .required = true, .max_length = TASKS__NAME_BYTES_MAX,
                   .doc = "The task, by name."),
        TIMS_FIELD(enqueue_body, arguments, .default_value = "{}", .max_length = TIMS_ARGUMENTS_BYTES_MAX,
                   .doc = "Its arguments: an object."),
        TIMS_FIELD(enqueue_body, delay_s, .doc = "Seconds until it may run."),
        TIMS_FIELD(enqueue_body, run_at, .doc = "When it may run; not together with delay_s."),
        TIMS_FIELD(enqueue_body, expires_at, .doc = "After this it is not begun any more."),
        TIMS_FIELD(enqueue_body, queue, .max_length = TASKS__NAME_BYTES_MAX, .doc = "Not the task's own."),
        TIMS_FIELD(enqueue_body, priority, .min = 0, .max = TIMS_PRIORITY_LAST, .doc = "0 is first."),
        TIMS_FIELD(enqueue_body, unique, .max_length = TIMS_TASK_KEY_BYTES_MAX,
                   .doc = "While a job of the task with this key waits, there is no other."),
        TIMS_FIELD(enqueue_body, key, .max_length = TIMS_TASK_KEY_BYTES_MAX,
                   .doc = "Whose jobs share the task's limits.")),
};

/* The same as tims_enqueue_json would say, with pointers into this body. */
static const tims_json *check_arguments(tims_request *rq, const tims_task *task, tims_str text)
{
    const tims_json *value;
    tims_error err = { 0 };
    tims_check(rq, tims_json_parse(rq->arena, text, &value, &err), &err);
    void *scratch = tims_alloc(rq->arena, task->size > 0 ? task->size : 1);
    if (tims_json_type_of(value) != TIMS_JSON_OBJECT)
        tims_error_field(rq->arena, &err, TIMS_STR("/arguments"), "type", "Must be an object.");
    else if (tims_json_bind(rq->arena, value, task->fields, TIMS_BIND_CREATE, scratch, NULL, &err) != TIMS_OK)
        for (tims_field_error *field = err.fields; field != NULL; field = field->next)
            field->pointer = tims_print(rq->arena, "/arguments%S", field->pointer);
    if (err.status != TIMS_OK)
        tims_raise_error(rq, &err);
    return value;
}

static void check_times(tims_request *rq, const enqueue_body *body)
{
    const double longest_s = 100.0 * 365 * 86400;
    tims_error err = { 0 };
    if (body->delay_s < 0)
        tims_error_field(rq->arena, &err, TIMS_STR("/delay_s"), "min", "Must not be negative.");
    if (body->delay_s > longest_s)
        tims_error_field(rq->arena, &err, TIMS_STR("/delay_s"), "max", "Must be at most a hundred years.");
    if (body->delay_s > 0 && body->run_at.present)
        tims_error_field(rq->arena, &err, TIMS_STR("/run_at"), "both",
                         "Cannot be given together with delay_s.");
    if (err.status != TIMS_OK)
        tims_raise_error(rq, &err);
}

tims_answer tasks__answer_enqueue(tims_request *rq)
{
    const enqueue_body *body = tims_body_shape(rq, &tasks__enqueue_shape);
    const tims_task *task = tims_tasks_find(tasks__of(rq), body->task);
    if (task == NULL)
        tims_raise(rq, 404, "unknown_task", "There is no task \"%.*s\".", TIMS_PRINT(body->task));
    check_times(rq, body);
    const tims_json *arguments = check_arguments(rq, task, body->arguments.text);
    const tims_enqueue_options options = {
        .delay_ms = (int64_t)(body->delay_s * 1000),
        .run_at = body->run_at.value,
        .expires_at = body->expires_at.value,
        .queue = body->queue.length > 0 ? tims_copy_c(rq->arena, body->queue) : NULL,
        .priority = body->priority,
        .key = body->key,
        .unique = body->unique,
    };
    tims_id id = tims_enqueue_json(rq, body->task, arguments, &options);
    return tims_answer_json(201, tims_print(rq->arena, "{\"id\":\"%I\"}", id));
}

/* --- cancelling ------------------------------------------------------------------------------------------- */

/* Whose it is never changes, so it is asked before the transaction, which takes job and row in the order of a
 * job's end. */
tims_answer tasks__answer_cancel(tims_request *rq)
{
    tims_id id = tims_path_id(rq, "id");
    tims_caller caller = tims_caller_of(rq);
    const tasks__status_row *status = tims_find(rq, &tasks__status_model, id);
    bool is_own = status != NULL && status->user.present && tims_same_id(status->user.value, caller.user);
    if (!caller.staff && !is_own)
        tims_raise(rq, 404, "not_found", "There is no such job.");
    if (!tims_cancel(rq, id)) {
        if (status != NULL)
            tims_raise(rq, 409, "ended", "This job has ended already.");
        tims_raise(rq, 404, "not_found", "There is no such job.");
    }
    tims_db_on_commit(tims_session_db(rq), wake_after_commit, tasks__of(rq));
    return tims_answer_empty(204);
}

/* --- queues and schedules --------------------------------------------------------------------------------- */

static bool set_paused(tims_request *rq, tims_str sql, tims_str name, bool paused)
{
    const tims_db_value values[] = { tims_db_text(name), tims_db_int(paused) };
    return tims_sql_run(rq, sql, values, 2) > 0;
}

/* Also before any worker has run, which makes the rows. */
static tims_answer pause_queue(tims_request *rq, bool paused)
{
    tims_tasks *tasks = tasks__of(rq);
    tims_str name = tims_path_str(rq, "name");
    const tims_str sql = TIMS_STR("UPDATE tims_queue SET paused = ?2 WHERE name = ?1");
    tims_error err = { 0 };
    tims_begin(rq);
    if (tims_names_contain(tasks->queues, name))
        tims_check(rq, tasks__add_queue(tims_session_db(rq), name, tasks__now(tasks), &err), &err);
    if (!set_paused(rq, sql, name, paused))
        tims_raise(rq, 404, "unknown_queue", "There is no queue \"%.*s\".",
                   TIMS_PRINT(tims_str_slice(name, 0, TASKS__NAME_BYTES_MAX)));
    tims_db_on_commit(tims_session_db(rq), wake_after_commit, tasks);
    tims_log(TIMS_LOG_INFO, "tasks", "event=%s queue=%S by=%I", paused ? "paused" : "resumed", name,
             tims_caller_of(rq).user);
    return tims_answer_empty(204);
}

tims_answer tasks__answer_pause_queue(tims_request *rq)
{
    return pause_queue(rq, true);
}

tims_answer tasks__answer_resume_queue(tims_request *rq)
{
    return pause_queue(rq, false);
}

static tims_answer pause_schedule(tims_request *rq, bool paused)
{
    tims_str name = tims_path_str(rq, "name");
    const tims_str sql = TIMS_STR("UPDATE tims_schedule SET paused = ?2 WHERE name = ?1");
    if (!set_paused(rq, sql, name, paused))
        tims_raise(rq, 404, "unknown_schedule", "There is no schedule \"%.*s\".",
                   TIMS_PRINT(tims_str_slice(name, 0, TASKS__NAME_BYTES_MAX)));
    tims_db_on_commit(tims_session_db(rq), wake_after_commit, tasks__of(rq));
    tims_log(TIMS_LOG_INFO, "tasks", "event=%s schedule=%S by=%I", paused ? "paused" : "resumed", name,
             tims_caller_of(rq).user);
    return tims_answer_empty(204);
}

tims_answer tasks__answer_pause_schedule(tims_request *rq)
{
    return pause_schedule(rq, true);
}

tims_answer tasks__answer_resume_schedule(tims_request *rq)
{
    return pause_schedule(rq, false);
}

/* --- the dead list ---------------------------------------------------------------------------------------- */

tims_answer tasks__answer_retry_dead(tims_request *rq)
{
    if (!tasks__dead_retry(rq, tims_path_id(rq, "id")))
        tims_raise(rq, 404, "not_found", "There is no such job in the dead list.");
    return tims_answer_empty(204);
}

tims_answer tasks__answer_remove_dead(tims_request *rq)
{
    if (!tasks__dead_remove(rq, tims_path_id(rq, "id")))
        tims_raise(rq, 404, "not_found", "There is no such job in the dead list.");
    return tims_answer_empty(204);
}

typedef struct retry_body {
    tims_str task, queue;
} retry_body;

const tims_shape tasks__retry_shape = {
    .name = "retry_dead",
    .doc = "Which dead jobs to retry.",
    .size = sizeof(retry_body),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(retry_body, task, .max_length = TASKS__NAME_BYTES_MAX, .doc = "Of this task."),
        TIMS_FIELD(retry_body, queue, .max_length = TASKS__NAME_BYTES_MAX, .doc = "Of this queue.")),
};

/* Foreign messages that could not be read stay: there is nothing to enqueue. */
static const tims_id *find_retried(tims_request *rq, const retry_body *body, size_t *ret_count)
{
    size_t count = 0;
    tims_error err = { 0 };
    tims_id *ids = TIMS_NEW_ARRAY(rq->arena, tims_id, RETRIES_MAX);
    const tims_db_value values[] = { tims_db_text(body->task), tims_db_text(body->queue),
                                     tims_db_int(RETRIES_MAX) };
    tims_db_rows *rows = tims_sql_query(
        rq,
        TIMS_STR("SELECT id FROM tims_job_dead WHERE (?1 = '' OR task = ?1) AND (?2 = '' OR queue = ?2) AND "
                 "foreign_message IS NULL ORDER BY died_at LIMIT ?3"),
        values, 3);
    while (count < RETRIES_MAX && tims_db_next(rows))
        ids[count++] = tims_db_get_id(rows, 0);
    tims_check(rq, tims_db_rows_end(&rows, &err), &err);
    *ret_count = count;
    return ids;
}

tims_answer tasks__answer_retry_many_dead(tims_request *rq)
{
    const retry_body *body = tims_body_shape(rq, &tasks__retry_shape);
    size_t count;
    int64_t retried = 0;
    tims_error err = { 0 };
    if (body->task.length == 0 && body->queue.length == 0)
        tims_error_field(rq->arena, &err, TIMS_STR("/task"), "required", "Name a task or a queue.");
    if (err.status != TIMS_OK)
        tims_raise_error(rq, &err);
    tims_begin(rq);
    const tims_id *ids = find_retried(rq, body, &count);
    for (size_t i = 0; i < count; i++)
        retried += tasks__dead_retry(rq, ids[i]);
    return tims_answer_json(200, tims_print(rq->arena, "{\"retried\":%lld}", (long long)retried));
}
