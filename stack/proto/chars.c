/* chars.c: the character classes that the protocols share. */
#include "proto/proto_internal.h"

/* RFC 9110 tchar, one bit per ASCII character. */
static const uint32_t token_bits[4] = {
    0x00000000, /* controls */
    0x03ff6cfa, /* ! # $ % & ' * + - . 0-9 */
    0xc7fffffe, /* A-Z ^ _ */
    0x57ffffff, /* ` a-z | ~ */
};

bool proto__is_token_char(unsigned char c)
{
    return c < 128 && (token_bits[c / 32] >> (c % 32) & 1) != 0;
}

bool proto__is_token(tims_str s)
{
    for (size_t i = 0; i < s.length; i++)
        if (!proto__is_token_char((unsigned char)s.data[i]))
            return false;
    return s.length > 0;
}

int proto__hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
