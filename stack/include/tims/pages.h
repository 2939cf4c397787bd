/* pages.h: server-rendered pages. A route, who may see it, a loader that names its data; Next.js renders
 * it. */
#ifndef TIMS_PAGES_H
#define TIMS_PAGES_H

#include "tims/auth.h"
#include "tims/cache.h"
#include "tims/model.h"

typedef struct tims_page {
    tims_request *rq;
    struct tims_page_state *state;
} tims_page;

typedef struct tims_page_route {
    const char *path;   /* "/chat/{chat:id}"; the Next page is "/chat/[chat]" */
    const char *access; /* NULL: anybody; tims_access_signed_in: others are sent to /login?next=… */
    void (*load)(tims_page *page); /* NULL: a page without data */
    const char *doc;
} tims_page_route;

/* Adds the answer of GET `url` to the page's data, read in the page's one snapshot. "%S" takes a tims_str
 * (percent-encoded: tims_buf_print_url_v), "%I" a tims_id.
 * Raises: 404 for a detail that is not there. */
void tims_page_include(tims_page *page, const char *url_format, ...);
/* A value of the page's own: JSON under `name` in the page's props. */
void tims_page_value(tims_page *page, const char *name, tims_str json);
/* A parameter of the page's path, decoded; asserts that the path has it. Lives as long as the request. */
tims_str tims_param(tims_page *page, const char *name);
/* For a form that works without JavaScript: its hidden field csrf_token is in the page's data, as "csrf".
 * Such a page is not kept. With JavaScript nothing of this is needed: the client reads the token from a
 * cookie. */
void tims_page_csrf(tims_page *page);
/* A page's HTML is kept until something changes that its loader has read, and given to whoever would get the
 * same. Both are found out by what the loader reads by models and includes; what it asks besides (a header, a
 * cookie, the time, other programs) nobody sees, so it has to be said: */
void tims_page_private(tims_page *page);  /* kept here for this caller only, and in no browser */
void tims_page_uncached(tims_page *page); /* made anew each time */

/* The page's language: of the project's, the one that the cookie `language` names, else the one that the
 * browser likes best, else the first. Also for what a handler answers in words. */
tims_str tims_language_of(tims_request *rq);

/* What is POSTed to the render server, and embedded by it for hydration:
 * {"path":"/chat/1?x=y","route":"/chat/[chat]","params":{"chat":"1"},"language":"en","user":{…}|null,
 *  "position":"e-n","live":{"/api/chats/":{document as GET answers it},…},"values":{…}}
 * user: id, username, display_name, avatar, staff. position: "" for a page that loads nothing. */

typedef struct tims_pages_options {
    const char *front_directory; /* holds dist/app (exported), dist/server (.next), public/ */
    const char *render_command;  /* for /bin/sh; started and supervised when set; told TIMS_RENDER_SOCKET */
    tims_str render_url;       /* unix:/path or http://host:port of the render server; empty: a private socket
                                * for render_command, or without one the exported shells only */
    int64_t render_timeout_ms; /* past it, or when the server is down, the exported shell is served; 0: 3 s */
    int64_t render_processes;  /* so many are started, or stand behind render_url; 0: one per core */
    int64_t render_memory_max; /* one with more than these bytes in memory is replaced; 0: never */
    tims_cache *cache;         /* where pages are kept; NULL: nowhere. It outlives the requests */
    tims_names
        languages;    /* that pages are there in: BCP 47 tags, the first for want of another; none: "en" */
    bool development; /* proxy /_next (and its websocket) to the render server */
    /* Handed in by the composition: the document of a live URL, and the session's position as a JSON string
     * (NULL: pages have none). */
    const void *resolver_data;
    tims_status (*write_url)(const void *data, tims_request *rq, tims_str url, tims_json_writer *writer,
                             tims_error *err);
    tims_status (*write_position)(const void *data, tims_request *rq, tims_json_writer *writer,
                                  tims_error *err);
} tims_pages_options;

typedef struct tims_pages tims_pages;
/* Errors: INVALID (a bad path, two pages at one path) naming the page. */
tims_status tims_pages_new(tims_arena *arena, const tims_page_route *const *tables, size_t count,
                           const tims_pages_options *options, tims_pages **ret_pages, tims_error *err);
/* Starts the render processes (loop 0) and keeps them running, with growing pauses when one dies at once. */
tims_status tims_pages_start(tims_pages *pages, tims_loop *loop, tims_error *err);
void tims_pages_stop(tims_pages *pages); /* on that loop; also before the program re-executes itself */
/* What is counted: lines for Prometheus. Any thread. */
void tims_pages_metrics(tims_pages *pages, tims_buf *out);
/* Pages, /page-data, /_next/…, public files. */
const tims_route *tims_pages_routes(const tims_pages *pages, size_t *ret_count);

/* For these rq->slots[TIMS_SLOT_PAGE] must hold the tims_pages (set it in the server's begin hook). */

/* For the server's not_found: the app's 404 page for browsers. Raises: 404, for everybody else. */
tims_answer tims_pages_not_found(tims_request *rq);
/* For the end of the server's finish hook: where a browser asked for a page and something was raised, the
 * app's error page takes the place of the problem document. */
void tims_pages_finish(tims_request *rq, tims_answer *answer);
/* The JSON of a page's data, for clients that navigate without a reload: GET /page-data?path=/chat/1
 * Raises: 400, 401, 403, 404. */
tims_answer tims_pages_data(tims_request *rq);

#endif
