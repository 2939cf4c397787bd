/* json_write: JSON out, straight into a buffer. Hot path: every list and every live change goes through here.
 *
 * Strings are scanned 16 bytes at a time (8 without SSE2) for what needs care: control bytes, quotes,
 * backslashes and anything beyond ASCII, which is checked as UTF-8 so that a broken row cannot break a
 * client's parser. What needs no care is copied in one piece. Numbers, ids and times are formatted in place;
 * nothing here calls printf except for fractions. A buffer that is full stays `overflow` and the bytes are
 * dropped, so no call needs checking. */
#include "json/json_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static inline bool make_room(tims_buf *out, size_t bytes)
{
    return TIMS_LIKELY(out->capacity - out->length >= bytes) || tims_buf_reserve(out, bytes);
}

static inline void put_char(tims_buf *out, char c)
{
    if (make_room(out, 1))
        out->data[out->length++] = c;
}

static inline void put_bytes(tims_buf *out, const char *data, size_t length)
{
    if (length > 0 && make_room(out, length)) {
        memcpy(out->data + out->length, data, length);
        out->length += length;
    }
}

/* --- strings ---------------------------------------------------------------------------------- */

/* How many leading bytes are plain: ASCII from 0x20 on, without quote and backslash. */
static size_t count_plain(const char *data, size_t length)
{
    size_t i = 0;
#if defined(__SSE2__)
    const __m128i space = _mm_set1_epi8(0x20), quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    for (; i + 16 <= length; i += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(data + i));
        /* The signed comparison finds control bytes and everything from 0x80 on at once. */
        __m128i odd =
            _mm_or_si128(_mm_cmplt_epi8(bytes, space),
                         _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
        int mask = _mm_movemask_epi8(odd);
        if (mask != 0)
            return i + (size_t)__builtin_ctz((unsigned)mask);
    }
#else
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    for (; i + 8 <= length; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, 8);
        uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\');
        uint64_t odd = (word - ones * 0x20) | word | (quote - ones) | (backslash - ones);
        if ((odd & highs) != 0) /* may be a false alarm; the loop below looks at each byte */
            break;
    }
#endif
    for (; i < length; i++) {
        unsigned char c = (unsigned char)data[i];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            break;
    }
    return i;
}

static inline bool is_continuation(const unsigned char *s)
{
    return (*s & 0xc0) == 0x80;
}

/* The length of the well-formed UTF-8 sequence at `s` (no overlong forms, no surrogates), or 0. */
static size_t utf8_sequence(const unsigned char *s, size_t length)
{
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        return length >= 2 && is_continuation(s + 1) ? 2 : 0;
    if (s[0] >= 0xe0 && s[0] <= 0xef) {
        if (length < 3 || !is_continuation(s + 1) || !is_continuation(s + 2))
            return 0;
        return (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ? 0 : 3;
    }
    if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        if (length < 4 || !is_continuation(s + 1) || !is_continuation(s + 2) || !is_continuation(s + 3))
            return 0;
        return (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f) ? 0 : 4;
    }
    return 0;
}

/* Copies a run of bytes beyond ASCII; returns how many were taken. */
static size_t put_beyond_ascii(tims_buf *out, const char *data, size_t length)
{
    size_t i = 0, from = 0;
    while (i < length && (unsigned char)data[i] >= 0x80) {
        size_t sequence = utf8_sequence((const unsigned char *)data + i, length - i);
        if (sequence > 0) {
            i += sequence;
            continue;
        }
        put_bytes(out, data + from, i - from);
        put_bytes(out, "\xef\xbf\xbd", 3);
        from = ++i;
    }
    put_bytes(out, data + from, i - from);
    return i;
}

static void put_escaped_byte(tims_buf *out, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    char text[6] = { '\\', 0, '0', '0', 0, 0 };
    switch (c) {
    case '"':
    case '\\':
        text[1] = (char)c;
        break;
    case '\n':
        text[1] = 'n';
        break;
    case '\r':
        text[1] = 'r';
        break;
    case '\t':
        text[1] = 't';
        break;
    case '\b':
        text[1] = 'b';
        break;
    case '\f':
        text[1] = 'f';
        break;
    default:
        text[1] = 'u';
        text[4] = digits[c >> 4];
        text[5] = digits[c & 15];
        put_bytes(out, text, 6);
        return;
    }
    put_bytes(out, text, 2);
}

void tims_json_escape(tims_buf *out, tims_str value)
{
    if (!make_room(out, value.length + 2))
        return;
    put_char(out, '"');
    size_t i = 0;
    while (i < value.length) {
        size_t plain = count_plain(value.data + i, value.length - i);
        put_bytes(out, value.data + i, plain);
        i += plain;
        if (i == value.length)
            break;
        if ((unsigned char)value.data[i] >= 0x80)
            i += put_beyond_ascii(out, value.data + i, value.length - i);
        else
            put_escaped_byte(out, (unsigned char)value.data[i++]);
    }
    put_char(out, '"');
}

/* --- structure -------------------------------------------------------------------------------- */

