/* auth_test: signing in and out, forged and ended sessions, throttling, CSRF: requests to a real server,
 * answers in a table where one line says it. */
#include "auth/testing_browser.h"

/* --- signing in and out ------------------------------------------------------------------------------ */

static void the_right_password_signs_in_whatever_the_names_case(void **state)
{
    browser *b = *state;
    register_as(b, "Carla");
    b->session = b->csrf = (tims_str){ NULL, 0 };
    expect(b, login_as(b, "cARLA", "correct horse 7"), 200, NULL);
    assert_str(ask(b, "GET", "/private/", NULL).body, "Carla");
}

static void a_wrong_password_and_an_unknown_name_get_the_same_answer(void **state)
{
    browser *b = *state;
    register_as(b, "dora");
    b->session = b->csrf = (tims_str){ NULL, 0 };
    testing_answer wrong = login_as(b, "dora", "wrong horse 7"),
                   unknown = login_as(b, "nobody-here", "wrong horse 7");
    expect(b, wrong, 401, "credentials");
    expect(b, unknown, 401, "credentials");
    assert_null(testing_cookie(&wrong, "tims_session").data);
    size_t shared = tims_str_find(wrong.body, TIMS_STR("\"request_id\""));
    assert_str(tims_str_slice(unknown.body, 0, shared), c_string(b, tims_str_slice(wrong.body, 0, shared)));
}

static void signing_in_gives_a_new_session_and_ends_the_old_one(void **state)
{
    browser *b = *state;
    register_as(b, "emil");
    browser old = *b;
    expect(b, login_as(b, "emil", "correct horse 7"), 200, NULL);
    assert_false(tims_str_equal(b->session, old.session));
    assert_false(tims_str_equal(b->csrf, old.csrf));
    assert_true(is_signed_in(b));
    assert_true(becomes_signed_out(&old));
    assert_true(is_signed_in(b));
}

static void a_signed_out_session_is_nobody_on_every_loop(void **state)
{
    browser *b = *state;
    register_as(b, "frieda");
    for (int i = 0; i < 10; i++) /* both loops remember it */
        assert_true(is_signed_in(b));
    browser old = *b;
    testing_answer answer = ask(b, "POST", "/api/auth/logout/", NULL);
    expect(b, answer, 200, NULL);
    assert_true(tims_str_starts_with(answer.body, TIMS_STR("{\"user\":null,")));
    assert_int_equal(b->session.length, 0);
    assert_true(becomes_signed_out(&old));
    expect(b, ask(&old, "GET", "/private/", NULL), 401, "unauthorized");
}

/* The row is gone only if the commit is taken, which it is not while another one names it. */
static void what_is_rolled_back_takes_and_gives_no_cookie(void **state)
{
    browser *b = *state;
    register_as(b, "friedrich");
    testing_sql(server, testing_on_postgres()
                            ? "CREATE TABLE holds (session UUID REFERENCES auth_session (id) DEFERRABLE "
                              "INITIALLY DEFERRED)"
                            : "CREATE TABLE holds (session BLOB REFERENCES auth_session (id) DEFERRABLE "
                              "INITIALLY DEFERRED)");
    testing_sql(server, "INSERT INTO holds SELECT id FROM auth_session");
    browser old = *b;
    testing_answer answer = ask(b, "POST", "/api/auth/logout/", NULL);
    expect(b, answer, 409, NULL);
    assert_null(testing_cookie(&answer, "tims_session").data);
    assert_null(testing_cookie(&answer, "csrf").data);
    assert_null(testing_header(&answer, "Clear-Site-Data").data);
    answer = login_as(b, "friedrich", "correct horse 7"); /* which would end the session before */
    expect(b, answer, 409, NULL);
    assert_null(testing_cookie(&answer, "tims_session").data);
    assert_null(testing_cookie(&answer, "csrf").data);
    assert_true(is_signed_in(&old));
    testing_sql(server, "DROP TABLE holds");
    expect(b, ask(b, "POST", "/api/auth/logout/", NULL), 200, NULL);
    assert_true(becomes_signed_out(&old));
}

