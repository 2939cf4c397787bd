/* bus_peer.c: the other nodes: what they said, whether all of it was heard, and when they are gone.
 *
 *   unknown ── something of it ──► asked for all ── all parts, without a gap ──► known
 *      ▲                                                                          │
 *      └────────────────────────── a number is missing ◄──────────────────────────┘
 *
 * Of a node that is not known what is said in passing is taken, since it depends on nothing. */
#include "live/bus_internal.h"

enum { MESSAGE_ARENA_BYTES = 32 << 20, ASK_US = 500 * 1000 };

static live__peer *find_or_make(live__bus *bus, tims_str name)
{
    live__peer *peer = tims_map_get(bus->peers, name);
    if (peer != NULL)
        return peer;
    if (tims_map_count(bus->peers) >= LIVE__NODES_MAX)
        return NULL;
    peer = calloc(1, sizeof *peer);
    TIMS_ASSERT(peer != NULL);
    peer->bus = bus;
    memcpy(peer->name, name.data, sizeof peer->name);
    (void)tims_map_set(bus->peers, name, peer);
    atomic_store(&bus->live->metrics.bus_peers, tims_map_count(bus->peers));
    tims_log(TIMS_LOG_INFO, "live", "event=node_came node=%S", name);
    return peer;
}

static void forget(live__peer *peer)
{
    live__bus *bus = peer->bus;
    const tims_str name = { peer->name, sizeof peer->name };
    tims_log(TIMS_LOG_INFO, "live", "event=node_gone node=%S", name);
    live__origin_clear(&peer->origin);
    for (size_t i = 0; i < peer->online.count; i++)
        live__online_hear(bus->live, peer->online.ids[i], false);
    live__held_free(&peer->online);
    live__held_free(&peer->incoming);
    (void)tims_map_remove(bus->peers, name);
    atomic_store(&bus->live->metrics.bus_peers, tims_map_count(bus->peers));
    free(peer);
}

void live__peers_free(live__bus *bus)
{
    size_t cursor = 0;
    tims_str name;
    void *peer;
    while (tims_map_next(bus->peers, &cursor, &name, &peer))
        forget(peer);
    tims_map_free(&bus->peers);
}

void live__peers_doubt(live__bus *bus)
{
    size_t cursor = 0;
    tims_str name;
    void *value;
    while (tims_map_next(bus->peers, &cursor, &name, &value)) {
        live__peer *peer = value;
        peer->is_known = peer->is_telling_all = false;
    }
}

void live__peers_look(live__bus *bus, int64_t now_us)
{
    size_t cursor = 0;
    tims_str name;
    void *value;
    bool some = false;
    while (tims_map_next(bus->peers, &cursor, &name, &value))
        if (((live__peer *)value)->until_us < now_us) {
            forget(value);
            some = true;
        }
    if (some)
        live__feed_wake(&bus->live->feed);
}

static void ask(live__peer *peer, int64_t now_us)
{
    if (peer->asked_us != 0 && now_us - peer->asked_us < ASK_US)
        return;
    peer->asked_us = now_us;
    live__out_say(peer->bus, LIVE__PART_WHO, (tims_str){ peer->name, sizeof peer->name });
}

/* --- operations --------------------------------------------------------------------------------------- */

/* One `["here", room, user, …]` as it was read; what is not there is empty. */
typedef struct operation {
    tims_str op, room;
    tims_id user;
    const tims_json *third, *fourth;
} operation;

static bool read_operation(const tims_json *value, operation *ret_operation)
{
    operation o = { .op = tims_json_as_str(tims_json_at(value, 0), TIMS_STR("")) };
    bool is_line = tims_str_equal(o.op, TIMS_STR("online")) || tims_str_equal(o.op, TIMS_STR("offline"));
    size_t at = is_line ? 1 : 2, count = tims_json_count(value);
    if (!is_line)
        o.room = tims_json_as_str(tims_json_at(value, 1), TIMS_STR(""));
    if (count <= at || o.room.length > LIVE__URL_BYTES_MAX || (!is_line && o.room.length == 0) ||
        !tims_id_parse(tims_json_as_str(tims_json_at(value, at), TIMS_STR("")), &o.user))
        return false;
    o.third = count > at + 1 ? tims_json_at(value, at + 1) : NULL;
    o.fourth = count > at + 2 ? tims_json_at(value, at + 2) : NULL;
    *ret_operation = o;
    return true;
}

