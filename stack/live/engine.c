/* engine.c: the step that brings every view on, and then serves who waits.
 *
 *     snapshot ─► log since the last position ─► batch ─► topics ─► gates close ─► views ─► gates open
 *              ─► jobs of clients, in turn ─► end of snapshot ─► deliveries to the hubs
 *
 * Everything a step says was read in its one snapshot. If the first line fails, nobody may go on believing
 * that it is up to date: every client is closed, to come back and resume; the engine stands where it stood.
 * If a job fails, only who asked for it is told. */
#include "live/live_internal.h"

enum { JOB_BUDGET_US = 20 * 1000 };

/* --- views that nobody looks at --------------------------------------------------------------- */

void live__engine_forget_idle(live__engine *engine, live__view *view)
{
    if (!view->is_idle)
        return;
    if (view->next_idle != NULL)
        view->next_idle->previous_idle = view->previous_idle;
    else
        engine->last_idle = view->previous_idle;
    if (view->previous_idle != NULL)
        view->previous_idle->next_idle = view->next_idle;
    else
        engine->first_idle = view->next_idle;
    view->next_idle = view->previous_idle = NULL;
    view->is_idle = false;
    engine->idle_count--;
}

void live__engine_note_idle(live__engine *engine, live__view *view)
{
    TIMS_ASSERT(!view->is_idle && view->subscribers == NULL);
    view->is_idle = true;
    view->idle_since_us = tims_monotonic_us();
    view->previous_idle = engine->last_idle;
    if (engine->last_idle != NULL)
        engine->last_idle->next_idle = view;
    else
        engine->first_idle = view;
    engine->last_idle = view;
    engine->idle_count++;
}

static void drop_idle(live__engine *engine, bool all)
{
    int64_t before_us = tims_monotonic_us() - LIVE__IDLE_VIEW_MS * INT64_C(1000);
    while (engine->first_idle != NULL && (all || engine->idle_count > LIVE__IDLE_VIEWS_MAX ||
                                          engine->first_idle->idle_since_us < before_us)) {
        live__view *view = engine->first_idle;
        live__engine_forget_idle(engine, view);
        live__view_free(&view);
    }
}

/* --- clients ---------------------------------------------------------------------------------- */

/* Loop and session as a key of 9 bytes. */
typedef struct client_key {
    char bytes[9];
} client_key;

static tims_str key_of(client_key *key, const live__hub *hub, uint64_t session)
{
    key->bytes[0] = (char)hub->index;
    memcpy(key->bytes + 1, &session, sizeof session);
    return (tims_str){ key->bytes, sizeof key->bytes };
}

static live__client *find_client(live__engine *engine, const live__hub *hub, uint64_t session)
{
    client_key key;
    return tims_map_get(engine->clients, key_of(&key, hub, session));
}

static live__client *make_client(live__engine *engine, live__hub *hub, uint64_t session)
{
    client_key key;
    live__client *client = calloc(1, sizeof *client);
    TIMS_ASSERT(client != NULL);
    client->magic = LIVE__CLIENT_MAGIC;
    client->hub = hub;
    client->session = session;
    (void)tims_map_set(engine->clients, key_of(&key, hub, session), client);
    return client;
}

static void make_ready(live__engine *engine, live__client *client)
{
    if (client->is_ready || client->first_job == NULL)
        return;
    client->is_ready = true;
    client->next_ready = NULL;
    if (engine->last_ready != NULL)
        engine->last_ready->next_ready = client;
    else
        engine->first_ready = client;
    engine->last_ready = client;
}

static live__client *take_ready(live__engine *engine)
{
    live__client *client = engine->first_ready;
    if (client == NULL)
        return NULL;
    engine->first_ready = client->next_ready;
    if (engine->first_ready == NULL)
        engine->last_ready = NULL;
    client->is_ready = false;
    return client;
}

