/* bus.c: this node among others: pokes, signs of life, and whether the others can be heard.
 *
 * A poke is a hint, as a commit of this process is: whoever misses one finds the change at the next look at
 * the log. While Redis is away, changes of data travel as ever; rooms say that they are partial. */
#include "live/bus_internal.h"

enum { LOOK_MS = 250, COMPLAIN_US = 60 * 1000 * 1000 };

/* --- pokes -------------------------------------------------------------------------------------------- */

static void poke(live__bus *bus);

static void take_poked(void *argument, const tims_redis_reply *reply)
{
    live__bus *bus = argument;
    TIMS_CHECK_MAGIC(bus, LIVE__BUS_MAGIC);
    (void)reply;
    bus->poke_in_flight = false;
    if (bus->poke_again)
        poke(bus);
}

static void poke(live__bus *bus)
{
    bus->poke_again = bus->poke_in_flight;
    if (bus->poke_in_flight)
        return;
    bus->poke_in_flight = tims_redis_send(
        bus->redis, TIMS_REDIS_COMMAND(TIMS_STR("PUBLISH"), bus->poke_channel, live__node_of(bus)),
        take_poked, bus);
    if (bus->poke_in_flight)
        atomic_fetch_add(&bus->live->metrics.pokes_sent, 1);
}

void live__bus_poke(live__bus *bus)
{
    if (bus != NULL && atomic_load(&bus->is_up))
        poke(bus);
}

static void hear_poke(live__bus *bus, tims_str message)
{
    int64_t unheard = 0;
    if (tims_str_equal(message, live__node_of(bus)))
        return;
    (void)atomic_compare_exchange_strong(&bus->live->feed.heard_us, &unheard, tims_monotonic_us());
    atomic_fetch_add(&bus->live->metrics.pokes_heard, 1);
    live__feed_wake(&bus->live->feed);
}

/* --- what Redis says ---------------------------------------------------------------------------------- */

void live__bus_complain(live__bus *bus, const char *why)
{
    int64_t now_us = tims_monotonic_us();
    atomic_fetch_add(&bus->live->metrics.bus_unreadable, 1);
    if (bus->complained_us != 0 && now_us - bus->complained_us < COMPLAIN_US)
        return;
    bus->complained_us = now_us;
    tims_log(TIMS_LOG_WARN, "live", "event=bus_unreadable message=%s", why);
}

static void hear(void *data, tims_str channel, tims_str message)
{
    live__bus *bus = data;
    TIMS_CHECK_MAGIC(bus, LIVE__BUS_MAGIC);
    if (bus->stopping)
        return;
    if (tims_str_equal(channel, bus->poke_channel))
        hear_poke(bus, message);
    else if (tims_str_equal(channel, bus->nodes_channel))
        live__peers_hear(bus, message);
    else if (tims_str_starts_with(channel, bus->group_prefix))
        live__bus_hear_group(bus, tims_str_slice(channel, bus->group_prefix.length, channel.length), message);
}

static void change(void *data, bool is_up)
{
    live__bus *bus = data;
    TIMS_CHECK_MAGIC(bus, LIVE__BUS_MAGIC);
    atomic_store(&bus->is_up, is_up);
    atomic_store(&bus->live->metrics.bus_up, is_up);
    live__out_drop(bus);
    if (is_up) {
        bus->out.number++; /* what was not said meanwhile is missed, too */
        live__peers_doubt(bus);
        live__out_all(bus);
        live__out_say(bus, LIVE__PART_WHO, TIMS_STR(""));
    }
    live__presence_set_partial(bus->live->presence, !is_up);
    live__feed_wake(&bus->live->feed);
}

/* --- the clock ---------------------------------------------------------------------------------------- */

static void look(void *argument)
{
    live__bus *bus = argument;
    int64_t now_us = tims_monotonic_us();
    live__peers_look(bus, now_us);
    if (bus->asked_for_all) {
        bus->asked_for_all = false; /* first: what cannot be said now is asked for again */
        live__out_all(bus);
    }
    if (now_us - bus->out.said_us >= bus->live->limits.node_alive_ms * 1000)
        live__out_say(bus, LIVE__PART_ALIVE, TIMS_STR(""));
    tims_timer_set(bus->loop, &bus->timer, LOOK_MS, look, bus);
}

/* --- life --------------------------------------------------------------------------------------------- */

live__bus *live__bus_new(tims_live *live, tims_redis *redis, tims_str prefix)
{
    live__bus *bus = calloc(1, sizeof *bus);
    TIMS_ASSERT(bus != NULL && prefix.length > 0);
    *bus = (live__bus){ .magic = LIVE__BUS_MAGIC, .live = live, .redis = redis };
    char token[TIMS_TOKEN_TEXT_LENGTH];
    tims_token_new(token);
    memcpy(bus->node, token, sizeof bus->node);
    bus->nodes_channel = tims_print(live->arena, "%S:nodes", prefix);
    bus->poke_channel = tims_print(live->arena, "%S:poke", prefix);
    bus->group_prefix = tims_print(live->arena, "%S:group:", prefix);
    bus->peers = tims_map_new();
    live__out_init(bus);
    live__bus_groups_init(bus);
    live__presence_tell_outward(live->presence, &bus->outward);
    live__presence_set_partial(live->presence, true);
    tims_redis_listen(redis, &(tims_redis_listener){ bus, hear, change });
    tims_redis_subscribe(redis, bus->nodes_channel);
    tims_redis_subscribe(redis, bus->poke_channel);
    return bus;
}

void live__bus_free(live__bus **bus)
{
    live__bus *old = *bus;
    *bus = NULL;
    if (old == NULL)
        return;
    TIMS_CHECK_MAGIC(old, LIVE__BUS_MAGIC);
    live__out_free(old);
    live__peers_free(old);
    old->magic = 0;
    free(old);
}

void live__bus_start(live__bus *bus, tims_loop *loop)
{
    bus->loop = loop;
    look(bus);
}

/* The others keep who was here for a moment: most of them come back there. */
void live__bus_stop(live__bus *bus)
{
    live__out_drop(bus);
    bus->out.in_flight = false;
    live__out_say(bus, LIVE__PART_BYE, TIMS_STR(""));
    bus->stopping = true;
    tims_timer_clear(&bus->timer);
}
