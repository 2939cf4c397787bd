/* worker.c: takes jobs from the store, runs them, writes their ends.
 *
 * Four fibers: one claims, as many as there is room for; one writes ends, all that have come together since
 * it last did; one keeps the lease, looks for what is due, and runs schedules; one tells progress
 * (progress.c). While the store is away they try again, and what has ended meanwhile waits in memory. */
#include <stdlib.h>
#include <unistd.h>

#include "tasks/worker/worker_internal.h"

enum {
    MS_US = 1000,
    CONCURRENCY = 100,
    LEASE_MS = 30 * 1000,
    DRAIN_MS = 20 * 1000,
    POLL_MS = 1000,
    GATHER_MS = 5,
    EARLY_GATHER_MS = 2,
    ECHO_MAX_MS = 256,
    GRACE_MS = 3000, /* for a run that is not wanted any more; then it is ended */
    PAUSE_MIN_MS = 50,
    PAUSE_MAX_MS = 1000,
};

/* --- waiting ---------------------------------------------------------------------------------------------- */

void tasks__wait_ms(tasks__waiter *waiter, int64_t ms)
{
    if (waiter->nudged) {
        waiter->nudged = false;
        return;
    }
    waiter->fiber = tims_fiber_self();
    int64_t before = tims_fiber_set_deadline(tims_monotonic_us() + ms * MS_US);
    while (!waiter->nudged && tims_fiber_suspend() == TIMS_OK) {
    }
    tims_fiber_set_deadline(before);
    waiter->fiber = NULL;
    waiter->nudged = false;
}

void tasks__nudge(tasks__waiter *waiter)
{
    waiter->nudged = true;
    if (waiter->fiber != NULL)
        tims_fiber_wake(waiter->fiber);
}

/* After an error of the store: longer each time. */
static void back_off(tasks__worker *worker, tasks__waiter *waiter, const char *what, const tims_error *err)
{
    if (worker->pause_ms == 0)
        tims_log(TIMS_LOG_WARN, "tasks", "event=store_away doing=%s message=%s detail=%s", what, err->message,
                 err->detail);
    worker->pause_ms = worker->pause_ms == 0 ? PAUSE_MIN_MS : worker->pause_ms * 2;
    if (worker->pause_ms > PAUSE_MAX_MS)
        worker->pause_ms = PAUSE_MAX_MS;
    int64_t left_us = worker->pause_ms * MS_US, until_us = tims_monotonic_us() + left_us;
    do
        tasks__wait_ms(waiter, left_us / MS_US + 1);
    while (!worker->stopping && (left_us = until_us - tims_monotonic_us()) > 0);
}

static void store_answers(tasks__worker *worker)
{
    if (worker->pause_ms > 0)
        tims_log(TIMS_LOG_INFO, "tasks", "event=store_back");
    worker->pause_ms = 0;
}

/* --- claiming --------------------------------------------------------------------------------------------- */

static size_t room_for(const tasks__worker *worker, size_t queue)
{
    size_t room =
        worker->concurrency > worker->running_count ? worker->concurrency - worker->running_count : 0;
    if (worker->queues[queue].blocks) {
        size_t processes =
            worker->processes > worker->blocking_count ? worker->processes - worker->blocking_count : 0;
        room = room < processes ? room : processes;
    }
    return room < TASKS__CLAIM_MAX ? room : TASKS__CLAIM_MAX;
}

/* Where queues were full a moment ago, they are taken to have more. */
static tims_status look(tasks__worker *worker, bool is_busy, tims_error *err)
{
    if (!is_busy && worker->store->api->look != NULL)
        return worker->store->api->look(worker->store, worker->names, worker->queue_count, worker->has, err);
    for (size_t i = 0; i < worker->queue_count; i++)
        worker->has[i] = true;
    return TIMS_OK;
}

