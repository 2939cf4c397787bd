/* app.c: an app that is made from a file.
 *
 * The oracle test draws a world (models, references, read and write rules, resources) from a seed and writes
 * it down as JSON; its path is ORACLE_WORLD. This program reads it and is that app: descriptors are plain
 * structs, so they can be built while the program runs as well as by the compiler. Every model lies in one
 * generic struct with some places of each kind; a field takes the next free place of its kind. The migration
 * is what makemigrations would have written.
 *
 * The file comes from the test, so what is wrong in it is an assertion, not an answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tims/app.h"

enum { PLACES = 8, WORLD_BYTES_MAX = 1 << 20, ARENA_BYTES_MAX = 64 << 20 };

/* --- fields: places of a generic row ---------------------------------------------------------- */

typedef struct row {
    bool bools[PLACES];
    int64_t ints[PLACES];
    double doubles[PLACES];
    tims_str strs[PLACES];
    tims_id ids[PLACES];
    tims_time times[PLACES];
    tims_json_text jsons[PLACES];
    tims_opt_bool opt_bools[PLACES];
    tims_opt_int opt_ints[PLACES];
    tims_opt_double opt_doubles[PLACES];
    tims_opt_str opt_strs[PLACES];
    tims_opt_id opt_ids[PLACES];
    tims_opt_time opt_times[PLACES];
} row;

#define KIND(name_, kind_, member)                                                 \
    {                                                                              \
        .name = name_, .kind = TIMS_KIND_##kind_, .offset = offsetof(row, member), \
        .size = sizeof(((row *)0)->member[0])                                      \
    }
static const struct kind {
    const char *name;
    tims_kind kind;
    size_t offset, size;
} kinds[] = {
    KIND("bool", BOOL, bools),
    KIND("int", INT, ints),
    KIND("double", DOUBLE, doubles),
    KIND("str", STR, strs),
    KIND("id", ID, ids),
    KIND("time", TIME, times),
    KIND("json", JSON, jsons),
    KIND("opt_bool", OPT_BOOL, opt_bools),
    KIND("opt_int", OPT_INT, opt_ints),
    KIND("opt_double", OPT_DOUBLE, opt_doubles),
    KIND("opt_str", OPT_STR, opt_strs),
    KIND("opt_id", OPT_ID, opt_ids),
    KIND("opt_time", OPT_TIME, opt_times),
};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

/* --- the file --------------------------------------------------------------------------------- */

typedef struct world {
    tims_arena *arena;
    const tims_json *file;
    tims_model *models;
    size_t model_count;
} world;

static tims_str read_file(tims_arena *arena, const char *path)
{
    FILE *file = fopen(path, "re");
    TIMS_ASSERT(file != NULL);
    char *data = tims_alloc_raw(arena, WORLD_BYTES_MAX);
    size_t length = fread(data, 1, WORLD_BYTES_MAX, file);
    (void)fclose(file);
    TIMS_ASSERT(length < WORLD_BYTES_MAX);
    return (tims_str){ data, length };
}

/* A text member; NULL when it is not there. */
static const char *text_of(const world *w, const tims_json *object, tims_str key)
{
    tims_str text = tims_json_get_str(object, key, (tims_str){ NULL, 0 });
    return text.data == NULL ? NULL : tims_copy_c(w->arena, text);
}

static tims_names names_of(const world *w, const tims_json *object, tims_str key)
{
    const tims_json *list = tims_json_get(object, key);
    size_t count = tims_json_count(list);
    const char **items = TIMS_NEW_ARRAY(w->arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++)
        items[i] = tims_copy_c(w->arena, tims_json_as_str(tims_json_at(list, i), TIMS_STR("")));
    return (tims_names){ items, count };
}

static tims_model *find_model(const world *w, const char *name)
{
    for (size_t i = 0; i < w->model_count; i++)
        if (strcmp(w->models[i].name, name) == 0)
            return &w->models[i];
    TIMS_UNREACHABLE("a model that the world does not have");
}

/* --- models ----------------------------------------------------------------------------------- */

