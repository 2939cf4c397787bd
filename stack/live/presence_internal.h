/* presence_internal.h: who is in which room, and what they say in passing.
 *
 *   live__presence ── one per process, of one loop: rooms by name
 *     └─ live__room ── who is there (members), who hears it (places), what has not been told yet
 *          ├─ live__member ── one user, however many sockets
 *          └─ live__place ── one socket in one room
 *
 * A pure structure: it is handed the time and tells by a callback, so it can be tested without either. It
 * belongs to one loop and has no lock: a room's sockets are on all loops, and what it tells has to be told to
 * all of them in one order, so one loop has to decide it anyway; the others post to it and get frames back.
 */
#ifndef LIVE_PRESENCE_INTERNAL_H
#define LIVE_PRESENCE_INTERNAL_H

#include <stdlib.h>
#include <string.h>

#include "tims/http.h"

enum {
    LIVE__PRESENCE_MAGIC = 0x50524553,
    LIVE__STATE_BYTES_MAX = 256,
    LIVE__KIND_BYTES_MAX = 32,
    LIVE__SAID_BYTES_MAX = 1024,
    LIVE__NAMED_USERS_MAX = 200, /* of a room; with more of them only their number is told */
    LIVE__ROOM_USERS_MAX = 10000,
    LIVE__ROOMS_MAX = 100000,
    LIVE__REMOTES_MAX = 1000000, /* of one other node */
    LIVE__ROOM_SAID_MAX = 200,   /* what one room keeps until it is told; past it the oldest goes */
    LIVE__ROOM_SAID_BYTES_MAX = 64 * 1024,
    LIVE__TELL_MS = 250, /* a room tells no more often */
    LIVE__GRACE_MS = 10000
};

/* An item of a list, embedded in what it stands for. */
typedef struct live__link {
    struct live__link *next, *previous;
    void *owner; /* NULL: in no list */
} live__link;
typedef struct live__chain {
    live__link *first, *last;
    size_t count;
} live__chain;

typedef struct live__room live__room;
typedef struct live__remote live__remote;

typedef struct live__member {
    live__link in_room;   /* in the order of coming */
    live__link in_absent; /* while no socket is left and the grace runs, or others are still there */
    live__link in_changed;
    live__room *room;
    tims_id user;
    size_t place_count;      /* on this node, as all up to `state` */
    int64_t absent_until_us; /* 0: nobody dropped off */
    bool is_here;            /* has a place, or a grace that runs */
    int64_t stamp_us;        /* of `state`, by the wall clock: nodes compare it */
    live__remote *remotes;   /* what other nodes say of them */
    bool is_present;         /* here or there */
    bool is_news;            /* that they are there, or their state, has to be told */
    bool was_shown;          /* somebody has been told of them, and has to be told when they are gone */
    uint64_t answered;       /* the room's answers when they left */
    size_t state_length;
    char state[LIVE__STATE_BYTES_MAX];
} live__member;

/* Another node, as far as rooms go. */
typedef struct live__origin {
    live__chain remotes;
    uint64_t round; /* of telling all: what a round has not named is gone when it ends */
} live__origin;
struct live__remote {
    live__remote *next; /* of the member */
    live__link in_origin;
    live__member *member;
    live__origin *origin;
    int64_t stamp_us;
    uint64_t round;
    size_t state_length;
    char state[LIVE__STATE_BYTES_MAX];
};

typedef struct live__place {
    live__link in_room;
    live__room *room;
    live__member *member; /* NULL: hears without being seen */
    tims_opt_id user;
    void *socket; /* the owner's */
} live__place;

typedef enum live__room_phase {
    LIVE__ROOM_QUIET,  /* nothing to tell */
    LIVE__ROOM_READY,  /* to be told at the next tick */
    LIVE__ROOM_COOLING /* has told a moment ago; what is new waits */
} live__room_phase;

typedef struct live__presence live__presence;

/* What other nodes are told, at once; must not call back. */
typedef struct live__outward {
    void *data;
    void (*member)(void *data, const live__member *member); /* they are here (or not), with this state */
    void (*said)(void *data, const live__room *room, tims_id user, tims_str kind, tims_str text);
} live__outward;

struct live__room {
    live__presence *presence;
    uint32_t number; /* in frames; never used again in this process */
    live__room_phase phase;
    live__link in_phase; /* among the ready or the cooling ones */
    int64_t told_us;
    tims_map *by_user;
    live__chain members; /* also those that have left and are still to be told */
    size_t present_count, told_count;
    live__chain places, changed, said;
    size_t said_bytes;
    uint64_t answers;   /* how often somebody was told who is there */
    bool has_names;     /* everybody has been told the names, not only the number */
    bool tells_all;     /* whatever has changed */
    size_t name_length; /* the URL */
    char name[];
};

/* One frame for every place of the room (`room->places`); `text` is valid during the call. Must not call
 * back. */
typedef void (*live__tell_fn)(void *argument, const live__room *room, tims_str text);