static inline uint64_t depth_bit(const tims_json_writer *w)
{
    return (uint64_t)1 << (w->depth - 1);
}

/* Before a value or a key: the comma, if something stands before it in the same container. */
static inline void separate(tims_json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0)
        return;
    if (w->needs_comma & depth_bit(w))
        put_char(w->out, ',');
    w->needs_comma |= depth_bit(w);
}

static void begin_container(tims_json_writer *w, char bracket)
{
    separate(w);
    TIMS_ASSERT(w->depth < TIMS_JSON_DEPTH_MAX);
    put_char(w->out, bracket);
    w->depth++;
    w->needs_comma &= ~depth_bit(w);
}

static void end_container(tims_json_writer *w, char bracket)
{
    TIMS_ASSERT(w->depth > 0 && !w->after_key);
    w->depth--;
    put_char(w->out, bracket);
}

void tims_json_begin_object(tims_json_writer *w)
{
    begin_container(w, '{');
}
void tims_json_end_object(tims_json_writer *w)
{
    end_container(w, '}');
}
void tims_json_begin_array(tims_json_writer *w)
{
    begin_container(w, '[');
}
void tims_json_end_array(tims_json_writer *w)
{
    end_container(w, ']');
}

void tims_json_key(tims_json_writer *w, tims_str name)
{
    TIMS_ASSERT(!w->after_key);
    separate(w);
    tims_json_escape(w->out, name);
    put_char(w->out, ':');
    w->after_key = true;
}

/* --- values ----------------------------------------------------------------------------------- */

void tims_json_str(tims_json_writer *w, tims_str value)
{
    separate(w);
    tims_json_escape(w->out, value);
}

/* Two digits at a time: a division costs more than a look-up. */
static void put_int(tims_buf *out, int64_t value)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
        "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
        "8081828384858687888990919293949596979899";
    char text[20];
    size_t at = sizeof(text);
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    for (; rest >= 100; rest /= 100)
        memcpy(text + (at -= 2), pairs + rest % 100 * 2, 2);
    if (rest >= 10)
        memcpy(text + (at -= 2), pairs + rest * 2, 2);
    else
        text[--at] = (char)('0' + rest);
    if (value < 0)
        text[--at] = '-';
    put_bytes(out, text + at, sizeof(text) - at);
}

void tims_json_int(tims_json_writer *w, int64_t value)
{
    separate(w);
    put_int(w->out, value);
}

void tims_json_double(tims_json_writer *w, double value)
{
    separate(w);
    if (!isfinite(value)) {
        put_bytes(w->out, "null", 4);
        return;
    }
    if (value == 0 && signbit(value)) {
        put_bytes(w->out, "-0.0", 4);
        return;
    }
    if (fabs(value) < 1e15 && value == floor(value)) {
        put_int(w->out, (int64_t)value);
        return;
    }
    char text[32];
    int length = 0;
    for (int precision = 15; precision <= 17; precision++) { /* 17 digits always read back */
        length = snprintf(text, sizeof(text), "%.*g", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    put_bytes(w->out, text, (size_t)length);
}

void tims_json_bool(tims_json_writer *w, bool value)
{
    separate(w);
    put_bytes(w->out, value ? "true" : "false", value ? 4 : 5);
}

void tims_json_null(tims_json_writer *w)
{
    separate(w);
    put_bytes(w->out, "null", 4);
}

void tims_json_id(tims_json_writer *w, tims_id value)
{
    separate(w);
    if (!make_room(w->out, TIMS_ID_TEXT_LENGTH + 2))
        return;
    char *at = w->out->data + w->out->length;
    at[0] = '"';
    tims_id_format(value, at + 1);
    at[TIMS_ID_TEXT_LENGTH + 1] = '"';
    w->out->length += TIMS_ID_TEXT_LENGTH + 2;
}

void tims_json_time(tims_json_writer *w, tims_time value)
{
    separate(w);
    if (!make_room(w->out, TIMS_TIME_TEXT_LENGTH + 2))
        return;
    char *at = w->out->data + w->out->length;
    at[0] = '"';
    tims_time_format(value, at + 1);
    at[TIMS_TIME_TEXT_LENGTH + 1] = '"';
    w->out->length += TIMS_TIME_TEXT_LENGTH + 2;
}

void tims_json_decimal(tims_json_writer *w, tims_decimal value, uint8_t scale)
{
    char text[TIMS_DECIMAL_TEXT_MAX];
    separate(w);
    tims_buf_append_char(w->out, '"');
    tims_buf_append_str(w->out, tims_decimal_format(value.units, scale, text));
    tims_buf_append_char(w->out, '"');
}

void tims_json_bytes(tims_json_writer *w, tims_str value)
{
    separate(w);
    tims_buf_append_char(w->out, '"');
    tims_base64_append(w->out, value);
    tims_buf_append_char(w->out, '"');
}

void tims_json_raw(tims_json_writer *w, tims_str json)
{
    separate(w);
    put_bytes(w->out, json.data, json.length);
}
