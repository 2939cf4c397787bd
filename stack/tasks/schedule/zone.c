/* zone.c: time zones as the system describes them, in files of the package tzdata (TZif, RFC 8536).
 *
 * The C library knows one zone per process, and libraries that know more cost a worker more memory than all
 * the rest of it. What is read is bounded and checked; of years beyond the file's table its last line, a rule
 * as POSIX writes it, tells. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tasks/schedule/schedule_internal.h"

enum {
    FILE_BYTES_MAX = 64 * 1024,
    CHANGES_MAX = 4000,
    TYPES_MAX = 256,
    OFFSET_MAX_S = 26 * 3600,
    DAY_S = 86400,
    NAME_BYTES_MAX = 100,
};

#define TIME_MAX_S (INT64_C(1) << 60)

/* "M3.5.0/2": the last (5) Sunday (0) of March; J60: its 60th day, leap days not counted; 59: counted, from
 * 0. */
typedef struct rule_day {
    char kind; /* 'M', 'J', 'n' */
    int month, week, day;
    int64_t second; /* of that day; may be below 0 or beyond it */
} rule_day;

typedef struct rule {
    bool is_there, has_summer;
    int64_t winter_s, summer_s; /* offsets */
    rule_day begin, end;        /* of summer */
} rule;

typedef struct change {
    int64_t at, offset_s;
} change;

struct tasks__zone {
    int64_t first_s; /* the offset before all changes */
    change *changes;
    size_t count;
    rule rule; /* after all changes */
};

/* --- the rule: "CET-1CEST,M3.5.0,M10.5.0/3" ----------------------------------------------------------------- */

typedef struct reader {
    const char *at, *end;
} reader;