/* One look at each queue. False: the store does not answer. */
static bool look_at_queues(tasks__worker *worker, bool is_busy, size_t *ret_taken)
{
    tims_error err = { 0 };
    if (look(worker, is_busy, &err) != TIMS_OK) {
        back_off(worker, &worker->taker, "look", &err);
        return false;
    }
    for (size_t i = 0; i < worker->queue_count && !worker->stopping && !worker->has_lost; i++) {
        size_t at = (worker->first_queue + i) % worker->queue_count, count = 0, room = room_for(worker, at);
        if (room == 0 || !worker->has[at] || worker->queues[at].paused)
            continue;
        worker->claiming = true;
        tims_status status = worker->store->api->claim(worker->store, worker->queues[at].name, room,
                                                       worker->claimed, &count, &err);
        for (size_t j = 0; status == TIMS_OK && j < count; j++)
            tasks__item_begin(worker, worker->claimed[j]);
        worker->claiming = false;
        if (worker->has_lost)
            tasks__nudge(&worker->keeper);
        if (status != TIMS_OK) {
            back_off(worker, &worker->taker, "claim", &err);
            return false;
        }
        worker->is_busy = worker->is_busy || count >= room / 3;
        *ret_taken += count;
    }
    TIMS_ASSERT(worker->queue_count > 0);
    worker->first_queue = (worker->first_queue + 1) % worker->queue_count;
    return true;
}

static bool has_room(const tasks__worker *worker)
{
    return worker->running_count < worker->concurrency;
}

/* When the queues are full, a claim for each slot that falls free would cost more than the jobs: a few of
 * them, or a moment, are waited for. */
static void wait_for_room(tasks__worker *worker)
{
    while (!has_room(worker) && !worker->stopping)
        tasks__wait_ms(&worker->taker, POLL_MS);
    int64_t until_us = tims_monotonic_us() + GATHER_MS * MS_US;
    while (worker->is_busy && !worker->stopping && worker->running_count > worker->concurrency * 3 / 4 &&
           tims_monotonic_us() < until_us)
        tasks__wait_ms(&worker->taker, GATHER_MS);
}

/* Who has not signed life for a while may have lost its lease: what it took now would be somebody else's. */
static bool holds_lease(const tasks__worker *worker)
{
    return !worker->has_lost && tims_monotonic_us() - worker->beaten_us < worker->store->lease_ms * MS_US / 2;
}

static void take_jobs(void *argument)
{
    tasks__worker *worker = argument;
    while (!worker->stopping) {
        size_t taken = 0;
        wait_for_room(worker);
        if (!holds_lease(worker)) {
            tasks__wait_ms(&worker->taker, worker->beat_ms);
            continue;
        }
        bool is_busy = worker->is_busy;
        worker->is_busy = false;
        worker->taker.nudged = false; /* what comes from here on is looked at again */
        worker->woken = false;
        if (!look_at_queues(worker, is_busy, &taken))
            continue;
        store_answers(worker);
        if (taken == 0 && !worker->woken && !worker->stopping)
            tasks__wait_ms(&worker->taker, worker->poll_ms);
    }
    worker->takes = false;
    tasks__worker_fiber_ended(worker);
}

/* --- ends ------------------------------------------------------------------------------------------------- */

/* An end that the store refuses for what it is must not hold up the others. */
static void bury_alive(tasks__item *item, const tims_error *err)
{
    tims_log(TIMS_LOG_ERROR, "tasks", "event=end_refused task=%S job=%I message=%s detail=%s",
             item->job->task, item->job->id, err->message, err->detail);
    item->outcome.end = TASKS__DEAD;
    item->outcome.code = "end_refused";
    item->outcome.result = (tims_str){ 0 };
    item->outcome.message = TIMS_STR("The store did not take its end; the log says why.");
}

static bool is_away(tims_status status)
{
    return status == TIMS_UNAVAILABLE || status == TIMS_TIMEOUT || status == TIMS_BUSY || status == TIMS_IO ||
           status == TIMS_CONFLICT || status == TIMS_CLOSED;
}

static void look_again(void *argument)
{
    tasks__worker *worker = argument;
    worker->heard_us = tims_monotonic_us();
    worker->woken = true;
    tasks__nudge(&worker->taker);
}

/* Who stops cannot wait for ever for a store that is away. What is not written is as of a worker that has
 * died: it is run again. */
static bool gives_up(const tasks__worker *worker, const tims_error *err)
{
    if (!worker->stopping || tims_monotonic_us() < worker->gives_up_us)
        return false;
    tims_log(TIMS_LOG_ERROR, "tasks", "event=ends_lost message=%s detail=%s", err->message, err->detail);
    return true;
}

