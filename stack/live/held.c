/* held.c: a set of ids: a sorted array, 16 bytes an id. */
#include "live/live_internal.h"

static size_t place_of(const live__held *held, tims_id id)
{
    size_t low = 0, high = held->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(held->ids[middle].bytes, id.bytes, sizeof id.bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool live__held_has(const live__held *held, tims_id id)
{
    size_t at = place_of(held, id);
    return at < held->count && tims_same_id(held->ids[at], id);
}

bool live__held_add(live__held *held, tims_id id)
{
    size_t at = place_of(held, id);
    if (at < held->count && tims_same_id(held->ids[at], id))
        return false;
    if (held->count == held->capacity) {
        size_t capacity = held->capacity == 0 ? 8 : held->capacity * 2;
        tims_id *ids = realloc(held->ids, capacity * sizeof *ids);
        TIMS_ASSERT(ids != NULL);
        held->ids = ids;
        held->capacity = capacity;
    }
    memmove(&held->ids[at + 1], &held->ids[at], (held->count - at) * sizeof *held->ids);
    held->ids[at] = id;
    held->count++;
    return true;
}

bool live__held_remove(live__held *held, tims_id id)
{
    size_t at = place_of(held, id);
    if (at == held->count || !tims_same_id(held->ids[at], id))
        return false;
    held->count--;
    memmove(&held->ids[at], &held->ids[at + 1], (held->count - at) * sizeof *held->ids);
    return true;
}

void live__held_free(live__held *held)
{
    free(held->ids);
    *held = (live__held){ 0 };
}
