/* equal_test.c: the same rows and the same queries on SQLite and on PostgreSQL, in one program: every answer,
 * as JSON, must be the same to the byte, and so must every error.
 *
 * Rows hold what is likely to differ: nulls, the ends of every kind's range, text that sorts or folds
 * differently by locale, wildcards. The seed is printed and can be given as EQUAL_SEED. */
#include <inttypes.h>

#include "model/testing.h"

enum { ROWS = 60, CASES = 400, TEXT_BYTES_MAX = 64 };

typedef struct thing {
    tims_id id;
    tims_str text, name;
    tims_opt_str note;
    int64_t number;
    tims_opt_int score;
    double weight;
    tims_opt_double ratio;
    bool done;
    tims_opt_bool liked;
    tims_time at;
    tims_opt_time until;
    tims_opt_id parent;
    tims_json_text extra;
    tims_decimal price;
    tims_opt_decimal rate;
    tims_opt_bytes bytes;
} thing;

static const tims_model thing_model;
static const tims_field thing_fields[] = {
    TIMS_FIELD(thing, id, .primary = true),
    TIMS_FIELD(thing, text),
    TIMS_FIELD(thing, name),
    TIMS_FIELD(thing, note),
    TIMS_FIELD(thing, number),
    TIMS_FIELD(thing, score),
    TIMS_FIELD(thing, weight),
    TIMS_FIELD(thing, ratio),
    TIMS_FIELD(thing, done),
    TIMS_FIELD(thing, liked),
    TIMS_FIELD(thing, at),
    TIMS_FIELD(thing, until),
    TIMS_FIELD(thing, parent, .to = &thing_model, .on_delete = TIMS_RESTRICT),
    TIMS_FIELD(thing, extra),
    TIMS_FIELD(thing, price, .scale = 2),
    TIMS_FIELD(thing, rate, .scale = 6),
    TIMS_FIELD(thing, bytes),
};
static const char *const searched[] = { "text", "note" };
static const tims_index thing_indexes[] =
    TIMS_INDEXES(TIMS_UNIQUE("name"), TIMS_UNIQUE("number", "text"), TIMS_INDEX("-until", "id"));
static const tims_model thing_model = { .name = "order", /* a reserved word */
                                        .size = sizeof(thing),
                                        .fields = FIELDS_OF(thing_fields),
                                        .indexes = thing_indexes,
                                        .search = { searched, 2 },
                                        .order = "-at" };

/* --- both ------------------------------------------------------------------------------------- */

typedef struct both {
    world sqlite, postgres;
    thing rows[ROWS];
} both;

static void open_world(world *w, const char *database)
{
    const tims_model *const models[] = { &thing_model, NULL };
    assert_int_equal(setenv("TIMS_TEST_DATABASE", database, 1), 0);
    testing_database_new(&w->database, "equal");
    tims_db_options options = { .url = tims_str_from(w->database.url) };
    tims_error err = { 0 };
    assert_ok(tims_db_open(&options, &w->db, &err), &err);
    w->arena = tims_arena_new((size_t)1 << 28, NULL, NULL);
    w->session = tims_db_session_new(w->db, NULL, w->arena);
    make_tables_of(w, models);
}

static void close_world(world *w)
{
    tims_arena_free(&w->arena);
    tims_db_close(&w->db);
    testing_database_drop(&w->database);
}

static int open_both(void **state)
{
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    both *b = calloc(1, sizeof *b);
    assert_non_null(b);
    open_world(&b->sqlite, "sqlite");
    open_world(&b->postgres, "postgres");
    assert_int_equal(tims_db_dialect_of(b->sqlite.db), TIMS_SQLITE);
    assert_int_equal(tims_db_dialect_of(b->postgres.db), TIMS_POSTGRES);
    *state = b;
    return 0;
}

static int close_both(void **state)
{
    both *b = *state;
    close_world(&b->sqlite);
    close_world(&b->postgres);
    free(b);
    return 0;
}

/* --- chance, repeatable ----------------------------------------------------------------------- */

static uint64_t chance_state;

static uint32_t chance(uint32_t below)
{
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    chance_state ^= chance_state << 17;
    return (uint32_t)((chance_state >> 11) % below);
}

static void take_seed(void)
{
    const char *given = getenv("EQUAL_SEED");
    int64_t seed;
    if (given == NULL || !tims_str_to_int(tims_str_from(given), 1, INT64_MAX, &seed)) {
        tims_random(&seed, sizeof seed);
        seed = (seed & INT64_MAX) | 1;
    }
    print_message("EQUAL_SEED=%" PRId64 "\n", seed);
    chance_state = (uint64_t)seed;
}

#define PICK(array) (array)[chance(sizeof(array) / sizeof(array)[0])]

