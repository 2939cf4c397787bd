/* session: from a token to who asks; making and ending sessions.
 *
 * The hot path is tims_auth_begin with a cookie that the loop has seen before: hash the token, look it up,
 * check its times. Measured 0.8 µs; the budget is 2. A session that is not known costs one read.
 * Its last use is written every five minutes, by a fiber of its own, so that no request waits for it. */
#include "auth/auth_internal.h"

#include <stdlib.h>

/* --- state ------------------------------------------------------------------------------------------- */

auth__state *auth__state_of(tims_request *rq)
{
    auth__state *state = rq->slots[TIMS_SLOT_AUTH];
    TIMS_CHECK_MAGIC(state, AUTH__STATE_MAGIC);
    return state;
}

void tims_auth_attach(tims_request *rq, tims_auth *auth)
{
    TIMS_CHECK_MAGIC(auth, AUTH__MAGIC);
    auth__state *state = TIMS_NEW(rq->arena, auth__state);
    state->magic = AUTH__STATE_MAGIC;
    state->auth = auth;
    rq->slots[TIMS_SLOT_AUTH] = state;
}

tims_auth *tims_auth_of(const tims_request *rq)
{
    const auth__state *state = rq->slots[TIMS_SLOT_AUTH];
    return state != NULL ? state->auth : NULL;
}

tims_str auth__session_cookie_name(const tims_auth *auth)
{
    return tims_auth_cookie_name(auth->options.secure_cookies);
}

tims_str tims_auth_cookie_name(bool secure)
{
    return secure ? TIMS_STR("__Host-tims_session") : TIMS_STR("tims_session");
}

tims_str auth__visitor_cookie_name(const tims_auth *auth)
{
    return auth->options.secure_cookies ? TIMS_STR("__Host-tims_visitor") : TIMS_STR("tims_visitor");
}

tims_str auth__csrf_cookie_name(const tims_auth *auth)
{
    return auth->options.secure_cookies ? TIMS_STR("__Host-csrf") : TIMS_STR("csrf");
}

/* Any case, which is more than browsers keep apart. */
bool tims_auth_owns_cookie(tims_str name)
{
    static const tims_str names[] = { TIMS_STR_INIT("tims_session"), TIMS_STR_INIT("tims_visitor"),
                                      TIMS_STR_INIT("csrf") };
    tims_str prefix = TIMS_STR("__Host-");
    if (tims_str_equal_ignoring_case(tims_str_slice(name, 0, prefix.length), prefix))
        name = tims_str_slice(name, prefix.length, name.length);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (tims_str_equal_ignoring_case(name, names[i]))
            return true;
    return false;
}

/* --- last use ---------------------------------------------------------------------------------------- */

typedef struct touching {
    tims_arena *arena;
    tims_auth *auth;
    tims_loop *loop;
    tims_id session;
    int64_t now_us;
} touching;

static void end_touching(void *argument)
{
    touching *t = argument;
    tims_arena_free(&t->arena);
    free(t);
}

static void write_last_use(void *argument)
{
    touching *t = argument;
    tims_error err = { 0 };
    tims_fiber_on_end(tims_fiber_self(), end_touching, t);
    const tims_db_value values[] = { tims_db_int(t->now_us), tims_db_id(t->session) };
    tims_db_session *db = tims_db_session_new(t->auth->db, t->loop, t->arena);
    if (tims_db_run(db,
                    TIMS_STR("UPDATE auth_session SET last_used_at = ?1 WHERE id = ?2 AND last_used_at < ?1"),
                    values, 2, NULL, &err) != TIMS_OK)
        tims_log(TIMS_LOG_WARN, "auth", "a session's last use was not written: %s", err.message);
}

static void touch(tims_auth *auth, tims_loop *loop, auth__session *session, int64_t now_us)
{
    if (now_us > session->last_used_us)
        session->last_used_us = now_us;
    if (TIMS_LIKELY(now_us - session->written_us < AUTH__TOUCH_US))
        return;
    session->written_us = now_us;
    touching *t = malloc(sizeof *t);
    TIMS_ASSERT(t != NULL);
    *t = (touching){ .auth = auth, .loop = loop, .session = session->id, .now_us = now_us };
    t->arena = tims_arena_new(1 << 20, NULL, NULL);
    if (tims_fiber_start(loop, write_last_use, t) == NULL)
        end_touching(t);
}

/* --- look-up ----------------------------------------------------------------------------------------- */

static tims_status fail_unknown(tims_error *err)
{
    return tims_fail(err, TIMS_UNAUTHORIZED, "session", "This session has ended; sign in again.");
}

