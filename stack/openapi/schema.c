/* schema.c: JSON Schema of fields: what a value of them may be, told from what binding checks (json's
 * json_bind.c) and from what is written (json_write_field.c). */
#include "openapi/openapi_internal.h"

enum { LENGTH_MAX_DEFAULT = 10000 }; /* what binding allows where a field says nothing */

bool openapi__is_shown(const tims_field *field, openapi__use use)
{
    if (field->hidden)
        return false;
    if (use == OPENAPI__ROW)
        return !field->write_only;
    bool is_ours = field->read_only || field->auto_now || field->auto_now_add;
    return !is_ours && !(use == OPENAPI__PATCH && field->primary);
}

/* --- values as they stand in descriptors -------------------------------------------------------- */

/* Written in a descriptor without quotes. */
static void write_value(openapi__document *d, const tims_field *field, const char *text)
{
    switch (tims_kind_base(field->kind)) {
    case TIMS_KIND_BOOL:
        tims_json_bool(d->w, strcmp(text, "true") == 0 || strcmp(text, "1") == 0);
        break;
    case TIMS_KIND_INT:
    case TIMS_KIND_DOUBLE:
    case TIMS_KIND_JSON:
    case TIMS_KIND_IDS:
    case TIMS_KIND_STRS:
        tims_json_raw(d->w, tims_str_from(text));
        break;
    default:
        tims_json_str(d->w, tims_str_from(text));
    }
}

/* --- parts of a schema --------------------------------------------------------------------------- */

static void write_type(openapi__document *d, const char *type, bool nullable)
{
    openapi__key(d, "type");
    if (nullable) {
        tims_json_begin_array(d->w);
        tims_json_str(d->w, tims_str_from(type));
        tims_json_str(d->w, TIMS_STR("null"));
        tims_json_end_array(d->w);
    } else {
        tims_json_str(d->w, tims_str_from(type));
    }
}

/* Of a URL's value no rule of the field is asked: it only compares. */
static void write_bounds(openapi__document *d, const tims_field *field, openapi__use use)
{
    if (use == OPENAPI__QUERY)
        return;
    if (tims_field_has_min(field))
        openapi__number(d, "minimum", field->min);
    if (tims_field_has_max(field))
        openapi__number(d, "maximum", field->max);
}

/* Rows may be older than the rules, and C may write what a body may not: only what the database holds to. */
static void write_lengths(openapi__document *d, const tims_field *field, openapi__use use,
                          const char *min_key, const char *max_key, bool scaled)
{
    int64_t min = field->min_length, max = field->max_length;
    if (use == OPENAPI__QUERY) {
        openapi__number(d, max_key, TIMS_TEXT_BYTES_MAX);
        return;
    }
    if (use == OPENAPI__ROW)
        min = 0;
    else if (field->required && min == 0)
        min = 1;
    if (max == 0 && use != OPENAPI__ROW)
        max = LENGTH_MAX_DEFAULT;
    if (min > 0)
        openapi__number(d, min_key, scaled ? (min + 2) / 3 * 4 : min);
    if (max > 0)
        openapi__number(d, max_key, scaled ? (max + 2) / 3 * 4 : max);
}

static void write_choices(openapi__document *d, const tims_field *field, bool nullable, bool maybe_empty)
{
    openapi__open_list(d, "enum");
    for (size_t i = 0; i < field->choices.count; i++)
        tims_json_str(d->w, tims_str_from(field->choices.items[i]));
    if (maybe_empty && !tims_names_contain(field->choices, TIMS_STR("")))
        tims_json_str(d->w, TIMS_STR(""));
    if (nullable)
        tims_json_null(d->w);
    tims_json_end_array(d->w);
}

/* A field with a format that was not given is empty. */
static void write_format(openapi__document *d, const char *format, bool maybe_empty)
{
    static const struct {
        const char *name, *key, *value, *or_empty;
    } formats[] = {
        { "email", "format", "email", "^$|@" },
        { "password", "format", "password", NULL },
        { "url", "format", "uri", "^$|^https?://" },
        { "slug", "pattern", "^[a-z0-9][a-z0-9_-]*$", "^([a-z0-9][a-z0-9_-]*)?$" },
        { "color", "pattern", "^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$", "^(#([0-9a-fA-F]{3}|[0-9a-fA-F]{6}))?$" },
    };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].name, format) == 0) {
            bool is_other = maybe_empty && formats[i].or_empty != NULL;
            openapi__text(d, is_other ? "pattern" : formats[i].key,
                          is_other ? formats[i].or_empty : formats[i].value);
            return;
        }
}

static void write_str(openapi__document *d, const tims_field *field, openapi__use use, bool nullable)
{
    bool is_row = use == OPENAPI__ROW;
    write_type(d, "string", nullable);
    if (field->choices.count > 0) {
        write_choices(d, field, nullable, is_row && !field->required && field->default_value == NULL);
        return;
    }
    write_lengths(d, field, use, "minLength", "maxLength", false);
    if (field->format != NULL && use != OPENAPI__QUERY)
        write_format(d, field->format, is_row);
}

