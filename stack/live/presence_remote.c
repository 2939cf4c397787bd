/* presence_remote.c: what other nodes say of rooms.
 *
 * Each node says who is in a room on it, and with which state; a user is present while any node says so, and
 * the newest state is shown. So nodes need not agree on anything: what they say is kept apart by who said it,
 * and a node that is not heard any more takes only its own with it. */
#include "live/presence_internal.h"

void live__remote_free(live__remote *remote)
{
    live__remote **at = &remote->member->remotes;
    while (*at != remote)
        at = &(*at)->next;
    *at = remote->next;
    live__chain_remove(&remote->origin->remotes, &remote->in_origin);
    free(remote);
}

static void end_remote(live__remote *remote)
{
    live__member *member = remote->member;
    live__room *room = member->room;
    live__shown before = live__member_shown(member);
    live__remote_free(remote);
    live__member_look_again(member, &before);
    (void)live__room_end_if_empty(room);
}

static live__remote *find_remote(const live__member *member, const live__origin *origin)
{
    live__remote *remote = member != NULL ? member->remotes : NULL;
    while (remote != NULL && remote->origin != origin)
        remote = remote->next;
    return remote;
}

static live__member *find_member(const live__presence *presence, tims_str room_name, tims_id user)
{
    const live__room *room = tims_map_get(presence->rooms, room_name);
    return room != NULL
               ? tims_map_get(room->by_user, (tims_str){ (const char *)user.bytes, sizeof user.bytes })
               : NULL;
}

static live__member *take_member(live__presence *presence, const live__origin *origin,
                                 const live__hearing *hearing)
{
    live__member *member = find_member(presence, hearing->room, hearing->user);
    live__room *room = tims_map_get(presence->rooms, hearing->room);
    if (member != NULL)
        return member;
    if (origin->remotes.count >= LIVE__REMOTES_MAX ||
        (room == NULL && tims_map_count(presence->rooms) >= LIVE__ROOMS_MAX) ||
        (room != NULL && room->members.count >= LIVE__ROOM_USERS_MAX))
        return NULL;
    if (room == NULL)
        room = live__room_make(presence, hearing->room);
    return live__member_find_or_make(room, hearing->user);
}

void live__presence_hear_here(live__presence *presence, live__origin *origin, const live__hearing *hearing)
{
    TIMS_CHECK_MAGIC(presence, LIVE__PRESENCE_MAGIC);
    if (hearing->state.length > LIVE__STATE_BYTES_MAX)
        return;
    live__member *member = take_member(presence, origin, hearing);
    if (member == NULL)
        return;
    live__shown before = live__member_shown(member);
    live__remote *remote = find_remote(member, origin);
    if (remote == NULL) {
        remote = calloc(1, sizeof *remote);
        TIMS_ASSERT(remote != NULL);
        *remote = (live__remote){ .next = member->remotes, .member = member, .origin = origin };
        member->remotes = remote;
        live__chain_add(&origin->remotes, &remote->in_origin, remote);
    }
    remote->round = origin->round;
    remote->stamp_us = hearing->stamp_us;
    remote->state_length = hearing->state.length;
    if (hearing->state.length > 0)
        memcpy(remote->state, hearing->state.data, hearing->state.length);
    live__member_look_again(member, &before);
}

void live__presence_hear_gone(live__presence *presence, const live__origin *origin, tims_str room,
                              tims_id user)
{
    TIMS_CHECK_MAGIC(presence, LIVE__PRESENCE_MAGIC);
    live__remote *remote = find_remote(find_member(presence, room, user), origin);
    if (remote != NULL)
        end_remote(remote);
}

void live__presence_hear_said(live__presence *presence, tims_str room_name, tims_id user, tims_str kind,
                              tims_str data)
{
    TIMS_CHECK_MAGIC(presence, LIVE__PRESENCE_MAGIC);
    live__room *room = tims_map_get(presence->rooms, room_name);
    if (room == NULL || room->places.count == 0)
        return;
    live__said_add(room, user, kind, data);
    live__room_note_news(room);
}

void live__origin_begin_all(live__origin *origin)
{
    origin->round++;
}

void live__origin_end_all(live__origin *origin)
{
    for (live__link *link = origin->remotes.first, *next; link != NULL; link = next) {
        live__remote *remote = link->owner;
        next = link->next;
        if (remote->round != origin->round)
            end_remote(remote);
    }
}

void live__origin_clear(live__origin *origin)
{
    live__origin_begin_all(origin);
    live__origin_end_all(origin);
}

/* --- the other way ------------------------------------------------------------------------------------ */

void live__presence_tell_outward(live__presence *presence, const live__outward *outward)
{
    TIMS_CHECK_MAGIC(presence, LIVE__PRESENCE_MAGIC);
    presence->outward = outward;
}

void live__presence_repeat(const live__presence *presence)
{
    size_t cursor = 0;
    tims_str name;
    void *value;
    while (tims_map_next(presence->rooms, &cursor, &name, &value)) {
        const live__room *room = value;
        for (const live__link *link = room->members.first; link != NULL; link = link->next) {
            const live__member *member = link->owner;
            if (member->is_here)
                presence->outward->member(presence->outward->data, member);
        }
    }
}

void live__presence_set_partial(live__presence *presence, bool is_partial)
{
    size_t cursor = 0;
    tims_str name;
    void *value;
    if (presence->is_partial == is_partial)
        return;
    presence->is_partial = is_partial;
    while (tims_map_next(presence->rooms, &cursor, &name, &value)) {
        live__room *room = value;
        if (room->places.count == 0)
            continue;
        room->tells_all = true;
        live__room_note_news(room);
    }
}
