/* world_testing.h: a real server with chats, members and messages on a database of its own, and signed-in
 * people. For tests only. */
#ifndef LIVE_WORLD_TESTING_H
#define LIVE_WORLD_TESTING_H

#include "http/testing.h"

#include "db/database_testing.h"
#include "live/live_internal.h"
#include "tims/crypto.h"

/* --- the world -------------------------------------------------------------------------------- */

#define ID(last) "00000000-0000-7000-8000-0000000000" last
#define ANN ID("01")
#define BOB ID("02")
#define EVE ID("03")
#define CHAT1 ID("11") /* Ann and Bob */
#define CHAT2 ID("12") /* Bob alone */
#define LOGIN_ANN ID("41")
#define LOGIN_BOB ID("42")
#define MESSAGE(n) ID("2" n)

typedef struct chat {
    tims_id id;
    tims_str title;
} chat;
typedef struct member {
    tims_id id, chat, user;
    int64_t seen;
} member;
typedef struct message {
    tims_id id, chat, sender;
    tims_str text;
    int64_t number;
} message;

/* A note is its owner's, and everybody's in the chat it hangs in; staff reads all. */
typedef struct note {
    tims_id id, owner, chat;
    tims_str text;
} note;

/* What is ordered by bytes, and found by a double. */
typedef struct parcel {
    tims_id id;
    tims_bytes seal;
    double weight;
} parcel;

extern const tims_model chat_model, member_model, message_model, note_model, parcel_model;

const tims_model chat_model = {
    .name = "chat",
    .size = sizeof(chat),
    .fields = TIMS_FIELDS(TIMS_FIELD(chat, id, .primary = true), TIMS_FIELD(chat, title)),
    .read = TIMS_MEMBERS(member_model, member, chat, user),
    .order = "title",
};
const tims_model member_model = {
    .name = "member",
    .size = sizeof(member),
    .fields =
        TIMS_FIELDS(TIMS_FIELD(member, id, .primary = true), TIMS_FIELD(member, chat, .to = &chat_model),
                    TIMS_FIELD(member, user, .to = &tims_user_model), TIMS_FIELD(member, seen)),
    .read = TIMS_LIKE(member, chat, chat_model),
};
const tims_model message_model = {
    .name = "message",
    .size = sizeof(message),
    .fields =
        TIMS_FIELDS(TIMS_FIELD(message, id, .primary = true), TIMS_FIELD(message, chat, .to = &chat_model),
                    TIMS_FIELD(message, sender, .to = &tims_user_model), TIMS_FIELD(message, text),
                    TIMS_FIELD(message, number)),
    .read = TIMS_LIKE(message, chat, chat_model),
    .order = "-number",
    .search = TIMS_NAMES("text"),
};

const tims_model note_model = {
    .name = "note",
    .size = sizeof(note),
    .fields =
        TIMS_FIELDS(TIMS_FIELD(note, id, .primary = true), TIMS_FIELD(note, owner, .to = &tims_user_model),
                    TIMS_FIELD(note, chat, .to = &chat_model), TIMS_FIELD(note, text)),
    .read = TIMS_ANY(TIMS_STAFF, TIMS_OWNER(note, owner), TIMS_LIKE(note, chat, chat_model)),
    .order = "text",
};

const tims_model parcel_model = {
    .name = "parcel",
    .size = sizeof(parcel),
    .fields = TIMS_FIELDS(TIMS_FIELD(parcel, id, .primary = true), TIMS_FIELD(parcel, seal),
                          TIMS_FIELD(parcel, weight, .index = true)),
    .read = TIMS_SIGNED_IN,
    .order = "seal",
};

static const char world_people[] =
    "INSERT INTO \"user\" (id, username, username_key, display_name, avatar, password, staff, active, "
    "created_at) VALUES"
    " ('" ANN "','ann','ann','Ann','','x',0,1,1),('" BOB "','bob','bob','Bob','','x',0,1,1),"
    " ('" EVE "','eve','eve','Eve','','x',0,1,1);"
    "INSERT INTO chat VALUES ('" CHAT1 "','One'),('" CHAT2 "','Two');"
    "INSERT INTO member VALUES ('" ID("31") "','" CHAT1 "','" ANN
                                            "',0),('" ID("32") "','" CHAT1 "','" BOB "',0),"
                                                               " ('" ID("33") "','" CHAT2 "','" BOB "',0);";
