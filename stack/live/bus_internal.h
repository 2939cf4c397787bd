/* bus_internal.h: what this node says to the others, and hears of them, through Redis.
 *
 *   channel            what                                          from
 *   <prefix>:poke      a commit: look at the log                     any node, at most one in flight
 *   <prefix>:nodes     who is where, what is said; signs of life     loop 0 of any node, numbered
 *   <prefix>:group:…   a message to the members of a group           any loop
 *
 * Redis keeps nothing. Each node says what it has and numbers what it says, so that whoever misses something
 * knows, and asks for all of it; a node that has not been heard for a while is gone, and what it said with
 * it. So a Redis that was away or has forgotten everything leaves nothing to be repaired but by saying it
 * again. */
#ifndef LIVE_BUS_INTERNAL_H
#define LIVE_BUS_INTERNAL_H

#include "live/live_internal.h"
#include "tims/redis.h"

enum {
    LIVE__BUS_MAGIC = 0x4c425553,
    LIVE__BUS_VERSION = 1,
    LIVE__NODE_NAME_LENGTH = 16,
    LIVE__NODES_MAX = 256,
    LIVE__PART_BYTES = 32 * 1024, /* what is said in one message, roughly */
    LIVE__BUS_MESSAGE_BYTES_MAX = 64 * 1024,
    LIVE__BUS_QUEUE_BYTES_MAX = 64 << 20,
    LIVE__GROUP_TEXT_BYTES_MAX = 1 << 20
};

/* --- bus_out.c: what this node says ------------------------------------------------------------------- */

typedef enum live__part_kind {
    LIVE__PART_ALIVE, /* nothing new */
    LIVE__PART_TELL,  /* what has changed */
    LIVE__PART_ALL,   /* all there is, in so many parts */
    LIVE__PART_WHO,   /* say all you have */
    LIVE__PART_BYE    /* goes on purpose */
} live__part_kind;

/* A message that waits for the one before to arrive. */
typedef struct live__part {
    struct live__part *next;
    live__part_kind kind;
    bool is_first, is_last; /* of ALL */
    size_t length;
    char text[]; /* TELL, ALL: operations, with commas; WHO: whom; empty: everybody */
} live__part;

typedef struct live__out {
    live__part *first, *last;
    size_t bytes;
    tims_buf open;  /* operations not yet in a part */
    bool is_all;    /* `open` is of all there is */
    bool is_begun;  /* the first part of all there is has been made */
    bool in_flight; /* one message is */
    bool flush_armed;
    int64_t said_us; /* when something was said last */
    uint64_t number; /* of the last message */
} live__out;

void live__out_init(live__bus *bus);
void live__out_free(live__bus *bus);
void live__out_say(live__bus *bus, live__part_kind kind, tims_str text);
void live__out_all(live__bus *bus);
void live__out_online(live__bus *bus, tims_id user, bool online);
/* Goes on with what waits. */
void live__out_pump(live__bus *bus);
void live__out_drop(live__bus *bus);
extern const live__outward live__out_outward;

/* --- bus_peer.c: the others --------------------------------------------------------------------------- */

typedef struct live__peer {
    live__bus *bus;
    live__origin origin; /* who is where on it */
    live__held online, incoming;
    char name[LIVE__NODE_NAME_LENGTH];
    uint64_t number;     /* of its last message */
    bool is_known;       /* nothing it said has been missed */
    bool is_telling_all; /* the parts of it come now */
    int64_t until_us;    /* gone, unless it is heard before */
    int64_t asked_us;
} live__peer;

void live__peers_hear(live__bus *bus, tims_str message);
/* What they said meanwhile was missed. */
void live__peers_doubt(live__bus *bus);
void live__peers_look(live__bus *bus, int64_t now_us);
void live__peers_free(live__bus *bus);

/* --- bus.c -------------------------------------------------------------------------------------------- */

struct live__bus {
    uint32_t magic;
    tims_live *live;
    tims_redis *redis;
    tims_loop *loop;
    tims_websockets *websockets; /* for groups; NULL: none */
    char node[LIVE__NODE_NAME_LENGTH];
    tims_str nodes_channel, poke_channel, group_prefix;
    live__outward outward;
    tims_group_bus groups;
    atomic_bool is_up;
    bool poke_in_flight, poke_again, stopping;
    bool asked_for_all; /* at the next look */
    tims_timer timer;
    live__out out;
    tims_map *peers;
    int64_t complained_us;
};

static inline tims_str live__node_of(const live__bus *bus)
{
    return (tims_str){ bus->node, sizeof bus->node };
}
/* A message that cannot be read: one line a minute. */
void live__bus_complain(live__bus *bus, const char *why);
/* bus_group.c */
void live__bus_groups_init(live__bus *bus);
void live__bus_hear_group(live__bus *bus, tims_str group, tims_str message);

#endif
