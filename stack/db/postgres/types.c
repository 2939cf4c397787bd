/* types.c: bound values as PostgreSQL's binary parameters, and its binary columns as C values.
 *
 * A statement's parameters have types of the server's choosing, which it told when the statement was
 * described. What a C value can be is converted here; a text for any other type is sent as text, and the
 * server reads it. Times are microseconds since 1970 on this side and since 2000 on the other. */
#include "postgres_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCRATCH_BYTES = sizeof *((postgres__parameters *)NULL)->scratch };

static const int64_t epoch_us = 946684800000000; /* 2000-01-01 */
static const int64_t day_us = 86400000000;

bool postgres__is_text(Oid type)
{
    switch (type) {
    case POSTGRES_TEXT:
    case POSTGRES_VARCHAR:
    case POSTGRES_BPCHAR:
    case POSTGRES_JSON:
    case POSTGRES_NAME:
    case POSTGRES_CHAR:
    case POSTGRES_UNKNOWN:
        return true;
    default:
        return false;
    }
}

/* --- parameters -------------------------------------------------------------------------------------- */

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
        if (__builtin_sub_overflow(value, epoch_us, &moved))
            return out_of_range(err);
        *t->length = put(t->scratch, (uint64_t)moved, 8);
        return TIMS_OK;
    case POSTGRES_DATE:
        if (__builtin_sub_overflow(value, epoch_us, &moved))
            return out_of_range(err);
        moved = moved / day_us - (moved % day_us < 0 ? 1 : 0);
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

/* --- columns ----------------------------------------------------------------------------------------- */

static uint64_t get(postgres__datum datum, int bytes)
{
    uint64_t value = 0;
    if (datum.length < bytes)
        return 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | (uint8_t)datum.data[i];
    return value;
}

/* PostgreSQL's infinite times are the ends of its range. */
static int64_t add_clamped(int64_t value, int64_t added)
{
    int64_t sum;
    return __builtin_add_overflow(value, added, &sum) ? INT64_MAX : sum;
}

static int64_t whole(double value)
{
    if (!(fabs(value) < 0x1p63))
        return value != value ? 0 : value < 0 ? INT64_MIN : INT64_MAX;
    return (int64_t)value;
}

static double get_float(postgres__datum datum)
{
    if (datum.type == POSTGRES_FLOAT4) {
        uint32_t bits = (uint32_t)get(datum, 4);
        float narrow;
        memcpy(&narrow, &bits, sizeof narrow);
        return (double)narrow;
    }
    uint64_t bits = get(datum, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

int64_t postgres__decode_int(postgres__datum datum)
{
    int64_t value = 0;
    switch (datum.type) {
    case POSTGRES_INT8:
    case POSTGRES_XID8:
        return (int64_t)get(datum, 8);
    case POSTGRES_INT4:
        return (int32_t)get(datum, 4);
    case POSTGRES_INT2:
        return (int16_t)get(datum, 2);
    case POSTGRES_OID:
    case POSTGRES_XID:
        return (int64_t)get(datum, 4);
    case POSTGRES_BOOL:
        return get(datum, 1) != 0;
    case POSTGRES_TIMESTAMPTZ:
    case POSTGRES_TIMESTAMP:
        return add_clamped((int64_t)get(datum, 8), epoch_us);
    case POSTGRES_DATE:
        return add_clamped((int32_t)get(datum, 4) * day_us, epoch_us);
    case POSTGRES_FLOAT8:
    case POSTGRES_FLOAT4:
        return whole(get_float(datum));
    case POSTGRES_NUMERIC:
        return postgres__numeric_units(datum, 0);
    default:
        if (!tims_str_to_int((tims_str){ datum.data, (size_t)datum.length }, INT64_MIN, INT64_MAX, &value))
            return 0;
        return value;
    }
}

double postgres__decode_double(postgres__datum datum)
{
    char text[POSTGRES_TEXT_BYTES];
    switch (datum.type) {
    case POSTGRES_FLOAT8:
    case POSTGRES_FLOAT4:
        return get_float(datum);
    case POSTGRES_NUMERIC:
        return postgres__numeric_double(datum);
    default:
        if (!postgres__is_text(datum.type))
            return (double)postgres__decode_int(datum);
        (void)snprintf(text, sizeof text, "%.*s", datum.length, datum.data);
        return strtod(text, NULL);
    }
}

int64_t postgres__decode_decimal(postgres__datum datum, uint8_t scale)
{
    if (datum.type == POSTGRES_NUMERIC)
        return postgres__numeric_units(datum, scale);
    if (datum.type == POSTGRES_FLOAT8 || datum.type == POSTGRES_FLOAT4)
        return whole(round(get_float(datum) * pow(10, scale)));
    int64_t units = postgres__decode_int(datum);
    for (int i = 0; i < scale; i++)
        if (__builtin_mul_overflow(units, 10, &units))
            return units < 0 ? INT64_MIN : INT64_MAX;
    return units;
}

tims_id postgres__decode_id(postgres__datum datum)
{
    tims_id id = { { 0 } };
    if (datum.type == POSTGRES_UUID && datum.length == sizeof id.bytes)
        memcpy(id.bytes, datum.data, sizeof id.bytes);
    else if (!tims_id_parse((tims_str){ datum.data, (size_t)datum.length }, &id))
        return (tims_id){ { 0 } };
    return id;
}

/* The shortest that reads back as the same. */
static int format_double(double value, char *scratch)
{
    int length = snprintf(scratch, POSTGRES_TEXT_BYTES, "%.15g", value);
    if (strtod(scratch, NULL) != value)
        length = snprintf(scratch, POSTGRES_TEXT_BYTES, "%.17g", value);
    return length;
}

tims_str postgres__decode_text(postgres__datum datum, char *scratch)
{
    switch (datum.type) {
    case POSTGRES_UUID:
        tims_id_format(postgres__decode_id(datum), scratch);
        return (tims_str){ scratch, TIMS_ID_TEXT_LENGTH };
    case POSTGRES_FLOAT8:
    case POSTGRES_FLOAT4:
        return (tims_str){ scratch, (size_t)format_double(get_float(datum), scratch) };
    case POSTGRES_NUMERIC:
        return postgres__numeric_text(datum, scratch, POSTGRES_TEXT_BYTES);
    case POSTGRES_INT8:
    case POSTGRES_INT4:
    case POSTGRES_INT2:
    case POSTGRES_OID:
    case POSTGRES_XID:
    case POSTGRES_XID8:
    case POSTGRES_BOOL:
    case POSTGRES_TIMESTAMPTZ:
    case POSTGRES_TIMESTAMP:
    case POSTGRES_DATE:
        return (tims_str){ scratch, (size_t)snprintf(scratch, POSTGRES_TEXT_BYTES, "%" PRId64,
                                                     postgres__decode_int(datum)) };
    case POSTGRES_JSONB: /* behind its version */
        return (tims_str){ datum.data + 1, datum.length > 0 ? (size_t)datum.length - 1 : 0 };
    default:
        return (tims_str){ datum.data, (size_t)datum.length };
    }
}
