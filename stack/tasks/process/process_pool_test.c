/* process_pool_test: blocking tasks in processes of this very program (TIMS_TEST_DATABASE). */
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tasks/process/wire.h"
#include "tasks/sql/sql_internal.h"
#include "tasks/testing.h"
#include "tasks/worker/worker_internal.h"

enum { MIB = 1024 * 1024 };

/* --- tasks ------------------------------------------------------------------------------------------------ */

/* Says in `effect` which process did it. */
static void telling(tims_run *run, const numbered *arguments)
{
    note(run, &(numbered){ getpid(), arguments->label });
    tims_result(run, TIMS_STR("{\"told\":true}"));
}
extern const tims_task telling_task;
TIMS_TASK(telling, numbered, .fields = NUMBERED, .blocking = true, .queue = "cpu", .tracked = true);

/* Computes without looking up, for milliseconds. */
static void computing(tims_run *run, const numbered *arguments)
{
    int64_t until_us = tims_monotonic_us() + arguments->number * 1000;
    note(run, arguments);
    while (tims_monotonic_us() < until_us) {
    }
}
extern const tims_task computing_task;
TIMS_TASK(computing, numbered, .fields = NUMBERED, .blocking = true, .queue = "cpu", .timeout_ms = 300,
          .max_attempts = 2, .retry_after_ms = 20, .tracked = true);

/* Computes until it is asked to stop, and tells how far it is; label "hand": then hands back. */
static void listening(tims_run *run, const numbered *arguments)
{
    int64_t until_us = tims_monotonic_us() + INT64_C(120) * 1000000;
    while (!tims_should_stop(run) && tims_monotonic_us() < until_us)
        tims_progress(run, 0.25, "at it");
    if (tims_str_equal(arguments->label, TIMS_STR("hand")))
        tims_hand_back(run);
    note(run, arguments);
}
extern const tims_task listening_task;
TIMS_TASK(listening, numbered, .fields = NUMBERED, .blocking = true, .queue = "cpu", .tracked = true);

static void asking(tims_run *run, const numbered *arguments)
{
    listening(run, arguments);
}
extern const tims_task asking_task;
TIMS_TASK(asking, numbered, .fields = NUMBERED, .blocking = true, .queue = "cpu", .soft_timeout_ms = 300,
          .timeout_ms = 100000, .tracked = true);

/* Begins, and computes on, whatever is asked. */
static void deaf(tims_run *run, const numbered *arguments)
{
    int64_t until_us = tims_monotonic_us() + INT64_C(120) * 1000000;
    tims_progress(run, 0.5, "deaf");
    while (tims_monotonic_us() < until_us) {
    }
    note(run, arguments);
}
extern const tims_task deaf_task;
TIMS_TASK(deaf, numbered, .fields = NUMBERED, .blocking = true, .queue = "cpu", .tracked = true);

static void dying(tims_run *run, const numbered *arguments)
{
    note(run, arguments);
    (void)kill(getpid(), SIGKILL);
}
extern const tims_task dying_task;
TIMS_TASK(dying, numbered, .fields = NUMBERED, .blocking = true, .queue = "cpu", .retry_after_ms = 10);

/* Takes megabytes, and keeps them. */
static void greedy(tims_run *run, const numbered *arguments)
{
    static struct kept {
        struct kept *next;
    } * kept;
    for (int64_t i = 0; i < arguments->number; i++) {
        volatile char *memory = malloc(MIB);
        for (size_t at = 0; memory != NULL && at < MIB; at += 4096)
            memory[at] = 1;
        struct kept *first = (struct kept *)(uintptr_t)memory;
        first->next = kept;
        kept = first;
    }
    int64_t until_us = tims_monotonic_us() + INT64_C(60) * 1000000;
    while (arguments->number > 500 && tims_monotonic_us() < until_us) {
    }
    note(run, &(numbered){ getpid(), arguments->label });
}
extern const tims_task greedy_task;
TIMS_TASK(greedy, numbered, .fields = NUMBERED, .blocking = true, .queue = "cpu", .max_attempts = 1,
          .memory_bytes = INT64_C(500) * MIB);

