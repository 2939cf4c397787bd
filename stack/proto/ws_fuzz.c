/* ws_fuzz.c: any bytes in any pieces give the same messages and the same close code; text is UTF-8, sizes
 * hold.
 *
 * The first byte chooses the side and the size of the pieces. */
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

static const tims_ws_events events = {
    .on_message = note_message, .on_ping = note_control, .on_pong = note_control, .on_close = note_close
};

static int run(bool is_server, tims_str bytes, size_t piece, tims_buf *text)
{
    tims_buf_init(text, NULL, 1 << 20);
    tims_ws *ws = tims_ws_new(is_server, MESSAGE_MAX, &events, text);
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
    int code = run((data[0] & 1) != 0, bytes, SIZE_MAX, &whole);
    TIMS_ASSERT(run((data[0] & 1) != 0, bytes, 1u + (data[0] >> 1) % 32, &pieces) == code);
    TIMS_ASSERT(tims_str_equal(tims_buf_str(&whole), tims_buf_str(&pieces)));
    tims_buf_free(&whole);
    tims_buf_free(&pieces);
    return 0;
}
