/* testing.h: a real server with the auth routes on a database of its own, and a plain client. For tests only.
 *
 * The server runs on a thread of its own with two loops. The client asks over a fresh connection each time,
 * so that both loops see every session. */
#ifndef TIMS_AUTH_TESTING_H
#define TIMS_AUTH_TESTING_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "db/database_testing.h"

#include "auth/auth_internal.h"

enum { TESTING_ANSWER_MAX = 4 << 20 };

typedef struct testing_server {
    testing_database database;
    tims_arena *arena;
    tims_db *db;
    tims_models *models;
    tims_auth *auth;
    tims_router *router;
    tims_server_options options;
    tims_server *server;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool ready;
    uint16_t port;
    tims_status outcome;
    tims_error err;
} testing_server;

/* --- the server -------------------------------------------------------------------------------------- */

static void testing_begin(tims_request *rq)
{
    const testing_server *s = rq->server_data;
    tims_request_set_db(rq, s->db);
    tims_auth_begin(rq, s->auth);
}

static void testing_finish(tims_request *rq, tims_answer *answer)
{
    tims_error err = { 0 };
    if (!tims_in_transaction(rq))
        return;
    if (rq->has_raised)
        tims_rollback(rq);
    else if (tims_db_commit(tims_session_db(rq), &err) != TIMS_OK)
        *answer = tims_answer_problem(rq, &err);
}

static tims_status testing_loop_start(tims_loop *loop, const void *data, tims_error *err)
{
    const testing_server *s = data;
    (void)err;
    if (tims_loop_index(loop) == 0)
        tims_auth_start(s->auth, loop);
    return TIMS_OK;
}

static void testing_loop_stop(tims_loop *loop, const void *data)
{
    const testing_server *s = data;
    tims_auth_loop_stop(s->auth, loop);
}

