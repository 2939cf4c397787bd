/* control_fuzz: remote commands, any bytes: read or refused, and matched against a node's name. */
#include "tasks/celery/remote_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { ARENA_BYTES = 256 << 20 };
    tims_arena *arena = tims_arena_new(ARENA_BYTES, NULL, NULL);
    tims_str text = { (const char *)data, size };
    celery__asked asked;
    if (celery__control_read(arena, text, &asked, NULL) == TIMS_OK) {
        TIMS_ASSERT(asked.method.length > 0);
        (void)celery__control_matches(&asked, TIMS_STR("jobs@host"));
    }
    asked = (celery__asked){ .pattern = tims_str_slice(text, 0, 255), .matcher = TIMS_STR("glob") };
    (void)celery__control_matches(&asked, TIMS_STR("jobs@host"));
    asked.matcher = TIMS_STR("pcre");
    (void)celery__control_matches(&asked, TIMS_STR("jobs@host"));
    TIMS_ASSERT(celery__repr(arena, text).length <= CELERY__REPR_BYTES_MAX);
    tims_arena_free(&arena);
    return 0;
}
