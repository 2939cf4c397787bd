/* testing.h: a real server with a few resources on a database of its own, and a plain blocking client. For
 * tests only.
 *
 * Who asks is said by the header X-User, since the rooms that know sessions stand beside this one. */
#ifndef TIMS_REST_TESTING_H
#define TIMS_REST_TESTING_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "db/database_testing.h"
#include "rest/rest_internal.h"
#include "tims/crypto.h"

/* --- the world -------------------------------------------------------------------------------- */

#define ID(last) "00000000-0000-7000-8000-0000000000" last
#define ANN ID("01")
#define BOB ID("02")
#define EVE ID("03")
#define ROOM1 ID("11")    /* Ann and Bob */
#define ROOM2 ID("12")    /* Eve */
#define NOTE(n) ID("2" n) /* 1-7 in ROOM1, 8-9 in ROOM2 */

typedef struct person {
    tims_id id;
    tims_str name, secret;
} person;
typedef struct room {
    tims_id id;
    tims_str title;
    tims_id owner;
    tims_time created_at;
} room;
typedef struct member {
    tims_id id, room, person;
} member;
typedef struct note {
    tims_id id, room, author;
    tims_str text, kind;
    int64_t number;
    tims_opt_int score;
    double ratio;
    bool done;
    tims_str secret;
    tims_opt_id parent;
    tims_json_text extra;
    tims_time at;
    tims_opt_time until;
    tims_opt_bytes seal;
} note;

static const char *const note_kinds[] = { "plain", "loud" };

extern const tims_model person_model, room_model, member_model, note_model;

const tims_model person_model = {
    .name = "person",
    .size = sizeof(person),
    .fields = TIMS_FIELDS(TIMS_FIELD(person, id, .primary = true), TIMS_FIELD(person, name, .max_length = 30),
                          TIMS_FIELD(person, secret, .hidden = true)),
    .read = TIMS_SIGNED_IN,
    .order = "name",
};
const tims_model room_model = {
    .name = "room",
    .size = sizeof(room),
    .fields = TIMS_FIELDS(TIMS_FIELD(room, id, .primary = true),
                          TIMS_FIELD(room, title, .required = true, .max_length = 20),
                          TIMS_FIELD(room, owner, .to = &person_model, .read_only = true),
                          TIMS_FIELD(room, created_at, .auto_now_add = true)),
    .read = TIMS_ANY(TIMS_OWNER(room, owner), TIMS_MEMBERS(member_model, member, room, person)),
    .write = TIMS_OWNER(room, owner),
};
const tims_model member_model = {
    .name = "member",
    .size = sizeof(member),
    .fields = TIMS_FIELDS(TIMS_FIELD(member, id, .primary = true),
                          TIMS_FIELD(member, room, .to = &room_model, .required = true),
                          TIMS_FIELD(member, person, .to = &person_model, .required = true)),
    .indexes = TIMS_INDEXES(TIMS_UNIQUE("room", "person")),
    .read = TIMS_LIKE(member, room, room_model),
    .create = TIMS_LIKE(member, room, room_model),
    .remove = TIMS_OWNER(member, person),
};
const tims_model note_model = {
    .name = "note",
    .size = sizeof(note),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(note, id, .primary = true), TIMS_FIELD(note, room, .to = &room_model, .required = true),
        TIMS_FIELD(note, author, .to = &person_model, .read_only = true),
        TIMS_FIELD(note, text, .required = true, .max_length = 100),
        TIMS_FIELD(note, kind, .choices = { note_kinds, 2 }, .default_value = "plain"),
        TIMS_FIELD(note, number), TIMS_FIELD(note, score, .min = 0, .max = 10), TIMS_FIELD(note, ratio),
        TIMS_FIELD(note, done), TIMS_FIELD(note, secret, .hidden = true),
        TIMS_FIELD(note, parent, .to = &note_model, .on_delete = TIMS_RESTRICT),
        TIMS_FIELD(note, extra, .default_value = "{}"), TIMS_FIELD(note, at, .auto_now_add = true),
        TIMS_FIELD(note, until), TIMS_FIELD(note, seal)),
    .read = TIMS_LIKE(note, room, room_model),
    .create = TIMS_LIKE(note, room, room_model),
    .write = TIMS_OWNER(note, author),
    .order = "-at",
    .search = TIMS_NAMES("text", "kind"),
};

