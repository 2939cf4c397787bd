/* forget_test: between a sign-out and a loop's hearing of it. The loop is held in a handler, so the message
 * to it is under way for as long as the test wants. */
#include "auth/testing_browser.h"

/* A handler tells that it is there, and goes on when it may: without giving the loop back. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_held, may_go;
    auth__loop *own; /* of the loop that is held */
} hold = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void hold_loop(tims_request *rq)
{
    pthread_mutex_lock(&hold.mutex);
    hold.own = auth__loop_of(server->auth, rq->loop);
    hold.is_held = true;
    pthread_cond_broadcast(&hold.changed);
    while (!hold.may_go)
        pthread_cond_wait(&hold.changed, &hold.mutex);
    pthread_mutex_unlock(&hold.mutex);
}

static const char *look_up(tims_request *rq)
{
    char hash[TIMS_TOKEN_HASH_TEXT_LENGTH];
    auth__session session;
    tims_str cookie = tims_cookie_of(rq, auth__session_cookie_name(server->auth));
    tims_status status = auth__session_find(rq, server->auth, cookie, AUTH__COOKIE, hash, &session, NULL);
    return status == TIMS_OK ? "somebody" : status == TIMS_UNAUTHORIZED ? "nobody" : "failed";
}

/* Who asks, before and behind the hold; by then this loop remembers the session. */
static tims_answer answer_held(tims_request *rq)
{
    const char *before = look_up(rq);
    hold_loop(rq);
    return tims_answer_text(rq, 200, "%s, then %s", before, look_up(rq));
}

static tims_answer answer_coming(tims_request *rq)
{
    const auth__loop *own = auth__loop_of(server->auth, rq->loop);
    return tims_answer_text(rq, 200, "%d coming, %d known, %s", atomic_load(&own->forgets_coming),
                            (int)auth__cache_count(own->cache), look_up(rq));
}

static const tims_route holding_routes[] = {
    { .methods = TIMS_METHOD_GET, .pattern = "/held/", .handler = answer_held, .anonymous = true },
    { .methods = TIMS_METHOD_GET, .pattern = "/coming/", .handler = answer_coming, .anonymous = true },
    { 0 },
};

static int start_holding(void **state)
{
    (void)state;
    return start_with(holding_routes);
}

static void send_get(const browser *b, int fd, const char *path, bool is_last)
{
    testing_send(fd, tims_print(b->arena,
                                "GET %s HTTP/1.1\r\nHost: test.example\r\nCookie: tims_session=%S\r\n%s\r\n",
                                path, b->session, is_last ? "Connection: close\r\n" : ""));
}

static void wait_until_held(void)
{
    pthread_mutex_lock(&hold.mutex);
    while (!hold.is_held)
        pthread_cond_wait(&hold.changed, &hold.mutex);
    pthread_mutex_unlock(&hold.mutex);
}

static void let_go(void)
{
    pthread_mutex_lock(&hold.mutex);
    hold.may_go = true;
    pthread_cond_broadcast(&hold.changed);
    pthread_mutex_unlock(&hold.mutex);
}

/* The two answers come over one connection, so from one loop: the second when the message has come. */
static void a_loop_that_has_not_heard_of_a_sign_out_asks_the_database(void **state)
{
    browser *b = *state;
    register_as(b, "paula");
    int fd = testing_connect(server);
    hold.is_held = hold.may_go = false;
    send_get(b, fd, "/held/", false);
    wait_until_held();
    testing_sql(server, "DELETE FROM auth_session");
    tims_auth_forget_all(server->auth);
    assert_int_equal(atomic_load(&hold.own->forgets_coming), 1);
    assert_int_equal(auth__cache_count(hold.own->cache), 1); /* it would say yes if it were asked */
    let_go();
    send_get(b, fd, "/coming/", true);
    tims_str answers = testing_receive(fd, b->arena);
    assert_true(tims_str_find(answers, TIMS_STR("somebody, then nobody")) != SIZE_MAX);
    assert_true(tims_str_find(answers, TIMS_STR("0 coming, 0 known, nobody")) != SIZE_MAX);
    close(fd);
}

/* What one sign-out costs all the others is a read while the message is under way, and no more. */
static void a_loop_that_has_heard_of_it_trusts_its_memory_again(void **state)
{
    browser *b = *state;
    register_as(b, "quentin");
    int fd = testing_connect(server);
    hold.is_held = hold.may_go = false;
    send_get(b, fd, "/held/", false);
    wait_until_held();
    tims_auth_forget(server->auth, &tims_auth_session_model, tims_id_new());
    let_go();
    send_get(b, fd, "/coming/", false);
    char piece[8192];
    tims_str got = { piece, 0 };
    while (tims_str_find(got, TIMS_STR("0 coming, 1 known, somebody")) == SIZE_MAX) {
        ssize_t more = recv(fd, piece + got.length, sizeof piece - got.length, 0);
        assert_true(more > 0);
        got.length += (size_t)more;
    }
    assert_true(tims_str_find(got, TIMS_STR("somebody, then somebody")) != SIZE_MAX);
    testing_sql(server, "DELETE FROM auth_session"); /* which nobody tells the loop */
    send_get(b, fd, "/coming/", true);
    assert_true(tims_str_find(testing_receive(fd, b->arena), TIMS_STR("0 coming, 1 known, somebody")) !=
                SIZE_MAX);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_browser, close_browser)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_loop_that_has_not_heard_of_a_sign_out_asks_the_database),
        TEST(a_loop_that_has_heard_of_it_trusts_its_memory_again),
    };
    return cmocka_run_group_tests(tests, start_holding, stop);
}
