/* device.c: an app registers its device.
 *
 * It does so at each start, since the service may give it another token at any time; so registering is
 * idempotent, and tells that the device is still there. A token names one installation of the app: when
 * somebody else signs in there, the token is theirs from then on, and what the user before is told does not
 * appear on it any more. */
#include <string.h>

#include "push/push_internal.h"

enum { APNS_TOKEN_BYTES_MIN = 64, APNS_TOKEN_BYTES_MAX = 200 };

typedef struct device_body {
    tims_str platform, token, app_version, locale;
} device_body;

static const tims_shape device_shape = {
    .name = "register_device",
    .doc = "A device that wants to be told.",
    .size = sizeof(device_body),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(device_body, platform, .required = true, .max_length = PUSH__PLATFORM_BYTES_MAX,
                   .doc = "fcm, apns or one of the app's own."),
        TIMS_FIELD(device_body, token, .required = true, .max_length = TIMS_PUSH_TOKEN_BYTES_MAX,
                   .doc = "What the service gave the app."),
        TIMS_FIELD(device_body, app_version, .max_length = 40, .doc = "For people who look for a fault."),
        TIMS_FIELD(device_body, locale, .max_length = 35, .doc = "The language it is used in: de-AT.")),
};

/* --- what a token may be ---------------------------------------------------------------------- */

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Registration tokens are base64url with a colon; nothing that would need to be escaped anywhere. */
static bool is_plain(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("-_:.~+/=%", c) != NULL);
}

static bool is_visible(char c)
{
    return c > ' ' && c <= '~';
}

static const char *check_token(tims_str platform, tims_str token)
{
    bool apns = tims_str_equal(platform, TIMS_STR("apns")), fcm = tims_str_equal(platform, TIMS_STR("fcm"));
    bool (*allowed)(char c) = apns ? is_hex : fcm ? is_plain : is_visible;
    if (apns &&
        (token.length < APNS_TOKEN_BYTES_MIN || token.length > APNS_TOKEN_BYTES_MAX || token.length % 2 != 0))
        return "Must be the device's token in hexadecimal: 64 to 200 digits.";
    for (size_t i = 0; i < token.length; i++)
        if (!allowed(token.data[i]))
            return apns ? "Must be the device's token in hexadecimal: 64 to 200 digits."
                        : "Has a character that no token has.";
    return NULL;
}

static bool is_known(const tims_push_room *push, tims_str platform)
{
    return tims_str_equal(platform, TIMS_STR("fcm")) || tims_str_equal(platform, TIMS_STR("apns")) ||
           push__find_sender(push, platform) != NULL;
}

/* Hexadecimal in one case, so that one device is one row. */
static tims_str lower(tims_arena *arena, tims_str text)
{
    char *copy = tims_alloc_raw(arena, text.length + 1);
    for (size_t i = 0; i < text.length; i++)
        copy[i] = text.data[i] >= 'A' && text.data[i] <= 'Z' ? (char)(text.data[i] + 32) : text.data[i];
    return (tims_str){ copy, text.length };
}

static device_body *read_body(tims_request *rq)
{
    tims_error err = { 0 };
    device_body *body = tims_body_shape(rq, &device_shape);
    if (!is_known(push__of(rq), body->platform))
        tims_error_field(rq->arena, &err, TIMS_STR("/platform"), "choice",
                         "Is not a platform that pushes are sent to here.");
    else {
        const char *problem = check_token(body->platform, body->token);
        if (problem != NULL)
            tims_error_field(rq->arena, &err, TIMS_STR("/token"), "format", "%s", problem);
    }
    if (err.status != TIMS_OK)
        tims_raise_error(rq, &err);
    if (tims_str_equal(body->platform, TIMS_STR("apns")))
        body->token = lower(rq->arena, body->token);
    return body;
}

/* --- the row ---------------------------------------------------------------------------------- */

/* One statement, so that two requests at one moment make one row. */
static tims_id put(tims_request *rq, const device_body *body, tims_id id, tims_id user, tims_id login)
{
    tims_error err = { 0 };
    int64_t now_us = tims_now().us;
    const tims_db_value values[] = { tims_db_id(id),
                                     tims_db_id(user),
                                     tims_db_id(login),
                                     tims_db_text(body->platform),
                                     tims_db_text(body->token),
                                     tims_db_text(body->app_version),
                                     tims_db_text(body->locale),
                                     tims_db_int(now_us) };
    tims_db_rows *rows = tims_sql_query(
        rq,
        TIMS_STR("INSERT INTO tims_push_device (id, \"user\", login, platform, token, app_version, locale, "
                 "created_at, last_used_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8) "
                 "ON CONFLICT (platform, token) DO UPDATE SET \"user\" = excluded.\"user\", "
                 "login = excluded.login, app_version = excluded.app_version, locale = excluded.locale, "
                 "last_used_at = excluded.last_used_at RETURNING id"),
        values, 8);
    tims_id found = tims_db_next(rows) ? tims_db_get_id(rows, 0) : id;
    tims_check(rq, tims_db_rows_end(&rows, &err), &err);
    return found;
}

/* Another user's row goes, so that this one's begins anew, under an id that the other never saw. */
static void take_from_others(tims_request *rq, const device_body *body, tims_id user)
{
    const tims_db_value values[] = { tims_db_text(body->platform), tims_db_text(body->token),
                                     tims_db_id(user) };
    (void)tims_sql_run(
        rq, TIMS_STR("DELETE FROM tims_push_device WHERE platform = ?1 AND token = ?2 AND \"user\" <> ?3"),
        values, 3);
}

static void make_room(tims_request *rq, tims_id user)
{
    const tims_db_value values[] = { tims_db_id(user), tims_db_int(TIMS_PUSH_DEVICES_MAX) };
    (void)tims_sql_run(rq,
                       TIMS_STR("DELETE FROM tims_push_device WHERE id IN (SELECT id FROM tims_push_device "
                                "WHERE \"user\" = ?1 ORDER BY last_used_at DESC, id DESC "
                                "LIMIT 1000 OFFSET ?2)"),
                       values, 2);
}

static tims_answer answer_register(tims_request *rq)
{
    tims_throttle(rq, "push_devices", "60/m");
    const device_body *body = read_body(rq);
    tims_id id = tims_id_new(), user = tims_user_id(rq);
    tims_opt_id login = tims_auth_session_of(rq);
    TIMS_ASSERT(login.present); /* the route is for who is signed in */
    tims_begin(rq);
    take_from_others(rq, body, user);
    tims_id found = put(rq, body, id, user, login.value);
    make_room(rq, user);
    const tims_push_device *device = tims_find(rq, &tims_push_device_model, found);
    if (device == NULL)
        tims_raise(rq, 503, NULL, "It was removed at the same moment; try again.");
    return tims_answer_row(rq, tims_same_id(found, id) ? 201 : 200, &tims_push_device_model, device);
}

const tims_route tims_push_routes[] = {
    { TIMS_METHOD_POST, "/api/push/devices/", answer_register, .access = tims_access_signed_in,
      .body_bytes_max = 16 * 1024, .doc = "Registers this device for notifications.",
      .api = { .operation = "registerDevice",
               .body = &device_shape,
               .status = 201,
               .other_status = 200,
               .row = &tims_push_device_model,
               .problems = { 429 } } },
    { 0 },
};
