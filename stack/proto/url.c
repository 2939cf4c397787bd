/* url.c: request targets, form pairs and upstream addresses.
 *
 * A path is decoded once and normalised here, before anybody routes or checks it, so that two spellings never
 * name two things. What could be read in two ways (an encoded slash, a backslash, a NUL, a broken escape) is
 * refused rather than guessed at. */
#include <string.h>

#include "proto/proto_internal.h"

/* --- percent decoding ---------------------------------------------------------------------------- */

/* The byte of the escape at text[i], or -1. */
static int decode_escape(tims_str text, size_t i)
{
    if (text.length - i < 3)
        return -1;
    int high = proto__hex_value((unsigned char)text.data[i + 1]);
    int low = proto__hex_value((unsigned char)text.data[i + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Decodes a path into `out` (at least as long as `text`); false for what a path may not hold. */
static bool decode_path(tims_str text, char *out, size_t *ret_length)
{
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        int c = (unsigned char)text.data[i];
        if (c == '%') {
            c = decode_escape(text, i);
            if (c < 0 || c == '/')
                return false;
            i += 2;
        } else if (c == '#') {
            return false;
        }
        if (c < 0x20 || c == 0x7f || c == '\\')
            return false;
        out[length++] = (char)c;
    }
    *ret_length = length;
    return tims_str_is_utf8((tims_str){ out, length });
}

/* --- paths --------------------------------------------------------------------------------------- */

static size_t drop_last_segment(const char *path, size_t length)
{
    while (length > 0 && path[length - 1] != '/')
        length--;
    return length > 0 ? length - 1 : 0;
}

/* Resolves segments in place; the result is never longer. False for “..” above the root. A final slash stays,
 * and a final “.” or “..” leaves one. */
static bool normalise(char *path, size_t *length)
{
    TIMS_ASSERT(path != NULL && *length > 0);
    tims_str rest = { path + 1, *length - 1 };
    size_t out = 0;
    bool ends_in_slash = true;
    while (rest.data != NULL) {
        tims_str segment = tims_str_cut(&rest, '/');
        ends_in_slash = true;
        if (segment.length == 0 || tims_str_equal(segment, TIMS_STR(".")))
            continue;
        if (tims_str_equal(segment, TIMS_STR(".."))) {
            if (out == 0)
                return false;
            out = drop_last_segment(path, out);
            continue;
        }
        path[out++] = '/';
        memmove(path + out, segment.data, segment.length);
        out += segment.length;
        ends_in_slash = false;
    }
    if (ends_in_slash)
        path[out++] = '/';
    *length = out;
    return true;
}

/* Cuts scheme and authority off an absolute target. */
static tims_str strip_authority(tims_str target)
{
    size_t scheme = tims_str_starts_with(target, TIMS_STR("http://"))    ? 7
                    : tims_str_starts_with(target, TIMS_STR("https://")) ? 8
                                                                         : 0;
    if (scheme == 0)
        return target;
    size_t at = scheme;
    while (at < target.length && target.data[at] != '/' && target.data[at] != '?')
        at++;
    return tims_str_slice(target, at, target.length);
}

static bool is_query(tims_str query)
{
    for (size_t i = 0; i < query.length; i++) {
        unsigned char c = (unsigned char)query.data[i];
        if (c < 0x20 || c == 0x7f || c == '#')
            return false;
    }
    return true;
}

/* Most targets need no work: letters, digits and "-_~/" without an empty segment mean what they say. (A dot
 * may be a dot segment, so only dots behind such a character pass.) Returns the path's length, or 0 when a
 * closer look is due. */
static size_t find_plain_path(tims_str target)
{
    unsigned char before = 0;
    for (size_t i = 0; i < target.length; i++) {
        unsigned char c = (unsigned char)target.data[i];
        bool is_word = (unsigned char)((c | 0x20) - 'a') < 26 || (unsigned char)(c - '0') < 10 || c == '-' ||
                       c == '_' || c == '~';
        if (c == '?')
            return i;
        if (!is_word && !(c == '/' && before != '/') && !(c == '.' && before != '/' && before != '.'))
            return 0;
        before = c;
    }
    return target.length;
}

tims_status tims_url_split_target(tims_arena *arena, tims_str target, tims_str *ret_path, tims_str *ret_query,
                                  tims_error *err)
{
    bool absolute = target.length > 0 && target.data[0] != '/';
    size_t plain = absolute ? 0 : find_plain_path(target);
    if (plain == target.length && plain > 0) {
        *ret_path = tims_copy(arena, target); /* terminated */
        *ret_query = (tims_str){ "", 0 };
        return TIMS_OK;
    }
    tims_str rest = strip_authority(target);
    bool starred = tims_str_equal(target, TIMS_STR("*"));
    if (target.length == 0 || (absolute && rest.length == target.length && !starred))
        return tims_fail(err, TIMS_MALFORMED, "bad_path", "The request target cannot be read.");
    size_t mark = tims_str_find(rest, TIMS_STR("?"));
    tims_str path = tims_str_slice(rest, 0, mark);
    tims_str query = mark == SIZE_MAX ? (tims_str){ "", 0 } : tims_str_slice(rest, mark + 1, rest.length);
    if (path.length == 0 || starred)
        path = TIMS_STR("/");
    char *decoded = tims_alloc_raw(arena, path.length + 2);
    size_t length = 0;
    if (!is_query(query) || !decode_path(path, decoded, &length) || !normalise(decoded, &length))
        return tims_fail(err, TIMS_MALFORMED, "bad_path", "The path of the request cannot be read.");
    decoded[length] = '\0';
    *ret_path = (tims_str){ decoded, length };
    *ret_query = query;
    return TIMS_OK;
}

/* --- pairs --------------------------------------------------------------------------------------- */

/* Names and values may hold any text but NUL. Returns the text itself when there is nothing to decode. */
static bool decode_form(tims_arena *arena, tims_str text, tims_str *ret_text)
{
    if (text.length == 0) {
        *ret_text = (tims_str){ "", 0 };
        return true;
    }
    bool plain = memchr(text.data, '%', text.length) == NULL && memchr(text.data, '+', text.length) == NULL;
    char *out = plain ? NULL : tims_alloc_raw(arena, text.length);
    size_t length = 0;
    for (size_t i = 0; !plain && i < text.length; i++) {
        int c = text.data[i] == '+' ? ' ' : (unsigned char)text.data[i];
        if (c == '%') {
            c = decode_escape(text, i);
            if (c < 0)
                return false;
            i += 2;
        }
        out[length++] = (char)c;
    }
    tims_str decoded = plain ? text : (tims_str){ out, length };
    *ret_text = decoded;
    return memchr(decoded.data, '\0', decoded.length) == NULL && tims_str_is_utf8(decoded);
}

static size_t count_pairs(tims_str text)
{
    size_t count = 0;
    while (text.data != NULL)
        count += tims_str_cut(&text, '&').length > 0;
    return count;
}

tims_status tims_url_parse_pairs(tims_arena *arena, tims_str text, size_t count_max, tims_pairs *ret_pairs,
                                 tims_error *err)
{
    size_t count = count_pairs(text);
    if (count > count_max)
        return tims_fail(err, TIMS_TOO_LARGE, "too_many_fields", "There are more than %zu fields.",
                         count_max);
    tims_pairs pairs = { .items = TIMS_NEW_ARRAY(arena, tims_pair, count) };
    while (text.data != NULL) {
        tims_str value = tims_str_cut(&text, '&');
        if (value.length == 0)
            continue;
        tims_str name = tims_str_cut(&value, '=');
        tims_pair *pair = &pairs.items[pairs.count++];
        if (!decode_form(arena, name, &pair->name) || !decode_form(arena, value, &pair->value))
            return tims_fail(err, TIMS_MALFORMED, "bad_form",
                             "A field is not valid: its escapes or its UTF-8.");
    }
    *ret_pairs = pairs;
    return TIMS_OK;
}

tims_str tims_pairs_get(tims_pairs pairs, tims_str name)
{
    for (size_t i = 0; i < pairs.count; i++)
        if (tims_str_equal(pairs.items[i].name, name))
            return pairs.items[i].value;
    return (tims_str){ 0 };
}

static bool is_unreserved(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

tims_str tims_url_encode(tims_arena *arena, tims_str text)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t escapes = 0;
    for (size_t i = 0; i < text.length; i++)
        escapes += !is_unreserved((unsigned char)text.data[i]);
    char *out = tims_alloc_raw(arena, text.length + 2 * escapes + 1);
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (is_unreserved(c)) {
            out[length++] = (char)c;
            continue;
        }
        out[length++] = '%';
        out[length++] = digits[c >> 4];
        out[length++] = digits[c & 15];
    }
    out[length] = '\0';
    return (tims_str){ out, length };
}

/* --- upstream URLs ------------------------------------------------------------------------------- */

static bool is_visible(tims_str text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] < 0x21 || text.data[i] > 0x7e)
            return false;
    return true;
}

