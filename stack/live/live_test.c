/* The live websocket against a real server and database: what the protocol page says, row by row. */
#include "live/testing.h"

#define CHAT1_MESSAGES "/api/messages/?chat=" CHAT1

static void greets_who_the_token_says(void **state)
{
    fixture *f = *state;
    client c = ws_connect(f, "");
    ws_send(&c, "{\"t\":\"hello\",\"protocol\":2,\"token\":\"%s\"}", f->token_ann);
    ws_expect(&c, "\"t\":\"welcome\"", "\"user\":\"" ANN "\"", "\"epoch\":\"");
    ws_close(&c);
    c = ws_connect(f, "");
    ws_send(&c, "{\"t\":\"hello\",\"protocol\":2}");
    ws_expect(&c, "\"t\":\"welcome\"", "\"user\":null");
    ws_close(&c);
}

static void refuses_a_token_that_is_nobodys(void **state)
{
    client c = ws_connect(*state, "");
    ws_send(&c, "{\"t\":\"hello\",\"protocol\":2,\"token\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}");
    ws_expect(&c, "\"t\":\"error\"", "\"status\":401", "\"code\":\"unauthorized\"");
    ws_expect(&c, "\"t\":\"bye\"", "session_ended");
    assert_int_equal(ws_closed(&c), 4401);
    ws_close(&c);
}

static void refuses_another_protocol(void **state)
{
    client c = ws_connect(*state, "");
    ws_send(&c, "{\"t\":\"hello\",\"protocol\":3}");
    ws_expect(&c, "\"code\":\"protocol\"");
    assert_int_equal(ws_closed(&c), 4400);
    ws_close(&c);
}

static void refuses_a_page_of_another_origin(void **state)
{
    fixture *f = *state;
    test_answer answer = test_ask(
        &f->server, "GET /live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                    "Origin: https://evil.example\r\n\r\n");
    assert_int_equal(answer.status, 403);
    test_answer_free(&answer);
}

static void sends_what_get_answers_and_then_every_change(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    ws_send(&c, "{\"t\":\"sub\",\"id\":7,\"url\":\"" CHAT1_MESSAGES "\"}");
    ws_expect(&c, "\"t\":\"snap\"", "\"sub\":7", "\"order\":\"-number,-id\"", "\"limit\":50", "\"end\":true",
              "\"detail\":false", "\"text\":\"two\"", "\"text\":\"one\"");
    sql(f, "INSERT INTO message VALUES ('" MESSAGE("4") "','" CHAT1 "','" BOB "','four',4)");
    ws_expect(&c, "\"t\":\"tx\"", "{\"view\":1,\"op\":\"put\",\"id\":\"" MESSAGE("4") "\"",
              "\"text\":\"four\"");
    sql(f, "UPDATE message SET text = 'FOUR' WHERE number = 4");
    ws_expect(&c, "\"op\":\"put\"", "\"text\":\"FOUR\"");
    sql(f, "DELETE FROM message WHERE number = 4");
    ws_expect(&c, "{\"view\":1,\"op\":\"del\",\"id\":\"" MESSAGE("4") "\"}");
    ws_close(&c);
}

static void sends_a_transaction_as_one_tx_for_all_subscriptions(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    free(ws_snap(&c, 1, CHAT1_MESSAGES));
    free(ws_snap(&c, 2, "/api/chats/"));
    sql(f,
        "UPDATE chat SET title = 'Uno' WHERE id = '" CHAT1 "';"
        "UPDATE message SET text = 'uno' WHERE number = 1; UPDATE message SET text = 'due' WHERE number = 2");
    ws_expect(&c, "\"t\":\"tx\"", "\"title\":\"Uno\"", "\"text\":\"uno\"", "\"text\":\"due\"", "\"view\":1",
              "\"view\":2");
    ws_close(&c);
}

static void rows_enter_and_leave_by_update(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_bob);
    free(ws_snap(&c, 1, CHAT1_MESSAGES));
    free(ws_snap(&c, 2, "/api/messages/?number__gte=3"));
    sql(f, "UPDATE message SET chat = '" CHAT2 "' WHERE number = 1");
    ws_expect(&c, "{\"view\":1,\"op\":\"del\",\"id\":\"" MESSAGE("1") "\"}");
    sql(f, "UPDATE message SET chat = '" CHAT1 "', number = 5 WHERE number = 1");
    ws_expect(&c, "{\"view\":1,\"op\":\"put\",\"id\":\"" MESSAGE("1") "\"",
              "{\"view\":2,\"op\":\"put\",\"id\":\"" MESSAGE("1") "\"");
    sql(f, "UPDATE message SET number = 1 WHERE number = 5");
    ws_expect(&c, "{\"view\":2,\"op\":\"del\",\"id\":\"" MESSAGE("1") "\"}", "{\"view\":1,\"op\":\"put\"");
    ws_close(&c);
}

