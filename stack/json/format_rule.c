/* format_rule: the named shapes a string field may ask for: email, url, slug, color, password.
 *
 * They refuse what cannot be right and nothing else: whether an address exists is found out by writing to it.
 */
#include "json/json_internal.h"

#include <string.h>

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_plain(tims_str s) /* no control bytes, no white space, none of what breaks out of markup */
{
    for (size_t i = 0; i < s.length; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c <= 0x20 || c == 0x7f || c == '"' || c == '<' || c == '>' || c == '\\')
            return false;
    }
    return true;
}

static bool is_host_name(tims_str host)
{
    if (host.length == 0 || host.length > 253)
        return false;
    while (host.data != NULL) {
        tims_str label = tims_str_cut(&host, '.');
        if (label.length == 0 || label.length > 63 || label.data[0] == '-' ||
            label.data[label.length - 1] == '-')
            return false;
        for (size_t i = 0; i < label.length; i++)
            if (!is_alnum(label.data[i]) && label.data[i] != '-' && (unsigned char)label.data[i] < 0x80)
                return false;
    }
    return true;
}

static bool is_email(tims_str text)
{
    if (text.length > 254 || !is_plain(text))
        return false;
    tims_str domain = text;
    tims_str local = tims_str_cut(&domain, '@');
    if (domain.data == NULL || local.length == 0 || local.length > 64)
        return false;
    if (local.data[0] == '.' || local.data[local.length - 1] == '.' ||
        tims_str_find(local, TIMS_STR("..")) != SIZE_MAX || tims_str_find(local, TIMS_STR(",")) != SIZE_MAX)
        return false;
    return tims_str_find(domain, TIMS_STR(".")) != SIZE_MAX && is_host_name(domain);
}

static bool is_port(tims_str text)
{
    int64_t port;
    return tims_str_to_int(text, 1, 65535, &port);
}

static bool is_url(tims_str text)
{
    if (text.length > 2048 || !is_plain(text))
        return false;
    size_t scheme = tims_str_starts_with(text, TIMS_STR("https://"))  ? 8
                    : tims_str_starts_with(text, TIMS_STR("http://")) ? 7
                                                                      : 0;
    if (scheme == 0)
        return false;
    size_t end = scheme;
    while (end < text.length && text.data[end] != '/' && text.data[end] != '?' && text.data[end] != '#')
        end++;
    tims_str port = tims_str_slice(text, scheme, end); /* user names and passwords in URLs are refused */
    tims_str host = tims_str_cut(&port, ':');
    return is_host_name(host) && (port.data == NULL || is_port(port));
}

static bool is_slug(tims_str text)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || ((c == '-' || c == '_') && i > 0)))
            return false;
    }
    return text.length > 0;
}

static bool is_color(tims_str text)
{
    if ((text.length != 4 && text.length != 7) || text.data[0] != '#')
        return false;
    for (size_t i = 1; i < text.length; i++) {
        char c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
            return false;
    }
    return true;
}

/* A word about how it is shown and typed, not about its characters. */
static bool is_anything(tims_str text)
{
    (void)text;
    return true;
}

static const struct format_row {
    const char *name;
    bool (*matches)(tims_str text);
} format_rows[] = {
    { "email", is_email }, { "url", is_url },           { "slug", is_slug },
    { "color", is_color }, { "password", is_anything },
};

static const struct format_row *find_format(const char *name)
{
    for (size_t i = 0; i < sizeof(format_rows) / sizeof(format_rows[0]); i++)
        if (strcmp(format_rows[i].name, name) == 0)
            return &format_rows[i];
    return NULL;
}

bool tims_format_is_known(const char *format)
{
    return find_format(format) != NULL;
}

bool tims_format_matches(const char *format, tims_str text)
{
    const struct format_row *row = find_format(format);
    TIMS_ASSERT(row != NULL); /* a descriptor names a format that does not exist */
    return row->matches(text);
}
