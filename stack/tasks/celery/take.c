/* take.c: from Redis to the worker. A take is one script: what leaves its list is in `unacked` at the same
 * moment. What must not run now (malformed, revoked, due later) is ended here. */
#include <stdio.h>
#include <stdlib.h>

#include "tasks/celery/celery_internal.h"
#include "tasks/sql/sql_internal.h"

enum {
    APART_US = 500 * 1000,
    TAKE_BYTES_MAX = 8 * 1024 * 1024,
    ARENA_BYTES_MAX = 1024 * 1024 * 1024,
    FIRST_MESSAGE = 2,
};

/* --- held messages --------------------------------------------------------------------------------------------- */

celery__message *celery__message_of(const tasks__job *job)
{
    celery__message *message = job->store_data;
    TIMS_CHECK_MAGIC(message, CELERY__MESSAGE_MAGIC);
    return message;
}

tims_str celery__id_of(const tasks__job *job)
{
    return celery__message_of(job)->id;
}

void celery__hold(celery__store *celery, celery__message *message)
{
    message->store = celery;
    message->next = celery->held;
    message->previous = NULL;
    if (celery->held != NULL)
        celery->held->previous = message;
    celery->held = message;
    celery->held_count++;
    message->is_held = true;
}

static void let_go(celery__message *message)
{
    celery__store *celery = message->store;
    if (!message->is_held)
        return;
    if (message->next != NULL)
        message->next->previous = message->previous;
    if (message->previous != NULL)
        message->previous->next = message->next;
    else
        celery->held = message->next;
    celery->held_count--;
    message->is_held = false;
}

void celery__forget(tasks__job *job)
{
    celery__message *message = job->store_data;
    if (message == NULL)
        return;
    TIMS_CHECK_MAGIC(message, CELERY__MESSAGE_MAGIC);
    let_go(message);
    message->magic = 0;
    free(message);
    job->store_data = NULL;
}

/* One block, as a job. */
static celery__message *copy_message(const celery__message *from)
{
    tims_str texts[] = { from->raw, from->id, from->root_id, from->parent_id, from->group };
    size_t bytes = sizeof *from;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        bytes += texts[i].length;
    celery__message *copy = malloc(bytes);
    TIMS_ASSERT(copy != NULL);
    *copy = *from;
    char *at = (char *)(copy + 1);
    tims_str *slots[] = { &copy->raw, &copy->id, &copy->root_id, &copy->parent_id, &copy->group };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i].length > 0)
            memcpy(at, texts[i].data, texts[i].length);
        *slots[i] = (tims_str){ at, texts[i].length };
        at += texts[i].length;
    }
    return copy;
}

/* --- what ends without a run -------------------------------------------------------------------------------------- */

static void end_now(celery__store *celery, tasks__job *job, tasks__end end, const char *code, const char *why)
{
    tasks__outcome *outcome = calloc(1, sizeof *outcome);
    TIMS_ASSERT(outcome != NULL);
    *outcome = (tasks__outcome){ .job = job, .end = end, .code = code, .next = celery->ended };
    if (why != NULL) {
        outcome->arena = tims_arena_new(64 * 1024, NULL, NULL);
        outcome->message = tims_copy(outcome->arena, tims_str_from(why));
    }
    celery->ended = outcome;
}

/* --- one message ----------------------------------------------------------------------------------------------------- */

typedef struct taking {
    celery__store *celery;
    tims_str queue;
    char base[CELERY__BASE_BYTES];
    tims_arena *scratch; /* of one message */
    tasks__job **jobs;
    size_t count;
    int64_t suspects;   /* found */
    bool asks_database; /* some have to be told that they begin */
} taking;

static tasks__job *keep(taking *t, celery__envelope *envelope, size_t number)
{
    celery__message *message = copy_message(&envelope->message);
    (void)snprintf(message->tag, sizeof message->tag, "%s%zu", t->base, number);
    message->taken_us = tims_monotonic_us();
    message->due_us = envelope->eta.present ? envelope->eta.value.us : 0;
    celery__hold(t->celery, message);
    tasks__job *job = tasks__job_copy(&envelope->job);
    job->store_data = message;
    return job;
}

