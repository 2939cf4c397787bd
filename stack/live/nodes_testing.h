/* nodes_testing.h: several nodes on one database and one Redis, each a whole server. For tests only. */
#ifndef LIVE_NODES_TESTING_H
#define LIVE_NODES_TESTING_H

#include "live/bus_internal.h"
#include "live/websocket_testing.h"
#include "redis/redis_testing.h"

enum { NODES_MAX = 3 };

typedef struct node {
    fixture f; /* its own, up to the folder and the logins */
    tims_redis *redis;
    tims_websockets *websockets;
} node;

typedef struct nodes {
    redis_server redis;
    node node[NODES_MAX];
    size_t count;
} nodes;

/* What a test wants to be different. */
typedef struct nodes_options {
    int64_t poll_ms; /* 0: so rarely that only a poke can be the reason */
    bool without_redis;
    const tims_websocket_route *endpoints;
} nodes_options;

static inline const node *node_of(const tims_request *rq)
{
    return rq->server_data;
}

static inline void begin_at_node(tims_request *rq)
{
    const node *n = node_of(rq);
    tims_request_set_db(rq, n->f.db);
    tims_auth_begin(rq, n->f.auth);
    tims_request_set_websockets(rq, n->websockets);
}

static inline void begin_handler_at_node(tims_request *rq)
{
    tims_request_set_db(rq, node_of(rq)->f.db);
    tims_auth_attach(rq, node_of(rq)->f.auth);
}

static inline void hear_change_at_node(void *argument, const tims_model *model, tims_change_op op, tims_id id)
{
    const node *n = argument;
    if (op == TIMS_TRUNCATED)
        tims_auth_forget_all(n->f.auth);
    else if (op != TIMS_INSERTED && (model == &tims_auth_session_model || model == &tims_user_model))
        tims_auth_forget(n->f.auth, model, id);
    tims_websockets_forget(n->websockets, model, op, id);
}

static inline tims_status start_node_loop(tims_loop *loop, const void *data, tims_error *err)
{
    const node *n = data;
    tims_websockets_loop_start(n->websockets, loop);
    tims_status status = n->redis != NULL ? tims_redis_loop_start(n->redis, loop, err) : TIMS_OK;
    return status == TIMS_OK ? tims_live_loop_start(n->f.live, loop, err) : status;
}

static inline void stop_node_loop(tims_loop *loop, const void *data)
{
    const node *n = data;
    tims_websockets_loop_stop(n->websockets, loop);
    tims_live_loop_stop(n->f.live, loop);
    tims_auth_loop_stop(n->f.auth, loop);
    if (n->redis != NULL)
        tims_redis_loop_stop(n->redis, loop);
}

static inline tims_answer say_who(tims_request *rq)
{
    return tims_answer_text(rq, 200, "%I", tims_user_id(rq));
}

static inline void hurry(live__limits *limits)
{
    limits->node_alive_ms = 100;
    limits->node_lease_ms = 1500;
}

static inline void open_live(nodes *all, node *n, const nodes_options *options)
{
    if (!options->without_redis) {
        const tims_redis_options to = { .url = tims_str_from(all->redis.url), .answer_timeout_ms = 500 };
        OK(tims_redis_new(&to, &n->redis, err));
    }
    const tims_auth_options auth_options = { .session_idle_s = 3600,
                                             .session_max_s = 3600,
                                             .login_failures_max = 10,
                                             .password_cost = tims_password_cost_for_tests };
    OK(tims_auth_new(n->f.arena, n->f.db, &auth_options, &n->f.auth, err));
    const tims_live_options live = {
        .resolver = { .data = &n->f.live,
                      .resolve = resolve_url,
                      .write = write_url,
                      .compute = compute_url },
        .poll_ms = options->poll_ms > 0 ? options->poll_ms : 60000,
        .on_change = hear_change_at_node,
        .on_change_argument = n,
        .redis = n->redis,
        .redis_prefix = TIMS_STR("tims:test"),
    };
    OK(tims_live_new(n->f.db, n->f.models, n->f.auth, &live, &n->f.live, err));
    hurry(&n->f.live->limits);
    const tims_websocket_route *const tables[] = { options->endpoints };
    const tims_websockets_options sockets = { .server_data = n,
                                              .begin = begin_handler_at_node,
                                              .finish = finish_request,
                                              .bus = tims_live_group_bus(n->f.live) };
    n->websockets = tims_websockets_new(n->f.arena, tables, options->endpoints != NULL, &sockets);
    tims_live_carry_groups(n->f.live, n->websockets);
}

