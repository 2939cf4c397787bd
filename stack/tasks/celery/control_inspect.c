/* control_inspect.c: what `celery inspect` asks of a worker: nothing that changes anything. Answers have the
 * shape of Celery's own, so that Flower reads them. */
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tasks/celery/remote_internal.h"
#include "tasks/worker/worker_internal.h"

enum {
    S_US = 1000000,
    ARGUMENTS_SHOWN = 4096, /* bytes; longer ones are shown as text that is cut */
    RUNS_SHOWN = 1000,
    REVOKED_SHOWN = 10000,
    SCHEDULED_ARENA = 16 * 1024 * 1024,
};

static void put_str(tims_json_writer *w, const char *key, tims_str text)
{
    tims_json_key(w, tims_str_from(key));
    tims_json_str(w, text);
}

static void put_int(tims_json_writer *w, const char *key, int64_t number)
{
    tims_json_key(w, tims_str_from(key));
    tims_json_int(w, number);
}

static void put_bool(tims_json_writer *w, const char *key, bool value)
{
    tims_json_key(w, tims_str_from(key));
    tims_json_bool(w, value);
}

static void put_null(tims_json_writer *w, const char *key)
{
    tims_json_key(w, tims_str_from(key));
    tims_json_null(w);
}

static const tasks__worker *worker_of(const celery__answer *a)
{
    return a->celery->store.tasks->worker;
}

/* --- runs ----------------------------------------------------------------------------------------------------- */

static void put_request(const celery__answer *a, const tasks__job *job, const celery__message *message,
                        bool runs)
{
    tims_json_writer *w = a->w;
    tims_json_begin_object(w);
    put_str(w, "id", message->id);
    put_str(w, "name", job->task);
    tims_json_key(w, TIMS_STR("args"));
    tims_json_raw(w, TIMS_STR("[]")); /* all are by name here */
    tims_json_key(w, TIMS_STR("kwargs"));
    if (job->arguments.length <= ARGUMENTS_SHOWN)
        tims_json_raw(w, job->arguments);
    else
        tims_json_str(w, celery__repr(a->arena, job->arguments));
    put_str(w, "type", job->task);
    put_str(w, "hostname", a->celery->hostname);
    tims_json_key(w, TIMS_STR("time_start"));
    if (runs)
        tims_json_double(w, (double)(tims_now().us - (tims_monotonic_us() - message->taken_us)) / S_US);
    else
        tims_json_null(w);
    put_bool(w, "acknowledged", false);
    tims_json_key(w, TIMS_STR("delivery_info"));
    tims_json_begin_object(w);
    put_str(w, "exchange", TIMS_STR(""));
    put_str(w, "routing_key", job->queue);
    put_int(w, "priority", job->priority);
    put_bool(w, "redelivered", job->crashes > 0);
    tims_json_end_object(w);
    tims_json_key(w, TIMS_STR("worker_pid"));
    if (runs)
        tims_json_int(w, getpid());
    else
        tims_json_null(w);
    tims_json_end_object(w);
}

static void answer_active(celery__answer *a)
{
    size_t shown = 0;
    const tasks__worker *worker = worker_of(a);
    tims_json_begin_array(a->w);
    if (worker != NULL)
        for (const tasks__item *at = worker->running; at != NULL && shown < RUNS_SHOWN; at = at->next_running)
            if (at->job->store_data != NULL) {
                put_request(a, at->job, celery__message_of(at->job), true);
                shown++;
            }
    tims_json_end_array(a->w);
}

/* Nothing is taken before there is room for it to run. */
static void answer_reserved(celery__answer *a)
{
    tims_json_begin_array(a->w);
    tims_json_end_array(a->w);
}

static void answer_query_task(celery__answer *a)
{
    const tasks__worker *worker = worker_of(a);
    tims_str *ids = TIMS_NEW_ARRAY(a->arena, tims_str, CELERY__IDS_MAX);
    size_t count = celery__ids_argument(a, "ids", ids);
    tims_json_begin_object(a->w);
    for (const tasks__item *at = worker != NULL ? worker->running : NULL; at != NULL; at = at->next_running)
        for (size_t i = 0; i < count && at->job->store_data != NULL; i++)
            if (tims_str_equal(celery__id_of(at->job), ids[i])) {
                tims_json_key(a->w, ids[i]);
                tims_json_begin_array(a->w);
                tims_json_str(a->w, TIMS_STR("active"));
                put_request(a, at->job, celery__message_of(at->job), true);
                tims_json_end_array(a->w);
                break; /* an id that is named twice is answered once */
            }
    tims_json_end_object(a->w);
}

