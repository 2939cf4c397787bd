/* migrate_internal.h: a schema as data, between descriptors, snapshots, SQL and the database itself. */
#ifndef TIMS_MIGRATE_INTERNAL_H
#define TIMS_MIGRATE_INTERNAL_H

#include "model/model_internal.h"

/* A column as the snapshot keeps it, for any database: `kind` is "id", "text", "int" …, `default_text` as in
 * the descriptor. */
typedef struct model__column {
    tims_str name;
    tims_kind kind; /* the base kind: see tims_kind_base */
    uint8_t scale;  /* of a decimal */
    bool not_null, primary;
    bool has_default;
    tims_str default_text;
    tims_str to;        /* empty: no reference */
    tims_str to_key;    /* the primary key it points at */
    tims_str on_delete; /* "cascade", "restrict", "set_null" */
    /* of descriptors only */
    tims_str renamed_from;
    bool is_now; /* filled with the time: a new column gets the time of the migration */
} model__column;

typedef struct model__index {
    tims_str name;
    tims_str *columns; /* "-created_at": descending */
    size_t column_count;
    bool unique;
    tims_str where; /* empty: of all rows */
} model__index;

typedef struct model__table {
    tims_str name;
    model__column *columns;
    size_t column_count;
    model__index *indexes;
    size_t index_count;
    tims_str *search; /* text columns that can be searched */
    size_t search_count;
} model__table;

typedef struct model__schema {
    model__table *tables;
    size_t count;
} model__schema;

/* migrate_snapshot.c */
model__schema model__schema_of(tims_arena *arena, const tims_model *const *models);
tims_status model__schema_parse(tims_arena *arena, tims_str snapshot, model__schema *ret_schema,
                                tims_error *err);
const model__table *model__schema_find(const model__schema *schema, tims_str name);
const model__column *model__table_find(const model__table *table, tims_str name);
const model__column *model__table_primary(const model__table *table);
const model__index *model__table_find_index(const model__table *table, tims_str name);
tims_str model__index_column(const model__index *index, size_t at); /* its name, without "-" */
tims_str model__kind_word(tims_kind base_kind);

/* --- from one schema to the next ---------------------------------------------------------------------- */

/* A column of the new table and where its values come from. */
typedef struct model__source {
    const model__column *column, *from; /* from NULL: new */
    bool renamed;
} model__source;

typedef struct model__table_change {
    const model__table *before, *after; /* before NULL: new; after NULL: gone */
    const model__source *sources;       /* of the columns of `after`, when there is a `before` */
} model__table_change;

typedef struct model__changes {
    const model__schema *before, *after;
    model__table_change *items; /* the new and changed ones as the models stand, then those that went */
    size_t count;
} model__changes;

/* migrate_plan.c */
bool model__same_column(const model__column *a, const model__column *b);
bool model__same_reference(const model__column *a, const model__column *b);
bool model__same_default(const model__column *a, const model__column *b);
/* The index is in `table` too, and the same. */
bool model__has_index(const model__table *table, const model__index *index);
bool model__same_search(const model__table *a, const model__table *b);
/* The column of `before` gives its values to none. */
bool model__is_dropped(const model__table_change *change, const model__column *before);

/* A line for each loss, before everything else in a file. */
#define MODEL__DESTRUCTIVE "-- destructive: "
/* What stands before a file's second and further steps: of one that is a transaction; of one that no
 * transaction can hold, a single statement that may run twice. */
#define MODEL__STEP_TRANSACTION "-- step: in a transaction"
#define MODEL__STEP_ALONE "-- step: outside of a transaction"

/* --- databases ----------------------------------------------------------------------------------------- */

/* A table written down, a line per column, reference and index. */
typedef struct model__lines {
    tims_str *items;
    size_t count, capacity;
    tims_arena *arena;
} model__lines;

