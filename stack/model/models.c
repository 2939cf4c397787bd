/* models.c: all models of the process, checked before anything uses them.
 *
 * Descriptors are code, so a mistake in one is the programmer's: it is named with model, field or rule, says
 * what to do, and ends the start. After this check the rest of the room asserts instead of asking. */
#include "model/model_internal.h"

enum { NAME_LENGTH_MAX = 50 };

struct tims_models {
    uint32_t magic;
    size_t count;
    const tims_model **items; /* parents before children */
};
enum { MODELS_MAGIC = 0x6d6f6473 };

/* What one check works on. */
typedef struct check {
    tims_arena *arena;
    const tims_model *const *models;
    size_t count;
    const tims_model *model;
    tims_error *err;
} check;

const tims_field *tims_model_primary(const tims_model *model)
{
    for (size_t i = 0; i < model->fields.count; i++)
        if (model->fields.items[i].primary)
            return &model->fields.items[i];
    TIMS_UNREACHABLE("a model without a primary key");
}

static bool is_listed(const check *c, const tims_model *model)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->models[i] == model)
            return true;
    return false;
}

/* --- names ------------------------------------------------------------------------------------ */

/* Columns that every table has without being asked. */
static bool is_system_column(const char *name)
{
    static const char *const names[] = { "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", "tims_words" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Why a table or column cannot be called so; NULL: it can. */
static const char *name_problem(const char *name)
{
    if (name == NULL || name[0] == '\0')
        return "has no name; give it one.";
    if (name[0] < 'a' || name[0] > 'z')
        return "has a name that does not start with a small letter; rename it.";
    size_t length = strlen(name);
    if (length > NAME_LENGTH_MAX)
        return "has a name of more than 50 characters; shorten it.";
    for (size_t i = 0; i < length; i++)
        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') || name[i] == '_'))
            return "has a name with other characters than a-z, 0-9 and _; rename it.";
    if (strstr(name, "__") != NULL)
        return "has a name with two underscores in a row, which filters use for operators; rename it.";
    if (strncmp(name, "sqlite_", 7) == 0)
        return "has a name that starts with sqlite_, which the database keeps for itself; rename it.";
    if (is_system_column(name))
        return "has a name that PostgreSQL, or the search, has a column of its own for; rename it.";
    return NULL;
}

static tims_status field_problem(const check *c, const tims_field *field, const char *problem)
{
    return tims_fail(c->err, TIMS_INVALID, "model", "model \"%s\": field \"%s\" %s", c->model->name,
                     field->name, problem);
}

/* --- fields ----------------------------------------------------------------------------------- */

static bool is_id_kind(tims_kind kind)
{
    return kind == TIMS_KIND_ID || kind == TIMS_KIND_OPT_ID;
}

static const char *reference_problem(const check *c, const tims_field *field)
{
    if (field->to == NULL)
        return NULL;
    if (!is_id_kind(field->kind))
        return "points at a model but is no tims_id or tims_opt_id; change the member's type.";
    if (!is_listed(c, field->to))
        return "points at a model that is not in the list of models; add that model to its app's table.";
    if (field->on_delete == TIMS_SET_NULL && field->kind != TIMS_KIND_OPT_ID)
        return "is to be set to null when its target goes, so it must be a tims_opt_id.";
    return NULL;
}

static const char *kind_problem(const check *c, const tims_field *field)
{
    if (field->kind == TIMS_KIND_IDS || field->kind == TIMS_KIND_STRS)
        return "is a list, which cannot be a column; make a model of its own for the items.";
    if (field->offset + model__kind_size(field->kind) > c->model->size)
        return "lies outside the struct; `.size` must be sizeof the struct the fields name.";
    tims_kind kind = tims_kind_base(field->kind);
    if ((field->auto_now || field->auto_now_add) && kind != TIMS_KIND_TIME)
        return "is set to the time by itself, so it must be a tims_time or tims_opt_time.";
    if (field->choices.count > 0 && kind != TIMS_KIND_STR)
        return "has choices, which only strings can have.";
    if (field->scale != 0 && kind != TIMS_KIND_DECIMAL)
        return "has a scale, which only decimals can have.";
    if (field->scale > TIMS_DECIMAL_DIGITS)
        return "has a scale beyond the 18 digits of a decimal.";
    if (field->format != NULL && kind != TIMS_KIND_STR)
        return "has a format, which only strings can have.";
    if (field->format != NULL && !tims_format_is_known(field->format))
        return "has a format that does not exist; see json.h for those that do.";
    if (field->primary && field->kind != TIMS_KIND_ID)
        return "is the primary key, so it must be a tims_id.";
    if (field->primary && (field->hidden || field->write_only))
        return "is the primary key, which cannot be hidden.";
    return NULL;
}

static const char *default_problem(const check *c, const tims_field *field)
{
    if (field->default_value == NULL)
        return NULL;
    void *row = tims_alloc(c->arena, c->model->size);
    tims_error why = { 0 };
    if (tims_bind_text(c->arena, field, tims_str_from(field->default_value), row, &why) != TIMS_OK)
        return "has a default that its own rules refuse; correct one of them.";
    return NULL;
}

static tims_status check_field(const check *c, size_t index)
{
    const tims_field *field = &c->model->fields.items[index];
    const char *problem = name_problem(field->name);
    for (size_t i = 0; problem == NULL && i < index; i++)
        if (strcmp(c->model->fields.items[i].name, field->name) == 0)
            problem = "is there twice; remove one.";
    if (problem == NULL)
        problem = kind_problem(c, field);
    if (problem == NULL)
        problem = reference_problem(c, field);
    if (problem == NULL)
        problem = default_problem(c, field);
    return problem == NULL ? TIMS_OK : field_problem(c, field, problem);
}

static tims_status check_fields(const check *c)
{
    const tims_fields fields = c->model->fields;
    if (fields.count == 0 || fields.count > TIMS_FIELDS_MAX)
        return tims_fail(c->err, TIMS_INVALID, "model", "model \"%s\" has %zu fields; it must have 1 to %d.",
                         c->model->name, fields.count, TIMS_FIELDS_MAX);
    size_t primaries = 0;
    for (size_t i = 0; i < fields.count; i++) {
        primaries += fields.items[i].primary;
        tims_status status = check_field(c, i);
        if (status != TIMS_OK)
            return status;
    }
    if (primaries != 1)
        return tims_fail(c->err, TIMS_INVALID, "model",
                         "model \"%s\" has %zu primary keys; mark exactly one field with .primary = true.",
                         c->model->name, primaries);
    return TIMS_OK;
}

/* --- indexes, search and order ------------------------------------------------------------------ */

static tims_status check_index(const check *c, const tims_index *index)
{
    for (size_t i = 0; i < index->columns.count; i++) {
        const char *name = index->columns.items[i];
        if (name[0] == '-')
            name++;
        if (tims_field_find(c->model->fields, tims_str_from(name)) == NULL)
            return tims_fail(c->err, TIMS_INVALID, "model",
                             "model \"%s\": an index names \"%s\", which is no field of it.", c->model->name,
                             name);
    }
    return TIMS_OK;
}

/* What is not shown is not found either. */
static tims_status check_search(const check *c)
{
    for (size_t i = 0; i < c->model->search.count; i++) {
        const char *name = c->model->search.items[i];
        const tims_field *field = tims_field_find(c->model->fields, tims_str_from(name));
        if (field == NULL || tims_kind_base(field->kind) != TIMS_KIND_STR || field->hidden ||
            field->write_only)
            return tims_fail(c->err, TIMS_INVALID, "model",
                             "model \"%s\": .search names \"%s\", which is no string that is shown.",
                             c->model->name, name);
    }
    return TIMS_OK;
}

static tims_status check_indexes_and_order(const check *c)
{
    for (const tims_index *index = c->model->indexes; index != NULL && index->columns.count > 0; index++) {
        tims_status status = check_index(c, index);
        if (status != TIMS_OK)
            return status;
    }
    tims_order orders[TIMS_ORDERS_MAX + 1];
    size_t count;
    tims_error why = { 0 };
    if (model__parse_order(c->model, tims_str_from(c->model->order), orders, &count, &why) != TIMS_OK)
        return tims_fail(c->err, TIMS_INVALID, "model", "model \"%s\": .order = \"%s\" is refused: %s",
                         c->model->name, c->model->order, why.message);
    return TIMS_OK;
}

/* --- rules ------------------------------------------------------------------------------------ */

static const char *rule_name(const tims_rule *rule)
{
    static const char *const names[] = {
        [TIMS_RULE_NOBODY] = "NOBODY", [TIMS_RULE_PUBLIC] = "PUBLIC", [TIMS_RULE_SIGNED_IN] = "SIGNED_IN",
        [TIMS_RULE_STAFF] = "STAFF",   [TIMS_RULE_OWNER] = "OWNER",   [TIMS_RULE_MEMBERS] = "MEMBERS",
        [TIMS_RULE_LIKE] = "LIKE",     [TIMS_RULE_ANY] = "ANY",       [TIMS_RULE_ALL] = "ALL",
    };
    return (size_t)rule->kind < sizeof names / sizeof *names ? names[rule->kind] : "the rule";
}

/* The last folders of a path are enough to find it. */
static const char *end_of_path(const char *path)
{
    enum { NAMES = 3 };
    const char *starts[NAMES] = { path, path, path };
    for (const char *at = path; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        memmove(starts, starts + 1, sizeof starts - sizeof *starts);
        starts[NAMES - 1] = at + 1;
    }
    return starts[0];
}

static tims_status rule_problem(const check *c, const char *which, const tims_rule *rule, const char *problem)
{
    if (rule->file == NULL)
        return tims_fail(c->err, TIMS_INVALID, "rule", "model \"%s\", .%s: %s %s", c->model->name, which,
                         rule_name(rule), problem);
    return tims_fail(c->err, TIMS_INVALID, "rule", "%s:%d: model \"%s\", .%s: %s %s", end_of_path(rule->file),
                     rule->line, c->model->name, which, rule_name(rule), problem);
}

static const tims_field *id_field(const tims_model *model, const char *name)
{
    const tims_field *field = name != NULL ? tims_field_find(model->fields, tims_str_from(name)) : NULL;
    return field != NULL && is_id_kind(field->kind) ? field : NULL;
}

/* Why live could not follow what this rule reads elsewhere; NULL: it can. Other rules are asked when somebody
 * writes, so only read rules must be followed. */
static const char *follow_problem(const check *c, const char *which, const tims_model *other)
{
    if (strcmp(which, "read") == 0 && !c->model->not_live && other->not_live)
        return "looks at a model that is .not_live: nobody would be told when access changes. Make that "
               "model "
               "live, or this one .not_live too.";
    return NULL;
}

static const char *members_problem(const check *c, const char *which, const tims_rule *rule)
{
    if (rule->model == NULL || !is_listed(c, rule->model))
        return "names a model that is not in the list of models; add it.";
    const tims_field *thing = id_field(rule->model, rule->thing);
    if (thing == NULL || thing->to != c->model)
        return "needs a column of the member model that points at this model (.to = …).";
    const tims_field *user = id_field(rule->model, rule->user);
    if (user == NULL)
        return "needs an id column of the member model for the user.";
    if (!user->primary && !tims_change_is_key(rule->model, user))
        return "needs a user column that the change log keeps; give it .to = … or .index = true.";
    return follow_problem(c, which, rule->model);
}

/* Whether following LIKE from `model` comes back to `start`. */
static bool like_comes_back(const tims_rule *rule, const tims_model *start, int depth)
{
    if (rule == NULL)
        return false;
    if (depth > MODEL__RULE_DEPTH_MAX)
        return true;
    if (rule->kind == TIMS_RULE_LIKE)
        return rule->model == start ||
               (rule->model != NULL && like_comes_back(rule->model->read, start, depth + 1));
    if (rule->kind == TIMS_RULE_ANY || rule->kind == TIMS_RULE_ALL)
        for (const tims_rule *const *part = rule->parts; part != NULL && *part != NULL; part++)
            if (like_comes_back(*part, start, depth + 1))
                return true;
    return false;
}

static const char *like_problem(const check *c, const char *which, const tims_rule *rule)
{
    const tims_field *field = id_field(c->model, rule->column);
    if (field == NULL || rule->model == NULL || field->to != rule->model)
        return "needs a column of this model that points at that model (.to = …).";
    if (rule->model->read == NULL)
        return "names a model without a read rule: nobody could ever pass.";
    if (strcmp(which, "read") == 0 && like_comes_back(rule, c->model, 0))
        return "comes back to this model, or goes too deep; give one of them a rule of its own.";
    return follow_problem(c, which, rule->model);
}

static tims_status check_rule(const check *c, const char *which, const tims_rule *rule, int depth);

static tims_status check_parts(const check *c, const char *which, const tims_rule *rule, int depth)
{
    if (rule->parts == NULL || rule->parts[0] == NULL)
        return rule_problem(c, which, rule, "has no parts.");
    for (const tims_rule *const *part = rule->parts; *part != NULL; part++) {
        tims_status status = check_rule(c, which, *part, depth + 1);
        if (status != TIMS_OK)
            return status;
    }
    return TIMS_OK;
}

static tims_status check_rule(const check *c, const char *which, const tims_rule *rule, int depth)
{
    const char *problem = NULL;
    if (depth > MODEL__RULE_DEPTH_MAX)
        return rule_problem(c, which, rule, "is nested more than 8 deep; make the rule flatter.");
    switch (rule->kind) {
    case TIMS_RULE_OWNER:
        problem = id_field(c->model, rule->column) == NULL ? "needs an id column of this model." : NULL;
        break;
    case TIMS_RULE_MEMBERS:
        problem = members_problem(c, which, rule);
        break;
    case TIMS_RULE_LIKE:
        problem = like_problem(c, which, rule);
        break;
    case TIMS_RULE_ANY:
    case TIMS_RULE_ALL:
        return check_parts(c, which, rule, depth);
    case TIMS_RULE_NOBODY:
    case TIMS_RULE_PUBLIC:
    case TIMS_RULE_SIGNED_IN:
    case TIMS_RULE_STAFF:
        break;
    default:
        problem = "is of no kind there is; use the TIMS_… macros.";
    }
    return problem == NULL ? TIMS_OK : rule_problem(c, which, rule, problem);
}

static tims_status check_rules(const check *c)
{
    const struct {
        const char *which;
        const tims_rule *rule;
    } rules[] = {
        { "read", c->model->read },     { "write", c->model->write },   { "create", c->model->create },
        { "change", c->model->change }, { "remove", c->model->remove },
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (rules[i].rule == NULL)
            continue;
        tims_status status = check_rule(c, rules[i].which, rules[i].rule, 0);
        if (status != TIMS_OK)
            return status;
    }
    return TIMS_OK;
}

/* When the rules themselves stand: what the read rule follows must not be too much. */
static tims_status check_dependencies(check *c)
{
    tims_dependency items[TIMS_DEPENDENCIES_MAX];
    size_t count;
    for (size_t i = 0; i < c->count; i++) {
        c->model = c->models[i];
        if (!model__dependencies(c->model->read, c->model, items, &count))
            return rule_problem(c, "read", c->model->read,
                                "depends on more than 16 columns of other models; make it simpler.");
    }
    return TIMS_OK;
}

/* --- all -------------------------------------------------------------------------------------- */

static tims_status check_model(check *c, size_t index)
{
    c->model = c->models[index];
    const char *problem = name_problem(c->model->name);
    if (problem != NULL)
        return tims_fail(c->err, TIMS_INVALID, "model", "model \"%s\" %s",
                         c->model->name != NULL ? c->model->name : "", problem);
    for (size_t i = 0; i < index; i++)
        if (strcmp(c->models[i]->name, c->model->name) == 0)
            return tims_fail(c->err, TIMS_INVALID, "model", "model \"%s\" is there twice; rename one.",
                             c->model->name);
    tims_status status = check_fields(c);
    if (status == TIMS_OK)
        status = check_indexes_and_order(c);
    if (status == TIMS_OK)
        status = check_search(c);
    if (status == TIMS_OK)
        status = check_rules(c);
    return status;
}

static bool is_placed(const tims_models *models, const tims_model *model)
{
    for (size_t i = 0; i < models->count; i++)
        if (models->items[i] == model)
            return true;
    return false;
}

static bool parents_are_placed(const tims_models *models, const tims_model *model)
{
    for (size_t i = 0; i < model->fields.count; i++) {
        const tims_model *parent = model->fields.items[i].to;
        if (parent != NULL && parent != model && !is_placed(models, parent))
            return false;
    }
    return true;
}

/* Parents before children; among models that point at each other in a circle, the order they were given
 * in. */
static void place_models(tims_models *models, const tims_model *const *given, size_t count)
{
    while (models->count < count) {
        const tims_model *next = NULL, *fallback = NULL;
        for (size_t i = 0; i < count && next == NULL; i++) {
            if (is_placed(models, given[i]))
                continue;
            if (fallback == NULL)
                fallback = given[i];
            if (parents_are_placed(models, given[i]))
                next = given[i];
        }
        models->items[models->count++] = next != NULL ? next : fallback;
    }
}

tims_status tims_models_new(tims_arena *arena, const tims_model *const *models, size_t count,
                            tims_models **ret_models, tims_error *err)
{
    check c = { .arena = arena, .models = models, .count = count, .err = err };
    for (size_t i = 0; i < count; i++) {
        tims_status status = check_model(&c, i);
        if (status != TIMS_OK)
            return status;
    }
    tims_status status = check_dependencies(&c);
    if (status != TIMS_OK)
        return status;
    tims_models *result = TIMS_NEW(arena, tims_models);
    result->magic = MODELS_MAGIC;
    result->items = TIMS_NEW_ARRAY(arena, const tims_model *, count + 1);
    place_models(result, models, count);
    *ret_models = result;
    return TIMS_OK;
}

size_t tims_models_count(const tims_models *models)
{
    TIMS_CHECK_MAGIC(models, MODELS_MAGIC);
    return models->count;
}

const tims_model *tims_models_at(const tims_models *models, size_t index)
{
    TIMS_CHECK_MAGIC(models, MODELS_MAGIC);
    TIMS_ASSERT(index < models->count);
    return models->items[index];
}

const tims_model *tims_models_find(const tims_models *models, tims_str name)
{
    TIMS_CHECK_MAGIC(models, MODELS_MAGIC);
    for (size_t i = 0; i < models->count; i++)
        if (tims_str_equal(tims_str_from(models->items[i]->name), name))
            return models->items[i];
    return NULL;
}
