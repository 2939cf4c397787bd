/* remote.c: tasks that only Python has (tests/celery/tasks.py), and endpoints that send them and tell what
 * has become of them. Part of the program when there is a TASKS_URL. */
#include "remote.h"

typedef struct numbered {
    int64_t number;
    tims_str label;
} numbered;
#define REMOTE(task)                                                                    \
    const tims_task task##_task = { .name = #task,                                      \
                                    .size = sizeof(numbered),                           \
                                    .fields = TIMS_FIELDS(TIMS_FIELD(numbered, number), \
                                                          TIMS_FIELD(numbered, label)), \
                                    .queue = "python",                                  \
                                    .remote = true }

static REMOTE(remote_add);
static REMOTE(remote_fail);
static REMOTE(remote_patient);
static REMOTE(remote_note);

static const tims_task *const tasks[] = { &remote_add_task, &remote_fail_task, &remote_patient_task,
                                          &remote_note_task, NULL };

typedef struct asked {
    tims_str task, label;
    int64_t number, delay_ms, expires_ms, priority;
    bool fail;
} asked;
static const tims_shape asked_shape = {
    .name = "asked",
    .size = sizeof(asked),
    .fields =
        TIMS_FIELDS(TIMS_FIELD(asked, task, .required = true), TIMS_FIELD(asked, label),
                    TIMS_FIELD(asked, number), TIMS_FIELD(asked, delay_ms), TIMS_FIELD(asked, expires_ms),
                    TIMS_FIELD(asked, priority), TIMS_FIELD(asked, fail)),
};

/* `fail` rolls back; expires_ms may be negative: it has expired already. */
static tims_answer send(tims_request *rq)
{
    const asked *a = tims_body_shape(rq, &asked_shape);
    tims_buf arguments;
    const tims_json *json;
    tims_error err = { 0 };
    tims_enqueue_options options = { .delay_ms = a->delay_ms, .priority = { true, a->priority } };
    if (a->expires_ms != 0)
        options.expires_at.us = tims_now().us + a->expires_ms * 1000;
    tims_buf_init(&arguments, rq->arena, 65536);
    tims_json_writer w = tims_json_to(&arguments);
    tims_json_object(&w, remote_add_task.fields, &(numbered){ a->number, a->label }, 0);
    tims_check(rq, tims_json_parse(rq->arena, tims_buf_str(&arguments), &json, &err), &err);
    tims_id id = tims_enqueue_json(rq, a->task, json, &options);
    if (a->fail)
        tims_raise(rq, 500, "told_to", "It was told to fail.");
    return tims_answer_json(200, tims_print(rq->arena, "{\"id\":\"%I\"}", id));
}

static tims_answer tell(tims_request *rq)
{
    tims_task_outcome outcome = tims_task_result(rq, tims_path_id(rq, "id"));
    tims_buf out;
    tims_buf_init(&out, rq->arena, 1 << 20);
    tims_json_writer w = tims_json_to(&out);
    tims_json_begin_object(&w);
    tims_json_key(&w, TIMS_STR("state"));
    tims_json_str(&w, outcome.state);
    tims_json_key(&w, TIMS_STR("result"));
    tims_json_raw(&w,
                  outcome.result != NULL ? tims_json_to_text(rq->arena, outcome.result) : TIMS_STR("null"));
    tims_json_key(&w, TIMS_STR("error_type"));
    tims_json_str(&w, outcome.error_type);
    tims_json_key(&w, TIMS_STR("error"));
    tims_json_str(&w, outcome.error);
    tims_json_end_object(&w);
    return tims_answer_json(200, tims_buf_str(&out));
}

static const tims_route endpoints[] = {
    { TIMS_METHOD_POST, "/remote/", send, .no_csrf = true, .anonymous = true },
    { TIMS_METHOD_GET, "/remote/{id:id}/", tell, .anonymous = true },
    { 0 },
};

const tims_app remote_app = {
    .name = "remote", .doc = "Tasks that Python runs.", .tasks = tasks, .endpoints = endpoints
};
