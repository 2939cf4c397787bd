/* header.c: which headers pass in which direction.
 *
 * Upwards, what tells the upstream something about the client is ours to say: those names are dropped, also
 * in the spellings that upstreams of CGI's kind cannot tell from them ("X_Forwarded_For" becomes the same
 * variable). Downwards, the upstream speaks for its own paths, not for the site. */
#include "proxy/proxy_internal.h"

static bool is_in(tims_str name, const tims_str *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (names[i].length == name.length && tims_str_equal_ignoring_case(names[i], name))
            return true;
    return false;
}

static bool begins(tims_str name, tims_str start)
{
    return tims_str_equal_ignoring_case(tims_str_slice(name, 0, start.length), start);
}

bool proxy__request_header_passes(tims_str name, bool send_authorization)
{
    static const tims_str ours[] = { TIMS_STR_INIT("host"),
                                     TIMS_STR_INIT("cookie"),
                                     TIMS_STR_INIT("forwarded"),
                                     TIMS_STR_INIT("x-real-ip"),
                                     TIMS_STR_INIT("via"),
                                     TIMS_STR_INIT("x-csrf-token"),
                                     TIMS_STR_INIT("x-request-id"),
                                     TIMS_STR_INIT("proxy"),
                                     TIMS_STR_INIT("x-original-url"),
                                     TIMS_STR_INIT("x-rewrite-url"),
                                     TIMS_STR_INIT("x-http-method-override"),
                                     TIMS_STR_INIT("x-http-method"),
                                     TIMS_STR_INIT("x-method-override"),
                                     TIMS_STR_INIT("x-forwarded"),
                                     TIMS_STR_INIT("client-ip"),
                                     TIMS_STR_INIT("x-client-ip"),
                                     TIMS_STR_INIT("true-client-ip"),
                                     TIMS_STR_INIT("x-cluster-client-ip"),
                                     TIMS_STR_INIT("cf-connecting-ip") };
    static const tims_str families[] = {
        TIMS_STR_INIT("x-forwarded-"), TIMS_STR_INIT("x-tims-"),
        /* by which others' proxies say who asks */
        TIMS_STR_INIT("x-webauth-"), TIMS_STR_INIT("x-remote-"), TIMS_STR_INIT("x-auth-request-"),
        TIMS_STR_INIT("remote-"), TIMS_STR_INIT("x-authenticated-"), TIMS_STR_INIT("x-authentik-"),
        TIMS_STR_INIT("x-ssl-client-"), TIMS_STR_INIT("ssl-client-"), TIMS_STR_INIT("x-goog-authenticated-"),
        TIMS_STR_INIT("x-ms-client-principal"), TIMS_STR_INIT("cf-access-"), TIMS_STR_INIT("tailscale-")
    };
    if (memchr(name.data, '_', name.length) != NULL || is_in(name, ours, sizeof ours / sizeof *ours))
        return false;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (begins(name, families[i]))
            return false;
    return send_authorization || !tims_str_equal_ignoring_case(name, TIMS_STR("authorization"));
}

bool proxy__answer_header_passes(tims_str name)
{
    static const tims_str ours[] = { TIMS_STR_INIT("clear-site-data"),
                                     TIMS_STR_INIT("service-worker-allowed"), TIMS_STR_INIT("tims-position"),
                                     TIMS_STR_INIT("public-key-pins") };
    return !is_in(name, ours, sizeof ours / sizeof *ours);
}

/* --- cookies ----------------------------------------------------------------------------------- */

static tims_str name_of(tims_str pair, bool *ret_has_value)
{
    tims_str rest = pair;
    tims_str name = tims_str_trim(tims_str_cut(&rest, '='));
    *ret_has_value = rest.data != NULL;
    return name;
}

/* A cookie without a name is sent as its value alone, which may then read like one of ours. */
static bool may_be_ours(tims_str pair)
{
    bool has_value;
    tims_str name = name_of(pair, &has_value);
    return name.length == 0 || !has_value || tims_auth_owns_cookie(name);
}

tims_str proxy__strip_cookies(tims_arena *arena, tims_str cookies)
{
    tims_buf kept;
    size_t most = 2 * cookies.length + 1; /* a space behind each semicolon */
    tims_buf_init(&kept, arena, most);
    tims_buf_reserve(&kept, most);
    while (cookies.data != NULL) {
        tims_str pair = tims_str_trim(tims_str_cut(&cookies, ';'));
        if (may_be_ours(pair))
            continue;
        if (kept.length > 0)
            tims_buf_append_str(&kept, TIMS_STR("; "));
        tims_buf_append_str(&kept, pair);
    }
    return kept.length > 0 ? tims_buf_str(&kept) : TIMS_STR("");
}

bool proxy__set_cookie_collides(tims_str set_cookie)
{
    return may_be_ours(tims_str_trim(tims_str_cut(&set_cookie, ';')));
}

/* --- loops ------------------------------------------------------------------------------------- */

size_t proxy__count_hops(const tims_header *headers, size_t count)
{
    size_t hops = 0;
    for (size_t i = 0; i < count; i++) {
        if (!tims_str_equal_ignoring_case(headers[i].name, TIMS_STR("via")))
            continue;
        tims_str rest = headers[i].value;
        while (rest.data != NULL)
            hops += tims_str_equal(tims_str_trim(tims_str_cut(&rest, ',')), TIMS_STR("1.1 tims"));
    }
    return hops;
}
