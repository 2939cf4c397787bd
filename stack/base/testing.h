/* testing.h: what every unit test starts with. For tests only. */
#ifndef TIMS_BASE_TESTING_H
#define TIMS_BASE_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tims/base.h"

/* Compares a slice with a C string and shows both when they differ. */
#define assert_str(actual, expected)                                                                 \
    do {                                                                                             \
        tims_str actual_ = (actual);                                                                 \
        tims_str expected_ = tims_str_from(expected);                                                \
        if (!tims_str_equal(actual_, expected_))                                                     \
            fail_msg("got \"%.*s\", expected \"%.*s\"", TIMS_PRINT(actual_), TIMS_PRINT(expected_)); \
    } while (0)

#endif
