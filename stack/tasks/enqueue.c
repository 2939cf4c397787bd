/* enqueue.c: what an app asks for becomes a row, in the transaction that asks. */
#include "tasks/sql/job_row.h"

#include "tims/crypto.h"

enum { MS_US = 1000 };

/* --- arguments -------------------------------------------------------------------------------------------- */

/* What cannot be bound again must not be stored. */
static tims_status check_arguments(tims_arena *arena, const tims_task *task, const tims_json *arguments,
                                   tims_error *err)
{
    void *scratch = tims_alloc(arena, task->size > 0 ? task->size : 1);
    return tims_json_bind(arena, arguments, task->fields, TIMS_BIND_CREATE, scratch, NULL, err);
}

static tims_status check_size(const tims_task *task, size_t bytes, tims_error *err)
{
    if (bytes > TIMS_ARGUMENTS_BYTES_MAX)
        return tims_fail(err, TIMS_INVALID, "too_large", "The arguments of \"%s\" may have at most %d bytes.",
                         task->name, TIMS_ARGUMENTS_BYTES_MAX);
    return TIMS_OK;
}

tims_status tasks__arguments_text(tims_arena *arena, const tims_task *task, const void *arguments,
                                  tims_str *ret_text, tims_error *err)
{
    tims_buf out;
    const tims_json *value;
    *ret_text = TIMS_STR("{}");
    if (task->fields.count == 0)
        return TIMS_OK;
    if (arguments == NULL)
        return tims_fail(err, TIMS_INVALID, NULL, "The task \"%s\" takes arguments.", task->name);
    tims_buf_init(&out, arena, 2 * TIMS_ARGUMENTS_BYTES_MAX);
    tims_json_writer w = tims_json_to(&out);
    tims_json_object(&w, task->fields, arguments, 0);
    tims_status status = check_size(task, out.overflow ? SIZE_MAX : out.length, err);
    if (status == TIMS_OK)
        status = tims_json_parse(arena, tims_buf_str(&out), &value, err);
    if (status == TIMS_OK)
        status = check_arguments(arena, task, value, err);
    *ret_text = tims_buf_str(&out);
    return status;
}

tims_str tasks__write_arguments(tims_request *rq, const tims_task *task, const void *arguments)
{
    tims_str text;
    tims_error err = { 0 };
    tims_check(rq, tasks__arguments_text(rq->arena, task, arguments, &text, &err), &err);
    return text;
}

/* --- the job ---------------------------------------------------------------------------------------------- */

static tims_opt_id user_of(tims_request *rq)
{
    const tims_run *run = rq->slots[TIMS_SLOT_RUN];
    if (run != NULL) {
        TIMS_CHECK_MAGIC(run, TASKS__RUN_MAGIC);
        return (tims_opt_id){ !tims_id_is_zero(run->user), run->user };
    }
    tims_caller caller = tims_caller_of(rq);
    return (tims_opt_id){ caller.signed_in, caller.user };
}

static void refuse(tims_request *rq, const tims_task *task, const char *why)
{
    tims_raise(rq, 422, "invalid", "A job of \"%s\" cannot be enqueued: %s.", task->name, why);
}

static tims_opt_str check_key(tims_request *rq, const tims_task *task, tims_str key)
{
    if (key.length > TIMS_TASK_KEY_BYTES_MAX || !tims_str_is_utf8(key))
        refuse(rq, task, "its key must be UTF-8 of at most 200 bytes");
    return (tims_opt_str){ key.length > 0, key };
}

static void set_times(tims_request *rq, const tims_task *task, const tims_enqueue_options *options,
                      tasks__job *job)
{
    if (options->delay_ms < 0)
        refuse(rq, task, "the delay is negative");
    if (options->delay_ms > 0 && options->run_at.us != 0)
        refuse(rq, task, "it has a delay and a time");
    if (options->delay_ms > INT64_C(100) * 365 * 86400 * 1000)
        refuse(rq, task, "the delay is more than a hundred years");
    if (options->run_at.us > job->enqueued_at.us)
        job->run_at = options->run_at;
    else
        job->run_at.us = job->enqueued_at.us + options->delay_ms * MS_US;
    job->expires_at = (tims_opt_time){ options->expires_at.us != 0, options->expires_at };
}

tasks__job tasks__plain_job(const tims_tasks *tasks, const tims_task *task, tims_str arguments)
{
    tims_time now = tasks__now(tasks);
    return (tasks__job){ .id = tims_id_new(),
                         .task = tims_str_from(task->name),
                         .queue = tims_str_from(tasks__queue_of(task)),
                         .version = task->version,
                         .arguments = arguments,
                         .priority = task->priority,
                         .enqueued_at = now,
                         .run_at = now,
                         .trace = TIMS_STR(""),
                         .tracked = task->tracked };
}