static const char world_messages[] = "INSERT INTO message VALUES ('" MESSAGE(
    "1") "','" CHAT1 "','" ANN "','one',1),"
         " ('" MESSAGE("2") "','" CHAT1 "','" BOB "','two',2),('" MESSAGE("3") "','" CHAT2 "','" BOB
                                                                               "','three',3);";

/* --- the server ------------------------------------------------------------------------------- */

typedef struct fixture {
    test_server server;
    tims_arena *arena;
    testing_database database;
    tims_db *db;
    tims_models *models;
    tims_auth *auth;
    tims_live *live;
    int64_t before_messages; /* a position that was noted as a mark */
    char token_ann[TIMS_TOKEN_TEXT_LENGTH + 1], token_bob[TIMS_TOKEN_TEXT_LENGTH + 1];
} fixture;

/* What a test wants to be different. */
static tims_live_options world_options;
static void (*adjust_world)(live__limits *limits);
static int64_t world_log_start; /* not 0: PostgreSQL's log is of this age, and its only mark a minute old */

/* Computed endpoints; ends with a row without a path. */
typedef struct world_computed {
    const char *path;
    void (*write)(tims_request *rq, tims_json_writer *w);
} world_computed;
static const world_computed *computed_endpoints;

static inline const world_computed *find_computed(tims_str path)
{
    const world_computed *at = computed_endpoints;
    while (at != NULL && at->path != NULL && !tims_str_equal(path, tims_str_from(at->path)))
        at++;
    return at != NULL && at->path != NULL ? at : NULL;
}

typedef struct computation {
    tims_db_session *db;
    const world_computed *endpoint;
    tims_caller caller;
    tims_reads *reads;
    tims_buf *out;
    void *live;
} computation;

static inline void run_computation(tims_request *rq, void *argument)
{
    const computation *c = argument;
    rq->slots[TIMS_SLOT_LIVE] = c->live;
    tims_request_set_session(rq, c->db);
    tims_request_set_caller(rq, c->caller);
    tims_json_writer writer = tims_json_to(c->out);
    tims_reads_begin(rq, c->reads);
    c->endpoint->write(rq, &writer);
    tims_reads_end(rq);
}

/* As rest does it: a request without a client, in the snapshot of the one that waits. */
static inline tims_status compute_url(const void *data, tims_request *rq, tims_str url, tims_caller caller,
                                      tims_reads *reads, tims_buf *out, tims_error *err)
{
    const tims_live *const *live = data;
    tims_str path = tims_str_cut(&url, '?');
    tims_db_session *db = tims_session_db(rq);
    uint32_t mark = tims_db_mark(db);
    computation c = { db, find_computed(path), caller, reads, out, (void *)(uintptr_t)*live };
    tims_status status = tims_request_run(rq->loop, NULL, run_computation, &c, NULL, err);
    tims_db_unwind(db, mark);
    return status;
}

/* Of messages: the page that ends before this number. */
static inline tims_status page_before(tims_arena *arena, tims_query *query, tims_str number)
{
    tims_db_value *after = TIMS_NEW_ARRAY(arena, tims_db_value, 2);
    int64_t before;
    tims_id last;
    memset(&last, 0xff, sizeof last); /* behind which no row with this number stands */
    if (query->model != &message_model || !tims_str_to_int(number, 0, INT64_MAX, &before))
        return TIMS_INVALID;
    after[0] = tims_db_int(before);
    after[1] = tims_db_id(last);
    query->after = after;
    query->backwards = true;
    return TIMS_OK;
}

/* /api/messages/?chat=…&number__lt=9&limit=2&total=true&include=sender&offset=1&before=9&fields=text&search=word,
 * /api/messages/<id>/ */