static tims_field make_field(const world *w, const tims_json *described, size_t *taken)
{
    const char *kind = text_of(w, described, TIMS_STR("kind"));
    const char *to = text_of(w, described, TIMS_STR("to"));
    size_t k = 0;
    while (k < KIND_COUNT && strcmp(kinds[k].name, kind) != 0)
        k++;
    TIMS_ASSERT(k < KIND_COUNT && taken[k] < PLACES);
    tims_field field = {
        .name = text_of(w, described, TIMS_STR("name")),
        .doc = "Drawn from a seed.",
        .kind = kinds[k].kind,
        .offset = kinds[k].offset + kinds[k].size * taken[k],
        .primary = tims_json_get_bool(described, TIMS_STR("primary"), false),
        .index = tims_json_get_bool(described, TIMS_STR("index"), false),
        .hidden = tims_json_get_bool(described, TIMS_STR("hidden"), false),
        .required = tims_json_get_bool(described, TIMS_STR("required"), false),
        .on_delete =
            tims_json_get_bool(described, TIMS_STR("set_null"), false) ? TIMS_SET_NULL : TIMS_CASCADE,
    };
    if (to != NULL)
        field.to = strcmp(to, "user") == 0 ? &tims_user_model : find_model(w, to);
    taken[k]++;
    return field;
}

static tims_fields make_fields(const world *w, const tims_json *described)
{
    size_t taken[KIND_COUNT] = { 0 }, count = tims_json_count(described);
    tims_field *items = TIMS_NEW_ARRAY(w->arena, tims_field, count);
    for (size_t i = 0; i < count; i++)
        items[i] = make_field(w, tims_json_at(described, i), taken);
    return (tims_fields){ items, count };
}

static const tims_rule *make_rule(const world *w, const tims_model *model, const tims_json *described);

static void make_parts(const world *w, const tims_model *model, const tims_json *described,
                       tims_rule *ret_rule)
{
    size_t count = tims_json_count(described);
    const tims_rule **parts = TIMS_NEW_ARRAY(w->arena, const tims_rule *, count + 1);
    for (size_t i = 0; i < count; i++)
        parts[i] = make_rule(w, model, tims_json_at(described, i));
    ret_rule->parts = parts;
}

static const tims_rule *make_rule(const world *w, const tims_model *model, const tims_json *described)
{
    static const struct {
        const char *name;
        tims_rule_kind kind;
    } names[] = {
        { "nobody", TIMS_RULE_NOBODY }, { "public", TIMS_RULE_PUBLIC }, { "signed_in", TIMS_RULE_SIGNED_IN },
        { "staff", TIMS_RULE_STAFF },   { "owner", TIMS_RULE_OWNER },   { "members", TIMS_RULE_MEMBERS },
        { "like", TIMS_RULE_LIKE },     { "any", TIMS_RULE_ANY },       { "all", TIMS_RULE_ALL },
    };
    if (described == NULL)
        return NULL;
    const char *kind = text_of(w, described, TIMS_STR("kind"));
    size_t k = 0;
    while (k < sizeof names / sizeof names[0] && strcmp(names[k].name, kind) != 0)
        k++;
    TIMS_ASSERT(k < sizeof names / sizeof names[0]);
    tims_rule *rule = TIMS_NEW(w->arena, tims_rule);
    rule->kind = names[k].kind;
    rule->column = text_of(w, described, TIMS_STR("column"));
    rule->thing = text_of(w, described, TIMS_STR("thing"));
    rule->user = text_of(w, described, TIMS_STR("user"));
    if (rule->kind == TIMS_RULE_MEMBERS)
        rule->model = find_model(w, text_of(w, described, TIMS_STR("model")));
    if (rule->kind == TIMS_RULE_LIKE)
        rule->model = tims_field_find(model->fields, tims_str_from(rule->column))->to;
    if (rule->kind == TIMS_RULE_ANY || rule->kind == TIMS_RULE_ALL)
        make_parts(w, model, tims_json_get(described, TIMS_STR("parts")), rule);
    return rule;
}

static const tims_index *make_indexes(const world *w, const tims_json *described)
{
    tims_names columns = names_of(w, described, TIMS_STR("unique"));
    if (columns.count == 0)
        return NULL;
    tims_index *indexes = TIMS_NEW_ARRAY(w->arena, tims_index, 2);
    indexes[0] = (tims_index){ .columns = columns, .unique = true };
    return indexes;
}

