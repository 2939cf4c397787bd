/* fault.c: PostgreSQL's errors as statuses, with the codes and columns that SQLite's have.
 *
 * SQLSTATE says what it is; the message is for people, in the server's language, and is not read. A unique
 * violation names its columns only in the detail, "Key (chat, body)=(…)", whose values are left out. A
 * foreign key's detail does not say on which side it failed: the model room, which knows the references,
 * finds out. What was wrong with a value is not logged with the value. */
#include "postgres_internal.h"

#include <string.h>

typedef struct constraint {
    const char *sqlstate;
    const char *name;
    const char *sentence;
} constraint;

static const constraint constraints[] = {
    { "23505", "unique", "Something else already has this value." },
    { "23P01", "unique", "Something else already has this value." },
    { "23503", "foreign_key", "It refers to something that is not there, or is still referred to." },
    { "23502", "not_null", "A value is missing." },
    { "23514", "check", "A value is not allowed here." },
    { "22P02", "check", "A value is of the wrong type." },
    { "22P03", "check", "A value is of the wrong type." },
    { "22003", "check", "A value is out of range." },
    { "22001", "check", "A value is too long." },
    { "22007", "check", "A value is of the wrong type." },
    { "22008", "check", "A value is out of range." },
    { "22021", "check", "A text is not UTF-8." },
    { "22P05", "check", "A text has a character that the database cannot keep." },
};

typedef struct fault_class {
    const char *prefix; /* of the SQLSTATE; the first that fits */
    tims_status status;
    const char *code;
    const char *sentence;
} fault_class;

static const fault_class classes[] = {
    { "40001", TIMS_CONFLICT, "serialization", "Others changed the same data at the same time; try again." },
    { "40P01", TIMS_CONFLICT, "serialization", "Others changed the same data at the same time; try again." },
    { "55P03", TIMS_UNAVAILABLE, "database_busy",
      "The database is being changed by another program; try again shortly." },
    { "57014", TIMS_TIMEOUT, NULL, "The statement took too long." },
    { "53100", TIMS_UNAVAILABLE, "disk_full", "The disk is full; nothing was written." },
    { "53", TIMS_UNAVAILABLE, "database", "The database cannot be used right now." },
    { "57P", TIMS_UNAVAILABLE, "database", "The database cannot be used right now." },
    { "08", TIMS_UNAVAILABLE, "database", "The database cannot be used right now." },
    { "58", TIMS_UNAVAILABLE, "database", "The database cannot be used right now." },
    { "25P03", TIMS_TIMEOUT, NULL, "The transaction took too long." },
    { "54", TIMS_TOO_LARGE, NULL, "A value is too large for the database." },
};

static const char *field_of(const PGresult *result, int field)
{
    const char *text = PQresultErrorField(result, field);
    return text != NULL ? text : "";
}

static const constraint *find_constraint(const char *sqlstate)
{
    for (size_t i = 0; i < sizeof constraints / sizeof *constraints; i++)
        if (strcmp(constraints[i].sqlstate, sqlstate) == 0)
            return &constraints[i];
    static const constraint other = { "23", "check", "A value is not allowed here." };
    return strncmp(sqlstate, "23", 2) == 0 ? &other : NULL;
}

/* --- the columns of a constraint ------------------------------------------------------------------- */

/* "a, b" of "Key (a, b)=(…) …". */
static tims_str key_columns(const char *detail)
{
    const char *from = strchr(detail, '('), *to = strstr(detail, ")=(");
    if (from == NULL || to == NULL || to <= from)
        return (tims_str){ NULL, 0 };
    return (tims_str){ from + 1, (size_t)(to - from) - 1 };
}

/* The stack names a CHECK like its column; PostgreSQL's own name for it is table_column_check. */
static tims_str checked_column(const PGresult *result)
{
    tims_str name = tims_str_from(field_of(result, PG_DIAG_CONSTRAINT_NAME));
    tims_str table = tims_str_from(field_of(result, PG_DIAG_TABLE_NAME));
    if (!tims_str_ends_with(name, TIMS_STR("_check")))
        return name;
    name = tims_str_slice(name, 0, name.length - 6);
    if (name.length > table.length + 1 && tims_str_starts_with(name, table) && name.data[table.length] == '_')
        name = tims_str_slice(name, table.length + 1, name.length);
    return name;
}

static tims_str columns_of(const PGresult *result, const constraint *why)
{
    if (strcmp(why->name, "unique") == 0)
        return key_columns(field_of(result, PG_DIAG_MESSAGE_DETAIL));
    if (strcmp(why->name, "not_null") == 0)
        return tims_str_from(field_of(result, PG_DIAG_COLUMN_NAME));
    if (strcmp(why->sqlstate, "23514") == 0)
        return checked_column(result);
    return (tims_str){ NULL, 0 };
}

static void add_columns(tims_arena *arena, tims_error *err, tims_str list, const constraint *why)
{
    tims_field_error **last = &err->fields;
    while (list.data != NULL && list.length > 0) {
        tims_str one = tims_str_trim(tims_str_cut(&list, ','));
        if (one.length > 2 && one.data[0] == '"')
            one = tims_str_slice(one, 1, one.length - 1);
        if (one.length == 0)
            continue;
        tims_field_error *field = TIMS_NEW(arena, tims_field_error);
        field->pointer = tims_print(arena, "/%S", one);
        field->code = why->name;
        field->message = tims_str_from(why->sentence);
        *last = field;
        last = &field->next;
    }
}

