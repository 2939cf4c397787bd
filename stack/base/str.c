/* str.c: slices. Nothing here allocates. */
#include <string.h>

#include "tims/base.h"

tims_str tims_str_from(const char *terminated)
{
    return terminated == NULL ? (tims_str){ NULL, 0 } : (tims_str){ terminated, strlen(terminated) };
}

bool tims_str_equal(tims_str a, tims_str b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

bool tims_str_equal_ignoring_case(tims_str a, tims_str b)
{
    if (a.length != b.length)
        return false;
    for (size_t i = 0; i < a.length; i++)
        if (lower((unsigned char)a.data[i]) != lower((unsigned char)b.data[i]))
            return false;
    return true;
}

bool tims_str_starts_with(tims_str s, tims_str prefix)
{
    return s.length >= prefix.length && tims_str_equal((tims_str){ s.data, prefix.length }, prefix);
}

bool tims_str_ends_with(tims_str s, tims_str suffix)
{
    return s.length >= suffix.length &&
           tims_str_equal(tims_str_slice(s, s.length - suffix.length, s.length), suffix);
}

int tims_str_compare(tims_str a, tims_str b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
    if (order != 0)
        return order;
    return a.length < b.length ? -1 : a.length > b.length;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

tims_str tims_str_trim(tims_str s)
{
    while (s.length > 0 && is_space(s.data[0])) {
        s.data++;
        s.length--;
    }
    while (s.length > 0 && is_space(s.data[s.length - 1]))
        s.length--;
    return s;
}

tims_str tims_str_slice(tims_str s, size_t from, size_t to)
{
    if (to > s.length)
        to = s.length;
    if (from >= to)
        return (tims_str){ s.data, 0 };
    return (tims_str){ s.data + from, to - from };
}

size_t tims_str_find(tims_str s, tims_str needle)
{
    if (needle.length == 0)
        return 0;
    if (s.length < needle.length)
        return SIZE_MAX;
    const char *at = memmem(s.data, s.length, needle.data, needle.length);
    return at == NULL ? SIZE_MAX : (size_t)(at - s.data);
}

tims_str tims_str_cut(tims_str *rest, char separator)
{
    tims_str whole = *rest;
    const char *at = whole.length == 0 ? NULL : memchr(whole.data, separator, whole.length);
    if (at == NULL) {
        *rest = (tims_str){ NULL, 0 };
        return whole;
    }
    size_t before = (size_t)(at - whole.data);
    *rest = (tims_str){ at + 1, whole.length - before - 1 };
    return (tims_str){ whole.data, before };
}

bool tims_str_to_int(tims_str s, int64_t min, int64_t max, int64_t *ret_value)
{
    bool negative = s.length > 0 && s.data[0] == '-';
    size_t at = negative ? 1 : 0;
    int64_t value = 0;
    if (at == s.length)
        return false;
    for (; at < s.length; at++) {
        if (s.data[at] < '0' || s.data[at] > '9')
            return false;
        int digit = s.data[at] - '0';
        if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, (int64_t)(negative ? -digit : digit), &value))
            return false;
    }
    if (value < min || value > max)
        return false;
    *ret_value = value;
    return true;
}

/* Length of the well-formed sequence at `s`, 0 if there is none. */
static size_t utf8_sequence(const unsigned char *s, size_t left)
{
    unsigned char c = s[0];
    if (c < 0x80)
        return 1;
    size_t length = c >= 0xc2 && c < 0xe0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
    if (length == 0 || left < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (c == 0xe0 && s[1] < 0xa0) || (c == 0xf0 && s[1] < 0x90);
    bool surrogate = c == 0xed && s[1] >= 0xa0;
    bool beyond = c == 0xf4 && s[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : length;
}

bool tims_str_is_utf8(tims_str s)
{
    const unsigned char *at = (const unsigned char *)s.data;
    size_t left = s.length;
    while (left > 0) {
        uint64_t word;
        if (left >= 8 && (memcpy(&word, at, 8), (word & 0x8080808080808080u) == 0)) {
            at += 8;
            left -= 8;
            continue;
        }
        size_t length = utf8_sequence(at, left);
        if (length == 0)
            return false;
        at += length;
        left -= length;
    }
    return true;
}

size_t tims_str_count_codepoints(tims_str s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.length; i++)
        count += ((unsigned char)s.data[i] & 0xc0) != 0x80;
    return count;
}

bool tims_names_contain(tims_names names, tims_str name)
{
    for (size_t i = 0; i < names.count; i++)
        if (tims_str_equal(tims_str_from(names.items[i]), name))
            return true;
    return false;
}
