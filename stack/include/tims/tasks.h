/* tasks.h: work that is done later, elsewhere, or again: a function, its typed arguments, and a queue.
 *
 * A *task* is declared once: a function and the struct it is given. A *job* is one piece of work that was
 * asked for: a row (or a message on Redis) that commits or vanishes with the transaction in which it was
 * enqueued. A *run* is one attempt at it. A job is done at least once; it leaves its queue only after its
 * function has returned, and in the transaction of that function if it wrote to the database: what a run
 * wrote happened exactly once. */
#ifndef TIMS_TASKS_H
#define TIMS_TASKS_H

#include "tims/auth.h"
#include "tims/http.h"
#include "tims/json.h"
#include "tims/model.h"
#include "tims/redis.h"
#include "tims/rest.h"

typedef struct tims_tasks tims_tasks;
typedef struct tims_task tims_task;

/* --- a run: what a task's function is given --------------------------------------------------------------- */

/* Lives as long as the function runs. What it allocates from run->rq->arena goes with it; a raise ends the
 * run, which is tried again later. Writes on run->rq are one transaction, committed together with the job's
 * end. */
typedef struct tims_run {
    uint32_t magic;
    tims_request *rq;
    const tims_task *task;
    tims_id id;        /* the job's: the same in every attempt */
    tims_id user;      /* for whom it was enqueued; zero: nobody */
    int64_t attempt;   /* 1, 2, … */
    tims_str previous; /* JSON: in a chain what the step before gave; in a group's final step a list of
                          everyone's; data == NULL: none */
    void *runner;      /* the room's own */
} tims_run;

/* Whether it had better end soon: it was cancelled, its soft timeout has passed, or the worker is leaving. A
 * run that then raises or returns is counted as what it did; tims_hand_back gives the job to the next worker.
 */
bool tims_should_stop(const tims_run *run);
/* How far it is, 0 to 1, and in words: of a tracked task, whose user sees it at once. Cheap; may be called
 * often. Not part of the run's transaction. */
void tims_progress(tims_run *run, double fraction, const char *format, ...) TIMS_PRINTF(3, 4);
/* What the job gives: one JSON value. For the next step of a chain, a group's final step, the row of a
 * tracked task, and whoever asks over Redis. The last call wins. Raises: 500 when it is no JSON or above 1
 * MiB. */
void tims_result(tims_run *run, tims_str json);
/* Ends the run: again after this time. It counts as an attempt; `after_ms` < 0: as long as the task's policy
 * says. */
TIMS_NORETURN void tims_retry(tims_run *run, int64_t after_ms);
/* Ends the run: as if it had not begun; another worker, or this one later, takes the job. No attempt is
 * counted. */
TIMS_NORETURN void tims_hand_back(tims_run *run);
/* Ends the run and the job: to the dead list, without further attempts. */
TIMS_NORETURN void tims_give_up(tims_run *run, const char *code, const char *format, ...) TIMS_PRINTF(3, 4);

/* --- tasks ------------------------------------------------------------------------------------------------ */

enum { TIMS_PRIORITY_LAST = 9 };

struct tims_task {
    const char *name; /* in the database, on the wire, on the command line: never renamed while jobs wait */
    const char *doc;
    void (*run)(tims_run *run, const void *arguments);
    size_t size;        /* of the arguments' struct */
    tims_fields fields; /* what is in it; none: the task takes no arguments */
    int64_t version;    /* of the arguments; a job of another version is upgraded, or goes to the dead list */
    /* A job enqueued by older code: its arguments as this version has them, as JSON text in the arena; data
     * == NULL: there is no way. NULL: there is none for any. */
    tims_str (*upgrade)(tims_arena *arena, int64_t version, tims_str arguments);
    const char *queue;       /* NULL: "default" */
    int64_t priority;        /* 0 (first, and the default) to 9 (last) within its queue */
    int64_t max_attempts;    /* 0: 10 */
    int64_t retry_after_ms;  /* before the second attempt; doubled for each further one, ± 25 %; 0: 5 s */
    int64_t retry_max_ms;    /* 0: 1 hour */
    int64_t soft_timeout_ms; /* 0: none */
    int64_t
        timeout_ms; /* 0: 5 minutes. On a fiber: its next wait fails; `.blocking`: its process is killed */
    /* Runs in a process of its own kind: for what computes, or blocks in a library. It had better write last:
     * on SQLite nobody else can write between its first write and its end. */
    bool blocking;
    int64_t memory_bytes; /* of that process; past it, it is killed; 0: no limit */
    /* Only others run it, in Python: it has no function; needs TASKS_URL. Name its `.queue`. */
    bool remote;
    bool tracked;            /* each job has a row in /api/tasks/, which its user sees live */
    int64_t keep_s;          /* how long that row stays after its end, result included; 0: a day */
    int64_t key_concurrency; /* runs at once among jobs of one key; 0: no limit */
    const char *key_rate;    /* runs of one key: "100/m", as in throttles; NULL: no limit */
};

