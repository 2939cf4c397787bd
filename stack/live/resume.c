/* resume.c: going on from a position, for a client that held the first `held` rows there.
 *
 * Nothing is remembered of clients that are away: the history says which rows changed since, the view what
 * the result is now. Rows that did not change are as the client has them, in the same order among themselves;
 * so of the unchanged rows in the window it holds the first `held`, less at most as many as have changed.
 * What may be missing at that edge is sent again: a put that was not needed does no harm, a hole would. What
 * the client holds beyond the limit afterwards it lets go of, as always. */
#include "live/live_internal.h"

enum { IDS_A_QUERY = 100 };

/* Calls for the changes after a position, newest first. False: stopped. */
static bool each_change(const live__history *history, int64_t from,
                        bool (*fn)(void *argument, const live__batch *batch, const live__change *change),
                        void *argument)
{
    for (size_t i = history->count; i > 0 && history->items[i - 1]->position > from; i--) {
        const live__batch *batch = history->items[i - 1];
        if (batch->flood && !fn(argument, batch, NULL))
            return false;
        for (size_t c = 0; c < batch->count; c++)
            if (!fn(argument, batch, &batch->changes[c]))
                return false;
    }
    return true;
}

typedef struct gathering {
    live__step *step;
    const live__subscriber *subscriber;
    live__view *view;
    live__held changed, departed;
    const char *reason;
    bool includes_changed;
    bool asks_staff;
} gathering;

static void release_gathering(void *argument)
{
    gathering *g = argument;
    live__held_free(&g->changed);
    live__held_free(&g->departed);
}

/* --- what the history says -------------------------------------------------------------------- */

static bool access_is_concerned(const live__dependency *dependencies, size_t count,
                                const live__change *change, tims_caller caller)
{
    for (size_t i = 0; i < count; i++)
        if (dependencies[i].model == change->model &&
            live__dependency_concerns(&dependencies[i], change, caller))
            return true;
    return false;
}

/* Whether the rule may say something else of the same row when its reader joins the staff, or leaves it. */
static bool asks_staff(const tims_rule *rule)
{
    if (rule == NULL)
        return false;
    if (rule->kind == TIMS_RULE_LIKE)
        return asks_staff(rule->model->read);
    for (size_t i = 0; rule->parts != NULL && rule->parts[i] != NULL; i++)
        if (asks_staff(rule->parts[i]))
            return true;
    return rule->kind == TIMS_RULE_STAFF;
}

static bool view_asks_staff(const live__view *view)
{
    const tims_live_query *query = &view->query;
    for (size_t i = 0; i < query->include_count; i++)
        if (asks_staff(query->includes[i]->to->read))
            return true;
    return asks_staff(query->query.model->read);
}

/* The log does not say whether it was the staff column: another one's change costs a document. */
static bool rank_is_concerned(const gathering *g, const live__change *change, tims_caller caller)
{
    return g->asks_staff && caller.signed_in && change->model == &tims_user_model &&
           tims_same_id(change->id, caller.user);
}

static void gather_include(gathering *g, const live__change *change)
{
    for (uint32_t i = 0; i < g->view->query.include_count; i++)
        if (g->view->query.includes[i]->to == change->model &&
            live__held_has(&g->view->included[i], change->id))
            live__view_want(g->step, g->view, i, change->id);
}

static void gather_row(gathering *g, const live__change *change)
{
    if (change->model != g->view->query.query.model)
        return;
    bool concerned = false;
    for (size_t i = 0; i < g->view->row_hook_count && !concerned; i++)
        concerned = live__topics_concerns(&g->view->row_hooks[i], change);
    if (!concerned)
        return;
    (void)live__held_add(&g->changed, change->id);
    if (change->olds != NULL)
        (void)live__held_add(&g->departed, change->id);
}

