/* computed.c: endpoints whose answer is computed from models: GET of them, and what live needs to run them
 * again.
 *
 * A handler writes one JSON value. What it reads meanwhile is noted as topics (model's reads.c), so whoever
 * keeps the answer knows when it may be another. GET records too and throws the notes away: a handler that
 * cannot be followed live (it writes, it runs SQL without saying on what) fails at its first GET, not at the
 * first change.
 *
 * For live it runs as a request without a client on a session that is lent to it, so that everything in one
 * step of the feed is read in one snapshot, and a raise ends the handler, not the feed. */
#include "rest/rest_internal.h"

/* --- tables ----------------------------------------------------------------------------------- */

static tims_status refuse(const tims_computed *computed, const char *why, tims_error *err)
{
    return tims_fail(err, TIMS_INVALID, "computed", "computed endpoint \"%s\": %s", computed->path, why);
}

static tims_status check_computed(const tims_computed *computed, tims_error *err)
{
    tims_str path = tims_str_from(computed->path);
    if (!tims_str_starts_with(path, TIMS_STR("/")) || !tims_str_ends_with(path, TIMS_STR("/")) ||
        path.length < 2 || tims_str_find(path, TIMS_STR("{")) != SIZE_MAX)
        return refuse(computed, "the path must start and end with / and have no parameters", err);
    if (computed->write == NULL)
        return refuse(computed, "it has no .write", err);
    if (computed->access != NULL && computed->access != tims_access_signed_in &&
        computed->access != tims_access_staff)
        return refuse(computed, ".access must be tims_access_signed_in or tims_access_staff", err);
    return TIMS_OK;
}

static tims_answer answer_get(tims_request *rq);

static void add_one(tims_rest *rest, const tims_computed *computed)
{
    rest__computed *entry = &rest->computed[rest->computed_count++];
    *entry = (rest__computed){ rest, computed, tims_str_from(computed->path) };
    rest->routes[rest->route_count++] = (tims_route){ .methods = TIMS_METHOD_GET,
                                                      .pattern = computed->path,
                                                      .handler = answer_get,
                                                      .data = computed,
                                                      .access = computed->access,
                                                      .doc = computed->doc };
}

