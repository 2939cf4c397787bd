/* fcm_token.c: the access token for FCM: what a service account's key is exchanged for (OAuth 2.0, RFC 7523).
 *
 *   JWT, RS256, signed with the account's key ──► token service ──► access token, for an hour
 *
 * Kept per loop until five minutes before its end. */
#include "push/fcm_internal.h"

#include <string.h>

enum { ASSERTION_LIVES_S = 3600, RENEW_BEFORE_S = 300, TOKEN_BYTES_MAX = 8192, REASON_BYTES_MAX = 120 };

#define SCOPE "https://www.googleapis.com/auth/firebase.messaging"

/* Stands on the waiting fiber's stack. */
typedef struct push__waiter {
    struct push__waiter *next;
    tims_fiber *fiber;
    bool is_told;
    tims_push_answer answer; /* when there is no token; the reason is not kept */
} push__waiter;

/* --- the account -------------------------------------------------------------------------------- */

static bool is_plain(tims_str text)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            return false;
    }
    return true;
}

/* It becomes a part of a path. */
static bool is_project(tims_str text)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == ':' || c == '.'))
            return false;
    }
    return text.length > 0;
}

static tims_status fail_account(const tims_push_options *options, const char *what, tims_error *err)
{
    return tims_fail(err, TIMS_INVALID, "push_setting", "PUSH_FCM_ACCOUNT: %.*s: %s",
                     TIMS_PRINT(options->fcm_account), what);
}

tims_status push__fcm_open(tims_arena *arena, const tims_push_options *options, push__fcm *ret_fcm,
                           tims_error *err)
{
    const tims_json *account;
    tims_error why = { 0 };
    tims_str text, url = options->fcm_url;
    if (url.length == 0)
        url = TIMS_STR("https://fcm.googleapis.com");
    tims_status status = push__read_file(arena, "PUSH_FCM_ACCOUNT", options->fcm_account, &text, err);
    if (status != TIMS_OK)
        return status;
    if (tims_json_parse(arena, text, &account, &why) != TIMS_OK)
        return fail_account(options, "is not the JSON key of a service account.", err);
    *ret_fcm = (push__fcm){ .project = tims_json_get_str(account, TIMS_STR("project_id"), TIMS_STR("")),
                            .email = tims_json_get_str(account, TIMS_STR("client_email"), TIMS_STR("")),
                            .key_id = tims_json_get_str(account, TIMS_STR("private_key_id"), TIMS_STR("")),
                            .token_url = tims_json_get_str(account, TIMS_STR("token_uri"), TIMS_STR("")) };
    if (!is_project(ret_fcm->project) || ret_fcm->email.length == 0 || !is_plain(ret_fcm->key_id))
        return fail_account(options, "has no project_id, client_email or private_key_id as it should.", err);
    if (push__check_url("token_uri", ret_fcm->token_url, &ret_fcm->token_url, &why) != TIMS_OK)
        return fail_account(options, "its token_uri does not begin with https://", err);
    tims_str pem = tims_json_get_str(account, TIMS_STR("private_key"), TIMS_STR(""));
    if (tims_signing_key_read(arena, pem, TIMS_RS256, &ret_fcm->key, &why) != TIMS_OK)
        return fail_account(options, why.message, err);
    status = push__check_url("PUSH_FCM_URL", url, &url, err);
    ret_fcm->url = tims_print(arena, "%S/v1/projects/%S/messages:send", url, ret_fcm->project);
    return status;
}

/* --- the exchange ------------------------------------------------------------------------------- */

static tims_str write_claims(tims_arena *arena, const push__fcm *fcm, int64_t now_s)
{
    tims_buf out;
    tims_buf_init(&out, arena, 64 * 1024);
    tims_json_writer w = tims_json_to(&out);
    tims_json_begin_object(&w);
    tims_json_key(&w, TIMS_STR("iss"));
    tims_json_str(&w, fcm->email);
    tims_json_key(&w, TIMS_STR("scope"));
    tims_json_str(&w, TIMS_STR(SCOPE));
    tims_json_key(&w, TIMS_STR("aud"));
    tims_json_str(&w, fcm->token_url);
    tims_json_key(&w, TIMS_STR("iat"));
    tims_json_int(&w, now_s);
    tims_json_key(&w, TIMS_STR("exp"));
    tims_json_int(&w, now_s + ASSERTION_LIVES_S);
    tims_json_end_object(&w);
    return tims_buf_str(&out);
}

/* What cannot be put into a header is no token. */
static bool is_token(tims_str text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return text.length > 0 && text.length <= TOKEN_BYTES_MAX;
}

