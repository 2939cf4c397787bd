/* id_test: UUIDs as bytes and text. */
#include "base/testing.h"

static void an_id_is_made_of_time_and_random_bytes(void **state)
{
    (void)state;
    const uint8_t random[10] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    char text[TIMS_ID_TEXT_LENGTH];
    tims_id id = tims_id_from_parts(0x0123456789ab, random);
    tims_id_format(id, text);
    assert_str(((tims_str){ text, sizeof text }), "01234567-89ab-7fff-bfff-ffffffffffff");
}

static void text_reads_back_in_either_case(void **state)
{
    (void)state;
    tims_id lower, upper;
    assert_true(tims_id_parse(TIMS_STR("0198c0de-cafe-7abc-8def-0123456789ab"), &lower));
    assert_true(tims_id_parse(TIMS_STR("0198C0DE-CAFE-7ABC-8DEF-0123456789AB"), &upper));
    assert_true(tims_same_id(lower, upper));
    char text[TIMS_ID_TEXT_LENGTH];
    tims_id_format(upper, text);
    assert_str(((tims_str){ text, sizeof text }), "0198c0de-cafe-7abc-8def-0123456789ab");
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "0198c0de-cafe-7abc-8def-0123456789a",
        "0198c0de-cafe-7abc-8def-0123456789abc",
        "0198c0decafe7abc8def0123456789ab0000",
        "0198c0de-cafe-7abc-8def-0123456789ag",
        "0198c0de_cafe-7abc-8def-0123456789ab",
        "{198c0de-cafe-7abc-8def-0123456789a}",
        "0198c0de-cafe-7abc-8de-f0123456789ab",
        "-198c0de-cafe-7abc-8def-0123456789ab",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tims_id id = { { 7 } };
        if (tims_id_parse(tims_str_from(bad[i]), &id))
            fail_msg("\"%s\" was taken", bad[i]);
        assert_int_equal(id.bytes[0], 7);
    }
}

static void zero_is_told_apart(void **state)
{
    (void)state;
    tims_id id = { { 0 } };
    assert_true(tims_id_is_zero(id));
    id.bytes[15] = 1;
    assert_false(tims_id_is_zero(id));
}

static void later_ids_are_greater_as_bytes(void **state)
{
    (void)state;
    const uint8_t high[10] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    const uint8_t low[10] = { 0 };
    tims_id earlier = tims_id_from_parts(1000, high), later = tims_id_from_parts(1001, low);
    assert_true(memcmp(earlier.bytes, later.bytes, 16) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_made_of_time_and_random_bytes),
        cmocka_unit_test(text_reads_back_in_either_case),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(zero_is_told_apart),
        cmocka_unit_test(later_ids_are_greater_as_bytes),
    };
    return cmocka_run_group_tests_name("id", tests, NULL, NULL);
}
