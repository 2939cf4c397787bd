/* dice.c: a die for everybody in a chat. The server throws it, so that nobody has to be believed; what falls
 * is told to all who are there and kept nowhere. */
#include "chat/chat.h"

static tims_str table_of(tims_request *rq)
{
    return tims_print(rq->arena, "dice:%I", tims_path_id(rq, "chat"));
}

static void sit_down(tims_request *rq, tims_websocket *websocket)
{
    (void)tims_get(rq, &chat_model, tims_path_id(rq, "chat")); /* Raises: 404, which closes with 4404 */
    tims_group_add(rq, websocket, table_of(rq));
}

/* Whoever has left the chat meanwhile throws no more. */
static void throw_die(tims_request *rq, tims_websocket *websocket, tims_str text)
{
    (void)websocket;
    (void)tims_get(rq, &chat_model, tims_path_id(rq, "chat"));
    if (!tims_str_equal(text, TIMS_STR("throw")))
        tims_raise(rq, 422, "bad_throw", "The only word here is: throw.");
    tims_throttle(rq, "dice", "2/s");
    uint32_t random;
    tims_random(&random, sizeof random);
    unsigned pips =
        1 + random % 6; /* of 4,294,967,296 values: no face is favoured by more than one in 700 million */
    tims_group_send(rq, table_of(rq),
                    tims_print(rq->arena, "{\"user\":\"%I\",\"pips\":%u}", tims_user_id(rq), pips));
}

const tims_websocket_route chat_websockets[] = {
    { .path = "/ws/chats/{chat:id}/dice/",
      .access = tims_access_signed_in,
      .on_open = sit_down,
      .on_message = throw_die,
      .message_bytes_max = 64,
      .doc = "Say `throw`; everybody there is told who threw and what fell." },
    { 0 },
};
