/* proxy.c: a request from the site's door to an upstream's, and back.
 *
 *   access ─► origin ─► path ─► breaker ─► headers ─► forward (http) ─► what became of it ─► breaker
 *
 * What is refused is refused before the upstream hears of it. The transport is http's; here is only what may
 * pass, and as whom. */
#include "proxy/proxy_internal.h"

enum { HOPS_MAX = 4, OWN_HEADERS_MAX = 10, HEALTH_BYTES_MAX = 1024 * 1024 };

#define OR(given, otherwise) ((given) != 0 ? (given) : (otherwise))

static bool is_safe(tims_method method)
{
    return (method & (TIMS_METHOD_GET | TIMS_METHOD_HEAD | TIMS_METHOD_OPTIONS)) != 0;
}

/* --- who may ----------------------------------------------------------------------------------- */

/* Somebody looks at a page: they are shown where to sign in instead of a document for programs. */
static bool is_navigation(const tims_request *rq)
{
    tims_str mode = tims_header_of(rq, TIMS_STR("Sec-Fetch-Mode"));
    if (mode.data != NULL)
        return tims_str_equal(mode, TIMS_STR("navigate"));
    return (rq->method & (TIMS_METHOD_GET | TIMS_METHOD_HEAD)) != 0 &&
           tims_str_find(tims_header_of(rq, TIMS_STR("Accept")), TIMS_STR("text/html")) != SIZE_MAX;
}

/* True: `ret_answer` is the answer. Raises: 401, 403. */
static bool is_turned_away(tims_request *rq, const tims_proxy *row, tims_answer *ret_answer)
{
    tims_caller caller = tims_caller_of(rq);
    if (row->access == NULL)
        return false;
    if (caller.signed_in && row->access == tims_access_staff && !caller.staff)
        tims_raise(rq, 403, "forbidden", "This is for staff.");
    if (caller.signed_in)
        return false;
    tims_set_header(rq, TIMS_STR("Cache-Control"), TIMS_STR("no-store"));
    if (!is_safe(rq->method) || !is_navigation(rq))
        tims_raise(rq, 401, "unauthorized", "Sign in first.");
    tims_str next = tims_url_encode(rq->arena, rq->target);
    *ret_answer = tims_answer_redirect(rq, 303, tims_print(rq->arena, "/login?next=%S", next));
    return true;
}

/* The upstream's pages know nothing of our CSRF token, so a change with a session's cookie has to come from a
 * page of this site, which browsers say. Bearer tokens are sent by nobody unasked (Basic is, by browsers). */
static void check_origin(tims_request *rq)
{
    tims_str origin = tims_header_of(rq, TIMS_STR("Origin")), host = tims_header_of(rq, TIMS_STR("Host"));
    tims_str authorization = tims_header_of(rq, TIMS_STR("Authorization")), bearer = TIMS_STR("Bearer ");
    if (is_safe(rq->method) || !tims_caller_of(rq).signed_in ||
        tims_str_equal_ignoring_case(tims_str_slice(authorization, 0, bearer.length), bearer))
        return;
    size_t at = tims_str_find(origin, TIMS_STR("://"));
    bool is_same =
        at != SIZE_MAX && tims_str_equal_ignoring_case(tims_str_slice(origin, at + 3, origin.length), host);
    if (origin.data == NULL)
        is_same = tims_str_equal(tims_header_of(rq, TIMS_STR("Sec-Fetch-Site")), TIMS_STR("same-origin"));
    if (!is_same)
        tims_raise(rq, 403, "origin", "A change must come from a page of this site; Origin does not say so.");
}

/* --- the request's headers --------------------------------------------------------------------- */

/* A JSON Web Token, so that any library of theirs can check it. */
static tims_str sign_identity(tims_request *rq, const proxy__row *row)
{
    char id[TIMS_ID_TEXT_LENGTH];
    tims_caller caller = tims_caller_of(rq);
    long long now_s = tims_now().us / 1000000, until_s = now_s + TIMS_PROXY_IDENTITY_S;
    tims_id_format(caller.user, id);
    tims_str claims =
        tims_print(rq->arena, "{\"sub\":\"%S\",\"aud\":\"%S\",\"staff\":%s,\"iat\":%lld,\"exp\":%lld}",
                   (tims_str){ id, sizeof id }, row->prefix, caller.staff ? "true" : "false", now_s, until_s);
    return tims_jwt_sign_shared(rq->arena, row->secret, claims);
}

static tims_str via_of(tims_request *rq)
{
    tims_str before = tims_header_of(rq, TIMS_STR("Via"));
    return before.length > 0 ? tims_print(rq->arena, "%S, 1.1 tims", before) : TIMS_STR("1.1 tims");
}

