/* model.h: models from C structs and their descriptors: queries, validation, access rules, changes,
 * migrations. */
#ifndef TIMS_MODEL_H
#define TIMS_MODEL_H

#include "tims/base.h"
#include "tims/db.h"
#include "tims/http.h"
#include "tims/json.h"

typedef struct tims_model tims_model;

/* --- access rules: a closed language that can be read as SQL and backwards as keys ------------ */

typedef enum tims_rule_kind {
    TIMS_RULE_NOBODY,
    TIMS_RULE_PUBLIC,
    TIMS_RULE_SIGNED_IN,
    TIMS_RULE_STAFF,
    TIMS_RULE_OWNER,
    TIMS_RULE_MEMBERS,
    TIMS_RULE_LIKE,
    TIMS_RULE_ANY,
    TIMS_RULE_ALL
} tims_rule_kind;

typedef struct tims_rule {
    tims_rule_kind kind;
    const char *column;       /* OWNER: the user column; LIKE: the column that points at the parent */
    const tims_model *model;  /* MEMBERS: the member model; LIKE: the parent model */
    const char *thing, *user; /* MEMBERS: the member model's columns */
    const struct tims_rule *const *parts; /* ANY, ALL; NULL-terminated */
    const char *file;                     /* where it is written; NULL: unknown */
    int line;
} tims_rule;

/* Checks that `member` exists in `type` and gives its name. */
#define TIMS_MEMBER_NAME(type, member) ((void)sizeof(((type *)0)->member), #member)
#define TIMS_RULE_(...) (&(const tims_rule){ .file = __FILE__, .line = __LINE__, __VA_ARGS__ })
#define TIMS_PUBLIC TIMS_RULE_(.kind = TIMS_RULE_PUBLIC)
#define TIMS_SIGNED_IN TIMS_RULE_(.kind = TIMS_RULE_SIGNED_IN)
#define TIMS_STAFF TIMS_RULE_(.kind = TIMS_RULE_STAFF)
#define TIMS_NOBODY TIMS_RULE_(.kind = TIMS_RULE_NOBODY)
/* The user in this column of the row. */
#define TIMS_OWNER(type, member) TIMS_RULE_(.kind = TIMS_RULE_OWNER, .column = #member)
/* The users of the rows of `member_model` whose `thing_` points at this row. */
#define TIMS_MEMBERS(member_model, type, thing_, user_) \
    TIMS_RULE_(.kind = TIMS_RULE_MEMBERS, .model = &(member_model), .thing = #thing_, .user = #user_)
/* Whoever may read the row that this column points at. */
#define TIMS_LIKE(type, member, parent_model) \
    TIMS_RULE_(.kind = TIMS_RULE_LIKE, .column = #member, .model = &(parent_model))
#define TIMS_ANY(...) \
    TIMS_RULE_(.kind = TIMS_RULE_ANY, .parts = (const tims_rule *const[]){ __VA_ARGS__, NULL })
#define TIMS_ALL(...) \
    TIMS_RULE_(.kind = TIMS_RULE_ALL, .parts = (const tims_rule *const[]){ __VA_ARGS__, NULL })

/* --- models ----------------------------------------------------------------------------------- */

typedef struct tims_index {
    tims_names columns; /* "-created_at": descending */
    bool unique;
    const char *where; /* SQL that both databases read: only rows for which it holds; NULL: all */
} tims_index;

struct tims_model {
    const char *name; /* the table's name too */
    const char *doc;
    size_t size;
    tims_fields fields;                        /* exactly one primary; kind TIMS_KIND_ID */
    const tims_rule *read;                     /* NULL: nobody over the API */
    const tims_rule *write;                    /* create, update, delete; NULL: nobody over the API */
    const tims_rule *create, *change, *remove; /* each wins over `write` */
    const char *order; /* default order: "-created_at"; the primary key is always the last tie-break */
    const tims_index *indexes; /* ends with a row without columns; NULL: none */
    tims_names search;         /* text fields that a search looks through; none: it cannot be searched */
    bool not_live;             /* no triggers, no change log (sessions, keys …) */
};
/* clang-format off */
#define TIMS_INDEXES(...) (const tims_index[]){ __VA_ARGS__, { .columns = { NULL, 0 } } }
#define TIMS_INDEX(...) \
    { .columns = { (const char *const[]){ __VA_ARGS__ }, \
                   sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *) } }
#define TIMS_INDEX_WHERE(condition, ...) \
    { .where = (condition), .columns = { (const char *const[]){ __VA_ARGS__ }, \
                   sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *) } }
