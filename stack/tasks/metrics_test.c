/* metrics_test.c: what Prometheus reads: bounds, sums, and names with anything in them. */
#include "base/testing.h"
#include "tasks/worker/worker_internal.h"

static tims_tasks *tasks;
static tasks__counts counts[2];
static tims_arena *arena;

static int begin(void **state)
{
    (void)state;
    memset(counts, 0, sizeof counts);
    arena = tims_arena_new(1024 * 1024, NULL, NULL);
    tasks = TIMS_NEW(arena, tims_tasks);
    *tasks = (tims_tasks){ .magic = TASKS__MAGIC, .counts = counts, .count_count = 2 };
    counts[0].queue = TIMS_STR("mail");
    counts[1].queue = TIMS_STR("a \"b\"\\\n");
    return 0;
}

static int end(void **state)
{
    (void)state;
    tims_arena_free(&arena);
    return 0;
}

static bool says(const char *line)
{
    tims_buf out;
    tims_buf_init(&out, arena, 512 * 1024);
    tims_tasks_metrics(tasks, &out);
    assert_false(out.overflow);
    return tims_str_find(tims_buf_str(&out), tims_print(arena, "\n%s\n", line)) != SIZE_MAX;
}

static void a_time_counts_up_to_its_bound(void **state)
{
    (void)state;
    const int64_t times_us[] = { -5, 250, 251, 600000000, 600000001 };
    for (size_t i = 0; i < sizeof times_us / sizeof *times_us; i++)
        tasks__count_time(counts[0].ran, &counts[0].run_us_sum, times_us[i]);
    assert_true(says("tims_tasks_run_seconds_bucket{queue=\"mail\",le=\"0.00025\"} 2"));
    assert_true(says("tims_tasks_run_seconds_bucket{queue=\"mail\",le=\"0.0005\"} 3"));
    assert_true(says("tims_tasks_run_seconds_bucket{queue=\"mail\",le=\"30\"} 3"));
    assert_true(says("tims_tasks_run_seconds_bucket{queue=\"mail\",le=\"600\"} 4"));
    assert_true(says("tims_tasks_run_seconds_bucket{queue=\"mail\",le=\"+Inf\"} 5"));
    assert_true(says("tims_tasks_run_seconds_sum{queue=\"mail\"} 1200.000502"));
    assert_true(says("tims_tasks_run_seconds_count{queue=\"mail\"} 5"));
    assert_true(says("tims_tasks_wait_seconds_count{queue=\"mail\"} 0"));
}

static void depths_are_told_once_they_were_counted(void **state)
{
    (void)state;
    counts[0].depths[TASKS__WAITING_LATER] = 7;
    assert_false(says("tims_tasks_jobs{queue=\"mail\",state=\"later\"} 7"));
    counts[0].is_counted = true;
    assert_true(says("tims_tasks_jobs{queue=\"mail\",state=\"later\"} 7"));
    assert_true(says("tims_tasks_jobs{queue=\"mail\",state=\"dead\"} 0"));
}

static void a_name_is_escaped(void **state)
{
    (void)state;
    counts[1].done = 3;
    assert_true(says("tims_tasks_done_total{queue=\"a \\\"b\\\"\\\\\\n\"} 3"));
    assert_true(says("# TYPE tims_tasks_done_total counter"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_time_counts_up_to_its_bound, begin, end),
        cmocka_unit_test_setup_teardown(depths_are_told_once_they_were_counted, begin, end),
        cmocka_unit_test_setup_teardown(a_name_is_escaped, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