static void signing_out_everywhere_ends_browsers_and_devices(void **state)
{
    browser *b = *state, second, stranger;
    register_as(b, "gustav");
    second = stranger = *b;
    second.session = second.csrf = stranger.session = stranger.csrf = (tims_str){ NULL, 0 };
    expect(b, login_as(&second, "gustav", "correct horse 7"), 200, NULL);
    register_as(&stranger, "gustav-not");
    expect(b,
           ask(b, "POST", "/api/auth/token/", "{\"username\":\"gustav\",\"password\":\"correct horse 7\"}"),
           201, NULL);
    for (int i = 0; i < 10; i++)
        assert_true(is_signed_in(b) && is_signed_in(&second));
    browser old = *b;
    expect(b, ask(b, "POST", "/api/auth/logout-everywhere/", NULL), 200, NULL);
    assert_true(becomes_signed_out(&second));
    assert_true(becomes_signed_out(&old));
    assert_true(is_signed_in(&stranger));
    assert_int_equal(
        testing_sql_int(server, "SELECT count(*) FROM auth_session s JOIN \"user\" u ON u.id = s.\"user\" "
                                "WHERE u.username = 'gustav'"),
        0);
}

static void forged_and_foreign_cookies_are_nobody(void **state)
{
    browser *b = *state;
    register_as(b, "hanna");
    tims_str real = b->session;
    char changed[TIMS_TOKEN_TEXT_LENGTH];
    memcpy(changed, real.data, sizeof changed);
    changed[0] = changed[0] == 'A' ? 'B' : 'A';
    const tims_str forged[] = { { changed, sizeof changed },
                                tims_str_slice(real, 0, 42),
                                TIMS_STR("x"),
                                TIMS_STR("' OR '1'='1"),
                                TIMS_STR("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
                                tims_print(b->arena, "%SA", real) };
    for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
        b->session = forged[i];
        assert_false(is_signed_in(b));
        expect(b, ask(b, "GET", "/private/", NULL), 401, "unauthorized");
    }
    /* what the database keeps of a token is no token */
    char hash[TIMS_TOKEN_HASH_TEXT_LENGTH];
    tims_token_hash(real, hash);
    b->session = (tims_str){ hash, sizeof hash };
    assert_false(is_signed_in(b));
    b->session = real;
    assert_true(is_signed_in(b));
}

static void a_session_ends_at_its_time(void **state)
{
    browser *b = *state;
    register_as(b, "ida");
    assert_true(is_signed_in(b));
    change_session(b, "expires_at", 1);
    assert_true(becomes_signed_out(b));
}

static void a_session_ends_when_it_is_not_used(void **state)
{
    browser *b = *state;
    register_as(b, "jana");
    assert_true(is_signed_in(b));
    int64_t idle_us = 14 * AUTH__DAY_S * 1000000;
    change_session(b, "last_used_at", tims_now().us - idle_us - 1);
    assert_true(becomes_signed_out(b));
}

static void its_last_use_is_written_now_and_then(void **state)
{
    browser *b = *state;
    register_as(b, "jonas");
    int64_t past_us = tims_now().us - INT64_C(3600) * 1000000;
    static const char last_use[] = "SELECT s.last_used_at FROM auth_session s JOIN \"user\" u ON u.id = "
                                   "s.\"user\" WHERE u.username = 'jonas'";
    change_session(b, "last_used_at", past_us);
    int64_t deadline = tims_monotonic_us() + 10 * 1000000, written = past_us;
    while (written == past_us && tims_monotonic_us() < deadline) {
        assert_true(is_signed_in(b));
        written = testing_sql_int(server, last_use);
    }
    assert_true(written > past_us);
    for (int i = 0; i < 20; i++)
        assert_true(is_signed_in(b));
    int64_t later = testing_sql_int(server, last_use);
    assert_true(later - written < INT64_C(10) * 1000000);
}

static void a_user_switched_off_is_out_and_cannot_come_back(void **state)
{
    browser *b = *state;
    register_as(b, "karl");
    assert_true(is_signed_in(b));
    testing_sql(server, "UPDATE \"user\" SET active = FALSE WHERE username = 'karl'");
    tims_auth_forget(server->auth, &tims_user_model, user_id("karl"));
    assert_true(becomes_signed_out(b));
    expect(b, login_as(b, "karl", "correct horse 7"), 401, "credentials");
}

