/* follow.c: chains and groups: what follows a job, in the transaction that ends it.
 *
 * A chain is its first job; the steps that follow travel with it, one line of JSON each, and the transaction
 * that ends a job makes the next one of the first line. A group is a row that counts down; whoever brings it
 * to nothing enqueues the last step. The row's lock makes that one: who holds it sees what all before it
 * gave. */
#include "tasks/sql/job_row.h"

enum {
    STEPS_BYTES_MAX = 1024 * 1024,
    RESULTS_BYTES_MAX = 8 * 1024 * 1024, /* of a group, together */
};

/* --- steps as text ---------------------------------------------------------------------------------------- */

static void refuse(tims_request *rq, const char *why)
{
    tims_raise(rq, 422, "invalid", "A chain or group cannot be enqueued: %s.", why);
}

static void make_step(tims_request *rq, const tims_step *step, tasks__job *ret_job)
{
    if (step->options != NULL && step->options->unique.length > 0)
        refuse(rq, "a step cannot be unique");
    tasks__make_job(rq, step->task, tasks__write_arguments(rq, step->task, step->arguments), step->options,
                    ret_job);
}

static void write_opt_time(tims_json_writer *w, tims_str name, tims_opt_time time)
{
    if (!time.present)
        return;
    tims_json_key(w, name);
    tims_json_int(w, time.value.us);
}

/* One line. A delay counts from when the step is enqueued; the arguments stay as they are, byte for byte. */
static void write_step(tims_buf *out, const tims_step *step, const tasks__job *job)
{
    tims_json_writer w = tims_json_to(out);
    bool has_time = step->options != NULL && step->options->run_at.us != 0;
    tims_json_begin_object(&w);
    tims_json_key(&w, TIMS_STR("task"));
    tims_json_str(&w, job->task);
    tims_json_key(&w, TIMS_STR("queue"));
    tims_json_str(&w, job->queue);
    tims_json_key(&w, TIMS_STR("version"));
    tims_json_int(&w, job->version);
    tims_json_key(&w, TIMS_STR("arguments"));
    tims_json_str(&w, job->arguments);
    tims_json_key(&w, TIMS_STR("priority"));
    tims_json_int(&w, job->priority);
    tims_json_key(&w, TIMS_STR("tracked"));
    tims_json_bool(&w, job->tracked);
    tims_json_key(&w, has_time ? TIMS_STR("run_at") : TIMS_STR("delay_us"));
    tims_json_int(&w, has_time ? step->options->run_at.us : job->run_at.us - job->enqueued_at.us);
    write_opt_time(&w, TIMS_STR("expires_at"), job->expires_at);
    if (job->key.present) {
        tims_json_key(&w, TIMS_STR("key"));
        tims_json_str(&w, job->key.value);
    }
    if (job->user.present) {
        tims_json_key(&w, TIMS_STR("user"));
        tims_json_id(&w, job->user.value);
    }
    tims_json_end_object(&w);
}

static tims_status read_step(const tims_tasks *tasks, tims_arena *arena, tims_str line, tasks__job *ret_job,
                             tims_error *err)
{
    const tims_json *step;
    tims_status status = tims_json_parse(arena, line, &step, err);
    if (status != TIMS_OK)
        return status;
    const tims_json *expires_at = tims_json_get(step, TIMS_STR("expires_at"));
    const tims_json *key = tims_json_get(step, TIMS_STR("key"));
    tims_time now = tasks__now(tasks);
    *ret_job = (tasks__job){
        .id = tims_id_new(),
        .task = tims_json_get_str(step, TIMS_STR("task"), TIMS_STR("")),
        .queue = tims_json_get_str(step, TIMS_STR("queue"), TIMS_STR("default")),
        .version = tims_json_get_int(step, TIMS_STR("version"), 0),
        .arguments = tims_json_get_str(step, TIMS_STR("arguments"), TIMS_STR("{}")),
        .priority = tims_json_get_int(step, TIMS_STR("priority"), 0),
        .tracked = tims_json_get_bool(step, TIMS_STR("tracked"), false),
        .enqueued_at = now,
        .run_at = { tims_json_get_int(step, TIMS_STR("run_at"),
                                      now.us + tims_json_get_int(step, TIMS_STR("delay_us"), 0)) },
        .expires_at = { expires_at != NULL, { tims_json_as_int(expires_at, 0) } },
        .key = { key != NULL, tims_json_as_str(key, TIMS_STR("")) },
        .trace = TIMS_STR(""),
    };
    if (ret_job->run_at.us < now.us)
        ret_job->run_at = now;
    ret_job->user.present =
        tims_id_parse(tims_json_get_str(step, TIMS_STR("user"), TIMS_STR("")), &ret_job->user.value);
    return TIMS_OK;
}

