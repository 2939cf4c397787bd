/* json.h: JSON out (our own, on the hot path), JSON in (strict), and structs bound to it by descriptors. */
#ifndef TIMS_JSON_H
#define TIMS_JSON_H

#include "tims/base.h"

/* --- field: one row of a struct's descriptor -------------------------------------------------- */

typedef enum tims_kind {
    TIMS_KIND_BOOL,
    TIMS_KIND_INT,
    TIMS_KIND_DOUBLE,
    TIMS_KIND_STR,
    TIMS_KIND_ID,
    TIMS_KIND_TIME,
    TIMS_KIND_JSON,
    TIMS_KIND_DECIMAL,
    TIMS_KIND_BYTES,
    TIMS_KIND_OPT_BOOL,
    TIMS_KIND_OPT_INT,
    TIMS_KIND_OPT_DOUBLE,
    TIMS_KIND_OPT_STR,
    TIMS_KIND_OPT_ID,
    TIMS_KIND_OPT_TIME,
    TIMS_KIND_OPT_DECIMAL,
    TIMS_KIND_OPT_BYTES,
    TIMS_KIND_IDS,
    TIMS_KIND_STRS /* bodies only, never columns */
} tims_kind;

/* For a member of any other type the compiler names tims_unsupported_field_type at the user's line. */
struct tims_unsupported_field_type;
/* clang-format off */
#define TIMS_KIND_OF(value)                                                                                    \
    _Generic((value), bool: TIMS_KIND_BOOL, int64_t: TIMS_KIND_INT, double: TIMS_KIND_DOUBLE,                  \
        tims_str: TIMS_KIND_STR, tims_id: TIMS_KIND_ID, tims_time: TIMS_KIND_TIME,                             \
        tims_json_text: TIMS_KIND_JSON, tims_decimal: TIMS_KIND_DECIMAL, tims_bytes: TIMS_KIND_BYTES,          \
        tims_opt_bool: TIMS_KIND_OPT_BOOL, tims_opt_int: TIMS_KIND_OPT_INT,                                    \
        tims_opt_double: TIMS_KIND_OPT_DOUBLE, tims_opt_str: TIMS_KIND_OPT_STR,                                \
        tims_opt_id: TIMS_KIND_OPT_ID, tims_opt_time: TIMS_KIND_OPT_TIME,                                      \
        tims_opt_decimal: TIMS_KIND_OPT_DECIMAL, tims_opt_bytes: TIMS_KIND_OPT_BYTES, tims_ids: TIMS_KIND_IDS, \
        tims_strs: TIMS_KIND_STRS)
/* clang-format on */

struct tims_model;

typedef struct tims_field {
    const char *name;
    tims_kind kind;
    size_t offset;
    const char *doc;
    /* what a value must be (checked when JSON is bound) */
    bool required; /* must be given on create; strings also not empty */
    /* numbers; both 0: no bounds. One that is given alone is alone where 0 cannot be the other: `.min = 1`
     * has no maximum, `.max = -1` no minimum; but `.max = 9` is from 0 on, and `.min = -9` up to 0. */
    int64_t min, max;
    /* strings in code points, lists in items, bytes in bytes; max 0: 10,000 */
    uint32_t min_length, max_length;
    uint8_t scale;      /* decimals: digits behind the point */
    tims_names choices; /* strings: one of these */
    const char *format; /* "email", "url", "slug", "color": checked; "password": any; in the API documents */
    const char *default_value; /* as it would be written in JSON without quotes; NULL: the zero value */
    /* who may set or see it over the API */
    bool read_only, write_only, hidden;
    /* what it is in the database (models only) */
    bool primary, unique, index, auto_now_add, auto_now;
    const struct tims_model *to; /* foreign key to that model's primary key */
    enum { TIMS_CASCADE, TIMS_RESTRICT, TIMS_SET_NULL } on_delete;
    const char *renamed_from; /* a hint for makemigrations */
    /* what is said of it in the API documents */
    const char *example; /* written like default_value */
    /* JSON: an object of these fields; else a list of such values, or an object that has them under any key;
     * none: any value */
    const struct tims_shape *shape;
    const struct tims_field *list, *map;
    bool maybe_null, maybe_absent; /* JSON: null too; of an answer: not always there */
} tims_field;

enum { TIMS_FIELDS_MAX = 64 };
typedef uint64_t tims_field_set; /* bit i: field i of the descriptor */

typedef struct tims_fields {
    const tims_field *items;
    size_t count;
} tims_fields;

