/* history.c: the last batches, for those who come back.
 *
 * A client that was away says where it stood; what it missed is in here, without a look at the database. When
 * the process has just started, or somebody was away for longer, the log is read back once for all who come
 * from there. Bounded by changes and bytes: who was away for longer than that starts again. */
#include "live/live_internal.h"

static void drop_oldest(live__history *history)
{
    live__batch *batch = history->items[0];
    history->from = batch->position;
    history->change_count -= batch->count;
    history->byte_count -= tims_arena_used(batch->arena);
    history->count--;
    memmove(history->items, history->items + 1, history->count * sizeof *history->items);
    live__batch_free(&batch);
}

static void insert(live__history *history, size_t at, live__batch *batch)
{
    if (history->count == history->capacity) {
        history->capacity = history->capacity == 0 ? 64 : history->capacity * 2;
        history->items = realloc(history->items, history->capacity * sizeof *history->items);
        TIMS_ASSERT(history->items != NULL);
    }
    memmove(history->items + at + 1, history->items + at, (history->count - at) * sizeof *history->items);
    history->items[at] = batch;
    history->count++;
    history->change_count += batch->count;
    history->byte_count += tims_arena_used(batch->arena);
}

static bool is_too_large(const live__history *history, size_t changes_max)
{
    return history->change_count > changes_max || history->byte_count > LIVE__HISTORY_BYTES_MAX ||
           history->count > changes_max;
}

void live__history_add(live__history *history, live__batch *batch, size_t changes_max)
{
    TIMS_ASSERT(batch->from == history->to);
    insert(history, history->count, batch);
    history->to = batch->position;
    while (history->count > 1 && is_too_large(history, changes_max))
        drop_oldest(history);
}

/* --- back into the log ------------------------------------------------------------------------ */

static int64_t oldest_of_log(live__step *step)
{
    tims_db_rows *rows;
    tims_error err = { 0 };
    tims_check(step->rq,
               tims_db_query(step->db, TIMS_STR("SELECT min(id) FROM tims_change"), NULL, 0, &rows, &err),
               &err);
    int64_t oldest = tims_db_next(rows) && !tims_db_is_null(rows, 0) ? tims_db_get_int(rows, 0) : INT64_MAX;
    tims_check(step->rq, tims_db_rows_end(&rows, &err), &err);
    return oldest;
}

bool live__history_reach(live__step *step, int64_t from)
{
    live__history *history = &step->engine->history;
    size_t changes_max = (size_t)step->live->options.resume_changes_max;
    if (from >= history->from)
        return true;
    if (step->position - from > step->live->options.resume_changes_max || oldest_of_log(step) > from + 1)
        return false;
    live__batch_options options = { .models = step->live->models,
                                    .from = from,
                                    .to = history->from,
                                    .changes_max = changes_max,
                                    .bytes_max = step->live->limits.step_bytes_max };
    live__batch *batch = NULL;
    tims_error err = { 0 };
    tims_check(step->rq, live__batch_read(step->db, &options, &batch, &err), &err);
    if (batch == NULL)
        return false; /* the log has nothing there, although it should */
    if (batch->flood || history->change_count + batch->count > changes_max) {
        live__batch_free(&batch);
        return false;
    }
    insert(history, 0, batch);
    history->from = from;
    return true;
}

void live__history_clear(live__history *history, int64_t position)
{
    for (size_t i = 0; i < history->count; i++)
        live__batch_free(&history->items[i]);
    free(history->items);
    *history = (live__history){ .from = position, .to = position };
}
