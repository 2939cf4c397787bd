/* watchdog_test: who holds a loop too long is named in the log. Time is spent by looking at the clock, since
 * what is watched is work, not waiting. */
#include "base/testing.h"

#include <fcntl.h>
#include <unistd.h>

#include "tims/loop.h"

typedef struct stage {
    tims_loop *loop;
    int ends[2];
    int64_t work_ms;
    tims_fiber_fn fiber;
    char text[65536];
} stage;

static int set_up(void **state)
{
    static stage s;
    *state = &s;
    s = (stage){ .work_ms = 80 };
    if (pipe2(s.ends, O_NONBLOCK | O_CLOEXEC) != 0)
        return -1;
    tims_log_setup(TIMS_LOG_WARN, TIMS_LOG_HUMAN, s.ends[1]);
    return 0;
}

static int tear_down(void **state)
{
    stage *s = *state;
    tims_log_setup(TIMS_LOG_INFO, TIMS_LOG_HUMAN, STDERR_FILENO);
    return close(s->ends[0]) | close(s->ends[1]);
}

static void work(const stage *s)
{
    int64_t end_us = tims_monotonic_us() + s->work_ms * 1000;
    while (tims_monotonic_us() < end_us)
        continue;
}

static void work_and_end(void *argument)
{
    const stage *s = argument;
    work(s);
    tims_loop_stop(s->loop);
}

static void work_for_a_request(void *argument)
{
    const stage *s = argument;
    (void)tims_log_scope("req-9");
    work(s);
    assert_int_equal(tims_sleep_ms(1), TIMS_OK); /* it is seen where the fiber lets go */
    tims_loop_stop(s->loop);
}

static void rest_and_end(void *argument)
{
    const stage *s = argument;
    assert_int_equal(tims_sleep_ms(s->work_ms), TIMS_OK);
    tims_loop_stop(s->loop);
}

static void start(void *argument)
{
    stage *s = argument;
    assert_non_null(tims_fiber_start(s->loop, s->fiber, s));
}

/* What is in the log when the loop has ended. */
static tims_str run(stage *s, uint32_t watchdog_ms, tims_fiber_fn fiber)
{
    tims_loop_options options = { .index = 3, .watchdog_ms = watchdog_ms };
    assert_int_equal(tims_loop_new(&options, &s->loop), TIMS_OK);
    s->fiber = fiber;
    tims_loop_post(s->loop, start, s); /* a fiber runs as it is started; the loop must run by then */
    tims_loop_run(s->loop);
    tims_loop_free(&s->loop);
    tims_log_flush();
    ssize_t length = read(s->ends[0], s->text, sizeof s->text);
    return (tims_str){ s->text, length < 0 ? 0 : (size_t)length };
}

static bool has(tims_str text, const char *part)
{
    return tims_str_find(text, tims_str_from(part)) != SIZE_MAX;
}

static void a_fiber_that_holds_its_loop_is_logged(void **state)
{
    tims_str log = run(*state, 0, work_and_end);
    assert_true(has(log, " WARN  loop "));
    assert_true(has(log, "a fiber held loop 3 for "));
    size_t at = tims_str_find(log, TIMS_STR(" for "));
    tims_str rest = tims_str_slice(log, at + 5, log.length);
    int64_t held_ms = 0;
    assert_true(tims_str_to_int(tims_str_cut(&rest, ' '), 60, 60000, &held_ms));
}

static void the_line_names_the_request(void **state)
{
    tims_str log = run(*state, 0, work_for_a_request);
    size_t at = tims_str_find(log, TIMS_STR("a fiber held loop 3"));
    assert_true(at != SIZE_MAX);
    assert_true(tims_str_find(tims_str_slice(log, 0, at), TIMS_STR("[req-9]")) != SIZE_MAX);
}

static void a_fiber_within_its_time_is_not(void **state)
{
    assert_int_equal(run(*state, 60 * 1000, work_and_end).length, 0);
}

static void waiting_is_not_holding(void **state)
{
    stage *s = *state;
    s->work_ms = 500;
    assert_false(has(run(s, 400, rest_and_end), "a fiber held loop"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_fiber_that_holds_its_loop_is_logged),
        TEST(the_line_names_the_request),
        TEST(a_fiber_within_its_time_is_not),
        TEST(waiting_is_not_holding),
    };
    return cmocka_run_group_tests_name("watchdog", tests, NULL, NULL);
}
