/* Rooms over real sockets on two loops: who enters, who is named, who is thrown out, what is heard. */
#include "live/testing.h"

#define ROOM1 "/api/chats/" CHAT1 "/"
#define ROOM2 "/api/chats/" CHAT2 "/"

static void join(client *c, int id, const char *url, const char *more)
{
    ws_send(c, "{\"t\":\"join\",\"id\":%d,\"url\":\"%s\"%s}", id, url, more);
}

/* The next presence or said, past what else comes. */
static char *next_of(client *c, const char *kind)
{
    char what[32];
    snprintf(what, sizeof what, "\"t\":\"%s\"", kind);
    for (;;) {
        char *got = ws_next(c);
        if (got == NULL)
            fail_msg("no %s came, closed %d", kind, c->closed);
        if (strstr(got, what) != NULL)
            return got;
        free(got);
    }
}

static void expect_in(client *c, const char *kind, const char *text)
{
    char *got = next_of(c, kind);
    if (strstr(got, text) == NULL)
        fail_msg("got %s, expected %s", got, text);
    free(got);
}

/* A client that is in a room, and has heard that it is. */
static client in_room(const fixture *f, const char *token, const char *url, const char *more)
{
    client c = ws_hello(f, token);
    join(&c, 1, url, more);
    ws_expect(&c, "\"t\":\"presence\",\"join\":1,\"room\":");
    return c;
}

static void who_enters_and_leaves_is_told_by_name(void **state)
{
    fixture *f = *state;
    client ann = in_room(f, f->token_ann, ROOM1, "");
    expect_in(&ann, "presence", "\"count\":1,\"joined\":[{\"id\":\"" ANN "\"}]");
    client bob = ws_hello(f, f->token_bob);
    join(&bob, 7, ROOM1, ",\"state\":{\"mood\":\"good\"}");
    ws_expect(&bob, "\"join\":7", "\"count\":2", "{\"id\":\"" ANN "\"}",
              "{\"id\":\"" BOB "\",\"state\":{\"mood\":\"good\"}}");
    expect_in(&ann, "presence",
              "\"count\":2,\"joined\":[{\"id\":\"" BOB "\",\"state\":{\"mood\":\"good\"}}]");
    ws_send(&bob, "{\"t\":\"leave\",\"join\":7}");
    expect_in(&ann, "presence", "\"count\":1,\"left\":[{\"id\":\"" BOB "\"}]");
    join(&bob, 8, ROOM1, ",\"state\":{\"mood\":\"bad\"}");
    expect_in(&ann, "presence", "\"mood\":\"bad\"");
    ws_close(&ann);
    ws_close(&bob);
}

static void a_user_counts_once_however_many_sockets(void **state)
{
    fixture *f = *state;
    client ann = in_room(f, f->token_ann, ROOM1, "");
    expect_in(&ann, "presence", "\"joined\"");
    client bobs[3];
    for (int i = 0; i < 3; i++) {
        bobs[i] = ws_hello(f, f->token_bob); /* the loops take turns */
        join(&bobs[i], 1, ROOM1, i == 2 ? ",\"state\":{\"n\":2}" : "");
        ws_expect(&bobs[i], "\"join\":1", "\"count\":2");
    }
    expect_in(&ann, "presence", "\"count\":2,\"joined\":[{\"id\":\"" BOB "\"");
    ws_send(&bobs[0], "{\"t\":\"leave\",\"join\":1}");
    ws_send(&bobs[1], "{\"t\":\"leave\",\"join\":1}");
    client late = in_room(f, f->token_ann, ROOM1, ",\"present\":false");
    ws_send(&bobs[2], "{\"t\":\"leave\",\"join\":1}");
    expect_in(&late, "presence", "\"count\":1,\"left\":[{\"id\":\"" BOB "\"}]");
    for (int i = 0; i < 3; i++)
        ws_close(&bobs[i]);
    ws_close(&ann);
    ws_close(&late);
}

