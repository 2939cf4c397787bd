/* password_rule_test: a table of password → answer. */
#include "base/testing.h"

#include "auth/auth_internal.h"

static void passwords_are_judged(void **state)
{
    (void)state;
    static const struct {
        const char *password, *username, *email, *code; /* NULL: fine */
    } rows[] = {
        { "correct horse battery", "anna", "", NULL },
        { "demo-pass-1", "demo", "", NULL },
        { "demo-pass-1", "testUser0", "", NULL },
        { "tr0ub4dor&3", "anna", "anna@example.org", NULL },
        { "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa4\xc3\xb6x9", "anna", "", NULL }, /* 8 code points */
        { "short", "anna", "", "min_length" },
        { "1234567", "anna", "", "min_length" },
        { "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f", "anna", "", "min_length" }, /* 8 bytes, 4 code points */
        { "\xff\xff\xff\xff\xff\xff\xff\xff", "anna", "", "encoding" },
        { "password", "anna", "", "common" },
        { "PassWord", "anna", "", "common" },
        { "password1", "anna", "", "common" },
        { "p4$$w0rd", "anna", "", "common" },
        { "Password2024!", "anna", "", "common" },
        { "welcome1!", "anna", "", "common" },
        { "12345678", "anna", "", "common" },
        { "qwertyuiop", "anna", "", "common" },
        { "iloveyou", "anna", "", "common" },
        { "aaaaaaaa", "anna", "", "common" },
        { "abababab", "anna", "", "common" },
        { "abcdefghij", "anna", "", "common" },
        { "98765432", "anna", "", "common" },
        { "annaberta", "annaberta", "", "similar" },
        { "AnnaBerta1", "annaberta", "", "similar" },
        { "annaberta2024", "annaberta", "", "similar" },
        { "annaanna", "anna", "", "similar" },
        { "anna1234", "anna", "", "similar" },
        { "a.n.n.a.b.e.r.t.a", "annaberta", "", "similar" },
        { "someone77", "anna", "someone@example.org", "similar" },
        { "someone@example.org", "anna", "someone@example.org", "similar" },
        { "annabertas", "annaberta", "", "similar" },
    };
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tims_error err = { 0 };
        tims_status status =
            tims_password_check_rules(arena, tims_str_from(rows[i].password), tims_str_from(rows[i].username),
                                      tims_str_from(rows[i].email), &err);
        const char *code = status == TIMS_OK ? NULL : err.fields->code;
        if ((code == NULL) != (rows[i].code == NULL) || (code != NULL && strcmp(code, rows[i].code) != 0))
            fail_msg("\"%s\" of %s: %s", rows[i].password, rows[i].username, code);
        if (code != NULL)
            assert_str(err.fields->pointer, "/password");
    }
    tims_arena_free(&arena);
}

static void very_long_passwords_are_judged_by_their_length(void **state)
{
    (void)state;
    char longer[300];
    for (size_t i = 0; i < sizeof longer; i++)
        longer[i] = (char)('a' + (i * 7 + i / 9) % 26);
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_error err = { 0 };
    assert_int_equal(
        tims_password_check_rules(arena, (tims_str){ longer, 256 }, TIMS_STR("anna"), TIMS_STR(""), &err),
        TIMS_OK);
    assert_int_equal(
        tims_password_check_rules(arena, (tims_str){ longer, 257 }, TIMS_STR("anna"), TIMS_STR(""), &err),
        TIMS_INVALID);
    assert_string_equal(err.fields->code, "max_length");
    tims_arena_free(&arena);
}

static void nothing_is_similar_to_an_empty_name(void **state)
{
    (void)state;
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    assert_int_equal(tims_password_check_rules(arena, TIMS_STR("plain words here"), (tims_str){ NULL, 0 },
                                               (tims_str){ NULL, 0 }, NULL),
                     TIMS_OK);
    tims_arena_free(&arena);
}

/* The table is searched by halves: it must be in order. Each row is asked for through its neighbours' order.
 */
static void the_common_table_finds_its_ends_and_middle(void **state)
{
    (void)state;
    static const char *const there[] = { "password", "qwerty", "abc123", "zxcvbnm",
                                         "00000000", "zombie", "monkey" };
    for (size_t i = 0; i < sizeof there / sizeof there[0]; i++)
        assert_true(auth__password_is_common(tims_str_from(there[i])));
    assert_false(auth__password_is_common(TIMS_STR("")));
    assert_false(auth__password_is_common(TIMS_STR("passwor")));
    assert_false(auth__password_is_common(TIMS_STR("~~~~~~~~~")));
}

static void redirects_lead_to_paths_of_this_site_only(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool ok;
    } rows[] = {
        { "/", true },
        { "/chats?x=1#y", true },
        { "/chat/1", true },
        { "", false },
        { "chats", false },
        { "//evil.org", false },
        { "/\\evil.org", false },
        { "https://evil.org", false },
        { "/a\r\nX: y", false },
        { "/a b", false },
        { "/\xc3\xa4", false },
        { "javascript:x", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (auth__is_local_path(tims_str_from(rows[i].path)) != rows[i].ok)
            fail_msg("\"%s\"", rows[i].path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwords_are_judged),
        cmocka_unit_test(very_long_passwords_are_judged_by_their_length),
        cmocka_unit_test(nothing_is_similar_to_an_empty_name),
        cmocka_unit_test(the_common_table_finds_its_ends_and_middle),
        cmocka_unit_test(redirects_lead_to_paths_of_this_site_only),
    };
    return cmocka_run_group_tests_name("password_rule", tests, NULL, NULL);
}
