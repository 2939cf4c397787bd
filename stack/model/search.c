/* search.c: text search behind one filter, as SQL and on rows in memory. What is a word is words.c's
 * business, what is indexed search_index.c's. */
#include "model/model_internal.h"

/* "one"* AND "two"*   or   'one':* & 'two':*   Words hold no quotes: those stand between words. */
static tims_db_value pattern_of(const model__sql *sql, tims_str text)
{
    bool on_sqlite = sql->dialect == TIMS_SQLITE;
    tims_buf out;
    tims_buf_init(&out, sql->arena, TIMS_SEARCH_BYTES_MAX * 8);
    tims_str word;
    while (model__next_word(&text, &word)) {
        if (out.length > 0)
            tims_buf_print(&out, on_sqlite ? " AND " : " & ");
        tims_buf_append_char(&out, on_sqlite ? '"' : '\'');
        model__append_folded(&out, word);
        tims_buf_print(&out, on_sqlite ? "\"*" : "':*");
    }
    TIMS_ASSERT(!out.overflow);
    return tims_db_text(tims_buf_str(&out));
}

void model__sql_add_search(model__sql *sql, const tims_query *query)
{
    const tims_model *model = query->model;
    if (query->search.length == 0)
        return;
    model__sql_add(sql, " AND ");
    model__sql_add_column(sql, 0,
                          sql->dialect == TIMS_SQLITE ? tims_model_primary(model)->name : "tims_words");
    if (sql->dialect == TIMS_SQLITE) {
        tims_buf_print(&sql->text,
                       " IN (SELECT s.id FROM \"tims_search_%s\" f JOIN \"tims_searched_%s\" s ON s.number = "
                       "f.rowid WHERE f.\"tims_search_%s\" MATCH ",
                       model->name, model->name, model->name);
        model__sql_add_value(sql, pattern_of(sql, query->search));
        model__sql_add(sql, ")");
        return;
    }
    model__sql_add(sql, " @@ CAST(CAST(");
    model__sql_add_value(sql, pattern_of(sql, query->search));
    model__sql_add(sql, " AS text) AS tsquery)");
}

bool model__search_matches(const tims_query *query, const void *row)
{
    const tims_model *model = query->model;
    tims_str rest = query->search, beginning;
    while (model__next_word(&rest, &beginning)) {
        size_t left = MODEL__SEARCHED_CHARACTERS_MAX;
        bool found = false;
        for (size_t i = 0; i < model->search.count && !found; i++) {
            tims_db_value value = tims_model_value(model__rule_field(model, model->search.items[i]), row);
            if (value.type == TIMS_DB_TEXT)
                found = model__has_word(model__first_characters(value.bytes, &left), beginning);
            left -= left > 0; /* the space between two fields */
        }
        if (!found)
            return false;
    }
    return true;
}
