/* view_apply.c: what a step means to a view: which rows entered, changed or left, written as operations.
 *
 *                     visible now                          not visible
 *     held            put, at its place in the order       del
 *     not held        put, if it stands within the window  nothing
 *
 * "Visible" is: it matches the conditions, and the audience may read it (past a gate everything may be read).
 * Whatever moves into the window because others left is read and put; when the window runs dry it is read
 * again. All of it happens in the step's snapshot, so what comes out is the difference between two exact
 * results. Clients let go of rows behind the limit by themselves. */
#include "live/live_internal.h"

enum { IDS_A_QUERY = 100 };

/* --- marking ---------------------------------------------------------------------------------- */

void live__view_mark(live__step *step, live__view *view)
{
    if (view->is_dirty)
        return;
    view->is_dirty = true;
    view->next_dirty = step->dirty;
    step->dirty = view;
}

void live__view_touch(live__step *step, live__hook *hook, const live__change *change)
{
    live__view *view = hook->owner;
    TIMS_CHECK_MAGIC(view, LIVE__VIEW_MAGIC);
    if (hook->kind == LIVE__HOOK_INCLUDE) {
        if (!live__held_has(&view->included[hook->index], change->id))
            return;
        live__view_want(step, view, hook->index, change->id);
    } else if (hook->kind == LIVE__HOOK_INCLUDE_ACCESS) {
        if (!live__dependency_concerns(view->include_access[hook->index].dependency, change, view->reader))
            return;
        view->includes_changed = true;
    } else if (hook->kind == LIVE__HOOK_COMPUTED) {
        ; /* any change there may be one of the answer */
    } else if (hook->kind == LIVE__HOOK_ACCESS) {
        if (!live__dependency_concerns(&view->dependencies[hook->index], change, view->reader))
            return;
        view->audience_changed = true;
    } else {
        if (view->touches != NULL && view->touches->change == change)
            return;
        live__touch *touch = TIMS_NEW(step->rq->arena, live__touch);
        touch->change = change;
        touch->next = view->touches;
        view->touches = touch;
    }
    live__view_mark(step, view);
}

/* --- one row ---------------------------------------------------------------------------------- */

static bool may_read(live__step *step, const live__view *view, const void *row)
{
    const tims_query *query = &view->query.query;
    tims_error err = { 0 };
    if (query->caller.trusted)
        return true;
    if (!tims_audience_is_wide(view->audience))
        return tims_audience_allows(view->audience, row);
    tims_status status = tims_rule_allows(step->db, step->rq->arena, query->model->read, query->model, row,
                                          query->caller, &err);
    if (status != TIMS_OK && status != TIMS_FORBIDDEN)
        tims_raise_error(step->rq, &err);
    return status == TIMS_OK;
}

static bool is_visible(live__step *step, const live__view *view, const live__change *change)
{
    return change->row != NULL && tims_query_matches(&view->query.query, change->row) &&
           may_read(step, view, change->row);
}

/* Whether the row was in the result before the step, where its old key columns tell it. */
static bool was_visible(const live__view *view, const live__change *change, bool *ret_was)
{
    const tims_query *query = &view->query.query;
    if (change->inserted) {
        *ret_was = false;
        return true;
    }
    if (!view->is_shared || query->search.length > 0 || change->olds == NULL)
        return false;
    const live__old *first = change->olds;
    while (first->next != NULL)
        first = first->next;
    *ret_was = true;
    for (size_t i = 0; i < query->condition_count; i++) {
        const tims_condition *condition = &query->conditions[i];
        char id[TIMS_ID_TEXT_LENGTH];
        tims_id_format(change->id, id);
        if (condition->operator!= TIMS_EQUAL || !condition->value.is_id)
            return false;
        tims_str is = condition->field->primary
                          ? (tims_str){ id, sizeof id }
                          : first->keys[tims_field_index(query->model->fields, condition->field)];
        if (is.data == NULL && !tims_change_is_key(query->model, condition->field))
            return false;
        *ret_was = *ret_was && tims_str_equal_ignoring_case(
                                   is, (tims_str){ condition->value.id_text, TIMS_ID_TEXT_LENGTH });
    }
    return true;
}

static void shift_total(live__view *view, const live__change *change, bool held, bool visible)
{
    bool was = held;
    if (!held && !was_visible(view, change, &was))
        view->must_count = true;
    else
        view->total += (visible ? 1 : 0) - (was ? 1 : 0);
}

static void place(live__step *step, live__view *view, const live__change *change)
{
    const tims_query *query = &view->query.query;
    size_t index = live__window_find(&view->window, change->id);
    bool visible = is_visible(step, view, change);
    bool was_complete = view->window.complete;
    if (visible)
        (void)live__window_put(&view->window, query, change->row);
    else if (index != SIZE_MAX)
        live__window_remove(&view->window, index);
    if (view->query.with_total && !was_complete)
        shift_total(view, change, index != SIZE_MAX, visible);
    if (view->query.with_total && was_complete && !view->window.complete)
        view->must_count = true;
}

/* --- operations ------------------------------------------------------------------------------- */

static live__address address_of(const live__view *view)
{
    return (live__address){ .view = view->id };
}

static void put(live__step *step, live__view *view, const void *row, tims_str json)
{
    live__op_put(&view->ops, address_of(view), &view->query.query, row, json);
    live__view_note(step, view, row);
}

static void put_read_rows(live__step *step, live__view *view, const tims_id *ids, size_t count)
{
    void *rows;
    size_t row_count;
    if (count == 0)
        return;
    live__view_select(step, view, ids, count, &rows, &row_count);
    for (size_t i = 0; i < row_count; i++)
        put(step, view, (const char *)rows + i * view->query.query.model->size, (tims_str){ NULL, 0 });
}

