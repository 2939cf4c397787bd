/* name.c: names for programs, made of paths and of the names of models. */
#include "openapi/openapi_internal.h"

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

tims_str openapi__pascal(tims_arena *arena, tims_str text)
{
    char *out = tims_alloc_raw(arena, text.length + 1);
    size_t length = 0;
    bool is_first = true, is_parameter = false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c == '{' || c == '}')
            is_parameter = c == '{';
        if (is_parameter || !is_letter_or_digit(c)) {
            is_first = true;
            continue;
        }
        out[length++] = is_first && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        is_first = false;
    }
    return (tims_str){ out, length };
}

tims_str openapi__type_name(tims_arena *arena, const char *name)
{
    tims_str text = tims_str_from(name);
    if (tims_str_starts_with(text, TIMS_STR("tims_")))
        text = tims_str_slice(text, 5, text.length);
    return openapi__pascal(arena, text);
}

tims_str openapi__path_name(tims_arena *arena, tims_str path)
{
    if (tims_str_starts_with(path, TIMS_STR("/api/")))
        path = tims_str_slice(path, 5, path.length);
    return openapi__pascal(arena, path);
}

/* By the usual rules; what has no other form for one (people, dead) stays: get and list tell them apart. */
tims_str openapi__singular(tims_arena *arena, tims_str plural)
{
    static const char *const with_es[] = { "sses", "xes", "ches", "shes" };
    if (tims_str_ends_with(plural, TIMS_STR("ies")))
        return tims_print(arena, "%Sy", tims_str_slice(plural, 0, plural.length - 3));
    for (size_t i = 0; i < sizeof with_es / sizeof *with_es; i++)
        if (tims_str_ends_with(plural, tims_str_from(with_es[i])))
            return tims_str_slice(plural, 0, plural.length - 2);
    bool is_plural = tims_str_ends_with(plural, TIMS_STR("s")) && !tims_str_ends_with(plural, TIMS_STR("ss"));
    return is_plural ? tims_str_slice(plural, 0, plural.length - 1) : plural;
}

tims_str openapi__path(tims_arena *arena, tims_str pattern)
{
    char *out = tims_alloc_raw(arena, pattern.length + 1);
    size_t length = 0;
    bool is_kind = false;
    for (size_t i = 0; i < pattern.length; i++) {
        char c = pattern.data[i];
        is_kind = c != '}' && (is_kind || c == ':');
        if (!is_kind)
            out[length++] = c;
    }
    return (tims_str){ out, length };
}

tims_str tims_openapi_operation_of(tims_arena *arena, const tims_resource *resource, uint32_t allow)
{
    static const struct {
        uint32_t allow;
        const char *verb;
    } verbs[] = { { TIMS_LIST, "list" },
                  { TIMS_READ, "get" },
                  { TIMS_CREATE, "create" },
                  { TIMS_UPDATE, "update" },
                  { TIMS_DELETE, "delete" } };
    tims_str name = openapi__path_name(arena, tims_str_from(resource->path));
    if (allow != TIMS_LIST)
        name = openapi__singular(arena, name);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (verbs[i].allow == allow)
            return tims_print(arena, "%s%S", verbs[i].verb, name);
    TIMS_UNREACHABLE("one verb");
}
