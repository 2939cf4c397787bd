/* window.c: the rows a subscription holds: read from the database, remembered by id.
 *
 * Beside the ids, a window that is not the whole result keeps the order fields of its last row: a row that
 * sorts behind them is outside and is nobody's business. */
#include "live/live_internal.h"

enum { TAIL_BYTES_MAX = 16 * 1024 * 1024 };

tims_id live__row_id(const tims_model *model, const void *row)
{
    return *(const tims_id *)((const char *)row + tims_model_primary(model)->offset);
}

const void *live__rows_at(const live__subscription *subscription, const live__rows *rows, size_t index)
{
    TIMS_ASSERT(index < rows->count);
    return rows->items + index * subscription->live.query.model->size;
}

live__rows live__window_read(live__work *work, const live__subscription *subscription, size_t limit)
{
    tims_query query = subscription->live.query;
    query.limit = (int64_t)limit + 1; /* one more tells whether there is more */
    query.fields = 0;
    void *items;
    size_t count;
    tims_error err = { 0 };
    live__work_snapshot(work);
    tims_check(work->rq, tims_model_select(work->db, work->rq->arena, &query, &items, &count, &err), &err);
    return (live__rows){ .items = items, .count = count < limit ? count : limit, .end = count <= limit };
}

/* --- the last row ----------------------------------------------------------------------------- */

static void keep_text(tims_arena *arena, const tims_field *field, void *row)
{
    char *member = (char *)row + field->offset;
    if (field->kind == TIMS_KIND_STR)
        *(tims_str *)member = tims_copy(arena, *(tims_str *)member);
    else if (field->kind == TIMS_KIND_OPT_STR && ((tims_opt_str *)member)->present)
        ((tims_opt_str *)member)->value = tims_copy(arena, ((tims_opt_str *)member)->value);
}

static void keep_last(live__subscription *subscription, const void *row)
{
    const tims_query *query = &subscription->live.query;
    tims_arena_free(&subscription->tail);
    subscription->last_row = NULL;
    if (row == NULL)
        return;
    subscription->tail = tims_arena_new(TAIL_BYTES_MAX, NULL, NULL);
    subscription->last_row = tims_alloc(subscription->tail, query->model->size);
    /* Only the order fields are ever looked at; what other members point to is not ours. */
    memcpy(subscription->last_row, row, query->model->size);
    for (size_t i = 0; i < query->order_count; i++)
        keep_text(subscription->tail, query->orders[i].field, subscription->last_row);
    subscription->last_id = live__row_id(query->model, row);
}

void live__window_set(live__subscription *subscription, const live__rows *rows)
{
    const tims_model *model = subscription->live.query.model;
    subscription->held.count = 0;
    for (size_t i = 0; i < rows->count; i++)
        (void)live__held_add(&subscription->held, live__row_id(model, live__rows_at(subscription, rows, i)));
    subscription->end = rows->end || subscription->live.is_detail;
    bool has_tail = !subscription->end && rows->count > 0;
    keep_last(subscription, has_tail ? live__rows_at(subscription, rows, rows->count - 1) : NULL);
}
