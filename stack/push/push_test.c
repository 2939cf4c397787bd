/* What is said to the services, what their answers mean, and how long a token is used. */
#include "crypto/testing.h"
#include "push/fcm_internal.h"

static tims_arena *arena;

static int start(void **state)
{
    (void)state;
    arena = tims_arena_new((size_t)1 << 24, NULL, NULL);
    return tims_crypto_setup() == TIMS_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    tims_arena_free(&arena);
    return 0;
}

static const tims_json *parse(const char *text)
{
    const tims_json *value;
    assert_int_equal(tims_json_parse(arena, tims_str_from(text), &value, NULL), TIMS_OK);
    return value;
}

/* --- payloads ----------------------------------------------------------------------------------- */

static void a_push_is_said_in_the_words_of_each_service(void **state)
{
    (void)state;
    const tims_push push = { .title = TIMS_STR("A \"title\""),
                             .body = TIMS_STR("a\nb"),
                             .path = TIMS_STR("/chat/1"),
                             .collapse = TIMS_STR("chat:1"),
                             .badge = { true, 2 },
                             .urgent = true };
    const tims_json *data = parse("{\"kind\":\"message\",\"n\":\"1\"}");
    assert_str(push__apns_payload(arena, &push, data),
               "{\"aps\":{\"alert\":{\"title\":\"A \\\"title\\\"\",\"body\":\"a\\nb\"},\"badge\":2,"
               "\"sound\":\"default\",\"thread-id\":\"chat:1\"},\"path\":\"/chat/1\",\"kind\":\"message\","
               "\"n\":\"1\"}");
    assert_str(push__fcm_payload(arena, &push, data, TIMS_STR("token"), 60),
               "{\"message\":{\"token\":\"token\",\"notification\":{\"title\":\"A \\\"title\\\"\","
               "\"body\":\"a\\nb\"},\"data\":{\"path\":\"/chat/1\",\"kind\":\"message\",\"n\":\"1\"},"
               "\"android\":{\"priority\":\"HIGH\",\"ttl\":\"60s\",\"notification\":{\"tag\":\"chat:1\","
               "\"sound\":\"default\",\"notification_count\":2}}}}");
}

static void what_is_left_out_is_not_said(void **state)
{
    (void)state;
    const tims_push push = { .body = TIMS_STR("b"), .silent = true };
    assert_str(push__apns_payload(arena, &push, NULL), "{\"aps\":{\"alert\":{\"body\":\"b\"}}}");
    assert_str(push__fcm_payload(arena, &push, NULL, TIMS_STR("t"), 0),
               "{\"message\":{\"token\":\"t\",\"notification\":{\"body\":\"b\"},\"data\":{},"
               "\"android\":{\"priority\":\"NORMAL\",\"ttl\":\"0s\",\"notification\":{}}}}");
}

static const char *problem_of(tims_push push)
{
    const tims_json *data;
    return push__problem(arena, &push, &data);
}

static void a_push_may_have_4096_bytes_and_no_more(void **state)
{
    (void)state;
    enum { FRAME = sizeof "{\"aps\":{\"alert\":{\"body\":\"\"}}}" - 1 };
    char *text = tims_alloc(arena, TIMS_PUSH_PAYLOAD_BYTES_MAX + 1);
    memset(text, 'x', TIMS_PUSH_PAYLOAD_BYTES_MAX + 1);
    tims_push push = { .body = { text, TIMS_PUSH_PAYLOAD_BYTES_MAX - FRAME }, .silent = true };
    assert_null(problem_of(push));
    push.body.length++;
    assert_string_equal(problem_of(push), "It has more than the 4,096 bytes that services take.");
    memset(text, '\n', 2500); /* escaped: two bytes each */
    push.body.length = 2500;
    assert_non_null(problem_of(push));
    push.body.length = 2000;
    assert_null(problem_of(push));
}

