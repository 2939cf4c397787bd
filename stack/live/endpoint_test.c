/* endpoint_test.c: plain websocket endpoints on a real server: order, requests of handlers, access, raises,
 * bounds, endings. */
#include "live/websocket_testing.h"

#include <errno.h>

static atomic_int opened, closed, close_code, handled, at_work, most_at_work;
static atomic_bool is_blocked;

/* --- the endpoints ------------------------------------------------------------------------------------ */

typedef struct counter {
    int64_t count;
} counter;

/* The first ones take longest, so that only order brings them out in order. */
static void answer_slowly(tims_request *rq, tims_websocket *websocket, tims_str text)
{
    counter *state = tims_websocket_state(websocket);
    int now = atomic_fetch_add(&at_work, 1) + 1;
    if (now > atomic_load(&most_at_work))
        atomic_store(&most_at_work, now);
    (void)!tims_sleep_ms(state->count < 3 ? 30 - 10 * state->count : state->count % 2);
    tims_websocket_send(rq, websocket, tims_print(rq->arena, "%lld %S", (long long)state->count++, text));
    atomic_fetch_sub(&at_work, 1);
}

static void tell_upgrade(tims_request *rq, tims_websocket *websocket)
{
    tims_str query = tims_query_get(rq, TIMS_STR("q"));
    tims_websocket_send(
        rq, websocket,
        tims_print(rq->arena, "room=%I q=%S user=%S path=%S", tims_path_id(rq, "room"), query,
                   tims_is_signed_in(rq) ? tims_current_user(rq)->username : TIMS_STR("nobody"), rq->path));
}

static void tell_room(tims_request *rq, tims_websocket *websocket, tims_str text)
{
    tims_websocket_send(rq, websocket, tims_print(rq->arena, "%I %S", tims_path_id(rq, "room"), text));
}

/* Says so before the transaction is durable; with "!" at the end it raises then, with "." it closes. */
static void write_chat(tims_request *rq, tims_websocket *websocket, tims_str text)
{
    chat row = { .id = tims_id_new(), .title = text };
    tims_create(rq, &chat_model, &row);
    tims_websocket_send(rq, websocket, TIMS_STR("written"));
    if (tims_str_ends_with(text, TIMS_STR(".")))
        tims_websocket_close(rq, websocket, 4000, TIMS_STR("enough"));
    if (tims_str_ends_with(text, TIMS_STR("!")))
        tims_raise(rq, 409, "too_loud", "Not so loud.");
}

static void count_chats(tims_request *rq, tims_websocket *websocket)
{
    tims_websocket_send(rq, websocket,
                        tims_print(rq->arena, "%lld", (long long)tims_count(rq, &chat_model, NULL)));
}

static void raise_as_told(tims_request *rq, tims_websocket *websocket, tims_str text)
{
    int64_t status;
    (void)websocket;
    assert_true(tims_str_to_int(text, 400, 599, &status));
    tims_raise(rq, (int)status, "as_told", "As you wish.");
}

static void refuse_nobody(tims_request *rq, tims_websocket *websocket)
{
    (void)websocket;
    if (!tims_is_signed_in(rq))
        tims_raise(rq, 403, "members_only", "This is for members.");
}

static void note_open(tims_request *rq, tims_websocket *websocket)
{
    (void)rq;
    (void)websocket;
    atomic_fetch_add(&opened, 1);
}

static void note_close(tims_request *rq, tims_websocket *websocket, int code)
{
    tims_websocket_send(rq, websocket, TIMS_STR("nobody hears this"));
    atomic_store(&close_code, code);
    atomic_fetch_add(&closed, 1);
}

static void overrun(tims_request *rq, tims_websocket *websocket, tims_str text)
{
    (void)websocket;
    (void)text;
    if (tims_sleep_ms(60000) == TIMS_TIMEOUT)
        tims_raise(rq, 504, "overrun", "That takes too long.");
}

static void wait_while_blocked(tims_request *rq, tims_websocket *websocket, tims_str text)
{
    while (atomic_load(&is_blocked))
        (void)!tims_sleep_ms(1);
    int count = atomic_fetch_add(&handled, 1) + 1;
    if (tims_str_equal(text, TIMS_STR("end")))
        tims_websocket_send(rq, websocket, tims_print(rq->arena, "%d", count));
}

