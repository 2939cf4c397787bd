/* Views: which of them are shared, and that a window is exactly the first rows of its result whatever is
 * written. */
#include "live/testing.h"

#define CHAT1_MESSAGES "/api/messages/?chat=" CHAT1
#define INSERT_IN(chat, id, number) \
    "INSERT INTO message VALUES ('" MESSAGE(id) "','" chat "','" BOB "','m" id "'," number ");"
#define PUT(id) "\"op\":\"put\",\"id\":\"" MESSAGE(id) "\""
#define DEL(id) "\"op\":\"del\",\"id\":\"" MESSAGE(id) "\""

/* The next frame has `text` so many times. */
static void expect_times(client *c, const char *text, int times)
{
    char *got = ws_next(c);
    int found = 0;
    assert_non_null(got);
    for (const char *at = got; (at = strstr(at, text)) != NULL; at++)
        found++;
    if (found != times)
        fail_msg("%s has %s %d times instead of %d", got, text, found, times);
    free(got);
}

/* --- sharing ---------------------------------------------------------------------------------- */

static void a_chats_messages_are_one_view_for_all_who_pass_its_gate(void **state)
{
    enum { CLIENTS = 20 };
    fixture *f = *state;
    client clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = ws_subscribed(f, i % 2 == 0 ? f->token_ann : f->token_bob, CHAT1_MESSAGES);
    assert_int_equal(metric(f, "views"), 1);
    assert_int_equal(metric(f, "subscriptions"), CLIENTS);
    int64_t touched = metric(f, "matched_views_total");
    sql(f, "UPDATE message SET text = 'for all' WHERE number = 1");
    for (int i = 0; i < CLIENTS; i++)
        ws_expect(&clients[i], "\"t\":\"tx\"", "for all");
    assert_int_equal(metric(f, "matched_views_total"), touched + 1);
    for (int i = 0; i < CLIENTS; i++)
        ws_close(&clients[i]);
}

static void a_list_of_my_own_is_a_view_of_its_own(void **state)
{
    fixture *f = *state;
    client ann = ws_subscribed(f, f->token_ann, "/api/chats/"),
           too = ws_subscribed(f, f->token_ann, "/api/chats/");
    client bob = ws_subscribed(f, f->token_bob, "/api/chats/");
    assert_int_equal(metric(f, "views"), 2);
    sql(f, "UPDATE chat SET title = 'Both' WHERE id = '" CHAT1 "'");
    ws_expect(&ann, "Both");
    ws_expect(&too, "Both");
    ws_expect(&bob, "Both");
    int64_t position = sql(f, "UPDATE chat SET title = 'Bobs' WHERE id = '" CHAT2 "'");
    ws_expect(&bob, "Bobs");
    ws_expect_nothing(&ann, position);
    ws_close(&ann);
    ws_close(&too);
    ws_close(&bob);
}

/* The view is named once, whoever looks at it how often; letting go of one does not take the other. */
static void two_subscriptions_of_one_socket_on_one_url_are_told_once(void **state)
{
    fixture *f = *state;
    client c = ws_subscribed(f, f->token_ann, CHAT1_MESSAGES);
    free(ws_snap(&c, 2, CHAT1_MESSAGES));
    assert_int_equal(metric(f, "views"), 1);
    sql(f, "UPDATE message SET text = 'once' WHERE number = 1");
    expect_times(&c, "once", 1);
    ws_send(&c, "{\"t\":\"unsub\",\"sub\":1}");
    sql(f, "UPDATE message SET text = 'still' WHERE number = 1");
    expect_times(&c, "still", 1);
    ws_send(&c, "{\"t\":\"unsub\",\"sub\":2}");
    ws_expect_nothing(&c, sql(f, "UPDATE message SET text = 'never' WHERE number = 1"));
    ws_close(&c);
}

static void another_size_of_a_window_is_another_view_in_whole_pages(void **state)
{
    fixture *f = *state;
    client a = ws_subscribed(f, f->token_ann, CHAT1_MESSAGES "&limit=1");
    client b = ws_subscribed(f, f->token_bob, CHAT1_MESSAGES "&limit=1");
    ws_send(&a, "{\"t\":\"more\",\"sub\":1,\"limit\":2}");
    ws_expect(&a, "\"t\":\"window\"", "\"limit\":2", PUT("1"));
    assert_int_equal(metric(f, "views"), 2);
    ws_send(&b, "{\"t\":\"more\",\"sub\":1,\"limit\":2}");
    ws_expect(&b, "\"t\":\"window\"", "\"limit\":2", PUT("1"));
    assert_int_equal(metric(f, "views"), 2);
    sql(f, "UPDATE message SET text = 'second' WHERE number = 1");
    ws_expect(&a, "second");
    ws_expect(&b, "second");
    ws_close(&a);
    ws_close(&b);
}

