/* migrate_aside.c: what stands on the tables that a step changes, and is no model's.
 *
 * SQLite drops a table's triggers with it, so a rebuild would lose those that an app has made: they are noted
 * before the step and made again after it, unless the step names them, for then it decides. Views stay (the
 * connection renames as older versions did, without looking at them), and afterwards each must still have all
 * that it shows.
 *
 * PostgreSQL keeps triggers, but the functions of the change log name columns. Where a step renames or drops
 * some, the table's go with it; they come back when all is applied, and with them a new epoch, so no client
 * misses what was not logged meanwhile. */
#include "model/migrate_internal.h"

enum { ASIDE_BYTES_MAX = 1 << 20 };

tims_status model__set_aside(tims_db_session *session, tims_arena *arena, tims_str step, tims_str *ret_aside,
                             tims_error *err)
{
    const model__dialect *dialect = model__dialect_of(tims_db_session_dialect(session));
    tims_buf first, later;
    tims_buf_init(&first, arena, ASIDE_BYTES_MAX);
    tims_buf_init(&later, arena, ASIDE_BYTES_MAX);
    tims_db_value value = tims_db_text(step);
    tims_db_rows *rows = NULL;
    tims_status status = tims_db_query(session, tims_str_from(dialect->find_aside), &value, 1, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (tims_db_next(rows)) {
        tims_buf_print(&first, "%S", tims_db_get_text(rows, 0));
        tims_buf_print(&later, "%S", tims_db_get_text(rows, 1));
    }
    status = tims_db_rows_end(&rows, err);
    TIMS_ASSERT(!first.overflow && !later.overflow);
    if (status == TIMS_OK && first.length > 0)
        status = tims_db_script(session, tims_buf_str(&first), err);
    if (status == TIMS_OK)
        *ret_aside = tims_buf_str(&later);
    return status;
}

static tims_status check_view(tims_db_session *session, tims_arena *arena, tims_str name, tims_error *err)
{
    tims_error why = { 0 };
    tims_str sql = tims_print(arena, "SELECT 1 FROM \"%S\" LIMIT 0", name);
    tims_status status = tims_db_script(session, sql, &why);
    if (status == TIMS_OK)
        return TIMS_OK;
    status = tims_fail(err, status, NULL, "the view %.*s no longer fits", TIMS_PRINT(name));
    tims_error_detail(err, "the view %.*s no longer fits: %.120s", TIMS_PRINT(name), why.detail);
    return status;
}

static tims_status check_views(tims_db_session *session, tims_arena *arena, const char *list, tims_error *err)
{
    tims_buf names;
    tims_buf_init(&names, arena, ASIDE_BYTES_MAX);
    tims_db_rows *rows = NULL;
    tims_status status = tims_db_query(session, tims_str_from(list), NULL, 0, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (tims_db_next(rows))
        tims_buf_print(&names, "%S\n", tims_db_get_text(rows, 0));
    status = tims_db_rows_end(&rows, err);
    tims_str rest = tims_buf_str(&names);
    while (status == TIMS_OK && rest.length > 0)
        status = check_view(session, arena, tims_str_cut(&rest, '\n'), err);
    return status;
}

tims_status model__put_back(tims_db_session *session, tims_arena *arena, tims_str aside, tims_error *err)
{
    const model__dialect *dialect = model__dialect_of(tims_db_session_dialect(session));
    tims_status status = TIMS_OK;
    if (aside.length > 0)
        status = tims_db_script(session, aside, err);
    if (status == TIMS_OK && dialect->list_views != NULL)
        status = check_views(session, arena, dialect->list_views, err);
    return status;
}
