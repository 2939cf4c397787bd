/* signal.c: other processes' workers hear that something was enqueued.
 *
 * A hint on the database's own channel, after the commit, in a statement of its own: it must neither hold up
 * the transaction nor roll it back. The first goes at once; what follows within a few milliseconds goes as
 * one. */
#include "tasks/sql/sql_internal.h"

enum { GATHER_MS = 5, MS_US = 1000, SIGNAL_BYTES_MAX = 1024 * 1024 };

static void send_signal(void *argument)
{
    tims_tasks *tasks = argument;
    tims_error err = { 0 };
    int64_t since_us = tims_monotonic_us() - atomic_load(&tasks->signalled_us);
    bool was_shielded = tims_fiber_shield(true);
    if (since_us < GATHER_MS * MS_US)
        (void)!tims_sleep_ms(GATHER_MS);
    atomic_store(&tasks->signalled_us, tims_monotonic_us());
    atomic_store(&tasks->signal_is_coming, false); /* what is enqueued from here on signals again */
    tims_arena *arena = tims_arena_new(SIGNAL_BYTES_MAX, NULL, NULL);
    tims_db_session *session = tims_db_session_new(tasks->db, tims_loop_self(), arena);
    if (tims_db_notify(session, TASKS__CHANNEL, &err) != TIMS_OK)
        tims_log(TIMS_LOG_DEBUG, "tasks", "event=not_signalled message=%s", err.message);
    tims_arena_free(&arena);
    tims_fiber_shield(was_shielded);
}

void tasks__signal(tims_tasks *tasks)
{
    if (tims_db_dialect_of(tasks->db) == TIMS_SQLITE || tims_loop_self() == NULL)
        return; /* a commit is seen; or a command, whose jobs are found by looking */
    if (!atomic_exchange(&tasks->signal_is_coming, true) &&
        tims_fiber_start(tims_loop_self(), send_signal, tasks) == NULL)
        atomic_store(&tasks->signal_is_coming, false);
}
