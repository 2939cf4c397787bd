/* rows.c: running a statement and reading its rows, straight from the binary values of libpq's result.
 *
 * A statement's rows are all here once it has run: they keep no connection, and what is read later does not
 * wait for them. */
#include "postgres_internal.h"

#include <string.h>

tims_status postgres__query(tims_db_session *base, tims_db_rows *base_rows, tims_str sql,
                            const tims_db_value *values, size_t count, tims_error *err)
{
    postgres__session *session = (postgres__session *)base;
    postgres__rows *rows = (postgres__rows *)base_rows;
    PGresult *result;
    tims_status status = postgres__session_run(session, sql, values, count, &result, err);
    if (TIMS_UNLIKELY(status != TIMS_OK))
        return status;
    rows->result = result;
    rows->owner = session->transaction != NULL ? session->transaction : session->snapshot;
    rows->row = -1;
    rows->row_count = PQntuples(result);
    rows->column_count = PQnfields(result);
    rows->status = TIMS_OK;
    return TIMS_OK;
}

static void finish(postgres__rows *rows)
{
    PQclear(rows->result);
    rows->result = NULL;
    rows->row_count = 0;
}

bool postgres__next(tims_db_rows *base)
{
    postgres__rows *rows = (postgres__rows *)base;
    if (rows->row < rows->row_count)
        rows->row++;
    return rows->row < rows->row_count;
}

tims_status postgres__rows_end(tims_db_rows *base, tims_error *err)
{
    postgres__rows *rows = (postgres__rows *)base;
    finish(rows);
    if (TIMS_LIKELY(rows->status == TIMS_OK))
        return TIMS_OK;
    return tims_fail(err, rows->status, NULL, "The transaction was rolled back while its rows were read.");
}

void postgres__rows_cut(postgres__session *session, const postgres__connection *connection,
                        tims_status status)
{
    for (tims_db_rows *at = session->base.open_rows; at != NULL; at = at->next) {
        postgres__rows *rows = (postgres__rows *)at;
        if (rows->result == NULL || rows->owner != connection)
            continue;
        finish(rows);
        rows->status = status;
    }
}

tims_status postgres__run(tims_db_session *base, tims_str sql, const tims_db_value *values, size_t count,
                          int64_t *ret_changed, tims_error *err)
{
    postgres__session *session = (postgres__session *)base;
    PGresult *result;
    tims_status status = postgres__session_run(session, sql, values, count, &result, err);
    if (status != TIMS_OK)
        return status;
    int64_t changed = 0;
    if (!tims_str_to_int(tims_str_from(PQcmdTuples(result)), 0, INT64_MAX, &changed))
        changed = 0; /* what counts nothing: DDL */
    PQclear(result);
    if (ret_changed != NULL)
        *ret_changed = changed;
    return TIMS_OK;
}

/* --- columns of the current row -------------------------------------------------------------------- */

/* False: NULL, or no row. */
static bool get(const postgres__rows *rows, int column, postgres__datum *ret_datum)
{
    if (TIMS_UNLIKELY(rows->row < 0 || rows->row >= rows->row_count || column < 0 ||
                      column >= rows->column_count))
        return false;
    int length = PQgetlength(rows->result, rows->row, column);
    if (length == 0 && PQgetisnull(rows->result, rows->row, column))
        return false;
    *ret_datum = (postgres__datum){ PQgetvalue(rows->result, rows->row, column), length,
                                    PQftype(rows->result, column) };
    return true;
}

int postgres__column_count(const tims_db_rows *base)
{
    return PQnfields(((const postgres__rows *)base)->result);
}

bool postgres__is_null(const tims_db_rows *base, int column)
{
    postgres__datum datum;
    return !get((const postgres__rows *)base, column, &datum);
}

int64_t postgres__get_int(const tims_db_rows *base, int column)
{
    postgres__datum datum;
    return get((const postgres__rows *)base, column, &datum) ? postgres__decode_int(datum) : 0;
}

double postgres__get_double(const tims_db_rows *base, int column)
{
    postgres__datum datum;
    return get((const postgres__rows *)base, column, &datum) ? postgres__decode_double(datum) : 0;
}

/* Each column has a place of its own, so that texts of one row stand beside each other. */
static char *scratch_of(postgres__rows *rows, int column)
{
    if (rows->scratch_columns <= column) {
        rows->scratch_columns = rows->column_count;
        rows->scratch =
            tims_alloc_raw(rows->base.session->arena, (size_t)rows->column_count * POSTGRES_TEXT_BYTES);
    }
    return rows->scratch + (size_t)column * POSTGRES_TEXT_BYTES;
}

tims_str postgres__get_text(const tims_db_rows *base, int column)
{
    postgres__rows *rows = (postgres__rows *)(uintptr_t)base;
    postgres__datum datum;
    if (!get(rows, column, &datum))
        return (tims_str){ "", 0 };
    if (postgres__is_text(datum.type) || datum.type == POSTGRES_BYTEA)
        return (tims_str){ datum.data, (size_t)datum.length };
    return postgres__decode_text(datum, scratch_of(rows, column));
}

/* Zero when the column holds no id. */
tims_id postgres__get_id(const tims_db_rows *base, int column)
{
    postgres__datum datum;
    return get((const postgres__rows *)base, column, &datum) ? postgres__decode_id(datum)
                                                             : (tims_id){ { 0 } };
}

int64_t postgres__get_decimal(const tims_db_rows *base, int column, uint8_t scale)
{
    postgres__datum datum;
    return get((const postgres__rows *)base, column, &datum) ? postgres__decode_decimal(datum, scale) : 0;
}

const char *postgres__column_name(const tims_db_rows *base, int column)
{
    return PQfname(((const postgres__rows *)base)->result, column);
}
