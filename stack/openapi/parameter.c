/* parameter.c: parameters: of the path, of a list's URL (as rest's resolve.c reads it), and the headers that
 * writes and details understand. */
#include "openapi/openapi_internal.h"

/* --- one parameter ----------------------------------------------------------------------------------- */

static void begin_parameter(openapi__document *d, tims_str name, const char *in, bool required,
                            const char *doc)
{
    tims_json_begin_object(d->w);
    openapi__key(d, "name");
    tims_json_str(d->w, name);
    openapi__text(d, "in", in);
    if (required)
        openapi__flag(d, "required", true);
    if (doc != NULL)
        openapi__text(d, "description", doc);
}

static void write_int_parameter(openapi__document *d, const char *name, const char *doc, int64_t min,
                                int64_t max, int64_t otherwise)
{
    begin_parameter(d, tims_str_from(name), "query", false, doc);
    openapi__open(d, "schema");
    openapi__text(d, "type", "integer");
    openapi__number(d, "minimum", min);
    openapi__number(d, "maximum", max);
    if (otherwise > 0)
        openapi__number(d, "default", otherwise);
    openapi__close(d);
    openapi__close(d);
}

static void write_str_parameter(openapi__document *d, const char *name, const char *doc, int64_t max)
{
    begin_parameter(d, tims_str_from(name), "query", false, doc);
    openapi__open(d, "schema");
    openapi__text(d, "type", "string");
    openapi__number(d, "maxLength", max);
    openapi__close(d);
    openapi__close(d);
}

/* Values with commas between. */
static void begin_list_parameter(openapi__document *d, tims_str name, const char *doc, int64_t max)
{
    begin_parameter(d, name, "query", false, doc);
    openapi__text(d, "style", "form");
    openapi__flag(d, "explode", false);
    openapi__open(d, "schema");
    openapi__text(d, "type", "array");
    openapi__number(d, "minItems", 1);
    if (max > 0)
        openapi__number(d, "maxItems", max);
    openapi__open(d, "items");
}

static void end_list_parameter(openapi__document *d)
{
    openapi__close(d);
    openapi__close(d);
    openapi__close(d);
}

/* --- the path ------------------------------------------------------------------------------------------ */

static void write_path_schema(openapi__document *d, tims_str kind)
{
    openapi__open(d, "schema");
    bool is_id = tims_str_equal(kind, TIMS_STR("id")), is_int = tims_str_equal(kind, TIMS_STR("int"));
    openapi__text(d, "type", is_int ? "integer" : "string");
    if (is_id)
        openapi__text(d, "format", "uuid");
    else if (is_int)
        openapi__text(d, "format", "int64");
    else
        openapi__number(d, "minLength", 1);
    openapi__close(d);
}

static void write_path_parameters(openapi__document *d, tims_str pattern)
{
    tims_str rest = pattern;
    (void)tims_str_cut(&rest, '{');
    while (rest.data != NULL) {
        tims_str kind = tims_str_cut(&rest, '}');
        tims_str name = tims_str_cut(&kind, ':');
        begin_parameter(d, name, "path", true, NULL);
        write_path_schema(d, kind);
        openapi__close(d);
        if (rest.data != NULL)
            (void)tims_str_cut(&rest, '{');
    }
}

/* --- filters --------------------------------------------------------------------------------------------- */

typedef enum comparison { COMPARE_ALL, COMPARE_ORDERED, COMPARE_TEXT } comparison;
static const struct {
    const char *suffix, *doc;
    comparison needs;
} operators[] = {
    { "", "It is this.", COMPARE_ALL },
    { "__not", "It is not this; rows without a value too.", COMPARE_ALL },
    { "__lt", "It is less.", COMPARE_ORDERED },
    { "__lte", "It is less, or this.", COMPARE_ORDERED },
    { "__gt", "It is greater.", COMPARE_ORDERED },
    { "__gte", "It is greater, or this.", COMPARE_ORDERED },
    { "__contains", "It has this in it, in whatever case.", COMPARE_TEXT },
    { "__startswith", "It begins with this, in whatever case.", COMPARE_TEXT },
};
enum { OPERATOR_COUNT = sizeof operators / sizeof *operators };

static bool is_kind(const tims_field *field, tims_kind kind, tims_kind optional)
{
    return field->kind == kind || field->kind == optional;
}

