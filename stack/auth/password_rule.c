/* password_rule: what may be a password. Length is what counts; what everybody tries first does not. */
#include "auth/auth_internal.h"

enum { LENGTH_MIN = 8, COMPARED_MAX = 64 };

tims_str auth__lower(tims_arena *arena, tims_str text)
{
    tims_str copy = tims_copy(arena, text);
    char *data = (char *)(uintptr_t)copy.data;
    for (size_t i = 0; i < copy.length; i++)
        if (data[i] >= 'A' && data[i] <= 'Z')
            data[i] = (char)(data[i] + ('a' - 'A'));
    return copy;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* --- common ------------------------------------------------------------------------------------------ */

/* p4$$w0rd is password. */
static tims_str undo_spelling(tims_arena *arena, tims_str lowered)
{
    static const char from[] = "01345789@$!", to[] = "oleastbgasi";
    tims_str copy = tims_copy(arena, lowered);
    char *data = (char *)(uintptr_t)copy.data;
    for (size_t i = 0; i < copy.length; i++) {
        const char *at = data[i] != '\0' ? strchr(from, data[i]) : NULL;
        if (at != NULL)
            data[i] = to[at - from];
    }
    return copy;
}

/* "welcome2024!" is "welcome". At most six characters are taken off: a longer tail is a password of its own.
 */
static tims_str without_tail(tims_str text)
{
    size_t length = text.length;
    while (length > 0 && text.length - length < 6 && !is_letter(text.data[length - 1]))
        length--;
    return tims_str_slice(text, 0, length);
}

static bool has_few_characters(tims_str text)
{
    bool seen[256] = { false };
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++) {
        count += !seen[(unsigned char)text.data[i]];
        seen[(unsigned char)text.data[i]] = true;
    }
    return count < 4;
}

static bool is_run(tims_str text) /* abcdefgh, 87654321 */
{
    for (size_t i = 2; i < text.length; i++)
        if (text.data[i] - text.data[i - 1] != text.data[1] - text.data[0])
            return false;
    return true;
}

static bool is_common(tims_arena *arena, tims_str lowered)
{
    tims_str plain = without_tail(lowered);
    return auth__password_is_common(lowered) || auth__password_is_common(plain) ||
           auth__password_is_common(undo_spelling(arena, plain)) ||
           auth__password_is_common(undo_spelling(arena, lowered)) || has_few_characters(lowered) ||
           is_run(lowered);
}

/* --- similar ----------------------------------------------------------------------------------------- */

/* The letters and digits only, in `ret`; cut at COMPARED_MAX. */
static tims_str essence(tims_str lowered, char ret[COMPARED_MAX])
{
    size_t length = 0;
    for (size_t i = 0; i < lowered.length && length < COMPARED_MAX; i++)
        if (is_letter(lowered.data[i]) || is_digit(lowered.data[i]))
            ret[length++] = lowered.data[i];
    return (tims_str){ ret, length };
}

/* Length of the longest common subsequence. */
static size_t count_common(tims_str a, tims_str b)
{
    size_t row[COMPARED_MAX + 1] = { 0 };
    for (size_t i = 0; i < a.length; i++) {
        size_t diagonal = 0;
        for (size_t k = 0; k < b.length; k++) {
            size_t above = row[k + 1];
            row[k + 1] = a.data[i] == b.data[k] ? diagonal + 1 : above > row[k] ? above : row[k];
            diagonal = above;
        }
    }
    return row[b.length];
}

/* Nothing but the name (any number of times) and digits. */
static bool is_made_of(tims_str password, tims_str name)
{
    size_t i = 0, times = 0;
    while (i < password.length) {
        if (tims_str_starts_with(tims_str_slice(password, i, password.length), name)) {
            i += name.length;
            times++;
        } else if (is_digit(password.data[i])) {
            i++;
        } else {
            return false;
        }
    }
    return times > 0;
}

static bool is_similar_to(tims_str lowered, tims_str name)
{
    char first[COMPARED_MAX], second[COMPARED_MAX];
    tims_str a = essence(lowered, first), b = essence(name, second);
    if (b.length < 3 || a.length == 0)
        return false;
    return is_made_of(a, b) ||
           20 * count_common(a, b) >= 7 * (a.length + b.length); /* 2·common / sum ≥ 0.7 */
}

static bool is_similar(tims_arena *arena, tims_str lowered, tims_str username, tims_str email)
{
    tims_str domain = auth__lower(arena, email), whole = domain;
    tims_str local = tims_str_cut(&domain, '@');
    return is_similar_to(lowered, auth__lower(arena, username)) || is_similar_to(lowered, local) ||
           is_similar_to(lowered, whole);
}

/* --- the rules --------------------------------------------------------------------------------------- */

static tims_status refuse(tims_arena *arena, tims_error *err, tims_str pointer, const char *code,
                          const char *message)
{
    tims_error_field(arena, err, pointer, code, "%s", message);
    if (err != NULL)
        err->code = code;
    return TIMS_INVALID;
}

tims_status auth__password_rules(tims_arena *arena, tims_str password, tims_str username, tims_str email,
                                 tims_str pointer, tims_error *err)
{
    if (!tims_str_is_utf8(password))
        return refuse(arena, err, pointer, "encoding", "Must be UTF-8 text.");
    size_t length = tims_str_count_codepoints(password);
    if (length < LENGTH_MIN)
        return refuse(arena, err, pointer, "min_length",
                      "Must have at least 8 characters; a sentence is best.");
    if (length > AUTH__PASSWORD_LENGTH_MAX)
        return refuse(arena, err, pointer, "max_length", "Must have at most 256 characters.");
    tims_str lowered = auth__lower(arena, password);
    if (is_similar(arena, lowered, username, email))
        return refuse(arena, err, pointer, "similar", "Is too much like the name or the email address.");
    if (is_common(arena, lowered))
        return refuse(arena, err, pointer, "common", "Is among the first that anybody would try.");
    return TIMS_OK;
}

tims_status tims_password_check_rules(tims_arena *arena, tims_str password, tims_str username, tims_str email,
                                      tims_error *err)
{
    return auth__password_rules(arena, password, username, email, TIMS_STR("/password"), err);
}
