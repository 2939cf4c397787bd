/* migrate_triggers.c */
#include "model/migrate_internal.h"

static bool is_expected(const model__trigger *triggers, size_t count, tims_str name, tims_str sql)
{
    for (size_t i = 0; i < count; i++)
        if (tims_str_equal(triggers[i].name, name))
            return tims_str_equal(triggers[i].sql, sql);
    return false;
}

tims_status model__triggers_current(tims_db_session *session, tims_arena *arena, const tims_models *models,
                                    bool *ret_current, tims_error *err)
{
    bool log_exists = false;
    tims_status status = model__table_exists(session, TIMS_STR("tims_change"), &log_exists, err);
    if (status != TIMS_OK)
        return status;
    model__trigger *triggers;
    size_t count = model__triggers(arena, models, &triggers), found = 0;
    tims_db_rows *rows = NULL;
    tims_str sql =
        TIMS_STR("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND name GLOB 'tims_change_*'");
    status = tims_db_query(session, sql, NULL, 0, &rows, err);
    if (status != TIMS_OK)
        return status;
    bool all_expected = true;
    while (tims_db_next(rows)) {
        found++;
        all_expected &= is_expected(triggers, count, tims_db_get_text(rows, 0), tims_db_get_text(rows, 1));
    }
    status = tims_db_rows_end(&rows, err);
    if (status == TIMS_OK)
        *ret_current = log_exists && all_expected && found == count;
    return status;
}

/* Triggers of models that are no more, or no more live. */
static tims_status add_drops(tims_db_session *session, tims_buf *out, tims_error *err)
{
    tims_db_rows *rows = NULL;
    tims_str sql =
        TIMS_STR("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name GLOB 'tims_change_*'");
    tims_status status = tims_db_query(session, sql, NULL, 0, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (tims_db_next(rows))
        tims_buf_print(out, "DROP TRIGGER \"%S\";\n", tims_db_get_text(rows, 0));
    return tims_db_rows_end(&rows, err);
}

tims_status model__triggers_refresh(tims_db_session *session, tims_arena *arena, const tims_models *models,
                                    bool new_epoch, tims_error *err)
{
    bool current = false;
    tims_status status = model__triggers_current(session, arena, models, &current, err);
    if (status != TIMS_OK || (current && !new_epoch))
        return status;
    status = tims_db_begin_schema(session, err);
    if (status != TIMS_OK)
        return status;
    tims_buf drops;
    tims_buf_init(&drops, arena, 1 << 20);
    status = add_drops(session, &drops, err);
    if (status == TIMS_OK && drops.length > 0)
        status = tims_db_script(session, tims_buf_str(&drops), err);
    if (status == TIMS_OK)
        status = tims_db_script(session, tims_change_ddl(arena, models, TIMS_SQLITE), err);
    if (status == TIMS_OK && new_epoch)
        status = tims_db_run(
            session, TIMS_STR("UPDATE tims_meta SET value = lower(hex(randomblob(8))) WHERE key = 'epoch'"),
            NULL, 0, NULL, err);
    if (status != TIMS_OK) {
        tims_db_rollback(session);
        return status;
    }
    return tims_db_commit(session, err);
}
