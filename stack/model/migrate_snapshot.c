/* migrate_snapshot.c: the schema that an app's descriptors ask for, and its committed description.
 *
 * The snapshot is what `makemigrations` compares with, so it is canonical (the same descriptors give the same
 * bytes), says nothing of a particular database, and is laid out a column a line, so that it reads well in a
 * review. */
#include "model/migrate_internal.h"

enum { SNAPSHOT_BYTES_MAX = 4 << 20, SNAPSHOT_VERSION = 1 };

static const struct {
    tims_kind kind;
    const char *word;
} words[] = {
    { TIMS_KIND_BOOL, "bool" }, { TIMS_KIND_INT, "int" },         { TIMS_KIND_DOUBLE, "double" },
    { TIMS_KIND_STR, "text" },  { TIMS_KIND_ID, "id" },           { TIMS_KIND_TIME, "time" },
    { TIMS_KIND_JSON, "json" }, { TIMS_KIND_DECIMAL, "decimal" }, { TIMS_KIND_BYTES, "bytes" },
};

tims_str model__kind_word(tims_kind base_kind)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].kind == base_kind)
            return tims_str_from(words[i].word);
    return TIMS_STR("unknown");
}

static bool parse_kind(tims_str word, tims_kind *ret_kind)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (tims_str_equal(word, tims_str_from(words[i].word))) {
            *ret_kind = words[i].kind;
            return true;
        }
    return false;
}

const model__table *model__schema_find(const model__schema *schema, tims_str name)
{
    for (size_t i = 0; i < schema->count; i++)
        if (tims_str_equal(schema->tables[i].name, name))
            return &schema->tables[i];
    return NULL;
}

const model__column *model__table_find(const model__table *table, tims_str name)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (tims_str_equal(table->columns[i].name, name))
            return &table->columns[i];
    return NULL;
}

const model__column *model__table_primary(const model__table *table)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].primary)
            return &table->columns[i];
    TIMS_UNREACHABLE("a table without a primary key");
}

const model__index *model__table_find_index(const model__table *table, tims_str name)
{
    for (size_t i = 0; i < table->index_count; i++)
        if (tims_str_equal(table->indexes[i].name, name))
            return &table->indexes[i];
    return NULL;
}

tims_str model__index_column(const model__index *index, size_t at)
{
    tims_str column = index->columns[at];
    return tims_str_slice(column, tims_str_starts_with(column, TIMS_STR("-")), column.length);
}

/* --- from descriptors -------------------------------------------------------------------------------- */

static tims_str on_delete_word(const tims_field *field)
{
    if (field->on_delete == TIMS_RESTRICT)
        return TIMS_STR("restrict");
    return field->on_delete == TIMS_SET_NULL ? TIMS_STR("set_null") : TIMS_STR("cascade");
}

static model__column column_of(const tims_field *field)
{
    model__column column = {
        .name = tims_str_from(field->name),
        .kind = tims_kind_base(field->kind),
        .scale = field->scale,
        .not_null = !tims_kind_is_optional(field->kind),
        .primary = field->primary,
        .has_default = field->default_value != NULL,
        .default_text = tims_str_from(field->default_value),
        .renamed_from = tims_str_from(field->renamed_from),
        .is_now = field->auto_now || field->auto_now_add,
    };
    if (field->to != NULL) {
        column.to = tims_str_from(field->to->name);
        column.to_key = tims_str_from(tims_model_primary(field->to)->name);
        column.on_delete = on_delete_word(field);
    }
    return column;
}

static tims_str index_name(tims_arena *arena, tims_str table, const tims_str *columns, size_t count,
                           bool unique)
{
    tims_buf name;
    tims_buf_init(&name, arena, 65536);
    tims_buf_append_str(&name, table);
    for (size_t i = 0; i < count; i++) {
        bool descending = tims_str_starts_with(columns[i], TIMS_STR("-"));
        tims_buf_print(&name, "_%S%s", tims_str_slice(columns[i], descending, columns[i].length),
                       descending ? "_desc" : "");
    }
    tims_buf_print(&name, "%s", unique ? "_unique" : "_index");
    return tims_buf_str(&name);
}

