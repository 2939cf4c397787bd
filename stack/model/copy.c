/* copy.c: all rows of a database into another one, whichever two they are.
 *
 * The source is read in one snapshot, so it may be in use meanwhile. Everything that is done to the target is
 * one transaction: it holds the whole copy in the end, or what it held before. Tables go parents before
 * children, in batches by primary key; references that point backwards are checked at the end. The change
 * log's triggers are away meanwhile, for nobody can make something of a log that tells every row there is;
 * the target's epoch is made anew instead, so that clients fetch.
 *
 * A table is read again from the target when its rows are there, and compared by count and checksum. A
 * checksum is the sum of its rows' hashes, over values as a session gives them: the same for both databases,
 * and in any order. It finds what a driver or a column has changed on the way; it is no protection from
 * somebody who wants two tables to look alike. */
#include <inttypes.h>

#include "model/change_internal.h"
#include "model/model_internal.h"

enum {
    VALUES_OF_BATCH = 2000,
    BATCH_BYTES = 8 << 20, /* of values; the last row may pass it */
    BATCH_MEMORY_MAX = 512 << 20,
    ROW_BYTES_MAX = 256 << 20,
    SCRIPT_BYTES_MAX = 1 << 20
};

typedef struct table_sum {
    int64_t rows;
    uint64_t lanes[2];
} table_sum;

typedef struct batch {
    tims_db_value *values; /* `capacity` rows of a value a column */
    size_t rows, capacity, bytes;
    tims_id last; /* the primary key of the last row */
    bool ended;   /* the table has no more */
} batch;

typedef struct copy {
    tims_db_session *source, *target;
    tims_arena *arena, *scratch; /* scratch: of a batch */
    const tims_models *models;
    const tims_copy_options *options;
    tims_buf defer, restore; /* what makes backward references wait, and ends that */
    tims_copy_progress progress;
    tims_error *err;
} copy;

/* --- checksums ---------------------------------------------------------------------------------- */

static void append_value(tims_buf *out, const tims_db_value *value)
{
    tims_buf_append_char(out, (char)value->type);
    switch (value->type) {
    case TIMS_DB_INT:
        tims_buf_append(out, &value->integer, sizeof value->integer);
        break;
    case TIMS_DB_DOUBLE:
        tims_buf_append(out, &value->real, sizeof value->real);
        break;
    case TIMS_DB_TEXT:
    case TIMS_DB_BLOB:
        tims_buf_append(out, &value->bytes.length, sizeof value->bytes.length);
        tims_buf_append_str(out, value->bytes);
        break;
    case TIMS_DB_NULL:
        break;
    }
}

static void add_row(table_sum *sum, tims_arena *scratch, const tims_db_value *values, size_t count)
{
    static const uint64_t seeds[2][2] = { { 1, 2 }, { 3, 4 } };
    tims_buf row;
    tims_buf_init(&row, scratch, ROW_BYTES_MAX);
    for (size_t i = 0; i < count; i++)
        append_value(&row, &values[i]);
    tims_str bytes = tims_buf_str(&row);
    for (int lane = 0; lane < 2; lane++)
        sum->lanes[lane] += tims_hash(bytes.data, bytes.length, seeds[lane]);
    sum->rows++;
}

/* --- reading ------------------------------------------------------------------------------------ */

static tims_status fail_at(copy *c, const tims_model *model, const tims_field *field, tims_str key)
{
    return tims_fail(c->err, TIMS_INVALID, "copy_value",
                     "Table %s, row %.*s: \"%s\" is no value of its kind.", model->name, TIMS_PRINT(key),
                     field->name);
}

/* An id that was written by hand may be none, or not as ids are written. */
static bool is_exact(const tims_field *field, const tims_db_rows *rows, int column,
                     const tims_db_value *value)
{
    if (tims_kind_base(field->kind) != TIMS_KIND_ID || value->type == TIMS_DB_NULL)
        return true;
    return tims_str_equal(tims_db_get_text(rows, column), (tims_str){ value->id_text, TIMS_ID_TEXT_LENGTH });
}

