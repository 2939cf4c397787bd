/* scan.c: see scan.h. */
#include "tasks/celery/scan.h"

#include <string.h>

enum { DEPTH_MAX = 12, DIGITS_MAX = 18, VALUES_MAX = 20000 };

typedef struct scanner {
    const char *at, *end;
    int depth;
    size_t values;
} scanner;

static bool scan_value(scanner *s, tims_str *ret_value);

static void skip_space(scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
        s->at++;
}

static bool take(scanner *s, char c)
{
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

/* --- plain values ------------------------------------------------------------------------------------------------ */

/* At its quote. No \u: what it stands for may be half a character, or NUL. */
static bool scan_string(scanner *s)
{
    s->at++;
    while (s->at < s->end && *s->at != '"') {
        if ((unsigned char)*s->at < 0x20)
            return false;
        if (*s->at == '\\' && (++s->at == s->end || strchr("\"\\/bfnrt", *s->at) == NULL || *s->at == '\0'))
            return false;
        s->at++;
    }
    return take(s, '"');
}

static size_t skip_digits(scanner *s)
{
    const char *from = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return (size_t)(s->at - from);
}

static bool scan_number(scanner *s)
{
    (void)take(s, '-');
    const char *first = s->at;
    size_t digits = skip_digits(s);
    if (digits == 0 || digits > DIGITS_MAX || (digits > 1 && *first == '0'))
        return false;
    if (!take(s, '.'))
        return s->at == s->end || (*s->at != 'e' && *s->at != 'E');
    digits = skip_digits(s);
    return digits > 0 && digits <= DIGITS_MAX && (s->at == s->end || (*s->at != 'e' && *s->at != 'E'));
}

static bool scan_word(scanner *s, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(s->end - s->at) < length || memcmp(s->at, word, length) != 0)
        return false;
    s->at += length;
    return true;
}

/* --- containers --------------------------------------------------------------------------------------------------- */

static bool is_new(const celery__scan *scan, tims_str key)
{
    for (size_t i = 0; i < scan->count; i++)
        if (tims_str_equal(scan->members[i].key, key))
            return false;
    return true;
}

static bool scan_key(scanner *s, tims_str *ret_key)
{
    const char *from = s->at + 1;
    if (s->at == s->end || *s->at != '"' || !scan_string(s))
        return false;
    *ret_key = (tims_str){ from, (size_t)(s->at - 1 - from) };
    if (memchr(from, '\\', ret_key->length) != NULL)
        return false;
    skip_space(s);
    return take(s, ':');
}

/* At its bracket. Of arrays that are only passed over, more members than there is room for are fine. */
static bool scan_container(scanner *s, celery__scan *scan, bool keeps)
{
    char close = *s->at == '{' ? '}' : ']';
    bool is_object = close == '}';
    s->at++;
    scan->count = 0;
    if (++s->depth > DEPTH_MAX)
        return false;
    skip_space(s);
    for (size_t number = 0; !take(s, close); number++) {
        celery__member member = { { 0 }, { 0 } };
        if (number > 0 && !take(s, ','))
            return false;
        skip_space(s);
        if (is_object && (!scan_key(s, &member.key) || !is_new(scan, member.key)))
            return false;
        if (!scan_value(s, &member.value))
            return false;
        if (is_object || keeps) {
            if (scan->count == CELERY__SCAN_MEMBERS)
                return false;
            scan->members[scan->count++] = member;
        }
    }
    s->depth--;
    return true;
}

/* With the space around it. */
static bool scan_value(scanner *s, tims_str *ret_value)
{
    celery__scan inner;
    skip_space(s);
    const char *from = s->at;
    bool is_fine;
    if (s->at == s->end || ++s->values > VALUES_MAX)
        return false;
    switch (*s->at) {
    case '"':
        is_fine = scan_string(s);
        break;
    case '{':
    case '[':
        is_fine = scan_container(s, &inner, false);
        break;
    case 't':
        is_fine = scan_word(s, "true");
        break;
    case 'f':
        is_fine = scan_word(s, "false");
        break;
    case 'n':
        is_fine = scan_word(s, "null");
        break;
    default:
        is_fine = scan_number(s);
        break;
    }
    *ret_value = (tims_str){ from, (size_t)(s->at - from) };
    skip_space(s);
    return is_fine;
}

static bool scan_all(tims_str text, char open, celery__scan *ret_scan)
{
    scanner s = { .at = text.data, .end = text.data + text.length };
    if (text.length > CELERY__SCAN_BYTES_MAX)
        return false;
    skip_space(&s);
    if (s.at == s.end || *s.at != open || !scan_container(&s, ret_scan, true))
        return false;
    skip_space(&s);
    return s.at == s.end;
}

bool celery__scan_object(tims_str text, celery__scan *ret_scan)
{
    return scan_all(text, '{', ret_scan);
}

bool celery__scan_array(tims_str text, celery__scan *ret_scan)
{
    return scan_all(text, '[', ret_scan);
}

/* --- members -------------------------------------------------------------------------------------------------------- */

const celery__member *celery__scan_get(const celery__scan *scan, tims_str key)
{
    for (size_t i = 0; i < scan->count; i++)
        if (tims_str_equal(scan->members[i].key, key))
            return *scan->members[i].value.data == 'n' ? NULL : &scan->members[i];
    return NULL;
}

bool celery__scan_str(const celery__scan *scan, tims_str key, tims_str *value)
{
    const celery__member *member = celery__scan_get(scan, key);
    if (member == NULL)
        return true;
    tims_str text = member->value;
    if (*text.data != '"' || memchr(text.data, '\\', text.length) != NULL)
        return false;
    *value = tims_str_slice(text, 1, text.length - 1);
    return true;
}

bool celery__scan_opt_str(const celery__scan *scan, tims_str key, tims_opt_str *value)
{
    value->present = celery__scan_get(scan, key) != NULL;
    return celery__scan_str(scan, key, &value->value);
}

bool celery__scan_int(const celery__scan *scan, tims_str key, int64_t *value)
{
    const celery__member *member = celery__scan_get(scan, key);
    return member == NULL || tims_str_to_int(member->value, INT64_MIN, INT64_MAX, value);
}

bool celery__scan_bool(const celery__scan *scan, tims_str key, bool *value)
{
    const celery__member *member = celery__scan_get(scan, key);
    if (member != NULL && *member->value.data != 't' && *member->value.data != 'f')
        return false;
    if (member != NULL)
        *value = *member->value.data == 't';
    return true;
}
