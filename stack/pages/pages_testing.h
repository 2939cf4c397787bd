/* pages_testing.h: a world of pages: a real database, real files and a small render server on the same loop
 * that writes down what it was asked. For tests only. */
#ifndef TIMS_PAGES_TESTING_H
#define TIMS_PAGES_TESTING_H

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/database_testing.h"
#include "pages/pool_internal.h"
#include "tims/crypto.h"

/* --- the render server ------------------------------------------------------------------------------- */

typedef struct renderer {
    tims_listener *listener;
    tims_str html;           /* its answer; empty: it never answers */
    const char *silent_path; /* the page it never answers; NULL: none */
    int status, asked;
    void (*before_answer)(void *argument); /* NULL: nothing happens meanwhile */
    void *before_answer_argument;
    tims_arena *arena;
    tims_str path, nonce, cookie, body;
} renderer;

typedef struct visit {
    renderer *renderer;
    tims_stream *stream;
    tims_http1 *parser;
    tims_buf body;
} visit;

TIMS_UNUSED static bool hear_head(void *ctx, const tims_http1_head *head)
{
    renderer *r = ((visit *)ctx)->renderer;
    r->path = tims_copy(r->arena, head->target);
    r->nonce = tims_copy(r->arena, tims_header_get(head->headers, head->header_count, TIMS_STR("x-nonce")));
    r->cookie = tims_copy(r->arena, tims_header_get(head->headers, head->header_count, TIMS_STR("cookie")));
    assert_int_equal(head->method, TIMS_METHOD_POST);
    return true;
}

TIMS_UNUSED static bool hear_body(void *ctx, tims_str bytes)
{
    tims_buf_append_str(&((visit *)ctx)->body, bytes);
    return true;
}

TIMS_UNUSED static bool hear_end(void *ctx)
{
    visit *v = ctx;
    renderer *r = v->renderer;
    r->asked++;
    r->body = tims_copy(r->arena, tims_buf_str(&v->body));
    v->body.length = 0;
    if (r->before_answer != NULL)
        r->before_answer(r->before_answer_argument);
    if (r->html.length == 0 ||
        (r->silent_path != NULL && tims_str_equal(r->path, tims_str_from(r->silent_path))))
        return true;
    tims_str text = tims_print(r->arena, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%S", r->status,
                               r->html.length, r->html);
    (void)!tims_stream_write(v->stream, &text, 1);
    return true;
}

TIMS_UNUSED static void visit_data(void *ctx, tims_str bytes)
{
    visit *v = ctx;
    size_t used;
    int http_status;
    tims_error err = { 0 };
    assert_int_equal(tims_http1_feed(v->parser, bytes, &used, &http_status, &err), TIMS_OK);
}

TIMS_UNUSED static void visit_end(void *ctx, tims_status why)
{
    (void)why;
    tims_stream_close(((visit *)ctx)->stream);
}

TIMS_UNUSED static void visit_closed(void *ctx)
{
    visit *v = ctx;
    tims_http1_free(&v->parser);
    tims_buf_free(&v->body);
    free(v);
}

TIMS_UNUSED static void accept_visit(void *ctx, tims_stream *stream)
{
    static const tims_http1_events heard = { hear_head, hear_body, hear_end };
    static const tims_stream_events events = { visit_data, visit_end, NULL, visit_closed };
    visit *v = calloc(1, sizeof *v);
    assert_non_null(v);
    v->renderer = ctx;
    v->stream = stream;
    v->parser = tims_http1_new(TIMS_HTTP1_REQUESTS, &tims_http1_limits_default, &heard, v);
    tims_buf_init(&v->body, NULL, 1 << 20);
    tims_stream_start(stream, &events, v);
}

/* --- the world --------------------------------------------------------------------------------------- */

TIMS_UNUSED static void load_chat(tims_page *page)
{
    tims_page_include(page, "/api/notes/?chat=%S", tims_param(page, "chat"));
    tims_page_include(page, "/api/notes/?chat=%S", tims_param(page, "chat")); /* once is enough */
    tims_page_value(page, "limit", TIMS_STR("50"));
}

TIMS_UNUSED static void load_counts(tims_page *page)
{
    tims_page_include(page, "/api/people-counted/?first");
    tims_page_include(page, "/api/people-counted/?second");
}

TIMS_UNUSED static void load_missing(tims_page *page)
{
    tims_page_include(page, "/api/missing/");
}

