/* view_document.c: what a view looks like as a whole: the document that GET of its URL answers, and the rows
 * that its rows point at. */
#include "live/live_internal.h"

enum { DOCUMENT_BYTES_MAX = 256 * 1024 * 1024, IDS_A_QUERY = 100 };

/* --- rows in full ----------------------------------------------------------------------------- */

void live__view_select(live__step *step, const live__view *view, const tims_id *ids, size_t count,
                       void **ret_rows, size_t *ret_count)
{
    TIMS_ASSERT(count <= IDS_A_QUERY);
    const tims_model *model = view->query.query.model;
    tims_query query;
    tims_query_init(&query, model, (tims_caller){ .trusted = true }); /* they are in the window already */
    tims_db_value *values = TIMS_NEW_ARRAY(step->rq->arena, tims_db_value, count + 1);
    for (size_t i = 0; i < count; i++)
        values[i] = tims_db_id(ids[i]);
    query.conditions[query.condition_count++] = (tims_condition){
        .field = tims_model_primary(model), .operator= TIMS_IN, .values = values, .value_count = count
    };
    tims_error err = { 0 };
    tims_check(step->rq, tims_model_select(step->db, step->rq->arena, &query, ret_rows, ret_count, &err),
               &err);
}

/* --- includes --------------------------------------------------------------------------------- */

bool live__reference_of(const tims_field *field, const void *row, tims_id *ret_id)
{
    const char *member = (const char *)row + field->offset;
    if (field->kind == TIMS_KIND_ID) {
        *ret_id = *(const tims_id *)member;
        return !tims_id_is_zero(*ret_id);
    }
    const tims_opt_id *optional = (const tims_opt_id *)member;
    *ret_id = optional->value;
    return field->kind == TIMS_KIND_OPT_ID && optional->present;
}

void live__view_want(live__step *step, live__view *view, uint32_t include, tims_id id)
{
    live__touch *touch = TIMS_NEW(step->rq->arena, live__touch);
    *touch = (live__touch){ .next = view->include_touches, .index = include, .id = id };
    view->include_touches = touch;
}

void live__view_want_all(live__step *step, live__view *view, const void *row)
{
    for (uint32_t i = 0; i < view->query.include_count; i++) {
        tims_id id;
        if (live__reference_of(view->query.includes[i], row, &id))
            live__view_want(step, view, i, id);
    }
}

void live__view_want_shown(live__step *step, live__view *view)
{
    for (uint32_t i = 0; i < view->query.include_count; i++)
        for (size_t k = 0; k < view->included[i].count; k++)
            live__view_want(step, view, i, view->included[i].ids[k]);
}

void live__view_note(live__step *step, live__view *view, const void *row)
{
    for (uint32_t i = 0; i < view->query.include_count; i++) {
        tims_id id;
        if (live__reference_of(view->query.includes[i], row, &id) && live__held_add(&view->included[i], id))
            live__view_want(step, view, i, id);
    }
}

static bool is_among(const tims_model *model, const void *rows, size_t count, const tims_db_value *id)
{
    for (size_t i = 0; i < count; i++) {
        char text[TIMS_ID_TEXT_LENGTH];
        tims_id_format(live__row_id(model, (const char *)rows + i * model->size), text);
        if (memcmp(text, id->id_text, sizeof text) == 0)
            return true;
    }
    return false;
}

/* It is gone, or not the reader's to see: if the client has been given it, it lets go of it. */
static void write_exclude(const tims_field *field, const tims_db_value *value, tims_buf *out,
                          live__address to)
{
    tims_id id;
    if (tims_id_parse((tims_str){ value->id_text, TIMS_ID_TEXT_LENGTH }, &id))
        live__op_exclude(out, to, field, id);
}