static tims_status constraint_failed(PGresult *result, const constraint *why, tims_arena *arena,
                                     tims_error *err)
{
    tims_status status = tims_fail(err, TIMS_CONFLICT, why->name, "%s", why->sentence);
    tims_error_detail(err, "postgres %s: constraint \"%s\" of \"%s\"", field_of(result, PG_DIAG_SQLSTATE),
                      field_of(result, PG_DIAG_CONSTRAINT_NAME), field_of(result, PG_DIAG_TABLE_NAME));
    char columns[1024];
    tims_str list = err != NULL && arena != NULL ? columns_of(result, why) : (tims_str){ NULL, 0 };
    if (list.length > sizeof columns)
        list.length = 0;
    if (list.length > 0)
        memcpy(columns, list.data, list.length);
    PQclear(result); /* before the arena is asked for anything: that may end the fiber */
    if (list.length > 0)
        add_columns(arena, err, (tims_str){ columns, list.length }, why);
    return status;
}

/* --- everything else ------------------------------------------------------------------------------- */

bool postgres__is_error(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY;
}

/* The server's last words, or libpq's own: those have no SQLSTATE. */
bool postgres__is_fatal(const PGresult *result)
{
    if (PQresultStatus(result) == PGRES_FATAL_ERROR && PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL)
        return true;
    const char *severity = field_of(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    return strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0;
}

/* It is gone from under a pooler (26000), or the schema has changed: it has other columns ("cached plan must
 * not change result type" has no code of its own), or its parameters would be of other types. */
bool postgres__is_stale(const PGresult *result)
{
    static const char *const states[] = { "26000", "42804", "42883", "42725" };
    const char *sqlstate = field_of(result, PG_DIAG_SQLSTATE);
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(sqlstate, states[i]) == 0)
            return true;
    return strcmp(sqlstate, "0A000") == 0 &&
           strcmp(field_of(result, PG_DIAG_SOURCE_FUNCTION), "RevalidateCachedQuery") == 0;
}

static tims_status fail_internal(const PGresult *result, tims_str sql, tims_error *err)
{
    tims_status status = tims_fail(err, TIMS_INTERNAL, NULL, "%s", tims_status_text(TIMS_INTERNAL));
    const char *sqlstate = field_of(result, PG_DIAG_SQLSTATE);
    if (sql.length > 200)
        sql.length = 200;
    if (strcmp(sqlstate, "25006") == 0)
        tims_error_detail(err, "a statement that writes needs a transaction: %.*s", TIMS_PRINT(sql));
    else if (strncmp(sqlstate, "22", 2) == 0) /* its message repeats the value */
        tims_error_detail(err, "postgres %s in: %.*s", sqlstate, TIMS_PRINT(sql));
    else
        tims_error_detail(err, "postgres %s: %s in: %.*s", sqlstate,
                          field_of(result, PG_DIAG_MESSAGE_PRIMARY), TIMS_PRINT(sql));
    return status;
}

tims_status postgres__fail_lost(tims_error *err)
{
    tims_status status =
        tims_fail(err, TIMS_UNAVAILABLE, "database", "The connection to the database was lost; try again.");
    if (err != NULL)
        err->retry_after_s = 1;
    return status;
}

tims_status postgres__fail_busy(tims_error *err)
{
    tims_status status = tims_fail(err, TIMS_UNAVAILABLE, "database_busy",
                                   "Too many wait for a connection to the database; try again shortly.");
    if (err != NULL)
        err->retry_after_s = 1;
    return status;
}

tims_status postgres__fail_stale(tims_error *err)
{
    return tims_fail(err, classes[0].status, classes[0].code, "%s", classes[0].sentence);
}

static tims_status fail_as(PGresult *result, const fault_class *class, tims_error *err)
{
    tims_status status = tims_fail(err, class->status, class->code, "%s", class->sentence);
    tims_error_detail(err, "postgres %s: %s", field_of(result, PG_DIAG_SQLSTATE),
                      field_of(result, PG_DIAG_MESSAGE_PRIMARY));
    if (class->status == TIMS_UNAVAILABLE && err != NULL)
        err->retry_after_s = 1;
    PQclear(result);
    return status;
}

tims_status postgres__fault(PGresult *result, tims_str sql, tims_arena *arena, tims_error *err)
{
    const char *sqlstate = field_of(result, PG_DIAG_SQLSTATE);
    tims_status status;
    if (PQresultStatus(result) == PGRES_EMPTY_QUERY) {
        status = tims_fail(err, TIMS_INTERNAL, NULL, "%s", tims_status_text(TIMS_INTERNAL));
        tims_error_detail(err, "not exactly one statement: %.*s", TIMS_PRINT(sql));
        PQclear(result);
        return status;
    }
    const constraint *why = find_constraint(sqlstate);
    if (why != NULL)
        return constraint_failed(result, why, arena, err);
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strncmp(sqlstate, classes[i].prefix, strlen(classes[i].prefix)) == 0)
            return fail_as(result, &classes[i], err);
    status = fail_internal(result, sql, err);
    PQclear(result);
    return status;
}
