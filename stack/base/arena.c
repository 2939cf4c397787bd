/* arena.c: memory and cleanups that end together.
 *
 *   arena ─► block ─► block ─► …      newest first; each allocation is cut from the newest
 *         └► defer ─► defer ─► …      run newest first when the arena ends
 *
 * Blocks double from 4 KiB to 64 KiB; an allocation larger than a quarter of the next block gets one of its
 * own. A reset keeps the largest block that is not too large to be kept, so a pooled scope in its steady
 * state never calls malloc, also where it needs more than a first block, as every read of a resource does (of
 * the 7 mallocs that one made, 2 were the second block's and tims_print's; the rest are SQLite's). Under ASan
 * each allocation is a block of its own, so that the sanitizer sees every overrun and every use after the
 * end. */
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "tims/base.h"

enum {
    ARENA_MAGIC = 0x41524e41,
    FIRST_BLOCK_BYTES = 4096,
    LAST_BLOCK_BYTES = 65536,
    KEPT_BLOCK_BYTES_MAX = 16384,
    ALIGNMENT = 16
};

typedef struct block {
    struct block *next;
    size_t capacity; /* of data */
    alignas(ALIGNMENT) char data[];
} block;

typedef struct deferred {
    struct deferred *next;
    tims_defer_fn function;
    void *argument;
} deferred;

struct tims_arena {
    uint32_t magic;
    size_t limit, used;
    tims_arena_limit_fn on_limit;
    void *on_limit_argument;
    block *blocks;  /* newest first, own blocks behind the newest shared one */
    char *at, *end; /* free room of the newest shared block */
    size_t next_block_bytes;
    deferred *deferred;
};

static block *new_block(size_t capacity)
{
    block *made = malloc(sizeof(block) + capacity);
    TIMS_ASSERT(made != NULL);
    made->capacity = capacity;
    return made;
}

tims_arena *tims_arena_new(size_t limit_bytes, tims_arena_limit_fn on_limit, void *on_limit_argument)
{
    tims_arena *arena = calloc(1, sizeof *arena);
    TIMS_ASSERT(arena != NULL);
    arena->magic = ARENA_MAGIC;
    arena->limit = limit_bytes;
    arena->on_limit = on_limit;
    arena->on_limit_argument = on_limit_argument;
    arena->next_block_bytes = FIRST_BLOCK_BYTES;
    return arena;
}

/* A cleanup may itself allocate or defer; so the list is taken one by one. */
static void run_deferred(tims_arena *arena)
{
    while (arena->deferred != NULL) {
        deferred *first = arena->deferred;
        arena->deferred = first->next;
        first->function(first->argument);
    }
}

static void free_blocks(block *first, const block *keep)
{
    while (first != NULL) {
        block *next = first->next;
        if (first != keep)
            free(first);
        first = next;
    }
}

static block *choose_kept(block *blocks)
{
    block *best = NULL;
    for (block *at = blocks; !TIMS_ASAN && at != NULL; at = at->next)
        if (at->capacity >= FIRST_BLOCK_BYTES && at->capacity <= KEPT_BLOCK_BYTES_MAX &&
            (best == NULL || at->capacity > best->capacity))
            best = at;
    return best;
}

void tims_arena_reset(tims_arena *arena)
{
    TIMS_CHECK_MAGIC(arena, ARENA_MAGIC);
    run_deferred(arena);
    block *keep = choose_kept(arena->blocks);
    free_blocks(arena->blocks, keep);
    if (keep != NULL)
        keep->next = NULL;
    arena->blocks = keep;
    arena->at = keep != NULL ? keep->data : NULL;
    arena->end = keep != NULL ? keep->data + keep->capacity : NULL;
    arena->next_block_bytes = keep != NULL ? 2 * keep->capacity : FIRST_BLOCK_BYTES;
    arena->used = 0;
}