/* --- what waits for its time ---------------------------------------------------------------------------------- */

/* The first fifty, large ones left out: members of tims:delayed (scripts.c) and their scores. */
#define SCHEDULED                                                                       \
    "local out = {} "                                                                   \
    "local all = redis.call('ZRANGE', 'tims:delayed', 0, 49, 'WITHSCORES') "            \
    "for i = 1, #all, 2 do if #all[i] <= 16384 then "                                   \
    "out[#out + 1] = all[i] out[#out + 1] = string.format('%.0f', all[i + 1]) end end " \
    "return out"

static void put_scheduled(const celery__answer *a, tims_str member, tims_str score)
{
    tims_str text = member, queue = tims_str_cut(&text, '\n');
    int64_t due_us;
    celery__envelope envelope;
    tims_arena *arena = tims_arena_new(SCHEDULED_ARENA, NULL, NULL);
    size_t step = tims_str_find(queue, TIMS_STR("\x06\x16"));
    if (step != SIZE_MAX)
        queue = tims_str_slice(queue, 0, step);
    if (text.data != NULL && tims_str_to_int(score, 0, INT64_MAX, &due_us) &&
        celery__read(a->celery->store.tasks, arena, queue, text, &envelope, NULL) == TIMS_OK) {
        tims_json_begin_object(a->w);
        tims_json_key(a->w, TIMS_STR("eta"));
        tims_json_time(a->w, (tims_time){ due_us });
        put_int(a->w, "priority", envelope.job.priority);
        tims_json_key(a->w, TIMS_STR("request"));
        put_request(a, &envelope.job, &envelope.message, false);
        tims_json_end_object(a->w);
    }
    tims_arena_free(&arena);
}

/* It waits in Redis, for whichever worker is free then, so every worker says the same. */
static void answer_scheduled(celery__answer *a)
{
    const tims_redis_reply *reply;
    tims_error err = { 0 };
    tims_status status = tims_redis_call(
        a->celery->redis, a->arena, TIMS_REDIS_COMMAND(TIMS_STR("EVAL"), TIMS_STR(SCHEDULED), TIMS_STR("0")),
        &reply, &err);
    if (status != TIMS_OK || a->control->is_closed) {
        celery__say_error(a, "%s", err.message);
        return;
    }
    tims_json_begin_array(a->w);
    for (size_t i = 0; i + 1 < tims_redis_count(reply); i += 2)
        put_scheduled(a, tims_redis_text(tims_redis_item(reply, i)),
                      tims_redis_text(tims_redis_item(reply, i + 1)));
    tims_json_end_array(a->w);
}

/* --- what is revoked ------------------------------------------------------------------------------------------ */

static void answer_revoked(celery__answer *a)
{
    size_t cursor = 0, shown = 0;
    tims_str id;
    tims_json_begin_array(a->w);
    while (shown++ < REVOKED_SHOWN && celery__revoked_next(a->celery, &cursor, &id))
        tims_json_str(a->w, id);
    tims_json_end_array(a->w);
}

/* A Python worker that starts: what it does not know yet. */
static void answer_hello(celery__answer *a)
{
    size_t cursor = 0, shown = 0;
    tims_str id, *ids = TIMS_NEW_ARRAY(a->arena, tims_str, CELERY__IDS_MAX);
    size_t count = celery__ids_argument(a, "revoked", ids);
    if (tims_str_equal(celery__text_argument(a, "from_node"), a->celery->hostname)) {
        tims_json_null(a->w);
        return;
    }
    for (size_t i = 0; i < count; i++)
        (void)celery__revoke_waiting(a->celery, ids[i]);
    tims_json_begin_object(a->w);
    tims_json_key(a->w, TIMS_STR("revoked"));
    tims_json_begin_object(a->w);
    while (shown++ < REVOKED_SHOWN && celery__revoked_next(a->celery, &cursor, &id)) {
        tims_json_key(a->w, id);
        tims_json_double(a->w, (double)tims_monotonic_us() / S_US); /* of the same clock as theirs */
    }
    tims_json_end_object(a->w);
    put_int(a->w, "clock", celery__clock_forward(a->celery->events));
    tims_json_end_object(a->w);
}

