/* audience_test.c: rules in memory, by example: what is read into an audience, where its rows are found, on
 * what it depends, and which queries have a gate. audience_property_test.c holds the same against SQL at
 * large. */
#include "model/testing.h"

typedef struct scene {
    person ann, bob;
    room hall, attic;
    note in_hall, in_attic;
} scene;

/* Ann is a member of the hall, Bob of the attic, which he owns. Each has written a note in the other's room.
 */
static scene make_scene(world *w)
{
    scene s = { .ann = { .name = TIMS_STR("Ann") }, .bob = { .name = TIMS_STR("Bob") } };
    insert(w, &person_model, &s.ann);
    insert(w, &person_model, &s.bob);
    insert(w, &room_model, &s.hall);
    s.attic.owner = (tims_opt_id){ true, s.bob.id };
    insert(w, &room_model, &s.attic);
    member ann_in_hall = { .room = s.hall.id, .user = s.ann.id };
    member bob_in_attic = { .room = s.attic.id, .user = s.bob.id };
    insert(w, &member_model, &ann_in_hall);
    insert(w, &member_model, &bob_in_attic);
    s.in_hall = (note){ .room = s.hall.id, .author = s.bob.id };
    s.in_attic = (note){ .room = s.attic.id, .author = s.ann.id };
    insert(w, &note_model, &s.in_hall);
    insert(w, &note_model, &s.in_attic);
    return s;
}

static tims_audience *load(world *w, const tims_model *model, tims_caller caller, size_t ids_max)
{
    tims_audience *audience = NULL;
    tims_error err = { 0 };
    assert_ok(tims_audience_load(w->session, model, caller, ids_max, &audience, &err), &err);
    return audience;
}

static bool allows(world *w, const tims_model *model, tims_caller caller, const void *row)
{
    tims_audience *audience = load(w, model, caller, 10);
    bool allowed = tims_audience_allows(audience, row);
    tims_audience_free(&audience);
    assert_null(audience);
    return allowed;
}

/* --- who may read ----------------------------------------------------------------------------- */

static void members_read_what_they_are_members_of(void **state)
{
    scene s = make_scene(*state);
    assert_true(allows(*state, &room_model, user(s.ann.id), &s.hall));
    assert_false(allows(*state, &room_model, user(s.ann.id), &s.attic));
    assert_true(allows(*state, &note_model, user(s.ann.id), &s.in_hall));
    assert_false(allows(*state, &note_model, user(s.bob.id), &s.in_hall));
    assert_false(allows(*state, &note_model, (tims_caller){ 0 }, &s.in_hall));
    assert_true(allows(*state, &note_model, (tims_caller){ .trusted = true }, &s.in_hall));
}

static const tims_rule *const owner_or_member =
    TIMS_ANY(TIMS_OWNER(room, owner), TIMS_MEMBERS(member_model, member, room, user));
static const tims_rule *const author_in_room =
    TIMS_ALL(TIMS_OWNER(note, author), TIMS_LIKE(note, room, room_model));
static const tims_rule *const like_owner = TIMS_LIKE(room, owner, person_model);
static const tims_rule *const staff_or_owner = TIMS_ANY(TIMS_STAFF, TIMS_OWNER(room, owner));

static void parts_of_rules_are_joined(void **state)
{
    scene s = make_scene(*state);
    room_model.read = owner_or_member;
    note_model.read = author_in_room;
    note mine = { .room = s.attic.id, .author = s.bob.id };
    assert_true(allows(*state, &note_model, user(s.bob.id), &mine)); /* it need not be in the database */
    assert_false(allows(*state, &note_model, user(s.bob.id), &s.in_attic));
    assert_false(allows(*state, &note_model, user(s.bob.id), &s.in_hall));
}

static void a_column_without_value_points_at_nothing_readable(void **state)
{
    scene s = make_scene(*state);
    room_model.read = like_owner; /* persons are public */
    assert_true(allows(*state, &room_model, user(s.ann.id), &s.attic));
    assert_false(allows(*state, &room_model, user(s.ann.id), &s.hall));
    assert_false(allows(*state, &room_model, (tims_caller){ 0 }, &s.hall));
}

/* To SQLite text equals text: what another program wrote in capitals is another id. To PostgreSQL it is a
 * way to write the same one. */
static void ids_in_capitals_are_other_ids_where_they_are_text(void **state)
{
    world *w = *state;
    scene s = make_scene(w);
    tims_error err = { 0 };
    if (testing_on_postgres()) {
        assert_ok(
            tims_db_script(w->session, TIMS_STR("UPDATE member SET room = upper(room::text)::uuid;"), &err),
            &err);
        assert_true(allows(w, &room_model, user(s.ann.id), &s.hall));
        return;
    }
    assert_ok(
        tims_db_script(w->session,
                       TIMS_STR("PRAGMA defer_foreign_keys = ON; DELETE FROM note;"
                                "UPDATE room SET id = upper(id); UPDATE member SET room = upper(room);"),
                       &err),
        &err);
    assert_false(allows(w, &room_model, user(s.ann.id), &s.hall));
    assert_int_equal(
        tims_rule_allows(w->session, w->arena, room_model.read, &room_model, &s.hall, user(s.ann.id), &err),
        TIMS_FORBIDDEN);
}