static void who_is_not_present_hears_without_being_counted(void **state)
{
    fixture *f = *state;
    client bob = in_room(f, f->token_bob, ROOM1, ",\"present\":false");
    client ann = ws_hello(f, f->token_ann);
    join(&ann, 1, ROOM1, "");
    ws_expect(&ann, "\"join\":1", "\"count\":1,\"users\":[{\"id\":\"" ANN "\"}]");
    expect_in(&bob, "presence", "\"count\":1,\"joined\":[{\"id\":\"" ANN "\"}]");
    ws_send(&bob, "{\"t\":\"publish\",\"join\":1,\"kind\":\"hum\",\"data\":[1,null]}");
    expect_in(&ann, "said", "{\"user\":\"" BOB "\",\"kind\":\"hum\",\"data\":[1,null]}");
    ws_close(&ann);
    ws_close(&bob);
}

/* To whom a row is not shown, its room is not there. */
static void strangers_find_no_room(void **state)
{
    fixture *f = *state;
    static const struct {
        bool signed_in;
        const char *join, *answer;
    } table[] = {
        { true, "\"url\":\"" ROOM2 "\"", "\"status\":404,\"code\":\"not_found\"" },
        { true, "\"url\":\"/api/chats/" ID("99") "/\"", "\"status\":404,\"code\":\"not_found\"" },
        { true, "\"url\":\"/api/messages/" MESSAGE("3") "/\"", "\"status\":404,\"code\":\"not_found\"" },
        { true, "\"url\":\"/api/chats/\"", "\"status\":404,\"code\":\"not_found\"" },
        { true, "\"url\":\"/nowhere/\"", "\"status\":404,\"code\":\"not_found\"" },
        { true, "\"url\":\"/api/chats/?colour=1\"", "\"status\":422" },
        { true,
          "\"url\":\"" ROOM1
          "\",\"state\":{\"long\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "\"}",
          "\"status\":422,\"code\":\"invalid\"" },
        { false, "\"url\":\"" ROOM1 "\"", "\"status\":401,\"code\":\"unauthorized\"" },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        client c = ws_connect(f, "");
        ws_send(&c, "{\"t\":\"hello\",\"protocol\":2,\"token\":\"%s\"}",
                table[i].signed_in ? f->token_ann : "");
        ws_expect(&c, "\"t\":\"welcome\"");
        for (int again = 0; again < 2; again++) { /* the id is free again */
            ws_send(&c, "{\"t\":\"join\",\"id\":3,%s}", table[i].join);
            ws_expect(&c, "\"t\":\"error\"", "\"join\":3", table[i].answer);
        }
        ws_close(&c);
    }
}

static void a_revoked_member_is_thrown_out_and_gone_at_once(void **state)
{
    fixture *f = *state;
    client ann = in_room(f, f->token_ann, ROOM1, ""), bob = in_room(f, f->token_bob, ROOM1, "");
    expect_in(&bob, "presence", "\"joined\"");
    int64_t since_us = tims_monotonic_us();
    sql(f, "DELETE FROM member WHERE chat = '" CHAT1 "' AND \"user\" = '" ANN "'");
    expect_in(&ann, "error", "\"join\":1,\"status\":404");
    expect_in(&bob, "presence", "\"count\":1,\"left\":[{\"id\":\"" ANN "\"}]");
    assert_true(tims_monotonic_us() - since_us < LIVE__GRACE_MS * INT64_C(1000) / 2);
    ws_send(&ann, "{\"t\":\"publish\",\"join\":1,\"kind\":\"x\",\"data\":1}");
    expect_in(&ann, "error", "\"join\":1,\"status\":404");
    ws_send(&bob, "{\"t\":\"publish\",\"join\":1,\"kind\":\"y\",\"data\":1}");
    expect_in(&bob, "said", "\"kind\":\"y\"");
    ws_send(&ann, "{\"t\":\"ping\"}");
    ws_expect(&ann, "\"t\":\"pong\""); /* she has heard nothing of it */
    ws_close(&ann);
    ws_close(&bob);
}

