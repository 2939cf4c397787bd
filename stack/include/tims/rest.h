/* rest.h: resources (lists, details, writes of a model at a URL) and what goes with them: paging, filters,
 * throttles. */
#ifndef TIMS_REST_H
#define TIMS_REST_H

#include "tims/auth.h"
#include "tims/cache.h"
#include "tims/model.h"
#include "tims/redis.h"

enum {
    TIMS_LIST = 1,
    TIMS_READ = 2,
    TIMS_CREATE = 4,
    TIMS_UPDATE = 8,
    TIMS_DELETE = 16,
    TIMS_EVERYTHING = TIMS_LIST | TIMS_READ | TIMS_CREATE | TIMS_UPDATE | TIMS_DELETE
};
enum { TIMS_PAGE_SIZE = 50, TIMS_PAGE_MAX = 200, TIMS_PAGE_NUMBER_MAX = 1000 * 1000 };

typedef struct tims_resource {
    const char *path; /* "/api/messages/"; the detail is path{id}/ */
    const tims_model *model;
    uint32_t allow;
    tims_names filter; /* fields: ?chat=… also ?created_at__lt=… __gt __gte __lte __in __isnull __not */
    tims_names order;  /* fields that ?order= may name; the model's default order always works */
    struct {
        int64_t size, max;
    } page; /* 0: TIMS_PAGE_SIZE, TIMS_PAGE_MAX */
    /* Hooks, in the request's transaction; may raise. `row` points at the model's struct. */
    void (*before_create)(tims_request *rq, void *row);
    void (*after_create)(tims_request *rq, void *row);
    void (*before_update)(tims_request *rq, void *row, tims_field_set changed);
    void (*before_delete)(tims_request *rq, void *row);
    const char *throttle; /* "20/s" "100/m" "5000/h" "none": writes per user (an address may ten times that;
                           * without a user just that); NULL: 50/s */
    const char *read_throttle; /* the same for reads; NULL: 200/s */
    const char *doc;
} tims_resource;

/* Lists answer {"rows":[…],"total":n|null,"next":url|null,"previous":url|null,"position":"epoch-n"}.
 * Query: filters, search (where the model has search fields), order, limit, page (number) or cursor (opaque,
 * signed), fields=a,b, include=chat,sender (adds "included":{"chat":{id:row}}), total=false. Unknown
 * parameters are 400. Details answer the row itself. Each answer names its position in the header
 * Tims-Position; writes name the position at which they are visible. ETag/If-None-Match/If-Match on details;
 * Idempotency-Key on writes: same key and body, same answer; other body 422. */

typedef struct tims_rest tims_rest;
/* Routes of all resources, for the router. */
tims_status tims_rest_new(tims_arena *arena, const tims_resource *const *tables, size_t count,
                          const tims_models *models, tims_rest **ret_rest, tims_error *err);
/* Reads what the database keeps for this room: before that was read, tims_rest_resolve leaves a cursor to
 * tims_rest_write. Blocks; before the loops start. Errors: the database's; INTERNAL when it is not migrated.
 */
tims_status tims_rest_load(tims_rest *rest, tims_db *db, tims_error *err);
/* The list and detail routes of all resources; they live as long as `rest`. */
const tims_route *tims_rest_routes(const tims_rest *rest, size_t *ret_count);
/* Called by the server's begin hook: tims_throttle finds its state on the request. */
void tims_request_set_rest(tims_request *rq, tims_rest *rest);
/* The epoch that answers name from now on, instead of the one read at first; borrowed for good. */
void tims_rest_set_epoch(tims_rest *rest, tims_str epoch);
/* What answers GET with Accept: text/event-stream on a list or detail: `url` is the request's target. Handed
 * in by the composition; without it such requests get 406. */
typedef tims_answer (*tims_rest_stream_fn)(tims_request *rq, void *data, tims_str url);
/* Before the loops start. */
void tims_rest_set_stream(tims_rest *rest, tims_rest_stream_fn function, void *data);
/* What keeps the answers to GET: without it (NULL) each is read. Before the loops start; it must outlive
 * them. */
void tims_rest_set_cache(tims_rest *rest, tims_cache *cache);
extern const tims_embedded tims_rest_migrations[]; /* the idempotency table */
extern const tims_model *const tims_rest_models[];

/* The resolver that live and pages use: a URL (path and query) of a list or detail to a query.
 * Errors: NOT_FOUND (no such resource), INVALID (a bad parameter), UNAUTHORIZED. */
