/* push.c: an endpoint that sends notifications, and a sender of the app's own, for the system tests. */
#include "push.h"

typedef struct asked {
    tims_ids users;
    tims_str title, body, path, data, collapse, thread;
    tims_opt_int badge;
    int64_t expires_s;
    bool urgent, silent, fail;
} asked;
static const tims_shape asked_shape = {
    .name = "push",
    .size = sizeof(asked),
    .fields = TIMS_FIELDS(TIMS_FIELD(asked, users, .required = true), TIMS_FIELD(asked, title),
                          TIMS_FIELD(asked, body), TIMS_FIELD(asked, path), TIMS_FIELD(asked, data),
                          TIMS_FIELD(asked, collapse), TIMS_FIELD(asked, thread), TIMS_FIELD(asked, badge),
                          TIMS_FIELD(asked, expires_s), TIMS_FIELD(asked, urgent), TIMS_FIELD(asked, silent),
                          TIMS_FIELD(asked, fail)),
};

/* In one transaction; `fail` lets it roll back. */
static tims_answer send_push(tims_request *rq)
{
    const asked *a = tims_body_shape(rq, &asked_shape);
    const tims_push push = { .title = a->title,
                             .body = a->body,
                             .path = a->path,
                             .data = a->data,
                             .collapse = a->collapse,
                             .thread = a->thread,
                             .badge = a->badge,
                             .expires_s = a->expires_s,
                             .urgent = a->urgent,
                             .silent = a->silent };
    if (a->users.count == 1)
        tims_push_send(rq, a->users.items[0], &push);
    else
        tims_push_send_all(rq, a->users, &push);
    if (a->fail)
        tims_raise(rq, 500, "told_to", "It was told to fail.");
    return tims_answer_empty(204);
}

static const tims_route endpoints[] = {
    { TIMS_METHOD_POST, "/push/", send_push, .no_csrf = true, .anonymous = true },
    { 0 },
};

const tims_app push_app = { .name = "push_test", .doc = "Sends notifications.", .endpoints = endpoints };

/* A pager rings in the log. */
static tims_push_answer ring(tims_request *rq, const tims_push_sender *sender,
                             const tims_push_delivery *delivery)
{
    const char *bell = sender->data;
    tims_str token = delivery->device->token;
    if (tims_str_equal(token, TIMS_STR("broken")))
        return (tims_push_answer){ .result = TIMS_PUSH_REFUSED,
                                   .code = "pager_broken",
                                   .reason = TIMS_STR("It does not ring.") };
    if (tims_str_equal(token, TIMS_STR("lost")))
        return (tims_push_answer){ .result = TIMS_PUSH_GONE };
    if (tims_str_equal(token, TIMS_STR("raises")))
        tims_raise(rq, 500, "pager_raised", "It was told to fail.");
    tims_log(TIMS_LOG_INFO, "pager", "event=%s token=%S title=%S data=%S", bell, token, delivery->push->title,
             tims_json_get_str(delivery->data, TIMS_STR("kind"), TIMS_STR("none")));
    return (tims_push_answer){ .result = TIMS_PUSH_SENT };
}

const tims_push_sender push_senders[] = {
    { .platform = "pager", .send = ring, .data = "rings", .doc = "A pager." },
    { 0 },
};
