/* resolve_fuzz.c: URLs of strangers to queries. What resolves must resolve again from its canonical form, to
 * itself. */
#include "rest/rest_internal.h"

typedef struct owner {
    tims_id id;
    tims_str name;
} owner;
typedef struct thing {
    tims_id id, owner;
    tims_str text;
    tims_opt_int number;
    bool done;
    tims_time at;
} thing;

static const tims_model owner_model = {
    .name = "owner",
    .size = sizeof(owner),
    .read = TIMS_PUBLIC,
    .fields = TIMS_FIELDS(TIMS_FIELD(owner, id, .primary = true), TIMS_FIELD(owner, name)),
};
static const tims_model thing_model = {
    .name = "thing",
    .size = sizeof(thing),
    .read = TIMS_OWNER(thing, owner),
    .order = "-at",
    .search = TIMS_NAMES("text"),
    .fields = TIMS_FIELDS(TIMS_FIELD(thing, id, .primary = true),
                          TIMS_FIELD(thing, owner, .to = &owner_model), TIMS_FIELD(thing, text),
                          TIMS_FIELD(thing, number), TIMS_FIELD(thing, done), TIMS_FIELD(thing, at)),
};
static const tims_resource resources[] = {
    { .path = "/t/",
      .model = &thing_model,
      .allow = TIMS_EVERYTHING,
      .filter = TIMS_NAMES("owner", "text", "number", "done", "at"),
      .order = TIMS_NAMES("at", "number", "text") },
    { 0 },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tims_arena *arena = tims_arena_new(1 << 25, NULL, NULL);
    const tims_model *models[] = { &owner_model, &thing_model };
    const tims_resource *tables[] = { resources };
    tims_models *all;
    tims_rest *rest;
    tims_error err = { 0 };
    tims_status status = tims_models_new(arena, models, 2, &all, &err);
    if (status == TIMS_OK)
        status = tims_rest_new(arena, tables, 1, all, &rest, &err);
    TIMS_ASSERT(status == TIMS_OK);
    /* A key makes cursors be read at once, as after the first list. */
    memset(rest->key, 'k', 64);
    rest->key_length = 64;
    atomic_store(&rest->has_secrets, true);
    tims_str url = tims_print(arena, "/t/?%S", ((tims_str){ (const char *)data, size }));
    tims_caller caller = { .signed_in = true };
    tims_live_url first, again;
    if (tims_rest_resolve(rest, arena, url, caller, &first, &err) == TIMS_OK) {
        status = tims_rest_resolve(rest, arena, first.canonical, caller, &again, &err);
        TIMS_ASSERT(status == TIMS_OK || first.canonical.length > REST__URL_BYTES_MAX);
        TIMS_ASSERT(status != TIMS_OK || tims_str_equal(first.canonical, again.canonical));
    }
    tims_arena_free(&arena);
    return 0;
}
