/* user: making accounts, and passwords off the loop.
 *
 * argon2id takes some 50 ms and 32 MiB by design, so it runs on the worker pool, and no more than a bounded
 * number of requests may wait for it. It is always done before a transaction is begun: nobody's write waits
 * for a hash. */
#include "auth/auth_internal.h"

/* --- passwords --------------------------------------------------------------------------------------- */

typedef struct hashing {
    tims_str password;
    const char *hash; /* to compare with; NULL: make one */
    tims_password_cost cost;
    char made[TIMS_PASSWORD_HASH_MAX];
    bool matches;
    tims_status status;
} hashing;

static void hash_on_worker(void *argument)
{
    hashing *work = argument;
    work->status = TIMS_OK;
    if (work->hash != NULL)
        work->matches = tims_password_matches(work->password, work->hash);
    else
        work->status = tims_password_hash(work->password, work->cost, work->made);
}

static tims_password_cost cost_of(tims_request *rq)
{
    return rq->slots[TIMS_SLOT_AUTH] != NULL ? auth__state_of(rq)->auth->options.password_cost
                                             : tims_password_cost_default;
}

static tims_status run_hashing(tims_request *rq, hashing *work, tims_error *err)
{
    tims_auth *auth = rq->slots[TIMS_SLOT_AUTH] != NULL ? auth__state_of(rq)->auth : NULL;
    if (auth != NULL && atomic_fetch_add(&auth->hashes, 1) >= AUTH__HASHES_MAX) {
        atomic_fetch_sub(&auth->hashes, 1);
        tims_status status = tims_fail(err, TIMS_UNAVAILABLE, "busy", "Too many people sign in just now.");
        if (err != NULL)
            err->retry_after_s = 2;
        return status;
    }
    tims_status status = tims_work_run(hash_on_worker, work); /* shielded: it returns in every case */
    if (auth != NULL)
        atomic_fetch_sub(&auth->hashes, 1);
    if (status != TIMS_OK || work->status != TIMS_OK)
        return tims_fail(err, TIMS_UNAVAILABLE, "memory", "There is no memory to check a password just now.");
    return TIMS_OK;
}

tims_status auth__password_hash(tims_request *rq, tims_str password, tims_str *ret_hash, tims_error *err)
{
    hashing *work = TIMS_NEW(rq->arena, hashing);
    *work = (hashing){ .password = password, .cost = cost_of(rq) };
    tims_status status = run_hashing(rq, work, err);
    if (status == TIMS_OK)
        *ret_hash = tims_str_from(work->made);
    return status;
}

/* Without a hash to compare with, one is made: that costs what comparing costs. */
tims_status auth__password_check(tims_request *rq, tims_str password, tims_str hash, bool *ret_matches,
                                 tims_error *err)
{
    hashing *work = TIMS_NEW(rq->arena, hashing);
    *work = (hashing){ .password = password, .cost = cost_of(rq) };
    if (hash.length > 0)
        work->hash = tims_copy_c(rq->arena, hash);
    tims_status status = run_hashing(rq, work, err);
    if (status == TIMS_OK)
        *ret_matches = work->matches;
    return status;
}

/* The account as it is now, inside the transaction, if nobody has changed its password or switched it off
 * since it was read: checking a password takes long enough for its owner to have given up on it meanwhile. */
bool auth__user_confirm(tims_request *rq, tims_user *user)
{
    tims_begin(rq);
    const tims_user *now = tims_find(rq, &tims_user_model, user->id);
    if (now == NULL || !now->active || !tims_str_equal(now->password, user->password))
        return false;
    *user = *now;
    return true;
}

/* --- names ------------------------------------------------------------------------------------------- */

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static tims_status check_username(tims_request *rq, tims_str username, tims_error *err)
{
    bool fine = username.length >= 3 && username.length <= AUTH__USERNAME_MAX;
    for (size_t i = 0; fine && i < username.length; i++)
        fine = is_name_character(username.data[i]);
    if (fine)
        return TIMS_OK;
    tims_error_field(rq->arena, err, TIMS_STR("/username"), "username",
                     "Must be 3 to 30 letters (a-z), digits, and . _ -");
    return TIMS_INVALID;
}

static tims_status fail_taken(tims_request *rq, tims_error *err)
{
    tims_error_field(rq->arena, err, TIMS_STR("/username"), "unique", "Somebody else has this name.");
    if (err != NULL) {
        tims_field_error *fields = err->fields;
        (void)tims_fail(err, TIMS_CONFLICT, "unique", "Somebody else has this name.");
        err->fields = fields;
    }
    return TIMS_CONFLICT;
}

static tims_status check_input(tims_request *rq, const auth__new_user *input, tims_error *err)
{
    tims_status status = check_username(rq, input->username, err);
    tims_status password =
        tims_password_check_rules(rq->arena, input->password, input->username, input->email, err);
    if (status == TIMS_OK)
        status = password;
    if (input->email.length > 0 && !tims_format_matches("email", input->email)) {
        tims_error_field(rq->arena, err, TIMS_STR("/email"), "format", "Is not a valid email.");
        status = TIMS_INVALID;
    }
    return status;
}

tims_status auth__user_create(tims_request *rq, const auth__new_user *input, tims_user **ret_user,
                              tims_error *err)
{
    tims_error own = { 0 };
    if (err == NULL)
        err = &own;
    tims_status status = check_input(rq, input, err);
    if (status != TIMS_OK)
        return status;
    tims_str key = auth__lower(rq->arena, input->username), hash;
    if (tims_find_by(rq, &tims_user_model, "username_key", key) != NULL)
        return fail_taken(rq, err);
    status = auth__password_hash(rq, input->password, &hash, err);
    if (status != TIMS_OK)
        return status;
    tims_user *user = TIMS_NEW(rq->arena, tims_user);
    *user =
        (tims_user){ .username = tims_copy(rq->arena, input->username),
                     .username_key = key,
                     .email = { input->email.length > 0, tims_copy(rq->arena, input->email) },
                     .display_name = input->display_name.length > 0 ? input->display_name : input->username,
                     .avatar = TIMS_STR(""),
                     .password = hash,
                     .staff = input->staff,
                     .active = true };
    user->display_name = tims_copy(rq->arena, user->display_name);
    tims_begin(rq);
    status = tims_model_insert(tims_session_db(rq), rq->arena, &tims_user_model, user, err);
    if (status == TIMS_CONFLICT) { /* somebody was faster */
        *err = (tims_error){ 0 };
        return fail_taken(rq, err);
    }
    if (status == TIMS_OK)
        *ret_user = user;
    return status;
}

tims_status tims_user_create(tims_request *rq, tims_str username, tims_str password, bool staff,
                             tims_user **ret_user, tims_error *err)
{
    const auth__new_user input = {
        .username = username, .password = password, .email = TIMS_STR_INIT(""), .staff = staff
    };
    return auth__user_create(rq, &input, ret_user, err);
}
