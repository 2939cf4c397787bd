/* scripts.c: what must be one step on Redis, as Lua.
 *
 * Keys of ours, beside Celery's:
 *   tims:leases          workers and until when their lease lasts (ms)
 *   tims:batch:<worker>  what its last take took, should its answer get lost
 *   tims:delayed         messages that are due later (µs), each behind the list it goes to
 *   tims:revoked         ids and when they were revoked (µs); waiting:<id>: what runs goes on
 *   tims:relayed:<id>:<run_at>  jobs that were pushed here and may still be in the database
 *   tims:wake            a channel: look at your queues
 *
 * A message that is taken is in `unacked` under a tag of its worker and take: tims.<worker>.<take>.<n>.
 * Whoever removes the tag has the message: its worker when it acknowledges, another when it puts it back.
 * Scripts have no KEYS, since a Cluster is refused. */
#include <stdio.h>

#include "tasks/celery/celery_internal.h"

/* ARGV: queues. Answers for each 1, or 0. */
#define LOOK                                                                                  \
    "local has = {} "                                                                         \
    "for n, queue in ipairs(ARGV) do "                                                        \
    "  has[n] = redis.call('EXISTS', queue, queue .. '\\006\\0223', queue .. '\\006\\0226', " \
    "    queue .. '\\006\\0229') > 0 and 1 or 0 "                                             \
    "end return has"

/* ARGV: queues. Answers how many messages each has. */
#define COUNT                                                                        \
    "local counts = {} "                                                             \
    "for n, queue in ipairs(ARGV) do "                                               \
    "  counts[n] = 0 "                                                               \
    "  for _, step in ipairs({'', '\\006\\0223', '\\006\\0226', '\\006\\0229'}) do " \
    "    local count = redis.pcall('LLEN', queue .. step) "                          \
    "    if type(count) == 'number' then counts[n] = counts[n] + count end "         \
    "  end "                                                                         \
    "end return counts"

/* ARGV: worker, queue, max, tag base, the base of its last take whose answer it has, bytes at most. What a
 * take took whose answer was lost is put back first.
 * Answers: 1 (0: no lease), the time in µs, the messages. */
#define TAKE                                                                                   \
    "local t = redis.call('TIME') "                                                            \
    "local us = string.format('%.0f', t[1] * 1000000 + t[2]) "                                 \
    "if not redis.call('ZSCORE', 'tims:leases', ARGV[1]) then return {0, us} end "             \
    "local batch = 'tims:batch:' .. ARGV[1] "                                                  \
    "local base, taken, queue = string.match(redis.call('GET', batch) or '', "                 \
    "  '^([^\\n]*)\\n([^\\n]*)\\n(.*)$') "                                                     \
    "if base and base ~= ARGV[5] then "                                                        \
    "  local tail = ',\"\",' .. cjson.encode(queue) .. ']' "                                   \
    "  for n = #taken, 1, -1 do "                                                              \
    "    local entry = redis.call('HGET', 'unacked', base .. n) "                              \
    "    if entry then "                                                                       \
    "      redis.call('HDEL', 'unacked', base .. n) "                                          \
    "      redis.call('ZREM', 'unacked_index', base .. n) "                                    \
    "      local step = string.sub(taken, n, n) "                                              \
    "      local list = step == '0' and queue or queue .. '\\006\\022' .. step "               \
    "      redis.call('RPUSH', list, string.sub(entry, 2, #entry - #tail)) "                   \
    "    end "                                                                                 \
    "  end "                                                                                   \
    "  redis.call('DEL', batch) "                                                              \
    "end "                                                                                     \
    "local out, max, bytes, steps = {1, us}, tonumber(ARGV[3]), tonumber(ARGV[6]), {} "        \
    "local tail = ',\"\",' .. cjson.encode(ARGV[2]) .. ']' "                                   \
    "local score = string.format('%d.%06d', t[1], t[2]) "                                      \
    "local entries, scores = {}, {} "                                                          \
    "for _, step in ipairs({'0', '3', '6', '9'}) do "                                          \
    "  local list = step == '0' and ARGV[2] or ARGV[2] .. '\\006\\022' .. step "               \
    "  while #steps < max and bytes > 0 do "                                                   \
    "    local want = math.min(max - #steps, 50) "                                             \
    "    local got = redis.call('RPOP', list, want) or {} "                                    \
    "    for _, message in ipairs(got) do "                                                    \
    "      local tag = ARGV[4] .. (#steps + 1) "                                               \
    "      steps[#steps + 1] = step "                                                          \
    "      out[#out + 1] = message "                                                           \
    "      bytes = bytes - #message "                                                          \
    "      entries[#entries + 1] = tag "                                                       \
    "      entries[#entries + 1] = '[' .. message .. tail "                                    \
    "      scores[#scores + 1] = score "                                                       \
    "      scores[#scores + 1] = tag "                                                         \
    "    end "                                                                                 \
    "    if #got < want then break end "                                                       \
    "  end "                                                                                   \
    "end "                                                                                     \
    "if #steps > 0 then "                                                                      \
    "  redis.call('HSET', 'unacked', unpack(entries)) "                                        \
    "  redis.call('ZADD', 'unacked_index', unpack(scores)) "                                   \
    "  redis.call('SET', batch, ARGV[4] .. '\\n' .. table.concat(steps) .. '\\n' .. ARGV[2], " \
    "    'EX', 86400) "                                                                        \
    "end "                                                                                     \
    "return out"