static void testing_ready(tims_server *server, void *argument)
{
    testing_server *s = argument;
    pthread_mutex_lock(&s->mutex);
    s->server = server;
    s->port = tims_server_port(server);
    s->ready = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

static void *testing_run(void *argument)
{
    testing_server *s = argument;
    tims_status status = tims_server_run(&s->options, testing_ready, s, &s->err);
    pthread_mutex_lock(&s->mutex);
    s->outcome = status;
    s->ready = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

static void testing_check(tims_status status, const tims_error *err)
{
    if (status != TIMS_OK)
        fail_msg("%s: %s (%s)", tims_status_name(status), err->message, err->detail);
}

static void testing_migrate(testing_server *s)
{
    const tims_migration_set set = { "auth", tims_auth_migrations, tims_auth_models };
    tims_buf applied;
    size_t count = 0;
    while (tims_auth_models[count] != NULL)
        count++;
    tims_buf_init(&applied, s->arena, 1 << 16);
    testing_check(tims_models_new(s->arena, tims_auth_models, count, &s->models, &s->err), &s->err);
    testing_check(tims_migrate_apply(s->db, s->arena, &set, 1, s->models, &applied, &s->err), &s->err);
    testing_check(tims_migrate_check(s->db, s->arena, &set, 1, s->models, &s->err), &s->err);
}

static void testing_route(testing_server *s, const tims_route *const *tables, size_t table_count)
{
    size_t count = 0;
    const tims_route **all = TIMS_NEW_ARRAY(s->arena, const tims_route *, 64);
    for (size_t i = 0; i < table_count; i++)
        for (const tims_route *route = tables[i]; route->pattern != NULL; route++)
            all[count++] = route;
    testing_check(tims_router_new(all, count, &s->router, &s->err), &s->err);
}

/* Starts with these routes beside the room's own. */
static testing_server *testing_start(const tims_route *routes, tims_auth_options options)
{
    testing_server *s = calloc(1, sizeof *s);
    assert_non_null(s);
    testing_database_new(&s->database, "auth");
    s->arena = tims_arena_new(64 << 20, NULL, NULL);
    const tims_db_options db_options = { .url = tims_str_from(s->database.url) };
    testing_check(tims_db_open(&db_options, &s->db, &s->err), &s->err);
    testing_migrate(s);
    testing_check(tims_auth_new(s->arena, s->db, &options, &s->auth, &s->err), &s->err);
    const tims_route *const tables[] = { tims_auth_routes, routes };
    testing_route(s, tables, 2);
    tims_server_options_default(&s->options);
    s->options.host = TIMS_STR("127.0.0.1");
    s->options.port = 0;
    s->options.loops = 2;
    s->options.router = s->router;
    s->options.data = s;
    s->options.begin = testing_begin;
    s->options.finish = testing_finish;
    s->options.loop_start = testing_loop_start;
    s->options.loop_stop = testing_loop_stop;
    s->options.access_log = false;
    static const char *const proxies[] = { "127.0.0.1" };
    s->options.trusted_proxies = (tims_names){ proxies, 1 };
    assert_int_equal(pthread_mutex_init(&s->mutex, NULL), 0);
    assert_int_equal(pthread_cond_init(&s->changed, NULL), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, testing_run, s), 0);
    pthread_mutex_lock(&s->mutex);
    while (!s->ready)
        pthread_cond_wait(&s->changed, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
    testing_check(s->outcome, &s->err);
    return s;
}

static void testing_stop(testing_server *s)
{
    tims_server_stop(s->server);
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    testing_check(s->outcome, &s->err);
    tims_router_free(&s->router);
    tims_arena_free(&s->arena);
    tims_db_close(&s->db);
    testing_database_drop(&s->database);
    free(s);
}

/* SQL on the server's database, as another program would. */
TIMS_UNUSED static void testing_sql(testing_server *s, const char *sql)
{
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_error err = { 0 };
    tims_db_session *session = tims_db_session_new(s->db, NULL, arena);
    testing_check(tims_db_run(session, tims_str_from(sql), NULL, 0, NULL, &err), &err);
    tims_arena_free(&arena);
}

TIMS_UNUSED static int64_t testing_sql_int(testing_server *s, const char *sql)
{
    tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
    tims_error err = { 0 };
    tims_db_session *session = tims_db_session_new(s->db, NULL, arena);
    tims_db_rows *rows;
    testing_check(tims_db_query(session, tims_str_from(sql), NULL, 0, &rows, &err), &err);
    int64_t value = tims_db_next(rows) ? tims_db_get_int(rows, 0) : -1;
    testing_check(tims_db_rows_end(&rows, &err), &err);
    tims_arena_free(&arena);
    return value;
}

/* --- the client -------------------------------------------------------------------------------------- */

typedef struct testing_answer {
    int status;
    tims_str head, body;
} testing_answer;

typedef struct testing_ask {
    const char *method, *path, *cookies, *headers, *type; /* headers: whole lines with CRLF */
    tims_str body;
} testing_ask;

static int testing_connect(const testing_server *s)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(s->port),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    const struct timeval patience = { .tv_sec = 20 };
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void testing_send(int fd, tims_str bytes)
{
    while (bytes.length > 0) {
        ssize_t sent = send(fd, bytes.data, bytes.length, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* refused early; the answer says why */
        bytes = tims_str_slice(bytes, (size_t)sent, bytes.length);
    }
}

static tims_str testing_receive(int fd, tims_arena *arena)
{
    char piece[16384];
    tims_buf in;
    tims_buf_init(&in, arena, TESTING_ANSWER_MAX);
    for (;;) {
        ssize_t got = recv(fd, piece, sizeof piece, 0);
        if (got <= 0)
            break;
        tims_buf_append(&in, piece, (size_t)got);
    }
    return tims_buf_str(&in);
}

static testing_answer testing_parse(tims_str bytes)
{
    size_t end = tims_str_find(bytes, TIMS_STR("\r\n\r\n"));
    int64_t status = 0;
    if (end == SIZE_MAX || !tims_str_to_int(tims_str_slice(bytes, 9, 12), 100, 599, &status))
        fail_msg("no answer: \"%.*s\"", TIMS_PRINT(bytes));
    return (testing_answer){ (int)status, tims_str_slice(bytes, 0, end + 2),
                             tims_str_slice(bytes, end + 4, bytes.length) };
}

static testing_answer testing_call(testing_server *s, tims_arena *arena, const testing_ask *ask)
{
    tims_buf out;
    tims_buf_init(&out, arena, TESTING_ANSWER_MAX);
    tims_buf_print(&out, "%s %s HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\n", ask->method,
                   ask->path);
    if (ask->cookies != NULL && ask->cookies[0] != '\0')
        tims_buf_print(&out, "Cookie: %s\r\n", ask->cookies);
    if (ask->headers != NULL)
        tims_buf_print(&out, "%s", ask->headers);
    if (ask->body.data != NULL) {
        if (ask->type != NULL)
            tims_buf_print(&out, "Content-Type: %s\r\n", ask->type);
        tims_buf_print(&out, "Content-Length: %zu\r\n", ask->body.length);
    }
    tims_buf_print(&out, "\r\n");
    tims_buf_append_str(&out, ask->body);
    assert_false(out.overflow);
    int fd = testing_connect(s);
    testing_send(fd, tims_buf_str(&out));
    testing_answer answer = testing_parse(testing_receive(fd, arena));
    close(fd);
    return answer;
}

/* The value of a header line; data == NULL when absent. */
TIMS_UNUSED static tims_str testing_header(const testing_answer *answer, const char *name)
{
    tims_str rest = answer->head;
    while (rest.data != NULL) {
        tims_str line = tims_str_trim(tims_str_cut(&rest, '\n'));
        tims_str key = tims_str_cut(&line, ':');
        if (line.data != NULL && tims_str_equal_ignoring_case(key, tims_str_from(name)))
            return tims_str_trim(line);
    }
    return (tims_str){ NULL, 0 };
}

/* The value of a cookie that the answer sets; data == NULL when it sets none of that name. */
TIMS_UNUSED static tims_str testing_cookie(const testing_answer *answer, const char *name)
{
    tims_str rest = answer->head;
    while (rest.data != NULL) {
        tims_str line = tims_str_trim(tims_str_cut(&rest, '\n'));
        tims_str key = tims_str_cut(&line, ':');
        if (!tims_str_equal_ignoring_case(key, TIMS_STR("Set-Cookie")) || line.data == NULL)
            continue;
        tims_str pair = tims_str_cut(&line, ';');
        tims_str cookie = tims_str_trim(tims_str_cut(&pair, '='));
        if (tims_str_equal(cookie, tims_str_from(name)))
            return pair;
    }
    return (tims_str){ NULL, 0 };
}

#endif
