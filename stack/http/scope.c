/* scope.c: tims_request_run, a request that no client made.
 *
 * Tasks, commands and inner reads need what a handler has: an arena, defers, raise. The function runs on a
 * fiber of its own so that its raise ends only it; the caller's fiber waits, and does not leave before the
 * other has ended, since the arguments may stand on the caller's stack. */
#include "http_internal.h"

#include <stdlib.h>

enum { SCOPE_BYTES_MAX = 256 * 1024 * 1024, SPARE_BYTES_MAX = 256 * 1024 };

typedef struct scope {
    tims_request rq;
    tims_scope_fn function;
    void *argument;
    tims_fiber *caller, *fiber;
    tims_arena *rq_arena, *spare_arena;
    bool began, ended, caller_waits;
} scope;

static void complete(tims_request *rq)
{
    if (rq->has_finished || !rq->finish)
        return;
    rq->has_finished = true;
    tims_answer answer = tims_answer_empty(rq->has_raised ? rq->raised_http : 200);
    rq->finish(rq, &answer);
}

void http__scope_end(tims_request *rq)
{
    bool was_shielded = tims_fiber_shield(true);
    complete(rq);
    tims_fiber_shield(was_shielded);
    tims_fiber_exit();
}

static void note_end(void *argument)
{
    scope *s = argument;
    s->ended = true;
    if (s->caller_waits) /* else the wake would end the caller's next wait, whatever that is for */
        tims_fiber_wake(s->caller);
}

static void run_scope(void *argument)
{
    scope *s = argument;
    s->began = true;
    s->fiber = tims_fiber_self();
    tims_fiber_on_end(s->fiber, note_end, s);
    s->function(&s->rq, s->argument);
    complete(&s->rq);
}

/* The arena is full; what still has to be done gets another, small one. */
static void limit_passed(void *argument)
{
    scope *s = argument;
    if (s->spare_arena)
        tims_fiber_exit();
    s->spare_arena = tims_arena_new(SPARE_BYTES_MAX, limit_passed, s);
    s->rq.arena = s->spare_arena;
    tims_raise(&s->rq, 500, "memory_limit", "This needs more memory than one request may use.");
}

static void wait_for_end(scope *s)
{
    s->caller_waits = true;
    while (s->began && !s->ended) {
        if (tims_fiber_suspend() == TIMS_OK || s->ended)
            continue;
        tims_fiber_cancel(s->fiber);
        bool was_shielded = tims_fiber_shield(true);
        while (!s->ended)
            (void)!tims_fiber_suspend();
        tims_fiber_shield(was_shielded);
    }
}

/* Field errors stay behind: they live in the scope's arena. */
static tims_status take_outcome(const scope *s, tims_error *err)
{
    if (!s->began)
        return tims_fail(err, TIMS_UNAVAILABLE, "no_fiber", "Too much is going on; try again shortly.");
    if (!s->rq.has_raised)
        return TIMS_OK;
    if (err) {
        *err = s->rq.raised;
        err->fields = NULL;
    }
    return s->rq.raised.status;
}

tims_status tims_request_run(tims_loop *loop, const void *server_data, tims_scope_fn function, void *argument,
                             void (*finish)(tims_request *rq, tims_answer *answer), tims_error *err)
{
    scope *s = calloc(1, sizeof(*s));
    TIMS_ASSERT(s != NULL && tims_fiber_self() != NULL);
    s->rq.magic = TIMS_REQUEST_MAGIC;
    s->rq_arena = tims_arena_new(SCOPE_BYTES_MAX, limit_passed, s);
    s->rq.arena = s->rq_arena;
    s->rq.loop = loop;
    s->rq.server_data = server_data;
    s->rq.finish = finish;
    s->function = function;
    s->argument = argument;
    s->caller = tims_fiber_self();
    tims_fiber_start(loop, run_scope, s);
    wait_for_end(s);
    tims_status status = take_outcome(s, err);
    tims_arena_free(&s->spare_arena);
    tims_arena_free(&s->rq_arena);
    free(s);
    return status;
}
