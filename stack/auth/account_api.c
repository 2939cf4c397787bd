/* account_api: register, sign in, sign out; the sign-in of a device is here too, its token in token.c. */
#include "auth/auth_internal.h"

/* Lengths here only bound what is looked at; the rules for new names and passwords are in user.c. */
#define USERNAME                                                           \
    TIMS_FIELD(auth__input, username, .required = true, .max_length = 200, \
               .doc = "The name to sign in with.", .example = "demo")
#define PASSWORD                                                                                  \
    TIMS_FIELD(auth__input, password, .required = true, .max_length = 1000, .format = "password", \
               .doc = "The password.")
#define NEXT TIMS_FIELD(auth__input, next, .max_length = 1000, .doc = "Of a form: the page it leads to.")
#define CSRF \
    TIMS_FIELD(auth__input, csrf_token, .max_length = 200, .doc = "Of a form: instead of the header.")

const tims_shape auth__login_shape = {
    .name = "login",
    .doc = "Who wants to sign in.",
    .size = sizeof(auth__input),
    .fields = TIMS_FIELDS(USERNAME, PASSWORD, NEXT, CSRF),
};
const tims_shape auth__register_shape = {
    .name = "register",
    .doc = "A new account.",
    .size = sizeof(auth__input),
    .fields = TIMS_FIELDS(
        USERNAME, PASSWORD,
        TIMS_FIELD(auth__input, email, .max_length = 254, .format = "email",
                   .doc = "Seen by the person alone."),
        TIMS_FIELD(auth__input, display_name, .max_length = 60, .doc = "The name that others see."),
        TIMS_FIELD(auth__input, device, .max_length = 100,
                   .doc = "What a device calls itself: it gets a token instead of a cookie."),
        NEXT, CSRF),
};
const tims_shape auth__token_shape = {
    .name = "create_token",
    .doc = "A device that wants a token.",
    .size = sizeof(auth__input),
    .fields = TIMS_FIELDS(USERNAME, PASSWORD,
                          TIMS_FIELD(auth__input, label, .max_length = 100, .doc = "What it calls itself.")),
};
static const tims_fields logout_fields = TIMS_FIELDS(NEXT, CSRF);

/* --- register ---------------------------------------------------------------------------------------- */

/* It gets a token in the answer instead of a cookie, so no page can be tricked into being somebody else. */
static bool is_device(const auth__input *input)
{
    return input->device.present && !input->is_form;
}

static tims_status try_register(tims_request *rq, auth__input *input, tims_user **ret_user, tims_error *err)
{
    tims_status status = auth__input_read(rq, auth__register_shape.fields, input, err);
    if (status != TIMS_OK)
        return status;
    if (!is_device(input))
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
    status = auth__registration_begin(rq, err);
    if (status != TIMS_OK)
        return status;
    status = auth__user_create(rq, &user, ret_user, err);
    auth__registration_end(rq, status);
    return status;
}

static void sign_in_device(tims_request *rq, const tims_user *user, tims_str label)
{
    tims_id session;
    tims_begin(rq);
    tims_str token = auth__session_create(rq, user->id, AUTH__DEVICE, label, &session);
    auth__be_user(rq, user, session, token, true);
    auth__state_of(rq)->fresh_token = token;
}

tims_answer auth__register(tims_request *rq)
{
    auth__input input;
    tims_error err = { 0 };
    tims_user *user = NULL;
    if (try_register(rq, &input, &user, &err) != TIMS_OK)
        return auth__answer_failure(rq, &input, "/register", &err);
    if (is_device(&input))
        sign_in_device(rq, user, input.device.value);
    else
        tims_login(rq, user);
    auth__state_of(rq)->user = user;
    return auth__answer_who(rq, &input, 201);
}

/* --- sign in ----------------------------------------------------------------------------------------- */

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
    tims_str key = auth__lower(rq->arena, input->username);
    auth__attempt attempt;
    bool matches = false;
    tims_user *user = tims_find_by(rq, &tims_user_model, "username_key", key);
    tims_status status = auth__attempt_begin(rq, key, user, &attempt, err);
    if (status != TIMS_OK)
        return status;
    status = auth__password_check(rq, input->password, user != NULL ? user->password : TIMS_STR(""), &matches,
                                  err);
    if (status != TIMS_OK) {
        auth__attempt_take_back(rq, &attempt);
        return status;
    }
    if (user == NULL || !matches || !user->active) {
        auth__attempt_failed(rq, &attempt);
        return fail_credentials(err);
    }
    auth__attempt_succeeded(rq, &attempt);
    *ret_user = user;
    return accept_user(rq, user, input->password, err);
}

tims_answer auth__login(tims_request *rq)
{
    auth__input input;
    tims_error err = { 0 };
    tims_user *user = NULL;
    tims_status status = auth__input_read(rq, auth__login_shape.fields, &input, &err);
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
    auth__session_end_all(rq, tims_user_id(rq), (tims_id){ { 0 } });
    tims_logout(rq);
    return auth__answer_who(rq, &input, 200);
}

/* --- devices ----------------------------------------------------------------------------------------- */

tims_answer auth__token_create(tims_request *rq)
{
    auth__input input;
    tims_error err = { 0 };
    tims_user *user = NULL;
    tims_status status = auth__input_read(rq, auth__token_shape.fields, &input, &err);
    if (status == TIMS_OK && input.is_form)
        tims_raise(rq, 415, "unsupported_media_type", "Send this as application/json.");
    if (status == TIMS_OK)
        status = check_credentials(rq, &input, &user, &err);
    tims_check(rq, status, &err);
    TIMS_ASSERT(user != NULL);
    sign_in_device(rq, user, input.label);
    auth__state_of(rq)->user = user;
    return auth__answer_who(rq, &input, 201);
}
