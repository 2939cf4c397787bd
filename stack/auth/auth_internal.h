/* auth_internal.h: what the files of this room share.
 *
 *   tims_auth ── one per process: options, signing key, throttle
 *     └─ auth__loop ── one per loop: the cache of sessions
 *   auth__state ── one per request: who asks, by which session
 */
#ifndef TIMS_AUTH_INTERNAL_H
#define TIMS_AUTH_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tims/auth.h"

enum {
    AUTH__MAGIC = 0x41555448,
    AUTH__LOOP_MAGIC = 0x41554c50,
    AUTH__STATE_MAGIC = 0x41555354,
    AUTH__CACHE_ENTRIES = 16384,        /* sessions a loop remembers */
    AUTH__TOUCH_US = 300 * 1000 * 1000, /* a session's last use is written at most this often */
    AUTH__HASHES_MAX = 64,              /* passwords being hashed or waiting for it; past it: 503 */
    AUTH__USERNAME_MAX = 30,
    AUTH__PASSWORD_LENGTH_MAX = 256,
    AUTH__AVATAR_BYTES_MAX = 1024 * 1024,
};
#define AUTH__DAY_S INT64_C(86400)

/* --- models ----------------------------------------------------------------------------------- */

typedef struct auth__session_row {
    tims_id id;
    tims_str token_hash;
    tims_opt_str next_hash; /* of a fresh token that has not been used yet, see token.c */
    tims_id user;
    bool device; /* a bearer token, not a cookie */
    tims_str label;
    tims_time created_at, expires_at, last_used_at;
} auth__session_row;

typedef struct auth__avatar_row {
    tims_id id, user;
    tims_str content_type, hash, data; /* data: base64url */
    tims_time created_at;
} auth__avatar_row;
extern const tims_model auth__avatar_model;

typedef struct auth__key_row {
    tims_id id;
    tims_str name, secret;
    tims_time created_at;
} auth__key_row;
extern const tims_model auth__key_model;

/* --- sessions remembered ----------------------------------------------------------------------------- */

/* What a request needs to know of its session. */
typedef struct auth__session {
    tims_id id, user;
    int64_t expires_us, last_used_us, written_us; /* written: the last use that the database knows of */
    bool staff, device;
    bool is_next; /* found by a fresh token: its first use */
} auth__session;

typedef struct auth__cache auth__cache;
auth__cache *auth__cache_new(uint32_t capacity);
void auth__cache_free(auth__cache **cache);
/* Borrowed until the next put or forget; NULL when it is not known. */
auth__session *auth__cache_find(auth__cache *cache, const char hash[TIMS_TOKEN_HASH_TEXT_LENGTH]);
/* Grows with each forget. What was read from the database before a forget must not be put behind it. */
uint64_t auth__cache_generation(const auth__cache *cache);
auth__session *auth__cache_put(auth__cache *cache, const char hash[TIMS_TOKEN_HASH_TEXT_LENGTH],
                               const auth__session *session);
void auth__cache_forget_session(auth__cache *cache, tims_id session);
void auth__cache_forget_user(auth__cache *cache, tims_id user);
void auth__cache_forget_all(auth__cache *cache);
uint32_t auth__cache_count(const auth__cache *cache);

/* --- throttle ---------------------------------------------------------------------------------------- */

/* So many in a window that begins with the first of them. */
typedef struct auth__limit {
    int64_t max, window_us;
} auth__limit;
/* Counts by key; thread-safe, bounded: of too many keys the oldest go. */
typedef struct auth__throttle auth__throttle;
auth__throttle *auth__throttle_new(void);
void auth__throttle_free(auth__throttle **throttle);
uint64_t auth__throttle_key(const auth__throttle *throttle, char kind, tims_str name);
/* False when `limit.max` have been counted in the window: `ret_retry_s` says when it ends. */
bool auth__throttle_look(auth__throttle *throttle, uint64_t key, auth__limit limit, int64_t now_us,
                         int *ret_retry_s);
void auth__throttle_count(auth__throttle *throttle, uint64_t key, int64_t now_us);
/* Looks and, if it is open, counts. */
bool auth__throttle_try(auth__throttle *throttle, uint64_t key, auth__limit limit, int64_t now_us,
                        int *ret_retry_s);
void auth__throttle_take_back(auth__throttle *throttle, uint64_t key); /* it was no failure */
void auth__throttle_clear(auth__throttle *throttle, uint64_t key);

/* --- counters: what is limited, on this node or on all ----------------------------------------------- */

typedef struct auth__counter {
    const tims_auth *auth;
    auth__throttle *throttle;
    uint64_t local;
    tims_str shared; /* in the request's arena */
} auth__counter;
auth__counter auth__counter_of(tims_request *rq, const tims_auth *auth, auth__throttle *throttle, char kind,
                               tims_str name);
