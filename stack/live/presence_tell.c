/* presence_tell.c: a room in frames, few and small: who is there, and what has become of them. */
#include "live/presence_internal.h"

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
    if (room->presence->is_partial) {
        tims_json_key(&w, TIMS_STR("partial"));
        tims_json_bool(&w, true);
    }
    return w;
}

static void write_user(tims_json_writer *w, const live__member *member, bool with_state)
{
    tims_json_begin_object(w);
    tims_json_key(w, TIMS_STR("id"));
    tims_json_id(w, member->user);
    tims_str state = live__member_state(member);
    if (with_state && state.length > 0) {
        tims_json_key(w, TIMS_STR("state"));
        tims_json_raw(w, state);
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

/* --- what is new -------------------------------------------------------------------------------------- */

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
            live__member_free(member);
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
    bool with_all =
        with_names && (!room->has_names || room->tells_all || room->changed.count > LIVE__NAMED_USERS_MAX);
    bool has_news = with_names
                        ? with_all || has_told_changes(room)
                        : room->has_names || room->tells_all || room->told_count != room->present_count;
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
    room->tells_all = false;
    room->has_names = with_names;
    room->told_count = room->present_count;
    settle_changes(room, with_names);
}

void live__room_tell(live__room *room)
{
    tell_presence(room);
    if (room->said.count == 0)
        return;
    live__said_write(room, &room->presence->frame);
    tell(room);
    live__said_clear(room);
}
