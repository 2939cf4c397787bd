/* group_test.c: groups on a real server: over both loops, in one order, with transactions, between nodes. */
#include "live/websocket_testing.h"

static atomic_int loops_seen;

/* --- the endpoints: "+name" joins, "-name" leaves, "name text" sends, each answered with "ok" --------- */

static void say_loop(tims_request *rq, tims_websocket *websocket)
{
    atomic_fetch_or(&loops_seen, 1 << tims_loop_index(rq->loop));
    tims_websocket_send(rq, websocket, tims_print(rq->arena, "%d", tims_loop_index(rq->loop)));
}

static void do_as_told(tims_request *rq, tims_websocket *websocket, tims_str text)
{
    tims_str rest = text, name = tims_str_cut(&rest, ' ');
    if (tims_str_starts_with(text, TIMS_STR("+")))
        tims_group_add(rq, websocket, tims_str_slice(text, 1, text.length));
    else if (tims_str_starts_with(text, TIMS_STR("-")))
        tims_group_remove(rq, websocket, tims_str_slice(text, 1, text.length));
    else
        tims_group_send(rq, name, rest);
    tims_websocket_send(rq, websocket, TIMS_STR("ok"));
}

/* "name count" sends so many. */
static void send_many(tims_request *rq, tims_websocket *websocket, tims_str text)
{
    (void)websocket;
    int64_t count = 0;
    tims_str rest = text, name = tims_str_cut(&rest, ' ');
    assert_true(tims_str_to_int(rest, 1, 10000, &count));
    for (int64_t i = 0; i < count; i++) {
        tims_group_send(rq, name, tims_print(rq->arena, "%S %lld", rq->id, (long long)i));
        if (i % 10 == 0)
            (void)!tims_sleep_ms(1);
    }
}

static void say_online(tims_request *rq, tims_websocket *websocket, tims_str text)
{
    tims_id user;
    tims_ids users;
    bool is_online = tims_id_parse(text, &user) && tims_live_is_online(rq, user);
    tims_websocket_send(
        rq, websocket,
        tims_print(rq->arena, "%s of %zu", is_online ? "yes" : "no", tims_live_online(rq, &users)));
}

static const tims_websocket_route endpoints[] = {
    { .path = "/ws/", .on_open = say_loop, .on_message = do_as_told },
    { .path = "/ws/many/", .on_message = send_many },
    { .path = "/ws/online/", .on_message = say_online },
    { 0 },
};

/* POST /say/{how}/: sends the body to "lobby" from a transaction that ends so. */
static tims_answer say(tims_request *rq)
{
    tims_str how = tims_path_str(rq, "how");
    if (tims_str_equal(how, TIMS_STR("outside"))) {
        tims_group_send(rq, TIMS_STR("lobby"), tims_body(rq));
        return tims_answer_empty(204);
    }
    chat row = { .id = tims_id_new(), .title = tims_body(rq) };
    tims_create(rq, &chat_model, &row);
    tims_group_send(rq, TIMS_STR("lobby"), tims_body(rq));
    if (tims_str_equal(how, TIMS_STR("raised")))
        tims_raise(rq, 409, "raised", "As you wish.");
    return tims_answer_empty(204);
}

static const tims_route routes[] = {
    { TIMS_METHOD_POST, "/say/{how}/", say, .no_csrf = true },
    { 0 },
};

static int set_up(void **state)
{
    atomic_store(&loops_seen, 0);
    *state = start_socket_world(&(socket_options){ .endpoints = endpoints, .routes = routes });
    return 0;
}

static void tell(client *c, const char *format, ...)
{
    char text[300];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ws_send(c, "%s", text);
    expect_text(c, "ok");
}

static client enter(const test_server *server, const char *group)
{
    client c = open_at(server, "/ws/", NULL);
    free(ws_next(&c));
    if (group != NULL)
        tell(&c, "+%s", group);
    return c;
}

static int say_over_http(fixture *f, const char *how, const char *text)
{
    tims_str request =
        tims_print(f->arena, "POST /say/%s/ HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", how,
                   strlen(text), text);
    test_answer answer = test_ask(&f->server, tims_copy_c(f->arena, request));
    int status = answer.status;
    test_answer_free(&answer);
    return status;
}

/* --- tests -------------------------------------------------------------------------------------------- */

