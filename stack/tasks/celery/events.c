/* events.c: what this worker and its tasks do, told to whoever listens: Flower, celery.events.
 *
 * Worker events go out at once. Task events are gathered for a moment and sent as one list, as Celery's
 * workers do; they are off until somebody enables them. Nobody waits for an event, and while Redis is away
 * they are lost: whoever needs to know asks the store. */
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tasks/celery/remote_internal.h"
#include "tasks/worker/worker_internal.h"

enum {
    FLUSH_MS = 10,
    GATHERED_MAX = 24, /* as Celery does */
    GATHERED_BYTES_MAX = 256 * 1024,
    EVENT_BYTES_MAX = 64 * 1024, /* of one task: repr()s are cut, tracebacks are */
    ARENA_BYTES_MAX = 64 * 1024 * 1024,
    TRACEBACK_BYTES_MAX = 4096,
    S_US = 1000000,
};

/* --- clock ---------------------------------------------------------------------------------------------------- */

int64_t celery__clock_forward(celery__events *events)
{
    return ++events->clock;
}

void celery__clock_adjust(celery__events *events, int64_t other)
{
    enum { CLOCK_BITS = 53 }; /* what is beyond is nobody's clock, and no number in JavaScript */
    if (other >= INT64_C(1) << CLOCK_BITS)
        return;
    events->clock = (other > events->clock ? other : events->clock) + 1;
}

/* Hours that UTC is ahead, as Python's time.timezone // 3600 says it. */
static int64_t utc_offset(time_t now)
{
    enum { HOUR_S = 3600 };
    struct tm local;
    if (localtime_r(&now, &local) == NULL)
        return 0;
    return (int64_t)floor(-(double)local.tm_gmtoff / HOUR_S);
}

/* --- life ----------------------------------------------------------------------------------------------------- */

celery__events *celery__events_new(celery__store *store)
{
    celery__events *events = calloc(1, sizeof *events);
    TIMS_ASSERT(events != NULL);
    *events = (celery__events){ .magic = CELERY__EVENTS_MAGIC, .celery = store, .totals = tims_map_new() };
    tims_buf_init(&events->waiting, NULL, GATHERED_BYTES_MAX);
    return events;
}

void celery__events_free(celery__events **events)
{
    celery__events *old = *events;
    *events = NULL;
    if (old == NULL)
        return;
    TIMS_CHECK_MAGIC(old, CELERY__EVENTS_MAGIC);
    size_t cursor = 0;
    tims_str name;
    void *total;
    while (tims_map_next(old->totals, &cursor, &name, &total))
        free(total);
    tims_map_free(&old->totals);
    tims_timer_clear(&old->beat);
    tims_timer_clear(&old->flush);
    tims_buf_free(&old->waiting);
    old->magic = 0;
    free(old);
}

void celery__events_enable(celery__events *events, bool on)
{
    TIMS_CHECK_MAGIC(events, CELERY__EVENTS_MAGIC);
    events->is_on = on;
}

/* --- writing -------------------------------------------------------------------------------------------------- */

static void publish(celery__events *events, const char *routing_key, tims_str body)
{
    celery__store *celery = events->celery;
    tims_buf message, headers, channel;
    tims_buf_init(&message, NULL, 3 * (size_t)GATHERED_BYTES_MAX);
    tims_buf_init(&headers, NULL, GATHERED_BYTES_MAX);
    tims_buf_init(&channel, NULL, GATHERED_BYTES_MAX);
    tims_buf_print(&channel, "/%lld.celeryev/%s", (long long)celery->database, routing_key);
    tims_json_writer w = tims_json_to(&headers);
    tims_json_begin_object(&w);
    tims_json_key(&w, TIMS_STR("hostname"));
    tims_json_str(&w, celery->hostname);
    tims_json_end_object(&w);
    celery__write_transient(&message, TIMS_STR("celeryev"), tims_str_from(routing_key),
                            tims_buf_str(&headers), body);
    if (!message.overflow)
        celery__publish(celery, tims_buf_str(&channel), tims_buf_str(&message));
    tims_buf_free(&message);
    tims_buf_free(&headers);
    tims_buf_free(&channel);
}

static void put_str(tims_json_writer *w, const char *key, tims_str text)
{
    tims_json_key(w, tims_str_from(key));
    tims_json_str(w, text);
}

static void put_str_or_null(tims_json_writer *w, const char *key, tims_str text)
{
    tims_json_key(w, tims_str_from(key));
    if (text.length > 0)
        tims_json_str(w, text);
    else
        tims_json_null(w);
}

