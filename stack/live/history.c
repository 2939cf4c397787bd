/* history.c: the last batches, for those who come back.
 *
 * A client that was away says where it stood; what it missed is in here, without a look at the database. When
 * the process has just started, or somebody was away for longer, the log is read back once for all who come
 * from there. Bounded by changes and bytes: who was away for longer than that starts again. */
#include "live/live_internal.h"

static void set_from(live__history *history, int64_t position, tims_str snapshot)
{
    free(history->from_snapshot);
    history->from = position;
    history->from_snapshot = strndup(snapshot.data != NULL ? snapshot.data : "", snapshot.length);
    TIMS_ASSERT(history->from_snapshot != NULL);
}

static void drop_oldest(live__history *history)
{
    live__batch *batch = history->items[0];
    set_from(history, batch->position, batch->snapshot);
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

static bool find_mark(live__step *step, int64_t from, tims_mark *ret_mark)
{
    tims_error err = { 0 };
    tims_status status = tims_mark_find(step->db, step->rq->arena, from, ret_mark, &err);
    if (status == TIMS_NOT_FOUND)
        return false;
    tims_check(step->rq, status, &err);
    return true;
}

/* The mark may stand a little before the position: a change told again is the row as it is. */
bool live__history_reach(live__step *step, int64_t from)
{
    live__history *history = &step->engine->history;
    size_t changes_max = (size_t)step->live->options.resume_changes_max;
    tims_mark mark;
    if (from >= history->from)
        return true;
    if (!find_mark(step, from, &mark))
        return false;
    live__batch_options options = { .models = step->live->models,
                                    .from = mark,
                                    .to = { history->from, tims_str_from(history->from_snapshot) },
                                    .is_past = true,
                                    .changes_max = changes_max,
                                    .bytes_max = step->live->limits.step_bytes_max };
    live__batch *batch = NULL;
    tims_error err = { 0 };
    tims_check(step->rq, live__batch_read(step->db, &options, &batch, &err), &err);
    if (batch != NULL && (batch->flood || history->change_count + batch->count > changes_max)) {
        live__batch_free(&batch);
        return false;
    }
    if (batch != NULL)
        insert(history, 0, batch);
    set_from(history, mark.position, mark.snapshot);
    return true;
}

void live__history_pass(live__history *history, int64_t position)
{
    TIMS_ASSERT(position >= history->to);
    history->to = position;
}

void live__history_free(live__history *history)
{
    for (size_t i = 0; i < history->count; i++)
        live__batch_free(&history->items[i]);
    free(history->items);
    free(history->from_snapshot);
    history->from_snapshot = NULL;
    history->items = NULL;
    history->count = history->capacity = history->change_count = history->byte_count = 0;
    history->from = history->to = 0;
}

void live__history_start(live__history *history, const tims_mark *mark)
{
    live__history_free(history);
    history->to = mark->position;
    set_from(history, mark->position, mark->snapshot);
}
