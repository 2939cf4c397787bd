/* migrate_steps.c: one migration, step by step.
 *
 * A file is one transaction, with its row in tims_migration, unless it has marks: then each step is one, and
 * how many are done stands in tims_migration_step. So a failure or a crash leaves a database that is exactly
 * at one step or the next, and the next call goes on from there. What has been done is looked up inside the
 * transaction: of two processes that migrate at once, the second waits and then finds it done.
 *
 * CREATE INDEX CONCURRENTLY can be in no transaction. It is the one thing that may be run twice: an index
 * that is there already is left, unless a failure left it invalid; then it is dropped and made again.
 *
 * On PostgreSQL a step waits for its locks a few seconds only, because everybody who comes after it waits
 * too. Then it lets go and tries again. */
#include <stdio.h>
#include <time.h>

#include "model/migrate_internal.h"

enum { STEPS_MAX = 256, ATTEMPTS_MAX = 20, PAUSE_SECONDS = 1 };

typedef struct step {
    tims_str sql;
    bool alone; /* outside of a transaction */
} step;

typedef struct run {
    tims_db_session *session;
    tims_arena *arena;
    const model__dialect *dialect;
    const char *app;
    const model__migration *migration;
    tims_str checksum;
    step steps[STEPS_MAX];
    size_t count, done;
    bool pending;
} run;

/* --- the steps of a file ----------------------------------------------------------------------------- */

static tims_status add_step(run *r, tims_str sql, bool alone, tims_error *err)
{
    if (r->count == STEPS_MAX)
        return tims_fail(err, TIMS_INVALID, NULL, "A migration has at most %d steps.", STEPS_MAX);
    r->steps[r->count++] = (step){ sql, alone };
    return TIMS_OK;
}

/* What a line says of the steps; false: nothing. */
static bool parse_mark(tims_str line, bool *ret_alone, bool *ret_known)
{
    if (!tims_str_starts_with(line, TIMS_STR("-- step:")))
        return false;
    *ret_alone = tims_str_equal(line, TIMS_STR(MODEL__STEP_ALONE));
    *ret_known = *ret_alone || tims_str_equal(line, TIMS_STR(MODEL__STEP_TRANSACTION));
    return true;
}

static tims_status parse_steps(run *r, tims_str text, tims_error *err)
{
    size_t begin = 0;
    bool alone = false, next_alone, known;
    tims_status status = TIMS_OK;
    for (size_t at = 0; at < text.length && status == TIMS_OK;) {
        size_t length = tims_str_find(tims_str_slice(text, at, text.length), TIMS_STR("\n"));
        size_t end = length == SIZE_MAX ? text.length : at + length;
        tims_str line = tims_str_trim(tims_str_slice(text, at, end));
        if (parse_mark(line, &next_alone, &known)) {
            if (!known)
                return tims_fail(err, TIMS_INVALID, NULL,
                                 "“%.*s” is no mark of a step: they are “%s” and “%s”.",
                                 (int)(line.length < 60 ? line.length : 60), line.data,
                                 MODEL__STEP_TRANSACTION, MODEL__STEP_ALONE);
            tims_str before = tims_str_slice(text, begin, at);
            if (begin > 0 || tims_str_trim(before).length > 0)
                status = add_step(r, before, alone, err);
            alone = next_alone;
            begin = end;
        }
        at = end + 1;
    }
    return status == TIMS_OK ? add_step(r, tims_str_slice(text, begin, text.length), alone, err) : status;
}

/* --- what is done ------------------------------------------------------------------------------------ */

static tims_status read_progress(run *r, tims_error *err)
{
    tims_db_value key[] = { tims_db_text(tims_str_from(r->app)), tims_db_text(r->migration->name) };
    tims_db_rows *rows = NULL;
    tims_str sql = TIMS_STR("SELECT checksum, done FROM tims_migration_step WHERE app = ?1 AND name = ?2");
    tims_status status = tims_db_query(r->session, sql, key, 2, &rows, err);
    if (status != TIMS_OK)
        return status;
    bool same = true;
    r->done = 0;
    if (tims_db_next(rows)) {
        same = tims_str_equal(tims_db_get_text(rows, 0), r->checksum);
        r->done = (size_t)tims_db_get_int(rows, 1);
    }
    status = tims_db_rows_end(&rows, err);
    if (status == TIMS_OK && (!same || r->done >= r->count))
        return tims_fail(err, TIMS_CONFLICT, "migration_edited",
                         "it was edited after %zu of its steps had been applied: restore it", r->done);
    return status;
}

/* What is to be done, as the open transaction sees it. */
static tims_status look(run *r, tims_error *err)
{
    model__record record;
    tims_status status = model__record_read(r->session, r->arena, &record, err);
    if (status != TIMS_OK)
        return status;
    r->pending = !model__record_has(&record, r->app, r->migration->name);
    return r->pending ? read_progress(r, err) : TIMS_OK;
}

/* One more step, in the open transaction. */
static tims_status record_step(run *r, tims_error *err)
{
    bool last = r->done + 1 == r->count;
    tims_db_value values[] = { tims_db_text(tims_str_from(r->app)), tims_db_text(r->migration->name),
                               tims_db_text(r->checksum),
                               tims_db_int(last ? tims_now().us : (int64_t)r->done + 1) };
    if (!last)
        return tims_db_run(r->session,
                           TIMS_STR("INSERT INTO tims_migration_step (app, name, checksum, done) VALUES "
                                    "(?1, ?2, ?3, ?4) ON CONFLICT (app, name) DO UPDATE SET done = "
                                    "excluded.done"),
                           values, 4, NULL, err);
    tims_status status =
        tims_db_run(r->session, TIMS_STR("DELETE FROM tims_migration_step WHERE app = ?1 AND name = ?2"),
                    values, 2, NULL, err);
    if (status != TIMS_OK)
        return status;
    return tims_db_run(
        r->session,
        TIMS_STR("INSERT INTO tims_migration (app, name, checksum, applied_at) VALUES (?1, ?2, ?3, ?4)"),
        values, 4, NULL, err);
}