static void tells_nobody_who_may_not_read(void **state)
{
    fixture *f = *state;
    client ann = ws_hello(f, f->token_ann);
    char *snap = ws_snap(&ann, 1, "/api/messages/");
    assert_null(strstr(snap, "three"));
    free(snap);
    int64_t position = sql(
        f, "INSERT INTO message VALUES ('" MESSAGE(
               "5") "','" CHAT2 "','" BOB "','secret',5);"
                    "UPDATE message SET text = 'x' WHERE number = 3; DELETE FROM message WHERE number = 5");
    ws_expect_nothing(&ann, position);
    ws_close(&ann);
}

static void access_that_is_granted_brings_rows_and_revoked_takes_them(void **state)
{
    fixture *f = *state;
    client ann = ws_hello(f, f->token_ann);
    free(ws_snap(&ann, 1, "/api/messages/"));
    free(ws_snap(&ann, 2, "/api/messages/?chat=" CHAT2));
    free(ws_snap(&ann, 3, "/api/chats/"));
    sql(f, "INSERT INTO member VALUES ('" ID("34") "','" CHAT2 "','" ANN "',0)");
    /* A list of my own gets rows; the list of a chat, closed until now, is opened. */
    ws_expect(&ann, "{\"view\":1,\"op\":\"put\",\"id\":\"" MESSAGE("3") "\"",
              "{\"view\":2,\"op\":\"put\",\"id\":\"" CHAT2 "\"", "{\"sub\":2,\"op\":\"load\",\"view\":3,",
              "\"reason\":\"access\"", "\"document\":{\"rows\":[{\"id\":\"" MESSAGE("3") "\"");
    sql(f, "DELETE FROM member WHERE id = '" ID("34") "'");
    ws_expect(&ann, "{\"view\":1,\"op\":\"del\",\"id\":\"" MESSAGE("3") "\"}",
              "{\"view\":2,\"op\":\"del\",\"id\":\"" CHAT2 "\"}", "{\"sub\":2,\"op\":\"load\",\"view\":0,",
              "\"reason\":\"access\"", "\"document\":{\"rows\":[]");
    /* Another's membership, or another column of the own one, moves nothing here. */
    int64_t position = sql(
        f, "UPDATE member SET seen = 9; INSERT INTO member VALUES ('" ID("35") "','" CHAT2 "','" EVE "',0)");
    ws_expect_nothing(&ann, position);
    ws_close(&ann);
}

static void a_row_written_with_the_membership_that_allows_it_arrives(void **state)
{
    fixture *f = *state;
    client ann = ws_hello(f, f->token_ann);
    free(ws_snap(&ann, 1, "/api/messages/"));
    sql(f, "INSERT INTO chat VALUES ('" ID("13") "','New');"
                                                 "INSERT INTO message VALUES ('" MESSAGE("6") "','" ID(
                                                     "13") "','" ANN "','first',6);"
                                                           "INSERT INTO member VALUES ('" ID("36") "','" ID(
                                                               "13") "','" ANN "',0)");
    ws_expect(&ann, "\"op\":\"put\"", "\"text\":\"first\"");
    sql(f, "INSERT INTO message VALUES ('" MESSAGE("7") "','" ID("13") "','" ANN "','second',7)");
    ws_expect(&ann, "\"op\":\"put\"", "\"text\":\"second\"");
    ws_close(&ann);
}

static void hears_of_another_programs_changes(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    free(ws_snap(&c, 1, CHAT1_MESSAGES));
    foreign_sql(f, "UPDATE message SET text = 'from outside' WHERE number = 2");
    int64_t since_us = tims_monotonic_us();
    ws_expect(&c, "\"op\":\"put\"", "\"text\":\"from outside\"");
    print_message("a foreign change came %lld us after its program had ended\n",
                  (long long)(tims_monotonic_us() - since_us));
    ws_close(&c);
}