/* ARGV: worker, lease in ms, 1 when it begins, the newest revoke it knows. Answers: 1 (0: the lease was
 * lost), the time in µs, further revokes, each with its score. */
#define BEAT                                                                                           \
    "local t = redis.call('TIME') "                                                                    \
    "local ms = t[1] * 1000 + math.floor(t[2] / 1000) "                                                \
    "local held = ARGV[3] == '1' or redis.call('ZSCORE', 'tims:leases', ARGV[1]) "                     \
    "if held then redis.call('ZADD', 'tims:leases', string.format('%.0f', ms + ARGV[2]), ARGV[1]) "    \
    "end "                                                                                             \
    "return {held and 1 or 0, string.format('%.0f', t[1] * 1000000 + t[2]), "                          \
    "  redis.call('ZRANGEBYSCORE', 'tims:revoked', '(' .. ARGV[4], '+inf', 'WITHSCORES', 'LIMIT', 0, " \
    "  10000)}"

/* ARGV: tags. What runs for long is not stolen by those who look at its age only. */
#define TOUCH                                                  \
    "local t = redis.call('TIME') "                            \
    "local score = string.format('%d.%06d', t[1], t[2]) "      \
    "for _, tag in ipairs(ARGV) do "                           \
    "  redis.call('ZADD', 'unacked_index', 'XX', score, tag) " \
    "end"

/* A member of a chord has ended, as Celery's workers count them. The last one has the callback sent, with all
 * results in front of its arguments (instead of the mark in them), or failed, if one of the members has. */
#define JOIN                                                                                            \
    "local function join(keep, list, message, _, group, score, member, failure_key, failure) "          \
    "  local base = 'celery-taskset-meta-' .. group "                                                   \
    "  redis.call('ZADD', base .. '.j', score, member) "                                                \
    "  local count = redis.call('ZCARD', base .. '.j') "                                                \
    "  local size, more = redis.call('GET', base .. '.s'), redis.call('GET', base .. '.t') "            \
    "  for _, part in ipairs({'.j', '.t', '.s'}) do redis.call('EXPIRE', base .. part, keep) end "      \
    "  if not size or count ~= size + (more or 0) then return end "                                     \
    "  local results, failed = {}, false "                                                              \
    "  for n, ended in ipairs(redis.call('ZRANGE', base .. '.j', 0, -1)) do "                           \
    "    local state, result = string.match(ended, "                                                    \
    "      '^%[%s*1%s*,%s*\"[^\"]*\"%s*,%s*\"(%u+)\"%s*,%s*(.*)%]$') "                                  \
    "    failed = failed or state ~= 'SUCCESS' "                                                        \
    "    results[n] = result or 'null' "                                                                \
    "  end "                                                                                            \
    "  redis.call('DEL', base .. '.j', base .. '.t', base .. '.s') "                                    \
    "  if failed then "                                                                                 \
    "    redis.call('SETEX', failure_key, keep, failure) "                                              \
    "    redis.call('PUBLISH', failure_key, failure) "                                                  \
    "    return "                                                                                       \
    "  end "                                                                                            \
    "  local text = string.sub(cjson.encode('[' .. table.concat(results, ',') .. ']'), 2, -2) "         \
    "  local at, to = string.find(message, '\\\\\"tims:results\\\\\"', 1, true) "                       \
    "  if at then message = string.sub(message, 1, at - 1) .. text .. string.sub(message, to + 1) end " \
    "  redis.pcall('LPUSH', list, message) "                                                            \
    "end "