/* A device may rest as long as a browser may live in all. */
static bool is_expired(const tims_auth *auth, const auth__session *session, int64_t now_us)
{
    int64_t idle_s = session->device ? auth->options.session_max_s : auth->options.session_idle_s;
    return now_us >= session->expires_us || now_us - session->last_used_us >= idle_s * 1000000;
}

static tims_status read_session(tims_request *rq, tims_str hash, auth__session *ret_session, tims_error *err)
{
    static const tims_str sql =
        TIMS_STR_INIT("SELECT s.id, s.\"user\", s.device, s.expires_at, s.last_used_at, u.staff, "
                      "s.token_hash <> ?1 FROM auth_session s JOIN \"user\" u ON u.id = s.\"user\" "
                      "WHERE (s.token_hash = ?1 OR s.next_hash = ?1) AND u.active");
    const tims_db_value value = tims_db_text(hash);
    tims_db_rows *rows;
    auth__session found = { 0 };
    tims_status status = tims_db_query(tims_session_db(rq), sql, &value, 1, &rows, err);
    if (status != TIMS_OK)
        return status;
    bool is_there = tims_db_next(rows);
    if (is_there)
        found = (auth__session){ .id = tims_db_get_id(rows, 0),
                                 .user = tims_db_get_id(rows, 1),
                                 .device = tims_db_get_int(rows, 2) != 0,
                                 .expires_us = tims_db_get_int(rows, 3),
                                 .last_used_us = tims_db_get_int(rows, 4),
                                 .written_us = tims_db_get_int(rows, 4),
                                 .staff = tims_db_get_int(rows, 5) != 0,
                                 .is_next = tims_db_get_int(rows, 6) != 0 };
    status = tims_db_rows_end(&rows, err);
    if (status != TIMS_OK)
        return status;
    if (!is_there)
        return fail_unknown(err);
    *ret_session = found;
    return TIMS_OK;
}

tims_status auth__session_find(tims_request *rq, tims_auth *auth, tims_str token, auth__token_use use,
                               char ret_hash[TIMS_TOKEN_HASH_TEXT_LENGTH], auth__session *ret_session,
                               tims_error *err)
{
    char hash[TIMS_TOKEN_HASH_TEXT_LENGTH];
    auth__session read;
    if (token.length != TIMS_TOKEN_TEXT_LENGTH)
        return fail_unknown(err);
    auth__loop *own = auth__loop_of(auth, rq->loop);
    tims_token_hash(token, hash);
    auth__session *session =
        TIMS_LIKELY(atomic_load(&own->forgets_coming) == 0) ? auth__cache_find(own->cache, hash) : NULL;
    bool is_new = session == NULL;
    if (is_new) {
        uint64_t generation = auth__cache_generation(own->cache);
        tims_status status = read_session(rq, (tims_str){ hash, sizeof hash }, &read, err);
        if (status != TIMS_OK)
            return status;
        session = &read;
        if (generation == auth__cache_generation(own->cache)) /* nothing was forgotten while it was read */
            session = auth__cache_put(own->cache, hash, &read);
    }
    int64_t now_us = tims_now().us;
    if (session->device != (use == AUTH__DEVICE) || is_expired(auth, session, now_us))
        return fail_unknown(err);
    if (is_new)
        auth__remember_address(rq, auth, session->user);
    memcpy(ret_hash, hash, sizeof hash);
    touch(auth, rq->loop, session, now_us);
    if (TIMS_UNLIKELY(session->is_next)) {
        session->is_next = false;
        auth__token_confirm(auth, rq->loop, session->id, hash);
    }
    *ret_session = *session;
    return TIMS_OK;
}

/* --- begin ------------------------------------------------------------------------------------------- */

static void sign_in(tims_request *rq, auth__state *state)
{
    state->signed_in = true;
    tims_request_set_caller(
        rq, (tims_caller){ .signed_in = true, .staff = state->session.staff, .user = state->session.user });
}

static tims_str bearer_of(const tims_request *rq)
{
    tims_str header = tims_header_of(rq, TIMS_STR("authorization"));
    if (header.length > 7 && tims_str_equal_ignoring_case(tims_str_slice(header, 0, 7), TIMS_STR("Bearer ")))
        return tims_str_trim(tims_str_slice(header, 7, header.length));
    return (tims_str){ NULL, 0 };
}