/* --- resources -------------------------------------------------------------------------------- */

static void own_room(tims_request *rq, void *row)
{
    ((room *)row)->owner = tims_caller_of(rq).user;
}

static void sign_note(tims_request *rq, void *row)
{
    note *n = row;
    if (tims_str_equal(n->text, TIMS_STR("refused by the hook")))
        tims_raise(rq, 409, "refused", "The hook refuses this.");
    n->author = tims_caller_of(rq).user;
}

static void number_note(tims_request *rq, void *row, tims_field_set changed)
{
    (void)rq;
    (void)changed;
    note *n = row;
    if (tims_str_equal(n->text, TIMS_STR("number me")))
        n->number = 77;
}

static void keep_important(tims_request *rq, void *row)
{
    if (tims_str_equal(((note *)row)->text, TIMS_STR("important")))
        tims_raise(rq, 409, "important", "This one stays.");
}

static const tims_resource resources[] = {
    { .path = "/api/people/", .model = &person_model, .allow = TIMS_LIST | TIMS_READ },
    { .path = "/api/rooms/",
      .model = &room_model,
      .allow = TIMS_EVERYTHING,
      .before_create = own_room,
      .throttle = "none" },
    { .path = "/api/members/",
      .model = &member_model,
      .allow = TIMS_LIST | TIMS_READ | TIMS_CREATE | TIMS_DELETE,
      .filter = TIMS_NAMES("room", "person"),
      .throttle = "none" },
    { .path = "/api/notes/",
      .model = &note_model,
      .allow = TIMS_EVERYTHING,
      .filter = TIMS_NAMES("id", "room", "author", "text", "kind", "number", "score", "ratio", "done",
                           "parent", "at", "until"),
      .read_throttle = "none",
      .order = TIMS_NAMES("at", "number", "score", "text", "id", "ratio"),
      .page = { .size = 5, .max = 10 },
      .before_create = sign_note,
      .before_update = number_note,
      .before_delete = keep_important,
      .throttle = "none" },
    { .path = "/api/limited/",
      .model = &room_model,
      .allow = TIMS_CREATE,
      .before_create = own_room,
      .throttle = "3/m" },
    { .path = "/api/rare/",
      .model = &room_model,
      .allow = TIMS_LIST | TIMS_READ | TIMS_CREATE,
      .before_create = own_room,
      .read_throttle = "3/m" },
    { 0 },
};

/* What a test sets before its world starts is served too. */
static const tims_computed *computed_table;
static const tims_route *more_routes;
static size_t more_route_count;
static tims_cache *served_cache; /* NULL: none */

/* --- the server ------------------------------------------------------------------------------- */

typedef struct world {
    testing_database database;
    tims_db *db;
    tims_arena *arena;
    tims_rest *rest;
    tims_router *router;
    tims_server *server;
    pthread_t thread;
    sem_t ready;
    uint16_t port;
} world;

static tims_caller caller_named(tims_str name)
{
    tims_caller caller = { .signed_in = name.length > 0 };
    const char *id = tims_str_equal(name, TIMS_STR("ann"))   ? ANN
                     : tims_str_equal(name, TIMS_STR("bob")) ? BOB
                                                             : EVE;
    if (caller.signed_in)
        assert_true(tims_id_parse(tims_str_from(id), &caller.user));
    return caller;
}

static void begin_request(tims_request *rq)
{
    const world *w = rq->server_data;
    tims_request_set_db(rq, w->db);
    tims_request_set_rest(rq, w->rest);
    tims_request_set_caller(rq, caller_named(tims_header_of(rq, TIMS_STR("X-User"))));
}

