/* wire.c: frames out, as docs/reference/live-protocol.md says them. */
#include <inttypes.h>

#include "live/live_internal.h"

enum { FRAME_BYTES_MAX = 512 * 1024 * 1024 };

/* One frame under construction; malloc'd, because documents may be large and short-lived. */
typedef struct frame {
    tims_buf text;
    tims_json_writer writer;
} frame;

static void begin_frame(frame *f, const char *kind)
{
    tims_buf_init(&f->text, NULL, FRAME_BYTES_MAX);
    f->writer = tims_json_to(&f->text);
    tims_json_begin_object(&f->writer);
    tims_json_key(&f->writer, TIMS_STR("t"));
    tims_json_str(&f->writer, tims_str_from(kind));
}

static void add_int(frame *f, const char *name, int64_t value)
{
    tims_json_key(&f->writer, tims_str_from(name));
    tims_json_int(&f->writer, value);
}

static void add_str(frame *f, const char *name, tims_str value)
{
    tims_json_key(&f->writer, tims_str_from(name));
    tims_json_str(&f->writer, value);
}

static void add_bool(frame *f, const char *name, bool value)
{
    tims_json_key(&f->writer, tims_str_from(name));
    tims_json_bool(&f->writer, value);
}

static void send_frame(frame *f, live__session *session, const char *event, int64_t position)
{
    tims_json_end_object(&f->writer);
    if (f->text.overflow)
        live__session_close(session, LIVE__CLOSE_SLOW, "slow");
    else
        live__session_send(session, event, position, tims_buf_str(&f->text));
    tims_buf_free(&f->text);
}

tims_str live__position_text(tims_arena *arena, const tims_live *live, int64_t position)
{
    return tims_print(arena, "%S-%" PRId64, live->epoch, position);
}

/* --- about the session ------------------------------------------------------------------------ */

void live__send_welcome(live__session *session)
{
    frame f;
    begin_frame(&f, "welcome");
    add_int(&f, "protocol", 1);
    add_str(&f, "epoch", session->hub->live->epoch);
    add_int(&f, "position", session->hub->position);
    tims_json_key(&f.writer, TIMS_STR("user"));
    if (session->caller.signed_in)
        tims_json_id(&f.writer, session->caller.user);
    else
        tims_json_null(&f.writer);
    add_int(&f, "heartbeat_ms", LIVE__HEARTBEAT_MS);
    send_frame(&f, session, "welcome", session->hub->position);
}

void live__send_pong(live__session *session)
{
    frame f;
    begin_frame(&f, "pong");
    add_int(&f, "position", session->hub->position);
    send_frame(&f, session, "pong", session->hub->position);
}

void live__send_bye(live__session *session, const char *reason, int64_t retry_ms)
{
    frame f;
    begin_frame(&f, "bye");
    add_str(&f, "reason", tims_str_from(reason));
    if (retry_ms >= 0)
        add_int(&f, "retry_ms", retry_ms);
    send_frame(&f, session, "bye", session->hub->position);
}

static void send_error(live__session *session, uint32_t sub, int status, const char *code,
                       const char *message)
{
    frame f;
    begin_frame(&f, "error");
    if (sub != 0)
        add_int(&f, "sub", sub);
    add_int(&f, "status", status);
    add_str(&f, "code", tims_str_from(code));
    add_str(&f, "message", tims_str_from(message));
    send_frame(&f, session, "error", session->hub->position);
}

void live__send_error(live__session *session, uint32_t sub, const tims_error *err)
{
    const char *code = err->code != NULL ? err->code : tims_status_name(err->status);
    const char *message = err->message[0] != '\0' ? err->message : tims_status_text(err->status);
    send_error(session, sub, tims_status_http(err->status), code, message);
}

void live__send_refusal(live__session *session, int status, const char *code, const char *message)
{
    send_error(session, 0, status, code, message);
}

/* --- about a subscription --------------------------------------------------------------------- */

tims_str live__order_text(tims_arena *arena, const tims_query *query)
{
    tims_buf out;
    tims_buf_init(&out, arena, 1024);
    for (size_t i = 0; i < query->order_count; i++)
        tims_buf_print(&out, "%s%s%s", i > 0 ? "," : "", query->orders[i].descending ? "-" : "",
                       query->orders[i].field->name);
    return tims_buf_str(&out);
}

static void add_window(frame *f, const live__subscription *subscription)
{
    add_int(f, "limit", (int64_t)subscription->window);
    add_bool(f, "end", subscription->end);
}

