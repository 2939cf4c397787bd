/* testing.h: a small world of models for the tests of this room: people, rooms they are members of, notes in
 * rooms, stars on notes; in a database of its own, SQLite or PostgreSQL. For tests only. */
#ifndef TIMS_MODEL_TESTING_H
#define TIMS_MODEL_TESTING_H

#include "db/database_testing.h"
#include "model/model_internal.h"
#include "tims/crypto.h"

typedef struct person {
    tims_id id;
    tims_str name;
} person;
typedef struct room {
    tims_id id;
    tims_opt_id owner;
    tims_str title;
} room;
typedef struct member {
    tims_id id, room, user;
} member;
typedef struct note {
    tims_id id, room, author;
    tims_str text, secret;
    tims_opt_str subject;
    int64_t number;
    tims_opt_int score;
    tims_opt_double ratio;
    double weight;
    bool done;
    tims_opt_bool liked;
    tims_time at;
    tims_opt_time until;
    tims_opt_id parent;
    tims_json_text extra;
} note;
typedef struct star {
    tims_id id, note, user;
} star;

/* Not constant, so that a test can give them other rules. */
static tims_model person_model, room_model, member_model, note_model, star_model;

static const tims_field person_fields[] = { TIMS_FIELD(person, id, .primary = true),
                                            TIMS_FIELD(person, name) };
static const tims_field room_fields[] = {
    TIMS_FIELD(room, id, .primary = true),
    TIMS_FIELD(room, owner, .to = &person_model, .on_delete = TIMS_SET_NULL),
    TIMS_FIELD(room, title, .default_value = "Untitled"),
};
static const tims_field member_fields[] = {
    TIMS_FIELD(member, id, .primary = true),
    TIMS_FIELD(member, room, .to = &room_model),
    TIMS_FIELD(member, user, .to = &person_model),
};
static const tims_field note_fields[] = {
    TIMS_FIELD(note, id, .primary = true),
    TIMS_FIELD(note, room, .to = &room_model),
    TIMS_FIELD(note, author, .to = &person_model, .on_delete = TIMS_RESTRICT),
    TIMS_FIELD(note, text, .max_length = 4000),
    TIMS_FIELD(note, secret, .hidden = true),
    TIMS_FIELD(note, subject),
    TIMS_FIELD(note, number),
    TIMS_FIELD(note, score),
    TIMS_FIELD(note, ratio),
    TIMS_FIELD(note, weight),
    TIMS_FIELD(note, done),
    TIMS_FIELD(note, liked),
    TIMS_FIELD(note, at, .auto_now_add = true),
    TIMS_FIELD(note, until, .auto_now = true),
    TIMS_FIELD(note, parent, .to = &note_model),
    TIMS_FIELD(note, extra, .default_value = "{}"),
};
static const tims_field star_fields[] = {
    TIMS_FIELD(star, id, .primary = true),
    TIMS_FIELD(star, note, .to = &note_model),
    TIMS_FIELD(star, user, .to = &person_model),
};
#define FIELDS_OF(array)                        \
    {                                           \
        array, sizeof(array) / sizeof(array[0]) \
    }

typedef struct world {
    testing_database database;
    tims_db *db;
    tims_arena *arena;
    tims_db_session *session;
} world;

/* At file scope, where compound literals live as long as the program. */
static const tims_rule *const person_rule = TIMS_PUBLIC;
static const tims_rule *const room_rule = TIMS_MEMBERS(member_model, member, room, user);
static const tims_rule *const member_rule = TIMS_LIKE(member, room, room_model);
static const tims_rule *const note_rule = TIMS_LIKE(note, room, room_model);
static const tims_rule *const star_rule = TIMS_LIKE(star, note, note_model);
static const tims_index member_indexes[] = TIMS_INDEXES(TIMS_UNIQUE("room", "user"), TIMS_INDEX("user"));
static const tims_index note_indexes[] = TIMS_INDEXES(TIMS_INDEX("room", "at", "id"));
static const char *const note_search[] = { "text", "subject" };

static void reset_models(void)
{
    person_model = (tims_model){ .name = "person",
                                 .size = sizeof(person),
                                 .fields = FIELDS_OF(person_fields),
                                 .read = person_rule,
                                 .order = "name" };
    room_model = (tims_model){
        .name = "room", .size = sizeof(room), .fields = FIELDS_OF(room_fields), .read = room_rule
    };
    member_model = (tims_model){ .name = "member",
                                 .size = sizeof(member),
                                 .fields = FIELDS_OF(member_fields),
                                 .read = member_rule,
                                 .indexes = member_indexes };
    note_model = (tims_model){ .name = "note",
                               .size = sizeof(note),
                               .fields = FIELDS_OF(note_fields),
                               .read = note_rule,
                               .order = "-at",
                               .indexes = note_indexes,
                               .search = { note_search, 2 } };
    star_model = (tims_model){
        .name = "star", .size = sizeof(star), .fields = FIELDS_OF(star_fields), .read = star_rule
    };
}

TIMS_UNUSED static void assert_ok(tims_status status, const tims_error *err)
{
    if (status != TIMS_OK)
        fail_msg("%s (%s): %s %s", tims_status_name(status), err->code, err->message, err->detail);
}

/* The tables of models, without a migration that is recorded. */
TIMS_UNUSED static void make_tables_of(world *w, const tims_model *const *models)
{
    tims_migration_plan plan;
    tims_error err = { 0 };
    assert_ok(tims_migrate_plan(w->arena, TIMS_STR(""), models, tims_db_dialect_of(w->db), &plan, &err),
              &err);
    assert_ok(tims_db_script(w->session, plan.sql, &err), &err);
}

TIMS_UNUSED static int set_up(void **state)
{
    static const tims_model *const models[] = { &person_model, &room_model, &member_model,
                                                &note_model,   &star_model, NULL };
    reset_models();
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    world *w = calloc(1, sizeof(*w));
    testing_database_new(&w->database, "model");
    tims_db_options options = { .url = tims_str_from(w->database.url) };
    tims_error err = { 0 };
    assert_ok(tims_db_open(&options, &w->db, &err), &err);
    w->arena = tims_arena_new((size_t)1 << 28, NULL, NULL);
    w->session = tims_db_session_new(w->db, NULL, w->arena);
    make_tables_of(w, models);
    *state = w;
    return 0;
}

TIMS_UNUSED static int tear_down(void **state)
{
    world *w = *state;
    tims_arena_free(&w->arena);
    tims_db_close(&w->db);
    testing_database_drop(&w->database);
    free(w);
    return 0;
}

TIMS_UNUSED static void insert(world *w, const tims_model *model, void *row)
{
    tims_error err = { 0 };
    assert_ok(tims_model_insert(w->session, w->arena, model, row, &err), &err);
}

TIMS_UNUSED static tims_caller user(tims_id id)
{
    return (tims_caller){ .signed_in = true, .user = id };
}

#endif
