/* testing.h: a real server with chats, members and messages on a database of its own, signed-in people, and a
 * plain blocking websocket client. For tests only. */
#ifndef LIVE_TESTING_H
#define LIVE_TESTING_H

#include "http/testing.h"

#include <spawn.h>
#include <sys/wait.h>

#include "live/live_internal.h"
#include "tims/crypto.h"

extern char **environ;

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

extern const tims_model chat_model, member_model, message_model;

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
};

static const char world_rows[] =
    "INSERT INTO \"user\" (id, username, username_key, display_name, avatar, password, staff, active, "
    "created_at) VALUES"
    " ('" ANN "','ann','ann','Ann','','x',0,1,1),('" BOB "','bob','bob','Bob','','x',0,1,1),"
    " ('" EVE "','eve','eve','Eve','','x',0,1,1);"
    "INSERT INTO chat VALUES ('" CHAT1 "','One'),('" CHAT2 "','Two');"
    "INSERT INTO member VALUES ('" ID("31") "','" CHAT1 "','" ANN "',0),('" ID(
        "32") "','" CHAT1 "','" BOB "',0),"
              " ('" ID("33") "','" CHAT2 "','" BOB "',0);"
                             "INSERT INTO message VALUES ('" MESSAGE(
                                 "1") "','" CHAT1 "','" ANN "','one',1),"
                                      " ('" MESSAGE("2") "','" CHAT1 "','" BOB
                                                         "','two',2),('" MESSAGE("3") "','" CHAT2 "','" BOB
                                                                                      "','three',3);";

/* --- the server ------------------------------------------------------------------------------- */

typedef struct fixture {
    test_server server;
    tims_arena *arena;
    char directory[64], path[96];
    tims_db *db;
    tims_models *models;
    tims_auth *auth;
    tims_live *live;
    char token_ann[TIMS_TOKEN_TEXT_LENGTH + 1], token_bob[TIMS_TOKEN_TEXT_LENGTH + 1];
} fixture;

static tims_live_options world_options; /* what a test wants to be different */

/* /api/messages/?chat=…&number__lt=9&limit=2&total=true&include=sender&offset=1, /api/messages/<id>/ */
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
        { "/api/messages/", &message_model },
        { "/api/chats/", &chat_model },
        { "/api/members/", &member_model },
    };
    (void)data;
    tims_live_query live = { 0 };
    tims_str query = url, path = tims_str_cut(&query, '?');
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
    tims_check(rq, tims_position(db, &position, &err), &err);
    tims_check(rq, tims_db_commit(db, &err), &err);
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

