/* numeric.c: PostgreSQL's numeric in its binary form, to and from decimals of a fixed scale.
 *
 * The form: four int16 (how many digits, the weight of the first, the sign, the scale for display), then
 * digits of base 10,000, the first worth 10,000^weight. NaN and the infinities have signs of their own. */
#include "postgres_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { HEADER_BYTES = 8, SIGN_NEGATIVE = 0x4000, SIGN_SPECIAL = 0xC000, SIGN_NEGATIVE_INFINITY = 0xF000 };

typedef struct numeric {
    int count, weight, sign, scale;
    const uint8_t *digits;
} numeric;

static int read_u16(const uint8_t *at)
{
    return at[0] << 8 | at[1];
}

static bool read_numeric(postgres__datum datum, numeric *ret_numeric)
{
    const uint8_t *bytes = (const uint8_t *)datum.data;
    if (datum.length < HEADER_BYTES)
        return false;
    numeric read = { read_u16(bytes), (int16_t)read_u16(bytes + 2), read_u16(bytes + 4), read_u16(bytes + 6),
                     bytes + HEADER_BYTES };
    if (datum.length < HEADER_BYTES + 2 * read.count)
        return false;
    *ret_numeric = read;
    return true;
}

static bool is_negative(const numeric *n)
{
    return n->sign == SIGN_NEGATIVE || n->sign == SIGN_NEGATIVE_INFINITY;
}

/* The decimal digit that is worth 10^exponent. */
static int decimal_digit(const numeric *n, int exponent)
{
    static const int powers[] = { 1, 10, 100, 1000 };
    int group = exponent >= 0 ? exponent / 4 : -((-exponent + 3) / 4);
    int index = n->weight - group;
    if (index < 0 || index >= n->count)
        return 0;
    return read_u16(n->digits + (ptrdiff_t)(2 * index)) / powers[exponent - 4 * group] % 10;
}

int64_t postgres__numeric_units(postgres__datum datum, uint8_t scale)
{
    numeric n;
    if (!read_numeric(datum, &n))
        return 0;
    bool negative = is_negative(&n);
    int64_t limit = negative ? INT64_MIN : INT64_MAX;
    if ((n.sign & SIGN_SPECIAL) == SIGN_SPECIAL)
        return n.sign == SIGN_SPECIAL ? 0 : limit;
    int64_t units = 0; /* counted on the side of its sign, which reaches further */
    for (int exponent = n.count > 0 ? 4 * n.weight + 3 : -1; exponent >= -(int)scale; exponent--) {
        int digit = decimal_digit(&n, exponent);
        if (__builtin_mul_overflow(units, 10, &units) ||
            __builtin_add_overflow(units, negative ? -digit : digit, &units))
            return limit;
    }
    if (decimal_digit(&n, -(int)scale - 1) >= 5 && __builtin_add_overflow(units, negative ? -1 : 1, &units))
        return limit;
    return units;
}

/* 20 significant digits are more than a double holds. */
double postgres__numeric_double(postgres__datum datum)
{
    numeric n;
    if (!read_numeric(datum, &n))
        return 0;
    if ((n.sign & SIGN_SPECIAL) == SIGN_SPECIAL)
        return n.sign == SIGN_SPECIAL ? __builtin_nan("")
               : is_negative(&n)      ? -__builtin_inf()
                                      : __builtin_inf();
    char text[64];
    int first = 4 * n.weight + 3, length = 0;
    if (is_negative(&n))
        text[length++] = '-';
    for (int i = 0; i < 28; i++)
        text[length++] = (char)('0' + decimal_digit(&n, first - i));
    (void)snprintf(text + length, sizeof text - (size_t)length, "e%d", first - 27);
    return strtod(text, NULL);
}

/* Longer ones than `size` as the double they are nearest to. */
tims_str postgres__numeric_text(postgres__datum datum, char *scratch, size_t size)
{
    numeric n = { 0 };
    bool ok = read_numeric(datum, &n);
    int first = n.count > 0 && n.weight >= 0 ? 4 * n.weight + 3 : 0;
    if (!ok || (n.sign & SIGN_SPECIAL) == SIGN_SPECIAL || (size_t)first + (size_t)n.scale + 4 > size) {
        int length = snprintf(scratch, size, "%.17g", postgres__numeric_double(datum));
        return (tims_str){ scratch, (size_t)length };
    }
    while (first > 0 && decimal_digit(&n, first) == 0)
        first--;
    size_t length = 0;
    if (is_negative(&n))
        scratch[length++] = '-';
    for (int exponent = first; exponent >= -n.scale; exponent--) {
        if (exponent == -1)
            scratch[length++] = '.';
        scratch[length++] = (char)('0' + decimal_digit(&n, exponent));
    }
    return (tims_str){ scratch, length };
}

static void write_u16(char *at, int value)
{
    at[0] = (char)(value >> 8 & 0xff);
    at[1] = (char)(value & 0xff);
}

int postgres__numeric_encode(int64_t units, uint8_t scale, char *ret_bytes)
{
    int padding = (4 - scale % 4) % 4, groups[8], count = 0;
    unsigned __int128 rest = units < 0 ? -(unsigned __int128)units : (unsigned __int128)units;
    for (int i = 0; i < padding; i++)
        rest *= 10;
    for (; rest > 0; rest /= 10000)
        groups[count++] = (int)(rest % 10000); /* the last digit first */
    int lowest = 0, weight = count - 1 - (scale + padding) / 4;
    while (lowest < count && groups[lowest] == 0)
        lowest++;
    write_u16(ret_bytes, count - lowest);
    write_u16(ret_bytes + 2, count > 0 ? weight : 0);
    write_u16(ret_bytes + 4, units < 0 ? SIGN_NEGATIVE : 0);
    write_u16(ret_bytes + 6, scale);
    char *at = ret_bytes + HEADER_BYTES;
    for (int i = count - 1; i >= lowest; i--, at += 2)
        write_u16(at, groups[i]);
    return (int)(at - ret_bytes);
}

int postgres__decimal_text(int64_t units, uint8_t scale, char *ret_text, size_t size)
{
    char digits[64];
    uint64_t magnitude = units < 0 ? -(uint64_t)units : (uint64_t)units;
    int length =
        snprintf(digits, sizeof digits, "%0*llu", scale < 40 ? scale + 1 : 40, (unsigned long long)magnitude);
    if (scale == 0)
        return snprintf(ret_text, size, "%s%s", units < 0 ? "-" : "", digits);
    return snprintf(ret_text, size, "%s%.*s.%s", units < 0 ? "-" : "", length - scale, digits,
                    digits + length - scale);
}