#define TIMS_UNIQUE(...) \
    { .unique = true, \
      .columns = { (const char *const[]){ __VA_ARGS__ }, \
                   sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *) } }
/* clang-format on */

/* The field that is its primary key; never NULL. */
const tims_field *tims_model_primary(const tims_model *model);

/* Who asks: the user on whose behalf rules are applied. */
/* trusted: rules are not applied */
typedef struct tims_caller {
    bool signed_in, staff, trusted;
    tims_id user;
} tims_caller;

/* All models of the process, checked: names, kinds, references, rules (MEMBERS columns exist and point at the
 * right models; LIKE has no cycles …). Errors: INVALID naming the model, the field or the rule, and what to
 * do. */
typedef struct tims_models tims_models;
/* In `arena`; the tables are borrowed for good. */
tims_status tims_models_new(tims_arena *arena, const tims_model *const *models, size_t count,
                            tims_models **ret_models, tims_error *err);
/* How many there are. */
size_t tims_models_count(const tims_models *models);
const tims_model *tims_models_at(const tims_models *models, size_t index); /* parents before children */
/* By its name; NULL: there is none. */
const tims_model *tims_models_find(const tims_models *models, tims_str name);

/* --- queries: the shared form of every list, detail, subscription and include ----------------- */

typedef enum tims_operator {
    TIMS_EQUAL,
    TIMS_NOT_EQUAL,
    TIMS_LESS,
    TIMS_LESS_OR_EQUAL,
    TIMS_GREATER,
    TIMS_GREATER_OR_EQUAL,
    TIMS_IN,
    TIMS_IS_NULL,
    TIMS_CONTAINS,
    TIMS_STARTS_WITH /* both: case-insensitive for ASCII */
} tims_operator;

typedef struct tims_condition {
    const tims_field *field;
    tims_operator operator;
    tims_db_value value;         /* IS_NULL: integer 1 or 0 */
    const tims_db_value *values; /* IN */
    size_t value_count;
} tims_condition;

typedef struct tims_order {
    const tims_field *field;
    bool descending;
} tims_order;

enum { TIMS_CONDITIONS_MAX = 16, TIMS_ORDERS_MAX = 4 };

typedef struct tims_query {
    const tims_model *model;
    tims_caller caller;
    tims_condition conditions[TIMS_CONDITIONS_MAX];
    size_t condition_count;
    tims_str search; /* each of its words begins a word of the model's search fields; empty: none */
    tims_order orders[TIMS_ORDERS_MAX + 1];
    size_t order_count;
    int64_t limit, offset; /* limit 0: no limit */
    /* keyset paging: rows strictly behind this one in the order; values of the order fields */
    const tims_db_value *after;
    bool backwards; /* the rows just before `after` instead (or the last ones); still written in order */
    tims_field_set fields; /* 0: all visible ones */
    bool keep; /* in a transaction: nobody else changes the rows found until it ends (SQLite: nobody does
                  anyway) */
} tims_query;

/* Sets the model, its default order and the primary key as last tie-break (in the direction of the first
 * order). */
void tims_query_init(tims_query *query, const tims_model *model, tims_caller caller);
enum {
    TIMS_TEXT_BYTES_MAX = 1000,
    TIMS_IN_MAX = 100,
    TIMS_SEARCH_BYTES_MAX = 200,
    TIMS_SEARCH_WORDS_MAX = 8
};
/* `text` is the value as in a URL; IN: values with commas between; IS_NULL: true or false. NOT_EQUAL also
 * finds rows without a value. Any field of the model can be named: whoever takes names from outside checks
 * them first. Errors: INVALID when there is no such field, it cannot be compared so, or the text is no value
 * of its kind. */