struct live__presence {
    uint32_t magic;
    uint32_t next_number;
    live__tell_fn tell;
    void *argument;
    tims_map *rooms;
    live__chain ready, cooling, absent;
    tims_buf frame;
    const live__outward *outward; /* NULL: this node is alone */
    bool is_partial;              /* other nodes cannot be heard */
};

live__presence *live__presence_new(live__tell_fn tell, void *argument);
void live__presence_free(live__presence **presence); /* everybody's places go with it */

typedef struct live__entering {
    tims_str room;    /* canonical URL of the detail */
    tims_opt_id user; /* absent: nobody's socket; it only hears */
    bool is_present;  /* false: hears and may speak, and is not among those who are there */
    tims_str state;   /* a JSON object of at most 256 bytes; empty: none */
    void *socket;     /* comes back in `live__place.socket` */
} live__entering;
/* Errors: THROTTLED (room_full), UNAVAILABLE (too many rooms), INVALID (the state is too long). */
tims_status live__presence_enter(live__presence *presence, const live__entering *entering,
                                 live__place **ret_place, tims_error *err);
/* The frame that answers a join: the room's number and all who are there. */
void live__presence_answer(const live__place *place, uint32_t join, tims_buf *out);
void live__presence_leave(live__place **place);                /* on purpose: gone at once */
void live__presence_drop(live__place **place, int64_t now_us); /* the socket ended: gone after the grace */
/* Errors: UNAUTHORIZED (nobody's socket), TOO_LARGE, INVALID (an empty kind). `data` is JSON. */
tims_status live__presence_publish(live__place *place, tims_str kind, tims_str data, tims_error *err);
/* Tells what is due; returns when it wants to be called again (INT64_MIN: at once; INT64_MAX: not before
 * somebody does something). To be asked after each of the above, too. */
int64_t live__presence_tick(live__presence *presence, int64_t now_us);
int64_t live__presence_next_us(const live__presence *presence);
size_t live__presence_room_count(const live__presence *presence);

/* --- presence_tell.c ---------------------------------------------------------------------------------- */

/* What is due of a room, in at most two frames. */
void live__room_tell(live__room *room);

/* --- presence_remote.c: what other nodes say ----------------------------------------------------------- */

/* From now on this node is not alone. */
void live__presence_tell_outward(live__presence *presence, const live__outward *outward);
/* Says to the outward side again all who are here. */
void live__presence_repeat(const live__presence *presence);
/* Whether other nodes can be heard: every room tells it. */
void live__presence_set_partial(live__presence *presence, bool is_partial);
/* What cannot be taken (the bounds of rooms) is ignored. */
typedef struct live__hearing {
    tims_str room, state;
    tims_id user;
    int64_t stamp_us;
} live__hearing;
void live__presence_hear_here(live__presence *presence, live__origin *origin, const live__hearing *hearing);
void live__presence_hear_gone(live__presence *presence, const live__origin *origin, tims_str room,
                              tims_id user);
void live__presence_hear_said(live__presence *presence, tims_str room, tims_id user, tims_str kind,
                              tims_str data);
void live__origin_begin_all(live__origin *origin); /* it names all it has … */
void live__origin_end_all(live__origin *origin);   /* … and what it has not named is gone */
void live__origin_clear(live__origin *origin);

/* --- between these files ------------------------------------------------------------------------------- */

/* A state as it was, to be compared with. */
typedef struct live__shown {
    size_t length;
    char state[LIVE__STATE_BYTES_MAX];
} live__shown;
live__room *live__room_make(live__presence *presence, tims_str name);
bool live__room_end_if_empty(live__room *room);
void live__room_note_news(live__room *room);
live__member *live__member_find_or_make(live__room *room, tims_id user);
void live__member_free(live__member *member);
tims_str live__member_state(const live__member *member);
live__shown live__member_shown(const live__member *member);
/* Whether they are present, and how, may have changed. */
void live__member_look_again(live__member *member, const live__shown *before);
void live__remote_free(live__remote *remote);

/* --- said.c ------------------------------------------------------------------------------------------- */

/* Of one user and kind the newest, in the order in which they came. */
void live__said_add(live__room *room, tims_id user, tims_str kind, tims_str data);
void live__said_write(const live__room *room, tims_buf *out); /* the frame */
void live__said_clear(live__room *room);

/* --- the lists ---------------------------------------------------------------------------------------- */

static inline void live__chain_add(live__chain *chain, live__link *link, void *owner)
{
    TIMS_ASSERT(link->owner == NULL);
    *link = (live__link){ .previous = chain->last, .owner = owner };
    if (chain->last != NULL)
        chain->last->next = link;
    else
        chain->first = link;
    chain->last = link;
    chain->count++;
}

static inline void live__chain_remove(live__chain *chain, live__link *link)
{
    TIMS_ASSERT(link->owner != NULL);
    if (chain->first == link)
        chain->first = link->next;
    else
        link->previous->next = link->next;
    if (chain->last == link)
        chain->last = link->previous;
    else
        link->next->previous = link->previous;
    *link = (live__link){ 0 };
    chain->count--;
}

static inline void live__chain_remove_if_in(live__chain *chain, live__link *link)
{
    if (link->owner != NULL)
        live__chain_remove(chain, link);
}

#endif
