/* buf.c: bytes that grow up to a maximum, on the heap or in an arena; and the printf that knows tims_str.
 *
 * A heap buffer keeps one spare byte behind its capacity, for a terminator. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tims/base.h"

enum { FIRST_CAPACITY = 256 };

void tims_buf_init(tims_buf *buf, tims_arena *arena, size_t max_bytes)
{
    *buf = (tims_buf){ .arena = arena, .max = max_bytes };
}

void tims_buf_free(tims_buf *buf)
{
    if (buf->arena == NULL)
        free(buf->data);
    *buf = (tims_buf){ .arena = buf->arena, .max = buf->max };
}

static void grow(tims_buf *buf, size_t capacity)
{
    char *data;
    if (buf->arena == NULL) {
        data = realloc(buf->data, capacity + 1);
        TIMS_ASSERT(data != NULL);
    } else {
        data = tims_alloc_raw(buf->arena, capacity + 1);
        if (buf->length > 0)
            memcpy(data, buf->data, buf->length);
    }
    buf->data = data;
    buf->capacity = capacity;
}

bool tims_buf_reserve(tims_buf *buf, size_t bytes)
{
    if (TIMS_LIKELY(bytes <= buf->capacity - buf->length))
        return true;
    if (bytes > buf->max - buf->length) {
        buf->overflow = true;
        return false;
    }
    size_t needed = buf->length + bytes;
    size_t doubled = buf->capacity < FIRST_CAPACITY / 2 ? FIRST_CAPACITY : buf->capacity * 2;
    size_t capacity = doubled > needed ? doubled : needed;
    grow(buf, capacity < buf->max ? capacity : buf->max);
    return true;
}

void tims_buf_append(tims_buf *buf, const void *data, size_t length)
{
    if (length == 0 || !tims_buf_reserve(buf, length))
        return;
    memcpy(buf->data + buf->length, data, length);
    buf->length += length;
}

void tims_buf_append_str(tims_buf *buf, tims_str s)
{
    tims_buf_append(buf, s.data, s.length);
}

void tims_buf_append_char(tims_buf *buf, char c)
{
    if (tims_buf_reserve(buf, 1))
        buf->data[buf->length++] = c;
}

static void append_unsigned(tims_buf *buf, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    tims_buf_append(buf, digits + at, sizeof digits - at);
}

void tims_buf_append_int(tims_buf *buf, int64_t value)
{
    if (value < 0)
        tims_buf_append_char(buf, '-');
    append_unsigned(buf, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void tims_buf_consume(tims_buf *buf, size_t bytes)
{
    TIMS_ASSERT(bytes <= buf->length);
    buf->length -= bytes;
    if (buf->length > 0 && bytes > 0)
        memmove(buf->data, buf->data + bytes, buf->length);
}

/* --- printf with %S --------------------------------------------------------------------------- */

typedef struct argument_source {
    va_list list;
} argument_source; /* so that helpers advance one list */

/* A conversion as printf would write it, e.g. "%-8.3" plus its length and letter. */
typedef struct conversion {
    char text[24];
    size_t length;
    int longs;    /* number of 'l'; 3 for 'z', 'j', 't' */
    bool bounded; /* ".*": how many bytes of the text is an argument (TIMS_PRINT) */
    char letter;
} conversion;

static const char *read_conversion(const char *at, conversion *ret)
{
    *ret = (conversion){ .text = "%", .length = 1 };
    while (*at != '\0' && strchr("-+ #0123456789.", *at) != NULL && ret->length < 16) {
        ret->bounded = at[0] == '.' && at[1] == '*';
        if (ret->bounded)
            break;
        ret->text[ret->length++] = *at++;
    }
    at += ret->bounded ? 2 : 0;
    while (*at == 'l' || *at == 'z' || *at == 'j' || *at == 't' || *at == 'h') {
        ret->longs = *at == 'l' ? ret->longs + 1 : *at == 'h' ? 0 : 3;
        at++;
    }
    ret->letter = *at;
    return *at == '\0' ? at : at + 1;
}

/* With flags or another base: by the C library. */
static void print_formatted(tims_buf *buf, const conversion *c, long long value)
{
    char format[32], out[64];
    (void)snprintf(format, sizeof format, "%sll%c", c->text, c->letter);
    int length = snprintf(out, sizeof out, format, value);
    tims_buf_append(buf, out, (size_t)length < sizeof out ? (size_t)length : sizeof out - 1);
}

