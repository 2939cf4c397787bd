/* Clients that stop reading: what waits for them stays bounded, and when they read again they get what they
 * missed, each row once. */
#include "live/testing.h"

#define CHAT1_MESSAGES "/api/messages/?chat=" CHAT1
#define CHAT1_ROOM "/api/chats/" CHAT1 "/"

enum { UPDATES_MAX = 5000 };

static void bound(live__limits *limits)
{
    limits->behind_bytes = 16 * 1024;
    limits->watch_ms = 20;
}

static void bound_and_hurry(live__limits *limits)
{
    bound(limits);
    limits->behind_ms = 100;
}

static int start_bounded_world(void **state)
{
    adjust_world = bound;
    return start_world(state);
}

static int start_hurried_world(void **state)
{
    adjust_world = bound_and_hurry;
    return start_world(state);
}

/* Large changes, until somebody has not read so many of them that it is behind. */
static int64_t write_until_behind(fixture *f)
{
    int64_t position = 0;
    int64_t before = metric(f, "behind_total");
    for (int i = 0; metric(f, "behind_total") == before; i++) {
        if (i == UPDATES_MAX)
            fail_msg("nobody ever was behind");
        position = sql_long_text(f, 8000, "number = 1");
    }
    return position;
}

/* The next frame that is no tx of before. */
static char *next_but_tx(client *c)
{
    for (;;) {
        char *got = ws_next(c);
        if (got == NULL || strstr(got, "\"t\":\"tx\"") == NULL)
            return got;
        free(got);
    }
}

static int times_in(const char *text, const char *what)
{
    int times = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        times++;
    return times;
}

static void who_reads_again_gets_what_was_missed_as_one(void **state)
{
    fixture *f = *state;
    client slow = ws_subscribed(f, f->token_ann, CHAT1_MESSAGES);
    int64_t behind = write_until_behind(f);
    int64_t frames = metric(f, "frames_total");
    for (int i = 0; i < 20; i++)
        sql(f, "UPDATE message SET text = text || '.' WHERE number = 1");
    sql(f,
        "INSERT INTO message VALUES ('" MESSAGE("4") "','" CHAT1 "','" BOB "','came',4),"
                                                     "('" MESSAGE("5") "','" CHAT1 "','" BOB "','went',5)");
    sql(f, "DELETE FROM message WHERE number IN (2, 5)");
    int64_t position = sql(f, "UPDATE message SET text = 'newest' WHERE number = 1");
    client witness = ws_subscribed(f, f->token_bob, CHAT1_MESSAGES);
    assert_int_equal(metric(f, "frames_total"), frames + 2); /* its welcome and snap: nothing was queued */
    ws_send(&slow, "{\"t\":\"ping\"}");
    wait_for_metric(f, "frames_total", frames + 3);
    char *pong = next_but_tx(&slow);
    assert_non_null(pong);
    assert_non_null(strstr(pong, "\"t\":\"pong\""));
    assert_true(position_of(pong) < behind);
    free(pong);
    char *resumed = ws_next(&slow);
    if (strstr(resumed, "\"t\":\"resumed\",\"sub\":1") == NULL || position_of(resumed) < position)
        fail_msg("got %s, expected to go on at %lld", resumed, (long long)position);
    assert_int_equal(times_in(resumed, "\"op\":\"put\",\"id\":\"" MESSAGE("1")), 1);
    assert_int_equal(times_in(resumed, "\"text\":\"newest\""), 1);
    assert_int_equal(times_in(resumed, "\"op\":\"put\",\"id\":\"" MESSAGE("4")), 1);
    assert_int_equal(times_in(resumed, "\"op\":\"del\",\"id\":\"" MESSAGE("2")), 1);
    assert_int_equal(times_in(resumed, "went"), 0);
    free(resumed);
    ws_expect_nothing(&slow, position);
    sql(f, "UPDATE message SET text = 'and on' WHERE number = 1");
    ws_expect(&slow, "\"t\":\"tx\"", "and on");
    ws_expect(&witness, "\"t\":\"tx\"", "and on");
    assert_int_equal(metric(f, "slow_total"), 0);
    ws_close(&slow);
    ws_close(&witness);
}

/* Its window grows in what it is made up for, from the rows it held, and it is told so afterwards. */
static void who_wants_more_while_behind_gets_all_of_it(void **state)
{
    fixture *f = *state;
    sql(f, "DELETE FROM message WHERE number = 2;"
           "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 6)"
           "INSERT INTO message SELECT '00000000-0000-7000-8000-00000000700' || CAST(i AS TEXT), '" CHAT1
           "', '" BOB "', 'm' || i, -i FROM n");
    client slow = ws_subscribed(f, f->token_ann, CHAT1_MESSAGES "&limit=2"); /* 1 and 0 */
    write_until_behind(f);
    int64_t position = sql(f, "DELETE FROM message WHERE number IN (1, 0)");
    ws_send(&slow, "{\"t\":\"more\",\"sub\":1,\"limit\":4}");
    wait_for_metric(f, "views", 2);
    char *resumed = next_but_tx(&slow);
    assert_non_null(resumed);
    if (strstr(resumed, "\"t\":\"resumed\",\"sub\":1") == NULL || position_of(resumed) < position)
        fail_msg("got %s, expected to go on at %lld", resumed, (long long)position);
    assert_non_null(strstr(resumed, "\"limit\":4"));
    for (int number = 1; number <= 4; number++) {
        char put[80];
        snprintf(put, sizeof put, "\"op\":\"put\",\"id\":\"00000000-0000-7000-8000-00000000700%d\"", number);
        if (strstr(resumed, put) == NULL)
            fail_msg("%d is missing in %s", -number, resumed);
    }
    assert_int_equal(times_in(resumed, "\"op\":\"put\""), 4);
    assert_int_equal(times_in(resumed, "\"op\":\"del\""), 2);
    free(resumed);
    ws_expect(&slow, "\"t\":\"window\",\"sub\":1", "\"limit\":4", "\"ops\":[]");
    ws_send(&slow, "{\"t\":\"more\",\"sub\":1,\"limit\":6}");
    ws_expect(&slow, "\"t\":\"window\",\"sub\":1", "\"limit\":6",
              "\"id\":\"00000000-0000-7000-8000-000000007006");
    sql(f, "UPDATE message SET text = 'and on' WHERE number = -5");
    ws_expect(&slow, "\"t\":\"tx\"", "and on");
    ws_close(&slow);
}

