/* proxy_fuzz.c: any target, Location and cookies: what passes means the same to whoever reads it next.
 *
 * The first byte chooses what the rest is. */
#include <stdlib.h>

#include "proxy/proxy_internal.h"

/* What an upstream makes of it that decodes and normalises as often as it likes: it stays below the base. */
static void check_target(tims_arena *arena, tims_str target)
{
    tims_str mapped, path, query, again;
    tims_str prefix = TIMS_STR("/p/"), base = TIMS_STR("/base/dir/");
    if (proxy__map_target(arena, target, prefix, base, &mapped, NULL) != TIMS_OK)
        return;
    TIMS_ASSERT(tims_str_starts_with(mapped, base));
    TIMS_ASSERT(tims_str_equal(tims_str_slice(mapped, base.length, mapped.length),
                               tims_str_slice(target, prefix.length, target.length)));
    for (size_t i = 0; i < mapped.length; i++)
        TIMS_ASSERT(mapped.data[i] > ' ' && mapped.data[i] < 0x7f);
    if (tims_url_split_target(arena, mapped, &path, &query, NULL) != TIMS_OK)
        return; /* not UTF-8: never routed here */
    TIMS_ASSERT(tims_str_starts_with(path, base));
    bool is_decoded_again = tims_str_find(path, TIMS_STR("%")) != SIZE_MAX;
    if (is_decoded_again && tims_str_find(path, TIMS_STR("?")) == SIZE_MAX &&
        tims_url_split_target(arena, path, &again, &query, NULL) == TIMS_OK)
        TIMS_ASSERT(tims_str_starts_with(again, base));
}

static void check_location(tims_arena *arena, tims_str location)
{
    tims_str mapped = proxy__map_location(arena, location, TIMS_STR("/p/"), TIMS_STR("/"), TIMS_STR("up:1"),
                                          TIMS_STR("site"));
    TIMS_ASSERT(mapped.data == location.data || tims_str_starts_with(mapped, TIMS_STR("/p/")));
}

static void check_cookies(tims_arena *arena, tims_str cookies)
{
    static const tims_str ours[] = { TIMS_STR_INIT("tims_session"), TIMS_STR_INIT("__Host-tims_session"),
                                     TIMS_STR_INIT("csrf") };
    tims_str kept = proxy__strip_cookies(arena, cookies);
    TIMS_ASSERT(kept.length <= cookies.length + 1 + cookies.length);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        TIMS_ASSERT(tims_cookie_get(kept, ours[i]).data == NULL);
    TIMS_ASSERT(tims_str_equal(proxy__strip_cookies(arena, kept), kept));
    if (!proxy__set_cookie_collides(cookies)) {
        tims_str rest = cookies;
        tims_str pair = tims_str_cut(&rest, ';');
        for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
            TIMS_ASSERT(tims_cookie_get(pair, ours[i]).data == NULL);
    }
    (void)proxy__request_header_passes(cookies, false);
    const tims_header headers[] = { { TIMS_STR("Connection"), cookies }, { TIMS_STR("Via"), cookies } };
    (void)tims_header_is_end_to_end(headers, 2, TIMS_STR("x"));
    (void)proxy__count_hops(headers, 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 4096)
        return 0;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    char *copy = tims_alloc_raw(arena, size); /* of exactly this length, for ASan */
    memcpy(copy, data + 1, size - 1);
    tims_str text = { copy, size - 1 };
    if (data[0] % 3 == 0)
        check_target(arena, tims_print(arena, "/p/%S", text));
    else if (data[0] % 3 == 1)
        check_location(arena, text);
    else
        check_cookies(arena, text);
    tims_arena_free(&arena);
    return 0;
}