void tasks__make_job(tims_request *rq, const tims_task *task, tims_str arguments,
                     const tims_enqueue_options *options, tasks__job *ret_job)
{
    static const tims_enqueue_options none = { 0 };
    const tims_tasks *tasks = tasks__of(rq);
    if (options == NULL)
        options = &none;
    TIMS_ASSERT(tims_tasks_find(tasks, tims_str_from(task->name)) == task); /* it is in its app's table */
    *ret_job = tasks__plain_job(tasks, task, arguments);
    if (options->queue != NULL)
        ret_job->queue = tims_str_from(options->queue);
    if (options->priority.present)
        ret_job->priority = options->priority.value;
    ret_job->user = user_of(rq);
    ret_job->key = check_key(rq, task, options->key);
    ret_job->unique_while = options->unique_while;
    if (ret_job->priority < 0 || ret_job->priority > TIMS_PRIORITY_LAST)
        refuse(rq, task, "a priority goes from 0 to 9");
    if (ret_job->queue.length == 0 || ret_job->queue.length > TASKS__NAME_BYTES_MAX)
        refuse(rq, task, "a queue's name has 1 to 200 bytes");
    set_times(rq, task, options, ret_job);
    if (options->unique.length > 0) {
        (void)check_key(rq, task, options->unique);
        if (options->unique_while == TIMS_UNIQUE_FOR && options->unique_for_ms <= 0)
            refuse(rq, task, "unique_for_ms must be positive");
        ret_job->unique_key =
            (tims_opt_str){ true, tims_print(rq->arena, "%s:%S", task->name, options->unique) };
    }
}

/* --- the row ---------------------------------------------------------------------------------------------- */

enum { INSERTED_COLUMNS = TASKS__JOB_COLUMN_COUNT + 2 };
static const tims_str insert_sql =
    TIMS_STR_INIT("INSERT INTO tims_job (" TASKS__JOB_COLUMNS
                  ", state, cancelled) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
                  "?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)");

/* Takes the key, or finds whose it is. A key whose time is over is taken from its former job. */
static tims_status take_unique(tims_db_session *session, const tasks__job *job, int64_t until_us,
                               bool *ret_taken, tims_id *ret_other, tims_error *err)
{
    int64_t changed = 0;
    const tims_db_value values[] = { tims_db_id(tims_id_new()), tims_db_text(job->unique_key.value),
                                     tims_db_id(job->id),
                                     until_us > 0 ? tims_db_int(until_us) : tims_db_null(),
                                     tims_db_int(job->enqueued_at.us) };
    tims_status status = tims_db_run(
        session,
        TIMS_STR(
            "INSERT INTO tims_job_unique (id, key, job, until) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key) DO "
            "UPDATE SET job = excluded.job, until = excluded.until WHERE tims_job_unique.until <= ?5"),
        values, 5, &changed, err);
    *ret_taken = changed > 0;
    if (status != TIMS_OK || changed > 0)
        return status;
    tims_db_rows *rows;
    status = tims_db_query(session, TIMS_STR("SELECT job FROM tims_job_unique WHERE key = ?1"), &values[1], 1,
                           &rows, err);
    if (status != TIMS_OK)
        return status;
    if (tims_db_next(rows))
        *ret_other = tims_db_get_id(rows, 0);
    return tims_db_rows_end(&rows, err);
}

static void wake_after_commit(void *argument)
{
    tims_tasks *tasks = argument;
    tasks__wake(tasks, (tims_time){ 0 });
    tasks__signal(tasks);
}

static void fill_values(const tasks__job *job, tasks__state state, tims_db_value ret_values[INSERTED_COLUMNS])
{
    tasks__job_values(job, ret_values);
    ret_values[TASKS__JOB_COLUMN_COUNT] = tims_db_int(state);
    ret_values[TASKS__JOB_COLUMN_COUNT + 1] = tims_db_int(0);
}

static tasks__state first_state(const tasks__job *job)
{
    return job->run_at.us > job->enqueued_at.us ? TASKS__LATER : TASKS__READY;
}

tims_status tasks__insert_row(tims_db_session *session, const tasks__job *job, tasks__state state,
                              tims_error *err)
{
    tims_db_value values[INSERTED_COLUMNS];
    fill_values(job, state, values);
    return tims_db_run(session, insert_sql, values, INSERTED_COLUMNS, NULL, err);
}

/* "…VALUES (?1, …, ?23), (?24, …": always as many rows, so that it is prepared once. */
static tims_str insert_sql_of(tims_arena *arena, size_t count)
{
    tims_buf sql;
    tims_buf_init(&sql, arena, 64 * 1024);
    tims_buf_append_str(&sql,
                        TIMS_STR("INSERT INTO tims_job (" TASKS__JOB_COLUMNS ", state, cancelled) VALUES "));
    for (size_t i = 0; i < count * INSERTED_COLUMNS; i++) {
        bool is_first = i % INSERTED_COLUMNS == 0, is_last = (i + 1) % INSERTED_COLUMNS == 0;
        tims_buf_print(&sql, "%s?%zu%s", is_first ? (i > 0 ? ", (" : "(") : ", ", i + 1, is_last ? ")" : "");
    }
    return tims_buf_str(&sql);
}

