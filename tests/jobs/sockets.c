/* sockets.c: a group of sockets that is told things by a socket, a request and a job; each also says whether
 * somebody has a live connection. */
#include "sockets.h"

static tims_str speak(tims_request *rq, const char *who)
{
    tims_ids users;
    tims_id nobody = { { 0 } };
    return tims_print(rq->arena, "%s %s %zu", who, tims_live_is_online(rq, nobody) ? "yes" : "no",
                      tims_live_online(rq, &users));
}

typedef struct nothing {
    int64_t number;
} nothing;

static void saying(tims_run *run, const nothing *arguments)
{
    (void)arguments;
    tims_group_send(run->rq, TIMS_STR("room"), speak(run->rq, "job"));
}
TIMS_TASK(saying, nothing, .fields = TIMS_FIELDS(TIMS_FIELD(nothing, number)), .doc = "Speaks to the room.");

static tims_answer say(tims_request *rq)
{
    tims_group_send(rq, TIMS_STR("room"), speak(rq, "request"));
    (void)tims_enqueue(rq, &saying_task, &(nothing){ 0 });
    return tims_answer_empty(204);
}

static void enter(tims_request *rq, tims_websocket *websocket)
{
    tims_group_add(rq, websocket, TIMS_STR("room"));
    tims_websocket_send(rq, websocket, TIMS_STR("welcome"));
}

static void repeat(tims_request *rq, tims_websocket *websocket, tims_str text)
{
    (void)websocket, (void)text;
    tims_group_send(rq, TIMS_STR("room"), speak(rq, "socket"));
}

static const tims_task *const tasks[] = { &saying_task, NULL };
static const tims_route endpoints[] = {
    { TIMS_METHOD_POST, "/say/", say, .no_csrf = true, .anonymous = true },
    { 0 },
};
static const tims_websocket_route websockets[] = {
    { .path = "/ws/room/", .on_open = enter, .on_message = repeat },
    { 0 },
};

const tims_app sockets_app = {
    .name = "sockets", .doc = "A room.", .endpoints = endpoints, .websockets = websockets, .tasks = tasks
};