TIMS_UNUSED static void load_broken(tims_page *page)
{
    tims_raise(page->rq, 500, "broken", "This loader is broken.");
}

TIMS_UNUSED static void load_people(tims_page *page)
{
    tims_page_value(
        page, "people",
        tims_print(page->rq->arena, "%lld", (long long)tims_count(page->rq, &tims_user_model, NULL)));
}

TIMS_UNUSED static void load_private(tims_page *page)
{
    tims_page_private(page);
}

TIMS_UNUSED static void load_uncached(tims_page *page)
{
    tims_page_uncached(page);
}

TIMS_UNUSED static void load_form(tims_page *page)
{
    tims_page_csrf(page);
}

static const tims_page_route routes[] = {
    { .path = "/" },
    { .path = "/about" },
    { .path = "/chats", .access = tims_access_signed_in },
    { .path = "/staff", .access = tims_access_staff },
    { .path = "/chat/{chat}", .load = load_chat },
    { .path = "/counts", .load = load_counts },
    { .path = "/missing", .load = load_missing },
    { .path = "/broken", .load = load_broken },
    { .path = "/people", .load = load_people },
    { .path = "/private", .load = load_private },
    { .path = "/uncached", .load = load_uncached },
    { .path = "/form", .load = load_form },
    { 0 },
};

static const char danger[] = "</script><script>alert(1)</script>";

typedef struct world {
    tims_arena *arena;
    testing_database database;
    const char *folder; /* the database's */
    tims_db *db;
    tims_auth *auth;
    tims_loop *loop;
    tims_pages *pages;
    tims_router *router;
    tims_cache *cache; /* NULL: pages are not kept */
    renderer renderer;
    void (*script)(struct world *w);
    tims_id user;
} world;

typedef struct asking {
    world *world;
    const char *target;
    tims_method method;
    bool signed_in, staff, browser, smuggles;
    tims_id user; /* zero: the world's */
    const char *etag, *language, *host;
    /* out */
    int status;
    tims_str body, location, policy, cache, type, tag;
} asking;

/* How many people there are; and then there is one more, by somebody else's commit. */
TIMS_UNUSED static tims_status write_count(tims_request *rq, tims_json_writer *w, tims_error *err)
{
    tims_db_rows *rows;
    tims_status status =
        tims_db_query(tims_session_db(rq), TIMS_STR("SELECT count(*) FROM \"user\""), NULL, 0, &rows, err);
    if (status != TIMS_OK)
        return status;
    tims_json_int(w, tims_db_next(rows) ? tims_db_get_int(rows, 0) : -1);
    status = tims_db_rows_end(&rows, err);
    const world *asker = ((const asking *)rq->slots[TIMS_SLOT_RUN])->world;
    tims_db_session *other = tims_db_session_new(asker->db, rq->loop, rq->arena);
    tims_id id = tims_id_new();
    tims_str name = tims_print(rq->arena, "%I", id);
    tims_user one_more = { .id = id, .username = name, .username_key = name, .active = true };
    return status == TIMS_OK ? tims_model_insert(other, rq->arena, &tims_user_model, &one_more, err) : status;
}

TIMS_UNUSED static tims_status write_url(const void *data, tims_request *rq, tims_str url,
                                         tims_json_writer *w, tims_error *err)
{
    (void)data;
    assert_true(tims_session_db(rq) != NULL);
    if (tims_str_starts_with(url, TIMS_STR("/api/people-counted/")))
        return write_count(rq, w, err);
    if (tims_str_equal(url, TIMS_STR("/api/missing/")))
        return tims_fail(err, TIMS_NOT_FOUND, "not_found", "Not here.");
    tims_json_begin_object(w);
    tims_json_key(w, TIMS_STR("text"));
    tims_json_str(w, tims_str_from(danger));
    tims_json_end_object(w);
    return TIMS_OK;
}

TIMS_UNUSED static tims_status write_position(const void *data, tims_request *rq, tims_json_writer *w,
                                              tims_error *err)
{
    (void)data;
    (void)rq;
    (void)err;
    tims_json_str(w, TIMS_STR("00000000000000aa-7"));
    return TIMS_OK;
}

TIMS_UNUSED static tims_str path_in(world *w, const char *name)
{
    return tims_print(w->arena, "%s/%s", w->folder, name);
}

