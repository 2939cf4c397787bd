/* redis_test: commands and channels against a server that is started, held, killed and started again. */
#include "redis/redis_internal.h"
#include "redis/redis_testing.h"

typedef struct stage {
    redis_server server;
    tims_loop *loop;
    tims_redis *redis;
    tims_arena *arena;
    tims_fiber *fiber;
    tims_fiber_fn script;
    char url[128];
    bool is_up;
    int ups, downs, heard, answered, unanswered;
    char last[64];
    char said[256];
    int64_t value;
} stage;

/* Waits as long as it takes, up to the fiber's deadline. */
#define WAIT_UNTIL(condition)                                \
    do {                                                     \
        while (!(condition))                                 \
            assert_int_equal(tims_fiber_suspend(), TIMS_OK); \
    } while (0)

static void take_change(void *data, bool is_up)
{
    stage *s = data;
    assert_true(is_up != s->is_up);
    s->is_up = is_up;
    s->ups += is_up;
    s->downs += !is_up;
    tims_fiber_wake(s->fiber);
}

static void take_message(void *data, tims_str channel, tims_str message)
{
    stage *s = data;
    s->heard++;
    (void)snprintf(s->last, sizeof s->last, "%.*s=%.*s", TIMS_PRINT(channel), TIMS_PRINT(message));
    tims_fiber_wake(s->fiber);
}

static void take_answer(void *argument, const tims_redis_reply *reply)
{
    stage *s = argument;
    s->answered += reply != NULL;
    s->unanswered += reply == NULL;
    s->value = reply != NULL ? tims_redis_int(reply) : 0;
    tims_fiber_wake(s->fiber);
}

static void run_script(void *argument)
{
    stage *s = argument;
    s->fiber = tims_fiber_self();
    (void)tims_fiber_set_deadline(tims_monotonic_us() + 20000000);
    s->script(s);
    tims_redis_loop_stop(s->redis, s->loop);
}

static void begin(void *argument)
{
    stage *s = argument;
    tims_error err = { 0 };
    tims_loop_stop(s->loop);
    assert_int_equal(tims_redis_loop_start(s->redis, s->loop, &err), TIMS_OK);
    assert_non_null(tims_fiber_start(s->loop, run_script, s));
}

static bool watches;

static stage play(tims_fiber_fn script, const char *const *extra, const char *login)
{
    stage s = { .script = script };
    tims_error err = { 0 };
    redis_start(&s.server, extra);
    (void)snprintf(s.url, sizeof s.url, "redis://%s127.0.0.1:%d/2", login, (int)s.server.port);
    const tims_redis_options options = { .url = tims_str_from(s.url), .answer_timeout_ms = 300 };
    const tims_redis_listener listener = { &s, take_message, take_change };
    assert_int_equal(tims_redis_new(&options, &s.redis, &err), TIMS_OK);
    tims_redis_listen(s.redis, &listener);
    static const char *const prefixes[] = { "queue-3", "mail", "queue", "queue-6" };
    for (size_t i = 0; watches && i < sizeof prefixes / sizeof *prefixes; i++)
        tims_redis_watch(s.redis, tims_str_from(prefixes[i]));
    s.arena = tims_arena_new(16 << 20, NULL, NULL);
    assert_int_equal(tims_loop_new(NULL, &s.loop), TIMS_OK);
    tims_loop_post(s.loop, begin, &s);
    tims_loop_run(s.loop);
    tims_redis_free(&s.redis);
    tims_loop_free(&s.loop);
    tims_arena_free(&s.arena);
    redis_kill(&s.server);
    return s;
}

static const tims_redis_reply *call(stage *s, tims_slice_list command)
{
    const tims_redis_reply *reply = NULL;
    tims_error err = { 0 };
    if (tims_redis_call(s->redis, s->arena, command, &reply, &err) != TIMS_OK)
        fail_msg("%s %s", err.message, err.detail);
    return reply;
}

/* --- commands ------------------------------------------------------------------------------------------------ */

