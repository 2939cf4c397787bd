/* limit_keys.c: how many at once and how many in a time, among jobs of one task with one key.
 *
 * Jobs are claimed first and looked at then: what a key does not allow goes back, as blocked (too many run:
 * the end of one makes one ready) or to a later time (too many have begun: each gets a time of its own,
 * behind those that wait already). Blocked jobs are outside of the index that claims read, so they cost
 * others nothing; of those still ready at the front of the queue that have a key which is full, a good many
 * are put aside together. */
#include <stdlib.h>

#include "tasks/sql/limit_internal.h"

enum { LOOK_AHEAD = 1000, SWEEP_KEYS = 200, RELEASE_MAX = 500, IDS_BYTES_MAX = 1024 * 1024 };

/* --- names and lists of ids -------------------------------------------------------------------------------- */

static bool is_limited(const tims_task *task)
{
    return task != NULL && (task->key_concurrency > 0 || task->key_rate != NULL);
}

static tims_str name_of(tims_arena *arena, const char *kind, const tasks__job *job)
{
    return tims_print(arena, "%s:%S:%S", kind, job->task, job->key.value);
}

static void add_id(tims_buf *list, bool on_postgres, tims_id id)
{
    bool is_first = list->length == 0;
    if (on_postgres)
        tims_buf_print(list, "%c%I", is_first ? '{' : ',', id);
    else
        tims_buf_print(list, "%c\"%I\"", is_first ? '[' : ',', id);
}

/* One statement for all; who is locked by another claim is left to it. */
static tims_status block(tims_db_session *session, tims_buf *list, bool are_claimed, tims_error *err)
{
    bool on_postgres = tims_db_session_dialect(session) == TIMS_POSTGRES;
    if (list->length == 0)
        return TIMS_OK;
    tims_buf_append_char(list, on_postgres ? '}' : ']');
    TIMS_ASSERT(!list->overflow);
    const tims_db_value values[] = { tims_db_text(tims_buf_str(list)),
                                     tims_db_int(are_claimed ? TASKS__RUNNING : TASKS__READY),
                                     tims_db_int(are_claimed ? 1 : 0) };
    tims_str sql =
        on_postgres
            ? TIMS_STR("WITH full_ones AS MATERIALIZED (SELECT j.id FROM unnest(?1::text::uuid[]) AS "
                       "list(id) JOIN tims_job j ON j.id = list.id WHERE j.state = ?2 FOR UPDATE OF j SKIP "
                       "LOCKED) UPDATE tims_job SET state = 3, attempt = attempt - ?3, worker = NULL FROM "
                       "full_ones WHERE tims_job.id = full_ones.id")
            : TIMS_STR("UPDATE tims_job SET state = 3, attempt = attempt - ?3, worker = NULL WHERE id IN "
                       "(SELECT value FROM json_each(?1)) AND state = ?2");
    return tims_db_run(session, sql, values, 3, NULL, err);
}

/* --- one claim --------------------------------------------------------------------------------------------- */

/* Jobs of one key among those claimed: a stretch of the sorted list. */
typedef struct group {
    const tims_task *task;
    tasks__job **jobs;
    size_t count, kept;
    int64_t running; /* of this key, these included */
    bool is_full;    /* some are blocked */
} group;

typedef struct deciding {
    tims_tasks *tasks;
    tims_db_session *session;
    tims_arena *arena;
    tims_map *groups; /* name → group */
    tims_buf blocked; /* ids */
    tims_time now, again;
} deciding;

static int compare_jobs(const void *a, const void *b)
{
    const tasks__job *left = *(tasks__job *const *)a, *right = *(tasks__job *const *)b;
    int order = tims_str_compare(left->task, right->task);
    if (order == 0)
        order = tims_str_compare(left->key.value, right->key.value);
    if (order == 0)
        order = (left->priority > right->priority) - (left->priority < right->priority);
    if (order == 0)
        order = (left->run_at.us > right->run_at.us) - (left->run_at.us < right->run_at.us);
    return order != 0 ? order : memcmp(&left->id, &right->id, sizeof left->id);
}

