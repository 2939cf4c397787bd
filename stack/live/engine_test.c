/* engine_test.c: what the engine holds goes with it. */
#include "base/testing.h"
#include "live/live_internal.h"

/* A socket that closes while the feed stops: its last word is received, and no step comes that would take
 * it. LeakSanitizer says what is left behind. */
static void what_was_received_and_never_taken_goes_with_the_room(void **state)
{
    (void)state;
    const tims_live_options options = { .poll_ms = 1000 };
    tims_live *live = NULL;
    assert_int_equal(tims_live_new(NULL, NULL, NULL, &options, &live, NULL), TIMS_OK);
    for (int i = 0; i < 2; i++) {
        live__job *job = calloc(1, sizeof *job);
        assert_non_null(job);
        *job = (live__job){ .kind = LIVE__JOB_GONE, .live = live, .url = live__keep(TIMS_STR("/api/x/")) };
        live__engine_receive(&live->engine, job);
    }
    tims_live_free(&live);
    assert_null(live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_received_and_never_taken_goes_with_the_room),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
