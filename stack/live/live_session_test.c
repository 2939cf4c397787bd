/* Who a socket is and for how long: logins that are renewed, that end, that are too many; peers that say
 * nothing. */
#include "live/testing.h"

#define CHAT1_MESSAGES "/api/messages/?chat=" CHAT1

/* A further login; its token in `ret_token` (TIMS_TOKEN_TEXT_LENGTH + 1). */
static void log_in(fixture *f, const char *id, const char *user, char *ret_token)
{
    char hash[TIMS_TOKEN_HASH_TEXT_LENGTH];
    tims_token_new(ret_token);
    ret_token[TIMS_TOKEN_TEXT_LENGTH] = '\0';
    tims_token_hash((tims_str){ ret_token, TIMS_TOKEN_TEXT_LENGTH }, hash);
    long long now_us = (long long)tims_now().us;
    tims_str text =
        tims_print(f->arena,
                   "INSERT INTO auth_session (id, token_hash, \"user\", device, label, created_at, "
                   "expires_at, last_used_at) VALUES ('%s','%S','%s',1,'',%lld,%lld,%lld)",
                   id, (tims_str){ hash, sizeof hash }, user, now_us, now_us + 3600 * 1000000LL, now_us);
    sql(f, tims_copy_c(f->arena, text));
}

static void expect_end(client *c, const char *reason, int code)
{
    ws_expect(c, "\"t\":\"bye\"", reason);
    assert_int_equal(ws_closed(c), code);
    ws_close(c);
}

/* --- logins ----------------------------------------------------------------------------------- */

static void the_renewed_login_is_the_one_that_counts(void **state)
{
    fixture *f = *state;
    char token[TIMS_TOKEN_TEXT_LENGTH + 1];
    log_in(f, ID("43"), ANN, token);
    client c = ws_hello(f, f->token_ann);
    ws_send(&c, "{\"t\":\"auth\",\"token\":\"%s\"}", token);
    ws_expect(&c, "\"t\":\"welcome\"", "\"user\":\"" ANN "\"");
    ws_expect_nothing(&c, sql(f, "DELETE FROM auth_session WHERE id = '" LOGIN_ANN "'"));
    sql(f, "DELETE FROM auth_session WHERE id = '" ID("43") "'");
    expect_end(&c, "session_ended", 4401);
}

static void a_refused_token_ends_the_session(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    ws_send(&c, "{\"t\":\"auth\",\"token\":\"of nobody\"}");
    ws_expect(&c, "\"t\":\"error\"", "\"status\":401,\"code\":\"unauthorized\"");
    expect_end(&c, "session_ended", 4401);
}

static void nobody_cannot_become_somebody_on_an_open_socket(void **state)
{
    fixture *f = *state;
    client c = ws_connect(f, "");
    ws_send(&c, "{\"t\":\"hello\",\"protocol\":2}");
    ws_expect(&c, "\"t\":\"welcome\"", "\"user\":null");
    ws_send(&c, "{\"t\":\"auth\",\"token\":\"%s\"}", f->token_ann);
    ws_expect(&c, "\"t\":\"error\"", "\"status\":409,\"code\":\"other_user\"");
    ws_close(&c);
}

/* A changed password deletes every login of the user. */
static void a_changed_password_ends_every_socket_of_the_user_and_no_other(void **state)
{
    fixture *f = *state;
    char token[TIMS_TOKEN_TEXT_LENGTH + 1];
    log_in(f, ID("43"), ANN, token);
    client anns[4], bob = ws_hello(f, f->token_bob);
    for (int i = 0; i < 4; i++)
        anns[i] = ws_hello(f, i % 2 == 0 ? f->token_ann : token);
    int64_t position = sql(f, "UPDATE \"user\" SET password = 'y' WHERE id = '" ANN "';"
                              "DELETE FROM auth_session WHERE \"user\" = '" ANN "'");
    for (int i = 0; i < 4; i++)
        expect_end(&anns[i], "session_ended", 4401);
    ws_expect_nothing(&bob, position);
    ws_close(&bob);
}

