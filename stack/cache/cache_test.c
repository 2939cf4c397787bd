/* cache_test.c: what is kept, for whom, from which position to which, and what goes. */
#include "cache/testing.h"
#include "model/model_internal.h"

static void play_simply(void (*function)(tims_request *rq, void *argument))
{
    stage s = { .play = function };
    play(&s);
}

/* --- positions ---------------------------------------------------------------------------------------- */

static void ask_at_positions(tims_request *rq, void *argument)
{
    tims_cache *cache = ((stage *)argument)->cache;
    tims_cache_reach(cache, 10);
    assert_non_null(keep(cache, rq, "/a", 10, topic_of(&room_model, "1")));
    assert_false(is_found(cache, rq, "/a", 9)); /* before it was read */
    assert_true(is_found(cache, rq, "/a", 10));
    assert_false(is_found(cache, rq, "/a", 11)); /* of which nothing has been told */
    tims_cache_reach(cache, 12);
    assert_true(is_found(cache, rq, "/a", 11));
    assert_true(is_found(cache, rq, "/a", 12));
    assert_false(is_found(cache, rq, "/a", 13));
    assert_false(is_found(cache, rq, "/b", 10));
}

static void an_answer_holds_from_where_it_was_read_to_where_the_feed_is(void **state)
{
    (void)state;
    play_simply(ask_at_positions);
}

static void read_ahead_of_the_feed(tims_request *rq, void *argument)
{
    tims_cache *cache = ((stage *)argument)->cache;
    tims_cache_reach(cache, 10);
    assert_non_null(keep(cache, rq, "/a", 20, topic_of(&room_model, "1")));
    assert_true(is_found(cache, rq, "/a", 20)); /* who stands there reads just this */
    assert_false(is_found(cache, rq, "/a", 15));
    assert_false(is_found(cache, rq, "/a", 21));
    touch(cache, 20, &room_model, "1"); /* it has this change */
    tims_cache_reach(cache, 20);
    assert_true(is_found(cache, rq, "/a", 20));
    touch(cache, 21, &room_model, "1");
    assert_false(is_found(cache, rq, "/a", 20));
}

static void what_was_read_ahead_of_the_feed_outlives_the_changes_it_has(void **state)
{
    (void)state;
    play_simply(read_ahead_of_the_feed);
}

static void keep_behind_a_change(tims_request *rq, void *argument)
{
    tims_cache *cache = ((stage *)argument)->cache;
    tims_cache_reach(cache, 10);
    touch(cache, 12, &room_model, "1");
    assert_null(keep(cache, rq, "/a", 10, topic_of(&room_model, "1"))); /* the step is being told */
    tims_cache_reach(cache, 12);
    assert_null(keep(cache, rq, "/a", 11, topic_of(&room_model, "1")));
    assert_null(keep(cache, rq, "/all", 11, topic_of(&room_model, "#")));
    assert_non_null(keep(cache, rq, "/other", 11, topic_of(&room_model, "2")));
    assert_non_null(keep(cache, rq, "/a", 12, topic_of(&room_model, "1")));
    tims_cache_touch_model(cache, 13, &room_model);
    tims_cache_reach(cache, 13);
    assert_null(keep(cache, rq, "/a", 12, topic_of(&room_model, "3")));
    assert_non_null(keep(cache, rq, "/note", 12, topic_of(&note_model, "3")));
}

static void what_was_read_before_a_change_is_not_kept_behind_it(void **state)
{
    (void)state;
    play_simply(keep_behind_a_change);
}

static void keep_from_before_the_feed(tims_request *rq, void *argument)
{
    tims_cache *cache = ((stage *)argument)->cache;
    assert_null(keep(cache, rq, "/a", 10, topic_of(&room_model, "1")));
    tims_cache_reach(cache, 10);
    assert_null(keep(cache, rq, "/a", 9, topic_of(&room_model, "1")));
    assert_non_null(keep(cache, rq, "/a", 10, topic_of(&room_model, "1")));
}

