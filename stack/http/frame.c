/* frame.c: one websocket message, encoded once for many sockets.
 *
 * The frame's header stands in front of the payload in one block, so that a socket writes one slice for it.
 * The count is atomic because a frame may go to sockets of all loops; the bytes never change. */
#include "http_internal.h"

#include <stdlib.h>
#include <string.h>

tims_frame *http__frame_make(tims_ws_opcode opcode, tims_str payload)
{
    uint8_t header[TIMS_WS_HEADER_MAX];
    size_t header_length = tims_ws_header(opcode, payload.length, NULL, false, header);
    TIMS_ASSERT(payload.length <= SIZE_MAX / 2);
    tims_frame *frame = malloc(sizeof(*frame) + header_length + payload.length);
    TIMS_ASSERT(frame != NULL);
    frame->magic = HTTP__FRAME_MAGIC;
    atomic_init(&frame->references, 1);
    frame->length = header_length + payload.length;
    memcpy(frame->bytes, header, header_length);
    if (payload.length > 0)
        memcpy(frame->bytes + header_length, payload.data, payload.length);
    return frame;
}

tims_frame *tims_frame_new(tims_str text)
{
    return http__frame_make(TIMS_WS_TEXT, text);
}

tims_frame *tims_frame_ref(tims_frame *frame)
{
    TIMS_CHECK_MAGIC(frame, HTTP__FRAME_MAGIC);
    atomic_fetch_add_explicit(&frame->references, 1, memory_order_relaxed);
    return frame;
}

void tims_frame_unref(tims_frame **frame)
{
    if (!*frame)
        return;
    TIMS_CHECK_MAGIC(*frame, HTTP__FRAME_MAGIC);
    if (atomic_fetch_sub_explicit(&(*frame)->references, 1, memory_order_acq_rel) == 1) {
        (*frame)->magic = 0;
        free(*frame);
    }
    *frame = NULL;
}

void http__frame_release(void *argument)
{
    tims_frame *frame = argument;
    tims_frame_unref(&frame);
}
