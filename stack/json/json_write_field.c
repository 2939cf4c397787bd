/* json_write_field: structs out, by their descriptors. */
#include "json/json_internal.h"

static void write_ids(tims_json_writer *w, const tims_ids *ids)
{
    tims_json_begin_array(w);
    for (size_t i = 0; i < ids->count; i++)
        tims_json_id(w, ids->items[i]);
    tims_json_end_array(w);
}

static void write_strs(tims_json_writer *w, const tims_strs *strs)
{
    tims_json_begin_array(w);
    for (size_t i = 0; i < strs->count; i++)
        tims_json_str(w, strs->items[i]);
    tims_json_end_array(w);
}

static void write_json_text(tims_json_writer *w, tims_str text)
{
    if (text.length == 0)
        tims_json_null(w);
    else
        tims_json_raw(w, text);
}

/* Each optional type is { bool present; value }: null when absent. */
#define WRITE_OPTIONAL(type, write)    \
    do {                               \
        const type *optional = member; \
        if (optional->present)         \
            write(w, optional->value); \
        else                           \
            tims_json_null(w);         \
    } while (0)

static void write_bytes(tims_json_writer *w, tims_bytes value)
{
    tims_json_bytes(w, value.data);
}

static void write_optional_decimal(tims_json_writer *w, uint8_t scale, const tims_opt_decimal *member)
{
    if (member->present)
        tims_json_decimal(w, member->value, scale);
    else
        tims_json_null(w);
}

static void write_optional(tims_json_writer *w, const tims_field *field, const void *member)
{
    switch (field->kind) {
    case TIMS_KIND_OPT_BOOL:
        WRITE_OPTIONAL(tims_opt_bool, tims_json_bool);
        break;
    case TIMS_KIND_OPT_INT:
        WRITE_OPTIONAL(tims_opt_int, tims_json_int);
        break;
    case TIMS_KIND_OPT_DOUBLE:
        WRITE_OPTIONAL(tims_opt_double, tims_json_double);
        break;
    case TIMS_KIND_OPT_STR:
        WRITE_OPTIONAL(tims_opt_str, tims_json_str);
        break;
    case TIMS_KIND_OPT_ID:
        WRITE_OPTIONAL(tims_opt_id, tims_json_id);
        break;
    case TIMS_KIND_OPT_TIME:
        WRITE_OPTIONAL(tims_opt_time, tims_json_time);
        break;
    case TIMS_KIND_OPT_DECIMAL:
        write_optional_decimal(w, field->scale, member);
        break;
    case TIMS_KIND_OPT_BYTES:
        WRITE_OPTIONAL(tims_opt_bytes, write_bytes);
        break;
    default:
        TIMS_UNREACHABLE("not an optional kind");
    }
}

static void write_value(tims_json_writer *w, const tims_field *field, const void *member)
{
    switch (field->kind) {
    case TIMS_KIND_BOOL:
        tims_json_bool(w, *(const bool *)member);
        break;
    case TIMS_KIND_INT:
        tims_json_int(w, *(const int64_t *)member);
        break;
    case TIMS_KIND_DOUBLE:
        tims_json_double(w, *(const double *)member);
        break;
    case TIMS_KIND_STR:
        tims_json_str(w, *(const tims_str *)member);
        break;
    case TIMS_KIND_ID:
        tims_json_id(w, *(const tims_id *)member);
        break;
    case TIMS_KIND_TIME:
        tims_json_time(w, *(const tims_time *)member);
        break;
    case TIMS_KIND_JSON:
        write_json_text(w, ((const tims_json_text *)member)->text);
        break;
    case TIMS_KIND_DECIMAL:
        tims_json_decimal(w, *(const tims_decimal *)member, field->scale);
        break;
    case TIMS_KIND_BYTES:
        write_bytes(w, *(const tims_bytes *)member);
        break;
    case TIMS_KIND_IDS:
        write_ids(w, member);
        break;
    case TIMS_KIND_STRS:
        write_strs(w, member);
        break;
    default:
        write_optional(w, field, member);
    }
}

void tims_json_field(tims_json_writer *w, const tims_field *field, const void *object)
{
    tims_json_key(w, tims_str_from(field->name));
    write_value(w, field, json__member_const(field, object));
}

void tims_json_object(tims_json_writer *w, tims_fields fields, const void *object, tims_field_set only)
{
    TIMS_ASSERT(fields.count <= TIMS_FIELDS_MAX);
    tims_json_begin_object(w);
    for (size_t i = 0; i < fields.count; i++) {
        const tims_field *field = &fields.items[i];
        bool wanted = only == 0 || (only >> i & 1) != 0;
        if (wanted && !field->hidden && !field->write_only)
            tims_json_field(w, field, object);
    }
    tims_json_end_object(w);
}
