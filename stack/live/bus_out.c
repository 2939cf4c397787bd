/* bus_out.c: what this node says to the others: who is in which room, what is said in passing, who is online.
 *
 *   operations of a tick ─► parts ─► one message in flight ─► its arrival sends the next
 *
 * So however much happens, Redis is asked one thing at a time, and what happens meanwhile travels together.
 * What could not be said is not kept: all of it is said again when Redis is back. */
#include "live/bus_internal.h"

static const char *const kind_names[] = { "alive", "tell", "all", "who", "bye" };

void live__out_init(live__bus *bus)
{
    tims_buf_init(&bus->out.open, NULL, LIVE__BUS_MESSAGE_BYTES_MAX);
    bus->outward = live__out_outward;
    bus->outward.data = bus;
}

void live__out_drop(live__bus *bus)
{
    live__out *out = &bus->out;
    for (live__part *part = out->first, *next; part != NULL; part = next) {
        next = part->next;
        free(part);
    }
    out->first = out->last = NULL;
    out->bytes = 0;
    out->open.length = 0;
}

void live__out_free(live__bus *bus)
{
    live__out_drop(bus);
    tims_buf_free(&bus->out.open);
}

/* --- parts -------------------------------------------------------------------------------------------- */

static live__part *add_part(live__bus *bus, live__part_kind kind, tims_str text)
{
    live__out *out = &bus->out;
    live__part *part = malloc(sizeof *part + text.length);
    TIMS_ASSERT(part != NULL);
    *part = (live__part){ .kind = kind, .length = text.length };
    if (text.length > 0)
        memcpy(part->text, text.data, text.length);
    if (out->last != NULL)
        out->last->next = part;
    else
        out->first = part;
    out->last = part;
    out->bytes += text.length;
    return part;
}

static void close_open(live__bus *bus)
{
    live__out *out = &bus->out;
    if (out->open.length == 0 && !out->is_all)
        return;
    live__part *part =
        add_part(bus, out->is_all ? LIVE__PART_ALL : LIVE__PART_TELL, tims_buf_str(&out->open));
    part->is_first = out->is_all && !out->is_begun;
    out->is_begun = out->is_all;
    out->open.length = 0;
}

void live__out_say(live__bus *bus, live__part_kind kind, tims_str text)
{
    if (!atomic_load(&bus->is_up))
        return;
    close_open(bus);
    (void)add_part(bus, kind, text);
    live__out_pump(bus);
}

static void flush(void *argument)
{
    live__bus *bus = argument;
    close_open(bus);
    live__out_pump(bus);
}

/* --- messages ----------------------------------------------------------------------------------------- */

static void write_message(live__bus *bus, const live__part *part, tims_buf *message)
{
    tims_str text = { part->text, part->length };
    tims_buf_print(message, "{\"v\":%d,\"node\":\"%S\",\"n\":%llu,\"t\":\"%s\"", (int)LIVE__BUS_VERSION,
                   live__node_of(bus), (unsigned long long)++bus->out.number, kind_names[part->kind]);
    if (part->kind == LIVE__PART_WHO)
        tims_buf_print(message, ",\"of\":\"%S\"", text);
    if (part->is_first)
        tims_buf_append_str(message, TIMS_STR(",\"first\":true"));
    if (part->is_last)
        tims_buf_append_str(message, TIMS_STR(",\"last\":true"));
    if (part->kind == LIVE__PART_TELL || part->kind == LIVE__PART_ALL)
        tims_buf_print(message, ",\"ops\":[%S]", text);
    tims_buf_append_char(message, '}');
    TIMS_ASSERT(!message->overflow);
}

/* Not known to have arrived: the connection has gone, and all is said again on the next. */
static void take_said(void *argument, const tims_redis_reply *reply)
{
    live__bus *bus = argument;
    TIMS_CHECK_MAGIC(bus, LIVE__BUS_MAGIC);
    bus->out.in_flight = false;
    if (reply != NULL)
        live__out_pump(bus);
    else
        live__out_drop(bus);
}