tims_status tims_query_where(tims_arena *arena, tims_query *query, tims_str field, tims_operator operator,
                             tims_str text, tims_error *err);
/* The order from now on, as in a URL: "-created_at,text". Errors: INVALID. */
tims_status tims_query_order(tims_query *query, tims_str text, tims_error *err);
/* Text of at most 200 bytes and eight words, borrowed. A word is a run of letters, marks and digits, whatever
 * stands around it; case does not matter. Without a word in it all rows are found.
 * Errors: INVALID, also when the model has no search fields. */
tims_status tims_query_search(tims_query *query, tims_str text, tims_error *err);
/* Conditions (and order, limit) written as in a URL: "chat=…&created_at__lt=…&order=-created_at&limit=10".
 * Errors: INVALID, MALFORMED. */
tims_status tims_query_filter(tims_arena *arena, tims_query *query, tims_str text, tims_error *err);
/* "created_at__lt" to its field and operator. False: no such operator. The name alone is EQUAL. */
TIMS_MUST_USE bool tims_query_split_operator(tims_str parameter, tims_str *ret_field,
                                             tims_operator *ret_operator);
/* Whether the rule lets this caller see no row at all, whatever is in the database. */
bool tims_rule_is_never(const tims_rule *rule, const tims_model *model, tims_caller caller);

typedef struct tims_sql {
    tims_str text;
    tims_db_value *values;
    size_t value_count;
} tims_sql;
/* SELECT of the visible columns (or count(*)) with the read rule as a filter. Where an equality condition
 * fixes the column of a LIKE, the rule is asked once for the statement, not once per row. Nobody's rule
 * yields WHERE FALSE. */
void tims_query_sql(tims_arena *arena, tims_db_dialect dialect, const tims_query *query, tims_sql *ret_sql);
/* SELECT count(*) of the same rows, without order and limit. */
void tims_query_count_sql(tims_arena *arena, tims_db_dialect dialect, const tims_query *query,
                          tims_sql *ret_sql);
/* Reads the rows as JSON objects into a writer (inside an array the caller opened): the hot path, columns
 * straight to text. `ret_last` (may be NULL): the order fields of the last row, for cursors; NULL unless
 * `limit` rows came. */
tims_status tims_query_write(tims_db_session *db, tims_arena *arena, const tims_query *query,
                             tims_json_writer *writer, size_t *ret_rows, tims_db_value **ret_last,
                             tims_error *err);
/* The same with what paging needs. `probe`: looks for one row beyond `limit`, which is not written but sets
 * `more`. */
typedef struct tims_written {
    size_t rows;
    bool more;
    /* order fields; NULL without rows; `last` also NULL unless `limit` rows came */
    const tims_db_value *first, *last;
    tims_ids *collected; /* per field of `collect`: the distinct ids in it, by first appearance */
    int64_t total;       /* of `count`; unknown without rows */
} tims_written;
typedef struct tims_write_options {
    bool probe;
    bool count; /* what tims_query_count says, in the same statement */
    const tims_field *const *collect;
    size_t collect_count;
} tims_write_options;
/* As tims_query_write; what `options` ask for is in `ret_written`, in `arena`. Suspends. Errors: the
 * database's. */
tims_status tims_query_write_page(tims_db_session *db, tims_arena *arena, const tims_query *query,
                                  const tims_write_options *options, tims_json_writer *writer,
                                  tims_written *ret_written, tims_error *err);
/* How many rows the caller may read that the query finds, without its limit. Suspends. Errors: the
 * database's. */
tims_status tims_query_count(tims_db_session *db, tims_arena *arena, const tims_query *query,
                             int64_t *ret_count, tims_error *err);
