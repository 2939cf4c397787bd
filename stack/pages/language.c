/* language.c: which of the project's languages a page speaks.
 *
 * The cookie `language` says what the person has chosen; without one that names a language of the project,
 * Accept-Language says what their browser likes (RFC 9110, 12.5.4); else it is the first. A range stands for
 * the language it begins with and for those that begin with it: de-AT takes de, and pt takes pt-BR. */
#include "pages/pages_internal.h"

enum { RANGES_MAX = 32, TAG_LENGTH_MAX = 35 }; /* a list that is longer is nobody's */

static bool is_tag(tims_str tag)
{
    if (tag.length == 0 || tag.length > TAG_LENGTH_MAX || tag.data[0] == '-')
        return false;
    for (size_t i = 0; i < tag.length; i++) {
        char c = tag.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && c != '-' && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return tag.data[tag.length - 1] != '-';
}

tims_status pages__languages_check(tims_names languages, tims_error *err)
{
    for (size_t i = 0; i < languages.count; i++)
        if (!is_tag(tims_str_from(languages.items[i])))
            return tims_fail(err, TIMS_INVALID, "language",
                             "The project names a language \"%s\"; write it as \"de\" or \"pt-BR\".",
                             languages.items[i]);
    return TIMS_OK;
}

/* Whether `tag` is `start` or goes on behind it with a hyphen. */
static bool begins_with(tims_str tag, tims_str start)
{
    return tims_str_equal_ignoring_case(tims_str_slice(tag, 0, start.length), start) &&
           (tag.length == start.length || tag.data[start.length] == '-');
}

/* NULL: none of the project's. The nearest one: de-AT before de, where both are there. */
static const char *language_for(tims_names languages, tims_str range)
{
    const char *found = NULL;
    size_t found_length = 0;
    for (size_t i = 0; i < languages.count; i++) {
        tims_str language = tims_str_from(languages.items[i]);
        if (begins_with(range, language) && language.length > found_length) {
            found = languages.items[i];
            found_length = language.length;
        }
    }
    for (size_t i = 0; found == NULL && i < languages.count; i++)
        if (begins_with(tims_str_from(languages.items[i]), range))
            found = languages.items[i];
    return found;
}

/* "0.8" as 800; what cannot be read is 0: the range does not count. */
static int weight_of(tims_str text)
{
    static const int places[] = { 1000, 100, 10, 1 };
    int weight = 0;
    size_t place = 0;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (i == 1 && c == '.')
            continue;
        if (c < '0' || c > '9' || place == sizeof places / sizeof places[0])
            return 0;
        weight += (c - '0') * places[place++];
    }
    return weight > 1000 ? 0 : weight;
}

static int take_range(tims_str item, tims_str *ret_range)
{
    tims_str rest = item;
    *ret_range = tims_str_trim(tims_str_cut(&rest, ';'));
    tims_str parameter = tims_str_trim(rest);
    if (parameter.length == 0)
        return 1000;
    tims_str name = tims_str_trim(tims_str_cut(&parameter, '='));
    return tims_str_equal_ignoring_case(name, TIMS_STR("q")) ? weight_of(tims_str_trim(parameter)) : 0;
}

const char *pages__language_pick(tims_names languages, tims_str chosen, tims_str accepted)
{
    const char *best = NULL;
    int best_weight = 0;
    for (size_t i = 0; i < languages.count; i++)
        if (tims_str_equal_ignoring_case(tims_str_from(languages.items[i]), chosen))
            return languages.items[i];
    for (int i = 0; i < RANGES_MAX && accepted.data != NULL; i++) {
        tims_str range;
        int weight = take_range(tims_str_cut(&accepted, ','), &range);
        const char *language =
            weight > best_weight && range.length > 0 ? language_for(languages, range) : NULL;
        if (language == NULL)
            continue;
        best = language;
        best_weight = weight;
    }
    return best != NULL ? best : languages.items[0];
}

tims_str tims_language_of(tims_request *rq)
{
    const tims_pages *pages = pages__of(rq);
    return tims_str_from(pages__language_pick(pages->options.languages,
                                              tims_cookie_of(rq, TIMS_STR("language")),
                                              tims_header_of(rq, TIMS_STR("accept-language"))));
}