static void nothing_is_kept_of_which_the_feed_has_not_told(void **state)
{
    (void)state;
    play_simply(keep_from_before_the_feed);
}

static void keep_earlier_reads(tims_request *rq, void *argument)
{
    tims_cache *cache = ((stage *)argument)->cache;
    tims_cache_reach(cache, 10);
    tims_cache_reach(cache, 20);
    assert_non_null(keep(cache, rq, "/a", 15, topic_of(&room_model, "1")));
    assert_null(keep(cache, rq, "/a", 14, topic_of(&room_model, "1")));
    assert_true(is_found(cache, rq, "/a", 15));
    assert_non_null(keep(cache, rq, "/a", 16, topic_of(&room_model, "1")));
    assert_false(is_found(cache, rq, "/a", 15));
    tims_cache_reach(cache, 10000);
    assert_true(is_found(cache, rq, "/a", 1016));
    assert_false(is_found(cache, rq, "/a", 1017)); /* holds, but names a position that is far behind */
}

static void of_two_reads_the_later_one_is_kept(void **state)
{
    (void)state;
    play_simply(keep_earlier_reads);
}

/* --- changes ------------------------------------------------------------------------------------------ */

static void change_some(tims_request *rq, void *argument)
{
    tims_cache *cache = ((stage *)argument)->cache;
    const tims_topic both[] = { topic_of(&room_model, "1"), topic_of(&note_model, "2") };
    const testing_read read = { both, 2, false };
    const tims_cache_name name = name_of("/both", (tims_caller){ 0 });
    tims_cache_reach(cache, 10);
    assert_non_null(keep(cache, rq, "/room/1", 10, topic_of(&room_model, "1")));
    assert_non_null(keep(cache, rq, "/room/2", 10, topic_of(&room_model, "2")));
    assert_non_null(keep(cache, rq, "/rooms", 10, topic_of(&room_model, "#")));
    assert_non_null(keep(cache, rq, "/note/1", 10, topic_of(&note_model, "1")));
    assert_non_null(keep_since(cache, rq, &name, 10, &read, TIMS_STR("/both"), 1));
    touch(cache, 11, &note_model, "2");
    assert_false(is_found(cache, rq, "/both", 10));
    assert_true(is_found(cache, rq, "/note/1", 10));
    touch(cache, 11, &room_model, "1");
    assert_false(is_found(cache, rq, "/room/1", 10));
    assert_false(is_found(cache, rq, "/rooms", 10));
    assert_true(is_found(cache, rq, "/room/2", 10));
    tims_cache_touch_model(cache, 12, &room_model);
    assert_false(is_found(cache, rq, "/room/2", 10));
    assert_true(is_found(cache, rq, "/note/1", 10));
}

static void a_change_takes_what_hangs_on_it_and_nothing_else(void **state)
{
    (void)state;
    play_simply(change_some);
}

static void hold_while_it_goes(tims_request *rq, void *argument)
{
    tims_cache *cache = ((stage *)argument)->cache;
    tims_cache_reach(cache, 10);
    const tims_cached *held = keep(cache, rq, "/a", 10, topic_of(&room_model, "1"));
    tims_cache_clear(cache, -1);
    assert_str(tims_cached_body(held), "/a"); /* until the request ends */
    assert_str(tims_cached_extra(held), "extra");
    assert_int_equal(tims_cached_position(held), 10);
}

static void who_has_an_answer_in_hand_keeps_it(void **state)
{
    (void)state;
    play_simply(hold_while_it_goes);
}

