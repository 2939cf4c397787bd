/* pages_test: pages as the server asks for them, against a real database, real files and a small render
 * server on the same loop that writes down what it was asked. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/testing.h"
#include "pages/pages_internal.h"
#include "tims/crypto.h"

/* --- the render server ------------------------------------------------------------------------------- */

typedef struct renderer {
    tims_listener *listener;
    tims_str html; /* its answer; empty: it never answers */
    int status, asked;
    tims_arena *arena;
    tims_str path, nonce, cookie, body;
} renderer;

typedef struct visit {
    renderer *renderer;
    tims_stream *stream;
    tims_http1 *parser;
    tims_buf body;
} visit;

static bool hear_head(void *ctx, const tims_http1_head *head)
{
    renderer *r = ((visit *)ctx)->renderer;
    r->path = tims_copy(r->arena, head->target);
    r->nonce = tims_copy(r->arena, tims_header_get(head->headers, head->header_count, TIMS_STR("x-nonce")));
    r->cookie = tims_copy(r->arena, tims_header_get(head->headers, head->header_count, TIMS_STR("cookie")));
    assert_int_equal(head->method, TIMS_METHOD_POST);
    return true;
}

static bool hear_body(void *ctx, tims_str bytes)
{
    tims_buf_append_str(&((visit *)ctx)->body, bytes);
    return true;
}

static bool hear_end(void *ctx)
{
    visit *v = ctx;
    renderer *r = v->renderer;
    r->asked++;
    r->body = tims_copy(r->arena, tims_buf_str(&v->body));
    v->body.length = 0;
    if (r->html.length == 0)
        return true;
    tims_str text = tims_print(r->arena, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%S", r->status,
                               r->html.length, r->html);
    (void)!tims_stream_write(v->stream, &text, 1);
    return true;
}

static void visit_data(void *ctx, tims_str bytes)
{
    visit *v = ctx;
    size_t used;
    int http_status;
    tims_error err = { 0 };
    assert_int_equal(tims_http1_feed(v->parser, bytes, &used, &http_status, &err), TIMS_OK);
}

static void visit_end(void *ctx, tims_status why)
{
    (void)why;
    tims_stream_close(((visit *)ctx)->stream);
}

static void visit_closed(void *ctx)
{
    visit *v = ctx;
    tims_http1_free(&v->parser);
    tims_buf_free(&v->body);
    free(v);
}

static void accept_visit(void *ctx, tims_stream *stream)
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

static void load_chat(tims_page *page)
{
    tims_page_include(page, "/api/notes/?chat=%S", tims_param(page, "chat"));
    tims_page_include(page, "/api/notes/?chat=%S", tims_param(page, "chat")); /* once is enough */
    tims_page_value(page, "limit", TIMS_STR("50"));
}

static void load_missing(tims_page *page)
{
    tims_page_include(page, "/api/missing/");
}

static void load_broken(tims_page *page)
{
    tims_raise(page->rq, 500, "broken", "This loader is broken.");
}

static const tims_page_route routes[] = {
    { .path = "/" },
    { .path = "/about" },
    { .path = "/chats", .access = tims_access_signed_in },
    { .path = "/staff", .access = tims_access_staff },
    { .path = "/chat/{chat}", .load = load_chat },
    { .path = "/missing", .load = load_missing },
    { .path = "/broken", .load = load_broken },
    { 0 },
};

static const char danger[] = "</script><script>alert(1)</script>";

static tims_status write_url(const void *data, tims_request *rq, tims_str url, tims_json_writer *w,
                             tims_error *err)
{
    (void)data;
    assert_true(tims_session_db(rq) != NULL);
    if (tims_str_equal(url, TIMS_STR("/api/missing/")))
        return tims_fail(err, TIMS_NOT_FOUND, "not_found", "Not here.");
    tims_json_begin_object(w);
    tims_json_key(w, TIMS_STR("text"));
    tims_json_str(w, tims_str_from(danger));
    tims_json_end_object(w);
    return TIMS_OK;
}

static tims_status write_position(const void *data, tims_request *rq, tims_json_writer *w, tims_error *err)
{
    (void)data;
    (void)rq;
    (void)err;
    tims_json_str(w, TIMS_STR("00000000000000aa-7"));
    return TIMS_OK;
}

typedef struct world {
    tims_arena *arena;
    char folder[64];
    tims_db *db;
    tims_auth *auth;
    tims_loop *loop;
    tims_pages *pages;
    tims_router *router;
    renderer renderer;
    void (*script)(struct world *w);
    tims_id user;
} world;

