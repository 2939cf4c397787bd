/* models_test.c: descriptors and rules that make no sense end the start with a sentence that names the
 * place. */
#include "model/testing.h"

typedef struct bad_model {
    const char *expect; /* stands in the message */
    void (*spoil)(void);
} bad_model;

static tims_field fields[8], star_note[3];
static tims_model spoiled;

static void set_fields(size_t count)
{
    spoiled.fields = (tims_fields){ fields, count };
}

#define SPOIL(name, ...)   \
    static void name(void) \
    {                      \
        __VA_ARGS__        \
    }
SPOIL(no_name, spoiled.name = "";)
SPOIL(odd_name, spoiled.name = "no\"te";)
SPOIL(capital_name, spoiled.name = "Note";)
SPOIL(long_name, spoiled.name = "a23456789_123456789_123456789_123456789_123456789_1";)
SPOIL(kept_name, spoiled.name = "sqlite_master";)
SPOIL(twice, spoiled.name = "room";)
SPOIL(no_fields, set_fields(0);)
SPOIL(no_primary, fields[0].primary = false;)
SPOIL(two_primaries, fields[1].primary = true;)
SPOIL(primary_kind, fields[0].primary = false; fields[3].primary = true;)
SPOIL(hidden_primary, fields[0].hidden = true;)
SPOIL(field_twice, fields[3].name = "room";)
SPOIL(field_operator, fields[3].name = "text__lt";)
SPOIL(field_quote, fields[3].name = "text\" --";)
SPOIL(field_system, fields[3].name = "xmin";)
SPOIL(scale_text, fields[3].scale = 2;)
SPOIL(scale_long, fields[3].kind = TIMS_KIND_DECIMAL; fields[3].scale = 19;)
SPOIL(list_kind, fields[3].kind = TIMS_KIND_STRS;)
SPOIL(outside, spoiled.size = 20;)
SPOIL(unknown_target, static tims_model other; fields[1].to = &other;)
SPOIL(text_target, fields[3].to = &room_model;)
SPOIL(null_target, fields[1].on_delete = TIMS_SET_NULL;)
SPOIL(auto_text, fields[3].auto_now = true;)
SPOIL(choices_id, static const char *const items[] = { "a" }; fields[1].choices = (tims_names){ items, 1 };)
SPOIL(odd_format, fields[3].format = "poem";)
SPOIL(bad_default, fields[3].max_length = 3; fields[3].default_value = "long";)
SPOIL(bad_order, spoiled.order = "-nothing";)
static const char *const index_columns[] = { "text", "-nothing" };
static const tims_index bad_indexes[] = { { { index_columns, 2 }, false }, { { NULL, 0 }, false } };
SPOIL(bad_index, spoiled.indexes = bad_indexes;)

static const tims_rule owner_of_nothing = { .kind = TIMS_RULE_OWNER, .column = "nothing" };
static const tims_rule owner_of_text = { .kind = TIMS_RULE_OWNER, .column = "text" };
static const tims_rule members_elsewhere = {
    .kind = TIMS_RULE_MEMBERS, .model = &member_model, .thing = "room", .user = "user"
};
static const tims_rule members_unlisted = {
    .kind = TIMS_RULE_MEMBERS, .model = NULL, .thing = "room", .user = "user"
};
static const tims_rule members_without_user = {
    .kind = TIMS_RULE_MEMBERS, .model = &star_model, .thing = "note", .user = "name"
};
static const tims_rule like_wrong_parent = { .kind = TIMS_RULE_LIKE,
                                             .column = "room",
                                             .model = &person_model };
