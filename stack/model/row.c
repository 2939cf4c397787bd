/* row.c: between structs and columns.
 *
 * To the database room an id is its 36 characters, a time its microseconds, a boolean 0 or 1, JSON its text,
 * a decimal its units with their scale, and an absent optional NULL. Lists (TIMS_KIND_IDS, TIMS_KIND_STRS)
 * are no columns. */
#include <inttypes.h>

#include "model/model_internal.h"

size_t model__kind_size(tims_kind kind)
{
    static const size_t sizes[] = {
        [TIMS_KIND_BOOL] = sizeof(bool),
        [TIMS_KIND_INT] = sizeof(int64_t),
        [TIMS_KIND_DOUBLE] = sizeof(double),
        [TIMS_KIND_STR] = sizeof(tims_str),
        [TIMS_KIND_ID] = sizeof(tims_id),
        [TIMS_KIND_TIME] = sizeof(tims_time),
        [TIMS_KIND_JSON] = sizeof(tims_json_text),
        [TIMS_KIND_DECIMAL] = sizeof(tims_decimal),
        [TIMS_KIND_BYTES] = sizeof(tims_bytes),
        [TIMS_KIND_OPT_BOOL] = sizeof(tims_opt_bool),
        [TIMS_KIND_OPT_INT] = sizeof(tims_opt_int),
        [TIMS_KIND_OPT_DOUBLE] = sizeof(tims_opt_double),
        [TIMS_KIND_OPT_STR] = sizeof(tims_opt_str),
        [TIMS_KIND_OPT_ID] = sizeof(tims_opt_id),
        [TIMS_KIND_OPT_TIME] = sizeof(tims_opt_time),
        [TIMS_KIND_OPT_DECIMAL] = sizeof(tims_opt_decimal),
        [TIMS_KIND_OPT_BYTES] = sizeof(tims_opt_bytes),
        [TIMS_KIND_IDS] = sizeof(tims_ids),
        [TIMS_KIND_STRS] = sizeof(tims_strs),
    };
    TIMS_ASSERT((size_t)kind < sizeof(sizes) / sizeof(sizes[0]));
    return sizes[kind];
}

/* --- struct to values ------------------------------------------------------------------------- */

static tims_db_value text_value(tims_str text)
{
    return tims_db_text(text.data != NULL ? text : TIMS_STR(""));
}

static tims_db_value bytes_value(tims_bytes bytes)
{
    return tims_db_blob(bytes.data.data != NULL ? bytes.data : TIMS_STR(""));
}

#define OPTIONAL(type, make) \
    (((const type *)member)->present ? make(((const type *)member)->value) : tims_db_null())

tims_db_value tims_model_value(const tims_field *field, const void *row)
{
    const void *member = model__member(field, row);
    switch (field->kind) {
    case TIMS_KIND_BOOL:
        return tims_db_int(*(const bool *)member);
    case TIMS_KIND_INT:
        return tims_db_int(*(const int64_t *)member);
    case TIMS_KIND_DOUBLE:
        return tims_db_double(*(const double *)member);
    case TIMS_KIND_STR:
        return text_value(*(const tims_str *)member);
    case TIMS_KIND_ID:
        return tims_db_id(*(const tims_id *)member);
    case TIMS_KIND_TIME:
        return tims_db_int(((const tims_time *)member)->us);
    case TIMS_KIND_JSON: {
        tims_str text = ((const tims_json_text *)member)->text;
        return tims_db_text(text.length > 0 ? text : TIMS_STR("null"));
    }
    case TIMS_KIND_DECIMAL:
        return tims_db_decimal(((const tims_decimal *)member)->units, field->scale);
    case TIMS_KIND_BYTES:
        return bytes_value(*(const tims_bytes *)member);
    case TIMS_KIND_OPT_BOOL:
        return OPTIONAL(tims_opt_bool, tims_db_int);
    case TIMS_KIND_OPT_INT:
        return OPTIONAL(tims_opt_int, tims_db_int);
    case TIMS_KIND_OPT_DOUBLE:
        return OPTIONAL(tims_opt_double, tims_db_double);
    case TIMS_KIND_OPT_STR:
        return OPTIONAL(tims_opt_str, text_value);
    case TIMS_KIND_OPT_ID:
        return OPTIONAL(tims_opt_id, tims_db_id);
    case TIMS_KIND_OPT_TIME: {
        const tims_opt_time *time = member;
        return time->present ? tims_db_int(time->value.us) : tims_db_null();
    }
    case TIMS_KIND_OPT_DECIMAL: {
        const tims_opt_decimal *decimal = member;
        return decimal->present ? tims_db_decimal(decimal->value.units, field->scale) : tims_db_null();
    }
    case TIMS_KIND_OPT_BYTES:
        return OPTIONAL(tims_opt_bytes, bytes_value);
    case TIMS_KIND_IDS:
    case TIMS_KIND_STRS:
        break;
    }
    TIMS_UNREACHABLE("a list is no column");
}

/* As both databases write it. */
static tims_str hexadecimal(tims_arena *arena, tims_str bytes)
{
    tims_buf out;
    tims_buf_init(&out, arena, bytes.length * 2 + 1);
    for (size_t i = 0; i < bytes.length; i++)
        tims_buf_print(&out, "%02X", (unsigned)(unsigned char)bytes.data[i]);
    return tims_buf_str(&out);
}

