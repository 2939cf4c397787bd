/* pages_internal.h: what the files of this room share.
 *
 *   tims_pages ── one per process: the page routes as the router takes them, and the way to the render server
 *     ├─ pages__entry ── one per page: its path, its Next page, its exported shell
 *     └─ pages__render ── the render server: started, watched, asked */
#ifndef PAGES_INTERNAL_H
#define PAGES_INTERNAL_H

#include <stdatomic.h>

#include "tims/pages.h"

enum {
    PAGES__MAGIC = 0x50414745,
    PAGES__STATE_MAGIC = 0x50615374,
    PAGES__DATA_BYTES_MAX = 8 * 1024 * 1024,
    PAGES__SHELL_BYTES_MAX = 2 * 1024 * 1024,
    PAGES__TARGET_BYTES_MAX = 4096,
    PAGES__NONCE_LENGTH = 22, /* 128 bits as base64url */
};

typedef struct pages__entry {
    tims_pages *pages;
    const tims_page_route *page;
    tims_str next_route; /* "/chat/[chat]" */
    const char *shell;   /* "chat/[chat].html" */
} pages__entry;

typedef enum pages__render_state {
    PAGES__RENDER_NONE,     /* none was asked for: shells only */
    PAGES__RENDER_STARTING, /* for the first time: the first visitors wait for it */
    PAGES__RENDER_READY,
    PAGES__RENDER_DOWN /* it has died and comes back */
} pages__render_state;

typedef struct pages__render {
    _Atomic int state;
    _Atomic int64_t started_us;
    _Atomic int silent_count;       /* failures in a row that nothing it answered meanwhile excuses */
    _Atomic int64_t answered_us;    /* monotonic: its last sign of life */
    _Atomic int64_t rests_until_us; /* monotonic: it gave none for too long, so it is not asked until then */
    tims_str base;                  /* "unix:/tmp/…/render.sock:" or "http://host:port"; a path follows */
    int64_t timeout_ms;
    /* the supervised process, loop 0 only */
    const char *command, *line, *socket_setting;
    tims_str folder, socket;
    tims_loop *loop;
    tims_process *process;
    tims_fiber *probe;
    tims_timer timer;
    int64_t pause_ms;
    bool stopping;
} pages__render;

struct tims_pages {
    uint32_t magic;
    tims_arena *arena;
    tims_pages_options options;
    pages__entry *entries;
    size_t entry_count;
    tims_router *router; /* the pages alone, for /page-data */
    tims_route *routes;
    size_t route_count, route_capacity;
    const char *static_root; /* of the rendered pages */
    pages__render render;
};

/* route.c: names and addresses */
tims_str pages__next_route(tims_arena *arena, const char *path); /* "/chat/{chat:id}" → "/chat/[chat]" */
const char *pages__shell_of(tims_arena *arena, tims_str next_route);
/* The request's address, encoded again from what was decoded: nothing of the client's spelling goes on. */
tims_str pages__target_of(tims_request *rq);
tims_str pages__login_address(tims_arena *arena, tims_str target);

/* language.c. Errors: INVALID naming what is no language. */
tims_status pages__languages_check(tims_names languages, tims_error *err);
/* `chosen`: the cookie; `accepted`: Accept-Language. Either may be empty. */
const char *pages__language_pick(tims_names languages, tims_str chosen, tims_str accepted);

/* page.c: a page's data. Raises as the loader does. */
tims_str pages__load(tims_request *rq, const pages__entry *entry, tims_pairs params, tims_str target);
tims_answer pages__answer(tims_request *rq);

/* shell.c: what stands around a page: headers, and the exported file with a nonce in it */
tims_str pages__nonce(tims_arena *arena);
void pages__set_headers(tims_request *rq, const tims_pages *pages, tims_str nonce);
/* False when there is no such file. */
bool pages__shell(tims_request *rq, const tims_pages *pages, const char *file, tims_str nonce,
                  tims_str *ret_html);
/* Puts the nonce on every script of a page that we built ourselves. */
tims_str pages__add_nonce(tims_arena *arena, tims_str html, tims_str nonce);

/* render.c */
void pages__render_init(tims_pages *pages);
/* The page as HTML. Suspends. Errors: UNAVAILABLE, TIMEOUT, … — the shell is the answer then. */
tims_status pages__render_page(tims_request *rq, tims_pages *pages, tims_str target, tims_str data,
                               tims_str nonce, int *ret_status, tims_str *ret_html, tims_error *err);
/* The address of `target` (a path with its query) on the render server. */
tims_str pages__render_address(tims_arena *arena, const tims_pages *pages, tims_str target);

/* asset.c, develop.c: routes of files; of the development server */
void pages__add_route(tims_pages *pages, tims_route route);
void pages__add_assets(tims_pages *pages);
/* Which of the two builds has this script. */
const char *pages__static_root(tims_arena *arena, const tims_pages *pages, tims_str path);
tims_answer pages__proxy(tims_request *rq);
bool pages__is_development_path(tims_str path);

static inline tims_pages *pages__of(tims_request *rq)
{
    tims_pages *pages = rq->slots[TIMS_SLOT_PAGE];
    TIMS_CHECK_MAGIC(pages, PAGES__MAGIC);
    return pages;
}

#endif
