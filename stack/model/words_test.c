/* words_test.c: the words of a text, as the database cuts them and as words.c does: for every character of
 * Unicode, and for what people write and look for. */
#include "model/testing.h"

typedef struct page {
    tims_id id;
    tims_str text;
    tims_opt_str more;
} page;

static const tims_field page_fields[] = { TIMS_FIELD(page, id, .primary = true), TIMS_FIELD(page, text),
                                          TIMS_FIELD(page, more) };
static const char *const page_search[] = { "text", "more" };
static const tims_model page_model = {
    .name = "page", .size = sizeof(page), .fields = FIELDS_OF(page_fields), .search = { page_search, 2 }
};

static void make_pages(world *w)
{
    make_tables_of(w, (const tims_model *const[]){ &page_model, NULL });
}

/* --- every character -------------------------------------------------------------------------- */

enum { CHARACTERS_A_PAGE = 1024, LAST_CHARACTER = 0x10ffff };

/* Halves of pairs are no characters, and what Unicode reserves for a program's own use is nobody's text. */
static bool is_character(uint32_t c)
{
    return c > 0 && (c < 0xd800 || c > 0xdfff) && (c & 0xfffe) != 0xfffe;
}

static void append_utf8(tims_buf *out, uint32_t c)
{
    char bytes[4];
    size_t count = 0;
    if (c < 0x80) {
        bytes[count++] = (char)c;
    } else if (c < 0x800) {
        bytes[count++] = (char)(0xc0 | c >> 6);
    } else {
        bytes[count++] = (char)(c < 0x10000 ? 0xe0 | c >> 12 : 0xf0 | c >> 18);
        if (c >= 0x10000)
            bytes[count++] = (char)(0x80 | (c >> 12 & 0x3f));
        bytes[count++] = (char)(0x80 | (c >> 6 & 0x3f));
    }
    if (c >= 0x80)
        bytes[count++] = (char)(0x80 | (c & 0x3f));
    tims_buf_append(out, bytes, count);
}

/* "q0000065qA q0000066qB …": the word that comes of each tells whether the character is part of words, and
 * what it is folded to. */
static size_t write_pages(world *w)
{
    size_t count = 0;
    tims_error err = { 0 };
    assert_ok(tims_db_begin(w->session, &err), &err);
    for (uint32_t first = 0; first <= LAST_CHARACTER; first += CHARACTERS_A_PAGE) {
        tims_buf text;
        tims_buf_init(&text, w->arena, 64 * CHARACTERS_A_PAGE);
        for (uint32_t c = first; c < first + CHARACTERS_A_PAGE; c++) {
            if (!is_character(c))
                continue;
            tims_buf_print(&text, "q%07uq", (unsigned)c);
            append_utf8(&text, c);
            tims_buf_append_char(&text, ' ');
            count++;
        }
        insert(w, &page_model, &(page){ .text = tims_buf_str(&text) });
    }
    assert_ok(tims_db_commit(w->session, &err), &err);
    return count;
}

static void assert_word_of_ours(world *w, tims_str word)
{
    int64_t number;
    assert_true(tims_str_to_int(tims_str_slice(word, 1, 8), 1, LAST_CHARACTER, &number));
    uint32_t c = (uint32_t)number;
    tims_buf text, folded;
    tims_buf_init(&text, w->arena, 64);
    tims_buf_init(&folded, w->arena, 64);
    tims_buf_print(&text, "q%07uq", (unsigned)c);
    append_utf8(&text, c);
    tims_str rest = tims_buf_str(&text), ours;
    assert_true(model__next_word(&rest, &ours));
    model__append_folded(&folded, ours);
    if (!tims_str_equal(word, tims_buf_str(&folded)))
        fail_msg("U+%04X: the database says \"%.*s\", words.c \"%.*s\"", (unsigned)c, TIMS_PRINT(word),
                 TIMS_PRINT(tims_buf_str(&folded)));
}

static void every_character_is_cut_and_folded_alike(void **state)
{
    world *w = *state;
    tims_error err = { 0 };
    make_pages(w);
    size_t written = write_pages(w), read = 0;
    tims_str sql = TIMS_STR("SELECT unnest(tsvector_to_array(tims_words)) FROM page");
    if (!testing_on_postgres()) {
        assert_ok(tims_db_script(w->session,
                                 TIMS_STR("CREATE VIRTUAL TABLE words USING fts5vocab('tims_search_page', "
                                          "'row')"),
                                 &err),
                  &err);
        sql = TIMS_STR("SELECT term FROM words");
    }
    tims_db_rows *rows;
    assert_ok(tims_db_query(w->session, sql, NULL, 0, &rows, &err), &err);
    while (tims_db_next(rows)) {
        tims_str word = tims_db_get_text(rows, 0);
        if (word.length >= 9) {
            assert_word_of_ours(w, word);
            read++;
        }
    }
    assert_ok(tims_db_rows_end(&rows, &err), &err);
    assert_int_equal(read, written);
}