static bool take(reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool read_number(reader *r, int min, int max, int *ret_value)
{
    int value = 0, digits = 0;
    for (; r->at < r->end && is_digit(*r->at) && digits < 4; r->at++, digits++)
        value = value * 10 + (*r->at - '0');
    *ret_value = value;
    return digits > 0 && value >= min && value <= max;
}

static bool skip_name(reader *r)
{
    const char *from = r->at;
    if (take(r, '<')) {
        while (r->at < r->end && *r->at != '>')
            r->at++;
        return take(r, '>');
    }
    while (r->at < r->end && ((*r->at >= 'a' && *r->at <= 'z') || (*r->at >= 'A' && *r->at <= 'Z')))
        r->at++;
    return r->at - from >= 3;
}

/* [+-]h[:m[:s]], in seconds. */
static bool read_clock(reader *r, int hours_max, int64_t *ret_s)
{
    bool is_negative = take(r, '-');
    int hours, minutes = 0, seconds = 0;
    if (!is_negative)
        (void)take(r, '+');
    if (!read_number(r, 0, hours_max, &hours))
        return false;
    if (take(r, ':') && !read_number(r, 0, 59, &minutes))
        return false;
    if (take(r, ':') && !read_number(r, 0, 59, &seconds))
        return false;
    *ret_s = hours * INT64_C(3600) + minutes * INT64_C(60) + seconds;
    if (is_negative)
        *ret_s = -*ret_s;
    return true;
}

static bool read_day(reader *r, rule_day *ret_day)
{
    bool fine;
    *ret_day = (rule_day){ .kind = 'n', .second = 2 * INT64_C(3600) };
    if (take(r, 'M')) {
        ret_day->kind = 'M';
        fine = read_number(r, 1, 12, &ret_day->month) && take(r, '.') &&
               read_number(r, 1, 5, &ret_day->week) && take(r, '.') && read_number(r, 0, 6, &ret_day->day);
    } else if (take(r, 'J')) {
        ret_day->kind = 'J';
        fine = read_number(r, 1, 365, &ret_day->day);
    } else {
        fine = read_number(r, 0, 365, &ret_day->day);
    }
    return fine && (!take(r, '/') || read_clock(r, 167, &ret_day->second));
}

static bool read_rule(tims_str text, rule *ret_rule)
{
    reader r = { text.data, text.data + text.length };
    rule *out = ret_rule;
    *out = (rule){ .is_there = true };
    if (!skip_name(&r) || !read_clock(&r, 24, &out->winter_s))
        return false;
    out->winter_s = -out->winter_s; /* POSIX counts to the west */
    out->summer_s = out->winter_s + 3600;
    if (r.at == r.end)
        return true;
    out->has_summer = true;
    if (!skip_name(&r))
        return false;
    if (r.at < r.end && *r.at != ',') {
        if (!read_clock(&r, 24, &out->summer_s))
            return false;
        out->summer_s = -out->summer_s;
    }
    return take(&r, ',') && read_day(&r, &out->begin) && take(&r, ',') && read_day(&r, &out->end) &&
           r.at == r.end;
}

/* --- the file ---------------------------------------------------------------------------------------------- */

static uint64_t big_endian(const char *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | (unsigned char)at[i];
    return value;
}

typedef struct header {
    size_t utc_count, wall_count, leap_count, change_count, type_count, text_bytes;
} header;

enum { HEADER_BYTES = 44 };

static bool read_header(tims_str bytes, header *ret_header)
{
    if (bytes.length < HEADER_BYTES || memcmp(bytes.data, "TZif", 4) != 0 || bytes.data[4] < '2')
        return false;
    size_t counts[6];
    for (size_t i = 0; i < 6; i++)
        counts[i] = big_endian(bytes.data + 20 + 4 * i, 4);
    *ret_header = (header){ counts[0], counts[1], counts[2], counts[3], counts[4], counts[5] };
    for (size_t i = 0; i < 6; i++)
        if (counts[i] > FILE_BYTES_MAX)
            return false;
    return true;
}

static size_t body_bytes(const header *h, size_t time_bytes)
{
    return h->change_count * (time_bytes + 1) + h->type_count * 6 + h->text_bytes +
           h->leap_count * (time_bytes + 4) + h->wall_count + h->utc_count;
}

static bool read_changes(tims_arena *arena, tims_str body, const header *h, tasks__zone *zone)
{
    const char *types = body.data + h->change_count * 8, *offsets = types + h->change_count;
    if (h->type_count == 0 || h->type_count > TYPES_MAX || h->change_count > CHANGES_MAX)
        return false;
    for (size_t i = 0; i < h->type_count; i++) {
        int64_t offset_s = (int32_t)big_endian(offsets + 6 * i, 4);
        if (offset_s < -OFFSET_MAX_S || offset_s > OFFSET_MAX_S)
            return false;
    }
    zone->first_s = (int32_t)big_endian(offsets, 4);
    zone->count = h->change_count;
    zone->changes = TIMS_NEW_ARRAY(arena, change, h->change_count + 1);
    for (size_t i = 0; i < h->change_count; i++) {
        size_t type = (unsigned char)types[i];
        if (type >= h->type_count)
            return false;
        zone->changes[i] =
            (change){ (int64_t)big_endian(body.data + 8 * i, 8), (int32_t)big_endian(offsets + 6 * type, 4) };
        int64_t at = zone->changes[i].at;
        if (at < -TIME_MAX_S || at > TIME_MAX_S || (i > 0 && at <= zone->changes[i - 1].at))
            return false;
    }
    return true;
}

static bool read_file(tims_arena *arena, tims_str bytes, tasks__zone *zone)
{
    header old, h;
    if (!read_header(bytes, &old) || bytes.length - HEADER_BYTES < body_bytes(&old, 4))
        return false;
    bytes = tims_str_slice(bytes, HEADER_BYTES + body_bytes(&old, 4), bytes.length);
    if (!read_header(bytes, &h) || bytes.length - HEADER_BYTES < body_bytes(&h, 8))
        return false;
    bytes = tims_str_slice(bytes, HEADER_BYTES, bytes.length);
    if (!read_changes(arena, bytes, &h, zone))
        return false;
    tims_str footer = tims_str_slice(bytes, body_bytes(&h, 8), bytes.length);
    if (footer.length < 2 || footer.data[0] != '\n' || footer.data[footer.length - 1] != '\n')
        return false;
    footer = tims_str_slice(footer, 1, footer.length - 1);
    return footer.length == 0 || read_rule(footer, &zone->rule);
}

tims_status tasks__zone_parse(tims_arena *arena, tims_str bytes, const tasks__zone **ret_zone,
                              tims_error *err)
{
    tasks__zone *zone = TIMS_NEW(arena, tasks__zone);
    if (!read_file(arena, bytes, zone))
        return tims_fail(err, TIMS_INVALID, "zone", "the file of the time zone is damaged");
    *ret_zone = zone;
    return TIMS_OK;
}

/* Letters, digits, _ + - and / between parts: nothing that leads out of the folder. */
static bool is_name(tims_str name)
{
    if (name.length == 0 || name.length > NAME_BYTES_MAX || name.data[0] == '/')
        return false;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        if (!is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && strchr("_+-/", c) == NULL)
            return false;
    }
    return true;
}

