/* Going on from a position: after a drop, from a page's data, over server-sent events. */
#include "live/testing.h"

#define CHAT1_MESSAGES "/api/messages/?chat=" CHAT1

static void subscribe_from(client *c, const fixture *f, const char *url, int64_t position, int rows)
{
    ws_send(c, "{\"t\":\"sub\",\"id\":1,\"url\":\"%s\",\"from\":\"%.*s-%lld\",\"limit\":%d}", url,
            TIMS_PRINT(tims_live_epoch(f->live)), (long long)position, rows);
}

static int64_t snap_and_drop(fixture *f, const char *token, const char *url)
{
    client c = ws_hello(f, token);
    char *snap = ws_snap(&c, 1, url);
    int64_t position = position_of(snap);
    free(snap);
    ws_close(&c);
    return position;
}

static void what_happened_meanwhile_comes_and_nothing_else(void **state)
{
    fixture *f = *state;
    int64_t position = snap_and_drop(f, f->token_ann, CHAT1_MESSAGES);
    sql(f, "INSERT INTO message VALUES ('" MESSAGE(
               "4") "','" CHAT1 "','" BOB "','four',4);"
                    "DELETE FROM message WHERE number = 1; UPDATE message SET text = 'x' WHERE number = 3");
    client c = ws_hello(f, f->token_ann);
    subscribe_from(&c, f, CHAT1_MESSAGES, position, 2);
    ws_expect(&c, "\"t\":\"resumed\"", "\"sub\":1", "\"order\":\"-number,-id\"", "\"end\":true",
              "\"op\":\"put\",\"id\":\"" MESSAGE("4") "\"",
              "{\"sub\":1,\"op\":\"del\",\"id\":\"" MESSAGE("1") "\"}");
    sql(f, "UPDATE message SET text = 'after' WHERE number = 2");
    ws_expect(&c, "\"op\":\"put\"", "\"text\":\"after\"");
    ws_close(&c);
}

static void nothing_comes_when_nothing_happened(void **state)
{
    fixture *f = *state;
    int64_t position = snap_and_drop(f, f->token_ann, CHAT1_MESSAGES);
    client c = ws_hello(f, f->token_ann);
    subscribe_from(&c, f, CHAT1_MESSAGES, position, 2);
    ws_expect(&c, "\"t\":\"resumed\"", "\"ops\":[]");
    ws_expect_nothing(&c, position);
    ws_close(&c);
}

/* Rows that moved up into the window while the client was away are not assumed to be there. */
static void a_window_that_shrank_is_filled(void **state)
{
    fixture *f = *state;
    sql(f, "INSERT INTO message VALUES ('" MESSAGE("4") "','" CHAT1 "','" BOB "','four',4)");
    int64_t position = snap_and_drop(f, f->token_ann, CHAT1_MESSAGES "&limit=2"); /* four, two */
    sql(f, "DELETE FROM message WHERE number = 4");
    client c = ws_hello(f, f->token_ann);
    subscribe_from(&c, f, CHAT1_MESSAGES "&limit=2", position, 2);
    ws_expect(&c, "\"t\":\"resumed\"", "\"op\":\"put\",\"id\":\"" MESSAGE("1") "\"",
              "\"op\":\"del\",\"id\":\"" MESSAGE("4") "\"");
    ws_close(&c);
}

static void a_row_that_left_by_update_leaves(void **state)
{
    fixture *f = *state;
    int64_t position = snap_and_drop(f, f->token_bob, CHAT1_MESSAGES);
    sql(f, "UPDATE message SET chat = '" CHAT2 "' WHERE number = 2");
    client c = ws_hello(f, f->token_bob);
    subscribe_from(&c, f, CHAT1_MESSAGES, position, 2);
    ws_expect(&c, "\"t\":\"resumed\"", "{\"sub\":1,\"op\":\"del\",\"id\":\"" MESSAGE("2") "\"}");
    ws_close(&c);
}

static void lost_access_starts_again(void **state)
{
    fixture *f = *state;
    int64_t position = snap_and_drop(f, f->token_ann, CHAT1_MESSAGES);
    sql(f, "UPDATE member SET seen = 5");
    client c = ws_hello(f, f->token_ann);
    subscribe_from(&c, f, CHAT1_MESSAGES, position, 2);
    ws_expect(&c, "\"t\":\"resumed\""); /* another column of the membership is no change of access */
    ws_close(&c);
    sql(f, "DELETE FROM member WHERE id = '" ID("31") "'");
    c = ws_hello(f, f->token_ann);
    subscribe_from(&c, f, CHAT1_MESSAGES, position, 2);
    ws_expect(&c, "\"t\":\"reset\"", "\"reason\":\"access\"");
    ws_expect(&c, "\"t\":\"snap\"", "\"rows\":[]");
    ws_close(&c);
}

