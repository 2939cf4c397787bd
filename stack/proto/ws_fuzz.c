/* ws_fuzz.c: any bytes in any pieces give the same messages and the same close code; text is UTF-8, sizes
 * hold.
 *
 * The first byte chooses the side, whether compression was negotiated, and the size of the pieces. What
 * really inflates is fuzzed where it is: http/deflate_fuzz.c. */
#include <stdlib.h>
#include <string.h>

#include "tims/proto.h"

enum { MESSAGE_MAX = 1000 };

static void note_message(void *ctx, tims_ws_opcode opcode, tims_str payload)
{
    TIMS_ASSERT(payload.length <= MESSAGE_MAX);
    TIMS_ASSERT(opcode == TIMS_WS_BINARY || tims_str_is_utf8(payload));
    tims_buf_print(ctx, "%d:%S|", (int)opcode, payload);
}

static void note_control(void *ctx, tims_str payload)
{
    TIMS_ASSERT(payload.length <= 125);
    tims_buf_print(ctx, "control:%S|", payload);
}

static void note_close(void *ctx, int code, tims_str reason)
{
    TIMS_ASSERT(code >= 1000 && code <= 4999 && tims_str_is_utf8(reason));
    tims_buf_print(ctx, "close %d:%S|", code, reason);
}

/* Each byte twice; what begins with 'x' cannot be inflated. */
static int note_packed(void *ctx, tims_str compressed, size_t bytes_max, tims_str *ret_plain)
{
    static char plain[2 * MESSAGE_MAX];
    TIMS_ASSERT(compressed.length <= MESSAGE_MAX && bytes_max == MESSAGE_MAX);
    tims_buf_print(ctx, "packed:%S|", compressed);
    if (compressed.length > 0 && compressed.data[0] == 'x')
        return 1007;
    if (compressed.length * 2 > bytes_max)
        return 1009;
    for (size_t i = 0; i < compressed.length * 2; i++)
        plain[i] = compressed.data[i / 2];
    *ret_plain = (tims_str){ plain, compressed.length * 2 };
    return 0;
}

static const tims_ws_events plain_events = {
    .on_message = note_message, .on_ping = note_control, .on_pong = note_control, .on_close = note_close
};
static const tims_ws_events packed_events = { .on_message = note_message,
                                              .on_ping = note_control,
                                              .on_pong = note_control,
                                              .on_close = note_close,
                                              .inflate = note_packed };

static int run(int choice, tims_str bytes, size_t piece, tims_buf *text)
{
    tims_buf_init(text, NULL, 1 << 20);
    tims_ws *ws =
        tims_ws_new((choice & 1) != 0, MESSAGE_MAX, (choice & 2) != 0 ? &packed_events : &plain_events, text);
    int code = 0;
    for (size_t at = 0; at < bytes.length && code == 0;) {
        size_t length = bytes.length - at < piece ? bytes.length - at : piece;
        char *copy = malloc(length);
        TIMS_ASSERT(copy != NULL);
        memcpy(copy, bytes.data + at, length);
        tims_status status = tims_ws_feed(ws, (tims_str){ copy, length }, &code);
        free(copy);
        TIMS_ASSERT((status == TIMS_OK) == (code == 0));
        at += length;
    }
    tims_ws_free(&ws);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    tims_str bytes = { (const char *)data + 1, size - 1 };
    tims_buf whole, pieces;
    int code = run(data[0], bytes, SIZE_MAX, &whole);
    TIMS_ASSERT(run(data[0], bytes, 1u + (data[0] >> 2) % 32, &pieces) == code);
    TIMS_ASSERT(tims_str_equal(tims_buf_str(&whole), tims_buf_str(&pieces)));
    tims_buf_free(&whole);
    tims_buf_free(&pieces);
    return 0;
}
