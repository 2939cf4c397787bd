/* client.c: the engine's side of a session: who it is, what it is subscribed to, and what it wants next.
 *
 * Clients are served in turn, one job each, so that who asks for much delays nobody else. A job is done in
 * the step's snapshot: what it answers is exactly what the views are at that position. */
#include "live/live_internal.h"

enum { OPS_BYTES_MAX = 256 * 1024 * 1024 };

/* --- refusals --------------------------------------------------------------------------------- */

void live__client_close(live__engine *engine, const live__client *client, int code, const char *reason)
{
    live__item item = {
        .kind = LIVE__ITEM_CLOSE, .session = client->session, .code = code, .reason = reason
    };
    (void)live__deliver(engine, client->hub, item);
}

/* As the answer to a job. `member` names what `id` is: "sub", "join"; NULL: the frame was refused. */
static live__item *refuse(live__engine *engine, const live__client *client, const char *member, uint32_t id,
                          const tims_error *err)
{
    const char *code = err->code != NULL ? err->code : tims_status_name(err->status);
    const char *message = err->message[0] != '\0' ? err->message : tims_status_text(err->status);
    live__frame frame;
    live__item item = { .kind = LIVE__ITEM_FRAME,
                        .session = client->session,
                        .event = "error",
                        .sub = id,
                        .answers = true,
                        .position = engine->position };
    live__frame_begin(&frame, "error");
    if (member != NULL)
        live__frame_int(&frame, member, id);
    live__frame_int(&frame, "status", tims_status_http(err->status));
    live__frame_str(&frame, "code", tims_str_from(code));
    live__frame_str(&frame, "message", tims_str_from(message));
    bool fits = live__frame_end(&frame, &item.text, &item.text_length);
    TIMS_ASSERT(fits);
    return live__deliver(engine, client->hub, item);
}

void live__client_refuse_frame(live__engine *engine, const live__client *client, tims_status status,
                               const char *code, const char *message)
{
    tims_error err = { 0 };
    (void)!tims_fail(&err, status, code, "%s", message);
    (void)refuse(engine, client, NULL, 0, &err);
}

static void refuse_sub(live__engine *engine, const live__client *client, uint32_t sub, const tims_error *err)
{
    refuse(engine, client, "sub", sub, err)->detach = true;
}

/* --- subscribers ------------------------------------------------------------------------------ */

void live__subscriber_attach(live__engine *engine, live__subscriber *subscriber, live__view *view)
{
    TIMS_ASSERT(subscriber->view == NULL);
    live__engine_forget_idle(engine, view);
    subscriber->view = view;
    subscriber->previous_of_view = NULL;
    subscriber->next_of_view = view->subscribers;
    if (view->subscribers != NULL)
        view->subscribers->previous_of_view = subscriber;
    view->subscribers = subscriber;
    view->subscriber_count++;
    view->hub_counts[subscriber->client->hub->index]++;
    subscriber->client->row_count += view->window.limit;
}

void live__subscriber_detach(live__engine *engine, live__subscriber *subscriber)
{
    live__view *view = subscriber->view;
    if (view == NULL)
        return;
    if (subscriber->next_of_view != NULL)
        subscriber->next_of_view->previous_of_view = subscriber->previous_of_view;
    if (subscriber->previous_of_view != NULL)
        subscriber->previous_of_view->next_of_view = subscriber->next_of_view;
    else
        view->subscribers = subscriber->next_of_view;
    view->subscriber_count--;
    view->hub_counts[subscriber->client->hub->index]--;
    subscriber->client->row_count -= view->window.limit;
    subscriber->view = NULL;
    if (view->subscribers == NULL)
        live__engine_note_idle(engine, view);
}

static live__subscriber *find(const live__client *client, uint32_t sub)
{
    for (live__subscriber *subscriber = client->subscribers; subscriber != NULL;
         subscriber = subscriber->next)
        if (subscriber->id == sub)
            return subscriber;
    return NULL;
}

live__subscriber *live__subscriber_new(live__client *client, uint32_t sub, tims_str url)
{
    live__subscriber *subscriber = calloc(1, sizeof *subscriber);
    TIMS_ASSERT(subscriber != NULL);
    subscriber->magic = LIVE__SUBSCRIBER_MAGIC;
    subscriber->id = sub;
    subscriber->client = client;
    subscriber->url = live__keep(url);
    subscriber->url_length = url.length;
    subscriber->next = client->subscribers;
    if (client->subscribers != NULL)
        client->subscribers->previous = subscriber;
    client->subscribers = subscriber;
    client->subscriber_count++;
    atomic_fetch_add(&client->hub->live->metrics.subscribers, 1);
    return subscriber;
}