static tims_status read_row(copy *c, const tims_model *model, const tims_db_rows *rows, batch *b)
{
    size_t count = model->fields.count;
    tims_db_value *values = b->values + b->rows * count;
    for (size_t i = 0; i < count; i++) {
        const tims_field *field = &model->fields.items[i];
        values[i] = model__column_value(c->scratch, field, rows, (int)i);
        if (!is_exact(field, rows, (int)i, &values[i]))
            return fail_at(c, model, field,
                           tims_db_get_text(rows, (int)(tims_model_primary(model) - model->fields.items)));
        if (field->primary)
            b->last = tims_db_get_id(rows, (int)i);
        b->bytes += values[i].bytes.length;
    }
    b->rows++;
    return TIMS_OK;
}

static tims_str batch_sql(copy *c, const tims_model *model, bool first, size_t limit)
{
    const char *key = tims_model_primary(model)->name;
    tims_buf out;
    tims_buf_init(&out, c->arena, MODEL__SQL_BYTES_MAX);
    tims_buf_print(&out, "SELECT ");
    for (size_t i = 0; i < model->fields.count; i++)
        tims_buf_print(&out, "%s\"%s\"", i > 0 ? ", " : "", model->fields.items[i].name);
    tims_buf_print(&out, " FROM \"%s\"", model->name);
    if (!first)
        tims_buf_print(&out, " WHERE \"%s\" > ?1", key);
    tims_buf_print(&out, " ORDER BY \"%s\" LIMIT %zu", key, limit);
    return tims_buf_str(&out);
}

/* The rows behind `b->last` (all, when `first`), as many as a batch holds. */
static tims_status read_batch(copy *c, tims_db_session *from, const tims_model *model, tims_str sql,
                              bool first, batch *b)
{
    tims_db_value after = tims_db_id(b->last);
    tims_db_rows *rows = NULL;
    tims_status status = tims_db_query(from, sql, &after, first ? 0 : 1, &rows, c->err);
    if (status != TIMS_OK)
        return status;
    tims_arena_reset(c->scratch);
    b->values = TIMS_NEW_ARRAY(c->scratch, tims_db_value, b->capacity * model->fields.count);
    b->rows = b->bytes = 0;
    bool more = true;
    while (status == TIMS_OK && b->bytes < BATCH_BYTES && (more = tims_db_next(rows)))
        status = read_row(c, model, rows, b);
    b->ended = !more && b->rows < b->capacity;
    tims_status ended = tims_db_rows_end(&rows, status == TIMS_OK ? c->err : NULL);
    return status != TIMS_OK ? status : ended;
}

/* --- writing ------------------------------------------------------------------------------------ */

static tims_status insert_batch(copy *c, const tims_model *model, const batch *b)
{
    size_t columns = model->fields.count;
    tims_buf sql;
    tims_buf_init(&sql, c->scratch, MODEL__SQL_BYTES_MAX);
    tims_buf_print(&sql, "INSERT INTO \"%s\" (", model->name);
    for (size_t i = 0; i < columns; i++)
        tims_buf_print(&sql, "%s\"%s\"", i > 0 ? ", " : "", model->fields.items[i].name);
    tims_buf_print(&sql, ") VALUES ");
    for (size_t i = 0; i < b->rows * columns; i++)
        tims_buf_print(&sql, "%s?%zu%s",
                       i % columns > 0 ? ", "
                       : i > 0         ? ", ("
                                       : "(",
                       i + 1, i % columns == columns - 1 ? ")" : "");
    tims_status status =
        tims_db_run(c->target, tims_buf_str(&sql), b->values, b->rows * columns, NULL, c->err);
    if (status != TIMS_OK && c->err != NULL)
        tims_error_detail(c->err, "table %s, in the %zu rows up to %.*s", model->name, b->rows,
                          TIMS_ID_TEXT_LENGTH, tims_db_id(b->last).id_text);
    return status;
}

