/* websocket_testing.h: the world of testing.h with websocket endpoints: two loops, a real feed that tells of
 * ended logins, and clients that connect to any path. For tests only. */
#ifndef LIVE_WEBSOCKET_TESTING_H
#define LIVE_WEBSOCKET_TESTING_H

#include "live/testing.h"

#include "live/websocket_internal.h"

/* What a test wants to be different. */
typedef struct socket_options {
    const tims_websocket_route *endpoints;
    const tims_route *routes; /* beside /sql; ends with a row without a pattern */
    size_t per_user_max;
    int64_t poll_ms; /* of the feed */
    const tims_group_bus *bus;
} socket_options;

static tims_websockets *websockets;

/* --- around every request ----------------------------------------------------------------------------- */

static inline void begin_with_sockets(tims_request *rq)
{
    begin_request(rq);
    tims_request_set_websockets(rq,
                                rq->server_data != NULL ? (void *)(uintptr_t)rq->server_data : websockets);
    rq->slots[TIMS_SLOT_LIVE] = world->live;
}

static inline void begin_handler(tims_request *rq)
{
    tims_request_set_db(rq, world->db);
    rq->slots[TIMS_SLOT_LIVE] = world->live;
    tims_auth_attach(rq, world->auth);
}

static inline void finish_request(tims_request *rq, tims_answer *answer)
{
    tims_error err = { 0 };
    if (!tims_in_transaction(rq))
        return;
    if (rq->has_raised)
        tims_rollback(rq);
    else if (tims_db_commit(tims_session_db(rq), &err) != TIMS_OK)
        *answer = tims_answer_problem(rq, &err);
}

static inline void hear_change(void *argument, const tims_model *model, tims_change_op op, tims_id id)
{
    (void)argument;
    if (op == TIMS_TRUNCATED)
        tims_auth_forget_all(world->auth);
    else if (op != TIMS_INSERTED && (model == &tims_auth_session_model || model == &tims_user_model))
        tims_auth_forget(world->auth, model, id);
    if (websockets != NULL)
        tims_websockets_forget(websockets, model, op, id);
}

static inline tims_status start_sockets(tims_loop *loop, const void *data, tims_error *err)
{
    (void)data;
    tims_websockets_loop_start(websockets, loop);
    return tims_live_loop_start(world->live, loop, err);
}

static inline void stop_sockets(tims_loop *loop, const void *data)
{
    (void)data;
    tims_websockets_loop_stop(websockets, loop);
    tims_live_loop_stop(world->live, loop);
    tims_auth_loop_stop(world->auth, loop);
}

/* --- the server --------------------------------------------------------------------------------------- */

static inline size_t add_routes(tims_route *all, size_t count, const tims_route *routes)
{
    for (; routes != NULL && routes->pattern != NULL; routes++)
        all[count++] = *routes;
    return count;
}

static inline tims_websockets *make_websockets(fixture *f, const socket_options *options)
{
    const tims_websocket_route *const tables[] = { options->endpoints };
    const tims_websockets_options made = { .begin = begin_handler,
                                           .finish = finish_request,
                                           .per_user_max = options->per_user_max,
                                           .bus = options->bus };
    return tims_websockets_new(f->arena, tables, 1, &made);
}

static inline fixture *start_socket_world(const socket_options *options)
{
    fixture *f = calloc(1, sizeof *f);
    world = f;
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    f->arena = tims_arena_new(64 << 20, NULL, NULL);
    make_database(f);
    const tims_auth_options auth_options = { .password_cost = tims_password_cost_for_tests };
    OK(tims_auth_new(f->arena, f->db, &auth_options, &f->auth, err));
    const tims_live_options live_options = { .resolver = { .resolve = resolve_url },
                                             .poll_ms = options->poll_ms,
                                             .on_change = hear_change };
    OK(tims_live_new(f->db, f->models, f->auth, &live_options, &f->live, err));
    websockets = make_websockets(f, options);
    tims_route *routes = TIMS_NEW_ARRAY(f->arena, tims_route, 64);
    size_t count = 0, endpoints = 0;
    routes[count++] =
        (tims_route){ TIMS_METHOD_POST, "/sql", run_sql, .no_csrf = true, .body_bytes_max = 1 << 20 };
    count = add_routes(routes, count, options->routes);
    const tims_route *own = tims_websockets_routes(websockets, &endpoints);
    for (size_t i = 0; i < endpoints; i++)
        routes[count++] = own[i];
    test_prepare(&f->server, routes, count);
    f->server.options.loops = 2;
    f->server.options.begin = begin_with_sockets;
    f->server.options.finish = finish_request;
    f->server.options.loop_start = start_sockets;
    f->server.options.loop_stop = stop_sockets;
    test_start(&f->server);
    return f;
}