static void leave_ready(live__engine *engine, const live__client *client)
{
    live__client *previous = NULL;
    if (!client->is_ready)
        return;
    for (live__client *at = engine->first_ready; at != client; at = at->next_ready) {
        TIMS_ASSERT(at != NULL); /* a ready client is in the list */
        previous = at;
    }
    if (previous != NULL)
        previous->next_ready = client->next_ready;
    else
        engine->first_ready = client->next_ready;
    if (engine->last_ready == client)
        engine->last_ready = previous;
}

static void forget_client(live__engine *engine, live__client *client)
{
    client_key key;
    leave_ready(engine, client);
    (void)tims_map_remove(engine->clients, key_of(&key, client->hub, client->session));
    live__client_free(engine, &client);
}

/* Between steps only: a client that has gone is forgotten at once. */
static void take(live__engine *engine, live__job *job)
{
    live__client *client = find_client(engine, job->hub, job->session);
    if (job->kind == LIVE__JOB_GONE || (client == NULL && job->kind != LIVE__JOB_HELLO)) {
        if (client != NULL)
            forget_client(engine, client);
        live__job_free(&job);
        return;
    }
    if (client == NULL)
        client = make_client(engine, job->hub, job->session);
    job->next = NULL;
    if (client->last_job != NULL)
        client->last_job->next = job;
    else
        client->first_job = job;
    client->last_job = job;
    make_ready(engine, client);
}

void live__engine_receive(live__engine *engine, live__job *job)
{
    job->next = NULL;
    if (engine->last_received != NULL)
        engine->last_received->next = job;
    else
        engine->first_received = job;
    engine->last_received = job;
}

static void take_received(live__engine *engine)
{
    while (engine->first_received != NULL) {
        live__job *job = engine->first_received;
        engine->first_received = job->next;
        take(engine, job);
    }
    engine->last_received = NULL;
}

int64_t live__engine_due_us(const live__engine *engine)
{
    int64_t rooms_us = live__presence_next_us(engine->live->presence);
    int64_t online_us = live__online_due_us(engine->live);
    return rooms_us < online_us ? rooms_us : online_us;
}

bool live__engine_has_work(const live__engine *engine)
{
    return engine->first_ready != NULL || engine->first_received != NULL;
}

/* --- a step: what changed --------------------------------------------------------------------- */

void live__engine_visit(void *argument, live__hook *hook, const live__change *change)
{
    live__step *step = argument;
    if (hook->kind == LIVE__HOOK_LOGIN)
        live__login_check(step->engine, hook->owner, change);
    else if (hook->kind == LIVE__HOOK_GATE)
        live__gate_touch(step, hook, change);
    else
        live__view_touch(step, hook, change);
}

/* Which rows have changed cannot be said: everything on these models starts again. */
static void visit_flood(live__step *step)
{
    size_t cursor = 0;
    tims_str key;
    void *value;
    const live__batch *batch = step->batch;
    while (tims_map_next(step->engine->views, &cursor, &key, &value)) {
        live__view *view = value;
        for (size_t i = 0; i < batch->model_count; i++)
            if (live__view_depends_on(view, batch->models[i])) {
                view->must_load = true;
                view->is_rewritten = view->is_rewritten || batch->rewrites[i] || view->audience != NULL;
                view->audience_changed = view->audience != NULL;
                live__view_mark(step, view);
            }
    }
    cursor = 0;
    bool logins =
        live__batch_names(batch, &tims_user_model) || live__batch_names(batch, &tims_auth_session_model);
    while (tims_map_next(step->engine->clients, &cursor, &key, &value)) {
        const live__client *client = value;
        if (logins && client->is_welcomed)
            live__login_check_again(step, client);
        for (live__subscriber *one = client->subscribers; one != NULL; one = one->next)
            for (size_t i = 0; i < batch->model_count; i++)
                if (live__subscriber_depends_on(one, batch->models[i]))
                    live__gate_mark(step, one);
    }
    atomic_fetch_add(&step->live->metrics.floods, 1);
}

