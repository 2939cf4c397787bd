/* migrate_triggers.c: the change log's tables and triggers, kept as the models want them.
 *
 * They are no migrations: they follow from the models, and are made anew whenever they differ. */
#include "model/change_internal.h"

size_t model__triggers(tims_arena *arena, const tims_models *models, tims_db_dialect dialect,
                       model__trigger **ret_triggers)
{
    size_t count = 0;
    model__trigger *triggers =
        TIMS_NEW_ARRAY(arena, model__trigger, tims_models_count(models) * MODEL__TRIGGERS_A_MODEL + 1);
    for (size_t m = 0; m < tims_models_count(models); m++) {
        const tims_model *model = tims_models_at(models, m);
        if (model->not_live)
            continue;
        model__log_of(dialect)->add_triggers(arena, model, triggers + count);
        count += MODEL__TRIGGERS_A_MODEL;
    }
    *ret_triggers = triggers;
    return count;
}

tims_str tims_change_ddl(tims_arena *arena, const tims_models *models, tims_db_dialect dialect)
{
    const model__log *log = model__log_of(dialect);
    tims_buf out;
    tims_buf_init(&out, arena, MODEL__CHANGE_DDL_BYTES_MAX);
    tims_buf_print(&out, "%S", log->tables);
    model__trigger *triggers;
    size_t count = model__triggers(arena, models, dialect, &triggers);
    for (size_t i = 0; i < count; i++) {
        log->add_drop(&out, triggers[i].name);
        log->add_create(&out, &triggers[i]);
    }
    TIMS_ASSERT(!out.overflow);
    return tims_buf_str(&out);
}

static bool is_expected(const model__trigger *triggers, size_t count, tims_str name, tims_str sql)
{
    for (size_t i = 0; i < count; i++)
        if (tims_str_equal(triggers[i].name, name))
            return tims_str_equal(triggers[i].sql, sql);
    return false;
}

static tims_status tables_exist(tims_db_session *session, bool *ret_exist, tims_error *err)
{
    tims_status status = model__table_exists(session, TIMS_STR("tims_change"), ret_exist, err);
    if (status == TIMS_OK && *ret_exist)
        status = model__table_exists(session, TIMS_STR("tims_mark"), ret_exist, err);
    return status;
}

tims_status model__triggers_current(tims_db_session *session, tims_arena *arena, const tims_models *models,
                                    bool *ret_current, tims_error *err)
{
    bool log_exists = false;
    tims_status status = tables_exist(session, &log_exists, err);
    if (status != TIMS_OK)
        return status;
    tims_db_dialect dialect = tims_db_session_dialect(session);
    model__trigger *triggers;
    size_t count = model__triggers(arena, models, dialect, &triggers), found = 0;
    tims_db_rows *rows = NULL;
    status = tims_db_query(session, model__log_of(dialect)->list_triggers, NULL, 0, &rows, err);
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
    const model__log *log = model__log_of(tims_db_session_dialect(session));
    tims_db_rows *rows = NULL;
    tims_status status = tims_db_query(session, log->list_triggers, NULL, 0, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (tims_db_next(rows))
        log->add_drop(out, tims_db_get_text(rows, 0));
    return tims_db_rows_end(&rows, err);
}

static tims_status make_anew(tims_db_session *session, tims_arena *arena, const tims_models *models,
                             tims_error *err)
{
    tims_buf drops;
    tims_buf_init(&drops, arena, 1 << 20);
    tims_status status = add_drops(session, &drops, err);
    if (status == TIMS_OK && drops.length > 0)
        status = tims_db_script(session, tims_buf_str(&drops), err);
    if (status == TIMS_OK)
        status =
            tims_db_script(session, tims_change_ddl(arena, models, tims_db_session_dialect(session)), err);
    return status;
}

typedef struct refresh {
    tims_db_session *session;
    tims_arena *arena;
    const tims_models *models;
    bool new_epoch;
} refresh;

/* What is as it should be is not touched: the triggers of a table cannot be made anew while it is in use.
 * What was not may have missed changes, so the log begins a new epoch. */
static tims_status try_refresh(void *argument, tims_error *err)
{
    refresh *r = argument;
    bool current = false;
    tims_status status = model__triggers_current(r->session, r->arena, r->models, &current, err);
    if (status != TIMS_OK || (current && !r->new_epoch))
        return status;
    status = model__begin_step(r->session, err);
    if (status == TIMS_OK && !current)
        status = make_anew(r->session, r->arena, r->models, err);
    if (status == TIMS_OK)
        status = tims_db_run(r->session, model__log_of(tims_db_session_dialect(r->session))->renew_epoch,
                             NULL, 0, NULL, err);
    if (status == TIMS_OK)
        return tims_db_commit(r->session, err);
    if (tims_db_in_transaction(r->session))
        tims_db_rollback(r->session);
    return status;
}

tims_status model__triggers_refresh(tims_db_session *session, tims_arena *arena, const tims_models *models,
                                    bool new_epoch, tims_error *err)
{
    refresh r = { session, arena, models, new_epoch };
    tims_error why = { 0 };
    tims_status status = model__patiently(session, try_refresh, &r, &why);
    if (status != TIMS_OK && err != NULL)
        *err = why;
    return status;
}
