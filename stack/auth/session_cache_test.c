/* session_cache_test: what a loop remembers of sessions. */
#include "base/testing.h"

#include "auth/auth_internal.h"

static tims_id make_id(uint32_t number)
{
    tims_id id = { { 1 } };
    memcpy(id.bytes + 8, &number, sizeof number);
    return id;
}

static void make_hash(uint32_t number, char ret_hash[TIMS_TOKEN_HASH_TEXT_LENGTH])
{
    memset(ret_hash, 'h', TIMS_TOKEN_HASH_TEXT_LENGTH);
    memcpy(ret_hash, &number, sizeof number);
}

static void put(auth__cache *cache, uint32_t number, uint32_t user)
{
    char hash[TIMS_TOKEN_HASH_TEXT_LENGTH];
    make_hash(number, hash);
    const auth__session session = { .id = make_id(number),
                                    .user = make_id(1000000 + user),
                                    .expires_us = (int64_t)number };
    assert_non_null(auth__cache_put(cache, hash, &session));
}

static auth__session *find(auth__cache *cache, uint32_t number)
{
    char hash[TIMS_TOKEN_HASH_TEXT_LENGTH];
    make_hash(number, hash);
    return auth__cache_find(cache, hash);
}

static void what_was_put_is_found_and_nothing_else(void **state)
{
    (void)state;
    auth__cache *cache = auth__cache_new(64);
    assert_null(find(cache, 1));
    put(cache, 1, 1);
    put(cache, 2, 1);
    assert_int_equal(find(cache, 1)->expires_us, 1);
    assert_int_equal(find(cache, 2)->expires_us, 2);
    assert_null(find(cache, 3));
    assert_int_equal(auth__cache_count(cache), 2);
    auth__cache_free(&cache);
    assert_null(cache);
}

static void putting_again_replaces(void **state)
{
    (void)state;
    auth__cache *cache = auth__cache_new(64);
    put(cache, 1, 1);
    put(cache, 1, 2);
    assert_int_equal(auth__cache_count(cache), 1);
    assert_true(tims_same_id(find(cache, 1)->user, make_id(1000002)));
    auth__cache_forget_user(cache, make_id(1000001));
    assert_non_null(find(cache, 1));
    auth__cache_free(&cache);
}

static void forgetting_a_session_forgets_it_alone(void **state)
{
    (void)state;
    auth__cache *cache = auth__cache_new(64);
    for (uint32_t i = 0; i < 50; i++)
        put(cache, i, i % 5);
    auth__cache_forget_session(cache, make_id(7));
    auth__cache_forget_session(cache, make_id(4711)); /* unknown */
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(find(cache, i) != NULL, i != 7);
    auth__cache_free(&cache);
}

static void forgetting_a_user_forgets_all_of_its_sessions(void **state)
{
    (void)state;
    auth__cache *cache = auth__cache_new(64);
    for (uint32_t i = 0; i < 50; i++)
        put(cache, i, i % 5);
    auth__cache_forget_user(cache, make_id(1000003));
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(find(cache, i) != NULL, i % 5 != 3);
    assert_int_equal(auth__cache_count(cache), 40);
    auth__cache_free(&cache);
}

static void every_forget_starts_a_new_generation(void **state)
{
    (void)state;
    auth__cache *cache = auth__cache_new(64);
    uint64_t before = auth__cache_generation(cache);
    put(cache, 1, 1);
    assert_true(auth__cache_generation(cache) == before);
    auth__cache_forget_session(cache, make_id(99));
    assert_true(auth__cache_generation(cache) != before);
    before = auth__cache_generation(cache);
    auth__cache_forget_user(cache, make_id(99));
    assert_true(auth__cache_generation(cache) != before);
    auth__cache_free(&cache);
}

static void a_full_cache_gives_up_what_is_not_used(void **state)
{
    (void)state;
    auth__cache *cache = auth__cache_new(64);
    for (uint32_t i = 0; i < 10000; i++) {
        put(cache, i, i % 7);
        assert_non_null(find(cache, 0)); /* used all the time, so it stays */
        assert_true(auth__cache_count(cache) <= 64);
    }
    assert_int_equal(auth__cache_count(cache), 64);
    auth__cache_free(&cache);
}

static void forgetting_everything_leaves_an_empty_cache(void **state)
{
    (void)state;
    auth__cache *cache = auth__cache_new(64);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 100; i++) /* more than it holds */
            put(cache, i, i % 7);
        uint64_t generation = auth__cache_generation(cache);
        auth__cache_forget_all(cache);
        assert_true(auth__cache_generation(cache) > generation);
        assert_int_equal(auth__cache_count(cache), 0);
        for (uint32_t i = 0; i < 100; i++)
            assert_null(find(cache, i));
        auth__cache_forget_user(cache, make_id(1000000));
    }
    auth__cache_free(&cache);
}

/* Random puts and forgets against a plain array; the cache may know less, never something else. */
static void it_agrees_with_an_array_under_random_changes(void **state)
{
    (void)state;
    enum { SESSIONS = 200, USERS = 20, STEPS = 100000 };
    uint32_t owner[SESSIONS], random = 1;
    bool there[SESSIONS] = { false };
    auth__cache *cache = auth__cache_new(128);
    for (int step = 0; step < STEPS; step++) {
        random = random * 1664525u + 1013904223u;
        uint32_t at = (random >> 8) % SESSIONS, user = (random >> 16) % USERS, what = random >> 29;
        if (what < 5) {
            put(cache, at, user);
            owner[at] = user;
            there[at] = true;
        } else if (what < 7) {
            auth__cache_forget_session(cache, make_id(at));
            there[at] = false;
        } else {
            auth__cache_forget_user(cache, make_id(1000000 + user));
            for (uint32_t i = 0; i < SESSIONS; i++)
                there[i] = there[i] && owner[i] != user;
        }
        const auth__session *found = find(cache, at);
        assert_true(found == NULL || there[at]);
        assert_true(found == NULL || tims_same_id(found->user, make_id(1000000 + owner[at])));
    }
    auth__cache_free(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found_and_nothing_else),
        cmocka_unit_test(putting_again_replaces),
        cmocka_unit_test(forgetting_a_session_forgets_it_alone),
        cmocka_unit_test(forgetting_a_user_forgets_all_of_its_sessions),
        cmocka_unit_test(every_forget_starts_a_new_generation),
        cmocka_unit_test(forgetting_everything_leaves_an_empty_cache),
        cmocka_unit_test(a_full_cache_gives_up_what_is_not_used),
        cmocka_unit_test(it_agrees_with_an_array_under_random_changes),
    };
    return cmocka_run_group_tests_name("session_cache", tests, NULL, NULL);
}
