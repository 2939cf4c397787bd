/* redis_address_fuzz: URLs, any bytes: read or refused, and never repeated in what is said of them. */
#include "redis/redis_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_buf url;
    redis__address address;
    tims_buf_init(&url, NULL, 1 << 20);
    tims_buf_print(&url, "redis://%S", (tims_str){ (const char *)data, size });
    if (redis__address_parse(arena, tims_buf_str(&url), &address, NULL) == TIMS_OK)
        TIMS_ASSERT(address.host.length > 0 && address.port > 0 && address.database >= 0 &&
                    address.user.length + address.password.length <= size);
    (void)!redis__address_parse(arena, (tims_str){ (const char *)data, size }, &address, NULL);
    tims_buf_free(&url);
    tims_arena_free(&arena);
    return 0;
}
