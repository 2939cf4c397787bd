/* celery_message_fuzz: envelopes, any bytes: refused, or read and written again as the same. */
#include "tasks/celery/celery_internal.h"

/* What the quick way reads, the long way reads as the same. */
static void compare(tims_arena *arena, tims_str text)
{
    celery__envelope quick, slow;
    const tims_json *one, *other;
    if (!celery__read_quickly(NULL, arena, TIMS_STR("q"), text, &quick))
        return;
    TIMS_ASSERT(celery__read(NULL, arena, TIMS_STR("q"), text, &slow, NULL) == TIMS_OK);
    TIMS_ASSERT(tims_same_id(quick.job.id, slow.job.id) && tims_str_equal(quick.job.task, slow.job.task));
    TIMS_ASSERT(quick.job.priority == slow.job.priority && quick.job.attempt == slow.job.attempt &&
                quick.job.crashes == slow.job.crashes && quick.job.run_at.us == slow.job.run_at.us);
    TIMS_ASSERT(quick.eta.present == slow.eta.present && quick.eta.value.us == slow.eta.value.us);
    TIMS_ASSERT(quick.message.is_ours == slow.message.is_ours &&
                quick.message.has_embed == slow.message.has_embed &&
                quick.message.ignore_result == slow.message.ignore_result);
    TIMS_ASSERT(tims_json_parse(arena, quick.job.arguments, &one, NULL) == TIMS_OK);
    TIMS_ASSERT(tims_json_parse(arena, slow.job.arguments, &other, NULL) == TIMS_OK);
    TIMS_ASSERT(tims_str_equal(tims_json_to_text(arena, one), tims_json_to_text(arena, other)));
}

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
    compare(arena, text);
    tims_arena_free(&arena);
    return 0;
}
