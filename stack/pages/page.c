/* page.c: a page's data: who may see it, and what its loader names.
 *
 * Everything a loader includes is read in one snapshot and written straight into the JSON that the render
 * server gets; the snapshot ends before the render server is asked, so that a slow one holds nothing of the
 * database. */
#include "pages/pages_internal.h"

typedef struct included_url {
    struct included_url *next;
    tims_str url;
} included_url;

struct tims_page_state {
    uint32_t magic;
    const pages__entry *entry;
    tims_pairs params;
    included_url *included;
    tims_reads *reads; /* NULL: it will not be kept */
    int64_t position;
    bool with_csrf, is_private, is_unkept;
    tims_buf live, values;
    tims_json_writer live_writer, values_writer;
};

static struct tims_page_state *state_of(tims_page *page)
{
    TIMS_CHECK_MAGIC(page->state, PAGES__STATE_MAGIC);
    return page->state;
}

/* --- for loaders ------------------------------------------------------------------------------------- */

tims_str tims_param(tims_page *page, const char *name)
{
    tims_str value = tims_pairs_get(state_of(page)->params, tims_str_from(name));
    TIMS_ASSERT(value.data != NULL); /* the page's path names it */
    return value;
}

static bool remember(struct tims_page_state *state, tims_arena *arena, tims_str url)
{
    for (const included_url *one = state->included; one != NULL; one = one->next)
        if (tims_str_equal(one->url, url))
            return false;
    included_url *added = TIMS_NEW(arena, included_url);
    *added = (included_url){ state->included, url };
    state->included = added;
    return true;
}

void tims_page_include(tims_page *page, const char *url_format, ...)
{
    struct tims_page_state *state = state_of(page);
    const tims_pages_options *options = &state->entry->pages->options;
    TIMS_ASSERT(options->write_url != NULL);
    tims_buf url;
    tims_buf_init(&url, page->rq->arena, PAGES__TARGET_BYTES_MAX);
    va_list arguments;
    va_start(arguments, url_format);
    tims_buf_print_url_v(&url, url_format, arguments);
    va_end(arguments);
    TIMS_ASSERT(!url.overflow);
    if (!remember(state, page->rq->arena, tims_buf_str(&url)))
        return; /* there already: loaders call one another */
    tims_error err = { 0 };
    tims_json_key(&state->live_writer, tims_buf_str(&url));
    tims_check(
        page->rq,
        options->write_url(options->resolver_data, page->rq, tims_buf_str(&url), &state->live_writer, &err),
        &err);
}

void tims_page_value(tims_page *page, const char *name, tims_str json)
{
    struct tims_page_state *state = state_of(page);
    tims_json_key(&state->values_writer, tims_str_from(name));
    tims_json_raw(&state->values_writer, json);
}

void tims_page_csrf(tims_page *page)
{
    state_of(page)->with_csrf = true;
    state_of(page)->is_unkept = true;
}

void tims_page_private(tims_page *page)
{
    struct tims_page_state *state = state_of(page);
    state->is_private = true;
    if (state->reads != NULL)
        tims_reads_add_caller(state->reads);
    if (!tims_caller_unnoted(page->rq).signed_in) /* nobody is told from nobody else */
        state->is_unkept = true;
}

void tims_page_uncached(tims_page *page)
{
    state_of(page)->is_unkept = true;
}

/* --- the data ---------------------------------------------------------------------------------------- */

static void write_params(tims_json_writer *w, tims_pairs params)
{
    tims_json_key(w, TIMS_STR("params"));
    tims_json_begin_object(w);
    for (size_t i = 0; i < params.count; i++) {
        tims_json_key(w, params.items[i].name);
        tims_json_str(w, params.items[i].value);
    }
    tims_json_end_object(w);
}

static void write_user(tims_json_writer *w, tims_request *rq)
{
    tims_json_key(w, TIMS_STR("user"));
    if (!tims_caller_unnoted(rq).signed_in) {
        tims_json_null(w);
        return;
    }
    tims_user_write(w, tims_current_user(rq));
}

static void write_head(tims_json_writer *w, tims_request *rq, const struct tims_page_state *state,
                       tims_str target)
{
    tims_json_key(w, TIMS_STR("path"));
    tims_json_str(w, target);
    tims_json_key(w, TIMS_STR("route"));
    tims_json_str(w, state->entry->next_route);
    write_params(w, state->params);
    tims_json_key(w, TIMS_STR("language"));
    tims_json_str(w, tims_language_of(rq));
    write_user(w, rq);
}

static void begin_part(tims_buf *buf, tims_json_writer *writer, tims_arena *arena)
{
    tims_buf_init(buf, arena, PAGES__DATA_BYTES_MAX);
    *writer = tims_json_to(buf);
    tims_json_begin_object(writer);
}

static void write_position(tims_request *rq, const struct tims_page_state *state, tims_json_writer *w)
{
    const tims_pages_options *options = &state->entry->pages->options;
    tims_error err = { 0 };
    tims_json_key(w, TIMS_STR("position"));
    if (state->entry->page->load != NULL && options->write_position != NULL)
        tims_check(rq, options->write_position(options->resolver_data, rq, w, &err), &err);
    else
        tims_json_str(w, TIMS_STR(""));
}