static void write_ends(tasks__worker *worker, tasks__item *list)
{
    bool refused_once = false;
    for (int tries = 0;; tries++) {
        tims_error err = { 0 };
        for (tasks__item *at = list; at != NULL; at = at->next)
            at->outcome.next = at->next != NULL ? &at->next->outcome : NULL;
        tims_status status = worker->store->api->finish(worker->store, &list->outcome, &err);
        if (status == TIMS_OK)
            break;
        if (is_away(status) && gives_up(worker, &err)) {
            tasks__items_free(list);
            return;
        }
        if (is_away(status) && tries < 1000) {
            back_off(worker, &worker->finisher_pause, "finish", &err);
        } else if (list->next == NULL) {
            if (refused_once)
                break; /* not even that: it is shown as running until this worker has ended */
            refused_once = true;
            bury_alive(list, &err);
        } else { /* each by itself, to find out which */
            for (tasks__item *at = list, *next; at != NULL; at = next) {
                next = at->next;
                at->next = NULL;
                write_ends(worker, at);
            }
            return;
        }
    }
    store_answers(worker);
    for (tasks__item *at = list; at != NULL; at = at->next) {
        if (at->outcome.end == TASKS__AGAIN)
            tasks__nudge(&worker->keeper); /* which knows when what is due next */
        if (tasks__queue_rule(worker->tasks, at->job->queue) != NULL)
            look_again(worker); /* there is room in its queue */
    }
    tasks__items_free(list);
}

static void finish_jobs(void *argument)
{
    tasks__worker *worker = argument;
    while (!worker->stopping || worker->running != NULL || worker->ended != NULL || worker->takes) {
        if (worker->ended == NULL) {
            tasks__wait_ms(&worker->finisher, POLL_MS);
            continue;
        }
        tasks__item *list = worker->ended;
        worker->ended = NULL;
        worker->ended_tail = &worker->ended;
        write_ends(worker, list);
    }
    tasks__worker_fiber_ended(worker);
}

/* --- keeping ---------------------------------------------------------------------------------------------- */

static void ask_to_stop(tasks__item *item)
{
    atomic_store(&item->control.stop, true);
}

static void hear_cancelled(void *argument, tims_id job)
{
    tasks__worker *worker = argument;
    for (tasks__item *at = worker->running; at != NULL; at = at->next_running)
        if (tims_same_id(at->job->id, job) && !atomic_exchange(&at->control.cancelled, true)) {
            ask_to_stop(at);
            tims_timer_set(worker->loop, &at->hard_timer, worker->grace_ms, tasks__item_end, at);
        }
}

/* What is claimed from here on is the new one's, and is not lost: so a claim that is under way comes to its
 * end first, and no other begins until the store knows the new one. */
static void lose_all(void *argument)
{
    tasks__worker *worker = argument;
    if (!worker->has_lost)
        tims_log(TIMS_LOG_ERROR, "tasks",
                 "event=lease_lost message=its jobs are others' meanwhile; it goes on as a new one");
    worker->has_lost = true;
    while (worker->claiming)
        tasks__wait_ms(&worker->keeper, POLL_MS);
    for (tasks__item *at = worker->running; at != NULL; at = at->next_running) {
        at->control.lost = true;
        tasks__item_end(at); /* somebody else may have begun it already */
    }
}

/* A schedule that fails does not keep the queues from being counted. */
static tims_status schedule_and_count(tasks__worker *worker, tims_time *ret_next, tims_error *err)
{
    tims_error later = { 0 };
    tims_status status = TIMS_OK;
    if (!worker->options.no_schedules && !worker->stopping)
        status = tasks__run_schedules(worker->tasks, worker->loop, ret_next, err);
    tims_status counted = tasks__count_queues(worker, status == TIMS_OK ? err : &later);
    return status == TIMS_OK ? counted : status;
}

