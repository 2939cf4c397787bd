/* process_internal.h: the pool's files: processes.c (the processes and what they say), pool.c
 * (runs: who gets one, and how they end).
 *
 * A process:  start ──► STARTING ──hello──► IDLE ◄──job, end──► BUSY
 *             any ──killed, or its socket ended──► LEAVING ──exited and socket closed──► (gone) */
#ifndef TASKS_PROCESS_POOL_INTERNAL_H
#define TASKS_PROCESS_POOL_INTERNAL_H

#include "tasks/tasks_internal.h"

typedef struct tasks__process tasks__process;
typedef struct tasks__turn tasks__turn;

/* A connection; until it has said hello nobody's. */
typedef struct tasks__link {
    tasks__pool *pool;
    tims_stream *stream;
    tasks__process *process;
    tims_buf in;
    struct tasks__link *next;
} tasks__link;

typedef enum tasks__process_state {
    TASKS__STARTING,
    TASKS__IDLE,
    TASKS__BUSY,
    TASKS__LEAVING
} tasks__process_state;

struct tasks__process {
    tasks__pool *pool;
    tims_process *handle; /* NULL: it has exited */
    tasks__link *link;    /* NULL: not yet, or no longer */
    tasks__process_state state;
    tasks__turn *turn; /* BUSY; LEAVING while its run waits for the end */
    int64_t job_count;
    tims_timer timer; /* of STARTING and LEAVING */
    tasks__process *next;
};

/* A fiber in tasks__pool_run. */
struct tasks__turn {
    tasks__store *store;
    tasks__job *job;
    const tims_task *task;
    tasks__control *control;
    tasks__outcome *outcome;
    tims_fiber *fiber;
    tasks__process *process; /* that does it; NULL: it waits for one, or that one has gone */
    bool has_ended, has_begun, cannot_start, was_killed, is_too_large, is_too_long, knows_of_stop;
    tasks__turn *next; /* in pool->runs */
};

struct tasks__pool {
    tims_tasks *tasks;
    tims_loop *loop;
    const char *program;
    size_t processes_max, process_count, link_count;
    tasks__process *processes;
    tasks__link *links;
    tasks__turn *runs; /* the first came first */
    tims_listener *listener;
    char folder[100], socket[116]; /* empty: not yet */
    tims_timer watch;
    bool is_stopping;
    tims_loop_fn on_ended;
    void *on_ended_argument;
};

static inline bool tasks__waits_for_process(const tasks__turn *turn)
{
    return turn->process == NULL && !turn->has_begun && !turn->cannot_start;
}

/* The first that waits: there may be a process for it. */
void tasks__pool_wake_next(tasks__pool *pool);
/* Says that the pool has ended when nothing of it is left; then it may be gone. */
void tasks__pool_end_if_empty(tasks__pool *pool);
void tasks__pool_remove_folder(tasks__pool *pool);

tims_status tasks__process_start(tasks__pool *pool, tims_error *err);
void tasks__process_kill(tasks__process *process);
/* One that is of no more use, with nothing to do: it goes by itself. */
void tasks__process_dismiss(tasks__process *process);
void tasks__process_say(tasks__process *process, tims_str frame);
/* What it has in memory. 0: not known. */
int64_t tasks__process_memory(const tasks__process *process);

#endif
