/* pages_test: pages as the server asks for them. */
#include "pages/pages_testing.h"

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

static void a_page_speaks_the_language_that_was_chosen_or_is_liked_best(void **state)
{
    static const struct {
        const char *chosen, *accepted, *expected;
    } table[] = {
        { "", "", "en" },
        { "de", "", "de" },
        { "DE", "en", "de" },
        { "fr", "de", "de" }, /* not one of ours */
        { "", "de-AT,de;q=0.9,en;q=0.8", "de" },
        { "", "en;q=0.8, de;q=0.9", "de" },
        { "", "fr, de;q=0.3, en;q=0.2", "de" },
        { "", "de;q=0, en;q=0.1", "en" },
        { "", "pt", "pt-BR" },
        { "", "pt-PT, de;q=0.5", "de" },
        { "", "pt-BR-x-a", "pt-BR" },
        { "", "d", "en" },
        { "", "deu", "en" },
        { "", "*", "en" },
        { "", "de;q=2, pt;q=0.5", "pt-BR" },
        { "", "de;q=x, pt;q=0.5", "pt-BR" },
        { "", "de;q=0.12345, pt;q=0.01", "pt-BR" },
        { "", "de;level=1, pt;q=0.1", "pt-BR" },
        { "", ";;,,;q=1,-", "en" },
    };
    (void)state;
    const tims_names languages = TIMS_NAMES("en", "de", "pt-BR");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *picked =
            pages__language_pick(languages, tims_str_from(table[i].chosen), tims_str_from(table[i].accepted));
        if (strcmp(picked, table[i].expected) != 0)
            fail_msg("%s | %s: got %s", table[i].chosen, table[i].accepted, picked);
    }
}

static void a_language_that_is_none_is_refused_at_the_start(void **state)
{
    static const char *const wrong[] = { "", "-", "de-", "d e", "1x", "\"" };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        tims_error err = { 0 };
        assert_int_equal(pages__languages_check((tims_names){ &wrong[i], 1 }, &err), TIMS_INVALID);
        assert_non_null(strstr(err.message, wrong[i]));
    }
}

/* The hashes are sha256sum's. */
#define ONE "'sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s='" /* 1 */
#define TWO "'sha256-1HNeOiZeFu7gP1lxi5tdAwGcB9i2xR+Q2jpmbuwTqzU='" /* 2 */

static void only_scripts_with_the_nonce_are_named_and_it_is_taken_out(void **state)
{
    static const struct {
        const char *html, *sealed, *sources;
    } table[] = {
        { "", "", "" },
        { "<p>", "<p>", "" },
        { "<script nonce=\"N\">1</script>", "<script>1</script>", " " ONE },
        { "<script>1</script>", "<script>1</script>", "" },
        { "<script nonce=\"M\">1</script>", "<script nonce=\"M\">1</script>", "" },
        { "<script nonce=N>1</script>", "<script nonce=N>1</script>", "" },
        { "<SCRIPT nonce=\"N\">1</Script>", "<SCRIPT>1</Script>", " " ONE },
        { "<script id=\"a>b\" nonce=\"N\">1</script >", "<script id=\"a>b\">1</script >", " " ONE },
        { "<script nonce=\"N\">1</script><script async nonce=\"N\">2</script>",
          "<script>1</script><script async>2</script>", " " ONE " " TWO },
        { "<script nonce=\"N\">1</script><script nonce=\"N\">1</script>",
          "<script>1</script><script>1</script>", " " ONE },
        { "<script src=\"/a.js\" nonce=\"N\"></script>", "<script src=\"/a.js\"></script>", "" },
        { "<link rel=\"preload\" nonce=\"N\"/>", "<link rel=\"preload\"/>", "" },
        { "<script type=\"application/json\" nonce=\"N\">1</script>",
          "<script type=\"application/json\">1</script>", "" },
        { "<script nonce=\"N\">1", "<script>1", " " ONE },
        { "<script nonce=\"N\"", "<script", "" },
        { "<scripty nonce=\"N\">1</script>", "<scripty>1</script>", "" },
        { "<p> nonce=\"N\"<script>1</script>", "<p><script>1</script>", "" },
        /* an opened tag before it takes its nonce, and gets no more than its content */
        { "<script x=<script nonce=\"N\">1</script>", "<script x=<script>1</script>", " " ONE },
        { "<script src=//evil x=<script nonce=\"N\">1</script>", "<script src=//evil x=<script>1</script>",
          " " ONE },
    };
    world *w = *state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        tims_str sources;
        tims_str sealed = pages__seal(w->arena, tims_str_from(table[i].html), TIMS_STR("N"), &sources);
        assert_str(sealed, table[i].sealed);
        assert_str(sources, table[i].sources);
    }
}