static void deliver_ops(live__step *step, live__view *view)
{
    live__engine *engine = step->engine;
    if (view->ops.overflow)
        tims_raise(step->rq, 413, "too_large", "A step of a view is too large to be sent.");
    if (view->ops.length > 0 && view->subscribers != NULL) {
        live__ops *ops = live__ops_new(tims_buf_str(&view->ops), step->position, true);
        for (int i = 0; i < LIVE__LOOPS_MAX; i++)
            if (view->hub_counts[i] > 0) {
                live__item item = { .kind = LIVE__ITEM_VIEW_OPS,
                                    .view = view->id,
                                    .ops = live__ops_ref(ops) };
                (void)live__deliver(engine, live__hub_at(step->live, i), item);
            }
        live__ops_unref(&ops);
    }
    tims_buf_free(&view->ops);
    tims_buf_init(&view->ops, NULL, view->ops.max);
}

static void apply_views(live__step *step)
{
    size_t count = 0;
    while (step->dirty != NULL) {
        live__view *view = step->dirty;
        step->dirty = view->next_dirty;
        live__view_apply(step, view);
        deliver_ops(step, view);
        live__rooms_end_of(step, view);
        count++;
    }
    atomic_fetch_add(&step->live->metrics.touched, count);
}

static void bring_on(live__step *step)
{
    const live__batch *batch = step->batch;
    for (size_t i = 0; batch != NULL && i < batch->count; i++)
        live__topics_visit(step->engine->topics, &batch->changes[i], live__engine_visit, step);
    if (batch != NULL && batch->flood)
        visit_flood(step);
    live__online_visit(step);
    live__gates_close(step);
    apply_views(step);
    live__gates_open(step);
    live__subscribers_tell_failures(step);
}

static void read_changes(live__step *step)
{
    live__engine *engine = step->engine;
    tims_live *live = step->live;
    live__batch_options options = { .models = live->models,
                                    .from = live__engine_mark(engine),
                                    .to = step->mark,
                                    .changes_max = live->limits.step_changes_max,
                                    .bytes_max = live->limits.step_bytes_max,
                                    .on_change = live->options.on_change,
                                    .on_change_argument = live->options.on_change_argument };
    live__batch *batch = NULL;
    tims_error err = { 0 };
    if (step->position == engine->position)
        return;
    tims_check(step->rq, live__batch_read(step->db, &options, &batch, &err), &err);
    if (batch == NULL) {
        live__history_pass(&engine->history, step->position);
        return;
    }
    step->batch = batch;
    engine->log_id = batch->log_id > engine->log_id ? batch->log_id : engine->log_id;
    live__history_add(&engine->history, batch, (size_t)live->options.resume_changes_max);
    atomic_fetch_add(&live->metrics.changes, batch->count);
}

/* --- a step: who waits ------------------------------------------------------------------------ */

static void serve(live__step *step, live__client **current, live__job **current_job)
{
    live__engine *engine = step->engine;
    int64_t until_us = tims_monotonic_us() + JOB_BUDGET_US;
    for (int i = 0; i < LIVE__JOBS_A_STEP && tims_monotonic_us() < until_us; i++) {
        live__client *client = take_ready(engine);
        if (client == NULL)
            return;
        live__job *job = client->first_job;
        client->first_job = job->next;
        if (client->first_job == NULL)
            client->last_job = NULL;
        *current = client;
        *current_job = job;
        make_ready(engine, client); /* behind the others */
        live__client_do(step, client, job);
        *current = NULL;
        live__job_free(current_job);
    }
}

/* --- a step ----------------------------------------------------------------------------------- */

/* On the feed's stack: what is left when the scope has ended, by return or by raise. */
typedef struct run {
    live__engine *engine;
    live__step step;
    live__client *client; /* whose job it is */
    live__job *job;
    bool reading, brought_on;
    bool is_another; /* the database is not the one that was read so far */
} run;

