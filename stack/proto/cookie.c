/* cookie.c: reading the Cookie header, writing Set-Cookie.
 *
 * Reading is forgiving, because other people's cookies of the same site arrive in the same header; writing is
 * strict, so that a value can never end the cookie or the header. */
#include "proto/proto_internal.h"

static tims_str strip_quotes(tims_str value)
{
    if (value.length >= 2 && value.data[0] == '"' && value.data[value.length - 1] == '"')
        return tims_str_slice(value, 1, value.length - 1);
    return value;
}

tims_str tims_cookie_get(tims_str header, tims_str name)
{
    while (header.data != NULL) {
        tims_str value = tims_str_trim(tims_str_cut(&header, ';'));
        tims_str found = tims_str_cut(&value, '=');
        if (value.data != NULL && tims_str_equal(tims_str_trim(found), name))
            return strip_quotes(tims_str_trim(value));
    }
    return (tims_str){ 0 };
}

/* RFC 6265 cookie-octet; '%' is escaped as well, so that escapes can be told from text. */
static bool is_cookie_octet(unsigned char c)
{
    return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\' && c != '%';
}

static void append_value(tims_buf *out, tims_str value)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (is_cookie_octet(c)) {
            tims_buf_append_char(out, (char)c);
            continue;
        }
        tims_buf_append_char(out, '%');
        tims_buf_append_char(out, digits[c >> 4]);
        tims_buf_append_char(out, digits[c & 15]);
    }
}

tims_str tims_cookie_format(tims_arena *arena, const tims_cookie *cookie)
{
    TIMS_ASSERT(proto__is_token(cookie->name));
    TIMS_ASSERT(cookie->value.length <= SIZE_MAX / 3 - 256 - cookie->name.length);
    tims_buf out;
    tims_buf_init(&out, arena, cookie->name.length + 3 * cookie->value.length + 256);
    tims_buf_append_str(&out, cookie->name);
    tims_buf_append_char(&out, '=');
    append_value(&out, cookie->max_age_s < 0 ? (tims_str){ 0 } : cookie->value);
    tims_buf_append_str(&out, TIMS_STR("; Path=/"));
    if (cookie->max_age_s < 0)
        tims_buf_append_str(&out, TIMS_STR("; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"));
    if (cookie->max_age_s > 0) {
        tims_buf_append_str(&out, TIMS_STR("; Max-Age="));
        tims_buf_append_int(&out, cookie->max_age_s);
    }
    if (cookie->secure)
        tims_buf_append_str(&out, TIMS_STR("; Secure"));
    if (cookie->http_only)
        tims_buf_append_str(&out, TIMS_STR("; HttpOnly"));
    tims_buf_append_str(&out,
                        cookie->same_site_lax ? TIMS_STR("; SameSite=Lax") : TIMS_STR("; SameSite=Strict"));
    TIMS_ASSERT(!out.overflow);
    return tims_buf_str(&out);
}