static void tell(copy *c, size_t rows)
{
    c->progress.steps_done += (int64_t)rows;
    if (c->options->on_progress != NULL)
        c->options->on_progress(c->options->argument, &c->progress);
}

/* Through all rows of a table, with or without writing them to the target. */
static tims_status walk(copy *c, tims_db_session *from, const tims_model *model, bool write, table_sum *sum)
{
    batch b = { .capacity = VALUES_OF_BATCH / model->fields.count };
    tims_str sqls[] = { batch_sql(c, model, true, b.capacity), batch_sql(c, model, false, b.capacity) };
    for (bool first = true; !b.ended; first = false) {
        tims_status status = read_batch(c, from, model, sqls[first ? 0 : 1], first, &b);
        if (status == TIMS_OK && write && b.rows > 0)
            status = insert_batch(c, model, &b);
        if (status != TIMS_OK)
            return status;
        for (size_t i = 0; i < b.rows; i++)
            add_row(sum, c->scratch, b.values + i * model->fields.count, model->fields.count);
        tell(c, b.rows);
    }
    return TIMS_OK;
}

static tims_status copy_table(copy *c, const tims_model *model)
{
    table_sum wanted = { 0 }, found = { 0 };
    c->progress.model = model;
    c->progress.table_done = false;
    tims_status status = walk(c, c->source, model, true, &wanted);
    if (status == TIMS_OK)
        status = walk(c, c->target, model, false, &found);
    if (status != TIMS_OK)
        return status;
    if (found.rows != wanted.rows || memcmp(found.lanes, wanted.lanes, sizeof found.lanes) != 0)
        return tims_fail(c->err, TIMS_CONFLICT, "copy_differs",
                         "Table %s is not what it was: %" PRId64 " rows of %" PRId64
                         " arrived, or a value has changed on the way. Nothing was kept.",
                         model->name, found.rows, wanted.rows);
    c->progress.table_done = true;
    c->progress.table_rows = found.rows;
    memcpy(c->progress.table_sum, found.lanes, sizeof found.lanes);
    tell(c, 0);
    return TIMS_OK;
}

/* --- around the rows ---------------------------------------------------------------------------- */

static size_t place_of(const copy *c, tims_str table)
{
    size_t place = 0;
    while (place < tims_models_count(c->models) &&
           !tims_str_equal(table, tims_str_from(tims_models_at(c->models, place)->name)))
        place++;
    return place;
}

/* References to the same table or to one that comes later cannot hold while rows come in: they are checked at
 * the end. SQLite does so with all of them in such a transaction. */
static tims_status find_backward_references(copy *c)
{
    tims_buf_init(&c->defer, c->arena, SCRIPT_BYTES_MAX);
    tims_buf_init(&c->restore, c->arena, SCRIPT_BYTES_MAX);
    if (tims_db_session_dialect(c->target) != TIMS_POSTGRES)
        return TIMS_OK;
    tims_db_rows *rows = NULL;
    tims_status status = tims_db_query(
        c->target,
        TIMS_STR("SELECT t.relname, c.conname, r.relname FROM pg_constraint c JOIN pg_class t ON t.oid = "
                 "c.conrelid JOIN pg_class r ON r.oid = c.confrelid WHERE c.contype = 'f' AND NOT "
                 "c.condeferrable AND c.connamespace = current_schema()::regnamespace"),
        NULL, 0, &rows, c->err);
    if (status != TIMS_OK)
        return status;
    tims_buf_print(&c->restore, "SET CONSTRAINTS ALL IMMEDIATE;\n");
    while (tims_db_next(rows)) {
        tims_str table = tims_db_get_text(rows, 0), name = tims_db_get_text(rows, 1);
        if (place_of(c, tims_db_get_text(rows, 2)) < place_of(c, table))
            continue;
        const char *step = "ALTER TABLE \"%S\" ALTER CONSTRAINT \"%S\" %s;\n";
        tims_buf_print(&c->defer, step, table, name, "DEFERRABLE INITIALLY DEFERRED");
        tims_buf_print(&c->restore, step, table, name, "NOT DEFERRABLE");
    }
    return tims_db_rows_end(&rows, c->err);
}

