/* fcm.c: Firebase Cloud Messaging, HTTP v1.
 *
 *   POST /v1/projects/<project>/messages:send   authorization: Bearer <access token>   {"message": {…}}
 *
 * A push is a notification message: the device shows it by itself, whether the app runs or not. Such messages
 * have no collapse key of their own; what makes one replace another on the screen is
 * android.notification.tag. */
#include "push/push_internal.h"

#include <string.h>

#include "push/fcm_internal.h"

enum { MESSAGE_BYTES_MAX = 150, THROTTLED_S = 60 };

/* --- what the answer means ---------------------------------------------------------------------- */

/* The first detail of this type; NULL: there is none. */
static const tims_json *find_detail(const tims_json *error, tims_str type)
{
    const tims_json *details = tims_json_get(error, TIMS_STR("details"));
    for (size_t i = 0; i < tims_json_count(details); i++) {
        const tims_json *detail = tims_json_at(details, i);
        if (tims_str_equal(tims_json_get_str(detail, TIMS_STR("@type"), TIMS_STR("")), type))
            return detail;
    }
    return NULL;
}

/* FCM says of a token that never was one only in words and by the field's name. */
static bool is_about_token(const tims_json *error, tims_str message)
{
    const tims_json *request = find_detail(error, TIMS_STR("type.googleapis.com/google.rpc.BadRequest"));
    const tims_json *violations = tims_json_get(request, TIMS_STR("fieldViolations"));
    for (size_t i = 0; i < tims_json_count(violations); i++)
        if (tims_str_equal(tims_json_get_str(tims_json_at(violations, i), TIMS_STR("field"), TIMS_STR("")),
                           TIMS_STR("message.token")))
            return true;
    return request == NULL &&
           tims_str_find(message, TIMS_STR("not a valid FCM registration token")) != SIZE_MAX;
}

/* 404 alone may as well be a wrong address: only what says so removes a device. */
tims_push_answer push__fcm_answer(tims_arena *arena, const push__reply *reply)
{
    const tims_json *body = NULL;
    tims_push_answer answer = { .result = TIMS_PUSH_REFUSED, .code = "push_refused" };
    int status = reply->status;
    if (status == 200)
        return (tims_push_answer){ .result = TIMS_PUSH_SENT };
    if (tims_json_parse(arena, reply->body, &body, NULL) != TIMS_OK)
        body = NULL;
    const tims_json *error = tims_json_get(body, TIMS_STR("error"));
    const tims_json *detail =
        find_detail(error, TIMS_STR("type.googleapis.com/google.firebase.fcm.v1.FcmError"));
    tims_str code = tims_json_get_str(detail, TIMS_STR("errorCode"), TIMS_STR(""));
    tims_str message = tims_json_get_str(error, TIMS_STR("message"), TIMS_STR(""));
    if (code.length == 0)
        code = tims_json_get_str(error, TIMS_STR("status"), TIMS_STR(""));
    answer.reason = tims_print(arena, "FCM says %d %S: %S", status, tims_str_slice(code, 0, 40),
                               tims_str_slice(message, 0, MESSAGE_BYTES_MAX));
    if (tims_str_equal(code, TIMS_STR("UNREGISTERED")) || (status == 400 && is_about_token(error, message))) {
        answer.result = TIMS_PUSH_GONE;
        answer.code = "push_gone";
    } else if (status == 401 || status == 403) {
        bool by_token = status == 401 && !tims_str_equal(code, TIMS_STR("THIRD_PARTY_AUTH_ERROR"));
        answer.code = by_token ? "push_credential_expired" : "push_credential";
    } else if (status == 429 || status < 400 || status >= 500) {
        answer.result = TIMS_PUSH_LATER;
        answer.code = status == 429 ? "push_throttled" : "push_unavailable";
        answer.retry_after_s =
            reply->retry_after_s == 0 && status == 429 ? THROTTLED_S : push__retry_after(reply);
    }
    return answer;
}

/* --- sending ------------------------------------------------------------------------------------ */

static tims_push_answer ask(tims_request *rq, push__loop *own, const push__fcm *fcm, tims_str token,
                            const tims_push_delivery *delivery)
{
    push__reply reply;
    tims_error err = { 0 };
    int64_t ttl_s = (delivery->expires_at.us - tims_now().us) / 1000000;
    const tims_header headers[] = {
        { TIMS_STR("authorization"), tims_print(rq->arena, "Bearer %S", token) },
        { TIMS_STR("content-type"), TIMS_STR("application/json; charset=UTF-8") },
    };
    const push__call call = { .url = fcm->url,
                              .body = push__fcm_payload(rq->arena, delivery->push, delivery->data,
                                                        delivery->device->token, ttl_s > 0 ? ttl_s : 0),
                              .headers = headers,
                              .header_count = 2 };
    if (push__post(rq, own->client, &call, &reply, &err) != TIMS_OK)
        return push__no_answer(rq->arena, &err);
    return push__fcm_answer(rq->arena, &reply);
}

/* The quota is the project's: who comes before the time is told the same without being asked about. */
static bool is_paused(const push__loop *own, tims_push_answer *ret_answer)
{
    int64_t left_us = own->fcm_paused_until_us - tims_monotonic_us();
    if (left_us <= 0)
        return false;
    *ret_answer = (tims_push_answer){ .result = TIMS_PUSH_LATER,
                                      .retry_after_s = left_us / 1000000 + 1,
                                      .code = "push_throttled",
                                      .reason = TIMS_STR("FCM has asked for a pause.") };
    return true;
}

static tims_push_answer send_fcm(tims_request *rq, const tims_push_sender *sender,
                                 const tims_push_delivery *delivery)
{
    tims_push_room *push = push__of(rq);
    push__loop *own = push__loop_of(push, rq->loop);
    tims_push_answer answer = { 0 };
    (void)sender;
    for (int attempt = 0;; attempt++) {
        tims_str token;
        if (is_paused(own, &answer) || !push__fcm_token(rq, own, &push->fcm, &token, &answer))
            return answer;
        answer = ask(rq, own, &push->fcm, token, delivery);
        if (answer.retry_after_s > 0)
            own->fcm_paused_until_us = tims_monotonic_us() + answer.retry_after_s * 1000000;
        if (answer.code == NULL || strcmp(answer.code, "push_credential_expired") != 0)
            return answer;
        push__fcm_forget_token(own, token);
        if (attempt > 0) {
            answer.code = "push_credential";
            return answer;
        }
    }
}

const tims_push_sender push__fcm_sender = { .platform = "fcm",
                                            .send = send_fcm,
                                            .doc = "Firebase Cloud Messaging." };