/* Whose login ends is told nothing of the transaction that ended it; others are. */
static void a_login_that_ends_with_other_changes_is_told_none_of_them(void **state)
{
    fixture *f = *state;
    client ann = ws_hello(f, f->token_ann), bob = ws_hello(f, f->token_bob), eve = ws_hello(f, f->token_bob);
    free(ws_snap(&ann, 1, CHAT1_MESSAGES));
    free(ws_snap(&bob, 1, CHAT1_MESSAGES));
    free(ws_snap(&eve, 1, "/api/messages/?chat=" CHAT2));
    sql(f, "UPDATE message SET text = 'after'; DELETE FROM auth_session WHERE id = '" LOGIN_ANN "'");
    expect_end(&ann, "session_ended", 4401);
    ws_expect(&bob, "\"t\":\"tx\"", "after");
    ws_expect(&eve, "\"t\":\"tx\"", "after");
    sql(f, "UPDATE message SET text = 'later'");
    ws_expect(&bob, "later");
    ws_close(&bob);
    ws_close(&eve);
}

static void a_switched_off_user_is_shown_to_others_as_such(void **state)
{
    fixture *f = *state;
    client ann = ws_hello(f, f->token_ann), bob = ws_hello(f, f->token_bob);
    free(ws_snap(&bob, 1, CHAT1_MESSAGES "&include=sender"));
    sql(f, "UPDATE \"user\" SET active = 0, display_name = 'Gone' WHERE id = '" ANN "'");
    expect_end(&ann, "session_ended", 4401);
    ws_expect(&bob, "\"op\":\"include\"", "Gone");
    ws_close(&bob);
}

static void forget_user(void *argument, const tims_model *model, tims_change_op op, tims_id id)
{
    (void)argument;
    if (model == &tims_user_model && op == TIMS_UPDATED)
        tims_auth_forget(world->auth, model, id);
}

static int start_forgetting_world(void **state)
{
    world_options.on_change = forget_user;
    return start_world(state);
}

static client come_back(const fixture *f, const char *url, int64_t position)
{
    client c = ws_hello(f, f->token_ann);
    ws_send(&c, "{\"t\":\"sub\",\"id\":1,\"url\":\"%s\",\"from\":\"%.*s-%lld\"}", url,
            TIMS_PRINT(tims_live_epoch(f->live)), (long long)position);
    return c;
}

/* What staff sees is another class of views: what was held is nothing to go on from. */
static void a_user_who_becomes_staff_comes_back_as_such(void **state)
{
    fixture *f = *state;
    sql(f, "INSERT INTO note VALUES ('" ID("61") "','" ANN "','" CHAT1 "','mine'),('" ID(
               "62") "','" BOB "','" CHAT2 "','of another')");
    client ann = ws_hello(f, f->token_ann);
    char *snap = ws_snap(&ann, 1, "/api/notes/");
    assert_non_null(strstr(snap, "mine"));
    assert_null(strstr(snap, "of another"));
    int64_t position = position_of(snap);
    free(snap);
    sql(f, "UPDATE \"user\" SET staff = 1 WHERE id = '" ANN "'");
    expect_end(&ann, "session_ended", 4401);
    ann = come_back(f, "/api/notes/", position);
    ws_expect(&ann, "\"t\":\"reset\"", "\"reason\":\"access\"");
    ws_expect(&ann, "\"t\":\"snap\"", "mine", "of another");
    position = sql(f, "UPDATE \"user\" SET staff = 0 WHERE id = '" ANN "'");
    expect_end(&ann, "session_ended", 4401);
    ann = come_back(f, "/api/notes/", position - 1);
    ws_expect(&ann, "\"t\":\"reset\"", "\"reason\":\"access\"");
    snap = ws_next(&ann);
    assert_non_null(strstr(snap, "mine"));
    assert_null(strstr(snap, "of another"));
    free(snap);
    ws_close(&ann);
    ann = come_back(f, CHAT1_MESSAGES, position - 1); /* where staff is nobody special */
    ws_expect(&ann, "\"t\":\"resumed\"", "\"ops\":[]");
    ws_close(&ann);
}

