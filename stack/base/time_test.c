/* time_test: RFC 3339 both ways. */
#include "base/testing.h"

#include <time.h>

static void known_times_read_and_write(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
        const char *canonical;
    } rows[] = {
        { "1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000000Z" },
        { "1969-12-31T23:59:59.999999Z", -1, "1969-12-31T23:59:59.999999Z" },
        { "2026-11-23T20:37:18.123456Z", INT64_C(1795466238123456), "2026-11-23T20:37:18.123456Z" },
        { "2026-11-23T20:37:18.1Z", INT64_C(1795466238100000), "2026-11-23T20:37:18.100000Z" },
        { "2026-11-23T20:37:18.123456789Z", INT64_C(1795466238123456), "2026-11-23T20:37:18.123456Z" },
        { "2026-11-23t21:37:18+01:00", INT64_C(1795466238000000), "2026-11-23T20:37:18.000000Z" },
        { "2026-11-23 15:07:18-05:30", INT64_C(1795466238000000), "2026-11-23T20:37:18.000000Z" },
        { "2000-02-29T00:00:00Z", INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z" },
        { "0000-01-01T00:00:00Z", INT64_C(-62167219200000000), "0000-01-01T00:00:00.000000Z" },
        { "9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tims_time time;
        char text[TIMS_TIME_TEXT_LENGTH];
        if (!tims_time_parse(tims_str_from(rows[i].text), &time) || time.us != rows[i].us)
            fail_msg("\"%s\" was read as %lld", rows[i].text, (long long)time.us);
        tims_time_format(time, text);
        assert_str(((tims_str){ text, sizeof text }), rows[i].canonical);
    }
}

static void what_is_not_a_time_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026-11-23",
        "2026-11-23T20:37:18",
        "2026-11-23T20:37Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.1234567890Z",
        "2026-01-01T00:00:00+1:00",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+00:60",
        "2026-01-01T00:00:00Zx",
        "-026-01-01T00:00:00Z",
        "2026-1-01T00:00:00Z ",
        "2026-01-01X00:00:00Z",
        "99999-01-01T00:00:00Z",
        "2026-01-01T-1:00:00Z",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tims_time time = { 42 };
        if (tims_time_parse(tims_str_from(bad[i]), &time))
            fail_msg("\"%s\" was taken", bad[i]);
        assert_int_equal(time.us, 42);
    }
}

static void years_outside_the_format_are_clamped(void **state)
{
    (void)state;
    char text[TIMS_TIME_TEXT_LENGTH];
    tims_time_format((tims_time){ INT64_MAX }, text);
    assert_str(((tims_str){ text, sizeof text }), "9999-12-31T23:59:59.999999Z");
    tims_time_format((tims_time){ INT64_MIN }, text);
    assert_str(((tims_str){ text, sizeof text }), "0000-01-01T00:00:00.000000Z");
}

/* Against the C library's calendar, some seven hours apart over four centuries. */
static void every_day_agrees_with_the_c_library(void **state)
{
    (void)state;
    for (int64_t second = -INT64_C(6000000000); second < INT64_C(7000000000); second += 25200 * 7 + 1) {
        time_t at = (time_t)second;
        struct tm parts;
        char expected[40], text[TIMS_TIME_TEXT_LENGTH];
        assert_non_null(gmtime_r(&at, &parts));
        assert_true(strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S.000000Z", &parts) == 27);
        tims_time_format((tims_time){ second * 1000000 }, text);
        assert_memory_equal(text, expected, 27);
        tims_time back;
        assert_true(tims_time_parse((tims_str){ text, sizeof text }, &back));
        assert_int_equal(back.us, second * 1000000);
    }
}

static void the_monotonic_clock_does_not_go_back(void **state)
{
    (void)state;
    int64_t former = tims_monotonic_us();
    for (int i = 0; i < 1000; i++) {
        int64_t now = tims_monotonic_us();
        assert_true(now >= former);
        former = now;
    }
    assert_true(tims_now().us > INT64_C(1700000000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_times_read_and_write),
        cmocka_unit_test(what_is_not_a_time_is_refused),
        cmocka_unit_test(years_outside_the_format_are_clamped),
        cmocka_unit_test(every_day_agrees_with_the_c_library),
        cmocka_unit_test(the_monotonic_clock_does_not_go_back),
    };
    return cmocka_run_group_tests_name("time", tests, NULL, NULL);
}