static void details_come_change_and_go(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    ws_send(&c, "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/messages/" MESSAGE("1") "/\"}");
    ws_expect(&c, "\"t\":\"snap\"", "\"detail\":true", "\"document\":{\"id\":\"" MESSAGE("1") "\"");
    ws_send(&c, "{\"t\":\"sub\",\"id\":2,\"url\":\"/api/messages/" MESSAGE("8") "/\"}");
    ws_expect(&c, "\"t\":\"snap\"", "\"detail\":true", "\"document\":null");
    sql(f, "INSERT INTO message VALUES ('" MESSAGE("8") "','" CHAT1 "','" ANN "','eight',8)");
    ws_expect(&c, "{\"view\":2,\"op\":\"put\"", "\"text\":\"eight\"");
    sql(f, "DELETE FROM message WHERE number IN (1, 8)");
    ws_expect(&c, "{\"view\":1,\"op\":\"del\"", "{\"view\":2,\"op\":\"del\"");
    ws_close(&c);
}

static void a_window_ignores_what_stands_behind_it_and_is_filled_again(void **state)
{
    fixture *f = *state;
    sql(f,
        "INSERT INTO message VALUES ('" MESSAGE("4") "','" CHAT1 "','" ANN "','four',4),"
                                                     " ('" MESSAGE("5") "','" CHAT1 "','" ANN "','five',5)");
    client c = ws_hello(f, f->token_ann);
    ws_send(&c, "{\"t\":\"sub\",\"id\":1,\"url\":\"" CHAT1_MESSAGES "&limit=2&total=true\"}");
    ws_expect(&c, "\"limit\":2", "\"end\":false", "\"total\":4", "five", "four");
    sql(f, "UPDATE message SET text = 'unseen' WHERE number = 2");
    sql(f, "INSERT INTO message VALUES ('" MESSAGE("9") "','" CHAT1 "','" ANN "','zero',0)");
    ws_expect_without(&c, "{\"view\":1,\"op\":\"total\",\"total\":5}", "\"op\":\"put\"");
    sql(f, "INSERT INTO message VALUES ('" MESSAGE("6") "','" CHAT1 "','" ANN "','six',6)");
    ws_expect(&c, "\"op\":\"put\"", "six", "\"total\":6");
    sql(f, "DELETE FROM message WHERE number IN (6, 5)");
    ws_expect(&c, "\"op\":\"del\",\"id\":\"" MESSAGE("6") "\"", "\"op\":\"del\",\"id\":\"" MESSAGE("5") "\"",
              "\"op\":\"put\",\"id\":\"" MESSAGE("2") "\"", "unseen", "\"total\":4");
    /* The last row moves behind rows that are not held: they come. */
    sql(f, "UPDATE message SET number = -1 WHERE number = 2");
    ws_expect(&c, "\"op\":\"del\",\"id\":\"" MESSAGE("2") "\"", "\"op\":\"put\",\"id\":\"" MESSAGE("1") "\"");
    ws_close(&c);
}

static void a_window_grows(void **state)
{
    fixture *f = *state;
    sql(f, "INSERT INTO message VALUES ('" MESSAGE("4") "','" CHAT1 "','" ANN "','four',4)");
    client c = ws_hello(f, f->token_ann);
    ws_send(&c, "{\"t\":\"sub\",\"id\":1,\"url\":\"" CHAT1_MESSAGES "&limit=1\"}");
    ws_expect(&c, "\"limit\":1", "\"end\":false", "four");
    ws_send(&c, "{\"t\":\"more\",\"sub\":1,\"limit\":2}");
    ws_expect(&c, "\"t\":\"window\"", "\"sub\":1", "\"limit\":2", "\"end\":false", "\"op\":\"put\"",
              "\"text\":\"two\"");
    ws_send(&c, "{\"t\":\"more\",\"sub\":1,\"limit\":100}");
    ws_expect(&c, "\"t\":\"window\"", "\"end\":true", "\"text\":\"one\"");
    sql(f, "UPDATE message SET text = 'ONE' WHERE number = 1");
    ws_expect(&c, "\"op\":\"put\"", "\"text\":\"ONE\"");
    ws_close(&c);
}

static void an_offset_window_is_read_again(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    ws_send(&c, "{\"t\":\"sub\",\"id\":1,\"url\":\"" CHAT1_MESSAGES "&limit=1&offset=1\"}");
    ws_expect(&c, "\"text\":\"one\"");
    sql(f, "INSERT INTO message VALUES ('" MESSAGE("4") "','" CHAT1 "','" ANN "','four',4)");
    ws_expect(&c, "\"op\":\"del\",\"id\":\"" MESSAGE("1") "\"", "\"op\":\"put\",\"id\":\"" MESSAGE("2") "\"");
    ws_close(&c);
}

