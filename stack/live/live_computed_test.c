/* Computed endpoints: run again where what they read has changed, shared as long as they do not ask who is
 * calling, ended when they fail. */
#include "live/testing.h"

/* --- handlers --------------------------------------------------------------------------------- */

static atomic_int runs;
static atomic_bool was_told; /* of who was online, by the last run: then the answer could be kept */

static void end_count(tims_json_writer *w, const char *name, int64_t count)
{
    tims_json_begin_object(w);
    tims_json_key(w, tims_str_from(name));
    tims_json_int(w, count);
    tims_json_key(w, TIMS_STR("of"));
    tims_json_str(w, TIMS_STR("everything that is in this database, whoever wrote it"));
    tims_json_end_object(w);
}

/* The sum of all numbers; raises when it is 666. */
static void write_sum(tims_request *rq, tims_json_writer *w)
{
    size_t count;
    int64_t sum = 0;
    const message *rows = tims_select_all(rq, &message_model, &count, NULL);
    atomic_fetch_add(&runs, 1);
    for (size_t i = 0; i < count; i++)
        sum += rows[i].number;
    if (sum == 666)
        tims_raise(rq, 403, "beast", "This number is not told.");
    end_count(w, "sum", sum);
}

/* How many messages are in chat 1; of the others it reads nothing. */
static void write_count(tims_request *rq, tims_json_writer *w)
{
    atomic_fetch_add(&runs, 1);
    tims_json_int(w, tims_count(rq, &message_model, "chat=%s", CHAT1));
}

static void write_own(tims_request *rq, tims_json_writer *w)
{
    size_t count;
    (void)tims_select(rq, &chat_model, &count, NULL);
    end_count(w, "chats", (int64_t)count);
}

/* The same for everybody until there is a message of the number 100. */
static void write_parting(tims_request *rq, tims_json_writer *w)
{
    bool parts = tims_exists(rq, &message_model, "number=100");
    tims_caller caller = parts ? tims_caller_of(rq) : (tims_caller){ 0 };
    tims_json_begin_object(w);
    tims_json_key(w, TIMS_STR("who"));
    if (parts)
        tims_json_id(w, caller.user);
    else
        tims_json_str(w, TIMS_STR("everybody"));
    tims_json_end_object(w);
}

static void write_online(tims_request *rq, tims_json_writer *w)
{
    tims_ids users;
    end_count(w, "online", (int64_t)tims_live_online(rq, &users));
    atomic_store(&was_told, tims_reads_can_follow(tims_reads_of(rq)));
}

static void write_bob(tims_request *rq, tims_json_writer *w)
{
    tims_id bob;
    assert_true(tims_id_parse(TIMS_STR(BOB), &bob));
    tims_json_str(w, tims_live_is_online(rq, bob) ? TIMS_STR("here") : TIMS_STR("away"));
    atomic_store(&was_told, tims_reads_can_follow(tims_reads_of(rq)));
}

static const world_computed endpoints[] = {
    { "/api/sum/", write_sum },
    { "/api/count/", write_count },
    { "/api/own/", write_own },
    { "/api/parting/", write_parting },
    { "/api/online/", write_online },
    { "/api/bob/", write_bob },
    { NULL, NULL },
};

static int start_computing_world(void **state)
{
    atomic_store(&runs, 0);
    computed_endpoints = endpoints;
    return start_world(state);
}

/* --- changes ---------------------------------------------------------------------------------- */

static void an_answer_comes_and_then_what_changes_in_it(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    ws_send(&c, "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/sum/\"}");
    ws_expect(&c, "\"t\":\"snap\",\"sub\":1", "\"computed\":true", "\"document\":{\"sum\":6,");
    int64_t position = sql(f, "UPDATE message SET number = 10 WHERE number = 1");
    char *tx = ws_next(&c);
    assert_non_null(strstr(tx, "\"ops\":[{\"view\":1,\"op\":\"patch\",\"patch\":{\"sum\":15}}]"));
    assert_int_equal(position_of(tx), position);
    free(tx);
    ws_expect_nothing(&c, sql(f, "UPDATE message SET text = 'the sum is the same'"));
    assert_int_equal(atomic_load(&runs), 3);
    ws_expect_nothing(&c, sql(f, "UPDATE chat SET title = 'not read'"));
    assert_int_equal(atomic_load(&runs), 3);
    ws_close(&c);
}

