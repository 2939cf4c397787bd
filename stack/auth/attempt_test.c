/* attempt_test: passwords tried and accounts made, from one address and from many; requests to a real server.
 */
#include "auth/testing_browser.h"

/* --- passwords --------------------------------------------------------------------------------------- */

/* From a strange address each, five each; the last answer's status. */
static int fail_from_everywhere(browser *b, int network, const char *name, int count)
{
    int status = 0;
    for (int i = 0; i < count; i++) {
        (void)snprintf(b->address, sizeof b->address, "X-Forwarded-For: 10.%d.2.%d\r\n", network, i / 5);
        status = login_as(b, name, "wrong horse 7").status;
    }
    return status;
}

static void ten_failures_lock_the_account_only_where_they_came_from(void **state)
{
    browser *b = *state, stranger = *b;
    register_as(b, "nora");
    sign_out(b);
    move_to(&stranger, "10.9.1.1");
    for (int i = 0; i < 10; i++)
        expect(b, login_as(&stranger, i % 2 == 0 ? "nora" : "NORA", "wrong horse 7"), 401, "credentials");
    testing_answer answer = login_as(&stranger, "nora", "correct horse 7");
    expect(b, answer, 429, "login_throttled");
    int64_t retry_s = 0;
    assert_true(tims_str_to_int(testing_header(&answer, "Retry-After"), 1, 901, &retry_s));
    assert_true(retry_s > 800);
    expect(b, login_as(b, "nora", "correct horse 7"), 200, NULL);
    sign_out(b);
    move_to(b, "10.9.1.2"); /* nobody knows this one; it is not the stranger's either */
    expect(b, login_as(b, "nora", "correct horse 7"), 200, NULL);
}

/* Tries at the same moment are counted before any of their passwords has been looked at. */
static void tries_at_one_account_are_counted_before_they_are_answered(void **state)
{
    browser *b = *state;
    enum { TRIES = 16 };
    int fds[TRIES], wrong = 0, refused = 0;
    tims_str body = TIMS_STR("{\"username\":\"nobody-at-once\",\"password\":\"wrong horse 7\"}");
    for (int i = 0; i < TRIES; i++) {
        fds[i] = testing_connect(server);
        testing_send(fds[i], tims_print(b->arena,
                                        "POST /api/auth/login/ HTTP/1.1\r\nHost: test.example\r\nConnection: "
                                        "close\r\n%sContent-Type: application/json\r\n"
                                        "Content-Length: %lld\r\n\r\n%S",
                                        b->address, (long long)body.length, body));
    }
    for (int i = 0; i < TRIES; i++) {
        int status = testing_parse(testing_receive(fds[i], b->arena)).status;
        wrong += status == 401;
        refused += status == 429;
        close(fds[i]);
    }
    assert_int_equal(wrong, 10);
    assert_int_equal(refused, TRIES - 10);
}

static void strangers_everywhere_cannot_lock_out_whom_the_account_knows(void **state)
{
    browser *b = *state, stranger = *b, travelling;
    server->auth->options.account_failures_max = 20;
    register_as(b, "norma");
    travelling = *b; /* with the session that was made at home */
    move_to(&travelling, "10.9.3.1");
    sign_out(b);
    sign_out(&stranger);
    assert_int_equal(fail_from_everywhere(&stranger, 31, "norma", 20), 401);
    assert_int_equal(fail_from_everywhere(&stranger, 32, "norma", 1), 429);
    move_to(&stranger, "10.9.3.2");
    expect(b, login_as(&stranger, "norma", "correct horse 7"), 429, "login_throttled");
    expect(b, login_as(&travelling, "norma", "correct horse 7"), 200, NULL);
    expect(b, login_as(b, "norma", "correct horse 7"), 200, NULL);
    /* their coming in does not give the strangers new tries */
    assert_int_equal(fail_from_everywhere(&stranger, 33, "norma", 1), 429);
    /* and a name that nobody has is answered alike */
    assert_int_equal(fail_from_everywhere(&stranger, 34, "normas-ghost", 20), 401);
    assert_int_equal(fail_from_everywhere(&stranger, 35, "normas-ghost", 1), 429);
    server->auth->options.account_failures_max = 100;
}