/* --- the worker ----------------------------------------------------------------------------------------------- */

static void answer_ping(celery__answer *a)
{
    celery__say_ok(a, "pong");
}

static void answer_clock(celery__answer *a)
{
    tims_json_begin_object(a->w);
    put_int(a->w, "clock", a->celery->events->clock);
    tims_json_end_object(a->w);
}

static void put_broker(celery__answer *a)
{
    tims_str name = tims_redis_name(a->celery->redis); /* host:port/database */
    size_t slash = name.length, colon;
    int64_t port = 0;
    while (slash > 0 && name.data[slash - 1] != '/')
        slash--;
    tims_str address = tims_str_slice(name, 0, slash > 0 ? slash - 1 : name.length);
    colon = address.length;
    while (colon > 0 && address.data[colon - 1] != ':')
        colon--;
    if (colon > 0 && !tims_str_to_int(tims_str_slice(address, colon, address.length), 0, UINT16_MAX, &port))
        port = 0;
    tims_json_key(a->w, TIMS_STR("broker"));
    tims_json_begin_object(a->w);
    put_str(a->w, "hostname", tims_str_slice(address, 0, colon > 0 ? colon - 1 : address.length));
    put_null(a->w, "userid");
    put_str(a->w, "virtual_host", tims_print(a->arena, "%lld", (long long)a->celery->database));
    put_int(a->w, "port", port);
    put_bool(a->w, "ssl", false);
    put_str(a->w, "transport", TIMS_STR("redis"));
    tims_json_end_object(a->w);
}

static void put_pool(celery__answer *a)
{
    const tasks__worker *worker = worker_of(a);
    tims_json_key(a->w, TIMS_STR("pool"));
    tims_json_begin_object(a->w);
    put_str(a->w, "implementation", TIMS_STR("tims:fibers"));
    put_int(a->w, "max-concurrency", worker != NULL ? (int64_t)worker->concurrency : 0);
    put_int(a->w, "blocking-processes",
            worker != NULL && worker->pool != NULL ? (int64_t)worker->processes : 0);
    tims_json_key(a->w, TIMS_STR("processes"));
    tims_json_begin_array(a->w);
    tims_json_int(a->w, getpid());
    tims_json_end_array(a->w);
    tims_json_end_object(a->w);
}

