/* migrate_drift_sqlite.c: a table as SQLite has it. */
#include "model/migrate_internal.h"

static void add_column(model__lines *to, const tims_db_rows *rows)
{
    model__add_column_line(to, &(model__column_line){
                                   .name = tims_db_get_text(rows, 0),
                                   .type = tims_db_get_text(rows, 1),
                                   .not_null = tims_db_get_int(rows, 2) != 0,
                                   .primary = tims_db_get_int(rows, 4) != 0,
                                   .has_default = !tims_db_is_null(rows, 3),
                                   .default_sql = tims_db_get_text(rows, 3),
                               });
}

tims_status model__sqlite_read_table(tims_db_session *session, const model__table *expected, model__lines *to,
                                     tims_error *err)
{
    tims_str columns = TIMS_STR("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info(?1)");
    tims_str references =
        TIMS_STR("SELECT \"from\", \"table\", \"to\", on_delete FROM pragma_foreign_key_list(?1)");
    tims_str indexes = TIMS_STR("SELECT i.name, i.\"unique\", (SELECT group_concat(word, ', ') FROM (SELECT "
                                "iif(x.\"desc\", '-', '') || x.name "
                                "AS word FROM pragma_index_xinfo(i.name) x WHERE x.key ORDER BY x.seqno)) || "
                                "iif(i.partial, ', of some rows', '') "
                                "FROM pragma_index_list(?1) i WHERE i.origin = 'c'");
    tims_status status = model__read_lines(session, columns, expected->name, add_column, to, err);
    if (status == TIMS_OK)
        status = model__read_lines(session, references, expected->name, model__add_reference_line, to, err);
    if (status == TIMS_OK)
        status = model__read_lines(session, indexes, expected->name, model__add_index_line, to, err);
    if (status == TIMS_OK)
        status = model__read_lines(session, tims_str_from(model__sqlite_search_sql), expected->name,
                                   model__add_search_line, to, err);
    return status;
}
