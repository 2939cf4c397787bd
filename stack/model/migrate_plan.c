/* migrate_plan.c: from one schema to the next: what changes, told to people, and as SQL that they read before
 * it is committed.
 *
 * What changes is the same for every database; how it is done is the dialect's (migrate_alter_*.c). A rename
 * is never guessed: without a hint a column that went and one that came are just that, and the plan says
 * so. */
#include "model/migrate_internal.h"

enum { PLAN_BYTES_MAX = 4 << 20 };

typedef struct planner {
    tims_arena *arena;
    tims_buf summary, destructive;
    model__changes changes;
} planner;

/* --- comparing --------------------------------------------------------------------------------------- */

bool model__same_reference(const model__column *a, const model__column *b)
{
    return tims_str_equal(a->to, b->to) && tims_str_equal(a->to_key, b->to_key) &&
           tims_str_equal(a->on_delete, b->on_delete);
}

bool model__same_default(const model__column *a, const model__column *b)
{
    return a->has_default == b->has_default && tims_str_equal(a->default_text, b->default_text);
}

bool model__same_column(const model__column *a, const model__column *b)
{
    return a->kind == b->kind && a->scale == b->scale && a->not_null == b->not_null &&
           a->primary == b->primary && model__same_default(a, b) && model__same_reference(a, b);
}

bool model__has_index(const model__table *table, const model__index *index)
{
    const model__index *other = model__table_find_index(table, index->name);
    if (other == NULL || other->unique != index->unique || other->column_count != index->column_count)
        return false;
    if (!tims_str_equal(other->where, index->where))
        return false;
    for (size_t i = 0; i < index->column_count; i++)
        if (!tims_str_equal(other->columns[i], index->columns[i]))
            return false;
    return true;
}

bool model__same_search(const model__table *a, const model__table *b)
{
    if (a->search_count != b->search_count)
        return false;
    for (size_t i = 0; i < a->search_count; i++)
        if (!tims_str_equal(a->search[i], b->search[i]))
            return false;
    return true;
}

bool model__is_dropped(const model__table_change *change, const model__column *before)
{
    for (size_t i = 0; i < change->after->column_count; i++)
        if (change->sources[i].from == before)
            return false;
    return true;
}

static model__source source_of(const model__table *before, const model__table *after,
                               const model__column *column)
{
    const model__column *from = model__table_find(before, column->name);
    if (from != NULL)
        return (model__source){ column, from, false };
    if (column->renamed_from.length > 0 && model__table_find(after, column->renamed_from) == NULL)
        from = model__table_find(before, column->renamed_from);
    return (model__source){ column, from, from != NULL };
}

static const model__source *sources_of(tims_arena *arena, const model__table *before,
                                       const model__table *after)
{
    model__source *sources = TIMS_NEW_ARRAY(arena, model__source, after->column_count + 1);
    for (size_t i = 0; i < after->column_count; i++)
        sources[i] = source_of(before, after, &after->columns[i]);
    return sources;
}

/* Whether anything is to be done. */
static bool differs(const model__table_change *change)
{
    const model__table *before = change->before, *after = change->after;
    for (size_t i = 0; i < after->column_count; i++)
        if (change->sources[i].from == NULL || change->sources[i].renamed ||
            !model__same_column(change->sources[i].column, change->sources[i].from))
            return true;
    for (size_t i = 0; i < before->column_count; i++)
        if (model__is_dropped(change, &before->columns[i]))
            return true;
    for (size_t i = 0; i < before->index_count; i++)
        if (!model__has_index(after, &before->indexes[i]))
            return true;
    for (size_t i = 0; i < after->index_count; i++)
        if (!model__has_index(before, &after->indexes[i]))
            return true;
    return !model__same_search(before, after);
}

static void list_changes(planner *p, const model__schema *before, const model__schema *after)
{
    model__changes *changes = &p->changes;
    *changes = (model__changes){ .before = before, .after = after };
    changes->items = TIMS_NEW_ARRAY(p->arena, model__table_change, before->count + after->count + 1);
    for (size_t i = 0; i < after->count; i++) {
        const model__table *table = &after->tables[i];
        model__table_change change = { .before = model__schema_find(before, table->name), .after = table };
        if (change.before != NULL)
            change.sources = sources_of(p->arena, change.before, table);
        if (change.before == NULL || differs(&change))
            changes->items[changes->count++] = change;
    }
    for (size_t i = 0; i < before->count; i++)
        if (model__schema_find(after, before->tables[i].name) == NULL)
            changes->items[changes->count++] = (model__table_change){ .before = &before->tables[i] };
}

