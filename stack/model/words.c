/* words.c: what a search compares: the words of a text.
 *
 * A word is a run of letters, marks and digits; all else stands between words. Case is folded, and nothing
 * else: no stemming, no accents taken away, no list of words that are too common. A search finds a row when
 * each of its words is the beginning of a word there.
 *
 * Three parties must cut and fold alike, to the character: FTS5's tokenizer on SQLite, a function on
 * PostgreSQL, and this file, by which live sorts out rows in memory. FTS5's tables are compiled into it, so
 * they are the rule; the ones here are a copy (words_table.h), and PostgreSQL is told the copy, so that a
 * server's locale or its age decides nothing. */
#include "model/words_table.h"

#include "model/model_internal.h"

/* --- characters ------------------------------------------------------------------------------- */

/* The next character of well-formed UTF-8; what is not is taken byte by byte, as separators. */
static uint32_t next_character(tims_str text, size_t *at)
{
    const unsigned char *s = (const unsigned char *)text.data + *at;
    size_t left = text.length - *at;
    size_t length = s[0] < 0x80   ? 1
                    : s[0] < 0xc2 ? 0
                    : s[0] < 0xe0 ? 2
                    : s[0] < 0xf0 ? 3
                    : s[0] < 0xf5 ? 4
                                  : 0;
    if (length == 0 || length > left) {
        *at += 1;
        return 0;
    }
    uint32_t character = length == 1 ? s[0] : s[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++)
        character = character << 6 | (s[i] & 0x3fU);
    *at += length;
    return character;
}

static bool is_among(const character_range *ranges, size_t count, uint32_t character)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (character > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && character >= ranges[low].first;
}

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static bool is_in_word(uint32_t character)
{
    if (character < 0x80)
        return (character >= '0' && character <= '9') || (character >= 'a' && character <= 'z') ||
               (character >= 'A' && character <= 'Z');
    return !is_among(separators, COUNT_OF(separators), character);
}

static const case_run *find_run(uint32_t character)
{
    size_t low = 0, high = COUNT_OF(case_runs);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (character < case_runs[middle].first)
            high = middle;
        else
            low = middle + 1;
    }
    return low > 0 ? &case_runs[low - 1] : NULL;
}

static uint32_t fold(uint32_t character)
{
    if (character < 0x80)
        return character >= 'A' && character <= 'Z' ? character + ('a' - 'A') : character;
    const case_run *run = find_run(character);
    uint32_t behind = run != NULL ? character - run->first : 0;
    bool is_meant = run != NULL && behind % run->stride == 0 && behind / run->stride < run->count;
    return is_meant ? (uint32_t)((int64_t)character + run->delta) : character;
}

/* --- words ------------------------------------------------------------------------------------ */

bool model__next_word(tims_str *rest, tims_str *ret_word)
{
    size_t from = 0, to = 0;
    bool found = false;
    for (size_t at = 0; at < rest->length; to = at) {
        bool in_word = is_in_word(next_character(*rest, &at));
        if (!in_word && found)
            break;
        if (in_word && !found)
            from = to;
        found = found || in_word;
    }
    if (!found)
        return false;
    *ret_word = tims_str_slice(*rest, from, to);
    *rest = tims_str_slice(*rest, to, rest->length);
    return true;
}

static bool begins_with(tims_str word, tims_str beginning)
{
    size_t at = 0, at_beginning = 0;
    while (at_beginning < beginning.length) {
        if (at == word.length ||
            fold(next_character(word, &at)) != fold(next_character(beginning, &at_beginning)))
            return false;
    }
    return true;
}

bool model__has_word(tims_str text, tims_str beginning)
{
    tims_str word;
    while (model__next_word(&text, &word))
        if (begins_with(word, beginning))
            return true;
    return false;
}

tims_str model__first_characters(tims_str text, size_t *count)
{
    size_t at = 0;
    for (; at<text.length && * count> 0; (*count)--)
        (void)next_character(text, &at);
    return tims_str_slice(text, 0, at);
}

static void append_character(tims_buf *out, uint32_t c)
{
    if (c < 0x80) {
        tims_buf_append_char(out, (char)c);
        return;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char leads[] = { 0, 0xc0, 0xe0, 0xf0 };
    tims_buf_append_char(out, (char)(leads[more] | c >> (6 * more)));
    while (more-- > 0)
        tims_buf_append_char(out, (char)(0x80 | (c >> (6 * more) & 0x3f)));
}

void model__append_folded(tims_buf *out, tims_str word)
{
    for (size_t at = 0; at < word.length;)
        append_character(out, fold(next_character(word, &at)));
}

/* --- for the databases ------------------------------------------------------------------------ */

void model__append_pictures(tims_buf *out)
{
    for (uint32_t c = pictures.first; c <= pictures.last; c++)
        append_character(out, c);
}

static void append_class(tims_buf *out, const character_range *ranges, size_t count)
{
    tims_buf_append_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        tims_buf_print(out, "\\U%08x", (unsigned)ranges[i].first);
        if (ranges[i].last > ranges[i].first)
            tims_buf_print(out, "-\\U%08x", (unsigned)ranges[i].last);
    }
    tims_buf_append_char(out, ']');
}

static void append_cases(tims_buf *out, bool folded)
{
    for (size_t r = 0; r < COUNT_OF(case_runs); r++)
        for (uint32_t i = 0; i < case_runs[r].count; i++) {
            uint32_t letter = case_runs[r].first + i * case_runs[r].stride;
            append_character(out, folded ? fold(letter) : letter);
        }
}

/* lower() of ICU folds as FTS5 does, but for letters that the two disagree on: words that have one go through
 * the whole table, which is slower (20 µs a word). A message of twelve words costs about 20 µs in all. */
void model__append_words_function(tims_buf *out)
{
    tims_buf_print(out, "CREATE OR REPLACE FUNCTION tims_words(value text) RETURNS tsvector\n"
                        "    LANGUAGE sql IMMUTABLE PARALLEL SAFE\n"
                        "    AS $$ SELECT array_to_tsvector(ARRAY(SELECT left(CASE\n"
                        "        WHEN octet_length(word) = char_length(word) THEN lower(word)\n"
                        "        WHEN word ~ '");
    append_class(out, unsettled, COUNT_OF(unsettled));
    tims_buf_print(out, "'\n        THEN translate(word, '");
    append_cases(out, false);
    tims_buf_print(out, "', '");
    append_cases(out, true);
    tims_buf_print(out,
                   "')\n        ELSE lower(word COLLATE \"und-x-icu\") END, %d)\n"
                   "    FROM regexp_split_to_table(left(value, %d) COLLATE \"C\", '",
                   MODEL__WORD_CHARACTERS_MAX, MODEL__SEARCHED_CHARACTERS_MAX);
    append_class(out, separators, COUNT_OF(separators));
    tims_buf_print(out, "+') AS word WHERE word <> '')) $$;\n");
}
