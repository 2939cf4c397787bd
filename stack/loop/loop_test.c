/* The loop itself: posts, tick ends, slots, signals, timers, stopping. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop/loop_internal.h"

enum { THREADS = 4, POSTS_EACH = 5000 };

typedef struct stage {
    tims_loop *loop;
    char trace[64];
    size_t length;
    bool armed;
    int count;
    int64_t at_us;
    tims_timer timers[4];
} stage;

typedef struct sender {
    stage *s;
    pthread_t thread;
    int number;
} sender;

/* A message from a thread: who, and its how-many-eth. */
typedef struct message {
    stage *s;
    int sender, number;
} message;

static int seen[THREADS];

static tims_loop *new_loop(void)
{
    tims_loop *loop = NULL;
    assert_int_equal(tims_loop_new(&(tims_loop_options){ .index = 3 }, &loop), TIMS_OK);
    return loop;
}

static void note(stage *s, char c)
{
    assert_true(s->length + 1 < sizeof s->trace);
    s->trace[s->length++] = c;
}

static void note_a(void *argument)
{
    note(argument, 'a');
}
static void note_b(void *argument)
{
    note(argument, 'b');
}
static void note_c(void *argument)
{
    note(argument, 'c');
}

static void stop_now(void *argument)
{
    tims_loop_stop(((stage *)argument)->loop);
}

/* --- posts ------------------------------------------------------------------------------------ */

static void post_more(void *argument)
{
    stage *s = argument;
    assert_ptr_equal(tims_loop_self(), s->loop);
    tims_loop_post(s->loop, note_b, s);
    note(s, '1');
    tims_loop_stop(s->loop);
    tims_loop_post(s->loop, note_c, s); /* after the stop, still run */
}

static void posts_run_in_order_and_those_after_a_stop_too(void **state)
{
    (void)state;
    stage s = { .loop = new_loop() };
    assert_int_equal(tims_loop_index(s.loop), 3);
    tims_loop_post(s.loop, note_a, &s);
    tims_loop_post(s.loop, post_more, &s);
    tims_loop_run(s.loop);
    assert_string_equal(s.trace, "a1bc");
    tims_loop_post(s.loop, note_a, &s); /* too late for run: free runs it */
    tims_loop_free(&s.loop);
    assert_string_equal(s.trace, "a1bca");
}

static void take_message(void *argument)
{
    message *m = argument;
    assert_ptr_equal(tims_loop_self(), m->s->loop);
    assert_int_equal(seen[m->sender], m->number); /* each thread's in its order */
    seen[m->sender]++;
    if (++m->s->count == THREADS * POSTS_EACH)
        tims_loop_stop(m->s->loop);
    free(m);
}

static void *send_messages(void *argument)
{
    sender *from = argument;
    for (int i = 0; i < POSTS_EACH; i++) {
        message *m = malloc(sizeof *m);
        assert_non_null(m);
        *m = (message){ from->s, from->number, i };
        tims_loop_post(from->s->loop, take_message, m);
    }
    return NULL;
}

static void posts_from_many_threads_arrive_each_in_its_order(void **state)
{
    (void)state;
    stage s = { .loop = new_loop() };
    sender senders[THREADS];
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < THREADS; i++) {
        senders[i] = (sender){ .s = &s, .number = i };
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_messages, &senders[i]), 0);
    }
    tims_loop_run(s.loop);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
    assert_int_equal(s.count, THREADS * POSTS_EACH);
    tims_loop_free(&s.loop);
}

typedef struct ring {
    tims_loop *loops[2];
    int hops;
} ring;

static void hop(void *argument)
{
    ring *r = argument;
    if (++r->hops < 2000) {
        tims_loop_post(r->loops[r->hops % 2], hop, r);
        return;
    }
    tims_loop_stop(r->loops[0]);
    tims_loop_stop(r->loops[1]);
}

static void *run_loop(void *argument)
{
    tims_loop_run(argument);
    return NULL;
}

static void two_loops_pass_a_message_back_and_forth(void **state)
{
    (void)state;
    ring r = { .loops = { new_loop(), new_loop() } };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_loop, r.loops[1]), 0);
    tims_loop_post(r.loops[0], hop, &r);
    tims_loop_run(r.loops[0]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(r.hops, 2000);
    tims_loop_free(&r.loops[0]);
    tims_loop_free(&r.loops[1]);
}

static void post_for_ever(void *argument)
{
    stage *s = argument;
    if (++s->count < 1000)
        tims_loop_post(s->loop, post_for_ever, s);
}

static void ring_and_stop(void *argument)
{
    stage *s = argument;
    s->at_us = s->count;
    tims_loop_stop(s->loop);
}

