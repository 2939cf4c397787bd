/* From SQLite to the database that the run is for, and back: every kind of column, references that point
 * backwards, and what a copy that fails leaves behind. */
#include <float.h>
#include <math.h>

#include "model/testing.h"

enum { NOTES = 2500 }; /* some batches */

typedef struct parcel {
    tims_id id;
    tims_decimal price;
    tims_opt_decimal discount;
    tims_bytes seal;
    tims_opt_bytes photo;
} parcel;

static const tims_model parcel_model = {
    .name = "parcel",
    .size = sizeof(parcel),
    .fields = TIMS_FIELDS(TIMS_FIELD(parcel, id, .primary = true), TIMS_FIELD(parcel, price, .scale = 2),
                          TIMS_FIELD(parcel, discount, .scale = 18), TIMS_FIELD(parcel, seal),
                          TIMS_FIELD(parcel, photo)),
};

static const tims_model *const parcel_models[] = { &parcel_model, NULL };
static const tims_model *const all_models[] = { &person_model, &room_model,   &member_model, &note_model,
                                                &star_model,   &parcel_model, NULL };
enum { MODELS = sizeof all_models / sizeof all_models[0] - 1 };

static int set_up_all(void **state)
{
    int status = set_up(state);
    make_tables_of(*state, parcel_models);
    return status;
}

/* --- two databases ------------------------------------------------------------------------------ */

/* A SQLite database beside the test's own, with tables and triggers. */
static world open_beside(world *w, const char *name)
{
    world beside = { .arena = w->arena };
    tims_error err = { 0 };
    tims_str url = tims_print(w->arena, "sqlite:%s/%s.sqlite3", w->database.folder, name);
    assert_ok(tims_db_open(&(tims_db_options){ .url = url }, &beside.db, &err), &err);
    beside.session = tims_db_session_new(beside.db, NULL, w->arena);
    make_tables_of(&beside, all_models);
    return beside;
}

static tims_models *models_of(world *w)
{
    tims_models *models;
    tims_error err = { 0 };
    assert_ok(tims_models_new(w->arena, all_models, MODELS, &models, &err), &err);
    return models;
}

static void add_log(world *w, const tims_models *models)
{
    tims_error err = { 0 };
    tims_str ddl = tims_change_ddl(w->arena, models, tims_db_dialect_of(w->db));
    assert_ok(tims_db_script(w->session, ddl, &err), &err);
}

static int64_t number_of(world *w, const char *sql)
{
    tims_error err = { 0 };
    tims_db_rows *rows;
    assert_ok(tims_db_query(w->session, tims_str_from(sql), NULL, 0, &rows, &err), &err);
    assert_true(tims_db_next(rows));
    int64_t number = tims_db_get_int(rows, 0);
    assert_ok(tims_db_rows_end(&rows, &err), &err);
    return number;
}

static void run_sql(world *w, const char *sql)
{
    tims_error err = { 0 };
    assert_ok(tims_db_script(w->session, tims_str_from(sql), &err), &err);
}

/* --- rows of every kind ------------------------------------------------------------------------- */

static void fill_note(note *n, int i)
{
    static const tims_str texts[] = { TIMS_STR_INIT(""), TIMS_STR_INIT("it's \"quoted\" \\ back"),
                                      TIMS_STR_INIT("\xc3\xa4\xe6\x97\xa5"),
                                      TIMS_STR_INIT("\xf0\x9f\x90\x98 e\xcc\x81\n\t\x01"),
                                      TIMS_STR_INIT("NULL") };
    static const int64_t numbers[] = { 0, -1, INT64_MAX, INT64_MIN, 1234567890123 };
    static const double weights[] = { 0.1, -0.0, DBL_MAX, DBL_MIN, 5e-324 };
    static const int64_t times[] = { 0, 1, -1, 1700000000123456, 253402300799999999 };
    n->text = texts[i % 5];
    n->secret = texts[(i + 1) % 5];
    n->number = numbers[i % 5];
    n->weight = weights[i % 5];
    n->done = i % 2 == 0;
    n->at.us = times[i % 5];
    n->extra.text = TIMS_STR("{\"b\": [1, 2.50, null],  \"a\":\"\\u00e4\"}");
    if (i % 3 == 0)
        return; /* every optional is absent */
    n->subject = (tims_opt_str){ true, texts[i % 5] };
    n->score = (tims_opt_int){ true, numbers[(i + 2) % 5] };
    n->ratio = (tims_opt_double){ true, weights[(i + 3) % 5] };
    n->liked = (tims_opt_bool){ true, i % 2 == 1 };
    n->until = (tims_opt_time){ true, { times[(i + 1) % 5] } };
}

static tims_id note_id(int i)
{
    tims_id id = { { 0 } };
    char text[TIMS_ID_TEXT_LENGTH + 1];
    (void)snprintf(text, sizeof text, "00000000-0000-7000-8000-%012x", i);
    assert_true(tims_id_parse(tims_str_from(text), &id));
    return id;
}

static void insert_parcels(world *w)
{
    static const tims_str bytes[] = { TIMS_STR_INIT(""), TIMS_STR_INIT("\0\xff\x80 x"),
                                      TIMS_STR_INIT("text") };
    static const int64_t units[] = { 0, -TIMS_DECIMAL_UNITS_MAX, TIMS_DECIMAL_UNITS_MAX, 1, -5 };
    for (int i = 0; i < 15; i++) {
        parcel p = { .price = { units[i % 5] }, .seal = { bytes[i % 3] } };
        if (i % 2 == 0)
            p.discount = (tims_opt_decimal){ true, { units[(i + 1) % 5] } };
        if (i % 4 == 0)
            p.photo = (tims_opt_bytes){ true, { bytes[(i + 1) % 3] } };
        insert(w, &parcel_model, &p);
    }
}

