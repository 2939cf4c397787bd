/* query_fuzz.c: strings of strangers to conditions, order and search, and those to SQL. What comes out must
 * be one statement's worth of text without a byte of the input in it, and match and compare rows without
 * fault. */
#include "model/model_internal.h"

typedef struct thing {
    tims_id id, owner;
    tims_str text;
    tims_opt_str note;
    int64_t number;
    tims_opt_double ratio;
    bool done;
    tims_opt_time at;
    tims_json_text extra;
} thing;

static const tims_model thing_model = {
    .name = "thing",
    .size = sizeof(thing),
    .fields =
        TIMS_FIELDS(TIMS_FIELD(thing, id, .primary = true), TIMS_FIELD(thing, owner), TIMS_FIELD(thing, text),
                    TIMS_FIELD(thing, note), TIMS_FIELD(thing, number), TIMS_FIELD(thing, ratio),
                    TIMS_FIELD(thing, done), TIMS_FIELD(thing, at), TIMS_FIELD(thing, extra)),
    .read = TIMS_OWNER(thing, owner),
    .order = "-number",
    .search = TIMS_NAMES("text", "note"),
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nothing but what query_sql.c itself writes. */
static void check_text(tims_str text)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    (c != '\0' && strchr(" \"?.,()=<>_*'\\@", c) != NULL);
        TIMS_ASSERT(fine);
    }
    TIMS_ASSERT(tims_str_starts_with(text, TIMS_STR("SELECT ")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tims_arena *arena = tims_arena_new(1 << 24, NULL, NULL);
    tims_str input = { (const char *)data, size < 16 * 1024 ? size : 16 * 1024 };
    tims_str search = tims_str_cut(&input, '\n');
    tims_query query;
    tims_error err = { 0 };
    tims_query_init(&query, &thing_model, (tims_caller){ .signed_in = true });
    (void)(tims_query_search(&query, search, &err) == TIMS_OK);
    (void)(tims_query_filter(arena, &query, input, &err) == TIMS_OK);
    TIMS_ASSERT(query.condition_count <= TIMS_CONDITIONS_MAX && query.order_count <= TIMS_ORDERS_MAX + 1);
    tims_sql sql;
    tims_query_sql(arena, TIMS_SQLITE, &query, &sql);
    check_text(sql.text);
    tims_query_count_sql(arena, TIMS_POSTGRES, &query, &sql);
    check_text(sql.text);
    thing a = { .text = search, .note = { true, input }, .number = 3 }, b = { .text = TIMS_STR("b") };
    (void)tims_query_matches(&query, &a);
    TIMS_ASSERT(tims_query_compare(&query, &a, &b) == -tims_query_compare(&query, &b, &a));
    tims_arena_free(&arena);
    return 0;
}
