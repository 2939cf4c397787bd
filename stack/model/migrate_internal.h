/* migrate_internal.h: a schema as data, between descriptors, snapshots, SQL and the database itself. */
#ifndef TIMS_MIGRATE_INTERNAL_H
#define TIMS_MIGRATE_INTERNAL_H

#include "model/model_internal.h"

/* A column as the snapshot keeps it, for any database: `kind` is "id", "text", "int" …, `default_text` as in
 * the descriptor. */
typedef struct model__column {
    tims_str name;
    tims_kind kind; /* the base kind: see model__base_kind */
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
tims_str model__kind_word(tims_kind base_kind);

/* migrate_ddl.c: SQLite's words for it */
tims_str model__sqlite_type(tims_kind base_kind);
tims_str model__sqlite_literal(tims_arena *arena, const model__column *column); /* of its default */
const char *model__sqlite_on_delete(tims_str on_delete);                        /* "CASCADE" */
void model__add_column_sql(tims_arena *arena, tims_buf *out, const model__column *column);
void model__add_table_sql(tims_arena *arena, tims_buf *out, const model__table *table, tims_str name);
void model__add_index_sql(tims_buf *out, const model__table *table, const model__index *index);

/* search.c: the index of a table's search columns; nothing where it has none */
void model__add_search_sql(tims_buf *out, const model__table *table, tims_db_dialect dialect);
void model__drop_search_sql(tims_buf *out, const model__table *table, tims_db_dialect dialect);

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

/* migrate_apply.c: what is recorded and what is not */
typedef struct model__applied {
    tims_str app, name, checksum;
} model__applied;
typedef struct model__record {
    model__applied *items;
    size_t count;
} model__record;
tims_status model__record_read(tims_db_session *session, tims_arena *arena, model__record *ret_record,
                               tims_error *err);
bool model__is_migration(const tims_embedded *file);
/* CONFLICT when a recorded file is edited or gone. */
tims_status model__record_check(const model__record *record, const tims_migration_set *sets, size_t count,
                                tims_error *err);
bool model__record_has(const model__record *record, const char *app, const char *name);
tims_status model__table_exists(tims_db_session *session, tims_str name, bool *ret_exists, tims_error *err);

/* migrate_drift.c: PRECONDITION naming the first difference between the database and a schema */
tims_status model__drift(tims_db_session *session, tims_arena *arena, const model__schema *schema,
                         tims_error *err);

#endif