static void keep_order(void *argument)
{
    tasks__worker *worker = argument;
    while (!worker->stopping || worker->running != NULL || worker->ended != NULL || worker->takes) {
        tims_error err = { 0 };
        tims_time next = { INT64_MAX }, next_schedule = { INT64_MAX };
        tims_status status = worker->store->api->beat(worker->store, hear_cancelled, lose_all, worker, &err);
        if (status == TIMS_OK && !holds_lease(worker))
            tasks__nudge(&worker->taker);
        if (status == TIMS_OK) {
            worker->has_lost = false;
            worker->beaten_us = tims_monotonic_us();
        }
        if (status == TIMS_OK)
            status = worker->store->api->tidy(worker->store, &next, &err);
        if (status == TIMS_OK)
            status = schedule_and_count(worker, &next_schedule, &err);
        if (status != TIMS_OK) {
            back_off(worker, &worker->keeper, "keep", &err);
            continue;
        }
        if (next_schedule.us < next.us)
            next = next_schedule;
        int64_t until_ms = (next.us - tasks__now(worker->tasks).us + MS_US - 1) / MS_US;
        tasks__wait_ms(&worker->keeper, until_ms < 1                 ? 1
                                        : until_ms < worker->beat_ms ? until_ms
                                                                     : worker->beat_ms);
    }
    tasks__count_queues_at_last(worker);
    tasks__worker_fiber_ended(worker);
}

/* --- waking ----------------------------------------------------------------------------------------------- */

static void wake_here(void *argument)
{
    tims_tasks *tasks = argument;
    pthread_mutex_lock(&tasks->worker_lock);
    tasks__worker *worker = tasks->worker;
    pthread_mutex_unlock(&tasks->worker_lock);
    atomic_store(&tasks->wake_is_posted, false);
    tasks__wake_relay(tasks);
    if (worker == NULL)
        return;
    worker->woken = true;
    tasks__nudge(&worker->taker);
    tasks__nudge(&worker->keeper);
}

void tasks__wake_worker(tims_tasks *tasks)
{
    tasks__worker *worker = tasks->worker;
    if (worker == NULL)
        return;
    worker->woken = true;
    tasks__nudge(&worker->taker);
    tasks__nudge(&worker->keeper);
}

/* Somebody has said that there may be something: a hint, which a look answers: the first at once, those soon
 * after it together. On SQLite it is given when somebody writes, which is before the disk has it and it can
 * be seen, by as much as the disk takes: so there are a few more looks, each after four times as long. */
static void look_and_look_again(void *argument)
{
    tasks__worker *worker = argument;
    look_again(worker);
    if (worker->echo_ms <= ECHO_MAX_MS) {
        tims_timer_set(worker->loop, &worker->heard_timer, worker->echo_ms, look_and_look_again, worker);
        worker->echo_ms *= 4;
    }
}

static void hear_signal(void *argument)
{
    tasks__worker *worker = argument;
    bool is_early = tims_db_dialect_of(worker->tasks->db) == TIMS_SQLITE;
    worker->echo_ms = is_early ? 1 : ECHO_MAX_MS + 1;
    int64_t gather_ms = is_early ? EARLY_GATHER_MS : GATHER_MS;
    if (tims_monotonic_us() - worker->heard_us > gather_ms * MS_US)
        look_and_look_again(worker);
    else
        tims_timer_set(worker->loop, &worker->heard_timer, gather_ms, look_and_look_again, worker);
}

static void ring(void *argument)
{
    tasks__worker *worker = argument;
    worker->alarm_us = 0;
    tasks__wake_worker(worker->tasks);
}

/* The earliest time that somebody has asked for. */
static void set_alarm(void *argument)
{
    tims_tasks *tasks = argument;
    tasks__worker *worker = tasks->worker;
    int64_t due_us = atomic_exchange(&tasks->wake_at_us, 0);
    if (worker == NULL || due_us == 0 || (worker->alarm_us != 0 && worker->alarm_us <= due_us))
        return;
    int64_t left_us = due_us - tasks__now(tasks).us;
    worker->alarm_us = due_us;
    tims_timer_set(worker->loop, &worker->alarm_timer, left_us > 0 ? left_us / MS_US + 1 : 0, ring, worker);
}

static void wake_at(tims_tasks *tasks, int64_t due_us)
{
    pthread_mutex_lock(&tasks->worker_lock);
    int64_t set_us = atomic_load(&tasks->wake_at_us);
    if (tasks->worker != NULL && (set_us == 0 || due_us < set_us)) {
        atomic_store(&tasks->wake_at_us, due_us);
        tims_loop_post(tasks->worker->loop, set_alarm, tasks);
    }
    pthread_mutex_unlock(&tasks->worker_lock);
}