static void failing_there(tims_run *run, const numbered *arguments)
{
    note(run, arguments);
    tims_give_up(run, "hopeless", "It is %s.", "no use");
}
extern const tims_task failing_there_task;
TIMS_TASK(failing_there, numbered, .fields = NUMBERED, .blocking = true, .queue = "cpu");

/* Enqueues another. */
static void spreading(tims_run *run, const numbered *arguments)
{
    tims_enqueue(run->rq, &noting_task, arguments);
}
extern const tims_task spreading_task;
TIMS_TASK(spreading, numbered, .fields = NUMBERED, .blocking = true, .queue = "cpu");

static const tims_task *const tasks[] = { &telling_task, &computing_task,     &listening_task,
                                          &asking_task,  &deaf_task,          &dying_task,
                                          &greedy_task,  &failing_there_task, &spreading_task,
                                          NULL };
static const stage_options options = { .tasks = tasks };

static const tims_worker_options one = {
    .processes = 1, .no_schedules = true, .drain_ms = 200, .lease_ms = 6000
};
static const tims_worker_options two = { .processes = 2, .no_schedules = true };

static const char done_sql[] = "SELECT count(*) FROM tims_job_status WHERE state = 'done'";

/* --- scenes ----------------------------------------------------------------------------------------------- */

static void run_in_processes(stage *s)
{
    stage_start_worker(s, &two);
    for (int i = 0; i < 20; i++)
        stage_enqueue(s, &telling_task, i, "told", NULL);
    stage_wait_for(s, done_sql, 20);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 20);
    assert_in_range(stage_int(s, "SELECT count(DISTINCT number) FROM effect"), 1, 2);
    char sql[100];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM effect WHERE number = %d", (int)getpid());
    assert_int_equal(stage_int(s, sql), 0);
    stage_assert_text(s, "SELECT result FROM tims_job_status LIMIT 1", "{\"told\":true}");
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job"), 0);
}

static void they_run_in_processes_that_are_kept(void **state)
{
    stage_play(state, run_in_processes);
}

static void run_too_long(stage *s)
{
    stage_start_worker(s, &one);
    stage_enqueue(s, &computing_task, 100000, "long", NULL);
    stage_wait_for(
        s, "SELECT count(*) FROM tims_job_dead WHERE code = 'timeout' AND attempt = 2 AND crashes = 0", 1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 0);
    stage_assert_text(s, "SELECT state FROM tims_job_status", "failed");
    stage_enqueue(s, &telling_task, 1, "after", NULL);
    stage_wait_for(s, done_sql, 1);
}

static void the_hard_timeout_kills_the_process_and_counts(void **state)
{
    stage_play(state, run_too_long);
}