/* TIMS_TASK(send_digest, struct digest, .fields = TIMS_FIELDS(…), .queue = "mail") declares
 * `send_digest_task` for static void send_digest(tims_run *run, const struct digest *arguments) */
/* clang-format off */
#define TIMS_TASK(function, type, ...)                                          \
    static void function##_run(tims_run *run, const void *arguments)            \
    {                                                                           \
        function(run, (const type *)arguments);                                 \
    }                                                                           \
    const tims_task function##_task = { .name = #function, .run = function##_run, \
                                        .size = sizeof(type), __VA_ARGS__ }
/* clang-format on */

/* What a queue may do; a queue without a row has no limits. Ends with a row without a name. */
typedef struct tims_queue {
    const char *name;
    int64_t concurrency; /* runs at once, on all workers together; 0: no limit */
    const char *rate;    /* "100/m": runs begun, on all workers together; NULL: no limit */
    const char *doc;
} tims_queue;

/* --- enqueuing -------------------------------------------------------------------------------------------- */

typedef enum tims_unique {
    TIMS_UNIQUE_QUEUED,     /* until a run of it begins */
    TIMS_UNIQUE_UNFINISHED, /* until it is done, dead or cancelled */
    TIMS_UNIQUE_FOR         /* for `unique_for_ms` from when it was enqueued */
} tims_unique;

typedef struct tims_enqueue_options {
    int64_t delay_ms;
    tims_time run_at;     /* not before this; not together with delay_ms; zero: now */
    tims_time expires_at; /* not after this: it ends as expired; zero: never */
    const char *queue;    /* NULL: the task's */
    tims_opt_int priority;
    tims_str key; /* whose jobs share key_concurrency and key_rate */
    tims_str
        unique; /* with the task's name: while there is a job of it, another is not enqueued; data == NULL */
    tims_unique unique_while;
    int64_t unique_for_ms;
} tims_enqueue_options;

enum { TIMS_ARGUMENTS_BYTES_MAX = 256 * 1024, TIMS_TASK_KEY_BYTES_MAX = 200, TIMS_STEPS_MAX = 10000 };

/* In the request's transaction, begun if need be: committed with it, or not at all. Returns the job's id;
 * where `unique` found another, that one's. For the request's user, if somebody is signed in, or the run's.
 * Raises: 422 (arguments that their fields do not allow, too large, a negative delay), 503. */
tims_id tims_enqueue(tims_request *rq, const tims_task *task, const void *arguments);
/* The same with options: later, in another queue, once. */
tims_id tims_enqueue_with(tims_request *rq, const tims_task *task, const void *arguments,
                          const tims_enqueue_options *options);

/* A task by its name, with arguments as JSON (NULL: none). Raises: 404 (unknown task), and as tims_enqueue.
 */
tims_id tims_enqueue_json(tims_request *rq, tims_str task, const tims_json *arguments,
                          const tims_enqueue_options *options);

typedef struct tims_step {
    const tims_task *task;
    const void *arguments;
    const tims_enqueue_options *options; /* NULL: none; `unique` is not for steps */
} tims_step;
/* One after the other: a step is enqueued in the transaction that ends the one before. A step that goes to
 * the dead list holds the rest until it is retried there. Returns the first one's id. Raises: as
 * tims_enqueue. */
tims_id tims_enqueue_chain(tims_request *rq, const tims_step *steps, size_t count);
/* All at once; when the last of them is done, `last` (may be NULL) is enqueued, once. Those that go to the
 * dead list keep the group open until they are retried or given up there. Returns the group's id. */
tims_id tims_enqueue_group(tims_request *rq, const tims_step *steps, size_t count, const tims_step *last);

/* A job that waits vanishes; one that runs is asked to stop, and not tried again. False: there is no such job
 * (any more). In the request's transaction. Raises: 503. */
bool tims_cancel(tims_request *rq, tims_id job);

/* What is known of a job on Redis, also of one that Python ran. */
typedef struct tims_task_outcome {
    tims_str state; /* "PENDING" (not known, too), "STARTED", "RETRY", "SUCCESS", "FAILURE", "REVOKED", or
                       what the task says */
    const tims_json *result;    /* SUCCESS: what it gave; a state of its own: what it says of it; else NULL */
    tims_str error_type, error; /* FAILURE, RETRY, REVOKED: the exception's name and message */
} tims_task_outcome;
/* Results stay a day. Needs TASKS_URL. Lives in the request's arena. Suspends. Raises: 503 (Redis is away),
 * 502 (what is there is no result). */