/* As the throttle's. These two may suspend. */
bool auth__counter_look(tims_request *rq, const auth__counter *counter, auth__limit limit, int *ret_retry_s);
bool auth__counter_try(tims_request *rq, const auth__counter *counter, auth__limit limit, int *ret_retry_s);
void auth__counter_count(const auth__counter *counter, auth__limit limit);
void auth__counter_take_back(const auth__counter *counter);
void auth__counter_clear(const auth__counter *counter);

/* --- attempts ---------------------------------------------------------------------------------------- */

typedef struct auth__attempt {
    auth__counter pair, address, account;
    bool is_known; /* the account knows where this comes from */
} auth__attempt;
/* Before a password is looked at. `name` in lower case; `user` NULL: there is no such account.
 * Errors: THROTTLED. */
tims_status auth__attempt_begin(tims_request *rq, tims_str name, const tims_user *user,
                                auth__attempt *ret_attempt, tims_error *err);
/* Then one of: the password was not looked at, was wrong, was right. */
void auth__attempt_take_back(tims_request *rq, const auth__attempt *attempt);
void auth__attempt_failed(tims_request *rq, const auth__attempt *attempt);
void auth__attempt_succeeded(tims_request *rq, const auth__attempt *attempt);
/* The request's address is one of the user's own. */
void auth__remember_address(tims_request *rq, tims_auth *auth, tims_id user);
/* Around the making of an account. Errors: THROTTLED. */
tims_status auth__registration_begin(tims_request *rq, tims_error *err);
void auth__registration_end(tims_request *rq, tims_status status);

/* --- the process, the loop, the request -------------------------------------------------------------- */

typedef struct auth__loop {
    uint32_t magic;
    tims_auth *auth;
    tims_loop *loop;
    auth__cache *cache;
    atomic_int forgets_coming; /* posted to this loop and not done yet: until then its cache is not asked */
    struct auth__loop *next;
} auth__loop;

struct tims_auth {
    uint32_t magic;
    tims_db *db;
    tims_auth_options options;
    char key[TIMS_TOKEN_TEXT_LENGTH];
    auth__throttle *throttle;
    tims_redis *redis; /* NULL: limits are this node's own */
    tims_str redis_prefix;
    auth__throttle *known; /* addresses of accounts: apart, so that no flood pushes them out */
    struct {
        tims_loop *loop; /* where it runs; NULL: nowhere, or no longer */
        tims_timer timer;
        tims_arena *arena; /* of the turn under way */
    } sweep;
    atomic_int hashes;     /* passwords being hashed or waiting for it */
    pthread_mutex_t mutex; /* of `loops` */
    auth__loop *loops;
};

typedef struct auth__state {
    uint32_t magic;
    tims_auth *auth;
    bool signed_in;
    auth__session session; /* when signed in */
    char token_hash[TIMS_TOKEN_HASH_TEXT_LENGTH];
    const tims_user *user; /* read at first use */
    tims_str visitor;      /* the anonymous cookie, when one was sent or made */
    tims_str csrf;
    tims_str fresh_token; /* of a device, for the answer to tell */
} auth__state;

/* The state of a request that tims_auth_begin or tims_auth_attach has seen. */
auth__state *auth__state_of(tims_request *rq);
auth__loop *auth__loop_of(tims_auth *auth, tims_loop *loop);
/* On all loops; `session` or `user` is zero; both: everything. */
void auth__forget_everywhere(tims_auth *auth, tims_id session, tims_id user);
/* The same as soon as the request's transaction is durable. */
void auth__forget_on_commit(tims_request *rq, tims_id session, tims_id user);

/* --- sessions in the database ------------------------------------------------------------------------ */

typedef enum auth__token_use { AUTH__COOKIE, AUTH__DEVICE } auth__token_use;
/* UNAUTHORIZED when the token is unknown, expired, ended, or its user was switched off. */
tims_status auth__session_find(tims_request *rq, tims_auth *auth, tims_str token, auth__token_use use,
                               char ret_hash[TIMS_TOKEN_HASH_TEXT_LENGTH], auth__session *ret_session,
                               tims_error *err);
/* Makes a row; the token is told once. */
tims_str auth__session_create(tims_request *rq, tims_id user, auth__token_use use, tims_str label,
                              tims_id *ret_id);
/* What the endpoints take. */
extern const tims_shape auth__login_shape, auth__register_shape, auth__token_shape, auth__change_shape,
    auth__password_shape;