bool push__fcm_read_token(tims_arena *arena, const push__reply *reply, tims_str *ret_token,
                          int64_t *ret_lives_s, tims_push_answer *ret_answer)
{
    const tims_json *body = NULL;
    bool later = reply->status == 429 || reply->status < 400 || reply->status >= 500;
    if (tims_json_parse(arena, reply->body, &body, NULL) != TIMS_OK)
        body = NULL;
    tims_str token = tims_json_get_str(body, TIMS_STR("access_token"), TIMS_STR(""));
    int64_t lives_s = tims_json_get_int(body, TIMS_STR("expires_in"), 0);
    if (reply->status == 200 && is_token(token) && lives_s > 0) {
        *ret_token = token;
        *ret_lives_s = lives_s < 86400 ? lives_s : 86400;
        return true;
    }
    tims_str error = tims_json_get_str(body, TIMS_STR("error"), TIMS_STR(""));
    tims_str text = tims_json_get_str(body, TIMS_STR("error_description"), TIMS_STR(""));
    *ret_answer = (tims_push_answer){ .result = later ? TIMS_PUSH_LATER : TIMS_PUSH_REFUSED,
                                      .retry_after_s = later ? push__retry_after(reply) : 0,
                                      .code = later ? "push_unavailable" : "push_credential",
                                      .reason = tims_print(arena, "FCM's token service says %d %S: %S",
                                                           reply->status, tims_str_slice(error, 0, 40),
                                                           tims_str_slice(text, 0, REASON_BYTES_MAX)) };
    return false;
}

static bool fetch(tims_request *rq, push__loop *own, const push__fcm *fcm, tims_push_answer *ret_answer)
{
    push__reply reply;
    tims_error err = { 0 };
    tims_str token;
    int64_t lives_s, now_s = tims_now().us / 1000000;
    tims_str assertion = tims_jwt_sign(rq->arena, fcm->key, fcm->key_id, write_claims(rq->arena, fcm, now_s));
    const tims_header headers[] = { { TIMS_STR("content-type"),
                                      TIMS_STR("application/x-www-form-urlencoded") } };
    const push__call call = {
        .url = fcm->token_url,
        .body = tims_print(
            rq->arena, "grant_type=urn%%3Aietf%%3Aparams%%3Aoauth%%3Agrant-type%%3Ajwt-bearer&assertion=%S",
            assertion),
        .headers = headers,
        .header_count = 1
    };
    if (push__post(rq, own->client, &call, &reply, &err) != TIMS_OK) {
        *ret_answer = push__no_answer(rq->arena, &err);
        return false;
    }
    if (!push__fcm_read_token(rq->arena, &reply, &token, &lives_s, ret_answer))
        return false;
    int64_t early_s = lives_s > 2 * RENEW_BEFORE_S ? RENEW_BEFORE_S : lives_s / 2;
    push__credential_set(&own->fcm, token, now_s, now_s + lives_s - early_s);
    return true;
}

/* --- one fetches, the others wait --------------------------------------------------------------- */

static bool has_token(const push__credential *credential)
{
    int64_t now_s = tims_now().us / 1000000;
    return credential->text != NULL && now_s < credential->renew_s && now_s >= credential->made_s;
}

typedef struct turn {
    push__credential *credential;
    bool is_mine;
    tims_push_answer answer; /* for those who wait; without a result: they look again */
} turn;

/* Also when the fiber ends in the middle of it. */
static void end_turn(void *argument)
{
    turn *own = argument;
    if (!own->is_mine)
        return;
    own->is_mine = false;
    own->credential->is_fetched = false;
    for (push__waiter *waiter = own->credential->first_waiter; waiter != NULL; waiter = waiter->next) {
        waiter->is_told = true;
        waiter->answer = own->answer;
        tims_fiber_wake(waiter->fiber);
    }
    own->credential->first_waiter = NULL;
}

static void leave(push__credential *credential, const push__waiter *waiter)
{
    for (push__waiter **at = &credential->first_waiter; *at != NULL; at = &(*at)->next)
        if (*at == waiter) {
            *at = waiter->next;
            return;
        }
}

/* False: the one who fetched has none, or the fiber may not wait any longer. */
static bool wait_for_other(tims_request *rq, push__credential *credential, tims_push_answer *ret_answer)
{
    tims_status status = TIMS_OK;
    push__waiter own = { .next = credential->first_waiter, .fiber = tims_fiber_self() };
    credential->first_waiter = &own;
    while (!own.is_told && status == TIMS_OK)
        status = tims_fiber_suspend();
    leave(credential, &own);
    if (!own.is_told) {
        tims_error err = { 0 };
        (void)!tims_fail(&err, status, "push_unreachable", "The token service has not answered in time.");
        *ret_answer = push__no_answer(rq->arena, &err);
        return false;
    }
    *ret_answer = own.answer;
    if (ret_answer->code != NULL)
        ret_answer->reason = TIMS_STR("FCM's token service has given no token.");
    return ret_answer->code == NULL;
}

bool push__fcm_token(tims_request *rq, push__loop *own, const push__fcm *fcm, tims_str *ret_token,
                     tims_push_answer *ret_answer)
{
    push__credential *credential = &own->fcm;
    while (!has_token(credential) && credential->is_fetched)
        if (!wait_for_other(rq, credential, ret_answer))
            return false;
    if (!has_token(credential)) {
        turn *mine = TIMS_NEW(rq->arena, turn);
        tims_defer(rq, end_turn, mine);
        *mine = (turn){ .credential = credential, .is_mine = true };
        credential->is_fetched = true;
        bool fetched = fetch(rq, own, fcm, &mine->answer);
        *ret_answer = mine->answer;
        end_turn(mine);
        if (!fetched)
            return false;
    }
    *ret_token = tims_copy(rq->arena, tims_str_from(credential->text));
    return true;
}

void push__fcm_forget_token(push__loop *own, tims_str token)
{
    if (own->fcm.text != NULL && tims_str_equal(tims_str_from(own->fcm.text), token))
        push__credential_clear(&own->fcm);
}
