/* map_test: from bytes to a pointer, and the hash under it. */
#include "base/testing.h"

static void set_get_and_remove_agree(void **state)
{
    (void)state;
    int a, b;
    tims_map *map = tims_map_new();
    assert_null(tims_map_get(map, TIMS_STR("x")));
    assert_null(tims_map_remove(map, TIMS_STR("x")));
    assert_null(tims_map_set(map, TIMS_STR("x"), &a));
    assert_ptr_equal(tims_map_set(map, TIMS_STR("x"), &b), &a);
    assert_ptr_equal(tims_map_get(map, TIMS_STR("x")), &b);
    assert_int_equal(tims_map_count(map), 1);
    assert_ptr_equal(tims_map_remove(map, TIMS_STR("x")), &b);
    assert_null(tims_map_get(map, TIMS_STR("x")));
    assert_int_equal(tims_map_count(map), 0);
    tims_map_free(&map);
    assert_null(map);
    tims_map_free(&map);
}

static void keys_are_bytes_and_are_copied(void **state)
{
    (void)state;
    int a, b, c;
    char key[] = "k\0y";
    tims_map *map = tims_map_new();
    tims_map_set(map, (tims_str){ key, 3 }, &a);
    key[0] = '!';
    tims_map_set(map, TIMS_STR(""), &b);
    tims_map_set(map, TIMS_STR("k"), &c);
    assert_ptr_equal(tims_map_get(map, (tims_str){ "k\0y", 3 }), &a);
    assert_ptr_equal(tims_map_get(map, (tims_str){ NULL, 0 }), &b);
    assert_ptr_equal(tims_map_get(map, TIMS_STR("k")), &c);
    tims_map_free(&map);
}

/* Random sets and removals against a plain array as the truth. */
static void it_agrees_with_an_array_under_random_changes(void **state)
{
    (void)state;
    enum { KEYS = 300, STEPS = 60000 };
    static int things[KEYS];
    bool there[KEYS] = { false };
    size_t count = 0;
    uint32_t random = 12345;
    tims_map *map = tims_map_new();
    for (int step = 0; step < STEPS; step++) {
        random = random * 1664525u + 1013904223u;
        size_t at = (random >> 8) % KEYS;
        tims_str key = { (const char *)&at, sizeof at };
        void *former = (random >> 30) & 1 ? tims_map_set(map, key, &things[at]) : tims_map_remove(map, key);
        assert_ptr_equal(former, there[at] ? &things[at] : NULL);
        bool now = (random >> 30) & 1;
        count += (size_t)now - (size_t)there[at];
        there[at] = now;
        assert_int_equal(tims_map_count(map), count);
    }
    for (size_t at = 0; at < KEYS; at++)
        assert_ptr_equal(tims_map_get(map, (tims_str){ (const char *)&at, sizeof at }),
                         there[at] ? &things[at] : NULL);
    tims_map_free(&map);
}

static void next_steps_through_every_entry_once(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    static int things[COUNT];
    bool seen[COUNT] = { false };
    tims_map *map = tims_map_new();
    for (size_t i = 0; i < COUNT; i++)
        tims_map_set(map, (tims_str){ (const char *)&i, sizeof i }, &things[i]);
    size_t cursor = 0, steps = 0;
    tims_str key;
    void *value;
    while (tims_map_next(map, &cursor, &key, &value)) {
        size_t at = (size_t)((int *)value - things);
        assert_int_equal(key.length, sizeof at);
        assert_memory_equal(key.data, &at, sizeof at);
        assert_false(seen[at]);
        seen[at] = true;
        steps++;
    }
    assert_int_equal(steps, COUNT);
    tims_map_free(&map);
}

static void next_allows_removing_the_entry_just_returned(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    static int things[COUNT];
    int visits[COUNT] = { 0 };
    tims_map *map = tims_map_new();
    for (size_t i = 0; i < COUNT; i++)
        tims_map_set(map, (tims_str){ (const char *)&i, sizeof i }, &things[i]);
    size_t cursor = 0;
    tims_str key;
    void *value;
    while (tims_map_next(map, &cursor, &key, &value)) {
        size_t at = (size_t)((int *)value - things);
        visits[at]++;
        if (at % 2 == 0)
            tims_map_remove(map, key);
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(visits[i], 1);
        assert_ptr_equal(tims_map_get(map, (tims_str){ (const char *)&i, sizeof i }),
                         i % 2 == 0 ? NULL : &things[i]);
    }
    tims_map_free(&map);
}

/* Small maps, each with a seed of its own: in many of them entries lie across the end of the table. */
static void next_reaches_each_once_while_many_are_removed(void **state)
{
    (void)state;
    for (int round = 0; round < 2000; round++) {
        tims_map *map = tims_map_new();
        size_t cursor = 0, seen = 0, kept = 0, count = 1 + (size_t)round % 12;
        tims_str key;
        void *value;
        for (size_t i = 0; i < count; i++)
            (void)tims_map_set(map, (tims_str){ (const char *)&i, sizeof i }, &seen);
        while (tims_map_next(map, &cursor, &key, &value)) {
            if (round % 2 == 0 || seen % 3 != 0)
                assert_ptr_equal(tims_map_remove(map, key), &seen);
            else
                kept++;
            seen++;
        }
        assert_int_equal(seen, count);
        assert_int_equal(tims_map_count(map), kept);
        tims_map_free(&map);
    }
}

static void the_hash_depends_on_every_byte_and_on_the_seed(void **state)
{
    (void)state;
    const uint64_t seed[2] = { 1, 2 }, other[2] = { 1, 3 };
    char text[40] = { 0 };
    for (size_t length = 0; length <= sizeof text; length++) {
        uint64_t plain = tims_hash(text, length, seed);
        assert_true(plain == tims_hash(text, length, seed));
        assert_true(plain != tims_hash(text, length, other));
        for (size_t i = 0; i < length; i++) {
            text[i] ^= 1;
            assert_true(plain != tims_hash(text, length, seed));
            text[i] ^= 1;
        }
        if (length > 0)
            assert_true(plain != tims_hash(text, length - 1, seed));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_get_and_remove_agree),
        cmocka_unit_test(keys_are_bytes_and_are_copied),
        cmocka_unit_test(it_agrees_with_an_array_under_random_changes),
        cmocka_unit_test(next_steps_through_every_entry_once),
        cmocka_unit_test(next_allows_removing_the_entry_just_returned),
        cmocka_unit_test(next_reaches_each_once_while_many_are_removed),
        cmocka_unit_test(the_hash_depends_on_every_byte_and_on_the_seed),
    };
    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