/* --- what people write ------------------------------------------------------------------------ */

static const struct {
    const char *text, *search;
    bool found;
} cases[] = {
    { "Hello World", "hello", true },
    { "Hello World", "WORLD hel", true },
    { "Hello World", "orld", false },
    { "Hello World", "hello moon", false },
    { "Hello World", "helloworld", false },
    { "Hello World", "\"hello world\"", true },
    { "Hello World", "world hello", true },
    { "", "a", false },
    /* operators of either database are just what stands between words */
    { "one two", "one AND two", false },
    { "one and two", "one AND two", true },
    { "one two", "one & two", true },
    { "one two", "one | three", false },
    { "one two", "!one", true },
    { "one two", "-one", true },
    { "one two", "one*", true },
    { "one two", "on:*", true },
    { "one two", "text:one", false },
    { "one two", "(one OR", false },
    { "one two", "NEAR(one two)", false },
    { "one two", "one <-> two", true },
    { "one two", "^one", true },
    { "one two", "one\\", true },
    { "one two", "'one", true },
    { "one two", "\"one", true },
    { "one two", "one''two\"\"", true },
    { "it's", "it's", true },
    { "it's", "its", false },
    { "rock'n'roll", "n roll", true },
    /* addresses, numbers, hyphens */
    { "write to ann.lee@example.com", "ann.lee@example.com", true },
    { "write to ann.lee@example.com", "example", true },
    { "write to ann.lee@example.com", "lee@", true },
    { "see https://example.com/a/b?c=d", "example.com/a", true },
    { "a well-known fact", "well-known", true },
    { "a well-known fact", "known", true },
    { "a well-known fact", "wellknown", false },
    { "file_name.txt", "name", true },
    { "it costs 12.50", "12.5", true },
    { "it costs 12.50", "50", true },
    { "it costs 12.50", "1250", false },
    { "-5 and +7", "5 7", true },
    { "1e5", "1e5", true },
    { "room 101b", "101", true },
    { "v2.0", "v2", true },
    { "x\xc2\xb2", "x\xc2\xb2", true },
    { "<b>bold</b> &amp; more", "bold amp", true },
    /* umlauts, accents: letters of their own */
    { "Gr\xc3\xbc\xc3\x9f Gott", "gr\xc3\xbc\xc3\x9f", true },
    { "Gr\xc3\xbc\xc3\x9f Gott", "GR\xc3\x9c", true },
    { "Gr\xc3\xbc\xc3\x9f Gott", "gru", false },
    { "Stra\xc3\x9f"
      "e",
      "strasse", false },
    { "caf\xc3\xa9", "cafe", false },
    { "caf\xc3\xa9", "CAF\xc3\x89", true },
    { "cafe\xcc\x81", "cafe", true }, /* the accent as a character of its own */
    { "\xc4\xb0stanbul", "istanbul", false },
    { "\xc4\xb0stanbul", "\xc4\xb0stan", true },
    { "\xce\xa3\xce\x91\xce\xa3", "\xcf\x83\xce\xb1\xcf\x82", true }, /* ΣΑΣ, σας */
    { "\xc2\xb5m", "\xce\xbcm", true },                               /* micro, mu */
    /* other scripts */
    { "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82, \xd0\xbc\xd0\xb8\xd1\x80",
      "\xd0\xbf\xd1\x80\xd0\x98\xd0\xb2\xd0\xb5\xd1\x82", true },
    { "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82, \xd0\xbc\xd0\xb8\xd1\x80", "\xd0\xb8\xd1\x80",
      false },
    { "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "\xe6\x97\xa5\xe6\x9c\xac", true }, /* 日本語: one word */
    { "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "\xe6\x9c\xac", false },
    { "\xe6\x97\xa5\xe6\x9c\xac\xe3\x80\x81\xe8\xaa\x9e", "\xe8\xaa\x9e", true },
    { "\xe0\xa4\xb9\xe0\xa4\xbf\xe0\xa4\xa8\xe0\xa5\x8d\xe0\xa4\xa6\xe0\xa5\x80",
      "\xe0\xa4\xb9\xe0\xa4\xbf\xe0\xa4\xa8", true }, /* हिन्दी: marks are parts of words */
    { "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", "\xd7\xa9\xd7\x9c", true },
    { "\xe1\x8f\xa3\xe1\x8e\xb3\xe1\x8e\xa9", "\xea\xad\xb3", false }, /* Cherokee got cases after 6.1 */
    /* emoji stand between words */
    { "fine\xf0\x9f\x98\x80then", "then", true },
    { "\xf0\x9f\xa5\xb0then", "then", true },
    { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", true }, /* nothing is searched for */
    { "anything", "!?", true },
    { "anything", " \t\n", true },
};

static bool finds(world *w, const page *row, const char *search)
{
    tims_query query;
    tims_error err = { 0 };
    int64_t count = -1;
    tims_query_init(&query, &page_model, (tims_caller){ .trusted = true });
    assert_ok(tims_query_where(w->arena, &query, TIMS_STR("id"), TIMS_EQUAL,
                               tims_print(w->arena, "%I", row->id), &err),
              &err);
    assert_ok(tims_query_search(&query, tims_str_from(search), &err), &err);
    assert_ok(tims_query_count(w->session, w->arena, &query, &count, &err), &err);
    if (tims_query_matches(&query, row) != (count == 1))
        fail_msg("\"%s\" in \"%.*s\": %s by the database only", search, TIMS_PRINT(row->text),
                 count == 1 ? "found" : "not found");
    return count == 1;
}

static void words_are_found_where_they_begin_a_word(void **state)
{
    world *w = *state;
    make_pages(w);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        page row = { .text = tims_str_from(cases[i].text) };
        insert(w, &page_model, &row);
        if (finds(w, &row, cases[i].search) != cases[i].found)
            fail_msg("\"%s\" in \"%s\": %s", cases[i].search, cases[i].text,
                     cases[i].found ? "not found" : "found");
    }
}

static void each_word_may_be_in_another_field(void **state)
{
    world *w = *state;
    make_pages(w);
    page row = { .text = TIMS_STR("red"), .more = { true, TIMS_STR("apple") } };
    insert(w, &page_model, &row);
    assert_true(finds(w, &row, "apple red"));
    assert_false(finds(w, &row, "redapple"));
}

static void update(world *w, page *row, uint64_t fields)
{
    tims_error err = { 0 };
    assert_ok(tims_model_update(w->session, w->arena, &page_model, row, fields, &err), &err);
}

static void what_is_found_follows_the_rows(void **state)
{
    world *w = *state;
    tims_error err = { 0 };
    make_pages(w);
    page row = { .text = TIMS_STR("red") }, other = { .text = TIMS_STR("red") };
    insert(w, &page_model, &row);
    insert(w, &page_model, &other);
    row.text = TIMS_STR("green");
    row.more = (tims_opt_str){ true, TIMS_STR("leaf") };
    update(w, &row, 2 | 4);
    assert_false(finds(w, &row, "red"));
    assert_true(finds(w, &row, "green leaf"));
    assert_true(finds(w, &other, "red"));
    row.more = (tims_opt_str){ 0 };
    update(w, &row, 4);
    assert_false(finds(w, &row, "leaf"));
    assert_ok(tims_model_delete(w->session, w->arena, &page_model, row.id, &err), &err);
    insert(w, &page_model, &row);
    assert_true(finds(w, &row, "green"));
    /* a foreign writer; and SQLite may number its rows anew */
    char sql[256];
    (void)snprintf(sql, sizeof sql, "DELETE FROM page WHERE text = 'red'; UPDATE page SET text = 'blue'");
    assert_int_equal(testing_database_shell(&w->database, sql), 0);
    assert_int_equal(testing_database_shell(&w->database, "VACUUM"), 0);
    row.text = TIMS_STR("blue");
    assert_true(finds(w, &row, "blue"));
    assert_false(finds(w, &row, "green"));
}

/* Only the beginning of a very long text is searched; where it ends is the same everywhere. */
static void a_long_text_is_searched_as_far_as_is_said(void **state)
{
    world *w = *state;
    make_pages(w);
    tims_buf text;
    tims_buf_init(&text, w->arena, 1 << 22);
    for (size_t i = 0; i + 10 <= MODEL__SEARCHED_CHARACTERS_MAX; i += 10)
        tims_buf_print(&text, "\xc3\xa4%08zu ", i);
    tims_buf_print(&text, "beyond");
    page row = { .text = tims_buf_str(&text), .more = { true, TIMS_STR("later") } };
    insert(w, &page_model, &row);
    assert_true(finds(w, &row,
                      "\xc3\x84"
                      "00199990"));
    assert_false(finds(w, &row, "beyond"));
    assert_false(finds(w, &row, "later"));
    tims_buf word;
    tims_buf_init(&word, w->arena, 1 << 20);
    for (size_t i = 0; i < 10000; i++)
        tims_buf_print(&word, "long");
    page single = { .text = tims_buf_str(&word) };
    insert(w, &page_model, &single);
    assert_true(finds(w, &single, "longlonglong"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_character_is_cut_and_folded_alike),   TEST(words_are_found_where_they_begin_a_word),
        TEST(each_word_may_be_in_another_field),         TEST(what_is_found_follows_the_rows),
        TEST(a_long_text_is_searched_as_far_as_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
