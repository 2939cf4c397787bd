/* pages.c: the room's tables: every page as a route of the server, and once more among themselves for
 * /page-data. */
#include "pages/pages_internal.h"

enum { FIXED_ROUTES_MAX = 128 }; /* /page-data, assets, public files */
static const char *const default_languages[] = { "en" };

static size_t count_pages(const tims_page_route *const *tables, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        for (const tims_page_route *page = tables[i]; page->path != NULL; page++)
            total++;
    return total;
}

void pages__add_route(tims_pages *pages, tims_route route)
{
    TIMS_ASSERT(pages->route_count < pages->route_capacity);
    pages->routes[pages->route_count++] = route;
}

static void add_page(tims_pages *pages, const tims_page_route *page)
{
    pages__entry *entry = &pages->entries[pages->entry_count++];
    tims_str next_route = pages__next_route(pages->arena, page->path);
    *entry = (pages__entry){ .pages = pages,
                             .is_unkept = TIMS_NEW(pages->arena, _Atomic bool),
                             .page = page,
                             .next_route = next_route,
                             .shell = pages__shell_of(pages->arena, next_route) };
    pages__add_route(pages, (tims_route){ .methods = TIMS_METHOD_GET,
                                          .pattern = page->path,
                                          .handler = pages__answer,
                                          .data = entry,
                                          .doc = page->doc,
                                          .timeout_ms = pages->options.development ? 120000 : 0 });
}

static void free_router(void *argument)
{
    tims_pages *pages = argument;
    tims_router_free(&pages->router);
}

static tims_status make_router(tims_pages *pages, tims_error *err)
{
    const tims_route **list = TIMS_NEW_ARRAY(pages->arena, const tims_route *, pages->entry_count + 1);
    for (size_t i = 0; i < pages->entry_count; i++)
        list[i] = &pages->routes[i];
    tims_status status = tims_router_new(list, pages->entry_count, &pages->router, err);
    if (status == TIMS_OK)
        tims_arena_defer(pages->arena, free_router, pages);
    return status;
}

tims_status tims_pages_new(tims_arena *arena, const tims_page_route *const *tables, size_t count,
                           const tims_pages_options *options, tims_pages **ret_pages, tims_error *err)
{
    TIMS_ASSERT(options->front_directory != NULL);
    size_t total = count_pages(tables, count);
    tims_pages *pages = TIMS_NEW(arena, tims_pages);
    pages->magic = PAGES__MAGIC;
    pages->arena = arena;
    pages->options = *options;
    if (options->languages.count == 0)
        pages->options.languages = (tims_names){ default_languages, 1 };
    pages->entries = TIMS_NEW_ARRAY(arena, pages__entry, total + 1);
    pages->route_capacity = total + FIXED_ROUTES_MAX;
    pages->routes = TIMS_NEW_ARRAY(arena, tims_route, pages->route_capacity);
    for (size_t i = 0; i < count; i++)
        for (const tims_page_route *page = tables[i]; page->path != NULL; page++)
            add_page(pages, page);
    tims_status status = pages__languages_check(pages->options.languages, err);
    if (status == TIMS_OK)
        status = make_router(pages, err);
    if (status != TIMS_OK)
        return status;
    pages__add_route(pages,
                     (tims_route){ .methods = TIMS_METHOD_GET,
                                   .pattern = "/page-data",
                                   .handler = tims_pages_data,
                                   .doc = "A page's data, for navigating without a reload: ?path=/…" });
    pages__add_assets(pages);
    pages__shells_init(pages);
    pages__build_init(pages);
    pages__pool_init(pages);
    *ret_pages = pages;
    return TIMS_OK;
}

const tims_route *tims_pages_routes(const tims_pages *pages, size_t *ret_count)
{
    TIMS_CHECK_MAGIC(pages, PAGES__MAGIC);
    *ret_count = pages->route_count;
    return pages->routes;
}

void tims_pages_metrics(tims_pages *pages, tims_buf *out)
{
    static const char *const whys[PAGES__WHYS] = { "no_renderer", "overload", "late", "failed" };
    TIMS_CHECK_MAGIC(pages, PAGES__MAGIC);
    const pages__counts *counts = &pages->counts;
    tims_buf_print(
        out,
        "# HELP tims_pages_renders_total Pages rendered.\n"
        "# TYPE tims_pages_renders_total counter\ntims_pages_renders_total %llu\n"
        "# HELP tims_pages_kept_total Pages answered from what was kept.\n"
        "# TYPE tims_pages_kept_total counter\ntims_pages_kept_total %llu\n"
        "# HELP tims_pages_builds_total New builds of the front end since the start.\n"
        "# TYPE tims_pages_builds_total counter\ntims_pages_builds_total %llu\n"
        "# HELP tims_pages_restarts_total Render processes that died or were replaced.\n"
        "# TYPE tims_pages_restarts_total counter\ntims_pages_restarts_total %llu\n"
        "# HELP tims_pages_memory_restarts_total Those replaced since they had grown too large.\n"
        "# TYPE tims_pages_memory_restarts_total counter\ntims_pages_memory_restarts_total %llu\n"
        "# HELP tims_pages_shells_total Pages answered with their exported shell, and why.\n"
        "# TYPE tims_pages_shells_total counter\n",
        (unsigned long long)atomic_load(&counts->renders), (unsigned long long)atomic_load(&counts->kept),
        (unsigned long long)atomic_load(&counts->builds), (unsigned long long)atomic_load(&counts->restarts),
        (unsigned long long)atomic_load(&counts->memory_restarts));
    for (int why = 0; why < PAGES__WHYS; why++)
        tims_buf_print(out, "tims_pages_shells_total{why=\"%s\"} %llu\n", whys[why],
                       (unsigned long long)atomic_load(&counts->shells[why]));
    pages__pool_metrics(pages->pool, out);
}
