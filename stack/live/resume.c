/* resume.c: going on from a position, for a client that held the first `held` rows there.
 *
 * Nothing is remembered of clients that are away: the log says which rows changed since, the database what
 * the result is now. Rows the log does not name are as the client has them, in the same order among
 * themselves, so of the unnamed rows in the result now it holds the first `held`, less at most as many as the
 * log names. What may be missing at that edge is sent again: a put that was not needed does no harm, a hole
 * would. */
#include "live/live_internal.h"

static bool read_log_start(live__work *work, int64_t *ret_oldest)
{
    tims_db_rows *rows;
    tims_error err = { 0 };
    tims_check(work->rq,
               tims_db_query(work->db, TIMS_STR("SELECT min(id) FROM tims_change"), NULL, 0, &rows, &err),
               &err);
    bool found = tims_db_next(rows) && !tims_db_is_null(rows, 0);
    if (found)
        *ret_oldest = tims_db_get_int(rows, 0);
    tims_check(work->rq, tims_db_rows_end(&rows, &err), &err);
    return found;
}

/* Whether the log still has everything after a position, and not too much of it. */
static bool log_reaches(live__work *work, int64_t position)
{
    int64_t oldest;
    if (position == work->snapshot)
        return true;
    if (work->snapshot - position > work->live->options.resume_changes_max)
        return false;
    return read_log_start(work, &oldest) && oldest <= position + 1;
}

static void release_batch(void *argument)
{
    live__batch *batch = argument;
    live__batch_unref(&batch);
}

/* The changes since, of the models that matter here; NULL: there are none. */
static live__batch *read_changes(live__work *work, const live__subscription *subscription, int64_t position)
{
    const tims_model *only[1 + LIVE__DEPENDENCIES_MAX + TIMS_LIVE_INCLUDES_MAX];
    size_t count = 0;
    only[count++] = subscription->live.query.model;
    for (size_t i = 0; i < subscription->dependency_count; i++)
        only[count++] = subscription->dependencies[i].model;
    for (size_t i = 0; i < subscription->live.include_count; i++)
        only[count++] = subscription->live.includes[i]->to;
    live__batch_options options = { .models = work->live->models,
                                    .from = position,
                                    .changes_max = (size_t)work->live->options.resume_changes_max,
                                    .only = only,
                                    .only_count = count };
    live__batch *batch = NULL;
    tims_error err = { 0 };
    tims_check(work->rq, live__batch_read(work->db, &options, &batch, &err), &err);
    if (batch != NULL)
        tims_defer(work->rq, release_batch, batch);
    return batch;
}

static bool access_changed(const live__subscription *subscription, const live__batch *batch)
{
    for (size_t c = 0; c < batch->count; c++)
        for (size_t d = 0; d < subscription->dependency_count; d++)
            if (batch->changes[c].model == subscription->dependencies[d].model &&
                live__dependency_concerns(&subscription->dependencies[d], &batch->changes[c],
                                          subscription->session->caller))
                return true;
    return false;
}

/* Whether a changed row is or was at the subscription's topic; others were never in the result. */
static bool is_at_topic(const live__subscription *subscription, const live__change *change)
{
    const tims_model *model = subscription->live.query.model;
    const tims_field *field = subscription->topic_field;
    if (change->model != model)
        return false;
    if (field == NULL)
        return true;
    if (field->primary) {
        char id[TIMS_ID_TEXT_LENGTH];
        tims_id_format(change->id, id);
        return tims_str_equal_ignoring_case((tims_str){ id, sizeof id }, subscription->topic_text);
    }
    size_t index = tims_field_index(model->fields, field);
    bool found = change->keys != NULL && tims_str_equal(change->keys[index], subscription->topic_text);
    for (const live__old *old = change->olds; old != NULL && !found; old = old->next)
        found = tims_str_equal(old->keys[index], subscription->topic_text);
    return found;
}

static void release_held(void *argument)
{
    live__held_free(argument);
}

