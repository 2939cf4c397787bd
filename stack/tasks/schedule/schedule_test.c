/* schedule_test: due times, each enqueued once (TIMS_TEST_DATABASE). The clock is the test's. */
#include "tasks/second_testing.h"

static const numbered lasting = { 1, TIMS_STR_INIT("last") }, skipping = { 2, TIMS_STR_INIT("none") },
                      complete = { 3, TIMS_STR_INIT("all") }, nightly = { 4, TIMS_STR_INIT("night") };
static const tims_schedule schedules[] = {
    { .name = "last", .task = &noting_task, .arguments = &lasting, .cron = "0 * * * *" },
    { .name = "none",
      .task = &noting_task,
      .arguments = &skipping,
      .every_s = 3600,
      .catch_up = TIMS_CATCH_UP_NONE },
    { .name = "all",
      .task = &noting_task,
      .arguments = &complete,
      .every_s = 3600,
      .catch_up = TIMS_CATCH_UP_ALL },
    { .name = "night",
      .task = &noting_task,
      .arguments = &nightly,
      .cron = "30 2 * * *",
      .zone = "Europe/Berlin" },
    { 0 },
};

static int64_t us_of(const char *text)
{
    tims_time time;
    assert_true(tims_time_parse(tims_str_from(text), &time));
    return time.us;
}

static void set_clock(tims_tasks *tasks, const char *text)
{
    tasks->test_clock_us = 0;
    tasks->test_clock_us = us_of(text) - tasks__now(tasks).us;
}

/* Looks as a worker does; when it has to look next. */
static int64_t look(stage *s, tims_tasks *tasks)
{
    tims_time next;
    tims_error err = { 0 };
    stage_check(tasks__run_schedules(tasks, s->loop, &next, &err), &err);
    return next.us;
}

static int64_t look_at(stage *s, const char *text)
{
    set_clock(s->tasks, text);
    return look(s, s->tasks);
}

/* As if the process were started anew. */
static void restart(stage *s)
{
    tasks__schedules_free(&s->tasks->schedules);
}

static int64_t jobs_of(stage *s, const char *label)
{
    char sql[200];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM tims_job WHERE arguments LIKE '%%\"%s\"%%'", label);
    return stage_int(s, sql);
}

static void assert_time(stage *s, const char *sql, const char *expected)
{
    assert_int_equal(stage_int(s, sql), us_of(expected));
}

/* --- due times --------------------------------------------------------------------------------------------- */

static void look_first(stage *s)
{
    restart(s);
    assert_int_equal(look_at(s, "2026-03-04T05:06:07Z"), us_of("2026-03-04T06:00:00Z"));
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job"), 0);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_schedule WHERE last_due IS NULL"), 4);
    stage_assert_text(s, "SELECT spec FROM tims_schedule WHERE name = 'last'", "0 * * * *");
    stage_assert_text(s, "SELECT spec FROM tims_schedule WHERE name = 'all'", "every 3600 s");
    stage_assert_text(s, "SELECT zone FROM tims_schedule WHERE name = 'night'", "Europe/Berlin");
    stage_assert_text(s, "SELECT task FROM tims_schedule WHERE name = 'night'", "noting");
    assert_time(s, "SELECT next_due FROM tims_schedule WHERE name = 'night'", "2026-03-05T01:30:00Z");
}

static void a_schedule_that_is_new_begins_with_its_next_due_time(void **state)
{
    stage_play(state, look_first);
}

static void look_when_due(stage *s)
{
    restart(s);
    (void)look_at(s, "2026-03-04T05:06:07Z");
    assert_int_equal(look_at(s, "2026-03-04T06:00:10Z"), us_of("2026-03-04T07:00:00Z"));
    assert_int_equal(look_at(s, "2026-03-04T06:00:20Z"), us_of("2026-03-04T07:00:00Z"));
    restart(s);
    (void)look(s, s->tasks);
    assert_int_equal(jobs_of(s, "last"), 1);
    assert_int_equal(jobs_of(s, "none"), 1);
    assert_int_equal(jobs_of(s, "all"), 1);
    assert_int_equal(jobs_of(s, "night"), 0);
    assert_time(s, "SELECT run_at FROM tims_job WHERE arguments LIKE '%\"last\"%'", "2026-03-04T06:00:00Z");
    assert_time(s, "SELECT last_due FROM tims_schedule WHERE name = 'last'", "2026-03-04T06:00:00Z");
    assert_time(s, "SELECT next_due FROM tims_schedule WHERE name = 'last'", "2026-03-04T07:00:00Z");
    assert_int_equal(
        stage_int(s, "SELECT count(*) FROM tims_schedule JOIN tims_job ON tims_job.id = last_job"), 3);
}

