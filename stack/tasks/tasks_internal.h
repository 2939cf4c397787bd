/* tasks_internal.h: what the files of this room share.
 *
 *   enqueue.c ─► store (claim) ─► worker/ ─► run.c, on a fiber or in a process/ ─► outcome ─► store (finish)
 *   follow.c: what comes behind it        schedule/: what comes by itself        api/: who looks and acts
 *
 * A store is the app's database (sql/) or Redis in Celery's protocol (celery/). Jobs are always enqueued in
 * the database, because that is where the transaction is; with Redis they are relayed from there. */
#ifndef TASKS_INTERNAL_H
#define TASKS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tasks/models.h"
#include "tims/crypto.h"
#include "tims/db.h"
#include "tims/loop.h"
#include "tims/tasks.h"

/* --- jobs ------------------------------------------------------------------------------------------------- */

typedef enum tasks__state {
    TASKS__READY = 0,
    TASKS__LATER = 1, /* run_at is in the future */
    TASKS__RUNNING = 2,
    TASKS__BLOCKED = 3, /* its key is at its limit; the end of another of the key makes it ready */
} tasks__state;

enum {
    TASKS__MAGIC = 0x5441534b,
    TASKS__RUN_MAGIC = 0x54524e31,
    TASKS__NAME_BYTES_MAX = 200,
    TASKS__RESULT_BYTES_MAX = 1024 * 1024,
    TASKS__CRASHES_MAX = 3,
    TASKS__CLAIM_MAX = 500,
};

/* As it is stored; all of it in one block (tasks__job_copy). Times are of the store's clock. */
typedef struct tasks__job {
    tims_id id;
    tims_str task, queue;
    int64_t version;
    tims_str arguments; /* a JSON object */
    int64_t priority;
    int64_t attempt; /* of runs begun, this one included */
    int64_t crashes; /* of runs whose worker or process died */
    tims_time run_at, enqueued_at;
    tims_opt_time expires_at;
    tims_opt_id user;
    tims_opt_str key, unique_key;
    tims_unique unique_while;
    tims_opt_id group_id;
    int64_t group_index;
    tims_opt_str steps;    /* JSON: those that follow (follow.c) */
    tims_opt_str previous; /* JSON: what the step before gave */
    tims_str trace;        /* foreign messages: what goes back with the result (celery/) */
    bool tracked;
    void *store_data; /* of the store that gave it; freed by its `forget` */
} tasks__job;

/* Beside which workers have died so often that once more is too much: one of them at a time is run by a
 * worker, so that the one that kills it does not take those along that happened to run beside it. */
static inline bool tasks__is_suspect(const tasks__job *job)
{
    return job->crashes == TASKS__CRASHES_MAX - 1;
}

tasks__job *tasks__job_copy(const tasks__job *job); /* yours: tasks__job_free */
void tasks__job_free(tasks__job **job);

typedef enum tasks__end {
    TASKS__DONE,
    TASKS__COMMITTED, /* done, and the store knows: it was in the run's own transaction */
    TASKS__AGAIN,     /* at outcome.run_at */
    TASKS__DEAD,
    TASKS__BACK, /* as if the attempt had not begun */
    TASKS__CANCELLED,
    TASKS__EXPIRED,
    TASKS__LOST /* somebody else has it meanwhile: nothing to do */
} tasks__end;

/* How a run ended. */
typedef struct tasks__outcome {
    tasks__job *job;
    tasks__end end;
    bool crashed;     /* AGAIN, DEAD: its process died; counted in job.crashes */
    tims_time run_at; /* AGAIN */
    tims_str result;  /* DONE: JSON; data == NULL: null. In `arena` */
    const char *code; /* DEAD, AGAIN: static or in `arena`: "timeout", "crashed", "invalid_arguments" … */
    tims_str message; /* for people; in `arena` */
    int64_t runtime_us;
    tims_arena *arena; /* of strings; NULL: none */
    struct tasks__outcome *next;
} tasks__outcome;

/* --- the store -------------------------------------------------------------------------------------------- */

/* All of it on fibers of the worker's loop; each call is a transaction of its own unless it says otherwise.
 */
