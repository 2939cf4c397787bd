/* rest_test.c: tables that make no sense end the start; and the throttle's buckets, by a clock of the test's
 * own. */
#include "base/testing.h"
#include "rest/rest_internal.h"
#include "tims/crypto.h"

typedef struct thing {
    tims_id id;
    tims_str text;
    int64_t number, page;
} thing;
static const tims_model thing_model = {
    .name = "thing",
    .size = sizeof(thing),
    .read = TIMS_PUBLIC,
    .fields = TIMS_FIELDS(TIMS_FIELD(thing, id, .primary = true), TIMS_FIELD(thing, text),
                          TIMS_FIELD(thing, number), TIMS_FIELD(thing, page)),
};
static const tims_model other_model = { .name = "other", .size = sizeof(thing) };

static const struct {
    tims_resource resource;
    const char *expect;
} table[] = {
    { { .path = "/t/", .model = &thing_model, .allow = TIMS_LIST }, NULL },
    { { .path = "/t", .model = &thing_model, .allow = TIMS_LIST }, "the path must start and end with /" },
    { { .path = "t/", .model = &thing_model, .allow = TIMS_LIST }, "the path must start and end with /" },
    { { .path = "/{id}/", .model = &thing_model, .allow = TIMS_LIST }, "the path must start and end with /" },
    { { .path = "/t/", .model = &other_model, .allow = TIMS_LIST }, "not in the list of models" },
    { { .path = "/t/", .allow = TIMS_LIST }, "not in the list of models" },
    { { .path = "/t/", .model = &thing_model }, ".allow must name" },
    { { .path = "/t/", .model = &thing_model, .allow = 64 }, ".allow must name" },
    { { .path = "/t/", .model = &thing_model, .allow = TIMS_LIST, .page = { 9, 3 } }, ".page.size" },
    { { .path = "/t/", .model = &thing_model, .allow = TIMS_LIST, .throttle = "fast" },
      "a throttle is written" },
    { { .path = "/t/", .model = &thing_model, .allow = TIMS_LIST, .throttle = "0/s" },
      "a throttle is written" },
    { { .path = "/t/", .model = &thing_model, .allow = TIMS_LIST, .read_throttle = "5/d" },
      "a throttle is written" },
    { { .path = "/t/", .model = &thing_model, .allow = TIMS_LIST, .throttle = "5/d" },
      "a throttle is written" },
    { { .path = "/t/", .model = &thing_model, .allow = TIMS_LIST, .filter = TIMS_NAMES("nothing") },
      ".filter names \"nothing\"" },
    { { .path = "/t/", .model = &thing_model, .allow = TIMS_LIST, .filter = TIMS_NAMES("page") },
      "cannot be a filter" },
    { { .path = "/t/", .model = &thing_model, .allow = TIMS_LIST, .order = TIMS_NAMES("-text") },
      ".order names \"-text\"" },
};

static void mistakes_in_tables_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        tims_arena *arena = tims_arena_new(1 << 22, NULL, NULL);
        const tims_model *models[] = { &thing_model };
        const tims_resource resources[] = { table[i].resource, { 0 } };
        const tims_resource *tables[] = { resources };
        tims_models *all;
        tims_rest *rest;
        tims_error err = { 0 };
        assert_int_equal(tims_models_new(arena, models, 1, &all, &err), TIMS_OK);
        tims_status status = tims_rest_new(arena, tables, 1, all, &rest, &err);
        if (table[i].expect == NULL ? status != TIMS_OK
                                    : status != TIMS_INVALID || strstr(err.message, table[i].expect) == NULL)
            fail_msg("row %zu: %s \"%s\"", i, tims_status_name(status), err.message);
        tims_arena_free(&arena);
    }
}

/* --- buckets ---------------------------------------------------------------------------------- */

enum { SECOND = 1000000 };