tims_task_outcome tims_task_result(tims_request *rq, tims_id job);

/* --- schedules -------------------------------------------------------------------------------------------- */

typedef enum tims_catch_up {
    TIMS_CATCH_UP_LAST, /* of what was missed while nobody ran: once */
    TIMS_CATCH_UP_NONE, /* what is more than a minute late is left out */
    TIMS_CATCH_UP_ALL   /* each, up to a hundred */
} tims_catch_up;

/* Ends with a row without a name. */
typedef struct tims_schedule {
    const char *name; /* unique in the project */
    const tims_task *task;
    const void *arguments;
    const char *cron; /* "0 3 * * 1-5", "@daily"; or… */
    int64_t every_s;  /* …an interval, counted from 1970 */
    const char *zone; /* "Europe/Berlin", of `cron`; NULL: UTC */
    tims_catch_up catch_up;
    const char *doc;
} tims_schedule;

/* --- the process's part: composition ---------------------------------------------------------------------- */

typedef struct tims_tasks_options {
    const tims_task *const *const *tasks; /* one NULL-terminated table of each app */
    size_t task_table_count;
    const tims_queue *const *queues;
    size_t queue_table_count;
    const tims_schedule *const *schedules;
    size_t schedule_table_count;
    /* Of a run's request, as in the server options. `begin` gives it its database and the rest. */
    const void *server_data;
    void (*begin)(tims_request *rq);
    tims_str url;        /* redis://…: messages in Celery's protocol; empty: the app's database */
    const char *program; /* argv[0] of this program, for blocking tasks' processes */
} tims_tasks_options;

/* In the arena, ended with it. Errors: INVALID naming the task, queue or schedule and what is wrong with it
 * (one that never fires, too).
 */
tims_status tims_tasks_new(tims_arena *arena, tims_db *db, const tims_tasks_options *options,
                           tims_tasks **ret_tasks, tims_error *err);

/* Around every request: tims_enqueue finds it there. */
void tims_request_set_tasks(tims_request *rq, tims_tasks *tasks);
const tims_task *tims_tasks_find(const tims_tasks *tasks, tims_str name); /* NULL: unknown */

typedef struct tims_worker_options {
    tims_str name;       /* empty: host:pid */
    tims_names queues;   /* none: all that tasks are declared for, and those of `queues` */
    int64_t concurrency; /* runs at once on fibers: 0: 100 */
    int64_t processes;   /* for blocking tasks; 0: one per core */
    int64_t lease_ms;    /* 0: 30 s. Who does not sign life for as long has lost its jobs to others */
    int64_t drain_ms;    /* how long runs may go on when it stops, before they are handed back; 0: 20 s */
    bool no_schedules;
    /* Somebody asked for its end over Redis (Celery's "shutdown"): on its loop. NULL: that is refused. */
    tims_loop_fn on_shutdown;
    void *on_shutdown_argument;
} tims_worker_options;
/* On this loop, until stop: takes jobs and runs them. On its thread. Errors: as of the database. */
tims_status tims_worker_start(tims_tasks *tasks, tims_loop *loop, const tims_worker_options *options,
                              tims_error *err);
/* No further job is taken; runs end or are handed back; then `on_stopped(argument)` is called (may be NULL).
 */
void tims_worker_stop(tims_tasks *tasks, tims_loop_fn on_stopped, void *argument);
/* The process of a blocking task: what `program task-process SOCKET` runs. Returns the exit status. */
int tims_task_process(tims_tasks *tasks, const char *socket_path);

/* Around every loop of the process whose requests cancel jobs or read results on Redis; the worker's does it
 * by itself. */
tims_status tims_tasks_loop_start(tims_tasks *tasks, tims_loop *loop, tims_error *err);
/* From the same loop, before it ends. */
void tims_tasks_loop_stop(tims_tasks *tasks, tims_loop *loop);
/* Where no worker runs: what is enqueued goes to Redis all the same. Nothing to do without TASKS_URL. On the
 * loop's thread, on a fiber. `on_stopped` may be NULL. */
tims_status tims_relay_start(tims_tasks *tasks, tims_loop *loop, tims_error *err);
/* Sends what is on its way, then calls `on_stopped(argument)`. */
void tims_relay_stop(tims_tasks *tasks, tims_loop_fn on_stopped, void *argument);

void tims_tasks_metrics(tims_tasks *tasks, tims_buf *out); /* Prometheus text, appended */

extern const tims_model *const tims_tasks_models[];
extern const tims_embedded tims_tasks_migrations[];
extern const tims_resource tims_tasks_resources[];
extern const tims_computed tims_tasks_computed[];
extern const tims_route tims_tasks_routes[];

#endif
