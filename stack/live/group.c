/* group.c: groups: named sets of sockets, over all loops of the process.
 *
 *   send ─► frame, encoded once ─► one post to each loop that has members ─► each member's queue
 *
 * Who is in a group is known to each loop for its own sockets; the process knows only which loops have
 * members (`places`). Posts are made under the mutex, to the sender's own loop too: so all members of a group
 * get its messages in the same order, whoever sends. A send in a transaction waits for its commit, and is
 * forgotten with a rollback: nobody hears of what did not happen.
 *
 * Not durable: who is not connected misses it. What must not be missed is a row, and a live query. */
#include "live/websocket_internal.h"

struct live__membership {
    live__membership *next, *previous; /* of its socket */
    live__seat seat;
    size_t name_length;
    char name[];
};

/* --- on which loops a group has members --------------------------------------------------------------- */

typedef struct place {
    uint64_t loops[LIVE__LOOPS_MAX / 64];
} place;

static bool is_nowhere(const place *p)
{
    for (size_t i = 0; i < sizeof p->loops / sizeof p->loops[0]; i++)
        if (p->loops[i] != 0)
            return false;
    return true;
}

/* The bus is told under the mutex, so that it hears of joining and leaving in the order in which they
 * happen. */
static void come(tims_websockets *websockets, int index, tims_str name)
{
    const tims_group_bus *bus = websockets->options.bus;
    pthread_mutex_lock(&websockets->mutex);
    place *p = tims_map_get(websockets->places, name);
    if (p == NULL) {
        p = calloc(1, sizeof *p);
        TIMS_ASSERT(p != NULL);
        (void)tims_map_set(websockets->places, name, p);
        if (bus != NULL)
            bus->join(bus->data, name);
    }
    p->loops[index / 64] |= UINT64_C(1) << (index % 64);
    pthread_mutex_unlock(&websockets->mutex);
}

static void go(tims_websockets *websockets, int index, tims_str name)
{
    const tims_group_bus *bus = websockets->options.bus;
    pthread_mutex_lock(&websockets->mutex);
    place *p = tims_map_get(websockets->places, name);
    TIMS_ASSERT(p != NULL);
    p->loops[index / 64] &= ~(UINT64_C(1) << (index % 64));
    if (is_nowhere(p)) {
        (void)tims_map_remove(websockets->places, name);
        free(p);
        if (bus != NULL)
            bus->leave(bus->data, name);
    }
    pthread_mutex_unlock(&websockets->mutex);
}

/* --- membership --------------------------------------------------------------------------------------- */

enum { KEY_MAX = sizeof(void *) + LIVE__GROUP_NAME_MAX };

static tims_str write_key(const tims_websocket *websocket, tims_str name, char room[KEY_MAX])
{
    memcpy(room, &websocket, sizeof websocket);
    memcpy(room + sizeof websocket, name.data, name.length);
    return (tims_str){ room, sizeof websocket + name.length };
}

static void check_name(tims_request *rq, tims_str name)
{
    if (name.length == 0 || name.length > LIVE__GROUP_NAME_MAX)
        tims_raise(rq, 422, "group_name", "A group's name has 1 to %d bytes.", (int)LIVE__GROUP_NAME_MAX);
}

static live__membership *find(const tims_websocket *websocket, tims_str name)
{
    char room[KEY_MAX];
    return tims_map_get(websocket->home->memberships, write_key(websocket, name, room));
}

void tims_group_add(tims_request *rq, tims_websocket *websocket, tims_str group)
{
    char room[KEY_MAX];
    TIMS_CHECK_MAGIC(websocket, LIVE__WEBSOCKET_MAGIC);
    TIMS_ASSERT(websocket->home->loop == tims_loop_self());
    check_name(rq, group);
    if (websocket->gone || find(websocket, group) != NULL)
        return;
    if (websocket->membership_count == LIVE__GROUPS_PER_SOCKET)
        tims_raise(rq, 429, "too_many_groups", "One connection may be in %d groups.",
                   (int)LIVE__GROUPS_PER_SOCKET);
    live__membership *made = calloc(1, sizeof *made + group.length);
    TIMS_ASSERT(made != NULL);
    made->name_length = group.length;
    memcpy(made->name, group.data, group.length);
    made->next = websocket->memberships;
    if (made->next != NULL)
        made->next->previous = made;
    websocket->memberships = made;
    websocket->membership_count++;
    (void)tims_map_set(websocket->home->memberships, write_key(websocket, group, room), made);
    if (live__roster_add(websocket->home->groups, group, &made->seat, websocket))
        come(websocket->home->websockets, websocket->home->index, group);
}

