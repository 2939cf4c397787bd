/* deflate_fuzz.c: any bytes inflate within their bound, to the same text with the same state each time, or
 * are refused with one of two codes; any text comes back from its compressed form.
 *
 * The first two bytes choose the bound. One state serves all runs, as in a loop of the server: what one input
 * left behind must not change the next. */
#include <stdlib.h>
#include <string.h>

#include "http/http_internal.h"

static int inflate_fresh(tims_str packed, size_t bytes_max, tims_buf *ret_plain)
{
    http__deflater *deflater = http__deflater_new();
    tims_str plain = { 0 };
    tims_buf_init(ret_plain, NULL, 1 << 17);
    int code = http__inflate(deflater, packed, bytes_max, &plain);
    tims_buf_append_str(ret_plain, plain);
    http__deflater_free(&deflater);
    return code;
}

static void check_inflate(http__deflater *kept, tims_str packed, size_t bytes_max)
{
    tims_buf fresh;
    tims_str plain = { 0 };
    int code = http__inflate(kept, packed, bytes_max, &plain);
    TIMS_ASSERT(code == 0 || code == 1007 || code == 1009);
    TIMS_ASSERT(plain.length <= bytes_max);
    TIMS_ASSERT(inflate_fresh(packed, bytes_max, &fresh) == code);
    TIMS_ASSERT(tims_str_equal(tims_buf_str(&fresh), plain));
    tims_buf_free(&fresh);
}

static void check_round_trip(http__deflater *kept, tims_str text)
{
    tims_str packed, plain = { 0 };
    if (!http__deflate(kept, text, &packed))
        return;
    TIMS_ASSERT(packed.length < text.length);
    TIMS_ASSERT(http__inflate(kept, packed, text.length, &plain) == 0);
    TIMS_ASSERT(tims_str_equal(plain, text));
    TIMS_ASSERT(http__inflate(kept, packed, text.length - 1, &plain) == 1009);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static http__deflater *kept;
    if (!kept)
        kept = http__deflater_new();
    if (size < 2)
        return 0;
    tims_str bytes = { (const char *)data + 2, size - 2 };
    check_inflate(kept, bytes, (size_t)data[0] << 8 | data[1]);
    check_round_trip(kept, bytes);
    return 0;
}