static void add_index(tims_arena *arena, model__table *table, const tims_str *columns, size_t count,
                      bool unique, const char *where)
{
    model__index *index = &table->indexes[table->index_count];
    index->name = index_name(arena, table->name, columns, count, unique);
    index->where = tims_str_from(where != NULL ? where : "");
    const model__index *other = model__table_find_index(table, index->name);
    if (other != NULL && !tims_str_equal(other->where, index->where)) { /* of other rows */
        uint64_t hash = tims_hash(index->where.data, index->where.length, (const uint64_t[2]){ 0, 0 });
        index->name = tims_print(arena, "%S_%08x", index->name, (unsigned)hash);
        other = model__table_find_index(table, index->name);
    }
    if (other != NULL)
        return;
    index->columns = TIMS_NEW_ARRAY(arena, tims_str, count);
    memcpy(index->columns, columns, count * sizeof *columns);
    index->column_count = count;
    index->unique = unique;
    table->index_count++;
}

static bool is_led_by(const model__table *table, tims_str column)
{
    for (size_t i = 0; i < table->index_count; i++)
        if (tims_str_equal(table->indexes[i].columns[0], column) && table->indexes[i].where.length == 0)
            return true;
    return false;
}

/* The declared ones first: a reference or `.index` column that leads one of them needs none of its own. */
static void add_indexes(tims_arena *arena, model__table *table, const tims_model *model)
{
    size_t declared = 0;
    for (const tims_index *index = model->indexes; index != NULL && index->columns.count > 0; index++)
        declared++;
    table->indexes = TIMS_NEW_ARRAY(arena, model__index, declared + model->fields.count + 1);
    for (size_t i = 0; i < declared; i++) {
        const tims_index *index = &model->indexes[i];
        tims_str *columns = TIMS_NEW_ARRAY(arena, tims_str, index->columns.count);
        for (size_t c = 0; c < index->columns.count; c++)
            columns[c] = tims_str_from(index->columns.items[c]);
        add_index(arena, table, columns, index->columns.count, index->unique, index->where);
    }
    for (size_t i = 0; i < model->fields.count; i++)
        if (model->fields.items[i].unique && !model->fields.items[i].primary)
            add_index(arena, table, &table->columns[i].name, 1, true, NULL);
    for (size_t i = 0; i < model->fields.count; i++) {
        const tims_field *field = &model->fields.items[i];
        if ((field->index || field->to != NULL) && !field->primary &&
            !is_led_by(table, table->columns[i].name))
            add_index(arena, table, &table->columns[i].name, 1, false, NULL);
    }
}

model__schema model__schema_of(tims_arena *arena, const tims_model *const *models)
{
    model__schema schema = { 0 };
    while (models != NULL && models[schema.count] != NULL)
        schema.count++;
    schema.tables = TIMS_NEW_ARRAY(arena, model__table, schema.count + 1);
    for (size_t m = 0; m < schema.count; m++) {
        const tims_model *model = models[m];
        model__table *table = &schema.tables[m];
        table->name = tims_str_from(model->name);
        table->column_count = model->fields.count;
        table->columns = TIMS_NEW_ARRAY(arena, model__column, model->fields.count);
        for (size_t i = 0; i < model->fields.count; i++)
            table->columns[i] = column_of(&model->fields.items[i]);
        add_indexes(arena, table, model);
        table->search = TIMS_NEW_ARRAY(arena, tims_str, model->search.count + 1);
        for (size_t i = 0; i < model->search.count; i++)
            table->search[table->search_count++] = tims_str_from(model->search.items[i]);
    }
    return schema;
}

/* --- to text ----------------------------------------------------------------------------------------- */

static void write_pair(tims_buf *out, const char *key, tims_str value)
{
    tims_buf_print(out, ", \"%s\": ", key);
    tims_json_escape(out, value);
}

