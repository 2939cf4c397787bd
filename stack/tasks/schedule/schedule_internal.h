/* schedule_internal.h: cron lines and time zones, of which schedule.c makes due times. Times here are whole
 * seconds since 1970. */
#ifndef TASKS_SCHEDULE_INTERNAL_H
#define TASKS_SCHEDULE_INTERNAL_H

#include "tims/base.h"

/* --- zone.c: time zones, as the system's files (package tzdata) describe them ------------------------------ */

typedef struct tasks__zone tasks__zone;

/* A stretch of time with one offset. */
typedef struct tasks__zone_span {
    int64_t from, until; /* INT64_MIN, INT64_MAX: open */
    int64_t offset_s;    /* local time is so much ahead of UTC */
} tasks__zone_span;

/* In the arena. `name` NULL: UTC, which needs no file. Errors: INVALID: no such zone, or its file cannot be
 * read. */
tims_status tasks__zone_load(tims_arena *arena, const char *name, const tasks__zone **ret_zone,
                             tims_error *err);
/* The bytes of such a file (TZif, RFC 8536). Errors: INVALID. */
tims_status tasks__zone_parse(tims_arena *arena, tims_str bytes, const tasks__zone **ret_zone,
                              tims_error *err);
/* The span in which this time is. */
tasks__zone_span tasks__zone_at(const tasks__zone *zone, int64_t time_s);

/* --- cron.c ------------------------------------------------------------------------------------------------ */

/* What a line allows: bit n: the value n. */
typedef struct tasks__cron {
    uint64_t minutes;
    uint32_t hours, days, months, weekdays; /* days 1 to 31, months 1 to 12, weekdays 0 (Sunday) to 6 */
    bool any_day, any_weekday;              /* the field begins with *: the other one decides */
    bool any_hour;                          /* every hour: it goes by time that passes, not by the clock */
} tasks__cron;

/* Five fields, or @hourly, @daily (@midnight), @weekly, @monthly, @yearly (@annually). Errors: INVALID with a
 * sentence that names the field. */
tims_status tasks__cron_parse(tims_str line, tasks__cron *ret_cron, tims_error *err);
/* The first due time after this one. A time that the clock skips is due at the first moment after the gap,
 * one that it shows twice is due once; a line for every hour ("30 * * * *") just follows the hours. False:
 * there is none within ten years. */
bool tasks__cron_next(const tasks__cron *cron, const tasks__zone *zone, int64_t after_s, int64_t *ret_due_s);

/* --- days -------------------------------------------------------------------------------------------------- */

/* Of the proleptic Gregorian calendar; day 0 is 1970-01-01. */
typedef struct tasks__date {
    int64_t year;
    int month, day;
} tasks__date;
int64_t tasks__day_of(int64_t year, int month, int day);
tasks__date tasks__date_of(int64_t day);
int tasks__weekday_of(int64_t day); /* 0: Sunday */

/* Rounds down. */
static inline int64_t tasks__floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

#endif
