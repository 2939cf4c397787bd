/* base64: bytes in JSON (RFC 4648, section 4: "+", "/" and padding). */
#include "tims/base.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void tims_base64_append(tims_buf *out, tims_str bytes)
{
    const unsigned char *in = (const unsigned char *)bytes.data;
    for (size_t i = 0; i < bytes.length; i += 3) {
        size_t left = bytes.length - i;
        uint32_t three = (uint32_t)in[i] << 16;
        three |= left > 1 ? (uint32_t)in[i + 1] << 8 : 0;
        three |= left > 2 ? in[i + 2] : 0;
        const char four[] = { alphabet[three >> 18], alphabet[three >> 12 & 63],
                              left > 1 ? alphabet[three >> 6 & 63] : '=',
                              left > 2 ? alphabet[three & 63] : '=' };
        tims_buf_append(out, four, sizeof four);
    }
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters, the last `padding` of them "="; false: not what encoding writes. */
static bool decode_four(const char *in, size_t padding, unsigned char *out)
{
    uint32_t three = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < 4 - padding ? value_of(in[i]) : 0;
        if (value < 0 || (i >= 4 - padding && in[i] != '='))
            return false;
        three = three << 6 | (uint32_t)value;
    }
    for (size_t i = 0; i < 3 - padding; i++)
        out[i] = (unsigned char)(three >> (16 - 8 * i));
    return (three & (((uint32_t)1 << (8 * padding)) - 1)) == 0; /* one text for the same bytes */
}

bool tims_base64_decode(tims_arena *arena, tims_str text, tims_str *ret_bytes)
{
    if (text.length % 4 != 0)
        return false;
    size_t padding = 0;
    while (padding < 2 && padding < text.length && text.data[text.length - 1 - padding] == '=')
        padding++;
    size_t length = text.length / 4 * 3 - padding;
    unsigned char *bytes = tims_alloc_raw(arena, length + 1);
    for (size_t i = 0; i * 4 < text.length; i++)
        if (!decode_four(text.data + i * 4, i * 4 + 4 == text.length ? padding : 0, bytes + i * 3))
            return false;
    *ret_bytes = (tims_str){ (const char *)bytes, length };
    return true;
}