/* --- kinds ----------------------------------------------------------------------------------------- */

/* As it is shown, or as it may be sent: a number too, as far as that is exact. */
static void write_decimal(openapi__document *d, const tims_field *field, openapi__use use, bool nullable)
{
    static const char pattern[] = "^-?[0-9]{1,18}(\\.[0-9]+)?$";
    if (use == OPENAPI__ROW || use == OPENAPI__QUERY) {
        write_type(d, "string", nullable);
    } else {
        openapi__open_list(d, "type");
        tims_json_str(d->w, TIMS_STR("string"));
        tims_json_str(d->w, TIMS_STR("number"));
        if (nullable)
            tims_json_str(d->w, TIMS_STR("null"));
        tims_json_end_array(d->w);
        write_bounds(d, field, use);
    }
    openapi__text(d, "format", "decimal");
    openapi__text(d, "pattern", pattern);
}

static void write_items(openapi__document *d, const tims_field *field, openapi__use use)
{
    write_type(d, "array", false);
    openapi__open(d, "items");
    write_type(d, "string", false);
    if (field->kind == TIMS_KIND_IDS)
        openapi__text(d, "format", "uuid");
    else if (field->choices.count > 0)
        write_choices(d, field, false, false);
    else if (use != OPENAPI__ROW)
        openapi__number(d, "maxLength", LENGTH_MAX_DEFAULT);
    if (field->kind == TIMS_KIND_STRS && field->format != NULL)
        write_format(d, field->format, false);
    openapi__close(d);
    write_lengths(d, field, use, "minItems", "maxItems", false);
}

static void write_nested(openapi__document *d, const tims_field *field, openapi__use use)
{
    if (field->shape != NULL) {
        openapi__key(d, "$ref");
        openapi__ref_shape(d, field->shape, use);
    } else if (field->list != NULL || field->map != NULL) {
        write_type(d, field->list != NULL ? "array" : "object", false);
        openapi__open(d, field->list != NULL ? "items" : "additionalProperties");
        openapi__field(d, field->list != NULL ? field->list : field->map, use);
        openapi__close(d);
    }
}

/* Without more said it is any value, which JSON Schema says by saying nothing. */
static void write_json(openapi__document *d, const tims_field *field, openapi__use use)
{
    bool is_nested = field->shape != NULL || field->list != NULL || field->map != NULL;
    if (!is_nested || !field->maybe_null) {
        write_nested(d, field, use);
        return;
    }
    openapi__open_list(d, "anyOf");
    tims_json_begin_object(d->w);
    write_nested(d, field, use);
    tims_json_end_object(d->w);
    tims_json_begin_object(d->w);
    openapi__text(d, "type", "null");
    tims_json_end_object(d->w);
    tims_json_end_array(d->w);
}

static void write_formatted(openapi__document *d, const char *type, const char *format, bool nullable)
{
    write_type(d, type, nullable);
    openapi__text(d, "format", format);
}

static void write_kind(openapi__document *d, const tims_field *field, openapi__use use)
{
    bool nullable = tims_kind_is_optional(field->kind) && use != OPENAPI__QUERY;
    switch (tims_kind_base(field->kind)) {
    case TIMS_KIND_BOOL:
        write_type(d, "boolean", nullable);
        break;
    case TIMS_KIND_INT:
        write_formatted(d, "integer", "int64", nullable);
        write_bounds(d, field, use);
        break;
    case TIMS_KIND_DOUBLE:
        write_formatted(d, "number", "double", nullable);
        write_bounds(d, field, use);
        break;
    case TIMS_KIND_STR:
        write_str(d, field, use, nullable);
        break;
    case TIMS_KIND_ID:
        write_formatted(d, "string", "uuid", nullable);
        break;
    case TIMS_KIND_TIME:
        write_formatted(d, "string", "date-time", nullable);
        break;
    case TIMS_KIND_JSON:
        write_json(d, field, use);
        break;
    case TIMS_KIND_DECIMAL:
        write_decimal(d, field, use, nullable);
        break;
    case TIMS_KIND_BYTES:
        write_type(d, "string", nullable);
        openapi__text(d, "contentEncoding", "base64");
        write_lengths(d, field, use, "minLength", "maxLength", true);
        break;
    default:
        write_items(d, field, use);
    }
}

void openapi__field(openapi__document *d, const tims_field *field, openapi__use use)
{
    write_kind(d, field, use);
    if (field->doc != NULL)
        openapi__text(d, "description", field->doc);
    if (use == OPENAPI__NEW && field->default_value != NULL) {
        openapi__key(d, "default");
        write_value(d, field, field->default_value);
    }
    if (field->example != NULL && use != OPENAPI__QUERY) {
        openapi__open_list(d, "examples");
        write_value(d, field, field->example);
        tims_json_end_array(d->w);
    }
}