static void what_is_due_is_enqueued_once_for_its_time(void **state)
{
    stage_play(state, look_when_due);
}

static void look_in_zone(stage *s)
{
    restart(s);
    (void)look_at(s, "2026-03-28T12:00:00Z");
    (void)look_at(s, "2026-03-29T00:59:50Z");
    assert_int_equal(jobs_of(s, "night"), 0);
    (void)look_at(s, "2026-03-29T01:00:10Z"); /* 02:30 is skipped: after 01:59:59 comes 03:00 */
    assert_int_equal(jobs_of(s, "night"), 1);
    assert_time(s, "SELECT next_due FROM tims_schedule WHERE name = 'night'", "2026-03-30T00:30:00Z");
}

static void a_zone_tells_when_a_line_is_due(void **state)
{
    stage_play(state, look_in_zone);
}

enum { PROCESSES = 4, ROUNDS = 12 };
typedef struct looker {
    stage *s;
    tims_tasks *tasks;
    bool has_ended;
} looker;

static void look_beside_others(void *argument)
{
    looker *l = argument;
    (void)look(l->s, l->tasks);
    l->has_ended = true;
}

static bool have_ended(void *argument)
{
    const looker *l = argument;
    for (size_t i = 0; i < PROCESSES; i++)
        if (!l[i].has_ended)
            return false;
    return true;
}

static void look_together(stage *s)
{
    static looker lookers[PROCESSES];
    char text[40];
    restart(s);
    for (size_t i = 0; i < PROCESSES; i++)
        lookers[i] = (looker){ .s = s, .tasks = i == 0 ? s->tasks : second_tasks(s) };
    for (int round = 0; round <= ROUNDS; round++) {
        (void)snprintf(text, sizeof text, "2026-03-04T%02d:00:10Z", 5 + round);
        for (size_t i = 0; i < PROCESSES; i++) {
            lookers[i].has_ended = false;
            set_clock(lookers[i].tasks, text);
            assert_non_null(tims_fiber_start(s->loop, look_beside_others, &lookers[i]));
        }
        stage_wait("all have looked", have_ended, lookers);
        assert_int_equal(jobs_of(s, "last"), round);
        assert_int_equal(jobs_of(s, "all"), round);
    }
    assert_int_equal(stage_int(s, "SELECT count(DISTINCT run_at) FROM tims_job"), ROUNDS);
}

static void a_due_time_is_enqueued_once_however_many_look(void **state)
{
    stage_play(state, look_together);
}

static void look_with_worker(stage *s)
{
    const tims_worker_options options = { .lease_ms = 30000 };
    restart(s);
    set_clock(s->tasks, "2026-03-04T05:59:59Z");
    stage_start_worker(s, &options);
    stage_wait_for(s, "SELECT count(*) FROM effect", 3);
    stage_wait_for(s, "SELECT count(*) FROM tims_job", 0);
}

static void a_worker_runs_what_becomes_due(void **state)
{
    stage_play(state, look_with_worker);
}

/* --- catching up ------------------------------------------------------------------------------------------- */

static void miss_some(stage *s)
{
    restart(s);
    (void)look_at(s, "2026-03-04T05:06:07Z");
    restart(s);
    assert_int_equal(look_at(s, "2026-03-04T10:30:00Z"), us_of("2026-03-04T11:00:00Z"));
    assert_int_equal(jobs_of(s, "last"), 1);
    assert_int_equal(jobs_of(s, "none"), 0);
    assert_int_equal(jobs_of(s, "all"), 5);
    assert_time(s, "SELECT run_at FROM tims_job WHERE arguments LIKE '%\"last\"%'", "2026-03-04T10:00:00Z");
    assert_time(s, "SELECT min(run_at) FROM tims_job WHERE arguments LIKE '%\"all\"%'",
                "2026-03-04T06:00:00Z");
    assert_int_equal(stage_int(s, "SELECT count(DISTINCT run_at) FROM tims_job"), 5);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_schedule WHERE last_due IS NULL"), 2);
}