/* Letters of several scripts and cases, what sorts oddly by locale, wildcards, quotes, what is no letter. */
static tims_str random_text(tims_arena *arena)
{
    static const char *const pieces[] = { "a",
                                          "A",
                                          "b",
                                          "B",
                                          "z",
                                          "Z",
                                          "0",
                                          "9",
                                          "-",
                                          "_",
                                          "%",
                                          "\\",
                                          "'",
                                          "\"",
                                          " ",
                                          "\n",
                                          "\t",
                                          "\x01",
                                          "\xc3\xa4",
                                          "\xc3\x84",
                                          "\xc3\x9f",
                                          "e\xcc\x81",
                                          "\xc3\xa9",
                                          "\xce\xa3",
                                          "\xcf\x82",
                                          "\xd0\x96",
                                          "\xd0\xb6",
                                          "\xc4\xb0",
                                          "\xe6\x97\xa5",
                                          "\xef\xbc\xa1",
                                          "\xf0\x9f\x98\x80",
                                          "\xf0\x9d\x94\x84",
                                          "\xef\xbf\xbd",
                                          "?1",
                                          "$1",
                                          ":a",
                                          "--",
                                          "/*" };
    tims_buf out;
    tims_buf_init(&out, arena, TEXT_BYTES_MAX);
    for (uint32_t i = chance(6); i > 0; i--)
        tims_buf_print(&out, "%s", PICK(pieces));
    return out.length > 0 ? tims_buf_str(&out) : TIMS_STR("");
}

static int64_t random_int(void)
{
    static const int64_t ends[] = { INT64_MIN, INT64_MAX, INT64_MIN + 1,         INT32_MIN, INT32_MAX,
                                    0,         -1,        (INT64_C(1) << 53) + 1 };
    return chance(3) == 0 ? PICK(ends) : (int64_t)chance(6) - 2;
}

static double random_double(void)
{
    static const double ends[] = { 0,
                                   -1.5,
                                   0.1,
                                   1e300,
                                   -1e300,
                                   5e-324,
                                   1.7976931348623157e308,
                                   2.5,
                                   1e15,
                                   1e16,
                                   1e21,
                                   123456789.123456789,
                                   1.0 / 3,
                                   -0.1,
                                   1e-7,
                                   4.35,
                                   2.675,
                                   9007199254740993.0 };
    return PICK(ends);
}

static int64_t random_units(void)
{
    static const int64_t ends[] = { 999999999999999999, -999999999999999999, 0, 1, -1, 50, 100, 123456 };
    return PICK(ends);
}

static int64_t random_time(void)
{
    static const int64_t ends[] = {
        0, -1, 1, -62135596800000000, 253402300799999999, 951782400000000, 946684799999999, 946684800000000
    };
    return chance(2) == 0 ? PICK(ends) : 1700000000000000 + (int64_t)chance(4) * 1000001;
}

/* --- rows ------------------------------------------------------------------------------------- */

static thing random_thing(both *b, size_t index)
{
    static const char *const documents[] = { "null", "{\"a\": [1, 2.50, {}]}",    "\"text \\u00e4\"",
                                             "[ ]",  "{\"b\":1,\"a\":2,\"b\":3}", "-0.0",
                                             "1e2" };
    tims_arena *arena = b->sqlite.arena;
    thing row = { .id = tims_id_new(),
                  .text = random_text(arena),
                  .name = tims_print(arena, "%d%S", (int)index, random_text(arena)),
                  .note = { chance(3) != 0, random_text(arena) },
                  .number = random_int(),
                  .score = { chance(3) != 0, random_int() },
                  .weight = random_double(),
                  .ratio = { chance(3) != 0, random_double() },
                  .done = chance(2) == 1,
                  .liked = { chance(3) != 0, chance(2) == 1 },
                  .at = { random_time() },
                  .until = { chance(3) != 0, { random_time() } },
                  .extra = { tims_str_from(PICK(documents)) },
                  .price = { random_units() },
                  .rate = { chance(3) != 0, { random_units() } },
                  .bytes = { chance(3) != 0, { random_text(arena) } } };
    if (index > 0 && chance(2) == 0)
        row.parent = (tims_opt_id){ true, b->rows[chance((uint32_t)index)].id };
    return row;
}

