/* kept.c: GET answered from the cache, and pages' includes from the same.
 *
 * What is kept is the text of the answer, under the URL as it was asked for. Whoever finds it is told the
 * position that their own read would have had: the text holds there. A list names the position it was read at
 * in its text, which is not later, so a client may go on from either.
 *
 * An answer that is asked for the first time is read as if there were no cache. The second time its reads are
 * recorded, and it is kept; several that ask for it at once wait for one of them. */
#include "rest/rest_internal.h"

static void free_reads(void *argument)
{
    tims_reads *reads = argument;
    tims_reads_free(&reads);
}

tims_reads *rest__new_reads(tims_request *rq, bool lenient)
{
    tims_reads *reads = lenient ? tims_reads_new_lenient() : tims_reads_new();
    tims_defer(rq, free_reads, reads);
    return reads;
}

/* --- finding ---------------------------------------------------------------------------------- */

static void set_position(tims_request *rq, const tims_rest *rest, int64_t position)
{
    tims_str epoch, key;
    tims_error err = { 0 };
    tims_check(rq, rest__secrets(rest, tims_session_db(rq), rq->arena, &epoch, &key, &err), &err);
    rest__set_read_headers(rq, rest__position_text(rq->arena, epoch, position));
}

/* For tests: what is found must be what is read in the same snapshot. Where it is not, what is read is told.
 */
static const tims_cached *find_checked(tims_request *rq, const tims_rest *rest, rest__keeping *keeping,
                                       rest__write_fn write, const void *argument)
{
    tims_db_session *db = tims_session_db(rq);
    tims_error err = { 0 };
    int64_t position;
    tims_check(rq, tims_db_begin_snapshot(db, &err), &err);
    tims_check(rq, tims_position(db, &position, &err), &err);
    const tims_cached *found = tims_cache_find(keeping->cache, rq, &keeping->name, position);
    if (found != NULL) {
        tims_buf fresh;
        tims_buf_init(&fresh, rq->arena, REST__DOCUMENT_BYTES_MAX);
        write(rq, argument, tims_cached_position(found), &fresh);
        if (!tims_str_equal(tims_buf_str(&fresh), tims_cached_body(found))) {
            tims_cache_report_stale(keeping->cache, &keeping->name);
            found = NULL;
        }
    }
    tims_db_end_snapshot(db);
    if (found != NULL)
        set_position(rq, rest, position);
    return found;
}

static const tims_cached *find(tims_request *rq, const tims_rest *rest, rest__keeping *keeping,
                               rest__write_fn write, const void *argument)
{
    tims_error err = { 0 };
    int64_t position;
    if (!tims_cache_has(keeping->cache, &keeping->name))
        return NULL;
    if (TIMS_UNLIKELY(tims_cache_is_checked(keeping->cache)))
        return find_checked(rq, rest, keeping, write, argument);
    tims_check(rq, tims_position_now(tims_session_db(rq), &position, &err), &err);
    const tims_cached *found = tims_cache_find_now(keeping->cache, rq, &keeping->name, position);
    if (found != NULL)
        set_position(rq, rest, position);
    return found;
}

const tims_cached *rest__kept_find(tims_request *rq, const tims_rest *rest, rest__keeping *ret_keeping,
                                   rest__write_fn write, const void *argument)
{
    enum { TURNS_MAX = 3 }; /* who has waited so often reads for themselves */
    rest__keeping keeping = { .cache = rest->cache,
                              .name = { TIMS_CACHE_JSON, rq->target, tims_caller_unnoted(rq) } };
    const tims_cached *found = NULL;
    for (int turn = 0; keeping.cache != NULL && found == NULL && turn < TURNS_MAX; turn++) {
        found = find(rq, rest, &keeping, write, argument);
        keeping.is_wanted = found == NULL && tims_cache_is_wanted(keeping.cache, &keeping.name);
        if (!keeping.is_wanted || tims_cache_lead(keeping.cache, rq, &keeping.name))
            break;
    }
    if (keeping.is_wanted)
        keeping.since = tims_cache_since(keeping.cache, TIMS_CACHE_JSON);
    *ret_keeping = keeping;
    return found;
}

void rest__keep(tims_request *rq, const rest__keeping *keeping, int64_t position, const tims_reads *reads,
                tims_str body)
{
    if (!keeping->is_wanted)
        return;
    const tims_cache_answer answer = { .since = keeping->since,
                                       .position = position,
                                       .reads = reads,
                                       .status = 200,
                                       .body = body,
                                       .content_type = TIMS_STR("application/json") };
    (void)tims_cache_keep(keeping->cache, rq, &keeping->name, &answer);
    tims_cache_done(keeping->cache, rq, &keeping->name);
}

void tims_rest_set_cache(tims_rest *rest, tims_cache *cache)
{
    TIMS_CHECK_MAGIC(rest, REST__MAGIC);
    rest->cache = cache;
}

/* --- including -------------------------------------------------------------------------------- */