static void included_rows_come_with_the_rows_that_name_them(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    free(ws_snap(&c, 1, CHAT1_MESSAGES "&include=sender"));
    sql(f, "INSERT INTO message VALUES ('" MESSAGE("4") "','" CHAT1 "','" EVE "','hi',4)");
    ws_expect(&c, "\"op\":\"put\"", "{\"view\":1,\"op\":\"include\",\"field\":\"sender\",\"id\":\"" EVE "\"",
              "\"username\":\"eve\"");
    sql(f, "UPDATE \"user\" SET display_name = 'Eva' WHERE id = '" EVE "'");
    ws_expect(&c, "\"op\":\"include\"", "\"display_name\":\"Eva\"");
    ws_close(&c);
}

static void a_signed_out_socket_is_closed(void **state)
{
    fixture *f = *state;
    client ann = ws_hello(f, f->token_ann), bob = ws_hello(f, f->token_bob);
    sql(f, "DELETE FROM auth_session WHERE id = '" LOGIN_ANN "'");
    ws_expect(&ann, "\"t\":\"bye\"", "session_ended");
    assert_int_equal(ws_closed(&ann), 4401);
    int64_t position = sql(f, "UPDATE \"user\" SET display_name = 'B' WHERE id = '" BOB "'");
    ws_expect_nothing(&bob, position);
    sql(f, "UPDATE \"user\" SET active = 0 WHERE id = '" BOB "'");
    assert_int_equal(ws_closed(&bob), 4401);
    ws_close(&ann);
    ws_close(&bob);
}

static void an_ended_subscription_is_silent_and_its_id_free(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    free(ws_snap(&c, 1, CHAT1_MESSAGES));
    ws_send(&c, "{\"t\":\"unsub\",\"sub\":1}");
    int64_t position = sql(f, "UPDATE message SET text = 'x'");
    ws_expect_nothing(&c, position);
    free(ws_snap(&c, 1, CHAT1_MESSAGES)); /* the pong came after the engine had let go of it */
    ws_close(&c);
}

static void bad_frames_are_answered_and_the_tenth_closes(void **state)
{
    fixture *f = *state;
    client c = ws_connect(f, "");
    static const struct {
        const char *frame, *code;
    } table[] = {
        { "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/chats/\"}", "hello_first" },
        { "{\"t\":\"ping\"}", "hello_first" },
        { "{", "malformed" },
        { "[]", "malformed" },
        { "{\"t\":7}", "malformed" },
        { "{\"t\":\"dance\"}", "unknown_message" },
        { "{\"t\":\"call\"}", "unknown_message" },
        { "{\"t\":\"sub\",\"t\":\"sub\"}", "malformed" },
        { "", "malformed" },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        ws_send(&c, "%s", table[i].frame);
        ws_expect(&c, "\"t\":\"error\"", "\"status\":400", table[i].code);
    }
    ws_send_frame(&c, 0x82, "\x01", 1);
    ws_expect(&c, "malformed");
    ws_expect(&c, "\"t\":\"bye\"", "protocol");
    assert_int_equal(ws_closed(&c), 4400);
    ws_close(&c);
}

static void wrong_subscriptions_are_refused(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    static const struct {
        const char *frame, *answer;
    } table[] = {
        { "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/nothing/\"}",
          "\"sub\":1,\"status\":404,\"code\":\"not_found\"" },
        { "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/messages/?colour=1\"}", "\"sub\":1,\"status\":422" },
        { "{\"t\":\"sub\",\"id\":0,\"url\":\"/api/messages/\"}", "\"code\":\"malformed\"" },
        { "{\"t\":\"sub\",\"id\":1,\"url\":7}", "\"code\":\"malformed\"" },
        { "{\"t\":\"sub\",\"id\":1}", "\"code\":\"malformed\"" },
        { "{\"t\":\"more\",\"sub\":9,\"limit\":5}", "\"status\":404" },
        { "{\"t\":\"hello\",\"protocol\":2}", "\"code\":\"hello_twice\"" },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        ws_send(&c, "%s", table[i].frame);
        ws_expect(&c, "\"t\":\"error\"", table[i].answer);
    }
    free(ws_snap(&c, 1, CHAT1_MESSAGES));
    ws_send(&c, "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/chats/\"}");
    ws_expect(&c, "\"status\":409", "\"code\":\"id_in_use\"");
    ws_close(&c);
    c = ws_connect(f, "");
    ws_send(&c, "{\"t\":\"hello\",\"protocol\":2}");
    ws_expect(&c, "\"t\":\"welcome\"");
    ws_send(&c, "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/chats/\"}");
    ws_expect(&c, "\"sub\":1", "\"status\":401");
    ws_close(&c);
}

static int start_small_world(void **state)
{
    world_options.subscriptions_max = 3;
    world_options.resume_changes_max = 5;
    return start_world(state);
}

