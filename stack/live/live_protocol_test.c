/* The protocol page's table of states, row by row: what each message is answered with in each state, what an
 * unreadable frame is closed with, and that another client of the same server is told its changes all the
 * while. */
#include "live/testing.h"

#define CHAT1_MESSAGES "/api/messages/?chat=" CHAT1

typedef enum session_state { OPENED, WELCOMED, CLOSING } session_state;

/* Another client of the same server, which must not notice. */
typedef struct witness {
    client c;
    fixture *f;
    int number;
} witness;

static witness call_witness(fixture *f)
{
    witness w = { .c = ws_hello(f, f->token_bob), .f = f };
    free(ws_snap(&w.c, 1, CHAT1_MESSAGES));
    return w;
}

static void expect_served(witness *w, const char *row)
{
    char text[64], statement[128];
    snprintf(text, sizeof text, "still told %d", ++w->number);
    snprintf(statement, sizeof statement, "UPDATE message SET text = '%s' WHERE number = 1", text);
    sql(w->f, statement);
    char *got = ws_next(&w->c);
    if (got == NULL || strstr(got, text) == NULL)
        fail_msg("after %s another client got %s, expected %s", row, got != NULL ? got : "nothing", text);
    free(got);
}

static client in_state(fixture *f, session_state state)
{
    client c = state == OPENED ? ws_connect(f, "") : ws_hello(f, f->token_ann);
    if (state != CLOSING)
        return c;
    ws_send(&c, "{\"t\":\"auth\",\"token\":\"of nobody\"}");
    ws_expect(&c, "\"t\":\"error\"", "\"status\":401");
    ws_expect(&c, "\"t\":\"bye\"", "session_ended");
    return c;
}

/* --- messages --------------------------------------------------------------------------------- */

#define MALFORMED "\"status\":400,\"code\":\"malformed\""
#define UNKNOWN "\"status\":400,\"code\":\"unknown_message\""
#define HELLO_FIRST "\"status\":400,\"code\":\"hello_first\""
#define SUB "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/chats/\"}"
#define JOIN "{\"t\":\"join\",\"id\":2,\"url\":\"/api/chats/" CHAT1 "/\"}"

