/* address.c: redis://user:password@host:port/database.
 *
 * What is not spoken here is refused by name, since each of these looks like a URL that works: TLS, Sentinel,
 * Cluster, several hosts. No message repeats the URL: it may carry a password. */
#include "redis/redis_internal.h"

enum { DEFAULT_PORT = 6379, DATABASE_MAX = 1000000 };

static tims_status refuse(tims_error *err, const char *why)
{
    return tims_fail(err, TIMS_INVALID, "redis_url", "The Redis URL %s", why);
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* False: a percent sign without two digits behind it. */
static bool decode(tims_arena *arena, tims_str text, tims_str *ret_decoded)
{
    char *out = tims_alloc(arena, text.length + 1);
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] != '%') {
            out[length++] = text.data[i];
            continue;
        }
        int high = i + 2 < text.length ? digit_of(text.data[i + 1]) : -1;
        int low = i + 2 < text.length ? digit_of(text.data[i + 2]) : -1;
        if (high < 0 || low < 0)
            return false;
        out[length++] = (char)(high * 16 + low);
        i += 2;
    }
    *ret_decoded = (tims_str){ out, length };
    return true;
}

static tims_status read_scheme(tims_str *rest, tims_error *err)
{
    size_t end = tims_str_find(*rest, TIMS_STR("://"));
    if (end == SIZE_MAX)
        return refuse(err, "has no scheme: it looks like redis://user:password@host:port/database");
    tims_str scheme = tims_str_slice(*rest, 0, end);
    *rest = tims_str_slice(*rest, end + 3, rest->length);
    if (tims_str_equal_ignoring_case(scheme, TIMS_STR("redis")))
        return TIMS_OK;
    if (tims_str_equal_ignoring_case(scheme, TIMS_STR("rediss")))
        return refuse(err, "asks for TLS (rediss://), which is not spoken here: put a tunnel (stunnel, a "
                           "sidecar) in front of the server and name that with redis://");
    if (tims_str_find(scheme, TIMS_STR("sentinel")) != SIZE_MAX)
        return refuse(err, "names Sentinel, which is not spoken here: name the one address behind which the "
                           "current master is found (a proxy, a service)");
    if (tims_str_find(scheme, TIMS_STR("cluster")) != SIZE_MAX)
        return refuse(err, "names a Redis Cluster, which is not spoken here: what is kept there is small and "
                           "short-lived; one server with a replica is enough");
    return refuse(err, "must begin with redis://");
}

static tims_status read_login(tims_arena *arena, tims_str *rest, redis__address *address, tims_error *err)
{
    size_t at = SIZE_MAX;
    for (size_t i = 0; i < rest->length && rest->data[i] != '/'; i++)
        if (rest->data[i] == '@')
            at = i;
    if (at == SIZE_MAX)
        return TIMS_OK;
    tims_str password = tims_str_slice(*rest, 0, at);
    tims_str user = tims_str_cut(&password, ':');
    *rest = tims_str_slice(*rest, at + 1, rest->length);
    if (!decode(arena, user, &address->user) ||
        (password.data != NULL && !decode(arena, password, &address->password)))
        return refuse(err, "has a user or password with a % that is not followed by two hex digits");
    if (address->user.length > 0 && password.data == NULL)
        return refuse(err, "names a user without a password: user:password@, or :password@");
    return TIMS_OK;
}

static tims_status read_host(tims_arena *arena, tims_str *rest, redis__address *address, tims_error *err)
{
    tims_str port = tims_str_cut(rest, '/'), host;
    int64_t number = DEFAULT_PORT;
    if (tims_str_find(port, TIMS_STR(",")) != SIZE_MAX)
        return refuse(err, "names several hosts, as Sentinel and Cluster do, which are not spoken here");
    if (tims_str_starts_with(port, TIMS_STR("["))) {
        host = tims_str_cut(&port, ']');
        host = tims_str_slice(host, 1, host.length);
        if (port.length > 0 && port.data[0] != ':')
            return refuse(err, "has something between the address in brackets and the port");
        port = port.length > 0 ? tims_str_slice(port, 1, port.length) : (tims_str){ NULL, 0 };
    } else {
        host = tims_str_cut(&port, ':');
    }
    if (host.length == 0)
        return refuse(err, "names no host");
    if (port.data != NULL && !tims_str_to_int(port, 1, 65535, &number))
        return refuse(err, "has a port that is no number from 1 to 65535");
    address->host = tims_copy(arena, host);
    address->port = (uint16_t)number;
    return TIMS_OK;
}

tims_status redis__address_parse(tims_arena *arena, tims_str url, redis__address *ret_address,
                                 tims_error *err)
{
    redis__address address = { 0 };
    tims_str rest = tims_str_trim(url);
    tims_status status = read_scheme(&rest, err);
    if (status == TIMS_OK)
        status = read_login(arena, &rest, &address, err);
    if (status == TIMS_OK)
        status = read_host(arena, &rest, &address, err);
    if (status != TIMS_OK)
        return status;
    if (tims_str_find(rest, TIMS_STR("?")) != SIZE_MAX)
        return refuse(err, "has parameters (?…), of which none is known");
    if (rest.length > 0 && !tims_str_to_int(rest, 0, DATABASE_MAX, &address.database))
        return refuse(err, "has a database that is no number");
    address.name =
        tims_print(arena, "%S:%d/%lld", address.host, (int)address.port, (long long)address.database);
    *ret_address = address;
    return TIMS_OK;
}