tims_str tims_key_text(tims_arena *arena, const tims_db_value *value)
{
    if (value->is_id)
        return tims_copy(arena, (tims_str){ value->id_text, TIMS_ID_TEXT_LENGTH });
    switch (value->type) {
    case TIMS_DB_INT:
        return tims_print(arena, "%" PRId64, value->integer);
    case TIMS_DB_DOUBLE:
        return tims_print(arena, "%.17g", value->real);
    case TIMS_DB_TEXT:
        return tims_copy(arena, value->bytes);
    case TIMS_DB_BLOB:
        return hexadecimal(arena, value->bytes);
    case TIMS_DB_NULL:
        break;
    }
    return (tims_str){ NULL, 0 };
}

/* --- columns to struct ------------------------------------------------------------------------ */

static void read_member(const tims_field *field, const tims_db_rows *rows, int column, tims_arena *arena,
                        void *member)
{
    switch (tims_kind_base(field->kind)) {
    case TIMS_KIND_BOOL:
        *(bool *)member = tims_db_get_int(rows, column) != 0;
        break;
    case TIMS_KIND_INT:
        *(int64_t *)member = tims_db_get_int(rows, column);
        break;
    case TIMS_KIND_DOUBLE:
        *(double *)member = tims_db_get_double(rows, column);
        break;
    case TIMS_KIND_STR:
        *(tims_str *)member = tims_copy(arena, tims_db_get_text(rows, column));
        break;
    case TIMS_KIND_ID:
        *(tims_id *)member = tims_db_get_id(rows, column);
        break;
    case TIMS_KIND_TIME:
        ((tims_time *)member)->us = tims_db_get_int(rows, column);
        break;
    case TIMS_KIND_JSON:
        ((tims_json_text *)member)->text = tims_copy(arena, tims_db_get_text(rows, column));
        break;
    case TIMS_KIND_DECIMAL:
        ((tims_decimal *)member)->units = tims_db_get_decimal(rows, column, field->scale);
        break;
    case TIMS_KIND_BYTES:
        ((tims_bytes *)member)->data = tims_copy(arena, tims_db_get_text(rows, column));
        break;
    default:
        TIMS_UNREACHABLE("a list is no column");
    }
}

/* Where the value stands in an optional, and the flag before it. */
static void read_optional(const tims_field *field, const tims_db_rows *rows, int column, tims_arena *arena,
                          void *member)
{
    if (tims_db_is_null(rows, column))
        return;
    *(bool *)member = true;
    size_t offset = 0;
    switch (field->kind) {
    case TIMS_KIND_OPT_BOOL:
        offset = offsetof(tims_opt_bool, value);
        break;
    case TIMS_KIND_OPT_INT:
        offset = offsetof(tims_opt_int, value);
        break;
    case TIMS_KIND_OPT_DOUBLE:
        offset = offsetof(tims_opt_double, value);
        break;
    case TIMS_KIND_OPT_STR:
        offset = offsetof(tims_opt_str, value);
        break;
    case TIMS_KIND_OPT_ID:
        offset = offsetof(tims_opt_id, value);
        break;
    case TIMS_KIND_OPT_DECIMAL:
        offset = offsetof(tims_opt_decimal, value);
        break;
    case TIMS_KIND_OPT_BYTES:
        offset = offsetof(tims_opt_bytes, value);
        break;
    default:
        offset = offsetof(tims_opt_time, value);
    }
    read_member(field, rows, column, arena, (char *)member + offset);
}

_Static_assert(offsetof(tims_opt_int, present) == 0 && offsetof(tims_opt_str, present) == 0 &&
                   offsetof(tims_opt_id, present) == 0 && offsetof(tims_opt_time, present) == 0 &&
                   offsetof(tims_opt_bool, present) == 0 && offsetof(tims_opt_double, present) == 0 &&
                   offsetof(tims_opt_decimal, present) == 0 && offsetof(tims_opt_bytes, present) == 0,
               "an optional starts with its flag");

void tims_model_read_row(const tims_model *model, const tims_db_rows *rows, int first, tims_arena *arena,
                         void *ret_row)
{
    memset(ret_row, 0, model->size);
    for (size_t i = 0; i < model->fields.count; i++) {
        const tims_field *field = &model->fields.items[i];
        void *member = model__member_of(field, ret_row);
        if (tims_kind_is_optional(field->kind))
            read_optional(field, rows, first + (int)i, arena, member);
        else
            read_member(field, rows, first + (int)i, arena, member);
    }
}

tims_db_value model__column_value(tims_arena *arena, const tims_field *field, const tims_db_rows *rows,
                                  int column)
{
    if (tims_db_is_null(rows, column))
        return tims_db_null();
    switch (tims_kind_base(field->kind)) {
    case TIMS_KIND_DOUBLE:
        return tims_db_double(tims_db_get_double(rows, column));
    case TIMS_KIND_ID:
        return tims_db_id(tims_db_get_id(rows, column));
    case TIMS_KIND_STR:
    case TIMS_KIND_JSON:
        return tims_db_text(tims_copy(arena, tims_db_get_text(rows, column)));
    case TIMS_KIND_DECIMAL:
        return tims_db_decimal(tims_db_get_decimal(rows, column, field->scale), field->scale);
    case TIMS_KIND_BYTES:
        return tims_db_blob(tims_copy(arena, tims_db_get_text(rows, column)));
    default:
        return tims_db_int(tims_db_get_int(rows, column));
    }
}

/* --- field sets ------------------------------------------------------------------------------- */

tims_field_set model__visible(const tims_model *model)
{
    tims_field_set set = 0;
    for (size_t i = 0; i < model->fields.count; i++)
        if (!model->fields.items[i].hidden && !model->fields.items[i].write_only)
            set |= (tims_field_set)1 << i;
    return set;
}

tims_field_set model__all(const tims_model *model)
{
    return model->fields.count == TIMS_FIELDS_MAX ? ~(tims_field_set)0
                                                  : ((tims_field_set)1 << model->fields.count) - 1;
}