static const struct {
    const char *frame;
    const char *opened, *welcomed; /* part of the answer; "": none */
} messages[] = {
    { SUB, HELLO_FIRST, "\"t\":\"snap\",\"sub\":1" },
    { "{\"t\":\"more\",\"sub\":1,\"limit\":5}", HELLO_FIRST, "\"status\":404,\"code\":\"not_found\"" },
    { "{\"t\":\"unsub\",\"sub\":1}", HELLO_FIRST, "" },
    { "{\"t\":\"ping\"}", HELLO_FIRST, "\"t\":\"pong\"" },
    { "{\"t\":\"ping\",\"more\":[{}]}", HELLO_FIRST, "\"t\":\"pong\"" },
    { JOIN, HELLO_FIRST, "\"t\":\"presence\",\"join\":2" },
    { "{\"t\":\"join\",\"id\":2,\"url\":\"/api/chats/" CHAT2 "/\"}", HELLO_FIRST,
      "\"join\":2,\"status\":404" },
    { "{\"t\":\"join\",\"id\":2,\"url\":\"/api/chats/\"}", HELLO_FIRST, "\"join\":2,\"status\":404" },
    { "{\"t\":\"join\",\"id\":2,\"url\":\"/nowhere/\"}", HELLO_FIRST, "\"join\":2,\"status\":404" },
    { "{\"t\":\"leave\",\"join\":2}", HELLO_FIRST, "" },
    { "{\"t\":\"publish\",\"join\":2,\"kind\":\"x\",\"data\":1}", HELLO_FIRST, "\"join\":2,\"status\":404" },
    { "{\"t\":\"hello\",\"protocol\":2}", "\"t\":\"welcome\"", "\"status\":400,\"code\":\"hello_twice\"" },
    { "{\"t\":\"dance\"}", UNKNOWN, UNKNOWN },
    { "{\"t\":\"\"}", UNKNOWN, UNKNOWN },
    { "{\"t\":\"snap\"}", UNKNOWN, UNKNOWN },
    /* no message */
    { "", MALFORMED, MALFORMED },
    { " ", MALFORMED, MALFORMED },
    { "{", MALFORMED, MALFORMED },
    { "null", MALFORMED, MALFORMED },
    { "[]", MALFORMED, MALFORMED },
    { "\"ping\"", MALFORMED, MALFORMED },
    { "{}", MALFORMED, MALFORMED },
    { "{\"t\":1}", MALFORMED, MALFORMED },
    { "{\"t\":[\"ping\"]}", MALFORMED, MALFORMED },
    { "{\"t\":\"ping\"}{\"t\":\"ping\"}", MALFORMED, MALFORMED },
    { "{\"t\":\"ping\",\"t\":\"ping\"}", MALFORMED, MALFORMED },
    { "{\"t\":\"sub\",\"id\":1,\"id\":2,\"url\":\"/api/chats/\"}", MALFORMED, MALFORMED },
    /* members missing or of the wrong type */
    { "{\"t\":\"hello\",\"protocol\":2,\"token\":1}", MALFORMED, MALFORMED },
    { "{\"t\":\"sub\",\"url\":\"/api/chats/\"}", MALFORMED, MALFORMED },
    { "{\"t\":\"sub\",\"id\":true,\"url\":\"/api/chats/\"}", MALFORMED, MALFORMED },
    { "{\"t\":\"sub\",\"id\":1.5,\"url\":\"/api/chats/\"}", MALFORMED, MALFORMED },
    { "{\"t\":\"sub\",\"id\":-1,\"url\":\"/api/chats/\"}", MALFORMED, MALFORMED },
    { "{\"t\":\"sub\",\"id\":99999999999999999999,\"url\":\"/api/chats/\"}", MALFORMED, MALFORMED },
    { "{\"t\":\"sub\",\"id\":1,\"url\":[\"/api/chats/\"]}", MALFORMED, MALFORMED },
    { "{\"t\":\"sub\",\"id\":1,\"url\":null}", MALFORMED, MALFORMED },
    { "{\"t\":\"sub\",\"id\":1,\"url\":\"\"}", MALFORMED, MALFORMED },
    { "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/chats/\",\"from\":7}", MALFORMED, MALFORMED },
    { "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/chats/\",\"limit\":\"7\"}", MALFORMED, MALFORMED },
    { "{\"t\":\"more\",\"sub\":1}", MALFORMED, MALFORMED },
    { "{\"t\":\"more\",\"sub\":1,\"limit\":0}", MALFORMED, MALFORMED },
    { "{\"t\":\"more\",\"limit\":5}", MALFORMED, MALFORMED },
    { "{\"t\":\"unsub\"}", MALFORMED, MALFORMED },
    { "{\"t\":\"unsub\",\"sub\":\"1\"}", MALFORMED, MALFORMED },
    { "{\"t\":\"auth\"}", MALFORMED, MALFORMED },
    { "{\"t\":\"auth\",\"token\":\"\"}", MALFORMED, MALFORMED },
    { "{\"t\":\"auth\",\"token\":{}}", MALFORMED, MALFORMED },
    { "{\"t\":\"join\",\"id\":2}", MALFORMED, MALFORMED },
    { "{\"t\":\"join\",\"id\":2,\"url\":\"/api/chats/" CHAT1 "/\",\"present\":1}", MALFORMED, MALFORMED },
    { "{\"t\":\"join\",\"id\":2,\"url\":\"/api/chats/" CHAT1 "/\",\"state\":[]}", MALFORMED, MALFORMED },
    { "{\"t\":\"leave\"}", MALFORMED, MALFORMED },
    { "{\"t\":\"publish\",\"join\":2,\"kind\":\"x\"}", MALFORMED, MALFORMED },
    { "{\"t\":\"publish\",\"join\":2,\"kind\":1,\"data\":1}", MALFORMED, MALFORMED },
};