/* --- telling ----------------------------------------------------------------------------------------- */

static void tell_dropped(planner *p, const model__table_change *change, const model__column *gone)
{
    tims_str table = change->before->name;
    tims_buf_print(&p->summary, "- column %S.%S\n", table, gone->name);
    tims_buf_print(&p->destructive, "drops column %S.%S with its values", table, gone->name);
    for (size_t i = 0; i < change->after->column_count; i++) {
        const model__source *source = &change->sources[i];
        if (source->from == NULL && source->column->kind == gone->kind) {
            tims_buf_print(&p->destructive, " (if it is called %S now, say .renamed_from = \"%S\")",
                           source->column->name, gone->name);
            break;
        }
    }
    tims_buf_print(&p->destructive, "\n");
}

static tims_str kind_words(tims_arena *arena, const model__column *column)
{
    if (column->kind != TIMS_KIND_DECIMAL)
        return model__kind_word(column->kind);
    return tims_print(arena, "decimal with scale %u", column->scale);
}

static void tell_changed(planner *p, tims_str table, const model__source *source)
{
    const model__column *is = source->column, *was = source->from;
    if (model__same_column(is, was))
        return;
    tims_buf_print(&p->summary, "~ column %S.%S", table, is->name);
    if (is->kind != was->kind || is->scale != was->scale) {
        tims_str old_word = kind_words(p->arena, was), new_word = kind_words(p->arena, is);
        tims_buf_print(&p->summary, ", %S becomes %S", old_word, new_word);
        if (is->kind != was->kind || is->scale < was->scale)
            tims_buf_print(&p->destructive,
                           "converts column %S.%S from %S to %S: what cannot be converted is lost\n", table,
                           is->name, old_word, new_word);
    }
    if (is->not_null != was->not_null)
        tims_buf_print(&p->summary, ", %s", is->not_null ? "must have a value" : "may be null");
    if (!model__same_default(is, was))
        tims_buf_print(&p->summary, ", other default");
    if (!model__same_reference(is, was))
        tims_buf_print(&p->summary, ", other reference");
    tims_buf_print(&p->summary, "\n");
}

static void tell_columns(planner *p, const model__table_change *change)
{
    tims_str table = change->after->name;
    for (size_t i = 0; i < change->after->column_count; i++) {
        const model__source *source = &change->sources[i];
        if (source->from == NULL)
            tims_buf_print(&p->summary, "+ column %S.%S\n", table, source->column->name);
        else if (source->renamed)
            tims_buf_print(&p->summary, "~ column %S.%S is called %S now\n", table, source->from->name,
                           source->column->name);
        if (source->from != NULL)
            tell_changed(p, table, source);
    }
    for (size_t i = 0; i < change->before->column_count; i++)
        if (model__is_dropped(change, &change->before->columns[i]))
            tell_dropped(p, change, &change->before->columns[i]);
}

static void tell_indexes(planner *p, const model__table *before, const model__table *after)
{
    for (size_t i = 0; i < before->index_count; i++)
        if (!model__has_index(after, &before->indexes[i]))
            tims_buf_print(&p->summary, "- index %S\n", before->indexes[i].name);
    for (size_t i = 0; i < after->index_count; i++)
        if (!model__has_index(before, &after->indexes[i]))
            tims_buf_print(&p->summary, "+ index %S\n", after->indexes[i].name);
    if (!model__same_search(before, after))
        tims_buf_print(&p->summary, "~ search of %S\n", after->name);
}

static void tell(planner *p, const model__table_change *change)
{
    if (change->before == NULL) {
        tims_buf_print(&p->summary, "+ table %S\n", change->after->name);
    } else if (change->after == NULL) {
        tims_buf_print(&p->summary, "- table %S\n", change->before->name);
        tims_buf_print(&p->destructive, "drops table %S with its rows\n", change->before->name);
    } else {
        tell_columns(p, change);
        tell_indexes(p, change->before, change->after);
    }
}