static void who_becomes_staff_is_let_in(void **state)
{
    browser *b = *state;
    register_as(b, "lara");
    expect(b, ask(b, "GET", "/staff/", NULL), 403, "forbidden");
    testing_sql(server, "UPDATE \"user\" SET staff = TRUE WHERE username = 'lara'");
    tims_auth_forget(server->auth, &tims_user_model, user_id("lara"));
    int64_t deadline = tims_monotonic_us() + 10 * 1000000;
    int status = 0;
    while (status != 200 && tims_monotonic_us() < deadline)
        status = ask(b, "GET", "/staff/", NULL).status;
    assert_int_equal(status, 200);
}

static void anonymous_routes_look_nobody_up(void **state)
{
    browser *b = *state;
    register_as(b, "mona");
    assert_str(ask(b, "GET", "/anonymous/", NULL).body, "nobody");
}

/* --- at the same time ---------------------------------------------------------------------------------- */

/* Sends a request while another program changes the password in a transaction that began before. */
static testing_answer ask_during_change(const browser *b, const char *path, tims_str body, const char *change)
{
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_error err = { 0 };
    tims_db_session *other = tims_db_session_new(server->db, NULL, arena);
    testing_check(tims_db_begin(other, &err), &err);
    int fd = testing_connect(server);
    testing_send(fd,
                 tims_print(b->arena,
                            "POST %s HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\n%sCookie: %s\r\n"
                            "X-CSRF-Token: %S\r\nContent-Type: application/json\r\nContent-Length: "
                            "%lld\r\n\r\n%S",
                            path, b->address, cookies_of(b), b->csrf, (long long)body.length, body));
    int64_t deadline = tims_monotonic_us() + 20 * 1000000;
    while (atomic_load(&server->auth->hashes) == 0) /* then it has read the user */
        assert_true(tims_monotonic_us() < deadline);
    testing_check(tims_db_run(other, tims_str_from(change), NULL, 0, NULL, &err), &err);
    testing_check(tims_db_commit(other, &err), &err);
    testing_answer answer = testing_parse(testing_receive(fd, b->arena));
    close(fd);
    tims_arena_free(&arena);
    return answer;
}

/* Slow enough to be seen at it. */
static void make_password_slow(const browser *b, const char *name, uint64_t operations)
{
    char hash[TIMS_PASSWORD_HASH_MAX];
    const tims_password_cost cost = { .operations = operations, .memory_bytes = (size_t)64 << 20 };
    assert_int_equal(tims_password_hash(TIMS_STR("correct horse 7"), cost, hash), TIMS_OK);
    testing_sql(server,
                c_string(b, tims_print(b->arena, "UPDATE \"user\" SET password = '%s' WHERE username = '%s'",
                                       hash, name)));
}

static void who_knows_the_old_password_does_not_outrun_its_change(void **state)
{
    browser *b = *state;
    register_as(b, "viktor");
    make_password_slow(b, "viktor", 3);
    testing_answer answer = ask_during_change(
        b, "/api/auth/password/", TIMS_STR("{\"old\":\"correct horse 7\",\"new\":\"better horse 8\"}"),
        "UPDATE \"user\" SET password = 'changed' WHERE username = 'viktor'");
    expect(b, answer, 422, "/old wrong");
    assert_int_equal(testing_sql_int(server, "SELECT count(*) FROM \"user\" WHERE password = 'changed'"), 1);
    make_password_slow(b, "viktor", 3);
    static const char *const bodies[][2] = {
        { "/api/auth/login/", "{\"username\":\"viktor\",\"password\":\"correct horse 7\"}" },
        { "/api/auth/token/", "{\"username\":\"viktor\",\"password\":\"correct horse 7\"}" },
    };
    for (size_t i = 0; i < 2; i++) {
        answer = ask_during_change(b, bodies[i][0], tims_str_from(bodies[i][1]),
                                   "UPDATE \"user\" SET password = 'changed' WHERE username = 'viktor'");
        expect(b, answer, 401, "credentials");
        assert_int_equal(testing_sql_int(server, "SELECT count(*) FROM \"user\" WHERE password = 'changed'"),
                         1);
        make_password_slow(b, "viktor", 3);
        answer = ask_during_change(b, bodies[i][0], tims_str_from(bodies[i][1]),
                                   "UPDATE \"user\" SET active = FALSE WHERE username = 'viktor'");
        expect(b, answer, 401, "credentials");
        testing_sql(server, "UPDATE \"user\" SET active = TRUE WHERE username = 'viktor'");
    }
}