/* Whether a row in memory matches the conditions and search of a query (not its rule, order or limit). */
bool tims_query_matches(const tims_query *query, const void *row);
/* Compares two rows by a query's order. */
int tims_query_compare(const tims_query *query, const void *a, const void *b);

/* --- below the application line: statuses ----------------------------------------------------- */

/* Fills a zero id, auto times, and the defaults of strings without data into `row`. (Other defaults are for
 * what a JSON body leaves out: in C a zero is a value.) Errors: CONFLICT "unique"; INVALID with pointers to
 * references that do not exist; the database's. */
tims_status tims_model_insert(tims_db_session *db, tims_arena *arena, const tims_model *model, void *row,
                              tims_error *err);
/* Writes these fields of the row with this primary key; gives `row` its auto_now times. Errors: NOT_FOUND,
 * and as of tims_model_insert. */
tims_status tims_model_update(tims_db_session *db, tims_arena *arena, const tims_model *model, void *row,
                              tims_field_set fields, tims_error *err);
/* By primary key. Errors: NOT_FOUND, CONFLICT (something still points at it), the database's. */
tims_status tims_model_delete(tims_db_session *db, tims_arena *arena, const tims_model *model, tims_id id,
                              tims_error *err);
/* All rows of a query as structs, an array of `model->size` items. */
tims_status tims_model_select(tims_db_session *db, tims_arena *arena, const tims_query *query,
                              void **ret_rows, size_t *ret_count, tims_error *err);
/* One row; NOT_FOUND. */
tims_status tims_model_find(tims_db_session *db, tims_arena *arena, const tims_query *query, void **ret_row,
                            tims_error *err);
/* The value of a member as it is bound; strings are borrowed. */
tims_db_value tims_model_value(const tims_field *field, const void *row);
/* The text under which a value stands in topics: ids and text as they are, numbers in decimal; data == NULL:
 * null. */
tims_str tims_key_text(tims_arena *arena, const tims_db_value *value);
/* Copies the current result row's columns `first…` (in descriptor order) into a struct. */
void tims_model_read_row(const tims_model *model, const tims_db_rows *rows, int first, tims_arena *arena,
                         void *ret_row);
/* Whether the caller may do it to this row (rule as SQL on the database; for create the row is not there
 * yet). Errors: FORBIDDEN, or the database's. */
tims_status tims_rule_allows(tims_db_session *db, tims_arena *arena, const tims_rule *rule,
                             const tims_model *model, const void *row, tims_caller caller, tims_error *err);

/* --- audiences: rules in memory ---------------------------------------------------------------- */

/* What one caller may read of one model: the rule with everything that the caller decides folded away, and
 * the ids it needs, read once. It holds until a dependency of the rule changes. */
typedef struct tims_audience tims_audience;
/* Reads the ids in one snapshot, the session's own if it has one. Past `ids_max` ids in any set the audience
 * is `wide`: it holds none, and only tims_rule_allows can decide. Errors: the database's. Suspends. */
TIMS_MUST_USE tims_status tims_audience_load(tims_db_session *db, const tims_model *model, tims_caller caller,
                                             size_t ids_max, tims_audience **ret_audience, tims_error *err);
/* Sets `*audience` to NULL; NULL is fine. */
void tims_audience_free(tims_audience **audience);
/* Whether it had more ids than it may hold, and only the database can tell. */
bool tims_audience_is_wide(const tims_audience *audience);
/* Whether the caller may read this row: what tims_rule_allows says, without asking the database. Not for wide
 * ones. */
bool tims_audience_allows(const tims_audience *audience, const void *row);
/* Where the rows that the caller may read are found: calls for key columns and ids in them (maybe for one
 * more than once) so that each such row has one of them. `text` is the id's 36 characters, for the call.
 * False, and no call: there is no such list, any row of the model may be meant (a class of callers reads all,
 * or wide). */
bool tims_audience_topics(const tims_audience *audience,
                          void (*function)(void *argument, const tims_field *field, tims_str text),
                          void *argument);