/* The frame's answer, and that the session goes on as it was. */
static void expect_answer(client *c, const char *frame, const char *answer, const char *goes_on)
{
    ws_send(c, "%s", frame);
    if (answer[0] != '\0') {
        char *got = ws_next(c);
        if (got == NULL || strstr(got, answer) == NULL)
            fail_msg("%s was answered with %s, expected %s", frame, got != NULL ? got : "nothing", answer);
        free(got);
    }
    ws_send(c, "{\"t\":\"ping\"}");
    for (;;) {
        char *got = ws_next(c);
        if (got == NULL)
            fail_msg("%s ended the session (%d)", frame, c->closed);
        bool is_it = strstr(got, goes_on) != NULL;
        bool is_presence = strstr(got, "\"t\":\"presence\"") != NULL; /* the room's own news */
        if (!is_it && !is_presence)
            fail_msg("after %s came %s, expected %s", frame, got, goes_on);
        free(got);
        if (is_it)
            return;
    }
}

static void every_message_has_its_answer_in_every_state(void **state)
{
    fixture *f = *state;
    witness w = call_witness(f);
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        client c = in_state(f, OPENED);
        bool greets = strstr(messages[i].opened, "welcome") != NULL;
        expect_answer(&c, messages[i].frame, messages[i].opened, greets ? "\"t\":\"pong\"" : HELLO_FIRST);
        ws_close(&c);
        c = in_state(f, WELCOMED);
        expect_answer(&c, messages[i].frame, messages[i].welcomed, "\"t\":\"pong\"");
        ws_close(&c);
        c = in_state(f, CLOSING);
        ws_send(&c, "%s", messages[i].frame);
        char *got = ws_next(&c);
        if (got != NULL || c.closed != 4401)
            fail_msg("%s: got %s, closed %d, after the bye", messages[i].frame, got ? got : "nothing",
                     c.closed);
        ws_close(&c);
        expect_served(&w, messages[i].frame);
    }
    ws_close(&w.c);
}

static void a_token_is_of_the_same_user_or_refused(void **state)
{
    fixture *f = *state;
    client c = ws_connect(f, "");
    ws_send(&c, "{\"t\":\"auth\",\"token\":\"%s\"}", f->token_ann);
    ws_expect(&c, HELLO_FIRST);
    ws_close(&c);
    c = ws_hello(f, f->token_ann);
    ws_send(&c, "{\"t\":\"auth\",\"token\":\"%s\"}", f->token_ann);
    ws_expect(&c, "\"t\":\"welcome\"", "\"user\":\"" ANN "\"");
    ws_send(&c, "{\"t\":\"auth\",\"token\":\"%s\"}", f->token_bob);
    ws_expect(&c, "\"t\":\"error\"", "\"status\":409,\"code\":\"other_user\"");
    ws_close(&c);
}

static void another_protocol_is_refused_and_closed(void **state)
{
    fixture *f = *state;
    witness w = call_witness(f);
    static const char *const hellos[] = { "{\"t\":\"hello\"}", "{\"t\":\"hello\",\"protocol\":1}",
                                          "{\"t\":\"hello\",\"protocol\":3}",
                                          "{\"t\":\"hello\",\"protocol\":\"2\"}" };
    for (size_t i = 0; i < sizeof hellos / sizeof hellos[0]; i++) {
        client c = ws_connect(f, "");
        ws_send(&c, "%s", hellos[i]);
        ws_expect(&c, "\"t\":\"error\"", "\"status\":400,\"code\":\"protocol\"");
        ws_expect(&c, "\"t\":\"bye\"", "\"reason\":\"protocol\"");
        assert_int_equal(ws_closed(&c), 4400);
        ws_close(&c);
        expect_served(&w, hellos[i]);
    }
    ws_close(&w.c);
}

/* --- frames that are none --------------------------------------------------------------------- */

#define MASK "\0\0\0\0"
#define BYTES(text) text, sizeof(text) - 1

