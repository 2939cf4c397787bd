/* presence.c: rooms: who is there, told in few and small frames.
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

enum { MAGIC = 0x50524553, FRAME_BYTES_MAX = 256 * 1024 };

struct live__presence {
    uint32_t magic;
    uint32_t next_number;
    live__tell_fn tell;
    void *argument;
    tims_map *rooms;
    live__chain ready, cooling, absent;
    tims_buf frame;
};

/* --- life --------------------------------------------------------------------------------------------- */

live__presence *live__presence_new(live__tell_fn tell, void *argument)
{
    live__presence *presence = calloc(1, sizeof *presence);
    TIMS_ASSERT(presence != NULL);
    presence->magic = MAGIC;
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

static void free_member(live__member *member)
{
    live__room *room = member->room;
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
        free_member(link->owner);
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
    TIMS_CHECK_MAGIC(presence, MAGIC);
    *pointer = NULL;
    while (tims_map_next(presence->rooms, &cursor, &name, &room))
        free_room(room);
    tims_map_free(&presence->rooms);
    tims_buf_free(&presence->frame);
    presence->magic = 0;
    free(presence);
}

static live__room *make_room(live__presence *presence, tims_str name)
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
static bool end_if_empty(live__room *room)
{
    if (room->places.count > 0 || room->present_count > 0)
        return false;
    free_room(room);
    return true;
}

/* --- members ------------------------------------------------------------------------------------------ */

static void note_news(live__room *room)
{
    if (room->phase == LIVE__ROOM_QUIET)
        set_phase(room, LIVE__ROOM_READY);
}

static void note_change(live__member *member)
{
    live__room *room = member->room;
    if (member->in_changed.owner == NULL)
        live__chain_add(&room->changed, &member->in_changed, member);
    note_news(room);
}

static live__member *find_or_make_member(live__room *room, tims_id user)
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

static void come(live__member *member, tims_str state)
{
    live__room *room = member->room;
    bool has_changed = set_state(member, state);
    live__chain_remove_if_in(&room->presence->absent, &member->in_absent);
    member->absent_until_us = 0;
    member->place_count++;
    if (!member->is_present) {
        member->is_present = true;
        room->present_count++;
        if (!member->was_shown || member->answered != room->answers)
            has_changed = true;
    }
    if (!has_changed)
        return;
    member->is_news = true;
    note_change(member);
}

static void go(live__member *member)
{
    live__room *room = member->room;
    member->is_present = false;
    member->absent_until_us = 0;
    member->answered = room->answers;
    live__chain_remove_if_in(&room->presence->absent, &member->in_absent);
    room->present_count--;
    note_change(member);
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
    TIMS_CHECK_MAGIC(presence, MAGIC);
    live__room *room = tims_map_get(presence->rooms, entering->room);
    tims_status status = check_entering(presence, room, entering, err);
    if (status != TIMS_OK)
        return status;
    if (room == NULL)
        room = make_room(presence, entering->room);
    live__place *place = calloc(1, sizeof *place);
    TIMS_ASSERT(place != NULL);
    place->room = room;
    place->user = entering->user;
    place->socket = entering->socket;
    live__chain_add(&room->places, &place->in_room, place);
    if (entering->user.present && entering->is_present) {
        place->member = find_or_make_member(room, entering->user.value);
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
    (void)end_if_empty(room);
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
    (void)end_if_empty(room);
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
    live__said_add(place->room, place->user.value, kind, data);
    note_news(place->room);
    return TIMS_OK;
}

/* --- frames ------------------------------------------------------------------------------------------- */

static tims_json_writer begin_frame(tims_buf *out, const live__room *room, uint32_t join)
{
    tims_json_writer w = tims_json_to(out);
    tims_json_begin_object(&w);
    tims_json_key(&w, TIMS_STR("t"));
    tims_json_str(&w, TIMS_STR("presence"));
    if (join != 0) {
        tims_json_key(&w, TIMS_STR("join"));
        tims_json_int(&w, join);
    }
    tims_json_key(&w, TIMS_STR("room"));
    tims_json_int(&w, room->number);
    tims_json_key(&w, TIMS_STR("count"));
    tims_json_int(&w, (int64_t)room->present_count);
    return w;
}

static void write_user(tims_json_writer *w, const live__member *member, bool with_state)
{
    tims_json_begin_object(w);
    tims_json_key(w, TIMS_STR("id"));
    tims_json_id(w, member->user);
    if (with_state && member->state_length > 0) {
        tims_json_key(w, TIMS_STR("state"));
        tims_json_raw(w, (tims_str){ member->state, member->state_length });
    }
    tims_json_end_object(w);
}

/* All who are there; from now on they have been shown. */
static void write_users(tims_json_writer *w, const live__room *room)
{
    tims_json_key(w, TIMS_STR("users"));
    tims_json_begin_array(w);
    for (live__link *link = room->members.first; link != NULL; link = link->next) {
        live__member *member = link->owner;
        if (!member->is_present)
            continue;
        write_user(w, member, true);
        member->was_shown = true;
    }
    tims_json_end_array(w);
}

void live__presence_answer(const live__place *place, uint32_t join, tims_buf *out)
{
    live__room *room = place->room;
    TIMS_ASSERT(join > 0);
    tims_json_writer w = begin_frame(out, room, join);
    if (room->present_count > LIVE__NAMED_USERS_MAX)
        room->has_names = false; /* this one has not */
    if (room->has_names)
        write_users(&w, room);
    tims_json_end_object(&w);
    room->answers++;
}

/* --- telling ------------------------------------------------------------------------------------------ */

static bool is_told(const live__member *member, bool as_joined)
{
    return as_joined ? member->is_present && member->is_news : !member->is_present && member->was_shown;
}

static void write_changed(tims_json_writer *w, const live__room *room, bool joined)
{
    bool is_open = false;
    for (live__link *link = room->changed.first; link != NULL; link = link->next) {
        live__member *member = link->owner;
        if (!is_told(member, joined))
            continue;
        if (!is_open) {
            tims_json_key(w, joined ? TIMS_STR("joined") : TIMS_STR("left"));
            tims_json_begin_array(w);
            is_open = true;
        }
        write_user(w, member, joined);
    }
    if (is_open)
        tims_json_end_array(w);
}

static bool has_told_changes(const live__room *room)
{
    for (live__link *link = room->changed.first; link != NULL; link = link->next)
        if (is_told(link->owner, true) || is_told(link->owner, false))
            return true;
    return false;
}

/* What was new is told, or not to be told; those who have left are forgotten. */
static void settle_changes(live__room *room, bool with_names)
{
    for (live__link *link = room->changed.first, *next; link != NULL; link = next) {
        live__member *member = link->owner;
        next = link->next;
        live__chain_remove(&room->changed, &member->in_changed);
        member->is_news = false;
        member->was_shown = member->was_shown || with_names;
        if (!member->is_present)
            free_member(member);
    }
}

static void tell(const live__room *room)
{
    live__presence *presence = room->presence;
    TIMS_ASSERT(!presence->frame.overflow); /* everything in it is bounded */
    if (room->places.count > 0)
        presence->tell(presence->argument, room, tims_buf_str(&presence->frame));
    presence->frame.length = 0;
}

/* With names: the changes, or all of them where not everybody knows the others or that is shorter. Without:
 * the number alone, by which everybody lets go of the names. */
static void tell_presence(live__room *room)
{
    bool with_names = room->present_count <= LIVE__NAMED_USERS_MAX;
    bool with_all = with_names && (!room->has_names || room->changed.count > LIVE__NAMED_USERS_MAX);
    bool has_news = with_names ? with_all || has_told_changes(room)
                               : room->has_names || room->told_count != room->present_count;
    if (has_news) {
        tims_json_writer w = begin_frame(&room->presence->frame, room, 0);
        if (with_all) {
            write_users(&w, room);
        } else if (with_names) {
            write_changed(&w, room, true);
            write_changed(&w, room, false);
        }
        tims_json_end_object(&w);
        tell(room);
    }
    room->has_names = with_names;
    room->told_count = room->present_count;
    settle_changes(room, with_names);
}

static void tell_room(live__room *room, int64_t now_us)
{
    tell_presence(room);
    if (room->said.count > 0) {
        live__said_write(room, &room->presence->frame);
        tell(room);
        live__said_clear(room);
    }
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
    (void)end_if_empty(room);
}

static bool has_ended(const live__member *member, int64_t now_us)
{
    return member->absent_until_us <= now_us;
}

int64_t live__presence_tick(live__presence *presence, int64_t now_us)
{
    TIMS_CHECK_MAGIC(presence, MAGIC);
    for (live__link *link = presence->absent.first, *next; link != NULL && has_ended(link->owner, now_us);
         link = next) {
        next = link->next; /* of a room that lives: whose grace runs is present in it */
        end_grace(link->owner);
    }
    while (cool_at_us(presence) <= now_us) {
        live__room *room = presence->cooling.first->owner;
        bool has_news = room->changed.count > 0 || room->said.count > 0;
        set_phase(room, has_news ? LIVE__ROOM_READY : LIVE__ROOM_QUIET);
    }
    while (presence->ready.first != NULL)
        tell_room(presence->ready.first->owner, now_us);
    return live__presence_next_us(presence);
}

int64_t live__presence_next_us(const live__presence *presence)
{
    TIMS_CHECK_MAGIC(presence, MAGIC);
    if (presence->ready.first != NULL)
        return INT64_MIN;
    int64_t cool_us = cool_at_us(presence), absent_us = absent_until_us(presence);
    return cool_us < absent_us ? cool_us : absent_us;
}

size_t live__presence_room_count(const live__presence *presence)
{
    return tims_map_count(presence->rooms);
}