static void another_epoch_and_nonsense_start_again(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    static const char *const from[] = { "0123456789abcdef-1", "nonsense",
                                        "0123456789abcdef-99999999999999999999" };
    for (int i = 0; i < 3; i++) {
        ws_send(&c, "{\"t\":\"sub\",\"id\":%d,\"url\":\"" CHAT1_MESSAGES "\",\"from\":\"%s\"}", i + 1,
                from[i]);
        ws_expect(&c, "\"t\":\"reset\"", "\"reason\":\"epoch\"");
        ws_expect(&c, "\"t\":\"snap\"", "\"text\":\"two\"");
    }
    ws_close(&c);
    c = ws_hello(f, f->token_ann);
    subscribe_from(&c, f, CHAT1_MESSAGES, 1000000, 2); /* a position of the future: another log */
    ws_expect(&c, "\"t\":\"reset\"", "\"reason\":\"epoch\"");
    ws_expect(&c, "\"t\":\"snap\"");
    ws_close(&c);
}

static int start_small_world(void **state)
{
    world_options.resume_changes_max = 5;
    return start_world(state);
}

static void too_far_back_starts_again(void **state)
{
    fixture *f = *state;
    int64_t position = snap_and_drop(f, f->token_ann, CHAT1_MESSAGES);
    client c = ws_hello(f, f->token_ann);
    int64_t first =
        sql(f, "INSERT INTO message VALUES ('" ID("51") "','" CHAT1 "','" BOB "','a',11),('" ID(
                   "52") "','" CHAT1 "','" BOB "','b',12),('" ID("53") "','" CHAT1 "','" BOB "','c',13)");
    ws_expect_nothing(&c, first); /* so what follows is read by itself, and the two are too many */
    sql(f, "INSERT INTO message VALUES ('" ID("54") "','" CHAT1 "','" BOB "','d',14),('" ID(
               "55") "','" CHAT1 "','" BOB "','e',15),('" ID("56") "','" CHAT1 "','" BOB "','last',16)");
    subscribe_from(&c, f, CHAT1_MESSAGES, position, 2);
    ws_expect(&c, "\"t\":\"reset\"", "\"reason\":\"too_far\"");
    ws_expect(&c, "\"t\":\"snap\"", "\"last\"");
    ws_close(&c);
}

/* From before this process began: what is not in memory is in the log, unless it has been pruned. */
static void the_log_reaches_back_until_it_is_pruned(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    subscribe_from(&c, f, CHAT1_MESSAGES, f->before_messages, 2);
    ws_expect(&c, "\"t\":\"resumed\"", "\"op\":\"put\",\"id\":\"" MESSAGE("2") "\"");
    ws_close(&c);
    sql(f, "DELETE FROM tims_mark; DELETE FROM tims_change WHERE id < (SELECT max(id) FROM tims_change)");
    c = ws_hello(f, f->token_ann);
    subscribe_from(&c, f, CHAT1_MESSAGES, 1, 2);
    ws_expect(&c, "\"t\":\"reset\"", "\"reason\":\"too_far\"");
    ws_expect(&c, "\"t\":\"snap\"");
    ws_close(&c);
}

static void prune_always(live__limits *limits)
{
    limits->prune_ms = 0;
}

static int start_old_world(void **state)
{
    world_log_start = 2 * LIVE__LOG_ROWS_MAX;
    adjust_world = prune_always;
    int result = start_world(state);
    adjust_world = NULL;
    return result;
}

/* What a node notes before it has read a change is no older than the log is. */
static void a_start_throws_nothing_away(void **state)
{
    fixture *f = *state;
    client c = ws_subscribed(f, f->token_ann, CHAT1_MESSAGES);
    sql(f, "UPDATE message SET text = 'new' WHERE number = 2");
    ws_expect(&c, "\"t\":\"tx\"", "\"text\":\"new\"");
    ws_close(&c);
    c = ws_hello(f, f->token_ann); /* its step comes after the log was pruned */
    subscribe_from(&c, f, CHAT1_MESSAGES, f->before_messages, 2);
    ws_expect(&c, "\"t\":\"resumed\"", "\"op\":\"put\",\"id\":\"" MESSAGE("2") "\"");
    ws_close(&c);
}

static void a_changed_row_that_documents_include_comes(void **state)
{
    fixture *f = *state;
    int64_t position = snap_and_drop(f, f->token_ann, CHAT1_MESSAGES "&include=sender");
    sql(f, "UPDATE \"user\" SET display_name = 'Robert' WHERE id = '" BOB "'");
    client c = ws_hello(f, f->token_ann);
    subscribe_from(&c, f, CHAT1_MESSAGES "&include=sender", position, 2);
    ws_expect(&c, "\"t\":\"resumed\"", "\"op\":\"include\"", "Robert");
    position = sql(f, "UPDATE message SET text = 'two again' WHERE number = 2");
    sql(f, "INSERT INTO message VALUES ('" MESSAGE("4") "','" CHAT1 "','" EVE "','four',4)");
    ws_close(&c);
    c = ws_hello(f, f->token_ann);
    subscribe_from(&c, f, CHAT1_MESSAGES "&include=sender", position, 2);
    ws_expect(&c, "\"t\":\"resumed\"", "\"op\":\"put\"", "\"op\":\"include\"", "\"username\":\"eve\"");
    ws_close(&c);
}

