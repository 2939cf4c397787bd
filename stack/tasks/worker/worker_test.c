/* worker_test: what a worker does with jobs on fibers: timeouts, cancelling, stopping, losing its lease,
 * progress (TIMS_TEST_DATABASE). */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tasks/sql/sql_internal.h"
#include "tasks/testing.h"
#include "tasks/worker/worker_internal.h"

enum { LONG_MS = 120 * 1000, MIB = 1024 * 1024 };

/* Between scenes and their tasks, which share the thread. */
static struct {
    bool has_begun, may_go_on, has_ended;
    uint16_t port;
} shared;

static bool is_set(void *flag)
{
    return *(bool *)flag;
}

static void set(void *flag)
{
    *(bool *)flag = true;
}

/* --- tasks ------------------------------------------------------------------------------------------------ */

static void begin_and_wait(tims_run *run)
{
    shared.has_begun = true;
    tims_defer(run->rq, set, &shared.has_ended);
    while (!shared.may_go_on)
        tims_check(run->rq, tims_sleep_ms(5), &(tims_error){ .status = TIMS_CANCELLED, .message = "woken" });
}

/* Sleeps, whatever is asked. */
static void sleeping(tims_run *run, const numbered *arguments)
{
    note(run, arguments);
    tims_rollback(run->rq); /* what it holds would hold up the scene */
    begin_and_wait(run);
}
extern const tims_task sleeping_task;
TIMS_TASK(sleeping, numbered, .fields = NUMBERED, .tracked = true);

static void sleeping_short(tims_run *run, const numbered *arguments)
{
    sleeping(run, arguments);
}
extern const tims_task sleeping_short_task;
TIMS_TASK(sleeping_short, numbered, .fields = NUMBERED, .timeout_ms = 100, .max_attempts = 2,
          .retry_after_ms = 20, .tracked = true);

/* Waits for a row that the scene has locked. */
static void locked(tims_run *run, const numbered *arguments)
{
    begin_and_wait(run);
    note(run, arguments);
    (void)tims_sql_run(run->rq, TIMS_STR("UPDATE effect SET number = 2 WHERE label = 'lock'"), NULL, 0);
}
extern const tims_task locked_task;
TIMS_TASK(locked, numbered, .fields = NUMBERED, .timeout_ms = 1000, .max_attempts = 1);

/* Asks a server that never answers. */
static void fetching(tims_run *run, const numbered *arguments)
{
    tims_error err = { 0 };
    tims_fetched answer;
    tims_fetch_options options = { .url = tims_print(run->rq->arena, "http://127.0.0.1:%d/", shared.port),
                                   .timeout_ms = -1 };
    tims_check(run->rq, tims_fetch(run->rq->arena, &options, &answer, &err), &err);
    note(run, arguments);
}
extern const tims_task fetching_task;
TIMS_TASK(fetching, numbered, .fields = NUMBERED, .timeout_ms = 100, .max_attempts = 1);

/* Until it is asked to stop; label "hand": hands back, "raise": raises. */
static void listening(tims_run *run, const numbered *arguments)
{
    for (shared.has_begun = true; !tims_should_stop(run);)
        tims_check(run->rq, tims_sleep_ms(5), &(tims_error){ .status = TIMS_CANCELLED, .message = "woken" });
    if (tims_str_equal(arguments->label, TIMS_STR("hand")))
        tims_hand_back(run);
    if (tims_str_equal(arguments->label, TIMS_STR("raise")))
        tims_raise(run->rq, 500, "stopped", "It was stopped.");
    note(run, arguments);
}
extern const tims_task listening_task;
TIMS_TASK(listening, numbered, .fields = NUMBERED, .tracked = true);

static void listening_short(tims_run *run, const numbered *arguments)
{
    listening(run, arguments);
}
extern const tims_task listening_short_task;
TIMS_TASK(listening_short, numbered, .fields = NUMBERED, .soft_timeout_ms = 50, .timeout_ms = LONG_MS);

