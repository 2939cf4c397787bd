/* cookie_test.c: cookies are found by their exact name and written so that no value can break out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tims/proto.h"

#define assert_str(actual, expected) assert_true(tims_str_equal((actual), tims_str_from(expected)))

static void cookies_are_found_by_their_exact_name(void **state)
{
    (void)state;
    tims_str header = TIMS_STR("a=1; session=abc ;b=\"q u\";session=later; empty=; novalue; x=y=z");
    assert_str(tims_cookie_get(header, TIMS_STR("a")), "1");
    assert_str(tims_cookie_get(header, TIMS_STR("session")), "abc");
    assert_str(tims_cookie_get(header, TIMS_STR("b")), "q u");
    assert_str(tims_cookie_get(header, TIMS_STR("x")), "y=z");
    assert_str(tims_cookie_get(header, TIMS_STR("empty")), "");
    assert_non_null(tims_cookie_get(header, TIMS_STR("empty")).data);
    assert_null(tims_cookie_get(header, TIMS_STR("novalue")).data);
    assert_null(tims_cookie_get(header, TIMS_STR("Session")).data);
    assert_null(tims_cookie_get(header, TIMS_STR("sess")).data);
    assert_null(tims_cookie_get((tims_str){ 0 }, TIMS_STR("a")).data);
    assert_null(tims_cookie_get(TIMS_STR(";;=;"), TIMS_STR("a")).data);
}

static void cookies_are_written_with_all_their_attributes(void **state)
{
    (void)state;
    static const struct {
        tims_cookie cookie;
        const char *text;
    } rows[] = {
        { { .name = TIMS_STR_INIT("a"), .value = TIMS_STR_INIT("1") }, "a=1; Path=/; SameSite=Strict" },
        { { .name = TIMS_STR_INIT("__Host-s"),
            .value = TIMS_STR_INIT("x/y+z="),
            .max_age_s = 60,
            .secure = true,
            .http_only = true,
            .same_site_lax = true },
          "__Host-s=x/y+z=; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax" },
        { { .name = TIMS_STR_INIT("a"), .value = TIMS_STR_INIT("gone"), .max_age_s = -1 },
          "a=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; SameSite=Strict" },
        { { .name = TIMS_STR_INIT("a"), .value = TIMS_STR_INIT("1; Domain=evil\r\nX: y, \"\\%\xc3\xa4") },
          "a=1%3B%20Domain=evil%0D%0AX:%20y%2C%20%22%5C%25%C3%A4; Path=/; SameSite=Strict" },
    };
    tims_arena *arena = tims_arena_new(1 << 16, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_str(tims_cookie_format(arena, &rows[i].cookie), rows[i].text);
    tims_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cookies_are_found_by_their_exact_name),
        cmocka_unit_test(cookies_are_written_with_all_their_attributes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
