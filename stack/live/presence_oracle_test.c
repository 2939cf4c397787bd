/* presence_oracle_test.c: people come, go and drop off by chance, and clients that know only what they were
 * told must show who is there. Prints its seed. */
#include "base/testing.h"
#include "live/presence_internal.h"

#define ROOM TIMS_STR("/api/chats/1/")

enum { CLIENTS = 12, USERS = 5, STEPS = 20000 };

/* A client as the protocol describes it: what it shows is what it was told. */
typedef struct listener {
    live__place *place;
    bool shows[USERS];
    unsigned user;
} listener;

static void take_users(const tims_json *list, bool *shows, bool value)
{
    for (size_t i = 0; i < tims_json_count(list); i++) {
        tims_id id;
        assert_true(
            tims_id_parse(tims_json_get_str(tims_json_at(list, i), TIMS_STR("id"), TIMS_STR("")), &id));
        shows[id.bytes[15]] = value;
    }
}

static void take_frame(tims_str text, bool *shows)
{
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    const tims_json *frame, *users;
    assert_int_equal(tims_json_parse(arena, text, &frame, NULL), TIMS_OK);
    if ((users = tims_json_get(frame, TIMS_STR("users"))) != NULL)
        memset(shows, 0, USERS * sizeof *shows);
    take_users(users, shows, true);
    take_users(tims_json_get(frame, TIMS_STR("joined")), shows, true);
    take_users(tims_json_get(frame, TIMS_STR("left")), shows, false);
    tims_arena_free(&arena);
}

static void hear(void *argument, const live__room *room, tims_str text)
{
    (void)argument;
    for (live__link *link = room->places.first; link != NULL; link = link->next)
        take_frame(text, ((listener *)((live__place *)link->owner)->socket)->shows);
}

static void move(live__presence *presence, listener *l, unsigned chance, int64_t now_us)
{
    if (l->place == NULL) {
        live__entering entering = { .room = ROOM,
                                    .user = { true, { .bytes[15] = (uint8_t)(l->user = chance % USERS) } },
                                    .is_present = chance % 7 != 0,
                                    .socket = l };
        tims_buf out;
        assert_int_equal(live__presence_enter(presence, &entering, &l->place, NULL), TIMS_OK);
        memset(l->shows, 0, sizeof l->shows);
        tims_buf_init(&out, NULL, 1 << 16);
        live__presence_answer(l->place, 1, &out);
        take_frame(tims_buf_str(&out), l->shows);
        tims_buf_free(&out);
    } else if (chance % 3 == 0) {
        live__presence_drop(&l->place, now_us);
    } else {
        live__presence_leave(&l->place);
    }
}

/* Everybody in the room shows the same, and it is who is there. */
static void check_listeners(const listener *listeners)
{
    const live__room *room = NULL;
    const bool *first = NULL;
    size_t shown = 0;
    for (int i = 0; i < CLIENTS; i++) {
        const listener *l = &listeners[i];
        if (l->place == NULL)
            continue;
        room = l->place->room;
        first = first != NULL ? first : l->shows;
        assert_memory_equal(first, l->shows, sizeof l->shows);
        if (l->place->member != NULL)
            assert_true(l->shows[l->user]);
    }
    for (int i = 0; first != NULL && i < USERS; i++)
        shown += first[i];
    if (room != NULL)
        assert_int_equal(shown, room->present_count);
}

static void whatever_happens_everybody_shows_who_is_there(void **state)
{
    (void)state;
    unsigned seed = (unsigned)tims_monotonic_us();
    print_message("seed %u\n", seed);
    listener *listeners = calloc(CLIENTS, sizeof *listeners);
    live__presence *presence = live__presence_new(hear, NULL);
    int64_t now_us = 0;
    for (int step = 0; step < STEPS; step++) {
        unsigned chance = (unsigned)rand_r(&seed);
        move(presence, &listeners[chance % CLIENTS], chance / CLIENTS, now_us);
        if (chance % 5 != 0)
            continue;
        now_us += (int64_t)(chance % 1500) * 1000 + LIVE__TELL_MS * INT64_C(1000);
        while (live__presence_next_us(presence) <= now_us)
            live__presence_tick(presence, now_us);
        check_listeners(listeners);
    }
    live__presence_free(&presence);
    free(listeners);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_happens_everybody_shows_who_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
