/* access_log_test: the line that each request leaves, for people and for machines. */
#include "http/server_testing.h"

static int log_ends[2];

static int set_up_log(void **state)
{
    static test_server t;
    if (pipe2(log_ends, O_NONBLOCK | O_CLOEXEC) != 0)
        return -1;
    test_prepare(&t, routes, sizeof(routes) / sizeof(routes[0]));
    t.options.access_log = true;
    test_start(&t);
    *state = &t;
    return 0;
}

static int tear_down_log(void **state)
{
    test_stop(*state);
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, STDERR_FILENO);
    return close(log_ends[0]) | close(log_ends[1]);
}

/* The next line of the log; it is written at the end of the tick that answers. */
static void next_line(char *ret_line, size_t size)
{
    size_t length = 0;
    while (length + 1 < size) {
        struct pollfd wait = { .fd = log_ends[0], .events = POLLIN };
        assert_int_equal(poll(&wait, 1, TEST_WAIT_MS), 1);
        assert_int_equal(read(log_ends[0], ret_line + length, 1), 1);
        if (ret_line[length++] == '\n')
            break;
    }
    ret_line[length] = 0;
}

static void ask_with(test_server *t, const char *request, char *ret_id, size_t size)
{
    test_answer answer = test_ask(t, request);
    assert_true(answer.status > 0);
    assert_true(test_header(&answer, "X-Request-Id", ret_id, size));
    test_answer_free(&answer);
}

static void a_line_for_people_says_what_was_asked_and_answered(void **state)
{
    static const struct {
        const char *request, *shown;
    } rows[] = {
        { "GET /hello/you/ HTTP/1.1\r\n" HOST END, " info  access 200 GET /hello/you/ " },
        { "GET /query/?q=secret HTTP/1.1\r\n" HOST END, " info  access 200 GET /query/ " },
        { "HEAD /hello/x/ HTTP/1.1\r\n" HOST END, " info  access 200 HEAD /hello/x/ " },
        { "GET /nothing/ HTTP/1.1\r\n" HOST END, " info  access 404 GET /nothing/ " },
        { "GET /refuse/ HTTP/1.1\r\n" HOST END, " info  access 409 GET /refuse/ " },
        { "GET /hello/a%20b%22c/ HTTP/1.1\r\n" HOST END, " info  access 200 GET /hello/a?b?c/ " },
    };
    tims_log_setup(TIMS_LOG_INFO, TIMS_LOG_HUMAN, log_ends[1]);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char line[2048], id[80], end[160];
        ask_with(*state, rows[i].request, id, sizeof(id));
        next_line(line, sizeof(line));
        if (!strstr(line, rows[i].shown))
            fail_msg("%s: %s", rows[i].request, line);
        assert_null(strstr(line, "secret"));
        (void)snprintf(end, sizeof(end), "us 127.0.0.1 %s\n", id);
        assert_string_equal(line + strlen(line) - strlen(end), end);
    }
}

static void a_line_for_machines_is_json(void **state)
{
    char line[2048], id[80];
    tims_log_setup(TIMS_LOG_INFO, TIMS_LOG_JSON, log_ends[1]);
    ask_with(*state, "GET /hello/a%20b%22/?token=secret HTTP/1.1\r\n" HOST END, id, sizeof(id));
    next_line(line, sizeof(line));
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    const tims_json *parsed = NULL;
    assert_int_equal(tims_json_parse(arena, tims_str_from(line), &parsed, NULL), TIMS_OK);
    assert_int_equal(tims_json_get_int(parsed, TIMS_STR("status"), 0), 200);
    assert_true(tims_json_get_int(parsed, TIMS_STR("bytes"), 0) > 0);
    assert_true(tims_json_get_int(parsed, TIMS_STR("took_us"), -1) >= 0);
    static const struct {
        const char *key, *value;
    } texts[] = { { "level", "info" },
                  { "room", "access" },
                  { "method", "GET" },
                  { "path", "/hello/a?b?/" },
                  { "peer", "127.0.0.1" } };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_true(tims_str_equal(tims_json_get_str(parsed, tims_str_from(texts[i].key), TIMS_STR("")),
                                   tims_str_from(texts[i].value)));
    assert_true(
        tims_str_equal(tims_json_get_str(parsed, TIMS_STR("scope"), TIMS_STR("")), tims_str_from(id)));
    tims_arena_free(&arena);
}

static void a_long_path_is_cut_between_characters(void **state)
{
    char request[1024], line[2048], id[80];
    size_t length = (size_t)snprintf(request, sizeof(request), "GET /hello/");
    for (int i = 0; i < 249 - 1; i++)
        request[length++] = 'a';
    (void)snprintf(request + length, sizeof(request) - length, "%%C3%%A4bc/ HTTP/1.1\r\n" HOST END);
    tims_log_setup(TIMS_LOG_INFO, TIMS_LOG_HUMAN, log_ends[1]);
    ask_with(*state, request, id, sizeof(id)); /* the 256th byte is the first of an ä */
    next_line(line, sizeof(line));
    assert_non_null(strstr(line, "aaa 2"));
    assert_null(strchr(line, '\xc3'));
}

int main(void)
{
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, STDERR_FILENO);
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_log, tear_down_log)
    const struct CMUnitTest tests[] = {
        LOG_TEST(a_line_for_people_says_what_was_asked_and_answered),
        LOG_TEST(a_line_for_machines_is_json),
        LOG_TEST(a_long_path_is_cut_between_characters),
    };
    return cmocka_run_group_tests_name("access_log", tests, NULL, NULL);
}