/* ARGV: for each end its tag, the result's key (or empty), the result, seconds to keep it, how many messages
 * follow; for each of those its list, itself, and when it is due in µs (0: now; -1: now, before others; -2:
 * it is a result, to that key). Answers for each end: 1, or 0: the tag was no longer there. */
#define FINISH                                                                                         \
    "local i, tags, mine = 1, {}, {} "                                                                 \
    "while i < #ARGV do "                                                                              \
    "  tags[#tags + 1] = ARGV[i] "                                                                     \
    "  i = i + 5 + 3 * ARGV[i + 4] "                                                                   \
    "end "                                                                                             \
    "local scores = redis.call('ZMSCORE', 'unacked_index', unpack(tags)) "                             \
    "for n, tag in ipairs(tags) do if scores[n] then mine[#mine + 1] = tag end end "                   \
    "if #mine > 0 then "                                                                               \
    "  redis.call('ZREM', 'unacked_index', unpack(mine)) "                                             \
    "  redis.call('HDEL', 'unacked', unpack(mine)) "                                                   \
    "end "                                                                                             \
    "local held, wakes = {}, false "                                                                   \
    "i = 1 "                                                                                           \
    "while i < #ARGV do "                                                                              \
    "  local key, result = ARGV[i + 1], ARGV[i + 2] "                                                  \
    "  local keep, count = ARGV[i + 3], tonumber(ARGV[i + 4]) "                                        \
    "  i = i + 5 "                                                                                     \
    "  local is_held = scores[#held + 1] and 1 or 0 "                                                  \
    "  held[#held + 1] = is_held "                                                                     \
    "  if is_held == 1 then "                                                                          \
    "    if key ~= '' then "                                                                           \
    "      local before = redis.pcall('GET', key) "                                                    \
    "      if type(before) ~= 'string' or "                                                            \
    "         not string.find(before, '\"status\": ?\"SUCCESS\"') then "                               \
    "        redis.call('SETEX', key, keep, result) "                                                  \
    "        redis.call('PUBLISH', key, result) "                                                      \
    "      end "                                                                                       \
    "    end "                                                                                         \
    "    local j = i "                                                                                 \
    "    while j < i + 3 * count do "                                                                  \
    "      wakes = true "                                                                              \
    "      if ARGV[j + 2] == '0' then redis.pcall('LPUSH', ARGV[j], ARGV[j + 1]) "                     \
    "      elseif ARGV[j + 2] == '-1' then redis.pcall('RPUSH', ARGV[j], ARGV[j + 1]) "                \
    "      elseif ARGV[j + 2] == '-2' then "                                                           \
    "        redis.pcall('SETEX', ARGV[j], keep, ARGV[j + 1]) "                                        \
    "        redis.call('PUBLISH', ARGV[j], ARGV[j + 1]) "                                             \
    "      elseif ARGV[j + 2] == '-3' then "                                                           \
    "        join(keep, unpack(ARGV, j, j + 7)) "                                                      \
    "        j = j + 6 "                                                                               \
    "      else redis.call('ZADD', 'tims:delayed', ARGV[j + 2], ARGV[j] .. '\\n' .. ARGV[j + 1]) end " \
    "      j = j + 3 "                                                                                 \
    "    end "                                                                                         \
    "  end "                                                                                           \
    "  i = i + 3 * count "                                                                             \
    "end "                                                                                             \
    "if wakes then redis.call('PUBLISH', 'tims:wake', '1') end "                                       \
    "return held"

/* ARGV: tags. Answers for each 1, or 0. */
#define HELD           \
    "local held = {} " \
    "for n, tag in ipairs(ARGV) do held[n] = redis.call('HEXISTS', 'unacked', tag) end return held"

