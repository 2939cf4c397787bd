/* time.c: the two clocks, and RFC 3339 both ways (proleptic Gregorian, UTC, no leap seconds). */
#include <time.h>

#include "tims/base.h"

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    TIMS_ASSERT(clock_gettime(clock, &now) == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

tims_time tims_now(void)
{
    return (tims_time){ read_clock(CLOCK_REALTIME) };
}

int64_t tims_monotonic_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

/* Days since 1970-01-01, by eras of 400 years. */
static int64_t days_from_date(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void date_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *ret_day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *ret_month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *ret_year = (int)(year_of_era + era * 400 + (*ret_month <= 2));
}

static void put_digits(char *at, int count, int64_t value)
{
    for (int i = count - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
}

enum { US_PER_SECOND = 1000000, SECONDS_PER_DAY = 86400 };
#define TIME_MIN INT64_C(-62167219200000000) /* 0000-01-01T00:00:00Z */
#define TIME_MAX INT64_C(253402300799999999) /* 9999-12-31T23:59:59.999999Z */

void tims_time_format(tims_time time, char ret_text[TIMS_TIME_TEXT_LENGTH])
{
    int64_t us = time.us < TIME_MIN ? TIME_MIN : time.us > TIME_MAX ? TIME_MAX : time.us;
    int64_t day_us = (int64_t)SECONDS_PER_DAY * US_PER_SECOND;
    int64_t days = us >= 0 ? us / day_us : (us - day_us + 1) / day_us;
    int64_t rest = us - days * day_us;
    int year, month, day;
    date_from_days(days, &year, &month, &day);
    put_digits(ret_text, 4, year);
    ret_text[4] = '-';
    put_digits(ret_text + 5, 2, month);
    ret_text[7] = '-';
    put_digits(ret_text + 8, 2, day);
    ret_text[10] = 'T';
    put_digits(ret_text + 11, 2, rest / (3600 * (int64_t)US_PER_SECOND));
    ret_text[13] = ':';
    put_digits(ret_text + 14, 2, rest / (60 * US_PER_SECOND) % 60);
    ret_text[16] = ':';
    put_digits(ret_text + 17, 2, rest / US_PER_SECOND % 60);
    ret_text[19] = '.';
    put_digits(ret_text + 20, 6, rest % US_PER_SECOND);
    ret_text[26] = 'Z';
}

/* Takes `count` digits, then the separator (0: none). */
static bool take_number(tims_str *text, size_t count, char separator, int *ret_value)
{
    int64_t value;
    if (text->length < count + (separator != 0) ||
        !tims_str_to_int((tims_str){ text->data, count }, 0, 9999, &value) || text->data[0] == '-' ||
        (separator != 0 && text->data[count] != separator))
        return false;
    size_t used = count + (separator != 0);
    *text = (tims_str){ text->data + used, text->length - used };
    *ret_value = (int)value;
    return true;
}

static bool take_fraction(tims_str *text, int64_t *ret_us)
{
    *ret_us = 0;
    if (text->length == 0 || text->data[0] != '.')
        return true;
    int64_t weight = US_PER_SECOND / 10;
    size_t at = 1;
    for (; at < text->length && text->data[at] >= '0' && text->data[at] <= '9'; at++, weight /= 10)
        *ret_us += (text->data[at] - '0') * weight;
    *text = (tims_str){ text->data + at, text->length - at };
    return at > 1 && at <= 10;
}

static bool take_offset(tims_str text, int64_t *ret_seconds)
{
    *ret_seconds = 0;
    if (text.length == 1 && (text.data[0] == 'Z' || text.data[0] == 'z'))
        return true;
    if (text.length != 6 || (text.data[0] != '+' && text.data[0] != '-'))
        return false;
    int sign = text.data[0] == '-' ? -1 : 1;
    int hours, minutes;
    text = tims_str_slice(text, 1, 6);
    if (!take_number(&text, 2, ':', &hours) || !take_number(&text, 2, 0, &minutes) || hours > 23 ||
        minutes > 59)
        return false;
    *ret_seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

static int days_of_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

bool tims_time_parse(tims_str text, tims_time *ret_time)
{
    int year, month, day, hour, minute, second;
    int64_t fraction, offset;
    if (text.length < 20 || !take_number(&text, 4, '-', &year) || !take_number(&text, 2, '-', &month) ||
        month < 1 || month > 12 || !take_number(&text, 2, 0, &day) || day < 1 ||
        day > days_of_month(year, month) || text.length == 0 ||
        (text.data[0] != 'T' && text.data[0] != 't' && text.data[0] != ' '))
        return false;
    text = tims_str_slice(text, 1, text.length);
    if (!take_number(&text, 2, ':', &hour) || !take_number(&text, 2, ':', &minute) ||
        !take_number(&text, 2, 0, &second) || hour > 23 || minute > 59 || second > 59 ||
        !take_fraction(&text, &fraction) || !take_offset(text, &offset))
        return false;
    int64_t seconds = days_from_date(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    *ret_time = (tims_time){ (seconds - offset) * US_PER_SECOND + fraction };
    return true;
}
