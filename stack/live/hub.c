/* hub.c: one loop's sessions, and the fiber that does their work: one job after the other. */
#include "live/live_internal.h"

/* --- jobs ------------------------------------------------------------------------------------- */

void live__hub_add_job(live__hub *hub, live__job job, tims_str text)
{
    TIMS_CHECK_MAGIC(hub, LIVE__HUB_MAGIC);
    live__job *added = malloc(sizeof *added);
    TIMS_ASSERT(added != NULL);
    *added = job;
    added->next = NULL;
    added->text = NULL;
    added->text_length = text.length;
    if (text.length > 0) {
        added->text = malloc(text.length);
        TIMS_ASSERT(added->text != NULL);
        memcpy(added->text, text.data, text.length);
    }
    if (hub->last_job != NULL)
        hub->last_job->next = added;
    else
        hub->first_job = added;
    hub->last_job = added;
    if (hub->fiber != NULL)
        tims_fiber_wake(hub->fiber);
}

static live__job *take_job(live__hub *hub)
{
    live__job *job = hub->first_job;
    if (job == NULL)
        return NULL;
    hub->first_job = job->next;
    if (hub->first_job == NULL)
        hub->last_job = NULL;
    return job;
}

static void free_job(live__job *job)
{
    live__batch_unref(&job->batch);
    free(job->text);
    free(job);
}

void live__work_snapshot(live__work *work)
{
    tims_error err = { 0 };
    if (work->in_snapshot)
        return;
    tims_check(work->rq, tims_db_begin_snapshot(work->db, &err), &err);
    work->in_snapshot = true;
    tims_check(work->rq, tims_position(work->db, &work->snapshot, &err), &err);
}

/* --- a batch ---------------------------------------------------------------------------------- */

void live__hub_mark_dirty(live__hub *hub, live__session *session)
{
    if (session->dirty)
        return;
    session->dirty = true;
    session->next_dirty = hub->dirty_sessions;
    hub->dirty_sessions = session;
}

static void flush_sessions(live__hub *hub)
{
    while (hub->dirty_sessions != NULL) {
        live__session *session = hub->dirty_sessions;
        hub->dirty_sessions = session->next_dirty;
        session->next_dirty = NULL;
        session->dirty = false;
        live__send_operations(session, hub->position);
    }
}

static void visit_hook(void *argument, live__hook *hook, const live__change *change)
{
    if (hook->kind == LIVE__HOOK_SESSION)
        live__session_check(hook->owner, change);
    else
        live__subscription_touch(argument, hook, change);
}

static void reopen_flooded(live__work *work)
{
    for (live__session *session = work->hub->sessions; session != NULL; session = session->next)
        for (live__subscription *subscription = session->subscriptions; subscription != NULL;
             subscription = subscription->next) {
            bool concerned = false;
            for (size_t i = 0; i < work->batch->flooded_count && !concerned; i++)
                concerned = live__subscription_depends_on(subscription, work->batch->flooded[i]);
            if (concerned && subscription->open && !subscription->closed && session->state == LIVE__WELCOMED)
                live__subscription_reopen(work, subscription, "lagging");
        }
}

static void release_map(void *argument)
{
    tims_map *map = argument;
    tims_map_free(&map);
}

static void apply_batch(live__work *work)
{
    live__batch *batch = work->batch;
    work->answers = tims_map_new();
    tims_defer(work->rq, release_map, work->answers);
    for (size_t i = 0; i < batch->count; i++)
        live__topics_visit(work->hub->topics, &batch->changes[i], visit_hook, work);
    while (work->dirty != NULL) {
        live__subscription *subscription = work->dirty;
        work->dirty = subscription->next_dirty;
        live__subscription_apply(work, subscription);
    }
    if (batch->flood)
        reopen_flooded(work);
}

/* --- a session's wishes ----------------------------------------------------------------------- */