/* A member's row: TIMS_FIELD(message, text, .max_length = 4000, .doc = "What was written."). */
/* clang-format off */
#define TIMS_FIELD(type, member, ...)                                                                 \
    { .offset = offsetof(type, member), .name = #member, .kind = TIMS_KIND_OF(((type *)0)->member),   \
      __VA_ARGS__ }
/* A row of a descriptor for documents alone, without a struct: TIMS_VALUE(count, INT, .doc = "…"). */
#define TIMS_VALUE(name_, kind_, ...)                                                                 \
    { .name = #name_, .kind = TIMS_KIND_##kind_, __VA_ARGS__ }
#define TIMS_FIELDS(...)                                                                              \
    { .items = (const tims_field[]){ __VA_ARGS__ },                                                   \
      .count = sizeof((const tims_field[]){ __VA_ARGS__ }) / sizeof(tims_field) }
/* clang-format on */

/* A plain struct (the body of an endpoint, the arguments of a task), or an answer that is described. */
typedef struct tims_shape {
    const char *name, *doc;
    size_t size; /* 0: there is no struct, it only describes */
    tims_fields fields;
} tims_shape;

/* Whether `min` bounds the field's numbers. */
static inline bool tims_field_has_min(const tims_field *field)
{
    return field->max > 0 || field->min != 0;
}
/* Whether `max` does. */
static inline bool tims_field_has_max(const tims_field *field)
{
    return field->min < 0 || field->max != 0;
}
const tims_field *tims_field_find(tims_fields fields, tims_str name); /* NULL: no such field */
/* The place of the field in its table, from 0: its bit in a tims_field_set. */
size_t tims_field_index(tims_fields fields, const tims_field *field);
/* Whether members of this kind are tims_opt_…, so that null is a value. */
bool tims_kind_is_optional(tims_kind kind);
/* What such a member holds where it is there: of TIMS_KIND_OPT_INT TIMS_KIND_INT, and so on; itself of what
 * is no tims_opt_…. */
tims_kind tims_kind_base(tims_kind kind);

/* --- writer ----------------------------------------------------------------------------------- */

/* Appends to `out`; commas are put by itself. Nesting up to 64. Invalid UTF-8 in strings becomes U+FFFD. */
typedef struct tims_json_writer {
    tims_buf *out;
    uint64_t needs_comma; /* bit d - 1: something was written in the container at depth d */
    uint32_t depth;
    bool after_key;
} tims_json_writer;

/* A writer that appends to this buffer. */
static inline tims_json_writer tims_json_to(tims_buf *out)
{
    return (tims_json_writer){ .out = out };
}
/* Opens an object; members are a key and a value in turn. */
void tims_json_begin_object(tims_json_writer *w);
/* Closes it; begin and end must match (asserted). */
void tims_json_end_object(tims_json_writer *w);
/* Opens an array. */
void tims_json_begin_array(tims_json_writer *w);
/* Closes it; begin and end must match (asserted). */
void tims_json_end_array(tims_json_writer *w);
/* The name of the member whose value is written next; escaped like any string. */
void tims_json_key(tims_json_writer *w, tims_str name);
/* A string, escaped; what is not UTF-8 becomes U+FFFD. */
void tims_json_str(tims_json_writer *w, tims_str value);
/* A whole number. */
void tims_json_int(tims_json_writer *w, int64_t value);
/* shortest form that reads back; NaN and ∞ as null */
void tims_json_double(tims_json_writer *w, double value);
/* true or false. */
void tims_json_bool(tims_json_writer *w, bool value);
/* null. */
void tims_json_null(tims_json_writer *w);
/* An id as its 36 characters. */
void tims_json_id(tims_json_writer *w, tims_id value);
/* A time as RFC 3339 with microseconds and Z. */
void tims_json_time(tims_json_writer *w, tims_time value);
void tims_json_decimal(tims_json_writer *w, tims_decimal value, uint8_t scale); /* "12.50" */
void tims_json_bytes(tims_json_writer *w, tims_str value);                      /* base64 */
void tims_json_raw(tims_json_writer *w, tims_str json);                         /* trusted JSON text */
/* Appends the JSON string for `value`, quotes included, to any buffer. */
void tims_json_escape(tims_buf *out, tims_str value);
/* One member of a struct by its descriptor, key and value; and a whole struct as an object (hidden and
 * write_only left out, `only` 0 means all). */
void tims_json_field(tims_json_writer *w, const tims_field *field, const void *object);
/* A whole struct as an object: its fields in the order of their table; `only` 0 means all. */
void tims_json_object(tims_json_writer *w, tims_fields fields, const void *object, tims_field_set only);

/* --- reader ----------------------------------------------------------------------------------- */

/* A read-only JSON value; lives in the arena it was parsed into. */
typedef struct tims_json tims_json;
typedef enum tims_json_type {
    TIMS_JSON_NULL,
    TIMS_JSON_BOOL,
    TIMS_JSON_INT,
    TIMS_JSON_DOUBLE,
    TIMS_JSON_STR,
    TIMS_JSON_ARRAY,
    TIMS_JSON_OBJECT
} tims_json_type;

enum { TIMS_JSON_DEPTH_MAX = 64, TIMS_JSON_VALUES_MAX = 100000 };

/* Strict: one value, no trailing bytes, no duplicate keys, no NUL in strings, depth ≤ 64, at most 100,000
 * values, integers in int64. Errors: MALFORMED with line and column in the message; INVALID with the field
 * ("encoding") whose string has NUL. */
tims_status tims_json_parse(tims_arena *arena, tims_str text, const tims_json **ret_value, tims_error *err);
/* The kind of value; NULL counts as TIMS_JSON_NULL. */
tims_json_type tims_json_type_of(const tims_json *value);
const tims_json *tims_json_get(const tims_json *object, tims_str key); /* NULL: absent or not an object */
/* An item, from 0; NULL: past the end, or not an array. */
const tims_json *tims_json_at(const tims_json *array, size_t index);
size_t tims_json_count(const tims_json *value); /* of an array or object; else 0 */
/* Steps through an object; start with *cursor = NULL. */
bool tims_json_next(const tims_json *object, void **cursor, tims_str *ret_key, const tims_json **ret_value);
/* The value itself, with a fallback for "absent (NULL) or of another type"; whole numbers count as
 * doubles. */
tims_str tims_json_as_str(const tims_json *value, tims_str fallback);
/* A whole number, or the fallback. */
int64_t tims_json_as_int(const tims_json *value, int64_t fallback);
/* A number, or the fallback. */
double tims_json_as_double(const tims_json *value, double fallback);
/* true or false, or the fallback. */
bool tims_json_as_bool(const tims_json *value, bool fallback);
/* Typed getters with a fallback for "absent or of another type". */
tims_str tims_json_get_str(const tims_json *object, tims_str key, tims_str fallback);
/* The member as a whole number, or the fallback. */
int64_t tims_json_get_int(const tims_json *object, tims_str key, int64_t fallback);
/* The member as true or false, or the fallback. */
bool tims_json_get_bool(const tims_json *object, tims_str key, bool fallback);
/* The value itself as text again. */
tims_str tims_json_to_text(tims_arena *arena, const tims_json *value);
/* Writes the merge patch (RFC 7396) that makes `now` of `before`. False, and rubbish in the writer: there is
 * none, since one of them is no object or a member became null. */
bool tims_json_merge_patch(tims_arena *arena, const tims_json *before, const tims_json *now,
                           tims_json_writer *writer);

/* --- bind: JSON into a struct ----------------------------------------------------------------- */

typedef enum tims_bind_mode {
    TIMS_BIND_CREATE, /* required fields must be there; absent ones get their defaults */
    TIMS_BIND_PATCH   /* only what is there is set; absent ≠ null */
} tims_bind_mode;

/* Reads an object into `ret_object` (size bytes, zeroed by the caller), checking every field's rules. Unknown
 * (and hidden) and read-only fields are errors; so is the primary key in a patch. After an error `ret_object`
 * may be partly filled. Field codes: unknown, read_only, required, null, type, min, max, min_length,
 * max_length, choice, format, id, time, scale, range, base64, encoding. Collects all field errors (at most
 * 32), each with its JSON pointer. `ret_present` (may be NULL): which fields the body named. Strings point
 * into the arena. Errors: MALFORMED (not an object), INVALID with fields. */
tims_status tims_json_bind(tims_arena *arena, const tims_json *body, tims_fields fields, tims_bind_mode mode,
                           void *ret_object, tims_field_set *ret_present, tims_error *err);
/* One value from text (query strings, path parameters, defaults), by the field's kind and rules. */
tims_status tims_bind_text(tims_arena *arena, const tims_field *field, tims_str text, void *ret_object,
                           tims_error *err);
/* Adds a field error to `err`, which becomes INVALID. */
void tims_error_field(tims_arena *arena, tims_error *err, tims_str pointer, const char *code,
                      const char *format, ...);

/* Whether a string has the named format ("email", "url", "slug", "color", "password"); asserts that the
 * format is known. */
bool tims_format_matches(const char *format, tims_str text);
/* Whether tims_format_matches knows this format. */
bool tims_format_is_known(const char *format);

#endif
