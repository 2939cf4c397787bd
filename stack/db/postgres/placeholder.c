/* placeholder.c: the stack's ?1 as PostgreSQL's $1.
 *
 * Only where PostgreSQL would read code: a question mark in a string, a quoted name, a comment or a
 * dollar-quoted text stays, and so does the operator ? of jsonb, which no digit follows. Right behind a word
 * or a dollar it stays, too, where a $1 would be part of that: PostgreSQL then says what it does not
 * understand. */
#include "postgres_internal.h"

#include <stdlib.h>
#include <string.h>

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Past the quote that ends what began at `at`. A doubled quote ends one and begins the next: the same. */
static size_t skip_quoted(tims_str sql, size_t at, bool escapes)
{
    char quote = sql.data[at++];
    while (at < sql.length && sql.data[at] != quote)
        at += escapes && sql.data[at] == '\\' ? 2 : 1;
    return at < sql.length ? at + 1 : sql.length;
}

static size_t skip_line(tims_str sql, size_t at)
{
    const char *end = memchr(sql.data + at, '\n', sql.length - at);
    return end != NULL ? (size_t)(end - sql.data) : sql.length;
}

/* They nest. */
static size_t skip_comment(tims_str sql, size_t at)
{
    int depth = 0;
    while (at + 1 < sql.length) {
        char first = sql.data[at], second = sql.data[at + 1];
        if (first == '/' && second == '*')
            depth++;
        else if (first == '*' && second == '/')
            depth--;
        at += (first == '/' && second == '*') || (first == '*' && second == '/') ? 2 : 1;
        if (depth == 0)
            return at;
    }
    return sql.length;
}

/* $tag$ … $tag$, or just the dollar when it is none. */
static size_t skip_dollar(tims_str sql, size_t at)
{
    size_t end = at + 1;
    while (end < sql.length && is_word(sql.data[end]))
        end++;
    if (end >= sql.length || sql.data[end] != '$' || is_digit(sql.data[at + 1]))
        return at + 1;
    tims_str tag = tims_str_slice(sql, at, end + 1);
    size_t found = tims_str_find(tims_str_slice(sql, end + 1, sql.length), tag);
    return found != SIZE_MAX ? end + 1 + found + tag.length : sql.length;
}

/* Where the part that began at `at` ends; just the next character when it is code. */
static size_t skip(tims_str sql, size_t at)
{
    char c = sql.data[at], next = at + 1 < sql.length ? sql.data[at + 1] : 0;
    bool in_word = at > 0 && is_word(sql.data[at - 1]);
    if (c == '\'') {
        bool escapes = in_word && (sql.data[at - 1] == 'E' || sql.data[at - 1] == 'e') &&
                       (at < 2 || !is_word(sql.data[at - 2]));
        return skip_quoted(sql, at, escapes);
    }
    if (c == '"')
        return skip_quoted(sql, at, false);
    if (c == '-' && next == '-')
        return skip_line(sql, at);
    if (c == '/' && next == '*')
        return skip_comment(sql, at);
    if (c == '$' && !in_word)
        return skip_dollar(sql, at);
    return at + 1;
}

char *postgres__placeholders(tims_str sql)
{
    char *text = malloc(sql.length + 1);
    TIMS_ASSERT(text != NULL);
    if (sql.length > 0)
        memcpy(text, sql.data, sql.length);
    text[sql.length] = 0;
    for (size_t at = 0; at < sql.length; at = skip(sql, at))
        if (sql.data[at] == '?' && at + 1 < sql.length && is_digit(sql.data[at + 1]) &&
            (at == 0 || (!is_word(sql.data[at - 1]) && sql.data[at - 1] != '$')))
            text[at] = '$';
    return text;
}
