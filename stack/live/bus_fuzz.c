/* What another node may say, any bytes: understood or ignored, never more. An input is a message, or what is
 * in a well-formed one in place of its operations. */
#include "live/bus_internal.h"

static tims_status resolve_nothing(const void *data, tims_arena *arena, tims_str url, tims_caller caller,
                                   tims_live_query *ret_query, tims_error *err)
{
    (void)data, (void)arena, (void)url, (void)caller, (void)ret_query;
    return tims_fail(err, TIMS_NOT_FOUND, NULL, "There is nothing.");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const tims_redis_options to = { .url = TIMS_STR("redis://nowhere.invalid") };
    tims_live_options options = { .resolver.resolve = resolve_nothing, .redis_prefix = TIMS_STR("fuzz") };
    tims_live *live = NULL;
    tims_str text = { (const char *)data, size };
    tims_buf message;
    tims_log_setup(TIMS_LOG_ERROR, TIMS_LOG_HUMAN, 2);
    tims_status status = tims_redis_new(&to, &options.redis, NULL);
    if (status == TIMS_OK)
        status = tims_live_new(NULL, NULL, NULL, &options, &live, NULL);
    TIMS_ASSERT(status == TIMS_OK);
    tims_buf_init(&message, NULL, 1 << 20);
    tims_buf_print(
        &message,
        "{\"v\":1,\"node\":\"a-voice-from-afa\",\"n\":1,\"t\":\"all\",\"first\":true,\"last\":true,"
        "\"ops\":[%S]}",
        text);
    live__peers_hear(live->bus, tims_buf_str(&message));
    live__peers_hear(live->bus, text);
    live__bus_hear_group(live->bus, TIMS_STR("group"), text);
    (void)live__presence_tick(live->presence, tims_monotonic_us());
    live__peers_look(live->bus, INT64_MAX);
    TIMS_ASSERT(tims_map_count(live->bus->peers) == 0 && live->online.users.count == 0);
    tims_buf_free(&message);
    tims_live_free(&live);
    tims_redis_free(&options.redis);
    return 0;
}