TIMS_UNUSED static void write_file(world *w, const char *name, const char *text)
{
    const char *path = tims_copy_c(w->arena, path_in(w, name));
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

TIMS_UNUSED static void make_folders(world *w)
{
    static const char *const names[] = {
        "dist",        "dist/app",           "dist/app/chat", "dist/app/_next", "dist/app/_next/static",
        "dist/server", "dist/server/static", "public"
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(mkdir(tims_copy_c(w->arena, path_in(w, names[i])), 0700), 0);
    write_file(w, "dist/app/index.html",
               "<p>shell of /</p><script src=\"/a.js\"></script><script>1</script>");
    write_file(w, "dist/app/about.html", "<p>shell of about</p><script>1</script>");
    write_file(w, "dist/app/chat/[chat].html", "<p>shell of a chat</p>");
    write_file(w, "dist/app/404.html", "<p>nothing here</p><script>1</script>");
    write_file(w, "dist/app/500.html", "<p>went wrong</p>");
    write_file(w, "dist/app/_next/static/app.js", "app()");
    write_file(w, "dist/server/static/server.js", "server()");
    write_file(w, "public/robots.txt", "User-agent: *");
    write_file(w, "public/robots.txt.br", "compressed");
    write_file(w, "public/.hidden", "no");
}

TIMS_UNUSED static void open_database(world *w)
{
    tims_error err = { 0 };
    tims_db_options options = { .url = tims_str_from(w->database.url) };
    const tims_migration_set sets[] = { { "auth", tims_auth_migrations, tims_auth_models } };
    tims_auth_options auth = { .password_cost = tims_password_cost_for_tests };
    tims_models *models;
    tims_buf applied;
    size_t count = 0;
    while (tims_auth_models[count] != NULL)
        count++;
    tims_buf_init(&applied, w->arena, 1 << 16);
    if (tims_db_open(&options, &w->db, &err) != TIMS_OK ||
        tims_models_new(w->arena, tims_auth_models, count, &models, &err) != TIMS_OK ||
        tims_migrate_apply(w->db, w->arena, sets, 1, models, &applied, &err) != TIMS_OK ||
        tims_auth_new(w->arena, w->db, &auth, &w->auth, &err) != TIMS_OK)
        fail_msg("%s %s", err.message, err.detail);
}

TIMS_UNUSED static int set_up(void **state)
{
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->arena = tims_arena_new((size_t)1 << 28, NULL, NULL);
    w->renderer = (renderer){ .html = TIMS_STR("<p>rendered</p>"), .status = 200, .arena = w->arena };
    testing_database_new(&w->database, "pages");
    w->folder = w->database.folder;
    make_folders(w);
    open_database(w);
    *state = w;
    return 0;
}

TIMS_UNUSED static int tear_down(void **state)
{
    world *w = *state;
    tims_router_free(&w->router);
    tims_arena_free(&w->arena);
    tims_cache_free(&w->cache);
    tims_db_close(&w->db);
    testing_database_drop(&w->database);
    free(w);
    return 0;
}

TIMS_UNUSED static void make_pages(world *w, tims_pages_options options)
{
    static const tims_page_route *const tables[] = { routes };
    tims_error err = { 0 };
    size_t count;
    options.front_directory = w->folder;
    options.cache = w->cache;
    options.write_url = write_url;
    options.write_position = write_position;
    if (tims_pages_new(w->arena, tables, 1, &options, &w->pages, &err) != TIMS_OK)
        fail_msg("%s", err.message);
    const tims_route *all = tims_pages_routes(w->pages, &count);
    const tims_route **list = TIMS_NEW_ARRAY(w->arena, const tims_route *, count);
    for (size_t i = 0; i < count; i++)
        list[i] = &all[i];
    if (tims_router_new(list, count, &w->router, &err) != TIMS_OK)
        fail_msg("%s", err.message);
}

/* --- asking ------------------------------------------------------------------------------------------ */

TIMS_UNUSED static tims_str header_set(const tims_request *rq, const char *name)
{
    return tims_header_get(rq->out_headers, rq->out_header_count, tims_str_from(name));
}

TIMS_UNUSED static void keep_answer(tims_request *rq, tims_answer *answer)
{
    const asking *asked_by = rq->slots[TIMS_SLOT_RUN];
    asking *a = (asking *)(uintptr_t)asked_by;
    tims_arena *arena = a->world->arena;
    tims_pages_finish(rq, answer);
    a->status = answer->status;
    a->body = tims_copy(arena, answer->body);
    a->type = tims_copy(arena, answer->content_type);
    a->location = tims_copy(arena, header_set(rq, "Location"));
    a->policy = tims_copy(arena, header_set(rq, "Content-Security-Policy"));
    a->cache = tims_copy(arena, header_set(rq, "Cache-Control"));
    a->tag = tims_copy(arena, header_set(rq, "ETag"));
}

TIMS_UNUSED static void handle(tims_request *rq, void *argument)
{
    asking *a = argument;
    world *w = a->world;
    tims_str redirect;
    uint32_t allowed;
    tims_error err = { 0 };
    tims_header headers[] = { { TIMS_STR("Accept"),
                                a->browser ? TIMS_STR("text/html,*/*") : TIMS_STR("*/*") },
                              { TIMS_STR("Cookie"), TIMS_STR("a=b") },
                              { TIMS_STR("Accept-Language"), tims_str_from(a->language) },
                              { TIMS_STR("If-None-Match"), tims_str_from(a->etag) },
                              { TIMS_STR("Host"), tims_str_from(a->host) },
                              { TIMS_STR("X-Nonce"), TIMS_STR("smuggled") } };
    rq->slots[TIMS_SLOT_RUN] = a;
    rq->slots[TIMS_SLOT_PAGE] = w->pages;
    rq->method = a->method ? a->method : TIMS_METHOD_GET;
    rq->target = tims_str_from(a->target);
    rq->headers = headers;
    rq->header_count = a->smuggles ? 6 : 5;
    assert_int_equal(tims_url_split_target(rq->arena, rq->target, &rq->path, &rq->query_text, &err), TIMS_OK);
    tims_request_set_db(rq, w->db);
    tims_auth_attach(rq, w->auth);
    tims_request_set_caller(
        rq, (tims_caller){ a->signed_in, a->staff, false, tims_id_is_zero(a->user) ? w->user : a->user });
    rq->route =
        tims_router_find(w->router, rq->arena, rq->method, rq->path, &rq->path_params, &allowed, &redirect);
    tims_answer answer = rq->route != NULL ? rq->route->handler(rq) : tims_pages_not_found(rq);
    rq->has_finished = true;
    keep_answer(rq, &answer);
}

TIMS_UNUSED static void ask(asking *a)
{
    (void)!tims_request_run(a->world->loop, NULL, handle, a, keep_answer, NULL);
}

/* A loop, a render server on it when the script wants one, and the script on a fiber. */
TIMS_UNUSED static void run_script(void *argument)
{
    world *w = argument;
    w->script(w);
    if (w->renderer.listener != NULL)
        tims_listener_close(&w->renderer.listener);
    tims_fetch_shutdown(w->loop);
    tims_auth_loop_stop(w->auth, w->loop);
    tims_loop_stop(w->loop);
}

TIMS_UNUSED static void run(world *w, void (*script)(world *w))
{
    w->script = script;
    assert_int_equal(tims_loop_new(&(tims_loop_options){ 0 }, &w->loop), TIMS_OK);
    assert_non_null(tims_fiber_start(w->loop, run_script, w));
    tims_loop_run(w->loop);
    tims_loop_free(&w->loop);
}

TIMS_UNUSED static tims_str listen_as_renderer(world *w)
{
    tims_error err = { 0 };
    tims_str path = path_in(w, "render.sock");
    const tims_listen_options options = { .unix_path = path, .fd = -1 };
    if (tims_listen(w->loop, &options, accept_visit, &w->renderer, &w->renderer.listener, &err) != TIMS_OK)
        fail_msg("%s", err.message);
    return tims_print(w->arena, "unix:%S", path);
}

TIMS_UNUSED static void make_user(tims_request *rq, void *argument)
{
    world *w = argument;
    tims_user *user;
    tims_error err = { 0 };
    tims_request_set_db(rq, w->db);
    tims_auth_attach(rq, w->auth);
    tims_begin(rq);
    tims_check(rq, tims_user_create(rq, TIMS_STR("anna"), TIMS_STR("a quiet river"), false, &user, &err),
               &err);
    tims_commit(rq);
    w->user = user->id;
}

TIMS_UNUSED static bool has(tims_str text, const char *part)
{
    return tims_str_find(text, tims_str_from(part)) != SIZE_MAX;
}

#endif
