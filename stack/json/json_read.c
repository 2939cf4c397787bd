/* json_read: strict JSON in, over jansson.
 *
 * jansson allocates its values one by one; the arena a document was parsed into holds the root and lets go of
 * it when it ends. jansson's parser recurses and allows a depth of 2,048, more than a fiber's stack should be
 * asked for, so nesting is counted in one pass before it starts, and the values with it: each takes some 100
 * bytes of malloc that no arena counts, and a megabyte of them would hold the loop for long. A tims_json is a
 * json_t by another name. */
#include "json/json_internal.h"

#include <jansson.h>
#include <string.h>

static json_t *value_of(const tims_json *value)
{
    return (json_t *)(uintptr_t)value;
}

static const tims_json *json_of(const json_t *value)
{
    return (const tims_json *)value;
}

/* --- parse ------------------------------------------------------------------------------------ */

typedef struct depth_scan {
    size_t line, column, values;
} depth_scan;

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* False when brackets outside strings nest too deep; `ret_at` says where. Whether they match is jansson's to
 * say. Counts the values: one, and one more behind each comma and in each pair of brackets that has any. */
static bool check_depth(tims_str text, depth_scan *ret_at)
{
    size_t depth = 0, line = 1, line_start = 0, values = 1;
    bool in_string = false, opened = false; /* opened: nothing but space since the last opening bracket */
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"' || c == '\n')
                in_string = false;
            continue;
        }
        if (opened && !is_space(c)) {
            values += c != ']' && c != '}';
            opened = false;
        }
        values += c == ',';
        opened = opened || c == '[' || c == '{';
        if (c == '"') {
            in_string = true;
        } else if ((c == '[' || c == '{') && ++depth > TIMS_JSON_DEPTH_MAX) {
            *ret_at = (depth_scan){ .line = line, .column = i - line_start + 1 };
            return false;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        } else if (c == '\n') {
            line++;
            line_start = i + 1;
        }
    }
    ret_at->values = values;
    return true;
}

typedef struct holder {
    json_t *root;
} holder;

static void release(void *argument)
{
    json_decref(((holder *)argument)->root);
}

static const char *code_of(const json_error_t *problem)
{
    switch (json_error_code(problem)) {
    case json_error_duplicate_key:
        return "json_duplicate_key";
    case json_error_numeric_overflow:
        return "json_number";
    case json_error_null_byte_in_key:
        return "json_nul";
    case json_error_invalid_utf8:
        return "json_utf8";
    case json_error_end_of_input_expected:
        return "json_trailing";
    default:
        return "json_syntax";
    }
}

/* jansson adds "near '…'" with pieces of the input; the position says it better and echoes nothing. */
static tims_status fail_syntax(const json_error_t *problem, tims_error *err)
{
    const char *near = strstr(problem->text, " near '");
    int length = near != NULL ? (int)(near - problem->text) : (int)strlen(problem->text);
    return tims_fail(err, TIMS_MALFORMED, code_of(problem), "Not valid JSON: %.*s, at line %d, column %d.",
                     length, problem->text, problem->line, problem->column);
}

static bool has_nul(const json_t *value)
{
    return json_is_string(value) && memchr(json_string_value(value), '\0', json_string_length(value)) != NULL;
}

/* Where the first string with NUL is, as a JSON pointer. Depth is bounded by check_depth. */
static bool find_nul(json_t *value, tims_buf *pointer)
{
    size_t before = pointer->length, index;
    json_t *part;
    const char *name;
    json_object_foreach(value, name, part)
    {
        json__append_pointer(pointer, tims_str_from(name));
        if (find_nul(part, pointer))
            return true;
        pointer->length = before;
    }
    json_array_foreach(value, index, part)
    {
        tims_buf_print(pointer, "/%zu", index);
        if (find_nul(part, pointer))
            return true;
        pointer->length = before;
    }
    return has_nul(value);
}

/* No database keeps NUL in text that is shared by both, so it is told like any other wrong value of a field.
 * The document is read once more, to say of which. */
static tims_status fail_nul(tims_arena *arena, tims_str text, holder *held, const json_error_t *problem,
                            tims_error *err)
{
    held->root =
        json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (held->root == NULL || err == NULL)
        return fail_syntax(problem, err);
    tims_buf pointer;
    tims_buf_init(&pointer, arena, TIMS_JSON_DEPTH_MAX * JSON__POINTER_PART_MAX);
    (void)find_nul(held->root, &pointer);
    tims_error_field(arena, err, tims_buf_str(&pointer), "encoding", "Must be text without NUL.");
    return TIMS_INVALID;
}

tims_status tims_json_parse(tims_arena *arena, tims_str text, const tims_json **ret_value, tims_error *err)
{
    depth_scan at;
    if (text.length == 0)
        return tims_fail(err, TIMS_MALFORMED, "json_empty",
                         "Not valid JSON: there is nothing, at line 1, column 1.");
    if (!check_depth(text, &at))
        return tims_fail(err, TIMS_MALFORMED, "json_depth",
                         "Not valid JSON here: nested deeper than %d levels, at line %zu, column %zu.",
                         TIMS_JSON_DEPTH_MAX, at.line, at.column);
    if (at.values > TIMS_JSON_VALUES_MAX)
        return tims_fail(err, TIMS_MALFORMED, "json_values", "Not valid JSON here: more than %d values.",
                         TIMS_JSON_VALUES_MAX);
    /* Held by the arena before there is anything to hold: its limit may end the fiber at any allocation. */
    holder *held = TIMS_NEW(arena, holder);
    tims_arena_defer(arena, release, held);
    json_error_t problem;
    held->root = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
    if (held->root == NULL && json_error_code(&problem) == json_error_null_character)
        return fail_nul(arena, text, held, &problem, err);
    if (held->root == NULL)
        return fail_syntax(&problem, err);
    *ret_value = json_of(held->root);
    return TIMS_OK;
}