static void print_number(tims_buf *buf, const conversion *c, argument_source *arguments)
{
    bool is_plain = c->length == 1; /* "%" and no more */
    if (c->letter == 'd' || c->letter == 'i') {
        long long value = c->longs == 0 ? va_arg(arguments->list, int) : va_arg(arguments->list, long long);
        if (is_plain)
            tims_buf_append_int(buf, value);
        else
            print_formatted(buf, c, value);
        return;
    }
    unsigned long long value =
        c->longs == 0 ? va_arg(arguments->list, unsigned) : va_arg(arguments->list, unsigned long long);
    if (is_plain && c->letter == 'u')
        append_unsigned(buf, value);
    else
        print_formatted(buf, c, (long long)value);
}

static void print_double(tims_buf *buf, const conversion *c, argument_source *arguments)
{
    char format[32], out[512];
    (void)snprintf(format, sizeof format, "%s%c", c->text, c->letter);
    int length = snprintf(out, sizeof out, format, va_arg(arguments->list, double));
    tims_buf_append(buf, out, (size_t)length < sizeof out ? (size_t)length : sizeof out - 1);
}

/* %s and %S with an optional "-width" or "width". */
static void print_text(tims_buf *buf, const conversion *c, tims_str text)
{
    int64_t width = 0;
    bool left = c->length > 1 && c->text[1] == '-';
    tims_str digits = { c->text + (left ? 2 : 1), c->length - (left ? 2 : 1) };
    if (digits.length > 0 && !tims_str_to_int(digits, 0, 1000, &width))
        width = 0;
    size_t padding = (size_t)width > text.length ? (size_t)width - text.length : 0;
    for (size_t i = 0; !left && i < padding; i++)
        tims_buf_append_char(buf, ' ');
    tims_buf_append_str(buf, text);
    for (size_t i = 0; left && i < padding; i++)
        tims_buf_append_char(buf, ' ');
}

static void append_url_encoded(tims_buf *buf, tims_str text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '.' || c == '_' || c == '~';
        if (plain)
            tims_buf_append_char(buf, (char)c);
        else
            tims_buf_append(buf, (const char[]){ '%', digits[c >> 4], digits[c & 15] }, 3);
    }
}

/* "%.*s" reads at most so many bytes, which need no terminator behind them. */
static tims_str take_text(const conversion *c, argument_source *arguments)
{
    int most = c->bounded ? va_arg(arguments->list, int) : -1;
    const char *text = va_arg(arguments->list, const char *);
    if (most < 0)
        return tims_str_from(text);
    return (tims_str){ text, text != NULL ? strnlen(text, (size_t)most) : 0 };
}

static void print_id(tims_buf *buf, tims_id id)
{
    char text[TIMS_ID_TEXT_LENGTH];
    tims_id_format(id, text);
    tims_buf_append(buf, text, sizeof text);
}

static void print_one(tims_buf *buf, const conversion *c, argument_source *arguments)
{
    switch (c->letter) {
    case '%':
        tims_buf_append_char(buf, '%');
        break;
    case 'S':
        print_text(buf, c, va_arg(arguments->list, tims_str));
        break;
    case 'I':
        print_id(buf, va_arg(arguments->list, tims_id));
        break;
    case 's':
        print_text(buf, c, take_text(c, arguments));
        break;
    case 'c':
        tims_buf_append_char(buf, (char)va_arg(arguments->list, int));
        break;
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        print_number(buf, c, arguments);
        break;
    case 'f':
    case 'g':
    case 'e':
        print_double(buf, c, arguments);
        break;
    default:
        TIMS_UNREACHABLE("a conversion that tims_buf_print does not know");
    }
}

static void print_all(tims_buf *buf, const char *format, argument_source *arguments, bool encode)
{
    for (const char *at = format; *at != '\0';) {
        const char *percent = strchrnul(at, '%');
        tims_buf_append(buf, at, (size_t)(percent - at));
        if (*percent == '\0')
            break;
        conversion c;
        at = read_conversion(percent + 1, &c);
        if (encode && c.letter == 'S')
            append_url_encoded(buf, va_arg(arguments->list, tims_str));
        else if (encode && c.letter == 's')
            append_url_encoded(buf, take_text(&c, arguments));
        else
            print_one(buf, &c, arguments);
    }
}

void tims_buf_print_v(tims_buf *buf, const char *format, va_list arguments)
{
    argument_source source;
    va_copy(source.list, arguments);
    print_all(buf, format, &source, false);
    va_end(source.list);
}

void tims_buf_print_url_v(tims_buf *buf, const char *format, va_list arguments)
{
    argument_source source;
    va_copy(source.list, arguments);
    print_all(buf, format, &source, true);
    va_end(source.list);
}

void tims_buf_print(tims_buf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tims_buf_print_v(buf, format, arguments);
    va_end(arguments);
}