static void too_many_ids_make_it_wide(void **state)
{
    world *w = *state;
    scene s = make_scene(w);
    tims_audience *exact = load(w, &room_model, user(s.ann.id), 1);
    tims_audience *wide = load(w, &room_model, user(s.ann.id), 0);
    assert_false(tims_audience_is_wide(exact));
    assert_true(tims_audience_is_wide(wide));
    assert_true(tims_audience_bytes(wide) < tims_audience_bytes(exact));
    tims_audience_free(&exact);
    tims_audience_free(&wide);
    tims_audience_free(&wide); /* NULL is fine */
}

static void a_failing_database_is_said(void **state)
{
    world *w = *state;
    tims_error err = { 0 };
    assert_ok(tims_db_script(w->session, TIMS_STR("DROP TABLE member"), &err), &err);
    tims_audience *audience = NULL;
    tims_status status =
        tims_audience_load(w->session, &room_model, user(tims_id_new()), 10, &audience, &err);
    assert_int_not_equal(status, TIMS_OK);
    assert_null(audience);
}

/* --- where their rows are --------------------------------------------------------------------- */

static void take_topic(void *argument, const tims_field *field, tims_str text)
{
    tims_buf_print(argument, "%s=%S ", field->name, text);
}

/* "room=… room=… ", or "all". */
static tims_str topics_of(world *w, const tims_model *model, tims_caller caller, size_t ids_max)
{
    tims_audience *audience = load(w, model, caller, ids_max);
    tims_buf text;
    tims_buf_init(&text, w->arena, 4096);
    if (!tims_audience_topics(audience, take_topic, &text))
        tims_buf_append_str(&text, TIMS_STR("all"));
    tims_audience_free(&audience);
    return tims_buf_str(&text);
}

static void assert_topics(world *w, const tims_model *model, tims_caller caller, const char *format,
                          tims_id a, tims_id b)
{
    tims_str expected = tims_print(w->arena, format, a, b);
    assert_str(topics_of(w, model, caller, 10), expected.data);
}

static void rows_are_found_at_what_the_rule_hangs_on(void **state)
{
    world *w = *state;
    scene s = make_scene(w);
    tims_caller ann = user(s.ann.id), bob = user(s.bob.id), staff = bob;
    staff.staff = true;
    assert_topics(w, &room_model, ann, "id=%I ", s.hall.id, s.ann.id);
    assert_topics(w, &note_model, ann, "room=%I ", s.hall.id, s.ann.id);
    assert_topics(w, &note_model, (tims_caller){ 0 }, "", s.hall.id, s.ann.id);
    assert_topics(w, &person_model, ann, "all", s.hall.id, s.ann.id);
    room_model.read = owner_or_member;
    assert_topics(w, &room_model, bob, "owner=%I id=%I ", s.bob.id, s.attic.id);
    room_model.read = staff_or_owner;
    assert_topics(w, &room_model, bob, "owner=%I ", s.bob.id, s.attic.id);
    assert_topics(w, &room_model, staff, "all", s.bob.id, s.attic.id);
}

static void of_parts_that_must_all_hold_the_smallest_is_named(void **state)
{
    world *w = *state;
    scene s = make_scene(w);
    note_model.read = author_in_room;
    assert_topics(w, &note_model, user(s.bob.id), "author=%I ", s.bob.id, s.bob.id);
    tims_error err = { 0 };
    assert_ok(tims_db_script(w->session, TIMS_STR("DELETE FROM member"), &err), &err);
    assert_topics(w, &note_model, user(s.bob.id), "", s.bob.id, s.bob.id); /* no room: nowhere */
    assert_str(topics_of(w, &room_model, user(s.bob.id), 0), "");
}

/* --- what it depends on ----------------------------------------------------------------------- */

static tims_str dependencies_of(world *w, const tims_model *model)
{
    tims_dependency items[TIMS_DEPENDENCIES_MAX];
    size_t count = tims_audience_dependencies(model, items);
    tims_buf text;
    tims_buf_init(&text, w->arena, 4096);
    for (size_t i = 0; i < count; i++)
        tims_buf_print(&text, "%s(%s,%s) ", items[i].model->name,
                       items[i].thing != NULL ? items[i].thing->name : "-",
                       items[i].user != NULL ? items[i].user->name : "-");
    return tims_buf_str(&text);
}

