/* count.c: how many messages wait, for those who look at queues. What is in `unacked` or waits for its time
 * is not counted: there it is one heap of all queues. */
#include "tasks/celery/celery_internal.h"

tims_status celery__count(tasks__store *store, const tims_str *queues, size_t count, int64_t *ret_waiting,
                          tims_error *err)
{
    const tims_redis_reply *reply;
    tims_arena *arena = tims_arena_new(1024 * 1024, NULL, NULL);
    tims_status status = celery__call(celery__of(store), arena, CELERY__COUNT,
                                      (tims_slice_list){ queues, count }, &reply, err);
    for (size_t i = 0; status == TIMS_OK && i < count; i++)
        ret_waiting[i] = tims_redis_int(tims_redis_item(reply, i));
    tims_arena_free(&arena);
    return status;
}
