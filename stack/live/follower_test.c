/* follower_test.c: what is told of each step to who keeps what was read, and that it is told first. */
#include "live/testing.h"

#define CHAT1_MESSAGES "/api/messages/?chat=" CHAT1

/* What was told: "message.chat=…\n", "message=*\n", "all of message\n", "clear\n". */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char told[1 << 20];
static size_t told_length;
static int64_t reached, cleared, touched_beyond;

static void say(const char *format, ...) TIMS_PRINTF(1, 2);

static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t left = sizeof told - told_length;
    int length = vsnprintf(told + told_length, left, format, arguments);
    va_end(arguments);
    assert_true(length > 0 && (size_t)length < left);
    told_length += (size_t)length;
}

static void note_topic(void *argument, int64_t position, const tims_topic *topic)
{
    (void)argument;
    pthread_mutex_lock(&mutex);
    if (topic->field != NULL)
        say("%s.%s=%.*s\n", topic->model->name, topic->field->name, TIMS_PRINT(topic->text));
    else
        say("%s=*\n", topic->model->name);
    touched_beyond += position <= reached; /* each is behind what was reached before */
    pthread_mutex_unlock(&mutex);
}

static void note_whole(void *argument, int64_t position, const tims_model *model)
{
    (void)argument;
    (void)position;
    pthread_mutex_lock(&mutex);
    say("all of %s\n", model->name);
    pthread_mutex_unlock(&mutex);
}

static void note_reached(void *argument, int64_t position)
{
    (void)argument;
    pthread_mutex_lock(&mutex);
    reached = position;
    pthread_mutex_unlock(&mutex);
}

static void note_cleared(void *argument, int64_t position)
{
    (void)argument;
    pthread_mutex_lock(&mutex);
    say("clear\n");
    cleared = reached = position;
    pthread_mutex_unlock(&mutex);
}

static int64_t reached_now(void)
{
    pthread_mutex_lock(&mutex);
    int64_t position = reached;
    pthread_mutex_unlock(&mutex);
    return position;
}

static void wait_until_reached(int64_t position)
{
    for (int waited = 0; reached_now() < position; waited++) {
        if (waited == TEST_WAIT_MS)
            fail_msg("%lld was never reached", (long long)position);
        poll(NULL, 0, 1);
    }
}

static void forget(void)
{
    pthread_mutex_lock(&mutex);
    told_length = 0;
    told[0] = '\0';
    pthread_mutex_unlock(&mutex);
}

static void assert_told(const char *line, bool expected)
{
    pthread_mutex_lock(&mutex);
    bool found = strstr(told, line) != NULL;
    pthread_mutex_unlock(&mutex);
    if (found != expected)
        fail_msg("%s is %s in\n%s", line, expected ? "not" : "", told);
}

/* --- tests ------------------------------------------------------------------------------------- */

static void each_topic_that_a_row_has_or_had_is_told(void **state)
{
    fixture *f = *state;
    wait_until_reached(sql(f, "UPDATE chat SET title = 'x' WHERE id = '" CHAT2 "'"));
    forget();
    wait_until_reached(sql(f, "UPDATE message SET chat = '" CHAT2 "' WHERE id = '" MESSAGE("1") "'"));
    static const char *const lines[] = { "message=*\n", "message.id=" MESSAGE("1") "\n",
                                         "message.chat=" CHAT1 "\n", "message.chat=" CHAT2 "\n",
                                         "message.sender=" };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_told(lines[i], true);
    assert_told("chat=*\n", false);
    assert_told("message.id=" MESSAGE("2") "\n", false);
    forget();
    wait_until_reached(sql(f, "DELETE FROM message WHERE id = '" MESSAGE("1") "'"));
    assert_told("message.id=" MESSAGE("1") "\n", true);
    assert_told("message.chat=" CHAT2 "\n", true);
    assert_told("message.chat=" CHAT1 "\n", false);
    assert_int_equal(touched_beyond, 0);
}

static void it_is_told_before_any_client_hears_of_it(void **state)
{
    fixture *f = *state;
    client c = ws_subscribed(f, f->token_ann, CHAT1_MESSAGES);
    for (int i = 0; i < 50; i++) {
        int64_t position =
            sql(f, tims_print(f->arena, "UPDATE message SET text = 't%d' WHERE number = 1", i).data);
        ws_expect(&c, "\"t\":\"tx\"", tims_print(f->arena, "\"text\":\"t%d\"", i).data);
        assert_true(reached_now() >= position);
        assert_told("message.id=" MESSAGE("1") "\n", true);
        forget();
    }
    ws_close(&c);
}

static void bound(live__limits *limits)
{
    limits->step_changes_max = 10;
}

static void of_a_flood_the_models_are_told(void **state)
{
    fixture *f = *state;
    forget();
    wait_until_reached(
        sql(f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 11) INSERT INTO "
               "message SELECT '00000000-0000-7000-8000-0001' || substr(CAST(100000000 + i AS TEXT), 2), "
               "'" CHAT2 "', '" BOB "', 'm', 1000 + i FROM n"));
    assert_told("all of message\n", true);
    assert_told("message.chat=", false);
}

static void of_a_row_without_a_proper_id_the_model_is_told(void **state)
{
    fixture *f = *state;
    if (testing_on_postgres())
        return; /* whose ids are uuids */
    forget();
    wait_until_reached(sql(f, "INSERT INTO chat (id, title) VALUES ('no id', 'x')"));
    assert_told("all of chat\n", true);
    sql(f, "DELETE FROM chat WHERE id = 'no id'");
}

static void another_database_clears(void **state)
{
    fixture *f = *state;
    if (testing_on_postgres())
        return; /* postgres_feed.test.ts starts another server */
    wait_until_reached(sql(f, "UPDATE message SET text = 'x' WHERE number = 1"));
    forget();
    sql(f, "DELETE FROM tims_change; UPDATE sqlite_sequence SET seq = 1 WHERE name = 'tims_change'");
    for (int waited = 0; waited < TEST_WAIT_MS; waited++) {
        pthread_mutex_lock(&mutex);
        bool is_cleared =
            strstr(told, "clear\nclear\n") != NULL; /* before it is looked at, and behind that */
        pthread_mutex_unlock(&mutex);
        if (is_cleared)
            break;
        poll(NULL, 0, 1);
    }
    assert_told("clear\nclear\n", true);
    assert_true(cleared >= 0);
}

static int start_followed(void **state)
{
    world_options.follower = (tims_live_follower){ NULL, note_topic, note_whole, note_reached, note_cleared };
    reached = -1;
    touched_beyond = 0;
    return start_world(state);
}

static int start_bounded(void **state)
{
    adjust_world = bound;
    return start_followed(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_followed, stop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_topic_that_a_row_has_or_had_is_told),
        TEST(it_is_told_before_any_client_hears_of_it),
        cmocka_unit_test_setup_teardown(of_a_flood_the_models_are_told, start_bounded, stop_world),
        TEST(of_a_row_without_a_proper_id_the_model_is_told),
        TEST(another_database_clears),
    };
    return cmocka_run_group_tests_name("follower", tests, NULL, NULL);
}
