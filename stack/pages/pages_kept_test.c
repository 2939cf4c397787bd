/* pages_kept_test: which pages are kept, for whom, and when they go. The feed is played by hand. */
#include "pages/pages_testing.h"

static void find_position(tims_request *rq, void *argument)
{
    tims_error err = { 0 };
    tims_request_set_db(rq, ((world *)argument)->db);
    int64_t position;
    tims_check(rq, tims_position(tims_session_db(rq), &position, &err), &err);
    tims_cache_reach(((world *)argument)->cache, position);
}

/* The feed has told everything up to now. */
static void reach(world *w)
{
    assert_int_equal(tims_request_run(w->loop, NULL, find_position, w, NULL, NULL), TIMS_OK);
}

static void find_position_of_others(tims_request *rq, void *argument)
{
    tims_error err = { 0 };
    tims_request_set_db(rq, ((world *)argument)->db);
    int64_t position;
    tims_check(rq, tims_position(tims_session_db(rq), &position, &err), &err);
    tims_cache_reach(((world *)argument)->cache, position + 1000);
}

/* And what others do on the server meanwhile: on PostgreSQL their transactions move the position, too, be it
 * only autovacuum's. */
static void reach_further(world *w)
{
    assert_int_equal(tims_request_run(w->loop, NULL, find_position_of_others, w, NULL, NULL), TIMS_OK);
}

static int users;

static void insert_user(tims_request *rq, void *argument)
{
    world *w = argument;
    tims_error err = { 0 };
    tims_request_set_db(rq, w->db);
    tims_id id = tims_id_new();
    tims_str name = tims_print(rq->arena, "somebody%d", ++users);
    tims_user one = {
        .id = id, .username = name, .username_key = name, .display_name = name, .active = true
    };
    tims_check(rq, tims_model_insert(tims_session_db(rq), rq->arena, &tims_user_model, &one, &err), &err);
    w->user = id;
}

/* One more user, who is the world's from now on. */
static void add_user(world *w)
{
    assert_int_equal(tims_request_run(w->loop, NULL, insert_user, w, NULL, NULL), TIMS_OK);
}

static void touch_users(void *argument)
{
    world *w = argument;
    tims_cache_touch_model(w->cache, INT64_MAX, &tims_user_model);
}

static void begin_exactly(world *w)
{
    static const char *const languages[] = { "en", "de" };
    w->cache = tims_cache_new(&(tims_cache_options){ .bytes_max = 1 << 24 });
    make_pages(w, (tims_pages_options){ .render_url = listen_as_renderer(w), .languages = { languages, 2 } });
    add_user(w);
    reach(w);
}

static void begin(world *w)
{
    begin_exactly(w);
    reach_further(w);
}

/* Asks twice; says how often it was rendered. */
static int renders_of_two(world *w, asking *a)
{
    int before = w->renderer.asked;
    ask(a);
    assert_int_equal(a->status, 200);
    asking again = *a;
    ask(&again);
    assert_str(again.body, tims_copy_c(w->arena, a->body));
    assert_str(again.policy, tims_copy_c(w->arena, a->policy));
    assert_str(again.cache, tims_copy_c(w->arena, a->cache));
    return w->renderer.asked - before;
}

static const char *long_query(void)
{
    static char target[5000];
    memset(target, 'a', sizeof target - 1);
    memcpy(target, "/people?q=", 10);
    return target;
}

static void check_whose(world *w)
{
    static const struct {
        const char *target, *host;
        bool signed_in;
        int renders;
        const char *cache;
    } table[] = {
        { "/about", NULL, false, 1, "no-cache" },
        { "/about", "localhost:8000", true, 1, "private, no-cache" },
        { "/about?x=1", "127.0.0.1", true, 1, "private, no-cache" },
        { "/about?x=2", "example.org", true, 1, "private, no-store" },
        { "/about?x=3", "localhost.example.org", true, 1, "private, no-store" },
        { "/people", NULL, false, 1, "no-cache" },
        { "/private", NULL, false, 2, "private, no-store" },
        { "/private", "localhost", true, 1, "private, no-store" },
        { "/uncached", NULL, false, 2, "private, no-store" },
        { "/uncached", "localhost", true, 2, "private, no-store" },
        { "/form", NULL, false, 2, "private, no-store" },
    };
    begin(w);
    w->renderer.html = TIMS_STR("<p>a page</p>");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        asking a = {
            .world = w, .target = table[i].target, .host = table[i].host, .signed_in = table[i].signed_in
        };
        int renders = renders_of_two(w, &a);
        if (renders != table[i].renders)
            fail_msg("%s: rendered %d times", table[i].target, renders);
        assert_str(a.cache, table[i].cache);
    }
}

