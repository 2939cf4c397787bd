/* date.c: the date format of HTTP headers: Sun, 06 Nov 1994 08:49:37 GMT. No clock, no locale, no time zone.
 */
#include <string.h>

#include "proto/proto_internal.h"

enum { DAY_S = 86400 };
static const char weekdays[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* Days since 1970 of a date of the Gregorian calendar; years start in March so that leap days come last. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_of(int64_t days, int64_t *ret_year, int64_t *ret_month, int64_t *ret_day)
{
    days += 719468;
    int64_t era = days / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *ret_day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *ret_month = shifted + (shifted < 10 ? 3 : -9);
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

static void put_number(char *at, int digits, int64_t number)
{
    for (int i = digits - 1; i >= 0; i--, number /= 10)
        at[i] = (char)('0' + number % 10);
}

void tims_http_date_format(int64_t unix_s, char ret_text[TIMS_HTTP_DATE_LENGTH])
{
    const int64_t last = 253402300799; /* 9999-12-31T23:59:59 */
    unix_s = unix_s < 0 ? 0 : unix_s > last ? last : unix_s;
    int64_t year, month, day;
    date_of(unix_s / DAY_S, &year, &month, &day);
    memcpy(ret_text, "Thu, 01 Jan 1970 00:00:00 GMT", TIMS_HTTP_DATE_LENGTH);
    memcpy(ret_text, weekdays + 3 * (unix_s / DAY_S % 7), 3);
    put_number(ret_text + 5, 2, day);
    memcpy(ret_text + 8, months + 3 * (month - 1), 3);
    put_number(ret_text + 12, 4, year);
    put_number(ret_text + 17, 2, unix_s / 3600 % 24);
    put_number(ret_text + 20, 2, unix_s / 60 % 60);
    put_number(ret_text + 23, 2, unix_s % 60);
}

static bool get_number(tims_str text, size_t at, size_t digits, int64_t min, int64_t max, int64_t *ret_number)
{
    int64_t number = 0;
    for (size_t i = at; i < at + digits; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (text.data[i] - '0');
    }
    *ret_number = number;
    return number >= min && number <= max;
}

static int64_t month_of(const char *name)
{
    for (int64_t i = 0; i < 12; i++)
        if (memcmp(months + 3 * i, name, 3) == 0)
            return i + 1;
    return 0;
}

/* Only the form that everybody has written since 1999. A wrong weekday is refused with everything else that
 * cannot be: formatting what was read must give the same text. */
bool tims_http_date_parse(tims_str text, int64_t *ret_unix_s)
{
    int64_t day, year, hour, minute, second;
    if (text.length != TIMS_HTTP_DATE_LENGTH)
        return false;
    int64_t month = month_of(text.data + 8);
    if (month == 0 || !get_number(text, 5, 2, 1, 31, &day) || !get_number(text, 12, 4, 1970, 9999, &year) ||
        !get_number(text, 17, 2, 0, 23, &hour) || !get_number(text, 20, 2, 0, 59, &minute) ||
        !get_number(text, 23, 2, 0, 59, &second))
        return false;
    int64_t unix_s = days_of(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
    char again[TIMS_HTTP_DATE_LENGTH];
    tims_http_date_format(unix_s, again);
    if (memcmp(again, text.data, TIMS_HTTP_DATE_LENGTH) != 0)
        return false;
    *ret_unix_s = unix_s;
    return true;
}
