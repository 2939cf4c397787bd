/* throttle_test: failures counted by account and address, with a clock of the test's own. */
#include "base/testing.h"

#include "auth/auth_internal.h"

#define SECOND INT64_C(1000000)
#define WINDOW (900 * SECOND)
#define AT_MOST(count) ((auth__limit){ (count), WINDOW })

static int set_up(void **state)
{
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    *state = auth__throttle_new();
    return 0;
}

static int tear_down(void **state)
{
    auth__throttle *throttle = *state;
    auth__throttle_free(&throttle);
    return throttle != NULL;
}

static void the_eleventh_failure_is_refused_until_the_window_ends(void **state)
{
    uint64_t key = auth__throttle_key(*state, 'u', TIMS_STR("anna"));
    int retry_s = 0;
    for (int i = 0; i < 10; i++)
        assert_true(auth__throttle_try(*state, key, AT_MOST(10), 100 * SECOND, &retry_s));
    assert_false(auth__throttle_try(*state, key, AT_MOST(10), 100 * SECOND, &retry_s));
    assert_in_range(retry_s, 900, 901);
    assert_false(auth__throttle_try(*state, key, AT_MOST(10), 100 * SECOND + WINDOW - 1, &retry_s));
    assert_int_equal(retry_s, 1);
    assert_true(auth__throttle_try(*state, key, AT_MOST(10), 100 * SECOND + WINDOW, &retry_s));
}

static void each_key_has_a_window_of_its_own_length(void **state)
{
    const auth__limit short_one = { 1, SECOND }, long_one = { 1, 3600 * SECOND };
    uint64_t login = auth__throttle_key(*state, 'a', TIMS_STR("10.0.0.1"));
    uint64_t registration = auth__throttle_key(*state, 'r', TIMS_STR("10.0.0.1"));
    int retry_s = 0;
    assert_true(auth__throttle_try(*state, login, short_one, 0, &retry_s));
    assert_true(auth__throttle_try(*state, registration, long_one, 0, &retry_s));
    assert_true(auth__throttle_try(*state, login, short_one, SECOND, &retry_s));
    assert_false(auth__throttle_try(*state, registration, long_one, SECOND, &retry_s));
    assert_in_range(retry_s, 3599, 3600);
}

static void keys_do_not_touch_each_other(void **state)
{
    int retry_s;
    uint64_t anna = auth__throttle_key(*state, 'u', TIMS_STR("anna"));
    uint64_t berta = auth__throttle_key(*state, 'u', TIMS_STR("berta"));
    uint64_t address = auth__throttle_key(*state, 'a', TIMS_STR("anna"));
    assert_true(anna != berta && anna != address);
    assert_true(auth__throttle_try(*state, anna, AT_MOST(1), 0, &retry_s));
    assert_false(auth__throttle_try(*state, anna, AT_MOST(1), 0, &retry_s));
    assert_true(auth__throttle_try(*state, berta, AT_MOST(1), 0, &retry_s));
    assert_true(auth__throttle_try(*state, address, AT_MOST(1), 0, &retry_s));
}

static void what_was_no_failure_is_taken_back(void **state)
{
    int retry_s;
    uint64_t key = auth__throttle_key(*state, 'u', TIMS_STR("anna"));
    for (int i = 0; i < 100; i++) {
        assert_true(auth__throttle_try(*state, key, AT_MOST(1), 0, &retry_s));
        auth__throttle_take_back(*state, key);
    }
    assert_true(auth__throttle_try(*state, key, AT_MOST(2), 0, &retry_s));
    assert_true(auth__throttle_try(*state, key, AT_MOST(2), 0, &retry_s));
    auth__throttle_clear(*state, key);
    assert_true(auth__throttle_try(*state, key, AT_MOST(1), 0, &retry_s));
    auth__throttle_take_back(*state, auth__throttle_key(*state, 'u', TIMS_STR("nobody"))); /* unknown: fine */
}

static void looking_does_not_count(void **state)
{
    int retry_s;
    uint64_t key = auth__throttle_key(*state, 'a', TIMS_STR("127.0.0.1"));
    for (int i = 0; i < 100; i++)
        assert_true(auth__throttle_look(*state, key, AT_MOST(1), 0, &retry_s));
    auth__throttle_count(*state, key, 0);
    assert_false(auth__throttle_look(*state, key, AT_MOST(1), 5 * SECOND, &retry_s));
    assert_in_range(retry_s, 895, 896);
    assert_true(auth__throttle_look(*state, key, AT_MOST(1), WINDOW, &retry_s));
}

static void a_flood_of_keys_stays_within_its_room(void **state)
{
    int retry_s;
    for (uint32_t i = 0; i < 200000; i++) {
        uint64_t key = auth__throttle_key(*state, 'u', (tims_str){ (const char *)&i, sizeof i });
        assert_true(auth__throttle_try(*state, key, AT_MOST(1), i, &retry_s));
        assert_false(
            auth__throttle_try(*state, key, AT_MOST(1), i, &retry_s)); /* the newest is never the one to go */
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_eleventh_failure_is_refused_until_the_window_ends),
        TEST(each_key_has_a_window_of_its_own_length),
        TEST(keys_do_not_touch_each_other),
        TEST(what_was_no_failure_is_taken_back),
        TEST(looking_does_not_count),
        TEST(a_flood_of_keys_stays_within_its_room),
    };
    return cmocka_run_group_tests_name("throttle", tests, NULL, NULL);
}