/* Each note's parent is the one after it, which comes later in every order. */
static void fill_source(world *w)
{
    tims_error err = { 0 };
    person someone = { .name = TIMS_STR("Zo\xc3\xab") };
    room here = { .title = TIMS_STR("here") };
    insert(w, &person_model, &someone);
    insert(w, &room_model, &here);
    insert_parcels(w);
    assert_ok(tims_db_begin_schema(w->session, &err), &err); /* references are checked at the end */
    for (int i = 0; i < NOTES; i++) {
        note n = { .id = note_id(i + 1), .room = here.id, .author = someone.id };
        fill_note(&n, i);
        n.parent = (tims_opt_id){ i + 1 < NOTES, note_id(i + 2) };
        insert(w, &note_model, &n);
    }
    assert_ok(tims_db_commit(w->session, &err), &err);
}

/* --- copies ------------------------------------------------------------------------------------- */

typedef struct told {
    uint64_t sums[8][2];
    int64_t rows;
    size_t tables;
    int64_t steps, steps_done;
} told;

static void hear(void *argument, const tims_copy_progress *progress)
{
    told *to = argument;
    to->steps = progress->steps;
    to->steps_done = progress->steps_done;
    if (!progress->table_done)
        return;
    assert_true(to->tables < 8);
    memcpy(to->sums[to->tables++], progress->table_sum, sizeof to->sums[0]);
    to->rows += progress->table_rows;
}

static tims_status copy_to(world *w, world *source, world *target, told *to, tims_error *err)
{
    tims_copy_options options = { .on_progress = hear, .argument = to };
    return tims_copy_rows(source->db, target->db, w->arena, models_of(w), &options, err);
}

static void every_value_arrives_and_comes_back(void **state)
{
    world *w = *state, source = open_beside(w, "source"), back = open_beside(w, "back");
    told there = { 0 }, again = { 0 };
    tims_error err = { 0 };
    add_log(w, models_of(w));
    add_log(&source, models_of(w));
    add_log(&back, models_of(w));
    fill_source(&source);
    assert_ok(copy_to(w, &source, w, &there, &err), &err);
    assert_ok(copy_to(w, w, &back, &again, &err), &err);
    assert_int_equal(there.rows, NOTES + 2 + 15);
    assert_int_equal(there.steps, 2 * there.rows);
    assert_int_equal(there.steps_done, there.steps);
    assert_int_equal(there.tables, MODELS);
    assert_memory_equal(&there, &again, sizeof there);
    /* The log says nothing of it, and goes on. */
    assert_int_equal(number_of(w, "SELECT count(*) FROM tims_change"), 0);
    run_sql(w, "UPDATE person SET name = 'another'");
    assert_int_equal(number_of(w, "SELECT count(*) FROM tims_change"), 1);
    tims_db_close(&source.db);
    tims_db_close(&back.db);
}

static void a_target_gets_another_epoch_and_loses_its_rows(void **state)
{
    world *w = *state, source = open_beside(w, "source");
    told there = { 0 };
    tims_error err = { 0 };
    tims_str before, after;
    add_log(w, models_of(w));
    person lost = { .name = TIMS_STR("lost") }, kept = { .name = TIMS_STR("kept") };
    insert(w, &person_model, &lost);
    insert(&source, &person_model, &kept);
    assert_ok(tims_epoch(w->session, w->arena, &before, &err), &err);
    assert_ok(copy_to(w, &source, w, &there, &err), &err);
    assert_ok(tims_epoch(w->session, w->arena, &after, &err), &err);
    assert_false(tims_str_equal(before, after));
    assert_int_equal(number_of(w, "SELECT count(*) FROM person"), 1);
    assert_int_equal(number_of(w, "SELECT count(*) FROM person WHERE name = 'kept'"), 1);
    tims_db_close(&source.db);
}

/* An id that somebody has written by hand, in capitals: PostgreSQL would show another text. */
static void a_value_that_is_none_of_its_kind_is_named_and_nothing_is_kept(void **state)
{
    world *w = *state, source = open_beside(w, "source");
    told there = { 0 };
    tims_error err = { 0 };
    add_log(w, models_of(w));
    person kept = { .name = TIMS_STR("kept") };
    insert(w, &person_model, &kept);
    run_sql(&source, "INSERT INTO person (id, name) VALUES ('0000000A-0000-7000-8000-000000000001', 'x')");
    assert_int_equal(copy_to(w, &source, w, &there, &err), TIMS_INVALID);
    assert_string_equal(err.code, "copy_value");
    assert_non_null(strstr(err.message, "person"));
    assert_int_equal(number_of(w, "SELECT count(*) FROM person WHERE name = 'kept'"), 1);
    run_sql(w, "UPDATE person SET name = 'still told'");
    assert_int_equal(number_of(w, "SELECT count(*) FROM tims_change WHERE op = 2"), 1);
    tims_db_close(&source.db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_value_arrives_and_comes_back, set_up_all, tear_down),
        cmocka_unit_test_setup_teardown(a_target_gets_another_epoch_and_loses_its_rows, set_up_all,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_value_that_is_none_of_its_kind_is_named_and_nothing_is_kept,
                                        set_up_all, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