static inline tims_status resolve_list(tims_arena *arena, tims_str text, tims_live_query *live,
                                       tims_error *err)
{
    tims_status status = TIMS_OK;
    while (text.length > 0 && status == TIMS_OK) {
        tims_str pair = tims_str_cut(&text, '&'), value = pair, name = tims_str_cut(&value, '=');
        if (tims_str_equal(name, TIMS_STR("total")))
            live->with_total = true;
        else if (tims_str_equal(name, TIMS_STR("include")))
            live->includes[live->include_count++] = tims_field_find(live->query.model->fields, value);
        else if (tims_str_equal(name, TIMS_STR("offset")))
            status = tims_str_to_int(value, 0, 1000, &live->query.offset) ? TIMS_OK : TIMS_INVALID;
        else if (tims_str_equal(name, TIMS_STR("before")))
            status = page_before(arena, &live->query, value);
        else if (tims_str_equal(name, TIMS_STR("fields")))
            live->query.fields =
                1 | UINT64_C(1) << tims_field_index(live->query.model->fields,
                                                    tims_field_find(live->query.model->fields, value));
        else if (tims_str_equal(name, TIMS_STR("search")))
            status = tims_query_search(&live->query, value, err);
        else
            status = tims_query_filter(arena, &live->query, pair, err);
    }
    return status;
}

static inline tims_status resolve_url(const void *data, tims_arena *arena, tims_str url, tims_caller caller,
                                      tims_live_query *ret_query, tims_error *err)
{
    static const struct {
        const char *path;
        const tims_model *model;
    } lists[] = {
        { "/api/messages/", &message_model }, { "/api/chats/", &chat_model },
        { "/api/members/", &member_model },   { "/api/notes/", &note_model },
        { "/api/parcels/", &parcel_model },
    };
    (void)data;
    tims_live_query live = { 0 };
    tims_str query = url, path = tims_str_cut(&query, '?');
    if (find_computed(path) != NULL) {
        *ret_query = (tims_live_query){ .is_computed = true, .canonical = url, .query.caller = caller };
        return TIMS_OK;
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        tims_str prefix = tims_str_from(lists[i].path);
        if (!tims_str_starts_with(path, prefix))
            continue;
        if (!caller.signed_in)
            return tims_fail(err, TIMS_UNAUTHORIZED, NULL, "Sign in first.");
        tims_query_init(&live.query, lists[i].model, caller);
        live.query.limit = 50;
        live.canonical = url;
        tims_status status = TIMS_OK;
        if (path.length > prefix.length) {
            live.is_detail = true;
            live.query.limit = 1;
            tims_str id = tims_str_slice(path, prefix.length, path.length - 1);
            status = tims_query_where(arena, &live.query, TIMS_STR("id"), TIMS_EQUAL, id, err);
        } else {
            status = resolve_list(arena, query, &live, err);
        }
        if (status == TIMS_OK)
            *ret_query = live;
        return status;
    }
    return tims_fail(err, TIMS_NOT_FOUND, NULL, "There is no such list.");
}

/* What GET answers: a list's rows and total, a detail's row. */
static inline tims_status write_url(const void *data, tims_db_session *db, tims_arena *arena, tims_str url,
                                    tims_caller caller, int64_t position, tims_json_writer *w,
                                    tims_error *err)
{
    tims_live_query live = { 0 };
    int64_t total = 0;
    size_t count = 0;
    tims_status status = resolve_url(data, arena, url, caller, &live, err);
    if (status == TIMS_OK && live.is_detail) {
        void *row;
        status = tims_model_find(db, arena, &live.query, &row, err);
        if (status == TIMS_OK)
            tims_json_object(w, live.query.model->fields, row, live.query.fields);
        return status;
    }
    tims_json_begin_object(w);
    tims_json_key(w, TIMS_STR("rows"));
    tims_json_begin_array(w);
    if (status == TIMS_OK)
        status = tims_query_write(db, arena, &live.query, w, &count, NULL, err);
    tims_json_end_array(w);
    tims_query counted = live.query;
    counted.offset = 0;
    if (status == TIMS_OK && live.with_total)
        status = tims_query_count(db, arena, &counted, &total, err);
    tims_json_key(w, TIMS_STR("total"));
    if (live.with_total)
        tims_json_int(w, total);
    else
        tims_json_null(w);
    tims_json_key(w, TIMS_STR("position"));
    tims_json_int(w, position);
    tims_json_end_object(w);
    return status;
}

static fixture *world;

static inline void begin_request(tims_request *rq)
{
    tims_request_set_db(rq, world->db);
    tims_auth_begin(rq, world->auth);
}