static const struct {
    const char *what, *bytes;
    size_t length;
    int code;
} violations[] = {
    { "bytes that are not UTF-8", BYTES("\x81\x82" MASK "\xc3\x28"), 1007 },
    { "a frame that claims 16 KiB and one byte", BYTES("\x81\xfe\x40\x01" MASK), 1009 },
    { "a frame without a mask", BYTES("\x81\x02{}"), 1002 },
    { "reserved bit 1 without compression", BYTES("\xc1\x82" MASK "{}"), 1002 },
    { "reserved bit 3", BYTES("\x91\x82" MASK "{}"), 1002 },
    { "a reserved opcode", BYTES("\x83\x82" MASK "{}"), 1002 },
    { "a continuation of nothing", BYTES("\x80\x82" MASK "{}"), 1002 },
    { "a text within a fragmented text", BYTES("\x01\x81" MASK "{\x81\x81" MASK "}"), 1002 },
    { "a fragmented ping", BYTES("\x09\x80" MASK), 1002 },
};

static void a_broken_frame_closes_with_its_code_in_every_state(void **state)
{
    fixture *f = *state;
    witness w = call_witness(f);
    for (size_t i = 0; i < sizeof violations / sizeof violations[0]; i++) {
        for (int in = OPENED; in <= WELCOMED; in++) {
            client c = in_state(f, (session_state)in);
            test_send_bytes(c.fd, violations[i].bytes, violations[i].length);
            char *got = ws_next(&c);
            if (got != NULL || c.closed != violations[i].code)
                fail_msg("%s: got %s, closed %d, expected %d", violations[i].what, got ? got : "nothing",
                         c.closed, violations[i].code);
            ws_close(&c);
        }
        expect_served(&w, violations[i].what);
    }
    ws_close(&w.c);
}

/* A binary frame is read, and is no message; fragments of a text are one. */
static void a_binary_frame_is_malformed_and_a_fragmented_text_is_whole(void **state)
{
    fixture *f = *state;
    for (int in = OPENED; in <= WELCOMED; in++) {
        client c = in_state(f, (session_state)in);
        ws_send_frame(&c, 0x82, "{\"t\":\"ping\"}", 12);
        ws_expect(&c, MALFORMED);
        ws_send_frame(&c, 0x01, "{\"t\":", 5);
        ws_send_frame(&c, 0x89, "between", 7);
        ws_send_frame(&c, 0x80, "\"ping\"}", 7);
        ws_expect(&c, in == OPENED ? HELLO_FIRST : "\"t\":\"pong\"");
        ws_close(&c);
    }
}

static void the_tenth_bad_frame_closes_and_the_ninth_does_not(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    for (int i = 1; i <= 9; i++) {
        ws_send(&c, "{\"t\":\"dance\"}");
        ws_expect(&c, UNKNOWN);
    }
    ws_send(&c, "{\"t\":\"ping\"}");
    ws_expect(&c, "\"t\":\"pong\"");
    ws_send(&c, "{\"t\":\"dance\"}");
    ws_expect(&c, UNKNOWN);
    ws_expect(&c, "\"t\":\"bye\"", "\"reason\":\"protocol\"");
    assert_int_equal(ws_closed(&c), 4400);
    ws_close(&c);
}

/* --- the life of an id ------------------------------------------------------------------------ */

/* What is asked for and let go of in one breath: the engine refuses what its client has forgotten already. */
static void an_id_may_be_let_go_of_before_its_answer(void **state)
{
    fixture *f = *state;
    witness w = call_witness(f);
    static const char *const pairs[][2] = {
        { "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/nothing/\"}", "{\"t\":\"unsub\",\"sub\":1}" },
        { SUB, "{\"t\":\"unsub\",\"sub\":1}" },
        { JOIN, "{\"t\":\"leave\",\"join\":2}" },
        { "{\"t\":\"join\",\"id\":1,\"url\":\"/api/chats/" CHAT2 "/\"}", "{\"t\":\"leave\",\"join\":1}" },
        { "{\"t\":\"join\",\"id\":1,\"url\":\"/api/chats/" CHAT2 "/\"}", "{\"t\":\"unsub\",\"sub\":1}" },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        client c = ws_hello(f, f->token_ann);
        for (int k = 0; k < 3; k++) {
            ws_send(&c, "%s", pairs[i][0]);
            ws_send(&c, "%s", pairs[i][1]);
        }
        expect_served(&w, pairs[i][0]);
        ws_send(&c, "{\"t\":\"sub\",\"id\":9,\"url\":\"" CHAT1_MESSAGES "\"}");
        char *got = ws_next(&c);
        while (got != NULL && strstr(got, "\"sub\":9") == NULL) {
            free(got);
            got = ws_next(&c);
        }
        assert_non_null(got);
        assert_non_null(strstr(got, "\"t\":\"snap\""));
        free(got);
        ws_close(&c);
    }
    ws_close(&w.c);
}

