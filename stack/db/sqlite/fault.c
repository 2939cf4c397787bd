/* fault.c: SQLite's result codes as statuses, and its constraint messages as columns.
 *
 * SQLite names the columns of a failed constraint only in its message ("UNIQUE constraint failed:
 * member.chat, member.user"), so the message is read. A CHECK names its constraint: the stack names them like
 * their column. A foreign key names nothing: the model room, which knows the references, finds out which one
 * it was. */
#include "sqlite_internal.h"

typedef struct constraint {
    int code;
    const char *name;
    const char *sentence;
} constraint;

static const constraint constraints[] = {
    { SQLITE_CONSTRAINT_UNIQUE, "unique", "Something else already has this value." },
    { SQLITE_CONSTRAINT_PRIMARYKEY, "unique", "Something else already has this value." },
    { SQLITE_CONSTRAINT_ROWID, "unique", "Something else already has this value." },
    { SQLITE_CONSTRAINT_FOREIGNKEY, "foreign_key",
      "It refers to something that is not there, or is still referred to." },
    { SQLITE_CONSTRAINT_NOTNULL, "not_null", "A value is missing." },
    { SQLITE_CONSTRAINT_CHECK, "check", "A value is not allowed here." },
    { SQLITE_CONSTRAINT_DATATYPE, "check", "A value is of the wrong type." },
};

/* ON DELETE RESTRICT is a trigger to SQLite, and only its message tells it from one of the app's. */
static const constraint *find_constraint(int code, const char *message)
{
    if (code == SQLITE_CONSTRAINT_TRIGGER &&
        tims_str_equal(tims_str_from(message), TIMS_STR("FOREIGN KEY constraint failed")))
        code = SQLITE_CONSTRAINT_FOREIGNKEY;
    for (size_t i = 0; i < sizeof constraints / sizeof *constraints; i++)
        if (constraints[i].code == code)
            return &constraints[i];
    static const constraint other = { 0, "check", "A value is not allowed here." };
    return &other;
}

static void add_column(tims_arena *arena, tims_error *err, tims_field_error **last, tims_str column,
                       const constraint *why)
{
    tims_field_error *field = TIMS_NEW(arena, tims_field_error);
    field->pointer = tims_print(arena, "/%S", column);
    field->code = why->name;
    field->message = tims_str_from(why->sentence);
    *(*last != NULL ? &(*last)->next : &err->fields) = field;
    *last = field;
}

/* "table.column, table.column", or a constraint's name alone. */
static void add_columns(tims_arena *arena, tims_error *err, tims_str list, const constraint *why)
{
    tims_field_error *last = NULL;
    while (list.data != NULL && list.length > 0) {
        tims_str one = tims_str_trim(tims_str_cut(&list, ','));
        size_t dot = tims_str_find(one, TIMS_STR("."));
        if (dot != SIZE_MAX)
            one = tims_str_slice(one, dot + 1, one.length);
        if (one.length > 0)
            add_column(arena, err, &last, one, why);
    }
}

static tims_status constraint_failed(sqlite__connection *connection, int code, tims_arena *arena,
                                     tims_error *err)
{
    const char *message = sqlite3_errmsg(connection->handle);
    const constraint *why = find_constraint(code, message);
    tims_status status = tims_fail(err, TIMS_CONFLICT, why->name, "%s", why->sentence);
    if (err == NULL)
        return status;
    tims_error_detail(err, "%s", message);
    err->fields = NULL;
    tims_str text = tims_str_from(message);
    size_t colon = tims_str_find(text, TIMS_STR("failed: "));
    if (arena == NULL)
        return status;
    if (colon != SIZE_MAX) {
        /* Copied: the message belongs to the connection. */
        tims_str list = tims_copy(arena, tims_str_slice(text, colon + 8, text.length));
        add_columns(arena, err, list, why);
    } else if (code == SQLITE_CONSTRAINT_DATATYPE) {
        size_t dot = tims_str_find(text, TIMS_STR(" column "));
        if (dot != SIZE_MAX)
            add_columns(arena, err, tims_copy(arena, tims_str_slice(text, dot + 8, text.length)), why);
    }
    return status;
}

tims_status sqlite__fault(sqlite__connection *connection, int code, tims_arena *arena, tims_error *err)
{
    const char *message =
        connection->handle != NULL ? sqlite3_errmsg(connection->handle) : sqlite3_errstr(code);
    tims_status status;
    if (code == SQLITE_READONLY && !connection->writes) {
        status = tims_fail(err, TIMS_INTERNAL, NULL, "%s", tims_status_text(TIMS_INTERNAL));
        tims_error_detail(err, "a statement that writes needs a transaction");
        return status;
    }
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
        return constraint_failed(connection, code, arena, err);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        status = tims_fail(err, TIMS_UNAVAILABLE, "database_busy",
                           "The database is being written by another program; try again shortly.");
        break;
    case SQLITE_FULL:
        status = tims_fail(err, TIMS_UNAVAILABLE, "disk_full", "The disk is full; nothing was written.");
        break;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_PERM:
    case SQLITE_PROTOCOL:
    case SQLITE_NOLFS:
    case SQLITE_NOMEM:
    case SQLITE_AUTH:
        status = tims_fail(err, TIMS_UNAVAILABLE, "database", "The database cannot be used right now.");
        break;
    case SQLITE_INTERRUPT:
        status = tims_fail(err, TIMS_TIMEOUT, NULL, "The statement took too long.");
        break;
    case SQLITE_TOOBIG:
        status = tims_fail(err, TIMS_TOO_LARGE, NULL, "A value is too large for the database.");
        break;
    default:
        status = tims_fail(err, TIMS_INTERNAL, NULL, "%s", tims_status_text(TIMS_INTERNAL));
        break;
    }
    tims_error_detail(err, "sqlite %d: %s", code, message);
    return status;
}