static void finish_request(tims_request *rq, tims_answer *answer)
{
    tims_error err = { 0 };
    if (!tims_in_transaction(rq))
        return;
    if (rq->has_raised)
        tims_rollback(rq);
    else if (tims_db_commit(tims_session_db(rq), &err) != TIMS_OK)
        *answer = tims_answer_problem(rq, &err);
}

static tims_answer say_throttled(tims_request *rq)
{
    tims_throttle(rq, "test", "2/h");
    return tims_answer_empty(204);
}

static const tims_route own_routes[] = { { TIMS_METHOD_GET, "/throttled", say_throttled } };

static tims_answer stream(tims_request *rq, void *data, tims_str url)
{
    (void)data;
    return tims_answer_bytes(200, TIMS_STR("text/event-stream"), tims_print(rq->arena, "stream of %S", url));
}

static void say_ready(tims_server *server, void *argument)
{
    world *w = argument;
    w->server = server;
    w->port = tims_server_port(server);
    sem_post(&w->ready);
}

static void *serve(void *argument)
{
    world *w = argument;
    tims_server_options options;
    tims_server_options_default(&options);
    options.host = TIMS_STR("127.0.0.1");
    options.port = 0;
    options.loops = 1;
    options.router = w->router;
    options.data = w;
    options.begin = begin_request;
    options.finish = finish_request;
    tims_error err = { 0 };
    if (tims_server_run(&options, say_ready, w, &err) != TIMS_OK)
        fail_msg("server: %s %s", err.message, err.detail);
    return NULL;
}

TIMS_UNUSED static void assert_ok(tims_status status, const tims_error *err)
{
    if (status != TIMS_OK)
        fail_msg("%s (%s): %s %s", tims_status_name(status), err->code, err->message, err->detail);
}

static tims_id id_of(const char *text)
{
    tims_id id;
    assert_true(tims_id_parse(tims_str_from(text), &id));
    return id;
}

static void insert(tims_db_session *session, tims_arena *arena, const tims_model *model, void *row)
{
    tims_error err = { 0 };
    assert_ok(tims_model_insert(session, arena, model, row, &err), &err);
}

static void insert_people(tims_db_session *session, tims_arena *arena)
{
    static const char *const names[] = { "Ann", "Bob", "Eve" }, *const ids[] = { ANN, BOB, EVE };
    for (size_t i = 0; i < 3; i++)
        insert(session, arena, &person_model,
               &(person){ .id = id_of(ids[i]), .name = tims_str_from(names[i]), .secret = TIMS_STR("s") });
    room rooms[] = { { id_of(ROOM1), TIMS_STR("One"), id_of(ANN), { 1000 } },
                     { id_of(ROOM2), TIMS_STR("Two"), id_of(EVE), { 2000 } } };
    member members[] = { { id_of(ID("31")), id_of(ROOM1), id_of(ANN) },
                         { id_of(ID("32")), id_of(ROOM1), id_of(BOB) },
                         { id_of(ID("33")), id_of(ROOM2), id_of(EVE) } };
    for (size_t i = 0; i < 2; i++)
        insert(session, arena, &room_model, &rooms[i]);
    for (size_t i = 0; i < 3; i++)
        insert(session, arena, &member_model, &members[i]);
}

#define SCORE(n) \
    {            \
        true, n  \
    }

