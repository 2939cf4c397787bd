/* testing_browser.h: a browser's manners (cookies kept, CSRF token sent) towards the server of testing.h, and
 * the routes that tests ask. For tests only. */
#ifndef TIMS_AUTH_TESTING_BROWSER_H
#define TIMS_AUTH_TESTING_BROWSER_H

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

static int start_with(const tims_route *asked)
{
    tims_log_setup(TIMS_LOG_ERROR, TIMS_LOG_HUMAN, STDERR_FILENO);
    server = testing_start(asked, (tims_auth_options){ .password_cost = tims_password_cost_for_tests,
                                                       .open_registration = true });
    return 0;
}

TIMS_UNUSED static int start(void **state)
{
    (void)state;
    return start_with(routes);
}

static int stop(void **state)
{
    (void)state;
    testing_stop(server);
    return 0;
}

/* --- a browser --------------------------------------------------------------------------------------- */

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
    if (!tims_str_starts_with(answer->body, TIMS_STR("{\"user\"")) ||
        tims_json_parse(b->arena, answer->body, &body, NULL) != TIMS_OK)
        return;
    tims_str csrf = tims_json_get_str(body, TIMS_STR("csrf"), b->csrf);
    if (csrf.length > 0) /* a device's answers have none */
        b->csrf = csrf;
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
TIMS_UNUSED static testing_answer post_form(browser *b, const char *path, const char *form)
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

TIMS_UNUSED static tims_str problem_code(const browser *b, const testing_answer *answer)
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
        fail_msg("expected %d %s, got %d: %.*s", status, code != NULL ? code : "", answer.status,
                 TIMS_PRINT(answer.body));
}

static void register_as(browser *b, const char *name)
{
    tims_str body = tims_print(b->arena, "{\"username\":\"%s\",\"password\":\"correct horse 7\"}", name);
    expect(b, ask(b, "POST", "/api/auth/register/", c_string(b, body)), 201, NULL);
    assert_int_equal(b->session.length, TIMS_TOKEN_TEXT_LENGTH);
}

TIMS_UNUSED static testing_answer login_as(browser *b, const char *name, const char *password)
{
    tims_str body = tims_print(b->arena, "{\"username\":\"%s\",\"password\":\"%s\"}", name, password);
    return ask(b, "POST", "/api/auth/login/", c_string(b, body));
}

TIMS_UNUSED static bool is_signed_in(browser *b)
{
    testing_answer answer = ask(b, "GET", "/plain/", NULL);
    assert_int_equal(answer.status, 200);
    return tims_str_equal(answer.body, TIMS_STR("somebody"));
}

/* Until every loop has heard of a change; a fresh connection each time. */
TIMS_UNUSED static bool becomes_signed_out(browser *b)
{
    int64_t deadline = tims_monotonic_us() + 10 * 1000000;
    int in_a_row = 0;
    while (in_a_row < 20 && tims_monotonic_us() < deadline)
        in_a_row = is_signed_in(b) ? 0 : in_a_row + 1;
    return in_a_row == 20;
}

/* --- a device ---------------------------------------------------------------------------------------- */

TIMS_UNUSED static testing_answer ask_with_token(browser *b, const char *method, const char *path,
                                                 tims_str token, const char *json)
{
    const testing_ask request = {
        .method = method,
        .path = path,
        .headers = c_string(b, tims_print(b->arena, "%sAuthorization: Bearer %S\r\n", b->address, token)),
        .type = "application/json",
        .body = json != NULL ? tims_str_from(json) : (tims_str){ NULL, 0 }
    };
    return testing_call(server, b->arena, &request);
}

/* The token that an answer tells. */
TIMS_UNUSED static tims_str token_in(const browser *b, testing_answer answer, int status)
{
    const tims_json *body;
    expect(b, answer, status, NULL);
    assert_int_equal(tims_json_parse(b->arena, answer.body, &body, NULL), TIMS_OK);
    tims_str token = tims_json_get_str(body, TIMS_STR("token"), TIMS_STR(""));
    assert_int_equal(token.length, TIMS_TOKEN_TEXT_LENGTH);
    assert_true(tims_str_find(answer.body, TIMS_STR("\"expires_in_s\":")) != SIZE_MAX);
    return token;
}

/* --- elsewhere, and as nobody -------------------------------------------------------------------------- */

TIMS_UNUSED static void move_to(browser *b, const char *address)
{
    (void)snprintf(b->address, sizeof b->address, "X-Forwarded-For: %s\r\n", address);
}

TIMS_UNUSED static void sign_out(browser *b)
{
    b->session = b->csrf = (tims_str){ NULL, 0 };
}

/* --- what other programs do ---------------------------------------------------------------------------- */

/* Sets a time of the session's row as another program would, and says so as the feed would. */
TIMS_UNUSED static void change_session(browser *b, const char *column, int64_t us)
{
    char hash[TIMS_TOKEN_HASH_TEXT_LENGTH];
    tims_token_hash(b->session, hash);
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_db_session *session = tims_db_session_new(server->db, NULL, arena);
    const tims_db_value values[] = { tims_db_text((tims_str){ hash, sizeof hash }), tims_db_int(us) };
    tims_db_rows *rows;
    tims_error err = { 0 };
    tims_str sql = tims_print(arena, "UPDATE auth_session SET %s = ?2 WHERE token_hash = ?1", column);
    testing_check(tims_db_run(session, sql, values, 2, NULL, &err), &err);
    testing_check(tims_db_query(session, TIMS_STR("SELECT id FROM auth_session WHERE token_hash = ?1"),
                                values, 1, &rows, &err),
                  &err);
    assert_true(tims_db_next(rows));
    tims_id id = tims_db_get_id(rows, 0);
    testing_check(tims_db_rows_end(&rows, &err), &err);
    tims_arena_free(&arena);
    tims_auth_forget(server->auth, &tims_auth_session_model, id);
}

TIMS_UNUSED static tims_id user_id(const char *name)
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

#endif
