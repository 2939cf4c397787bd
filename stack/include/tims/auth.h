/* auth.h: users, sessions, tokens, passwords, CSRF, login throttling. */
#ifndef TIMS_AUTH_H
#define TIMS_AUTH_H

#include "tims/crypto.h"
#include "tims/loop.h"
#include "tims/model.h"
#include "tims/redis.h"

/* The stack's own user. Apps keep what is theirs (display name, picture …) in models that point at it. */
typedef struct tims_user {
    tims_id id;
    tims_str username;     /* 3–30 of letters, digits, . _ - ; as it was chosen */
    tims_str username_key; /* the same in lower case, unique; hidden */
    tims_opt_str email;
    tims_str display_name, avatar; /* shown to others; avatar: URL or empty */
    tims_str password;             /* hash; hidden */
    bool staff, active;
    tims_time created_at;
} tims_user;
extern const tims_model tims_user_model;
/* server-side sessions and bearer tokens: BLAKE2b of the token only */
extern const tims_model tims_auth_session_model;

extern const tims_model *const tims_auth_models[]; /* NULL-terminated */
extern const tims_embedded tims_auth_migrations[];
extern const tims_route tims_auth_routes[]; /* /api/auth/… ; ends with a row without a pattern */

typedef struct tims_auth_options {
    int64_t session_idle_s, session_max_s; /* 14 days, 90 days */
    int64_t login_failures_max;   /* in 15 minutes, per address, and per account from one address: 10 */
    int64_t account_failures_max; /* in 15 minutes, per account from all addresses it does not know: 100 */
    int64_t registrations_max;    /* new accounts per address and hour: 10 */
    int64_t sessions_max;         /* of a user; as many device tokens; the longest unused give way: 50 */
    int64_t sweep_ms;             /* between two sweeps of ended sessions: a quarter of an hour */
    tims_password_cost password_cost;
    bool secure_cookies; /* __Host- prefix and Secure; when the site is https */
    bool open_registration;
} tims_auth_options;

/* State of the process: session cache (exact: the change feed evicts), throttles, signing key (kept in the
 * database). */
typedef struct tims_auth tims_auth;
/* In `arena`; `db` must outlive it. Reads the signing key, which the first start makes. Suspends. Errors:
 * the database's. */
tims_status tims_auth_new(tims_arena *arena, tims_db *db, const tims_auth_options *options,
                          tims_auth **ret_auth, tims_error *err);
/* Called by the server's begin hook: resolves cookie or bearer token to a caller, checks CSRF for cookie
 * sessions on unsafe methods (header X-CSRF-Token, or the form field csrf_token), checks the route's access.
 * Raises: 401, 403. */
void tims_auth_begin(tims_request *rq, tims_auth *auth);
/* Limits of logins and registrations are counted once for all nodes that share the server and the prefix;
 * while it is away, by each for itself. Before the loops start; both must outlive them. */
void tims_auth_share_limits(tims_auth *auth, tims_redis *redis, tims_str prefix);
/* The session's cookie, by whether cookies are secure. */
tims_str tims_auth_cookie_name(bool secure);
/* 16 characters: the same for all nodes on this database, and known to nobody else. */
tims_str tims_auth_database_name(const tims_auth *auth, tims_arena *arena);
/* The same look-up of a device's token for other ways in (websocket hello): OK or UNAUTHORIZED, or the
 * database's UNAVAILABLE. Suspends. */
tims_status tims_auth_by_token(tims_request *rq, tims_auth *auth, tims_str token, tims_caller *ret_caller,
                               tims_id *ret_session);
/* The session or device token that the request came with (a row of tims_auth_session_model); absent:
 * nobody's. */
tims_opt_id tims_auth_session_of(tims_request *rq);
/* For scopes without a client (commands, tasks): what tims_user_create needs; nobody is signed in by it. */
void tims_auth_attach(tims_request *rq, tims_auth *auth);
/* From the server's loop_start, on one loop: sweeps ended sessions now and then, until that loop stops. */
void tims_auth_start(tims_auth *auth, tims_loop *loop);
tims_auth *tims_auth_of(const tims_request *rq); /* NULL: none is attached */
/* From the server's loop_stop, after the loop's last request: gives back what the loop remembers. */
void tims_auth_loop_stop(tims_auth *auth, tims_loop *loop);
/* The feed tells that a session or user row changed: forget what is cached of it. Any loop. */
void tims_auth_forget(tims_auth *auth, const tims_model *model, tims_id id);
/* Nothing that is cached may still hold: the database is another, its tables were emptied, or its changes
 * cannot be heard. Any loop. */
void tims_auth_forget_all(tims_auth *auth);

/* For applications. */
tims_id tims_user_id(tims_request *rq); /* Raises: 401 when nobody is signed in */
/* Whether the request came with a session or token that holds. Raises nothing. */
bool tims_is_signed_in(tims_request *rq);
/* The user as their own client sees them: id, names, avatar, email, staff. */
void tims_user_write(tims_json_writer *w, const tims_user *user);
const tims_user *tims_current_user(tims_request *rq); /* Raises: 401 */
tims_str tims_csrf_token(tims_request *rq); /* for a form's hidden field; makes an anonymous one if need be */
/* Sets the cookie that pages' scripts read the token from, where the request's own is not of its session. For
 * answers that begin a page's life; signing in does it, too. */
void tims_csrf_cookie(tims_request *rq);
void tims_login(tims_request *rq, const tims_user *user); /* new session, new cookie; the old one ends */
/* Ends the request's session and takes its cookie away; nothing happens when nobody is signed in. Raises:
 * 503. */
void tims_logout(tims_request *rq);
/* Whether a cookie of this name is this room's: of sessions, visitors and CSRF, with and without the prefix
 * of https sites. */
bool tims_auth_owns_cookie(tims_str name);
/* Route access, for tims_route.access. */
extern const char tims_access_signed_in[], tims_access_staff[];

/* For commands. Password rules are checked. */
tims_status tims_user_create(tims_request *rq, tims_str username, tims_str password, bool staff,
                             tims_user **ret_user, tims_error *err);
/* Length 8–256, not among common ones, not like the name or email. */
tims_status tims_password_check_rules(tims_arena *arena, tims_str password, tims_str username, tims_str email,
                                      tims_error *err);

#endif
