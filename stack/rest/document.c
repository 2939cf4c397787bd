/* document.c: the document of a list or detail, the same bytes for GET, SSE, websocket and page data.
 *
 *     {"rows":[…],"total":120,"next":"/api/…","previous":null,"position":"<epoch>-<n>","included":{"sender":{id:row}}}
 *
 * All of it is read in the snapshot the session stands in. */
#include "rest/rest_internal.h"

/* What one document needs. */
typedef struct document {
    tims_db_session *db;
    tims_arena *arena;
    const tims_live_url *url;
    tims_str key;
    tims_json_writer *writer;
    tims_written written;
    tims_error *err;
} document;

/* --- detail ----------------------------------------------------------------------------------- */

static tims_status write_detail(document *d)
{
    const tims_query *query = &d->url->query;
    tims_status status = tims_query_write_page(d->db, d->arena, query, &(tims_write_options){ 0 }, d->writer,
                                               &d->written, d->err);
    if (status == TIMS_OK && d->written.rows == 0)
        return tims_fail(d->err, TIMS_NOT_FOUND, NULL, "There is no such %s, or it is not yours to see.",
                         query->model->name);
    return status;
}

/* --- list ------------------------------------------------------------------------------------- */

static tims_status write_rows(document *d)
{
    const tims_live_url *url = d->url;
    /* With a total known, whether there is more needs no look at one row more. */
    bool by_cursor = url->query.after != NULL;
    tims_write_options options = { .probe = by_cursor || !url->with_total,
                                   .count = url->with_total,
                                   .collect = url->includes,
                                   .collect_count = url->include_count };
    tims_json_key(d->writer, TIMS_STR("rows"));
    tims_json_begin_array(d->writer);
    tims_status status =
        tims_query_write_page(d->db, d->arena, &url->query, &options, d->writer, &d->written, d->err);
    if (status == TIMS_OK)
        tims_json_end_array(d->writer);
    return status;
}

static tims_status write_total(document *d)
{
    const tims_query *query = &d->url->query;
    tims_json_key(d->writer, TIMS_STR("total"));
    if (!d->url->with_total) {
        tims_json_null(d->writer);
        return TIMS_OK;
    }
    int64_t total = (int64_t)d->written.rows;
    if (total > 0) {
        total = d->written.total;
    } else if (query->after != NULL || query->offset > 0) {
        tims_status status = tims_query_count(d->db, d->arena, query, &total, d->err);
        if (status != TIMS_OK)
            return status;
    }
    tims_json_int(d->writer, total);
    if (query->after == NULL)
        d->written.more = query->offset + (int64_t)d->written.rows < total;
    return TIMS_OK;
}

static tims_status write_link(document *d, const char *name, const tims_db_value *values, bool backwards)
{
    tims_json_key(d->writer, tims_str_from(name));
    if (values == NULL) {
        tims_json_null(d->writer);
        return TIMS_OK;
    }
    tims_str link;
    tims_status status = rest__cursor_url(d->arena, d->key, d->url, values, backwards, &link, d->err);
    if (status == TIMS_OK)
        tims_json_str(d->writer, link);
    return status;
}

static tims_status write_cursor_links(document *d)
{
    const tims_query *query = &d->url->query;
    const tims_written *written = &d->written;
    /* A cursor was made from a row, so the side it came from has rows. */
    bool has_next = query->backwards ? written->rows > 0 : written->more;
    bool has_previous = query->backwards ? written->more : query->after != NULL && written->rows > 0;
    tims_status status = write_link(d, "next", has_next ? written->last : NULL, false);
    if (status == TIMS_OK)
        status = write_link(d, "previous", has_previous ? written->first : NULL, true);
    return status;
}

static void write_page_link(document *d, const char *name, bool there, int64_t page)
{
    tims_json_key(d->writer, tims_str_from(name));
    if (!there)
        tims_json_null(d->writer);
    else if (page == 1)
        tims_json_str(d->writer, rest__add_parameter(d->arena, d->url->base, "page", TIMS_STR("1")));
    else
        tims_json_str(d->writer, rest__add_parameter(d->arena, d->url->base, "page",
                                                     tims_print(d->arena, "%lld", (long long)page)));
}

static tims_status write_links(document *d)
{
    if (d->url->page == 0)
        return write_cursor_links(d);
    write_page_link(d, "next", d->written.more && d->url->page < TIMS_PAGE_NUMBER_MAX, d->url->page + 1);
    write_page_link(d, "previous", d->url->page > 1, d->url->page - 1);
    return TIMS_OK;
}