/* As after a restart: nothing is remembered but what the database has. */
static void a_known_address_is_known_again_by_its_session(void **state)
{
    browser *b = *state, stranger = *b;
    server->auth->options.account_failures_max = 20;
    register_as(b, "nuria");
    assert_int_equal(fail_from_everywhere(&stranger, 36, "nuria", 20), 401);
    auth__throttle_free(&server->auth->known);
    server->auth->known = auth__throttle_new();
    browser signed_out = *b;
    sign_out(&signed_out);
    expect(b, login_as(&signed_out, "nuria", "correct horse 7"), 429, "login_throttled");
    tims_auth_forget(server->auth, &tims_user_model, user_id("nuria"));
    int64_t deadline = tims_monotonic_us() + 10 * 1000000;
    int status = 429; /* until the loops have forgotten the session, and one reads it again */
    while (status == 429 && tims_monotonic_us() < deadline) {
        assert_true(is_signed_in(b));
        status = login_as(&signed_out, "nuria", "correct horse 7").status;
    }
    assert_int_equal(status, 200);
    server->auth->options.account_failures_max = 100;
}

static void an_address_makes_ten_accounts_an_hour(void **state)
{
    browser *b = *state;
    static const char taken[] = "{\"username\":\"crowd-0\",\"password\":\"correct horse 7\"}",
                      bad[] = "{\"username\":\"crowd-x\",\"password\":\"short\"}",
                      fresh[] = "{\"username\":\"crowd-10\",\"password\":\"correct horse 7\"}";
    for (int i = 0; i < 9; i++) {
        sign_out(b);
        register_as(b, c_string(b, tims_print(b->arena, "crowd-%d", i)));
    }
    sign_out(b);
    for (int i = 0; i < 3; i++) /* a mistake costs nothing */
        expect(b, ask(b, "POST", "/api/auth/register/", bad), 422, "/password min_length");
    expect(b, ask(b, "POST", "/api/auth/register/", taken), 409, "/username unique"); /* an answer does */
    testing_answer answer = ask(b, "POST", "/api/auth/register/", fresh);
    expect(b, answer, 429, "registration_throttled");
    int64_t retry_s = 0;
    assert_true(tims_str_to_int(testing_header(&answer, "Retry-After"), 3400, 3601, &retry_s));
    expect(b, login_as(b, "crowd-3", "correct horse 7"), 200, NULL); /* signing in is another thing */
    sign_out(b);
    move_to(b, "10.9.4.1");
    expect(b, ask(b, "POST", "/api/auth/register/", fresh), 201, NULL);
}

static void ten_failures_lock_the_address_for_a_while(void **state)
{
    browser *b = *state;
    register_as(b, "olga");
    b->session = b->csrf = (tims_str){ NULL, 0 };
    for (int i = 0; i < 10; i++) {
        tims_str name = tims_print(b->arena, "nobody-%d", i);
        expect(b, login_as(b, c_string(b, name), "wrong horse 7"), 401, "credentials");
    }
    expect(b, login_as(b, "olga", "correct horse 7"), 429, "login_throttled");
    (void)snprintf(b->address, sizeof b->address, "X-Forwarded-For: 10.9.2.2\r\n");
    expect(b, login_as(b, "olga", "correct horse 7"), 200, NULL);
}

