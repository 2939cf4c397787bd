/* presence_nodes_test: rooms on three nodes that hear each other late, miss things, ask again and die: when
 * all is heard, everybody shows the same people with the same states. Prints its seed. */
#include "base/testing.h"
#include "live/presence_internal.h"

#define ROOM TIMS_STR("/api/chats/1/")

enum { NODES = 3, CLIENTS = 12, USERS = 5, STEPS = 20000, QUEUE_MAX = 4096 };

typedef struct message {
    int from;
    bool is_here;
    tims_id user;
    int64_t stamp_us;
    size_t length;
    char state[LIVE__STATE_BYTES_MAX];
} message;

typedef struct world world;
typedef struct node {
    world *world;
    int index;
    live__presence *presence;
    live__outward outward;
    live__origin origins[NODES]; /* what it knows of the others */
    bool knows[NODES];           /* nothing of it was missed */
} node;

/* A client as the protocol describes it: what it shows is what it was told. */
typedef struct listener {
    node *at;
    live__place *place;
    unsigned user;
    char shows[USERS][LIVE__STATE_BYTES_MAX]; /* "": not there; else "!" and the state */
} listener;

struct world {
    node nodes[NODES];
    listener listeners[CLIENTS];
    message queue[QUEUE_MAX]; /* in the one order in which Redis hands it on */
    size_t first, count;
    int64_t now_us;
};

/* --- what is told to clients -------------------------------------------------------------------------- */

static void take_users(tims_arena *arena, listener *l, const tims_json *list, bool is_there)
{
    for (size_t i = 0; i < tims_json_count(list); i++) {
        const tims_json *user = tims_json_at(list, i), *state = tims_json_get(user, TIMS_STR("state"));
        tims_id id;
        assert_true(tims_id_parse(tims_json_get_str(user, TIMS_STR("id"), TIMS_STR("")), &id));
        tims_str text = state != NULL ? tims_json_to_text(arena, state) : TIMS_STR("");
        (void)snprintf(l->shows[id.bytes[15]], sizeof l->shows[0], "%s%.*s", is_there ? "!" : "",
                       is_there ? (int)text.length : 0, text.data);
    }
}

static void take_frame(listener *l, tims_str text)
{
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    const tims_json *frame, *users;
    assert_int_equal(tims_json_parse(arena, text, &frame, NULL), TIMS_OK);
    if ((users = tims_json_get(frame, TIMS_STR("users"))) != NULL)
        memset(l->shows, 0, sizeof l->shows);
    take_users(arena, l, users, true);
    take_users(arena, l, tims_json_get(frame, TIMS_STR("joined")), true);
    take_users(arena, l, tims_json_get(frame, TIMS_STR("left")), false);
    tims_arena_free(&arena);
}

static void tell(void *argument, const live__room *room, tims_str text)
{
    (void)argument;
    for (live__link *link = room->places.first; link != NULL; link = link->next)
        take_frame(((live__place *)link->owner)->socket, text);
}

/* --- what is told to nodes ---------------------------------------------------------------------------- */

static void say_member(void *data, const live__member *member)
{
    const node *n = data;
    world *w = n->world;
    assert_true(w->count < QUEUE_MAX);
    message *m = &w->queue[(w->first + w->count++) % QUEUE_MAX];
    *m = (message){ .from = n->index,
                    .is_here = member->is_here,
                    .user = member->user,
                    .stamp_us = member->stamp_us,
                    .length = member->state_length };
    memcpy(m->state, member->state, member->state_length);
}

static void say_said(void *data, const live__room *room, tims_id user, tims_str kind, tims_str text)
{
    (void)data, (void)room, (void)user, (void)kind, (void)text;
}

static void hear(node *n, const message *m)
{
    const live__hearing hearing = {
        .room = ROOM, .user = m->user, .stamp_us = m->stamp_us, .state = { m->state, m->length }
    };
    if (m->is_here)
        live__presence_hear_here(n->presence, &n->origins[m->from], &hearing);
    else
        live__presence_hear_gone(n->presence, &n->origins[m->from], ROOM, m->user);
}

/* To all others; one that is `deaf` misses it, and believes no more of its sender until it has asked. */
static void deliver_one(world *w, int deaf)
{
    message m = w->queue[w->first];
    w->first = (w->first + 1) % QUEUE_MAX;
    w->count--;
    for (int i = 0; i < NODES; i++) {
        if (i == m.from)
            continue;
        if (i == deaf)
            w->nodes[i].knows[m.from] = false;
        else if (w->nodes[i].knows[m.from])
            hear(&w->nodes[i], &m);
    }
}

static void deliver_all(world *w)
{
    while (w->count > 0)
        deliver_one(w, -1);
}

/* With an empty queue: what is said then is the answer. */
static void ask_again(world *w)
{
    for (int i = 0; i < NODES; i++)
        for (int from = 0; from < NODES; from++) {
            node *n = &w->nodes[i];
            if (from == i || n->knows[from])
                continue;
            live__origin_begin_all(&n->origins[from]);
            live__presence_repeat(w->nodes[from].presence);
            for (; w->count > 0; w->count--, w->first = (w->first + 1) % QUEUE_MAX)
                hear(n, &w->queue[w->first]);
            live__origin_end_all(&n->origins[from]);
            n->knows[from] = true;
        }
}

