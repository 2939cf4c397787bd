/* presence.c: rooms: who comes, who goes, and when it is told.
 *
 *   quiet ── something is new ──► ready ── tick: told ──► cooling (250 ms) ──► quiet
 *                                   ▲                        │ something new meanwhile
 *                                   └────────────────────────┘
 *
 * So what happens in a quiet room is told at once, and a busy room tells four times a second what has changed
 * on the whole. Two rules keep what is shown right: who comes back before the room has told is no news,
 * unless somebody joined in between and was told without them; and whoever was shown to anybody is told as
 * gone.
 *
 * A user is one member, however many sockets. Whose socket ends stays for a grace, since most come back; the
 * list of those is in order of time, because the grace is the same for all. */
#include "live/presence_internal.h"

enum { FRAME_BYTES_MAX = 256 * 1024 };

/* --- life --------------------------------------------------------------------------------------------- */

live__presence *live__presence_new(live__tell_fn tell, void *argument)
{
    live__presence *presence = calloc(1, sizeof *presence);
    TIMS_ASSERT(presence != NULL);
    presence->magic = LIVE__PRESENCE_MAGIC;
    presence->next_number = 1;
    presence->tell = tell;
    presence->argument = argument;
    presence->rooms = tims_map_new();
    tims_buf_init(&presence->frame, NULL, FRAME_BYTES_MAX);
    return presence;
}

static tims_str key_of(const tims_id *user)
{
    return (tims_str){ (const char *)user->bytes, sizeof user->bytes };
}

void live__member_free(live__member *member)
{
    live__room *room = member->room;
    while (member->remotes != NULL)
        live__remote_free(member->remotes);
    live__chain_remove(&room->members, &member->in_room);
    live__chain_remove_if_in(&room->changed, &member->in_changed);
    live__chain_remove_if_in(&room->presence->absent, &member->in_absent);
    (void)tims_map_remove(room->by_user, key_of(&member->user));
    free(member);
}

static void set_phase(live__room *room, live__room_phase phase)
{
    live__presence *presence = room->presence;
    if (room->phase == LIVE__ROOM_READY)
        live__chain_remove(&presence->ready, &room->in_phase);
    else if (room->phase == LIVE__ROOM_COOLING)
        live__chain_remove(&presence->cooling, &room->in_phase);
    room->phase = phase;
    if (phase == LIVE__ROOM_READY)
        live__chain_add(&presence->ready, &room->in_phase, room);
    else if (phase == LIVE__ROOM_COOLING)
        live__chain_add(&presence->cooling, &room->in_phase, room);
}

static void free_place(live__place *place)
{
    live__chain_remove(&place->room->places, &place->in_room);
    free(place);
}

static void free_room(live__room *room)
{
    set_phase(room, LIVE__ROOM_QUIET);
    for (live__link *link = room->places.first, *next; link != NULL; link = next) {
        next = link->next;
        free_place(link->owner);
    }
    for (live__link *link = room->members.first, *next; link != NULL; link = next) {
        next = link->next;
        live__member_free(link->owner);
    }
    live__said_clear(room);
    tims_map_free(&room->by_user);
    (void)tims_map_remove(room->presence->rooms, (tims_str){ room->name, room->name_length });
    free(room);
}

void live__presence_free(live__presence **pointer)
{
    live__presence *presence = *pointer;
    size_t cursor = 0;
    tims_str name;
    void *room;
    if (presence == NULL)
        return;
    TIMS_CHECK_MAGIC(presence, LIVE__PRESENCE_MAGIC);
    *pointer = NULL;
    while (tims_map_next(presence->rooms, &cursor, &name, &room))
        free_room(room);
    tims_map_free(&presence->rooms);
    tims_buf_free(&presence->frame);
    presence->magic = 0;
    free(presence);
}

live__room *live__room_make(live__presence *presence, tims_str name)
{
    live__room *room = calloc(1, sizeof *room + name.length);
    TIMS_ASSERT(room != NULL && presence->next_number < INT32_MAX);
    room->presence = presence;
    room->number = presence->next_number++;
    room->by_user = tims_map_new();
    room->has_names = true;
    room->name_length = name.length;
    memcpy(room->name, name.data, name.length);
    (void)tims_map_set(presence->rooms, name, room);
    return room;
}

/* Without anybody to hear and anybody to come back there is nothing to keep. */
bool live__room_end_if_empty(live__room *room)
{
    if (room->places.count > 0 || room->present_count > 0)
        return false;
    free_room(room);
    return true;
}

/* --- members ------------------------------------------------------------------------------------------ */

void live__room_note_news(live__room *room)
{
    if (room->phase == LIVE__ROOM_QUIET)
        set_phase(room, LIVE__ROOM_READY);
}

static void note_change(live__member *member)
{
    live__room *room = member->room;
    if (member->in_changed.owner == NULL)
        live__chain_add(&room->changed, &member->in_changed, member);
    live__room_note_news(room);
}