/* path[?query]; both may be empty. */
static void split_path(tims_str text, tims_url *url)
{
    url->query = text;
    url->path = tims_str_cut(&url->query, '?');
    if (url->query.data == NULL)
        url->query = (tims_str){ "", 0 };
    if (url->path.length == 0)
        url->path = TIMS_STR("/");
}

/* /socket or /socket:/path?query */
static bool parse_unix(tims_str rest, tims_url *url)
{
    url->host = tims_str_cut(&rest, ':');
    if (url->host.length < 2 || url->host.data[0] != '/')
        return false;
    if (rest.data != NULL && (rest.length == 0 || rest.data[0] != '/'))
        return false;
    split_path(rest.data != NULL ? rest : TIMS_STR("/"), url);
    return true;
}

/* host[:port] or [v6][:port] */
static bool parse_authority(tims_str authority, tims_url *url)
{
    tims_str port = { 0 };
    if (authority.length > 0 && authority.data[0] == '[') {
        size_t end = tims_str_find(authority, TIMS_STR("]"));
        if (end == SIZE_MAX || end < 3)
            return false;
        url->host = tims_str_slice(authority, 1, end);
        port = tims_str_slice(authority, end + 1, authority.length);
        if (port.length > 0 && port.data[0] != ':')
            return false;
        port = port.length > 0 ? tims_str_slice(port, 1, port.length) : (tims_str){ 0 };
    } else {
        port = authority;
        url->host = tims_str_cut(&port, ':');
    }
    for (size_t i = 0; i < url->host.length; i++)
        if (strchr("@/?#%[]\\\"<>^`{|}", url->host.data[i]) != NULL)
            return false;
    int64_t number = url->port;
    if (port.data != NULL && !tims_str_to_int(port, 1, 65535, &number))
        return false;
    url->port = (uint16_t)number;
    return url->host.length > 0;
}

