/* cron.c: lines as cron(5) has them: "minute hour day month weekday".
 *
 * Numbers, names, ranges, steps and lists; where day and weekday are both given, either is enough. What has a
 * letter of other schedulers (L, W, #, ?) is refused, not guessed at. */
#include "tasks/schedule/schedule_internal.h"

enum { DAY_S = 86400, HOUR_S = 3600, MINUTE_S = 60, DAYS_MAX = 10 * 366, LINE_BYTES_MAX = 500 };

/* --- days -------------------------------------------------------------------------------------------------- */

/* The year begins in March here, so that the leap day is its last. */
int64_t tasks__day_of(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = tasks__floor_div(y, 400), of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

tasks__date tasks__date_of(int64_t day)
{
    int64_t era = tasks__floor_div(day + 719468, 146097), of_era = day + 719468 - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;
    tasks__date date = { .year = year + era * 400,
                         .month = (int)(month < 10 ? month + 3 : month - 9),
                         .day = (int)(of_year - (153 * month + 2) / 5 + 1) };
    date.year += date.month <= 2;
    return date;
}

int tasks__weekday_of(int64_t day)
{
    return (int)(day + 4 - 7 * tasks__floor_div(day + 4, 7));
}

/* --- reading ----------------------------------------------------------------------------------------------- */

typedef struct field {
    const char *name;
    int min, max;
    const char *names; /* of three letters each, from min on; NULL: none */
} field;

static const field fields[] = {
    { "minute", 0, 59, NULL },
    { "hour", 0, 23, NULL },
    { "day", 1, 31, NULL },
    { "month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec" },
    { "weekday", 0, 7, "sunmontuewedthufrisat" }, /* 7 is Sunday, too */
};

static tims_status refuse(const field *f, tims_str text, const char *why, tims_error *err)
{
    return tims_fail(err, TIMS_INVALID, "cron", "the %s \"%.*s\" %s", f->name,
                     TIMS_PRINT(tims_str_slice(text, 0, 100)), why);
}

static bool read_value(const field *f, tims_str text, int *ret_value)
{
    int64_t number;
    if (tims_str_to_int(text, f->min, f->max, &number)) {
        *ret_value = (int)number;
        return true;
    }
    if (f->names == NULL || text.length != 3)
        return false;
    for (int i = 0; f->names[3 * i] != '\0'; i++)
        if (tims_str_equal_ignoring_case(text, (tims_str){ f->names + 3 * (size_t)i, 3 })) {
            *ret_value = f->min + i;
            return true;
        }
    return false;
}

/* "*", "5", "mon-fri", "*" or a range or a first value with "/step". */
static tims_status read_part(const field *f, tims_str text, uint64_t *bits, tims_error *err)
{
    tims_str rest = text, range = tims_str_cut(&rest, '/'), ends = range;
    bool is_weekday = f->max == 7;
    int from = f->min, to = is_weekday ? 6 : f->max;
    int64_t step = 1;
    bool has_step = rest.data != NULL;
    if (has_step && !tims_str_to_int(rest, 1, f->max - f->min + 1, &step))
        return refuse(f, text, "has a step that is not possible", err);
    if (!tims_str_equal(range, TIMS_STR("*"))) {
        tims_str first = tims_str_cut(&ends, '-');
        if (!read_value(f, first, &from) || (ends.data != NULL && !read_value(f, ends, &to)))
            return refuse(f, text, "is not understood", err);
        if (ends.data == NULL && !has_step)
            to = from;
        if (is_weekday && ends.data != NULL && to == 0)
            to = 7; /* sat-sun */
        if (to < from)
            return refuse(f, text, "goes backwards", err);
    }
    for (int64_t value = from; value <= to; value += step)
        *bits |= UINT64_C(1) << (is_weekday ? value % 7 : value);
    return TIMS_OK;
}

static tims_status read_field(const field *f, tims_str text, uint64_t *ret_bits, tims_error *err)
{
    tims_str rest = text;
    *ret_bits = 0;
    while (rest.data != NULL) {
        tims_status status = read_part(f, tims_str_cut(&rest, ','), ret_bits, err);
        if (status != TIMS_OK)
            return status;
    }
    return TIMS_OK;
}

static tims_str expand(tims_str line)
{
    static const struct {
        const char *name, *line;
    } names[] = { { "@yearly", "0 0 1 1 *" }, { "@annually", "0 0 1 1 *" }, { "@monthly", "0 0 1 * *" },
                  { "@weekly", "0 0 * * 0" }, { "@daily", "0 0 * * *" },    { "@midnight", "0 0 * * *" },
                  { "@hourly", "0 * * * *" } };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (tims_str_equal(line, tims_str_from(names[i].name)))
            return tims_str_from(names[i].line);
    return line;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* Cuts the next word. */
static tims_str cut_word(tims_str *rest)
{
    size_t from = 0, to;
    while (from < rest->length && is_space(rest->data[from]))
        from++;
    for (to = from; to < rest->length && !is_space(rest->data[to]);)
        to++;
    tims_str word = tims_str_slice(*rest, from, to);
    *rest = tims_str_slice(*rest, to, rest->length);
    return word;
}

tims_status tasks__cron_parse(tims_str line, tasks__cron *ret_cron, tims_error *err)
{
    enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };
    uint64_t bits[FIELDS];
    tims_str words[FIELDS];
    if (line.length > LINE_BYTES_MAX)
        return tims_fail(err, TIMS_INVALID, "cron", "the cron line is longer than 500 bytes");
    tims_str rest = expand(tims_str_trim(line));
    if (tims_str_starts_with(rest, TIMS_STR("@")))
        return tims_fail(err, TIMS_INVALID, "cron", "\"%.*s\" is not known", TIMS_PRINT(rest));
    for (int i = 0; i < FIELDS; i++) {
        words[i] = cut_word(&rest);
        if (words[i].length == 0)
            return tims_fail(err, TIMS_INVALID, "cron", "the cron line has %d fields instead of five", i);
    }
    if (tims_str_trim(rest).length > 0)
        return tims_fail(err, TIMS_INVALID, "cron", "the cron line has more than five fields");
    for (int i = 0; i < FIELDS; i++) {
        tims_status status = read_field(&fields[i], words[i], &bits[i], err);
        if (status != TIMS_OK)
            return status;
    }
    *ret_cron = (tasks__cron){ .minutes = bits[MINUTE],
                               .hours = (uint32_t)bits[HOUR],
                               .days = (uint32_t)bits[DAY],
                               .months = (uint32_t)bits[MONTH],
                               .weekdays = (uint32_t)bits[WEEKDAY],
                               .any_day = words[DAY].data[0] == '*',
                               .any_weekday = words[WEEKDAY].data[0] == '*',
                               .any_hour = bits[HOUR] == (1 << 24) - 1 };
    return TIMS_OK;
}

/* --- the next time ----------------------------------------------------------------------------------------- */

static bool allows_day(const tasks__cron *cron, int64_t day)
{
    tasks__date date = tasks__date_of(day);
    if ((cron->months >> date.month & 1) == 0)
        return false;
    bool by_day = (cron->days >> date.day & 1) != 0;
    bool by_weekday = (cron->weekdays >> tasks__weekday_of(day) & 1) != 0;
    return cron->any_day || cron->any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

/* The first minute from this second of the day on; -1: none is left today. */
static int64_t next_of_day(const tasks__cron *cron, int64_t second)
{
    int64_t minute = (second + MINUTE_S - 1) / MINUTE_S;
    for (int64_t hour = minute / 60; hour < 24; hour++, minute = hour * 60) {
        if ((cron->hours >> hour & 1) == 0)
            continue;
        uint64_t left = cron->minutes >> (minute % 60);
        if (left != 0)
            return (minute + __builtin_ctzll(left)) * MINUTE_S;
    }
    return -1;
}

/* The first match of the clock on a wall, from one time to before another. */
static bool find_on_wall(const tasks__cron *cron, int64_t from, int64_t until, int64_t *ret_wall)
{
    int64_t day = tasks__floor_div(from, DAY_S), second = from - day * DAY_S;
    for (; day * DAY_S < until; day++, second = 0) {
        int64_t found = allows_day(cron, day) ? next_of_day(cron, second) : -1;
        if (found < 0)
            continue;
        *ret_wall = day * DAY_S + found;
        return *ret_wall < until;
    }
    return false;
}

/* Where the span begins, the clock is set. What it skips is due then; what it shows again has been due. */
static bool look_at_change(const tasks__cron *cron, int64_t offset_before, tasks__zone_span span,
                           int64_t *from_wall)
{
    int64_t wall, before = span.from + offset_before, now = span.from + span.offset_s;
    if (cron->any_hour)
        return false;
    if (before < now)
        return find_on_wall(cron, before, now, &wall);
    if (*from_wall < before)
        *from_wall = before;
    return false;
}

bool tasks__cron_next(const tasks__cron *cron, const tasks__zone *zone, int64_t after_s, int64_t *ret_due_s)
{
    int64_t from = after_s + 1, end = from + (int64_t)DAYS_MAX * DAY_S, wall;
    while (from < end) {
        tasks__zone_span span = tasks__zone_at(zone, from);
        int64_t from_wall = from + span.offset_s, until = span.until < end ? span.until : end;
        if (span.from != INT64_MIN) {
            int64_t before = tasks__zone_at(zone, span.from - 1).offset_s;
            if (look_at_change(cron, before, span, &from_wall) && span.from >= from) {
                *ret_due_s = span.from;
                return true;
            }
        }
        if (find_on_wall(cron, from_wall, until + span.offset_s, &wall)) {
            *ret_due_s = wall - span.offset_s;
            return true;
        }
        from = until;
    }
    return false;
}