static void greet(live__work *work, live__session *session, tims_str token)
{
    tims_caller caller = session->caller;
    tims_opt_id login = session->login;
    if (token.length > 0 && live__login_by_token(work, token, &caller, &login) != TIMS_OK) {
        live__send_refusal(session, 401, "unauthorized", "This token is not valid.");
        live__send_bye(session, "session_ended", -1);
        live__session_close(session, LIVE__CLOSE_SESSION, "session_ended");
        return;
    }
    if (session->state != LIVE__GREETED)
        return;
    live__session_welcome(session, caller, login);
    live__send_welcome(session);
}

static void open_subscription(live__work *work, const live__job *job)
{
    live__subscription *subscription = live__session_find(job->session, job->sub);
    if (subscription == NULL || subscription->closed || subscription->open)
        return;
    live__subscription_open(work, subscription, (tims_str){ job->text, job->text_length }, job->limit);
}

static void grow_subscription(live__work *work, const live__job *job)
{
    live__subscription *subscription = live__session_find(job->session, job->sub);
    if (subscription == NULL || subscription->closed || !subscription->open)
        return;
    subscription->growing = false;
    live__subscription_grow(work, subscription, (size_t)job->limit);
}

/* A job and what it works with, on the hub's stack. */
typedef struct job_run {
    live__work work;
    live__job *job;
} job_run;

static void run_job(tims_request *rq, void *argument)
{
    job_run *run = argument;
    live__work *work = &run->work;
    const live__job *job = run->job;
    work->rq = rq;
    tims_request_set_db(rq, work->live->db);
    work->db = tims_session_db(rq);
    switch (job->kind) {
    case LIVE__JOB_BATCH:
        apply_batch(work);
        break;
    case LIVE__JOB_HELLO:
        greet(work, job->session, (tims_str){ job->text, job->text_length });
        break;
    case LIVE__JOB_SUB:
        if (job->session->state == LIVE__WELCOMED)
            open_subscription(work, job);
        break;
    case LIVE__JOB_MORE:
        if (job->session->state == LIVE__WELCOMED)
            grow_subscription(work, job);
        break;
    default:
        break;
    }
}

/* --- when a job fails: nobody may go on believing that it is up to date ----------------------- */

static void forget_dirt(live__work *work)
{
    while (work->dirty != NULL) {
        live__subscription *subscription = work->dirty;
        work->dirty = subscription->next_dirty;
        subscription->dirty = false;
        subscription->touches = subscription->include_touches = NULL;
    }
}

static void close_all(live__hub *hub, int code, const char *reason)
{
    for (live__session *session = hub->sessions; session != NULL; session = session->next)
        live__session_close(session, code, reason);
}

static void fail_job(live__work *work, const live__job *job, const tims_error *err)
{
    tims_log(TIMS_LOG_ERROR, "live", "event=job_failed kind=%d message=%s detail=%s", (int)job->kind,
             err->message, err->detail);
    forget_dirt(work);
    if (job->kind == LIVE__JOB_BATCH) {
        close_all(work->hub, LIVE__CLOSE_SLOW, "lagging");
        return;
    }
    live__subscription *subscription = live__session_find(job->session, job->sub);
    if (subscription == NULL) {
        live__session_close(job->session, LIVE__CLOSE_SLOW, "unavailable");
        return;
    }
    const tims_error unavailable = { .status = TIMS_UNAVAILABLE };
    live__send_error(job->session, job->sub, &unavailable);
    subscription->dirty = false;
    live__session_remove(job->session, subscription);
}

static void do_in_scope(live__hub *hub, live__job *job)
{
    job_run run = { .work = { .live = hub->live, .hub = hub, .batch = job->batch }, .job = job };
    tims_error err = { 0 };
    tims_status status = tims_request_run(hub->loop, hub->live, run_job, &run, NULL, &err);
    if (status != TIMS_OK)
        fail_job(&run.work, job, &err);
    /* Together, without a wait between: a pong must not name a position whose tx is still here. */
    if (job->kind == LIVE__JOB_BATCH)
        hub->position = job->batch->position;
    flush_sessions(hub);
}

