/* json_bind: a JSON object into a struct, by its descriptor.
 *
 * One pass over the body's members, each looked up among the fields and checked against its rules; then one
 * over the fields for what is missing. All mistakes are collected (up to 32, so that a hostile body cannot
 * make a large answer), each with the JSON pointer of the value it is about, so that a form can show them
 * where they belong. */
#include "json/json_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct binding {
    tims_arena *arena;
    tims_fields fields;
    tims_bind_mode mode;
    char *object;
    tims_field_set present;
    tims_error *err;
    size_t error_count;
} binding;

/* --- complaints ------------------------------------------------------------------------------- */

static bool is_full(const binding *b)
{
    return b->error_count >= JSON__ERRORS_MAX;
}

static void add_error(binding *b, tims_str pointer, const char *code, const char *message)
{
    if (is_full(b))
        return;
    b->error_count++;
    tims_error_field(b->arena, b->err, pointer, code, "%s", message);
}

static tims_str pointer_to(tims_arena *arena, tims_str name)
{
    tims_buf out;
    tims_buf_init(&out, arena, JSON__POINTER_PART_MAX);
    json__append_pointer(&out, name);
    return tims_buf_str(&out);
}

static void add_field_error(binding *b, const tims_field *field, const char *code, const char *message)
{
    add_error(b, pointer_to(b->arena, tims_str_from(field->name)), code, message);
}

/* --- one value -------------------------------------------------------------------------------- */

static bool wants(json__complaint *complaint, const char *what)
{
    return json__complain(complaint, "type", "Must be %s.", what);
}

static bool read_int(const tims_field *field, const tims_json *value, int64_t *ret_value,
                     json__complaint *complaint)
{
    if (tims_json_type_of(value) != TIMS_JSON_INT)
        return wants(complaint, "a whole number");
    int64_t number = tims_json_as_int(value, 0);
    if (!json__check_int(field, number, complaint))
        return false;
    *ret_value = number;
    return true;
}

static bool read_double(const tims_field *field, const tims_json *value, double *ret_value,
                        json__complaint *complaint)
{
    if (tims_json_type_of(value) != TIMS_JSON_INT && tims_json_type_of(value) != TIMS_JSON_DOUBLE)
        return wants(complaint, "a number");
    double number = tims_json_as_double(value, 0);
    if (!json__check_double(field, number, complaint))
        return false;
    *ret_value = number;
    return true;
}

static bool read_bool(const tims_json *value, bool *ret_value, json__complaint *complaint)
{
    if (tims_json_type_of(value) != TIMS_JSON_BOOL)
        return wants(complaint, "true or false");
    *ret_value = tims_json_as_bool(value, false);
    return true;
}

static bool read_str(binding *b, const tims_field *field, const tims_json *value, tims_str *ret_value,
                     json__complaint *complaint)
{
    if (tims_json_type_of(value) != TIMS_JSON_STR)
        return wants(complaint, "a string");
    tims_str text = tims_json_as_str(value, TIMS_STR(""));
    if (!json__check_str(field, text, complaint))
        return false;
    *ret_value = tims_copy(b->arena, text);
    return true;
}

static bool read_id(const tims_json *value, tims_id *ret_value, json__complaint *complaint)
{
    tims_id id;
    if (tims_json_type_of(value) != TIMS_JSON_STR)
        return wants(complaint, "an id (a string)");
    if (!tims_id_parse(tims_json_as_str(value, TIMS_STR("")), &id) || tims_id_is_zero(id))
        return json__complain(complaint, "id", "Is not an id (8-4-4-4-12 hexadecimal digits).");
    *ret_value = id;
    return true;
}

static bool read_time(const tims_json *value, tims_time *ret_value, json__complaint *complaint)
{
    if (tims_json_type_of(value) != TIMS_JSON_STR)
        return wants(complaint, "a time (a string)");
    if (!tims_time_parse(tims_json_as_str(value, TIMS_STR("")), ret_value))
        return json__complain(complaint, "time", "Is not a time like 2026-11-23T20:37:18Z.");
    return true;
}

static bool read_json(binding *b, const tims_field *field, const tims_json *value, tims_json_text *ret_value,
                      json__complaint *complaint)
{
    uint32_t max = field->max_length != 0 ? field->max_length : JSON__LENGTH_MAX_DEFAULT;
    tims_str text = tims_json_to_text(b->arena, value);
    if (text.length > max)
        return json__complain(complaint, "max_length", "Must have at most %u bytes as JSON.", max);
    ret_value->text = text;
    return true;
}

/* A JSON number is a double to most who write it: it is taken when the double nearest to the decimal is it,
 * and no other decimal could have been meant. */
static bool read_number(const tims_field *field, double number, tims_decimal *ret_value,
                        json__complaint *complaint)
{
    static const double exact_max = 9007199254740992.0; /* 2^53 units */
    char text[64];
    int length = snprintf(text, sizeof text, "%.*f", field->scale, number);
    if (fabs(number) * pow(10, field->scale) >= exact_max || length >= (int)sizeof text)
        return wants(complaint, "a string: a number of so many digits is not exact");
    if (strtod(text, NULL) != number)
        return json__complain(complaint, "scale", "Must have at most %u digits behind the point.",
                              field->scale);
    return json__read_decimal(field, (tims_str){ text, (size_t)length }, ret_value, complaint);
}