size_t tims_audience_bytes(const tims_audience *audience); /* what it keeps in memory, for budgets */

/* Rows of `model` that can change what a caller may read of another model: those with the caller in `user`
 * (NULL: any row), when they come, go, or change in `user` or `thing` (NULL: none). */
typedef struct tims_dependency {
    const tims_model *model;
    const tims_field *thing, *user; /* key columns of `model`, so the change log tells what they were */
} tims_dependency;
enum { TIMS_DEPENDENCIES_MAX = 16 }; /* a read rule with more ends the start */
/* The dependencies of the model's read rule, whoever the caller is. */
size_t tims_audience_dependencies(const tims_model *model, tims_dependency ret_items[TIMS_DEPENDENCIES_MAX]);

/* Whether the read rule says the same of all rows that the query's conditions let through: it is known from
 * the caller alone, or the columns it hangs on are fixed by equality (?chat=… where the rule is like the
 * chat's). All callers who pass such a gate see the same rows. */
bool tims_query_has_gate(const tims_query *query);
/* Asks the gate for the query's caller: one small statement, or none. Only for queries that have one. */
TIMS_MUST_USE tims_status tims_query_gate(tims_db_session *db, tims_arena *arena, const tims_query *query,
                                          bool *ret_open, tims_error *err);

/* --- for applications: on `rq`, raising ------------------------------------------------------- */

/* The scope's session, made at first use on the database given by tims_request_set_db. */
tims_db_session *tims_session_db(tims_request *rq);
tims_caller tims_caller_of(tims_request *rq); /* set by auth; anonymous otherwise */
/* The same for who only hands it on, to queries or the cache, which note for themselves what they ask of it
 * (see tims_reads). */
tims_caller tims_caller_unnoted(tims_request *rq);
/* Who the request is for from now on: what auth has found out, or a task's user. */
void tims_request_set_caller(tims_request *rq, tims_caller caller);
/* The database that the request's session is made on at its first use. */
void tims_request_set_db(tims_request *rq, tims_db *db);
/* Instead of a database: somebody else's session, whose snapshot this request reads in. */
void tims_request_set_session(tims_request *rq, tims_db_session *session);

/* Writes begin the request's transaction at the first of them; it commits before the answer is sent. Call
 * tims_begin first where what you read decides what you write: a row that tims_get, tims_find or tims_find_by
 * gives in a transaction stays as it is until its end. tims_commit ends it early. Suspend. Raise: 503, 504;
 * 409 "serialization", after which the request runs again (see tims_runs_again). */
void tims_begin(tims_request *rq);
/* Commits now; a later write begins another transaction. Suspends. Raises: 409, 503. */
void tims_commit(tims_request *rq);
/* Whether one is open on the request. */
bool tims_in_transaction(const tims_request *rq);
void tims_rollback(tims_request *rq); /* for the finish hook of what was raised; fine when nothing is open */

/* The row with this id that the caller may read. Raises: 404. */
void *tims_get(tims_request *rq, const tims_model *model, tims_id id);
/* The same without the read rule (for what the app decides itself); NULL when absent. */
void *tims_find(tims_request *rq, const tims_model *model, tims_id id);
/* The first row whose field equals `text` (any reader); NULL when absent. */
void *tims_find_by(tims_request *rq, const tims_model *model, const char *field, tims_str text);
/* Rows the caller may read. `filter` as in a URL: "chat=%I&text=%S&read=false"; NULL: all. Values of %S are
 * percent-encoded on the way in (tims_buf_print_url_v), so they cannot add conditions. */
void *tims_select(tims_request *rq, const tims_model *model, size_t *ret_count, const char *filter, ...);
/* Rows whoever asks. */
void *tims_select_all(tims_request *rq, const tims_model *model, size_t *ret_count, const char *filter, ...);
int64_t tims_count(tims_request *rq, const tims_model *model, const char *filter, ...); /* whoever asks */
bool tims_exists(tims_request *rq, const tims_model *model, const char *filter, ...);   /* whoever asks */
/* No rule is applied: the handler has decided. Raise: 409 (unique), 422, 503. */
void tims_create(tims_request *rq, const tims_model *model, void *row);
/* Writes these fields (asserted: they are the model's) of the row, found by its primary key, and gives `row`
 * its auto_now times. Raises: 404, 409, 422, 503. */
