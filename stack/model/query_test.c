/* query_test.c: queries and rules against brute force.
 *
 * A random world, random rules, random conditions, orders and pages. What the database answers must equal
 * what a walk over the rows in memory finds: the rule by a plain evaluator written here, conditions and order
 * by query_match.c, and the JSON by json's own struct writer. A failing case names its seed. */
#include "model/testing.h"

enum { PEOPLE = 4, ROOMS = 5, MEMBERS = 8, NOTES = 24, STARS = 10, WORLDS = 12, CASES = 150 };

typedef struct tables {
    person people[PEOPLE];
    room rooms[ROOMS];
    member members[MEMBERS];
    note notes[NOTES];
    star stars[STARS];
} tables;

/* --- chance, repeatable ----------------------------------------------------------------------- */

static uint64_t chance_state;

static uint32_t chance(uint32_t below)
{
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    chance_state ^= chance_state << 17;
    return (uint32_t)((chance_state >> 11) % below);
}

static tims_str pick_text(void)
{
    static const char *const texts[] = { "",
                                         "a",
                                         "A",
                                         "ab",
                                         "AB ba",
                                         "100%",
                                         "a_b",
                                         "back\\slash",
                                         "it's \"quoted\"",
                                         "\xc3\xa4\xc3\xb6",
                                         "\xc3\x84",
                                         "zzz",
                                         "null",
                                         "-- ' ; DROP TABLE note",
                                         "line\nbreak\t" };
    return tims_str_from(texts[chance(sizeof(texts) / sizeof(texts[0]))]);
}

/* --- the world -------------------------------------------------------------------------------- */

static tims_id some_person(const tables *t)
{
    return t->people[chance(PEOPLE)].id;
}

static int64_t random_time(void)
{
    static const int64_t odd[] = { 0,
                                   -1,
                                   -210866803200000000, /* the first that PostgreSQL knows */
                                   INT64_MAX,
                                   1700006399999999,
                                   1700006400000000,
                                   253402300799999999,
                                   253402300800000000 };
    return chance(4) == 0 ? odd[chance(8)] : 1700000000000000 + (int64_t)chance(4) * 1000001;
}

static void fill_note(tables *t, size_t i)
{
    static const double doubles[] = { 0, -1.5, 0.1, 1e300, 3, 2.5 };
    note *n = &t->notes[i];
    *n = (note){ .room = t->rooms[chance(ROOMS)].id,
                 .author = some_person(t),
                 .text = pick_text(),
                 .secret = TIMS_STR("hidden"),
                 .subject = { chance(3) != 0, pick_text() },
                 .number = (int64_t)chance(5) - 2,
                 .score = { chance(3) != 0, (int64_t)chance(3) },
                 .ratio = { chance(3) != 0, doubles[chance(6)] },
                 .weight = doubles[chance(6)],
                 .done = chance(2) == 1,
                 .liked = { chance(3) != 0, chance(2) == 1 },
                 .at = { random_time() },
                 .extra = { TIMS_STR("{\"a\":[1]}") } };
    if (i > 0 && chance(2) == 0)
        n->parent = (tims_opt_id){ true, t->notes[chance((uint32_t)i)].id };
    if (!n->subject.present)
        n->subject.value = (tims_str){ 0 };
}

static void fill(world *w, tables *t)
{
    memset(t, 0, sizeof(*t));
    tims_error err = { 0 };
    assert_ok(tims_db_script(w->session,
                             TIMS_STR("DELETE FROM star; UPDATE note SET parent = NULL; DELETE FROM note;"
                                      "DELETE FROM member; DELETE FROM room; DELETE FROM person;"),
                             &err),
              &err);
    assert_ok(tims_db_begin(w->session, &err), &err);
    for (size_t i = 0; i < PEOPLE; i++) {
        t->people[i].name = pick_text();
        insert(w, &person_model, &t->people[i]);
    }
    for (size_t i = 0; i < ROOMS; i++) {
        t->rooms[i] = (room){ .owner = { chance(4) != 0, some_person(t) }, .title = TIMS_STR("room") };
        insert(w, &room_model, &t->rooms[i]);
    }
    for (size_t i = 0; i < MEMBERS; i++) { /* each pair once */
        t->members[i] =
            (member){ .room = t->rooms[i % ROOMS].id, .user = t->people[(i + i / ROOMS) % PEOPLE].id };
        insert(w, &member_model, &t->members[i]);
    }
    for (size_t i = 0; i < NOTES; i++) {
        fill_note(t, i);
        insert(w, &note_model, &t->notes[i]);
    }
    for (size_t i = 0; i < STARS; i++) {
        t->stars[i] = (star){ .note = t->notes[chance(NOTES)].id, .user = some_person(t) };
        insert(w, &star_model, &t->stars[i]);
    }
    assert_ok(tims_db_commit(w->session, &err), &err);
}