static bool hear_said(live__bus *bus, tims_arena *arena, const operation *o)
{
    tims_str kind = tims_json_as_str(o->third, TIMS_STR(""));
    if (kind.length == 0 || kind.length > LIVE__KIND_BYTES_MAX || o->fourth == NULL)
        return false;
    tims_str data = tims_json_to_text(arena, o->fourth);
    if (data.length > LIVE__SAID_BYTES_MAX)
        return false;
    live__presence_hear_said(bus->live->presence, o->room, o->user, kind, data);
    return true;
}

static bool hear_here(live__peer *peer, tims_arena *arena, const operation *o)
{
    live__hearing hearing = { .room = o->room, .user = o->user };
    hearing.stamp_us = tims_json_as_int(o->third, -1);
    if (o->fourth != NULL)
        hearing.state = tims_json_to_text(arena, o->fourth);
    if (hearing.stamp_us < 0 || hearing.state.length > LIVE__STATE_BYTES_MAX ||
        (o->fourth != NULL && tims_json_type_of(o->fourth) != TIMS_JSON_OBJECT))
        return false;
    live__presence_hear_here(peer->bus->live->presence, &peer->origin, &hearing);
    return true;
}

static void set_online(live__peer *peer, tims_id user, bool online)
{
    live__held *held = peer->is_telling_all ? &peer->incoming : &peer->online;
    bool changed = online ? live__held_add(held, user) : live__held_remove(held, user);
    if (changed && !peer->is_telling_all)
        live__online_hear(peer->bus->live, user, online);
}

/* `is_trusted`: what it builds on was heard. */
static bool apply(live__peer *peer, tims_arena *arena, const tims_json *value, bool is_trusted)
{
    operation o;
    if (!read_operation(value, &o))
        return false;
    if (tims_str_equal(o.op, TIMS_STR("said")))
        return hear_said(peer->bus, arena, &o);
    if (!is_trusted)
        return true;
    if (tims_str_equal(o.op, TIMS_STR("here")))
        return hear_here(peer, arena, &o);
    if (tims_str_equal(o.op, TIMS_STR("gone")))
        live__presence_hear_gone(peer->bus->live->presence, &peer->origin, o.room, o.user);
    else if (tims_str_equal(o.op, TIMS_STR("online")) || tims_str_equal(o.op, TIMS_STR("offline")))
        set_online(peer, o.user, tims_str_equal(o.op, TIMS_STR("online")));
    else
        return false;
    return true;
}

static void apply_all(live__peer *peer, tims_arena *arena, const tims_json *ops, bool is_trusted)
{
    size_t count = tims_json_count(ops);
    bool is_good = ops != NULL && tims_json_type_of(ops) == TIMS_JSON_ARRAY;
    for (size_t i = 0; is_good && i < count; i++)
        is_good = apply(peer, arena, tims_json_at(ops, i), is_trusted);
    if (!is_good)
        live__bus_complain(peer->bus, "an operation of another node cannot be read");
    live__feed_wake(&peer->bus->live->feed);
}

/* --- all that a node has ------------------------------------------------------------------------------ */

static void begin_all(live__peer *peer)
{
    peer->is_telling_all = true;
    live__origin_begin_all(&peer->origin);
    live__held_free(&peer->incoming);
}

static void end_all(live__peer *peer)
{
    tims_live *live = peer->bus->live;
    live__held before = peer->online;
    peer->is_telling_all = false;
    peer->is_known = true;
    live__origin_end_all(&peer->origin);
    peer->online = peer->incoming;
    peer->incoming = (live__held){ 0 };
    for (size_t i = 0; i < peer->online.count; i++)
        if (!live__held_has(&before, peer->online.ids[i]))
            live__online_hear(live, peer->online.ids[i], true);
    for (size_t i = 0; i < before.count; i++)
        if (!live__held_has(&peer->online, before.ids[i]))
            live__online_hear(live, before.ids[i], false);
    live__held_free(&before);
}

