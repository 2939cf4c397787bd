/* ties.c: what the live room is handed, and whom it tells.
 *
 * It knows queries, not URLs, and nothing of sessions, caches and websockets: rest turns a URL into a query
 * for it, and each step of the feed is told to the cache, to auth and to the websockets before any client
 * hears of it. */
#include "app/app_internal.h"

/* --- URLs -------------------------------------------------------------------------------------- */

static tims_status resolve_live(const void *data, tims_arena *arena, tims_str url, tims_caller caller,
                                tims_live_query *ret_query, tims_error *err)
{
    const app__stack *stack = data;
    tims_live_url found;
    tims_computed_url computed;
    tims_status status = tims_rest_resolve(stack->rest, arena, url, caller, &found, err);
    if (status == TIMS_NOT_FOUND) {
        status = tims_rest_resolve_computed(stack->rest, arena, url, caller, &computed, err);
        if (status == TIMS_OK)
            *ret_query = (tims_live_query){ .is_computed = true, .canonical = computed.canonical };
        return status;
    }
    if (status != TIMS_OK)
        return status;
    *ret_query = (tims_live_query){ .query = found.query,
                                    .is_detail = found.is_detail,
                                    .with_total = found.with_total,
                                    .canonical = found.canonical };
    for (size_t i = 0; i < found.include_count && i < TIMS_LIVE_INCLUDES_MAX; i++)
        ret_query->includes[ret_query->include_count++] = found.includes[i];
    return TIMS_OK;
}

static tims_status write_live(const void *data, tims_db_session *db, tims_arena *arena, tims_str url,
                              tims_caller caller, int64_t position, tims_json_writer *writer, tims_error *err)
{
    const app__stack *stack = data;
    tims_live_url found;
    tims_status status = tims_rest_resolve(stack->rest, arena, url, caller, &found, err);
    if (status != TIMS_OK)
        return status;
    return tims_rest_write(db, arena, &found, tims_live_epoch(stack->live), position, writer, err);
}

static tims_status compute_live(const void *data, tims_request *rq, tims_str url, tims_caller caller,
                                tims_reads *reads, tims_buf *out, tims_error *err)
{
    const app__stack *stack = data;
    tims_computed_url found;
    tims_status status = tims_rest_resolve_computed(stack->rest, rq->arena, url, caller, &found, err);
    if (status != TIMS_OK)
        return status;
    rq->slots[TIMS_SLOT_LIVE] = stack->live;
    return tims_rest_compute(rq, &found, caller, reads, out, err);
}

/* --- the cache hears of each step first -------------------------------------------------------- */

static void touch_cache(void *cache, int64_t position, const tims_topic *topic)
{
    tims_cache_touch(cache, position, topic);
}

static void touch_model_in_cache(void *cache, int64_t position, const tims_model *model)
{
    tims_cache_touch_model(cache, position, model);
}

static void reach_in_cache(void *cache, int64_t position)
{
    tims_cache_reach(cache, position);
}

static void clear_cache(void *cache, int64_t position)
{
    tims_cache_clear(cache, position);
}

static void catch_up(void *argument)
{
    const app__stack *stack = argument;
    tims_live_catch_up(stack->live);
}

/* --- and the others ---------------------------------------------------------------------------- */

static void hear_change(void *argument, const tims_model *model, tims_change_op op, tims_id id)
{
    const app__stack *stack = argument;
    if (op == TIMS_TRUNCATED)
        tims_auth_forget_all(stack->auth);
    else if (op != TIMS_INSERTED && (model == &tims_auth_session_model || model == &tims_user_model))
        tims_auth_forget(stack->auth, model, id);
    tims_websockets_forget(stack->websockets, model, op, id);
}

static void hear_epoch(void *argument, tims_str epoch)
{
    const app__stack *stack = argument;
    tims_rest_set_epoch(stack->rest, epoch);
    if (stack->websockets != NULL) /* else it is the first, before anybody is there */
        hear_change(argument, &tims_auth_session_model, TIMS_TRUNCATED, (tims_id){ { 0 } });
}

/* --- all --------------------------------------------------------------------------------------- */

void app__tie_cache(app__stack *stack, tims_cache_options *options)
{
    options->catch_up = catch_up;
    options->argument = stack;
}

void app__tie_live(app__stack *stack, tims_live_options *options)
{
    options->resolver = (tims_live_resolver){ stack, resolve_live, write_live, compute_live };
    options->follower =
        (tims_live_follower){ stack->cache, touch_cache, touch_model_in_cache, reach_in_cache, clear_cache };
    options->on_change = hear_change;
    options->on_epoch = hear_epoch;
    options->on_change_argument = stack;
}