static void end_membership(tims_websocket *websocket, live__membership *membership)
{
    char room[KEY_MAX];
    live__socket_loop *home = websocket->home;
    tims_str name = { membership->name, membership->name_length };
    if (live__roster_remove(home->groups, &membership->seat))
        go(home->websockets, home->index, name);
    (void)tims_map_remove(home->memberships, write_key(websocket, name, room));
    if (membership->next != NULL)
        membership->next->previous = membership->previous;
    if (membership->previous != NULL)
        membership->previous->next = membership->next;
    else
        websocket->memberships = membership->next;
    websocket->membership_count--;
    free(membership);
}

void tims_group_remove(tims_request *rq, tims_websocket *websocket, tims_str group)
{
    TIMS_CHECK_MAGIC(websocket, LIVE__WEBSOCKET_MAGIC);
    TIMS_ASSERT(websocket->home->loop == tims_loop_self());
    check_name(rq, group);
    live__membership *membership = find(websocket, group);
    if (membership != NULL)
        end_membership(websocket, membership);
}

void live__groups_leave(tims_websocket *websocket)
{
    while (websocket->memberships != NULL)
        end_membership(websocket, websocket->memberships);
}

/* --- sending ------------------------------------------------------------------------------------------ */

typedef struct delivery {
    live__socket_loop *home;
    tims_frame *frame;
    size_t name_length;
    char name[];
} delivery;

static void deliver(void *argument)
{
    delivery *d = argument;
    TIMS_CHECK_MAGIC(d->home, LIVE__SOCKET_LOOP_MAGIC);
    live__seat *seat = live__roster_first(d->home->groups, (tims_str){ d->name, d->name_length });
    for (; seat != NULL; seat = seat->next)
        if (seat->websocket->socket != NULL)
            tims_socket_send_frame(seat->websocket->socket, d->frame);
    tims_frame_unref(&d->frame);
    free(d);
}

static void post(live__socket_loop *home, tims_str group, tims_frame *frame)
{
    delivery *d = malloc(sizeof *d + group.length);
    TIMS_ASSERT(d != NULL);
    *d = (delivery){ .home = home, .frame = tims_frame_ref(frame), .name_length = group.length };
    memcpy(d->name, group.data, group.length);
    tims_loop_post(home->loop, deliver, d);
}

void tims_group_deliver(tims_websockets *websockets, tims_str group, tims_str text)
{
    TIMS_CHECK_MAGIC(websockets, LIVE__WEBSOCKETS_MAGIC);
    tims_frame *frame = NULL;
    pthread_mutex_lock(&websockets->mutex);
    const place *p = tims_map_get(websockets->places, group);
    for (int i = 0; p != NULL && i < LIVE__LOOPS_MAX; i++) {
        if ((p->loops[i / 64] >> (i % 64) & 1) == 0 || websockets->stopped[i])
            continue;
        if (frame == NULL)
            frame = tims_frame_new(text);
        post(websockets->loops[i], group, frame);
    }
    pthread_mutex_unlock(&websockets->mutex);
    tims_frame_unref(&frame);
}

static void send_now(tims_websockets *websockets, tims_str group, tims_str text)
{
    const tims_group_bus *bus = websockets->options.bus;
    tims_group_deliver(websockets, group, text);
    if (bus != NULL)
        bus->publish(bus->data, group, text);
}

typedef struct sending {
    tims_websockets *websockets;
    tims_str group, text;
} sending;

static void send_committed(void *argument)
{
    const sending *s = argument;
    send_now(s->websockets, s->group, s->text);
}

void tims_group_send(tims_request *rq, tims_str group, tims_str text)
{
    tims_websockets *websockets = rq->slots[TIMS_SLOT_WEBSOCKETS];
    check_name(rq, group);
    if (websockets == NULL)
        return;
    TIMS_CHECK_MAGIC(websockets, LIVE__WEBSOCKETS_MAGIC);
    if (!tims_in_transaction(rq)) {
        send_now(websockets, group, text);
        return;
    }
    sending *s = TIMS_NEW(rq->arena, sending);
    *s = (sending){ websockets, tims_copy(rq->arena, group), tims_copy(rq->arena, text) };
    tims_db_on_commit(tims_session_db(rq), send_committed, s);
}