/* Who is known already has said nothing new by it. */
static void hear_all(live__peer *peer, tims_arena *arena, const tims_json *message)
{
    if (!peer->is_known && tims_json_get_bool(message, TIMS_STR("first"), false))
        begin_all(peer);
    if (!peer->is_telling_all)
        return;
    apply_all(peer, arena, tims_json_get(message, TIMS_STR("ops")), true);
    if (tims_json_get_bool(message, TIMS_STR("last"), false))
        end_all(peer);
}

/* --- messages ----------------------------------------------------------------------------------------- */

static void note_number(live__peer *peer, uint64_t number)
{
    bool follows = number == peer->number + 1;
    peer->number = number;
    peer->is_known = peer->is_known && follows;
    peer->is_telling_all = peer->is_telling_all && follows;
}

static void hear_from(live__peer *peer, tims_arena *arena, const tims_json *message)
{
    live__bus *bus = peer->bus;
    const live__limits *limits = &bus->live->limits;
    int64_t now_us = tims_monotonic_us();
    tims_str kind = tims_json_get_str(message, TIMS_STR("t"), TIMS_STR(""));
    note_number(peer, (uint64_t)tims_json_get_int(message, TIMS_STR("n"), 0));
    peer->until_us = now_us + limits->node_lease_ms * 1000;
    if (tims_str_equal(kind, TIMS_STR("bye"))) {
        peer->until_us = now_us + LIVE__GRACE_MS * INT64_C(1000);
    } else if (tims_str_equal(kind, TIMS_STR("who"))) {
        tims_str whom = tims_json_get_str(message, TIMS_STR("of"), TIMS_STR(""));
        bus->asked_for_all =
            bus->asked_for_all || whom.length == 0 || tims_str_equal(whom, live__node_of(bus));
    } else if (tims_str_equal(kind, TIMS_STR("all"))) {
        hear_all(peer, arena, message);
    } else if (tims_str_equal(kind, TIMS_STR("tell"))) {
        apply_all(peer, arena, tims_json_get(message, TIMS_STR("ops")), peer->is_known);
    } else if (!tims_str_equal(kind, TIMS_STR("alive"))) {
        live__bus_complain(bus, "another node says what is not understood here");
    }
    if (!peer->is_known && !peer->is_telling_all)
        ask(peer, now_us);
}

static void hear_message(live__bus *bus, tims_arena *arena, tims_str text)
{
    const tims_json *message;
    if (text.length > LIVE__BUS_MESSAGE_BYTES_MAX ||
        tims_json_parse(arena, text, &message, NULL) != TIMS_OK) {
        live__bus_complain(bus, "a message is too long, or no JSON");
        return;
    }
    tims_str node = tims_json_get_str(message, TIMS_STR("node"), TIMS_STR(""));
    if (tims_json_get_int(message, TIMS_STR("v"), 0) != LIVE__BUS_VERSION) {
        live__bus_complain(bus, "another node speaks another version; are all nodes of one release?");
    } else if (node.length != LIVE__NODE_NAME_LENGTH) {
        live__bus_complain(bus, "a message names no node");
    } else if (!tims_str_equal(node, live__node_of(bus))) {
        live__peer *peer = find_or_make(bus, node);
        if (peer == NULL)
            live__bus_complain(bus, "there are too many nodes");
        else
            hear_from(peer, arena, message);
    }
}

void live__peers_hear(live__bus *bus, tims_str text)
{
    tims_arena *arena = tims_arena_new(MESSAGE_ARENA_BYTES, NULL, NULL);
    atomic_fetch_add(&bus->live->metrics.bus_heard, 1);
    hear_message(bus, arena, text);
    tims_arena_free(&arena);
}