static void all_scripts_of_an_exported_file_are_named(void **state)
{
    world *w = *state;
    assert_str(
        pages__sources_of_export(
            w->arena, TIMS_STR("<p><script>1</script><script src=\"/a\"></script><i><script a>2</script>")),
        " " ONE " " TWO);
    assert_str(pages__sources_of_export(w->arena, TIMS_STR("<script></script>")), "");
    assert_str(pages__sources_of_export(w->arena, TIMS_STR("<script>1")), " " ONE);
    assert_str(pages__sources_of_export(w->arena, TIMS_STR("<")), "");
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
    assert_true(has(a.policy, "script-src 'self';"));
    assert_false(has(a.policy, "nonce"));
    tims_str expected =
        tims_print(w->arena,
                   "{\"path\":\"/chat/a%%20b?x=1&y\",\"route\":\"/chat/[chat]\",\"params\":{\"chat\":\"a "
                   "b\"},\"language\":\"en\",\"user\":{\"id\":\"%I\","
                   "\"username\":\"anna\",\"display_name\":\"anna\",\"avatar\":\"\",\"email\":null,\"staff\":"
                   "false},\"position\":\"00000000000000aa-7\",\"live\":",
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

static void check_snapshot(world *w)
{
    make_pages(w, (tims_pages_options){ .render_url = listen_as_renderer(w) });
    asking a = { .world = w, .target = "/counts" };
    for (int people = 0; people < 4; people += 2) {
        ask(&a);
        assert_int_equal(a.status, 200);
        tims_str expected = tims_print(w->arena,
                                       "\"live\":{\"/api/people-counted/?first\":%d,"
                                       "\"/api/people-counted/?second\":%d}",
                                       people, people);
        if (!has(w->renderer.body, tims_copy_c(w->arena, expected)))
            fail_msg("%.*s", TIMS_PRINT(w->renderer.body));
    }
}

static void all_includes_of_a_page_are_read_in_one_snapshot(void **state)
{
    run(*state, check_snapshot);
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

static void a_render_server_without_a_sign_of_life_is_left_alone_for_a_moment(void **state)
{
    run(*state, check_late);
}

static void check_refusing(world *w)
{
    make_pages(w, (tims_pages_options){ .render_url = listen_as_renderer(w) });
    tims_listener_close(&w->renderer.listener);
    for (int i = 0; i < 3; i++) {
        asking a = { .world = w, .target = "/about" };
        ask(&a);
        assert_true(a.status == 200 && has(a.body, "shell of about"));
    }
    (void)unlink(tims_copy_c(w->arena, path_in(w, "render.sock")));
    (void)listen_as_renderer(w); /* it is back, and not asked before the moment is over */
    asking a = { .world = w, .target = "/about" };
    ask(&a);
    assert_true(has(a.body, "shell of about"));
    assert_int_equal(w->renderer.asked, 0);
    w->pages->pool->foreign->rests_until_us = tims_monotonic_us();
    ask(&a);
    assert_str(a.body, "<p>rendered</p>");
}

static void a_render_server_that_takes_no_connection_is_left_alone_for_a_moment(void **state)
{
    run(*state, check_refusing);
}

/* --- a slow page among others -------------------------------------------------------------------------- */

typedef struct slow_visitor {
    asking asking;
    int *waiting;
} slow_visitor;

static void visit_slowly(void *argument)
{
    slow_visitor *v = argument;
    ask(&v->asking);
    --*v->waiting;
}

/* While five wait for a page that never comes, others are rendered, then and afterwards. */
static void check_slow_page(world *w)
{
    enum { VISITORS = 5 };
    slow_visitor visitors[VISITORS];
    int waiting = VISITORS;
    w->renderer.silent_path = "/";
    make_pages(w, (tims_pages_options){ .render_url = listen_as_renderer(w), .render_timeout_ms = 1000 });
    for (int i = 0; i < VISITORS; i++) {
        visitors[i] = (slow_visitor){ { .world = w, .target = "/" }, &waiting };
        assert_non_null(tims_fiber_start(w->loop, visit_slowly, &visitors[i]));
    }
    int rendered = 0;
    while (waiting > 0) {
        asking other = { .world = w, .target = "/about" };
        assert_int_equal(tims_sleep_ms(1), TIMS_OK);
        ask(&other);
        assert_str(other.body, "<p>rendered</p>");
        rendered++;
    }
    assert_true(rendered > 1);
    for (int i = 0; i < VISITORS; i++)
        assert_true(visitors[i].asking.status == 200 && has(visitors[i].asking.body, "shell of /"));
    asking after = { .world = w, .target = "/about" };
    ask(&after);
    assert_str(after.body, "<p>rendered</p>");
}

static void slow_pages_get_their_shells_and_the_others_are_rendered_as_before(void **state)
{
    run(*state, check_slow_page);
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
    assert_str(a.body, "<p>shell of /</p><script src=\"/a.js\"></script><script>1</script>");
    assert_str(b.body, tims_copy_c(w->arena, a.body));
    assert_true(has(a.policy, "script-src 'self' " ONE ";"));
    assert_str(a.cache, "private, no-store");
    write_file(w, "dist/app/index.html", "<script>2</script>"); /* another export */
    ask(&a);
    assert_str(a.body, "<script>2</script>");
    assert_true(has(a.policy, "script-src 'self' " TWO ";"));
    asking staff = { .world = w, .target = "/staff", .signed_in = true, .staff = true };
    assert_int_equal(tims_request_run(w->loop, NULL, make_user, w, NULL, NULL), TIMS_OK);
    ask(&staff);
    assert_int_equal(staff.status, 503); /* it has no shell either */
}

static void without_a_render_server_there_is_the_shell(void **state)
{
    run(*state, check_shell);
}

static void check_shells_by_name(world *w)
{
    static const struct {
        const char *target;
        int status;
        const char *part;
    } table[] = {
        { "/_shell/about.html", 200, "<p>shell of about</p>" },
        { "/_shell/chat/%5Bchat%5D.html", 200, "shell of a chat" },
        { "/_shell/404.html", 200, "nothing here" }, /* who keeps it gives it its status */
        { "/_shell/missing.html", 404, "" },
        { "/_shell/about", 404, "" },
        { "/_shell/_next/static/app.js", 404, "" },
    };
    make_pages(w, (tims_pages_options){ 0 });
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        asking a = { .world = w, .target = table[i].target };
        ask(&a);
        if (a.status != table[i].status || !has(a.body, table[i].part))
            fail_msg("%s: got %d %.*s", table[i].target, a.status, TIMS_PRINT(a.body));
        if (a.status == 200)
            assert_true(has(a.policy, "default-src 'self'"));
    }
}

static void shells_have_addresses_for_the_service_worker(void **state)
{
    run(*state, check_shells_by_name);
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
        a.body,
        TIMS_STR("{\"path\":\"/chat/7?x=1\",\"route\":\"/chat/[chat]\",\"params\":"
                 "{\"chat\":\"7\"},\"language\":\"en\",\"user\":null,\"position\":\"00000000000000aa-7\"")));
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

static bool is_distant(world *w, const char *path, tims_method method)
{
    tims_request rq = { .arena = w->arena, .path = tims_str_from(path), .method = method };
    return pages__is_distant_public(&rq, w->pages);
}

/* As a developer's backend in a container is: its front end is in another one. */
static void public_files_are_the_render_servers_while_developing_without_a_front_end(void **state)
{
    world *w = *state;
    make_pages(w, (tims_pages_options){ .development = true });
    assert_false(is_distant(w, "/theme.js", TIMS_METHOD_GET)); /* there is a folder, without it */
    tims_router_free(&w->router);
    make_pages(w, (tims_pages_options){ 0 });
    w->pages->public_root = "/no-such-folder";
    assert_false(is_distant(w, "/theme.js", TIMS_METHOD_GET)); /* not while developing */
    tims_router_free(&w->router);
    make_pages(w, (tims_pages_options){ .development = true });
    w->pages->public_root = "/no-such-folder";
    assert_true(is_distant(w, "/theme.js", TIMS_METHOD_GET));
    assert_true(is_distant(w, "/icons/favicon-32.png", TIMS_METHOD_HEAD));
    assert_false(is_distant(w, "/theme.js", TIMS_METHOD_POST));
    assert_false(is_distant(w, "/api/nothing.json", TIMS_METHOD_GET));
    assert_false(is_distant(w, "/.env", TIMS_METHOD_GET));
    assert_false(is_distant(w, "/nowhere", TIMS_METHOD_GET));
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
    make_pages(w, (tims_pages_options){ .render_command = command, .render_processes = 1 });
    assert_int_equal(tims_pages_start(w->pages, w->loop, &err), TIMS_OK);
    int64_t deadline_us = tims_monotonic_us() + 20000000;
    while (size_of(w, "starts") < 3 && tims_monotonic_us() < deadline_us)
        assert_int_equal(tims_sleep_ms(10), TIMS_OK);
    assert_true(size_of(w, "starts") >= 3);
    assert_true(w->pages->pool->places[0].pause_ms > 100); /* each pause longer than the one before */
    asking a = { .world = w, .target = "/about" };
    ask(&a);
    assert_true(has(a.body, "shell of about"));
    tims_str socket = tims_copy(w->arena, w->pages->pool->folder);
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
        T(a_page_speaks_the_language_that_was_chosen_or_is_liked_best),
        T(a_language_that_is_none_is_refused_at_the_start),
        T(only_scripts_with_the_nonce_are_named_and_it_is_taken_out),
        T(all_scripts_of_an_exported_file_are_named),
        T(a_page_is_rendered_from_its_data_and_nothing_of_the_client),
        T(all_includes_of_a_page_are_read_in_one_snapshot),
        T(a_render_server_without_a_sign_of_life_is_left_alone_for_a_moment),
        T(a_render_server_that_takes_no_connection_is_left_alone_for_a_moment),
        T(slow_pages_get_their_shells_and_the_others_are_rendered_as_before),
        T(a_page_that_fails_to_render_is_its_shell_and_an_unknown_one_stays_404),
        T(without_a_render_server_there_is_the_shell),
        T(shells_have_addresses_for_the_service_worker),
        T(who_may_not_see_a_page_is_sent_to_sign_in_or_refused),
        T(errors_are_pages_for_browsers_and_problems_for_programs),
        T(page_data_is_what_the_render_server_would_get),
        T(the_scripts_of_both_builds_are_one_folder),
        T(only_what_is_in_the_public_folder_by_a_plain_name_has_an_address),
        T(the_development_server_is_reached_only_while_developing),
        T(public_files_are_the_render_servers_while_developing_without_a_front_end),
        T(a_render_server_that_dies_is_started_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
