/* field: rows of descriptors and the rules they state for a value.
 *
 * The rules are asked by whoever reads a value: from JSON (json_bind.c) and from text (bind_text.c). Each
 * check answers with a code for programs and a sentence for people. */
#include "json/json_internal.h"

#include <stdio.h>
#include <string.h>

const tims_field *tims_field_find(tims_fields fields, tims_str name)
{
    for (size_t i = 0; i < fields.count; i++)
        if (tims_str_equal(tims_str_from(fields.items[i].name), name))
            return &fields.items[i];
    return NULL;
}

size_t tims_field_index(tims_fields fields, const tims_field *field)
{
    TIMS_ASSERT(field >= fields.items && field < fields.items + fields.count);
    return (size_t)(field - fields.items);
}

bool tims_kind_is_optional(tims_kind kind)
{
    return kind >= TIMS_KIND_OPT_BOOL && kind <= TIMS_KIND_OPT_BYTES;
}

tims_kind tims_kind_base(tims_kind kind)
{
    switch (kind) {
    case TIMS_KIND_OPT_BOOL:
        return TIMS_KIND_BOOL;
    case TIMS_KIND_OPT_INT:
        return TIMS_KIND_INT;
    case TIMS_KIND_OPT_DOUBLE:
        return TIMS_KIND_DOUBLE;
    case TIMS_KIND_OPT_STR:
        return TIMS_KIND_STR;
    case TIMS_KIND_OPT_ID:
        return TIMS_KIND_ID;
    case TIMS_KIND_OPT_TIME:
        return TIMS_KIND_TIME;
    case TIMS_KIND_OPT_DECIMAL:
        return TIMS_KIND_DECIMAL;
    case TIMS_KIND_OPT_BYTES:
        return TIMS_KIND_BYTES;
    default:
        return kind;
    }
}

void json__append_pointer(tims_buf *out, tims_str name)
{
    enum { SHOWN_MAX = JSON__POINTER_PART_MAX / 2 };
    size_t length = name.length;
    if (length > SHOWN_MAX)
        for (length = SHOWN_MAX; length > 0 && ((unsigned char)name.data[length] & 0xc0) == 0x80; length--)
            ;
    tims_buf_append_char(out, '/');
    for (size_t i = 0; i < length; i++) {
        if (name.data[i] == '~')
            tims_buf_append(out, "~0", 2);
        else if (name.data[i] == '/')
            tims_buf_append(out, "~1", 2);
        else
            tims_buf_append_char(out, name.data[i]);
    }
}

bool json__complain(json__complaint *complaint, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complaint->code = code;
    (void)vsnprintf(complaint->message, sizeof(complaint->message), format, arguments);
    va_end(arguments);
    return false;
}

bool json__check_int(const tims_field *field, int64_t value, json__complaint *complaint)
{
    if (tims_field_has_min(field) && value < field->min)
        return json__complain(complaint, "min", "Must be at least %lld.", (long long)field->min);
    if (tims_field_has_max(field) && value > field->max)
        return json__complain(complaint, "max", "Must be at most %lld.", (long long)field->max);
    return true;
}

bool json__check_double(const tims_field *field, double value, json__complaint *complaint)
{
    if (tims_field_has_min(field) && value < (double)field->min)
        return json__complain(complaint, "min", "Must be at least %lld.", (long long)field->min);
    if (tims_field_has_max(field) && value > (double)field->max)
        return json__complain(complaint, "max", "Must be at most %lld.", (long long)field->max);
    return true;
}

static bool check_length(const tims_field *field, size_t length, const char *unit, json__complaint *complaint)
{
    uint32_t max = field->max_length != 0 ? field->max_length : JSON__LENGTH_MAX_DEFAULT;
    if (length > max)
        return json__complain(complaint, "max_length", "Must have at most %u %s; it has %zu.", max, unit,
                              length);
    if (length < field->min_length)
        return json__complain(complaint, "min_length", "Must have at least %u %s.", field->min_length, unit);
    return true;
}

/* A bound in units; beyond all values when it is beyond them. */
static int64_t bound_units(int64_t bound, uint8_t scale)
{
    int64_t units = bound;
    for (uint8_t i = 0; i < scale; i++)
        if (__builtin_mul_overflow(units, (int64_t)10, &units))
            return bound < 0 ? INT64_MIN : INT64_MAX;
    return units;
}

bool json__check_decimal(const tims_field *field, tims_decimal value, json__complaint *complaint)
{
    if (tims_field_has_min(field) && value.units < bound_units(field->min, field->scale))
        return json__complain(complaint, "min", "Must be at least %lld.", (long long)field->min);
    if (tims_field_has_max(field) && value.units > bound_units(field->max, field->scale))
        return json__complain(complaint, "max", "Must be at most %lld.", (long long)field->max);
    return true;
}

bool json__read_decimal(const tims_field *field, tims_str text, tims_decimal *ret_value,
                        json__complaint *complaint)
{
    tims_decimal value;
    switch (tims_decimal_parse(text, field->scale, &value.units)) {
    case TIMS_DECIMAL_FINE:
        break;
    case TIMS_DECIMAL_MALFORMED:
        return json__complain(complaint, "type", "Must be a decimal number like \"12.34\".");
    case TIMS_DECIMAL_TOO_FINE:
        return json__complain(complaint, "scale", "Must have at most %u digits behind the point.",
                              field->scale);
    case TIMS_DECIMAL_TOO_LARGE:
        return json__complain(complaint, "range", "Must have at most %u digits before the point.",
                              TIMS_DECIMAL_DIGITS - field->scale);
    }
    if (!json__check_decimal(field, value, complaint))
        return false;
    *ret_value = value;
    return true;
}

bool json__read_bytes(tims_arena *arena, const tims_field *field, tims_str text, tims_bytes *ret_value,
                      json__complaint *complaint)
{
    tims_str bytes;
    if (!tims_base64_decode(arena, text, &bytes))
        return json__complain(complaint, "base64", "Must be base64 (with padding).");
    if (field->required && bytes.length == 0)
        return json__complain(complaint, "required", "Must not be empty.");
    if (!check_length(field, bytes.length, "bytes", complaint))
        return false;
    ret_value->data = bytes;
    return true;
}

bool json__check_count(const tims_field *field, size_t count, json__complaint *complaint)
{
    if (field->required && count == 0)
        return json__complain(complaint, "required", "Must not be empty.");
    return check_length(field, count, "items", complaint);
}

bool json__check_str(const tims_field *field, tims_str value, json__complaint *complaint)
{
    if (field->required && value.length == 0)
        return json__complain(complaint, "required", "Must not be empty.");
    if (!check_length(field, tims_str_count_codepoints(value), "characters", complaint))
        return false;
    if (field->choices.count > 0 && !tims_names_contain(field->choices, value))
        return json__complain(complaint, "choice", "Is not one of the choices.");
    /* The zero value of a formatted field is the empty string: "not given". */
    if (field->format != NULL && value.length > 0 && !tims_format_matches(field->format, value))
        return json__complain(complaint, "format", "Is not a valid %s.", field->format);
    return true;
}