static void clear_it(tims_request *rq, void *argument)
{
    tims_cache *cache = ((stage *)argument)->cache;
    const tims_topic topic = topic_of(&room_model, "1");
    const testing_read read = { &topic, 1, false };
    const tims_cache_name json = name_of("/a", (tims_caller){ 0 });
    const tims_cache_name page = { TIMS_CACHE_PAGE, TIMS_STR("/a"), { 0 } };
    tims_cache_reach(cache, 100);
    uint64_t since = tims_cache_since(cache, TIMS_CACHE_PAGE);
    assert_non_null(keep_since(cache, rq, &json, 100, &read, TIMS_STR("json"), since));
    assert_non_null(keep_since(cache, rq, &page, 100, &read, TIMS_STR("page"), since));
    tims_cache_clear_kind(cache, TIMS_CACHE_PAGE);
    assert_null(tims_cache_find(cache, rq, &page, 100));
    assert_non_null(tims_cache_find(cache, rq, &json, 100));
    assert_null(keep_since(cache, rq, &page, 100, &read, TIMS_STR("page"), since)); /* rendered before */
    touch(cache, 100, &room_model, "1");
    tims_cache_clear(cache, 5); /* whose positions mean something else */
    assert_null(tims_cache_find(cache, rq, &json, 100));
    assert_null(keep_since(cache, rq, &json, 100, &read, TIMS_STR("json"), since));
    since = tims_cache_since(cache, TIMS_CACHE_JSON);
    assert_null(keep_since(cache, rq, &json, 4, &read, TIMS_STR("json"), since));
    assert_non_null(keep_since(cache, rq, &json, 5, &read, TIMS_STR("json"), since));
    tims_cache_clear(cache, -1);
    since = tims_cache_since(cache, TIMS_CACHE_JSON);
    assert_null(keep_since(cache, rq, &json, 5, &read, TIMS_STR("json"), since));
    tims_cache_reach(cache, 5);
    assert_non_null(keep_since(cache, rq, &json, 5, &read, TIMS_STR("json"), since));
}

static void what_was_read_before_a_clear_does_not_come_back(void **state)
{
    (void)state;
    play_simply(clear_it);
}

/* --- who asks ----------------------------------------------------------------------------------------- */

static void ask_as_many(tims_request *rq, void *argument)
{
    tims_cache *cache = ((stage *)argument)->cache;
    const tims_topic topic = topic_of(&room_model, "1");
    const testing_read shared = { &topic, 1, false }, personal = { &topic, 1, true };
    const tims_cache_name nobody = name_of("/rooms", (tims_caller){ 0 }), ann = name_of("/rooms", user(1)),
                          bob = name_of("/rooms", user(2));
    tims_cache_name chief = ann;
    chief.caller.staff = true;
    tims_cache_reach(cache, 10);
    assert_non_null(keep_since(cache, rq, &ann, 10, &shared, TIMS_STR("for all"), 1));
    assert_str(tims_cached_body(tims_cache_find(cache, rq, &bob, 10)), "for all");
    assert_null(tims_cache_find(cache, rq, &nobody, 10));
    assert_null(tims_cache_find(cache, rq, &chief, 10));
    touch(cache, 11, &room_model, "1");
    tims_cache_reach(cache, 11);
    assert_non_null(keep_since(cache, rq, &ann, 11, &personal, TIMS_STR("for ann"), 1));
    assert_false(tims_cache_has(cache, &bob));
    assert_null(tims_cache_find(cache, rq, &bob, 11));
    assert_non_null(keep_since(cache, rq, &bob, 11, &personal, TIMS_STR("for bob"), 1));
    assert_str(tims_cached_body(tims_cache_find(cache, rq, &ann, 11)), "for ann");
    assert_str(tims_cached_body(tims_cache_find(cache, rq, &bob, 11)), "for bob");
    assert_null(tims_cache_find(cache, rq, &chief, 11)); /* ann, before she was made one */
    assert_true(tims_cache_has(cache, &bob));
}

static void an_answer_that_asked_who_calls_is_for_them_alone(void **state)
{
    (void)state;
    play_simply(ask_as_many);
}

