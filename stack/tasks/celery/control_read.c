/* control_read.c: what was asked over the pidbox, and of whom. Anybody may have written it. */
#include <fnmatch.h>
#include <regex.h>

#include "tasks/celery/remote_internal.h"

enum { WORD_BYTES_MAX = 255, PATTERN_BYTES_MAX = 200 };

static tims_status refuse(tims_error *err, const char *why)
{
    return tims_fail(err, TIMS_INVALID, "malformed_message", "A remote command cannot be read: %s.", why);
}

/* Absent, null, or text of a bounded length. */
static bool read_word(const tims_json *object, tims_str key, tims_str *ret_word)
{
    const tims_json *value = tims_json_get(object, key);
    *ret_word = TIMS_STR("");
    if (value == NULL || tims_json_type_of(value) == TIMS_JSON_NULL)
        return true;
    *ret_word = tims_json_as_str(value, TIMS_STR(""));
    return tims_json_type_of(value) == TIMS_JSON_STR && ret_word->length <= WORD_BYTES_MAX;
}

/* Absent, null, or of this type; NULL: absent. */
static bool read_typed(const tims_json *object, tims_str key, tims_json_type type,
                       const tims_json **ret_value)
{
    const tims_json *value = tims_json_get(object, key);
    *ret_value = value == NULL || tims_json_type_of(value) == TIMS_JSON_NULL ? NULL : value;
    return *ret_value == NULL || tims_json_type_of(value) == type;
}

static tims_status read_body(tims_arena *arena, const tims_json *root, const tims_json **ret_body,
                             tims_error *err)
{
    const tims_json *properties = tims_json_get(root, TIMS_STR("properties"));
    tims_str type = tims_json_get_str(root, TIMS_STR("content-type"), TIMS_STR(""));
    tims_str text = tims_json_get_str(root, TIMS_STR("body"), (tims_str){ 0 });
    tims_str encoding = tims_json_get_str(properties, TIMS_STR("body_encoding"), TIMS_STR(""));
    if (!tims_str_equal(type, TIMS_STR("application/json")))
        return refuse(err, "only application/json is taken");
    if (text.data == NULL)
        return refuse(err, "it has no body");
    if (tims_str_equal(encoding, TIMS_STR("base64")) && !tims_base64_decode(arena, text, &text))
        return refuse(err, "its body is no base64");
    if (tims_json_parse(arena, text, ret_body, NULL) != TIMS_OK ||
        tims_json_type_of(*ret_body) != TIMS_JSON_OBJECT)
        return refuse(err, "its body is no JSON object");
    return TIMS_OK;
}

tims_status celery__control_read(tims_arena *arena, tims_str text, celery__asked *ret_asked, tims_error *err)
{
    const tims_json *root, *body, *reply_to;
    celery__asked asked = { .method = TIMS_STR("") };
    if (text.length > CELERY__REQUEST_BYTES_MAX)
        return refuse(err, "it is too large");
    if (tims_json_parse(arena, text, &root, NULL) != TIMS_OK || tims_json_type_of(root) != TIMS_JSON_OBJECT)
        return refuse(err, "it is no JSON object");
    tims_status status = read_body(arena, root, &body, err);
    if (status != TIMS_OK)
        return status;
    if (!read_word(body, TIMS_STR("method"), &asked.method) || asked.method.length == 0)
        return refuse(err, "it names no method");
    if (!read_word(body, TIMS_STR("ticket"), &asked.ticket) ||
        !read_word(body, TIMS_STR("pattern"), &asked.pattern) ||
        !read_word(body, TIMS_STR("matcher"), &asked.matcher))
        return refuse(err, "its ticket, pattern or matcher is no text");
    if (!read_typed(body, TIMS_STR("arguments"), TIMS_JSON_OBJECT, &asked.arguments))
        return refuse(err, "its arguments are no object");
    if (!read_typed(body, TIMS_STR("destination"), TIMS_JSON_ARRAY, &asked.destination))
        return refuse(err, "its destination is no list");
    if (!read_typed(body, TIMS_STR("reply_to"), TIMS_JSON_OBJECT, &reply_to) ||
        !read_word(reply_to, TIMS_STR("exchange"), &asked.reply_exchange) ||
        !read_word(reply_to, TIMS_STR("routing_key"), &asked.reply_key) ||
        (reply_to != NULL && asked.reply_key.length == 0))
        return refuse(err, "its reply_to is not as it should be");
    const tims_json *headers = tims_json_get(root, TIMS_STR("headers"));
    asked.clock = tims_json_get_int(headers, TIMS_STR("clock"), 0);
    asked.expires = tims_json_as_double(tims_json_get(headers, TIMS_STR("expires")), 0);
    *ret_asked = asked;
    return TIMS_OK;
}

/* --- of whom -------------------------------------------------------------------------------------------------- */

/* What makes reading a pattern, or matching by it, expensive beyond its length: repeated groups, repeats of
 * repeats, counted repeats, references back. */
static bool is_costly(const char *pattern)
{
    char before = '\0';
    for (const char *at = pattern; *at != '\0'; before = *at++) {
        bool repeats = *at == '*' || *at == '+' || *at == '?';
        if (*at == '{' || (*at == '\\' && at[1] >= '0' && at[1] <= '9'))
            return true;
        if (repeats && (before == ')' || before == '*' || before == '+' || before == '?'))
            return true;
    }
    return false;
}

/* Extended regular expressions, from the name's beginning on. */
static bool matches_regex(const char *pattern, const char *node)
{
    regex_t regex;
    regmatch_t match;
    if (is_costly(pattern) || regcomp(&regex, pattern, REG_EXTENDED) != 0)
        return false;
    bool matches = regexec(&regex, node, 1, &match, 0) == 0 && match.rm_so == 0;
    regfree(&regex);
    return matches;
}

static bool matches_pattern(tims_str pattern, tims_str matcher, tims_str node)
{
    char pattern_text[PATTERN_BYTES_MAX + 1], node_text[WORD_BYTES_MAX + 1];
    if (pattern.length > PATTERN_BYTES_MAX || node.length > WORD_BYTES_MAX)
        return false;
    memcpy(pattern_text, pattern.data, pattern.length);
    memcpy(node_text, node.data, node.length);
    pattern_text[pattern.length] = node_text[node.length] = '\0';
    if (tims_str_equal(matcher, TIMS_STR("glob")))
        return fnmatch(pattern_text, node_text, FNM_NOESCAPE) == 0;
    return tims_str_equal(matcher, TIMS_STR("pcre")) && matches_regex(pattern_text, node_text);
}

/* As kombu decides it: a list of nodes, else a pattern with a matcher, else everybody. */
bool celery__control_matches(const celery__asked *asked, tims_str node)
{
    size_t count = tims_json_count(asked->destination);
    for (size_t i = 0; i < count; i++)
        if (tims_str_equal(tims_json_as_str(tims_json_at(asked->destination, i), TIMS_STR("")), node))
            return true;
    if (count > 0)
        return false;
    if (asked->pattern.length > 0 && asked->matcher.length > 0)
        return matches_pattern(asked->pattern, asked->matcher, node);
    return true;
}
