/* scope_run_test.c: requests that no client made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tims/http.h"

typedef struct world {
    tims_loop *loop;
    tims_status status, next_wait;
    tims_error err;
    int calls;
} world;

static void count_call(tims_request *rq, void *argument)
{
    (void)rq;
    ((world *)argument)->calls++;
}

static void raise_conflict(tims_request *rq, void *argument)
{
    count_call(rq, argument);
    tims_raise(rq, 409, "taken", "Somebody was faster.");
}

static void run_then_wait(void *argument)
{
    world *w = argument;
    w->status = tims_request_run(w->loop, NULL, count_call, w, NULL, &w->err);
    tims_fiber_set_deadline(tims_monotonic_us() + 30000);
    w->next_wait = tims_fiber_suspend();
    tims_loop_stop(w->loop);
}

static void run_raising(void *argument)
{
    world *w = argument;
    w->status = tims_request_run(w->loop, NULL, raise_conflict, w, NULL, &w->err);
    tims_loop_stop(w->loop);
}

static world run(tims_fiber_fn function)
{
    static world w;
    w = (world){ .next_wait = TIMS_OK };
    assert_int_equal(tims_loop_new(&(tims_loop_options){ 0 }, &w.loop), TIMS_OK);
    tims_fiber_start(w.loop, function, &w);
    tims_loop_run(w.loop);
    tims_loop_free(&w.loop);
    return w;
}

static void a_scope_that_ends_at_once_leaves_no_wake_behind(void **state)
{
    (void)state;
    world w = run(run_then_wait);
    assert_int_equal(w.status, TIMS_OK);
    assert_int_equal(w.calls, 1);
    assert_int_equal(w.next_wait, TIMS_TIMEOUT);
}

static void a_raise_ends_only_its_scope_and_is_told(void **state)
{
    (void)state;
    world w = run(run_raising);
    assert_int_equal(w.status, TIMS_CONFLICT);
    assert_string_equal(w.err.code, "taken");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scope_that_ends_at_once_leaves_no_wake_behind),
        cmocka_unit_test(a_raise_ends_only_its_scope_and_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
