/* read.c: GET of lists and details.
 *
 * Everything one answer shows, its position included, is read in one snapshot. */
#include "rest/rest_internal.h"

#include "tims/crypto.h"

tims_str rest__etag(tims_arena *arena, tims_str text)
{
    char *etag = tims_alloc_raw(arena, 34);
    etag[0] = etag[33] = '"';
    tims_content_hash(text, etag + 1);
    return (tims_str){ etag, 34 };
}

tims_str rest__position_text(tims_arena *arena, tims_str epoch, int64_t position)
{
    enum { NUMBER_BYTES_MAX = 21 };
    tims_buf out;
    tims_buf_init(&out, arena, epoch.length + 1 + NUMBER_BYTES_MAX);
    (void)tims_buf_reserve(&out, epoch.length + 1 + NUMBER_BYTES_MAX);
    tims_buf_append_str(&out, epoch);
    tims_buf_append_char(&out, '-');
    tims_buf_append_int(&out, position);
    return tims_buf_str(&out);
}

void rest__set_read_headers(tims_request *rq, tims_str position)
{
    tims_set_header(rq, TIMS_STR("Tims-Position"), position);
    tims_set_header(rq, TIMS_STR("Cache-Control"), TIMS_STR("private, no-cache"));
}

tims_str rest__row_text(tims_request *rq, const tims_model *model, const void *row)
{
    tims_buf out;
    tims_buf_init(&out, rq->arena, REST__DOCUMENT_BYTES_MAX);
    tims_json_writer writer = tims_json_to(&out);
    tims_json_object(&writer, model->fields, row, 0);
    if (out.overflow)
        tims_raise(rq, 500, "too_large", "The row is too large to be shown.");
    return tims_buf_str(&out);
}

bool rest__wants_stream(const tims_request *rq)
{
    tims_str accept = tims_header_of(rq, TIMS_STR("Accept"));
    return tims_str_find(accept, TIMS_STR("text/event-stream")) != SIZE_MAX;
}

tims_answer rest__stream(tims_request *rq, const tims_rest *rest)
{
    if (rest->stream == NULL)
        tims_raise(rq, 406, "not_acceptable", "Nothing is streamed here.");
    return rest->stream(rq, rest->stream_data, rq->target);
}

/* What cannot be understood in a URL is a bad request; 422 is for bodies. */
TIMS_NORETURN static void raise_bad_url(tims_request *rq, tims_error *err)
{
    if (err->status == TIMS_INVALID)
        err->status = TIMS_MALFORMED;
    tims_raise_error(rq, err);
}

/* A total comes with the rows; only behind the last one it takes a statement of its own. So may a recorder,
 * which asks what a rule leaves. */
static bool is_one_statement(tims_request *rq, const tims_live_url *url)
{
    bool from_start = url->query.after == NULL && url->query.offset == 0;
    if (tims_reads_of(rq) != NULL)
        return false;
    return url->is_detail || (url->include_count == 0 && (!url->with_total || from_start));
}

static tims_status write_document(tims_request *rq, const tims_live_url *url, int64_t *ret_position,
                                  tims_json_writer *writer, tims_error *err)
{
    tims_db_session *db = tims_session_db(rq);
    tims_str epoch, key;
    int64_t position;
    tims_status status = tims_db_begin_snapshot(db, err);
    if (status != TIMS_OK)
        return status;
    status = rest__secrets(url->rest, db, rq->arena, &epoch, &key, err);
    if (status == TIMS_OK && is_one_statement(rq, url))
        tims_db_hint_last(db);
    if (status == TIMS_OK)
        status = tims_rest_write(db, rq->arena, url, epoch, 0, writer, err);
    if (status == TIMS_OK)
        status = tims_position(db, &position, err);
    tims_db_end_snapshot(db);
    if (status != TIMS_OK)
        return status;
    rest__set_read_headers(rq, rest__position_text(rq->arena, epoch, position));
    *ret_position = position;
    return TIMS_OK;
}

static tims_live_url *resolve(tims_request *rq, const tims_id *id)
{
    tims_live_url *url = TIMS_NEW(rq->arena, tims_live_url);
    tims_error err = { 0 };
    tims_status status = rest__resolve(rest__entry_of(rq), rq->arena, id, tims_query_pairs(rq),
                                       tims_caller_unnoted(rq), url, &err);
    if (status != TIMS_OK)
        raise_bad_url(rq, &err);
    return url;
}

/* For the cache's check: see rest__write_fn. */
static void write_again(tims_request *rq, const void *id, int64_t position, tims_buf *out)
{
    const tims_live_url *url = resolve(rq, id);
    tims_db_session *db = tims_session_db(rq);
    tims_str epoch, key;
    tims_error err = { 0 };
    tims_json_writer writer = tims_json_to(out);
    tims_check(rq, rest__secrets(url->rest, db, rq->arena, &epoch, &key, &err), &err);
    if (tims_rest_write(db, rq->arena, url, epoch, position, &writer, &err) != TIMS_OK)
        raise_bad_url(rq, &err);
}

static tims_str read_document(tims_request *rq, const tims_id *id, tims_reads *reads, int64_t *ret_position)
{
    const tims_live_url *url = resolve(rq, id);
    tims_error err = { 0 };
    tims_buf out;
    tims_buf_init(&out, rq->arena, REST__DOCUMENT_BYTES_MAX);
    (void)tims_buf_reserve(&out, id != NULL ? 512 : 8 * 1024);
    tims_json_writer writer = tims_json_to(&out);
    if (reads != NULL)
        tims_reads_begin(rq, reads);
    if (write_document(rq, url, ret_position, &writer, &err) != TIMS_OK)
        raise_bad_url(rq, &err);
    if (reads != NULL)
        tims_reads_end(rq);
    return tims_buf_str(&out);
}

/* A list that is not kept has no ETag: to hash it would cost a tenth of what it costs to read it, and who
 * asks once has nothing to compare. */
static tims_answer answer(tims_request *rq, const tims_id *id)
{
    rest__keeping keeping;
    const tims_cached *kept = rest__kept_find(rq, rest__entry_of(rq)->rest, &keeping, write_again, id);
    if (kept != NULL)
        return tims_cached_answer(rq, kept);
    tims_reads *reads = keeping.is_wanted ? rest__new_reads(rq, true) : NULL;
    int64_t position;
    tims_str text = read_document(rq, id, reads, &position);
    rest__keep(rq, &keeping, position, reads, text);
    if (id != NULL && tims_not_modified(rq, rest__etag(rq->arena, text)))
        return tims_answer_empty(304);
    return tims_answer_json(200, text);
}

/* By another name than writes, so that who reads much may still write: the path without its first slash. */
static void throttle(tims_request *rq, const rest__entry *entry)
{
    tims_str name = tims_str_slice(entry->path, 1, entry->path.length);
    rest__throttle_request(rq, entry->rest->throttle, name, entry->reads);
}

tims_answer rest__list(tims_request *rq)
{
    const rest__entry *entry = rest__entry_of(rq);
    throttle(rq, entry);
    if (rest__wants_stream(rq))
        return rest__stream(rq, entry->rest);
    return answer(rq, NULL);
}

tims_answer rest__detail(tims_request *rq)
{
    const rest__entry *entry = rest__entry_of(rq);
    throttle(rq, entry);
    if (rest__wants_stream(rq))
        return rest__stream(rq, entry->rest);
    tims_id id = tims_path_id(rq, "id");
    return answer(rq, &id);
}
