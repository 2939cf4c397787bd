/* token_test: a device's tokens: fresh ones, and what becomes of those before them. */
#include "auth/testing_browser.h"

static tims_str register_device(browser *b, const char *name)
{
    tims_str body = tims_print(
        b->arena, "{\"username\":\"%s\",\"password\":\"correct horse 7\",\"device\":\"phone\"}", name);
    testing_answer answer = ask(b, "POST", "/api/auth/register/", c_string(b, body));
    assert_null(testing_cookie(&answer, "tims_session").data);
    return token_in(b, answer, 201);
}

static int status_of(browser *b, tims_str token)
{
    return ask_with_token(b, "GET", "/plain/", token, NULL).status;
}

static tims_str refresh(browser *b, tims_str token)
{
    return token_in(b, ask_with_token(b, "POST", "/api/auth/token/refresh/", token, "{}"), 200);
}

/* Each over a connection of its own, so that every loop is asked. */
static bool becomes_refused(browser *b, tims_str token)
{
    int64_t deadline = tims_monotonic_us() + 10 * 1000000;
    int in_a_row = 0;
    while (in_a_row < 20 && tims_monotonic_us() < deadline)
        in_a_row = status_of(b, token) == 401 ? in_a_row + 1 : 0;
    return in_a_row == 20;
}

static int64_t count_sessions(const browser *b, const char *name)
{
    return testing_sql_int(server,
                           c_string(b, tims_print(b->arena,
                                                  "SELECT count(*) FROM auth_session s JOIN \"user\" u "
                                                  "ON u.id = s.\"user\" WHERE u.username = '%s'",
                                                  name)));
}

static void a_device_may_be_what_makes_an_account(void **state)
{
    browser *b = *state;
    tims_str token = register_device(b, "dora");
    assert_str(ask_with_token(b, "GET", "/private/", token, NULL).body, "dora");
    expect(b, ask_with_token(b, "POST", "/change/", token, "{}"), 200, NULL);
    /* from a page of another origin, as a native shell's is */
    const testing_ask request = {
        .method = "POST",
        .path = "/api/auth/register/",
        .headers = c_string(b, tims_print(b->arena, "%sOrigin: capacitor://localhost\r\n", b->address)),
        .type = "application/json",
        .body = TIMS_STR("{\"username\":\"doris\",\"password\":\"correct horse 7\",\"device\":\"\"}")
    };
    (void)token_in(b, testing_call(server, b->arena, &request), 201);
}

static void the_old_token_holds_until_the_fresh_one_is_used(void **state)
{
    browser *b = *state;
    tims_str old = register_device(b, "eva"), fresh = refresh(b, old);
    for (int i = 0; i < 20; i++)
        assert_int_equal(status_of(b, old), 200); /* the answer may have got lost */
    assert_int_equal(status_of(b, fresh), 200);
    assert_true(becomes_refused(b, old));
    for (int i = 0; i < 20; i++)
        assert_int_equal(status_of(b, fresh), 200);
    assert_int_equal(count_sessions(b, "eva"), 1);
}

static void of_several_fresh_ones_the_last_counts(void **state)
{
    browser *b = *state;
    tims_str old = register_device(b, "fanny"), lost = refresh(b, old), fresh = refresh(b, old);
    assert_true(becomes_refused(b, lost));
    assert_int_equal(status_of(b, fresh), 200);
    assert_true(becomes_refused(b, old));
    assert_int_equal(status_of(b, fresh), 200);
}

static void a_fresh_one_may_first_be_used_to_get_the_next(void **state)
{
    browser *b = *state;
    tims_str first = register_device(b, "gerda"), second = refresh(b, first), third = refresh(b, second);
    assert_true(becomes_refused(b, first));
    assert_int_equal(status_of(b, third), 200);
    assert_true(becomes_refused(b, second));
    assert_int_equal(status_of(b, third), 200);
    assert_int_equal(count_sessions(b, "gerda"), 1);
}

static void a_used_up_token_gets_no_fresh_one(void **state)
{
    browser *b = *state;
    tims_str old = register_device(b, "hanna"), fresh = refresh(b, old);
    assert_int_equal(status_of(b, fresh), 200);
    assert_true(becomes_refused(b, old));
    expect(b, ask_with_token(b, "POST", "/api/auth/token/refresh/", old, "{}"), 401, "session");
    assert_int_equal(status_of(b, fresh), 200);
}