static void write_column(tims_buf *out, const model__column *column)
{
    tims_buf_print(out, "        {\"name\": ");
    tims_json_escape(out, column->name);
    write_pair(out, "kind", model__kind_word(column->kind));
    if (column->kind == TIMS_KIND_DECIMAL)
        tims_buf_print(out, ", \"scale\": %u", column->scale);
    tims_buf_print(out, ", \"not_null\": %s", column->not_null ? "true" : "false");
    if (column->primary)
        tims_buf_print(out, ", \"primary\": true");
    if (column->has_default)
        write_pair(out, "default", column->default_text);
    if (column->to.length > 0) {
        write_pair(out, "to", column->to);
        write_pair(out, "to_key", column->to_key);
        write_pair(out, "on_delete", column->on_delete);
    }
    tims_buf_print(out, "}");
}

static void write_names(tims_buf *out, const tims_str *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tims_buf_print(out, "%s", i == 0 ? "[" : ", ");
        tims_json_escape(out, names[i]);
    }
    tims_buf_print(out, "]");
}

static void write_index(tims_buf *out, const model__index *index)
{
    tims_buf_print(out, "        {\"name\": ");
    tims_json_escape(out, index->name);
    tims_buf_print(out, ", \"columns\": ");
    write_names(out, index->columns, index->column_count);
    tims_buf_print(out, ", \"unique\": %s", index->unique ? "true" : "false");
    if (index->where.length > 0) {
        tims_buf_print(out, ", \"where\": ");
        tims_json_escape(out, index->where);
    }
    tims_buf_print(out, "}");
}

static void write_table(tims_buf *out, const model__table *table)
{
    tims_buf_print(out, "    {\n      \"name\": ");
    tims_json_escape(out, table->name);
    tims_buf_print(out, ",\n      \"columns\": [\n");
    for (size_t i = 0; i < table->column_count; i++) {
        write_column(out, &table->columns[i]);
        tims_buf_print(out, i + 1 < table->column_count ? ",\n" : "\n");
    }
    tims_buf_print(out, "      ],\n      \"indexes\": [%s", table->index_count > 0 ? "\n" : "");
    for (size_t i = 0; i < table->index_count; i++) {
        write_index(out, &table->indexes[i]);
        tims_buf_print(out, i + 1 < table->index_count ? ",\n" : "\n      ");
    }
    tims_buf_print(out, "]");
    if (table->search_count > 0) {
        tims_buf_print(out, ",\n      \"search\": ");
        write_names(out, table->search, table->search_count);
    }
    tims_buf_print(out, "\n    }");
}

tims_str tims_migrate_snapshot(tims_arena *arena, const tims_model *const *models)
{
    model__schema schema = model__schema_of(arena, models);
    tims_buf out;
    tims_buf_init(&out, arena, SNAPSHOT_BYTES_MAX);
    tims_buf_print(&out, "{\n  \"version\": %d,\n  \"tables\": [", SNAPSHOT_VERSION);
    for (size_t i = 0; i < schema.count; i++) {
        tims_buf_print(&out, i == 0 ? "\n" : ",\n");
        write_table(&out, &schema.tables[i]);
    }
    tims_buf_print(&out, "%s]\n}\n", schema.count > 0 ? "\n  " : "");
    TIMS_ASSERT(!out.overflow);
    return tims_buf_str(&out);
}

/* --- from text --------------------------------------------------------------------------------------- */

static tims_str get(const tims_json *object, const char *key)
{
    return tims_json_get_str(object, tims_str_from(key), (tims_str){ NULL, 0 });
}

