/* Fibers: starting, waiting, being woken, stopped and left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop/loop_internal.h"

/* Runs `function` as the first fiber of a fresh loop, until nothing is left. */
typedef struct stage {
    tims_loop *loop;
    tims_fiber_fn function;
    tims_fiber *fiber, *other;
    char trace[64];
    tims_status status;
    int64_t started_us, ended_us;
    int count, depth;
} stage;

static void note(stage *s, char c)
{
    size_t length = strlen(s->trace);
    assert_true(length + 1 < sizeof s->trace);
    s->trace[length] = c;
}

static void open_stage(void *argument)
{
    stage *s = argument;
    tims_loop_stop(s->loop);
    s->started_us = tims_monotonic_us();
    (void)tims_fiber_start(s->loop, s->function, s);
}

static stage play_with(tims_fiber_fn function, const tims_loop_options *options)
{
    stage s = { .function = function };
    assert_int_equal(tims_loop_new(options, &s.loop), TIMS_OK);
    tims_loop_post(s.loop, open_stage, &s);
    tims_loop_run(s.loop);
    s.ended_us = tims_monotonic_us();
    assert_int_equal(tims_fiber_count(s.loop), 0);
    tims_loop_free(&s.loop);
    assert_null(s.loop);
    return s;
}

static stage play(tims_fiber_fn function)
{
    return play_with(function, NULL);
}

/* --- start and end ---------------------------------------------------------------------------- */

static void note_inner(void *argument)
{
    note(argument, 'b');
}

static void start_inner(void *argument)
{
    stage *s = argument;
    note(s, 'a');
    assert_ptr_equal(tims_loop_self(), s->loop);
    tims_fiber *self = tims_fiber_self();
    assert_non_null(tims_fiber_start(s->loop, note_inner, s));
    assert_ptr_equal(tims_fiber_self(), self);
    note(s, 'c');
}

static void a_started_fiber_runs_at_once_and_returns_to_its_starter(void **state)
{
    (void)state;
    assert_string_equal(play(start_inner).trace, "abc");
    assert_null(tims_fiber_self());
    assert_null(tims_loop_self());
}

static void wait_in_inner(void *argument)
{
    stage *s = argument;
    s->other = tims_fiber_self();
    note(s, 'b');
    assert_int_equal(tims_fiber_suspend(), TIMS_OK);
    note(s, 'e');
}

static void start_waiting_inner(void *argument)
{
    stage *s = argument;
    note(s, 'a');
    (void)tims_fiber_start(s->loop, wait_in_inner, s);
    note(s, 'c');
    tims_fiber_wake(s->other);
    note(s, 'd'); /* a wake never switches */
}

static void a_wake_resumes_only_when_the_loop_is_reached(void **state)
{
    (void)state;
    assert_string_equal(play(start_waiting_inner).trace, "abcde");
}

static void nest(void *argument)
{
    stage *s = argument;
    if (++s->depth < 50)
        assert_non_null(tims_fiber_start(s->loop, nest, s));
    assert_int_equal(tims_sleep_ms(1), TIMS_OK);
    s->count++;
}

static void fibers_start_fibers_fifty_deep(void **state)
{
    (void)state;
    assert_int_equal(play(nest).count, 50);
}

static void count_up(void *argument)
{
    ((stage *)argument)->count++;
}

static void TIMS_NORETURN leave_from_below(stage *s, volatile char *frame)
{
    frame[0] = 1;
    note(s, 'x');
    tims_fiber_exit();
}

static void exit_midway(void *argument)
{
    volatile char frame[512];
    stage *s = argument;
    tims_fiber_on_end(tims_fiber_self(), count_up, s);
    leave_from_below(s, frame);
}

static void exit_many_times(void *argument)
{
    stage *s = argument;
    for (int i = 0; i < 20; i++)
        assert_non_null(tims_fiber_start(s->loop, exit_midway, s));
    note(s, '.');
}

static void exit_abandons_the_stack_and_calls_the_end_hook_once(void **state)
{
    (void)state;
    stage s = play(exit_many_times);
    assert_int_equal(s.count, 20);
    assert_string_equal(s.trace, "xxxxxxxxxxxxxxxxxxxx.");
}

static void hook_and_return(void *argument)
{
    tims_fiber_on_end(tims_fiber_self(), count_up, argument);
    assert_int_equal(tims_sleep_ms(0), TIMS_OK);
    assert_int_equal(((stage *)argument)->count, 0);
}

static void the_end_hook_runs_after_a_return_too(void **state)
{
    (void)state;
    assert_int_equal(play(hook_and_return).count, 1);
}

static void sleep_briefly(void *argument)
{
    (void)argument;
    assert_int_equal(tims_sleep_ms(1), TIMS_OK);
}

static void start_too_many(void *argument)
{
    stage *s = argument;
    for (int i = 0; i < 3; i++)
        s->count += tims_fiber_start(s->loop, sleep_briefly, s) != NULL;
}