static bool gather(void *argument, const live__batch *batch, const live__change *change)
{
    gathering *g = argument;
    const live__subscriber *subscriber = g->subscriber;
    const live__view *view = g->view;
    if (change == NULL) {
        for (size_t i = 0; i < batch->model_count; i++)
            if (live__view_depends_on(view, batch->models[i]) ||
                live__subscriber_depends_on(subscriber, batch->models[i]) ||
                (g->asks_staff && batch->models[i] == &tims_user_model))
                g->reason = "too_far";
        return g->reason == NULL;
    }
    tims_caller caller = subscriber->client->caller;
    if (rank_is_concerned(g, change, caller) ||
        access_is_concerned(subscriber->dependencies, subscriber->gate_hook_count, change, caller) ||
        access_is_concerned(view->dependencies, view->dependency_count, change, caller)) {
        g->reason = "access";
        return false;
    }
    for (size_t i = 0; i < view->include_access_count; i++)
        if (view->include_access[i].dependency->model == change->model &&
            live__dependency_concerns(view->include_access[i].dependency, change, caller))
            g->includes_changed = true;
    gather_row(g, change);
    gather_include(g, change);
    return true;
}

/* --- what the client has to be told ------------------------------------------------------------ */

static void put_some(gathering *g, const tims_id *ids, size_t count, tims_buf *out, live__address to)
{
    void *rows;
    size_t row_count;
    if (count == 0)
        return;
    live__view_select(g->step, g->view, ids, count, &rows, &row_count);
    for (size_t i = 0; i < row_count; i++) {
        const void *row = (const char *)rows + i * g->view->query.query.model->size;
        live__op_put(out, to, &g->view->query.query, row, (tims_str){ NULL, 0 });
        live__view_want_all(g->step, g->view, row);
    }
}

static void write_difference(gathering *g, size_t held, tims_buf *out, live__address to)
{
    tims_id some[IDS_A_QUERY];
    size_t count = 0, unchanged = 0;
    size_t sure = held > g->changed.count ? held - g->changed.count : 0;
    const live__window *window = &g->view->window;
    for (size_t i = 0; i < live__window_shown(window); i++) {
        tims_id id = window->items[i].id;
        if (!live__held_has(&g->changed, id) && unchanged++ < sure)
            continue;
        some[count++] = id;
        if (count < IDS_A_QUERY)
            continue;
        put_some(g, some, count, out, to);
        count = 0;
    }
    put_some(g, some, count, out, to);
    for (size_t i = 0; i < g->departed.count; i++) {
        size_t index = live__window_find(window, g->departed.ids[i]);
        if (index == SIZE_MAX || index >= window->limit)
            live__op_del(out, to, g->departed.ids[i]);
    }
}

bool live__resume(live__step *step, live__subscriber *subscriber, int64_t from, size_t held, tims_buf *out,
                  const char **ret_reason)
{
    live__view *view = subscriber->view;
    *ret_reason = "too_far";
    if (!live__history_reach(step, from))
        return false;
    gathering *g = TIMS_NEW(step->rq->arena, gathering);
    *g = (gathering){
        .step = step, .subscriber = subscriber, .view = view, .asks_staff = view_asks_staff(view)
    };
    tims_defer(step->rq, release_gathering, g);
    bool all = each_change(&step->engine->history, from, gather, g);
    bool untellable =
        g->changed.count > 0 &&
        (view->is_requeried || (view->audience != NULL && tims_audience_is_wide(view->audience)));
    if (!all || untellable) {
        *ret_reason = g->reason != NULL ? g->reason : "too_far";
        view->include_touches = NULL;
        return false;
    }
    const live__address to = { .sub = subscriber->id };
    if (view->query.is_detail)
        held = 1;
    write_difference(g, held, out, to);
    if (g->includes_changed)
        live__view_want_shown(step, view);
    live__view_write_includes(step, view, out, to);
    if (view->query.with_total && g->changed.count > 0)
        live__op_total(out, to, view->total);
    return true;
}