static void who_has_no_token_gets_no_fresh_one(void **state)
{
    browser *b = *state;
    expect(b, ask(b, "POST", "/api/auth/token/refresh/", "{}"), 401, "unauthorized");
    expect(b, ask_with_token(b, "POST", "/api/auth/token/refresh/", TIMS_STR("nonsense"), "{}"), 401,
           "session");
    register_as(b, "ines");
    expect(b, ask(b, "POST", "/api/auth/token/refresh/", "{}"), 409, "no_token");
    tims_str cookie = b->session;
    expect(b, ask_with_token(b, "POST", "/api/auth/token/refresh/", cookie, "{}"), 401, "session");
}

static void an_ended_token_gets_no_fresh_one_and_a_refreshed_one_lives_on(void **state)
{
    browser *b = *state;
    tims_str old = register_device(b, "jana");
    b->session = old;
    change_session(b, "expires_at", tims_now().us + 60 * 1000000);
    tims_str fresh = refresh(b, old);
    assert_true(testing_sql_int(server, "SELECT count(*) FROM auth_session WHERE next_hash IS NOT NULL") >=
                1);
    assert_int_equal(status_of(b, fresh), 200);
    assert_true(becomes_refused(b, old));
    b->session = fresh;
    change_session(b, "expires_at", tims_now().us - 1);
    assert_true(becomes_refused(b, fresh));
    expect(b, ask_with_token(b, "POST", "/api/auth/token/refresh/", fresh, "{}"), 401, "session");
}

/* Two at once: nobody gets an error of ours, and what is told last is what counts. */
typedef struct racer {
    browser own;
    tims_str token;
    testing_answer answer;
} racer;

static void *race(void *argument)
{
    racer *r = argument;
    r->answer = ask_with_token(&r->own, "POST", "/api/auth/token/refresh/", r->token, "{}");
    return NULL;
}

static void of_two_that_are_asked_for_at_once_one_counts(void **state)
{
    browser *b = *state;
    tims_str old = register_device(b, "karla");
    for (int round = 0; round < 10; round++) {
        racer racers[2];
        pthread_t threads[2];
        int works = 0;
        for (int i = 0; i < 2; i++) {
            racers[i] = (racer){ .own = *b, .token = old };
            racers[i].own.arena = tims_arena_new(64 << 20, NULL, NULL);
            assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
        }
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        tims_str next = old;
        for (int i = 0; i < 2; i++) {
            tims_str fresh = token_in(b, racers[i].answer, 200);
            if (status_of(b, fresh) == 200) {
                works++;
                next = tims_copy(b->arena, fresh);
            }
        }
        assert_int_equal(works, 1);
        assert_true(becomes_refused(b, old));
        old = next;
        for (int i = 0; i < 2; i++)
            tims_arena_free(&racers[i].own.arena);
    }
    assert_int_equal(count_sessions(b, "karla"), 1);
}

static void signing_out_ends_both(void **state)
{
    browser *b = *state;
    tims_str old = register_device(b, "lena"), fresh = refresh(b, old);
    expect(b, ask_with_token(b, "POST", "/api/auth/logout/", old, NULL), 200, NULL);
    assert_true(becomes_refused(b, old));
    assert_true(becomes_refused(b, fresh));
    assert_int_equal(count_sessions(b, "lena"), 0);
}

static void a_device_that_changes_the_password_stays_and_the_others_go(void **state)
{
    browser *b = *state;
    tims_str here = register_device(b, "maja");
    tims_str there = token_in(
        b, ask(b, "POST", "/api/auth/token/", "{\"username\":\"maja\",\"password\":\"correct horse 7\"}"),
        201);
    tims_str fresh = token_in(b,
                              ask_with_token(b, "POST", "/api/auth/password/", here,
                                             "{\"old\":\"correct horse 7\",\"new\":\"another horse 8\"}"),
                              200);
    assert_true(becomes_refused(b, here));
    assert_true(becomes_refused(b, there));
    assert_int_equal(status_of(b, fresh), 200);
    assert_int_equal(count_sessions(b, "maja"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_browser, close_browser)
    const struct CMUnitTest tests[] = {
        TEST(a_device_may_be_what_makes_an_account),
        TEST(the_old_token_holds_until_the_fresh_one_is_used),
        TEST(of_several_fresh_ones_the_last_counts),
        TEST(a_fresh_one_may_first_be_used_to_get_the_next),
        TEST(a_used_up_token_gets_no_fresh_one),
        TEST(who_has_no_token_gets_no_fresh_one),
        TEST(an_ended_token_gets_no_fresh_one_and_a_refreshed_one_lives_on),
        TEST(of_two_that_are_asked_for_at_once_one_counts),
        TEST(signing_out_ends_both),
        TEST(a_device_that_changes_the_password_stays_and_the_others_go),
    };
    return cmocka_run_group_tests_name("token", tests, start, stop);
}
