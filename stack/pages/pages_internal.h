/* pages_internal.h: what the files of this room share.
 *
 *   tims_pages ── one per process: the page routes as the router takes them
 *     ├─ pages__entry ── one per page: its path, its Next page, its exported shell
 *     ├─ pages__shells ── exported files as they were read
 *     └─ pages__pool ── the render processes: who is asked, and who waits
 *          └─ pages__process ── one of them: started, watched, replaced */
#ifndef PAGES_INTERNAL_H
#define PAGES_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "tims/pages.h"

enum {
    PAGES__MAGIC = 0x50414745,
    PAGES__STATE_MAGIC = 0x50615374,
    PAGES__DATA_BYTES_MAX = 8 * 1024 * 1024,
    PAGES__SHELL_BYTES_MAX = 2 * 1024 * 1024,
    PAGES__TARGET_BYTES_MAX = 4096,
    PAGES__SOURCES_BYTES_MAX = 4096, /* some 70 inline scripts */
    PAGES__BUILD_LENGTH_MAX = 128,
    PAGES__NONCE_LENGTH = 22, /* 128 bits as base64url */
};

typedef struct pages__entry {
    tims_pages *pages;
    _Atomic bool *is_unkept; /* what became of it last: it could not be kept, so nobody waits for it */
    const tims_page_route *page;
    tims_str next_route; /* "/chat/[chat]" */
    const char *shell;   /* "chat/[chat].html" */
} pages__entry;

typedef struct pages__shells pages__shells;
typedef struct pages__pool pages__pool;
void pages__pool_init(tims_pages *pages);
void pages__pool_metrics(pages__pool *pool, tims_buf *out);

/* Which build of the front end is there. */
typedef struct pages__build {
    pthread_mutex_t mutex;                                                     /* of the texts */
    _Atomic uint64_t number;                                                   /* grows with each new one */
    char name[PAGES__BUILD_LENGTH_MAX + 1], file[PAGES__BUILD_LENGTH_MAX + 1]; /* empty: not known */
} pages__build;

/* Why a page was answered with its shell. */
typedef enum pages__why {
    PAGES__NO_RENDERER, /* none is there, or it is left alone for a moment */
    PAGES__OVERLOADED,  /* too many wait already */
    PAGES__LATE,
    PAGES__FAILED,
    PAGES__WHYS
} pages__why;

typedef struct pages__counts {
    _Atomic uint64_t renders, kept, shells[PAGES__WHYS], restarts, memory_restarts, builds;
} pages__counts;

struct tims_pages {
    uint32_t magic;
    tims_arena *arena;
    tims_pages_options options;
    pages__entry *entries;
    size_t entry_count;
    tims_router *router; /* the pages alone, for /page-data */
    tims_route *routes;
    size_t route_count, route_capacity;
    const char *static_root, *public_root;
    pages__shells *shells;
    pages__pool *pool;
    pages__build build;
    pages__counts counts;
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

/* page.c: a page's data */
typedef struct pages__loaded {
    tims_str data;
    int64_t position;           /* of the snapshot, where reads were noted */
    bool is_private, is_unkept; /* as the loader has said */
} pages__loaded;
/* Raises as the loader does. `reads`: notes what it reads there; NULL: it is not asked to. */
void pages__load(tims_request *rq, const pages__entry *entry, tims_pairs params, tims_str target,
                 tims_reads *reads, pages__loaded *ret_loaded);
/* False: the caller has to sign in first. Raises: 403. */
bool pages__may_see(tims_request *rq, const tims_page_route *page);

/* answer.c: a page as HTML: kept, rendered, or its shell */
tims_answer pages__answer(tims_request *rq);
tims_answer pages__html_answer(int status, tims_str html);

/* policy.c: which scripts run, and who may keep it */
tims_str pages__nonce(tims_arena *arena);
/* The HTML without the nonce, and the sources of the scripts that carried it, as the policy writes them:
 * " 'sha256-…' 'sha256-…'". */
tims_str pages__seal(tims_arena *arena, tims_str html, tims_str nonce, tims_str *ret_sources);
tims_str pages__sources_of_export(tims_arena *arena, tims_str html); /* of all scripts */
void pages__set_policy(tims_request *rq, const tims_pages *pages, tims_str sources);
void pages__set_unkept(tims_request *rq); /* nobody may keep the answer */

/* shell.c: exported files */
typedef struct pages__shell {
    tims_str html, sources;
} pages__shell;
void pages__shells_init(tims_pages *pages);
/* False when there is no such file. */
bool pages__shell_find(tims_request *rq, const tims_pages *pages, const char *file, pages__shell *ret_shell);
tims_answer pages__shell_answer(tims_request *rq, const tims_pages *pages, int status,
                                const pages__shell *found);

/* ask.c: one page rendered */
typedef struct pages__rendering {
    tims_str target, data;
    /* out */
    int status;
    tims_str html, sources; /* sealed */
    bool is_current;        /* by the build that is there now */
    pages__why why;         /* when it failed */
} pages__rendering;
/* Suspends. Errors: UNAVAILABLE, TIMEOUT, … — the shell is the answer then. */
tims_status pages__render(tims_request *rq, tims_pages *pages, pages__rendering *rendering, tims_error *err);

/* build.c */
void pages__build_init(tims_pages *pages);
void pages__build_look(tims_pages *pages); /* loop 0, now and then: a new one replaces the render processes */
/* A render server of somebody else's says which it is of. */
void pages__build_hear(tims_pages *pages, tims_str name);
bool pages__build_is(tims_pages *pages, tims_str name);

/* asset.c, develop.c: routes of files; of the development server */
void pages__add_route(tims_pages *pages, tims_route route);
void pages__add_assets(tims_pages *pages);
/* A file of the public folder that came after the start. */
bool pages__try_public(tims_request *rq, const tims_pages *pages, tims_answer *ret_answer);
/* While developing: whether it may be a file of a public folder that only the render server has, in another
 * container. */
bool pages__is_distant_public(const tims_request *rq, const tims_pages *pages);
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
