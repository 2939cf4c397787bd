/* account_api: register, sign in, sign out, tokens for devices. */
#include <arpa/inet.h>

#include "auth/auth_internal.h"

/* Lengths here only bound what is looked at; the rules for new names and passwords are in user.c. */
#define USERNAME TIMS_FIELD(auth__input, username, .required = true, .max_length = 200)
#define PASSWORD TIMS_FIELD(auth__input, password, .required = true, .max_length = 1000)
#define NEXT TIMS_FIELD(auth__input, next, .max_length = 1000)
#define CSRF TIMS_FIELD(auth__input, csrf_token, .max_length = 200)

static const tims_fields login_fields = TIMS_FIELDS(USERNAME, PASSWORD, NEXT, CSRF);
static const tims_fields register_fields =
    TIMS_FIELDS(USERNAME, PASSWORD, TIMS_FIELD(auth__input, email, .max_length = 254, .format = "email"),
                TIMS_FIELD(auth__input, display_name, .max_length = 60), NEXT, CSRF);
static const tims_fields token_fields =
    TIMS_FIELDS(USERNAME, PASSWORD, TIMS_FIELD(auth__input, label, .max_length = 100));
static const tims_fields logout_fields = TIMS_FIELDS(NEXT, CSRF);

/* --- register ---------------------------------------------------------------------------------------- */

static tims_status try_register(tims_request *rq, auth__input *input, tims_user **ret_user, tims_error *err)
{
    tims_status status = auth__input_read(rq, register_fields, input, err);
    if (status != TIMS_OK)
        return status;
    status = auth__csrf_check_sign_in(rq, input->csrf_token, input->is_form, err);
    if (status != TIMS_OK)
        return status;
    if (!auth__state_of(rq)->auth->options.open_registration)
        return tims_fail(err, TIMS_FORBIDDEN, "registration_closed",
                         "New accounts are made by the staff here.");
    const auth__new_user user = { .username = input->username,
                                  .password = input->password,
                                  .email = input->email,
                                  .display_name = tims_str_trim(input->display_name) };
    return auth__user_create(rq, &user, ret_user, err);
}

tims_answer auth__register(tims_request *rq)
{
    auth__input input;
    tims_error err = { 0 };
    tims_user *user = NULL;
    if (try_register(rq, &input, &user, &err) != TIMS_OK)
        return auth__answer_failure(rq, &input, "/register", &err);
    tims_login(rq, user);
    auth__state_of(rq)->user = user;
    return auth__answer_who(rq, &input, 201);
}

/* --- sign in ----------------------------------------------------------------------------------------- */

typedef struct attempt {
    uint64_t account, address;
} attempt;

static tims_status fail_throttled(tims_error *err, int retry_s)
{
    (void)tims_fail(err, TIMS_THROTTLED, "login_throttled", "Too many attempts; try again in %d minutes.",
                    (retry_s + 59) / 60);
    err->retry_after_s = retry_s;
    return TIMS_THROTTLED;
}

/* A whole /64 is one home, so one address, however it is written. */
static tims_str address_of(const tims_request *rq)
{
    struct in6_addr address;
    if (inet_pton(AF_INET6, tims_copy_c(rq->arena, rq->peer), &address) != 1 ||
        IN6_IS_ADDR_V4MAPPED(&address))
        return rq->peer;
    return tims_copy(rq->arena, (tims_str){ (const char *)address.s6_addr, 8 });
}

static tims_status begin_attempt(tims_request *rq, tims_str key, attempt *ret_attempt, tims_error *err)
{
    const tims_auth *auth = auth__state_of(rq)->auth;
    int64_t now_us = tims_monotonic_us(), max = auth->options.login_failures_max;
    int retry_s = 0;
    attempt a = { auth__throttle_key(auth->throttle, 'u', key),
                  auth__throttle_key(auth->throttle, 'a', address_of(rq)) };
    if (!auth__throttle_look(auth->throttle, a.address, max, now_us, &retry_s) ||
        !auth__throttle_try(auth->throttle, a.account, max, now_us, &retry_s))
        return fail_throttled(err, retry_s);
    *ret_attempt = a;
    return TIMS_OK;
}

/* The hash that the present cost asks for; data == NULL: it is that already. */
static tims_str fresh_hash(tims_request *rq, const tims_user *user, tims_str password)
{
    const tims_auth *auth = auth__state_of(rq)->auth;
    tims_str hash;
    if (!tims_password_needs_rehash(tims_copy_c(rq->arena, user->password), auth->options.password_cost) ||
        auth__password_hash(rq, password, &hash, NULL) != TIMS_OK)
        return (tims_str){ NULL, 0 };
    return hash;
}

