/* map.c: from bytes to a pointer. Open addressing with linear probing; removal closes the gap by moving
 * entries back, so there are no tombstones and a map that shrinks is as fast as a new one. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "tims/base.h"

_Static_assert(sizeof(size_t) == 8, "a cursor of tims_map_next is two halves");
enum { MAP_MAGIC = 0x4d415020, FIRST_SLOTS = 8 };

typedef struct entry {
    uint64_t hash;
    char *key; /* owned; NULL: the slot is empty */
    size_t key_length;
    void *value;
} entry;

struct tims_map {
    uint32_t magic;
    uint64_t seed[2];
    entry *slots; /* a power of two; NULL while empty */
    size_t slot_count, count;
};

tims_map *tims_map_new(void)
{
    tims_map *map = calloc(1, sizeof *map);
    TIMS_ASSERT(map != NULL);
    map->magic = MAP_MAGIC;
    TIMS_ASSERT(getrandom(map->seed, sizeof map->seed, 0) == sizeof map->seed);
    return map;
}

void tims_map_free(tims_map **map)
{
    if (*map == NULL)
        return;
    TIMS_CHECK_MAGIC(*map, MAP_MAGIC);
    for (size_t i = 0; i < (*map)->slot_count; i++)
        free((*map)->slots[i].key);
    free((*map)->slots);
    (*map)->magic = 0;
    free(*map);
    *map = NULL;
}

/* The slot that holds the key, or the empty one where it would go. */
static size_t find_slot(const tims_map *map, tims_str key, uint64_t hash)
{
    size_t mask = map->slot_count - 1;
    size_t at = hash & mask;
    for (;; at = (at + 1) & mask) {
        const entry *e = &map->slots[at];
        if (e->key == NULL || (e->hash == hash && tims_str_equal((tims_str){ e->key, e->key_length }, key)))
            return at;
    }
}

void *tims_map_get(const tims_map *map, tims_str key)
{
    TIMS_CHECK_MAGIC(map, MAP_MAGIC);
    if (map->count == 0)
        return NULL;
    const entry *e = &map->slots[find_slot(map, key, tims_hash(key.data, key.length, map->seed))];
    return e->key != NULL ? e->value : NULL;
}

static void resize(tims_map *map, size_t slot_count)
{
    entry *old = map->slots;
    size_t old_count = map->slot_count;
    map->slots = calloc(slot_count, sizeof(entry));
    TIMS_ASSERT(map->slots != NULL);
    map->slot_count = slot_count;
    for (size_t i = 0; i < old_count; i++)
        if (old[i].key != NULL)
            map->slots[find_slot(map, (tims_str){ old[i].key, old[i].key_length }, old[i].hash)] = old[i];
    free(old);
}

void *tims_map_set(tims_map *map, tims_str key, void *value)
{
    TIMS_CHECK_MAGIC(map, MAP_MAGIC);
    TIMS_ASSERT(value != NULL);
    if ((map->count + 1) * 4 > map->slot_count * 3)
        resize(map, map->slot_count == 0 ? FIRST_SLOTS : map->slot_count * 2);
    uint64_t hash = tims_hash(key.data, key.length, map->seed);
    entry *e = &map->slots[find_slot(map, key, hash)];
    void *former = e->key != NULL ? e->value : NULL;
    if (e->key == NULL) {
        char *copy = malloc(key.length + 1);
        TIMS_ASSERT(copy != NULL);
        if (key.length > 0)
            memcpy(copy, key.data, key.length);
        *e = (entry){ .hash = hash, .key = copy, .key_length = key.length };
        map->count++;
    }
    e->value = value;
    return former;
}

/* Moves the entries behind an emptied slot back to where they would be found. */
static void close_gap(tims_map *map, size_t gap)
{
    size_t mask = map->slot_count - 1;
    for (size_t at = (gap + 1) & mask; map->slots[at].key != NULL; at = (at + 1) & mask) {
        size_t home = map->slots[at].hash & mask;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            map->slots[gap] = map->slots[at];
            map->slots[at].key = NULL;
            gap = at;
        }
    }
}

void *tims_map_remove(tims_map *map, tims_str key)
{
    TIMS_CHECK_MAGIC(map, MAP_MAGIC);
    if (map->count == 0)
        return NULL;
    size_t at = find_slot(map, key, tims_hash(key.data, key.length, map->seed));
    if (map->slots[at].key == NULL)
        return NULL;
    void *former = map->slots[at].value;
    free(map->slots[at].key);
    map->slots[at].key = NULL;
    map->count--;
    close_gap(map, at);
    return former;
}

size_t tims_map_count(const tims_map *map)
{
    return map->count;
}

/* Backwards from an empty slot, so that no run of entries lies across the start: what close_gap moves into
 * the slot just left has been seen already. The cursor is that slot and how many have been left behind. */
bool tims_map_next(const tims_map *map, size_t *cursor, tims_str *ret_key, void **ret_value)
{
    TIMS_CHECK_MAGIC(map, MAP_MAGIC);
    if (map->slot_count == 0)
        return false;
    size_t start = *cursor >> 32, steps = *cursor & UINT32_MAX, mask = map->slot_count - 1;
    TIMS_ASSERT(mask <= UINT32_MAX);
    while (steps == 0 && map->slots[start].key != NULL) /* a quarter of them are empty */
        start++;
    while (++steps <= mask) {
        const entry *e = &map->slots[(start - steps) & mask];
        if (e->key == NULL)
            continue;
        *cursor = start << 32 | steps;
        if (ret_key != NULL)
            *ret_key = (tims_str){ e->key, e->key_length };
        if (ret_value != NULL)
            *ret_value = e->value;
        return true;
    }
    return false;
}