static void what_was_missed_is_caught_up_as_the_schedule_says(void **state)
{
    stage_play(state, miss_some);
}

static void miss_a_moment(stage *s)
{
    restart(s);
    (void)look_at(s, "2026-03-04T05:06:07Z");
    (void)look_at(s, "2026-03-04T08:00:50Z");
    assert_int_equal(jobs_of(s, "none"), 1);
    assert_time(s, "SELECT run_at FROM tims_job WHERE arguments LIKE '%\"none\"%'", "2026-03-04T08:00:00Z");
}

static void what_is_less_than_a_minute_late_is_not_missed(void **state)
{
    stage_play(state, miss_a_moment);
}

/* Two years, of which a hundred hours are caught up. */
static void miss_many(stage *s)
{
    restart(s);
    (void)look_at(s, "2024-03-04T05:06:07Z");
    restart(s);
    (void)look_at(s, "2026-03-04T10:30:00Z");
    assert_int_equal(jobs_of(s, "last"), 1);
    assert_int_equal(jobs_of(s, "night"), 1);
    assert_int_equal(jobs_of(s, "all"), 100);
    assert_time(s, "SELECT min(run_at) FROM tims_job WHERE arguments LIKE '%\"all\"%'",
                "2026-02-28T07:00:00Z");
    assert_time(s, "SELECT max(run_at) FROM tims_job WHERE arguments LIKE '%\"all\"%'",
                "2026-03-04T10:00:00Z");
}

static void no_more_than_the_latest_hundred_are_caught_up(void **state)
{
    stage_play(state, miss_many);
}

/* --- pause, clock, code ------------------------------------------------------------------------------------ */

static void pause_all(stage *s)
{
    restart(s);
    (void)look_at(s, "2026-03-04T05:06:07Z");
    stage_run(s, testing_on_postgres() ? "UPDATE tims_schedule SET paused = true"
                                       : "UPDATE tims_schedule SET paused = 1");
    (void)look_at(s, "2026-03-04T08:00:10Z");
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job"), 0);
    assert_time(s, "SELECT next_due FROM tims_schedule WHERE name = 'all'", "2026-03-04T09:00:00Z");
    stage_run(s, testing_on_postgres() ? "UPDATE tims_schedule SET paused = false"
                                       : "UPDATE tims_schedule SET paused = 0");
    (void)look_at(s, "2026-03-04T08:30:00Z");
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job"), 0);
    (void)look_at(s, "2026-03-04T09:00:10Z");
    assert_int_equal(jobs_of(s, "last"), 1);
    assert_int_equal(jobs_of(s, "all"), 1);
}

static void while_it_is_paused_due_times_pass(void **state)
{
    stage_play(state, pause_all);
}

static void set_clock_back(stage *s)
{
    restart(s);
    (void)look_at(s, "2026-03-04T05:06:07Z");
    (void)look_at(s, "2026-03-04T07:00:10Z");
    assert_int_equal(jobs_of(s, "last"), 1);
    assert_int_equal(jobs_of(s, "all"), 2);
    (void)look_at(s, "2026-03-04T05:30:00Z");
    (void)look_at(s, "2026-03-04T06:00:10Z");
    restart(s);
    (void)look_at(s, "2026-03-04T06:30:00Z");
    (void)look_at(s, "2026-03-04T07:00:20Z");
    assert_int_equal(jobs_of(s, "last"), 1);
    assert_int_equal(jobs_of(s, "all"), 2);
    (void)look_at(s, "2026-03-04T08:00:10Z");
    assert_int_equal(jobs_of(s, "last"), 2);
    assert_int_equal(jobs_of(s, "all"), 3);
}

static void a_clock_that_goes_back_makes_nothing_due_again(void **state)
{
    stage_play(state, set_clock_back);
}

