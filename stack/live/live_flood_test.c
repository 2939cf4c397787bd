/* Steps too large to be told row by row: whoever is concerned starts again, inside the step. */
#include "live/testing.h"

#define CHAT1_MESSAGES "/api/messages/?chat=" CHAT1
#define PUT(id) "\"op\":\"put\",\"id\":\"" MESSAGE(id) "\""
#define DEL(id) "\"op\":\"del\",\"id\":\"" MESSAGE(id) "\""

/* `n` messages in chat 2, whose numbers are beyond all others. */
#define INSERT_MANY(n)                                                                                      \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " #n ")"                      \
    "INSERT INTO message SELECT '00000000-0000-7000-8000-0001' || substr(CAST(100000000 + i AS TEXT), 2), " \
    "'" CHAT2 "', '" BOB "', 'm'"                                                                           \
    " || i, 1000 + i FROM n;"

static void more_changes_than_a_step_tells_load_the_views_of_their_models(void **state)
{
    fixture *f = *state;
    client bob = ws_subscribed(f, f->token_bob, "/api/messages/?chat=" CHAT2);
    client own = ws_subscribed(f, f->token_bob, "/api/messages/"),
           chats = ws_subscribed(f, f->token_bob, "/api/chats/");
    int64_t position = sql(f, INSERT_MANY(20001));
    ws_expect(&bob, "\"t\":\"tx\"", "{\"view\":1,\"op\":\"load\",\"order\":\"-number,-id\"", "\"end\":false",
              "\"reason\":\"lagging\"", "\"text\":\"m20001\"", "\"text\":\"m19952\"");
    ws_expect(&own, "\"op\":\"load\"", "\"reason\":\"lagging\"", "\"text\":\"m20001\"");
    ws_expect_nothing(&chats, position);
    assert_int_equal(metric(f, "floods_total"), 1);
    /* and on, row by row */
    sql(f, "UPDATE message SET text = 'again' WHERE number = 21001");
    ws_expect_without(&bob, "\"text\":\"again\"", "load");
    ws_expect_without(&own, "\"text\":\"again\"", "load");
    ws_close(&bob);
    ws_close(&own);
    ws_close(&chats);
}

static void as_many_as_a_step_tells_are_told(void **state)
{
    fixture *f = *state;
    client bob = ws_subscribed(f, f->token_bob, "/api/messages/?chat=" CHAT2 "&limit=2");
    sql(f, INSERT_MANY(20000));
    ws_expect_without(&bob, "\"text\":\"m20000\"", "load");
    assert_int_equal(metric(f, "floods_total"), 0);
    ws_close(&bob);
}

/* --- with small bounds ------------------------------------------------------------------------ */

static void bound(live__limits *limits)
{
    limits->step_changes_max = 10;
    limits->step_bytes_max = 1 << 20;
}

static int start_bounded_world(void **state)
{
    adjust_world = bound;
    return start_world(state);
}

#define FLOOD INSERT_MANY(11)

static void a_grown_window_keeps_its_size(void **state)
{
    fixture *f = *state;
    client c = ws_subscribed(f, f->token_bob, "/api/messages/?limit=1&total=true&include=sender");
    ws_send(&c, "{\"t\":\"more\",\"sub\":1,\"limit\":3}");
    ws_expect(&c, "\"t\":\"window\"", "\"limit\":3", PUT("1"));
    sql(f, "DELETE FROM message WHERE number = 2; UPDATE message SET text = 'changed' WHERE number = 3;"
           "UPDATE \"user\" SET display_name = 'Robert' WHERE id = '" BOB "';" FLOOD
           "DELETE FROM message WHERE number BETWEEN 1002 AND 2000");
    ws_expect(&c, "\"t\":\"tx\"", DEL("2"), PUT("3"), "\"text\":\"changed\"", "\"text\":\"m1\"", PUT("1"),
              "\"op\":\"include\"", "Robert", "\"op\":\"total\",\"total\":3", "\"op\":\"end\",\"end\":true");
    ws_close(&c);
}

static void gates_are_asked_again(void **state)
{
    fixture *f = *state;
    client ann = ws_subscribed(f, f->token_ann, CHAT1_MESSAGES),
           bob = ws_subscribed(f, f->token_bob, CHAT1_MESSAGES);
    free(ws_snap(&ann, 2, "/api/messages/?chat=" CHAT2));
    free(ws_snap(&ann, 3, "/api/chats/"));
    sql(f, FLOOD "DELETE FROM member WHERE \"user\" = '" ANN "'; UPDATE message SET text = 'secret' WHERE "
                 "number = 1; INSERT INTO member VALUES ('" ID("34") "','" CHAT2 "','" ANN "',0)");
    char *got = ws_next(&ann);
    assert_non_null(got);
    assert_null(strstr(got, "secret"));
    assert_non_null(strstr(got, "{\"sub\":1,\"op\":\"load\",\"view\":0,"));
    assert_non_null(strstr(got, "{\"sub\":2,\"op\":\"load\",\"view\":"));
    assert_non_null(strstr(got, "\"text\":\"m11\""));
    assert_non_null(strstr(got, "\"title\":\"Two\""));
    assert_null(strstr(got, "\"title\":\"One\""));
    free(got);
    ws_expect(&bob, "\"op\":\"load\"", "\"reason\":\"lagging\"", "secret");
    ws_expect_nothing(&ann, sql(f, "UPDATE message SET text = 'x' WHERE number = 1"));
    ws_close(&ann);
    ws_close(&bob);
}