static void what_no_service_takes_is_named(void **state)
{
    (void)state;
    const tims_str x = TIMS_STR("x");
    assert_null(problem_of((tims_push){ .title = x }));
    assert_non_null(problem_of((tims_push){ .path = TIMS_STR("/") }));
    assert_non_null(problem_of((tims_push){ .title = TIMS_STR("\xff") }));
    assert_non_null(problem_of((tims_push){ .title = x, .path = TIMS_STR("chat") }));
    assert_non_null(problem_of((tims_push){ .title = x, .path = TIMS_STR("//x") }));
    assert_null(problem_of((tims_push){ .title = x, .badge = { true, INT32_MAX } }));
    assert_non_null(problem_of((tims_push){ .title = x, .badge = { true, INT64_MAX } }));
    assert_null(problem_of((tims_push){ .title = x, .expires_s = 28 * 86400 }));
    assert_non_null(problem_of((tims_push){ .title = x, .expires_s = 28 * 86400 + 1 }));
    assert_null(problem_of((tims_push){ .title = x, .data = TIMS_STR("{\"a\":\"b\"}") }));
    static const char *const bad[] = { "[]",
                                       "1",
                                       "{\"a\":1}",
                                       "{\"\":\"b\"}",
                                       "{\"aps\":\"b\"}",
                                       "{\"gcmx\":\"b\"}",
                                       "{\"a\":null}",
                                       "{\"a\":\"b\"} x" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (problem_of((tims_push){ .title = x, .data = tims_str_from(bad[i]) }) == NULL)
            fail_msg("%s was taken", bad[i]);
}

/* --- answers ------------------------------------------------------------------------------------ */

typedef struct meaning {
    int status;
    const char *body;
    tims_push_result result;
    const char *code;
} meaning;

static void check_meanings(const meaning *table, size_t count,
                           tims_push_answer (*read)(tims_arena *arena, const push__reply *reply))
{
    for (size_t i = 0; i < count; i++) {
        const push__reply reply = { .status = table[i].status,
                                    .body = tims_str_from(table[i].body),
                                    .retry_after_s = 7 };
        tims_push_answer answer = read(arena, &reply);
        bool same_code = (answer.code == NULL) == (table[i].code == NULL) &&
                         (answer.code == NULL || strcmp(answer.code, table[i].code) == 0);
        if (answer.result != table[i].result || !same_code)
            fail_msg("%d %s means %d %s", table[i].status, table[i].body, (int)answer.result, answer.code);
        assert_int_equal(answer.retry_after_s, answer.result == TIMS_PUSH_LATER ? 7 : 0);
        const push__reply endless = { .status = reply.status,
                                      .body = reply.body,
                                      .retry_after_s = INT64_MAX };
        assert_in_range(read(arena, &endless).retry_after_s, 0, PUSH__RETRY_S_MAX);
    }
}

static void each_answer_of_apns_has_its_meaning(void **state)
{
    (void)state;
    static const meaning table[] = {
        { 200, "", TIMS_PUSH_SENT, NULL },
        { 400, "{\"reason\":\"BadDeviceToken\"}", TIMS_PUSH_GONE, "push_gone" },
        { 410, "{\"reason\":\"Unregistered\",\"timestamp\":1}", TIMS_PUSH_GONE, "push_gone" },
        { 410, "", TIMS_PUSH_GONE, "push_gone" },
        { 403, "{\"reason\":\"ExpiredProviderToken\"}", TIMS_PUSH_REFUSED, "push_credential_expired" },
        { 403, "{\"reason\":\"InvalidProviderToken\"}", TIMS_PUSH_REFUSED, "push_credential" },
        { 400, "{\"reason\":\"DeviceTokenNotForTopic\"}", TIMS_PUSH_REFUSED, "push_credential" },
        { 413, "{\"reason\":\"PayloadTooLarge\"}", TIMS_PUSH_REFUSED, "push_too_large" },
        { 400, "{\"reason\":\"BadPriority\"}", TIMS_PUSH_REFUSED, "push_refused" },
        { 405, "no JSON", TIMS_PUSH_REFUSED, "push_refused" },
        { 429, "{\"reason\":\"TooManyProviderTokenUpdates\"}", TIMS_PUSH_LATER, "push_throttled" },
        { 500, "{\"reason\":7}", TIMS_PUSH_LATER, "push_unavailable" },
        { 503, "[]", TIMS_PUSH_LATER, "push_unavailable" },
        { 302, "", TIMS_PUSH_LATER, "push_unavailable" },
    };
    check_meanings(table, sizeof table / sizeof table[0], push__apns_answer);
}

static void apns_says_since_when_a_device_is_gone(void **state)
{
    (void)state;
    static const struct {
        const char *timestamp;
        int64_t us;
    } table[] = { { "1700000000000", INT64_C(1700000000000000) },
                  { "0", 0 },
                  { "-5", 0 },
                  { "9223372036854775807", 0 },
                  { "\"x\"", 0 } };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const push__reply reply = { .status = 410,
                                    .body = tims_print(arena, "{\"timestamp\":%s}", table[i].timestamp) };
        assert_int_equal(push__apns_answer(arena, &reply).gone_since.us, table[i].us);
    }
}