static void a_bucket_allows_its_count_and_refills_evenly(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(1 << 22, NULL, NULL);
    rest__throttle *throttle = rest__throttle_new(arena);
    tims_rate rate;
    uint64_t a = rest__throttle_key(throttle, TIMS_STR("t"), 'u', TIMS_STR("a")),
             b = rest__throttle_key(throttle, TIMS_STR("t"), 'u', TIMS_STR("b"));
    assert_true(tims_rate_parse("4/s", &rate));
    int64_t now = 1000 * (int64_t)SECOND;
    for (int i = 0; i < 4; i++)
        assert_int_equal(rest__throttle_take(throttle, a, rate, now), 0);
    assert_int_equal(rest__throttle_take(throttle, a, rate, now), SECOND / 4);
    assert_int_equal(rest__throttle_take(throttle, b, rate, now), 0);
    now += SECOND / 4;
    assert_int_equal(rest__throttle_take(throttle, a, rate, now), 0);
    assert_true(rest__throttle_take(throttle, a, rate, now) > 0);
    now += 10 * SECOND; /* no more than its count, however long it rested */
    for (int i = 0; i < 4; i++)
        assert_int_equal(rest__throttle_take(throttle, a, rate, now), 0);
    assert_true(rest__throttle_take(throttle, a, rate, now) > 0);
    assert_true(tims_rate_parse("none", &rate));
    assert_int_equal(rest__throttle_take(throttle, a, rate, now), 0);
    tims_arena_free(&arena);
}

static void a_bucket_is_of_a_name_a_kind_and_somebody(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(1 << 22, NULL, NULL);
    const rest__throttle *throttle = rest__throttle_new(arena), *other = rest__throttle_new(arena);
    const uint64_t keys[] = { rest__throttle_key(throttle, TIMS_STR("/t/"), 'u', TIMS_STR("a")),
                              rest__throttle_key(throttle, TIMS_STR("t/"), 'u', TIMS_STR("a")),
                              rest__throttle_key(throttle, TIMS_STR("/t/"), 'a', TIMS_STR("a")),
                              rest__throttle_key(throttle, TIMS_STR("/t/"), 'u', TIMS_STR("b")),
                              rest__throttle_key(other, TIMS_STR("/t/"), 'u', TIMS_STR("a")) };
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < i; j++)
            assert_true(keys[i] != keys[j]);
    assert_true(keys[0] == rest__throttle_key(throttle, TIMS_STR("/t/"), 'u', TIMS_STR("a")));
    tims_arena_free(&arena);
}

/* 100,000 addresses, one request each, cannot make the table forget who is at the limit. */
static void a_flood_of_addresses_does_not_free_who_is_at_the_limit(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(1 << 26, NULL, NULL);
    rest__throttle *throttle = rest__throttle_new(arena);
    tims_rate rate;
    uint64_t busy = rest__throttle_key(throttle, TIMS_STR("t"), 'n', TIMS_STR("busy"));
    assert_true(tims_rate_parse("100/m", &rate));
    int64_t now = 1000 * (int64_t)SECOND;
    while (rest__throttle_take(throttle, busy, rate, now) == 0)
        ;
    for (int i = 0; i < 100000; i++) {
        char key[32];
        int length = snprintf(key, sizeof(key), "address %d", i);
        tims_str address = { key, (size_t)length };
        (void)rest__throttle_take(throttle, rest__throttle_key(throttle, TIMS_STR("t"), 'n', address), rate,
                                  now);
    }
    assert_true(rest__throttle_take(throttle, busy, rate, now) > 0);
    tims_arena_free(&arena);
}

static int set_up_crypto(void **state)
{
    (void)state;
    return tims_crypto_setup() == TIMS_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_in_tables_are_named),
        cmocka_unit_test(a_bucket_allows_its_count_and_refills_evenly),
        cmocka_unit_test(a_bucket_is_of_a_name_a_kind_and_somebody),
        cmocka_unit_test(a_flood_of_addresses_does_not_free_who_is_at_the_limit),
    };
    return cmocka_run_group_tests(tests, set_up_crypto, NULL);
}
