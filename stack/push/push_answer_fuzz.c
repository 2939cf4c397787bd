/* Whatever a service answers: it has one of four meanings, and no byte is read that is not there. */
#include "push/fcm_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tims_arena *arena = tims_arena_new((size_t)1 << 26, NULL, NULL);
    static const int statuses[] = { 200, 302, 400, 401, 403, 404, 410, 413, 429, 500, 503 };
    if (size > 0) {
        tims_str token;
        int64_t lives_s;
        tims_push_answer answer;
        const push__reply reply = { .status = statuses[data[0] % (sizeof statuses / sizeof statuses[0])],
                                    .body = { (const char *)data + 1, size - 1 } };
        TIMS_ASSERT(push__apns_answer(arena, &reply).result <= TIMS_PUSH_REFUSED);
        TIMS_ASSERT(push__fcm_answer(arena, &reply).result <= TIMS_PUSH_REFUSED);
        if (push__fcm_read_token(arena, &reply, &token, &lives_s, &answer))
            TIMS_ASSERT(token.length > 0 && lives_s > 0);
    }
    tims_arena_free(&arena);
    return 0;
}