typedef struct tasks__store tasks__store;
typedef struct tasks__store_api {
    const char *name;
    tims_status (*start)(tasks__store *store, tims_loop *loop, tims_error *err);
    void (*stop)(tasks__store *store);
    /* Which queues have something, without taking it: cheap. NULL: claim looks by itself. */
    tims_status (*look)(tasks__store *store, const tims_str *queues, size_t count, bool *ret_has,
                        tims_error *err);
    /* How many wait in each that tims_job does not know of; exact. NULL: none. */
    tims_status (*count)(tasks__store *store, const tims_str *queues, size_t count, int64_t *ret_waiting,
                         tims_error *err);
    /* At most `max` jobs of the queue that may run now, marked as this worker's; attempt counted. Jobs are
     * copies, in `ret_jobs[max]`. */
    tims_status (*claim)(tasks__store *store, tims_str queue, size_t max, tasks__job **ret_jobs,
                         size_t *ret_count, tims_error *err);
    /* What the outcomes say, in one transaction: a list. Jobs that are no longer this worker's are left
     * alone. */
    tims_status (*finish)(tasks__store *store, tasks__outcome *list, tims_error *err);
    /* In the run's own transaction: takes the job out as done, with its result. NOT_FOUND: it is no longer
     * ours. NULL (Redis): the store cannot; `finish` then follows the commit. */
    tims_status (*finish_in)(tasks__store *store, tims_db_session *session, const tasks__outcome *outcome,
                             tims_error *err);
    /* A sign of life; also tells which running jobs were cancelled, by calling back. Every lease_ms / 6. If
     * the lease was lost, calls `lost` (NULL: nobody asks), which may suspend, and then comes back as
     * somebody else: what is claimed from then on is not what was lost. After an error it may be called
     * again. */
    tims_status (*beat)(tasks__store *store, void (*cancelled)(void *argument, tims_id job),
                        void (*lost)(void *argument), void *argument, tims_error *err);
    /* Moves what is due to its queue, takes back jobs of dead workers, sweeps what has had its time.
     * `ret_next`: when something is due next; INT64_MAX us: nothing is known. */
    tims_status (*tidy)(tasks__store *store, tims_time *ret_next, tims_error *err);
    void (*forget)(tasks__job *job); /* frees store_data; NULL: there is none */
    /* A job that is no longer in the database. False: it is not known. NULL: there are no others. */
    bool (*cancel)(tasks__store *store, tims_request *rq, tims_id job);
} tasks__store_api;

struct tasks__store {
    const tasks__store_api *api;
    tims_tasks *tasks;
    tims_loop *loop;
    tims_id worker; /* this incarnation */
    tims_str worker_name, queues_text;
    int64_t lease_ms, concurrency;
    int64_t poll_ms;  /* how often it is asked for jobs when nobody says that there are any; 0: each second */
    int64_t suspects; /* running here: jobs whose next crash would be their last */
};

tasks__store *tasks__sql_store_new(tims_tasks *tasks);
void tasks__sql_store_free(tasks__store **store);
/* celery/store.c: Redis in Celery's message protocol v2. Errors: INVALID (the URL). */
tims_status tasks__celery_store_new(tims_tasks *tasks, tims_str url, tasks__store **ret_store,
                                    tims_error *err);
void tasks__celery_store_free(tasks__store **store);

/* --- counts ----------------------------------------------------------------------------------------------- */

/* How many there are, as last counted (queue_counts.c). */
typedef enum tasks__depth {
    TASKS__WAITING,
    TASKS__WAITING_LATER,
    TASKS__NOW_RUNNING,
    TASKS__WAITING_BLOCKED,
    TASKS__IN_DEAD_LIST,
    TASKS__DEPTHS
} tasks__depth;

enum { TASKS__BUCKETS = 16 }; /* of times: up to the bounds in metrics.c, and a last one for all above */
typedef struct tasks__counts {
    tims_str queue;
    _Atomic int64_t enqueued, started, done, failed, retried, dead, cancelled, expired, running;
    _Atomic int64_t wait_us_sum, run_us_sum;
    _Atomic int64_t waited[TASKS__BUCKETS], ran[TASKS__BUCKETS];
    _Atomic int64_t depths[TASKS__DEPTHS];
    _Atomic bool is_counted;
    /* What the queue's row has of it; the worker's. */
    int64_t told_done, told_failed, told_activity;
} tasks__counts;

/* --- the process's tasks ---------------------------------------------------------------------------------- */

