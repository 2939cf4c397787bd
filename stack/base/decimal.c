/* decimal: numbers with a fixed count of digits behind the point, as units of 10^-scale.
 *
 * Eighteen digits fit int64_t whatever they are, and so does every sum of two; doubles have no part in it. */
#include "tims/base.h"

bool tims_decimal_fits(int64_t units)
{
    return units >= -TIMS_DECIMAL_UNITS_MAX && units <= TIMS_DECIMAL_UNITS_MAX;
}

tims_str tims_decimal_format(int64_t units, uint8_t scale, char ret_text[TIMS_DECIMAL_TEXT_MAX])
{
    TIMS_ASSERT(scale <= TIMS_DECIMAL_DIGITS);
    char *at = ret_text + TIMS_DECIMAL_TEXT_MAX;
    uint64_t rest = units < 0 ? -(uint64_t)units : (uint64_t)units;
    for (int digits = 0; rest > 0 || digits <= scale; digits++) {
        if (digits == scale && scale > 0)
            *--at = '.';
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    }
    if (units < 0)
        *--at = '-';
    return (tims_str){ at, (size_t)(ret_text + TIMS_DECIMAL_TEXT_MAX - at) };
}

static bool add_digit(int64_t *units, char digit)
{
    if (*units > TIMS_DECIMAL_UNITS_MAX / 10)
        return false;
    *units = *units * 10 + (digit - '0');
    return true;
}

tims_decimal_problem tims_decimal_parse(tims_str text, uint8_t scale, int64_t *ret_units)
{
    TIMS_ASSERT(scale <= TIMS_DECIMAL_DIGITS);
    bool negative = text.length > 0 && text.data[0] == '-', point = false;
    int64_t units = 0;
    size_t whole = 0, behind = 0;
    tims_decimal_problem problem = TIMS_DECIMAL_FINE;
    for (size_t i = negative; i < text.length; i++) {
        char c = text.data[i];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9')
            return TIMS_DECIMAL_MALFORMED;
        *(point ? &behind : &whole) += 1;
        if (problem != TIMS_DECIMAL_FINE) /* all of it is looked at: what is no number is no large number */
            continue;
        if (behind > scale && c != '0')
            problem = TIMS_DECIMAL_TOO_FINE;
        else if (behind <= scale && !add_digit(&units, c))
            problem = TIMS_DECIMAL_TOO_LARGE;
    }
    if (whole == 0 || (point && behind == 0))
        return TIMS_DECIMAL_MALFORMED;
    for (; behind < scale && problem == TIMS_DECIMAL_FINE; behind++)
        if (!add_digit(&units, '0'))
            problem = TIMS_DECIMAL_TOO_LARGE;
    if (problem == TIMS_DECIMAL_FINE)
        *ret_units = negative ? -units : units;
    return problem;
}
