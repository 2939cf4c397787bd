/* row_test.c: structs to rows and back; what is filled in; what the database refuses, in the terms of the
 * body. */
#include "model/testing.h"

typedef struct people {
    person ann;
    room hall;
    note first;
} people;

static people make_people(world *w)
{
    people p = { .ann = { .name = TIMS_STR("Ann") } };
    insert(w, &person_model, &p.ann);
    p.hall = (room){ .title = TIMS_STR("Hall") };
    insert(w, &room_model, &p.hall);
    p.first = (note){ .room = p.hall.id, .author = p.ann.id, .text = TIMS_STR("x"), .secret = TIMS_STR("s") };
    insert(w, &note_model, &p.first);
    return p;
}

static note *find_note(world *w, tims_id id)
{
    tims_query query;
    tims_error err = { 0 };
    tims_query_init(&query, &note_model, (tims_caller){ .trusted = true });
    assert_ok(
        tims_query_where(w->arena, &query, TIMS_STR("id"), TIMS_EQUAL, tims_print(w->arena, "%I", id), &err),
        &err);
    void *row = NULL;
    tims_status status = tims_model_find(w->session, w->arena, &query, &row, &err);
    if (status == TIMS_NOT_FOUND)
        return NULL;
    assert_ok(status, &err);
    return row;
}

static void every_kind_comes_back_as_it_went(void **state)
{
    world *w = *state;
    people p = make_people(w);
    note n = { .room = p.hall.id,
               .author = p.ann.id,
               .text = TIMS_STR("it's \"x\" \xc3\xa4 ; --"),
               .secret = TIMS_STR("s"),
               .subject = { true, TIMS_STR("") },
               .number = INT64_MIN,
               .score = { true, INT64_MAX },
               .ratio = { true, -0.1 },
               .weight = 1e-300,
               .done = true,
               .liked = { true, false },
               .at = { -5 },
               .parent = { true, p.first.id },
               .extra = { TIMS_STR("[1]") } };
    insert(w, &note_model, &n);
    const note *back = find_note(w, n.id);
    assert_non_null(back);
    assert_str(back->text, "it's \"x\" \xc3\xa4 ; --");
    assert_str(back->secret, "s");
    assert_true(back->subject.present && back->subject.value.length == 0);
    assert_true(back->number == INT64_MIN && back->score.present && back->score.value == INT64_MAX);
    assert_true(back->ratio.present && back->ratio.value == -0.1 && back->weight == 1e-300);
    assert_true(back->done && back->liked.present && !back->liked.value && back->at.us == -5);
    assert_true(back->parent.present && tims_same_id(back->parent.value, p.first.id));
    assert_str(back->extra.text, "[1]");
    back = find_note(w, p.first.id);
    assert_false(back->subject.present || back->score.present || back->ratio.present || back->liked.present ||
                 back->parent.present);
}

static void ids_times_and_defaults_are_filled_in(void **state)
{
    world *w = *state;
    people p = make_people(w);
    assert_false(tims_id_is_zero(p.ann.id));
    assert_int_equal(p.ann.id.bytes[6] >> 4, 7);
    int64_t now = tims_now().us;
    assert_true(p.first.at.us > now - 60000000 && p.first.at.us <= now);           /* auto_now_add */
    assert_true(p.first.until.present && p.first.until.value.us == p.first.at.us); /* auto_now */
    assert_str(p.first.extra.text, "{}");
    room untitled = { 0 }, empty = { .title = TIMS_STR("") };
    insert(w, &room_model, &untitled);
    insert(w, &room_model, &empty);
    assert_str(untitled.title, "Untitled");
    assert_str(empty.title, "");
    tims_id own = tims_id_new();
    room chosen = { .id = own };
    insert(w, &room_model, &chosen);
    assert_true(tims_same_id(chosen.id, own));
}

