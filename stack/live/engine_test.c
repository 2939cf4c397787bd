/* engine_test.c: what the engine holds goes with it. */
#include "base/testing.h"
#include "live/live_internal.h"

static tims_status resolve_nothing(const void *data, tims_arena *arena, tims_str url, tims_caller caller,
                                   tims_live_query *ret_query, tims_error *err)
{
    (void)data, (void)arena, (void)url, (void)caller, (void)ret_query;
    return tims_fail(err, TIMS_NOT_FOUND, NULL, "There is nothing here.");
}

/* A socket that closes while the feed stops: its last word is received, and no step comes that would take
 * it. LeakSanitizer says what is left behind. */
static void what_was_received_and_never_taken_goes_with_the_room(void **state)
{
    (void)state;
    const tims_live_options options = { .resolver.resolve = resolve_nothing };
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