tims_str auth__session_cookie_name(const tims_auth *auth);
tims_str auth__visitor_cookie_name(const tims_auth *auth);
tims_str auth__csrf_cookie_name(const tims_auth *auth);
/* Ends every session and token of a user, but `kept` (zero: none). */
void auth__session_end_all(tims_request *rq, tims_id user, tims_id kept);
/* The caller is this user from here on, by a row just made. */
void auth__be_user(tims_request *rq, const tims_user *user, tims_id session, tims_str token, bool device);

/* --- tokens of devices, renewed ---------------------------------------------------------------------- */

int64_t auth__token_life_s(const tims_auth *auth);
/* A fresh token for the device that asks. The present one ends when the fresh one is first used, or, with
 * `at_once`, now. Raises: 401 when another request has renewed it and that one is used already. */
tims_str auth__token_renew(tims_request *rq, bool at_once);
/* Its first use: the one before it ends. By a fiber of its own, soon. */
void auth__token_confirm(tims_auth *auth, tims_loop *loop, tims_id session,
                         const char hash[TIMS_TOKEN_HASH_TEXT_LENGTH]);

/* --- sweep ------------------------------------------------------------------------------------------- */

void auth__sweep_stop(tims_auth *auth, tims_loop *loop); /* if it runs there */
/* For one more session (or device token) of the user, in the request's transaction. */
void auth__sweep_make_room(tims_request *rq, tims_id user, bool device);

/* --- CSRF -------------------------------------------------------------------------------------------- */

/* The cookie that pages' scripts read the token from goes. */
void auth__csrf_cookie_end(tims_request *rq);
/* For cookie sessions on unsafe methods. Raises: 403. */
void auth__csrf_check(tims_request *rq);
/* For signing in, where there may be no session yet. FORBIDDEN. */
tims_status auth__csrf_check_sign_in(tims_request *rq, tims_str form_token, bool is_form, tims_error *err);
bool auth__is_form(const tims_request *rq);

/* --- passwords and users ----------------------------------------------------------------------------- */

/* False: the password was changed or the account switched off since `user` was read. Begins the transaction.
 */
bool auth__user_confirm(tims_request *rq, tims_user *user);

bool auth__password_is_common(tims_str lowered);
/* As tims_password_check_rules, at another pointer. */
tims_status auth__password_rules(tims_arena *arena, tims_str password, tims_str username, tims_str email,
                                 tims_str pointer, tims_error *err);
/* Off the loop. Errors: UNAVAILABLE. Suspends. */
tims_status auth__password_hash(tims_request *rq, tims_str password, tims_str *ret_hash, tims_error *err);
/* Off the loop; takes as long for a user that does not exist (`hash` empty). Suspends. Errors:
 * UNAVAILABLE. */
tims_status auth__password_check(tims_request *rq, tims_str password, tims_str hash, bool *ret_matches,
                                 tims_error *err);
tims_str auth__lower(tims_arena *arena, tims_str text);
typedef struct auth__new_user {
    tims_str username, password, email, display_name;
    bool staff;
} auth__new_user;
/* Errors: INVALID, CONFLICT (the name is taken), each with fields; UNAVAILABLE. Suspends. */
tims_status auth__user_create(tims_request *rq, const auth__new_user *input, tims_user **ret_user,
                              tims_error *err);

/* --- endpoints --------------------------------------------------------------------------------------- */

/* What a form or a JSON body of the account endpoints may carry. */
typedef struct auth__input {
    tims_str username, password, email, display_name, label, next, csrf_token, old, fresh;
    tims_opt_str device;
    bool is_form;
} auth__input;
/* JSON by its shape; a form by the same fields (unknown ones are ignored). INVALID with fields. */
tims_status auth__input_read(tims_request *rq, tims_fields fields, auth__input *ret_input, tims_error *err);
/* 303 to `next` for a form; else {"user":…,"csrf":"…"}, and the fresh token of a device. */
tims_answer auth__answer_who(tims_request *rq, const auth__input *input, int status);
/* 303 back to the form with ?error=code; else raises. */
tims_answer auth__answer_failure(tims_request *rq, const auth__input *input, const char *page,
                                 const tims_error *err);
bool auth__is_local_path(tims_str path);

tims_answer auth__register(tims_request *rq);
tims_answer auth__login(tims_request *rq);
tims_answer auth__logout(tims_request *rq);
tims_answer auth__logout_everywhere(tims_request *rq);
tims_answer auth__token_create(tims_request *rq);
tims_answer auth__token_delete(tims_request *rq);
tims_answer auth__token_refresh(tims_request *rq);
tims_answer auth__me(tims_request *rq);
tims_answer auth__me_patch(tims_request *rq);
tims_answer auth__password_change(tims_request *rq);
tims_answer auth__avatar_put(tims_request *rq);
tims_answer auth__avatar_delete(tims_request *rq);
tims_answer auth__avatar_get(tims_request *rq);

#endif
