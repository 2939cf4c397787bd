/* Processes and watched folders: real children, real files. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop/loop_internal.h"

typedef struct stage {
    tims_loop *loop;
    tims_process *process;
    tims_watch *watch;
    int exits, changes;
    int64_t exit_status;
    int signal_number;
    char folder[64];
} stage;

static void take_exit(void *ctx, int64_t exit_status, int signal_number)
{
    stage *s = ctx;
    s->exits++;
    s->exit_status = exit_status;
    s->signal_number = signal_number;
    tims_process_signal(s->process, SIGKILL); /* nobody is there: must not reach anybody */
    tims_process_free(&s->process);
    tims_loop_stop(s->loop);
}

static stage run_command(const char *const *arguments, const char *const *extra, int signal_number)
{
    stage s = { 0 };
    tims_error err = { 0 };
    tims_process_options options = { .arguments = arguments, .environment_extra = extra, .directory = "/" };
    assert_int_equal(tims_loop_new(NULL, &s.loop), TIMS_OK);
    tims_status status = tims_process_start(s.loop, &options, take_exit, &s, &s.process, &err);
    if (status != TIMS_OK)
        fail_msg("%s: %s", err.message, err.detail);
    assert_true(tims_process_pid(s.process) > 1);
    if (signal_number != 0)
        tims_process_signal(s.process, signal_number);
    tims_loop_run(s.loop);
    assert_int_equal(s.exits, 1);
    assert_null(s.process);
    tims_loop_free(&s.loop);
    return s;
}

static void the_exit_status_is_reported(void **state)
{
    (void)state;
    stage s = run_command((const char *const[]){ "sh", "-c", "exit 7", NULL }, NULL, 0);
    assert_int_equal(s.exit_status, 7);
    assert_int_equal(s.signal_number, 0);
}

static void a_signal_ends_the_process_and_is_reported(void **state)
{
    (void)state;
    stage s = run_command((const char *const[]){ "sleep", "100", NULL }, NULL, SIGTERM);
    assert_int_equal(s.signal_number, SIGTERM);
}

static void the_environment_is_ours_with_the_extra_replacing(void **state)
{
    (void)state;
    assert_int_equal(setenv("TIMS_TEST_OURS", "kept", 1), 0);
    assert_int_equal(setenv("TIMS_TEST_BOTH", "former", 1), 0);
    stage s = run_command(
        (const char *const[]){ "sh", "-c", "test $TIMS_TEST_OURS-$TIMS_TEST_BOTH-$PWD = kept-new-/", NULL },
        (const char *const[]){ "TIMS_TEST_BOTH=new", NULL }, 0);
    assert_int_equal(s.exit_status, 0);
}

static void a_program_that_does_not_exist_is_an_error(void **state)
{
    (void)state;
    stage s = { 0 };
    tims_error err = { 0 };
    tims_process_options options = { .arguments =
                                         (const char *const[]){ "/there/is/no/such/program", NULL } };
    assert_int_equal(tims_loop_new(NULL, &s.loop), TIMS_OK);
    assert_int_not_equal(tims_process_start(s.loop, &options, take_exit, &s, &s.process, &err), TIMS_OK);
    assert_null(s.process);
    assert_non_null(strstr(err.detail, "/there/is/no/such/program"));
    tims_loop_free(&s.loop);
}

static void a_process_let_go_does_not_keep_the_loop(void **state)
{
    (void)state;
    stage s = { 0 };
    tims_process_options options = { .arguments = (const char *const[]){ "sleep", "100", NULL } };
    assert_int_equal(tims_loop_new(NULL, &s.loop), TIMS_OK);
    assert_int_equal(tims_process_start(s.loop, &options, take_exit, &s, &s.process, NULL), TIMS_OK);
    int pid = tims_process_pid(s.process);
    tims_process_free(&s.process);
    tims_loop_stop(s.loop);
    tims_loop_run(s.loop);
    tims_loop_free(&s.loop);
    assert_int_equal(s.exits, 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
}

static int run_and_end(const char *script, int64_t patience_us)
{
    const char *const arguments[] = { "sh", "-c", script, NULL };
    stage s = { 0 };
    tims_process_options options = { .arguments = arguments, .directory = "/" };
    assert_int_equal(tims_loop_new(NULL, &s.loop), TIMS_OK);
    assert_int_equal(tims_process_start(s.loop, &options, take_exit, &s, &s.process, NULL), TIMS_OK);
    int pid = tims_process_pid(s.process);
    tims_process_end(&s.process, tims_monotonic_us() + patience_us);
    assert_null(s.process);
    tims_loop_stop(s.loop);
    tims_loop_run(s.loop);
    tims_loop_free(&s.loop);
    assert_int_equal(s.exits, 0);
    return kill(pid, 0) == 0 ? pid : 0;
}

/* Of one that goes by itself, and of one that does not: neither it nor its zombie is there afterwards. */
static void a_process_is_ended_and_waited_for(void **state)
{
    (void)state;
    assert_int_equal(run_and_end("exit 3", 60000000), 0);
    assert_int_equal(run_and_end("exec sleep 1000", 1000), 0);
}

static void notice_change(void *argument)
{
    stage *s = argument;
    if (s->changes++ == 0)
        tims_loop_stop(s->loop);
}

static void make_file(void *argument)
{
    stage *s = argument;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/file", s->folder);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(unlink(path), 0);
}

static void a_new_file_in_a_watched_folder_is_noticed(void **state)
{
    (void)state;
    stage s = { .folder = "/tmp/tims-watch-test-XXXXXX" };
    assert_non_null(mkdtemp(s.folder));
    assert_int_equal(tims_loop_new(NULL, &s.loop), TIMS_OK);
    assert_int_equal(tims_watch_path(s.loop, "/there/is/no/such/folder", notice_change, &s, &s.watch),
                     TIMS_NOT_FOUND);
    assert_null(s.watch);
    assert_int_equal(tims_watch_path(s.loop, s.folder, notice_change, &s, &s.watch), TIMS_OK);
    tims_loop_post(s.loop, make_file, &s);
    tims_loop_run(s.loop);
    assert_true(s.changes >= 1);
    tims_watch_free(&s.watch);
    assert_null(s.watch);
    tims_loop_free(&s.loop);
    assert_int_equal(rmdir(s.folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exit_status_is_reported),
        cmocka_unit_test(a_signal_ends_the_process_and_is_reported),
        cmocka_unit_test(the_environment_is_ours_with_the_extra_replacing),
        cmocka_unit_test(a_program_that_does_not_exist_is_an_error),
        cmocka_unit_test(a_process_let_go_does_not_keep_the_loop),
        cmocka_unit_test(a_process_is_ended_and_waited_for),
        cmocka_unit_test(a_new_file_in_a_watched_folder_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
