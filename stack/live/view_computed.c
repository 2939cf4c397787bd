/* view_computed.c: the answer of a computed endpoint as a view.
 *
 * A handler's reads are noted as topics while it runs; the view hangs on them, and when a row at one of them
 * changes the handler runs again, in the step's snapshot, and the difference is sent. A handler that never
 * asked who is calling has one view for everybody of a class; when it asks after all, its readers part, each
 * to a view of their own. A handler that fails ends the subscriptions to it. */
#include "live/live_internal.h"

enum { ANSWER_BYTES_MAX = 8 * 1024 * 1024, PATCH_ARENA_BYTES = 64 * 1024 * 1024 };

/* --- running ---------------------------------------------------------------------------------- */

static void free_buf(void *argument)
{
    tims_buf_free(argument);
}

/* `ret_out` lives until the step's end. */
static tims_status run(live__step *step, live__view *view, tims_buf **ret_out, tims_error *err)
{
    const tims_live_resolver *resolver = &step->live->options.resolver;
    tims_buf *out = TIMS_NEW(step->rq->arena, tims_buf);
    tims_buf_init(out, NULL, ANSWER_BYTES_MAX);
    tims_defer(step->rq, free_buf, out);
    tims_reads_free(&view->reads);
    view->reads = tims_reads_new();
    tims_status status =
        resolver->compute(resolver->data, step->rq, view->url, view->reader, view->reads, out, err);
    live__view_hang_on(view, view->reads);
    *ret_out = out;
    return status;
}

static void keep_answer(live__view *view, const tims_buf *out)
{
    free(view->document);
    view->document = malloc(out->length + 1);
    TIMS_ASSERT(view->document != NULL);
    memcpy(view->document, out->data, out->length);
    view->document_length = out->length;
}

tims_status live__computed_load(live__step *step, live__view *view, tims_error *err)
{
    tims_buf *out;
    tims_status status = run(step, view, &out, err);
    if (status == TIMS_OK)
        keep_answer(view, out);
    return status;
}

/* --- again ------------------------------------------------------------------------------------ */

static void free_arena(void *argument)
{
    tims_arena *arena = argument;
    tims_arena_free(&arena);
}

static bool write_patch(live__step *step, const live__view *view, const tims_buf *out, tims_buf *patch)
{
    const tims_json *before, *now;
    tims_arena *arena = tims_arena_new(PATCH_ARENA_BYTES, NULL, NULL);
    tims_defer(step->rq, free_arena, arena);
    tims_json_writer writer = tims_json_to(patch);
    return tims_json_parse(arena, (tims_str){ view->document, view->document_length }, &before, NULL) ==
               TIMS_OK &&
           tims_json_parse(arena, tims_buf_str(out), &now, NULL) == TIMS_OK &&
           tims_json_merge_patch(arena, before, now, &writer) && patch->length < out->length;
}

static void write_difference(live__step *step, live__view *view, const tims_buf *out)
{
    const live__address to = { .view = view->id };
    tims_buf patch;
    if (out->length == view->document_length && memcmp(out->data, view->document, out->length) == 0)
        return;
    tims_buf_init(&patch, step->rq->arena, ANSWER_BYTES_MAX);
    if (write_patch(step, view, out, &patch)) {
        live__op_patch(&view->ops, to, tims_buf_str(&patch));
    } else {
        live__facts facts = live__facts_of(view);
        live__op_load(&view->ops, to, &facts, view->id, tims_buf_str(out), "changed");
    }
    keep_answer(view, out);
}

/* It asks who is calling now: its readers part. */
static void part(live__step *step, live__view *view)
{
    live__view_unlist(view);
    while (view->subscribers != NULL) {
        live__subscriber *subscriber = view->subscribers;
        live__subscriber_detach(step->engine, subscriber);
        live__subscriber_load(step, subscriber, "access");
    }
}

void live__computed_apply(live__step *step, live__view *view)
{
    tims_buf *out;
    tims_error err = { 0 };
    if (view->subscribers == NULL) { /* it runs again when somebody comes */
        live__view_unlist(view);
        return;
    }
    if (run(step, view, &out, &err) != TIMS_OK) {
        live__view_unlist(view);
        for (live__subscriber *one = view->subscribers; one != NULL; one = one->next_of_view)
            live__subscriber_fail(step, one, &err);
    } else if (view->is_shared && tims_reads_asked_caller(view->reads)) {
        part(step, view);
    } else {
        write_difference(step, view, out);
    }
}