/* --- access ----------------------------------------------------------------------------------- */

/* A note of Ann's in a chat of hers: hers for two reasons. */
static void a_row_visible_for_two_reasons_stays_until_both_are_gone(void **state)
{
    fixture *f = *state;
    client ann = ws_subscribed(f, f->token_ann, "/api/notes/"),
           bob = ws_subscribed(f, f->token_bob, "/api/notes/");
    sql(f, "INSERT INTO note VALUES ('" ID("61") "','" ANN "','" CHAT1 "','mine'),"
                                                 "('" ID("62") "','" BOB "','" CHAT1 "','ours')");
    ws_expect(&ann, "\"text\":\"mine\"", "\"text\":\"ours\"");
    ws_expect(&bob, "\"text\":\"mine\"", "\"text\":\"ours\"");
    int64_t position = sql(f, "DELETE FROM member WHERE chat = '" CHAT1 "' AND \"user\" = '" ANN "'");
    ws_expect_without(&ann, "\"op\":\"del\",\"id\":\"" ID("62") "\"", ID("61"));
    ws_expect_nothing(&bob, position);
    sql(f, "UPDATE note SET text = 'still mine' WHERE id = '" ID("61") "'");
    ws_expect(&ann, "still mine");
    ws_expect(&bob, "still mine");
    sql(f, "UPDATE note SET owner = '" BOB "' WHERE id = '" ID("61") "'");
    ws_expect(&ann, "\"op\":\"del\",\"id\":\"" ID("61") "\"");
    ws_expect(&bob, "\"op\":\"put\",\"id\":\"" ID("61") "\"");
    sql(f, "INSERT INTO member VALUES ('" ID("35") "','" CHAT1 "','" ANN "',0)");
    ws_expect(&ann, "\"op\":\"put\",\"id\":\"" ID("61") "\"", "\"op\":\"put\",\"id\":\"" ID("62") "\"");
    ws_close(&ann);
    ws_close(&bob);
}

static void who_is_revoked_is_told_nothing_of_the_transaction_that_did_it(void **state)
{
    fixture *f = *state;
    client ann = ws_subscribed(f, f->token_ann, CHAT1_MESSAGES),
           bob = ws_subscribed(f, f->token_bob, CHAT1_MESSAGES);
    free(ws_snap(&ann, 2, "/api/messages/"));
    free(ws_snap(&ann, 3, "/api/messages/" MESSAGE("1") "/"));
    sql(f, INSERT_IN(CHAT1, "4", "4") "UPDATE message SET text = 'secret' WHERE number = 1;"
                                      "DELETE FROM member WHERE chat = '" CHAT1 "' AND \"user\" = '" ANN "';"
                                      "UPDATE message SET text = 'secret too' WHERE number = 2");
    ws_expect(&bob, PUT("4"), "secret", "secret too");
    char *got = ws_next(&ann);
    assert_non_null(got);
    assert_null(strstr(got, "secret"));
    assert_null(strstr(got, MESSAGE("4")));
    assert_non_null(strstr(got, "{\"sub\":1,\"op\":\"load\",\"view\":0,"));
    assert_non_null(strstr(got, DEL("2")));                       /* of the list of her own */
    assert_non_null(strstr(strstr(got, DEL("1")) + 1, DEL("1"))); /* there, and the detail */
    free(got);
    ws_expect_nothing(&ann, sql(f, INSERT_IN(CHAT1, "5", "5")));
    ws_close(&ann);
    ws_close(&bob);
}

static void a_row_that_moves_between_two_chats_reaches_both_in_one_tx(void **state)
{
    fixture *f = *state;
    client bob = ws_subscribed(f, f->token_bob, CHAT1_MESSAGES),
           ann = ws_subscribed(f, f->token_ann, CHAT1_MESSAGES);
    free(ws_snap(&bob, 2, "/api/messages/?chat=" CHAT2));
    int64_t position = sql(f, "UPDATE message SET chat = '" CHAT2 "' WHERE number = 1");
    ws_expect(&bob, "\"t\":\"tx\"", DEL("1"), PUT("1"));
    ws_expect_without(&ann, DEL("1"), PUT("1"));
    ws_expect_nothing(&bob, position);
    ws_close(&bob);
    ws_close(&ann);
}

/* --- windows ---------------------------------------------------------------------------------- */

