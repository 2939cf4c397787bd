/* celery_message_fuzz: envelopes, any bytes: refused, or read and written again as the same. */
#include "tasks/celery/celery_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tims_arena *arena = tims_arena_new((size_t)256 << 20, NULL, NULL);
    celery__envelope first, again;
    tims_buf out;
    tims_str text = { (const char *)data, size };
    if (celery__read(NULL, arena, TIMS_STR("q"), text, &first, NULL) == TIMS_OK) {
        TIMS_ASSERT(first.job.task.length > 0 && first.message.id.length > 0 && first.job.attempt > 0);
        const celery__again with = { .retries = first.message.retries, .crashes = first.job.crashes };
        tims_buf_init(&out, arena, (size_t)64 << 20);
        celery__write_again(&out, arena, &first, &with);
        TIMS_ASSERT(!out.overflow);
        if (out.length <= CELERY__MESSAGE_BYTES_MAX) {
            TIMS_ASSERT(celery__read(NULL, arena, TIMS_STR("q"), tims_buf_str(&out), &again, NULL) ==
                        TIMS_OK);
            TIMS_ASSERT(tims_same_id(first.job.id, again.job.id) &&
                        tims_str_equal(first.job.arguments, again.job.arguments));
        }
    }
    tims_arena_free(&arena);
    return 0;
}
