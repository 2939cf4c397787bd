/* run.c: one attempt at a job: arguments bound, the function called as a request that no client made, its end
 * weighed.
 *
 * If the function wrote to the database, the job's end goes into its transaction; then what it did and that
 * it is done are one fact. Otherwise the worker writes the end together with others'. */
#include <math.h>
#include <stdlib.h>

#include "tasks/tasks_internal.h"

enum {
    MS_US = 1000,
    SECOND_US = 1000000,
    RETRY_AFTER_MS = 5000,
    RETRY_MAX_MS = 3600 * 1000,
    ATTEMPTS_MAX = 10,
    SERIALIZATIONS_MAX = 3,
    OUTCOME_BYTES_MAX = 4 * 1024 * 1024,
    MESSAGE_BYTES_MAX = 2000,
    PROGRESS_TEXT_MAX = 1000,
};

typedef enum verdict { NO_VERDICT, RETRY, HAND_BACK, GIVE_UP } verdict;

typedef struct attempt {
    tims_run run;
    tims_tasks *tasks;
    tasks__store *store;
    tasks__job *job;
    tasks__control *control;
    tasks__outcome *outcome;
    verdict verdict;
    int64_t retry_after_ms;
    const char *bad_code; /* it could not even be called: why, and whether another try may help */
    bool may_help;
} attempt;

static attempt *attempt_of(const tims_run *run)
{
    TIMS_CHECK_MAGIC(run, TASKS__RUN_MAGIC);
    return run->runner;
}

tims_str tasks__keep(tasks__outcome *outcome, tims_str text)
{
    if (outcome->arena == NULL)
        outcome->arena = tims_arena_new(OUTCOME_BYTES_MAX, NULL, NULL);
    return tims_copy(outcome->arena, text);
}

/* What can be stored and shown: UTF-8, cut where a character ends. */
static tims_str keep_message(tasks__outcome *outcome, tims_str message)
{
    tims_str cut = tims_str_slice(message, 0, MESSAGE_BYTES_MAX);
    for (int i = 0; i < 3 && cut.length > 0 && !tims_str_is_utf8(cut); i++)
        cut.length--;
    if (tims_str_is_utf8(cut) && memchr(cut.data, 0, cut.length) == NULL)
        return tasks__keep(outcome, cut);
    cut = tasks__keep(outcome, tims_str_slice(message, 0, MESSAGE_BYTES_MAX));
    for (char *at = (char *)(uintptr_t)cut.data, *end = at + cut.length; at < end; at++)
        *at = (uint8_t)*at >= 0x80 || *at == '\0' ? '?' : *at;
    return cut;
}

/* --- for the function ------------------------------------------------------------------------------------- */

bool tims_should_stop(const tims_run *run)
{
    return atomic_load_explicit(&attempt_of(run)->control->stop, memory_order_relaxed);
}

