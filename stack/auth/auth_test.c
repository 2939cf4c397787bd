/* auth_test: registering, signing in and out, forged and ended sessions, CSRF, tokens, throttling, pictures:
 * requests to a real server, answers in a table where one line says it. */
#include "auth/testing.h"

static testing_server *server;

static tims_answer answer_private(tims_request *rq)
{
    return tims_answer_text(rq, 200, "%S", tims_current_user(rq)->username);
}

static tims_answer answer_plain(tims_request *rq)
{
    return tims_answer_text(rq, 200, "%s", tims_is_signed_in(rq) ? "somebody" : "nobody");
}

static tims_answer answer_count(tims_request *rq)
{
    return tims_answer_text(rq, 200, "%S", tims_body(rq));
}

static const tims_route routes[] = {
    { .methods = TIMS_METHOD_GET,
      .pattern = "/private/",
      .handler = answer_private,
      .access = tims_access_signed_in },
    { .methods = TIMS_METHOD_GET,
      .pattern = "/staff/",
      .handler = answer_private,
      .access = tims_access_staff },
    { .methods = TIMS_METHOD_GET, .pattern = "/plain/", .handler = answer_plain },
    { .methods = TIMS_METHOD_GET, .pattern = "/anonymous/", .handler = answer_plain, .anonymous = true },
    { .methods = TIMS_METHOD_POST | TIMS_METHOD_PUT | TIMS_METHOD_DELETE,
      .pattern = "/change/",
      .handler = answer_count },
    { .methods = TIMS_METHOD_POST, .pattern = "/hook/", .handler = answer_count, .no_csrf = true },
    { 0 },
};

static int start(void **state)
{
    (void)state;
    tims_log_setup(TIMS_LOG_ERROR, TIMS_LOG_HUMAN, STDERR_FILENO);
    server = testing_start(routes, (tims_auth_options){ .password_cost = tims_password_cost_for_tests,
                                                        .open_registration = true });
    return 0;
}

static int stop(void **state)
{
    (void)state;
    testing_stop(server);
    return 0;
}

/* --- a browser
 * ------------------------------------------------------------------------------------------------- */

/* Each test is at an address of its own, so that its failures are its own. */
typedef struct browser {
    tims_arena *arena;
    char address[64]; /* a header line */
    tims_str session, visitor, csrf;
} browser;

static int addresses;

static int open_browser(void **state)
{
    static browser b;
    addresses++;
    b = (browser){ .arena = tims_arena_new(256 << 20, NULL, NULL) };
    (void)snprintf(b.address, sizeof b.address, "X-Forwarded-For: 10.0.%d.%d\r\n", addresses / 250,
                   addresses % 250);
    *state = &b;
    return 0;
}

static int close_browser(void **state)
{
    browser *b = *state;
    tims_arena_free(&b->arena);
    return 0;
}

static const char *c_string(const browser *b, tims_str s)
{
    return tims_copy_c(b->arena, s);
}

static const char *cookies_of(const browser *b)
{
    tims_buf out;
    tims_buf_init(&out, b->arena, 4096);
    if (b->session.length > 0)
        tims_buf_print(&out, "tims_session=%S; ", b->session);
    if (b->visitor.length > 0)
        tims_buf_print(&out, "tims_visitor=%S", b->visitor);
    return c_string(b, tims_buf_str(&out));
}

static void keep(browser *b, const testing_answer *answer)
{
    tims_str session = testing_cookie(answer, "tims_session"),
             visitor = testing_cookie(answer, "tims_visitor");
    if (session.data != NULL)
        b->session = session;
    if (visitor.data != NULL)
        b->visitor = visitor;
    const tims_json *body;
    if (tims_str_starts_with(answer->body, TIMS_STR("{\"user\"")) &&
        tims_json_parse(b->arena, answer->body, &body, NULL) == TIMS_OK)
        b->csrf = tims_json_get_str(body, TIMS_STR("csrf"), b->csrf);
}

/* A request as the front end's client sends it. */
static testing_answer ask(browser *b, const char *method, const char *path, const char *json)
{
    tims_str headers = tims_str_from(b->address);
    if (b->csrf.length > 0 && strcmp(method, "GET") != 0)
        headers = tims_print(b->arena, "%SX-CSRF-Token: %S\r\n", headers, b->csrf);
    const testing_ask request = { .method = method,
                                  .path = path,
                                  .cookies = cookies_of(b),
                                  .headers = c_string(b, headers),
                                  .type = "application/json",
                                  .body = tims_str_from(json) };
    testing_answer answer = testing_call(server, b->arena, &request);
    keep(b, &answer);
    return answer;
}