/* Requests go to either loop, so a hash on one of them would be met by some of these. */
static void others_are_answered_while_a_password_is_hashed(void **state)
{
    enum { OTHERS = 12 };
    browser *b = *state;
    register_as(b, "wilma");
    make_password_slow(b, "wilma", 30);
    int fd = testing_connect(server);
    tims_str body = TIMS_STR("{\"username\":\"wilma\",\"password\":\"correct horse 7\"}");
    testing_send(fd, tims_print(b->arena,
                                "POST /api/auth/login/ HTTP/1.1\r\nHost: test.example\r\nConnection: "
                                "close\r\n%sContent-Type: application/json\r\nContent-Length: %lld\r\n\r\n%S",
                                b->address, (long long)body.length, body));
    int64_t deadline = tims_monotonic_us() + 20 * 1000000;
    while (atomic_load(&server->auth->hashes) == 0)
        assert_true(tims_monotonic_us() < deadline);
    int answered = 0;
    while (answered < OTHERS && is_signed_in(b) && atomic_load(&server->auth->hashes) == 1)
        answered++;
    assert_int_equal(answered, OTHERS);
    assert_int_equal(testing_parse(testing_receive(fd, b->arena)).status, 200);
    close(fd);
}

/* --- CSRF -------------------------------------------------------------------------------------------- */

