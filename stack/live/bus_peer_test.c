/* bus_peer_test: what a node makes of what others say: gaps, silence, and messages that are none. */
#include "live/nodes_testing.h"

#define ROOM1 "/api/chats/" CHAT1 "/"
#define HERE(user) "[\"here\",\"" ROOM1 "\",\"" user "\",5,{\"a\":1}]"

/* A node that is only a voice. */
typedef struct voice {
    nodes *all;
    client ann; /* in the room, on the real node */
    int fd;     /* to Redis */
} voice;

static void publish(const voice *v, const char *channel, const char *text)
{
    char name[128], *command = malloc(strlen(text) + 512);
    snprintf(name, sizeof name, "tims:test:%s", channel);
    snprintf(command, strlen(text) + 512, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(name),
             name, strlen(text), text);
    test_send(v->fd, command);
    free(command);
}

static void say(const voice *v, int number, const char *members)
{
    char text[2048];
    snprintf(text, sizeof text, "{\"v\":1,\"node\":\"a-voice-from-afa\",\"n\":%d,%s}", number, members);
    publish(v, "nodes", text);
}

static int set_up(void **state)
{
    voice *v = calloc(1, sizeof *v);
    v->all = start_nodes(1, &(nodes_options){ 0 });
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons(v->all->redis.port) };
    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(v->fd, (struct sockaddr *)&address, sizeof address), 0);
    v->ann = in_room_at(&v->all->node[0], v->all->node[0].f.token_ann, ROOM1, "");
    hear_all_of(&v->ann, "\"joined\":[{\"id\":\"" ANN "\"}]");
    *state = v;
    return 0;
}

static int tear_down(void **state)
{
    voice *v = *state;
    (void)close(v->fd);
    ws_close(&v->ann);
    stop_nodes(v->all);
    free(v);
    return 0;
}

static void a_node_that_falls_silent_is_gone_with_its_people(void **state)
{
    voice *v = *state;
    const fixture *f = &v->all->node[0].f;
    int64_t since_us = tims_monotonic_us();
    say(v, 1, "\"t\":\"all\",\"first\":true,\"ops\":[" HERE(EVE) "]");
    say(v, 2, "\"t\":\"all\",\"last\":true,\"ops\":[[\"online\",\"" EVE "\"]]");
    hear_all_of(&v->ann, "\"count\":2", "\"joined\":[{\"id\":\"" EVE "\",\"state\":{\"a\":1}}]");
    wait_for_metric(f, "nodes", 1);
    hear_all_of(&v->ann, "\"count\":1", "\"left\":[{\"id\":\"" EVE "\"}]");
    assert_true(tims_monotonic_us() - since_us > f->live->limits.node_lease_ms * 1000);
    assert_int_equal(metric(f, "nodes"), 0);
}

static void after_a_gap_all_is_heard_again_before_anything_is_believed(void **state)
{
    voice *v = *state;
    say(v, 1, "\"t\":\"all\",\"first\":true,\"last\":true,\"ops\":[" HERE(EVE) "]");
    hear_all_of(&v->ann, "\"count\":2");
    say(v, 2, "\"t\":\"tell\",\"ops\":[[\"gone\",\"" ROOM1 "\",\"" EVE "\"]]");
    hear_all_of(&v->ann, "\"count\":1", "\"left\":[{\"id\":\"" EVE "\"}]");
    say(v, 4, "\"t\":\"tell\",\"ops\":[" HERE(EVE) ",[\"said\",\"" ROOM1 "\",\"" BOB "\",\"hum\",1]]");
    char *next = NULL;
    while ((next = ws_next(&v->ann)) != NULL && strstr(next, "\"t\":\"said\"") == NULL) {
        assert_null(strstr(next, EVE));
        free(next);
    }
    free(next);
    say(v, 5, "\"t\":\"all\",\"first\":true,\"ops\":[" HERE(EVE) "]");
    say(v, 7, "\"t\":\"all\",\"last\":true,\"ops\":[" HERE(BOB) "]"); /* a part is missing */
    say(v, 8, "\"t\":\"all\",\"first\":true,\"last\":true,\"ops\":[" HERE(BOB) "]");
    hear_all_of(&v->ann, "\"joined\":[{\"id\":\"" BOB "\"",
                "\"count\":2"); /* Eve came, and was not named again */
}