static const tims_rule like_itself = { .kind = TIMS_RULE_LIKE, .column = "parent", .model = &spoiled };
static const tims_rule *const like_author = TIMS_LIKE(note, author, person_model);
static const tims_rule any_of_nothing = { .kind = TIMS_RULE_ANY };
static const tims_rule no_rule = { .kind = (tims_rule_kind)99 };
static const tims_rule *const nested_parts[] = { &owner_of_nothing, NULL };
static const tims_rule nested = { .kind = TIMS_RULE_ALL, .parts = nested_parts };
static const tims_rule *endless_parts[] = { NULL, NULL };
static const tims_rule endless = { .kind = TIMS_RULE_ANY, .parts = endless_parts };
static const tims_rule like_note = { .kind = TIMS_RULE_LIKE, .column = "note", .model = &spoiled };
static const tims_rule members_by_star = {
    .kind = TIMS_RULE_MEMBERS, .model = &star_model, .thing = "note", .user = "user"
};
static const int placed_line = __LINE__ + 1;
static const tims_rule *const placed = TIMS_LIKE(note, text, room_model);
SPOIL(rule_long_circle, spoiled.read = &like_itself; star_model.read = &like_note;)
SPOIL(rule_not_live_member, member_model.not_live = true;)
SPOIL(rule_not_live_parent, person_model.not_live = true; spoiled.read = like_author;)
SPOIL(rule_without_key, star_note[2].to = NULL; spoiled.read = &members_by_star;)
SPOIL(rule_placed, spoiled.read = placed;)
static const char *const searched[] = { "text", "number", "secret" };
SPOIL(search_number, spoiled.search = ((tims_names){ searched, 2 });)
SPOIL(search_hidden, spoiled.search = ((tims_names){ searched + 2, 1 });)
SPOIL(rule_owner, spoiled.read = &owner_of_nothing;)
SPOIL(rule_owner_text, spoiled.change = &owner_of_text;)
SPOIL(rule_members, spoiled.read = &members_elsewhere;)
SPOIL(rule_unlisted, spoiled.read = &members_unlisted;)
SPOIL(rule_without_user, spoiled.read = &members_without_user;)
SPOIL(rule_like, spoiled.write = &like_wrong_parent;)
SPOIL(rule_like_nobody, room_model.read = NULL;)
SPOIL(rule_circle, spoiled.read = &like_itself;)
SPOIL(rule_empty, spoiled.create = &any_of_nothing;)
SPOIL(rule_unknown, spoiled.remove = &no_rule;)
SPOIL(rule_nested, spoiled.read = &nested;)
SPOIL(rule_endless, endless_parts[0] = &endless; spoiled.read = &endless;)

static const bad_model table[] = {
    { "has no name", no_name },
    { "other characters", odd_name },
    { "small letter", capital_name },
    { "more than 50", long_name },
    { "sqlite_", kept_name },
    { "model \"room\" is there twice", twice },
    { "has 0 fields", no_fields },
    { "has 0 primary keys", no_primary },
    { "has 2 primary keys", two_primaries },
    { "field \"text\" is the primary key, so it must be a tims_id", primary_kind },
    { "cannot be hidden", hidden_primary },
    { "field \"room\" is there twice", field_twice },
    { "field \"text__lt\" has a name with two underscores", field_operator },
    { "other characters", field_quote },
    { "field \"xmin\" has a name that PostgreSQL", field_system },
    { "has a scale, which only decimals can have", scale_text },
    { "has a scale beyond the 18 digits", scale_long },
    { "is a list", list_kind },
    { "outside the struct", outside },
    { "field \"room\" points at a model that is not in the list", unknown_target },
    { "is no tims_id", text_target },
    { "must be a tims_opt_id", null_target },
    { "must be a tims_time", auto_text },
    { "only strings can have", choices_id },
    { "does not exist", odd_format },
    { "field \"text\" has a default that its own rules refuse", bad_default },
    { ".order = \"-nothing\"", bad_order },
    { "an index names \"nothing\"", bad_index },
    { ".search names \"number\"", search_number },
    { ".search names \"secret\"", search_hidden },
    { "model \"note\", .read: OWNER needs an id column", rule_owner },
    { ".change: OWNER", rule_owner_text },
    { "MEMBERS needs a column of the member model that points at this model", rule_members },
    { "MEMBERS names a model that is not in the list", rule_unlisted },
    { "for the user", rule_without_user },
    { ".write: LIKE needs a column", rule_like },
    { "without a read rule", rule_like_nobody },
    { "comes back to this model", rule_circle },
    { ".create: ANY has no parts", rule_empty },
    { ".remove: the rule is of no kind", rule_unknown },
    { ".read: OWNER", rule_nested },
    { "nested more than 8 deep", rule_endless },
    { "model \"star\", .read: LIKE comes back to this model, or goes too deep", rule_long_circle },
    { "model \"room\", .read: MEMBERS looks at a model that is .not_live", rule_not_live_member },
    { "model \"note\", .read: LIKE looks at a model that is .not_live", rule_not_live_parent },
    { "user column that the change log keeps", rule_without_key },
    { "stack/model/models_test.c:", rule_placed },
};

/* A fresh, faultless note whose descriptor may be written to. */
static void reset_all(void)
{
    reset_models();
    const tims_field good[] = {
        TIMS_FIELD(note, id, .primary = true),
        TIMS_FIELD(note, room, .to = &room_model),
        TIMS_FIELD(note, author, .to = &person_model),
        TIMS_FIELD(note, text),
        TIMS_FIELD(note, at),
        TIMS_FIELD(note, parent, .to = &spoiled),
    };
    memcpy(fields, good, sizeof(good));
    spoiled = (tims_model){ .name = "note", .size = sizeof(note), .read = note_rule, .order = "-at" };
    set_fields(6);
    memcpy(star_note, star_fields, sizeof(star_note));
    star_note[1].to = &spoiled;
    star_model.fields = (tims_fields){ star_note, 3 };
    star_model.read = person_rule;
}

