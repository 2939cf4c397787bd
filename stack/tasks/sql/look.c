/* look.c: which queues have something that may run: one read, so that a worker without work writes
 * nothing. */
#include "tasks/sql/sql_internal.h"

typedef struct looking {
    const tims_str *queues;
    size_t count;
    bool *has;
} looking;

static tims_status look(tasks__work *work, tims_error *err)
{
    looking *l = work->argument;
    tims_buf names;
    tims_db_rows *rows;
    tims_buf_init(&names, work->arena, 1024 * 1024);
    tims_json_writer w = tims_json_to(&names);
    tims_json_begin_array(&w);
    for (size_t i = 0; i < l->count; i++)
        tims_json_str(&w, l->queues[i]);
    tims_json_end_array(&w);
    const tims_db_value value = tims_db_text(tims_buf_str(&names));
    tims_str sql =
        tasks__on_postgres(work)
            ? TIMS_STR("SELECT name FROM json_array_elements_text(?1::text::json) AS name WHERE EXISTS "
                       "(SELECT FROM tims_job WHERE queue = name AND state = 0)")
            : TIMS_STR("SELECT value FROM json_each(?1) WHERE EXISTS (SELECT 1 FROM tims_job WHERE queue = "
                       "value AND state = 0)");
    tims_status status = tims_db_query(work->session, sql, &value, 1, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (tims_db_next(rows))
        for (size_t i = 0; i < l->count; i++)
            if (tims_str_equal(l->queues[i], tims_db_get_text(rows, 0)))
                l->has[i] = true;
    return tims_db_rows_end(&rows, err);
}

tims_status tasks__sql_look(tasks__store *store, const tims_str *queues, size_t count, bool *ret_has,
                            tims_error *err)
{
    looking l = { queues, count, ret_has };
    memset(ret_has, 0, count * sizeof *ret_has);
    return tasks__sql_read(store, look, &l, err);
}