static void a_room_ends_with_its_row(void **state)
{
    fixture *f = *state;
    client ann = in_room(f, f->token_ann, "/api/messages/" MESSAGE("1") "/", ""),
           bob = in_room(f, f->token_bob, "/api/messages/" MESSAGE("1") "/", "");
    free(ws_snap(&bob, 2, "/api/messages/?chat=" CHAT1));
    int64_t position = sql(f, "DELETE FROM message WHERE number = 1");
    expect_in(&ann, "error", "\"join\":1,\"status\":404");
    expect_in(&bob, "tx", "\"op\":\"del\"");
    expect_in(&bob, "error", "\"join\":1,\"status\":404");
    ws_expect_nothing(&ann, position);
    ws_close(&ann);
    ws_close(&bob);
}

static void what_is_published_is_heard_by_all_in_the_room_and_no_other(void **state)
{
    fixture *f = *state;
    client ann = in_room(f, f->token_ann, ROOM1, ",\"present\":false"),
           bob = in_room(f, f->token_bob, ROOM1, ",\"present\":false"),
           other = in_room(f, f->token_bob, ROOM2, ",\"present\":false");
    ws_send(&ann, "{\"t\":\"publish\",\"join\":1,\"kind\":\"typing\",\"data\":{\"to\":\"all\"}}");
    expect_in(&ann, "said",
              "\"items\":[{\"user\":\"" ANN "\",\"kind\":\"typing\",\"data\":{\"to\":\"all\"}}]");
    expect_in(&bob, "said", "\"kind\":\"typing\"");
    ws_send(&other, "{\"t\":\"ping\"}");
    ws_expect(&other, "\"t\":\"pong\"");
    ws_close(&ann);
    ws_close(&bob);
    ws_close(&other);
}

static void what_cannot_be_said_is_refused_and_the_room_goes_on(void **state)
{
    fixture *f = *state;
    client c = in_room(f, f->token_ann, ROOM1, ",\"present\":false");
    char large[1100];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    ws_send(&c, "{\"t\":\"publish\",\"join\":1,\"kind\":\"x\",\"data\":\"%s\"}", large);
    ws_expect(&c, "\"t\":\"error\"", "\"join\":1,\"status\":413,\"code\":\"too_large\"");
    ws_send(&c, "{\"t\":\"publish\",\"join\":1,\"kind\":\"%.33s\",\"data\":1}", large);
    ws_expect(&c, "\"t\":\"error\"", "\"join\":1,\"status\":413,\"code\":\"too_large\"");
    ws_send(&c, "{\"t\":\"publish\",\"join\":1,\"kind\":\"\",\"data\":1}");
    ws_expect(&c, "\"t\":\"error\"", "\"join\":1,\"status\":422,\"code\":\"invalid\"");
    ws_send(&c, "{\"t\":\"publish\",\"join\":1,\"kind\":\"%.32s\",\"data\":1}", large);
    expect_in(&c, "said", "xxxx");
    ws_close(&c);
}

static void more_than_twenty_a_second_are_refused(void **state)
{
    fixture *f = *state;
    client c = in_room(f, f->token_ann, ROOM1, ",\"present\":false");
    int refused = 0;
    for (int i = 0; i < 200 && refused == 0; i++) { /* so fast that some are within one second */
        ws_send(&c, "{\"t\":\"publish\",\"join\":1,\"kind\":\"k\",\"data\":%d}", i);
        ws_send(&c, "{\"t\":\"ping\"}");
        for (bool ends = false; !ends;) {
            char *got = ws_next(&c);
            assert_non_null(got);
            ends = strstr(got, "\"t\":\"pong\"") != NULL;
            if (strstr(got, "\"join\":1,\"status\":429,\"code\":\"throttled\"") != NULL)
                refused++;
            free(got);
        }
        assert_true(refused == 0 || i >= 20);
    }
    assert_int_equal(refused, 1);
    expect_in(&c, "said", "\"kind\":\"k\""); /* what was not refused */
    ws_close(&c);
}