static inline void end_socket_world(fixture *f)
{
    tims_live_free(&f->live);
    tims_arena_free(&f->arena);
    tims_db_close(&f->db);
    websockets = NULL;
    testing_database_drop(&f->database);
    free(f);
}

static inline int stop_socket_world(void **state)
{
    fixture *f = *state;
    test_stop(&f->server);
    end_socket_world(f);
    return 0;
}

/* --- clients ------------------------------------------------------------------------------------------ */

#define HANDSHAKE                                                                                   \
    "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static inline void send_handshake(int fd, const char *path, const char *token)
{
    char text[1024];
    int length = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" HANDSHAKE "%s%s%s\r\n", path,
                          token != NULL ? "Authorization: Bearer " : "", token != NULL ? token : "",
                          token != NULL ? "\r\n" : "");
    assert_in_range(length, 1, sizeof text - 1);
    test_send(fd, text);
}

/* `token` NULL: nobody. */
static inline client open_at(const test_server *server, const char *path, const char *token)
{
    client c = { .fd = test_connect(server) };
    send_handshake(c.fd, path, token);
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

static inline client open_socket(const fixture *f, const char *path, const char *token)
{
    return open_at(&f->server, path, token);
}

/* Reads up to the close frame and answers it; the reason in `ret_reason` (128 bytes). */
static inline int read_close(client *c, char *ret_reason)
{
    char *text = NULL;
    for (;;) {
        int opcode = ws_next_frame(c, &text);
        if (opcode == 0)
            return c->closed;
        if (opcode == 8) {
            (void)snprintf(ret_reason, 128, "%s", strlen(text) >= 2 ? text + 2 : "");
            const char code[2] = { (char)(c->closed >> 8), (char)c->closed };
            ws_send_frame(c, 0x88, code, 2);
        }
        free(text);
        if (opcode == 8)
            return c->closed;
    }
}

static inline void expect_close(client *c, int code, const char *reason)
{
    char got[128] = "";
    int got_code = read_close(c, got);
    if (got_code != code || strcmp(got, reason) != 0)
        fail_msg("closed with %d %s, expected %d %s", got_code, got, code, reason);
    ws_close(c);
}

/* Says goodbye and waits for the answer. */
static inline void say_goodbye(client *c, int code)
{
    const char payload[2] = { (char)(code >> 8), (char)code };
    char *text = NULL;
    int opcode;
    ws_send_frame(c, 0x88, payload, 2);
    while ((opcode = ws_next_frame(c, &text)) != 0 && opcode != 8)
        free(text);
    if (opcode == 8)
        free(text);
    ws_close(c);
}

static inline void expect_text(client *c, const char *expected)
{
    char *got = ws_next(c);
    if (got == NULL || strcmp(got, expected) != 0)
        fail_msg("got %s, expected %s", got != NULL ? got : "the end", expected);
    free(got);
}

/* Until so many of this room's users' sockets, or of its groups, are left. */
static inline void wait_for_count(tims_map *const *map, size_t count)
{
    for (int waited = 0; waited < TEST_WAIT_MS; waited++) {
        pthread_mutex_lock(&websockets->mutex);
        size_t now = tims_map_count(*map);
        pthread_mutex_unlock(&websockets->mutex);
        if (now == count)
            return;
        poll(NULL, 0, 1);
    }
    fail_msg("there never were %zu left", count);
}

#endif
