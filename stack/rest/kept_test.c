/* kept_test.c: GET answered from the cache: what is kept, for whom, that nobody gets anything older than they
 * would have read, and that the check of it finds what is. The feed's part is played by the tests. */
#include "rest/testing.h"

/* --- endpoints -------------------------------------------------------------------------------- */

static void count_people(tims_request *rq, tims_json_writer *w)
{
    tims_json_int(w, tims_count(rq, &person_model, NULL));
}

static void count_my_rooms(tims_request *rq, tims_json_writer *w)
{
    size_t count;
    (void)tims_select(rq, &room_model, &count, NULL);
    tims_json_int(w, (int64_t)count);
}

static void count_what_is_told_late(tims_request *rq, tims_json_writer *w)
{
    tims_reads_untold(rq);
    count_people(rq, w);
}

static const tims_computed endpoints[] = {
    { .path = "/api/people-count/", .write = count_people },
    { .path = "/api/my-rooms/", .write = count_my_rooms, .access = tims_access_signed_in },
    { .path = "/api/late/", .write = count_what_is_told_late },
    { 0 },
};

static void free_recorder(void *argument)
{
    tims_reads *reads = argument;
    tims_reads_free(&reads);
}

/* As a page does: {"document":…,"topics":n,"asked":…}. */
static tims_answer include(tims_request *rq)
{
    tims_reads *reads = tims_reads_new_lenient();
    tims_error err = { 0 };
    tims_buf out;
    size_t count;
    tims_defer(rq, free_recorder, reads);
    tims_buf_init(&out, rq->arena, 1 << 20);
    tims_json_writer writer = tims_json_to(&out);
    tims_check(rq, tims_db_begin_snapshot(tims_session_db(rq), &err), &err);
    tims_reads_begin(rq, reads);
    tims_json_begin_object(&writer);
    tims_json_key(&writer, TIMS_STR("document"));
    tims_check(
        rq,
        tims_rest_include(rq->slots[TIMS_SLOT_REST], rq, tims_query_get(rq, TIMS_STR("url")), &writer, &err),
        &err);
    tims_reads_end(rq);
    (void)tims_reads_topics(reads, &count);
    tims_json_key(&writer, TIMS_STR("topics"));
    tims_json_int(&writer, tims_reads_can_follow(reads) ? (int64_t)count : -1);
    tims_json_key(&writer, TIMS_STR("asked"));
    tims_json_bool(&writer, tims_reads_asked_caller(reads));
    tims_json_end_object(&writer);
    return tims_answer_json(200, tims_buf_str(&out));
}

static const tims_route including[] = { { TIMS_METHOD_GET, "/include", include } };

/* --- the feed, by hand ------------------------------------------------------------------------ */

static int64_t position_of(const reply *r)
{
    tims_str text = header(r, "Tims-Position");
    int64_t position = -1;
    assert_true(text.length > REST__EPOCH_LENGTH);
    text = tims_str_slice(text, REST__EPOCH_LENGTH + 1, text.length);
    assert_true(tims_str_to_int(text, 0, INT64_MAX, &position));
    return position;
}

static int64_t position_now(world *w)
{
    reply r = get(w, "ann", "/api/notes/?limit=1&number=-987");
    return position_of(&r);
}

/* All that has happened has been told. */
static void reach(world *w)
{
    tims_cache_reach(served_cache, position_now(w));
}

static void tell_and_reach(world *w, const tims_model *model)
{
    int64_t position = position_now(w);
    tims_cache_touch_model(served_cache, position, model);
    tims_cache_reach(served_cache, position);
}

static int64_t counted(world *w, const char *name)
{
    tims_buf out;
    int64_t value = -1;
    tims_buf_init(&out, w->arena, 1 << 16);
    tims_cache_metrics(served_cache, &out);
    tims_str line = tims_print(w->arena, "\ntims_cache_%s ", name);
    size_t at = tims_str_find(tims_buf_str(&out), line);
    assert_true(at != SIZE_MAX);
    tims_str rest = tims_str_slice(tims_buf_str(&out), at + line.length, out.length);
    assert_true(tims_str_to_int(tims_str_cut(&rest, '\n'), 0, INT64_MAX, &value));
    return value;
}