enum { MEMBERS = 24, SENDERS = 4, SENDS = 200 };

/* The kernel spreads connections over the loops by chance; 24 on one of two would be one in eight million. */
static void all_members_on_all_loops_hear_the_same_in_the_same_order(void **state)
{
    fixture *f = *state;
    client members[MEMBERS], senders[SENDERS];
    for (int i = 0; i < MEMBERS; i++)
        members[i] = enter(&f->server, "lobby");
    assert_int_equal(atomic_load(&loops_seen), 3);
    client outsider = enter(&f->server, "elsewhere");
    for (int i = 0; i < SENDERS; i++)
        senders[i] = open_socket(f, "/ws/many/", NULL);
    for (int i = 0; i < SENDERS; i++)
        ws_send(&senders[i], "lobby %d", SENDS);
    for (int n = 0; n < SENDERS * SENDS; n++) {
        char *first = ws_next(&members[0]);
        assert_non_null(first);
        for (int i = 1; i < MEMBERS; i++)
            expect_text(&members[i], first);
        free(first);
    }
    tell(&outsider, "nobody at all"); /* the next it hears is the answer */
    for (int i = 0; i < MEMBERS; i++)
        ws_close(&members[i]);
    for (int i = 0; i < SENDERS; i++)
        ws_close(&senders[i]);
    ws_close(&outsider);
    wait_for_count(&websockets->places, 0);
}

static void members_come_once_and_leave_by_name_or_with_their_socket(void **state)
{
    fixture *f = *state;
    client a = enter(&f->server, "lobby"), b = enter(&f->server, "lobby");
    tell(&a, "+lobby");
    tell(&a, "+other");
    tell(&b, "-never joined");
    tell(&b, "-lobby");
    ws_send(&b, "lobby one");
    expect_text(&b, "ok");
    expect_text(&a, "one");
    ws_send(&b, "other two");
    expect_text(&b, "ok");
    expect_text(&a, "two");
    tell(&b, "+lobby");
    wait_for_count(&websockets->places, 2);
    say_goodbye(&a, 1000);
    wait_for_count(&websockets->places, 1);
    ws_send(&b, "lobby three");
    char *first = ws_next(&b), *second = ws_next(&b); /* answer and message; a post comes behind */
    assert_string_equal(first, "ok");
    assert_string_equal(second, "three");
    free(first);
    free(second);
    ws_close(&b);
    wait_for_count(&websockets->places, 0);
}

static void what_is_sent_in_a_transaction_is_heard_when_it_is_durable_and_only_then(void **state)
{
    fixture *f = *state;
    client c = enter(&f->server, "lobby");
    assert_int_equal(say_over_http(f, "raised", "never"), 409);
    assert_int_equal(say_over_http(f, "committed", "written"), 204);
    expect_text(&c, "written");
    assert_int_equal(say_over_http(f, "outside", "said"), 204);
    expect_text(&c, "said");
    ws_close(&c);
}

/* These sockets are no live connections. */
static void a_handler_may_ask_who_has_a_live_connection(void **state)
{
    fixture *f = *state;
    client c = open_socket(f, "/ws/online/", f->token_ann);
    ws_send(&c, ANN);
    expect_text(&c, "no of 0");
    ws_close(&c);
}

static void a_group_has_a_name_of_1_to_100_bytes(void **state)
{
    fixture *f = *state;
    char name[102];
    memset(name, 'n', sizeof name);
    name[100] = '\0';
    client c = enter(&f->server, name);
    ws_send(&c, "%s hello", name);
    expect_text(&c, "ok");
    expect_text(&c, "hello");
    ws_close(&c);
    static const char *const bad[] = { "+", "-", " text to nobody" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        client refused = enter(&f->server, NULL);
        ws_send(&refused, "%s", bad[i]);
        expect_close(&refused, 4422, "group_name");
    }
    name[100] = 'n';
    name[101] = '\0';
    client refused = enter(&f->server, NULL);
    ws_send(&refused, "+%s", name);
    expect_close(&refused, 4422, "group_name");
}

static void a_socket_is_in_so_many_groups_and_no_more(void **state)
{
    fixture *f = *state;
    client c = enter(&f->server, NULL);
    for (int i = 0; i < LIVE__GROUPS_PER_SOCKET; i++)
        tell(&c, "+group %d", i);
    tell(&c, "+group 0");
    tell(&c, "-group 50");
    tell(&c, "+one more");
    ws_send(&c, "+one too many");
    expect_close(&c, 4429, "too_many_groups");
    wait_for_count(&websockets->places, 0);
}

