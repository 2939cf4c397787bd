/* text.h: JSON by hand, and what is cut out of a request. */
#ifndef LIMIT_TEXT_H
#define LIMIT_TEXT_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "limit.h"

enum { ID_LENGTH = 36, TOKEN_LENGTH = 43 };

static inline char *append(char *at, const void *data, size_t length)
{
    memcpy(at, data, length);
    return at + length;
}
#define APPEND(at, literal) append(at, literal, sizeof literal - 1)

/* Escapes what JSON must have escaped; runs without any are copied whole. */
static inline char *append_string(char *at, const char *text, size_t length)
{
    size_t copied = 0;
    *at++ = '"';
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        at = append(at, text + copied, i - copied);
        at += c < 0x20 ? sprintf(at, "\\u%04x", c) : sprintf(at, "\\%c", c);
        copied = i + 1;
    }
    at = append(at, text + copied, length - copied);
    *at++ = '"';
    return at;
}

static inline char *append_number(char *at, int64_t number)
{
    char digits[24], *first = digits + sizeof digits;
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do
        *--first = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (number < 0)
        *--first = '-';
    return append(at, first, (size_t)(digits + sizeof digits - first));
}

static inline char *append_digits(char *at, unsigned number, int count)
{
    for (int i = count - 1; i >= 0; i--, number /= 10)
        at[i] = (char)('0' + number % 10);
    return at + count;
}

/* Days to a civil date: years begin in March, so that the leap day is the last. */
static inline char *append_time(char *at, int64_t us)
{
    int64_t seconds = us / 1000000, days = seconds / 86400 + 719468;
    unsigned second = (unsigned)(seconds % 86400), era = (unsigned)(days / 146097),
             day = (unsigned)(days % 146097);
    unsigned year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    unsigned in_year = day - (365 * year + year / 4 - year / 100), month = (5 * in_year + 2) / 153;
    at = append_digits(APPEND(at, "\""), year + era * 400 + (month >= 10), 4);
    at = append_digits(APPEND(at, "-"), month < 10 ? month + 3 : month - 9, 2);
    at = append_digits(APPEND(at, "-"), in_year - (153 * month + 2) / 5 + 1, 2);
    at = append_digits(APPEND(at, "T"), second / 3600, 2);
    at = append_digits(APPEND(at, ":"), second / 60 % 60, 2);
    at = append_digits(APPEND(at, ":"), second % 60, 2);
    at = append_digits(APPEND(at, "."), (unsigned)(us % 1000000), 6);
    return APPEND(at, "Z\"");
}

static inline size_t with_head(char *output, const char *status, const char *body, size_t length)
{
    size_t head = limit_head(output, status, length);
    memcpy(output + head, body, length);
    return head + length;
}

/* What stands behind `key` in a request, as it is there. */
static inline const char *find_after(const char *request, size_t length, const char *key)
{
    const char *found = memmem(request, length, key, strlen(key));
    return found != NULL ? found + strlen(key) : NULL;
}

/* The value of a string member of a small flat JSON body. */
static inline size_t find_member(const char *request, size_t length, const char *key, const char **ret_value)
{
    const char *at = find_after(request, length, key);
    *ret_value = at;
    return (size_t)((const char *)memchr(at, '"', (size_t)(request + length - at)) - at);
}

#endif