static bool parse_scheme(tims_str *rest, tims_url *url)
{
    static const struct {
        tims_str prefix;
        size_t name_length;
        uint16_t port;
    } schemes[] = { { TIMS_STR_INIT("http://"), 4, 80 },
                    { TIMS_STR_INIT("https://"), 5, 443 },
                    { TIMS_STR_INIT("ws://"), 2, 80 },
                    { TIMS_STR_INIT("wss://"), 3, 443 },
                    { TIMS_STR_INIT("unix:"), 4, 0 } };
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (!tims_str_starts_with(*rest, schemes[i].prefix))
            continue;
        url->scheme = tims_str_slice(*rest, 0, schemes[i].name_length);
        url->port = schemes[i].port;
        *rest = tims_str_slice(*rest, schemes[i].prefix.length, rest->length);
        return true;
    }
    return false;
}

tims_status tims_url_parse(tims_arena *arena, tims_str text, tims_url *ret_url, tims_error *err)
{
    tims_url url = { 0 };
    tims_str rest = tims_copy(arena, text);
    bool ok = is_visible(rest) && tims_str_find(rest, TIMS_STR("#")) == SIZE_MAX && parse_scheme(&rest, &url);
    if (ok && tims_str_equal(url.scheme, TIMS_STR("unix"))) {
        ok = parse_unix(rest, &url);
    } else if (ok) {
        size_t end = 0;
        while (end < rest.length && rest.data[end] != '/' && rest.data[end] != '?')
            end++;
        ok = parse_authority(tims_str_slice(rest, 0, end), &url);
        split_path(tims_str_slice(rest, end, rest.length), &url);
    }
    if (!ok)
        return tims_fail(err, TIMS_MALFORMED, "bad_url", "This is not an address that can be asked.");
    *ret_url = url;
    return TIMS_OK;
}