typedef struct tasks__worker tasks__worker;       /* worker.c */
typedef struct tasks__schedules tasks__schedules; /* schedule.c */

struct tims_tasks {
    uint32_t magic;
    tims_db *db;
    tims_arena *arena;
    tims_tasks_options options;
    tims_map *by_name;     /* name → const tims_task */
    tims_map *queue_rules; /* name → const tims_queue */
    tims_names queues;     /* all that are declared, sorted */
    tims_names limited;    /* those with limits, of their own or of their tasks' keys */
    tims_str limited_json; /* the same as a JSON array */
    tims_names own_queues; /* of those, what a worker takes jobs from: not what only others run */
    tasks__counts *counts; /* one per declared queue, and a last one for all others */
    size_t count_count;
    tasks__store *sql;   /* always there */
    tasks__store *store; /* what the worker takes jobs from: `sql`, or Redis */
    pthread_mutex_t worker_lock;
    tasks__worker *worker; /* under the lock; NULL: none runs here */
    struct celery__relay
        *relay; /* under the lock; NULL: none runs here. On the worker's loop, if there is one */
    tims_loop *relay_loop;
    _Atomic bool wake_is_posted;
    _Atomic int64_t wake_at_us;    /* on its way to the worker's alarm; 0: nothing is */
    tims_buf swept;                /* limit_keys.c: how far the sweep has come */
    tasks__schedules *schedules;   /* the worker's; NULL: it has not looked yet */
    _Atomic bool signal_is_coming; /* signal.c */
    _Atomic int64_t signalled_us;
    _Atomic int64_t clock_offset_us; /* what the database's clock is ahead of ours */
    int64_t test_clock_us;           /* tests: added to it */
};

/* The store's clock. */
tims_time tasks__now(const tims_tasks *tasks);
tasks__counts *tasks__counts_of(tims_tasks *tasks, tims_str queue);
bool tasks__is_limited(const tims_tasks *tasks, tims_str queue);
/* Where a job came from: what has limits waits in the database, also where the others are on Redis. */
static inline tasks__store *tasks__store_of(const tims_tasks *tasks, const tasks__job *job)
{
    return job->store_data == NULL ? tasks->sql : tasks->store;
}
const tims_queue *tasks__queue_rule(const tims_tasks *tasks, tims_str queue); /* NULL: no limits */
tims_tasks *tasks__of(const tims_request *rq);                                /* asserts that there is one */
const char *tasks__queue_of(const tims_task *task);

/* Wakes this process's worker: something may be ready, or is due at that time. From any thread. */
void tasks__wake(tims_tasks *tasks, tims_time due);
void tasks__wake_worker(tims_tasks *tasks); /* only it, on its loop's thread */
void tasks__wake_relay(tims_tasks *tasks);  /* celery/relay.c; on its loop's thread */
/* signal.c: the same for workers of other processes; on a loop's thread, after the commit. */
#define TASKS__CHANNEL "tims_jobs"
void tasks__signal(tims_tasks *tasks);

/* --- enqueue.c -------------------------------------------------------------------------------------------- */

/* The arguments' JSON object. Raises as tims_enqueue. */
tims_str tasks__write_arguments(tims_request *rq, const tims_task *task, const void *arguments);
/* The same where nobody can be told by raising. Errors: INVALID. */
tims_status tasks__arguments_text(tims_arena *arena, const tims_task *task, const void *arguments,
                                  tims_str *ret_text, tims_error *err);
/* A job as the task says, for now, for nobody. */
tasks__job tasks__plain_job(const tims_tasks *tasks, const tims_task *task, tims_str arguments);
/* Fills a job from what an app says: id, times, queue, priority. Raises: 422. */
void tasks__make_job(tims_request *rq, const tims_task *task, tims_str arguments,
                     const tims_enqueue_options *options, tasks__job *ret_job);
/* Inserts in the session's transaction: the hot row, and the tracked one. `job->unique_key` is looked at
 * first: false in `ret_is_new` and the other's id in `job->id` when there is one. */
tims_status tasks__insert(tims_tasks *tasks, tims_db_session *session, tims_arena *arena, tasks__job *job,
                          int64_t unique_until_us, bool *ret_is_new, tims_error *err);
/* Many at once; none of them is unique. */
tims_status tasks__insert_many(tims_tasks *tasks, tims_db_session *session, tims_arena *arena,
                               const tasks__job *jobs, size_t count, tims_error *err);
