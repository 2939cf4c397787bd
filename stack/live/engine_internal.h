/* engine_internal.h: the engine, its clients and their gates; all of it on loop 0. Included by
 * live_internal.h. */
#ifndef LIVE_ENGINE_INTERNAL_H
#define LIVE_ENGINE_INTERNAL_H

/* --- client.c: the engine's side of a session ------------------------------------------------- */

struct live__subscriber {
    uint32_t magic;
    uint32_t id;
    live__client *client;
    live__subscriber *next, *previous;                 /* of the client */
    live__subscriber *next_of_view, *previous_of_view; /* of the view */
    live__view *view;                                  /* NULL: the gate is closed */
    int64_t grown_position;                            /* where its window grew last */
    char *url;
    size_t url_length;
    const live__dependency *dependencies; /* of the gate */
    live__hook *gate_hooks;
    size_t gate_hook_count;
    bool gate_dirty;
    live__subscriber *next_gate;
    const tims_error *failure; /* in this step */
    live__subscriber *next_failed;
    bool is_join;              /* of a room: nothing is told of the row but that it is over */
    struct live__place *place; /* in its room */
};

struct live__client {
    uint32_t magic;
    live__hub *hub;
    uint64_t session;
    tims_caller caller;
    tims_opt_id login;
    bool is_welcomed, is_ready;
    live__hook user_hook, login_hook;
    live__subscriber *subscribers;
    size_t subscriber_count, row_count; /* rows: of all its windows, when they are full */
    const live__ops *told;              /* of a room, while it is being told */
    live__job *first_job, *last_job;
    live__client *next_ready;
};

/* Does it, in the step's snapshot. Raises. */
void live__client_do(live__step *step, live__client *client, live__job *job);
/* A job that has failed: whoever waits for it is told. */
void live__client_fail(live__engine *engine, live__client *client, const live__job *job);
void live__client_free(live__engine *engine, live__client **client);
void live__client_close(live__engine *engine, const live__client *client, int code, const char *reason);
void live__client_refuse_frame(live__engine *engine, const live__client *client, tims_status status,
                               const char *code, const char *message);
void live__subscriber_attach(live__engine *engine, live__subscriber *subscriber, live__view *view);
void live__subscriber_detach(live__engine *engine, live__subscriber *subscriber);
live__subscriber *live__subscriber_new(live__client *client, uint32_t sub, tims_str url);
/* Ends it with an error; frees it. */
live__item *live__subscriber_refuse(live__engine *engine, live__subscriber *subscriber,
                                    const tims_error *err);
/* It is refused when all operations of the step are out. */
void live__subscriber_fail(live__step *step, live__subscriber *subscriber, const tims_error *err);
void live__subscribers_tell_failures(live__step *step);
void live__client_refuse_message(live__engine *engine, const live__client *client, uint32_t join,
                                 const tims_error *err);
/* Attaches it to its URL's view, and loads that inside the step. Raises. */
void live__subscriber_load(live__step *step, live__subscriber *subscriber, const char *reason);
void live__subscriber_drop(live__engine *engine, live__subscriber *subscriber);

/* --- login.c: who it is ------------------------------------------------------------------------ */

/* The jobs. Raise. */
void live__login_greet(live__step *step, live__client *client, const live__job *job);
void live__login_renew(live__step *step, live__client *client, const live__job *job);
/* A change of its user or login row. */
void live__login_check(live__engine *engine, live__client *client, const live__change *change);
/* The same when it cannot be said which rows have changed. Raises. */
void live__login_check_again(live__step *step, const live__client *client);
void live__login_unhook(live__engine *engine, live__client *client);
/* The login of a request: the session or token it came with. */
tims_opt_id live__login_of(tims_request *rq);

/* --- gate.c: who passes ------------------------------------------------------------------------- */

bool live__subscriber_depends_on(const live__subscriber *subscriber, const tims_model *model);
void live__gate_hook(live__engine *engine, live__subscriber *subscriber, const tims_query *query);
void live__gate_unhook(live__engine *engine, live__subscriber *subscriber);
void live__gate_touch(live__step *step, const live__hook *hook, const live__change *change);
void live__gate_mark(live__step *step, live__subscriber *subscriber);
/* Ask the gates again that a change concerns: first those that close, before any operation of their views;
 * then, when the views have been applied, those that open. Raise. */
void live__gates_close(live__step *step);
void live__gates_open(live__step *step);

/* --- join.c: rooms ---------------------------------------------------------------------------- */

struct live__presence *live__rooms_new(tims_live *live);
/* Raise. */
void live__join(live__step *step, live__client *client, const live__job *job);
/* The room's number and who is there; `answers`: to a job. */
void live__join_answer(live__step *step, const live__subscriber *subscriber, bool answers);
void live__publish(live__step *step, const live__client *client, live__subscriber *subscriber,
                   const live__job *job);
void live__leave(live__subscriber *subscriber);
/* The row of a room may be gone. */
void live__rooms_end_of(live__step *step, live__view *view);

/* --- online.c: who is here -------------------------------------------------------------------- */

/* A client's hook at its user has been hung, or is about to go. */
void live__online_note(tims_live *live, const live__hook *user_hook, tims_id user, bool comes);
int64_t live__online_due_us(const tims_live *live); /* when it wants to be told; INT64_MAX: never */
void live__online_visit(live__step *step);

/* --- engine.c: the views and the step that brings them on ------------------------------------- */

struct live__engine {
    tims_live *live;
    live__topics *topics;
    tims_map *views;   /* by key */
    tims_map *clients; /* by loop and session */
    live__view *first_idle, *last_idle;
    size_t idle_count;
    uint64_t last_view_id;
    live__history history;
    int64_t position;
    char *snapshot; /* of `position`: see tims_mark */
    int64_t log_id; /* of the last log row that was read */
    live__client *first_ready, *last_ready;
    size_t ready_count;
    live__job *first_received, *last_received; /* taken at the next step's beginning */
    struct live__delivery *outboxes[LIVE__LOOPS_MAX];
    int64_t told[LIVE__LOOPS_MAX]; /* the position each hub was told last */
};

void live__engine_start(live__engine *engine, tims_live *live, const tims_mark *mark);
void live__engine_free(live__engine *engine);
tims_mark live__engine_mark(const live__engine *engine); /* where it stands; borrowed */
/* One step. Errors: the database's. Where it failed before it touched a view, the next one reads on;
 * otherwise every client was closed and the engine stands where it stood. */
tims_status live__engine_step(live__engine *engine, tims_loop *loop, tims_error *err);
/* When it wants a step though nothing has come; INT64_MAX: never. */
int64_t live__engine_due_us(const live__engine *engine);
void live__engine_visit(void *argument, live__hook *hook, const live__change *change);
bool live__engine_has_work(const live__engine *engine);
/* Takes the job; on the engine's loop. */
void live__engine_receive(live__engine *engine, live__job *job);
void live__engine_forget_idle(live__engine *engine, live__view *view);
void live__engine_note_idle(live__engine *engine, live__view *view);

#endif