static inline tims_answer run_sql(tims_request *rq)
{
    tims_str sql = tims_body(rq);
    tims_error err = { 0 };
    int64_t position = 0;
    tims_db_session *db = tims_session_db(rq);
    tims_check(rq, tims_db_begin(db, &err), &err);
    tims_check(rq, tims_db_script(db, sql, &err), &err);
    tims_check(rq, tims_commit_position(db, &position, &err), &err);
    return tims_answer_text(rq, 200, "%lld", (long long)position);
}

static inline tims_answer stream_events(tims_request *rq)
{
    tims_str path = tims_str_slice(rq->target, strlen("/events"), rq->target.length);
    return tims_live_sse(rq, world->live, path);
}

static inline tims_status start_loop(tims_loop *loop, const void *data, tims_error *err)
{
    (void)data;
    return tims_live_loop_start(world->live, loop, err);
}

static inline void stop_loop(tims_loop *loop, const void *data)
{
    (void)data;
    tims_live_loop_stop(world->live, loop);
}

/* clang-format off */
#define OK(call)                                                     \
    do {                                                             \
        tims_error err_ = { 0 }, *err = &err_;                       \
        tims_status status_ = (call);                                \
        if (status_ != TIMS_OK)                                      \
            fail_msg("%s: %s %s", #call, err_.message, err_.detail); \
    } while (0)
/* clang-format on */

static inline void add_login(fixture *f, tims_db_session *db, const char *id, const char *user,
                             char *ret_token)
{
    char hash[TIMS_TOKEN_HASH_TEXT_LENGTH];
    tims_token_new(ret_token);
    ret_token[TIMS_TOKEN_TEXT_LENGTH] = '\0';
    tims_token_hash((tims_str){ ret_token, TIMS_TOKEN_TEXT_LENGTH }, hash);
    int64_t now = tims_now().us;
    OK(tims_db_script(
        db,
        tims_print(f->arena,
                   "INSERT INTO auth_session (id, token_hash, \"user\", device, label, created_at, "
                   "expires_at, last_used_at) VALUES ('%s','%S','%s',1,'',%lld,%lld,%lld)",
                   id, (tims_str){ hash, sizeof hash }, user, (long long)now,
                   (long long)now + 3600 * INT64_C(1000000), (long long)now),
        err));
}

/* As many changes as nobody would write in a test. */
static inline void age_log(const fixture *f, tims_db_session *db)
{
    if (world_log_start > 0 && tims_db_dialect_of(f->db) == TIMS_POSTGRES)
        OK(tims_db_script(db,
                          tims_print(f->arena, "ALTER TABLE tims_change ALTER COLUMN id RESTART WITH %lld",
                                     (long long)world_log_start),
                          err));
}

static inline void make_database(fixture *f)
{
    static const tims_model *const own[] = { &chat_model, &member_model, &message_model,
                                             &note_model, &parcel_model, NULL };
    const tims_model *all[16] = { NULL };
    size_t count = 0;
    for (const tims_model *const *model = tims_auth_models; *model != NULL; model++)
        all[count++] = *model;
    for (size_t i = 0; own[i] != NULL; i++)
        all[count++] = own[i];
    tims_migration_plan plan;
    testing_database_new(&f->database, "live");
    testing_database_loosen(&f->database);
    OK(tims_models_new(f->arena, all, count, &f->models, err));
    tims_db_options options = { .url = tims_str_from(f->database.url) };
    OK(tims_db_open(&options, &f->db, err));
    tims_db_dialect dialect = tims_db_dialect_of(f->db);
    OK(tims_migrate_plan(f->arena, TIMS_STR(""), all, dialect, &plan, err));
    tims_db_session *db = tims_db_session_new(f->db, NULL, f->arena);
    OK(tims_db_begin(db, err));
    OK(tims_db_script(db, plan.sql, err));
    OK(tims_db_script(db, tims_change_ddl(f->arena, f->models, dialect), err));
    age_log(f, db);
    OK(tims_db_script(db, tims_str_from(world_people), err));
    OK(tims_commit_position(db, &f->before_messages, err));
    OK(tims_db_begin_snapshot(db, err));
    tims_mark mark;
    OK(tims_mark_now(db, &mark, err));
    tims_db_end_snapshot(db);
    OK(tims_mark_note(db, &mark, world_log_start, 0, err));
    OK(tims_db_begin(db, err));
    if (world_log_start > 0)
        OK(tims_db_script(db, TIMS_STR("UPDATE tims_mark SET at = at - 60000000"), err));
    OK(tims_db_script(db, tims_str_from(world_messages), err));
    add_login(f, db, LOGIN_ANN, ANN, f->token_ann);
    add_login(f, db, LOGIN_BOB, BOB, f->token_bob);
    OK(tims_db_commit(db, err));
}

static inline int start_world(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    world = f;
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    f->arena = tims_arena_new(64 << 20, NULL, NULL);
    make_database(f);
    tims_auth_options auth_options = { .session_idle_s = 3600,
                                       .session_max_s = 3600,
                                       .login_failures_max = 10,
                                       .password_cost = tims_password_cost_for_tests };
    OK(tims_auth_new(f->arena, f->db, &auth_options, &f->auth, err));
    tims_live_options options = world_options;
    options.resolver = (tims_live_resolver){
        .data = &f->live, .resolve = resolve_url, .write = write_url, .compute = compute_url
    };
    OK(tims_live_new(f->db, f->models, f->auth, &options, &f->live, err));
    if (adjust_world != NULL)
        adjust_world(&f->live->limits);
    tims_route *routes = TIMS_NEW_ARRAY(f->arena, tims_route, 3);
    routes[0] = (tims_route){ TIMS_METHOD_GET, "/live", tims_live_endpoint, .data = f->live };
    routes[1] = (tims_route){ TIMS_METHOD_POST, "/sql", run_sql, .no_csrf = true };
    routes[2] = (tims_route){ TIMS_METHOD_GET, "/events/{rest:path}", stream_events };
    test_prepare(&f->server, routes, 3);
    f->server.options.loops = 2;
    f->server.options.begin = begin_request;
    f->server.options.loop_start = start_loop;
    f->server.options.loop_stop = stop_loop;
    test_start(&f->server);
    *state = f;
    return 0;
}

static inline int stop_world(void **state)
{
    fixture *f = *state;
    test_stop(&f->server);
    tims_live_free(&f->live);
    tims_arena_free(&f->arena);
    tims_db_close(&f->db);
    testing_database_drop(&f->database);
    free(f);
    memset(&world_options, 0, sizeof world_options);
    world_log_start = 0;
    adjust_world = NULL;
    computed_endpoints = NULL;
    return 0;
}

/* --- writers ---------------------------------------------------------------------------------- */

/* A transaction of the server itself; returns its position. */
static inline int64_t sql(fixture *f, const char *text)
{
    tims_str request = tims_print(f->arena, "POST /sql HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
                                  strlen(text), text);
    test_answer answer = test_ask(&f->server, tims_copy_c(f->arena, request));
    if (answer.status != 200)
        fail_msg("%s: %s", text, answer.text);
    int64_t position = strtoll(answer.body, NULL, 10);
    test_answer_free(&answer);
    return position;
}

/* Messages with a text of so many characters. */
static inline int64_t sql_long_text(fixture *f, size_t length, const char *which)
{
    char *text = tims_alloc_raw(f->arena, length + 1);
    memset(text, 'x', length);
    text[length] = '\0';
    return sql(f, tims_copy_c(f->arena,
                              tims_print(f->arena, "UPDATE message SET text = '%s' WHERE %s", text, which)));
}

/* One of the numbers that the room counts, without "tims_live_". */
static inline int64_t metric(const fixture *f, const char *name)
{
    tims_buf out;
    char line[64];
    tims_buf_init(&out, NULL, 64 * 1024);
    tims_live_metrics(f->live, &out);
    tims_buf_append_char(&out, '\0');
    snprintf(line, sizeof line, "\ntims_live_%s ", name);
    const char *at = strstr(out.data, line);
    assert_non_null(at);
    int64_t value = strtoll(at + strlen(line), NULL, 10);
    tims_buf_free(&out);
    return value;
}

static inline void wait_for_metric(const fixture *f, const char *name, int64_t at_least)
{
    for (int waited = 0; metric(f, name) < at_least; waited++) {
        if (waited == TEST_WAIT_MS)
            fail_msg("%s never was %lld", name, (long long)at_least);
        poll(NULL, 0, 1);
    }
}

/* The database's own program: a writer that knows nothing of us. */
static inline void foreign_sql(const fixture *f, const char *text)
{
    assert_int_equal(testing_database_shell(&f->database, text), 0);
}

#endif