void tims_update(tims_request *rq, const tims_model *model, void *row, tims_names fields);
/* By primary key. Raises: 404, 409 (something still points at it), 503. */
void tims_delete(tims_request *rq, const tims_model *model, tims_id id);
/* Raw SQL for what the query language does not say; inside the request's transaction if one is open.
 * Raise. */
tims_db_rows *tims_sql_query(tims_request *rq, tims_str sql, const tims_db_value *values, size_t count);
/* The same without rows: how many were changed. */
int64_t tims_sql_run(tims_request *rq, tims_str sql, const tims_db_value *values, size_t count);
/* One row as the API shows it. */
tims_answer tims_answer_row(tims_request *rq, int status, const tims_model *model, const void *row);

/* --- reads as topics: on what an answer depends ------------------------------------------------- */

/* Rows of a model: those whose key column has this text (as tims_key_text writes it), the one with this
 * primary key, or with `field` NULL all of them. */
typedef struct tims_topic {
    const tims_model *model;
    const tims_field *field;
    tims_str text;
} tims_topic;
enum { TIMS_TOPICS_MAX = 1000 }; /* with more, all of a model's become one */

/* A recorder. While it is set, everything that is read by models on the request or its session notes its
 * topics: as long as no row changes that has, had or gets one of them, reading again gives the same. Rules
 * applied for the caller note what they depend on. Writing then raises 500, and so do raw SQL (see
 * tims_reads_model) and models that are .not_live, whose changes nobody could tell; a lenient recorder lets
 * all that happen and notes that it cannot follow. */
typedef struct tims_reads tims_reads;
/* A recorder that raises at what it cannot follow; yours to free. */
tims_reads *tims_reads_new(void);
/* A recorder that notes what it cannot follow (tims_reads_can_follow); yours to free. */
tims_reads *tims_reads_new_lenient(void);
/* Not while it is set. Sets `*reads` to NULL; NULL is fine. */
void tims_reads_free(tims_reads **reads);
/* From here to tims_reads_end or the end of the request. What was noted before stays. Where another one is
 * set, on the request or (for an inner request) on its session, that one waits and then has read it too. */
void tims_reads_begin(tims_request *rq, tims_reads *reads);
/* Takes the recorder off; one that waited is set again. */
void tims_reads_end(tims_request *rq);
tims_reads *tims_reads_of(tims_request *rq); /* the one that is set; NULL: none */
/* Notes what somebody else has recorded: the topics (copied), and that it was asked who calls. */
void tims_reads_add(tims_reads *reads, const tims_topic *topics, size_t count);
/* Notes that it was asked who calls. */
void tims_reads_add_caller(tims_reads *reads);
/* Whether the topics tell of all that was read. */
bool tims_reads_can_follow(const tims_reads *reads);
const tims_topic *tims_reads_topics(const tims_reads *reads, size_t *ret_count); /* each once; borrowed */
/* Whether the answer may differ between callers of one class: it was asked who calls, or a rule was applied
 * that needs to know. */
bool tims_reads_asked_caller(const tims_reads *reads);
/* For handlers that use raw SQL where reads are recorded: it reads this model, any row of it. Name all of
 * them first. Otherwise does nothing. */
void tims_reads_model(tims_request *rq, const tims_model *model);
/* For handlers whose answer also hangs on what is no row, or a row whose changes are told of late (who is
 * online, how many jobs wait): it may be followed live, but not kept. */
void tims_reads_untold(tims_request *rq);

/* --- changes: what the feed tells ------------------------------------------------------------- */

