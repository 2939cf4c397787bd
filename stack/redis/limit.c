/* limit.c: limits that are counted once for all who share the server.
 *
 * Each question is one script, so that looking and counting are one step however many ask; the server's clock
 * counts. What is undone (a try that was no failure) nobody waits for. */
#include "redis/redis_internal.h"

/* KEYS: the limit's; ARGV: its max, its window in ms, whether to count. Answers what is left of the window in
 * ms, or 0: open. */
static const tims_str window_script =
    TIMS_STR_INIT("local n = tonumber(redis.call('GET', KEYS[1]) or '0') "
                  "if n >= tonumber(ARGV[1]) then return math.max(redis.call('PTTL', KEYS[1]), 1) end "
                  "if ARGV[3] == '1' and redis.call('INCR', KEYS[1]) == 1 then "
                  "redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0");
/* Only while the window lasts: what is counted for nothing must not stay. */
static const tims_str take_back_script =
    TIMS_STR_INIT("if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end");
/* ARGV: max, period in µs. The value is when the bucket is full again, in µs. */
static const tims_str bucket_script =
    TIMS_STR_INIT("local t = redis.call('TIME') local now = t[1] * 1000000 + t[2] "
                  "local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) "
                  "full = full + math.max(math.floor(ARGV[2] / ARGV[1]), 1) "
                  "local wait = full - ARGV[2] - now if wait > 0 then return wait end "
                  "redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', "
                  "math.ceil((full - now) / 1000)) return 0");

enum { NUMBER_BYTES = 24 };

static tims_str write_number(char room[NUMBER_BYTES], int64_t number)
{
    return (tims_str){ room, (size_t)snprintf(room, NUMBER_BYTES, "%lld", (long long)number) };
}

static tims_status ask(tims_redis *redis, tims_arena *arena, tims_slice_list command, int64_t unit_us,
                       int64_t *ret_wait_us, tims_error *err)
{
    const tims_redis_reply *reply;
    tims_status status = tims_redis_call(redis, arena, command, &reply, err);
    if (status == TIMS_OK)
        *ret_wait_us = tims_redis_int(reply) * unit_us;
    return status;
}

tims_status tims_redis_limit_window(tims_redis *redis, tims_arena *arena, tims_str key,
                                    tims_redis_limit limit, bool counts, int64_t *ret_wait_us,
                                    tims_error *err)
{
    char max[NUMBER_BYTES], window[NUMBER_BYTES];
    return ask(redis, arena,
               TIMS_REDIS_COMMAND(TIMS_STR("EVAL"), window_script, TIMS_STR("1"), key,
                                  write_number(max, limit.max), write_number(window, limit.period_us / 1000),
                                  counts ? TIMS_STR("1") : TIMS_STR("0")),
               1000, ret_wait_us, err);
}

tims_status tims_redis_limit_bucket(tims_redis *redis, tims_arena *arena, tims_str key,
                                    tims_redis_limit limit, int64_t *ret_wait_us, tims_error *err)
{
    char max[NUMBER_BYTES], period[NUMBER_BYTES];
    return ask(redis, arena,
               TIMS_REDIS_COMMAND(TIMS_STR("EVAL"), bucket_script, TIMS_STR("1"), key,
                                  write_number(max, limit.max), write_number(period, limit.period_us)),
               1, ret_wait_us, err);
}

void tims_redis_limit_count(tims_redis *redis, tims_str key, int64_t period_us)
{
    char max[NUMBER_BYTES], window[NUMBER_BYTES];
    (void)tims_redis_send(redis,
                          TIMS_REDIS_COMMAND(TIMS_STR("EVAL"), window_script, TIMS_STR("1"), key,
                                             write_number(max, INT64_MAX),
                                             write_number(window, period_us / 1000), TIMS_STR("1")),
                          NULL, NULL);
}

void tims_redis_limit_take_back(tims_redis *redis, tims_str key)
{
    (void)tims_redis_send(redis, TIMS_REDIS_COMMAND(TIMS_STR("EVAL"), take_back_script, TIMS_STR("1"), key),
                          NULL, NULL);
}

void tims_redis_limit_clear(tims_redis *redis, tims_str key)
{
    (void)tims_redis_send(redis, TIMS_REDIS_COMMAND(TIMS_STR("DEL"), key), NULL, NULL);
}
