/* random: random bytes and ids.
 *
 * Ids are not secrets, so they may draw on a small per-thread supply instead of asking the kernel each time;
 * tokens never do. Two ids of one thread in one millisecond still grow: the second is the first plus a random
 * step, which keeps a table's newest rows at its end. */
#include "crypto/crypto_internal.h"

#include <sodium.h>
#include <string.h>

tims_status tims_crypto_setup(void)
{
    return sodium_init() < 0 ? TIMS_INTERNAL : TIMS_OK;
}

void tims_random(void *ret_bytes, size_t length)
{
    randombytes_buf(ret_bytes, length);
}

typedef struct id_source {
    uint8_t supply[512];
    size_t left;
    int64_t last_ms;
    tims_id last;
} id_source;

static _Thread_local id_source source;

static const uint8_t *take_random(size_t length)
{
    if (source.left < length) {
        randombytes_buf(source.supply, sizeof(source.supply));
        source.left = sizeof(source.supply);
    }
    source.left -= length;
    return source.supply + source.left;
}

/* Adds to the 62 low bits of an id, below its variant. False when they would run over. */
static bool step_id(tims_id *id, uint32_t step)
{
    const uint64_t mask = ((uint64_t)1 << 62) - 1;
    uint64_t low = 0;
    for (int i = 8; i < 16; i++)
        low = low << 8 | id->bytes[i];
    uint64_t next = (low & mask) + step;
    if (next > mask)
        return false;
    low = (low & ~mask) | next;
    for (int i = 15; i >= 8; i--, low >>= 8)
        id->bytes[i] = (uint8_t)low;
    return true;
}

tims_id tims_id_new(void)
{
    int64_t now_ms = tims_now().us / 1000;
    if (now_ms <= source.last_ms) { /* the same millisecond, or the clock went back */
        uint32_t step;
        memcpy(&step, take_random(sizeof(step)), sizeof(step));
        if (step_id(&source.last, step / 2 + 1))
            return source.last;
        now_ms = source.last_ms + 1;
    }
    source.last_ms = now_ms;
    source.last = tims_id_from_parts(now_ms, take_random(10));
    return source.last;
}
