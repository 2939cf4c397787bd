/* csrf: that a change was asked for by our own pages.
 *
 * A browser sends the session's cookie along with whatever another site makes it send; what it cannot send
 * along is a value that only our pages know. That value is the session's token hash (or, for those not signed
 * in, a random cookie of their own) under the process's key: nothing to store, nothing to share between
 * sessions, gone when the session is.
 *
 * Pages' scripts read it from a cookie of its own, which another site can neither read nor, as the value is
 * bound to the session, replace. So it is in no page, and a page is the same bytes whoever's session asks.
 * What does show it (a form for those without JavaScript, /api/auth/me/) is compressed, and may show it
 * beside what the address says, which another site may choose (it may open a window). So that its lengths do
 * not tell the token, each answer shows another text of it: a random mask, and the value under it. */
#include "auth/auth_internal.h"

bool auth__is_form(const tims_request *rq)
{
    tims_str type = tims_header_of(rq, TIMS_STR("content-type"));
    tims_str form = TIMS_STR("application/x-www-form-urlencoded");
    return tims_str_equal_ignoring_case(tims_str_slice(type, 0, form.length), form) &&
           (type.length == form.length || type.data[form.length] == ';' || type.data[form.length] == ' ');
}

static void sign_for(const tims_auth *auth, char kind, tims_str whom, char ret_text[TIMS_TOKEN_TEXT_LENGTH])
{
    char message[5 + TIMS_TOKEN_TEXT_LENGTH] = { 'c', 's', 'r', 'f', kind };
    TIMS_ASSERT(whom.length == TIMS_TOKEN_TEXT_LENGTH);
    memcpy(message + 5, whom.data, whom.length);
    tims_sign((tims_str){ auth->key, sizeof auth->key }, (tims_str){ message, sizeof message }, ret_text);
}

enum { MASKED_BYTES = 2 * TIMS_TOKEN_TEXT_LENGTH };

static tims_str mask(tims_arena *arena, const char value[TIMS_TOKEN_TEXT_LENGTH])
{
    char masked[MASKED_BYTES];
    tims_random(masked, TIMS_TOKEN_TEXT_LENGTH);
    for (size_t i = 0; i < TIMS_TOKEN_TEXT_LENGTH; i++)
        masked[TIMS_TOKEN_TEXT_LENGTH + i] = (char)(masked[i] ^ value[i]);
    return tims_base64url(arena, (tims_str){ masked, sizeof masked });
}

static bool unmask(tims_arena *arena, tims_str token, char ret_value[TIMS_TOKEN_TEXT_LENGTH])
{
    tims_str masked;
    if (token.length > 2 * MASKED_BYTES || !tims_base64url_decode(arena, token, &masked) ||
        masked.length != MASKED_BYTES)
        return false;
    for (size_t i = 0; i < TIMS_TOKEN_TEXT_LENGTH; i++)
        ret_value[i] = (char)(masked.data[i] ^ masked.data[TIMS_TOKEN_TEXT_LENGTH + i]);
    return true;
}

static bool matches(const tims_request *rq, char kind, tims_str whom, tims_str token)
{
    const auth__state *state = rq->slots[TIMS_SLOT_AUTH];
    char expected[TIMS_TOKEN_TEXT_LENGTH], value[TIMS_TOKEN_TEXT_LENGTH];
    if (whom.length != TIMS_TOKEN_TEXT_LENGTH || !unmask(rq->arena, token, value))
        return false;
    sign_for(state->auth, kind, whom, expected);
    return tims_constant_time_equal((tims_str){ expected, sizeof expected },
                                    (tims_str){ value, sizeof value });
}

static tims_str session_hash(const auth__state *state)
{
    return (tims_str){ state->token_hash, sizeof state->token_hash };
}

/* --- giving it out ----------------------------------------------------------------------------------- */

static tims_str visitor_of(tims_request *rq, auth__state *state)
{
    if (state->visitor.data != NULL)
        return state->visitor;
    tims_str cookie = tims_cookie_of(rq, auth__visitor_cookie_name(state->auth));
    if (cookie.length == TIMS_TOKEN_TEXT_LENGTH) {
        state->visitor = cookie;
        return cookie;
    }
    char *fresh = tims_alloc_raw(rq->arena, TIMS_TOKEN_TEXT_LENGTH);
    tims_token_new(fresh);
    state->visitor = (tims_str){ fresh, TIMS_TOKEN_TEXT_LENGTH };
    const tims_cookie made = { .name = auth__visitor_cookie_name(state->auth),
                               .value = state->visitor,
                               .secure = state->auth->options.secure_cookies,
                               .http_only = true,
                               .same_site_lax = true };
    tims_set_cookie(rq, &made);
    return state->visitor;
}