static void too_many_subscriptions_are_refused(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    for (int id = 1; id <= 3; id++)
        free(ws_snap(&c, id, "/api/chats/"));
    ws_send(&c, "{\"t\":\"sub\",\"id\":4,\"url\":\"/api/chats/\"}");
    ws_expect(&c, "\"sub\":4", "\"status\":429", "too_many_subscriptions");
    ws_close(&c);
}

static void allow_few_rows(live__limits *limits)
{
    limits->rows_max = 60;
}

static int start_narrow_world(void **state)
{
    adjust_world = allow_few_rows;
    return start_world(state);
}

/* Windows of 50 rows each, whatever is in them. */
static void too_many_rows_on_one_connection_are_refused(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    free(ws_snap(&c, 1, CHAT1_MESSAGES));
    ws_send(&c, "{\"t\":\"sub\",\"id\":2,\"url\":\"/api/chats/\"}");
    ws_expect(&c, "\"sub\":2", "\"status\":429", "too_many_subscriptions");
    ws_send(&c, "{\"t\":\"more\",\"sub\":1,\"limit\":100}");
    ws_expect(&c, "\"t\":\"error\"", "\"status\":404");
    ws_send(&c, "{\"t\":\"unsub\",\"sub\":1}");
    free(ws_snap(&c, 2, "/api/chats/"));
    ws_close(&c);
}

static void a_frame_that_is_too_long_closes(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    char *long_text = malloc(20000);
    memset(long_text, ' ', 20000);
    ws_send_frame(&c, 0x81, long_text, 20000);
    assert_int_equal(ws_closed(&c), 1009);
    free(long_text);
    ws_close(&c);
}

static void a_client_that_vanishes_takes_nothing_with_it(void **state)
{
    fixture *f = *state;
    client other = ws_hello(f, f->token_bob);
    free(ws_snap(&other, 1, CHAT1_MESSAGES));
    for (int i = 0; i < 20; i++) {
        client c = ws_connect(f, "");
        ws_send(&c, "{\"t\":\"hello\",\"protocol\":2,\"token\":\"%s\"}", f->token_ann);
        ws_send(&c, "{\"t\":\"sub\",\"id\":1,\"url\":\"" CHAT1_MESSAGES "\"}");
        ws_close(&c);
    }
    sql(f, "UPDATE message SET text = 'still here' WHERE number = 1");
    ws_expect(&other, "still here");
    ws_close(&other);
}

static void a_draining_server_says_when_to_return(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    tims_server_stop(f->server.server);
    ws_expect(&c, "\"t\":\"bye\"", "\"reason\":\"draining\"", "\"retry_ms\":");
    assert_int_equal(ws_closed(&c), 1001);
    ws_close(&c);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, start_world, stop_world)
#define IN_SMALL_WORLD(test) cmocka_unit_test_setup_teardown(test, start_small_world, stop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(greets_who_the_token_says),
        IN_WORLD(refuses_a_token_that_is_nobodys),
        IN_WORLD(refuses_another_protocol),
        IN_WORLD(refuses_a_page_of_another_origin),
        IN_WORLD(sends_what_get_answers_and_then_every_change),
        IN_WORLD(sends_a_transaction_as_one_tx_for_all_subscriptions),
        IN_WORLD(rows_enter_and_leave_by_update),
        IN_WORLD(tells_nobody_who_may_not_read),
        IN_WORLD(access_that_is_granted_brings_rows_and_revoked_takes_them),
        IN_WORLD(a_row_written_with_the_membership_that_allows_it_arrives),
        IN_WORLD(hears_of_another_programs_changes),
        IN_WORLD(details_come_change_and_go),
        IN_WORLD(a_window_ignores_what_stands_behind_it_and_is_filled_again),
        IN_WORLD(a_window_grows),
        IN_WORLD(an_offset_window_is_read_again),
        IN_WORLD(included_rows_come_with_the_rows_that_name_them),
        IN_WORLD(a_signed_out_socket_is_closed),
        IN_WORLD(an_ended_subscription_is_silent_and_its_id_free),
        IN_WORLD(bad_frames_are_answered_and_the_tenth_closes),
        IN_WORLD(wrong_subscriptions_are_refused),
        IN_SMALL_WORLD(too_many_subscriptions_are_refused),
        cmocka_unit_test_setup_teardown(too_many_rows_on_one_connection_are_refused, start_narrow_world,
                                        stop_world),
        IN_WORLD(a_frame_that_is_too_long_closes),
        IN_WORLD(a_client_that_vanishes_takes_nothing_with_it),
        IN_WORLD(a_draining_server_says_when_to_return),
    };
    return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
