/* migrate_alter_postgres.c: what changes between two schemas, done by PostgreSQL while others use the tables.
 *
 * Everything that needs a table for itself is quick and stands in the first step: new tables, columns (their
 * defaults are constants, so no row is written), constraints that are NOT VALID yet. What takes as long as
 * there are rows comes in steps of its own that let others read and write: nulls are filled, constraints
 * validated, and then NOT NULL is set, which believes the validated check. Indexes of tables that exist
 * already are made CONCURRENTLY, which no transaction can hold. What rewrites a table is only a column of
 * another type, and the words of a search, which are a column too.
 *
 * A value becomes one of another type as it would in SQLite: by way of what SQLite keeps of it. What cannot
 * be converted fails the migration. */
#include "model/migrate_internal.h"

enum { PART_BYTES_MAX = 1 << 20 };

typedef struct writer {
    tims_arena *arena;
    const model__changes *changes;
    tims_buf change, fill, refuse, validate, settle, concurrent; /* the steps; of the last a step each */
} writer;

/* --- values of another type -------------------------------------------------------------------------- */

/* What SQLite keeps of a value. */
static void add_kept(tims_buf *out, const model__column *column)
{
    switch (column->kind) {
    case TIMS_KIND_BOOL:
        tims_buf_print(out, "\"%S\"::int::bigint", column->name);
        break;
    case TIMS_KIND_TIME:
        tims_buf_print(out, "(extract(epoch FROM \"%S\") * 1000000)::bigint", column->name);
        break;
    case TIMS_KIND_INT:
    case TIMS_KIND_DOUBLE:
        tims_buf_print(out, "\"%S\"", column->name);
        break;
    default:
        tims_buf_print(out, "\"%S\"::text", column->name);
    }
}

static tims_str kept_cast(const model__column *column)
{
    switch (column->kind) {
    case TIMS_KIND_BOOL:
    case TIMS_KIND_INT:
    case TIMS_KIND_TIME:
        return TIMS_STR("bigint");
    case TIMS_KIND_DOUBLE:
        return TIMS_STR("double precision");
    default:
        return TIMS_STR("text");
    }
}

static tims_str converted(tims_arena *arena, const model__column *from, const model__column *to)
{
    if (from->kind == TIMS_KIND_DECIMAL && to->kind == TIMS_KIND_INT)
        return tims_print(arena, "trunc(\"%S\")::bigint", from->name);
    if (from->kind == TIMS_KIND_DECIMAL || to->kind == TIMS_KIND_DECIMAL)
        return tims_print(arena, "\"%S\"::%S", from->name, model__postgres_type(arena, to));
    tims_buf out;
    tims_buf_init(&out, arena, PART_BYTES_MAX);
    add_kept(&out, from);
    tims_str kept = tims_buf_str(&out), cast = kept_cast(to);
    if (from->kind == TIMS_KIND_DOUBLE && tims_str_equal(cast, TIMS_STR("bigint")))
        kept = tims_print(arena, "trunc(%S)::bigint", kept);
    else if (!tims_str_equal(cast, kept_cast(from)))
        kept = tims_print(arena, "(%S)::%S", kept, cast);
    switch (to->kind) {
    case TIMS_KIND_BOOL:
        return tims_print(arena, "(%S) <> 0", kept);
    case TIMS_KIND_TIME:
        return tims_print(arena, "'epoch'::timestamptz + (%S) * interval '1 microsecond'", kept);
    case TIMS_KIND_ID:
        return tims_print(arena, "(%S)::uuid", kept);
    case TIMS_KIND_JSON:
        return tims_print(arena, "(%S)::json", kept);
    default:
        return kept;
    }
}

/* --- a table that is new ----------------------------------------------------------------------------- */

/* The table can be named in a reference when `change` is made: it exists, or was made before. */
static bool exists_for(const writer *w, const model__table_change *change, tims_str name)
{
    for (const model__table_change *later = change; later < w->changes->items + w->changes->count; later++)
        if (later != change && later->before == NULL && tims_str_equal(later->after->name, name))
            return false;
    return true;
}

/* PostgreSQL finds the same name by itself, unless it is too long. */
static void add_inline_reference(writer *w, tims_buf *out, tims_str table, const model__column *column)
{
    tims_str name = model__postgres_reference_name(w->arena, table, column->name);
    if (!tims_str_ends_with(name, TIMS_STR("_fkey")))
        tims_buf_print(out, " CONSTRAINT \"%S\"", name);
    tims_buf_print(out, " ");
    model__postgres_add_reference(out, column);
}