static void a_page_is_kept_unless_its_loader_says_otherwise(void **state)
{
    run(*state, check_whose);
}

static void check_sharing(world *w)
{
    begin(w);
    tims_id first = w->user;
    add_user(w);
    reach(w);
    asking nobody = { .world = w, .target = "/about" },
           german = { .world = w, .target = "/about", .language = "de" };
    asking one = { .world = w, .target = "/about", .signed_in = true, .user = first };
    asking other = { .world = w, .target = "/about", .signed_in = true, .user = w->user };
    asking *const all[] = { &nobody, &german, &one, &other };
    for (int i = 0; i < 4; i++) {
        w->renderer.html = tims_print(w->arena, "<p>%d</p>", i);
        ask(all[i]);
        assert_int_equal(w->renderer.asked, i + 1); /* each for itself */
    }
    for (int i = 0; i < 4; i++) {
        ask(all[i]);
        assert_str(all[i]->body, tims_copy_c(w->arena, tims_print(w->arena, "<p>%d</p>", i)));
    }
    assert_int_equal(w->renderer.asked, 4);
}

static void nobody_s_page_is_everybody_s_and_a_user_s_is_theirs_in_their_language(void **state)
{
    run(*state, check_sharing);
}

static void check_not_modified(world *w)
{
    w->renderer.html = TIMS_STR("<script>1</script>");
    begin(w);
    asking a = { .world = w, .target = "/about" };
    ask(&a);
    assert_true(a.tag.length > 2);
    asking b = { .world = w, .target = "/about", .etag = tims_copy_c(w->arena, a.tag) };
    ask(&b);
    assert_int_equal(b.status, 304);
    assert_str(b.policy, tims_copy_c(w->arena, a.policy));
    b.etag = "\"another\"";
    ask(&b);
    assert_int_equal(b.status, 200);
}

static void who_has_it_is_told_so(void **state)
{
    run(*state, check_not_modified);
}

static void check_change(world *w)
{
    begin_exactly(w);
    asking a = { .world = w, .target = "/people" }, b = { .world = w, .target = "/about" };
    ask(&a);
    ask(&b);
    assert_true(has(w->renderer.body, "\"values\":{}"));
    add_user(w); /* the feed has not heard of it: who asks now is ahead of what it has told */
    ask(&a);
    assert_true(has(w->renderer.body, "\"people\":2"));
    assert_int_equal(w->renderer.asked, 3);
    touch_users(w);
    reach_further(w);
    ask(&a);
    assert_int_equal(w->renderer.asked, 4); /* what was touched may be older than what was kept */
    ask(&b);
    assert_int_equal(w->renderer.asked, 4); /* it never looked at users */
}

static void a_page_goes_with_what_its_loader_has_read(void **state)
{
    run(*state, check_change);
}

static void check_meanwhile(world *w)
{
    begin(w);
    w->renderer.before_answer = touch_users;
    w->renderer.before_answer_argument = w;
    asking a = { .world = w, .target = "/people" };
    ask(&a);
    assert_int_equal(a.status, 200);
    assert_str(a.cache, "private, no-store");
    w->renderer.before_answer = NULL;
    ask(&a);
    assert_int_equal(w->renderer.asked, 2);
}

static void what_changes_while_it_is_rendered_is_not_kept(void **state)
{
    run(*state, check_meanwhile);
}

static void check_unfit(world *w)
{
    begin(w);
    asking a = { .world = w, .target = "/about" };
    for (int status = 500; status >= 404; status -= 96) {
        w->renderer.status = status;
        ask(&a);
        assert_str(a.cache, "private, no-store");
    }
    w->renderer.status = 200;
    ask(&a);
    assert_str(a.body, "<p>rendered</p>");
    assert_int_equal(w->renderer.asked, 3);
    asking missing = { .world = w, .target = "/missing" };
    for (int i = 0; i < 2; i++) {
        ask(&missing);
        assert_int_equal(missing.status, 404);
    }
}

