/* audience_property_test.c: rules in memory against the same rules as SQL, in random worlds.
 *
 *     thing0 ◁─ thing1 ◁─ thing2 ◁─ thing3     each by `base` (always there) and `up` (may be null)
 *       △         △         △         △
 *     link0     link1     link2     link3      members: thing and user, either may be null
 *
 * Every model gets a random rule, so that a rule of thing3 can be like one of thing2, which is like one of
 * thing1 … For every caller SQL lists the rows that may be read, in one statement; each row in memory must be
 * allowed by the audience if and only if it is listed. A million such answers a run. The seed is printed and
 * can be given as AUDIENCE_SEED. */
#include <inttypes.h>

#include "model/testing.h"

enum {
    LEVELS = 4,
    PEOPLE = 5,
    THINGS = 40, /* of each level; fewer below */
    LINKS = 24,
    CALLERS = PEOPLE + 3,
    ANSWERS_MIN = 1000000,
    ANSWERS_MIN_POSTGRES = 250000, /* each set and list is a round trip */
    RULES_A_WORLD = 40
};

typedef struct thing {
    tims_id id;
    tims_opt_id owner, up;
    tims_id base, maker;
} thing;
typedef struct link_row {
    tims_id id;
    tims_opt_id thing, user;
} link_row;

static tims_model thing_models[LEVELS], link_models[LEVELS];
static tims_field thing_fields[LEVELS][5], link_fields[LEVELS][3];
static const char *const thing_names[LEVELS] = { "thing0", "thing1", "thing2", "thing3" };
static const char *const link_names[LEVELS] = { "link0", "link1", "link2", "link3" };

typedef struct tables {
    tims_id people[PEOPLE];
    thing things[LEVELS][THINGS];
    size_t counts[LEVELS];
    link_row links[LEVELS][LINKS];
} tables;

/* --- chance, repeatable ----------------------------------------------------------------------- */

static uint64_t chance_state;

static uint32_t chance(uint32_t below)
{
    TIMS_ASSERT(below > 0);
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    chance_state ^= chance_state << 17;
    return (uint32_t)((chance_state >> 11) % below);
}

static uint64_t take_seed(void)
{
    const char *given = getenv("AUDIENCE_SEED");
    int64_t seed;
    if (given == NULL || !tims_str_to_int(tims_str_from(given), 1, INT64_MAX, &seed)) {
        assert_int_equal(tims_crypto_setup(), TIMS_OK);
        tims_random(&seed, sizeof seed);
        seed = (seed & INT64_MAX) | 1;
    }
    print_message("AUDIENCE_SEED=%" PRId64 "\n", seed);
    return (uint64_t)seed;
}

/* --- models ----------------------------------------------------------------------------------- */

static const tims_rule *const public_rule = TIMS_PUBLIC;

static void make_models(void)
{
    for (size_t i = 0; i < LEVELS; i++) {
        const tims_model *below = i > 0 ? &thing_models[i - 1] : NULL;
        const tims_field things[] = {
            TIMS_FIELD(thing, id, .primary = true),
            TIMS_FIELD(thing, owner, .to = &person_model),
            TIMS_FIELD(thing, up, .to = below),
            TIMS_FIELD(thing, base, .to = below),
            TIMS_FIELD(thing, maker, .to = &person_model),
        };
        const tims_field links[] = {
            TIMS_FIELD(link_row, id, .primary = true),
            TIMS_FIELD(link_row, thing, .to = &thing_models[i]),
            TIMS_FIELD(link_row, user, .to = &person_model),
        };
        memcpy(thing_fields[i], things, sizeof things);
        memcpy(link_fields[i], links, sizeof links);
        thing_models[i] = (tims_model){ .name = thing_names[i],
                                        .size = sizeof(thing),
                                        .fields = FIELDS_OF(thing_fields[i]),
                                        .read = public_rule };
        link_models[i] = (tims_model){ .name = link_names[i],
                                       .size = sizeof(link_row),
                                       .fields = FIELDS_OF(link_fields[i]) };
    }
}

/* Without foreign keys, as they are for a program that did not switch them on: references may lead nowhere.
 */