/* --- look ------------------------------------------------------------------------------------- */

tims_json_type tims_json_type_of(const tims_json *value)
{
    switch (json_typeof(value_of(value))) {
    case JSON_OBJECT:
        return TIMS_JSON_OBJECT;
    case JSON_ARRAY:
        return TIMS_JSON_ARRAY;
    case JSON_STRING:
        return TIMS_JSON_STR;
    case JSON_INTEGER:
        return TIMS_JSON_INT;
    case JSON_REAL:
        return TIMS_JSON_DOUBLE;
    case JSON_TRUE:
    case JSON_FALSE:
        return TIMS_JSON_BOOL;
    case JSON_NULL:
        break;
    }
    return TIMS_JSON_NULL;
}

const tims_json *tims_json_get(const tims_json *object, tims_str key)
{
    if (object == NULL || !json_is_object(value_of(object)))
        return NULL;
    return json_of(json_object_getn(value_of(object), key.data != NULL ? key.data : "", key.length));
}

const tims_json *tims_json_at(const tims_json *array, size_t index)
{
    return array == NULL ? NULL : json_of(json_array_get(value_of(array), index));
}

size_t tims_json_count(const tims_json *value)
{
    if (value == NULL)
        return 0;
    json_t *json = value_of(value);
    return json_is_array(json) ? json_array_size(json) : json_object_size(json);
}

bool tims_json_next(const tims_json *object, void **cursor, tims_str *ret_key, const tims_json **ret_value)
{
    if (object == NULL || !json_is_object(value_of(object)))
        return false;
    json_t *json = value_of(object);
    void *next = *cursor == NULL ? json_object_iter(json) : json_object_iter_next(json, *cursor);
    if (next == NULL)
        return false;
    *cursor = next;
    *ret_key = (tims_str){ json_object_iter_key(next), json_object_iter_key_len(next) };
    *ret_value = json_of(json_object_iter_value(next));
    return true;
}

tims_str tims_json_as_str(const tims_json *value, tims_str fallback)
{
    if (value == NULL || !json_is_string(value_of(value)))
        return fallback;
    return (tims_str){ json_string_value(value_of(value)), json_string_length(value_of(value)) };
}

int64_t tims_json_as_int(const tims_json *value, int64_t fallback)
{
    return value != NULL && json_is_integer(value_of(value)) ? (int64_t)json_integer_value(value_of(value))
                                                             : fallback;
}

double tims_json_as_double(const tims_json *value, double fallback)
{
    return value != NULL && json_is_number(value_of(value)) ? json_number_value(value_of(value)) : fallback;
}

bool tims_json_as_bool(const tims_json *value, bool fallback)
{
    return value != NULL && json_is_boolean(value_of(value)) ? json_is_true(value_of(value)) : fallback;
}

tims_str tims_json_get_str(const tims_json *object, tims_str key, tims_str fallback)
{
    return tims_json_as_str(tims_json_get(object, key), fallback);
}

int64_t tims_json_get_int(const tims_json *object, tims_str key, int64_t fallback)
{
    return tims_json_as_int(tims_json_get(object, key), fallback);
}

bool tims_json_get_bool(const tims_json *object, tims_str key, bool fallback)
{
    return tims_json_as_bool(tims_json_get(object, key), fallback);
}

/* --- and back to text ------------------------------------------------------------------------- */

/* Recursion is bounded by the depth the parser lets through. */
static void write_value(tims_json_writer *w, const tims_json *value)
{
    switch (tims_json_type_of(value)) {
    case TIMS_JSON_NULL:
        tims_json_null(w);
        break;
    case TIMS_JSON_BOOL:
        tims_json_bool(w, tims_json_as_bool(value, false));
        break;
    case TIMS_JSON_INT:
        tims_json_int(w, tims_json_as_int(value, 0));
        break;
    case TIMS_JSON_DOUBLE:
        tims_json_double(w, tims_json_as_double(value, 0));
        break;
    case TIMS_JSON_STR:
        tims_json_str(w, tims_json_as_str(value, TIMS_STR("")));
        break;
    case TIMS_JSON_ARRAY:
        tims_json_begin_array(w);
        for (size_t i = 0; i < tims_json_count(value); i++)
            write_value(w, tims_json_at(value, i));
        tims_json_end_array(w);
        break;
    case TIMS_JSON_OBJECT: {
        void *cursor = NULL;
        tims_str key;
        const tims_json *item;
        tims_json_begin_object(w);
        while (tims_json_next(value, &cursor, &key, &item)) {
            tims_json_key(w, key);
            write_value(w, item);
        }
        tims_json_end_object(w);
    }
    }
}

tims_str tims_json_to_text(tims_arena *arena, const tims_json *value)
{
    tims_buf out;
    tims_buf_init(&out, arena, SIZE_MAX);
    tims_json_writer writer = tims_json_to(&out);
    write_value(&writer, value);
    return tims_buf_str(&out);
}
