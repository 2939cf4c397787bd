/* parameters.c: bound values as PostgreSQL's binary parameters.
 *
 * A statement's parameters have types of the server's choosing, which it told when the statement was
 * described. What a C value can be is converted here; a text for any other type is sent as text, and the
 * server reads it. */
#include "postgres_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCRATCH_BYTES = sizeof *((postgres__parameters *)NULL)->scratch };

static int put(char *at, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, value >>= 8)
        at[i] = (char)(value & 0xff);
    return bytes;
}

static tims_status wrong_type(tims_error *err, const char *sentence)
{
    return tims_fail(err, TIMS_CONFLICT, "check", "%s", sentence);
}

static tims_status out_of_range(tims_error *err)
{
    return wrong_type(err, "A value is out of range.");
}

/* Where one parameter goes. */
typedef struct target {
    Oid type;
    char *scratch;
    const char **value;
    int *length, *format; /* 1: binary */
} target;

static void use_text(const target *t, int length)
{
    *t->length = length;
    *t->format = postgres__is_text(t->type) ? 1 : 0;
}

static tims_status encode_double(const target *t, double value)
{
    if (t->type == POSTGRES_FLOAT4) {
        float narrow = (float)value;
        uint32_t bits;
        memcpy(&bits, &narrow, sizeof bits);
        *t->length = put(t->scratch, bits, 4);
    } else if (t->type == POSTGRES_FLOAT8) {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        *t->length = put(t->scratch, bits, 8);
    } else {
        use_text(t, snprintf(t->scratch, SCRATCH_BYTES, "%.17g", value));
    }
    return TIMS_OK;
}

static tims_status encode_whole(const target *t, int64_t value, tims_error *err)
{
    int64_t moved;
    switch (t->type) {
    case POSTGRES_INT8:
    case POSTGRES_XID8:
        *t->length = put(t->scratch, (uint64_t)value, 8);
        return TIMS_OK;
    case POSTGRES_INT4:
        *t->length = put(t->scratch, (uint64_t)value, 4);
        return value == (int32_t)value ? TIMS_OK : out_of_range(err);
    case POSTGRES_INT2:
        *t->length = put(t->scratch, (uint64_t)value, 2);
        return value == (int16_t)value ? TIMS_OK : out_of_range(err);
    case POSTGRES_OID:
    case POSTGRES_XID:
        *t->length = put(t->scratch, (uint64_t)value, 4);
        return value == (uint32_t)value ? TIMS_OK : out_of_range(err);
    case POSTGRES_BOOL:
        *t->length = put(t->scratch, value != 0, 1);
        return TIMS_OK;
    case POSTGRES_TIMESTAMPTZ:
    case POSTGRES_TIMESTAMP:
        if (__builtin_sub_overflow(value, POSTGRES_EPOCH_US, &moved))
            return out_of_range(err);
        *t->length = put(t->scratch, (uint64_t)moved, 8);
        return TIMS_OK;
    case POSTGRES_DATE:
        if (__builtin_sub_overflow(value, POSTGRES_EPOCH_US, &moved))
            return out_of_range(err);
        moved = moved / POSTGRES_DAY_US - (moved % POSTGRES_DAY_US < 0 ? 1 : 0);
        *t->length = put(t->scratch, (uint64_t)moved, 4);
        return TIMS_OK;
    case POSTGRES_FLOAT8:
    case POSTGRES_FLOAT4:
        return encode_double(t, (double)value);
    case POSTGRES_NUMERIC:
        *t->length = postgres__numeric_encode(value, 0, t->scratch);
        return TIMS_OK;
    case POSTGRES_UUID:
    case POSTGRES_BYTEA:
        return wrong_type(err, "A value is of the wrong type.");
    default:
        use_text(t, snprintf(t->scratch, SCRATCH_BYTES, "%" PRId64, value));
        return TIMS_OK;
    }
}

static tims_status encode_decimal(const target *t, int64_t units, uint8_t scale, tims_error *err)
{
    if (scale > 30)
        return out_of_range(err);
    if (t->type == POSTGRES_NUMERIC)
        *t->length = postgres__numeric_encode(units, scale, t->scratch);
    else if (t->type == POSTGRES_FLOAT8 || t->type == POSTGRES_FLOAT4)
        return encode_double(t, (double)units / pow(10, scale));
    else
        use_text(t, postgres__decimal_text(units, scale, t->scratch, SCRATCH_BYTES));
    return TIMS_OK;
}

