/* proxy_internal.h: what the files of this room share.
 *
 *   path.c    the client's target → the upstream's, and Location back
 *   header.c  which headers pass, and cookies
 *   breaker.c whether the upstream is asked at all
 *   table.c   a project's table, checked
 *   proxy.c   a request through all of it
 */
#ifndef TIMS_PROXY_INTERNAL_H
#define TIMS_PROXY_INTERNAL_H

#include <stdatomic.h>
#include <string.h>

#include "tims/proxy.h"

/* --- path.c ---------------------------------------------------------------------------------------- */

/* A request's target as the upstream is to see it: `base` (ends in a slash) and what follows `prefix`, byte
 * for byte, with the query. Refused is all that two programs could read in two ways. Errors: MALFORMED. */
tims_status proxy__map_target(tims_arena *arena, tims_str target, tims_str prefix, tims_str base,
                              tims_str *ret_target, tims_error *err);
/* A Location of the upstream's as the client has to ask for it: what is below `base` is below `prefix` for
 * it. `authority`: of the upstream, "host:port", without a port that is its scheme's. `site`: the Host that
 * it was told instead, or nothing. Others are returned as they are. */
tims_str proxy__map_location(tims_arena *arena, tims_str location, tims_str prefix, tims_str base,
                             tims_str authority, tims_str site);

/* --- header.c -------------------------------------------------------------------------------------- */

/* Whether a header of the client's request goes to the upstream, by its name alone. */
bool proxy__request_header_passes(tims_str name, bool send_authorization);
bool proxy__answer_header_passes(tims_str name);
/* A Cookie header without our own cookies; empty: nothing is left. */
tims_str proxy__strip_cookies(tims_arena *arena, tims_str cookies);
/* Whether a Set-Cookie of the upstream's would make a cookie that we, or a browser, could take for ours. */
bool proxy__set_cookie_collides(tims_str set_cookie);
/* How often Via says that the request was here, or at one like us, before. */
size_t proxy__count_hops(const tims_header *headers, size_t count);

/* --- breaker.c ------------------------------------------------------------------------------------- */

/* One per upstream, shared by all loops: closed while it works, open after so many failures in a row, and
 * then one probe at a time. Zeroed: closed. */
typedef struct proxy__breaker {
    _Atomic uint32_t failures;
    _Atomic int64_t open_until_us;  /* monotonic; 0: closed */
    _Atomic int64_t probe_until_us; /* as long a probe keeps the others away; 0: there is none */
} proxy__breaker;
typedef enum proxy__gate { PROXY__GO, PROXY__PROBE, PROXY__STOP } proxy__gate;
/* STOP: not before `ret_retry_s`. After GO or PROBE one of succeed and fail, or for a probe that found out
 * nothing let_go. A probe that is not over after `pause_us` does not keep the next one away. */
proxy__gate proxy__breaker_enter(proxy__breaker *breaker, int64_t pause_us, int64_t now_us, int *ret_retry_s);
/* True when it was open. */
bool proxy__breaker_succeed(proxy__breaker *breaker);
/* True when this has opened it. */
bool proxy__breaker_fail(proxy__breaker *breaker, uint32_t failures_max, int64_t pause_us, int64_t now_us);
void proxy__breaker_let_go(proxy__breaker *breaker);
bool proxy__breaker_is_open(const proxy__breaker *breaker);

/* --- proxy.c --------------------------------------------------------------------------------------- */

typedef struct proxy__state {
    proxy__breaker breaker;
    _Atomic int64_t requests, failures, refused;
    _Atomic uint32_t under_way;
} proxy__state;

/* A row of the table with what the environment says. */
typedef struct proxy__row {
    const tims_proxy *table;
    tims_str prefix, base; /* both end in a slash */
    tims_str host;         /* as the upstream is called in Host */
    tims_str address;      /* what a path is put behind to be fetched */
    tims_str secret;
    tims_url url;
    const tims_trust *trust; /* NULL: no https */
    proxy__state *state;
} proxy__row;

/* The handler of all rows: rq->route->data. */
tims_answer proxy__serve(tims_request *rq);

#endif