static void assert_same_error(tims_status sqlite, const tims_error *a, tims_status postgres,
                              const tims_error *b)
{
    if (sqlite != postgres)
        fail_msg("SQLite: %s %s %s\nPostgreSQL: %s %s %s", tims_status_name(sqlite), a->message, a->detail,
                 tims_status_name(postgres), b->message, b->detail);
    if (sqlite == TIMS_OK)
        return;
    assert_string_equal(a->code, b->code);
    assert_string_equal(a->message, b->message);
    const tims_field_error *x = a->fields, *y = b->fields;
    for (; x != NULL && y != NULL; x = x->next, y = y->next) {
        if (!tims_str_equal(x->pointer, y->pointer))
            fail_msg("SQLite: %.*s (%s), PostgreSQL: %.*s (%s)", TIMS_PRINT(x->pointer), a->detail,
                     TIMS_PRINT(y->pointer), b->detail);
        assert_string_equal(x->code, y->code);
        assert_true(tims_str_equal(x->message, y->message));
    }
    assert_true(x == NULL && y == NULL);
}

static tims_status insert_both(both *b, const thing *row)
{
    thing first = *row, second = *row;
    tims_error a = { 0 }, p = { 0 };
    tims_status sqlite = tims_model_insert(b->sqlite.session, b->sqlite.arena, &thing_model, &first, &a);
    tims_status postgres =
        tims_model_insert(b->postgres.session, b->postgres.arena, &thing_model, &second, &p);
    assert_same_error(sqlite, &a, postgres, &p);
    return sqlite;
}

/* Rows that are refused, for a pair that is there already, are so on both. */
static void fill(both *b)
{
    for (size_t i = 0; i < ROWS;) {
        b->rows[i] = random_thing(b, i);
        i += insert_both(b, &b->rows[i]) == TIMS_OK;
    }
}

/* --- queries ---------------------------------------------------------------------------------- */

static tims_str value_text(both *b, const tims_field *field)
{
    tims_arena *arena = b->sqlite.arena;
    const thing *row = &b->rows[chance(ROWS)];
    char time[TIMS_TIME_TEXT_LENGTH];
    switch (tims_kind_base(field->kind)) {
    case TIMS_KIND_BOOL:
        return chance(2) == 0 ? TIMS_STR("true") : TIMS_STR("false");
    case TIMS_KIND_INT:
        return tims_print(arena, "%lld", (long long)random_int());
    case TIMS_KIND_DOUBLE: {
        char number[64];
        (void)snprintf(number, sizeof number, "%.17g", random_double());
        return tims_print(arena, "%s", number);
    }
    case TIMS_KIND_DECIMAL: {
        char decimal[TIMS_DECIMAL_TEXT_MAX];
        return tims_copy(arena, tims_decimal_format(random_units(), field->scale, decimal));
    }
    case TIMS_KIND_TIME:
        tims_time_format((tims_time){ random_time() }, time);
        return tims_copy(arena, (tims_str){ time, sizeof time });
    case TIMS_KIND_ID:
        return tims_print(arena, "%I", chance(2) == 0 ? row->id : row->parent.value);
    default:
        return chance(2) == 0 ? random_text(arena) : tims_str_slice(row->text, 0, row->text.length);
    }
}

static void add_random_condition(both *b, tims_query *query)
{
    const tims_field *field = &PICK(thing_fields);
    tims_operator operator=(tims_operator) chance(TIMS_STARTS_WITH + 1);
    tims_str text = value_text(b, field);
    if (operator== TIMS_IS_NULL)
        text = chance(2) == 0 ? TIMS_STR("true") : TIMS_STR("false");
    if (operator== TIMS_IN && tims_str_find(text, TIMS_STR(",")) == SIZE_MAX)
        text = tims_print(b->sqlite.arena, "%S,%S", text, value_text(b, field));
    tims_error err = { 0 };
    (void)tims_query_where(b->sqlite.arena, query, tims_str_from(field->name), operator, text, &err);
}

static void make_random_query(both *b, tims_query *query)
{
    static const char *const columns[] = { "text",   "name",   "note", "number", "score",
                                           "weight", "ratio",  "done", "liked",  "at",
                                           "until",  "parent", "id",   "price",  "rate" };
    tims_error err = { 0 };
    tims_query_init(query, &thing_model, (tims_caller){ .trusted = true });
    for (uint32_t i = chance(3); i > 0; i--)
        add_random_condition(b, query);
    if (chance(3) == 0)
        (void)!tims_query_search(query, random_text(b->sqlite.arena), &err);
    tims_str order = tims_print(b->sqlite.arena, "%s%s,%s%s", chance(2) == 0 ? "-" : "", PICK(columns),
                                chance(2) == 0 ? "-" : "", PICK(columns));
    (void)!tims_query_order(query, order, &err);
    query->limit = 1 + chance(20);
    query->offset = chance(4) == 0 ? chance(10) : 0;
}