static void change_code(stage *s)
{
    restart(s);
    (void)look_at(s, "2026-03-04T05:06:07Z");
    stage_run(s, "UPDATE tims_schedule SET spec = '15 * * * *', task = 'former' WHERE name = 'last'");
    (void)look_at(s, "2026-03-04T06:00:10Z");
    assert_int_equal(jobs_of(s, "last"), 0); /* another version's */
    restart(s);
    (void)look(s, s->tasks);
    stage_assert_text(s, "SELECT spec FROM tims_schedule WHERE name = 'last'", "0 * * * *");
    stage_assert_text(s, "SELECT task FROM tims_schedule WHERE name = 'last'", "noting");
    assert_time(s, "SELECT next_due FROM tims_schedule WHERE name = 'last'", "2026-03-04T07:00:00Z");
    (void)look_at(s, "2026-03-04T07:00:10Z");
    assert_int_equal(jobs_of(s, "last"), 1);
}

static void the_code_that_was_started_last_says_when(void **state)
{
    stage_play(state, change_code);
}

static void remove_schedule(stage *s)
{
    restart(s);
    (void)look_at(s, "2026-03-04T05:06:07Z");
    stage_run(s, "UPDATE tims_schedule SET name = 'former' WHERE name = 'all'");
    (void)look_at(s, "2026-03-04T06:00:10Z");
    assert_int_equal(jobs_of(s, "all"), 0);
    restart(s);
    (void)look(s, s->tasks);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_schedule WHERE name = 'former'"), 0);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_schedule"), 4);
}

static void rows_that_are_no_longer_declared_go(void **state)
{
    stage_play(state, remove_schedule);
}

static void refuse_last(stage *s)
{
    if (!testing_on_postgres()) {
        stage_run(s, "CREATE TRIGGER refuse BEFORE INSERT ON tims_job WHEN NEW.arguments LIKE '%\"last\"%' "
                     "BEGIN SELECT RAISE(ABORT, 'refused'); END");
        return;
    }
    stage_run(s, "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION "
                 "''refused''; END'");
    stage_run(s, "CREATE TRIGGER refuse BEFORE INSERT ON tims_job FOR EACH ROW WHEN (NEW.arguments LIKE "
                 "'%\"last\"%') EXECUTE FUNCTION refuse()");
}

static void allow_last(stage *s)
{
    stage_run(s, testing_on_postgres() ? "DROP TRIGGER refuse ON tims_job" : "DROP TRIGGER refuse");
    if (testing_on_postgres())
        stage_run(s, "DROP FUNCTION refuse");
}

static void look_past_failure(stage *s)
{
    tims_time next;
    tims_error err = { 0 };
    restart(s);
    (void)look_at(s, "2026-03-04T05:06:07Z");
    refuse_last(s);
    set_clock(s->tasks, "2026-03-04T06:00:10Z");
    assert_int_not_equal(tasks__run_schedules(s->tasks, s->loop, &next, &err), TIMS_OK);
    assert_non_null(strstr(err.detail, "refused"));
    allow_last(s);
    assert_int_equal(jobs_of(s, "last"), 0);
    assert_int_equal(jobs_of(s, "none"), 1);
    assert_int_equal(jobs_of(s, "all"), 1);
    (void)look(s, s->tasks);
    assert_int_equal(jobs_of(s, "last"), 1);
    assert_int_equal(jobs_of(s, "none"), 1);
}

static void one_that_fails_does_not_hold_up_the_others(void **state)
{
    stage_play(state, look_past_failure);
}

/* --- what is refused --------------------------------------------------------------------------------------- */