static void run_until_asked(stage *s)
{
    stage_start_worker(s, &one);
    stage_enqueue(s, &asking_task, 0, "soft", NULL);
    stage_wait_for(s, "SELECT count(*) FROM tims_job_status WHERE progress = 0.25 AND message = 'at it'", 1);
    stage_wait_for(s, done_sql, 1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect WHERE attempt = 1"), 1);
}

static void a_process_that_computes_hears_of_its_soft_timeout_and_tells_progress(void **state)
{
    stage_play(state, run_until_asked);
}

static void die_thrice(stage *s)
{
    stage_start_worker(s, &one);
    stage_enqueue(s, &dying_task, 0, "dead", NULL);
    stage_wait_for(
        s, "SELECT count(*) FROM tims_job_dead WHERE code = 'crashed' AND attempt = 3 AND crashes = 3", 1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 0);
    stage_enqueue(s, &telling_task, 1, "after", NULL);
    stage_wait_for(s, done_sql, 1);
}

static void a_job_whose_process_dies_thrice_is_dead(void **state)
{
    stage_play(state, die_thrice);
}

static void want_too_much(stage *s)
{
    stage_start_worker(s, &one);
    stage_enqueue(s, &greedy_task, 5000, "greedy", NULL);
    stage_wait_for(
        s, "SELECT count(*) FROM tims_job_dead WHERE code = 'memory_limit' AND attempt = 1 AND crashes = 0",
        1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 0);
}

static void a_process_over_its_memory_is_killed_and_counts(void **state)
{
    stage_play(state, want_too_much);
}

static void grow(stage *s)
{
    stage_start_worker(s, &one);
    for (int64_t i = 1; i <= 3; i++) {
        stage_enqueue(s, &greedy_task, 300, "grown", NULL);
        stage_wait_for(s, "SELECT count(*) FROM effect", i);
    }
    assert_int_equal(stage_int(s, "SELECT count(DISTINCT number) FROM effect"), 3);
}

static void a_process_that_has_grown_is_replaced(void **state)
{
    stage_play(state, grow);
}

static void give_up_there(stage *s)
{
    stage_start_worker(s, &one);
    stage_enqueue(s, &failing_there_task, 1, "x", NULL);
    stage_wait_for(
        s, "SELECT count(*) FROM tims_job_dead WHERE code = 'hopeless' AND error = 'It is no use.'", 1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 0);
}

static void what_it_says_of_its_end_arrives(void **state)
{
    stage_play(state, give_up_there);
}

static void spread(stage *s)
{
    stage_start_worker(s, &one);
    stage_enqueue(s, &spreading_task, 5, "spread", NULL);
    stage_wait_for(s, "SELECT count(*) FROM effect WHERE label = 'spread' AND number = 5", 1);
}

static void what_it_enqueues_is_run(void **state)
{
    stage_play(state, spread);
}

/* --- cancelling, stopping, losing ------------------------------------------------------------------------- */

static const char begun_sql[] = "SELECT count(*) FROM tims_job_status WHERE progress > 0";
static const char cancelled_sql[] = "SELECT count(*) FROM tims_job_status WHERE state = 'cancelled'";
static const char as_new_sql[] =
    "SELECT count(*) FROM tims_job WHERE state = 0 AND attempt = 0 AND crashes = 0";

static void cancel(stage *s, const tims_task *task, const char *label)
{
    stage_start_worker(s, &one);
    s->tasks->worker->grace_ms = 100;
    s->tasks->worker->beat_ms = 50;
    tims_id job = stage_enqueue(s, task, 0, label, NULL);
    stage_wait_for(s, begun_sql, 1);
    assert_true(stage_cancel(s, job));
    stage_wait_for(s, cancelled_sql, 1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job"), 0);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 0);
    assert_false(stage_cancel(s, job));
}

static void cancel_listening(stage *s)
{
    cancel(s, &listening_task, "hand");
}

static void cancel_deaf(stage *s)
{
    cancel(s, &deaf_task, "x");
}

static void a_run_that_listens_is_cancelled(void **state)
{
    stage_play(state, cancel_listening);
}

static void a_run_that_does_not_listen_is_cancelled_too(void **state)
{
    stage_play(state, cancel_deaf);
}

static void cancel_in_line(stage *s)
{
    static const char *const other[] = { "other" };
    static const tims_worker_options of_other = {
        .queues = { other, 1 }, .processes = 1, .no_schedules = true, .drain_ms = 200
    };
    static const tims_enqueue_options elsewhere = { .queue = "other" };
    stage_start_worker(s, &of_other);
    s->tasks->worker->beat_ms = 50;
    tims_id running = stage_enqueue(s, &listening_task, 0, "finish", &elsewhere);
    stage_wait_for(s, begun_sql, 1);
    tims_id in_line = stage_enqueue(s, &telling_task, 0, "x", &elsewhere);
    stage_wait_for(s, "SELECT count(*) FROM tims_job WHERE state = 2", 2);
    assert_true(stage_cancel(s, in_line));
    stage_wait_for(s, cancelled_sql, 1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_job"), 1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 0);
    assert_true(stage_cancel(s, running));
    stage_wait_for(s, "SELECT count(*) FROM tims_job", 0);
}

static void a_job_that_waits_for_a_process_is_cancelled(void **state)
{
    stage_play(state, cancel_in_line);
}

static void stop_while_it_listens(stage *s)
{
    stage_start_worker(s, &one);
    stage_enqueue(s, &listening_task, 0, "finish", NULL);
    stage_wait_for(s, begun_sql, 1);
    stage_stop_worker(s);
    assert_int_equal(stage_int(s, done_sql), 1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect WHERE label = 'finish'"), 1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_worker"), 0);
}

static void a_run_that_hears_of_the_stop_ends_by_itself(void **state)
{
    stage_play(state, stop_while_it_listens);
}

static void stop_while_it_is_deaf(stage *s)
{
    static const tims_enqueue_options elsewhere = { .queue = "default" };
    stage_start_worker(s, &one);
    for (int i = 0; i < 3; i++) /* more than there are processes, since of this queue nobody knows */
        stage_enqueue(s, &deaf_task, i, "x", &elsewhere);
    stage_wait_for(s, begun_sql, 1);
    stage_wait_for(s, "SELECT count(*) FROM tims_job WHERE state = 2", 3);
    stage_stop_worker(s);
    assert_int_equal(stage_int(s, as_new_sql), 3);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM tims_worker"), 0);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 0);
}

static void what_does_not_end_is_handed_back_and_not_counted(void **state)
{
    stage_play(state, stop_while_it_is_deaf);
}

static void lose_lease(stage *s)
{
    stage_start_worker(s, &one);
    stage_enqueue(s, &deaf_task, 0, "x", NULL);
    stage_wait_for(s, begun_sql, 1);
    ((tasks__sql *)s->tasks->sql)->tidied_at_us = INT64_MAX / 2; /* not by itself: it has to notice */
    stage_run(s, "DELETE FROM tims_worker");                     /* as who thinks that it is dead */
    stage_wait_for(s, "SELECT count(*) FROM tims_job_status WHERE attempt = 2 AND progress > 0", 1);
    assert_int_equal(stage_int(s, "SELECT count(*) FROM effect"), 0);
}

static void who_has_lost_its_lease_kills_what_it_runs_and_goes_on(void **state)
{
    stage_play(state, lose_lease);
}

/* --- processes that are none ------------------------------------------------------------------------------ */

static const char failed_sql[] =
    "SELECT count(*) FROM tims_job_status WHERE attempt = 1 AND state = 'waiting' AND error <> ''";

static void start_in_vain(stage *s, const char *program)
{
    const char *before = s->tasks->options.program;
    s->tasks->options.program = program;
    stage_start_worker(s, &one);
    stage_enqueue(s, &telling_task, 0, "x", NULL);
    stage_wait_for(s, failed_sql, 1);
    stage_assert_text(s, "SELECT error FROM tims_job_status",
                      "No process could be started for it; the log says why.");
    assert_int_equal(stage_int(s, "SELECT crashes FROM tims_job"), 0);
    stage_stop_worker(s);
    s->tasks->options.program = before;
    stage_start_worker(s, &one);
    stage_run(s, "UPDATE tims_job SET state = 0");
    stage_wait_for(s, done_sql, 1);
}

static void start_false(stage *s)
{
    start_in_vain(s, "/bin/false");
}

static void start_nothing(stage *s)
{
    start_in_vain(s, "/nonexistent/program");
}

static void a_process_that_does_not_start_fails_its_run(void **state)
{
    stage_play(state, start_false);
    stage_play(state, start_nothing);
}

#define SAID(text)             \
    {                          \
        text, sizeof(text) - 1 \
    }
static const struct {
    const char *bytes;
    size_t length;
} nonsense[] = {
    SAID("\0\0\0\2x{}"),                 /* a letter that is none */
    SAID("\0\0\0\3e{]}"),                /* no JSON */
    SAID("\0\0\0\2e{}"),                 /* an end without one */
    SAID("\0\0\0\011e{\"end\":9}"),      /* an end that is none */
    SAID("\0\0\0\016p{\"fraction\":2}"), /* more than all */
    SAID("\177\0\0\0e{}"),               /* longer than may be */
};

/* As a process that is broken: its hello is right, then it says this. */
static int say_nonsense(size_t which, const char *socket_path)
{
    char head[TASKS__FRAME_HEAD_BYTES];
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return 1;
    tims_buf out;
    tims_buf_init(&out, NULL, 4096);
    tasks__hello_write(&out, getpid());
    if (write(fd, out.data, out.length) != (ssize_t)out.length || read(fd, head, sizeof head) <= 0)
        return 1;
    (void)!write(fd, nonsense[which].bytes, nonsense[which].length);
    for (char rest[4096]; read(fd, rest, sizeof rest) > 0;) { /* until the worker hangs up */
    }
    (void)pause();
    return 0;
}

static void hear_nonsense(stage *s)
{
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        char number[8];
        (void)snprintf(number, sizeof number, "%zu", i);
        assert_int_equal(setenv("STAGE_SAYS", number, 1), 0);
        stage_clear(s);
        stage_start_worker(s, &one);
        stage_enqueue(s, &telling_task, 0, "x", NULL);
        stage_wait_for(s, failed_sql, 1);
        assert_int_equal(stage_int(s, "SELECT crashes FROM tims_job"), 1);
        stage_stop_worker(s);
    }
    assert_int_equal(unsetenv("STAGE_SAYS"), 0);
}

static void a_process_that_talks_nonsense_is_killed(void **state)
{
    stage_play(state, hear_nonsense);
}

/* --- all -------------------------------------------------------------------------------------------------- */

static int start(void **state)
{
    return stage_start(state, &options);
}

int main(int argc, char **argv)
{
    int exit_status;
    const char *says = getenv("STAGE_SAYS");
    if (says != NULL && argc == 3)
        return say_nonsense((size_t)(says[0] - '0'), argv[2]);
    if (stage_is_process(argc, argv, &options, &exit_status))
        return exit_status;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_run_in_processes_that_are_kept),
        cmocka_unit_test(the_hard_timeout_kills_the_process_and_counts),
        cmocka_unit_test(a_process_that_computes_hears_of_its_soft_timeout_and_tells_progress),
        cmocka_unit_test(a_job_whose_process_dies_thrice_is_dead),
        cmocka_unit_test(a_process_over_its_memory_is_killed_and_counts),
        cmocka_unit_test(a_process_that_has_grown_is_replaced),
        cmocka_unit_test(what_it_says_of_its_end_arrives),
        cmocka_unit_test(what_it_enqueues_is_run),
        cmocka_unit_test(a_run_that_listens_is_cancelled),
        cmocka_unit_test(a_run_that_does_not_listen_is_cancelled_too),
        cmocka_unit_test(a_job_that_waits_for_a_process_is_cancelled),
        cmocka_unit_test(a_run_that_hears_of_the_stop_ends_by_itself),
        cmocka_unit_test(what_does_not_end_is_handed_back_and_not_counted),
        cmocka_unit_test(who_has_lost_its_lease_kills_what_it_runs_and_goes_on),
        cmocka_unit_test(a_process_that_does_not_start_fails_its_run),
        cmocka_unit_test(a_process_that_talks_nonsense_is_killed),
    };
    return cmocka_run_group_tests_name("process_pool", tests, start, stage_end);
}