static tims_status fail_credentials(tims_error *err)
{
    return tims_fail(err, TIMS_UNAUTHORIZED, "credentials", "The name or the password is wrong.");
}

/* Hashes are made before the transaction; what was read before it is looked at again in it. */
static tims_status accept_user(tims_request *rq, tims_user *user, tims_str password, tims_error *err)
{
    tims_str hash = fresh_hash(rq, user, password);
    if (!auth__user_confirm(rq, user))
        return fail_credentials(err);
    if (hash.data != NULL) {
        user->password = hash;
        tims_update(rq, &tims_user_model, user, TIMS_NAMES("password"));
    }
    return TIMS_OK;
}

/* The answer and its time are the same whether the name exists or not. */
static tims_status check_credentials(tims_request *rq, const auth__input *input, tims_user **ret_user,
                                     tims_error *err)
{
    const tims_auth *auth = auth__state_of(rq)->auth;
    tims_str key = auth__lower(rq->arena, input->username);
    attempt a;
    bool matches = false;
    tims_status status = begin_attempt(rq, key, &a, err);
    if (status != TIMS_OK)
        return status;
    tims_user *user = tims_find_by(rq, &tims_user_model, "username_key", key);
    status = auth__password_check(rq, input->password, user != NULL ? user->password : TIMS_STR(""), &matches,
                                  err);
    if (status != TIMS_OK) {
        auth__throttle_take_back(auth->throttle, a.account);
        return status;
    }
    if (user == NULL || !matches || !user->active) {
        auth__throttle_count(auth->throttle, a.address, tims_monotonic_us());
        return fail_credentials(err);
    }
    auth__throttle_clear(auth->throttle, a.account);
    *ret_user = user;
    return accept_user(rq, user, input->password, err);
}

tims_answer auth__login(tims_request *rq)
{
    auth__input input;
    tims_error err = { 0 };
    tims_user *user = NULL;
    tims_status status = auth__input_read(rq, login_fields, &input, &err);
    if (status == TIMS_OK)
        status = auth__csrf_check_sign_in(rq, input.csrf_token, input.is_form, &err);
    if (status == TIMS_OK)
        status = check_credentials(rq, &input, &user, &err);
    if (status != TIMS_OK)
        return auth__answer_failure(rq, &input, "/login", &err);
    tims_login(rq, user);
    auth__state_of(rq)->user = user;
    return auth__answer_who(rq, &input, 200);
}

/* --- sign out ---------------------------------------------------------------------------------------- */

/* A sign-out may come without a body. */
static void read_next(tims_request *rq, auth__input *input)
{
    tims_error err = { 0 };
    *input = (auth__input){ .is_form = auth__is_form(rq) };
    if (input->is_form && auth__input_read(rq, logout_fields, input, &err) != TIMS_OK)
        input->next = TIMS_STR("");
}

tims_answer auth__logout(tims_request *rq)
{
    auth__input input;
    read_next(rq, &input);
    tims_logout(rq);
    return auth__answer_who(rq, &input, 200);
}

tims_answer auth__logout_everywhere(tims_request *rq)
{
    auth__input input;
    read_next(rq, &input);
    auth__session_end_all(rq, tims_user_id(rq));
    tims_logout(rq);
    return auth__answer_who(rq, &input, 200);
}

/* --- tokens for devices ------------------------------------------------------------------------------ */

tims_answer auth__token_create(tims_request *rq)
{
    auth__input input;
    tims_error err = { 0 };
    tims_user *user = NULL;
    tims_id session;
    tims_status status = auth__input_read(rq, token_fields, &input, &err);
    if (status == TIMS_OK && input.is_form)
        tims_raise(rq, 415, "unsupported_media_type", "Send this as application/json.");
    if (status == TIMS_OK)
        status = check_credentials(rq, &input, &user, &err);
    tims_check(rq, status, &err);
    TIMS_ASSERT(user != NULL);
    tims_str token = auth__session_create(rq, user->id, AUTH__DEVICE, input.label, &session);
    tims_set_header(rq, TIMS_STR("Cache-Control"), TIMS_STR("no-store"));
    return tims_answer_json(201,
                            tims_print(rq->arena, "{\"token\":\"%S\",\"user\":\"%I\"}", token, user->id));
}

tims_answer auth__token_delete(tims_request *rq)
{
    if (!auth__state_of(rq)->session.device)
        tims_raise(rq, 409, "no_token",
                   "This request carries no device token; a cookie session ends at "
                   "/api/auth/logout/.");
    tims_logout(rq);
    return tims_answer_empty(204);
}