/* The change log: table tims_change(id, model, op, row, old; PostgreSQL: xid too). `old` is a JSON object of
 * the old values of the model's key columns (references, and what rules and indexes name); null for inserts.
 * Triggers write it, whoever the writer is. See change.c for what a position is. */
typedef enum tims_change_op {
    TIMS_INSERTED = 1,
    TIMS_UPDATED = 2,
    TIMS_DELETED = 3,
    TIMS_TRUNCATED = 4 /* all rows of the model went at once; `row` is empty */
} tims_change_op;
/* The DDL of the log and of all models' triggers (idempotent: drops and makes the triggers anew). */
tims_str tims_change_ddl(tims_arena *arena, const tims_models *models, tims_db_dialect dialect);
/* Whether a column is among the key columns that `old` carries. */
bool tims_change_is_key(const tims_model *model, const tims_field *field);
/* The position of the session's current snapshot or transaction: a number that grows with what is visible. */
tims_status tims_position(tims_db_session *db, int64_t *ret_position, tims_error *err);
/* The position of the moment, for who reads nothing else: a snapshot begun later shows no less. Outside of
 * snapshots and transactions. */
tims_status tims_position_now(tims_db_session *db, int64_t *ret_position, tims_error *err);
/* Commits the outermost transaction; from the position on, what it wrote is visible. Errors:
 * tims_db_commit's; when only the position cannot be had, the transaction is committed all the same and
 * `ret_position` 0. */
tims_status tims_commit_position(tims_db_session *db, int64_t *ret_position, tims_error *err);
/* Where a reader of the log stands: it has seen what this snapshot shows. */
typedef struct tims_mark {
    int64_t position;
    tims_str snapshot; /* SQLite: empty, the position says it all */
} tims_mark;
tims_status tims_mark_now(tims_db_session *db, tims_mark *ret_mark,
                          tims_error *err); /* in the session's arena */
/* A mark at this position or somewhat before it. NOT_FOUND: the log does not reach back to one. */
tims_status tims_mark_find(tims_db_session *db, tims_arena *arena, int64_t position, tims_mark *ret_mark,
                           tims_error *err);
/* Keeps the mark for those who will come from there, unless one was noted in the last `every_us`. `log_id`:
 * of the last log row that was read. Outside of snapshots. */
tims_status tims_mark_note(tims_db_session *db, const tims_mark *mark, int64_t log_id, int64_t every_us,
                           tims_error *err);
/* What a reader begins with as `log_id`: of the last row in the log, 0 when there is none. */
tims_status tims_change_last(tims_db_session *db, int64_t *ret_log_id, tims_error *err);
typedef struct tims_change {
    int64_t id;
    tims_str model, row, old;
    tims_change_op op;
} tims_change;
/* Calls for what the log says after one mark, up to another (NULL: up to the session's snapshot), in order,
 * for at most `limit` rows. Do not use the session in the call. */
tims_status tims_change_read(tims_db_session *db, const tims_mark *from, const tims_mark *to, int64_t limit,
                             void (*function)(void *argument, const tims_change *change), void *argument,
                             tims_error *err);
/* Removes log rows that are older than `seconds`, or more than `rows`, as far as marks tell; some in one
 * call. `log_id` as above. Outside of snapshots. */
typedef struct tims_retention {
    int64_t seconds, rows;
} tims_retention;
/* Suspends. Errors: the database's. */
tims_status tims_change_prune(tims_db_session *db, tims_arena *arena, const tims_retention *keep,
                              const tims_mark *mark, int64_t log_id, tims_error *err);
/* Identity of this database and log incarnation, 16 hex characters; kept in table tims_meta. */
tims_status tims_epoch(tims_db_session *db, tims_arena *arena, tims_str *ret_epoch, tims_error *err);
/* The same, made anew if the server has been started since anybody asked so (`server_start_us` 0: it has no
 * server). Outside of snapshots. */
tims_status tims_epoch_begin(tims_db_session *db, tims_arena *arena, int64_t server_start_us,
                             tims_str *ret_epoch, tims_error *err);
