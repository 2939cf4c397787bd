/* date_test.c: HTTP dates both ways, and that nothing but a true date is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <time.h>

#include "tims/proto.h"

static void dates_agree_with_the_system_over_centuries(void **state)
{
    (void)state;
    for (int64_t unix_s = 0; unix_s < 20000000000; unix_s += 8640123) {
        char ours[TIMS_HTTP_DATE_LENGTH], theirs[64];
        time_t then = (time_t)unix_s;
        struct tm parts;
        assert_non_null(gmtime_r(&then, &parts));
        assert_int_equal(strftime(theirs, sizeof theirs, "%a, %d %b %Y %H:%M:%S GMT", &parts),
                         TIMS_HTTP_DATE_LENGTH);
        tims_http_date_format(unix_s, ours);
        assert_memory_equal(ours, theirs, TIMS_HTTP_DATE_LENGTH);
        int64_t again = -1;
        assert_true(tims_http_date_parse((tims_str){ ours, TIMS_HTTP_DATE_LENGTH }, &again));
        assert_int_equal(again, unix_s);
    }
}

static void times_out_of_range_are_clamped(void **state)
{
    (void)state;
    char text[TIMS_HTTP_DATE_LENGTH];
    tims_http_date_format(-5, text);
    assert_memory_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT", sizeof text);
    tims_http_date_format(INT64_MAX, text);
    assert_memory_equal(text, "Fri, 31 Dec 9999 23:59:59 GMT", sizeof text);
}

static void what_is_no_date_is_not_read(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "Sun, 06 Nov 1994 08:49:37 GM",
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT ",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov +994 08:49:37 GMT",
        "Sat, 06 Nov 1869 08:49:37 GMT",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t unix_s = 7;
        assert_false(tims_http_date_parse(tims_str_from(bad[i]), &unix_s));
        assert_int_equal(unix_s, 7);
    }
    int64_t unix_s = 0;
    assert_true(tims_http_date_parse(TIMS_STR("Sun, 06 Nov 1994 08:49:37 GMT"), &unix_s));
    assert_int_equal(unix_s, 784111777);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_agree_with_the_system_over_centuries),
        cmocka_unit_test(times_out_of_range_are_clamped),
        cmocka_unit_test(what_is_no_date_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