static void use_commands(void *argument)
{
    stage *s = argument;
    const tims_redis_reply *reply = NULL;
    tims_error err = { 0 };
    assert_int_equal(tims_redis_call(s->redis, s->arena, TIMS_REDIS_COMMAND(TIMS_STR("PING")), &reply, &err),
                     TIMS_UNAVAILABLE); /* nobody has connected yet */
    WAIT_UNTIL(s->is_up);
    assert_str(
        tims_redis_text(call(s, TIMS_REDIS_COMMAND(TIMS_STR("SET"), TIMS_STR("k"), TIMS_STR("a\r\n\0b")))),
        "OK");
    tims_str text = tims_redis_text(call(s, TIMS_REDIS_COMMAND(TIMS_STR("GET"), TIMS_STR("k"))));
    assert_int_equal(text.length, 5);
    assert_memory_equal(text.data, "a\r\n\0b", 5);
    assert_str(tims_redis_text(call(s, TIMS_REDIS_COMMAND(TIMS_STR("GET"), TIMS_STR("nothing")))), "");
    assert_int_equal(tims_redis_int(call(s, TIMS_REDIS_COMMAND(TIMS_STR("INCR"), TIMS_STR("n")))), 1);
    reply = call(s, TIMS_REDIS_COMMAND(TIMS_STR("MGET"), TIMS_STR("n"), TIMS_STR("nothing")));
    assert_int_equal(tims_redis_count(reply), 2);
    assert_str(tims_redis_text(tims_redis_item(reply, 0)), "1");
    assert_int_equal(tims_redis_call(s->redis, s->arena, TIMS_REDIS_COMMAND(TIMS_STR("INCR"), TIMS_STR("k")),
                                     &reply, &err),
                     TIMS_INVALID);
    assert_true(strncmp(err.detail, "ERR value is not an integer", 27) == 0);
    assert_true(s->is_up);
}

static void commands_are_answered(void **state)
{
    (void)state;
    (void)play(use_commands, NULL, "");
}

static void send_many(void *argument)
{
    enum { MANY = 20000 };
    stage *s = argument;
    WAIT_UNTIL(s->is_up);
    for (int i = 0; i < MANY; i++)
        assert_true(tims_redis_send(s->redis, TIMS_REDIS_COMMAND(TIMS_STR("INCR"), TIMS_STR("n")),
                                    i % 2 == 0 ? take_answer : NULL, s));
    WAIT_UNTIL(s->answered == MANY / 2);
    assert_int_equal(s->value, MANY - 1);
    assert_int_equal(tims_redis_int(call(s, TIMS_REDIS_COMMAND(TIMS_STR("INCR"), TIMS_STR("n")))), MANY + 1);
}

static void many_commands_travel_at_once_and_in_order(void **state)
{
    (void)state;
    (void)play(send_many, NULL, "");
}

static void send_too_much(void *argument)
{
    stage *s = argument;
    int sent = 0;
    static char large[1 << 20];
    memset(large, 'x', sizeof large);
    WAIT_UNTIL(s->is_up);
    while (tims_redis_send(
        s->redis, TIMS_REDIS_COMMAND(TIMS_STR("SET"), TIMS_STR("large"), ((tims_str){ large, sizeof large })),
        take_answer, s))
        assert_true(++sent < 100);
    assert_true(sent >= 7);
    WAIT_UNTIL(s->answered == sent);
}

static void what_waits_to_be_sent_is_bounded(void **state)
{
    (void)state;
    (void)play(send_too_much, NULL, "");
}

static void cancel_fiber(void *fiber)
{
    tims_fiber_cancel(fiber);
}

static void leave_a_call(void *argument)
{
    stage *s = argument;
    const tims_redis_reply *reply = NULL;
    WAIT_UNTIL(s->is_up);
    tims_arena *arena = tims_arena_new(64 * 1024, NULL, NULL);
    (void)tims_fiber_set_deadline(tims_monotonic_us() + 30000);
    assert_int_equal(tims_redis_call(s->redis, arena,
                                     TIMS_REDIS_COMMAND(TIMS_STR("BLPOP"), TIMS_STR("q"), TIMS_STR("0.2")),
                                     &reply, NULL),
                     TIMS_TIMEOUT);
    tims_arena_free(&arena);
    (void)tims_fiber_set_deadline(tims_monotonic_us() + 20000000);
    assert_int_equal(tims_redis_int(call(s, TIMS_REDIS_COMMAND(TIMS_STR("INCR"), TIMS_STR("n")))), 1);
    tims_loop_post(s->loop, cancel_fiber, s->fiber);
    assert_int_equal(tims_redis_call(s->redis, s->arena,
                                     TIMS_REDIS_COMMAND(TIMS_STR("BLPOP"), TIMS_STR("q"), TIMS_STR("0.2")),
                                     &reply, NULL),
                     TIMS_CANCELLED);
}