static bool read_decimal(const tims_field *field, const tims_json *value, tims_decimal *ret_value,
                         json__complaint *complaint)
{
    char text[32];
    switch (tims_json_type_of(value)) {
    case TIMS_JSON_STR:
        return json__read_decimal(field, tims_json_as_str(value, TIMS_STR("")), ret_value, complaint);
    case TIMS_JSON_INT:
        (void)snprintf(text, sizeof text, "%lld", (long long)tims_json_as_int(value, 0));
        return json__read_decimal(field, tims_str_from(text), ret_value, complaint);
    case TIMS_JSON_DOUBLE:
        return read_number(field, tims_json_as_double(value, 0), ret_value, complaint);
    default:
        return wants(complaint, "a decimal number (a string like \"12.34\")");
    }
}

static bool read_bytes(binding *b, const tims_field *field, const tims_json *value, tims_bytes *ret_value,
                       json__complaint *complaint)
{
    if (tims_json_type_of(value) != TIMS_JSON_STR)
        return wants(complaint, "base64 (a string)");
    return json__read_bytes(b->arena, field, tims_json_as_str(value, TIMS_STR("")), ret_value, complaint);
}

static bool read_optional(binding *b, const tims_field *field, const tims_json *value, void *member,
                          json__complaint *complaint)
{
    bool is_null = tims_json_type_of(value) == TIMS_JSON_NULL;
    switch (field->kind) {
#define OPTIONAL(type, call)      \
    {                             \
        type *optional = member;  \
        type fresh = { 0 };       \
        if (!is_null && !(call))  \
            return false;         \
        fresh.present = !is_null; \
        *optional = fresh;        \
        return true;              \
    }
    case TIMS_KIND_OPT_BOOL:
        OPTIONAL(tims_opt_bool, read_bool(value, &fresh.value, complaint))
    case TIMS_KIND_OPT_INT:
        OPTIONAL(tims_opt_int, read_int(field, value, &fresh.value, complaint))
    case TIMS_KIND_OPT_DOUBLE:
        OPTIONAL(tims_opt_double, read_double(field, value, &fresh.value, complaint))
    case TIMS_KIND_OPT_STR:
        OPTIONAL(tims_opt_str, read_str(b, field, value, &fresh.value, complaint))
    case TIMS_KIND_OPT_ID:
        OPTIONAL(tims_opt_id, read_id(value, &fresh.value, complaint))
    case TIMS_KIND_OPT_TIME:
        OPTIONAL(tims_opt_time, read_time(value, &fresh.value, complaint))
    case TIMS_KIND_OPT_DECIMAL:
        OPTIONAL(tims_opt_decimal, read_decimal(field, value, &fresh.value, complaint))
    case TIMS_KIND_OPT_BYTES:
        OPTIONAL(tims_opt_bytes, read_bytes(b, field, value, &fresh.value, complaint))
#undef OPTIONAL
    default:
        TIMS_UNREACHABLE("not an optional kind");
    }
    return false;
}

/* --- lists ------------------------------------------------------------------------------------ */

/* A list's own rules, before anything is allocated for its items. */
static bool check_list(const tims_field *field, const tims_json *value, json__complaint *complaint)
{
    if (tims_json_type_of(value) != TIMS_JSON_ARRAY)
        return wants(complaint, "a list");
    return json__check_count(field, tims_json_count(value), complaint);
}

static void add_item_error(binding *b, const tims_field *field, size_t index,
                           const json__complaint *complaint)
{
    if (!is_full(b))
        add_error(b, tims_print(b->arena, "/%s/%zu", field->name, index), complaint->code,
                  complaint->message);
}

/* The rules of a list's items: its choices and format; its lengths are about the list. */
static tims_field item_rules(const tims_field *field)
{
    return (tims_field){
        .name = field->name, .kind = TIMS_KIND_STR, .choices = field->choices, .format = field->format
    };
}

static void bind_ids(binding *b, const tims_field *field, const tims_json *value, tims_ids *ret_ids)
{
    size_t count = tims_json_count(value);
    tims_ids ids = { TIMS_NEW_ARRAY(b->arena, tims_id, count), count };
    for (size_t i = 0; i < count && !is_full(b); i++) {
        json__complaint complaint = { 0 };
        if (!read_id(tims_json_at(value, i), &ids.items[i], &complaint))
            add_item_error(b, field, i, &complaint);
    }
    *ret_ids = ids;
}