static tims_status encode_text(const target *t, tims_str text, char **copies, tims_error *err)
{
    tims_id id;
    if (t->type == POSTGRES_UUID && tims_id_parse(text, &id)) {
        memcpy(t->scratch, id.bytes, sizeof id.bytes);
        *t->length = sizeof id.bytes;
        return TIMS_OK;
    }
    *t->value = text.length > 0 ? text.data : "";
    *t->length = (int)text.length;
    if (t->type == POSTGRES_BYTEA)
        return TIMS_OK;
    if (text.length > 0 && memchr(text.data, 0, text.length) != NULL)
        return tims_fail(err, TIMS_INVALID, NULL, "A text may not contain the character NUL.");
    if (postgres__is_text(t->type))
        return TIMS_OK;
    *t->value = *copies; /* the server reads it; libpq wants an end */
    memcpy(*copies, text.data != NULL ? text.data : "", text.length);
    (*copies)[text.length] = 0;
    *copies += text.length + 1;
    *t->format = 0;
    return TIMS_OK;
}

static tims_str text_of(const tims_db_value *value)
{
    return value->is_id ? (tims_str){ value->id_text, TIMS_ID_TEXT_LENGTH } : value->bytes;
}

static tims_status encode_one(const target *t, const tims_db_value *value, char **copies, tims_error *err)
{
    *t->value = t->scratch;
    *t->format = 1;
    switch (value->type) {
    case TIMS_DB_INT:
        if (value->scale > 0)
            return encode_decimal(t, value->integer, value->scale, err);
        return encode_whole(t, value->integer, err);
    case TIMS_DB_DOUBLE:
        if ((t->type != POSTGRES_INT8 && t->type != POSTGRES_INT4 && t->type != POSTGRES_INT2) ||
            value->real != floor(value->real) || fabs(value->real) >= 0x1p63)
            return encode_double(t, value->real);
        return encode_whole(t, (int64_t)value->real, err);
    case TIMS_DB_TEXT:
        return encode_text(t, text_of(value), copies, err);
    case TIMS_DB_BLOB:
        if (t->type != POSTGRES_BYTEA)
            return encode_text(t, value->bytes, copies, err);
        *t->value = value->bytes.length > 0 ? value->bytes.data : "";
        *t->length = (int)value->bytes.length;
        return TIMS_OK;
    case TIMS_DB_NULL:
    default:
        *t->value = NULL;
        *t->length = 0;
        return TIMS_OK;
    }
}

static void grow(postgres__parameters *parameters, size_t count)
{
    if (count <= parameters->capacity)
        return;
    parameters->values = realloc(parameters->values, count * sizeof *parameters->values);
    parameters->lengths = realloc(parameters->lengths, count * sizeof *parameters->lengths);
    parameters->formats = realloc(parameters->formats, count * sizeof *parameters->formats);
    parameters->scratch = realloc(parameters->scratch, count * sizeof *parameters->scratch);
    TIMS_ASSERT(parameters->values != NULL && parameters->lengths != NULL && parameters->formats != NULL &&
                parameters->scratch != NULL);
    parameters->capacity = count;
}

void postgres__parameters_free(postgres__parameters *parameters)
{
    free(parameters->values);
    free(parameters->lengths);
    free(parameters->formats);
    free(parameters->scratch);
    free(parameters->copies);
}

/* Room for the texts that the server has to read; false: more than a message can be. */
static bool reserve_copies(postgres__parameters *parameters, const postgres__statement *statement,
                           const tims_db_value *values, size_t count)
{
    enum { MESSAGE_BYTES_MAX = 1 << 30 };
    size_t copies = 0, all = 0;
    for (size_t i = 0; i < count; i++) {
        if (values[i].type != TIMS_DB_TEXT && values[i].type != TIMS_DB_BLOB)
            continue;
        size_t length = text_of(&values[i]).length;
        if (length > MESSAGE_BYTES_MAX - all)
            return false;
        all += length;
        if (!postgres__is_text(statement->parameters[i]) && statement->parameters[i] != POSTGRES_BYTEA)
            copies += length + 1;
    }
    if (copies > parameters->copies_bytes) {
        parameters->copies = realloc(parameters->copies, copies);
        TIMS_ASSERT(parameters->copies != NULL);
        parameters->copies_bytes = copies;
    }
    return true;
}

tims_status postgres__encode(postgres__parameters *parameters, const postgres__statement *statement,
                             const tims_db_value *values, size_t count, tims_error *err)
{
    if (count != statement->parameter_count) {
        tims_status status = tims_fail(err, TIMS_INTERNAL, NULL, "%s", tims_status_text(TIMS_INTERNAL));
        tims_error_detail(err, "%zu values for %zu parameters in: %s", count, statement->parameter_count,
                          statement->sql);
        return status;
    }
    grow(parameters, count);
    if (!reserve_copies(parameters, statement, values, count))
        return tims_fail(err, TIMS_TOO_LARGE, NULL, "A value is too large for the database.");
    char *copies = parameters->copies;
    for (size_t i = 0; i < count; i++) {
        target t = { statement->parameters[i], parameters->scratch[i], &parameters->values[i],
                     &parameters->lengths[i], &parameters->formats[i] };
        tims_status status = encode_one(&t, &values[i], &copies, err);
        if (TIMS_UNLIKELY(status != TIMS_OK))
            return status;
    }
    return TIMS_OK;
}
