/* decimal_test: units and their text. */
#include "base/testing.h"
#include "tims/base.h"

static void text_and_units_are_the_same_number(void **state)
{
    (void)state;
    static const struct {
        int64_t units;
        uint8_t scale;
        const char *text;
    } rows[] = {
        { 0, 0, "0" },
        { 0, 2, "0.00" },
        { 5, 2, "0.05" },
        { -5, 2, "-0.05" },
        { 1234, 2, "12.34" },
        { -1250, 2, "-12.50" },
        { 7, 0, "7" },
        { 1, 18, "0.000000000000000001" },
        { TIMS_DECIMAL_UNITS_MAX, 18, "0.999999999999999999" },
        { -TIMS_DECIMAL_UNITS_MAX, 18, "-0.999999999999999999" },
        { TIMS_DECIMAL_UNITS_MAX, 0, "999999999999999999" },
        { -TIMS_DECIMAL_UNITS_MAX, 4, "-99999999999999.9999" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[TIMS_DECIMAL_TEXT_MAX];
        int64_t units = 42;
        assert_str(tims_decimal_format(rows[i].units, rows[i].scale, text), rows[i].text);
        assert_int_equal(tims_decimal_parse(tims_str_from(rows[i].text), rows[i].scale, &units),
                         TIMS_DECIMAL_FINE);
        assert_int_equal(units, rows[i].units);
    }
}

static void what_is_not_exact_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        tims_decimal_problem problem;
        int64_t units;
    } rows[] = {
        { "12", TIMS_DECIMAL_FINE, 1200 },
        { "12.3", TIMS_DECIMAL_FINE, 1230 },
        { "12.34000", TIMS_DECIMAL_FINE, 1234 },
        { "-0", TIMS_DECIMAL_FINE, 0 },
        { "000012.30", TIMS_DECIMAL_FINE, 1230 },
        { "12.345", TIMS_DECIMAL_TOO_FINE, 0 },
        { "9999999999999999.99", TIMS_DECIMAL_FINE, TIMS_DECIMAL_UNITS_MAX },
        { "10000000000000000", TIMS_DECIMAL_TOO_LARGE, 0 },
        { "99999999999999999999999999999999999999999999", TIMS_DECIMAL_TOO_LARGE, 0 },
        { "", TIMS_DECIMAL_MALFORMED, 0 },
        { "-", TIMS_DECIMAL_MALFORMED, 0 },
        { ".5", TIMS_DECIMAL_MALFORMED, 0 },
        { "5.", TIMS_DECIMAL_MALFORMED, 0 },
        { "1.2.3", TIMS_DECIMAL_MALFORMED, 0 },
        { "+1", TIMS_DECIMAL_MALFORMED, 0 },
        { "--1", TIMS_DECIMAL_MALFORMED, 0 },
        { "1e3", TIMS_DECIMAL_MALFORMED, 0 },
        { " 1", TIMS_DECIMAL_MALFORMED, 0 },
        { "1,5", TIMS_DECIMAL_MALFORMED, 0 },
        { "99999999999999999999999x", TIMS_DECIMAL_MALFORMED, 0 },
        { "1.9999x", TIMS_DECIMAL_MALFORMED, 0 },
        { "NaN", TIMS_DECIMAL_MALFORMED, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t units = 42;
        tims_decimal_problem problem = tims_decimal_parse(tims_str_from(rows[i].text), 2, &units);
        if (problem != rows[i].problem)
            fail_msg("%s: %d", rows[i].text, (int)problem);
        assert_int_equal(units, problem == TIMS_DECIMAL_FINE ? rows[i].units : 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_units_are_the_same_number),
        cmocka_unit_test(what_is_not_exact_is_refused),
    };
    return cmocka_run_group_tests_name("decimal", tests, NULL, NULL);
}