static void send_much(tims_request *rq, tims_websocket *websocket, tims_str text)
{
    int64_t pieces = 0;
    char *piece = tims_alloc(rq->arena, 100000);
    memset(piece, 'x', 100000);
    assert_true(tims_str_to_int(text, 0, 1000, &pieces));
    for (int64_t i = 0; i < pieces; i++)
        tims_websocket_send(rq, websocket, (tims_str){ piece, 100000 });
}

static void close_as_told(tims_request *rq, tims_websocket *websocket, tims_str text)
{
    tims_websocket_send(rq, websocket, text);
    tims_websocket_close(rq, websocket, 4123, text);
    tims_websocket_send(rq, websocket, TIMS_STR("too late"));
    tims_websocket_close(rq, websocket, 4124, TIMS_STR("once is enough"));
}

static const tims_websocket_route endpoints[] = {
    { .path = "/ws/order/", .on_message = answer_slowly, .state_bytes = sizeof(counter) },
    { .path = "/ws/room/{room:id}/", .on_open = tell_upgrade, .on_message = tell_room },
    { .path = "/ws/chat/", .on_open = count_chats, .on_message = write_chat, .on_close = note_close },
    { .path = "/ws/raise/", .on_open = note_open, .on_message = raise_as_told, .on_close = note_close },
    { .path = "/ws/members/", .on_open = refuse_nobody, .on_message = raise_as_told, .on_close = note_close },
    { .path = "/ws/user/", .on_message = raise_as_told, .access = tims_access_signed_in },
    { .path = "/ws/staff/", .on_message = raise_as_told, .access = tims_access_staff },
    { .path = "/ws/overrun/", .on_message = overrun, .on_close = note_close, .timeout_ms = 50 },
    { .path = "/ws/block/", .on_open = note_open, .on_message = wait_while_blocked, .on_close = note_close },
    { .path = "/ws/much/", .on_message = send_much, .on_close = note_close },
    { .path = "/ws/close/", .on_message = close_as_told, .on_close = note_close },
    { .path = "/ws/short/", .on_message = tell_room, .on_close = note_close, .message_bytes_max = 100 },
    { 0 },
};

static int set_up(void **state)
{
    atomic_int *counters[] = { &opened, &closed, &close_code, &handled, &at_work, &most_at_work };
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        atomic_store(counters[i], 0);
    atomic_store(&is_blocked, false);
    *state = start_socket_world(&(socket_options){ .endpoints = endpoints, .per_user_max = 3 });
    return 0;
}

static int set_up_deaf(void **state)
{
    *state = start_socket_world(
        &(socket_options){ .endpoints = endpoints, .per_user_max = 3, .poll_ms = INT64_C(3600) * 1000 });
    return 0;
}

/* --- handlers and their requests ---------------------------------------------------------------------- */

static void messages_of_a_socket_are_handled_one_after_the_other_in_order(void **state)
{
    client c = open_socket(*state, "/ws/order/", NULL);
    char expected[64];
    for (int i = 0; i < 200; i++)
        ws_send(&c, "message %d", i);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(expected, sizeof expected, "%d message %d", i, i);
        expect_text(&c, expected);
    }
    assert_int_equal(atomic_load(&most_at_work), 1);
    ws_close(&c);
}

static void handlers_see_what_the_upgrade_said(void **state)
{
    fixture *f = *state;
    client nobody = open_socket(f, "/ws/room/" CHAT1 "/?q=a%20b", NULL);
    expect_text(&nobody, "room=" CHAT1 " q=a b user=nobody path=/ws/room/" CHAT1 "/");
    client ann = open_socket(f, "/ws/room/" CHAT2 "/?q=", f->token_ann);
    expect_text(&ann, "room=" CHAT2 " q= user=ann path=/ws/room/" CHAT2 "/");
    ws_send(&ann, "hello");
    expect_text(&ann, CHAT2 " hello");
    ws_close(&nobody);
    ws_close(&ann);
}

static void a_handler_is_a_transaction(void **state)
{
    client c = open_socket(*state, "/ws/chat/", NULL);
    expect_text(&c, "2");
    ws_send(&c, "Three");
    expect_text(&c, "written");
    client other = open_socket(*state, "/ws/chat/", NULL);
    expect_text(&other, "3");
    ws_send(&c, "Four!");
    char *text = ws_next(&c);
    assert_null(text); /* not a word of what did not happen */
    assert_int_equal(c.closed, 4409);
    ws_close(&c);
    ws_send(&other, "Four.");
    expect_text(&other, "written");
    expect_close(&other, 4000, "enough");
    client last = open_socket(*state, "/ws/chat/", NULL);
    expect_text(&last, "4");
    ws_close(&last);
}

