/* zone_test: what the system's files say, against the C library, which reads them too. */
#include <stdlib.h>
#include <time.h>

#include "base/testing.h"
#include "tasks/schedule/schedule_internal.h"

/* The C library knows one zone at a time; there is one thread here. */
static int64_t offset_of_libc(int64_t time_s)
{
    time_t time = (time_t)time_s;
    struct tm tm;
    assert_non_null(localtime_r(&time, &tm)); /* NOLINT */
    return tm.tm_gmtoff;
}

static const char *const names[] = { "Europe/Berlin",       "America/New_York", "Australia/Sydney",
                                     "Australia/Lord_Howe", "Asia/Kolkata",     "America/Nuuk",
                                     "Africa/Casablanca",   "Europe/Dublin",    "Asia/Gaza",
                                     "Pacific/Apia",        "America/Santiago", "Asia/Tehran",
                                     "Etc/GMT+5",           "America/Sao_Paulo" };

/* From 1900 to 2120, every 9 hours and a bit; and each side of every change that is met. */
static void offsets_are_those_of_the_c_library(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(1 << 26, NULL, NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const tasks__zone *zone;
        tims_error err = { 0 };
        if (tasks__zone_load(arena, names[i], &zone, &err) != TIMS_OK)
            fail_msg("%s", err.message);
        assert_int_equal(setenv("TZ", names[i], 1), 0);
        tzset();
        int64_t from = tasks__day_of(1900, 1, 1) * 86400, last = tasks__day_of(2120, 1, 1) * 86400;
        for (int64_t at = from; at < last; at += 9 * 3600 + 1234) {
            tasks__zone_span span = tasks__zone_at(zone, at);
            assert_true(span.from <= at && at < span.until);
            if (span.offset_s != offset_of_libc(at))
                fail_msg("%s at %lld: %lld", names[i], (long long)at, (long long)span.offset_s);
            if (span.until < at + 9 * 3600 + 1234) {
                assert_int_equal(tasks__zone_at(zone, span.until - 1).offset_s, span.offset_s);
                assert_int_equal(offset_of_libc(span.until - 1), span.offset_s);
                assert_int_equal(tasks__zone_at(zone, span.until).offset_s, offset_of_libc(span.until));
            }
        }
    }
    tims_arena_free(&arena);
}

static void utc_needs_no_file(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(1 << 16, NULL, NULL);
    const tasks__zone *zone;
    tims_error err = { 0 };
    assert_int_equal(tasks__zone_load(arena, NULL, &zone, &err), TIMS_OK);
    tasks__zone_span span = tasks__zone_at(zone, 12345);
    assert_true(span.from == INT64_MIN && span.until == INT64_MAX && span.offset_s == 0);
    tims_arena_free(&arena);
}

static void what_is_no_zone_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "",
                                       "Europe/Nowhere",
                                       "../../../etc/passwd",
                                       "/etc/passwd",
                                       "Europe",
                                       "Europe/Berlin ",
                                       "Europe/./Berlin",
                                       "zone.tab",
                                       "iso3166.tab",
                                       "CET-1CEST,M3.5.0" };
    tims_arena *arena = tims_arena_new(1 << 22, NULL, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const tasks__zone *zone;
        tims_error err = { 0 };
        if (tasks__zone_load(arena, bad[i], &zone, &err) != TIMS_INVALID)
            fail_msg("taken: %s", bad[i]);
        assert_non_null(strstr(err.message, "time zone"));
    }
    tims_arena_free(&arena);
}

/* --- files made here --------------------------------------------------------------------------------------- */

enum { TYPE_BYTES = 6 };

/* Of version 2: no old table, these changes (each to offset 1 h), two types (0, 1 h), the rule. */
static tims_str make_file(tims_arena *arena, const int64_t *changes, size_t count, const char *rule)
{
    static const char none[15] = "";
    tims_buf out;
    tims_buf_init(&out, arena, 1 << 16);
    for (int part = 0; part < 2; part++) {
        uint32_t counts[6] = { 0, 0, 0, part == 0 ? 0 : (uint32_t)count, part == 0 ? 0 : 2, 0 };
        tims_buf_append(&out, "TZif2", 5);
        tims_buf_append(&out, none, sizeof none);
        for (size_t i = 0; i < 6; i++)
            for (int shift = 24; shift >= 0; shift -= 8)
                tims_buf_append_char(&out, (char)(counts[i] >> shift));
    }
    for (size_t i = 0; i < count; i++)
        for (int shift = 56; shift >= 0; shift -= 8)
            tims_buf_append_char(&out, (char)((uint64_t)changes[i] >> shift));
    for (size_t i = 0; i < count; i++)
        tims_buf_append_char(&out, 1);
    tims_buf_append(&out, "\0\0\0\0\0\0\0\0\x0e\x10\0\0", 2 * TYPE_BYTES);
    tims_buf_print(&out, "\n%s\n", rule);
    return tims_buf_str(&out);
}