static void a_call_that_is_left_disturbs_nobody(void **state)
{
    (void)state;
    (void)play(leave_a_call, NULL, "");
}

/* --- the server goes and comes ------------------------------------------------------------------------------- */

static void lose_the_server(void *argument)
{
    stage *s = argument;
    const tims_redis_reply *reply = NULL;
    tims_redis_subscribe(s->redis, TIMS_STR("before"));
    WAIT_UNTIL(s->is_up);
    tims_redis_subscribe(s->redis, TIMS_STR("after"));
    redis_kill(&s->server);
    WAIT_UNTIL(!s->is_up);
    assert_false(tims_redis_send(s->redis, TIMS_REDIS_COMMAND(TIMS_STR("PING")), take_answer, s));
    assert_int_equal(tims_redis_call(s->redis, s->arena, TIMS_REDIS_COMMAND(TIMS_STR("PING")), &reply, NULL),
                     TIMS_UNAVAILABLE);
    redis_start(&s->server, NULL);
    WAIT_UNTIL(s->is_up);
    assert_int_equal(s->ups, 2);
    assert_int_equal(s->downs, 1);
    assert_int_equal(
        tims_redis_int(call(s, TIMS_REDIS_COMMAND(TIMS_STR("PUBLISH"), TIMS_STR("before"), TIMS_STR("1")))),
        1);
    assert_int_equal(
        tims_redis_int(call(s, TIMS_REDIS_COMMAND(TIMS_STR("PUBLISH"), TIMS_STR("after"), TIMS_STR("2")))),
        1);
    WAIT_UNTIL(s->heard == 2);
}

static void a_server_that_comes_back_is_listened_to_again(void **state)
{
    (void)state;
    (void)play(lose_the_server, NULL, "");
}

static void hold_the_server(void *argument)
{
    stage *s = argument;
    const tims_redis_reply *reply = NULL;
    WAIT_UNTIL(s->is_up);
    redis_hold(&s->server, true);
    assert_true(tims_redis_send(s->redis, TIMS_REDIS_COMMAND(TIMS_STR("PING")), take_answer, s));
    int64_t since_us = tims_monotonic_us();
    assert_int_equal(tims_redis_call(s->redis, s->arena, TIMS_REDIS_COMMAND(TIMS_STR("PING")), &reply, NULL),
                     TIMS_UNAVAILABLE);
    assert_true(tims_monotonic_us() - since_us < 2000000);
    assert_int_equal(s->unanswered, 1);
    WAIT_UNTIL(!s->is_up);
    redis_hold(&s->server, false);
    WAIT_UNTIL(s->is_up);
}

static void a_server_that_hangs_is_given_up_in_time(void **state)
{
    (void)state;
    (void)play(hold_the_server, NULL, "");
}

static void hold_in_silence(void *argument)
{
    stage *s = argument;
    WAIT_UNTIL(s->is_up);
    redis_hold(&s->server, true);
    WAIT_UNTIL(!s->is_up); /* nobody asked for anything */
    redis_hold(&s->server, false);
    WAIT_UNTIL(s->is_up);
}

static void that_nothing_comes_any_more_is_noticed_without_asking(void **state)
{
    (void)state;
    (void)play(hold_in_silence, NULL, "");
}