/* --- who may connect ---------------------------------------------------------------------------------- */

static void who_may_not_connect_is_answered_instead_of_upgraded(void **state)
{
    fixture *f = *state;
    char as_ann[128];
    (void)snprintf(as_ann, sizeof as_ann, "Authorization: Bearer %s\r\n", f->token_ann);
    const struct {
        const char *path, *head, *more;
        int status;
    } rows[] = {
        { "/ws/user/", HANDSHAKE, "", 401 },
        { "/ws/user/", HANDSHAKE, "Authorization: Bearer nonsense\r\n", 401 },
        { "/ws/staff/", HANDSHAKE, "", 401 },
        { "/ws/staff/", HANDSHAKE, as_ann, 403 },
        { "/ws/order/", HANDSHAKE, "Origin: https://evil.example\r\n", 403 },
        { "/ws/order/", "Host: localhost\r\n", "", 426 },
        { "/ws/room/none/", HANDSHAKE, "", 404 },
        { "/ws/nothing/", HANDSHAKE, "", 404 },
        { "/ws/user/", HANDSHAKE "Origin: http://localhost\r\n", as_ann, 101 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tims_str request =
            tims_print(f->arena, "GET %s HTTP/1.1\r\n%s%s\r\n", rows[i].path, rows[i].head, rows[i].more);
        test_answer answer = test_ask(&f->server, tims_copy_c(f->arena, request));
        if (answer.status != rows[i].status)
            fail_msg("row %zu: got %d, expected %d", i, answer.status, rows[i].status);
        test_answer_free(&answer);
    }
}

static void one_user_has_so_many_sockets_and_no_more(void **state)
{
    fixture *f = *state;
    client mine[3];
    for (int i = 0; i < 3; i++) {
        mine[i] = open_socket(f, "/ws/order/", f->token_ann);
        ws_send(&mine[i], "x");
        expect_text(&mine[i], "0 x"); /* by now it is counted */
    }
    client fourth = open_socket(f, "/ws/raise/", f->token_ann);
    expect_close(&fourth, 4429, "too_many");
    client bobs = open_socket(f, "/ws/order/", f->token_bob), nobodys = open_socket(f, "/ws/order/", NULL);
    ws_send(&bobs, "x");
    expect_text(&bobs, "0 x");
    say_goodbye(&bobs, 1000);
    wait_for_count(&websockets->user_counts, 1);
    for (int i = 0; i < 3; i++)
        say_goodbye(&mine[i], 1000);
    wait_for_count(&websockets->user_counts, 0);
    client again = open_socket(f, "/ws/order/", f->token_ann);
    ws_send(&again, "x");
    expect_text(&again, "0 x");
    assert_int_equal(atomic_load(&opened), 0);
    assert_int_equal(atomic_load(&closed), 0);
    ws_close(&again);
    ws_close(&nobodys);
}

/* --- raises ------------------------------------------------------------------------------------------- */

static void a_raise_closes_with_its_code(void **state)
{
    static const struct {
        const char *status;
        int code;
    } rows[] = {
        { "400", 4400 }, { "401", 4401 }, { "403", 4403 }, { "404", 4404 }, { "409", 4409 },
        { "422", 4422 }, { "429", 4429 }, { "500", 1011 }, { "503", 1013 }, { "504", 1011 },
    };
    for (int i = 0; i < (int)(sizeof rows / sizeof rows[0]); i++) {
        client c = open_socket(*state, "/ws/raise/", NULL);
        ws_send(&c, "%s", rows[i].status);
        ws_send(&c, "never handled");
        expect_close(&c, rows[i].code, "as_told");
        assert_true(test_wait_for(&closed, i + 1));
        assert_int_equal(atomic_load(&close_code), rows[i].code);
    }
}

static void a_raise_in_on_open_refuses_the_socket(void **state)
{
    fixture *f = *state;
    client c = open_socket(f, "/ws/members/", NULL);
    ws_send(&c, "500");
    expect_close(&c, 4403, "members_only");
    client ann = open_socket(f, "/ws/members/", f->token_ann);
    ws_send(&ann, "422");
    expect_close(&ann, 4422, "as_told");
    assert_true(test_wait_for(&closed, 1)); /* hers alone */
    assert_int_equal(atomic_load(&close_code), 4422);
}

static void a_handler_has_its_time_and_no_more(void **state)
{
    client c = open_socket(*state, "/ws/overrun/", NULL);
    ws_send(&c, "go");
    expect_close(&c, 1011, "overrun");
    assert_true(test_wait_for(&closed, 1));
}

/* --- endings ------------------------------------------------------------------------------------------ */

static void what_came_before_the_client_closed_is_handled(void **state)
{
    atomic_store(&is_blocked, true);
    client c = open_socket(*state, "/ws/block/", NULL);
    for (int i = 0; i < 50; i++)
        ws_send(&c, "x");
    say_goodbye(&c, 4002);
    assert_int_equal(atomic_load(&closed), 0);
    atomic_store(&is_blocked, false);
    assert_true(test_wait_for(&closed, 1));
    assert_int_equal(atomic_load(&handled), 50);
    assert_int_equal(atomic_load(&close_code), 4002);
    client gone = open_socket(*state, "/ws/block/", NULL);
    ws_send(&gone, "x");
    ws_close(&gone);
    assert_true(test_wait_for(&closed, 2));
    assert_int_equal(atomic_load(&handled), 51);
    assert_int_equal(atomic_load(&close_code), 1006);
}

static void a_handler_can_close_its_socket(void **state)
{
    client c = open_socket(*state, "/ws/close/", NULL);
    ws_send(&c, "farewell");
    ws_send(&c, "never handled");
    expect_text(&c, "farewell");
    expect_close(&c, 4123, "farewell");
    assert_true(test_wait_for(&closed, 1));
    assert_int_equal(atomic_load(&close_code), 4123);
}

static void what_is_no_message_of_the_endpoint_closes(void **state)
{
    client binary = open_socket(*state, "/ws/short/", NULL);
    ws_send_frame(&binary, 0x82, "abc", 3);
    expect_close(&binary, 1003, "text_only");
    client large = open_socket(*state, "/ws/short/", NULL);
    char text[101];
    memset(text, 'a', sizeof text);
    ws_send_frame(&large, 0x81, text, sizeof text);
    expect_close(&large, 1009, "");
    assert_true(test_wait_for(&closed, 2));
}

static void a_draining_server_closes_with_1001_and_runs_the_last_handlers(void **state)
{
    fixture *f = *state;
    client idle = open_socket(f, "/ws/block/", NULL), busy = open_socket(f, "/ws/block/", NULL);
    assert_true(test_wait_for(&opened, 2));
    atomic_store(&is_blocked, true);
    ws_send(&busy, "x");
    tims_server_stop(f->server.server);
    expect_close(&idle, 1001, "stopping");
    expect_close(&busy, 1001, "stopping");
    atomic_store(&is_blocked, false);
    test_join(&f->server);
    assert_int_equal(atomic_load(&closed), 2);
    assert_int_equal(atomic_load(&close_code), 1001);
    end_socket_world(f);
}

/* --- logins ------------------------------------------------------------------------------------------- */

static void the_end_of_a_login_closes_its_sockets(void **state)
{
    fixture *f = *state;
    client ann = open_socket(f, "/ws/raise/", f->token_ann),
           anns = open_socket(f, "/ws/raise/", f->token_ann);
    client bob = open_socket(f, "/ws/order/", f->token_bob), nobody = open_socket(f, "/ws/order/", NULL);
    assert_true(test_wait_for(&opened, 2));
    ws_send(&bob, "x");
    expect_text(&bob, "0 x");
    sql(f, "DELETE FROM auth_session WHERE id = '" LOGIN_ANN "'");
    expect_close(&ann, 4401, "session_ended");
    expect_close(&anns, 4401, "session_ended");
    assert_true(test_wait_for(&closed, 2));
    assert_int_equal(atomic_load(&close_code), 4401);
    ws_send(&bob, "y");
    expect_text(&bob, "1 y");
    ws_send(&nobody, "y");
    expect_text(&nobody, "0 y");
    ws_close(&bob);
    ws_close(&nobody);
}

static void an_account_that_is_switched_off_loses_its_sockets_and_one_with_a_new_name_does_not(void **state)
{
    fixture *f = *state;
    client ann = open_socket(f, "/ws/order/", f->token_ann), bob = open_socket(f, "/ws/order/", f->token_bob);
    ws_send(&ann, "x");
    expect_text(&ann, "0 x");
    ws_send(&bob, "x");
    expect_text(&bob, "0 x");
    sql(f, "UPDATE \"user\" SET display_name = 'Anna' WHERE id = '" ANN "'");
    sql(f, "UPDATE \"user\" SET active = 0 WHERE id = '" BOB "'");
    expect_close(&bob, 4401, "session_ended");
    ws_send(&ann, "y");
    expect_text(&ann, "1 y");
    sql(f, "UPDATE \"user\" SET staff = 1 WHERE id = '" ANN "'");
    expect_close(&ann, 4401, "session_ended");
}

/* The loops still remember the session, and nobody tells them. */
static void a_login_that_ended_during_the_upgrade_does_not_open(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 20; i++) {
        client c = open_socket(f, "/ws/order/", f->token_ann);
        ws_send(&c, "x");
        expect_text(&c, "0 x");
        say_goodbye(&c, 1000);
        wait_for_count(&websockets->user_counts, 0);
    }
    foreign_sql(f, "DELETE FROM auth_session WHERE id = '" LOGIN_ANN "'");
    client c = open_socket(f, "/ws/order/", f->token_ann);
    expect_close(&c, 4401, "session_ended");
}

