/* presence_test.c: rooms with a clock of the test's own: what is told, when, and to how many. */
#include "base/testing.h"
#include "live/presence_internal.h"

#include <stdio.h>

#define ROOM TIMS_STR("/api/chats/1/")

enum { TOLD_MAX = 64 };

typedef struct fixture {
    live__presence *presence;
    tims_arena *arena;
    int64_t now_us;
    tims_str told[TOLD_MAX];
    size_t places[TOLD_MAX]; /* how many heard it */
    size_t count, taken;
    size_t bytes;
} fixture;

static void note(void *argument, const live__room *room, tims_str text)
{
    fixture *f = argument;
    assert_true(f->count < TOLD_MAX);
    f->places[f->count] = room->places.count;
    f->told[f->count++] = tims_copy(f->arena, text);
    f->bytes += text.length;
    const tims_json *value;
    tims_error err = { 0 };
    if (tims_json_parse(f->arena, text, &value, &err) != TIMS_OK)
        fail_msg("%.*s: %s", (int)text.length, text.data, err.message);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->arena = tims_arena_new(256 << 20, NULL, NULL);
    f->now_us = 1000 * 1000;
    f->presence = live__presence_new(note, f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    live__presence_free(&f->presence);
    tims_arena_free(&f->arena);
    free(f);
    return 0;
}

/* --- steps -------------------------------------------------------------------------------------------- */

static tims_id user(unsigned number)
{
    tims_id id = { { 0 } };
    id.bytes[14] = (uint8_t)(number >> 8);
    id.bytes[15] = (uint8_t)number;
    return id;
}

static live__place *enter_as(fixture *f, live__entering entering)
{
    live__place *place = NULL;
    tims_error err = { 0 };
    if (entering.room.length == 0)
        entering.room = ROOM;
    assert_int_equal(live__presence_enter(f->presence, &entering, &place, &err), TIMS_OK);
    return place;
}

static live__place *enter(fixture *f, unsigned number, const char *state)
{
    return enter_as(f, (live__entering){ .user = { true, user(number) },
                                         .is_present = true,
                                         .state = tims_str_from(state),
                                         .socket = f });
}

static live__place *listen_in(fixture *f)
{
    return enter_as(f, (live__entering){ .is_present = true });
}

static void say(live__place *place, const char *kind, const char *data)
{
    tims_error err = { 0 };
    assert_int_equal(live__presence_publish(place, tims_str_from(kind), tims_str_from(data), &err), TIMS_OK);
}

/* So much time passes, and every moment at which something is due is kept. */
static void pass(fixture *f, int64_t ms)
{
    int64_t end_us = f->now_us + ms * 1000;
    for (int64_t due_us; (due_us = live__presence_next_us(f->presence)) <= end_us;) {
        if (due_us > f->now_us)
            f->now_us = due_us;
        live__presence_tick(f->presence, f->now_us);
    }
    f->now_us = end_us;
}

/* Ids end in their number; the rest of them is left out of what tests write: {"id":@7}. */
static tims_str shorten(fixture *f, tims_str text)
{
    tims_str zeros = TIMS_STR("\"00000000-0000-0000-0000-00000000");
    tims_buf out;
    tims_buf_init(&out, f->arena, 1 << 20);
    while (text.length > 0) {
        if (!tims_str_starts_with(text, zeros)) {
            tims_buf_append_char(&out, text.data[0]);
            text = tims_str_slice(text, 1, text.length);
            continue;
        }
        tims_str digits = tims_str_slice(text, zeros.length, zeros.length + 4);
        while (digits.length > 1 && digits.data[0] == '0')
            digits = tims_str_slice(digits, 1, digits.length);
        tims_buf_print(&out, "@%S", digits);
        text = tims_str_slice(text, zeros.length + 5, text.length);
    }
    return tims_buf_str(&out);
}

static void expect_told(fixture *f, const char *expected)
{
    tims_str got = f->taken < f->count ? shorten(f, f->told[f->taken++]) : TIMS_STR("nothing");
    if (!tims_str_equal(got, tims_str_from(expected)))
        fail_msg("got %.*s, expected %s", (int)got.length, got.data, expected);
}

static void expect_silence(fixture *f)
{
    expect_told(f, "nothing");
}

static void expect_answer(fixture *f, const live__place *place, const char *expected)
{
    tims_buf out;
    tims_buf_init(&out, f->arena, 1 << 20);
    live__presence_answer(place, 9, &out);
    tims_str got = shorten(f, tims_buf_str(&out));
    if (!tims_str_equal(got, tims_str_from(expected)))
        fail_msg("got %.*s, expected %s", (int)got.length, got.data, expected);
}

#define PRESENCE "{\"t\":\"presence\",\"room\":1,\"count\":"
#define ANSWER "{\"t\":\"presence\",\"join\":9,\"room\":1,\"count\":"

/* --- coming and going --------------------------------------------------------------------------------- */

static void who_comes_is_told_all_and_the_others_are_told_of_them(void **state)
{
    fixture *f = *state;
    live__place *a = enter(f, 1, "{\"mood\":\"fine\"}");
    expect_answer(f, a, ANSWER "1,\"users\":[{\"id\":@1,\"state\":{\"mood\":\"fine\"}}]}");
    pass(f, 1000);
    expect_told(f, PRESENCE "1,\"joined\":[{\"id\":@1,\"state\":{\"mood\":\"fine\"}}]}");
    live__place *b = enter(f, 2, "");
    expect_answer(f, b, ANSWER "2,\"users\":[{\"id\":@1,\"state\":{\"mood\":\"fine\"}},{\"id\":@2}]}");
    pass(f, 1000);
    expect_told(f, PRESENCE "2,\"joined\":[{\"id\":@2}]}");
    assert_int_equal(f->places[1], 2);
    live__presence_leave(&a);
    assert_null(a);
    pass(f, 0);
    expect_told(f, PRESENCE "1,\"left\":[{\"id\":@1}]}");
    assert_int_equal(f->places[2], 1);
    live__presence_leave(&b);
    pass(f, 60000);
    expect_silence(f);
    assert_int_equal(live__presence_room_count(f->presence), 0);
    assert_true(live__presence_next_us(f->presence) == INT64_MAX);
}

static void a_user_counts_once_however_many_sockets(void **state)
{
    fixture *f = *state;
    live__place *first = enter(f, 1, ""), *second = enter(f, 1, ""), *other = listen_in(f);
    expect_answer(f, other, ANSWER "1,\"users\":[{\"id\":@1}]}");
    pass(f, 1000);
    expect_told(f, PRESENCE "1,\"joined\":[{\"id\":@1}]}");
    live__presence_leave(&first);
    pass(f, 60000);
    expect_silence(f);
    live__presence_leave(&second);
    pass(f, 0);
    expect_told(f, PRESENCE "0,\"left\":[{\"id\":@1}]}");
    live__presence_leave(&other);
}

static void the_state_of_the_newest_join_is_shown(void **state)
{
    fixture *f = *state;
    (void)enter(f, 1, "{\"n\":1}");
    pass(f, 1000);
    f->taken = f->count;
    (void)enter(f, 1, "{\"n\":1}");
    pass(f, 1000);
    expect_silence(f);
    (void)enter(f, 1, "{\"n\":2}");
    pass(f, 1000);
    expect_told(f, PRESENCE "1,\"joined\":[{\"id\":@1,\"state\":{\"n\":2}}]}");
}

static void who_only_listens_is_not_there_and_may_speak_if_they_have_a_name(void **state)
{
    fixture *f = *state;
    live__place *nobody = listen_in(f);
    live__place *hidden = enter_as(f, (live__entering){ .user = { true, user(5) } });
    expect_answer(f, hidden, ANSWER "0,\"users\":[]}");
    pass(f, 1000);
    expect_silence(f);
    say(hidden, "note", "1");
    pass(f, 0);
    expect_told(f, "{\"t\":\"said\",\"room\":1,\"items\":[{\"user\":@5,\"kind\":\"note\",\"data\":1}]}");
    assert_int_equal(f->places[0], 2);
    tims_error err = { 0 };
    assert_int_equal(live__presence_publish(nobody, TIMS_STR("note"), TIMS_STR("1"), &err),
                     TIMS_UNAUTHORIZED);
    live__presence_leave(&nobody);
    live__presence_drop(&hidden, f->now_us);
    assert_int_equal(live__presence_room_count(f->presence), 0);
}

/* --- the grace ---------------------------------------------------------------------------------------- */

static void who_drops_off_stays_for_ten_seconds(void **state)
{
    fixture *f = *state;
    live__place *a = enter(f, 1, ""), *b = enter(f, 2, "");
    pass(f, 1000);
    f->taken = f->count;
    live__presence_drop(&a, f->now_us);
    pass(f, 9999);
    expect_silence(f);
    pass(f, 1);
    expect_told(f, PRESENCE "1,\"left\":[{\"id\":@1}]}");
    live__presence_leave(&b);
}

static void who_comes_back_in_time_was_never_gone(void **state)
{
    fixture *f = *state;
    live__place *a = enter(f, 1, ""), *b = enter(f, 2, "");
    pass(f, 1000);
    f->taken = f->count;
    live__presence_drop(&a, f->now_us);
    pass(f, 9000);
    a = enter(f, 1, "");
    pass(f, 60000);
    expect_silence(f);
    live__presence_leave(&a); /* on purpose: at once, though they had dropped off before */
    pass(f, 0);
    expect_told(f, PRESENCE "1,\"left\":[{\"id\":@1}]}");
    live__presence_leave(&b);
}

static void of_two_sockets_the_one_that_dropped_off_may_come_back(void **state)
{
    fixture *f = *state;
    live__place *a = enter(f, 1, ""), *second = enter(f, 1, ""), *other = listen_in(f);
    pass(f, 1000);
    f->taken = f->count;
    live__presence_drop(&a, f->now_us);
    pass(f, 5000);
    live__presence_leave(&second);
    pass(f, 4999);
    expect_silence(f);
    pass(f, 1);
    expect_told(f, PRESENCE "0,\"left\":[{\"id\":@1}]}");
    a = enter(f, 1, "");
    second = enter(f, 1, "");
    pass(f, 1000);
    expect_told(f, PRESENCE "1,\"joined\":[{\"id\":@1}]}");
    live__presence_drop(&a, f->now_us);
    pass(f, 60000); /* the other one is still there */
    expect_silence(f);
    live__presence_leave(&second);
    pass(f, 0);
    expect_told(f, PRESENCE "0,\"left\":[{\"id\":@1}]}");
    live__presence_leave(&other);
}

static void a_room_waits_for_those_who_dropped_off_and_ends_with_them(void **state)
{
    fixture *f = *state;
    live__place *a = enter(f, 1, "");
    pass(f, 1000);
    live__presence_drop(&a, f->now_us);
    pass(f, 5000);
    live__place *other = listen_in(f);
    expect_answer(f, other, ANSWER "1,\"users\":[{\"id\":@1}]}");
    live__presence_drop(&other, f->now_us);
    assert_int_equal(live__presence_room_count(f->presence), 1);
    pass(f, 5000);
    assert_int_equal(live__presence_room_count(f->presence), 0);
}

/* --- few frames --------------------------------------------------------------------------------------- */

static void a_quiet_room_tells_at_once_and_a_busy_one_four_times_a_second(void **state)
{
    fixture *f = *state;
    live__place *a = enter(f, 1, "");
    pass(f, 0);
    assert_int_equal(f->count, 1);
    for (int ms = 0; ms < 2000; ms++) {
        say(a, "typing", "true");
        pass(f, 1);
    }
    assert_in_range(f->count, 8, 9);
    pass(f, 1000);
    f->taken = f->count;
    say(a, "typing", "true");
    pass(f, 0);
    assert_int_equal(f->count, f->taken + 1);
}

static void what_cancels_itself_out_is_not_told(void **state)
{
    fixture *f = *state;
    live__place *watcher = listen_in(f), *a = enter(f, 1, "");
    expect_answer(f, watcher, ANSWER "1,\"users\":[{\"id\":@1}]}");
    pass(f, 0);
    f->taken = f->count;
    live__presence_leave(&a); /* and back */
    a = enter(f, 1, "");
    live__place *b = enter(f, 2, ""); /* and away */
    live__presence_leave(&b);
    pass(f, 1000);
    expect_silence(f);
    live__presence_leave(&a);
    live__presence_leave(&watcher);
}

/* …to whom it was told otherwise in between, it is. */
static void who_joins_in_between_is_told_right(void **state)
{
    fixture *f = *state;
    live__place *watcher = listen_in(f), *a = enter(f, 1, "");
    pass(f, 0);
    f->taken = f->count;
    live__presence_leave(&a);
    live__place *late = listen_in(f);
    expect_answer(f, late, ANSWER "0,\"users\":[]}");
    a = enter(f, 1, "");
    pass(f, 1000);
    expect_told(f, PRESENCE "1,\"joined\":[{\"id\":@1}]}"); /* the late one has to hear it */
    live__place *b = enter(f, 2, "");
    pass(f, 0);
    f->taken = f->count;
    live__place *c = enter(f, 3, "");
    expect_answer(f, late, ANSWER "3,\"users\":[{\"id\":@1},{\"id\":@2},{\"id\":@3}]}");
    live__presence_leave(&c);
    pass(f, 1000);
    expect_told(f, PRESENCE "2,\"left\":[{\"id\":@3}]}"); /* one has seen them */
    c = enter(f, 3, "");
    expect_answer(f, late, ANSWER "3,\"users\":[{\"id\":@1},{\"id\":@2},{\"id\":@3}]}");
    live__presence_leave(&c);
    c = enter(f, 3, "");
    pass(f, 1000);
    expect_told(f, PRESENCE "3,\"joined\":[{\"id\":@3}]}"); /* the others have not */
    live__place *all[] = { watcher, late, a, b, c };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        live__presence_leave(&all[i]);
}

static void of_what_one_user_says_in_one_way_the_newest_is_told(void **state)
{
    fixture *f = *state;
    live__place *a = enter(f, 1, ""), *b = enter(f, 2, "");
    pass(f, 0);
    f->taken = f->count;
    say(a, "cursor", "[1,1]");
    say(b, "cursor", "[5,5]");
    say(a, "typing", "true");
    say(a, "cursor", "[2,2]");
    pass(f, 1000);
    expect_told(f, "{\"t\":\"said\",\"room\":1,\"items\":[{\"user\":@2,\"kind\":\"cursor\",\"data\":[5,5]},"
                   "{\"user\":@1,\"kind\":\"typing\",\"data\":true},"
                   "{\"user\":@1,\"kind\":\"cursor\",\"data\":[2,2]}]}");
    expect_silence(f);
    live__presence_leave(&a);
    live__presence_leave(&b);
}

/* --- many --------------------------------------------------------------------------------------------- */

static void of_a_crowd_only_the_number_is_told(void **state)
{
    fixture *f = *state;
    static live__place *crowd[LIVE__NAMED_USERS_MAX + 2];
    for (unsigned i = 0; i < LIVE__NAMED_USERS_MAX; i++)
        crowd[i] = enter(f, i, "");
    pass(f, 1000);
    assert_int_equal(f->count, 1);
    f->taken = f->count;
    crowd[200] = enter(f, 200, "");
    expect_answer(f, crowd[200], ANSWER "201}");
    pass(f, 1000);
    expect_told(f, PRESENCE "201}");
    crowd[201] = enter(f, 201, "");
    pass(f, 1000);
    expect_told(f, PRESENCE "202}");
    live__presence_leave(&crowd[0]);
    crowd[0] = enter(f, 500, "");
    pass(f, 1000);
    expect_silence(f);
    live__presence_leave(&crowd[0]);
    pass(f, 1000);
    expect_told(f, PRESENCE "201}");
    live__presence_leave(&crowd[1]);
    expect_answer(f, crowd[2], ANSWER "200}"); /* not yet: everybody gets the names together */
    pass(f, 1000);
    tims_str all = f->told[f->taken++];
    assert_true(tims_str_starts_with(all, TIMS_STR(PRESENCE "200,\"users\":[{\"id\":")));
    live__presence_leave(&crowd[2]);
    pass(f, 1000);
    expect_told(f, PRESENCE "199,\"left\":[{\"id\":@2}]}");
    for (unsigned i = 3; i < LIVE__NAMED_USERS_MAX + 2; i++)
        live__presence_leave(&crowd[i]);
    assert_int_equal(live__presence_room_count(f->presence), 0);
}

/* One was told only the number while the crowd was there; it gets all names, not the changes to names it
 * never had. */
static void who_came_into_a_crowd_that_left_at_once_gets_the_names(void **state)
{
    fixture *f = *state;
    static live__place *crowd[LIVE__NAMED_USERS_MAX];
    live__place *one = enter(f, 1, ""), *late;
    pass(f, 1000);
    f->taken = f->count;
    for (unsigned i = 0; i < LIVE__NAMED_USERS_MAX; i++)
        crowd[i] = enter(f, 100 + i, "");
    late = listen_in(f);
    expect_answer(f, late, ANSWER "201}");
    for (unsigned i = 0; i < LIVE__NAMED_USERS_MAX; i++)
        live__presence_leave(&crowd[i]);
    pass(f, 1000);
    expect_told(f, PRESENCE "1,\"users\":[{\"id\":@1}]}");
    live__presence_leave(&one);
    live__presence_leave(&late);
}

static void no_frame_grows_with_how_many_come_and_go(void **state)
{
    fixture *f = *state;
    live__place *watcher = listen_in(f);
    tims_buf out;
    for (unsigned i = 0; i < 5000; i++) {
        live__place *place = enter(f, i, "{\"some\":\"state\"}");
        tims_buf_init(&out, f->arena, 1 << 20);
        live__presence_answer(place, 1, &out);
        live__presence_leave(&place);
    }
    pass(f, 1000);
    expect_told(f, PRESENCE "0,\"users\":[]}");
    for (unsigned i = 0; i < 1000; i++)
        say(enter(f, i, ""), "text", "\"0123456789012345678901234567890123456789012345678901234567890\"");
    pass(f, 1000);
    assert_in_range(f->bytes, 1, 2 * LIVE__ROOM_SAID_BYTES_MAX);
    live__presence_leave(&watcher);
}

/* --- bounds ------------------------------------------------------------------------------------------- */

static void what_is_too_long_is_refused(void **state)
{
    fixture *f = *state;
    static char text[LIVE__SAID_BYTES_MAX + 2];
    memset(text, '1', sizeof text);
    live__place *a = enter(f, 1, "");
    const struct {
        size_t kind, data;
        tims_status status;
    } rows[] = {
        { 1, 1, TIMS_OK },
        { LIVE__KIND_BYTES_MAX, LIVE__SAID_BYTES_MAX, TIMS_OK },
        { 0, 1, TIMS_INVALID },
        { LIVE__KIND_BYTES_MAX + 1, 1, TIMS_TOO_LARGE },
        { 1, LIVE__SAID_BYTES_MAX + 1, TIMS_TOO_LARGE },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tims_error err = { 0 };
        assert_int_equal(live__presence_publish(a, (tims_str){ text, rows[i].kind },
                                                (tims_str){ text, rows[i].data }, &err),
                         rows[i].status);
    }
    for (size_t length = LIVE__STATE_BYTES_MAX; length <= LIVE__STATE_BYTES_MAX + 1; length++) {
        live__entering entering = { .room = ROOM, .user = { true, user(2) }, .state = { text, length } };
        live__place *place = NULL;
        tims_error err = { 0 };
        assert_int_equal(live__presence_enter(f->presence, &entering, &place, &err),
                         length <= LIVE__STATE_BYTES_MAX ? TIMS_OK : TIMS_INVALID);
    }
}

static void rooms_and_their_users_are_bounded(void **state)
{
    fixture *f = *state;
    live__place *place = NULL;
    tims_error err = { 0 };
    for (unsigned i = 0; i < LIVE__ROOM_USERS_MAX; i++)
        (void)enter(f, i, "");
    live__entering one_more = { .room = ROOM,
                                .user = { true, user(LIVE__ROOM_USERS_MAX) },
                                .is_present = true };
    assert_int_equal(live__presence_enter(f->presence, &one_more, &place, &err), TIMS_THROTTLED);
    assert_string_equal(err.code, "room_full");
    (void)enter(f, 0, ""); /* who is there already may bring another socket */
    (void)listen_in(f);
    for (unsigned i = 1; i < LIVE__ROOMS_MAX; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "/api/chats/%u/", i + 1);
        (void)enter_as(f, (live__entering){ .room = tims_str_from(name) });
    }
    one_more = (live__entering){ .room = TIMS_STR("/api/chats/0/") };
    assert_int_equal(live__presence_enter(f->presence, &one_more, &place, &err), TIMS_UNAVAILABLE);
    assert_null(place);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_comes_is_told_all_and_the_others_are_told_of_them),
        TEST(a_user_counts_once_however_many_sockets),
        TEST(the_state_of_the_newest_join_is_shown),
        TEST(who_only_listens_is_not_there_and_may_speak_if_they_have_a_name),
        TEST(who_drops_off_stays_for_ten_seconds),
        TEST(who_comes_back_in_time_was_never_gone),
        TEST(of_two_sockets_the_one_that_dropped_off_may_come_back),
        TEST(a_room_waits_for_those_who_dropped_off_and_ends_with_them),
        TEST(a_quiet_room_tells_at_once_and_a_busy_one_four_times_a_second),
        TEST(what_cancels_itself_out_is_not_told),
        TEST(who_joins_in_between_is_told_right),
        TEST(of_what_one_user_says_in_one_way_the_newest_is_told),
        TEST(of_a_crowd_only_the_number_is_told),
        TEST(who_came_into_a_crowd_that_left_at_once_gets_the_names),
        TEST(no_frame_grows_with_how_many_come_and_go),
        TEST(what_is_too_long_is_refused),
        TEST(rooms_and_their_users_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
