/* server_stop_test: a server that is stopped while its loops still start, by a signal or because one of them
 * could not start. */
#include "http/testing.h"

#include <signal.h>
#include <time.h>

static atomic_int starting, may_go_on, drained, stopped;

static tims_answer say_hello(tims_request *rq)
{
    return tims_answer_text(rq, 200, "hello");
}

static const tims_route routes[] = { { .methods = TIMS_METHOD_GET, .pattern = "/", .handler = say_hello } };

/* What a start leaves running: it ends when loop_stop says so. */
static void live_until_stopped(void *argument)
{
    (void)argument;
    while (atomic_load(&stopped) == 0)
        (void)!tims_sleep_ms(1);
}

static tims_status start_slowly(tims_loop *loop, const void *data, tims_error *err)
{
    const bool *second_fails = data;
    if (*second_fails && tims_loop_index(loop) > 0) {
        (void)!test_wait_for(&starting, 1);
        return tims_fail(err, TIMS_UNAVAILABLE, "no_start", "It cannot start.");
    }
    atomic_fetch_add(&starting, 1);
    while (atomic_load(&may_go_on) == 0)
        (void)!tims_sleep_ms(1);
    TIMS_ASSERT(tims_fiber_start(loop, live_until_stopped, NULL) != NULL);
    return TIMS_OK;
}

static void note_drain(tims_loop *loop, const void *data, tims_loop_fn done, void *argument)
{
    (void)loop, (void)data;
    atomic_fetch_add(&drained, 1);
    done(argument);
}

static void note_stop(tims_loop *loop, const void *data)
{
    (void)loop, (void)data;
    atomic_fetch_add(&stopped, 1);
}

/* Nobody tells the port before all loops have started, so the test chooses one. */
static uint16_t find_free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static bool wait_until_deaf(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr = { htonl(INADDR_LOOPBACK) } };
    for (int waited = 0; waited < TEST_WAIT_MS; waited++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool hears = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
        close(fd);
        if (!hears)
            return true;
        poll(NULL, 0, 1);
    }
    return false;
}

static bool wait_until_ended(test_server *t)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += TEST_WAIT_MS / 1000;
    pthread_mutex_lock(&t->mutex);
    while (!t->ended && pthread_cond_timedwait(&t->changed, &t->mutex, &until) == 0) {
    }
    bool ended = t->ended;
    pthread_mutex_unlock(&t->mutex);
    return ended;
}

static void stop_while_starting(int loops, bool *second_fails, tims_status expected)
{
    static test_server t;
    test_prepare(&t, routes, 1);
    t.options.port = find_free_port();
    t.options.loops = loops;
    t.options.data = second_fails;
    t.options.loop_start = start_slowly;
    t.options.loop_drain = note_drain;
    t.options.loop_stop = note_stop;
    atomic_store(&starting, 0);
    atomic_store(&may_go_on, 0);
    atomic_store(&drained, 0);
    atomic_store(&stopped, 0);
    assert_int_equal(pthread_create(&t.thread, NULL, test_run, &t), 0);
    assert_true(test_wait_for(&starting, *second_fails ? 1 : loops));
    if (!*second_fails)
        assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_true(wait_until_deaf((uint16_t)t.options.port));
    atomic_store(&may_go_on, 1);
    assert_true(wait_until_ended(&t));
    assert_int_equal(atomic_load(&drained), *second_fails ? 1 : loops);
    assert_int_equal(atomic_load(&stopped), loops);
    assert_int_equal(t.status, expected);
    t.status = TIMS_OK;
    test_join(&t);
}

static void who_is_stopped_while_it_starts_ends_with_its_hooks(void **state)
{
    (void)state;
    static bool second_fails;
    stop_while_starting(1, &second_fails, TIMS_OK);
    stop_while_starting(2, &second_fails, TIMS_OK);
}

static void a_start_that_fails_waits_for_the_others(void **state)
{
    (void)state;
    static bool second_fails = true;
    stop_while_starting(2, &second_fails, TIMS_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_stopped_while_it_starts_ends_with_its_hooks),
        cmocka_unit_test(a_start_that_fails_waits_for_the_others),
    };
    return cmocka_run_group_tests_name("server_stop", tests, NULL, NULL);
}