/* --- backpressure ------------------------------------------------------------------------------------- */

enum { FLOOD_COUNT = 1500, FLOOD_BYTES = 16000 };

/* Sends until the server has not read for a while; returns how many bytes went. */
static size_t send_until_stalled(int fd, const char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length) {
        struct pollfd wait = { .fd = fd, .events = POLLOUT };
        if (poll(&wait, 1, 300) == 0)
            return at;
        ssize_t sent = send(fd, bytes + at, length - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0)
            at += (size_t)sent;
        else if (errno != EAGAIN)
            fail_msg("the server closed");
    }
    return at;
}

static void a_client_that_sends_faster_than_it_is_served_has_to_wait(void **state)
{
    const size_t frame = FLOOD_BYTES + 8, length = FLOOD_COUNT * frame;
    char *bytes = calloc(1, length);
    for (size_t i = 0; i < FLOOD_COUNT; i++)
        memcpy(bytes + i * frame, (const uint8_t[]){ 0x81, 0x80 | 126, FLOOD_BYTES >> 8, FLOOD_BYTES & 255 },
               4);
    client c = open_socket(*state, "/ws/block/", NULL);
    atomic_store(&is_blocked, true);
    size_t sent = send_until_stalled(c.fd, bytes, length);
    assert_in_range(sent, 1, length - 1);
    assert_int_equal(atomic_load(&handled), 0);
    atomic_store(&is_blocked, false);
    test_send_bytes(c.fd, bytes + sent, length - sent);
    ws_send(&c, "end");
    char expected[16];
    (void)snprintf(expected, sizeof expected, "%d", FLOOD_COUNT + 1);
    expect_text(&c, expected);
    free(bytes);
    ws_close(&c);
}

