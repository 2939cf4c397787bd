/* multipart_head.c: the small grammars around multipart/form-data: parameters, part headers, file names.
 *
 * A file name comes from a stranger's disk. What is left of it here is a last path segment without control
 * bytes: fit to be shown and stored in a column, still not to be trusted as a path. */
#include <string.h>

#include "proto/multipart_internal.h"

enum { FILE_NAME_MAX = 255 };

/* A quoted string at the start of `*rest` (behind its quote), unescaped into the arena. Only \" and \\ are
 * escapes: some browsers send Windows paths with plain backslashes. */
static bool take_quoted(tims_arena *arena, tims_str *rest, tims_str *ret_value)
{
    char *out = tims_alloc_raw(arena, rest->length);
    size_t length = 0;
    for (size_t i = 0; i < rest->length; i++) {
        char c = rest->data[i];
        if (c == '"') {
            *rest = tims_str_slice(*rest, i + 1, rest->length);
            *ret_value = (tims_str){ out, length };
            return true;
        }
        bool escapes =
            c == '\\' && i + 1 < rest->length && (rest->data[i + 1] == '"' || rest->data[i + 1] == '\\');
        out[length++] = escapes ? rest->data[++i] : c;
    }
    return false;
}

bool proto__next_parameter(tims_arena *arena, tims_str *rest, tims_str *ret_name, tims_str *ret_value,
                           bool *ret_ok)
{
    *rest = tims_str_trim(*rest);
    *ret_ok = rest->length == 0;
    if (rest->length == 0 || rest->data[0] != ';')
        return false;
    *rest = tims_str_trim(tims_str_slice(*rest, 1, rest->length));
    size_t equals = tims_str_find(*rest, TIMS_STR("="));
    if (equals == SIZE_MAX)
        return false;
    *ret_name = tims_str_slice(*rest, 0, equals);
    *rest = tims_str_slice(*rest, equals + 1, rest->length);
    if (!proto__is_token(*ret_name))
        return false;
    if (rest->length > 0 && rest->data[0] == '"') {
        *rest = tims_str_slice(*rest, 1, rest->length);
        *ret_ok = take_quoted(arena, rest, ret_value);
        return *ret_ok;
    }
    size_t end = 0;
    while (end < rest->length && proto__is_token_char((unsigned char)rest->data[end]))
        end++;
    *ret_value = tims_str_slice(*rest, 0, end);
    *rest = tims_str_slice(*rest, end, rest->length);
    *ret_ok = end > 0;
    return *ret_ok;
}

static bool is_boundary(tims_str text)
{
    if (text.length == 0 || text.length > PROTO__BOUNDARY_MAX || text.data[text.length - 1] == ' ')
        return false;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool alphanumeric = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!alphanumeric && (c == '\0' || strchr("'()+_,-./:=? ", c) == NULL))
            return false;
    }
    return true;
}

bool proto__find_boundary(tims_arena *arena, tims_str content_type, tims_str *ret_boundary)
{
    size_t semicolon = tims_str_find(content_type, TIMS_STR(";"));
    tims_str type = tims_str_trim(tims_str_slice(content_type, 0, semicolon));
    if (semicolon == SIZE_MAX || !tims_str_equal_ignoring_case(type, TIMS_STR("multipart/form-data")))
        return false;
    tims_str rest = tims_str_slice(content_type, semicolon, content_type.length);
    tims_str name, value, boundary = { 0 };
    bool ok;
    while (proto__next_parameter(arena, &rest, &name, &value, &ok)) {
        if (!tims_str_equal_ignoring_case(name, TIMS_STR("boundary")))
            continue;
        if (boundary.data != NULL)
            return false;
        boundary = value;
    }
    if (!ok || boundary.data == NULL || !is_boundary(boundary))
        return false;
    *ret_boundary = boundary;
    return true;
}

static bool is_text(tims_str text)
{
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
            return false;
    return tims_str_is_utf8(text);
}

tims_str proto__clean_file_name(tims_str name)
{
    for (size_t i = name.length; i > 0; i--) {
        if (name.data[i - 1] == '/' || name.data[i - 1] == '\\') {
            name = tims_str_slice(name, i, name.length);
            break;
        }
    }
    while (name.length > 0 && (name.data[0] == '.' || name.data[0] == ' '))
        name = tims_str_slice(name, 1, name.length);
    if (name.length > FILE_NAME_MAX) {
        size_t end = FILE_NAME_MAX;
        while (end > 0 && ((unsigned char)name.data[end] & 0xc0) == 0x80)
            end--;
        name = tims_str_slice(name, 0, end);
    }
    return name;
}

/* form-data; name="…"; filename="…". Each at most once; filename* is not part of form-data (RFC 7578) and
 * ignored. */
static bool parse_disposition(tims_arena *arena, tims_str value, tims_part_head *head)
{
    size_t semicolon = tims_str_find(value, TIMS_STR(";"));
    if (!tims_str_equal_ignoring_case(tims_str_trim(tims_str_slice(value, 0, semicolon)),
                                      TIMS_STR("form-data")))
        return false;
    tims_str rest = tims_str_slice(value, semicolon, value.length);
    tims_str name, text;
    bool ok;
    while (proto__next_parameter(arena, &rest, &name, &text, &ok)) {
        if (!is_text(text))
            return false;
        if (tims_str_equal_ignoring_case(name, TIMS_STR("name"))) {
            if (head->name.data != NULL)
                return false;
            head->name = text;
        } else if (tims_str_equal_ignoring_case(name, TIMS_STR("filename"))) {
            if (head->has_filename)
                return false;
            head->has_filename = true;
            head->filename = proto__clean_file_name(text);
        }
    }
    return ok && head->name.data != NULL;
}

bool proto__part_head_parse(tims_arena *arena, tims_str lines, tims_part_head *ret_head)
{
    tims_part_head head = { .filename = { "", 0 }, .content_type = { "", 0 } };
    tims_str rest = tims_copy(arena, lines);
    bool has_disposition = false;
    for (size_t count = 0; rest.length > 0; count++) {
        tims_str value = tims_str_cut(&rest, '\n'); /* with its CR: the caller checked */
        value.length--;
        tims_str name = tims_str_cut(&value, ':');
        if (count >= PROTO__PART_HEADERS_MAX || value.data == NULL || !proto__is_token(name))
            return false;
        value = tims_str_trim(value);
        if (tims_str_equal_ignoring_case(name, TIMS_STR("content-disposition"))) {
            if (has_disposition || !parse_disposition(arena, value, &head))
                return false;
            has_disposition = true;
        } else if (tims_str_equal_ignoring_case(name, TIMS_STR("content-type"))) {
            if (!is_text(value))
                return false;
            head.content_type = value;
        }
    }
    *ret_head = head;
    return has_disposition;
}