/* Connections are taken, by the kernel; what is said first on them is not answered. */
static void hold_greetings(void *argument)
{
    stage *s = argument;
    tims_error err = { 0 };
    WAIT_UNTIL(s->is_up);
    redis_hold(&s->server, true);
    WAIT_UNTIL(!s->is_up);
    for (int i = 0; i < 2; i++) { /* meanwhile the links' own are given up, too */
        assert_int_equal(tims_redis_probe(s->redis, s->loop, &err), TIMS_UNAVAILABLE);
        assert_non_null(strstr(err.detail, "does not answer in time"));
    }
    redis_hold(&s->server, false);
    WAIT_UNTIL(s->is_up);
}

static void a_greeting_that_is_not_answered_is_given_up(void **state)
{
    (void)state;
    (void)play(hold_greetings, NULL, "");
}

/* A proxy whose server is away. */
typedef struct closing_door {
    stage *stage;
    int fd;
    bool is_done;
} closing_door;

static void note_closed(void *argument)
{
    closing_door *door = argument;
    door->is_done = true;
    tims_fiber_wake(door->stage->fiber);
}

static void *close_what_comes(void *argument)
{
    enum { TIMES = 6 }; /* more often than there are links */
    closing_door *door = argument;
    for (int i = 0; i < TIMES; i++) {
        int fd = accept(door->fd, NULL, NULL);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    (void)close(door->fd);
    tims_loop_post(door->stage->loop, note_closed, door);
    return NULL;
}

static void meet_a_closing_door(void *argument)
{
    stage *s = argument;
    static closing_door door;
    pthread_t thread;
    int on = 1;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons(s->server.port) };
    WAIT_UNTIL(s->is_up);
    redis_kill(&s->server);
    door = (closing_door){ .stage = s, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    assert_int_equal(setsockopt(door.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    assert_int_equal(bind(door.fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(door.fd, 8), 0);
    assert_int_equal(pthread_create(&thread, NULL, close_what_comes, &door), 0);
    WAIT_UNTIL(door.is_done);
    assert_int_equal(pthread_join(thread, NULL), 0);
    redis_start(&s->server, NULL);
    WAIT_UNTIL(s->is_up);
}

static void a_connection_that_is_closed_before_the_greeting_is_made_again(void **state)
{
    (void)state;
    (void)play(meet_a_closing_door, NULL, "");
}

static void lose_a_role(void *argument)
{
    stage *s = argument;
    WAIT_UNTIL(s->is_up);
    (void)call(s, TIMS_REDIS_COMMAND(TIMS_STR("REPLICAOF"), TIMS_STR("127.0.0.1"), TIMS_STR("1")));
    assert_true(
        tims_redis_send(s->redis, TIMS_REDIS_COMMAND(TIMS_STR("INCR"), TIMS_STR("n")), take_answer, s));
    WAIT_UNTIL(!s->is_up);
    tims_error err = { 0 };
    assert_int_equal(tims_redis_probe(s->redis, s->loop, &err), TIMS_UNAVAILABLE);
    assert_non_null(strstr(err.message, "replica"));
}

static void a_server_that_became_a_replica_is_left(void **state)
{
    (void)state;
    (void)play(lose_a_role, NULL, "");
}

/* --- channels ------------------------------------------------------------------------------------------------ */

static void use_channels(void *argument)
{
    stage *s = argument;
    WAIT_UNTIL(s->is_up); /* listening to nothing is fine */
    tims_redis_subscribe(s->redis, TIMS_STR("a"));
    tims_redis_subscribe(s->redis, TIMS_STR("b"));
    while (tims_redis_int(call(s, TIMS_REDIS_COMMAND(TIMS_STR("PUBLISH"), TIMS_STR("b"), TIMS_STR("x")))) ==
           0)
        ;
    WAIT_UNTIL(s->heard == 1);
    assert_string_equal(s->last, "b=x");
    tims_redis_unsubscribe(s->redis, TIMS_STR("b"));
    while (tims_redis_int(call(s, TIMS_REDIS_COMMAND(TIMS_STR("PUBLISH"), TIMS_STR("b"), TIMS_STR("y")))) ==
           1)
        ;
    int heard = s->heard; /* those that still came */
    (void)call(s, TIMS_REDIS_COMMAND(TIMS_STR("PUBLISH"), TIMS_STR("a"), TIMS_STR("z")));
    WAIT_UNTIL(strcmp(s->last, "a=z") == 0);
    assert_int_equal(s->heard, heard + 1);
}

static void wait_until_watching(stage *s)
{
    static const tims_redis_reply *list;
    do
        list = call(s, TIMS_REDIS_COMMAND(TIMS_STR("CLIENT"), TIMS_STR("TRACKINGINFO")));
    while (tims_redis_count(tims_redis_item(list, 5)) == 0); /* prefixes */
}

static void watch_keys(void *argument)
{
    stage *s = argument;
    WAIT_UNTIL(s->is_up);
    wait_until_watching(s);
    (void)call(s, TIMS_REDIS_COMMAND(TIMS_STR("SET"), TIMS_STR("queue"), TIMS_STR("own"))); /* not told */
    redis_wait_for(&s->server, "SET other x", "OK");
    redis_wait_for(&s->server, "LPUSH queue-3 x", ":1");
    WAIT_UNTIL(s->heard == 1);
    assert_string_equal(s->last, TIMS_REDIS_CHANGES "=changed");
    redis_kill(&s->server);
    WAIT_UNTIL(!s->is_up);
    redis_start(&s->server, NULL);
    WAIT_UNTIL(s->is_up);
    wait_until_watching(s);
    redis_wait_for(&s->server, "LPUSH mail x", ":1");
    WAIT_UNTIL(s->heard == 2);
}

static void what_others_do_to_watched_keys_is_heard(void **state)
{
    (void)state;
    watches = true;
    (void)play(watch_keys, NULL, "");
    watches = false;
}

/* What the connection for commands had told before names one that is gone. */
static void lose_the_listener(void *argument)
{
    stage *s = argument;
    WAIT_UNTIL(s->is_up);
    wait_until_watching(s);
    redis_wait_for(&s->server, "CLIENT KILL TYPE pubsub", ":1");
    WAIT_UNTIL(s->downs == 1 && s->is_up);
    (void)call(s, TIMS_REDIS_COMMAND(TIMS_STR("PING"))); /* behind what was sent when it came up */
    wait_until_watching(s);
    redis_wait_for(&s->server, "LPUSH mail x", ":1");
    WAIT_UNTIL(s->heard == 1);
}

static void keys_are_watched_for_a_listener_that_was_made_again(void **state)
{
    (void)state;
    watches = true;
    (void)play(lose_the_listener, NULL, "");
    watches = false;
}

static void channels_are_joined_and_left(void **state)
{
    (void)state;
    (void)play(use_channels, NULL, "");
}

/* --- who may not ---------------------------------------------------------------------------------------------- */

static void probe_once(void *argument)
{
    stage *s = argument;
    tims_error err = { 0 };
    s->value = (int64_t)tims_redis_probe(s->redis, s->loop, &err);
    (void)snprintf(s->said, sizeof s->said, "%s", err.message);
    assert_null(strstr(err.message, "wrong"));
    assert_null(strstr(err.detail, "wrong"));
}

static void a_password_is_needed_and_checked(void **state)
{
    static const char *const extra[] = { "--requirepass", "secret", "--user", "tim",   "on",
                                         ">pass",         "~*",     "&*",     "+@all", NULL };
    (void)state;
    assert_int_equal(play(probe_once, extra, ":secret@").value, TIMS_OK);
    assert_int_equal(play(probe_once, extra, "tim:pass@").value, TIMS_OK);
    stage refused = play(probe_once, extra, ":wrong@");
    assert_int_equal(refused.value, TIMS_UNAUTHORIZED);
    assert_non_null(strstr(refused.said, "does not accept"));
    refused = play(probe_once, extra, "");
    assert_int_equal(refused.value, TIMS_UNAUTHORIZED);
    assert_non_null(strstr(refused.said, "asks for a password"));
}

static void use_as_app(void *argument)
{
    stage *s = argument;
    const tims_str key = TIMS_STR("tims:x:limit:y"), channel = TIMS_STR("tims:x:nodes");
    const tims_redis_limit limit = { 3, 60 * 1000 * 1000 };
    const tims_redis_reply *reply = NULL;
    int64_t wait_us = 1;
    tims_redis_subscribe(s->redis, channel);
    WAIT_UNTIL(s->is_up);
    assert_int_equal(tims_redis_limit_window(s->redis, s->arena, key, limit, true, &wait_us, NULL), TIMS_OK);
    assert_int_equal(wait_us, 0);
    assert_int_equal(
        tims_redis_limit_bucket(s->redis, s->arena, TIMS_STR("tims:x:rate:y"), limit, &wait_us, NULL),
        TIMS_OK);
    tims_redis_limit_take_back(s->redis, key);
    tims_redis_limit_clear(s->redis, key);
    (void)call(s, TIMS_REDIS_COMMAND(TIMS_STR("PUBLISH"), channel, TIMS_STR("1")));
    WAIT_UNTIL(s->heard == 1);
    assert_int_equal(tims_redis_call(s->redis, s->arena,
                                     TIMS_REDIS_COMMAND(TIMS_STR("GET"), TIMS_STR("another's")), &reply,
                                     NULL),
                     TIMS_INVALID);
}

/* What docs/guide/4-many-machines.md says that it needs. */
static void a_user_that_may_do_little_is_enough(void **state)
{
    static const char *const extra[] = { "--user",  "app",      "on",    ">pass",    "~tims:*",
                                         "&tims:*", "+@pubsub", "+eval", "+del",     "+get",
                                         "+set",    "+incr",    "+decr", "+pexpire", "+pttl",
                                         "+time",   "+select",  "+info", "+ping",    NULL };
    (void)state;
    (void)play(use_as_app, extra, "app:pass@");
}

static void clusters_and_missing_databases_are_refused(void **state)
{
    char file[64], port[8];
    (void)state;
    (void)snprintf(file, sizeof file, "/tmp/tims-redis-nodes-%d.conf", (int)getpid());
    (void)snprintf(port, sizeof port, "%d",
                   (int)free_port()); /* by itself: 10,000 above the server's, or none */
    const char *const cluster[] = {
        "--cluster-enabled", "yes", "--cluster-config-file", file, "--cluster-port", port, NULL
    };
    stage refused = play(probe_once, cluster, "");
    (void)unlink(file);
    assert_int_equal(refused.value, TIMS_INVALID);
    assert_non_null(strstr(refused.said, "Redis Cluster"));
    static const char *const one_database[] = { "--databases", "1", NULL };
    refused = play(probe_once, one_database, "");
    assert_int_equal(refused.value, TIMS_INVALID);
    assert_non_null(strstr(refused.said, "no such database"));
}

static void kill_then_probe(void *argument)
{
    stage *s = argument;
    redis_kill(&s->server);
    probe_once(s);
}

static void a_server_that_is_not_there_is_away(void **state)
{
    (void)state;
    assert_int_equal(play(kill_then_probe, NULL, "").value, TIMS_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_answered),
        cmocka_unit_test(many_commands_travel_at_once_and_in_order),
        cmocka_unit_test(what_waits_to_be_sent_is_bounded),
        cmocka_unit_test(a_call_that_is_left_disturbs_nobody),
        cmocka_unit_test(a_server_that_comes_back_is_listened_to_again),
        cmocka_unit_test(a_server_that_hangs_is_given_up_in_time),
        cmocka_unit_test(that_nothing_comes_any_more_is_noticed_without_asking),
        cmocka_unit_test(a_greeting_that_is_not_answered_is_given_up),
        cmocka_unit_test(a_connection_that_is_closed_before_the_greeting_is_made_again),
        cmocka_unit_test(a_server_that_became_a_replica_is_left),
        cmocka_unit_test(channels_are_joined_and_left),
        cmocka_unit_test(what_others_do_to_watched_keys_is_heard),
        cmocka_unit_test(keys_are_watched_for_a_listener_that_was_made_again),
        cmocka_unit_test(a_password_is_needed_and_checked),
        cmocka_unit_test(a_user_that_may_do_little_is_enough),
        cmocka_unit_test(clusters_and_missing_databases_are_refused),
        cmocka_unit_test(a_server_that_is_not_there_is_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
