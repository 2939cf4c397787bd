/* me_api: what a person sees and changes of the own account. */
#include "auth/auth_internal.h"

tims_answer auth__me(tims_request *rq)
{
    return auth__answer_who(rq, NULL, 200);
}

typedef struct changes {
    tims_str display_name;
    tims_opt_str email;
} changes;

const tims_shape auth__change_shape = {
    .name = "me",
    .doc = "What a person changes of the own account.",
    .size = sizeof(changes),
    .fields = TIMS_FIELDS(TIMS_FIELD(changes, display_name, .required = true, .max_length = 60,
                                     .doc = "The name that others see."),
                          TIMS_FIELD(changes, email, .max_length = 254, .format = "email",
                                     .doc = "Seen by the person alone; null: none.")),
};
enum { DISPLAY_NAME = 1, EMAIL = 2 };

tims_answer auth__me_patch(tims_request *rq)
{
    changes wanted = { 0 };
    tims_field_set present = 0;
    tims_error err = { 0 };
    const tims_json *body = tims_body_json(rq);
    tims_check(
        rq,
        tims_json_bind(rq->arena, body, auth__change_shape.fields, TIMS_BIND_PATCH, &wanted, &present, &err),
        &err);
    tims_begin(rq);
    tims_user user = *tims_current_user(rq);
    if (present & DISPLAY_NAME)
        user.display_name = tims_str_trim(wanted.display_name);
    if (user.display_name.length == 0)
        user.display_name = user.username;
    if (present & EMAIL)
        user.email =
            (tims_opt_str){ wanted.email.present && wanted.email.value.length > 0, wanted.email.value };
    if (present != 0)
        tims_update(rq, &tims_user_model, &user, TIMS_NAMES("display_name", "email"));
    auth__state_of(rq)->user = NULL; /* read again */
    return auth__answer_who(rq, NULL, 200);
}

/* --- password ---------------------------------------------------------------------------------------- */

/* In JSON they are "old" and "new". */
const tims_shape auth__password_shape = {
    .name = "change_password",
    .doc = "The present password and the one in its place.",
    .size = sizeof(auth__input),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(auth__input, old, .required = true, .max_length = 1000, .format = "password",
                   .doc = "The present one."),
        TIMS_VALUE(new, STR, .offset = offsetof(auth__input, fresh), .required = true, .max_length = 1000,
                   .format = "password", .doc = "The one in its place."),
        TIMS_FIELD(auth__input, next, .max_length = 1000, .doc = "Of a form: the page it leads to."),
        TIMS_FIELD(auth__input, csrf_token, .max_length = 200, .doc = "Of a form: instead of the header.")),
};

static tims_status fail_old(tims_request *rq, tims_error *err)
{
    tims_error_field(rq->arena, err, TIMS_STR("/old"), "wrong", "Is not the present password.");
    return TIMS_INVALID;
}

/* Whoever sits at an open browser must not find the password by trying. */
static tims_status check_old(tims_request *rq, const tims_user *user, tims_str old, tims_error *err)
{
    const tims_auth *auth = auth__state_of(rq)->auth;
    auth__counter counter = auth__counter_of(rq, auth, auth->throttle, 'p', user->username_key);
    int retry_s = 0;
    bool matches = false;
    const auth__limit limit = { auth->options.login_failures_max, INT64_C(15) * 60 * 1000000 };
    if (!auth__counter_try(rq, &counter, limit, &retry_s)) {
        (void)tims_fail(err, TIMS_THROTTLED, "password_throttled", "Too many attempts; wait a while.");
        err->retry_after_s = retry_s;
        return TIMS_THROTTLED;
    }
    tims_status status = auth__password_check(rq, old, user->password, &matches, err);
    if (status != TIMS_OK || matches)
        auth__counter_take_back(&counter);
    return status == TIMS_OK && !matches ? fail_old(rq, err) : status;
}

static tims_status try_password_change(tims_request *rq, auth__input *input, tims_error *err)
{
    tims_status status = auth__input_read(rq, auth__password_shape.fields, input, err);
    if (status != TIMS_OK)
        return status;
    tims_str hash;
    tims_user *user = TIMS_NEW(rq->arena, tims_user);
    *user = *tims_current_user(rq);
    status = check_old(rq, user, input->old, err);
    if (status == TIMS_OK)
        status = auth__password_rules(rq->arena, input->fresh, user->username, user->email.value,
                                      TIMS_STR("/new"), err);
    if (status == TIMS_OK)
        status = auth__password_hash(rq, input->fresh, &hash, err);
    if (status != TIMS_OK)
        return status;
    if (!auth__user_confirm(rq, user)) /* the old one is no longer the present one */
        return fail_old(rq, err);
    user->password = hash;
    tims_update(rq, &tims_user_model, user, TIMS_NAMES("password"));
    auth__state *state = auth__state_of(rq);
    bool is_device = state->session.device;
    auth__session_end_all(
        rq, user->id, is_device ? state->session.id : (tims_id){ { 0 } }); /* who knew the old one is out */
    if (is_device)
        state->fresh_token = auth__token_renew(rq, true);
    else
        tims_login(rq, user);
    return TIMS_OK;
}

tims_answer auth__password_change(tims_request *rq)
{
    auth__input input;
    tims_error err = { 0 };
    if (try_password_change(rq, &input, &err) != TIMS_OK)
        return auth__answer_failure(rq, &input, "/profile", &err);
    return auth__answer_who(rq, &input, 200);
}
