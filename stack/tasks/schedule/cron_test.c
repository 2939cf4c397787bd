/* cron_test: what cron lines mean, in every zone. */
#include "base/testing.h"
#include "tasks/schedule/schedule_internal.h"

static int64_t seconds_of(const char *text)
{
    tims_time time;
    if (!tims_time_parse(tims_str_from(text), &time))
        fail_msg("no time: %s", text);
    return time.us / 1000000;
}

static void assert_second(const char *line, int64_t actual, const char *expected)
{
    char text[TIMS_TIME_TEXT_LENGTH];
    tims_time_format((tims_time){ actual * 1000000 }, text);
    if (actual != seconds_of(expected))
        fail_msg("%s: got %.19s, expected %s", line, text, expected);
}

typedef struct row {
    const char *line, *zone, *after;
    const char *due[4]; /* one after the other; NULL: no more is looked at */
} row;

static void assert_rows(const row *rows, size_t count)
{
    tims_arena *arena = tims_arena_new(1 << 24, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        tasks__cron cron;
        const tasks__zone *zone;
        tims_error err = { 0 };
        if (tasks__cron_parse(tims_str_from(rows[i].line), &cron, &err) != TIMS_OK ||
            tasks__zone_load(arena, rows[i].zone, &zone, &err) != TIMS_OK)
            fail_msg("%s: %s", rows[i].line, err.message);
        int64_t at = seconds_of(rows[i].after);
        for (size_t d = 0; d < 4 && rows[i].due[d] != NULL; d++) {
            assert_true(tasks__cron_next(&cron, zone, at, &at));
            assert_second(rows[i].line, at, rows[i].due[d]);
        }
    }
    tims_arena_free(&arena);
}
#define ASSERT_ROWS(rows) assert_rows(rows, sizeof(rows) / sizeof *(rows))

static void lines_say_when(void **state)
{
    (void)state;
    static const row rows[] = {
        { "* * * * *", NULL, "2026-03-04T05:06:07Z", { "2026-03-04T05:07:00Z", "2026-03-04T05:08:00Z" } },
        { "* * * * *", NULL, "2026-03-04T05:06:00Z", { "2026-03-04T05:07:00Z" } },
        { "*/20 * * * *",
          NULL,
          "2026-03-04T05:06:07Z",
          { "2026-03-04T05:20:00Z", "2026-03-04T05:40:00Z", "2026-03-04T06:00:00Z" } },
        { "5/20 * * * *",
          NULL,
          "2026-03-04T05:50:00Z",
          { "2026-03-04T06:05:00Z", "2026-03-04T06:25:00Z", "2026-03-04T06:45:00Z" } },
        { "0 3 * * *", NULL, "2026-12-31T04:00:00Z", { "2027-01-01T03:00:00Z", "2027-01-02T03:00:00Z" } },
        { "59 23 31 12 *", NULL, "2026-12-31T23:59:00Z", { "2027-12-31T23:59:00Z" } },
        { "0 9-17/4 * * *",
          NULL,
          "2026-03-04T00:00:00Z",
          { "2026-03-04T09:00:00Z", "2026-03-04T13:00:00Z", "2026-03-04T17:00:00Z",
            "2026-03-05T09:00:00Z" } },
        { "1,3,2 0 * * *",
          NULL,
          "2026-03-04T00:00:00Z",
          { "2026-03-04T00:01:00Z", "2026-03-04T00:02:00Z", "2026-03-04T00:03:00Z",
            "2026-03-05T00:01:00Z" } },
        { "0 0 29 2 *", NULL, "2026-03-04T00:00:00Z", { "2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z" } },
        { "0 0 29 2 *", NULL, "2096-03-04T00:00:00Z", { "2104-02-29T00:00:00Z" } },
        { "0 0 31 * *", NULL, "2026-04-01T00:00:00Z", { "2026-05-31T00:00:00Z", "2026-07-31T00:00:00Z" } },
        { "0 12 * jan-MAR *", NULL, "2026-03-31T12:00:00Z", { "2027-01-01T12:00:00Z" } },
        /* Wednesday, 4 March 2026 */
        { "0 0 * * mon-fri", NULL, "2026-03-06T00:00:00Z", { "2026-03-09T00:00:00Z" } },
        { "0 0 * * 0", NULL, "2026-03-04T00:00:00Z", { "2026-03-08T00:00:00Z", "2026-03-15T00:00:00Z" } },
        { "0 0 * * 7", NULL, "2026-03-04T00:00:00Z", { "2026-03-08T00:00:00Z", "2026-03-15T00:00:00Z" } },
        { "0 0 * * 5-7",
          NULL,
          "2026-03-04T00:00:00Z",
          { "2026-03-06T00:00:00Z", "2026-03-07T00:00:00Z", "2026-03-08T00:00:00Z",
            "2026-03-13T00:00:00Z" } },
        { "0 0 * * sat-sun",
          NULL,
          "2026-03-04T00:00:00Z",
          { "2026-03-07T00:00:00Z", "2026-03-08T00:00:00Z", "2026-03-14T00:00:00Z" } },
        { "0 0 * * */3",
          NULL,
          "2026-03-04T00:00:00Z",
          { "2026-03-07T00:00:00Z", "2026-03-08T00:00:00Z", "2026-03-11T00:00:00Z" } },
        /* both given: either */
        { "0 0 13 * fri",
          NULL,
          "2026-03-04T00:00:00Z",
          { "2026-03-06T00:00:00Z", "2026-03-13T00:00:00Z", "2026-03-20T00:00:00Z" } },
        /* one begins with a star: both */
        { "0 0 */2 * fri", NULL, "2026-03-04T00:00:00Z", { "2026-03-13T00:00:00Z", "2026-03-27T00:00:00Z" } },
        { "@hourly", NULL, "2026-03-04T05:06:07Z", { "2026-03-04T06:00:00Z" } },
        { "@daily", NULL, "2026-03-04T05:06:07Z", { "2026-03-05T00:00:00Z" } },
        { "@midnight", NULL, "2026-03-04T05:06:07Z", { "2026-03-05T00:00:00Z" } },
        { "@weekly", NULL, "2026-03-04T05:06:07Z", { "2026-03-08T00:00:00Z" } },
        { "@monthly", NULL, "2026-03-04T05:06:07Z", { "2026-04-01T00:00:00Z" } },
        { "@yearly", NULL, "2026-03-04T05:06:07Z", { "2027-01-01T00:00:00Z" } },
        { "@annually", NULL, "2026-03-04T05:06:07Z", { "2027-01-01T00:00:00Z" } },
        { "  0\t3  * * *  ", NULL, "2026-03-04T00:00:00Z", { "2026-03-04T03:00:00Z" } },
        { "0 0 1 1 *", NULL, "1969-06-01T00:00:00Z", { "1970-01-01T00:00:00Z" } },
        { "0 0 1 1 *", NULL, "1967-06-01T00:00:00Z", { "1968-01-01T00:00:00Z", "1969-01-01T00:00:00Z" } },
    };
    ASSERT_ROWS(rows);
}