/* A database that shows less than it did, or whose server was started anew: see tims_epoch. */
static bool is_another_database(live__step *step)
{
    int64_t start_us = 0;
    tims_error err = { 0 };
    tims_check(step->rq, tims_server_start(step->db, &start_us, &err), &err);
    return step->position < step->engine->position || start_us != step->live->server_start_us;
}

static void set_mark(live__engine *engine, const tims_mark *mark);

static void run_step(tims_request *rq, void *argument)
{
    run *r = argument;
    live__engine *engine = r->engine;
    live__step *step = &r->step;
    tims_error err = { 0 };
    *step = (live__step){ .live = engine->live, .engine = engine, .rq = rq };
    tims_request_set_db(rq, engine->live->db);
    step->db = tims_session_db(rq);
    tims_check(rq, tims_db_begin_snapshot(step->db, &err), &err);
    r->reading = true;
    tims_check(rq, tims_mark_now(step->db, &step->mark, &err), &err);
    step->position = step->mark.position;
    r->is_another = is_another_database(step);
    if (r->is_another)
        return;
    read_changes(step);
    live__follower_tell(step);
    r->reading = false;
    bring_on(step);
    set_mark(engine, &step->mark);
    r->brought_on = true;
    serve(step, &r->client, &r->job);
    tims_db_end_snapshot(step->db);
}

static void drop_outboxes(live__engine *engine)
{
    for (int i = 0; i < LIVE__LOOPS_MAX; i++)
        live__delivery_free(&engine->outboxes[i]);
}

static void clear(live__engine *engine);

/* Nobody may go on believing that it is up to date. The engine begins again at the mark. */
static void close_everybody(live__engine *engine, const tims_mark *mark)
{
    tims_live *live = engine->live;
    drop_outboxes(engine);
    clear(engine);
    live__engine_start(engine, live, mark);
    for (int i = 0; i < LIVE__LOOPS_MAX; i++) {
        live__hub *hub = live__hub_at(live, i);
        if (hub != NULL)
            (void)live__deliver(
                engine, hub,
                (live__item){ .kind = LIVE__ITEM_CLOSE_ALL, .code = LIVE__CLOSE_SLOW, .reason = "lagging" });
    }
}

static void close_where_it_stands(live__engine *engine)
{
    char *snapshot = strdup(engine->snapshot);
    TIMS_ASSERT(snapshot != NULL);
    const tims_mark mark = { engine->position, tims_str_from(snapshot) };
    close_everybody(engine, &mark);
    free(snapshot);
}

/* --- another database ------------------------------------------------------------------------- */

/* Outside of snapshots, for the epoch may have to be written. */
static void begin_epoch(tims_request *rq, void *argument)
{
    live__engine *engine = argument;
    tims_live *live = engine->live;
    tims_mark mark;
    tims_error err = { 0 };
    live__follower_clear(live, -1); /* what is read now may already be of the other one */
    tims_request_set_db(rq, live->db);
    tims_db_session *db = tims_session_db(rq);
    tims_check(rq, tims_mark_now(db, &mark, &err), &err);
    if (mark.position < engine->position)
        tims_check(rq, tims_epoch_renew(db, tims_live_epoch(live), &err), &err);
    tims_check(rq, live__epoch_read(live, db, &err), &err);
    tims_check(rq, tims_mark_now(db, &mark, &err), &err);
    tims_check(rq, tims_change_last(db, &engine->log_id, &err), &err);
    tims_log(TIMS_LOG_WARN, "live", "event=epoch_began epoch=%.16s position=%lld before=%lld",
             atomic_load(&live->epoch), (long long)mark.position, (long long)engine->position);
    live__follower_clear(live, mark.position);
    close_everybody(engine, &mark);
}

