/* token: a device's bearer token gets fresh ones, so that none lives for ever.
 *
 * The session stays the same row, so what hangs on it (its socket, what it registered for) stays, too. A
 * fresh token is written beside the present one, `next_hash`, and both open the session: an answer that got
 * lost on its way to a phone must sign nobody out. As soon as the fresh one is used, the device has it, and
 * it takes the other's place. Whoever asks twice holds one that counts, the last one. Who stole a token and
 * renews it ends the owner's, so a theft does not stay unseen. */
#include "auth/auth_internal.h"

#include <stdlib.h>

int64_t auth__token_life_s(const tims_auth *auth)
{
    return auth->options.session_max_s * 4;
}

/* --- renewing ---------------------------------------------------------------------------------------- */

tims_str auth__token_renew(tims_request *rq, bool at_once)
{
    static const tims_str beside =
        TIMS_STR_INIT("UPDATE auth_session SET token_hash = ?1, next_hash = ?2, expires_at = ?3 "
                      "WHERE id = ?4 AND (token_hash = ?1 OR next_hash = ?1)");
    static const tims_str instead =
        TIMS_STR_INIT("UPDATE auth_session SET token_hash = ?2, next_hash = NULL, expires_at = ?3 "
                      "WHERE id = ?4 AND (token_hash = ?1 OR next_hash = ?1)");
    auth__state *state = auth__state_of(rq);
    char *token = tims_alloc_raw(rq->arena, TIMS_TOKEN_TEXT_LENGTH);
    char *hash = tims_alloc_raw(rq->arena, TIMS_TOKEN_HASH_TEXT_LENGTH);
    TIMS_ASSERT(state->signed_in && state->session.device);
    tims_token_new(token);
    tims_token_hash((tims_str){ token, TIMS_TOKEN_TEXT_LENGTH }, hash);
    int64_t expires_us = tims_now().us + auth__token_life_s(state->auth) * 1000000;
    const tims_db_value values[] = { tims_db_text((tims_str){ state->token_hash, sizeof state->token_hash }),
                                     tims_db_text((tims_str){ hash, TIMS_TOKEN_HASH_TEXT_LENGTH }),
                                     tims_db_int(expires_us), tims_db_id(state->session.id) };
    tims_begin(rq);
    /* What a loop remembers may be a moment older than this: another one renewed it and uses that. */
    if (tims_sql_run(rq, at_once ? instead : beside, values, 4) == 0)
        tims_raise(rq, 401, "session", "This session has ended; sign in again.");
    auth__forget_on_commit(rq, state->session.id, (tims_id){ { 0 } });
    return (tims_str){ token, TIMS_TOKEN_TEXT_LENGTH };
}

/* --- the first use ----------------------------------------------------------------------------------- */

typedef struct confirming {
    tims_arena *arena;
    tims_auth *auth;
    tims_loop *loop;
    tims_id session;
    char hash[TIMS_TOKEN_HASH_TEXT_LENGTH];
} confirming;

/* However it went: what is remembered of either token is read anew, and the next use tries again. */
static void end_confirming(void *argument)
{
    confirming *c = argument;
    auth__forget_everywhere(c->auth, c->session, (tims_id){ { 0 } });
    tims_arena_free(&c->arena);
    free(c);
}

static void write_confirmed(void *argument)
{
    static const tims_str sql = TIMS_STR_INIT(
        "UPDATE auth_session SET token_hash = ?1, next_hash = NULL WHERE id = ?2 AND next_hash = ?1");
    confirming *c = argument;
    tims_error err = { 0 };
    tims_fiber_on_end(tims_fiber_self(), end_confirming, c);
    const tims_db_value values[] = { tims_db_text((tims_str){ c->hash, sizeof c->hash }),
                                     tims_db_id(c->session) };
    tims_db_session *db = tims_db_session_new(c->auth->db, c->loop, c->arena);
    if (tims_db_run(db, sql, values, 2, NULL, &err) != TIMS_OK)
        tims_log(TIMS_LOG_WARN, "auth", "a token's first use was not written: %s", err.message);
}

void auth__token_confirm(tims_auth *auth, tims_loop *loop, tims_id session,
                         const char hash[TIMS_TOKEN_HASH_TEXT_LENGTH])
{
    confirming *c = malloc(sizeof *c);
    TIMS_ASSERT(c != NULL);
    *c = (confirming){ .auth = auth, .loop = loop, .session = session };
    memcpy(c->hash, hash, sizeof c->hash);
    c->arena = tims_arena_new(1 << 20, NULL, NULL);
    if (tims_fiber_start(loop, write_confirmed, c) == NULL)
        end_confirming(c);
}

/* --- endpoints --------------------------------------------------------------------------------------- */

static void need_device(tims_request *rq)
{
    if (!auth__state_of(rq)->session.device)
        tims_raise(rq, 409, "no_token",
                   "This request carries no device token; a cookie session ends at "
                   "/api/auth/logout/.");
}

tims_answer auth__token_refresh(tims_request *rq)
{
    need_device(rq);
    auth__state_of(rq)->fresh_token = auth__token_renew(rq, false);
    return auth__answer_who(rq, NULL, 200);
}

tims_answer auth__token_delete(tims_request *rq)
{
    need_device(rq);
    tims_logout(rq);
    return tims_answer_empty(204);
}