static void refuse(taking *t, celery__envelope *envelope, size_t number, const tims_error *err)
{
    envelope->job = (tasks__job){ .id = tims_id_new(),
                                  .task = TIMS_STR("(malformed)"),
                                  .queue = t->queue,
                                  .arguments = TIMS_STR("{}"),
                                  .attempt = 1,
                                  .run_at = celery__now(t->celery),
                                  .enqueued_at = celery__now(t->celery),
                                  .trace = TIMS_STR("") };
    envelope->message.id = TIMS_STR("malformed");
    envelope->message.root_id = envelope->message.parent_id = envelope->message.group = (tims_str){ 0 };
    envelope->message.is_malformed = true;
    envelope->message.has_embed = envelope->message.is_ours = false;
    tims_log(TIMS_LOG_ERROR, "tasks", "event=malformed_message queue=%S message=%s", t->queue, err->message);
    tasks__job *job = keep(t, envelope, number);
    if (t->celery->events != NULL)
        celery__events_task(t->celery->events, "task-rejected", job, NULL);
    end_now(t->celery, job, TASKS__DEAD, "malformed_message", err->message);
}

static void take_one(taking *t, tims_str text, size_t number)
{
    celery__store *celery = t->celery;
    celery__envelope envelope;
    tims_error err = { 0 };
    tims_arena_reset(t->scratch);
    tims_time now = celery__now(celery);
    if (!celery__read_quickly(celery->store.tasks, t->scratch, t->queue, text, &envelope) &&
        celery__read(celery->store.tasks, t->scratch, t->queue, text, &envelope, &err) != TIMS_OK) {
        refuse(t, &envelope, number, &err);
        return;
    }
    if (!envelope.message.is_ours)
        envelope.job.run_at = envelope.job.enqueued_at = envelope.eta.present ? envelope.eta.value : now;
    bool is_later = envelope.eta.present && envelope.eta.value.us > now.us;
    bool is_revoked =
        tims_map_count(celery->revoked) > 0 && tims_map_get(celery->revoked, envelope.message.id) != NULL;
    tasks__job *job = keep(t, &envelope, number);
    if (is_revoked) {
        end_now(celery, job, TASKS__CANCELLED, NULL, NULL);
        return;
    }
    if (tasks__is_suspect(job) && celery->store.suspects + t->suspects++ > 0) {
        celery__message_of(job)->due_us = now.us + APART_US; /* one at a time */
        is_later = true;
    }
    if (is_later) {
        end_now(celery, job, TASKS__BACK, NULL, NULL);
        return;
    }
    t->asks_database = t->asks_database || job->tracked ||
                       (job->unique_key.present && job->unique_while == TIMS_UNIQUE_QUEUED);
    t->jobs[t->count++] = job;
    if (celery->events != NULL) {
        celery__events_task(celery->events, "task-received", job, NULL);
        celery__events_task(celery->events, "task-started", job, NULL);
    }
}

/* --- all of them ----------------------------------------------------------------------------------------------------- */

static tims_status mark_started(tasks__work *work, tims_error *err)
{
    const taking *t = work->argument;
    tims_status status = TIMS_OK;
    for (size_t i = 0; status == TIMS_OK && i < t->count; i++) {
        const tasks__job *job = t->jobs[i];
        const tims_db_value id = tims_db_id(job->id);
        if (job->tracked)
            status = tasks__status_start(work->session, job, tasks__now(work->store->tasks), err);
        if (status == TIMS_OK && job->unique_key.present && job->unique_while == TIMS_UNIQUE_QUEUED)
            status = tims_db_run(work->session, TIMS_STR("DELETE FROM tims_job_unique WHERE job = ?1"), &id,
                                 1, NULL, err);
    }
    return status;
}

/* They run even if nobody can be told: what was taken is not given back for that. */
static void tell_started(taking *t)
{
    tims_error err = { 0 };
    if (t->asks_database &&
        tasks__sql_transact(t->celery->store.tasks->sql, mark_started, t, &err) != TIMS_OK)
        tims_log(TIMS_LOG_WARN, "tasks", "event=start_not_told message=%s detail=%s", err.message,
                 err.detail);
}

static tims_status ask(taking *t, tims_arena *arena, size_t max, const tims_redis_reply **ret_reply,
                       tims_error *err)
{
    celery__store *celery = t->celery;
    char worker[TIMS_ID_TEXT_LENGTH];
    celery__arguments arguments = { .arena = arena };
    tims_id_format(celery->store.worker, worker);
    (void)snprintf(t->base, sizeof t->base, "tims.%.*s.%lld.", TIMS_ID_TEXT_LENGTH, worker,
                   (long long)++celery->batch);
    celery__add(&arguments, (tims_str){ worker, sizeof worker });
    celery__add(&arguments, t->queue);
    celery__add_int(&arguments, (int64_t)max);
    celery__add(&arguments, tims_str_from(t->base));
    celery__add(&arguments, tims_str_from(celery->known_batch));
    celery__add_int(&arguments, TAKE_BYTES_MAX);
    return celery__call(celery, arena, CELERY__TAKE, celery__list(&arguments), ret_reply, err);
}

