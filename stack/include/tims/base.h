/* base.h: the ground floor. Slices, ids, times, arenas, buffers, maps, errors, the log, settings.
 *
 * No input or output happens here except the log's own write. Everything above includes this. */
#ifndef TIMS_BASE_H
#define TIMS_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tims/compiler.h"

/* --- assertions: they stay on in release ------------------------------------------------------------- */

/* Aborts with file, line, expression and the current scope (request, task) if `condition` is false. */
#define TIMS_ASSERT(condition) \
    (TIMS_LIKELY(condition) ? (void)0 : tims_assert_failed(#condition, __FILE__, __LINE__))
/* What TIMS_ASSERT calls: logs the expression, its place and the scope, and aborts. Never returns. */
TIMS_NORETURN TIMS_COLD void tims_assert_failed(const char *expression, const char *file, int line);

/* For places that cannot be reached; says why. */
#define TIMS_UNREACHABLE(why) tims_assert_failed("unreachable: " why, __FILE__, __LINE__)

/* Long-lived structs start with a magic number; checked at every cast from `void *`. */
#define TIMS_CHECK_MAGIC(object, expected) TIMS_ASSERT((object) != NULL && (object)->magic == (expected))

/* --- str: a borrowed slice of bytes, usually UTF-8, not terminated ------------------------------------ */

typedef struct tims_str {
    const char *data;
    size_t length;
} tims_str;

/* clang-format off */
#define TIMS_STR(literal) ((tims_str){ "" literal, sizeof(literal) - 1 })
#define TIMS_STR_INIT(literal) { "" literal, sizeof(literal) - 1 }
/* clang-format on */
/* For printf-like formats: "%.*s", TIMS_PRINT(s). */
#define TIMS_PRINT(s) (int)(s).length, (s).data

tims_str tims_str_from(const char *terminated); /* NULL gives the empty slice */
/* Whether both have the same bytes. */
bool tims_str_equal(tims_str a, tims_str b);
bool tims_str_equal_ignoring_case(tims_str a, tims_str b); /* ASCII only */
/* Whether the first bytes of `s` are `prefix`; the empty prefix fits always. */
bool tims_str_starts_with(tims_str s, tims_str prefix);
/* Whether the last bytes of `s` are `suffix`; the empty suffix fits always. */
bool tims_str_ends_with(tims_str s, tims_str suffix);
int tims_str_compare(tims_str a, tims_str b);                /* bytewise, like memcmp then length */
tims_str tims_str_trim(tims_str s);                          /* ASCII white space at both ends */
tims_str tims_str_slice(tims_str s, size_t from, size_t to); /* clamped to the length */
/* The offset of `needle` in `s`, or SIZE_MAX. */
size_t tims_str_find(tims_str s, tims_str needle);
/* Cuts `*rest` at the first `separator`; returns the part before it and leaves the part behind it in
 * `*rest`. Without a separator returns all of it and leaves `*rest` with data == NULL. */
tims_str tims_str_cut(tims_str *rest, char separator);
/* A whole decimal number in [min, max], nothing around it. False leaves `ret_value` alone. */
TIMS_MUST_USE bool tims_str_to_int(tims_str s, int64_t min, int64_t max, int64_t *ret_value);
TIMS_MUST_USE bool tims_str_is_utf8(tims_str s); /* well-formed, no surrogates, no overlong forms */
size_t tims_str_count_codepoints(tims_str s);    /* `s` must be well-formed UTF-8 */

/* --- id: a UUID (version 7 when made here) ------------------------------------------------------------- */

typedef struct tims_id {
    uint8_t bytes[16];
} tims_id;

enum { TIMS_ID_TEXT_LENGTH = 36 };

/* Whether both are the same id. */
bool tims_same_id(tims_id a, tims_id b);
/* Whether all 16 bytes are zero: an id that was never set. */
bool tims_id_is_zero(tims_id id);
/* Writes 36 characters, lower case, no terminator. */
void tims_id_format(tims_id id, char ret_text[TIMS_ID_TEXT_LENGTH]);
/* Accepts exactly the 8-4-4-4-12 form, either case. */
TIMS_MUST_USE bool tims_id_parse(tims_str text, tims_id *ret_id);
/* UUIDv7 of the given wall time and 10 random bytes; `tims_id_new` in crypto supplies both. */
tims_id tims_id_from_parts(int64_t unix_ms, const uint8_t random[10]);

/* --- time: UTC microseconds since 1970 ------------------------------------------------------------------ */

typedef struct tims_time {
    int64_t us;
} tims_time;

enum { TIMS_TIME_TEXT_LENGTH = 27 }; /* 2026-11-23T20:37:18.123456Z */

tims_time tims_now(void);        /* wall clock */
int64_t tims_monotonic_us(void); /* for durations and deadlines */
/* Writes 27 characters, no terminator. Years outside 0000–9999 are clamped. */
void tims_time_format(tims_time time, char ret_text[TIMS_TIME_TEXT_LENGTH]);
/* RFC 3339 with Z or an offset and 0–9 fraction digits (cut to microseconds). */
TIMS_MUST_USE bool tims_time_parse(tims_str text, tims_time *ret_time);

/* --- rate: how many in a time --------------------------------------------------------------------------- */

typedef struct tims_rate {
    int64_t count, period_us;
} tims_rate; /* count 0: none */

/* "100/m": 1 to 1,000,000 in a second (s), minute (m) or hour (h); "none". */
TIMS_MUST_USE bool tims_rate_parse(const char *text, tims_rate *ret_rate);

/* --- decimals and bytes ------------------------------------------------------------------------ */

/* `units` of 10^-scale; the scale is the field's. At most 18 digits in all. */
typedef struct tims_decimal {
    int64_t units;
} tims_decimal;

enum { TIMS_DECIMAL_DIGITS = 18, TIMS_DECIMAL_TEXT_MAX = 24 };
#define TIMS_DECIMAL_UNITS_MAX INT64_C(999999999999999999)

/* Whether `units` has at most TIMS_DECIMAL_DIGITS digits. */
TIMS_MUST_USE bool tims_decimal_fits(int64_t units);
/* "-12.50", with `scale` digits behind the point; in `ret_text`, without a terminator. */
tims_str tims_decimal_format(int64_t units, uint8_t scale, char ret_text[TIMS_DECIMAL_TEXT_MAX]);
typedef enum tims_decimal_problem {
    TIMS_DECIMAL_FINE,
    TIMS_DECIMAL_MALFORMED, /* not digits with a point between them */
    TIMS_DECIMAL_TOO_FINE,  /* more digits behind the point than `scale`, and not zeros */
    TIMS_DECIMAL_TOO_LARGE
} tims_decimal_problem;
/* Reads "-12.50" as units of 10^-scale. `ret_units` is set only when it is TIMS_DECIMAL_FINE. */
TIMS_MUST_USE tims_decimal_problem tims_decimal_parse(tims_str text, uint8_t scale, int64_t *ret_units);

/* Bytes that are no text; base64 in JSON. */
typedef struct tims_bytes {
    tims_str data;
} tims_bytes;

/* --- optional values: absent is a type, never a convention ------------------------------------ */

typedef struct tims_opt_bool {
    bool present, value;
} tims_opt_bool;
typedef struct tims_opt_int {
    bool present;
    int64_t value;
} tims_opt_int;
typedef struct tims_opt_double {
    bool present;
    double value;
} tims_opt_double;
typedef struct tims_opt_str {
    bool present;
    tims_str value;
} tims_opt_str;
typedef struct tims_opt_id {
    bool present;
    tims_id value;
} tims_opt_id;
typedef struct tims_opt_time {
    bool present;
    tims_time value;
} tims_opt_time;
typedef struct tims_opt_decimal {
    bool present;
    tims_decimal value;
} tims_opt_decimal;
typedef struct tims_opt_bytes {
    bool present;
    tims_bytes value;
} tims_opt_bytes;
typedef struct tims_ids {
    tims_id *items;
    size_t count;
} tims_ids;
typedef struct tims_strs {
    tims_str *items;
    size_t count;
} tims_strs;
/* A JSON document kept as text, already checked. */
typedef struct tims_json_text {
    tims_str text;
} tims_json_text;

/* A constant list of names, for tables: TIMS_NAMES("text", "read"). */
typedef struct tims_names {
    const char *const *items;
    size_t count;
} tims_names;
/* clang-format off */
#define TIMS_NAMES(...)                                                       \
    (tims_names){ (const char *const[]){ __VA_ARGS__ },                       \
                  sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *) }
/* clang-format on */
/* Whether one of the names is exactly `name`. */
bool tims_names_contain(tims_names names, tims_str name);

/* --- status and error ------------------------------------------------------------------------- */

/* One table gives the constant, the machine-readable code, the HTTP status and the default sentence. */
#define TIMS_STATUS_TABLE(X)                                                                    \
    X(OK, "ok", 200, "Fine.")                                                                   \
    X(INVALID, "invalid", 422, "The input is not valid.")                                       \
    X(MALFORMED, "malformed", 400, "The input cannot be read.")                                 \
    X(UNAUTHORIZED, "unauthorized", 401, "Sign in first.")                                      \
    X(FORBIDDEN, "forbidden", 403, "You may not do this.")                                      \
    X(NOT_FOUND, "not_found", 404, "There is no such thing, or it is not yours to see.")        \
    X(CONFLICT, "conflict", 409, "Something else already has this value.")                      \
    X(PRECONDITION, "precondition_failed", 412, "It was changed meanwhile; read it again.")     \
    X(TOO_LARGE, "too_large", 413, "The input is too large.")                                   \
    X(THROTTLED, "throttled", 429, "Too many requests; wait a moment.")                         \
    X(INTERNAL, "internal", 500, "Something went wrong here. It has been logged.")              \
    X(UNAVAILABLE, "unavailable", 503, "A part this needs does not answer; try again shortly.") \
    X(TIMEOUT, "timeout", 504, "It took too long.")                                             \
    X(CANCELLED, "cancelled", 499, "The caller went away.")                                     \
    X(IO, "io", 500, "Reading or writing failed.")                                              \
    X(CLOSED, "closed", 500, "The other side closed.")                                          \
    X(BUSY, "busy", 503, "It is in use by somebody else.")

/* Must be looked at: clang refuses a call whose status is dropped. */
typedef enum TIMS_MUST_USE_TYPE tims_status {
#define X(name, code, http, text) TIMS_##name,
    TIMS_STATUS_TABLE(X)
#undef X
        TIMS_STATUS_COUNT
} tims_status;

const char *tims_status_name(tims_status status); /* "not_found" */
/* The HTTP status that stands for it: 404 for TIMS_NOT_FOUND. */
int tims_status_http(tims_status status);
/* The default sentence for people; static. */
const char *tims_status_text(tims_status status);

/* What is wrong with one field; a list, first to last. Lives in the error's arena. */
typedef struct tims_field_error {
    struct tims_field_error *next;
    tims_str pointer; /* JSON pointer into the body: /members/3 */
    const char *code; /* "required", "max_length", … static */
    tims_str message;
} tims_field_error;

/* Filled where the failure is first seen; logged once, at the boundary. `message` is safe to show to the
 * client; `detail` is for the log only. */
typedef struct tims_error {
    tims_status status;
    const char *code; /* static; the status's name unless something more exact is known */
    char message[256];
    char detail[256];
    tims_field_error *fields;
    int retry_after_s; /* 0: unknown */
} tims_error;

/* Fills `err` (NULL is allowed) and returns `status`, so that `return tims_fail(…)` reads well. */
tims_status tims_fail(tims_error *err, tims_status status, const char *code, const char *format, ...)
    TIMS_PRINTF(4, 5);
#ifdef __clang_analyzer__ /* which does not see that the status comes back */
#define tims_fail(err, status, ...) ((void)!(tims_fail)(err, status, __VA_ARGS__), (tims_status)(status))
#endif
/* Adds what only the log may see. */
void tims_error_detail(tims_error *err, const char *format, ...) TIMS_PRINTF(2, 3);

/* --- arena: memory and cleanups that end together --------------------------------------------- */

typedef struct tims_arena tims_arena;
typedef void (*tims_defer_fn)(void *argument);
/* Called when the arena's limit is passed; must not return (it ends the fiber). */
typedef void (*tims_arena_limit_fn)(void *argument);

/* `limit_bytes` bounds everything ever handed out. `on_limit` NULL: passing the limit is an assertion. */
tims_arena *tims_arena_new(size_t limit_bytes, tims_arena_limit_fn on_limit, void *on_limit_argument);
/* Runs the deferred calls in reverse order, then frees all. Sets `*arena` to NULL; NULL is fine. */
void tims_arena_free(tims_arena **arena);
/* As free and new, but keeps the first block: for pooled scopes. */
void tims_arena_reset(tims_arena *arena);
/* Zeroed, aligned for any type, never NULL. Under ASan every allocation is a malloc of its own. */
void *tims_alloc(tims_arena *arena, size_t bytes);
/* As tims_alloc for `count` items; the product is checked. */
void *tims_alloc_array(tims_arena *arena, size_t count, size_t item_bytes);
/* Not zeroed. */
void *tims_alloc_raw(tims_arena *arena, size_t bytes);
#define TIMS_NEW(arena, type) ((type *)tims_alloc((arena), sizeof(type)))
#define TIMS_NEW_ARRAY(arena, type, count) ((type *)tims_alloc_array((arena), (count), sizeof(type)))
/* `function(argument)` runs when the arena ends. */
void tims_arena_defer(tims_arena *arena, tims_defer_fn function, void *argument);
/* Bytes that were allocated in it since it was made or reset. */
size_t tims_arena_used(const tims_arena *arena);
tims_str tims_copy(tims_arena *arena, tims_str s);      /* adds a terminator that is not counted */
const char *tims_copy_c(tims_arena *arena, tims_str s); /* the same, as a C string */
/* printf with two additions, both by value: "%S" takes a tims_str, "%I" a tims_id. */
tims_str tims_print(tims_arena *arena, const char *format, ...);
/* As tims_print, with the values as a va_list. */
tims_str tims_print_v(tims_arena *arena, const char *format, va_list arguments);

/* --- buf: bytes that grow up to a maximum ----------------------------------------------------- */

/* Growth past `max` sets `overflow` and drops the bytes; check once at the end. */
typedef struct tims_buf {
    char *data;
    size_t length, capacity, max;
    tims_arena *arena; /* NULL: malloc; free with tims_buf_free */
    bool overflow;
} tims_buf;

/* Makes an empty buffer that grows to at most `max_bytes`, in `arena`, or with NULL by malloc: then it has
 * to be freed. */
void tims_buf_init(tims_buf *buf, tims_arena *arena, size_t max_bytes);
/* Gives the memory of a buffer without an arena back and empties it; may be called again. */
void tims_buf_free(tims_buf *buf);
/* Makes room for `bytes` more; false (and overflow set) when the maximum would be passed. */
bool tims_buf_reserve(tims_buf *buf, size_t bytes);
/* Copies `length` bytes to the end. */
void tims_buf_append(tims_buf *buf, const void *data, size_t length);
/* Copies a slice to the end. */
void tims_buf_append_str(tims_buf *buf, tims_str s);
/* Appends one byte. */
void tims_buf_append_char(tims_buf *buf, char c);
/* Appends a whole number in decimal. */
void tims_buf_append_int(tims_buf *buf, int64_t value);
/* As tims_print. Values are not escaped. */
void tims_buf_print(tims_buf *buf, const char *format, ...);
/* As tims_buf_print, with the values as a va_list. */
void tims_buf_print_v(tims_buf *buf, const char *format, va_list arguments);
/* The same with every %S and %s value percent-encoded as one URL component, for URLs and filters. */
void tims_buf_print_url_v(tims_buf *buf, const char *format, va_list arguments);
/* Appends bytes as base64, with "+", "/" and padding; and reads exactly what that writes. */
void tims_base64_append(tims_buf *out, tims_str bytes);
/* The bytes, in `arena`. False, and `ret_bytes` untouched: it is not what tims_base64_append writes. */
TIMS_MUST_USE bool tims_base64_decode(tims_arena *arena, tims_str text, tims_str *ret_bytes);
void tims_buf_consume(tims_buf *buf, size_t bytes); /* drops bytes at the front */
/* What it holds, borrowed until it is changed. */
static inline tims_str tims_buf_str(const tims_buf *buf)
{
    return (tims_str){ buf->data, buf->length };
}

/* --- map: from bytes to a pointer, SipHash with a random seed --------------------------------- */

typedef struct tims_map tims_map;
/* An empty map; yours to free. */
tims_map *tims_map_new(void);
/* Frees the map and its copies of the keys, not what the values point at. Sets `*map` to NULL; NULL is
 * fine. */
void tims_map_free(tims_map **map);
void *tims_map_get(const tims_map *map, tims_str key); /* NULL when absent */
/* Copies the key. Returns the former value. `value` must not be NULL. */
void *tims_map_set(tims_map *map, tims_str key, void *value);
void *tims_map_remove(tims_map *map, tims_str key); /* the former value */
/* How many entries there are. */
size_t tims_map_count(const tims_map *map);
/* Steps through all entries; start with *cursor = 0; false at the end. Do not change the map meanwhile,
 * except by removing the entry just returned. */
bool tims_map_next(const tims_map *map, size_t *cursor, tims_str *ret_key, void **ret_value);
uint64_t tims_hash(const void *data, size_t length, const uint64_t seed[2]); /* SipHash-1-3 */

/* --- log -------------------------------------------------------------------------------------- */

typedef enum tims_log_level { TIMS_LOG_DEBUG, TIMS_LOG_INFO, TIMS_LOG_WARN, TIMS_LOG_ERROR } tims_log_level;
typedef enum tims_log_format { TIMS_LOG_HUMAN, TIMS_LOG_JSON } tims_log_format;

/* Process-wide, set once before any thread starts. Lines go to `fd` with one write each. */
void tims_log_setup(tims_log_level level, tims_log_format format, int fd);
/* Whether lines of this level are written: to be asked before something costly is formatted. */
bool tims_log_enabled(tims_log_level level);
bool tims_log_is_json(void); /* for lines made elsewhere: the access log */
/* One line: an event name and key=value pairs: tims_log(TIMS_LOG_INFO, "http", "status=%d path=%S", …).
 * Control characters are escaped. Never pass a secret. */
void tims_log(tims_log_level level, const char *room, const char *format, ...);
/* Who this thread works for right now (a request id, a task), shown in each line; borrowed; NULL for none.
 * Returns the former one. */
const char *tims_log_scope(const char *scope);
/* Appends a ready line (with its newline) to this thread's buffer; the owner of the loop flushes it once a
 * tick: the access log costs one write per tick, not per request. */
void tims_log_append_line(tims_str line);
/* Writes this thread's gathered lines, with one write. */
void tims_log_flush(void);
/* Flushes and gives the buffer back: what a thread that may have appended lines does last. */
void tims_log_close_thread(void);

/* --- settings: typed values from the environment and .env ------------------------------------- */

typedef enum tims_setting_kind {
    TIMS_SETTING_STR,
    TIMS_SETTING_INT,
    TIMS_SETTING_BOOL,
    TIMS_SETTING_BYTES /* 64k 10m */,
    TIMS_SETTING_MS /* 500ms 5s 2m 1h */
} tims_setting_kind;

/* One row of a settings table. `offset` is of the member in the settings struct: tims_str, int64_t or
 * bool. */
typedef struct tims_setting {
    const char *name; /* the environment variable */
    tims_setting_kind kind;
    size_t offset;
    const char *default_value; /* as it would be written; NULL: must be given */
    int64_t min, max;          /* for numbers; both 0: no bounds */
    tims_names choices;        /* for strings; count 0: any */
    bool secret;               /* never printed */
    const char *doc;
} tims_setting;

/* The environment wins over the `.env` file at `env_path` (missing is fine) which wins over the default.
 * Strings live in `arena`. Reports every wrong value at once, one line each, in `problems`. */
tims_status tims_settings_load(tims_arena *arena, const tims_setting *table, size_t count,
                               const char *env_path, void *ret_settings, tims_buf *problems);
/* A table for people: name, value (or "set" for secrets), default, doc. */
void tims_settings_describe(const tims_setting *table, size_t count, const void *settings, tims_buf *out);

#endif