static const tims_rule *const oneself = TIMS_OWNER(person, id);
static const tims_rule *const owner_or_oneself =
    TIMS_ANY(TIMS_OWNER(room, id), TIMS_OWNER(room, owner)); /* odd, but it can be written */

static void dependencies_are_rows_of_other_models(void **state)
{
    world *w = *state;
    assert_str(dependencies_of(w, &person_model), "");
    assert_str(dependencies_of(w, &room_model), "member(room,user) ");
    assert_str(dependencies_of(w, &note_model), "member(room,user) ");
    assert_str(dependencies_of(w, &star_model), "note(room,-) member(room,user) ");
    room_model.read = owner_or_member;
    assert_str(dependencies_of(w, &room_model), "member(room,user) ");
    assert_str(dependencies_of(w, &note_model), "room(-,owner) member(room,user) ");
    room_model.read = like_owner;
    person_model.read = oneself; /* the key says it all: no person need be looked at */
    assert_str(dependencies_of(w, &room_model), "");
    room_model.read = owner_or_oneself;
    assert_str(dependencies_of(w, &note_model), "room(-,-) room(-,owner) ");
}

/* --- gates ------------------------------------------------------------------------------------ */

/* "none", "open" or "shut". */
static const char *gate_of(world *w, const tims_model *model, tims_caller caller, const char *filter)
{
    tims_query query;
    tims_error err = { 0 };
    tims_query_init(&query, model, caller);
    assert_ok(tims_query_filter(w->arena, &query, tims_str_from(filter), &err), &err);
    if (!tims_query_has_gate(&query))
        return "none";
    bool open = false;
    assert_ok(tims_query_gate(w->session, w->arena, &query, &open, &err), &err);
    return open ? "open" : "shut";
}

static void a_fixed_column_makes_a_gate(void **state)
{
    world *w = *state;
    scene s = make_scene(w);
    tims_caller ann = user(s.ann.id), bob = user(s.bob.id), nobody = { 0 }, all = { .trusted = true };
    const char *in_hall = tims_print(w->arena, "room=%I&done=false", s.hall.id).data;
    assert_string_equal(gate_of(w, &note_model, ann, in_hall), "open");
    assert_string_equal(gate_of(w, &note_model, bob, in_hall), "shut");
    assert_string_equal(gate_of(w, &note_model, nobody, in_hall), "shut");
    assert_string_equal(gate_of(w, &note_model, all, ""), "open");
    assert_string_equal(gate_of(w, &note_model, ann, ""), "none");
    const char *among = tims_print(w->arena, "room__in=%I", s.hall.id).data;
    assert_string_equal(gate_of(w, &note_model, ann, among), "none");
    const char *the_hall = tims_print(w->arena, "id=%I", s.hall.id).data;
    assert_string_equal(gate_of(w, &room_model, ann, the_hall), "open");
    assert_string_equal(gate_of(w, &room_model, bob, the_hall), "shut");
    assert_string_equal(gate_of(w, &person_model, nobody, "name=Ann"), "open");
}

static void a_gate_needs_every_part_fixed_that_is_not_known(void **state)
{
    world *w = *state;
    scene s = make_scene(w);
    tims_caller bob = user(s.bob.id), staff = bob;
    staff.staff = true;
    note_model.read = author_in_room;
    const char *half = tims_print(w->arena, "room=%I", s.attic.id).data;
    const char *whole = tims_print(w->arena, "room=%I&author=%I", s.attic.id, s.bob.id).data;
    const char *of_ann = tims_print(w->arena, "room=%I&author=%I", s.attic.id, s.ann.id).data;
    assert_string_equal(gate_of(w, &note_model, bob, half), "none");
    assert_string_equal(gate_of(w, &note_model, bob, whole), "open");
    assert_string_equal(gate_of(w, &note_model, bob, of_ann), "shut");
    room_model.read = staff_or_owner;
    assert_string_equal(gate_of(w, &room_model, staff, ""), "open");
    assert_string_equal(gate_of(w, &room_model, bob, ""), "none");
    const char *owned = tims_print(w->arena, "owner=%I", s.bob.id).data;
    assert_string_equal(gate_of(w, &room_model, bob, owned), "open");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(members_read_what_they_are_members_of),
        TEST(parts_of_rules_are_joined),
        TEST(a_column_without_value_points_at_nothing_readable),
        TEST(ids_in_capitals_are_other_ids_where_they_are_text),
        TEST(too_many_ids_make_it_wide),
        TEST(a_failing_database_is_said),
        TEST(rows_are_found_at_what_the_rule_hangs_on),
        TEST(of_parts_that_must_all_hold_the_smallest_is_named),
        TEST(dependencies_are_rows_of_other_models),
        TEST(a_fixed_column_makes_a_gate),
        TEST(a_gate_needs_every_part_fixed_that_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