static inline void make_database(fixture *f)
{
    static const tims_model *const own[] = { &chat_model, &member_model, &message_model, NULL };
    const tims_model *all[16] = { NULL };
    size_t count = 0;
    for (const tims_model *const *model = tims_auth_models; *model != NULL; model++)
        all[count++] = *model;
    for (size_t i = 0; own[i] != NULL; i++)
        all[count++] = own[i];
    tims_migration_plan plan;
    OK(tims_models_new(f->arena, all, count, &f->models, err));
    OK(tims_migrate_plan(f->arena, TIMS_STR(""), all, TIMS_SQLITE, &plan, err));
    tims_db_options options = { .url = tims_print(f->arena, "sqlite:%s", f->path) };
    OK(tims_db_open(&options, &f->db, err));
    tims_db_session *db = tims_db_session_new(f->db, NULL, f->arena);
    OK(tims_db_begin(db, err));
    OK(tims_db_script(db, plan.sql, err));
    OK(tims_db_script(db, tims_change_ddl(f->arena, f->models, TIMS_SQLITE), err));
    OK(tims_db_script(db, tims_str_from(world_rows), err));
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
    snprintf(f->directory, sizeof f->directory, "/tmp/tims-live-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof f->path, "%s/db.sqlite3", f->directory);
    make_database(f);
    tims_auth_options auth_options = { .session_idle_s = 3600,
                                       .session_max_s = 3600,
                                       .login_failures_max = 10,
                                       .password_cost = tims_password_cost_for_tests };
    OK(tims_auth_new(f->arena, f->db, &auth_options, &f->auth, err));
    tims_live_options options = world_options;
    options.resolver = (tims_live_resolver){ .resolve = resolve_url, .write = write_url };
    OK(tims_live_new(f->db, f->models, f->auth, &options, &f->live, err));
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
    pid_t child;
    char *arguments[] = { "rm", "-rf", f->directory, NULL };
    assert_int_equal(posix_spawnp(&child, "rm", NULL, NULL, arguments, environ), 0);
    waitpid(child, NULL, 0);
    free(f);
    memset(&world_options, 0, sizeof world_options);
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

/* The sqlite3 program: a writer that knows nothing of us. */
static inline void foreign_sql(fixture *f, const char *text)
{
    pid_t child;
    int status = -1;
    char *arguments[] = { "sqlite3", f->path, (char *)(uintptr_t)text, NULL };
    if (posix_spawnp(&child, "sqlite3", NULL, NULL, arguments, environ) != 0)
        fail_msg("the sqlite3 program is missing: apt-get install sqlite3");
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

/* --- the websocket client --------------------------------------------------------------------- */

typedef struct client {
    int fd;
    char *buffer; /* bytes not yet taken */
    size_t length, capacity;
    int closed; /* the code of the close frame; 0: open; -1: ended without one */
} client;

static inline void ws_send_frame(client *c, uint8_t first, const char *text, size_t length)
{
    uint8_t head[8] = { first }, mask[4] = { 1, 2, 3, 4 };
    size_t at = 2;
    assert_true(length < 65536);
    if (length < 126) {
        head[1] = (uint8_t)(0x80 | length);
    } else {
        head[1] = 0x80 | 126;
        head[2] = (uint8_t)(length >> 8);
        head[3] = (uint8_t)length;
        at = 4;
    }
    memcpy(head + at, mask, 4);
    char *masked = malloc(length + 1);
    for (size_t i = 0; i < length; i++)
        masked[i] = (char)(text[i] ^ mask[i % 4]);
    test_send_bytes(c->fd, head, at + 4);
    test_send_bytes(c->fd, masked, length);
    free(masked);
}

static inline void ws_send(client *c, const char *format, ...)
{
    char text[32 * 1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert_true(length >= 0 && (size_t)length < sizeof text);
    ws_send_frame(c, 0x81, text, (size_t)length);
}

static inline bool ws_fill(client *c)
{
    if (c->capacity - c->length < 65536)
        c->buffer = realloc(c->buffer, c->capacity = c->capacity * 2 + 131072);
    ssize_t got = test_receive(c->fd, c->buffer + c->length, c->capacity - c->length);
    if (got < 0)
        fail_msg("nothing came within %d ms", (int)TEST_WAIT_MS);
    if (got == 0)
        c->closed = c->closed != 0 ? c->closed : -1;
    c->length += (size_t)got;
    return got > 0;
}

/* The next frame: its opcode; the payload terminated in `*ret_text` (free it). 0 at the end. */
static inline int ws_next_frame(client *c, char **ret_text)
{
    for (;;) {
        const uint8_t *b = (const uint8_t *)c->buffer;
        size_t head = 2, length = c->length >= 2 ? b[1] & 127u : 0;
        bool whole = c->length >= 2;
        if (whole && length == 126) {
            head = 4;
            whole = c->length >= 4;
            length = whole ? ((size_t)b[2] << 8 | b[3]) : 0;
        } else if (whole && length == 127) {
            head = 10;
            whole = c->length >= 10;
            length = 0;
            for (size_t i = 2; whole && i < 10; i++)
                length = length << 8 | b[i];
        }
        if (whole && c->length >= head + length) {
            int opcode = b[0] & 15;
            *ret_text = strndup(c->buffer + head, length);
            if (opcode == 8)
                c->closed = length >= 2 ? (b[head] << 8 | b[head + 1]) : 1005;
            c->length -= head + length;
            memmove(c->buffer, c->buffer + head + length, c->length);
            return opcode;
        }
        if (!ws_fill(c))
            return 0;
    }
}

/* The next text frame (free it); NULL when the connection was closed. */
static inline char *ws_next(client *c)
{
    char *text = NULL;
    for (;;) {
        int opcode = ws_next_frame(c, &text);
        if (opcode == 1)
            return text;
        if (opcode == 0)
            return NULL;
        if (opcode == 9)
            ws_send_frame(c, 0x8a, "", 0);
        free(text);
        text = NULL;
        if (opcode == 8)
            return NULL;
    }
}

/* The next text frame must contain each of the texts (up to NULL). */
/* clang-format off */
#define ws_expect(c, ...) ws_expect_all(c, __FILE__, __LINE__, (const char *const[]){ __VA_ARGS__, NULL })
/* clang-format on */
static inline void ws_expect_all(client *c, const char *file, int line, const char *const *texts)
{
    char *got = ws_next(c);
    for (; *texts != NULL; texts++)
        if (got == NULL || strstr(got, *texts) == NULL) {
            print_error("%s:%d: got %s (closed %d), expected %s\n", file, line, got != NULL ? got : "nothing",
                        c->closed, *texts);
            fail();
        }
    free(got);
}

/* …and must not contain this. */
static inline void ws_expect_without(client *c, const char *text, const char *absent)
{
    char *got = ws_next(c);
    assert_non_null(got);
    if (strstr(got, text) == NULL || strstr(got, absent) != NULL)
        fail_msg("got %s, expected %s without %s", got, text, absent);
    free(got);
}

/* Nothing for this client is on its way up to the position: its answer to a ping is the next frame. */
static inline void ws_expect_nothing(client *c, int64_t position)
{
    for (int tries = 0; tries < 10000; tries++) {
        ws_send(c, "{\"t\":\"ping\"}");
        char *got = ws_next(c);
        assert_non_null(got);
        if (strstr(got, "\"pong\"") == NULL)
            fail_msg("got %s, expected nothing", got);
        long long at = strtoll(strstr(got, "\"position\":") + strlen("\"position\":"), NULL, 10);
        free(got);
        if (at >= position)
            return;
        poll(NULL, 0, 1);
    }
    fail_msg("the server never reached the position");
}

static inline int ws_closed(client *c)
{
    char *text;
    while (c->closed == 0 && (text = ws_next(c)) != NULL)
        free(text);
    return c->closed;
}

static inline client ws_connect(const fixture *f, const char *extra_headers)
{
    client c = { .fd = test_connect(&f->server) };
    test_send(c.fd, "GET /live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    test_send(c.fd, extra_headers);
    test_send(c.fd, "\r\n");
    for (;;) {
        size_t end = c.length > 0 ? test_find(c.buffer, c.length, "\r\n\r\n") : SIZE_MAX;
        if (end != SIZE_MAX) {
            assert_memory_equal(c.buffer, "HTTP/1.1 101", 12);
            c.length -= end + 4;
            memmove(c.buffer, c.buffer + end + 4, c.length);
            return c;
        }
        assert_true(ws_fill(&c));
    }
}

static inline client ws_hello(const fixture *f, const char *token)
{
    client c = ws_connect(f, "");
    ws_send(&c, "{\"t\":\"hello\",\"protocol\":2,\"token\":\"%s\"}", token);
    ws_expect(&c, "\"t\":\"welcome\"", "\"protocol\":2", "\"heartbeat_ms\":15000");
    return c;
}

static inline void ws_close(client *c)
{
    close(c->fd);
    free(c->buffer);
    *c = (client){ .fd = -1, .closed = -1 };
}

/* The document of a URL now, as a fresh subscription gets it (free it). */
static inline char *ws_snap(client *c, int id, const char *url)
{
    ws_send(c, "{\"t\":\"sub\",\"id\":%d,\"url\":\"%s\"}", id, url);
    char *snap = ws_next(c);
    assert_non_null(snap);
    if (strstr(snap, "\"t\":\"snap\"") == NULL)
        fail_msg("got %s, expected a snap", snap);
    return snap;
}

static inline int64_t position_of(const char *frame)
{
    const char *at = strstr(frame, "\"position\":");
    assert_non_null(at);
    return strtoll(at + strlen("\"position\":"), NULL, 10);
}

#endif