tims_status tasks__zone_load(tims_arena *arena, const char *name, const tasks__zone **ret_zone,
                             tims_error *err)
{
    if (name == NULL || strcmp(name, "UTC") == 0) {
        *ret_zone = TIMS_NEW(arena, tasks__zone);
        return TIMS_OK;
    }
    if (!is_name(tims_str_from(name)))
        return tims_fail(err, TIMS_INVALID, "zone", "\"%.100s\" is no time zone", name);
    char *bytes = tims_alloc_raw(arena, FILE_BYTES_MAX);
    tims_str path = tims_print(arena, "/usr/share/zoneinfo/%s", name);
    int fd = open(path.data, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, bytes, FILE_BYTES_MAX) : -1;
    if (fd >= 0)
        (void)close(fd);
    if (length < 0 && access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0)
        return tims_fail(err, TIMS_INVALID, "zone",
                         "the time zone \"%s\" is not known: this system has none (install tzdata)", name);
    if (length < 0)
        return tims_fail(err, TIMS_INVALID, "zone", "there is no time zone \"%s\"", name);
    return tasks__zone_parse(arena, (tims_str){ bytes, (size_t)length }, ret_zone, err);
}

/* --- the span of a time ------------------------------------------------------------------------------------ */

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t day_of_rule(const rule_day *d, int64_t year)
{
    int64_t first = tasks__day_of(year, 1, 1);
    if (d->kind == 'n')
        return first + d->day;
    if (d->kind == 'J')
        return first + d->day - 1 + (is_leap(year) && d->day >= 60);
    first = tasks__day_of(year, d->month, 1);
    int64_t next = d->month == 12 ? tasks__day_of(year + 1, 1, 1) : tasks__day_of(year, d->month + 1, 1);
    int64_t day = first + (d->day - tasks__weekday_of(first) + 7) % 7 + 7 * INT64_C(1) * (d->week - 1);
    return day >= next ? day - 7 : day;
}

static tasks__zone_span span_of_rule(const rule *r, int64_t time_s)
{
    enum { YEARS = 5 }; /* a rule may reach a week into its neighbour */
    change list[2 * YEARS];
    size_t count = 0;
    int64_t year = tasks__date_of(tasks__floor_div(time_s, DAY_S)).year;
    if (!r->has_summer)
        return (tasks__zone_span){ INT64_MIN, INT64_MAX, r->winter_s };
    for (int64_t y = year - 2; y <= year + 2; y++) {
        const change both[] = {
            { day_of_rule(&r->begin, y) * DAY_S + r->begin.second - r->winter_s, r->summer_s },
            { day_of_rule(&r->end, y) * DAY_S + r->end.second - r->summer_s, r->winter_s }
        };
        for (size_t i = 0; i < 2; i++) {
            size_t at = count++;
            for (; at > 0 && list[at - 1].at > both[i].at; at--)
                list[at] = list[at - 1];
            list[at] = both[i];
        }
    }
    size_t at = 0;
    while (at < count && list[at].at <= time_s)
        at++;
    TIMS_ASSERT(at > 0 && at < count);
    return (tasks__zone_span){ list[at - 1].at, list[at].at, list[at - 1].offset_s };
}

tasks__zone_span tasks__zone_at(const tasks__zone *zone, int64_t time_s)
{
    size_t low = 0, high = zone->count;
    while (low < high) { /* how many changes there were */
        size_t middle = low + (high - low) / 2;
        if (zone->changes[middle].at <= time_s)
            low = middle + 1;
        else
            high = middle;
    }
    tasks__zone_span span = { INT64_MIN, INT64_MAX, zone->first_s };
    if (low > 0)
        span = (tasks__zone_span){ zone->changes[low - 1].at, INT64_MAX, zone->changes[low - 1].offset_s };
    if (low < zone->count) {
        span.until = zone->changes[low].at;
        return span;
    }
    if (!zone->rule.is_there)
        return span;
    tasks__zone_span by_rule = span_of_rule(&zone->rule, time_s);
    if (low == 0 || by_rule.from > span.from)
        return by_rule;
    span.until = by_rule.until; /* the last change of the table: it has the rule's offset */
    return span;
}
