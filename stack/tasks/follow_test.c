/* follow_test: chains, groups, and what the dead list does to them (TIMS_TEST_DATABASE). */
#include "tasks/second_testing.h"

/* --- tasks ------------------------------------------------------------------------------------------------ */

/* Writes what the step before gave, as it came; gives its number. */
static void telling(tims_run *run, const numbered *arguments)
{
    const numbered told = { arguments->number,
                            run->previous.data != NULL ? run->previous : TIMS_STR("none") };
    note(run, &told);
    tims_result(run, tims_print(run->rq->arena, "%lld", (long long)arguments->number));
}
extern const tims_task telling_task;
TIMS_TASK(telling, numbered, .fields = NUMBERED, .retry_after_ms = 20, .max_attempts = 2);

/* Gives a text of so many bytes, writes nothing. */
static void verbose(tims_run *run, const numbered *arguments)
{
    char *text = tims_alloc(run->rq->arena, (size_t)arguments->number + 2);
    memset(text, 'x', (size_t)arguments->number + 2);
    text[0] = text[arguments->number + 1] = '"';
    tims_result(run, (tims_str){ text, (size_t)arguments->number + 2 });
}
extern const tims_task verbose_task;
TIMS_TASK(verbose, numbered, .fields = NUMBERED, .max_attempts = 1);

/* Fails until there is an effect "mended". */
static void brittle(tims_run *run, const numbered *arguments)
{
    tims_error err = { 0 };
    tims_db_rows *rows =
        tims_sql_query(run->rq, TIMS_STR("SELECT 1 FROM effect WHERE label = 'mended'"), NULL, 0);
    bool is_mended = tims_db_next(rows);
    tims_check(run->rq, tims_db_rows_end(&rows, &err), &err);
    if (!is_mended)
        tims_give_up(run, "broken", "It is broken.");
    telling(run, arguments);
}
extern const tims_task brittle_task;
TIMS_TASK(brittle, numbered, .fields = NUMBERED, .tracked = true);

static const tims_task *const tasks[] = { &telling_task, &verbose_task, &brittle_task, NULL };

/* --- asking ----------------------------------------------------------------------------------------------- */

typedef struct asked {
    const tims_step *steps, *last;
    size_t count;
    bool is_group, answer, fail;
    tims_id id;
} asked;

static void enqueue_in(tims_request *rq, void *argument)
{
    asked *a = argument;
    a->id = a->is_group ? tims_enqueue_group(rq, a->steps, a->count, a->last)
                        : tims_enqueue_chain(rq, a->steps, a->count);
    if (a->fail)
        tims_raise(rq, 500, "told_to", "It was told to fail.");
}

static tims_id ask_chain(stage *s, const tims_step *steps, size_t count)
{
    asked a = { .steps = steps, .count = count };
    tims_error err = stage_ask(s, enqueue_in, &a);
    stage_check(err.status, &err);
    return a.id;
}

static tims_id ask_group(stage *s, const tims_step *steps, size_t count, const tims_step *last)
{
    asked a = { .steps = steps, .count = count, .last = last, .is_group = true };
    tims_error err = stage_ask(s, enqueue_in, &a);
    stage_check(err.status, &err);
    return a.id;
}

static void retry_in(tims_request *rq, void *argument)
{
    asked *a = argument;
    a->answer = tasks__dead_retry(rq, a->id);
}

static void remove_in(tims_request *rq, void *argument)
{
    asked *a = argument;
    a->answer = tasks__dead_remove(rq, a->id);
}

static tims_id only_dead(stage *s)
{
    char text[64];
    tims_id id;
    (void)stage_query(s, "SELECT CAST(id AS text) FROM tims_job_dead", text, sizeof text);
    assert_true(tims_id_parse(tims_str_from(text), &id));
    return id;
}

static bool of_dead(stage *s, tims_scope_fn function, tims_id id)
{
    asked a = { .id = id };
    tims_error err = stage_ask(s, function, &a);
    stage_check(err.status, &err);
    return a.answer;
}