static tims_status run_script(copy *c, tims_buf *script)
{
    TIMS_ASSERT(!script->overflow);
    return script->length > 0 ? tims_db_script(c->target, tims_buf_str(script), c->err) : TIMS_OK;
}

static tims_status prepare_target(copy *c)
{
    tims_db_dialect dialect = tims_db_session_dialect(c->target);
    tims_buf script;
    tims_buf_init(&script, c->arena, SCRIPT_BYTES_MAX);
    model__trigger *triggers;
    size_t count = model__triggers(c->arena, c->models, dialect, &triggers);
    for (size_t i = 0; i < count; i++)
        model__log_of(dialect)->add_drop(&script, triggers[i].name);
    for (size_t m = tims_models_count(c->models); m > 0; m--)
        tims_buf_print(&script, "DELETE FROM \"%s\";\n", tims_models_at(c->models, m - 1)->name);
    tims_status status = find_backward_references(c);
    if (status == TIMS_OK)
        status = run_script(c, &script);
    return status == TIMS_OK ? run_script(c, &c->defer) : status;
}

static tims_status finish_target(copy *c)
{
    tims_db_dialect dialect = tims_db_session_dialect(c->target);
    tims_buf script;
    tims_buf_init(&script, c->arena, MODEL__CHANGE_DDL_BYTES_MAX + SCRIPT_BYTES_MAX);
    tims_buf_append_str(&script, tims_buf_str(&c->restore));
    tims_buf_append_str(&script, tims_change_ddl(c->arena, c->models, dialect));
    tims_str epoch;
    tims_status status = run_script(c, &script);
    if (status == TIMS_OK)
        status = tims_epoch(c->target, c->arena, &epoch, c->err);
    return status == TIMS_OK ? tims_epoch_renew(c->target, epoch, c->err) : status;
}

/* Each row is read twice: in the source, and in the target. */
static tims_status count_steps(copy *c)
{
    for (size_t m = 0; m < tims_models_count(c->models); m++) {
        tims_query query;
        int64_t rows;
        tims_query_init(&query, tims_models_at(c->models, m), (tims_caller){ .trusted = true });
        tims_status status = tims_query_count(c->source, c->arena, &query, &rows, c->err);
        if (status != TIMS_OK)
            return status;
        c->progress.steps += 2 * rows;
    }
    return TIMS_OK;
}

static tims_status copy_all(copy *c)
{
    tims_status status = count_steps(c);
    if (status == TIMS_OK)
        status = prepare_target(c);
    for (size_t m = 0; m < tims_models_count(c->models) && status == TIMS_OK; m++)
        status = copy_table(c, tims_models_at(c->models, m));
    return status == TIMS_OK ? finish_target(c) : status;
}

static void free_scratch(void *argument)
{
    tims_arena *scratch = argument;
    tims_arena_free(&scratch);
}

tims_status tims_copy_rows(tims_db *source, tims_db *target, tims_arena *arena, const tims_models *models,
                           const tims_copy_options *options, tims_error *err)
{
    copy c = { .source = tims_db_session_new(source, NULL, arena),
               .target = tims_db_session_new(target, NULL, arena),
               .arena = arena,
               .scratch = tims_arena_new(BATCH_MEMORY_MAX, NULL, NULL),
               .models = models,
               .options = options,
               .err = err };
    tims_arena_defer(arena, free_scratch, c.scratch);
    tims_status status = tims_db_begin_snapshot(c.source, err);
    if (status != TIMS_OK)
        return status;
    status = tims_db_begin_schema(c.target, err);
    if (status == TIMS_OK) {
        status = copy_all(&c);
        if (status == TIMS_OK)
            status = tims_db_commit(c.target, err);
        else
            tims_db_rollback(c.target);
    }
    tims_db_end_snapshot(c.source);
    return status;
}