static void want_it(tims_request *rq, void *argument)
{
    tims_cache *cache = ((stage *)argument)->cache;
    const tims_topic topic = topic_of(&room_model, "1");
    const testing_read personal = { &topic, 1, true };
    const tims_cache_name ann = name_of("/rooms", user(1)), bob = name_of("/rooms", user(2)),
                          other = name_of("/other", user(1));
    tims_cache_reach(cache, 10);
    assert_false(tims_cache_is_wanted(cache, &ann));
    assert_false(tims_cache_is_wanted(cache, &other));
    assert_true(tims_cache_is_wanted(cache, &ann));
    assert_non_null(keep_since(cache, rq, &ann, 10, &personal, TIMS_STR("for ann"), 1));
    assert_true(tims_cache_is_wanted(cache, &ann));
    assert_false(tims_cache_is_wanted(cache, &bob)); /* whose own answer nobody has asked for */
    assert_true(tims_cache_is_wanted(cache, &bob));
}

static void what_is_asked_for_once_is_not_wanted(void **state)
{
    (void)state;
    play_simply(want_it);
}

static void keep_what_cannot_be_followed(tims_request *rq, void *argument)
{
    tims_cache *cache = ((stage *)argument)->cache;
    const tims_cache_name name = name_of("/a", (tims_caller){ 0 });
    tims_cache_reach(cache, 10);
    tims_reads *reads = tims_reads_new_lenient();
    assert_true(model__reads_lose(reads));
    const tims_cache_answer answer = { .since = 1, .position = 10, .reads = reads, .status = 200 };
    assert_null(tims_cache_keep(cache, rq, &name, &answer));
    tims_reads_free(&reads);
}

static void what_cannot_be_followed_is_not_kept(void **state)
{
    (void)state;
    play_simply(keep_what_cannot_be_followed);
}

static void note_them(tims_request *rq, void *argument)
{
    tims_cache *cache = ((stage *)argument)->cache;
    const tims_topic topic = topic_of(&room_model, "1");
    const testing_read personal = { &topic, 1, true };
    const tims_cache_name name = name_of("/a", user(1));
    tims_cache_reach(cache, 10);
    tims_reads *reads = tims_reads_new_lenient();
    tims_cached_note(keep_since(cache, rq, &name, 10, &personal, TIMS_STR("a"), 1), reads);
    size_t count;
    const tims_topic *topics = tims_reads_topics(reads, &count);
    assert_int_equal(count, 1);
    assert_ptr_equal(topics[0].model, &room_model);
    assert_str(topics[0].text, "1");
    assert_true(tims_reads_asked_caller(reads));
    tims_reads_free(&reads);
}

static void who_includes_an_answer_hangs_on_what_it_hangs_on(void **state)
{
    (void)state;
    play_simply(note_them);
}

/* --- room --------------------------------------------------------------------------------------------- */

static const char *number_text(tims_request *rq, int number)
{
    return tims_print(rq->arena, "/a/%d", number).data;
}

static void fill_it(tims_request *rq, void *argument)
{
    stage *s = argument;
    enum { COUNT = 2000 };
    tims_cache_reach(s->cache, 10);
    assert_non_null(keep(s->cache, rq, "/first", 10, topic_of(&room_model, "first")));
    for (int i = 0; i < COUNT; i++) {
        const char *text = number_text(rq, i);
        assert_non_null(keep(s->cache, rq, text, 10, topic_of(&room_model, text)));
        assert_true(s->cache->bytes <= s->options.bytes_max);
        assert_true(is_found(s->cache, rq, "/first", 10)); /* is used, so it stays */
    }
    assert_true(s->cache->entry_count > 50 && s->cache->entry_count < COUNT);
    assert_int_equal(s->cache->topics.hook_count, s->cache->entry_count);
    assert_false(is_found(s->cache, rq, number_text(rq, 0), 10));
    assert_true(is_found(s->cache, rq, number_text(rq, COUNT - 1), 10));
    tims_str large = { tims_alloc(rq->arena, 70000), 70000 };
    const tims_topic topic = topic_of(&room_model, "1");
    const testing_read read = { &topic, 1, false };
    const tims_cache_name name = name_of("/large", (tims_caller){ 0 });
    assert_null(keep_since(s->cache, rq, &name, 10, &read, large, 1)); /* more than an eighth of all */
}

