/* bus_test: two nodes on one database and one Redis: changes, rooms, groups and logins reach across; Redis
 * may go and come. */
#include "live/nodes_testing.h"

#define ROOM1 "/api/chats/" CHAT1 "/"
#define QUIET ",\"present\":false"

/* --- pokes and logins --------------------------------------------------------------------------------- */

static void a_commit_on_one_node_wakes_the_others(void **state)
{
    (void)state;
    nodes *all = start_nodes(2, &(nodes_options){ 0 });
    node *a = &all->node[0], *b = &all->node[1];
    client ann = ws_subscribed(&b->f, b->f.token_ann, "/api/messages/?chat=" CHAT1);
    for (int i = 0; i < 20; i++) {
        sql(&a->f, "UPDATE message SET text = text || '!' WHERE number = 1");
        ws_expect(&ann, "\"t\":\"tx\"", "\"op\":\"put\"", "one!");
    }
    assert_true(metric(&b->f, "pokes_heard_total") > 0);
    ws_close(&ann);
    stop_nodes(all);
}

static void expect_status(const node *n, const char *token, int status)
{
    char request[512];
    for (int waited = 0; waited < TEST_WAIT_MS; waited++) {
        snprintf(request, sizeof request, "GET /who HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n",
                 token);
        test_answer answer = test_ask(&n->f.server, request);
        int got = answer.status;
        test_answer_free(&answer);
        if (got == status)
            return;
        poll(NULL, 0, 1);
    }
    fail_msg("it never answered %d", status);
}

static void add_to_group(tims_request *rq, tims_websocket *websocket)
{
    tims_group_add(rq, websocket, TIMS_STR("all"));
    tims_websocket_send(rq, websocket, TIMS_STR("welcome"));
}

static void send_to_group(tims_request *rq, tims_websocket *websocket, tims_str text)
{
    (void)websocket;
    tims_group_send(rq, TIMS_STR("all"), text);
}

static const tims_websocket_route endpoints[] = {
    { .path = "/ws/all/", .on_open = add_to_group, .on_message = send_to_group },
    { 0 },
};

static void end_login_elsewhere(const nodes_options *options, const char *how)
{
    nodes *all = start_nodes(2, options);
    node *a = &all->node[0], *b = &all->node[1];
    client live = ws_hello(&b->f, b->f.token_ann);
    client plain = open_socket(&b->f, "/ws/all/", b->f.token_ann);
    expect_text(&plain, "welcome");
    expect_status(b, b->f.token_ann, 200); /* the loops remember it now */
    expect_status(b, b->f.token_ann, 200);
    sql(&a->f, how);
    assert_int_equal(ws_closed(&live), LIVE__CLOSE_SESSION);
    expect_close(&plain, 4401, "session_ended");
    for (int i = 0; i < 8; i++) /* whichever loop takes it */
        expect_status(b, b->f.token_ann, 401);
    expect_status(b, b->f.token_bob, 200);
    ws_close(&live);
    stop_nodes(all);
}

static void a_login_that_ends_on_one_node_ends_on_all(void **state)
{
    (void)state;
    end_login_elsewhere(&(nodes_options){ .endpoints = endpoints },
                        "DELETE FROM auth_session WHERE id = '" LOGIN_ANN "'");
}

/* As an operator may: nothing says which rows there were. */
static void emptying_the_table_of_logins_ends_all_that_do_not_come_back(void **state)
{
    (void)state;
    const char *how = testing_on_postgres() ? "TRUNCATE auth_session" : "DELETE FROM auth_session";
    char sql[256];
    snprintf(sql, sizeof sql,
             "CREATE TABLE kept AS SELECT * FROM auth_session WHERE id <> '%s'; %s;"
             "INSERT INTO auth_session SELECT * FROM kept",
             LOGIN_ANN, how);
    end_login_elsewhere(&(nodes_options){ .endpoints = endpoints }, sql);
}

static void without_redis_it_ends_at_the_next_look_at_the_log(void **state)
{
    (void)state;
    end_login_elsewhere(&(nodes_options){ .endpoints = endpoints, .without_redis = true, .poll_ms = 25 },
                        "DELETE FROM auth_session WHERE id = '" LOGIN_ANN "'");
}

/* --- rooms -------------------------------------------------------------------------------------------- */