/* What is no object cannot be patched. */
static void an_answer_that_is_no_object_is_loaded(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    ws_send(&c, "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/count/\"}");
    ws_expect(&c, "\"t\":\"snap\"", "\"computed\":true", "\"document\":2");
    sql(f, "DELETE FROM message WHERE number = 1");
    ws_expect(&c, "{\"view\":1,\"op\":\"load\",", "\"computed\":true", "\"document\":1}");
    int before = atomic_load(&runs);
    ws_expect_nothing(&c, sql(f, "UPDATE message SET number = 8 WHERE chat = '" CHAT2 "'"));
    assert_int_equal(atomic_load(&runs), before);
    ws_close(&c);
}

static void a_resumed_answer_starts_again_without_a_reset(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    ws_send(&c, "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/sum/\",\"from\":\"%.*s-1\"}",
            TIMS_PRINT(tims_live_epoch(f->live)));
    ws_expect(&c, "\"t\":\"snap\"", "\"document\":{\"sum\":6,");
    ws_send(&c, "{\"t\":\"more\",\"sub\":1,\"limit\":5}");
    ws_expect(&c, "\"t\":\"error\"", "\"status\":404");
    sql(f, "DELETE FROM message WHERE number = 1");
    ws_expect(&c, "\"patch\":{\"sum\":5}");
    ws_close(&c);
}

static void an_answer_runs_again_in_a_flood(void **state)
{
    fixture *f = *state;
    client c = ws_subscribed(f, f->token_ann, "/api/sum/");
    sql(f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20001)"
           "INSERT INTO message SELECT '00000000-0000-7000-8000-0001' || substr(CAST(100000000 + i AS TEXT), "
           "2), '" CHAT2 "', '" BOB "', '', 1 FROM n");
    ws_expect(&c, "\"op\":\"patch\",\"patch\":{\"sum\":20007}");
    ws_close(&c);
}

/* --- sharing ---------------------------------------------------------------------------------- */

static void who_is_not_asked_for_shares(void **state)
{
    fixture *f = *state;
    client ann = ws_subscribed(f, f->token_ann, "/api/sum/"),
           bob = ws_subscribed(f, f->token_bob, "/api/sum/");
    assert_int_equal(metric(f, "views"), 1);
    assert_int_equal(atomic_load(&runs), 1);
    sql(f, "DELETE FROM message WHERE number = 1");
    ws_expect(&ann, "\"patch\":{\"sum\":5}");
    ws_expect(&bob, "\"patch\":{\"sum\":5}");
    assert_int_equal(atomic_load(&runs), 2);
    ws_close(&ann);
    ws_close(&bob);
}

static void who_is_asked_for_has_an_answer_of_their_own(void **state)
{
    fixture *f = *state;
    client ann = ws_hello(f, f->token_ann), bob = ws_hello(f, f->token_bob);
    ws_send(&ann, "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/own/\"}");
    ws_expect(&ann, "\"document\":{\"chats\":1,");
    ws_send(&bob, "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/own/\"}");
    ws_expect(&bob, "\"document\":{\"chats\":2,");
    assert_int_equal(metric(f, "views"), 2);
    int64_t position = sql(f, "INSERT INTO member VALUES ('" ID("34") "','" CHAT2 "','" ANN "',0)");
    ws_expect(&ann, "\"patch\":{\"chats\":2}");
    ws_expect_nothing(&bob, position);
    ws_close(&ann);
    ws_close(&bob);
}

static void readers_part_when_it_begins_to_ask_who_calls(void **state)
{
    fixture *f = *state;
    client ann = ws_subscribed(f, f->token_ann, "/api/parting/"),
           bob = ws_subscribed(f, f->token_bob, "/api/parting/");
    assert_int_equal(metric(f, "views"), 1);
    sql(f, "UPDATE message SET number = 100 WHERE number = 1");
    ws_expect(&ann, "{\"sub\":1,\"op\":\"load\",", "\"document\":{\"who\":\"" ANN "\"}");
    ws_expect(&bob, "{\"sub\":1,\"op\":\"load\",", "\"document\":{\"who\":\"" BOB "\"}");
    assert_int_equal(metric(f, "views"), 2);
    sql(f, "UPDATE message SET number = 1 WHERE number = 100");
    ws_expect(&ann, "everybody");
    ws_expect(&bob, "everybody");
    ws_close(&ann);
    ws_close(&bob);
}