/* The hot row alone. */
tims_status tasks__insert_row(tims_db_session *session, const tasks__job *job, tasks__state state,
                              tims_error *err);

/* --- sql/finish.c: the database's part of an end, wherever the job waited ---------------------------------- */

/* All that an end brings with it, but for the row in tims_job: what follows, the dead list, keys, the tracked
 * row. In the session's transaction. */
tims_status tasks__after(tims_tasks *tasks, tims_db_session *session, tims_arena *arena,
                         const tasks__outcome *outcome, tims_error *err);
/* Into the dead list. `foreign_message`: what could not even be read. */
tims_status tasks__bury(tims_tasks *tasks, tims_db_session *session, const tasks__outcome *outcome,
                        tims_opt_str foreign_message, tims_error *err);
tims_status tasks__release_unique(tims_db_session *session, const tasks__job *job, tims_error *err);

/* --- queue_counts.c -------------------------------------------------------------------------------------------- */

/* A row for the queue, unless it has one. In the session's transaction. */
tims_status tasks__add_queue(tims_db_session *session, tims_str name, tims_time now, tims_error *err);

/* --- run.c: one attempt ----------------------------------------------------------------------------------- */

/* What may be asked of a run from outside while it lasts; its owner's. */
typedef struct tasks__control {
    _Atomic bool stop;      /* soft: tims_should_stop */
    _Atomic bool cancelled; /* asked for by somebody */
    _Atomic bool killed;    /* hard timeout */
    bool lost;              /* the lease is somebody else's */
    bool handed_back;       /* it is ended because the worker leaves */
    /* In a process: it has been given to one. Until then it has waited for its turn. */
    void (*on_begin)(struct tasks__control *control);
    /* Progress: tells whoever shows it. On the run's loop. */
    void (*on_progress)(struct tasks__control *control, double fraction, tims_str text);
    void *data;
    tims_fiber *fiber; /* while it runs on this process's loop */
} tasks__control;

/* Runs the job's function on a fiber of its own and waits for its end: binds the arguments, applies the
 * policy of retries. Commits what it wrote, with the job's end (store->api->finish_in). `ret_outcome` is
 * filled. Suspends. */
void tasks__run_job(tims_tasks *tasks, tims_loop *loop, tasks__store *store, tasks__job *job,
                    tasks__control *control, tasks__outcome *ret_outcome);
/* When the next attempt is, or that there is none: fills end, run_at. `error` is code and message. */
void tasks__fail(tims_tasks *tasks, const tims_task *task, tasks__outcome *outcome, const char *code,
                 tims_str message);

/* The same for one that was killed by its hard timeout. */
void tasks__fail_late(tims_tasks *tasks, const tims_task *task, tasks__outcome *outcome);
/* What was asked for from outside goes before what a run that failed says of itself. False: nothing was. */
bool tasks__overrule(const tasks__control *control, tasks__outcome *outcome);
void tasks__log_failure(const tasks__outcome *outcome);
/* A copy in the outcome's arena, made if need be; terminated. */
tims_str tasks__keep(tasks__outcome *outcome, tims_str text);

/* --- status.c: rows of tracked jobs ------------------------------------------------------------------------ */

tims_status tasks__status_begin(tims_db_session *session, tims_arena *arena, const tasks__job *job,
                                tims_error *err);
tims_status tasks__status_progress(tims_db_session *session, tims_arena *arena, tims_id job, double fraction,
                                   tims_str text, tims_error *err);
tims_status tasks__status_start(tims_db_session *session, const tasks__job *job, tims_time now,
                                tims_error *err);
/* Back to waiting, after `error` or because somebody retries it. */
tims_status tasks__status_wait(tims_db_session *session, tims_id job, tims_str error, tims_error *err);
typedef struct tasks__status_ended {
    tims_id job;
    const char *state;      /* "done", "failed", "cancelled", "expired" */
    tims_str result, error; /* result: JSON; data == NULL: null */
    int64_t keep_s;         /* 0: a day */
    tims_time now;
} tasks__status_ended;
tims_status tasks__status_end(tims_db_session *session, const tasks__status_ended *ended, tims_error *err);

/* --- follow.c: chains and groups: what follows a job, in the transaction that ends it ---------------------------------- */

