/* ops.c: the operations of a step, written once for all who get them.
 *
 * A view's operations name the view, not the subscription, so the same bytes serve every subscriber; whoever
 * gets no other operations in the step gets the ready tx frame too. */
#include <inttypes.h>
#include <stdio.h>

#include "live/live_internal.h"

live__ops *live__ops_new(tims_str list, int64_t position, bool shared)
{
    char head[64];
    int head_length =
        snprintf(head, sizeof head, "{\"t\":\"tx\",\"position\":%" PRId64 ",\"ops\":[", position);
    size_t length = (size_t)head_length + list.length + 2;
    live__ops *ops = malloc(sizeof *ops + length);
    TIMS_ASSERT(ops != NULL);
    ops->magic = LIVE__OPS_MAGIC;
    atomic_init(&ops->references, 1);
    memcpy(ops->bytes, head, (size_t)head_length);
    memcpy(ops->bytes + head_length, list.data, list.length);
    memcpy(ops->bytes + length - 2, "]}", 2);
    ops->list = (tims_str){ ops->bytes + head_length, list.length };
    ops->text = (tims_str){ ops->bytes, length };
    ops->frame = shared ? tims_frame_new(ops->text) : NULL;
    return ops;
}

live__ops *live__ops_of_text(tims_str text)
{
    live__ops *ops = malloc(sizeof *ops + text.length);
    TIMS_ASSERT(ops != NULL);
    *ops = (live__ops){ .magic = LIVE__OPS_MAGIC, .frame = tims_frame_new(text) };
    atomic_init(&ops->references, 1);
    memcpy(ops->bytes, text.data, text.length);
    ops->text = (tims_str){ ops->bytes, text.length };
    return ops;
}

live__ops *live__ops_ref(live__ops *ops)
{
    TIMS_CHECK_MAGIC(ops, LIVE__OPS_MAGIC);
    atomic_fetch_add_explicit(&ops->references, 1, memory_order_relaxed);
    return ops;
}

void live__ops_unref(live__ops **ops)
{
    live__ops *old = *ops;
    *ops = NULL;
    if (old == NULL)
        return;
    TIMS_CHECK_MAGIC(old, LIVE__OPS_MAGIC);
    if (atomic_fetch_sub_explicit(&old->references, 1, memory_order_acq_rel) != 1)
        return;
    tims_frame_unref(&old->frame);
    old->magic = 0;
    free(old);
}

/* --- one operation each ----------------------------------------------------------------------- */

static void begin(tims_buf *out, live__address to, const char *op)
{
    if (out->length > 0)
        tims_buf_append_char(out, ',');
    if (to.view != 0)
        tims_buf_print(out, "{\"view\":%llu,\"op\":\"%s\"", (unsigned long long)to.view, op);
    else
        tims_buf_print(out, "{\"sub\":%u,\"op\":\"%s\"", to.sub, op);
}

static void add_id(tims_buf *out, tims_id id)
{
    tims_buf_print(out, ",\"id\":\"%I\"", id);
}

static void add_row(tims_buf *out, const tims_model *model, const void *row, tims_field_set fields)
{
    tims_buf_append_str(out, TIMS_STR(",\"row\":"));
    tims_json_writer writer = tims_json_to(out);
    tims_json_object(&writer, model->fields, row, fields);
}

/* `json` is the whole row, encoded once for everybody; who asked for some fields only gets those. */
void live__op_put(tims_buf *out, live__address to, const tims_query *query, const void *row, tims_str json)
{
    begin(out, to, "put");
    add_id(out, live__row_id(query->model, row));
    if (query->fields == 0 && json.length > 0)
        tims_buf_print(out, ",\"row\":%S", json);
    else
        add_row(out, query->model, row, query->fields);
    tims_buf_append_char(out, '}');
}

void live__op_del(tims_buf *out, live__address to, tims_id id)
{
    begin(out, to, "del");
    add_id(out, id);
    tims_buf_append_char(out, '}');
}

void live__op_total(tims_buf *out, live__address to, int64_t total)
{
    begin(out, to, "total");
    tims_buf_print(out, ",\"total\":%lld}", (long long)total);
}

void live__op_end(tims_buf *out, live__address to, bool end)
{
    begin(out, to, "end");
    tims_buf_print(out, ",\"end\":%s}", end ? "true" : "false");
}

void live__op_include(tims_buf *out, live__address to, const tims_field *field, const void *row)
{
    begin(out, to, "include");
    tims_buf_print(out, ",\"field\":\"%s\"", field->name);
    add_id(out, live__row_id(field->to, row));
    add_row(out, field->to, row, 0);
    tims_buf_append_char(out, '}');
}

void live__op_exclude(tims_buf *out, live__address to, const tims_field *field, tims_id id)
{
    begin(out, to, "exclude");
    tims_buf_print(out, ",\"field\":\"%s\"", field->name);
    add_id(out, id);
    tims_buf_append_char(out, '}');
}

void live__op_patch(tims_buf *out, live__address to, tims_str patch)
{
    begin(out, to, "patch");
    tims_buf_print(out, ",\"patch\":%S}", patch);
}

void live__op_load(tims_buf *out, live__address to, const live__facts *facts, uint64_t view,
                   tims_str document, const char *reason)
{
    begin(out, to, "load");
    /* `view` may be in it twice: whom it is for, and where they are from here on. They are the same then. */
    if (to.view == 0)
        tims_buf_print(out, ",\"view\":%llu", (unsigned long long)view);
    tims_buf_append_str(out, TIMS_STR(",\"order\":\""));
    live__order_write(out, &facts->query->query);
    tims_buf_print(out, "\",\"limit\":%zu,\"end\":%s,\"detail\":%s,\"reason\":\"%s\"", facts->limit,
                   facts->end ? "true" : "false", facts->query->is_detail ? "true" : "false", reason);
    if (facts->query->is_computed)
        tims_buf_append_str(out, TIMS_STR(",\"computed\":true"));
    tims_buf_print(out, ",\"document\":%S}", document);
}