tims_status tims_rest_add_computed(tims_rest *rest, tims_arena *arena, const tims_computed *table,
                                   tims_error *err)
{
    TIMS_CHECK_MAGIC(rest, REST__MAGIC);
    size_t count = 0;
    for (; table[count].path != NULL; count++) {
        tims_status status = check_computed(&table[count], err);
        if (status != TIMS_OK)
            return status;
    }
    rest__computed *entries = TIMS_NEW_ARRAY(arena, rest__computed, rest->computed_count + count + 1);
    tims_route *routes = TIMS_NEW_ARRAY(arena, tims_route, rest->route_count + count + 1);
    if (rest->computed_count > 0)
        memcpy(entries, rest->computed, rest->computed_count * sizeof *entries);
    memcpy(routes, rest->routes, rest->route_count * sizeof *routes);
    rest->computed = entries;
    rest->routes = routes;
    for (size_t i = 0; i < count; i++)
        add_one(rest, &table[i]);
    return TIMS_OK;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* Raises: what the handler raises, 500. */
static void write_recorded(tims_request *rq, const tims_computed *computed, tims_reads *reads, tims_buf *out)
{
    tims_json_writer writer = tims_json_to(out);
    tims_reads_begin(rq, reads);
    computed->write(rq, &writer);
    tims_reads_end(rq);
    if (out->overflow)
        tims_raise(rq, 413, "too_large", "The answer is too large.");
    if (out->length == 0 || writer.depth > 0 || writer.after_key)
        tims_raise(rq, 500, "incomplete", "%s wrote no whole JSON value.", computed->path);
}

/* --- GET -------------------------------------------------------------------------------------- */

/* For the cache's check: see rest__write_fn. */
static void write_again(tims_request *rq, const void *computed, int64_t position, tims_buf *out)
{
    (void)position; /* it names none */
    write_recorded(rq, computed, rest__new_reads(rq, false), out);
}

static tims_str read_answer(tims_request *rq, const tims_rest *rest, tims_reads *reads, int64_t *ret_position)
{
    tims_db_session *db = tims_session_db(rq);
    tims_error err = { 0 };
    tims_str epoch, key;
    tims_buf out;
    tims_buf_init(&out, rq->arena, REST__DOCUMENT_BYTES_MAX);
    tims_check(rq, tims_db_begin_snapshot(db, &err), &err);
    tims_check(rq, rest__secrets(rest, db, rq->arena, &epoch, &key, &err), &err);
    tims_check(rq, tims_position(db, ret_position, &err), &err);
    write_recorded(rq, rq->route->data, reads, &out);
    tims_db_end_snapshot(db);
    rest__set_read_headers(rq, rest__position_text(rq->arena, epoch, *ret_position));
    return tims_buf_str(&out);
}

static tims_answer answer_get(tims_request *rq)
{
    const tims_rest *rest = rq->slots[TIMS_SLOT_REST];
    TIMS_CHECK_MAGIC(rest, REST__MAGIC);
    if (rest__wants_stream(rq))
        return rest__stream(rq, rest);
    rest__keeping keeping;
    const tims_cached *kept = rest__kept_find(rq, rest, &keeping, write_again, rq->route->data);
    if (kept != NULL)
        return tims_cached_answer(rq, kept);
    tims_reads *reads = rest__new_reads(rq, false);
    int64_t position;
    tims_str text = read_answer(rq, rest, reads, &position);
    rest__keep(rq, &keeping, position, reads, text);
    if (tims_not_modified(rq, rest__etag(rq->arena, text)))
        return tims_answer_empty(304);
    return tims_answer_json(200, text);
}

/* --- for live --------------------------------------------------------------------------------- */

static const rest__computed *find_computed(const tims_rest *rest, tims_str path)
{
    for (size_t i = 0; i < rest->computed_count; i++)
        if (tims_str_equal(rest->computed[i].path, path))
            return &rest->computed[i];
    return NULL;
}

/* By name; parameters of one name keep their order, the first of them is what a handler gets. */
static void sort_pairs(tims_pairs pairs)
{
    for (size_t i = 1; i < pairs.count; i++)
        for (size_t j = i; j > 0 && tims_str_compare(pairs.items[j].name, pairs.items[j - 1].name) < 0; j--) {
            tims_pair swap = pairs.items[j];
            pairs.items[j] = pairs.items[j - 1];
            pairs.items[j - 1] = swap;
        }
}

static tims_str write_canonical(tims_arena *arena, tims_str path, tims_pairs pairs)
{
    tims_buf out;
    tims_buf_init(&out, arena, 4 * REST__URL_BYTES_MAX);
    tims_buf_append_str(&out, path);
    sort_pairs(pairs);
    for (size_t i = 0; i < pairs.count; i++)
        tims_buf_print(&out, "%s%S=%S", i == 0 ? "?" : "&", tims_url_encode(arena, pairs.items[i].name),
                       tims_url_encode(arena, pairs.items[i].value));
    return tims_buf_str(&out);
}

tims_status tims_rest_resolve_computed(const tims_rest *rest, tims_arena *arena, tims_str url,
                                       tims_caller caller, tims_computed_url *ret_url, tims_error *err)
{
    TIMS_CHECK_MAGIC(rest, REST__MAGIC);
    tims_str path, query;
    tims_pairs pairs;
    tims_status status = rest__split_url(arena, url, &path, &query, &pairs, err);
    if (status != TIMS_OK)
        return status;
    const rest__computed *entry = find_computed(rest, path);
    if (entry == NULL)
        return tims_fail(err, TIMS_NOT_FOUND, NULL, "There is no such endpoint here.");
    const char *access = entry->computed->access;
    if (access != NULL && !caller.trusted && !caller.signed_in)
        return tims_fail(err, TIMS_UNAUTHORIZED, NULL, "%s", tims_status_text(TIMS_UNAUTHORIZED));
    if (access == tims_access_staff && !caller.trusted && !caller.staff)
        return tims_fail(err, TIMS_FORBIDDEN, NULL, "This is for staff.");
    *ret_url = (tims_computed_url){ .rest = rest,
                                    .computed = entry->computed,
                                    .path = entry->path,
                                    .query_text = query,
                                    .canonical = write_canonical(arena, entry->path, pairs) };
    return TIMS_OK;
}

typedef struct computation {
    tims_request *outer;
    tims_db_session *db;
    const tims_computed_url *url;
    tims_caller caller;
    tims_reads *reads;
    tims_buf *out;
} computation;

static void run_computation(tims_request *rq, void *argument)
{
    const computation *c = argument;
    memcpy(rq->slots, c->outer->slots, sizeof rq->slots);
    rq->slots[TIMS_SLOT_DB] = rq->slots[TIMS_SLOT_AUTH] = NULL; /* who asks is another */
    rq->slots[TIMS_SLOT_REST] = c->url->rest->self;
    tims_request_set_session(rq, c->db);
    tims_request_set_caller(rq, c->caller);
    tims_auth *auth = tims_auth_of(c->outer);
    if (auth != NULL)
        tims_auth_attach(rq, auth);
    rq->method = TIMS_METHOD_GET;
    rq->path = c->url->path;
    rq->target = c->url->canonical;
    rq->query_text = c->url->query_text;
    write_recorded(rq, c->url->computed, c->reads, c->out);
}

tims_status tims_rest_compute(tims_request *rq, const tims_computed_url *url, tims_caller caller,
                              tims_reads *reads, tims_buf *out, tims_error *err)
{
    TIMS_CHECK_MAGIC(url->rest, REST__MAGIC);
    TIMS_ASSERT(out->arena == NULL); /* growing must not end the request that waits */
    tims_db_session *db = tims_session_db(rq);
    uint32_t mark = tims_db_mark(db);
    tims_status status = tims_db_begin_snapshot(db, err);
    if (status != TIMS_OK)
        return status;
    computation c = { rq, db, url, caller, reads, out };
    status = tims_request_run(rq->loop, rq->server_data, run_computation, &c, NULL, err);
    tims_db_unwind(db, mark);
    return status;
}
