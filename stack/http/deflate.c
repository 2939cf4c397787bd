/* deflate.c: websocket messages made smaller, and their clients' messages large again (RFC 7692).
 *
 * Nothing is remembered from one message to the next: both ends' "no context takeover" is what a server for
 * many sockets wants. A message then is the same bytes for every socket, so a shared frame is compressed once
 * (frame.c), and a socket has no state of zlib's, which would be 300 KB; a loop has one for all of them, made
 * when it is first needed.
 *
 * What is inflated is bounded while it grows, not behind that: a bomb costs no more than the largest message.
 */
#include "http_internal.h"

#include <stdlib.h>
#include <zlib.h>

enum {
    DEFLATE_BYTES_MAX = 1024 * 1024, /* beyond, the loop would be held too long: 10 µs a KiB */
    DEFLATE_LEVEL = 3, /* of changed rows: a fifth is left; level 6 takes twice as long for a tenth less */
    WINDOW_BITS = 15,
    MEMORY_LEVEL = 8,
    TAIL_LENGTH = 4,
    KEPT_BYTES_MAX = 64 * 1024, /* of each buffer, between messages */
    INFLATED_BYTES_MIN = 1024,
    AT_BLOCK_END = 128, /* in z_stream.data_type */
    BAD_DATA = 1007,
    TOO_BIG = 1009
};

/* Ends every flush of zlib's; it is not sent, and put back before inflating. */
static const uint8_t flush_tail[TAIL_LENGTH] = { 0x00, 0x00, 0xff, 0xff };

struct http__deflater {
    z_stream out, in;
    bool out_ready, in_ready;
    tims_buf packed, plain;
};

http__deflater *http__deflater_new(void)
{
    http__deflater *deflater = calloc(1, sizeof(*deflater));
    TIMS_ASSERT(deflater != NULL);
    tims_buf_init(&deflater->packed, NULL, DEFLATE_BYTES_MAX);
    return deflater;
}

void http__deflater_free(http__deflater **deflater)
{
    if (!*deflater)
        return;
    if ((*deflater)->out_ready)
        deflateEnd(&(*deflater)->out);
    if ((*deflater)->in_ready)
        inflateEnd(&(*deflater)->in);
    tims_buf_free(&(*deflater)->packed);
    tims_buf_free(&(*deflater)->plain);
    free(*deflater);
    *deflater = NULL;
}

static void empty(tims_buf *buf)
{
    if (buf->capacity > KEPT_BYTES_MAX)
        tims_buf_free(buf);
    buf->length = 0;
}

static void give_input(z_stream *stream, tims_str bytes)
{
    TIMS_ASSERT(bytes.length <= UINT32_MAX);
    stream->next_in = (Bytef *)(uintptr_t)bytes.data;
    stream->avail_in = (uInt)bytes.length;
}

/* --- outgoing --------------------------------------------------------------------------------- */

static void prepare_out(http__deflater *deflater)
{
    int result = deflater->out_ready ? deflateReset(&deflater->out)
                                     : deflateInit2(&deflater->out, DEFLATE_LEVEL, Z_DEFLATED, -WINDOW_BITS,
                                                    MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    TIMS_ASSERT(result == Z_OK);
    deflater->out_ready = true;
}

bool http__deflate(http__deflater *deflater, tims_str plain, tims_str *ret_packed)
{
    if (plain.length < HTTP__DEFLATE_BYTES_MIN || plain.length > DEFLATE_BYTES_MAX)
        return false;
    prepare_out(deflater);
    z_stream *out = &deflater->out;
    tims_buf *packed = &deflater->packed;
    empty(packed);
    bool fits = tims_buf_reserve(packed, plain.length);
    TIMS_ASSERT(fits);
    give_input(out, plain);
    out->next_out = (Bytef *)packed->data;
    out->avail_out = (uInt)plain.length;
    (void)deflate(out, Z_SYNC_FLUSH);
    if (out->avail_in > 0 || out->avail_out == 0) /* it did not get smaller */
        return false;
    packed->length = plain.length - out->avail_out - TAIL_LENGTH;
    *ret_packed = tims_buf_str(packed);
    return true;
}

/* --- incoming --------------------------------------------------------------------------------- */

static void prepare_in(http__deflater *deflater, size_t bytes_max)
{
    int result = deflater->in_ready ? inflateReset(&deflater->in) : inflateInit2(&deflater->in, -WINDOW_BITS);
    TIMS_ASSERT(result == Z_OK);
    deflater->in_ready = true;
    empty(&deflater->plain);
    deflater->plain.max = bytes_max + 1; /* one byte too many is how too many are noticed */
    deflater->plain.overflow = false;
}

/* Room for what comes out next: what there is, or as much again. False at the bound. */
static bool make_room(tims_buf *plain)
{
    if (plain->length == plain->max)
        return false;
    size_t more = plain->length > INFLATED_BYTES_MIN ? plain->length : INFLATED_BYTES_MIN;
    size_t left = plain->max - plain->length;
    return plain->capacity > plain->length || tims_buf_reserve(plain, more < left ? more : left);
}

/* All of one piece of input. 0 or the close code. */
static int inflate_piece(http__deflater *deflater, tims_str piece)
{
    z_stream *in = &deflater->in;
    tims_buf *plain = &deflater->plain;
    give_input(in, piece);
    for (;;) {
        if (!make_room(plain))
            return TOO_BIG;
        size_t end = plain->capacity < plain->max ? plain->capacity : plain->max;
        in->next_out = (Bytef *)plain->data + plain->length;
        in->avail_out = (uInt)(end - plain->length);
        int result = inflate(in, Z_SYNC_FLUSH);
        plain->length = end - in->avail_out;
        if (result == Z_STREAM_END) {
            in->data_type = AT_BLOCK_END;
            if (in->avail_in == 0)
                return 0;
            result = inflateReset(in); /* a block that calls itself the last need not be */
        } else if (in->avail_in == 0 && (result == Z_BUF_ERROR || (result == Z_OK && in->avail_out > 0))) {
            return 0;
        }
        if (result != Z_OK)
            return BAD_DATA;
    }
}

int http__inflate(http__deflater *deflater, tims_str packed, size_t bytes_max, tims_str *ret_plain)
{
    TIMS_ASSERT(bytes_max < UINT32_MAX);
    prepare_in(deflater, bytes_max);
    int refused = inflate_piece(deflater, packed);
    if (refused == 0)
        refused = inflate_piece(deflater, (tims_str){ (const char *)flush_tail, TAIL_LENGTH });
    if (deflater->plain.length > bytes_max)
        return TOO_BIG;
    if (refused == 0 && (deflater->in.data_type & AT_BLOCK_END) == 0) /* cut off */
        refused = BAD_DATA;
    if (refused == 0)
        *ret_plain = tims_buf_str(&deflater->plain);
    return refused;
}