static void past_fibers_max_none_is_started(void **state)
{
    (void)state;
    assert_int_equal(play_with(start_too_many, &(tims_loop_options){ .fibers_max = 3 }).count, 2);
}

static void churn(void *argument)
{
    stage *s = argument;
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 300; i++)
            assert_non_null(tims_fiber_start(s->loop, sleep_briefly, s));
    assert_int_equal(tims_sleep_ms(60), TIMS_OK);
    s->count = (int)s->loop->pool.count;
    while (s->loop->pool.trim_timer.loop != NULL) /* until the pool has settled */
        assert_int_equal(tims_sleep_ms(100), TIMS_OK);
    s->depth = (int)s->loop->pool.count;
}

static void a_pool_that_is_not_needed_is_given_back(void **state)
{
    (void)state;
    stage s = play(churn);
    assert_int_equal(s.count, 900);
    assert_true(s.depth <= 33 && s.depth >= 16);
}

static int dig(stage *s, int depth)
{
    volatile char frame[1000];
    frame[0] = (char)depth;
    s->depth++;
    return s->depth < 0 ? 0 : dig(s, depth + 1) + frame[0];
}

static void dig_for_ever(void *argument)
{
    (void)dig(argument, 0);
}

static void a_stack_that_overflows_ends_the_process_and_spoils_nothing(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        (void)close(STDERR_FILENO);
        (void)signal(SIGSEGV, SIG_DFL);
        (void)play(dig_for_ever);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(!WIFSIGNALED(status) || WTERMSIG(status) == SIGSEGV);
}

/* --- waking ----------------------------------------------------------------------------------- */

static void wake_self_first(void *argument)
{
    stage *s = argument;
    tims_fiber_wake(tims_fiber_self());
    tims_fiber_wake(tims_fiber_self()); /* only one is kept */
    assert_int_equal(tims_fiber_suspend(), TIMS_OK);
    (void)tims_fiber_set_deadline(tims_monotonic_us() + 1000);
    s->status = tims_fiber_suspend();
}

static void a_wake_before_the_suspend_is_kept_once(void **state)
{
    (void)state;
    assert_int_equal(play(wake_self_first).status, TIMS_TIMEOUT);
}

static void *wake_from_thread(void *argument)
{
    stage *s = argument;
    tims_fiber_wake_from_anywhere(s->fiber);
    return NULL;
}

static void wait_for_threads(void *argument)
{
    stage *s = argument;
    s->fiber = tims_fiber_self();
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, wake_from_thread, s), 0);
        assert_int_equal(tims_fiber_suspend(), TIMS_OK);
        assert_int_equal(pthread_join(thread, NULL), 0);
        s->count++;
    }
}

static void another_thread_wakes_a_fiber(void **state)
{
    (void)state;
    assert_int_equal(play(wait_for_threads).count, 50);
}

/* --- deadline, cancel, shield ----------------------------------------------------------------- */

static void sleep_past_deadline(void *argument)
{
    stage *s = argument;
    assert_int_equal(tims_fiber_set_deadline(tims_monotonic_us() + 30000), 0);
    s->status = tims_sleep_ms(10000);
    assert_int_equal(tims_sleep_ms(1), TIMS_TIMEOUT); /* it stays passed */
    assert_true(tims_fiber_set_deadline(0) > 0);
    assert_int_equal(tims_sleep_ms(1), TIMS_OK);
}

static void a_deadline_ends_every_wait_after_it(void **state)
{
    (void)state;
    stage s = play(sleep_past_deadline);
    assert_int_equal(s.status, TIMS_TIMEOUT);
    assert_in_range(s.ended_us - s.started_us, 30000, 5000000);
}

static void move_deadline(void *argument)
{
    stage *s = argument;
    (void)tims_fiber_set_deadline(tims_monotonic_us() + 20000);
    assert_int_equal(tims_sleep_ms(1), TIMS_OK);
    (void)tims_fiber_set_deadline(tims_monotonic_us() + 10000000);
    s->status = tims_sleep_ms(60);
}

static void a_deadline_that_was_moved_does_not_ring(void **state)
{
    (void)state;
    assert_int_equal(play(move_deadline).status, TIMS_OK);
}

static void wait_to_be_cancelled(void *argument)
{
    stage *s = argument;
    s->other = tims_fiber_self();
    s->status = tims_fiber_suspend();
    s->count = (int)tims_sleep_ms(10000); /* the next wait, too */
}

static void cancel_other(void *argument)
{
    stage *s = argument;
    (void)tims_fiber_start(s->loop, wait_to_be_cancelled, s);
    tims_fiber_cancel(s->other);
    tims_fiber_wake(s->other);
}

static void cancel_ends_this_wait_and_the_next(void **state)
{
    (void)state;
    stage s = play(cancel_other);
    assert_int_equal(s.status, TIMS_CANCELLED);
    assert_int_equal(s.count, TIMS_CANCELLED);
}

