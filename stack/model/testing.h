/* testing.h: a small world of models for the tests of this room: people, rooms they are members of, notes in
 * rooms, stars on notes; in a database of its own. For tests only. */
#ifndef TIMS_MODEL_TESTING_H
#define TIMS_MODEL_TESTING_H

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/testing.h"
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
    TIMS_FIELD(note, author, .to = &person_model),
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

static const char world_schema[] =
    "CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT NOT NULL);"
    "CREATE TABLE room (id TEXT PRIMARY KEY, owner TEXT REFERENCES person(id), title TEXT NOT NULL);"
    "CREATE TABLE member (id TEXT PRIMARY KEY, room TEXT NOT NULL REFERENCES room(id), user TEXT NOT NULL "
    "REFERENCES person(id), UNIQUE (room, user));"
    "CREATE TABLE note (id TEXT PRIMARY KEY, room TEXT NOT NULL REFERENCES room(id), author TEXT NOT NULL "
    "REFERENCES person(id), text TEXT NOT NULL CHECK (text <> 'refused'), secret TEXT NOT NULL, subject "
    "TEXT, number "
    "INTEGER NOT NULL, score INTEGER, ratio REAL, weight REAL NOT NULL, done INTEGER NOT NULL, liked "
    "INTEGER, "
    "at INTEGER NOT NULL, until INTEGER, parent TEXT REFERENCES note(id), extra TEXT NOT NULL);"
    "CREATE INDEX note_room ON note (room, at, id);"
    "CREATE TABLE star (id TEXT PRIMARY KEY, note TEXT NOT NULL REFERENCES note(id), user TEXT NOT NULL);"
    "CREATE INDEX member_user ON member (user);";

typedef struct world {
    char folder[64];
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
    member_model = (tims_model){
        .name = "member", .size = sizeof(member), .fields = FIELDS_OF(member_fields), .read = member_rule
    };
    note_model = (tims_model){ .name = "note",
                               .size = sizeof(note),
                               .fields = FIELDS_OF(note_fields),
                               .read = note_rule,
                               .order = "-at" };
    star_model = (tims_model){
        .name = "star", .size = sizeof(star), .fields = FIELDS_OF(star_fields), .read = star_rule
    };
}

TIMS_UNUSED static int set_up(void **state)
{
    reset_models();
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    world *w = calloc(1, sizeof(*w));
    (void)snprintf(w->folder, sizeof(w->folder), "/tmp/tims-model-test-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    char url[128];
    (void)snprintf(url, sizeof(url), "sqlite:%s/test.sqlite3", w->folder);
    tims_db_options options = { .url = tims_str_from(url) };
    tims_error err = { 0 };
    assert_int_equal(tims_db_open(&options, &w->db, &err), TIMS_OK);
    w->arena = tims_arena_new((size_t)1 << 28, NULL, NULL);
    w->session = tims_db_session_new(w->db, NULL, w->arena);
    assert_int_equal(tims_db_script(w->session, tims_str_from(world_schema), &err), TIMS_OK);
    *state = w;
    return 0;
}

TIMS_UNUSED static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

TIMS_UNUSED static int tear_down(void **state)
{
    world *w = *state;
    tims_arena_free(&w->arena);
    tims_db_close(&w->db);
    assert_int_equal(nftw(w->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(w);
    return 0;
}

TIMS_UNUSED static void assert_ok(tims_status status, const tims_error *err)
{
    if (status != TIMS_OK)
        fail_msg("%s (%s): %s %s", tims_status_name(status), err->code, err->message, err->detail);
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
