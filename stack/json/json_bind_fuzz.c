/* json_bind_fuzz: any bytes, parsed, bound and written again. What was taken must come back the same. */
#include "tims/json.h"

typedef struct thing {
    tims_id id;
    tims_str title, mail, site;
    int64_t count;
    double share;
    bool flag;
    tims_time at;
    tims_json_text extra;
    tims_opt_str note;
    tims_opt_int rank;
    tims_ids members;
    tims_strs tags;
    tims_decimal price;
    tims_opt_bytes seal;
} thing;

static const tims_fields fields = TIMS_FIELDS(
    TIMS_FIELD(thing, id, .primary = true), TIMS_FIELD(thing, title, .required = true, .max_length = 50),
    TIMS_FIELD(thing, mail, .format = "email"), TIMS_FIELD(thing, site, .format = "url"),
    TIMS_FIELD(thing, count, .min = -5, .max = 10), TIMS_FIELD(thing, share), TIMS_FIELD(thing, flag),
    TIMS_FIELD(thing, at), TIMS_FIELD(thing, extra), TIMS_FIELD(thing, note), TIMS_FIELD(thing, rank),
    TIMS_FIELD(thing, members), TIMS_FIELD(thing, tags), TIMS_FIELD(thing, price, .scale = 2),
    TIMS_FIELD(thing, seal));

static tims_str write_thing(tims_arena *arena, const thing *object)
{
    tims_buf out;
    tims_buf_init(&out, arena, 64 << 20);
    tims_json_writer writer = tims_json_to(&out);
    tims_json_object(&writer, fields, object, 0);
    TIMS_ASSERT(!out.overflow);
    return tims_buf_str(&out);
}

static void round_trip(tims_arena *arena, const thing *first)
{
    const tims_json *body;
    thing second = { 0 };
    tims_str text = write_thing(arena, first);
    TIMS_ASSERT(tims_json_parse(arena, text, &body, NULL) == TIMS_OK);
    if (tims_id_is_zero(first->id))
        return; /* the zero id is what an absent one is bound to; it is not taken back */
    TIMS_ASSERT(tims_json_bind(arena, body, fields, TIMS_BIND_CREATE, &second, NULL, NULL) == TIMS_OK);
    TIMS_ASSERT(tims_str_equal(write_thing(arena, &second), text));
}

static void try_text(tims_arena *arena, tims_str text)
{
    for (size_t i = 0; i < fields.count; i++) {
        thing object = { 0 };
        tims_error err = { 0 };
        if (tims_bind_text(arena, &fields.items[i], text, &object, &err) != TIMS_OK)
            TIMS_ASSERT(err.fields != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    tims_arena *arena = tims_arena_new(SIZE_MAX / 4, NULL, NULL);
    tims_str text = { (const char *)data + 1, size - 1 };
    const tims_json *body;
    thing object = { 0 };
    tims_error err = { 0 };
    tims_bind_mode mode = data[0] & 1 ? TIMS_BIND_PATCH : TIMS_BIND_CREATE;
    if (data[0] & 2)
        try_text(arena, text);
    if (tims_json_parse(arena, text, &body, &err) == TIMS_OK) {
        tims_str once = tims_json_to_text(arena, body);
        const tims_json *again;
        TIMS_ASSERT(tims_json_parse(arena, once, &again, NULL) == TIMS_OK);
        TIMS_ASSERT(tims_str_equal(tims_json_to_text(arena, again), once));
        if (tims_json_bind(arena, body, fields, mode, &object, NULL, &err) == TIMS_OK &&
            mode == TIMS_BIND_CREATE)
            round_trip(arena, &object);
    }
    tims_arena_free(&arena);
    return 0;
}
