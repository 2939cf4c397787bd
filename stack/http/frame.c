/* frame.c: one websocket message, encoded once for many sockets.
 *
 * The frame's header stands in front of the payload in one block, so that a socket writes one slice for it.
 * The count is atomic because a frame may go to sockets of all loops; the bytes never change.
 *
 * For sockets that take compressed messages there is a second frame behind the first, made when the first
 * such socket asks and shared by all others:
 *
 *   frame ──packed──► NULL: nobody asked yet │ itself: it would not get smaller │ the compressed frame
 *
 * Loops that ask at the same moment wait for the one that compresses, since each would take as long. */
#include "http_internal.h"

#include <stdlib.h>
#include <string.h>

/* The header and room for the payload, which the caller writes. */
static tims_frame *make(tims_ws_opcode opcode, size_t length, bool is_compressed, char **ret_payload)
{
    uint8_t header[TIMS_WS_HEADER_MAX];
    size_t header_length = tims_ws_header(opcode, length, NULL, is_compressed, header);
    TIMS_ASSERT(length <= SIZE_MAX / 2);
    tims_frame *frame = malloc(sizeof(*frame) + header_length + length);
    TIMS_ASSERT(frame != NULL);
    frame->magic = HTTP__FRAME_MAGIC;
    atomic_init(&frame->references, 1);
    frame->length = header_length + length;
    frame->header_length = (uint8_t)header_length;
    pthread_mutex_init(&frame->packing, NULL);
    atomic_init(&frame->packed, frame);
    memcpy(frame->bytes, header, header_length);
    *ret_payload = frame->bytes + header_length;
    return frame;
}

tims_frame *http__frame_make(tims_ws_opcode opcode, tims_str payload)
{
    char *room;
    tims_frame *frame = make(opcode, payload.length, false, &room);
    http__put(room, payload);
    return frame;
}

tims_frame *http__frame_make_packed(tims_str packed)
{
    char *room;
    tims_frame *frame = make(TIMS_WS_TEXT, packed.length, true, &room);
    http__put(room, packed);
    return frame;
}

tims_frame *tims_frame_new(tims_str text)
{
    return tims_frame_new_parts(&text, 1);
}

tims_frame *tims_frame_new_parts(const tims_str *parts, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        TIMS_ASSERT(parts[i].length <= SIZE_MAX / 2 - length);
        length += parts[i].length;
    }
    char *at;
    tims_frame *frame = make(TIMS_WS_TEXT, length, false, &at);
    for (size_t i = 0; i < count; i++)
        at = http__put(at, parts[i]);
    if (length >= HTTP__DEFLATE_BYTES_MIN)
        atomic_init(&frame->packed, NULL);
    return frame;
}

/* --- compressed ------------------------------------------------------------------------------- */

static tims_frame *pack(tims_frame *frame, http__deflater *deflater)
{
    tims_str packed, plain = { frame->bytes + frame->header_length, frame->length - frame->header_length };
    return http__deflate(deflater, plain, &packed) ? http__frame_make_packed(packed) : frame;
}

tims_frame *http__frame_packed(tims_frame *frame, http__deflater *deflater)
{
    TIMS_CHECK_MAGIC(frame, HTTP__FRAME_MAGIC);
    tims_frame *packed = atomic_load_explicit(&frame->packed, memory_order_acquire);
    if (TIMS_LIKELY(packed != NULL))
        return packed;
    pthread_mutex_lock(&frame->packing);
    packed = atomic_load_explicit(&frame->packed, memory_order_relaxed);
    if (packed == NULL) {
        packed = pack(frame, deflater);
        atomic_store_explicit(&frame->packed, packed, memory_order_release);
    }
    pthread_mutex_unlock(&frame->packing);
    return packed;
}

/* --- references ------------------------------------------------------------------------------- */

tims_frame *tims_frame_ref(tims_frame *frame)
{
    TIMS_CHECK_MAGIC(frame, HTTP__FRAME_MAGIC);
    atomic_fetch_add_explicit(&frame->references, 1, memory_order_relaxed);
    return frame;
}

static void free_frame(tims_frame *frame)
{
    tims_frame *packed = atomic_load_explicit(&frame->packed, memory_order_relaxed);
    if (packed != frame)
        tims_frame_unref(&packed);
    pthread_mutex_destroy(&frame->packing);
    frame->magic = 0;
    free(frame);
}

void tims_frame_unref(tims_frame **frame)
{
    if (!*frame)
        return;
    TIMS_CHECK_MAGIC(*frame, HTTP__FRAME_MAGIC);
    if (atomic_fetch_sub_explicit(&(*frame)->references, 1, memory_order_acq_rel) == 1)
        free_frame(*frame);
    *frame = NULL;
}

void http__frame_release(void *argument)
{
    tims_frame *frame = argument;
    tims_frame_unref(&frame);
}
