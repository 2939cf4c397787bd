/* said.c: what was published in a room since it last told: of one user and kind only the newest.
 *
 * A list that is looked through: it is emptied four times a second and holds a few items, and never more than
 * its bound; past that the oldest is forgotten, as what is said in passing may be. */
#include "live/presence_internal.h"

typedef struct item {
    live__link in_room;
    tims_id user;
    size_t kind_length, data_length;
    char text[]; /* kind, then data */
} item;

static void drop_item(live__room *room, item *old)
{
    room->said_bytes -= old->kind_length + old->data_length;
    live__chain_remove(&room->said, &old->in_room);
    free(old);
}

static item *find_item(const live__room *room, tims_id user, tims_str kind)
{
    for (live__link *link = room->said.first; link != NULL; link = link->next) {
        item *at = link->owner;
        if (tims_same_id(at->user, user) && tims_str_equal((tims_str){ at->text, at->kind_length }, kind))
            return at;
    }
    return NULL;
}

static bool is_over(const live__room *room)
{
    return room->said.count > LIVE__ROOM_SAID_MAX || room->said_bytes > LIVE__ROOM_SAID_BYTES_MAX;
}

void live__said_add(live__room *room, tims_id user, tims_str kind, tims_str data)
{
    item *old = find_item(room, user, kind);
    if (old != NULL)
        drop_item(room, old);
    size_t bytes = kind.length + data.length;
    item *made = malloc(sizeof *made + bytes);
    TIMS_ASSERT(made != NULL);
    *made = (item){ .user = user, .kind_length = kind.length, .data_length = data.length };
    memcpy(made->text, kind.data, kind.length);
    memcpy(made->text + kind.length, data.data, data.length);
    live__chain_add(&room->said, &made->in_room, made);
    room->said_bytes += bytes;
    for (live__link *link = room->said.first, *next; link != NULL && is_over(room); link = next) {
        next = link->next;
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed above has left the list */
        drop_item(room, link->owner);
    }
}

void live__said_write(const live__room *room, tims_buf *out)
{
    tims_json_writer w = tims_json_to(out);
    tims_json_begin_object(&w);
    tims_json_key(&w, TIMS_STR("t"));
    tims_json_str(&w, TIMS_STR("said"));
    tims_json_key(&w, TIMS_STR("room"));
    tims_json_int(&w, room->number);
    tims_json_key(&w, TIMS_STR("items"));
    tims_json_begin_array(&w);
    for (live__link *link = room->said.first; link != NULL; link = link->next) {
        const item *at = link->owner;
        tims_json_begin_object(&w);
        tims_json_key(&w, TIMS_STR("user"));
        tims_json_id(&w, at->user);
        tims_json_key(&w, TIMS_STR("kind"));
        tims_json_str(&w, (tims_str){ at->text, at->kind_length });
        tims_json_key(&w, TIMS_STR("data"));
        tims_json_raw(&w, (tims_str){ at->text + at->kind_length, at->data_length });
        tims_json_end_object(&w);
    }
    tims_json_end_array(&w);
    tims_json_end_object(&w);
}

void live__said_clear(live__room *room)
{
    for (live__link *link = room->said.first, *next; link != NULL; link = next) {
        next = link->next;
        drop_item(room, link->owner);
    }
}
