/* model_internal.h: what the files of this room share. */
#ifndef TIMS_MODEL_INTERNAL_H
#define TIMS_MODEL_INTERNAL_H

#include <string.h>

#include "tims/model.h"

/* --- SQL under construction ----------------------------------------------------------------------------- */

enum { MODEL__SQL_BYTES_MAX = 64 * 1024, MODEL__RULE_DEPTH_MAX = 8 };

/* Text and the values of ?1 ?2 … The same query gives the same text, so that the statement cache hits. */
typedef struct model__sql {
    tims_arena *arena;
    tims_db_dialect dialect; /* what is written is mostly the same for all */
    tims_buf text;
    tims_db_value *values;
    size_t count, capacity;
    size_t me;      /* the number of the caller's id; 0: not bound yet */
    unsigned alias; /* the last table alias given out: t0, t1 … */
} model__sql;

void model__sql_init(model__sql *sql, tims_arena *arena, tims_db_dialect dialect);
void model__sql_add(model__sql *sql, const char *text);
void model__sql_add_name(model__sql *sql, const char *name);                   /* quoted */
void model__sql_add_column(model__sql *sql, unsigned alias, const char *name); /* t0."name" */
void model__append_column(tims_buf *out, unsigned alias, const char *name);
/* Binds a value; returns its number. */
size_t model__sql_bind(model__sql *sql, tims_db_value value);
void model__sql_add_number(model__sql *sql, size_t number);      /* ?7 */
void model__sql_add_value(model__sql *sql, tims_db_value value); /* binds and writes ?n */
tims_sql model__sql_done(model__sql *sql);

/* --- rules ------------------------------------------------------------------------------------ */

/* What a rule may look at: a table of the statement, or a row in memory, or only its key. */
typedef struct model__view {
    const tims_model *model;
    unsigned alias;
    const uint16_t
        *fixed; /* per field: the number of the value it is known to have; 0: unknown. NULL: none known */
    const tims_query *query; /* its conditions say what columns are, whatever the row; NULL: none do */
    const void *row;         /* NULL: in the database */
    tims_str key;            /* data != NULL: the SQL for the primary key; nothing else is known */
} model__view;

/* NO and YES are known without asking the database, and then nothing was added to the text. */
typedef enum model__truth { MODEL__NO, MODEL__YES, MODEL__ASK } model__truth;
model__truth model__rule_sql(model__sql *sql, const tims_rule *rule, const model__view *view,
                             const tims_caller *caller);

/* The same of a row of which nothing is known. */
model__truth model__rule_truth(const tims_rule *rule, const tims_model *model, const tims_caller *caller);
/* Whether a rule looks at more of the row than its key. */
bool model__rule_needs_row(const tims_rule *rule, const tims_model *model);
/* A column that a checked rule names. */
const tims_field *model__rule_field(const tims_model *model, const char *name);
/* The value that a query's conditions give to an id column; NULL: none. */
const tims_db_value *model__fixed_value(const tims_query *query, const tims_field *field);
/* dependencies.c: of any rule of a model. False: too many. */
bool model__dependencies(const tims_rule *rule, const tims_model *model, tims_dependency *ret_items,
                         size_t *ret_count);

/* --- queries ---------------------------------------------------------------------------------- */

/* Bits of all fields the API shows; of all columns; of what a query asks for. */
tims_field_set model__visible(const tims_model *model);
tims_field_set model__all(const tims_model *model);
static inline tims_field_set model__wanted(const tims_query *query)
{
    return query->fields != 0 ? query->fields : model__visible(query->model);
}
/* The columns of a SELECT, in descriptor order; then the extra ones; then how many rows the query has without
 * its limit, cursor and offset. */
typedef struct model__columns {
    tims_field_set fields;
    const tims_field *const *extra;
    size_t extra_count;
    bool count;
} model__columns;
/* `limit` 0: none. */
tims_sql model__select_sql(model__sql *sql, const tims_query *query, const model__columns *columns,
                           int64_t limit);
tims_status model__parse_order(const tims_model *model, tims_str text, tims_order *ret_orders,
                               size_t *ret_count, tims_error *err);

/* --- words.c, search.c ------------------------------------------------------------------------ */

enum {
    MODEL__SEARCHED_CHARACTERS_MAX = 200000, /* of a row; what follows is not found */
    MODEL__WORD_CHARACTERS_MAX = 200         /* of a word; longer than any search */
};

/* Cuts the next word of a text; false at the end. */
bool model__next_word(tims_str *rest, tims_str *ret_word);
/* Whether some word of the text begins so, whatever the case. */
bool model__has_word(tims_str text, tims_str beginning);
/* At most `*count` characters, which are taken from it. */
tims_str model__first_characters(tims_str text, size_t *count);
void model__append_folded(tims_buf *out, tims_str word); /* in lower case */
/* For the indexes: what FTS5 must be told to be no letters; PostgreSQL's tims_words(text). */
void model__append_pictures(tims_buf *out);
void model__append_words_function(tims_buf *out);

/* " AND …" when something is searched for. */
void model__sql_add_search(model__sql *sql, const tims_query *query);
bool model__search_matches(const tims_query *query, const void *row);

/* --- reads.c: what is read, noted ------------------------------------------------------------- */

/* Errors: INTERNAL (the model is not live). */
tims_status model__note_query_in(tims_db_session *db, tims_reads *reads, const tims_query *query,
                                 tims_error *err);
tims_status model__note_rule_in(tims_reads *reads, const tims_rule *rule, const tims_model *model,
                                const tims_caller *caller, tims_error *err);
/* Somebody asked who calls. */
void model__note_caller(tims_reads *reads);
bool model__reads_may_use_sql(const tims_reads *reads);
/* What comes cannot be followed. True: it may go on, the recorder is lenient and has noted it. */
bool model__reads_lose(tims_reads *reads);
/* Both are called before a statement; without a recorder they cost a look at a pointer. */
static inline tims_status model__note_query(tims_db_session *db, const tims_query *query, tims_error *err)
{
    tims_reads *reads = *tims_db_session_slot(db);
    return TIMS_LIKELY(reads == NULL) ? TIMS_OK : model__note_query_in(db, reads, query, err);
}
static inline tims_status model__note_rule(tims_db_session *db, const tims_rule *rule,
                                           const tims_model *model, tims_caller caller, tims_error *err)
{
    tims_reads *reads = *tims_db_session_slot(db);
    return TIMS_LIKELY(reads == NULL) ? TIMS_OK : model__note_rule_in(reads, rule, model, &caller, err);
}
/* scope.c: where a request keeps its recorder. */
tims_reads **model__reads_of(tims_request *rq);

/* --- rows ------------------------------------------------------------------------------------- */

static inline const void *model__member(const tims_field *field, const void *row)
{
    return (const char *)row + field->offset;
}
static inline void *model__member_of(const tims_field *field, void *row)
{
    return (char *)row + field->offset;
}
/* The value of a column as it would be bound again; text is copied. */
tims_db_value model__column_value(tims_arena *arena, const tims_field *field, const tims_db_rows *rows,
                                  int column);
size_t model__kind_size(tims_kind kind);

#endif