static void who_is_present_is_the_same_on_all_nodes(void **state)
{
    (void)state;
    nodes *all = start_nodes(2, &(nodes_options){ 0 });
    const node *a = &all->node[0], *b = &all->node[1];
    client ann = in_room_at(a, a->f.token_ann, ROOM1, ",\"state\":{\"mood\":\"good\"}");
    client bob = in_room_at(b, b->f.token_bob, ROOM1, "");
    hear_all_of(&ann, "\"count\":2", "\"joined\":[{\"id\":\"" BOB "\"}]");
    client late = in_room_at(b, b->f.token_bob, ROOM1, QUIET);
    ws_send(&late, "{\"t\":\"join\",\"id\":2,\"url\":\"" ROOM1 "\"" QUIET "}");
    hear_all_of(&late, "\"join\":2", "\"count\":2", "{\"id\":\"" ANN "\",\"state\":{\"mood\":\"good\"}}",
                "\"" BOB "\"");
    client other = in_room_at(b, b->f.token_ann, ROOM1, ",\"state\":{\"mood\":\"bad\"}"); /* the newest */
    hear_all_of(&ann, "\"joined\":[{\"id\":\"" ANN "\",\"state\":{\"mood\":\"bad\"}}]");
    ws_send(&other, "{\"t\":\"leave\",\"join\":1}");
    hear_all_of(&bob, "\"count\":2", "\"joined\":[{\"id\":\"" ANN "\",\"state\":{\"mood\":\"good\"}}]");
    ws_send(&bob, "{\"t\":\"leave\",\"join\":1}");
    hear_all_of(&ann, "\"count\":1", "\"left\":[{\"id\":\"" BOB "\"}]");
    client *clients[] = { &ann, &bob, &late, &other };
    for (size_t i = 0; i < 4; i++)
        ws_close(clients[i]);
    stop_nodes(all);
}

static void a_node_that_comes_later_learns_who_is_there(void **state)
{
    (void)state;
    nodes *all = start_nodes(1, &(nodes_options){ 0 });
    const node *a = &all->node[0];
    client ann = in_room_at(a, a->f.token_ann, ROOM1, "");
    open_node(all, 1);
    start_node(all, &all->node[1], &(nodes_options){ 0 });
    all->count = 2;
    client bob = in_room_at(&all->node[1], a->f.token_bob, ROOM1, QUIET);
    while (metric(&all->node[1].f, "nodes") == 0)
        poll(NULL, 0, 1);
    for (bool knows = false; !knows;) { /* it has asked, and is answered soon */
        ws_send(&bob, "{\"t\":\"join\",\"id\":2,\"url\":\"" ROOM1 "\"" QUIET "}");
        char *got = ws_next(&bob);
        assert_non_null(got);
        knows = strstr(got, "\"" ANN "\"") != NULL;
        free(got);
        ws_send(&bob, "{\"t\":\"leave\",\"join\":2}");
    }
    ws_close(&ann);
    ws_close(&bob);
    stop_nodes(all);
}

static void what_is_said_in_a_room_is_heard_on_all_nodes(void **state)
{
    (void)state;
    nodes *all = start_nodes(2, &(nodes_options){ 0 });
    const node *a = &all->node[0], *b = &all->node[1];
    client ann = in_room_at(a, a->f.token_ann, ROOM1, QUIET),
           bob = in_room_at(b, b->f.token_bob, ROOM1, QUIET);
    client other = in_room_at(b, b->f.token_bob, "/api/chats/" CHAT2 "/", QUIET);
    ws_send(&ann, "{\"t\":\"publish\",\"join\":1,\"kind\":\"typing\",\"data\":{\"to\":\"all\"}}");
    hear_all_of(&bob, "\"t\":\"said\"",
                "{\"user\":\"" ANN "\",\"kind\":\"typing\",\"data\":{\"to\":\"all\"}}");
    ws_send(&bob, "{\"t\":\"publish\",\"join\":1,\"kind\":\"hum\",\"data\":null}");
    hear_all_of(&ann, "\"t\":\"said\"", "{\"user\":\"" BOB "\",\"kind\":\"hum\",\"data\":null}");
    ws_send(&other, "{\"t\":\"ping\"}");
    ws_expect(&other, "\"t\":\"pong\""); /* of the other room nothing came here */
    client *clients[] = { &ann, &bob, &other };
    for (size_t i = 0; i < 3; i++)
        ws_close(clients[i]);
    stop_nodes(all);
}

/* --- who is online, groups ---------------------------------------------------------------------------- */

static void write_online(tims_request *rq, tims_json_writer *w)
{
    tims_ids users;
    size_t count = tims_live_online(rq, &users);
    tims_json_begin_object(w);
    tims_json_key(w, TIMS_STR("count"));
    tims_json_int(w, (int64_t)count);
    for (size_t i = 0; i < users.count; i++) {
        char id[TIMS_ID_TEXT_LENGTH];
        tims_id_format(users.items[i], id);
        tims_json_key(w, (tims_str){ id, sizeof id });
        tims_json_bool(w, true);
    }
    tims_json_end_object(w);
}

