/* push.c: the room's state in a process: which platforms it can send to. */
#include "push/push_internal.h"

void tims_request_set_push(tims_request *rq, tims_push_room *push)
{
    rq->slots[TIMS_SLOT_PUSH] = push;
}

tims_push_room *push__of(const tims_request *rq)
{
    tims_push_room *push = rq->slots[TIMS_SLOT_PUSH];
    TIMS_CHECK_MAGIC(push, PUSH__MAGIC);
    return push;
}

const tims_push_sender *push__find_sender(const tims_push_room *push, tims_str platform)
{
    for (size_t i = 0; i < push->sender_count; i++)
        if (tims_str_equal(tims_str_from(push->senders[i]->platform), platform))
            return push->senders[i];
    return NULL;
}

tims_status tims_push_new(tims_arena *arena, const tims_push_options *options, tims_push_room **ret_push,
                          tims_error *err)
{
    tims_push_room *push = TIMS_NEW(arena, tims_push_room);
    push->magic = PUSH__MAGIC;
    (void)options, (void)err;
    *ret_push = push;
    return TIMS_OK;
}
