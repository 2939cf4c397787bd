/* wire.c: frames out, other than tx, as docs/reference/live-protocol.md says them. */
#include <inttypes.h>

#include "live/live_internal.h"

enum { FRAME_BYTES_MAX = 512 * 1024 * 1024 };

void live__frame_begin(live__frame *frame, const char *kind)
{
    tims_buf_init(&frame->text, NULL, FRAME_BYTES_MAX);
    frame->writer = tims_json_to(&frame->text);
    tims_json_begin_object(&frame->writer);
    tims_json_key(&frame->writer, TIMS_STR("t"));
    tims_json_str(&frame->writer, tims_str_from(kind));
}

void live__frame_int(live__frame *frame, const char *name, int64_t value)
{
    tims_json_key(&frame->writer, tims_str_from(name));
    tims_json_int(&frame->writer, value);
}

void live__frame_str(live__frame *frame, const char *name, tims_str value)
{
    tims_json_key(&frame->writer, tims_str_from(name));
    tims_json_str(&frame->writer, value);
}

void live__frame_bool(live__frame *frame, const char *name, bool value)
{
    tims_json_key(&frame->writer, tims_str_from(name));
    tims_json_bool(&frame->writer, value);
}

bool live__frame_end(live__frame *frame, char **ret_text, size_t *ret_length)
{
    tims_json_end_object(&frame->writer);
    if (frame->text.overflow) {
        tims_buf_free(&frame->text);
        return false;
    }
    *ret_text = frame->text.data;
    *ret_length = frame->text.length;
    return true;
}

static void send_frame(live__frame *frame, live__session *session, const char *event)
{
    char *text;
    size_t length;
    if (!live__frame_end(frame, &text, &length))
        return;
    live__session_send(session, event, live__session_position(session), (tims_str){ text, length }, NULL);
    free(text);
}

tims_str live__position_text(tims_arena *arena, const tims_live *live, int64_t position)
{
    return tims_print(arena, "%S-%" PRId64, tims_live_epoch(live), position);
}

void live__send_welcome(live__session *session)
{
    live__frame frame;
    live__frame_begin(&frame, "welcome");
    live__frame_int(&frame, "protocol", LIVE__PROTOCOL);
    live__frame_str(&frame, "epoch", tims_live_epoch(session->hub->live));
    live__frame_int(&frame, "position", live__session_position(session));
    tims_json_key(&frame.writer, TIMS_STR("user"));
    if (session->caller.signed_in)
        tims_json_id(&frame.writer, session->caller.user);
    else
        tims_json_null(&frame.writer);
    live__frame_int(&frame, "heartbeat_ms", session->hub->live->limits.heartbeat_ms);
    send_frame(&frame, session, "welcome");
}

void live__send_pong(live__session *session)
{
    live__frame frame;
    live__frame_begin(&frame, "pong");
    live__frame_int(&frame, "position", live__session_position(session));
    send_frame(&frame, session, "pong");
}

void live__send_bye(live__session *session, const char *reason, int64_t retry_ms)
{
    live__frame frame;
    live__frame_begin(&frame, "bye");
    live__frame_str(&frame, "reason", tims_str_from(reason));
    if (retry_ms >= 0)
        live__frame_int(&frame, "retry_ms", retry_ms);
    send_frame(&frame, session, "bye");
}

void live__send_refusal(live__session *session, const live__refusal *refusal)
{
    live__frame frame;
    live__frame_begin(&frame, "error");
    if (refusal->member != NULL)
        live__frame_int(&frame, refusal->member, refusal->id);
    live__frame_int(&frame, "status", refusal->status);
    live__frame_str(&frame, "code", tims_str_from(refusal->code));
    live__frame_str(&frame, "message", tims_str_from(refusal->message));
    send_frame(&frame, session, "error");
}
