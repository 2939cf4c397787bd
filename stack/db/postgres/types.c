/* types.c: PostgreSQL's binary columns as C values; asked for as something else than it is, a value is
 * converted as far as that makes sense. */
#include "postgres_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        return add_clamped((int64_t)get(datum, 8), POSTGRES_EPOCH_US);
    case POSTGRES_DATE:
        return add_clamped((int32_t)get(datum, 4) * POSTGRES_DAY_US, POSTGRES_EPOCH_US);
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