static void make_tables(world *w)
{
    tims_error err = { 0 };
    for (size_t i = 0; i < LEVELS; i++) {
        const char *id = testing_on_postgres() ? "uuid" : "TEXT", *things = thing_names[i],
                   *links = link_names[i];
        tims_str sql =
            tims_print(w->arena,
                       "CREATE TABLE %s (id %s PRIMARY KEY, owner %s, up %s, base %s NOT NULL, "
                       "maker %s NOT NULL);"
                       "CREATE TABLE %s (id %s PRIMARY KEY, thing %s, \"user\" %s);"
                       "CREATE INDEX %s_user ON %s (\"user\"); CREATE INDEX %s_thing ON %s (thing);",
                       things, id, id, id, id, id, links, id, id, id, links, links, links, links);
        assert_ok(tims_db_script(w->session, sql, &err), &err);
    }
}

/* --- rows ------------------------------------------------------------------------------------- */

static tims_id some_person(const tables *t)
{
    return t->people[chance(PEOPLE)];
}

/* Now and then one that is not there. */
static tims_id some_thing(const tables *t, size_t level)
{
    return chance(30) == 0 ? tims_id_new() : t->things[level][chance((uint32_t)t->counts[level])].id;
}

static thing random_thing(const tables *t, size_t level)
{
    thing row = { .owner = { chance(4) != 0, some_person(t) }, .maker = some_person(t) };
    if (level == 0) {
        row.base = tims_id_new();
        return row;
    }
    row.base = some_thing(t, level - 1);
    row.up = (tims_opt_id){ chance(4) != 0, some_thing(t, level - 1) };
    return row;
}

static link_row random_link(const tables *t, size_t level)
{
    return (link_row){ .thing = { chance(12) != 0, some_thing(t, level) },
                       .user = { chance(12) != 0, some_person(t) } };
}

static void fill(world *w, tables *t)
{
    memset(t, 0, sizeof *t);
    tims_error err = { 0 };
    assert_ok(tims_db_begin(w->session, &err), &err);
    for (size_t i = 0; i < PEOPLE; i++)
        t->people[i] = tims_id_new();
    for (size_t level = 0; level < LEVELS; level++) {
        tims_str clear =
            tims_print(w->arena, "DELETE FROM %s; DELETE FROM %s;", thing_names[level], link_names[level]);
        assert_ok(tims_db_script(w->session, clear, &err), &err);
        t->counts[level] = 4 + chance(THINGS - 4);
        for (size_t i = 0; i < t->counts[level]; i++) {
            t->things[level][i] = random_thing(t, level);
            insert(w, &thing_models[level], &t->things[level][i]);
        }
        for (size_t i = 0; i < LINKS; i++) {
            t->links[level][i] = random_link(t, level);
            insert(w, &link_models[level], &t->links[level][i]);
        }
    }
    /* Another program's capitals: nobody's things, and things of nobody. */
    if (!testing_on_postgres())
        assert_ok(tims_db_script(w->session,
                                 TIMS_STR("UPDATE link1 SET user = upper(user) WHERE rowid % 7 = 0;"
                                          "UPDATE link2 SET thing = upper(thing) WHERE rowid % 7 = 1;"),
                                 &err),
                  &err);
    assert_ok(tims_db_commit(w->session, &err), &err);
}

static tims_caller caller_at(const tables *t, size_t index)
{
    if (index < PEOPLE)
        return (tims_caller){ .signed_in = true, .user = t->people[index] };
    const tims_caller others[] = {
        { .signed_in = false },
        { .signed_in = true, .staff = true, .user = t->people[0] },
        { .trusted = true },
    };
    return others[index - PEOPLE];
}

/* --- rules ------------------------------------------------------------------------------------ */

static const tims_rule *random_rule(tims_arena *arena, size_t level, int depth);

static const tims_rule *random_parts(tims_arena *arena, size_t level, int depth)
{
    tims_rule *rule = TIMS_NEW(arena, tims_rule);
    size_t count = 1 + chance(3);
    const tims_rule **parts = TIMS_NEW_ARRAY(arena, const tims_rule *, count + 1);
    for (size_t i = 0; i < count; i++)
        parts[i] = random_rule(arena, level, depth - 1);
    *rule = (tims_rule){ .kind = chance(2) == 0 ? TIMS_RULE_ANY : TIMS_RULE_ALL, .parts = parts };
    return rule;
}