static void a_login_that_ended_between_upgrade_and_hello_is_refused(void **state)
{
    fixture *f = *state;
    char header[128];
    snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", f->token_ann);
    client ann = ws_connect(f, header), still = ws_connect(f, header);
    ws_send(&still, "{\"t\":\"hello\",\"protocol\":2}");
    ws_expect(&still, "\"t\":\"welcome\"", "\"user\":\"" ANN "\"");
    sql(f, "DELETE FROM auth_session WHERE id = '" LOGIN_ANN "'");
    expect_end(&still, "session_ended", 4401);
    ws_send(&ann, "{\"t\":\"hello\",\"protocol\":2}");
    ws_expect(&ann, "\"t\":\"error\"", "\"status\":401");
    expect_end(&ann, "session_ended", 4401);
}

/* --- too many --------------------------------------------------------------------------------- */

static int start_world_of_two_sockets(void **state)
{
    world_options.sockets_per_user_max = 2;
    return start_world(state);
}

static void the_third_socket_of_two_is_closed_until_one_goes(void **state)
{
    fixture *f = *state;
    client first = ws_hello(f, f->token_ann), second = ws_hello(f, f->token_ann);
    client third = ws_connect(f, ""), bob = ws_hello(f, f->token_bob);
    ws_send(&third, "{\"t\":\"hello\",\"protocol\":2,\"token\":\"%s\"}", f->token_ann);
    expect_end(&third, "too_many", 4429);
    ws_close(&second);
    bool welcomed = false;
    for (int tries = 0; tries < TEST_WAIT_MS && !welcomed; tries++) { /* until its going was noticed */
        third = ws_connect(f, "");
        ws_send(&third, "{\"t\":\"hello\",\"protocol\":2,\"token\":\"%s\"}", f->token_ann);
        char *got = ws_next(&third);
        welcomed = got != NULL && strstr(got, "\"t\":\"welcome\"") != NULL;
        free(got);
        ws_close(&third);
    }
    assert_true(welcomed);
    ws_expect_nothing(&first, 0);
    ws_expect_nothing(&bob, 0);
    ws_close(&first);
    ws_close(&bob);
}

/* What it asks for in the same breath is not done: nobody sees it come. */
static void a_surplus_socket_enters_no_room(void **state)
{
    fixture *f = *state;
    client first = ws_hello(f, f->token_ann), second = ws_hello(f, f->token_ann);
    client third = ws_connect(f, ""), bob = ws_hello(f, f->token_bob);
    ws_send(&bob, "{\"t\":\"join\",\"id\":1,\"url\":\"/api/chats/" CHAT1 "/\"}");
    ws_expect(&bob, "\"join\":1", "\"count\":1");
    ws_expect(&bob, "\"joined\":[{\"id\":\"" BOB "\"}]");
    int on = 1, off = 0;
    assert_int_equal(setsockopt(third.fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on), 0);
    ws_send(&third, "{\"t\":\"hello\",\"protocol\":2,\"token\":\"%s\"}", f->token_ann);
    ws_send(&third, "{\"t\":\"join\",\"id\":1,\"url\":\"/api/chats/" CHAT1 "/\"}");
    assert_int_equal(setsockopt(third.fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off), 0);
    expect_end(&third, "too_many", 4429);
    ws_send(&bob, "{\"t\":\"publish\",\"join\":1,\"kind\":\"mark\",\"data\":1}");
    ws_expect(&bob, "\"t\":\"said\"", "mark");
    ws_close(&first);
    ws_close(&second);
    ws_close(&bob);
}

/* --- silence ---------------------------------------------------------------------------------- */

static void be_in_a_hurry(live__limits *limits)
{
    limits->hello_ms = 300;
    limits->heartbeat_ms = 100;
    limits->watch_ms = 20;
}

static int start_hurried_world(void **state)
{
    adjust_world = be_in_a_hurry;
    return start_world(state);
}

