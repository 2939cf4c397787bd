/* wire.c: frames between a worker and its processes, and what is in them. Both sides are the same
 * program; still each reads what the other says as if it were a stranger, since a task may have broken its
 * process. */
#include <math.h>

#include "tasks/process/wire.h"

/* --- frames ----------------------------------------------------------------------------------------------- */

tasks__frame_state tasks__frame_read(tims_str bytes, size_t body_max, tasks__frame *ret_frame)
{
    if (bytes.length < TASKS__FRAME_HEAD_BYTES)
        return TASKS__FRAME_PART;
    const uint8_t *head = (const uint8_t *)bytes.data;
    size_t length = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (length > body_max)
        return TASKS__FRAME_BAD;
    if (bytes.length - TASKS__FRAME_HEAD_BYTES < length)
        return TASKS__FRAME_PART;
    *ret_frame = (tasks__frame){ .letter = bytes.data[4],
                                 .body = { bytes.data + TASKS__FRAME_HEAD_BYTES, length },
                                 .bytes = TASKS__FRAME_HEAD_BYTES + length };
    return TASKS__FRAME_WHOLE;
}

void tasks__frame_begin(tims_buf *out, char letter)
{
    TIMS_ASSERT(out->length == 0);
    tims_buf_append(out, "\0\0\0\0", 4);
    tims_buf_append_char(out, letter);
}

void tasks__frame_end(tims_buf *out)
{
    if (out->overflow)
        return;
    size_t length = out->length - TASKS__FRAME_HEAD_BYTES;
    for (int i = 0; i < 4; i++)
        out->data[i] = (char)(length >> (24 - 8 * i));
}

static tims_status read_body(tims_arena *arena, tims_str body, tims_fields fields, void *ret_object,
                             tims_error *err)
{
    const tims_json *value;
    tims_status status = tims_json_parse(arena, body, &value, err);
    if (status == TIMS_OK)
        status = tims_json_bind(arena, value, fields, TIMS_BIND_CREATE, ret_object, NULL, err);
    return status;
}

static void write_frame(tims_buf *out, char letter, tims_fields fields, const void *object)
{
    tasks__frame_begin(out, letter);
    tims_json_writer w = tims_json_to(out);
    tims_json_object(&w, fields, object, 0);
    tasks__frame_end(out);
}

/* --- a job ------------------------------------------------------------------------------------------------ */

typedef struct wire_job {
    tims_id id, worker;
    int64_t clock_us;
    tims_str task, queue, arguments;
    int64_t version, priority, attempt, crashes, run_at_us, enqueued_at_us;
    tims_opt_int expires_at_us;
    tims_opt_id user;
    tims_opt_str key, unique_key;
    int64_t unique_while;
    tims_opt_id group_id;
    int64_t group_index;
    tims_opt_str steps, previous;
    bool tracked;
} wire_job;

enum { ANY = TASKS__JOB_FRAME_MAX };
static const tims_fields job_fields = TIMS_FIELDS(
    TIMS_FIELD(wire_job, id, .required = true), TIMS_FIELD(wire_job, worker, .required = true),
    TIMS_FIELD(wire_job, clock_us), TIMS_FIELD(wire_job, task, .required = true),
    TIMS_FIELD(wire_job, queue, .required = true), TIMS_FIELD(wire_job, arguments, .max_length = ANY),
    TIMS_FIELD(wire_job, version), TIMS_FIELD(wire_job, priority), TIMS_FIELD(wire_job, attempt),
    TIMS_FIELD(wire_job, crashes), TIMS_FIELD(wire_job, run_at_us), TIMS_FIELD(wire_job, enqueued_at_us),
    TIMS_FIELD(wire_job, expires_at_us), TIMS_FIELD(wire_job, user), TIMS_FIELD(wire_job, key),
    TIMS_FIELD(wire_job, unique_key), TIMS_FIELD(wire_job, unique_while, .min = 0, .max = TIMS_UNIQUE_FOR),
    TIMS_FIELD(wire_job, group_id), TIMS_FIELD(wire_job, group_index),
    TIMS_FIELD(wire_job, steps, .max_length = ANY), TIMS_FIELD(wire_job, previous, .max_length = ANY),
    TIMS_FIELD(wire_job, tracked));

void tasks__assignment_write(tims_buf *out, const tasks__assignment *assignment)
{
    const tasks__job *job = &assignment->job;
    const wire_job wire = { .id = job->id,
                            .worker = assignment->worker,
                            .clock_us = assignment->clock_us,
                            .task = job->task,
                            .queue = job->queue,
                            .arguments = job->arguments,
                            .version = job->version,
                            .priority = job->priority,
                            .attempt = job->attempt,
                            .crashes = job->crashes,
                            .run_at_us = job->run_at.us,
                            .enqueued_at_us = job->enqueued_at.us,
                            .expires_at_us = { job->expires_at.present, job->expires_at.value.us },
                            .user = job->user,
                            .key = job->key,
                            .unique_key = job->unique_key,
                            .unique_while = job->unique_while,
                            .group_id = job->group_id,
                            .group_index = job->group_index,
                            .steps = job->steps,
                            .previous = job->previous,
                            .tracked = job->tracked };
    write_frame(out, TASKS__SAYS_JOB, job_fields, &wire);
}

