/* bus_group.c: groups over all nodes: a channel for each group that has members here.
 *
 * A message is the version, the node it comes from and the text as it was sent. Sent from the sender's own
 * loop; heard on loop 0, which hands it to the loops that have members. Not durable, as groups are not: what
 * is sent while Redis is away reaches this node's members. */
#include "live/bus_internal.h"

enum { HEAD_BYTES = 2 + LIVE__NODE_NAME_LENGTH + 1 }; /* "1 <node> " */

static tims_str channel_of(const live__bus *bus, tims_str group, tims_buf *room)
{
    tims_buf_init(room, NULL, bus->group_prefix.length + group.length);
    tims_buf_append_str(room, bus->group_prefix);
    tims_buf_append_str(room, group);
    return tims_buf_str(room);
}

static void join(void *data, tims_str group)
{
    const live__bus *bus = data;
    tims_buf room;
    tims_redis_subscribe(bus->redis, channel_of(bus, group, &room));
    tims_buf_free(&room);
}

static void leave(void *data, tims_str group)
{
    const live__bus *bus = data;
    tims_buf room;
    tims_redis_unsubscribe(bus->redis, channel_of(bus, group, &room));
    tims_buf_free(&room);
}

static void publish(void *data, tims_str group, tims_str text)
{
    live__bus *bus = data;
    tims_buf room, message;
    TIMS_CHECK_MAGIC(bus, LIVE__BUS_MAGIC);
    bool is_sent = false;
    if (text.length <= LIVE__GROUP_TEXT_BYTES_MAX && tims_loop_self() != NULL) {
        tims_buf_init(&message, NULL, HEAD_BYTES + text.length);
        tims_buf_print(&message, "%d %S %S", (int)LIVE__BUS_VERSION, live__node_of(bus), text);
        const tims_slice_list command =
            TIMS_REDIS_COMMAND(TIMS_STR("PUBLISH"), channel_of(bus, group, &room), tims_buf_str(&message));
        is_sent = tims_redis_send(bus->redis, command, NULL, NULL);
        tims_buf_free(&room);
        tims_buf_free(&message);
    }
    atomic_fetch_add(is_sent ? &bus->live->metrics.group_sent : &bus->live->metrics.group_unsent, 1);
}

void live__bus_groups_init(live__bus *bus)
{
    bus->groups = (tims_group_bus){ .data = bus, .join = join, .leave = leave, .publish = publish };
}

void live__bus_hear_group(live__bus *bus, tims_str group, tims_str message)
{
    tims_str head = tims_str_slice(message, 0, HEAD_BYTES);
    tims_str node = tims_str_slice(head, 2, 2 + LIVE__NODE_NAME_LENGTH);
    if (head.length != HEAD_BYTES || !tims_str_starts_with(head, TIMS_STR("1 ")) ||
        head.data[HEAD_BYTES - 1] != ' ') {
        live__bus_complain(bus, "a group's message cannot be read");
        return;
    }
    if (bus->websockets == NULL || tims_str_equal(node, live__node_of(bus)))
        return;
    atomic_fetch_add(&bus->live->metrics.group_heard, 1);
    tims_group_deliver(bus->websockets, group, tims_str_slice(message, HEAD_BYTES, message.length));
}

const tims_group_bus *tims_live_group_bus(tims_live *live)
{
    return live->bus != NULL ? &live->bus->groups : NULL;
}

void tims_live_carry_groups(tims_live *live, tims_websockets *websockets)
{
    if (live->bus != NULL)
        live->bus->websockets = websockets;
}