static tims_opt_str steps_text(tims_request *rq, const tims_step *steps, size_t count)
{
    tims_buf out;
    tasks__job job;
    if (count == 0)
        return (tims_opt_str){ 0 };
    tims_buf_init(&out, rq->arena, STEPS_BYTES_MAX);
    for (size_t i = 0; i < count && !out.overflow; i++) {
        make_step(rq, &steps[i], &job);
        if (i > 0)
            tims_buf_append_char(&out, '\n');
        write_step(&out, &steps[i], &job);
    }
    if (out.overflow)
        tims_raise(rq, 422, "too_large", "The steps of a chain or group may have %d bytes.", STEPS_BYTES_MAX);
    return (tims_opt_str){ true, tims_buf_str(&out) };
}

static tims_status enqueue_next(tims_tasks *tasks, tims_db_session *session, tims_arena *arena,
                                tims_str steps, tims_str previous, tims_error *err)
{
    tasks__job next;
    bool is_new;
    tims_status status = read_step(tasks, arena, tims_str_cut(&steps, '\n'), &next, err);
    if (status != TIMS_OK)
        return status;
    next.steps = (tims_opt_str){ steps.data != NULL, steps };
    next.previous = (tims_opt_str){ true, previous };
    return tasks__insert(tasks, session, arena, &next, 0, &is_new, err);
}

/* --- enqueuing -------------------------------------------------------------------------------------------- */

static void insert(tims_request *rq, tasks__job *job)
{
    tims_error err = { 0 };
    bool is_new;
    tims_begin(rq);
    tims_check(rq, tasks__insert(tasks__of(rq), tims_session_db(rq), rq->arena, job, 0, &is_new, &err), &err);
}

tims_id tims_enqueue_chain(tims_request *rq, const tims_step *steps, size_t count)
{
    tasks__job first;
    if (count == 0)
        refuse(rq, "a chain has at least one step");
    if (count > TIMS_STEPS_MAX)
        refuse(rq, "a chain has at most 10,000 steps");
    make_step(rq, &steps[0], &first);
    first.steps = steps_text(rq, steps + 1, count - 1);
    insert(rq, &first);
    return first.id;
}

static void insert_group(tims_request *rq, tims_id id, size_t count, tims_opt_str last)
{
    const tims_db_value values[] = { tims_db_id(id), tims_db_int((int64_t)count), tasks__opt_text(last),
                                     tims_db_int(tasks__now(tasks__of(rq)).us), tims_db_int(0) };
    tims_begin(rq);
    (void)tims_sql_run(
        rq,
        TIMS_STR("INSERT INTO tims_job_group (id, total, remaining, without, last, created_at) "
                 "VALUES (?1, ?2, ?2, ?5, ?3, ?4)"),
        values, 5);
}

static void insert_members(tims_request *rq, tims_id group, const tims_step *steps, size_t count)
{
    tims_error err = { 0 };
    tasks__job *jobs = TIMS_NEW_ARRAY(rq->arena, tasks__job, count);
    for (size_t i = 0; i < count; i++) {
        make_step(rq, &steps[i], &jobs[i]);
        jobs[i].group_id = (tims_opt_id){ true, group };
        jobs[i].group_index = (int64_t)i;
    }
    tims_check(rq, tasks__insert_many(tasks__of(rq), tims_session_db(rq), rq->arena, jobs, count, &err),
               &err);
}

tims_id tims_enqueue_group(tims_request *rq, const tims_step *steps, size_t count, const tims_step *last)
{
    tasks__job job;
    tims_id id = tims_id_new();
    if (count > TIMS_STEPS_MAX)
        refuse(rq, "a group has at most 10,000 members");
    if (count > 0) {
        insert_group(rq, id, count, steps_text(rq, last, last != NULL ? 1 : 0));
        insert_members(rq, id, steps, count);
    } else if (last != NULL) {
        make_step(rq, last, &job);
        job.previous = (tims_opt_str){ true, TIMS_STR("[]") };
        insert(rq, &job);
    }
    return id;
}

