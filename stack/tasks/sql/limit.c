/* limit.c: how many at once and how many in a time, of a queue; and the buckets that count it.
 *
 * A claim from a queue with limits counts and takes in one transaction, while other claims from it wait. What
 * runs is counted by its rows, so that nothing has to be given back when a worker dies. */
#include <math.h>

#include "tasks/sql/limit_internal.h"

/* --- what is declared -------------------------------------------------------------------------------------- */

static tims_rate rate_of(const char *text)
{
    tims_rate rate = { 0, 1 };
    TIMS_ASSERT(text == NULL || tims_rate_parse(text, &rate)); /* it was checked at the start */
    return rate;
}

tims_status tasks__check_limits(const tims_task *task, tims_error *err)
{
    tims_rate rate;
    if (task->key_rate != NULL && !tims_rate_parse(task->key_rate, &rate))
        return tims_fail(err, TIMS_INVALID, "task", "task \"%s\": .key_rate is \"%s\", not like \"100/m\".",
                         task->name, task->key_rate);
    return TIMS_OK;
}

tims_status tasks__check_queue(const tims_queue *queue, tims_error *err)
{
    tims_rate rate;
    size_t length = strlen(queue->name);
    if (length == 0 || length > TASKS__NAME_BYTES_MAX)
        return tims_fail(err, TIMS_INVALID, "queue", "queue \"%.200s\": its name must have 1 to 200 bytes.",
                         queue->name);
    if (queue->concurrency < 0)
        return tims_fail(err, TIMS_INVALID, "queue", "queue \"%s\": .concurrency is negative.", queue->name);
    if (queue->rate != NULL && !tims_rate_parse(queue->rate, &rate))
        return tims_fail(err, TIMS_INVALID, "queue", "queue \"%s\": .rate is \"%s\", not like \"100/m\".",
                         queue->name, queue->rate);
    return TIMS_OK;
}

/* --- locks and buckets ------------------------------------------------------------------------------------- */

tims_status tasks__limit_lock(tims_db_session *session, tims_arena *arena, const tims_str *names,
                              size_t count, tims_error *err)
{
    enum { NAMES_BYTES_MAX = 1024 * 1024 };
    tims_buf list;
    tims_db_rows *rows;
    if (tims_db_session_dialect(session) == TIMS_SQLITE)
        return TIMS_OK;
    tims_buf_init(&list, arena, NAMES_BYTES_MAX);
    tims_json_writer w = tims_json_to(&list);
    tims_json_begin_array(&w);
    for (size_t i = 0; i < count; i++)
        tims_json_str(&w, names[i]);
    tims_json_end_array(&w);
    TIMS_ASSERT(!list.overflow);
    const tims_db_value value = tims_db_text(tims_buf_str(&list));
    /* not a row's lock: that would be a write, for which an empty claim would have to wait */
    tims_status status = tims_db_query(
        session,
        TIMS_STR("SELECT count(pg_advisory_xact_lock(hashtextextended(name, 28711))) FROM (SELECT name FROM "
                 "json_array_elements_text(?1::text::json) WITH ORDINALITY AS list(name, place) ORDER BY "
                 "place OFFSET 0) AS names"),
        &value, 1, &rows, err);
    return status == TIMS_OK ? tims_db_rows_end(&rows, err) : status;
}

tims_status tasks__bucket_read(tims_db_session *session, tims_str name, tims_rate rate, tims_time now,
                               tasks__bucket *ret_bucket, tims_error *err)
{
    tims_db_rows *rows;
    const tims_db_value value = tims_db_text(name);
    tims_status status =
        tims_db_query(session, TIMS_STR("SELECT tokens, counted_at FROM tims_limit WHERE name = ?1"), &value,
                      1, &rows, err);
    if (status != TIMS_OK)
        return status;
    *ret_bucket = (tasks__bucket){ .tokens = (double)rate.count };
    if (tims_db_next(rows)) {
        int64_t passed_us = now.us - tims_db_get_int(rows, 1);
        double tokens = tims_db_get_double(rows, 0);
        ret_bucket->is_ahead = passed_us < 0;
        if (passed_us > 0)
            tokens += (double)passed_us * (double)rate.count / (double)rate.period_us;
        if (tokens < ret_bucket->tokens)
            ret_bucket->tokens = tokens;
    }
    return tims_db_rows_end(&rows, err);
}

tims_status tasks__bucket_write(tims_db_session *session, tims_str name, double tokens, tims_time time,
                                tims_error *err)
{
    const tims_db_value values[] = { tims_db_id(tims_id_new()), tims_db_text(name), tims_db_double(tokens),
                                     tims_db_int(time.us) };
    return tims_db_run(session,
                       TIMS_STR("INSERT INTO tims_limit (id, name, tokens, counted_at) VALUES (?1, ?2, ?3, "
                                "?4) ON CONFLICT (name) DO UPDATE SET tokens = excluded.tokens, counted_at = "
                                "excluded.counted_at"),
                       values, 4, NULL, err);
}

