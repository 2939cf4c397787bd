/* rate_test.c: tests of rate.c. */
#include "base/testing.h"

static void a_rate_is_a_count_in_a_period(void **state)
{
    (void)state;
    tims_rate rate;
    assert_true(tims_rate_parse("100/m", &rate));
    assert_int_equal(rate.count, 100);
    assert_int_equal(rate.period_us, 60 * 1000000);
    assert_true(tims_rate_parse("1/s", &rate));
    assert_int_equal(rate.period_us, 1000000);
    assert_true(tims_rate_parse("1000000/h", &rate));
    assert_int_equal(rate.period_us, INT64_C(3600) * 1000000);
    assert_true(tims_rate_parse("none", &rate));
    assert_int_equal(rate.count, 0);
}

static void what_is_no_rate_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",      "100",   "100/", "/m",   "0/m",  "-1/m", "1/d",  "1/mm",  "1000001/s",
        "1 / m", "1.5/s", "1/M",  "None", "1//s", " 1/s", "1/s ", "1e3/s", "9999999999999999999/s"
    };
    tims_rate rate = { 7, 7 };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(tims_rate_parse(bad[i], &rate));
    assert_int_equal(rate.count, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_is_a_count_in_a_period),
        cmocka_unit_test(what_is_no_rate_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