/* A wrong bearer token is said to be wrong: a program sent it. A stale cookie is only nobody. */
static void find_caller(tims_request *rq, auth__state *state)
{
    tims_error err = { 0 };
    tims_str bearer = bearer_of(rq);
    if (bearer.data != NULL) {
        tims_check(rq,
                   auth__session_find(rq, state->auth, bearer, AUTH__DEVICE, state->token_hash,
                                      &state->session, &err),
                   &err);
        sign_in(rq, state);
        return;
    }
    tims_str cookie = tims_cookie_of(rq, auth__session_cookie_name(state->auth));
    if (cookie.data == NULL)
        return;
    tims_status status =
        auth__session_find(rq, state->auth, cookie, AUTH__COOKIE, state->token_hash, &state->session, &err);
    if (status == TIMS_OK)
        sign_in(rq, state);
    else if (status != TIMS_UNAUTHORIZED)
        tims_raise_error(rq, &err);
}

static bool is_safe(tims_method method)
{
    return (method & (TIMS_METHOD_GET | TIMS_METHOD_HEAD | TIMS_METHOD_OPTIONS)) != 0;
}

static void check_access(tims_request *rq, const auth__state *state)
{
    const char *access = rq->route->access;
    if (access == NULL)
        return;
    TIMS_ASSERT(access == tims_access_signed_in || access == tims_access_staff);
    if (!state->signed_in)
        tims_raise(rq, 401, "unauthorized", "Sign in first.");
    if (access == tims_access_staff && !state->session.staff)
        tims_raise(rq, 403, "forbidden", "This is for staff.");
}

void tims_auth_begin(tims_request *rq, tims_auth *auth)
{
    tims_auth_attach(rq, auth);
    auth__state *state = rq->slots[TIMS_SLOT_AUTH];
    if (rq->route != NULL && rq->route->anonymous)
        return;
    find_caller(rq, state);
    if (rq->route == NULL)
        return;
    if (state->signed_in && !state->session.device && !is_safe(rq->method) && !rq->route->no_csrf)
        auth__csrf_check(rq);
    check_access(rq, state);
}

tims_status tims_auth_by_token(tims_request *rq, tims_auth *auth, tims_str token, tims_caller *ret_caller,
                               tims_id *ret_session)
{
    char hash[TIMS_TOKEN_HASH_TEXT_LENGTH];
    auth__session session;
    tims_status status = auth__session_find(rq, auth, token, AUTH__DEVICE, hash, &session, NULL);
    if (status != TIMS_OK)
        return status;
    *ret_caller = (tims_caller){ .signed_in = true, .staff = session.staff, .user = session.user };
    *ret_session = session.id;
    return TIMS_OK;
}

tims_opt_id tims_auth_session_of(tims_request *rq)
{
    const auth__state *state = rq->slots[TIMS_SLOT_AUTH];
    bool present = state != NULL && state->signed_in;
    return (tims_opt_id){ present, present ? state->session.id : (tims_id){ { 0 } } };
}

/* --- make and end ------------------------------------------------------------------------------------ */

tims_str auth__session_create(tims_request *rq, tims_id user, auth__token_use use, tims_str label,
                              tims_id *ret_id)
{
    const tims_auth *auth = auth__state_of(rq)->auth;
    char *token = tims_alloc_raw(rq->arena, TIMS_TOKEN_TEXT_LENGTH);
    char hash[TIMS_TOKEN_HASH_TEXT_LENGTH];
    tims_token_new(token);
    tims_token_hash((tims_str){ token, TIMS_TOKEN_TEXT_LENGTH }, hash);
    tims_time now = tims_now();
    int64_t life_s = use == AUTH__DEVICE ? auth__token_life_s(auth) : auth->options.session_max_s;
    auth__session_row row = { .token_hash = { hash, sizeof hash },
                              .user = user,
                              .device = use == AUTH__DEVICE,
                              .label = tims_str_slice(label, 0, 100),
                              .created_at = now,
                              .expires_at = { now.us + life_s * 1000000 },
                              .last_used_at = now };
    while (!tims_str_is_utf8(row.label)) /* the cut may have gone through a character */
        row.label.length--;
    auth__sweep_make_room(rq, user, row.device);
    tims_create(rq, &tims_auth_session_model, &row);
    auth__remember_address(rq, auth__state_of(rq)->auth, user);
    *ret_id = row.id;
    return (tims_str){ token, TIMS_TOKEN_TEXT_LENGTH };
}

static void end_own(tims_request *rq, auth__state *state)
{
    const tims_db_value value = tims_db_id(state->session.id);
    (void)tims_sql_run(rq, TIMS_STR("DELETE FROM auth_session WHERE id = ?1"), &value, 1);
    auth__forget_on_commit(rq, state->session.id, (tims_id){ { 0 } });
}