/* ARGV: seconds, then for each its mark's name, list and message. What was pushed before is left out. */
#define PUSH                                                                             \
    "local pushed = 0 "                                                                  \
    "for i = 2, #ARGV, 3 do "                                                            \
    "  if redis.call('SET', 'tims:relayed:' .. ARGV[i], '1', 'NX', 'EX', ARGV[1]) then " \
    "    redis.call('LPUSH', ARGV[i + 1], ARGV[i + 2]) "                                 \
    "    pushed = pushed + 1 "                                                           \
    "  end "                                                                             \
    "end "                                                                               \
    "redis.call('PUBLISH', 'tims:wake', '1') "                                           \
    "return pushed"

/* ARGV: how many at most. Answers: how many were due; when the next is, in µs, or nothing. */
#define DUE                                                                                      \
    "local t = redis.call('TIME') "                                                              \
    "local now = string.format('%.0f', t[1] * 1000000 + t[2]) "                                  \
    "local due = redis.call('ZRANGEBYSCORE', 'tims:delayed', '-inf', now, 'LIMIT', 0, ARGV[1]) " \
    "for _, member in ipairs(due) do "                                                           \
    "  local at = string.find(member, '\\n', 1, true) "                                          \
    "  redis.call('ZREM', 'tims:delayed', member) "                                              \
    "  redis.pcall('LPUSH', string.sub(member, 1, at - 1), string.sub(member, at + 1)) "         \
    "end "                                                                                       \
    "if #due > 0 then redis.call('PUBLISH', 'tims:wake', '1') end "                              \
    "local next = redis.call('ZRANGE', 'tims:delayed', 0, 0, 'WITHSCORES') "                     \
    "return {#due, next[2] and string.format('%.0f', next[2]) or ''}"

/* ARGV: a token, how many seconds others' may be held, how many at most. Workers whose lease is over are
 * forgotten. Answers: 1 (0: somebody else is at it), how many workers were lost, tags and what is held under
 * them. */
#define FIND_LOST                                                                                    \
    "if not redis.call('SET', 'unacked_mutex', ARGV[1], 'NX', 'PX', 300000) then return {0, 0} end " \
    "local t = redis.call('TIME') "                                                                  \
    "local ms = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000)) "                       \
    "local out = {1, redis.call('ZREMRANGEBYSCORE', 'tims:leases', '-inf', ms)} "                    \
    "local old, leases = tonumber(t[1]) - ARGV[2], {} "                                              \
    "local tags = redis.call('ZRANGE', 'unacked_index', 0, -1, 'WITHSCORES') "                       \
    "for i = 1, #tags, 2 do "                                                                        \
    "  local worker = string.match(tags[i], '^tims%.([^.]+)%.') "                                    \
    "  local lost = not worker and tonumber(tags[i + 1]) < old "                                     \
    "  if worker then "                                                                              \
    "    if leases[worker] == nil then "                                                             \
    "      leases[worker] = redis.call('ZSCORE', 'tims:leases', worker) and true or false "          \
    "    end "                                                                                       \
    "    lost = not leases[worker] "                                                                 \
    "  end "                                                                                         \
    "  if lost then "                                                                                \
    "    local entry = redis.call('HGET', 'unacked', tags[i]) "                                      \
    "    if entry then out[#out + 1] = tags[i] out[#out + 1] = entry "                               \
    "    else redis.call('ZREM', 'unacked_index', tags[i]) end "                                     \
    "  end "                                                                                         \
    "  if #out >= 2 * ARGV[3] then break end "                                                       \
    "end "                                                                                           \
    "return out"

/* ARGV: for each its tag, the list (empty: none) and the message as it goes back. */
#define MOVE_LOST                                                                       \
    "local moved = 0 "                                                                  \
    "for i = 1, #ARGV, 3 do "                                                           \
    "  if redis.call('HDEL', 'unacked', ARGV[i]) == 1 then "                            \
    "    redis.call('ZREM', 'unacked_index', ARGV[i]) "                                 \
    "    if ARGV[i + 1] ~= '' then redis.pcall('RPUSH', ARGV[i + 1], ARGV[i + 2]) end " \
    "    moved = moved + 1 "                                                            \
    "  end "                                                                            \
    "end "                                                                              \
    "if moved > 0 then redis.call('PUBLISH', 'tims:wake', '1') end "                    \
    "return moved"

/* ARGV: the token. */
#define RELEASE "if redis.call('GET', 'unacked_mutex') == ARGV[1] then redis.call('DEL', 'unacked_mutex') end"