static tims_str read_page(world *w, const tims_query *query, tims_written *ret_written)
{
    tims_error err = { 0 };
    tims_buf out;
    tims_buf_init(&out, w->arena, 1 << 20);
    tims_json_writer writer = tims_json_to(&out);
    tims_json_begin_array(&writer);
    assert_ok(tims_query_write_page(w->session, w->arena, query, &(tims_write_options){ .probe = true },
                                    &writer, ret_written, &err),
              &err);
    tims_json_end_array(&writer);
    return tims_buf_str(&out);
}

static void assert_same_page(both *b, const tims_query *query, tims_written *ret_written)
{
    tims_written other;
    tims_str sqlite = read_page(&b->sqlite, query, ret_written);
    tims_str postgres = read_page(&b->postgres, query, &other);
    if (!tims_str_equal(sqlite, postgres)) {
        tims_sql sql;
        tims_query_sql(b->sqlite.arena, TIMS_POSTGRES, query, &sql);
        fail_msg("%.*s\n  SQLite     %.*s\n  PostgreSQL %.*s", TIMS_PRINT(sql.text), TIMS_PRINT(sqlite),
                 TIMS_PRINT(postgres));
    }
    assert_int_equal(ret_written->more, other.more);
}

static void answers_are_the_same_to_the_byte(void **state)
{
    both *b = *state;
    take_seed();
    fill(b);
    for (int i = 0; i < CASES; i++) {
        tims_query query;
        tims_written written;
        tims_error err = { 0 };
        int64_t sqlite = -1, postgres = -2;
        make_random_query(b, &query);
        assert_same_page(b, &query, &written);
        assert_ok(tims_query_count(b->sqlite.session, b->sqlite.arena, &query, &sqlite, &err), &err);
        assert_ok(tims_query_count(b->postgres.session, b->postgres.arena, &query, &postgres, &err), &err);
        assert_int_equal(sqlite, postgres);
        query.offset = 0;
        for (int page = 0; page < 3 && written.last != NULL; page++) {
            query.after = written.last;
            assert_same_page(b, &query, &written);
        }
    }
}

/* --- errors ----------------------------------------------------------------------------------- */

static void what_is_refused_is_refused_in_the_same_words(void **state)
{
    both *b = *state;
    take_seed();
    fill(b);
    thing row = b->rows[0];
    assert_int_equal(insert_both(b, &row), TIMS_CONFLICT); /* the key, and more; the key is told */
    row.id = tims_id_new();
    row.text = TIMS_STR("other");
    assert_int_equal(insert_both(b, &row), TIMS_CONFLICT); /* the name */
    row.name = TIMS_STR("new");
    row.text = b->rows[0].text;
    assert_int_equal(insert_both(b, &row), TIMS_CONFLICT); /* number and text */
    row.text = TIMS_STR("other");
    row.parent = (tims_opt_id){ true, tims_id_new() };
    assert_int_equal(insert_both(b, &row), TIMS_INVALID);
    row.parent.present = false;
    assert_int_equal(insert_both(b, &row), TIMS_OK);
    for (size_t i = 0; i < ROWS; i++) {
        tims_error x = { 0 }, y = { 0 };
        tims_status sqlite =
            tims_model_delete(b->sqlite.session, b->sqlite.arena, &thing_model, b->rows[i].id, &x);
        tims_status postgres =
            tims_model_delete(b->postgres.session, b->postgres.arena, &thing_model, b->rows[i].id, &y);
        assert_same_error(sqlite, &x, postgres, &y);
    }
}

/* A statement that fails takes nothing along: the transaction goes on without it. */
static void a_transaction_goes_on_behind_what_was_refused(void **state)
{
    both *b = *state;
    world *worlds[] = { &b->sqlite, &b->postgres };
    for (size_t i = 0; i < 2; i++) {
        world *w = worlds[i];
        tims_error err = { 0 };
        thing first = { .name = TIMS_STR("a"), .extra = { TIMS_STR("1") } };
        thing second = { .name = TIMS_STR("b"), .number = 1, .extra = { TIMS_STR("1") } };
        assert_ok(tims_db_begin(w->session, &err), &err);
        insert(w, &thing_model, &first);
        assert_int_equal(tims_model_insert(w->session, w->arena, &thing_model, &first, &err), TIMS_CONFLICT);
        insert(w, &thing_model, &second);
        assert_ok(tims_db_commit(w->session, &err), &err);
        tims_query query;
        int64_t count = 0;
        tims_query_init(&query, &thing_model, (tims_caller){ .trusted = true });
        assert_ok(tims_query_count(w->session, w->arena, &query, &count, &err), &err);
        assert_int_equal(count, 2);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_both, close_both)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_are_the_same_to_the_byte),
        TEST(what_is_refused_is_refused_in_the_same_words),
        TEST(a_transaction_goes_on_behind_what_was_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