/* The ids that the log names at the topic. */
static live__held *changed_ids(live__work *work, const live__subscription *subscription,
                               const live__batch *batch)
{
    live__held *changed = TIMS_NEW(work->rq->arena, live__held);
    tims_defer(work->rq, release_held, changed);
    for (size_t i = 0; batch != NULL && i < batch->count; i++)
        if (is_at_topic(subscription, &batch->changes[i]))
            (void)live__held_add(changed, batch->changes[i].id);
    return changed;
}

static void send_difference(live__work *work, live__subscription *subscription, const live__rows *rows,
                            const live__held *changed, size_t held)
{
    size_t sure = held > changed->count ? held - changed->count : 0;
    size_t unchanged = 0;
    for (size_t i = 0; i < rows->count; i++) {
        const void *row = live__rows_at(subscription, rows, i);
        bool known =
            !live__held_has(changed, live__row_id(subscription->live.query.model, row)) && unchanged++ < sure;
        if (!known)
            live__subscription_put(work, subscription, row, (tims_str){ NULL, 0 });
    }
}

static void send_departures(live__subscription *subscription, const live__batch *batch)
{
    for (size_t i = 0; batch != NULL && i < batch->count; i++) {
        const live__change *change = &batch->changes[i];
        bool was_there = change->olds != NULL && is_at_topic(subscription, change);
        if (was_there && !live__held_has(&subscription->held, change->id))
            live__op_del(subscription, change->id);
    }
}

/* Included rows: those of unchanged rows are with the client; those that changed themselves are sent. */
static void note_includes(live__work *work, live__subscription *subscription, const live__rows *rows,
                          const live__batch *batch)
{
    for (size_t i = 0; i < rows->count; i++)
        live__subscription_note(work, subscription, live__rows_at(subscription, rows, i));
    subscription->include_touches = NULL;
    for (uint32_t field = 0; field < subscription->live.include_count; field++)
        for (size_t i = 0; batch != NULL && i < batch->count; i++)
            if (batch->changes[i].model == subscription->live.includes[field]->to &&
                batch->changes[i].row != NULL &&
                live__held_has(&subscription->included[field], batch->changes[i].id))
                live__subscription_want(work, subscription, field, batch->changes[i].id);
}

static bool resume_rows(live__work *work, live__subscription *subscription, const live__batch *batch,
                        size_t held, const char **ret_reason)
{
    const live__held *changed = changed_ids(work, subscription, batch);
    if (held + changed->count > LIVE__ROWS_MAX || (subscription->requery && changed->count > 0)) {
        *ret_reason = "too_far";
        return false;
    }
    size_t window = held > subscription->window ? held : subscription->window;
    size_t limit = window + changed->count;
    live__rows rows = live__window_read(work, subscription, limit > LIVE__ROWS_MAX ? LIVE__ROWS_MAX : limit);
    subscription->window = window;
    subscription->position = work->snapshot;
    live__window_set(subscription, &rows);
    if (subscription->live.include_count == 0 || changed->count == 0)
        note_includes(work, subscription, &rows, batch);
    send_difference(work, subscription, &rows, changed, held);
    send_departures(subscription, batch);
    return true;
}

bool live__resume(live__work *work, live__subscription *subscription, tims_str from, int64_t held,
                  const char **ret_reason)
{
    tims_str epoch;
    int64_t position;
    live__work_snapshot(work);
    *ret_reason = "epoch";
    if (!live__position_parse(from, &epoch, &position) || !tims_str_equal(epoch, work->live->epoch) ||
        position > work->snapshot)
        return false;
    *ret_reason = "too_far";
    if (held > LIVE__ROWS_MAX || !log_reaches(work, position))
        return false;
    live__batch *batch = read_changes(work, subscription, position);
    if (batch != NULL && batch->flood)
        return false;
    *ret_reason = "access";
    if (batch != NULL && access_changed(subscription, batch))
        return false;
    return resume_rows(work, subscription, batch, held > 0 ? (size_t)held : subscription->window, ret_reason);
}