void tims_arena_free(tims_arena **arena)
{
    if (*arena == NULL)
        return;
    TIMS_CHECK_MAGIC(*arena, ARENA_MAGIC);
    run_deferred(*arena);
    free_blocks((*arena)->blocks, NULL);
    (*arena)->magic = 0;
    free(*arena);
    *arena = NULL;
}

static void *allocate_slowly(tims_arena *arena, size_t bytes)
{
    if (TIMS_ASAN || bytes > arena->next_block_bytes / 4) {
        block *own = new_block(bytes);
        /* Behind the newest shared block, which still has room. */
        block **link = arena->blocks != NULL ? &arena->blocks->next : &arena->blocks;
        own->next = *link;
        *link = own;
        return own->data;
    }
    block *shared = new_block(arena->next_block_bytes);
    if (arena->next_block_bytes < LAST_BLOCK_BYTES)
        arena->next_block_bytes *= 2;
    shared->next = arena->blocks;
    arena->blocks = shared;
    arena->at = shared->data + bytes;
    arena->end = shared->data + shared->capacity;
    return shared->data;
}

void *tims_alloc_raw(tims_arena *arena, size_t bytes)
{
    TIMS_CHECK_MAGIC(arena, ARENA_MAGIC);
    if (TIMS_UNLIKELY(bytes > arena->limit - arena->used)) {
        TIMS_ASSERT(arena->on_limit != NULL);
        arena->on_limit(arena->on_limit_argument);
        TIMS_UNREACHABLE("on_limit has returned");
    }
    bytes += bytes == 0; /* never NULL, and every address its own */
    arena->used += bytes;
    size_t rounded = TIMS_ASAN ? bytes : (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (!TIMS_ASAN && rounded <= (size_t)(arena->end - arena->at)) {
        void *memory = arena->at;
        arena->at += rounded;
        return memory;
    }
    return allocate_slowly(arena, rounded);
}

void *tims_alloc(tims_arena *arena, size_t bytes)
{
    return memset(tims_alloc_raw(arena, bytes), 0, bytes);
}

void *tims_alloc_array(tims_arena *arena, size_t count, size_t item_bytes)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, item_bytes, &bytes))
        bytes = SIZE_MAX; /* passes every limit */
    return tims_alloc(arena, bytes);
}

void tims_arena_defer(tims_arena *arena, tims_defer_fn function, void *argument)
{
    deferred *one = tims_alloc_raw(arena, sizeof *one);
    *one = (deferred){ .next = arena->deferred, .function = function, .argument = argument };
    arena->deferred = one;
}

size_t tims_arena_used(const tims_arena *arena)
{
    return arena->used;
}

tims_str tims_copy(tims_arena *arena, tims_str s)
{
    char *copy = tims_alloc_raw(arena, s.length + 1);
    if (s.length > 0)
        memcpy(copy, s.data, s.length);
    copy[s.length] = '\0';
    return (tims_str){ copy, s.length };
}

const char *tims_copy_c(tims_arena *arena, tims_str s)
{
    return tims_copy(arena, s).data;
}

/* Most of what is printed is an id, a path, a header: that needs no scratch of its own. */
tims_str tims_print_v(tims_arena *arena, const char *format, va_list arguments)
{
    char small[256];
    tims_buf buf = { .data = small, .capacity = sizeof small, .max = sizeof small }; /* so it never grows */
    tims_buf_print_v(&buf, format, arguments);
    if (TIMS_LIKELY(!buf.overflow))
        return tims_copy(arena, tims_buf_str(&buf));
    tims_buf_init(&buf, NULL, arena->limit);
    tims_buf_print_v(&buf, format, arguments);
    /* The copy may end the fiber at the limit; the scratch must be gone by then. */
    if (buf.overflow || buf.length >= arena->limit - arena->used) {
        tims_buf_free(&buf);
        (void)tims_alloc_raw(arena, SIZE_MAX);
    }
    tims_str text = tims_copy(arena, tims_buf_str(&buf));
    tims_buf_free(&buf);
    return text;
}

tims_str tims_print(tims_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tims_str text = tims_print_v(arena, format, arguments);
    va_end(arguments);
    return text;
}
