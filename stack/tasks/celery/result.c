/* result.c: results as Celery's clients read them, and those of tasks that Python ran.
 *
 * The client makes an exception of the name that it is told; what it does not know becomes one of its own. */
#include "tasks/celery/celery_internal.h"

/* --- out --------------------------------------------------------------------------------------------------------- */

void celery__result_write_error(tims_json_writer *w, const celery__result *result)
{
    tims_json_begin_object(w);
    tims_json_key(w, TIMS_STR("exc_type"));
    tims_json_str(w, tims_str_from(result->error_type));
    tims_json_key(w, TIMS_STR("exc_message"));
    tims_json_begin_array(w);
    tims_json_str(w, result->error);
    tims_json_end_array(w);
    tims_json_key(w, TIMS_STR("exc_module"));
    tims_json_str(w, tims_str_from(result->error_module));
    tims_json_end_object(w);
}

static void write_opt(tims_json_writer *w, const char *key, tims_str text)
{
    if (text.length == 0)
        return;
    tims_json_key(w, tims_str_from(key));
    tims_json_str(w, text);
}

void celery__result_write(tims_buf *out, const celery__result *result)
{
    char time[TIMS_TIME_TEXT_LENGTH];
    tims_json_writer w = tims_json_to(out);
    tims_json_begin_object(&w);
    tims_json_key(&w, TIMS_STR("status"));
    tims_json_str(&w, tims_str_from(result->state));
    tims_json_key(&w, TIMS_STR("result"));
    if (result->error_type != NULL)
        celery__result_write_error(&w, result);
    else
        tims_json_raw(&w, result->value.data != NULL ? result->value : TIMS_STR("null"));
    tims_json_key(&w, TIMS_STR("traceback"));
    if (result->traceback.length > 0)
        tims_json_str(&w, result->traceback);
    else
        tims_json_null(&w);
    tims_json_key(&w, TIMS_STR("children"));
    tims_json_raw(&w, result->children.data != NULL ? result->children : TIMS_STR("[]"));
    tims_json_key(&w, TIMS_STR("date_done"));
    tims_time_format(result->done_at, time);
    if (result->done_at.us != 0) /* without the Z: Celery's times have no zone and are UTC */
        tims_json_str(&w, (tims_str){ time, sizeof time - 1 });
    else
        tims_json_null(&w);
    write_opt(&w, "group_id", result->group);
    write_opt(&w, "parent_id", result->parent_id);
    tims_json_key(&w, TIMS_STR("task_id"));
    tims_json_str(&w, result->id);
    tims_json_end_object(&w);
}

/* --- of an end ---------------------------------------------------------------------------------------------------- */

typedef struct exception {
    const char *code, *type, *module;
} exception;

static void name_exception(celery__result *result, const char *code)
{
    static const exception exceptions[] = {
        { "unknown_task", "NotRegistered", "celery.exceptions" },
        { "invalid_arguments", "TypeError", "builtins" },
        { "arguments_version", "TypeError", "builtins" },
        { "timeout", "TimeLimitExceeded", "billiard.exceptions" },
        { "crashed", "WorkerLostError", "billiard.exceptions" },
        { "not_found", "LookupError", "builtins" },
        { "forbidden", "PermissionError", "builtins" },
        { "malformed_message", "DecodeError", "kombu.exceptions" },
    };
    result->error_type = "RuntimeError";
    result->error_module = "builtins";
    for (size_t i = 0; code != NULL && i < sizeof exceptions / sizeof *exceptions; i++)
        if (strcmp(exceptions[i].code, code) == 0) {
            result->error_type = exceptions[i].type;
            result->error_module = exceptions[i].module;
        }
}