/* Each is ignored, and the next message is taken. */
static void what_cannot_be_read_is_ignored(void **state)
{
    voice *v = *state;
    const fixture *f = &v->all->node[0].f;
    static const char *const unreadable[] = {
        "",
        "rubbish",
        "[]",
        "{}",
        "{\"v\":2,\"node\":\"a-voice-from-afa\",\"n\":1,\"t\":\"alive\"}",
        "{\"v\":1,\"node\":\"short\",\"n\":1,\"t\":\"alive\"}",
        "{\"v\":1,\"node\":7,\"n\":1,\"t\":\"alive\"}",
        "{\"v\":1,\"node\":\"a-voice-from-afa\",\"n\":1,\"t\":\"sing\"}",
        "{\"v\":1,\"node\":\"a-voice-from-afa\",\"n\":1,\"t\":\"tell\"}",
        "{\"v\":1,\"node\":\"a-voice-from-afa\",\"n\":1,\"t\":\"tell\",\"ops\":7}",
    };
    static const char *const operations[] = {
        "7",
        "[]",
        "[\"here\"]",
        "[\"here\",\"\",\"" EVE "\",5]",
        "[\"here\",\"" ROOM1 "\",\"nobody\",5]",
        "[\"here\",\"" ROOM1 "\",\"" EVE "\",-5]",
        "[\"here\",\"" ROOM1 "\",\"" EVE "\",5,[]]",
        "[\"dance\",\"" ROOM1 "\",\"" EVE "\"]",
        "[\"online\"]",
        "[\"online\",\"nobody\"]",
        "[\"said\",\"" ROOM1 "\",\"" EVE "\",\"hum\"]",
        "[\"said\",\"" ROOM1 "\",\"" EVE "\",\"\",1]",
        "[\"said\",\"" ROOM1 "\",\"" EVE "\",\"a kind that is longer than any kind may be\",1]",
    };
    int64_t count = 0;
    for (size_t i = 0; i < sizeof unreadable / sizeof unreadable[0]; i++) {
        publish(v, "nodes", unreadable[i]);
        wait_for_metric(f, "bus_unreadable_total", ++count);
    }
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        char members[512];
        snprintf(members, sizeof members, "\"t\":\"all\",\"first\":true,\"ops\":[%s," HERE(EVE) "]",
                 operations[i]);
        say(v, 1, members);
        wait_for_metric(f, "bus_unreadable_total", ++count);
    }
    publish(v, "group:all", "2 short");
    publish(v, "poke", "anything");
    char *nested = malloc(70000);
    memset(nested, '[', 65000);
    nested[65000] = '\0';
    publish(v, "nodes", nested);
    memset(nested, 'x', 69999);
    nested[69999] = '\0';
    publish(v, "nodes", nested);
    free(nested);
    wait_for_metric(f, "bus_unreadable_total", count + 2); /* nobody listens to that group */
    say(v, 1, "\"t\":\"all\",\"first\":true,\"last\":true,\"ops\":[" HERE(EVE) "]");
    hear_all_of(&v->ann, "\"joined\":[{\"id\":\"" EVE "\"");
}

static void more_nodes_than_can_be_known_are_ignored(void **state)
{
    voice *v = *state;
    const fixture *f = &v->all->node[0].f;
    for (int i = 0; i < LIVE__NODES_MAX + 1; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"v\":1,\"node\":\"a-node-%09d\",\"n\":1,\"t\":\"alive\"}", i);
        publish(v, "nodes", text);
    }
    wait_for_metric(f, "bus_unreadable_total", 1);
    assert_int_equal(metric(f, "nodes"), LIVE__NODES_MAX);
    wait_for_metric(f, "sessions", 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_node_that_falls_silent_is_gone_with_its_people),
        TEST(after_a_gap_all_is_heard_again_before_anything_is_believed),
        TEST(what_cannot_be_read_is_ignored),
        TEST(more_nodes_than_can_be_known_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