/* --- between nodes ------------------------------------------------------------------------------------ */

/* Two nodes in one process: each bus hands what is published to the other node, and notes its subscriptions
 * as a real one would subscribe to channels. */
typedef struct node {
    tims_websockets *other;
    pthread_mutex_t mutex;
    tims_str log[16];
    char room[16][LIVE__GROUP_NAME_MAX + 1];
    size_t count;
} node;

static void note_line(node *n, char what, tims_str group)
{
    pthread_mutex_lock(&n->mutex);
    assert_true(n->count < 16);
    n->room[n->count][0] = what;
    memcpy(n->room[n->count] + 1, group.data, group.length);
    n->log[n->count] = (tims_str){ n->room[n->count], group.length + 1 };
    n->count++;
    pthread_mutex_unlock(&n->mutex);
}

static void note_join(void *data, tims_str group)
{
    note_line(data, '+', group);
}

static void note_leave(void *data, tims_str group)
{
    note_line(data, '-', group);
}

static void publish(void *data, tims_str group, tims_str text)
{
    const node *n = data;
    tims_group_deliver(n->other, group, text);
}

static tims_status start_second(tims_loop *loop, const void *data, tims_error *err)
{
    (void)err;
    tims_websockets_loop_start((tims_websockets *)(uintptr_t)data, loop);
    return TIMS_OK;
}

static void stop_second(tims_loop *loop, const void *data)
{
    tims_websockets_loop_stop((tims_websockets *)(uintptr_t)data, loop);
}

static void expect_log(node *n, const char *const *expected, size_t count)
{
    pthread_mutex_lock(&n->mutex);
    assert_int_equal(n->count, count);
    for (size_t i = 0; i < count; i++)
        assert_true(tims_str_equal(n->log[i], tims_str_from(expected[i])));
    pthread_mutex_unlock(&n->mutex);
}

static void a_bus_carries_groups_between_nodes(void **state)
{
    (void)state;
    static node first, second;
    first = second = (node){ .mutex = PTHREAD_MUTEX_INITIALIZER };
    const tims_group_bus first_bus = { &first, note_join, note_leave, publish };
    const tims_group_bus second_bus = { &second, note_join, note_leave, publish };
    fixture *f = start_socket_world(&(socket_options){ .endpoints = endpoints, .bus = &first_bus });
    tims_websockets *others =
        make_websockets(f, &(socket_options){ .endpoints = endpoints, .bus = &second_bus });
    first.other = others;
    second.other = websockets;
    test_server server;
    size_t count;
    const tims_route *own = tims_websockets_routes(others, &count);
    test_prepare(&server, own, count);
    server.options.loops = 2;
    server.options.data = others;
    server.options.begin = begin_with_sockets;
    server.options.loop_start = start_second;
    server.options.loop_stop = stop_second;
    test_start(&server);
    client here = enter(&f->server, "lobby"), there = enter(&server, "lobby");
    ws_send(&here, "lobby hello there");
    expect_text(&here, "ok");
    expect_text(&here, "hello there");
    expect_text(&there, "hello there");
    tell(&here, "-lobby");
    tell(&there, "-lobby");
    expect_log(&first, (const char *const[]){ "+lobby", "-lobby" }, 2);
    expect_log(&second, (const char *const[]){ "+lobby", "-lobby" }, 2);
    ws_close(&here);
    ws_close(&there);
    test_stop(&server);
    test_stop(&f->server);
    end_socket_world(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, stop_socket_world)

int main(void)
{
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, 2);
    const struct CMUnitTest tests[] = {
        TEST(all_members_on_all_loops_hear_the_same_in_the_same_order),
        TEST(members_come_once_and_leave_by_name_or_with_their_socket),
        TEST(what_is_sent_in_a_transaction_is_heard_when_it_is_durable_and_only_then),
        TEST(a_handler_may_ask_who_has_a_live_connection),
        TEST(a_group_has_a_name_of_1_to_100_bytes),
        TEST(a_socket_is_in_so_many_groups_and_no_more),
        cmocka_unit_test(a_bus_carries_groups_between_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