/* --- server-sent events ----------------------------------------------------------------------- */

typedef struct events {
    int fd;
    char text[65536];
    size_t length;
} events;

static events *open_events(const fixture *f, const char *token, const char *url, const char *header)
{
    events *e = calloc(1, sizeof *e);
    e->fd = test_connect(&f->server);
    tims_str request = tims_print(f->arena,
                                  "GET /events%s HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
                                  "Authorization: Bearer %s\r\n%s\r\n",
                                  url, token, header);
    test_send(e->fd, tims_copy_c(f->arena, request));
    return e;
}

/* Reads on until the text has come. */
static void expect_event(events *e, const char *text)
{
    while (strstr(e->text, text) == NULL) {
        ssize_t got = test_receive(e->fd, e->text + e->length, sizeof e->text - e->length - 1);
        if (got <= 0)
            fail_msg("got %s, expected %s", e->text, text);
        e->length += (size_t)got;
    }
}

static void close_events(events *e)
{
    close(e->fd);
    free(e);
}

static void events_tell_the_same(void **state)
{
    fixture *f = *state;
    events *e = open_events(f, f->token_ann, CHAT1_MESSAGES, "");
    expect_event(e, "Content-Type: text/event-stream");
    expect_event(e, "event: snap\nid: ");
    expect_event(e, "\"sub\":0");
    expect_event(e, "\"text\":\"two\"");
    int64_t position = sql(f, "UPDATE message SET text = 'changed' WHERE number = 2");
    char id[64];
    snprintf(id, sizeof id, "event: tx\nid: %.*s-", TIMS_PRINT(tims_live_epoch(f->live)));
    expect_event(e, id);
    expect_event(e, "\"text\":\"changed\"");
    close_events(e);
    sql(f, "UPDATE message SET text = 'missed' WHERE number = 1");
    snprintf(id, sizeof id, "Last-Event-ID: %.*s-%lld\r\n", TIMS_PRINT(tims_live_epoch(f->live)),
             (long long)position);
    e = open_events(f, f->token_ann, CHAT1_MESSAGES, id);
    expect_event(e, "\"text\":\"missed\"");
    assert_null(strstr(e->text, "event: snap"));
    close_events(e);
}

/* Who is cut off between the two resumes from where it was before. */
static void a_reset_is_no_place_to_resume_from(void **state)
{
    fixture *f = *state;
    events *e = open_events(f, f->token_ann, CHAT1_MESSAGES, "Last-Event-ID: 0123456789abcdef-1\r\n");
    expect_event(e, "event: reset\ndata: ");
    expect_event(e, "event: snap\nid: ");
    close_events(e);
}

static void events_of_no_list_are_refused(void **state)
{
    fixture *f = *state;
    events *e = open_events(f, f->token_ann, "/api/nothing/", "");
    expect_event(e, "HTTP/1.1 404");
    close_events(e);
}

static void events_end_when_the_session_does(void **state)
{
    fixture *f = *state;
    events *e = open_events(f, f->token_ann, CHAT1_MESSAGES, "");
    expect_event(e, "event: snap");
    sql(f, "DELETE FROM auth_session WHERE id = '" LOGIN_ANN "'");
    expect_event(e, "\r\n0\r\n\r\n");
    close_events(e);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, start_world, stop_world)
#define IN_SMALL_WORLD(test) cmocka_unit_test_setup_teardown(test, start_small_world, stop_world)
#define IN_OLD_WORLD(test) cmocka_unit_test_setup_teardown(test, start_old_world, stop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(what_happened_meanwhile_comes_and_nothing_else),
        IN_WORLD(nothing_comes_when_nothing_happened),
        IN_WORLD(a_window_that_shrank_is_filled),
        IN_WORLD(a_row_that_left_by_update_leaves),
        IN_WORLD(lost_access_starts_again),
        IN_WORLD(another_epoch_and_nonsense_start_again),
        IN_SMALL_WORLD(too_far_back_starts_again),
        IN_WORLD(the_log_reaches_back_until_it_is_pruned),
        IN_OLD_WORLD(a_start_throws_nothing_away),
        IN_WORLD(a_changed_row_that_documents_include_comes),
        IN_WORLD(events_tell_the_same),
        IN_WORLD(a_reset_is_no_place_to_resume_from),
        IN_WORLD(events_of_no_list_are_refused),
        IN_WORLD(events_end_when_the_session_does),
    };
    return cmocka_run_group_tests_name("live_resume", tests, NULL, NULL);
}