/* The same from a page without JavaScript. */
static testing_answer post_form(browser *b, const char *path, const char *form)
{
    const testing_ask request = { .method = "POST",
                                  .path = path,
                                  .cookies = cookies_of(b),
                                  .headers = b->address,
                                  .type = "application/x-www-form-urlencoded",
                                  .body = tims_str_from(form) };
    testing_answer answer = testing_call(server, b->arena, &request);
    keep(b, &answer);
    return answer;
}

static tims_str problem_code(const browser *b, const testing_answer *answer)
{
    const tims_json *body;
    if (tims_json_parse(b->arena, answer->body, &body, NULL) != TIMS_OK)
        return TIMS_STR("no JSON");
    const tims_json *first = tims_json_at(tims_json_get(body, TIMS_STR("errors")), 0);
    if (first != NULL)
        return tims_print(b->arena, "%S %S", tims_json_get_str(first, TIMS_STR("pointer"), TIMS_STR("")),
                          tims_json_get_str(first, TIMS_STR("code"), TIMS_STR("")));
    return tims_json_get_str(body, TIMS_STR("code"), TIMS_STR("no code"));
}

static void expect(const browser *b, testing_answer answer, int status, const char *code)
{
    tims_str got = code != NULL ? problem_code(b, &answer) : (tims_str){ NULL, 0 };
    if (answer.status != status || (code != NULL && !tims_str_equal(got, tims_str_from(code))))
        fail_msg("expected %d %s, got %d: %.*s", status, code, answer.status, TIMS_PRINT(answer.body));
}

static void register_as(browser *b, const char *name)
{
    tims_str body = tims_print(b->arena, "{\"username\":\"%s\",\"password\":\"correct horse 7\"}", name);
    expect(b, ask(b, "POST", "/api/auth/register/", c_string(b, body)), 201, NULL);
    assert_int_equal(b->session.length, TIMS_TOKEN_TEXT_LENGTH);
}

static testing_answer login_as(browser *b, const char *name, const char *password)
{
    tims_str body = tims_print(b->arena, "{\"username\":\"%s\",\"password\":\"%s\"}", name, password);
    return ask(b, "POST", "/api/auth/login/", c_string(b, body));
}

static bool is_signed_in(browser *b)
{
    testing_answer answer = ask(b, "GET", "/plain/", NULL);
    assert_int_equal(answer.status, 200);
    return tims_str_equal(answer.body, TIMS_STR("somebody"));
}

/* Until every loop has heard of a change; a fresh connection each time. */
static bool becomes_signed_out(browser *b)
{
    int64_t deadline = tims_monotonic_us() + 10 * 1000000;
    int in_a_row = 0;
    while (in_a_row < 20 && tims_monotonic_us() < deadline)
        in_a_row = is_signed_in(b) ? 0 : in_a_row + 1;
    return in_a_row == 20;
}

/* --- registering
 * ------------------------------------------------------------------------------------------------ */

static void a_new_person_is_signed_in_at_once(void **state)
{
    browser *b = *state;
    testing_answer answer =
        ask(b, "POST", "/api/auth/register/",
            "{\"username\":\"Anna.B\",\"password\":\"correct horse 7\",\"email\":\"a@b.de\"}");
    expect(b, answer, 201, NULL);
    const tims_json *body;
    assert_int_equal(tims_json_parse(b->arena, answer.body, &body, NULL), TIMS_OK);
    const tims_json *user = tims_json_get(body, TIMS_STR("user"));
    assert_str(tims_json_get_str(user, TIMS_STR("username"), TIMS_STR("")), "Anna.B");
    assert_str(tims_json_get_str(user, TIMS_STR("display_name"), TIMS_STR("")), "Anna.B");
    assert_str(tims_json_get_str(user, TIMS_STR("email"), TIMS_STR("")), "a@b.de");
    assert_false(tims_json_get_bool(user, TIMS_STR("staff"), true));
    assert_null(tims_json_get(user, TIMS_STR("password")));
    tims_str cookie = testing_header(&answer, "Set-Cookie");
    assert_true(tims_str_find(cookie, TIMS_STR("HttpOnly")) != SIZE_MAX);
    assert_true(tims_str_find(cookie, TIMS_STR("SameSite=Lax")) != SIZE_MAX);
    assert_str(ask(b, "GET", "/private/", NULL).body, "Anna.B");
    expect(b, ask(b, "GET", "/staff/", NULL), 403, "forbidden");
}