static void a_client_that_does_not_read_is_dropped(void **state)
{
    client c = open_socket(*state, "/ws/much/", NULL);
    ws_send(&c, "5");
    for (int i = 0; i < 5; i++) {
        char *piece = ws_next(&c);
        assert_int_equal(strlen(piece), 100000);
        free(piece);
    }
    ws_send(&c, "300");
    assert_true(test_wait_for(&closed, 1));
    assert_int_equal(atomic_load(&close_code), 1013);
    ws_close(&c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, stop_socket_world)

int main(void)
{
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, 2);
    const struct CMUnitTest tests[] = {
        TEST(messages_of_a_socket_are_handled_one_after_the_other_in_order),
        TEST(handlers_see_what_the_upgrade_said),
        TEST(a_handler_is_a_transaction),
        TEST(who_may_not_connect_is_answered_instead_of_upgraded),
        TEST(one_user_has_so_many_sockets_and_no_more),
        TEST(a_raise_closes_with_its_code),
        TEST(a_raise_in_on_open_refuses_the_socket),
        TEST(a_handler_has_its_time_and_no_more),
        TEST(what_came_before_the_client_closed_is_handled),
        TEST(a_handler_can_close_its_socket),
        TEST(what_is_no_message_of_the_endpoint_closes),
        cmocka_unit_test_setup(a_draining_server_closes_with_1001_and_runs_the_last_handlers, set_up),
        TEST(the_end_of_a_login_closes_its_sockets),
        TEST(an_account_that_is_switched_off_loses_its_sockets_and_one_with_a_new_name_does_not),
        cmocka_unit_test_setup_teardown(a_login_that_ended_during_the_upgrade_does_not_open, set_up_deaf,
                                        stop_socket_world),
        TEST(a_client_that_sends_faster_than_it_is_served_has_to_wait),
        TEST(a_client_that_does_not_read_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
