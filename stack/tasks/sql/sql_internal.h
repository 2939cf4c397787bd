/* sql_internal.h: the store that is the app's database, in four files: what it is (store.c), taking jobs
 * (claim.c), their ends (finish.c), and keeping order (tidy.c). */
#ifndef TASKS_SQL_INTERNAL_H
#define TASKS_SQL_INTERNAL_H

#include "tasks/sql/job_row.h"

/* How far a queue has been claimed, and when it was last looked at from its start. */
typedef struct tasks__front {
    int64_t priority;
    tims_time run_at;
    int64_t started_us;
    bool was_enough; /* the last claim got all that it wanted */
} tasks__front;

typedef struct tasks__sql {
    tasks__store store;
    tasks__front *fronts; /* one for each of tasks->counts; NULL: nothing was claimed yet */
    int64_t beat_at_us;   /* monotonic: of the last sign of life */
    int64_t tidied_at_us;
} tasks__sql;

/* A transaction of the store's own. `work` gets its session and an arena; an error rolls back. Suspends. */
typedef struct tasks__work {
    tasks__store *store;
    tims_arena *arena;
    tims_db_session *session;
    void *argument;
} tasks__work;
tims_status tasks__sql_transact(tasks__store *store, tims_status (*work)(tasks__work *work, tims_error *err),
                                void *argument, tims_error *err);
/* The same without a transaction: one statement. */
tims_status tasks__sql_read(tasks__store *store, tims_status (*work)(tasks__work *work, tims_error *err),
                            void *argument, tims_error *err);

static inline bool tasks__on_postgres(const tasks__work *work)
{
    return tims_db_session_dialect(work->session) == TIMS_POSTGRES;
}

tims_status tasks__sql_look(tasks__store *store, const tims_str *queues, size_t count, bool *ret_has,
                            tims_error *err);
tims_status tasks__sql_claim(tasks__store *store, tims_str queue, size_t max, tasks__job **ret_jobs,
                             size_t *ret_count, tims_error *err);
tims_status tasks__sql_finish(tasks__store *store, tasks__outcome *list, tims_error *err);
tims_status tasks__sql_finish_in(tasks__store *store, tims_db_session *session, const tasks__outcome *outcome,
                                 tims_error *err);
tims_status tasks__sql_beat(tasks__store *store, void (*cancelled)(void *argument, tims_id job),
                            void (*lost)(void *argument), void *argument, tims_error *err);
tims_status tasks__sql_tidy(tasks__store *store, tims_time *ret_next, tims_error *err);
/* cancel.c: of jobs whose worker is dead, ends those that nobody wants any more. In a transaction. */
tims_status tasks__cancel_lost(tasks__work *work, tims_error *err);
/* A new incarnation: a new id, and its row. */
tims_status tasks__sql_register(tasks__store *store, tims_error *err);
tims_status tasks__sql_read_clock(tasks__work *work, tims_error *err);

#endif