live__member *live__member_find_or_make(live__room *room, tims_id user)
{
    live__member *member = tims_map_get(room->by_user, key_of(&user));
    if (member != NULL)
        return member;
    member = calloc(1, sizeof *member);
    TIMS_ASSERT(member != NULL);
    member->room = room;
    member->user = user;
    live__chain_add(&room->members, &member->in_room, member);
    (void)tims_map_set(room->by_user, key_of(&user), member);
    return member;
}

static bool set_state(live__member *member, tims_str state)
{
    if (tims_str_equal(state, (tims_str){ member->state, member->state_length }))
        return false;
    member->state_length = state.length;
    if (state.length > 0)
        memcpy(member->state, state.data, state.length);
    return true;
}

/* The newest of those who are there, so that all nodes agree; equally new ones by what they say. */
tims_str live__member_state(const live__member *member)
{
    tims_str shown = { member->state, member->state_length };
    int64_t stamp_us = member->is_here || member->remotes == NULL ? member->stamp_us : INT64_MIN;
    for (const live__remote *remote = member->remotes; remote != NULL; remote = remote->next) {
        tims_str state = { remote->state, remote->state_length };
        bool is_newer = remote->stamp_us > stamp_us ||
                        (remote->stamp_us == stamp_us && tims_str_compare(state, shown) > 0);
        shown = is_newer ? state : shown;
        stamp_us = is_newer ? remote->stamp_us : stamp_us;
    }
    return shown;
}

void live__member_look_again(live__member *member, const live__shown *before)
{
    live__room *room = member->room;
    bool is_present = member->is_here || member->remotes != NULL;
    bool is_news = !tims_str_equal(live__member_state(member), (tims_str){ before->state, before->length });
    if (!is_present) {
        if (!member->is_present)
            return;
        (void)set_state(member, (tims_str){ before->state, before->length }); /* as clients still show them */
        member->is_present = false;
        member->answered = room->answers;
        room->present_count--;
        note_change(member);
        return;
    }
    if (!member->is_present) {
        member->is_present = true;
        room->present_count++;
        if (!member->was_shown || member->answered != room->answers)
            is_news = true;
    }
    if (!is_news)
        return;
    member->is_news = true;
    note_change(member);
}

live__shown live__member_shown(const live__member *member)
{
    live__shown shown;
    tims_str state = live__member_state(member);
    shown.length = state.length;
    if (state.length > 0)
        memcpy(shown.state, state.data, state.length);
    return shown;
}

static void tell_others(const live__member *member)
{
    const live__outward *outward = member->room->presence->outward;
    if (outward != NULL)
        outward->member(outward->data, member);
}

static void come(live__member *member, tims_str state)
{
    live__shown before = live__member_shown(member);
    bool has_changed = set_state(member, state) || !member->is_here || member->remotes != NULL;
    live__chain_remove_if_in(&member->room->presence->absent, &member->in_absent);
    member->absent_until_us = 0;
    member->place_count++;
    member->is_here = true;
    if (has_changed) {
        member->stamp_us = tims_now().us;
        tell_others(member);
    }
    live__member_look_again(member, &before);
}

static void go(live__member *member)
{
    live__shown before = live__member_shown(member);
    member->is_here = false;
    member->absent_until_us = 0;
    live__chain_remove_if_in(&member->room->presence->absent, &member->in_absent);
    tell_others(member);
    live__member_look_again(member, &before);
}

/* --- coming and going --------------------------------------------------------------------------------- */

static tims_status check_entering(const live__presence *presence, const live__room *room,
                                  const live__entering *entering, tims_error *err)
{
    if (entering->state.length > LIVE__STATE_BYTES_MAX)
        return tims_fail(err, TIMS_INVALID, NULL, "A state has at most %d bytes.",
                         (int)LIVE__STATE_BYTES_MAX);
    if (room == NULL && tims_map_count(presence->rooms) >= LIVE__ROOMS_MAX)
        return tims_fail(err, TIMS_UNAVAILABLE, NULL, "There are too many rooms; try again shortly.");
    if (room != NULL && room->members.count >= LIVE__ROOM_USERS_MAX && entering->is_present &&
        entering->user.present && tims_map_get(room->by_user, key_of(&entering->user.value)) == NULL)
        return tims_fail(err, TIMS_THROTTLED, "room_full", "This room is full.");
    return TIMS_OK;
}

tims_status live__presence_enter(live__presence *presence, const live__entering *entering,
                                 live__place **ret_place, tims_error *err)
{
    TIMS_CHECK_MAGIC(presence, LIVE__PRESENCE_MAGIC);
    live__room *room = tims_map_get(presence->rooms, entering->room);
    tims_status status = check_entering(presence, room, entering, err);
    if (status != TIMS_OK)
        return status;
    if (room == NULL)
        room = live__room_make(presence, entering->room);
    live__place *place = calloc(1, sizeof *place);
    TIMS_ASSERT(place != NULL);
    place->room = room;
    place->user = entering->user;
    place->socket = entering->socket;
    live__chain_add(&room->places, &place->in_room, place);
    if (entering->user.present && entering->is_present) {
        place->member = live__member_find_or_make(room, entering->user.value);
        come(place->member, entering->state);
    }
    *ret_place = place;
    return TIMS_OK;
}

