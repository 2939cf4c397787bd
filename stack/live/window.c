/* window.c: the first rows of a result, in order.
 *
 *      shown to clients          kept to fill gaps from        not looked at
 *     0 ─────────────── limit ─────────────────── reach ──────────────────────►
 *
 * Of each row its id and its order fields are kept: enough to say where a changed row stands and who moves up
 * when one leaves. Everything is in memory; reading rows is the view's business. Searching is by walking: a
 * window has a few dozen rows, a thousand at most. */
#include "live/live_internal.h"

enum { SPARE_MIN = 4, SPARE_MAX = 32 };

size_t live__window_reach(const live__window *window)
{
    size_t spare = window->limit / 4;
    spare = spare < SPARE_MIN ? SPARE_MIN : spare;
    return window->limit + (spare > SPARE_MAX ? SPARE_MAX : spare);
}

size_t live__window_find(const live__window *window, tims_id id)
{
    for (size_t i = 0; i < window->count; i++)
        if (tims_same_id(window->items[i].id, id))
            return i;
    return SIZE_MAX;
}

/* --- rows ------------------------------------------------------------------------------------- */

/* What a member borrows, text or bytes; NULL: nothing. */
static tims_str *text_of(const tims_field *field, void *row)
{
    char *member = (char *)row + field->offset;
    if (field->kind == TIMS_KIND_STR)
        return (tims_str *)member;
    if (field->kind == TIMS_KIND_OPT_STR && ((tims_opt_str *)member)->present)
        return &((tims_opt_str *)member)->value;
    if (field->kind == TIMS_KIND_BYTES)
        return &((tims_bytes *)member)->data;
    if (field->kind == TIMS_KIND_OPT_BYTES && ((tims_opt_bytes *)member)->present)
        return &((tims_opt_bytes *)member)->value.data;
    return NULL;
}

/* A copy in one block, with the texts that the order looks at behind it. */
static void *keep_row(const tims_query *query, const void *row)
{
    size_t size = query->model->size, texts = 0;
    void *source = (void *)(uintptr_t)row;
    for (size_t i = 0; i < query->order_count; i++) {
        const tims_str *text = text_of(query->orders[i].field, source);
        texts += text != NULL ? text->length : 0;
    }
    char *kept = malloc(size + texts);
    TIMS_ASSERT(kept != NULL);
    memcpy(kept, row, size);
    char *at = kept + size;
    for (size_t i = 0; i < query->order_count; i++) {
        tims_str *text = text_of(query->orders[i].field, kept);
        if (text == NULL || text->length == 0)
            continue;
        memcpy(at, text->data, text->length);
        text->data = at;
        at += text->length;
    }
    return kept;
}

static void make_room(live__window *window)
{
    if (window->count < window->capacity)
        return;
    window->capacity = window->capacity == 0 ? 8 : window->capacity * 2;
    window->items = realloc(window->items, window->capacity * sizeof *window->items);
    TIMS_ASSERT(window->items != NULL);
}

static size_t place_of(const live__window *window, const tims_query *query, const void *row)
{
    size_t low = 0, high = window->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tims_query_compare(query, window->items[middle].row, row) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void live__window_remove(live__window *window, size_t index)
{
    TIMS_ASSERT(index < window->count);
    free(window->items[index].row);
    window->count--;
    memmove(window->items + index, window->items + index + 1,
            (window->count - index) * sizeof *window->items);
}

bool live__window_put(live__window *window, const tims_query *query, const void *row)
{
    tims_id id = live__row_id(query->model, row);
    size_t held = live__window_find(window, id);
    if (held != SIZE_MAX)
        live__window_remove(window, held);
    size_t place = place_of(window, query, row);
    if (place == window->count && !window->complete)
        return false; /* rows that are not held may stand before it */
    make_room(window);
    memmove(window->items + place + 1, window->items + place,
            (window->count - place) * sizeof *window->items);
    window->items[place] = (live__entry){ id, keep_row(query, row) };
    window->count++;
    if (window->count > live__window_reach(window)) {
        live__window_remove(window, window->count - 1);
        window->complete = false;
    }
    return true;
}

void live__window_set(live__window *window, const tims_query *query, const void *rows, size_t count,
                      bool complete)
{
    while (window->count > 0)
        live__window_remove(window, window->count - 1);
    for (size_t i = 0; i < count; i++) {
        const void *row = (const char *)rows + i * query->model->size;
        make_room(window);
        window->items[window->count++] =
            (live__entry){ live__row_id(query->model, row), keep_row(query, row) };
    }
    window->complete = complete;
}

void live__window_clear(live__window *window)
{
    while (window->count > 0)
        live__window_remove(window, window->count - 1);
    free(window->items);
    window->items = NULL;
    window->capacity = 0;
}

/* --- ids -------------------------------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(tims_id));
}

live__ids live__window_ids(tims_arena *arena, const live__window *window)
{
    live__ids ids = { .count = live__window_shown(window) };
    ids.items = TIMS_NEW_ARRAY(arena, tims_id, ids.count + 1);
    for (size_t i = 0; i < ids.count; i++)
        ids.items[i] = window->items[i].id;
    qsort(ids.items, ids.count, sizeof *ids.items, compare_ids);
    return ids;
}

bool live__ids_have(const live__ids *ids, tims_id id)
{
    return bsearch(&id, ids->items, ids->count, sizeof *ids->items, compare_ids) != NULL;
}