/* All keys, always in the same order, so that claims do not wait for each other in a circle. */
static tims_status lock_groups(deciding *d, group *groups, size_t count, tims_error *err)
{
    tims_str *names = TIMS_NEW_ARRAY(d->arena, tims_str, count);
    for (size_t i = 0; i < count; i++) {
        names[i] = name_of(d->arena, "key", groups[i].jobs[0]);
        (void)tims_map_set(d->groups, names[i], &groups[i]);
    }
    return tasks__limit_lock(d->session, d->arena, names, count, err);
}

/* What runs is few: one look for all keys. */
static tims_status count_running(tims_db_session *session, tims_arena *arena, tims_map *groups,
                                 tims_error *err)
{
    tims_db_rows *rows;
    tims_status status =
        tims_db_query(session,
                      TIMS_STR("SELECT task, limit_key, count(*) FROM tims_job WHERE state = "
                               "2 AND limit_key IS NOT NULL GROUP BY task, limit_key"),
                      NULL, 0, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (tims_db_next(rows)) {
        group *g = tims_map_get(
            groups, tims_print(arena, "key:%S:%S", tims_db_get_text(rows, 0), tims_db_get_text(rows, 1)));
        if (g != NULL)
            g->running = tims_db_get_int(rows, 2);
    }
    return tims_db_rows_end(&rows, err);
}

static tims_status put_off(const deciding *d, const tasks__job *job, int64_t until_us, tims_error *err)
{
    const tims_db_value values[] = { tims_db_id(job->id), tims_db_int(until_us) };
    return tims_db_run(d->session,
                       TIMS_STR("UPDATE tims_job SET state = 1, run_at = ?2, attempt = attempt - 1, worker = "
                                "NULL WHERE id = ?1"),
                       values, 2, NULL, err);
}

/* Those from `from` to before `until` get the next free times. A row of tims_limit says which was the last
 * that somebody got. */
static tims_status put_off_all(deciding *d, const group *g, size_t from, size_t until, double tokens,
                               tims_rate rate, tims_error *err)
{
    tims_str name = name_of(d->arena, "later", g->jobs[0]);
    int64_t each_us = rate.period_us / rate.count > 0 ? rate.period_us / rate.count : 1;
    int64_t at_us = d->now.us + tasks__bucket_wait_us(tokens, rate);
    tims_db_rows *rows;
    const tims_db_value value = tims_db_text(name);
    tims_status status = tims_db_query(
        d->session, TIMS_STR("SELECT counted_at FROM tims_limit WHERE name = ?1"), &value, 1, &rows, err);
    if (status != TIMS_OK)
        return status;
    if (tims_db_next(rows) && tims_db_get_int(rows, 0) + each_us > at_us)
        at_us = tims_db_get_int(rows, 0) + each_us;
    status = tims_db_rows_end(&rows, err);
    if (d->again.us == 0 || at_us < d->again.us)
        d->again.us = at_us;
    for (size_t i = from; status == TIMS_OK && i < until; i++, at_us += each_us)
        status = put_off(d, g->jobs[i], at_us, err);
    if (status == TIMS_OK)
        status = tasks__bucket_write(d->session, name, 0, (tims_time){ at_us - each_us }, err);
    return status;
}

static tims_status decide_rate(deciding *d, group *g, size_t allowed, tims_error *err)
{
    tims_rate rate = { 0, 1 };
    tasks__bucket bucket;
    g->kept = allowed;
    if (g->task->key_rate == NULL || !tims_rate_parse(g->task->key_rate, &rate) || rate.count == 0)
        return TIMS_OK;
    tims_str name = name_of(d->arena, "key", g->jobs[0]);
    tims_status status = tasks__bucket_read(d->session, name, rate, d->now, &bucket, err);
    if (status != TIMS_OK)
        return status;
    g->kept = tasks__bucket_whole(&bucket, allowed);
    bucket.tokens -= (double)g->kept;
    if (g->kept > 0 || bucket.is_ahead)
        status = tasks__bucket_write(d->session, name, bucket.tokens, d->now, err);
    if (status == TIMS_OK && g->kept < allowed)
        status = put_off_all(d, g, g->kept, allowed, bucket.tokens, rate, err);
    return status;
}

static tims_status decide(deciding *d, group *g, tims_error *err)
{
    size_t allowed = g->count;
    if (g->task->key_concurrency > 0) {
        int64_t room = g->task->key_concurrency - (g->running - (int64_t)g->count);
        allowed = room <= 0 ? 0 : room < (int64_t)g->count ? (size_t)room : g->count;
    }
    for (size_t i = allowed; i < g->count; i++) {
        add_id(&d->blocked, tims_db_session_dialect(d->session) == TIMS_POSTGRES, g->jobs[i]->id);
        g->is_full = true;
    }
    return decide_rate(d, g, allowed, err);
}

/* Others of full keys at the front of the queue: each would be claimed only to go back. */
static tims_status block_ahead(deciding *d, tims_str queue, tims_error *err)
{
    tims_buf ids;
    tims_db_rows *rows;
    const tims_db_value values[] = { tims_db_text(queue), tims_db_int(LOOK_AHEAD) };
    tims_buf_init(&ids, d->arena, IDS_BYTES_MAX);
    tims_status status = tims_db_query(
        d->session,
        TIMS_STR("SELECT id, task, limit_key FROM tims_job WHERE queue = ?1 AND state = 0 ORDER "
                 "BY priority, run_at LIMIT ?2"),
        values, 2, &rows, err);
    if (status != TIMS_OK)
        return status;
    while (tims_db_next(rows)) {
        if (tims_db_is_null(rows, 2))
            continue;
        const group *g = tims_map_get(d->groups, tims_print(d->arena, "key:%S:%S", tims_db_get_text(rows, 1),
                                                            tims_db_get_text(rows, 2)));
        if (g != NULL && g->is_full)
            add_id(&ids, tims_db_session_dialect(d->session) == TIMS_POSTGRES, tims_db_get_id(rows, 0));
    }
    status = tims_db_rows_end(&rows, err);
    return status == TIMS_OK ? block(d->session, &ids, false, err) : status;
}

static tims_status decide_all(deciding *d, group *groups, size_t count, tims_error *err)
{
    tims_str queue = groups[0].jobs[0]->queue;
    bool any_is_full = false;
    tims_status status = lock_groups(d, groups, count, err);
    if (status == TIMS_OK)
        status = count_running(d->session, d->arena, d->groups, err);
    for (size_t i = 0; status == TIMS_OK && i < count; i++) {
        status = decide(d, &groups[i], err);
        any_is_full = any_is_full || groups[i].is_full;
    }
    if (status == TIMS_OK)
        status = block(d->session, &d->blocked, true, err);
    if (status == TIMS_OK && any_is_full)
        status = block_ahead(d, queue, err);
    return status;
}

/* Limited ones to the end of the list, sorted; how many others there are. */
static size_t part(const tims_tasks *tasks, tasks__job **jobs, size_t count)
{
    size_t free_ones = 0;
    for (size_t i = 0; i < count; i++) {
        tasks__job *job = jobs[i];
        if (job->key.present && is_limited(tims_tasks_find(tasks, job->task)))
            continue;
        jobs[i] = jobs[free_ones];
        jobs[free_ones++] = job;
    }
    qsort(jobs + free_ones, count - free_ones, sizeof *jobs, compare_jobs);
    return free_ones;
}

static size_t find_groups(const tims_tasks *tasks, tasks__job **jobs, size_t count, group *ret_groups)
{
    size_t groups = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_same = i > 0 && tims_str_equal(jobs[i]->task, jobs[i - 1]->task) &&
                       tims_str_equal(jobs[i]->key.value, jobs[i - 1]->key.value);
        if (!is_same)
            ret_groups[groups++] = (group){ .task = tims_tasks_find(tasks, jobs[i]->task), .jobs = jobs + i };
        ret_groups[groups - 1].count++;
    }
    return groups;
}