void tims_progress(tims_run *run, double fraction, const char *format, ...)
{
    attempt *a = attempt_of(run);
    char text[PROGRESS_TEXT_MAX]; /* not in the arena, which would grow with each call */
    tims_buf out = { .data = text, .capacity = sizeof text, .max = sizeof text };
    if (!a->job->tracked || a->control->on_progress == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    tims_buf_print_v(&out, format, arguments);
    va_end(arguments);
    if (!(fraction >= 0))
        fraction = 0;
    a->control->on_progress(a->control, fraction > 1 ? 1 : fraction, tims_buf_str(&out));
}

void tims_result(tims_run *run, tims_str json)
{
    attempt *a = attempt_of(run);
    const tims_json *value;
    tims_error err = { 0 };
    if (json.length > TASKS__RESULT_BYTES_MAX)
        tims_raise(run->rq, 500, "result_too_large", "A result may have at most 1 MiB.");
    if (tims_json_parse(run->rq->arena, json, &value, &err) != TIMS_OK)
        tims_raise(run->rq, 500, "result", "The result is no JSON: %s", err.message);
    tims_arena_free(&a->outcome->arena); /* of the call before, if there was one */
    a->outcome->result = tasks__keep(a->outcome, json);
}

void tims_retry(tims_run *run, int64_t after_ms)
{
    attempt *a = attempt_of(run);
    a->verdict = RETRY;
    a->retry_after_ms = after_ms;
    tims_raise(run->rq, 503, "retry", "The task asks to be tried again.");
}

void tims_hand_back(tims_run *run)
{
    attempt_of(run)->verdict = HAND_BACK;
    tims_raise(run->rq, 503, "handed_back", "The task hands its job back.");
}

void tims_give_up(tims_run *run, const char *code, const char *format, ...)
{
    attempt *a = attempt_of(run);
    va_list arguments;
    va_start(arguments, format);
    tims_str text = tims_print_v(run->rq->arena, format, arguments);
    va_end(arguments);
    a->verdict = GIVE_UP;
    a->outcome->code = tasks__keep(a->outcome, tims_str_from(code)).data;
    a->outcome->message = keep_message(a->outcome, text);
    tims_raise(run->rq, 500, "gave_up", "%.*s", TIMS_PRINT(tims_str_slice(text, 0, 200)));
}

/* --- the policy of retries -------------------------------------------------------------------------------- */

static int64_t pause_ms(const tims_task *task, int64_t number)
{
    int64_t first = task != NULL && task->retry_after_ms > 0 ? task->retry_after_ms : RETRY_AFTER_MS;
    int64_t most = task != NULL && task->retry_max_ms > 0 ? task->retry_max_ms : RETRY_MAX_MS;
    uint32_t random;
    tims_random(&random, sizeof random);
    double pause = ldexp((double)first, (int)(number < 40 ? number - 1 : 39));
    if (pause > (double)most)
        pause = (double)most;
    return (int64_t)(pause * (0.75 + 0.5 * ((double)random / UINT32_MAX)));
}

void tasks__fail(tims_tasks *tasks, const tims_task *task, tasks__outcome *outcome, const char *code,
                 tims_str message)
{
    const tasks__job *job = outcome->job;
    int64_t most = task != NULL && task->max_attempts > 0 ? task->max_attempts : ATTEMPTS_MAX;
    bool is_poison = outcome->crashed && job->crashes + 1 >= TASKS__CRASHES_MAX;
    outcome->code = code;
    outcome->message = keep_message(outcome, message);
    outcome->end = is_poison || job->attempt >= most ? TASKS__DEAD : TASKS__AGAIN;
    outcome->run_at.us = tasks__now(tasks).us + pause_ms(task, job->attempt) * MS_US;
}

/* --- the call --------------------------------------------------------------------------------------------- */

static tims_str upgraded_arguments(const attempt *a, tims_arena *arena)
{
    const tims_task *task = a->run.task;
    if (a->job->version == task->version)
        return a->job->arguments;
    if (a->job->version > task->version || task->upgrade == NULL)
        return (tims_str){ 0 };
    return task->upgrade(arena, a->job->version, a->job->arguments);
}

/* NULL: `bad_code` says why, and the error more. */
static void *bind_arguments(attempt *a, tims_arena *arena, tims_error *err)
{
    const tims_json *value;
    const tims_task *task = a->run.task;
    tims_str text = upgraded_arguments(a, arena);
    if (text.data == NULL) {
        a->bad_code = "arguments_version";
        a->may_help = a->job->version > task->version; /* a newer worker knows them */
        (void)!tims_fail(err, TIMS_INVALID, NULL, "The arguments are of version %lld, the task's of %lld.",
                         (long long)a->job->version, (long long)task->version);
        return NULL;
    }
    void *arguments = tims_alloc(arena, task->size > 0 ? task->size : 1);
    tims_status status = tims_json_parse(arena, text, &value, err);
    if (status == TIMS_OK)
        status = tims_json_bind(arena, value, task->fields, TIMS_BIND_CREATE, arguments, NULL, err);
    if (status == TIMS_OK)
        return arguments;
    a->bad_code = "invalid_arguments";
    return NULL;
}

static void call(tims_request *rq, void *argument)
{
    attempt *a = argument;
    tims_error err = { 0 };
    a->run.rq = rq;
    rq->slots[TIMS_SLOT_RUN] = &a->run;
    a->tasks->options.begin(rq);
    tims_request_set_caller(rq, (tims_caller){ .trusted = true, .user = a->run.user });
    const void *arguments = bind_arguments(a, rq->arena, &err);
    if (arguments == NULL) {
        const tims_field_error *field = err.fields;
        if (field != NULL)
            (void)!tims_fail(&err, err.status, NULL, "%.*s: %.*s", TIMS_PRINT(field->pointer),
                             TIMS_PRINT(field->message));
        tims_raise_error(rq, &err);
    }
    a->run.task->run(&a->run, arguments);
}

/* What the function wrote and the job's end: one transaction, or none. */
static void complete(tims_request *rq, tims_answer *answer)
{
    const tims_run *run = rq->slots[TIMS_SLOT_RUN];
    (void)answer;
    if (run == NULL || !tims_in_transaction(rq))
        return;
    attempt *a = attempt_of(run);
    if (rq->has_raised) {
        tims_rollback(rq);
        return;
    }
    tims_error err = { 0 };
    tims_db_session *session = tims_session_db(rq);
    tims_status status = TIMS_OK;
    a->outcome->end = TASKS__DONE;
    if (a->store->api->finish_in != NULL)
        status = a->store->api->finish_in(a->store, session, a->outcome, &err);
    if (status == TIMS_OK)
        status = tims_db_commit(session, &err);
    else
        tims_rollback(rq);
    if (status == TIMS_NOT_FOUND) {
        a->outcome->end = TASKS__LOST;
    } else if (status != TIMS_OK) {
        rq->raised = err;
        rq->has_raised = true;
    } else if (a->store->api->finish_in != NULL) {
        a->outcome->end = TASKS__COMMITTED;
    }
}

/* --- weighing --------------------------------------------------------------------------------------------- */

bool tasks__overrule(const tasks__control *control, tasks__outcome *outcome)
{
    if (control->lost)
        outcome->end = TASKS__LOST;
    else if (atomic_load(&control->cancelled))
        outcome->end = TASKS__CANCELLED;
    else if (control->handed_back)
        outcome->end = TASKS__BACK;
    else
        return false;
    return true;
}

void tasks__fail_late(tims_tasks *tasks, const tims_task *task, tasks__outcome *outcome)
{
    tasks__fail(tasks, task, outcome, "timeout", TIMS_STR("It took longer than its timeout."));
}

static void weigh_failure(attempt *a, const tims_error *err)
{
    tasks__outcome *outcome = a->outcome;
    const tims_task *task = a->run.task;
    tims_str message = tims_str_from(err->message);
    const tasks__control *control = a->control;
    outcome->result = (tims_str){ 0 };
    if (tasks__overrule(control, outcome))
        return;
    if (a->verdict == HAND_BACK) {
        outcome->end = TASKS__BACK;
    } else if (a->verdict == GIVE_UP) {
        outcome->end = TASKS__DEAD;
    } else if (a->bad_code != NULL && !a->may_help) {
        outcome->end = TASKS__DEAD;
        outcome->code = a->bad_code;
        outcome->message = keep_message(outcome, message);
    } else if (atomic_load(&control->killed)) {
        tasks__fail_late(a->tasks, task, outcome);
    } else {
        const char *code =
            a->bad_code != NULL ? a->bad_code : tasks__keep(outcome, tims_str_from(err->code)).data;
        tasks__fail(a->tasks, task, outcome, code, message);
        if (a->verdict == RETRY && a->retry_after_ms >= 0)
            outcome->run_at.us = tasks__now(a->tasks).us + a->retry_after_ms * MS_US;
        else if (err->retry_after_s > 0) /* what it needs has said when to come again */
            outcome->run_at.us = tasks__now(a->tasks).us + (int64_t)err->retry_after_s * SECOND_US;
    }
}

void tasks__log_failure(const tasks__outcome *outcome)
{
    const tasks__job *job = outcome->job;
    if (outcome->end == TASKS__AGAIN)
        tims_log(TIMS_LOG_WARN, "tasks", "event=failed task=%S job=%I attempt=%lld code=%s message=%S",
                 job->task, job->id, (long long)job->attempt, outcome->code, outcome->message);
    else if (outcome->end == TASKS__DEAD)
        tims_log(TIMS_LOG_ERROR, "tasks", "event=dead task=%S job=%I attempt=%lld code=%s message=%S",
                 job->task, job->id, (long long)job->attempt, outcome->code, outcome->message);
}

/* Ends that need no call. */
static bool ends_at_once(attempt *a)
{
    tasks__outcome *outcome = a->outcome;
    const tasks__job *job = a->job;
    if (a->run.task == NULL || a->run.task->remote) {
        tasks__fail(a->tasks, NULL, outcome, "unknown_task", TIMS_STR("No task of this name is known here."));
    } else if (job->crashes >= TASKS__CRASHES_MAX) {
        outcome->end = TASKS__DEAD;
        outcome->code = "crashed";
        outcome->message = TIMS_STR("Each of its runs ended with the death of its process.");
    } else if (job->expires_at.present && job->expires_at.value.us <= tasks__now(a->tasks).us) {
        outcome->end = TASKS__EXPIRED;
    } else if (atomic_load(&a->control->cancelled)) {
        outcome->end = TASKS__CANCELLED;
    } else {
        return false;
    }
    return true;
}

void tasks__run_job(tims_tasks *tasks, tims_loop *loop, tasks__store *store, tasks__job *job,
                    tasks__control *control, tasks__outcome *ret_outcome)
{
    int64_t began_us = tims_monotonic_us();
    *ret_outcome = (tasks__outcome){ .job = job, .end = TASKS__DONE };
    attempt a = { .run = { .magic = TASKS__RUN_MAGIC,
                           .task = tims_tasks_find(tasks, job->task),
                           .id = job->id,
                           .user = job->user.value,
                           .attempt = job->attempt,
                           .previous = job->previous.value },
                  .tasks = tasks,
                  .store = store,
                  .job = job,
                  .control = control,
                  .outcome = ret_outcome };
    a.run.runner = &a;
    if (!ends_at_once(&a)) {
        tims_error err = { 0 };
        tims_status status = TIMS_CONFLICT;
        for (int i = 0; i < SERIALIZATIONS_MAX && status == TIMS_CONFLICT; i++) {
            err = (tims_error){ 0 };
            ret_outcome->result = (tims_str){ 0 };
            a.verdict = NO_VERDICT;
            status = tims_request_run(loop, tasks->options.server_data, call, &a, complete, &err);
            if (status == TIMS_CONFLICT && (err.code == NULL || strcmp(err.code, "serialization") != 0))
                break;
        }
        if (status != TIMS_OK)
            weigh_failure(&a, &err);
    }
    ret_outcome->runtime_us = tims_monotonic_us() - began_us;
    tasks__log_failure(ret_outcome);
}
