/* attempt: who may try a password, and who may make an account.
 *
 *   key                      counts                      past it
 *   account from an address  tries, taken back if right  429 for this account from there
 *   address                  failures, any account       429 for that address
 *   account                  tries from strange places   429 for this account from strange places
 *   address, registering     accounts made, names taken  429 for that address
 *
 * Passwords are guessed from one place or from many. The first two keys stop the former without touching
 * anybody elsewhere. The third slows the latter; since whoever knows a name could lock its owner out by it,
 * it leaves out those whom the account knows: the address of one of its sessions, and a request that carries
 * one. Known addresses are remembered when a session is made and when a loop sees it first, so they come back
 * after a restart with the browsers themselves. */
#include <arpa/inet.h>

#include "auth/auth_internal.h"

#define MINUTE_US (INT64_C(60) * 1000000)
static const auth__limit known_limit = { 1, 90 * AUTH__DAY_S * 1000000 };

/* A whole /64 is one home, so one address, however it is written. */
static tims_str home_of(const tims_request *rq)
{
    struct in6_addr address;
    if (inet_pton(AF_INET6, tims_copy_c(rq->arena, rq->peer), &address) != 1 ||
        IN6_IS_ADDR_V4MAPPED(&address))
        return rq->peer;
    return tims_copy(rq->arena, (tims_str){ (const char *)address.s6_addr, 8 });
}

/* --- known addresses --------------------------------------------------------------------------------- */

static auth__counter known_counter(tims_request *rq, const tims_auth *auth, tims_id user)
{
    return auth__counter_of(rq, auth, auth->known, 'k', tims_print(rq->arena, "%I %S", user, home_of(rq)));
}

void auth__remember_address(tims_request *rq, tims_auth *auth, tims_id user)
{
    int retry_s;
    if (rq->peer.length == 0) /* no client asks */
        return;
    auth__counter known = known_counter(rq, auth, user);
    if (auth__throttle_look(auth->known, known.local, known_limit, tims_monotonic_us(), &retry_s))
        auth__counter_count(&known, known_limit);
}

static bool is_known(tims_request *rq, const tims_user *user)
{
    const auth__state *state = auth__state_of(rq);
    int retry_s;
    if (user == NULL)
        return false;
    if (state->signed_in && tims_same_id(state->session.user, user->id))
        return true;
    auth__counter known = known_counter(rq, state->auth, user->id);
    return !auth__throttle_look(state->auth->known, known.local, known_limit, tims_monotonic_us(),
                                &retry_s) ||
           !auth__counter_look(rq, &known, known_limit, &retry_s);
}

/* --- passwords --------------------------------------------------------------------------------------- */

static tims_status fail_throttled(tims_error *err, int retry_s)
{
    (void)tims_fail(err, TIMS_THROTTLED, "login_throttled", "Too many attempts; try again in %d minutes.",
                    (retry_s + 59) / 60);
    err->retry_after_s = retry_s;
    return TIMS_THROTTLED;
}

tims_status auth__attempt_begin(tims_request *rq, tims_str name, const tims_user *user,
                                auth__attempt *ret_attempt, tims_error *err)
{
    const tims_auth *auth = auth__state_of(rq)->auth;
    const auth__limit each = { auth->options.login_failures_max, 15 * MINUTE_US },
                      all = { auth->options.account_failures_max, 15 * MINUTE_US };
    int retry_s = 0;
    tims_str home = home_of(rq);
    auth__throttle *throttle = auth->throttle;
    auth__attempt a = { .is_known = is_known(rq, user),
                        .pair = auth__counter_of(rq, auth, throttle, 'b',
                                                 tims_print(rq->arena, "%S %S", name, home)),
                        .address = auth__counter_of(rq, auth, throttle, 'a', home),
                        .account = auth__counter_of(rq, auth, throttle, 'u', name) };
    if (!auth__counter_look(rq, &a.address, each, &retry_s) ||
        !auth__counter_try(rq, &a.pair, each, &retry_s))
        return fail_throttled(err, retry_s);
    if (!a.is_known && !auth__counter_try(rq, &a.account, all, &retry_s)) {
        auth__counter_take_back(&a.pair);
        return fail_throttled(err, retry_s);
    }
    *ret_attempt = a;
    return TIMS_OK;
}

void auth__attempt_take_back(tims_request *rq, const auth__attempt *a)
{
    (void)rq;
    auth__counter_take_back(&a->pair);
    if (!a->is_known)
        auth__counter_take_back(&a->account);
}

void auth__attempt_failed(tims_request *rq, const auth__attempt *a)
{
    const tims_auth *auth = auth__state_of(rq)->auth;
    auth__counter_count(&a->address, (auth__limit){ auth->options.login_failures_max, 15 * MINUTE_US });
}

/* Only what was counted here ends: strangers' tries at the account stay counted. */
void auth__attempt_succeeded(tims_request *rq, const auth__attempt *a)
{
    auth__attempt_take_back(rq, a);
    auth__counter_clear(&a->pair);
}

/* --- registering ------------------------------------------------------------------------------------- */

static auth__counter registrations(tims_request *rq, const tims_auth *auth)
{
    return auth__counter_of(rq, auth, auth->throttle, 'r', home_of(rq));
}

tims_status auth__registration_begin(tims_request *rq, tims_error *err)
{
    const tims_auth *auth = auth__state_of(rq)->auth;
    const auth__limit limit = { auth->options.registrations_max, 60 * MINUTE_US };
    int retry_s = 0;
    auth__counter counter = registrations(rq, auth);
    if (auth__counter_try(rq, &counter, limit, &retry_s))
        return TIMS_OK;
    (void)tims_fail(err, TIMS_THROTTLED, "registration_throttled",
                    "Too many new accounts from here; try again in %d minutes.", (retry_s + 59) / 60);
    err->retry_after_s = retry_s;
    return TIMS_THROTTLED;
}

/* Who is told what is wrong with a name or password tries again; a name that is taken is an answer about
 * somebody else. */
void auth__registration_end(tims_request *rq, tims_status status)
{
    const tims_auth *auth = auth__state_of(rq)->auth;
    auth__counter counter = registrations(rq, auth);
    if (status != TIMS_OK && status != TIMS_CONFLICT)
        auth__counter_take_back(&counter);
}