static size_t drop_others(group *groups, size_t count, tasks__job **list)
{
    size_t kept = 0;
    for (size_t g = 0; g < count; g++)
        for (size_t i = 0; i < groups[g].count; i++) {
            tasks__job *job = groups[g].jobs[i];
            if (i < groups[g].kept)
                list[kept++] = job;
            else
                tasks__job_free(&job);
        }
    return kept;
}

tims_status tasks__limit_keys(tims_tasks *tasks, tims_db_session *session, tasks__job **jobs, size_t *count,
                              tims_time *ret_again, tims_error *err)
{
    size_t free_ones = part(tasks, jobs, *count);
    if (free_ones == *count)
        return TIMS_OK;
    tims_arena *arena = tims_arena_new(64 * 1024 * 1024, NULL, NULL);
    deciding d = { .tasks = tasks,
                   .session = session,
                   .arena = arena,
                   .groups = tims_map_new(),
                   .now = tasks__now(tasks),
                   .again = *ret_again };
    tims_buf_init(&d.blocked, arena, IDS_BYTES_MAX);
    group *groups = TIMS_NEW_ARRAY(arena, group, *count - free_ones);
    size_t group_count = find_groups(tasks, jobs + free_ones, *count - free_ones, groups);
    tims_status status = decide_all(&d, groups, group_count, err);
    if (status == TIMS_OK) {
        *count = free_ones + drop_others(groups, group_count, jobs + free_ones);
        *ret_again = d.again;
    }
    tims_map_free(&d.groups);
    tims_arena_free(&arena);
    return status;
}

