/* migrate_plan.c: from one schema to the next, as SQL that a person reads before it is committed.
 *
 * SQLite can add simple columns, rename columns and make and drop indexes in place. Everything else is a
 * rebuild by SQLite's own book: a new table, the rows copied, the old one dropped, the new one renamed;
 * foreign keys are off meanwhile (tims_db_begin_schema) and checked as a whole at the end. A table is rebuilt
 * once per migration, however much has changed in it. A rename is never guessed: without a hint a column that
 * went and one that came are just that, and the plan says so. */
#include "model/migrate_internal.h"

enum { PLAN_BYTES_MAX = 4 << 20 };

typedef struct planner {
    tims_arena *arena;
    tims_buf sql, summary, destructive;
    const model__schema *before, *after;
    tims_error *err;
} planner;

/* One column of the new table and where its values come from. */
typedef struct step {
    const model__column *column, *from; /* from NULL: new */
    bool renamed;
} step;

/* --- comparing --------------------------------------------------------------------------------------- */

static bool same_column(const model__column *a, const model__column *b)
{
    return a->kind == b->kind && a->not_null == b->not_null && a->primary == b->primary &&
           a->has_default == b->has_default && tims_str_equal(a->default_text, b->default_text) &&
           tims_str_equal(a->to, b->to) && tims_str_equal(a->to_key, b->to_key) &&
           tims_str_equal(a->on_delete, b->on_delete);
}

static bool same_index(const model__index *a, const model__index *b)
{
    if (a->unique != b->unique || a->column_count != b->column_count)
        return false;
    for (size_t i = 0; i < a->column_count; i++)
        if (!tims_str_equal(a->columns[i], b->columns[i]))
            return false;
    return true;
}

static step step_for(const model__table *before, const model__table *after, const model__column *column)
{
    const model__column *from = model__table_find(before, column->name);
    if (from != NULL)
        return (step){ column, from, false };
    if (column->renamed_from.length > 0 && model__table_find(after, column->renamed_from) == NULL)
        from = model__table_find(before, column->renamed_from);
    return (step){ column, from, from != NULL };
}

static const step *step_from(const step *steps, size_t count, const model__column *from)
{
    for (size_t i = 0; i < count; i++)
        if (steps[i].from == from)
            return &steps[i];
    return NULL;
}

/* What ALTER TABLE ADD COLUMN can do; SQLite wants NULL as the default of a new reference. */
static bool can_be_added_in_place(const model__column *column)
{
    if (column->primary || (column->to.length > 0 && (column->not_null || column->has_default)))
        return false;
    return !column->not_null || column->has_default;
}

static bool needs_rebuild(const model__table *before, const step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (steps[i].from == NULL && !can_be_added_in_place(steps[i].column))
            return true;
        if (steps[i].from != NULL && !same_column(steps[i].column, steps[i].from))
            return true;
        /* the constraint that is named like the column would keep its old name */
        if (steps[i].renamed && steps[i].column->kind == TIMS_KIND_BOOL)
            return true;
    }
    for (size_t i = 0; i < before->column_count; i++)
        if (step_from(steps, count, &before->columns[i]) == NULL)
            return true;
    return false;
}

/* --- telling ----------------------------------------------------------------------------------------- */

static void tell_dropped(planner *p, const model__table *before, const step *steps, size_t count,
                         const model__column *gone)
{
    tims_buf_print(&p->summary, "- column %S.%S\n", before->name, gone->name);
    tims_buf_print(&p->destructive, "drops column %S.%S with its values", before->name, gone->name);
    for (size_t i = 0; i < count; i++)
        if (steps[i].from == NULL && steps[i].column->kind == gone->kind) {
            tims_buf_print(&p->destructive, " (if it is called %S now, say .renamed_from = \"%S\")",
                           steps[i].column->name, gone->name);
            break;
        }
    tims_buf_print(&p->destructive, "\n");
}

static void tell_changed(planner *p, const model__table *table, const step *s)
{
    if (same_column(s->column, s->from))
        return;
    tims_buf_print(&p->summary, "~ column %S.%S", table->name, s->column->name);
    if (s->column->kind != s->from->kind) {
        tims_str was = model__kind_word(s->from->kind), is = model__kind_word(s->column->kind);
        tims_buf_print(&p->summary, ", %S becomes %S", was, is);
        tims_buf_print(&p->destructive,
                       "converts column %S.%S from %S to %S: what cannot be converted is lost\n", table->name,
                       s->column->name, was, is);
    }
    if (s->column->not_null != s->from->not_null)
        tims_buf_print(&p->summary, ", %s", s->column->not_null ? "must have a value" : "may be null");
    if (!tims_str_equal(s->column->default_text, s->from->default_text) ||
        s->column->has_default != s->from->has_default)
        tims_buf_print(&p->summary, ", other default");
    if (!tims_str_equal(s->column->to, s->from->to) ||
        !tims_str_equal(s->column->on_delete, s->from->on_delete))
        tims_buf_print(&p->summary, ", other reference");
    tims_buf_print(&p->summary, "\n");
}