static void set_stopper(void *argument)
{
    stage *s = argument;
    tims_timer_set(s->loop, &s->timers[0], 20, ring_and_stop, s);
    post_for_ever(s);
}

static void a_post_that_posts_itself_does_not_starve_the_rest(void **state)
{
    (void)state;
    stage s = { .loop = new_loop() };
    tims_loop_post(s.loop, set_stopper, &s);
    tims_loop_run(s.loop);
    assert_int_equal(s.count, 1000);
    tims_loop_free(&s.loop);
}

/* --- tick ends -------------------------------------------------------------------------------- */

static void end_tick(void *argument)
{
    stage *s = argument;
    assert_false(s->armed);
    note(s, 'e');
    if (s->length < 4) /* once more, in the next tick */
        tims_loop_at_tick_end(s->loop, &s->armed, end_tick, s);
    else
        tims_loop_stop(s->loop);
}

static void arm_thrice(void *argument)
{
    stage *s = argument;
    for (int i = 0; i < 3; i++)
        tims_loop_at_tick_end(s->loop, &s->armed, end_tick, s);
    assert_true(s->armed);
    tims_loop_post(s->loop, note_b, s); /* posts of the tick come before its end */
}

static void a_tick_end_runs_once_however_often_it_is_armed(void **state)
{
    (void)state;
    stage s = { .loop = new_loop() };
    tims_loop_post(s.loop, arm_thrice, &s);
    tims_loop_run(s.loop);
    assert_string_equal(s.trace, "beee");
    tims_loop_free(&s.loop);
}

/* --- timers ----------------------------------------------------------------------------------- */

static void set_four(void *argument)
{
    stage *s = argument;
    s->at_us = tims_monotonic_us();
    tims_timer_set(s->loop, &s->timers[0], 60, note_c, s);
    tims_timer_set(s->loop, &s->timers[1], 20, note_a, s);
    tims_timer_set(s->loop, &s->timers[2], 20, note_b, s);
    tims_timer_set(s->loop, &s->timers[3], 40, note_c, s);
    tims_timer_clear(&s->timers[3]);
    tims_timer_clear(&s->timers[3]);
    tims_timer_set(s->loop, &s->timers[3], 80, stop_now, s);
}

static void timers_fire_in_order_never_early_and_not_when_cleared(void **state)
{
    (void)state;
    stage s = { .loop = new_loop() };
    tims_loop_post(s.loop, set_four, &s);
    tims_loop_run(s.loop);
    assert_string_equal(s.trace, "abc");
    assert_in_range(tims_monotonic_us() - s.at_us, 80000, 5000000);
    assert_int_equal(s.loop->wheel.count, 0);
    tims_loop_free(&s.loop);
}

static void clear_all(void *argument)
{
    stage *s = argument;
    note(s, 'x');
    for (int i = 0; i < 3; i++)
        tims_timer_clear(&s->timers[i]);
    tims_timer_set(s->loop, &s->timers[3], 0, stop_now, s);
}

static void set_rivals(void *argument)
{
    stage *s = argument;
    for (int i = 0; i < 3; i++)
        tims_timer_set(s->loop, &s->timers[i], 10, clear_all, s);
}

static void a_timer_may_clear_those_about_to_fire_with_it(void **state)
{
    (void)state;
    stage s = { .loop = new_loop() };
    tims_loop_post(s.loop, set_rivals, &s);
    tims_loop_run(s.loop);
    assert_string_equal(s.trace, "x");
    tims_loop_free(&s.loop);
}

static void timers_of_later_turns_stay_in_the_wheel(void **state)
{
    (void)state;
    stage s = { .loop = new_loop() };
    int64_t turn_ms = (int64_t)WHEEL_SLOTS * TICK_US / 1000;
    tims_timer_set(s.loop, &s.timers[0], 3 * turn_ms + 30, note_c,
                   &s); /* the same slots, three turns later */
    tims_timer_set(s.loop, &s.timers[1], 3 * turn_ms + 50, note_c, &s);
    tims_timer_set(s.loop, &s.timers[2], 70, stop_now, &s);
    s.loop->wheel.done_tick -= 3 * WHEEL_SLOTS; /* as after a sleep of a minute */
    tims_loop_run(s.loop);
    assert_int_equal(s.length, 0);
    assert_non_null(s.timers[0].loop);
    assert_int_equal(s.loop->wheel.count, 2);
    tims_timer_clear(&s.timers[0]);
    tims_timer_clear(&s.timers[1]);
    for (size_t i = 0; i < WHEEL_SLOTS / 64; i++)
        assert_true(s.loop->wheel.occupied[i] == 0);
    tims_loop_free(&s.loop);
}