static tims_status check_all(tims_arena *arena, tims_models **ret_models, tims_error *err)
{
    const tims_model *models[] = { &star_model, &spoiled, &member_model, &room_model, &person_model };
    return tims_models_new(arena, models, 5, ret_models, err);
}

static void each_mistake_is_named(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        reset_all();
        table[i].spoil();
        tims_models *models;
        tims_error err = { 0 };
        tims_status status = check_all(arena, &models, &err);
        if (status != TIMS_INVALID || strstr(err.message, table[i].expect) == NULL)
            fail_msg("expected \"%s\", got %s \"%s\"", table[i].expect, tims_status_name(status),
                     err.message);
    }
    tims_arena_free(&arena);
}

static void a_bad_rule_is_named_with_its_line(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    reset_all();
    rule_placed();
    tims_models *models;
    tims_error err = { 0 };
    assert_int_equal(check_all(arena, &models, &err), TIMS_INVALID);
    tims_str expected =
        tims_print(arena,
                   "stack/model/models_test.c:%d: model \"note\", .read: LIKE needs a column of "
                   "this model that points at that model (.to = …).",
                   placed_line);
    assert_str(expected, err.message);
    tims_arena_free(&arena);
}

/* What only writes ask is asked then: it need not be followed. */
static void only_what_is_read_live_must_be_live(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_models *models;
    tims_error err = { 0 };
    reset_all();
    person_model.not_live = true;
    spoiled.write = like_author;
    assert_ok(check_all(arena, &models, &err), &err);
    spoiled.read = like_author;
    spoiled.not_live = true;
    assert_ok(check_all(arena, &models, &err), &err);
    tims_arena_free(&arena);
}

/* `count` models of members, each a dependency of the note's rule. */
static tims_status check_crowd(size_t count, tims_error *err)
{
    enum { CROWD_MAX = 20 };
    static tims_field crowd_fields[3];
    static tims_model crowd[CROWD_MAX];
    static tims_rule rules[CROWD_MAX], any = { .kind = TIMS_RULE_ANY };
    const tims_model *listed[CROWD_MAX + 3] = { &spoiled, &room_model, &person_model };
    const tims_rule *parts[CROWD_MAX + 1] = { NULL };
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    reset_all();
    memcpy(crowd_fields, member_fields, sizeof crowd_fields);
    crowd_fields[1].to = &spoiled;
    for (size_t i = 0; i < count; i++) {
        crowd[i] = (tims_model){ .name = tims_print(arena, "crowd%zu", i).data,
                                 .size = sizeof(member),
                                 .fields = { crowd_fields, 3 } };
        rules[i] =
            (tims_rule){ .kind = TIMS_RULE_MEMBERS, .model = &crowd[i], .thing = "room", .user = "user" };
        parts[i] = &rules[i];
        listed[3 + i] = &crowd[i];
    }
    any.parts = parts;
    spoiled.read = &any;
    room_model.read = person_rule;
    tims_models *models;
    tims_status status = tims_models_new(arena, listed, count + 3, &models, err);
    tims_arena_free(&arena);
    return status;
}

static void a_rule_that_depends_on_too_much_is_refused(void **state)
{
    (void)state;
    tims_error err = { 0 };
    assert_ok(check_crowd(TIMS_DEPENDENCIES_MAX, &err), &err);
    assert_int_equal(check_crowd(TIMS_DEPENDENCIES_MAX + 1, &err), TIMS_INVALID);
    assert_non_null(strstr(err.message, "model \"note\", .read: ANY depends on more than 16"));
}

static void parents_come_before_children(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    reset_all();
    tims_models *models;
    tims_error err = { 0 };
    assert_ok(check_all(arena, &models, &err), &err);
    static const char *const expected[] = { "person", "room", "note", "star", "member" };
    assert_int_equal(tims_models_count(models), 5);
    for (size_t i = 0; i < 5; i++)
        for (size_t f = 0; f < tims_models_at(models, i)->fields.count; f++) {
            const tims_model *parent = tims_models_at(models, i)->fields.items[f].to;
            bool before = parent == NULL || parent == tims_models_at(models, i);
            for (size_t j = 0; j < i; j++)
                before |= tims_models_at(models, j) == parent;
            assert_true(before);
        }
    for (size_t i = 0; i < 5; i++)
        assert_non_null(tims_models_find(models, tims_str_from(expected[i])));
    assert_null(tims_models_find(models, TIMS_STR("nothing")));
    tims_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_is_named),
        cmocka_unit_test(a_bad_rule_is_named_with_its_line),
        cmocka_unit_test(only_what_is_read_live_must_be_live),
        cmocka_unit_test(a_rule_that_depends_on_too_much_is_refused),
        cmocka_unit_test(parents_come_before_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