typedef struct asking {
    world *world;
    const char *target;
    tims_method method;
    bool signed_in, staff, browser, smuggles;
    /* out */
    int status;
    tims_str body, location, policy, cache, type;
} asking;

static tims_str path_in(world *w, const char *name)
{
    return tims_print(w->arena, "%s/%s", w->folder, name);
}

static void write_file(world *w, const char *name, const char *text)
{
    const char *path = tims_copy_c(w->arena, path_in(w, name));
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void make_folders(world *w)
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

static void open_database(world *w)
{
    tims_error err = { 0 };
    tims_db_options options = { .url = tims_print(w->arena, "sqlite:%s/test.sqlite3", w->folder) };
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

static int set_up(void **state)
{
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->arena = tims_arena_new((size_t)1 << 28, NULL, NULL);
    w->renderer = (renderer){ .html = TIMS_STR("<p>rendered</p>"), .status = 200, .arena = w->arena };
    (void)snprintf(w->folder, sizeof w->folder, "/tmp/tims-pages-test-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    make_folders(w);
    open_database(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    char command[128];
    tims_router_free(&w->router);
    tims_arena_free(&w->arena);
    tims_db_close(&w->db);
    (void)snprintf(command, sizeof command, "rm -rf %s", w->folder);
    assert_int_equal(system(command), 0);
    free(w);
    return 0;
}

static void make_pages(world *w, tims_pages_options options)
{
    static const tims_page_route *const tables[] = { routes };
    tims_error err = { 0 };
    size_t count;
    options.front_directory = w->folder;
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

static tims_str header_set(const tims_request *rq, const char *name)
{
    return tims_header_get(rq->out_headers, rq->out_header_count, tims_str_from(name));
}

static void keep_answer(tims_request *rq, tims_answer *answer)
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
}

static void handle(tims_request *rq, void *argument)
{
    asking *a = argument;
    world *w = a->world;
    tims_str redirect;
    uint32_t allowed;
    tims_error err = { 0 };
    tims_header headers[] = { { TIMS_STR("Accept"),
                                a->browser ? TIMS_STR("text/html,*/*") : TIMS_STR("*/*") },
                              { TIMS_STR("Cookie"), TIMS_STR("a=b") },
                              { TIMS_STR("X-Nonce"), TIMS_STR("smuggled") } };
    rq->slots[TIMS_SLOT_RUN] = a;
    rq->slots[TIMS_SLOT_PAGE] = w->pages;
    rq->method = a->method ? a->method : TIMS_METHOD_GET;
    rq->target = tims_str_from(a->target);
    rq->headers = headers;
    rq->header_count = a->smuggles ? 3 : 2;
    assert_int_equal(tims_url_split_target(rq->arena, rq->target, &rq->path, &rq->query_text, &err), TIMS_OK);
    tims_request_set_db(rq, w->db);
    tims_auth_attach(rq, w->auth);
    tims_request_set_caller(rq, (tims_caller){ a->signed_in, a->staff, false, w->user });
    rq->route =
        tims_router_find(w->router, rq->arena, rq->method, rq->path, &rq->path_params, &allowed, &redirect);
    tims_answer answer = rq->route != NULL ? rq->route->handler(rq) : tims_pages_not_found(rq);
    rq->has_finished = true;
    keep_answer(rq, &answer);
}

static void ask(asking *a)
{
    (void)!tims_request_run(a->world->loop, NULL, handle, a, keep_answer, NULL);
}

/* A loop, a render server on it when the script wants one, and the script on a fiber. */
static void run_script(void *argument)
{
    world *w = argument;
    w->script(w);
    if (w->renderer.listener != NULL)
        tims_listener_close(&w->renderer.listener);
    tims_fetch_shutdown(w->loop);
    tims_auth_loop_stop(w->auth, w->loop);
    tims_loop_stop(w->loop);
}

static void run(world *w, void (*script)(world *w))
{
    w->script = script;
    assert_int_equal(tims_loop_new(&(tims_loop_options){ 0 }, &w->loop), TIMS_OK);
    assert_non_null(tims_fiber_start(w->loop, run_script, w));
    tims_loop_run(w->loop);
    tims_loop_free(&w->loop);
}

static tims_str listen_as_renderer(world *w)
{
    tims_error err = { 0 };
    tims_str path = path_in(w, "render.sock");
    const tims_listen_options options = { .unix_path = path, .fd = -1 };
    if (tims_listen(w->loop, &options, accept_visit, &w->renderer, &w->renderer.listener, &err) != TIMS_OK)
        fail_msg("%s", err.message);
    return tims_print(w->arena, "unix:%S", path);
}

static void make_user(tims_request *rq, void *argument)
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

static bool has(tims_str text, const char *part)
{
    return tims_str_find(text, tims_str_from(part)) != SIZE_MAX;
}

/* --- names ------------------------------------------------------------------------------------------- */

static void a_path_has_a_page_and_a_shell(void **state)
{
    static const struct {
        const char *path, *next, *shell;
    } table[] = {
        { "/", "/", "index.html" },
        { "/about", "/about", "about.html" },
        { "/chat/{chat:id}", "/chat/[chat]", "chat/[chat].html" },
        { "/a/{x}/b/{y:int}", "/a/[x]/b/[y]", "a/[x]/b/[y].html" },
        { "/files/{rest:path}", "/files/[...rest]", "files/[...rest].html" },
    };
    world *w = *state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        tims_str next = pages__next_route(w->arena, table[i].path);
        assert_str(next, table[i].next);
        assert_string_equal(pages__shell_of(w->arena, next), table[i].shell);
    }
}

static void a_nonce_stands_on_every_script(void **state)
{
    world *w = *state;
    assert_str(
        pages__add_nonce(w->arena, TIMS_STR("<script>1</script><p><script src=x></script>"), TIMS_STR("N")),
        "<script nonce=\"N\">1</script><p><script nonce=\"N\" src=x></script>");
    assert_str(pages__add_nonce(w->arena, TIMS_STR("<p>"), TIMS_STR("N")), "<p>");
    assert_str(pages__add_nonce(w->arena, TIMS_STR(""), TIMS_STR("N")), "");
}

/* --- pages ------------------------------------------------------------------------------------------- */

static void check_rendered(world *w)
{
    make_pages(w, (tims_pages_options){ .render_url = listen_as_renderer(w) });
    assert_int_equal(tims_request_run(w->loop, NULL, make_user, w, NULL, NULL), TIMS_OK);
    asking a = {
        .world = w, .target = "/chat/a%20b?x=1&y", .signed_in = true, .browser = true, .smuggles = true
    };
    ask(&a);
    assert_int_equal(a.status, 200);
    assert_str(a.body, "<p>rendered</p>");
    assert_str(a.type, "text/html; charset=utf-8");
    assert_str(a.cache, "private, no-store");
    assert_str(w->renderer.path, "/chat/a%20b?x=1&y");
    assert_str(w->renderer.cookie, "");
    assert_int_equal(w->renderer.nonce.length, PAGES__NONCE_LENGTH);
    assert_true(has(a.policy, tims_copy_c(w->arena, tims_print(w->arena, "'nonce-%S'", w->renderer.nonce))));
    tims_str expected = tims_print(
        w->arena,
        "{\"path\":\"/chat/a%%20b?x=1&y\",\"route\":\"/chat/[chat]\",\"params\":{\"chat\":\"a "
        "b\"},\"user\":{\"id\":\"%I\","
        "\"username\":\"anna\",\"display_name\":\"anna\",\"avatar\":\"\",\"staff\":false},\"csrf\":\"",
        w->user);
    assert_true(tims_str_starts_with(w->renderer.body, expected));
    assert_true(tims_str_ends_with(
        w->renderer.body,
        TIMS_STR("\"position\":\"00000000000000aa-7\",\"live\":{\"/api/notes/?chat=a%20b\":{\"text\":"
                 "\"</script><script>alert(1)</script>\"}},\"values\":{\"limit\":50}}")));
    const tims_json *parsed;
    tims_error err = { 0 };
    assert_int_equal(tims_json_parse(w->arena, w->renderer.body, &parsed, &err), TIMS_OK);
}

static void a_page_is_rendered_from_its_data_and_nothing_of_the_client(void **state)
{
    run(*state, check_rendered);
}

static void check_late(world *w)
{
    w->renderer.html = TIMS_STR("");
    make_pages(w, (tims_pages_options){ .render_url = listen_as_renderer(w), .render_timeout_ms = 30 });
    for (int i = 0; i < 5; i++) {
        asking a = { .world = w, .target = "/about" };
        ask(&a);
        assert_int_equal(a.status, 200);
        assert_true(has(a.body, "shell of about"));
    }
    assert_int_equal(w->renderer.asked, 3); /* then it was left alone */
}

static void a_late_render_server_gives_the_shell_and_is_then_left_alone(void **state)
{
    run(*state, check_late);
}

static void check_failing(world *w)
{
    make_pages(w, (tims_pages_options){ .render_url = listen_as_renderer(w) });
    w->renderer.status = 500;
    asking a = { .world = w, .target = "/about" };
    ask(&a);
    assert_true(a.status == 200 && has(a.body, "shell of about"));
    w->renderer.status = 404;
    ask(&a);
    assert_int_equal(a.status, 404);
    assert_str(a.body, "<p>rendered</p>");
}

static void a_page_that_fails_to_render_is_its_shell_and_an_unknown_one_stays_404(void **state)
{
    run(*state, check_failing);
}

static void check_shell(world *w)
{
    make_pages(w, (tims_pages_options){ 0 });
    asking a = { .world = w, .target = "/" }, b = { .world = w, .target = "/" };
    ask(&a);
    ask(&b);
    assert_int_equal(a.status, 200);
    assert_true(tims_str_starts_with(a.body, TIMS_STR("<p>shell of /</p><script nonce=\"")));
    tims_str nonce = tims_str_slice(a.body, 32, 32 + PAGES__NONCE_LENGTH);
    assert_true(
        has(a.policy, tims_copy_c(w->arena, tims_print(w->arena, "script-src 'self' 'nonce-%S';", nonce))));
    assert_false(tims_str_equal(a.policy, b.policy)); /* another nonce each time */
    asking staff = { .world = w, .target = "/staff", .signed_in = true, .staff = true };
    assert_int_equal(tims_request_run(w->loop, NULL, make_user, w, NULL, NULL), TIMS_OK);
    ask(&staff);
    assert_int_equal(staff.status, 503); /* it has no shell either */
}

static void without_a_render_server_there_is_the_shell(void **state)
{
    run(*state, check_shell);
}

static void check_access(world *w)
{
    make_pages(w, (tims_pages_options){ 0 });
    assert_int_equal(tims_request_run(w->loop, NULL, make_user, w, NULL, NULL), TIMS_OK);
    asking a = { .world = w, .target = "/chats?a=b&c=%2F", .browser = true };
    ask(&a);
    assert_int_equal(a.status, 303);
    assert_str(a.location, "/login?next=%2Fchats%3Fa%3Db%26c%3D%252F");
    asking staff = { .world = w, .target = "/staff", .signed_in = true, .browser = true };
    ask(&staff);
    assert_int_equal(staff.status, 403);
    assert_true(has(staff.body, "nothing here"));
}

static void who_may_not_see_a_page_is_sent_to_sign_in_or_refused(void **state)
{
    run(*state, check_access);
}

static void check_errors(world *w)
{
    static const struct {
        const char *target;
        bool browser;
        tims_method method;
        int status;
        const char *part;
    } table[] = {
        { "/nowhere", true, TIMS_METHOD_GET, 404, "nothing here" },
        { "/nowhere", false, TIMS_METHOD_GET, 404, "" },
        { "/nowhere", true, TIMS_METHOD_POST, 404, "" },
        { "/api/nowhere/", true, TIMS_METHOD_GET, 404, "" },
        { "/_next/nowhere.js", true, TIMS_METHOD_GET, 404, "" },
        { "/missing", true, TIMS_METHOD_GET, 404, "nothing here" },
        { "/missing", false, TIMS_METHOD_GET, 404, "" },
        { "/broken", true, TIMS_METHOD_GET, 500, "went wrong" },
        { "/.hidden", true, TIMS_METHOD_GET, 404, "nothing here" },
        { "/page-data?path=/nowhere", true, TIMS_METHOD_GET, 404, "" },
        { "/page-data?path=/missing", true, TIMS_METHOD_GET, 404, "" },
        { "/page-data?path=/chats", true, TIMS_METHOD_GET, 401, "" },
        { "/page-data?path=http://other.site/", true, TIMS_METHOD_GET, 400, "" },
        { "/page-data?path=/../x", true, TIMS_METHOD_GET, 400, "" },
        { "/page-data", true, TIMS_METHOD_GET, 400, "" },
    };
    make_pages(w, (tims_pages_options){ 0 });
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        asking a = {
            .world = w, .target = table[i].target, .browser = table[i].browser, .method = table[i].method
        };
        ask(&a);
        if (a.status != table[i].status || !has(a.body, table[i].part))
            fail_msg("%s: got %d %.*s", table[i].target, a.status, TIMS_PRINT(a.body));
        if (table[i].part[0] == '\0')
            assert_false(has(a.body, "<p>"));
    }
}

static void errors_are_pages_for_browsers_and_problems_for_programs(void **state)
{
    run(*state, check_errors);
}

static void check_page_data(world *w)
{
    make_pages(w, (tims_pages_options){ 0 });
    asking a = { .world = w, .target = "/page-data?path=%2Fchat%2F7%3Fx%3D1" };
    ask(&a);
    assert_int_equal(a.status, 200);
    assert_str(a.cache, "private, no-store");
    assert_true(tims_str_starts_with(
        a.body, TIMS_STR("{\"path\":\"/chat/7?x=1\",\"route\":\"/chat/[chat]\",\"params\":"
                         "{\"chat\":\"7\"},\"user\":null,\"csrf\":\"")));
}

static void page_data_is_what_the_render_server_would_get(void **state)
{
    run(*state, check_page_data);
}

static bool has_route(const world *w, const char *path)
{
    tims_pairs params;
    uint32_t allowed;
    tims_str redirect;
    return tims_router_find(w->router, w->arena, TIMS_METHOD_GET, tims_str_from(path), &params, &allowed,
                            &redirect) != NULL;
}

static void the_scripts_of_both_builds_are_one_folder(void **state)
{
    world *w = *state;
    make_pages(w, (tims_pages_options){ 0 });
    assert_true(
        tims_str_ends_with(tims_str_from(pages__static_root(w->arena, w->pages, TIMS_STR("server.js"))),
                           TIMS_STR("/dist/server/static")));
    assert_true(tims_str_ends_with(tims_str_from(pages__static_root(w->arena, w->pages, TIMS_STR("app.js"))),
                                   TIMS_STR("/dist/app/_next/static")));
    assert_true(has_route(w, "/_next/static/chunks/x.js"));
}

static void only_what_is_in_the_public_folder_by_a_plain_name_has_an_address(void **state)
{
    world *w = *state;
    make_pages(w, (tims_pages_options){ 0 });
    assert_true(has_route(w, "/robots.txt"));
    assert_false(has_route(w, "/.hidden"));
    assert_false(has_route(w, "/robots.txt.br"));
}

static void the_development_server_is_reached_only_while_developing(void **state)
{
    world *w = *state;
    make_pages(w, (tims_pages_options){ 0 });
    assert_false(has_route(w, "/_next/webpack-hmr"));
    tims_router_free(&w->router);
    make_pages(w, (tims_pages_options){ .development = true });
    assert_true(has_route(w, "/_next/webpack-hmr"));
    assert_true(pages__is_development_path(TIMS_STR("/__nextjs_original-stack-frames")));
    assert_false(pages__is_development_path(TIMS_STR("/api/")));
}

/* --- the process ------------------------------------------------------------------------------------- */

static off_t size_of(world *w, const char *name)
{
    struct stat facts;
    return stat(tims_copy_c(w->arena, path_in(w, name)), &facts) == 0 ? facts.st_size : 0;
}

static void check_restarts(world *w)
{
    tims_error err = { 0 };
    const char *command = tims_copy_c(
        w->arena,
        tims_print(w->arena, "sh -c 'test -n \"$TIMS_RENDER_SOCKET\" && printf x >>%s/starts'", w->folder));
    make_pages(w, (tims_pages_options){ .render_command = command });
    assert_int_equal(tims_pages_start(w->pages, w->loop, &err), TIMS_OK);
    int64_t deadline_us = tims_monotonic_us() + 20000000;
    while (size_of(w, "starts") < 3 && tims_monotonic_us() < deadline_us)
        assert_int_equal(tims_sleep_ms(10), TIMS_OK);
    assert_true(size_of(w, "starts") >= 3);
    assert_true(w->pages->render.pause_ms > 100); /* each pause longer than the one before */
    asking a = { .world = w, .target = "/about" };
    ask(&a);
    assert_true(has(a.body, "shell of about"));
    tims_str socket = tims_copy(w->arena, w->pages->render.folder);
    tims_pages_stop(w->pages);
    assert_int_not_equal(access(socket.data, F_OK), 0); /* its folder is gone */
}

static void a_render_server_that_dies_is_started_again(void **state)
{
    run(*state, check_restarts);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_path_has_a_page_and_a_shell),
        T(a_nonce_stands_on_every_script),
        T(a_page_is_rendered_from_its_data_and_nothing_of_the_client),
        T(a_late_render_server_gives_the_shell_and_is_then_left_alone),
        T(a_page_that_fails_to_render_is_its_shell_and_an_unknown_one_stays_404),
        T(without_a_render_server_there_is_the_shell),
        T(who_may_not_see_a_page_is_sent_to_sign_in_or_refused),
        T(errors_are_pages_for_browsers_and_problems_for_programs),
        T(page_data_is_what_the_render_server_would_get),
        T(the_scripts_of_both_builds_are_one_folder),
        T(only_what_is_in_the_public_folder_by_a_plain_name_has_an_address),
        T(the_development_server_is_reached_only_while_developing),
        T(a_render_server_that_dies_is_started_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