static void assert_nothing_is_left(stage *s)
{
    stage_wait_for(s,
                   "SELECT (SELECT count(*) FROM tims_job) + (SELECT count(*) FROM tims_job_group) + "
                   "(SELECT count(*) FROM tims_job_group_result) + (SELECT count(*) FROM tims_job_dead)",
                   0);
}

static const numbered one = { 1, TIMS_STR_INIT("") }, two = { 2, TIMS_STR_INIT("") },
                      three = { 3, TIMS_STR_INIT("") };
static const tims_step three_steps[] = { { &telling_task, &one, NULL },
                                         { &telling_task, &two, NULL },
                                         { &telling_task, &three, NULL } };

/* --- chains ----------------------------------------------------------------------------------------------- */

static void run_chain(stage *s)
{
    ask_chain(s, three_steps, 3);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job"), 1);
    stage_start_worker(s, NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect", 3);
    stage_assert_text(s, "SELECT label FROM effect WHERE number = 1", "none");
    stage_assert_text(s, "SELECT label FROM effect WHERE number = 2", "1");
    stage_assert_text(s, "SELECT label FROM effect WHERE number = 3", "2");
    assert_nothing_is_left(s);
}

static void a_step_gets_what_the_one_before_gave(void **state)
{
    stage_play(state, run_chain);
}

static void run_quiet_chain(stage *s)
{
    const tims_step steps[] = { { &noting_task, &one, NULL }, { &telling_task, &two, NULL } };
    ask_chain(s, steps, 2);
    stage_start_worker(s, NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE number = 2 AND label = 'null'", 1);
}

static void a_step_that_gives_nothing_gives_null(void **state)
{
    stage_play(state, run_quiet_chain);
}

static void run_options(stage *s)
{
    const tims_enqueue_options options = { .queue = "other",
                                           .priority = { true, 3 },
                                           .key = TIMS_STR("k"),
                                           .delay_ms = 3600 * 1000,
                                           .expires_at = { INT64_C(4000000000000000) } };
    const tims_enqueue_options at_a_time = { .run_at = { INT64_C(3900000000000000) } };
    const tims_step steps[] = { { &noting_task, &one, NULL }, { &noting_task, &two, &options } };
    const tims_step timed[] = { { &noting_task, &one, NULL }, { &noting_task, &three, &at_a_time } };
    ask_chain(s, steps, 2);
    ask_chain(s, timed, 2);
    stage_start_worker(s, NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect", 2);
    stage_wait_for(s, "SELECT count(*) FROM tims_job WHERE state = 1", 2);
    stage_assert_text(s, "SELECT queue FROM tims_job WHERE limit_key = 'k' AND priority = 3", "other");
    assert_int_equal(stage_int(s, "SELECT expires_at FROM tims_job WHERE limit_key = 'k'"),
                     INT64_C(4000000000000000));
    int64_t run_at = stage_int(s, "SELECT run_at FROM tims_job WHERE limit_key = 'k'");
    assert_int_equal(run_at - stage_int(s, "SELECT enqueued_at FROM tims_job WHERE limit_key = 'k'"),
                     INT64_C(3600) * 1000000);
    assert_int_equal(stage_int(s, "SELECT run_at FROM tims_job WHERE limit_key IS NULL"),
                     INT64_C(3900000000000000));
}

static void a_steps_options_are_kept_and_its_delay_begins_when_it_is_its_turn(void **state)
{
    stage_play(state, run_options);
}

static const tims_step brittle_steps[] = { { &telling_task, &one, NULL },
                                           { &brittle_task, &two, NULL },
                                           { &telling_task, &three, NULL } };

static void mend(stage *s)
{
    stage_run(s, "INSERT INTO effect (id, label, number, attempt, job) VALUES "
                 "('018f0000-0000-7000-8000-000000000001', 'mended', 0, 0, "
                 "'018f0000-0000-7000-8000-000000000001')");
}

static void run_dead_step(stage *s)
{
    ask_chain(s, brittle_steps, 3);
    stage_start_worker(s, NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_dead", 1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job"), 0);
    stage_assert_text(s, "SELECT state FROM tims_job_status", "failed");
    stage_stop_worker(s);
    stage_run(s, "UPDATE tims_job_dead SET attempt = 7, crashes = 2");
    tims_id dead = only_dead(s);
    assert_true(of_dead(s, retry_in, dead));
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job WHERE attempt = 0 AND crashes = 0"), 1);
    stage_assert_text(s, "SELECT state FROM tims_job_status", "waiting");
    assert_false(of_dead(s, retry_in, dead));
    mend(s);
    stage_start_worker(s, NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE number = 3 AND label = '2'", 1);
    stage_assert_text(s, "SELECT label FROM effect WHERE number = 2", "1");
    assert_nothing_is_left(s);
}

static void a_dead_step_holds_the_rest_until_it_is_retried(void **state)
{
    stage_play(state, run_dead_step);
}

static void run_removed_step(stage *s)
{
    ask_chain(s, brittle_steps, 3);
    stage_start_worker(s, NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_dead", 1);
    tims_id dead = only_dead(s);
    assert_true(of_dead(s, remove_in, dead));
    assert_false(of_dead(s, remove_in, dead));
    assert_nothing_is_left(s);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 1);
}

static void a_dead_step_that_is_removed_takes_the_rest_with_it(void **state)
{
    stage_play(state, run_removed_step);
}

static void run_cancelled_step(stage *s)
{
    tims_id first = ask_chain(s, three_steps, 3);
    assert_true(stage_cancel(s, first));
    assert_nothing_is_left(s);
}

static void a_cancelled_step_takes_the_rest_with_it(void **state)
{
    stage_play(state, run_cancelled_step);
}

/* --- groups ----------------------------------------------------------------------------------------------- */

static const numbered sum = { 9, TIMS_STR_INIT("") };
static const tims_step final = { &telling_task, &sum, NULL };

static void run_group(stage *s)
{
    ask_group(s, three_steps, 3, &final);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job"), 3);
    stage_start_worker(s, NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE number = 9", 1);
    stage_assert_text(s, "SELECT label FROM effect WHERE number = 9", "[1,2,3]");
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE label = 'none'", 3);
    assert_nothing_is_left(s);
}

static void the_last_step_gets_what_all_gave_in_their_order(void **state)
{
    stage_play(state, run_group);
}

static void run_group_without_last(stage *s)
{
    ask_group(s, three_steps, 3, NULL);
    stage_start_worker(s, NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect", 3);
    assert_nothing_is_left(s);
}

static void a_group_may_end_without_a_last_step(void **state)
{
    stage_play(state, run_group_without_last);
}

static void run_empty_groups(stage *s)
{
    ask_group(s, NULL, 0, NULL);
    assert_nothing_is_left(s);
    ask_group(s, NULL, 0, &final);
    stage_start_worker(s, NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE number = 9 AND label = '[]'", 1);
    assert_nothing_is_left(s);
}

static void an_empty_group_enqueues_its_last_step_at_once(void **state)
{
    stage_play(state, run_empty_groups);
}

/* One is cancelled, one expires, one dies and is removed; the last one's place in the list is still its. */
static void run_group_without_some(stage *s)
{
    const tims_enqueue_options late = { .expires_at = { 1 } };
    const tims_step members[] = { { &telling_task, &one, NULL },
                                  { &telling_task, &two, &late },
                                  { &brittle_task, &two, NULL },
                                  { &telling_task, &three, NULL } };
    char text[64];
    tims_id first;
    ask_group(s, members, 4, &final);
    (void)stage_query(s, "SELECT CAST(id AS text) FROM tims_job WHERE group_index = 0", text, sizeof text);
    assert_true(tims_id_parse(tims_str_from(text), &first));
    assert_true(stage_cancel(s, first));
    stage_start_worker(s, NULL);
    stage_wait_for(s, "SELECT remaining FROM tims_job_group", 1);
    assert_int_equal(stage_int(s, "SELECT without FROM tims_job_group"), 2);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_dead", 1);
    assert_true(of_dead(s, remove_in, only_dead(s)));
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE number = 9", 1);
    stage_assert_text(s, "SELECT label FROM effect WHERE number = 9", "[null,null,null,3]");
    assert_nothing_is_left(s);
}

static void a_group_goes_on_without_members_that_will_never_be_done(void **state)
{
    stage_play(state, run_group_without_some);
}

static void run_dead_member(stage *s)
{
    const tims_step members[] = { { &telling_task, &one, NULL }, { &brittle_task, &two, NULL } };
    ask_group(s, members, 2, &final);
    stage_start_worker(s, NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_dead", 1);
    stage_wait_for(s, "SELECT remaining FROM tims_job_group", 1);
    stage_enqueue(s, &noting_task, 0, "mended", NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE number = 0", 1);
    assert_true(of_dead(s, retry_in, only_dead(s)));
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE number = 9 AND label = '[1,2]'", 1);
    assert_nothing_is_left(s);
}

static void a_dead_member_keeps_the_group_open_until_it_is_retried(void **state)
{
    stage_play(state, run_dead_member);
}

static void follow_in(tims_request *rq, void *argument)
{
    const asked *a = argument;
    tims_error err = { 0 };
    const tasks__job job = { .id = tims_id_new(), .group_id = { true, a->id }, .group_index = 1 };
    tims_begin(rq);
    tims_check(rq, tasks__follow(tasks__of(rq), tims_session_db(rq), rq->arena, &job, TIMS_STR("5"), &err),
               &err);
}

static void run_told_twice(stage *s)
{
    asked a = { .id = ask_group(s, three_steps, 3, &final) };
    for (int i = 0; i < 3; i++) {
        tims_error err = stage_ask(s, follow_in, &a);
        stage_check(err.status, &err);
        assert_int_equal(stage_int(s, "SELECT remaining FROM tims_job_group"), 2);
    }
}

static void a_member_whose_end_is_told_twice_counts_once(void **state)
{
    stage_play(state, run_told_twice);
}

enum { MANY = 200 };

static void run_on_two_workers(stage *s)
{
    static tims_step members[MANY];
    static numbered arguments[MANY];
    char sql[200];
    for (int64_t i = 0; i < MANY; i++) {
        arguments[i] = (numbered){ i, TIMS_STR("") };
        members[i] = (tims_step){ &telling_task, &arguments[i], NULL };
    }
    const numbered end = { 1000, TIMS_STR("") };
    const tims_step ending = { &telling_task, &end, NULL };
    tims_tasks *second = second_tasks(s);
    stage_start_worker(s, NULL);
    second_start(s, second, "second", NULL);
    for (int i = 0; i < 3; i++)
        ask_group(s, members, MANY, &ending);
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE number = 1000", 3);
    stage_wait_for(s, "SELECT count(*) FROM tims_job", 0);
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM effect WHERE number = 1000 AND label LIKE '[0,1,2,%%,%d]'",
                   MANY - 1);
    assert_int_equal(stage_int(s, sql), 3);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 3 * MANY + 3);
    assert_nothing_is_left(s);
    second_stop(s, second);
}

static void the_last_step_is_enqueued_once_whoever_is_last(void **state)
{
    stage_play(state, run_on_two_workers);
}

/* --- bounds ----------------------------------------------------------------------------------------------- */

static void assert_refused(stage *s, asked a, const char *code, const char *part)
{
    tims_error err = stage_ask(s, enqueue_in, &a);
    assert_int_equal(err.status, TIMS_INVALID);
    assert_string_equal(err.code, code);
    assert_non_null(strstr(err.message, part));
    assert_nothing_is_left(s);
}

static void run_refusals(stage *s)
{
    static tims_step many[TIMS_STEPS_MAX + 1];
    static char text[700 * 1000];
    memset(text, 'x', sizeof text);
    const numbered large = { 1, { text, 200 * 1000 } };
    const tims_enqueue_options unique = { .unique = TIMS_STR("u") }, negative = { .delay_ms = -1 };
    const tims_step odd[] = { { &noting_task, &one, NULL }, { &noting_task, &two, &unique } };
    const tims_step back[] = { { &noting_task, &one, NULL }, { &noting_task, &two, &negative } };
    for (size_t i = 0; i <= TIMS_STEPS_MAX; i++)
        many[i] = (tims_step){ &noting_task, &one, NULL };
    assert_refused(s, (asked){ .steps = many, .count = TIMS_STEPS_MAX + 1 }, "invalid", "10,000");
    assert_refused(s, (asked){ .steps = many, .count = TIMS_STEPS_MAX + 1, .is_group = true }, "invalid",
                   "10,000");
    assert_refused(s, (asked){ .steps = many, .count = 0 }, "invalid", "at least one");
    assert_refused(s, (asked){ .steps = odd, .count = 2 }, "invalid", "unique");
    assert_refused(s, (asked){ .steps = odd, .count = 2, .is_group = true }, "invalid", "unique");
    assert_refused(s, (asked){ .steps = back, .count = 2 }, "invalid", "negative");
    for (size_t i = 0; i < 10; i++)
        many[i].arguments = &large;
    assert_refused(s, (asked){ .steps = many, .count = 10 }, "too_large", "bytes");
}

static void what_cannot_be_a_chain_or_group_is_refused_as_a_whole(void **state)
{
    stage_play(state, run_refusals);
}

static void run_rollback(stage *s)
{
    asked a = { .steps = three_steps, .count = 3, .last = &final, .is_group = true, .fail = true };
    assert_string_equal(stage_ask(s, enqueue_in, &a).code, "told_to");
    assert_nothing_is_left(s);
}

static void a_group_vanishes_with_the_transaction_that_enqueued_it(void **state)
{
    stage_play(state, run_rollback);
}

/* 8 MiB shared by 100: 80 KiB each. */
static void run_large_results(stage *s)
{
    static tims_step members[100];
    const numbered fits = { 80 * 1000, TIMS_STR("") }, large = { 90 * 1000, TIMS_STR("") };
    for (size_t i = 0; i < 100; i++)
        members[i] = (tims_step){ &verbose_task, i == 50 ? &large : &fits, NULL };
    const tims_step last = { &verbose_task, &one, NULL };
    ask_group(s, members, 100, &last);
    stage_start_worker(s, NULL);
    stage_wait_for(s, "SELECT remaining FROM tims_job_group", 1);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_dead", 1);
    assert_true(of_dead(s, remove_in, only_dead(s)));
    assert_nothing_is_left(s);
}

static void a_result_that_is_too_large_for_its_group_ends_in_the_dead_list(void **state)
{
    stage_play(state, run_large_results);
}

static int start(void **state)
{
    return stage_start(state, &(stage_options){ .tasks = tasks });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_gets_what_the_one_before_gave),
        cmocka_unit_test(a_step_that_gives_nothing_gives_null),
        cmocka_unit_test(a_steps_options_are_kept_and_its_delay_begins_when_it_is_its_turn),
        cmocka_unit_test(a_dead_step_holds_the_rest_until_it_is_retried),
        cmocka_unit_test(a_dead_step_that_is_removed_takes_the_rest_with_it),
        cmocka_unit_test(a_cancelled_step_takes_the_rest_with_it),
        cmocka_unit_test(the_last_step_gets_what_all_gave_in_their_order),
        cmocka_unit_test(a_group_may_end_without_a_last_step),
        cmocka_unit_test(an_empty_group_enqueues_its_last_step_at_once),
        cmocka_unit_test(a_group_goes_on_without_members_that_will_never_be_done),
        cmocka_unit_test(a_dead_member_keeps_the_group_open_until_it_is_retried),
        cmocka_unit_test(a_member_whose_end_is_told_twice_counts_once),
        cmocka_unit_test(the_last_step_is_enqueued_once_whoever_is_last),
        cmocka_unit_test(what_cannot_be_a_chain_or_group_is_refused_as_a_whole),
        cmocka_unit_test(a_group_vanishes_with_the_transaction_that_enqueued_it),
        cmocka_unit_test(a_result_that_is_too_large_for_its_group_ends_in_the_dead_list),
    };
    return cmocka_run_group_tests_name("follow", tests, start, stage_end);
}