static size_t add_own_headers(tims_request *rq, const proxy__row *row, tims_header *out)
{
    size_t count = 0;
    tims_str host = tims_header_of(rq, TIMS_STR("Host"));
    out[count++] =
        (tims_header){ TIMS_STR("Host"), row->table->keep_host && host.length > 0 ? host : row->host };
    out[count++] = (tims_header){ TIMS_STR("X-Forwarded-For"), rq->peer };
    out[count++] =
        (tims_header){ TIMS_STR("X-Forwarded-Proto"), rq->secure ? TIMS_STR("https") : TIMS_STR("http") };
    if (host.length > 0)
        out[count++] = (tims_header){ TIMS_STR("X-Forwarded-Host"), host };
    out[count++] = (tims_header){ TIMS_STR("X-Forwarded-Prefix"),
                                  tims_str_slice(row->prefix, 0, row->prefix.length - 1) };
    out[count++] = (tims_header){ TIMS_STR("X-Request-Id"), rq->id };
    out[count++] = (tims_header){ TIMS_STR("Via"), via_of(rq) };
    if (row->table->identity && tims_caller_of(rq).signed_in)
        out[count++] = (tims_header){ TIMS_STR("X-Tims-Identity"), sign_identity(rq, row) };
    TIMS_ASSERT(count <= OWN_HEADERS_MAX);
    return count;
}

static void pass_cookies(tims_request *rq, const proxy__row *row, tims_header *out, size_t *count)
{
    for (size_t i = 0; i < rq->header_count; i++) {
        tims_header header = rq->headers[i];
        if (!tims_str_equal_ignoring_case(header.name, TIMS_STR("cookie")) || header.value.length == 0)
            continue;
        if (!row->table->send_cookies)
            header.value = proxy__strip_cookies(rq->arena, header.value);
        if (header.value.length > 0)
            out[(*count)++] = header;
    }
}

/* Ours come first: whoever takes the first of several takes ours, and there are no others of that name. */
static tims_header *build_headers(tims_request *rq, const proxy__row *row, size_t *ret_count)
{
    tims_header *out = TIMS_NEW_ARRAY(rq->arena, tims_header, rq->header_count + OWN_HEADERS_MAX);
    size_t count = add_own_headers(rq, row, out);
    for (size_t i = 0; i < rq->header_count; i++) {
        tims_str name = rq->headers[i].name;
        if (proxy__request_header_passes(name, row->table->send_authorization) &&
            tims_header_is_end_to_end(rq->headers, rq->header_count, name))
            out[count++] = rq->headers[i];
    }
    if (tims_header_is_end_to_end(rq->headers, rq->header_count, TIMS_STR("cookie")))
        pass_cookies(rq, row, out, &count);
    *ret_count = count;
    return out;
}

/* --- the answer's ------------------------------------------------------------------------------ */

static bool keep_header(void *ctx, tims_request *rq, tims_header *header)
{
    const proxy__row *row = ctx;
    if (!proxy__answer_header_passes(header->name))
        return false;
    if (tims_str_equal_ignoring_case(header->name, TIMS_STR("set-cookie")))
        return !proxy__set_cookie_collides(header->value);
    if (tims_str_equal_ignoring_case(header->name, TIMS_STR("location")) ||
        tims_str_equal_ignoring_case(header->name, TIMS_STR("content-location")))
        header->value = proxy__map_location(rq->arena, header->value, row->prefix, row->base, row->host,
                                            row->table->keep_host ? tims_header_of(rq, TIMS_STR("Host"))
                                                                  : (tims_str){ 0 });
    return true;
}

/* --- the breaker ------------------------------------------------------------------------------- */

static int64_t pause_us(const proxy__row *row)
{
    return (int64_t)OR(row->table->pause_ms, 10000) * 1000;
}

static void note_failure(const proxy__row *row)
{
    atomic_fetch_add(&row->state->failures, 1);
    if (proxy__breaker_fail(&row->state->breaker, OR(row->table->failures_max, 5), pause_us(row),
                            tims_monotonic_us()))
        tims_log(TIMS_LOG_WARN, "proxy", "event=upstream_left_alone prefix=%S upstream=%S", row->prefix,
                 row->address);
}

static void note_success(const proxy__row *row)
{
    if (proxy__breaker_succeed(&row->state->breaker))
        tims_log(TIMS_LOG_INFO, "proxy", "event=upstream_is_back prefix=%S upstream=%S", row->prefix,
                 row->address);
}

/* An answer has begun. That ends a pause, however long the answer takes; a row of failures is ended by one
 * that is whole. */
static void note_head(void *ctx, tims_request *rq)
{
    const proxy__row *row = ctx;
    (void)rq;
    if (proxy__breaker_is_open(&row->state->breaker))
        note_success(row);
}

/* --- how many at once -------------------------------------------------------------------------- */

static void leave(void *argument)
{
    atomic_fetch_sub(&((proxy__state *)argument)->under_way, 1);
}