static void drop_subscription(const live__job *job)
{
    live__subscription *subscription = live__session_find(job->session, job->sub);
    if (subscription != NULL)
        live__session_remove(job->session, subscription);
}

static void do_job(live__hub *hub, live__job *job)
{
    if (job->session != NULL && job->kind != LIVE__JOB_FREE)
        job->session->job_count--;
    if (job->kind == LIVE__JOB_FREE)
        live__session_free(&job->session);
    else if (job->kind == LIVE__JOB_UNSUB)
        drop_subscription(job);
    else if (job->session == NULL || job->session->state != LIVE__CLOSED)
        do_in_scope(hub, job);
    free_job(job);
}

static void run_hub(void *argument)
{
    live__hub *hub = argument;
    while (!hub->stopping) {
        live__job *job = take_job(hub);
        if (job != NULL)
            do_job(hub, job);
        else if (tims_fiber_suspend() == TIMS_CANCELLED)
            break;
    }
}

static void note_end(void *argument)
{
    live__hub *hub = argument;
    hub->fiber = NULL;
}

/* --- from the feed ---------------------------------------------------------------------------- */

typedef struct delivery {
    live__hub *hub;
    live__batch *batch;
} delivery;

static void deliver(void *argument)
{
    delivery *delivered = argument;
    live__hub_add_job(delivered->hub, (live__job){ .kind = LIVE__JOB_BATCH, .batch = delivered->batch },
                      TIMS_STR(""));
    free(delivered);
}

void live__hub_post_batch(live__hub *hub, live__batch *batch)
{
    delivery *posted = malloc(sizeof *posted);
    TIMS_ASSERT(posted != NULL);
    *posted = (delivery){ hub, live__batch_ref(batch) };
    tims_loop_post(hub->loop, deliver, posted);
}

/* --- life ------------------------------------------------------------------------------------- */

live__hub *live__hub_new(tims_live *live, tims_loop *loop, int64_t position)
{
    live__hub *hub = calloc(1, sizeof *hub);
    TIMS_ASSERT(hub != NULL);
    hub->magic = LIVE__HUB_MAGIC;
    hub->live = live;
    hub->loop = loop;
    hub->position = position;
    hub->topics = live__topics_new();
    return hub;
}

tims_status live__hub_start(live__hub *hub, tims_error *err)
{
    tims_fiber *fiber = tims_fiber_start(hub->loop, run_hub, hub);
    if (fiber == NULL)
        return tims_fail(err, TIMS_UNAVAILABLE, "no_fiber", "No fiber can be started for live updates.");
    hub->fiber = fiber;
    tims_fiber_on_end(fiber, note_end, hub);
    return TIMS_OK;
}

void live__hub_stop(live__hub *hub)
{
    TIMS_CHECK_MAGIC(hub, LIVE__HUB_MAGIC);
    close_all(hub, LIVE__CLOSE_DRAINING, "draining");
    hub->stopping = true;
    if (hub->fiber != NULL)
        tims_fiber_wake(hub->fiber);
}

void live__hub_free(live__hub **hub)
{
    live__hub *old = *hub;
    *hub = NULL;
    TIMS_CHECK_MAGIC(old, LIVE__HUB_MAGIC);
    TIMS_ASSERT(old->fiber == NULL);
    for (live__job *job = take_job(old); job != NULL; job = take_job(old)) {
        if (job->kind == LIVE__JOB_FREE)
            live__session_free(&job->session);
        free_job(job);
    }
    while (old->sessions != NULL) {
        live__session *session = old->sessions;
        live__session_free(&session);
    }
    live__topics_free(&old->topics);
    old->magic = 0;
    free(old);
}