/* However its addresses are written: "::" may stand for the zeros of a network's own half. */
static void a_home_with_many_addresses_is_one_address(void **state)
{
    browser *b = *state;
    static const char *const homes[][2] = { { "2001:db8:9::1:%x", "2001:db8:9::ffff:1" },
                                            { "2001:db8:9:8:%x::1", "2001:db8:9:8:7:6:5:4" },
                                            { "2001:db8::%x:3:2:1", "2001:0db8:0:0:9:9:9:9" } };
    register_as(b, "olaf");
    for (size_t home = 0; home < sizeof homes / sizeof homes[0]; home++) {
        b->session = b->csrf = (tims_str){ NULL, 0 };
        for (int i = 0; i < 10; i++) {
            char text[40];
            (void)snprintf(text, sizeof text, homes[home][0], 0x100 + i);
            (void)snprintf(b->address, sizeof b->address, "X-Forwarded-For: %s\r\n", text);
            tims_str name = tims_print(b->arena, "ghost-%d-%d", (int)home, i);
            expect(b, login_as(b, c_string(b, name), "wrong horse 7"), 401, "credentials");
        }
        (void)snprintf(b->address, sizeof b->address, "X-Forwarded-For: %s\r\n", homes[home][1]);
        expect(b, login_as(b, "olaf", "correct horse 7"), 429, "login_throttled");
    }
    (void)snprintf(b->address, sizeof b->address, "X-Forwarded-For: 2001:db8:9:9::1\r\n");
    expect(b, login_as(b, "olaf", "correct horse 7"), 200, NULL); /* the house beside it goes on */
}

static void success_starts_the_count_anew(void **state)
{
    browser *b = *state;
    register_as(b, "paul");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 8; i++) {
            (void)snprintf(b->address, sizeof b->address, "X-Forwarded-For: 10.9.3.%d\r\n", round * 10 + i);
            expect(b, login_as(b, "paul", "wrong horse 7"), 401, "credentials");
        }
        expect(b, login_as(b, "paul", "correct horse 7"), 200, NULL);
    }
}

/* --- more than is sound -------------------------------------------------------------------------------- */

static void past_so_many_hashes_at_once_one_is_told_to_come_again(void **state)
{
    browser *b = *state;
    register_as(b, "busy-bee");
    sign_out(b);
    atomic_store(&server->auth->hashes, AUTH__HASHES_MAX);
    for (int i = 0; i < 12; i++) { /* and nobody is locked out by it */
        testing_answer answer = login_as(b, "busy-bee", "correct horse 7");
        expect(b, answer, 503, "busy");
        assert_str(testing_header(&answer, "Retry-After"), "2");
    }
    atomic_store(&server->auth->hashes, 0);
    expect(b, login_as(b, "busy-bee", "correct horse 7"), 200, NULL);
}

static void the_present_password_is_not_found_by_trying(void **state)
{
    browser *b = *state;
    register_as(b, "petra");
    static const char wrong[] = "{\"old\":\"wrong horse 7\",\"new\":\"another horse 8\"}",
                      right[] = "{\"old\":\"correct horse 7\",\"new\":\"another horse 8\"}";
    for (int i = 0; i < 10; i++)
        expect(b, ask(b, "POST", "/api/auth/password/", wrong), 422, "/old wrong");
    testing_answer answer = ask(b, "POST", "/api/auth/password/", right);
    expect(b, answer, 429, "password_throttled");
    int64_t retry_s = 0;
    assert_true(tims_str_to_int(testing_header(&answer, "Retry-After"), 800, 901, &retry_s));
    sign_out(b);
    expect(b, login_as(b, "petra", "correct horse 7"), 200, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_browser, close_browser)
    const struct CMUnitTest tests[] = {
        TEST(ten_failures_lock_the_account_only_where_they_came_from),
        TEST(tries_at_one_account_are_counted_before_they_are_answered),
        TEST(strangers_everywhere_cannot_lock_out_whom_the_account_knows),
        TEST(a_known_address_is_known_again_by_its_session),
        TEST(an_address_makes_ten_accounts_an_hour),
        TEST(ten_failures_lock_the_address_for_a_while),
        TEST(a_home_with_many_addresses_is_one_address),
        TEST(success_starts_the_count_anew),
        TEST(past_so_many_hashes_at_once_one_is_told_to_come_again),
        TEST(the_present_password_is_not_found_by_trying),
    };
    return cmocka_run_group_tests_name("attempt", tests, start, stop);
}