/* A grace that runs because of another socket goes on. */
void live__presence_leave(live__place **pointer)
{
    live__place *place = *pointer;
    live__room *room = place->room;
    live__member *member = place->member;
    *pointer = NULL;
    free_place(place);
    if (member != NULL && --member->place_count == 0 && member->absent_until_us == 0)
        go(member);
    (void)live__room_end_if_empty(room);
}

void live__presence_drop(live__place **pointer, int64_t now_us)
{
    live__place *place = *pointer;
    live__room *room = place->room;
    live__member *member = place->member;
    *pointer = NULL;
    free_place(place);
    if (member != NULL) {
        live__chain *absent = &room->presence->absent;
        member->place_count--;
        member->absent_until_us = now_us + LIVE__GRACE_MS * INT64_C(1000);
        live__chain_remove_if_in(absent, &member->in_absent);
        live__chain_add(absent, &member->in_absent, member);
    }
    (void)live__room_end_if_empty(room);
}

tims_status live__presence_publish(live__place *place, tims_str kind, tims_str data, tims_error *err)
{
    if (!place->user.present)
        return tims_fail(err, TIMS_UNAUTHORIZED, NULL, "Sign in to say something here.");
    if (kind.length == 0)
        return tims_fail(err, TIMS_INVALID, NULL, "What is said has a kind.");
    if (kind.length > LIVE__KIND_BYTES_MAX || data.length > LIVE__SAID_BYTES_MAX)
        return tims_fail(err, TIMS_TOO_LARGE, NULL, "A kind has at most %d bytes, its data %d.",
                         (int)LIVE__KIND_BYTES_MAX, (int)LIVE__SAID_BYTES_MAX);
    live__room *room = place->room;
    live__said_add(room, place->user.value, kind, data);
    live__room_note_news(room);
    const live__outward *outward = room->presence->outward;
    if (outward != NULL)
        outward->said(outward->data, room, place->user.value, kind, data);
    return TIMS_OK;
}

static void tell_room(live__room *room, int64_t now_us)
{
    live__room_tell(room);
    room->told_us = now_us;
    set_phase(room, LIVE__ROOM_COOLING);
}

/* --- the clock ---------------------------------------------------------------------------------------- */

static int64_t cool_at_us(const live__presence *presence)
{
    const live__link *first = presence->cooling.first;
    return first != NULL ? ((const live__room *)first->owner)->told_us + LIVE__TELL_MS * INT64_C(1000)
                         : INT64_MAX;
}

static int64_t absent_until_us(const live__presence *presence)
{
    const live__link *first = presence->absent.first;
    return first != NULL ? ((const live__member *)first->owner)->absent_until_us : INT64_MAX;
}

static void end_grace(live__member *member)
{
    live__room *room = member->room;
    live__chain_remove(&room->presence->absent, &member->in_absent);
    member->absent_until_us = 0;
    if (member->place_count > 0) /* another socket of theirs is there */
        return;
    go(member);
    (void)live__room_end_if_empty(room);
}

static bool has_ended(const live__member *member, int64_t now_us)
{
    return member->absent_until_us <= now_us;
}

int64_t live__presence_tick(live__presence *presence, int64_t now_us)
{
    TIMS_CHECK_MAGIC(presence, LIVE__PRESENCE_MAGIC);
    for (live__link *link = presence->absent.first, *next; link != NULL && has_ended(link->owner, now_us);
         link = next) {
        next = link->next; /* of a room that lives: whose grace runs is present in it */
        end_grace(link->owner);
    }
    while (cool_at_us(presence) <= now_us) {
        live__room *room = presence->cooling.first->owner;
        bool has_news = room->changed.count > 0 || room->said.count > 0 || room->tells_all;
        set_phase(room, has_news ? LIVE__ROOM_READY : LIVE__ROOM_QUIET);
    }
    while (presence->ready.first != NULL)
        tell_room(presence->ready.first->owner, now_us);
    return live__presence_next_us(presence);
}

int64_t live__presence_next_us(const live__presence *presence)
{
    TIMS_CHECK_MAGIC(presence, LIVE__PRESENCE_MAGIC);
    if (presence->ready.first != NULL)
        return INT64_MIN;
    int64_t cool_us = cool_at_us(presence), absent_us = absent_until_us(presence);
    return cool_us < absent_us ? cool_us : absent_us;
}

size_t live__presence_room_count(const live__presence *presence)
{
    return tims_map_count(presence->rooms);
}