/* --- the plan ---------------------------------------------------------------------------------------- */

static tims_status check_new_columns(const model__table_change *change, tims_error *err)
{
    if (change->before == NULL || change->after == NULL)
        return TIMS_OK;
    for (size_t i = 0; i < change->after->column_count; i++) {
        const model__column *column = change->sources[i].column;
        if (change->sources[i].from == NULL && column->not_null && !column->has_default && !column->is_now)
            return tims_fail(err, TIMS_INVALID, NULL,
                             "%.*s.%.*s is new in a table that may have rows, and they need a value: give it "
                             ".default_value, or make its type a tims_opt_….",
                             TIMS_PRINT(change->after->name), TIMS_PRINT(column->name));
    }
    return TIMS_OK;
}

/* Between numbers a decimal has a meaning; as text or time it has none that both databases share. Bytes are
 * only bytes. */
static bool can_convert(const model__column *from, const model__column *to)
{
    static const tims_kind numbers[] = { TIMS_KIND_INT, TIMS_KIND_DOUBLE, TIMS_KIND_DECIMAL };
    bool from_number = false, to_number = false;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        from_number |= from->kind == numbers[i];
        to_number |= to->kind == numbers[i];
    }
    if (from->kind == TIMS_KIND_DECIMAL || to->kind == TIMS_KIND_DECIMAL)
        return from_number && to_number;
    return from->kind == to->kind || (from->kind != TIMS_KIND_BYTES && to->kind != TIMS_KIND_BYTES);
}

static tims_status check_conversions(const model__table_change *change, tims_error *err)
{
    for (size_t i = 0; change->before != NULL && change->after != NULL && i < change->after->column_count;
         i++) {
        const model__column *is = change->sources[i].column, *was = change->sources[i].from;
        if (was != NULL && !can_convert(was, is))
            return tims_fail(
                err, TIMS_INVALID, NULL,
                "%.*s.%.*s cannot become %.*s from %.*s by itself: make a new field, and fill it in "
                "a migration of your own.",
                TIMS_PRINT(change->after->name), TIMS_PRINT(is->name), TIMS_PRINT(model__kind_word(is->kind)),
                TIMS_PRINT(model__kind_word(was->kind)));
    }
    return TIMS_OK;
}

static void mark_losses(tims_buf *sql, tims_str list)
{
    while (list.length > 0)
        tims_buf_print(sql, "%s%S\n", MODEL__DESTRUCTIVE, tims_str_cut(&list, '\n'));
}

tims_status tims_migrate_plan(tims_arena *arena, tims_str old_snapshot, const tims_model *const *models,
                              tims_db_dialect dialect, tims_migration_plan *ret_plan, tims_error *err)
{
    model__schema before, after = model__schema_of(arena, models);
    tims_status status = model__schema_parse(arena, old_snapshot, &before, err);
    if (status != TIMS_OK)
        return status;
    planner p = { .arena = arena };
    tims_buf sql;
    tims_buf_init(&sql, arena, PLAN_BYTES_MAX);
    tims_buf_init(&p.summary, arena, PLAN_BYTES_MAX);
    tims_buf_init(&p.destructive, arena, PLAN_BYTES_MAX);
    list_changes(&p, &before, &after);
    for (size_t i = 0; i < p.changes.count; i++) {
        status = check_new_columns(&p.changes.items[i], err);
        if (status == TIMS_OK)
            status = check_conversions(&p.changes.items[i], err);
        if (status != TIMS_OK)
            return status;
        tell(&p, &p.changes.items[i]);
    }
    mark_losses(&sql, tims_buf_str(&p.destructive));
    model__dialect_of(dialect)->add_changes(arena, &p.changes, &sql);
    TIMS_ASSERT(!sql.overflow && !p.summary.overflow && !p.destructive.overflow);
    *ret_plan = (tims_migration_plan){
        .sql = tims_buf_str(&sql),
        .summary = tims_buf_str(&p.summary),
        .empty = p.changes.count == 0,
        .destructive = p.destructive.length > 0,
        .destructive_list = tims_buf_str(&p.destructive),
    };
    return TIMS_OK;
}