/* Raises: 503 when so many are under way already that the upstream would only get slower. */
static void enter(tims_request *rq, const proxy__row *row)
{
    uint32_t most = OR(row->table->requests_max, TIMS_PROXY_REQUESTS_MAX);
    if (atomic_fetch_add(&row->state->under_way, 1) < most) {
        tims_defer(rq, leave, row->state);
        return;
    }
    leave(row->state);
    atomic_fetch_add(&row->state->refused, 1);
    tims_set_header(rq, TIMS_STR("Retry-After"), TIMS_STR("1"));
    tims_raise(rq, 503, "upstream_busy", "This part of the site has too much to do; try again shortly.");
}

/* --- the breaker, asked ------------------------------------------------------------------------ */

TIMS_NORETURN static void raise_open(tims_request *rq, int retry_s)
{
    tims_set_header(rq, TIMS_STR("Retry-After"), tims_print(rq->arena, "%d", retry_s > 0 ? retry_s : 1));
    tims_raise(rq, 503, "upstream_down", "This part of the site is out of order; try again shortly.");
}

static void let_probe_go(void *argument)
{
    proxy__breaker_let_go(argument);
}

static bool is_healthy(tims_request *rq, const proxy__row *row)
{
    const tims_header header = { TIMS_STR("Host"), row->host };
    tims_fetched answer = { 0 };
    const tims_fetch_options options = {
        .method = TIMS_METHOD_GET,
        .url = tims_print(rq->arena, "%S%s", row->address, row->table->health),
        .trust = row->trust,
        .headers = &header,
        .header_count = 1,
        .timeout_ms = OR(row->table->connect_ms, 5000),
        .body_bytes_max = HEALTH_BYTES_MAX,
    };
    return tims_fetch(rq->arena, &options, &answer, NULL) == TIMS_OK && answer.status >= 200 &&
           answer.status < 300;
}

/* Raises: 503 while the upstream is left alone. The probe is a request to its health address, or this one. */
static void pass_breaker(tims_request *rq, const proxy__row *row)
{
    int retry_s = 0;
    proxy__gate gate =
        proxy__breaker_enter(&row->state->breaker, pause_us(row), tims_monotonic_us(), &retry_s);
    if (gate == PROXY__STOP)
        raise_open(rq, retry_s);
    if (gate != PROXY__PROBE)
        return;
    tims_defer(rq, let_probe_go, &row->state->breaker); /* whichever way it ends, another may try */
    if (row->table->health == NULL)
        return;
    if (is_healthy(rq, row)) {
        note_success(row);
        return;
    }
    if (!tims_client_gone(rq))
        note_failure(row);
    raise_open(rq, (int)(pause_us(row) / 1000000));
}

/* --- a request --------------------------------------------------------------------------------- */

TIMS_NORETURN static void fail_upstream(tims_request *rq, const proxy__row *row, const tims_error *err)
{
    if (err->status == TIMS_CANCELLED)
        tims_raise(rq, 499, "cancelled", "The client went away.");
    if (err->status == TIMS_INVALID)
        tims_raise(rq, 400, "bad_header", "%s", err->message);
    note_failure(row);
    tims_raise(rq, err->status == TIMS_TIMEOUT ? 504 : 502, err->code, "%s", err->message);
}

tims_answer proxy__serve(tims_request *rq)
{
    const proxy__row *row = rq->route->data;
    const tims_proxy *table = row->table;
    tims_answer answer;
    tims_error err = { 0 };
    tims_forward_options options = { .upstream = &row->url,
                                     .trust = row->trust,
                                     .may_upgrade = !table->no_websockets,
                                     .check_origin = true,
                                     .connect_ms = OR(table->connect_ms, 5000),
                                     .head_ms = OR(table->head_ms, 60000),
                                     .idle_ms = OR(table->idle_ms, 60000),
                                     .tunnel_idle_ms = OR(table->websocket_idle_ms, 600000),
                                     .keep_header = keep_header,
                                     .on_head = note_head,
                                     .ctx = (void *)row };
    /* First: where to go behind the sign-in is an address of this site only when it is written plainly. */
    if (proxy__map_target(rq->arena, rq->target, row->prefix, row->base, &options.target, &err) != TIMS_OK)
        tims_raise(rq, 400, err.code, "%s", err.message);
    if (is_turned_away(rq, table, &answer))
        return answer;
    check_origin(rq);
    if (proxy__count_hops(rq->headers, rq->header_count) >= HOPS_MAX)
        tims_raise(rq, 502, "proxy_loop", "This request goes round in circles.");
    enter(rq, row);
    pass_breaker(rq, row);
    atomic_fetch_add_explicit(&row->state->requests, 1, memory_order_relaxed);
    options.headers = build_headers(rq, row, &options.header_count);
    if (tims_forward(rq, &options, &answer, &err) != TIMS_OK)
        fail_upstream(rq, row, &err);
    note_success(row);
    return answer;
}