static void add_table(writer *w, const model__table_change *change)
{
    const model__table *table = change->after;
    tims_buf_print(&w->change, "CREATE TABLE \"%S\" (\n", table->name);
    for (size_t i = 0; i < table->column_count; i++) {
        const model__column *column = &table->columns[i];
        tims_buf_print(&w->change, "    ");
        model__postgres_add_column(w->arena, &w->change, column);
        if (column->to.length > 0 && exists_for(w, change, column->to))
            add_inline_reference(w, &w->change, table->name, column);
        tims_buf_print(&w->change, i + 1 < table->column_count ? ",\n" : "\n");
    }
    tims_buf_print(&w->change, ");\n");
    for (size_t i = 0; i < table->index_count; i++)
        model__postgres_add_index(w->arena, &w->change, table, &table->indexes[i], false);
    model__postgres_add_search(&w->change, table);
    model__postgres_add_search_index(&w->change, table, false);
}

/* References to tables that came after. */
static void add_late_references(writer *w, const model__table_change *change)
{
    for (size_t i = 0; i < change->after->column_count; i++) {
        const model__column *column = &change->after->columns[i];
        if (column->to.length == 0 || exists_for(w, change, column->to))
            continue;
        tims_buf_print(
            &w->change, "ALTER TABLE \"%S\" ADD CONSTRAINT \"%S\" FOREIGN KEY (\"%S\") ", change->after->name,
            model__postgres_reference_name(w->arena, change->after->name, column->name), column->name);
        model__postgres_add_reference(&w->change, column);
        tims_buf_print(&w->change, ";\n");
    }
}

/* --- a table that is there --------------------------------------------------------------------------- */

typedef struct table_writer {
    writer *w;
    const model__table_change *change;
    tims_buf actions; /* of one ALTER TABLE, with commas between */
} table_writer;

static void act(table_writer *t, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tims_buf_print(&t->actions, t->actions.length == 0 ? "    " : ",\n    ");
    tims_buf_print_v(&t->actions, format, arguments);
    va_end(arguments);
}

static void validate(table_writer *t, tims_str constraint)
{
    tims_buf_print(&t->w->validate, "ALTER TABLE \"%S\" VALIDATE CONSTRAINT \"%S\";\n",
                   t->change->after->name, constraint);
}

static void add_reference_later(table_writer *t, const model__column *column)
{
    tims_buf words;
    tims_buf_init(&words, t->w->arena, PART_BYTES_MAX);
    model__postgres_add_reference(&words, column);
    tims_str name = model__postgres_reference_name(t->w->arena, t->change->after->name, column->name);
    act(t, "ADD CONSTRAINT \"%S\" FOREIGN KEY (\"%S\") %S NOT VALID", name, column->name,
        tims_buf_str(&words));
    validate(t, name);
}

/* NOT NULL without a default: the rows that are there get the time of the migration. */
static bool is_filled_with_now(const model__column *column)
{
    return column->not_null && !column->has_default && column->is_now;
}

static void add_new_column(table_writer *t, const model__column *column)
{
    tims_buf words;
    tims_buf_init(&words, t->w->arena, PART_BYTES_MAX);
    model__postgres_add_column(t->w->arena, &words, column);
    if (is_filled_with_now(column))
        tims_buf_print(&words, " DEFAULT now()");
    bool all_null = !column->not_null && !column->has_default; /* nothing to validate, and nothing is */
    if (column->to.length > 0 && all_null)
        add_inline_reference(t->w, &words, t->change->after->name, column);
    act(t, "ADD COLUMN %S", tims_buf_str(&words));
    if (column->to.length > 0 && !all_null)
        add_reference_later(t, column);
}

/* The nulls are filled before new ones are refused, so that nobody is in the way of those who change rows. A
 * null that comes in between is found by the validation. */
static void require_value(table_writer *t, const model__column *column)
{
    tims_str table = t->change->after->name, name = column->name;
    tims_str check =
        model__postgres_name(t->w->arena, tims_print(t->w->arena, "%S_%S_not_null", table, name));
    if (column->has_default)
        tims_buf_print(&t->w->fill, "UPDATE \"%S\" SET \"%S\" = %S WHERE \"%S\" IS NULL;\n", table, name,
                       model__postgres_literal(t->w->arena, column), name);
    tims_buf_print(&t->w->refuse,
                   "ALTER TABLE \"%S\" ADD CONSTRAINT \"%S\" CHECK (\"%S\" IS NOT NULL) NOT VALID;\n", table,
                   check, name);
    validate(t, check);
    /* one after the other: a constraint that goes in the same statement is not believed */
    tims_buf_print(&t->w->settle, "ALTER TABLE \"%S\" ALTER COLUMN \"%S\" SET NOT NULL;\n", table, name);
    tims_buf_print(&t->w->settle, "ALTER TABLE \"%S\" DROP CONSTRAINT \"%S\";\n", table, check);
}