/* Rows numbered 1 … 30 of the chat; the window shows 30, 29, 28. */
static client open_window(fixture *f, const char *more)
{
    sql(f, "DELETE FROM message;"
           "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30)"
           "INSERT INTO message SELECT '00000000-0000-7000-8000-00000000' || CAST(7000 + i AS TEXT), '" CHAT1
           "', '" BOB "', 'm' || i, i FROM n");
    client c = ws_hello(f, f->token_ann);
    const char *url = tims_copy_c(f->arena, tims_print(f->arena, CHAT1_MESSAGES "&limit=3%s", more));
    char *snap = ws_snap(&c, 1, url);
    assert_non_null(strstr(snap, "\"limit\":3,\"end\":false"));
    assert_non_null(strstr(snap, "\"text\":\"m28\""));
    assert_null(strstr(snap, "\"text\":\"m27\""));
    free(snap);
    return c;
}

#define ROW(number) "00000000-0000-7000-8000-0000000070" number

static void a_window_is_exact_under_inserts_deletes_and_moves(void **state)
{
    fixture *f = *state;
    client c = open_window(f, "");
    /* in front: the client lets go of the last by itself */
    sql(f, INSERT_IN(CHAT1, "4", "40"));
    ws_expect_without(&c, PUT("4"), "\"op\":\"del\"");
    /* behind: nothing */
    ws_expect_nothing(&c,
                      sql(f, "UPDATE message SET text = 'far' WHERE number = 3;" INSERT_IN(CHAT1, "5", "0")));
    /* one goes: the next moves up, from the spare rows */
    sql(f, "DELETE FROM message WHERE number = 40");
    ws_expect(&c, DEL("4"), "\"op\":\"put\",\"id\":\"" ROW("28") "\"");
    /* across the edge, out and in */
    sql(f, "UPDATE message SET number = 2 WHERE number = 29");
    ws_expect(&c, "\"op\":\"del\",\"id\":\"" ROW("29") "\"", "\"op\":\"put\",\"id\":\"" ROW("27") "\"");
    sql(f, "UPDATE message SET number = 29 WHERE id = '" ROW("29") "'");
    ws_expect_without(&c, "\"op\":\"put\",\"id\":\"" ROW("29") "\"", "\"op\":\"del\"");
    /* within it */
    sql(f, "UPDATE message SET number = 100 WHERE number = 28");
    ws_expect_without(&c, "\"op\":\"put\",\"id\":\"" ROW("28") "\"", "\"op\":\"del\"");
    /* both at once: one in front comes and the first goes */
    sql(f, "DELETE FROM message WHERE number = 100;" INSERT_IN(CHAT1, "6", "60"));
    ws_expect_without(&c, PUT("6"), "\"op\":\"put\",\"id\":\"" ROW("27") "\"");
    ws_close(&c);
}

/* More goes than is kept to fill from: the window is read again, and is exact. */
static void a_window_that_runs_dry_is_read_again(void **state)
{
    fixture *f = *state;
    client c = open_window(f, "");
    sql(f, "DELETE FROM message WHERE number > 10");
    ws_expect(&c, "\"op\":\"del\",\"id\":\"" ROW("30") "\"", "\"op\":\"del\",\"id\":\"" ROW("28") "\"",
              "\"op\":\"put\",\"id\":\"" ROW("10") "\"", "\"op\":\"put\",\"id\":\"" ROW("08") "\"");
    sql(f, "DELETE FROM message WHERE number > 1");
    ws_expect(&c, "\"op\":\"put\",\"id\":\"" ROW("01") "\"", "\"op\":\"end\",\"end\":true");
    sql(f, "DELETE FROM message");
    ws_expect_without(&c, "\"op\":\"del\",\"id\":\"" ROW("01") "\"", "\"op\":\"end\"");
    ws_close(&c);
}

static void the_end_and_the_total_are_told_when_they_change(void **state)
{
    fixture *f = *state;
    client c = open_window(f, "&total=true");
    sql(f, INSERT_IN(CHAT1, "4", "0"));
    ws_expect_without(&c, "\"op\":\"total\",\"total\":31", "\"op\":\"put\"");
    ws_expect_nothing(&c, sql(f, "UPDATE message SET text = 'x' WHERE number = 0;"
                                 "UPDATE message SET chat = '" CHAT1 "' WHERE number = 1"));
    sql(f, "UPDATE message SET chat = '" CHAT2 "' WHERE number = 0");
    ws_expect_without(&c, "\"op\":\"total\",\"total\":30", "\"op\":\"put\"");
    sql(f, "DELETE FROM message WHERE number > 3");
    ws_expect(&c, "\"op\":\"total\",\"total\":3", "\"op\":\"end\",\"end\":true");
    sql(f, INSERT_IN(CHAT1, "5", "0"));
    ws_expect(&c, "\"op\":\"total\",\"total\":4", "\"op\":\"end\",\"end\":false");
    sql(f, "DELETE FROM message WHERE number = 3");
    ws_expect(&c, PUT("5"), "\"op\":\"total\",\"total\":3", "\"op\":\"end\",\"end\":true");
    ws_close(&c);
}