void tasks__wake(tims_tasks *tasks, tims_time due)
{
    if (due.us > tasks__now(tasks).us) {
        wake_at(tasks, due.us);
        return;
    }
    pthread_mutex_lock(&tasks->worker_lock);
    tims_loop *loop = tasks->worker != NULL ? tasks->worker->loop : tasks->relay_loop;
    if (loop != NULL && !atomic_exchange(&tasks->wake_is_posted, true))
        tims_loop_post(loop, wake_here, tasks);
    pthread_mutex_unlock(&tasks->worker_lock);
}

/* --- life ------------------------------------------------------------------------------------------------- */

static void set_queues(tasks__worker *worker)
{
    tims_names names = worker->options.queues.count > 0 ? worker->options.queues : worker->tasks->own_queues;
    worker->queue_count = names.count;
    worker->queues_max = names.count + TASKS__QUEUES_ADDED_MAX;
    worker->queues = calloc(worker->queues_max, sizeof *worker->queues);
    worker->has = calloc(worker->queues_max, sizeof *worker->has);
    worker->names = calloc(worker->queues_max, sizeof *worker->names);
    TIMS_ASSERT(worker->queues != NULL && worker->has != NULL && worker->names != NULL);
    tims_buf_init(&worker->queues_text, NULL, 64 * 1024);
    for (size_t i = 0; i < names.count; i++) {
        worker->queues[i].name = worker->names[i] = tims_str_from(names.items[i]);
        tims_buf_print(&worker->queues_text, "%s%s", i > 0 ? "," : "", names.items[i]);
    }
    size_t cursor = 0;
    tims_str name;
    void *value;
    while (tims_map_next(worker->tasks->by_name, &cursor, &name, &value)) {
        const tims_task *task = value;
        for (size_t i = 0; i < worker->queue_count; i++)
            if (task->blocking &&
                tims_str_equal(worker->queues[i].name, tims_str_from(tasks__queue_of(task))))
                worker->queues[i].blocks = true;
    }
}

static void free_worker(tasks__worker *worker)
{
    tasks__pool_free(&worker->pool);
    tims_buf_free(&worker->queues_text);
    free(worker->queues);
    free(worker->has);
    free(worker->names);
    free(worker);
}

static void set_options(tasks__worker *worker, const tims_worker_options *options)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    worker->options = *options;
    worker->concurrency = (size_t)(options->concurrency > 0 ? options->concurrency : CONCURRENCY);
    worker->processes = (size_t)(options->processes > 0 ? options->processes : cores > 0 ? cores : 1);
    worker->drain_ms = options->drain_ms > 0 ? options->drain_ms : DRAIN_MS;
    worker->poll_ms = POLL_MS;
    worker->grace_ms = GRACE_MS;
    worker->store->lease_ms = options->lease_ms > 0 ? options->lease_ms : LEASE_MS;
    worker->beat_ms = worker->store->lease_ms / 6 < POLL_MS ? worker->store->lease_ms / 6 : POLL_MS;
    worker->store->concurrency = (int64_t)worker->concurrency;
    char host[200] = "";
    (void)gethostname(host, sizeof host - 1);
    worker->store->worker_name = options->name.length > 0
                                     ? options->name
                                     : tims_print(worker->tasks->arena, "%s:%d", host, (int)getpid());
}

