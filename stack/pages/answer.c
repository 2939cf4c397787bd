/* answer.c: a page as HTML: as it was kept, rendered, or its exported shell.
 *
 *   GET ─► kept? ──yes──────────────────────────────────────────────► 304 or the bytes, compressed once
 *            │ no: one request makes it, others wait
 *            └─► loader, in one snapshot, reads noted ─► render process ─► kept under what was read ─►
 *                                                            │ late, failing, overloaded
 *                                                            └─► the shell, which nobody keeps
 *
 * The HTML of an entry is the same bytes for everybody who gets it, so nothing of one answer is in it: no
 * nonce (see policy.c), no token (see auth's csrf.c), and the position is the one it was read at, from where
 * the client goes on. It stands under its address, its language, and who asks: nobody's pages are shared
 * unless the loader's reads forbid it; whoever is signed in has their own, since every page is handed its
 * user, while the documents in it come from what the lists' own cache shares.
 *
 * Access is checked for each request, before anything is looked up. */
#include "pages/pages_internal.h"

enum { TURNS_MAX = 2 }; /* so often a request waits for another's page, which may not be kept after all */

tims_answer pages__html_answer(int status, tims_str html)
{
    return tims_answer_bytes(status, TIMS_STR("text/html; charset=utf-8"), html);
}

static tims_answer answer_shell(tims_request *rq, const pages__entry *entry)
{
    pages__shell found;
    if (!pages__shell_find(rq, entry->pages, entry->shell, &found))
        tims_raise(rq, 503, "not_rendered", "The page cannot be rendered now; try again shortly.");
    return pages__shell_answer(rq, entry->pages, 200, &found);
}

/* --- what is kept ------------------------------------------------------------------------------------ */

/* A letter for who may keep it elsewhere, then the policy's sources. */
enum { FOR_BROWSERS = 'b', FOR_NOBODY = 'n' };

static tims_str write_extra(tims_arena *arena, bool is_private, tims_str sources)
{
    return tims_print(arena, "%c%S", is_private ? FOR_NOBODY : FOR_BROWSERS, sources);
}

/* Where somebody signs out, the browser has to forget the pages it has kept; it listens to that on https and
 * on the machine itself only (see auth). */
static bool is_browser_to_forget(tims_request *rq)
{
    static const char *const names[] = { "localhost", "127.0.0.1", "[::1]" };
    tims_str host = tims_header_of(rq, TIMS_STR("host"));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        tims_str name = tims_str_from(names[i]);
        if (tims_str_starts_with(host, name) && (host.length == name.length || host.data[name.length] == ':'))
            return true;
    }
    return rq->secure;
}

static void set_kept_headers(tims_request *rq, bool is_private)
{
    tims_str control = TIMS_STR("no-cache"); /* whoever keeps it asks each time: 304 */
    if (tims_is_signed_in(rq))
        control = TIMS_STR("private, no-cache");
    if (is_private || (tims_is_signed_in(rq) && !is_browser_to_forget(rq)))
        control = TIMS_STR("private, no-store");
    tims_set_header(rq, TIMS_STR("Cache-Control"), control);
    tims_set_header(rq, TIMS_STR("Vary"), TIMS_STR("Cookie, Accept-Language, Accept-Encoding"));
}

static tims_answer answer_kept(tims_request *rq, const tims_pages *pages, const tims_cached *kept)
{
    tims_str extra = tims_cached_extra(kept);
    pages__set_policy(rq, pages, tims_str_slice(extra, 1, extra.length));
    set_kept_headers(rq, extra.data[0] == FOR_NOBODY);
    return tims_cached_answer(rq, kept);
}

/* --- making it --------------------------------------------------------------------------------------- */

typedef struct making {
    const pages__entry *entry;
    tims_str target;
    tims_cache_name name; /* of kind PAGE where it may be kept */
    uint64_t since;
    tims_reads *reads; /* NULL: it will not be kept */
} making;

static void free_reads(void *argument)
{
    tims_reads_free(argument);
}