static const tims_rule *random_rule(tims_arena *arena, size_t level, int depth)
{
    static const char *const owners[] = { "owner", "maker", "owner", "id" };
    uint32_t kind = chance(20);
    if (depth > 0 && kind >= 8)
        return random_parts(arena, level, depth);
    tims_rule *rule = TIMS_NEW(arena, tims_rule);
    if (kind == 0)
        rule->kind = (tims_rule_kind)(TIMS_RULE_NOBODY + chance(4));
    else if (kind < 4)
        *rule = (tims_rule){ .kind = TIMS_RULE_OWNER, .column = owners[chance(4)] };
    else if (level == 0 || kind < 9)
        *rule = (tims_rule){
            .kind = TIMS_RULE_MEMBERS, .model = &link_models[level], .thing = "thing", .user = "user"
        };
    else
        *rule = (tims_rule){ .kind = TIMS_RULE_LIKE,
                             .column = chance(2) == 0 ? "up" : "base",
                             .model = &thing_models[level - 1] };
    return rule;
}

/* Rules that a start would refuse for their depth are thrown again. */
static void make_rules(tims_arena *arena)
{
    const tims_model *models[2 * LEVELS + 1] = { &person_model };
    tims_models *checked;
    tims_error err;
    do {
        for (size_t i = 0; i < LEVELS; i++) {
            thing_models[i].read = random_rule(arena, i, (int)chance(4));
            models[1 + i] = &thing_models[i];
            models[1 + LEVELS + i] = &link_models[i];
        }
        err = (tims_error){ 0 };
        if (tims_models_new(arena, models, 2 * LEVELS + 1, &checked, &err) != TIMS_OK)
            assert_non_null(strstr(err.message, "goes too deep"));
    } while (err.status != TIMS_OK);
}

/* --- what SQL says ---------------------------------------------------------------------------- */

/* Marks the rows that a query finds. */
static void list_rows(world *w, tims_arena *arena, const tables *t, size_t level, const tims_query *query,
                      bool ret_listed[THINGS])
{
    tims_sql sql;
    tims_query_sql(arena, tims_db_session_dialect(w->session), query, &sql);
    tims_db_rows *rows;
    tims_error err = { 0 };
    assert_ok(tims_db_query(w->session, sql.text, sql.values, sql.value_count, &rows, &err), &err);
    memset(ret_listed, 0, THINGS * sizeof *ret_listed);
    while (tims_db_next(rows)) {
        tims_id id = tims_db_get_id(rows, 0);
        for (size_t i = 0; i < t->counts[level]; i++)
            if (tims_same_id(t->things[level][i].id, id))
                ret_listed[i] = true;
    }
    assert_ok(tims_db_rows_end(&rows, &err), &err);
}

static void init_query(tims_query *query, size_t level, tims_caller caller)
{
    tims_query_init(query, &thing_models[level], caller);
    query->fields = 1;
    query->order_count = 0;
}

/* --- topics ----------------------------------------------------------------------------------- */

typedef struct topic_check {
    const thing *rows;
    size_t count;
    bool found[THINGS];
} topic_check;

static void mark_found(void *argument, const tims_field *field, tims_str text)
{
    topic_check *check = argument;
    tims_id id;
    assert_true(tims_id_parse(text, &id));
    assert_true(field->primary || tims_change_is_key(&thing_models[LEVELS - 1], field) || field->to != NULL);
    for (size_t i = 0; i < check->count; i++) {
        tims_db_value value = tims_model_value(field, &check->rows[i]);
        tims_id other;
        if (value.is_id && tims_id_parse((tims_str){ value.id_text, TIMS_ID_TEXT_LENGTH }, &other) &&
            tims_same_id(id, other))
            check->found[i] = true;
    }
}

/* --- one caller, one model -------------------------------------------------------------------- */

static void assert_audience(world *w, tims_arena *arena, const tables *t, size_t level, tims_caller caller)
{
    const tims_model *model = &thing_models[level];
    tims_audience *audience = NULL;
    tims_error err = { 0 };
    size_t ids_max = chance(12) == 0 ? chance(4) : THINGS;
    assert_ok(tims_audience_load(w->session, model, caller, ids_max, &audience, &err), &err);
    tims_query query;
    init_query(&query, level, caller);
    bool listed[THINGS];
    list_rows(w, arena, t, level, &query, listed);
    topic_check check = { .rows = t->things[level], .count = t->counts[level] };
    bool has_list = tims_audience_topics(audience, mark_found, &check);
    bool wide = tims_audience_is_wide(audience);
    assert_true(!wide || (!has_list && ids_max < THINGS));
    for (size_t i = 0; i < t->counts[level]; i++) {
        const thing *row = &t->things[level][i];
        if (!wide && tims_audience_allows(audience, row) != listed[i])
            fail_msg("%s: row %zu is %s by SQL only", model->name, i, listed[i] ? "allowed" : "refused");
        if (listed[i] && has_list && !check.found[i])
            fail_msg("%s: row %zu is at none of the topics", model->name, i);
    }
    size_t one = chance((uint32_t)t->counts[level]);
    tims_status status =
        tims_rule_allows(w->session, arena, model->read, model, &t->things[level][one], caller, &err);
    assert_int_equal(status, listed[one] ? TIMS_OK : TIMS_FORBIDDEN);
    tims_audience_free(&audience);
}

