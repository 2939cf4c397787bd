/* url_fuzz.c: a path that is accepted is in its one normal form; what is encoded decodes to itself. */
#include <string.h>

#include "proto/proto_internal.h"

static void check_path(tims_arena *arena, tims_str path)
{
    TIMS_ASSERT(path.length > 0 && path.data[0] == '/' && tims_str_is_utf8(path));
    TIMS_ASSERT(tims_str_find(path, TIMS_STR("//")) == SIZE_MAX &&
                tims_str_find(path, TIMS_STR("/./")) == SIZE_MAX);
    TIMS_ASSERT(tims_str_find(path, TIMS_STR("/../")) == SIZE_MAX &&
                !tims_str_ends_with(path, TIMS_STR("/..")));
    TIMS_ASSERT(memchr(path.data, '\0', path.length) == NULL && memchr(path.data, '\\', path.length) == NULL);
    /* Encoding its segments again and splitting gives the same. */
    tims_str again = { "", 0 }, rest = tims_str_slice(path, 1, path.length);
    while (rest.data != NULL)
        again = tims_print(arena, "%S/%S", again, tims_url_encode(arena, tims_str_cut(&rest, '/')));
    tims_str second, query;
    TIMS_ASSERT(tims_url_split_target(arena, again, &second, &query, NULL) == TIMS_OK);
    TIMS_ASSERT(tims_str_equal(path, second));
}

static void check_pairs(tims_arena *arena, tims_pairs pairs)
{
    TIMS_ASSERT(pairs.count <= 16);
    for (size_t i = 0; i < pairs.count; i++) {
        tims_pairs again;
        TIMS_ASSERT(tims_str_is_utf8(pairs.items[i].name) && tims_str_is_utf8(pairs.items[i].value));
        tims_str text = tims_print(arena, "%S=%S", tims_url_encode(arena, pairs.items[i].name),
                                   tims_url_encode(arena, pairs.items[i].value));
        TIMS_ASSERT(tims_url_parse_pairs(arena, text, 1, &again, NULL) == TIMS_OK && again.count == 1);
        TIMS_ASSERT(tims_str_equal(again.items[0].value, pairs.items[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096)
        return 0;
    tims_arena *arena = tims_arena_new(64 << 20, NULL, NULL);
    tims_str text = { (const char *)data, size };
    tims_str path, query;
    tims_pairs pairs;
    tims_url url;
    if (tims_url_split_target(arena, text, &path, &query, NULL) == TIMS_OK)
        check_path(arena, path);
    if (tims_url_parse_pairs(arena, text, 16, &pairs, NULL) == TIMS_OK)
        check_pairs(arena, pairs);
    if (tims_url_parse(arena, text, &url, NULL) == TIMS_OK)
        TIMS_ASSERT(url.host.length > 0 && url.path.data[0] == '/' &&
                    memchr(url.path.data, '\r', url.path.length) == NULL);
    tims_arena_free(&arena);
    return 0;
}