static inline void start_node(nodes *all, node *n, const nodes_options *options)
{
    open_live(all, n, options);
    tims_route *routes = TIMS_NEW_ARRAY(n->f.arena, tims_route, 16);
    size_t count = 0, endpoints = 0;
    routes[count++] = (tims_route){ TIMS_METHOD_GET, "/live", tims_live_endpoint, .data = n->f.live };
    routes[count++] = (tims_route){ TIMS_METHOD_POST, "/sql", run_sql, .no_csrf = true };
    routes[count++] = (tims_route){ TIMS_METHOD_GET, "/who", say_who };
    const tims_route *own = tims_websockets_routes(n->websockets, &endpoints);
    for (size_t i = 0; i < endpoints; i++)
        routes[count++] = own[i];
    test_prepare(&n->f.server, routes, count);
    n->f.server.options.loops = 2;
    n->f.server.options.data = n;
    n->f.server.options.begin = begin_at_node;
    n->f.server.options.loop_start = start_node_loop;
    n->f.server.options.loop_stop = stop_node_loop;
    test_start(&n->f.server);
}

static inline void open_node(nodes *all, size_t index)
{
    node *n = &all->node[index];
    n->f.arena = tims_arena_new(64 << 20, NULL, NULL);
    if (index == 0) {
        make_database(&n->f);
        return;
    }
    const fixture *first = &all->node[0].f;
    n->f.models = first->models;
    memcpy(n->f.token_ann, first->token_ann, sizeof first->token_ann);
    memcpy(n->f.token_bob, first->token_bob, sizeof first->token_bob);
    const tims_db_options options = { .url = tims_str_from(first->database.url) };
    OK(tims_db_open(&options, &n->f.db, err));
}

static inline void wait_for_peers(const nodes *all)
{
    for (size_t i = 0; i < all->count; i++)
        while (metric(&all->node[i].f, "bus_up") == 0 ||
               metric(&all->node[i].f, "nodes") < (int64_t)all->count - 1)
            poll(NULL, 0, 1);
}

/* All of them hear, and know each other, when it returns. */
static inline nodes *start_nodes(size_t count, const nodes_options *options)
{
    nodes *all = calloc(1, sizeof *all);
    all->count = count;
    assert_int_equal(tims_crypto_setup(), TIMS_OK);
    if (!options->without_redis)
        redis_start(&all->redis, NULL);
    for (size_t i = 0; i < count; i++) {
        open_node(all, i);
        start_node(all, &all->node[i], options);
    }
    if (!options->without_redis)
        wait_for_peers(all);
    return all;
}

static inline void stop_node(node *n)
{
    if (n->f.arena == NULL)
        return;
    test_stop(&n->f.server);
    tims_live_free(&n->f.live);
    tims_redis_free(&n->redis);
    tims_db_close(&n->f.db);
}

static inline void stop_nodes(nodes *all)
{
    for (size_t i = 0; i < all->count; i++)
        stop_node(&all->node[i]);
    for (size_t i = all->count; i-- > 0;)
        tims_arena_free(&all->node[i].f.arena);
    testing_database_drop(&all->node[0].f.database);
    redis_kill(&all->redis);
    computed_endpoints = NULL;
    free(all);
}

/* --- rooms -------------------------------------------------------------------------------------------- */

/* The next frame with all of these, past the others. */
/* clang-format off */
#define hear_all_of(c, ...) hear_each(c, __FILE__, __LINE__, (const char *const[]){ __VA_ARGS__, NULL })
/* clang-format on */
static inline void hear_each(client *c, const char *file, int line, const char *const *texts)
{
    for (;;) {
        char *got = ws_next(c);
        size_t i = 0;
        if (got == NULL) {
            print_error("%s:%d: %s did not come (closed %d)\n", file, line, texts[0], c->closed);
            fail();
        }
        while (texts[i] != NULL && strstr(got, texts[i]) != NULL)
            i++;
        free(got);
        if (texts[i] == NULL)
            return;
    }
}

static inline client in_room_at(const node *n, const char *token, const char *url, const char *more)
{
    client c = ws_hello(&n->f, token);
    ws_send(&c, "{\"t\":\"join\",\"id\":1,\"url\":\"%s\"%s}", url, more);
    hear_all_of(&c, "\"t\":\"presence\"", "\"join\":1");
    return c;
}

#endif