static void updates_write_the_named_columns_and_the_time(void **state)
{
    world *w = *state;
    people p = make_people(w);
    note changed = p.first;
    changed.text = TIMS_STR("new");
    changed.number = 9;
    changed.until = (tims_opt_time){ 0 };
    tims_error err = { 0 };
    assert_ok(tims_model_update(w->session, w->arena, &note_model, &changed, (tims_field_set)1 << 3, &err),
              &err);
    const note *back = find_note(w, p.first.id);
    assert_str(back->text, "new");
    assert_true(back->number == 0 && back->until.present && back->until.value.us >= p.first.until.value.us);
    changed.id = tims_id_new();
    assert_int_equal(
        tims_model_update(w->session, w->arena, &note_model, &changed, (tims_field_set)1 << 3, &err),
        TIMS_NOT_FOUND);
    assert_ok(tims_model_update(w->session, w->arena, &note_model, &changed, 0, &err),
              &err); /* nothing to do */
}

static void deletes_remove_one_row_or_say_that_there_is_none(void **state)
{
    world *w = *state;
    people p = make_people(w);
    tims_error err = { 0 };
    assert_int_equal(tims_model_delete(w->session, w->arena, &person_model, p.ann.id, &err), TIMS_CONFLICT);
    assert_string_equal(err.code, "foreign_key");
    assert_ok(tims_model_delete(w->session, w->arena, &note_model, p.first.id, &err), &err);
    assert_null(find_note(w, p.first.id));
    assert_int_equal(tims_model_delete(w->session, w->arena, &note_model, p.first.id, &err), TIMS_NOT_FOUND);
}

static void what_is_taken_is_a_conflict(void **state)
{
    world *w = *state;
    people p = make_people(w);
    tims_error err = { 0 };
    note again = p.first;
    assert_int_equal(tims_model_insert(w->session, w->arena, &note_model, &again, &err), TIMS_CONFLICT);
    assert_string_equal(err.code, "unique");
    assert_str(err.fields->pointer, "/id");
    assert_null(err.fields->next);
    member m = { .room = p.hall.id, .user = p.ann.id }, same = m;
    insert(w, &member_model, &m);
    assert_int_equal(tims_model_insert(w->session, w->arena, &member_model, &same, &err), TIMS_CONFLICT);
    assert_str(err.fields->pointer, "/room");
    assert_str(err.fields->next->pointer, "/user");
}

static void a_reference_to_nothing_is_an_error_of_its_field(void **state)
{
    world *w = *state;
    people p = make_people(w);
    tims_error err = { 0 };
    note lost = { .room = tims_id_new(),
                  .author = p.ann.id,
                  .parent = { true, tims_id_new() },
                  .text = TIMS_STR("x"),
                  .secret = TIMS_STR("") };
    assert_int_equal(tims_model_insert(w->session, w->arena, &note_model, &lost, &err), TIMS_INVALID);
    assert_non_null(err.fields);
    assert_str(err.fields->pointer, "/room");
    assert_string_equal(err.fields->code, "not_found");
    assert_str(err.fields->next->pointer, "/parent");
    assert_null(err.fields->next->next);
}

/* A rule that somebody added by hand: the descriptors know none. */
static void a_refused_check_is_invalid(void **state)
{
    world *w = *state;
    const tims_model checked = { .name = "checked",
                                 .size = sizeof(person),
                                 .fields = FIELDS_OF(person_fields) };
    const char *id_type = testing_on_postgres() ? "uuid" : "TEXT";
    tims_error err = { 0 };
    assert_ok(tims_db_script(w->session,
                             tims_print(w->arena,
                                        "CREATE TABLE checked (id %s PRIMARY KEY, name TEXT NOT "
                                        "NULL CHECK (name <> 'refused'));",
                                        id_type),
                             &err),
              &err);
    person p = { .name = TIMS_STR("refused") };
    assert_int_equal(tims_model_insert(w->session, w->arena, &checked, &p, &err), TIMS_INVALID);
    assert_string_equal(err.code, "check");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_kind_comes_back_as_it_went),
        TEST(ids_times_and_defaults_are_filled_in),
        TEST(updates_write_the_named_columns_and_the_time),
        TEST(deletes_remove_one_row_or_say_that_there_is_none),
        TEST(what_is_taken_is_a_conflict),
        TEST(a_reference_to_nothing_is_an_error_of_its_field),
        TEST(a_refused_check_is_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
