/* table.c: a project's table of upstreams, checked once and turned into routes. */
#include "proxy/proxy_internal.h"

enum { SECRET_BYTES_MIN = 32, METHODS_ALL = 127, NAME_BYTES_MAX = 200 };
#define BODY_BYTES_DEFAULT ((uint64_t)1 << 30)

struct tims_proxies {
    proxy__row *rows;
    tims_route *routes;
    size_t count;
    uint64_t body_bytes_max;
};

size_t tims_proxies_count(const tims_proxy *table)
{
    size_t count = 0;
    while (table != NULL && table[count].prefix != NULL)
        count++;
    return count;
}

const char *tims_proxy_setting_name(tims_arena *arena, const tims_proxy *row, const char *ending)
{
    tims_str prefix = tims_str_from(row->prefix);
    tims_buf name;
    tims_buf_init(&name, arena, NAME_BYTES_MAX * 2);
    tims_buf_append_str(&name, TIMS_STR("PROXY"));
    for (size_t i = 0; i + 1 < prefix.length && i < NAME_BYTES_MAX; i++) {
        char c = prefix.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_digit = c >= '0' && c <= '9';
        tims_buf_append_char(&name, is_letter ? (char)(c & ~0x20) : is_digit ? c : '_');
    }
    tims_buf_append_str(&name, tims_str_from(ending));
    return tims_copy_c(arena, tims_buf_str(&name));
}

/* --- checks ------------------------------------------------------------------------------------ */

static bool is_prefix(tims_str prefix)
{
    if (prefix.length < 3 || prefix.length > NAME_BYTES_MAX || prefix.data[0] != '/' ||
        prefix.data[prefix.length - 1] != '/')
        return false;
    for (size_t i = 0; i < prefix.length; i++) {
        char c = prefix.data[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_word && memchr("-_~", c, 3) == NULL && !(c == '/' && (i == 0 || prefix.data[i - 1] != '/')) &&
            !(c == '.' && prefix.data[i - 1] != '/' && prefix.data[i - 1] != '.'))
            return false;
    }
    return true;
}

static tims_status check_row(const tims_proxy *row, tims_error *err)
{
    if (!is_prefix(tims_str_from(row->prefix)))
        return tims_fail(err, TIMS_INVALID, "proxy",
                         "Proxy %s: a prefix is like /docs/, of letters, digits and -._~ between slashes.",
                         row->prefix);
    if (row->access != NULL && row->access != tims_access_signed_in && row->access != tims_access_staff)
        return tims_fail(err, TIMS_INVALID, "proxy",
                         "Proxy %s: access is NULL, tims_access_signed_in or tims_access_staff.",
                         row->prefix);
    if (row->health != NULL && row->health[0] != '/')
        return tims_fail(err, TIMS_INVALID, "proxy", "Proxy %s: health is a path at the upstream.",
                         row->prefix);
    if ((row->methods & ~(uint32_t)METHODS_ALL) != 0)
        return tims_fail(err, TIMS_INVALID, "proxy", "Proxy %s: a method that is not known.", row->prefix);
    return TIMS_OK;
}

/* An upstream's own path is held to what is asked of clients' paths. */
static bool is_base(tims_arena *arena, tims_str base)
{
    tims_str mapped;
    return base.length > 0 && base.data[base.length - 1] == '/' &&
           proxy__map_target(arena, base, TIMS_STR("/"), TIMS_STR("/"), &mapped, NULL) == TIMS_OK;
}

static tims_status set_upstream(tims_arena *arena, proxy__row *row, tims_str text, tims_error *err)
{
    tims_status status = tims_url_parse(arena, text, &row->url, err);
    bool is_unix = status == TIMS_OK && tims_str_equal(row->url.scheme, TIMS_STR("unix"));
    bool is_tls = status == TIMS_OK && tims_str_equal(row->url.scheme, TIMS_STR("https"));
    bool is_fine =
        status == TIMS_OK && (is_unix || is_tls || tims_str_equal(row->url.scheme, TIMS_STR("http")));
    row->base = is_fine && row->url.path.length > 0 ? row->url.path : TIMS_STR("/");
    if (!is_fine || row->url.query.length > 0 || !is_base(arena, row->base))
        return tims_fail(err, TIMS_INVALID, "proxy",
                         "Proxy %s: \"%.*s\" is no upstream; one is http(s)://host:port/path/ or "
                         "unix:/socket:/path/, with a slash at its end.",
                         row->table->prefix, TIMS_PRINT(text));
    bool is_v6 = tims_str_find(row->url.host, TIMS_STR(":")) != SIZE_MAX;
    tims_str host = is_v6 ? tims_print(arena, "[%S]", row->url.host) : row->url.host;
    if (is_unix)
        row->host = TIMS_STR("localhost");
    else
        row->host = row->url.port == (is_tls ? 443 : 80)
                        ? host
                        : tims_print(arena, "%S:%d", host, (int)row->url.port);
    row->address = is_unix ? tims_print(arena, "unix:%S:", row->url.host)
                           : tims_print(arena, "%S://%S:%d", row->url.scheme, host, (int)row->url.port);
    return TIMS_OK;
}