static void put_int(tims_json_writer *w, const char *key, int64_t number)
{
    tims_json_key(w, tims_str_from(key));
    tims_json_int(w, number);
}

static void put_time_or_null(tims_json_writer *w, const char *key, bool present, tims_time time)
{
    tims_json_key(w, tims_str_from(key));
    if (present)
        tims_json_time(w, time);
    else
        tims_json_null(w);
}

/* What every event has. */
static void begin_event(celery__events *events, tims_json_writer *w, const char *type)
{
    tims_time now = tims_now();
    tims_json_begin_object(w);
    put_str(w, "hostname", events->celery->hostname);
    put_int(w, "utcoffset", utc_offset((time_t)(now.us / S_US)));
    put_int(w, "pid", getpid());
    put_int(w, "clock", celery__clock_forward(events));
    tims_json_key(w, TIMS_STR("timestamp"));
    tims_json_double(w, (double)now.us / S_US);
    put_str(w, "type", tims_str_from(type));
}

/* --- workers -------------------------------------------------------------------------------------------------- */

static int64_t count_active(const celery__events *events)
{
    const tasks__worker *worker = events->celery->store.tasks->worker;
    return worker != NULL ? (int64_t)worker->running_count : 0;
}

static void put_loads(tims_json_writer *w)
{
    enum { LOADS = 3, HUNDRED = 100 };
    double loads[LOADS] = { 0 };
    (void)getloadavg(loads, LOADS);
    tims_json_key(w, TIMS_STR("loadavg"));
    tims_json_begin_array(w);
    for (size_t i = 0; i < LOADS; i++)
        tims_json_double(w, round(loads[i] * HUNDRED) / HUNDRED);
    tims_json_end_array(w);
}

static void flush(void *argument);

/* What was gathered goes first: clocks arrive in their order. */
static void tell_worker(celery__events *events, const char *type, const char *routing_key)
{
    tims_buf body;
    flush(events);
    tims_buf_init(&body, NULL, EVENT_BYTES_MAX);
    tims_json_writer w = tims_json_to(&body);
    begin_event(events, &w, type);
    put_int(&w, "freq", CELERY__HEARTBEAT_S);
    put_int(&w, "active", count_active(events));
    put_int(&w, "processed", events->processed);
    put_loads(&w);
    put_str(&w, "sw_ident", TIMS_STR(CELERY__SOFTWARE));
    put_str(&w, "sw_ver", TIMS_STR(CELERY__SOFTWARE_VERSION));
    put_str(&w, "sw_sys", TIMS_STR("Linux"));
    tims_json_end_object(&w);
    if (!body.overflow)
        publish(events, routing_key, tims_buf_str(&body));
    tims_buf_free(&body);
}

static void beat(void *argument)
{
    enum { S_MS = 1000 };
    celery__events *events = argument;
    TIMS_CHECK_MAGIC(events, CELERY__EVENTS_MAGIC);
    tell_worker(events, "worker-heartbeat", "worker.heartbeat");
    tims_timer_set(events->celery->store.loop, &events->beat, (int64_t)CELERY__HEARTBEAT_S * S_MS, beat,
                   events);
}

/* Online begins the heartbeats, which need no further call; offline ends them. */
void celery__events_worker(celery__events *events, const char *type)
{
    TIMS_CHECK_MAGIC(events, CELERY__EVENTS_MAGIC);
    if (strcmp(type, "worker-online") == 0) {
        events->is_alive = true;
        tell_worker(events, type, "worker.online");
        beat(events);
    } else if (strcmp(type, "worker-offline") == 0) {
        events->is_alive = false;
        tims_timer_clear(&events->beat);
        tell_worker(events, type, "worker.offline");
    } else if (events->is_alive) {
        tell_worker(events, "worker-heartbeat", "worker.heartbeat");
    }
}

/* --- tasks ---------------------------------------------------------------------------------------------------- */

static void flush(void *argument)
{
    celery__events *events = argument;
    TIMS_CHECK_MAGIC(events, CELERY__EVENTS_MAGIC);
    tims_timer_clear(&events->flush);
    if (events->waiting_count == 0)
        return;
    tims_buf_append_char(&events->waiting, ']');
    if (!events->waiting.overflow)
        publish(events, "task.multi", tims_buf_str(&events->waiting));
    events->waiting.overflow = false;
    tims_buf_consume(&events->waiting, events->waiting.length);
    events->waiting_count = 0;
}