tims_status tasks__insert_many(tims_tasks *tasks, tims_db_session *session, tims_arena *arena,
                               const tasks__job *jobs, size_t count, tims_error *err)
{
    enum { AT_ONCE = 50 };
    tims_status status = TIMS_OK;
    size_t done = 0;
    if (count >= AT_ONCE) {
        tims_str sql = insert_sql_of(arena, AT_ONCE);
        tims_db_value *values = TIMS_NEW_ARRAY(arena, tims_db_value, (size_t)AT_ONCE * INSERTED_COLUMNS);
        for (; status == TIMS_OK && count - done >= AT_ONCE; done += AT_ONCE) {
            for (size_t i = 0; i < AT_ONCE; i++)
                fill_values(&jobs[done + i], first_state(&jobs[done + i]), values + i * INSERTED_COLUMNS);
            status = tims_db_run(session, sql, values, (size_t)AT_ONCE * INSERTED_COLUMNS, NULL, err);
        }
    }
    for (; status == TIMS_OK && done < count; done++)
        status = tasks__insert_row(session, &jobs[done], first_state(&jobs[done]), err);
    for (size_t i = 0; status == TIMS_OK && i < count; i++) {
        if (jobs[i].tracked)
            status = tasks__status_begin(session, arena, &jobs[i], err);
        atomic_fetch_add_explicit(&tasks__counts_of(tasks, jobs[i].queue)->enqueued, 1, memory_order_relaxed);
    }
    if (status == TIMS_OK && count > 0)
        tims_db_on_commit(session, wake_after_commit, tasks);
    return status;
}

tims_status tasks__insert(tims_tasks *tasks, tims_db_session *session, tims_arena *arena, tasks__job *job,
                          int64_t unique_until_us, bool *ret_is_new, tims_error *err)
{
    tims_status status = TIMS_OK;
    *ret_is_new = true;
    if (job->unique_key.present) {
        tims_id other = job->id;
        status = take_unique(session, job, unique_until_us, ret_is_new, &other, err);
        if (status != TIMS_OK || !*ret_is_new) {
            job->id = other;
            return status;
        }
    }
    status = tasks__insert_row(session, job, first_state(job), err);
    if (status == TIMS_OK && job->tracked)
        status = tasks__status_begin(session, arena, job, err);
    if (status == TIMS_OK) {
        tims_db_on_commit(session, wake_after_commit, tasks);
        atomic_fetch_add_explicit(&tasks__counts_of(tasks, job->queue)->enqueued, 1, memory_order_relaxed);
    }
    return status;
}

static tims_id insert(tims_request *rq, tasks__job *job, const tims_enqueue_options *options)
{
    bool is_new;
    tims_error err = { 0 };
    int64_t until_us = 0;
    if (options != NULL && options->unique_while == TIMS_UNIQUE_FOR)
        until_us = job->enqueued_at.us + options->unique_for_ms * MS_US;
    tims_begin(rq);
    tims_check(rq, tasks__insert(tasks__of(rq), tims_session_db(rq), rq->arena, job, until_us, &is_new, &err),
               &err);
    return job->id;
}

tims_id tims_enqueue_with(tims_request *rq, const tims_task *task, const void *arguments,
                          const tims_enqueue_options *options)
{
    tasks__job job;
    tasks__make_job(rq, task, tasks__write_arguments(rq, task, arguments), options, &job);
    return insert(rq, &job, options);
}

tims_id tims_enqueue(tims_request *rq, const tims_task *task, const void *arguments)
{
    return tims_enqueue_with(rq, task, arguments, NULL);
}

tims_id tims_enqueue_json(tims_request *rq, tims_str name, const tims_json *arguments,
                          const tims_enqueue_options *options)
{
    const tims_task *task = tims_tasks_find(tasks__of(rq), name);
    if (task == NULL)
        tims_raise(rq, 404, "unknown_task", "There is no task \"%.*s\".",
                   TIMS_PRINT(tims_str_slice(name, 0, 200)));
    tims_str text = arguments != NULL ? tims_json_to_text(rq->arena, arguments) : TIMS_STR("{}");
    const tims_json *value = arguments;
    tims_error err = { 0 };
    tims_check(rq, check_size(task, text.length, &err), &err);
    if (value == NULL)
        tims_check(rq, tims_json_parse(rq->arena, text, &value, &err), &err);
    tims_check(rq, check_arguments(rq->arena, task, value, &err), &err);
    tasks__job job;
    tasks__make_job(rq, task, text, options, &job);
    return insert(rq, &job, options);
}