/* Fails when the scene says so. */
static void failing_later(tims_run *run, const numbered *arguments)
{
    (void)arguments;
    begin_and_wait(run);
    tims_raise(run->rq, 500, "told_to", "It was told to fail.");
}
extern const tims_task failing_later_task;
TIMS_TASK(failing_later, numbered, .fields = NUMBERED, .tracked = true, .retry_after_ms = 1);

/* Was told by somebody to come again after a while. */
static void throttled(tims_run *run, const numbered *arguments)
{
    tims_error err = { .status = TIMS_THROTTLED, .code = "busy", .retry_after_s = (int)arguments->number };
    tims_raise_error(run->rq, &err);
}
extern const tims_task throttled_task;
TIMS_TASK(throttled, numbered, .fields = NUMBERED, .retry_after_ms = 1);

/* Tells how far it is, and waits. */
static void telling(tims_run *run, const numbered *arguments)
{
    size_t used = tims_arena_used(run->rq->arena);
    for (int i = 0; i < 1000; i++)
        tims_progress(run, 0.25, "early");
    TIMS_ASSERT(tims_arena_used(run->rq->arena) == used);
    tims_progress(run, 0.75, "%s", arguments->label.length > 0 ? arguments->label.data : "three of four");
    begin_and_wait(run);
    tims_progress(run, 7, "more than all");
    note(run, arguments);
}
extern const tims_task telling_task;
TIMS_TASK(telling, numbered, .fields = NUMBERED, .tracked = true);

/* Says what is no text. */
static void babbling(tims_run *run, const numbered *arguments)
{
    char umlauts[301] = "";
    for (size_t i = 0; i + 2 < sizeof umlauts; i += 2)
        memcpy(umlauts + i, "\xc3\xa4", 2);
    tims_progress(run, 0.1, "%s", "\xff and more");
    if (arguments->number == 0)
        begin_and_wait(run);
    if (arguments->number == 1)
        tims_raise(run->rq, 500, "long", "%s", umlauts);
    if (arguments->number == 2)
        tims_raise(run->rq, 500, "odd", "a\xff and more");
    tims_give_up(run, "up", "%s", "b\xc3( and more");
}
extern const tims_task babbling_task;
TIMS_TASK(babbling, numbered, .fields = NUMBERED, .tracked = true, .max_attempts = 1);

static void resulting(tims_run *run, const numbered *arguments)
{
    tims_buf out;
    tims_buf_init(&out, run->rq->arena, 2 * MIB);
    tims_buf_append_char(&out, '"');
    while (out.length < MIB - 1)
        tims_buf_append_char(&out, 'x');
    tims_buf_append_char(&out, '"');
    for (int i = 0; i < 20; i++)
        tims_result(run, tims_buf_str(&out));
    tims_result(run, TIMS_STR("[1]"));
    if (arguments->number > 0)
        tims_result(run, TIMS_STR("[1"));
}
extern const tims_task resulting_task;
TIMS_TASK(resulting, numbered, .fields = NUMBERED, .tracked = true, .max_attempts = 1);

static const tims_task *const tasks[] = { &sleeping_task,      &sleeping_short_task, &locked_task,
                                          &fetching_task,      &listening_task,      &listening_short_task,
                                          &failing_later_task, &throttled_task,      &telling_task,
                                          &resulting_task,     &babbling_task,       NULL };
static const stage_options options = { .tasks = tasks };
static const tims_worker_options hasty = { .no_schedules = true, .drain_ms = 100, .lease_ms = 6000 };

static const char effects_sql[] = "SELECT count(*) FROM effect";
static const char jobs_sql[] = "SELECT count(*) FROM tims_job";
static const char timeout_sql[] = "SELECT count(*) FROM tims_job_dead WHERE code = 'timeout' AND crashes = 0";
static const char cancelled_sql[] =
    "SELECT count(*) FROM tims_job_status WHERE state = 'cancelled' AND ended_at IS NOT NULL";

