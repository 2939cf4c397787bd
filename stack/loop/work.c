/* work.c: blocking work on libuv's pool (four threads for the whole process), while the fiber waits.
 *
 * The wait is shielded and the request lives on the waiting fiber's stack: neither can end before the work
 * has. */
#include "loop/loop_internal.h"

typedef struct work {
    uv_work_t request;
    tims_fiber *fiber;
    void (*function)(void *argument);
    void *argument;
    bool done;
} work;

static void run_on_thread(uv_work_t *request)
{
    work *running = request->data;
    running->function(running->argument);
}

static void finish(uv_work_t *request, int status)
{
    (void)status;
    work *finished = request->data;
    finished->done = true;
    tims_fiber_wake(finished->fiber);
}

tims_status tims_work_run(void (*function)(void *argument), void *argument)
{
    tims_fiber *fiber = tims_fiber_self();
    TIMS_ASSERT(fiber != NULL && function != NULL);
    work queued = { .fiber = fiber, .function = function, .argument = argument };
    queued.request.data = &queued;
    int err = uv_queue_work(&fiber->loop->uv, &queued.request, run_on_thread, finish);
    if (err != 0)
        return loop__status_from_uv(err);
    bool shielded = tims_fiber_shield(true);
    while (!queued.done) {
        tims_status status = tims_fiber_suspend();
        TIMS_ASSERT(status == TIMS_OK);
    }
    (void)tims_fiber_shield(shielded);
    return TIMS_OK;
}
