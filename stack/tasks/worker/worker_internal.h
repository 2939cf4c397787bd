/* worker_internal.h: the worker's files: worker.c (taking, ending, keeping), item.c (running),
 * control.c, progress.c, queue_counts.c. */
#ifndef TASKS_WORKER_INTERNAL_H
#define TASKS_WORKER_INTERNAL_H

#include "tasks/tasks_internal.h"

enum { TASKS__PROGRESS_BYTES = 200, TASKS__QUEUES_ADDED_MAX = 64 };

/* A fiber that waits for a nudge or a time. */
typedef struct tasks__waiter {
    tims_fiber *fiber; /* while it waits */
    bool nudged;
} tasks__waiter;

/* A job that runs here, or has ended and is not written yet. */
typedef struct tasks__item {
    tasks__worker *worker;
    tasks__job *job;
    const tims_task *task; /* NULL: unknown */
    tasks__control control;
    tasks__outcome outcome;
    tasks__counts *counts;
    tims_timer soft_timer, hard_timer;
    bool is_blocking, progress_changed, progress_is_told;
    double progress;
    char progress_text[TASKS__PROGRESS_BYTES];
    size_t progress_length;
    struct tasks__item *next_running, *previous_running;
    struct tasks__item *next; /* among those that have ended */
} tasks__item;

typedef struct tasks__taken_queue {
    tims_str name;
    bool blocks; /* some of its tasks run in processes */
    bool paused; /* as last counted, where the store does not look for itself */
} tasks__taken_queue;

struct tasks__worker {
    tims_tasks *tasks;
    tims_loop *loop;
    tasks__store *store;
    tims_worker_options options;
    size_t concurrency, processes;
    int64_t drain_ms, beat_ms, poll_ms, pause_ms, grace_ms;
    tasks__taken_queue *queues;
    size_t queue_count, queues_max, first_queue;
    tims_buf queues_text;
    tasks__waiter taker, finisher, finisher_pause, keeper, teller;
    tasks__job *claimed[TASKS__CLAIM_MAX];
    tasks__item *running; /* a list of running_count */
    size_t running_count, blocking_count;
    tasks__item *ended, **ended_tail;
    tasks__pool *pool;
    int fibers;
    bool *has; /* what the last look found, for each queue */
    tims_str *names;
    tims_db_listener *listener;
    int64_t heard_us;  /* the last signal */
    int64_t beaten_us; /* the last sign of life */
    tims_timer heard_timer;
    int64_t echo_ms; /* after which time it looks once more */
    tims_timer alarm_timer;
    int64_t alarm_us; /* of the store's clock; 0: not set */
    bool stopping, takes, is_busy, woken, progress_changed;
    bool claiming, has_lost; /* under way: a claim; the way back after the lease was lost */
    int64_t counted_at_us;   /* queue_counts.c */
    tims_timer drain_timer;
    int64_t gives_up_us; /* when it stops: from then on it does not wait for a store that is away */
    tims_loop_fn on_stopped;
    void *on_stopped_argument;
};

void tasks__worker_fiber_ended(tasks__worker *worker);
/* Until somebody nudges, or the time is over. */
void tasks__wait_ms(tasks__waiter *waiter, int64_t ms);
void tasks__nudge(tasks__waiter *waiter);
/* worker/item.c. The job is the item's from here on. While the worker stops it goes back instead. */
void tasks__item_begin(tasks__worker *worker, tasks__job *job);
/* Ends its run, as a hard timeout: an item, as timers call it. */
void tasks__item_end(void *item);
void tasks__items_free(tasks__item *list);
/* progress.c: a fiber, and what running jobs say of themselves. */
void tasks__tell_progress(void *argument);
void tasks__note_progress(tasks__control *control, double fraction, tims_str text);
/* queue_counts.c: writes how full the queues are into their rows, at most once a second and only what
 * changed. */
tims_status tasks__count_queues(tasks__worker *worker, tims_error *err);
void tasks__count_queues_at_last(tasks__worker *worker); /* when it stops */
/* worker/control.c: on the worker's loop. The name of a queue that is added must stay as long as the worker.
 * Errors: INVALID, with a sentence that says why not. */
tims_status tasks__worker_add_queue(tasks__worker *worker, tims_str name, tims_error *err);
tims_status tasks__worker_drop_queue(tasks__worker *worker, tims_str name, tims_error *err);
tims_status tasks__worker_resize(tasks__worker *worker, int64_t by, tims_error *err);
/* metrics.c */
void tasks__count_time(_Atomic int64_t *buckets, _Atomic int64_t *sum, int64_t us);

#endif