static void shells_errors_and_missing_pages_are_not_kept(void **state)
{
    run(*state, check_unfit);
}

static void check_access_first(world *w)
{
    begin(w);
    asking a = { .world = w, .target = "/chats", .signed_in = true }, b = { .world = w, .target = "/chats" };
    ask(&a);
    assert_int_equal(a.status, 200);
    ask(&b);
    assert_int_equal(b.status, 303);
    asking staff = { .world = w, .target = "/staff", .signed_in = true, .staff = true };
    ask(&staff);
    assert_int_equal(staff.status, 200);
    staff.staff = false;
    ask(&staff);
    assert_int_equal(staff.status, 403);
}

static void access_is_checked_before_anything_is_looked_up(void **state)
{
    run(*state, check_access_first);
}

/* A loader may read any of it, so a name without it would be another page's. */
static void check_long_query(world *w)
{
    begin(w);
    asking long_one = { .world = w, .target = long_query() };
    ask(&long_one);
    assert_int_equal(long_one.status, 414);
    assert_int_equal(w->renderer.asked, 0);
    asking short_one = { .world = w, .target = "/people" };
    assert_int_equal(renders_of_two(w, &short_one), 1);
}

static void a_query_that_is_too_long_for_a_name_is_refused(void **state)
{
    run(*state, check_long_query);
}

static void check_build(world *w)
{
    write_file(w, "dist/server/BUILD_ID", "one\n");
    begin(w);
    asking a = { .world = w, .target = "/about" };
    assert_int_equal(renders_of_two(w, &a), 1);
    pages__build_look(w->pages);
    assert_int_equal(renders_of_two(w, &a), 0);
    write_file(w, "dist/server/BUILD_ID", ""); /* it is being written */
    pages__build_look(w->pages);
    assert_int_equal(renders_of_two(w, &a), 0);
    write_file(w, "dist/server/BUILD_ID", "two\n");
    pages__build_look(w->pages);
    assert_int_equal(renders_of_two(w, &a), 1);
    pages__build_hear(w->pages, TIMS_STR("two"));
    pages__build_hear(w->pages, TIMS_STR(""));
    assert_int_equal(renders_of_two(w, &a), 0);
    pages__build_hear(w->pages, TIMS_STR("three"));
    assert_int_equal(renders_of_two(w, &a), 1);
}

static void a_new_build_empties_the_pages(void **state)
{
    run(*state, check_build);
}

typedef struct visitor {
    asking asking;
    int *waiting;
} visitor;

static void visit_page(void *argument)
{
    visitor *v = argument;
    ask(&v->asking);
    --*v->waiting;
}

static void check_many(world *w)
{
    enum { VISITORS = 20 };
    visitor visitors[VISITORS];
    int waiting = VISITORS;
    begin(w);
    for (int i = 0; i < VISITORS; i++) {
        visitors[i] = (visitor){ { .world = w, .target = "/people" }, &waiting };
        assert_non_null(tims_fiber_start(w->loop, visit_page, &visitors[i]));
    }
    while (waiting > 0)
        assert_int_equal(tims_sleep_ms(1), TIMS_OK);
    assert_int_equal(w->renderer.asked, 1);
    for (int i = 0; i < VISITORS; i++)
        assert_str(visitors[i].asking.body, "<p>rendered</p>");
}

static void of_many_who_miss_it_one_makes_it(void **state)
{
    run(*state, check_many);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_page_is_kept_unless_its_loader_says_otherwise),
        T(nobody_s_page_is_everybody_s_and_a_user_s_is_theirs_in_their_language),
        T(who_has_it_is_told_so),
        T(a_page_goes_with_what_its_loader_has_read),
        T(what_changes_while_it_is_rendered_is_not_kept),
        T(shells_errors_and_missing_pages_are_not_kept),
        T(access_is_checked_before_anything_is_looked_up),
        T(a_query_that_is_too_long_for_a_name_is_refused),
        T(a_new_build_empties_the_pages),
        T(of_many_who_miss_it_one_makes_it),
    };
    return cmocka_run_group_tests_name("pages_kept", tests, NULL, NULL);
}