static void a_schedule_that_cannot_be_kept_is_refused_by_a_sentence(void **state)
{
    (void)state;
    static char text[300 * 1000];
    memset(text, 'x', sizeof text - 1);
    static const numbered large = { 1, { text, sizeof text - 1 } };
    const struct {
        tims_schedule schedule;
        const char *part;
    } rows[] = {
        { { .name = "" }, "1 to 200 bytes" },
        { { .task = NULL, .cron = "* * * * *" }, "no task" },
        { { .task = &noting_task }, "neither .cron nor .every_s" },
        { { .task = &noting_task, .cron = "* * * * *", .every_s = 1 }, "both" },
        { { .task = &noting_task, .every_s = -1 }, "must be positive" },
        { { .task = &noting_task, .every_s = INT64_MAX }, "must be positive" },
        { { .task = &noting_task, .every_s = 5, .zone = "Europe/Berlin" }, ".zone" },
        { { .task = &noting_task, .cron = "0 0 30 2 *" }, "never fires" },
        { { .task = &noting_task, .cron = "61 * * * *" }, "minute \"61\"" },
        { { .task = &noting_task, .cron = "" }, "fields" },
        { { .task = &noting_task, .cron = "* * * * *", .zone = "Europe/Atlantis" }, "Europe/Atlantis" },
        { { .task = &noting_task, .cron = "* * * * *", .arguments = &large }, "at most" },
        { { .task = &noting_task, .cron = "* * * * *", .arguments = NULL }, "takes arguments" },
        { { .task = &noting_task, .every_s = 1, .catch_up = (tims_catch_up)7 }, "catch_up" },
    };
    tims_arena *arena = tims_arena_new(1 << 24, NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tims_error err = { 0 };
        tims_schedule schedule = rows[i].schedule;
        if (schedule.name == NULL)
            schedule.name = "sample";
        if (schedule.arguments == NULL && strcmp(rows[i].part, "takes arguments") != 0)
            schedule.arguments = &lasting;
        assert_int_equal(tasks__check_schedule(arena, &schedule, &err), TIMS_INVALID);
        if (strstr(err.message, rows[i].part) == NULL || strstr(err.message, schedule.name) == NULL)
            fail_msg("row %zu: %s", i, err.message);
    }
    tims_arena_free(&arena);
}

/* What a program starts with. */
static void new_with_bad_schedules(stage *s)
{
    static const tims_task unknown = { .name = "unknown" };
    static const tims_schedule never[] = {
        { .name = "never", .task = &noting_task, .arguments = &lasting, .cron = "0 0 30 2 *" }, { 0 }
    };
    static const tims_schedule twice[] = {
        { .name = "twice", .task = &noting_task, .arguments = &lasting, .every_s = 1 },
        { .name = "twice", .task = &noting_task, .arguments = &lasting, .every_s = 2 },
        { 0 }
    };
    static const tims_schedule strange[] = { { .name = "strange", .task = &unknown, .every_s = 1 }, { 0 } };
    static const struct {
        const tims_schedule *schedules;
        const char *part;
    } rows[] = { { never, "\"never\": it never fires" },
                 { twice, "\"twice\": there are two" },
                 { strange, "\"strange\": its task" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tims_tasks *tasks;
        tims_error err = { 0 };
        tims_tasks_options options = s->tasks->options;
        options.schedules = &rows[i].schedules;
        assert_int_equal(tims_tasks_new(s->arena, s->db, &options, &tasks, &err), TIMS_INVALID);
        if (strstr(err.message, rows[i].part) == NULL)
            fail_msg("row %zu: %s", i, err.message);
    }
}

static void a_bad_schedule_ends_the_start(void **state)
{
    stage_play(state, new_with_bad_schedules);
}

static int start(void **state)
{
    return stage_start(state, &(stage_options){ .schedules = schedules });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_schedule_that_is_new_begins_with_its_next_due_time),
        cmocka_unit_test(what_is_due_is_enqueued_once_for_its_time),
        cmocka_unit_test(a_zone_tells_when_a_line_is_due),
        cmocka_unit_test(a_due_time_is_enqueued_once_however_many_look),
        cmocka_unit_test(a_worker_runs_what_becomes_due),
        cmocka_unit_test(what_was_missed_is_caught_up_as_the_schedule_says),
        cmocka_unit_test(what_is_less_than_a_minute_late_is_not_missed),
        cmocka_unit_test(no_more_than_the_latest_hundred_are_caught_up),
        cmocka_unit_test(while_it_is_paused_due_times_pass),
        cmocka_unit_test(a_clock_that_goes_back_makes_nothing_due_again),
        cmocka_unit_test(the_code_that_was_started_last_says_when),
        cmocka_unit_test(rows_that_are_no_longer_declared_go),
        cmocka_unit_test(one_that_fails_does_not_hold_up_the_others),
        cmocka_unit_test(a_bad_schedule_ends_the_start),
        cmocka_unit_test(a_schedule_that_cannot_be_kept_is_refused_by_a_sentence),
    };
    return cmocka_run_group_tests_name("schedule", tests, start, stage_end);
}