static void what_was_longest_unused_makes_room(void **state)
{
    (void)state;
    stage s = { .play = fill_it, .options.bytes_max = 256 * 1024 };
    play(&s);
}

static void ask_one_that_is_off(tims_request *rq, void *argument)
{
    tims_cache_options none = { 0 };
    tims_cache *cache = tims_cache_new(&none);
    (void)argument;
    const tims_cache_name name = name_of("/a", user(1));
    tims_cache_reach(cache, 10);
    touch(cache, 11, &room_model, "1");
    assert_false(tims_cache_has(cache, &name));
    assert_false(tims_cache_is_wanted(cache, &name));
    assert_false(tims_cache_is_wanted(cache, &name));
    assert_null(keep(cache, rq, "/a", 11, topic_of(&room_model, "1")));
    assert_false(is_found(cache, rq, "/a", 11));
    assert_true(tims_cache_lead(cache, rq, &name));
    tims_cache_done(cache, rq, &name);
    tims_cache_free(&cache);
}

static void one_that_is_off_keeps_nothing(void **state)
{
    (void)state;
    play_simply(ask_one_that_is_off);
}

static void count_them(tims_request *rq, void *argument)
{
    tims_cache *cache = ((stage *)argument)->cache;
    tims_cache_reach(cache, 10);
    assert_false(is_found(cache, rq, "/a", 10));
    assert_non_null(keep(cache, rq, "/a", 10, topic_of(&room_model, "1")));
    assert_true(is_found(cache, rq, "/a", 10));
    touch(cache, 11, &room_model, "1");
    const tims_cache_name name = name_of("/a", (tims_caller){ 0 });
    tims_cache_report_stale(cache, &name);
    tims_buf out;
    tims_buf_init(&out, rq->arena, 1 << 16);
    tims_cache_metrics(cache, &out);
    static const char *const lines[] = { "tims_cache_hits_total{kind=\"json\"} 1\n",
                                         "tims_cache_hits_total{kind=\"page\"} 0\n",
                                         "tims_cache_misses_total{kind=\"json\"} 1\n",
                                         "tims_cache_kept_total{kind=\"json\"} 1\n",
                                         "tims_cache_invalidations_total{kind=\"json\"} 1\n",
                                         "tims_cache_evictions_total{kind=\"json\"} 0\n",
                                         "tims_cache_stale_total 1\n",
                                         "tims_cache_bytes 0\n",
                                         "tims_cache_entries 0\n" };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (tims_str_find(tims_buf_str(&out), tims_str_from(lines[i])) == SIZE_MAX)
            fail_msg("no %s in\n%.*s", lines[i], TIMS_PRINT(tims_buf_str(&out)));
}

static void what_happens_is_counted(void **state)
{
    (void)state;
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, 2);
    play_simply(count_them);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_holds_from_where_it_was_read_to_where_the_feed_is),
        cmocka_unit_test(what_was_read_ahead_of_the_feed_outlives_the_changes_it_has),
        cmocka_unit_test(what_was_read_before_a_change_is_not_kept_behind_it),
        cmocka_unit_test(nothing_is_kept_of_which_the_feed_has_not_told),
        cmocka_unit_test(of_two_reads_the_later_one_is_kept),
        cmocka_unit_test(a_change_takes_what_hangs_on_it_and_nothing_else),
        cmocka_unit_test(who_has_an_answer_in_hand_keeps_it),
        cmocka_unit_test(what_was_read_before_a_clear_does_not_come_back),
        cmocka_unit_test(an_answer_that_asked_who_calls_is_for_them_alone),
        cmocka_unit_test(what_is_asked_for_once_is_not_wanted),
        cmocka_unit_test(what_cannot_be_followed_is_not_kept),
        cmocka_unit_test(who_includes_an_answer_hangs_on_what_it_hangs_on),
        cmocka_unit_test(what_was_longest_unused_makes_room),
        cmocka_unit_test(one_that_is_off_keeps_nothing),
        cmocka_unit_test(what_happens_is_counted),
    };
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