tims_str tims_csrf_token(tims_request *rq)
{
    if (rq->slots[TIMS_SLOT_AUTH] == NULL)
        return TIMS_STR("");
    auth__state *state = auth__state_of(rq);
    if (state->signed_in && state->session.device)
        return TIMS_STR(""); /* a bearer token needs none */
    if (state->csrf.data == NULL) {
        char value[TIMS_TOKEN_TEXT_LENGTH];
        if (state->signed_in)
            sign_for(state->auth, 's', session_hash(state), value);
        else
            sign_for(state->auth, 'v', visitor_of(rq, state), value);
        state->csrf = mask(rq->arena, value);
    }
    return state->csrf;
}

static void set_cookie(tims_request *rq, const tims_auth *auth, tims_str value, int64_t max_age_s)
{
    const tims_cookie cookie = { .name = auth__csrf_cookie_name(auth),
                                 .value = value,
                                 .max_age_s = max_age_s,
                                 .secure = auth->options.secure_cookies,
                                 .same_site_lax = true };
    tims_set_cookie(rq, &cookie);
}

static void give_cookie(void *argument)
{
    tims_request *rq = argument;
    const tims_auth *auth = auth__state_of(rq)->auth;
    set_cookie(rq, auth, tims_csrf_token(rq), auth->options.session_max_s);
}

/* The session may be one that the transaction makes, or not. */
void tims_csrf_cookie(tims_request *rq)
{
    const auth__state *state = rq->slots[TIMS_SLOT_AUTH];
    if (state == NULL || !state->signed_in || state->session.device)
        return;
    tims_str sent = tims_cookie_of(rq, auth__csrf_cookie_name(state->auth));
    if (matches(rq, 's', session_hash(state), sent))
        return;
    if (tims_in_transaction(rq))
        tims_db_on_commit(tims_session_db(rq), give_cookie, rq);
    else
        give_cookie(rq);
}

void auth__csrf_cookie_end(tims_request *rq)
{
    const tims_auth *auth = auth__state_of(rq)->auth;
    if (tims_cookie_of(rq, auth__csrf_cookie_name(auth)).data != NULL)
        set_cookie(rq, auth, TIMS_STR(""), -1);
}

/* --- asking for it ----------------------------------------------------------------------------------- */

static tims_str token_of(tims_request *rq)
{
    tims_str header = tims_header_of(rq, TIMS_STR("x-csrf-token"));
    if (header.data != NULL || !auth__is_form(rq))
        return header;
    return tims_pairs_get(tims_body_form(rq), TIMS_STR("csrf_token"));
}

void auth__csrf_check(tims_request *rq)
{
    const auth__state *state = auth__state_of(rq);
    tims_str token = token_of(rq);
    if (token.data == NULL)
        tims_raise(rq, 403, "csrf_missing",
                   "The header X-CSRF-Token (or the form field csrf_token) is missing.");
    if (!matches(rq, 's', session_hash(state), token))
        tims_raise(rq, 403, "csrf_wrong", "This page is from another session; load it again.");
}

/* Whether the browser says that our own site is asking; programs say nothing. */
static bool is_same_origin(const tims_request *rq)
{
    tims_str origin = tims_header_of(rq, TIMS_STR("origin")), host = tims_header_of(rq, TIMS_STR("host"));
    if (origin.data == NULL)
        return !tims_str_equal(tims_header_of(rq, TIMS_STR("sec-fetch-site")), TIMS_STR("cross-site"));
    size_t at = tims_str_find(origin, TIMS_STR("://"));
    return at != SIZE_MAX &&
           tims_str_equal_ignoring_case(tims_str_slice(origin, at + 3, origin.length), host);
}

/* Signing somebody in as somebody else is an attack, too. A JSON body without a foreign Origin cannot come
 * from another site's page; a form can. */
tims_status auth__csrf_check_sign_in(tims_request *rq, tims_str form_token, bool is_form, tims_error *err)
{
    const auth__state *state = auth__state_of(rq);
    tims_str token = tims_header_of(rq, TIMS_STR("x-csrf-token"));
    if (token.data == NULL)
        token = form_token;
    if (state->signed_in && matches(rq, 's', session_hash(state), token))
        return TIMS_OK;
    if (matches(rq, 'v', tims_cookie_of(rq, auth__visitor_cookie_name(state->auth)), token))
        return TIMS_OK;
    if (!is_form && is_same_origin(rq))
        return TIMS_OK;
    return tims_fail(err, TIMS_FORBIDDEN, token.length == 0 ? "csrf_missing" : "csrf_wrong",
                     "This form is too old or from another site; load the page again.");
}