void celery__result_of(tims_arena *arena, const tasks__outcome *outcome, tims_time now,
                       celery__result *ret_result)
{
    const tasks__job *job = outcome->job;
    const celery__message *message = celery__message_of(job);
    *ret_result = (celery__result){ .state = "SUCCESS",
                                    .id = message->id,
                                    .parent_id = message->parent_id,
                                    .group = message->group,
                                    .value = outcome->result,
                                    .done_at = now };
    if (outcome->end == TASKS__DONE)
        return;
    if (outcome->end == TASKS__CANCELLED || outcome->end == TASKS__EXPIRED) {
        ret_result->state = "REVOKED";
        ret_result->error_type = "TaskRevokedError";
        ret_result->error_module = "celery.exceptions";
        ret_result->error = outcome->end == TASKS__EXPIRED ? TIMS_STR("expired") : TIMS_STR("revoked");
        return;
    }
    name_exception(ret_result, outcome->code);
    ret_result->state = outcome->end == TASKS__AGAIN ? "RETRY" : "FAILURE";
    ret_result->error = outcome->message;
    if (strcmp(ret_result->error_type, "NotRegistered") == 0)
        ret_result->error = job->task;
    ret_result->traceback =
        tims_print(arena, "%s: %S", outcome->code != NULL ? outcome->code : "failed", outcome->message);
    if (outcome->end == TASKS__AGAIN) {
        ret_result->done_at.us = 0;
        tims_buf children;
        tims_buf_init(&children, arena, 8 * CELERY__ID_BYTES_MAX);
        tims_buf_print(&children, "[[[");
        tims_json_escape(&children, message->id);
        tims_buf_print(&children, ",null],null]]");
        ret_result->children = tims_buf_str(&children);
    }
}

/* --- in ------------------------------------------------------------------------------------------------------------ */

/* "exc_message" is a list of the exception's arguments, or text. */
static tims_str read_message(tims_arena *arena, const tims_json *value)
{
    const tims_json *first = value;
    if (value != NULL && tims_json_type_of(value) == TIMS_JSON_ARRAY)
        first = tims_json_count(value) == 1 ? tims_json_at(value, 0) : value;
    if (first == NULL)
        return TIMS_STR("");
    tims_str text = tims_json_as_str(first, (tims_str){ 0 });
    return text.data != NULL ? text : tims_json_to_text(arena, first);
}

static bool is_error(tims_str state)
{
    return tims_str_equal(state, TIMS_STR("FAILURE")) || tims_str_equal(state, TIMS_STR("RETRY")) ||
           tims_str_equal(state, TIMS_STR("REVOKED"));
}

tims_status celery__result_read(tims_arena *arena, tims_str text, tims_task_outcome *ret_outcome,
                                tims_error *err)
{
    const tims_json *root;
    tims_status status = tims_json_parse(arena, text, &root, err);
    if (status != TIMS_OK)
        return tims_fail(err, TIMS_INVALID, "malformed_result", "The result is no JSON.");
    tims_str state = tims_json_get_str(root, TIMS_STR("status"), TIMS_STR(""));
    if (state.length == 0)
        return tims_fail(err, TIMS_INVALID, "malformed_result", "The result has no status.");
    const tims_json *value = tims_json_get(root, TIMS_STR("result"));
    *ret_outcome = (tims_task_outcome){ .state = state, .error_type = TIMS_STR(""), .error = TIMS_STR("") };
    if (is_error(state)) {
        ret_outcome->error_type = tims_json_get_str(value, TIMS_STR("exc_type"), TIMS_STR(""));
        ret_outcome->error = read_message(arena, tims_json_get(value, TIMS_STR("exc_message")));
    } else {
        ret_outcome->result = value;
    }
    return TIMS_OK;
}

tims_task_outcome tims_task_result(tims_request *rq, tims_id job)
{
    tims_tasks *tasks = tasks__of(rq);
    tims_error err = { 0 };
    const tims_redis_reply *reply;
    tims_task_outcome outcome = { .state = TIMS_STR("PENDING"),
                                  .error_type = TIMS_STR(""),
                                  .error = TIMS_STR("") };
    if (tasks->store == tasks->sql)
        tims_raise(rq, 503, "no_redis", "Results are on Redis only: set TASKS_URL.");
    celery__store *celery = celery__of(tasks->store);
    tims_str key = tims_print(rq->arena, "celery-task-meta-%I", job);
    tims_check(
        rq, tims_redis_call(celery->redis, rq->arena, TIMS_REDIS_COMMAND(TIMS_STR("GET"), key), &reply, &err),
        &err);
    tims_str text = tims_redis_text(reply);
    if (text.length > 0 && celery__result_read(rq->arena, text, &outcome, &err) != TIMS_OK)
        tims_raise(rq, 502, "malformed_result", "%s", err.message);
    return outcome;
}