static void set_clock(celery__store *celery, tims_str us)
{
    int64_t now_us;
    if (tims_str_to_int(us, 0, INT64_MAX, &now_us))
        celery->clock_offset_us = now_us - tims_now().us;
}

/* Queues with limits have jobs in the database, and messages that others sent on Redis. Redis is polled; the
 * database is looked at a few times a second, and when it had something. */
static tims_status look_at_limited(celery__store *celery, const tims_str *queues, size_t count, bool *has,
                                   tims_error *err)
{
    enum { LOOK_US = 50 * 1000 };
    tasks__store *sql = celery->store.tasks->sql;
    tims_status status = TIMS_OK;
    if (tims_monotonic_us() < celery->look_at_limited_us)
        return TIMS_OK;
    celery->look_at_limited_us = tims_monotonic_us() + LOOK_US;
    for (size_t i = 0; status == TIMS_OK && i < count; i++) {
        bool here = false;
        if (has[i] || !tasks__is_limited(celery->store.tasks, queues[i]))
            continue;
        status = sql->api->look(sql, &queues[i], 1, &here, err);
        has[i] = here;
        if (here)
            celery->look_at_limited_us = 0;
    }
    return status;
}

tims_status celery__look(tasks__store *store, const tims_str *queues, size_t count, bool *ret_has,
                         tims_error *err)
{
    celery__store *celery = celery__of(store);
    const tims_redis_reply *reply;
    tims_arena *arena = tims_arena_new(1024 * 1024, NULL, NULL);
    tims_status status =
        celery__call(celery, arena, CELERY__LOOK, (tims_slice_list){ queues, count }, &reply, err);
    for (size_t i = 0; status == TIMS_OK && i < count; i++)
        ret_has[i] = tims_redis_int(tims_redis_item(reply, i)) != 0;
    tims_arena_free(&arena);
    return status == TIMS_OK ? look_at_limited(celery, queues, count, ret_has, err) : status;
}

static tims_status claim_messages(tasks__store *store, tims_str queue, size_t max, tasks__job **ret_jobs,
                                  size_t *ret_count, tims_error *err)
{
    celery__store *celery = celery__of(store);
    const tims_redis_reply *reply = NULL;
    taking t = { .celery = celery, .queue = queue, .jobs = ret_jobs };
    tims_status status = celery->is_registered ? TIMS_OK : celery__register(celery, err);
    if (status != TIMS_OK)
        return status;
    tims_arena *arena = tims_arena_new(ARENA_BYTES_MAX, NULL, NULL);
    status = ask(&t, arena, max < TASKS__CLAIM_MAX ? max : TASKS__CLAIM_MAX, &reply, err);
    if (status == TIMS_OK && tims_redis_int(tims_redis_item(reply, 0)) == 0)
        status = tims_fail(err, TIMS_UNAVAILABLE, "lease_lost", "This worker has no lease on Redis.");
    if (status != TIMS_OK) {
        tims_arena_free(&arena);
        return status;
    }
    set_clock(celery, tims_redis_text(tims_redis_item(reply, 1)));
    size_t count = tims_redis_count(reply);
    if (count > FIRST_MESSAGE)
        memcpy(celery->known_batch, t.base, sizeof t.base);
    t.scratch = tims_arena_new(ARENA_BYTES_MAX, NULL, NULL);
    for (size_t i = FIRST_MESSAGE; i < count; i++)
        take_one(&t, tims_redis_text(tims_redis_item(reply, i)), i - FIRST_MESSAGE + 1);
    tims_arena_free(&t.scratch);
    tims_arena_free(&arena);
    if (celery->ended != NULL) {
        tims_error later = { 0 }; /* what cannot be written now is written by the keeper */
        (void)!celery__finish_ended(celery, &later);
    }
    tell_started(&t);
    *ret_count = t.count;
    return TIMS_OK;
}

tims_status celery__claim(tasks__store *store, tims_str queue, size_t max, tasks__job **ret_jobs,
                          size_t *ret_count, tims_error *err)
{
    tasks__store *sql = store->tasks->sql;
    size_t count = 0, messages = 0;
    tims_status status = TIMS_OK;
    if (tasks__is_limited(store->tasks, queue))
        status = sql->api->claim(sql, queue, max, ret_jobs, &count, err);
    if (status == TIMS_OK && count < max) {
        status = claim_messages(store, queue, max - count, ret_jobs + count, &messages, err);
        if (status != TIMS_OK && count > 0)
            status = TIMS_OK; /* what was claimed runs */
    }
    if (status == TIMS_OK)
        *ret_count = count + messages;
    return status;
}
