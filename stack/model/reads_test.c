/* reads_test.c: what a handler reads is noted as topics: the narrowest that hold all it could find. */
#include "model/scope_testing.h"

/* --- recording -------------------------------------------------------------------------------- */

static tims_reads *recorded;

/* "person.id=… room=* ", and "?" in front when it was asked who calls. */
static tims_str describe(tims_arena *arena, const tims_reads *reads)
{
    size_t count;
    const tims_topic *topics = tims_reads_topics(reads, &count);
    tims_buf text;
    tims_buf_init(&text, arena, 1 << 20);
    if (tims_reads_asked_caller(reads))
        tims_buf_append_str(&text, TIMS_STR("? "));
    for (size_t i = 0; i < count; i++) {
        if (topics[i].field == NULL)
            tims_buf_print(&text, "%s=* ", topics[i].model->name);
        else
            tims_buf_print(&text, "%s.%s=%S ", topics[i].model->name, topics[i].field->name, topics[i].text);
    }
    return tims_buf_str(&text);
}

typedef struct recording {
    world *w;
    void (*function)(tims_request *rq);
    tims_str topics;
} recording;
static recording current;

static void free_recorded(void *argument)
{
    (void)argument;
    tims_reads_free(&recorded);
}

static void record(tims_request *rq)
{
    recorded = tims_reads_new();
    tims_defer(rq, free_recorded, NULL);
    tims_reads_begin(rq, recorded);
    current.function(rq);
    tims_reads_end(rq);
    current.topics = describe(current.w->arena, recorded);
}

static tims_error record_as(world *w, tims_caller caller, void (*function)(tims_request *rq))
{
    current = (recording){ .w = w, .function = function };
    return run_as(w, caller, record);
}

/* What a function reads, as it is described. */
static const char *reads_of(world *w, tims_caller caller, void (*function)(tims_request *rq))
{
    tims_error err = record_as(w, caller, function);
    assert_string_equal(err.message, "");
    return tims_copy_c(w->arena, current.topics);
}

static void assert_reads(world *w, tims_caller caller, void (*function)(tims_request *rq), const char *format,
                         tims_id a, tims_id b)
{
    tims_str expected = tims_print(w->arena, format, a, b);
    assert_string_equal(reads_of(w, caller, function), expected.data);
}

static const tims_caller nobody = { 0 };

/* --- the narrowest topic ---------------------------------------------------------------------- */

static void find_the_hall(tims_request *rq)
{
    assert_non_null(tims_find(rq, &room_model, hall));
    assert_non_null(tims_find(rq, &room_model, hall)); /* noted once */
}

static void count_members_of_the_hall(tims_request *rq)
{
    assert_int_equal(tims_count(rq, &member_model, "room=%I&id__not=%I", hall, bob), 1);
}

static void look_for_one_of_two(tims_request *rq)
{
    assert_true(tims_exists(rq, &person_model, "id__in=%I,%I", ann, bob));
}

static void find_by_name(tims_request *rq)
{
    assert_non_null(tims_find_by(rq, &person_model, "name", TIMS_STR("Bob"))); /* no key column */
}

static void find_by_key_and_name(tims_request *rq)
{
    (void)tims_exists(rq, &member_model, "user=%I&room=%I&id=%I", ann, hall, bob);
}

static void the_narrowest_topic_is_noted(void **state)
{
    make_hall(*state);
    assert_reads(*state, nobody, find_the_hall, "room.id=%I ", hall, ann);
    assert_reads(*state, nobody, count_members_of_the_hall, "member.room=%I ", hall, ann);
    assert_reads(*state, nobody, look_for_one_of_two, "person.id=%I person.id=%I ", ann, bob);
    assert_reads(*state, nobody, find_by_name, "person=* ", ann, bob);
    assert_reads(*state, nobody, find_by_key_and_name, "member.id=%I ", bob, ann);
}

static void read_one_then_all(tims_request *rq)
{
    size_t count;
    (void)tims_find(rq, &person_model, ann);
    (void)tims_find(rq, &room_model, hall);
    (void)tims_select_all(rq, &person_model, &count, NULL);
    (void)tims_find(rq, &person_model, bob);
}