#define FCM(code, details) "{\"error\":{\"status\":\"" code "\",\"message\":\"m\",\"details\":[" details "]}}"
#define FCM_CODE(code) \
    "{\"@type\":\"type.googleapis.com/google.firebase.fcm.v1.FcmError\",\"errorCode\":\"" code "\"}"
#define FCM_FIELD(field)                                                                                \
    "{\"@type\":\"type.googleapis.com/google.rpc.BadRequest\",\"fieldViolations\":[{\"field\":\"" field \
    "\"}]}"

static void each_answer_of_fcm_has_its_meaning(void **state)
{
    (void)state;
    static const meaning table[] = {
        { 200, "{\"name\":\"projects/x/messages/1\"}", TIMS_PUSH_SENT, NULL },
        { 404, FCM("NOT_FOUND", FCM_CODE("UNREGISTERED")), TIMS_PUSH_GONE, "push_gone" },
        { 404, FCM("NOT_FOUND", ""), TIMS_PUSH_REFUSED, "push_refused" },
        { 404, "<html>", TIMS_PUSH_REFUSED, "push_refused" },
        { 400, FCM("INVALID_ARGUMENT", FCM_FIELD("message.token")), TIMS_PUSH_GONE, "push_gone" },
        { 400, FCM("INVALID_ARGUMENT", FCM_FIELD("message.data[0].value")), TIMS_PUSH_REFUSED,
          "push_refused" },
        { 400, FCM("INVALID_ARGUMENT", FCM_CODE("INVALID_ARGUMENT")), TIMS_PUSH_REFUSED, "push_refused" },
        { 400, "{\"error\":{\"message\":\"The registration token is not a valid FCM registration token\"}}",
          TIMS_PUSH_GONE, "push_gone" },
        { 401, FCM("UNAUTHENTICATED", ""), TIMS_PUSH_REFUSED, "push_credential_expired" },
        { 401, FCM("UNAUTHENTICATED", FCM_CODE("THIRD_PARTY_AUTH_ERROR")), TIMS_PUSH_REFUSED,
          "push_credential" },
        { 403, FCM("PERMISSION_DENIED", FCM_CODE("SENDER_ID_MISMATCH")), TIMS_PUSH_REFUSED,
          "push_credential" },
        { 429, FCM("RESOURCE_EXHAUSTED", FCM_CODE("QUOTA_EXCEEDED")), TIMS_PUSH_LATER, "push_throttled" },
        { 500, "", TIMS_PUSH_LATER, "push_unavailable" },
        { 503, "{\"error\":[]}", TIMS_PUSH_LATER, "push_unavailable" },
    };
    check_meanings(table, sizeof table / sizeof table[0], push__fcm_answer);
}

static void only_a_token_that_can_be_sent_is_one(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        bool is_token;
        tims_push_result result;
    } table[] = {
        { 200, "{\"access_token\":\"ya29.x\",\"expires_in\":3599}", true, TIMS_PUSH_SENT },
        { 200, "{\"access_token\":\"ya29.x\"}", false, TIMS_PUSH_LATER },
        { 200, "{\"access_token\":\"ya29.x\",\"expires_in\":0}", false, TIMS_PUSH_LATER },
        { 200, "{\"access_token\":\"a\\r\\nb: c\",\"expires_in\":3599}", false, TIMS_PUSH_LATER },
        { 200, "{\"access_token\":\"\",\"expires_in\":3599}", false, TIMS_PUSH_LATER },
        { 400, "{\"error\":\"invalid_grant\"}", false, TIMS_PUSH_REFUSED },
        { 429, "", false, TIMS_PUSH_LATER },
        { 500, "{\"access_token\":\"ya29.x\",\"expires_in\":3599}", false, TIMS_PUSH_LATER },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        tims_str token;
        int64_t lives_s;
        tims_push_answer answer = { 0 };
        const push__reply reply = { .status = table[i].status, .body = tims_str_from(table[i].body) };
        assert_int_equal(push__fcm_read_token(arena, &reply, &token, &lives_s, &answer), table[i].is_token);
        if (!table[i].is_token)
            assert_int_equal(answer.result, table[i].result);
    }
}

