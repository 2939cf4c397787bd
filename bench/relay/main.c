/* main.c: the stack's websocket transport alone: what one client sends goes to all, as one shared frame. Set
 * against limit/fanout.c it shows what the transport costs, without rules, positions and a database.
 *
 *   relay PORT [PING_MS [compress]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tims/http.h"

enum { MEMBERS_MAX = 20000 };

/* One loop, so nothing here is shared. */
typedef struct relay {
    tims_socket_options options;
    tims_socket *members[MEMBERS_MAX];
    size_t count;
} relay;

static void on_message(tims_socket *socket, void *ctx, tims_str message, bool is_binary)
{
    relay *r = ctx;
    (void)socket, (void)is_binary;
    tims_frame *frame = tims_frame_new(message);
    for (size_t i = 0; i < r->count; i++)
        tims_socket_send_frame(r->members[i], frame);
    tims_frame_unref(&frame);
}

static void on_close(tims_socket *socket, void *ctx, int code)
{
    relay *r = ctx;
    (void)code;
    for (size_t i = 0; i < r->count; i++)
        if (r->members[i] == socket)
            r->members[i] = r->members[--r->count];
}

static const tims_socket_events events = { .on_message = on_message, .on_close = on_close };

static tims_answer join(tims_request *rq)
{
    relay *r = (relay *)(uintptr_t)rq->route->data;
    if (r->count == MEMBERS_MAX)
        tims_raise(rq, 503, "full", "There are enough members.");
    return tims_answer_websocket(rq, &events, r, &r->options, &r->members[r->count++]);
}

static void say_ready(tims_server *server, void *argument)
{
    (void)server, (void)argument;
    printf("ready\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static relay r;
    const tims_route route = { .methods = TIMS_METHOD_GET, .pattern = "/", .handler = join, .data = &r };
    const tims_route *routes[] = { &route };
    tims_server_options options;
    tims_error err = { 0 };
    int64_t port = 0, ping_ms = 0;
    if (argc < 2 || !tims_str_to_int(tims_str_from(argv[1]), 1, 65535, &port) ||
        (argc > 2 && !tims_str_to_int(tims_str_from(argv[2]), 0, 3600000, &ping_ms))) {
        fprintf(stderr, "relay PORT [PING_MS [compress]]\n");
        return 2;
    }
    r.options.ping_ms = (uint32_t)ping_ms;
    r.options.compress = argc > 3;
    tims_server_options_default(&options);
    options.host = TIMS_STR("127.0.0.1");
    options.port = (uint16_t)port;
    options.loops = 1;
    options.access_log = false;
    tims_router *router = NULL;
    if (tims_router_new(routes, 1, &router, &err) != TIMS_OK)
        return 1;
    options.router = router;
    if (tims_server_run(&options, say_ready, NULL, &err) != TIMS_OK)
        fprintf(stderr, "%s\n", err.message);
    tims_router_free(&router);
    return err.status == TIMS_OK ? 0 : 1;
}