static void tell_columns(planner *p, const model__table *before, const model__table *after, const step *steps,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (steps[i].from == NULL)
            tims_buf_print(&p->summary, "+ column %S.%S\n", after->name, steps[i].column->name);
        else if (steps[i].renamed)
            tims_buf_print(&p->summary, "~ column %S.%S is called %S now\n", after->name, steps[i].from->name,
                           steps[i].column->name);
        if (steps[i].from != NULL)
            tell_changed(p, after, &steps[i]);
    }
    for (size_t i = 0; i < before->column_count; i++)
        if (step_from(steps, count, &before->columns[i]) == NULL)
            tell_dropped(p, before, steps, count, &before->columns[i]);
}

/* --- writing the SQL --------------------------------------------------------------------------------- */

static void create_indexes(planner *p, const model__table *table)
{
    for (size_t i = 0; i < table->index_count; i++)
        model__add_index_sql(&p->sql, table, &table->indexes[i]);
}

/* The value of a column in the rows that are copied. */
static void add_source(planner *p, const step *s)
{
    static const char now_us[] = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)";
    const model__column *column = s->column;
    if (s->from == NULL) {
        if (column->has_default)
            tims_buf_print(&p->sql, "%S", model__sqlite_literal(p->arena, column));
        else
            tims_buf_print(&p->sql, "%s", column->not_null && column->is_now ? now_us : "NULL");
        return;
    }
    bool fills = column->not_null && !s->from->not_null && column->has_default;
    bool casts = !tims_str_equal(model__sqlite_type(column->kind), model__sqlite_type(s->from->kind));
    tims_buf_print(&p->sql, "%s%s\"%S\"", fills ? "coalesce(" : "", casts ? "CAST(" : "", s->from->name);
    if (casts)
        tims_buf_print(&p->sql, " AS %S)", model__sqlite_type(column->kind));
    if (fills)
        tims_buf_print(&p->sql, ", %S)", model__sqlite_literal(p->arena, column));
}

static void rebuild(planner *p, const model__table *before, const model__table *after, const step *steps,
                    size_t count)
{
    tims_str fresh = tims_print(p->arena, "tims_new_%S", after->name);
    model__add_table_sql(p->arena, &p->sql, after, fresh);
    tims_buf_print(&p->sql, "INSERT INTO \"%S\" (", fresh);
    for (size_t i = 0; i < count; i++)
        tims_buf_print(&p->sql, "%s\"%S\"", i == 0 ? "" : ", ", steps[i].column->name);
    tims_buf_print(&p->sql, ")\n    SELECT ");
    for (size_t i = 0; i < count; i++) {
        tims_buf_print(&p->sql, i == 0 ? "" : ", ");
        add_source(p, &steps[i]);
    }
    tims_buf_print(&p->sql, " FROM \"%S\";\nDROP TABLE \"%S\";\nALTER TABLE \"%S\" RENAME TO \"%S\";\n",
                   before->name, before->name, fresh, after->name);
    create_indexes(p, after);
}

static void alter_in_place(planner *p, const model__table *before, const model__table *after,
                           const step *steps, size_t count)
{
    for (size_t i = 0; i < before->index_count; i++) {
        const model__index *is = model__table_find_index(after, before->indexes[i].name);
        if (is == NULL || !same_index(is, &before->indexes[i]))
            tims_buf_print(&p->sql, "DROP INDEX \"%S\";\n", before->indexes[i].name);
    }
    for (size_t i = 0; i < count; i++)
        if (steps[i].renamed)
            tims_buf_print(&p->sql, "ALTER TABLE \"%S\" RENAME COLUMN \"%S\" TO \"%S\";\n", after->name,
                           steps[i].from->name, steps[i].column->name);
    for (size_t i = 0; i < count; i++)
        if (steps[i].from == NULL) {
            tims_buf_print(&p->sql, "ALTER TABLE \"%S\" ADD COLUMN ", after->name);
            model__add_column_sql(p->arena, &p->sql, steps[i].column);
            tims_buf_print(&p->sql, ";\n");
        }
    for (size_t i = 0; i < after->index_count; i++) {
        const model__index *was = model__table_find_index(before, after->indexes[i].name);
        if (was == NULL || !same_index(was, &after->indexes[i]))
            model__add_index_sql(&p->sql, after, &after->indexes[i]);
    }
}