static void all_of_a_model_holds_each_of_it(void **state)
{
    make_hall(*state);
    assert_reads(*state, nobody, read_one_then_all, "room.id=%I person=* ", hall, ann);
}

static tims_query *query_of(tims_request *rq, const tims_model *model, const char *field)
{
    tims_query *query = TIMS_NEW(rq->arena, tims_query);
    tims_error err = { 0 };
    tims_query_init(query, model, (tims_caller){ .trusted = true });
    assert_ok(tims_query_where(rq->arena, query, tims_str_from(field), TIMS_EQUAL,
                               tims_print(rq->arena, "%I", ann), &err),
              &err);
    return query;
}

static void read_on_the_session(tims_request *rq)
{
    tims_db_session *db = tims_session_db(rq);
    tims_error err = { 0 };
    size_t count;
    int64_t number;
    void *rows;
    tims_buf out;
    tims_buf_init(&out, rq->arena, 4096);
    tims_json_writer writer = tims_json_to(&out);
    tims_json_begin_array(&writer);
    assert_ok(tims_model_select(db, rq->arena, query_of(rq, &person_model, "id"), &rows, &count, &err), &err);
    assert_ok(tims_query_count(db, rq->arena, query_of(rq, &member_model, "room"), &number, &err), &err);
    assert_ok(tims_query_write(db, rq->arena, query_of(rq, &star_model, "note"), &writer, &count, NULL, &err),
              &err);
}

static void reads_on_the_session_are_noted(void **state)
{
    make_hall(*state);
    tims_str id = tims_print(((world *)*state)->arena, "%I", ann);
    tims_str expected =
        tims_print(((world *)*state)->arena, "person.id=%S member.room=%S star.note=%S ", id, id, id);
    assert_string_equal(reads_of(*state, nobody, read_on_the_session), expected.data);
}

static void read_very_much(tims_request *rq)
{
    (void)tims_find(rq, &room_model, hall);
    for (size_t i = 0; i < TIMS_TOPICS_MAX + 10; i++)
        (void)tims_find(rq, &person_model, tims_id_new());
}

static void very_many_topics_become_the_model(void **state)
{
    make_hall(*state);
    assert_reads(*state, nobody, read_very_much, "room.id=%I person=* ", hall, ann);
}

/* --- who asks --------------------------------------------------------------------------------- */

static void get_the_hall(tims_request *rq)
{
    (void)tims_get(rq, &room_model, hall);
}

static void select_rooms(tims_request *rq)
{
    size_t count;
    (void)tims_select(rq, &room_model, &count, NULL);
}

static void select_stars(tims_request *rq)
{
    size_t count;
    (void)tims_select(rq, &star_model, &count, NULL);
}

static void get_ann(tims_request *rq)
{
    (void)tims_get(rq, &person_model, ann);
}

static void ask_who(tims_request *rq)
{
    (void)tims_caller_of(rq);
}

static void may_ann_change_the_hall(tims_request *rq)
{
    tims_error err = { 0 };
    const room h = { .id = hall };
    assert_ok(tims_rule_allows(tims_session_db(rq), rq->arena, room_rule, &room_model, &h, user(ann), &err),
              &err);
}

static void a_rule_that_asks_who_notes_what_it_depends_on(void **state)
{
    make_hall(*state);
    assert_reads(*state, user(ann), get_the_hall, "? room.id=%I member.user=%I ", hall, ann);
    assert_reads(*state, user(ann), select_rooms, "? member.user=%I room.id=%I ", ann, hall);
    assert_reads(*state, user(ann), select_stars, "? note=* member.user=%I ", ann, hall); /* there are none */
    assert_reads(*state, user(ann), may_ann_change_the_hall, "? member.user=%I ", ann, hall);
}

static void select_rooms_twice(tims_request *rq)
{
    select_rooms(rq);
    select_rooms(rq);
}