static void who_does_not_greet_in_time_is_closed(void **state)
{
    client c = ws_connect(*state, "");
    expect_end(&c, "timeout", 4408);
}

/* Chatter is no greeting. */
static void frames_before_the_greeting_do_not_lengthen_its_time(void **state)
{
    client c = ws_connect(*state, "");
    int frames = 0;
    for (; frames < 9; frames++) {
        struct pollfd wait = { .fd = c.fd, .events = POLLIN };
        ws_send(&c, "{\"t\":\"ping\"}");
        char *got = ws_next(&c);
        bool ends = got == NULL || strstr(got, "\"t\":\"bye\"") != NULL;
        free(got);
        if (ends)
            break;
        (void)poll(&wait, 1, 100); /* nine of these are three times as long as it has */
    }
    assert_int_equal(ws_closed(&c), 4408);
    assert_in_range(frames, 1, 8);
    ws_close(&c);
}

/* Answers to the server's pings are a sign of life. */
static void who_only_answers_pings_stays(void **state)
{
    enum { PINGS = 10 };
    fixture *f = *state;
    client c = ws_connect(f, "");
    ws_send(&c, "{\"t\":\"hello\",\"protocol\":2,\"token\":\"%s\"}", f->token_ann);
    ws_expect(&c, "\"t\":\"welcome\"", "\"heartbeat_ms\":100");
    for (int pings = 0; pings < PINGS; pings++) {
        char *text = NULL;
        int opcode = ws_next_frame(&c, &text);
        free(text);
        if (opcode != 9)
            fail_msg("opcode %d, closed %d, after %d pings", opcode, c.closed, pings);
        ws_send_frame(&c, 0x8a, "", 0);
    }
    ws_send(&c, "{\"t\":\"ping\"}");
    ws_expect(&c, "\"t\":\"pong\"");
    ws_close(&c);
}

static void who_does_not_answer_pings_is_dropped(void **state)
{
    fixture *f = *state;
    client c = ws_connect(f, "");
    ws_send(&c, "{\"t\":\"hello\",\"protocol\":2,\"token\":\"%s\"}", f->token_ann);
    ws_expect(&c, "\"t\":\"welcome\"");
    int opcode = 9;
    while (opcode == 9) {
        char *text = NULL;
        opcode = ws_next_frame(&c, &text);
        free(text);
    }
    assert_true(opcode == 0 || opcode == 8);
    ws_close(&c);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, start_world, stop_world)
#define IN_FORGETTING_WORLD(test) cmocka_unit_test_setup_teardown(test, start_forgetting_world, stop_world)
#define IN_WORLD_OF_TWO(test) cmocka_unit_test_setup_teardown(test, start_world_of_two_sockets, stop_world)
#define IN_HURRIED_WORLD(test) cmocka_unit_test_setup_teardown(test, start_hurried_world, stop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(the_renewed_login_is_the_one_that_counts),
        IN_WORLD(a_refused_token_ends_the_session),
        IN_WORLD(nobody_cannot_become_somebody_on_an_open_socket),
        IN_WORLD(a_changed_password_ends_every_socket_of_the_user_and_no_other),
        IN_FORGETTING_WORLD(a_user_who_becomes_staff_comes_back_as_such),
        IN_WORLD(a_login_that_ended_between_upgrade_and_hello_is_refused),
        IN_WORLD_OF_TWO(the_third_socket_of_two_is_closed_until_one_goes),
        IN_WORLD_OF_TWO(a_surplus_socket_enters_no_room),
        IN_HURRIED_WORLD(who_does_not_greet_in_time_is_closed),
        IN_HURRIED_WORLD(frames_before_the_greeting_do_not_lengthen_its_time),
        IN_HURRIED_WORLD(who_only_answers_pings_stays),
        IN_HURRIED_WORLD(who_does_not_answer_pings_is_dropped),
        IN_WORLD(a_login_that_ends_with_other_changes_is_told_none_of_them),
        IN_WORLD(a_switched_off_user_is_shown_to_others_as_such),
    };
    return cmocka_run_group_tests_name("live_session", tests, NULL, NULL);
}