static void a_login_that_ends_in_a_flood_ends(void **state)
{
    fixture *f = *state;
    client ann = ws_subscribed(f, f->token_ann, CHAT1_MESSAGES),
           bob = ws_subscribed(f, f->token_bob, CHAT1_MESSAGES);
    sql(f, FLOOD "DELETE FROM auth_session WHERE id = '" LOGIN_ANN "'");
    ws_expect(&ann, "\"t\":\"bye\"", "session_ended");
    assert_int_equal(ws_closed(&ann), 4401);
    sql(f,
        "DELETE FROM message WHERE number > 3;" FLOOD "UPDATE \"user\" SET active = 0 WHERE id = '" BOB "'");
    ws_expect(&bob, "\"t\":\"bye\"", "session_ended");
    assert_int_equal(ws_closed(&bob), 4401);
    ws_close(&ann);
    ws_close(&bob);
}

static void rooms_end_in_a_flood_for_whom_they_end(void **state)
{
    fixture *f = *state;
    client ann = ws_hello(f, f->token_ann);
    ws_send(&ann, "{\"t\":\"join\",\"id\":1,\"url\":\"/api/chats/" CHAT1 "/\"}");
    ws_expect(&ann, "\"join\":1");
    ws_expect(&ann, "\"joined\"");
    sql(f, FLOOD "DELETE FROM member WHERE \"user\" = '" ANN "'");
    ws_expect(&ann, "\"t\":\"error\"", "\"join\":1", "\"status\":404");
    ws_close(&ann);
}

/* Few rows, but large ones. */
static void more_bytes_than_a_step_tells_load_too(void **state)
{
    fixture *f = *state;
    client ann = ws_subscribed(f, f->token_ann, CHAT1_MESSAGES "&fields=number");
    sql_long_text(f, 600000, "chat = '" CHAT1 "'");
    ws_expect(&ann, "\"op\":\"load\"", "\"reason\":\"lagging\"", "\"rows\":[{\"id\":\"" MESSAGE("2"));
    assert_int_equal(metric(f, "floods_total"), 1);
    sql(f, "UPDATE message SET text = 'small', number = 7 WHERE number = 1");
    ws_expect(&ann, PUT("1"));
    ws_close(&ann);
}

static void what_a_flood_concerned_cannot_be_resumed_from_before_it(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    int64_t position = sql(f, "UPDATE chat SET title = 'Uno' WHERE id = '" CHAT1 "'");
    ws_expect_nothing(&c, position); /* each in a step of its own */
    ws_expect_nothing(&c, sql(f, FLOOD));
    ws_expect_nothing(&c, sql(f, "UPDATE chat SET title = 'Eins' WHERE id = '" CHAT1 "'"));
    static const struct {
        const char *url, *answer;
    } table[] = { { CHAT1_MESSAGES, "\"t\":\"reset\",\"sub\":1,\"reason\":\"too_far\"" },
                  { "/api/chats/", "\"t\":\"resumed\",\"sub\":2" } };
    for (int i = 0; i < 2; i++) {
        ws_send(&c, "{\"t\":\"sub\",\"id\":%d,\"url\":\"%s\",\"from\":\"%.*s-%lld\",\"limit\":2}", i + 1,
                table[i].url, TIMS_PRINT(tims_live_epoch(f->live)), (long long)position);
        ws_expect(&c, table[i].answer);
        if (i == 0)
            ws_expect(&c, "\"t\":\"snap\"");
    }
    ws_close(&c);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, start_world, stop_world)
#define IN_BOUNDED_WORLD(test) cmocka_unit_test_setup_teardown(test, start_bounded_world, stop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(more_changes_than_a_step_tells_load_the_views_of_their_models),
        IN_WORLD(as_many_as_a_step_tells_are_told),
        IN_BOUNDED_WORLD(a_grown_window_keeps_its_size),
        IN_BOUNDED_WORLD(gates_are_asked_again),
        IN_BOUNDED_WORLD(a_login_that_ends_in_a_flood_ends),
        IN_BOUNDED_WORLD(rooms_end_in_a_flood_for_whom_they_end),
        IN_BOUNDED_WORLD(more_bytes_than_a_step_tells_load_too),
        IN_BOUNDED_WORLD(what_a_flood_concerned_cannot_be_resumed_from_before_it),
    };
    return cmocka_run_group_tests_name("live_flood", tests, NULL, NULL);
}