static bool parse_column(const tims_json *json, model__column *column)
{
    column->name = get(json, "name");
    column->not_null = tims_json_get_bool(json, TIMS_STR("not_null"), false);
    column->primary = tims_json_get_bool(json, TIMS_STR("primary"), false);
    column->has_default = tims_json_get(json, TIMS_STR("default")) != NULL;
    column->default_text = get(json, "default");
    column->to = get(json, "to");
    column->to_key = get(json, "to_key");
    column->on_delete = get(json, "on_delete");
    int64_t scale = tims_json_get_int(json, TIMS_STR("scale"), 0);
    column->scale = (uint8_t)scale;
    return column->name.length > 0 && parse_kind(get(json, "kind"), &column->kind) && scale >= 0 &&
           scale <= TIMS_DECIMAL_DIGITS;
}

static bool parse_names(tims_arena *arena, const tims_json *json, tims_str **ret_names, size_t *ret_count)
{
    *ret_count = json != NULL ? tims_json_count(json) : 0;
    *ret_names = TIMS_NEW_ARRAY(arena, tims_str, *ret_count + 1);
    for (size_t i = 0; i < *ret_count; i++) {
        (*ret_names)[i] = tims_json_as_str(tims_json_at(json, i), (tims_str){ NULL, 0 });
        if ((*ret_names)[i].length == 0)
            return false;
    }
    return true;
}

static bool parse_index(tims_arena *arena, const tims_json *json, model__index *index)
{
    index->name = get(json, "name");
    index->unique = tims_json_get_bool(json, TIMS_STR("unique"), false);
    index->where = get(json, "where");
    return parse_names(arena, tims_json_get(json, TIMS_STR("columns")), &index->columns,
                       &index->column_count) &&
           index->name.length > 0 && index->column_count > 0;
}

static bool parse_table(tims_arena *arena, const tims_json *json, model__table *table)
{
    const tims_json *columns = tims_json_get(json, TIMS_STR("columns"));
    const tims_json *indexes = tims_json_get(json, TIMS_STR("indexes"));
    table->name = get(json, "name");
    table->column_count = columns != NULL ? tims_json_count(columns) : 0;
    table->index_count = indexes != NULL ? tims_json_count(indexes) : 0;
    table->columns = TIMS_NEW_ARRAY(arena, model__column, table->column_count + 1);
    table->indexes = TIMS_NEW_ARRAY(arena, model__index, table->index_count + 1);
    for (size_t i = 0; i < table->column_count; i++)
        if (!parse_column(tims_json_at(columns, i), &table->columns[i]))
            return false;
    for (size_t i = 0; i < table->index_count; i++)
        if (!parse_index(arena, tims_json_at(indexes, i), &table->indexes[i]))
            return false;
    return parse_names(arena, tims_json_get(json, TIMS_STR("search")), &table->search,
                       &table->search_count) &&
           table->name.length > 0 && table->column_count > 0;
}

tims_status model__schema_parse(tims_arena *arena, tims_str snapshot, model__schema *ret_schema,
                                tims_error *err)
{
    *ret_schema = (model__schema){ 0 };
    if (tims_str_trim(snapshot).length == 0)
        return TIMS_OK;
    const tims_json *json;
    tims_error error = { 0 };
    if (tims_json_parse(arena, snapshot, &json, &error) != TIMS_OK)
        return tims_fail(err, TIMS_INVALID, NULL, "snapshot.json cannot be read: %.180s", error.message);
    if (tims_json_get_int(json, TIMS_STR("version"), 0) != SNAPSHOT_VERSION)
        return tims_fail(err, TIMS_INVALID, NULL,
                         "snapshot.json is of another version than this program understands.");
    const tims_json *tables = tims_json_get(json, TIMS_STR("tables"));
    size_t count = tables != NULL ? tims_json_count(tables) : 0;
    ret_schema->tables = TIMS_NEW_ARRAY(arena, model__table, count + 1);
    for (size_t i = 0; i < count; i++)
        if (!parse_table(arena, tims_json_at(tables, i), &ret_schema->tables[i]))
            return tims_fail(err, TIMS_INVALID, NULL,
                             "snapshot.json: table %zu is not complete; restore the file.", i);
    ret_schema->count = count;
    return TIMS_OK;
}
