/* log_test: lines for people and for machines, through a pipe. */
#include "base/testing.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

typedef struct fixture {
    int ends[2];
    char text[65536];
} fixture;

static int set_up(void **state)
{
    static fixture f;
    *state = &f;
    (void)tims_log_scope(NULL);
    return pipe2(f.ends, O_NONBLOCK | O_CLOEXEC);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    tims_log_setup(TIMS_LOG_INFO, TIMS_LOG_HUMAN, STDERR_FILENO);
    return close(f->ends[0]) | close(f->ends[1]);
}

static tims_str written(fixture *f)
{
    ssize_t length = read(f->ends[0], f->text, sizeof f->text);
    return (tims_str){ f->text, length < 0 ? 0 : (size_t)length };
}

static void a_line_names_level_room_scope_and_message(void **state)
{
    fixture *f = *state;
    tims_log_setup(TIMS_LOG_INFO, TIMS_LOG_HUMAN, f->ends[1]);
    assert_null(tims_log_scope("req-1"));
    tims_log(TIMS_LOG_WARN, "http", "status=%d path=%S", 404, TIMS_STR("/x"));
    assert_string_equal(tims_log_scope(NULL), "req-1");
    tims_str line = written(f);
    assert_str(tims_str_slice(line, 12, line.length), " WARN  http   [req-1] status=404 path=/x\n");
}

static void lines_below_the_level_are_dropped(void **state)
{
    fixture *f = *state;
    tims_log_setup(TIMS_LOG_WARN, TIMS_LOG_HUMAN, f->ends[1]);
    assert_false(tims_log_enabled(TIMS_LOG_INFO));
    assert_true(tims_log_enabled(TIMS_LOG_ERROR));
    tims_log(TIMS_LOG_INFO, "http", "quiet");
    assert_int_equal(written(f).length, 0);
}

static void control_characters_cannot_forge_a_line(void **state)
{
    fixture *f = *state;
    tims_log_setup(TIMS_LOG_INFO, TIMS_LOG_HUMAN, f->ends[1]);
    tims_log(TIMS_LOG_INFO, "http", "path=%S", TIMS_STR("/a\nERROR \x1b[31m\x7f\r"));
    tims_str line = written(f);
    assert_int_equal(tims_str_find(line, TIMS_STR("\n")), line.length - 1);
    assert_true(tims_str_find(line, TIMS_STR("/a\\x0aERROR \\x1b[31m\\x7f\\x0d")) != SIZE_MAX);
}

static void json_lines_are_escaped(void **state)
{
    fixture *f = *state;
    tims_log_setup(TIMS_LOG_INFO, TIMS_LOG_JSON, f->ends[1]);
    (void)tims_log_scope("a\"b");
    tims_log(TIMS_LOG_ERROR, "db", "said \"no\" \\ and\nleft");
    (void)tims_log_scope(NULL);
    tims_str line = written(f);
    assert_true(tims_str_starts_with(line, TIMS_STR("{\"time\":\"20")));
    size_t at = tims_str_find(line, TIMS_STR("\"level\""));
    assert_str(tims_str_slice(line, at, line.length),
               "\"level\":\"error\",\"room\":\"db\",\"scope\":\"a\\\"b\","
               "\"message\":\"said \\\"no\\\" \\\\ and\\u000aleft\"}\n");
}

static void gathered_lines_are_written_at_the_flush_and_in_order(void **state)
{
    fixture *f = *state;
    tims_log_setup(TIMS_LOG_INFO, TIMS_LOG_HUMAN, f->ends[1]);
    tims_log_append_line(TIMS_STR("one\n"));
    tims_log_append_line(TIMS_STR("two\n"));
    assert_int_equal(written(f).length, 0);
    tims_log_flush();
    assert_str(written(f), "one\ntwo\n");
    tims_log_append_line(TIMS_STR("three\n"));
    tims_log(TIMS_LOG_INFO, "x", "four"); /* flushes what was gathered before it */
    assert_true(tims_str_starts_with(written(f), TIMS_STR("three\n")));
}

static void *append_and_end(void *argument)
{
    (void)argument;
    tims_log_append_line(TIMS_STR("from a thread\n"));
    tims_log_close_thread();
    tims_log_append_line(TIMS_STR("and again\n"));
    tims_log_close_thread();
    return NULL;
}

/* LeakSanitizer is the judge of the buffer. */
static void a_thread_that_ends_writes_its_lines_and_gives_its_buffer_back(void **state)
{
    fixture *f = *state;
    pthread_t thread;
    tims_log_setup(TIMS_LOG_INFO, TIMS_LOG_HUMAN, f->ends[1]);
    assert_int_equal(pthread_create(&thread, NULL, append_and_end, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_str(written(f), "from a thread\nand again\n");
}

static void a_long_line_is_cut_not_lost(void **state)
{
    fixture *f = *state;
    static char longer[20000];
    memset(longer, 'x', sizeof longer);
    tims_log_setup(TIMS_LOG_INFO, TIMS_LOG_HUMAN, f->ends[1]);
    tims_log(TIMS_LOG_INFO, "x", "begin %S", ((tims_str){ longer, sizeof longer }));
    tims_str line = written(f);
    assert_true(line.length > 10 && line.length < 10000);
    assert_true(tims_str_find(line, TIMS_STR("begin")) != SIZE_MAX);
    assert_int_equal(line.data[line.length - 1], '\n');
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_line_names_level_room_scope_and_message),
        TEST(lines_below_the_level_are_dropped),
        TEST(control_characters_cannot_forge_a_line),
        TEST(json_lines_are_escaped),
        TEST(gathered_lines_are_written_at_the_flush_and_in_order),
        TEST(a_thread_that_ends_writes_its_lines_and_gives_its_buffer_back),
        TEST(a_long_line_is_cut_not_lost),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