/* What the rule leaves is known while the rows stand that it asks. */
static void a_read_that_only_the_rule_narrows_hangs_on_what_it_leaves(void **state)
{
    enum { MORE_THAN_ARE_NOTED = 201 };
    world *w = *state;
    make_hall(w);
    assert_reads(w, user(ann), select_rooms_twice, "? member.user=%I room.id=%I ", ann, hall);
    assert_reads(w, user(bob), select_rooms, "? member.user=%I ", bob, hall); /* who is in none */
    for (int i = 0; i < MORE_THAN_ARE_NOTED; i++) {
        room r = { .title = TIMS_STR("Another") };
        insert(w, &room_model, &r);
        member m = { .room = r.id, .user = ann };
        insert(w, &member_model, &m);
    }
    assert_reads(w, user(ann), select_rooms, "? member.user=%I room=* ", ann, hall);
}

static void a_rule_of_a_class_is_the_same_for_all_of_it(void **state)
{
    make_hall(*state);
    assert_reads(*state, user(ann), get_ann, "person.id=%I ", ann, hall);
    assert_reads(*state, nobody, select_rooms, "", ann, hall); /* never any */
    assert_reads(*state, user(ann), ask_who, "? ", ann, hall);
}

/* --- what cannot be recorded ------------------------------------------------------------------ */

static void write_a_person(tims_request *rq)
{
    tims_create(rq, &person_model, &(person){ .name = TIMS_STR("Eve") });
}

static void run_sql(tims_request *rq)
{
    tims_db_rows *rows = tims_sql_query(rq, TIMS_STR("SELECT count(*) FROM person"), NULL, 0);
    assert_true(tims_db_next(rows));
    assert_int_equal(tims_db_get_int(rows, 0), 2);
}

static void run_sql_that_is_named(tims_request *rq)
{
    tims_reads_model(rq, &person_model);
    run_sql(rq);
}

static void what_cannot_be_followed_is_refused(void **state)
{
    make_hall(*state);
    tims_error err = record_as(*state, user(ann), write_a_person);
    assert_string_equal(err.code, "only_reads");
    err = record_as(*state, user(ann), run_sql);
    assert_string_equal(err.code, "unknown_reads");
    assert_non_null(strstr(err.message, "tims_reads_model"));
    assert_reads(*state, user(ann), run_sql_that_is_named, "person=* ", ann, bob);
    assert_string_equal(run_as(*state, user(ann), run_sql_that_is_named).message, "");
    room_model.not_live = true;
    err = record_as(*state, user(ann), find_the_hall);
    assert_string_equal(err.code, "not_live");
    room_model.not_live = false;
    member_model.not_live = true;
    err = record_as(*state, user(ann), get_the_hall);
    assert_string_equal(err.code, "not_live");
}

/* --- what is recorded leniently ------------------------------------------------------------------- */

static bool can_follow;

static void record_leniently(tims_request *rq)
{
    tims_reads *reads = tims_reads_new_lenient();
    tims_reads_begin(rq, reads);
    current.function(rq);
    tims_reads_end(rq);
    can_follow = tims_reads_can_follow(reads);
    current.topics = describe(current.w->arena, reads);
    tims_reads_free(&reads);
}

static bool is_followed(world *w, void (*function)(tims_request *rq))
{
    current = (recording){ .w = w, .function = function };
    assert_string_equal(run_as(w, user(ann), record_leniently).message, "");
    return can_follow;
}

static void begin_and_read(tims_request *rq)
{
    tims_begin(rq);
    find_the_hall(rq);
}

static void read_what_is_told_late(tims_request *rq)
{
    find_the_hall(rq);
    tims_reads_untold(rq);
}

static void a_lenient_recorder_lets_all_happen_and_says_that_it_cannot_follow(void **state)
{
    world *w = *state;
    make_hall(w);
    assert_true(is_followed(w, get_the_hall));
    assert_true(is_followed(w, run_sql_that_is_named));
    assert_false(is_followed(w, run_sql));
    assert_false(is_followed(w, begin_and_read));
    assert_false(is_followed(w, read_what_is_told_late));
    assert_false(is_followed(w, write_a_person));
    room_model.not_live = true;
    assert_false(is_followed(w, find_the_hall));
    room_model.not_live = false;
    member_model.not_live = true;
    assert_false(is_followed(w, get_the_hall));
}