static void fix_column(const tables *t, size_t level, tims_query *query)
{
    const tims_field *field = &thing_fields[level][chance(5)];
    const thing *like = &t->things[level][chance((uint32_t)t->counts[level])];
    tims_db_value value = tims_model_value(field, like);
    if (value.is_id)
        query->conditions[query->condition_count++] = (tims_condition){ .field = field, .value = value };
}

/* Behind an open gate is everything that the conditions let through, behind a shut one nothing. */
static bool assert_gate(world *w, tims_arena *arena, const tables *t, size_t level, tims_caller caller)
{
    tims_query query;
    init_query(&query, level, caller);
    for (uint32_t i = chance(4); i > 0; i--)
        fix_column(t, level, &query);
    if (!tims_query_has_gate(&query))
        return false;
    bool open = false, mine[THINGS], all[THINGS];
    tims_error err = { 0 };
    assert_ok(tims_query_gate(w->session, arena, &query, &open, &err), &err);
    list_rows(w, arena, t, level, &query, mine);
    query.caller = (tims_caller){ .trusted = true };
    list_rows(w, arena, t, level, &query, all);
    for (size_t i = 0; i < t->counts[level]; i++)
        if (mine[i] != (open && all[i]))
            fail_msg("%s: row %zu is %s behind a gate that is %s", thing_models[level].name, i,
                     mine[i] ? "seen" : "hidden", open ? "open" : "shut");
    return true;
}

/* --- the properties --------------------------------------------------------------------------- */

static void set_up_world(world *w)
{
    make_models();
    make_tables(w);
}

static void memory_says_what_sql_says(void **state)
{
    world *w = *state;
    static tables t;
    chance_state = take_seed();
    set_up_world(w);
    size_t answers = 0, gates = 0;
    tims_arena *arena = tims_arena_new(1 << 26, NULL, NULL);
    size_t least = testing_on_postgres() ? ANSWERS_MIN_POSTGRES : ANSWERS_MIN;
    for (size_t round = 0; answers < least; round++) {
        if (round % RULES_A_WORLD == 0)
            fill(w, &t);
        make_rules(arena);
        for (size_t level = 0; level < LEVELS; level++)
            for (size_t i = 0; i < CALLERS; i++) {
                assert_audience(w, arena, &t, level, caller_at(&t, i));
                gates += assert_gate(w, arena, &t, level, caller_at(&t, i));
                answers += t.counts[level];
            }
        tims_arena_reset(arena);
    }
    tims_arena_free(&arena);
    print_message("%zu answers, %zu gates\n", answers, gates);
    assert_true(gates > 1000);
}

/* --- dependencies ----------------------------------------------------------------------------- */

/* The columns of a row before or after a change; NULL: it is not there. */
static bool concerns(const tims_dependency *dependency, const void *before, const void *after, tims_id me)
{
    bool was = before != NULL, is = after != NULL, same = true;
    tims_db_value mine = tims_db_id(me);
    if (dependency->user != NULL && was) {
        tims_db_value value = tims_model_value(dependency->user, before);
        was = value.is_id && memcmp(value.id_text, mine.id_text, sizeof mine.id_text) == 0;
    }
    if (dependency->user != NULL && is) {
        tims_db_value value = tims_model_value(dependency->user, after);
        is = value.is_id && memcmp(value.id_text, mine.id_text, sizeof mine.id_text) == 0;
    }
    if (dependency->thing != NULL && was && is) {
        tims_db_value a = tims_model_value(dependency->thing, before),
                      b = tims_model_value(dependency->thing, after);
        same = a.is_id == b.is_id && (!a.is_id || memcmp(a.id_text, b.id_text, sizeof a.id_text) == 0);
    }
    return was != is || !same;
}