static bool can_compare(const tims_field *field, comparison needs)
{
    if (field->kind == TIMS_KIND_JSON)
        return false;
    if (needs == COMPARE_TEXT)
        return is_kind(field, TIMS_KIND_STR, TIMS_KIND_OPT_STR);
    return needs == COMPARE_ALL || !is_kind(field, TIMS_KIND_BOOL, TIMS_KIND_OPT_BOOL);
}

/* A part of a text is none of its choices. */
static tims_field compared(const tims_field *field, comparison needs)
{
    tims_field plain = *field;
    plain.doc = NULL;
    if (needs != COMPARE_ALL)
        plain.choices = (tims_names){ 0 };
    return plain;
}

static void write_in(openapi__document *d, const tims_field *field)
{
    tims_field plain = compared(field, COMPARE_ALL);
    begin_list_parameter(d, tims_print(d->arena, "%s__in", field->name), "It is one of these.", TIMS_IN_MAX);
    openapi__field(d, &plain, OPENAPI__QUERY);
    end_list_parameter(d);
}

static void write_is_null(openapi__document *d, const tims_field *field)
{
    begin_parameter(d, tims_print(d->arena, "%s__isnull", field->name), "query", false,
                    "Whether it has no value.");
    openapi__open(d, "schema");
    openapi__text(d, "type", "boolean");
    openapi__close(d);
    openapi__close(d);
}

static void write_filter(openapi__document *d, const tims_field *field)
{
    for (size_t i = 0; i < OPERATOR_COUNT; i++) {
        if (!can_compare(field, operators[i].needs))
            continue;
        tims_field plain = compared(field, operators[i].needs);
        bool is_own = i == 0 && field->doc != NULL;
        begin_parameter(d, tims_print(d->arena, "%s%s", field->name, operators[i].suffix), "query", false,
                        is_own ? field->doc : operators[i].doc);
        openapi__open(d, "schema");
        openapi__field(d, &plain, OPENAPI__QUERY);
        openapi__close(d);
        openapi__close(d);
    }
    if (field->kind != TIMS_KIND_JSON)
        write_in(d, field);
    write_is_null(d, field);
}

/* --- what every list has ----------------------------------------------------------------------------------- */

static void write_names(openapi__document *d, const char *const *names, size_t count, bool descending_too)
{
    openapi__text(d, "type", "string");
    openapi__open_list(d, "enum");
    for (size_t i = 0; i < count; i++) {
        tims_json_str(d->w, tims_str_from(names[i]));
        if (descending_too)
            tims_json_str(d->w, tims_print(d->arena, "-%s", names[i]));
    }
    tims_json_end_array(d->w);
}

static size_t shown_fields(const tims_model *model, bool references, const char *ret_names[TIMS_FIELDS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < model->fields.count; i++) {
        const tims_field *field = &model->fields.items[i];
        if (openapi__is_shown(field, OPENAPI__ROW) && (!references || field->to != NULL))
            ret_names[count++] = field->name;
    }
    return count;
}

static void write_fields(openapi__document *d, const tims_model *model)
{
    const char *names[TIMS_FIELDS_MAX];
    size_t count = shown_fields(model, false, names);
    begin_list_parameter(d, TIMS_STR("fields"), "Only these fields, and what identifies a row.", 0);
    write_names(d, names, count, false);
    end_list_parameter(d);
}

static void write_include(openapi__document *d, const tims_model *model)
{
    const char *names[TIMS_FIELDS_MAX];
    size_t count = shown_fields(model, true, names);
    if (count == 0)
        return;
    begin_list_parameter(d, TIMS_STR("include"), "The rows that these point at, in `included`.",
                         TIMS_INCLUDES_MAX);
    write_names(d, names, count, false);
    end_list_parameter(d);
}

static void write_order(openapi__document *d, const tims_resource *resource)
{
    if (resource->order.count == 0)
        return;
    const char *usual = resource->model->order;
    tims_str doc = usual == NULL
                       ? TIMS_STR("By these; with - the other way round.")
                       : tims_print(d->arena, "By these; with - the other way round. Else: %s.", usual);
    begin_list_parameter(d, TIMS_STR("order"), tims_copy_c(d->arena, doc), TIMS_ORDERS_MAX);
    write_names(d, resource->order.items, resource->order.count, true);
    end_list_parameter(d);
}

static void write_total(openapi__document *d)
{
    begin_parameter(d, TIMS_STR("total"), "query", false, "Whether `total` is counted.");
    openapi__open(d, "schema");
    openapi__text(d, "type", "boolean");
    openapi__flag(d, "default", true);
    openapi__close(d);
    openapi__close(d);
}

