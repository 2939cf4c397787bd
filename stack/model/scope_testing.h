/* scope_testing.h: runs functions as requests on the small world of testing.h. For tests only. */
#ifndef TIMS_MODEL_SCOPE_TESTING_H
#define TIMS_MODEL_SCOPE_TESTING_H

#include "model/testing.h"

typedef struct run {
    world *w;
    void (*function)(tims_request *rq);
    tims_caller caller;
    tims_status status;
    tims_error err;
    tims_loop *loop;
} run;

/* For functions that bring a session along. */
TIMS_UNUSED static void begin_and_call_without_db(tims_request *rq, void *argument)
{
    run *r = argument;
    tims_request_set_caller(rq, r->caller);
    r->function(rq);
}

static void begin_and_call(tims_request *rq, void *argument)
{
    run *r = argument;
    tims_request_set_db(rq, r->w->db);
    tims_request_set_caller(rq, r->caller);
    r->function(rq);
}

static void finish(tims_request *rq, tims_answer *answer)
{
    (void)answer;
    if (rq->has_raised)
        tims_rollback(rq);
    else
        tims_commit(rq);
}

static void run_on_fiber(void *argument)
{
    run *r = argument;
    r->status = tims_request_run(r->loop, NULL, begin_and_call, r, finish, &r->err);
    tims_loop_stop(r->loop);
}

/* Runs a function as a request; the error it raised, or OK. */
static tims_error run_as(world *w, tims_caller caller, void (*function)(tims_request *rq))
{
    run r = { .w = w, .function = function, .caller = caller };
    assert_int_equal(tims_loop_new(&(tims_loop_options){ 0 }, &r.loop), TIMS_OK);
    assert_non_null(tims_fiber_start(r.loop, run_on_fiber, &r));
    tims_loop_run(r.loop);
    tims_loop_free(&r.loop);
    if (r.status == TIMS_OK)
        r.err = (tims_error){ 0 };
    return r.err;
}

static tims_id ann, bob, hall;

static void make_hall(world *w)
{
    person a = { .name = TIMS_STR("Ann & Bob=1") }, b = { .name = TIMS_STR("Bob") };
    insert(w, &person_model, &a);
    insert(w, &person_model, &b);
    room h = { .title = TIMS_STR("Hall") };
    insert(w, &room_model, &h);
    member m = { .room = h.id, .user = a.id };
    insert(w, &member_model, &m);
    ann = a.id;
    bob = b.id;
    hall = h.id;
}

#endif