static void add_facts(frame *f, const live__subscription *subscription)
{
    add_int(f, "sub", subscription->id);
    add_int(f, "position", subscription->position);
    add_str(f, "order", live__order_text(subscription->arena, &subscription->live.query));
    add_window(f, subscription);
    add_bool(f, "detail", subscription->live.is_detail);
}

void live__send_reset(live__subscription *subscription, const char *reason)
{
    frame f;
    begin_frame(&f, "reset");
    add_int(&f, "sub", subscription->id);
    add_str(&f, "reason", tims_str_from(reason));
    send_frame(&f, subscription->session, "reset", subscription->session->hub->position);
}

void live__send_snap(live__subscription *subscription, tims_str document)
{
    frame f;
    begin_frame(&f, "snap");
    add_facts(&f, subscription);
    tims_json_key(&f.writer, TIMS_STR("document"));
    tims_json_raw(&f.writer, document);
    send_frame(&f, subscription->session, "snap", subscription->position);
}

void live__send_resumed(live__subscription *subscription)
{
    frame f;
    begin_frame(&f, "resumed");
    add_facts(&f, subscription);
    send_frame(&f, subscription->session, "resumed", subscription->session->hub->position);
}

void live__send_window(live__subscription *subscription)
{
    frame f;
    begin_frame(&f, "window");
    add_int(&f, "sub", subscription->id);
    add_window(&f, subscription);
    send_frame(&f, subscription->session, "window", subscription->session->hub->position);
}

/* --- operations ------------------------------------------------------------------------------- */

static tims_buf *begin_operation(live__subscription *subscription, const char *op)
{
    live__session *session = subscription->session;
    tims_buf *out = &session->operations;
    live__hub_mark_dirty(session->hub, session);
    tims_buf_print(out, "%s{\"sub\":%u,\"op\":\"%s\"", out->length > 0 ? "," : "", subscription->id, op);
    return out;
}

static void add_id(tims_buf *out, tims_id id)
{
    char text[TIMS_ID_TEXT_LENGTH];
    tims_id_format(id, text);
    tims_buf_print(out, ",\"id\":\"%S\"", (tims_str){ text, sizeof text });
}

static void add_row(tims_buf *out, const tims_model *model, const void *row, tims_field_set fields)
{
    tims_buf_append_str(out, TIMS_STR(",\"row\":"));
    tims_json_writer writer = tims_json_to(out);
    tims_json_object(&writer, model->fields, row, fields);
}

/* `json` is the whole row, encoded once for everybody; who asked for some fields only gets those. */
void live__op_put(live__subscription *subscription, const void *row, tims_str json)
{
    const tims_query *query = &subscription->live.query;
    tims_buf *out = begin_operation(subscription, "put");
    add_id(out, live__row_id(query->model, row));
    if (query->fields == 0 && json.length > 0)
        tims_buf_print(out, ",\"row\":%S", json);
    else
        add_row(out, query->model, row, query->fields);
    tims_buf_append_char(out, '}');
}

void live__op_del(live__subscription *subscription, tims_id id)
{
    tims_buf *out = begin_operation(subscription, "del");
    add_id(out, id);
    tims_buf_append_char(out, '}');
}

void live__op_total(live__subscription *subscription)
{
    tims_buf *out = begin_operation(subscription, "total");
    tims_buf_print(out, ",\"total\":%lld}", (long long)subscription->total);
}

void live__op_include(live__subscription *subscription, const tims_field *field, const void *row)
{
    tims_buf *out = begin_operation(subscription, "include");
    tims_buf_print(out, ",\"field\":\"%s\"", field->name);
    add_id(out, live__row_id(field->to, row));
    add_row(out, field->to, row, 0);
    tims_buf_append_char(out, '}');
}

void live__send_operations(live__session *session, int64_t position)
{
    tims_buf *operations = &session->operations;
    if (operations->overflow)
        live__session_close(session, LIVE__CLOSE_SLOW, "slow");
    else if (operations->length > 0 && session->state == LIVE__WELCOMED) {
        tims_buf text;
        tims_buf_init(&text, NULL, FRAME_BYTES_MAX);
        tims_buf_print(&text, "{\"t\":\"tx\",\"position\":%" PRId64 ",\"ops\":[", position);
        tims_buf_append_str(&text, tims_buf_str(operations));
        tims_buf_append_str(&text, TIMS_STR("]}"));
        live__session_send(session, "tx", position, tims_buf_str(&text));
        tims_buf_free(&text);
    }
    tims_buf_free(operations);
    tims_buf_init(operations, NULL, session->hub->live->options.queue_bytes_max);
}