static const world_computed online_endpoint[] = { { "/api/online/", write_online }, { NULL, NULL } };

static void who_is_online_is_counted_over_all_nodes(void **state)
{
    (void)state;
    computed_endpoints = online_endpoint;
    nodes *all = start_nodes(2, &(nodes_options){ 0 });
    const node *a = &all->node[0], *b = &all->node[1];
    client ann = ws_hello(&a->f, a->f.token_ann);
    ws_send(&ann, "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/online/\"}");
    hear_all_of(&ann, "\"count\":1", "\"" ANN "\"");
    client bob = ws_hello(&b->f, b->f.token_bob);
    hear_all_of(&ann, "\"count\":2", "\"" BOB "\"");
    client same = ws_hello(&a->f, a->f.token_bob); /* the same person on the other node, too */
    ws_close(&bob);
    ws_send(&ann, "{\"t\":\"sub\",\"id\":2,\"url\":\"/api/online/\"}");
    hear_all_of(&ann, "\"sub\":2", "\"count\":2");
    ws_close(&same);
    hear_all_of(&ann, "\"count\":1");
    ws_close(&ann);
    stop_nodes(all);
}

static void a_group_has_members_on_all_nodes(void **state)
{
    (void)state;
    nodes *all = start_nodes(2, &(nodes_options){ .endpoints = endpoints });
    client one = open_socket(&all->node[0].f, "/ws/all/", NULL),
           two = open_socket(&all->node[1].f, "/ws/all/", NULL);
    expect_text(&one, "welcome");
    expect_text(&two, "welcome");
    redis_wait_for(&all->redis, "PUBSUB NUMSUB tims:test:group:all", ":2\r\n"); /* both listen */
    ws_send(&one, "hello, \"all\"");
    expect_text(&one, "hello, \"all\"");
    expect_text(&two, "hello, \"all\"");
    ws_send(&two, "back");
    expect_text(&two, "back");
    expect_text(&one, "back");
    ws_close(&two);
    redis_wait_for(&all->redis, "PUBSUB NUMSUB tims:test:group:all", ":1\r\n");
    ws_send(&one, "alone");
    expect_text(&one, "alone");
    assert_int_equal(metric(&all->node[0].f, "group_unsent_total"), 0);
    ws_close(&one);
    stop_nodes(all);
}

/* --- Redis goes and comes ----------------------------------------------------------------------------- */

static void while_redis_is_away_rooms_say_so_and_all_heals(void **state)
{
    (void)state;
    nodes *all = start_nodes(2, &(nodes_options){ .poll_ms = 25 });
    node *a = &all->node[0], *b = &all->node[1];
    client ann = in_room_at(a, a->f.token_ann, ROOM1, ""), bob = in_room_at(b, b->f.token_bob, ROOM1, "");
    hear_all_of(&ann, "\"count\":2");
    ws_send(&ann, "{\"t\":\"sub\",\"id\":5,\"url\":\"/api/messages/?chat=" CHAT1 "\"}");
    hear_all_of(&ann, "\"t\":\"snap\"");
    redis_kill(&all->redis);
    hear_all_of(&ann, "\"t\":\"presence\"", "\"partial\":true", "\"users\":[");
    sql(&b->f, "UPDATE message SET text = 'while it is away' WHERE number = 1");
    hear_all_of(&ann, "\"t\":\"tx\"", "while it is away");
    hear_all_of(&ann, "\"count\":1", "\"partial\":true",
                "\"left\":[{\"id\":\"" BOB "\"}]"); /* the lease ends */
    client more = in_room_at(a, a->f.token_bob, ROOM1, "");
    hear_all_of(&ann, "\"count\":2", "\"partial\":true", "\"joined\":[{\"id\":\"" BOB "\"}]");
    ws_send(&more, "{\"t\":\"leave\",\"join\":1}");
    hear_all_of(&ann, "\"count\":1", "\"partial\":true", "\"left\":[{\"id\":\"" BOB "\"}]");
    redis_start(&all->redis, NULL);
    for (bool is_whole = false; !is_whole;) {
        char *got = ws_next(&ann);
        assert_non_null(got);
        is_whole = strstr(got, "\"presence\"") != NULL && strstr(got, "\"count\":2") != NULL &&
                   strstr(got, "partial") == NULL;
        free(got);
    }
    ws_send(&bob, "{\"t\":\"publish\",\"join\":1,\"kind\":\"hum\",\"data\":1}");
    hear_all_of(&ann, "\"t\":\"said\"", "\"kind\":\"hum\"");
    client *clients[] = { &ann, &bob, &more };
    for (size_t i = 0; i < 3; i++)
        ws_close(clients[i]);
    stop_nodes(all);
}

