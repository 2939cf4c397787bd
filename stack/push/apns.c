/* apns.c: Apple Push Notification service, with a signing key ("token-based").
 *
 *   POST /3/device/<token>   authorization: bearer <JWT, ES256>   apns-topic, apns-push-type, …
 *
 * The JWT is made here, for all pushes of the loop, and again when it is 50 minutes old: APNs takes none that
 * is older than an hour, and complains about a sender that makes one more than once in 20 minutes. When APNs
 * says that it has expired all the same, one is made out of turn, at most once in 20 minutes. */
#include "push/push_internal.h"

#include <string.h>

enum { TOKEN_RENEW_S = 50 * 60, TOKEN_FORCED_S = 20 * 60, KEY_ID_LENGTH = 10, REASON_BYTES_MAX = 100 };

/* --- settings ----------------------------------------------------------------------------------- */

static tims_status check_name(const char *setting, tims_str value, tims_error *err)
{
    bool plain = value.length == KEY_ID_LENGTH;
    for (size_t i = 0; plain && i < value.length; i++)
        plain =
            (value.data[i] >= '0' && value.data[i] <= '9') || (value.data[i] >= 'A' && value.data[i] <= 'Z');
    if (!plain)
        return tims_fail(
            err, TIMS_INVALID, "push_setting",
            "%s: must be the 10 characters (A-Z, 0-9) that Apple shows, since PUSH_APNS_KEY is set.",
            setting);
    return TIMS_OK;
}

/* A bundle id, and what services append to it (".voip"). */
static tims_status check_topic(tims_str topic, tims_error *err)
{
    bool plain = topic.length > 0 && topic.length <= 255;
    for (size_t i = 0; plain && i < topic.length; i++) {
        char c = topic.data[i];
        plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
                c == '-';
    }
    if (!plain)
        return tims_fail(err, TIMS_INVALID, "push_setting",
                         "PUSH_APNS_TOPIC: must be the app's bundle id, since PUSH_APNS_KEY is set.");
    return TIMS_OK;
}

tims_status push__apns_open(tims_arena *arena, const tims_push_options *options, push__apns *ret_apns,
                            tims_error *err)
{
    tims_str pem, url = options->apns_url;
    tims_error why = { 0 };
    if (url.length == 0)
        url = TIMS_STR("https://api.push.apple.com");
    tims_status status = push__read_file(arena, "PUSH_APNS_KEY", options->apns_key, &pem, err);
    if (status == TIMS_OK)
        status = check_name("PUSH_APNS_KEY_ID", options->apns_key_id, err);
    if (status == TIMS_OK)
        status = check_name("PUSH_APNS_TEAM", options->apns_team, err);
    if (status == TIMS_OK)
        status = check_topic(options->apns_topic, err);
    if (status == TIMS_OK)
        status = push__check_url("PUSH_APNS_URL", url, &url, err);
    if (status == TIMS_OK && tims_signing_key_read(arena, pem, TIMS_ES256, &ret_apns->key, &why) != TIMS_OK)
        status = tims_fail(err, TIMS_INVALID, "push_setting", "PUSH_APNS_KEY: %.*s: %s",
                           TIMS_PRINT(options->apns_key), why.message);
    if (status != TIMS_OK)
        return status;
    ret_apns->key_id = options->apns_key_id;
    ret_apns->team = options->apns_team;
    ret_apns->topic = options->apns_topic;
    ret_apns->url = tims_print(arena, "%S/3/device/", url);
    return TIMS_OK;
}

/* --- the token ---------------------------------------------------------------------------------- */

const char *push__apns_token(tims_arena *arena, const push__apns *apns, push__credential *credential,
                             int64_t now_s)
{
    if (credential->text == NULL || now_s >= credential->renew_s || now_s < credential->made_s) {
        tims_str claims = tims_print(arena, "{\"iss\":\"%S\",\"iat\":%lld}", apns->team, (long long)now_s);
        push__credential_set(credential, tims_jwt_sign(arena, apns->key, apns->key_id, claims), now_s,
                             now_s + TOKEN_RENEW_S);
    }
    return credential->text;
}

bool push__apns_renew(push__credential *credential, tims_str refused, int64_t now_s, int64_t *ret_wait_s)
{
    if (credential->text == NULL || !tims_str_equal(tims_str_from(credential->text), refused))
        return true; /* somebody else has made another meanwhile */
    int64_t since_s = now_s - credential->forced_s;
    if (credential->forced_s != 0 && since_s >= 0 && since_s < TOKEN_FORCED_S) {
        *ret_wait_s = TOKEN_FORCED_S - since_s;
        return false;
    }
    push__credential_clear(credential);
    credential->forced_s = now_s;
    return true;
}

/* --- what the answer means ---------------------------------------------------------------------- */

static bool is_one_of(tims_str reason, const char *const *names)
{
    for (; *names != NULL; names++)
        if (tims_str_equal(reason, tims_str_from(*names)))
            return true;
    return false;
}