static void put_usage(celery__answer *a)
{
    struct rusage usage = { 0 };
    (void)getrusage(RUSAGE_SELF, &usage);
    tims_json_key(a->w, TIMS_STR("rusage"));
    tims_json_begin_object(a->w);
    tims_json_key(a->w, TIMS_STR("utime"));
    tims_json_double(a->w, (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / S_US);
    tims_json_key(a->w, TIMS_STR("stime"));
    tims_json_double(a->w, (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / S_US);
    put_int(a->w, "maxrss", usage.ru_maxrss);
    put_int(a->w, "minflt", usage.ru_minflt);
    put_int(a->w, "majflt", usage.ru_majflt);
    put_int(a->w, "inblock", usage.ru_inblock);
    put_int(a->w, "oublock", usage.ru_oublock);
    put_int(a->w, "nvcsw", usage.ru_nvcsw);
    put_int(a->w, "nivcsw", usage.ru_nivcsw);
    tims_json_end_object(a->w);
}

static void answer_stats(celery__answer *a)
{
    size_t cursor = 0;
    tims_str name;
    void *total;
    const celery__events *events = a->celery->events;
    tims_json_begin_object(a->w);
    tims_json_key(a->w, TIMS_STR("total"));
    tims_json_begin_object(a->w);
    while (tims_map_next(events->totals, &cursor, &name, &total))
        put_int(a->w, tims_copy_c(a->arena, name), *(const int64_t *)total);
    tims_json_end_object(a->w);
    put_int(a->w, "pid", getpid());
    put_str(a->w, "clock", tims_print(a->arena, "%lld", (long long)events->clock));
    put_int(a->w, "uptime", (tims_monotonic_us() - a->celery->started_us) / S_US);
    put_pool(a);
    put_broker(a);
    put_int(a->w, "prefetch_count", 0);
    put_usage(a);
    tims_json_end_object(a->w);
}

static int compare_names(const void *a, const void *b)
{
    return tims_str_compare(*(const tims_str *)a, *(const tims_str *)b);
}

static void answer_registered(celery__answer *a)
{
    size_t cursor = 0, count = 0;
    tims_str name;
    void *task;
    const tims_map *by_name = a->celery->store.tasks->by_name;
    tims_str *names = TIMS_NEW_ARRAY(a->arena, tims_str, tims_map_count(by_name) + 1);
    while (tims_map_next(by_name, &cursor, &name, &task))
        if (!((const tims_task *)task)->remote)
            names[count++] = name;
    qsort(names, count, sizeof *names, compare_names);
    tims_json_begin_array(a->w);
    for (size_t i = 0; i < count; i++)
        tims_json_str(a->w, names[i]);
    tims_json_end_array(a->w);
}

static void put_queue(tims_json_writer *w, tims_str name)
{
    static const char *const nulls[] = { "queue_arguments", "binding_arguments", "consumer_arguments",
                                         "alias",           "no_declare",        "expires",
                                         "message_ttl",     "max_length",        "max_length_bytes",
                                         "max_priority" };
    tims_json_begin_object(w);
    put_str(w, "name", name);
    tims_json_key(w, TIMS_STR("exchange"));
    tims_json_begin_object(w);
    put_str(w, "name", name);
    put_str(w, "type", TIMS_STR("direct"));
    put_null(w, "arguments");
    put_bool(w, "durable", true);
    put_bool(w, "passive", false);
    put_bool(w, "auto_delete", false);
    put_null(w, "delivery_mode");
    put_bool(w, "no_declare", false);
    tims_json_end_object(w);
    put_str(w, "routing_key", name);
    put_bool(w, "durable", true);
    put_bool(w, "exclusive", false);
    put_bool(w, "auto_delete", false);
    put_bool(w, "no_ack", false);
    tims_json_key(w, TIMS_STR("bindings"));
    tims_json_raw(w, TIMS_STR("[]"));
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        put_null(w, nulls[i]);
    tims_json_end_object(w);
}

static void answer_active_queues(celery__answer *a)
{
    const tasks__worker *worker = worker_of(a);
    tims_json_begin_array(a->w);
    for (size_t i = 0; worker != NULL && i < worker->queue_count; i++)
        put_queue(a->w, worker->queues[i].name);
    tims_json_end_array(a->w);
}

/* In Celery's words, and without a secret. */
static void answer_conf(celery__answer *a)
{
    const tasks__worker *worker = worker_of(a);
    tims_str url = tims_print(a->arena, "redis://%S", tims_redis_name(a->celery->redis));
    tims_json_begin_object(a->w);
    put_str(a->w, "broker_url", url);
    put_str(a->w, "result_backend", url);
    put_str(a->w, "task_serializer", TIMS_STR("json"));
    put_str(a->w, "result_serializer", TIMS_STR("json"));
    tims_json_key(a->w, TIMS_STR("accept_content"));
    tims_json_raw(a->w, TIMS_STR("[\"json\"]"));
    put_bool(a->w, "task_acks_late", true);
    put_bool(a->w, "enable_utc", true);
    put_str(a->w, "timezone", TIMS_STR("UTC"));
    put_int(a->w, "worker_concurrency", worker != NULL ? (int64_t)worker->concurrency : 0);
    put_int(a->w, "worker_prefetch_multiplier", 0);
    put_bool(a->w, "worker_send_task_events", a->celery->events->is_on);
    tims_json_end_object(a->w);
}

static void answer_report(celery__answer *a)
{
    celery__say_ok(
        a, "\nsoftware -> %s:%s (speaks Celery's protocol 2)\nsettings -> transport:redis results:redis\n",
        CELERY__SOFTWARE, CELERY__SOFTWARE_VERSION);
}

const celery__command celery__inspect_commands[] = {
    { "ping", NULL, answer_ping },
    { "clock", NULL, answer_clock },
    { "stats", NULL, answer_stats },
    { "active", "dump_active", answer_active },
    { "reserved", "dump_reserved", answer_reserved },
    { "scheduled", "dump_schedule", answer_scheduled },
    { "revoked", "dump_revoked", answer_revoked },
    { "registered", "dump_tasks", answer_registered },
    { "active_queues", NULL, answer_active_queues },
    { "query_task", NULL, answer_query_task },
    { "conf", "dump_conf", answer_conf },
    { "report", NULL, answer_report },
    { "hello", NULL, answer_hello },
    { 0 },
};
