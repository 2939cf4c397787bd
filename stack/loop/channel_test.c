/* Channels: order, bounds, waiting on both sides, closing, giving up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop/loop_internal.h"

typedef struct stage {
    tims_loop *loop;
    tims_fiber_fn script;
    tims_channel *channel;
    tims_fiber *other;
    int sent, received, closed;
    intptr_t last;
    tims_status status;
} stage;

static void begin(void *argument)
{
    stage *s = argument;
    tims_loop_stop(s->loop);
    s->channel = tims_channel_new(s->loop, 3);
    (void)tims_fiber_start(s->loop, s->script, s);
}

static stage play(tims_fiber_fn script)
{
    stage s = { .script = script };
    assert_int_equal(tims_loop_new(NULL, &s.loop), TIMS_OK);
    tims_loop_post(s.loop, begin, &s);
    tims_loop_run(s.loop);
    tims_channel_free(&s.channel);
    assert_null(s.channel);
    tims_loop_free(&s.loop);
    return s;
}

static void send_hundred(void *argument)
{
    stage *s = argument;
    for (intptr_t i = 1; i <= 100; i++) {
        assert_int_equal(tims_channel_send(s->channel, (void *)i), TIMS_OK);
        s->sent++;
    }
    tims_channel_close(s->channel);
    assert_int_equal(tims_channel_send(s->channel, s), TIMS_CLOSED);
    assert_false(tims_channel_try_send(s->channel, s));
}

static void receive_all(void *argument)
{
    stage *s = argument;
    void *item = NULL;
    tims_status status;
    while ((status = tims_channel_receive(s->channel, &item)) == TIMS_OK) {
        assert_int_equal((intptr_t)item, s->last + 1);
        s->last = (intptr_t)item;
        s->received++;
    }
    assert_int_equal(status, TIMS_CLOSED);
    s->closed++;
}

static void send_to_one(void *argument)
{
    stage *s = argument;
    (void)tims_fiber_start(s->loop, receive_all, s);
    send_hundred(s);
}

static void items_arrive_in_order_and_then_the_end(void **state)
{
    (void)state;
    stage s = play(send_to_one);
    assert_int_equal(s.received, 100);
    assert_int_equal(s.closed, 1);
}

static void fill_up(void *argument)
{
    stage *s = argument;
    for (intptr_t i = 1; i <= 3; i++)
        assert_true(tims_channel_try_send(s->channel, (void *)i));
    assert_false(tims_channel_try_send(s->channel, s));
    (void)tims_fiber_set_deadline(tims_monotonic_us() + 10000);
    assert_int_equal(tims_channel_send(s->channel, s), TIMS_TIMEOUT);
    (void)tims_fiber_set_deadline(0);
    tims_channel_close(s->channel);
    receive_all(s); /* what is in it can still be had */
}

static void a_full_channel_holds_the_sender_until_its_deadline(void **state)
{
    (void)state;
    assert_int_equal(play(fill_up).received, 3);
}

static void receive_one(void *argument)
{
    stage *s = argument;
    void *item = NULL;
    tims_status status = tims_channel_receive(s->channel, &item);
    if (status == TIMS_OK)
        s->received++;
    else if (status == TIMS_CLOSED)
        s->closed++;
    else
        s->status = status;
}

static void close_on_waiters(void *argument)
{
    stage *s = argument;
    for (int i = 0; i < 5; i++)
        (void)tims_fiber_start(s->loop, receive_one, s);
    assert_true(tims_channel_try_send(s->channel, s));
    tims_channel_free(&s->channel); /* closes; nobody may touch it afterwards */
}

static void everybody_waiting_learns_of_the_close(void **state)
{
    (void)state;
    stage s = play(close_on_waiters);
    assert_int_equal(s.received, 1); /* the one who had been called */
    assert_int_equal(s.closed, 4);
}

static void receive_cancelled(void *argument)
{
    stage *s = argument;
    s->other = tims_fiber_self();
    receive_one(s);
}

static void cancel_the_called(void *argument)
{
    stage *s = argument;
    (void)tims_fiber_start(s->loop, receive_cancelled, s);
    (void)tims_fiber_start(s->loop, receive_one, s);
    assert_true(tims_channel_try_send(s->channel, s)); /* calls the first… */
    tims_fiber_cancel(s->other);                       /* …who gives up */
    assert_int_equal(tims_sleep_ms(10), TIMS_OK);
    assert_int_equal(s->received, 1);
    assert_int_equal(s->status, TIMS_CANCELLED);
}

static void who_gives_up_passes_the_turn_on(void **state)
{
    (void)state;
    assert_int_equal(play(cancel_the_called).received, 1);
}

static void send_ten(void *argument)
{
    stage *s = argument;
    for (int i = 0; i < 10; i++)
        assert_int_equal(tims_channel_send(s->channel, s), TIMS_OK);
    s->sent += 10;
}

static void many_to_many(void *argument)
{
    stage *s = argument;
    for (int i = 0; i < 8; i++)
        (void)tims_fiber_start(s->loop, send_ten, s);
    for (int i = 0; i < 80; i++)
        (void)tims_fiber_start(s->loop, receive_one, s);
}

static void many_senders_and_receivers_lose_nothing(void **state)
{
    (void)state;
    stage s = play(many_to_many);
    assert_int_equal(s.sent, 80);
    assert_int_equal(s.received, 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_arrive_in_order_and_then_the_end),
        cmocka_unit_test(a_full_channel_holds_the_sender_until_its_deadline),
        cmocka_unit_test(everybody_waiting_learns_of_the_close),
        cmocka_unit_test(who_gives_up_passes_the_turn_on),
        cmocka_unit_test(many_senders_and_receivers_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