/* --- failures --------------------------------------------------------------------------------- */

static void who_fails_at_the_first_run_is_refused(void **state)
{
    fixture *f = *state;
    sql(f, "UPDATE message SET number = 661 WHERE number = 1");
    client c = ws_hello(f, f->token_ann);
    for (int i = 0; i < 2; i++) {
        ws_send(&c, "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/sum/\"}");
        ws_expect(&c, "\"t\":\"error\",\"sub\":1,\"status\":403,\"code\":\"beast\"");
    }
    ws_expect_nothing(&c, sql(f, "UPDATE message SET number = 1 WHERE number = 661"));
    free(ws_snap(&c, 1, "/api/sum/"));
    ws_close(&c);
}

static void who_fails_later_ends(void **state)
{
    fixture *f = *state;
    client ann = ws_subscribed(f, f->token_ann, "/api/sum/"),
           bob = ws_subscribed(f, f->token_bob, "/api/sum/");
    free(ws_snap(&ann, 2, "/api/count/"));
    sql(f, "UPDATE message SET number = 661, chat = '" CHAT2 "' WHERE number = 1");
    ws_expect(&ann, "\"t\":\"tx\"", "\"document\":1");
    ws_expect(&ann, "\"t\":\"error\",\"sub\":1,\"status\":403,\"code\":\"beast\"");
    ws_expect(&bob, "\"t\":\"error\",\"sub\":1,\"status\":403");
    int64_t position = sql(f, "UPDATE message SET number = 1 WHERE number = 661");
    ws_expect_nothing(&bob, position);
    assert_int_equal(metric(f, "subscriptions"), 1);
    char *snap = ws_snap(&bob, 1, "/api/sum/");
    assert_non_null(strstr(snap, "\"sum\":6"));
    free(snap);
    ws_close(&ann);
    ws_close(&bob);
}

/* --- who is here ------------------------------------------------------------------------------ */

static void who_comes_and_goes_is_told(void **state)
{
    fixture *f = *state;
    client ann = ws_hello(f, f->token_ann);
    ws_send(&ann, "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/online/\"}");
    ws_expect(&ann, "\"document\":{\"online\":1,");
    client bob = ws_hello(f, f->token_bob), again = ws_hello(f, f->token_bob);
    ws_expect(&ann, "\"patch\":{\"online\":2}");
    ws_close(&bob);
    ws_close(&again);
    ws_expect(&ann, "\"patch\":{\"online\":1}");
    ws_close(&ann);
}

/* The log tells nobody of it who keeps answers. */
static void an_answer_that_says_who_is_here_is_followed_and_not_kept(void **state)
{
    fixture *f = *state;
    client ann = ws_hello(f, f->token_ann);
    atomic_store(&was_told, true);
    ws_send(&ann, "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/online/\"}");
    ws_expect(&ann, "\"document\":{\"online\":1,");
    assert_false(atomic_load(&was_told));
    atomic_store(&was_told, true);
    ws_send(&ann, "{\"t\":\"sub\",\"id\":2,\"url\":\"/api/bob/\"}");
    ws_expect(&ann, "\"document\":\"away\"");
    assert_false(atomic_load(&was_told));
    client bob = ws_hello(f, f->token_bob);
    ws_expect(&ann, "\"online\":2", "\"document\":\"here\"");
    ws_close(&bob);
    ws_close(&ann);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, start_computing_world, stop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(an_answer_comes_and_then_what_changes_in_it),
        IN_WORLD(an_answer_that_is_no_object_is_loaded),
        IN_WORLD(a_resumed_answer_starts_again_without_a_reset),
        IN_WORLD(an_answer_runs_again_in_a_flood),
        IN_WORLD(who_is_not_asked_for_shares),
        IN_WORLD(who_is_asked_for_has_an_answer_of_their_own),
        IN_WORLD(readers_part_when_it_begins_to_ask_who_calls),
        IN_WORLD(who_fails_at_the_first_run_is_refused),
        IN_WORLD(who_fails_later_ends),
        IN_WORLD(who_comes_and_goes_is_told),
        IN_WORLD(an_answer_that_says_who_is_here_is_followed_and_not_kept),
    };
    return cmocka_run_group_tests_name("live_computed", tests, NULL, NULL);
}