/* --- included rows ---------------------------------------------------------------------------- */

/* The rows a reference of the page points at, as far as the caller may read them. They come in id order. */
static tims_status write_referenced(document *d, const tims_field *field, tims_ids ids)
{
    const tims_model *model = field->to;
    tims_query *query = TIMS_NEW(d->arena, tims_query);
    void *rows = NULL;
    size_t count = 0;
    tims_db_value *values = TIMS_NEW_ARRAY(d->arena, tims_db_value, ids.count + 1);
    for (size_t i = 0; i < ids.count; i++)
        values[i] = tims_db_id(ids.items[i]);
    tims_query_init(query, model, d->url->query.caller);
    query->conditions[0] = (tims_condition){
        .field = tims_model_primary(model), .operator= TIMS_IN, .values = values, .value_count = ids.count
    };
    query->condition_count = 1;
    query->orders[0] = (tims_order){ tims_model_primary(model), false };
    query->order_count = 1;
    if (ids.count > 0) {
        tims_status status = tims_model_select(d->db, d->arena, query, &rows, &count, d->err);
        if (status != TIMS_OK)
            return status;
    }
    tims_json_key(d->writer, tims_str_from(field->name));
    tims_json_begin_object(d->writer);
    for (size_t i = 0; i < count; i++) {
        const char *row = (const char *)rows + i * model->size;
        char id[TIMS_ID_TEXT_LENGTH];
        tims_id_format(*(const tims_id *)(const void *)(row + tims_model_primary(model)->offset), id);
        tims_json_key(d->writer, (tims_str){ id, TIMS_ID_TEXT_LENGTH });
        tims_json_object(d->writer, model->fields, row, 0);
    }
    tims_json_end_object(d->writer);
    return TIMS_OK;
}

static tims_status write_included(document *d)
{
    if (d->url->include_count == 0)
        return TIMS_OK;
    tims_json_key(d->writer, TIMS_STR("included"));
    tims_json_begin_object(d->writer);
    for (size_t i = 0; i < d->url->include_count; i++) {
        tims_status status = write_referenced(d, d->url->includes[i], d->written.collected[i]);
        if (status != TIMS_OK)
            return status;
    }
    tims_json_end_object(d->writer);
    return TIMS_OK;
}

/* --- all -------------------------------------------------------------------------------------- */

/* Asked for once rows were read, it has come with them. */
static tims_status write_position(document *d, tims_str epoch, int64_t position)
{
    tims_status status = position > 0 ? TIMS_OK : tims_position(d->db, &position, d->err);
    tims_json_key(d->writer, TIMS_STR("position"));
    tims_json_str(d->writer, rest__position_text(d->arena, epoch, status == TIMS_OK ? position : 0));
    return status;
}

static tims_status write_list(document *d, tims_str epoch, int64_t position)
{
    tims_json_begin_object(d->writer);
    tims_status status = write_rows(d);
    if (status == TIMS_OK)
        status = write_total(d);
    if (status == TIMS_OK)
        status = write_links(d);
    if (status == TIMS_OK)
        status = write_position(d, epoch, position);
    if (status == TIMS_OK)
        status = write_included(d);
    if (status == TIMS_OK)
        tims_json_end_object(d->writer);
    return status;
}

tims_status tims_rest_write(tims_db_session *db, tims_arena *arena, const tims_live_url *url, tims_str epoch,
                            int64_t position, tims_json_writer *writer, tims_error *err)
{
    document d = { .db = db, .arena = arena, .url = url, .writer = writer, .err = err };
    tims_live_url with_cursor;
    tims_status status = TIMS_OK;
    if (url->is_detail) {
        status = write_detail(&d);
    } else {
        tims_str own_epoch;
        status = rest__secrets(url->rest, db, arena, &own_epoch, &d.key, err);
        if (status == TIMS_OK && url->cursor.data != NULL && url->query.after == NULL) {
            with_cursor = *url;
            d.url = &with_cursor;
            status = rest__apply_cursor(arena, d.key, &with_cursor, err);
        }
        if (status == TIMS_OK)
            status = write_list(&d, epoch, position);
    }
    if (status == TIMS_OK && writer->out->overflow)
        return tims_fail(err, TIMS_TOO_LARGE, NULL, "The answer is too large; ask for fewer rows.");
    return status;
}