/* --- what happens ------------------------------------------------------------------------------------- */

static void start_node(world *w, int index)
{
    node *n = &w->nodes[index];
    *n = (node){ .world = w, .index = index, .presence = live__presence_new(tell, NULL) };
    n->outward = (live__outward){ .data = n, .member = say_member, .said = say_said };
    live__presence_tell_outward(n->presence, &n->outward);
}

static void end_node(world *w, int index)
{
    node *n = &w->nodes[index];
    for (int i = 0; i < CLIENTS; i++)
        if (w->listeners[i].at == n)
            w->listeners[i] = (listener){ 0 };
    live__presence_free(&n->presence);
}

/* Killed: what it had said and nobody has heard is lost, and the others give it up after a while. */
static void kill_node(world *w, int index)
{
    deliver_all(w);
    end_node(w, index);
    for (int i = 0; i < NODES; i++) {
        if (i == index)
            continue;
        live__origin_clear(&w->nodes[i].origins[index]);
        w->nodes[i].knows[index] = false;
    }
    start_node(w, index);
}

static void enter(world *w, listener *l, unsigned chance)
{
    char state[64];
    size_t length = (size_t)snprintf(state, sizeof state, "{\"n\":%u}", chance % 100);
    l->at = &w->nodes[chance % NODES];
    l->user = chance / NODES % USERS;
    const live__entering entering = { .room = ROOM,
                                      .user = { true, { .bytes[15] = (uint8_t)l->user } },
                                      .is_present = chance % 7 != 0,
                                      .state = { state, chance % 5 != 0 ? length : 0 },
                                      .socket = l };
    tims_buf out;
    assert_int_equal(live__presence_enter(l->at->presence, &entering, &l->place, NULL), TIMS_OK);
    memset(l->shows, 0, sizeof l->shows);
    tims_buf_init(&out, NULL, 1 << 16);
    live__presence_answer(l->place, 1, &out);
    take_frame(l, tims_buf_str(&out));
    tims_buf_free(&out);
}

static void move(world *w, unsigned chance)
{
    listener *l = &w->listeners[chance % CLIENTS];
    chance /= CLIENTS;
    if (l->place == NULL)
        enter(w, l, chance);
    else if (chance % 3 == 0)
        live__presence_drop(&l->place, w->now_us);
    else
        live__presence_leave(&l->place);
}

static void pass(world *w, int64_t ms)
{
    w->now_us += ms * 1000;
    for (int i = 0; i < NODES; i++)
        while (live__presence_next_us(w->nodes[i].presence) <= w->now_us)
            live__presence_tick(w->nodes[i].presence, w->now_us);
}

/* Who has a place on any node and is seen is shown by all, all alike; nobody else is. */
static void check_everybody(const world *w)
{
    bool is_there[USERS] = { false };
    const listener *first = NULL;
    for (int i = 0; i < CLIENTS; i++)
        if (w->listeners[i].place != NULL && w->listeners[i].place->member != NULL)
            is_there[w->listeners[i].user] = true;
    for (int i = 0; i < CLIENTS; i++) {
        const listener *l = &w->listeners[i];
        if (l->place == NULL)
            continue;
        first = first != NULL ? first : l;
        for (int user = 0; user < USERS; user++) {
            assert_int_equal(l->shows[user][0] != '\0', is_there[user]);
            assert_string_equal(l->shows[user], first->shows[user]);
        }
    }
}

static void settle(world *w)
{
    pass(w, LIVE__GRACE_MS + 1);
    deliver_all(w);
    ask_again(w);
    pass(w, (int64_t)4 * LIVE__TELL_MS);
    check_everybody(w);
}

static void when_all_is_heard_all_nodes_show_the_same(void **state)
{
    (void)state;
    unsigned seed = (unsigned)tims_monotonic_us();
    print_message("seed %u\n", seed);
    world *w = calloc(1, sizeof *w);
    for (int i = 0; i < NODES; i++)
        start_node(w, i);
    ask_again(w);
    for (int step = 0; step < STEPS; step++) {
        unsigned chance = (unsigned)rand_r(&seed), what = (unsigned)rand_r(&seed) % 100;
        move(w, chance);
        if (w->count > 0 && what < 60)
            deliver_one(w, what < 3 ? (int)(chance % NODES) : -1);
        if (what % 10 == 0)
            pass(w, chance % 3000);
        if (w->count > QUEUE_MAX / 2)
            deliver_all(w);
        if (what == 99 && chance % 5 == 0)
            kill_node(w, (int)(chance % NODES));
        if (what >= 97)
            settle(w);
    }
    deliver_all(w);
    for (int i = 0; i < NODES; i++)
        end_node(w, i);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_all_is_heard_all_nodes_show_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
