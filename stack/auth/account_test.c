/* account_test: registering, forms without JavaScript, the own account, devices, pictures: requests to a real
 * server, answers in a table where one line says it. */
#include "auth/testing_browser.h"

/* --- registering ------------------------------------------------------------------------------------- */

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

/* --- pages without JavaScript ------------------------------------------------------------------------ */

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

/* --- the own account --------------------------------------------------------------------------------- */

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

/* --- devices ----------------------------------------------------------------------------------------- */

static void a_device_signs_in_by_its_token_without_csrf(void **state)
{
    browser *b = *state;
    register_as(b, "yvonne");
    tims_str cookie_session = b->session;
    b->session = b->csrf = (tims_str){ NULL, 0 };
    tims_str token =
        token_in(b,
                 ask(b, "POST", "/api/auth/token/",
                     "{\"username\":\"yvonne\",\"password\":\"correct horse 7\",\"label\":\"phone\"}"),
                 201);
    assert_str(ask_with_token(b, "GET", "/private/", token, NULL).body, "yvonne");
    expect(b, ask_with_token(b, "POST", "/change/", token, "{}"), 200, NULL);
    b->session = token; /* a device's token is no cookie, a cookie no device's token */
    assert_false(is_signed_in(b));
    expect(b, ask_with_token(b, "GET", "/plain/", cookie_session, NULL), 401, "session");
    expect(b, ask_with_token(b, "DELETE", "/api/auth/token/", token, "{}"), 204, NULL);
    expect(b, ask_with_token(b, "DELETE", "/api/auth/token/", token, "{}"), 401, "session");
    expect(b, ask_with_token(b, "GET", "/plain/", TIMS_STR("nonsense"), NULL), 401, "session");
}

static void a_token_needs_the_right_password(void **state)
{
    browser *b = *state;
    register_as(b, "zoe");
    expect(b, ask(b, "POST", "/api/auth/token/", "{\"username\":\"zoe\",\"password\":\"wrong horse 7\"}"),
           401, "credentials");
    expect(b, ask(b, "DELETE", "/api/auth/token/", NULL), 409, "no_token");
}

/* --- pictures ---------------------------------------------------------------------------------------- */

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
    tims_str png = TIMS_STR("\x89PNG\r\n\x1a\n\0\xff\x01--BOUNDARY x");
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_browser, close_browser)
    const struct CMUnitTest tests[] = {
        TEST(a_new_person_is_signed_in_at_once),
        TEST(bad_registrations_are_answered_at_their_field),
        TEST(closed_registration_is_refused),
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
    };
    return cmocka_run_group_tests_name("account", tests, start, stop);
}
