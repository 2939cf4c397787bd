/* component.c: schemas with a name: rows of models, bodies, shapes, pages of rows. They are noted where
 * something points at them, and written at the end, so that none stands there for nobody. */
#include "openapi/openapi_internal.h"

/* --- the register ---------------------------------------------------------------------------------- */

static bool is_same(const openapi__component *a, const openapi__component *b)
{
    return a->use == b->use && a->model == b->model && a->shape == b->shape && a->resource == b->resource;
}

static bool is_taken(const openapi__document *d, tims_str name)
{
    for (size_t i = 0; i < d->component_count; i++)
        if (tims_str_equal(d->components[i].name, name))
            return true;
    return tims_str_equal(name, TIMS_STR("Problem"));
}

/* Two resources of one model have a page each, the second by its path. Whatever else has one name twice is a
 * mistake. */
static void name_it(openapi__document *d, openapi__component *c)
{
    static const char *const suffixes[] = { "", "Create", "Update", "List", "" };
    const char *given = c->model != NULL   ? c->model->name
                        : c->shape != NULL ? c->shape->name
                                           : c->resource->model->name;
    tims_str base = openapi__type_name(d->arena, given);
    if (c->shape == NULL || c->use == OPENAPI__PATCH)
        base = tims_print(d->arena, "%S%s", base, suffixes[c->use]);
    c->name = base;
    if (!is_taken(d, base))
        return;
    if (c->resource != NULL)
        c->name =
            tims_print(d->arena, "%SList", openapi__path_name(d->arena, tims_str_from(c->resource->path)));
    if (is_taken(d, c->name))
        openapi__fail(d, "Two schemas are called %.*s: rename the shape or the model \"%s\".",
                      TIMS_PRINT(base), given);
}

static void write_ref(openapi__document *d, openapi__component wanted)
{
    size_t at = 0;
    while (at < d->component_count && !is_same(&d->components[at], &wanted))
        at++;
    if (at == d->component_count) {
        TIMS_ASSERT(at < OPENAPI__COMPONENTS_MAX);
        name_it(d, &wanted);
        d->components[d->component_count++] = wanted;
    }
    tims_json_str(d->w, tims_print(d->arena, "#/components/schemas/%S", d->components[at].name));
}

void openapi__ref_model(openapi__document *d, const tims_model *model, openapi__use use)
{
    write_ref(d, (openapi__component){ .use = use, .model = model });
}

void openapi__ref_shape(openapi__document *d, const tims_shape *shape, openapi__use use)
{
    write_ref(d, (openapi__component){ .use = use, .shape = shape });
}

void openapi__ref_list(openapi__document *d, const tims_resource *resource)
{
    write_ref(d, (openapi__component){ .use = OPENAPI__LIST, .resource = resource });
}

/* --- an object of fields ----------------------------------------------------------------------------- */

static bool is_required(const tims_field *field, openapi__use use)
{
    if (use == OPENAPI__ROW)
        return !field->maybe_absent;
    return use == OPENAPI__NEW && field->required;
}

static void write_required(openapi__document *d, tims_fields fields, openapi__use use)
{
    size_t count = 0;
    for (size_t i = 0; i < fields.count; i++)
        count += openapi__is_shown(&fields.items[i], use) && is_required(&fields.items[i], use);
    if (count == 0)
        return;
    openapi__open_list(d, "required");
    for (size_t i = 0; i < fields.count; i++)
        if (openapi__is_shown(&fields.items[i], use) && is_required(&fields.items[i], use))
            tims_json_str(d->w, tims_str_from(fields.items[i].name));
    tims_json_end_array(d->w);
}

static bool is_read_only(const tims_field *field)
{
    return field->read_only || field->auto_now || field->auto_now_add;
}

static void write_object(openapi__document *d, tims_fields fields, openapi__use use, const char *doc)
{
    openapi__text(d, "type", "object");
    if (doc != NULL)
        openapi__text(d, "description", doc);
    write_required(d, fields, use);
    openapi__open(d, "properties");
    for (size_t i = 0; i < fields.count; i++) {
        const tims_field *field = &fields.items[i];
        if (!openapi__is_shown(field, use))
            continue;
        openapi__open(d, field->name);
        openapi__field(d, field, use);
        if (use == OPENAPI__ROW && is_read_only(field))
            openapi__flag(d, "readOnly", true);
        openapi__close(d);
    }
    openapi__close(d);
    openapi__flag(d, "additionalProperties", false);
}

/* --- a page of rows ------------------------------------------------------------------------------------ */