tims_status live__engine_step(live__engine *engine, tims_loop *loop, tims_error *err)
{
    tims_live *live = engine->live;
    run r = { .engine = engine };
    int64_t heard_us = atomic_exchange(&live->feed.heard_us, 0);
    take_received(engine);
    tims_status status = tims_request_run(loop, live, run_step, &r, NULL, err);
    if (r.is_another) {
        status = tims_request_run(loop, live, begin_epoch, engine, NULL, err);
    } else if (status != TIMS_OK && !r.brought_on) {
        if (!r.reading) /* else nothing has moved: the next step reads the same and more */
            close_where_it_stands(engine);
    } else if (status != TIMS_OK) {
        if (r.client != NULL)
            live__client_fail(engine, r.client, r.job);
        status = TIMS_OK; /* one client's trouble */
        tims_log(TIMS_LOG_ERROR, "live", "event=job_failed kind=%d message=%s detail=%s",
                 r.job != NULL ? (int)r.job->kind : -1, err->message, err->detail);
    }
    live__job_free(&r.job);
    atomic_fetch_add(&live->metrics.steps, 1);
    (void)live__presence_tick(live->presence, tims_monotonic_us());
    live__deliver_all(engine, heard_us);
    drop_idle(engine, false);
    return status;
}

/* --- life ------------------------------------------------------------------------------------- */

tims_mark live__engine_mark(const live__engine *engine)
{
    return (tims_mark){ engine->position, tims_str_from(engine->snapshot) };
}

static void set_mark(live__engine *engine, const tims_mark *mark)
{
    if (engine->snapshot != NULL && mark->position == engine->position)
        return;
    char *snapshot = strndup(mark->snapshot.data != NULL ? mark->snapshot.data : "", mark->snapshot.length);
    TIMS_ASSERT(snapshot != NULL);
    free(engine->snapshot);
    engine->snapshot = snapshot;
    engine->position = mark->position;
}

/* What came meanwhile from clients is kept: they are told that they were closed when it is taken. */
void live__engine_start(live__engine *engine, tims_live *live, const tims_mark *mark)
{
    live__job *first = engine->first_received, *last = engine->last_received;
    free(engine->snapshot);
    *engine = (live__engine){ .live = live,
                              .last_view_id = engine->last_view_id,
                              .log_id = engine->log_id,
                              .first_received = first,
                              .last_received = last };
    engine->snapshot = NULL; /* the analyzer loses sight of it above */
    engine->topics = live__topics_new();
    engine->views = tims_map_new();
    engine->clients = tims_map_new();
    set_mark(engine, mark);
    live__history_start(&engine->history, mark);
}

static void free_views(live__engine *engine)
{
    size_t cursor = 0;
    tims_str key;
    void *value;
    drop_idle(engine, true);
    while (tims_map_next(engine->views, &cursor, &key, &value)) {
        live__view *view = value;
        live__view_free(&view);
    }
}

/* All but where it stands, and what was received. */
static void clear(live__engine *engine)
{
    size_t cursor = 0;
    tims_str key;
    void *value;
    if (engine->topics == NULL)
        return;
    while (tims_map_next(engine->clients, &cursor, &key, &value)) {
        live__client *client = value;
        for (live__subscriber *one = client->subscribers; one != NULL; one = one->next)
            one->gate_dirty = false;
        (void)tims_map_remove(engine->clients, key);
        live__client_free(engine, &client);
    }
    engine->first_ready = engine->last_ready = NULL;
    free_views(engine);
    live__history_free(&engine->history);
    drop_outboxes(engine);
    tims_map_free(&engine->clients);
    tims_map_free(&engine->views);
    live__topics_free(&engine->topics);
}

/* Of sockets that closed while the feed stopped; nobody is left to be told. */
static void drop_received(live__engine *engine)
{
    while (engine->first_received != NULL) {
        live__job *job = engine->first_received;
        engine->first_received = job->next;
        live__job_free(&job);
    }
    engine->last_received = NULL;
}

void live__engine_free(live__engine *engine)
{
    clear(engine);
    drop_received(engine);
    free(engine->snapshot);
    engine->snapshot = NULL;
}