static int64_t hits(world *w)
{
    return counted(w, "hits_total{kind=\"json\"}");
}

/* The answer, and whether it came from the cache. */
static reply get_kept(world *w, const char *user, const char *path, bool from_cache)
{
    int64_t before = hits(w);
    reply r = get(w, user, path);
    assert_status(r, 200);
    if (hits(w) - before != (from_cache ? 1 : 0))
        fail_msg("%s of %s: %s from the cache", path, user, from_cache ? "not" : "came");
    return r;
}

/* Asked for, kept, given out. */
static reply warm(world *w, const char *user, const char *path)
{
    (void)get(w, user, path);
    (void)get(w, user, path);
    return get_kept(w, user, path, true);
}

#define NOTES_OF_ROOM1 "/api/notes/?room=" ROOM1 "&number=3"

static void assert_str_equal(tims_str a, tims_str b)
{
    if (!tims_str_equal(a, b))
        fail_msg("%.*s\nis not\n%.*s", TIMS_PRINT(a), TIMS_PRINT(b));
}

/* --- lists and details ------------------------------------------------------------------------ */

static void what_is_asked_for_again_is_kept(void **state)
{
    world *w = *state;
    static const char *const paths[] = { NOTES_OF_ROOM1, "/api/notes/" NOTE("1") "/", "/api/people/",
                                         "/api/people-count/", "/api/my-rooms/" };
    reach(w);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        reply first = get_kept(w, "ann", paths[i], false), second = get_kept(w, "ann", paths[i], false);
        reply third = get_kept(w, "ann", paths[i], true), fourth = get_kept(w, "ann", paths[i], true);
        assert_str_equal(first.body, second.body);
        assert_str_equal(first.body, third.body);
        assert_str_equal(first.body, fourth.body);
        assert_str_equal(header(&first, "Tims-Position"), header(&third, "Tims-Position"));
        assert_str_equal(header(&first, "Cache-Control"), header(&third, "Cache-Control"));
        assert_str_equal(header(&first, "Content-Type"), header(&third, "Content-Type"));
        assert_int_equal(header(&third, "ETag").length, 34);
    }
}

static void who_has_a_list_already_is_told_so(void **state)
{
    world *w = *state;
    reach(w);
    reply kept = warm(w, "ann", NOTES_OF_ROOM1);
    tims_str condition = tims_print(w->arena, "If-None-Match: %S\r\n", header(&kept, "ETag"));
    reply r = ask(w, "ann", "GET", TIMS_STR(NOTES_OF_ROOM1), condition.data, NULL);
    assert_status(r, 304);
    assert_int_equal(r.body.length, 0);
    assert_int_equal(position_of(&r), position_of(&kept));
    reply other = ask(w, "ann", "GET", TIMS_STR(NOTES_OF_ROOM1), "If-None-Match: \"x\"\r\n", NULL);
    assert_status(other, 200);
    /* A detail's tag names the row, kept or not: it is what If-Match is held against. */
    reply detail = get(w, "ann", "/api/notes/" NOTE("1") "/");
    reply again = warm(w, "ann", "/api/notes/" NOTE("1") "/");
    assert_str_equal(header(&detail, "ETag"), header(&again, "ETag"));
}

static void patch(world *w, const char *text)
{
    tims_str body = tims_print(w->arena, "{\"text\":\"%s\"}", text);
    assert_status(ask(w, "bob", "PATCH", TIMS_STR("/api/notes/" NOTE("4") "/"), "", body.data), 200);
}