/* Berlin 2026: 29 March 02:00 becomes 03:00 (01:00 UTC), 25 October 03:00 becomes 02:00 (01:00 UTC). */
static void a_skipped_time_is_due_at_the_first_moment_after_the_gap(void **state)
{
    (void)state;
    static const row rows[] = {
        { "30 2 * * *",
          "Europe/Berlin",
          "2026-03-28T00:00:00Z",
          { "2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z" } },
        /* all that was skipped is one, together with what is due at that moment itself */
        { "0,15,30 2,3 * * *",
          "Europe/Berlin",
          "2026-03-29T00:00:00Z",
          { "2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z", "2026-03-29T01:30:00Z",
            "2026-03-30T00:00:00Z" } },
        /* the day is due though its midnight was skipped: Beirut goes from 0:00 to 1:00 */
        { "0 0 29 3 *", "Asia/Beirut", "2026-01-01T00:00:00Z", { "2026-03-28T22:00:00Z" } },
        /* nothing of the line is in the gap */
        { "0 4 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", { "2026-03-29T02:00:00Z" } },
        { "30 2 * * *",
          "America/New_York",
          "2026-03-08T00:00:00Z",
          { "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z" } },
        /* half an hour: Lord Howe, 2:00 becomes 2:30 */
        { "15 2 * * *",
          "Australia/Lord_Howe",
          "2026-10-03T10:00:00Z",
          { "2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z" } },
        /* a whole day: Samoa had no 30 December 2011 */
        { "0 12 30 12 *",
          "Pacific/Apia",
          "2011-06-01T00:00:00Z",
          { "2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z" } },
    };
    ASSERT_ROWS(rows);
}

static void a_doubled_time_is_due_once(void **state)
{
    (void)state;
    static const row rows[] = {
        { "30 2 * * *",
          "Europe/Berlin",
          "2026-10-24T12:00:00Z",
          { "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z" } },
        { "0,30 2,3 * * *",
          "Europe/Berlin",
          "2026-10-24T12:00:00Z",
          { "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z",
            "2026-10-25T02:30:00Z" } },
        /* asked in the second of the two hours */
        { "45 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", { "2026-10-26T01:45:00Z" } },
        { "45 2,4 * * *", "Europe/Berlin", "2026-10-25T01:59:59Z", { "2026-10-25T03:45:00Z" } },
        { "30 1 * * *",
          "America/New_York",
          "2026-11-01T00:00:00Z",
          { "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z" } },
    };
    ASSERT_ROWS(rows);
}