/* An error says that an id is over: it may be used again at once. */
static void an_id_that_was_refused_is_free(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    for (int i = 0; i < 5; i++) {
        ws_send(&c, "{\"t\":\"sub\",\"id\":1,\"url\":\"/api/nothing/\"}");
        ws_expect(&c, "\"t\":\"error\"", "\"sub\":1");
    }
    free(ws_snap(&c, 1, CHAT1_MESSAGES));
    sql(f, "UPDATE message SET text = 'here' WHERE number = 1");
    ws_expect(&c, "\"t\":\"tx\"", "here");
    ws_close(&c);
}

static void more_is_answered_again_after_it_was_refused(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    char *snap = ws_snap(&c, 1, "/api/messages/?chat=" CHAT2 "&limit=1"); /* not yet hers */
    assert_non_null(strstr(snap, "\"rows\":[]"));
    free(snap);
    for (int i = 0; i < 2; i++) {
        ws_send(&c, "{\"t\":\"more\",\"sub\":1,\"limit\":2}");
        ws_expect(&c, "\"t\":\"error\"", "\"status\":404");
    }
    sql(f, "INSERT INTO member VALUES ('" ID("34") "','" CHAT2 "','" ANN "',0)");
    ws_expect(&c, "\"op\":\"load\"", "three");
    ws_send(&c, "{\"t\":\"more\",\"sub\":1,\"limit\":2}");
    ws_expect(&c, "\"t\":\"window\"", "\"limit\":2");
    ws_close(&c);
}

static void rooms_have_no_rows_to_ask_more_of(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    ws_send(&c, JOIN);
    ws_expect(&c, "\"t\":\"presence\"", "\"join\":2");
    ws_expect(&c, "\"t\":\"presence\"");
    ws_send(&c, "{\"t\":\"more\",\"sub\":2,\"limit\":2}");
    ws_expect(&c, "\"t\":\"error\"", "\"status\":404");
    ws_close(&c);
}

/* --- positions -------------------------------------------------------------------------------- */

static void a_position_of_another_epoch_or_of_the_future_resets(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    const tims_str epoch = tims_live_epoch(f->live);
    const tims_str froms[] = { TIMS_STR("ffffffffffffffff-1"),
                               tims_print(f->arena, "%S-1000000", epoch),
                               tims_print(f->arena, "%S-9223372036854775807", epoch),
                               tims_print(f->arena, "%S--1", epoch),
                               tims_print(f->arena, "%S", epoch),
                               TIMS_STR("-") };
    for (size_t i = 0; i < sizeof froms / sizeof froms[0]; i++) {
        ws_send(&c, "{\"t\":\"sub\",\"id\":%zu,\"url\":\"" CHAT1_MESSAGES "\",\"from\":\"%.*s\",\"limit\":2}",
                i + 1, TIMS_PRINT(froms[i]));
        ws_expect(&c, "\"t\":\"reset\"", "\"reason\":\"epoch\"");
        ws_expect(&c, "\"t\":\"snap\"", "\"text\":\"two\"", "\"text\":\"one\"");
    }
    sql(f, "UPDATE message SET text = 'and on' WHERE number = 1");
    ws_expect(&c, "\"t\":\"tx\"", "and on");
    ws_close(&c);
}

