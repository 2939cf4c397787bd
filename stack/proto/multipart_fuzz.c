/* multipart_fuzz.c: any form in any pieces gives the same parts; file names keep no path.
 *
 * The first byte is the size of the pieces; the Content-Type is the first line, the body the rest. */
#include <stdlib.h>
#include <string.h>

#include "proto/multipart_internal.h"

static bool note_part(void *ctx, const tims_part_head *head)
{
    tims_buf *text = ctx;
    TIMS_ASSERT(tims_str_is_utf8(head->name) && tims_str_is_utf8(head->filename) &&
                head->filename.length <= 255);
    TIMS_ASSERT(tims_str_find(head->filename, TIMS_STR("/")) == SIZE_MAX);
    TIMS_ASSERT(tims_str_find(head->filename, TIMS_STR("\\")) == SIZE_MAX);
    tims_buf_print(text, "%S %S %S:", head->name, head->filename, head->content_type);
    return true;
}

static bool note_data(void *ctx, tims_str bytes)
{
    tims_buf_append_str(ctx, bytes);
    return true;
}

static bool note_part_end(void *ctx)
{
    tims_buf_append_char(ctx, '|');
    return true;
}

static const tims_multipart_events events = { .on_part = note_part,
                                              .on_data = note_data,
                                              .on_part_end = note_part_end };

static tims_status run(tims_str type, tims_str body, size_t piece, tims_buf *text)
{
    tims_buf_init(text, NULL, 1 << 20);
    tims_arena *arena = tims_arena_new(16 << 20, NULL, NULL);
    tims_multipart *parser;
    tims_status status = tims_multipart_new(arena, type, 20, &events, text, &parser, NULL);
    for (size_t at = 0; at < body.length && status == TIMS_OK; at += piece) {
        size_t length = body.length - at < piece ? body.length - at : piece;
        char *copy = malloc(length);
        TIMS_ASSERT(copy != NULL);
        memcpy(copy, body.data + at, length);
        status = tims_multipart_feed(parser, (tims_str){ copy, length }, NULL);
        free(copy);
        if (piece == SIZE_MAX)
            break;
    }
    if (status == TIMS_OK)
        status = tims_multipart_finish(parser, NULL);
    tims_arena_free(&arena);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    tims_str body = { (const char *)data + 1, size - 1 };
    tims_str type = tims_str_cut(&body, '\n');
    if (body.data == NULL)
        body = (tims_str){ "", 0 };
    tims_buf whole, pieces;
    tims_status status = run(type, body, SIZE_MAX, &whole);
    TIMS_ASSERT(run(type, body, 1u + data[0] % 32, &pieces) == status);
    if (status == TIMS_OK)
        TIMS_ASSERT(tims_str_equal(tims_buf_str(&whole), tims_buf_str(&pieces)));
    tims_buf_free(&whole);
    tims_buf_free(&pieces);
    return 0;
}