static void write_list_parameters(openapi__document *d, const tims_resource *resource)
{
    int64_t size = resource->page.size > 0 ? resource->page.size : TIMS_PAGE_SIZE;
    int64_t max = resource->page.max > 0 ? resource->page.max : TIMS_PAGE_MAX;
    for (size_t i = 0; i < resource->filter.count; i++)
        write_filter(d, tims_field_find(resource->model->fields, tims_str_from(resource->filter.items[i])));
    if (resource->model->search.count > 0)
        write_str_parameter(d, "search", "Each of its words (at most eight) begins a word of the row.",
                            TIMS_SEARCH_BYTES_MAX);
    write_order(d, resource);
    write_int_parameter(d, "limit", "Rows of a page.", 1, max > size ? max : size, size);
    write_int_parameter(d, "page", "The number of a page; not together with cursor.", 1, TIMS_PAGE_NUMBER_MAX,
                        0);
    write_str_parameter(d, "cursor", "Where `next` or `previous` leads to.", TIMS_TEXT_BYTES_MAX);
    write_fields(d, resource->model);
    write_include(d, resource->model);
    write_total(d);
}

/* --- headers ----------------------------------------------------------------------------------------------- */

static const struct {
    const char *component, *name, *doc;
} headers[] = {
    [OPENAPI__PARAMETER_KEY] = { "IdempotencyKey", "Idempotency-Key",
                                 "Sent again with the same key and body, it is done once and answered the "
                                 "same; with another body it is 422." },
    [OPENAPI__PARAMETER_MATCH] = { "IfMatch", "If-Match", "Only while the row's ETag is this; else 412." },
    [OPENAPI__PARAMETER_NONE_MATCH] = { "IfNoneMatch", "If-None-Match",
                                        "Only when the ETag is not this; else 304." },
};
enum { HEADER_COUNT = sizeof headers / sizeof *headers };

static void write_header(openapi__document *d, int which)
{
    d->parameters_used |= UINT32_C(1) << which;
    tims_json_begin_object(d->w);
    openapi__key(d, "$ref");
    tims_json_str(d->w, tims_print(d->arena, "#/components/parameters/%s", headers[which].component));
    openapi__close(d);
}

void openapi__write_parameter_components(openapi__document *d)
{
    openapi__open(d, "parameters");
    for (int i = 0; i < HEADER_COUNT; i++) {
        if ((d->parameters_used >> i & 1) == 0)
            continue;
        openapi__key(d, headers[i].component);
        begin_parameter(d, tims_str_from(headers[i].name), "header", false, headers[i].doc);
        openapi__open(d, "schema");
        openapi__text(d, "type", "string");
        openapi__close(d);
        openapi__close(d);
    }
    openapi__close(d);
}

/* --- all ----------------------------------------------------------------------------------------------------- */

static void write_query_shape(openapi__document *d, const tims_shape *shape)
{
    for (size_t i = 0; shape != NULL && i < shape->fields.count; i++) {
        const tims_field *field = &shape->fields.items[i];
        begin_parameter(d, tims_str_from(field->name), "query", field->required, NULL);
        openapi__open(d, "schema");
        openapi__field(d, field, OPENAPI__NEW);
        openapi__close(d);
        openapi__close(d);
    }
}

void openapi__write_parameters(openapi__document *d, const openapi__operation *o)
{
    const tims_route_api *api = openapi__api_of(o);
    openapi__open_list(d, "parameters");
    write_path_parameters(d, o->pattern);
    if (o->verb == OPENAPI__GET_LIST)
        write_list_parameters(d, o->resource);
    if (o->verb == OPENAPI__GET_ROW)
        write_fields(d, o->resource->model);
    if (api != NULL)
        write_query_shape(d, api->query);
    if (o->verb == OPENAPI__GET_ROW || o->verb == OPENAPI__GET_LIST || o->verb == OPENAPI__COMPUTED)
        write_header(d, OPENAPI__PARAMETER_NONE_MATCH);
    if (o->verb == OPENAPI__CREATE || o->verb == OPENAPI__UPDATE || o->verb == OPENAPI__DELETE)
        write_header(d, OPENAPI__PARAMETER_KEY);
    if (o->verb == OPENAPI__UPDATE || o->verb == OPENAPI__DELETE)
        write_header(d, OPENAPI__PARAMETER_MATCH);
    tims_json_end_array(d->w);
}