/* --- rules by hand ---------------------------------------------------------------------------- */

static tims_id id_in(const tims_model *model, const char *name, const void *row, bool *ret_present)
{
    const tims_field *field = tims_field_find(model->fields, tims_str_from(name));
    const char *at = (const char *)row + field->offset;
    *ret_present = field->kind == TIMS_KIND_ID || ((const tims_opt_id *)(const void *)at)->present;
    return field->kind == TIMS_KIND_ID ? *(const tims_id *)(const void *)at
                                       : ((const tims_opt_id *)(const void *)at)->value;
}

static bool is_member(const tables *t, const tims_rule *rule, tims_id thing, tims_id who)
{
    for (size_t i = 0; rule->model == &member_model && i < MEMBERS; i++)
        if (tims_same_id(t->members[i].room, thing) && tims_same_id(t->members[i].user, who))
            return true;
    for (size_t i = 0; rule->model == &star_model && i < STARS; i++)
        if (tims_same_id(t->stars[i].note, thing) && tims_same_id(t->stars[i].user, who))
            return true;
    return false;
}

static const void *find_parent(const tables *t, const tims_model *model, tims_id id)
{
    for (size_t i = 0; model == &person_model && i < PEOPLE; i++)
        if (tims_same_id(t->people[i].id, id))
            return &t->people[i];
    for (size_t i = 0; model == &room_model && i < ROOMS; i++)
        if (tims_same_id(t->rooms[i].id, id))
            return &t->rooms[i];
    for (size_t i = 0; model == &note_model && i < NOTES; i++)
        if (tims_same_id(t->notes[i].id, id))
            return &t->notes[i];
    return NULL;
}

static bool passes(const tables *t, const tims_rule *rule, const tims_model *model, const void *row,
                   tims_caller who)
{
    bool present;
    if (who.trusted)
        return true;
    switch (rule->kind) {
    case TIMS_RULE_PUBLIC:
        return true;
    case TIMS_RULE_SIGNED_IN:
        return who.signed_in;
    case TIMS_RULE_STAFF:
        return who.signed_in && who.staff;
    case TIMS_RULE_OWNER: {
        tims_id owner = id_in(model, rule->column, row, &present);
        return who.signed_in && present && tims_same_id(owner, who.user);
    }
    case TIMS_RULE_MEMBERS:
        return who.signed_in && is_member(t, rule, id_in(model, "id", row, &present), who.user);
    case TIMS_RULE_LIKE: {
        tims_id parent = id_in(model, rule->column, row, &present);
        const void *parent_row = present ? find_parent(t, rule->model, parent) : NULL;
        return parent_row != NULL && passes(t, rule->model->read, rule->model, parent_row, who);
    }
    case TIMS_RULE_ANY:
        for (const tims_rule *const *part = rule->parts; *part != NULL; part++)
            if (passes(t, *part, model, row, who))
                return true;
        return false;
    case TIMS_RULE_ALL:
        for (const tims_rule *const *part = rule->parts; *part != NULL; part++)
            if (!passes(t, *part, model, row, who))
                return false;
        return true;
    default:
        return false;
    }
}

static const tims_rule *random_rule(tims_arena *arena, const tims_model *model, int depth)
{
    tims_rule *rule = TIMS_NEW(arena, tims_rule);
    uint32_t kind = chance(depth > 0 ? 12 : 9);
    if (kind >= 9) {
        size_t count = 1 + chance(3);
        const tims_rule **parts = TIMS_NEW_ARRAY(arena, const tims_rule *, count + 1);
        for (size_t i = 0; i < count; i++)
            parts[i] = random_rule(arena, model, depth - 1);
        *rule = (tims_rule){ .kind = chance(2) == 0 ? TIMS_RULE_ANY : TIMS_RULE_ALL, .parts = parts };
        return rule;
    }
    if (kind < 2) {
        static const tims_rule_kind constants[] = { TIMS_RULE_NOBODY, TIMS_RULE_PUBLIC, TIMS_RULE_SIGNED_IN,
                                                    TIMS_RULE_STAFF };
        rule->kind = constants[chance(4)];
        return rule;
    }
    if (model == &person_model) {
        *rule = (tims_rule){ .kind = TIMS_RULE_OWNER, .column = "id" };
    } else if (model == &room_model) {
        *rule = kind < 4   ? (tims_rule){ .kind = TIMS_RULE_OWNER, .column = "owner" }
                : kind < 7 ? *TIMS_MEMBERS(member_model, member, room, user)
                           : *TIMS_LIKE(room, owner, person_model);
    } else {
        *rule = kind < 4   ? (tims_rule){ .kind = TIMS_RULE_OWNER, .column = "author" }
                : kind < 5 ? *TIMS_MEMBERS(star_model, star, note, user)
                : kind < 6 ? *TIMS_LIKE(note, author, person_model)
                           : *TIMS_LIKE(note, room, room_model);
    }
    return rule;
}

