/* value.c: bound parameters, made from C values. */
#include "db_internal.h"

tims_db_value tims_db_int(int64_t value)
{
    return (tims_db_value){ .type = TIMS_DB_INT, .integer = value };
}

tims_db_value tims_db_double(double value)
{
    return (tims_db_value){ .type = TIMS_DB_DOUBLE, .real = value };
}

tims_db_value tims_db_text(tims_str value)
{
    return (tims_db_value){ .type = TIMS_DB_TEXT, .bytes = value };
}

tims_db_value tims_db_blob(tims_str value)
{
    return (tims_db_value){ .type = TIMS_DB_BLOB, .bytes = value };
}

/* The text is kept in the value itself, which may be copied: the driver takes its address when it binds. */
tims_db_value tims_db_id(tims_id value)
{
    tims_db_value bound = { .type = TIMS_DB_TEXT, .is_id = true };
    tims_id_format(value, bound.id_text);
    return bound;
}

tims_db_value tims_db_decimal(int64_t units, uint8_t scale)
{
    return (tims_db_value){ .type = TIMS_DB_INT, .integer = units, .scale = scale };
}

tims_db_value tims_db_null(void)
{
    return (tims_db_value){ .type = TIMS_DB_NULL };
}