static void sleep_shielded(void *argument)
{
    stage *s = argument;
    s->other = tims_fiber_self();
    (void)tims_fiber_set_deadline(tims_monotonic_us() + 1000);
    assert_false(tims_fiber_shield(true));
    s->status = tims_sleep_ms(50);
    assert_true(tims_fiber_shield(false));
    s->count = (int)tims_sleep_ms(10000);
    tims_fiber_cancel(tims_fiber_self());
    assert_int_equal(tims_sleep_ms(10000), TIMS_CANCELLED);
}

static void a_shield_defers_the_deadline_until_it_is_lowered(void **state)
{
    (void)state;
    stage s = play(sleep_shielded);
    assert_int_equal(s.status, TIMS_OK);
    assert_int_equal(s.count, TIMS_TIMEOUT);
    assert_in_range(s.ended_us - s.started_us, 50000, 5000000);
}

static void cancel_while_shielded(void *argument)
{
    stage *s = argument;
    (void)tims_fiber_start(s->loop, sleep_shielded, s);
    tims_fiber_cancel(s->other);
}

static void a_shield_defers_cancel(void **state)
{
    (void)state;
    stage s = play(cancel_while_shielded);
    assert_int_equal(s.status, TIMS_OK);
    assert_int_equal(s.count, TIMS_CANCELLED);
}

/* --- the log's scope belongs to the fiber ----------------------------------------------------- */

static void keep_scope(void *argument)
{
    (void)argument;
    (void)tims_log_scope("inner");
    assert_int_equal(tims_sleep_ms(1), TIMS_OK);
    assert_string_equal(tims_log_scope(NULL), "inner");
}

static void check_scope(void *argument)
{
    stage *s = argument;
    (void)tims_log_scope("outer");
    (void)tims_fiber_start(s->loop, keep_scope, s);
    assert_int_equal(tims_sleep_ms(20), TIMS_OK);
    assert_string_equal(tims_log_scope(NULL), "outer");
}

static void each_fiber_has_its_own_log_scope(void **state)
{
    (void)state;
    (void)play(check_scope);
    assert_null(tims_log_scope(NULL));
}

/* --- work off the loop ------------------------------------------------------------------------ */

typedef struct sum {
    pthread_t thread;
    int64_t of, result;
} sum;

static void add_up(void *argument)
{
    sum *adding = argument;
    adding->thread = pthread_self();
    for (int64_t i = 1; i <= adding->of; i++)
        adding->result += i;
}

static void work_once(void *argument)
{
    stage *s = argument;
    sum adding = { .of = 1000 };
    assert_int_equal(tims_work_run(add_up, &adding), TIMS_OK);
    assert_int_equal(adding.result, 500500);
    assert_false(pthread_equal(adding.thread, pthread_self()));
    s->count++;
}

static void work_often(void *argument)
{
    stage *s = argument;
    for (int i = 0; i < 40; i++)
        (void)tims_fiber_start(s->loop, work_once, s);
    work_once(s);
}

static void work_runs_on_another_thread_while_the_fiber_waits(void **state)
{
    (void)state;
    assert_int_equal(play(work_often).count, 41);
}

static void work_cancelled(void *argument)
{
    stage *s = argument;
    tims_fiber_cancel(tims_fiber_self());
    work_once(s);
    s->status = tims_sleep_ms(1);
}

static void work_is_finished_even_when_cancelled(void **state)
{
    (void)state;
    stage s = play(work_cancelled);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.status, TIMS_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_started_fiber_runs_at_once_and_returns_to_its_starter),
        cmocka_unit_test(a_wake_resumes_only_when_the_loop_is_reached),
        cmocka_unit_test(fibers_start_fibers_fifty_deep),
        cmocka_unit_test(exit_abandons_the_stack_and_calls_the_end_hook_once),
        cmocka_unit_test(the_end_hook_runs_after_a_return_too),
        cmocka_unit_test(past_fibers_max_none_is_started),
        cmocka_unit_test(a_stack_that_overflows_ends_the_process_and_spoils_nothing),
        cmocka_unit_test(a_pool_that_is_not_needed_is_given_back),
        cmocka_unit_test(a_wake_before_the_suspend_is_kept_once),
        cmocka_unit_test(another_thread_wakes_a_fiber),
        cmocka_unit_test(a_deadline_ends_every_wait_after_it),
        cmocka_unit_test(a_deadline_that_was_moved_does_not_ring),
        cmocka_unit_test(cancel_ends_this_wait_and_the_next),
        cmocka_unit_test(a_shield_defers_the_deadline_until_it_is_lowered),
        cmocka_unit_test(a_shield_defers_cancel),
        cmocka_unit_test(each_fiber_has_its_own_log_scope),
        cmocka_unit_test(work_runs_on_another_thread_while_the_fiber_waits),
        cmocka_unit_test(work_is_finished_even_when_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