typedef struct change {
    const tims_model *model;
    size_t level, index;
    bool is_link;
    thing old_thing, new_thing;
    link_row old_link, new_link;
} change;

static bool same_reference(tims_opt_id a, tims_opt_id b)
{
    return a.present == b.present && (!a.present || tims_same_id(a.value, b.value));
}

/* A link or a thing of a level gets other columns. A link's do differ: to write again what this test
 * remembers of one would put small letters in the place of another program's capitals, which is a change that
 * it knows nothing of. */
static void make_change(world *w, tims_arena *arena, tables *t, change *c)
{
    *c = (change){ .level = chance(LEVELS), .is_link = chance(2) == 0 };
    tims_error err = { 0 };
    void *row;
    if (c->is_link) {
        link_row *link = &t->links[c->level][c->index = chance(LINKS)];
        c->model = &link_models[c->level];
        c->old_link = *link;
        do {
            *link = random_link(t, c->level);
            link->id = c->old_link.id;
        } while (same_reference(link->thing, c->old_link.thing) &&
                 same_reference(link->user, c->old_link.user));
        c->new_link = *link;
        row = link;
    } else {
        thing *changed = &t->things[c->level][c->index = chance((uint32_t)t->counts[c->level])];
        c->model = &thing_models[c->level];
        c->old_thing = *changed;
        *changed = random_thing(t, c->level);
        changed->id = c->old_thing.id;
        c->new_thing = *changed;
        row = changed;
    }
    assert_ok(
        tims_model_update(w->session, arena, c->model, row, model__all(c->model) & ~(tims_field_set)1, &err),
        &err);
}

static bool is_told(const change *c, size_t level, tims_id me)
{
    tims_dependency items[TIMS_DEPENDENCIES_MAX];
    size_t count = tims_audience_dependencies(&thing_models[level], items);
    const void *before = c->is_link ? (const void *)&c->old_link : &c->old_thing;
    const void *after = c->is_link ? (const void *)&c->new_link : &c->new_thing;
    for (size_t i = 0; i < count; i++)
        if (items[i].model == c->model && concerns(&items[i], before, after, me))
            return true;
    return false;
}

/* An audience that was told of no change by its dependencies still says what SQL says. */
static bool assert_still_holds(world *w, tims_arena *arena, const tables *t, const change *c, size_t level,
                               tims_caller caller, const tims_audience *audience)
{
    if (tims_audience_is_wide(audience) || is_told(c, level, caller.user))
        return false;
    tims_query query;
    init_query(&query, level, caller);
    bool listed[THINGS];
    list_rows(w, arena, t, level, &query, listed);
    for (size_t i = 0; i < t->counts[level]; i++)
        if (tims_audience_allows(audience, &t->things[level][i]) != listed[i])
            fail_msg("%s: a change of %s was not told", thing_models[level].name, c->model->name);
    return true;
}

static void a_change_that_no_dependency_tells_changes_nothing(void **state)
{
    world *w = *state;
    static tables t;
    chance_state = take_seed();
    set_up_world(w);
    size_t held = 0, told = 0;
    tims_arena *arena = tims_arena_new(1 << 26, NULL, NULL);
    tims_error err = { 0 };
    for (size_t round = 0; round < 400; round++) {
        if (round % RULES_A_WORLD == 0)
            fill(w, &t);
        make_rules(arena);
        tims_audience *audiences[LEVELS][CALLERS] = { 0 };
        for (size_t level = 0; level < LEVELS; level++)
            for (size_t i = 0; i < CALLERS; i++)
                assert_ok(tims_audience_load(w->session, &thing_models[level], caller_at(&t, i), THINGS,
                                             &audiences[level][i], &err),
                          &err);
        change c;
        make_change(w, arena, &t, &c);
        for (size_t level = 0; level < LEVELS; level++)
            for (size_t i = 0; i < CALLERS; i++) {
                bool holds =
                    assert_still_holds(w, arena, &t, &c, level, caller_at(&t, i), audiences[level][i]);
                held += holds;
                told += !holds;
                tims_audience_free(&audiences[level][i]);
            }
        tims_arena_reset(arena);
    }
    tims_arena_free(&arena);
    print_message("%zu held, %zu told\n", held, told);
    assert_true(held > 1000 && told > 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(memory_says_what_sql_says),
        TEST(a_change_that_no_dependency_tells_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