/* --- conditions by chance --------------------------------------------------------------------- */

static tims_str value_text(tims_arena *arena, const tables *t, const tims_field *field)
{
    switch (tims_kind_base(field->kind)) {
    case TIMS_KIND_BOOL:
        return chance(2) == 0 ? TIMS_STR("true") : TIMS_STR("0");
    case TIMS_KIND_INT:
        return tims_print(arena, "%d", (int)chance(5) - 2);
    case TIMS_KIND_DOUBLE:
        return chance(2) == 0 ? TIMS_STR("0.1") : TIMS_STR("-1.5");
    case TIMS_KIND_STR:
        return pick_text();
    case TIMS_KIND_TIME:
        return TIMS_STR("2023-11-14T22:13:21.000001Z");
    default:
        return tims_print(arena, "%I",
                          chance(3) == 0   ? some_person(t)
                          : chance(2) == 0 ? t->rooms[chance(ROOMS)].id
                                           : t->notes[chance(NOTES)].id);
    }
}

static void add_random_condition(tims_arena *arena, const tables *t, tims_query *query)
{
    const tims_field *field = &note_fields[chance(sizeof(note_fields) / sizeof(note_fields[0]))];
    tims_operator operator=(tims_operator) chance(TIMS_STARTS_WITH + 1);
    if (chance(3) == 0) /* what LIKE substitutes */
        field = &note_fields[1], operator= TIMS_EQUAL;
    tims_str text = value_text(arena, t, field);
    if (operator== TIMS_IS_NULL)
        text = chance(2) == 0 ? TIMS_STR("true") : TIMS_STR("false");
    if (operator== TIMS_IN && chance(2) == 0 && tims_str_find(text, TIMS_STR(",")) == SIZE_MAX)
        text = tims_print(arena, "%S,%S", text, value_text(arena, t, field));
    tims_error err = { 0 };
    (void)tims_query_where(arena, query, tims_str_from(field->name), operator, text, &err);
}

static void make_random_query(tims_arena *arena, const tables *t, tims_query *query, tims_caller who)
{
    static const char *const orders[] = {
        "",      "-at",           "at",      "number,-at",  "subject",     "-subject,number",
        "ratio", "-ratio,-until", "-parent", "text,secret", "done,-liked", "id",
        "-id",   "score,-weight"
    };
    tims_query_init(query, &note_model, who);
    tims_error err = { 0 };
    for (uint32_t i = chance(3); i > 0; i--)
        add_random_condition(arena, t, query);
    if (chance(4) == 0)
        assert_ok(tims_query_search(query, chance(2) == 0 ? TIMS_STR("a b") : pick_text(), &err), &err);
    assert_ok(
        tims_query_order(query, tims_str_from(orders[chance(sizeof(orders) / sizeof(orders[0]))]), &err),
        &err);
}

/* --- one case --------------------------------------------------------------------------------- */

static size_t expect(const tables *t, const tims_query *query, const note *ret_rows[NOTES])
{
    size_t count = 0;
    for (size_t i = 0; i < NOTES; i++) {
        const note *n = &t->notes[i];
        if (!passes(t, note_model.read, &note_model, n, query->caller) || !tims_query_matches(query, n))
            continue;
        size_t at = count++;
        for (; at > 0 && tims_query_compare(query, n, ret_rows[at - 1]) < 0; at--)
            ret_rows[at] = ret_rows[at - 1];
        ret_rows[at] = n;
    }
    return count;
}