static void write_some(live__step *step, const live__view *view, uint32_t include, const tims_db_value *ids,
                       size_t count, tims_buf *out, live__address to)
{
    const tims_field *field = view->query.includes[include];
    tims_query query;
    tims_query_init(&query, field->to, view->reader);
    query.conditions[query.condition_count++] = (tims_condition){
        .field = tims_model_primary(field->to), .operator= TIMS_IN, .values = ids, .value_count = count
    };
    void *rows;
    size_t row_count;
    tims_error err = { 0 };
    tims_check(step->rq, tims_model_select(step->db, step->rq->arena, &query, &rows, &row_count, &err), &err);
    for (size_t i = 0; i < row_count; i++)
        live__op_include(out, to, field, (char *)rows + i * field->to->size);
    for (size_t i = 0; i < count && row_count < count; i++)
        if (!is_among(field->to, rows, row_count, &ids[i]))
            write_exclude(field, &ids[i], out, to);
}

void live__view_write_includes(live__step *step, live__view *view, tims_buf *out, live__address to)
{
    for (uint32_t i = 0; i < view->query.include_count && view->include_touches != NULL; i++) {
        tims_db_value *ids = TIMS_NEW_ARRAY(step->rq->arena, tims_db_value, IDS_A_QUERY);
        size_t count = 0;
        for (const live__touch *touch = view->include_touches; touch != NULL; touch = touch->next) {
            if (touch->index != i)
                continue;
            ids[count++] = tims_db_id(touch->id);
            if (count < IDS_A_QUERY)
                continue;
            write_some(step, view, i, ids, count, out, to);
            count = 0;
        }
        if (count > 0)
            write_some(step, view, i, ids, count, out, to);
    }
    view->include_touches = NULL;
}

/* --- documents -------------------------------------------------------------------------------- */

/* What JSON has as a string, but does not stand in the order of strings. */
static const char *kind_mark(tims_kind kind)
{
    if (kind == TIMS_KIND_DECIMAL || kind == TIMS_KIND_OPT_DECIMAL)
        return ":decimal";
    return kind == TIMS_KIND_BYTES || kind == TIMS_KIND_OPT_BYTES ? ":bytes" : "";
}

void live__order_write(tims_buf *out, const tims_query *query)
{
    for (size_t i = 0; i < query->order_count; i++)
        tims_buf_print(out, "%s%s%s%s", i > 0 ? "," : "", query->orders[i].descending ? "-" : "",
                       query->orders[i].field->name, kind_mark(query->orders[i].field->kind));
}

static void write_by_resolver(live__step *step, tims_str url, tims_caller caller, tims_buf *out)
{
    const tims_live_resolver *resolver = &step->live->options.resolver;
    tims_json_writer writer = tims_json_to(out);
    tims_error err = { 0 };
    tims_status status = resolver->write(resolver->data, step->db, step->rq->arena, url, caller,
                                         step->position, &writer, &err);
    if (status == TIMS_NOT_FOUND) {
        out->length = 0;
        tims_buf_append_str(out, TIMS_STR("null"));
        return;
    }
    tims_check(step->rq, status, &err);
    if (out->overflow)
        tims_raise(step->rq, 413, "too_large", "The document is too large to be sent.");
}

tims_str live__view_document(live__step *step, live__view *view, tims_caller caller)
{
    if (view->document != NULL)
        return (tims_str){ view->document, view->document_length };
    tims_buf out;
    tims_buf_init(&out, step->rq->arena, DOCUMENT_BYTES_MAX);
    if (view->query.is_detail && view->window.count == 0)
        tims_buf_append_str(&out, TIMS_STR("null"));
    else
        write_by_resolver(step, view->url, caller, &out);
    view->document = malloc(out.length + 1);
    TIMS_ASSERT(view->document != NULL);
    memcpy(view->document, out.data, out.length);
    view->document_length = out.length;
    return (tims_str){ view->document, view->document_length };
}

tims_str live__closed_document(live__step *step, tims_str url, tims_caller caller, bool is_detail)
{
    tims_buf out;
    tims_buf_init(&out, step->rq->arena, DOCUMENT_BYTES_MAX);
    if (is_detail)
        return TIMS_STR("null");
    write_by_resolver(step, url, caller, &out);
    return tims_buf_str(&out);
}