static const live__change *touch_of(const live__view *view, tims_id id)
{
    for (const live__touch *touch = view->touches; touch != NULL; touch = touch->next)
        if (tims_same_id(touch->change->id, id))
            return touch->change;
    return NULL;
}

/* Rows that are shown now: the changed ones and the new ones. `all`: every one. */
static void write_puts(live__step *step, live__view *view, const live__ids *before, bool all)
{
    tims_id some[IDS_A_QUERY];
    size_t count = 0;
    for (size_t i = 0; i < live__window_shown(&view->window); i++) {
        tims_id id = view->window.items[i].id;
        const live__change *change = touch_of(view, id);
        if (change != NULL && change->row != NULL) {
            put(step, view, change->row, change->json);
        } else if (all || !live__ids_have(before, id)) {
            some[count++] = id;
            if (count < IDS_A_QUERY)
                continue;
            put_read_rows(step, view, some, count);
            count = 0;
        }
    }
    put_read_rows(step, view, some, count);
}

/* Rows that were shown and are not: those that left the result or moved out of the window. Who was only
 * pushed behind the limit by others is let go of by the clients themselves. */
static void write_dels(live__view *view, const live__ids *before, bool all)
{
    for (size_t i = 0; i < before->count; i++) {
        size_t index = live__window_find(&view->window, before->items[i]);
        bool shown = index != SIZE_MAX && index < view->window.limit;
        if (!shown && (all || touch_of(view, before->items[i]) != NULL))
            live__op_del(&view->ops, address_of(view), before->items[i]);
    }
}

/* --- a step ----------------------------------------------------------------------------------- */

/* Without a row to spare it cannot be told whether there is more. */
static bool has_run_dry(const live__view *view)
{
    return view->window.count <= view->window.limit && !view->window.complete;
}

static bool place_all(live__step *step, live__view *view)
{
    for (const live__touch *touch = view->touches; touch != NULL; touch = touch->next)
        place(step, view, touch->change);
    return has_run_dry(view);
}

static void settle(live__view *view, int64_t total_before, bool end_before)
{
    if (view->query.with_total && view->total != total_before)
        live__op_total(&view->ops, address_of(view), view->total);
    if (!view->query.is_detail && live__view_is_end(view) != end_before)
        live__op_end(&view->ops, address_of(view), !end_before);
}

static void clear_marks(live__view *view)
{
    view->touches = view->include_touches = NULL;
    view->is_rewritten = false;
    view->must_reread = view->must_count = view->must_load = view->audience_changed = view->includes_changed =
        false;
}

static void forget_document(live__view *view)
{
    free(view->document);
    view->document = NULL;
}

/* Whether the flood has passed it by: rows have only come, and none of them to here. */
static bool is_untouched(const live__view *view, const live__ids *before, int64_t total, bool end)
{
    live__ids now = { .count = live__window_shown(&view->window) };
    if (view->is_rewritten || now.count != before->count || view->total != total ||
        live__view_is_end(view) != end)
        return false;
    for (size_t i = 0; i < now.count; i++)
        if (!live__ids_have(before, view->window.items[i].id))
            return false;
    return true;
}

/* Too much has happened to say what: its readers start again. */
static void load_again(live__step *step, live__view *view)
{
    int64_t total = view->total;
    bool end = live__view_is_end(view);
    live__ids before = live__window_ids(step->rq->arena, &view->window);
    live__view_read_window(step, view);
    live__view_count(step, view);
    if (view->subscribers == NULL || is_untouched(view, &before, total, end))
        return;
    if (live__view_has_document(view)) {
        live__facts facts = live__facts_of(view);
        tims_caller caller = view->subscribers->client->caller; /* gates have closed by now */
        live__op_load(&view->ops, address_of(view), &facts, view->id, live__view_document(step, view, caller),
                      "lagging");
        live__view_reset_included(view);
        return;
    }
    write_dels(view, &before, true);
    write_puts(step, view, &before, true);
    live__view_want_shown(step, view);
    live__view_write_includes(step, view, &view->ops, address_of(view));
    if (view->query.with_total)
        live__op_total(&view->ops, address_of(view), view->total);
    live__op_end(&view->ops, address_of(view), live__view_is_end(view));
}

static void bring_on(live__step *step, live__view *view)
{
    int64_t total = view->total;
    bool end = live__view_is_end(view);
    live__ids before = live__window_ids(step->rq->arena, &view->window);
    bool again = view->must_reread || (view->is_requeried && view->touches != NULL);
    if (!again)
        again = place_all(step, view);
    if (again)
        live__view_read_window(step, view);
    write_dels(view, &before, again);
    write_puts(step, view, &before, false);
    if (view->query.with_total && (again || view->must_count || view->window.complete))
        live__view_count(step, view);
    if (view->includes_changed)
        live__view_want_shown(step, view);
    live__view_write_includes(step, view, &view->ops, address_of(view));
    settle(view, total, end);
}

void live__view_apply(live__step *step, live__view *view)
{
    TIMS_CHECK_MAGIC(view, LIVE__VIEW_MAGIC);
    view->is_dirty = false;
    if (view->is_computed) {
        live__computed_apply(step, view);
        clear_marks(view);
        return;
    }
    forget_document(view);
    if (view->audience_changed) {
        live__view_read_audience(step, view);
        view->must_reread = true;
    }
    if (view->must_load)
        load_again(step, view);
    else
        bring_on(step, view);
    live__view_reset_included(view); /* what no row names any more, clients have let go of */
    clear_marks(view);
}