static void gather(celery__events *events, tims_str event)
{
    if (events->waiting.length + event.length + 2 > GATHERED_BYTES_MAX)
        flush(events);
    tims_buf_append_char(&events->waiting, events->waiting_count == 0 ? '[' : ',');
    tims_buf_append_str(&events->waiting, event);
    if (++events->waiting_count >= GATHERED_MAX)
        flush(events);
    else if (events->waiting_count == 1)
        tims_timer_set(events->celery->store.loop, &events->flush, FLUSH_MS, flush, events);
}

static void put_received(tims_json_writer *w, tims_arena *arena, const tasks__job *job)
{
    const celery__message *message = celery__message_of(job);
    put_str(w, "name", job->task);
    put_str(w, "args", TIMS_STR("()")); /* ours are all by name */
    put_str(w, "kwargs", celery__repr(arena, job->arguments));
    put_str_or_null(w, "root_id", message->root_id.length > 0 ? message->root_id : message->id);
    put_str_or_null(w, "parent_id", message->parent_id);
    put_int(w, "retries", message->retries);
    put_time_or_null(w, "eta", message->due_us != 0, (tims_time){ message->due_us });
    put_time_or_null(w, "expires", job->expires_at.present, job->expires_at.value);
}

static void put_failed(tims_json_writer *w, tims_arena *arena, const tasks__outcome *outcome)
{
    celery__result result;
    tims_buf text;
    celery__result_of(arena, outcome, tims_now(), &result);
    tims_buf_init(&text, arena, EVENT_BYTES_MAX);
    tims_json_escape(&text, result.error);
    put_str(w, "exception",
            tims_print(arena, "%s(%S)", result.error_type != NULL ? result.error_type : "Exception",
                       celery__repr(arena, tims_buf_str(&text))));
    put_str(w, "traceback", tims_str_slice(result.traceback, 0, TRACEBACK_BYTES_MAX));
}

static void put_fields(tims_json_writer *w, tims_arena *arena, const char *type, const tasks__job *job,
                       const tasks__outcome *outcome)
{
    put_str(w, "uuid", celery__id_of(job));
    if (strcmp(type, "task-received") == 0) {
        put_received(w, arena, job);
    } else if (strcmp(type, "task-succeeded") == 0) {
        tims_str result = outcome != NULL && outcome->result.length > 0 ? outcome->result : TIMS_STR("null");
        put_str(w, "result", celery__repr(arena, result));
        tims_json_key(w, TIMS_STR("runtime"));
        tims_json_double(w, outcome != NULL ? (double)outcome->runtime_us / S_US : 0);
    } else if (outcome != NULL && (strcmp(type, "task-failed") == 0 || strcmp(type, "task-retried") == 0)) {
        put_failed(w, arena, outcome);
    } else if (strcmp(type, "task-revoked") == 0) {
        bool expired = outcome != NULL && outcome->end == TASKS__EXPIRED;
        tims_json_key(w, TIMS_STR("terminated"));
        tims_json_bool(w, !expired && outcome != NULL && outcome->runtime_us > 0);
        tims_json_key(w, TIMS_STR("signum"));
        tims_json_null(w);
        tims_json_key(w, TIMS_STR("expired"));
        tims_json_bool(w, expired);
    } else if (strcmp(type, "task-rejected") == 0) {
        tims_json_key(w, TIMS_STR("requeue"));
        tims_json_bool(w, outcome != NULL && outcome->end == TASKS__BACK);
    }
}

/* For `inspect stats`. Only tasks that are known here, so the map stays as large as the table of tasks. */
static void count_received(celery__events *events, const tasks__job *job)
{
    int64_t *total = tims_map_get(events->totals, job->task);
    events->processed++;
    if (total == NULL && tims_tasks_find(events->celery->store.tasks, job->task) != NULL) {
        total = calloc(1, sizeof *total);
        TIMS_ASSERT(total != NULL);
        (void)tims_map_set(events->totals, job->task, total);
    }
    if (total != NULL)
        ++*total;
}

void celery__events_task(celery__events *events, const char *type, const tasks__job *job,
                         const tasks__outcome *outcome)
{
    TIMS_CHECK_MAGIC(events, CELERY__EVENTS_MAGIC);
    if (strcmp(type, "task-started") == 0)
        count_received(events, job);
    if (!events->is_on)
        return;
    tims_arena *arena = tims_arena_new(ARENA_BYTES_MAX, NULL, NULL);
    tims_buf body;
    tims_buf_init(&body, arena, EVENT_BYTES_MAX);
    tims_json_writer w = tims_json_to(&body);
    begin_event(events, &w, type);
    put_fields(&w, arena, type, job, outcome);
    tims_json_end_object(&w);
    if (!body.overflow)
        gather(events, tims_buf_str(&body));
    tims_arena_free(&arena);
}