static void read_with_another_recorder(tims_request *rq)
{
    tims_reads *inner = tims_reads_new();
    (void)tims_find(rq, &person_model, ann);
    tims_reads_begin(rq, inner);
    assert_ptr_equal(tims_reads_of(rq), inner);
    (void)tims_get(rq, &room_model, hall);
    tims_reads_end(rq);
    assert_str(describe(current.w->arena, inner),
               tims_print(current.w->arena, "? room.id=%I member.user=%I ", hall, ann).data);
    tims_reads_free(&inner);
    (void)tims_find(rq, &person_model, bob);
}

static void what_an_inner_recorder_notes_the_outer_one_has_read_too(void **state)
{
    world *w = *state;
    make_hall(w);
    tims_str expected =
        tims_print(w->arena, "? person.id=%I room.id=%I member.user=%I person.id=%I ", ann, hall, ann, bob);
    assert_string_equal(reads_of(w, user(ann), read_with_another_recorder), expected.data);
    assert_true(is_followed(w, read_with_another_recorder));
}

static void ask_without_being_noted(tims_request *rq)
{
    assert_true(tims_caller_unnoted(rq).signed_in);
}

static void who_only_hands_the_caller_on_is_not_noted(void **state)
{
    make_hall(*state);
    assert_reads(*state, user(ann), ask_without_being_noted, "", ann, hall);
}

/* --- sessions --------------------------------------------------------------------------------- */

static tims_db_session *shared;

static void raise_while_recording(tims_request *rq)
{
    tims_request_set_session(rq, shared);
    recorded = tims_reads_new();
    tims_reads_begin(rq, recorded);
    (void)tims_get(rq, &room_model, bob); /* Raises: 404 */
}

static void run_on_session(void *argument)
{
    run *r = argument;
    tims_status status = tims_request_run(r->loop, NULL, begin_and_call_without_db, r, NULL, &r->err);
    assert_int_equal(status, TIMS_NOT_FOUND);
    tims_loop_stop(r->loop);
}

/* What was read before a raise is known, and the session is free for others. */
static void a_raise_ends_the_recording(void **state)
{
    world *w = *state;
    make_hall(w);
    run r = { .w = w, .function = raise_while_recording, .caller = user(ann) };
    assert_int_equal(tims_loop_new(&(tims_loop_options){ 0 }, &r.loop), TIMS_OK);
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    shared = tims_db_session_new(w->db, r.loop, arena);
    assert_non_null(tims_fiber_start(r.loop, run_on_session, &r));
    tims_loop_run(r.loop);
    assert_null(*tims_db_session_slot(shared));
    tims_str expected = tims_print(w->arena, "? room.id=%I member.user=%I ", bob, ann);
    assert_str(describe(w->arena, recorded), expected.data);
    tims_reads_free(&recorded);
    tims_arena_free(&arena);
    tims_loop_free(&r.loop);
}

/* Topics are compared as text. */
static void key_texts_are_what_topics_say(void **state)
{
    world *w = *state;
    tims_db_value id = tims_db_id(ann), number = tims_db_int(-42), text = tims_db_text(TIMS_STR("a b")),
                  null = tims_db_null(), real = tims_db_double(0.5);
    assert_str(tims_key_text(w->arena, &id), tims_print(w->arena, "%I", ann).data);
    assert_str(tims_key_text(w->arena, &number), "-42");
    assert_str(tims_key_text(w->arena, &text), "a b");
    assert_str(tims_key_text(w->arena, &real), "0.5");
    assert_null(tims_key_text(w->arena, &null).data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_narrowest_topic_is_noted),
        TEST(all_of_a_model_holds_each_of_it),
        TEST(reads_on_the_session_are_noted),
        TEST(very_many_topics_become_the_model),
        TEST(a_rule_that_asks_who_notes_what_it_depends_on),
        TEST(a_read_that_only_the_rule_narrows_hangs_on_what_it_leaves),
        TEST(a_rule_of_a_class_is_the_same_for_all_of_it),
        TEST(what_cannot_be_followed_is_refused),
        TEST(a_lenient_recorder_lets_all_happen_and_says_that_it_cannot_follow),
        TEST(what_an_inner_recorder_notes_the_outer_one_has_read_too),
        TEST(who_only_hands_the_caller_on_is_not_noted),
        TEST(a_raise_ends_the_recording),
        TEST(key_texts_are_what_topics_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