/* Who is signed in has HTML of their own: the page is handed its user, who may have been read before. */
static void note_user(tims_request *rq, tims_reads *reads)
{
    if (!tims_caller_unnoted(rq).signed_in)
        return;
    char id[TIMS_ID_TEXT_LENGTH];
    tims_id_format(tims_caller_unnoted(rq).user, id);
    const tims_topic own = { &tims_user_model, tims_model_primary(&tims_user_model), { id, sizeof id } };
    tims_reads_add(reads, &own, 1);
    tims_reads_add_caller(reads);
}

static void begin_reading(tims_request *rq, struct tims_page_state *state)
{
    tims_error err = { 0 };
    tims_check(rq, tims_db_begin_snapshot(tims_session_db(rq), &err), &err);
    if (state->reads == NULL)
        return;
    tims_check(rq, tims_position(tims_session_db(rq), &state->position, &err), &err);
    tims_reads_begin(rq, state->reads);
    note_user(rq, state->reads);
}

/* The user is read in the same snapshot as the rest. */
static void run_in_snapshot(tims_request *rq, struct tims_page_state *state, tims_json_writer *w,
                            tims_str target)
{
    tims_page page = { rq, state };
    begin_reading(rq, state);
    write_head(w, rq, state, target);
    if (state->entry->page->load != NULL)
        state->entry->page->load(&page);
    if (state->reads != NULL)
        tims_reads_end(rq);
    write_position(rq, state, w);
    tims_db_end_snapshot(tims_session_db(rq));
}

static tims_str end_part(tims_buf *buf, tims_json_writer *writer)
{
    tims_json_end_object(writer);
    return tims_buf_str(buf);
}

static void write_all(tims_request *rq, struct tims_page_state *state, tims_json_writer *w, tims_str target)
{
    if (state->entry->page->load != NULL || state->reads != NULL)
        run_in_snapshot(rq, state, w, target);
    else {
        write_head(w, rq, state, target);
        write_position(rq, state, w);
    }
    if (state->with_csrf) {
        tims_json_key(w, TIMS_STR("csrf"));
        tims_json_str(w, tims_csrf_token(rq));
    }
    tims_json_key(w, TIMS_STR("live"));
    tims_json_raw(w, end_part(&state->live, &state->live_writer));
    tims_json_key(w, TIMS_STR("values"));
    tims_json_raw(w, end_part(&state->values, &state->values_writer));
    tims_json_end_object(w);
}

void pages__load(tims_request *rq, const pages__entry *entry, tims_pairs params, tims_str target,
                 tims_reads *reads, pages__loaded *ret_loaded)
{
    struct tims_page_state *state = TIMS_NEW(rq->arena, struct tims_page_state);
    state->magic = PAGES__STATE_MAGIC;
    state->entry = entry;
    state->params = params;
    state->reads = reads;
    begin_part(&state->live, &state->live_writer, rq->arena);
    begin_part(&state->values, &state->values_writer, rq->arena);
    tims_buf out;
    tims_json_writer w;
    begin_part(&out, &w, rq->arena);
    write_all(rq, state, &w, target);
    if (state->live.overflow || state->values.overflow || out.overflow)
        tims_raise(rq, 500, "page_too_large", "This page has more data than a page may have.");
    *ret_loaded = (pages__loaded){ .data = tims_buf_str(&out),
                                   .position = state->position,
                                   .is_private = state->is_private,
                                   .is_unkept = state->is_unkept };
}

/* --- who may see it ---------------------------------------------------------------------------------- */

bool pages__may_see(tims_request *rq, const tims_page_route *page)
{
    if (page->access == NULL)
        return true;
    if (!tims_is_signed_in(rq))
        return false;
    if (page->access == tims_access_staff && !tims_caller_of(rq).staff)
        tims_raise(rq, 403, "forbidden", "This page is for staff.");
    return true;
}

/* --- /page-data -------------------------------------------------------------------------------------- */

tims_answer tims_pages_data(tims_request *rq)
{
    tims_pages *pages = pages__of(rq);
    tims_str target = tims_query_get(rq, TIMS_STR("path")), path, query, redirect;
    tims_pairs params = { 0 };
    uint32_t allowed;
    tims_error err = { 0 };
    pages__loaded loaded;
    if (target.length == 0 || target.data[0] != '/' || target.length > PAGES__TARGET_BYTES_MAX)
        tims_raise(rq, 400, "malformed", "Name the page: /page-data?path=/…");
    tims_check(rq, tims_url_split_target(rq->arena, target, &path, &query, &err), &err);
    const tims_route *route =
        tims_router_find(pages->router, rq->arena, TIMS_METHOD_GET, path, &params, &allowed, &redirect);
    if (route == NULL)
        tims_raise(rq, 404, "not_found", "There is no such page.");
    const pages__entry *entry = route->data;
    if (!pages__may_see(rq, entry->page))
        tims_raise(rq, 401, "unauthorized", "Sign in first.");
    pages__load(rq, entry, params, target, NULL, &loaded);
    tims_csrf_cookie(rq);
    pages__set_unkept(rq);
    return tims_answer_json(200, loaded.data);
}