static tims_status set_trust(tims_arena *arena, proxy__row *row, tims_str ca, tims_error *err)
{
    tims_error why = { 0 };
    if (!tims_str_equal(row->url.scheme, TIMS_STR("https")) ||
        tims_trust_new(arena, ca, &row->trust, &why) == TIMS_OK)
        return TIMS_OK;
    return tims_fail(err, TIMS_INVALID, "proxy", "Proxy %s: %s: %s", row->table->prefix,
                     tims_proxy_setting_name(arena, row->table, "_CA"), why.message);
}

static tims_status make_row(tims_arena *arena, const tims_proxy *table, const tims_proxy_settings *settings,
                            proxy__row *row, tims_error *err)
{
    tims_status status = check_row(table, err);
    if (status != TIMS_OK)
        return status;
    row->table = table;
    row->prefix = tims_str_from(table->prefix);
    row->state = TIMS_NEW(arena, proxy__state);
    bool is_set = settings != NULL && settings->upstream.length > 0;
    status = set_upstream(arena, row, is_set ? settings->upstream : tims_str_from(table->upstream), err);
    if (status == TIMS_OK)
        status = set_trust(arena, row, settings != NULL ? settings->ca : (tims_str){ 0 }, err);
    if (status != TIMS_OK || !table->identity)
        return status;
    if (settings == NULL || settings->secret.length < SECRET_BYTES_MIN)
        return tims_fail(err, TIMS_INVALID, "proxy",
                         "Proxy %s: set %s to the secret that its upstream knows, %d bytes or more.",
                         table->prefix, tims_proxy_setting_name(arena, table, "_SECRET"), SECRET_BYTES_MIN);
    row->secret = tims_copy(arena, settings->secret);
    return TIMS_OK;
}

/* --- routes ------------------------------------------------------------------------------------ */

static tims_route make_route(tims_arena *arena, const proxy__row *row)
{
    uint64_t most = row->table->body_bytes_max != 0 ? row->table->body_bytes_max : BODY_BYTES_DEFAULT;
    return (tims_route){ .methods = row->table->methods != 0 ? row->table->methods : METHODS_ALL,
                         .pattern = tims_copy_c(arena, tims_print(arena, "%S{path:path}", row->prefix)),
                         .handler = proxy__serve,
                         .data = row,
                         .doc =
                             row->table->doc != NULL ? row->table->doc : "Another program, behind this one.",
                         .body_bytes_max = most,
                         .no_csrf = true }; /* proxy.c has its own check, and access too */
}

tims_status tims_proxies_new(tims_arena *arena, const tims_proxy *table, const tims_proxy_settings *settings,
                             tims_proxies **ret_proxies, tims_error *err)
{
    tims_proxies *proxies = TIMS_NEW(arena, tims_proxies);
    size_t total = tims_proxies_count(table);
    proxies->rows = TIMS_NEW_ARRAY(arena, proxy__row, total + 1);
    proxies->routes = TIMS_NEW_ARRAY(arena, tims_route, total + 1);
    for (size_t i = 0; i < total; i++) {
        const tims_proxy_settings *set = settings != NULL ? &settings[i] : NULL;
        if (table[i].upstream == NULL && (set == NULL || set->upstream.length == 0))
            continue; /* nowhere, until the environment says where */
        proxy__row *row = &proxies->rows[proxies->count];
        tims_status status = make_row(arena, &table[i], set, row, err);
        if (status != TIMS_OK)
            return status;
        tims_route *route = &proxies->routes[proxies->count++];
        *route = make_route(arena, row);
        if (route->body_bytes_max > proxies->body_bytes_max)
            proxies->body_bytes_max = route->body_bytes_max;
    }
    *ret_proxies = proxies;
    return TIMS_OK;
}

const tims_route *tims_proxies_routes(const tims_proxies *proxies, size_t *ret_count)
{
    *ret_count = proxies->count;
    return proxies->routes;
}

uint64_t tims_proxies_body_bytes_max(const tims_proxies *proxies)
{
    return proxies->body_bytes_max;
}

/* --- metrics ----------------------------------------------------------------------------------- */

static int64_t read_metric(const proxy__state *state, size_t which)
{
    switch (which) {
    case 0:
        return atomic_load(&state->requests);
    case 1:
        return atomic_load(&state->failures);
    case 2:
        return atomic_load(&state->refused);
    case 3:
        return atomic_load(&state->under_way);
    default:
        return proxy__breaker_is_open(&state->breaker);
    }
}

void tims_proxies_metrics(const tims_proxies *proxies, tims_buf *out)
{
    static const char *const names[][2] = { { "requests_total", "counter" },
                                            { "failures_total", "counter" },
                                            { "refused_total", "counter" },
                                            { "under_way", "gauge" },
                                            { "open", "gauge" } };
    for (size_t n = 0; proxies->count > 0 && n < sizeof names / sizeof *names; n++) {
        tims_buf_print(out, "# TYPE tims_proxy_%s %s\n", names[n][0], names[n][1]);
        for (size_t i = 0; i < proxies->count; i++)
            tims_buf_print(out, "tims_proxy_%s{prefix=\"%S\"} %lld\n", names[n][0], proxies->rows[i].prefix,
                           (long long)read_metric(proxies->rows[i].state, n));
    }
}
