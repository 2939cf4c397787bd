/* scope_test.c: models on a request: what an app calls, on a fiber, raising. */
#include "model/scope_testing.h"

static int64_t count_notes(world *w)
{
    tims_query query;
    tims_error err = { 0 };
    int64_t count = -1;
    tims_query_init(&query, &note_model, (tims_caller){ .trusted = true });
    assert_ok(tims_query_count(w->session, w->arena, &query, &count, &err), &err);
    return count;
}

/* --- reading ---------------------------------------------------------------------------------- */

static void read_as_member(tims_request *rq)
{
    const room *r = tims_get(rq, &room_model, hall);
    assert_str(r->title, "Hall");
    size_t count = 0;
    const person *found = tims_select(rq, &person_model, &count, "name=%S", TIMS_STR("Ann & Bob=1"));
    assert_int_equal(count, 1);
    assert_true(tims_same_id(found->id, ann));
    (void)tims_select(rq, &person_model, &count, "name=%s", "x&name=Bob"); /* one value, not two conditions */
    assert_int_equal(count, 0);
    assert_int_equal(tims_count(rq, &member_model, "room=%I&user=%I", hall, ann), 1);
    assert_true(tims_exists(rq, &member_model, "room=%I", hall));
    assert_false(tims_exists(rq, &member_model, "user=%I", bob));
    assert_true(tims_exists(rq, &person_model, NULL));
    const person *by_name = tims_find_by(rq, &person_model, "name", TIMS_STR("Bob"));
    assert_true(by_name != NULL && tims_same_id(by_name->id, bob));
    assert_null(tims_find_by(rq, &person_model, "id", TIMS_STR("no id")));
    char name[3000];
    memset(name, 'x', sizeof name);
    person longer = { .name = { name, sizeof name } };
    tims_create(rq, &person_model, &longer);
    const person *by_long_name = tims_find_by(rq, &person_model, "name", longer.name);
    assert_true(by_long_name != NULL && tims_same_id(by_long_name->id, longer.id));
    tims_rollback(rq);
    assert_null(tims_find(rq, &room_model, ann));
    assert_false(tims_in_transaction(rq));
}

static void reads_find_what_filters_say(void **state)
{
    make_hall(*state);
    tims_error err = run_as(*state, user(ann), read_as_member);
    assert_string_equal(err.message, "");
}

static void read_the_hall(tims_request *rq)
{
    size_t count = 1;
    (void)tims_select(rq, &room_model, &count, NULL);
    assert_int_equal(count, 0);
    (void)tims_select_all(rq, &room_model, &count, NULL);
    assert_int_equal(count, 1);
    assert_non_null(tims_find(rq, &room_model, hall));
    (void)tims_get(rq, &room_model, hall);
    fail();
}

static void what_is_not_ones_to_read_is_not_there(void **state)
{
    make_hall(*state);
    assert_int_equal(run_as(*state, user(bob), read_the_hall).status, TIMS_NOT_FOUND);
    assert_int_equal(run_as(*state, (tims_caller){ 0 }, read_the_hall).status, TIMS_UNAUTHORIZED);
}

static void ask_nonsense(tims_request *rq)
{
    size_t count;
    (void)tims_select(rq, &person_model, &count, "nothing=1");
    fail();
}

static void a_filter_that_makes_no_sense_raises(void **state)
{
    assert_int_equal(run_as(*state, user(ann), ask_nonsense).status, TIMS_INVALID);
}

/* --- writing ---------------------------------------------------------------------------------- */

static note new_note(void)
{
    return (note){ .room = hall, .author = ann, .text = TIMS_STR("x"), .secret = TIMS_STR("") };
}

static void write_two(tims_request *rq)
{
    note a = new_note(), b = new_note();
    tims_create(rq, &note_model, &a);
    assert_true(tims_in_transaction(rq));
    tims_create(rq, &note_model, &b);
    a.text = TIMS_STR("y");
    tims_update(rq, &note_model, &a, TIMS_NAMES("text"));
    const note *back = tims_find(rq, &note_model, a.id); /* its own write */
    assert_str(back->text, "y");
    tims_delete(rq, &note_model, b.id);
}

static void writes_of_a_request_are_committed_together(void **state)
{
    make_hall(*state);
    tims_error err = run_as(*state, user(ann), write_two);
    assert_string_equal(err.message, "");
    assert_int_equal(count_notes(*state), 1);
}

static void write_and_raise(tims_request *rq)
{
    note a = new_note();
    tims_create(rq, &note_model, &a);
    tims_raise(rq, 409, "changed_my_mind", "No.");
}

static void what_was_written_before_a_raise_is_gone(void **state)
{
    make_hall(*state);
    tims_error err = run_as(*state, user(ann), write_and_raise);
    assert_string_equal(err.code, "changed_my_mind");
    assert_int_equal(count_notes(*state), 0);
}

static void write_twice(tims_request *rq)
{
    note a = new_note();
    tims_create(rq, &note_model, &a);
    tims_create(rq, &note_model, &a);
}

static void delete_nothing(tims_request *rq)
{
    tims_delete(rq, &note_model, ann);
}

static void writes_raise_what_the_database_says(void **state)
{
    make_hall(*state);
    assert_int_equal(run_as(*state, user(ann), write_twice).status, TIMS_CONFLICT);
    assert_int_equal(run_as(*state, user(ann), delete_nothing).status, TIMS_NOT_FOUND);
    assert_int_equal(count_notes(*state), 0);
}

static void answer_a_row(tims_request *rq)
{
    const person *p = tims_find(rq, &person_model, bob);
    tims_answer answer = tims_answer_row(rq, 201, &person_model, p);
    assert_int_equal(answer.status, 201);
    assert_true(tims_str_ends_with(answer.body, TIMS_STR("\"name\":\"Bob\"}")));
    tims_db_value value = tims_db_text(TIMS_STR("Bo'b"));
    assert_int_equal(tims_sql_run(rq, TIMS_STR("UPDATE person SET name = ?1"), &value, 1), 2);
    tims_db_rows *rows = tims_sql_query(rq, TIMS_STR("SELECT name FROM person LIMIT 1"), NULL, 0);
    assert_true(tims_db_next(rows));
    assert_str(tims_db_get_text(rows, 0), "Bo'b");
}

static void rows_are_answered_and_plain_sql_runs_inside(void **state)
{
    make_hall(*state);
    tims_error err = run_as(*state, user(ann), answer_a_row);
    assert_string_equal(err.message, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_find_what_filters_say),
        TEST(what_is_not_ones_to_read_is_not_there),
        TEST(a_filter_that_makes_no_sense_raises),
        TEST(writes_of_a_request_are_committed_together),
        TEST(what_was_written_before_a_raise_is_gone),
        TEST(writes_raise_what_the_database_says),
        TEST(rows_are_answered_and_plain_sql_runs_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
