/* path.c: the client's target becomes the upstream's.
 *
 * Our router decides by the decoded path; the upstream decodes for itself, perhaps more often, perhaps with
 * rules of its own. So that it never sees another path than the one that was checked here, nothing is
 * normalised: a path that would change by it is refused, and what passes, passes byte for byte. */
#include "proxy/proxy_internal.h"

static int hex_value(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte of the escape at text[i], or -1. */
static int escape_at(tims_str text, size_t i)
{
    if (text.length - i < 3 || text.data[i] != '%')
        return -1;
    int high = hex_value(text.data[i + 1]), low = hex_value(text.data[i + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool is_visible(char c)
{
    return c > 0x20 && c < 0x7f;
}

/* The byte that stands at text[*i], encoded or not, and behind it; -1 at the end. */
static int take_decoded(tims_str text, size_t *i)
{
    if (*i >= text.length)
        return -1;
    int c = escape_at(text, *i);
    *i += c >= 0 ? 3 : 1;
    return c >= 0 ? c : text.data[*i - 1];
}

/* Of an escape: what may not stand in a path, encoded or not, and '%' before what could be decoded again. */
static bool escape_is_fine(tims_str path, size_t i)
{
    int c = escape_at(path, i);
    if (c < 0x20 || c == 0x7f || c == '/' || c == '\\')
        return false;
    if (c != '%')
        return true;
    size_t at = i + 3;
    int first = take_decoded(path, &at), second = take_decoded(path, &at);
    return hex_value(first) < 0 || hex_value(second) < 0;
}

/* "." or "..", however they are written; with ';' too, behind which some servers look away. */
static bool is_dots(tims_str segment)
{
    size_t dots = 0;
    for (size_t i = 0; i < segment.length; i++) {
        int c = segment.data[i] == '%' ? escape_at(segment, i) : segment.data[i];
        if (c == ';')
            break;
        if (c != '.')
            return false;
        dots++;
        i += segment.data[i] == '%' ? 2 : 0;
    }
    return dots == 1 || dots == 2;
}

static bool is_plain_path(tims_str path)
{
    for (size_t i = 0; i < path.length; i++) {
        char c = path.data[i];
        if (!is_visible(c) || c == '\\' || c == '#' || (c == '%' && !escape_is_fine(path, i)))
            return false;
    }
    while (path.data != NULL) {
        tims_str segment = tims_str_cut(&path, '/');
        bool is_last = path.data == NULL;
        if (is_dots(segment) || (segment.length == 0 && !is_last))
            return false;
    }
    return true;
}

static bool is_plain_query(tims_str query)
{
    for (size_t i = 0; i < query.length; i++)
        if (!is_visible(query.data[i]) || query.data[i] == '#')
            return false;
    return true;
}

tims_status proxy__map_target(tims_arena *arena, tims_str target, tims_str prefix, tims_str base,
                              tims_str *ret_target, tims_error *err)
{
    if (!tims_str_starts_with(target, prefix))
        return tims_fail(err, TIMS_MALFORMED, "bad_path", "This address must be written as %.*s and so on.",
                         TIMS_PRINT(prefix));
    tims_str rest = tims_str_slice(target, prefix.length, target.length);
    size_t mark = tims_str_find(rest, TIMS_STR("?"));
    tims_str path = tims_str_slice(rest, 0, mark == SIZE_MAX ? rest.length : mark);
    tims_str query = tims_str_slice(rest, path.length, rest.length);
    if (!is_plain_path(path) || !is_plain_query(query))
        return tims_fail(err, TIMS_MALFORMED, "bad_path", "This address can be read in more than one way.");
    *ret_target = tims_print(arena, "%S%S", base, rest);
    return TIMS_OK;
}

/* What follows "http://authority" or "https://authority", as a path; nothing when it is another authority. */
static tims_str behind_authority(tims_arena *arena, tims_str location, tims_str authority)
{
    static const struct {
        tims_str scheme, port;
    } schemes[] = { { TIMS_STR_INIT("http://"), TIMS_STR_INIT(":80") },
                    { TIMS_STR_INIT("https://"), TIMS_STR_INIT(":443") } };
    for (size_t i = 0; i < 2; i++) {
        size_t length = schemes[i].scheme.length;
        if (!tims_str_equal_ignoring_case(tims_str_slice(location, 0, length), schemes[i].scheme))
            continue;
        tims_str rest = tims_str_slice(location, length, location.length);
        if (!tims_str_equal_ignoring_case(tims_str_slice(rest, 0, authority.length), authority))
            return (tims_str){ 0 };
        rest = tims_str_slice(rest, authority.length, rest.length);
        if (tims_str_starts_with(rest, schemes[i].port))
            rest = tims_str_slice(rest, schemes[i].port.length, rest.length);
        if (rest.length == 0 || rest.data[0] == '?' || rest.data[0] == '#')
            return tims_print(arena, "/%S", rest);
        return rest.data[0] == '/' ? rest : (tims_str){ 0 };
    }
    return (tims_str){ 0 };
}

tims_str proxy__map_location(tims_arena *arena, tims_str location, tims_str prefix, tims_str base,
                             tims_str authority, tims_str site)
{
    tims_str own = { 0 }, sites = { 0 };
    if (authority.length > 0)
        own = behind_authority(arena, location, authority);
    if (own.length == 0 && site.length > 0)
        sites = behind_authority(arena, location, site);
    tims_str path = own.length > 0 ? own : sites.length > 0 ? sites : location;
    bool is_path = path.length > 0 && path.data[0] == '/' && !tims_str_starts_with(path, TIMS_STR("//"));
    if (!is_path || !tims_str_starts_with(path, base))
        return location;
    if (own.length == 0 && tims_str_starts_with(path, prefix) && !tims_str_equal(prefix, base))
        return location; /* an upstream that knows where it is, by X-Forwarded-Prefix */
    return tims_print(arena, "%S%S", prefix, tims_str_slice(path, base.length, path.length));
}