/* --- groups ----------------------------------------------------------------------------------------------- */

typedef struct counted_group {
    int64_t total;
    bool is_there, has_last;
} counted_group;

static tims_status read_group(tims_db_session *session, tims_id id, counted_group *ret_group, tims_error *err)
{
    tims_db_rows *rows;
    const tims_db_value value = tims_db_id(id);
    tims_status status = tims_db_query(
        session,
        TIMS_STR("SELECT total, CASE WHEN last IS NULL THEN 0 ELSE 1 END FROM tims_job_group WHERE id = ?1"),
        &value, 1, &rows, err);
    if (status != TIMS_OK)
        return status;
    *ret_group = (counted_group){ .is_there = tims_db_next(rows) };
    if (ret_group->is_there) {
        ret_group->total = tims_db_get_int(rows, 0);
        ret_group->has_last = tims_db_get_int(rows, 1) != 0;
    }
    return tims_db_rows_end(&rows, err);
}

/* Takes the row's lock, under which others of the group wait: nothing but the end comes after it. -1: there
 * is no such group any more. */
static tims_status count_down(tims_db_session *session, tims_id id, bool is_done, int64_t *ret_remaining,
                              tims_error *err)
{
    tims_db_rows *rows;
    const tims_db_value values[] = { tims_db_id(id), tims_db_int(is_done ? 0 : 1) };
    tims_status status =
        tims_db_query(session,
                      TIMS_STR("UPDATE tims_job_group SET remaining = remaining - 1, without "
                               "= without + ?2 WHERE id = ?1 RETURNING remaining"),
                      values, 2, &rows, err);
    if (status != TIMS_OK)
        return status;
    *ret_remaining = tims_db_next(rows) ? tims_db_get_int(rows, 0) : -1;
    return tims_db_rows_end(&rows, err);
}

/* The row also says that this member has been counted: over Redis an end may be told twice. */
static tims_status keep_result(tims_db_session *session, const tasks__job *job, tims_str result,
                               bool *ret_is_new, tims_error *err)
{
    int64_t changed = 0;
    const tims_db_value values[] = { tims_db_id(tims_id_new()), tims_db_id(job->group_id.value),
                                     tims_db_int(job->group_index), tims_db_text(result) };
    tims_status status =
        tims_db_run(session,
                    TIMS_STR("INSERT INTO tims_job_group_result (id, group_id, member, result) VALUES (?1, "
                             "?2, ?3, ?4) ON CONFLICT (group_id, member) DO NOTHING"),
                    values, 4, &changed, err);
    *ret_is_new = changed > 0;
    return status;
}

static tims_status read_int(tims_db_session *session, tims_str sql, tims_id group, int64_t *ret_value,
                            tims_error *err)
{
    tims_db_rows *rows;
    const tims_db_value value = tims_db_id(group);
    tims_status status = tims_db_query(session, sql, &value, 1, &rows, err);
    if (status != TIMS_OK)
        return status;
    if (tims_db_next(rows))
        *ret_value = tims_db_get_int(rows, 0);
    return tims_db_rows_end(&rows, err);
}

/* What all gave, in the members' order, as one JSON list. */
static tims_status collect(tims_db_session *session, tims_arena *arena, tims_id group, tims_str *ret_list,
                           tims_error *err)
{
    int64_t bytes = 0;
    tims_buf out;
    tims_db_rows *rows;
    const tims_db_value value = tims_db_id(group);
    tims_str size_sql =
        tims_db_session_dialect(session) == TIMS_POSTGRES
            ? TIMS_STR(
                  "SELECT sum(octet_length(result) + 1)::int8 FROM tims_job_group_result WHERE group_id = ?1")
            : TIMS_STR("SELECT sum(length(CAST(result AS BLOB)) + 1) FROM tims_job_group_result WHERE "
                       "group_id = ?1");
    tims_status status = read_int(session, size_sql, group, &bytes, err);
    if (status == TIMS_OK)
        status = tims_db_query(
            session, TIMS_STR("SELECT result FROM tims_job_group_result WHERE group_id = ?1 ORDER BY member"),
            &value, 1, &rows, err);
    if (status != TIMS_OK)
        return status;
    tims_buf_init(&out, arena, (size_t)bytes + 2);
    (void)tims_buf_reserve(&out, (size_t)bytes + 2);
    while (tims_db_next(rows)) {
        tims_buf_append_char(&out, out.length == 0 ? '[' : ',');
        tims_buf_append_str(&out, tims_db_get_text(rows, 0));
    }
    tims_buf_append_char(&out, ']');
    TIMS_ASSERT(!out.overflow);
    *ret_list = tims_buf_str(&out);
    return tims_db_rows_end(&rows, err);
}