/* Names first, then what points at them. Returns the models, NULL-terminated. */
static const tims_model *const *make_models(world *w)
{
    const tims_json *described = tims_json_get(w->file, TIMS_STR("models"));
    w->model_count = tims_json_count(described);
    w->models = TIMS_NEW_ARRAY(w->arena, tims_model, w->model_count);
    const tims_model **list = TIMS_NEW_ARRAY(w->arena, const tims_model *, w->model_count + 1);
    for (size_t i = 0; i < w->model_count; i++) {
        w->models[i].name = text_of(w, tims_json_at(described, i), TIMS_STR("name"));
        list[i] = &w->models[i];
    }
    for (size_t i = 0; i < w->model_count; i++) {
        const tims_json *one = tims_json_at(described, i);
        tims_model *model = &w->models[i];
        model->doc = "Drawn from a seed.";
        model->size = sizeof(row);
        model->fields = make_fields(w, tims_json_get(one, TIMS_STR("fields")));
        model->order = text_of(w, one, TIMS_STR("order"));
        model->indexes = make_indexes(w, one);
        model->search = names_of(w, one, TIMS_STR("search"));
        model->read = make_rule(w, model, tims_json_get(one, TIMS_STR("read")));
        model->write = make_rule(w, model, tims_json_get(one, TIMS_STR("write")));
    }
    return list;
}

/* --- resources and the migration -------------------------------------------------------------- */

static const tims_resource *make_resources(const world *w)
{
    const tims_json *described = tims_json_get(w->file, TIMS_STR("resources"));
    size_t count = tims_json_count(described);
    tims_resource *resources = TIMS_NEW_ARRAY(w->arena, tims_resource, count + 1);
    for (size_t i = 0; i < count; i++) {
        const tims_json *one = tims_json_at(described, i);
        resources[i] = (tims_resource){
            .path = text_of(w, one, TIMS_STR("path")),
            .model = find_model(w, text_of(w, one, TIMS_STR("model"))),
            .allow = TIMS_EVERYTHING,
            .filter = names_of(w, one, TIMS_STR("filter")),
            .order = names_of(w, one, TIMS_STR("order")),
            .page = { tims_json_get_int(one, TIMS_STR("size"), 0),
                      tims_json_get_int(one, TIMS_STR("max"), 0) },
            .throttle = "none",
        };
    }
    return resources;
}

static const tims_embedded *make_migrations(const world *w, const tims_model *const *models)
{
    static const struct {
        const char *name;
        tims_db_dialect dialect;
    } plans[] = { { "0001_initial.postgres.sql", TIMS_POSTGRES }, { "0001_initial.sql", TIMS_SQLITE } };
    tims_embedded *files = TIMS_NEW_ARRAY(w->arena, tims_embedded, 4);
    for (size_t i = 0; i < 2; i++) {
        tims_migration_plan plan;
        tims_error err = { 0 };
        tims_status status = tims_migrate_plan(w->arena, TIMS_STR(""), models, plans[i].dialect, &plan, &err);
        TIMS_ASSERT(status == TIMS_OK);
        files[i] = (tims_embedded){ plans[i].name, plan.sql.data, plan.sql.length };
    }
    tims_str snapshot = tims_migrate_snapshot(w->arena, models);
    files[2] = (tims_embedded){ "snapshot.json", snapshot.data, snapshot.length };
    return files;
}

int main(int argc, char **argv)
{
    const char *path = getenv("ORACLE_WORLD");
    if (path == NULL) {
        (void)fputs("oracle: ORACLE_WORLD names no file; `make oracle` writes one\n", stderr);
        return 2;
    }
    world w = { .arena = tims_arena_new(ARENA_BYTES_MAX, NULL, NULL) };
    tims_status status = tims_json_parse(w.arena, read_file(w.arena, path), &w.file, NULL);
    TIMS_ASSERT(status == TIMS_OK);
    tims_app app = { .name = "oracle", .doc = "A world drawn from a seed." };
    app.models = make_models(&w);
    app.resources = make_resources(&w);
    app.migrations = make_migrations(&w, app.models);
    const tims_app *const apps[] = { &app, NULL };
    const tims_project project = {
        .name = "oracle",
        .version = "0.1.0",
        .apps = apps,
        .source_directory = "tests",
    };
    int exit_status = tims_main(argc, argv, &project);
    tims_arena_free(&w.arena);
    return exit_status;
}