static void ask_redis(int fd, const char *command, char *ret_answer, size_t size)
{
    assert_int_equal(dprintf(fd, "%s\r\n", command), (int)strlen(command) + 2);
    ssize_t got = read(fd, ret_answer, size - 1);
    assert_true(got > 0);
    ret_answer[got] = '\0';
}

/* The connections made before this one, and no new ones until more are allowed. */
static void cut_off_those_before(int fd)
{
    char answer[256], command[64];
    ask_redis(fd, "CLIENT ID", answer, sizeof answer);
    int64_t own;
    tims_str rest = tims_str_from(answer + 1);
    assert_true(tims_str_to_int(tims_str_cut(&rest, '\r'), 1, INT32_MAX, &own));
    ask_redis(fd, "CONFIG SET maxclients 1", answer, sizeof answer);
    assert_string_equal(answer, "+OK\r\n");
    for (int64_t id = 1; id < own; id++) {
        snprintf(command, sizeof command, "CLIENT KILL ID %lld", (long long)id);
        ask_redis(fd, command, answer, sizeof answer);
    }
}

static void what_changed_while_one_node_was_cut_off_is_heard_by_the_others(void **state)
{
    (void)state;
    char answer[256];
    nodes *all = start_nodes(1, &(nodes_options){ 0 });
    node *a = &all->node[0], *b = &all->node[1];
    int fd = redis_connect(&all->redis);
    assert_true(fd >= 0);
    open_node(all, 1);
    start_node(all, b, &(nodes_options){ 0 });
    all->count = 2;
    b->f.live->limits.node_lease_ms = 60000; /* it does not forget the other meanwhile */
    wait_for_peers(all);
    client far = in_room_at(b, b->f.token_ann, ROOM1, QUIET), bob = in_room_at(a, a->f.token_bob, ROOM1, "");
    hear_all_of(&far, "\"count\":1", "\"joined\":[{\"id\":\"" BOB "\"}]");
    cut_off_those_before(fd);
    while (metric(&a->f, "bus_up") != 0)
        poll(NULL, 0, 1);
    client ann = in_room_at(a, a->f.token_ann, ROOM1, "");
    ws_send(&bob, "{\"t\":\"leave\",\"join\":1}");
    hear_all_of(&ann, "\"count\":1", "\"partial\":true");
    ask_redis(fd, "CONFIG SET maxclients 1000", answer, sizeof answer);
    hear_all_of(&far, "\"count\":1", "\"joined\":[{\"id\":\"" ANN "\"}]", "\"left\":[{\"id\":\"" BOB "\"}]");
    (void)close(fd);
    client *clients[] = { &ann, &bob, &far };
    for (size_t i = 0; i < 3; i++)
        ws_close(clients[i]);
    stop_nodes(all);
}

static void a_node_that_says_goodbye_leaves_its_people_a_moment(void **state)
{
    (void)state;
    nodes *all = start_nodes(2, &(nodes_options){ 0 });
    node *a = &all->node[0], *b = &all->node[1];
    client ann = in_room_at(a, a->f.token_ann, ROOM1, ""), bob = in_room_at(b, b->f.token_bob, ROOM1, "");
    hear_all_of(&ann, "\"count\":2");
    ws_close(&bob);
    stop_node(b);
    client again = in_room_at(a, a->f.token_bob, ROOM1, ""); /* he comes back where there is a node */
    ws_send(&again, "{\"t\":\"join\",\"id\":2,\"url\":\"" ROOM1 "\"" QUIET "}");
    hear_all_of(&again, "\"join\":2", "\"count\":2");
    ws_send(&ann, "{\"t\":\"ping\"}");
    ws_expect(&ann, "\"t\":\"pong\""); /* for the others he was never gone */
    ws_close(&ann);
    ws_close(&again);
    tims_arena_free(&b->f.arena);
    all->count = 1;
    stop_nodes(all);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_commit_on_one_node_wakes_the_others),
        TEST(a_login_that_ends_on_one_node_ends_on_all),
        TEST(emptying_the_table_of_logins_ends_all_that_do_not_come_back),
        TEST(without_redis_it_ends_at_the_next_look_at_the_log),
        TEST(who_is_present_is_the_same_on_all_nodes),
        TEST(a_node_that_comes_later_learns_who_is_there),
        TEST(what_is_said_in_a_room_is_heard_on_all_nodes),
        TEST(who_is_online_is_counted_over_all_nodes),
        TEST(a_group_has_members_on_all_nodes),
        TEST(while_redis_is_away_rooms_say_so_and_all_heals),
        TEST(what_changed_while_one_node_was_cut_off_is_heard_by_the_others),
        TEST(a_node_that_says_goodbye_leaves_its_people_a_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