static void repeat_later(live__bus *bus)
{
    live__out_drop(bus);
    bus->out.number++; /* so that the others know, and believe all that is said again */
    bus->asked_for_all = true;
}

void live__out_pump(live__bus *bus)
{
    live__out *out = &bus->out;
    live__part *part = out->first;
    tims_buf message;
    if (out->bytes > LIVE__BUS_QUEUE_BYTES_MAX) {
        repeat_later(bus);
        return;
    }
    if (part == NULL || out->in_flight)
        return;
    out->first = part->next;
    if (out->first == NULL)
        out->last = NULL;
    out->bytes -= part->length;
    tims_buf_init(&message, NULL, 2 * LIVE__BUS_MESSAGE_BYTES_MAX);
    write_message(bus, part, &message);
    out->in_flight = tims_redis_send(
        bus->redis, TIMS_REDIS_COMMAND(TIMS_STR("PUBLISH"), bus->nodes_channel, tims_buf_str(&message)),
        take_said, bus);
    if (out->in_flight)
        atomic_fetch_add(&bus->live->metrics.bus_sent, 1);
    else
        repeat_later(bus);
    out->said_us = tims_monotonic_us();
    tims_buf_free(&message);
    free(part);
}

/* --- operations --------------------------------------------------------------------------------------- */

/* While Redis is away nothing is noted. */
static bool begin_op(live__bus *bus, tims_json_writer *ret_writer, const char *op)
{
    live__out *out = &bus->out;
    if (!atomic_load(&bus->is_up) || bus->stopping)
        return false;
    if (out->open.length > LIVE__PART_BYTES)
        close_open(bus);
    if (out->open.length > 0)
        tims_buf_append_char(&out->open, ',');
    if (!out->is_all && !out->flush_armed)
        tims_loop_at_tick_end(bus->loop, &out->flush_armed, flush, bus);
    *ret_writer = tims_json_to(&out->open);
    tims_json_begin_array(ret_writer);
    tims_json_str(ret_writer, tims_str_from(op));
    return true;
}

static void end_op(live__bus *bus, tims_json_writer *w)
{
    tims_json_end_array(w);
    TIMS_ASSERT(!bus->out.open.overflow); /* what rooms hold is bounded */
}

static tims_str name_of(const live__room *room)
{
    return (tims_str){ room->name, room->name_length };
}

static void say_member(void *data, const live__member *member)
{
    live__bus *bus = data;
    tims_json_writer w;
    if (!begin_op(bus, &w, member->is_here ? "here" : "gone"))
        return;
    tims_json_str(&w, name_of(member->room));
    tims_json_id(&w, member->user);
    if (member->is_here) {
        tims_json_int(&w, member->stamp_us);
        if (member->state_length > 0)
            tims_json_raw(&w, (tims_str){ member->state, member->state_length });
    }
    end_op(bus, &w);
}

static void say_said(void *data, const live__room *room, tims_id user, tims_str kind, tims_str text)
{
    live__bus *bus = data;
    tims_json_writer w;
    if (!begin_op(bus, &w, "said"))
        return;
    tims_json_str(&w, name_of(room));
    tims_json_id(&w, user);
    tims_json_str(&w, kind);
    tims_json_raw(&w, text);
    end_op(bus, &w);
}

const live__outward live__out_outward = { .member = say_member, .said = say_said };

void live__out_online(live__bus *bus, tims_id user, bool online)
{
    tims_json_writer w;
    if (!begin_op(bus, &w, online ? "online" : "offline"))
        return;
    tims_json_id(&w, user);
    end_op(bus, &w);
}

void live__out_all(live__bus *bus)
{
    live__out *out = &bus->out;
    const live__held *online = &bus->live->online.own;
    if (!atomic_load(&bus->is_up))
        return;
    close_open(bus);
    out->is_all = true;
    out->is_begun = false;
    live__presence_repeat(bus->live->presence);
    for (size_t i = 0; i < online->count; i++)
        live__out_online(bus, online->ids[i], true);
    close_open(bus);
    out->last->is_last = true;
    out->is_all = out->is_begun = false;
    live__out_pump(bus);
}