/* What a database does its own way. */
typedef struct model__dialect {
    const char *title;    /* "SQLite" */
    const char *file_end; /* of a migration's file: ".sql", ".postgres.sql" */
    tims_str (*type)(tims_arena *arena, const model__column *column);
    tims_str (*literal)(tims_arena *arena, const model__column *column); /* of its default */
    tims_str (*name)(tims_arena *arena, tims_str name);                  /* of an index */
    void (*add_changes)(tims_arena *arena, const model__changes *changes, tims_buf *out);
    const char *record_ddl; /* tims_migration, tims_migration_step */
    const char *find_table; /* one row if the table ?1 exists */
    const char *step_start; /* before a step's statements, in its transaction */
    /* (to be run before the step ?1, to be run after it): for what is in its way; migrate_aside.c */
    const char *find_aside;
    const char *list_views; /* that the database itself does not look after; NULL: it does */
    /* names of those that the statement ?1 names; NULL: a step is always in a transaction */
    const char *find_invalid_indexes;
    /* One process migrates at a time: asks for the lock in a transaction; and what is to be said in it once
     * it is kept. NULL: its transactions take turns anyway. */
    const char *try_lock, *lock_kept;
    /* Writes a table of the database down; `expected` says which. */
    tims_status (*read_table)(tims_db_session *session, const model__table *expected, model__lines *to,
                              tims_error *err);
} model__dialect;
const model__dialect *model__dialect_of(tims_db_dialect dialect);
extern const model__dialect model__sqlite, model__postgres;

/* migrate_ddl.c: the words that all share */
tims_str model__quoted_text(tims_arena *arena, tims_str text); /* 'it''s' */
const char *model__on_delete_words(tims_str on_delete);        /* "CASCADE" */
/* A default of bytes: X'00FF' or '\x00FF', by its beginning. */
tims_str model__bytes_literal(tims_arena *arena, const model__column *column, const char *before);

/* migrate_ddl_sqlite.c */
tims_str model__sqlite_type(tims_arena *arena, const model__column *column);
tims_str model__sqlite_literal(tims_arena *arena, const model__column *column);
tims_str model__sqlite_name(tims_arena *arena, tims_str name);
bool model__sqlite_is_checked(const model__column *column); /* by a constraint that is named like it */
void model__sqlite_add_column(tims_arena *arena, tims_buf *out, const model__column *column);
void model__sqlite_add_table(tims_arena *arena, tims_buf *out, const model__table *table, tims_str name);
void model__sqlite_add_index(tims_buf *out, const model__table *table, const model__index *index);
/* migrate_alter_sqlite.c */
void model__sqlite_add_changes(tims_arena *arena, const model__changes *changes, tims_buf *out);
/* migrate_drift_sqlite.c */
tims_status model__sqlite_read_table(tims_db_session *session, const model__table *expected, model__lines *to,
                                     tims_error *err);

/* migrate_ddl_postgres.c */
tims_str model__postgres_type(tims_arena *arena, const model__column *column);
tims_str model__postgres_literal(tims_arena *arena, const model__column *column);
tims_str model__postgres_name(tims_arena *arena, tims_str name);
tims_str model__postgres_reference_name(tims_arena *arena, tims_str table, tims_str column);
void model__postgres_add_column(tims_arena *arena, tims_buf *out, const model__column *column);
void model__postgres_add_reference(tims_buf *out, const model__column *column);
void model__postgres_add_index(tims_arena *arena, tims_buf *out, const model__table *table,
                               const model__index *index, bool concurrently);
/* migrate_alter_postgres.c */
void model__postgres_add_changes(tims_arena *arena, const model__changes *changes, tims_buf *out);
/* migrate_drift_postgres.c */
tims_status model__postgres_read_table(tims_db_session *session, const model__table *expected,
                                       model__lines *to, tims_error *err);

/* search_index.c: of a table's search columns; nothing where it has none */
void model__sqlite_add_search(tims_buf *out, const model__table *table);
void model__sqlite_drop_search(tims_buf *out, const model__table *table);
void model__postgres_add_search(tims_buf *out, const model__table *table);
void model__postgres_add_search_index(tims_buf *out, const model__table *table, bool concurrently);
void model__postgres_drop_search(tims_buf *out, const model__table *table);
/* A line when the table can be searched; ?1: its name. */
extern const char model__sqlite_search_sql[], model__postgres_search_sql[];
void model__add_search_line(model__lines *to, const tims_db_rows *rows);