static bool keeps_reference(const model__source *source)
{
    return source->from != NULL && source->column->kind == source->from->kind &&
           model__same_reference(source->column, source->from);
}

static void change_column(table_writer *t, const model__source *source)
{
    tims_arena *arena = t->w->arena;
    const model__column *is = source->column, *was = source->from;
    bool converts = !tims_str_equal(model__postgres_type(arena, is), model__postgres_type(arena, was));
    if (was->has_default && (converts || !is->has_default))
        act(t, "ALTER COLUMN \"%S\" DROP DEFAULT", is->name);
    if (converts) {
        model__column renamed = *was;
        renamed.name = is->name;
        act(t, "ALTER COLUMN \"%S\" TYPE %S USING %S", is->name, model__postgres_type(arena, is),
            converted(arena, &renamed, is));
    }
    if (is->has_default && (converts || !model__same_default(is, was)))
        act(t, "ALTER COLUMN \"%S\" SET DEFAULT %S", is->name, model__postgres_literal(arena, is));
    if (was->primary && !is->primary)
        act(t, "DROP CONSTRAINT \"%S_pkey\" CASCADE", t->change->after->name);
    if (!was->primary && is->primary)
        act(t, "ADD PRIMARY KEY (\"%S\")", is->name);
    else if (is->not_null && !was->not_null)
        require_value(t, is);
    else if (!is->not_null && was->not_null)
        act(t, "ALTER COLUMN \"%S\" DROP NOT NULL", is->name);
    if (is->to.length > 0 && !keeps_reference(source))
        add_reference_later(t, is);
}

/* Where nulls stand is in the index too. */
static bool keeps_index(const model__table_change *change, const model__index *index)
{
    if (!model__has_index(change->before, index) || !model__has_index(change->after, index))
        return false;
    for (size_t i = 0; i < index->column_count; i++) {
        tims_str name = model__index_column(index, i);
        const model__column *was = model__table_find(change->before, name);
        const model__column *is = model__table_find(change->after, name);
        if (was == NULL || is == NULL || was->not_null != is->not_null)
            return false;
    }
    return true;
}

/* A reference keeps its constraint under the column's new name, or loses it: it may even have gone with the
 * key that it pointed at. */
static void prepare_reference(table_writer *t, const model__source *source)
{
    tims_str table = t->change->after->name;
    tims_str was = model__postgres_reference_name(t->w->arena, table, source->from->name);
    if (!keeps_reference(source))
        tims_buf_print(&t->w->change, "ALTER TABLE \"%S\" DROP CONSTRAINT IF EXISTS \"%S\";\n", table, was);
    else if (source->renamed)
        tims_buf_print(&t->w->change, "ALTER TABLE \"%S\" RENAME CONSTRAINT \"%S\" TO \"%S\";\n", table, was,
                       model__postgres_reference_name(t->w->arena, table, source->column->name));
}

/* What other statements than the one ALTER TABLE must do before it. */
static void prepare_table(table_writer *t)
{
    const model__table *before = t->change->before, *after = t->change->after;
    tims_buf *out = &t->w->change;
    if (!model__same_search(before, after))
        model__postgres_drop_search(out, before);
    for (size_t i = 0; i < before->index_count; i++)
        if (!keeps_index(t->change, &before->indexes[i]))
            tims_buf_print(out, "DROP INDEX \"%S\";\n",
                           model__postgres_name(t->w->arena, before->indexes[i].name));
    for (size_t i = 0; i < after->column_count; i++) {
        const model__source *source = &t->change->sources[i];
        if (source->from == NULL)
            continue;
        if (source->from->to.length > 0)
            prepare_reference(t, source);
        if (source->renamed)
            tims_buf_print(out, "ALTER TABLE \"%S\" RENAME COLUMN \"%S\" TO \"%S\";\n", after->name,
                           source->from->name, source->column->name);
    }
}