/* Another one in place of `old`; nothing if it is another already. */
tims_status tims_epoch_renew(tims_db_session *db, tims_str old, tims_error *err);
/* When the database server was started, in microseconds; SQLite: 0. */
tims_status tims_server_start(tims_db_session *db, int64_t *ret_start_us, tims_error *err);

/* --- migrations ------------------------------------------------------------------------------- */

/* A file built into the program: "0001_initial.sql" and its text. Ends with a row without a name. */
typedef struct tims_embedded {
    const char *name;
    const char *data;
    size_t length;
} tims_embedded;
typedef struct tims_migration_set {
    const char *app;
    const tims_embedded *files;
    const tims_model *const *models;
    bool allow_destructive; /* migrations that lose data may be applied */
} tims_migration_set;

/* The canonical description of an app's models (JSON), kept beside its migrations as snapshot.json. */
tims_str tims_migrate_snapshot(tims_arena *arena, const tims_model *const *models);
typedef struct tims_migration_plan {
    tims_str sql;
    tims_str summary;
    bool empty, destructive;
    tims_str destructive_list;
} tims_migration_plan;
/* The difference between a committed snapshot (empty: none yet) and the descriptors. SQLite table rebuilds
 * are done by the book (new table, copy, drop, rename, foreign_key_check). Renames only by `.renamed_from`.
 * Errors: INVALID (a NOT NULL column without a default on an existing table …). */
tims_status tims_migrate_plan(tims_arena *arena, tims_str old_snapshot, const tims_model *const *models,
                              tims_db_dialect dialect, tims_migration_plan *ret_plan, tims_error *err);
/* Applies what is pending, all sets, each file (or each step of it) in a transaction, recorded with its
 * checksum in tims_migration, then refreshes the triggers. Processes that do it at once take turns.
 * `ret_applied`: one line each. Errors: CONFLICT when an applied file was edited; PRECONDITION when one is
 * not written for this database, or loses data and is not allowed to; UNAVAILABLE when its tables are in use.
 */
tims_status tims_migrate_apply(tims_db *db, tims_arena *arena, const tims_migration_set *sets, size_t count,
                               const tims_models *models, tims_buf *ret_applied, tims_error *err);
/* OK, or PRECONDITION with what is pending, edited or drifted and the command that helps. */
tims_status tims_migrate_check(tims_db *db, tims_arena *arena, const tims_migration_set *sets, size_t count,
                               const tims_models *models, tims_error *err);
/* Whether a database, perhaps an older copy, is one that this program can bring up to date: at least one
 * migration of `sets` has been applied to it, and none that the program lacks or that was edited since.
 * Nothing is written. `ret_pending`: how many are still to be applied. Errors: PRECONDITION ("other_app",
 * "migration_missing", "migration_edited"), the database's. */
tims_status tims_migrate_recognise(tims_db *db, tims_arena *arena, const tims_migration_set *sets,
                                   size_t count, size_t *ret_pending, tims_error *err);

/* --- copying ---------------------------------------------------------------------------------- */

typedef struct tims_copy_progress {
    const tims_model *model;   /* which table it is at */
    int64_t steps, steps_done; /* of all tables: each row is read here and there */
    bool table_done;           /* the table is there whole, and the rest says what it holds */
    int64_t table_rows;
    uint64_t table_sum[2];
} tims_copy_progress;
typedef struct tims_copy_options {
    void (*on_progress)(void *argument, const tims_copy_progress *progress); /* NULL: nobody is told */
    void *argument;
} tims_copy_options;
/* Makes the rows of all models in `target` those that a snapshot of `source` shows, in one transaction: what
 * was there goes, and on failure stays. Both are migrated. Counts and checksums are compared. The target gets
 * another epoch. Errors: INVALID (a value that is none of its kind), CONFLICT "copy_differs", the databases'.
 */
tims_status tims_copy_rows(tims_db *source, tims_db *target, tims_arena *arena, const tims_models *models,
                           const tims_copy_options *options, tims_error *err);

#endif