static void a_range_lets_rows_in_and_out(void **state)
{
    fixture *f = *state;
    client c = ws_subscribed(f, f->token_bob, "/api/messages/?number__gte=2&total=true");
    sql(f, "UPDATE message SET number = 9 WHERE number = 1");
    ws_expect(&c, PUT("1"), "\"op\":\"total\",\"total\":3");
    sql(f, "UPDATE message SET number = 0 WHERE number = 9");
    ws_expect(&c, DEL("1"), "\"op\":\"total\",\"total\":2");
    ws_close(&c);
}

#define PARCEL(n) ID("8" n)
#define PUT_PARCEL(n) "\"op\":\"put\",\"id\":\"" PARCEL(n) "\""
#define DEL_PARCEL(n) "\"op\":\"del\",\"id\":\"" PARCEL(n) "\""

static void insert_parcel(fixture *f, const char *id, const char *seal)
{
    bool is_postgres = tims_db_dialect_of(f->db) == TIMS_POSTGRES;
    tims_str text = tims_print(f->arena, "INSERT INTO parcel VALUES ('%s', %s%s', 0.1)", id,
                               is_postgres ? "'\\x" : "x'", seal);
    sql(f, tims_copy_c(f->arena, text));
}

/* Of what stands in the window since an earlier step the bytes are there, too. */
static void a_window_can_be_ordered_by_bytes(void **state)
{
    fixture *f = *state;
    insert_parcel(f, PARCEL("1"), "20");
    insert_parcel(f, PARCEL("2"), "40");
    client c = ws_subscribed(f, f->token_ann, "/api/parcels/?limit=2");
    insert_parcel(f, PARCEL("3"), "30"); /* 1, 3; then 2 */
    ws_expect(&c, PUT_PARCEL("3"));
    sql(f, "DELETE FROM parcel WHERE id = '" PARCEL("1") "'");
    ws_expect(&c, DEL_PARCEL("1"), PUT_PARCEL("2"));
    ws_close(&c);
}

/* The log may write such a number otherwise than we do. */
static void rows_of_one_double_leave_when_it_changes_and_when_they_go(void **state)
{
    fixture *f = *state;
    insert_parcel(f, PARCEL("1"), "10");
    insert_parcel(f, PARCEL("2"), "20");
    client c = ws_subscribed(f, f->token_ann, "/api/parcels/?weight=0.1");
    sql(f, "UPDATE parcel SET weight = 5 WHERE id = '" PARCEL("1") "'");
    ws_expect(&c, DEL_PARCEL("1"));
    sql(f, "DELETE FROM parcel WHERE id = '" PARCEL("2") "'");
    ws_expect(&c, DEL_PARCEL("2"));
    ws_close(&c);
}

/* A page that ends before a row: the rows nearest to it, in the list's order, and no others. */
static void a_page_before_a_row_is_live(void **state)
{
    fixture *f = *state;
    client c = open_window(f, "");
    const char *url = CHAT1_MESSAGES "&limit=3&before=20";
    char *snap = ws_snap(&c, 2, url);
    const char *first = strstr(snap, "\"text\":\"m23\""), *last = strstr(snap, "\"text\":\"m21\"");
    assert_true(first != NULL && last > first);
    assert_non_null(strstr(snap, "\"order\":\"-number,-id\""));
    assert_null(strstr(snap, "\"text\":\"m24\""));
    assert_null(strstr(snap, "\"text\":\"m20\""));
    assert_non_null(strstr(snap, "\"end\":true")); /* there is no more of it */
    free(snap);
    /* within it: the farthest leaves at the front */
    sql(f, "UPDATE message SET number = 21 WHERE number = 2");
    ws_expect(&c, "\"op\":\"del\",\"id\":\"" ROW("23") "\"", "\"op\":\"put\",\"id\":\"" ROW("02") "\"");
    /* one goes: the next comes in at the front */
    sql(f, "DELETE FROM message WHERE number = 22");
    ws_expect(&c, "\"op\":\"del\",\"id\":\"" ROW("22") "\"", "\"op\":\"put\",\"id\":\"" ROW("23") "\"");
    /* in front of it, and behind: nothing */
    ws_expect_nothing(&c, sql(f, "DELETE FROM message WHERE number IN (24, 19)"));
    ws_send(&c, "{\"t\":\"more\",\"sub\":2,\"limit\":6}");
    ws_expect(&c, "\"t\":\"window\"", "\"limit\":3", "\"ops\":[]");
    sql(f, "DELETE FROM message WHERE number > 22");
    ws_expect(&c, "\"op\":\"del\",\"id\":\"" ROW("30") "\"", "\"op\":\"del\",\"id\":\"" ROW("23") "\"");
    ws_close(&c);
}