/* --- running ----------------------------------------------------------------------------------------- */

tims_status model__begin_step(tims_db_session *session, tims_error *err)
{
    const model__dialect *dialect = model__dialect_of(tims_db_session_dialect(session));
    tims_status status = tims_db_begin_schema(session, err);
    return status == TIMS_OK ? tims_db_script(session, tims_str_from(dialect->step_start), err) : status;
}

/* An index that a failure left behind is in nobody's use, and in the way. */
static tims_status drop_invalid_indexes(run *r, tims_str sql, tims_error *err)
{
    tims_db_rows *rows = NULL;
    tims_db_value value = tims_db_text(sql);
    tims_buf drops;
    tims_buf_init(&drops, r->arena, 1 << 16);
    tims_status status =
        tims_db_query(r->session, tims_str_from(r->dialect->find_invalid_indexes), &value, 1, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (tims_db_next(rows))
        tims_buf_print(&drops, "DROP INDEX CONCURRENTLY \"%S\"\n", tims_db_get_text(rows, 0));
    status = tims_db_rows_end(&rows, err);
    for (tims_str rest = tims_buf_str(&drops); status == TIMS_OK && rest.length > 0;)
        status = tims_db_script_alone(r->session, tims_str_cut(&rest, '\n'), err);
    return status;
}

static tims_status run_inside(run *r, tims_str sql, tims_error *err)
{
    tims_str aside;
    tims_status status = model__set_aside(r->session, r->arena, sql, &aside, err);
    if (status == TIMS_OK)
        status = tims_db_script(r->session, sql, err);
    if (status == TIMS_OK)
        status = model__put_back(r->session, r->arena, aside, err);
    return status;
}

/* Ends the transaction that looked, and leaves one to record in. */
static tims_status run_outside(run *r, tims_str sql, tims_error *err)
{
    tims_db_rollback(r->session);
    if (r->dialect->find_invalid_indexes == NULL)
        return tims_fail(err, TIMS_INVALID, NULL, "%s runs every step in a transaction", r->dialect->title);
    tims_status status = drop_invalid_indexes(r, sql, err);
    if (status == TIMS_OK)
        status = tims_db_script_alone(r->session, sql, err);
    return status == TIMS_OK ? model__begin_step(r->session, err) : status;
}

/* The next step; `pending` false: there was none left. */
static tims_status run_next(void *argument, tims_error *err)
{
    run *r = argument;
    tims_status status = model__begin_step(r->session, err);
    if (status == TIMS_OK)
        status = look(r, err);
    if (status == TIMS_OK && r->pending) {
        const step *next = &r->steps[r->done];
        status = next->alone ? run_outside(r, next->sql, err) : run_inside(r, next->sql, err);
        if (status == TIMS_OK)
            status = record_step(r, err);
        if (status == TIMS_OK)
            return tims_db_commit(r->session, err);
    }
    if (tims_db_in_transaction(r->session))
        tims_db_rollback(r->session);
    return status;
}

static bool is_in_use(const tims_error *err)
{
    return err->code != NULL &&
           (strcmp(err->code, "database_busy") == 0 || strcmp(err->code, "serialization") == 0);
}

tims_status model__patiently(tims_db_session *session,
                             tims_status (*attempt)(void *argument, tims_error *err), void *argument,
                             tims_error *err)
{
    for (int left = ATTEMPTS_MAX;; left--) {
        *err = (tims_error){ 0 };
        tims_status status = attempt(argument, err);
        if (status == TIMS_OK || !is_in_use(err) || tims_db_session_dialect(session) == TIMS_SQLITE)
            return status;
        if (left == 1)
            return tims_fail(
                err, status, "database_busy",
                "others hold its tables, %d times in a row; end what has been open for long and run "
                "`migrate` again",
                ATTEMPTS_MAX);
        (void)nanosleep(&(struct timespec){ .tv_sec = PAUSE_SECONDS }, NULL);
    }
}

static tims_status name_the_file(const run *r, tims_status status, const tims_error *why, tims_error *err)
{
    char where[48] = "";
    if (r->count > 1)
        (void)snprintf(where, sizeof where, ", step %zu of %zu,", r->done + 1, r->count);
    tims_status named =
        tims_fail(err, status, why->code, "The migration %.60s/%.60s%s cannot be applied: %.110s", r->app,
                  r->migration->file->name, where, why->detail[0] != '\0' ? why->detail : why->message);
    tims_error_detail(err, "%s", why->detail);
    return named;
}

tims_status model__run_migration(tims_db_session *session, tims_arena *arena, const char *app,
                                 const model__migration *migration, bool *ret_applied, tims_error *err)
{
    run *r = TIMS_NEW(arena, run);
    *r = (run){ .session = session,
                .arena = arena,
                .dialect = model__dialect_of(tims_db_session_dialect(session)),
                .app = app,
                .migration = migration,
                .checksum = model__checksum(arena, migration->file),
                .pending = true };
    tims_error why = { 0 };
    tims_status status = parse_steps(r, (tims_str){ migration->file->data, migration->file->length }, &why);
    for (bool last = false; status == TIMS_OK && r->pending && !last; last = r->done + 1 == r->count)
        status = model__patiently(session, run_next, r, &why);
    if (status != TIMS_OK)
        return name_the_file(r, status, &why, err);
    *ret_applied = r->pending;
    return TIMS_OK;
}