static void who_is_ahead_of_the_feed_reads_for_themselves(void **state)
{
    world *w = *state;
    reach(w);
    (void)warm(w, "ann", NOTES_OF_ROOM1);
    patch(w, "changed");
    reply r = get_kept(w, "ann", NOTES_OF_ROOM1, false); /* though nothing has been told */
    assert_contains(r.body, "changed");
    r = get_kept(w, "ann", NOTES_OF_ROOM1, true); /* at the same position it is the same */
    assert_contains(r.body, "changed");
    patch(w, "changed again");
    tell_and_reach(w, &note_model);
    r = get_kept(w, "ann", NOTES_OF_ROOM1, false);
    assert_contains(r.body, "changed again");
    int64_t before = position_of(&r);
    assert_status(ask(w, "ann", "POST", TIMS_STR("/api/rooms/"), "", "{\"title\":\"Another\"}"), 201);
    tell_and_reach(w, &room_model); /* the notes hang on rooms only through who may read them */
    r = get(w, "ann", NOTES_OF_ROOM1);
    assert_true(position_of(&r) > before);
    assert_contains(r.body, "changed again");
}

static void what_holds_names_the_position_of_who_asks(void **state)
{
    world *w = *state;
    reach(w);
    reply kept = warm(w, "ann", "/api/people/");
    patch(w, "unconcerned");
    tell_and_reach(w, &note_model);
    reply r = get_kept(w, "ann", "/api/people/", true);
    assert_str_equal(r.body, kept.body);
    assert_true(position_of(&r) > position_of(&kept));
}

/* --- who asks --------------------------------------------------------------------------------- */

static void nobody_gets_what_is_kept_for_another(void **state)
{
    world *w = *state;
    reach(w);
    reply ann = warm(w, "ann", "/api/notes/?number=1"), eve = warm(w, "eve", "/api/notes/?number=1");
    assert_contains(ann.body, "Hello World");
    assert_contains(eve.body, "hello from Eve");
    assert_true(tims_str_find(eve.body, TIMS_STR("Hello World")) == SIZE_MAX);
    (void)warm(w, "ann", "/api/notes/" NOTE("1") "/");
    assert_status(get(w, "eve", "/api/notes/" NOTE("1") "/"), 404);
    assert_status(get(w, NULL, "/api/notes/" NOTE("1") "/"), 401);
    (void)warm(w, "ann", "/api/people/");
    (void)get_kept(w, "eve", "/api/people/", true); /* which is the same for all who are signed in */
    assert_status(get(w, NULL, "/api/people/"), 401);
}

static void who_is_no_member_any_more_sees_nothing_at_once(void **state)
{
    world *w = *state;
    reach(w);
    (void)warm(w, "bob", "/api/notes/" NOTE("1") "/");
    (void)warm(w, "bob", "/api/notes/?room=" ROOM1);
    assert_status(ask(w, "bob", "DELETE", TIMS_STR("/api/members/" ID("32") "/"), "", NULL), 204);
    assert_status(get(w, "bob", "/api/notes/" NOTE("1") "/"), 404); /* before it has been told */
    assert_contains(get(w, "bob", "/api/notes/?room=" ROOM1).body, "\"total\":0");
    tell_and_reach(w, &member_model);
    assert_status(get(w, "bob", "/api/notes/" NOTE("1") "/"), 404);
    assert_contains(get(w, "bob", "/api/notes/?room=" ROOM1).body, "\"total\":0");
}

/* --- what is not kept ------------------------------------------------------------------------- */

static void what_cannot_be_followed_is_read_each_time(void **state)
{
    world *w = *state;
    reach(w);
    for (int i = 0; i < 4; i++) {
        (void)get_kept(w, "ann", "/api/late/", false);
        assert_status(get(w, "ann", "/api/notes/" ID("ff") "/"), 404);
        assert_status(get(w, "ann", "/api/notes/?nonsense=1"), 400);
    }
}

/* --- includes --------------------------------------------------------------------------------- */

#define INCLUDED(url) "/include?url=" url