static void start_worker(stage *s)
{
    memset(&shared, 0, sizeof shared);
    stage_start_worker(s, &hasty);
    s->tasks->worker->grace_ms = 50;
    s->tasks->worker->beat_ms = 50;
}

static void wait_until_begun(void)
{
    stage_wait("the run's begin", is_set, &shared.has_begun);
}

/* --- running ---------------------------------------------------------------------------------------------- */

static void run_one(stage *s)
{
    start_worker(s);
    stage_enqueue(s, &noting_task, 7, "one", NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE label = 'one' AND number = 7 AND attempt = 1", 1);
    stage_wait_for(s, jobs_sql, 0);
}

static void a_job_is_run_once(void **state)
{
    stage_play(state, run_one);
}

static void run_failing(stage *s)
{
    start_worker(s);
    stage_enqueue(s, &failing_task, 7, "bad", NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_dead WHERE attempt = 3 AND code = 'told_to'", 1);
    assert_int_equal(stage_int(s, effects_sql), 0);
}

static void what_fails_is_tried_again_and_then_dead(void **state)
{
    stage_play(state, run_failing);
}

static void run_throttled(stage *s)
{
    start_worker(s);
    int64_t now_us = tims_now().us;
    stage_enqueue(s, &throttled_task, 100, "later", NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job WHERE task = 'throttled' AND state = 1", 1);
    int64_t after_us = stage_int(s, "SELECT run_at FROM tims_job WHERE task = 'throttled'") - now_us;
    assert_in_range(after_us, 100 * 1000000, 160 * 1000000);
    stage_run(s, "DELETE FROM tims_job");
}

static void what_was_told_when_to_come_again_is_tried_then(void **state)
{
    stage_play(state, run_throttled);
}

static void give_results(stage *s)
{
    start_worker(s);
    stage_enqueue(s, &resulting_task, 0, "", NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_status WHERE state = 'done'", 1);
    stage_assert_text(s, "SELECT result FROM tims_job_status", "[1]");
    stage_enqueue(s, &resulting_task, 1, "", NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_dead WHERE code = 'result'", 1);
    stage_assert_text(s, "SELECT result FROM tims_job_status WHERE state = 'failed'", "null");
}

static void the_last_result_wins_however_many_there_were(void **state)
{
    stage_play(state, give_results);
}

static void babble(stage *s)
{
    char text[1000];
    start_worker(s);
    stage_enqueue(s, &babbling_task, 0, "", NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_status WHERE progress > 0 AND message = ''", 1);
    for (int i = 1; i <= 3; i++)
        stage_enqueue(s, &babbling_task, i, "", NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_dead", 3);
    stage_assert_text(s, "SELECT error FROM tims_job_dead WHERE code = 'odd'", "a? and more");
    stage_assert_text(s, "SELECT error FROM tims_job_dead WHERE code = 'up'", "b?( and more");
    (void)stage_query(s, "SELECT error FROM tims_job_dead WHERE code = 'long'", text, sizeof text);
    assert_in_range(strlen(text), 200, 256);
    assert_true(tims_str_is_utf8(tims_str_from(text)));
    shared.may_go_on = true;
}

static void what_is_no_text_is_told_as_well_as_can_be(void **state)
{
    stage_play(state, babble);
}

/* --- timeouts --------------------------------------------------------------------------------------------- */

static void sleep_too_long(stage *s)
{
    start_worker(s);
    stage_enqueue(s, &sleeping_short_task, 0, "x", NULL);
    stage_wait_for(s, timeout_sql, 1);
    assert_int_equal(stage_int(s, "SELECT attempt FROM tims_job_dead"), 2);
    stage_assert_text(s, "SELECT state FROM tims_job_status", "failed");
    stage_assert_text(s, "SELECT error FROM tims_job_status", "It took longer than its timeout.");
}

static void the_hard_timeout_ends_a_run_that_sleeps(void **state)
{
    stage_play(state, sleep_too_long);
}

static void wait_for_lock(stage *s)
{
    tims_error err = { 0 };
    tims_arena *arena = tims_arena_new(MIB, NULL, NULL);
    tims_db_session *session = tims_db_session_new(s->db, s->loop, arena);
    start_worker(s);
    stage_enqueue(s, &noting_task, 0, "lock", NULL);
    stage_wait_for(s, effects_sql, 1);
    stage_enqueue(s, &locked_task, 0, "x", NULL);
    wait_until_begun();
    stage_check(tims_db_begin(session, &err), &err);
    stage_check(tims_db_run(session, TIMS_STR("UPDATE effect SET number = 1 WHERE label = 'lock'"), NULL, 0,
                            NULL, &err),
                &err);
    shared.may_go_on = true;
    stage_wait("the run's end", is_set, &shared.has_ended);
    tims_db_rollback(session);
    stage_wait_for(s, timeout_sql, 1);
    assert_int_equal(stage_int(s, "SELECT number FROM effect"), 0);
    tims_arena_free(&arena);
}

static void the_hard_timeout_ends_a_run_that_waits_for_the_database(void **state)
{
    stage_play(state, wait_for_lock);
}

static void fetch_too_long(stage *s)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    start_worker(s);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 10), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    shared.port = ntohs(address.sin_port);
    stage_enqueue(s, &fetching_task, 0, "x", NULL);
    stage_wait_for(s, timeout_sql, 1);
    assert_int_equal(stage_int(s, effects_sql), 0);
    (void)close(fd);
    tims_fetch_shutdown(s->loop);
}

static void the_hard_timeout_ends_a_run_that_fetches(void **state)
{
    stage_play(state, fetch_too_long);
}

static void listen_too_long(stage *s)
{
    start_worker(s);
    stage_enqueue(s, &listening_short_task, 0, "x", NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE attempt = 1", 1);
    stage_wait_for(s, jobs_sql, 0);
}

static void the_soft_timeout_asks(void **state)
{
    stage_play(state, listen_too_long);
}

/* --- cancelling ------------------------------------------------------------------------------------------- */

static void cancel_waiting(stage *s)
{
    static const tims_enqueue_options later = { .delay_ms = 1000000,
                                                .unique = TIMS_STR_INIT("one"),
                                                .unique_while = TIMS_UNIQUE_UNFINISHED };
    tims_id ready = stage_enqueue(s, &telling_task, 0, "x", NULL);
    tims_id waiting = stage_enqueue(s, &telling_task, 0, "x", &later);
    tims_id same = stage_enqueue(s, &telling_task, 0, "x", &later);
    assert_true(tims_same_id(waiting, same));
    assert_true(stage_cancel(s, ready));
    assert_true(stage_cancel(s, waiting));
    assert_int_equal(stage_int(s, cancelled_sql), 2);
    assert_int_equal(stage_int(s, jobs_sql), 0);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job_unique"), 0);
    assert_false(stage_cancel(s, ready));
    assert_false(stage_cancel(s, tims_id_new()));
    tims_id next = stage_enqueue(s, &telling_task, 0, "x", &later);
    assert_false(tims_same_id(waiting, next));
}

static void a_job_that_waits_vanishes(void **state)
{
    stage_play(state, cancel_waiting);
}

static void cancel_running(stage *s, const tims_task *task, const char *label)
{
    start_worker(s);
    tims_id job = stage_enqueue(s, task, 0, label, NULL);
    wait_until_begun();
    assert_true(stage_cancel(s, job));
    stage_wait_for(s, cancelled_sql, 1);
    assert_int_equal(stage_int(s, jobs_sql), 0);
    assert_int_equal(stage_int(s, effects_sql), 0);
    stage_stop_worker(s);
}

static void cancel_each(stage *s)
{
    static const char *const labels[] = { "hand", "raise" };
    for (size_t i = 0; i < 2; i++) {
        cancel_running(s, &listening_task, labels[i]);
        stage_clear(s);
    }
    cancel_running(s, &sleeping_task, "x");
}

static void a_run_is_cancelled_whether_it_listens_or_not(void **state)
{
    stage_play(state, cancel_each);
}

static void cancel_and_fail(stage *s)
{
    start_worker(s);
    tims_id job = stage_enqueue(s, &failing_later_task, 0, "x", NULL);
    wait_until_begun();
    s->tasks->worker->beat_ms = LONG_MS; /* from its next look on nobody tells it; this one may have been */
    assert_true(stage_cancel(s, job));
    shared.may_go_on = true;
    stage_wait_for(s, cancelled_sql, 1);
    assert_int_equal(stage_int(s, jobs_sql), 0);
    stage_assert_text(s, "SELECT attempt FROM tims_job_status", "1");
}

static void what_was_cancelled_and_fails_is_not_tried_again(void **state)
{
    stage_play(state, cancel_and_fail);
}

static void cancel_and_die(stage *s)
{
    char sql[200];
    tims_id job = stage_enqueue(s, &telling_task, 0, "x", NULL);
    (void)snprintf(sql, sizeof sql, "UPDATE tims_job SET state = 2, attempt = 1, worker = id");
    stage_run(s, sql); /* as a worker that has died since */
    assert_true(stage_cancel(s, job));
    start_worker(s);
    stage_wait_for(s, cancelled_sql, 1);
    assert_int_equal(stage_int(s, jobs_sql), 0);
    assert_false(shared.has_begun);
}

static void what_was_cancelled_and_lost_its_worker_is_not_run_again(void **state)
{
    stage_play(state, cancel_and_die);
}

/* --- stopping and losing ---------------------------------------------------------------------------------- */

static void stop_while_running(stage *s)
{
    start_worker(s);
    stage_enqueue(s, &sleeping_task, 0, "deaf", NULL);
    stage_enqueue(s, &listening_task, 0, "finish", NULL);
    stage_enqueue(s, &listening_task, 0, "hand", NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_status WHERE state = 'running'", 3);
    stage_stop_worker(s);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect WHERE label = 'finish'"), 1);
    assert_int_equal(stage_int(s, effects_sql), 1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job WHERE state = 0 AND attempt = 0 AND crashes "
                                  "= 0 AND worker IS NULL"),
                     2);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job_status WHERE state = 'waiting'"), 2);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_worker"), 0);
}

static void who_stops_lets_runs_end_or_hands_them_back(void **state)
{
    stage_play(state, stop_while_running);
}

static bool has_tried_or_begun(void *argument)
{
    const stage *s = argument;
    return s->tasks->worker->pause_ms >= 400 || shared.has_begun;
}

/* What it takes on the way back would be lost with all else, and nobody would ever write its end. */
static void lose_lease(stage *s)
{
    start_worker(s);
    s->tasks->worker->poll_ms = 1;
    stage_enqueue(s, &sleeping_task, 0, "x", NULL);
    wait_until_begun();
    shared.has_begun = false;
    ((tasks__sql *)s->tasks->sql)->tidied_at_us = INT64_MAX / 2; /* not by itself: it has to notice */
    stage_run(s, "ALTER TABLE tims_worker RENAME COLUMN host TO elsewhere"); /* it cannot sign on */
    stage_run(s, "DELETE FROM tims_worker"); /* as who thinks that it is dead */
    stage_wait("the lost run's end", is_set, &shared.has_ended);
    stage_wait_for(s, "SELECT count(*) FROM tims_job WHERE state = 0 AND worker IS NULL", 1);
    stage_wait("a few tries to sign on", has_tried_or_begun, s);
    assert_false(shared.has_begun);
    stage_run(s, "ALTER TABLE tims_worker RENAME COLUMN elsewhere TO host");
    wait_until_begun();
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job WHERE attempt = 2 AND crashes = 0"), 1);
    shared.may_go_on = true;
    stage_wait_for(s, "SELECT count(*) FROM tims_job_status WHERE state = 'done' AND attempt = 2", 1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_worker"), 1);
}

static void who_has_lost_its_lease_ends_what_it_runs_and_takes_nothing_until_it_is_back(void **state)
{
    stage_play(state, lose_lease);
}

static void finish_late(stage *s)
{
    start_worker(s);
    s->tasks->worker->beat_ms = LONG_MS;
    stage_enqueue(s, &telling_task, 0, "x", NULL);
    wait_until_begun();
    stage_run(
        s, "UPDATE tims_job SET attempt = 2, worker = id"); /* another has it, and this one has not heard */
    shared.may_go_on = true;
    stage_wait("the run's end", is_set, &shared.has_ended);
    stage_stop_worker(s);
    assert_int_equal(stage_int(s, effects_sql), 0);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job WHERE attempt = 2 AND state = 2"), 1);
    stage_assert_text(s, "SELECT state FROM tims_job_status", "running");
}

static void an_end_that_comes_too_late_is_not_heard(void **state)
{
    stage_play(state, finish_late);
}

/* --- progress --------------------------------------------------------------------------------------------- */

static void tell_progress(stage *s)
{
    start_worker(s);
    stage_enqueue(s, &telling_task, 0, "", NULL);
    stage_wait_for(
        s, "SELECT count(*) FROM tims_job_status WHERE progress = 0.75 AND message = 'three of four'", 1);
    shared.may_go_on = true;
    stage_wait_for(s, "SELECT count(*) FROM tims_job_status WHERE state = 'done' AND progress = 1", 1);
}

static void tell_much(stage *s)
{
    char label[402] = "x", message[401];
    for (size_t i = 1; i + 2 < sizeof label; i += 2)
        memcpy(label + i, "\xc3\xa4", 3);
    start_worker(s);
    stage_enqueue(s, &telling_task, 0, label, NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_status WHERE progress = 0.75", 1);
    (void)stage_query(s, "SELECT message FROM tims_job_status", message, sizeof message);
    assert_int_equal(strlen(message), 199); /* not within a character */
    assert_memory_equal(message, label, 199);
    shared.may_go_on = true;
    stage_wait_for(s, jobs_sql, 0);
}

static void progress_is_told_while_it_runs(void **state)
{
    stage_play(state, tell_progress);
    stage_play(state, tell_much);
}

/* --- all -------------------------------------------------------------------------------------------------- */

static int start(void **state)
{
    return stage_start(state, &options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_run_once),
        cmocka_unit_test(what_fails_is_tried_again_and_then_dead),
        cmocka_unit_test(what_was_told_when_to_come_again_is_tried_then),
        cmocka_unit_test(the_last_result_wins_however_many_there_were),
        cmocka_unit_test(what_is_no_text_is_told_as_well_as_can_be),
        cmocka_unit_test(the_hard_timeout_ends_a_run_that_sleeps),
        cmocka_unit_test(the_hard_timeout_ends_a_run_that_waits_for_the_database),
        cmocka_unit_test(the_hard_timeout_ends_a_run_that_fetches),
        cmocka_unit_test(the_soft_timeout_asks),
        cmocka_unit_test(a_job_that_waits_vanishes),
        cmocka_unit_test(a_run_is_cancelled_whether_it_listens_or_not),
        cmocka_unit_test(what_was_cancelled_and_fails_is_not_tried_again),
        cmocka_unit_test(what_was_cancelled_and_lost_its_worker_is_not_run_again),
        cmocka_unit_test(who_stops_lets_runs_end_or_hands_them_back),
        cmocka_unit_test(who_has_lost_its_lease_ends_what_it_runs_and_takes_nothing_until_it_is_back),
        cmocka_unit_test(an_end_that_comes_too_late_is_not_heard),
        cmocka_unit_test(progress_is_told_while_it_runs),
    };
    return cmocka_run_group_tests_name("worker", tests, start, stage_end);
}