/* --- ends -------------------------------------------------------------------------------------------------- */

static void wake_after_commit(void *argument)
{
    tims_tasks *tasks = argument;
    tasks__wake(tasks, (tims_time){ 0 });
}

static tims_status release(tims_tasks *tasks, tims_db_session *session, tims_str task, tims_str key,
                           int64_t count, tims_error *err)
{
    int64_t changed = 0;
    const tims_db_value values[] = { tims_db_text(task), tims_db_text(key), tims_db_int(count) };
    tims_str sql =
        tims_db_session_dialect(session) == TIMS_POSTGRES
            ? TIMS_STR("WITH next AS MATERIALIZED (SELECT id FROM tims_job WHERE state = 3 AND task = ?1 AND "
                       "limit_key = ?2 ORDER BY priority, run_at LIMIT ?3 FOR UPDATE SKIP LOCKED) UPDATE "
                       "tims_job SET state = 0 FROM next WHERE tims_job.id = next.id")
            : TIMS_STR("UPDATE tims_job SET state = 0 WHERE id IN (SELECT id FROM tims_job WHERE state = 3 "
                       "AND task = ?1 AND limit_key = ?2 ORDER BY priority, run_at LIMIT ?3)");
    tims_status status = tims_db_run(session, sql, values, 3, &changed, err);
    if (status == TIMS_OK && changed > 0)
        tims_db_on_commit(session, wake_after_commit, tasks);
    return status;
}

/* The lock keeps a claim from blocking a job that this end would have made ready, had it seen it. */
tims_status tasks__limit_release(tims_tasks *tasks, tims_db_session *session, const tasks__job *job,
                                 tims_error *err)
{
    const tims_task *task = tims_tasks_find(tasks, job->task);
    if (!job->key.present || task == NULL || task->key_concurrency == 0)
        return TIMS_OK;
    tims_arena *arena = tims_arena_new(64 * 1024, NULL, NULL);
    tims_str name = name_of(arena, "key", job);
    tims_status status = tasks__limit_lock(session, arena, &name, 1, err);
    tims_arena_free(&arena);
    return status == TIMS_OK ? release(tasks, session, job->task, job->key.value, 1, err) : status;
}