/* --- many ------------------------------------------------------------------------------------- */

enum { SUBSCRIBES = 100000, SUBSCRIBES_AT_ONCE = 500 };

/* Counts the answers up to a pong. */
static void count_answers(client *c, int *snaps, int *refusals)
{
    for (;;) {
        char *got = ws_next(c);
        assert_non_null(got);
        bool ends = strstr(got, "\"t\":\"pong\"") != NULL;
        if (strstr(got, "\"t\":\"snap\"") != NULL)
            ++*snaps;
        else if (strstr(got, "\"status\":429,\"code\":\"too_many_subscriptions\"") != NULL)
            ++*refusals;
        else if (!ends)
            fail_msg("got %s", got);
        free(got);
        if (ends)
            return;
    }
}

static void a_hundred_thousand_subscribes_are_a_thousand_subscriptions(void **state)
{
    fixture *f = *state;
    witness w = call_witness(f);
    client c = ws_hello(f, f->token_ann);
    int snaps = 0, refusals = 0;
    for (int id = 1; id <= SUBSCRIBES; id++) {
        ws_send(&c, "{\"t\":\"sub\",\"id\":%d,\"url\":\"/api/chats/\"}", id);
        if (id % SUBSCRIBES_AT_ONCE == 0) {
            ws_send(&c, "{\"t\":\"ping\"}");
            count_answers(&c, &snaps, &refusals);
        }
        if (id % (SUBSCRIBES / 10) == 0)
            expect_served(&w, "subscribes");
    }
    while (snaps < 1000) { /* a pong may overtake the engine's answers */
        ws_send(&c, "{\"t\":\"ping\"}");
        count_answers(&c, &snaps, &refusals);
    }
    assert_int_equal(snaps, 1000);
    assert_int_equal(refusals, SUBSCRIBES - 1000);
    sql(f, "UPDATE chat SET title = 'Once' WHERE id = '" CHAT1 "'");
    char *tx = ws_next(&c);
    assert_non_null(strstr(tx, "Once"));
    assert_null(strstr(strstr(tx, "Once") + 1, "Once")); /* one view, named once */
    free(tx);
    ws_close(&c);
    ws_close(&w.c);
}

static int start_narrow_world(void **state)
{
    world_options.subscriptions_max = 2;
    return start_world(state);
}

static void joins_count_as_subscriptions_and_are_refused_by_name(void **state)
{
    fixture *f = *state;
    client c = ws_hello(f, f->token_ann);
    free(ws_snap(&c, 1, "/api/chats/"));
    free(ws_snap(&c, 3, CHAT1_MESSAGES));
    ws_send(&c, JOIN);
    ws_expect(&c, "\"t\":\"error\"", "\"join\":2", "\"status\":429", "too_many_subscriptions");
    ws_close(&c);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, start_world, stop_world)
#define IN_NARROW_WORLD(test) cmocka_unit_test_setup_teardown(test, start_narrow_world, stop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(every_message_has_its_answer_in_every_state),
        IN_WORLD(a_token_is_of_the_same_user_or_refused),
        IN_WORLD(another_protocol_is_refused_and_closed),
        IN_WORLD(a_broken_frame_closes_with_its_code_in_every_state),
        IN_WORLD(a_binary_frame_is_malformed_and_a_fragmented_text_is_whole),
        IN_WORLD(the_tenth_bad_frame_closes_and_the_ninth_does_not),
        IN_WORLD(an_id_may_be_let_go_of_before_its_answer),
        IN_WORLD(an_id_that_was_refused_is_free),
        IN_WORLD(more_is_answered_again_after_it_was_refused),
        IN_WORLD(rooms_have_no_rows_to_ask_more_of),
        IN_WORLD(a_position_of_another_epoch_or_of_the_future_resets),
        IN_WORLD(a_hundred_thousand_subscribes_are_a_thousand_subscriptions),
        IN_NARROW_WORLD(joins_count_as_subscriptions_and_are_refused_by_name),
    };
    return cmocka_run_group_tests_name("live_protocol", tests, NULL, NULL);
}
