/* schedule.c: what is enqueued at certain times.
 *
 * Every worker looks; nobody leads. A schedule's row holds the next due time, and who moves it on, in the
 * transaction that enqueues, has it: a due time is enqueued once. Each worker keeps in memory when it has to
 * look next, so that looking costs nothing while nothing is due.
 *
 * A worker whose code has another line for a schedule than the row (an older or a newer version runs beside
 * it) leaves that schedule to the other: the last that was started has written the row. */
#include <stdlib.h>

#include "tasks/schedule/schedule_internal.h"
#include "tasks/sql/job_row.h"

enum {
    SECOND_US = 1000000,
    CATCH_UP_MAX = 100,
    LATE_S = 60,          /* TIMS_CATCH_UP_NONE */
    LOOK_AGAIN_S = 60,    /* at a schedule that is another version's */
    SPEC_BYTES_MAX = 600, /* of a line, or an interval in words */
};

typedef struct timed {
    const tims_schedule *declared;
    tims_str name, spec, zone_name, arguments;
    tasks__cron cron;
    const tasks__zone *zone;
    int64_t next_us; /* as the row says; when to look */
} timed;

struct tasks__schedules {
    tims_arena *arena;
    timed *items;
    size_t count;
    bool is_known;  /* the rows have been compared with what is declared */
    int64_t now_us; /* when it was looked last */
};

/* --- what is declared -------------------------------------------------------------------------------------- */

static int64_t to_seconds(int64_t us)
{
    return tasks__floor_div(us, SECOND_US);
}

/* The first due time after this second; false: there is none. */
static bool next_after(const timed *t, int64_t after_s, int64_t *ret_due_s)
{
    int64_t every = t->declared->every_s;
    if (every == 0)
        return tasks__cron_next(&t->cron, t->zone, after_s, ret_due_s);
    *ret_due_s = (tasks__floor_div(after_s, every) + 1) * every;
    return true;
}

static tims_status refuse(const tims_schedule *schedule, tims_error *err, const char *why)
{
    return tims_fail(err, TIMS_INVALID, "schedule", "schedule \"%s\": %s.", schedule->name, why);
}

/* Prefixes what a parser says. */
static tims_status name_it(const tims_schedule *schedule, tims_error *err)
{
    char why[sizeof err->message];
    memcpy(why, err->message, sizeof why);
    return refuse(schedule, err, why);
}

static tims_status read_schedule(tims_arena *arena, const tims_schedule *schedule, timed *ret_timed,
                                 tims_error *err)
{
    enum { EVERY_MAX_S = 100 * 366 * 86400LL };
    timed *t = ret_timed;
    size_t length = strlen(schedule->name);
    *t = (timed){ .declared = schedule, .name = tims_str_from(schedule->name) };
    if (length == 0 || length > TASKS__NAME_BYTES_MAX)
        return refuse(schedule, err, "its name must have 1 to 200 bytes");
    if (schedule->task == NULL)
        return refuse(schedule, err, "it has no task");
    if (schedule->cron == NULL && schedule->every_s == 0)
        return refuse(schedule, err, "it has neither .cron nor .every_s");
    if (schedule->cron != NULL && schedule->every_s != 0)
        return refuse(schedule, err, "it has both .cron and .every_s");
    if (schedule->every_s < 0 || schedule->every_s > EVERY_MAX_S)
        return refuse(schedule, err, "its interval must be positive, and below a hundred years");
    if (schedule->cron == NULL && schedule->zone != NULL)
        return refuse(schedule, err, ".zone is for .cron");
    if (schedule->catch_up < TIMS_CATCH_UP_LAST || schedule->catch_up > TIMS_CATCH_UP_ALL)
        return refuse(schedule, err, "its .catch_up is unknown");
    t->zone_name = tims_str_from(schedule->zone != NULL ? schedule->zone : "UTC");
    t->spec = schedule->cron != NULL ? tims_str_from(schedule->cron)
                                     : tims_print(arena, "every %lld s", (long long)schedule->every_s);
    if (schedule->cron != NULL && (tasks__cron_parse(t->spec, &t->cron, err) != TIMS_OK ||
                                   tasks__zone_load(arena, schedule->zone, &t->zone, err) != TIMS_OK))
        return name_it(schedule, err);
    if (tasks__arguments_text(arena, schedule->task, schedule->arguments, &t->arguments, err) != TIMS_OK)
        return name_it(schedule, err);
    return TIMS_OK;
}