/* --- in case nobody did ------------------------------------------------------------------------------------ */

typedef struct swept_key {
    bool is_there;
    tims_str task, key;
} swept_key;

static tims_status next_blocked(tims_db_session *session, tims_arena *arena, const swept_key *after,
                                swept_key *ret_key, tims_error *err)
{
    tims_db_rows *rows;
    const tims_db_value values[] = { tims_db_text(after->task), tims_db_text(after->key) };
    tims_status status =
        tims_db_query(session,
                      TIMS_STR("SELECT task, limit_key FROM tims_job WHERE state = 3 AND "
                               "(task, limit_key) > (?1, ?2) ORDER BY task, limit_key LIMIT 1"),
                      values, 2, &rows, err);
    if (status != TIMS_OK)
        return status;
    *ret_key = (swept_key){ .is_there = tims_db_next(rows) };
    if (ret_key->is_there) {
        ret_key->task = tims_copy(arena, tims_db_get_text(rows, 0));
        ret_key->key = tims_copy(arena, tims_db_get_text(rows, 1));
    }
    return tims_db_rows_end(&rows, err);
}

static tims_status count_running_of(tims_db_session *session, const swept_key *key, int64_t *ret_count,
                                    tims_error *err)
{
    tims_db_rows *rows;
    const tims_db_value values[] = { tims_db_text(key->task), tims_db_text(key->key) };
    tims_status status = tims_db_query(
        session, TIMS_STR("SELECT count(*) FROM tims_job WHERE state = 2 AND task = ?1 AND limit_key = ?2"),
        values, 2, &rows, err);
    if (status != TIMS_OK)
        return status;
    *ret_count = tims_db_next(rows) ? tims_db_get_int(rows, 0) : 0;
    return tims_db_rows_end(&rows, err);
}

/* A limit that the code has raised, or no longer has. A task that is unknown here is another version's. */
static tims_status sweep_key(tims_tasks *tasks, tims_db_session *session, const swept_key *key,
                             tims_error *err)
{
    const tims_task *task = tims_tasks_find(tasks, key->task);
    int64_t running = 0, room = RELEASE_MAX;
    tims_status status = TIMS_OK;
    if (task == NULL)
        return TIMS_OK;
    if (task->key_concurrency > 0) {
        status = count_running_of(session, key, &running, err);
        room = task->key_concurrency - running < room ? task->key_concurrency - running : room;
    }
    if (status == TIMS_OK && room > 0)
        status = release(tasks, session, key->task, key->key, room, err);
    return status;
}

static void keep_key(tims_buf *out, const swept_key *key)
{
    tims_buf_append_str(out, key->task);
    tims_buf_append_char(out, '\0');
    tims_buf_append_str(out, key->key);
}

/* Goes on behind the last key of the time before, so that all have their turn. */
tims_status tasks__limit_sweep_keys(tims_tasks *tasks, tims_db_session *session, tims_error *err)
{
    tims_arena *arena = tims_arena_new(4 * 1024 * 1024, NULL, NULL);
    tims_str last = tims_copy(arena, tims_buf_str(&tasks->swept));
    swept_key at = { .task = tims_str_cut(&last, '\0'), .key = last };
    tims_status status = TIMS_OK;
    bool is_over = false;
    for (int i = 0; status == TIMS_OK && !is_over && i < SWEEP_KEYS; i++) {
        status = next_blocked(session, arena, &at, &at, err);
        is_over = status == TIMS_OK && !at.is_there;
        if (status == TIMS_OK && at.is_there)
            status = sweep_key(tasks, session, &at, err);
    }
    if (status == TIMS_OK) {
        tims_buf_consume(&tasks->swept, tasks->swept.length);
        if (!is_over)
            keep_key(&tasks->swept, &at);
    }
    tims_arena_free(&arena);
    return status;
}