static tims_status read_last(tims_db_session *session, tims_arena *arena, tims_id group, tims_str *ret_step,
                             tims_error *err)
{
    tims_db_rows *rows;
    const tims_db_value value = tims_db_id(group);
    tims_status status = tims_db_query(session, TIMS_STR("SELECT last FROM tims_job_group WHERE id = ?1"),
                                       &value, 1, &rows, err);
    if (status != TIMS_OK)
        return status;
    if (tims_db_next(rows))
        *ret_step = tims_copy(arena, tims_db_get_text(rows, 0));
    return tims_db_rows_end(&rows, err);
}

static tims_status delete_results(tims_db_session *session, tims_id id, tims_error *err)
{
    const tims_db_value value = tims_db_id(id);
    return tims_db_run(session, TIMS_STR("DELETE FROM tims_job_group_result WHERE group_id = ?1"), &value, 1,
                       NULL, err);
}

static tims_status end_group(tims_tasks *tasks, tims_db_session *session, tims_arena *arena, tims_id id,
                             bool has_last, tims_error *err)
{
    tims_str list, step = { 0 };
    tims_status status = TIMS_OK;
    const tims_db_value value = tims_db_id(id);
    if (has_last) {
        status = collect(session, arena, id, &list, err);
        if (status == TIMS_OK)
            status = read_last(session, arena, id, &step, err);
        if (status == TIMS_OK)
            status = enqueue_next(tasks, session, arena, step, list, err);
    }
    if (status == TIMS_OK)
        status = delete_results(session, id, err);
    if (status == TIMS_OK)
        status =
            tims_db_run(session, TIMS_STR("DELETE FROM tims_job_group WHERE id = ?1"), &value, 1, NULL, err);
    return status;
}

/* `result` is null for a member that was never done: each keeps its place in the list. */
static tims_status count_member(tims_tasks *tasks, tims_db_session *session, tims_arena *arena,
                                const tasks__job *job, tims_str result, bool is_done, tims_error *err)
{
    counted_group g;
    tims_id id = job->group_id.value;
    bool is_new = false;
    int64_t remaining = 0;
    tims_status status = read_group(session, id, &g, err);
    if (status != TIMS_OK || !g.is_there)
        return status;
    if (g.has_last && (int64_t)result.length > RESULTS_BYTES_MAX / g.total)
        return tims_fail(err, TIMS_INVALID, "group_result_too_large",
                         "In a group of %lld a result may have %lld bytes.", (long long)g.total,
                         (long long)(RESULTS_BYTES_MAX / g.total));
    status = keep_result(session, job, g.has_last ? result : TIMS_STR("null"), &is_new, err);
    if (status != TIMS_OK || !is_new)
        return status;
    status = count_down(session, id, is_done, &remaining, err);
    if (status == TIMS_OK && remaining < 0) /* it ended after it was read: this was told twice */
        return delete_results(session, id, err);
    if (status == TIMS_OK && remaining == 0)
        status = end_group(tasks, session, arena, id, g.has_last, err);
    return status;
}

/* --- ends ------------------------------------------------------------------------------------------------- */

tims_status tasks__follow(tims_tasks *tasks, tims_db_session *session, tims_arena *arena,
                          const tasks__job *job, tims_str result, tims_error *err)
{
    tims_status status = TIMS_OK;
    if (result.data == NULL)
        result = TIMS_STR("null");
    if (job->steps.present)
        status = enqueue_next(tasks, session, arena, job->steps.value, result, err);
    if (status == TIMS_OK && job->group_id.present)
        status = count_member(tasks, session, arena, job, result, true, err);
    return status;
}

tims_status tasks__follow_without(tims_tasks *tasks, tims_db_session *session, tims_arena *arena,
                                  const tasks__job *job, tims_error *err)
{
    if (!job->group_id.present)
        return TIMS_OK;
    return count_member(tasks, session, arena, job, TIMS_STR("null"), false, err);
}
