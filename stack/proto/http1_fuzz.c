/* http1_fuzz.c: any bytes, in any pieces, give the same messages and the same refusal, and touch no other
 * memory.
 *
 * The first byte chooses the role, the second the size of the pieces. */
#include <stdlib.h>
#include <string.h>

#include "proto/proto_internal.h"

typedef struct account {
    tims_buf text;
    int http_status;
} account;

static void note(account *a, tims_str s)
{
    tims_buf_append_str(&a->text, s);
    tims_buf_append_char(&a->text, '\n');
}

static bool note_head(void *ctx, const tims_http1_head *head)
{
    account *a = ctx;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_http1_head copy = tims_http1_head_copy(arena, head);
    TIMS_ASSERT(!copy.chunked || copy.content_length < 0);
    note(a, copy.target);
    note(a, copy.host);
    for (size_t i = 0; i < copy.header_count; i++) {
        TIMS_ASSERT(proto__is_token(copy.headers[i].name));
        note(a, copy.headers[i].name);
        note(a, copy.headers[i].value);
    }
    tims_buf_append_int(&a->text, head->status + head->method + head->keep_alive + 2 * head->upgrade);
    tims_arena_free(&arena);
    return true;
}

static bool note_body(void *ctx, tims_str bytes)
{
    tims_buf_append_str(&((account *)ctx)->text, bytes);
    return true;
}

static bool note_end(void *ctx)
{
    note(ctx, TIMS_STR("end"));
    return true;
}

static const tims_http1_events events = { .on_head = note_head, .on_body = note_body, .on_end = note_end };
static const tims_http1_limits limits = {
    .line_bytes_max = 200, .header_bytes_max = 400, .header_count_max = 8, .body_bytes_max = 300
};

static void run(account *a, tims_http1_role role, tims_str bytes, size_t piece)
{
    tims_buf_init(&a->text, NULL, 1 << 20);
    tims_http1 *parser = tims_http1_new(role, &limits, &events, a);
    for (size_t at = 0; at < bytes.length && a->http_status == 0;) {
        size_t length = bytes.length - at < piece ? bytes.length - at : piece;
        char *copy = malloc(length);
        TIMS_ASSERT(copy != NULL);
        memcpy(copy, bytes.data + at, length);
        size_t used = 0;
        tims_status status =
            tims_http1_feed(parser, (tims_str){ copy, length }, &used, &a->http_status, NULL);
        free(copy);
        TIMS_ASSERT((status == TIMS_OK) == (a->http_status == 0));
        tims_http1_resume(parser); /* behind an upgrade */
        at += used;
    }
    if (a->http_status == 0 && tims_http1_finish(parser) != TIMS_OK)
        a->http_status = -1;
    tims_http1_free(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    tims_str bytes = { (const char *)data + 2, size - 2 };
    tims_http1_role role = (data[0] & 1) != 0 ? TIMS_HTTP1_RESPONSES : TIMS_HTTP1_REQUESTS;
    account whole = { 0 }, pieces = { 0 };
    run(&whole, role, bytes, SIZE_MAX);
    run(&pieces, role, bytes, 1u + data[1] % 32);
    TIMS_ASSERT(whole.http_status == pieces.http_status);
    /* Body bytes that came before a refusal depend on the border; everything else does not. */
    if (whole.http_status <= 0)
        TIMS_ASSERT(tims_str_equal(tims_buf_str(&whole.text), tims_buf_str(&pieces.text)));
    tims_buf_free(&whole.text);
    tims_buf_free(&pieces.text);
    return 0;
}
