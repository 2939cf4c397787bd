/* Frames of a client, any bytes: read or refused, never more. */
#include "live/live_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tims_str text = { (const char *)data, size }, epoch;
    int64_t position;
    if (size > LIVE__MESSAGE_BYTES_MAX)
        return 0;
    tims_arena *arena = tims_arena_new(4 << 20, NULL, NULL);
    live__message message = live__message_read(arena, text);
    if (message.kind == LIVE__SUB) {
        TIMS_ASSERT(message.sub >= 1 && message.url.length >= 1 && message.url.length <= LIVE__URL_BYTES_MAX);
        TIMS_ASSERT(message.limit >= 0 && message.from.length <= 64);
        (void)!live__position_parse(message.from, &epoch, &position);
    }
    if (live__position_parse(text, &epoch, &position))
        TIMS_ASSERT(epoch.length == 16 && position >= 0);
    tims_arena_free(&arena);
    return 0;
}
