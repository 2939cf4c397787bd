/* celery_result_fuzz: results, any bytes: refused, or read. */
#include "tasks/celery/celery_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tims_arena *arena = tims_arena_new((size_t)64 << 20, NULL, NULL);
    tims_task_outcome outcome;
    if (celery__result_read(arena, (tims_str){ (const char *)data, size }, &outcome, NULL) == TIMS_OK)
        TIMS_ASSERT(outcome.state.length > 0 && outcome.error.data != NULL);
    tims_arena_free(&arena);
    return 0;
}