static tims_status write_computed(const tims_rest *rest, tims_request *rq, tims_str url, tims_reads *reads,
                                  tims_str *ret_text, tims_error *err)
{
    tims_computed_url found;
    tims_caller caller = tims_caller_unnoted(rq);
    tims_status status = tims_rest_resolve_computed(rest, rq->arena, url, caller, &found, err);
    if (status != TIMS_OK)
        return status;
    tims_buf out;
    tims_buf_init(&out, NULL, REST__DOCUMENT_BYTES_MAX);
    status = tims_rest_compute(rq, &found, caller, reads, &out, err);
    if (status == TIMS_OK)
        *ret_text = tims_copy(rq->arena, tims_buf_str(&out));
    tims_buf_free(&out);
    return status;
}

static tims_status write_resource(const tims_rest *rest, tims_request *rq, const tims_live_url *url,
                                  int64_t position, tims_str *ret_text, tims_error *err)
{
    tims_buf out;
    tims_str epoch, key;
    tims_db_session *db = tims_session_db(rq);
    tims_buf_init(&out, rq->arena, REST__DOCUMENT_BYTES_MAX);
    tims_json_writer writer = tims_json_to(&out);
    tims_status status = rest__secrets(rest, db, rq->arena, &epoch, &key, err);
    if (status == TIMS_OK)
        status = tims_rest_write(db, rq->arena, url, epoch, position, &writer, err);
    *ret_text = tims_buf_str(&out);
    return status;
}

/* An endpoint is always recorded strictly, as by GET of its own; the rest only where somebody wants to know
 * (`ret_reads` not NULL), beside the recorder that is set. */
static tims_status read_included(const tims_rest *rest, tims_request *rq, tims_str url, int64_t position,
                                 tims_reads **ret_reads, tims_str *ret_text, tims_error *err)
{
    tims_live_url *found = TIMS_NEW(rq->arena, tims_live_url);
    tims_status status = tims_rest_resolve(rest, rq->arena, url, tims_caller_unnoted(rq), found, err);
    bool is_computed = status == TIMS_NOT_FOUND;
    tims_reads *reads = is_computed || ret_reads != NULL ? rest__new_reads(rq, !is_computed) : NULL;
    if (ret_reads != NULL)
        *ret_reads = reads;
    if (is_computed)
        return write_computed(rest, rq, url, reads, ret_text, err);
    if (status != TIMS_OK)
        return status;
    if (reads != NULL)
        tims_reads_begin(rq, reads);
    status = write_resource(rest, rq, found, position, ret_text, err);
    if (reads != NULL)
        tims_reads_end(rq);
    return status;
}

static tims_status check_included(const tims_rest *rest, tims_request *rq, const tims_cache_name *name,
                                  const tims_cached **found, tims_error *err)
{
    tims_str fresh;
    tims_status status = read_included(rest, rq, name->text, tims_cached_position(*found), NULL, &fresh, err);
    if (status == TIMS_OK && tims_str_equal(fresh, tims_cached_body(*found)))
        return TIMS_OK;
    tims_cache_report_stale(rest->cache, name);
    *found = NULL;
    return status;
}

/* The page's snapshot is open, so it does not wait for others. */
static tims_status find_included(const tims_rest *rest, tims_request *rq, const tims_cache_name *name,
                                 const tims_cached **ret_found, tims_error *err)
{
    int64_t position;
    *ret_found = NULL;
    if (!tims_cache_has(rest->cache, name))
        return TIMS_OK;
    tims_status status = tims_position(tims_session_db(rq), &position, err);
    if (status != TIMS_OK)
        return status;
    *ret_found = tims_cache_find(rest->cache, rq, name, position);
    if (*ret_found != NULL && TIMS_UNLIKELY(tims_cache_is_checked(rest->cache)))
        status = check_included(rest, rq, name, ret_found, err);
    if (*ret_found != NULL && tims_reads_of(rq) != NULL)
        tims_cached_note(*ret_found, tims_reads_of(rq));
    return status;
}

tims_status tims_rest_include(const tims_rest *rest, tims_request *rq, tims_str url, tims_json_writer *writer,
                              tims_error *err)
{
    TIMS_CHECK_MAGIC(rest, REST__MAGIC);
    rest__keeping keeping = { .cache = rest->cache,
                              .name = { TIMS_CACHE_JSON, url, tims_caller_unnoted(rq) } };
    const tims_cached *found = NULL;
    tims_status status = rest->cache != NULL ? find_included(rest, rq, &keeping.name, &found, err) : TIMS_OK;
    if (status != TIMS_OK || found != NULL) {
        if (status == TIMS_OK)
            tims_json_raw(writer, tims_cached_body(found));
        return status;
    }
    keeping.is_wanted = rest->cache != NULL && tims_cache_is_wanted(rest->cache, &keeping.name);
    keeping.since = keeping.is_wanted ? tims_cache_since(rest->cache, TIMS_CACHE_JSON) : 0;
    tims_str text;
    int64_t position = 0;
    tims_reads *reads = NULL;
    status = read_included(rest, rq, url, 0, keeping.is_wanted ? &reads : NULL, &text, err);
    if (status == TIMS_OK && keeping.is_wanted)
        status = tims_position(tims_session_db(rq), &position, err);
    if (status != TIMS_OK)
        return status;
    rest__keep(rq, &keeping, position, reads, text);
    tims_json_raw(writer, text);
    return TIMS_OK;
}
