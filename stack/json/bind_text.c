/* bind_text: one value from text: query strings, path parameters, forms, defaults. The same rules as for
 * JSON. */
#include "json/json_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void tims_error_field(tims_arena *arena, tims_error *err, tims_str pointer, const char *code,
                      const char *format, ...)
{
    if (err == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    tims_field_error *entry = TIMS_NEW(arena, tims_field_error);
    entry->pointer = pointer;
    entry->code = code;
    entry->message = tims_print_v(arena, format, arguments);
    va_end(arguments);
    if (err->fields == NULL)
        (void)tims_fail(err, TIMS_INVALID, "invalid", "%s", tims_status_text(TIMS_INVALID));
    tims_field_error **end = &err->fields;
    while (*end != NULL)
        end = &(*end)->next;
    *end = entry;
}

static bool parse_bool(tims_str text, bool *ret_value, json__complaint *complaint)
{
    bool yes = tims_str_equal(text, TIMS_STR("true")) || tims_str_equal(text, TIMS_STR("1"));
    bool no = tims_str_equal(text, TIMS_STR("false")) || tims_str_equal(text, TIMS_STR("0"));
    if (!yes && !no)
        return json__complain(complaint, "type", "Must be true or false.");
    *ret_value = yes;
    return true;
}

static bool parse_int(const tims_field *field, tims_str text, int64_t *ret_value, json__complaint *complaint)
{
    int64_t value;
    if (!tims_str_to_int(text, INT64_MIN, INT64_MAX, &value))
        return json__complain(complaint, "type", "Must be a whole number.");
    if (!json__check_int(field, value, complaint))
        return false;
    *ret_value = value;
    return true;
}

static bool parse_double(const tims_field *field, tims_str text, double *ret_value,
                         json__complaint *complaint)
{
    char copy[64];
    bool plain = text.length > 0 && text.length < sizeof(copy);
    for (size_t i = 0; plain && i < text.length; i++)
        plain = text.data[i] != '\0' && strchr("0123456789+-.eE", text.data[i]) != NULL;
    if (!plain)
        return json__complain(complaint, "type", "Must be a number.");
    memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    char *end;
    double value = strtod(copy, &end);
    if (end != copy + text.length || !isfinite(value))
        return json__complain(complaint, "type", "Must be a number.");
    if (!json__check_double(field, value, complaint))
        return false;
    *ret_value = value;
    return true;
}

static bool parse_str(tims_arena *arena, const tims_field *field, tims_str text, tims_str *ret_value,
                      json__complaint *complaint)
{
    if (!tims_str_is_utf8(text) || (text.length > 0 && memchr(text.data, '\0', text.length) != NULL))
        return json__complain(complaint, "encoding", "Must be UTF-8 text without NUL.");
    if (!json__check_str(field, text, complaint))
        return false;
    *ret_value = tims_copy(arena, text);
    return true;
}

static bool parse_id(tims_str text, tims_id *ret_value, json__complaint *complaint)
{
    if (!tims_id_parse(text, ret_value))
        return json__complain(complaint, "id", "Is not an id (8-4-4-4-12 hexadecimal digits).");
    return true;
}

static bool parse_time(tims_str text, tims_time *ret_value, json__complaint *complaint)
{
    if (!tims_time_parse(text, ret_value))
        return json__complain(complaint, "time", "Is not a time like 2026-11-23T20:37:18Z.");
    return true;
}

static bool parse_json(tims_arena *arena, tims_str text, tims_json_text *ret_value,
                       json__complaint *complaint)
{
    const tims_json *value;
    if (tims_json_parse(arena, text, &value, NULL) != TIMS_OK)
        return json__complain(complaint, "type", "Must be JSON.");
    ret_value->text = tims_json_to_text(arena, value);
    return true;
}

static bool parse_optional(tims_arena *arena, const tims_field *field, tims_str text, void *member,
                           json__complaint *complaint)
{
    switch (field->kind) {
#define OPTIONAL(type, call)              \
    {                                     \
        type fresh = { .present = true }; \
        if (!(call))                      \
            return false;                 \
        *(type *)member = fresh;          \
        return true;                      \
    }
    case TIMS_KIND_OPT_BOOL:
        OPTIONAL(tims_opt_bool, parse_bool(text, &fresh.value, complaint))
    case TIMS_KIND_OPT_INT:
        OPTIONAL(tims_opt_int, parse_int(field, text, &fresh.value, complaint))
    case TIMS_KIND_OPT_DOUBLE:
        OPTIONAL(tims_opt_double, parse_double(field, text, &fresh.value, complaint))
    case TIMS_KIND_OPT_STR:
        OPTIONAL(tims_opt_str, parse_str(arena, field, text, &fresh.value, complaint))
    case TIMS_KIND_OPT_ID:
        OPTIONAL(tims_opt_id, parse_id(text, &fresh.value, complaint))
    case TIMS_KIND_OPT_TIME:
        OPTIONAL(tims_opt_time, parse_time(text, &fresh.value, complaint))
    case TIMS_KIND_OPT_DECIMAL:
        OPTIONAL(tims_opt_decimal, json__read_decimal(field, text, &fresh.value, complaint))
    case TIMS_KIND_OPT_BYTES:
        OPTIONAL(tims_opt_bytes, json__read_bytes(arena, field, text, &fresh.value, complaint))
#undef OPTIONAL
    default:
        return json__complain(complaint, "type", "Lists cannot be written as text.");
    }
}

static bool parse_value(tims_arena *arena, const tims_field *field, tims_str text, void *member,
                        json__complaint *complaint)
{
    switch (field->kind) {
    case TIMS_KIND_BOOL:
        return parse_bool(text, member, complaint);
    case TIMS_KIND_INT:
        return parse_int(field, text, member, complaint);
    case TIMS_KIND_DOUBLE:
        return parse_double(field, text, member, complaint);
    case TIMS_KIND_STR:
        return parse_str(arena, field, text, member, complaint);
    case TIMS_KIND_ID:
        return parse_id(text, member, complaint);
    case TIMS_KIND_TIME:
        return parse_time(text, member, complaint);
    case TIMS_KIND_JSON:
        return parse_json(arena, text, member, complaint);
    case TIMS_KIND_DECIMAL:
        return json__read_decimal(field, text, member, complaint);
    case TIMS_KIND_BYTES:
        return json__read_bytes(arena, field, text, member, complaint);
    default:
        return parse_optional(arena, field, text, member, complaint);
    }
}

tims_status tims_bind_text(tims_arena *arena, const tims_field *field, tims_str text, void *ret_object,
                           tims_error *err)
{
    json__complaint complaint = { 0 };
    if (parse_value(arena, field, text, json__member(field, ret_object), &complaint))
        return TIMS_OK;
    tims_error_field(arena, err, tims_print(arena, "/%s", field->name), complaint.code, "%s",
                     complaint.message);
    return TIMS_INVALID;
}