/* migrate_triggers.c: the change log's, after change_sqlite.c and change_postgres.c */
typedef struct model__trigger {
    tims_str table, name, sql; /* `sql`: as the database keeps it */
    size_t kind;
} model__trigger;
size_t model__triggers(tims_arena *arena, const tims_models *models, tims_db_dialect dialect,
                       model__trigger **ret_triggers);
/* The triggers of the database are those of the models. */
tims_status model__triggers_current(tims_db_session *session, tims_arena *arena, const tims_models *models,
                                    bool *ret_current, tims_error *err);
tims_status model__triggers_refresh(tims_db_session *session, tims_arena *arena, const tims_models *models,
                                    bool new_epoch, tims_error *err);

/* --- one database -------------------------------------------------------------------------------------- */

/* A migration of a set, in the order of their names. */
typedef struct model__migration {
    tims_str name;             /* as it is recorded, the same on every database: "0001_initial.sql" */
    const tims_embedded *file; /* NULL: it is not written for this database */
} model__migration;
typedef struct model__migrations {
    model__migration *items;
    size_t count;
} model__migrations;

typedef struct model__applied {
    tims_str app, name, checksum;
} model__applied;
typedef struct model__record {
    model__applied *items;
    size_t count;
} model__record;

/* migrate_record.c: what there is, what is recorded, and what is not */
model__migrations model__migrations_of(tims_arena *arena, const tims_migration_set *set,
                                       tims_db_dialect dialect);
tims_str model__checksum(tims_arena *arena, const tims_embedded *file);
tims_status model__table_exists(tims_db_session *session, tims_str name, bool *ret_exists, tims_error *err);
tims_status model__record_read(tims_db_session *session, tims_arena *arena, model__record *ret_record,
                               tims_error *err);
/* CONFLICT when a recorded file is edited or gone. */
tims_status model__record_check(tims_db_session *session, tims_arena *arena, const model__record *record,
                                const tims_migration_set *sets, size_t count, tims_error *err);
bool model__record_has(const model__record *record, const char *app, tims_str name);

/* migrate_steps.c: runs and records a migration, from where it was left. `ret_applied`: it was this call and
 * no other process. */
tims_status model__run_migration(tims_db_session *session, tims_arena *arena, const char *app,
                                 const model__migration *migration, bool *ret_applied, tims_error *err);

/* Begins a transaction for it, with the database's own limits. */
tims_status model__begin_step(tims_db_session *session, tims_error *err);
/* Calls until others let it: a few seconds for each attempt, about a minute in all. `err` is cleared before
 * each. */
tims_status model__patiently(tims_db_session *session,
                             tims_status (*attempt)(void *argument, tims_error *err), void *argument,
                             tims_error *err);

/* migrate_aside.c: in the transaction of a step, before and after its statements */
tims_status model__set_aside(tims_db_session *session, tims_arena *arena, tims_str step, tims_str *ret_aside,
                             tims_error *err);
tims_status model__put_back(tims_db_session *session, tims_arena *arena, tims_str aside, tims_error *err);

/* migrate_drift.c: PRECONDITION naming the first difference between the database and a schema */
tims_status model__drift(tims_db_session *session, tims_arena *arena, const model__schema *schema,
                         tims_error *err);
/* What the dialects write down with. */
typedef struct model__column_line {
    tims_str name, type;
    bool not_null, primary, has_default;
    tims_str default_sql;
} model__column_line;
void model__add_line(model__lines *to, tims_str line);
void model__add_column_line(model__lines *to, const model__column_line *column);
void model__add_reference_line(model__lines *to, const tims_db_rows *rows); /* from, table, key, words */
void model__add_index_line(model__lines *to, const tims_db_rows *rows);     /* name, unique, columns */
tims_status model__read_lines(tims_db_session *session, tims_str sql, tims_str table,
                              void (*add)(model__lines *to, const tims_db_rows *rows), model__lines *to,
                              tims_error *err);

#endif