static void write_included(openapi__document *d, const tims_model *model)
{
    openapi__open(d, "included");
    openapi__text(d, "type", "object");
    openapi__text(d, "description", "The rows that ?include= asks for, by their id.");
    openapi__open(d, "properties");
    for (size_t i = 0; i < model->fields.count; i++) {
        const tims_field *field = &model->fields.items[i];
        if (field->to == NULL || field->write_only || field->hidden)
            continue;
        openapi__open(d, field->name);
        openapi__text(d, "type", "object");
        openapi__open(d, "additionalProperties");
        openapi__key(d, "$ref");
        openapi__ref_model(d, field->to, OPENAPI__ROW);
        openapi__close(d);
        openapi__close(d);
    }
    openapi__close(d);
    openapi__flag(d, "additionalProperties", false);
    openapi__close(d);
}

static bool has_references(const tims_model *model)
{
    for (size_t i = 0; i < model->fields.count; i++)
        if (model->fields.items[i].to != NULL && openapi__is_shown(&model->fields.items[i], OPENAPI__ROW))
            return true;
    return false;
}

static const tims_field page_fields[] = {
    TIMS_VALUE(total, OPT_INT, .doc = "How many rows there are in all; null with ?total=false."),
    TIMS_VALUE(next, OPT_STR, .doc = "The URL of the rows behind these; null: there are none."),
    TIMS_VALUE(previous, OPT_STR, .doc = "The URL of the rows before these; null: there are none."),
    TIMS_VALUE(position, STR, .doc = "How much of what was written this shows: an epoch and a number."),
};
enum { PAGE_FIELD_COUNT = sizeof page_fields / sizeof *page_fields };

static void write_list(openapi__document *d, const tims_resource *resource)
{
    openapi__text(d, "type", "object");
    openapi__text(d, "description", "A page of rows.");
    openapi__open_list(d, "required");
    tims_json_str(d->w, TIMS_STR("rows"));
    for (size_t i = 0; i < PAGE_FIELD_COUNT; i++)
        tims_json_str(d->w, tims_str_from(page_fields[i].name));
    tims_json_end_array(d->w);
    openapi__open(d, "properties");
    openapi__open(d, "rows");
    openapi__text(d, "type", "array");
    openapi__open(d, "items");
    openapi__key(d, "$ref");
    openapi__ref_model(d, resource->model, OPENAPI__ROW);
    openapi__close(d);
    openapi__close(d);
    for (size_t i = 0; i < PAGE_FIELD_COUNT; i++) {
        openapi__open(d, page_fields[i].name);
        openapi__field(d, &page_fields[i], OPENAPI__ROW);
        openapi__close(d);
    }
    if (has_references(resource->model))
        write_included(d, resource->model);
    openapi__close(d);
    openapi__flag(d, "additionalProperties", false);
}

/* --- problems ------------------------------------------------------------------------------------------ */

static const tims_shape field_problem = {
    .name = "FieldProblem",
    .doc = "What is wrong with one value of a body.",
    .fields = TIMS_FIELDS(TIMS_VALUE(pointer, STR, .doc = "A JSON pointer to the value.", .example = "/text"),
                          TIMS_VALUE(code, STR, .doc = "For programs.", .example = "max_length"),
                          TIMS_VALUE(message, STR, .doc = "For people.", .example = "Must be shorter.")),
};
static const tims_field one_field_problem = { .kind = TIMS_KIND_JSON, .shape = &field_problem };
static const tims_fields problem_fields = TIMS_FIELDS(
    TIMS_VALUE(type, STR, .doc = "about:blank"), TIMS_VALUE(title, STR, .doc = "The status in words."),
    TIMS_VALUE(status, INT, .doc = "The HTTP status.", .min = 400, .max = 599),
    TIMS_VALUE(code, STR, .doc = "What is wrong, for programs.", .example = "not_found"),
    TIMS_VALUE(detail, STR, .doc = "What is wrong, for people."),
    TIMS_VALUE(errors, JSON, .doc = "The values that are wrong.", .list = &one_field_problem,
               .maybe_absent = true),
    TIMS_VALUE(request_id, STR, .doc = "Under which the log names it.", .maybe_absent = true));

/* --- all ------------------------------------------------------------------------------------------------- */

static void write_component(openapi__document *d, const openapi__component *c)
{
    if (c->resource != NULL)
        write_list(d, c->resource);
    else if (c->model != NULL)
        write_object(d, c->model->fields, c->use, c->model->doc);
    else
        write_object(d, c->shape->fields, c->use, c->shape->doc);
}

void openapi__write_schemas(openapi__document *d)
{
    openapi__open(d, "schemas");
    openapi__open(d, "Problem");
    write_object(d, problem_fields, OPENAPI__ROW, "Why a request was not done, after RFC 9457.");
    openapi__close(d);
    for (size_t i = 0; i < d->component_count; i++) { /* writing one may add more */
        openapi__component c = d->components[i];
        tims_json_key(d->w, c.name);
        tims_json_begin_object(d->w);
        write_component(d, &c);
        openapi__close(d);
    }
    openapi__close(d);
}
