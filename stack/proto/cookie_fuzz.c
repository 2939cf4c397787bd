/* cookie_fuzz.c: a cookie that is found lies within its header; one that is written is one line and ends
 * where it should. */
#include <string.h>

#include "proto/proto_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tims_str header = { (const char *)data, size };
    tims_str found = tims_cookie_get(header, TIMS_STR("s"));
    TIMS_ASSERT(found.data == NULL ||
                (found.data >= header.data && found.data + found.length <= header.data + header.length));
    tims_arena *arena = tims_arena_new(16 << 20, NULL, NULL);
    tims_cookie cookie = { .name = TIMS_STR_INIT("s"), .value = header };
    tims_str written = tims_cookie_format(arena, &cookie);
    for (size_t i = 0; i < written.length; i++)
        TIMS_ASSERT(written.data[i] >= 0x20 && written.data[i] < 0x7f);
    size_t end = tims_str_find(written, TIMS_STR(";"));
    TIMS_ASSERT(
        tims_str_equal(tims_str_slice(written, end, SIZE_MAX), TIMS_STR("; Path=/; SameSite=Strict")));
    TIMS_ASSERT(tims_str_equal(tims_cookie_get(written, TIMS_STR("s")), tims_str_slice(written, 2, end)));
    int64_t unix_s;
    if (tims_http_date_parse(header, &unix_s))
        TIMS_ASSERT(unix_s >= 0);
    tims_arena_free(&arena);
    return 0;
}