/* Enqueues what follows a job that is done: the chain's next step; the group's last. */
tims_status tasks__follow(tims_tasks *tasks, tims_db_session *session, tims_arena *arena,
                          const tasks__job *job, tims_str result, tims_error *err);
/* A member that will never be done (cancelled, expired, given up by staff): the group goes on without it. */
tims_status tasks__follow_without(tims_tasks *tasks, tims_db_session *session, tims_arena *arena,
                                  const tasks__job *job, tims_error *err);

/* --- dead.c: what was given up and may be tried again ------------------------------------------------------- */

/* Both in the request's transaction. False: it is not in the dead list. */

/* Back to its queue as if it had never run: attempts and crashes are counted anew, its place in a chain or
 * group is kept, its unique key is taken again if it is free. Raises: 409 (a foreign message that could not
 * be read: there is nothing to run), 503. */
bool tasks__dead_retry(tims_request *rq, tims_id id);
/* Given up for good: a group goes on without it, the rest of a chain vanishes. Raises: 503. */
bool tasks__dead_remove(tims_request *rq, tims_id id);

/* --- schedule.c -------------------------------------------------------------------------------------------- */

tims_status tasks__check_schedule(tims_arena *arena, const tims_schedule *schedule, tims_error *err);
/* Enqueues what is due, each due time once whoever asks. `ret_next`: the next due time of all. Errors: the
 * first one's; the other schedules have had their turn, unless the database is away. */
tims_status tasks__run_schedules(tims_tasks *tasks, tims_loop *loop, tims_time *ret_next, tims_error *err);
void tasks__schedules_free(tasks__schedules **schedules); /* NULL is fine */

/* --- process/pool.c: blocking tasks ------------------------------------------------------------------------- */

typedef struct tasks__pool tasks__pool;
tasks__pool *tasks__pool_new(tims_tasks *tasks, tims_loop *loop, size_t processes, const char *program);
/* As tasks__run_job, in a process: waits for a free one, for its answer, or its death. Suspends. */
void tasks__pool_run(tasks__pool *pool, tasks__store *store, tasks__job *job, tasks__control *control,
                     tasks__outcome *ret_outcome);
/* Ends the processes; `on_ended` when all are gone. */
void tasks__pool_stop(tasks__pool *pool, tims_loop_fn on_ended, void *argument);
void tasks__pool_free(tasks__pool **pool);

/* --- sql/limit.c -------------------------------------------------------------------------------------------- */

/* Whether their rates can be read. Errors: INVALID. */
tims_status tasks__check_limits(const tims_task *task, tims_error *err);
tims_status tasks__check_queue(const tims_queue *queue, tims_error *err);
/* How many jobs of the queue may be claimed now, at most `max`, in the transaction of the claim, which others
 * of the queue wait for where it has limits. `ret_again`: when to look again if there were fewer; else 0. */
tims_status tasks__limit_queue(tims_tasks *tasks, tims_db_session *session, const tims_queue *rule,
                               size_t max, size_t *ret_allowed, tims_time *ret_again, tims_error *err);
/* Of those, so many are begun. In the same transaction. */
tims_status tasks__limit_begun(tims_tasks *tasks, tims_db_session *session, const tims_queue *rule,
                               size_t count, tims_error *err);
/* Of jobs just claimed, puts those back that their keys do not allow now, frees them and takes them out of
 * the list. In the transaction of the claim; claims of one key wait for each other. `ret_again` as above, the
 * earlier one. */
tims_status tasks__limit_keys(tims_tasks *tasks, tims_db_session *session, tasks__job **jobs, size_t *count,
                              tims_time *ret_again, tims_error *err);
/* A job with a key no longer runs: one that waited for that becomes ready, in the transaction that ends it.
 */
tims_status tasks__limit_release(tims_tasks *tasks, tims_db_session *session, const tasks__job *job,
                                 tims_error *err);
/* Makes blocked jobs ready whose key has room, in case nobody did. Every few seconds. */
tims_status tasks__limit_sweep(tims_tasks *tasks, tims_db_session *session, tims_error *err);
tims_status tasks__limit_sweep_keys(tims_tasks *tasks, tims_db_session *session, tims_error *err);
/* After so long any bucket is full, and its row goes. */
#define TASKS__LIMIT_KEPT_US (INT64_C(3600) * 1000000)

#endif