static void insert_notes(tims_db_session *session, tims_arena *arena)
{
    static const struct {
        const char *author, *text, *kind;
        int64_t number;
        tims_opt_int score;
        double ratio;
        bool done;
        const char *extra;
        int64_t at;
    } notes[] = {
        { ANN, "Hello World", "plain", 1, { 0 }, 0.5, false, "{}", 5000000 },
        { BOB, "hello 100%", "loud", 2, SCORE(3), 1.5, true, "[1]", 5000000 },
        { ANN, "it's \"quoted\" \\", "plain", 2, SCORE(3), 2, false, "{}", 6000000 },
        { BOB, "world", "plain", 3, SCORE(10), 0, true, "null", 6000000 },
        { ANN, "a_b", "plain", 3, { 0 }, -1e300, false, "{}", 6000000 },
        { BOB, "axb", "plain", -4, SCORE(0), 0.1, false, "{}", 7000000 },
        { ANN, "line\nbreak", "plain", 9, SCORE(1), 3, true, "{}", 7000001 },
        { EVE, "hello from Eve", "plain", 1, SCORE(1), 1, false, "{}", 1 },
        { EVE, "and again", "plain", 1, SCORE(1), 1, false, "{}", 2 },
    };
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
        bool in_second = strcmp(notes[i].author, EVE) == 0;
        note row = { .id = id_of(tims_print(arena, "%s%d", NOTE(""), (int)i + 1).data),
                     .room = id_of(in_second ? ROOM2 : ROOM1),
                     .author = id_of(notes[i].author),
                     .text = tims_str_from(notes[i].text),
                     .kind = tims_str_from(notes[i].kind),
                     .number = notes[i].number,
                     .score = notes[i].score,
                     .ratio = notes[i].ratio,
                     .done = notes[i].done,
                     .secret = TIMS_STR("s"),
                     .extra = { tims_str_from(notes[i].extra) },
                     .at = { notes[i].at } };
        if (i == 1) {
            row.parent = (tims_opt_id){ true, id_of(NOTE("1")) };
            row.until = (tims_opt_time){ true, { 7000000 } };
        }
        insert(session, arena, &note_model, &row);
    }
}

static void make_tables(world *w, const tims_models *models)
{
    static const tims_model *const own[] = { &person_model, &room_model, &member_model, &note_model, NULL };
    const tims_migration_set set = { "rest", tims_rest_migrations, tims_rest_models };
    tims_error err = { 0 };
    tims_buf applied;
    tims_migration_plan plan;
    tims_arena *arena = tims_arena_new(1 << 26, NULL, NULL);
    tims_db_session *session = tims_db_session_new(w->db, NULL, arena);
    tims_buf_init(&applied, arena, 1 << 16);
    assert_ok(tims_migrate_plan(arena, TIMS_STR(""), own, tims_db_dialect_of(w->db), &plan, &err), &err);
    assert_ok(tims_db_script(session, plan.sql, &err), &err);
    assert_ok(tims_migrate_apply(w->db, arena, &set, 1, models, &applied, &err), &err);
    assert_ok(tims_db_begin(session, &err), &err);
    insert_people(session, arena);
    insert_notes(session, arena);
    assert_ok(tims_db_commit(session, &err), &err);
    tims_arena_free(&arena);
}

static int start_world(void **state)
{
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    tims_log_setup(TIMS_LOG_ERROR, TIMS_LOG_HUMAN, 2);
    world *w = calloc(1, sizeof(*w));
    w->arena = tims_arena_new((size_t)1 << 30, NULL, NULL);
    testing_database_new(&w->database, "rest");
    tims_error err = { 0 };
    tims_db_options options = { .url = tims_str_from(w->database.url) };
    assert_ok(tims_db_open(&options, &w->db, &err), &err);
    const tims_model *models[] = { &person_model, &room_model,         &member_model,
                                   &note_model,   tims_rest_models[0], tims_rest_models[1] };
    tims_models *all;
    assert_ok(tims_models_new(w->arena, models, 6, &all, &err), &err);
    make_tables(w, all);
    const tims_resource *tables[] = { resources };
    assert_ok(tims_rest_new(w->arena, tables, 1, all, &w->rest, &err), &err);
    tims_rest_set_stream(w->rest, stream, NULL);
    tims_rest_set_cache(w->rest, served_cache);
    if (computed_table != NULL)
        assert_ok(tims_rest_add_computed(w->rest, w->arena, computed_table, &err), &err);
    size_t count;
    const tims_route *routes = tims_rest_routes(w->rest, &count);
    const tims_route **list = TIMS_NEW_ARRAY(w->arena, const tims_route *, count + 1 + more_route_count);
    for (size_t i = 0; i < count; i++)
        list[i] = &routes[i];
    list[count++] = &own_routes[0];
    for (size_t i = 0; i < more_route_count; i++)
        list[count++] = &more_routes[i];
    assert_ok(tims_router_new(list, count, &w->router, &err), &err);
    assert_int_equal(sem_init(&w->ready, 0, 0), 0);
    assert_int_equal(pthread_create(&w->thread, NULL, serve, w), 0);
    assert_int_equal(sem_wait(&w->ready), 0);
    *state = w;
    return 0;
}