enum { TIMS_INCLUDES_MAX = 4 };
typedef struct tims_live_url {
    const tims_rest *rest;
    const tims_resource *resource;
    tims_query query;
    bool is_detail;
    bool with_total;
    tims_str canonical; /* the URL with its parameters sorted and defaults left out: names the subscription */
    tims_str base;      /* the same without page and cursor: what next and previous are made of */
    int64_t page;       /* page number; 0: by cursor, or the first page */
    tims_str cursor;    /* as it was given; checked when the document is written. data == NULL: none */
    const tims_field *includes[TIMS_INCLUDES_MAX];
    size_t include_count;
} tims_live_url;
/* In `arena`; strings of `url` are borrowed. */
tims_status tims_rest_resolve(const tims_rest *rest, tims_arena *arena, tims_str url, tims_caller caller,
                              tims_live_url *ret_url, tims_error *err);
/* Writes the same document that GET of the URL answers, from the session's current snapshot; a detail is the
 * bare row. `position`: the snapshot's, if it is known; 0: it is asked for. Errors: NOT_FOUND (a detail that
 * is not there for this caller), the database's. */
tims_status tims_rest_write(tims_db_session *db, tims_arena *arena, const tims_live_url *url, tims_str epoch,
                            int64_t position, tims_json_writer *writer, tims_error *err);

/* --- computed endpoints ----------------------------------------------------------------------- */

/* A URL that answers JSON computed from models. GET answers it; live runs it again when a row it has read
 * from changes, so `write` may only read (see tims_reads_begin) and must say the same for the same rows,
 * query and caller. */
typedef struct tims_computed {
    const char *path; /* "/api/unread/"; what differs between URLs is in the query: tims_query_get */
    void (*write)(tims_request *rq, tims_json_writer *w); /* one JSON value; may raise */
    const char *access; /* NULL: anybody; tims_access_signed_in, tims_access_staff */
    const char *doc;
    tims_route_api api; /* what it answers, and its query */
} tims_computed;
/* Before the routes are asked for. The table ends with an empty row. Errors: INVALID naming the endpoint. */
tims_status tims_rest_add_computed(tims_rest *rest, tims_arena *arena, const tims_computed *table,
                                   tims_error *err);

typedef struct tims_computed_url {
    const tims_rest *rest;
    const tims_computed *computed;
    tims_str path, query_text;
    tims_str canonical; /* with the parameters sorted: names the subscription */
} tims_computed_url;
/* Errors: NOT_FOUND (no such endpoint), INVALID (no URL), UNAUTHORIZED, FORBIDDEN. */
tims_status tims_rest_resolve_computed(const tims_rest *rest, tims_arena *arena, tims_str url,
                                       tims_caller caller, tims_computed_url *ret_url, tims_error *err);
/* Writes what GET of the URL answers to the caller, read in the snapshot in which the session of `rq` stands,
 * and notes in `reads` what it was read from; after an error too: that may change when these do. It runs as a
 * request of its own, whose raise ends only it. `out` is a buffer of no arena. Suspends.
 * Errors: what was raised; INTERNAL when it wrote no JSON; TOO_LARGE. */
tims_status tims_rest_compute(tims_request *rq, const tims_computed_url *url, tims_caller caller,
                              tims_reads *reads, tims_buf *out, tims_error *err);

/* The document that GET of the URL answers to the request's caller, as part of another answer: from the cache
 * or read in the session's snapshot, which is open. What is read for it, the recorder that is set has read
 * too. Errors: NOT_FOUND (no such URL, a detail that is not there), INVALID, UNAUTHORIZED, FORBIDDEN, what an
 * endpoint raises, the database's. */
tims_status tims_rest_include(const tims_rest *rest, tims_request *rq, tims_str url, tims_json_writer *writer,
                              tims_error *err);

/* Rates per minute and per hour are counted once for all nodes that share the server and the prefix (rates
 * per second protect a node, and are its own); while it is away, by each for itself. Before the loops start;
 * both must outlive them. */
void tims_rest_share_limits(tims_rest *rest, tims_redis *redis, tims_str prefix);
/* Throttle for endpoints: raises 429 with Retry-After when `key` (e.g. a user id, an address) is over
 * `rate`. */
void tims_throttle(tims_request *rq, const char *name, const char *rate);

#endif
