/* cron_fuzz.c: any line, any file of a zone: what is read gives due times that go forward, and what is due is
 * what the line says, but where the clock is set. */
#include "tasks/schedule/schedule_internal.h"

/* The line, a zero byte, the file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tims_arena *arena = tims_arena_new(1 << 24, NULL, NULL);
    tims_str file = { (const char *)data, size }, line = tims_str_cut(&file, '\0');
    const tasks__zone *zone, *utc;
    tasks__cron cron;
    tims_error err = { 0 };
    int64_t at = 1770000000, before = at;
    TIMS_ASSERT(tasks__zone_load(arena, NULL, &utc, &err) == TIMS_OK);
    if (file.data == NULL || tasks__zone_parse(arena, file, &zone, &err) != TIMS_OK)
        zone = utc;
    if (tasks__cron_parse(line, &cron, &err) == TIMS_OK)
        for (int i = 0; i < 20 && tasks__cron_next(&cron, zone, at, &at); i++) {
            tasks__zone_span span = tasks__zone_at(zone, at);
            TIMS_ASSERT(at > before && span.from <= at && at < span.until);
            int64_t minute = tasks__floor_div(at + span.offset_s, 60);
            TIMS_ASSERT(at == span.from ||
                        (cron.minutes >> (minute - 60 * tasks__floor_div(minute, 60)) & 1) == 1);
            before = at;
        }
    tims_arena_free(&arena);
    return 0;
}
