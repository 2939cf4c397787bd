/* gate.c: who passes, when what a gate depends on has changed.
 *
 * A gate that closes takes effect before any operation of the step is handed out, so that nobody is told a
 * row in the very step that took it away. One that opens takes effect after all views have reached the step,
 * so that its reader gets the view as it is now. Both are a `load` inside the step's tx. */
#include "live/live_internal.h"

enum { OPS_BYTES_MAX = 256 * 1024 * 1024 };

bool live__subscriber_depends_on(const live__subscriber *subscriber, const tims_model *model)
{
    for (size_t i = 0; i < subscriber->gate_hook_count; i++)
        if (subscriber->dependencies[i].model == model)
            return true;
    return false;
}

void live__gate_mark(live__step *step, live__subscriber *subscriber)
{
    if (subscriber->gate_dirty)
        return;
    subscriber->gate_dirty = true;
    subscriber->next_gate = step->gates;
    step->gates = subscriber;
}

void live__gate_touch(live__step *step, const live__hook *hook, const live__change *change)
{
    live__subscriber *subscriber = hook->owner;
    TIMS_CHECK_MAGIC(subscriber, LIVE__SUBSCRIBER_MAGIC);
    if (live__dependency_concerns(&subscriber->dependencies[hook->index], change, subscriber->client->caller))
        live__gate_mark(step, subscriber);
}

void live__gate_unhook(live__engine *engine, live__subscriber *subscriber)
{
    for (size_t i = 0; i < subscriber->gate_hook_count; i++)
        live__topics_remove(engine->topics, &subscriber->gate_hooks[i]);
    free(subscriber->gate_hooks);
    subscriber->gate_hooks = NULL;
    subscriber->gate_hook_count = 0;
}

void live__gate_hook(live__engine *engine, live__subscriber *subscriber, const tims_query *query)
{
    size_t count;
    live__gate_unhook(engine, subscriber);
    subscriber->dependencies = live__dependencies_of(engine->live, query->model, &count);
    if (count == 0)
        return;
    subscriber->gate_hooks = calloc(count, sizeof *subscriber->gate_hooks);
    TIMS_ASSERT(subscriber->gate_hooks != NULL);
    subscriber->gate_hook_count = count;
    for (uint32_t i = 0; i < count; i++) {
        subscriber->gate_hooks[i] = (live__hook){ .owner = subscriber, .kind = LIVE__HOOK_GATE, .index = i };
        live__dependency_hook(engine->topics, &subscriber->gate_hooks[i], &subscriber->dependencies[i],
                              subscriber->client->caller);
    }
}

/* --- asking ----------------------------------------------------------------------------------- */

static tims_str url_of(const live__subscriber *subscriber)
{
    return (tims_str){ subscriber->url, subscriber->url_length };
}

static bool passes(live__step *step, const live__subscriber *subscriber, tims_live_query *ret_query)
{
    const tims_live_resolver *resolver = &step->live->options.resolver;
    tims_error err = { 0 };
    bool is_open = false;
    tims_status status = resolver->resolve(resolver->data, step->rq->arena, url_of(subscriber),
                                           subscriber->client->caller, ret_query, &err);
    if (status == TIMS_OK)
        tims_check(step->rq, tims_query_gate(step->db, step->rq->arena, &ret_query->query, &is_open, &err),
                   &err);
    return is_open;
}

static void deliver_load(live__step *step, const live__subscriber *subscriber, tims_buf *out)
{
    live__item item = { .kind = LIVE__ITEM_SUB_OPS,
                        .session = subscriber->client->session,
                        .sub = subscriber->id,
                        .view = subscriber->view != NULL ? subscriber->view->id : 0,
                        .ops = live__ops_new(tims_buf_str(out), step->position, false) };
    (void)live__deliver(step->engine, subscriber->client->hub, item);
    atomic_fetch_add(&step->live->metrics.loads, 1);
}

static void close_gate(live__step *step, live__subscriber *subscriber, const tims_live_query *query)
{
    const tims_error gone = { .status = TIMS_NOT_FOUND };
    if (subscriber->is_join) {
        live__subscriber_fail(step, subscriber, &gone);
        return;
    }
    tims_buf out;
    tims_buf_init(&out, step->rq->arena, OPS_BYTES_MAX);
    live__subscriber_detach(step->engine, subscriber);
    tims_str document =
        live__closed_document(step, url_of(subscriber), subscriber->client->caller, query->is_detail);
    const live__facts facts = { .query = query, .limit = (size_t)query->query.limit, .end = true };
    live__op_load(&out, (live__address){ .sub = subscriber->id }, &facts, 0, document, "access");
    deliver_load(step, subscriber, &out);
}

void live__subscriber_load(live__step *step, live__subscriber *subscriber, const char *reason)
{
    live__view *view = NULL;
    tims_error err = { 0 };
    if (live__view_get(step, url_of(subscriber), subscriber->client->caller, 0, &view, &err) != TIMS_OK) {
        live__subscriber_fail(step, subscriber, &err);
        return;
    }
    if (view == NULL)
        return;
    tims_buf out;
    tims_buf_init(&out, step->rq->arena, OPS_BYTES_MAX);
    live__subscriber_attach(step->engine, subscriber, view);
    live__facts facts = live__facts_of(view);
    live__op_load(&out, (live__address){ .sub = subscriber->id }, &facts, view->id,
                  live__view_document(step, view, subscriber->client->caller), reason);
    live__view_reset_included(view);
    deliver_load(step, subscriber, &out);
}

void live__gates_close(live__step *step)
{
    live__subscriber **next = &step->gates;
    while (*next != NULL) {
        live__subscriber *subscriber = *next;
        tims_live_query query = { 0 };
        bool is_open = passes(step, subscriber, &query);
        if (is_open && subscriber->view == NULL) {
            next = &subscriber->next_gate; /* for live__gates_open */
            continue;
        }
        *next = subscriber->next_gate;
        subscriber->gate_dirty = false;
        if (!is_open && subscriber->view != NULL)
            close_gate(step, subscriber, &query);
    }
}

void live__gates_open(live__step *step)
{
    while (step->gates != NULL) {
        live__subscriber *subscriber = step->gates;
        step->gates = subscriber->next_gate;
        subscriber->gate_dirty = false;
        live__subscriber_load(step, subscriber, "access");
    }
}
