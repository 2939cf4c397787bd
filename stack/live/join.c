/* join.c: clients in rooms: who may be there, and how presence reaches their sockets.
 *
 * A room is the URL of a detail. Being in it is a subscription to that row of which nothing is told but that
 * it is over: when the row goes, or the gate closes, so does the place. The rest is presence.c's. */
#include "live/live_internal.h"

static void tell(void *argument, const live__room *room, tims_str text)
{
    tims_live *live = argument;
    live__ops *shared = live__ops_of_text(text);
    for (const live__link *link = room->places.first; link != NULL; link = link->next) {
        const live__place *place = link->owner;
        const live__subscriber *subscriber = place->socket;
        TIMS_CHECK_MAGIC(subscriber, LIVE__SUBSCRIBER_MAGIC);
        if (subscriber->client->told == shared)
            continue; /* a socket hears it once, however many of its joins are here */
        subscriber->client->told = shared;
        live__item item = { .kind = LIVE__ITEM_SHARED,
                            .session = subscriber->client->session,
                            .ops = live__ops_ref(shared) };
        (void)live__deliver(&live->engine, subscriber->client->hub, item);
    }
    for (const live__link *link = room->places.first; link != NULL; link = link->next)
        ((live__subscriber *)((live__place *)link->owner)->socket)->client->told = NULL;
    live__ops_unref(&shared);
}

live__presence *live__rooms_new(tims_live *live)
{
    return live__presence_new(tell, live);
}

void live__join_answer(live__step *step, const live__subscriber *subscriber, bool answers)
{
    enum { ANSWER_BYTES_MAX = 256 * 1024 };
    tims_buf out;
    tims_buf_init(&out, NULL, ANSWER_BYTES_MAX);
    live__presence_answer(subscriber->place, subscriber->id, &out);
    TIMS_ASSERT(!out.overflow);
    live__item item = { .kind = LIVE__ITEM_FRAME,
                        .session = subscriber->client->session,
                        .event = "presence",
                        .answers = answers,
                        .position = step->position,
                        .text = out.data,
                        .text_length = out.length };
    (void)live__deliver(step->engine, subscriber->client->hub, item);
}

/* What it is about, if the client may be there: the view of one row that is there. */
static tims_status find_room(live__step *step, const live__client *client, tims_str url,
                             live__view **ret_view, tims_error *err)
{
    live__view *view = NULL;
    tims_status status = live__view_get(step, url, client->caller, 0, &view, err);
    if (status != TIMS_OK)
        return status;
    if (view == NULL || !view->query.is_detail || view->window.count == 0)
        return tims_fail(err, TIMS_NOT_FOUND, NULL, "There is no such room, or it is not yours to enter.");
    *ret_view = view;
    return TIMS_OK;
}

static tims_status enter(live__step *step, live__subscriber *subscriber, const live__job *job,
                         tims_error *err)
{
    const live__client *client = subscriber->client;
    live__view *view = NULL;
    tims_status status =
        find_room(step, client, (tims_str){ subscriber->url, subscriber->url_length }, &view, err);
    if (status != TIMS_OK)
        return status;
    if (view->is_shared)
        live__gate_hook(step->engine, subscriber, &view->query.query);
    live__subscriber_attach(step->engine, subscriber, view);
    const live__entering entering = { .room = view->query.canonical,
                                      .user = { client->caller.signed_in, client->caller.user },
                                      .is_present = job->is_present && client->caller.signed_in,
                                      .state = { job->text, job->text_length },
                                      .socket = subscriber };
    return live__presence_enter(step->live->presence, &entering, &subscriber->place, err);
}

void live__join(live__step *step, live__client *client, const live__job *job)
{
    tims_error err = { 0 };
    live__subscriber *subscriber =
        live__subscriber_new(client, job->sub, (tims_str){ job->url, job->url_length });
    subscriber->is_join = true;
    if (enter(step, subscriber, job, &err) == TIMS_OK)
        live__join_answer(step, subscriber, true);
    else
        live__subscriber_refuse(step->engine, subscriber, &err)->answers = true;
}

void live__leave(live__subscriber *subscriber)
{
    if (subscriber->place != NULL)
        live__presence_leave(&subscriber->place);
}

void live__publish(live__step *step, const live__client *client, live__subscriber *subscriber,
                   const live__job *job)
{
    tims_error err = { 0 };
    const tims_str kind = { job->url, job->url_length }, data = { job->text, job->text_length };
    tims_status status;
    if (subscriber == NULL || subscriber->place == NULL)
        status = tims_fail(&err, TIMS_NOT_FOUND, NULL, "Join the room first.");
    else
        status = live__presence_publish(subscriber->place, kind, data, &err);
    if (status != TIMS_OK)
        live__client_refuse_message(step->engine, client, job->sub, &err);
    else
        (void)live__deliver(
            step->engine, client->hub,
            (live__item){ .kind = LIVE__ITEM_DONE, .session = client->session, .answers = true });
}

void live__rooms_end_of(live__step *step, live__view *view)
{
    const tims_error gone = { .status = TIMS_NOT_FOUND };
    if (!view->query.is_detail || view->window.count > 0)
        return;
    for (live__subscriber *one = view->subscribers; one != NULL; one = one->next_of_view)
        if (one->is_join)
            live__subscriber_fail(step, one, &gone);
}