tims_status tims_worker_start(tims_tasks *tasks, tims_loop *loop, const tims_worker_options *options,
                              tims_error *err)
{
    TIMS_CHECK_MAGIC(tasks, TASKS__MAGIC);
    tasks__worker *worker = calloc(1, sizeof *worker);
    TIMS_ASSERT(worker != NULL && tasks->worker == NULL);
    worker->tasks = tasks;
    worker->loop = loop;
    worker->store = tasks->store;
    worker->ended_tail = &worker->ended;
    set_options(worker, options);
    set_queues(worker);
    worker->store->queues_text = tims_buf_str(&worker->queues_text);
    tims_status status = worker->store->api->start(worker->store, loop, err);
    if (status != TIMS_OK) {
        free_worker(worker);
        return status;
    }
    if (worker->store->poll_ms > 0)
        worker->poll_ms = worker->store->poll_ms;
    /* Whatever its queues are: a job may have been enqueued in any. Costs nothing until it is needed. */
    worker->pool = tasks__pool_new(tasks, loop, worker->processes, tasks->options.program);
    if (worker->store == tasks->sql)
        worker->listener = tims_db_listen(tasks->db, loop, TASKS__CHANNEL, hear_signal, worker);
    worker->beaten_us = tims_monotonic_us();
    worker->fibers = 4;
    worker->takes = true;
    pthread_mutex_lock(&tasks->worker_lock);
    tasks->worker = worker;
    pthread_mutex_unlock(&tasks->worker_lock);
    tims_log(TIMS_LOG_INFO, "tasks", "event=started name=%S queues=%S concurrency=%lld store=%s",
             worker->store->worker_name, worker->store->queues_text, (long long)worker->concurrency,
             worker->store->api->name);
    TIMS_ASSERT(tims_fiber_start(loop, take_jobs, worker) != NULL);
    TIMS_ASSERT(tims_fiber_start(loop, finish_jobs, worker) != NULL);
    TIMS_ASSERT(tims_fiber_start(loop, keep_order, worker) != NULL);
    TIMS_ASSERT(tims_fiber_start(loop, tasks__tell_progress, worker) != NULL);
    return TIMS_OK;
}

static void say_stopped(void *argument)
{
    tasks__worker *worker = argument;
    tims_loop_fn on_stopped = worker->on_stopped;
    void *on_stopped_argument = worker->on_stopped_argument;
    tims_log(TIMS_LOG_INFO, "tasks", "event=stopped name=%S", worker->store->worker_name);
    free_worker(worker);
    if (on_stopped != NULL)
        on_stopped(on_stopped_argument);
}

/* The last fiber to end, on it: signs off. */
void tasks__worker_fiber_ended(tasks__worker *worker)
{
    tasks__nudge(&worker->finisher);
    tasks__nudge(&worker->keeper);
    tasks__nudge(&worker->teller);
    if (--worker->fibers > 0)
        return;
    tims_tasks *tasks = worker->tasks;
    tims_timer_clear(&worker->drain_timer);
    pthread_mutex_lock(&tasks->worker_lock);
    tasks->worker = NULL;
    pthread_mutex_unlock(&tasks->worker_lock);
    tims_db_listener_free(&worker->listener);
    tims_timer_clear(&worker->heard_timer);
    tims_timer_clear(&worker->alarm_timer);
    worker->store->api->stop(worker->store);
    tasks__pool_stop(worker->pool, say_stopped, worker);
}

static void hand_all_back(void *argument)
{
    tasks__worker *worker = argument;
    for (tasks__item *at = worker->running; at != NULL; at = at->next_running) {
        tims_log(TIMS_LOG_INFO, "tasks", "event=handed_back task=%S job=%I", at->job->task, at->job->id);
        at->control.handed_back = true;
        if (at->control.fiber != NULL)
            tims_fiber_cancel(at->control.fiber);
    }
}

void tims_worker_stop(tims_tasks *tasks, tims_loop_fn on_stopped, void *argument)
{
    TIMS_CHECK_MAGIC(tasks, TASKS__MAGIC);
    tasks__worker *worker = tasks->worker;
    if (worker == NULL) {
        if (on_stopped != NULL)
            on_stopped(argument);
        return;
    }
    TIMS_ASSERT(!worker->stopping);
    worker->stopping = true;
    worker->gives_up_us = tims_monotonic_us() + (worker->drain_ms + worker->grace_ms) * MS_US;
    worker->on_stopped = on_stopped;
    worker->on_stopped_argument = argument;
    for (tasks__item *at = worker->running; at != NULL; at = at->next_running)
        ask_to_stop(at);
    tims_timer_set(worker->loop, &worker->drain_timer, worker->drain_ms, hand_all_back, worker);
    tasks__nudge(&worker->taker);
    tasks__nudge(&worker->finisher);
    tasks__nudge(&worker->keeper);
}