static void note_reads(tims_request *rq, making *m)
{
    tims_reads **holder = TIMS_NEW(rq->arena, tims_reads *);
    tims_defer(rq, free_reads, (void *)holder);
    m->reads = *holder = tims_reads_new_lenient();
}

static const tims_cached *keep(tims_request *rq, const making *m, const pages__loaded *loaded,
                               const pages__rendering *rendering)
{
    bool can_keep = m->reads != NULL && !loaded->is_unkept && tims_reads_can_follow(m->reads);
    atomic_store_explicit(m->entry->is_unkept, !can_keep, memory_order_relaxed);
    if (!can_keep || rendering->status != 200 || !rendering->is_current)
        return NULL;
    const tims_cache_answer answer = {
        .since = m->since,
        .position = loaded->position,
        .reads = m->reads,
        .status = rendering->status,
        .body = rendering->html,
        .content_type = TIMS_STR("text/html; charset=utf-8"),
        .extra = write_extra(rq->arena, loaded->is_private, rendering->sources),
    };
    return tims_cache_keep(m->entry->pages->options.cache, rq, &m->name, &answer);
}

static tims_answer make(tims_request *rq, making *m)
{
    tims_pages *pages = m->entry->pages;
    pages__loaded loaded;
    tims_error err = { 0 };
    pages__load(rq, m->entry, rq->path_params, m->target, m->reads, &loaded);
    pages__rendering rendering = { .target = m->target, .data = loaded.data };
    if (pages__render(rq, pages, &rendering, &err) != TIMS_OK)
        return answer_shell(rq, m->entry);
    const tims_cached *kept = m->reads != NULL ? keep(rq, m, &loaded, &rendering) : NULL;
    if (kept != NULL)
        return answer_kept(rq, pages, kept);
    pages__set_policy(rq, pages, rendering.sources);
    pages__set_unkept(rq);
    return pages__html_answer(rendering.status, rendering.html);
}

/* --- looking for it ---------------------------------------------------------------------------------- */

/* As a read now would give it; NULL: there is none. */
static const tims_cached *find(tims_request *rq, tims_cache *cache, const tims_cache_name *name)
{
    int64_t position;
    tims_error err = { 0 };
    if (!tims_cache_has(cache, name))
        return NULL;
    tims_check(rq, tims_position_now(tims_session_db(rq), &position, &err), &err);
    return tims_cache_find_now(cache, rq, name, position);
}

static tims_answer find_or_make(tims_request *rq, making *m)
{
    tims_pages *pages = m->entry->pages;
    tims_cache *cache = pages->options.cache;
    m->name = (tims_cache_name){ .kind = TIMS_CACHE_PAGE,
                                 .text = tims_print(rq->arena, "%S %S", tims_language_of(rq), m->target),
                                 .caller = tims_caller_unnoted(rq) };
    for (int turn = 0;; turn++) {
        const tims_cached *kept = find(rq, cache, &m->name);
        if (kept != NULL) {
            atomic_fetch_add_explicit(&pages->counts.kept, 1, memory_order_relaxed);
            return answer_kept(rq, pages, kept);
        }
        if (turn == TURNS_MAX || atomic_load_explicit(m->entry->is_unkept, memory_order_relaxed) ||
            tims_cache_lead(cache, rq, &m->name))
            break;
    }
    m->since = tims_cache_since(cache, TIMS_CACHE_PAGE);
    note_reads(rq, m);
    tims_answer answer = make(rq, m);
    tims_cache_done(cache, rq, &m->name);
    return answer;
}

tims_answer pages__answer(tims_request *rq)
{
    const pages__entry *entry = rq->route->data;
    const tims_pages *pages = entry->pages;
    TIMS_CHECK_MAGIC(pages, PAGES__MAGIC);
    making m = { .entry = entry, .target = pages__target_of(rq) };
    if (!pages__may_see(rq, entry->page)) {
        pages__set_unkept(rq);
        return tims_answer_redirect(rq, 303, pages__login_address(rq->arena, m.target));
    }
    tims_csrf_cookie(rq);
    if (pages->options.cache == NULL || pages->options.development)
        return make(rq, &m);
    return find_or_make(rq, &m);
}