static void changes_by_cookie_need_the_token_of_their_session(void **state)
{
    browser *b = *state, other;
    register_as(b, "quinn");
    other = *b;
    other.session = other.csrf = (tims_str){ NULL, 0 };
    register_as(&other, "rosa");
    static const char *const methods[] = { "POST", "PUT", "DELETE" };
    tims_str right = b->csrf;
    for (size_t i = 0; i < 3; i++) {
        b->csrf = (tims_str){ NULL, 0 };
        expect(b, ask(b, methods[i], "/change/", "{}"), 403, "csrf_missing");
        b->csrf = TIMS_STR("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        expect(b, ask(b, methods[i], "/change/", "{}"), 403, "csrf_wrong");
        b->csrf = other.csrf;
        expect(b, ask(b, methods[i], "/change/", "{}"), 403, "csrf_wrong");
        b->csrf = right;
        expect(b, ask(b, methods[i], "/change/", "{}"), 200, NULL);
    }
    b->csrf = (tims_str){ NULL, 0 };
    expect(b, ask(b, "POST", "/hook/", "{}"), 200, NULL); /* a route that asks for none */
    assert_true(is_signed_in(b));                         /* reading needs none */
}

/* A page shows it beside what its address says: compressed, an unchanging one could be found out by lengths.
 */
static void the_token_looks_different_in_every_answer(void **state)
{
    browser *b = *state;
    for (int signed_in = 0; signed_in < 2; signed_in++) {
        if (signed_in)
            register_as(b, "wanda");
        expect(b, ask(b, "GET", "/api/auth/me/", NULL), 200, NULL);
        tims_str first = b->csrf;
        expect(b, ask(b, "GET", "/api/auth/me/", NULL), 200, NULL);
        assert_false(tims_str_equal(first, b->csrf));
        for (size_t i = 8; i + 8 <= first.length; i += 8)
            assert_int_equal(tims_str_find(b->csrf, tims_str_slice(first, i, i + 8)), SIZE_MAX);
    }
    tims_str last = b->csrf;
    expect(b, ask(b, "GET", "/api/auth/me/", NULL), 200, NULL);
    expect(b, ask(b, "POST", "/change/", "{}"), 200, NULL);
    b->csrf = last; /* of a page that was loaded before */
    expect(b, ask(b, "POST", "/change/", "{}"), 200, NULL);
    b->csrf = tims_str_slice(last, 0, last.length - 4);
    expect(b, ask(b, "POST", "/change/", "{}"), 403, "csrf_wrong");
    b->csrf = tims_print(b->arena, "%SAAAA", last);
    expect(b, ask(b, "POST", "/change/", "{}"), 403, "csrf_wrong");
}

static void a_form_carries_its_token_in_a_field(void **state)
{
    browser *b = *state;
    register_as(b, "sven");
    tims_str form = tims_print(b->arena, "a=1&csrf_token=%S", b->csrf);
    testing_answer answer = post_form(b, "/change/", c_string(b, form));
    expect(b, answer, 200, NULL);
    assert_str(answer.body, c_string(b, form)); /* the handler still gets the whole body */
    expect(b, post_form(b, "/change/", "a=1"), 403, "csrf_missing");
    expect(b, post_form(b, "/change/", "a=1&csrf_token=no"), 403, "csrf_wrong");
}

static void signing_in_from_another_site_is_refused(void **state)
{
    browser *b = *state;
    register_as(b, "tanja");
    b->session = b->csrf = (tims_str){ NULL, 0 };
    static const struct {
        const char *headers;
        int status;
    } rows[] = {
        { "", 200 },
        { "Origin: http://test.example\r\n", 200 },
        { "Origin: https://TEST.example\r\n", 200 },
        { "Sec-Fetch-Site: same-origin\r\n", 200 },
        { "Origin: http://evil.example\r\n", 403 },
        { "Origin: null\r\n", 403 },
        { "Origin: http://test.example.evil.example\r\n", 403 },
        { "Sec-Fetch-Site: cross-site\r\n", 403 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const testing_ask request = {
            .method = "POST",
            .path = "/api/auth/login/",
            .headers = c_string(b, tims_print(b->arena, "%s%s", b->address, rows[i].headers)),
            .type = "application/json",
            .body = TIMS_STR("{\"username\":\"tanja\",\"password\":\"correct horse 7\"}")
        };
        if (testing_call(server, b->arena, &request).status != rows[i].status)
            fail_msg("\"%s\"", rows[i].headers);
    }
}

/* A page of another site can send us a form, but not with the cookie: it must not take the cookie away. */
static void signing_out_from_another_site_changes_nothing(void **state)
{
    browser *b = *state;
    register_as(b, "ulla");
    tims_str session = b->session;
    b->session = b->csrf = (tims_str){ NULL, 0 };
    testing_answer answer = post_form(b, "/api/auth/logout/", "next=/");
    expect(b, answer, 303, NULL);
    assert_null(testing_cookie(&answer, "tims_session").data);
    b->session = session;
    assert_true(is_signed_in(b));
    b->session = TIMS_STR("stale");
    answer = post_form(b, "/api/auth/logout/", "next=/"); /* one that has ended is taken away */
    assert_non_null(testing_cookie(&answer, "tims_session").data);
}

/* --- what must never show ---------------------------------------------------------------------------- */

static void the_database_keeps_no_token_and_no_password(void **state)
{
    browser *b = *state;
    register_as(b, "secretive");
    assert_int_equal(testing_sql_int(server, c_string(b, tims_print(b->arena,
                                                                    "SELECT count(*) FROM auth_session WHERE "
                                                                    "token_hash = '%S'",
                                                                    b->session))),
                     0);
    assert_int_equal(
        testing_sql_int(server, "SELECT count(*) FROM \"user\" WHERE password NOT LIKE '$argon2id$%'"), 0);
    assert_int_equal(
        testing_sql_int(server, "SELECT count(*) FROM tims_change WHERE CAST(old AS TEXT) LIKE '%argon2id%'"),
        0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_browser, close_browser)
    const struct CMUnitTest tests[] = {
        TEST(the_right_password_signs_in_whatever_the_names_case),
        TEST(a_wrong_password_and_an_unknown_name_get_the_same_answer),
        TEST(signing_in_gives_a_new_session_and_ends_the_old_one),
        TEST(a_signed_out_session_is_nobody_on_every_loop),
        TEST(what_is_rolled_back_takes_and_gives_no_cookie),
        TEST(signing_out_everywhere_ends_browsers_and_devices),
        TEST(forged_and_foreign_cookies_are_nobody),
        TEST(a_session_ends_at_its_time),
        TEST(a_session_ends_when_it_is_not_used),
        TEST(its_last_use_is_written_now_and_then),
        TEST(a_user_switched_off_is_out_and_cannot_come_back),
        TEST(who_becomes_staff_is_let_in),
        TEST(anonymous_routes_look_nobody_up),
        TEST(who_knows_the_old_password_does_not_outrun_its_change),
        TEST(others_are_answered_while_a_password_is_hashed),
        TEST(changes_by_cookie_need_the_token_of_their_session),
        TEST(the_token_looks_different_in_every_answer),
        TEST(a_form_carries_its_token_in_a_field),
        TEST(signing_in_from_another_site_is_refused),
        TEST(signing_out_from_another_site_changes_nothing),
        TEST(the_database_keeps_no_token_and_no_password),
    };
    return cmocka_run_group_tests_name("auth", tests, start, stop);
}