static void rules_reach_beyond_the_table(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        int64_t year;
        int month, day;
        int64_t second, offset_s;
    } rows[] = {
        { "CET-1CEST,M3.5.0,M10.5.0/3", 2400, 3, 26, 3600 - 1, 3600 },
        { "CET-1CEST,M3.5.0,M10.5.0/3", 2400, 3, 26, 3600, 7200 },
        { "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", 2400, 3, 26, 3600 - 1, -3 * 3600 }, /* the evening before */
        { "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", 2400, 3, 26, 3600, -2 * 3600 },
        { "IST-1GMT0,M10.5.0,M3.5.0/1", 2400, 1, 15, 0, 0 }, /* Dublin: its summer is the winter */
        { "IST-1GMT0,M10.5.0,M3.5.0/1", 2400, 7, 15, 0, 3600 },
        { "XXX0YYY,J60/0,J61/0", 2400, 2, 29, 80000, 0 },
        { "XXX0YYY,J60/0,J61/0", 2400, 3, 1, 0, 3600 },
        { "XXX0YYY,J60/0,J61/0", 2400, 3, 1, 82800, 0 },
        { "XXX0YYY,59/0,60/0", 2400, 2, 29, 0, 3600 },             /* 59, from 0, is 29 February */
        { "EST5EDT,0/0,J365/25", 2400, 12, 31, 86399, -4 * 3600 }, /* summer all year */
        { "EST5EDT,0/0,J365/25", 2401, 1, 1, 6 * 3600, -4 * 3600 },
        { "XXX-5:30:15", 2400, 1, 1, 0, 5 * 3600 + 30 * 60 + 15 },
        { "", 2400, 1, 1, 0, 3600 },
    };
    static const int64_t changes[] = { 0 };
    tims_arena *arena = tims_arena_new(1 << 22, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const tasks__zone *zone;
        tims_error err = { 0 };
        size_t count = strncmp(rows[i].rule, "XXX-", 4) == 0 ? 0 : 1;
        if (tasks__zone_parse(arena, make_file(arena, changes, count, rows[i].rule), &zone, &err) != TIMS_OK)
            fail_msg("%s: %s", rows[i].rule, err.message);
        int64_t at = tasks__day_of(rows[i].year, rows[i].month, rows[i].day) * 86400 + rows[i].second;
        if (tasks__zone_at(zone, at).offset_s != rows[i].offset_s)
            fail_msg("%s (row %zu): %lld", rows[i].rule, i, (long long)tasks__zone_at(zone, at).offset_s);
    }
    tims_arena_free(&arena);
}

static void a_damaged_file_is_refused(void **state)
{
    (void)state;
    static const int64_t changes[] = { 1000, 2000 }, mixed[] = { 2000, 1000 }, far[] = { INT64_MAX };
    static const char *const rules[] = { "CET",
                                         "CET-",
                                         "CET-25",
                                         "CET-1CEST",
                                         "CET-1CEST,M3.5",
                                         "CET-1CEST,M13.5.0,M10.5.0",
                                         "CET-1CEST,,",
                                         "CET-1 ",
                                         "CET-1CEST,M3.5.0,M10.5.0/168",
                                         "<CET-1",
                                         "CET-1:60",
                                         "CET-1CEST,M3.5.0,M10.5.0x",
                                         "X0Y,J60/0,J61/0" };
    tims_arena *arena = tims_arena_new(1 << 24, NULL, NULL);
    const tasks__zone *zone;
    tims_error err = { 0 };
    tims_str fine = make_file(arena, changes, 2, "CET-1");
    assert_int_equal(tasks__zone_parse(arena, fine, &zone, &err), TIMS_OK);
    for (size_t length = 0; length < fine.length; length++)
        if (tasks__zone_parse(arena, tims_str_slice(fine, 0, length), &zone, &err) != TIMS_INVALID)
            fail_msg("taken with %zu of %zu bytes", length, fine.length);
    assert_int_equal(tasks__zone_parse(arena, make_file(arena, mixed, 2, "CET-1"), &zone, &err),
                     TIMS_INVALID);
    assert_int_equal(tasks__zone_parse(arena, make_file(arena, far, 1, "CET-1"), &zone, &err), TIMS_INVALID);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (tasks__zone_parse(arena, make_file(arena, changes, 2, rules[i]), &zone, &err) != TIMS_INVALID)
            fail_msg("taken: %s", rules[i]);
    tims_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_are_those_of_the_c_library), cmocka_unit_test(utc_needs_no_file),
        cmocka_unit_test(what_is_no_zone_is_refused),         cmocka_unit_test(rules_reach_beyond_the_table),
        cmocka_unit_test(a_damaged_file_is_refused),
    };
    return cmocka_run_group_tests_name("zone", tests, NULL, NULL);
}