static void who_was_revoked_while_behind_starts_again_with_nothing(void **state)
{
    fixture *f = *state;
    client slow = ws_subscribed(f, f->token_ann, CHAT1_MESSAGES);
    write_until_behind(f);
    sql(f, "UPDATE message SET text = 'secret'; DELETE FROM member WHERE \"user\" = '" ANN "'");
    client witness = ws_subscribed(f, f->token_bob, CHAT1_MESSAGES); /* the engine has seen it */
    char *reset = next_but_tx(&slow);
    assert_non_null(reset);
    assert_non_null(strstr(reset, "\"t\":\"reset\",\"sub\":1,\"reason\":\"access\""));
    free(reset);
    ws_expect(&slow, "\"t\":\"snap\"", "\"rows\":[]");
    ws_close(&slow);
    ws_close(&witness);
}

/* What was told in the room meanwhile is made up for: nobody is shown who is gone. */
static void who_was_behind_learns_who_is_in_the_room(void **state)
{
    fixture *f = *state;
    client slow = ws_subscribed(f, f->token_bob, CHAT1_MESSAGES), witness = ws_hello(f, f->token_bob),
           ann = ws_hello(f, f->token_ann);
    ws_send(&slow, "{\"t\":\"join\",\"id\":2,\"url\":\"" CHAT1_ROOM "\"}");
    ws_expect(&slow, "\"t\":\"presence\"", "\"join\":2", "\"count\":1");
    ws_expect(&slow, "\"joined\":[{\"id\":\"" BOB "\"}]");
    ws_send(&ann, "{\"t\":\"join\",\"id\":2,\"url\":\"" CHAT1_ROOM "\"}");
    ws_expect(&ann, "\"join\":2", "\"count\":2");
    ws_expect(&slow, "\"joined\":[{\"id\":\"" ANN "\"}]");
    ws_send(&witness, "{\"t\":\"join\",\"id\":2,\"url\":\"" CHAT1_ROOM "\",\"present\":false}");
    ws_expect(&witness, "\"join\":2", "\"count\":2");
    write_until_behind(f);
    ws_send(&ann, "{\"t\":\"leave\",\"join\":2}");
    ws_expect(&witness, "\"t\":\"presence\"", "\"left\":[{\"id\":\"" ANN "\"}]");
    /* What it is told last is that one is there; "left", if all of before had been read by then. */
    char *got = next_but_tx(&slow);
    while (strstr(got, "\"t\":\"presence\"") == NULL || strstr(got, "\"count\":1") == NULL) {
        free(got);
        ws_send(&slow, "{\"t\":\"ping\"}");
        got = next_but_tx(&slow);
        assert_non_null(got);
    }
    if (strstr(got, "\"join\":2,\"") == NULL || strstr(got, "\"users\":[{\"id\":\"" BOB "\"}]") == NULL)
        assert_non_null(strstr(got, "\"left\":[{\"id\":\"" ANN "\"}]"));
    free(got);
    ws_close(&slow);
    ws_close(&witness);
    ws_close(&ann);
}

static void who_never_reads_again_is_closed(void **state)
{
    fixture *f = *state;
    client slow = ws_subscribed(f, f->token_ann, CHAT1_MESSAGES);
    write_until_behind(f);
    wait_for_metric(f, "slow_total", 1);
    char *got = next_but_tx(&slow);
    assert_null(got);
    assert_int_equal(slow.closed, 1013);
    client witness = ws_subscribed(f, f->token_bob, CHAT1_MESSAGES);
    sql(f, "UPDATE message SET text = 'to others' WHERE number = 1");
    ws_expect(&witness, "to others");
    ws_close(&slow);
    ws_close(&witness);
}

#define IN_BOUNDED_WORLD(test) cmocka_unit_test_setup_teardown(test, start_bounded_world, stop_world)
#define IN_HURRIED_WORLD(test) cmocka_unit_test_setup_teardown(test, start_hurried_world, stop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOUNDED_WORLD(who_reads_again_gets_what_was_missed_as_one),
        IN_BOUNDED_WORLD(who_wants_more_while_behind_gets_all_of_it),
        IN_BOUNDED_WORLD(who_was_revoked_while_behind_starts_again_with_nothing),
        IN_BOUNDED_WORLD(who_was_behind_learns_who_is_in_the_room),
        IN_HURRIED_WORLD(who_never_reads_again_is_closed),
    };
    return cmocka_run_group_tests_name("live_slow", tests, NULL, NULL);
}