tims_status tasks__check_schedule(tims_arena *arena, const tims_schedule *schedule, tims_error *err)
{
    timed t;
    int64_t due;
    tims_status status = read_schedule(arena, schedule, &t, err);
    if (status == TIMS_OK && !next_after(&t, to_seconds(tims_now().us), &due))
        return refuse(schedule, err, "it never fires");
    return status;
}

static tasks__schedules *read_all(const tims_tasks *tasks)
{
    const tims_tasks_options *options = &tasks->options;
    size_t most = 0;
    tims_arena *arena = tims_arena_new((size_t)64 * 1024 * 1024, NULL, NULL);
    tasks__schedules *all = TIMS_NEW(arena, tasks__schedules);
    all->arena = arena;
    for (size_t t = 0; t < options->schedule_table_count; t++)
        for (const tims_schedule *s = options->schedules[t]; s->name != NULL; s++)
            most++;
    all->items = TIMS_NEW_ARRAY(arena, timed, most + 1);
    for (size_t t = 0; t < options->schedule_table_count; t++)
        for (const tims_schedule *s = options->schedules[t]; s->name != NULL; s++) {
            tims_error err = { 0 };
            if (read_schedule(arena, s, &all->items[all->count], &err) == TIMS_OK)
                all->count++;
            else /* it was fine at the start: its zone is gone since */
                tims_log(TIMS_LOG_ERROR, "tasks", "event=schedule_unreadable message=%s", err.message);
        }
    return all;
}

void tasks__schedules_free(tasks__schedules **schedules)
{
    if (*schedules != NULL) {
        tims_arena *arena = (*schedules)->arena;
        tims_arena_free(&arena);
    }
    *schedules = NULL;
}

/* --- rows -------------------------------------------------------------------------------------------------- */

typedef struct looking {
    tims_tasks *tasks;
    tims_db_session *session;
    tims_arena *arena;
    int64_t now_us;
} looking;

static int64_t next_us_after(const timed *t, int64_t us)
{
    int64_t due;
    return next_after(t, to_seconds(us), &due) ? due * SECOND_US : INT64_MAX;
}