void live__subscriber_drop(live__engine *engine, live__subscriber *subscriber)
{
    TIMS_CHECK_MAGIC(subscriber, LIVE__SUBSCRIBER_MAGIC);
    TIMS_ASSERT(!subscriber->gate_dirty);
    live__client *client = subscriber->client;
    if (subscriber->place != NULL)
        live__presence_drop(&subscriber->place, tims_monotonic_us());
    live__subscriber_detach(engine, subscriber);
    live__gate_unhook(engine, subscriber);
    if (subscriber->next != NULL)
        subscriber->next->previous = subscriber->previous;
    if (subscriber->previous != NULL)
        subscriber->previous->next = subscriber->next;
    else
        client->subscribers = subscriber->next;
    client->subscriber_count--;
    atomic_fetch_sub(&client->hub->live->metrics.subscribers, 1);
    free(subscriber->url);
    subscriber->magic = 0;
    free(subscriber);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void add_facts(live__frame *frame, const live__subscriber *subscriber, const live__facts *facts,
                      int64_t position)
{
    live__frame_int(frame, "sub", subscriber->id);
    live__frame_int(frame, "view", subscriber->view != NULL ? (int64_t)subscriber->view->id : 0);
    live__frame_int(frame, "position", position);
    tims_json_key(&frame->writer, TIMS_STR("order"));
    tims_json_raw(&frame->writer, TIMS_STR("\""));
    live__order_write(&frame->text, &facts->query->query);
    tims_buf_append_char(&frame->text, '"');
    live__frame_int(frame, "limit", (int64_t)facts->limit);
    live__frame_bool(frame, "end", facts->end);
    live__frame_bool(frame, "detail", facts->query->is_detail);
    if (facts->query->is_computed)
        live__frame_bool(frame, "computed", true);
}

static void deliver_frame(live__step *step, const live__subscriber *subscriber, live__frame *frame,
                          const char *event, bool answers)
{
    live__item item = { .kind = LIVE__ITEM_FRAME,
                        .session = subscriber->client->session,
                        .sub = subscriber->id,
                        .event = event,
                        .attach = true,
                        .answers = answers,
                        .view = subscriber->view != NULL ? subscriber->view->id : 0,
                        .position = step->position };
    if (live__frame_end(frame, &item.text, &item.text_length))
        (void)live__deliver(step->engine, subscriber->client->hub, item);
    else
        tims_raise(step->rq, 413, "too_large", "The document is too large to be sent.");
}

static void send_snap(live__step *step, const live__subscriber *subscriber, const live__facts *facts,
                      tims_str document, bool answers)
{
    live__frame frame;
    live__frame_begin(&frame, "snap");
    add_facts(&frame, subscriber, facts, step->position);
    tims_json_key(&frame.writer, TIMS_STR("document"));
    tims_json_raw(&frame.writer, document);
    deliver_frame(step, subscriber, &frame, "snap", answers);
    atomic_fetch_add(&step->live->metrics.snaps, 1);
}

static void send_reset(live__step *step, const live__subscriber *subscriber, const char *reason)
{
    live__frame frame;
    live__item item = { .kind = LIVE__ITEM_FRAME,
                        .session = subscriber->client->session,
                        .event = "reset",
                        .position = step->position };
    live__frame_begin(&frame, "reset");
    live__frame_int(&frame, "sub", subscriber->id);
    live__frame_str(&frame, "reason", tims_str_from(reason));
    if (live__frame_end(&frame, &item.text, &item.text_length))
        (void)live__deliver(step->engine, subscriber->client->hub, item);
    atomic_fetch_add(&step->live->metrics.resets, 1);
}

static void send_ops(live__step *step, const live__subscriber *subscriber, const char *kind,
                     const tims_buf *ops, bool answers)
{
    live__frame frame;
    live__facts facts = live__facts_of(subscriber->view);
    live__frame_begin(&frame, kind);
    add_facts(&frame, subscriber, &facts, step->position);
    tims_json_key(&frame.writer, TIMS_STR("ops"));
    tims_json_raw(&frame.writer, TIMS_STR("["));
    tims_buf_append_str(&frame.text, tims_buf_str(ops));
    tims_buf_append_char(&frame.text, ']');
    deliver_frame(step, subscriber, &frame, kind, answers);
}

live__item *live__subscriber_refuse(live__engine *engine, live__subscriber *subscriber, const tims_error *err)
{
    const live__client *client = subscriber->client;
    uint32_t id = subscriber->id;
    const char *member = subscriber->is_join ? "join" : "sub";
    if (subscriber->is_join)
        live__leave(subscriber); /* who is thrown out does not come back in a moment */
    live__subscriber_drop(engine, subscriber);
    live__item *item = refuse(engine, client, member, id, err);
    item->detach = true;
    item->answers = false; /* unless it was asked just now */
    return item;
}

void live__client_refuse_message(live__engine *engine, const live__client *client, uint32_t join,
                                 const tims_error *err)
{
    (void)refuse(engine, client, "join", join, err);
}

void live__subscriber_fail(live__step *step, live__subscriber *subscriber, const tims_error *err)
{
    tims_error *failure = TIMS_NEW(step->rq->arena, tims_error);
    if (subscriber->failure != NULL)
        return;
    *failure = *err;
    subscriber->failure = failure;
    subscriber->next_failed = step->failed;
    step->failed = subscriber;
}

void live__subscribers_tell_failures(live__step *step)
{
    while (step->failed != NULL) {
        live__subscriber *subscriber = step->failed;
        step->failed = subscriber->next_failed;
        (void)live__subscriber_refuse(step->engine, subscriber, subscriber->failure);
    }
}

/* --- what it wants ---------------------------------------------------------------------------- */

/* The gate is closed: there is nothing to see, and that is the answer until it opens. */
static void show_nothing(live__step *step, const live__subscriber *subscriber, bool answers)
{
    const live__client *client = subscriber->client;
    const tims_live_resolver *resolver = &step->live->options.resolver;
    const tims_str url = { subscriber->url, subscriber->url_length };
    tims_live_query query = { 0 };
    tims_error err = { 0 };
    tims_check(step->rq,
               resolver->resolve(resolver->data, step->rq->arena, url, client->caller, &query, &err), &err);
    const live__facts facts = { .query = &query, .limit = (size_t)query.query.limit, .end = true };
    send_snap(step, subscriber, &facts, live__closed_document(step, url, client->caller, query.is_detail),
              answers);
}

/* With the document of the URL's own size, whatever the client held before. */
static void start_again(live__step *step, live__subscriber *subscriber, const char *reason, bool answers)
{
    if (reason != NULL)
        send_reset(step, subscriber, reason);
    if (subscriber->view == NULL || !live__view_has_document(subscriber->view)) {
        const tims_str url = { subscriber->url, subscriber->url_length };
        live__view *view = NULL;
        tims_error err = { 0 };
        live__subscriber_detach(step->engine, subscriber);
        tims_check(step->rq, live__view_get(step, url, subscriber->client->caller, 0, &view, &err), &err);
        if (view == NULL) {
            show_nothing(step, subscriber, answers);
            return;
        }
        live__subscriber_attach(step->engine, subscriber, view);
    }
    live__facts facts = live__facts_of(subscriber->view);
    send_snap(step, subscriber, &facts,
              live__view_document(step, subscriber->view, subscriber->client->caller), answers);
    live__view_reset_included(subscriber->view);
}

static void go_on(live__step *step, live__subscriber *subscriber, const live__job *job)
{
    const tims_str from = { job->text, job->text_length };
    const char *reason = "epoch";
    size_t held = job->limit > 0 ? (size_t)job->limit : subscriber->view->window.limit;
    tims_str epoch;
    int64_t position;
    tims_buf ops;
    tims_buf_init(&ops, step->rq->arena, OPS_BYTES_MAX);
    if (subscriber->view->is_computed) { /* it is one value: there is nothing to go on from */
        start_again(step, subscriber, NULL, true);
        return;
    }
    if (!live__position_parse(from, &epoch, &position) ||
        !tims_str_equal(epoch, tims_live_epoch(step->live)) || position > step->position ||
        !live__resume(step, subscriber, position, held, &ops, &reason)) {
        start_again(step, subscriber, reason, true);
        return;
    }
    send_ops(step, subscriber, "resumed", &ops, true);
    live__view_reset_included(subscriber->view);
    atomic_fetch_add(&step->live->metrics.resumes, 1);
}

static void unsubscribe(live__engine *engine, live__client *client, uint32_t sub)
{
    live__subscriber *subscriber = find(client, sub);
    if (subscriber != NULL)
        live__subscriber_drop(engine, subscriber);
    live__item item = { .kind = LIVE__ITEM_FREED, .session = client->session, .sub = sub, .answers = true };
    (void)live__deliver(engine, client->hub, item);
}

static void leave(live__engine *engine, live__client *client, uint32_t sub)
{
    live__subscriber *subscriber = find(client, sub);
    if (subscriber != NULL && subscriber->is_join)
        live__leave(subscriber);
    unsubscribe(engine, client, sub);
}

static void refuse_more(live__engine *engine, const live__client *client, uint32_t sub)
{
    tims_error err = { 0 };
    (void)!tims_fail(&err, TIMS_NOT_FOUND, NULL, "There is nothing to see there.");
    refuse(engine, client, NULL, 0, &err)->sub = sub; /* so that its loop takes the next one */
}

/* Windows stay in memory: what one connection may make of them has an end. */
static bool has_room_for(const live__client *client, const live__view *view)
{
    return client->row_count + view->window.limit <= client->hub->live->limits.rows_max;
}

/* To a view of more rows; what the client holds is the beginning of it. */
static void grow(live__step *step, live__client *client, const live__job *job, bool answers)
{
    tims_error err = { 0 };
    tims_buf ops;
    tims_buf_init(&ops, step->rq->arena, OPS_BYTES_MAX);
    live__subscriber *subscriber = find(client, job->sub);
    live__view *view = NULL, *before = subscriber != NULL ? subscriber->view : NULL;
    if (before == NULL || before->is_computed || subscriber->is_join) {
        refuse_more(step->engine, client, job->sub);
        return;
    }
    size_t held = live__window_shown(&before->window);
    tims_check(step->rq,
               live__view_get(step, (tims_str){ subscriber->url, subscriber->url_length }, client->caller,
                              (size_t)job->limit, &view, &err),
               &err);
    bool grows = view != NULL && view->window.limit > before->window.limit;
    if (view == NULL || (grows && !has_room_for(client, view))) {
        if (answers)
            refuse_more(step->engine, client, job->sub);
        return;
    }
    if (grows) {
        live__subscriber_detach(step->engine, subscriber);
        live__subscriber_attach(step->engine, subscriber, view);
        subscriber->grown_position = step->position;
        live__view_put_from(step, view, held, &ops, (live__address){ .sub = subscriber->id });
    }
    send_ops(step, subscriber, "window", &ops, answers);
}

static tims_status find_view(live__step *step, const live__client *client, const live__job *job,
                             live__view **ret_view, tims_error *err)
{
    size_t held = job->text_length > 0 ? (size_t)job->limit : 0;
    tims_status status =
        live__view_get(step, (tims_str){ job->url, job->url_length }, client->caller, held, ret_view, err);
    if (status == TIMS_OK && *ret_view != NULL && !has_room_for(client, *ret_view))
        return tims_fail(err, TIMS_THROTTLED, "too_many_subscriptions",
                         "Too many rows are followed on one connection.");
    return status;
}

static void subscribe(live__step *step, live__client *client, const live__job *job)
{
    tims_error err = { 0 };
    tims_live_query query = { 0 };
    const tims_str url = { job->url, job->url_length };
    const tims_live_resolver *resolver = &step->live->options.resolver;
    if (find(client, job->sub) != NULL)
        return; /* its loop has refused it already */
    tims_status status =
        resolver->resolve(resolver->data, step->rq->arena, url, client->caller, &query, &err);
    if (status != TIMS_OK) {
        refuse_sub(step->engine, client, job->sub, &err);
        return;
    }
    live__subscriber *subscriber = live__subscriber_new(client, job->sub, url);
    bool resumes = job->text_length > 0;
    live__view *view = NULL;
    status = find_view(step, client, job, &view, &err);
    if (status != TIMS_OK) {
        live__subscriber_refuse(step->engine, subscriber, &err)->answers = true;
        return;
    }
    if (view == NULL || (view->is_shared && !view->is_computed))
        live__gate_hook(step->engine, subscriber, &query.query);
    if (view == NULL) {
        if (resumes)
            send_reset(step, subscriber, "access");
        show_nothing(step, subscriber, true);
        return;
    }
    live__subscriber_attach(step->engine, subscriber, view);
    if (resumes) {
        go_on(step, subscriber, job);
        return;
    }
    start_again(step, subscriber, NULL, true);
    if (job->limit > (int64_t)view->window.limit && !view->is_computed && !view->query.is_detail)
        grow(step, client, job, false);
}

/* How many of the first rows a client held for sure at a position. If its window grew after that, it grew
 * behind the first rows of later, some of which the client has not been told of. */
static size_t held_at(const live__subscriber *subscriber, int64_t position)
{
    const live__view *view = subscriber->view;
    return subscriber->grown_position > position ? live__view_own_limit(view) : view->window.limit;
}

/* A socket that read too slowly has read: what it missed, of all its subscriptions at once. */
static void catch_up(live__step *step, live__client *client, const live__job *job)
{
    for (live__subscriber *subscriber = client->subscribers; subscriber != NULL;
         subscriber = subscriber->next) {
        tims_buf ops;
        const char *reason = "too_far";
        if (subscriber->is_join) {
            live__join_answer(step, subscriber, false); /* it may have missed who came and went */
            continue;
        }
        live__view *view = subscriber->view;
        tims_buf_init(&ops, step->rq->arena, OPS_BYTES_MAX);
        bool goes_on =
            view != NULL && !view->is_computed &&
            live__resume(step, subscriber, job->limit, held_at(subscriber, job->limit), &ops, &reason);
        if (goes_on) {
            send_ops(step, subscriber, "resumed", &ops, false);
            live__view_reset_included(view);
        } else {
            start_again(step, subscriber, view != NULL ? reason : "access", false);
        }
    }
    live__item item = { .kind = LIVE__ITEM_CAUGHT_UP, .session = client->session, .answers = true };
    (void)live__deliver(step->engine, client->hub, item);
}

void live__client_do(live__step *step, live__client *client, live__job *job)
{
    TIMS_CHECK_MAGIC(client, LIVE__CLIENT_MAGIC);
    if (job->kind != LIVE__JOB_HELLO && !client->is_welcomed)
        return; /* it has been refused, and is about to go */
    switch (job->kind) {
    case LIVE__JOB_HELLO:
        live__login_greet(step, client, job);
        break;
    case LIVE__JOB_AUTH:
        live__login_renew(step, client, job);
        break;
    case LIVE__JOB_SUB:
        subscribe(step, client, job);
        break;
    case LIVE__JOB_MORE:
        grow(step, client, job, true);
        break;
    case LIVE__JOB_UNSUB:
        unsubscribe(step->engine, client, job->sub);
        break;
    case LIVE__JOB_JOIN:
        live__join(step, client, job);
        break;
    case LIVE__JOB_LEAVE:
        leave(step->engine, client, job->sub);
        break;
    case LIVE__JOB_PUBLISH:
        live__publish(step, client, find(client, job->sub), job);
        break;
    case LIVE__JOB_CATCH_UP:
        catch_up(step, client, job);
        break;
    case LIVE__JOB_GONE: /* the engine's own business */
        break;
    }
}

/* --- its end ---------------------------------------------------------------------------------- */

void live__client_fail(live__engine *engine, live__client *client, const live__job *job)
{
    const tims_error unavailable = { .status = TIMS_UNAVAILABLE };
    live__subscriber *subscriber = find(client, job->sub);
    for (live__subscriber *one = client->subscribers; one != NULL; one = one->next)
        if (one->view != NULL)
            one->view->include_touches = NULL; /* of the scope that has ended */
    if (job->kind == LIVE__JOB_SUB || job->kind == LIVE__JOB_JOIN) {
        if (subscriber != NULL)
            live__subscriber_refuse(engine, subscriber, &unavailable)->answers = true;
        else
            refuse_sub(engine, client, job->sub, &unavailable);
        return;
    }
    live__client_close(engine, client, LIVE__CLOSE_SLOW, "unavailable");
}

void live__client_free(live__engine *engine, live__client **client)
{
    live__client *old = *client;
    *client = NULL;
    TIMS_CHECK_MAGIC(old, LIVE__CLIENT_MAGIC);
    for (live__subscriber *one = old->subscribers, *next; one != NULL; one = next) {
        next = one->next;
        live__subscriber_drop(engine, one);
    }
    live__login_unhook(engine, old);
    while (old->first_job != NULL) {
        live__job *job = old->first_job;
        old->first_job = job->next;
        live__job_free(&job);
    }
    old->magic = 0;
    free(old);
}