static void a_page_includes_what_is_kept_and_hangs_on_the_same(void **state)
{
    world *w = *state;
    static const char *const urls[] = { "/api/notes/%3Froom=" ROOM1, "/api/notes/" NOTE("1") "/",
                                        "/api/people/", "/api/people-count/", "/api/my-rooms/" };
    reach(w);
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        const char *path = tims_print(w->arena, INCLUDED("%s"), urls[i]).data;
        reply first = get_kept(w, "ann", path, false);
        (void)get_kept(w, "ann", path, false);
        reply third = get_kept(w, "ann", path, true);
        assert_str_equal(first.body, third.body);
        assert_true(tims_str_find(first.body, TIMS_STR("\"topics\":0")) == SIZE_MAX);
    }
    assert_contains(get(w, "ann", INCLUDED("/api/my-rooms/")).body, "\"asked\":true");
    assert_contains(get(w, "ann", INCLUDED("/api/people/")).body, "\"asked\":false");
    assert_contains(get(w, "ann", INCLUDED("/api/late/")).body, "\"topics\":-1");
    (void)get_kept(w, "ann", "/api/people/", true); /* GET of the URL finds it, too */
    assert_status(get(w, "ann", INCLUDED("/api/nothing/")), 404);
    assert_status(get(w, "ann", INCLUDED("/api/notes/" NOTE("8") "/")), 404);
    assert_status(get(w, NULL, INCLUDED("/api/my-rooms/")), 401);
}

/* --- the check -------------------------------------------------------------------------------- */

static void a_check_finds_what_is_stale(void **state)
{
    world *w = *state;
    reach(w);
    (void)warm(w, "ann", NOTES_OF_ROOM1);
    (void)warm(w, "ann", "/api/people-count/");
    (void)warm(w, "ann", INCLUDED("/api/notes/" NOTE("4") "/"));
    assert_int_equal(counted(w, "stale_total"), 0);
    patch(w, "nobody is told of this");
    reach(w);
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, 2);
    reply r = get(w, "ann", NOTES_OF_ROOM1);
    assert_contains(r.body, "nobody is told of this");
    assert_int_equal(counted(w, "stale_total"), 1);
    (void)get(w, "ann", "/api/people-count/"); /* it does hold */
    assert_int_equal(counted(w, "stale_total"), 1);
    r = get(w, "ann", INCLUDED("/api/notes/" NOTE("4") "/"));
    assert_contains(r.body, "nobody is told of this");
    assert_int_equal(counted(w, "stale_total"), 2);
}

static int start_cached(void **state)
{
    computed_table = endpoints;
    more_routes = including;
    more_route_count = 1;
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    served_cache = tims_cache_new(&(tims_cache_options){ .bytes_max = 1 << 22 });
    return start_world(state);
}

static int start_checked(void **state)
{
    computed_table = endpoints;
    more_routes = including;
    more_route_count = 1;
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    served_cache = tims_cache_new(&(tims_cache_options){ .bytes_max = 1 << 22, .is_checked = true });
    return start_world(state);
}

static int stop_cached(void **state)
{
    int result = stop_world(state);
    tims_cache_free(&served_cache);
    return result;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_cached, stop_cached)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_asked_for_again_is_kept),
        TEST(who_has_a_list_already_is_told_so),
        TEST(who_is_ahead_of_the_feed_reads_for_themselves),
        TEST(what_holds_names_the_position_of_who_asks),
        TEST(nobody_gets_what_is_kept_for_another),
        TEST(who_is_no_member_any_more_sees_nothing_at_once),
        TEST(what_cannot_be_followed_is_read_each_time),
        TEST(a_page_includes_what_is_kept_and_hangs_on_the_same),
        cmocka_unit_test_setup_teardown(a_check_finds_what_is_stale, start_checked, stop_cached),
    };
    return cmocka_run_group_tests_name("kept", tests, NULL, NULL);
}