/* --- what is asked for ------------------------------------------------------------------------ */

static void only_the_fields_that_were_asked_for_come(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann), whole = ws_subscribed(f, f->token_ann, CHAT1_MESSAGES);
    char *snap = ws_snap(&c, 1, CHAT1_MESSAGES "&fields=text");
    assert_null(strstr(snap, "\"sender\""));
    free(snap);
    sql(f, "UPDATE message SET text = 'short' WHERE number = 1");
    ws_expect(&c, "\"row\":{\"id\":\"" MESSAGE("1") "\",\"text\":\"short\"}");
    ws_expect(&whole, "\"text\":\"short\"", "\"sender\":\"" ANN "\"");
    /* a row that moves up is read, and cut in the same way */
    free(ws_snap(&c, 2, CHAT1_MESSAGES "&limit=1&fields=text"));
    sql(f, "DELETE FROM message WHERE number = 2");
    ws_expect(&c, "\"op\":\"put\",\"id\":\"" MESSAGE("1") "\",\"row\":{\"id\":\"" MESSAGE(
                      "1") "\",\"text\":\"short\"}");
    ws_close(&c);
    ws_close(&whole);
}

static void a_search_is_a_result_like_any_other(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    char *snap = ws_snap(&c, 1, CHAT1_MESSAGES "&search=apple&total=true");
    assert_non_null(strstr(snap, "\"rows\":[]"));
    free(snap);
    sql(f, "UPDATE message SET text = 'An APPLE a day' WHERE number = 1");
    ws_expect(&c, PUT("1"), "\"op\":\"total\",\"total\":1");
    ws_expect_nothing(&c, sql(f, "UPDATE message SET text = 'a pear' WHERE number = 2"));
    sql(f, "UPDATE message SET text = 'keeps who away?' WHERE number = 1");
    ws_expect(&c, DEL("1"), "\"op\":\"total\",\"total\":0");
    ws_close(&c);
}

/* The view goes on when whoever opened it has gone, URL and all. */
static void a_view_outlives_who_opened_it(void **state)
{
    fixture *f = *state;
    client first = ws_subscribed(f, f->token_ann, CHAT1_MESSAGES "&search=apple");
    client second = ws_subscribed(f, f->token_bob, CHAT1_MESSAGES "&search=apple");
    ws_send(&first, "{\"t\":\"unsub\",\"sub\":1}");
    ws_expect_nothing(&first, sql(f, "UPDATE message SET text = 'apple' WHERE number = 1"));
    ws_expect(&second, PUT("1"));
    ws_close(&first);
    sql(f, "UPDATE message SET text = 'apple pie' WHERE number = 2");
    ws_expect(&second, PUT("2"));
    ws_close(&second);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, start_world, stop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_chats_messages_are_one_view_for_all_who_pass_its_gate),
        IN_WORLD(a_list_of_my_own_is_a_view_of_its_own),
        IN_WORLD(two_subscriptions_of_one_socket_on_one_url_are_told_once),
        IN_WORLD(another_size_of_a_window_is_another_view_in_whole_pages),
        IN_WORLD(a_row_visible_for_two_reasons_stays_until_both_are_gone),
        IN_WORLD(who_is_revoked_is_told_nothing_of_the_transaction_that_did_it),
        IN_WORLD(a_row_that_moves_between_two_chats_reaches_both_in_one_tx),
        IN_WORLD(a_window_is_exact_under_inserts_deletes_and_moves),
        IN_WORLD(a_window_that_runs_dry_is_read_again),
        IN_WORLD(the_end_and_the_total_are_told_when_they_change),
        IN_WORLD(a_range_lets_rows_in_and_out),
        IN_WORLD(a_window_can_be_ordered_by_bytes),
        IN_WORLD(rows_of_one_double_leave_when_it_changes_and_when_they_go),
        IN_WORLD(a_page_before_a_row_is_live),
        IN_WORLD(only_the_fields_that_were_asked_for_come),
        IN_WORLD(a_search_is_a_result_like_any_other),
        IN_WORLD(a_view_outlives_who_opened_it),
    };
    return cmocka_run_group_tests_name("live_view", tests, NULL, NULL);
}