static void alter_table(writer *w, const model__table_change *change)
{
    const model__table *before = change->before, *after = change->after;
    table_writer t = { .w = w, .change = change };
    tims_buf_init(&t.actions, w->arena, PART_BYTES_MAX);
    prepare_table(&t);
    for (size_t i = 0; i < before->column_count; i++)
        if (model__is_dropped(change, &before->columns[i]))
            act(&t, "DROP COLUMN \"%S\"", before->columns[i].name);
    for (size_t i = 0; i < after->column_count; i++) {
        if (change->sources[i].from == NULL)
            add_new_column(&t, &after->columns[i]);
        else if (!model__same_column(&after->columns[i], change->sources[i].from))
            change_column(&t, &change->sources[i]);
    }
    TIMS_ASSERT(!t.actions.overflow);
    if (t.actions.length > 0)
        tims_buf_print(&w->change, "ALTER TABLE \"%S\"\n%S;\n", after->name, tims_buf_str(&t.actions));
    for (size_t i = 0; i < after->column_count; i++)
        if (change->sources[i].from == NULL && is_filled_with_now(&after->columns[i]))
            tims_buf_print(&w->change, "ALTER TABLE \"%S\" ALTER COLUMN \"%S\" DROP DEFAULT;\n", after->name,
                           after->columns[i].name);
    for (size_t i = 0; i < after->index_count; i++)
        if (!keeps_index(change, &after->indexes[i])) {
            tims_buf_print(&w->concurrent, "\n%s\n", MODEL__STEP_ALONE);
            model__postgres_add_index(w->arena, &w->concurrent, after, &after->indexes[i], true);
        }
    if (model__same_search(before, after) || after->search_count == 0)
        return;
    model__postgres_add_search(&w->change, after);
    tims_buf_print(&w->concurrent, "\n%s\n", MODEL__STEP_ALONE);
    model__postgres_add_search_index(&w->concurrent, after, true);
}

/* --- the file ---------------------------------------------------------------------------------------- */

/* One statement, so that they may point at each other. */
static void drop_tables(writer *w)
{
    bool first = true;
    for (size_t i = 0; i < w->changes->count; i++) {
        if (w->changes->items[i].after != NULL)
            continue;
        tims_buf_print(&w->change, "%s\"%S\"", first ? "DROP TABLE " : ", ",
                       w->changes->items[i].before->name);
        first = false;
    }
    if (!first)
        tims_buf_print(&w->change, ";\n");
}

static void add_step(tims_buf *out, const tims_buf *statements)
{
    TIMS_ASSERT(!statements->overflow);
    if (statements->length == 0)
        return;
    if (out->length > 0)
        tims_buf_print(out, "\n%s\n", MODEL__STEP_TRANSACTION);
    tims_buf_append_str(out, tims_buf_str(statements));
}

/* Once, however many tables need it. */
static void add_words_function(writer *w)
{
    for (size_t i = 0; i < w->changes->count; i++) {
        const model__table *before = w->changes->items[i].before, *after = w->changes->items[i].after;
        if (after == NULL || after->search_count == 0 ||
            (before != NULL && model__same_search(before, after)))
            continue;
        model__append_words_function(&w->change);
        return;
    }
}

void model__postgres_add_changes(tims_arena *arena, const model__changes *changes, tims_buf *out)
{
    writer w = { .arena = arena, .changes = changes };
    tims_buf *parts[] = { &w.change, &w.fill, &w.refuse, &w.validate, &w.settle, &w.concurrent };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        tims_buf_init(parts[i], arena, PART_BYTES_MAX);
    add_words_function(&w);
    for (size_t i = 0; i < changes->count; i++)
        if (changes->items[i].before == NULL)
            add_table(&w, &changes->items[i]);
    for (size_t i = 0; i < changes->count; i++)
        if (changes->items[i].before == NULL)
            add_late_references(&w, &changes->items[i]);
    for (size_t i = 0; i < changes->count; i++)
        if (changes->items[i].before != NULL && changes->items[i].after != NULL)
            alter_table(&w, &changes->items[i]);
    drop_tables(&w);
    add_step(out, &w.change);
    add_step(out, &w.fill);
    add_step(out, &w.refuse);
    add_step(out, &w.validate);
    add_step(out, &w.settle);
    TIMS_ASSERT(!w.concurrent.overflow);
    tims_str rest = tims_buf_str(&w.concurrent); /* its marks are in it */
    tims_buf_append_str(out, tims_str_slice(rest, out->length == 0 && rest.length > 0, rest.length));
}