/* Who drops off and is back in time was never gone. */
static void a_reconnect_within_the_grace_is_no_news(void **state)
{
    fixture *f = *state;
    client bob = in_room(f, f->token_bob, ROOM1, "");
    expect_in(&bob, "presence", "\"joined\"");
    client ann = in_room(f, f->token_ann, ROOM1, "");
    expect_in(&bob, "presence", "\"joined\":[{\"id\":\"" ANN "\"}]");
    for (int i = 0; i < 3; i++) {
        int64_t sessions = metric(f, "sessions");
        ws_close(&ann);
        for (int waited = 0; metric(f, "sessions") == sessions; waited++) {
            assert_true(waited < TEST_WAIT_MS);
            poll(NULL, 0, 1);
        }
        ann = in_room(f, f->token_ann, ROOM1, "");
    }
    ws_send(&ann, "{\"t\":\"publish\",\"join\":1,\"kind\":\"back\",\"data\":1}");
    ws_expect(&bob, "\"t\":\"said\"", "back"); /* nothing before it */
    ws_close(&ann);
    ws_close(&bob);
}

static void the_numbers_of_rooms_tell_them_apart(void **state)
{
    fixture *f = *state;
    client bob = ws_hello(f, f->token_bob);
    join(&bob, 1, ROOM1, ",\"present\":false");
    ws_expect(&bob, "\"join\":1,\"room\":1");
    join(&bob, 2, ROOM2, ",\"present\":false");
    ws_expect(&bob, "\"join\":2,\"room\":2");
    ws_send(&bob, "{\"t\":\"publish\",\"join\":2,\"kind\":\"k\",\"data\":2}");
    ws_expect(&bob, "\"t\":\"said\",\"room\":2");
    ws_send(&bob, "{\"t\":\"leave\",\"join\":2}");
    join(&bob, 3, ROOM2, ",\"present\":false");
    ws_expect(&bob, "\"join\":3,\"room\":3"); /* a number is not used again */
    ws_close(&bob);
}

/* --- with few jobs ---------------------------------------------------------------------------- */

static void allow_few_jobs(live__limits *limits)
{
    limits->jobs_max = 10;
}

static int start_world_of_few_jobs(void **state)
{
    adjust_world = allow_few_jobs;
    return start_world(state);
}

/* What has been said is done with: it does not count as waiting for ever. */
static void a_session_may_say_any_number_of_things(void **state)
{
    fixture *f = *state;
    client c = in_room(f, f->token_ann, ROOM1, ",\"present\":false");
    for (int i = 0; i < 15; i++) {
        char kind[32];
        snprintf(kind, sizeof kind, "\"kind\":\"k%d\"", i);
        ws_send(&c, "{\"t\":\"publish\",\"join\":1,%s,\"data\":1}", kind);
        expect_in(&c, "said", kind);
    }
    ws_close(&c);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, start_world, stop_world)
#define IN_WORLD_OF_FEW_JOBS(test) cmocka_unit_test_setup_teardown(test, start_world_of_few_jobs, stop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(who_enters_and_leaves_is_told_by_name),
        IN_WORLD(a_user_counts_once_however_many_sockets),
        IN_WORLD(who_is_not_present_hears_without_being_counted),
        IN_WORLD(strangers_find_no_room),
        IN_WORLD(a_revoked_member_is_thrown_out_and_gone_at_once),
        IN_WORLD(a_room_ends_with_its_row),
        IN_WORLD(what_is_published_is_heard_by_all_in_the_room_and_no_other),
        IN_WORLD(what_cannot_be_said_is_refused_and_the_room_goes_on),
        IN_WORLD(more_than_twenty_a_second_are_refused),
        IN_WORLD(a_reconnect_within_the_grace_is_no_news),
        IN_WORLD(the_numbers_of_rooms_tell_them_apart),
        IN_WORLD_OF_FEW_JOBS(a_session_may_say_any_number_of_things),
    };
    return cmocka_run_group_tests_name("live_room", tests, NULL, NULL);
}