static void bind_strs(binding *b, const tims_field *field, const tims_json *value, tims_strs *ret_strs)
{
    size_t count = tims_json_count(value);
    tims_strs strs = { TIMS_NEW_ARRAY(b->arena, tims_str, count), count };
    const tims_field rules = item_rules(field);
    for (size_t i = 0; i < count && !is_full(b); i++) {
        json__complaint complaint = { 0 };
        if (!read_str(b, &rules, tims_json_at(value, i), &strs.items[i], &complaint))
            add_item_error(b, field, i, &complaint);
    }
    *ret_strs = strs;
}

/* --- fields ----------------------------------------------------------------------------------- */

static bool bind_value(binding *b, const tims_field *field, const tims_json *value,
                       json__complaint *complaint)
{
    void *member = json__member(field, b->object);
    if (tims_kind_is_optional(field->kind))
        return read_optional(b, field, value, member, complaint);
    if (tims_json_type_of(value) == TIMS_JSON_NULL && field->kind != TIMS_KIND_JSON)
        return json__complain(complaint, "null", "Must not be null.");
    switch (field->kind) {
    case TIMS_KIND_BOOL:
        return read_bool(value, member, complaint);
    case TIMS_KIND_INT:
        return read_int(field, value, member, complaint);
    case TIMS_KIND_DOUBLE:
        return read_double(field, value, member, complaint);
    case TIMS_KIND_STR:
        return read_str(b, field, value, member, complaint);
    case TIMS_KIND_ID:
        return read_id(value, member, complaint);
    case TIMS_KIND_TIME:
        return read_time(value, member, complaint);
    case TIMS_KIND_JSON:
        return read_json(b, field, value, member, complaint);
    case TIMS_KIND_DECIMAL:
        return read_decimal(field, value, member, complaint);
    case TIMS_KIND_BYTES:
        return read_bytes(b, field, value, member, complaint);
    case TIMS_KIND_IDS:
        if (!check_list(field, value, complaint))
            return false;
        bind_ids(b, field, value, member);
        return true;
    case TIMS_KIND_STRS:
        if (!check_list(field, value, complaint))
            return false;
        bind_strs(b, field, value, member);
        return true;
    default:
        TIMS_UNREACHABLE("unknown kind");
    }
    return false;
}

static void bind_member(binding *b, tims_str name, const tims_json *value)
{
    const tims_field *field = tims_field_find(b->fields, name);
    if (field == NULL || field->hidden) {
        add_error(b, pointer_to(b->arena, name), "unknown", "There is no such field.");
        return;
    }
    if (field->read_only || (field->primary && b->mode == TIMS_BIND_PATCH)) {
        add_field_error(b, field, "read_only", "Cannot be set.");
        return;
    }
    b->present |= (tims_field_set)1 << tims_field_index(b->fields, field);
    json__complaint complaint = { 0 };
    if (!bind_value(b, field, value, &complaint))
        add_field_error(b, field, complaint.code, complaint.message);
}

/* What an absent field is: its default, else the zero value; never a slice without data. */
static void set_default(binding *b, const tims_field *field)
{
    void *member = json__member(field, b->object);
    if (field->default_value != NULL) {
        tims_error problem = { 0 };
        tims_status status =
            tims_bind_text(b->arena, field, tims_str_from(field->default_value), b->object, &problem);
        TIMS_ASSERT(status == TIMS_OK); /* the descriptor's default breaks its own rules */
    } else if (field->kind == TIMS_KIND_STR) {
        *(tims_str *)member = TIMS_STR("");
    } else if (field->kind == TIMS_KIND_JSON) {
        ((tims_json_text *)member)->text = TIMS_STR("null");
    } else if (field->kind == TIMS_KIND_BYTES) {
        ((tims_bytes *)member)->data = TIMS_STR("");
    }
}

static void complete(binding *b)
{
    for (size_t i = 0; i < b->fields.count && !is_full(b); i++) {
        const tims_field *field = &b->fields.items[i];
        if (b->present >> i & 1)
            continue;
        if (field->required && !field->read_only && !field->hidden)
            add_field_error(b, field, "required", "Must be given.");
        else
            set_default(b, field);
    }
}

tims_status tims_json_bind(tims_arena *arena, const tims_json *body, tims_fields fields, tims_bind_mode mode,
                           void *ret_object, tims_field_set *ret_present, tims_error *err)
{
    TIMS_ASSERT(fields.count <= TIMS_FIELDS_MAX);
    if (body == NULL || tims_json_type_of(body) != TIMS_JSON_OBJECT)
        return tims_fail(err, TIMS_MALFORMED, "json_object", "The body must be a JSON object.");
    tims_error local = { 0 };
    binding b = { .arena = arena,
                  .fields = fields,
                  .mode = mode,
                  .object = ret_object,
                  .err = err != NULL ? err : &local };
    void *cursor = NULL;
    tims_str name;
    const tims_json *value;
    while (!is_full(&b) && tims_json_next(body, &cursor, &name, &value))
        bind_member(&b, name, value);
    if (mode == TIMS_BIND_CREATE)
        complete(&b);
    if (b.error_count > 0)
        return TIMS_INVALID;
    if (ret_present != NULL)
        *ret_present = b.present;
    return TIMS_OK;
}