static void set_session_cookie(tims_request *rq, const tims_auth *auth, tims_str value, int64_t max_age_s)
{
    const tims_cookie cookie = { .name = auth__session_cookie_name(auth),
                                 .value = value,
                                 .max_age_s = max_age_s,
                                 .secure = auth->options.secure_cookies,
                                 .http_only = true,
                                 .same_site_lax = true };
    tims_set_cookie(rq, &cookie);
}

static void be_nobody(tims_request *rq, auth__state *state)
{
    state->signed_in = false;
    state->session = (auth__session){ 0 };
    state->user = NULL;
    state->csrf = (tims_str){ NULL, 0 };
    tims_request_set_caller(rq, (tims_caller){ 0 });
}

/* The row just made, as a look-up would find it. */
void auth__be_user(tims_request *rq, const tims_user *user, tims_id session, tims_str token, bool device)
{
    auth__state *state = auth__state_of(rq);
    be_nobody(rq, state);
    tims_token_hash(token, state->token_hash);
    state->session =
        (auth__session){ .id = session, .user = user->id, .staff = user->staff, .device = device };
    sign_in(rq, state);
}

/* Browsers keep this person's pages, and show them again without asking when somebody goes back. They listen
 * to this on https, and on the machine itself. */
static void let_browser_forget(tims_request *rq)
{
    tims_set_header(rq, TIMS_STR("Clear-Site-Data"), TIMS_STR("\"cache\""));
}

/* What a browser is told of its sessions, once that is so: what was rolled back has changed nothing. */
typedef struct telling {
    tims_request *rq;
    tims_str token; /* empty: it has none any more */
    bool forgets;
} telling;

static void tell_browser(void *argument)
{
    const telling *t = argument;
    const tims_auth *auth = auth__state_of(t->rq)->auth;
    bool has_one = t->token.length > 0;
    set_session_cookie(t->rq, auth, t->token, has_one ? auth->options.session_max_s : -1);
    if (!has_one)
        auth__csrf_cookie_end(t->rq);
    if (t->forgets)
        let_browser_forget(t->rq);
}

static void tell_browser_on_commit(tims_request *rq, tims_str token, bool forgets)
{
    telling *t = TIMS_NEW(rq->arena, telling);
    *t = (telling){ rq, token, forgets };
    if (tims_in_transaction(rq))
        tims_db_on_commit(tims_session_db(rq), tell_browser, t);
    else
        tell_browser(t);
}

void tims_login(tims_request *rq, const tims_user *user)
{
    auth__state *state = auth__state_of(rq);
    tims_begin(rq);
    bool forgets = state->signed_in && !state->session.device;
    if (forgets)
        end_own(rq, state);
    tims_id session;
    tims_str token = auth__session_create(rq, user->id, AUTH__COOKIE,
                                          tims_header_of(rq, TIMS_STR("user-agent")), &session);
    auth__be_user(rq, user, session, token, false);
    tell_browser_on_commit(rq, token, forgets);
    tims_csrf_cookie(rq);
}

void tims_logout(tims_request *rq)
{
    auth__state *state = auth__state_of(rq);
    bool is_device = state->session.device;
    if (state->signed_in) {
        tims_begin(rq);
        end_own(rq, state);
    }
    be_nobody(rq, state);
    /* Taken from whoever has it: a form of another site comes without it and must not take it away. */
    if (!is_device && tims_cookie_of(rq, auth__session_cookie_name(state->auth)).data != NULL)
        tell_browser_on_commit(rq, TIMS_STR(""), true);
}

void auth__session_end_all(tims_request *rq, tims_id user, tims_id kept)
{
    const tims_db_value values[] = { tims_db_id(user), tims_db_id(kept) };
    tims_begin(rq);
    (void)tims_sql_run(rq, TIMS_STR("DELETE FROM auth_session WHERE \"user\" = ?1 AND id <> ?2"), values, 2);
    auth__forget_on_commit(rq, (tims_id){ { 0 } }, user);
}

/* --- for applications -------------------------------------------------------------------------------- */

bool tims_is_signed_in(tims_request *rq)
{
    return tims_caller_of(rq).signed_in;
}

tims_id tims_user_id(tims_request *rq)
{
    tims_caller caller = tims_caller_of(rq);
    if (!caller.signed_in)
        tims_raise(rq, 401, "unauthorized", "Sign in first.");
    return caller.user;
}

const tims_user *tims_current_user(tims_request *rq)
{
    tims_id id = tims_user_id(rq);
    auth__state *state = auth__state_of(rq);
    if (state->user == NULL)
        state->user = tims_find(rq, &tims_user_model, id);
    if (state->user == NULL)
        tims_raise(rq, 401, "unauthorized", "This account is gone.");
    return state->user;
}