/* --- the token for APNs ------------------------------------------------------------------------- */

static push__apns open_apns(void)
{
    tims_error err = { 0 };
    push__apns apns = { .key_id = TIMS_STR("ABC123DEFG"), .team = TIMS_STR("TEAM123456") };
    assert_int_equal(tims_signing_key_read(arena, testing_p256_pem(arena), TIMS_ES256, &apns.key, &err),
                     TIMS_OK);
    return apns;
}

static tims_str token_at(const push__apns *apns, push__credential *credential, int64_t now_s)
{
    return tims_copy(arena, tims_str_from(push__apns_token(arena, apns, credential, now_s)));
}

static void a_token_is_used_for_fifty_minutes_and_says_when_it_was_made(void **state)
{
    (void)state;
    enum { BEGIN = 1700000000, MINUTE = 60 };
    push__credential credential = { 0 };
    push__apns apns = open_apns();
    tims_str first = token_at(&apns, &credential, BEGIN), claims, rest = first;
    (void)tims_str_cut(&rest, '.');
    assert_true(tims_base64url_decode(arena, tims_str_cut(&rest, '.'), &claims));
    assert_str(claims, "{\"iss\":\"TEAM123456\",\"iat\":1700000000}");
    assert_true(tims_str_equal(first, token_at(&apns, &credential, BEGIN + 50 * MINUTE - 1)));
    tims_str second = token_at(&apns, &credential, BEGIN + 50 * MINUTE);
    assert_false(tims_str_equal(first, second));
    assert_true(tims_str_equal(second, token_at(&apns, &credential, BEGIN + 99 * MINUTE)));
    /* the clock was set back: what was made in the future is not used */
    assert_false(tims_str_equal(second, token_at(&apns, &credential, BEGIN)));
    push__credential_clear(&credential);
}

static void out_of_turn_a_token_is_made_once_in_twenty_minutes(void **state)
{
    (void)state;
    enum { BEGIN = 1700000000, MINUTE = 60 };
    int64_t wait_s = 0;
    push__credential credential = { 0 };
    push__apns apns = open_apns();
    tims_str first = token_at(&apns, &credential, BEGIN);
    assert_true(push__apns_renew(&credential, first, BEGIN + 5, &wait_s));
    tims_str second = token_at(&apns, &credential, BEGIN + 5);
    assert_false(tims_str_equal(first, second));
    /* another push that was sent with the first one: there is a second already */
    assert_true(push__apns_renew(&credential, first, BEGIN + 6, &wait_s));
    assert_true(tims_str_equal(second, token_at(&apns, &credential, BEGIN + 6)));
    assert_false(push__apns_renew(&credential, second, BEGIN + 5 * MINUTE + 5, &wait_s));
    assert_int_equal(wait_s, 15 * MINUTE);
    assert_true(tims_str_equal(second, token_at(&apns, &credential, BEGIN + 5 * MINUTE + 5)));
    assert_true(push__apns_renew(&credential, second, BEGIN + 20 * MINUTE + 5, &wait_s));
    push__credential_clear(&credential);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_push_is_said_in_the_words_of_each_service),
        cmocka_unit_test(what_is_left_out_is_not_said),
        cmocka_unit_test(a_push_may_have_4096_bytes_and_no_more),
        cmocka_unit_test(what_no_service_takes_is_named),
        cmocka_unit_test(each_answer_of_apns_has_its_meaning),
        cmocka_unit_test(apns_says_since_when_a_device_is_gone),
        cmocka_unit_test(each_answer_of_fcm_has_its_meaning),
        cmocka_unit_test(only_a_token_that_can_be_sent_is_one),
        cmocka_unit_test(a_token_is_used_for_fifty_minutes_and_says_when_it_was_made),
        cmocka_unit_test(out_of_turn_a_token_is_made_once_in_twenty_minutes),
    };
    return cmocka_run_group_tests_name("push", tests, start, end);
}
