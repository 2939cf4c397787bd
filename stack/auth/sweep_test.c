/* sweep_test: the table of sessions stays finite. */
#include "auth/testing_browser.h"

static void a_user_has_so_many_sessions_and_the_longest_unused_gives_way(void **state)
{
    browser *b = *state, in[4];
    server->auth->options.sessions_max = 3;
    register_as(b, "rosa");
    in[0] = *b;
    change_session(&in[0], "last_used_at", tims_now().us - 2000000);
    sign_out(b);
    expect(b, ask(b, "POST", "/api/auth/token/", "{\"username\":\"rosa\",\"password\":\"correct horse 7\"}"),
           201, NULL);
    for (int i = 1; i < 4; i++) {
        assert_true(is_signed_in(&in[0])); /* three, and a device beside them */
        in[i] = *b;
        expect(b, login_as(&in[i], "rosa", "correct horse 7"), 200, NULL);
    }
    assert_true(becomes_signed_out(&in[0]));
    for (int i = 1; i < 4; i++)
        assert_true(is_signed_in(&in[i]));
    assert_int_equal(testing_sql_int(server, "SELECT count(CASE WHEN s.device THEN 1 END) * 100 + count(*) "
                                             "FROM auth_session s JOIN \"user\" u "
                                             "ON u.id = s.\"user\" WHERE u.username = 'rosa'"),
                     104);
    server->auth->options.sessions_max = 50;
}

static void add_ended_sessions(tims_id user, int count)
{
    tims_arena *arena = tims_arena_new(16 << 20, NULL, NULL);
    tims_db_session *db = tims_db_session_new(server->db, NULL, arena);
    tims_error err = { 0 };
    testing_check(tims_db_begin(db, &err), &err);
    for (int i = 1; i <= count; i++) {
        auth__session_row row = { .token_hash = tims_print(arena, "old-%d", i),
                                  .user = user,
                                  .created_at = { 1 },
                                  .expires_at = { i },
                                  .last_used_at = { 1 } };
        testing_check(tims_model_insert(db, arena, &tims_auth_session_model, &row, &err), &err);
    }
    testing_check(tims_db_commit(db, &err), &err);
    tims_arena_free(&arena);
}

static void ended_sessions_are_swept_without_anybody_signing_in(void **state)
{
    browser *b = *state;
    testing_server *before = server;
    server = testing_start(routes, (tims_auth_options){ .password_cost = tims_password_cost_for_tests,
                                                        .open_registration = true,
                                                        .sweep_ms = 5 });
    register_as(b, "sina");
    add_ended_sessions(user_id("sina"), 1200);
    int64_t deadline = tims_monotonic_us() + 10 * 1000000, left = 1201;
    while (left != 1 && tims_monotonic_us() < deadline)
        left = testing_sql_int(server, "SELECT count(*) FROM auth_session");
    assert_int_equal(left, 1);
    assert_true(is_signed_in(b));
    testing_stop(server);
    server = before;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_browser, close_browser)
    const struct CMUnitTest tests[] = {
        TEST(a_user_has_so_many_sessions_and_the_longest_unused_gives_way),
        TEST(ended_sessions_are_swept_without_anybody_signing_in),
    };
    return cmocka_run_group_tests_name("sweep", tests, start, stop);
}