tims_status tasks__assignment_read(tims_arena *arena, tims_str body, tasks__assignment *ret_assignment,
                                   tims_error *err)
{
    wire_job wire = { 0 };
    tims_status status = read_body(arena, body, job_fields, &wire, err);
    if (status != TIMS_OK)
        return status;
    const tasks__job job = { .id = wire.id,
                             .task = wire.task,
                             .queue = wire.queue,
                             .arguments = wire.arguments,
                             .version = wire.version,
                             .priority = wire.priority,
                             .attempt = wire.attempt,
                             .crashes = wire.crashes,
                             .run_at = { wire.run_at_us },
                             .enqueued_at = { wire.enqueued_at_us },
                             .expires_at = { wire.expires_at_us.present, { wire.expires_at_us.value } },
                             .user = wire.user,
                             .key = wire.key,
                             .unique_key = wire.unique_key,
                             .unique_while = (tims_unique)wire.unique_while,
                             .group_id = wire.group_id,
                             .group_index = wire.group_index,
                             .steps = wire.steps,
                             .previous = wire.previous,
                             .trace = TIMS_STR(""),
                             .tracked = wire.tracked };
    *ret_assignment = (tasks__assignment){ job, wire.worker, wire.clock_us };
    return TIMS_OK;
}

/* --- hello and progress ----------------------------------------------------------------------------------- */

typedef struct wire_hello {
    int64_t pid;
} wire_hello;
static const tims_fields hello_fields =
    TIMS_FIELDS(TIMS_FIELD(wire_hello, pid, .required = true, .min = 1, .max = INT32_MAX));

void tasks__hello_write(tims_buf *out, int64_t pid)
{
    write_frame(out, TASKS__SAYS_HELLO, hello_fields, &(wire_hello){ pid });
}

tims_status tasks__hello_read(tims_arena *arena, tims_str body, int64_t *ret_pid, tims_error *err)
{
    wire_hello wire = { 0 };
    tims_status status = read_body(arena, body, hello_fields, &wire, err);
    if (status == TIMS_OK)
        *ret_pid = wire.pid;
    return status;
}

typedef struct wire_progress {
    double fraction;
    tims_str text;
} wire_progress;
static const tims_fields progress_fields =
    TIMS_FIELDS(TIMS_FIELD(wire_progress, fraction, .required = true, .min = 0, .max = 1),
                TIMS_FIELD(wire_progress, text));

void tasks__progress_write(tims_buf *out, double fraction, tims_str text)
{
    write_frame(out, TASKS__SAYS_PROGRESS, progress_fields, &(wire_progress){ fraction, text });
}

tims_status tasks__progress_read(tims_arena *arena, tims_str body, double *ret_fraction, tims_str *ret_text,
                                 tims_error *err)
{
    wire_progress wire = { 0 };
    tims_status status = read_body(arena, body, progress_fields, &wire, err);
    if (status != TIMS_OK)
        return status;
    *ret_fraction = wire.fraction;
    *ret_text = wire.text;
    return TIMS_OK;
}

/* --- an end ----------------------------------------------------------------------------------------------- */

typedef struct wire_end {
    int64_t end, run_at_us, runtime_us;
    tims_opt_str result, code;
    tims_str message;
} wire_end;
static const tims_fields end_fields =
    TIMS_FIELDS(TIMS_FIELD(wire_end, end, .required = true, .min = TASKS__DONE, .max = TASKS__LOST),
                TIMS_FIELD(wire_end, run_at_us), TIMS_FIELD(wire_end, runtime_us),
                TIMS_FIELD(wire_end, result, .max_length = TASKS__RESULT_BYTES_MAX),
                TIMS_FIELD(wire_end, code), TIMS_FIELD(wire_end, message));

void tasks__end_write(tims_buf *out, const tasks__outcome *outcome)
{
    tims_str code = tims_str_slice(tims_str_from(outcome->code), 0, TASKS__CODE_BYTES_MAX);
    const wire_end wire = { .end = outcome->end,
                            .run_at_us = outcome->run_at.us,
                            .runtime_us = outcome->runtime_us,
                            .result = { outcome->result.data != NULL, outcome->result },
                            .code = { outcome->code != NULL, code },
                            .message = tims_str_slice(outcome->message, 0, TASKS__MESSAGE_BYTES_MAX) };
    write_frame(out, TASKS__SAYS_END, end_fields, &wire);
}

static tims_status check_result(tims_arena *arena, tims_str result, tims_error *err)
{
    const tims_json *value;
    if (result.length > TASKS__RESULT_BYTES_MAX)
        return tims_fail(err, TIMS_INVALID, NULL, "A result of %zu bytes is too large.", result.length);
    return tims_json_parse(arena, result, &value, err);
}

tims_status tasks__end_read(tims_arena *arena, tims_str body, tasks__outcome *ret_outcome, tims_error *err)
{
    wire_end wire = { 0 };
    tims_status status = read_body(arena, body, end_fields, &wire, err);
    if (status == TIMS_OK && wire.result.present)
        status = check_result(arena, wire.result.value, err);
    if (status != TIMS_OK)
        return status;
    ret_outcome->end = (tasks__end)wire.end;
    ret_outcome->run_at.us = wire.run_at_us;
    ret_outcome->runtime_us = wire.runtime_us;
    if (wire.result.present)
        ret_outcome->result = tasks__keep(ret_outcome, wire.result.value);
    if (wire.code.present)
        ret_outcome->code =
            tasks__keep(ret_outcome, tims_str_slice(wire.code.value, 0, TASKS__CODE_BYTES_MAX)).data;
    ret_outcome->message =
        tasks__keep(ret_outcome, tims_str_slice(wire.message, 0, TASKS__MESSAGE_BYTES_MAX));
    return TIMS_OK;
}