static void count_one(void *argument)
{
    ((stage *)argument)->count++;
}

static tims_timer many[3000];

static void set_many(void *argument)
{
    stage *s = argument;
    for (int i = 0; i < 3000; i++)
        tims_timer_set(s->loop, &many[i], i % 90, count_one, s);
    for (int i = 0; i < 3000; i += 3)
        tims_timer_clear(&many[i]);
    tims_timer_set(s->loop, &s->timers[0], 130, stop_now, s);
}

static void thousands_of_timers_fire_once_each(void **state)
{
    (void)state;
    stage s = { .loop = new_loop() };
    tims_loop_post(s.loop, set_many, &s);
    tims_loop_run(s.loop);
    assert_int_equal(s.count, 2000);
    tims_loop_free(&s.loop);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void raise_signal(void *argument)
{
    (void)argument;
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
}

static void a_signal_is_delivered_on_the_loop(void **state)
{
    (void)state;
    stage s = { .loop = new_loop() };
    tims_loop_on_signal(s.loop, SIGUSR1, stop_now, &s);
    tims_loop_post(s.loop, raise_signal, &s);
    tims_loop_run(s.loop);
    tims_loop_free(&s.loop);
}

static void slots_keep_what_they_are_given(void **state)
{
    (void)state;
    stage s = { .loop = new_loop() };
    assert_null(tims_loop_get_slot(s.loop, TIMS_LOOP_SLOT_APP));
    tims_loop_set_slot(s.loop, TIMS_LOOP_SLOT_APP, &s);
    assert_ptr_equal(tims_loop_get_slot(s.loop, TIMS_LOOP_SLOT_APP), &s);
    assert_null(tims_loop_get_slot(s.loop, TIMS_LOOP_SLOT_HTTP));
    tims_loop_free(&s.loop);
}

static void check_clock(void *argument)
{
    stage *s = argument;
    int64_t now = tims_loop_now_us(s->loop);
    assert_in_range(tims_monotonic_us() - now, 0, 5000000);
    assert_int_equal(tims_loop_now_us(s->loop), now); /* read once a tick */
    tims_loop_stop(s->loop);
}

static void the_time_is_read_once_a_tick(void **state)
{
    (void)state;
    stage s = { .loop = new_loop() };
    tims_loop_post(s.loop, check_clock, &s);
    tims_loop_run(s.loop);
    tims_loop_free(&s.loop);
}

static void a_stopped_loop_can_run_again(void **state)
{
    (void)state;
    stage s = { .loop = new_loop() };
    for (int i = 0; i < 3; i++) {
        tims_loop_post(s.loop, note_a, &s);
        tims_loop_stop(s.loop);
        tims_loop_run(s.loop);
    }
    assert_string_equal(s.trace, "aaa");
    tims_loop_free(&s.loop);
}

static void who_lives_with_a_loop_hears_of_its_end(void **state)
{
    (void)state;
    stage s = { .loop = new_loop() }, other = { .loop = s.loop };
    tims_loop_on_free(s.loop, note_a, &s);
    tims_loop_on_free(s.loop, note_b, &s); /* instead */
    tims_loop_on_free(s.loop, note_c, &other);
    tims_loop_on_free(s.loop, NULL, &other);
    assert_string_equal(s.trace, "");
    tims_loop_free(&s.loop);
    assert_string_equal(s.trace, "b");
    assert_string_equal(other.trace, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_run_in_order_and_those_after_a_stop_too),
        cmocka_unit_test(posts_from_many_threads_arrive_each_in_its_order),
        cmocka_unit_test(two_loops_pass_a_message_back_and_forth),
        cmocka_unit_test(a_post_that_posts_itself_does_not_starve_the_rest),
        cmocka_unit_test(a_tick_end_runs_once_however_often_it_is_armed),
        cmocka_unit_test(timers_fire_in_order_never_early_and_not_when_cleared),
        cmocka_unit_test(a_timer_may_clear_those_about_to_fire_with_it),
        cmocka_unit_test(timers_of_later_turns_stay_in_the_wheel),
        cmocka_unit_test(thousands_of_timers_fire_once_each),
        cmocka_unit_test(a_signal_is_delivered_on_the_loop),
        cmocka_unit_test(slots_keep_what_they_are_given),
        cmocka_unit_test(the_time_is_read_once_a_tick),
        cmocka_unit_test(a_stopped_loop_can_run_again),
        cmocka_unit_test(who_lives_with_a_loop_hears_of_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