static tims_status insert_row(const looking *l, timed *t, tims_error *err)
{
    t->next_us = next_us_after(t, l->now_us);
    const tims_db_value values[] = { tims_db_id(tims_id_new()),
                                     tims_db_text(t->name),
                                     tims_db_text(tims_str_from(t->declared->task->name)),
                                     tims_db_text(t->spec),
                                     tims_db_text(t->zone_name),
                                     tims_db_int(0),
                                     tims_db_int(t->next_us) };
    return tims_db_run(l->session,
                       TIMS_STR("INSERT INTO tims_schedule (id, name, task, spec, zone, paused, next_due) "
                                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (name) DO NOTHING"),
                       values, 7, NULL, err);
}

/* The code has changed: from now on as it says. What was due by the old line and is not done is left. */
static tims_status update_row(const looking *l, timed *t, bool is_retimed, tims_error *err)
{
    if (is_retimed)
        t->next_us = next_us_after(t, l->now_us);
    const tims_db_value values[] = { tims_db_text(t->name),
                                     tims_db_text(tims_str_from(t->declared->task->name)),
                                     tims_db_text(t->spec), tims_db_text(t->zone_name),
                                     tims_db_int(t->next_us) };
    return tims_db_run(
        l->session,
        TIMS_STR("UPDATE tims_schedule SET task = ?2, spec = ?3, zone = ?4, next_due = ?5 WHERE name = ?1"),
        values, 5, NULL, err);
}

static timed *find_timed(tasks__schedules *all, tims_str name)
{
    for (size_t i = 0; i < all->count; i++)
        if (tims_str_equal(all->items[i].name, name))
            return &all->items[i];
    return NULL;
}

typedef struct known_row {
    timed *timed; /* NULL: no longer declared */
    tims_str name, task, spec, zone;
    int64_t next_us; /* 0: none */
    struct known_row *next;
} known_row;

static tims_status read_rows(const looking *l, tasks__schedules *all, known_row **ret_list, tims_error *err)
{
    tims_db_rows *rows;
    tims_status status =
        tims_db_query(l->session, TIMS_STR("SELECT name, task, spec, zone, next_due FROM tims_schedule"),
                      NULL, 0, &rows, err);
    if (status != TIMS_OK)
        return status;
    *ret_list = NULL;
    while (tims_db_next(rows)) {
        known_row *row = TIMS_NEW(l->arena, known_row);
        row->name = tims_copy(l->arena, tims_db_get_text(rows, 0));
        row->task = tims_copy(l->arena, tims_db_get_text(rows, 1));
        row->spec = tims_copy(l->arena, tims_db_get_text(rows, 2));
        row->zone = tims_copy(l->arena, tims_db_get_text(rows, 3));
        row->next_us = tims_db_is_null(rows, 4) ? 0 : tims_db_get_int(rows, 4);
        row->timed = find_timed(all, row->name);
        row->next = *ret_list;
        *ret_list = row;
    }
    return tims_db_rows_end(&rows, err);
}

/* What lies between was enqueued before it did, and is not again. */
static void say_clock_went_back(tims_str schedule)
{
    tims_log(TIMS_LOG_WARN, "tasks",
             "event=clock_went_back schedule=%S message=what was enqueued already is not due again",
             schedule);
}

static tims_status compare_row(const looking *l, const known_row *row, tims_error *err)
{
    timed *t = row->timed;
    const tims_db_value name = tims_db_text(row->name);
    if (t == NULL)
        return tims_db_run(l->session, TIMS_STR("DELETE FROM tims_schedule WHERE name = ?1"), &name, 1, NULL,
                           err);
    bool is_retimed =
        !tims_str_equal(row->spec, t->spec) || !tims_str_equal(row->zone, t->zone_name) || row->next_us == 0;
    t->next_us = row->next_us;
    if (!is_retimed && row->next_us > next_us_after(t, l->now_us))
        say_clock_went_back(t->name);
    if (is_retimed || !tims_str_equal(row->task, tims_str_from(t->declared->task->name)))
        return update_row(l, t, is_retimed, err);
    return TIMS_OK;
}

/* Once after the start: the rows become what is declared. */
static tims_status compare(const looking *l, tasks__schedules *all, tims_error *err)
{
    known_row *list = NULL;
    tims_status status = read_rows(l, all, &list, err);
    for (size_t i = 0; i < all->count; i++)
        all->items[i].next_us = 0;
    for (const known_row *row = list; status == TIMS_OK && row != NULL; row = row->next)
        status = compare_row(l, row, err);
    for (size_t i = 0; status == TIMS_OK && i < all->count; i++)
        if (all->items[i].next_us == 0)
            status = insert_row(l, &all->items[i], err);
    return status;
}

/* --- what is due ------------------------------------------------------------------------------------------- */

typedef struct due_times {
    int64_t last[CATCH_UP_MAX]; /* seconds; a ring of the latest */
    size_t count;               /* that were found */
    bool is_cut;                /* there were more */
} due_times;

/* The latest `want` from `first_s` to `now_s`: looks back in growing steps, so that years without a worker
 * cost no more than a day. `first_s` is due. */
static void collect_due(const timed *t, int64_t first_s, int64_t now_s, size_t want, due_times *ret_due)
{
    for (int64_t back = LATE_S;; back *= 2) {
        int64_t from = now_s - back > first_s ? now_s - back : first_s, at = from - 1;
        ret_due->count = 0;
        while (next_after(t, at, &at) && at <= now_s)
            ret_due->last[ret_due->count++ % CATCH_UP_MAX] = at;
        ret_due->is_cut = from != first_s || ret_due->count > CATCH_UP_MAX;
        if (from == first_s || ret_due->count >= want)
            return;
    }
}

/* How many of the latest are to be enqueued. */
static size_t choose(const timed *t, const due_times *due, int64_t now_s)
{
    size_t kept = due->count < CATCH_UP_MAX ? due->count : CATCH_UP_MAX, chosen = 0;
    switch (t->declared->catch_up) {
    case TIMS_CATCH_UP_ALL:
        return kept;
    case TIMS_CATCH_UP_NONE:
        while (chosen < kept && due->last[(due->count - 1 - chosen) % CATCH_UP_MAX] >= now_s - LATE_S)
            chosen++;
        return chosen;
    case TIMS_CATCH_UP_LAST:
    default:
        return kept > 0 ? 1 : 0;
    }
}

static tims_status enqueue(const looking *l, const timed *t, int64_t due_s, tims_id id, tims_error *err)
{
    bool is_new;
    tasks__job job = tasks__plain_job(l->tasks, t->declared->task, t->arguments);
    job.id = id;
    if (due_s * SECOND_US < job.enqueued_at.us)
        job.run_at.us = due_s * SECOND_US;
    return tasks__insert(l->tasks, l->session, l->arena, &job, 0, &is_new, err);
}

typedef struct state {
    bool is_there, is_paused, is_ours; /* ours: the row has our line */
    int64_t next_us;
} state;

static tims_status read_state(const looking *l, const timed *t, state *ret_state, tims_error *err)
{
    tims_db_rows *rows;
    const tims_db_value name = tims_db_text(t->name);
    tims_status status = tims_db_query(
        l->session, TIMS_STR("SELECT paused, spec, zone, next_due FROM tims_schedule WHERE name = ?1"), &name,
        1, &rows, err);
    if (status != TIMS_OK)
        return status;
    *ret_state = (state){ .is_there = tims_db_next(rows) };
    if (ret_state->is_there) {
        ret_state->is_paused = tims_db_get_int(rows, 0) != 0;
        ret_state->is_ours = tims_str_equal(tims_db_get_text(rows, 1), t->spec) &&
                             tims_str_equal(tims_db_get_text(rows, 2), t->zone_name) &&
                             !tims_db_is_null(rows, 3);
        ret_state->next_us = tims_db_is_null(rows, 3) ? 0 : tims_db_get_int(rows, 3);
    }
    return tims_db_rows_end(&rows, err);
}

typedef struct move {
    int64_t from_us, to_us;
    tims_opt_time last_due;
    tims_id last_job;
} move;

/* Moves the row on, if it still says what it said: who does that enqueues. */
static tims_status move_on(const looking *l, const timed *t, const move *m, bool *ret_is_mine,
                           tims_error *err)
{
    int64_t changed = 0;
    const tims_db_value values[] = { tims_db_text(t->name), tims_db_int(m->from_us),
                                     m->to_us == INT64_MAX ? tims_db_null() : tims_db_int(m->to_us),
                                     tasks__opt_time(m->last_due),
                                     m->last_due.present ? tims_db_id(m->last_job) : tims_db_null() };
    tims_status status =
        tims_db_run(l->session,
                    TIMS_STR("UPDATE tims_schedule SET next_due = ?3, last_due = coalesce(?4, last_due), "
                             "last_job = coalesce(?5, last_job) WHERE name = ?1 AND next_due = ?2"),
                    values, 5, &changed, err);
    *ret_is_mine = changed > 0;
    return status;
}

static void say_missed(const timed *t, const due_times *due, size_t chosen)
{
    if (t->declared->catch_up != TIMS_CATCH_UP_LAST && (due->is_cut || chosen < due->count))
        tims_log(TIMS_LOG_WARN, "tasks", "event=schedule_missed name=%S message=due times were left out",
                 t->name);
}

static tims_status enqueue_due(const looking *l, timed *t, const state *s, tims_error *err)
{
    due_times due = { .count = 0 };
    bool is_mine = false;
    int64_t now_s = to_seconds(l->now_us);
    move m = { .from_us = s->next_us, .to_us = next_us_after(t, l->now_us), .last_job = tims_id_new() };
    collect_due(t, to_seconds(s->next_us), now_s,
                t->declared->catch_up == TIMS_CATCH_UP_ALL ? CATCH_UP_MAX : 1, &due);
    size_t chosen = s->is_paused ? 0 : choose(t, &due, now_s);
    TIMS_ASSERT(chosen <= due.count);
    if (chosen > 0 && due.count > 0)
        m.last_due = (tims_opt_time){ true, { due.last[(due.count - 1) % CATCH_UP_MAX] * SECOND_US } };
    tims_status status = move_on(l, t, &m, &is_mine, err);
    if (status != TIMS_OK || !is_mine)
        return status;
    if (!s->is_paused)
        say_missed(t, &due, chosen);
    for (size_t i = chosen; status == TIMS_OK && i > 0; i--)
        status =
            enqueue(l, t, due.last[(due.count - i) % CATCH_UP_MAX], i == 1 ? m.last_job : tims_id_new(), err);
    t->next_us = m.to_us;
    return status;
}

static tims_status look_at(const looking *l, timed *t, tims_error *err)
{
    state s;
    tims_status status = read_state(l, t, &s, err);
    if (status != TIMS_OK)
        return status;
    if (!s.is_there || !s.is_ours) {
        t->next_us = l->now_us + LOOK_AGAIN_S * (int64_t)SECOND_US;
        return TIMS_OK;
    }
    t->next_us = s.next_us;
    return s.next_us > l->now_us ? TIMS_OK : enqueue_due(l, t, &s, err); /* >: another was faster */
}

/* --- looking ----------------------------------------------------------------------------------------------- */

/* One transaction each: one that fails does not hold up the others. */
static tims_status in_transaction(tims_tasks *tasks, tims_loop *loop, timed *t, tims_error *err)
{
    tims_arena *arena = tims_arena_new((size_t)64 * 1024 * 1024, NULL, NULL);
    looking l = { tasks, tims_db_session_new(tasks->db, loop, arena), arena, tasks__now(tasks).us };
    int64_t next_us = t != NULL ? t->next_us : 0;
    tims_status status = tims_db_begin(l.session, err);
    if (status == TIMS_OK) {
        status = t != NULL ? look_at(&l, t, err) : compare(&l, tasks->schedules, err);
        if (status == TIMS_OK)
            status = tims_db_commit(l.session, err);
        else
            tims_db_rollback(l.session);
    }
    if (status != TIMS_OK && t != NULL)
        t->next_us = next_us;
    tims_arena_free(&arena);
    return status;
}

/* Then the others would only wait for the same. */
static bool is_away(tims_status status)
{
    return status == TIMS_UNAVAILABLE || status == TIMS_TIMEOUT || status == TIMS_BUSY || status == TIMS_IO ||
           status == TIMS_CLOSED;
}

tims_status tasks__run_schedules(tims_tasks *tasks, tims_loop *loop, tims_time *ret_next, tims_error *err)
{
    tims_status status = TIMS_OK;
    ret_next->us = INT64_MAX;
    if (tasks->schedules == NULL)
        tasks->schedules = read_all(tasks);
    tasks__schedules *all = tasks->schedules;
    if (!all->is_known) {
        status = in_transaction(tasks, loop, NULL, err);
        all->is_known = status == TIMS_OK;
    }
    if (tasks__now(tasks).us < all->now_us - SECOND_US)
        say_clock_went_back(TIMS_STR("all"));
    all->now_us = tasks__now(tasks).us;
    for (size_t i = 0; all->is_known && i < all->count; i++) {
        timed *t = &all->items[i];
        tims_error later = { 0 };
        tims_status own = TIMS_OK;
        if (t->next_us <= tasks__now(tasks).us)
            own = in_transaction(tasks, loop, t, status == TIMS_OK ? err : &later);
        if (own == TIMS_OK && t->next_us < ret_next->us)
            ret_next->us = t->next_us;
        status = status == TIMS_OK ? own : status;
        if (is_away(own))
            break;
    }
    return status;
}