/* `total`: of all pages. */
static void assert_page(world *w, tims_query *query, const note *const *rows, size_t count, size_t total,
                        bool more, tims_written *ret_written)
{
    tims_write_options options = { .probe = true, .count = chance(2) == 0 };
    tims_error err = { 0 };
    tims_buf got, wanted;
    tims_buf_init(&got, w->arena, 1 << 20);
    tims_buf_init(&wanted, w->arena, 1 << 20);
    tims_json_writer to_got = tims_json_to(&got), to_wanted = tims_json_to(&wanted);
    tims_json_begin_array(&to_got);
    assert_ok(tims_query_write_page(w->session, w->arena, query, &options, &to_got, ret_written, &err), &err);
    tims_json_end_array(&to_got);
    tims_json_begin_array(&to_wanted);
    for (size_t i = 0; i < count; i++)
        tims_json_object(&to_wanted, note_model.fields, rows[i], query->fields);
    tims_json_end_array(&to_wanted);
    if (!tims_str_equal(tims_buf_str(&got), tims_buf_str(&wanted))) {
        tims_sql sql;
        tims_query_sql(w->arena, tims_db_session_dialect(w->session), query, &sql);
        fail_msg("%.*s\n  got    %.*s\n  wanted %.*s", TIMS_PRINT(sql.text), TIMS_PRINT(tims_buf_str(&got)),
                 TIMS_PRINT(tims_buf_str(&wanted)));
    }
    assert_int_equal(ret_written->rows, count);
    assert_int_equal(ret_written->more, more);
    if (options.count && count > 0)
        assert_int_equal(ret_written->total, total);
}

/* All pages forward by cursor, and back again from the end. */
static void walk_pages(world *w, tims_query *query, const note *const *rows, size_t count)
{
    query->limit = 1 + chance(7);
    size_t step = (size_t)query->limit;
    tims_written written;
    for (size_t from = 0; from == 0 || from < count; from += step) {
        size_t size = count - from < step ? count - from : step;
        assert_page(w, query, rows + from, size, count, from + size < count, &written);
        query->after = written.last;
    }
    if (count == 0)
        return;
    query->backwards = true;
    query->after = NULL;
    for (size_t to = count; to > 0;) {
        size_t size = to < step ? to : step;
        assert_page(w, query, rows + to - size, size, count, to > size, &written);
        query->after = written.first;
        to -= size;
    }
}

static void run_case(world *w, const tables *t)
{
    person_model.read = random_rule(w->arena, &person_model, 1);
    room_model.read = random_rule(w->arena, &room_model, 2);
    note_model.read = random_rule(w->arena, &note_model, 2);
    tims_caller who = { .signed_in = chance(5) != 0,
                        .staff = chance(3) == 0,
                        .trusted = chance(20) == 0,
                        .user = some_person(t) };
    tims_query query;
    make_random_query(w->arena, t, &query, who);
    const note *rows[NOTES];
    size_t count = expect(t, &query, rows);
    tims_error err = { 0 };
    int64_t total = -1;
    assert_ok(tims_query_count(w->session, w->arena, &query, &total, &err), &err);
    assert_int_equal(total, count);
    if (tims_rule_is_never(note_model.read, &note_model, who))
        assert_int_equal(count, 0);
    void *structs;
    size_t got;
    assert_ok(tims_model_select(w->session, w->arena, &query, &structs, &got, &err), &err);
    assert_int_equal(got, count);
    for (size_t i = 0; i < count; i++)
        assert_true(tims_same_id(((note *)structs)[i].id, rows[i]->id));
    query.fields = chance(2) == 0 ? 0 : (tims_field_set)(2 + chance(0x7fff)) & model__visible(&note_model);
    walk_pages(w, &query, rows, count);
}

static void answers_equal_a_walk_over_the_rows(void **state)
{
    world *w = *state;
    static tables t;
    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        chance_state = seed * 0x9e3779b97f4a7c15u;
        print_message("seed %llu\n", (unsigned long long)seed);
        fill(w, &t);
        for (int i = 0; i < CASES; i++)
            run_case(w, &t);
    }
    reset_models();
}

/* For a row in memory, whether it is in the database or not, the answer is the same. */
static void checks_of_single_rows_equal_the_walk(void **state)
{
    world *w = *state;
    static tables t;
    chance_state = 4711;
    fill(w, &t);
    for (int i = 0; i < 600; i++) {
        person_model.read = random_rule(w->arena, &person_model, 1);
        room_model.read = random_rule(w->arena, &room_model, 2);
        const tims_rule *rule = random_rule(w->arena, &note_model, 2);
        tims_caller who = { .signed_in = chance(5) != 0, .staff = chance(3) == 0, .user = some_person(&t) };
        const note *n = &t.notes[chance(NOTES)];
        tims_error err = { 0 };
        tims_status status = tims_rule_allows(w->session, w->arena, rule, &note_model, n, who, &err);
        assert_int_equal(status, passes(&t, rule, &note_model, n, who) ? TIMS_OK : TIMS_FORBIDDEN);
    }
    reset_models();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_equal_a_walk_over_the_rows),
        TEST(checks_of_single_rows_equal_the_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