static int stop_world(void **state)
{
    world *w = *state;
    tims_server_stop(w->server);
    pthread_join(w->thread, NULL);
    tims_router_free(&w->router);
    tims_db_close(&w->db);
    testing_database_drop(&w->database);
    tims_arena_free(&w->arena);
    sem_destroy(&w->ready);
    free(w);
    return 0;
}

/* --- the client ------------------------------------------------------------------------------- */

typedef struct reply {
    int status;
    tims_str head, body;
} reply;

static int connect_to(const world *w)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(w->port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* `headers`: further lines, each ending in \r\n. `body` NULL: none. */
static reply ask(world *w, const char *user, const char *method, tims_str path, const char *headers,
                 const char *body)
{
    tims_buf out;
    tims_buf_init(&out, w->arena, 1 << 22);
    tims_buf_print(&out, "%s %S HTTP/1.1\r\nHost: test\r\nConnection: close\r\n%s", method, path, headers);
    if (user != NULL)
        tims_buf_print(&out, "X-User: %s\r\n", user);
    if (body != NULL)
        tims_buf_print(&out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
    tims_buf_print(&out, "\r\n%s", body != NULL ? body : "");
    int fd = connect_to(w);
    for (size_t sent = 0; sent < out.length;) {
        ssize_t n = send(fd, out.data + sent, out.length - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    tims_buf in;
    tims_buf_init(&in, w->arena, 1 << 22);
    for (;;) {
        assert_true(tims_buf_reserve(&in, 2048));
        ssize_t n = recv(fd, in.data + in.length, 2048, 0);
        if (n <= 0)
            break;
        in.length += (size_t)n;
    }
    close(fd);
    tims_str all = tims_buf_str(&in);
    size_t end = tims_str_find(all, TIMS_STR("\r\n\r\n"));
    if (end == SIZE_MAX)
        fail_msg("no answer to %s %.*s", method, TIMS_PRINT(path));
    int64_t status = 0;
    assert_true(tims_str_to_int(tims_str_slice(all, 9, 12), 100, 599, &status));
    return (reply){ (int)status, tims_str_slice(all, 0, end + 2), tims_str_slice(all, end + 4, all.length) };
}

TIMS_UNUSED static reply get(world *w, const char *user, const char *path)
{
    return ask(w, user, "GET", tims_str_from(path), "", NULL);
}

TIMS_UNUSED static tims_str header(const reply *r, const char *name)
{
    tims_str rest = r->head;
    while (rest.length > 0) {
        tims_str line = tims_str_cut(&rest, '\n');
        tims_str key = tims_str_cut(&line, ':');
        if (tims_str_equal_ignoring_case(key, tims_str_from(name)))
            return tims_str_trim(line);
    }
    return (tims_str){ 0 };
}

TIMS_UNUSED static const tims_json *parse(world *w, tims_str text)
{
    const tims_json *value;
    tims_error err = { 0 };
    if (tims_json_parse(w->arena, text, &value, &err) != TIMS_OK)
        fail_msg("%s: %.*s", err.message, TIMS_PRINT(text));
    return value;
}

#define assert_status(reply_, expected)                                           \
    do {                                                                          \
        if ((reply_).status != (expected))                                        \
            fail_msg("status %d, expected %d: %.*s", (reply_).status, (expected), \
                     TIMS_PRINT((reply_).body));                                  \
    } while (0)

TIMS_UNUSED static void assert_contains(tims_str text, const char *part)
{
    if (tims_str_find(text, tims_str_from(part)) == SIZE_MAX)
        fail_msg("no %s in %.*s", part, TIMS_PRINT(text));
}

#endif