static void tell_indexes(planner *p, const model__table *before, const model__table *after)
{
    for (size_t i = 0; i < before->index_count; i++) {
        const model__index *is = model__table_find_index(after, before->indexes[i].name);
        if (is == NULL || !same_index(is, &before->indexes[i]))
            tims_buf_print(&p->summary, "- index %S\n", before->indexes[i].name);
    }
    for (size_t i = 0; i < after->index_count; i++) {
        const model__index *was = model__table_find_index(before, after->indexes[i].name);
        if (was == NULL || !same_index(was, &after->indexes[i]))
            tims_buf_print(&p->summary, "+ index %S\n", after->indexes[i].name);
    }
}

/* --- the plan ---------------------------------------------------------------------------------------- */

static tims_status check_new_columns(planner *p, const model__table *table, const step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const model__column *column = steps[i].column;
        if (steps[i].from == NULL && column->not_null && !column->has_default && !column->is_now)
            return tims_fail(p->err, TIMS_INVALID, NULL,
                             "%.*s.%.*s is new in a table that may have rows, and they need a value: give it "
                             ".default_value, or make its type a tims_opt_….",
                             TIMS_PRINT(table->name), TIMS_PRINT(column->name));
    }
    return TIMS_OK;
}

static bool same_search(const model__table *a, const model__table *b)
{
    if (a->search_count != b->search_count)
        return false;
    for (size_t i = 0; i < a->search_count; i++)
        if (!tims_str_equal(a->search[i], b->search[i]))
            return false;
    return true;
}

static tims_status plan_table(planner *p, const model__table *before, const model__table *after)
{
    size_t count = after->column_count;
    step *steps = TIMS_NEW_ARRAY(p->arena, step, count);
    for (size_t i = 0; i < count; i++)
        steps[i] = step_for(before, after, &after->columns[i]);
    tims_status status = check_new_columns(p, after, steps, count);
    if (status != TIMS_OK)
        return status;
    tell_columns(p, before, after, steps, count);
    tell_indexes(p, before, after);
    if (!same_search(before, after))
        tims_buf_print(&p->summary, "~ search of %S\n", after->name);
    bool rebuilds = needs_rebuild(before, steps, count);
    bool indexes_text = rebuilds || !same_search(before, after);
    if (indexes_text)
        model__drop_search_sql(&p->sql, before, TIMS_SQLITE);
    if (rebuilds)
        rebuild(p, before, after, steps, count);
    else
        alter_in_place(p, before, after, steps, count);
    if (indexes_text)
        model__add_search_sql(&p->sql, after, TIMS_SQLITE);
    return TIMS_OK;
}

static tims_status plan_all(planner *p)
{
    for (size_t i = 0; i < p->after->count; i++) {
        const model__table *after = &p->after->tables[i];
        const model__table *before = model__schema_find(p->before, after->name);
        if (before == NULL) {
            tims_buf_print(&p->summary, "+ table %S\n", after->name);
            model__add_table_sql(p->arena, &p->sql, after, after->name);
            create_indexes(p, after);
            model__add_search_sql(&p->sql, after, TIMS_SQLITE);
            continue;
        }
        tims_status status = plan_table(p, before, after);
        if (status != TIMS_OK)
            return status;
    }
    for (size_t i = 0; i < p->before->count; i++) {
        tims_str name = p->before->tables[i].name;
        if (model__schema_find(p->after, name) != NULL)
            continue;
        tims_buf_print(&p->summary, "- table %S\n", name);
        tims_buf_print(&p->destructive, "drops table %S with its rows\n", name);
        model__drop_search_sql(&p->sql, &p->before->tables[i], TIMS_SQLITE);
        tims_buf_print(&p->sql, "DROP TABLE \"%S\";\n", name);
    }
    return TIMS_OK;
}

tims_status tims_migrate_plan(tims_arena *arena, tims_str old_snapshot, const tims_model *const *models,
                              tims_db_dialect dialect, tims_migration_plan *ret_plan, tims_error *err)
{
    if (dialect != TIMS_SQLITE)
        return tims_fail(err, TIMS_UNAVAILABLE, NULL, "Migrations are written for SQLite only.");
    model__schema before, after = model__schema_of(arena, models);
    tims_status status = model__schema_parse(arena, old_snapshot, &before, err);
    if (status != TIMS_OK)
        return status;
    planner p = { .arena = arena, .before = &before, .after = &after, .err = err };
    tims_buf_init(&p.sql, arena, PLAN_BYTES_MAX);
    tims_buf_init(&p.summary, arena, PLAN_BYTES_MAX);
    tims_buf_init(&p.destructive, arena, PLAN_BYTES_MAX);
    status = plan_all(&p);
    if (status != TIMS_OK)
        return status;
    TIMS_ASSERT(!p.sql.overflow && !p.summary.overflow && !p.destructive.overflow);
    *ret_plan = (tims_migration_plan){
        .sql = tims_buf_str(&p.sql),
        .summary = tims_buf_str(&p.summary),
        .empty = p.sql.length == 0,
        .destructive = p.destructive.length > 0,
        .destructive_list = tims_buf_str(&p.destructive),
    };
    return TIMS_OK;
}