/* What evenly refills a token at a time ends a hair below the whole. */
static const double HAIR = 1e-6;

size_t tasks__bucket_whole(const tasks__bucket *bucket, size_t max)
{
    double whole = floor(bucket->tokens + HAIR);
    return whole <= 0 ? 0 : whole >= (double)max ? max : (size_t)whole;
}

int64_t tasks__bucket_wait_us(double tokens, tims_rate rate)
{
    double missing = floor(tokens + HAIR) + 1 - tokens;
    return (int64_t)ceil(missing * (double)rate.period_us / (double)rate.count);
}

/* --- queues ------------------------------------------------------------------------------------------------ */

static tims_str name_of(const tims_queue *rule, char *space, size_t size)
{
    tims_buf out = { .data = space, .capacity = size, .max = size };
    tims_buf_print(&out, "queue:%s", rule->name);
    return tims_buf_str(&out);
}

static tims_status count_running(tims_db_session *session, const tims_queue *rule, int64_t *ret_count,
                                 tims_error *err)
{
    tims_db_rows *rows;
    const tims_db_value value = tims_db_text(tims_str_from(rule->name));
    tims_status status =
        tims_db_query(session, TIMS_STR("SELECT count(*) FROM tims_job WHERE state = 2 AND queue = ?1"),
                      &value, 1, &rows, err);
    if (status != TIMS_OK)
        return status;
    *ret_count = tims_db_next(rows) ? tims_db_get_int(rows, 0) : 0;
    return tims_db_rows_end(&rows, err);
}

tims_status tasks__limit_queue(tims_tasks *tasks, tims_db_session *session, const tims_queue *rule,
                               size_t max, size_t *ret_allowed, tims_time *ret_again, tims_error *err)
{
    char space[TASKS__NAME_BYTES_MAX + 16];
    tims_str name = name_of(rule, space, sizeof space);
    tims_rate rate = rate_of(rule->rate);
    int64_t running = 0;
    size_t allowed = max;
    tasks__bucket bucket;
    tims_status status = TIMS_OK;
    ret_again->us = 0;
    if (rule->concurrency > 0 || rate.count > 0) {
        tims_arena *arena = tims_arena_new(64 * 1024, NULL, NULL);
        status = tasks__limit_lock(session, arena, &name, 1, err);
        tims_arena_free(&arena);
    }
    if (status == TIMS_OK && rule->concurrency > 0) {
        status = count_running(session, rule, &running, err);
        int64_t room = rule->concurrency > running ? rule->concurrency - running : 0;
        allowed = (uint64_t)room < allowed ? (size_t)room : allowed;
    }
    if (status == TIMS_OK && rate.count > 0) {
        tims_time now = tasks__now(tasks);
        status = tasks__bucket_read(session, name, rate, now, &bucket, err);
        if (status == TIMS_OK && bucket.is_ahead)
            status = tasks__bucket_write(session, name, bucket.tokens, now, err);
        if (status != TIMS_OK)
            return status;
        size_t whole = tasks__bucket_whole(&bucket, allowed);
        if (whole < allowed)
            ret_again->us = now.us + tasks__bucket_wait_us(bucket.tokens, rate);
        allowed = whole;
    }
    if (status == TIMS_OK)
        *ret_allowed = allowed;
    return status;
}

tims_status tasks__limit_begun(tims_tasks *tasks, tims_db_session *session, const tims_queue *rule,
                               size_t count, tims_error *err)
{
    char space[TASKS__NAME_BYTES_MAX + 16];
    tims_str name = name_of(rule, space, sizeof space);
    tims_rate rate = rate_of(rule->rate);
    tims_time now = tasks__now(tasks);
    tasks__bucket bucket;
    if (rate.count == 0 || count == 0)
        return TIMS_OK;
    tims_status status = tasks__bucket_read(session, name, rate, now, &bucket, err);
    if (status == TIMS_OK)
        status = tasks__bucket_write(session, name, bucket.tokens - (double)count, now, err);
    return status;
}

/* --- buckets that are full again --------------------------------------------------------------------------- */

tims_status tasks__limit_sweep(tims_tasks *tasks, tims_db_session *session, tims_error *err)
{
    enum { ROWS = 500 };
    const tims_db_value values[] = { tims_db_int(tasks__now(tasks).us - TASKS__LIMIT_KEPT_US),
                                     tims_db_int(ROWS) };
    tims_status status = tims_db_run(
        session,
        TIMS_STR("DELETE FROM tims_limit WHERE id IN (SELECT id FROM tims_limit WHERE counted_at <= ?1 ORDER "
                 "BY counted_at LIMIT ?2)"),
        values, 2, NULL, err);
    return status == TIMS_OK ? tasks__limit_sweep_keys(tasks, session, err) : status;
}