static void bad_registrations_are_answered_at_their_field(void **state)
{
    browser *b = *state;
    register_as(b, "taken-name");
    b->session = b->csrf = (tims_str){ NULL, 0 };
    static const struct {
        const char *body;
        int status;
        const char *code;
    } rows[] = {
        { "{\"username\":\"taken-name\",\"password\":\"correct horse 7\"}", 409, "/username unique" },
        { "{\"username\":\"TAKEN-Name\",\"password\":\"correct horse 7\"}", 409, "/username unique" },
        { "{\"username\":\"ab\",\"password\":\"correct horse 7\"}", 422, "/username username" },
        { "{\"username\":\"with space\",\"password\":\"correct horse 7\"}", 422, "/username username" },
        { "{\"username\":\"x'; DROP TABLE user;--\",\"password\":\"correct horse 7\"}", 422,
          "/username username" },
        { "{\"username\":\"0123456789012345678901234567890\",\"password\":\"correct horse 7\"}", 422,
          "/username username" },
        { "{\"username\":\"b\xc3\xa4r\",\"password\":\"correct horse 7\"}", 422, "/username username" },
        { "{\"username\":\"berta\",\"password\":\"short\"}", 422, "/password min_length" },
        { "{\"username\":\"berta\",\"password\":\"password123\"}", 422, "/password common" },
        { "{\"username\":\"bertagarden\",\"password\":\"BertaGarden9\"}", 422, "/password similar" },
        { "{\"username\":\"berta\",\"password\":\"correct horse 7\",\"email\":\"nonsense\"}", 422,
          "/email format" },
        { "{\"username\":\"berta\"}", 422, "/password required" },
        { "{\"username\":\"berta\",\"password\":\"\"}", 422, "/password required" },
        { "{\"username\":7,\"password\":\"correct horse 7\"}", 422, "/username type" },
        { "{\"username\":\"berta\",\"password\":\"correct horse 7\",\"staff\":true}", 422, "/staff unknown" },
        { "[]", 400, "json_object" },
        { "{\"username\":", 400, "json_syntax" },
        { "", 400, "json_empty" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        testing_answer answer = ask(b, "POST", "/api/auth/register/", rows[i].body);
        tims_str code = problem_code(b, &answer);
        if (answer.status != rows[i].status || !tims_str_equal(code, tims_str_from(rows[i].code)))
            fail_msg("%s: %d %.*s", rows[i].body, answer.status, TIMS_PRINT(answer.body));
        assert_null(testing_cookie(&answer, "tims_session").data);
    }
    assert_int_equal(
        testing_sql_int(server, "SELECT count(*) FROM \"user\" WHERE username_key LIKE 'berta%'"), 0);
}

static void closed_registration_is_refused(void **state)
{
    browser *b = *state;
    server->auth->options.open_registration = false;
    testing_answer answer =
        ask(b, "POST", "/api/auth/register/", "{\"username\":\"late\",\"password\":\"correct horse 7\"}");
    server->auth->options.open_registration = true;
    expect(b, answer, 403, "registration_closed");
}

/* --- signing in and out
 * -------------------------------------------------------------------------------------------- */

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

/* Changes the session's row as another program would, and says so as the feed would. */
static void change_session(browser *b, const char *assignment)
{
    char hash[TIMS_TOKEN_HASH_TEXT_LENGTH];
    tims_token_hash(b->session, hash);
    testing_sql(server, c_string(b, tims_print(b->arena, "UPDATE auth_session SET %s WHERE token_hash = '%S'",
                                               assignment, ((tims_str){ hash, sizeof hash }))));
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_db_session *session = tims_db_session_new(server->db, NULL, arena);
    const tims_db_value value = tims_db_text((tims_str){ hash, sizeof hash });
    tims_db_rows *rows;
    tims_error err = { 0 };
    testing_check(tims_db_query(session, TIMS_STR("SELECT id FROM auth_session WHERE token_hash = ?1"),
                                &value, 1, &rows, &err),
                  &err);
    assert_true(tims_db_next(rows));
    tims_id id = tims_db_get_id(rows, 0);
    testing_check(tims_db_rows_end(&rows, &err), &err);
    tims_arena_free(&arena);
    tims_auth_forget(server->auth, &tims_auth_session_model, id);
}

static void a_session_ends_at_its_time(void **state)
{
    browser *b = *state;
    register_as(b, "ida");
    assert_true(is_signed_in(b));
    change_session(b, "expires_at = 1");
    assert_true(becomes_signed_out(b));
}

static void a_session_ends_when_it_is_not_used(void **state)
{
    browser *b = *state;
    register_as(b, "jana");
    assert_true(is_signed_in(b));
    int64_t idle_us = 14 * AUTH__DAY_S * 1000000;
    change_session(b, c_string(b, tims_print(b->arena, "last_used_at = %lld",
                                             (long long)(tims_now().us - idle_us - 1))));
    assert_true(becomes_signed_out(b));
}

static void its_last_use_is_written_now_and_then(void **state)
{
    browser *b = *state;
    register_as(b, "jonas");
    int64_t past_us = tims_now().us - INT64_C(3600) * 1000000;
    change_session(
        b, c_string(b, tims_print(b->arena, "last_used_at = %lld, label = 'watched'", (long long)past_us)));
    int64_t deadline = tims_monotonic_us() + 10 * 1000000, written = past_us;
    while (written == past_us && tims_monotonic_us() < deadline) {
        assert_true(is_signed_in(b));
        written = testing_sql_int(server, "SELECT last_used_at FROM auth_session WHERE label = 'watched'");
    }
    assert_true(written > past_us);
    for (int i = 0; i < 20; i++)
        assert_true(is_signed_in(b));
    int64_t later = testing_sql_int(server, "SELECT last_used_at FROM auth_session WHERE label = 'watched'");
    assert_true(later - written < INT64_C(10) * 1000000);
}

static tims_id user_id(const char *name)
{
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_db_session *session = tims_db_session_new(server->db, NULL, arena);
    const tims_db_value value = tims_db_text(tims_str_from(name));
    tims_db_rows *rows;
    tims_error err = { 0 };
    testing_check(tims_db_query(session, TIMS_STR("SELECT id FROM \"user\" WHERE username = ?1"), &value, 1,
                                &rows, &err),
                  &err);
    assert_true(tims_db_next(rows));
    tims_id id = tims_db_get_id(rows, 0);
    testing_check(tims_db_rows_end(&rows, &err), &err);
    tims_arena_free(&arena);
    return id;
}

static void a_user_switched_off_is_out_and_cannot_come_back(void **state)
{
    browser *b = *state;
    register_as(b, "karl");
    assert_true(is_signed_in(b));
    testing_sql(server, "UPDATE \"user\" SET active = 0 WHERE username = 'karl'");
    tims_auth_forget(server->auth, &tims_user_model, user_id("karl"));
    assert_true(becomes_signed_out(b));
    expect(b, login_as(b, "karl", "correct horse 7"), 401, "credentials");
}

static void who_becomes_staff_is_let_in(void **state)
{
    browser *b = *state;
    register_as(b, "lara");
    expect(b, ask(b, "GET", "/staff/", NULL), 403, "forbidden");
    testing_sql(server, "UPDATE \"user\" SET staff = 1 WHERE username = 'lara'");
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

/* --- throttling
 * -------------------------------------------------------------------------------------------------------- */

static void ten_failures_lock_the_account_for_a_while(void **state)
{
    browser *b = *state;
    register_as(b, "nora");
    b->session = b->csrf = (tims_str){ NULL, 0 };
    for (int i = 0; i < 10; i++) {
        (void)snprintf(b->address, sizeof b->address, "X-Forwarded-For: 10.9.1.%d\r\n",
                       i); /* another each time */
        expect(b, login_as(b, i % 2 == 0 ? "nora" : "NORA", "wrong horse 7"), 401, "credentials");
    }
    (void)snprintf(b->address, sizeof b->address, "X-Forwarded-For: 10.9.1.99\r\n");
    testing_answer answer = login_as(b, "nora", "correct horse 7");
    expect(b, answer, 429, "login_throttled");
    int64_t retry_s = 0;
    assert_true(tims_str_to_int(testing_header(&answer, "Retry-After"), 1, 901, &retry_s));
    assert_true(retry_s > 800);
    register_as(b, "nora-s-friend"); /* others go on */
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

/* --- CSRF
 * ----------------------------------------------------------------------------------------------------------------
 */

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

/* --- pages without JavaScript
 * ----------------------------------------------------------------------------------------------- */

static void forms_sign_in_with_a_visitors_token_and_go_on(void **state)
{
    browser *b = *state;
    register_as(b, "ulla");
    b->session = b->csrf = (tims_str){ NULL, 0 };
    expect(b, ask(b, "GET", "/api/auth/me/", NULL), 200,
           NULL); /* as a page would: visitor cookie and token */
    assert_int_equal(b->visitor.length, TIMS_TOKEN_TEXT_LENGTH);
    tims_str csrf = b->csrf;
    static const struct {
        const char *form, *location;
    } rows[] = {
        { "username=ulla&password=correct+horse+7&next=/chats%3Fx%3D1&csrf_token=", "/chats?x=1" },
        { "username=ulla&password=correct+horse+7&next=//evil.example&csrf_token=", "/" },
        { "username=ulla&password=correct+horse+7&next=https://evil.example&csrf_token=", "/" },
        { "username=ulla&password=wrong&next=/chats&csrf_token=", "/login?error=credentials&next=%2Fchats" },
        { "username=&password=x&csrf_token=", "/login?error=required" },
        { "username=ulla&password=correct+horse+7&csrf_token=x", "/login?error=csrf_wrong" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        b->session = (tims_str){ NULL, 0 };
        testing_answer answer =
            post_form(b, "/api/auth/login/", c_string(b, tims_print(b->arena, "%s%S", rows[i].form, csrf)));
        tims_str location = testing_header(&answer, "Location");
        if (answer.status != 303 || !tims_str_equal(location, tims_str_from(rows[i].location)))
            fail_msg("%s: %d %.*s", rows[i].form, answer.status, TIMS_PRINT(location));
        assert_int_equal(b->session.length > 0, i < 3);
    }
    b->session = (tims_str){ NULL, 0 };
    testing_answer without = post_form(b, "/api/auth/login/", "username=ulla&password=correct+horse+7");
    assert_str(testing_header(&without, "Location"), "/login?error=csrf_missing");
}

static void forms_register_and_sign_out(void **state)
{
    browser *b = *state;
    expect(b, ask(b, "GET", "/api/auth/me/", NULL), 200, NULL);
    testing_answer answer = post_form(
        b, "/api/auth/register/",
        c_string(b, tims_print(b->arena,
                               "username=vera&password=correct+horse+7&email=&next=/chats&csrf_token=%S",
                               b->csrf)));
    assert_int_equal(answer.status, 303);
    assert_str(testing_header(&answer, "Location"), "/chats");
    assert_true(is_signed_in(b));
    expect(b, ask(b, "GET", "/api/auth/me/", NULL), 200, NULL);
    answer = post_form(b, "/api/auth/logout/", c_string(b, tims_print(b->arena, "csrf_token=%S", b->csrf)));
    assert_int_equal(answer.status, 303);
    assert_str(testing_header(&answer, "Location"), "/");
    assert_false(is_signed_in(b));
    expect(b, ask(b, "GET", "/api/auth/me/", NULL), 200, NULL);
    answer = post_form(
        b, "/api/auth/register/",
        c_string(b, tims_print(b->arena, "username=vera&password=correct+horse+7&csrf_token=%S", b->csrf)));
    assert_str(testing_header(&answer, "Location"), "/register?error=unique");
}

/* --- the own account
 * ------------------------------------------------------------------------------------------------------ */

static void me_is_null_for_nobody(void **state)
{
    browser *b = *state;
    testing_answer answer = ask(b, "GET", "/api/auth/me/", NULL);
    expect(b, answer, 200, NULL);
    assert_true(tims_str_starts_with(answer.body, TIMS_STR("{\"user\":null,\"csrf\":\"")));
    assert_str(testing_header(&answer, "Cache-Control"), "no-store");
}

static void the_account_is_changed_field_by_field(void **state)
{
    browser *b = *state;
    register_as(b, "wanda");
    static const struct {
        const char *body;
        int status;
        const char *found; /* in the answer */
    } rows[] = {
        { "{\"display_name\":\"Wanda W.\"}", 200,
          "\"display_name\":\"Wanda W.\",\"avatar\":\"\",\"email\":null" },
        { "{\"email\":\"w@w.de\"}", 200,
          "\"display_name\":\"Wanda W.\",\"avatar\":\"\",\"email\":\"w@w.de\"" },
        { "{}", 200, "\"email\":\"w@w.de\"" },
        { "{\"email\":null}", 200, "\"email\":null" },
        { "{\"display_name\":\"  \"}", 200, "\"display_name\":\"wanda\"" },
        { "{\"email\":\"nonsense\"}", 422, "/email" },
        { "{\"display_name\":null}", 422, "/display_name" },
        { "{\"display_name\":\"\"}", 422, "/display_name" },
        { "{\"username\":\"other\"}", 422, "/username" },
        { "{\"staff\":true}", 422, "/staff" },
        { "{\"password\":\"x\"}", 422, "/password" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        testing_answer answer = ask(b, "PATCH", "/api/auth/me/", rows[i].body);
        if (answer.status != rows[i].status ||
            tims_str_find(answer.body, tims_str_from(rows[i].found)) == SIZE_MAX)
            fail_msg("%s: %d %.*s", rows[i].body, answer.status, TIMS_PRINT(answer.body));
    }
}

static void a_new_password_ends_the_other_sessions(void **state)
{
    browser *b = *state, second, old;
    register_as(b, "xaver");
    second = *b;
    second.session = second.csrf = (tims_str){ NULL, 0 };
    expect(b, login_as(&second, "xaver", "correct horse 7"), 200, NULL);
    static const struct {
        const char *body;
        int status;
        const char *code;
    } rows[] = {
        { "{\"old\":\"wrong horse 7\",\"new\":\"another horse 8\"}", 422, "/old wrong" },
        { "{\"old\":\"correct horse 7\",\"new\":\"short\"}", 422, "/new min_length" },
        { "{\"old\":\"correct horse 7\",\"new\":\"password1\"}", 422, "/new common" },
        { "{\"old\":\"correct horse 7\",\"new\":\"xaverxaver\"}", 422, "/new similar" },
        { "{\"old\":\"correct horse 7\"}", 422, "/new required" },
        { "{\"new\":\"another horse 8\"}", 422, "/old required" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect(b, ask(b, "POST", "/api/auth/password/", rows[i].body), rows[i].status, rows[i].code);
    old = *b;
    expect(b,
           ask(b, "POST", "/api/auth/password/", "{\"old\":\"correct horse 7\",\"new\":\"another horse 8\"}"),
           200, NULL);
    assert_true(is_signed_in(b));
    assert_true(becomes_signed_out(&second));
    assert_true(becomes_signed_out(&old));
    expect(b, login_as(b, "xaver", "correct horse 7"), 401, "credentials");
    expect(b, login_as(b, "xaver", "another horse 8"), 200, NULL);
}

static void endpoints_of_the_account_need_somebody(void **state)
{
    browser *b = *state;
    static const char *const asks[][2] = { { "POST", "/api/auth/password/" },
                                           { "PATCH", "/api/auth/me/" },
                                           { "PUT", "/api/auth/me/avatar/" },
                                           { "DELETE", "/api/auth/me/avatar/" },
                                           { "POST", "/api/auth/logout-everywhere/" },
                                           { "DELETE", "/api/auth/token/" },
                                           { "GET", "/private/" },
                                           { "GET", "/staff/" } };
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++)
        expect(b, ask(b, asks[i][0], asks[i][1], strcmp(asks[i][0], "GET") == 0 ? NULL : "{}"), 401,
               "unauthorized");
    expect(b, ask(b, "POST", "/api/auth/logout/", NULL), 200, NULL); /* signing out twice is no mistake */
}

/* --- devices
 * ----------------------------------------------------------------------------------------------------------------
 */

static testing_answer ask_with_token(browser *b, const char *method, const char *path, tims_str token)
{
    const testing_ask request = {
        .method = method,
        .path = path,
        .headers = c_string(b, tims_print(b->arena, "%sAuthorization: Bearer %S\r\n", b->address, token)),
        .type = "application/json",
        .body = strcmp(method, "GET") == 0 ? (tims_str){ NULL, 0 } : TIMS_STR("{}")
    };
    return testing_call(server, b->arena, &request);
}

static void a_device_signs_in_by_its_token_without_csrf(void **state)
{
    browser *b = *state;
    register_as(b, "yvonne");
    tims_str cookie_session = b->session;
    b->session = b->csrf = (tims_str){ NULL, 0 };
    testing_answer answer =
        ask(b, "POST", "/api/auth/token/",
            "{\"username\":\"yvonne\",\"password\":\"correct horse 7\",\"label\":\"phone\"}");
    expect(b, answer, 201, NULL);
    const tims_json *body;
    assert_int_equal(tims_json_parse(b->arena, answer.body, &body, NULL), TIMS_OK);
    tims_str token = tims_json_get_str(body, TIMS_STR("token"), TIMS_STR(""));
    assert_int_equal(token.length, TIMS_TOKEN_TEXT_LENGTH);
    assert_str(ask_with_token(b, "GET", "/private/", token).body, "yvonne");
    expect(b, ask_with_token(b, "POST", "/change/", token), 200, NULL);
    b->session = token; /* a device's token is no cookie, a cookie no device's token */
    assert_false(is_signed_in(b));
    expect(b, ask_with_token(b, "GET", "/plain/", cookie_session), 401, "session");
    expect(b, ask_with_token(b, "DELETE", "/api/auth/token/", token), 204, NULL);
    expect(b, ask_with_token(b, "DELETE", "/api/auth/token/", token), 401, "session");
    expect(b, ask_with_token(b, "GET", "/plain/", TIMS_STR("nonsense")), 401, "session");
}

static void a_token_needs_the_right_password(void **state)
{
    browser *b = *state;
    register_as(b, "zoe");
    expect(b, ask(b, "POST", "/api/auth/token/", "{\"username\":\"zoe\",\"password\":\"wrong horse 7\"}"),
           401, "credentials");
    expect(b, ask(b, "DELETE", "/api/auth/token/", NULL), 409, "no_token");
}

/* --- pictures
 * -----------------------------------------------------------------------------------------------------------------
 */

static testing_answer put_picture(browser *b, tims_str file, const char *filename)
{
    tims_buf body;
    tims_buf_init(&body, b->arena, TESTING_ANSWER_MAX);
    tims_buf_print(&body,
                   "--BOUNDARY\r\nContent-Disposition: form-data; name=\"avatar\"%s\r\n"
                   "Content-Type: image/png\r\n\r\n",
                   filename);
    tims_buf_append_str(&body, file);
    tims_buf_print(&body, "\r\n--BOUNDARY--\r\n");
    const testing_ask request = { .method = "PUT",
                                  .path = "/api/auth/me/avatar/",
                                  .cookies = cookies_of(b),
                                  .headers = c_string(
                                      b, tims_print(b->arena, "%sX-CSRF-Token: %S\r\n", b->address, b->csrf)),
                                  .type = "multipart/form-data; boundary=BOUNDARY",
                                  .body = tims_buf_str(&body) };
    return testing_call(server, b->arena, &request);
}

static tims_str avatar_address(browser *b)
{
    testing_answer answer = ask(b, "GET", "/api/auth/me/", NULL);
    const tims_json *body;
    assert_int_equal(tims_json_parse(b->arena, answer.body, &body, NULL), TIMS_OK);
    return tims_json_get_str(tims_json_get(body, TIMS_STR("user")), TIMS_STR("avatar"), TIMS_STR(""));
}

static const char with_name[] = "; filename=\"me.png\"";

static void a_picture_is_kept_and_served_as_what_it_is(void **state)
{
    browser *b = *state;
    register_as(b, "pia");
    tims_str png = { "\x89PNG\r\n\x1a\n\0\xff\x01--BOUNDARY x", 27 };
    expect(b, put_picture(b, png, with_name), 200, NULL);
    tims_str address = avatar_address(b);
    assert_true(tims_str_starts_with(address, TIMS_STR("/api/auth/avatar/")));
    testing_ask request = { .method = "GET", .path = c_string(b, address) }; /* by anybody */
    testing_answer answer = testing_call(server, b->arena, &request);
    expect(b, answer, 200, NULL);
    assert_str(testing_header(&answer, "Content-Type"), "image/png");
    assert_int_equal(answer.body.length, png.length);
    assert_memory_equal(answer.body.data, png.data, png.length);
    request.headers =
        c_string(b, tims_print(b->arena, "If-None-Match: %S\r\n", testing_header(&answer, "ETag")));
    assert_int_equal(testing_call(server, b->arena, &request).status, 304);
    expect(b, put_picture(b, TIMS_STR("\xff\xd8\xff\xe0 jpeg"), with_name), 200, NULL);
    tims_str second = avatar_address(b);
    assert_false(tims_str_equal(second, address));
    answer = testing_call(server, b->arena, &request);
    expect(b, answer, 200, NULL);
    assert_str(testing_header(&answer, "Content-Type"), "image/jpeg");
    expect(b, ask(b, "DELETE", "/api/auth/me/avatar/", NULL), 200, NULL);
    assert_str(avatar_address(b), "");
    expect(b, testing_call(server, b->arena, &request), 404, "not_found");
}

static void what_is_no_picture_or_too_large_is_refused(void **state)
{
    browser *b = *state;
    register_as(b, "rita");
    expect(b, put_picture(b, TIMS_STR("<svg onload=alert(1)>"), with_name), 415, "unsupported_media_type");
    expect(b, put_picture(b, TIMS_STR("GIF89a"), with_name), 415, "unsupported_media_type");
    expect(b, put_picture(b, TIMS_STR("RIFF1234WAVE"), with_name), 415, "unsupported_media_type");
    expect(b, put_picture(b, TIMS_STR(""), with_name), 415, "unsupported_media_type");
    expect(b, put_picture(b, TIMS_STR("\x89PNG\r\n\x1a\n"), ""), 422, "file_missing");
    char *large = tims_alloc(b->arena, AUTH__AVATAR_BYTES_MAX + 100);
    memcpy(large, "\x89PNG\r\n\x1a\n", 8);
    expect(b, put_picture(b, (tims_str){ large, AUTH__AVATAR_BYTES_MAX }, with_name), 200, NULL);
    expect(b, put_picture(b, (tims_str){ large, AUTH__AVATAR_BYTES_MAX + 1 }, with_name), 413, "too_large");
    expect(b, ask(b, "PUT", "/api/auth/me/avatar/", "{}"), 415, "unsupported_media_type");
    expect(b, ask(b, "GET", "/api/auth/avatar/0198c0de-cafe-7abc-8def-0123456789ab/", NULL), 404,
           "not_found");
}

/* --- what must never show
 * ------------------------------------------------------------------------------------------------------ */

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
    assert_int_equal(testing_sql_int(server, "SELECT count(*) FROM tims_change WHERE old LIKE '%argon2id%'"),
                     0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_browser, close_browser)
    const struct CMUnitTest tests[] = {
        TEST(a_new_person_is_signed_in_at_once),
        TEST(bad_registrations_are_answered_at_their_field),
        TEST(closed_registration_is_refused),
        TEST(the_right_password_signs_in_whatever_the_names_case),
        TEST(a_wrong_password_and_an_unknown_name_get_the_same_answer),
        TEST(signing_in_gives_a_new_session_and_ends_the_old_one),
        TEST(a_signed_out_session_is_nobody_on_every_loop),
        TEST(signing_out_everywhere_ends_browsers_and_devices),
        TEST(forged_and_foreign_cookies_are_nobody),
        TEST(a_session_ends_at_its_time),
        TEST(a_session_ends_when_it_is_not_used),
        TEST(its_last_use_is_written_now_and_then),
        TEST(a_user_switched_off_is_out_and_cannot_come_back),
        TEST(who_becomes_staff_is_let_in),
        TEST(anonymous_routes_look_nobody_up),
        TEST(ten_failures_lock_the_account_for_a_while),
        TEST(ten_failures_lock_the_address_for_a_while),
        TEST(success_starts_the_count_anew),
        TEST(changes_by_cookie_need_the_token_of_their_session),
        TEST(a_form_carries_its_token_in_a_field),
        TEST(signing_in_from_another_site_is_refused),
        TEST(forms_sign_in_with_a_visitors_token_and_go_on),
        TEST(forms_register_and_sign_out),
        TEST(me_is_null_for_nobody),
        TEST(the_account_is_changed_field_by_field),
        TEST(a_new_password_ends_the_other_sessions),
        TEST(endpoints_of_the_account_need_somebody),
        TEST(a_device_signs_in_by_its_token_without_csrf),
        TEST(a_token_needs_the_right_password),
        TEST(a_picture_is_kept_and_served_as_what_it_is),
        TEST(what_is_no_picture_or_too_large_is_refused),
        TEST(the_database_keeps_no_token_and_no_password),
    };
    return cmocka_run_group_tests_name("auth", tests, start, stop);
}