/* About our key or the topic: the same for every device. */
static const char *const about_credential[] = { "InvalidProviderToken",
                                                "MissingProviderToken",
                                                "ExpiredProviderToken",
                                                "UnrelatedKeyIdInToken",
                                                "BadEnvironmentKeyIdInToken",
                                                "BadCertificate",
                                                "BadCertificateEnvironment",
                                                "Forbidden",
                                                "BadTopic",
                                                "MissingTopic",
                                                "TopicDisallowed",
                                                "DeviceTokenNotForTopic",
                                                NULL };

tims_push_answer push__apns_answer(tims_arena *arena, const push__reply *reply)
{
    const tims_json *body = NULL;
    tims_push_answer answer = { .result = TIMS_PUSH_REFUSED, .code = "push_refused" };
    if (reply->status == 200)
        return (tims_push_answer){ .result = TIMS_PUSH_SENT };
    if (tims_json_parse(arena, reply->body, &body, NULL) != TIMS_OK)
        body = NULL;
    tims_str reason = tims_json_get_str(body, TIMS_STR("reason"), TIMS_STR(""));
    reason = tims_str_slice(reason, 0, REASON_BYTES_MAX);
    answer.reason = tims_print(arena, "APNs says %d %S", reply->status, reason);
    if (reply->status == 410 || tims_str_equal(reason, TIMS_STR("BadDeviceToken"))) {
        answer.result = TIMS_PUSH_GONE;
        answer.code = "push_gone";
        int64_t since_ms = tims_json_get_int(body, TIMS_STR("timestamp"), 0);
        answer.gone_since.us = since_ms > 0 && since_ms < INT64_MAX / 1000 ? since_ms * 1000 : 0;
    } else if (is_one_of(reason, about_credential)) {
        answer.code = tims_str_equal(reason, TIMS_STR("ExpiredProviderToken")) ? "push_credential_expired"
                                                                               : "push_credential";
    } else if (reply->status == 413) {
        answer.code = "push_too_large";
    } else if (reply->status == 429 || reply->status < 400 || reply->status >= 500) {
        answer.result = TIMS_PUSH_LATER;
        answer.code = reply->status == 429 ? "push_throttled" : "push_unavailable";
        answer.retry_after_s = push__retry_after(reply);
    }
    return answer;
}

/* --- sending ------------------------------------------------------------------------------------ */

static tims_push_answer ask(tims_request *rq, push__loop *own, const push__apns *apns, tims_str token,
                            const tims_push_delivery *delivery)
{
    const tims_push *push = delivery->push;
    push__reply reply;
    tims_error err = { 0 };
    char id[TIMS_ID_TEXT_LENGTH];
    tims_id_format(delivery->id, id);
    tims_header headers[] = {
        { TIMS_STR("authorization"), tims_print(rq->arena, "bearer %S", token) },
        { TIMS_STR("apns-topic"), apns->topic },
        { TIMS_STR("apns-push-type"), TIMS_STR("alert") },
        { TIMS_STR("apns-priority"), push->urgent ? TIMS_STR("10") : TIMS_STR("5") },
        { TIMS_STR("apns-expiration"),
          tims_print(rq->arena, "%lld", (long long)(delivery->expires_at.us / 1000000)) },
        { TIMS_STR("apns-id"), { id, sizeof id } },
        { TIMS_STR("content-type"), TIMS_STR("application/json") },
        { TIMS_STR("apns-collapse-id"), push->collapse },
    };
    size_t count = sizeof headers / sizeof headers[0];
    const push__call call = { .url = tims_print(rq->arena, "%S%S", apns->url, delivery->device->token),
                              .body = push__apns_payload(rq->arena, push, delivery->data),
                              .headers = headers,
                              .gate = &own->apns_gate,
                              .header_count = push->collapse.length > 0 ? count : count - 1 };
    if (push__post(rq, own->client, &call, &reply, &err) != TIMS_OK)
        return push__no_answer(rq->arena, &err);
    return push__apns_answer(rq->arena, &reply);
}

static tims_push_answer send_apns(tims_request *rq, const tims_push_sender *sender,
                                  const tims_push_delivery *delivery)
{
    tims_push_room *push = push__of(rq);
    push__loop *own = push__loop_of(push, rq->loop);
    tims_push_answer answer;
    (void)sender;
    for (int attempt = 0;; attempt++) {
        int64_t wait_s = 0, now_s = tims_now().us / 1000000;
        tims_str token =
            tims_copy(rq->arena, tims_str_from(push__apns_token(rq->arena, &push->apns, &own->apns, now_s)));
        answer = ask(rq, own, &push->apns, token, delivery);
        if (answer.code == NULL || strcmp(answer.code, "push_credential_expired") != 0)
            return answer;
        if (attempt > 0 || !push__apns_renew(&own->apns, token, tims_now().us / 1000000, &wait_s)) {
            answer.result = TIMS_PUSH_LATER;
            answer.retry_after_s = wait_s;
            return answer;
        }
    }
}

const tims_push_sender push__apns_sender = { .platform = "apns",
                                             .send = send_apns,
                                             .doc = "Apple Push Notification service." };