static void a_line_for_every_hour_follows_the_hours(void **state)
{
    (void)state;
    static const row rows[] = {
        { "30 * * * *",
          "Europe/Berlin",
          "2026-03-29T00:00:00Z",
          { "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z" } },
        { "30 * * * *",
          "Europe/Berlin",
          "2026-10-25T00:00:00Z",
          { "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z" } },
        { "*/30 * * * *",
          "Europe/Berlin",
          "2026-10-25T00:40:00Z",
          { "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z" } },
        { "0 * * * *",
          "Asia/Kolkata",
          "2026-03-04T05:00:00Z",
          { "2026-03-04T05:30:00Z", "2026-03-04T06:30:00Z" } },
    };
    ASSERT_ROWS(rows);
}

static void what_never_comes_is_not_found(void **state)
{
    (void)state;
    static const char *const lines[] = { "0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 31 feb *" };
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    const tasks__zone *zone;
    tims_error err = { 0 };
    assert_int_equal(tasks__zone_load(arena, NULL, &zone, &err), TIMS_OK);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        tasks__cron cron;
        int64_t due = 7;
        assert_int_equal(tasks__cron_parse(tims_str_from(lines[i]), &cron, &err), TIMS_OK);
        assert_false(tasks__cron_next(&cron, zone, seconds_of("2026-03-04T05:06:07Z"), &due));
        assert_int_equal(due, 7);
    }
    tims_arena_free(&arena);
}

static void a_bad_line_is_refused_by_a_sentence_that_names_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *line, *part;
    } rows[] = {
        { "", "0 fields" },
        { "* * * *", "4 fields" },
        { "* * * * * *", "more than five" },
        { "60 * * * *", "minute \"60\"" },
        { "-1 * * * *", "minute" },
        { "* 24 * * *", "hour \"24\"" },
        { "* * 0 * *", "day \"0\"" },
        { "* * 32 * *", "day \"32\"" },
        { "* * * 13 *", "month \"13\"" },
        { "* * * foo *", "month \"foo\"" },
        { "* * * january *", "month" },
        { "* * * * 8", "weekday \"8\"" },
        { "* * * * mo", "weekday" },
        { "30-10 * * * *", "backwards" },
        { "* * * * fri-mon", "backwards" },
        { "*/0 * * * *", "step" },
        { "*/61 * * * *", "step" },
        { "*/ * * * *", "step" },
        { "1,,2 * * * *", "minute" },
        { "1, * * * *", "minute" },
        { ",1 * * * *", "minute" },
        { "1-2-3 * * * *", "minute" },
        { "1-/2 * * * *", "minute" },
        { "*5 * * * *", "minute" },
        { "* * L * *", "day \"L\"" },
        { "* * ? * *", "day \"?\"" },
        { "* * 15W * *", "day" },
        { "* * * * 5#2", "weekday" },
        { "1.5 * * * *", "minute" },
        { "+1 * * * *", "minute" },
        { "99999999999999999999 * * * *", "minute" },
        { "@reboot", "@reboot" },
        { "@Daily", "@Daily" },
        { "@", "\"@\"" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tims_error err = { 0 };
        tasks__cron cron;
        assert_int_equal(tasks__cron_parse(tims_str_from(rows[i].line), &cron, &err), TIMS_INVALID);
        if (strstr(err.message, rows[i].part) == NULL)
            fail_msg("\"%s\": no %s in: %s", rows[i].line, rows[i].part, err.message);
    }
    char large[600];
    memset(large, '*', sizeof large);
    tims_error err = { 0 };
    tasks__cron cron;
    assert_int_equal(tasks__cron_parse((tims_str){ large, sizeof large }, &cron, &err), TIMS_INVALID);
    assert_non_null(strstr(err.message, "longer"));
}

/* The calendar against itself: every day of eight hundred years is the next of the one before. */
static void days_and_dates_are_the_same_calendar(void **state)
{
    (void)state;
    tasks__date before = tasks__date_of(tasks__day_of(1700, 1, 1) - 1);
    int64_t last = tasks__day_of(2500, 12, 31);
    for (int64_t day = tasks__day_of(1700, 1, 1); day <= last; day++) {
        tasks__date date = tasks__date_of(day);
        assert_int_equal(tasks__day_of(date.year, date.month, date.day), day);
        assert_true(date.day == before.day + 1 || date.day == 1);
        before = date;
    }
    assert_int_equal(tasks__day_of(1970, 1, 1), 0);
    assert_int_equal(tasks__weekday_of(0), 4);
    assert_int_equal(tasks__weekday_of(-1), 3);
    assert_int_equal(tasks__weekday_of(tasks__day_of(2026, 11, 26)), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_say_when),
        cmocka_unit_test(a_skipped_time_is_due_at_the_first_moment_after_the_gap),
        cmocka_unit_test(a_doubled_time_is_due_once),
        cmocka_unit_test(a_line_for_every_hour_follows_the_hours),
        cmocka_unit_test(what_never_comes_is_not_found),
        cmocka_unit_test(a_bad_line_is_refused_by_a_sentence_that_names_the_field),
        cmocka_unit_test(days_and_dates_are_the_same_calendar),
    };
    return cmocka_run_group_tests_name("cron", tests, NULL, NULL);
}