/* ARGV: seconds they are kept, ids. Each has a score of its own, so that it can be read from there on. */
#define REVOKE                                                                    \
    "local t = redis.call('TIME') "                                               \
    "local now = t[1] * 1000000 + t[2] "                                          \
    "local last = redis.call('ZRANGE', 'tims:revoked', -1, -1, 'WITHSCORES')[2] " \
    "for i = 2, #ARGV do "                                                        \
    "  if last and tonumber(last) >= now then now = last + 1 end "                \
    "  redis.call('ZADD', 'tims:revoked', string.format('%.0f', now), ARGV[i]) "  \
    "  last = now "                                                               \
    "end "                                                                        \
    "redis.call('ZREMRANGEBYSCORE', 'tims:revoked', '-inf', "                     \
    "  string.format('%.0f', now - ARGV[1] * 1000000)) "                          \
    "redis.call('ZREMRANGEBYRANK', 'tims:revoked', 0, -100001) "                  \
    "redis.call('PUBLISH', 'tims:wake', '1')"

static const tims_str scripts[CELERY__SCRIPT_COUNT] = {
    [CELERY__COUNT] = TIMS_STR_INIT(COUNT),
    [CELERY__LOOK] = TIMS_STR_INIT(LOOK),
    [CELERY__TAKE] = TIMS_STR_INIT(TAKE),
    [CELERY__BEAT] = TIMS_STR_INIT(BEAT),
    [CELERY__TOUCH] = TIMS_STR_INIT(TOUCH),
    [CELERY__FINISH] = TIMS_STR_INIT(JOIN FINISH),
    [CELERY__HELD] = TIMS_STR_INIT(HELD),
    [CELERY__PUSH] = TIMS_STR_INIT(PUSH),
    [CELERY__DUE] = TIMS_STR_INIT(DUE),
    [CELERY__FIND_LOST] = TIMS_STR_INIT(FIND_LOST),
    [CELERY__MOVE_LOST] = TIMS_STR_INIT(MOVE_LOST),
    [CELERY__RELEASE] = TIMS_STR_INIT(RELEASE),
    [CELERY__REVOKE] = TIMS_STR_INIT(REVOKE),
};

enum { HEAD = 3 };

void celery__add(celery__arguments *arguments, tims_str text)
{
    if (arguments->count == arguments->capacity) {
        size_t capacity = arguments->capacity > 0 ? arguments->capacity * 2 : 64;
        tims_str *items = TIMS_NEW_ARRAY(arguments->arena, tims_str, capacity);
        if (arguments->count > 0)
            memcpy(items, arguments->items, arguments->count * sizeof *items);
        arguments->items = items;
        arguments->capacity = capacity;
    }
    arguments->items[arguments->count++] = text;
    arguments->bytes += text.length;
}

void celery__add_int(celery__arguments *arguments, int64_t number)
{
    celery__add(arguments, tims_print(arguments->arena, "%lld", (long long)number));
}

static tims_slice_list command_of(tims_arena *arena, celery__script_id script, tims_slice_list arguments)
{
    tims_str *items = TIMS_NEW_ARRAY(arena, tims_str, arguments.count + HEAD);
    items[0] = TIMS_STR("EVAL");
    items[1] = scripts[script];
    items[2] = TIMS_STR("0");
    if (arguments.count > 0)
        memcpy(items + HEAD, arguments.items, arguments.count * sizeof *items);
    return (tims_slice_list){ items, arguments.count + HEAD };
}

tims_status celery__call(celery__store *celery, tims_arena *arena, celery__script_id script,
                         tims_slice_list arguments, const tims_redis_reply **ret_reply, tims_error *err)
{
    tims_status status =
        tims_redis_call(celery->redis, arena, command_of(arena, script, arguments), ret_reply, err);
    /* A script that is refused (no memory left, a key of another type) is refused for the server's state. */
    if (status == TIMS_INVALID && err != NULL)
        err->status = TIMS_UNAVAILABLE;
    return status == TIMS_INVALID ? TIMS_UNAVAILABLE : status;
}

bool celery__send(celery__store *celery, celery__script_id script, tims_slice_list arguments)
{
    tims_arena *arena = tims_arena_new(64 * 1024, NULL, NULL);
    bool sent = tims_redis_send(celery->redis, command_of(arena, script, arguments), NULL, NULL);
    tims_arena_free(&arena);
    return sent;
}
